//! What came of a benchmark.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::AnswerHistory;
use super::arm::{ArmError, ArmSetting, Gpu};
use super::evidence::{PlanHistory, Verdict};
use super::gpu::GpuReport;
use super::query::TriedReport;
use super::table::{Exported, Prepared};
use crate::stats::{self, Comparison};

/// A step of a benchmark.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// What `{table}` stood for.
    pub table: Option<String>,
    /// Why it could not be made ready or undone.
    pub error: Option<String>,
    /// Why it was left out, if it was: the server lacks what it is about.
    pub skipped: Option<String>,
    /// The Arrow file that it was about.
    pub arrow: Option<Exported>,
    /// Its queries, as far as they were begun.
    pub queries: Vec<BenchQueryReport>,
    /// The names of its queries that were never begun, since the benchmark was ended before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_begun: Vec<String>,
}

/// What came of one query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BenchQueryReport {
    /// Its name.
    pub query: String,
    /// As it was run.
    pub sql: String,
    /// Why its measurement ended.
    pub halted: Halted,
    /// How the arms followed each other.
    pub interleaved: bool,
    /// How long all of it took, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub took_s: f64,
    /// Each of its arms.
    pub arms: Vec<BenchArmReport>,
    /// The two arms compared.
    pub times: Option<Comparison>,
    /// What is known without a pair, where an arm was cut at a limit: how long that takes at least, and
    /// what the other one takes.
    #[serde(default)]
    pub tried: Option<TriedReport>,
    /// Whether the times mean anything: false if the answers differ.
    pub valid: bool,
    /// The answers compared.
    pub answers: AnswerHistory,
    /// What the GPUs did meanwhile: pairs, first executions, plans and answers together.
    pub gpus: Vec<GpuReport>,
}

/// What came of one arm of a query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BenchArmReport {
    /// Its name.
    pub arm: String,
    /// Whether it has the GPU switched on.
    pub gpu: Gpu,
    /// Its settings.
    pub set: Vec<ArmSetting>,
    /// Measured executions.
    pub executions: usize,
    /// Median service time, in milliseconds.
    pub median_ms: Option<f64>,
    /// Shortest service time, in milliseconds.
    pub min_ms: Option<f64>,
    /// Longest service time, in milliseconds.
    pub max_ms: Option<f64>,
    /// What one session could run of it in a second: 1 by the median.
    pub queries_per_s: Option<f64>,
    /// Service time of the first execution, which is not measured, in milliseconds.
    pub cold_ms: Option<f64>,
    /// Rows of its answer.
    pub rows: u64,
    /// Executions that failed.
    pub failures: u64,
    /// Why the last of those did.
    pub error: Option<ArmError>,
    /// Whether it was given up.
    pub given_up: bool,
    /// Executions that were cut at a limit.
    #[serde(default)]
    pub cuts: u64,
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// Service times of all measured executions, in order, in nanoseconds.
    pub times_ns: Vec<u64>,
    /// What its plan proves.
    pub plan: Option<PlanHistory>,
}

/// Why a query's measurement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Halted {
    /// The ratio is known as exactly as was asked for.
    Precise,
    /// Its time was up.
    TimeUp,
    /// It had the most pairs, or with one arm the most executions.
    EnoughPairs,
    /// An arm failed again and again.
    ArmFailed,
    /// An arm takes longer than a query may.
    ArmCut,
    /// Somebody stopped the benchmark.
    Stopped,
}

/// A benchmark.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BenchmarkRun {
    /// The tables of the profile, as they were found or made.
    pub tables: Vec<Prepared>,
    /// The steps so far; in the end all of them.
    pub steps: Vec<StepReport>,
}

impl BenchQueryReport {
    /// Whether an arm of it was cut off or never begun, rather than failed.
    pub fn is_cut_off(&self, arm: &BenchArmReport) -> bool {
        self.halted == Halted::Stopped && arm.executions == 0 && arm.failures == 0
    }
}

impl BenchArmReport {
    /// What its plans prove.
    pub fn verdict(&self) -> Verdict {
        self.plan.as_ref().map_or(Verdict::Unknown, PlanHistory::verdict)
    }
}

impl BenchmarkRun {
    /// Every query of every step.
    pub fn queries(&self) -> impl Iterator<Item = &BenchQueryReport> {
        self.steps.iter().flat_map(|step| &step.queries)
    }

    /// Keeps the error of all directions together to what the confidence leaves for one; so many
    /// queries are to be compared.
    pub fn judge_together(&mut self, planned: usize) {
        let queries = self.steps.iter_mut().flat_map(|step| &mut step.queries);
        let compared = queries.filter_map(|query| query.times.as_mut());
        stats::holm(compared, planned, &stats::Settings::default());
    }
}
