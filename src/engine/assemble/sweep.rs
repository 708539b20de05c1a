//! A sweep's combinations, as they are saved.

use super::plans::plan_history;
use crate::bench::ArmSamples;
use crate::plan::sweep::{Mode, Sweep};
use crate::query::ArmedQuery;
use crate::query::examine::Findings;
use crate::result::answers::{AnswerHistory, TimedAnswers};
use crate::result::arm::Gpu;
use crate::result::sweep::{CellReport, SettingReport, SweepQueryReport, SweepReport, SweptReport};
use crate::stats::{self, Best};
use crate::sweep::{Checked, Swept};

/// What was measured, by query and combination.
#[derive(Debug)]
pub(in crate::engine) struct Cells {
    samples: Vec<Vec<ArmSamples>>,
    /// By query, round and combination, in nanoseconds.
    rounds: Vec<Vec<Vec<Option<u64>>>>,
    /// By query and combination.
    answers: Vec<Vec<AnswerHistory>>,
    /// Measured rounds that are over.
    ended: usize,
    /// Reloads of the configuration.
    pub(in crate::engine) reloads: u64,
    /// Restarts of the server.
    pub(in crate::engine) restarts: u64,
}

impl Cells {
    /// Nothing yet, for so many of each.
    pub(in crate::engine) fn new(queries: usize, combinations: usize, rounds: usize) -> Self {
        Self {
            samples: vec![vec![ArmSamples::default(); combinations]; queries],
            rounds: vec![vec![vec![None; combinations]; rounds]; queries],
            answers: vec![vec![AnswerHistory::default(); combinations]; queries],
            ended: 0,
            reloads: 0,
            restarts: 0,
        }
    }

    /// How a combination fares in a query.
    pub(in crate::engine) fn samples(
        &mut self,
        query: usize,
        combination: usize,
    ) -> &mut ArmSamples {
        &mut self.samples[query][combination]
    }

    /// Notes an execution; round 0 is not measured.
    pub(in crate::engine) fn note(
        &mut self,
        query: usize,
        combination: usize,
        round: usize,
        took: Option<u64>,
    ) {
        match round.checked_sub(1) {
            Some(round) => self.rounds[query][round][combination] = took,
            None => self.samples[query][combination].cold_ns = took,
        }
    }

    /// Notes what comparing the answer in a combination came to.
    pub(in crate::engine) fn note_answers(
        &mut self,
        query: usize,
        combination: usize,
        compared: AnswerHistory,
    ) {
        self.answers[query][combination] = compared;
    }

    /// Notes what the answers of a combination that were timed came to.
    pub(in crate::engine) fn note_timed(
        &mut self,
        query: usize,
        combination: usize,
        timed: Option<TimedAnswers>,
    ) {
        self.answers[query][combination].timed = timed;
    }

    /// A round is over.
    pub(in crate::engine) fn end_round(&mut self, round: usize) {
        self.ended = round;
    }
}

/// A sweep that has not begun.
pub(in crate::engine) fn sweep_begun(
    checked: &Checked,
    sweep: &Sweep,
    armed_queries: &[ArmedQuery],
) -> SweepReport {
    let swept = |swept: &Swept| SweptReport {
        name: swept.name.clone(),
        present: swept.present.clone(),
        applied_by: swept.applied_by,
        values: swept.values.clone(),
    };
    let combination = |combination| {
        let value = |(swept, value): (&Swept, Option<&crate::sweep::Value>)| SettingReport {
            name: swept.name.clone(),
            value: value.map(|value| value.written.clone()),
        };
        checked.values(combination).into_iter().map(value).collect()
    };
    let query = |armed_query: &ArmedQuery| SweepQueryReport {
        query: armed_query.query.name.clone(),
        sql: armed_query.query.sql.clone(),
        best: None,
        may_be_best: Vec::new(),
        rounds_min: 0,
        confidence: stats::Settings::default().confidence,
        combinations: armed_query.arms.iter().map(|arm| cell(arm.gpu)).collect(),
    };
    SweepReport {
        mode: match sweep.mode {
            Mode::Product => "product",
            Mode::OneAtATime => "one_at_a_time",
        }
        .to_owned(),
        settings: checked.settings.iter().map(swept).collect(),
        skipped: checked.skipped.clone(),
        rounds_planned: sweep.rounds,
        rounds: 0,
        reloads: 0,
        restarts: 0,
        not_restored: None,
        combinations: checked.combinations.iter().map(combination).collect(),
        queries: armed_queries.iter().map(query).collect(),
    }
}

