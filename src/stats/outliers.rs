//! Outliers that come alone are drawn in: a pause is a fact of the server, and how long it was
//! says nothing of the centre.

use super::center::median;
use super::dependence::lag_one;

/// Values further from the median than this many robust standard deviations are outliers.
const FENCE: f64 = 3.0;
/// The standard deviation of normal noise ÷ its median distance from the median.
const NORMAL: f64 = 1.4826;

/// The mean of the series with outliers drawn in to the fence, if they come alone; `None` of nothing.
pub(super) fn tamed_mean(series: &[f64]) -> Option<f64> {
    let tamed = tamed(series);
    (!tamed.is_empty()).then(|| tamed.iter().sum::<f64>() / tamed.len() as f64)
}

/// The series with outliers drawn in to the fence, if they come alone.
///
/// Outliers that follow each other are no outliers but a state that lasts, such as another plan:
/// then the series stays as it is, and the state counts in full.
pub(super) fn tamed(series: &[f64]) -> Vec<f64> {
    let untouched = || series.to_vec();
    let Some(center) = median(series) else { return untouched() };
    let distances: Vec<f64> = series.iter().map(|value| (value - center).abs()).collect();
    let fence = FENCE * NORMAL * median(&distances).unwrap_or(0.0);
    // Without noise in half of the values there is no fence.
    if fence <= 0.0 {
        return untouched();
    }
    let outside = |value: &f64| match value - center {
        far if far > fence => 1.0,
        far if far < -fence => -1.0,
        _ => 0.0,
    };
    let outliers: Vec<f64> = series.iter().map(outside).collect();
    // One standard error of no dependence.
    let clustered = 1.0 / (series.len() as f64).sqrt();
    if lag_one(&outliers).max(lag_one(series)) > clustered {
        return untouched();
    }
    series.iter().map(|value| value.clamp(center - fence, center + fence)).collect()
}
