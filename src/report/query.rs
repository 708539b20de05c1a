//! What the plans of a query prove, for people.

use crate::result::arm::Gpu;
use crate::result::benchmark::BenchArmReport;
use crate::result::evidence::{PlanHistory, Verdict};
use crate::result::query::QueryReport;
use crate::result::sweep::CellReport;

impl QueryReport {
    /// The verdict for people. What was never asked has a plan, and has run on nothing.
    pub(super) fn evidence(&self) -> String {
        let says = describe(self.gpu, self.plan.as_ref());
        let failed: u64 = self.errors.values().sum();
        let asked = self.executions + self.interrupted + self.cut + failed;
        if asked == 0 && self.plan.is_some() { format!("planned: {says}") } else { says }
    }
}

/// What a plan proves, for people. An arm that is on and did not use the GPU is never called GPU.
pub(super) fn describe(gpu: Gpu, plan: Option<&PlanHistory>) -> String {
    match (gpu, plan.map(PlanHistory::verdict)) {
        (Gpu::On, Some(Verdict::Cpu)) => "on, but ran on the CPU".to_owned(),
        _ => plan.and_then(PlanHistory::describe).unwrap_or_else(|| "no plan".to_owned()),
    }
}

impl BenchArmReport {
    /// The verdict for people.
    pub(super) fn evidence(&self) -> String {
        describe(self.gpu, self.plan.as_ref())
    }
}

impl CellReport {
    /// What its plan proves, for people.
    pub(super) fn evidence(&self) -> String {
        describe(self.gpu, self.plan.as_ref())
    }
}
