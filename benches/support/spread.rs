//! What several runs came to.

/// The median; not a number without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    strom_load::stats::median(values).unwrap_or(f64::NAN)
}

/// The median, and in brackets the least and the most.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} ({least:.digits$}-{most:.digits$})", median(values))
}
