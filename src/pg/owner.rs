//! Which run a partition belongs to, where that must outlast its sessions: a row for each, as ids are unique
//! within it, however many lanes load it. The table of these rows is called after lanes, of which a
//! partition once had one.
//!
//! While sessions live, their lock decides (see [`super::reservation`]). A server that restarts or is
//! promoted forgets all locks, and a loader that was away meanwhile cannot know who came and went. The
//! row tells it. A run writes its rows in the transaction that makes its table ready, before its first
//! batch; so whatever tail of the log a server loses, it has no batch of a run without its rows. The
//! row must name the run itself: a greater epoch proves nothing, as a promotion can lose some.

use std::fmt;

use crate::row::{Lane, RunTag, run_uuid};

use super::quote::quote_literal;
use super::{Error, Session};

/// The schema of strom-load's own, and the table of lanes in it.
const SCHEMA: &str = "strom_load";
pub(super) const LANES: &str = "strom_load.lane";
/// In place of a partition's number where rows have no key: their ids run through the whole table.
const WHOLE: u32 = i32::MAX as u32;
/// What the comment of each opens with.
const MARK: &str = "strom-load lanes ";
/// Version of the table's columns.
const FORMAT: u32 = 1;

/// The number by which the row of a lane's partition is found.
pub(crate) fn key(lane: &Lane) -> u32 {
    lane.partition.unwrap_or(WHOLE)
}

/// A partition as messages name it.
pub(super) fn named(partition: u32) -> String {
    if partition == WHOLE { "the table".to_owned() } else { format!("partition {partition}") }
}

/// A run, as its locks and rows name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId(String);

impl RunId {
    /// A new one, a UUID (version 7) with the server's time and what it draws.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn draw(session: &mut Session) -> Result<Self, Error> {
        let act = "name the run";
        let sql = "SELECT pg_catalog.gen_random_uuid(), \
                   (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint";
        let rows = session.rows(act, sql).await?;
        let text = |column: usize| rows.first().and_then(|row| row.get(column)?.as_deref());
        let unix_ms = text(1).and_then(|ms| ms.parse().ok()).unwrap_or(0);
        let name = text(0).and_then(|drawn| run_uuid(drawn, unix_ms));
        name.map(Self).ok_or_else(|| Error::refused(act, "the server drew nothing"))
    }

    /// What it gives to the UUIDs of its rows.
    pub(super) fn tag(&self) -> RunTag {
        RunTag::parse(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a run's partitions are told to be its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By a lock, and by rows with these epochs, in the order of the partitions.
    Rows(Vec<i64>),
    /// By the lock alone; why.
    LockAlone(String),
}

impl Proof {
    /// Why there are no rows, if there are none.
    pub(crate) fn lock_alone(&self) -> Option<&str> {
        match self {
            Self::Rows(_) => None,
            Self::LockAlone(why) => Some(why),
        }
    }
}

/// The row of a partition.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) run: String,
    /// How many runs the partition has had.
    epoch: i64,
    /// The id of the first row that this run could load.
    first_id: i64,
    /// When it was written, in words.
    pub(super) taken_at: String,
}

impl Row {
    /// Whether it names this run.
    pub(super) fn is_of(&self, run: &RunId) -> bool {
        self.run == run.0
    }

    /// Where the partition ended for a run that had it with this epoch, the first id that may be of another:
    /// known only where the row is of the run that came next.
    pub(super) fn end_of(&self, epoch: i64) -> Option<i64> {
        (self.epoch == epoch + 1).then_some(self.first_id)
    }
}

/// Writes the rows of a run's partitions, each with the id of its first new row, within the
/// transaction that the session is in. The table of lanes is made where it is missing and the role may
/// make it. Where that cannot be done nothing is changed, and the lock has to do.
///
/// # Errors
/// When the rows are there and the role may not use them; when the server is gone.
pub(super) async fn claim(
    session: &mut Session,
    relation: u32,
    run: &RunId,
    partitions: &[(u32, i64)],
) -> Result<Proof, Error> {
    const ACT: &str = "claim the partitions";
    session.execute(ACT, "SAVEPOINT strom_load_claim").await?;
    let proof = match write(session, relation, run, partitions).await {
        Err(error) if error.sqlstate().is_some() && !error.is_lost() => {
            Proof::LockAlone(error.to_string())
        }
        proof => proof?,
    };
    let end = match &proof {
        Proof::Rows(_) => "RELEASE SAVEPOINT strom_load_claim",
        Proof::LockAlone(_) => {
            "ROLLBACK TO SAVEPOINT strom_load_claim; RELEASE SAVEPOINT strom_load_claim"
        }
    };
    session.execute(ACT, end).await?;
    Ok(proof)
}

