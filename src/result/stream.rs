//! What came of a stream.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::ClockStep;
use super::loader::LoaderReport;
use super::query::{ComparisonReport, QueriesDue, QueryReport};
use super::readers::ReadersReport;
use super::server::ServerWork;
use crate::record::{Account, LaneAudit, Percentiles, Phase, Times};

/// What came of the stream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamReport {
    /// Whether this run created the table.
    pub table_created: bool,
    /// Partitions added to a table that was there.
    pub partitions_added: u32,
    /// How its partitions are kept from other runs; `None` in results of before this was known.
    #[serde(default)]
    pub owner: Option<OwnerReport>,
    /// Rows that the table held before; `None`: it was there, and they were not counted.
    #[serde(default)]
    pub rows_before: Option<u64>,
    /// Target; of a rate that changes, its mean over the measurement. `None` when unthrottled.
    pub target_rows_per_s: Option<u64>,
    /// Rows acknowledged in the measurement, at most as many as fell due, per second of the schedule; or of
    /// the time until the last acknowledgement, if work was overdue when the schedule ended.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
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
    /// Why the rows were not looked for at the end, where they were to be.
    #[serde(default)]
    pub not_checked: Option<String>,
    /// What reading every row back showed, by lane; `None` if it was not done.
    pub audit: Option<Vec<LaneAudit>>,
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
    /// Batches committed whose wait for a synchronous standby was cancelled, or its end not heard.
    #[serde(default)]
    pub batches_sync_unconfirmed: u64,
    /// Lengths of the producers' outages, from the first failure to the next success.
    pub recovery: Option<Percentiles>,
    /// Outages that ended a producer, and so the run. They have no part in `recovery`.
    pub outages_unrecovered: u64,
    /// The first outages of each lane, one by one.
    pub outages: Vec<OutageReport>,
    /// Batches that failed, by the SQLSTATE of the first failure.
    pub errors: BTreeMap<String, u64>,
    /// Attempts to recover that failed within an outage, by SQLSTATE.
    #[serde(default)]
    pub attempts_failed: BTreeMap<String, u64>,
    /// What the latencies above are taken from.
    pub histograms: StreamHistograms,
    /// Each lane: what one producer loads of a partition.
    pub partitions: Vec<PartitionReport>,
}

/// How the partitions of a run are kept from other runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnerReport {
    /// The run, as its locks and rows name it: a UUID that the server drew.
    pub run: String,
    /// Why no rows name it beside its locks; `None`: they do.
    pub lock_alone: Option<String>,
    /// Whether another run took the table over before this one had come to its end.
    #[serde(default)]
    pub taken_over: bool,
}

/// A time in which a producer got nothing done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OutageReport {
    /// The partition.
    pub partition: u32,
    /// The lane; `None` in results of before: its number is the partition's.
    #[serde(default)]
    pub lane: Option<u32>,
    /// When the first attempt failed, in seconds since the start of the schedule.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub start_s: f64,
    /// Until the next success, or until it was given up, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub length_s: f64,
    /// SQLSTATE of the first error.
    pub sqlstate: String,
    /// Whether it ended in success.
    pub recovered: bool,
}

/// Rows of the measurement.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MeasuredRows {
    /// Rows due.
    pub rows_due: u64,
    /// Rows committed.
    pub rows_acknowledged: u64,
    /// Achieved rate as a share of the target; `None` when unthrottled.
    pub rate_ratio: Option<f64>,
    /// Committed in the end, as a share of due; `None` if nothing was due.
    #[serde(default)]
    pub delivered_ratio: Option<f64>,
    /// Length of the schedule after the warm-up, in seconds; `None` when unthrottled.
    #[serde(default)]
    pub scheduled_s: Option<f64>,
}

/// What came of one lane.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PartitionReport {
    /// Its partition; 0 where the rows have no key.
    pub partition: u32,
    /// Its number among the lanes of the run; `None` in results of before: the partition's.
    #[serde(default)]
    pub lane: Option<u32>,
    /// The id of its first row of this run; where ids are not numbers, the number that it carries.
    pub first_id: i64,
    /// How far it is from the id of a row to that of the next: how many lanes share the partition.
    #[serde(default = "one")]
    pub id_step: u32,
    /// What an id is: `{row_id}` stands for the number, `{row_id:x}` for it in 12 hexadecimal digits. Absent where
    /// it is the number alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_form: Option<String>,
    /// Rows due.
    pub rows_due: u64,
    /// Rows sent.
    pub rows_sent: u64,
    /// Rows committed.
    pub rows_acknowledged: u64,
    /// Rows due and never sent.
    pub rows_dropped: u64,
    /// What became of each row, by sequence number; its id is `first_id` plus so many times `id_step`.
    pub account: Account,
    /// From due to sent.
    pub wait: Option<Percentiles>,
    /// From sent to acknowledged.
    pub service: Option<Percentiles>,
    /// From due to acknowledged.
    pub response: Option<Percentiles>,
    /// Each row from its own due time.
    pub row_latency: Option<Percentiles>,
    /// What `response` is taken from; absent with more than 64 lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_histogram: Option<Times>,
}

