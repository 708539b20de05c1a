//! The figures of a result that a condition may name: one table of their names, what they say, and
//! how each is read from a result.

mod nature;
mod operator;
mod own_delay;
mod subjects;

use std::fmt;

use super::answers::AnswerHistory;
use super::arm::Gpu;
use super::benchmark::{BenchArmReport, BenchQueryReport};
use super::evidence::{PlanHistory, Verdict};
use super::query::{QueryReport, RatioKnown};
use super::stream::StreamRun;
use super::sweep::SweepQueryReport;
use super::{Body, JobResult};
use crate::record::{LaneAudit, Percentile, Percentiles, Ranges, Times, TooFew};
use crate::stats::Comparison;

pub use nature::{Better, How, Nature};
pub use operator::ThresholdOp;
pub use subjects::{NameError, Names, Subjects};

/// In a figure's name, a word that stands for the name of a step, a query or an arm.
const PLACEHOLDERS: [&str; 3] = ["STEP", "QUERY", "ARM"];

/// The figure that an arm that was cut bounds.
const TYPICAL_RATIO: &str = "ratio.QUERY.value";

/// A figure of a result.
#[derive(Debug)]
pub struct Figure {
    /// Its name, with its unit; `QUERY` and `ARM` stand for names of the profile.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it is known only once the job has ended.
    pub at_end: bool,
    of: Of,
}

/// What a figure comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The number.
    pub number: f64,
    /// What is known of it.
    pub known: Known,
}

/// How a number is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is that.
    Exactly,
    /// It is a lower bound, as something was given up that would have taken longer.
    AtLeast,
    /// It is an upper bound.
    AtMost,
}

type OfDurations<T> = fn(&T) -> Option<Percentiles>;

/// What a figure is read from.
#[derive(Debug)]
enum Of {
    Job(fn(&JobResult) -> Option<f64>),
    /// The queries of a job.
    Queries(fn(&JobResult) -> Option<f64>),
    Stream(fn(&StreamRun) -> Option<f64>),
    /// The readers of a stream.
    Readers(fn(&StreamRun) -> Option<f64>),
    /// The same, by what lies beside the stream in the result.
    ReadersJob(fn(&JobResult) -> Option<f64>),
    /// A value of durations, of which some may be known only to have been at least as long.
    Latency((OfDurations<StreamRun>, Percentile)),
    /// The same of all readers.
    ReadersLatency((OfDurations<StreamRun>, Percentile)),
    /// The same of a query in an arm.
    ReaderLatency((OfDurations<QueryReport>, Percentile)),
    /// Rows of a kind that only the full audit finds.
    Audit(fn(&LaneAudit) -> &Ranges),
    /// A query of a stream's readers in an arm.
    Reader(fn(&QueryReport) -> Option<f64>),
    /// A query of a benchmark in an arm.
    Bench(fn(&BenchArmReport) -> Option<f64>),
    /// The two arms of a query of a stream or a benchmark.
    Ratio(fn(&Comparison) -> Option<f64>),
    /// A query of a sweep.
    Swept(fn(&SweepQueryReport) -> Option<f64>),
}

macro_rules! figures {
    ($($of:ident $name:literal $(($at_end:ident))?, $help:literal, $value:expr;)*) => {
        /// Every figure, in the order of the documents. One name may stand for the same of a stream
        /// and of a benchmark.
        pub static FIGURES: &[Figure] = &[$(Figure {
            name: $name,
            help: $help,
            at_end: figures!(@at_end $($at_end)?),
            of: Of::$of($value),
        }),*];
    };
    (@at_end at_end) => { true };
    (@at_end) => { false };
}

