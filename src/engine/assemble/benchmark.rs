//! A benchmark's queries, as they are saved.

use super::plans::plan_history;
use crate::bench::{ArmSamples, Measured};
use crate::plan::bench::Order;
use crate::query::ArmedQuery;
use crate::result::benchmark::{BenchArmReport, BenchQueryReport};
use crate::result::gpu::GpuReport;
use crate::stats;
use crate::strom::Arm;

/// What came of a query.
pub(in crate::engine) fn benchmark_query(
    armed_query: &ArmedQuery,
    measured: Measured,
    order: Order,
    gpus: Vec<GpuReport>,
) -> BenchQueryReport {
    let Measured { arms, comparison, halted, examined, took, .. } = measured;
    let different = examined.answers.differ();
    let mut plans = examined.plans.into_iter();
    let arm = |(arm, samples): (&Arm, ArmSamples)| {
        let mut sorted: Vec<f64> = samples.times_ns.iter().map(|ns| *ns as f64 / 1e6).collect();
        sorted.sort_by(f64::total_cmp);
        let median_ms = stats::median(&sorted);
        BenchArmReport {
            arm: arm.name.clone(),
            gpu: arm.gpu,
            set: arm.set.clone(),
            executions: sorted.len(),
            median_ms,
            min_ms: sorted.first().copied(),
            max_ms: sorted.last().copied(),
            queries_per_s: median_ms.map(|ms| 1e3 / ms),
            cold_ms: samples.cold_ns.map(|ns| ns as f64 / 1e6),
            rows: samples.rows,
            failures: samples.failures,
            error: samples.error,
            given_up: samples.given_up,
            fallback_rows: samples.fallback_rows,
            times_ns: samples.times_ns,
            plan: plan_history(plans.next(), &samples.by_plan),
        }
    };
    BenchQueryReport {
        query: armed_query.query.name.clone(),
        sql: armed_query.query.sql.clone(),
        halted,
        interleaved: order == Order::Interleaved,
        took_s: took.as_secs_f64(),
        arms: armed_query.arms.iter().zip(arms).map(arm).collect(),
        times: comparison,
        valid: !different,
        answers: examined.answers,
        gpus,
    }
}
