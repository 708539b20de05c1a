//! The stream's table: created if absent, checked if present, extended by missing partitions.
//! What strom-load did not make is dropped only if it is named, see [`super::mark`].

use crate::plan::{Recreate, Stream, TableName, declaration, quote_identifier};
use crate::row::{Column, Values};

use super::fate::BatchProbe;
use super::load::LoadTarget;
use super::mark::{self, Relation};
use super::owner::{self, Proof, RunId};
use super::quote::quote_literal;
use super::reservation::Reservation;
use super::{Error, Session};

/// Room that must be left above the highest id in a partition.
const ID_HEADROOM: i64 = 1 << 40;
/// Longest part of the table's name that goes into a partition's name, of PostgreSQL's 63 bytes.
const LEAF_STEM_BYTES_MAX: usize = 54;
/// How many other names are tried for a partition whose name is taken.
const NAME_TRIES: u32 = 99;
/// What to do if a table must not be used.
const ELSEWHERE: &str = "name another table with --table";

/// A table that is ready for a run.
#[derive(Debug, Clone)]
pub(crate) struct StreamTable {
    /// Its oid.
    pub oid: u32,
    /// What every session that loads holds; that of the first partition.
    pub reservation: Reservation,
    /// The run, as its locks and rows name it.
    pub run: RunId,
    /// How its partitions are told to be its own.
    pub proof: Proof,
    /// The partitions that the run loads.
    pub partitions: Vec<StreamPartition>,
    /// Whether this run created the table.
    pub created: bool,
    /// Rows that it had before, by the planner's estimate; `None`: it has none.
    pub rows_before: Option<u64>,
    /// How many partitions were added to a table already there.
    pub partitions_added: u32,
    /// What is to be said of a table that was dropped for it.
    dropped: Option<String>,
}

/// A partition of a table that is ready for a run.
#[derive(Debug, Clone)]
pub(crate) struct StreamPartition {
    /// Its number: the value of its key, and what its rows are made from. Where it stands in a list
    /// says nothing.
    pub number: u32,
    /// What its producer loads.
    pub target: LoadTarget,
    /// The id of its first new row: one above the highest present.
    pub first_id: i64,
}

