//! A result that is saved and can be read back: data only. Whatever is shown of a job is rendered
//! from this, so that it can be shown again.
//!
//! Every job has the same envelope, [`JobResult`], around a body of its own kind. The live rooms
//! make the parts; no type here knows a server, a file or a clock.

pub mod advice;
pub(crate) mod answers;
pub(crate) mod arm;
pub(crate) mod benchmark;
pub mod capability;
pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod evidence;
pub(crate) mod faults;
pub mod figure;
pub(crate) mod gpu;
pub mod history;
pub(crate) mod index;
pub mod journal;
pub(crate) mod loader;
pub(crate) mod on_gpu;
mod plan_keys;
pub(crate) mod query;
mod read;
pub(crate) mod readers;
#[cfg(test)]
pub(crate) mod sample;
mod saved_plan;
pub mod schema;
pub mod server;
mod shell;
mod shortfall;
pub(crate) mod stream;
pub(crate) mod sweep;
pub(crate) mod table;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use plan_keys::{is_aside, is_within, plan_digest, plan_keys};
pub(crate) use read::is_being_written;
pub use read::{INDEX, RESULT, ReadError, Saved, parse, read};
pub use saved_plan::as_profile;
pub(crate) use shell::shell_word;
pub(crate) use shortfall::one_line;
pub use shortfall::{Shortfall, ShortfallKind};

use crate::exit;
pub use crate::profile::RowChanges;
use crate::profile::{Audit, Delivery, Identity, Profile, Readers};

/// Version of the format of `result.json` and `index.json`; docs/result.md describes it. Additions
/// keep it, everything else raises it.
pub const FORMAT_VERSION: u32 = 2;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on, or the loader was killed.
    Running,
    /// It ended as planned.
    Done,
    /// It was ended by a signal, and drained.
    Interrupted,
    /// It was ended by a second signal, mid-batch.
    Aborted,
    /// An error ended it.
    Failed,
    /// A threshold that says `abort` did not hold, and ended it.
    Stopped,
}

/// A threshold with its verdict.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdReport {
    /// As written.
    pub threshold: String,
    /// What the figure came to; `None` if nothing was measured.
    pub value: Option<f64>,
    /// Whether the figure is at least that, and nobody knows how much more: something was given up that
    /// would have taken longer. Then no `<` and no `<=` holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// Whether the figure is at most that: a ratio whose other arm was cut. Then no `>` and no `>=` holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_most: bool,
    /// Whether it holds. A figure that was not measured does not hold, nor does one that rests on too few samples.
    pub passed: bool,
    /// Why it cannot be judged, if its figure was measured: by too few samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
    /// What the figure would have come to without the loader's own delay, where it holds then, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_own: Option<f64>,
    /// When it ended the job, in seconds since the start of the schedule, if it did: `value` is what
    /// the figure came to then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_at_s: Option<f64>,
}

/// A job, as saved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JobResult {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of strom-load that wrote it.
    pub strom_load_version: String,
    /// The run, a UUID that the server drew: `strom_load_info` has it as a label. `None` in results of
    /// before there was one.
    #[serde(default)]
    pub run_id: Option<String>,
    /// How the job stands or ended.
    pub status: Status,
    /// What ended it early, if anything did.
    pub error: Option<String>,
    /// When it began, RFC 3339 in UTC: of a stream, the start of the schedule.
    pub started_at: String,
    /// How long it has taken since, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub took_s: f64,
    /// What was asked for, as a profile in which every default is written out:
    /// profile.schema.json describes its keys.
    #[serde(with = "saved_plan")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub plan: Profile,
    /// What it was done to.
    pub server: server::ServerReport,
    /// The GPUs of this machine.
    pub gpus: gpu::GpusReport,
    /// Each threshold with its verdict; empty until the end.
    pub thresholds: Vec<ThresholdReport>,
    /// What was asked for and not done, though the job came to its end; empty until then.
    #[serde(default)]
    pub shortfalls: Vec<Shortfall>,
    /// What its figures advise, worst first; empty until the end.
    #[serde(default)]
    pub advice: Vec<advice::Advice>,
    /// What came of it.
    #[serde(flatten)]
    pub body: Body,
}

