//! Beside the readers, on a session of its own: what do the plans of each arm prove, and do the
//! answers of the arms agree? None of it is timed as a sample; its own time is kept apart.
//! Comparing takes its thread's time, which should be one of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::asked::TYPICAL;
use super::{Armed, ArmedQuery};
use crate::answer::{self, AnswerError, Comparer, Limits, Question, Side};
use crate::pace::Stop;
use crate::pg;
use crate::pg::select::Explained;
use crate::plan::{AnswerCompare, EvidencePlan, Query};
use crate::record::{PairTally, QueryTally, Recorder};
pub(crate) use crate::result::answers::AnswerHistory;
use crate::result::answers::Comparison;
pub(crate) use crate::result::evidence::{HintReport, PlanChange, PlanHistory};
use crate::strom::evidence::{Evidence, Verdict};
use crate::strom::{Arm, Gpu, StromError, hint};

/// Changes of a plan that are kept; all are counted.
const CHANGES_KEPT: usize = 50;
/// Differing answers that are kept; all are counted.
const DIFFERENCES_KEPT: usize = 3;

/// In what form the server writes values that are compared, whatever an arm sets: one that can be read back.
/// Until the transaction ends, or another arm is entered.
const AS_TEXT: &str = "SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'; \
                       SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";

impl AnswerHistory {
    /// Notes a comparison; whether the answers were the same, `None` if nobody knows.
    fn note(
        &mut self,
        name: &str,
        took: Duration,
        compared: Result<Comparison, CompareError>,
    ) -> Option<bool> {
        self.checks_s += took.as_secs_f64();
        let comparison = match compared {
            Ok(comparison) => comparison,
            Err(error) => {
                let error = error.to_string();
                // The same again is counted, and said no more.
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!("the answers of `{name}` were not compared: {error}");
                }
                self.failed += 1;
                self.failed_since += 1;
                self.error = Some(error);
                return None;
            }
        };
        self.checks += 1;
        self.failed_since = 0;
        self.rows = comparison.rows[0];
        self.ties += comparison.ties;
        self.near_zero += comparison.near_zero;
        self.ordered_by.clone_from(&comparison.ordered_by);
        self.values.clone_from(&comparison.values);
        self.largest_difference = self.largest_difference.max(comparison.largest_difference);
        let same = comparison.same;
        if !same {
            // Said once; how often it came is said at the end.
            if self.different == 0 {
                let [first, second] = comparison.only;
                let how = match &comparison.order {
                    Some(order) => format!("the same rows, in another order at row {}", order.row),
                    None => {
                        let rows = if first == 1 { "row" } else { "rows" };
                        format!("{first} {rows} only in the first, {second} only in the second")
                    }
                };
                tracing::error!("the answers of `{name}` are different: {how}");
            }
            self.different += 1;
            if self.differences.len() < DIFFERENCES_KEPT {
                self.differences.push(comparison);
            }
        }
        Some(same)
    }

    /// Says how often answers were different, if that was more than once.
    fn tell_total(&self, name: &str) {
        let Self { different, checks, .. } = self;
        if *different > 1 {
            tracing::error!("the answers of `{name}` were different {different} times of {checks}");
        }
    }
}

/// What was found out about a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    /// By arm.
    pub plans: Vec<PlanHistory>,
    /// Of its two arms, if it has two.
    pub answers: AnswerHistory,
}

/// The findings on all queries, shared with the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedFindings(Arc<Mutex<Vec<Findings>>>);

impl SharedFindings {
    fn of(armed_queries: &[ArmedQuery]) -> Self {
        let findings = |armed_query: &ArmedQuery| Findings {
            plans: vec![PlanHistory::default(); armed_query.arms.len()],
            answers: AnswerHistory::default(),
        };
        Self(Arc::new(Mutex::new(armed_queries.iter().map(findings).collect())))
    }

    /// The findings so far, by query.
    pub(crate) fn snapshot(&self) -> Vec<Findings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes why a query's answers were not compared, if they never were; whether that is so.
    pub(crate) fn not_compared(&self, query: usize, why: &str) -> bool {
        let mut never = false;
        self.note(query, |Findings { answers, .. }| {
            never = answers.checks == 0 && answers.failed == 0;
            if never {
                answers.not_compared = Some(why.to_owned());
            }
        });
        never
    }

    fn note(&self, query: usize, note: impl FnOnce(&mut Findings)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(findings) = all.get_mut(query) {
            note(findings);
        }
    }
}

