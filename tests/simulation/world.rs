//! The state of a server: its log, what of it is on disk, transactions, locks, sessions. Knows no bytes of
//! the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::schedule::{Bug, Traits};

/// What an advisory lock's key is, as it is written in SQL.
pub(crate) type Key = String;

/// A row that a batch brought.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) xid: u64,
    /// Where in the log its batch stands.
    at: usize,
    pub(crate) partition: u32,
    pub(crate) id: i64,
    /// The loader that sent it.
    pub(crate) by: usize,
    pub(crate) block: u64,
    pub(crate) tuple: Vec<u8>,
    /// Whether the server has changed it.
    pub(crate) is_altered: bool,
}

/// The row of a lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneRow {
    pub(crate) xid: u64,
    at: usize,
    pub(crate) partition: u32,
    pub(crate) run: String,
    pub(crate) epoch: i64,
    pub(crate) first_id: i64,
    pub(crate) by: usize,
}

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Record {
    Change(u64),
    Commit(u64),
}

#[derive(Debug, Clone)]
struct Held {
    key: Key,
    pid: u32,
    alone: bool,
    in_transaction: bool,
}

/// What a session is at, as others see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activity {
    Idle,
    InTransaction,
    AtWork,
    /// It waits for a lock on the table.
    Waits,
    /// It waits for rows, and has so many bytes of them.
    Takes(u64),
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// By somebody's word.
    Terminated,
    /// With the server.
    Crashed,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) loader: usize,
    pub(crate) activity: Activity,
    /// The id of its transaction.
    pub(crate) xid: Option<u64>,
    pub(crate) in_transaction: bool,
    /// What it saw at the beginning, if it goes on seeing that.
    pub(crate) snapshot: Option<BTreeSet<u64>>,
    /// In milliseconds, by name.
    pub(crate) settings: BTreeMap<String, u64>,
    pub(crate) fate: Option<Fate>,
    pub(crate) ends: CancellationToken,
    pub(crate) cancelled: CancellationToken,
}

/// What came of a schedule, for whoever wants to know what was explored.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sessions: u64,
    pub(crate) refusals: u64,
    pub(crate) cuts: u64,
    pub(crate) crashes: u64,
    pub(crate) terminations: u64,
    pub(crate) statements_failed: u64,
    pub(crate) commits: u64,
    pub(crate) commits_lost: u64,
    pub(crate) xids_again: u64,
}

/// A server.
pub(crate) struct World {
    pub(crate) traits: Traits,
    pub(crate) dice: Dice,
    pub(crate) partitions: u32,
    log: Vec<Record>,
    /// How much of it is on disk.
    flushed: usize,
    next_xid: u64,
    highest_xid: u64,
    /// Transactions whose commit is seen.
    commits: BTreeSet<u64>,
    pub(crate) rows: Vec<Row>,
    lanes: Vec<LaneRow>,
    pub(crate) sessions: BTreeMap<u32, Session>,
    next_pid: u32,
    locks: Vec<Held>,
    next_block: u64,
    pub(crate) timeline: u32,
    pub(crate) files: u32,
    /// Until when it admits nobody.
    pub(crate) down_until: Instant,
    /// Until when it does nothing.
    pub(crate) frozen_until: Instant,
    /// Until when somebody else has the table locked.
    pub(crate) locked_until: Instant,
    /// From when on nothing goes wrong any more.
    pub(crate) calm_from: Instant,
    /// From when on anything may.
    pub(crate) trouble_from: Instant,
    pub(crate) counts: Counts,
    /// What must not be, and was.
    pub(crate) breaches: Vec<String>,
    began: Instant,
    /// A hash of all that happened.
    pub(crate) trace: u64,
    /// The same in words, if somebody is to read it.
    pub(crate) story: Option<Vec<String>>,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

impl World {
    pub(crate) fn new(traits: Traits, dice: Dice, partitions: u32, told: bool) -> Self {
        let now = Instant::now();
        Self {
            traits,
            dice,
            partitions,
            log: Vec::new(),
            flushed: 0,
            next_xid: 700,
            highest_xid: 0,
            commits: BTreeSet::new(),
            rows: Vec::new(),
            lanes: Vec::new(),
            sessions: BTreeMap::new(),
            next_pid: 100,
            locks: Vec::new(),
            next_block: 0,
            timeline: 1,
            files: 1,
            down_until: now,
            frozen_until: now,
            locked_until: now,
            calm_from: now,
            trouble_from: now,
            counts: Counts::default(),
            breaches: Vec::new(),
            began: now,
            trace: 0xcbf2_9ce4_8422_2325,
            story: told.then(Vec::new),
        }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, event: impl FnOnce() -> String) {
        let text = event();
        let at = self.began.elapsed();
        let bytes = text.bytes().chain(at.as_nanos().to_le_bytes());
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(story) = &mut self.story {
            story.push(format!("{:9.3} {text}", at.as_secs_f64()));
        }
    }

