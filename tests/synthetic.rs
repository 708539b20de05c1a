//! Synthetic durations of known truth, for the tests and the simulation of the statistics.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use strom_load::stats::Pair;

/// What noise a series of pairs has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Noise {
    /// Independent log-normal noise in both arms.
    Lognormal,
    /// The same, and one duration in ten is 3 to 100 times longer (a Pareto tail of index 1).
    HeavyTail,
    /// Pareto durations of index 1.5: no variance.
    Pareto,
    /// Log-normal noise in steps of a fifth of the median: a clock with few ticks.
    Ties,
    /// Each arm has its own log-normal AR(1) noise of this coefficient.
    Ar1(f64),
    /// AR(1) noise that both arms of a pair share, and a little of their own.
    SharedAr1(f64),
    /// Both arms slow down by a half over the run, with independent noise on top.
    SharedDrift,
    /// The table doubles: arm A takes twice as long in the end, arm B 1.3 times.
    GrowingTable,
    /// Six pairs of each twenty are one and a half times longer, in both arms.
    Checkpoints,
    /// Arms of unlike spread and shape: A log-normal, B twice as wide as that.
    Unlike,
    /// A state of an arm that lasts, such as another plan, clock or cache: in it the arm takes
    /// longer. From one pair to the next 9 of 10 parts of the state are kept.
    Sticky {
        /// How many times longer.
        times: f64,
        /// Share of the time that it is in the state.
        share: f64,
        /// Standard deviation of the noise of each duration.
        noise: f64,
        /// Whether both arms have states, each its own; else arm A has.
        both: bool,
    },
    /// Arm A or B goes over to a plan that takes three times as long, once, at any time.
    PlanFlip,
}

/// A state three times as long in each arm: another plan, or another cache.
const PLANS: Noise = Noise::Sticky { times: 3.0, share: 0.5, noise: 0.1, both: true };
/// Two clock frequencies in each arm.
const CLOCKS: Noise = Noise::Sticky { times: 1.15, share: 0.4, noise: 0.02, both: true };
/// The same, smaller than the noise above it.
const HIDDEN_CLOCKS: Noise = Noise::Sticky { times: 1.15, share: 0.4, noise: 0.1, both: true };
/// A state of one arm.
const ONE_ARM: Noise = Noise::Sticky { times: 3.0, share: 0.5, noise: 0.1, both: false };

/// The scenarios of docs/statistics.md, with their names there.
pub(crate) const SCENARIOS: [(&str, Noise); 20] = [
    ("log-normal, independent", Noise::Lognormal),
    ("heavy tail, 10 % outliers", Noise::HeavyTail),
    ("Pareto 1.5", Noise::Pareto),
    ("ties", Noise::Ties),
    ("arms of unlike shape", Noise::Unlike),
    ("AR(1) 0.3 in each arm", Noise::Ar1(0.3)),
    ("AR(1) 0.5 in each arm", Noise::Ar1(0.5)),
    ("AR(1) 0.7 in each arm", Noise::Ar1(0.7)),
    ("AR(1) 0.9 in each arm", Noise::Ar1(0.9)),
    ("AR(1) 0.5 shared by the pair", Noise::SharedAr1(0.5)),
    ("AR(1) 0.9 shared by the pair", Noise::SharedAr1(0.9)),
    ("drift shared by the pair", Noise::SharedDrift),
    ("growing table", Noise::GrowingTable),
    ("checkpoint phases", Noise::Checkpoints),
    ("states × 3, half of the time, both arms", PLANS),
    (
        "states × 3, 0.4 of the time, both arms",
        Noise::Sticky { times: 3.0, share: 0.4, noise: 0.1, both: true },
    ),
    ("states × 1.15, 0.4 of the time, both arms", CLOCKS),
    ("the same below noise of 10 %", HIDDEN_CLOCKS),
    ("state × 3, half of the time, one arm", ONE_ARM),
    ("plan flip", Noise::PlanFlip),
];

const MEDIAN_NS: f64 = 50e6;
const SIGMA: f64 = 0.1;
/// What of a state is kept from one pair to the next.
const KEPT: f64 = 0.9;

/// Pairs whose typical ratio is known.
pub(crate) struct Run {
    pub(crate) pairs: Vec<Pair>,
    /// By pair: the logarithm of the ratio without noise.
    levels: Vec<f64>,
    /// Whether the levels are chance too: then the truth is that of endlessly many pairs.
    truth: Option<f64>,
}