/// Looks at plans and compares answers, during a run and at its end.
pub(crate) struct Examiner {
    armed: Armed,
    armed_queries: Arc<[ArmedQuery]>,
    plan: EvidencePlan,
    /// By query and arm.
    recorders: Vec<Vec<Recorder<QueryTally>>>,
    /// By query.
    pairs: Vec<Recorder<PairTally>>,
    shared: SharedFindings,
    start: Instant,
    next_answer: usize,
    /// By query, how often its answers were to be compared: each time with other values.
    compared: Vec<u64>,
}

impl Examiner {
    /// An examiner of these queries; its times count from `start`.
    pub(crate) fn new(
        armed: Armed,
        armed_queries: Arc<[ArmedQuery]>,
        plan: EvidencePlan,
        start: Instant,
    ) -> Self {
        let arms = |armed_query: &ArmedQuery| {
            armed_query.arms.iter().map(|_| Recorder::default()).collect()
        };
        Self {
            armed,
            recorders: armed_queries.iter().map(arms).collect(),
            pairs: armed_queries.iter().map(|_| Recorder::default()).collect(),
            shared: SharedFindings::of(&armed_queries),
            compared: vec![0; armed_queries.len()],
            armed_queries,
            plan,
            start,
            next_answer: 0,
        }
    }

    /// Where its findings are.
    pub(crate) fn shared(&self) -> SharedFindings {
        self.shared.clone()
    }

    /// Where it notes what metrics show of them: by query, then by arm; and by query.
    pub(crate) fn recorders(&self) -> (&[Vec<Recorder<QueryTally>>], &[Recorder<PairTally>]) {
        (&self.recorders, &self.pairs)
    }

    /// Examines at the plan's intervals until the run stops. What the server fails is noted, and
    /// never ends the run.
    pub(crate) async fn run(mut self, stop: Arc<Stop>, abort: CancellationToken) -> Self {
        let (mut plans_at, mut answers_at) = (self.start, self.start + self.plan.answers_every);
        loop {
            let now = Instant::now();
            let due = if self.plan.check_answers { plans_at.min(answers_at) } else { plans_at };
            let over = async {
                tokio::select! {
                    () = stop.over() => {}
                    () = abort.cancelled() => {}
                }
            };
            let work = async {
                tokio::time::sleep_until(due).await;
                if plans_at <= answers_at || !self.plan.check_answers {
                    self.plans().await;
                    plans_at = Instant::now().max(now) + self.plan.every;
                } else {
                    self.next_answers().await;
                    answers_at = Instant::now() + self.plan.answers_every;
                }
            };
            tokio::select! {
                () = work => {}
                () = over => {
                    self.cut_off().await;
                    return self;
                }
            }
        }
    }

