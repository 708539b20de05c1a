//! Measurements: histograms, tallies and their intervals. Knows no database, file or port.
//!
//! Each task writes into a [`Recorder`] of its own; the engine drains them all each tick by
//! swapping, so a lock is held for a few instructions and never across an await.

mod account;
mod blame;
mod by_plan;
mod executions;
pub mod gpu;
mod interval;
mod pairs;
mod percentile;
mod row_set;
mod times;

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use account::{Account, LaneAudit, Outage, Range, Ranges, RowFate};
pub use blame::{Attribution, Blame, BlameSums, Service, UsualService};
pub use by_plan::{ByPlan, PlanTally, Ran, RanBy};
pub use executions::{Execution, Executions, stays};
pub use pairs::{NotedPair, PairTally, Tried};
pub use percentile::{BEYOND_MIN, Percentile, TooFew};
pub use row_set::RowSet;
pub use times::{Intervals, PackedTimes, Percentiles, Times};

/// A batch sent more than this after its due time counts as late. It is the resolution that a
/// timer of the operating system can be trusted with on a busy machine.
pub const LATE_AFTER: Duration = Duration::from_millis(1);

/// Outages that are kept one by one; their lengths are in a histogram, however many there are.
const OUTAGES_KEPT: usize = 200;

/// The three clocks of one piece of work, and the loader's own part in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From due to sent.
    pub wait: Duration,
    /// From sent to answered.
    pub service: Duration,
    /// From due to answered: what a user feels. Always `wait + service`.
    pub response: Duration,
    /// Why it was late when it was sent.
    pub late: Blame,
    /// The part of the response that the loader or its machine caused.
    pub own_delay: Duration,
}

impl Latency {
    /// Work due at `due`, sent at `sent` and late for these reasons, answered at `answered`;
    /// meanwhile the loader stood still, or was at work itself, for `own`.
    pub fn measure(
        due: Instant,
        sent: Instant,
        answered: Instant,
        late: Blame,
        own: Duration,
    ) -> Self {
        let service = answered.saturating_duration_since(sent);
        Self {
            wait: sent.saturating_duration_since(due),
            service,
            response: answered.saturating_duration_since(due.min(sent)),
            own_delay: late.own + own.min(service),
            late,
        }
    }
}

/// A batch that was sent, and whose fate was not found out while the load went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Its transaction.
    pub xid: u64,
    /// Its first row.
    pub first_row: u64,
    /// How many it has.
    pub rows: u64,
    /// Whether it was due in the measurement.
    pub measured: bool,
}

/// What one producer did since the last drain.
#[derive(Debug, Default)]
pub struct StreamTally {
    /// Rows whose batch went out.
    pub rows_sent: u64,
    /// Rows whose batch the server has committed.
    pub rows_acknowledged: u64,
    /// The same, of rows due after the warm-up.
    pub rows_acknowledged_measured: u64,
    /// Rows whose batch was committed after the warm-up, whenever they were due.
    pub rows_acknowledged_since: u64,
    /// Rows sent that were due after the warm-up.
    pub rows_sent_measured: u64,
    /// When a batch was last sent for the first time.
    pub sent_at: Option<Instant>,
    /// When the server last committed a batch.
    pub acknowledged_at: Option<Instant>,
    /// Batches committed.
    pub batches: u64,
    /// Batches sent more than [`LATE_AFTER`] after their due time.
    pub batches_late: u64,
    /// Bytes of COPY data sent.
    pub bytes: u64,
    /// Time spent generating and encoding.
    pub encode: Duration,
    /// Times of the measured batches.
    pub batch: WorkTimes,
    /// Each measured row, from its own due time to its acknowledgement.
    pub row: Times,
    /// The part of the response of the measured batches that the loader or its machine caused.
    pub own_delay: Times,
    /// The response without that.
    pub without_own: Times,
    /// Why the measured batches were late, and rows that were due in the measurement and given up:
    /// these count as so many batches as they would have filled.
    pub blame: BlameSums,
    /// Batches sent again after a fault.
    pub batches_resent: u64,
    /// Batches committed of which no synchronous standby was heard to have them, though one was to be
    /// waited for.
    pub batches_sync_unconfirmed: u64,
    /// What became of each row.
    pub account: Account,
    /// Undecided batches that can be asked about once more.
    pub doubts: Vec<Doubt>,
    /// Outages that are over, recovered from or not.
    pub outages: Vec<Outage>,
    /// Lengths of those that were recovered from.
    pub outage: Times,
    /// Outages that ended the producer.
    pub outages_unrecovered: u64,
    /// Batches that failed, by the SQLSTATE of the first failure.
    pub errors: BTreeMap<String, u64>,
    /// What failed after that until the next success: attempts to connect, to ask about a batch, to
    /// send it again; by SQLSTATE.
    pub attempts_failed: BTreeMap<String, u64>,
}

