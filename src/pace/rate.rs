//! How often something is due, exactly.

use std::num::NonZeroU64;
use std::time::Duration;

use super::position::{FRACTION_BITS, Position};

const NS_PER_S: u64 = 1_000_000_000;

/// How often something is due in total: `events` each `per`, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub(super) events: NonZeroU64,
    pub(super) per_ns: NonZeroU64,
}

impl Rate {
    /// A whole number of events each second.
    pub const fn per_second(events: NonZeroU64) -> Self {
        match NonZeroU64::new(NS_PER_S) {
            Some(per_ns) => Self { events, per_ns },
            None => unreachable!(),
        }
    }

    /// `events` in each period; `None` for an empty period or one beyond 584 years.
    pub fn each(events: NonZeroU64, period: Duration) -> Option<Self> {
        let per_ns = u64::try_from(period.as_nanos()).ok().and_then(NonZeroU64::new)?;
        Some(Self { events, per_ns })
    }

    /// The rate in events per second, for people.
    pub fn events_per_s(self) -> f64 {
        self.events.get() as f64 * NS_PER_S as f64 / self.per_ns.get() as f64
    }

    /// When an event is due, in whole nanoseconds, if events come evenly. As `reaches` of its position,
    /// and faster.
    pub(super) fn due_ns(self, event: u64) -> u64 {
        let due = u128::from(event) * u128::from(self.per_ns.get());
        u64::try_from(due / u128::from(self.events.get())).unwrap_or(u64::MAX)
    }

    /// How many events are due before `at_ns`, if they come evenly.
    pub(super) fn events_before(self, at_ns: u64) -> u64 {
        let events = u128::from(at_ns) * u128::from(self.events.get());
        u64::try_from(events.div_ceil(self.per_ns.get().into())).unwrap_or(u64::MAX)
    }

    /// When a position is reached, in whole nanoseconds.
    pub(super) fn reaches(self, position: Position) -> u64 {
        let (per, events) = (u128::from(self.per_ns.get()), u128::from(self.events.get()));
        let (whole, fraction) = (position >> FRACTION_BITS, position & ((1 << FRACTION_BITS) - 1));
        // Rounding down twice is rounding down once.
        let due = (whole * per + ((fraction * per) >> FRACTION_BITS)) / events;
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// The first position that is not reached before `at_ns`: `reaches` is below `at_ns` for what lies
    /// before it, and for nothing else.
    pub(super) fn first_not_before(self, at_ns: u64) -> Position {
        let (per, events) = (u128::from(self.per_ns.get()), u128::from(self.events.get()));
        let events = u128::from(at_ns) * events;
        ((events / per) << FRACTION_BITS) + ((events % per) << FRACTION_BITS).div_ceil(per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_lies_before_is_reached_before(
            events in 1u64..2_000_000_000, per_ns in 1u64..1_000_000_000_000_000,
            at_ns in 0u64..1_000_000_000_000_000_000, near in -3i64..3,
        ) {
            let rate = Rate {
                events: NonZeroU64::new(events).unwrap(),
                per_ns: NonZeroU64::new(per_ns).unwrap(),
            };
            let first = rate.first_not_before(at_ns);
            if let Some(position) = first.checked_add_signed(near.into()) {
                let reached = rate.reaches(position);
                prop_assert_eq!(reached < at_ns, position < first, "{} at {}", reached, position);
            }
        }

        #[test]
        fn events_that_come_evenly_are_at_whole_positions(
            events in 1u64..2_000_000_000, per_ns in 1u64..1_000_000_000_000_000,
            event in 0u64..1 << 40, at_ns in 0u64..1_000_000_000_000_000_000,
        ) {
            let rate = Rate {
                events: NonZeroU64::new(events).unwrap(),
                per_ns: NonZeroU64::new(per_ns).unwrap(),
            };
            prop_assert_eq!(rate.due_ns(event), rate.reaches(Position::from(event) << FRACTION_BITS));
            let positions = rate.first_not_before(at_ns).div_ceil(1 << FRACTION_BITS);
            prop_assert_eq!(u128::from(rate.events_before(at_ns)), positions.min(u64::MAX.into()));
        }
    }
}
