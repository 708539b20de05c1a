//! The Prometheus endpoint: counters and gauges through cached handles of the `metrics` crate,
//! fed once a tick, and histograms taken over bucket by bucket from ours.
//!
//! The exporter crate keeps every sample of a histogram until the next scrape or upkeep, which in
//! a soak test nobody scrapes would grow without bound; [`Series`] keeps bucket counts only.

mod gpu;
mod http;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::formatting::sanitize_label_value;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::net::TcpListener;

use crate::metric::{self, BUCKETS_S, Kind, Metric, SQLSTATE_OTHER, SQLSTATES_MAX};
use crate::record::{Interval, Phase, Times};
use crate::result::JobResult;
use crate::strom::evidence::Verdict;
use crate::watch::process;

use gpu::GpuPage;

use super::{Sink, SinkError, Start};

/// Listens, and keeps what a scrape shows.
pub struct Endpoint {
    listener: TcpListener,
    exposition: Arc<Exposition>,
}

impl Endpoint {
    /// Opens the port. Call it before the run: a taken port must not cost one.
    ///
    /// # Errors
    /// When the port is taken or may not be used.
    pub async fn open(address: SocketAddr) -> Result<Self, SinkError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| SinkError::Listen { address: address.to_string(), source })?;
        Ok(Self { listener, exposition: Arc::new(Exposition::new()) })
    }

    /// The address, with the port that the system chose if 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// The sink that feeds it.
    pub fn sink(&self) -> PrometheusSink {
        PrometheusSink { exposition: Arc::clone(&self.exposition), handles: None }
    }

    /// Answers scrapes; never returns.
    pub async fn serve(&self) -> Infallible {
        http::serve(&self.listener, &self.exposition).await
    }
}

/// Everything that a scrape shows.
struct Exposition {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    histograms: Mutex<Vec<Family>>,
    gpus: Mutex<GpuPage>,
    measuring: AtomicBool,
}

struct Family {
    metric: Metric,
    series: Vec<Series>,
}

/// One labelled histogram: cumulative since the start.
struct Series {
    labels: String,
    buckets: Vec<u64>,
    count: u64,
    sum_s: f64,
}

impl Exposition {
    fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        for metric in metric::ALL {
            match metric.kind {
                Kind::Counter => {
                    recorder.describe_counter(metric.name.into(), None, metric.help.into());
                }
                Kind::Gauge => {
                    recorder.describe_gauge(metric.name.into(), None, metric.help.into());
                }
                Kind::Histogram => {}
            }
        }
        let histograms = metric::ALL.iter().filter(|metric| metric.kind == Kind::Histogram);
        let families = histograms.map(|metric| Family { metric: *metric, series: Vec::new() });
        Self {
            recorder,
            handle,
            histograms: Mutex::new(families.collect()),
            gpus: Mutex::default(),
            measuring: AtomicBool::new(false),
        }
    }

    fn counter(&self, metric: Metric, values: &[&str]) -> Counter {
        self.recorder.register_counter(&key(metric, values), &METADATA)
    }

    fn gauge(&self, metric: Metric, values: &[&str]) -> Gauge {
        self.recorder.register_gauge(&key(metric, values), &METADATA)
    }

    fn gpus(&self) -> MutexGuard<'_, GpuPage> {
        self.gpus.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, metric: Metric, index: usize, times: &Times) {
        let mut families = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.iter_mut().find(|family| family.metric == metric);
        if let Some(series) = family.and_then(|family| family.series.get_mut(index)) {
            for (upper_s, count) in times.buckets() {
                let bucket = BUCKETS_S.partition_point(|bound| *bound < upper_s);
                series.buckets[bucket] += count;
                series.count += count;
            }
            series.sum_s += times.sum_s();
        }
    }

    fn add_series(&self, metric: Metric, values: &[&str]) {
        let mut families = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = families.iter_mut().find(|family| family.metric == metric) {
            let pairs = metric.labels.iter().zip(values);
            let labels =
                pairs.map(|(name, value)| format!("{name}=\"{}\"", sanitize_label_value(value)));
            family.series.push(Series {
                labels: labels.collect::<Vec<_>>().join(","),
                buckets: vec![0; BUCKETS_S.len() + 1],
                count: 0,
                sum_s: 0.0,
            });
        }
    }

    /// The text that a scrape gets.
    fn render(&self) -> String {
        let mut out = self.handle.render();
        let cpu = metric::PROCESS_CPU;
        // The crate's counters are whole numbers; CPU seconds are not.
        let _ = write!(
            out,
            "# HELP {0} {1}\n# TYPE {0} counter\n{0} {2}\n",
            cpu.name,
            cpu.help,
            process::cost().cpu_s
        );
        self.gpus().render(&mut out);
        let families = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        for family in families.iter().filter(|family| !family.series.is_empty()) {
            family.render(&mut out);
        }
        out
    }
}