figures! {
    Stream "rows_per_s", "rows acknowledged per second",
        |run| Some(run.stream.achieved_rows_per_s);
    Stream "rate_ratio", "achieved rate as a share of the target; needs a rate",
        |run| run.stream.measured.rate_ratio;
    Stream "delivered_ratio", "rows committed in the end, as a share of the rows that were due",
        |run| run.stream.measured.delivered_ratio;
    Latency "response_p50_ms", "median from a batch's due time to its commit",
        (|run| run.stream.response, Percentile::P50);
    Latency "response_p90_ms", "90th percentile from due time to commit",
        (|run| run.stream.response, Percentile::P90);
    Latency "response_p99_ms", "99th percentile from due time to commit",
        (|run| run.stream.response, Percentile::P99);
    Latency "response_p999_ms", "99.9th percentile from due time to commit",
        (|run| run.stream.response, Percentile::P999);
    Latency "response_max_ms", "longest time from due time to commit",
        (|run| run.stream.response, Percentile::Max);
    Latency "wait_p99_ms", "99th percentile from due time to sending",
        (|run| run.stream.wait, Percentile::P99);
    Latency "service_p99_ms", "99th percentile from sending to commit",
        (|run| run.stream.service, Percentile::P99);
    Latency "row_latency_p99_ms", "99th percentile from a row's due time to its commit",
        (|run| run.stream.row_latency, Percentile::P99);
    Latency "own_delay_p99_ms", "99th percentile of the delay that is strom-load's own",
        (|run| run.loader.own_delay, Percentile::P99);
    Stream "rows_dropped", "rows that were due and never sent",
        |run| Some(run.stream.rows_dropped as f64);
    Stream "rows_undecided", "rows that were sent, and nobody could tell what became of them",
        |run| Some(run.stream.rows_undecided as f64);
    Stream "batches_sync_unconfirmed", "batches whose wait for a synchronous standby was cancelled, or its end not heard",
        |run| Some(run.stream.batches_sync_unconfirmed as f64);
    Audit "rows_lost" (at_end), "acknowledged rows that are not in the table, by the full audit",
        |audit| &audit.lost;
    Audit "rows_doubled" (at_end), "rows that are in the table more than once, by the full audit",
        |audit| &audit.doubled;
    Audit "rows_altered" (at_end), "rows that are there with other values, by the full audit",
        |audit| &audit.altered;
    Stream "outages", "times in which a partition's producer got nothing done",
        |run| Some(run.stream.outages.len() as f64);
    Stream "outage_max_s", "the longest of those",
        |run| Some(run.stream.outages.iter().map(|outage| outage.length_s).fold(0.0, f64::max));
    Stream "clock_steps", "times that this machine's clock or the server's was set meanwhile",
        |run| Some(run.clock_steps.len() as f64);
    Stream "wal_bytes_per_row" (at_end),
        "bytes that the server wrote to its write-ahead log for each acknowledged row, whoever had it do that",
        |run| per_row(run, run.server_work.as_ref()?.wal_bytes? as f64);
    Stream "backend_cpu_us_per_row" (at_end),
        "CPU time of the producers' backends for each acknowledged row, in microseconds; on the server's machine",
        |run| per_row(run, run.server_work.as_ref()?.backend_cpu_s? * 1e6);
    Readers "queries_per_s", "queries answered per second",
        // The sum of nothing is -0.
        |run| Some(run.queries.iter().map(|query| query.queries_per_s).sum::<f64>() + 0.0);
    ReadersLatency "query_p50_ms", "median response time of the readers' queries",
        (|run| responses(run), Percentile::P50);
    ReadersLatency "query_p99_ms", "99th percentile of the response time of the readers' queries",
        (|run| responses(run), Percentile::P99);
    Readers "query_errors", "queries that failed",
        |run| Some(query_errors(run) as f64);
    Readers "queries_dropped", "queries that were due and never asked; needs a query rate",
        |run| run.queries_due.as_ref().map(|queries| queries.dropped as f64);
    ReadersLatency "answer_age_p99_ms",
        "99th percentile of how long ago the oldest row was due that an answer misses",
        (|run| merged(run, |query| &query.histograms.answer_age).percentiles(), Percentile::P99);
    ReadersLatency "answer_age_max_ms", "greatest age of an answer",
        (|run| merged(run, |query| &query.histograms.answer_age).percentiles(), Percentile::Max);
    ReadersLatency "freshness_p99_ms",
        "99th percentile of how long a row had been acknowledged that a query did not see",
        (|run| merged(run, |query| &query.histograms.freshness).percentiles(), Percentile::P99);
    ReadersLatency "freshness_max_ms", "greatest of these",
        (|run| merged(run, |query| &query.histograms.freshness).percentiles(), Percentile::Max);
    ReadersJob "joules_per_query",
        "energy of all GPUs for each measured query of all arms, what else ran on them included",
        |result| result.gpus.per_query.and_then(|each| each.joules);
    Job "errors", "failed batches and queries",
        |result| Some(errors(result) as f64);
    Queries "answers_different",
        "comparisons that found the arms' answers to differ, and timed executions that had another one",
        answers_different;
    Queries "gpu_proven",
        "share of the queries with the GPU switched on whose plan proves that the GPU did the work",
        gpu_proven;
    ReaderLatency "query.QUERY.ARM.p50_ms", "median response time of a query in an arm",
        (|query| query.response, Percentile::P50);
    ReaderLatency "query.QUERY.ARM.p90_ms", "90th percentile",
        (|query| query.response, Percentile::P90);
    ReaderLatency "query.QUERY.ARM.p99_ms", "99th percentile",
        (|query| query.response, Percentile::P99);
    ReaderLatency "query.QUERY.ARM.p999_ms", "99.9th percentile",
        (|query| query.response, Percentile::P999);
    ReaderLatency "query.QUERY.ARM.max_ms", "longest response time",
        (|query| query.response, Percentile::Max);
    ReaderLatency "query.QUERY.ARM.answer_age_p99_ms", "99th percentile of the age of its answers",
        (|query| query.answer_age, Percentile::P99);
    ReaderLatency "query.QUERY.ARM.freshness_p99_ms", "99th percentile of its freshness",
        (|query| query.freshness, Percentile::P99);
    Reader "query.QUERY.ARM.queries_per_s", "answers per second",
        |query| Some(query.queries_per_s);
    Reader "query.QUERY.ARM.executions", "answers, warm-up included",
        |query| Some(query.executions as f64);
    Reader "query.QUERY.ARM.errors", "executions that failed",
        |query| Some(query.errors.values().sum::<u64>() as f64);
    Reader "query.QUERY.ARM.gpu_proven", "1 if its plan proves that the GPU did the work, else 0",
        |query| proven(query.plan.as_ref());
    Bench "query.QUERY.ARM.p50_ms", "median service time of a query in an arm",
        |arm| arm.median_ms;
    Bench "query.QUERY.ARM.min_ms", "shortest service time",
        |arm| arm.min_ms;
    Bench "query.QUERY.ARM.max_ms", "longest service time",
        |arm| arm.max_ms;
    Bench "query.QUERY.ARM.cold_ms", "service time of the first execution",
        |arm| arm.cold_ms;
    Bench "query.QUERY.ARM.queries_per_s", "what one session can run of it in a second",
        |arm| arm.queries_per_s;
    Bench "query.QUERY.ARM.executions", "measured executions",
        |arm| Some(arm.executions as f64);
    Bench "query.QUERY.ARM.errors", "executions that failed",
        |arm| Some(arm.failures as f64);
    Bench "query.QUERY.ARM.gpu_proven", "1 if its plan proves that the GPU did the work, else 0",
        |arm| proven(arm.plan.as_ref());
    Ratio "ratio.QUERY.value" (at_end), "typical ratio of the first arm to the second within a pair: off ÷ on",
        |times| times.ratio;
    Ratio "ratio.QUERY.low" (at_end), "lower end of the interval of that ratio",
        |times| times.low;
    Ratio "ratio.QUERY.high" (at_end), "upper end",
        |times| times.high;
    Ratio "ratio.QUERY.pairs" (at_end), "pairs that it rests on",
        |times| Some(times.pairs as f64);
    Swept "query.QUERY.best_ms", "least median service time of a query over all combinations",
        |query| medians(query).reduce(f64::min);
    Swept "query.QUERY.worst_ms", "greatest median",
        |query| medians(query).reduce(f64::max);
    Swept "query.QUERY.errors", "executions that failed",
        |query| Some(query.combinations.iter().map(|cell| cell.failures).sum::<u64>() as f64);
}

