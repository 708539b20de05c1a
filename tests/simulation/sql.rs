//! The statements that the loader says, as far as they are about what is there: each by how it begins.

use std::time::Duration;

use tokio::time::Instant;

use super::world::{Activity, World};

/// The oid of the table.
const TABLE: u32 = 16_384;
/// Columns of the table, with their types.
const COLUMNS: [(&str, &str); 4] = [
    ("id", "bigint"),
    ("part", "integer"),
    ("amount", "bigint"),
    ("due", "timestamp with time zone"),
];

/// What a statement comes to.
#[derive(Debug)]
pub(crate) enum Answer {
    Rows(Vec<Vec<Option<String>>>),
    Done(&'static str),
    /// It has to wait for somebody.
    Waits,
    Fails(&'static str, String),
}

type Texts = Vec<Option<String>>;

#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "a column's value, whatever it is"
)]
fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

fn one(text: impl ToString) -> Answer {
    Answer::Rows(vec![vec![some(text)]])
}

fn truth(is_true: bool) -> Answer {
    one(if is_true { "t" } else { "f" })
}

/// What stands between two texts.
fn between<'s>(sql: &'s str, before: &str, after: &str) -> &'s str {
    let from =
        sql.find(before).map_or_else(|| panic!("no `{before}` in {sql}"), |at| at + before.len());
    let length = sql[from..].find(after).unwrap_or_else(|| panic!("no `{after}` in {sql}"));
    &sql[from..from + length]
}