async fn write(
    session: &mut Session,
    relation: u32,
    run: &RunId,
    partitions: &[(u32, i64)],
) -> Result<Proof, Error> {
    const ACT: &str = "write the rows that name the run";
    match look(session).await? {
        Found::Usable => {}
        Found::Missing => {
            // Two runs that start together must not both make it.
            let lock = "SELECT pg_catalog.pg_advisory_xact_lock(\
                        pg_catalog.hashtextextended('strom-load create lanes', 0))";
            session.execute("wait for another run's CREATE TABLE", lock).await?;
            match look(session).await? {
                Found::Usable => {}
                Found::Missing => create(session).await?,
                Found::Denied(why) => return Ok(Proof::LockAlone(why)),
                Found::Shut(error) => return Err(error),
            }
        }
        Found::Denied(why) => return Ok(Proof::LockAlone(why)),
        Found::Shut(error) => return Err(error),
    }
    forget(session).await?;
    let list = partitions.iter().map(|(partition, first_id)| format!("({partition}, {first_id})"));
    let sql = format!(
        "WITH claimed AS (INSERT INTO {LANES} AS l (relation, partition, run, epoch, first_id, \
         taken_at) SELECT {relation}, partition, '{run}'::uuid, 1, first_id, \
         pg_catalog.clock_timestamp() FROM (VALUES {}) AS own (partition, first_id) \
         ON CONFLICT (relation, partition) DO UPDATE SET run = EXCLUDED.run, epoch = l.epoch + 1, \
         first_id = EXCLUDED.first_id, taken_at = EXCLUDED.taken_at RETURNING partition, epoch) \
         SELECT epoch FROM claimed ORDER BY partition",
        list.collect::<Vec<_>>().join(", ")
    );
    let rows = session.rows(ACT, &sql).await?;
    take_others(session, relation, run, partitions).await?;
    let epochs = rows.iter().filter_map(|row| row.first()?.as_ref()?.parse().ok());
    Ok(Proof::Rows(epochs.collect()))
}

/// Takes over what earlier runs had of the same table in the other way: by partitions, or as a whole. Whoever
/// comes back must find that it is no longer its own.
async fn take_others(
    session: &mut Session,
    relation: u32,
    run: &RunId,
    partitions: &[(u32, i64)],
) -> Result<(), Error> {
    let whole = partitions.iter().find(|(partition, _)| *partition == WHOLE);
    let (others, runs, first_id) = match whole {
        // Our ids lie above all that are there, whichever partition a row is in.
        Some((_, first_id)) => (format!("partition <> {WHOLE}"), 1, first_id.to_string()),
        // Where that run's rows end, no single id tells: as if more than one run had come.
        None => (format!("partition = {WHOLE}"), 2, "first_id".to_owned()),
    };
    let sql = format!(
        "UPDATE {LANES} SET run = '{run}'::uuid, epoch = epoch + {runs}, first_id = {first_id}, \
         taken_at = pg_catalog.clock_timestamp() WHERE relation = {relation} AND {others}"
    );
    session.execute("take over what earlier runs had", &sql).await
}

/// Deletes the rows of tables that are gone.
async fn forget(session: &mut Session) -> Result<(), Error> {
    let forget = format!(
        "DELETE FROM {LANES} WHERE NOT EXISTS \
         (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)"
    );
    session.execute("delete the rows of tables that are gone", &forget).await
}