impl Figure {
    /// The kinds of jobs that have it, as results name them.
    pub fn kinds(&self) -> &'static [&'static str] {
        match self.of {
            Of::Job(_) | Of::Queries(_) => &["stream", "faults", "benchmark", "sweep"],
            Of::Stream(_)
            | Of::Readers(_)
            | Of::ReadersJob(_)
            | Of::Latency(_)
            | Of::ReadersLatency(_)
            | Of::ReaderLatency(_)
            | Of::Audit(_)
            | Of::Reader(_) => &["stream", "faults"],
            Of::Bench(_) => &["benchmark"],
            Of::Ratio(_) => &["stream", "faults", "benchmark"],
            Of::Swept(_) => &["sweep"],
        }
    }

    /// Whether only the full audit finds it out.
    pub(crate) fn is_of_audit(&self) -> bool {
        matches!(self.of, Of::Audit(_))
    }

    /// Whether there is none without queries.
    fn is_of_queries(&self) -> bool {
        !matches!(self.of, Of::Job(_) | Of::Stream(_) | Of::Latency(_) | Of::Audit(_))
    }
}

/// A figure of a certain step, query and arm, as far as it has those.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedFigure {
    /// Which.
    pub figure: &'static Figure,
    /// The step of a benchmark; `None` where it has but one.
    pub step: Option<String>,
    /// The query.
    pub query: Option<String>,
    /// The arm.
    pub arm: Option<String>,
}

