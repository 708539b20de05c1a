//! Where the centre of a series of dependent values lies, and how sure that is.
//!
//! Short series cannot tell which noise they have. So none is chosen: all noise models and trends
//! count, each by how well it explains the values (Bayesian model averaging).

use super::noise_model::{COLUMNS, NoiseModel, VALUES, Whitened};
use super::student::t_below;

/// Prior weights of no trend, a straight one, and a curved one.
const TREND_WEIGHTS: [f64; 3] = [0.7, 0.2, 0.1];
/// Variance that a level other than zero is expected to have, as a multiple of the long-run
/// variance of a value: differences that matter are somewhat larger than the noise of one pair.
const LEVEL_VARIANCE: f64 = 2.0;
/// Values that a state of one arm, such as another plan or another clock frequency, is taken to
/// last on average. Noise models are normal and know of no jumps between states.
const STATE_LASTS: f64 = 20.0;
/// A longer series is first reduced to the means of neighbours: at most this many.
const POINTS_MAX: usize = 1_000;
/// Fewer values say nothing.
const VALUES_MIN: usize = 4;
/// Models of less weight change no quantile.
const WEIGHT_MIN: f64 = 1e-7;

/// The centre of a series.
#[derive(Debug, Clone)]
pub(super) struct Location {
    fits: Vec<Fit>,
    degrees: f64,
    polynomials: Polynomials,
    /// Natural logarithm of the Bayes factor of a level that is not zero to a level of zero: an
    /// e-value, of a mean of 1 at most under a level of zero, whenever one looks. It is no more than
    /// what states allow that lasted by chance since the first value.
    pub(super) evidence: f64,
    /// Probability that the level changes steadily, or along a curve.
    pub(super) trend: f64,
    /// Successive values that say together as much about the level as one independent one.
    pub(super) autocorrelation_time: f64,
}

/// What the series says if one model is true.
#[derive(Debug, Clone)]
struct Fit {
    /// Whether the level changes along a curve in it.
    is_curved: bool,
    /// Probability of the model.
    weight: f64,
    /// Level and trends.
    estimates: [f64; 3],
    covariance: Matrix,
}

type Matrix = [[f64; 3]; 3];

