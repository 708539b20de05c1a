//! The stream's table: created if absent, checked if present, extended by missing partitions.
//! What strom-load did not make is dropped only if it is named, see [`super::mark`].

mod id_column;
mod like;
mod partitions;
mod remote;
mod rows;
mod shape;

use crate::plan::{Recreate, Stream, TableName, declaration, quote_identifier};
use crate::result::capability::Capabilities;
use crate::row::{CopyFormat, Ids, Lane};

use super::load::LoadTarget;
use super::mark::{self, Relation};
use super::owner::{self, Proof, RunId};
use super::quote::quote_literal;
use super::reservation::Reservation;
use super::{Error, Session};

use partitions::{add_partitions, missing_partitions};
use remote::{has_foreign, refuse_silent};
use rows::highest_query;
pub(crate) use rows::{batch_rows, count_since, rows_query, seen_query};
pub(super) use rows::{copy_sql, order};
use shape::check_shape;

/// Room that must be left above the highest id in a partition.
const ID_HEADROOM: i64 = 1 << 40;
/// What to do if a table must not be used.
const ELSEWHERE: &str = "name another table with --table";

/// A table that is ready for a run.
#[derive(Debug, Clone)]
pub(crate) struct StreamTable {
    /// Its oid.
    pub oid: u32,
    /// What every session that loads holds; that of the first lane.
    pub reservation: Reservation,
    /// The run, as its locks and rows name it.
    pub run: RunId,
    /// How its partitions are told to be its own.
    pub proof: Proof,
    /// What each producer loads.
    pub lanes: Vec<StreamLane>,
    /// Whether this run created the table.
    pub created: bool,
    /// Rows that it had before, by the planner's estimate; `None`: it has none.
    pub rows_before: Option<u64>,
    /// Rows that it had before, counted; `None`: they were not.
    pub rows_counted: Option<u64>,
    /// Whether it has partitions of others' making, which may not take each row.
    pub routes: bool,
    /// Whether rows go on to another server.
    pub is_remote: bool,
    /// In which format the server takes rows, and gives them out.
    pub copy_format: CopyFormat,
    /// How many partitions were added to a table already there.
    pub partitions_added: u32,
    /// What is to be said of a table that was dropped for it.
    dropped: Option<String>,
}

/// What one producer loads of a table that is ready for a run.
#[derive(Debug, Clone)]
pub(crate) struct StreamLane {
    /// Which rows, with which ids: those of a partition begin one above the highest present.
    pub ids: Ids,
    /// How it loads them.
    pub target: LoadTarget,
}

/// Makes the stream's table ready and reserves it for the run, with this session as the first that
/// holds the reservation. It is done in a transaction that [`commit`] ends: until then nothing is
/// dropped or made for good.
///
/// # Errors
/// When the table does not fit the stream, is in use by another loader, or may not be created.
pub(crate) async fn prepare(
    session: &mut Session,
    stream: &Stream,
    capabilities: &Capabilities,
) -> Result<StreamTable, Error> {
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
    // Elsewhere the key is a column like others.
    let is_listed = !capabilities.list_partitions.is_missing();
    let found = match present {
        Some(found) => {
            if let Some(like) = stream.like.as_ref().filter(|_| !found.marked) {
                let fact =
                    format!("it is there, and strom-load did not make it: no copy of {like}");
                let fix = format!("{ELSEWHERE}, or leave --like out");
                return Err(Error::refused(format!("use table {table}"), fact).with_fix(fix));
            }
            check_shape(session, stream, &found, is_listed).await?;
            found
        }
        None => create(session, stream, &name, is_listed).await?,
    };
    found.refuse_temporary(ELSEWHERE)?;
    let is_remote = has_foreign(session, found.oid).await?;
    let routes = found.is_partitioned() && stream.partitions.is_none();
    let partitions_added = add_partitions(session, stream, &found).await?;
    let table_oid = found.oid;
    if created {
        // Nobody else can see it yet, so this cannot fail for being taken.
        Reservation::of_run(table_oid, &run).enter(session, table, ELSEWHERE).await?;
    }
    let has_fates = !capabilities.transaction_fate.is_missing();
    let last_crash = match stream.finds_batches() {
        true => None,
        false => session.last_crash().await?,
    };
    let kind = LoadTarget { is_remote, has_fates, last_crash, ..LoadTarget::default() };
    let rows_before = match created {
        true => Some(0),
        false => estimated_rows(session, table_oid).await?,
    };
    let reservation = Reservation::of_run(table_oid, &run);
    Ok(StreamTable {
        rows_before,
        oid: table_oid,
        lanes: lanes(session, stream, (table_oid, &kind), &reservation, &run).await?,
        rows_counted: created.then_some(0),
        routes,
        is_remote,
        copy_format: session.copy_format,
        reservation,
        run,
        proof: Proof::Rows(Vec::new()),
        created,
        partitions_added: if created { 0 } else { partitions_added },
        dropped,
    })
}

