//! When the rows of a lane are due, one after the other.

use super::arrivals::Journey;
use super::{Arrivals, Curve, Rate};

/// The due times of a lane's rows in whole microseconds, without end.
#[derive(Debug, Clone)]
pub struct DueTimes(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Even(Progression),
    Drawn(Box<Drawn>),
}

/// An arithmetic progression of due times: no division a row.
#[derive(Debug, Clone, Copy)]
pub struct Progression {
    value_us: i64,
    rest: u64,
    step_us: i64,
    step_rest: u64,
    modulus: u64,
}

/// Each due time by itself.
#[derive(Debug, Clone)]
struct Drawn {
    journey: Journey,
    curve: Curve,
    /// The next row's event.
    event: u64,
    lanes: u64,
    origin_us: i64,
}

impl DueTimes {
    /// The same moment for every row (unthrottled loading, where no row has a time of its own).
    pub fn constant(at_us: i64) -> Self {
        let still = Progression { value_us: at_us, rest: 0, step_us: 0, step_rest: 0, modulus: 1 };
        Self(Kind::Even(still))
    }

    /// Of every `lanes`-th event from `event` on, which come evenly.
    pub(super) fn even(rate: Rate, event: u64, lanes: u64) -> Self {
        // In units of 1/events of a nanosecond, then carried over to microseconds: exact.
        let events = u128::from(rate.events.get()) * 1_000;
        let per_event = u128::from(rate.per_ns.get());
        let (first, step) = (u128::from(event) * per_event, u128::from(lanes) * per_event);
        Self(Kind::Even(Progression {
            value_us: i64::try_from(first / events).unwrap_or(i64::MAX),
            rest: u64::try_from(first % events).unwrap_or(0),
            step_us: i64::try_from(step / events).unwrap_or(i64::MAX),
            step_rest: u64::try_from(step % events).unwrap_or(0),
            modulus: u64::try_from(events).unwrap_or(u64::MAX),
        }))
    }

    /// Of every `lanes`-th event from `event` on.
    pub(super) fn drawn(arrivals: &Arrivals, curve: &Curve, event: u64, lanes: u64) -> Self {
        let (journey, curve) = (Journey::new(arrivals), curve.clone());
        Self(Kind::Drawn(Box::new(Drawn { journey, curve, event, lanes, origin_us: 0 })))
    }

    /// The same due times seen from another origin.
    #[must_use]
    pub fn since(mut self, origin_us: i64) -> Self {
        match &mut self.0 {
            Kind::Even(due) => due.value_us = due.value_us.saturating_add(origin_us),
            Kind::Drawn(due) => due.origin_us = due.origin_us.saturating_add(origin_us),
        }
        self
    }

    /// The current due time; moves on to the next row's.
    #[inline]
    pub fn advance(&mut self) -> i64 {
        match &mut self.0 {
            Kind::Even(due) => due.advance(),
            Kind::Drawn(due) => due.advance(),
        }
    }

    /// The progression that they are, if they come evenly.
    #[inline]
    pub fn as_even(&self) -> Option<Progression> {
        match &self.0 {
            Kind::Even(due) => Some(*due),
            Kind::Drawn(_) => None,
        }
    }

    /// Moves on by `rows` rows at once.
    pub fn skip(&mut self, rows: u64) {
        match &mut self.0 {
            Kind::Even(due) => due.skip(rows),
            Kind::Drawn(due) => due.skip(rows),
        }
    }
}

impl Progression {
    /// The current due time; moves on to the next row's.
    #[inline]
    pub fn advance(&mut self) -> i64 {
        let now = self.value_us;
        self.value_us = now.wrapping_add(self.step_us);
        self.rest += self.step_rest;
        if self.rest >= self.modulus {
            self.rest -= self.modulus;
            self.value_us += 1;
        }
        now
    }

    fn skip(&mut self, rows: u64) {
        let rest = u128::from(self.rest) + u128::from(self.step_rest) * u128::from(rows);
        let modulus = u128::from(self.modulus);
        self.rest = (rest % modulus) as u64;
        self.value_us = self
            .value_us
            .wrapping_add(self.step_us.wrapping_mul(rows as i64))
            .wrapping_add((rest / modulus) as i64);
    }
}

impl Drawn {
    fn advance(&mut self) -> i64 {
        let due_ns = self.curve.reaches(self.journey.position(self.event));
        self.skip(1);
        self.origin_us.saturating_add_unsigned(due_ns / 1_000)
    }

    fn skip(&mut self, rows: u64) {
        self.event = self.event.saturating_add(self.lanes.saturating_mul(rows));
    }
}
