//! The most that any test can find: the likelihood ratio of two cases that are known in full (Neyman
//! and Pearson). No test that does not know them finds more.

use crate::synthetic::Source;

/// The difference to be found, with AR(1) noise of this coefficient and 10 % in each arm.
const RATIO: f64 = 1.2;
const PHI: f64 = 0.5;
const DEVIATION: f64 = 0.1 * std::f64::consts::SQRT_2;

/// AR(1) noise with independent noise on top, around a level.
#[derive(Clone, Copy)]
struct Case {
    level: f64,
    phi: f64,
    /// Share of the variance that is independent.
    independent: f64,
    deviation: f64,
}

impl Case {
    fn draw(self, source: &mut Source, n: usize) -> Vec<f64> {
        let mut state = source.normal();
        let (slow, fast) = ((1.0 - self.independent).sqrt(), self.independent.sqrt());
        let value = |_| {
            let value = self.level + self.deviation * (slow * state + fast * source.normal());
            state = self.phi * state + (1.0 - self.phi * self.phi).sqrt() * source.normal();
            value
        };
        (0..n).map(value).collect()
    }

    /// Logarithm of the likelihood, without what is the same in all cases.
    fn likelihood(self, values: &[f64]) -> f64 {
        let slow = 1.0 - self.independent;
        let (mut foretold, mut variance, mut log) = (0.0, slow, 0.0);
        for value in values {
            let total = variance + self.independent;
            let new = (value - self.level) / self.deviation - foretold;
            log -= 0.5 * (total.ln() + new * new / total) + self.deviation.ln();
            let gain = variance / total;
            foretold = self.phi * (foretold + gain * new);
            let phi = self.phi * self.phi;
            variance = phi * variance * (1.0 - gain) + slow * (1.0 - phi);
        }
        log
    }
}

/// The share of runs of `n` pairs in which the most powerful test finds the difference, if it has
/// the wrong direction in at most 5 % of the runs (so each of the two in half of that) without a
/// difference and with the worst of these noises. Their spread is the one that is worst, too: a test
/// cannot know how noisy a server is.
pub(crate) fn power(n: usize, phis: &[f64], shares: &[f64], runs: u64) -> f64 {
    let found = Case { level: RATIO.ln(), phi: PHI, independent: 0.0, deviation: DEVIATION };
    let spreads: Vec<f64> = (8..=24).map(|tenth| f64::from(tenth) / 10.0).collect();
    let mut worst = 1.0_f64;
    for phi in phis {
        for independent in shares {
            for spread in &spreads {
                let (phi, independent) = (*phi, *independent);
                let null = Case { level: 0.0, phi, independent, deviation: DEVIATION * spread };
                let ratio = |values: &[f64]| found.likelihood(values) - null.likelihood(values);
                let mut by_chance: Vec<f64> =
                    (0..runs).map(|run| ratio(&null.draw(&mut Source::new(run), n))).collect();
                by_chance.sort_unstable_by(f64::total_cmp);
                let limit = by_chance[(0.975 * runs as f64) as usize];
                let finds = (0..runs)
                    .filter(|run| ratio(&found.draw(&mut Source::new(run + 1_000_000), n)) > limit);
                worst = worst.min(finds.count() as f64 / runs as f64);
            }
        }
    }
    worst
}
