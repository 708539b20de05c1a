//! In which order the combinations of a round are measured.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Random orders by a seed. Combinations that share what takes a restart stay together, and within
/// those the ones that share what takes a reload: random order of the groups, and within each.
/// Otherwise most of a sweep would be restarts.
#[derive(Debug)]
pub(crate) struct Order {
    rng: Xoshiro256PlusPlus,
    /// Of each combination: what it needs restarted, and reloaded.
    groups: Vec<(usize, usize)>,
}

impl Order {
    /// Orders of combinations by their groups, `(restart, reload)`.
    pub(crate) fn new(groups: Vec<(usize, usize)>, seed: u64) -> Self {
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed), groups }
    }

    /// The order of the next round: each combination once.
    pub(crate) fn next_round(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.shuffle(&mut self.rng);
        let ranks = |rng: &mut Xoshiro256PlusPlus, most: usize| -> Vec<u64> {
            (0..=most).map(|_| rng.next_u64()).collect()
        };
        let most = |of: fn(&(usize, usize)) -> usize| self.groups.iter().map(of).max().unwrap_or(0);
        let (restarts, reloads) = (most(|group| group.0), most(|group| group.1));
        let (restarts, reloads) = (ranks(&mut self.rng, restarts), ranks(&mut self.rng, reloads));
        // Stable: within a group the shuffled order holds.
        order.sort_by_key(|combination| {
            let (restart, reload) = self.groups[*combination];
            (restarts[restart], reloads[reload])
        });
        order
    }

    /// A random order of so many things.
    pub(crate) fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut self.rng);
        order
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_round_has_each_once_and_keeps_groups_together(
            groups in prop::collection::vec((0_usize..3, 0_usize..3), 1..30),
            seed: u64,
        ) {
            let mut order = Order::new(groups.clone(), seed);
            for _ in 0..3 {
                let round = order.next_round();
                let mut sorted = round.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..groups.len()).collect::<Vec<_>>());
                let mut changes: Vec<_> = round.iter().map(|at| groups[*at]).collect();
                changes.dedup();
                let mut once = changes.clone();
                once.sort_unstable();
                once.dedup();
                prop_assert_eq!(changes.len(), once.len(), "a group came twice: {:?}", round);
            }
        }
    }

    #[test]
    fn rounds_differ_and_the_seed_decides() {
        let rounds = |seed| {
            let mut order = Order::new(vec![(0, 0); 20], seed);
            [order.next_round(), order.next_round()]
        };
        assert_eq!(rounds(1), rounds(1));
        assert_ne!(rounds(1)[0], rounds(1)[1]);
        assert_ne!(rounds(1), rounds(2));
    }
}