/// Whether a stream's table is there and takes its rows, as far as the catalogue says and as far as a server behind a
/// foreign table answers; `false`: it is not there. Changes nothing, within a transaction.
///
/// # Errors
/// When the table does not fit the stream, or the role may not load or read it.
pub(crate) async fn takes(session: &mut Session, stream: &Stream) -> Result<bool, Error> {
    let table = &stream.table;
    owner::refuse_shut(session).await?;
    let Some(found) = Relation::find(session, table).await? else {
        refuse_to_make(session, table).await?;
        return Ok(false);
    };
    check_shape(session, stream, &found, true).await?;
    found.refuse_temporary(ELSEWHERE)?;
    refuse_to_add(session, stream, &found).await?;
    let names: Vec<_> = stream.columns.iter().map(|own| quote_literal(&own.name)).collect();
    // A right to a table is one to each of its columns.
    let sql = format!(
        "SELECT pg_catalog.string_agg(asked, ', ' ORDER BY asked), pg_catalog.quote_ident(current_user) \
         FROM (VALUES ('INSERT'), ('SELECT')) AS rights (asked) WHERE EXISTS (SELECT FROM \
         pg_catalog.unnest(ARRAY[{}]::text[]) AS own (name) WHERE NOT pg_catalog.has_column_privilege({}, name, asked))",
        names.join(", "),
        found.oid
    );
    let act = format!("use table {table}");
    let rows = session.rows(&act, &sql).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(missing), Some(role)]) if !missing.is_empty() => {
            let fact = format!("role {role} has no right to {missing}");
            let fix = format!("let the owner run: GRANT {missing} ON {table} TO {role}");
            Err(Error::refused(act, fact).with_fix(fix))
        }
        _ => {
            refuse_silent(session, found.oid).await?;
            Ok(true)
        }
    }
}

/// Refuses to make a table where the role may not.
async fn refuse_to_make(session: &mut Session, table: &TableName) -> Result<(), Error> {
    let schema = match &table.schema {
        Some(schema) => quote_literal(schema),
        None => "pg_catalog.current_schema()".to_owned(),
    };
    let sql = format!(
        "SELECT n.nspname, pg_catalog.has_schema_privilege(n.oid, 'CREATE'), pg_catalog.quote_ident(current_user), \
         pg_catalog.quote_ident(n.nspname) FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = {schema}"
    );
    let act = format!("create table {table}");
    let rows = session.rows(&act, &sql).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(_), Some(may), ..]) if may == "t" => Ok(()),
        Some([Some(_), _, Some(role), Some(schema)]) => {
            let fact = format!(
                "the table is not there, and role {role} may not CREATE in schema {schema}"
            );
            let fix = format!(
                "have it created, or let its owner run: GRANT CREATE ON SCHEMA {schema} TO {role}"
            );
            Err(Error::refused(act, fact).with_fix(fix))
        }
        _ => {
            let fact = match &table.schema {
                Some(schema) => format!("there is no schema {schema}"),
                None => "none of the schemas on the search path is there, or the role may use none"
                    .to_owned(),
            };
            Err(Error::refused(act, fact)
                .with_fix("name a table of a schema that is there with --table"))
        }
    }
}

