//! The pure schedule: which rows make a batch, and when each is due. Exact integer arithmetic, so
//! no rate drifts, however long the run.

use std::num::NonZeroU64;
use std::time::Duration;

const NS_PER_S: u64 = 1_000_000_000;

/// How often something is due in total: `events` each `per`, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    events: NonZeroU64,
    per_ns: NonZeroU64,
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
}

/// The share of one lane (a partition, a reader) in a total rate.
///
/// Events are dealt to the lanes in turn: event `k` of lane `l` is number `k × lanes + l` of all,
/// and number `g` of all is due at `g / rate`. So the total is exact for every rate, and no lane is
/// ever more than one event ahead of another. Lanes that begin together would all fill their batches
/// at the same time; their first batches differ in length, so that the ends of batches are spread
/// evenly over the time that a batch takes.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    rate: Rate,
    lane: u64,
    lanes: NonZeroU64,
    batch_rows: NonZeroU64,
    linger_ns: u64,
}

/// Consecutive rows of one lane that travel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Sequence number of the first row in the lane.
    pub first_row: u64,
    /// Number of rows, at least 1.
    pub rows: u64,
    /// When the batch is due, in nanoseconds from the start.
    pub due_ns: u64,
}

impl Schedule {
    /// The schedule of lane `lane` of `lanes`; batches close at `batch_rows` rows or `linger`
    /// after their first row was due, whichever comes first.
    pub fn new(
        rate: Rate,
        lane: u64,
        lanes: NonZeroU64,
        batch_rows: NonZeroU64,
        linger: Duration,
    ) -> Self {
        debug_assert!(lane < lanes.get());
        let linger_ns = u64::try_from(linger.as_nanos()).unwrap_or(u64::MAX);
        Self { rate, lane, lanes, batch_rows, linger_ns }
    }

    /// When row `row` of this lane is due, in nanoseconds from the start.
    pub fn due_ns(&self, row: u64) -> u64 {
        let event = u128::from(row) * u128::from(self.lanes.get()) + u128::from(self.lane);
        let due = event * u128::from(self.rate.per_ns.get()) / u128::from(self.rate.events.get());
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// How many rows of this lane are due before `at_ns` (that moment not included).
    pub fn rows_before(&self, at_ns: u64) -> u64 {
        match self.events_before(at_ns).checked_sub(self.lane + 1) {
            Some(beyond_first) => beyond_first / self.lanes.get() + 1,
            None => 0,
        }
    }

    /// The first of the events of which row `row` of each lane is one.
    pub(super) fn first_event(&self, row: u64) -> u64 {
        row.saturating_mul(self.lanes.get())
    }

    /// How many events of all lanes are due before `at_ns`.
    pub(super) fn events_before(&self, at_ns: u64) -> u64 {
        let events = (u128::from(at_ns) * u128::from(self.rate.events.get()))
            .div_ceil(u128::from(self.rate.per_ns.get()));
        u64::try_from(events).unwrap_or(u64::MAX)
    }

    /// The batch that begins with row `first_row`, of rows due before `edge_ns`; `None` if there
    /// is no such row. A batch that the edge or its linger cuts short is due at the cut, since
    /// only then is it known that no further row joins.
    ///
    /// `opening` is the event with which all lanes begin, if this is the lane's first batch since:
    /// a shorter one, by the lane's turn.
    pub fn batch(&self, first_row: u64, edge_ns: u64, opening: Option<u64>) -> Option<Batch> {
        let first_due = self.due_ns(first_row);
        if first_due >= edge_ns {
            return None;
        }
        let linger_end = first_due.saturating_add(self.linger_ns);
        let lingered = self.rows_before(linger_end.saturating_add(1));
        let mut full = first_row.saturating_add(self.batch_rows.get());
        if let Some(event) = opening {
            let usual = full.min(lingered) - first_row;
            let rows = self.opening_rows(usual, event);
            if rows < usual {
                full = first_row + rows;
            }
        }
        let end_row = full.min(lingered).min(self.rows_before(edge_ns));
        let due_ns =
            if end_row == full { self.due_ns(end_row - 1) } else { linger_end.min(edge_ns) };
        Some(Batch { first_row, rows: end_row - first_row, due_ns })
    }

    /// How many rows this lane's first batch has, if later ones have `usual` rows and all lanes begin
    /// with event `opening`: such that one batch ends with each `usual`-th event of all, give or take
    /// two.
    ///
    /// Counted from `opening`, lane `l` has the events `k × lanes + l`. Turn `j` ends with event
    /// `(j + 1) × usual − 1`. Where `usual` and `lanes` have a common divisor `d`, these events are
    /// those of one lane in `d` again and again; so each of the `d` parts of the turns is shifted by a
    /// number of events of its own, neighbours by at most two.
    fn opening_rows(&self, usual: u64, opening: u64) -> u64 {
        let lanes = self.lanes.get();
        let lane = (self.lane + lanes - opening % lanes) % lanes;
        let parts = gcd(usual, lanes);
        let shift = |part: u64| match part * 2 < parts {
            true => part * 2,
            false => (parts - 1 - part) * 2 + 1,
        };
        let turns = lanes / parts;
        let ends = (0..lanes).map(|turn| (turn + 1) * usual - 1 - shift(turn / turns));
        ends.into_iter().find(|end| end % lanes == lane).map_or(usual, |end| end / lanes + 1)
    }

    /// Due times in whole microseconds from the start, beginning with row `first_row`.
    pub fn due_times(&self, first_row: u64) -> DueTimes {
        // In units of 1/events of a nanosecond, then carried over to microseconds: exact.
        let events = u128::from(self.rate.events.get()) * 1_000;
        let per_event = u128::from(self.rate.per_ns.get());
        let first = (u128::from(first_row) * u128::from(self.lanes.get()) + u128::from(self.lane))
            * per_event;
        let step = u128::from(self.lanes.get()) * per_event;
        DueTimes {
            value_us: i64::try_from(first / events).unwrap_or(i64::MAX),
            rest: u64::try_from(first % events).unwrap_or(0),
            step_us: i64::try_from(step / events).unwrap_or(i64::MAX),
            step_rest: u64::try_from(step % events).unwrap_or(0),
            modulus: u64::try_from(events).unwrap_or(u64::MAX),
        }
    }
}

/// An endless arithmetic progression of due times in microseconds: no division a row.
#[derive(Debug, Clone, Copy)]
pub struct DueTimes {
    value_us: i64,
    rest: u64,
    step_us: i64,
    step_rest: u64,
    modulus: u64,
}

impl DueTimes {
    /// The same moment for every row (unthrottled loading, where no row has a time of its own).
    pub fn constant(at_us: i64) -> Self {
        Self { value_us: at_us, rest: 0, step_us: 0, step_rest: 0, modulus: 1 }
    }

