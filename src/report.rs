//! The saved result of a run, and everything that is rendered from it. Reads no live state.

pub mod bench;
mod gpu;
pub mod index;
mod loader;
mod query;
mod summary;
pub mod sweep;
mod timeline;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::pg::facts::ServerFacts;
use crate::plan::{Delivery, Plan, StreamJob, StreamRate};
use crate::record::gpu::GpuUsage;
use crate::record::{Account, PartitionAudit, Percentiles, StreamTally, Tally, Times, WorkTimes};
use crate::watch::process::ProcessCost;

pub use gpu::{GpuReport, GpusReport};
pub use loader::{Bottleneck, LoaderReport};
pub use query::{ComparisonReport, QueryFindings, QueryReport};
pub use summary::{differences, summary};
pub use timeline::{IntervalReport, Timeline};

/// Version of the format of `result.json`; docs/result.md describes it. Additions keep it,
/// everything else raises it.
pub const FORMAT_VERSION: u32 = 1;

/// A run, as saved.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of strom-load.
    pub strom_load_version: &'static str,
    /// How the run stands or ended.
    pub status: Status,
    /// What ended it early, if anything did.
    pub error: Option<String>,
    /// Start of the schedule, RFC 3339 in UTC.
    pub started_at: String,
    /// The same in microseconds since the Unix epoch: the origin of the rows' due times.
    pub origin_us: i64,
    /// Measured time so far, in seconds: from the end of the warm-up to the last acknowledgement.
    pub measured_s: f64,
    /// What was asked for.
    pub plan: Plan<StreamJob>,
    /// What it was done to.
    pub server: ServerReport,
    /// The stream.
    pub stream: StreamReport,
    /// Each query in each arm.
    pub queries: Vec<QueryReport>,
    /// The two arms of each query that has two, compared.
    pub comparisons: Vec<ComparisonReport>,
    /// The GPUs of this machine.
    pub gpus: GpusReport,
    /// Cost and verdict on the loader itself.
    pub loader: LoaderReport,
    /// Each threshold with its verdict; empty until the end.
    pub thresholds: Vec<ThresholdReport>,
    /// The run over time, at most some hundred points.
    pub intervals: Vec<IntervalReport>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
}

/// The server of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ServerReport {
    /// Its address, without secrets.
    pub address: String,
    /// Whether strom-load started it.
    pub embedded: bool,
    /// Whether PG-Strom is loaded.
    pub pg_strom_loaded: bool,
    /// Version and settings.
    #[serde(flatten)]
    pub facts: ServerFacts,
}

/// What came of the stream.
#[derive(Debug, Serialize)]
pub struct StreamReport {
    /// Whether this run created the table.
    pub table_created: bool,
    /// Partitions added to a table that was there.
    pub partitions_added: u32,
    /// Target; `None` when unthrottled.
    pub target_rows_per_s: Option<u64>,
    /// Rows acknowledged in the measurement, per second.
    pub achieved_rows_per_s: f64,
    /// Rows due, warm-up included.
    pub rows_due: u64,
    /// Rows whose batch was sent.
    pub rows_sent: u64,
    /// Rows whose batch was committed.
    pub rows_acknowledged: u64,
    /// Rows that were due and never sent.
    pub rows_dropped: u64,
    /// Rows that were sent and whose fate could not be found out.
    pub rows_undecided: u64,
    /// Rows of this run that the table holds, by SQL; `None` if they were not counted.
    pub rows_found: Option<u64>,
    /// What reading every row back showed, by partition; `None` if it was not done.
    pub audit: Option<Vec<PartitionAudit>>,
    /// The same figures for the measurement only.
    pub measured: MeasuredRows,
    /// Batches committed.
    pub batches: u64,
    /// Batches sent more than 1 ms late.
    pub batches_late: u64,
    /// COPY data sent, in bytes.
    pub copy_bytes: u64,
    /// Batches: from due to sent.
    pub wait: Option<Percentiles>,
    /// Batches: from sent to acknowledged.
    pub service: Option<Percentiles>,
    /// Batches: from due to acknowledged.
    pub response: Option<Percentiles>,
    /// Rows: from the row's own due time to its acknowledgement.
    pub row_latency: Option<Percentiles>,
    /// Attempts to send a batch again.
    pub batches_resent: u64,
    /// Lengths of the producers' outages, from the first failure to the next success.
    pub recovery: Option<Percentiles>,
    /// Outages that ended a producer, and so the run. They have no part in `recovery`.
    pub outages_unrecovered: u64,
    /// The first outages of each partition, one by one.
    pub outages: Vec<OutageReport>,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Each partition.
    pub partitions: Vec<PartitionReport>,
}

