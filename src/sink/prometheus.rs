//! The Prometheus endpoint: a page of series, fed once a tick, and served as text.

mod gpu;
mod http;
mod page;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::net::TcpListener;

use crate::metric::{self, Metric, SQLSTATE_OTHER, SQLSTATES_MAX};
use crate::record::{Interval, Phase, ReaderTally};
use crate::result::JobResult;
use crate::row::Lane;
use crate::strom::evidence::Verdict;
use crate::watch::process;

use gpu::GpuHandles;
use page::{Page, SeriesId};

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
    page: Mutex<Page>,
    measuring: AtomicBool,
}

impl Exposition {
    fn new() -> Self {
        Self { page: Mutex::new(Page::new()), measuring: AtomicBool::new(false) }
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        // A page is numbers, right after any write: a panic elsewhere cannot spoil it.
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text that a scrape gets.
    fn render(&self) -> String {
        let cost = process::cost();
        let mut page = self.page();
        let cpu = page.series(metric::PROCESS_CPU, &[]);
        page.set(cpu, Some(cost.cpu_s));
        let memory = page.series(metric::PROCESS_MEMORY, &[]);
        page.set(memory, Some(cost.resident_bytes as f64));
        page.render()
    }
}

/// Feeds the endpoint.
pub struct PrometheusSink {
    exposition: Arc<Exposition>,
    handles: Option<Handles>,
}

/// Handles looked up once.
struct Handles {
    phases: Vec<(Phase, SeriesId)>,
    target: Option<SeriesId>,
    partitions: Vec<PartitionHandles>,
    /// Which of them each lane loads.
    lanes: Vec<usize>,
    queries: Vec<QueryHandles>,
    /// By query; `None` for one with a single arm.
    pairs: Vec<Option<PairHandles>>,
    /// Queries that were due, and those of them that were dropped, where there is a schedule.
    queries_due: Option<[SeriesId; 2]>,
    gpus: GpuHandles,
}

struct PartitionHandles {
    number: String,
    /// As in [`PARTITION_HISTOGRAMS`].
    times: [SeriesId; 5],
    rows_due: SeriesId,
    rows_sent: SeriesId,
    rows_acknowledged: SeriesId,
    rows_dropped: SeriesId,
    rows_undecided: SeriesId,
    batches_resent: SeriesId,
    batches_sync_unconfirmed: SeriesId,
    outages: SeriesId,
    backlog: SeriesId,
    batches: SeriesId,
    batches_late: SeriesId,
    bytes: SeriesId,
    errors: HashMap<String, SeriesId>,
    attempts_failed: HashMap<String, SeriesId>,
}

struct QueryHandles {
    query: String,
    arm: String,
    /// As in [`QUERY_HISTOGRAMS`].
    times: [SeriesId; 4],
    executions: SeriesId,
    rows: SeriesId,
    fallback_rows: SeriesId,
    plan_changes: SeriesId,
    verdicts: Vec<(&'static str, SeriesId)>,
    reconnects: SeriesId,
    errors: HashMap<String, SeriesId>,
}

/// Of a query with two arms.
struct PairHandles {
    pairs: SeriesId,
    same: SeriesId,
    different: SeriesId,
    failed: SeriesId,
}

impl Handles {
    fn new(page: &mut Page, start: &Start<'_>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let info = [version, start.profile, start.run_id, start.server.version.as_str()];
        let id = page.series(metric::INFO, &info);
        page.set(id, Some(1.0));
        let since_epoch = start.started_at.duration_since(SystemTime::UNIX_EPOCH);
        let since_epoch = since_epoch.unwrap_or_default().as_secs_f64();
        let id = page.series(metric::START_TIME, &[]);
        page.set(id, Some(since_epoch));
        let target = start.stream.and_then(|stream| stream.target_rows_per_s).map(|rate| {
            let id = page.series(metric::TARGET_RATE, &[]);
            page.set(id, Some(rate));
            id
        });
        let queries_due = start.stream.filter(|stream| stream.queries_are_due);
        let queries_due = queries_due.map(|_| {
            [metric::QUERIES_DUE, metric::QUERIES_DROPPED].map(|metric| page.series(metric, &[]))
        });
        let lanes = start.stream.map_or(&[][..], |stream| stream.lanes);
        let mut keys: Vec<Option<u32>> = Vec::new();
        let mut place = |lane: &Lane| {
            let known = keys.iter().position(|key| *key == lane.partition);
            known.unwrap_or_else(|| {
                keys.push(lane.partition);
                keys.len() - 1
            })
        };
        let lanes = lanes.iter().map(&mut place).collect();
        let partitions = keys.iter().map(|key| {
            let number = key.map_or_else(|| PARTITION_ALL.to_owned(), |number| number.to_string());
            let mut counter = |metric| page.series(metric, &[&number]);
            PartitionHandles {
                times: PARTITION_HISTOGRAMS.map(&mut counter),
                rows_due: counter(metric::ROWS_DUE),
                rows_sent: counter(metric::ROWS_SENT),
                rows_acknowledged: counter(metric::ROWS_ACKNOWLEDGED),
                rows_dropped: counter(metric::ROWS_DROPPED),
                rows_undecided: counter(metric::ROWS_UNDECIDED),
                batches_resent: counter(metric::BATCHES_RESENT),
                batches_sync_unconfirmed: counter(metric::BATCHES_SYNC_UNCONFIRMED),
                outages: counter(metric::OUTAGES),
                backlog: counter(metric::BACKLOG),
                batches: counter(metric::BATCHES),
                batches_late: counter(metric::BATCHES_LATE),
                bytes: counter(metric::COPY_BYTES),
                errors: HashMap::new(),
                attempts_failed: HashMap::new(),
                number,
            }
        });
        let partitions = partitions.collect();
        let queries = start.query_arms().map(|(query, arm)| {
            let labels = [query, arm];
            let verdict = |known: Verdict| {
                let name = known.name();
                (name, page.series(metric::QUERY_VERDICT, &[query, arm, name]))
            };
            let verdicts = Verdict::ALL.map(verdict).into();
            QueryHandles {
                verdicts,
                times: QUERY_HISTOGRAMS.map(|metric| page.series(metric, &labels)),
                query: query.to_owned(),
                arm: arm.to_owned(),
                executions: page.series(metric::QUERIES, &labels),
                rows: page.series(metric::QUERY_ROWS, &labels),
                fallback_rows: page.series(metric::FALLBACK_ROWS, &labels),
                plan_changes: page.series(metric::PLAN_CHANGES, &labels),
                reconnects: page.series(metric::RECONNECTS, &labels),
                errors: HashMap::new(),
            }
        });
        let queries = queries.collect();
        let pairs = start.queries.iter().map(|query| {
            if query.arms.len() != 2 {
                return None;
            }
            let query = query.name.as_str();
            let mut checks = |result| page.series(metric::ANSWER_CHECKS, &[query, result]);
            let (same, different) = (checks("same"), checks("different"));
            let failed = checks("failed");
            Some(PairHandles {
                pairs: page.series(metric::PAIRS, &[query]),
                same,
                different,
                failed,
            })
        });
        let pairs = pairs.collect();
        let phases = Phase::ALL.map(|p| (p, page.series(metric::PHASE, &[p.name()])));
        let gpus = GpuHandles::new(page, start.gpus);
        Self { phases: phases.into(), target, partitions, lanes, queries, pairs, queries_due, gpus }
    }
}

/// Adds errors by SQLSTATE, with a series for each of the first [`SQLSTATES_MAX`].
fn count_errors(
    page: &mut Page,
    known: &mut HashMap<String, SeriesId>,
    errors: &BTreeMap<String, u64>,
    new: impl Fn(&mut Page, &str) -> SeriesId,
) {
    for (code, count) in errors {
        let full = known.len() >= SQLSTATES_MAX as usize;
        let code = if full && !known.contains_key(code) { SQLSTATE_OTHER } else { code };
        let id = *known.entry(code.to_owned()).or_insert_with(|| new(page, code));
        page.add(id, *count);
    }
}

/// The label of a table whose rows have no key.
const PARTITION_ALL: &str = "all";

const PARTITION_HISTOGRAMS: [Metric; 5] = [
    metric::BATCH_WAIT,
    metric::BATCH_SERVICE,
    metric::BATCH_RESPONSE,
    metric::ROW_LATENCY,
    metric::OUTAGE_SECONDS,
];
const QUERY_HISTOGRAMS: [Metric; 4] =
    [metric::QUERY_SERVICE, metric::QUERY_RESPONSE, metric::ANSWER_AGE, metric::FRESHNESS];

impl Sink for PrometheusSink {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        self.handles = Some(Handles::new(&mut self.exposition.page(), start));
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        let Some(handles) = &mut self.handles else { return Ok(()) };
        self.exposition.measuring.store(interval.phase != Phase::Warmup, Ordering::Relaxed);
        let page = &mut *self.exposition.page();
        for (phase, id) in &handles.phases {
            page.set(*id, Some(f64::from(u8::from(*phase == interval.phase))));
        }
        if let (Some(id), Some(target)) = (handles.target, interval.target_rows_per_s) {
            page.set(id, Some(target));
        }
        let mut backlog_rows = vec![0; handles.partitions.len()];
        for (lane, place) in interval.lanes.iter().zip(&handles.lanes) {
            let (tally, to) = (&lane.tally, &mut handles.partitions[*place]);
            backlog_rows[*place] += lane.backlog_rows;
            for (id, more) in [
                (to.rows_due, lane.rows_due),
                (to.rows_sent, tally.rows_sent),
                (to.rows_acknowledged, tally.rows_acknowledged),
                (to.rows_dropped, tally.account.dropped.rows()),
                (to.rows_undecided, tally.account.undecided.rows()),
                (to.batches_resent, tally.batches_resent),
                (to.batches_sync_unconfirmed, tally.batches_sync_unconfirmed),
                (to.outages, tally.outage.count()),
                (to.batches, tally.batches),
                (to.batches_late, tally.batches_late),
                (to.bytes, tally.bytes),
            ] {
                page.add(id, more);
            }
            let number = to.number.as_str();
            count_errors(page, &mut to.errors, &tally.errors, |page, code| {
                page.series(metric::STREAM_ERRORS, &[number, code])
            });
            count_errors(page, &mut to.attempts_failed, &tally.attempts_failed, |page, code| {
                page.series(metric::ATTEMPTS_FAILED, &[number, code])
            });
            let batch = &tally.batch;
            let times = [&batch.wait, &batch.service, &batch.response, &tally.row, &tally.outage];
            to.times.iter().zip(times).for_each(|(id, times)| page.observe(*id, times));
        }
        for (to, rows) in handles.partitions.iter().zip(backlog_rows) {
            page.set(to.backlog, Some(rows as f64));
        }
        for (tally, to) in interval.queries.iter().zip(&mut handles.queries) {
            for (id, more) in [
                (to.executions, tally.executions),
                (to.rows, tally.rows),
                (to.reconnects, tally.reconnects),
                (to.fallback_rows, tally.fallback_rows),
                (to.plan_changes, tally.plan_changes),
            ] {
                page.add(id, more);
            }
            if let Some(evidence) = tally.evidence {
                for (name, id) in &to.verdicts {
                    page.set(*id, Some(f64::from(u8::from(*name == evidence))));
                }
            }
            let (query, arm) = (to.query.as_str(), to.arm.as_str());
            count_errors(page, &mut to.errors, &tally.errors, |page, code| {
                page.series(metric::QUERY_ERRORS, &[query, arm, code])
            });
            let times =
                [&tally.times.service, &tally.times.response, &tally.answer_age, &tally.freshness];
            to.times.iter().zip(times).for_each(|(id, times)| page.observe(*id, times));
        }
        let pairs = interval.pairs.iter().zip(&handles.pairs);
        for (tally, to) in pairs.filter_map(|(tally, to)| Some((tally, to.as_ref()?))) {
            page.add(to.pairs, tally.count());
            page.add(to.same, tally.answers_same);
            page.add(to.different, tally.answers_different);
            page.add(to.failed, tally.answers_failed);
        }
        if let Some([due, dropped]) = handles.queries_due {
            let ReaderTally { asked, dropped: never_asked, .. } = interval.queries_due;
            page.add(due, asked + never_asked);
            page.add(dropped, never_asked);
        }
        handles.gpus.update(page, &interval.gpus);
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
        let page = &mut *self.exposition.page();
        for (_, id) in self.handles.iter().flat_map(|handles| &handles.phases) {
            page.set(*id, Some(0.0));
        }
    }
}

#[cfg(test)]
mod tests;
