//! The queries' part of the summary: what each took, where it ran, and the arms compared.

use std::fmt::{self, Write as _};

use crate::quantity::{format_count, format_counted, format_ms, format_rate, format_seconds};
use crate::record::{Percentile, Percentiles, Times};
use crate::report::latency;
use crate::report::table::{Align, TableRow, text_table};
use crate::report::words;
use crate::result::JobResult;
use crate::result::loader::Bottleneck;
use crate::result::query::{
    ComparisonReport, QueriesDue, QueryReport, StatementReport, TriedReport,
};
use crate::result::readers::FreshnessBy;
use crate::result::stream::StreamRun;

use super::strom;

/// Queries that were due and never asked, and who kept them; nothing is said if there are none.
pub(super) fn due(out: &mut String, due: Option<&QueriesDue>) -> fmt::Result {
    let Some(QueriesDue { due, asked, dropped, bottleneck, reason, .. }) =
        due.filter(|due| due.dropped > 0)
    else {
        return Ok(());
    };
    let [due, asked, dropped] = [due, asked, dropped].map(|count| format_count(*count));
    writeln!(out, "\nqueries     {due} due, {asked} asked, {dropped} dropped (warm-up included)")?;
    match bottleneck {
        Bottleneck::None => Ok(()),
        who => writeln!(out, "            {}: {reason}", words::who(*who)),
    }
}

/// The server that the readers ask, where it is one of their own, and how far it is behind.
pub(super) fn freshness(out: &mut String, run: &StreamRun) -> fmt::Result {
    let Some(server) = &run.readers.server else { return Ok(()) };
    let (version, address) = (&server.facts.version, &server.address);
    let kind = match run.readers.freshness_by {
        Some(FreshnessBy::Snapshot) => "the server that is loaded",
        Some(FreshnessBy::ReplayPosition) => "a standby of the server that is loaded",
        Some(FreshnessBy::Rows) | None => "another server",
    };
    writeln!(out, "\nreaders     PostgreSQL {version}, {kind}, {}", strom(server.pg_strom_loaded))?;
    writeln!(out, "            {address}")?;
    if server.facts.clock.is_far_off() {
        writeln!(out, "            ITS CLOCK IS {}", server.facts.clock)?;
    }
    let mut all = Times::default();
    run.queries.iter().for_each(|query| all.merge(&query.histograms.freshness));
    let Some(of) = all.percentiles() else {
        return writeln!(out, "freshness   not known");
    };
    let cells = SHOWN.iter().zip(latency::cells(Some(&of), &SHOWN));
    let cells = cells.map(|(shown, cell)| format!("{cell} ({})", shown.name()));
    let cells = cells.collect::<Vec<_>>().join(", ");
    let answers = format_counted(of.count, "answer", "answers");
    writeln!(out, "freshness   {cells} behind what was acknowledged, of {answers}")
}

/// Characters of a statement that are shown.
const STATEMENT_CHARS_MAX: usize = 60;

/// How long each reader pauses behind an answer; nothing is said if it does not.
pub(super) fn pauses(out: &mut String, result: &JobResult) -> fmt::Result {
    let readers = result.plan.readers.as_ref();
    let pause_ms = readers.and_then(|readers| readers.think_time_ms.as_ref()).map(|pause| pause.0);
    match pause_ms.filter(|pause_ms| *pause_ms > 0.0) {
        None => Ok(()),
        Some(pause_ms) => {
            let pause = format_ms(pause_ms);
            writeln!(out, "\npauses      {pause} of each reader behind an answer, in no latency")
        }
    }
}

/// The age from which on an old answer is told of, where it is so many times that of most.
const OLD_MS: f64 = 1_000.0;
const OLD_FACTOR: f64 = 3.0;

/// What is shown of a query's response.
const SHOWN: [Percentile; 3] = [Percentile::P50, Percentile::P99, Percentile::Max];

