//! The reader: takes slots from its pacer, runs a query in an arm, drains the answer, notes how
//! it went. Sees no sinks.

mod armed;
mod armed_query;
mod asked;
mod chooser;
mod dealer;
pub(crate) mod examine;
mod failures;
mod numbering;
mod plans;
mod shares;
mod sight;
mod switchback;
mod timeouts;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Heartbeat, Pacer, Slot, Stop};
use crate::pg;
use crate::plan::{OnFault, Recovery};
use crate::record::{
    Attribution, Blame, Execution, Latency, QueryTally, ReaderTally, Recorder, Service,
};
use crate::strom::StromError;
pub(crate) use armed::{Answer, Armed, Connection, Ended};
pub(crate) use armed_query::ArmedQuery;
pub(crate) use asked::{Asked, NO_SAMPLE, TYPICAL, Work};
pub(crate) use chooser::{Chooser, TableRows};
pub(crate) use dealer::Dealer;
pub(crate) use failures::Failures;
pub(crate) use sight::Lookout;
pub(crate) use timeouts::Timeouts;
pub(crate) use turns::Repeats;
use turns::{Outcome, Turn};

/// Pause after a failed query, so that a broken one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// One reader.
pub(crate) struct Reader {
    /// When its queries are due.
    pub pacer: Pacer,
    /// Its session.
    pub armed: Armed,
    /// How long it pauses behind each answer.
    pub think_time: Duration,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// What it chooses from.
    pub armed_queries: Arc<[ArmedQuery]>,
    /// Where it notes what it did: by query, then by arm.
    pub recorders: Vec<Vec<Recorder<QueryTally>>>,
    /// Says what it asks, as it does to all readers.
    pub chooser: Arc<Chooser>,
    /// Where it notes what became of the queries that were due.
    pub due: Recorder<ReaderTally>,
    /// Most queries that may be overdue; older ones are dropped.
    pub backlog: u64,
    /// What the log says of queries that fail.
    pub failures: Arc<Failures>,
    /// Whether its thread ran when it should have.
    pub heartbeat: Arc<Heartbeat>,
    /// Why its queries are late.
    pub attribution: Attribution,
    /// Its number.
    pub number: u32,
    /// Start of the schedule.
    pub start: Instant,
    /// The same, in microseconds since the Unix epoch: rows carry their due times from there on.
    pub origin_us: i64,
    /// Rows that the stream has been acknowledged so far, in all partitions.
    pub rows: Arc<AtomicU64>,
    /// Ends the schedule.
    pub stop: Arc<Stop>,
    /// Ends everything, mid-query.
    pub abort: CancellationToken,
}