/// Makes the stream's table ready and reserves it for the run, with this session as the first that
/// holds the reservation. It is done in a transaction that [`commit`] ends: until then nothing is
/// dropped or made for good.
///
/// # Errors
/// When the table does not fit the stream, is in use by another loader, or may not be created.
pub(crate) async fn prepare(session: &mut Session, stream: &Stream) -> Result<StreamTable, Error> {
    let table = &stream.table;
    let run = RunId::draw(session).await?;
    // Each look sees what was committed before it, whatever the role's default is: the highest id must
    // be that of now, not of before the wait for the table.
    session.execute("begin", "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    // Two loaders that start together must not both create the table.
    let lock = format!(
        "SELECT pg_advisory_xact_lock(hashtextextended({}, 0))",
        quote_literal(&format!("strom-load create {table}"))
    );
    session.execute("wait for another loader's CREATE TABLE", &lock).await?;
    let mut present = Relation::find(session, table).await?;
    // A name without a schema is made anew in the schema where it was found.
    let mut name = table.clone();
    let mut dropped = None;
    if let Some(found) = &present {
        // Before anything is dropped: not from under another loader.
        Reservation::of_run(found.oid, &run).enter(session, table, ELSEWHERE).await?;
        if stream.recreate != Recreate::No {
            dropped =
                Some(mark::drop_table(session, table, found, &stream.recreate, ELSEWHERE).await?);
            name = found.name.clone();
            present = None;
        }
    }
    let created = present.is_none();
    let found = match present {
        Some(found) => {
            check_shape(session, stream, &found).await?;
            found
        }
        None => create(session, stream, &name).await?,
    };
    found.refuse_temporary(ELSEWHERE)?;
    let partitions_added = add_partitions(session, stream, &found).await?;
    let table_oid = found.oid;
    if created {
        // Nobody else can see it yet, so this cannot fail for being taken.
        Reservation::of_run(table_oid, &run).enter(session, table, ELSEWHERE).await?;
    }
    let rows_before = match created {
        true => Some(0),
        false => estimated_rows(session, table_oid).await?,
    };
    let reservation = Reservation::of_run(table_oid, &run);
    Ok(StreamTable {
        rows_before,
        oid: table_oid,
        partitions: partitions(session, stream, table_oid, &reservation, &run).await?,
        reservation,
        run,
        proof: Proof::Rows(Vec::new()),
        created,
        partitions_added: if created { 0 } else { partitions_added },
        dropped,
    })
}

/// How many rows a table has, as the planner estimates it: the density that the last VACUUM or ANALYZE
/// found, for the pages that there are now. `None` where a partition with rows was never looked at.
async fn estimated_rows(session: &mut Session, table_oid: u32) -> Result<Option<u64>, Error> {
    let sql = format!(
        "SELECT CASE WHEN pg_catalog.bool_and(pages = 0 OR reltuples >= 0 AND relpages > 0) THEN \
         pg_catalog.round(pg_catalog.sum(CASE WHEN pages > 0 THEN reltuples / nullif(relpages, 0) * pages \
         ELSE 0 END))::bigint END FROM (SELECT c.reltuples::float8, c.relpages, \
         pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS pages \
         FROM pg_catalog.pg_partition_tree({table_oid}::oid::regclass) t \
         JOIN pg_catalog.pg_class c ON c.oid = t.relid WHERE t.isleaf) AS leaf"
    );
    let rows = session.text("estimate the rows of the table", &sql).await?;
    Ok(rows.and_then(|rows| rows.parse().ok()))
}

/// Claims the partitions for the run and makes what [`prepare`] did last, all at once.
///
/// # Errors
/// When the server is gone.
pub(crate) async fn commit(
    session: &mut Session,
    stream: &Stream,
    table: &mut StreamTable,
) -> Result<(), Error> {
    let lanes: Vec<(u32, i64)> =
        table.partitions.iter().map(|own| (own.number, own.first_id)).collect();
    table.proof = owner::claim(session, table.oid, &table.run, &lanes).await?;
    match &table.proof {
        Proof::Rows(epochs) => {
            for (StreamPartition { number, target, .. }, epoch) in
                table.partitions.iter_mut().zip(epochs)
            {
                target.reservation = target.reservation.of_lane(*number, *epoch);
            }
            if let Some(first) = table.partitions.first() {
                table.reservation = first.target.reservation.clone();
            }
        }
        Proof::LockAlone(why) => {
            tracing::info!("no row names the run beside its lock: {why}");
        }
    }
    session.execute(&format!("create table {}", stream.table), "COMMIT").await?;
    table.dropped.iter().for_each(|dropped| tracing::info!("{dropped}"));
    Ok(())
}

/// Where each partition of a run ends for another run that took the table over: the first id that may be
/// of that one; `None` where it is still this run's.
///
/// # Errors
/// When that cannot be told, or the server does not answer.
pub(crate) async fn ends(
    session: &mut Session,
    table: &StreamTable,
) -> Result<Vec<Option<i64>>, Error> {
    let lanes: Vec<u32> = table.partitions.iter().map(|own| own.number).collect();
    owner::ends(session, table.oid, &table.run, (&table.proof, &lanes)).await
}

/// Counts the rows of each partition from its first id on, for the check at the end.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn count_since(
    session: &mut Session,
    stream: &Stream,
    partitions: &[StreamPartition],
) -> Result<u64, Error> {
    let (id, partition) = key_columns(stream);
    let mut rows = 0;
    for StreamPartition { number, first_id, .. } in partitions {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE {partition} = {number} AND {id} >= {first_id}",
            stream.table
        );
        rows += number_of(session, "count the rows", &sql).await?.max(0) as u64;
    }
    Ok(rows)
}

async fn create(
    session: &mut Session,
    stream: &Stream,
    table: &TableName,
) -> Result<Relation, Error> {
    let columns: Vec<String> = stream.columns.iter().map(declaration).collect();
    let (_, partition) = key_columns(stream);
    let sql =
        format!("CREATE TABLE {table} ({}) PARTITION BY LIST ({partition})", columns.join(", "));
    session.execute(&format!("create table {table}"), &sql).await.map_err(|error| {
        match error.sqlstate() {
            Some("42501") => error.with_fix(format!(
                "let the owner run `GRANT CREATE ON SCHEMA …`, or create the table beforehand:\n  \
                 {sql}"
            )),
            Some("3F000") => error.with_fix("create the schema first, or name another"),
            _ => error,
        }
    })?;
    session.execute(&format!("mark table {table}"), &mark::comment_sql(table)).await?;
    Relation::find(session, table).await?.ok_or_else(|| {
        Error::refused(format!("create table {table}"), "it is not visible after CREATE TABLE")
    })
}

