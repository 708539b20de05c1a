//! Whether two sets of runs differ: the run is the unit, as what differs from one to the next is in no
//! interval within one.

use super::student::{log_beyond, t_quantile};

/// Fewest values of a set of which there is a spread.
const VALUES_MIN: usize = 2;
/// Durations are kept to three digits: sets that vary by less do so by rounding.
const DEVIATION_MIN: f64 = 5e-4;
/// A difference that would be found with this probability counts as one that would have been seen.
const POWER: f64 = 0.8;

/// How far the logarithms of values lie from those of others, or from 0, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    center: f64,
    error: f64,
    freedom: f64,
}

/// Mean of the logarithms, the variance of that mean, and the degrees of freedom.
fn mean_log(values: &[f64]) -> Option<(f64, f64, f64)> {
    let is_positive = values.iter().all(|value| value.is_finite() && *value > 0.0);
    if values.len() < VALUES_MIN || !is_positive {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value.ln()).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value.ln() - mean).powi(2)).sum();
    let variance = (squares / (count - 1.0)).max(DEVIATION_MIN.powi(2));
    Some((mean, variance / count, count - 1.0))
}

/// The geometric mean; `None` of nothing, and where a value is not above 0.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    let is_positive = !values.is_empty() && values.iter().all(|value| *value > 0.0);
    is_positive
        .then(|| (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

impl Apart {
    /// Of `values` from those of `base`, by the method of Welch (1947) on their logarithms. `None` of fewer
    /// than two on a side, and where a value is not above 0.
    pub fn of(base: &[f64], values: &[f64]) -> Option<Self> {
        let (base_mean, base_part, base_freedom) = mean_log(base)?;
        let (mean, part, freedom) = mean_log(values)?;
        let both = base_part + part;
        let welch = both.powi(2) / (base_part.powi(2) / base_freedom + part.powi(2) / freedom);
        Some(Self { center: mean - base_mean, error: both.sqrt(), freedom: welch })
    }

    /// Of values from 1, by Student's method.
    pub fn from_one(values: &[f64]) -> Option<Self> {
        let (center, part, freedom) = mean_log(values)?;
        Some(Self { center, error: part.sqrt(), freedom })
    }

    /// The ratio of the geometric means.
    pub fn ratio(&self) -> f64 {
        self.center.exp()
    }

    /// The interval of that ratio.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let reach = self.error * t_quantile(f64::midpoint(1.0, confidence), self.freedom);
        ((self.center - reach).exp(), (self.center + reach).exp())
    }

    /// The logarithm of the probability of a ratio that is as far from `ratio`, to either side, if that is
    /// the true one.
    pub fn log_p(&self, ratio: f64) -> f64 {
        log_beyond((self.center - ratio.ln()) / self.error, self.freedom)
    }

    /// The least ratio above 1 that runs which vary as these do would have shown at this level, in 80 of
    /// 100 comparisons.
    pub fn would_show(&self, level: f64) -> f64 {
        let needed = t_quantile(1.0 - level / 2.0, self.freedom);
        (self.error * (needed + t_quantile(POWER, self.freedom))).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::family::shown_together;
    use super::*;

    /// Standard normal draws, the same each time (Box and Muller, over SplitMix64).
    struct Normal(u64);

    impl Normal {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / 2_f64.powi(53)
        }

        fn next(&mut self) -> f64 {
            let radius = (-2.0 * self.uniform().max(1e-300).ln()).sqrt();
            radius * (std::f64::consts::TAU * self.uniform()).cos()
        }

        fn runs(&mut self, count: usize, typical: f64, deviation: f64) -> Vec<f64> {
            (0..count).map(|_| typical * (deviation * self.next()).exp()).collect()
        }
    }

    /// In how many of 100 comparisons of `count` runs a side a difference is shown.
    fn shown_of_100(seed: u64, pairs: usize, count: usize, ratio: f64, deviation: f64) -> f64 {
        let mut normal = Normal(seed);
        let shown = (0..pairs).filter(|_| {
            let (a, b) =
                (normal.runs(count, 10.0, deviation), normal.runs(count, 10.0 * ratio, deviation));
            shown_together(&[Apart::of(&a, &b).unwrap().log_p(1.0)], 0.05)[0]
        });
        shown.count() as f64 / pairs as f64 * 100.0
    }

    #[test]
    fn runs_of_the_same_raise_few_alarms() {
        for (seed, deviation) in [(1, 0.01), (2, 0.03)] {
            let alarms = shown_of_100(seed, 2_500, 5, 1.0, deviation);
            assert!((2.0..=6.0).contains(&alarms), "{alarms} % at {deviation}");
        }
    }

    #[test]
    fn a_difference_that_matters_is_found() {
        let found = shown_of_100(3, 500, 5, 1.10, 0.03);
        assert!(found >= 80.0, "{found} %");
    }

    #[test]
    fn what_would_have_been_shown_is_shown_in_80_of_100() {
        let mut normal = Normal(4);
        let all: Vec<f64> = (0..200)
            .map(|_| {
                let (a, b) = (normal.runs(5, 1.0, 0.03), normal.runs(5, 1.0, 0.03));
                Apart::of(&a, &b).unwrap().would_show(0.05).ln()
            })
            .collect();
        let ratio = (all.iter().sum::<f64>() / all.len() as f64).exp();
        assert!((1.04..1.08).contains(&ratio), "{ratio}");
        let found = shown_of_100(5, 500, 5, ratio, 0.03);
        assert!((70.0..95.0).contains(&found), "{found} % of {ratio}");
    }

    #[test]
    fn a_worked_example_holds() {
        let (a, b) = ([19.0_f64, 20.0, 21.0, 20.5], [24.0, 23.0, 25.5, 22.0]);
        // By hand: means of the logarithms, Welch's degrees of freedom.
        let apart = Apart::of(&a, &b).unwrap();
        assert!((apart.ratio() - 1.172_9).abs() < 2e-3, "{}", apart.ratio());
        let (low, high) = apart.interval(0.95);
        assert!(low > 1.0 && high < 1.35 && (low * high - apart.ratio().powi(2)).abs() < 1e-9);
        assert!(apart.log_p(1.0) < 0.05_f64.ln() && apart.log_p(1.15) > 0.05_f64.ln());
        assert!((Apart::from_one(&a).unwrap().ratio() - geometric_mean(&a).unwrap()).abs() < 1e-9);
        assert_eq!(Apart::of(&a, &[24.0]), None);
        assert_eq!(Apart::of(&a, &[24.0, 0.0, 1.0]), None);
    }

    #[test]
    fn values_that_differ_by_rounding_are_the_same() {
        let apart = Apart::of(&[3000.0; 5], &[3000.5; 5]).unwrap();
        assert!(apart.log_p(1.0) > 0.05_f64.ln(), "{apart:?}");
        let other = Apart::of(&[3000.0; 5], &[3030.0; 5]).unwrap();
        assert!(other.log_p(1.0) < 0.001_f64.ln());
    }

    proptest! {
        #[test]
        fn the_sides_mirror_each_other(
            a in prop::collection::vec(0.001..1e6_f64, 2..8),
            b in prop::collection::vec(0.001..1e6_f64, 2..8),
            unit in 0.001..1e3_f64,
        ) {
            let (one, other) = (Apart::of(&a, &b).unwrap(), Apart::of(&b, &a).unwrap());
            prop_assert!((one.ratio() * other.ratio() - 1.0).abs() < 1e-9);
            prop_assert!((one.log_p(1.0) - other.log_p(1.0)).abs() < 1e-6);
            let (low, high) = one.interval(0.95);
            prop_assert!(low <= one.ratio() && one.ratio() <= high);
            // In another unit it is the same.
            let scaled = |all: &[f64]| all.iter().map(|value| value * unit).collect::<Vec<_>>();
            let again = Apart::of(&scaled(&a), &scaled(&b)).unwrap();
            prop_assert!((again.ratio() / one.ratio() - 1.0).abs() < 1e-6);
        }
    }
}
