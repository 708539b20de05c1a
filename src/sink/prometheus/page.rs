//! The metrics page: every series with its value, and the one encoder of Prometheus' text format
//! 0.0.4 for all of them.
//!
//! Histograms are kept as bucket counts, so a page that nobody scrapes does not grow.

use std::fmt::Write as _;

use crate::metric::{self, Metric, MetricKind};
use crate::record::Times;

/// All series, by metric in the order of the table of metrics.
pub(super) struct Page(Vec<Family>);

/// The series of a metric.
struct Family {
    metric: Metric,
    series: Vec<Series>,
}

struct Series {
    /// `name="value",…`, escaped.
    labels: String,
    value: Value,
}

enum Value {
    /// A counter or a gauge; one without a value is not on the page.
    Number(Option<f64>),
    /// Cumulative since the start: counts by bucket, the last one unbounded.
    Histogram { buckets: Box<[u64]>, sum_s: f64 },
}

/// A series of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesId {
    family: usize,
    series: usize,
}

impl Page {
    /// A page of all metrics, without any series.
    pub(super) fn new() -> Self {
        let family = |metric: &Metric| Family { metric: *metric, series: Vec::new() };
        Self(metric::ALL.iter().map(family).collect())
    }

    /// The series of a metric with these values of its labels; made at 0 if there is none.
    pub(super) fn series(&mut self, metric: Metric, values: &[&str]) -> SeriesId {
        debug_assert_eq!(metric.labels.len(), values.len());
        let pairs = metric.labels.iter().zip(values);
        let labels: Vec<String> =
            pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = labels.join(",");
        // Every metric is in the table: the macro that makes it puts it there.
        let family = self.0.iter().position(|family| family.metric == metric).unwrap_or_default();
        let all = &mut self.0[family].series;
        let series = all.iter().position(|series| series.labels == labels).unwrap_or_else(|| {
            let value = match metric.kind {
                MetricKind::Counter | MetricKind::Gauge => Value::Number(Some(0.0)),
                MetricKind::Histogram => {
                    let bounded = metric.buckets_s().len();
                    Value::Histogram { buckets: vec![0; bounded + 1].into(), sum_s: 0.0 }
                }
            };
            all.push(Series { labels, value });
            all.len() - 1
        });
        SeriesId { family, series }
    }

    fn value(&mut self, id: SeriesId) -> &mut Value {
        &mut self.0[id.family].series[id.series].value
    }

    /// Adds to a counter.
    pub(super) fn add(&mut self, id: SeriesId, more: u64) {
        if let Value::Number(number) = self.value(id) {
            *number = Some(number.unwrap_or(0.0) + more as f64);
        }
    }

    /// Sets a counter or a gauge; `None` takes it off the page.
    pub(super) fn set(&mut self, id: SeriesId, value: Option<f64>) {
        if let Value::Number(number) = self.value(id) {
            *number = value;
        }
    }

    /// Adds durations to a histogram.
    pub(super) fn observe(&mut self, id: SeriesId, times: &Times) {
        let bounds = self.0[id.family].metric.buckets_s();
        if let Value::Histogram { buckets, sum_s } = self.value(id) {
            for (upper_s, count) in times.buckets() {
                buckets[bounds.partition_point(|bound| *bound < upper_s)] += count;
            }
            *sum_s += times.sum_s();
        }
    }

    /// The text that a scrape gets.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for family in &self.0 {
            family.render(&mut out);
        }
        out
    }

    /// Bytes that the series take, for a test of their growth.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let all = self.0.iter().flat_map(|family| &family.series);
        all.map(|series| size_of::<Series>() + series.labels.capacity()).sum()
    }
}

