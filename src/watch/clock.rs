//! A clock that is set while a run goes on: seen beside the monotonic clock, which nobody sets.

use std::time::{Duration, Instant, SystemTime};

/// A clock that moved by more than this beside the monotonic one was set. NTP slews by half a
/// millisecond a second, and looks are a second apart.
const SET_FROM: Duration = Duration::from_millis(50);
/// How often our own clock is read for one reading, of which the narrowest counts.
const TRIES: u32 = 5;

/// What a clock showed at a moment of the monotonic one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What it showed, in microseconds since the Unix epoch.
    pub shown_us: i64,
    /// When, at the latest and less than twice `uncertainty` before, in microseconds since any moment.
    pub at_us: i64,
    /// By how much the moment may be off.
    pub uncertainty: Duration,
}

impl Reading {
    /// This machine's clock now; moments count from `origin`.
    pub fn own(origin: Instant) -> Self {
        let read = || {
            let began = Instant::now();
            let shown = SystemTime::now();
            let (at, trip) = (began.saturating_duration_since(origin), began.elapsed());
            Self { shown_us: unix_us(shown), at_us: us(at + trip / 2), uncertainty: trip / 2 }
        };
        let mut best = read();
        for _ in 1..TRIES {
            let next = read();
            if next.uncertainty < best.uncertainty {
                best = next;
            }
        }
        best
    }
}

/// Watches a clock.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<Reading>,
}

impl ClockWatch {
    /// Takes a look; by how much the clock was set since the last one, in microseconds, if it was.
    pub fn look(&mut self, now: Reading) -> Option<i64> {
        let last = self.last.replace(now)?;
        let moved = (now.shown_us - last.shown_us) - (now.at_us - last.at_us);
        let unsure = last.uncertainty + now.uncertainty;
        (moved.unsigned_abs() > us(SET_FROM + unsure).unsigned_abs()).then_some(moved)
    }

    /// Forgets the last look: the next one is at another clock.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// Before 1970 too: a clock may show anything.
fn unix_us(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => us(since),
        Err(before) => -us(before.duration()),
    }
}

fn us(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64, set_by_us: i64, unsure_ms: u64) -> Reading {
        let (shown_us, at_us) = (1_700_000_000_000_000 + s * 1_000_000 + set_by_us, s * 1_000_000);
        Reading { shown_us, at_us, uncertainty: Duration::from_millis(unsure_ms) }
    }

    #[test]
    fn a_clock_that_is_set_is_seen_once_and_one_that_is_slewed_is_not() {
        let mut clock = ClockWatch::default();
        let looks = [(0, 0), (1, 500), (2, 1_000), (3, -4_999_000), (4, -4_998_500), (5, 1_500)];
        let seen = looks.map(|(s, set_by_us)| clock.look(at(s, set_by_us, 0)));
        assert_eq!(seen, [None, None, None, Some(-5_000_000), None, Some(5_000_000)]);
    }

    #[test]
    fn what_the_way_to_the_clock_may_have_taken_is_no_step() {
        let mut clock = ClockWatch::default();
        assert_eq!(clock.look(at(0, 0, 10)), None);
        assert_eq!(clock.look(at(1, 200_000, 150)), None);
        assert_eq!(clock.look(at(2, 420_000, 10)), Some(220_000));
        clock.forget();
        assert_eq!(clock.look(at(3, 9_000_000, 0)), None);
    }

    #[test]
    fn our_own_clock_is_read_between_two_moments() {
        let origin = Instant::now();
        let mut clock = ClockWatch::default();
        for _ in 0..100 {
            assert_eq!(clock.look(Reading::own(origin)), None);
        }
    }
}
