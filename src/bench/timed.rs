//! The answers of timed executions, as digests: on tables that stand still all of a query are the same, in
//! whatever arm. So the answer that was timed is the one that was checked.

use crate::answer::{Digest, Question, Reducer, Timed};
use crate::pg::{AnswerForm, Reduction, SharedForm};
use crate::plan::{AnswerCompare, Protocol};
use crate::query::{Armed, ArmedQuery, Asked};
use crate::result::answers::TimedAnswers;
use crate::strom::{Arm, Gpu};

/// Of all queries.
pub(super) struct TimedDigests(Vec<OfQuery>);

struct OfQuery {
    /// Whether they are to be compared.
    wanted: bool,
    /// Whether they come as text, of which no digests are made.
    in_text: bool,
    on_gpu: bool,
    /// By arm, and the reference of a sweep behind them, once the query was answered there.
    forms: Vec<Option<AnswerForm>>,
    /// What those have in common.
    shared: Option<SharedForm>,
    /// By arm.
    reductions: Vec<Option<Reduction>>,
    timed: Timed,
    /// Of a query with parameters.
    by_values: Option<ByValues>,
    /// Why some are not known, if so.
    failed: Option<String>,
}

/// The answers of a query with parameters: those with the same values are compared as they come.
#[derive(Default)]
struct ByValues {
    /// The last one: the number of its values, its arm, and the answer.
    last: Option<(u64, usize, Digest)>,
    executions: u64,
    different: u64,
    what: Option<String>,
}

impl ByValues {
    fn note(&mut self, number: u64, arm: usize, reducer: &Reducer, digest: Digest) {
        match self.last.take() {
            Some((of, other, last)) if of == number && other != arm => {
                self.executions += 2;
                if let Some(what) = reducer.differ(&last, &digest) {
                    self.different += 1;
                    self.what.get_or_insert(what);
                }
            }
            _ => self.last = Some((number, arm, digest)),
        }
    }
}

impl OfQuery {
    /// Has digests made of the answers of all arms that are known, in such a way that they can be compared.
    fn reduce(&mut self, question: Question<'_>) {
        let Some(shared) = SharedForm::of(self.forms.iter().flatten()) else {
            self.failed.get_or_insert_with(|| "the arms answer with other columns".to_owned());
            return;
        };
        let reducer = match shared.reducer(question) {
            Ok(reducer) => reducer,
            Err(error) => {
                self.failed = Some(error.to_string());
                return;
            }
        };
        let as_before = self.shared.replace(shared.clone()).is_none_or(|before| before == shared);
        if !as_before {
            // Digests so far are of other things.
            self.timed = Timed::new(self.forms.len());
            self.by_values = self.by_values.take().map(|_| ByValues::default());
        }
        for (form, reduction) in self.forms.iter().zip(&mut self.reductions) {
            if let Some(form) = form.as_ref().filter(|_| !as_before || reduction.is_none()) {
                *reduction = Some(Reduction::new(form, reducer.clone()));
            }
        }
    }
}

impl TimedDigests {
    /// None yet.
    pub(super) fn new(armed_queries: &[ArmedQuery], check_answers: bool) -> Self {
        let of_query = |armed_query: &ArmedQuery| {
            let arms = armed_query.arms.len() + 1;
            let compared = armed_query.query.answers.compare != AnswerCompare::Off;
            let in_text = armed_query.query.protocol == Protocol::Simple;
            let has_parameters = armed_query.query.parameters.is_some();
            OfQuery {
                wanted: check_answers && compared && arms > 2,
                in_text,
                by_values: has_parameters.then(ByValues::default),
                on_gpu: armed_query.arms.iter().any(|arm| arm.gpu == Gpu::On),
                forms: vec![None; arms],
                shared: None,
                reductions: vec![None; arms],
                timed: Timed::new(arms),
                failed: None,
            }
        };
        Self(armed_queries.iter().map(of_query).collect())
    }

    /// The place of a sweep's reference among the arms of a query.
    pub(super) fn reference(&self, query: usize) -> usize {
        self.0[query].reductions.len() - 1
    }

