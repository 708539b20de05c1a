//! Two sides of runs, compared: for a terminal, and as Markdown for a pull request.

mod apart;

use std::fmt::{self, Write as _};

use crate::compare::{
    CompareVerdict, Compared, Differs, Exact, ExactVerdict, Judged, Outcome, RUNS_MIN,
    RunsCompared, Side, Unlike,
};
use crate::quantity::{format_counted, format_ratio};

use self::apart::apart;
use super::measure::shown;
use super::table::{Align, TableRow, markdown_table, text_table};
use super::words::{escaped, harmless};

/// The mark and the word of an outcome.
pub(super) fn outcome_word(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Compared => ("·", "COMPARED"),
        Outcome::Pass => ("✓", "PASS"),
        Outcome::Fail => ("✗", "FAIL"),
        Outcome::Inconclusive => ("?", "INCONCLUSIVE"),
    }
}

/// What came of it, in a sentence.
pub(super) fn headline(compared: &RunsCompared) -> String {
    let gates = |outcome: Outcome| -> Vec<&Judged> {
        compared.gates.iter().filter(|gate| gate.outcome == outcome).collect()
    };
    let named = |gates: &[&Judged]| {
        gates.iter().map(|gate| gate.gate.as_str()).collect::<Vec<_>>().join(", ")
    };
    match compared.outcome {
        Outcome::Fail => {
            let failed = gates(Outcome::Fail);
            let gates = (!failed.is_empty()).then(|| format!("does not hold: {}", named(&failed)));
            let wrong = &compared.wrong;
            let wrong =
                (!wrong.is_empty()).then(|| format!("wrong rows or answers: {}", wrong.join(", ")));
            wrong.into_iter().chain(gates).collect::<Vec<_>>().join("; ")
        }
        Outcome::Inconclusive => format!("open: {}", named(&gates(Outcome::Inconclusive))),
        Outcome::Pass => {
            let count = compared.gates.len() as u64;
            format!("{} of {count} held", format_counted(count, "gate", "gates"))
        }
        Outcome::Compared => verdicts(compared),
    }
}

/// How many figures have which verdict.
pub(super) fn verdicts(compared: &RunsCompared) -> String {
    let count =
        |verdict| compared.figures.iter().filter(|one| one.verdict == verdict).count() as u64;
    let worse =
        compared.exact.iter().filter(|one| one.verdict == ExactVerdict::Worse).count() as u64;
    let counts = [
        (worse, "exact figure worse", "exact figures worse"),
        (count(CompareVerdict::Regression), "regression", "regressions"),
        (count(CompareVerdict::FellToZero), "figure that fell to 0", "figures that fell to 0"),
        (count(CompareVerdict::Improvement), "improvement", "improvements"),
        (
            count(CompareVerdict::NoDifferenceShown),
            "figure without a difference shown",
            "figures without a difference shown",
        ),
        (count(CompareVerdict::TooFewRuns), "figure of too few runs", "figures of too few runs"),
    ];
    let told = counts.into_iter().filter(|(count, ..)| *count > 0);
    let told: Vec<String> =
        told.map(|(count, one, many)| format_counted(count, one, many)).collect();
    if told.is_empty() { "nothing could be compared".to_owned() } else { told.join(", ") }
}

/// That runs of B are wrong, if some are.
pub(super) fn wrong(compared: &RunsCompared) -> Option<String> {
    let (first, others) = compared.wrong.split_first()?;
    let runs = format_counted(compared.wrong.len() as u64, "run", "runs");
    let more = if others.is_empty() { "" } else { " and others" };
    Some(format!(
        "rows or answers are WRONG in {runs} of B: {first}{more}; exit code {}",
        compared.exit_code
    ))
}

/// Which way something went.
fn arrow(rises: bool) -> &'static str {
    if rises { "▲" } else { "▼" }
}

/// What a verdict says. The arrow is the way of the figure, the word whether that is good.
pub(super) fn verdict(one: &Compared) -> String {
    let arrow = arrow(one.ratio.is_some_and(|ratio| ratio > 1.0));
    match one.verdict {
        CompareVerdict::Regression => format!("{arrow} regression"),
        CompareVerdict::Improvement => format!("{arrow} improvement"),
        CompareVerdict::NoDifferenceShown => "no difference shown".to_owned(),
        CompareVerdict::TooFewRuns => "too few runs".to_owned(),
        CompareVerdict::FellToZero => format!("▼ {}", one.why.as_deref().unwrap_or("0")),
        CompareVerdict::NotCompared => match &one.why {
            Some(why) => format!("not compared: {why}"),
            None => "not compared".to_owned(),
        },
    }
}