/// Notes what has been measured so far.
pub(in crate::engine) fn note_sweep(
    sweep: &mut SweepReport,
    cells: &Cells,
    findings: Vec<Findings>,
) {
    sweep.rounds = cells.ended;
    (sweep.reloads, sweep.restarts) = (cells.reloads, cells.restarts);
    let measured = cells.samples.iter().zip(&cells.rounds).zip(&cells.answers).zip(findings);
    for (query, (((samples, rounds), answers), findings)) in sweep.queries.iter_mut().zip(measured)
    {
        for (cell, answers) in query.combinations.iter_mut().zip(answers) {
            cell.valid = !answers.differ();
            cell.answers = answers.clone();
        }
        let measured = |round: &Vec<Option<u64>>| round.iter().any(Option::is_some);
        let begun = rounds.iter().rposition(measured).map_or(0, |last| last + 1);
        let rounds = &rounds[..begun];
        let best = stats::best_of(&valid(query, rounds), &stats::Settings::default());
        query.may_be_best = best.candidates().collect();
        let Best { best, combinations, rounds_min, confidence } = best;
        (query.best, query.rounds_min, query.confidence) = (best, rounds_min, confidence);
        let mut plans = findings.plans.into_iter();
        for (number, (cell, samples)) in query.combinations.iter_mut().zip(samples).enumerate() {
            let ms = |ns: Option<f64>| ns.map(|ns| ns / 1e6);
            if let Some(own) = combinations.get(number) {
                (cell.rounds, cell.times_best) = (own.rounds, own.times_best);
                (cell.median_ms, cell.typical_ms) = (ms(own.median_ns), ms(own.typical_ns));
                cell.may_be_best = own.may_be_best;
                (cell.low_ms, cell.high_ms) = (ms(own.low_ns), ms(own.high_ns));
                cell.slower_so_far = own.slower_so_far;
            }
            cell.failures = samples.failures;
            cell.error.clone_from(&samples.error);
            cell.given_up = samples.given_up;
            cell.rows = samples.rows;
            cell.cold_ms = samples.cold_ns.map(|ns| ns as f64 / 1e6);
            cell.times_ns = rounds.iter().map(|round| round[number]).collect();
            cell.plan = plan_history(plans.next(), &samples.by_plan);
        }
    }
}

/// The rounds without combinations that answer wrongly: however fast, none is the best.
fn valid(query: &SweepQueryReport, rounds: &[Vec<Option<u64>>]) -> Vec<Vec<Option<u64>>> {
    let valid = |round: &Vec<Option<u64>>| {
        let cells = round.iter().zip(&query.combinations);
        cells.map(|(took, cell)| took.filter(|_| cell.valid)).collect()
    };
    rounds.iter().map(valid).collect()
}

/// A combination that has not been run.
fn cell(gpu: Gpu) -> CellReport {
    CellReport {
        rounds: 0,
        median_ms: None,
        typical_ms: None,
        low_ms: None,
        high_ms: None,
        times_best: None,
        may_be_best: false,
        slower_so_far: false,
        valid: true,
        answers: AnswerHistory::default(),
        failures: 0,
        error: None,
        given_up: false,
        rows: 0,
        cold_ms: None,
        times_ns: Vec::new(),
        gpu,
        plan: None,
    }
}
