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

use crate::pace::Arrival;
use crate::plan::{Plan, StreamJob};
use crate::profile::Profile;
use crate::record::gpu::GpuUsage;
use crate::record::{LaneAudit, ReaderTally, StreamTally, Tally, WorkTimes};
use crate::result::clock::ClockStep;
use crate::result::gpu::GpusReport;
use crate::result::readers::ReadersReport;
use crate::result::server::{ServerReport, ServerWork};
use crate::result::stream::{
    MeasuredRows, OutageReport, OwnerReport, PartitionReport, StreamHistograms, StreamReport,
    StreamRun,
};
use crate::result::{Body, FORMAT_VERSION, JobResult, Status};
use crate::row::Ids;

use super::RunError;
use super::self_watch::OwnFindings;

pub(super) use benchmark::benchmark_query;
pub(super) use draft::Draft;
pub(super) use gpus::gpu_report;
pub(super) use queries::QueryFindings;
pub(super) use sweep::{Cells, note_sweep, sweep_begun};
pub(super) use timeline::Timeline;

/// With more lanes than this their histograms are not saved one by one.
const LANE_HISTOGRAMS_MAX: usize = 64;

/// Everything that a report is made of.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    /// What was asked for.
    pub(super) plan: &'a Plan<StreamJob>,
    /// What it was done to.
    pub(super) server: &'a ServerReport,
    /// Start of the schedule.
    pub(super) started_at: SystemTime,
    /// The measured part of the schedule.
    pub(super) scheduled: Duration,
    /// How long after the schedule's end the last acknowledgement came, if work was overdue then.
    pub(super) overrun: Duration,
    /// Time since the start of the schedule.
    pub(super) took: Duration,
    /// The mean rate of that part; `None` when unthrottled.
    pub(super) target_per_s: Option<f64>,
    /// How it stands.
    pub(super) status: Status,
    /// What ended it early.
    pub(super) error: Option<&'a RunError>,
    /// The table as it was made ready.
    pub(super) table: &'a crate::pg::table::StreamTable,
    /// Each lane's totals.
    pub(super) lanes: &'a [&'a LaneTotals],
    /// Each query, in the plan's order.
    pub(super) queries: &'a [QueryFindings<'a>],
    /// Clocks that were set.
    pub(super) clock_steps: Vec<ClockStep>,
    /// The readers.
    pub(super) readers: &'a ReadersReport,
    /// What became of the queries that were due.
    pub(super) queries_due: &'a ReaderTally,
    /// Rows found by SQL.
    pub(super) rows_found: Option<u64>,
    /// What reading every row back showed.
    pub(super) audit: Option<Vec<LaneAudit>>,
    /// Why they were not looked for.
    pub(super) not_checked: Option<String>,
    /// What the run cost this process, and how it fared.
    pub(super) own: OwnFindings,
    /// The GPUs that are watched.
    pub(super) gpus: &'a crate::watch::gpu::GpusFound,
    /// What the server did meanwhile.
    pub(super) work: Option<&'a ServerWork>,
    /// What each of the GPUs did in the measurement.
    pub(super) gpu_totals: Vec<&'a GpuUsage>,
    /// The run over time.
    pub(super) timeline: &'a Timeline,
}

/// What the table shows of a run.
#[derive(Debug, Default)]
pub(super) struct RowsFound {
    /// Rows of the run.
    pub(super) rows: Option<u64>,
    /// What reading each of them back showed.
    pub(super) audit: Option<Vec<LaneAudit>>,
    /// Why they were not looked for, if they were to be.
    pub(super) not_checked: Option<String>,
}

/// Totals of one lane.
#[derive(Debug)]
pub(super) struct LaneTotals {
    /// Which rows, with which ids.
    pub(super) ids: Ids,
    /// Rows due, warm-up included.
    pub(super) rows_due: u64,
    /// Rows due in the measurement.
    pub(super) rows_due_measured: u64,
    /// What the producer did.
    pub(super) tally: StreamTally,
}

impl LaneTotals {
    pub(super) fn new(ids: Ids) -> Self {
        let tally = StreamTally::with_room();
        Self { ids, rows_due: 0, rows_due_measured: 0, tally }
    }
}

