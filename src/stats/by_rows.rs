//! The ratio as a function of the rows that the table has: what grows with it is no one number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::location::Location;
use super::outliers::tamed;
use super::pair::{Estimate, PAIRS_LEAST, Pair, Settings, held};
use super::trend::theil_sen;

/// Rows are looked at from one so many-th of the most on. While a table begins to be filled, ratios are
/// those of starting and planning, and of no curve.
const GROWTH_MAX: u64 = 10;

/// A ratio that changes with the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RatioByRows")]
pub struct ByRows {
    /// Slope of the logarithm of the ratio over that of the rows: with 0.5 four times the rows double
    /// the ratio.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub exponent: f64,
    /// Lower end of its interval.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub low: f64,
    /// Upper end of its interval.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub high: f64,
    /// The ratio with the fewest rows that are looked at: at least a tenth of the most.
    pub first: AtRows,
    /// The ratio with the most rows that the table had at a pair.
    pub last: AtRows,
}

/// A ratio at a size of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RatioAtRows")]
pub struct AtRows {
    /// Rows of the table.
    pub rows: u64,
    /// The ratio then.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// The ratio as a function of the rows that the table had at each pair, in the order of measurement.
/// `None` where it is not shown to be one, by an interval of the slope ([`theil_sen`]) that excludes 0,
/// and with fewer than ten pairs.
///
/// The ratios at both ends are those of a curve of the second degree over the logarithm of the rows,
/// below the noise models of the typical ratio.
pub fn ratio_by_rows(pairs: &[Pair], rows: &[u64], settings: &Settings) -> Option<ByRows> {
    let most = rows.iter().copied().max()?;
    let counts = |(_, rows): &(&Pair, &u64)| rows.saturating_mul(GROWTH_MAX) >= most;
    let (pairs, rows): (Vec<Pair>, Vec<u64>) =
        pairs.iter().zip(rows).filter(counts).map(|(p, r)| (*p, *r)).unzip();
    if pairs.len() < PAIRS_LEAST {
        return None;
    }
    let logs: Vec<f64> = pairs.iter().map(Pair::log_ratio).collect();
    let log_rows: Vec<f64> = rows.iter().map(|rows| (*rows).max(1) as f64).map(f64::ln).collect();
    let mut points: Vec<(f64, f64)> = log_rows.iter().copied().zip(logs.iter().copied()).collect();
    // Stable: what dependence there is lies in the order of measurement.
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let confidence = settings.held_confidence();
    let slope = theil_sen(&points, confidence).filter(|slope| slope.rises() || slope.falls())?;
    let (low, high) = slope.low.zip(slope.high)?;
    let location = Location::along(&tamed(&logs), &log_rows)?;
    let tail = (1.0 - confidence) / 2.0;
    let at = |rows: u64| {
        let at = (rows.max(1) as f64).ln();
        let end = |p: f64| held(location.quantile_of_curve_at(at, p));
        let estimate = Estimate { ratio: end(0.5), low: end(tail), high: end(1.0 - tail) };
        AtRows { rows, estimate }
    };
    let (first, last) = (at(rows.iter().copied().min()?), at(most));
    Some(ByRows { exponent: slope.slope, low, high, first, last })
}
