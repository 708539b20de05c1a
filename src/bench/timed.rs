//! The answers of timed executions, as digests: on tables that stand still all of a query are the same, in
//! whatever arm. So the answer that was timed is the one that was checked.

use crate::answer::{Question, Timed};
use crate::pg::{AnswerForm, Reduction, SharedForm};
use crate::plan::{AnswerCompare, Query};
use crate::query::{Armed, ArmedQuery};
use crate::result::answers::TimedAnswers;
use crate::strom::{Arm, Gpu};

/// Of all queries.
pub(super) struct TimedDigests(Vec<OfQuery>);

struct OfQuery {
    /// Whether they are to be compared.
    wanted: bool,
    on_gpu: bool,
    /// By arm, and the reference of a sweep behind them, once the query was answered there.
    forms: Vec<Option<AnswerForm>>,
    /// What those have in common.
    shared: Option<SharedForm>,
    /// By arm.
    reductions: Vec<Option<Reduction>>,
    timed: Timed,
    /// Why some are not known, if so.
    failed: Option<String>,
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
            OfQuery {
                wanted: check_answers && compared && arms > 2,
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
        self.0[query].wanted && self.0[query].reductions[arm].is_none()
    }

    /// Whether no answer of an arm was timed yet that is to be.
    pub(super) fn lacks_answer(&self, query: usize, arm: usize) -> bool {
        self.0[query].wanted && self.0[query].timed.executions(arm) == 0
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
        asked: (&Query, &Arm),
    ) {
        let (Query { sql, answers: rule, .. }, arm) = asked;
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

    /// An execution was answered.
    pub(super) fn answered(&mut self, query: usize, arm: usize) {
        let OfQuery { reductions, timed, .. } = &mut self.0[query];
        if let Some(Reduction { reducer, .. }) = &mut reductions[arm] {
            let digest = reducer.take();
            timed.note(arm, reducer, digest);
        }
    }

    /// What comparing the answers in `arms` with those in `base` came to; `None` if nobody wanted to know,
    /// or no arm was run more than once.
    pub(super) fn compared(
        &self,
        query: usize,
        base: usize,
        arms: impl Iterator<Item = usize>,
    ) -> Option<TimedAnswers> {
        let OfQuery { wanted, reductions, timed, failed, .. } = &self.0[query];
        let mut found = TimedAnswers::default();
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
