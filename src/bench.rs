//! The benchmark of a query: both arms in adjacent pairs until the ratio is known well enough, on
//! one session, with plans and answers looked at before. Sees no sinks.

mod measured;
mod sequential;
mod single;
mod timed;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pg;
use crate::plan::bench::Bench;
use crate::query::examine::{Examiner, Findings};
use crate::query::{Answer, Armed, ArmedQuery, Connection, Dealer, Ended, Failures, NO_SAMPLE};
use crate::record::{Blame, Execution, Latency, NotedPair, Recorder};
use crate::result::arm::ArmError;
use crate::result::benchmark::Halted;
use crate::stats::{self, Comparison, HaltReason, Pair, Stopping};
use crate::strom::StromError;

use timed::TimedDigests;

pub(crate) use measured::{ArmSamples, BenchProgress, Doing, Measured, Recorders, Watched};

/// Failures of an arm after which it is given up.
const FAILURES_MAX: u64 = 2;
/// Failures that do not count, as the GPU service slept and was woken: a query that puts it to sleep
/// each time is given up, too.
const SLEPT_MAX: u64 = 3;
/// Executions of an arm whose other arm was given up: enough to say what it takes alone.
const ALONE: usize = 3;
/// Executions of an arm that are cut before it is measured no more: the first may be cold.
const CUTS_MAX: u64 = 2;
/// Before that no first execution is cut: a query that hangs for a moment is not slow.
const CUT_MIN: Duration = Duration::from_secs(10);

/// Measures queries one behind the other.
pub(crate) struct Bencher {
    connection: Connection,
    armed_queries: Arc<[ArmedQuery]>,
    plan: Bench,
    examiner: Examiner,
    armed: Armed,
    recorders: Recorders,
    /// What the log says of queries that fail.
    failures: Failures,
    progress: Watched,
    /// What the times of executions count from.
    start: Instant,
    /// When the last one was sent.
    sent: Instant,
    /// Rows of the table that the queries are about, if they are known.
    table_rows: Option<u64>,
    /// The block that executions belong to; see [`Execution::block`].
    block: u64,
    /// By query, the number of the next pair's values: both arms are asked the same.
    numbers: Vec<u64>,
    /// By query and arm: whether this session has run it.
    warm: Vec<Vec<bool>>,
    dealer: Dealer,
    /// The answers of what was timed.
    timed: TimedDigests,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// What ends a benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The server could not be reached again, or an arm not be entered.
    #[error(transparent)]
    Strom(#[from] StromError),
}

/// What becomes of an execution that takes too long.
#[derive(Debug, Clone, Copy)]
enum Limit {
    /// It failed, once the server gives it up.
    Fails,
    /// It is cut, once the server gives it up.
    Server,
    /// It is cut after so long, or once the server gives it up before.
    At(Duration),
}

/// How an execution ended.
enum Executed {
    /// After so many nanoseconds.
    Answered(u64),
    /// The server refused or failed it.
    Failed,
    /// It was given up at a limit.
    Cut,
    /// Somebody aborted the benchmark.
    Aborted,
}

impl Bencher {
    /// Measures `armed_queries` as `plan` says. `stop` ends it between two executions, `abort` within one.
    pub(crate) fn new(
        connection: Connection,
        armed_queries: Arc<[ArmedQuery]>,
        plan: &Bench,
        seed: u64,
        stop: CancellationToken,
        abort: CancellationToken,
    ) -> Self {
        let evidence = plan.evidence.clone();
        let timeouts = Arc::default();
        let examining = Armed::new(connection.clone(), Arc::clone(&timeouts));
        let examiner =
            Examiner::new(examining, Arc::clone(&armed_queries), evidence, Instant::now());
        let by_arm = |armed_query: &ArmedQuery| {
            armed_query.arms.iter().map(|_| Recorder::default()).collect()
        };
        let recorders = Recorders {
            queries: armed_queries.iter().map(by_arm).collect(),
            pairs: armed_queries.iter().map(|_| Recorder::default()).collect(),
        };
        Self {
            recorders,
            failures: Failures::default(),
            progress: Watched::default(),
            start: Instant::now(),
            sent: Instant::now(),
            table_rows: None,
            block: 0,
            numbers: vec![0; armed_queries.len()],
            warm: armed_queries
                .iter()
                .map(|armed_query| vec![false; armed_query.arms.len()])
                .collect(),
            armed: Armed::new(connection.clone(), timeouts).finding_plans(),
            // What is written to does not stand still.
            timed: TimedDigests::new(
                &armed_queries,
                plan.evidence.check_answers && !connection.writes,
            ),
            connection,
            armed_queries,
            plan: plan.clone(),
            examiner,
            dealer: Dealer::new(seed),
            stop,
            abort,
        }
    }