    /// The same progression seen from another origin.
    #[must_use]
    pub fn since(mut self, origin_us: i64) -> Self {
        self.value_us = self.value_us.saturating_add(origin_us);
        self
    }

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

    /// Moves on by `rows` rows at once.
    pub fn skip(&mut self, rows: u64) {
        let rest = u128::from(self.rest) + u128::from(self.step_rest) * u128::from(rows);
        let modulus = u128::from(self.modulus);
        self.rest = (rest % modulus) as u64;
        self.value_us = self
            .value_us
            .wrapping_add(self.step_us.wrapping_mul(rows as i64))
            .wrapping_add((rest / modulus) as i64);
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nz(value: u64) -> NonZeroU64 {
        NonZeroU64::new(value).unwrap()
    }

    fn lane(rate: u64, lane: u64, lanes: u64, batch_rows: u64, linger_ms: u64) -> Schedule {
        let linger = Duration::from_millis(linger_ms);
        Schedule::new(Rate::per_second(nz(rate)), lane, nz(lanes), nz(batch_rows), linger)
    }

    #[test]
    fn three_thousand_rows_over_three_lanes_fill_a_hundred_rows_each_tenth_of_a_second() {
        let schedule = lane(3_000, 0, 3, 100, 100);
        let batch = schedule.batch(0, u64::MAX, None).unwrap();
        assert_eq!(batch, Batch { first_row: 0, rows: 100, due_ns: 99_000_000 });
        let batch = schedule.batch(100, u64::MAX, None).unwrap();
        assert_eq!(batch, Batch { first_row: 100, rows: 100, due_ns: 199_000_000 });
    }

    #[test]
    fn a_slow_lane_is_sent_when_it_has_lingered() {
        let schedule = lane(30, 0, 3, 100, 100);
        let batch = schedule.batch(0, u64::MAX, None).unwrap();
        assert_eq!(batch, Batch { first_row: 0, rows: 2, due_ns: 100_000_000 });
    }

    #[test]
    fn a_rate_below_one_event_a_second_is_exact() {
        let rate = Rate::each(nz(1), Duration::from_secs(4)).unwrap();
        let schedule = Schedule::new(rate, 0, nz(1), nz(1), Duration::ZERO);
        assert_eq!(schedule.due_ns(3), 12_000_000_000);
    }

    /// The moments at which batches are due over all lanes, that all begin with `opening`.
    fn ends(
        rate: u64,
        lanes: u64,
        batch_rows: u64,
        linger_ms: u64,
        opening: u64,
        batches: u64,
    ) -> Vec<u64> {
        let mut ends = Vec::new();
        for l in 0..lanes {
            let schedule = lane(rate, l, lanes, batch_rows, linger_ms);
            let mut next = (opening + lanes - 1 - l) / lanes;
            for batch in 0..batches {
                let opening = (batch == 0).then_some(opening);
                let batch = schedule.batch(next, u64::MAX, opening).unwrap();
                next += batch.rows;
                // Those that open are due with their last row, others may have to linger.
                ends.extend((opening.is_none()).then_some(batch.due_ns));
            }
        }
        ends.sort_unstable();
        ends
    }

    #[test]
    fn three_producers_commit_in_turn() {
        let ends = ends(3_000, 3, 100, 100, 0, 4);
        let ms: Vec<u64> = ends.iter().map(|end| end / 1_000_000).collect();
        assert_eq!(ms, [133, 166, 199, 233, 266, 299, 333, 366, 399]);
    }

    proptest! {
        #[test]
        fn the_ends_of_batches_are_spread_evenly(
            rate in 1u64..100_000, lanes in 1u64..70, batch_rows in 1u64..300,
            linger_ms in 1u64..300, opening in 0u64..10_000,
        ) {
            let batches = 5;
            let ends = ends(rate, lanes, batch_rows, linger_ms, opening, batches);
            let usual = batch_rows.min(linger_ms * rate / (1_000 * lanes) + 1);
            // From the ends, that are due at whole nanoseconds, back to events.
            let event = NS_PER_S as f64 / rate as f64;
            for pair in ends.windows(2) {
                let gap = (pair[1] - pair[0]) as f64 / event;
                prop_assert!((gap - usual as f64).abs() < 2.001, "{gap} of {usual}");
            }
        }

        #[test]
        fn the_lanes_together_keep_the_rate_to_the_row(
            rate in 1u64..5_000_000, lanes in 1u64..40, seconds in 0u64..100_000,
        ) {
            let total: u64 = (0..lanes)
                .map(|l| lane(rate, l, lanes, 100, 100).rows_before(seconds * NS_PER_S))
                .sum();
            prop_assert_eq!(total, rate * seconds);
        }

        #[test]
        fn no_lane_is_more_than_one_row_ahead(
            rate in 1u64..5_000_000, lanes in 1u64..40, at_ns in 0u64..1_000_000_000_000,
        ) {
            let rows: Vec<u64> =
                (0..lanes).map(|l| lane(rate, l, lanes, 100, 100).rows_before(at_ns)).collect();
            prop_assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1);
        }

        #[test]
        fn batches_cover_every_row_once_in_order_and_never_early(
            rate in 1u64..200_000, lanes in 1u64..8, batch_rows in 1u64..500,
            linger_ms in 0u64..500, edge_ms in 1u64..3_000, opens: bool,
        ) {
            let edge_ns = edge_ms * 1_000_000;
            let schedule = lane(rate, lanes - 1, lanes, batch_rows, linger_ms);
            let mut next = 0;
            let mut last_due = 0;
            while let Some(batch) =
                schedule.batch(next, edge_ns, (next == 0 && opens).then_some(0))
            {
                prop_assert_eq!(batch.first_row, next);
                prop_assert!(batch.rows >= 1 && batch.rows <= batch_rows);
                prop_assert!(batch.due_ns >= schedule.due_ns(next + batch.rows - 1));
                prop_assert!(batch.due_ns <= schedule.due_ns(next) + linger_ms * 1_000_000);
                prop_assert!(batch.due_ns >= last_due && batch.due_ns <= edge_ns);
                last_due = batch.due_ns;
                next += batch.rows;
            }
            prop_assert_eq!(next, schedule.rows_before(edge_ns));
        }

        #[test]
        fn the_progression_agrees_with_the_schedule(
            rate in 1u64..5_000_000, lanes in 1u64..8, first in 0u64..1_000_000_000,
            origin in 0i64..2_000_000_000_000_000,
        ) {
            let schedule = lane(rate, 0, lanes, 100, 100);
            let mut due = schedule.due_times(first).since(origin);
            for row in first..first + 300 {
                prop_assert_eq!(due.advance(), origin + (schedule.due_ns(row) / 1_000) as i64);
            }
            let mut skipped = schedule.due_times(first).since(origin);
            skipped.skip(300);
            prop_assert_eq!(skipped.advance(), due.advance());
        }
    }
}