/// What the executions of one query in one arm came to since the last drain.
#[derive(Debug, Default)]
pub struct QueryTally {
    /// Executions answered.
    pub executions: u64,
    /// The same, of those due after the warm-up.
    pub executions_measured: u64,
    /// Rows received.
    pub rows: u64,
    /// Executions cut off because the run ended.
    pub interrupted: u64,
    /// Executions cut at what was left of the query's share of the run.
    pub cut: u64,
    /// Times that a reader had to connect anew.
    pub reconnects: u64,
    /// Rows that the GPU handed back to the CPU, by the server's messages.
    pub fallback_rows: u64,
    /// What the last plan proved about the GPU, in a word; `None`: no new plan was taken.
    pub evidence: Option<&'static str>,
    /// The measured executions by plan.
    pub by_plan: ByPlan,
    /// Times that the plan was found changed.
    pub plan_changes: u64,
    /// Times of the measured executions.
    pub times: WorkTimes,
    /// Of a transaction: those of its BEGIN, of each statement, and of its COMMIT.
    pub statements: Vec<Times>,
    /// How long ago the oldest row was due that is not in the answer, when that arrived; of the measured
    /// executions.
    pub answer_age: Times,
    /// How long before the query the first batch was acknowledged that it did not see.
    pub freshness: Times,
    /// How long ago the newest event in the answer was due.
    pub newest_age: Times,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// The executions one by one, answered or failed.
    pub one_by_one: Executions,
}

/// What became of one reader's queries that were due, whichever they were.
#[derive(Debug, Default, Clone)]
pub struct ReaderTally {
    /// Queries that were asked.
    pub asked: u64,
    /// Queries that were due and never asked: too far overdue, or still waiting at the end.
    pub dropped: u64,
    /// The ages of those that were due in the measurement: their response would have been longer.
    pub dropped_age: Times,
    /// Why queries were late, those included that were dropped.
    pub blame: BlameSums,
    /// How long the readers paused behind errors.
    pub paused: Duration,
}

/// Histograms of the three clocks.
#[derive(Debug, Default, Clone)]
pub struct WorkTimes {
    /// From due to sent.
    pub wait: Times,
    /// From sent to answered.
    pub service: Times,
    /// From due to answered.
    pub response: Times,
}

impl WorkTimes {
    fn with_room() -> Self {
        let [wait, service, response] = std::array::from_fn(|_| Times::with_room());
        Self { wait, service, response }
    }

    /// Adds one piece of work.
    pub fn record(&mut self, latency: &Latency) {
        self.wait.record(latency.wait);
        self.service.record(latency.service);
        self.response.record(latency.response);
    }

    fn merge(&mut self, other: &Self) {
        self.wait.merge(&other.wait);
        self.service.merge(&other.service);
        self.response.merge(&other.response);
    }
}

/// A tally that can be added to another.
pub trait Tally: Default {
    /// Adds `other` to it.
    fn merge(&mut self, other: &Self);
}

impl StreamTally {
    /// An empty one to which those of a whole run are added: its histograms have their room.
    pub fn with_room() -> Self {
        let [row, own_delay, without_own, outage] = std::array::from_fn(|_| Times::with_room());
        let batch = WorkTimes::with_room();
        Self { batch, row, own_delay, without_own, outage, ..Self::default() }
    }

    /// Notes what became of a batch that was in doubt: whether it is in the table. One that is not will
    /// not be sent again.
    pub fn decided(&mut self, doubt: &Doubt, is_there: bool) {
        let Doubt { first_row, rows, measured, .. } = *doubt;
        let rows = self.account.undecided.take(first_row, first_row + rows.saturating_sub(1));
        if is_there {
            self.batches += u64::from(!rows.is_empty());
            self.rows_acknowledged += rows.rows();
            self.rows_acknowledged_measured += if measured { rows.rows() } else { 0 };
            self.account.acknowledged.append(&rows);
        } else {
            self.account.dropped.append(&rows);
        }
    }

    /// Adds measured batches that were given up, with ages from the youngest to the oldest, each with the
    /// loader's own part in it: their response would have been longer than that.
    pub fn given_up(&mut self, youngest: Age, oldest: Age, batches: u64) {
        let whole = oldest.whole.max(youngest.whole);
        self.batch.response.record_evenly_at_least(youngest.whole, whole, batches);
        let without = [youngest, oldest].map(|age| age.whole.saturating_sub(age.own));
        let (least, most) = (without[0].min(without[1]), without[0].max(without[1]));
        self.without_own.record_evenly_at_least(least, most, batches);
        self.own_delay.record_evenly(youngest.own, oldest.own.max(youngest.own), batches);
    }
}