impl Location {
    /// The centre of values in the order of measurement, whose trend is one over that order: its
    /// places are from 0, the first value, to 1, the last one. `None` of fewer than four.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let last = values.len().saturating_sub(1) as f64;
        let places: Vec<f64> = (0..values.len()).map(|index| index as f64 / last).collect();
        Self::along(values, &places)
    }

    /// The centre of values in the order of measurement, whose trend is one along these places: of
    /// each value, what may change it. `None` of fewer than four, and where all places are the same.
    pub(super) fn along(values: &[f64], places: &[f64]) -> Option<Self> {
        let given = values.len() as f64;
        let own_mean = mean(values);
        let own_variance =
            values.iter().map(|value| (value - own_mean).powi(2)).sum::<f64>() / (given - 1.0);
        let size = values.len().div_ceil(POINTS_MAX).max(1);
        let values: Vec<f64> = values.chunks(size).map(mean).collect();
        let places: Vec<f64> = places.chunks(size).map(mean).collect();
        if values.len() < VALUES_MIN {
            return None;
        }
        let (polynomials, degrees) = (Polynomials::over(&places)?, values.len() as f64 - 1.0);
        let row = |(place, value): (&f64, &f64)| {
            let [level, straight, curved] = polynomials.at(*place);
            [level, straight, curved, *value]
        };
        let rows: Vec<[f64; COLUMNS]> = places.iter().zip(&values).map(row).collect();
        // Values that never vary have no noise, and the logarithm of none is no number.
        let least = 1e-18 * (1.0 + own_mean * own_mean) * values.len() as f64;

        let mut fits = Vec::new();
        let mut logs: Vec<f64> = Vec::new();
        let (mut without_trend, mut moved, mut at_zero) = (Vec::new(), Vec::new(), Vec::new());
        for noise in NoiseModel::all() {
            let whitened = noise.whiten(&rows);
            let prior = 1.0 / noise.long_run();
            for (terms, trend_weight) in TREND_WEIGHTS.into_iter().enumerate() {
                let log_prior = (noise.weight * trend_weight).ln() - 0.5 * whitened.log_variances;
                // The level may be anything: the interval.
                let free = solve(&whitened, 0..=terms, [0.0, prior, prior], least);
                let log = log_prior + free.log_factor - 0.5 * degrees * free.rest.ln();
                logs.push(log);
                if terms == 0 {
                    without_trend.push(log);
                }
                let scale = free.rest / degrees;
                let covariance = free.inverse.map(|row| row.map(|value| value * scale));
                let (is_curved, estimates) = (terms == 2, free.estimates);
                fits.push(Fit { is_curved, weight: 0.0, estimates, covariance });
                // It is zero, or about as far from it as differences are: the evidence.
                let level_prior = prior / LEVEL_VARIANCE;
                let any = solve(&whitened, 0..=terms, [level_prior, prior, prior], least);
                let zero = solve(&whitened, 1..=terms, [0.0, prior, prior], least);
                let log = |solved: &Solved| {
                    log_prior + solved.log_factor - 0.5 * (degrees + 1.0) * solved.rest.ln()
                };
                moved.push(log(&any));
                at_zero.push(log(&zero));
            }
        }
        let all = log_of_sum(&logs);
        for (fit, log) in fits.iter_mut().zip(&logs) {
            fit.weight = (log - all).exp();
        }
        let variance: f64 = fits.iter().map(|fit| fit.weight * fit.covariance[0][0]).sum();
        let autocorrelation_time = match variance * given / own_variance {
            time if own_variance > least => time.clamp(1.0, given),
            _ => 1.0,
        };
        Some(Self {
            fits,
            degrees,
            polynomials,
            evidence: (log_of_sum(&moved) - log_of_sum(&at_zero)).min(most_evidence(given)),
            trend: (1.0 - (log_of_sum(&without_trend) - all).exp()).max(0.0),
            autocorrelation_time,
        })
    }

    /// The `p`-quantile of the level of the whole.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        self.quantile_of([1.0, 0.0, 0.0], p, |_| true)
    }

    /// The `p`-quantile of the level at a place.
    pub(super) fn quantile_at(&self, place: f64, p: f64) -> f64 {
        self.quantile_of(self.polynomials.at(place), p, |_| true)
    }

    /// The same by the models alone in which the level changes along a curve: where it is known to
    /// change, but not how.
    pub(super) fn quantile_of_curve_at(&self, place: f64, p: f64) -> f64 {
        self.quantile_of(self.polynomials.at(place), p, |fit| fit.is_curved)
    }

    /// The `p`-quantile of the sum of level and trends, in these shares, by the models that count.
    fn quantile_of(&self, shares: [f64; 3], p: f64, counts: impl Fn(&Fit) -> bool) -> f64 {
        let part = |fit: &Fit| {
            let center: f64 = shares.iter().zip(&fit.estimates).map(|(x, own)| x * own).sum();
            let along =
                |row: &[f64; 3]| -> f64 { row.iter().zip(&shares).map(|(v, x)| v * x).sum() };
            let rows = fit.covariance.iter().zip(&shares);
            let variance: f64 = rows.map(|(row, x)| x * along(row)).sum();
            (fit.weight, center, variance.max(0.0).sqrt().max(1e-12))
        };
        let all: f64 = self.fits.iter().filter(|fit| counts(fit)).map(|fit| fit.weight).sum();
        let weighs = |fit: &&Fit| counts(fit) && fit.weight > WEIGHT_MIN * all;
        let parts: Vec<(f64, f64, f64)> = self.fits.iter().filter(weighs).map(part).collect();
        let total: f64 = parts.iter().map(|(weight, ..)| weight).sum();
        let reach = 100.0 * parts.iter().map(|(.., error)| *error).fold(0.0, f64::max);
        let centers = || parts.iter().map(|(_, center, _)| *center);
        let mut low = centers().fold(f64::INFINITY, f64::min) - reach;
        let mut high = centers().fold(f64::NEG_INFINITY, f64::max) + reach;
        // Halved so often, the range is below what a duration is known to.
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            let below = |(weight, center, error): &(f64, f64, f64)| {
                weight * t_below((middle - center) / error, self.degrees)
            };
            if parts.iter().map(below).sum::<f64>() < p * total {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }
}

