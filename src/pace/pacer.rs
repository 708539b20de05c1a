//! The async shell around a [`Schedule`]: waits for each batch and hands it out as a [`Slot`].

use std::io;
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DueTimes, Schedule, Timer};

/// A piece of work and the moment it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Sequence number of the first row in the lane.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// When it was due: the origin of wait and response time.
    pub due: Instant,
    /// Until when an overdue slot was held back, so as not to catch up too fast.
    pub held_until: Instant,
    /// Whether it was due after the warm-up, and so belongs to the measurement.
    pub measured: bool,
}

/// When the schedule ends: at a planned moment, or when somebody says so.
#[derive(Debug)]
pub struct Stop {
    planned: Option<Instant>,
    asked: OnceLock<Instant>,
    token: CancellationToken,
}

impl Stop {
    /// Ends at `planned`, or only when asked.
    pub fn at(planned: Option<Instant>) -> Self {
        Self { planned, asked: OnceLock::new(), token: CancellationToken::new() }
    }

    /// Ends the schedule now. What was due before is still handed out.
    pub fn now(&self) {
        self.asked.get_or_init(Instant::now);
        self.token.cancel();
    }

    /// Whether [`Stop::now`] was called.
    fn is_asked(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when [`Stop::now`] was called.
    pub async fn asked(&self) {
        self.token.cancelled().await;
    }

    /// Completes when the end has come, planned or asked for.
    pub async fn over(&self) {
        match self.end() {
            Some(end) => tokio::select! {
                biased;
                () = tokio::time::sleep_until(end) => {}
                () = self.asked() => {}
            },
            None => self.asked().await,
        }
    }

    /// The end as far as it is known.
    pub fn end(&self) -> Option<Instant> {
        match (self.planned, self.asked.get()) {
            (Some(planned), Some(asked)) => Some(planned.min(*asked)),
            (planned, asked) => planned.or(asked.copied()),
        }
    }

    /// Whether the schedule has ended.
    pub fn is_over(&self) -> bool {
        self.end().is_some_and(|end| Instant::now() >= end)
    }
}

#[derive(Debug)]
enum Mode {
    /// Work is due by a schedule, whether or not the last piece is done.
    Open {
        schedule: Schedule,
        /// The first row that is due after the warm-up.
        measured: u64,
        /// The first row after an outage in which rows were given up.
        resumed: Option<u64>,
    },
    /// Work is due whenever the worker asks for it.
    Closed { rows: NonZeroU64 },
}

/// Hands out one lane's slots, each at its due time or, if the worker is behind, at once.
#[derive(Debug)]
pub struct Pacer {
    mode: Mode,
    start: Instant,
    measure_after: Duration,
    timer: Timer,
    next_row: u64,
    /// How many times faster than the schedule overdue slots may follow each other.
    catch_up_factor: f64,
    held_until: Instant,
}

impl Pacer {
    /// Paces by `schedule`, whose time zero is `start`; slots due `measure_after` later count.
    pub fn open(schedule: Schedule, start: Instant, measure_after: Duration, timer: Timer) -> Self {
        let measured = schedule.rows_before(ns(measure_after));
        Self::new(Mode::Open { schedule, measured, resumed: None }, start, measure_after, timer)
    }

    /// Hands out `rows` whenever asked, from `start` on.
    pub fn closed(rows: NonZeroU64, start: Instant, measure_after: Duration, timer: Timer) -> Self {
        Self::new(Mode::Closed { rows }, start, measure_after, timer)
    }

    fn new(mode: Mode, start: Instant, measure_after: Duration, timer: Timer) -> Self {
        let catch_up_factor = f64::INFINITY;
        Self { mode, start, measure_after, timer, next_row: 0, catch_up_factor, held_until: start }
    }

    /// Bounds how fast overdue slots follow each other: at most `factor` times the schedule's
    /// rate, so that a server that has just come back is not run over.
    #[must_use]
    pub fn catching_up_at_most(mut self, factor: f64) -> Self {
        self.catch_up_factor = factor;
        self
    }

