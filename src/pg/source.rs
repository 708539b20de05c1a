//! A table of somebody's as the server's catalogue and statistics describe it. No row of it is read, and nothing
//! is changed.

use serde::Deserialize;

use super::beneath::beneath_sql;
use super::mark::{Mixes, Relation, mixes};
use super::quote::quote_literal;
use super::{Address, Error, Session};
use crate::draft::{Extended, Reference, SourceTable};
use crate::plan::TableName;

/// Values as text that reads the same everywhere.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL datestyle = 'ISO, YMD'; \
     SET LOCAL quote_all_identifiers = off; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1";

/// Describes a table, for a role that may be any; one that is to be loaded itself, or whose copy is.
///
/// # Errors
/// When the table is not there, is no table, or nothing is known of what is in it; and when it is to be loaded and
/// no run would.
pub(crate) async fn source_table(
    address: &Address,
    table: &TableName,
    is_loaded: bool,
) -> Result<SourceTable, Error> {
    let mut session = Session::own(address, "strom-load profile").await?.telling_of_waits();
    let act = format!("read the statistics of {}", table.as_written());
    session.execute(&act, BEGIN).await?;
    let Some(found) = Relation::find(&mut session, table).await? else {
        let fact = "there is no such table that this role can see";
        let fix = "name it with its schema, such as shop.orders";
        return Err(Error::refused(act, fact).with_fix(fix));
    };
    if let Some(fact) = found.takes_none() {
        return Err(Error::refused(act, fact).with_fix("name a table"));
    }
    let oid = found.oid;
    let mixes = if is_loaded { mixes(&mut session, &act, oid).await? } else { None };
    if let Some(mixes) = mixes {
        let (fact, fix) = match mixes {
            Mixes::Part(fact) => (
                fact,
                "name the table that holds the rows of all, or a copy to load into with --table",
            ),
            Mixes::Parent(fact) => (fact, "load into a copy of it, which --table names"),
        };
        return Err(Error::refused(act, fact).with_fix(fix));
    }
    let mut source: SourceTable =
        one(&mut session, &act, &table_sql(oid)).await?.unwrap_or_default();
    source.columns = all(&mut session, &act, &columns_sql(oid)).await?;
    source.references = all::<Reference>(&mut session, &act, &references_sql(oid)).await?;
    source.extended = all::<Extended>(&mut session, &act, &extended_sql(oid)).await?;
    let keys: Vec<UniqueIndex> = all(&mut session, &act, &unique_sql(oid)).await?;
    for UniqueIndex { name, columns } in keys {
        match columns {
            Some(columns) => source.unique_keys.push(columns),
            None => source.other_unique_indexes.push(name),
        }
    }
    refuse_unknown(&mut session, &act, oid, &source).await?;
    session.close().await;
    Ok(source)
}

/// A unique index of columns; `None`: of expressions, or of some rows.
#[derive(Debug, Deserialize)]
struct UniqueIndex {
    name: String,
    columns: Option<Vec<String>>,
}

/// Refuses a table of whose values nothing is known, and says why that is so.
async fn refuse_unknown(
    session: &mut Session,
    act: &str,
    oid: u32,
    source: &SourceTable,
) -> Result<(), Error> {
    if source.columns.iter().any(|column| column.statistics.is_some()) {
        return Ok(());
    }
    let name = TableName { schema: Some(source.schema.clone()), name: source.name.clone() };
    let name = name.as_written();
    let sql = format!(
        "SELECT pg_catalog.row_security_active({oid}::oid), pg_catalog.quote_ident(current_user)"
    );
    let rows = session.rows(act, &sql).await?;
    let text = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
    let role = text(1).unwrap_or_default();
    let grant = format!("let the table's owner run: GRANT SELECT ON {name} TO {role}");
    let (fact, fix) = if text(0).as_deref() == Some("t") {
        let fact = format!("row-level security holds for role {role}, which hides pg_stats");
        (
            fact,
            format!("as a superuser: ALTER ROLE {role} BYPASSRLS; or connect as the table's owner"),
        )
    } else if source.columns.is_empty() {
        ("it has no columns".to_owned(), "name a table with columns".to_owned())
    } else if source.columns.iter().all(|column| !column.is_readable) {
        (format!("role {role} may not SELECT it, which hides pg_stats"), grant)
    } else if source.rows < 0.0 {
        let fact = "it was never analyzed, so the server knows nothing of its values";
        (fact.to_owned(), format!("let the table's owner run: ANALYZE {name}"))
    } else if source.rows == 0.0 {
        let fact = "it was empty when it was analyzed, so the server knows nothing of its values";
        (fact.to_owned(), format!("load some rows and run: ANALYZE {name}"))
    } else {
        let fact = "pg_stats has nothing of the columns that this role may read";
        (fact.to_owned(), format!("let the table's owner run: ANALYZE {name}; {grant}"))
    };
    Err(Error::refused(act, fact).with_fix(fix))
}

