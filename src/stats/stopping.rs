//! When enough pairs have been measured: by the width of the interval, never by its verdict.

use serde::Serialize;

use super::pair::{Pair, Settings};
use super::paired::{Comparison, paired_ratio};

/// How much the number of pairs grows from one look to the next.
const GROWTH: f64 = 1.5;

/// Decides when a comparison may stop.
///
/// It looks at the pairs at a few points only, each half as many pairs again as the one before,
/// and asks only how wide the interval is. To stop as soon as an interval leaves 1 would make a
/// winner of chance; the width knows nothing of which arm is ahead. A direction may be looked at
/// as often as one likes: its evidence allows for that.
#[derive(Debug, Clone)]
pub struct Stopping {
    settings: Settings,
    precision: f64,
    next_look: usize,
}

/// Why measuring stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// The interval is as narrow as was asked for.
    Precise,
    /// The time for measuring is over.
    TimeUp,
}

/// The end of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Halt {
    /// Why it ended.
    pub reason: HaltReason,
    /// What the pairs say.
    pub comparison: Comparison,
}

impl Stopping {
    /// Stops when the [half width](Comparison::half_width) is at most `precision`: 0.05 is ± 5 %.
    pub fn new(settings: Settings, precision: f64) -> Self {
        let next_look = settings.held_pairs_min();
        Self { settings, precision, next_look }
    }

    /// The number of pairs at which the width is looked at next.
    pub fn next_look(&self) -> usize {
        self.next_look
    }

    /// Call after each pair, with all pairs so far: `Some` ends the comparison. Costs nothing
    /// between looks.
    pub fn check(&mut self, pairs: &[Pair], time_is_up: bool) -> Option<Halt> {
        let look = pairs.len() >= self.next_look;
        if !look && !time_is_up {
            return None;
        }
        let comparison = paired_ratio(pairs, &self.settings);
        let precise = comparison.half_width().is_some_and(|width| width <= self.precision);
        // Between looks a narrow interval does not count: it would be one look more.
        if look && precise {
            return Some(Halt { reason: HaltReason::Precise, comparison });
        }
        if time_is_up {
            return Some(Halt { reason: HaltReason::TimeUp, comparison });
        }
        while self.next_look <= pairs.len() {
            self.next_look = (self.next_look as f64 * GROWTH).ceil() as usize + 1;
        }
        None
    }
}
