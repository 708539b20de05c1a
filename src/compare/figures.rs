//! Figures that vary from run to run, by the ratio of the second side to the first.

use serde::Serialize;

use super::{CONFIDENCE, RUNS_MIN, Run};
use crate::plan::Gate;
use crate::result::figure::{Better, How, Known, NamedFigure, Value};
use crate::stats::{Apart, geometric_mean, shown_together};

/// What can be said of a figure of the second side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareVerdict {
    /// It is worse.
    Regression,
    /// It is better.
    Improvement,
    /// Neither is shown.
    NoDifferenceShown,
    /// A side has fewer than four runs.
    TooFewRuns,
    /// It is 0 in some runs of the second side, and in none of the first.
    FellToZero,
    /// There are no ratios: it was not measured in some run, is bounded, or is 0.
    NotCompared,
}

/// A figure, compared.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Its name.
    pub figure: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Whether a gate is about it.
    pub gated: bool,
    /// Its value in each run of each side, in their order.
    pub values: [Vec<Option<f64>>; 2],
    /// Geometric mean of each side; of a side with a 0 the mean.
    pub typical: [Option<f64>; 2],
    /// The second one ÷ the first.
    pub ratio: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The least change, as a ratio above 1, that would have been shown in 80 of 100 comparisons of runs
    /// which vary as these do.
    pub would_show: Option<f64>,
    /// What can be said.
    pub verdict: CompareVerdict,
    /// Why there is no ratio, if there is none.
    pub why: Option<String>,
}

/// The values of a figure in the runs of a side.
pub(super) fn values(figure: &NamedFigure, runs: &[&Run]) -> Vec<Option<Value>> {
    runs.iter().map(|run| figure.value(&run.result)).collect()
}

/// The figures that are compared, each once, in the order of the documents.
pub(super) fn of(sides: [&[&Run]; 2], gates: &[&Gate], all: bool) -> Vec<Compared> {
    let mut names: Vec<NamedFigure> = Vec::new();
    let own = sides.into_iter().flatten().flat_map(|run| NamedFigure::measured(&run.result));
    for figure in own.chain(gates.iter().map(|gate| gate.figure.clone())) {
        let is_gated = gates.iter().any(|gate| gate.figure == figure);
        if is_compared(&figure, sides[0], is_gated, all) && !names.contains(&figure) {
            names.push(figure);
        }
    }
    let gated = |figure: &NamedFigure| gates.iter().any(|gate| gate.figure == *figure);
    // What is 0 wherever it was measured was not asked for: queries without readers.
    let is_something = |figure: &NamedFigure| {
        let values = sides.into_iter().flat_map(|runs| values(figure, runs)).flatten();
        gated(figure) || all || values.into_iter().any(|value| value.number != 0.0)
    };
    names.retain(is_something);
    let mut aparts = Vec::new();
    let mut compared: Vec<Compared> = Vec::new();
    for figure in &names {
        let (one, apart) = draft(figure, sides, gated(figure));
        compared.push(one);
        aparts.push(apart);
    }
    // What is gated and the rest are families of their own: looking at more must cost a gate nothing.
    for family in [true, false] {
        let members: Vec<usize> = (0..compared.len())
            .filter(|place| compared[*place].gated == family)
            .filter(|place| compared[*place].verdict == CompareVerdict::NoDifferenceShown)
            .collect();
        let level = 1.0 - CONFIDENCE;
        let log_p: Vec<f64> =
            members.iter().filter_map(|place| Some(aparts[*place]?.log_p(1.0))).collect();
        let shown = shown_together(&log_p, level);
        for (place, shown) in members.iter().zip(shown) {
            let (one, Some(apart)) = (&mut compared[*place], aparts[*place]) else { continue };
            one.would_show = Some(apart.would_show(level / members.len() as f64));
            if shown {
                one.verdict = match (apart.ratio() > 1.0) == one.more_is_better {
                    true => CompareVerdict::Improvement,
                    false => CompareVerdict::Regression,
                };
            }
        }
    }
    compared
}

