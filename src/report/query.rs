//! What came of the queries: each in each arm, and the arms of each compared.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Findings, Status, per_second};
use crate::plan::Query;
use crate::query::examine::{self, AnswerHistory, PlanHistory};
use crate::record::{Pair, PairTally, Percentiles, QueryTally};
use crate::stats::{self, Comparison};
use crate::strom::evidence::Verdict;
use crate::strom::{Arm, ArmSetting, Gpu};

/// Everything known of a query.
#[derive(Debug)]
pub struct QueryFindings<'a> {
    /// The query.
    pub query: &'a Query,
    /// Its arms.
    pub arms: &'a [Arm],
    /// What its executions came to, by arm.
    pub tallies: Vec<&'a QueryTally>,
    /// Its pairs.
    pub pairs: &'a PairTally,
    /// Its plans and answers.
    pub examined: examine::Findings,
}

/// What came of one query in one arm.
#[derive(Debug, Serialize)]
pub struct QueryReport {
    /// The query's name.
    pub query: String,
    /// The arm it ran in.
    pub arm: String,
    /// Whether the arm has the GPU switched on.
    pub gpu: Gpu,
    /// Settings of the arm.
    pub set: Vec<ArmSetting>,
    /// Executions answered, warm-up included.
    pub executions: u64,
    /// Measured executions per second.
    pub queries_per_s: f64,
    /// Rows received.
    pub rows: u64,
    /// Executions cut off because the run ended.
    pub interrupted: u64,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// From due to sent.
    pub wait: Option<Percentiles>,
    /// From sent to the last row.
    pub service: Option<Percentiles>,
    /// From due to the last row.
    pub response: Option<Percentiles>,
    /// Age of the newest event in the answer.
    pub answer_age: Option<Percentiles>,
    /// Whether its times may be counted: false if its answers differ from the other arm's.
    pub valid: bool,
    /// What its plans prove.
    pub plan: Option<PlanHistory>,
}

impl QueryReport {
    /// What the last plan proves.
    pub fn verdict(&self) -> Verdict {
        let evidence = self.plan.as_ref().and_then(|plan| plan.evidence.as_ref());
        evidence.map_or(Verdict::Unknown, |evidence| evidence.verdict)
    }

    /// The verdict for people.
    pub fn evidence(&self) -> String {
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

/// The two arms of a query, compared.
#[derive(Debug, Serialize)]
pub struct ComparisonReport {
    /// The query's name.
    pub query: String,
    /// Its arms: the base and the other.
    pub arms: [String; 2],
    /// Measured pairs.
    pub pairs: u64,
    /// Pairs in which an arm ran for the first time in its session; not among the samples.
    pub pairs_cold: u64,
    /// Pairs of which one half failed or was not measured.
    pub pairs_broken: u64,
    /// The times of the two, from the pairs; `None` until the end, or if there are none.
    pub times: Option<Comparison>,
    /// Whether the times mean anything: false if the answers differ.
    pub valid: bool,
    /// The answers of the two.
    pub answers: AnswerHistory,
}

pub(super) fn reports(queries: &[QueryFindings<'_>], measured_s: f64) -> Vec<QueryReport> {
    let of = |query: &QueryFindings<'_>| {
        let different = query.examined.answers.different > 0;
        let arms = query.arms.iter().zip(&query.tallies).enumerate();
        let report = |(number, (arm, tally)): (usize, (&Arm, &&QueryTally))| QueryReport {
            query: query.query.name.clone(),
            arm: arm.name.clone(),
            gpu: arm.gpu,
            set: arm.set.clone(),
            executions: tally.executions,
            queries_per_s: per_second(tally.executions_measured, measured_s),
            rows: tally.rows,
            interrupted: tally.interrupted,
            errors: tally.errors.clone(),
            fallback_rows: tally.fallback_rows,
            wait: tally.times.wait.percentiles(),
            service: tally.times.service.percentiles(),
            response: tally.times.response.percentiles(),
            answer_age: tally.answer_age.percentiles(),
            // The base is what the other is measured by.
            valid: number == 0 || !different,
            plan: query.examined.plans.get(number).cloned(),
        };
        arms.map(report).collect::<Vec<_>>()
    };
    queries.iter().flat_map(of).collect()
}

pub(super) fn comparisons(findings: &Findings<'_>) -> Vec<ComparisonReport> {
    let settings =
        stats::Settings { seed: findings.plan.common.seed, ..stats::Settings::default() };
    let of = |query: &QueryFindings<'_>| {
        let [base, other] = query.arms else { return None };
        let pairs = query.pairs;
        let sample = |pair: &Pair| {
            let [a_ns, b_ns] = pair.times_ns;
            stats::Pair { a_ns, b_ns }
        };
        let samples: Vec<_> = pairs.pairs.iter().map(sample).collect();
        // Resampling takes its time, and only the last report is read by people.
        let ended = findings.status != Status::Running && !samples.is_empty();
        Some(ComparisonReport {
            query: query.query.name.clone(),
            arms: [base.name.clone(), other.name.clone()],
            pairs: pairs.count(),
            pairs_cold: pairs.cold,
            pairs_broken: pairs.broken,
            times: ended.then(|| stats::paired_ratio(&samples, &settings)),
            valid: query.examined.answers.different == 0,
            answers: query.examined.answers.clone(),
        })
    };
    findings.queries.iter().filter_map(of).collect()
}