/// Refuses to add the partitions that are missing where the table is another role's.
async fn refuse_to_add(
    session: &mut Session,
    stream: &Stream,
    found: &Relation,
) -> Result<(), Error> {
    let missing = missing_partitions(session, stream, found).await?;
    let Some(first) = missing.first() else { return Ok(()) };
    let sql = format!(
        "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') AND \
         pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') FROM pg_catalog.pg_class c WHERE c.oid = {}",
        found.oid
    );
    let act = format!("add the partitions of {}", stream.table);
    if session.text(&act, &sql).await?.as_deref() == Some("t") {
        return Ok(());
    }
    let fact = format!(
        "{} are missing, from that of {first} on, and the role may not add them",
        missing.len()
    );
    let fix = "let the table's owner add them, or ask for fewer with --partitions";
    Err(Error::refused(act, fact).with_fix(fix))
}

/// How many rows a table has, as the planner estimates it: the density that the last VACUUM or ANALYZE
/// found, for the pages that there are now. `None` where a partition with rows was never looked at.
async fn estimated_rows(session: &mut Session, table_oid: u32) -> Result<Option<u64>, Error> {
    let sql = format!(
        "SELECT CASE WHEN pg_catalog.bool_and(relkind <> 'f' AND (pages = 0 OR reltuples >= 0 AND relpages > 0)) THEN \
         pg_catalog.round(pg_catalog.sum(CASE WHEN pages > 0 THEN reltuples / nullif(relpages, 0) * pages \
         ELSE 0 END))::bigint END FROM (SELECT c.relkind, c.reltuples::float8, c.relpages, \
         pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS pages \
         FROM pg_catalog.pg_class c WHERE c.relkind <> 'p' AND {}) AS leaf",
        of_tree(table_oid)
    );
    let rows = session.text("estimate the rows of the table", &sql).await?;
    Ok(rows.and_then(|rows| rows.parse().ok()))
}

/// That a relation is this table or one of its partitions, however deep.
fn of_tree(oid: u32) -> String {
    format!(
        "(c.oid = {oid} OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree({oid}::oid::regclass) t))"
    )
}

