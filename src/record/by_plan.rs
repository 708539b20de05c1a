//! Executions by the plan that they ran by: a plan that flips makes two kinds of samples.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Times;

/// Plans of a query in an arm that are told apart; whatever comes after is put together.
const PLANS_MAX: usize = 20;

/// A plan that executions ran by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanBy {
    /// Tells it apart.
    pub hash: u64,
    /// What it proves, in a word.
    pub verdict: &'static str,
    /// The same with what it rests on, for people.
    pub words: String,
    /// The plan in a line.
    pub shape: String,
}

impl RanBy {
    /// Stands for all plans beyond those that are told apart.
    fn others() -> Self {
        let words = "other plans".to_owned();
        Self { hash: u64::MAX, verdict: "unknown", words, shape: String::new() }
    }
}

/// The plan of an execution, and how it is known.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The plan.
    pub by: Arc<RanBy>,
    /// Whether the server said so of this very execution; else it is the last plan that was asked
    /// for, on the same session, a moment before or after.
    pub logged: bool,
}

/// What the executions by one plan came to.
#[derive(Debug, Clone)]
pub struct PlanTally {
    /// The plan.
    pub by: Arc<RanBy>,
    /// When the first of them was sent, since the start of the schedule.
    pub first: Duration,
    /// When the last of them was sent.
    pub last: Duration,
    /// From sent to the last row.
    pub service: Times,
    /// Rows that the GPU handed back to the CPU, by the server's messages.
    pub fallback_rows: u64,
}

/// The measured executions of a query in an arm, by plan.
#[derive(Debug, Clone, Default)]
pub struct ByPlan {
    plans: BTreeMap<u64, PlanTally>,
    /// Executions of which the server said the plan.
    pub logged: u64,
    /// Executions whose plan was asked for beside them.
    pub looked: u64,
    /// Executions whose plan is not known.
    pub unknown: u64,
}

impl ByPlan {
    /// Notes an execution that was sent at `start`.
    pub fn note(
        &mut self,
        ran: Option<&Ran>,
        start: Duration,
        service: Duration,
        fallback_rows: u64,
    ) {
        let Some(Ran { by, logged }) = ran else {
            self.unknown += 1;
            return;
        };
        *if *logged { &mut self.logged } else { &mut self.looked } += 1;
        let tally = self.of(by, start);
        (tally.first, tally.last) = (tally.first.min(start), tally.last.max(start));
        tally.service.record(service);
        tally.fallback_rows += fallback_rows;
    }

    /// Adds others.
    pub fn merge(&mut self, others: &Self) {
        self.logged += others.logged;
        self.looked += others.looked;
        self.unknown += others.unknown;
        for other in others.plans.values() {
            let tally = self.of(&other.by, other.first);
            tally.first = tally.first.min(other.first);
            tally.last = tally.last.max(other.last);
            tally.service.merge(&other.service);
            tally.fallback_rows += other.fallback_rows;
        }
    }

    /// Each plan, by when it was first seen.
    pub fn plans(&self) -> Vec<&PlanTally> {
        let mut plans: Vec<_> = self.plans.values().collect();
        plans.sort_by_key(|tally| tally.first);
        plans
    }

    fn of(&mut self, by: &Arc<RanBy>, start: Duration) -> &mut PlanTally {
        let known = self.plans.contains_key(&by.hash) || self.plans.len() < PLANS_MAX;
        let by = if known { Arc::clone(by) } else { Arc::new(RanBy::others()) };
        self.plans.entry(by.hash).or_insert_with(|| PlanTally {
            by,
            first: start,
            last: start,
            service: Times::default(),
            fallback_rows: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(hash: u64, logged: bool) -> Ran {
        let (words, shape) = (String::new(), hash.to_string());
        Ran { by: Arc::new(RanBy { hash, verdict: "cpu", words, shape }), logged }
    }

    #[test]
    fn each_plan_has_its_own_times_whoever_saw_it() {
        let s = Duration::from_secs;
        let (mut one, mut other) = (ByPlan::default(), ByPlan::default());
        one.note(Some(&ran(7, true)), s(3), s(10), 0);
        one.note(None, s(4), s(1), 0);
        other.note(Some(&ran(7, false)), s(1), s(20), 5);
        other.note(Some(&ran(5, false)), s(2), s(1), 0);
        one.merge(&other);
        assert_eq!((one.logged, one.looked, one.unknown), (1, 2, 1));
        let plans = one.plans();
        let told: Vec<_> = plans.iter().map(|plan| (plan.by.hash, plan.first, plan.last)).collect();
        assert_eq!(told, [(7, s(1), s(3)), (5, s(2), s(2))]);
        assert_eq!((plans[0].service.count(), plans[0].fallback_rows), (2, 5));
    }

    #[test]
    fn plans_without_end_are_put_together_and_none_is_lost() {
        let mut all = ByPlan::default();
        for hash in 0..1000 {
            all.note(Some(&ran(hash, true)), Duration::from_secs(hash), Duration::from_secs(1), 0);
        }
        let plans = all.plans();
        assert_eq!(plans.len(), PLANS_MAX + 1);
        assert_eq!(plans.last().unwrap().by.words, "other plans");
        assert_eq!(plans.iter().map(|plan| plan.service.count()).sum::<u64>(), 1000);
    }
}
