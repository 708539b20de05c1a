//! How much successive values depend on each other, and so how many independent ones they are
//! worth.

/// Lags summed at most; bounds the time that a long and slow series takes.
const LAGS_MAX: usize = 2_000;

/// The integrated autocorrelation time of a series in the order of measurement: how many
/// successive values say together as much about the centre as one independent value does.
///
/// An upper estimate, because too small a time makes an interval too narrow, and short series
/// hide their dependence. It is the larger of
///
/// - Geyer's initial monotone positive sequence (1992), which fits any decay but is noisy;
/// - (1 + φ) ÷ (1 − φ), exact for AR(1), of the lag-one autocorrelation φ after the first-order
///   correction of its downward bias (Marriott and Pope, 1954) and one standard error up
///   (Bartlett, 1946).
///
/// It is at least 1, so that an anticorrelated series never counts as more than it is. A constant
/// series, and one of fewer than three values, has a time of 1.
pub fn autocorrelation_time(series: &[f64]) -> f64 {
    let n = series.len();
    // Rounding would leave a trace of variance in a constant series.
    if n < 3 || series.iter().all(|value| value.total_cmp(&series[0]).is_eq()) {
        return 1.0;
    }
    let mean = series.iter().sum::<f64>() / n as f64;
    let centered: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let covariance = |lag: usize| -> f64 {
        centered.iter().zip(&centered[lag..]).map(|(early, late)| early * late).sum()
    };
    let variance = covariance(0);
    if !variance.is_normal() {
        return 1.0;
    }
    let first = covariance(1) / variance;
    let bias = (1.0 + 4.0 * first) / n as f64;
    let error = ((1.0 - first * first).max(0.0) / n as f64).sqrt();
    let phi = first + bias + error;
    // Beyond (n − 1) ÷ (n + 1) the time would exceed n.
    let phi = phi.min((n as f64 - 1.0) / (n as f64 + 1.0));
    let first_order = (1.0 + phi) / (1.0 - phi);

    let mut geyer = -1.0;
    let mut least = f64::INFINITY;
    for lag in (0..(n / 2).min(LAGS_MAX)).step_by(2) {
        let pair = (covariance(lag) + covariance(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        least = pair.min(least);
        geyer += 2.0 * least;
    }
    first_order.max(geyer).clamp(1.0, n as f64)
}

/// The autocorrelation of neighbours: 0 of a constant series.
pub(super) fn lag_one(series: &[f64]) -> f64 {
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let variance: f64 = series.iter().map(|value| (value - mean).powi(2)).sum();
    let neighbours = series.windows(2).map(|two| (two[0] - mean) * (two[1] - mean));
    if variance.is_normal() { neighbours.sum::<f64>() / variance } else { 0.0 }
}

/// The rank of each value, from 0; equal values share the mean of theirs. Ranks keep the order of
/// a series and take the weight from its outliers.
pub(super) fn ranks(series: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_unstable_by(|left, right| series[*left].total_cmp(&series[*right]));
    let mut ranks = vec![0.0; series.len()];
    let mut first = 0;
    for equal in order.chunk_by(|left, right| series[*left].total_cmp(&series[*right]).is_eq()) {
        let shared = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|index| ranks[*index] = shared);
        first += equal.len();
    }
    ranks
}
