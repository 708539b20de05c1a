//! Makes the result that is saved from what was measured, at each checkpoint and at the end.

mod benchmark;
mod draft;
mod gpus;
mod loader;
mod plans;
mod queries;
mod sweep;
mod timeline;

use std::time::{Duration, SystemTime};

use crate::plan::{Plan, StreamJob};
use crate::profile::Profile;
use crate::record::gpu::GpuUsage;
use crate::record::{PartitionAudit, ReaderTally, StreamTally, Tally, WorkTimes};
use crate::result::gpu::GpusReport;
use crate::result::server::ServerReport;
use crate::result::stream::{
    MeasuredRows, OutageReport, PartitionReport, StreamHistograms, StreamReport, StreamRun,
};
use crate::result::{Body, FORMAT_VERSION, JobResult, Status};

use super::self_watch::OwnFindings;

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
    /// The schedule after the warm-up: its length and its mean rate; `None` when unthrottled.
    pub(super) scheduled: Option<(Duration, f64)>,
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
    /// What the run cost this process, and how it fared.
    pub(super) own: OwnFindings,
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
        queries_due: loader::queries_due(findings),
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
        target_rows_per_s: findings.scheduled.map(|(_, target)| target.round() as u64),
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
            scheduled_s: findings.scheduled.map(|(length, _)| length.as_secs_f64()),
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
        attempts_failed: total.attempts_failed.clone(),
        histograms: StreamHistograms {
            wait: wait.clone(),
            service: service.clone(),
            response: response.clone(),
            row_latency: total.row.clone(),
            own_delay: total.own_delay.clone(),
            without_own: total.without_own.clone(),
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