impl Family {
    fn render(&self, out: &mut String) {
        let Metric { name, help, kind, .. } = self.metric;
        let bounds = self.metric.buckets_s();
        let shown = |series: &&Series| !matches!(series.value, Value::Number(None));
        let mut series = self.series.iter().filter(shown).peekable();
        if series.peek().is_none() {
            return;
        }
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for Series { labels, value } in series {
            match value {
                Value::Number(value) => {
                    let value = value.unwrap_or_default();
                    let _ = match labels.is_empty() {
                        true => writeln!(out, "{name} {value}"),
                        false => writeln!(out, "{name}{{{labels}}} {value}"),
                    };
                }
                Value::Histogram { buckets, sum_s } => {
                    let mut below = 0;
                    let bounds = bounds.iter().map(ToString::to_string);
                    let bounds = bounds.chain(["+Inf".to_owned()]);
                    for (bound, bucket) in bounds.zip(buckets) {
                        below += bucket;
                        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
                    }
                    let _ = writeln!(out, "{name}_sum{{{labels}}} {sum_s}");
                    let _ = writeln!(out, "{name}_count{{{labels}}} {below}");
                }
            }
        }
        out.push('\n');
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// `histogram_quantile` as Prometheus does it on a page: linear within a bucket, the last bound
    /// for what lies beyond.
    fn histogram_quantile(quantile: f64, page: &str, name: &str) -> f64 {
        let buckets: Vec<(f64, f64)> = page
            .lines()
            .filter(|line| line.starts_with(&format!("{name}_bucket")))
            .map(|line| {
                let (labels, count) = line.rsplit_once(' ').unwrap();
                let bound = labels.split("le=\"").nth(1).unwrap().trim_end_matches("\"}");
                (bound.parse().unwrap_or(f64::INFINITY), count.parse().unwrap())
            })
            .collect();
        let rank = quantile * buckets.last().unwrap().1;
        let at = buckets.iter().position(|(_, below)| *below >= rank).unwrap();
        let (upper, below) = buckets[at];
        if upper.is_infinite() {
            return buckets[at - 1].0;
        }
        let (lower, before) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
        lower + (upper - lower) * (rank - before) / (below - before)
    }

    /// Share by which the quantile of these durations is off that Prometheus reads from the page.
    fn off(quantile: f64, seconds: &mut [f64]) -> f64 {
        let mut page = Page::new();
        let id = page.series(metric::ROW_LATENCY, &["0"]);
        let mut times = Times::default();
        seconds.iter().for_each(|s| times.record(Duration::from_secs_f64(*s)));
        page.observe(id, &times);
        seconds.sort_unstable_by(f64::total_cmp);
        let rank = (quantile * seconds.len() as f64).ceil().max(1.0) as usize;
        let truth = seconds[rank - 1];
        let read = histogram_quantile(quantile, &page.render(), metric::ROW_LATENCY.name);
        (read / truth - 1.0).abs()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_quantile_of_anything_is_a_tenth_off_at_most(
            exponents in prop::collection::vec(-4.0..1.778_f64, 1..300),
            ties in 1_usize..5,
            quantile in prop::sample::select(vec![0.01, 0.5, 0.9, 0.99, 0.999, 1.0]),
        ) {
            let mut seconds = exponents.iter().map(|of| 10_f64.powf(*of)).collect::<Vec<_>>().repeat(ties);
            let off = off(quantile, &mut seconds);
            // A step of the bounds, their four digits, and the three of the histogram behind them.
            prop_assert!(off < 0.103, "{off}");
        }

        #[test]
        fn a_quantile_of_what_is_smooth_is_a_twentieth_off_at_most(
            median in -3.0..0.5_f64, spread in 0.05..0.5_f64,
            quantile in prop::sample::select(vec![0.5, 0.9, 0.99]),
            is_exponential in any::<bool>(),
        ) {
            let count = 2_000;
            let median = 10_f64.powf(median);
            let value = |i: i32| {
                let p = (f64::from(i) + 0.5) / f64::from(count);
                // Both have a closed quantile function. The second is a log-normal's near kin.
                median * match is_exponential {
                    true => 1.0 - (1.0 - p).ln(),
                    false => ((p / (1.0 - p)).ln() * spread / 1.7).exp(),
                }
            };
            let mut seconds: Vec<f64> = (0..count).map(value).collect();
            let off = off(quantile, &mut seconds);
            prop_assert!(off < 0.05, "{off}");
        }
    }

    #[test]
    fn every_bound_is_a_tenth_above_the_last() {
        let bounds = metric::BATCH_RESPONSE.buckets_s();
        assert_eq!((bounds.len(), bounds[0], bounds[139]), (140, 0.0001, 60.0));
        for pair in bounds.windows(2) {
            assert!((1.099..1.102).contains(&(pair[1] / pair[0])), "{pair:?}");
        }
    }

    #[test]
    fn each_kind_is_written_as_the_format_wants_it() {
        let mut page = Page::new();
        let hostile = page.series(metric::INFO, &["1.0", "a\"b\\c\nd", "0190-run", "17"]);
        page.set(hostile, Some(1.0));
        let seconds = page.series(metric::PROCESS_CPU, &[]);
        page.set(seconds, Some(0.125));
        let rows = page.series(metric::ROWS_SENT, &["0"]);
        page.add(rows, 3_000_000_000);
        let gone = page.series(metric::BACKLOG, &["0"]);
        page.set(gone, Some(1.0));
        page.set(gone, None);
        insta::assert_snapshot!(page.render());
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let mut page = Page::new();
        let id = page.series(metric::BATCH_RESPONSE, &["0"]);
        let mut times = Times::default();
        for micros in [1, 100, 100_000_000] {
            times.record(Duration::from_micros(micros));
        }
        page.observe(id, &times);
        page.observe(id, &times);
        let text = page.render();
        let count = |le: &str| {
            let line = text.lines().find(|line| line.contains(&format!("le=\"{le}\""))).unwrap();
            line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
        };
        // Beyond the last bound it is in the unbounded bucket alone.
        let last = metric::BATCH_RESPONSE.buckets_s().last().unwrap().to_string();
        assert_eq!((count(&last), count("+Inf")), (4, 6), "{text}");
        assert!(text.contains("strom_load_batch_response_seconds_count{partition=\"0\"} 6\n"));
    }
}
