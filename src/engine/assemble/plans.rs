//! What the plans of a query in an arm prove, with the executions that ran by each.

use crate::record::{ByPlan, PlanTally};
use crate::result::evidence::{ExecutedPlan, PlanHistory, PlanShape, Verdict};

/// What looks found, with what was executed.
pub(super) fn plan_history(looks: Option<PlanHistory>, ran: &ByPlan) -> Option<PlanHistory> {
    let plans = ran.plans();
    if looks.is_none() && plans.is_empty() {
        return None;
    }
    let executed = |plan: &&PlanTally| ExecutedPlan {
        hash: format!("{:016x}", plan.by.hash),
        verdict: Verdict::of_name(plan.by.verdict),
        words: plan.by.words.clone(),
        shape: plan.by.shape.clone(),
        executions: plan.service.count(),
        first_s: plan.first.as_secs_f64(),
        last_s: plan.last.as_secs_f64(),
        fallback_rows: plan.fallback_rows,
        service: plan.service.percentiles(),
    };
    let mut history = looks.unwrap_or_default();
    history.executed = plans.iter().map(executed).collect();
    (history.logged, history.looked, history.unknown) = (ran.logged, ran.looked, ran.unknown);
    for ExecutedPlan { hash, shape, .. } in &history.executed {
        if !history.shapes.iter().any(|known| known.hash == *hash) {
            history.shapes.push(PlanShape { hash: hash.clone(), shape: shape.clone() });
        }
    }
    Some(history)
}
