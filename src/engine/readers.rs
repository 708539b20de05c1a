//! The readers' side of a run: who asks, who examines, and what has come of it so far.

use std::mem;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Heartbeat, Pacer, Stop, Timer};
use crate::plan::{Plan, StreamJob};
use crate::query::examine::{Examiner, Findings, SharedFindings};
use crate::query::{Armed, ArmedQuery, Chooser, Failures, Reader, Repeats, TableRows, Timeouts};
use crate::record::{Attribution, PairTally, QueryTally, ReaderTally, Recorder, Tally};
use crate::result::readers::{FreshnessBy, ReadersReport};
use crate::stats;

use super::assemble::QueryFindings;
use super::prepare::connection;
use super::reading::Asking;

/// A query that is overdue by more than this is dropped, and counted: a reader that cannot keep up
/// does not ask ever older questions.
const BACKLOG: Duration = Duration::from_secs(10);

/// The queries of a run.
pub(super) struct Readers {
    armed_queries: Arc<[ArmedQuery]>,
    chooser: Arc<Chooser>,
    /// By query and arm, as in the report: each recorder and the total.
    tallies: Vec<(Vec<Recorder<QueryTally>>, QueryTally)>,
    /// By query.
    pairs: Vec<(Vec<Recorder<PairTally>>, PairTally)>,
    /// Of each reader.
    due: Vec<Recorder<ReaderTally>>,
    due_total: ReaderTally,
    shared: SharedFindings,
    failures: Arc<Failures>,
    timeouts: Arc<Timeouts>,
    rows: TableRows,
    report: ReadersReport,
}

impl Readers {
    /// The readers of a plan, whose schedule begins at `start`. The table had so many rows then, as far
    /// as that is known.
    pub(super) fn new(
        plan: &Plan<StreamJob>,
        start: Instant,
        rows_before: Option<u64>,
        (armed_queries, timeouts): (Arc<[ArmedQuery]>, Arc<Timeouts>),
        report: ReadersReport,
    ) -> Self {
        // On another server it is another table.
        let is_there = !matches!(report.freshness_by, None | Some(FreshnessBy::Rows));
        let before = rows_before.filter(|_| is_there || report.server.is_none());
        let rows = TableRows { before, ..TableRows::default() };
        let readers = &plan.job.readers;
        let repeats = Repeats {
            from: plan.job.warmup,
            each: plan.job.repeat_duration(),
            count: readers.repeats,
        };
        let (run, seed) = ((start, repeats), plan.common.seed);
        let (readers, own) = (readers.count, rows.clone());
        let chooser = Arc::new(Chooser::new(&armed_queries, readers, run, own, seed));
        let pairs = |of_one: &Recorder<PairTally>| (vec![of_one.clone()], PairTally::default());
        let combinations: usize =
            armed_queries.iter().map(|armed_query| armed_query.arms.len()).sum();
        Self {
            tallies: (0..combinations).map(|_| Default::default()).collect(),
            pairs: chooser.pairs().iter().map(pairs).collect(),
            armed_queries,
            chooser,
            due: Vec::new(),
            due_total: ReaderTally::default(),
            shared: SharedFindings::default(),
            failures: Arc::default(),
            timeouts,
            rows,
            report,
        }
    }

    /// Says how often what failed has failed in all, once the readers are done.
    pub(super) fn tell_failures(&self) {
        self.failures.tell_totals();
    }

