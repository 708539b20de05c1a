//! Makes the result that is saved from what was measured, at each checkpoint and at the end.

mod benchmark;
mod draft;
mod gpus;
mod loader;
mod queries;
mod sweep;
mod timeline;

use std::time::{Duration, SystemTime};

use crate::plan::{Plan, StreamJob, StreamRate, Threshold};
use crate::profile::Profile;
use crate::record::gpu::GpuUsage;
use crate::record::{PartitionAudit, ReaderTally, StreamTally, Tally, Times, WorkTimes};
use crate::result::gpu::GpusReport;
use crate::result::server::ServerReport;
use crate::result::stream::{
    MeasuredRows, OutageReport, PartitionReport, StreamHistograms, StreamReport, StreamRun,
};
use crate::result::{Body, FORMAT_VERSION, JobResult, Status, ThresholdReport};
use crate::watch::process::ProcessCost;

pub(super) use benchmark::benchmark_query;
pub(super) use draft::Draft;
pub(super) use gpus::gpu_report;
pub(super) use queries::QueryFindings;
pub(super) use sweep::{Cells, note_sweep, sweep_begun};
pub(super) use timeline::Timeline;

/// With more partitions than this their histograms are not saved one by one.
const PARTITION_HISTOGRAMS_MAX: usize = 64;

/// Everything that a report is made of.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    /// What was asked for.
    pub(super) plan: &'a Plan<StreamJob>,
    /// What it was done to.
    pub(super) server: &'a ServerReport,
    /// Start of the schedule.
    pub(super) started_at: SystemTime,
    /// Measured time.
    pub(super) measured: Duration,
    /// Time since the start of the schedule.
    pub(super) took: Duration,
    /// How it stands.
    pub(super) status: Status,
    /// What ended it early.
    pub(super) error: Option<String>,
    /// The table as it was made ready.
    pub(super) table: &'a crate::pg::table::StreamTable,
    /// Each partition's totals.
    pub(super) partitions: &'a [&'a PartitionTotals],
    /// Each query, in the plan's order.
    pub(super) queries: &'a [QueryFindings<'a>],
    /// What became of the queries that were due.
    pub(super) queries_due: ReaderTally,
    /// Rows found by SQL.
    pub(super) rows_found: Option<u64>,
    /// What reading every row back showed.
    pub(super) audit: Option<Vec<PartitionAudit>>,
    /// Why they were not looked for.
    pub(super) not_checked: Option<String>,
    /// What the run cost this process.
    pub(super) cost: ProcessCost,
    /// The GPUs that are watched.
    pub(super) gpus: &'a crate::watch::gpu::Found,
    /// What each of them did in the measurement.
    pub(super) gpu_totals: Vec<&'a GpuUsage>,
    /// The run over time.
    pub(super) timeline: &'a Timeline,
}

/// What the table shows of a run.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rows of the run.
    pub(super) rows: Option<u64>,
    /// What reading each of them back showed.
    pub(super) audit: Option<Vec<PartitionAudit>>,
    /// Why they were not looked for, if they were to be.
    pub(super) not_checked: Option<String>,
}

/// Totals of one partition.
#[derive(Debug, Default)]
pub(super) struct PartitionTotals {
    /// Its number.
    pub(super) number: u32,
    /// The id of its first row of this run.
    pub(super) first_id: i64,
    /// Rows due, warm-up included.
    pub(super) rows_due: u64,
    /// Rows due in the measurement.
    pub(super) rows_due_measured: u64,
    /// What the producer did.
    pub(super) tally: StreamTally,
}

/// Makes the result of a stream.
pub(super) fn stream(findings: &Findings<'_>) -> JobResult {
    let plan = findings.plan;
    let mut total = StreamTally::default();
    findings.partitions.iter().for_each(|partition| total.merge(&partition.tally));
    let measured_s = findings.measured.as_secs_f64();
    let stream = stream_report(findings, &total, measured_s);
    let loader = loader::loader(findings, &total, &stream);
    let run = StreamRun {
        origin_us: unix_us(findings.started_at),
        measured_s,
        stream,
        queries_due: queries::due(findings),
        queries: queries::reports(findings.queries, measured_s),
        comparisons: queries::comparisons(findings),
        loader,
        intervals: findings.timeline.reports(),
    };
    let gpus = gpus::report(plan.common.watch, findings.gpus, &findings.gpu_totals);
    let mut result = envelope(plan.into(), findings.server, gpus, Body::Stream(Box::new(run)));
    result.status = findings.status;
    result.error.clone_from(&findings.error);
    result.began(findings.started_at, findings.took);
    if findings.status != Status::Running {
        judge(&mut result, &plan.common.thresholds);
    }
    result
}

/// The envelope of a job that has just begun.
fn envelope(plan: Profile, server: &ServerReport, gpus: GpusReport, body: Body) -> JobResult {
    JobResult {
        format_version: FORMAT_VERSION,
        strom_load_version: env!("CARGO_PKG_VERSION").to_owned(),
        status: Status::Running,
        error: None,
        started_at: String::new(),
        took_s: 0.0,
        plan,
        server: server.clone(),
        gpus,
        thresholds: Vec::new(),
        shortfalls: Vec::new(),
        body,
    }
}