/// Makes the result of a stream.
pub(super) fn stream(findings: &Findings<'_>) -> JobResult {
    let plan = findings.plan;
    let mut total = StreamTally::default();
    findings.lanes.iter().for_each(|lane| total.merge(&lane.tally));
    let measured_s = (findings.scheduled + findings.overrun).as_secs_f64();
    let stream = stream_report(findings, &total);
    let loader = loader::loader(findings, &total, &stream, measured_s);
    // Readers stop with the schedule: what is overdue of the rows is none of theirs.
    let queries = queries::reports(findings.queries, findings.scheduled.as_secs_f64());
    let run = StreamRun {
        origin_us: unix_us(findings.started_at),
        measured_s,
        stream,
        server_work: findings
            .work
            .cloned()
            .map(|work| ServerWork { backend_cpu_s: findings.own.backends_cpu_s, ..work }),
        clock_steps: findings.clock_steps.clone(),
        readers: findings.readers.clone(),
        queries_due: loader::queries_due(findings),
        queries,
        comparisons: queries::comparisons(findings),
        loader,
        intervals: findings.timeline.reports(),
    };
    let mut gpus = gpus::report(plan.common.watch, findings.gpus, &findings.gpu_totals);
    gpus.per_query = gpus::per_query(&gpus.devices, &run.queries);
    let run_id = findings.table.run.to_string();
    let body = Body::Stream(Box::new(run));
    let mut result = envelope(plan.into(), run_id, findings.server, gpus, body);
    result.status = findings.status;
    result.error = findings.error.map(ToString::to_string);
    result.began(findings.started_at, findings.took);
    result
}

