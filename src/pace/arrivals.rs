//! Where the events of a stream lie, whatever the rate: evenly, at random, or in bursts.
//!
//! When a position is reached is another matter, that of the [`Curve`](super::Curve).

use super::poisson::{Poisson, Walk};
use super::position::{FRACTION_BITS, Position};
use crate::random::output;

/// How the events of a stream follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// Each by itself: a Poisson process.
    Poisson,
    /// In bursts, with fewer events between them.
    Burst(Burst),
}

/// Bursts: each block of events has one, at a random place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// Events of a block, at least 1.
    pub block: u64,
    /// How many of them are in the burst: 1 to all.
    pub dense: u64,
    /// How long the burst is, in events that would be due meanwhile without bursts: 1 to `dense`.
    pub length: u64,
}

/// The events of a stream, by number.
#[derive(Debug, Clone)]
pub struct Arrivals(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Even,
    Random(Poisson),
    Bursts { burst: Burst, key: u64 },
}

impl Arrivals {
    /// The arrivals of a seed; those of another `number` are independent of them.
    pub fn new(arrival: Arrival, seed: u64, number: u64) -> Self {
        let key = output(output(seed, ARRIVALS), number);
        Self(match arrival {
            Arrival::Constant => Kind::Even,
            Arrival::Poisson => Kind::Random(Poisson::new(key)),
            Arrival::Burst(burst) => Kind::Bursts { burst, key },
        })
    }

    /// Whether event `g` is at position `g`.
    pub(super) fn is_even(&self) -> bool {
        matches!(self.0, Kind::Even)
    }

    /// Whether the rate is another one within bursts.
    pub(super) fn has_bursts(&self) -> bool {
        matches!(self.0, Kind::Bursts { .. })
    }

    /// Where an event is.
    pub(super) fn position(&self, event: u64) -> Position {
        Journey::new(self).position(event)
    }

    /// How many events lie before a position.
    pub(super) fn before(&self, position: Position) -> u64 {
        match &self.0 {
            Kind::Even => u64::try_from(position.div_ceil(1 << FRACTION_BITS)).unwrap_or(u64::MAX),
            Kind::Random(poisson) => poisson.before(position),
            Kind::Bursts { burst, key } => burst.before(*key, position),
        }
    }

    /// How many events are expected before a position, with fractions, in the units of positions.
    pub(super) fn expected(&self, position: Position) -> Position {
        match &self.0 {
            Kind::Even | Kind::Random(_) => position,
            Kind::Bursts { burst, key } => burst.expected(*key, position),
        }
    }
}

/// The output of the seed that arrivals are made of; the values of rows are made of output 1.
const ARRIVALS: u64 = 2;

/// A way through the events, one after the other.
#[derive(Debug, Clone)]
pub(super) enum Journey {
    Even,
    Random(Walk),
    Bursts { burst: Burst, key: u64 },
}

impl Journey {
    pub(super) fn new(arrivals: &Arrivals) -> Self {
        match &arrivals.0 {
            Kind::Even => Self::Even,
            Kind::Random(poisson) => Self::Random(Walk::new(poisson)),
            Kind::Bursts { burst, key } => Self::Bursts { burst: *burst, key: *key },
        }
    }

    /// Where an event is.
    pub(super) fn position(&mut self, event: u64) -> Position {
        match self {
            Self::Even => Position::from(event) << FRACTION_BITS,
            Self::Random(walk) => walk.position(event),
            Self::Bursts { burst, key } => burst.position(*key, event),
        }
    }
}

/// A block: sparse events evenly over what is no burst, dense ones evenly over the burst.
struct Block {
    start: Position,
    sparse: u128,
    dense: u128,
    /// Length without the burst.
    quiet: u128,
    /// Of the burst.
    length: u128,
    /// Where in the block the burst begins.
    burst: u128,
    /// Sparse events before the burst.
    ahead: u128,
}