/// A time in which a partition's producer got nothing done.
#[derive(Debug, Serialize)]
pub struct OutageReport {
    /// The partition.
    pub partition: u32,
    /// When the first attempt failed, in seconds since the start of the schedule.
    pub start_s: f64,
    /// Until the next success, or until it was given up, in seconds.
    pub length_s: f64,
    /// SQLSTATE of the first error.
    pub sqlstate: String,
    /// Whether it ended in success.
    pub recovered: bool,
}

/// Rows of the measurement.
#[derive(Debug, Serialize)]
pub struct MeasuredRows {
    /// Rows due.
    pub rows_due: u64,
    /// Rows committed.
    pub rows_acknowledged: u64,
    /// Committed as a share of due.
    pub rate_ratio: f64,
}

/// What came of one partition.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// Its number.
    pub partition: u32,
    /// The id of its first row of this run.
    pub first_id: i64,
    /// Rows due.
    pub rows_due: u64,
    /// Rows sent.
    pub rows_sent: u64,
    /// Rows committed.
    pub rows_acknowledged: u64,
    /// Rows due and never sent.
    pub rows_dropped: u64,
    /// What became of each row, by sequence number; its id is `first_id` plus that.
    pub account: Account,
    /// From due to sent.
    pub wait: Option<Percentiles>,
    /// From sent to acknowledged.
    pub service: Option<Percentiles>,
    /// From due to acknowledged.
    pub response: Option<Percentiles>,
    /// Each row from its own due time.
    pub row_latency: Option<Percentiles>,
}

/// A threshold with its verdict.
#[derive(Debug, Serialize)]
pub struct ThresholdReport {
    /// As written.
    pub threshold: String,
    /// What the figure came to; `None` if nothing was measured.
    pub value: Option<f64>,
    /// Whether it holds. A figure that was not measured does not hold.
    pub passed: bool,
}

/// Everything that a report is made of.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What was asked for.
    pub plan: &'a Plan<StreamJob>,
    /// What it was done to.
    pub server: &'a ServerReport,
    /// Start of the schedule.
    pub started_at: std::time::SystemTime,
    /// Measured time.
    pub measured: Duration,
    /// How it stands.
    pub status: Status,
    /// What ended it early.
    pub error: Option<String>,
    /// The table as it was made ready.
    pub table: &'a crate::pg::table::StreamTable,
    /// Each partition's totals.
    pub partitions: &'a [&'a PartitionTotals],
    /// Each query, in the plan's order.
    pub queries: &'a [QueryFindings<'a>],
    /// Rows found by SQL.
    pub rows_found: Option<u64>,
    /// What reading every row back showed.
    pub audit: Option<Vec<PartitionAudit>>,
    /// What the run cost this process.
    pub cost: ProcessCost,
    /// The GPUs that are watched.
    pub gpus: &'a crate::watch::gpu::Found,
    /// What each of them did in the measurement.
    pub gpu_totals: Vec<&'a GpuUsage>,
    /// The run over time.
    pub timeline: &'a Timeline,
}

/// Totals of one partition.
#[derive(Debug, Default)]
pub struct PartitionTotals {
    /// Rows due, warm-up included.
    pub rows_due: u64,
    /// Rows due in the measurement.
    pub rows_due_measured: u64,
    /// What the producer did.
    pub tally: StreamTally,
}

