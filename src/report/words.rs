//! Words that the summaries of streams, benchmarks and sweeps share.

use std::fmt::Display;

use crate::quantity::{
    format_about, format_count, format_counted, format_ms, format_ratio, format_seconds,
};
use crate::result::answers::{self, AnswerHistory, Nearly, OutOfOrder, Row, TimedAnswers};
use crate::result::arm::Gpu;
use crate::result::evidence::{self, PlanHistory};
use crate::result::loader::Bottleneck;
pub(super) use crate::result::one_line;
use crate::result::query::{RatioKnown, TriedArm, TriedReport};
use crate::stats::{ByRows, Comparison, Estimate, PAIRS_LEAST, TimesVerdict};

/// Differing rows that are shown of each answer; the result file has more.
const EXAMPLES_SHOWN: usize = 3;
/// Plans of a query that are shown; the result file has more.
const PLANS_SHOWN: usize = 5;

/// SQLSTATE of a statement that was cancelled, by hand or by a timeout.
const QUERY_CANCELED: &str = "57014";
/// What is shown when nothing else is known.
const UNKNOWN: &str = "PG-Strom gives no reason: the planner may find the CPU cheaper (compare the \
                           table's size with pg_strom.gpu_setup_cost), or its GPU service was started \
                           or reloaded a moment before; `strom-load doctor` looks";
/// What may keep a query from being answered that was planned on the GPU and ran into its timeout.
const ASLEEP: &str = "planned on the GPU and not answered in time: if the configuration was \
                          reloaded, PG-Strom's GPU service may be without workers; a superuser \
                          wakes it by setting pg_strom.max_async_tasks to another value and back";

