//! Executions of a query one by one: ratios and timelines cannot be made from histograms.

use std::time::Duration;

/// Executions that are kept of a tally. When there are more, only half of all blocks are, from then
/// on too: what is kept is an even sample of them all, and its size is bounded.
const KEPT_MAX: usize = 1 << 15;

/// One execution of a query in an arm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Execution {
    /// When it was sent, since the start of the schedule.
    pub start: Duration,
    /// From sent to the last row, or to the error.
    pub service: Duration,
    /// The reader's number.
    pub reader: u32,
    /// Executions that belong together have the same number: those of a pair, or those of a query in
    /// a round of a sweep.
    pub block: u64,
    /// Rows that the query's table had when it was sent, as far as they are known.
    pub rows: Option<u64>,
    /// Hash of the plan that it ran by, as far as that is known.
    pub plan: Option<u64>,
    /// How long ago the oldest row was due that is not in the answer, when that arrived.
    pub answer_age: Option<Duration>,
    /// How long before the query the first batch was acknowledged that it did not see.
    pub freshness: Option<Duration>,
    /// Whether it is in the histograms.
    pub measured: bool,
    /// Whether it was the first of its arm in its session.
    pub cold: bool,
    /// Whether arms, or combinations of a sweep, are compared by it.
    pub sample: bool,
    /// SQLSTATE, if it failed.
    pub error: Option<String>,
}

impl Execution {
    /// Whether it stays when one block of `weight` does. Whole blocks go, and of what stays with a
    /// weight, half stays with its double.
    fn stays(&self, weight: u64) -> bool {
        stays(self.reader, self.block, weight)
    }
}

/// Whether a reader's block stays when one of `weight` does, a power of two. It is drawn, but from
/// the numbers alone: every n-th would follow whatever comes in turns, such as queries of a sweep.
pub fn stays(reader: u32, block: u64, weight: u64) -> bool {
    // The end of SplitMix64 (Steele, Lea, Flood 2014), which spreads neighbours evenly.
    let mut mixed = block.wrapping_add(u64::from(reader) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).is_multiple_of(weight)
}

/// Executions, thinned out evenly when there are too many.
#[derive(Debug, Clone)]
pub struct Executions {
    kept: Vec<Execution>,
    weight: u64,
}

impl Default for Executions {
    fn default() -> Self {
        Self { kept: Vec::new(), weight: 1 }
    }
}

impl Executions {
    /// Adds one.
    pub fn push(&mut self, execution: Execution) {
        if !execution.stays(self.weight) {
            return;
        }
        self.kept.push(execution);
        while self.kept.len() > KEPT_MAX && self.thin(self.weight * 2) {}
    }

    /// Adds others; what has fewer thinned out is thinned out as the other is.
    pub fn merge(&mut self, others: &Self) {
        if others.weight > self.weight {
            self.thin(others.weight);
        }
        others.kept.iter().for_each(|execution| self.push(execution.clone()));
    }

    /// Those that are kept.
    pub fn kept(&self) -> &[Execution] {
        &self.kept
    }

    /// How many each of them stands for: 1 until there were too many.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether another thinning may help.
    fn thin(&mut self, weight: u64) -> bool {
        self.weight = weight;
        self.kept.retain(|execution| stays(execution.reader, execution.block, weight));
        weight < 1 << 62
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(reader: u32, block: u64, arm: u64) -> Execution {
        Execution { reader, block, start: Duration::from_secs(arm), ..Execution::default() }
    }

    #[test]
    fn too_many_are_thinned_by_whole_blocks_and_evenly() {
        let mut all = Executions::default();
        let blocks = 50_000;
        for block in 0..blocks {
            for (reader, arm) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                all.push(execution(reader, block, arm));
            }
        }
        assert_eq!(all.weight(), 8);
        for reader in [0, 1] {
            let own = all.kept().iter().filter(|one| one.reader == reader);
            let kept: Vec<u64> = own.map(|one| one.block).collect();
            assert!(kept.chunks(2).all(|pair| pair[0] == pair[1]), "whole pairs");
            // Evenly over the run, and whatever comes in turns: within four standard deviations.
            let even = |kept: usize, of: u64| {
                let expected = of as f64 / 8.0;
                (kept as f64 / 2.0 - expected).abs() < 4.0 * expected.sqrt()
            };
            for part in 0..10 {
                let range = part * blocks / 10..(part + 1) * blocks / 10;
                let kept = kept.iter().filter(|block| range.contains(block)).count();
                assert!(even(kept, blocks / 10), "{kept} in {range:?}");
            }
            for turns in 2..10 {
                let kept = kept.iter().filter(|block| **block % turns == 0).count();
                assert!(even(kept, blocks / turns), "{kept} of every {turns}th");
            }
        }
    }

    #[test]
    fn what_is_merged_has_the_larger_weight() {
        let (mut few, mut many) = (Executions::default(), Executions::default());
        (0..100).for_each(|block| few.push(execution(0, block, 0)));
        (0..100_000).for_each(|block| many.push(execution(1, block, 0)));
        few.merge(&many);
        assert_eq!(few.weight(), many.weight());
        let own = few.kept().iter().filter(|one| one.reader == 0).count();
        let expected = (0..100).filter(|block| stays(0, *block, few.weight())).count();
        assert_eq!(own, expected);
        assert_eq!(few.kept().len(), own + many.kept().len());
    }
}