    /// Whether something goes wrong that does once in `n` times.
    pub(crate) fn trouble(&mut self, one_in: u64) -> bool {
        let now = Instant::now();
        let may = self.trouble_from <= now && now < self.calm_from;
        may && self.dice.one_in(one_in)
    }

    /// Whether a crash takes back nothing that was seen.
    pub(crate) fn keeps_all(&self) -> bool {
        self.traits.durable && self.traits.bug != Some(Bug::ForgetsCommits)
    }

    // Sessions.

    pub(crate) fn open(&mut self, name: &str, loader: usize) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        self.counts.sessions += 1;
        let session = Session {
            name: name.to_owned(),
            loader,
            activity: Activity::Idle,
            xid: None,
            in_transaction: false,
            snapshot: None,
            settings: BTreeMap::new(),
            fate: None,
            ends: CancellationToken::new(),
            cancelled: CancellationToken::new(),
        };
        self.sessions.insert(pid, session);
        self.note(|| format!("session {pid} of loader {loader}: {name}"));
        pid
    }

    /// The session has ended, and with it its transaction and its locks.
    pub(crate) fn close(&mut self, pid: u32, why: &str) {
        if self.sessions.remove(&pid).is_some() {
            self.locks.retain(|held| held.pid != pid);
            self.note(|| format!("session {pid} ends: {why}"));
        }
    }

    pub(crate) fn terminate(&mut self, pid: u32) {
        if let Some(session) = self.sessions.get_mut(&pid) {
            session.fate.get_or_insert(Fate::Terminated);
            session.ends.cancel();
            self.counts.terminations += 1;
            self.note(|| format!("session {pid} is terminated"));
        }
    }

    // Transactions.

    pub(crate) fn begin(&mut self, pid: u32, keeps_snapshot: bool) {
        let snapshot = keeps_snapshot.then(|| self.commits.clone());
        if let Some(session) = self.sessions.get_mut(&pid) {
            session.in_transaction = true;
            session.snapshot = snapshot;
        }
    }

    /// The id of the session's transaction.
    pub(crate) fn xid(&mut self, pid: u32) -> u64 {
        if let Some(xid) = self.sessions.get(&pid).and_then(|session| session.xid) {
            return xid;
        }
        let xid = self.next_xid;
        self.next_xid += 1;
        self.counts.xids_again += u64::from(xid <= self.highest_xid);
        self.highest_xid = self.highest_xid.max(xid);
        if let Some(session) = self.sessions.get_mut(&pid) {
            session.xid = Some(xid);
        }
        xid
    }

    /// The transaction is over, and its locks are let go.
    pub(crate) fn end(&mut self, pid: u32) {
        if let Some(session) = self.sessions.get_mut(&pid) {
            (session.xid, session.in_transaction, session.snapshot) = (None, false, None);
        }
        self.locks.retain(|held| held.pid != pid || !held.in_transaction);
    }