/// The ratio with its interval.
pub(super) fn ratio(one: &Compared) -> String {
    match (one.ratio, one.low, one.high) {
        (Some(ratio), Some(low), Some(high)) => {
            format!("{} ({} - {})", format_ratio(ratio), format_ratio(low), format_ratio(high))
        }
        (Some(ratio), ..) => format_ratio(ratio),
        _ => "-".to_owned(),
    }
}

/// The change that would have been shown: `6.1 %`.
pub(super) fn would_show(one: &Compared) -> String {
    one.would_show.map_or_else(|| "-".to_owned(), |ratio| percent(ratio - 1.0))
}

fn percent(share: f64) -> String {
    let decimals = usize::from(share < 0.0995);
    format!("{:.decimals$} %", share * 100.0)
}

/// What the power of the whole comparison is, in a sentence.
pub(super) fn power(compared: &RunsCompared) -> String {
    let [a, b] = compared.sides.each_ref().map(|side| side.runs.len());
    if a.min(b) < RUNS_MIN {
        return format!(
            "{a} and {b} runs: no verdict is given with fewer than {RUNS_MIN} a side, as runs of the same differ too"
        );
    }
    let all = compared.figures.iter().filter_map(|one| one.would_show);
    let (least, most) =
        all.fold((f64::INFINITY, 0.0_f64), |(low, high), own| (low.min(own), high.max(own)));
    if most < 1.0 {
        return String::new();
    }
    format!(
        "{a} and {b} runs that vary as these do would have shown changes of {} to {}, by the figure, in 80 of \
         100 comparisons",
        percent(least - 1.0),
        percent(most - 1.0)
    )
}

/// A figure of an exact kind in both sides.
pub(super) fn exact_verdict(one: &Exact) -> String {
    let arrow = arrow((one.verdict == ExactVerdict::Better) == one.more_is_better);
    match one.verdict {
        ExactVerdict::Same => "same".to_owned(),
        ExactVerdict::Better => format!("{arrow} better"),
        ExactVerdict::Worse => format!("{arrow} worse"),
        ExactVerdict::NotMeasured => "not measured in each run".to_owned(),
    }
}

/// A value of a side, or a dash.
pub(super) fn value(name: &str, number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| shown(name, number))
}

/// What both sides have of something, each cut to a line.
pub(super) fn differing(one: &Differs) -> [String; 2] {
    let [a, b] = one.sides.each_ref().map(|own| own.join(", "));
    apart([&a, &b])
}

/// What two plans have of a key, each cut to a line.
pub(crate) fn unlike_values(one: &Unlike) -> [String; 2] {
    let [first, other] = [&one.first, &one.other].map(|value| value.as_deref().unwrap_or("none"));
    apart([first, other])
}

/// What the comparison is of.
pub(super) fn subject(compared: &RunsCompared) -> String {
    let [a, b] = &compared.profiles;
    let names = if a == b { a.clone() } else { format!("{a} and {b}") };
    let runs = |side: &Side| format_counted(side.runs.len() as u64, "run", "runs");
    let [a, b] = compared.sides.each_ref().map(runs);
    let order = compared.order.as_ref().map(|order| format!(", in the order {order}"));
    format!("{names} ({}): A {a}, B {b}{}", compared.kind, order.unwrap_or_default())
}

/// A share counts as whole from here on.
const SHARE_RIGHT: f64 = 0.999;

/// Whether every run of both sides has a figure right: nothing lost, the whole rate reached.
fn is_right(one: &Exact) -> bool {
    let right = |worst: &Option<f64>| match one.more_is_better {
        true => worst.is_some_and(|worst| worst >= SHARE_RIGHT),
        false => worst.is_some_and(|worst| worst == 0.0),
    };
    one.worst.iter().all(right)
}

/// What every run has right, in a line.
fn right(compared: &RunsCompared) -> Option<String> {
    let right = compared.exact.iter().filter(|one| is_right(one));
    let names: Vec<&str> = right.map(|one| one.figure.as_str()).collect();
    (!names.is_empty()).then(|| format!("right in every run: {}", names.join(", ")))
}