impl Run {
    /// The typical ratio of the first `n` pairs under endlessly much noise.
    pub(crate) fn truth(&self, n: usize) -> f64 {
        let mean = self.levels[..n].iter().sum::<f64>() / n as f64;
        self.truth.unwrap_or(mean.exp())
    }
}

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

    /// `n` pairs; `ratio` is how many times longer arm A takes, apart from the noise.
    pub(crate) fn pairs(&mut self, noise: Noise, ratio: f64, n: usize) -> Vec<Pair> {
        self.run(noise, ratio, n).pairs
    }

    /// `n` pairs while the rows of a table grow evenly from one number to another, whose ratio is this
    /// function of them, and the rows at each pair. The noise is independent.
    pub(crate) fn growing(
        &mut self,
        (first, last): (u64, u64),
        ratio: impl Fn(u64) -> f64,
        n: usize,
    ) -> (Vec<Pair>, Vec<u64>) {
        let rows = |index: usize| first + ((last - first) as f64 * place(index, n)).round() as u64;
        let rows: Vec<u64> = (0..n).map(rows).collect();
        let mut noisy = |ns: f64| (ns * (SIGMA * self.normal()).exp()) as u64;
        let mut pair =
            |rows: &u64| Pair { a_ns: noisy(MEDIAN_NS * ratio(*rows)), b_ns: noisy(MEDIAN_NS) };
        (rows.iter().map(&mut pair).collect(), rows)
    }

    /// `n` pairs, and their truth.
    pub(crate) fn run(&mut self, noise: Noise, ratio: f64, n: usize) -> Run {
        let logs = self.logs(noise, n);
        let level = |([a, b], _): &([f64; 2], [f64; 2])| ratio.ln() + a - b;
        let levels = logs.iter().map(level).collect();
        let truth = match noise {
            Noise::Sticky { times, share, both: false, .. } => Some(ratio * times.powf(share)),
            Noise::GrowingTable | Noise::PlanFlip => None,
            _ => Some(ratio),
        };
        let pair = |[a, b]: [f64; 2]| Pair {
            a_ns: (MEDIAN_NS * ratio * a.exp()) as u64,
            b_ns: (MEDIAN_NS * b.exp()) as u64,
        };
        let logs =
            logs.into_iter().map(|(level, noise)| [level[0] + noise[0], level[1] + noise[1]]);
        let tick = |mut pair: Pair| {
            if noise == Noise::Ties {
                let tick =
                    |ns: u64| (ns as f64 / MEDIAN_NS * 5.0).round().max(1.0) as u64 * 10_000_000;
                pair = Pair { a_ns: tick(pair.a_ns), b_ns: tick(pair.b_ns) };
            }
            pair
        };
        Run { pairs: logs.map(pair).map(tick).collect(), levels, truth }
    }

    /// By pair and arm: the logarithms of what a state or the time does to the duration, and of the
    /// noise above it.
    fn logs(&mut self, noise: Noise, n: usize) -> Vec<([f64; 2], [f64; 2])> {
        // AR(1) and states start in their stationary distribution.
        let mut ar = [self.normal(), self.normal()];
        let mut slow = [false; 2];
        if let Noise::Sticky { share, both, .. } = noise {
            slow = [self.uniform() < share, both && self.uniform() < share];
        }
        let (flips, arm) = (self.uniform(), usize::from(self.uniform() < 0.5));
        let growth = |at: f64| (1.0 + at).ln() - (1.0 + 0.3 * at).ln();
        let centre: Vec<f64> = (0..n).map(|index| growth(place(index, n))).collect();
        let centre = centre.iter().sum::<f64>() / n as f64;
        let mut logs = Vec::with_capacity(n);
        for index in 0..n {
            let at = place(index, n);
            let both = |level: f64| [level, level];
            let level = match noise {
                Noise::SharedDrift => both(1.5_f64.ln() * at),
                Noise::GrowingTable => [growth(at) - centre, 0.0],
                Noise::Checkpoints => both(if index % 20 < 6 { 1.5_f64.ln() } else { 0.0 }),
                Noise::SharedAr1(_) => both(2.0 * SIGMA * ar[0]),
                Noise::Sticky { times, .. } => slow.map(|slow| if slow { times.ln() } else { 0.0 }),
                Noise::PlanFlip => {
                    let mut level = [0.0; 2];
                    level[arm] = if at > flips { 3.0_f64.ln() } else { 0.0 };
                    level
                }
                _ => [0.0; 2],
            };
            let above = match noise {
                Noise::HeavyTail => [self.tailed(), self.tailed()],
                Noise::Pareto => [0.0; 2].map(|_: f64| -self.uniform().ln() / 1.5),
                Noise::Ar1(_) => ar.map(|value| SIGMA * value),
                Noise::SharedAr1(_) => [0.0; 2].map(|_: f64| 0.5 * SIGMA * self.normal()),
                Noise::Unlike => [SIGMA * 0.5 * self.normal(), SIGMA * 2.0 * self.normal()],
                Noise::Sticky { noise, .. } => [0.0; 2].map(|_: f64| noise * self.normal()),
                _ => [SIGMA * self.normal(), SIGMA * self.normal()],
            };
            if let Noise::Ar1(phi) | Noise::SharedAr1(phi) = noise {
                ar = ar.map(|value| phi * value + (1.0 - phi * phi).sqrt() * self.normal());
            }
            if let Noise::Sticky { share, both, .. } = noise {
                for slow in slow.iter_mut().take(if both { 2 } else { 1 }) {
                    let leaves = (1.0 - KEPT) * if *slow { 1.0 - share } else { share };
                    *slow ^= self.uniform() < leaves;
                }
            }
            logs.push((level, above));
        }
        logs
    }

    /// `rounds` rounds of `count` combinations of which the first is the best, by `ratio`; all of
    /// a round share a drift and a jump of that round, and each has this noise of its own.
    pub(crate) fn rounds(
        &mut self,
        noise: Noise,
        count: usize,
        rounds: usize,
        ratio: f64,
    ) -> Vec<Vec<Option<u64>>> {
        // The first arm of a series for each.
        let own: Vec<Vec<f64>> = (0..count)
            .map(|_| self.logs(noise, rounds).into_iter().map(|(a, b)| a[0] + b[0]).collect())
            .collect();
        let mut round = |index: usize| {
            let shared = 0.3 * index as f64 / rounds as f64 + SIGMA * self.normal();
            let one = |(combination, own): (usize, &Vec<f64>)| {
                let slower = if combination == 0 { 1.0 } else { ratio };
                Some((MEDIAN_NS * slower * (shared + own[index]).exp()) as u64)
            };
            own.iter().enumerate().map(one).collect()
        };
        (0..rounds).map(&mut round).collect()
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

/// Where a pair lies in the run, from 0 to 1.
fn place(index: usize, n: usize) -> f64 {
    (index as f64 + 0.5) / n as f64
}