    /// Gives up the oldest rows that are due, so that at most `backlog_rows` are overdue. Returns
    /// the first of them and how many; none where there is no schedule.
    pub fn shed(&mut self, backlog_rows: u64, stop: &Stop) -> Option<(u64, u64)> {
        let now = Instant::now();
        let until = stop.end().map_or(now, |end| end.min(now));
        let until_ns = self.offset_ns(until);
        let Mode::Open { schedule, .. } = &self.mode else { return None };
        let due = schedule.rows_before(until_ns);
        let excess = due.saturating_sub(self.next_row).saturating_sub(backlog_rows);
        if excess == 0 {
            return None;
        }
        let first = self.next_row;
        self.next_row += excess;
        Some((first, excess))
    }

    /// Has the next batch be a shorter one, as the first is: lanes that go on together after an outage
    /// would go on in step.
    pub fn resumes(&mut self) {
        if let Mode::Open { resumed, .. } = &mut self.mode {
            *resumed = Some(self.next_row);
        }
    }

    /// The next slot, or `None` when everything due before the end was handed out.
    ///
    /// Safe to cancel: nothing is taken until the wait is over.
    ///
    /// # Errors
    /// When the kernel timer fails.
    pub async fn next(&mut self, stop: &Stop) -> io::Result<Option<Slot>> {
        loop {
            // Before the look: what was asked for by then moves nothing any more.
            let is_asked = stop.is_asked();
            let Some((rows, due, measured)) = self.upcoming(stop) else { return Ok(None) };
            let held_until = self.held_until;
            let ready = due.max(held_until);
            if ready > Instant::now() {
                // A stop moves the edge that the batch was cut at: look again.
                tokio::select! {
                    biased;
                    () = stop.asked(), if !is_asked => continue,
                    slept = self.timer.sleep_until(ready) => slept?,
                }
            }
            let slot = Slot { first_row: self.next_row, rows, due, held_until, measured };
            self.next_row += rows;
            self.hold_back(&slot);
            return Ok(Some(slot));
        }
    }

    /// Whether the next slot is due already.
    pub fn is_behind(&self, stop: &Stop) -> bool {
        // Without a schedule the next slot is due at the moment of asking, so ask first.
        let due = self.upcoming(stop).map(|(_, due, _)| due.max(self.held_until));
        due.is_some_and(|due| due <= Instant::now())
    }

    /// Works out when the slot after `slot` may come, if both are overdue.
    fn hold_back(&mut self, slot: &Slot) {
        if let Mode::Open { schedule, .. } = &self.mode {
            let next = slot.first_row + slot.rows;
            let span_ns = schedule.due_ns(next).saturating_sub(schedule.due_ns(slot.first_row));
            let span = Duration::from_nanos((span_ns as f64 / self.catch_up_factor) as u64);
            self.held_until = Instant::now().max(self.held_until) + span;
        }
    }

    fn upcoming(&self, stop: &Stop) -> Option<(u64, Instant, bool)> {
        match &self.mode {
            Mode::Open { schedule, measured, resumed } => {
                let end_ns = stop.end().map_or(u64::MAX, |end| self.offset_ns(end));
                let measure_ns = ns(self.measure_after);
                let row = self.next_row;
                let is_measured = row >= *measured;
                // No batch straddles the end of the warm-up: each row is on one side of it.
                let edge_ns = if is_measured { end_ns } else { end_ns.min(measure_ns) };
                let opening = if row == *measured {
                    Some(schedule.events_before(measure_ns))
                } else {
                    (row == 0 || *resumed == Some(row)).then(|| schedule.first_event(row))
                };
                let batch = schedule.batch(row, edge_ns, opening)?;
                Some((batch.rows, self.start + Duration::from_nanos(batch.due_ns), is_measured))
            }
            Mode::Closed { rows } => {
                let now = Instant::now().max(self.start);
                let measured = now >= self.start + self.measure_after;
                stop.end().is_none_or(|end| now < end).then_some((rows.get(), now, measured))
            }
        }
    }

    /// Rows handed out so far; also the sequence number of the next one.
    pub fn handed_out(&self) -> u64 {
        self.next_row
    }

