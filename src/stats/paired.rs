//! Two arms measured in pairs: the typical ratio within a pair, its interval, and a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_rows::ByRows;
use super::center::median;
use super::location::Location;
use super::outliers::{tamed, tamed_mean};
use super::pair::{Estimate, LOG_MAX, PAIRS_LEAST, Pair, Settings, held};

/// Probability of a trend from which on the ratio is reported as one that changes.
const TREND_MIN: f64 = 0.95;

/// What may be said of arm B beside arm A. The point never decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimesVerdict {
    /// B takes less time than A: the evidence suffices, however often one looks.
    Faster,
    /// B takes more time than A: the evidence suffices, however often one looks.
    Slower,
    /// The interval lies above 1, and the evidence does not suffice yet.
    FasterSoFar,
    /// The interval lies below 1, and the evidence does not suffice yet.
    SlowerSoFar,
    /// The interval contains 1. It says how large a difference may still be hidden.
    NoDifferenceShown,
    /// Fewer pairs than anything can be said of.
    TooFewPairs,
}

/// A ratio that changes in the course of a run, as with a table that grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RatioCourse")]
pub struct Course {
    /// At the first pair.
    pub first: Estimate,
    /// At the pair in the middle.
    pub middle: Estimate,
    /// At the last pair.
    pub last: Estimate,
}

/// How the repeats of a comparison differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TimesRepeats")]
pub struct Repeats {
    /// The typical ratio of each repeat that had a pair, in order.
    #[serde(deserialize_with = "crate::quantity::each_or_nan")]
    pub ratios: Vec<f64>,
    /// Standard deviation of the log ratio from repeat to repeat.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub between: f64,
    /// Standard deviation of the log ratio from pair to pair of a repeat; absent with one pair each.
    pub within: Option<f64>,
}

/// Arm A beside arm B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TimesCompared")]
pub struct Comparison {
    /// What may be said.
    pub verdict: TimesVerdict,
    /// Median duration in arm A; absent without a pair.
    pub median_a_ns: Option<f64>,
    /// Median duration in arm B; absent without a pair.
    pub median_b_ns: Option<f64>,
    /// The typical ratio A ÷ B within a pair, how many times faster B is than A: the geometric
    /// mean of the ratios, in which outliers that come alone are drawn in.
    pub ratio: Option<f64>,
    /// Lower end of the interval of the ratio; absent with too few pairs.
    pub low: Option<f64>,
    /// Upper end of the interval of the ratio; absent with too few pairs.
    pub high: Option<f64>,
    /// `median_a_ns` ÷ `median_b_ns`, which has no interval.
    #[serde(default)]
    pub ratio_of_medians: Option<f64>,
    /// The ratio in the course of the run, if it changes; absent over several repeats.
    #[serde(default)]
    pub course: Option<Course>,
    /// The ratio as a function of the table's rows, if it is shown to change with them.
    #[serde(default)]
    pub by_rows: Option<ByRows>,
    /// How the repeats differ, if there were several: then ratio, interval and evidence are those
    /// over them, and else within one run.
    #[serde(default)]
    pub repeats: Option<Repeats>,
    /// Confidence of interval and direction.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub confidence: f64,
    /// Pairs measured. All of them count.
    pub pairs: usize,
    /// Pairs below which there is neither an interval nor a direction.
    #[serde(default)]
    pub pairs_min: usize,
    /// Independent pairs that they are worth.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub effective_pairs: f64,
    /// Pairs ÷ effective pairs, from the order of measurement.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub autocorrelation_time: f64,
    /// Natural logarithm of the e-value: of how many times more likely the pairs are if there is
    /// a difference. Over several repeats, of 1 ÷ the p-value of Student's test, which is held against
    /// the same. Absent with too few pairs.
    #[serde(default)]
    pub evidence: Option<f64>,
    /// What `evidence` has to be for a direction; more where several queries are compared.
    #[serde(default)]
    pub evidence_needed: Option<f64>,
    /// Further pairs after which there is likely to be a direction, if they are as those so far
    /// ([`more_pairs`](super::more_pairs)); absent if there is one, if none is in sight, and while
    /// the job goes on.
    #[serde(default)]
    pub more_pairs: Option<usize>,
}

impl Comparison {
    /// How far the interval reaches from the ratio, as a share of it: 0.05 is ± 5 %. The wider
    /// side counts, measured as a factor, so that swapping the arms changes nothing.
    pub fn half_width(&self) -> Option<f64> {
        let (ratio, low, high) = (self.ratio?, self.low?, self.high?);
        Some((ratio / low).max(high / ratio) - 1.0)
    }

