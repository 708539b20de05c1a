//! A table in the shape of another: its columns with their defaults, its constraints and indexes, and its
//! partitions. The other one is read, and nothing of it is changed: not a sequence is moved.

use crate::plan::{Stream, TableName, quote_identifier};

use super::super::mark::{self, Relation};
use super::super::quote::quote_literal;
use super::super::source::numbered_by;
use super::super::{Error, Session};
use super::partitions::free_names;

/// Whole numbers, which a sequence gives.
const WHOLE: &str = "('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)";

/// Makes a table like another one, with our mark, within the transaction that the session is in.
///
/// # Errors
/// When the other is not there or is no table, or the server does not make it.
pub(super) async fn create_like(
    session: &mut Session,
    stream: &Stream,
    table: &TableName,
    like: &TableName,
) -> Result<Relation, Error> {
    let act = format!("create table {table} like {like}");
    let Some(source) = Relation::find(session, like).await? else {
        let fact = format!("{like} is not there");
        return Err(Error::refused(act, fact).with_fix("name a table that is there with --like"));
    };
    if let Some(fact) = source.takes_none() {
        let fact = format!("{like} has no shape to copy: {fact}");
        return Err(Error::refused(act, fact).with_fix("name a table with --like"));
    }
    let facts = format!(
        "SELECT c.relpersistence = 'u' AND c.relkind = 'r', pg_catalog.pg_get_partkeydef(c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid = {}",
        source.oid
    );
    let facts = session.rows(&act, &facts).await?.into_iter().next().unwrap_or_default();
    let unlogged = if facts.first() == Some(&Some("t".to_owned())) { "UNLOGGED " } else { "" };
    let by = facts
        .get(1)
        .cloned()
        .flatten()
        .map_or_else(String::new, |key| format!(" PARTITION BY {key}"));
    let sql = format!("CREATE {unlogged}TABLE {table} (LIKE {} INCLUDING ALL){by}", source.name);
    session.execute(&act, &sql).await?;
    // By the name under which it is found from here on, with its schema.
    let Some(made) = Relation::find(session, table).await? else {
        return Err(Error::refused(act, "it is not visible after CREATE TABLE"));
    };
    number_by_itself(session, &act, &source, &made).await?;
    tell_of_functions(session, &act, &source, stream).await?;
    partition_like(session, &act, &source, &made).await?;
    session.execute(&act, &mark::comment_sql(&made.name)).await?;
    Relation::find(session, table)
        .await?
        .ok_or_else(|| Error::refused(act, "it is not visible after CREATE TABLE"))
}

/// Has columns that a sequence numbers numbered by one of the new table's own. A default that does more with a
/// sequence is left away.
async fn number_by_itself(
    session: &mut Session,
    act: &str,
    source: &Relation,
    made: &Relation,
) -> Result<(), Error> {
    let sql = format!(
        "SELECT a.attname, a.attnum, a.atttypid IN {WHOLE} AND pg_catalog.pg_get_expr(f.adbin, f.adrelid) \
         ~ '^(pg_catalog\\.)?nextval\\(.*::regclass\\)$' \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped AND {}",
        source.oid,
        numbered_by("a")
    );
    for row in session.rows(act, &sql).await? {
        let row: [Option<String>; 3] = row.try_into().unwrap_or_default();
        let [Some(column), Some(number), numbers] = row else { continue };
        let (table, column) = (&made.name, quote_identifier(&column));
        let sql = if numbers.as_deref() == Some("t") {
            // A name that nothing else has.
            let name = format!("strom_load_{}_{number}", made.oid);
            let sequence = TableName { schema: made.name.schema.clone(), name };
            let quoted = quote_literal(&sequence.to_string());
            format!(
                "CREATE SEQUENCE {sequence} OWNED BY {table}.{column}; \
                 ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT pg_catalog.nextval({quoted})"
            )
        } else {
            format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
        };
        session.execute(act, &sql).await?;
    }
    Ok(())
}

/// Tells of defaults that call functions of the database's own, of columns that the stream does not fill: what
/// such a function changes elsewhere, it changes with each row.
async fn tell_of_functions(
    session: &mut Session,
    act: &str,
    source: &Relation,
    stream: &Stream,
) -> Result<(), Error> {
    let filled: Vec<_> = stream.columns.iter().map(|own| quote_literal(&own.name)).collect();
    // Of functions that every database has, nothing depends.
    let sql = format!(
        "SELECT pg_catalog.quote_ident(a.attname), d.refobjid::regprocedure \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid \
         AND d.refclassid = 'pg_catalog.pg_proc'::regclass \
         WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
         AND a.attname <> ALL (ARRAY[{}]::text[]) ORDER BY a.attnum, d.refobjid",
        source.oid,
        filled.join(", ")
    );
    for row in session.rows(act, &sql).await? {
        let row: [Option<String>; 2] = row.try_into().unwrap_or_default();
        let [Some(column), Some(function)] = row else { continue };
        tracing::warn!(
            "the default of column {column} calls {function}, as in {}: what that changes elsewhere, such as a \
             sequence, it changes with each row; fix: fill the column in the profile",
            source.name
        );
    }
    Ok(())
}

/// Makes partitions for the same values, on each level.
async fn partition_like(
    session: &mut Session,
    act: &str,
    source: &Relation,
    made: &Relation,
) -> Result<(), Error> {
    if !source.is_partitioned() {
        return Ok(());
    }
    let sql = format!(
        "SELECT t.relid::oid, t.parentrelid::oid, pg_catalog.pg_get_expr(c.relpartbound, c.oid), \
         pg_catalog.pg_get_partkeydef(c.oid) \
         FROM pg_catalog.pg_partition_tree({}::oid::regclass) t JOIN pg_catalog.pg_class c ON c.oid = t.relid \
         WHERE t.level > 0 ORDER BY t.level, c.oid",
        source.oid
    );
    let rows = session.rows(act, &sql).await?;
    let numbers: Vec<u32> = (0..rows.len() as u32).collect();
    let names = free_names(session, &made.name, &numbers).await?;
    // Which of the new ones stands for which.
    let mut stands: Vec<(String, TableName)> = vec![(source.oid.to_string(), made.name.clone())];
    for (row, name) in rows.into_iter().zip(names) {
        let row: [Option<String>; 4] = row.try_into().unwrap_or_default();
        let [Some(oid), Some(parent), Some(bound), key] = row else {
            return Err(Error::refused(act, "a partition of it has no bounds"));
        };
        let Some((_, parent)) = stands.iter().find(|(own, _)| *own == parent) else {
            return Err(Error::refused(act, "a partition of it belongs to no other"));
        };
        let by = key.map_or_else(String::new, |key| format!(" PARTITION BY {key}"));
        let sql = format!(
            "CREATE TABLE {name} PARTITION OF {parent} {bound}{by}; {}",
            mark::comment_sql(&name)
        );
        session.execute(act, &sql).await?;
        stands.push((oid, name));
    }
    Ok(())
}