/// The tables, in the order in which they are told: what they are about, rows with the head first, and
/// which columns are numbers.
fn tables(compared: &RunsCompared) -> Vec<(&'static str, Vec<TableRow>, Align)> {
    let row = |cells: &[&str]| -> TableRow {
        cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>().into()
    };
    let mut differs = vec![row(&["what differs", "A", "B"])];
    differs.extend(compared.differs.iter().map(|one| {
        let [a, b] = differing(one);
        row(&[&one.what, &a, &b])
    }));
    differs.extend(compared.allowed.iter().map(|one| {
        let [a, b] = unlike_values(one);
        row(&[&format!("plan: {}", one.key), &a, &b])
    }));
    let mut exact = vec![row(&["exact", "A", "B", "worst run"])];
    exact.extend(compared.exact.iter().filter(|one| !is_right(one)).map(|one| {
        let [a, b] = one.worst.map(|worst| value(&one.figure, worst));
        row(&[&one.figure, &a, &b, &exact_verdict(one)])
    }));
    let mut figures = vec![row(&["figure", "A", "B", "B ÷ A (95 %)", "would show", "verdict"])];
    figures.extend(compared.figures.iter().map(|one| {
        let [a, b] = one.typical.map(|typical| value(&one.figure, typical));
        let more = if one.more_is_better { " (more is better)" } else { "" };
        let name = format!("{}{more}", one.figure);
        row(&[&name, &a, &b, &ratio(one), &would_show(one), &verdict(one)])
    }));
    let mut gates = vec![row(&["gate", "", "why"])];
    gates.extend(compared.gates.iter().map(|gate| {
        let (_, word) = outcome_word(gate.outcome);
        let word = if gate.outcome == Outcome::Inconclusive { "open" } else { word };
        row(&[&gate.gate, &word.to_lowercase(), &gate.why])
    }));
    let all = [
        ("around", differs, Align::Left),
        ("exact", exact, Align::Right(1, 2)),
        ("figures", figures, Align::Right(1, 4)),
        ("gates", gates, Align::Left),
    ];
    all.into_iter().filter(|(_, rows, _)| rows.len() > 1).collect()
}

fn left_out(side: &Side) -> impl Iterator<Item = String> + '_ {
    side.left_out.iter().map(|run| format!("{}: {}", run.folder, run.why))
}

/// For a terminal.
pub fn compare_text(compared: &RunsCompared) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut out, compared);
    harmless(&out)
}

fn write_text(out: &mut String, compared: &RunsCompared) -> fmt::Result {
    let (_, word) = outcome_word(compared.outcome);
    writeln!(out, "{word}  {}", headline(compared))?;
    writeln!(out, "{}", subject(compared))?;
    if let Some(wrong) = wrong(compared) {
        writeln!(out, "{wrong}")?;
    }
    for (name, side) in ["A", "B"].into_iter().zip(&compared.sides) {
        for run in left_out(side) {
            writeln!(out, "left out of {name}: {run}")?;
        }
    }
    if compared.differs.is_empty() && compared.allowed.is_empty() {
        writeln!(out, "nothing that is recorded of plan, server and machine differs")?;
    }
    for (_, rows, align) in tables(compared) {
        writeln!(out)?;
        text_table(out, &rows, align)?;
    }
    writeln!(out)?;
    for note in notes(compared) {
        writeln!(out, "{note}")?;
    }
    Ok(())
}

/// What holds for all of it.
pub(super) fn notes(compared: &RunsCompared) -> Vec<String> {
    let mut notes: Vec<String> = right(compared).into_iter().collect();
    let causes = compared.differs.len() + compared.allowed.len();
    if causes > 1 {
        notes.push(format!(
            "{causes} things differ at once, so no figure says which of them is the cause"
        ));
    }
    notes.push(power(compared));
    notes.push(
        "a run is the unit: ratio of geometric means, Welch's interval on logarithms; verdicts hold together \
         with 95 %, gated figures and the others apart (Holm)"
            .to_owned(),
    );
    notes.retain(|note| !note.is_empty());
    notes
}

/// As Markdown.
pub fn compare_markdown(compared: &RunsCompared) -> String {
    let mut out = String::new();
    let _ = write_markdown(&mut out, compared);
    out
}

fn write_markdown(out: &mut String, compared: &RunsCompared) -> fmt::Result {
    let (mark, word) = outcome_word(compared.outcome);
    writeln!(out, "### {mark} {word}: {}\n", escaped(&headline(compared)))?;
    writeln!(out, "{}\n", escaped(&subject(compared)))?;
    if let Some(wrong) = wrong(compared) {
        writeln!(out, "**{}**\n", escaped(&wrong))?;
    }
    for (name, side) in ["A", "B"].into_iter().zip(&compared.sides) {
        for run in left_out(side) {
            writeln!(out, "- left out of {name}: {}", escaped(&run))?;
        }
    }
    if compared.sides.iter().any(|side| !side.left_out.is_empty()) {
        writeln!(out)?;
    }
    for (_, mut rows, _) in tables(compared) {
        for cell in rows.iter_mut().flat_map(|row| &mut row.cells) {
            *cell = escaped(cell);
        }
        markdown_table(out, &rows)?;
    }
    for note in notes(compared) {
        writeln!(out, "- {}", escaped(&note))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
