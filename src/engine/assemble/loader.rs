//! The loader about itself: what it cost, how it fared, and who is to blame for what was late.

use crate::engine::RunError;
use crate::engine::threads::cores;
use crate::plan::StreamRate;
use crate::quantity::{format_ms, format_seconds};
use crate::record::{BlameSums, Percentiles, ReaderTally, StreamTally};
use crate::result::loader::{Bottleneck, LoaderReport, MachineReport, ThreadsReport};
use crate::result::query::QueriesDue;
use crate::result::stream::StreamReport;

use super::Findings;

/// Share of a producer's time in which it may generate rows before it is called the bottleneck.
const ENCODE_SHARE_MAX: f64 = 0.5;
/// Share of all cores above which the loader itself takes away what the server needs.
const CPU_SHARE_MAX: f64 = 0.8;
/// Share of all cores above which other programs take away what loader and server need.
const OTHERS_SHARE_MAX: f64 = 0.5;
/// The queries' schedule counts as kept while no more than this share of them was dropped.
const QUERIES_DROPPED_MAX: f64 = 0.01;
/// Below this a delay is nobody's fault: any machine that does other things has some milliseconds.
const DELAY_MIN_MS: f64 = 10.0;
/// Whoever makes this share of a time explains it.
const EXPLAINS: f64 = 0.5;
/// Nobody was late, and yet the rate was not quite reached.
const SHORT: &str = "the rate was reached, but for the last batches of so short a run";
/// Loader and server starve if they had no processor for more than this share of the time.
const STARVED_MIN: f64 = 0.4;
/// And of that, the producers' backends for more than this: one that waits for a lock, or for time to pass,
/// needs no processor.
const SERVER_STARVED_MIN: f64 = 0.05;
/// Whose threads they are, in the order of the heartbeats.
const THREADS: [&str; 3] = ["producers", "readers", "examiner"];

pub(super) fn loader(
    findings: &Findings<'_>,
    total: &StreamTally,
    stream: &StreamReport,
    measured_s: f64,
) -> LoaderReport {
    let own = &findings.own;
    let share =
        |part_s: f64, of: f64| if own.over_s > 0.0 { part_s / own.over_s / of } else { 0.0 };
    let producers = findings.lanes.len().max(1) as f64;
    let machine = &own.machine;
    let threads = THREADS.into_iter().zip(own.pulses).map(|(threads, pulse)| ThreadsReport {
        threads: threads.to_owned(),
        largest_gap_ms: pulse.largest_gap.as_secs_f64() * 1e3,
        paused_s: pulse.paused.as_secs_f64(),
    });
    let mut report = LoaderReport {
        cpu_s: own.cpu_s,
        cpu_ratio: share(own.cpu_s, cores() as f64),
        check_cpu_s: own.check_cpu_s,
        resident_peak_bytes: own.resident_peak_bytes,
        encode_ratio: share(total.encode.as_secs_f64(), producers),
        own_delay: total.own_delay.percentiles(),
        blame: total.blame,
        threads: threads.collect(),
        machine: MachineReport {
            others_cpu_ratio: machine.others_s(own.cpu_s).map(|s| share(s, cores() as f64)),
            run_delay_s: machine.run_delay_s,
            backends_run_delay_s: own.backends_run_delay_s,
            steal_s: machine.steal_s,
            cpu_pressure_s: machine.cpu_pressure_s,
            io_pressure_s: machine.io_pressure_s,
            memory_pressure_s: machine.memory_pressure_s,
        },
        bottleneck: Bottleneck::None,
        reason: String::new(),
        late_by: Bottleneck::None,
    };
    report.late_by = late_by(&report, total, stream);
    (report.bottleneck, report.reason) = judge(&report, (findings, measured_s), total, stream);
    report
}

/// Who explains the 99th percentile of the response, whether or not the rate was kept.
fn late_by(report: &LoaderReport, total: &StreamTally, stream: &StreamReport) -> Bottleneck {
    let (Some(response), Some(wait)) = (stream.response, stream.wait) else {
        return Bottleneck::None;
    };
    let without = total.without_own.percentiles().map_or(response.p99_ms, |of| of.p99_ms);
    let enough = (response.p99_ms * EXPLAINS).max(DELAY_MIN_MS);
    if response.p99_ms - without >= enough {
        return loader_or_others(report);
    }
    // Of those that waited, the sum of all causes tells: batches that were held back on the way out of a
    // backlog waited for whoever had made it.
    match report.blame.own_ratio().filter(|_| wait.p99_ms >= enough) {
        Some(own) if own <= EXPLAINS => Bottleneck::Server,
        Some(_) if is_late(report.own_delay) => loader_or_others(report),
        _ => Bottleneck::None,
    }
}

