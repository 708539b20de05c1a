//! The reader: takes slots from its pacer, runs a query in an arm, drains the answer, notes how
//! it went. Sees no sinks.

pub mod answer;
pub mod examine;
mod failures;
pub mod timeouts;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Backoff, Pacer, Slot, Stop};
use crate::pg;
use crate::pg::fault::{Remedy, remedy};
use crate::pg::reservation::Reservation;
use crate::plan::{AnswerCompare, OnFault, Query, Recovery};
use crate::record::{Execution, Latency, PairTally, QueryTally, ReaderTally, Recorder};
use crate::strom::{self, Arm, Gpu, StromError};
pub use failures::Failures;
use timeouts::Timeouts;
use turns::{Completed, Turn, Turns};

/// Pause after a failed query, so that a broken one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How long one attempt to connect anew may take, beyond the limits of its parts.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// Beyond the statement timeout, until a dead network is given up.
const NETWORK_GRACE: Duration = Duration::from_secs(10);

/// One reader.
pub struct Reader {
    /// When its queries are due.
    pub pacer: Pacer,
    /// Its session, with the statement timeout set; `None` while the connection is lost.
    pub session: Option<pg::Session>,
    /// How it connects anew.
    pub connection: Connection,
    /// What is done about timeouts on the GPU.
    pub timeouts: Arc<Timeouts>,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// What it chooses from.
    pub trials: Arc<[Trial]>,
    /// Where it notes what it did: by query, then by arm.
    pub recorders: Vec<Vec<Recorder<QueryTally>>>,
    /// Where it notes pairs, by query.
    pub pairs: Vec<Recorder<PairTally>>,
    /// Where it notes what became of the queries that were due.
    pub due: Recorder<ReaderTally>,
    /// Most queries that may be overdue; older ones are dropped.
    pub backlog: u64,
    /// What the log says of queries that fail.
    pub failures: Arc<Failures>,
    /// Its number.
    pub number: u32,
    /// Start of the schedule.
    pub start: Instant,
    /// Rows that the stream has been acknowledged so far, in all partitions.
    pub rows: Arc<AtomicU64>,
    /// Decides which query comes next.
    pub seed: u64,
    /// Ends the schedule.
    pub stop: Arc<Stop>,
    /// Ends everything, mid-query.
    pub abort: CancellationToken,
}

/// A query and the arms that it is run in: one, or two that are compared.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The query, with the table's name filled in.
    pub query: Query,
    /// Its arms.
    pub arms: Vec<Arm>,
}

impl Trial {
    /// Whether its answers are to be compared: there are two, and the profile lets it.
    pub fn is_compared(&self) -> bool {
        self.arms.len() == 2 && self.query.answers.compare != AnswerCompare::Off
    }
}

/// How a reader connects.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The server.
    pub address: pg::Address,
    /// Its name in pg_stat_activity.
    pub application_name: String,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// Whether its queries may write.
    pub writes: bool,
    /// The tables of the run: while it is connected no other run drops them.
    pub reservations: Vec<Reservation>,
}

impl Connection {
    /// The server ends a statement at its timeout; a dead network must not outlast that by much.
    pub fn statement_limit(&self) -> Duration {
        self.statement_timeout + NETWORK_GRACE
    }

    /// Connects, with the statement timeout set, and read-only unless the queries may write.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open(&self) -> Result<pg::Session, pg::Error> {
        let mut session = pg::Session::as_configured(&self.address, &self.application_name).await?;
        session.read_for_a_profile(self.statement_timeout, self.writes).await?;
        self.hold(&mut session).await?;
        Ok(session)
    }

    /// Has a session hold the tables of the run. If another run is entering one of them, every
    /// session of this one was lost before; those that write find out.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn hold(&self, session: &mut pg::Session) -> Result<(), pg::Error> {
        for reservation in &self.reservations {
            reservation.join(session).await?;
        }
        Ok(())
    }
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

/// How a query ended.
enum Asked {
    /// After this service time.
    Answered(Duration),
    /// The run was aborted in the middle.
    Aborted,
}

impl Reader {
    /// Reads until the schedule ends, the connection does, or the run is aborted.
    ///
    /// # Errors
    /// What ended it early. A query that the server refuses does not: it is counted.
    pub async fn run(mut self) -> Result<(), ReadError> {
        let mut turns = Turns::new(&self.trials, Xoshiro256PlusPlus::seed_from_u64(self.seed));
        let mut free = Instant::now();
        let mut entered = None;
        loop {
            self.shed();
            let Some(slot) = self.pacer.next(&self.stop).await? else { break };
            // Overdue queries are not caught up on after the end: unlike a row, a query that
            // nobody waits for any more is no use.
            if self.abort.is_cancelled() || (self.stop.is_over() && slot.due < free) {
                self.due.note(|tally| tally.dropped += 1);
                break;
            }
            self.due.note(|tally| tally.asked += 1);
            let turn = turns.next();
            let (began, rows) = (Instant::now(), self.rows.load(Ordering::Relaxed));
            let (time, answered) = match self.ask(&slot, turn, free, &mut entered).await {
                Ok(Asked::Answered(service)) => (slot.measured.then_some(service), true),
                Ok(Asked::Aborted) => break,
                Err(ReadError::Server(error)) => {
                    let recorder = self.recorders[turn.query][turn.arm].clone();
                    let failed = self.execution(turn, (began, rows), began.elapsed());
                    recorder.note(|tally| tally.failed(failed, error.code()));
                    let trial = &self.trials[turn.query];
                    self.failures.note(&trial.query.name, &trial.arms[turn.arm].name, &error);
                    entered = None;
                    if error.is_lost() {
                        turns.session_lost();
                    }
                    let arm = &self.trials[turn.query].arms[turn.arm];
                    let looking = self.timeouts.failed(&self.connection.address, arm, &error);
                    if unless_over(&self.stop, &self.abort, looking).await.is_none() {
                        break;
                    }
                    if !self.recover(error, &recorder).await? {
                        break;
                    }
                    (None, false)
                }
                Err(error) => return Err(error),
            };
            self.note_pair(turn.query, turns.end(turn, time, answered));
            free = Instant::now();
        }
        let left = self.pacer.left(&self.stop);
        self.due.note(|tally| tally.dropped += left);
        if let Some(session) = self.session {
            session.close().await;
        }
        Ok(())
    }