impl JobResult {
    /// Notes when the job began and how long it has taken.
    pub(super) fn began(&mut self, at: SystemTime, took: Duration) {
        self.started_at = humantime::format_rfc3339_millis(at).to_string();
        self.took_s = took.as_secs_f64();
    }
}

/// Judges the thresholds.
pub(super) fn judge(result: &mut JobResult, thresholds: &[Threshold]) {
    let Some(run) = result.stream() else { return };
    let mut response = Times::default();
    run.queries.iter().for_each(|query| response.merge(&query.histograms.response));
    let query_errors = run.queries.iter().flat_map(|query| query.errors.values());
    let errors: u64 = run.stream.errors.values().chain(query_errors).sum();
    let stream = &run.stream;
    let figure = |name: &str| match name {
        "response_p50_ms" => stream.response.map(|p| p.p50_ms),
        "response_p99_ms" => stream.response.map(|p| p.p99_ms),
        "response_p999_ms" => stream.response.map(|p| p.p999_ms),
        "response_max_ms" => stream.response.map(|p| p.max_ms),
        "wait_p99_ms" => stream.wait.map(|p| p.p99_ms),
        "service_p99_ms" => stream.service.map(|p| p.p99_ms),
        "row_latency_p99_ms" => stream.row_latency.map(|p| p.p99_ms),
        "rate_ratio" => Some(stream.measured.rate_ratio),
        "rows_dropped" => Some(stream.rows_dropped as f64),
        "errors" => Some(errors as f64),
        "query_p99_ms" => response.percentiles().map(|p| p.p99_ms),
        _ => None,
    };
    let judged = thresholds.iter().map(|threshold| {
        let value = figure(&threshold.figure);
        let passed = value.is_some_and(|value| threshold.op.holds(value, threshold.limit));
        ThresholdReport { threshold: threshold.to_string(), value, passed }
    });
    result.thresholds = judged.collect();
}

fn stream_report(findings: &Findings<'_>, total: &StreamTally, measured_s: f64) -> StreamReport {
    let sum = |of: fn(&PartitionTotals) -> u64| {
        findings.partitions.iter().map(|partition| of(partition)).sum::<u64>()
    };
    let due_measured = sum(|partition| partition.rows_due_measured);
    let acknowledged_measured = total.rows_acknowledged_measured;
    let WorkTimes { wait, service, response } = &total.batch;
    let with_histograms = findings.partitions.len() <= PARTITION_HISTOGRAMS_MAX;
    StreamReport {
        table_created: findings.table.created,
        partitions_added: findings.table.partitions_added,
        rows_before: findings.table.created.then_some(0),
        target_rows_per_s: match findings.plan.job.stream.rate {
            StreamRate::RowsPerSecond(rate) => Some(rate.get()),
            StreamRate::Max => None,
        },
        achieved_rows_per_s: per_second(acknowledged_measured, measured_s),
        rows_due: sum(|partition| partition.rows_due),
        rows_sent: total.rows_sent,
        rows_acknowledged: total.rows_acknowledged,
        rows_dropped: total.account.dropped.rows(),
        rows_undecided: total.account.undecided.rows(),
        rows_found: findings.rows_found,
        not_checked: findings.not_checked.clone(),
        audit: findings.audit.clone(),
        measured: MeasuredRows {
            rows_due: due_measured,
            rows_acknowledged: acknowledged_measured,
            rate_ratio: if due_measured == 0 {
                0.0
            } else {
                acknowledged_measured as f64 / due_measured as f64
            },
        },
        batches: total.batches,
        batches_late: total.batches_late,
        copy_bytes: total.bytes,
        wait: wait.percentiles(),
        service: service.percentiles(),
        response: response.percentiles(),
        row_latency: total.row.percentiles(),
        batches_resent: total.batches_resent,
        recovery: total.outage.percentiles(),
        outages_unrecovered: total.outages_unrecovered,
        outages: outage_reports(findings),
        errors: total.errors.clone(),
        histograms: StreamHistograms {
            wait: wait.clone(),
            service: service.clone(),
            response: response.clone(),
            row_latency: total.row.clone(),
            own_delay: total.own_delay.clone(),
        },
        partitions: findings
            .partitions
            .iter()
            .map(|partition| {
                let tally = &partition.tally;
                PartitionReport {
                    partition: partition.number,
                    first_id: partition.first_id,
                    rows_due: partition.rows_due,
                    rows_sent: tally.rows_sent,
                    rows_acknowledged: tally.rows_acknowledged,
                    rows_dropped: tally.account.dropped.rows(),
                    account: tally.account.clone(),
                    wait: tally.batch.wait.percentiles(),
                    service: tally.batch.service.percentiles(),
                    response: tally.batch.response.percentiles(),
                    row_latency: tally.row.percentiles(),
                    response_histogram: with_histograms.then(|| tally.batch.response.clone()),
                }
            })
            .collect(),
    }
}

fn outage_reports(findings: &Findings<'_>) -> Vec<OutageReport> {
    let of = |totals: &&PartitionTotals| {
        let partition = totals.number;
        totals.tally.outages.clone().into_iter().map(move |outage| OutageReport {
            partition,
            start_s: outage.start.as_secs_f64(),
            length_s: outage.length.as_secs_f64(),
            sqlstate: outage.code,
            recovered: outage.recovered,
        })
    };
    findings.partitions.iter().flat_map(of).collect()
}

/// Microseconds since the Unix epoch.
pub(super) fn unix_us(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
