//! Blocks of time: in a block all readers are in one arm. Where each reader took the arms in turn by
//! itself, the arm of one would run beside the other arm of another: a short query slips between the
//! long ones, a long one pays for both, and their ratio would be neither arm's.
//!
//! Two blocks, one an arm and in random order, are a round, and of each query the samples in the two
//! make a pair. This is the switchback design of experiments on a shared resource (Cochran, Autrey
//! and Cannon 1941; Bojinov, Simchi-Levi and Zhao 2023), whose unit is the block.

use std::collections::BTreeSet;
use std::time::Duration;

use super::dealer::Dealer;
use crate::stats::Pair;

/// A block is this part of the run, so that there are enough of them.
const OF_RUN: u32 = 120;
/// The shortest block: below that, the readers would do little but switch.
const BLOCK_MIN: Duration = Duration::from_millis(100);
/// The longest one: what drifts more slowly meets both arms alike.
const BLOCK_MAX: Duration = Duration::from_secs(1);

/// What a query did in one block of the round.
#[derive(Debug, Default)]
struct Half {
    /// Times of its samples, with the numbers of their values.
    samples: Vec<(Duration, u64)>,
    /// Whether it was run at all.
    ran: bool,
    /// What kept an execution from being a sample, if that was not its session.
    spoilt: Option<Spoilt>,
    /// Whether the block need not wait for it any more.
    met: bool,
}

/// What keeps an execution from being a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoilt {
    /// It failed.
    Failed,
    /// It was due before the measurement.
    Early,
}

impl Half {
    fn clear(&mut self) {
        self.samples.clear();
        (self.ran, self.spoilt, self.met) = (false, None, false);
    }

    /// The median, the geometric mean of the middle two: then times of two executions are off from
    /// that of one in neither direction on the scale on which ratios are compared.
    fn median_ns(&mut self) -> Option<u64> {
        self.samples.sort_unstable();
        let count = self.samples.len();
        let middle = |at: usize| self.samples[at].0.as_nanos() as f64;
        match count {
            0 => None,
            odd if odd % 2 == 1 => Some(middle(count / 2) as u64),
            _ => Some((middle(count / 2 - 1) * middle(count / 2)).sqrt() as u64),
        }
    }
}

/// The blocks of a run.
#[derive(Debug)]
pub(super) struct Switchback {
    block_time: Duration,
    round: u64,
    /// The arm of the round's first block.
    first: usize,
    is_second: bool,
    /// When the block began, since the start.
    began: Duration,
    /// Whether its time is up: nothing that begins now is of it.
    is_closing: bool,
    /// Queries that the block waits for.
    goals: Vec<bool>,
    /// By query, then by arm.
    halves: Vec<[Half; 2]>,
    /// By query: whether its executions have values of their own, so that only those of the same values
    /// are compared.
    matched: Vec<bool>,
}

impl Switchback {
    /// For these queries, each of which may have parameters, in a run that takes so long, if it has an end.
    pub(super) fn new(matched: Vec<bool>, run: Option<Duration>, dealer: &mut Dealer) -> Self {
        let queries = matched.len();
        let block_time = run.map_or(BLOCK_MAX, |run| (run / OF_RUN).clamp(BLOCK_MIN, BLOCK_MAX));
        Self {
            block_time,
            round: 1,
            first: dealer.first_of(2),
            is_second: false,
            began: Duration::ZERO,
            is_closing: false,
            goals: vec![true; queries],
            halves: (0..queries).map(|_| Default::default()).collect(),
            matched,
        }
    }

    /// The number of the round, from 1 on.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The arm of the block.
    pub(super) fn arm(&self) -> usize {
        if self.is_second { 1 - self.first } else { self.first }
    }

    /// How long a block lasts at least.
    pub(super) fn block_time(&self) -> Duration {
        self.block_time
    }