/// Refuses a table whose columns or partitioning do not fit, naming every difference at once.
async fn check_shape(
    session: &mut Session,
    stream: &Stream,
    relation: &Relation,
) -> Result<(), Error> {
    let (act, oid) = (format!("use table {}", stream.table), relation.oid);
    let fix = match relation.marked {
        true => {
            "name another table with --table, or let --recreate drop and rebuild this one, \
                 which strom-load made"
        }
        false => ELSEWHERE,
    };
    let partition = partition_column(stream);
    // As the server writes it, which quotes only where it must.
    let wanted_sql = format!("SELECT 'LIST (' || quote_ident({}) || ')'", quote_literal(partition));
    let wanted = session.text(&act, &wanted_sql).await?.unwrap_or_default();
    let key_sql = format!("SELECT pg_get_partkeydef({oid})");
    let mut differences = Vec::new();
    match session.text(&act, &key_sql).await? {
        Some(key) if key == wanted => {}
        Some(key) => differences.push(format!("it is partitioned by {key}, not {wanted}")),
        None => differences.push(format!("it is not partitioned by {wanted}")),
    }
    let columns_sql = format!(
        "SELECT attname, format_type(atttypid, atttypmod), \
         attnotnull AND NOT atthasdef AND attidentity = '', attgenerated <> '', attnotnull \
         FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped"
    );
    let rows = session.rows(&act, &columns_sql).await?;
    let present: Vec<(String, String, bool, bool, bool)> = rows
        .into_iter()
        .filter_map(|row| {
            let [name, sql_type, required, generated, not_null] = row.try_into().ok()?;
            let is = |flag: Option<String>| flag.map(|flag| flag == "t");
            Some((name?, sql_type?, is(required)?, is(generated)?, is(not_null)?))
        })
        .collect();
    for column in &stream.columns {
        match present.iter().find(|(name, ..)| *name == column.name) {
            None => differences.push(format!("column {} is missing", column.name)),
            Some((_, _, _, true, _)) => differences.push(format!(
                "column {} is generated by the server, which takes no value for it",
                column.name
            )),
            Some((_, have, ..)) if !fits(have, &column.sql_type.to_string()) => {
                differences
                    .push(format!("column {} is {have}, not {}", column.name, column.sql_type));
            }
            Some((.., true)) if column.null_ratio > 0.0 => differences
                .push(format!("column {} is NOT NULL, and `null_ratio` sends NULLs", column.name)),
            Some(_) => {}
        }
    }
    for (name, _, required, ..) in &present {
        if *required && !stream.columns.iter().any(|column| column.name == *name) {
            differences.push(format!("column {name} needs a value, and the profile has none"));
        }
    }
    if !differences.is_empty() {
        return Err(Error::refused(act, differences.join("; ")).with_fix(fix));
    }
    let secured = format!("SELECT row_security_active({oid}::oid), quote_ident(current_user)");
    let rows = session.rows(&act, &secured).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(active), role]) if active == "t" => {
            let role = role.clone().unwrap_or_default();
            let fact =
                format!("row-level security holds for role {role}, and COPY does not work with it");
            Err(Error::refused(act, fact).with_fix(format!(
                "as a superuser: ALTER ROLE {role} BYPASSRLS; or connect as the table's owner, for \
                 whom it holds only with FORCE ROW LEVEL SECURITY"
            )))
        }
        _ => Ok(()),
    }
}

/// Whether a column of type `have` takes the binary form of type `want`: the same type, with the
/// same modifier or none.
fn fits(have: &str, want: &str) -> bool {
    let text = |name: &str| name == "text" || name == "character varying";
    let base = |name: &str| name.split('(').next().unwrap_or(name).to_owned();
    have == want || have == base(want) || (text(have) && text(&base(want)))
}

