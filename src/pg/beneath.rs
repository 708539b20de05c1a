//! What lies beneath the columns of a table: domains are on types, or on other domains, and so are those of which
//! arrays have elements.

/// Queries of a WITH RECURSIVE. `beneath` has a row for each column of a table by its `attnum`: `type` and `modifier`
/// that its domains end in, its own where it has none; whether one of the domains is `strict`, and takes no NULL; and
/// whether one has a default, by which it is `filled`. `elements` has a row for each that ends in an array whose
/// `element` is an enum or a domain: the same of that.
pub(super) fn beneath_sql(oid: u32) -> String {
    format!(
        "layer AS (SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier, false AS strict, false AS filled \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped \
         UNION ALL SELECT l.attnum, t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault IS NOT NULL \
         FROM layer l JOIN pg_catalog.pg_type t ON t.oid = l.type WHERE t.typtype = 'd'), \
         beneath AS (SELECT l.attnum, l.type, l.modifier, every.strict, every.filled FROM layer l \
         JOIN pg_catalog.pg_type t ON t.oid = l.type AND t.typtype <> 'd' \
         JOIN (SELECT attnum, bool_or(strict) AS strict, bool_or(filled) AS filled FROM layer GROUP BY attnum) every \
         ON every.attnum = l.attnum), \
         element_layer AS (SELECT b.attnum, e.oid AS element, e.oid AS type, -1 AS modifier, false AS strict \
         FROM beneath b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typcategory = 'A' \
         JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typtype IN ('d', 'e') \
         UNION ALL SELECT l.attnum, l.element, t.typbasetype, t.typtypmod, l.strict OR t.typnotnull \
         FROM element_layer l JOIN pg_catalog.pg_type t ON t.oid = l.type WHERE t.typtype = 'd'), \
         elements AS (SELECT l.attnum, l.element, l.type, l.modifier, l.strict FROM element_layer l \
         JOIN pg_catalog.pg_type t ON t.oid = l.type AND t.typtype <> 'd')"
    )
}