/// Each query in each arm.
pub(super) fn executions(out: &mut String, queries: &[QueryReport]) -> fmt::Result {
    if queries.is_empty() {
        return Ok(());
    }
    let header = ["query", "arm", "rate", "p50", "p99", "max", "answer age", "errors", "ran on"];
    let mut rows = vec![TableRow::from(header.map(str::to_owned).to_vec())];
    for query in queries {
        let response = query.response.as_ref();
        let mut cells = vec![
            query.query.clone(),
            query.arm.clone(),
            response.map_or("-".to_owned(), |_| format_rate(query.queries_per_s)),
        ];
        cells.extend(latency::cells(response, &SHOWN));
        cells.extend([
            query.answer_age.as_ref().map_or("-".into(), |p| format_ms(p.p50_ms)),
            errors(query),
            query.evidence(),
        ]);
        let sqlstates = query.errors.iter();
        let mut lines: Vec<String> = sqlstates
            .map(|(code, count)| format!("SQLSTATE {code}: {}", format_count(*count)))
            .collect();
        lines.extend(query.statements.iter().map(statement));
        lines.extend(latency::intervals(response, &SHOWN));
        lines.extend(query.answer_age.as_ref().and_then(oldest_answer));
        lines.extend(notes(query));
        rows.push(TableRow { cells, notes: lines });
    }
    writeln!(out)?;
    text_table(out, &rows, Align::Right(2, 7))
}

/// What a statement of a transaction took, with the beginning of its text.
fn statement(of: &StatementReport) -> String {
    let text = words::one_line(&of.sql);
    let text = match text.char_indices().nth(STATEMENT_CHARS_MAX) {
        Some((at, _)) => format!("{} …", text[..at].trim_end()),
        None => text,
    };
    match &of.service {
        Some(took) => {
            format!("{text}: p50 {}, mean {}", format_ms(took.p50_ms), format_ms(took.mean_ms))
        }
        None => text,
    }
}

/// That some answers were much older than most: a partition stood still, or a replica fell behind.
fn oldest_answer(age: &Percentiles) -> Option<String> {
    let stands_out = age.max_ms >= OLD_MS && age.max_ms >= OLD_FACTOR * age.p50_ms;
    stands_out.then(|| format!("answers as old as {}", format_ms(age.max_ms)))
}

/// How many executions failed, or that there is nothing to say of that.
fn errors(query: &QueryReport) -> String {
    let errors: u64 = query.errors.values().sum();
    match (errors, query.interrupted, query.executions) {
        (0, 0, 0) if query.cut > 0 => "cut".to_owned(),
        (0, 0, 0) => "not measured".to_owned(),
        (0, cut_off, 0) => format!("{} interrupted", format_count(cut_off)),
        (errors, ..) => format_count(errors),
    }
}

/// Why a query is not on the GPU, what fell back, and whether its plan changed.
fn notes(query: &QueryReport) -> Vec<String> {
    let mut notes = Vec::new();
    if query.interrupted > 0 {
        let count = format_count(query.interrupted);
        notes.push(format!("{count} cut off by the end of the run"));
    }
    if query.cut > 0 {
        let count = format_count(query.cut);
        notes.push(format!("{count} cut at its share of the run: a pair does not fit into that"));
    }
    let Some(plan) = &query.plan else { return notes };
    if let Some(error) = &plan.error {
        notes.push(format!("no plan: {}", error.replace('\n', " ")));
    }
    if query.fallback_rows > 0 {
        let rows = format_counted(query.fallback_rows, "row", "rows");
        notes.push(format!("{rows} fell back to the CPU"));
    }
    let flips = words::plan_flips(plan);
    // What was executed says it better than the looks in between.
    if plan.changed > 0 && flips.is_empty() {
        let times = format_count(plan.changed);
        let first = plan.changes.first().map_or_else(String::new, |first| {
            format!(", first after {:.0} s: {} -> {}", first.at_s, first.from_shape, first.to_shape)
        });
        let times = if plan.changed == 1 { "once".to_owned() } else { format!("{times} times") };
        notes.push(format!("the plan changed {times}{first}"));
    }
    notes.extend(flips);
    let silent = query.errors.keys();
    let silent = silent.filter_map(|code| words::why_silent(query.gpu, Some(plan), code));
    notes.extend(words::why_not_gpu(query.gpu, plan).into_iter().chain(silent));
    notes
}

