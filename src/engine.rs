//! The run: prepare → warm-up → measure → drain → report. The only caller of `spawn`, owner of
//! all tasks and of shutdown.

mod assemble;
mod bench;
mod check;
mod fill;
mod gpus;
mod limits;
mod measure;
mod prepare;
mod readers;
mod sweep;
mod threads;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ingest::ProduceError;
use crate::pg;
use crate::plan::{Plan, StreamJob};
use crate::query::ReadError;
use crate::result::JobResult;
use crate::sink::{Sink, SinkError};
use crate::strom::StromError;
use crate::sweep::SweepError;

pub use bench::{BenchOutcome, BenchSink, run_bench};
pub use fill::{FillOptions, fill};
pub use limits::Admits;
use measure::Run;
pub use sweep::{SweepRun, check_sweep, run_sweep};
use threads::Threads;

/// How often recorders are drained and sinks fed.
const TICK: Duration = Duration::from_secs(1);
/// How often the report so far is saved.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Shutdown as seen by a run; the caller owns the signals.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is in hand, drain and report.
    pub stop: CancellationToken,
    /// Drop what is in hand, cancel it on the server, and report.
    pub abort: CancellationToken,
}

/// Where a run goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub address: pg::Address,
    /// Whether strom-load started it.
    pub embedded: bool,
}

/// How a run ended. The report exists from the moment the measurement began.
#[derive(Debug)]
pub struct Outcome {
    /// What was measured.
    pub report: JobResult,
    /// What ended it early.
    pub error: Option<RunError>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The server or the table.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The arms.
    #[error(transparent)]
    Strom(#[from] StromError),
    /// The settings of a sweep.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The columns.
    #[error(transparent)]
    Row(#[from] crate::row::EncodeError),
    /// An output.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// More connections than are admitted.
    #[error(
        "partitions and readers need {need} connections, but {} admits {have} ({})\n  fix: lower \
         --partitions or --readers, or {}", admits.who(), admits.what(), admits.fix()
    )]
    Connections {
        /// Connections that the run needs.
        need: u64,
        /// Connections that it can have.
        have: u64,
        /// Who sets the limit.
        admits: Admits,
    },
    /// More sockets and timers than this process may have.
    #[error(
        "partitions and readers need {need} open files (a socket and a timer each), but this \
         process may have {have}\n  fix: raise the limit (ulimit -n, or LimitNOFILE= of its systemd \
         unit), or lower --partitions or --readers"
    )]
    OpenFiles {
        /// Open files that the run needs, with those that are there.
        need: u64,
        /// The hard limit.
        have: u64,
    },
    /// A query that the server does not accept.
    #[error("query `{query}`: {error}{place}")]
    Query {
        /// Its name.
        query: String,
        /// What the server says.
        error: pg::Error,
        /// The place in the SQL text, as lines of their own; may be empty.
        place: String,
    },
    /// A server that is too old.
    #[error("the server is PostgreSQL {version}; strom-load needs 15 or newer")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// A signal came first.
    #[error("interrupted before the run began")]
    Interrupted,
    /// Threads or timers.
    #[error("failed to start threads and timers: {0}")]
    System(#[from] std::io::Error),
}

/// What can end a run early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A producer.
    #[error("partition {partition}: {error}")]
    Produce {
        /// Its partition.
        partition: u32,
        /// What happened.
        error: ProduceError,
    },
    /// A reader.
    #[error("reader {reader}: {error}")]
    Read {
        /// Its number.
        reader: u32,
        /// What happened.
        error: ReadError,
    },
    /// An output.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A task broke; a defect of strom-load.
    #[error("a task of strom-load broke, please report it: {0}")]
    Task(String),
}

/// Runs a stream against a server. `shape` makes of its result what is saved: a run among faults
/// adds what came of those.
///
/// # Errors
/// When it cannot begin. Once it has begun there is an [`Outcome`], whatever happens.
pub async fn run(
    plan: &Plan<StreamJob>,
    target: &Target,
    mut sinks: Vec<Box<dyn Sink>>,
    shutdown: &Shutdown,
    shape: impl FnOnce(JobResult) -> JobResult,
) -> Result<Outcome, PrepareError> {
    let ingest = Threads::of_producers(plan.job.stream.partitions.get())?;
    let examine = Threads::of_examiner()?;
    let prepared = tokio::select! {
        prepared = prepare::prepare(plan, target, ingest.handle()) => prepared?,
        () = shutdown.stop.cancelled() => return Err(PrepareError::Interrupted),
    };
    let (mut run, control) =
        Run::measure(plan, prepared, (&ingest, &examine), &mut sinks, shutdown).await?;
    let found = check::check(&mut run, plan, control, &examine, shutdown).await;
    let report = shape(run.report(found));
    let mut error = run.into_error();
    for sink in sinks {
        if let Err(failed) = sink.finish(&report) {
            error.get_or_insert(failed.into());
        }
    }
    Ok(Outcome { report, error })
}