/// What can end a reader early.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection is gone.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The arm could not be entered.
    #[error(transparent)]
    Strom(#[from] StromError),
    /// The timer failed.
    #[error("failed to wait for a query's due time: {0}")]
    Timer(#[from] std::io::Error),
}

impl Reader {
    /// Reads until the schedule ends, the connection does, or the run is aborted.
    ///
    /// # Errors
    /// What ended it early. A query that the server refuses does not: it is counted.
    pub(crate) async fn run(mut self) -> Result<(), ReadError> {
        let mut free = Instant::now();
        loop {
            self.shed();
            if self.chooser.renews_session(self.number) {
                if !self.renew_session().await? {
                    break;
                }
                free = Instant::now();
            }
            let Some(slot) = self.pacer.next(&self.stop).await? else { break };
            // Overdue queries are not caught up on after the end: unlike a row, a query that
            // nobody waits for any more is no use.
            if self.abort.is_cancelled() || (self.stop.is_over() && slot.due < free) {
                self.due.note(|tally| {
                    tally.dropped += 1;
                    if slot.measured {
                        tally.dropped_age.record_at_least(slot.due.elapsed());
                    }
                });
                break;
            }
            let late = self.attribution.wait(slot.due, free, slot.held_until, Instant::now());
            self.due.note(|tally| {
                tally.asked += 1;
                tally.blame.add(&late, 1.0);
            });
            self.attribution.begins(slot.due, late, Instant::now());
            let turn = self.chooser.next(self.number);
            let (began, rows) = (Instant::now(), self.rows.load(Ordering::Relaxed));
            match self.ask(&slot, turn, late).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(ReadError::Server(error)) => {
                    let outcome = match self.timed_out(&error, began) {
                        true => Outcome::Cut(began.elapsed()),
                        false => Outcome::Failed,
                    };
                    self.chooser.end(self.number, outcome);
                    let recorder = self.recorders[turn.query][turn.arm].clone();
                    let failed = self.execution(turn, (began, rows), began.elapsed());
                    let unanswered = slot.measured && error.is_unanswered();
                    recorder.note(|tally| {
                        tally.failed(failed, error.code());
                        if unanswered {
                            tally.times.response.record_at_least(slot.due.elapsed());
                        }
                    });
                    let armed_query = &self.armed_queries[turn.query];
                    self.failures.note(
                        &armed_query.query.name,
                        &armed_query.arms[turn.arm].name,
                        &error,
                    );
                    if error.is_lost() {
                        self.chooser.session_lost(self.number);
                    }
                    let looking = self.armed.look_into(&armed_query.arms[turn.arm], &error);
                    if unless_over(&self.stop, &self.abort, looking).await.is_none() {
                        break;
                    }
                    if !self.recover(error, &recorder).await? {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
            free = Instant::now();
            let whole = free.saturating_duration_since(began);
            let service = Service { whole, own: self.heartbeat.paused(began, free) };
            self.attribution.served(service);
            if !self.think_time.is_zero() {
                let pause = tokio::time::sleep(self.think_time);
                if unless_over(&self.stop, &self.abort, pause).await.is_none() {
                    break;
                }
                free = Instant::now();
            }
        }
        let left = self.pacer.left(&self.stop);
        self.drop_queries(self.pacer.handed_out(), left);
        self.armed.disconnect().await;
        Ok(())
    }

    /// Goes on in a new session, as another repeat has begun; `false`: the run is over.
    async fn renew_session(&mut self) -> Result<bool, ReadError> {
        self.armed.disconnect().await;
        match self.armed.connect().await {
            Ok(()) => Ok(true),
            Err(error) => {
                let recorder = self.recorders[0][0].clone();
                self.recover(error, &recorder).await
            }
        }
    }

    /// Gives up what the backlog cannot hold.
    fn shed(&mut self) {
        if let Some((first, queries)) = self.pacer.shed(self.backlog, &self.stop) {
            self.drop_queries(first, queries);
        }
    }

    /// Notes queries that are never asked, and why they were not by now.
    fn drop_queries(&self, first: u64, queries: u64) {
        let due = self.pacer.due(first + queries / 2).filter(|_| queries > 0);
        let now = Instant::now();
        let paused = |from, to| self.heartbeat.paused(from, to);
        let late = due.map(|due| self.attribution.unsent(due, now, paused));
        let measured = self.pacer.measured(first, queries);
        let ages = measured.and_then(|(first, queries)| {
            let age = |query| self.pacer.due(query).map(|due| now.saturating_duration_since(due));
            Some((age(first + queries - 1)?, age(first)?, queries))
        });
        self.due.note(|tally| {
            tally.dropped += queries;
            if let Some((youngest, oldest, queries)) = ages {
                tally.dropped_age.record_evenly_at_least(youngest, oldest, queries);
            }
            if let Some(late) = &late {
                tally.blame.add(late, queries as f64);
            }
        });
    }

    /// Whether the server gave a statement up at its timeout.
    fn timed_out(&self, error: &pg::Error, sent: Instant) -> bool {
        error.code() == pg::QUERY_CANCELED && sent.elapsed() >= self.armed.statement_timeout()
    }

    /// Runs one query; `false`: the run was aborted in the middle.
    async fn ask(&mut self, slot: &Slot, turn: Turn, late: Blame) -> Result<bool, ReadError> {
        let recorder = &self.recorders[turn.query][turn.arm];
        let armed_query = &self.armed_queries[turn.query];
        let rows = self.rows.load(Ordering::Relaxed);
        let arm = &armed_query.arms[turn.arm];
        let work = armed_query.work(turn.number);
        let ran = self.armed.run(&work, arm, &self.abort, turn.limit).await;
        let ended = ran.map_err(|error| match error {
            StromError::Server(error) => ReadError::Server(error),
            error => ReadError::Strom(error),
        })?;
        let answer = match ended {
            Ended::Answered(answer) => answer,
            Ended::AtLimit(after) => {
                self.chooser.end(self.number, Outcome::Cut(after));
                tracing::info!(
                    "`{}` ({arm}) is cut after {:.1} s: a pair does not fit into its share of the run",
                    armed_query.query.name,
                    after.as_secs_f64()
                );
                recorder.note(|tally| {
                    tally.cut += 1;
                    if slot.measured {
                        tally.times.response.record_at_least(slot.due.elapsed());
                    }
                });
                return Ok(true);
            }
            Ended::CutOff => {
                recorder.note(|tally| {
                    tally.interrupted += 1;
                    if slot.measured {
                        tally.times.response.record_at_least(slot.due.elapsed());
                    }
                });
                return Ok(false);
            }
        };
        let (sent, answered) = (answer.sent, answer.sent + answer.service);
        let own = self.heartbeat.paused(sent, answered);
        let latency = Latency::measure(slot.due, sent, answered, late, own);
        let (service, measured) = (latency.service, slot.measured);
        let sample = self.chooser.end(self.number, Outcome::Answered { service, measured });
        let seen = answer.seen.filter(|_| armed_query.query.reads_table);
        let age = seen.map(|seen| seen.age(answered));
        let freshness = seen.map(|seen| seen.freshness());
        let newest_age = answer.newest.and_then(|newest| self.age_of(newest, answered));
        let execution = Execution {
            answer_age: age,
            freshness,
            measured,
            sample,
            plan: answer.ran.as_ref().map(|ran| ran.by.hash),
            ..self.execution(turn, (sent, rows), latency.service)
        };
        recorder.note(|tally| {
            tally.executions += 1;
            tally.rows += answer.rows;
            tally.fallback_rows += answer.fallback_rows;
            if slot.measured {
                tally.executions_measured += 1;
                tally.times.record(&latency);
                tally.statements(&answer.statements);
                let (ran, fell) = (answer.ran.as_ref(), answer.fallback_rows);
                tally.ran(ran, execution.start, latency.service, fell);
                for (times, duration) in [
                    (&mut tally.answer_age, age),
                    (&mut tally.freshness, freshness),
                    (&mut tally.newest_age, newest_age),
                ] {
                    duration.iter().for_each(|duration| times.record(*duration));
                }
            }
            tally.one_by_one.push(execution);
        });
        Ok(true)
    }

    /// How long before this moment a row was due that carries this due time. By the clock that never
    /// steps; `None` for a time to come, which no row of ours has.
    fn age_of(&self, due: SystemTime, at: Instant) -> Option<Duration> {
        let due_us = match due.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).ok()?,
            Err(before) => -i64::try_from(before.duration().as_micros()).ok()?,
        };
        let at_us = i64::try_from(at.saturating_duration_since(self.start).as_micros()).ok()?;
        let age_us = at_us.checked_add(self.origin_us)?.checked_sub(due_us)?;
        u64::try_from(age_us).ok().map(Duration::from_micros)
    }

    /// What is noted of an execution that was sent when the table had so many rows.
    fn execution(&self, turn: Turn, (sent, rows): (Instant, u64), service: Duration) -> Execution {
        Execution {
            start: sent.saturating_duration_since(self.start),
            service,
            reader: self.number,
            block: turn.block,
            rows: Some(rows),
            cold: turn.cold,
            ..Execution::default()
        }
    }

    /// After a failed query: pauses, or connects anew if the session is lost. `false`: the run is
    /// over. A query that the server refuses is no fault of the connection: the reader goes on.
    async fn recover(
        &mut self,
        error: pg::Error,
        recorder: &Recorder<QueryTally>,
    ) -> Result<bool, ReadError> {
        if error.is_conflict() {
            // It stands for no broken query, and without its pause the others meet as they would.
            return Ok(true);
        }
        if !error.is_lost() {
            self.due.note(|tally| tally.paused += ERROR_PAUSE);
            let pause = tokio::time::sleep(ERROR_PAUSE);
            return Ok(unless_over(&self.stop, &self.abort, pause).await.is_some());
        }
        if self.recovery.on_fault == OnFault::Stop {
            return Err(error.into());
        }
        let over = async {
            tokio::select! {
                () = self.stop.over() => {}
                () = self.abort.cancelled() => {}
            }
        };
        let patience = self.recovery.reconnect_timeout;
        let connected = self.armed.reconnect(error, patience, over).await?;
        if connected {
            recorder.note(|tally| tally.reconnects += 1);
        }
        Ok(connected)
    }
}

/// Does `work`; `None` if the run is over meanwhile.
async fn unless_over<T>(
    stop: &Stop,
    abort: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = stop.over() => None,
        () = abort.cancelled() => None,
    }
}