/// Whether a delay is long enough to be somebody's fault.
fn is_late(delay: Option<Percentiles>) -> bool {
    delay.is_some_and(|delay| delay.p99_ms >= DELAY_MIN_MS)
}

/// Whether every row that was due is there: what was lost is in no percentile.
fn nothing_lost(stream: &StreamReport) -> bool {
    stream.rows_dropped + stream.rows_undecided == 0
}

/// Where the loader's own threads were late: its fault, or that of whoever took the processors. Threads
/// that had no processor were ready to run; those that were stopped were not.
fn loader_or_others(report: &LoaderReport) -> Bottleneck {
    let machine = &report.machine;
    let paused_s = report.threads.first().map_or(0.0, |threads| threads.paused_s);
    let was_ready = machine.run_delay_s.is_some_and(|delay_s| delay_s > EXPLAINS * paused_s);
    match machine.others_cpu_ratio {
        Some(share) if share > OTHERS_SHARE_MAX && was_ready => Bottleneck::Machine,
        _ => Bottleneck::Loader,
    }
}

fn judge(
    report: &LoaderReport,
    (findings, measured_s): (&Findings<'_>, f64),
    total: &StreamTally,
    stream: &StreamReport,
) -> (Bottleneck, String) {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    if report.cpu_ratio > CPU_SHARE_MAX {
        let share = percent(report.cpu_ratio);
        return (Bottleneck::Loader, format!("the loader took {share} of all cores"));
    }
    if report.encode_ratio > ENCODE_SHARE_MAX {
        let share = percent(report.encode_ratio);
        return (Bottleneck::Loader, format!("producers spent {share} of their time making rows"));
    }
    if findings.plan.job.stream.rate == StreamRate::Max {
        let paused_s = report.threads.first().map_or(0.0, |threads| threads.paused_s);
        let paused = if findings.own.over_s > 0.0 { paused_s / findings.own.over_s } else { 0.0 };
        if paused > EXPLAINS {
            let share = percent(paused.min(1.0));
            let reason =
                format!("its threads stood still for {share} of the time{}", others(report));
            return (loader_or_others(report), reason);
        }
        let share = percent((1.0 - report.encode_ratio).max(0.0));
        let reason = format!("producers waited for the server {share} of their time");
        return (Bottleneck::Server, reason);
    }
    if findings.error.is_some_and(RunError::is_of_rows) {
        return (Bottleneck::None, "the server refused rows, which ended the run".to_owned());
    }
    if stream.kept_rate(measured_s) {
        return (Bottleneck::None, kept(report));
    }
    if !stream.missed_rate(measured_s) {
        return (Bottleneck::None, SHORT.to_owned());
    }
    if !is_late(stream.wait) && !is_late(report.own_delay) && nothing_lost(stream) {
        return (Bottleneck::None, SHORT.to_owned());
    }
    let Some(own) = total.blame.own_ratio() else {
        return (Bottleneck::Server, "nothing was answered in time".to_owned());
    };
    let held = held(&total.blame);
    if own > EXPLAINS {
        if !is_late(report.own_delay) && nothing_lost(stream) {
            return (Bottleneck::None, SHORT.to_owned());
        }
        let reason = format!(
            "{} of the batches' wait was its own or its machine's{}{}{held}",
            percent(own),
            stood_still(report),
            others(report)
        );
        return (loader_or_others(report), reason);
    }
    if let Some(share) = starved(report, findings).filter(|_| !was_gone(total, findings)) {
        let reason = format!(
            "loader and PostgreSQL waited for a processor for {} of the time{}",
            percent(share),
            others(report)
        );
        return (Bottleneck::Machine, reason);
    }
    let share = percent(1.0 - own);
    let reason = format!("{share} of the batches' wait was for the server or the way to it{held}");
    (Bottleneck::Server, reason)
}

/// The share of the server's time in which its processes had no processor, if other programs took the
/// processors and that explains the time. Known only of a server on this machine.
fn starved(report: &LoaderReport, findings: &Findings<'_>) -> Option<f64> {
    report.machine.others_cpu_ratio.filter(|share| *share > OTHERS_SHARE_MAX)?;
    // Where the rate is missed by the server's fault, every producer waits for it all the time, also
    // for what is never answered.
    let asked_s = findings.own.over_s * findings.lanes.len() as f64;
    // The loader's threads starve with it, as they take turns: by themselves they show in its own delay.
    let server_s = report.machine.backends_run_delay_s?;
    let starved_s = server_s + report.machine.run_delay_s?;
    let [server, both] = [server_s, starved_s].map(|s| s / asked_s.max(f64::MIN_POSITIVE));
    (server > SERVER_STARVED_MIN && both > STARVED_MIN).then(|| both.min(1.0))
}

/// Whether outages took so much of the producers' time that nothing else explains a missed rate.
fn was_gone(total: &StreamTally, findings: &Findings<'_>) -> bool {
    let asked_s = findings.own.over_s * findings.lanes.len() as f64;
    total.outages_unrecovered > 0 || total.outage.sum_s() > (1.0 - STARVED_MIN) * asked_s
}

/// That other programs took the processors, if they did.
fn others(report: &LoaderReport) -> String {
    match report.machine.others_cpu_ratio {
        Some(share) if share > OTHERS_SHARE_MAX => {
            format!("; other programs took {:.0} % of this machine's cores", share * 100.0)
        }
        _ => String::new(),
    }
}

/// What is to be said of a schedule that was kept.
fn kept(report: &LoaderReport) -> String {
    match report.late_by {
        Bottleneck::None => "the schedule was kept".to_owned(),
        Bottleneck::Server => {
            "the schedule was kept; the slowest batches waited for the server".to_owned()
        }
        Bottleneck::Loader | Bottleneck::Machine => {
            format!(
                "the schedule was kept; the slowest batches waited for the loader or its \
                 machine{}",
                stood_still(report)
            )
        }
    }
}

/// The longest time in which the producers' threads did not run, if it is worth a word.
fn stood_still(report: &LoaderReport) -> String {
    let gap_ms = report.threads.first().map_or(0.0, |threads| threads.largest_gap_ms);
    match gap_ms {
        gap if gap < DELAY_MIN_MS => String::new(),
        gap => format!(", which stood still for up to {}", format_ms(gap)),
    }
}

/// The part of the wait in which overdue batches were held back, if it is worth a word.
fn held(blame: &BlameSums) -> String {
    let all_s = blame.own_s + blame.server_s + blame.held_s;
    match blame.held_s {
        held if held < 0.1 * all_s => String::new(),
        held => format!("; catching up held batches back for {} more", format_seconds(held)),
    }
}

/// What became of the queries that were due, if a schedule says when they are.
pub(super) fn queries_due(findings: &Findings<'_>) -> Option<QueriesDue> {
    findings.plan.job.readers.queries_per_s?;
    let ReaderTally { asked, dropped, blame, dropped_age, paused } = findings.queries_due;
    let (asked, dropped, blame) = (*asked, *dropped, *blame);
    let due = asked + dropped;
    // Each reader may have one in hand when the run ends, and one due behind it.
    let readers = u64::from(findings.plan.job.readers.count);
    let paused_share = paused.as_secs_f64() / (findings.took.as_secs_f64() * readers as f64);
    let kept = dropped as f64 <= QUERIES_DROPPED_MAX * due as f64 || dropped <= readers;
    let share = dropped as f64 / due.max(1) as f64 * 100.0;
    let (bottleneck, reason) = match blame.own_ratio() {
        _ if kept => (Bottleneck::None, "the queries' schedule was kept".to_owned()),
        Some(own) if own > EXPLAINS => {
            let reason =
                format!("{share:.0} % were never asked, as the loader or its machine stood still");
            (Bottleneck::Loader, reason)
        }
        _ if paused_share > EXPLAINS => {
            let reason =
                format!("{share:.0} % were never asked, as the readers paused behind errors");
            (Bottleneck::Loader, reason)
        }
        _ => {
            let reason =
                format!("{share:.0} % were never asked, as the readers waited for answers");
            (Bottleneck::Server, reason)
        }
    };
    let dropped_age = dropped_age.clone();
    Some(QueriesDue { due, asked, dropped, dropped_age, bottleneck, reason, blame })
}
