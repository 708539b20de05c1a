//! Outputs: one trait, one file an output. Opened before the run starts, written as it goes.

pub mod bench;
pub mod folder;
pub mod prometheus;
pub mod terminal;

use std::time::SystemTime;

use crate::pg::facts::ServerFacts;
use crate::plan::{Plan, StreamJob};
use crate::query::Trial;
use crate::record::Interval;
use crate::result::JobResult;
use crate::watch::gpu::Found;

/// What is known when a run starts.
#[derive(Debug, Clone, Copy)]
pub struct RunStart<'a> {
    /// What will be done.
    pub plan: &'a Plan<StreamJob>,
    /// The server that it is done to.
    pub server: &'a ServerFacts,
    /// The queries with their arms, in the order of [`Interval::queries`].
    pub trials: &'a [Trial],
    /// Start of the schedule.
    pub started_at: SystemTime,
    /// The GPUs that are watched.
    pub gpus: &'a Found,
}

impl RunStart<'_> {
    /// The names of each query and arm, in the order of [`Interval::queries`].
    pub fn query_arms(&self) -> impl Iterator<Item = (&str, &str)> {
        self.trials.iter().flat_map(|trial| {
            trial.arms.iter().map(|arm| (trial.query.name.as_str(), arm.name.as_str()))
        })
    }
}

/// Somewhere that measurements go to.
pub trait Sink: Send {
    /// Takes what is known at the start, before any interval.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&mut self, start: &RunStart<'_>) -> Result<(), SinkError>;

    /// Takes what happened since the last call.
    ///
    /// # Errors
    /// When it cannot be written; the run ends then, since a run without results is no use.
    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError>;

    /// Takes the state of the whole run so far, every few seconds, so that little is lost if the
    /// loader is killed.
    ///
    /// # Errors
    /// As for [`Sink::interval`].
    fn checkpoint(&mut self, _report: &JobResult) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes the final report and closes.
    ///
    /// # Errors
    /// As for [`Sink::interval`].
    fn finish(self: Box<Self>, report: &JobResult) -> Result<(), SinkError>;
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
