//! The saved result of a benchmark.

mod render;

use std::time::Duration;

use serde::Serialize;

use super::sweep::SweepReport;
use super::{FORMAT_VERSION, GpuReport, ServerReport, Status};
use crate::arrow::Exported;
use crate::bench::{ArmError, Halted, Measured};
use crate::dataset::Prepared;
use crate::plan::bench::Order;
use crate::plan::{Common, Plan, WriteKeys};
use crate::profile::Profile;
use crate::query::Trial;
use crate::query::examine::{AnswerHistory, PlanHistory};
use crate::stats::Comparison;
use crate::strom::evidence::Verdict;
use crate::strom::{ArmSetting, Gpu};

pub(super) use render::verdicts;
pub use render::{markdown, text};

/// A benchmark, as saved.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// "bench" or "sweep": tells it from the result of a stream.
    pub kind: &'static str,
    /// Version of strom-load.
    pub strom_load_version: &'static str,
    /// How the benchmark stands or ended.
    pub status: Status,
    /// What ended it early, if anything did.
    pub error: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took so far, in seconds.
    pub took_s: f64,
    /// What was asked for.
    pub plan: Profile,
    /// What of it every job has.
    #[serde(skip)]
    pub common: Common,
    /// What it was done to.
    pub server: ServerReport,
    /// The tables of the profile, as they were found or made.
    pub tables: Vec<Prepared>,
    /// The steps done so far; none in a sweep.
    pub steps: Vec<StepReport>,
    /// The sweep, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepReport>,
}

/// A step of a benchmark.
#[derive(Debug, Serialize)]
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
    /// Its queries.
    pub queries: Vec<BenchQueryReport>,
}

/// What came of one query.
#[derive(Debug, Serialize)]
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
    pub took_s: f64,
    /// Each of its arms.
    pub arms: Vec<BenchArmReport>,
    /// The two arms compared.
    pub times: Option<Comparison>,
    /// Whether the times mean anything: false if the answers differ.
    pub valid: bool,
    /// The answers compared.
    pub answers: AnswerHistory,
    /// What the GPUs did meanwhile: pairs, first executions, plans and answers together.
    pub gpus: Vec<GpuReport>,
}

/// What came of one arm of a query.
#[derive(Debug, Serialize)]
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
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// Service times of all measured executions, in order, in nanoseconds.
    pub times_ns: Vec<u64>,
    /// What its plan proves.
    pub plan: Option<PlanHistory>,
}

impl BenchArmReport {
    /// What the plan proves.
    pub fn verdict(&self) -> Verdict {
        let evidence = self.plan.as_ref().and_then(|plan| plan.evidence.as_ref());
        evidence.map_or(Verdict::Unknown, |evidence| evidence.verdict)
    }

    /// The verdict for people.
    pub fn evidence(&self) -> String {
        super::query::describe(self.gpu, self.plan.as_ref())
    }
}

impl BenchQueryReport {
    /// Makes the report of a query.
    pub fn new(trial: &Trial, measured: Measured, order: Order, gpus: Vec<GpuReport>) -> Self {
        let Measured { arms, comparison, halted, examined, took } = measured;
        let different = examined.answers.different > 0;
        let mut plans = examined.plans.into_iter();
        let arm = |(arm, samples): (&crate::strom::Arm, crate::bench::ArmSamples)| {
            let mut sorted: Vec<f64> = samples.times_ns.iter().map(|ns| *ns as f64 / 1e6).collect();
            sorted.sort_by(f64::total_cmp);
            let median_ms = crate::stats::median(&sorted);
            BenchArmReport {
                arm: arm.name.clone(),
                gpu: arm.gpu,
                set: arm.set.clone(),
                executions: sorted.len(),
                median_ms,
                min_ms: sorted.first().copied(),
                max_ms: sorted.last().copied(),
                queries_per_s: median_ms.map(|ms| 1e3 / ms),
                cold_ms: samples.cold_ns.map(|ns| ns as f64 / 1e6),
                rows: samples.rows,
                failures: samples.failures,
                error: samples.error,
                given_up: samples.given_up,
                fallback_rows: samples.fallback_rows,
                times_ns: samples.times_ns,
                plan: plans.next(),
            }
        };
        Self {
            query: trial.query.name.clone(),
            sql: trial.query.sql.clone(),
            halted,
            interleaved: order == Order::Interleaved,
            took_s: took.as_secs_f64(),
            arms: trial.arms.iter().zip(arms).map(arm).collect(),
            times: comparison,
            valid: !different,
            answers: examined.answers,
            gpus,
        }
    }
}

impl BenchReport {
    /// Makes an empty report.
    pub fn new<J: WriteKeys>(
        plan: &Plan<J>,
        tables: Vec<Prepared>,
        server: &ServerReport,
        started_at: std::time::SystemTime,
    ) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            kind: "bench",
            strom_load_version: env!("CARGO_PKG_VERSION"),
            status: Status::Running,
            error: None,
            started_at: humantime::format_rfc3339_millis(started_at).to_string(),
            took_s: 0.0,
            plan: plan.into(),
            common: plan.common.clone(),
            server: server.clone(),
            tables,
            steps: Vec::new(),
            sweep: None,
        }
    }

    /// Notes how long it has taken.
    pub fn set_took(&mut self, took: Duration) {
        self.took_s = took.as_secs_f64();
    }

    /// Every query of every step.
    pub fn queries(&self) -> impl Iterator<Item = &BenchQueryReport> {
        self.steps.iter().flat_map(|step| &step.queries)
    }

    /// Whether no comparison found the arms of a query, or a combination of a sweep, to give
    /// different answers.
    pub fn answers_agree(&self) -> bool {
        let mut cells = self.sweep.iter().flat_map(SweepReport::cells);
        self.queries().all(|query| query.valid) && cells.all(|cell| cell.valid)
    }
}
