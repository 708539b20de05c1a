//! What more pairs would show, if they are as the pairs so far.

use super::location::Location;
use super::outliers::{tamed, tamed_mean};
use super::pair::{PAIRS_LEAST, Pair, Settings};
use super::paired::{Comparison, TimesVerdict};

/// Beyond so many times the pairs so far nothing is foretold.
const TIMES_MAX: usize = 16;
/// How much the number of pairs grows from one guess to the next.
const GROWTH: f64 = 1.25;
/// Halvings in the search for the least ratio: it is good to a thousandth.
const HALVINGS: usize = 14;

/// Further pairs after which the comparison of these pairs is likely to have a direction, among so
/// many comparisons beside each other; `None` if it has one, with fewer than ten pairs, if none is in
/// sight within 16 times the pairs, and while the interval contains 1: pairs that look equal foretell no
/// direction, though chance has put their mean to one side.
///
/// The series is continued by its own mirror image, again and again: so its noise, its dependence
/// and its spread stay what they are.
pub fn more_pairs(pairs: &[Pair], comparison: &Comparison, comparisons: usize) -> Option<usize> {
    let confidence = comparison.confidence;
    let needed = Settings { confidence, ..Settings::default() }.needed(comparisons);
    let looks_equal = comparison.verdict == TimesVerdict::NoDifferenceShown;
    if looks_equal || comparison.evidence? >= needed && comparison.is_decided() {
        return None;
    }
    let logs: Vec<f64> = pairs.iter().map(Pair::log_ratio).collect();
    let mut wanted = logs.len().max(comparison.pairs_min);
    while wanted <= logs.len() * TIMES_MAX {
        if evidence(&continued(&logs, wanted)) >= needed {
            return Some((wanted - logs.len()).max(1));
        }
        wanted = (wanted as f64 * GROWTH).ceil() as usize;
    }
    None
}

/// The least ratio above 1 that `at` pairs are likely to show, among so many comparisons beside each
/// other, given pairs in which both arms are the same: the noise of a server, before anything is
/// compared. `None` with fewer than ten pairs, and where no ratio would be shown.
pub fn smallest_ratio(
    same: &[Pair],
    at: usize,
    comparisons: usize,
    settings: &Settings,
) -> Option<f64> {
    if same.len() < PAIRS_LEAST {
        return None;
    }
    let logs: Vec<f64> = same.iter().map(Pair::log_ratio).collect();
    let center = tamed_mean(&logs)?;
    let noise = continued(&logs, at.max(PAIRS_LEAST));
    let shown = |log: f64| {
        let moved: Vec<f64> = noise.iter().map(|value| value - center + log).collect();
        evidence(&moved) >= settings.needed(comparisons)
    };
    // From a ratio of 1 to one of e to the 8th, 2981: more noise than that is no measurement.
    let (mut low, mut high) = (0.0, 8.0);
    if !shown(high) {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if shown(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high.exp())
}

fn evidence(logs: &[f64]) -> f64 {
    Location::of(&tamed(logs)).map_or(f64::NEG_INFINITY, |location| location.evidence)
}

/// The series, its mirror image, the series, and so on, up to a length.
fn continued(logs: &[f64], length: usize) -> Vec<f64> {
    let there_and_back = logs.iter().chain(logs.iter().rev());
    there_and_back.copied().cycle().take(length).collect()
}
