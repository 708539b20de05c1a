//! What a sweep asks for: single executions, looks at plans and answers, each by itself.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use super::{ArmSamples, BenchError, Bencher, Executed, Limit};
use crate::pg;
use crate::query::examine::{AnswerHistory, Findings};
use crate::query::{Armed, Connection, Ended, TYPICAL, Work};
use crate::result::answers::TimedAnswers;
use crate::strom::evidence::{Evidence, Verdict};
use crate::strom::{Arm, StromError};

impl Bencher {
    /// Runs a query in an arm once, on its own, with the values of a number; nanoseconds, or `None` if it
    /// failed or was aborted. Only what is `measured` is in the histograms of its tally; `block` is
    /// [`Execution::block`].
    ///
    /// # Errors
    /// As for [`Bencher::measure`].
    pub(crate) async fn once(
        &mut self,
        (query, arm): (usize, usize),
        number: u64,
        samples: &mut ArmSamples,
        measured: bool,
        block: u64,
    ) -> Result<Option<u64>, BenchError> {
        self.block = block;
        Ok(match self.execute((query, arm), number, samples, measured, Limit::Fails).await? {
            Executed::Answered(ns) => Some(ns),
            Executed::Failed | Executed::Cut | Executed::Aborted => None,
        })
    }

    /// Times the answer of a sweep's reference, which is none of the arms, unless that was done or nobody
    /// wants to know: what the answers of all combinations are compared with.
    pub(crate) async fn time_reference(&mut self, query: usize, reference: &Arm) {
        let at = self.timed.reference(query);
        if !self.timed.lacks_answer(query, at) {
            return;
        }
        let armed_queries = Arc::clone(&self.armed_queries);
        let asked = armed_queries[query].asked(TYPICAL);
        self.timed.prepare(&mut self.armed, query, at, (asked, reference)).await;
        let reduction = self.timed.reduction(query, at);
        match self
            .armed
            .run_reduced(&Work::Statement(asked), reference, (&self.abort, None), reduction)
            .await
        {
            Ok(Ended::Answered(_)) => self.timed.answered(query, at, TYPICAL),
            Ok(Ended::AtLimit(_) | Ended::CutOff) => {}
            Err(error) => tracing::debug!("the answer of the reference: {error}"),
        }
    }

    /// What comparing the timed answers of a combination with the reference's came to.
    pub(crate) fn timed_beside(&self, query: usize, arm: usize) -> Option<TimedAnswers> {
        self.timed.compared(query, self.timed.reference(query), iter::once(arm))
    }

    /// Runs a query once within `limit`, on a session of its own, and says what its plan proves.
    ///
    /// # Errors
    /// When it was not answered.
    pub(crate) async fn probe(
        &self,
        query: usize,
        arm: usize,
        limit: Duration,
    ) -> Result<Verdict, StromError> {
        let (asked, arms) =
            (self.armed_queries[query].asked(TYPICAL), &self.armed_queries[query].arms);
        let statement_timeout = limit.min(self.connection.statement_timeout);
        let connection = Connection { statement_timeout, ..self.connection.clone() };
        let mut armed = Armed::new(connection, Arc::default());
        let plan = armed.explain(asked, &arms[arm], false).await?;
        let ran = armed.run(&Work::Statement(asked), &arms[arm], &self.abort, None).await?;
        armed.disconnect().await;
        match ran {
            Ended::Answered(_) => Ok(Evidence::read(&plan.json).verdict),
            Ended::AtLimit(_) | Ended::CutOff => Err(pg::Error::timed_out("run the query").into()),
        }
    }

    /// Takes the plan of a query in one of its arms.
    pub(crate) async fn look(&mut self, query: usize, arm: usize) {
        let cut_off = self.stop.run_until_cancelled(self.examiner.plan_of(query, arm)).await;
        if cut_off.is_none() {
            self.examiner.cut_off().await;
        }
    }

    /// Compares the answers of a query in one of its arms and in a `reference`, unless the profile
    /// leaves that out.
    pub(crate) async fn answers_beside(
        &mut self,
        query: usize,
        arm: usize,
        reference: &Arm,
    ) -> AnswerHistory {
        if !self.plan.evidence.check_answers {
            return AnswerHistory::default();
        }
        let comparing = self.examiner.answers_beside(query, arm, reference);
        match self.stop.run_until_cancelled(comparing).await {
            Some(compared) => compared,
            None => {
                self.examiner.cut_off().await;
                let not_compared = Some("interrupted".to_owned());
                AnswerHistory { not_compared, ..AnswerHistory::default() }
            }
        }
    }

    /// What was found out about plans, by query.
    pub(crate) fn findings(&self) -> Vec<Findings> {
        self.examiner.shared().snapshot()
    }
}
