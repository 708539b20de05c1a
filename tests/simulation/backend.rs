//! A session of the server: what it is told, one message behind the other, and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use crate::pg::read_back::{Tuples, fields};

use super::line::ServerEnd;
use super::schedule::Bug;
use super::sql::{self, Answer, deadline, limit};
use super::wire::{Message, Reply};
use super::world::{Activity, Fate, Shared, lock};

/// Between two looks of a statement that waits for a lock.
const POLL: Duration = Duration::from_millis(20);

/// Why a session ends.
enum End {
    /// Its client is gone.
    Left,
    /// With a last word.
    Told(&'static str, &'static str),
    /// With the server.
    Crashed,
}

/// What keeps a statement from its end.
enum Stop {
    Fails(&'static str, String),
    Ends(End),
}

type Done<T> = Result<T, Stop>;

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::Ends(end)
    }
}

fn fails<T>(code: &'static str, why: &str) -> Done<T> {
    Err(Stop::Fails(code, why.to_owned()))
}

/// How a session takes what it is told.
enum Mode {
    Ready,
    /// As rows, until when the statement may take.
    Takes(Vec<u8>, Option<Instant>),
    /// Not at all, until a Sync.
    Skips,
}

struct Backend {
    world: Shared,
    line: ServerEnd,
    pid: u32,
    reply: Reply,
    mode: Mode,
    /// Whether its transaction has failed.
    failed: bool,
    /// Whether its transaction is to be on disk whatever others are.
    flushes: bool,
    statements: BTreeMap<String, String>,
    bound: String,
}

/// Serves a connection of a loader to its end.
pub(crate) async fn serve(world: Shared, mut line: ServerEnd, loader: usize) {
    let name = match line.next().await {
        Some(Message::Startup(name)) => name,
        Some(Message::Cancel(pid)) => {
            if let Some(session) = lock(&world).sessions.get(&pid) {
                session.cancelled.cancel();
            }
            return line.hang_up(false);
        }
        _ => return line.hang_up(false),
    };
    let mut reply = Reply::default();
    let refusal = {
        let mut world = lock(&world);
        let refuses = world.traits.refuses;
        if Instant::now() < world.down_until {
            Some(("57P03", "the database system is starting up"))
        } else if world.trouble(refuses * 2) {
            world.counts.refusals += 1;
            Some(world.dice.pick(&[
                ("53300", "sorry, too many clients already"),
                ("57P03", "the database system is in recovery mode"),
            ]))
        } else {
            None
        }
    };
    if let Some((code, why)) = refusal {
        reply.error("FATAL", code, why);
        line.send(reply.into_bytes());
        return line.hang_up(false);
    }
    let pid = lock(&world).open(&name, loader);
    reply.welcome(pid);
    reply.ready(b'I');
    let (statements, bound) = (BTreeMap::new(), String::new());
    let mode = Mode::Ready;
    let mut backend =
        Backend { world, line, pid, reply, mode, failed: false, flushes: false, statements, bound };
    backend.say();
    let end = backend.run().await;
    backend.finish(&end);
}

impl Backend {
    fn say(&mut self) {
        let bytes = std::mem::take(&mut self.reply).into_bytes();
        if !bytes.is_empty() {
            self.line.send(bytes);
        }
    }

    fn finish(mut self, end: &End) {
        let mut at_once = false;
        let why = match end {
            End::Left => "its client has left",
            End::Told(code, why) => {
                self.reply.error("FATAL", code, why);
                *why
            }
            End::Crashed => {
                at_once = lock(&self.world).dice.one_in(2);
                "the server has crashed"
            }
        };
        self.say();
        // Its locks are let go before its client knows.
        lock(&self.world).close(self.pid, why);
        self.line.hang_up(at_once);
    }

    fn fate(&self) -> End {
        let world = lock(&self.world);
        match world.sessions.get(&self.pid).map(|session| session.fate) {
            Some(Some(Fate::Terminated) | None) => {
                End::Told("57P01", "terminating connection due to administrator command")
            }
            Some(Some(Fate::Crashed)) | None => End::Crashed,
        }
    }

    fn is_at(&self, activity: Activity) {
        if let Some(session) = lock(&self.world).sessions.get_mut(&self.pid) {
            session.activity = activity;
        }
    }

    fn in_transaction(&self) -> bool {
        let world = lock(&self.world);
        world.sessions.get(&self.pid).is_some_and(|session| session.in_transaction)
    }

