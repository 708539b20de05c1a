//! Which percentiles so many samples know: one rule for what is shown, judged, compared and kept.

use std::fmt;

use super::times::Percentiles;
use crate::quantity::{format_count, format_counted};

/// Fewer samples than this beyond a percentile say nothing of it: it would be the greatest of a few.
pub const BEYOND_MIN: u64 = 10;

/// A value of durations: a percentile, or the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// The greatest.
    Max,
}

/// That a percentile is not known, as it rests on too few samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFew {
    /// How many there are.
    pub samples: u64,
    /// How many it takes.
    pub samples_min: u64,
}

impl Percentile {
    /// How many samples it takes, so that enough lie beyond it.
    pub fn samples_min(self) -> u64 {
        match self {
            // A median of five is a median; and the greatest is what it is.
            Self::P50 | Self::Max => 1,
            Self::P90 => BEYOND_MIN * 10,
            Self::P99 => BEYOND_MIN * 100,
            Self::P999 => BEYOND_MIN * 1_000,
        }
    }

    /// Whether so many samples are enough.
    ///
    /// # Errors
    /// When they are not.
    pub fn known_of(self, samples: u64) -> Result<(), TooFew> {
        let samples_min = self.samples_min();
        if samples >= samples_min { Ok(()) } else { Err(TooFew { samples, samples_min }) }
    }

    /// Whether so many samples are enough.
    pub fn is_known(self, samples: u64) -> bool {
        self.known_of(samples).is_ok()
    }

    /// Its value in milliseconds, whether it is known or not.
    pub fn ms(self, of: &Percentiles) -> f64 {
        match self {
            Self::P50 => of.p50_ms,
            Self::P90 => of.p90_ms,
            Self::P99 => of.p99_ms,
            Self::P999 => of.p999_ms,
            Self::Max => of.max_ms,
        }
    }

    /// Where the true one lies with 95 % probability, in milliseconds.
    pub fn interval_ms(self, of: &Percentiles) -> Option<[f64; 2]> {
        match self {
            Self::P50 => of.intervals.p50_ms,
            Self::P90 => of.intervals.p90_ms,
            Self::P99 => of.intervals.p99_ms,
            Self::P999 => of.intervals.p999_ms,
            Self::Max => None,
        }
    }

    /// Its key in a result.
    pub fn key(self) -> &'static str {
        match self {
            Self::P50 => "p50_ms",
            Self::P90 => "p90_ms",
            Self::P99 => "p99_ms",
            Self::P999 => "p999_ms",
            Self::Max => "max_ms",
        }
    }

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }
}

/// Such as `300 samples, and it takes 1,000`.
impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = format_counted(self.samples, "sample", "samples");
        write!(f, "{samples}, and it takes {}", format_count(self.samples_min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_samples_lie_beyond_a_percentile_that_is_known() {
        let all = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::P999];
        for (samples, known) in
            [(0, 0), (1, 1), (99, 1), (100, 2), (999, 2), (1_000, 3), (9_999, 3), (10_000, 4)]
        {
            let own = all.iter().filter(|percentile| percentile.is_known(samples)).count();
            assert_eq!(own, known, "{samples}");
        }
        let few = Percentile::P99.known_of(1).unwrap_err();
        assert_eq!(few.to_string(), "1 sample, and it takes 1,000");
    }
}
