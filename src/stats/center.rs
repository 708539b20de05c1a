//! Centres and quantiles of a sample.

/// The median: the middle value, or the mean of the two middle values. `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The `p`-quantile, `p` from 0 to 1, linear between the neighbouring values (type 7 of Hyndman
/// and Fan, 1996). `None` of nothing.
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, p)
}

/// [`quantile`] of values that are in ascending order already.
pub(super) fn quantile_of_sorted(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = (at.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // Halves, because the sum of two large values may overflow.
    Some(if low.total_cmp(&high).is_eq() {
        low
    } else {
        low * (1.0 - at.fract()) + high * at.fract()
    })
}
