//! Runs laid beside each other: two sides of several runs each, and what can be said of the second
//! against the first. Pure functions of results. The run is the unit: what differs from run to run is in
//! no interval within one, so one run a side shows nothing.

mod exact;
mod figures;
mod gates;
mod sizes;
mod surroundings;
mod unlike;

use serde::Serialize;

use crate::exit;
use crate::result::{JobResult, Status, one_line};

pub use exact::{Exact, ExactVerdict};
pub use figures::{CompareVerdict, Compared};
pub use gates::Judged;
pub use sizes::UnlikeSizes;
pub use surroundings::Differs;
pub use unlike::{Refused, Unlike};

pub use crate::plan::Gate;

/// Version of the format of a comparison as JSON. Additions keep it.
const FORMAT_VERSION: u32 = 1;
/// With fewer runs on a side no verdict is given.
pub const RUNS_MIN: usize = 4;
/// Confidence of intervals, and of all verdicts of a family together.
pub const CONFIDENCE: f64 = 0.95;

/// A run that is compared.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its results folder, as it was named.
    pub folder: String,
    /// What came of it.
    pub result: JobResult,
}

/// How runs are to be compared.
#[derive(Debug, Default)]
pub struct Options {
    /// Conditions that the second side must meet.
    pub gates: Vec<Gate>,
    /// Keys of the plan that may differ, with all below them.
    pub allowed: Vec<String>,
    /// Whether tables of unlike sizes may be compared.
    pub allow_rows: bool,
    /// Whether a gate that is open fails.
    pub strict: bool,
    /// Whether every figure that both sides have is compared, and not only those that lead.
    pub all: bool,
    /// Runs of each side that have no result.
    pub missing: [Vec<LeftOut>; 2],
    /// How the runs followed each other, if they were made for this: `A B B A`.
    pub order: Option<String>,
}

/// What comparing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There was no gate.
    Compared,
    /// Every gate holds.
    Pass,
    /// A gate does not hold, or a run of B has wrong rows or answers.
    Fail,
    /// None fails, and one is open.
    Inconclusive,
}

/// A side: the runs that are compared, and those that are not.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Folders of the runs that are compared, in their order.
    pub runs: Vec<String>,
    /// Runs that did not come to their end, each with how it ended.
    pub left_out: Vec<LeftOut>,
}

/// A run that is not compared.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Its folder.
    pub folder: String,
    /// How it ended.
    pub why: String,
}

/// Two sides, compared.
#[derive(Debug, Clone, Serialize)]
pub struct RunsCompared {
    /// Version of this format.
    pub compare_version: u32,
    /// What it came to.
    pub outcome: Outcome,
    /// The exit code.
    pub exit_code: u8,
    /// The kind of the jobs.
    pub kind: String,
    /// The profile of each side; names of several are joined by commas.
    pub profiles: [String; 2],
    /// Digest of the plan of the first run of each side.
    pub plans: [String; 2],
    /// How the runs followed each other, if they were made for this.
    pub order: Option<String>,
    /// The sides: A and B.
    pub sides: [Side; 2],
    /// Folders of the runs of B whose rows or answers are wrong.
    pub wrong: Vec<String>,
    /// What differs around the runs: server, versions, settings, GPUs, rows of tables.
    pub differs: Vec<Differs>,
    /// Things of that kind that were looked at and are the same.
    pub same: usize,
    /// Keys of the plan that differ and were allowed to.
    pub allowed: Vec<Unlike>,
    /// What a run has right or has not.
    pub exact: Vec<Exact>,
    /// What varies from run to run.
    pub figures: Vec<Compared>,
    /// The gates, judged.
    pub gates: Vec<Judged>,
    /// Confidence of the intervals, and of all verdicts of gated figures together, and of the others.
    pub confidence: f64,
}