    /// Whether the block ends with what is in hand.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether the block has lasted its time: it waits for its goals only.
    pub(super) fn is_time_up(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) >= self.block_time
    }

    /// Whether the block waits for a sample of this query.
    pub(super) fn wants(&self, query: usize) -> bool {
        self.goals[query] && !self.halves[query][self.arm()].met
    }

    /// Whether a query of two arms is of this round: the second block has what the first had.
    pub(super) fn is_of_round(&self, query: usize) -> bool {
        !self.is_second || self.halves[query][self.first].met
    }

    /// Closes the block if its time is up and it has what it waits for.
    pub(super) fn close_if_over(&mut self, now: Duration) {
        let waits = (0..self.goals.len()).any(|query| self.wants(query));
        self.is_closing |= !waits && self.is_time_up(now);
    }

    /// Begins the next block at `now`; in the first one of a round those are waited for that `goal`
    /// says, in the second one those that the first had. What a round came to is handed to `each`.
    pub(super) fn switch(
        &mut self,
        now: Duration,
        goal: impl Fn(usize) -> bool,
        dealer: &mut Dealer,
        mut each: impl FnMut(usize, Completed),
    ) {
        (self.began, self.is_closing) = (now, false);
        if self.is_second {
            for (query, halves) in self.halves.iter_mut().enumerate() {
                if self.matched[query] {
                    keep_matched(halves);
                }
                match of_round(halves) {
                    Completed::Nothing => {}
                    completed => each(query, completed),
                }
                halves.iter_mut().for_each(Half::clear);
            }
            (self.is_second, self.first) = (false, dealer.first_of(2));
            self.round += 1;
            self.goals.iter_mut().enumerate().for_each(|(query, is_one)| *is_one = goal(query));
        } else {
            self.is_second = true;
            for (is_one, halves) in self.goals.iter_mut().zip(&self.halves) {
                *is_one = halves[self.first].met;
            }
        }
    }

    /// Lets the round go, and begins another one at `now`.
    pub(super) fn begin_anew(&mut self, now: Duration, dealer: &mut Dealer) {
        (self.began, self.is_closing) = (now, false);
        (self.is_second, self.first) = (false, dealer.first_of(2));
        self.round += 1;
        self.goals.fill(true);
        self.halves.iter_mut().flatten().for_each(Half::clear);
    }

    /// A query of one arm was run: the block need not wait for it.
    pub(super) fn had(&mut self, query: usize) {
        let arm = self.arm();
        self.halves[query][arm].met = true;
    }

    /// A query of two arms was run in this block.
    pub(super) fn note(&mut self, query: usize, ran: &RanOnce) {
        let arm = self.arm();
        let half = &mut self.halves[query][arm];
        half.ran = true;
        match *ran {
            RanOnce::Sample(time, number) => {
                half.samples.push((time, number));
                half.met = true;
            }
            RanOnce::Broken => (half.spoilt, half.met) = (Some(Spoilt::Failed), true),
            RanOnce::Early => {
                half.spoilt.get_or_insert(Spoilt::Early);
                half.met = true;
            }
            RanOnce::Enough => half.met = true,
            RanOnce::Cold => {}
        }
    }
}

/// What came of a query's turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing to be told.
    Nothing,
    /// A pair.
    Pair(Pair),
    /// A round in which an arm had no sample: its sessions were not warm, or it overlapped with the
    /// other arm.
    Cold,
    /// A round in which it failed.
    Broken,
    /// The first execution in an arm, by whichever reader: answered after so long, or cut.
    Tried { arm: usize, after: Duration, cut: bool },
}

/// What an execution was in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RanOnce {
    /// A sample, asked with the values of this number.
    Sample(Duration, u64),
    /// It failed.
    Broken,
    /// It would be a sample, but was due before the measurement.
    Early,
    /// No sample, but as much as the query's share has room for.
    Enough,
    /// No sample: its session was not warm, or it overlapped with the other arm.
    Cold,
}

/// Leaves out the samples of values that the other arm has no sample of: their work is another.
fn keep_matched([a, b]: &mut [Half; 2]) {
    let numbers = |half: &Half| half.samples.iter().map(|(_, number)| *number).collect();
    let (of_a, of_b): (BTreeSet<u64>, BTreeSet<u64>) = (numbers(a), numbers(b));
    a.samples.retain(|(_, number)| of_b.contains(number));
    b.samples.retain(|(_, number)| of_a.contains(number));
}

/// What a round made of a query.
fn of_round([a, b]: &mut [Half; 2]) -> Completed {
    let is = |spoilt| a.spoilt == Some(spoilt) || b.spoilt == Some(spoilt);
    let (broken, counts) = (is(Spoilt::Failed), a.ran && b.ran && !is(Spoilt::Early));
    match (a.median_ns(), b.median_ns()) {
        (Some(a_ns), Some(b_ns)) => Completed::Pair(Pair { a_ns, b_ns }),
        _ if !counts => Completed::Nothing,
        _ if broken => Completed::Broken,
        _ => Completed::Cold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(samples: &[(u64, u64)]) -> Half {
        let samples = samples.iter().map(|(ms, number)| (Duration::from_millis(*ms), *number));
        Half { samples: samples.collect(), ran: true, ..Half::default() }
    }

    #[test]
    fn a_pair_is_of_the_values_that_both_arms_were_asked_with() {
        // The faster arm got further, to values that take long.
        let (slow, fast) = (half(&[(20, 4), (40, 6)]), half(&[(2, 4), (3, 5), (4, 6), (900, 7)]));
        let mut halves = [slow, fast];
        keep_matched(&mut halves);
        let Completed::Pair(pair) = of_round(&mut halves) else { panic!("no pair") };
        assert!(pair.a_ns.abs_diff(10 * pair.b_ns) <= 10, "{pair:?}");

        let mut halves = [half(&[(20, 4)]), half(&[(2, 5)])];
        keep_matched(&mut halves);
        assert_eq!(of_round(&mut halves), Completed::Cold);
    }
}
