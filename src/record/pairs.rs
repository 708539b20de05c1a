//! Pairs: one query run in two arms, one behind the other. The unit of every comparison.

use std::time::Duration;

use super::Tally;
use crate::stats::Pair;

/// Pairs that are kept of a query. When there are more, every second one is let go, and from then
/// on every second one is taken: a long run keeps an even sample of its whole length.
const KEPT_MAX: usize = 1 << 16;

/// A pair with what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedPair {
    /// The pair.
    pub pair: Pair,
    /// The repeat of the measurement, from 0 on.
    pub repeat: u32,
    /// Rows that the table had when the pair was complete, as far as they are known.
    pub rows: Option<u64>,
}

/// What comparing the arms of a query came to since the last drain.
#[derive(Debug, Clone, Default)]
pub struct PairTally {
    /// The pairs kept, in order.
    pub pairs: Vec<NotedPair>,
    /// Rounds in which it ran in both arms, and was no sample in one: its session was not warm, or it
    /// ran beside the other arm.
    pub cold: u64,
    /// Rounds in which it failed in an arm.
    pub broken: u64,
    /// By arm, its first execution that was answered or cut.
    pub tried: [Option<Tried>; 2],
    /// How much longer it has to be measured until there are pairs enough for a verdict, at its pace; set
    /// when it is drained. `None`: there are, or nobody can say.
    pub verdict_in: Option<Duration>,
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

/// The first execution of a query in an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// When it was answered or cut, after it was sent.
    pub after: Duration,
    /// Whether it was cut: it takes at least as long.
    pub cut: bool,
}

impl PairTally {
    /// Pairs measured.
    pub fn count(&self) -> u64 {
        self.seen.max(self.pairs.len() as u64)
    }

    /// How much longer it has to be measured until it has so many pairs, at the pace that brought those
    /// of the time `measured`; `None` if it has them, or none at all.
    pub fn reaches(&self, pairs: usize, measured: Duration) -> Option<Duration> {
        let (have, need) = (self.count() as f64, pairs as f64);
        (0.0 < have && have < need).then(|| measured.mul_f64((need - have) / have))
    }

    /// The pairs kept, by repeat.
    pub fn by_repeat(&self) -> Vec<Vec<Pair>> {
        let mut repeats: Vec<Vec<Pair>> = Vec::new();
        for NotedPair { pair, repeat, .. } in &self.pairs {
            let at = *repeat as usize;
            if repeats.len() <= at {
                repeats.resize_with(at + 1, Vec::new);
            }
            repeats[at].push(*pair);
        }
        repeats
    }

    /// The pairs kept of which the rows are known, and those.
    pub fn with_rows(&self) -> (Vec<Pair>, Vec<u64>) {
        self.pairs.iter().filter_map(|noted| Some((noted.pair, noted.rows?))).unzip()
    }

    fn keep(&mut self, pair: NotedPair) {
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
        for (own, other) in self.tried.iter_mut().zip(other.tried) {
            *own = own.or(other);
        }
        self.answers_same += other.answers_same;
        self.answers_different += other.answers_different;
        self.answers_failed += other.answers_failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(ns: u64) -> NotedPair {
        NotedPair { pair: Pair { a_ns: ns, b_ns: ns }, repeat: 0, rows: None }
    }

    #[test]
    fn pairs_are_told_apart_by_repeat_and_by_whether_the_rows_are_known() {
        let of = |ns, repeat, rows| NotedPair { repeat, rows, ..noted(ns) };
        let pairs = vec![of(1, 0, None), of(2, 2, Some(7)), of(3, 2, Some(8))];
        let tally = PairTally { pairs, ..PairTally::default() };
        let ns = |pairs: &[Pair]| pairs.iter().map(|pair| pair.a_ns).collect::<Vec<_>>();
        let repeats: Vec<_> = tally.by_repeat().iter().map(|pairs| ns(pairs)).collect();
        assert_eq!(repeats, [vec![1], vec![], vec![2, 3]]);
        let (pairs, rows) = tally.with_rows();
        assert_eq!((ns(&pairs), rows), (vec![2, 3], vec![7, 8]));
    }

    #[test]
    fn what_is_missing_takes_as_long_as_what_is_there() {
        let minute = Duration::from_secs(60);
        let of = |pairs| PairTally { pairs: vec![noted(1); pairs], ..PairTally::default() };
        assert_eq!(of(0).reaches(20, minute), None);
        assert_eq!(of(12).reaches(20, minute), Some(Duration::from_secs(40)));
        assert_eq!(of(20).reaches(20, minute), None);
    }

    #[test]
    fn a_long_run_keeps_an_even_sample() {
        let mut total = PairTally::default();
        let runs = 300_000;
        for at in 0..runs {
            total.merge(&PairTally { pairs: vec![noted(at)], ..PairTally::default() });
        }
        assert_eq!(total.count(), runs);
        assert!(total.pairs.len() <= KEPT_MAX + 1);
        let steps = total.pairs.windows(2).map(|two| two[1].pair.a_ns - two[0].pair.a_ns);
        assert!(steps.into_iter().all(|step| step == total.skip + 1));
    }
}
