//! The metrics page: every series with its value, and the one encoder of Prometheus' text format
//! 0.0.4 for all of them.
//!
//! Histograms are kept as bucket counts, so a page that nobody scrapes does not grow.

use std::fmt::Write as _;

use crate::metric::{self, BUCKETS_S, Kind, Metric};
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
                Kind::Counter | Kind::Gauge => Value::Number(Some(0.0)),
                Kind::Histogram => {
                    Value::Histogram { buckets: vec![0; BUCKETS_S.len() + 1].into(), sum_s: 0.0 }
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
        if let Value::Histogram { buckets, sum_s } = self.value(id) {
            for (upper_s, count) in times.buckets() {
                buckets[BUCKETS_S.partition_point(|bound| *bound < upper_s)] += count;
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
        let shown = |series: &&Series| !matches!(series.value, Value::Number(None));
        let mut series = self.series.iter().filter(shown).peekable();
        if series.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
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
                    let bounds = BUCKETS_S.iter().map(ToString::to_string);
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

    use super::*;

    #[test]
    fn each_kind_is_written_as_the_format_wants_it() {
        let mut page = Page::new();
        let hostile = page.series(metric::INFO, &["1.0", "a\"b\\c\nd", "17"]);
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
        let last = BUCKETS_S[BUCKETS_S.len() - 1].to_string();
        assert_eq!((count(&last), count("+Inf")), (4, 6), "{text}");
        assert!(text.contains("strom_load_batch_response_seconds_count{partition=\"0\"} 6\n"));
    }
}
