//! Gates: conditions that the second side must meet, judged at the bad end of what is known.

use serde::Serialize;

use super::figures::{missing, values};
use super::{CONFIDENCE, Outcome, RUNS_MIN, Run};
use crate::plan::{Gate, ThresholdOp};
use crate::quantity::format_ratio;
use crate::result::figure::{How, Known, Value};
use crate::stats::{Apart, shown_together};

/// A gate, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// As written.
    pub gate: String,
    /// The figure that it is about.
    pub figure: String,
    /// The limit.
    pub limit: f64,
    /// Whether that is one of the ratio.
    pub of_ratio: bool,
    /// Whether it holds, does not, or is open.
    pub outcome: Outcome,
    /// Why, in words.
    pub why: String,
}

/// What a gate comes to before the others are known.
enum Draft {
    Known(Outcome, String),
    /// By an interval: where it is open or fails, the others decide too.
    Estimated {
        apart: Apart,
        /// Nothing but a failure may be said: values are bounds.
        bounded: bool,
    },
}

/// Judges all gates; where runs were left out, none passes.
pub(super) fn judge(sides: [&[&Run]; 2], gates: &[Gate], is_whole: bool) -> Vec<Judged> {
    let drafts: Vec<Draft> = gates.iter().map(|gate| draft(gate, sides)).collect();
    let beyond = |(gate, draft): (&Gate, &Draft)| match draft {
        Draft::Estimated { apart, .. } => {
            Some((gate.limit > 0.0).then(|| apart.log_p(gate.limit))?)
        }
        Draft::Known(..) => None,
    };
    let log_p: Vec<Option<f64>> = gates.iter().zip(&drafts).map(beyond).collect();
    let known: Vec<f64> = log_p.iter().flatten().copied().collect();
    let mut shown = shown_together(&known, 1.0 - CONFIDENCE).into_iter();
    let mut judged = Vec::new();
    for ((gate, draft), log_p) in gates.iter().zip(drafts).zip(&log_p) {
        // Whatever the runs are, none is below 0.
        let is_sure = log_p.is_none_or(|_| shown.next().unwrap_or(false));
        let (mut outcome, mut why) = match draft {
            Draft::Known(outcome, why) => (outcome, why),
            Draft::Estimated { apart, bounded } => estimated(gate, &apart, is_sure, bounded),
        };
        if outcome == Outcome::Pass && !is_whole {
            outcome = Outcome::Inconclusive;
            why.push_str("; but runs were left out");
        }
        judged.push(Judged {
            gate: gate.to_string(),
            figure: gate.figure.to_string(),
            limit: gate.limit,
            of_ratio: gate.of_ratio,
            outcome,
            why,
        });
    }
    judged
}

fn estimated(gate: &Gate, apart: &Apart, is_sure: bool, bounded: bool) -> (Outcome, String) {
    let (low, high) = apart.interval(CONFIDENCE);
    let bad_end = if is_upper(gate.op) { high } else { low };
    let outcome = match gate.op.holds(bad_end, gate.limit) {
        true if !bounded => Outcome::Pass,
        // The interval lies beyond the limit, and so much that the number of gates does not explain it.
        false if is_sure && !gate.op.holds(apart.ratio(), gate.limit) => Outcome::Fail,
        _ => Outcome::Inconclusive,
    };
    let unit = if gate.of_ratio { "x" } else { "" };
    let number = |value: f64| format!("{}{unit}", format_ratio(value));
    let mut why = format!("{} ({} - {})", number(apart.ratio()), number(low), number(high));
    if bounded {
        why.push_str("; some runs are only bounded");
    }
    (outcome, why)
}

/// Whether a limit is one from above.
fn is_upper(op: ThresholdOp) -> bool {
    matches!(op, ThresholdOp::Below | ThresholdOp::AtMost)
}

