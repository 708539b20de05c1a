//! The result of a benchmark or a sweep while it grows.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::engine::gpus::Gpus;
use crate::pg::owner::RunId;
use crate::plan::{Plan, Watch};
use crate::profile::Profile;
use crate::result::server::ServerReport;
use crate::result::{Body, JobResult};

/// A result that grows: its body `B`, and what its envelope is made of.
pub(in crate::engine) struct Draft<B> {
    plan: Profile,
    run_id: String,
    watch: Watch,
    server: ServerReport,
    started_at: SystemTime,
    began: Instant,
    /// What has been measured so far.
    pub(in crate::engine) run: B,
}

impl<B: Clone + Into<Body>> Draft<B> {
    /// Of a job that begins now.
    pub(in crate::engine) fn begin<J>(
        plan: &Plan<J>,
        run_id: &RunId,
        server: ServerReport,
        run: B,
    ) -> Self {
        let (started_at, began) = (SystemTime::now(), Instant::now());
        let (run_id, watch) = (run_id.to_string(), plan.common.watch);
        Self { plan: plan.into(), run_id, watch, server, started_at, began, run }
    }

    /// The result so far, of a job that still runs.
    pub(in crate::engine) fn so_far(&self, gpus: &Gpus) -> JobResult {
        let gpus = super::gpus::report(self.watch, gpus.found(), &gpus.totals());
        let (plan, run_id, body) =
            (self.plan.clone(), self.run_id.clone(), self.run.clone().into());
        let mut result = super::envelope(plan, run_id, &self.server, gpus, body);
        result.began(self.started_at, self.began.elapsed());
        result
    }

    /// When it began.
    pub(in crate::engine) fn started_at(&self) -> SystemTime {
        self.started_at
    }
}
