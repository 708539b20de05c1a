//! The benchmark's result for people: `summary.md`, and the same on a terminal. TimesVerdict first.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use super::table::{self, Align, TableRow};
use super::{gpu, outcome, words};
use crate::quantity::{format_count, format_counted, format_ms, format_seconds};
use crate::result::arm::Gpu;
use crate::result::benchmark::{
    BenchArmReport, BenchQueryReport, BenchmarkRun, Halted, StepReport,
};
use crate::result::gpu::GpuReport;
use crate::result::table::Exported;
use crate::result::{JobResult, Status, evidence};
use crate::stats::{self, TimesVerdict};

/// The benchmark as Markdown.
pub(super) fn write_markdown(
    out: &mut String,
    result: &JobResult,
    run: &BenchmarkRun,
) -> fmt::Result {
    writeln!(out)?;
    for line in verdicts(result, run) {
        writeln!(out, "- {line}")?;
    }
    let biased = run.queries().any(|query| !query.interleaved);
    writeln!(out, "\n{}\n", about(result, biased))?;
    let steps = run.steps.len();
    for step in &run.steps {
        if steps > 1 {
            writeln!(out, "## {}\n", title(step))?;
        }
        if let Some(why) = &step.skipped {
            writeln!(out, "**Skipped:** {}\n", words::one_line(why))?;
            continue;
        }
        if let Some(error) = &step.error {
            writeln!(out, "**Not made ready:** {}\n", words::one_line(error))?;
        }
        if let Some(arrow) = &step.arrow {
            writeln!(out, "{}\n", arrow_line(arrow))?;
        }
        table::markdown_table(out, &rows(step))?;
        for line in step.queries.iter().flat_map(|query| notes(query, steps)) {
            writeln!(out, "- {line}")?;
        }
        writeln!(out)?;
    }
    outcome::thresholds_markdown(out, result)?;
    writeln!(
        out,
        "Ratio: the typical ratio of the first arm to the other within a pair, with its {:.0} % \
         interval; above 1 the other arm is faster. Interval and evidence decide, not the point.",
        confidence(run) * 100.0
    )?;
    match together(run) {
        Some(line) => writeln!(out, "\nIn {line}."),
        None => Ok(()),
    }
}

/// The same for a terminal: without Markdown's marks.
pub(super) fn write_text(out: &mut String, result: &JobResult, run: &BenchmarkRun) -> fmt::Result {
    writeln!(out, "\n{}: {}", result.profile(), status(result))?;
    for line in verdicts(result, run) {
        writeln!(out, "  {line}")?;
    }
    let steps = run.steps.len();
    for step in &run.steps {
        writeln!(out)?;
        if steps > 1 {
            writeln!(out, "{}", title(step))?;
        }
        if let Some(why) = &step.skipped {
            writeln!(out, "  skipped: {}", words::one_line(why))?;
            continue;
        }
        if let Some(error) = &step.error {
            writeln!(out, "  not made ready: {}", words::one_line(error))?;
        }
        if let Some(arrow) = &step.arrow {
            writeln!(out, "  {}", arrow_line(arrow))?;
        }
        table::text_table(out, &rows(step), Align::Left)?;
        for line in step.queries.iter().flat_map(|query| notes(query, steps)) {
            writeln!(out, "  {line}")?;
        }
    }
    if let Some(line) = together(run) {
        writeln!(out, "\n{line}")?;
    }
    if !result.thresholds.is_empty() {
        writeln!(out)?;
    }
    outcome::thresholds(out, result)
}

fn together(run: &BenchmarkRun) -> Option<String> {
    words::together(run.queries().filter_map(|query| query.times.as_ref()))
}

fn arrow_line(arrow: &Exported) -> String {
    let mebibytes = format_count(arrow.bytes.div_ceil(1 << 20));
    let rows = format_counted(arrow.rows, "row", "rows");
    format!("Arrow file: {rows}, {mebibytes} MiB")
}

fn title(step: &StepReport) -> String {
    match &step.table {
        Some(table) => format!("{} (on {table})", step.name),
        None => step.name.clone(),
    }
}

pub(super) fn status(report: &JobResult) -> String {
    let took = format_seconds(report.took_s);
    match report.status {
        Status::Running => format!("still running after {took}"),
        Status::Done => format!("done in {took}"),
        Status::Interrupted | Status::Aborted => format!("interrupted after {took}"),
        Status::Failed => format!("ENDED EARLY by an error after {took}"),
        Status::Stopped => format!("ENDED EARLY by a threshold after {took}"),
    }
}