impl Family {
    fn render(&self, out: &mut String) {
        let Metric { name, help, .. } = self.metric;
        // Writing to a String cannot fail.
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} histogram\n");
        for Series { labels, buckets, count, sum_s } in &self.series {
            let mut below = 0;
            for (bound, bucket) in BUCKETS_S.iter().zip(buckets) {
                below += bucket;
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {sum_s}");
            let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
        }
        out.push('\n');
    }
}

static METADATA: Metadata<'static> = Metadata::new(env!("CARGO_PKG_NAME"), Level::INFO, None);

fn key(metric: Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len());
    let pairs = metric.labels.iter().zip(values);
    let labels: Vec<Label> =
        pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

/// Feeds the endpoint.
pub struct PrometheusSink {
    exposition: Arc<Exposition>,
    handles: Option<Handles>,
}

/// Handles looked up once.
struct Handles {
    phases: Vec<(Phase, Gauge)>,
    memory: Gauge,
    partitions: Vec<PartitionHandles>,
    queries: Vec<QueryHandles>,
    /// By query; `None` for one with a single arm.
    pairs: Vec<Option<PairHandles>>,
}

struct PartitionHandles {
    number: String,
    rows_due: Counter,
    rows_sent: Counter,
    rows_acknowledged: Counter,
    rows_dropped: Counter,
    rows_undecided: Counter,
    batches_resent: Counter,
    outages: Counter,
    backlog: Gauge,
    batches: Counter,
    batches_late: Counter,
    bytes: Counter,
    errors: HashMap<String, Counter>,
}