/// Adds the partitions that are missing, in the schema of the table.
async fn add_partitions(
    session: &mut Session,
    stream: &Stream,
    parent: &Relation,
) -> Result<u32, Error> {
    let table = &stream.table;
    let sql = format!(
        "SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = {}",
        parent.oid
    );
    let rows = session.rows(&format!("read the partitions of {table}"), &sql).await?;
    let bounds: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
    if bounds.contains(&"DEFAULT") {
        return Ok(0);
    }
    let present: Vec<i64> = bounds.iter().flat_map(|bound| listed_values(bound)).collect();
    let missing = (0..stream.partitions.get()).filter(|p| !present.contains(&i64::from(*p)));
    let missing: Vec<u32> = missing.collect();
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
async fn free_names(
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

async fn partitions(
    session: &mut Session,
    stream: &Stream,
    oid: u32,
    reservation: &Reservation,
    run: &RunId,
) -> Result<Vec<StreamPartition>, Error> {
    let table = &stream.table;
    let (id, partition) = key_columns(stream);
    let act = format!("find the highest id in {table}");
    let mut partitions = Vec::new();
    for number in 0..stream.partitions.get() {
        let sql =
            format!("SELECT coalesce(max({id}), 0) FROM {table} WHERE {partition} = {number}");
        let highest = number_of(session, &act, &sql).await.map_err(|error| {
            if error.sqlstate() == Some("42501") {
                error.with_fix(format!("let the owner run: GRANT SELECT, INSERT ON {table} TO …"))
            } else {
                error
            }
        })?;
        if highest > i64::MAX - ID_HEADROOM {
            return Err(Error::refused(
                act,
                format!("partition {number} holds id {highest}, which leaves no room above it"),
            )
            .with_fix("name another table with --table"));
        }
        let target = LoadTarget {
            copy_sql: copy_sql(stream),
            fence: fence(oid, number, run),
            reservation: reservation.clone(),
        };
        let first_id = highest.max(0) + 1;
        partitions.push(StreamPartition { number, target, first_id });
    }
    Ok(partitions)
}

async fn number_of(session: &mut Session, act: &str, sql: &str) -> Result<i64, Error> {
    let text = session.at_length().text(act, sql).await?.unwrap_or_default();
    text.parse().map_err(|_| Error::refused(act, format!("`{text}` is not a whole number")))
}

/// The key of the lock that keeps two sessions of one producer apart. It names the run: whoever holds it
/// is a session of that run.
fn fence(oid: u32, partition: u32, run: &RunId) -> String {
    format!("pg_catalog.hashtextextended('strom-load fence {oid}/{partition} of run {run}', 0)")
}

/// Where a batch of rows `first_id ..= last_id` of a partition is to be found.
pub(crate) fn batch_probe(
    stream: &Stream,
    partition: u32,
    first_id: i64,
    last_id: i64,
) -> BatchProbe {
    let (id_column, partition_column) = key_columns(stream);
    let table = stream.table.to_string();
    BatchProbe { table, id_column, partition_column, partition, first_id, last_id }
}

/// A query for the stream's columns of a partition's rows with ids from `first_id` up to but not
/// including `end`.
pub(crate) fn rows_query(
    stream: &Stream,
    partition: u32,
    first_id: i64,
    end: Option<i64>,
) -> String {
    let (id, partition_column) = key_columns(stream);
    let names: Vec<String> =
        stream.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    let below = end.map_or_else(String::new, |end| format!(" AND {id} < {end}"));
    format!(
        "SELECT {} FROM {} WHERE {partition_column} = {partition} AND {id} >= {first_id}{below}",
        names.join(", "),
        stream.table
    )
}

/// What asks for the highest id of each of these partitions among the rows of the run, in their order,
/// each as a row; before them may come others. Not by PG-Strom, which is what is measured.
pub(crate) fn seen_query(stream: &Stream, partitions: &[StreamPartition]) -> String {
    let (id, partition) = key_columns(stream);
    let list = partitions.iter().map(|own| format!("({}, {})", own.number, own.first_id));
    format!(
        "SELECT pg_catalog.set_config('pg_strom.enabled', 'off', true) \
         WHERE pg_catalog.current_setting('pg_strom.enabled', true) IS NOT NULL; \
         SELECT (SELECT max(t.{id}) FROM {table} AS t \
         WHERE t.{partition} = own.number AND t.{id} >= own.first) \
         FROM (VALUES {list}) AS own (number, first) ORDER BY own.number",
        table = stream.table,
        list = list.collect::<Vec<_>>().join(", ")
    )
}

pub(super) fn copy_sql(stream: &Stream) -> String {
    let names: Vec<String> =
        stream.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", stream.table, names.join(", "))
}

/// The quoted names of the identity and the partition column.
fn key_columns(stream: &Stream) -> (String, String) {
    let id = quote_identifier(column_of(stream, &Values::RowId));
    (id, quote_identifier(partition_column(stream)))
}

fn partition_column(stream: &Stream) -> &str {
    column_of(stream, &Values::Partition)
}

/// The name of the column with these values; every plan has one for identity and partition.
fn column_of<'a>(stream: &'a Stream, values: &Values) -> &'a str {
    let column = stream.columns.iter().find(|column: &&Column| column.values == *values);
    column.map_or("", |column| &column.name)
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
    fn a_column_fits_with_the_same_modifier_or_none() {
        assert!(fits("numeric(15,2)", "numeric(15,2)"));
        assert!(fits("numeric", "numeric(15,2)"));
        assert!(!fits("numeric(5,2)", "numeric(15,2)"));
        assert!(fits("character varying", "text"));
        assert!(fits("text", "character varying(50)"));
        assert!(!fits("integer", "bigint"));
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