/// Every row of a query that answers one JSON document each.
async fn all<T: for<'a> Deserialize<'a>>(
    session: &mut Session,
    act: &str,
    sql: &str,
) -> Result<Vec<T>, Error> {
    let rows = session.rows(act, sql).await?;
    let read = |row: Vec<Option<String>>| {
        let text = row.into_iter().next().flatten().unwrap_or_default();
        serde_json::from_str(&text).map_err(|error| {
            Error::refused(act, format!("the server's answer is not understood: {error}"))
        })
    };
    rows.into_iter().map(read).collect()
}

async fn one<T: for<'a> Deserialize<'a>>(
    session: &mut Session,
    act: &str,
    sql: &str,
) -> Result<Option<T>, Error> {
    Ok(all(session, act, sql).await?.into_iter().next())
}

fn table_sql(oid: u32) -> String {
    format!(
        "SELECT pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'rows', c.reltuples, \
         'analyzed_at', pg_catalog.to_char(greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid), \
         pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)), 'YYYY-MM-DD'), \
         'partitioned_by', pg_catalog.pg_get_partkeydef(c.oid), \
         'partition_columns', ARRAY(SELECT DISTINCT a.attname FROM pg_catalog.pg_partition_tree(c.oid) t \
         JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.relid \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::smallint[]) \
         WHERE c.relkind = 'p' AND p.partstrat <> 'h'), \
         'partition_lists', ARRAY(SELECT pg_catalog.pg_get_expr(b.relpartbound, b.oid) FROM pg_catalog.pg_partition_tree(c.oid) t \
         JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.parentrelid AND p.partstrat = 'l' \
         JOIN pg_catalog.pg_class b ON b.oid = t.relid WHERE c.relkind = 'p' ORDER BY b.relname), \
         'checks', {}, 'exclusions', {}) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}",
        constraints('c'),
        constraints('x'),
    )
}

/// Names of the table's constraints of a kind.
fn constraints(kind: char) -> String {
    format!(
        "ARRAY(SELECT k.conname FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = '{kind}' ORDER BY 1)"
    )
}

fn columns_sql(oid: u32) -> String {
    // Arrays of arrays may not be cast so.
    let is_scalar = "t.typtype IN ('b', 'd', 'e') AND t.typcategory <> 'A'";
    format!(
        "WITH RECURSIVE {} SELECT pg_catalog.json_build_object('name', a.attname, \
         'quoted', pg_catalog.quote_ident(a.attname), 'sql_type', pg_catalog.format_type(b.type, b.modifier), \
         'takes', CASE WHEN e.typtype = 'e' THEN 'text' WHEN o.attnum IS NOT NULL THEN pg_catalog.format_type(o.type, o.modifier) END \
         || CASE WHEN o.attnum IS NULL THEN '' ELSE '[]' END, 'is_enum', e.typtype = 'e', \
         'not_null', a.attnotnull OR b.strict, 'filling', CASE WHEN a.attgenerated <> '' THEN 'generated' \
         WHEN a.attidentity <> '' OR {} THEN 'numbered' WHEN a.atthasdef OR b.filled THEN 'default' ELSE 'nothing' END, \
         'is_readable', pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'), \
         'statistics', (SELECT pg_catalog.json_build_object('null_frac', s.null_frac, 'avg_width', s.avg_width, \
         'n_distinct', s.n_distinct, 'common', CASE WHEN {is_scalar} THEN \
         (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(v.value, v.share)), '[]') \
         FROM ROWS FROM (pg_catalog.unnest(s.most_common_vals::text::text[]), pg_catalog.unnest(s.most_common_freqs)) v(value, share)) \
         ELSE '[]' END, 'bounds', CASE WHEN {is_scalar} THEN \
         pg_catalog.to_json(coalesce(s.histogram_bounds::text::text[], '{{}}')) ELSE '[]' END, \
         'correlation', s.correlation, 'arrays', CASE WHEN t.typcategory = 'A' THEN {} END) FROM pg_catalog.pg_stats s WHERE s.schemaname = n.nspname \
         AND s.tablename = c.relname AND s.attname = a.attname AND s.inherited = (c.relkind = 'p'))) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         JOIN beneath b ON b.attnum = a.attnum LEFT JOIN elements o ON o.attnum = a.attnum \
         JOIN pg_catalog.pg_type e ON e.oid = coalesce(o.type, b.type) WHERE c.oid = {oid} ORDER BY a.attnum",
        beneath_sql(oid),
        numbered_by("a"),
        arrays_sql()
    )
}