/// The rows that runs left: those of a table that is there, by the table's oid with how many there
/// are and when the last was written; under 0 those of tables that are gone. `None`: there is no table of
/// lanes, or our role may not read it.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn left(session: &mut Session) -> Result<Option<Vec<(u32, u64, String)>>, Error> {
    if !matches!(look(session).await?, Found::Usable) {
        return Ok(None);
    }
    let sql = format!(
        "SELECT coalesce(c.oid, 0), count(*), \
         pg_catalog.to_char(max(l.taken_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
         FROM {LANES} l LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation GROUP BY 1"
    );
    let rows = session.rows("read the rows that runs left", &sql).await?;
    let row = |row: Vec<Option<String>>| {
        let [oid, count, last] = row.try_into().ok()?;
        Some((oid?.parse().ok()?, count?.parse().ok()?, last?))
    };
    Ok(Some(rows.into_iter().filter_map(row).collect()))
}

/// Deletes the rows of tables that are gone, within the transaction that the session is in, if there is a
/// table of lanes that our role may use.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn forget_gone(session: &mut Session) -> Result<(), Error> {
    match look(session).await? {
        Found::Usable => forget(session).await,
        Found::Missing | Found::Denied(_) | Found::Shut(_) => Ok(()),
    }
}

/// Refuses a database whose table of lanes our role may not use, though others do.
///
/// # Errors
/// When it is so, or the server does not answer.
pub(super) async fn refuse_shut(session: &mut Session) -> Result<(), Error> {
    match look(session).await? {
        Found::Shut(error) => Err(error),
        Found::Usable | Found::Missing | Found::Denied(_) => Ok(()),
    }
}

/// What there is of the table of lanes.
enum Found {
    /// The role may use it.
    Usable,
    /// It is not there, and the role may make it.
    Missing,
    /// It cannot be used; why.
    Denied(String),
    /// Others use it, and the role may not: they would never learn that this run came and went.
    Shut(Error),
}

async fn look(session: &mut Session) -> Result<Found, Error> {
    let rights = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let may = rights.map(|right| format!("pg_catalog.has_table_privilege(c.oid, '{right}')"));
    let sql = format!(
        "SELECT pg_catalog.has_database_privilege(d.oid, 'CREATE'), n.oid, \
         pg_catalog.has_schema_privilege(n.oid, 'USAGE'), \
         pg_catalog.has_schema_privilege(n.oid, 'CREATE'), c.oid, {}, \
         c.relkind = 'r' AND NOT c.relhastriggers AND NOT c.relhasrules AND NOT c.relrowsecurity \
         AND pg_catalog.starts_with(pg_catalog.obj_description(c.oid, 'pg_class'), {}), \
         pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(d.datname) \
         FROM pg_catalog.pg_database d \
         LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = '{SCHEMA}' \
         LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'lane' \
         WHERE d.datname = pg_catalog.current_database()",
        may.join(" AND "),
        quote_literal(&format!("{MARK}{{\"format\":{FORMAT}}}"))
    );
    let rows = session.rows("look for the table of lanes", &sql).await?;
    let text = |column: usize| rows.first().and_then(|row| row.get(column)?.as_deref());
    let is = |column: usize| text(column) == Some("t");
    let (role, database) = (text(7).unwrap_or("?"), text(8).unwrap_or("?"));
    Ok(match (text(1), text(4)) {
        (None, _) if is(0) => Found::Missing,
        (None, _) => Found::Denied(format!("role {role} may not CREATE in database {database}")),
        (Some(_), None) if is(2) && is(3) => Found::Missing,
        (Some(_), None) => Found::Denied(format!("role {role} may not CREATE in schema {SCHEMA}")),
        // What others have added to it would run with our rights.
        (Some(_), Some(_)) if !is(6) => {
            Found::Denied(format!("table {LANES} is not as strom-load makes it"))
        }
        (Some(_), Some(_)) if is(2) && is(5) => Found::Usable,
        (Some(_), Some(_)) => Found::Shut(shut(role)),
    })
}

fn shut(role: &str) -> Error {
    let fact = format!(
        "role {role} may not use table {LANES}, by which other runs in this database learn whether a table is \
         still theirs: beside this one they could load ids twice"
    );
    Error::refused("claim the partitions", fact).with_fix(format!(
        "have the owner of schema {SCHEMA} run: GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; GRANT SELECT, INSERT, \
         UPDATE, DELETE ON {LANES} TO {role}"
    ))
}

