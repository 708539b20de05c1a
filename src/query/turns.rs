//! Which query comes next, in which arm. A query with two arms runs in both, one behind the other,
//! in random order: the two make a pair, and whatever drifts meets both alike.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::armed_query::ArmedQuery;
use crate::stats::Pair;

/// Deals at random: the same seed deals the same.
#[derive(Debug)]
pub(crate) struct Dealer(Xoshiro256PlusPlus);

impl Dealer {
    /// The dealer of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The arm that runs first, of so many; two make a pair, and either may come first.
    pub(crate) fn first_of(&mut self, arms: usize) -> usize {
        if arms == 2 { self.0.random_bool(0.5).into() } else { 0 }
    }

    /// One of these, by weight.
    fn pick(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut ticket = self.0.random_range(0..total.max(1));
        for (index, weight) in weights.iter().enumerate() {
            match ticket.checked_sub(u64::from(*weight)) {
                Some(rest) => ticket = rest,
                None => return index,
            }
        }
        0
    }
}

/// Chooses the turns of one session.
pub(super) struct Turns {
    weights: Vec<u32>,
    arms: Vec<usize>,
    /// By query and arm: whether this session has run it. The first execution of a session pays
    /// for caches and for the GPU's context, two or three times its later cost.
    warm: Vec<Vec<bool>>,
    /// Pairs, and executions of queries with one arm, that have begun.
    blocks: u64,
    pending: Option<Pending>,
    dealer: Dealer,
}

/// What runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) query: usize,
    pub(super) arm: usize,
    /// The number of its pair, or its own if the query has one arm.
    pub(super) block: u64,
    /// Whether this session has not run it yet.
    pub(super) cold: bool,
}

/// A pair of which one half is still to come.
struct Pending {
    query: usize,
    first: usize,
    /// Time of the first half; `None` while it runs, or if it is no sample.
    time: Option<Duration>,
    cold: bool,
    broken: bool,
}

/// What a turn made of its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completed {
    /// The pair is not complete, or the query has one arm.
    Nothing,
    /// A pair.
    Pair(Pair),
    /// A pair in which an arm ran for the first time in its session: marked, and no sample.
    Cold,
    /// A half failed, or ran outside of the measurement.
    Broken,
}

impl Turns {
    pub(super) fn new(armed_queries: &[ArmedQuery], seed: u64) -> Self {
        Self {
            weights: armed_queries
                .iter()
                .map(|armed_query| armed_query.query.weight.get())
                .collect(),
            arms: armed_queries.iter().map(|armed_query| armed_query.arms.len()).collect(),
            warm: armed_queries
                .iter()
                .map(|armed_query| vec![false; armed_query.arms.len()])
                .collect(),
            blocks: 0,
            pending: None,
            dealer: Dealer::new(seed),
        }
    }

    /// The next turn; the second half of a pair follows the first at once.
    pub(super) fn next(&mut self) -> Turn {
        if let Some(Pending { query, first, .. }) = self.pending {
            return self.turn(query, 1 - first);
        }
        self.blocks += 1;
        let query = self.dealer.pick(&self.weights);
        let arm = self.dealer.first_of(self.arms[query]);
        self.turn(query, arm)
    }

    fn turn(&self, query: usize, arm: usize) -> Turn {
        Turn { query, arm, block: self.blocks, cold: !self.warm[query][arm] }
    }

    /// Notes how a turn ended; `time` is its service time if it is a sample.
    pub(super) fn end(&mut self, turn: Turn, time: Option<Duration>, answered: bool) -> Completed {
        let Turn { query, arm, cold, .. } = turn;
        self.warm[query][arm] = answered;
        if self.arms[query] != 2 {
            return Completed::Nothing;
        }
        let Some(half) = self.pending.take() else {
            let broken = time.is_none();
            self.pending = Some(Pending { query, first: arm, time, cold, broken });
            return Completed::Nothing;
        };
        match (half.time, time) {
            _ if half.broken || time.is_none() => Completed::Broken,
            (Some(first), Some(second)) if !cold && !half.cold => {
                let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                let (first, second) = (ns(first), ns(second));
                Completed::Pair(match half.first {
                    0 => Pair { a_ns: first, b_ns: second },
                    _ => Pair { a_ns: second, b_ns: first },
                })
            }
            _ => Completed::Cold,
        }
    }

    /// The session is another one: nothing is warm in it.
    pub(super) fn session_lost(&mut self) {
        self.warm.iter_mut().flatten().for_each(|warm| *warm = false);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::plan::{AnswerCompare, AnswerRule, GpuChoice, Query, SqlPlace};
    use crate::strom::arms;

    fn armed_query(weight: u32, alternating: bool) -> ArmedQuery {
        let query = Query {
            name: String::new(),
            weight: NonZeroU32::new(weight).unwrap(),
            sql: String::new(),
            place: SqlPlace::default(),
            newest_column: None,
            gpu: None,
            answers: AnswerRule { compare: AnswerCompare::Rows, tolerance: None, ties: Vec::new() },
        };
        ArmedQuery { query, arms: arms(GpuChoice::Auto, &[], alternating).unwrap() }
    }

    fn turns(armed_queries: &[ArmedQuery]) -> Turns {
        Turns::new(armed_queries, 1)
    }

    const MS: Option<Duration> = Some(Duration::from_millis(1));

    #[test]
    fn queries_come_up_by_weight() {
        let mut turns = turns(&[armed_query(1, false), armed_query(3, false)]);
        let second = (0..10_000).filter(|_| turns.next().query == 1).count();
        assert!((7_300..7_700).contains(&second), "{second}");
    }

    #[test]
    fn each_pair_is_adjacent_and_in_random_order() {
        let mut turns = turns(&[armed_query(1, true), armed_query(1, true)]);
        let (mut off_first, mut pairs) = (0, 0);
        for block in 1..=1000 {
            let first = turns.next();
            assert_eq!(turns.end(first, MS, true), Completed::Nothing);
            let second = turns.next();
            assert_eq!((second.query, second.arm), (first.query, 1 - first.arm));
            assert_eq!((first.block, second.block), (block, block));
            match turns.end(second, Some(Duration::from_millis(2)), true) {
                Completed::Pair(pair) => {
                    pairs += 1;
                    off_first += usize::from(first.arm == 0);
                    let times_ns = [pair.a_ns, pair.b_ns];
                    assert_eq!(times_ns[first.arm], 1_000_000);
                    assert_eq!(times_ns[second.arm], 2_000_000);
                }
                other => assert_eq!(other, Completed::Cold),
            }
        }
        assert_eq!(pairs, 998, "the first pair of each query is cold");
        assert!((400..600).contains(&off_first), "{off_first}");
    }

    #[test]
    fn a_failed_half_breaks_its_pair_and_a_new_session_is_cold() {
        let mut turns = turns(&[armed_query(1, true)]);
        let pair = |turns: &mut Turns, times: [Option<Duration>; 2]| {
            let first = turns.next();
            turns.end(first, times[0], times[0].is_some());
            let second = turns.next();
            turns.end(second, times[1], times[1].is_some())
        };
        assert_eq!(pair(&mut turns, [MS, MS]), Completed::Cold);
        assert!(matches!(pair(&mut turns, [MS, MS]), Completed::Pair(_)));
        assert_eq!(pair(&mut turns, [None, MS]), Completed::Broken);
        assert_eq!(pair(&mut turns, [MS, None]), Completed::Broken);
        turns.session_lost();
        assert_eq!(pair(&mut turns, [MS, MS]), Completed::Cold);
    }
}