    /// Writes the commit into the log; the transaction, if it has changed anything.
    pub(crate) fn log_commit(&mut self, pid: u32) -> Option<u64> {
        let session = self.sessions.get(&pid)?;
        let (xid, loader) = (session.xid?, session.loader);
        let partitions: BTreeSet<u32> =
            self.rows.iter().filter(|row| row.xid == xid).map(|row| row.partition).collect();
        for partition in partitions {
            let owner = self.lane(partition, &self.commits).map(|lane| lane.by);
            if owner.is_some_and(|owner| owner != loader) {
                self.breaches.push(format!(
                    "loader {loader} commits into partition {partition}, which is loader {}'s",
                    owner.unwrap_or_default()
                ));
            }
        }
        self.log.push(Record::Commit(xid));
        Some(xid)
    }

    /// The log is on disk up to here.
    pub(crate) fn flush(&mut self) {
        self.flushed = self.log.len();
    }

    /// Others see the transaction.
    pub(crate) fn show(&mut self, pid: u32, xid: u64) {
        self.commits.insert(xid);
        self.counts.commits += 1;
        let rows = self.rows.iter().filter(|row| row.xid == xid);
        let ids: Vec<i64> = rows.map(|row| row.id).collect();
        let ends = (ids.first().copied(), ids.last().copied());
        self.note(|| format!("session {pid} has committed {xid}: ids {ends:?}"));
        self.end(pid);
    }