    /// Whether there is a direction: faster or slower, and not only so far.
    pub fn is_decided(&self) -> bool {
        matches!(self.verdict, TimesVerdict::Faster | TimesVerdict::Slower)
    }

    /// Asks for so much evidence, as other comparisons are made beside this one; says whether there
    /// is a direction.
    pub(super) fn require(&mut self, needed: f64) -> bool {
        use TimesVerdict::{Faster, FasterSoFar, Slower, SlowerSoFar};
        let Some(evidence) = self.evidence else { return false };
        self.evidence_needed = Some(needed);
        let decided = evidence >= needed && self.pairs >= self.pairs_min;
        self.verdict = match self.verdict {
            Faster | FasterSoFar => {
                if decided {
                    Faster
                } else {
                    FasterSoFar
                }
            }
            Slower | SlowerSoFar => {
                if decided {
                    Slower
                } else {
                    SlowerSoFar
                }
            }
            other => other,
        };
        if self.is_decided() {
            self.more_pairs = None;
        }
        self.is_decided()
    }
}

/// Compares two arms by the typical ratio within a pair, and says whether one is faster.
///
/// Pairs are in the order of measurement. Ratio, interval and evidence take all noise models and
/// trends into account (`Location`). docs/statistics.md describes the method.
pub fn paired_ratio(pairs: &[Pair], settings: &Settings) -> Comparison {
    let arm = |of: fn(&Pair) -> u64| -> Option<f64> {
        median(&pairs.iter().map(|pair| of(pair).max(1) as f64).collect::<Vec<_>>())
    };
    let (median_a_ns, median_b_ns) = (arm(|pair| pair.a_ns), arm(|pair| pair.b_ns));
    let logs: Vec<f64> = pairs.iter().map(Pair::log_ratio).collect();
    let typical = tamed_mean(&logs);
    let confidence = settings.held_confidence();
    let mut comparison = Comparison {
        verdict: TimesVerdict::TooFewPairs,
        median_a_ns,
        median_b_ns,
        ratio: typical.map(f64::exp),
        low: None,
        high: None,
        ratio_of_medians: median_a_ns.zip(median_b_ns).map(|(a, b)| a / b),
        course: None,
        by_rows: None,
        repeats: None,
        confidence,
        pairs: pairs.len(),
        pairs_min: settings.held_pairs_min(),
        effective_pairs: pairs.len() as f64,
        autocorrelation_time: 1.0,
        evidence: None,
        evidence_needed: None,
        more_pairs: None,
    };
    if pairs.len() < PAIRS_LEAST {
        return comparison;
    }
    let Some(location) = Location::of(&tamed(&logs)) else { return comparison };
    let tail = (1.0 - confidence) / 2.0;
    // Bounded, so that no end is zero or infinite.
    let low = location.quantile(tail).max(-LOG_MAX);
    let high = location.quantile(1.0 - tail).min(LOG_MAX);
    comparison.ratio = Some(location.quantile(0.5).exp());
    let needed = settings.needed(1);
    let enough = pairs.len() >= settings.held_pairs_min();
    let decided = enough && location.evidence >= needed;
    comparison.autocorrelation_time = location.autocorrelation_time;
    comparison.effective_pairs = pairs.len() as f64 / location.autocorrelation_time;
    comparison.evidence = Some(location.evidence);
    comparison.evidence_needed = Some(needed);
    comparison.verdict = match (low, high) {
        (low, _) if low > 0.0 && decided => TimesVerdict::Faster,
        (_, high) if high < 0.0 && decided => TimesVerdict::Slower,
        (low, _) if low > 0.0 => TimesVerdict::FasterSoFar,
        (_, high) if high < 0.0 => TimesVerdict::SlowerSoFar,
        _ => TimesVerdict::NoDifferenceShown,
    };
    if enough {
        (comparison.low, comparison.high) = (Some(low.exp()), Some(high.exp()));
        comparison.course = course(&location, tail);
    }
    comparison
}

/// The ratio at the first, middle and last pair, if it changes for sure.
fn course(location: &Location, tail: f64) -> Option<Course> {
    let at = |place: f64| Estimate {
        ratio: held(location.quantile_at(place, 0.5)),
        low: held(location.quantile_at(place, tail)),
        high: held(location.quantile_at(place, 1.0 - tail)),
    };
    let changes = location.trend >= TREND_MIN;
    changes.then(|| Course { first: at(0.0), middle: at(0.5), last: at(1.0) })
}