impl PartitionReport {
    /// Its number among the lanes of the run.
    pub fn number(&self) -> u32 {
        self.lane.unwrap_or(self.partition)
    }
}

fn one() -> u32 {
    1
}

/// One point of the result's `intervals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalReport {
    /// Start, in seconds since the start of the schedule.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub start_s: f64,
    /// Length in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub length_s: f64,
    /// The phase at its end.
    pub phase: Phase,
    /// Rows per second that were asked for; `None` when unthrottled, and after the schedule's end.
    #[serde(default)]
    pub target_rows_per_s: Option<f64>,
    /// Rows that fell due.
    pub rows_due: u64,
    /// Rows acknowledged.
    pub rows_acknowledged: u64,
    /// Rows due and not acknowledged at its end.
    pub backlog_rows: u64,
    /// Batches sent late.
    pub batches_late: u64,
    /// Median response of the batches, right to 1 %; `None` in the warm-up.
    pub response_p50_ms: Option<f64>,
    /// 99th percentile.
    pub response_p99_ms: Option<f64>,
    /// Longest.
    pub response_max_ms: Option<f64>,
    /// Queries answered.
    pub queries: u64,
    /// Median response of the queries.
    pub query_p50_ms: Option<f64>,
    /// 99th percentile.
    pub query_p99_ms: Option<f64>,
    /// Batches and queries that failed.
    pub errors: u64,
}

/// A stream and the queries beside it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StreamRun {
    /// Start of the schedule in microseconds since the Unix epoch: the origin of the rows' due
    /// times.
    pub origin_us: i64,
    /// Measured time so far, in seconds: from the end of the warm-up to the end of the schedule; or to the
    /// last acknowledgement, if work was overdue then.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub measured_s: f64,
    /// The stream.
    pub stream: StreamReport,
    /// What the server did meanwhile; `None` where it was not asked, or did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_work: Option<ServerWork>,
    /// Clocks that were set while it went on, at most 100.
    #[serde(default)]
    pub clock_steps: Vec<ClockStep>,
    /// The readers.
    #[serde(default)]
    pub readers: ReadersReport,
    /// What became of the queries that were due; `None` without a query rate.
    #[serde(default)]
    pub queries_due: Option<QueriesDue>,
    /// Each query in each arm.
    pub queries: Vec<QueryReport>,
    /// The two arms of each query that has two, compared.
    pub comparisons: Vec<ComparisonReport>,
    /// Cost and verdict on the loader itself.
    pub loader: LoaderReport,
    /// The run over time, at most some hundred points.
    pub intervals: Vec<IntervalReport>,
}

/// The histograms that the figures of a stream's batches and rows are taken from.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StreamHistograms {
    /// Batches: from due to sent.
    pub wait: Times,
    /// Batches: from sent to acknowledged.
    pub service: Times,
    /// Batches: from due to acknowledged.
    pub response: Times,
    /// Rows: from the row's own due time to its acknowledgement.
    pub row_latency: Times,
    /// Batches: the part of the response that the loader or its machine caused.
    pub own_delay: Times,
    /// Batches: the response without that.
    #[serde(default)]
    pub without_own: Times,
}

/// A schedule counts as kept when this share of the rows due was acknowledged,
const DELIVERED_MIN: f64 = 0.999;
/// and what was overdue at its end took no longer than this, as a share of its length
const OVERRUN_MAX: f64 = 0.01;
/// and in seconds, whichever is more.
const OVERRUN_MAX_S: f64 = 0.5;

/// Below this share of the rate that was asked for nothing says that it was kept.
const RATE_KEPT_MIN: f64 = 0.99;

/// How long finishing what was overdue may take after a schedule of this length, in seconds, if the
/// schedule is to count as kept.
pub(crate) fn overrun_max_s(planned_s: f64) -> f64 {
    (planned_s * OVERRUN_MAX).max(OVERRUN_MAX_S)
}

impl StreamReport {
    /// Whether a target rate was not kept in a measurement that took `measured_s` with its drain:
    /// rows are missing, or finishing what was overdue took noticeably long.
    pub fn missed_rate(&self, measured_s: f64) -> bool {
        let Some(target) = self.target_rows_per_s else { return false };
        // Results of before have no length: with a constant arrival the rows tell it.
        let MeasuredRows { rows_due, rows_acknowledged, scheduled_s, .. } = self.measured;
        let planned_s = scheduled_s.unwrap_or(rows_due as f64 / target as f64);
        (rows_acknowledged as f64) < DELIVERED_MIN * rows_due as f64
            || measured_s - planned_s > overrun_max_s(planned_s)
    }

    /// Whether a target rate may be called kept after a measurement that took `measured_s` with its drain: it
    /// was not missed, and the rate itself was reached, which the last rows of a short run can keep it from.
    pub fn kept_rate(&self, measured_s: f64) -> bool {
        self.target_rows_per_s.is_some()
            && !self.missed_rate(measured_s)
            && self.measured.rate_ratio.is_none_or(|ratio| ratio >= RATE_KEPT_MIN)
    }
}
