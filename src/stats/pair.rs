//! What is compared: durations in pairs; and how, and what a ratio is known by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pairs below which nothing is said, whatever the settings: too few to see noise at all.
pub const PAIRS_LEAST: usize = 10;
/// The exponential of more is not finite for long.
pub(super) const LOG_MAX: f64 = 700.0;

/// One duration of each arm, measured next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Duration in arm A, ns. Zero is taken as 1: a clock that did not tick.
    pub a_ns: u64,
    /// Duration in arm B, ns. Zero is taken as 1.
    pub b_ns: u64,
}

impl Pair {
    /// The logarithm of A ÷ B.
    pub(super) fn log_ratio(&self) -> f64 {
        (self.a_ns.max(1) as f64).ln() - (self.b_ns.max(1) as f64).ln()
    }
}

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Confidence of interval and direction, above 0 and below 1; held to 0.5 … 0.999.
    pub confidence: f64,
    /// Pairs below which there is neither an interval nor a direction; [`PAIRS_LEAST`] holds as
    /// well.
    pub pairs_min: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // Of 30 pairs a state that lasts 20 pairs on average misleads in one run of 20 at most.
        Self { confidence: 0.95, pairs_min: 30 }
    }
}

impl Settings {
    pub(super) fn held_confidence(&self) -> f64 {
        if self.confidence.is_nan() { 0.95 } else { self.confidence.clamp(0.5, 0.999) }
    }

    pub(super) fn held_pairs_min(&self) -> usize {
        self.pairs_min.max(PAIRS_LEAST)
    }

    /// Logarithm of the e-value that shows a direction, among so many comparisons.
    pub(super) fn needed(&self, comparisons: usize) -> f64 {
        (comparisons.max(1) as f64 / (1.0 - self.held_confidence())).ln()
    }
}

/// A ratio at one place of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RatioEstimate")]
pub struct Estimate {
    /// The ratio.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub ratio: f64,
    /// Lower end of its interval.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub low: f64,
    /// Upper end of its interval.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub high: f64,
}

/// The ratio of this logarithm, neither zero nor infinite.
pub(super) fn held(log: f64) -> f64 {
    log.clamp(-LOG_MAX, LOG_MAX).exp()
}
