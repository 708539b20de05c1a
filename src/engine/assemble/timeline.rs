//! The run over time in bounded memory: when there are too many points, neighbours are merged.
//!
//! Percentiles of merged points stay right, because each point keeps its response times as a
//! sketch with logarithmic buckets (as in DDSketch: Masson, Rim, Lee 2019), and sketches add up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::{Interval, Phase, Times};
use crate::result::stream::IntervalReport;

/// More points than this are halved.
const POINTS_MAX: usize = 600;
/// Ratio of neighbouring buckets: values are right to 1 %.
const GAMMA: f64 = 1.02;

/// The points of a run.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timeline {
    points: Vec<Point>,
    /// How many ticks make a point by now.
    ticks_per_point: u32,
    ticks_in_last: u32,
}

#[derive(Debug)]
struct Point {
    start: Duration,
    length: Duration,
    phase: Phase,
    rows_due: u64,
    rows_acknowledged: u64,
    backlog_rows: u64,
    batches_late: u64,
    queries: u64,
    errors: u64,
    response: Sketch,
    query_response: Sketch,
}

/// Counts by logarithmic bucket.
#[derive(Debug, Default)]
struct Sketch(BTreeMap<i16, u64>);

impl Timeline {
    /// Adds what happened in a tick.
    pub(in crate::engine) fn add(&mut self, interval: &Interval) {
        let point = Point::new(interval);
        self.ticks_per_point = self.ticks_per_point.max(1);
        match self.points.last_mut() {
            Some(last)
                if self.ticks_in_last < self.ticks_per_point && last.phase == point.phase =>
            {
                last.append(point);
                self.ticks_in_last += 1;
            }
            _ => {
                self.points.push(point);
                self.ticks_in_last = 1;
            }
        }
        if self.points.len() > POINTS_MAX {
            self.halve();
        }
    }

    /// The points so far.
    pub(in crate::engine) fn reports(&self) -> Vec<IntervalReport> {
        self.points.iter().map(Point::report).collect()
    }

    fn halve(&mut self) {
        let points = std::mem::take(&mut self.points);
        for point in points {
            match self.points.last_mut() {
                Some(last)
                    if last.length < point.length + point.length / 2
                        && last.phase == point.phase =>
                {
                    last.append(point);
                }
                _ => self.points.push(point),
            }
        }
        self.ticks_per_point *= 2;
        self.ticks_in_last = self.ticks_per_point;
    }
}

impl Point {
    fn new(interval: &Interval) -> Self {
        let mut point = Self {
            start: interval.start,
            length: interval.length,
            phase: interval.phase,
            rows_due: 0,
            rows_acknowledged: 0,
            backlog_rows: 0,
            batches_late: 0,
            queries: 0,
            errors: 0,
            response: Sketch::default(),
            query_response: Sketch::default(),
        };
        for partition in &interval.partitions {
            point.rows_due += partition.rows_due;
            point.rows_acknowledged += partition.tally.rows_acknowledged;
            point.backlog_rows += partition.backlog_rows;
            point.batches_late += partition.tally.batches_late;
            point.errors += partition.tally.errors.values().sum::<u64>();
            point.response.add(&partition.tally.batch.response);
        }
        for query in &interval.queries {
            point.queries += query.executions;
            point.errors += query.errors.values().sum::<u64>();
            point.query_response.add(&query.times.response);
        }
        point
    }

    fn append(&mut self, next: Self) {
        self.length = (next.start + next.length).saturating_sub(self.start);
        self.rows_due += next.rows_due;
        self.rows_acknowledged += next.rows_acknowledged;
        self.backlog_rows = next.backlog_rows;
        self.batches_late += next.batches_late;
        self.queries += next.queries;
        self.errors += next.errors;
        self.response.merge(next.response);
        self.query_response.merge(next.query_response);
    }

    fn report(&self) -> IntervalReport {
        IntervalReport {
            start_s: self.start.as_secs_f64(),
            length_s: self.length.as_secs_f64(),
            phase: self.phase,
            rows_due: self.rows_due,
            rows_acknowledged: self.rows_acknowledged,
            backlog_rows: self.backlog_rows,
            batches_late: self.batches_late,
            response_p50_ms: self.response.quantile_ms(0.5),
            response_p99_ms: self.response.quantile_ms(0.99),
            response_max_ms: self.response.quantile_ms(1.0),
            queries: self.queries,
            query_p50_ms: self.query_response.quantile_ms(0.5),
            query_p99_ms: self.query_response.quantile_ms(0.99),
            errors: self.errors,
        }
    }
}

impl Sketch {
    fn add(&mut self, times: &Times) {
        for (upper_s, count) in times.buckets() {
            let ns = (upper_s * 1e9).max(1.0);
            *self.0.entry((ns.ln() / GAMMA.ln()).round() as i16).or_default() += count;
        }
    }

    fn merge(&mut self, other: Self) {
        for (bucket, count) in other.0 {
            *self.0.entry(bucket).or_default() += count;
        }
    }

    fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let count: u64 = self.0.values().sum();
        let wanted = (quantile * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.0.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= wanted).then(|| GAMMA.powi(i32::from(*bucket)) / 1e6)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PartitionInterval, StreamTally};

    fn tick(number: u64) -> Interval {
        let mut tally = StreamTally { rows_acknowledged: 10, ..StreamTally::default() };
        tally.batch.response.record(Duration::from_millis(number % 100 + 1));
        Interval {
            start: Duration::from_secs(number),
            length: Duration::from_secs(1),
            phase: Phase::Measure,
            gpus: Vec::new(),
            partitions: vec![PartitionInterval { rows_due: 10, backlog_rows: 3, tally }],
            queries: Vec::new(),
            pairs: Vec::new(),
        }
    }

    #[test]
    fn a_long_run_keeps_every_row_and_right_percentiles_in_bounded_points() {
        let mut timeline = Timeline::default();
        (0..20_000).for_each(|number| timeline.add(&tick(number)));
        let points = timeline.reports();
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 3, "{}", points.len());
        assert_eq!(points.iter().map(|point| point.rows_acknowledged).sum::<u64>(), 200_000);
        let end = points.iter().fold(0.0, |end, point| {
            assert!((point.start_s - end).abs() < 1e-9, "no gap at {end}");
            point.start_s + point.length_s
        });
        assert!((end - 20_000.0).abs() < 1e-6);
        let p50 = timeline.points.iter().fold(Sketch::default(), |mut all, point| {
            all.merge(Sketch(point.response.0.clone()));
            all
        });
        let p50 = p50.quantile_ms(0.5).unwrap();
        assert!((p50 - 50.0).abs() < 1.0, "{p50}");
    }
}
