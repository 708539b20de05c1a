//! Student's t distribution.

use std::f64::consts::{FRAC_PI_2, SQRT_2};

/// Steps of the integral; the quantile is good to about 1e-5.
const STEPS: usize = 2_000;
/// From here on the distribution is the normal one to four digits.
const DOF_MAX: f64 = 10_000.0;

/// The `p`-quantile of Student's t with any number of degrees of freedom, for `p` from 0.5 to
/// just below 1. Degrees of freedom are taken as at least 1 and at most 10 000.
///
/// With t = √ν tan θ the density is proportional to cos θ to the power ν − 1, which is summed
/// from the right end by the trapezoid rule: no gamma function, no inversion.
pub(super) fn t_quantile(p: f64, dof: f64) -> f64 {
    let dof = dof.clamp(1.0, DOF_MAX);
    // Far out on the right the mass is nothing for many degrees of freedom.
    let end = (12.0 / dof.sqrt()).min(FRAC_PI_2);
    let step = end / STEPS as f64;
    let height = |index: usize| (index as f64 * step).cos().max(0.0).powf(dof - 1.0);
    let heights: Vec<f64> = (0..=STEPS).map(height).collect();
    let slices = || heights.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    // The right half holds 0.5 of the mass.
    let mut wanted = (p.clamp(0.5, 1.0 - 1e-9) - 0.5) * 2.0 * slices().sum::<f64>();
    for (index, mass) in slices().enumerate() {
        if wanted <= mass {
            return dof.sqrt() * ((index as f64 + wanted / mass) * step).tan();
        }
        wanted -= mass;
    }
    dof.sqrt() * (end - step).tan()
}

/// The logarithm of the probability of a value further from 0 than `t`, to either side: to a relative
/// error of about 1e-5 from any number of degrees of freedom on, also far out.
pub(super) fn log_beyond(t: f64, dof: f64) -> f64 {
    let dof = dof.clamp(1.0, DOF_MAX);
    // As above, from the right end on: cos θ is the sine of what is left to it.
    let area = |width: f64| {
        let step = width / STEPS as f64;
        let height = |index: usize| (index as f64 * step).sin().powf(dof - 1.0);
        let heights: Vec<f64> = (0..=STEPS).map(height).collect();
        heights.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]) * step).sum::<f64>()
    };
    // Zero where no number is as small.
    (area((dof.sqrt() / t.abs()).atan()) / area(FRAC_PI_2)).max(f64::MIN_POSITIVE).ln()
}

/// The probability of a value below `t`, good to about 1e-4 from ten degrees of freedom on.
///
/// By the normal distribution after the transformation of Wallace (1959): a bisection asks for it
/// thousands of times.
pub(super) fn t_below(t: f64, dof: f64) -> f64 {
    let scale = (8.0 * dof + 1.0) / (8.0 * dof + 3.0);
    let normal = scale * (dof * (t * t / dof).ln_1p()).sqrt();
    0.5 * erfc(-normal.copysign(t) / SQRT_2)
}

/// The complementary error function, to a relative error below 1.2e-7 (Chebyshev's coefficients
/// of *Numerical Recipes*).
fn erfc(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let series = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let right = t * (series - x * x).exp();
    if x >= 0.0 { right } else { 2.0 - right }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = [
            (0.975, 1.0, 12.706),
            (0.975, 2.0, 4.3027),
            (0.975, 5.0, 2.5706),
            (0.975, 9.0, 2.2622),
            (0.975, 29.0, 2.0452),
            (0.995, 4.0, 4.6041),
            (0.95, 10.0, 1.8125),
            (0.975, 1e9, 1.9600),
            (0.5, 3.0, 0.0),
        ];
        for (p, dof, expected) in table {
            let found = t_quantile(p, dof);
            assert!((found - expected).abs() < 1e-3 * (1.0 + expected), "{p} {dof}: {found}");
        }
    }

    #[test]
    fn what_lies_beyond_a_quantile_is_what_that_leaves() {
        for dof in [1.0, 2.0, 4.0, 9.0, 100.0] {
            for p in [0.8, 0.975, 0.995] {
                let left = log_beyond(t_quantile(p, dof), dof).exp();
                assert!((left / (2.0 * (1.0 - p)) - 1.0).abs() < 1e-3, "{dof} {p}: {left}");
            }
        }
        // Of one degree of freedom, 1 − 2 ÷ π × atan t; with none to the sides of 0.
        let left = log_beyond(1e6, 1.0).exp();
        assert!((left * 1e6 * std::f64::consts::PI / 2.0 - 1.0).abs() < 1e-4, "{left}");
        assert!(log_beyond(0.0, 3.0).abs() < 1e-9);
        assert!(log_beyond(f64::INFINITY, 3.0) < -700.0);
    }

    #[test]
    fn probabilities_are_those_of_the_quantiles() {
        for dof in [9.0, 29.0, 200.0] {
            for p in [0.5, 0.8, 0.975, 0.995] {
                let (above, below) = (t_quantile(p, dof), -t_quantile(p, dof));
                assert!((t_below(above, dof) - p).abs() < 5e-4, "{dof} {p}");
                assert!((t_below(below, dof) + p - 1.0).abs() < 5e-4, "{dof} {p}");
            }
        }
    }
}