    /// Rows due before the end that were never handed out.
    pub fn left(&self, stop: &Stop) -> u64 {
        match (&self.mode, stop.end()) {
            (Mode::Open { schedule, .. }, Some(end)) => {
                schedule.rows_before(self.offset_ns(end)).saturating_sub(self.next_row)
            }
            _ => 0,
        }
    }

    /// When a row is due; `None` where there is no schedule.
    pub fn due(&self, row: u64) -> Option<Instant> {
        match &self.mode {
            Mode::Open { schedule, .. } => {
                Some(self.start + Duration::from_nanos(schedule.due_ns(row)))
            }
            Mode::Closed { .. } => None,
        }
    }

    /// Those of `rows` rows from `first` on that belong to the measurement: the first, and how many.
    /// `None` without any, or without a schedule.
    pub fn measured(&self, first: u64, rows: u64) -> Option<(u64, u64)> {
        let Mode::Open { measured, .. } = &self.mode else { return None };
        let from = first.max(*measured);
        let rows = (first + rows).saturating_sub(from);
        (rows > 0).then_some((from, rows))
    }

    /// Whether the warm-up is over at this moment.
    pub fn is_measuring(&self, at: Instant) -> bool {
        at >= self.start + self.measure_after
    }

    /// The due times of the slot's rows in microseconds, from the origin of `start`.
    pub fn due_times(&self, slot: &Slot) -> DueTimes {
        match &self.mode {
            Mode::Open { schedule, .. } => schedule.due_times(slot.first_row),
            Mode::Closed { .. } => {
                let since = slot.due.saturating_duration_since(self.start);
                DueTimes::constant(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }

    /// How long before the slot itself its first and its last row were due.
    pub fn row_lead(&self, slot: &Slot) -> (Duration, Duration) {
        match &self.mode {
            Mode::Open { schedule, .. } => {
                let lead = |row| {
                    let due = self.start + Duration::from_nanos(schedule.due_ns(row));
                    slot.due.saturating_duration_since(due)
                };
                (lead(slot.first_row), lead(slot.first_row + slot.rows - 1))
            }
            Mode::Closed { .. } => (Duration::ZERO, Duration::ZERO),
        }
    }

    fn offset_ns(&self, at: Instant) -> u64 {
        ns(at.saturating_duration_since(self.start))
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::{Course, Rate};

    fn nz(value: u64) -> NonZeroU64 {
        NonZeroU64::new(value).unwrap()
    }

    fn pacer(rate: u64, batch_rows: u64, measure_after_s: u64) -> Pacer {
        let course = Course::even(Rate::per_second(nz(rate)));
        let linger = Duration::from_secs(3_600);
        let schedule = Schedule::new(course, 0, nz(1), nz(batch_rows), linger);
        Pacer::open(schedule, Instant::now(), Duration::from_secs(measure_after_s), Timer::Wheel)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_charged_to_the_server_not_dropped() {
        let mut pacer = pacer(1, 1, 0);
        let stop = Stop::at(Some(Instant::now() + Duration::from_secs(10)));
        let mut late_s = Vec::new();
        while let Some(slot) = pacer.next(&stop).await.unwrap() {
            late_s.push(slot.due.elapsed().as_secs());
            if slot.first_row == 2 {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
        assert_eq!(late_s, [0, 0, 0, 4, 3, 2, 1, 0, 0, 0]);
        assert_eq!((pacer.handed_out(), pacer.left(&stop)), (10, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_hands_out_what_was_due_and_no_more() {
        let mut pacer = pacer(10, 100, 0);
        let stop = Stop::at(None);
        let asked = tokio::time::sleep(Duration::from_millis(1_050));
        let (slot, ()) = tokio::join!(pacer.next(&stop), async {
            asked.await;
            stop.now();
        });
        let slot = slot.unwrap().unwrap();
        assert_eq!((slot.first_row, slot.rows), (0, 11), "rows due at 0.0, 0.1 … 1.0 s");
        assert_eq!(pacer.next(&stop).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn overdue_slots_are_held_back_after_a_stop_too_without_a_busy_wait() {
        let mut pacer = pacer(10, 1, 0).catching_up_at_most(2.0);
        let stop = Stop::at(None);
        pacer.next(&stop).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.now();
        let (mut slots, began) = (0, Instant::now());
        while pacer.next(&stop).await.unwrap().is_some() {
            slots += 1;
        }
        // Time that is paused goes on only when nobody is busy.
        assert_eq!((slots, began.elapsed().as_millis()), (9, 400));
    }

    #[tokio::test(start_paused = true)]
    async fn no_batch_straddles_the_warm_up() {
        let mut pacer = pacer(10, 7, 1);
        let stop = Stop::at(Some(Instant::now() + Duration::from_secs(2)));
        let (mut warmup, mut measured) = (0, 0);
        while let Some(slot) = pacer.next(&stop).await.unwrap() {
            *(if slot.measured { &mut measured } else { &mut warmup }) += slot.rows;
            assert_eq!(slot.measured, slot.first_row >= 10);
        }
        assert_eq!((warmup, measured), (10, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn producers_commit_in_turn_after_the_warm_up_and_after_an_outage() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let stop = Stop::at(Some(at(20_000)));
        let lane = async |lane| {
            let linger = Duration::from_millis(100);
            let course = Course::even(Rate::per_second(nz(3_000)));
            let schedule = Schedule::new(course, lane, nz(3), nz(100), linger);
            let mut pacer =
                Pacer::open(schedule, start, Duration::from_millis(1_550), Timer::Wheel);
            let mut due = Vec::new();
            while let Some(slot) = pacer.next(&stop).await.unwrap() {
                due.push(slot.due);
                if (at(5_000)..at(5_100)).contains(&slot.due) {
                    tokio::time::sleep_until(at(10_000)).await;
                    pacer.shed(1_000, &stop).unwrap();
                    pacer.resumes();
                }
            }
            due
        };
        let due = tokio::join!(lane(0), lane(1), lane(2));
        let mut due = [due.0, due.1, due.2].concat();
        due.sort_unstable();
        for part in [0..1_500, 1_700..5_000, 9_200..19_900] {
            let ends = due.iter().filter(|due| (at(part.start)..at(part.end)).contains(due));
            let ends: Vec<&Instant> = ends.collect();
            assert!(ends.len() > 30);
            for pair in ends.windows(2) {
                let gap_ms = pair[1].duration_since(*pair[0]).as_micros() as f64 / 1e3;
                assert!((32.0..35.0).contains(&gap_ms), "{gap_ms} ms after {part:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn overdue_slots_follow_at_the_bounded_rate_and_say_so() {
        let mut pacer = pacer(1, 1, 0).catching_up_at_most(4.0);
        let start = Instant::now();
        let stop = Stop::at(Some(start + Duration::from_secs(8)));
        pacer.next(&stop).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut sent_ms = Vec::new();
        while let Some(slot) = pacer.next(&stop).await.unwrap() {
            sent_ms.push(start.elapsed().as_millis());
            assert!(slot.held_until <= Instant::now());
        }
        // The wheel of Tokio's paused clock ticks in whole milliseconds.
        assert_eq!(sent_ms, [5_000, 5_250, 5_500, 5_750, 6_000, 6_250, 7_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_beyond_its_bound_loses_its_oldest_rows() {
        let mut pacer = pacer(10, 1, 0);
        let stop = Stop::at(None);
        pacer.next(&stop).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(pacer.shed(20, &stop), Some((1, 29)));
        assert_eq!(pacer.shed(20, &stop), None);
        assert_eq!(pacer.next(&stop).await.unwrap().unwrap().first_row, 30);
    }

    #[tokio::test]
    async fn without_a_schedule_the_next_slot_always_follows_at_once() {
        let start = Instant::now();
        let pacer = Pacer::closed(nz(100), start, Duration::ZERO, Timer::Wheel);
        assert!((0..1_000).all(|_| pacer.is_behind(&Stop::at(None))));
        assert!(!pacer.is_behind(&Stop::at(Some(start))));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_are_never_handed_out_are_known() {
        let mut pacer = pacer(10, 1, 0);
        let stop = Stop::at(Some(Instant::now() + Duration::from_secs(2)));
        pacer.next(&stop).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(stop.is_over());
        assert_eq!(pacer.left(&stop), 19);
    }
}
