//! The loader about itself: what it cost, and whether it, not the server, was the bottleneck.

use std::thread;

use crate::plan::StreamRate;
use crate::record::{ReaderTally, StreamTally};
use crate::result::stream::{Bottleneck, LoaderReport, StreamReport};

use super::Findings;

/// Share of a producer's time in which it may generate rows before it is called the bottleneck.
const ENCODE_SHARE_MAX: f64 = 0.5;
/// Share of all cores above which the loader itself takes away what the server needs.
const CPU_SHARE_MAX: f64 = 0.8;
/// A schedule counts as kept when this share of the rows due was acknowledged.
const RATE_RATIO_MIN: f64 = 0.999;

/// The queries' schedule counts as kept while no more than this share of them was dropped.
const QUERIES_DROPPED_MAX: f64 = 0.01;

pub(super) fn loader(
    findings: &Findings<'_>,
    total: &StreamTally,
    stream: &StreamReport,
) -> LoaderReport {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let whole_s = findings.measured.as_secs_f64() + findings.plan.job.warmup.as_secs_f64();
    let share = |part_s: f64, of: f64| if whole_s > 0.0 { part_s / whole_s / of } else { 0.0 };
    let producers = findings.partitions.len().max(1) as f64;
    let mut report = LoaderReport {
        cpu_s: findings.cost.cpu_s,
        cpu_ratio: share(findings.cost.cpu_s, cores),
        resident_peak_bytes: findings.cost.resident_peak_bytes,
        encode_ratio: share(total.encode.as_secs_f64(), producers),
        own_delay: total.own_delay.percentiles(),
        bottleneck: Bottleneck::None,
        reason: String::new(),
    };
    let (bottleneck, reason) = judge(&report, findings, total, stream);
    report.bottleneck = bottleneck;
    report.reason = reason;
    report
}

fn judge(
    report: &LoaderReport,
    findings: &Findings<'_>,
    total: &StreamTally,
    stream: &StreamReport,
) -> (Bottleneck, String) {
    if report.cpu_ratio > CPU_SHARE_MAX {
        let share = report.cpu_ratio * 100.0;
        return (Bottleneck::Loader, format!("the loader took {share:.0} % of all cores"));
    }
    if report.encode_ratio > ENCODE_SHARE_MAX {
        let share = report.encode_ratio * 100.0;
        let reason = format!("producers spent {share:.0} % of their time making rows");
        return (Bottleneck::Loader, reason);
    }
    if findings.plan.job.stream.rate == StreamRate::Max {
        let share = (1.0 - report.encode_ratio).max(0.0) * 100.0;
        let reason = format!("producers waited for the server {share:.0} % of their time");
        return (Bottleneck::Server, reason);
    }
    if stream.measured.rate_ratio >= RATE_RATIO_MIN && !fell_behind(findings, stream) {
        let ReaderTally { asked, dropped } = findings.queries_due;
        let due = asked + dropped;
        if findings.plan.job.readers.queries_per_s.is_some()
            && dropped as f64 > QUERIES_DROPPED_MAX * due as f64
            // Each reader may have one in hand when the run ends, and one due behind it.
            && dropped > u64::from(findings.plan.job.readers.count)
        {
            let share = dropped as f64 / due as f64 * 100.0;
            let reason = format!(
                "rows kept their schedule, but {share:.0} % of the queries were never asked, as \
                 the readers waited for answers"
            );
            return (Bottleneck::Server, reason);
        }
        return (Bottleneck::None, "the schedule was kept".to_owned());
    }
    let (own, all) = (total.own_delay.sum_s(), total.batch.wait.sum_s());
    if own > 0.5 * all {
        let share = own / all * 100.0;
        let reason = format!("{share:.0} % of the batches' wait passed with a producer free");
        (Bottleneck::Loader, reason)
    } else {
        let share = (1.0 - own / all.max(f64::MIN_POSITIVE)) * 100.0;
        let reason = format!("{share:.0} % of the batches' wait was spent behind the server");
        (Bottleneck::Server, reason)
    }
}

/// Whether finishing the overdue rows took noticeably longer than planned.
fn fell_behind(findings: &Findings<'_>, stream: &StreamReport) -> bool {
    stream
        .target_rows_per_s
        .is_some_and(|target| stream.achieved_rows_per_s < RATE_RATIO_MIN * target as f64 * 0.99)
        && findings.plan.job.duration.is_some()
}
