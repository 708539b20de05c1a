//! A comparison over several repeats, each with new sessions: the repeat is the unit, as what differs
//! from one to the next is in no interval within one.

use super::location::most_evidence;
use super::outliers::tamed_mean;
use super::pair::{PAIRS_LEAST, Pair, Settings, held};
use super::paired::{Comparison, Repeats, TimesVerdict, paired_ratio};
use super::student::{log_beyond, t_quantile};

/// Fewest repeats of which there is an interval.
const REPEATS_MIN: usize = 2;

/// Compares two arms over repeats that were each begun anew, after Kalibera and Jones (2013).
///
/// Ratio and interval are those of the repeats' own typical ratios: their geometric mean and Student's
/// interval, so it has all levels of variation in it. That of the repeats is taken to be no less than
/// what the noise of their pairs makes of it: two repeats that are alike by chance prove nothing. The
/// evidence is that of Student's test, − ln p, at most what states of the server allow that last over
/// the pairs of all repeats ([`Comparison::evidence`]). With fewer than two repeats that had a pair this
/// is [`paired_ratio`], within one run.
pub fn repeated_ratio(repeats: &[Vec<Pair>], settings: &Settings) -> Comparison {
    let mut comparison = paired_ratio(&repeats.concat(), settings);
    let logs: Vec<Vec<f64>> = repeats
        .iter()
        .filter(|pairs| !pairs.is_empty())
        .map(|pairs| pairs.iter().map(Pair::log_ratio).collect())
        .collect();
    let typical: Vec<f64> = logs.iter().filter_map(|logs| tamed_mean(logs)).collect();
    let count = typical.len();
    if count < REPEATS_MIN {
        return comparison;
    }
    let center = typical.iter().sum::<f64>() / count as f64;
    let (between, freedom) = squares(&typical);
    let between = between / freedom;
    let own = logs.iter().map(|logs| squares(logs));
    let (within, within_freedom) = own.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    let within = (within_freedom > 0.0).then(|| within / within_freedom);
    // What the mean of a repeat varies by if its pairs alone make it vary.
    let own_part = logs.iter().map(|logs| within.unwrap_or(0.0) / logs.len() as f64);
    let own_part = own_part.sum::<f64>() / count as f64;
    let error = (between.max(own_part) / count as f64).sqrt();
    let reach = error * t_quantile(f64::midpoint(1.0, comparison.confidence), freedom);
    let (low, high) = (center - reach, center + reach);
    let t = if error > 0.0 { center / error } else { center * f64::INFINITY };
    let evidence = if center == 0.0 { 0.0 } else { -log_beyond(t, freedom) };
    comparison.ratio = Some(held(center));
    comparison.repeats = Some(Repeats {
        ratios: typical.iter().map(|log| held(*log)).collect(),
        between: between.sqrt(),
        within: within.map(f64::sqrt),
    });
    comparison.course = None;
    if comparison.pairs < PAIRS_LEAST {
        return comparison;
    }
    (comparison.low, comparison.high) = (Some(held(low)), Some(held(high)));
    comparison.evidence = Some(evidence.min(most_evidence(comparison.pairs as f64)));
    comparison.verdict = match (low, high) {
        (low, _) if low > 0.0 => TimesVerdict::FasterSoFar,
        (_, high) if high < 0.0 => TimesVerdict::SlowerSoFar,
        _ => TimesVerdict::NoDifferenceShown,
    };
    comparison.require(settings.needed(1));
    comparison
}

/// Sum of squares around the mean, and the degrees of freedom.
fn squares(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares, values.len() as f64 - 1.0)
}