/// Two are the same if they have one name and are read from the same.
impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl NamedFigure {
    /// What it comes to in a result; `None` if it was not measured, or rests on too few samples.
    pub fn value(&self, result: &JobResult) -> Option<Value> {
        let value = match self.durations(result) {
            Some((durations, percentile)) => {
                let durations = durations.filter(|of| percentile.is_known(of.count));
                durations.map(|of| {
                    let number = percentile.ms(&of);
                    let is_bound = of.is_at_least(number);
                    let known = if is_bound { Known::AtLeast } else { Known::Exactly };
                    Value { number, known }
                })
            }
            None => {
                let exactly = |number| Value { number, known: Known::Exactly };
                self.number(result).map(exactly).or_else(|| self.bound(result))
            }
        };
        value.filter(|value| value.number.is_finite())
    }

    /// That its durations were measured, and are too few for it.
    pub fn too_few(&self, result: &JobResult) -> Option<TooFew> {
        let (durations, percentile) = self.durations(result)?;
        percentile.known_of(durations?.count).err()
    }

    /// The durations that it is a value of, as far as they were measured; `None`: it is of none.
    fn durations(&self, result: &JobResult) -> Option<(Option<Percentiles>, Percentile)> {
        match self.figure.of {
            Of::Latency((of, percentile)) | Of::ReadersLatency((of, percentile)) => {
                Some((result.stream().and_then(of), percentile))
            }
            Of::ReaderLatency((of, percentile)) => {
                Some((self.read_by(result).and_then(of), percentile))
            }
            _ => None,
        }
    }

    /// The same of what is no duration.
    fn number(&self, result: &JobResult) -> Option<f64> {
        match self.figure.of {
            Of::Latency(_) | Of::ReadersLatency(_) | Of::ReaderLatency(_) => None,
            Of::Job(value) | Of::Queries(value) | Of::ReadersJob(value) => value(result),
            Of::Stream(value) | Of::Readers(value) => value(result.stream()?),
            Of::Audit(rows) => audited(result.stream()?, rows),
            Of::Reader(value) => value(self.read_by(result)?),
            Of::Bench(value) => {
                let mut arms = self.benched(result)?.arms.iter();
                value(arms.find(|arm| self.arm.as_ref() == Some(&arm.arm))?)
            }
            Of::Ratio(value) => value(self.times(result)?),
            Of::Swept(value) => {
                let Body::Sweep(run) = &result.body else { return None };
                value(run.sweep.queries.iter().find(|query| self.is_of(&query.query, None))?)
            }
        }
    }

    /// The query of a stream's readers in the arm.
    fn read_by<'a>(&self, result: &'a JobResult) -> Option<&'a QueryReport> {
        let mut queries = result.stream()?.queries.iter();
        queries.find(|query| self.is_of(&query.query, Some(&query.arm)))
    }

    fn is_of(&self, query: &String, arm: Option<&String>) -> bool {
        self.query.as_ref() == Some(query) && self.arm.as_ref() == arm
    }

    fn benched<'a>(&self, result: &'a JobResult) -> Option<&'a BenchQueryReport> {
        let Body::Benchmark(run) = &result.body else { return None };
        let is_step = |name: &String| self.step.as_ref().is_none_or(|own| own == name);
        let mut steps = run.steps.iter().filter(|step| is_step(&step.name));
        steps.find_map(|step| {
            step.queries.iter().find(|query| self.query.as_ref() == Some(&query.query))
        })
    }

    /// What bounds the typical ratio of a query that made no pair, as it was cut in an arm.
    fn bound(&self, result: &JobResult) -> Option<Value> {
        if self.figure.name != TYPICAL_RATIO {
            return None;
        }
        let (tried, pairs) = match result.stream() {
            Some(run) => {
                let mut pairs = run.comparisons.iter();
                let pair = pairs.find(|pair| self.is_of(&pair.query, None) && pair.valid)?;
                (pair.tried.as_ref()?, pair.times.as_ref())
            }
            None => {
                let query = self.benched(result).filter(|query| query.valid)?;
                (query.tried.as_ref()?, query.times.as_ref())
            }
        };
        let known = match tried.known {
            RatioKnown::AtLeast => Known::AtLeast,
            RatioKnown::AtMost => Known::AtMost,
            RatioKnown::Once | RatioKnown::Nothing => return None,
        };
        let number = tried.ratio.filter(|_| pairs.is_none())?;
        Some(Value { number, known })
    }

    /// The two arms compared; not if their answers differ, which makes a ratio mean nothing.
    fn times<'a>(&self, result: &'a JobResult) -> Option<&'a Comparison> {
        if let Some(run) = result.stream() {
            let mut pairs = run.comparisons.iter();
            let pair = pairs.find(|pair| self.is_of(&pair.query, None))?;
            return pair.times.as_ref().filter(|_| pair.valid);
        }
        let query = self.benched(result)?;
        query.times.as_ref().filter(|_| query.valid)
    }
}