/// Compares the second side with the first.
///
/// # Errors
/// When the runs cannot be compared, with what is unlike.
pub fn compare(sides: &[Vec<Run>; 2], options: &Options) -> Result<RunsCompared, Refused> {
    unlike::check_twice(sides)?;
    let told = [0, 1].map(|side| Side {
        runs: done(&sides[side]).map(|run| run.folder.clone()).collect(),
        left_out: sides[side]
            .iter()
            .filter_map(left_out)
            .chain(options.missing[side].iter().cloned())
            .collect(),
    });
    let [a, b] = sides.each_ref().map(|runs| done(runs).collect::<Vec<&Run>>());
    for (name, runs, side) in [("A", &a, &told[0]), ("B", &b, &told[1])] {
        if runs.is_empty() {
            let left_out = side.left_out.clone();
            return Err(Refused::NoRun { side: name, left_out });
        }
    }
    let allowed = unlike::check([&a, &b], options)?;
    let (differs, same) = surroundings::of([&a, &b]);
    let gated: Vec<&Gate> = options.gates.iter().collect();
    let figures = figures::of([&a, &b], &gated, options.all);
    let exact = exact::of([&a, &b], &gated);
    let is_whole = told.iter().all(|side| side.left_out.is_empty());
    let gates = gates::judge([&a, &b], &options.gates, is_whole);
    let gated = outcome(&gates);
    let fails = match gated {
        Outcome::Fail => true,
        Outcome::Inconclusive => options.strict,
        Outcome::Pass | Outcome::Compared => false,
    };
    // What was proven wrong is not made right by a gate that looks at something else.
    let wrong = b.iter().filter(|run| run.result.exit_code() == exit::INTEGRITY);
    let wrong: Vec<String> = wrong.map(|run| run.folder.clone()).collect();
    let outcome = if wrong.is_empty() { gated } else { Outcome::Fail };
    let codes = [(!wrong.is_empty(), exit::INTEGRITY), (fails, exit::THRESHOLD)];
    let exit_code = exit::gravest(codes.into_iter().filter_map(|(is, code)| is.then_some(code)));
    Ok(RunsCompared {
        compare_version: FORMAT_VERSION,
        outcome,
        exit_code,
        kind: a[0].result.kind().to_owned(),
        profiles: [&a, &b].map(|runs| profiles(runs)),
        plans: [&a, &b].map(|runs| crate::result::plan_digest(&runs[0].result.plan)),
        order: options.order.clone(),
        sides: told,
        wrong,
        differs,
        same,
        allowed,
        exact,
        figures,
        gates,
        confidence: CONFIDENCE,
    })
}

fn outcome(gates: &[Judged]) -> Outcome {
    let has = |outcome| gates.iter().any(|gate| gate.outcome == outcome);
    match gates {
        [] => Outcome::Compared,
        _ if has(Outcome::Fail) => Outcome::Fail,
        _ if has(Outcome::Inconclusive) => Outcome::Inconclusive,
        _ => Outcome::Pass,
    }
}

/// The runs that came to their end.
fn done(runs: &[Run]) -> impl Iterator<Item = &Run> {
    runs.iter().filter(|run| run.result.came_to_its_end())
}

fn left_out(run: &Run) -> Option<LeftOut> {
    let ended = match run.result.status {
        Status::Done => {
            let (step, error) = run.result.unready_step()?;
            let why = format!("an error ended it: step {step} was not made ready: {error}");
            return Some(LeftOut { folder: run.folder.clone(), why: one_line(&why) });
        }
        Status::Running => "it goes on, or was killed",
        Status::Interrupted => "it was interrupted",
        Status::Aborted => "it was aborted",
        Status::Failed => "an error ended it",
        Status::Stopped => "a threshold ended it",
    };
    let error = run.result.error.as_deref().map(one_line);
    let why = match error {
        Some(error) => format!("{ended}: {error}"),
        None => ended.to_owned(),
    };
    Some(LeftOut { folder: run.folder.clone(), why })
}

fn profiles(runs: &[&Run]) -> String {
    let mut names: Vec<&str> = runs.iter().map(|run| run.result.profile()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