    /// Whether nothing is known yet of an arm that is to be known of.
    pub(super) fn lacks(&self, query: usize, arm: usize) -> bool {
        let own = &self.0[query];
        own.wanted && !own.in_text && own.reductions[arm].is_none()
    }

    /// Whether no answer of an arm was timed yet that is to be.
    pub(super) fn lacks_answer(&self, query: usize, arm: usize) -> bool {
        // With parameters the reference's values are those of one execution.
        let own = &self.0[query];
        own.wanted && !own.in_text && own.by_values.is_none() && own.timed.executions(arm) == 0
    }

    /// What the next execution in an arm is to hand its rows to.
    pub(super) fn reduction(&mut self, query: usize, arm: usize) -> Option<&mut Reduction> {
        let reduction = self.0[query].reductions[arm].as_mut()?;
        // One that failed in the middle has left something.
        reduction.reducer.take();
        Some(reduction)
    }

    /// Prepares for the further executions of a query in an arm. Behind the first one: before it, it
    /// would warm what is to be cold.
    pub(super) async fn prepare(
        &mut self,
        armed: &mut Armed,
        query: usize,
        at: usize,
        (asked, arm): (Asked<'_>, &Arm),
    ) {
        let (sql, rule) = (&*asked.literal(), &asked.query.answers);
        let own = &mut self.0[query];
        let made = async { Ok(armed.enter(arm).await?.form(sql).await?) };
        match made.await {
            Ok(form) => {
                own.forms[at] = Some(form);
                own.reduce(Question { sql, rule, on_gpu: own.on_gpu });
            }
            // What is wrong with the session the next execution tells.
            Err::<_, crate::strom::StromError>(error) => tracing::debug!("{error}"),
        }
    }

    /// An execution was answered, with the values of a number.
    pub(super) fn answered(&mut self, query: usize, arm: usize, number: u64) {
        let OfQuery { reductions, timed, by_values, .. } = &mut self.0[query];
        if let Some(Reduction { reducer, .. }) = &mut reductions[arm] {
            let digest = reducer.take();
            match by_values {
                Some(by_values) => by_values.note(number, arm, reducer, digest),
                None => timed.note(arm, reducer, digest),
            }
        }
    }

    /// What comparing the answers in `arms` with those in `base` came to; `None` if nobody wanted to know,
    /// no arm was run more than once, they came as text, or no two were asked with the same values in a row.
    pub(super) fn compared(
        &self,
        query: usize,
        base: usize,
        arms: impl Iterator<Item = usize>,
    ) -> Option<TimedAnswers> {
        let OfQuery { wanted, reductions, timed, failed, by_values, .. } = &self.0[query];
        let mut found = TimedAnswers::default();
        if let Some(by_values) = by_values.as_ref().filter(|_| *wanted) {
            let reduction = reductions.iter().flatten().next()?;
            // Of a sweep or a sequential order, in which nothing is asked twice in a row.
            if base == self.reference(query) || by_values.executions == 0 {
                return None;
            }
            found.left_out = reduction.reducer.left_out().to_vec();
            found.not_compared.clone_from(failed);
            if failed.is_none() {
                found.executions = by_values.executions;
                found.different = by_values.different;
                found.what.clone_from(&by_values.what);
            }
            return Some(found);
        }
        let reduction = reductions[base].as_ref().or(reductions.iter().flatten().next());
        let any = (0..reductions.len()).any(|arm| timed.executions(arm) > 0);
        let reduction = reduction.filter(|_| *wanted && any)?;
        found.left_out = reduction.reducer.left_out().to_vec();
        found.not_compared.clone_from(failed);
        for arm in arms {
            found.executions += timed.executions(arm);
            match timed.different(base, arm, &reduction.reducer) {
                _ if found.not_compared.is_some() => {}
                Ok((different, what)) => {
                    found.different += different;
                    found.what = found.what.or(what);
                }
                Err(why) => found.not_compared = Some(why),
            }
        }
        Some(found)
    }
}