impl fmt::Display for NamedFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(f, "step.{step}.")?;
        }
        for (number, part) in self.figure.name.split('.').enumerate() {
            let name = match part {
                "QUERY" => self.query.as_deref(),
                "ARM" => self.arm.as_deref(),
                _ => None,
            };
            let dot = if number > 0 { "." } else { "" };
            write!(f, "{dot}{}", name.unwrap_or(part))?;
        }
        Ok(())
    }
}

/// A sum over the whole schedule for each row that was acknowledged in it.
fn per_row(run: &StreamRun, sum: f64) -> Option<f64> {
    let rows = run.stream.rows_acknowledged;
    (rows > 0).then(|| sum / rows as f64)
}

/// Rows of a kind that the audit found; `None` where rows were not read back.
fn audited(run: &StreamRun, of: fn(&LaneAudit) -> &Ranges) -> Option<f64> {
    let audit = run.stream.audit.as_ref()?;
    Some(audit.iter().map(|partition| of(partition).rows()).sum::<u64>() as f64)
}

fn merged(run: &StreamRun, of: fn(&QueryReport) -> &Times) -> Times {
    let mut times = Times::default();
    run.queries.iter().for_each(|query| times.merge(of(query)));
    times
}

/// Of all queries that were due: those that were never asked have waited at least as long.
fn responses(run: &StreamRun) -> Option<Percentiles> {
    let mut times = merged(run, |query| &query.histograms.response);
    if let Some(due) = &run.queries_due {
        times.merge(&due.dropped_age);
    }
    times.percentiles()
}