    /// Where producers count the rows that are acknowledged, for the readers to see.
    pub(super) fn rows(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.rows.acknowledged)
    }

    /// Who they are.
    pub(super) fn report(&self) -> &ReadersReport {
        &self.report
    }

    /// Whether they need to know where in the write-ahead log each COMMIT is.
    pub(super) fn need_positions(&self) -> bool {
        self.report.freshness_by == Some(FreshnessBy::ReplayPosition)
    }

    pub(super) fn armed_queries(&self) -> &[ArmedQuery] {
        &self.armed_queries
    }

    /// Makes a reader whose tallies are drained here.
    pub(super) fn reader(
        &mut self,
        plan: &Plan<StreamJob>,
        number: u32,
        armed: Armed,
        (start, origin_us): (Instant, i64),
        heartbeat: Arc<Heartbeat>,
        (stop, abort): (&Arc<Stop>, &CancellationToken),
    ) -> std::io::Result<Reader> {
        let timer = Timer::precise()?;
        let readers = &plan.job.readers;
        let pacer = match readers.course(plan.common.seed) {
            Some(course) => {
                let schedule = readers.schedule(&course, number);
                Pacer::open(schedule, start, plan.job.warmup, timer)
            }
            None => Pacer::closed(NonZeroU64::MIN, start, plan.job.warmup, timer),
        };
        let by_arm = |armed_query: &ArmedQuery| {
            armed_query.arms.iter().map(|_| Recorder::default()).collect()
        };
        let recorders: Vec<Vec<_>> = self.armed_queries.iter().map(by_arm).collect();
        self.listen(&recorders, &[]);
        let due = Recorder::default();
        self.due.push(due.clone());
        let own_per_s = readers.peak_per_s().unwrap_or_default() / f64::from(readers.count);
        Ok(Reader {
            due,
            backlog: (own_per_s * BACKLOG.as_secs_f64()).ceil().max(1.0) as u64,
            pacer,
            armed,
            think_time: readers.think_time,
            recovery: plan.job.recovery.clone(),
            armed_queries: Arc::clone(&self.armed_queries),
            recorders,
            chooser: Arc::clone(&self.chooser),
            failures: Arc::clone(&self.failures),
            heartbeat,
            attribution: Attribution::default(),
            number,
            start,
            origin_us,
            rows: self.rows(),
            stop: Arc::clone(stop),
            abort: abort.clone(),
        })
    }

    /// Makes the examiner whose findings are kept here; none without readers.
    pub(super) fn examiner(
        &mut self,
        plan: &Plan<StreamJob>,
        asking: &Asking,
        start: Instant,
    ) -> Option<Examiner> {
        if self.armed_queries.is_empty() {
            return None;
        }
        let connection = connection(plan, asking, "strom-load examiner");
        let armed = Armed::new(connection, Arc::clone(&self.timeouts));
        let evidence = plan.job.readers.evidence.clone();
        let examiner = Examiner::new(armed, Arc::clone(&self.armed_queries), evidence, start);
        let (recorders, pairs) = examiner.recorders();
        self.listen(recorders, pairs);
        self.shared = examiner.shared();
        Some(examiner)
    }

    /// Notes why answers that were never compared are not; whether there are any.
    pub(super) fn not_compared(&self, plan: &Plan<StreamJob>, why: &str) -> bool {
        let mut any = false;
        for (query, armed_query) in self.armed_queries.iter().enumerate() {
            if plan.job.readers.evidence.check_answers && armed_query.is_compared() {
                any |= self.shared.not_compared(query, why);
            }
        }
        any
    }

    fn listen(&mut self, recorders: &[Vec<Recorder<QueryTally>>], pairs: &[Recorder<PairTally>]) {
        for ((mine, _), recorder) in self.tallies.iter_mut().zip(recorders.iter().flatten()) {
            mine.push(recorder.clone());
        }
        for ((mine, _), recorder) in self.pairs.iter_mut().zip(pairs) {
            mine.push(recorder.clone());
        }
    }

    /// What happened since the last call: by query and arm, and by query; and what became of the
    /// queries that were due. So much of the run is `measured` by now.
    pub(super) fn drain(
        &mut self,
        measured: Duration,
    ) -> (Vec<QueryTally>, Vec<PairTally>, ReaderTally) {
        fn all<T: Tally>(
            tallies: &mut [(Vec<Recorder<T>>, T)],
            mut add: impl FnMut(&mut T, &mut T),
        ) -> Vec<T> {
            let drain = |(recorders, total): &mut (Vec<Recorder<T>>, T)| {
                let mut tally = T::default();
                recorders.iter().for_each(|recorder| tally.merge(&recorder.drain()));
                add(total, &mut tally);
                tally
            };
            tallies.iter_mut().map(drain).collect()
        }
        let mut due = ReaderTally::default();
        self.due.iter().for_each(|of_one| due.merge(&of_one.drain()));
        self.due_total.merge(&due);
        let queries = all(&mut self.tallies, |total, tally| {
            // The outputs take them one by one; nobody sums them up.
            let one_by_one = mem::take(&mut tally.one_by_one);
            total.merge(tally);
            tally.one_by_one = one_by_one;
        });
        let pairs = all(&mut self.pairs, |total, tally| {
            total.merge(tally);
            let left = total.reaches(stats::Settings::default().pairs_min, measured);
            // Of wrong answers there will be no verdict.
            tally.verdict_in = left.filter(|_| total.answers_different == 0);
        });
        (queries, pairs, due)
    }

    /// What became of the queries that were due so far.
    pub(super) fn due(&self) -> &ReaderTally {
        &self.due_total
    }

    /// What is known so far, by query.
    pub(super) fn findings(&self) -> Vec<QueryFindings<'_>> {
        let mut examined = self.shared.snapshot();
        examined.resize_with(self.armed_queries.len(), Findings::default);
        let mut tallies = self.tallies.iter().map(|(_, total)| total);
        let mut findings = Vec::with_capacity(self.armed_queries.len());
        for ((armed_query, (_, pairs)), examined) in
            self.armed_queries.iter().zip(&self.pairs).zip(examined)
        {
            findings.push(QueryFindings {
                query: &armed_query.query,
                arms: &armed_query.arms,
                tallies: tallies.by_ref().take(armed_query.arms.len()).collect(),
                pairs,
                examined,
            });
        }
        findings
    }
}
