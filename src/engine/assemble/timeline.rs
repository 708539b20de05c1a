//! The run over time in bounded memory: when there are too many points, neighbours are merged.
//!
//! Percentiles of merged points stay right, because histograms add up. One of a second takes 200 KB
//! while it can grow, so only the last point's can: those of the others are packed, into a hundredth
//! of that.

use std::time::Duration;

use crate::record::{Interval, PackedTimes, Times};
use crate::result::stream::IntervalReport;

/// More points than this are halved.
const POINTS_MAX: usize = 600;

/// The points of a run.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timeline {
    /// All but the last.
    points: Vec<Point>,
    last: Option<Growing>,
    /// How many ticks make a point by now.
    ticks_per_point: u32,
    ticks_in_last: u32,
}

/// A point that takes more ticks.
#[derive(Debug)]
struct Growing {
    start: Duration,
    length: Duration,
    /// All but the percentiles.
    figures: IntervalReport,
    response: Times,
    query_response: Times,
}

/// A point that is over.
#[derive(Debug)]
struct Point {
    start: Duration,
    length: Duration,
    report: IntervalReport,
    response: PackedTimes,
    query_response: PackedTimes,
}

impl Timeline {
    /// Adds what happened in a tick.
    pub(in crate::engine) fn add(&mut self, interval: &Interval) {
        let tick = Growing::of(interval);
        self.ticks_per_point = self.ticks_per_point.max(1);
        match &mut self.last {
            Some(last)
                if self.ticks_in_last < self.ticks_per_point
                    && last.figures.phase == tick.figures.phase =>
            {
                last.append(&tick);
                self.ticks_in_last += 1;
            }
            _ => {
                self.points.extend(self.last.replace(tick).map(Growing::pack));
                self.ticks_in_last = 1;
            }
        }
        if self.points.len() >= POINTS_MAX {
            self.halve();
        }
    }

    /// The points so far.
    pub(in crate::engine) fn reports(&self) -> Vec<IntervalReport> {
        let over = self.points.iter().map(|point| point.report.clone());
        over.chain(self.last.as_ref().map(Growing::report)).collect()
    }

    fn halve(&mut self) {
        let mut halved: Vec<Point> = Vec::with_capacity(POINTS_MAX);
        for point in std::mem::take(&mut self.points) {
            match halved.pop() {
                Some(last)
                    if last.length < point.length + point.length / 2
                        && last.report.phase == point.report.phase =>
                {
                    let mut both = last.unpack();
                    both.append(&point.unpack());
                    halved.push(both.pack());
                }
                last => halved.extend(last.into_iter().chain([point])),
            }
        }
        self.points = halved;
        self.ticks_per_point *= 2;
        self.ticks_in_last = self.ticks_per_point;
    }
}

impl Growing {
    fn of(interval: &Interval) -> Self {
        let mut figures = IntervalReport {
            start_s: 0.0,
            length_s: 0.0,
            phase: interval.phase,
            target_rows_per_s: interval.target_rows_per_s,
            rows_due: 0,
            rows_acknowledged: 0,
            backlog_rows: 0,
            batches_late: 0,
            response_p50_ms: None,
            response_p99_ms: None,
            response_max_ms: None,
            queries: 0,
            query_p50_ms: None,
            query_p99_ms: None,
            errors: 0,
        };
        let (mut response, mut query_response) = (Times::default(), Times::default());
        for lane in &interval.lanes {
            figures.rows_due += lane.rows_due;
            figures.rows_acknowledged += lane.tally.rows_acknowledged;
            figures.backlog_rows += lane.backlog_rows;
            figures.batches_late += lane.tally.batches_late;
            figures.errors += lane.tally.errors.values().sum::<u64>();
            response.merge(&lane.tally.batch.response);
        }
        for query in &interval.queries {
            figures.queries += query.executions;
            figures.errors += query.errors.values().sum::<u64>();
            query_response.merge(&query.times.response);
        }
        let Interval { start, length, .. } = *interval;
        Self { start, length, figures, response, query_response }
    }

