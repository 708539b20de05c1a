//! The pure schedule: which rows make a batch, and when each is due. Exact integer arithmetic, so
//! no rate drifts, however long the run.

use std::num::NonZeroU64;
use std::time::Duration;

use super::position::{FRACTION_BITS, Position};
use super::{Arrival, Arrivals, Curve, DueTimes, Rate};

/// What a stream asks for, over all lanes: where its events lie, and how fast time goes over them.
#[derive(Debug, Clone)]
pub struct Course {
    /// Where the events lie.
    pub arrivals: Arrivals,
    /// The rate over time.
    pub curve: Curve,
}

/// The share of one lane (a partition, a reader) in a course.
///
/// Events are dealt to the lanes in turn: event `k` of lane `l` is number `k × lanes + l` of all.
/// With a constant arrival, number `g` of all is due at `g / rate`. So the events are the same
/// however many lanes there are, their total is exact for every rate, and no lane is ever more than
/// one event ahead of another. Lanes that begin together would all fill their batches at the same
/// time; their first batches differ in length, so that the ends of batches are spread evenly over the
/// time that a batch takes.
#[derive(Debug, Clone)]
pub struct Schedule {
    course: Course,
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
        course: Course,
        lane: u64,
        lanes: NonZeroU64,
        batch_rows: NonZeroU64,
        linger: Duration,
    ) -> Self {
        debug_assert!(lane < lanes.get());
        let linger_ns = u64::try_from(linger.as_nanos()).unwrap_or(u64::MAX);
        Self { course, lane, lanes, batch_rows, linger_ns }
    }

    /// When row `row` of this lane is due, in nanoseconds from the start.
    pub fn due_ns(&self, row: u64) -> u64 {
        self.course.due_ns(self.event(row))
    }

    /// How many rows of this lane are due before `at_ns` (that moment not included).
    pub fn rows_before(&self, at_ns: u64) -> u64 {
        match self.course.events_before(at_ns).checked_sub(self.lane + 1) {
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
        self.course.events_before(at_ns)
    }

    fn event(&self, row: u64) -> u64 {
        row.saturating_mul(self.lanes.get()).saturating_add(self.lane)
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
        let mut ends = (0..lanes).map(|turn| (turn + 1) * usual - 1 - shift(turn / turns));
        ends.find(|end| end % lanes == lane).map_or(usual, |end| end / lanes + 1)
    }

    /// Due times in whole microseconds from the start, beginning with row `first_row`.
    pub fn due_times(&self, first_row: u64) -> DueTimes {
        let (event, lanes) = (self.event(first_row), self.lanes.get());
        match self.course.as_even() {
            Some(rate) => DueTimes::even(rate, event, lanes),
            None => DueTimes::drawn(&self.course.arrivals, &self.course.curve, event, lanes),
        }
    }
}

impl Course {
    /// Events at equal distances.
    pub fn even(rate: Rate) -> Self {
        Self { arrivals: Arrivals::new(Arrival::Constant, 0, 0), curve: Curve::steady(rate) }
    }

    /// The rate, if nothing else is to be known of it.
    fn as_even(&self) -> Option<Rate> {
        self.curve.as_steady().filter(|_| self.arrivals.is_even())
    }

    fn due_ns(&self, event: u64) -> u64 {
        match self.as_even() {
            Some(rate) => rate.due_ns(event),
            None => self.curve.reaches(self.arrivals.position(event)),
        }
    }

    fn events_before(&self, at_ns: u64) -> u64 {
        match self.as_even() {
            Some(rate) => rate.events_before(at_ns),
            None => self.arrivals.before(self.curve.first_not_before(at_ns)),
        }
    }

    /// The rate that is asked for between two moments, in events per second: of a Poisson process the
    /// expected one.
    pub fn target_per_s(&self, from: Duration, to: Duration) -> f64 {
        if let (Some(rate), true) = (self.curve.as_steady(), !self.arrivals.has_bursts()) {
            return rate.events_per_s();
        }
        let expected = |at: Duration| {
            let at_ns = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
            self.arrivals.expected(self.curve.first_not_before(at_ns))
        };
        let events: Position = expected(to).saturating_sub(expected(from));
        let events = events as f64 / (1_u64 << FRACTION_BITS) as f64;
        let rate = events / to.saturating_sub(from).as_secs_f64().max(1e-9);
        (rate * 1e3).round() / 1e3
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