/// What the statistics `s` have of arrays. Behind the shares of elements stand the least and the greatest of them,
/// and that of NULL; behind the counts their mean.
fn arrays_sql() -> &'static str {
    "(SELECT pg_catalog.json_build_object('common', \
     (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(v.value, v.share)), '[]') \
     FROM ROWS FROM (pg_catalog.unnest(own.elements), \
     pg_catalog.unnest(s.most_common_elem_freqs[1:own.count])) v(value, share)), \
     'with_null', coalesce(s.most_common_elem_freqs[own.count + 3], 0), \
     'counts', s.elem_count_histogram[1:own.counts - 1], 'mean', s.elem_count_histogram[own.counts]) \
     FROM (SELECT e.elements, pg_catalog.cardinality(e.elements) AS count, \
     pg_catalog.cardinality(s.elem_count_histogram) AS counts \
     FROM (SELECT s.most_common_elems::text::text[] AS elements) e) own WHERE own.counts > 1)"
}

/// That the default of a column takes a number from a sequence.
pub(super) fn numbered_by(column: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d \
         ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid \
         AND d.refclassid = 'pg_catalog.pg_class'::regclass \
         JOIN pg_catalog.pg_class q ON q.oid = d.refobjid AND q.relkind = 'S' \
         WHERE f.adrelid = {column}.attrelid AND f.adnum = {column}.attnum)"
    )
}

/// Names of the columns with these numbers, in their order.
fn names(table: &str, numbers: &str) -> String {
    format!(
        "ARRAY(SELECT own.attname FROM pg_catalog.unnest({numbers}) WITH ORDINALITY listed(number, place) \
         JOIN pg_catalog.pg_attribute own ON own.attrelid = {table} AND own.attnum = listed.number ORDER BY listed.place)"
    )
}

fn references_sql(oid: u32) -> String {
    // A partitioned table has its rows in its leaves.
    let leaves = "(SELECT r.oid, r.reltuples FROM pg_catalog.pg_class r WHERE r.oid = c.oid AND c.relkind <> 'p' \
         UNION ALL SELECT r.oid, r.reltuples FROM pg_catalog.pg_partition_tree(c.oid) t \
         JOIN pg_catalog.pg_class r ON r.oid = t.relid WHERE t.isleaf AND c.relkind = 'p') leaf";
    format!(
        "SELECT pg_catalog.json_build_object('columns', {}, 'schema', n.nspname, 'table', c.relname, 'keys', {}, \
         'is_self', k.confrelid = k.conrelid, \
         'is_readable', NOT pg_catalog.row_security_active(c.oid) AND \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND (SELECT \
         pg_catalog.bool_and(pg_catalog.has_column_privilege(c.oid, key, 'SELECT')) FROM pg_catalog.unnest(k.confkey) key), \
         'rows', (SELECT CASE WHEN min(leaf.reltuples) >= 0 THEN sum(leaf.reltuples) ELSE -1 END FROM {leaves}), \
         'is_empty', (SELECT coalesce(sum(pg_catalog.pg_relation_size(leaf.oid)), 0) = 0 FROM {leaves})) \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.confrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.conrelid = {oid} AND k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname",
        names("k.conrelid", "k.conkey"),
        names("k.confrelid", "k.confkey"),
    )
}

fn unique_sql(oid: u32) -> String {
    format!(
        "SELECT pg_catalog.json_build_object('name', c.relname, 'columns', \
         CASE WHEN i.indpred IS NULL AND i.indexprs IS NULL THEN {} END) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid ORDER BY NOT i.indisprimary, c.relname",
        names("i.indrelid", "(i.indkey::smallint[])[0:i.indnkeyatts - 1]")
    )
}

fn extended_sql(oid: u32) -> String {
    let kind = |letter: char, says: &str| {
        format!("CASE WHEN '{letter}' = ANY (e.stxkind) THEN {} END", quote_literal(says))
    };
    // Of two columns, and of no expression.
    let pairs = "SELECT pg_catalog.json_agg(pg_catalog.json_build_array(s.most_common_vals[at][1], \
         s.most_common_vals[at][2], s.most_common_freqs[at]) ORDER BY at) FROM pg_catalog.pg_stats_ext s, \
         pg_catalog.generate_subscripts(s.most_common_freqs, 1) at WHERE s.statistics_schemaname = n.nspname \
         AND s.statistics_name = e.stxname AND pg_catalog.cardinality(s.attnames) = 2 AND s.exprs IS NULL \
         AND s.inherited = (c.relkind = 'p')";
    format!(
        "SELECT pg_catalog.json_build_object('name', e.stxname, 'columns', {}, \
         'says', pg_catalog.concat_ws(', ', {}, {}, {}, {}), 'pairs', coalesce(({pairs}), '[]')) \
         FROM pg_catalog.pg_statistic_ext e JOIN pg_catalog.pg_class c ON c.oid = e.stxrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.stxnamespace WHERE e.stxrelid = {oid} ORDER BY e.stxname",
        names("e.stxrelid", "e.stxkeys::smallint[]"),
        kind('f', "which columns follow from others"),
        kind('d', "how many combinations there are"),
        kind('m', "which combinations are common"),
        kind('e', "what expressions come to"),
    )
}