    /// What `pg_xact_status` says; an error for an id that is yet to come.
    pub(crate) fn status(&mut self, xid: u64) -> Result<Option<&'static str>, ()> {
        if xid >= self.next_xid {
            return Err(());
        }
        if self.traits.forgets && self.dice.one_in(2) {
            return Ok(None);
        }
        let is_there = self.commits.contains(&xid);
        Ok(Some(match () {
            () if is_there && self.traits.bug == Some(Bug::DeniesCommits) => "aborted",
            () if is_there => "committed",
            () if self.sessions.values().any(|session| session.xid == Some(xid)) => "in progress",
            () => "aborted",
        }))
    }

    // What is in the tables.

    pub(crate) fn insert(&mut self, pid: u32, rows: Vec<(u32, i64, Vec<u8>)>) {
        let xid = self.xid(pid);
        let by = self.sessions.get(&pid).map_or(0, |session| session.loader);
        let at = self.log.len();
        self.log.push(Record::Change(xid));
        for (partition, id, mut tuple) in rows {
            self.next_block += self.traits.blocks_a_row;
            let is_altered = self.traits.bug == Some(Bug::AltersRows) && self.dice.one_in(20);
            if is_altered {
                let last = tuple.len() - 1;
                tuple[last] ^= 1;
            }
            let block = self.next_block;
            self.rows.push(Row { xid, at, partition, id, by, block, tuple, is_altered });
        }
    }

    pub(crate) fn claim(&mut self, pid: u32, run: &str, lanes: &[(u32, i64)]) -> Vec<i64> {
        let xid = self.xid(pid);
        let by = self.sessions.get(&pid).map_or(0, |session| session.loader);
        let at = self.log.len();
        self.log.push(Record::Change(xid));
        let claim = |(partition, first_id): &(u32, i64)| {
            let epoch = self.lane(*partition, &self.commits).map_or(1, |lane| lane.epoch + 1);
            let (partition, run, first_id) = (*partition, run.to_owned(), *first_id);
            LaneRow { xid, at, partition, run, epoch, first_id, by }
        };
        let rows: Vec<LaneRow> = lanes.iter().map(claim).collect();
        let epochs = rows.iter().map(|row| row.epoch).collect();
        self.lanes.extend(rows);
        epochs
    }

    /// How often lanes were claimed.
    pub(crate) fn claims(&self) -> usize {
        self.lanes.len()
    }

    /// The row of a lane, as who sees these transactions sees it.
    pub(crate) fn lane(&self, partition: u32, seen: &BTreeSet<u64>) -> Option<&LaneRow> {
        let mut of = self.lanes.iter().rev().filter(|lane| lane.partition == partition);
        of.find(|lane| seen.contains(&lane.xid))
    }

    /// The transactions that a session sees.
    pub(crate) fn seen_by(&self, pid: u32) -> &BTreeSet<u64> {
        let snapshot = self.sessions.get(&pid).and_then(|session| session.snapshot.as_ref());
        snapshot.unwrap_or(&self.commits)
    }

    /// The rows of a partition that these transactions left, in the order of their blocks.
    pub(crate) fn table(&self, partition: u32, seen: &BTreeSet<u64>) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.partition == partition && seen.contains(&row.xid))
    }

    /// All rows that are there.
    pub(crate) fn there(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| self.commits.contains(&row.xid))
    }

    /// Blocks of the table.
    pub(crate) fn blocks(&self) -> u64 {
        if self.rows.is_empty() { 0 } else { self.next_block + 1 }
    }

    /// Applies a transaction once more, under another id.
    pub(crate) fn apply_again(&mut self, xid: u64) {
        let again = self.next_xid;
        self.next_xid += 1;
        let at = self.log.len();
        let rows: Vec<Row> = self.rows.iter().filter(|row| row.xid == xid).cloned().collect();
        if rows.is_empty() {
            return;
        }
        self.rows.extend(rows.into_iter().map(|row| Row { xid: again, at, ..row }));
        self.log.extend([Record::Change(again), Record::Commit(again)]);
        self.commits.insert(again);
        self.note(|| format!("transaction {xid} is applied again, as {again}"));
    }

    // Locks.

    /// Takes a lock, if nobody else has it in a way that keeps this session from it.
    pub(crate) fn take(&mut self, pid: u32, key: &str, alone: bool, in_transaction: bool) -> bool {
        let in_the_way = |held: &Held| held.key == key && held.pid != pid && (held.alone || alone);
        if self.locks.iter().any(in_the_way) {
            return false;
        }
        if self.traits.bug == Some(Bug::FreesLocks) {
            return true;
        }
        self.locks.push(Held { key: key.to_owned(), pid, alone, in_transaction });
        true
    }

    pub(crate) fn release(&mut self, pid: u32, key: &str, alone: bool) {
        let is_it = |held: &Held| held.key == key && held.pid == pid && held.alone == alone;
        if let Some(at) = self.locks.iter().position(is_it) {
            self.locks.remove(at);
        }
    }

    /// The sessions that hold a lock.
    pub(crate) fn holders(&self, key: &str) -> BTreeSet<u32> {
        self.locks.iter().filter(|held| held.key == key).map(|held| held.pid).collect()
    }

    // The end of it all.

    /// It crashes, and is back later: with what is on disk, and some of what is not. With `elsewhere` it is
    /// another one that has not had the last of the log.
    pub(crate) fn crash(&mut self, down: Duration, elsewhere: bool) {
        let lies = self.traits.bug == Some(Bug::ForgetsCommits);
        let least = if elsewhere || lies { self.log.len() / 2 } else { self.flushed };
        let kept = self.dice.between(least as u64, self.log.len() as u64) as usize;
        self.log.truncate(kept);
        self.flushed = kept;
        let before = self.commits.len() as u64;
        self.commits = (self.log.iter())
            .filter_map(|record| match record {
                Record::Commit(xid) => Some(*xid),
                Record::Change(_) => None,
            })
            .collect();
        self.rows.retain(|row| row.at < kept);
        self.lanes.retain(|lane| lane.at < kept);
        self.counts.commits_lost += before.saturating_sub(self.commits.len() as u64);
        let known = self.log.iter().map(|record| match record {
            Record::Change(xid) | Record::Commit(xid) => xid + 1,
        });
        // Ids that left no trace are given again.
        self.next_xid = known.max().unwrap_or(700);
        for session in self.sessions.values_mut() {
            session.fate = Some(Fate::Crashed);
            session.ends.cancel();
        }
        self.sessions.clear();
        self.locks.clear();
        self.timeline += u32::from(elsewhere);
        if self.dice.one_in(8) {
            // As VACUUM FULL leaves it: other files, and the rows elsewhere in them.
            self.files += 1;
            self.rows.reverse();
            self.next_block = 0;
            for row in &mut self.rows {
                self.next_block += self.traits.blocks_a_row;
                row.block = self.next_block;
            }
        }
        self.down_until = Instant::now() + down;
        self.counts.crashes += 1;
        let next_xid = self.next_xid;
        self.note(|| {
            format!("the server crashes, for {down:?}: {kept} records are kept, next is {next_xid}")
        });
    }
}
