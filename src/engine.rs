//! The run: prepare → warm-up → measure → drain → report. The only caller of `spawn`, owner of
//! all tasks and of shutdown.

mod assemble;
mod bench;
mod check;
pub(crate) mod clocks;
mod fill;
mod first_rows;
mod fit;
mod gate;
mod gpus;
mod inspect;
pub(crate) mod keeper;
mod keys;
mod limits;
mod measure;
mod noise;
mod outputs;
mod prepare;
mod readers;
mod reading;
mod self_watch;
mod sweep;
mod threads;
mod ticker;
pub(crate) mod waits;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::answer::AnswerError;
use crate::dataset::DatasetError;
use crate::ingest::ProduceError;
use crate::pg::{self, embedded::Server};
use crate::plan::{Job, Plan, StreamJob};
use crate::query::ReadError;
use crate::result::JobResult;
use crate::row::Lane;
use crate::sink::{Sink, SinkError};
use crate::strom::StromError;
use crate::sweep::SweepError;

pub use fill::{FillOptions, fill};
pub use first_rows::{FirstRows, first_rows};
pub use fit::{Fit, fit};
use measure::Run;
pub use noise::{SameArm, noise};
use outputs::Outputs;
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
    /// Whether there is anything in hand: before, a stop is the end.
    begun: Arc<AtomicBool>,
}

impl Shutdown {
    /// Whether a stop has anything to finish.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// The same with a stop of its own.
    #[must_use]
    pub fn with_own_stop(&self) -> Self {
        Self { stop: CancellationToken::new(), ..self.clone() }
    }

    /// The same with a stop that comes with the outer one, or before it.
    fn with_inner_stop(&self) -> Self {
        Self { stop: self.stop.child_token(), ..self.clone() }
    }

    fn begin(&self, begun: bool) {
        self.begun.store(begun, Ordering::Relaxed);
    }

    /// Does what comes before a run, which a signal ends at once.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, PrepareError> {
        self.begin(false);
        let done = self.stop.run_until_cancelled(work).await.ok_or(PrepareError::Interrupted);
        self.begin(done.is_ok());
        done
    }
}

/// Where a run goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub address: pg::Address,
    /// Whether strom-load started it.
    pub embedded: bool,
    /// The settings that it was given, if strom-load started it.
    pub settings: Vec<(String, String)>,
    /// The server that the readers ask, if it is another one.
    pub readers: Option<pg::Address>,
}

impl Target {
    /// A server that strom-load has not started, and that the readers ask, too.
    pub fn given(address: pg::Address) -> Self {
        Self { address, embedded: false, settings: Vec::new(), readers: None }
    }

    /// The role that a profile's queries run with, if not the one that loads.
    fn query_role(&self) -> Option<&'static str> {
        self.embedded.then_some(pg::reader::READER)
    }
}

/// What a job may do beside its plan.
#[derive(Debug, Default)]
pub struct JobOptions<'a> {
    /// The server, if it is ours and may be restarted.
    pub server: Option<&'a mut Server>,
    /// Whether a sweep may change the configuration of a server that is not ours.
    pub allow_alter_system: bool,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The server or the table.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The dry run of the first rows.
    #[error(transparent)]
    DryRun(#[from] pg::dry_run::DryRunError),
    /// The arms.
    #[error(transparent)]
    Strom(#[from] StromError),
    /// The settings of a sweep.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// The tables of the profile.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The columns.
    #[error(transparent)]
    Row(#[from] crate::row::EncodeError),
    /// An output.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// More connections than are admitted.
    #[error(
        "producers and readers need {need} connections, but {} admits {have} ({})\n  fix: lower \
         --connections, --partitions or --readers, or {}", admits.who(), admits.what(), admits.fix()
    )]
    Connections {
        /// Connections that the run needs.
        need: u64,
        /// Connections that it can have.
        have: u64,
        /// Who sets the limit.
        admits: pg::connections::Admits,
    },
    /// More sockets and timers than this process may have.
    #[error(
        "producers and readers need {need} open files (a socket and a timer each), but this \
         process may have {have}\n  fix: raise the limit (ulimit -n, or LimitNOFILE= of its systemd \
         unit), or lower --connections, --partitions or --readers"
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
    /// The server of the readers, where that is another one.
    #[error("the readers' server: {0}")]
    Readers(Box<Self>),
    /// Readers that may write, on a standby.
    #[error(
        "the readers may write (`writes = true`), and their server is a standby\n  fix: let them read, \
         or name the primary in --readers-url"
    )]
    WritesOnStandby,
    /// A rule for a query's answers that does not fit them.
    #[error("query `{query}`: {error}")]
    Answers {
        /// Its name.
        query: String,
        /// What is wrong with the rule.
        error: AnswerError,
    },
    /// A server that is too old.
    #[error("the server is PostgreSQL {version}; strom-load needs 15 or newer")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// A table whose times are to be looked at as it is.
    #[error(
        "table `{table}` is not there, and doctor creates nothing\n  fix: run the profile once, or fill its \
         tables with `strom-load fill`, and ask again; or name a table that is there"
    )]
    NoTable {
        /// Its name.
        table: String,
    },
    /// Queries that may write, where nothing is to be changed.
    #[error(
        "the queries may write (`writes = true`), and doctor changes nothing\n  fix: delete `writes`"
    )]
    NoiseWrites,
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
    #[error("{lane}: {error}")]
    Produce {
        /// What it loads.
        lane: Lane,
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
    /// A task broke; a defect of strom-load.
    #[error("a task of strom-load broke, please report it: {0}")]
    Task(String),
    /// Another run took the table over before the rows were read back.
    #[error("after the load: {0}")]
    TakenOver(pg::Error),
}

