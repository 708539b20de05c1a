//! Two arms measured in pairs: the ratio of their medians, its interval, and a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Ranked, Resampler};
use super::dependence::{autocorrelation_time, ranks};
use super::student::t_quantile;

/// One duration of each arm, measured next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Duration in arm A, ns. Zero is taken as 1: a clock that did not tick.
    pub a_ns: u64,
    /// Duration in arm B, ns. Zero is taken as 1.
    pub b_ns: u64,
}

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Confidence of the interval, above 0 and below 1; held to 0.5 … 0.999.
    pub confidence: f64,
    /// Bootstrap resamples; at least 100 are drawn.
    pub resamples: u32,
    /// Pairs below which nothing is said; [`Settings::effective_pairs_min`] holds as well.
    pub pairs_min: usize,
    /// Seed of the resampling: the same pairs and settings give the same interval.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { confidence: 0.95, resamples: 2_000, pairs_min: 20, seed: 0 }
    }
}

impl Settings {
    /// Effective pairs below which nothing is said: 6 at 95 %.
    ///
    /// With m independent values all of them lie on one side of the true median with probability
    /// 2 ÷ 2^m. Where that is more than the error allowed, no interval for a median that is free
    /// of assumptions about the distribution exists.
    pub fn effective_pairs_min(&self) -> f64 {
        (1.0 - (1.0 - self.held_confidence()).log2()).ceil()
    }

    pub(super) fn held_confidence(&self) -> f64 {
        if self.confidence.is_nan() { 0.95 } else { self.confidence.clamp(0.5, 0.999) }
    }

    pub(super) fn held_resamples(&self) -> u32 {
        self.resamples.max(100)
    }
}

/// What the interval says of arm B beside arm A. The point never decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimesVerdict {
    /// The whole interval is above 1: B takes less time than A.
    Faster,
    /// The whole interval is below 1: B takes more time than A.
    Slower,
    /// The interval contains 1. It says how large a difference may still be hidden.
    NoDifferenceShown,
    /// Fewer pairs, or effective pairs, than an interval needs.
    TooFewPairs,
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
    /// `median_a_ns` ÷ `median_b_ns`: how many times faster B is than A.
    pub ratio: Option<f64>,
    /// Lower end of the interval of the ratio; absent with too few pairs.
    pub low: Option<f64>,
    /// Upper end of the interval of the ratio; absent with too few pairs.
    pub high: Option<f64>,
    /// Confidence of the interval.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub confidence: f64,
    /// Pairs measured. All of them count: nothing is an outlier.
    pub pairs: usize,
    /// Independent pairs that they are worth.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub effective_pairs: f64,
    /// Pairs ÷ effective pairs, from the order of measurement.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub autocorrelation_time: f64,
}

impl Comparison {
    /// How far the interval reaches from the ratio, as a share of it: 0.05 is ± 5 %. The wider
    /// side counts, measured as a factor, so that swapping the arms changes nothing.
    pub fn half_width(&self) -> Option<f64> {
        let (ratio, low, high) = (self.ratio?, self.low?, self.high?);
        Some((ratio / low).max(high / ratio) - 1.0)
    }
}

