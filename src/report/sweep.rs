//! The saved result of a sweep.

mod render;

use serde::Serialize;

use crate::bench::{ArmError, ArmSamples};
use crate::plan::sweep::{Mode, Sweep};
use crate::query::Trial;
use crate::query::examine::{AnswerHistory, Findings, PlanHistory};
use crate::stats::{self, Best};
use crate::strom::Gpu;
use crate::sweep::{Checked, Skipped, Swept};

pub(super) use render::{markdown, text, verdicts};

/// What was measured, by query and combination.
#[derive(Debug)]
pub struct Cells {
    samples: Vec<Vec<ArmSamples>>,
    /// By query, round and combination, in nanoseconds.
    rounds: Vec<Vec<Vec<Option<u64>>>>,
    /// By query and combination.
    answers: Vec<Vec<AnswerHistory>>,
    /// Measured rounds that are over.
    ended: usize,
    /// Reloads of the configuration.
    pub reloads: u64,
    /// Restarts of the server.
    pub restarts: u64,
}

impl Cells {
    /// Nothing yet, for so many of each.
    pub fn new(queries: usize, combinations: usize, rounds: usize) -> Self {
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
    pub fn samples(&mut self, query: usize, combination: usize) -> &mut ArmSamples {
        &mut self.samples[query][combination]
    }

    /// Notes an execution; round 0 is not measured.
    pub fn note(&mut self, query: usize, combination: usize, round: usize, took: Option<u64>) {
        match round.checked_sub(1) {
            Some(round) => self.rounds[query][round][combination] = took,
            None => self.samples[query][combination].cold_ns = took,
        }
    }

    /// Notes what comparing the answer in a combination came to.
    pub fn note_answers(&mut self, query: usize, combination: usize, compared: AnswerHistory) {
        self.answers[query][combination] = compared;
    }

    /// A round is over.
    pub fn end_round(&mut self, round: usize) {
        self.ended = round;
    }
}

/// A sweep, as saved.
#[derive(Debug, Serialize)]
pub struct SweepReport {
    /// Which combinations were asked for.
    pub mode: &'static str,
    /// The settings, as this server has them.
    pub settings: Vec<Swept>,
    /// Settings that were left out.
    pub skipped: Vec<Skipped>,
    /// Rounds that were asked for.
    pub rounds_planned: u32,
    /// Rounds that are over.
    pub rounds: usize,
    /// Times that the configuration was reloaded.
    pub reloads: u64,
    /// Times that the server was restarted.
    pub restarts: u64,
    /// Why the server's configuration was not put back, if it was not.
    pub not_restored: Option<String>,
    /// The values of each combination.
    pub combinations: Vec<Vec<SettingReport>>,
    /// What came of each query.
    pub queries: Vec<SweepQueryReport>,
    #[serde(skip)]
    seed: u64,
}

/// A value in a combination.
#[derive(Debug, Clone, Serialize)]
pub struct SettingReport {
    /// The setting.
    pub name: String,
    /// Its value; `None`: as the server had it.
    pub value: Option<String>,
}

/// What came of a query.
#[derive(Debug, Serialize)]
pub struct SweepQueryReport {
    /// Its name.
    pub query: String,
    /// As it was run.
    pub sql: String,
    /// The combination with the least median, by its place in `combinations`.
    pub best: Option<usize>,
    /// All that cannot be told from it, and it.
    pub may_be_best: Vec<usize>,
    /// Rounds that a combination needs before it can be excluded.
    pub rounds_min: usize,
    /// With this probability all that are as good as the best are among those.
    pub confidence: f64,
    /// What came of each combination, in their order.
    pub combinations: Vec<CellReport>,
}

/// What came of a combination in a query.
#[derive(Debug, Serialize)]
pub struct CellReport {
    /// Rounds in which it was measured.
    pub rounds: usize,
    /// Median service time, in milliseconds.
    pub median_ms: Option<f64>,
    /// Lower end of its interval, in milliseconds.
    pub low_ms: Option<f64>,
    /// Upper end of its interval, in milliseconds.
    pub high_ms: Option<f64>,
    /// Its median ÷ the best one.
    pub times_best: Option<f64>,
    /// Whether it may be the best one.
    pub may_be_best: bool,
    /// Whether its times mean anything: false if its answer differs from the reference's.
    pub valid: bool,
    /// What comparing the two answers came to.
    pub answers: AnswerHistory,
    /// Executions that failed.
    pub failures: u64,
    /// Why the last of those did.
    pub error: Option<ArmError>,
    /// Whether it was given up.
    pub given_up: bool,
    /// Rows of its answer.
    pub rows: u64,
    /// Service time of the first execution, which is not measured, in milliseconds.
    pub cold_ms: Option<f64>,
    /// Service time by round, in nanoseconds.
    pub times_ns: Vec<Option<u64>>,
    /// Whether it has the GPU switched on.
    pub gpu: Gpu,
    /// What its plan proves.
    pub plan: Option<PlanHistory>,
}

impl SweepReport {
    /// Makes the report of a sweep that has not begun.
    pub fn new(checked: &Checked, sweep: &Sweep, trials: &[Trial], seed: u64) -> Self {
        let combination = |combination| {
            let value = |(swept, value): (&Swept, Option<&crate::sweep::Value>)| SettingReport {
                name: swept.name.clone(),
                value: value.map(|value| value.written.clone()),
            };
            checked.values(combination).into_iter().map(value).collect()
        };
        let query = |trial: &Trial| SweepQueryReport {
            query: trial.query.name.clone(),
            sql: trial.query.sql.clone(),
            best: None,
            may_be_best: Vec::new(),
            rounds_min: 0,
            confidence: stats::Settings::default().confidence,
            combinations: trial.arms.iter().map(|arm| CellReport::new(arm.gpu)).collect(),
        };
        Self {
            mode: match sweep.mode {
                Mode::Product => "product",
                Mode::OneAtATime => "one_at_a_time",
            },
            settings: checked.settings.clone(),
            skipped: checked.skipped.clone(),
            rounds_planned: sweep.rounds,
            rounds: 0,
            reloads: 0,
            restarts: 0,
            not_restored: None,
            combinations: checked.combinations.iter().map(combination).collect(),
            queries: trials.iter().map(query).collect(),
            seed,
        }
    }

