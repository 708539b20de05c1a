//! When to try again after a failure.

use std::time::Duration;

use rand::RngExt;

/// First pause; each ceiling is twice the last.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Highest ceiling.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses that grow exponentially, with full jitter, so that many workers do not all knock at
/// once (as in "Exponential Backoff And Jitter", Brooker 2015).
#[derive(Debug, Clone)]
pub struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling: PAUSE_MIN }
    }
}

impl Backoff {
    /// The next pause, never less than 10 ms.
    pub fn next_pause(&mut self) -> Duration {
        let pause = PAUSE_MIN / 2 + self.ceiling.mul_f64(rand::rng().random::<f64>());
        self.ceiling = (self.ceiling * 2).min(PAUSE_MAX);
        pause
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
}
