//! What a seed draws: the same again for the same seed.

use std::time::Duration;

use crate::random::output;

/// A sequence of draws.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    key: u64,
    drawn: u64,
}

impl Dice {
    /// The draws of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: output(seed, 0x51), drawn: 0 }
    }

    /// Others, which those drawn here do not depend on, nor they on these.
    pub(crate) fn fork(&mut self) -> Self {
        Self { key: self.draw(), drawn: 0 }
    }

    /// 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        output(self.key, self.drawn)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    /// A number from `first` to `last`.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in `n` times; never for 0.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// A time of at most so many milliseconds; most are short.
    pub(crate) fn time(&mut self, max_ms: u64) -> Duration {
        let bits = u64::BITS - max_ms.leading_zeros();
        let magnitude = self.between(0, u64::from(bits));
        Duration::from_millis(self.below((1 << magnitude).min(max_ms + 1)))
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
