//! Which arm is faster? The ratio of each query with its interval, and what lies behind it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::plot::{Mark, Names, Row, RowChart, Scale, Shape, Tone, escape, squeezed};
use crate::quantity::{format_count, format_counted, format_ms, format_ratio, format_seconds};
use crate::result::answers::AnswerHistory;
use crate::result::arm::Gpu;
use crate::result::benchmark::BenchQueryReport;
use crate::result::evidence::Verdict as Proof;
use crate::result::query::{ComparisonReport, QueryReport, RatioKnown, TriedReport};
use crate::result::stream::StreamRun;
use crate::stats::{Comparison, TimesVerdict};

use super::super::words;
use super::super::words::names;
use super::Page;
use super::distributions::{self, ArmTimes, of_ns, of_times, trimmed};
use super::html::{Cell, Table, data, framed};

/// Widest head of the ratios, and the size of its letters.
const HEAD_MAX: f64 = 190.0;
const HEAD_FONT: f64 = 12.5;

/// A query whose arms are compared.
pub(super) struct Compared<'a> {
    pub(super) name: String,
    pub(super) arms: [&'a str; 2],
    pub(super) times: Option<&'a Comparison>,
    pub(super) tried: Option<&'a TriedReport>,
    pub(super) valid: bool,
    pub(super) answers: &'a AnswerHistory,
    /// Whether the second arm has the GPU on and did not use it for all.
    pub(super) off_gpu: bool,
    /// What its plans prove, in words.
    pub(super) ran_on: String,
    /// Each pair: rows of the table, where known, and its ratio.
    pub(super) pairs: Vec<(u64, f64)>,
    /// How long the executions of both arms took.
    pub(super) executions: [ArmTimes<'a>; 2],
    /// Its place in the result.
    pub(super) place: String,
}

/// Queries whose distributions are shown.
const BEHIND_MAX: usize = 24;

/// Of the queries beside a stream.
pub(super) fn of_stream(page: &mut Page<'_>, run: &StreamRun) {
    let compared: Vec<Compared<'_>> = run
        .comparisons
        .iter()
        .enumerate()
        .map(|(at, comparison)| stream_pair(page, run, at, comparison))
        .collect();
    if compared.is_empty() {
        if !run.queries.is_empty() {
            page.absent.push("No comparison of arms: the queries ran in one arm.".to_owned());
        }
        return;
    }
    let content = write(page, "", &compared);
    page.section("queries", "Queries", &question(&compared), &content);
}

fn stream_pair<'a>(
    page: &Page<'a>,
    run: &'a StreamRun,
    at: usize,
    comparison: &'a ComparisonReport,
) -> Compared<'a> {
    let own = |arm: &String| {
        let mut all = run.queries.iter().enumerate();
        all.find(|(_, own)| own.query == comparison.query && own.arm == *arm)
    };
    let arms = [&comparison.arms[0], &comparison.arms[1]];
    let executions = arms.map(|name| {
        let Some((at, own)) = own(name) else {
            return ArmTimes { name, sorted: Vec::new(), figures: Vec::new() };
        };
        let place = |key: &str| format!("/queries/{at}/service/{key}");
        let figures = own.service.as_ref().map(|of| {
            let known = [(0.5, of.p50_ms, "p50_ms"), (0.9, of.p90_ms, "p90_ms")];
            known.map(|(share, ms, key)| (share, ms, place(key))).to_vec()
        });
        let sorted = of_times(&own.histograms.service);
        ArmTimes { name, sorted, figures: figures.unwrap_or_default() }
    });
    let other = own(&comparison.arms[1]).map(|(_, own)| own);
    Compared {
        name: comparison.query.clone(),
        arms: [&comparison.arms[0], &comparison.arms[1]],
        times: comparison.times.as_ref(),
        tried: comparison.tried.as_ref().filter(|_| comparison.times.is_none()),
        valid: comparison.valid,
        answers: &comparison.answers,
        off_gpu: other.is_some_and(|own| own.gpu == Gpu::On && own.verdict() != Proof::Gpu),
        ran_on: other.map_or_else(String::new, QueryReport::evidence),
        pairs: pairs(page, comparison),
        executions,
        place: format!("/comparisons/{at}"),
    }
}