/// How long work was due that is given up, and the loader's own part in that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Age {
    /// All of it.
    pub whole: Duration,
    /// The part that the loader or its machine caused.
    pub own: Duration,
}

impl QueryTally {
    /// Notes by which plan a measured execution ran that was sent at `start`.
    pub fn ran(
        &mut self,
        ran: Option<&Ran>,
        start: Duration,
        service: Duration,
        fallback_rows: u64,
    ) {
        self.by_plan.note(ran, start, service, fallback_rows);
        // That a plan is the GPU's is for a look to say, which may have run it and seen what fell
        // back.
        self.evidence = match ran.map(|ran| ran.by.verdict) {
            Some("gpu") if fallback_rows > 0 => Some("mixed"),
            Some("gpu") | None => self.evidence,
            lower => lower,
        };
    }

    /// Notes how long the parts of a measured transaction took.
    pub fn statements(&mut self, took: &[Duration]) {
        let more = took.len().saturating_sub(self.statements.len());
        self.statements.extend((0..more).map(|_| Times::default()));
        self.statements.iter_mut().zip(took).for_each(|(times, took)| times.record(*took));
    }

    /// Adds an execution that failed, with its SQLSTATE.
    pub fn failed(&mut self, mut execution: Execution, sqlstate: &str) {
        *self.errors.entry(sqlstate.to_owned()).or_default() += 1;
        execution.error = Some(sqlstate.to_owned());
        self.one_by_one.push(execution);
    }
}

impl Tally for StreamTally {
    fn merge(&mut self, other: &Self) {
        self.rows_sent += other.rows_sent;
        self.rows_acknowledged += other.rows_acknowledged;
        self.rows_acknowledged_measured += other.rows_acknowledged_measured;
        self.rows_acknowledged_since += other.rows_acknowledged_since;
        self.rows_sent_measured += other.rows_sent_measured;
        self.sent_at = self.sent_at.max(other.sent_at);
        self.acknowledged_at = self.acknowledged_at.max(other.acknowledged_at);
        self.batches += other.batches;
        self.batches_late += other.batches_late;
        self.bytes += other.bytes;
        self.encode += other.encode;
        self.batch.merge(&other.batch);
        self.row.merge(&other.row);
        self.own_delay.merge(&other.own_delay);
        self.without_own.merge(&other.without_own);
        self.blame.merge(&other.blame);
        self.batches_resent += other.batches_resent;
        self.batches_sync_unconfirmed += other.batches_sync_unconfirmed;
        self.account.append(&other.account);
        self.doubts.extend(&other.doubts);
        self.outages.extend(other.outages.iter().cloned());
        self.outages.truncate(OUTAGES_KEPT);
        self.outage.merge(&other.outage);
        self.outages_unrecovered += other.outages_unrecovered;
        add_counts(&mut self.errors, &other.errors);
        add_counts(&mut self.attempts_failed, &other.attempts_failed);
    }
}

impl Tally for ReaderTally {
    fn merge(&mut self, other: &Self) {
        let Self { asked, dropped, dropped_age, blame, paused } = other;
        self.asked += asked;
        self.dropped += dropped;
        self.dropped_age.merge(dropped_age);
        self.blame.merge(blame);
        self.paused += *paused;
    }
}

impl Tally for QueryTally {
    fn merge(&mut self, other: &Self) {
        self.executions += other.executions;
        self.executions_measured += other.executions_measured;
        self.rows += other.rows;
        self.interrupted += other.interrupted;
        self.cut += other.cut;
        self.reconnects += other.reconnects;
        self.fallback_rows += other.fallback_rows;
        self.evidence = other.evidence.or(self.evidence);
        self.by_plan.merge(&other.by_plan);
        self.plan_changes += other.plan_changes;
        self.times.merge(&other.times);
        let more = other.statements.len().saturating_sub(self.statements.len());
        self.statements.extend((0..more).map(|_| Times::default()));
        self.statements.iter_mut().zip(&other.statements).for_each(|(own, other)| own.merge(other));
        self.answer_age.merge(&other.answer_age);
        self.freshness.merge(&other.freshness);
        self.newest_age.merge(&other.newest_age);
        add_counts(&mut self.errors, &other.errors);
        self.one_by_one.merge(&other.one_by_one);
    }
}

fn add_counts(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (code, count) in from {
        *into.entry(code.clone()).or_default() += count;
    }
}

