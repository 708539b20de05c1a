//! What a run has right or has not: no statistics are needed to tell that rows are lost.

use serde::Serialize;

use super::Run;
use super::figures::values;
use crate::plan::Gate;
use crate::result::figure::{Better, How, NamedFigure};

/// How a side that has something wrong compares with the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExactVerdict {
    /// The worst run of both is as good.
    Same,
    /// The worst of the second is better.
    Better,
    /// It is worse.
    Worse,
    /// It was not measured in a run.
    NotMeasured,
}

/// A figure that is exact.
#[derive(Debug, Clone, Serialize)]
pub struct Exact {
    /// Its name.
    pub figure: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Its value in each run of each side.
    pub values: [Vec<Option<f64>>; 2],
    /// The worst value of each side; `None` where it was not measured.
    pub worst: [Option<f64>; 2],
    /// How the worst ones compare.
    pub verdict: ExactVerdict,
}

/// Rates that were kept are the same to so many parts of the whole.
const SHARE_KNOWN: f64 = 1e-3;

/// The exact figures that lead, differ, or have a gate.
pub(super) fn of(sides: [&[&Run]; 2], gates: &[&Gate]) -> Vec<Exact> {
    let mut names: Vec<NamedFigure> = Vec::new();
    for figure in sides.into_iter().flatten().flat_map(|run| NamedFigure::measured(&run.result)) {
        if figure.figure.nature().how == How::Exact && !names.contains(&figure) {
            names.push(figure);
        }
    }
    let told = names.into_iter().filter_map(|figure| {
        let one = one(&figure, sides);
        let gated = gates.iter().any(|gate| gate.figure == figure);
        let differs = !matches!(one.verdict, ExactVerdict::Same);
        (figure.figure.nature().leads || gated || differs).then_some(one)
    });
    told.collect()
}

fn one(figure: &NamedFigure, sides: [&[&Run]; 2]) -> Exact {
    let more_is_better = figure.figure.nature().better == Better::More;
    let values = sides.map(|runs| {
        let values = values(figure, runs).into_iter();
        values.map(|value| value.map(|value| value.number)).collect::<Vec<_>>()
    });
    let worst = values.each_ref().map(|values| {
        let known = values.iter().copied().collect::<Option<Vec<f64>>>()?;
        known.into_iter().reduce(if more_is_better { f64::min } else { f64::max })
    });
    let verdict = match worst {
        [Some(a), Some(b)] => {
            let slack = if more_is_better { SHARE_KNOWN } else { 0.0 };
            let better = if more_is_better { b - a } else { a - b };
            match better {
                better if better.abs() <= slack => ExactVerdict::Same,
                better if better > 0.0 => ExactVerdict::Better,
                _ => ExactVerdict::Worse,
            }
        }
        _ => ExactVerdict::NotMeasured,
    };
    Exact { figure: figure.to_string(), more_is_better, values, worst, verdict }
}
