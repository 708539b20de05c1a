//! The resolved plan: every value explicit, validated, defaulted. Never touches the network.
//!
//! `Plan::resolve` layers flags over the environment over the file over the defaults, and
//! reports every fault at once.

pub mod bench;
mod builtin;
mod caret;
mod column;
mod dataset;
mod fault;
mod overrides;
mod query;
mod recreate;
mod render;
mod resolve;
mod source;
mod sql;
pub mod sweep;
mod table_name;
#[cfg(test)]
mod tests;
mod threshold;
mod watch;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

pub use builtin::{BUILTINS, builtin};
pub use caret::Caret;
pub use dataset::{Index, Table};
pub use fault::{Fault, Faults, Origin, Place, nearest};
pub use overrides::{Given, Overrides};
pub use recreate::Recreate;
pub use render::{WriteKeys, render};
pub use source::ProfileSource;
pub use sql::bare_sql;
pub use table_name::{IDENTIFIER_BYTES_MAX, TableNameError, quote_identifier};
pub use threshold::{FIGURES, Figure};
pub use watch::Watch;

use crate::pace::{Rate, Schedule};
use crate::row::Column;

/// Everything a run does, explicit: what every job has, and the one job. A room that serves one
/// kind of job takes a plan of that kind, such as `Plan<StreamJob>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<J = Job> {
    /// What every job has.
    pub common: Common,
    /// What is done.
    pub job: J,
}

/// What every job has.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// The profile's name; names the results folder.
    pub name: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// What is watched beside the load.
    pub watch: Watch,
    /// Conditions that the result must meet, checked at the end.
    pub thresholds: Vec<Threshold>,
    /// Tables that are filled with generated rows.
    pub tables: Vec<Table>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Rows are streamed into a table, with readers beside.
    Stream(Box<StreamJob>),
    /// Queries on tables that stand still.
    Benchmark(Box<bench::Bench>),
    /// Settings of the server, compared by the queries of a benchmark.
    Sweep(Box<SweepJob>),
}

/// Rows that are streamed into a table, with readers beside.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamJob {
    /// Excluded from the measurement.
    pub warmup: Duration,
    /// Measured time after the warm-up; `None` is forever.
    pub duration: Option<Duration>,
    /// How long overdue batches may still be sent after the end.
    pub drain_timeout: Duration,
    /// The stream.
    pub stream: Stream,
    /// The readers.
    pub readers: Readers,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// How the rows are checked at the end.
    pub audit: Audit,
}

/// Settings of the server, compared by the queries of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepJob {
    /// The queries.
    pub bench: bench::Bench,
    /// The settings.
    pub sweep: sweep::Sweep,
}

impl Plan {
    /// The plan of a stream, if that is the job.
    pub fn into_stream(self) -> Option<Plan<StreamJob>> {
        let Self { common, job } = self;
        match job {
            Job::Stream(job) => Some(Plan { common, job: *job }),
            _ => None,
        }
    }
}

/// What is streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Target table.
    pub table: TableName,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Number of LIST partitions, each with one producer and one connection.
    pub partitions: NonZeroU32,
    /// Rows per second over all partitions.
    pub rate: StreamRate,
    /// Most rows in one transaction.
    pub batch_rows: NonZeroU32,
    /// Longest time the first row of a batch waits for the others.
    pub linger: Duration,
    /// Whether a table that is there is dropped first.
    pub recreate: Recreate,
}

impl Stream {
    /// When the rows of a partition are due; `None` if the stream is unthrottled. The run and its
    /// audit make the rows' due times from this alone.
    pub fn schedule(&self, partition: u32) -> Option<Schedule> {
        let StreamRate::RowsPerSecond(rate) = self.rate else { return None };
        let (lanes, batch_rows) = (self.partitions.into(), self.batch_rows.into());
        let rate = Rate::per_second(rate);
        Some(Schedule::new(rate, partition.into(), lanes, batch_rows, self.linger))
    }
}

/// Target rate of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRate {
    /// Open schedule: rows per second in total.
    RowsPerSecond(NonZeroU64),
    /// Unthrottled: each producer sends as fast as the server takes it.
    Max,
}