/// A query that is done, in a line.
pub fn query_line(query: &BenchQueryReport) -> String {
    let arm = |arm: &BenchArmReport| match arm.median_ms {
        Some(_) => format!("{} {}", arm.arm, time(query, arm)),
        None if query.is_cut_off(arm) => format!("{} interrupted", arm.arm),
        None if arm.cuts > 0 => format!("{} cut", arm.arm),
        None if arm.failures > 0 => format!("{} failed", arm.arm),
        None => format!("{} not measured", arm.arm),
    };
    let times: Vec<String> = query.arms.iter().map(arm).collect();
    let ratio = query.times.as_ref().and_then(|times| {
        times.low?;
        let verdict = match times.verdict {
            TimesVerdict::Faster => "faster",
            TimesVerdict::Slower => "slower",
            TimesVerdict::FasterSoFar => "faster so far",
            TimesVerdict::SlowerSoFar => "slower so far",
            TimesVerdict::NoDifferenceShown => "no difference shown",
            TimesVerdict::TooFewPairs => "too few pairs",
        };
        Some(format!(", ratio {}, {verdict} {}", words::ratio(Some(times)), words::scope(times)))
    });
    let bound = query.tried.as_ref().map(|tried| format!(", ratio {}", words::tried_ratio(tried)));
    let ratio = ratio.or(bound);
    let wrong = if query.valid { "" } else { ", WRONG ANSWERS" };
    format!("{}: {}{}{wrong}", query.query, times.join(", "), ratio.unwrap_or_default())
}

/// What may be said, most important first.
pub(super) fn verdicts(result: &JobResult, report: &BenchmarkRun) -> Vec<String> {
    let mut lines = ended_early(result);
    let wrong = names(report, |query| !query.valid);
    if !wrong.is_empty() {
        lines.push(format!("WRONG ANSWERS, timings invalid: {wrong}"));
    }
    lines.extend(outcome::shortfalls(result));
    lines.extend(outcome::failed_thresholds(result));
    let says = |verdict: TimesVerdict, scope: &str| {
        names(report, |query| {
            let is_it = |times: &stats::Comparison| {
                times.verdict == verdict && words::scope(times) == scope
            };
            query.valid && query.times.as_ref().is_some_and(is_it)
        })
    };
    // Of a run that was ended within its repeats not all have had several.
    let scopes: BTreeSet<String> =
        report.queries().filter_map(|query| Some(words::scope(query.times.as_ref()?))).collect();
    let other = report.queries().find_map(|query| Some(query.arms.get(1)?.arm.clone()));
    if let Some(other) = other {
        for (verdict, words) in [
            (TimesVerdict::Faster, format!("`{other}` is faster")),
            (TimesVerdict::Slower, format!("`{other}` is slower")),
            (TimesVerdict::NoDifferenceShown, "No difference shown".to_owned()),
            (TimesVerdict::TooFewPairs, "Too few pairs".to_owned()),
        ] {
            for scope in &scopes {
                let names = says(verdict, scope);
                if !names.is_empty() {
                    lines.push(format!("{words} {scope}: {names}"));
                }
            }
        }
        // How each of them looks is in the table: what is not sure leads nobody.
        let unsure = report.queries().filter(|query| {
            use TimesVerdict::{FasterSoFar, SlowerSoFar};
            let is_it =
                |times: &stats::Comparison| matches!(times.verdict, FasterSoFar | SlowerSoFar);
            query.valid && query.times.as_ref().is_some_and(is_it)
        });
        let unsure = unsure.count() as u64;
        if unsure > 0 {
            let unsure = format_counted(unsure, "query", "queries");
            lines.push(format!("Not sure yet: {unsure}"));
        }
    } else if report.queries().next().is_some() {
        let why = if result.server.pg_strom_loaded { "" } else { ": PG-Strom is not loaded" };
        lines.push(format!("One arm only, nothing to compare{why}"));
    }
    let on_cpu = names(report, |query| {
        query.arms.iter().any(|arm| arm.gpu == Gpu::On && arm.verdict() == evidence::Verdict::Cpu)
    });
    if !on_cpu.is_empty() {
        lines.push(format!("On, but ran on the CPU: {on_cpu}"));
    }
    let unready = report.steps.iter().filter(|step| step.error.is_some());
    let unready: Vec<&str> = unready.map(|step| step.name.as_str()).collect();
    if !unready.is_empty() {
        lines.push(format!("Not made ready: {}", unready.join(", ")));
    }
    let skipped = report.steps.iter().filter(|step| step.skipped.is_some());
    let skipped: Vec<&str> = skipped.map(|step| step.name.as_str()).collect();
    if !skipped.is_empty() {
        lines.push(format!("Skipped: {}", skipped.join(", ")));
    }
    let cut = names(report, |query| query.halted == Halted::ArmCut);
    if !cut.is_empty() {
        lines.push(format!("An arm was cut at its limit, which bounds the ratio: {cut}"));
    }
    let failed = names(report, |query| query.arms.iter().any(|arm| arm.given_up));
    if !failed.is_empty() {
        lines.push(format!("An arm failed: {failed}"));
    }
    lines.extend(gpu::who_worked(&result.gpus, result.server.pg_strom_loaded));
    lines
}

