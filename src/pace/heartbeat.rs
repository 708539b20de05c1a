//! Whether a thread of ours ran when it should have: a beat every few milliseconds, and the gaps.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two beats.
const PERIOD: Duration = Duration::from_millis(10);
/// A gap longer than this is a pause: a busy machine wakes a thread some milliseconds late.
const GAP_MAX: Duration = Duration::from_millis(30);
/// Pauses that are remembered, for work that is still in hand: the last ones.
const PAUSES_KEPT: usize = 1024;

/// The beats of a runtime's threads.
///
/// While a process is stopped, or gets no processor, it cannot know; afterwards the gap between two
/// beats says how long that was.
#[derive(Debug)]
pub struct Heartbeat(Mutex<Beats>);

#[derive(Debug)]
struct Beats {
    last: Instant,
    largest_gap: Duration,
    paused: Duration,
    pauses: VecDeque<(Instant, Instant)>,
}

/// What the beats came to since they began, or since [`Heartbeat::forget_gaps`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Longest time between two beats, beyond the period.
    pub largest_gap: Duration,
    /// Sum of the pauses.
    pub paused: Duration,
}

impl Heartbeat {
    /// Begins at `now`.
    pub fn new(now: Instant) -> Self {
        let (largest_gap, paused) = (Duration::ZERO, Duration::ZERO);
        Self(Mutex::new(Beats { last: now, largest_gap, paused, pauses: VecDeque::new() }))
    }

    /// Beats until it is dropped, on whatever thread it is polled.
    pub async fn beat(&self) -> std::convert::Infallible {
        self.with(|beats| beats.last = Instant::now());
        loop {
            tokio::time::sleep(PERIOD).await;
            self.with(|beats| beats.note(Instant::now()));
        }
    }

    /// How long the thread stood still between two moments, of which the later one is now or past.
    pub fn paused(&self, from: Instant, to: Instant) -> Duration {
        self.with(|beats| beats.paused(from, to))
    }

    /// The same for the pauses alone that ended within `near` of the later moment, and so may have kept
    /// the thread from what it then did.
    pub fn paused_near(&self, from: Instant, to: Instant, near: Duration) -> Duration {
        let since = to.checked_sub(near).map_or(from, |since| since.max(from));
        self.with(|beats| {
            let begin = beats.pauses.iter().rev().take_while(|(_, end)| *end > since).last();
            beats.paused(begin.map_or(since, |(begin, _)| (*begin).clamp(from, since)), to)
        })
    }

    /// Begins anew to look for the largest gap.
    pub fn forget_gaps(&self) {
        self.with(|beats| (beats.largest_gap, beats.paused) = (Duration::ZERO, Duration::ZERO));
    }

    /// What the beats came to so far.
    pub fn pulse(&self) -> Pulse {
        self.with(|beats| Pulse { largest_gap: beats.largest_gap, paused: beats.paused })
    }

    fn with<T>(&self, of: impl FnOnce(&mut Beats) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Beats {
    fn note(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last);
        self.largest_gap = self.largest_gap.max(gap.saturating_sub(PERIOD));
        if gap > GAP_MAX {
            let pause = (self.last + PERIOD, now);
            self.paused += gap.saturating_sub(PERIOD);
            if self.pauses.len() == PAUSES_KEPT {
                self.pauses.pop_front();
            }
            self.pauses.push_back(pause);
        }
        self.last = now;
    }

    fn paused(&self, from: Instant, to: Instant) -> Duration {
        let overlap = |(begin, end): (Instant, Instant)| {
            end.min(to).saturating_duration_since(begin.max(from))
        };
        let known = self.pauses.iter().rev().take_while(|(_, end)| *end > from);
        // Whoever asks may have been woken before the beat was.
        let running = to.saturating_duration_since(self.last) > GAP_MAX;
        let now = running.then_some((self.last + PERIOD, to));
        known.copied().chain(now).map(overlap).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn pauses_are_known_before_and_after_the_beat_behind_them() {
        let start = Instant::now();
        let at = |at| start + ms(at);
        let heartbeat = Heartbeat::new(start);
        heartbeat.with(|beats| [10, 20, 32, 45].map(|time| beats.note(at(time))));
        assert_eq!(heartbeat.pulse(), Pulse { largest_gap: ms(3), paused: ms(0) });
        assert_eq!(heartbeat.paused(at(0), at(50)), ms(0));
        // Stopped from 45 to 1000: the one who asks at 1000 was woken first.
        assert_eq!(heartbeat.paused(at(40), at(1000)), ms(945));
        assert_eq!(heartbeat.paused(at(500), at(1000)), ms(500));
        heartbeat.with(|beats| beats.note(at(1001)));
        assert_eq!(heartbeat.paused(at(40), at(1005)), ms(946));
        assert_eq!(heartbeat.paused(at(900), at(950)), ms(50));
        assert_eq!(heartbeat.paused(at(1001), at(1009)), ms(0));
        assert_eq!(heartbeat.pulse(), Pulse { largest_gap: ms(946), paused: ms(946) });
        // From 45 to 1001, and from 1400 to 1500.
        heartbeat.with(|beats| (1010..1400).step_by(10).for_each(|time| beats.note(at(time))));
        heartbeat.with(|beats| beats.note(at(1500)));
        assert_eq!(heartbeat.paused_near(at(40), at(1505), ms(50)), ms(100));
        assert_eq!(heartbeat.paused_near(at(40), at(1505), ms(600)), ms(1046));
        assert_eq!(heartbeat.paused_near(at(1450), at(1505), ms(600)), ms(50));
        assert_eq!(heartbeat.paused_near(at(1000), at(1390), ms(50)), ms(0));
    }

    #[test]
    fn of_many_pauses_the_last_are_kept() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        for beat in 1..=5_000 {
            heartbeat.with(|beats| beats.note(start + ms(100 * beat)));
        }
        assert_eq!(heartbeat.paused(start + ms(499_900), start + ms(500_000)), ms(90));
        assert_eq!(heartbeat.pulse().paused, ms(450_000));
        assert_eq!(heartbeat.with(|beats| beats.pauses.len()), PAUSES_KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_runs_has_no_pauses() {
        let heartbeat = Heartbeat::new(Instant::now());
        let _ = tokio::time::timeout(Duration::from_secs(2), heartbeat.beat()).await;
        assert_eq!(heartbeat.pulse().paused, Duration::ZERO);
    }
}
