//! Quantiles of Student's t distribution.

use std::f64::consts::FRAC_PI_2;

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
}