/// What came of a job, by its kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// A stream with readers beside it.
    Stream(Box<stream::StreamRun>),
    /// Queries on tables that stand still.
    Benchmark(Box<benchmark::BenchmarkRun>),
    /// Queries under combinations of settings.
    Sweep(Box<sweep::SweepRun>),
    /// A stream among faults made on purpose.
    Faults(Box<faults::FaultsRun>),
}

impl From<benchmark::BenchmarkRun> for Body {
    fn from(run: benchmark::BenchmarkRun) -> Self {
        Self::Benchmark(Box::new(run))
    }
}

impl From<sweep::SweepRun> for Body {
    fn from(run: sweep::SweepRun) -> Self {
        Self::Sweep(Box::new(run))
    }
}

impl JobResult {
    /// The profile's name.
    pub fn profile(&self) -> &str {
        self.plan.name.as_ref().map_or("", |name| name.as_str())
    }

    /// The seed of all randomness.
    pub fn seed(&self) -> i64 {
        self.plan.seed.as_ref().map_or(0, |seed| seed.0)
    }

    /// The kind's name, as saved.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Stream(_) => "stream",
            Body::Benchmark(_) => "benchmark",
            Body::Sweep(_) => "sweep",
            Body::Faults(_) => "faults",
        }
    }

    /// The stream, of a job that has one.
    pub fn stream(&self) -> Option<&stream::StreamRun> {
        match &self.body {
            Body::Stream(run) => Some(run),
            Body::Faults(faults) => Some(&faults.run),
            Body::Benchmark(_) | Body::Sweep(_) => None,
        }
    }

    /// The queries of readers that may write.
    pub fn writing_readers(&self) -> Vec<&str> {
        let writers = self.plan.readers.iter().flat_map(Readers::writers);
        writers.filter_map(|query| query.name.as_deref()).map(String::as_str).collect()
    }

    /// What these may change of the rows of a stream.
    pub fn row_changes(&self) -> RowChanges {
        let readers = self.plan.readers.as_ref();
        readers.map_or(RowChanges::Columns(Vec::new()), Readers::row_changes)
    }

    /// Whether the rows of a stream are to be looked for in the table.
    pub fn asks_for_audit(&self) -> bool {
        self.plan.audit.as_ref().is_none_or(|audit| **audit != Audit::Off)
    }

    /// Notes what can be said of a job once it has ended.
    pub fn conclude(&mut self) {
        self.shortfalls = shortfall::shortfalls(self);
        self.advice = advice::advise(self);
    }

    /// The exit code that the result stands for: of all that fit, the gravest.
    pub fn exit_code(&self) -> u8 {
        let wrong = !self.rows_add_up() || !self.answers_agree() || self.is_disproved();
        // Of a step that was not made ready the others were measured, and what was asked for is not
        // all there.
        let early = matches!(self.status, Status::Failed | Status::Running);
        let fitting = [
            (wrong, exit::INTEGRITY),
            (early || self.unready_step().is_some(), exit::ENDED_EARLY),
            (!self.shortfalls.is_empty(), exit::SHORTFALL),
            (matches!(self.status, Status::Interrupted | Status::Aborted), exit::INTERRUPTED),
            (!self.thresholds_hold(), exit::THRESHOLD),
        ];
        exit::gravest(fitting.into_iter().filter_map(|(fits, code)| fits.then_some(code)))
    }

    /// Whether it came to its end: a benchmark of which a step was not made ready did not.
    pub fn came_to_its_end(&self) -> bool {
        self.status == Status::Done && self.unready_step().is_none()
    }

    /// Whether two results are of one run: both name it, or, in results of before, all that they hold is the same.
    pub fn is_run_of(&self, other: &Self) -> bool {
        match (&self.run_id, &other.run_id) {
            (Some(own), Some(other)) => own == other,
            (None, None) => {
                self.started_at == other.started_at
                    && self.server.address == other.server.address
                    && serde_json::to_value(&self.body).ok()
                        == serde_json::to_value(&other.body).ok()
            }
            _ => false,
        }
    }

    /// The first step of a benchmark that was not made ready or not undone, and why.
    pub fn unready_step(&self) -> Option<(&str, &str)> {
        let Body::Benchmark(run) = &self.body else { return None };
        run.steps.iter().find_map(|step| Some((step.name.as_str(), step.error.as_deref()?)))
    }

    /// Whether a run among faults shows the table to be other than it should be.
    fn is_disproved(&self) -> bool {
        matches!(&self.body, Body::Faults(run) if run.faults.is_wrong())
    }

    /// Whether every threshold holds.
    pub fn thresholds_hold(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.passed)
    }

    /// What in a result that was read back cannot be true, if anything; what shows it may rely on that.
    pub fn contradiction(&self) -> Option<String> {
        match &self.body {
            Body::Sweep(run) => run.sweep.contradiction(),
            Body::Stream(_) | Body::Faults(_) | Body::Benchmark(_) => None,
        }
    }

    /// Whether the table holds what was acknowledged: no fewer rows, and no more than were sent.
    /// True where there is no stream, where it was not looked at, or where nobody can tell.
    pub fn rows_add_up(&self) -> bool {
        let Some(run) = self.stream() else { return true };
        let stream = &run.stream;
        if let Some(audit) = &stream.audit {
            return audit.iter().all(|partition| partition.is_right(self.may_double()));
        }
        stream
            .rows_found
            .is_none_or(|found| self.is_due_count(found) || self.count_proves_nothing())
    }

    /// Whether so many rows of a stream are to be expected if nobody else wrote.
    pub fn is_due_count(&self, found: u64) -> bool {
        let Some(stream::StreamRun { stream, .. }) = self.stream() else { return true };
        // What may be there twice has no upper end.
        let most = if self.may_double() { u64::MAX } else { stream.rows_sent };
        (stream.rows_acknowledged..=most).contains(&found)
    }

    /// Whether rows that are missing or too many may be the work of readers that write.
    pub fn count_proves_nothing(&self) -> bool {
        !matches!(self.row_changes(), RowChanges::Columns(_))
    }

    /// Whether the rows of its stream can be told apart.
    pub fn tells_rows_apart(&self) -> bool {
        let identity = self.plan.stream.as_ref().and_then(|stream| stream.identity.as_ref());
        identity.is_none_or(|identity| **identity != Identity::None)
    }

    /// Whether a stream goes on or was killed before a second of it was measured: its figures say nothing yet.
    pub fn measured_too_little(&self) -> bool {
        self.status == Status::Running && self.stream().is_some_and(|run| run.measured_s < 1.0)
    }

    /// Whether rows may be there twice, by what was promised about each.
    fn may_double(&self) -> bool {
        let delivery =
            self.plan.recovery.as_ref().and_then(|recovery| recovery.delivery.as_deref().copied());
        delivery == Some(Delivery::AtLeastOnce)
    }

    /// Whether no comparison found the arms of a query, or a combination of a sweep, to give
    /// different answers.
    pub fn answers_agree(&self) -> bool {
        match &self.body {
            Body::Stream(_) | Body::Faults(_) => self.stream().is_none_or(|run| {
                run.comparisons.iter().all(|comparison| comparison.answers.different == 0)
            }),
            Body::Benchmark(run) => run.queries().all(|query| query.valid),
            Body::Sweep(run) => run.sweep.cells().all(|cell| cell.valid),
        }
    }
}
