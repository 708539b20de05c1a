//! Readers and a server that exist in arithmetic only, to try the turns on.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::{Candidate, Completed, Outcome, Turn, Turns};

/// How the server's cores are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All get the same.
    Even,
    /// What has just begun gets more, as of a scheduler that favours who has just woken: a short query
    /// slips between long ones.
    Waking,
}

/// What has had less than that is new, seconds.
const NEW_S: f64 = 0.03;
/// How many times more it gets then.
const NEW_WEIGHT: f64 = 6.0;

/// A query: what it takes of one core in each arm, seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work(pub(super) [f64; 2]);

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) readers: u32,
    pub(super) cores: f64,
    pub(super) sharing: Sharing,
    /// How long, seconds.
    pub(super) run_s: f64,
    /// Standard deviation of the logarithm of what a query takes.
    pub(super) noise: f64,
    pub(super) seed: u64,
}

/// An execution that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) reader: usize,
    pub(super) turn: Turn,
    pub(super) began_s: f64,
    pub(super) ended_s: f64,
    pub(super) sample: bool,
    pub(super) cut: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Simulated {
    pub(super) done: Vec<Done>,
    pub(super) completed: Vec<(usize, Completed)>,
}

struct Job {
    turn: Turn,
    left_s: f64,
    served_s: f64,
    began_s: f64,
}

impl Setup {
    /// Lets the readers ask by `turns`.
    pub(super) fn run(&self, work: &[Work], mut turns: impl Choosing) -> Simulated {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut simulated = Simulated::default();
        let mut now_s = 0.0;
        let mut jobs: Vec<Job> = Vec::new();
        let mut begin = |turns: &mut _, reader, now_s, simulated: &mut Simulated| {
            let turn = Choosing::next(turns, reader, now_s, &mut simulated.completed);
            let left_s = work[turn.query].0[turn.arm] * (self.noise * normal(&mut chance)).exp();
            Job { turn, left_s, served_s: 0.0, began_s: now_s }
        };
        for reader in 0..self.readers as usize {
            let job = begin(&mut turns, reader, now_s, &mut simulated);
            jobs.push(job);
        }
        while now_s < self.run_s {
            let weights = jobs.iter().map(|job| job.weight(self.sharing)).sum::<f64>();
            let part = |job: &Job| (self.cores * job.weight(self.sharing) / weights).min(1.0);
            let step_s = |job: &Job| job.until_s(self.sharing, part(job), now_s);
            let step_s = jobs.iter().map(step_s).fold(f64::INFINITY, f64::min).max(1e-9);
            for job in &mut jobs {
                let served_s = (self.cores * job.weight(self.sharing) / weights).min(1.0) * step_s;
                job.left_s -= served_s;
                job.served_s += served_s;
            }
            now_s += step_s;
            for (reader, job) in jobs.iter_mut().enumerate() {
                let is_answered = job.left_s <= 1e-9;
                if is_answered || job.limit_s() <= now_s {
                    let (turn, began_s, ended_s) = (job.turn, job.began_s, now_s);
                    let cut = !is_answered;
                    let done = Done { reader, turn, began_s, ended_s, sample: false, cut };
                    let sample = turns.end(&done, &mut simulated.completed);
                    simulated.done.push(Done { sample, ..done });
                    *job = begin(&mut turns, reader, now_s, &mut simulated);
                }
            }
        }
        simulated
    }
}

impl Job {
    fn weight(&self, sharing: Sharing) -> f64 {
        match sharing {
            Sharing::Waking if self.served_s < NEW_S => NEW_WEIGHT,
            Sharing::Waking | Sharing::Even => 1.0,
        }
    }

    /// When it is cut, seconds.
    fn limit_s(&self) -> f64 {
        self.turn.limit.map_or(f64::INFINITY, |limit| self.began_s + limit.as_secs_f64())
    }

    /// How long until anything changes for it, with this part of a core.
    fn until_s(&self, sharing: Sharing, part: f64, now_s: f64) -> f64 {
        let new_s = match sharing {
            Sharing::Waking if self.served_s < NEW_S => NEW_S - self.served_s,
            Sharing::Waking | Sharing::Even => f64::INFINITY,
        };
        (self.left_s.min(new_s) / part).min(self.limit_s() - now_s)
    }
}

/// Whoever says what is asked next.
pub(super) trait Choosing {
    fn next(&mut self, reader: usize, now_s: f64, completed: &mut Vec<(usize, Completed)>) -> Turn;
    fn end(&mut self, done: &Done, completed: &mut Vec<(usize, Completed)>) -> bool;
}

impl Choosing for &mut Turns {
    fn next(&mut self, reader: usize, now_s: f64, completed: &mut Vec<(usize, Completed)>) -> Turn {
        let now = Duration::from_secs_f64(now_s);
        Turns::next(self, reader, now, |query, what| completed.push((query, what)))
    }

    fn end(&mut self, done: &Done, completed: &mut Vec<(usize, Completed)>) -> bool {
        let service = Duration::from_secs_f64(done.ended_s - done.began_s);
        let outcome = match done.cut {
            true => Outcome::Cut(service),
            false => Outcome::Answered { service, measured: true },
        };
        let now = Duration::from_secs_f64(done.ended_s);
        Turns::end(self, done.reader, now, outcome, |query, what| completed.push((query, what)))
    }
}

/// All readers in one arm, all the time.
pub(super) struct Always(pub(super) usize);

/// Each reader alternates by itself.
#[derive(Default)]
pub(super) struct EachByItself {
    last: Vec<usize>,
}

impl Choosing for Always {
    fn next(&mut self, _: usize, _: f64, _: &mut Vec<(usize, Completed)>) -> Turn {
        Turn { query: 0, arm: self.0, block: 0, cold: false, limit: None, number: 0 }
    }

    fn end(&mut self, _: &Done, _: &mut Vec<(usize, Completed)>) -> bool {
        true
    }
}

impl Choosing for EachByItself {
    fn next(&mut self, reader: usize, _: f64, _: &mut Vec<(usize, Completed)>) -> Turn {
        self.last.resize(self.last.len().max(reader + 1), 0);
        self.last[reader] = 1 - self.last[reader];
        Turn { query: 0, arm: self.last[reader], block: 0, cold: false, limit: None, number: 0 }
    }

    fn end(&mut self, _: &Done, _: &mut Vec<(usize, Completed)>) -> bool {
        true
    }
}

impl Simulated {
    /// Times of what was answered in an arm, seconds; the median.
    pub(super) fn median_s(&self, arm: usize) -> f64 {
        let own = self.done.iter().filter(|done| done.turn.arm == arm && !done.cut);
        median(own.map(|done| done.ended_s - done.began_s).collect())
    }

    /// The ratios of a query's pairs.
    pub(super) fn ratios(&self, query: usize) -> Vec<f64> {
        let own = self.completed.iter().filter(|(of, _)| *of == query);
        let ratio = |(_, completed): &(usize, Completed)| match completed {
            Completed::Pair(pair) => Some(pair.a_ns as f64 / pair.b_ns as f64),
            _ => None,
        };
        own.filter_map(ratio).collect()
    }
}

/// The greater of the middle two where there are two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// So many queries of two arms and the same weight.
pub(super) fn two_armed(queries: usize) -> Vec<Candidate> {
    vec![Candidate { weight: std::num::NonZeroU32::MIN, arms: 2, has_parameters: false }; queries]
}

/// A draw from the normal distribution (Box and Muller).
fn normal(chance: &mut Xoshiro256PlusPlus) -> f64 {
    let (radius, angle): (f64, f64) = (chance.random(), chance.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