fn is_compared(figure: &NamedFigure, base: &[&Run], is_gated: bool, all: bool) -> bool {
    let nature = figure.figure.nature();
    if nature.how != How::Ratio {
        return false;
    }
    // A rate that was asked for is kept or missed: `rate_ratio` says which.
    let is_asked = figure.figure.name == "rows_per_s"
        && base.iter().any(|run| {
            run.result.stream().is_some_and(|run| run.stream.target_rows_per_s.is_some())
        });
    is_gated || all || (nature.leads && !is_asked)
}

/// A figure with all that can be said of it alone.
fn draft(figure: &NamedFigure, sides: [&[&Run]; 2], gated: bool) -> (Compared, Option<Apart>) {
    let found = sides.map(|runs| values(figure, runs));
    let numbers = found.each_ref().map(|values| {
        values.iter().map(|value| value.map(|value| value.number)).collect::<Vec<_>>()
    });
    let why = why_not(figure, &found, sides);
    let known: [Vec<f64>; 2] =
        numbers.each_ref().map(|values| values.iter().flatten().copied().collect());
    let mut one = Compared {
        figure: figure.to_string(),
        more_is_better: figure.figure.nature().better == Better::More,
        gated,
        values: numbers,
        typical: [None, None],
        ratio: None,
        low: None,
        high: None,
        would_show: None,
        verdict: CompareVerdict::NotCompared,
        why,
    };
    if let Some(why) = fell_to_zero(&found, sides) {
        let [a, b] = &known;
        one.typical = [geometric_mean(a), Some(b.iter().sum::<f64>() / b.len() as f64)];
        (one.verdict, one.why) = (CompareVerdict::FellToZero, Some(why));
    }
    if one.why.is_some() {
        return (one, None);
    }
    one.typical = known.each_ref().map(|values| geometric_mean(values));
    one.ratio = one.typical[0].zip(one.typical[1]).map(|(a, b)| b / a);
    let apart = Apart::of(&known[0], &known[1]);
    if let Some(apart) = apart {
        let (low, high) = apart.interval(CONFIDENCE);
        (one.low, one.high) = (Some(low), Some(high));
    }
    let few = known.iter().any(|values| values.len() < RUNS_MIN);
    one.verdict = if few { CompareVerdict::TooFewRuns } else { CompareVerdict::NoDifferenceShown };
    (one, apart)
}

/// Why a run has no value of a figure.
pub(super) fn missing(figure: &NamedFigure, run: &Run) -> String {
    match figure.too_few(&run.result) {
        Some(few) => format!("in {} it has {few}", run.folder),
        None => format!("it was not measured in {}", run.folder),
    }
}

/// In which runs of the second side a figure is 0, if it is known in all runs and above 0 in each of the first.
fn fell_to_zero(found: &[Vec<Option<Value>>; 2], [_, b]: [&[&Run]; 2]) -> Option<String> {
    let known = |value: &Option<Value>| {
        value.filter(|value| value.known == Known::Exactly).map(|value| value.number)
    };
    let [first, second] =
        found.each_ref().map(|values| values.iter().map(known).collect::<Option<Vec<f64>>>());
    let (first, second) = (first?, second?);
    let place = second.iter().position(|number| *number <= 0.0)?;
    let zeros = second.iter().filter(|number| **number <= 0.0).count();
    let of = second.len();
    first
        .iter()
        .all(|number| *number > 0.0)
        .then(|| format!("0 in {zeros} of {of} runs of B, first in {}", b[place].folder))
}

/// Why a figure has no ratio.
fn why_not(
    figure: &NamedFigure,
    found: &[Vec<Option<Value>>; 2],
    sides: [&[&Run]; 2],
) -> Option<String> {
    for (values, runs) in found.iter().zip(sides) {
        for (value, run) in values.iter().zip(runs) {
            let what = match value {
                None => return Some(missing(figure, run)),
                Some(value) if value.known != Known::Exactly => "is only bounded",
                Some(value) if value.number <= 0.0 => "is 0",
                Some(_) => continue,
            };
            return Some(format!("it {what} in {}", run.folder));
        }
    }
    None
}