    /// Gives up what the backlog cannot hold.
    fn shed(&mut self) {
        if let Some((_, queries)) = self.pacer.shed(self.backlog, &self.stop) {
            self.due.note(|tally| tally.dropped += queries);
        }
    }

    fn note_pair(&self, query: usize, completed: Completed) {
        self.pairs[query].note(|tally| match completed {
            Completed::Nothing => {}
            Completed::Pair(pair) => tally.pairs.push(pair),
            Completed::Cold => tally.cold += 1,
            Completed::Broken => tally.broken += 1,
        });
    }

    /// Runs one query.
    async fn ask(
        &mut self,
        slot: &Slot,
        turn: Turn,
        free: Instant,
        entered: &mut Option<Turn>,
    ) -> Result<Asked, ReadError> {
        let recorder = &self.recorders[turn.query][turn.arm];
        let Some(session) = self.session.as_mut() else {
            return Err(pg::Error::disconnected().into());
        };
        let trial = &self.trials[turn.query];
        let arm = &trial.arms[turn.arm];
        // The server ends a query at its timeout; a dead network must not outlast that by much.
        let limit = self.connection.statement_timeout + self.recovery.reconnect_timeout;
        if !entered.is_some_and(|last| self.trials[last.query].arms[last.arm] == *arm) {
            *entered = None;
            let entering = tokio::select! {
                entering = tokio::time::timeout(limit, strom::enter(session, arm)) => entering,
                () = self.abort.cancelled() => return Ok(Asked::Aborted),
            };
            let late = |_| pg::Error::timed_out("enter an arm").into();
            entering.unwrap_or_else(|elapsed| Err(late(elapsed))).map_err(|error| match error {
                StromError::Server(error) => ReadError::Server(error),
                error => ReadError::Strom(error),
            })?;
            if arm.gpu == Gpu::On {
                // PG-Strom says so when it hands rows back to the CPU.
                session.keep_notices();
            }
        }
        *entered = Some(turn);
        let canceller = session.canceller();
        let Query { sql, newest_column, .. } = &trial.query;
        let (sent, rows) = (Instant::now(), self.rows.load(Ordering::Relaxed));
        let answer = tokio::select! {
            answer = tokio::time::timeout(limit, session.drain(sql, newest_column.as_deref())) => {
                answer.unwrap_or_else(|_| Err(pg::Error::timed_out("run the query")))?
            }
            () = self.abort.cancelled() => {
                canceller.cancel().await;
                recorder.note(|tally| tally.interrupted += 1);
                return Ok(Asked::Aborted);
            }
        };
        let latency = Latency::measure(slot.due, free.max(slot.held_until), sent, Instant::now());
        let age = answer
            .newest
            .map(|newest| SystemTime::now().duration_since(newest).unwrap_or_default());
        self.timeouts.answered(arm);
        let fallback_rows = strom::hint::fallback_rows(&session.take_notices());
        let execution = Execution {
            answer_age: age,
            measured: slot.measured,
            ..self.execution(turn, (sent, rows), latency.service)
        };
        recorder.note(|tally| {
            tally.executions += 1;
            tally.rows += answer.rows;
            tally.fallback_rows += fallback_rows;
            if slot.measured {
                tally.executions_measured += 1;
                tally.times.record(&latency);
                if let Some(age) = age {
                    tally.answer_age.record(age);
                }
            }
            tally.one_by_one.push(execution);
        });
        Ok(Asked::Answered(latency.service))
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

    /// After a failed query: pauses, and connects anew if the session is lost. `false`: the run is
    /// over. A query that the server refuses is no fault of the connection: the reader goes on.
    async fn recover(
        &mut self,
        mut error: pg::Error,
        recorder: &Recorder<QueryTally>,
    ) -> Result<bool, ReadError> {
        let began = Instant::now();
        let mut backoff = Backoff::default();
        let connection = self.connection.clone();
        loop {
            if !error.is_lost() {
                return Ok(self.pause(ERROR_PAUSE).await);
            }
            let hopeless = remedy(error.code(), true) == Remedy::Fatal;
            let outlasted = began.elapsed() > self.recovery.reconnect_timeout;
            if hopeless || outlasted || self.recovery.on_fault == OnFault::Stop {
                return Err(error.into());
            }
            self.session = None;
            if !self.pause(backoff.next_pause()).await {
                return Ok(false);
            }
            let opening = tokio::time::timeout(ATTEMPT_MAX, connection.open());
            error = match unless_over(&self.stop, &self.abort, opening).await {
                Some(Ok(Ok(session))) => {
                    self.session = Some(session);
                    recorder.note(|tally| tally.reconnects += 1);
                    return Ok(true);
                }
                Some(Ok(Err(failed))) => failed,
                Some(Err(_)) => pg::Error::timed_out("connect anew"),
                None => return Ok(false),
            };
            // An attempt to connect is no query: what it met is not counted as one's error.
            pg::note_recovery(&error);
            tracing::debug!("{error}");
        }
    }

    /// Waits; `false` if the run is over meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        unless_over(&self.stop, &self.abort, tokio::time::sleep(pause)).await.is_some()
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
