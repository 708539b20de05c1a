//! Outputs: one trait, one file an output. Opened before the run starts, written as it goes.

pub(crate) mod folder;
pub(crate) mod jsonl;
pub mod prometheus;
pub(crate) mod terminal;

use std::time::{Duration, SystemTime};

use crate::dataset::Stage;
use crate::record::Interval;
use crate::result::JobResult;
use crate::result::server::ServerFacts;
use crate::row::Lane;
use crate::watch::gpu::GpusFound;

/// What is known when a job starts.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The profile's name.
    pub profile: &'a str,
    /// The run, as its result names it.
    pub run_id: &'a str,
    /// The server that the job is done to.
    pub server: &'a ServerFacts,
    /// When the clock of its intervals starts.
    pub started_at: SystemTime,
    /// Warm-up and measurement together, where that is known.
    pub planned: Option<Duration>,
    /// The stream, of a job that has one.
    pub stream: Option<StreamStart<'a>>,
    /// The queries with their arms, in the order of [`Interval::queries`].
    pub queries: &'a [QueryStart],
    /// The GPUs that are watched.
    pub gpus: &'a GpusFound,
}

/// A stream that starts.
#[derive(Debug, Clone, Copy)]
pub struct StreamStart<'a> {
    /// What each producer loads, in the order of [`Interval::lanes`].
    pub lanes: &'a [Lane],
    /// Target over all of them when it begins; `None` when unthrottled.
    pub target_rows_per_s: Option<f64>,
    /// Whether a schedule says when queries are due.
    pub queries_are_due: bool,
    /// How long overdue batches may still be sent after the end.
    pub drain_timeout: Duration,
}

/// A query that will be run.
#[derive(Debug, Clone)]
pub struct QueryStart {
    /// Its name; in a benchmark of several steps, with the step's before it.
    pub name: String,
    /// The names of its arms.
    pub arms: Vec<String>,
}

impl Start<'_> {
    /// The names of each query and arm, in the order of [`Interval::queries`].
    pub fn query_arms(&self) -> impl Iterator<Item = (&str, &str)> {
        self.queries
            .iter()
            .flat_map(|query| query.arms.iter().map(|arm| (query.name.as_str(), arm.as_str())))
    }
}

/// How much is left of a job without a schedule, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Left {
    /// Steps that are over, queries or executions, and of how many.
    pub steps: Option<(u64, u64)>,
    /// The time that the rest takes at the pace so far.
    pub time: Option<Duration>,
}

/// What a job is doing.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// This, until something else is; with what is left of the job.
    Doing(&'a str, Left),
    /// This, at the end of the job: somebody may be waiting, so it is told each second.
    Ending(&'a str),
    /// This is done, and stays shown.
    Done(&'a str),
    /// A table is filled.
    Filling(&'a str, Stage<'a>),
}

/// What an output does beside the job, in a thread of its own, as waiting for a disk: from the beginning
/// until the output is finished or dropped.
pub type Background = Box<dyn FnOnce() + Send>;

/// Somewhere that measurements go to. Whatever the job is, it is told the same way: `begin` once,
/// then intervals, progress and checkpoints, then `finish`.
pub trait Sink: Send {
    /// Takes what is known at the start, before any interval.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError>;

    /// What it does beside the job, if anything; asked for once, after `begin`.
    fn background(&mut self) -> Option<Background> {
        None
    }

    /// Takes what happened since the last call.
    ///
    /// # Errors
    /// When it cannot be written.
    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError>;

    /// Takes what is being done, for people. It may come before `begin`: tables are filled first.
    fn progress(&mut self, _progress: &Progress<'_>) {}

    /// Takes the state of the whole job so far, every few seconds and after each query of a
    /// benchmark, so that little is lost if the loader is killed.
    ///
    /// # Errors
    /// As for [`Sink::interval`].
    fn checkpoint(&mut self, _result: &JobResult) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes the final result and closes.
    ///
    /// # Errors
    /// As for [`Sink::interval`].
    fn finish(self: Box<Self>, result: &JobResult) -> Result<(), SinkError>;
}

/// Why an output failed.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file or folder of the results.
    #[error("failed to {act} `{path}`: {source}{fix}")]
    File {
        /// What was tried.
        act: &'static str,
        /// With which file.
        path: String,
        /// What happened.
        source: std::io::Error,
        /// What mends it, as a line of its own; may be empty.
        fix: &'static str,
    },
    /// Progress on stdout.
    #[error("failed to write progress to stdout: {0}")]
    Stdout(std::io::Error),
    /// The address of the metrics endpoint.
    #[error(
        "failed to listen on {address} for Prometheus: {source}\n  fix: choose another address \
         with --metrics-addr, or switch the endpoint off with --metrics-addr off"
    )]
    Listen {
        /// The address.
        address: String,
        /// What happened.
        source: std::io::Error,
    },
}