    async fn run(&mut self) -> End {
        let Some(ends) = lock(&self.world).sessions.get(&self.pid).map(|own| own.ends.clone())
        else {
            return End::Crashed;
        };
        loop {
            let (activity, lapse) = self.waiting();
            self.is_at(activity);
            let lapses = async {
                match lapse {
                    Some((limit, _)) => sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                biased;
                () = ends.cancelled() => return self.fate(),
                message = self.line.next() => message,
                () = lapses => match lapse {
                    Some((_, code)) => return End::Told(code, "terminating connection due to timeout"),
                    None => continue,
                },
            };
            let Some(message) = message else { return End::Left };
            if message == Message::Terminate {
                return End::Left;
            }
            self.is_at(Activity::AtWork);
            let frozen = lock(&self.world).frozen_until;
            if frozen > Instant::now() {
                sleep_until(frozen).await;
            }
            if !lock(&self.world).sessions.contains_key(&self.pid) {
                return End::Crashed;
            }
            match self.take(message).await {
                Ok(()) => {}
                Err(Stop::Ends(end)) => return end,
                Err(Stop::Fails(code, why)) => {
                    self.failed = self.in_transaction();
                    self.reply.error("ERROR", code, &why);
                    let pid = self.pid;
                    lock(&self.world).note(|| format!("session {pid}: {code} {why}"));
                    self.mode = Mode::Skips;
                }
            }
            self.say();
        }
    }

    /// What it is at while it waits for a message, and for how long that may be.
    fn waiting(&self) -> (Activity, Option<(Duration, &'static str)>) {
        let world = lock(&self.world);
        let lapse = |setting, code| limit(&world, self.pid, setting).map(|limit| (limit, code));
        let in_transaction =
            world.sessions.get(&self.pid).is_some_and(|session| session.in_transaction);
        match &self.mode {
            // The limit of a statement is looked at once rows come: a server that waits for them does not.
            Mode::Takes(bytes, _) => (Activity::Takes(bytes.len() as u64), None),
            _ if in_transaction => {
                let lapse = lapse("idle_in_transaction_session_timeout", "25P03");
                (Activity::InTransaction, lapse)
            }
            _ => (Activity::Idle, lapse("idle_session_timeout", "57P05")),
        }
    }

    fn status(&self) -> u8 {
        match (self.in_transaction(), self.failed) {
            (true, true) => b'E',
            (true, false) => b'T',
            (false, _) => b'I',
        }
    }

    /// Ends what was done outside of a transaction: it is there, unless it failed.
    fn end_implicit(&mut self) {
        let mut world = lock(&self.world);
        let Some(session) = world.sessions.get(&self.pid) else { return };
        if session.in_transaction {
            return;
        }
        if let (Mode::Ready, Some(xid)) = (&self.mode, session.xid) {
            world.log_commit(self.pid);
            world.flush();
            world.show(self.pid, xid);
        }
        world.end(self.pid);
    }

    async fn take(&mut self, message: Message) -> Done<()> {
        match message {
            Message::Sync => {
                match &self.mode {
                    // Ignored in the middle of a COPY.
                    Mode::Takes(..) => {}
                    Mode::Ready | Mode::Skips => {
                        self.end_implicit();
                        self.mode = Mode::Ready;
                        self.reply.ready(self.status());
                    }
                }
                Ok(())
            }
            _ if matches!(self.mode, Mode::Skips) => Ok(()),
            Message::Query(sql) => self.query(&sql).await,
            Message::Parse { name, sql } => {
                self.statements.insert(name, sql);
                self.reply.parsed();
                Ok(())
            }
            Message::Describe { statement } => {
                let sql = self.statements.get(&statement).map_or("", String::as_str);
                self.reply.described(usize::from(!sql.starts_with("COPY")));
                Ok(())
            }
            Message::Bind { statement } => {
                self.bound = self.statements.get(&statement).cloned().unwrap_or_default();
                if self.failed {
                    return fails("25P02", "current transaction is aborted");
                }
                self.reply.bound();
                Ok(())
            }
            Message::Execute => self.execute().await,
            Message::Close { statement } => {
                self.statements.remove(&statement);
                self.reply.closed();
                Ok(())
            }
            Message::CopyData(bytes) => self.rows(&bytes),
            Message::CopyDone => self.rows_end(),
            Message::CopyFail => match std::mem::replace(&mut self.mode, Mode::Ready) {
                Mode::Takes(..) => fails("57014", "COPY from stdin failed"),
                _ => Ok(()),
            },
            Message::Startup(_) | Message::Cancel(_) | Message::Terminate => Ok(()),
        }
    }

    /// Is at work for so long, unless the session ends or the statement is cancelled.
    async fn works(&mut self, time: Duration, activity: Activity) -> Done<()> {
        if time.is_zero() {
            return Ok(());
        }
        self.is_at(activity);
        let (ends, cancelled, until) = {
            let mut world = lock(&self.world);
            let until = deadline(&world, self.pid, "statement_timeout");
            let Some(own) = world.sessions.get_mut(&self.pid) else {
                return Err(End::Crashed.into());
            };
            own.cancelled = tokio_util::sync::CancellationToken::new();
            (own.ends.clone(), own.cancelled.clone(), until)
        };
        let times_out = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = ends.cancelled() => Err(self.fate().into()),
            () = cancelled.cancelled() => fails("57014", "canceling statement due to user request"),
            () = times_out => fails("57014", "canceling statement due to statement timeout"),
            () = sleep(time) => Ok(()),
        }
    }

    /// What befalls any statement.
    async fn befalls(&mut self) -> Done<()> {
        let (time, fails_with) = {
            let mut world = lock(&self.world);
            let (slow, slow_ms) = (world.traits.slow, world.traits.slow_ms);
            let time = if world.trouble(slow) { world.dice.time(slow_ms) } else { Duration::ZERO };
            let one_in = world.traits.statements_fail;
            let for_good = world.traits.fails_for_good;
            let fails_with = world.trouble(one_in).then(|| {
                world.counts.statements_failed += 1;
                if for_good {
                    "42501"
                } else {
                    world.dice.pick(&["57014", "53200", "58030", "40001"])
                }
            });
            (time, fails_with)
        };
        self.works(time, Activity::AtWork).await?;
        match fails_with {
            Some(code) => fails(code, "as it was drawn"),
            None => Ok(()),
        }
    }

    async fn query(&mut self, sql: &str) -> Done<()> {
        let outcome = self.statements_of(sql).await;
        match outcome {
            Err(Stop::Fails(code, why)) => {
                self.failed = self.in_transaction();
                self.reply.error("ERROR", code, &why);
                let pid = self.pid;
                lock(&self.world).note(|| format!("session {pid}: {code} {why}"));
            }
            outcome => outcome?,
        }
        self.reply.ready(self.status());
        Ok(())
    }

    async fn statements_of(&mut self, sql: &str) -> Done<()> {
        for statement in sql.split("; ") {
            self.statement(statement).await?;
        }
        Ok(())
    }

    async fn statement(&mut self, sql: &str) -> Done<()> {
        let pid = self.pid;
        match sql {
            "ROLLBACK" => {
                lock(&self.world).end(pid);
                self.failed = false;
                self.reply.done("ROLLBACK");
                return Ok(());
            }
            "COMMIT" if self.failed => {
                lock(&self.world).end(pid);
                self.failed = false;
                self.reply.done("ROLLBACK");
                return Ok(());
            }
            "COMMIT" => return self.commit().await,
            _ if self.failed => return fails("25P02", "current transaction is aborted"),
            _ => self.befalls().await?,
        }
        if sql.starts_with("BEGIN") {
            lock(&self.world).begin(pid, sql.contains("REPEATABLE READ"));
            self.reply.done("BEGIN");
            return Ok(());
        }
        let leads = ["SET ", "SAVEPOINT", "RELEASE", "ROLLBACK TO"];
        if leads.iter().any(|lead| sql.starts_with(lead)) {
            self.flushes |= sql.contains("synchronous_commit");
            self.reply.done("SET");
            return Ok(());
        }
        loop {
            let answer = sql::run(&mut lock(&self.world), pid, sql);
            match answer {
                Answer::Waits => self.works(POLL, Activity::Waits).await?,
                Answer::Fails(code, why) => return Err(Stop::Fails(code, why)),
                Answer::Done(tag) => {
                    self.reply.done(tag);
                    return Ok(());
                }
                Answer::Rows(rows) => {
                    self.reply.row_description(rows.first().map_or(1, Vec::len));
                    rows.iter().for_each(|row| self.reply.row(row));
                    self.reply.done(&format!("SELECT {}", rows.len()));
                    return Ok(());
                }
            }
        }
    }

    async fn commit(&mut self) -> Done<()> {
        let pid = self.pid;
        let has_changed = {
            let world = lock(&self.world);
            world.sessions.get(&pid).is_some_and(|session| session.xid.is_some())
        };
        // What befalls it: nothing mostly; an error, without or with the commit; an end, before or after.
        let befalls = {
            let mut world = lock(&self.world);
            let one_in = world.traits.batches_fail;
            if has_changed && world.trouble(one_in) {
                world.counts.statements_failed += 1;
                world.dice.between(1, 6)
            } else {
                0
            }
        };
        match befalls {
            1 | 2 => {
                lock(&self.world).end(pid);
                let code = if befalls == 1 { "40001" } else { "40003" };
                return fails(code, "as it was drawn");
            }
            3 => return Err(End::Told("57P01", "terminating connection").into()),
            _ => {}
        }
        if has_changed {
            let (flush, durable, xid) = {
                let mut world = lock(&self.world);
                let xid = world.log_commit(pid);
                let flush_ms = world.traits.flush_ms;
                let slow_ms = world.traits.slow_ms;
                let slow = befalls == 6 || world.trouble(200);
                let flush = if slow { world.dice.time(slow_ms) } else { world.dice.time(flush_ms) };
                (flush, world.traits.durable || std::mem::take(&mut self.flushes), xid)
            };
            if durable && !flush.is_zero() {
                // Nothing but a crash keeps it from that.
                sleep(flush).await;
                let frozen = lock(&self.world).frozen_until;
                sleep_until(frozen).await;
            }
            let mut world = lock(&self.world);
            let Some(xid) = xid.filter(|_| world.sessions.contains_key(&pid)) else {
                return Err(End::Crashed.into());
            };
            if durable || world.dice.one_in(3) {
                world.flush();
            }
            world.show(pid, xid);
            let is_lost = self.line.is_lost() || [4, 5].contains(&befalls);
            if world.traits.bug == Some(Bug::AppliesTwice) && is_lost {
                world.apply_again(xid);
            }
        } else {
            lock(&self.world).end(pid);
        }
        match befalls {
            4 => fails("40003", "as it was drawn"),
            5 => Err(End::Told("57P01", "terminating connection").into()),
            _ => {
                self.reply.done("COMMIT");
                Ok(())
            }
        }
    }

    async fn execute(&mut self) -> Done<()> {
        let sql = std::mem::take(&mut self.bound);
        if let Some(query) = sql.strip_prefix("COPY (") {
            self.befalls().await?;
            let (pieces, rows) = sql::copy_out(&lock(&self.world), self.pid, query);
            self.reply.copy(b'H');
            pieces.iter().for_each(|piece| self.reply.copy_data(piece));
            self.reply.copy_done();
            self.reply.done(&format!("COPY {rows}"));
            return Ok(());
        }
        self.befalls().await?;
        if !sql.starts_with("COPY") {
            let xid = lock(&self.world).xid(self.pid);
            self.reply.row(&[Some(xid.to_string())]);
            self.reply.done("SELECT 1");
            return Ok(());
        }
        let locked = lock(&self.world).locked_until;
        self.works(locked.saturating_duration_since(Instant::now()), Activity::Waits).await?;
        self.batch_fails(&["55P03", "57014", "53100"])?;
        let until = deadline(&lock(&self.world), self.pid, "statement_timeout");
        self.reply.copy(b'G');
        self.mode = Mode::Takes(Vec::new(), until);
        Ok(())
    }

    /// Fails a batch with one of these, now and then.
    fn batch_fails(&self, codes: &[&'static str]) -> Done<()> {
        let mut world = lock(&self.world);
        let one_in = world.traits.batches_fail;
        if !world.trouble(one_in * 2) {
            return Ok(());
        }
        world.counts.statements_failed += 1;
        let code = world.dice.pick(codes);
        fails(code, "as it was drawn")
    }

    fn rows(&mut self, bytes: &Bytes) -> Done<()> {
        let Mode::Takes(taken, until) = &mut self.mode else { return Ok(()) };
        taken.extend_from_slice(bytes);
        match until {
            Some(until) if *until < Instant::now() => {
                fails("57014", "canceling statement due to statement timeout")
            }
            _ => Ok(()),
        }
    }

    fn rows_end(&mut self) -> Done<()> {
        let Mode::Takes(taken, _) = std::mem::replace(&mut self.mode, Mode::Ready) else {
            return Ok(());
        };
        self.batch_fails(&["57014", "53100", "40001", "23505"][..3])?;
        let mut rows = Vec::new();
        let mut tuples = Tuples::default();
        tuples.feed(&taken, &mut |tuple: &[u8]| {
            let mut values = fields(tuple).flatten();
            let id = values.next().and_then(|id| id.try_into().ok()).map_or(0, i64::from_be_bytes);
            let part =
                values.next().and_then(|at| at.try_into().ok()).map_or(0, u32::from_be_bytes);
            rows.push((part, id, tuple.to_vec()));
        });
        if !taken.ends_with(&[0xff, 0xff]) {
            return fails("22P04", "unexpected EOF in COPY data");
        }
        self.reply.done(&format!("COPY {}", rows.len()));
        lock(&self.world).insert(self.pid, rows);
        Ok(())
    }
}