/// The pairs of a query among its executions: those of one reader and block.
fn pairs(page: &Page<'_>, comparison: &ComparisonReport) -> Vec<(u64, f64)> {
    let executions = &page.series.executions;
    let arm = |name: &String| {
        executions.arms.iter().position(|own| own.0 == comparison.query && own.1 == *name)
    };
    let (Some(base), Some(other)) = (arm(&comparison.arms[0]), arm(&comparison.arms[1])) else {
        return Vec::new();
    };
    let mut found: BTreeMap<(u32, u64), [Option<f64>; 3]> = BTreeMap::new();
    let samples = executions.all.iter().filter(|own| own.sample && !own.failed);
    for own in samples.filter(|own| own.arm == base || own.arm == other) {
        let pair = found.entry((own.reader, own.block)).or_default();
        pair[usize::from(own.arm == other)] = Some(own.service_s);
        pair[2] = own.rows.map(|rows| rows as f64).or(pair[2]);
    }
    let ratio = |[base, other, rows]: &[Option<f64>; 3]| {
        Some((rows.unwrap_or(0.0) as u64, (*base)? / (*other)?.max(1e-9)))
    };
    found.values().filter_map(ratio).collect()
}

/// Of a query of a benchmark that ran in two arms.
pub(super) fn bench_pair(
    step: usize,
    at: usize,
    name: String,
    query: &BenchQueryReport,
) -> Option<Compared<'_>> {
    let [base, other] = query.arms.as_slice() else { return None };
    let pairs = base.times_ns.iter().zip(&other.times_ns);
    Some(Compared {
        name,
        arms: [&base.arm, &other.arm],
        times: query.times.as_ref(),
        tried: query.tried.as_ref().filter(|_| query.times.is_none()),
        valid: query.valid,
        answers: &query.answers,
        off_gpu: other.gpu == Gpu::On && other.verdict() != Proof::Gpu,
        ran_on: other.evidence(),
        pairs: pairs.map(|(a, b)| (0, *a as f64 / (*b).max(1) as f64)).collect(),
        executions: [(0, base), (1, other)].map(|(arm, own)| {
            let place = |key: &str| format!("/steps/{step}/queries/{at}/arms/{arm}/{key}");
            let known = [
                (0.0, own.min_ms, "min_ms"),
                (0.5, own.median_ms, "median_ms"),
                (1.0, own.max_ms, "max_ms"),
            ];
            let figures =
                known.into_iter().filter_map(|(share, ms, key)| Some((share, ms?, place(key))));
            ArmTimes { name: &own.arm, sorted: of_ns(&own.times_ns), figures: figures.collect() }
        }),
        place: format!("/steps/{step}/queries/{at}"),
    })
}

