//! The loader about itself: what it cost, and whether it, not the server, was the bottleneck.

use std::thread;

use serde::Serialize;

use crate::plan::StreamRate;
use crate::record::{Percentiles, StreamTally};

use super::{Findings, StreamReport};

/// Share of a producer's time in which it may generate rows before it is called the bottleneck.
const ENCODE_SHARE_MAX: f64 = 0.5;
/// Share of all cores above which the loader itself takes away what the server needs.
const CPU_SHARE_MAX: f64 = 0.8;
/// A schedule counts as kept when this share of the rows due was acknowledged.
const RATE_RATIO_MIN: f64 = 0.999;

/// Cost of and verdict on the loader.
#[derive(Debug, Clone, Serialize)]
pub struct LoaderReport {
    /// CPU time of the loader in the run, in seconds.
    pub cpu_s: f64,
    /// The same as a share of all cores over the measured time.
    pub cpu_ratio: f64,
    /// Greatest resident memory, in bytes.
    pub resident_peak_bytes: u64,
    /// Share of the producers' time spent generating and encoding.
    pub encode_ratio: f64,
    /// Lateness of batches whose producer was free: ours alone.
    pub own_delay: Option<Percentiles>,
    /// Who set the limit.
    pub bottleneck: Bottleneck,
    /// Why, in words.
    pub reason: String,
}

/// Who set the limit of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The schedule was kept: nobody.
    None,
    /// The server.
    Server,
    /// strom-load or its machine.
    Loader,
}

impl LoaderReport {
    pub(super) fn new(findings: &Findings<'_>, total: &StreamTally, stream: &StreamReport) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        let whole_s = findings.measured.as_secs_f64() + findings.plan.job.warmup.as_secs_f64();
        let share = |part_s: f64, of: f64| if whole_s > 0.0 { part_s / whole_s / of } else { 0.0 };
        let producers = findings.partitions.len().max(1) as f64;
        let mut report = Self {
            cpu_s: findings.cost.cpu_s,
            cpu_ratio: share(findings.cost.cpu_s, cores),
            resident_peak_bytes: findings.cost.resident_peak_bytes,
            encode_ratio: share(total.encode.as_secs_f64(), producers),
            own_delay: total.own_delay.percentiles(),
            bottleneck: Bottleneck::None,
            reason: String::new(),
        };
        let (bottleneck, reason) = report.judge(findings, total, stream);
        report.bottleneck = bottleneck;
        report.reason = reason;
        report
    }

    fn judge(
        &self,
        findings: &Findings<'_>,
        total: &StreamTally,
        stream: &StreamReport,
    ) -> (Bottleneck, String) {
        if self.cpu_ratio > CPU_SHARE_MAX {
            let share = self.cpu_ratio * 100.0;
            return (Bottleneck::Loader, format!("the loader took {share:.0} % of all cores"));
        }
        if self.encode_ratio > ENCODE_SHARE_MAX {
            let share = self.encode_ratio * 100.0;
            let reason = format!("producers spent {share:.0} % of their time making rows");
            return (Bottleneck::Loader, reason);
        }
        if findings.plan.job.stream.rate == StreamRate::Max {
            let share = (1.0 - self.encode_ratio).max(0.0) * 100.0;
            let reason = format!("producers waited for the server {share:.0} % of their time");
            return (Bottleneck::Server, reason);
        }
        if stream.measured.rate_ratio >= RATE_RATIO_MIN && !fell_behind(findings, stream) {
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
}

/// Whether finishing the overdue rows took noticeably longer than planned.
fn fell_behind(findings: &Findings<'_>, stream: &StreamReport) -> bool {
    stream
        .target_rows_per_s
        .is_some_and(|target| stream.achieved_rows_per_s < RATE_RATIO_MIN * target as f64 * 0.99)
        && findings.plan.job.duration.is_some()
}
