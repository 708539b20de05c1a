//! Pairs: one query run in two arms, one behind the other. The unit of every comparison.

use super::Tally;
use crate::stats::Pair;

/// Pairs that are kept of a query. When there are more, every second one is let go, and from then
/// on every second one is taken: a long run keeps an even sample of its whole length.
const KEPT_MAX: usize = 1 << 16;

/// What comparing the arms of a query came to since the last drain.
#[derive(Debug, Clone, Default)]
pub struct PairTally {
    /// The pairs kept, in order.
    pub pairs: Vec<Pair>,
    /// Pairs in which an arm ran for the first time in its session; not among the samples.
    pub cold: u64,
    /// Pairs of which one half failed or was not measured.
    pub broken: u64,
    /// Comparisons of answers that found them the same.
    pub answers_same: u64,
    /// Comparisons of answers that found a difference.
    pub answers_different: u64,
    /// Comparisons of answers that could not be made.
    pub answers_failed: u64,
    /// Pairs seen, kept or not.
    seen: u64,
    /// One of so many is kept, less one: 0 keeps all.
    skip: u64,
}

impl PairTally {
    /// Pairs measured.
    pub fn count(&self) -> u64 {
        self.seen.max(self.pairs.len() as u64)
    }

    fn keep(&mut self, pair: Pair) {
        if self.seen.is_multiple_of(self.skip + 1) {
            self.pairs.push(pair);
        }
        self.seen += 1;
        if self.pairs.len() > KEPT_MAX {
            let mut index = 0_usize;
            self.pairs.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.skip = self.skip * 2 + 1;
        }
    }
}

impl Tally for PairTally {
    fn merge(&mut self, other: &Self) {
        other.pairs.iter().for_each(|pair| self.keep(*pair));
        self.cold += other.cold;
        self.broken += other.broken;
        self.answers_same += other.answers_same;
        self.answers_different += other.answers_different;
        self.answers_failed += other.answers_failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_an_even_sample() {
        let mut total = PairTally::default();
        let runs = 300_000;
        for at in 0..runs {
            let pair = Pair { a_ns: at, b_ns: at };
            total.merge(&PairTally { pairs: vec![pair], ..PairTally::default() });
        }
        assert_eq!(total.count(), runs);
        assert!(total.pairs.len() <= KEPT_MAX + 1);
        let steps = total.pairs.windows(2).map(|two| two[1].a_ns - two[0].a_ns);
        assert!(steps.into_iter().all(|step| step == total.skip + 1));
    }
}