/// What the comparison answers.
pub(super) fn question(compared: &[Compared<'_>]) -> String {
    match compared.first().map(|first| first.arms) {
        Some(["off", "on"]) => "Does the GPU make the queries faster?".to_owned(),
        Some([base, other]) => format!("Is {other} faster than {base}?"),
        None => "Which arm is faster?".to_owned(),
    }
}

/// A ratio with its mark, its interval, and the verdict.
type Marked = (Option<(f64, Mark)>, Option<(f64, f64)>, String);

/// How a row is marked, and what its verdict is.
fn marked(own: &Compared<'_>) -> Marked {
    let mark = |shape, tone| Mark { shape, tone };
    let ratio = own.times.and_then(|times| times.ratio).or(own.tried.and_then(|tried| tried.ratio));
    if !own.valid {
        let at = ratio.unwrap_or(1.0);
        return (
            Some((at, mark(Shape::Cross, Tone::Bad))),
            None,
            "INVALID: answers differ".to_owned(),
        );
    }
    if let Some(tried) = own.tried {
        let shape = match tried.known {
            RatioKnown::AtLeast => Shape::AtLeast,
            RatioKnown::AtMost => Shape::AtMost,
            RatioKnown::Once | RatioKnown::Nothing => Shape::Diamond,
        };
        let said = format!("tried once: {}", words::tried_arms(&own.arms, tried));
        return (tried.ratio.map(|ratio| (ratio, mark(shape, Tone::Grey))), None, said);
    }
    let Some(times) = own.times else { return (None, None, "no pairs".to_owned()) };
    let interval = times.low.zip(times.high);
    let (shape, tone) = match times.verdict {
        TimesVerdict::Faster => (Shape::Dot, Tone::On),
        TimesVerdict::Slower => (Shape::Square, Tone::Off),
        TimesVerdict::FasterSoFar | TimesVerdict::SlowerSoFar | TimesVerdict::NoDifferenceShown => {
            (Shape::Ring, Tone::Grey)
        }
        TimesVerdict::TooFewPairs => (Shape::Diamond, Tone::Grey),
    };
    let mut said = words::verdict(own.arms[1], times.verdict);
    if interval.is_none() {
        said = format!("{said} ({})", format_count(times.pairs as u64));
    }
    (times.ratio.map(|ratio| (ratio, mark(shape, tone))), interval, said)
}

/// The ratio as it stands in a figure: with an en dash, as there may be a minus.
fn shown_ratio(own: &Compared<'_>) -> String {
    match own.tried {
        Some(tried) => words::tried_ratio(tried).replace(' ', "\u{a0}"),
        None => words::ratio(own.times).replace(" - ", "–").replacen('-', "–", 1),
    }
}

/// That it is so much, or at least or at most.
fn is_ratio(own: &Compared<'_>) -> String {
    let shown = shown_ratio(own);
    if shown.starts_with(['≥', '≤']) { shown } else { format!("= {shown}") }
}

/// The chart, its table, and what lies behind each ratio.
pub(super) fn write(page: &Page<'_>, id: &str, compared: &[Compared<'_>]) -> String {
    let mut order: Vec<&Compared<'_>> = compared.iter().collect();
    let place = |own: &&Compared<'_>| marked(own).0.map_or(f64::NEG_INFINITY, |(ratio, _)| ratio);
    order.sort_by(|one, other| place(other).total_cmp(&place(one)));
    let [base, other] = compared.first().map_or(["", ""], |first| first.arms);
    let mut values = vec![0.8, 1.25];
    let mut rows = Vec::new();
    for own in &order {
        let (mark, interval, said) = marked(own);
        values.extend(mark.iter().map(|(ratio, _)| *ratio));
        values.extend(interval.into_iter().flat_map(|(low, high)| [low, high]));
        let decided = own.valid && own.times.is_some_and(Comparison::is_decided);
        let ratio_class = match (own.valid, decided) {
            (false, _) => "strike",
            (true, true) => "b",
            (true, false) => "",
        };
        let class = if own.valid { "" } else { "tbad b" };
        let mut ticks: Vec<f64> = Vec::new();
        if interval.is_none() {
            ticks.extend(own.pairs.iter().map(|(_, ratio)| *ratio));
        }
        // The kinds of work alone; the table has all of it.
        let kinds = own.ran_on.strip_prefix("gpu (").and_then(|rest| rest.split([';', ')']).next());
        let ran_on = if own.off_gpu { "ran on the CPU" } else { kinds.unwrap_or(&own.ran_on) };
        let ran_on = ran_on.to_owned();
        let title = format!("{}: {} ÷ {} = {}, {said}", own.name, base, other, shown_ratio(own));
        rows.push(Row {
            label: own.name.clone(),
            class,
            mark,
            interval,
            ticks,
            hatched: own.off_gpu,
            cells: vec![
                (shown_ratio(own), ratio_class),
                (
                    if own.tried.is_some() { "tried once".to_owned() } else { said },
                    if decided { "b" } else { "m" },
                ),
                (ran_on, "m"),
            ],
            title,
        });
    }
    let known = || values.iter().copied().filter(|ratio| ratio.is_finite() && *ratio > 0.0);
    let scale = Scale::log(known().fold(1.0, f64::min), known().fold(1.0, f64::max), 7);
    let caption = caption(compared, other);
    let head = |names: [&str; 2]| format!("{} ÷ {} (95 %)", names[0], names[1]);
    // Each name with both its ends, where there is no room for all of them.
    let [short_base, short_other] = [base, other].map(|name| squeezed(name, 58.0, HEAD_FONT));
    let whole = head([base, other]);
    let head = match squeezed(&whole, HEAD_MAX, HEAD_FONT) == whole {
        true => whole,
        false => head([&short_base, &short_other]),
    };
    let heads = [head.as_str(), "verdict", "ran on"];
    let sides = (format!("← {other} is slower"), format!("{other} is faster →"));
    let title = format!("How many times faster {other} is than {base}");
    let chart = RowChart {
        names: Names { id: &page.id(&format!("c-ratios{id}")), title: &title, desc: &caption },
        scale,
        label: &|ratio| format!("{}×", trimmed(ratio)),
        one: Some(1.0),
        sides: Some(sides),
        head: "query",
        heads: &heads,
        rows: &rows,
    };
    let note = "<p class=\"note\">Filled: the interval is clear of 1 and the evidence suffices. Ring: it is \
                not shown. Diamond: too few pairs for an interval; thin ticks: single pairs. Triangle: a \
                bound. Hatched: the plan was not on the GPU. Cross: the answers differ.</p>";
    let chart = chart.draw() + note;
    let figure = framed(&escape(&caption), &chart, &data("queries", &[table(compared)]));
    figure + &behind(page, id, &order) + &differing(compared)
}