/// The most that so many values can be evidence of, by its logarithm: two arms that are the same
/// may be in different states, with a probability of one half, and neither may have left its own.
pub(super) fn most_evidence(values: f64) -> f64 {
    let both_stay = 2.0 * (1.0 - 1.0 / STATE_LASTS).ln();
    std::f64::consts::LN_2 - values * both_stay
}

/// Orthogonal polynomials over the places of some values, each of mean square 1 there.
#[derive(Debug, Clone, Copy)]
struct Polynomials {
    mean: f64,
    deviation: f64,
    /// The mean cube of the straight line, which the curve is to be free of.
    skew: f64,
    /// The root of the mean square of the curve; infinite where two places are all there are.
    curve: f64,
}

impl Polynomials {
    /// `None` where all places are the same.
    fn over(places: &[f64]) -> Option<Self> {
        let center = mean(places);
        let of = |power: i32, of: &dyn Fn(f64) -> f64| {
            places.iter().map(|place| of(*place).powi(power)).sum::<f64>() / places.len() as f64
        };
        let deviation = of(2, &|place| place - center).sqrt();
        if !deviation.is_normal() {
            return None;
        }
        let straight = |place: f64| (place - center) / deviation;
        let skew = of(3, &straight);
        let curved = |place: f64| straight(place).powi(2) - skew * straight(place) - 1.0;
        let curve = of(2, &curved).sqrt();
        let curve = if curve > 1e-6 { curve } else { f64::INFINITY };
        Some(Self { mean: center, deviation, skew, curve })
    }

    /// Level, straight line and curve at a place.
    fn at(self, place: f64) -> [f64; 3] {
        let straight = (place - self.mean) / self.deviation;
        [1.0, straight, (straight * straight - self.skew * straight - 1.0) / self.curve]
    }
}

/// What least squares with normal priors come to.
struct Solved {
    estimates: [f64; 3],
    inverse: Matrix,
    /// Logarithm of what priors and determinant contribute to the likelihood.
    log_factor: f64,
    /// Sum of squares that is left.
    rest: f64,
}

/// Fits the columns `terms` to the values. `priors` are the precisions of what is expected of each
/// before; 0: nothing is.
fn solve(
    whitened: &Whitened,
    terms: std::ops::RangeInclusive<usize>,
    priors: [f64; 3],
    least: f64,
) -> Solved {
    let products = &whitened.products;
    // Columns that are left out are solved apart, as zero.
    let mut matrix: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let mut right = [0.0; 3];
    let mut log_factor = 0.0;
    for one in terms.clone() {
        for other in terms.clone() {
            matrix[one][other] = products[one.min(other)][one.max(other)];
        }
        matrix[one][one] += priors[one];
        right[one] = products[one][VALUES];
        if priors[one] > 0.0 {
            log_factor += 0.5 * priors[one].ln();
        }
    }
    let (mut inverse, log_determinant) = invert(matrix);
    for at in (0..3).filter(|at| !terms.contains(at)) {
        inverse[at][at] = 0.0;
    }
    let row = |row: &[f64; 3]| -> f64 { row.iter().zip(&right).map(|(v, own)| v * own).sum() };
    let estimates = inverse.each_ref().map(row);
    let explained: f64 = estimates.iter().zip(&right).map(|(own, other)| own * other).sum();
    let rest = (products[VALUES][VALUES] - explained).max(least);
    Solved { estimates, inverse, log_factor: log_factor - 0.5 * log_determinant, rest }
}

/// The inverse of a symmetric positive definite matrix, and the logarithm of its determinant.
fn invert(mut matrix: Matrix) -> (Matrix, f64) {
    let mut inverse: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let mut log_determinant = 0.0;
    for at in 0..3 {
        let pivot = matrix[at][at].max(f64::MIN_POSITIVE);
        log_determinant += pivot.ln();
        let scaled = matrix[at].map(|value| value / pivot);
        let scaled_inverse = inverse[at].map(|value| value / pivot);
        for row in (0..3).filter(|row| *row != at) {
            let factor = matrix[row][at];
            for column in 0..3 {
                matrix[row][column] -= factor * scaled[column];
                inverse[row][column] -= factor * scaled_inverse[column];
            }
        }
        (matrix[at], inverse[at]) = (scaled, scaled_inverse);
    }
    (inverse, log_determinant)
}

fn log_of_sum(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
