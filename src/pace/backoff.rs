//! When to try again after a failure.

use std::time::Duration;

use rand::RngExt;

use crate::random::output;

/// First pause; each ceiling is twice the last.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Highest ceiling.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses that grow exponentially, with full jitter, so that many workers do not all knock at
/// once (as in "Exponential Backoff And Jitter", Brooker 2015).
#[derive(Debug, Clone)]
pub struct Backoff {
    ceiling: Duration,
    key: u64,
    drawn: u64,
}

/// One whose pauses are no other's.
impl Default for Backoff {
    fn default() -> Self {
        Self::keyed(rand::rng().random())
    }
}

impl Backoff {
    /// One whose pauses `key` determines.
    pub fn keyed(key: u64) -> Self {
        Self { ceiling: PAUSE_MIN, key, drawn: 0 }
    }

    /// The one of this number among several that are there at once.
    #[must_use]
    pub fn of(&self, number: u32) -> Self {
        Self::keyed(output(!self.key, number.into()))
    }

    /// One for another failure: it begins with the shortest pause again, and draws others.
    #[must_use]
    pub fn anew(&mut self) -> Self {
        Self::keyed(self.draw())
    }

    /// The next pause, never less than 10 ms.
    pub fn next_pause(&mut self) -> Duration {
        // 53 bits are what a fraction of one has.
        let jitter = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        let pause = PAUSE_MIN / 2 + self.ceiling.mul_f64(jitter);
        self.ceiling = (self.ceiling * 2).min(PAUSE_MAX);
        pause
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        output(self.key, self.drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_no_further() {
        let mut backoff = Backoff::default();
        assert!(backoff.next_pause() <= PAUSE_MIN * 2);
        for _ in 0..30 {
            let pause = backoff.next_pause();
            assert!(pause >= PAUSE_MIN / 2 && pause <= PAUSE_MAX + PAUSE_MIN);
        }
        assert_eq!(backoff.ceiling, PAUSE_MAX);
    }

    #[test]
    fn a_key_draws_the_same_pauses_again_and_others_for_each_failure() {
        let pauses = |mut backoff: Backoff| [0; 5].map(|_| backoff.next_pause());
        let mut first = Backoff::keyed(7);
        assert_eq!(pauses(first.clone()), pauses(Backoff::keyed(7)));
        assert_ne!(pauses(first.anew()), pauses(first.anew()));
        assert_ne!(pauses(Backoff::default()), pauses(Backoff::default()));
    }
}
