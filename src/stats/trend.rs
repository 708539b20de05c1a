//! Trends that outliers cannot bend: the slope of Theil and Sen.

use serde::Serialize;

use super::center::median;
use super::dependence::{autocorrelation_time, ranks};
use super::student::t_quantile;

/// Points compared with each other; more are reduced to medians of neighbours first.
const POINTS_MAX: usize = 1_000;
/// Points below which no interval is given.
const POINTS_MIN: usize = 10;
/// Effective points below which no interval is given: the normal approximation of Kendall's S
/// holds from here on.
const EFFECTIVE_MIN: f64 = 8.0;

/// The most confidence of an interval: that of one among 50 000 that hold together with 95 %.
const CONFIDENCE_MAX: f64 = 0.999_999;

/// A straight trend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slope {
    /// Change of y for each unit of x: the median of the slopes between all pairs of points.
    pub slope: f64,
    /// y at x = 0: the median of what the slope leaves over.
    pub intercept: f64,
    /// Lower end of the interval of the slope; absent with too few points.
    pub low: Option<f64>,
    /// Upper end of the interval of the slope; absent with too few points.
    pub high: Option<f64>,
    /// Points given.
    pub points: usize,
    /// Independent points that they are worth.
    pub effective_points: f64,
}

impl Slope {
    /// Whether the whole interval is above zero.
    pub fn rises(&self) -> bool {
        self.low.is_some_and(|low| low > 0.0)
    }

    /// Whether the whole interval is below zero.
    pub fn falls(&self) -> bool {
        self.high.is_some_and(|high| high < 0.0)
    }
}

/// The slope of Theil (1950) and Sen (1968) through points (x, y) in ascending order of x, with
/// Sen's interval from the variance of Kendall's S, that widened by the autocorrelation time of
/// the residuals (after Hamed and Rao, 1998).
///
/// `None` without two different x. More than 1 000 points are first reduced to the medians of
/// equal numbers of neighbours. Points that are not finite are left out.
pub fn theil_sen(points: &[(f64, f64)], confidence: f64) -> Option<Slope> {
    let finite = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let points: Vec<(f64, f64)> = points.iter().filter(finite).copied().collect();
    let given = points.len();
    let size = given.div_ceil(POINTS_MAX).max(1);
    let points: Vec<(f64, f64)> = points
        .chunks(size)
        .filter_map(|chunk| {
            let of =
                |pick: fn(&(f64, f64)) -> f64| median(&chunk.iter().map(pick).collect::<Vec<_>>());
            Some((of(|point| point.0)?, of(|point| point.1)?))
        })
        .collect();

    let mut slopes = Vec::new();
    for (index, early) in points.iter().enumerate() {
        let later = points[index + 1..].iter();
        let slope = |late: &(f64, f64)| (late.1 - early.1) / (late.0 - early.0);
        slopes.extend(later.map(slope).filter(|slope| slope.is_finite()));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let slope = super::center::quantile_of_sorted(&slopes, 0.5)?;
    let rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let intercept = median(&rests)?;
    let n = points.len() as f64;
    let time = autocorrelation_time(&ranks(&rests));
    let effective = n / time;
    let interval = (points.len() >= POINTS_MIN && effective >= EFFECTIVE_MIN).then(|| {
        let confidence =
            if confidence.is_nan() { 0.95 } else { confidence.clamp(0.5, CONFIDENCE_MAX) };
        let t = t_quantile(f64::midpoint(1.0, confidence), effective - 2.0);
        // The variance of S for n points without ties, and ties only make it smaller.
        let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * time).sqrt();
        let cut = ((slopes.len() as f64 - t * deviation) / 2.0).floor();
        let cut = cut.max(0.0) as usize;
        slopes.get(cut).copied().zip(slopes.iter().rev().nth(cut).copied())
    });
    let (low, high) = interval.flatten().unzip();
    Some(Slope { slope, intercept, low, high, points: given, effective_points: effective })
}
