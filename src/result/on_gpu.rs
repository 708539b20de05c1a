//! The queries that ran with the GPU on, whatever the job was.

use super::arm::Gpu;
use super::evidence::{PlanHistory, Verdict};
use super::server::ServerReport;
use super::{Body, JobResult};

/// A query in an arm, or a combination of a sweep, that has the GPU on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnGpu<'a> {
    /// Its name.
    pub(crate) query: &'a str,
    /// Its plans, as far as they are known.
    pub(crate) plan: Option<&'a PlanHistory>,
    /// Rows that the GPU handed back to the CPU, by the server's messages.
    pub(crate) fallback_rows: u64,
}

impl OnGpu<'_> {
    /// What its plans prove.
    pub(crate) fn proof(&self) -> Verdict {
        self.plan.map_or(Verdict::Unknown, PlanHistory::verdict)
    }
}

impl JobResult {
    /// Every query in each arm, or combination, that has the GPU on.
    pub(crate) fn on_gpu(&self) -> Vec<OnGpu<'_>> {
        type Found<'a> = (&'a str, Gpu, Option<&'a PlanHistory>, u64);
        let all: Vec<Found<'_>> = match &self.body {
            Body::Stream(_) | Body::Faults(_) => {
                let queries = self.stream().into_iter().flat_map(|run| &run.queries);
                let found =
                    queries.map(|own| (&*own.query, own.gpu, own.plan.as_ref(), own.fallback_rows));
                found.collect()
            }
            Body::Benchmark(run) => {
                let arms = run.queries().flat_map(|own| own.arms.iter().map(move |arm| (own, arm)));
                let found = arms
                    .map(|(own, arm)| (&*own.query, arm.gpu, arm.plan.as_ref(), arm.fallback_rows));
                found.collect()
            }
            Body::Sweep(run) => {
                let queries = run.sweep.queries.iter();
                let cells =
                    queries.flat_map(|own| own.combinations.iter().map(move |cell| (own, cell)));
                cells.map(|(own, cell)| (&*own.query, cell.gpu, cell.plan.as_ref(), 0)).collect()
            }
        };
        let on = all.into_iter().filter(|(_, gpu, ..)| *gpu == Gpu::On);
        on.map(|(query, _, plan, fallback_rows)| OnGpu { query, plan, fallback_rows }).collect()
    }

    /// The server that the queries were asked of.
    pub(crate) fn queried_server(&self) -> &ServerReport {
        self.stream().map_or(&self.server, |run| run.readers.server_or(&self.server))
    }
}