struct QueryHandles {
    query: String,
    arm: String,
    executions: Counter,
    rows: Counter,
    fallback_rows: Counter,
    plan_changes: Counter,
    verdicts: Vec<(&'static str, Gauge)>,
    reconnects: Counter,
    errors: HashMap<String, Counter>,
}

/// Of a query with two arms.
struct PairHandles {
    pairs: Counter,
    same: Counter,
    different: Counter,
    failed: Counter,
}

impl Handles {
    fn new(exposition: &Exposition, start: &Start<'_>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let info = [version, start.profile, start.server.version.as_str()];
        exposition.gauge(metric::INFO, &info).set(1.0);
        let since_epoch = start.started_at.duration_since(SystemTime::UNIX_EPOCH);
        let since_epoch = since_epoch.unwrap_or_default().as_secs_f64();
        exposition.gauge(metric::START_TIME, &[]).set(since_epoch);
        if let Some(rate) = start.stream.and_then(|stream| stream.target_rows_per_s) {
            exposition.gauge(metric::TARGET_RATE, &[]).set(rate as f64);
        }
        let partitions = start.stream.map_or(0, |stream| stream.partitions);
        let partitions = (0..partitions).map(|number| {
            let number = number.to_string();
            let counter = |metric| exposition.counter(metric, &[&number]);
            for metric in PARTITION_HISTOGRAMS {
                exposition.add_series(metric, &[&number]);
            }
            PartitionHandles {
                rows_due: counter(metric::ROWS_DUE),
                rows_sent: counter(metric::ROWS_SENT),
                rows_acknowledged: counter(metric::ROWS_ACKNOWLEDGED),
                rows_dropped: counter(metric::ROWS_DROPPED),
                rows_undecided: counter(metric::ROWS_UNDECIDED),
                batches_resent: counter(metric::BATCHES_RESENT),
                outages: counter(metric::OUTAGES),
                backlog: exposition.gauge(metric::BACKLOG, &[&number]),
                batches: counter(metric::BATCHES),
                batches_late: counter(metric::BATCHES_LATE),
                bytes: counter(metric::COPY_BYTES),
                errors: HashMap::new(),
                number,
            }
        });
        let queries = start.query_arms().map(|(query, arm)| {
            let labels = [query, arm];
            for metric in QUERY_HISTOGRAMS {
                exposition.add_series(metric, &labels);
            }
            let verdict =
                |name| (name, exposition.gauge(metric::QUERY_VERDICT, &[query, arm, name]));
            QueryHandles {
                query: query.to_owned(),
                arm: arm.to_owned(),
                executions: exposition.counter(metric::QUERIES, &labels),
                rows: exposition.counter(metric::QUERY_ROWS, &labels),
                fallback_rows: exposition.counter(metric::FALLBACK_ROWS, &labels),
                plan_changes: exposition.counter(metric::PLAN_CHANGES, &labels),
                verdicts: Verdict::ALL.map(|known| verdict(known.name())).into(),
                reconnects: exposition.counter(metric::RECONNECTS, &labels),
                errors: HashMap::new(),
            }
        });
        let pairs = start.queries.iter().map(|query| {
            if query.arms.len() != 2 {
                return None;
            }
            let query = query.name.as_str();
            let checks = |result| exposition.counter(metric::ANSWER_CHECKS, &[query, result]);
            Some(PairHandles {
                pairs: exposition.counter(metric::PAIRS, &[query]),
                same: checks("same"),
                different: checks("different"),
                failed: checks("failed"),
            })
        });
        let phases = Phase::ALL.map(|p| (p, exposition.gauge(metric::PHASE, &[p.name()])));
        Self {
            phases: phases.into(),
            memory: exposition.gauge(metric::PROCESS_MEMORY, &[]),
            partitions: partitions.collect(),
            queries: queries.collect(),
            pairs: pairs.collect(),
        }
    }
}

/// Adds errors by SQLSTATE, with a series for each of the first [`SQLSTATES_MAX`].
fn count_errors(
    counters: &mut HashMap<String, Counter>,
    errors: &BTreeMap<String, u64>,
    new: impl Fn(&str) -> Counter,
) {
    for (code, count) in errors {
        let full = counters.len() >= SQLSTATES_MAX as usize;
        let code = if full && !counters.contains_key(code) { SQLSTATE_OTHER } else { code };
        let counter = counters.entry(code.to_owned()).or_insert_with(|| new(code));
        counter.increment(*count);
    }
}

const PARTITION_HISTOGRAMS: [Metric; 5] = [
    metric::BATCH_WAIT,
    metric::BATCH_SERVICE,
    metric::BATCH_RESPONSE,
    metric::ROW_LATENCY,
    metric::OUTAGE_SECONDS,
];
const QUERY_HISTOGRAMS: [Metric; 3] =
    [metric::QUERY_SERVICE, metric::QUERY_RESPONSE, metric::ANSWER_AGE];

impl Sink for PrometheusSink {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        self.handles = Some(Handles::new(&self.exposition, start));
        *self.exposition.gpus() = GpuPage::new(start.gpus);
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        let Some(handles) = &mut self.handles else { return Ok(()) };
        let exposition = &self.exposition;
        for (phase, gauge) in &handles.phases {
            gauge.set(f64::from(u8::from(*phase == interval.phase)));
        }
        exposition.measuring.store(interval.phase != Phase::Warmup, Ordering::Relaxed);
        handles.memory.set(process::cost().resident_bytes as f64);
        for (index, (partition, to)) in
            interval.partitions.iter().zip(&mut handles.partitions).enumerate()
        {
            let tally = &partition.tally;
            to.rows_due.increment(partition.rows_due);
            to.rows_sent.increment(tally.rows_sent);
            to.rows_acknowledged.increment(tally.rows_acknowledged);
            to.rows_dropped.increment(tally.account.dropped.rows());
            to.rows_undecided.increment(tally.account.undecided.rows());
            to.batches_resent.increment(tally.batches_resent);
            to.outages.increment(tally.outage.count());
            to.backlog.set(partition.backlog_rows as f64);
            to.batches.increment(tally.batches);
            to.batches_late.increment(tally.batches_late);
            to.bytes.increment(tally.bytes);
            let number = to.number.as_str();
            count_errors(&mut to.errors, &tally.errors, |code| {
                exposition.counter(metric::STREAM_ERRORS, &[number, code])
            });
            let batch = &tally.batch;
            let times = [&batch.wait, &batch.service, &batch.response, &tally.row, &tally.outage];
            for (metric, times) in PARTITION_HISTOGRAMS.into_iter().zip(times) {
                exposition.observe(metric, index, times);
            }
        }
        for (index, (tally, to)) in interval.queries.iter().zip(&mut handles.queries).enumerate() {
            to.executions.increment(tally.executions);
            to.rows.increment(tally.rows);
            to.reconnects.increment(tally.reconnects);
            to.fallback_rows.increment(tally.fallback_rows);
            to.plan_changes.increment(tally.plan_changes);
            if let Some(evidence) = tally.evidence {
                for (name, gauge) in &to.verdicts {
                    gauge.set(f64::from(u8::from(*name == evidence)));
                }
            }
            let (query, arm) = (to.query.as_str(), to.arm.as_str());
            count_errors(&mut to.errors, &tally.errors, |code| {
                exposition.counter(metric::QUERY_ERRORS, &[query, arm, code])
            });
            let times = [&tally.times.service, &tally.times.response, &tally.answer_age];
            for (metric, times) in QUERY_HISTOGRAMS.into_iter().zip(times) {
                exposition.observe(metric, index, times);
            }
        }
        let pairs = interval.pairs.iter().zip(&handles.pairs);
        for (tally, to) in pairs.filter_map(|(tally, to)| Some((tally, to.as_ref()?))) {
            to.pairs.increment(tally.count());
            to.same.increment(tally.answers_same);
            to.different.increment(tally.answers_different);
            to.failed.increment(tally.answers_failed);
        }
        exposition.gpus().update(&interval.gpus);
        Ok(())
    }

    fn finish(self: Box<Self>, _report: &JobResult) -> Result<(), SinkError> {
        self.close();
        Ok(())
    }
}

impl PrometheusSink {
    /// The run is over; its values stay as they are.
    fn close(&self) {
        self.exposition.measuring.store(false, Ordering::Relaxed);
        for (_, gauge) in self.handles.iter().flat_map(|handles| &handles.phases) {
            gauge.set(0.0);
        }
    }
}

#[cfg(test)]
mod tests;