/// A tally shared between the task that writes it and the engine that drains it.
#[derive(Debug, Default)]
pub struct Recorder<T>(Arc<Mutex<T>>);

impl<T> Clone for Recorder<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Recorder<T> {
    /// Writes to the tally. `note` must be short and cannot await.
    pub fn note(&self, note: impl FnOnce(&mut T)) {
        // A tally is a set of counters, right after any write: a panic elsewhere cannot spoil it.
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes what was tallied and leaves an empty tally.
    pub fn drain(&self) -> T {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where in its life a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Load without measurement.
    Warmup,
    /// The measurement.
    Measure,
    /// The schedule has ended; overdue work is finished.
    Drain,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 3] = [Self::Warmup, Self::Measure, Self::Drain];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Measure => "measure",
            Self::Drain => "drain",
        }
    }
}

/// Everything that happened between two ticks.
#[derive(Debug)]
pub struct Interval {
    /// When it began, since the start of the schedule.
    pub start: Duration,
    /// How long it was.
    pub length: Duration,
    /// The phase at its end.
    pub phase: Phase,
    /// Rows per second that were asked for over all partitions; `None` where none are: unthrottled,
    /// after the end of the schedule, and in what is no stream.
    pub target_rows_per_s: Option<f64>,
    /// One for each lane: each producer.
    pub lanes: Vec<LaneInterval>,
    /// One for each query and arm.
    pub queries: Vec<QueryTally>,
    /// One for each query.
    pub pairs: Vec<PairTally>,
    /// What became of the queries that were due.
    pub queries_due: ReaderTally,
    /// One for each GPU that is watched.
    pub gpus: Vec<gpu::GpuTally>,
}

/// One lane's part of an interval.
#[derive(Debug)]
pub struct LaneInterval {
    /// Rows that fell due; for an unthrottled stream, rows sent.
    pub rows_due: u64,
    /// Rows due so far and not yet acknowledged, at the interval's end.
    pub backlog_rows: u64,
    /// What the producer did.
    pub tally: StreamTally,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_that_is_decided_moves_its_rows_once() {
        let doubt = |first_row, measured| Doubt { xid: 7, first_row, rows: 100, measured };
        let mut tally = StreamTally::default();
        tally.account.acknowledged.push(0, 100);
        tally.account.undecided.push(100, 300);
        let total = |tally: &StreamTally| tally.account.fates().map(|(_, ranges)| ranges.rows());
        tally.decided(&doubt(100, false), true);
        tally.decided(&doubt(200, true), true);
        tally.decided(&doubt(300, true), false);
        assert_eq!(total(&tally), [300, 100, 0]);
        // Nothing is left of it that could be counted again.
        tally.decided(&doubt(200, true), true);
        assert_eq!((total(&tally), tally.rows_acknowledged), ([300, 100, 0], 200));
        assert_eq!(tally.rows_acknowledged_measured, 100);
        assert!(tally.account.contradictions().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_behind_the_server_is_not_ours() {
        let due = Instant::now();
        let ms = |ms| due + Duration::from_millis(ms);
        let late = Attribution::default().wait(due, ms(30), due, ms(32));
        let own = Duration::from_millis(3);
        let latency = Latency::measure(due, ms(32), ms(40), late, own);
        assert_eq!(latency.wait, Duration::from_millis(32));
        assert_eq!(latency.service, Duration::from_millis(8));
        assert_eq!(latency.response, Duration::from_millis(40));
        assert_eq!(latency.late.server, Duration::from_millis(30));
        assert_eq!(latency.own_delay, Duration::from_millis(5));
    }

    #[test]
    fn an_execution_alone_makes_no_verdict_gpu() {
        let ran = |verdict| {
            let (words, shape) = (String::new(), String::new());
            Ran { by: Arc::new(RanBy { hash: 1, verdict, words, shape }), logged: true }
        };
        let mut tally = QueryTally { evidence: Some("mixed"), ..QueryTally::default() };
        let mut after = |verdict, fallback_rows| {
            tally.ran(Some(&ran(verdict)), Duration::ZERO, Duration::ZERO, fallback_rows);
            tally.evidence
        };
        assert_eq!(after("gpu", 0), Some("mixed"));
        assert_eq!(after("cpu", 0), Some("cpu"));
        assert_eq!(after("gpu", 12), Some("mixed"));
    }

    #[test]
    fn draining_takes_everything_once() {
        let recorder = Recorder::<StreamTally>::default();
        recorder.clone().note(|tally| tally.rows_sent += 7);
        assert_eq!(recorder.drain().rows_sent, 7);
        assert_eq!(recorder.drain().rows_sent, 0);
    }
}