/// What is to be seen, by the verdicts alone.
fn caption(compared: &[Compared<'_>], other: &str) -> String {
    let of = |verdict: TimesVerdict| -> Vec<&str> {
        let own = compared
            .iter()
            .filter(|own| own.valid && own.times.is_some_and(|times| times.verdict == verdict));
        own.map(|own| own.name.as_str()).collect()
    };
    let (faster, slower) = (of(TimesVerdict::Faster), of(TimesVerdict::Slower));
    let wrong: Vec<&str> =
        compared.iter().filter(|own| !own.valid).map(|own| own.name.as_str()).collect();
    let mut said = match (faster.as_slice(), slower.as_slice()) {
        ([], []) => format!(
            "No direction is shown: of {} none has evidence enough.",
            format_counted(compared.len() as u64, "query", "queries")
        ),
        (faster, slower) => {
            let mut parts = Vec::new();
            if !faster.is_empty() {
                parts.push(format!("faster with {other}: {}", names(faster.iter().copied(), 4)));
            }
            if !slower.is_empty() {
                parts.push(format!("slower: {}", names(slower.iter().copied(), 4)));
            }
            format!("Shown to be {}.", parts.join("; "))
        }
    };
    if !wrong.is_empty() {
        let wrong = names(wrong.into_iter(), 4);
        // Writing to a String cannot fail.
        let _ = write!(said, " The answers differ, so the times do not count: {wrong}.");
    }
    if let Some(line) = words::together(compared.iter().filter_map(|own| own.times)) {
        let mut chars = line.chars();
        let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        let _ = write!(said, " {first}{}.", chars.as_str());
    }
    said
}

fn table(compared: &[Compared<'_>]) -> Table {
    let heads =
        ["query", "base", "other", "ratio", "from", "to", "verdict", "pairs", "answers", "ran on"];
    let mut table = Table::new("The two arms of each query", &heads);
    for own in compared {
        let place = |name: &str| format!("{}/times/{name}", own.place);
        let ratio = |name: &str, of: fn(&Comparison) -> Option<f64>| {
            let known = own.times.and_then(of);
            known.map_or_else(
                || Cell::number("–"),
                |ratio| Cell::of(&place(name), &format_ratio(ratio)),
            )
        };
        let ms = |name: &str, of: fn(&Comparison) -> Option<f64>| match own.times.and_then(of) {
            Some(ns) => Cell::of(&place(name), &format_ms(ns / 1e6)),
            None => Cell::number("–"),
        };
        let pairs = own.times.map_or(0, |times| times.pairs);
        table.row(vec![
            Cell::words(&own.name),
            ms("median_a_ns", |times| times.median_a_ns),
            ms("median_b_ns", |times| times.median_b_ns),
            ratio("ratio", |times| times.ratio),
            ratio("low", |times| times.low),
            ratio("high", |times| times.high),
            Cell::words(&marked(own).2),
            match own.times {
                Some(_) => Cell::of(&place("pairs"), &format_count(pairs as u64)),
                None => Cell::number("0"),
            },
            Cell::words(&words::answers(own.answers)),
            Cell::words(&own.ran_on),
        ]);
    }
    table.class = "keep";
    table
}

/// Behind the ratios: all executions.
fn behind(page: &Page<'_>, id: &str, order: &[&Compared<'_>]) -> String {
    let mut figures = String::new();
    for (at, own) in order.iter().take(BEHIND_MAX).enumerate() {
        let times = own.times;
        let [base, other] = own.arms;
        let pairs = times.map_or(0, |times| times.pairs);
        let more = times.filter(|times| !times.is_decided()).and_then(|times| times.more_pairs);
        let more = more.map_or_else(String::new, |more| {
            format!("; a direction takes about {more} more pairs")
        });
        let caption = format!(
            "{}: {} ÷ {} {}, {} pairs{more}.",
            escape(&own.name),
            escape(base),
            escape(other),
            escape(&is_ratio(own)),
            format_count(pairs as u64)
        );
        let chart = format!("c-ecdf{id}-{at}");
        let arms = &own.executions;
        figures.push_str(&distributions::figure(page, &chart, &caption, &own.name, arms));
        if let Some(by_rows) = times.and_then(|times| times.by_rows.as_ref()) {
            let chart = format!("c-rows{id}-{at}");
            figures.push_str(&distributions::by_rows(page, &chart, &own.name, &own.pairs, by_rows));
        }
    }
    match figures.is_empty() {
        true => figures,
        false => {
            format!("<h3>Behind the ratios: all executions</h3><div class=\"two\">{figures}</div>")
        }
    }
}

/// The rows by which answers differ.
fn differing(compared: &[Compared<'_>]) -> String {
    let mut out = String::new();
    for own in compared.iter().filter(|own| !own.valid) {
        let lines = words::differences(own.arms.into_iter(), own.answers);
        let lines = escape(&lines.join("\n"));
        let name = escape(&own.name);
        let _ = write!(out, "<h3>The answers of {name} differ</h3><pre>{lines}</pre>");
    }
    out
}

/// How long it would take until there is a verdict, where somebody can say.
pub(super) fn verdict_in(comparison: &ComparisonReport) -> Option<String> {
    comparison.verdict_in_s.map(|left_s| format_seconds(left_s.ceil()))
}
