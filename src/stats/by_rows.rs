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

/// The least that a table grows, as a factor, from the fewest rows that are looked at to the most. With
/// less growth nothing tells its size from whatever else changed in that time, and a ratio that follows
/// the rows one to one has changed by less than half.
const GROWTH_MIN: f64 = 1.5;

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

impl ByRows {
    /// Whether the ratio grows with the table, or falls.
    pub fn grows(&self) -> bool {
        self.exponent > 0.0
    }

    /// Whether the intervals at both ends show by themselves what the exponent says: they do not
    /// overlap, and lie in its order.
    pub fn ends_tell(&self) -> bool {
        let (first, last) = (&self.first.estimate, &self.last.estimate);
        if self.grows() { first.high < last.low } else { last.high < first.low }
    }
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
/// with fewer than ten pairs, and where the rows grew by less than half.
///
/// `comparisons` of such ratios are looked at beside each other. Their intervals hold together, by the
/// method of Bonferroni: so that any of them is said to change with the rows by chance has at most the
/// probability that the confidence leaves.
///
/// The ratios at both ends are those of a curve of the second degree over the logarithm of the rows,
/// below the noise models of the typical ratio.
pub fn ratio_by_rows(
    pairs: &[Pair],
    rows: &[u64],
    comparisons: usize,
    settings: &Settings,
) -> Option<ByRows> {
    let most = rows.iter().copied().max()?;
    let counts = |(_, rows): &(&Pair, &u64)| rows.saturating_mul(GROWTH_MAX) >= most;
    let (pairs, rows): (Vec<Pair>, Vec<u64>) =
        pairs.iter().zip(rows).filter(counts).map(|(p, r)| (*p, *r)).unzip();
    let fewest = rows.iter().copied().min()?;
    if pairs.len() < PAIRS_LEAST || (most as f64) < fewest.max(1) as f64 * GROWTH_MIN {
        return None;
    }
    let logs: Vec<f64> = pairs.iter().map(Pair::log_ratio).collect();
    let log_rows: Vec<f64> = rows.iter().map(|rows| (*rows).max(1) as f64).map(f64::ln).collect();
    let mut points: Vec<(f64, f64)> = log_rows.iter().copied().zip(logs.iter().copied()).collect();
    // Stable: what dependence there is lies in the order of measurement.
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let confidence = settings.held_confidence();
    let jointly = 1.0 - (1.0 - confidence) / comparisons.max(1) as f64;
    let slope = theil_sen(&points, jointly).filter(|slope| slope.rises() || slope.falls())?;
    let (low, high) = slope.low.zip(slope.high)?;
    let location = Location::along(&tamed(&logs), &log_rows)?;
    let tail = (1.0 - confidence) / 2.0;
    let at = |rows: u64| {
        let at = (rows.max(1) as f64).ln();
        let end = |p: f64| held(location.quantile_of_curve_at(at, p));
        let estimate = Estimate { ratio: end(0.5), low: end(tail), high: end(1.0 - tail) };
        AtRows { rows, estimate }
    };
    let (first, last) = (at(fewest), at(most));
    Some(ByRows { exponent: slope.slope, low, high, first, last })
}