impl RunError {
    /// Whether the server refused rows for good, and was there: then nobody was too slow.
    fn is_of_rows(&self) -> bool {
        match self {
            Self::Produce { error: ProduceError::Server(error), .. } => {
                !error.is_lost() && !error.took_over()
            }
            Self::Produce { error, .. } => matches!(error, ProduceError::Miscounted { .. }),
            _ => false,
        }
    }

    /// Whether another run took the table over.
    fn is_of_a_takeover(&self) -> bool {
        match self {
            Self::TakenOver(_) => true,
            Self::Produce { error: ProduceError::Server(error), .. } => error.took_over(),
            _ => false,
        }
    }
}

/// Does what a plan says to a server, and tells the outputs.
///
/// # Errors
/// When it cannot begin. Once it has begun there is a result, whatever happens.
pub async fn run(
    plan: Plan,
    target: &Target,
    options: JobOptions<'_>,
    sinks: Vec<Box<dyn Sink>>,
    shutdown: &Shutdown,
) -> Result<JobResult, PrepareError> {
    let outputs = Outputs::new(sinks);
    shutdown.begin(false);
    let Plan { common, job } = plan;
    // Boxed: the state machine of each is some 20 KB.
    match job {
        Job::Stream(job) => {
            let plan = Plan { common, job: *job };
            Box::pin(stream(&plan, target, outputs, shutdown, |result| result)).await
        }
        Job::Benchmark(job) => {
            let plan = Plan { common, job: *job };
            Box::pin(bench::run(&plan, target, options.server, outputs, shutdown)).await
        }
        Job::Sweep(job) => {
            let plan = Plan { common, job: *job };
            Box::pin(sweep::run(&plan, target, options, outputs, shutdown)).await
        }
    }
}

/// Runs a stream among faults against a server; `shape` adds to its result what came of those.
///
/// # Errors
/// As for [`run`].
pub async fn run_among_faults(
    plan: &Plan<StreamJob>,
    target: &Target,
    sinks: Vec<Box<dyn Sink>>,
    shutdown: &Shutdown,
    shape: impl FnOnce(JobResult) -> JobResult,
) -> Result<JobResult, PrepareError> {
    stream(plan, target, Outputs::new(sinks), shutdown, shape).await
}

async fn stream(
    plan: &Plan<StreamJob>,
    target: &Target,
    mut outputs: Outputs,
    shutdown: &Shutdown,
    shape: impl FnOnce(JobResult) -> JobResult,
) -> Result<JobResult, PrepareError> {
    let tables = &plan.common.tables;
    if !tables.is_empty() {
        // Readers may join them.
        bench::fill_tables(plan, target, &mut outputs, shutdown).await?;
    }
    let plan = &*shutdown.unless_stopped(keys::completed_on(plan, &target.address)).await??;
    let ingest = Threads::of_producers(plan.job.stream.connections.get())?;
    let examine = Threads::of_examiner()?;
    // Boxed, as its state machine is some 20 KB.
    let preparing = Box::pin(prepare::prepare(plan, target, ingest.handle()));
    let mut prepared = shutdown.unless_stopped(preparing).await??;
    bench::hold_tables(&mut prepared.control, tables).await?;
    let (mut run, keeper) =
        Run::measure(plan, prepared, (&ingest, &examine), &mut outputs, shutdown).await?;
    let found = check::check(&mut run, plan, keeper, &examine, &mut outputs, shutdown).await;
    Ok(outputs.finish(shape(run.report(found))))
}
