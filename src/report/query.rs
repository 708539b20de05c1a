//! What the plans of a query prove, for people.

use crate::result::arm::Gpu;
use crate::result::benchmark::BenchArmReport;
use crate::result::evidence::{PlanHistory, Verdict};
use crate::result::query::QueryReport;
use crate::result::sweep::CellReport;

impl QueryReport {
    /// The verdict for people.
    pub(super) fn evidence(&self) -> String {
        describe(self.gpu, self.plan.as_ref())
    }
}

/// What a plan proves, for people. An arm that is on and did not use the GPU is never called GPU.
pub(super) fn describe(gpu: Gpu, plan: Option<&PlanHistory>) -> String {
    let Some(evidence) = plan.and_then(|plan| plan.evidence.as_ref()) else {
        return "no plan".to_owned();
    };
    match (gpu, evidence.verdict) {
        (Gpu::On, Verdict::Cpu) => "on, but ran on the CPU".to_owned(),
        _ => evidence.describe(),
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
