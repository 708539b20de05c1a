//! The queries of a stream and their arms compared, as they are saved.

use super::plans::plan_history;
use super::{Findings, per_second};
use crate::plan::Query;
use crate::query::examine;
use crate::record::{PairTally, QueryTally, Times, Tried};
use crate::result::Status;
use crate::result::arm::Gpu;
use crate::result::evidence::Verdict;
use crate::result::query::{
    ComparisonReport, QueryHistograms, QueryReport, StatementReport, TriedArm, TriedReport,
};
use crate::stats::{self, Pair};
use crate::strom::Arm;

/// Everything known of a query.
#[derive(Debug)]
pub(in crate::engine) struct QueryFindings<'a> {
    /// The query.
    pub(in crate::engine) query: &'a Query,
    /// Its arms.
    pub(in crate::engine) arms: &'a [Arm],
    /// What its executions came to, by arm.
    pub(in crate::engine) tallies: Vec<&'a QueryTally>,
    /// Its pairs.
    pub(in crate::engine) pairs: &'a PairTally,
    /// Its plans and answers.
    pub(in crate::engine) examined: examine::Findings,
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
            cut: tally.cut,
            errors: tally.errors.clone(),
            fallback_rows: tally.fallback_rows,
            wait: tally.times.wait.percentiles(),
            service: tally.times.service.percentiles(),
            response: tally.times.response.percentiles(),
            statements: statements(query.query, tally),
            answer_age: tally.answer_age.percentiles(),
            freshness: tally.freshness.percentiles(),
            newest_age: tally.newest_age.percentiles(),
            // The base is what the other is measured by.
            histograms: QueryHistograms {
                wait: tally.times.wait.clone(),
                service: tally.times.service.clone(),
                response: tally.times.response.clone(),
                answer_age: tally.answer_age.clone(),
                freshness: tally.freshness.clone(),
                newest_age: tally.newest_age.clone(),
            },
            valid: number == 0 || !different,
            // Of a transaction nobody has looked for one.
            plan: match query.query.is_transaction() {
                true => None,
                false => plan_history(query.examined.plans.get(number).cloned(), &tally.by_plan),
            },
        };
        arms.map(report).collect::<Vec<_>>()
    };
    queries.iter().flat_map(of).collect()
}

/// What the executions of a transaction are made of; nothing of a statement.
fn statements(query: &Query, tally: &QueryTally) -> Vec<StatementReport> {
    if !query.is_transaction() {
        return Vec::new();
    }
    let own = query.statements.iter().map(|statement| statement.sql.as_str());
    let texts = std::iter::once("BEGIN").chain(own).chain(["COMMIT"]);
    let report = |(at, sql): (usize, &str)| StatementReport {
        sql: sql.to_owned(),
        service: tally.statements.get(at).and_then(Times::percentiles),
    };
    texts.enumerate().map(report).collect()
}

pub(super) fn comparisons(findings: &Findings<'_>) -> Vec<ComparisonReport> {
    let settings = stats::Settings::default();
    let compared = findings.queries.iter().filter(|query| query.arms.len() == 2);
    let reading = compared.clone().filter(|query| query.query.reads_table).count();
    let compared = compared.count();
    let of = |query: &QueryFindings<'_>| {
        let [base, other] = query.arms else { return None };
        let pairs = query.pairs;
        let valid = query.examined.answers.different == 0;
        // Only the last report is read by people.
        let ended = findings.status != Status::Running && !pairs.pairs.is_empty();
        let times = ended.then(|| {
            let (with_rows, rows) = pairs.with_rows();
            let mut times = stats::repeated_ratio(&pairs.by_repeat(), &settings);
            // No other query can know how many rows the table has.
            if query.query.reads_table {
                times.by_rows = stats::ratio_by_rows(&with_rows, &rows, reading, &settings);
            }
            if times.repeats.is_none() && valid {
                let all: Vec<Pair> = pairs.pairs.iter().map(|noted| noted.pair).collect();
                times.more_pairs = stats::more_pairs(&all, &times, compared);
            }
            times
        });
        // What the noise of the pairs foretells; else until the least number of them. Wrong answers are no
        // way to a verdict, however many.
        let pace_s = findings.scheduled.as_secs_f64() / pairs.count().max(1) as f64;
        let foretold = times.as_ref().and_then(|times| times.more_pairs);
        let verdict_in_s = foretold.map(|more| more as f64 * pace_s).or_else(|| {
            let left = pairs.reaches(settings.pairs_min, findings.scheduled);
            left.map(|left| left.as_secs_f64())
        });
        let verdict_in_s = verdict_in_s.filter(|_| valid);
        Some(ComparisonReport {
            query: query.query.name.clone(),
            arms: [base.name.clone(), other.name.clone()],
            pairs: pairs.count(),
            pairs_cold: pairs.cold,
            pairs_broken: pairs.broken,
            tried: tried(pairs).map(|tried| match stayed_on_the_cpu(query) {
                true => tried.without_ratio(),
                false => tried,
            }),
            verdict_in_s,
            times,
            valid,
            answers: query.examined.answers.clone(),
        })
    };
    let mut reports: Vec<ComparisonReport> = findings.queries.iter().filter_map(of).collect();
    let times = reports.iter_mut().filter_map(|report| report.times.as_mut());
    stats::holm(times, compared, &settings);
    reports
}

/// Whether a query with the GPU switched on ran on the CPU all the same: its arms then did the same work,
/// perhaps over other rows, and what one execution of each took is no ratio of anything.
fn stayed_on_the_cpu(query: &QueryFindings<'_>) -> bool {
    let arms = query.arms.iter().zip(&query.tallies).enumerate();
    let mut plans = arms.filter(|(_, (arm, _))| arm.gpu == Gpu::On).map(|(number, (_, tally))| {
        plan_history(query.examined.plans.get(number).cloned(), &tally.by_plan)
    });
    plans.any(|plan| plan.is_some_and(|plan| plan.verdict() == Verdict::Cpu))
}

/// What is known of a query that made no pair.
fn tried(pairs: &PairTally) -> Option<TriedReport> {
    let arm = |tried: Option<Tried>| {
        let Tried { after, cut } = tried?;
        Some(TriedArm { after_s: after.as_secs_f64(), cut })
    };
    let [base, other] = pairs.tried.map(arm);
    (pairs.count() == 0).then_some(TriedReport::of([base?, other?]))
}