/// Compares two arms by the ratio of their medians, with a bootstrap interval that keeps pairs
/// together and allows for autocorrelation between them.
///
/// Pairs are in the order of measurement. docs/statistics.md describes the method.
pub fn paired_ratio(pairs: &[Pair], settings: &Settings) -> Comparison {
    let arm_a = Ranked::new(pairs.iter().map(|pair| Some(pair.a_ns.max(1) as f64)));
    let arm_b = Ranked::new(pairs.iter().map(|pair| Some(pair.b_ns.max(1) as f64)));
    let confidence = settings.held_confidence();
    let mut comparison = Comparison {
        verdict: TimesVerdict::TooFewPairs,
        median_a_ns: arm_a.median(),
        median_b_ns: arm_b.median(),
        ratio: None,
        low: None,
        high: None,
        confidence,
        pairs: pairs.len(),
        effective_pairs: 0.0,
        autocorrelation_time: 1.0,
    };
    let (Some(median_a), Some(median_b)) = (comparison.median_a_ns, comparison.median_b_ns) else {
        return comparison;
    };
    let center = median_a.ln() - median_b.ln();
    comparison.ratio = Some(median_a / median_b);
    let time = dependence(pairs, median_a, median_b);
    comparison.autocorrelation_time = time;
    let effective = pairs.len() as f64 / time;
    comparison.effective_pairs = effective;
    if pairs.len() < settings.pairs_min || effective < settings.effective_pairs_min() {
        return comparison;
    }
    let (low, high) = percentile_interval(arm_a, arm_b, settings);
    let widen = widening(pairs.len(), time, confidence);
    // The exponent is bounded so that no end is zero or infinite.
    let end = |log: f64| (center + widen * (log - center)).clamp(-700.0, 700.0).exp();
    let (low, high) = (end(low.min(center)), end(high.max(center)));
    comparison.low = Some(low);
    comparison.high = Some(high);
    comparison.verdict = match () {
        () if low > 1.0 => TimesVerdict::Faster,
        () if high < 1.0 => TimesVerdict::Slower,
        () => TimesVerdict::NoDifferenceShown,
    };
    comparison
}

/// By which factor autocorrelation widens an interval for `n` independent values: the root of
/// the autocorrelation time, and the fewer degrees of freedom that are left.
pub(super) fn widening(n: usize, time: f64, confidence: f64) -> f64 {
    if time <= 1.0 {
        return 1.0;
    }
    let p = f64::midpoint(1.0, confidence);
    let t = |values: f64| t_quantile(p, values - 1.0);
    time.sqrt() * t(n as f64 / time) / t(n as f64)
}

/// What each pair contributes to the log ratio of medians, to first order and up to a factor: a
/// median moves by the side of it that a value lies on, not by how far away it lies.
fn influence(pairs: &[Pair], median_a: f64, median_b: f64) -> Vec<f64> {
    let of = |ns: u64, median: f64| side(ns.max(1) as f64, median);
    pairs.iter().map(|pair| of(pair.a_ns, median_a) - of(pair.b_ns, median_b)).collect()
}

/// The autocorrelation time of the comparison: that of the contributions to the ratio of medians,
/// or of the ranks of the ratios within pairs if that is longer.
fn dependence(pairs: &[Pair], median_a: f64, median_b: f64) -> f64 {
    let log = |ns: u64| (ns.max(1) as f64).ln();
    let ratios: Vec<f64> = pairs.iter().map(|pair| log(pair.a_ns) - log(pair.b_ns)).collect();
    let of_ratios = autocorrelation_time(&ranks(&ratios));
    autocorrelation_time(&influence(pairs, median_a, median_b)).max(of_ratios)
}

/// On which side of the median a value lies: −1, 0 or 1.
pub(super) fn side(value: f64, median: f64) -> f64 {
    f64::from(value.total_cmp(&median) as i8)
}

/// Percentiles of log(median A ÷ median B) over resamples of whole pairs.
fn percentile_interval(mut arm_a: Ranked, mut arm_b: Ranked, settings: &Settings) -> (f64, f64) {
    let mut resampler = Resampler::new(arm_a.len(), settings.seed);
    let resamples = settings.held_resamples();
    let mut ratios: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let drawn = resampler.draw();
            Some(arm_a.median_of(drawn)?.ln() - arm_b.median_of(drawn)?.ln())
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ends(&ratios, settings.held_confidence())
}

/// The two ends between which the share `confidence` of sorted values lies, the same number cut
/// off on both sides, so that mirrored values give mirrored ends.
pub(super) fn ends(sorted: &[f64], confidence: f64) -> (f64, f64) {
    let cut = ((1.0 - confidence) / 2.0 * (sorted.len() + 1) as f64).floor() as usize;
    let cut = cut.saturating_sub(1).min(sorted.len().saturating_sub(1) / 2);
    match sorted.get(cut).zip(sorted.iter().rev().nth(cut)) {
        Some((low, high)) => (*low, *high),
        None => (0.0, 0.0),
    }
}