fn draft(gate: &Gate, [a, b]: [&[&Run]; 2]) -> Draft {
    let (first, second) = (values(&gate.figure, a), values(&gate.figure, b));
    let absent = |values: &[Option<Value>], runs: &[&Run]| {
        let place = values.iter().position(Option::is_none)?;
        Some(missing(&gate.figure, runs[place]))
    };
    if let Some(why) = absent(&second, b) {
        // A gate that looks at nothing is no gate.
        return Draft::Known(Outcome::Fail, why);
    }
    let second: Vec<Value> = second.into_iter().flatten().collect();
    if gate.figure.figure.nature().how != How::Ratio {
        return each_run(gate, &second, b);
    }
    let first = match (gate.of_ratio, absent(&first, a)) {
        (true, Some(why)) => return Draft::Known(Outcome::Inconclusive, why),
        (true, None) => first.into_iter().flatten().collect(),
        (false, _) => Vec::new(),
    };
    let few = |side: &str, runs: usize| {
        let why = format!("{side} has {runs} runs, and fewer than {RUNS_MIN} show nothing");
        Draft::Known(Outcome::Inconclusive, why)
    };
    if second.len() < RUNS_MIN {
        return few("B", second.len());
    }
    if a.len() < RUNS_MIN {
        return few("A", a.len());
    }
    // A bound of B on its bad side may show that a gate fails, and never that it holds.
    let bad = if is_upper(gate.op) { Known::AtLeast } else { Known::AtMost };
    let bounded = second.iter().any(|value| value.known == bad);
    let is_known = |value: &Value| value.known == Known::Exactly;
    let of_use = |value: &Value| is_known(value) || value.known == bad;
    if !first.iter().all(is_known) || !second.iter().all(of_use) {
        return Draft::Known(Outcome::Inconclusive, "a run has no more than a bound".to_owned());
    }
    if let Some(draft) = at_zero(gate, (&first, a), (&second, b)) {
        return draft;
    }
    let numbers = |values: &[Value]| values.iter().map(|value| value.number).collect::<Vec<_>>();
    let apart = match gate.of_ratio {
        true => Apart::of(&numbers(&first), &numbers(&second)),
        false => Apart::from_one(&numbers(&second)),
    };
    match apart {
        Some(apart) => Draft::Estimated { apart, bounded },
        None => Draft::Known(Outcome::Inconclusive, "there is no ratio".to_owned()),
    }
}

/// A gate on runs of which some have 0: that is in no geometric mean, and so in no interval.
fn at_zero(
    gate: &Gate,
    (first, a): (&[Value], &[&Run]),
    (second, b): (&[Value], &[&Run]),
) -> Option<Draft> {
    let zero = |values: &[Value]| values.iter().position(|value| value.number <= 0.0);
    if let Some(place) = zero(first) {
        let why = format!("it is 0 in {}, and nothing is a multiple of that", a[place].folder);
        return Some(Draft::Known(Outcome::Inconclusive, why));
    }
    let place = zero(second)?;
    if !gate.of_ratio {
        return Some(each_run(gate, second, b));
    }
    let zeros = second.iter().filter(|value| value.number <= 0.0).count();
    let why = format!("it is 0 in {}, {zeros} of {} runs", b[place].folder, second.len());
    let outcome = match gate.op.holds(0.0, gate.limit) {
        // 0 times anything lies below every limit: that is the bad end.
        false => Outcome::Fail,
        true if zeros == second.len() => Outcome::Pass,
        true => Outcome::Inconclusive,
    };
    Some(Draft::Known(outcome, why))
}

/// Every run must hold by itself.
fn each_run(gate: &Gate, values: &[Value], runs: &[&Run]) -> Draft {
    let broken: Vec<usize> =
        (0..values.len()).filter(|at| !gate.op.holds(values[*at].number, gate.limit)).collect();
    match broken.first() {
        None => Draft::Known(Outcome::Pass, format!("in each of {} runs", values.len())),
        Some(first) => {
            let why = format!(
                "it is {} in {}, and does not hold in {} of {} runs",
                values[*first].number,
                runs[*first].folder,
                broken.len(),
                values.len()
            );
            Draft::Known(Outcome::Fail, why)
        }
    }
}