/// The envelope of a job that has just begun.
fn envelope(
    plan: Profile,
    run_id: String,
    server: &ServerReport,
    gpus: GpusReport,
    body: Body,
) -> JobResult {
    JobResult {
        format_version: FORMAT_VERSION,
        strom_load_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: Some(run_id),
        status: Status::Running,
        error: None,
        started_at: String::new(),
        took_s: 0.0,
        plan,
        server: server.clone(),
        gpus,
        thresholds: Vec::new(),
        shortfalls: Vec::new(),
        advice: Vec::new(),
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

/// How long rows of the measurement took by the schedule, in seconds: `rows` rows at `per_s` rows a second
/// stand for as many times the distance between two of them, which the measured part of a schedule is not
/// a whole number of. Without a rate, the measured time itself.
fn span_s(scheduled_s: f64, rows: u64, per_s: Option<f64>) -> f64 {
    let Some(per_s) = per_s.filter(|per_s| rows > 0 && *per_s > 0.0) else { return scheduled_s };
    // One row at most: a rate that the schedule itself did not have is not made up for.
    let distance_s = 1.0 / per_s;
    scheduled_s + (rows as f64 * distance_s - scheduled_s).clamp(-distance_s, distance_s)
}

fn stream_report(findings: &Findings<'_>, total: &StreamTally) -> StreamReport {
    let sum = |of: fn(&LaneTotals) -> u64| findings.lanes.iter().map(|lane| of(lane)).sum::<u64>();
    let due_measured = sum(|lane| lane.rows_due_measured);
    let acknowledged_measured = total.rows_acknowledged_measured;
    let target = findings.target_per_s;
    let (scheduled_s, overrun_s) =
        (findings.scheduled.as_secs_f64(), findings.overrun.as_secs_f64());
    // Random arrivals have no distance.
    let even = target.filter(|_| findings.plan.job.stream.arrival != Arrival::Poisson);
    let due_span_s = span_s(scheduled_s, due_measured, even);
    let span_s = due_span_s + overrun_s;
    // What the warm-up left behind took its part of the time, too; but what is caught up on is not more than
    // was due.
    let kept = match target {
        Some(_) => {
            let most = due_measured as f64 * span_s / due_span_s.max(f64::MIN_POSITIVE);
            let since = (total.rows_acknowledged_since as f64).min(most);
            since.max(acknowledged_measured as f64)
        }
        None => acknowledged_measured as f64,
    };
    let delivered = (due_measured > 0).then(|| acknowledged_measured as f64 / due_measured as f64);
    let WorkTimes { wait, service, response } = &total.batch;
    StreamReport {
        table_created: findings.table.created,
        owner: Some(OwnerReport {
            run: findings.table.run.to_string(),
            lock_alone: findings.table.proof.lock_alone().map(str::to_owned),
            taken_over: findings.error.is_some_and(RunError::is_of_a_takeover),
        }),
        partitions_added: findings.table.partitions_added,
        rows_before: findings.table.rows_counted,
        target_rows_per_s: target.map(|target| target.round() as u64),
        achieved_rows_per_s: if span_s > 0.0 { kept / span_s } else { 0.0 },
        rows_due: sum(|lane| lane.rows_due),
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
            // Of what the schedule asked for, which random arrivals make more or less than their mean.
            rate_ratio: (target.is_some() && due_measured > 0)
                .then(|| kept * due_span_s / (due_measured as f64 * span_s)),
            delivered_ratio: delivered,
            scheduled_s: target.map(|_| scheduled_s),
        },
        batches: total.batches,
        batches_late: total.batches_late,
        copy_bytes: total.bytes,
        wait: wait.percentiles(),
        service: service.percentiles(),
        response: response.percentiles(),
        row_latency: total.row.percentiles(),
        batches_resent: total.batches_resent,
        batches_sync_unconfirmed: total.batches_sync_unconfirmed,
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
        partitions: lane_reports(findings),
    }
}

/// What came of each lane.
fn lane_reports(findings: &Findings<'_>) -> Vec<PartitionReport> {
    let with_histograms = findings.lanes.len() <= LANE_HISTOGRAMS_MAX;
    let identity = findings.plan.job.stream.identity();
    let report = |lane: &&LaneTotals| {
        let (ids, tally) = (&lane.ids, &lane.tally);
        PartitionReport {
            partition: ids.lane.key(),
            lane: Some(ids.lane.number),
            first_id: ids.of(0),
            id_step: ids.lane.step.get(),
            id_form: identity.as_ref().and_then(|(_, identity)| identity.form(ids)),
            rows_due: lane.rows_due,
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
    };
    findings.lanes.iter().map(report).collect()
}

fn outage_reports(findings: &Findings<'_>) -> Vec<OutageReport> {
    let of = |totals: &&LaneTotals| {
        let lane = totals.ids.lane;
        totals.tally.outages.clone().into_iter().map(move |outage| OutageReport {
            partition: lane.key(),
            lane: Some(lane.number),
            start_s: outage.start.as_secs_f64(),
            length_s: outage.length.as_secs_f64(),
            sqlstate: outage.code,
            recovered: outage.recovered,
        })
    };
    findings.lanes.iter().flat_map(of).collect()
}

/// Microseconds since the Unix epoch.
pub(super) fn unix_us(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn low_rates_are_what_they_are() {
        let is = |seconds: f64, rows, per_s, wanted: f64| {
            (span_s(seconds, rows, per_s) - wanted).abs() < 1e-9
        };
        // Rows are due at 0, 1, 2, 3 and 4 s: five of them stand for 5 s, though the fifth comes early.
        assert!(is(4.5, 5, Some(1.0), 5.0));
        assert!(is(4.0, 4, Some(1.0), 4.0));
        assert!(is(5.0, 10, Some(2.0), 5.0));
        // Nothing was due, or there is no schedule.
        assert!(is(0.5, 0, Some(1.0), 0.5));
        assert!(is(4.0, 9, None, 4.0));
        // Rows that came more densely than the rate says are more than the rate.
        assert!(is(4.0, 8, Some(1.0), 5.0));
    }

    proptest! {
        #[test]
        fn whatever_is_due_at_a_rate_is_that_rate(
            per_s in 1_u64..50, warmup_ms in 0_u64..5_000, ms in 1_000_u64..20_000,
        ) {
            let due = |at_ms: u64| (at_ms * per_s).div_ceil(1_000);
            let rows = due(warmup_ms + ms) - due(warmup_ms);
            let span_s = span_s(ms as f64 / 1e3, rows, Some(per_s as f64));
            prop_assert!((per_second(rows, span_s) / per_s as f64 - 1.0).abs() < 1e-9);
        }
    }
}