    /// Once more, after the run: every plan, and the answers of every query. `told` is what is
    /// being done; `cut_off` ends it, on the server too.
    pub(crate) async fn finish(
        &mut self,
        told: &(dyn Fn(String) + Sync),
        cut_off: &CancellationToken,
    ) {
        let work = async {
            let of = self.armed_queries.len();
            let telling = || told("looking at PG-Strom's GPU service".to_owned());
            self.armed.settle_timeouts(telling).await;
            for query in 0..of {
                told(format!("taking plans, {} of {of}", query + 1));
                self.plans_of(query).await;
            }
            if self.plan.check_answers {
                let compared = |query: &usize| self.armed_queries[*query].is_compared();
                let compared: Vec<usize> = (0..of).filter(compared).collect();
                let of = compared.len();
                for (number, query) in (1..).zip(compared) {
                    let name = &self.armed_queries[query].query.name;
                    told(format!("comparing answers, {number} of {of}: {name}"));
                    self.answers(query).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = cut_off.cancelled() => self.cut_off().await,
            () = work => self.disconnect().await,
        }
        for (armed_query, found) in self.armed_queries.iter().zip(self.shared.snapshot()) {
            found.answers.tell_total(&armed_query.query.name);
        }
    }

    /// Ends what is in hand, on the server too.
    pub(crate) async fn cut_off(&mut self) {
        self.armed.cut_off().await;
    }

    /// Takes the plan of every query in every arm.
    async fn plans(&mut self) {
        for query in 0..self.armed_queries.len() {
            self.plans_of(query).await;
        }
    }

    /// Takes the plan of a query in each of its arms; of a transaction there is none.
    pub(crate) async fn plans_of(&mut self, query: usize) {
        if self.armed_queries[query].query.is_transaction() {
            return;
        }
        for arm in 0..self.armed_queries[query].arms.len() {
            self.plan_of(query, arm).await;
        }
    }

    /// Takes the plan of a query in one of its arms.
    pub(crate) async fn plan_of(&mut self, query: usize, arm: usize) {
        let armed_queries = Arc::clone(&self.armed_queries);
        let (asked, arms) = (armed_queries[query].asked(TYPICAL), &armed_queries[query].arms);
        let mut explained = self.armed.explain(asked, &arms[arm], self.plan.analyze).await;
        if let Err(StromError::Server(error)) = &explained
            && self.armed.settle(&arms[arm], error).await
        {
            explained = self.armed.explain(asked, &arms[arm], self.plan.analyze).await;
        }
        self.note_plan(query, arm, explained);
    }

    /// Ends its session; the next look opens a new one.
    pub(crate) async fn disconnect(&mut self) {
        self.armed.disconnect().await;
    }

    fn note_plan(&self, query: usize, arm: usize, explained: Result<Explained, StromError>) {
        let at_s = self.start.elapsed().as_secs_f64();
        let explained = match explained {
            Ok(explained) => explained,
            Err(error) => {
                tracing::debug!("the plan of `{}`: {error}", self.armed_queries[query].query.name);
                self.shared.note(query, |findings| {
                    findings.plans[arm].error = Some(error.to_string());
                });
                return;
            }
        };
        let armed_query = &self.armed_queries[query];
        let evidence = Evidence::read(&explained.json);
        let off_gpu = armed_query.arms[arm].gpu == Gpu::On
            && !matches!(evidence.verdict, Verdict::Gpu | Verdict::Remote);
        let hints = hint::hints(&armed_query.query.sql).filter(|_| off_gpu);
        let hints = hints
            .map(|hint| HintReport { cause: hint.cause.to_owned(), fix: hint.fix.to_owned() })
            .collect();
        let mut change = None;
        self.shared.note(query, |findings| {
            let history = &mut findings.plans[arm];
            history.looks += 1;
            history.looks_s += explained.took.as_secs_f64();
            history.error = None;
            history.reasons = if off_gpu { hint::reasons(&explained.notices) } else { Vec::new() };
            history.hints = hints;
            history.saw(&evidence, CHANGES_KEPT);
            let last = history.evidence.replace(evidence.clone());
            if let Some(last) = last
                && last.shape != evidence.shape
            {
                history.changed += 1;
                change = Some(PlanChange {
                    at_s,
                    from: last.verdict,
                    to: evidence.verdict,
                    from_shape: last.shape,
                    to_shape: evidence.shape.clone(),
                });
                if history.changes.len() < CHANGES_KEPT {
                    history.changes.extend(change.clone());
                }
            }
        });
        if let Some(PlanChange { from, to, from_shape, to_shape, .. }) = &change {
            let (name, arm) = (&armed_query.query.name, &armed_query.arms[arm]);
            tracing::info!(
                "the plan of `{name}` ({arm}) changed, {from} to {to}: {from_shape} -> {to_shape}"
            );
        }
        self.recorders[query][arm].note(|tally| {
            tally.evidence = Some(evidence.verdict.name());
            tally.plan_changes += u64::from(change.is_some());
        });
    }

    /// Compares the answers of the next query that has two arms.
    async fn next_answers(&mut self) {
        for _ in 0..self.armed_queries.len() {
            let query = self.next_answer % self.armed_queries.len();
            self.next_answer += 1;
            if self.answers(query).await {
                return;
            }
        }
    }

    /// Compares the answers of a query's two arms; `false` if there is nothing to compare.
    pub(crate) async fn answers(&mut self, query: usize) -> bool {
        let armed_queries = Arc::clone(&self.armed_queries);
        let ArmedQuery { query: Query { name, .. }, arms, .. } = &armed_queries[query];
        let ([first, second], true) = (arms.as_slice(), armed_queries[query].is_compared()) else {
            return false;
        };
        let (took, compared) = self.timed(query, [first, second]).await;
        let mut same = None;
        self.shared.note(query, |found| same = found.answers.note(name, took, compared));
        self.pairs[query].note(|tally| match same {
            Some(true) => tally.answers_same += 1,
            Some(false) => tally.answers_different += 1,
            None => tally.answers_failed += 1,
        });
        true
    }

    /// Compares the answers of a query in one of its arms and in a `reference`, which is none of
    /// them.
    pub(crate) async fn answers_beside(
        &mut self,
        query: usize,
        arm: usize,
        reference: &Arm,
    ) -> AnswerHistory {
        let armed_queries = Arc::clone(&self.armed_queries);
        let ArmedQuery { query: Query { name, answers, .. }, arms, .. } = &armed_queries[query];
        let mut history = AnswerHistory::default();
        if answers.compare != AnswerCompare::Off {
            let (took, compared) = self.timed(query, [reference, &arms[arm]]).await;
            history.note(&format!("{name}, {}", arms[arm]), took, compared);
        }
        history
    }

    /// Compares the answers in two arms; once more if the GPU service slept and was woken.
    async fn timed(
        &mut self,
        query: usize,
        arms: [&Arm; 2],
    ) -> (Duration, Result<Comparison, CompareError>) {
        let began = Instant::now();
        let number = self.compared[query];
        self.compared[query] += 1;
        // Boxed: large in every future that compares.
        let mut compared = Box::pin(self.compared(query, number, arms)).await;
        if let Err(CompareError::Server(StromError::Server(error))) = &compared
            && let Some(on_gpu) = arms.iter().find(|arm| arm.gpu == Gpu::On)
            && self.armed.settle(on_gpu, error).await
        {
            compared = Box::pin(self.compared(query, number, arms)).await;
        }
        (began.elapsed(), compared)
    }

    /// Compares the answers in two arms to one set of values, on one snapshot.
    async fn compared(
        &mut self,
        query: usize,
        number: u64,
        arms: [&Arm; 2],
    ) -> Result<Comparison, CompareError> {
        let armed_queries = Arc::clone(&self.armed_queries);
        let asked = armed_queries[query].asked(number);
        let (sql, rule) = (&*asked.literal(), &asked.query.answers);
        let on_gpu = arms.iter().any(|arm| arm.gpu == Gpu::On);
        let take = async |armed: &mut Armed| {
            // Asked for in each arm, whose search_path says what a name means.
            let first = armed.enter(arms[0]).await?.columns(sql).await?;
            let second = armed.enter(arms[1]).await?.columns(sql).await?;
            let question = Question { sql, rule, on_gpu };
            let mut comparer = Comparer::new(common(first, second)?, question, Limits::default())?;
            for (arm, side) in arms.into_iter().zip([Side::First, Side::Second]) {
                let session = armed.enter(arm).await?;
                session.execute("say how values are written", AS_TEXT).await?;
                session.each_row(sql, |row| comparer.row(side, row)).await??;
            }
            Ok::<_, CompareError>(comparer)
        };
        let comparer = self.armed.in_snapshot(take).await?;
        let limit = self.armed.limit();
        match timeout(limit, comparer.finish()).await {
            Ok(compared) => Ok(Comparison { values: asked.shown(), ..compared? }),
            Err(_) => Err(CompareError::TooLong { limit }),
        }
    }
}

/// The columns that two answers have in common, which must be all.
fn common(
    first: Vec<answer::Column>,
    second: Vec<answer::Column>,
) -> Result<Vec<answer::Column>, CompareError> {
    let names = |columns: &[answer::Column]| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    };
    let all = [names(&first), names(&second)];
    if all[0] != all[1] {
        return Err(CompareError::Columns(all.map(|names| names.join(", "))));
    }
    let both = first.into_iter().zip(second);
    Ok(both.map(|(a, b)| answer::Column { kind: a.kind.or(b.kind), ..a }).collect())
}

/// Why two answers could not be compared.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    /// The server failed, or an arm could not be entered.
    #[error(transparent)]
    Server(#[from] StromError),
    /// Nobody can tell whether they are the same, or they could not be kept.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// They have no columns in common.
    #[error("the arms answer with different columns: {} and {}", .0[0], .0[1])]
    Columns([String; 2]),
    /// It was given up.
    #[error(
        "comparing took longer than {} s, the limit for a statement and some more\n  fix: raise \
         `statement_timeout_s`, or let the query answer with fewer rows", limit.as_secs()
    )]
    TooLong {
        /// What it may take.
        limit: Duration,
    },
}

impl From<pg::Error> for CompareError {
    fn from(error: pg::Error) -> Self {
        Self::Server(error.into())
    }
}