fn names(report: &BenchmarkRun, of: impl Fn(&BenchQueryReport) -> bool) -> String {
    let several = report.steps.len() > 1;
    let named = report.steps.iter().flat_map(|step| {
        let of = &of;
        step.queries.iter().filter(move |query| of(query)).map(move |query| {
            if several { format!("{} / {}", step.name, query.query) } else { query.query.clone() }
        })
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Why it ended early, if it did.
pub(super) fn ended_early(result: &JobResult) -> Vec<String> {
    let line = |error: &String| format!("Ended early: {}", words::one_line(error));
    result.error.iter().map(line).collect()
}

/// What was measured where and how.
pub(super) fn about(report: &JobResult, biased: bool) -> String {
    let server = &report.server;
    let kind = if server.embedded { ", embedded" } else { "" };
    let strom = if server.pg_strom_loaded { "PG-Strom loaded" } else { "no PG-Strom, CPU only" };
    let order = match biased {
        true => " Sequential order, nothing warmed: these ratios are biased.",
        false => "",
    };
    let clock = match server.facts.clock.is_far_off() {
        true => format!(", its clock {}", server.facts.clock),
        false => String::new(),
    };
    // In one line, only what is missing is worth a word.
    let lacking = server.capabilities.as_ref().filter(|can| !can.are_complete());
    let can = lacking.map_or_else(String::new, |can| format!("; can: {can}"));
    format!(
        "{}; PostgreSQL {}{kind}, {strom}{clock}{can}; seed {}; started {}.{order}",
        status(report),
        server.facts.version,
        report.seed(),
        report.started_at
    )
}

fn confidence(report: &BenchmarkRun) -> f64 {
    let times = report.queries().find_map(|query| query.times.as_ref());
    times.map_or(stats::Settings::default().confidence, |times| times.confidence)
}

/// The table of a step, its header first.
fn rows(step: &StepReport) -> Vec<TableRow> {
    let most = step.queries.iter().map(|query| query.arms.len()).max().unwrap_or(0);
    let with_arms = step.queries.iter().find(|query| query.arms.len() == most);
    let mut header = vec!["query".to_owned()];
    header.extend(with_arms.into_iter().flat_map(|query| &query.arms).map(|arm| arm.arm.clone()));
    let compared = most > 1;
    if compared {
        header.extend(["ratio (interval)", "verdict", "pairs"].map(str::to_owned));
    } else {
        header.extend(["executions", "queries/s"].map(str::to_owned));
    }
    header.push("ran on".to_owned());
    if compared {
        header.push("answers".to_owned());
    }
    let columns = header.len();
    let mut rows = vec![TableRow::from(header)];
    for query in &step.queries {
        let mut row = vec![query.query.clone()];
        row.extend(query.arms.iter().map(|arm| time(query, arm)));
        if compared {
            row.resize(1 + most, "-".to_owned());
            row.push(match &query.tried {
                Some(tried) => words::tried_ratio(tried),
                None => words::ratio(query.times.as_ref()),
            });
            row.push(verdict(query));
            row.push(query.times.as_ref().map_or("0".to_owned(), |times| times.pairs.to_string()));
        } else {
            let arm = query.arms.first();
            row.push(arm.map_or(0, |arm| arm.executions).to_string());
            let per_s = arm.and_then(|arm| arm.queries_per_s);
            row.push(per_s.map_or("-".to_owned(), |per_s| format!("{per_s:.2}")));
        }
        row.push(query.arms.last().map_or_else(String::new, BenchArmReport::evidence));
        if compared {
            row.push(words::answers(&query.answers));
        }
        row.resize(columns, String::new());
        rows.push(row.into());
    }
    for name in &step.not_begun {
        let mut row = vec![name.clone()];
        row.resize(columns - 1, "-".to_owned());
        row.insert(1, "not measured".to_owned());
        rows.push(row.into());
    }
    rows
}

fn time(query: &BenchQueryReport, arm: &BenchArmReport) -> String {
    match (arm.median_ms, &arm.error) {
        (_, Some(error)) if arm.given_up => format!("ERROR {}", error.sqlstate),
        (Some(ms), _) => format_ms(ms),
        (None, _) if arm.cuts > 0 => "cut".to_owned(),
        (None, _) if query.is_cut_off(arm) => "interrupted".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

/// By the interval, never by the point; and nothing is faster that answers wrongly.
fn verdict(query: &BenchQueryReport) -> String {
    let Some(other) = query.arms.get(1) else { return "-".to_owned() };
    if !query.valid {
        return "INVALID".to_owned();
    }
    let tried = query
        .tried
        .as_ref()
        .map(|tried| words::tried_arms(&[&query.arms[0].arm, &other.arm], tried));
    let mut verdict = match &query.times {
        Some(times) => words::verdict(&other.arm, times.verdict),
        None if tried.is_some() => tried.unwrap_or_default(),
        None if query.halted == Halted::ArmFailed => "an arm failed".to_owned(),
        None if query.halted == Halted::ArmCut => "an arm was cut".to_owned(),
        None if query.halted == Halted::Stopped => "interrupted".to_owned(),
        None => "not measured".to_owned(),
    };
    if !query.interleaved {
        verdict.push_str(" (biased order)");
    }
    verdict
}

/// What the table has no room for. Where there are several steps, what they change is the plan.
fn notes(query: &BenchQueryReport, steps: usize) -> Vec<String> {
    let name = &query.query;
    let mut notes = Vec::new();
    let shape = |arm: &BenchArmReport| {
        Some(format!("{name} ({}): {}", arm.arm, arm.plan.as_ref()?.evidence.as_ref()?.shape))
    };
    if steps > 1 {
        notes.extend(query.arms.iter().filter_map(shape));
    }
    for arm in &query.arms {
        if let Some(error) = &arm.error {
            let failures = format_counted(arm.failures, "time", "times");
            let said = words::one_line(&error.message);
            notes.push(format!("{name} ({}): failed {failures}: {said}", arm.arm));
            let why = words::why_silent(arm.gpu, arm.plan.as_ref(), &error.sqlstate);
            notes.extend(why.map(|why| format!("{name} ({}): {why}", arm.arm)));
        }
        if arm.fallback_rows > 0 {
            let rows = format_counted(arm.fallback_rows, "row", "rows");
            notes.push(format!("{name} ({}): {rows} fell back to the CPU", arm.arm));
        }
        let Some(plan) = arm.plan.as_ref() else { continue };
        let flips = words::plan_flips(plan).into_iter();
        notes.extend(flips.map(|line| format!("{name} ({}): {}", arm.arm, line.trim_start())));
        let why = words::why_not_gpu(arm.gpu, plan).into_iter();
        notes.extend(why.map(|why| format!("{name} ({}): {why}", arm.arm)));
    }
    let compared = query.times.as_ref().filter(|_| query.valid).map(words::compared);
    notes.extend(compared.into_iter().flatten().map(|line| format!("{name}: {line}")));
    notes.extend(query.gpus.iter().filter_map(GpuReport::line).map(|gpu| format!("{name}: {gpu}")));
    let arms = query.arms.iter().map(|arm| arm.arm.as_str());
    let answers = words::differences(arms, &query.answers).into_iter();
    notes.extend(answers.map(|line| format!("{name}: {line}")));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Body, sample};
    use crate::stats::{Pair, Settings, paired_ratio};

    #[test]
    fn what_is_not_sure_leads_no_summary() {
        let mut result = sample::benchmark();
        let Body::Benchmark(run) = &mut result.body else { panic!("no benchmark") };
        let times = paired_ratio(&[Pair { a_ns: 30, b_ns: 10 }; 12], &Settings::default());
        assert_eq!(times.verdict, TimesVerdict::FasterSoFar);
        run.steps[0].queries[0].times = Some(times);
        let run = run.clone();
        let head = verdicts(&result, &run);
        assert!(head.contains(&"Not sure yet: 1 query".to_owned()), "{head:?}");
        assert!(!head.iter().any(|line| line.contains("faster")), "{head:?}");
        // The table says how it looks.
        let mut text = String::new();
        write_text(&mut text, &result, &run).unwrap();
        assert!(text.contains("on is faster so far"), "{text}");
        let mut wrong = run;
        wrong.steps[0].queries[0].valid = false;
        assert!(!verdicts(&result, &wrong).iter().any(|line| line.starts_with("Not sure")));
    }
}