    fn append(&mut self, next: &Self) {
        let weighed = |point: &Self| Some((point.figures.target_rows_per_s?, point.length));
        self.figures.target_rows_per_s = match (weighed(self), weighed(next)) {
            (Some((own, length)), Some((other, more))) => {
                let share = more.as_secs_f64() / (length + more).as_secs_f64().max(1e-9);
                Some(((own + (other - own) * share) * 1e3).round() / 1e3)
            }
            (own, other) => own.or(other).map(|(target, _)| target),
        };
        self.length = (next.start + next.length).saturating_sub(self.start);
        self.figures.rows_due += next.figures.rows_due;
        self.figures.rows_acknowledged += next.figures.rows_acknowledged;
        self.figures.backlog_rows = next.figures.backlog_rows;
        self.figures.batches_late += next.figures.batches_late;
        self.figures.queries += next.figures.queries;
        self.figures.errors += next.figures.errors;
        self.response.merge(&next.response);
        self.query_response.merge(&next.query_response);
    }

    fn report(&self) -> IntervalReport {
        let (response, query) = (self.response.percentiles(), self.query_response.percentiles());
        IntervalReport {
            start_s: self.start.as_secs_f64(),
            length_s: self.length.as_secs_f64(),
            response_p50_ms: response.map(|p| p.p50_ms),
            response_p99_ms: response.map(|p| p.p99_ms),
            response_max_ms: response.map(|p| p.max_ms),
            query_p50_ms: query.map(|p| p.p50_ms),
            query_p99_ms: query.map(|p| p.p99_ms),
            ..self.figures.clone()
        }
    }

    fn pack(self) -> Point {
        Point {
            start: self.start,
            length: self.length,
            report: self.report(),
            response: self.response.pack(),
            query_response: self.query_response.pack(),
        }
    }
}

impl Point {
    fn unpack(self) -> Growing {
        Growing {
            start: self.start,
            length: self.length,
            figures: self.report,
            response: self.response.unpack(),
            query_response: self.query_response.unpack(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LaneInterval, Phase, ReaderTally, StreamTally};

    fn tick(number: u64) -> Interval {
        let mut tally = StreamTally { rows_acknowledged: 10, ..StreamTally::default() };
        tally.batch.response.record(Duration::from_millis(number % 100 + 1));
        Interval {
            start: Duration::from_secs(number),
            length: Duration::from_secs(1),
            phase: Phase::Measure,
            gpus: Vec::new(),
            target_rows_per_s: Some(number as f64),
            lanes: vec![LaneInterval { rows_due: 10, backlog_rows: 3, tally }],
            queries: Vec::new(),
            pairs: Vec::new(),
            queries_due: ReaderTally::default(),
        }
    }

    #[test]
    fn a_long_run_keeps_every_row_and_right_percentiles_in_bounded_points() {
        let mut timeline = Timeline::default();
        (0..2_000).for_each(|number| timeline.add(&tick(number)));
        let points = timeline.reports();
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 3, "{}", points.len());
        assert_eq!(points.iter().map(|point| point.rows_acknowledged).sum::<u64>(), 20_000);
        let end = points.iter().fold(0.0, |end, point| {
            assert!((point.start_s - end).abs() < 1e-9, "no gap at {end}");
            point.start_s + point.length_s
        });
        assert!((end - 2_000.0).abs() < 1e-6);
        for point in &points {
            let mean = point.start_s + (point.length_s - 1.0) / 2.0;
            assert!((point.target_rows_per_s.unwrap() - mean).abs() < 0.1, "{point:?}");
        }
        let all = timeline.points.iter().fold(Times::default(), |mut all, point| {
            all.merge(&point.response.clone().unpack());
            all
        });
        let p50 = all.percentiles().unwrap().p50_ms;
        assert!((p50 - 50.0).abs() < 0.1, "{p50}");
    }

    #[test]
    fn the_points_of_a_long_run_fit_into_little_memory() {
        let mut timeline = Timeline::default();
        for number in 0..2 * POINTS_MAX as u64 {
            let mut interval = tick(number);
            // Some hundred times of all sizes from 0.1 ms to 10 s in each of both.
            let mut times = Times::default();
            for value in 0..300_u32 {
                let micros = 100.0 * 1.039_f64.powi((value as i32 * 7 + number as i32) % 300);
                times.record(Duration::from_micros(micros as u64));
            }
            interval.lanes[0].tally.batch.response.merge(&times);
            interval.queries = vec![crate::record::QueryTally::default()];
            interval.queries[0].times.response.merge(&times);
            timeline.add(&interval);
        }
        let bytes = |point: &Point| point.response.bytes() + point.query_response.bytes();
        let bytes: usize = timeline.points.iter().map(bytes).sum();
        assert!(bytes < 1 << 20, "{bytes} bytes in {} points", timeline.points.len());
    }
}