impl RunReport {
    /// Makes the report of a run.
    pub fn new(findings: &Findings<'_>) -> Self {
        let plan = findings.plan;
        let mut total = StreamTally::default();
        findings.partitions.iter().for_each(|partition| total.merge(&partition.tally));
        let measured_s = findings.measured.as_secs_f64();
        let stream = stream_report(findings, &total, measured_s);
        let loader = LoaderReport::new(findings, &total, &stream);
        let mut report = Self {
            format_version: FORMAT_VERSION,
            strom_load_version: env!("CARGO_PKG_VERSION"),
            status: findings.status,
            error: findings.error.clone(),
            started_at: humantime::format_rfc3339_millis(findings.started_at).to_string(),
            origin_us: unix_us(findings.started_at),
            measured_s,
            plan: plan.clone(),
            server: findings.server.clone(),
            stream,
            queries: query::reports(findings.queries, measured_s),
            comparisons: query::comparisons(findings),
            gpus: GpusReport::new(findings),
            loader,
            thresholds: Vec::new(),
            intervals: findings.timeline.reports(),
        };
        if findings.status != Status::Running {
            report.judge(findings.queries);
        }
        report
    }

    /// Whether every threshold holds.
    pub fn thresholds_hold(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.passed)
    }

    /// Whether the table holds what was acknowledged: no fewer rows, and no more than were sent.
    pub fn rows_add_up(&self) -> bool {
        let stream = &self.stream;
        if let Some(audit) = &stream.audit {
            let may_double = self.plan.job.recovery.delivery == Delivery::AtLeastOnce;
            return audit.iter().all(|partition| partition.is_right(may_double));
        }
        stream
            .rows_found
            .is_none_or(|found| (stream.rows_acknowledged..=stream.rows_sent).contains(&found))
    }

    /// Whether no comparison found the arms of a query to give different answers.
    pub fn answers_agree(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.answers.different == 0)
    }

    fn judge(&mut self, queries: &[QueryFindings<'_>]) {
        let mut response = Times::default();
        let tallies = queries.iter().flat_map(|query| &query.tallies);
        tallies.for_each(|tally| response.merge(&tally.times.response));
        let query_errors = self.queries.iter().flat_map(|query| query.errors.values());
        let errors: u64 = self.stream.errors.values().chain(query_errors).sum();
        let stream = &self.stream;
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
        let judged = self.plan.common.thresholds.iter().map(|threshold| {
            let value = figure(&threshold.figure);
            let passed = value.is_some_and(|value| threshold.op.holds(value, threshold.limit));
            ThresholdReport { threshold: threshold.to_string(), value, passed }
        });
        self.thresholds = judged.collect();
    }
}

fn stream_report(findings: &Findings<'_>, total: &StreamTally, measured_s: f64) -> StreamReport {
    let sum = |of: fn(&PartitionTotals) -> u64| {
        findings.partitions.iter().map(|partition| of(partition)).sum::<u64>()
    };
    let due_measured = sum(|partition| partition.rows_due_measured);
    let acknowledged_measured = total.rows_acknowledged_measured;
    let WorkTimes { wait, service, response } = &total.batch;
    StreamReport {
        table_created: findings.table.created,
        partitions_added: findings.table.partitions_added,
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
        partitions: findings
            .partitions
            .iter()
            .enumerate()
            .map(|(number, partition)| {
                let tally = &partition.tally;
                PartitionReport {
                    partition: number as u32,
                    first_id: findings.table.first_ids.get(number).copied().unwrap_or_default(),
                    rows_due: partition.rows_due,
                    rows_sent: tally.rows_sent,
                    rows_acknowledged: tally.rows_acknowledged,
                    rows_dropped: tally.account.dropped.rows(),
                    account: tally.account.clone(),
                    wait: tally.batch.wait.percentiles(),
                    service: tally.batch.service.percentiles(),
                    response: tally.batch.response.percentiles(),
                    row_latency: tally.row.percentiles(),
                }
            })
            .collect(),
    }
}

fn outage_reports(findings: &Findings<'_>) -> Vec<OutageReport> {
    let of = |(partition, totals): (u32, &&PartitionTotals)| {
        totals.tally.outages.clone().into_iter().map(move |outage| OutageReport {
            partition,
            start_s: outage.start.as_secs_f64(),
            length_s: outage.length.as_secs_f64(),
            sqlstate: outage.code,
            recovered: outage.recovered,
        })
    };
    (0..).zip(findings.partitions).flat_map(of).collect()
}

/// Microseconds since the Unix epoch.
pub fn unix_us(at: std::time::SystemTime) -> i64 {
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