    /// Every combination of every query.
    pub fn cells(&self) -> impl Iterator<Item = &CellReport> {
        self.queries.iter().flat_map(|query| &query.combinations)
    }

    /// Notes what there is.
    pub fn note(&mut self, cells: &Cells, findings: Vec<Findings>) {
        self.rounds = cells.ended;
        (self.reloads, self.restarts) = (cells.reloads, cells.restarts);
        let measured = cells.samples.iter().zip(&cells.rounds).zip(&cells.answers).zip(findings);
        for (query, (((samples, rounds), answers), findings)) in
            self.queries.iter_mut().zip(measured)
        {
            for (cell, answers) in query.combinations.iter_mut().zip(answers) {
                cell.valid = answers.different == 0;
                cell.answers = answers.clone();
            }
            let settings = stats::Settings { seed: self.seed, ..stats::Settings::default() };
            let best = stats::best_of(&query.valid(rounds), &settings);
            query.may_be_best = best.candidates().collect();
            let Best { best, combinations, rounds_min, confidence } = best;
            (query.best, query.rounds_min, query.confidence) = (best, rounds_min, confidence);
            let mut plans = findings.plans.into_iter();
            for (number, (cell, samples)) in query.combinations.iter_mut().zip(samples).enumerate()
            {
                let ms = |ns: Option<f64>| ns.map(|ns| ns / 1e6);
                if let Some(own) = combinations.get(number) {
                    (cell.rounds, cell.times_best) = (own.rounds, own.times_best);
                    (cell.median_ms, cell.may_be_best) = (ms(own.median_ns), own.may_be_best);
                    (cell.low_ms, cell.high_ms) = (ms(own.low_ns), ms(own.high_ns));
                }
                cell.failures = samples.failures;
                cell.error.clone_from(&samples.error);
                cell.given_up = samples.given_up;
                cell.rows = samples.rows;
                cell.cold_ms = samples.cold_ns.map(|ns| ns as f64 / 1e6);
                cell.times_ns = rounds.iter().map(|round| round[number]).collect();
                cell.plan = plans.next();
            }
        }
    }
}

impl SweepQueryReport {
    /// The rounds without combinations that answer wrongly: however fast, none is the best.
    fn valid(&self, rounds: &[Vec<Option<u64>>]) -> Vec<Vec<Option<u64>>> {
        let valid = |round: &Vec<Option<u64>>| {
            let cells = round.iter().zip(&self.combinations);
            cells.map(|(took, cell)| took.filter(|_| cell.valid)).collect()
        };
        rounds.iter().map(valid).collect()
    }
}

impl CellReport {
    fn new(gpu: Gpu) -> Self {
        Self {
            rounds: 0,
            median_ms: None,
            low_ms: None,
            high_ms: None,
            times_best: None,
            may_be_best: false,
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

    /// What its plan proves, for people.
    fn evidence(&self) -> String {
        super::query::describe(self.gpu, self.plan.as_ref())
    }
}