/// The number behind a text.
fn number<T: std::str::FromStr>(sql: &str, before: &str) -> Option<T> {
    let from = sql.find(before)? + before.len();
    let digits = sql[from..].trim_start_matches('(');
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Where the rows of a partition are kept; rows without a key are one partition's.
fn own_part(part: u32) -> u32 {
    if part == i32::MAX as u32 { 0 } else { part }
}

/// The key in `f(key)`.
fn key(sql: &str) -> &str {
    let from = sql.find("lock").map_or(0, |at| at);
    let open = from + sql[from..].find('(').unwrap_or(0) + 1;
    &sql[open..sql.rfind(')').unwrap_or(sql.len())]
}

/// Runs a statement of a session.
#[expect(clippy::too_many_lines, reason = "a table of statements")]
pub(crate) fn run(world: &mut World, pid: u32, sql: &str) -> Answer {
    // Names of columns are quoted.
    let sql = &*sql.replace('"', "");
    let begins = |text: &str| sql.starts_with(text);
    match () {
        () if begins("SELECT pg_catalog.pg_backend_pid()") => one(pid),
        () if begins("SELECT pg_catalog.set_config(") => {
            settings(world, pid, sql);
            Answer::Rows(Vec::new())
        }
        () if begins("SELECT pg_catalog.gen_random_uuid()") => {
            let (high, low) = (world.dice.draw(), world.dice.draw());
            Answer::Rows(vec![vec![some(format!("{high:016x}{low:016x}")), some(0)]])
        }
        () if begins("SELECT pg_advisory_xact_lock(") => {
            match world.take(pid, key(sql), true, true) {
                true => Answer::Rows(vec![vec![some("")]]),
                false => Answer::Waits,
            }
        }
        () if begins("SELECT pg_catalog.pg_advisory_lock_shared(") => {
            match world.take(pid, key(sql), false, false) {
                true => Answer::Rows(vec![vec![some("")]]),
                false => Answer::Waits,
            }
        }
        () if begins("SELECT pg_catalog.pg_try_advisory_lock_shared(") => {
            truth(world.take(pid, key(sql), false, false))
        }
        () if begins("SELECT pg_catalog.pg_try_advisory_lock(") => {
            truth(world.take(pid, key(sql), true, false))
        }
        () if begins("SELECT pg_catalog.pg_advisory_unlock_shared(") => {
            world.release(pid, key(sql), false);
            truth(true)
        }
        () if begins("SELECT pg_catalog.pg_advisory_unlock(") => {
            world.release(pid, key(sql), true);
            truth(true)
        }
        () if begins("WITH locks AS MATERIALIZED") => others(world, pid, sql),
        () if begins("SELECT count(pg_terminate_backend(pid))") => {
            let key = between(sql, "objid::bigint) = (", ")");
            let key = format!("{key})");
            let holders = world.holders(&key);
            holders.iter().filter(|other| **other != pid).for_each(|other| world.terminate(*other));
            one(holders.len())
        }
        () if begins("SELECT c.oid, c.relkind, n.nspname") => {
            let row = [some(TABLE), some("p"), some("public"), some("t"), some("f"), some("t")];
            Answer::Rows(vec![[&row[..], &[None, some("f")]].concat()])
        }
        () if begins("SELECT 'LIST ('") || begins("SELECT pg_get_partkeydef(") => {
            one("LIST (part)")
        }
        () if begins("WITH RECURSIVE layer AS") => {
            let row = |(name, sql_type)| {
                let types = [some(name), some(sql_type), some(sql_type), None, None];
                [&types[..], &[some("t"), some("f"), some("t")]].concat()
            };
            let is_there = |(name, _): &&(&str, &str)| *name != "part" || world.partitions > 0;
            Answer::Rows(COLUMNS.iter().filter(is_there).map(|column| row(*column)).collect())
        }
        () if begins("SELECT CASE WHEN c.relispartition") => {
            Answer::Rows(vec![vec![None, some("f")]])
        }
        () if begins("SELECT row_security_active(") => {
            Answer::Rows(vec![vec![some("f"), some("simulation")]])
        }
        () if begins("SELECT pg_get_expr(c.relpartbound") => {
            let bound = |part| vec![some(format!("FOR VALUES IN ({part})"))];
            Answer::Rows((0..world.partitions).map(bound).collect())
        }
        () if begins("SELECT CASE WHEN pg_catalog.bool_and(") => one(0),
        () if begins("SELECT coalesce(max(") => {
            let part = number(sql, "part = ").unwrap_or_default();
            one(world.table(part, world.seen_by(pid)).map(|row| row.id).max().unwrap_or(0))
        }
        () if begins("SELECT pg_catalog.has_database_privilege(") => {
            let yes = || some("t");
            let row =
                vec![yes(), some(1), yes(), yes(), some(2), yes(), yes(), some("me"), some("db")];
            Answer::Rows(vec![row])
        }
        () if begins("SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE oid") => one(1),
        () if begins("DELETE FROM strom_load.lane") => Answer::Done("DELETE 0"),
        // All loaders of a schedule have the table in one way.
        () if begins("UPDATE strom_load.lane") => Answer::Done("UPDATE 0"),
        () if begins("SELECT pg_catalog.count(*) > 0 FROM pg_catalog.pg_class") => truth(false),
        () if begins("WITH claimed AS (INSERT INTO strom_load.lane") => {
            let run = between(sql, "partition, '", "'::uuid").to_owned();
            let list = between(sql, "(VALUES ", ") AS own").to_owned();
            let lane = |pair: &str| {
                let (part, first_id) = pair.trim_matches(['(', ')', ' ']).split_once(", ").unwrap();
                (own_part(part.parse().unwrap()), first_id.parse().unwrap())
            };
            let lanes: Vec<(u32, i64)> = list.split("), (").map(lane).collect();
            world.note(|| format!("session {pid} claims {list} for {run}"));
            let epochs = world.claim(pid, &run, &lanes);
            Answer::Rows(epochs.into_iter().map(|epoch| vec![some(epoch)]).collect())
        }
        () if begins("SELECT partition, run, epoch, first_id") => {
            let from: u32 = number(sql, "BETWEEN ").unwrap_or_default();
            let to: u32 = number(sql, &format!("BETWEEN {from} AND ")).unwrap_or_default();
            let seen = world.seen_by(pid);
            let lanes =
                (from..=to).filter_map(|part| Some((part, world.lane(own_part(part), seen)?)));
            let row = |(part, lane): (u32, &super::world::LaneRow)| {
                let numbers = [some(lane.epoch), some(lane.first_id)];
                let [epoch, first_id] = numbers;
                vec![some(part), some(&lane.run), epoch, first_id, some("at some time")]
            };
            Answer::Rows(lanes.map(row).collect())
        }
        () if begins("SELECT pg_xact_status('") => {
            let xid = number(sql, "pg_xact_status('").unwrap_or_default();
            match world.status(xid) {
                Ok(status) => {
                    world.note(|| format!("session {pid} asks for {xid}: {status:?}"));
                    Answer::Rows(vec![vec![status.map(str::to_owned)]])
                }
                Err(()) => Answer::Fails("22023", format!("transaction ID {xid} is in the future")),
            }
        }
        () if begins("SELECT pg_relation_size(tableoid)") => {
            let part = number(sql, "part = ").unwrap_or_default();
            match world.table(part, world.seen_by(pid)).next() {
                Some(_) => one(world.blocks()),
                None => Answer::Rows(Vec::new()),
            }
        }
        () if begins("SELECT count(DISTINCT ") => {
            let part = number(sql, "part = ").unwrap_or_default();
            let first: i64 = number(sql, "IN (").unwrap_or_default();
            let last: i64 = number(sql, &format!("IN ({first}, ")).unwrap_or_default();
            let from = number(sql, "ctid >= '(").unwrap_or(0);
            let seen = world.seen_by(pid);
            let rows = world.table(part, seen).filter(|row| row.block >= from);
            let ids = rows.map(|row| row.id).filter(|id| *id == first || *id == last);
            one(ids.collect::<std::collections::BTreeSet<_>>().len())
        }
        () if begins("SELECT pg_catalog.current_setting('synchronous_standby_names')") => {
            truth(false)
        }
        () if begins("SELECT pg_catalog.pg_is_in_recovery()") => truth(false),
        () if begins("SELECT pg_catalog.left(pg_catalog.pg_walfile_name") => {
            one(format!("{:08}", world.timeline))
        }
        () if begins("SELECT pg_catalog.pg_current_xact_id()")
            || begins("SELECT pg_current_xact_id()") =>
        {
            one(world.xid(pid))
        }
        () if begins("SELECT count(*) FILTER") => {
            Answer::Rows(vec![vec![some(0), some(world.blocks()), some(world.files)]])
        }
        () if begins("SELECT (extract(epoch FROM clock_timestamp())") => one(0),
        () if begins("SELECT CASE pg_catalog.current_setting('synchronous_commit')") => one("0/0"),
        () if begins("SELECT a.state, a.wait_event_type") => look(world, sql),
        () if begins("SELECT 1") => one(1),
        () if sql.ends_with(" LIMIT 0") => Answer::Rows(Vec::new()),
        () => panic!("the model knows no statement `{sql}`"),
    }
}

fn settings(world: &mut World, pid: u32, sql: &str) {
    let Some(session) = world.sessions.get_mut(&pid) else { return };
    for pair in between(sql, "(VALUES ", ") AS ours").split("), (") {
        let (name, value) = pair.trim_matches(['(', ')']).split_once(", ").unwrap_or_default();
        if let Ok(value) = value.trim_matches('\'').parse() {
            session.settings.insert(name.trim_matches('\'').to_owned(), value);
        }
    }
}

/// Who else holds a lock, and not another one as well.
fn others(world: &World, pid: u32, sql: &str) -> Answer {
    let table = between(sql, "WHERE l.key = ", " AND l.pid <>");
    let but = sql.find("o.key = ").map(|at| {
        let rest = &sql[at + "o.key = ".len()..];
        &rest[..rest.find(") ORDER").unwrap_or(rest.len())]
    });
    let but = but.map(|key| world.holders(key)).unwrap_or_default();
    let holders = world.holders(table);
    let row = |other: &u32| -> Texts {
        let name = world.sessions.get(other).map(|session| session.name.clone());
        vec![some(other), name, None]
    };
    let strangers = holders.iter().filter(|other| **other != pid && !but.contains(other));
    Answer::Rows(strangers.map(row).collect())
}

/// What a session is at.
fn look(world: &World, sql: &str) -> Answer {
    let pid: u32 = number(sql, "a.pid = ").unwrap_or_default();
    let Some(session) = world.sessions.get(&pid) else { return Answer::Rows(Vec::new()) };
    let state = |state: &str, kind: Option<&str>, event: Option<&str>, bytes: Option<u64>| {
        let [kind, event] = [kind, event].map(|text| text.map(str::to_owned));
        vec![some(state), kind, event, None, None, some(""), bytes.map(|bytes| bytes.to_string())]
    };
    let reads = (Some("Client"), Some("ClientRead"));
    Answer::Rows(vec![match session.activity {
        Activity::Idle => state("idle", reads.0, reads.1, None),
        Activity::InTransaction => state("idle in transaction", reads.0, reads.1, None),
        Activity::AtWork => state("active", None, None, None),
        Activity::Waits => state("active", Some("Lock"), Some("relation"), None),
        Activity::Takes(bytes) => state("active", reads.0, reads.1, Some(bytes)),
    }])
}

/// The rows that a query of the audit selects, as COPY BINARY.
pub(crate) fn copy_out(world: &World, pid: u32, sql: &str) -> (Vec<Vec<u8>>, usize) {
    let sql = &*sql.replace('"', "");
    let part = number(sql, "part = ").unwrap_or_default();
    let first: i64 = number(sql, "id >= ").unwrap_or(i64::MIN);
    let end: i64 = number(sql, "id < ").unwrap_or(i64::MAX);
    let from: u64 = number(sql, "ctid >= '(").unwrap_or(0);
    let to: u64 = number(sql, "ctid < '(").unwrap_or(u64::MAX);
    let seen = world.seen_by(pid);
    let rows = world
        .table(part, seen)
        .filter(|row| (first..end).contains(&row.id) && (from..to).contains(&row.block));
    let mut pieces = vec![b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec()];
    pieces.extend(rows.map(|row| row.tuple.clone()));
    let count = pieces.len() - 1;
    pieces.push(vec![0xff, 0xff]);
    (pieces, count)
}

/// How long a session may be silent in this state; `None`: for ever.
pub(crate) fn limit(world: &World, pid: u32, setting: &str) -> Option<Duration> {
    let ms = world.sessions.get(&pid)?.settings.get(setting)?;
    (*ms > 0).then(|| Duration::from_millis(*ms))
}

/// The same as a moment from now on.
pub(crate) fn deadline(world: &World, pid: u32, setting: &str) -> Option<Instant> {
    limit(world, pid, setting).map(|limit| Instant::now() + limit)
}
