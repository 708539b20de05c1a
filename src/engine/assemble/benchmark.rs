//! A benchmark's queries, as they are saved.

use super::plans::plan_history;
use crate::bench::{ArmSamples, Measured};
use crate::plan::bench::Order;
use crate::query::ArmedQuery;
use crate::result::benchmark::{BenchArmReport, BenchQueryReport};
use crate::result::gpu::GpuReport;
use crate::result::query::{TriedArm, TriedReport};
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
    let tried = tried(&arms).filter(|_| comparison.is_none());
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
            cuts: samples.cuts,
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
        tried,
        valid: !different,
        answers: examined.answers,
        gpus,
    }
}

/// What is known of two arms of which one takes longer than it may: the median of the other.
fn tried(arms: &[ArmSamples]) -> Option<TriedReport> {
    let [base, other] = arms else { return None };
    let arm = |samples: &ArmSamples| match samples.cut_after.filter(|_| samples.is_cut()) {
        Some(after) => Some(TriedArm { after_s: after.as_secs_f64(), cut: true }),
        None => {
            let times: Vec<f64> = samples.times_ns.iter().map(|ns| *ns as f64 / 1e9).collect();
            Some(TriedArm { after_s: stats::median(&times)?, cut: false })
        }
    };
    (base.is_cut() || other.is_cut()).then_some(())?;
    Some(TriedReport::of([arm(base)?, arm(other)?]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::result::query::RatioKnown;

    #[test]
    fn an_arm_that_is_cut_bounds_the_ratio() {
        let took = |ms: u64| ArmSamples { times_ns: vec![ms * 1_000_000; 3], ..Default::default() };
        let cut = |cuts| ArmSamples {
            cuts,
            cut_after: Some(Duration::from_secs(12)),
            ..ArmSamples::default()
        };
        let known = |arms: [ArmSamples; 2]| tried(&arms).map(|tried| (tried.known, tried.ratio));
        assert_eq!(known([cut(2), took(600)]), Some((RatioKnown::AtLeast, Some(20.0))));
        assert_eq!(known([took(6_000), cut(2)]), Some((RatioKnown::AtMost, Some(0.5))));
        assert_eq!(known([cut(2), cut(2)]), Some((RatioKnown::Nothing, None)));
        // Nothing is known of one that was cut once, cold, or of an other that never answered.
        assert_eq!(known([cut(1), took(600)]), None);
        assert_eq!(known([cut(2), ArmSamples::default()]), None);
        assert_eq!(known([took(9), took(600)]), None);
    }
}