    /// What is noted of executions: the times count from `start`, and the queries are about a table
    /// of so many rows, if they are known.
    #[must_use]
    pub(crate) fn noting(self, start: Instant, table_rows: Option<u64>) -> Self {
        Self { start, table_rows, ..self }
    }

    /// What the executions are tallied in, and what its plans and answers are.
    pub(crate) fn recorders(&self) -> [Recorders; 2] {
        let (queries, pairs) = self.examiner.recorders();
        let examined = Recorders { queries: queries.to_vec(), pairs: pairs.to_vec() };
        [self.recorders.clone(), examined]
    }

    /// How far it is, kept current while a query is measured.
    pub(crate) fn watched(&self) -> Watched {
        Arc::clone(&self.progress)
    }

    fn tell(&self, query: usize, doing: Doing, pairs: usize, began: Instant) {
        let query = self.armed_queries[query].query.name.clone();
        let progress = BenchProgress { query, doing, pairs, began };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// Measures one query once, or once more, and adds what came of it.
    ///
    /// # Errors
    /// When the server is gone for good. A query that it refuses is part of the result.
    pub(crate) async fn measure(
        &mut self,
        query: usize,
        measured: &mut Measured,
    ) -> Result<(), BenchError> {
        let Measured { arms, repeats, began, .. } = measured;
        let (began, is_first) = (*began, repeats.is_empty());
        self.tell(query, Doing::Warming, 0, began);
        self.block += 1;
        // Of one arm there is no ratio, so nothing to be known of how long it takes at least.
        let limit = match arms.len() {
            2 => Limit::At(self.plan.time.max(CUT_MIN)),
            _ => Limit::Fails,
        };
        for (arm, samples) in arms.iter_mut().enumerate() {
            let mut is_warm = false;
            // Twice at most: what fails twice will fail again.
            while !samples.is_over() && !is_warm && !self.is_over() {
                let executed = self.execute((query, arm), NO_SAMPLE, samples, false, limit).await?;
                if let Executed::Answered(ns) = executed {
                    samples.cold_ns.get_or_insert(ns);
                    is_warm = true;
                }
            }
        }
        if is_first {
            self.tell(query, Doing::Examining, 0, began);
            measured.examined = self.examine(query, arms).await;
        }
        let mut pairs = Vec::new();
        measured.halted = match arms.iter().any(ArmSamples::is_over) {
            true => Halted::ArmFailed,
            false => self.pairs(query, arms, &mut pairs, began).await?,
        };
        let arms = &mut measured.arms;
        if measured.halted == Halted::ArmFailed {
            if repeats.iter().all(Vec::is_empty) && pairs.is_empty() {
                self.alone(query, arms).await?;
            }
            if arms.iter().all(|arm| !arm.given_up) {
                measured.halted = Halted::ArmCut;
            }
        }
        repeats.push(pairs);
        measured.comparison = self.compared(repeats);
        // Without a whole answer of both arms there is nothing to compare.
        if measured.halted != Halted::ArmCut {
            measured.examined.answers.timed = self.timed.compared(query, 0, 0..arms.len());
        }
        measured.took = began.elapsed();
        Ok(())
    }

    /// Ends its sessions; new ones are opened as they are needed, and see a new configuration.
    pub(crate) async fn disconnect(&mut self) {
        self.examiner.disconnect().await;
        self.armed.disconnect().await;
    }

    fn settings(&self) -> stats::Settings {
        let pairs_min = self.plan.pairs_min as usize;
        stats::Settings { pairs_min, ..stats::Settings::default() }
    }

    /// The arms compared, unless there is no pair.
    fn compared(&self, repeats: &[Vec<Pair>]) -> Option<Comparison> {
        // All queries of the profile are compared beside each other.
        let comparisons = self.plan.steps.iter().map(|step| step.queries.len()).sum();
        let mut compared = stats::repeated_ratio(repeats, &self.settings());
        if compared.repeats.is_none() {
            compared.more_pairs = stats::more_pairs(&repeats.concat(), &compared, comparisons);
        }
        (compared.pairs > 0).then_some(compared)
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.abort.is_cancelled()
    }

    async fn examine(&mut self, query: usize, arms: &[ArmSamples]) -> Findings {
        let wanted = self.plan.evidence.check_answers;
        let cut = arms.iter().position(ArmSamples::is_cut);
        if let Some(cut) = cut.filter(|_| wanted && self.armed_queries[query].is_compared()) {
            let why = format!("`{}` was cut at its limit", self.armed_queries[query].arms[cut]);
            self.examiner.shared().not_compared(query, &why);
        }
        let answers = wanted && !arms.iter().any(ArmSamples::is_over);
        let examining = async {
            self.examiner.plans_of(query).await;
            if answers {
                self.examiner.answers(query).await;
            }
        };
        // Unlike an execution, a look is not finished once somebody wants an end.
        if self.stop.run_until_cancelled(examining).await.is_none() {
            self.examiner.cut_off().await;
            if answers && self.armed_queries[query].is_compared() {
                self.examiner.shared().not_compared(query, "interrupted");
            }
        }
        self.examiner.shared().snapshot().swap_remove(query)
    }

    /// Pairs in random order within, until one of the limits.
    async fn pairs(
        &mut self,
        query: usize,
        arms: &mut [ArmSamples],
        pairs: &mut Vec<Pair>,
        shown_since: Instant,
    ) -> Result<Halted, BenchError> {
        let (began, before) = (Instant::now(), arms[0].times_ns.len());
        let limit = if arms.len() == 2 { Limit::Server } else { Limit::Fails };
        let mut stopping = Stopping::new(self.settings(), self.plan.precision);
        loop {
            if self.is_over() {
                return Ok(Halted::Stopped);
            }
            let doing = Doing::Measuring { until: Some(began + self.plan.time) };
            self.tell(query, doing, arms[0].times_ns.len() - before, shown_since);
            self.block += 1;
            let first = self.dealer.first_of(arms.len());
            let number = self.next_number(query);
            let mut times = [None; 2];
            for turn in 0..arms.len() {
                let arm = if turn == 0 { first } else { 1 - first };
                let samples = &mut arms[arm];
                times[arm] = match self.execute((query, arm), number, samples, true, limit).await? {
                    Executed::Answered(ns) => Some(ns),
                    Executed::Failed | Executed::Cut => None,
                    Executed::Aborted => return Ok(Halted::Stopped),
                };
            }
            if arms.iter().any(ArmSamples::is_over) {
                return Ok(Halted::ArmFailed);
            }
            for (samples, time) in arms.iter_mut().zip(times) {
                samples.times_ns.extend(time);
            }
            if let [Some(a_ns), Some(b_ns)] = times {
                let pair = Pair { a_ns, b_ns };
                pairs.push(pair);
                // The result has them by repeat, from the benchmark itself.
                let noted = NotedPair { pair, repeat: 0, rows: self.table_rows };
                self.recorders.pairs[query].note(|tally| tally.pairs.push(noted));
            }
            let time_is_up = began.elapsed() >= self.plan.time;
            if arms.len() == 2
                && let Some(halt) = stopping.check(pairs, time_is_up)
            {
                return Ok(match halt.reason {
                    HaltReason::Precise => Halted::Precise,
                    HaltReason::TimeUp => Halted::TimeUp,
                });
            }
            if time_is_up {
                return Ok(Halted::TimeUp);
            }
            let executions = arms[0].times_ns.len() - before;
            if executions >= self.plan.pairs_max as usize {
                return Ok(Halted::EnoughPairs);
            }
            // With one arm there is no ratio to know exactly: the fewest executions suffice.
            if arms.len() == 1 && executions >= self.plan.pairs_min as usize {
                return Ok(Halted::EnoughPairs);
            }
        }
    }

    /// The arm that works, where the other does not.
    async fn alone(&mut self, query: usize, arms: &mut [ArmSamples]) -> Result<(), BenchError> {
        for (arm, samples) in arms.iter_mut().enumerate() {
            while samples.times_ns.len() < ALONE && !samples.is_over() && !self.is_over() {
                self.block += 1;
                let number = self.next_number(query);
                let executed =
                    self.execute((query, arm), number, samples, true, Limit::Server).await?;
                if let Executed::Answered(ns) = executed {
                    samples.times_ns.push(ns);
                }
            }
        }
        Ok(())
    }

    /// The number of the next values of a query.
    fn next_number(&mut self, query: usize) -> u64 {
        self.numbers[query] += 1;
        self.numbers[query] - 1
    }

    /// Runs a query in an arm once, with the values of a number.
    async fn execute(
        &mut self,
        (query, arm): (usize, usize),
        number: u64,
        samples: &mut ArmSamples,
        measured: bool,
        limit: Limit,
    ) -> Result<Executed, BenchError> {
        self.sent = Instant::now();
        if !self.armed.is_connected() {
            self.warm.iter_mut().flatten().for_each(|warm| *warm = false);
        }
        let armed_queries = Arc::clone(&self.armed_queries);
        let (asked, work) = (armed_queries[query].asked(number), armed_queries[query].work(number));
        let arm_entered = &armed_queries[query].arms[arm];
        let reduction = self.timed.reduction(query, arm);
        let at_limit = match limit {
            Limit::At(after) => Some(after),
            Limit::Fails | Limit::Server => None,
        };
        match self.armed.run_reduced(&work, arm_entered, (&self.abort, at_limit), reduction).await {
            Ok(Ended::AtLimit(after)) => Ok(self.cut(query, arm, samples, after)),
            Ok(Ended::CutOff) => {
                self.recorders.queries[query][arm].note(|tally| tally.interrupted += 1);
                Ok(Executed::Aborted)
            }
            Ok(Ended::Answered(answer)) => {
                let Answer { sent, service, rows, fallback_rows, ran, .. } = answer;
                self.sent = sent;
                samples.rows = rows;
                samples.fallback_rows += fallback_rows;
                // No schedule: a query is due when its session is free, so it never waits.
                let (late, own) = (Blame::default(), Duration::ZERO);
                let latency = Latency::measure(sent, sent, sent + service, late, own);
                let plan = ran.as_ref().map(|ran| ran.by.hash);
                let one = Execution {
                    plan,
                    measured,
                    sample: measured,
                    ..self.execution(query, arm, service)
                };
                if measured {
                    samples.by_plan.note(ran.as_ref(), one.start, service, fallback_rows);
                }
                self.warm[query][arm] = true;
                self.recorders.queries[query][arm].note(|tally| {
                    tally.executions += 1;
                    tally.rows += rows;
                    tally.fallback_rows += fallback_rows;
                    if measured {
                        tally.executions_measured += 1;
                        tally.times.record(&latency);
                        tally.ran(ran.as_ref(), one.start, service, fallback_rows);
                    }
                    tally.one_by_one.push(one);
                });
                self.timed.answered(query, arm, number);
                if self.timed.lacks(query, arm) {
                    let asked = (asked, arm_entered);
                    // Boxed: once for each arm, and large.
                    let preparing = self.timed.prepare(&mut self.armed, query, arm, asked);
                    Box::pin(preparing).await;
                }
                let ns = u64::try_from(service.as_nanos()).unwrap_or(u64::MAX);
                Ok(Executed::Answered(ns))
            }
            Err(StromError::Server(error))
                if !matches!(limit, Limit::Fails) && self.timed_out(&error) =>
            {
                let after = self.sent.elapsed();
                let settling = self.armed.settle(arm_entered, &error);
                let settling = self.stop.run_until_cancelled(settling);
                // One that a sleeping GPU service kept from being answered is not slow.
                if self.abort.run_until_cancelled(settling).await.flatten() == Some(true)
                    && samples.slept < SLEPT_MAX
                {
                    samples.slept += 1;
                    samples.failures += 1;
                    return Ok(Executed::Failed);
                }
                Ok(self.cut(query, arm, samples, after))
            }
            Err(StromError::Server(error)) => {
                self.failures.note(&asked.query.name, &arm_entered.name, &error);
                samples.failures += 1;
                let failed = self.execution(query, arm, self.sent.elapsed());
                self.recorders.queries[query][arm].note(|tally| tally.failed(failed, error.code()));
                samples.error = Some(ArmError {
                    sqlstate: error.code().to_owned(),
                    message: error.to_string(),
                });
                let settling = self.armed.settle(arm_entered, &error);
                let settling = self.stop.run_until_cancelled(settling);
                let woken = self.abort.run_until_cancelled(settling).await.flatten();
                samples.slept += u64::from(woken == Some(true));
                samples.given_up = samples.failures - samples.slept.min(SLEPT_MAX) >= FAILURES_MAX;
                if error.is_lost() {
                    // A server that restarts after a crash of its GPU service comes back within
                    // seconds.
                    let patience = self.connection.statement_timeout;
                    let (stop, warm) = (self.stop.clone(), &mut self.warm);
                    let over = async { stop.cancelled().await };
                    // Boxed: rare, and large.
                    let connecting = Box::pin(self.armed.reconnect(error, patience, over));
                    connecting.await.map_err(StromError::from)?;
                    warm.iter_mut().flatten().for_each(|warm| *warm = false);
                }
                Ok(Executed::Failed)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the server gave the last execution up at its timeout.
    fn timed_out(&self, error: &pg::Error) -> bool {
        error.code() == pg::QUERY_CANCELED && self.sent.elapsed() >= self.armed.statement_timeout()
    }

    /// Notes that the last execution was cut.
    fn cut(&self, query: usize, arm: usize, samples: &mut ArmSamples, after: Duration) -> Executed {
        self.recorders.queries[query][arm].note(|tally| tally.cut += 1);
        samples.cuts += 1;
        samples.cut_after = Some(after);
        let ArmedQuery { query, arms, .. } = &self.armed_queries[query];
        let (name, arm, seconds) = (&query.name, &arms[arm], after.as_secs_f64());
        tracing::info!("`{name}` ({arm}) is cut after {seconds:.1} s");
        Executed::Cut
    }

    /// What is noted of the last execution.
    fn execution(&self, query: usize, arm: usize, service: Duration) -> Execution {
        Execution {
            start: self.sent.saturating_duration_since(self.start),
            service,
            block: self.block,
            rows: self.table_rows,
            cold: !self.warm[query][arm],
            ..Execution::default()
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        self.failures.tell_totals();
        self.disconnect().await;
    }
}