async fn create(session: &mut Session) -> Result<(), Error> {
    let comment = quote_literal(&format!("{MARK}{{\"format\":{FORMAT}}}"));
    let sql = format!(
        "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; \
         CREATE TABLE {LANES} (relation oid NOT NULL, partition integer NOT NULL, \
         run uuid NOT NULL, epoch bigint NOT NULL, first_id bigint NOT NULL, \
         taken_at timestamptz NOT NULL, PRIMARY KEY (relation, partition)); \
         COMMENT ON TABLE {LANES} IS {comment}"
    );
    session.execute(&format!("create table {LANES}"), &sql).await
}

/// The rows of a table's partitions from `from` up to and including `to`, by partition. None of one
/// that no run has, or whose row the server has lost.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn rows(
    session: &mut Session,
    relation: u32,
    (from, to): (u32, u32),
) -> Result<Vec<(u32, Row)>, Error> {
    let sql = format!(
        "SELECT partition, run, epoch, first_id, \
         pg_catalog.to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
         FROM {LANES} WHERE relation = {relation} AND partition BETWEEN {from} AND {to} \
         ORDER BY partition"
    );
    let rows = match session.rows("ask which run has the partition", &sql).await {
        // The server has lost the whole table with the tail of its log.
        Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000")) => Vec::new(),
        rows => rows?,
    };
    let row = |row: Vec<Option<String>>| {
        let [partition, run, epoch, first_id, taken_at] = row.try_into().ok()?;
        let row = Row {
            run: run?,
            epoch: epoch?.parse().ok()?,
            first_id: first_id?.parse().ok()?,
            taken_at: taken_at?,
        };
        Some((partition?.parse().ok()?, row))
    };
    Ok(rows.into_iter().filter_map(row).collect())
}

/// Where each of a run's partitions ends for another run that took it over: the first id that may be of
/// that one. `None`: it is still the run's.
///
/// # Errors
/// When that cannot be told, or the server does not answer.
pub(super) async fn ends(
    session: &mut Session,
    relation: u32,
    run: &RunId,
    (proof, partitions): (&Proof, &[u32]),
) -> Result<Vec<Option<i64>>, Error> {
    let unknown = || {
        let fact = "another run took over, and which rows are its own cannot be told";
        Error::refused("tell this run's rows from another's", fact)
    };
    let Proof::Rows(epochs) = proof else { return Err(unknown()) };
    let (Some(from), Some(to)) = (partitions.iter().min(), partitions.iter().max()) else {
        return Ok(Vec::new());
    };
    let rows = rows(session, relation, (*from, *to)).await?;
    let end = |(partition, epoch): (&u32, &i64)| {
        let (_, row) = rows.iter().find(|(of, _)| of == partition).ok_or_else(unknown)?;
        if row.is_of(run) && row.epoch == *epoch {
            return Ok(None);
        }
        row.end_of(*epoch).map(Some).ok_or_else(unknown)
    };
    partitions.iter().zip(epochs).map(end).collect()
}

/// Whether another run has had a partition since a run had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Successor {
    /// For sure none.
    None,
    /// Nothing says so: one may have.
    Perhaps,
    /// Rows from this id on are another run's. Where several came, earlier ones may be, too.
    From(i64),
}

/// Whether others have had a saved run's partitions since, whose first ids there are given beside each.
///
/// # Errors
/// When the server is gone.
pub(crate) async fn successors(
    session: &mut Session,
    relation: u32,
    run: &str,
    partitions: &[(u32, i64)],
) -> Result<Vec<Successor>, Error> {
    let keys = || partitions.iter().map(|(partition, _)| *partition);
    let (Some(from), Some(to)) = (keys().min(), keys().max()) else { return Ok(Vec::new()) };
    let rows = match rows(session, relation, (from, to)).await {
        // The role may not look.
        Err(error) if error.sqlstate().is_some() && !error.is_lost() => Vec::new(),
        rows => rows?,
    };
    let successor = |(partition, first_id): &(u32, i64)| {
        match rows.iter().find(|(of, _)| of == partition) {
            Some((_, row)) if row.run == run => Successor::None,
            // A run that took the table in another way left the first id of an earlier one there.
            Some((_, row)) if row.first_id > *first_id => Successor::From(row.first_id),
            _ => Successor::Perhaps,
        }
    };
    Ok(partitions.iter().map(successor).collect())
}