fn query_errors(run: &StreamRun) -> u64 {
    run.queries.iter().flat_map(|query| query.errors.values()).sum()
}

fn medians(query: &SweepQueryReport) -> impl Iterator<Item = f64> {
    query.combinations.iter().filter_map(|cell| cell.median_ms)
}

fn errors(result: &JobResult) -> u64 {
    match &result.body {
        Body::Stream(_) | Body::Faults(_) => result
            .stream()
            .map_or(0, |run| run.stream.errors.values().sum::<u64>() + query_errors(run)),
        Body::Benchmark(run) => {
            run.queries().flat_map(|query| &query.arms).map(|arm| arm.failures).sum()
        }
        Body::Sweep(run) => run.sweep.cells().map(|cell| cell.failures).sum(),
    }
}

/// `None` where nothing was compared.
fn answers_different(result: &JobResult) -> Option<f64> {
    let answers: Vec<&AnswerHistory> = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            result.stream()?.comparisons.iter().map(|pair| &pair.answers).collect()
        }
        Body::Benchmark(run) => run.queries().map(|query| &query.answers).collect(),
        Body::Sweep(run) => run.sweep.cells().map(|cell| &cell.answers).collect(),
    };
    let compared = answers.iter().any(|answers| answers.checks > 0);
    let different = |answers: &&AnswerHistory| {
        answers.different + answers.timed.as_ref().map_or(0, |timed| timed.different)
    };
    compared.then(|| answers.iter().map(different).sum::<u64>() as f64)
}

/// 1 or 0; `None` before a plan was looked at or executed.
fn proven(plan: Option<&PlanHistory>) -> Option<f64> {
    let plan = plan.filter(|plan| plan.looks > 0 || !plan.executed.is_empty())?;
    Some(f64::from(u8::from(plan.verdict() == Verdict::Gpu)))
}

/// The mean over all queries with the GPU switched on; `None` where there is none, or one whose plan
/// was not looked at.
fn gpu_proven(result: &JobResult) -> Option<f64> {
    let plans: Vec<(Gpu, Option<&PlanHistory>)> = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let queries = result.stream()?.queries.iter();
            queries.map(|query| (query.gpu, query.plan.as_ref())).collect()
        }
        Body::Benchmark(run) => {
            let arms = run.queries().flat_map(|query| &query.arms);
            arms.map(|arm| (arm.gpu, arm.plan.as_ref())).collect()
        }
        Body::Sweep(run) => run.sweep.cells().map(|cell| (cell.gpu, cell.plan.as_ref())).collect(),
    };
    let on = plans.into_iter().filter(|(gpu, _)| *gpu == Gpu::On);
    let proven = on.map(|(_, plan)| proven(plan)).collect::<Option<Vec<f64>>>()?;
    (!proven.is_empty()).then(|| proven.iter().sum::<f64>() / proven.len() as f64)
}

#[cfg(test)]
#[path = "figure/tests.rs"]
mod tests;