/// Without what would steer a terminal, or turn the order of what is read: names and errors are the server's, and
/// a saved file may be anybody's.
pub fn harmless(text: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match (c.is_control() && c != '\n') || turns(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// Text of a server or a user as text in Markdown, in a line.
pub(super) fn escaped(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for c in harmless(&line).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '@' | '#' | '!' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A sentence of ours for Markdown: what is in backticks there is code, and holds no markup.
pub(super) fn marked(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    // One that has no partner is a backtick.
    if parts.len().is_multiple_of(2) {
        return escaped(sentence);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => part.split(' ').map(escaped).collect::<Vec<_>>().join(" "),
        _ => format!("`{}`", harmless(part)),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A ratio with its interval, as far as there is one.
pub(super) fn ratio(times: Option<&Comparison>) -> String {
    let Some(times) = times else { return "-".to_owned() };
    match (times.ratio, times.low, times.high) {
        (Some(ratio), Some(low), Some(high)) => estimate(&Estimate { ratio, low, high }),
        (Some(ratio), _, _) => format_ratio(ratio),
        _ => "-".to_owned(),
    }
}

fn estimate(Estimate { ratio, low, high }: &Estimate) -> String {
    format!("{} ({} - {})", format_ratio(*ratio), format_ratio(*low), format_ratio(*high))
}

/// What a comparison is about: one run, or several repeats.
pub(super) fn scope(times: &Comparison) -> String {
    match &times.repeats {
        Some(repeats) => format!("over {} repeats", repeats.ratios.len()),
        None => "within one run".to_owned(),
    }
}

/// By the interval, never by the point.
pub(super) fn verdict(other: &str, verdict: TimesVerdict) -> String {
    match verdict {
        TimesVerdict::Faster => format!("{other} is faster"),
        TimesVerdict::Slower => format!("{other} is slower"),
        TimesVerdict::FasterSoFar => format!("{other} is faster so far"),
        TimesVerdict::SlowerSoFar => format!("{other} is slower so far"),
        TimesVerdict::NoDifferenceShown => "no difference shown".to_owned(),
        TimesVerdict::TooFewPairs => "too few pairs".to_owned(),
    }
}

/// What else there is to say of two arms compared: a ratio that changes, and what is missing.
pub(super) fn compared(times: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(repeats) = &times.repeats {
        let ratios: Vec<String> = repeats.ratios.iter().map(|ratio| format_ratio(*ratio)).collect();
        let percent = |deviation: f64| format!("{:.1} %", deviation.exp_m1() * 100.0);
        let within =
            repeats.within.map(|within| format!(", {} from pair to pair", percent(within)));
        lines.push(format!(
            "repeats: {}; a standard deviation of {} from repeat to repeat{}",
            ratios.join(", "),
            percent(repeats.between),
            within.unwrap_or_default()
        ));
    }
    if let Some(by_rows) = &times.by_rows {
        lines.push(by_rows_line(by_rows));
    } else if let Some(course) = &times.course {
        lines.push(format!(
            "the ratio changes: {} at the first pair, {} in the middle, {} at the last",
            estimate(&course.first),
            estimate(&course.middle),
            estimate(&course.last)
        ));
    }
    let beside = times.ratio_of_medians.filter(|ratio| {
        let within = times.low.zip(times.high);
        within.is_some_and(|(low, high)| *ratio < low || *ratio > high)
    });
    if let Some(ratio) = beside {
        lines.push(format!("the ratio of the two medians is another one: {}", format_ratio(ratio)));
    }
    match times.more_pairs.filter(|_| !times.is_decided()) {
        Some(more) => {
            let more = format_counted(more as u64, "more pair", "more pairs");
            lines.push(format!("a direction takes about {more}"));
        }
        None if times.verdict == TimesVerdict::TooFewPairs => {
            lines.push(format!("nothing is said of fewer than {PAIRS_LEAST} pairs"));
        }
        None => {}
    }
    lines
}

/// The ends are shown only where they show by themselves what is said.
fn by_rows_line(by_rows: &ByRows) -> String {
    let how = if by_rows.grows() { "grows" } else { "falls" };
    let ByRows { first, last, exponent, low, high } = by_rows;
    if !by_rows.ends_tell() {
        return format!(
            "the ratio {how} with the table, by its rows to the power of {exponent:.2} ({low:.2} - {high:.2})"
        );
    }
    format!(
        "the ratio {how} with the table: {} at {} rows, {} at {}",
        estimate(&first.estimate),
        format_about(first.rows),
        estimate(&last.estimate),
        format_about(last.rows)
    )
}

/// The ratio of a query that made no pair, or what it is bounded by.
pub(super) fn tried_ratio(tried: &TriedReport) -> String {
    let Some(ratio) = tried.ratio else { return "-".to_owned() };
    let sign = match tried.known {
        RatioKnown::AtLeast => "≥ ",
        RatioKnown::AtMost => "≤ ",
        RatioKnown::Once | RatioKnown::Nothing => "",
    };
    format!("{sign}{}", format_ratio(ratio))
}

/// How long each arm took, or when it was cut.
pub(super) fn tried_arms<A: Display>(names: &[A; 2], tried: &TriedReport) -> String {
    let arm = |(name, arm): (&A, &TriedArm)| {
        let after = format_seconds(arm.after_s);
        match arm.cut {
            true => format!("{name} cut at {after}"),
            false => format!("{name} {after}"),
        }
    };
    let [base, other] = [(&names[0], &tried.arms[0]), (&names[1], &tried.arms[1])].map(arm);
    format!("{base}, {other}")
}

/// What holds for all directions of a run: nothing where none was shown.
pub(super) fn together<'a>(all: impl Iterator<Item = &'a Comparison>) -> Option<String> {
    let all: Vec<&Comparison> = all.collect();
    let sure =
        |times: &&Comparison| matches!(times.verdict, TimesVerdict::Faster | TimesVerdict::Slower);
    let confidence = all.iter().copied().find(sure)?.confidence * 100.0;
    // The family is all that were compared: each of them could have been shown.
    let queries = match all.len() {
        1 => "the direction holds".to_owned(),
        queries => format!("the directions of {queries} queries hold together (Holm)"),
    };
    let repeats = all.iter().map(|times| times.repeats.as_ref().map_or(1, |own| own.ratios.len()));
    Some(match repeats.min().unwrap_or(1) {
        1 => {
            format!(
                "one run: {queries} with {confidence:.0} %, for this run and not from run to run"
            )
        }
        repeats => {
            format!("{repeats} repeats: {queries} with {confidence:.0} %, from repeat to repeat")
        }
    })
}

/// Why an arm that is on did not run wholly on the GPU: nothing if it did, or is not on.
pub(super) fn why_not_gpu(gpu: Gpu, plan: &PlanHistory) -> Vec<String> {
    let known = plan.evidence.is_some() || !plan.executed.is_empty();
    let verdict = known.then(|| plan.verdict());
    if gpu != Gpu::On || verdict == Some(evidence::Verdict::Gpu) {
        return Vec::new();
    }
    let says = plan.reasons.iter().map(|reason| format!("PG-Strom says: {reason}"));
    let known = plan.hints.iter().map(|hint| format!("why: {}; {}", hint.cause, hint.fix));
    let mut why: Vec<String> = says.chain(known).collect();
    if why.is_empty() && verdict == Some(evidence::Verdict::Cpu) {
        why.push(format!("why: {UNKNOWN}"));
    }
    why
}

/// The plans that a query flipped between, each with the executions that ran by it: nothing where
/// there was one.
pub(super) fn plan_flips(plan: &PlanHistory) -> Vec<String> {
    if plan.executed.len() < 2 {
        return Vec::new();
    }
    let kinds = plan.kinds();
    let kinds = kinds.iter().enumerate().map(|(at, (words, count))| {
        let count = match at {
            0 => format_counted(*count, "execution", "executions"),
            _ => format_count(*count),
        };
        format!("{count} {words}")
    });
    let mut lines = vec![format!("plan changed: {}", kinds.collect::<Vec<_>>().join(", "))];
    for executed in plan.executed.iter().take(PLANS_SHOWN) {
        let median = executed.service.as_ref().map_or("-".to_owned(), |p| format_ms(p.p50_ms));
        let count = format_count(executed.executions);
        let (first, last) = (format_seconds(executed.first_s), format_seconds(executed.last_s));
        let (_, words) = plan.proves(executed);
        lines.push(format!(
            "  {words}, {count} from {first} to {last}, median {median}: {}",
            executed.shape
        ));
    }
    lines
}

/// What may have kept an arm that is on from answering within its timeout.
pub(super) fn why_silent(gpu: Gpu, plan: Option<&PlanHistory>, sqlstate: &str) -> Option<String> {
    let verdict = plan.and_then(|plan| Some(plan.evidence.as_ref()?.verdict));
    let on_gpu = gpu == Gpu::On && verdict == Some(evidence::Verdict::Gpu);
    (on_gpu && sqlstate == QUERY_CANCELED).then(|| format!("why: {ASLEEP}"))
}

/// What comparing two answers came to.
pub(super) fn answers(answers: &AnswerHistory) -> String {
    match (answers.checks, answers.different, answers.failed) {
        _ if answers.differ() => "DIFFERENT".to_owned(),
        (0, _, 0) => not_compared(answers),
        (0, _, _) => "could not be compared".to_owned(),
        _ if answers.failed_since > 0 => "same, then not compared".to_owned(),
        _ if answers.ties > 0 => "same, but for ties".to_owned(),
        _ => format!("same ({})", format_counted(answers.rows, "row", "rows")),
    }
}

/// That no answers were compared, and why, if they were to be.
pub(super) fn not_compared(answers: &AnswerHistory) -> String {
    let why = answers.not_compared.as_ref();
    why.map_or_else(|| "not compared".to_owned(), |why| format!("not compared: {why}"))
}

/// Why answers were not compared, the first rows that only one of two `arms` has, and where their order
/// differs.
pub(super) fn differences<'a>(
    arms: impl Iterator<Item = &'a str>,
    answers: &AnswerHistory,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = answers.error.as_ref().filter(|_| answers.failed_since > 0) {
        lines.push(format!("the answers were not compared: {}", one_line(error)));
    }
    lines.extend(answers.timed.as_ref().and_then(timed));
    let Some(first) = answers.differences.first() else { return lines };
    if !first.values.is_empty() {
        lines.push(format!("asked with {}", row(&first.values)));
    }
    let arms: Vec<&str> = arms.collect();
    for ((arm, rows), count) in arms.iter().zip(&first.examples).zip(first.only) {
        let count = format_counted(count, "row", "rows");
        let line = |shown| format!("only in {arm} ({count}): {}", row(shown));
        lines.extend(rows.iter().take(EXAMPLES_SHOWN).map(line));
    }
    if let Some(OutOfOrder { row: at, keys }) = &first.order {
        let keys = arms.iter().zip(keys).map(|(arm, key)| format!("{} in {arm}", row(key)));
        let keys: Vec<String> = keys.collect();
        let at = format_count(*at);
        lines.push(format!("another order, first at row {at}: {}", keys.join("; ")));
    }
    lines.extend(hint(first));
    lines
}

/// What may be behind a difference that is no wrong answer, and what to state then.
fn hint(found: &answers::Comparison) -> Option<String> {
    if let Some(Nearly { relative, absolute }) = found.nearly {
        return Some(format!(
            "only numbers made of floats differ, by {relative:.1e} of the greater or {absolute:.1e} at most; \
             if that is noise, `tolerance` or `absolute_tolerance` of the query says what counts as equal"
        ));
    }
    found.may_tie.then(|| {
        "rows may tie where LIMIT, DISTINCT ON or row_number() chooses some: end that order with a unique \
         column, or name what decides in `ties`"
            .to_owned()
    })
}

/// What is to be said of the answers that were timed, if anything is.
fn timed(timed: &TimedAnswers) -> Option<String> {
    let TimedAnswers { executions, different, what, not_compared, .. } = timed;
    if let Some(why) = not_compared {
        return Some(format!("the timed answers were not compared: {}", one_line(why)));
    }
    let [different, executions] = [*different, *executions].map(format_count);
    let what = what.as_ref()?;
    Some(format!("{different} of {executions} timed executions had another answer: {what}"))
}

/// Who set a limit, or made work late.
pub(super) fn who(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::None => "nobody",
        Bottleneck::Server => "the server",
        Bottleneck::Loader => "THE LOADER, so these figures say little about the server",
        Bottleneck::Machine => "THE MACHINE, so these figures say little about the server",
    }
}

/// A list of names: all of a few, and of many the first.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>, most: usize) -> String {
    let all: Vec<&str> = all.collect();
    match all.len().checked_sub(most) {
        Some(more @ 1..) => format!("{} and {more} more", all[..most].join(", ")),
        _ => all.join(", "),
    }
}

/// A row of an answer.
fn row(row: &Row) -> String {
    let value = |(name, value): (&String, &Option<String>)| {
        format!("{name} = {}", value.as_deref().unwrap_or("NULL"))
    };
    row.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// A cell of CSV, quoted where a comma, a quote or an end of line is in it (RFC 4180).
pub fn csv_field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::query::describe;
    use crate::result::evidence::{Evidence, ExecutedPlan};

    fn executed(executions: u64, plan: &str, from_s: f64) -> ExecutedPlan {
        let (verdict, words, shape) = match plan {
            "cpu" => (evidence::Verdict::Cpu, "cpu".to_owned(), "Seq Scan facts".to_owned()),
            kind => (evidence::Verdict::Gpu, format!("gpu ({kind})"), format!("{kind} facts")),
        };
        let (hash, ms) = (shape.clone(), std::time::Duration::from_millis);
        let mut times = crate::record::Times::default();
        times.record_n(ms(if plan == "cpu" { 1200 } else { 24 }), executions);
        let service = times.percentiles();
        let (first_s, last_s, fallback_rows) = (from_s, from_s + 30.0, 0);
        ExecutedPlan {
            hash,
            verdict,
            words,
            shape,
            executions,
            first_s,
            last_s,
            fallback_rows,
            service,
        }
    }

    #[test]
    fn what_would_steer_a_terminal_is_shown_as_it_is_written() {
        assert_eq!(harmless("a\nb \u{1b}[2Jc\td \u{9b}é"), "a\nb \\u{1b}[2Jc\\td \\u{9b}é");
        assert_eq!(harmless("a\u{202e}b\u{2069}\u{2065}"), "a\\u{202e}b\\u{2069}\u{2065}");
    }

    #[test]
    fn repeats_and_a_table_that_grows_are_told_in_a_line_each() {
        use crate::stats::{AtRows, Pair, Repeats, Settings, paired_ratio};
        let pairs = [Pair { a_ns: 30, b_ns: 10 }; 40];
        let mut times = paired_ratio(&pairs, &Settings::default());
        let one = [times.clone()];
        assert_eq!(compared(&times), Vec::<String>::new());
        assert_eq!(
            (scope(&times), ratio(Some(&times))),
            ("within one run".to_owned(), "3.00 (3.00 - 3.00)".to_owned())
        );
        let at = |rows, ratio: f64| AtRows {
            rows,
            estimate: Estimate { ratio, low: ratio * 0.9, high: ratio * 1.1 },
        };
        times.by_rows = Some(ByRows {
            exponent: 0.27,
            low: 0.2,
            high: 0.3,
            first: at(1_000_000, 2.1),
            last: at(6_000_000, 3.4),
        });
        times.repeats =
            Some(Repeats { ratios: vec![2.9, 3.1, 0.004], between: 0.05, within: Some(0.1) });
        insta::assert_snapshot!(compared(&times).join("\n"), @r"
        repeats: 2.90, 3.10, 0.00400; a standard deviation of 5.1 % from repeat to repeat, 10.5 % from pair to pair
        the ratio grows with the table: 2.10 (1.89 - 2.31) at 1 M rows, 3.40 (3.06 - 3.74) at 6 M
        ");
        // Ends that overlap would contradict what is said.
        times.by_rows = times.by_rows.map(|by| ByRows { last: at(6_000_000, 2.4), ..by });
        assert_eq!(
            compared(&times)[1],
            "the ratio grows with the table, by its rows to the power of 0.27 (0.20 - 0.30)"
        );
        assert_eq!(scope(&times), "over 3 repeats");
        let told = |all: &[Comparison]| together(all.iter()).unwrap();
        assert!(told(&one).starts_with("one run: the direction holds with 95 %"));
        assert!(told(&[times.clone()]).starts_with("3 repeats: the direction holds with 95 %"));
        assert!(told(&[times, one[0].clone()]).starts_with("one run: "));
        let unknown = Comparison { verdict: TimesVerdict::FasterSoFar, ..one[0].clone() };
        assert_eq!(together([unknown.clone()].iter()), None);
        assert!(told(&[unknown, one[0].clone()]).contains("the directions of 2 queries"));
    }

    #[test]
    fn what_ran_by_several_plans_is_told_by_each() {
        let history = |executed: &[ExecutedPlan]| PlanHistory {
            executed: executed.to_vec(),
            ..PlanHistory::default()
        };
        let flipped = history(&[executed(40, "GpuScan", 0.1), executed(12, "cpu", 31.0)]);
        assert_eq!(flipped.verdict(), evidence::Verdict::Mixed);
        let told = describe(Gpu::On, Some(&flipped));
        assert_eq!(told, "mixed plans: 77 % gpu (GpuScan), 23 % cpu");
        insta::assert_snapshot!(plan_flips(&flipped).join("\n"), @r"
        plan changed: 40 executions gpu (GpuScan), 12 cpu
          gpu (GpuScan), 40 from 100 ms to 30.1 s, median 24 ms: GpuScan facts
          cpu, 12 from 31 s to 61 s, median 1.2 s: Seq Scan facts
        ");
        // Both are the GPU's.
        let other = history(&[executed(1, "GpuScan", 0.1), executed(1, "GpuPreAgg", 31.0)]);
        assert_eq!(other.verdict(), evidence::Verdict::Gpu);
        assert!(why_not_gpu(Gpu::On, &other).is_empty());
        // One plan is no flip, and is told as ever.
        let one = history(&[executed(52, "cpu", 0.1)]);
        assert_eq!(describe(Gpu::On, Some(&one)), "on, but ran on the CPU");
        assert!(plan_flips(&one).is_empty());
    }

    #[test]
    fn rows_that_fell_back_make_of_an_execution_no_gpu() {
        let mut fell = executed(40, "GpuScan", 0.1);
        fell.fallback_rows = 1_000_000;
        let history = PlanHistory { executed: vec![fell], ..PlanHistory::default() };
        assert_eq!(history.verdict(), evidence::Verdict::Mixed);
        assert_eq!(
            describe(Gpu::On, Some(&history)),
            "mixed (GpuScan; 1,000,000 rows fell back to the CPU)"
        );
    }

    #[test]
    fn a_look_that_ran_the_plan_knows_more_of_it_than_its_text() {
        let look = |rows: &str| {
            Evidence::read(&format!(
                r#"[{{"Plan": {{"Node Type": "Custom Scan", "Custom Plan Provider": "GpuScan",
                     "Relation Name": "facts", "Actual Loops": 1, {rows}
                     "Scan-Engine": "VFS with GPU0; ntuples=1000"}}}}]"#
            ))
        };
        let history = |evidence| PlanHistory {
            evidence: Some(evidence),
            executed: vec![executed(40, "GpuScan", 0.1)],
            ..PlanHistory::default()
        };
        let all = history(look(""));
        assert_eq!(describe(Gpu::On, Some(&all)), "gpu (GpuScan; 100 % of rows)");
        let some = history(look(r#""Fallback-stats": "depth[0]=400","#));
        assert_eq!(some.verdict(), evidence::Verdict::Mixed);
        let told = describe(Gpu::On, Some(&some));
        assert_eq!(told, "mixed (GpuScan; 40 % of rows fell back to the CPU)");
        // So it does where the messages of the executions were counted, too.
        let mut counted = some.clone();
        counted.executed[0].fallback_rows = 16_000;
        assert_eq!(describe(Gpu::On, Some(&counted)), told);
    }

    #[test]
    fn what_is_named_is_no_markup() {
        let hostile = "FAIL  a table </script><img src=x>**b** and `x < 1 *`";
        let shown = "FAIL  a table &lt;/script>&lt;img src=x>\\*\\*b\\*\\* and `x < 1 *`";
        assert_eq!(marked(hostile), shown);
        assert_eq!(marked("one ` alone <"), "one \\` alone &lt;");
    }

    #[test]
    fn of_many_names_the_first_are_told() {
        assert_eq!(names(["a", "b", "c"].into_iter(), 2), "a, b and 1 more");
        assert_eq!(names(["a", "b"].into_iter(), 2), "a, b");
    }

    #[test]
    fn only_a_timeout_on_the_gpu_is_laid_to_its_service() {
        let plan = |node: &str| PlanHistory {
            evidence: Some(Evidence::read(
                &json!([{ "Plan": {
                "Node Type": "Custom Scan",
                "Custom Plan Provider": node,
                "Relation Name": "sales",
                "Alias": "sales",
            } }])
                .to_string(),
            )),
            ..PlanHistory::default()
        };
        let gpu = plan("GpuPreAgg");
        let why = why_silent(Gpu::On, Some(&gpu), "57014").unwrap();
        assert!(
            why.contains("setting pg_strom.max_async_tasks to another value and back"),
            "{why}"
        );
        assert_eq!(why_silent(Gpu::On, Some(&gpu), "XX000"), None);
        assert_eq!(why_silent(Gpu::Off, Some(&gpu), "57014"), None);
        assert_eq!(why_silent(Gpu::On, Some(&PlanHistory::default()), "57014"), None);
        assert_eq!(why_silent(Gpu::On, None, "57014"), None);
    }
}