/// Counts all rows of a table whose rows nothing tells apart.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn count_all(session: &mut Session, stream: &Stream) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM {}", stream.table);
    Ok(number_of(session, "count the rows", &sql).await?.max(0) as u64)
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
    // Ids are unique within a partition, so a partition is what has an owner, however many lanes share it.
    // Where no other run has its ids, no id is the first that may be another run's.
    let first_id = |ids: &Ids| match stream.identity() {
        Some((_, identity)) if !identity.follows_on() => i64::MAX,
        _ => ids.base,
    };
    let partitions: Vec<(u32, i64)> =
        table.firsts().map(|ids| (owner::key(&ids.lane), first_id(ids))).collect();
    table.proof = owner::claim(session, table.oid, &table.run, &partitions).await?;
    match &table.proof {
        Proof::Rows(epochs) => {
            let epoch_of = |lane: &Lane| {
                let known = partitions.iter().position(|(key, _)| *key == owner::key(lane))?;
                epochs.get(known).copied()
            };
            for StreamLane { ids, target } in &mut table.lanes {
                if let Some(epoch) = epoch_of(&ids.lane) {
                    target.reservation =
                        target.reservation.of_partition(owner::key(&ids.lane), epoch);
                }
            }
            if let Some(first) = table.lanes.first() {
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

/// Where each lane of a run ends for another run that took the table over: the first id that may be of that
/// one; `None` where it is still this run's, or no other has its ids.
///
/// # Errors
/// When that cannot be told, or the server does not answer.
pub(crate) async fn ends(
    session: &mut Session,
    stream: &Stream,
    table: &StreamTable,
) -> Result<Vec<Option<i64>>, Error> {
    if !stream.follows_on() {
        return Ok(vec![None; table.lanes.len()]);
    }
    let partitions: Vec<u32> = table.firsts().map(|ids| owner::key(&ids.lane)).collect();
    let ends = owner::ends(session, table.oid, &table.run, (&table.proof, &partitions)).await?;
    let end_of = |own: &StreamLane| {
        let place = partitions.iter().position(|key| *key == owner::key(&own.ids.lane))?;
        ends.get(place).copied().flatten()
    };
    Ok(table.lanes.iter().map(end_of).collect())
}

async fn create(
    session: &mut Session,
    stream: &Stream,
    table: &TableName,
    is_listed: bool,
) -> Result<Relation, Error> {
    if let Some(like) = &stream.like {
        let made =
            like::create_like(session, stream, table, like).await.map_err(explain_creation)?;
        check_shape(session, stream, &made, is_listed).await?;
        return Ok(made);
    }
    let columns: Vec<String> = stream.columns.iter().map(declaration).collect();
    let by = stream.partition_column().filter(|_| is_listed).map_or_else(String::new, |column| {
        format!(" PARTITION BY LIST ({})", quote_identifier(&column.name))
    });
    let sql = format!("CREATE TABLE {table} ({}){by}", columns.join(", "));
    session.execute(&format!("create table {table}"), &sql).await.map_err(|error| {
        match error.sqlstate() {
            Some("42501") => error.with_fix(format!(
                "let the owner run `GRANT CREATE ON SCHEMA …`, or create the table beforehand:\n  \
                 {sql}"
            )),
            _ => explain_creation(error),
        }
    })?;
    session.execute(&format!("mark table {table}"), &mark::comment_sql(table)).await?;
    Relation::find(session, table).await?.ok_or_else(|| {
        Error::refused(format!("create table {table}"), "it is not visible after CREATE TABLE")
    })
}

fn explain_creation(error: Error) -> Error {
    match error.sqlstate() {
        Some("42501") => error.with_fix(
            "let the owner of the schema run `GRANT CREATE ON SCHEMA …`, and the owner of what is copied `GRANT \
             SELECT …`",
        ),
        Some("3F000") => error.with_fix("create the schema first, or name another"),
        _ => error,
    }
}

impl StreamTable {
    /// The ids of each partition, by the lane that has the first of them.
    fn firsts(&self) -> impl Iterator<Item = &Ids> {
        self.lanes.iter().map(|own| &own.ids).filter(|ids| ids.lane.place == 0)
    }
}

/// What each producer loads: the new rows of a partition have ids above the highest that is there, or from 1 on where
/// they are told from others by the run.
async fn lanes(
    session: &mut Session,
    stream: &Stream,
    (oid, kind): (u32, &LoadTarget),
    reservation: &Reservation,
    run: &RunId,
) -> Result<Vec<StreamLane>, Error> {
    let mut bases: Vec<(Option<u32>, i64)> = Vec::new();
    let mut lanes = Vec::new();
    for lane in stream.lanes() {
        let known = bases.iter().find(|(partition, _)| *partition == lane.partition);
        let base = match known {
            Some((_, base)) => *base,
            None => base_id(session, stream, &lane).await?,
        };
        bases.push((lane.partition, base));
        let target = LoadTarget {
            copy_sql: copy_sql(stream, session.copy_format),
            copy_format: session.copy_format,
            fence: fence(oid, lane.number, run),
            reservation: reservation.clone(),
            ..kind.clone()
        };
        lanes.push(StreamLane { ids: Ids { lane, base, run: run.tag() }, target });
    }
    Ok(lanes)
}

/// The id of the first new row of a lane's partition.
async fn base_id(session: &mut Session, stream: &Stream, lane: &Lane) -> Result<i64, Error> {
    let Some((_, identity)) = stream.identity() else { return Ok(0) };
    let Some(sql) = highest_query(stream, lane) else { return Ok(1) };
    let table = &stream.table;
    let act = format!("find the highest id in {table}");
    let highest = number_of(session, &act, &sql).await.map_err(|error| {
        if error.sqlstate() == Some("42501") {
            error.with_fix(format!("let the owner run: GRANT SELECT, INSERT ON {table} TO …"))
        } else {
            error
        }
    })?;
    if highest > identity.number_max() - ID_HEADROOM {
        let whose = lane.partition.map_or_else(|| "it".to_owned(), |n| format!("partition {n}"));
        let fact = format!("{whose} holds id {highest}, which leaves no room above it");
        return Err(Error::refused(act, fact).with_fix(ELSEWHERE));
    }
    Ok(highest.max(0) + 1)
}

async fn number_of(session: &mut Session, act: &str, sql: &str) -> Result<i64, Error> {
    let text = session.at_length().text(act, sql).await?.unwrap_or_default();
    text.parse().map_err(|_| Error::refused(act, format!("`{text}` is not a whole number")))
}

/// The key of the lock that keeps two sessions of one producer apart. It names the run: whoever holds it
/// is a session of that run.
fn fence(oid: u32, lane: u32, run: &RunId) -> String {
    format!("pg_catalog.hashtextextended('strom-load fence {oid}/{lane} of run {run}', 0)")
}