impl Burst {
    fn block(self, key: u64, number: u64) -> Block {
        let unit = |events: u64| u128::from(events) << FRACTION_BITS;
        let quiet = unit(self.block - self.length);
        // A fraction of 32 bits, so that the product fits.
        let burst = ((quiet >> 1) * u128::from(output(key, number) >> 32)) >> 31;
        let sparse = u128::from(self.block - self.dense);
        let ahead = if quiet == 0 { 0 } else { (burst * sparse).div_ceil(quiet) };
        Block {
            start: unit(self.block) * u128::from(number),
            sparse,
            dense: self.dense.into(),
            quiet,
            length: unit(self.length),
            burst,
            ahead,
        }
    }

    fn position(self, key: u64, event: u64) -> Position {
        self.block(key, event / self.block).position(u128::from(event % self.block))
    }

    fn before(self, key: u64, position: Position) -> u64 {
        let number = (position >> FRACTION_BITS) / u128::from(self.block);
        let Ok(number) = u64::try_from(number) else { return u64::MAX };
        let block = self.block(key, number);
        let (mut low, mut high) = (0, self.block);
        while low < high {
            let middle = low.midpoint(high);
            if block.position(middle.into()) < position {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        number.saturating_mul(self.block).saturating_add(low)
    }

    fn expected(self, key: u64, position: Position) -> Position {
        let number = (position >> FRACTION_BITS) / u128::from(self.block);
        let Ok(number) = u64::try_from(number) else { return position };
        let block = self.block(key, number);
        let at = position - block.start;
        let in_burst = at.saturating_sub(block.burst).min(block.length);
        // `events` of them evenly over `length`.
        let part = |at: Position, events: u128, length: Position| {
            let product = at * events;
            ((product / length) << FRACTION_BITS) + ((product % length) << FRACTION_BITS) / length
        };
        let sparse = match block.quiet {
            0 => 0,
            quiet => part(at - in_burst, block.sparse, quiet),
        };
        block.start + sparse + part(in_burst, block.dense, block.length)
    }
}

impl Block {
    /// Where an event of the block is.
    fn position(&self, event: u128) -> Position {
        let in_burst = event.checked_sub(self.ahead).filter(|dense| *dense < self.dense);
        let offset = if let Some(dense) = in_burst {
            self.burst + dense * self.length / self.dense
        } else if event < self.ahead {
            event * self.quiet / self.sparse
        } else {
            (event - self.dense) * self.quiet / self.sparse + self.length
        };
        self.start + offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn bursts()(block in 1_u64..100_000, dense: u64, length: u64) -> Burst {
            let dense = 1 + dense % block;
            Burst { block, dense, length: 1 + length % dense }
        }
    }

    #[test]
    fn four_fifths_of_the_rows_come_in_a_fifth_of_the_time() {
        let burst = Burst { block: 1_000, dense: 800, length: 200 };
        let arrivals = Arrivals::new(Arrival::Burst(burst), 1, 0);
        let gap = |event| {
            let gap = arrivals.position(event + 1) - arrivals.position(event);
            gap as f64 / 2_f64.powi(32)
        };
        let dense = (0..999).filter(|event| (gap(*event) - 0.25).abs() < 1e-6).count();
        let sparse = (0..999).filter(|event| (gap(*event) - 4.0).abs() < 1e-6).count();
        assert_eq!((dense, sparse), (799, 198), "and two gaps at the burst's ends");
    }

    proptest! {
        #[test]
        fn a_block_has_its_events_in_order(burst in bursts(), seed: u64, block in 0_u64..1 << 30) {
            let arrivals = Arrivals::new(Arrival::Burst(burst), seed, 0);
            let first = block * burst.block;
            let start = Position::from(first) << FRACTION_BITS;
            prop_assert_eq!(arrivals.before(start), first);
            prop_assert_eq!(arrivals.expected(start), start);
            let mut last = start;
            let step = burst.block.div_ceil(300) as usize;
            for event in (first..first + burst.block).step_by(step) {
                let position = arrivals.position(event);
                prop_assert!(position >= last);
                last = position;
                prop_assert!(arrivals.before(position) <= event);
                prop_assert!(arrivals.before(position + 1) > event);
                // What is expected by then is what is there, but for the two gaps in the block.
                let expected = arrivals.expected(position) as f64 / 2_f64.powi(32);
                prop_assert!((expected - event as f64).abs() < 2.0, "{expected} of {event}");
            }
            prop_assert!(last < start + (Position::from(burst.block) << FRACTION_BITS));
        }
    }
}