/// What happens when the server fails a batch, or is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// What is promised about each row.
    pub delivery: Delivery,
    /// Whether the run goes on.
    pub on_fault: OnFault,
    /// How long one outage may last before it ends the run.
    pub reconnect_timeout: Duration,
    /// Rows over all partitions that may be overdue; older ones are dropped, and counted.
    pub backlog_rows: NonZeroU64,
    /// Afterwards overdue rows are sent at most at this multiple of the target rate, above 1.
    pub catch_up_factor: f64,
}

/// What is promised about each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// A batch in doubt is looked up, and sent again only if it is not there.
    ExactlyOnce,
    /// A batch in doubt is sent again.
    AtLeastOnce,
    /// A batch in doubt is not sent again.
    AtMostOnce,
}

/// What the first fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The run recovers and goes on.
    Recover,
    /// The run ends.
    Stop,
}

/// How the rows are checked at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// Every row of the run is read back and compared byte by byte.
    Full,
    /// They are only counted.
    Count,
    /// Not at all.
    Off,
}

/// Who reads beside the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Readers {
    /// Number of readers, each with one connection; 0 for none.
    pub count: u32,
    /// Queries per second over all readers; `None`: closed loop.
    pub queries_per_s: Option<f64>,
    /// Which GPU arms the queries run in.
    pub gpu: GpuChoice,
    /// The arms of the profile, instead of the GPU's: none, or two.
    pub arms: Vec<ArmPlan>,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// Whether the queries may write; if not, the readers' sessions are read-only.
    pub writes: bool,
    /// How the plans and answers of the arms are looked at.
    pub evidence: EvidencePlan,
    /// The queries; at least one if there are readers.
    pub queries: Vec<Query>,
}

/// An arm of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmPlan {
    /// Its name in metrics and reports.
    pub name: String,
    /// Settings of its session, by name.
    pub set: Vec<(String, String)>,
}

/// How the plans and answers of the arms are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidencePlan {
    /// Time between two looks at the plans; the first one is before the first query.
    pub every: Duration,
    /// Whether plans are taken with ANALYZE, which runs the query.
    pub analyze: bool,
    /// Whether the answers of a query's arms are compared.
    pub check_answers: bool,
    /// Time between two comparisons during a run; each takes the next query.
    pub answers_every: Duration,
}

/// A reader's query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Name in reports and metrics.
    pub name: String,
    /// Relative frequency, at least 1.
    pub weight: NonZeroU32,
    /// SQL text; `{table}` stands for the stream's table.
    pub sql: String,
    /// Result column that holds the newest event time seen (timestamptz), if any.
    pub newest_column: Option<String>,
    /// Which GPU arms it runs in; `None`: as all queries.
    pub gpu: Option<GpuChoice>,
    /// How the answers of its arms are compared.
    pub answers: AnswerRule,
}

/// How the answers of two arms are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRule {
    /// What is compared.
    pub compare: AnswerCompare,
    /// Largest relative difference of two numbers that are the same; `None`: by type.
    pub tolerance: Option<f64>,
    /// Result columns by which rows are chosen (ORDER BY … LIMIT, row_number() <= 10): where rows
    /// tie in them, either arm may return either.
    pub ties: Vec<String>,
}

/// What of two answers is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerCompare {
    /// The rows, in any order.
    Rows,
    /// Only how many they are.
    Count,
    /// Nothing.
    Off,
}

/// Which GPU arms the queries run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuChoice {
    /// Off and on in turn where PG-Strom is loaded, else CPU.
    Auto,
    /// Always on.
    On,
    /// Always off.
    Off,
    /// Off and on in turn.
    Alternate,
}

/// A table, optionally with its schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Schema; `None`: by search_path.
    pub schema: Option<String>,
    /// Table.
    pub name: String,
}

/// A condition on a figure of the result, for example `response_p99_ms < 50`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Name of the figure.
    pub figure: String,
    /// Comparison.
    pub op: ThresholdOp,
    /// Limit.
    pub limit: f64,
}

/// Comparison of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdOp {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl GpuChoice {
    /// Every choice, with its name in profiles and flags.
    pub const NAMED: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("on", Self::On),
        ("off", Self::Off),
        ("alternate", Self::Alternate),
    ];
}
