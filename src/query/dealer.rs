//! Chance, from a seed.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

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

    /// True once in so many times, by chance.
    pub(super) fn one_of(&mut self, many: u32) -> bool {
        self.0.random_ratio(1, many.max(1))
    }
}
