//! A comparison over several runs: the run is the unit, as what differs from run to run is in no
//! interval within one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outliers::tamed_mean;
use super::paired::{Pair, Settings};
use super::student::t_quantile;

/// Fewest runs of which there is an interval.
const RUNS_MIN: usize = 2;

/// What several runs say of arm A beside arm B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunsCompared {
    /// Runs that had a pair.
    pub runs: usize,
    /// Pairs of all runs.
    pub pairs: usize,
    /// Geometric mean of the typical ratios of the runs.
    pub ratio: f64,
    /// Lower end of its interval; absent with one run.
    pub low: Option<f64>,
    /// Upper end of its interval; absent with one run.
    pub high: Option<f64>,
    /// Confidence of the interval.
    pub confidence: f64,
    /// Standard deviation of the log ratio from run to run; absent with one run.
    pub between_runs: Option<f64>,
    /// Standard deviation of the log ratio from pair to pair of a run; absent with one pair each.
    pub within_runs: Option<f64>,
}

/// Compares two arms over runs that were each started anew, after Kalibera and Jones (2013): the
/// interval is Student's, of the runs' own ratios, so it has all levels of variation in it. `None`
/// without a pair.
pub fn over_runs(runs: &[Vec<Pair>], settings: &Settings) -> Option<RunsCompared> {
    let logs: Vec<Vec<f64>> = runs
        .iter()
        .filter(|pairs| !pairs.is_empty())
        .map(|pairs| pairs.iter().map(Pair::log_ratio).collect())
        .collect();
    let typical: Vec<f64> = logs.iter().filter_map(|logs| tamed_mean(logs)).collect();
    if typical.is_empty() {
        return None;
    }
    let count = typical.len();
    let center = typical.iter().sum::<f64>() / count as f64;
    let (squares, freedom) = squares(&typical);
    let between_runs = (count >= RUNS_MIN).then(|| (squares / freedom).sqrt());
    let of_all: (f64, f64) = logs
        .iter()
        .map(|logs| self::squares(logs))
        .fold((0.0, 0.0), |(squares, freedom), (own, own_freedom)| {
            (squares + own, freedom + own_freedom)
        });
    let confidence = settings.held_confidence();
    let reach = between_runs.map(|deviation| {
        let t = t_quantile(f64::midpoint(1.0, confidence), freedom);
        t * deviation / (count as f64).sqrt()
    });
    Some(RunsCompared {
        runs: count,
        pairs: logs.iter().map(Vec::len).sum(),
        ratio: center.exp(),
        low: reach.map(|reach| (center - reach).exp()),
        high: reach.map(|reach| (center + reach).exp()),
        confidence,
        between_runs,
        within_runs: (of_all.1 > 0.0).then(|| (of_all.0 / of_all.1).sqrt()),
    })
}

/// How many pairs of a run make the most of a given time, after Kalibera and Jones: the root of
/// what a start costs ÷ what a pair costs, × the variance within runs ÷ that between them. More
/// pairs than that would better have been another run. Costs are in the same unit, such as seconds.
///
/// `None` if the runs do not differ beyond what their pairs explain: then one run is enough.
pub fn pairs_worth_a_run(found: &RunsCompared, start_cost: f64, pair_cost: f64) -> Option<usize> {
    let within = found.within_runs?.powi(2);
    let pairs_of_a_run = found.pairs as f64 / found.runs as f64;
    // What the runs differ by beyond the noise of their own pairs.
    let between = found.between_runs?.powi(2) - within / pairs_of_a_run;
    (between > 0.0)
        .then(|| (start_cost / pair_cost * within / between).sqrt().ceil().max(1.0) as usize)
}

/// Sum of squares around the mean, and the degrees of freedom.
fn squares(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares, values.len() as f64 - 1.0)
}