/// The two arms of each query, compared.
pub(super) fn comparisons(out: &mut String, comparisons: &[ComparisonReport]) -> fmt::Result {
    if comparisons.is_empty() {
        return Ok(());
    }
    let header = ["compared", "base", "other", "ratio (95 %)", "verdict", "pairs", "answers"];
    let mut rows = vec![TableRow::from(header.map(str::to_owned).to_vec())];
    for comparison in comparisons {
        let times = comparison.times.as_ref();
        let cell = |of: fn(&crate::stats::Comparison) -> Option<f64>| {
            times.and_then(of).map_or("-".to_owned(), |ns| format_ms(ns / 1e6))
        };
        let cells = vec![
            comparison.query.clone(),
            cell(|times| times.median_a_ns),
            cell(|times| times.median_b_ns),
            tried(comparison).map_or_else(|| words::ratio(times), words::tried_ratio),
            verdict(comparison),
            comparison.pairs.to_string(),
            answers(comparison),
        ];
        let arms = comparison.arms.iter().map(String::as_str);
        let said_of = times.filter(|_| comparison.valid);
        let mut notes = said_of.map_or_else(Vec::new, words::compared);
        notes.extend(words::differences(arms, &comparison.answers));
        if let Some(left_s) = comparison.verdict_in_s.filter(|_| comparison.valid) {
            // Only what the pairs foretell is a direction; else there will be pairs enough to say something.
            let is_foretold = times.is_some_and(|times| times.more_pairs.is_some());
            let what = if is_foretold { "a verdict" } else { "pairs enough for a verdict" };
            notes.insert(0, format!("about {} more for {what}", format_seconds(left_s.ceil())));
        }
        rows.push(TableRow { cells, notes });
    }
    writeln!(out)?;
    text_table(out, &rows, Align::Right(1, 2))?;
    let compared = comparisons.iter().filter_map(|comparison| comparison.times.as_ref());
    match words::together(compared) {
        Some(line) => writeln!(out, "{line}"),
        None => Ok(()),
    }
}

/// By the interval, never by the point; and nothing is faster that answers wrongly.
fn verdict(comparison: &ComparisonReport) -> String {
    let [_, other] = &comparison.arms;
    if !comparison.valid {
        return "INVALID".to_owned();
    }
    if let Some(tried) = tried(comparison) {
        return format!("tried once: {}", words::tried_arms(&comparison.arms, tried));
    }
    let times = comparison.times.as_ref();
    times.map_or("no pairs".to_owned(), |times| words::verdict(other, times.verdict))
}

/// What is known where there is no pair.
fn tried(comparison: &ComparisonReport) -> Option<&TriedReport> {
    comparison.tried.as_ref().filter(|_| comparison.times.is_none())
}

fn answers(comparison: &ComparisonReport) -> String {
    let answers = &comparison.answers;
    match (answers.checks, answers.different, answers.failed) {
        (0, _, 0) => words::not_compared(answers),
        (0, _, failed) => {
            let failed = format_counted(failed, "time", "times");
            format!("could not be compared ({failed})")
        }
        (checks, 0, _) if answers.failed_since > 0 => {
            format!("same ({checks} compared), then {} not", answers.failed_since)
        }
        (checks, 0, _) if answers.ties > 0 => format!("same, but for ties ({checks} compared)"),
        (checks, 0, _) => format!("same ({checks} compared)"),
        (checks, different, _) => format!("DIFFERENT ({different} of {checks})"),
    }
}
