//! The partitions of a table that is made from the stream's own key: those that are missing are added.

use crate::plan::{Stream, TableName};

use super::super::mark::{self, Relation};
use super::super::quote::quote_literal;
use super::super::{Error, Session};

/// Longest part of the table's name that goes into a partition's name, of PostgreSQL's 63 bytes.
const LEAF_STEM_BYTES_MAX: usize = 54;
/// How many other names are tried for a partition whose name is taken.
const NAME_TRIES: u32 = 99;

/// The partitions that are missing, by their numbers.
pub(super) async fn missing_partitions(
    session: &mut Session,
    stream: &Stream,
    parent: &Relation,
) -> Result<Vec<u32>, Error> {
    let partitions = stream.partitions.filter(|_| parent.is_partitioned());
    let Some(partitions) = partitions else { return Ok(Vec::new()) };
    let table = &stream.table;
    let sql = format!(
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = {}",
        parent.oid
    );
    let rows = session.rows(&format!("read the partitions of {table}"), &sql).await?;
    let bounds: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    if bounds.contains(&"DEFAULT") {
        return Ok(Vec::new());
    }
    let present: Vec<i64> = bounds.iter().flat_map(|bound| listed_values(bound)).collect();
    Ok((0..partitions.get()).filter(|p| !present.contains(&i64::from(*p))).collect())
}

/// Adds the partitions that are missing, in the schema of the table.
pub(super) async fn add_partitions(
    session: &mut Session,
    stream: &Stream,
    parent: &Relation,
) -> Result<u32, Error> {
    let missing = missing_partitions(session, stream, parent).await?;
    let leaves = free_names(session, &parent.name, &missing).await?;
    for (number, leaf) in missing.iter().zip(leaves) {
        let parent = &parent.name;
        let sql = format!("CREATE TABLE {leaf} PARTITION OF {parent} FOR VALUES IN ({number})");
        let marked = format!("{sql}; {}", mark::comment_sql(&leaf));
        session.execute(&format!("add partition {leaf}"), &marked).await.map_err(|error| {
            if error.sqlstate() != Some("42501") {
                return error;
            }
            // Partitions from 0 on that are there are as many as a run without this right can use.
            let fewer = match missing[0] {
                0 => String::new(),
                usable => format!("\n  or use --partitions {usable}"),
            };
            error.with_fix(format!("let the table's owner add it:\n  {sql}{fewer}"))
        })?;
    }
    Ok(missing.len() as u32)
}

/// A name for each of these partitions that nothing in the table's schema has: neither a relation
/// nor a type, since a table is both.
pub(super) async fn free_names(
    session: &mut Session,
    table: &TableName,
    partitions: &[u32],
) -> Result<Vec<TableName>, Error> {
    let schema = quote_literal(table.schema.as_deref().unwrap_or_default());
    let list = |number: &u32| format!("({number})");
    let list: Vec<String> = partitions.iter().map(list).collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    // A name carries no meaning, so any free one will do.
    let sql = format!(
        "SELECT (SELECT name FROM (SELECT i, {stem} || '_p' || p || CASE i WHEN 0 THEN '' \
         ELSE '_' || i END AS name FROM generate_series(0, {NAME_TRIES}) i) AS names \
         WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = name AND c.relnamespace = n.oid) \
         AND NOT EXISTS (SELECT FROM pg_type t WHERE t.typname = name AND t.typnamespace = n.oid) \
         ORDER BY i LIMIT 1) \
         FROM (VALUES {list}) AS v(p), pg_namespace n WHERE n.nspname = {schema} ORDER BY p",
        stem = quote_literal(leaf_stem(table)),
        list = list.join(", "),
    );
    let act = format!("find names for the partitions of {table}");
    let rows = session.rows(&act, &sql).await?;
    let name = |row: &Vec<Option<String>>| {
        let name = row.first().cloned().flatten().ok_or_else(|| {
            let stem = leaf_stem(table);
            let taken = format!("all names from {stem}_p… to {stem}_p…_{NAME_TRIES} are taken");
            Error::refused(&*act, taken).with_fix("name another table with --table")
        })?;
        Ok(TableName { schema: table.schema.clone(), name })
    };
    rows.iter().map(name).collect()
}

/// The integers in `FOR VALUES IN (0, '1')`.
fn listed_values(bound: &str) -> Vec<i64> {
    let list = bound.strip_prefix("FOR VALUES IN (").and_then(|rest| rest.strip_suffix(')'));
    list.into_iter()
        .flat_map(|list| list.split(','))
        .filter_map(|value| value.trim().trim_matches('\'').parse().ok())
        .collect()
}

/// What the names of the partitions begin with.
fn leaf_stem(table: &TableName) -> &str {
    let mut end = table.name.len().min(LEAF_STEM_BYTES_MAX);
    while !table.name.is_char_boundary(end) {
        end -= 1;
    }
    &table.name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_in_every_form_that_the_server_prints() {
        assert_eq!(listed_values("FOR VALUES IN (0)"), [0]);
        assert_eq!(listed_values("FOR VALUES IN ('1', 2, '-3')"), [1, 2, -3]);
        assert_eq!(listed_values("DEFAULT"), [0i64; 0]);
    }

    #[test]
    fn a_long_name_leaves_room_for_the_longest_ending() {
        for name in ["é".repeat(31), "x".repeat(63)] {
            let table = TableName { schema: None, name };
            let longest = format!("{}_p1023_{NAME_TRIES}", leaf_stem(&table));
            assert!((60..=63).contains(&longest.len()), "{longest}");
        }
    }
}
