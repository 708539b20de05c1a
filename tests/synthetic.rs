//! Synthetic durations of known truth, for the tests and the simulation of the statistics.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use strom_load::stats::Pair;

/// What noise a series of pairs has. The true ratio of medians is given apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Noise {
    /// Independent log-normal noise in both arms.
    Lognormal,
    /// The same, and one duration in ten is 3 to 100 times longer (a Pareto tail of index 1).
    HeavyTail,
    /// Each arm has its own log-normal AR(1) noise of this coefficient.
    Ar1(f64),
    /// AR(1) noise that both arms of a pair share, and a little of their own.
    SharedAr1(f64),
    /// Both arms slow down by a half over the run, with independent noise on top.
    SharedDrift,
    /// Arms of unlike spread and shape: A log-normal, B with a tail.
    Unlike,
}

/// The scenarios of the table in docs/statistics.md, with their names there.
pub(crate) const SCENARIOS: [(&str, Noise); 7] = [
    ("log-normal, independent", Noise::Lognormal),
    ("heavy tail, 10 % outliers", Noise::HeavyTail),
    ("AR(1) 0.5 in each arm", Noise::Ar1(0.5)),
    ("AR(1) 0.8 in each arm", Noise::Ar1(0.8)),
    ("AR(1) 0.8 shared by the pair", Noise::SharedAr1(0.8)),
    ("drift shared by the pair", Noise::SharedDrift),
    ("arms of unlike shape", Noise::Unlike),
];

const MEDIAN_NS: f64 = 50e6;
const SIGMA: f64 = 0.1;

/// Random numbers of one simulated run.
pub(crate) struct Source(Xoshiro256PlusPlus);

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        1.0 - self.0.random::<f64>()
    }

    /// A standard normal number (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, turn) = (self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    }

    fn tailed(&mut self) -> f64 {
        let tail = if self.uniform() < 0.1 { (3.0 / self.uniform()).min(100.0).ln() } else { 0.0 };
        SIGMA * self.normal() + tail
    }

    /// `n` pairs whose true ratio of medians is `ratio`.
    pub(crate) fn pairs(&mut self, noise: Noise, ratio: f64, n: usize) -> Vec<Pair> {
        // AR(1) starts in its stationary distribution.
        let mut state = [self.normal(), self.normal()];
        let mut pairs = Vec::with_capacity(n);
        for index in 0..n {
            let [a, b] = match noise {
                Noise::Lognormal => [SIGMA * self.normal(), SIGMA * self.normal()],
                Noise::HeavyTail => [self.tailed(), self.tailed()],
                Noise::Ar1(_) => state.map(|value| SIGMA * value),
                Noise::SharedAr1(_) => {
                    [0.0; 2].map(|_: f64| SIGMA * (2.0 * state[0] + 0.5 * self.normal()))
                }
                Noise::SharedDrift => {
                    let drift = 1.5_f64.ln() * index as f64 / n as f64;
                    [0.0; 2].map(|_: f64| drift + SIGMA * self.normal())
                }
                Noise::Unlike => [SIGMA * 0.5 * self.normal(), SIGMA * 2.0 * self.normal()],
            };
            if let Noise::Ar1(phi) | Noise::SharedAr1(phi) = noise {
                state = state.map(|value| phi * value + (1.0 - phi * phi).sqrt() * self.normal());
            }
            pairs.push(Pair {
                a_ns: (MEDIAN_NS * ratio * a.exp()) as u64,
                b_ns: (MEDIAN_NS * b.exp()) as u64,
            });
        }
        pairs
    }

    /// `rounds` rounds of `count` combinations of which the first is the best, by `ratio`; all of
    /// a round share a drift and a jump of that round.
    pub(crate) fn rounds(
        &mut self,
        count: usize,
        rounds: usize,
        ratio: f64,
    ) -> Vec<Vec<Option<u64>>> {
        let round = |index: usize| {
            let shared = 0.3 * index as f64 / rounds as f64 + SIGMA * self.normal();
            let one = |combination: usize| {
                let slower = if combination == 0 { 1.0 } else { ratio };
                Some((MEDIAN_NS * slower * (shared + SIGMA * self.normal()).exp()) as u64)
            };
            (0..count).map(one).collect()
        };
        (0..rounds).map(round).collect()
    }

    /// `n` points of a line of this slope with AR(1) noise.
    pub(crate) fn line(&mut self, slope: f64, phi: f64, n: usize) -> Vec<(f64, f64)> {
        let mut state = self.normal();
        let point = |index: usize| {
            state = phi * state + (1.0 - phi * phi).sqrt() * self.normal();
            (index as f64, slope * index as f64 + state)
        };
        (0..n).map(point).collect()
    }
}
