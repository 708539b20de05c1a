//! What a job that came to its end did not do, though it was asked for: a pure function of its
//! result.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::AnswerHistory;
use super::benchmark::BenchArmReport;
use super::loader::Bottleneck;
use super::query::{QueriesDue, QueryReport};
use super::stream::StreamRun;
use super::{Body, JobResult, Status};
use crate::profile::{Answers, Audit, Query, RowChanges};
use crate::quantity::{format_count, format_counted, format_ms, format_seconds};

/// Something that was asked for and not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortfall {
    /// What it is.
    pub kind: ShortfallKind,
    /// The same in a sentence, with its numbers.
    pub what: String,
}

/// What was asked for and not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShortfallKind {
    /// More rows that were due were never sent than the profile allows.
    RowsDropped,
    /// Rows were sent, and nobody could tell what became of them.
    RowsUndecided,
    /// More queries that were due were never asked than a schedule that is kept leaves over.
    QueriesDropped,
    /// A query was tried in an arm and failed each time, or again and again.
    QueryFailed,
    /// A query was asked and not answered for half of the measurement or longer, until the end.
    QueryUnanswered,
    /// The rows were to be looked for in the table.
    NotAudited,
    /// The answers of a query were to be compared.
    NotCompared,
    /// Faults were to be made.
    NothingInjected,
    /// An output could not be written to its end.
    OutputLost,
    /// The rate, or a threshold on the response time, was missed by the loader's own fault or its
    /// machine's, so that neither says anything of the server.
    OwnDelay,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Shortfall {
    fn new(kind: ShortfallKind, what: String) -> Self {
        Self { kind, what }
    }

    /// An output that could not be written to its end, for this reason.
    pub fn output_lost(why: impl fmt::Display) -> Self {
        Self::new(ShortfallKind::OutputLost, format!("an output is not whole: {why}"))
    }
}

/// Everything that was asked for and not done, except for lost outputs, which no result can know
/// of. What a signal kept from being done is no shortfall.
pub(super) fn shortfalls(result: &JobResult) -> Vec<Shortfall> {
    if result.status == Status::Running {
        return Vec::new();
    }
    let cut_off = matches!(result.status, Status::Interrupted | Status::Aborted | Status::Stopped);
    let mut found = Vec::new();
    match &result.body {
        Body::Stream(run) => stream(&mut found, result, run),
        Body::Faults(faults) => {
            if faults.faults.all.injected == 0 && !cut_off {
                let what = "no fault was made, so nothing is proven: the run was too short";
                found.push(Shortfall::new(ShortfallKind::NothingInjected, what.to_owned()));
            }
            stream(&mut found, result, &faults.run);
        }
        Body::Benchmark(run) => {
            let several = run.steps.len() > 1;
            for step in &run.steps {
                for query in &step.queries {
                    let name = match several {
                        true => format!("{} / {}", step.name, query.query),
                        false => query.query.clone(),
                    };
                    let failed = query.arms.iter().filter_map(|arm| given_up(&name, arm));
                    let before = found.len();
                    found.extend(failed);
                    let can_be_compared = query.arms.len() == 2 && found.len() == before;
                    if can_be_compared && !cut_off && asks_to_compare(result, &query.query) {
                        found.extend(not_compared(&name, &query.answers));
                        found.extend(timed_not_compared(&name, &query.answers));
                    }
                }
            }
        }
        Body::Sweep(run) => {
            for query in &run.sweep.queries {
                let name = &query.query;
                let cells = &query.combinations;
                let mut tried = cells.iter().filter(|cell| cell.failures > 0);
                let answered = cells.iter().any(|cell| cell.median_ms.or(cell.cold_ms).is_some());
                if let (false, Some(error)) =
                    (answered, tried.next_back().and_then(|cell| cell.error.as_ref()))
                {
                    let what = format!("`{name}` failed in every combination: {}", error.message);
                    found.push(Shortfall::new(ShortfallKind::QueryFailed, one_line(&what)));
                } else if !cut_off && asks_to_compare(result, name) {
                    let timed =
                        cells.iter().find_map(|cell| timed_not_compared(name, &cell.answers));
                    found.extend(timed);
                    let failed =
                        |answers: &&AnswerHistory| !answers.is_known() && answers.failed > 0;
                    let failed: Vec<_> =
                        cells.iter().map(|cell| &cell.answers).filter(failed).collect();
                    if let Some(why) = failed.last().and_then(|answers| answers.error.as_ref()) {
                        let (count, of) = (failed.len(), cells.len());
                        let what = format!(
                            "the answers of `{name}` were not compared in {count} of {of} \
                             combinations: {why}"
                        );
                        found.push(Shortfall::new(ShortfallKind::NotCompared, one_line(&what)));
                    }
                }
            }
        }
    }
    found
}

/// A rate, or a threshold on a response time, that was missed by the loader's own fault.
fn own_delay(result: &JobResult, run: &StreamRun) -> Option<Shortfall> {
    let loader = &run.loader;
    if loader.bottleneck.is_own() && run.stream.missed_rate(run.measured_s) {
        let what = format!(
            "the rate was missed by the loader or its machine, not by the server: {}",
            loader.reason
        );
        return Some(Shortfall::new(ShortfallKind::OwnDelay, what));
    }
    if !loader.late_by.is_own() {
        return None;
    }
    result.thresholds.iter().filter(|threshold| !threshold.passed).find_map(|failed| {
        let (threshold, without) = (&failed.threshold, format_ms(failed.without_own?));
        let what = format!(
            "`{threshold}` does not hold by the loader's own delay or its machine's: it is {without} without \
             that, so it says nothing of the server"
        );
        Some(Shortfall::new(ShortfallKind::OwnDelay, what))
    })
}

fn stream(found: &mut Vec<Shortfall>, result: &JobResult, run: &StreamRun) {
    let stream = &run.stream;
    // Cut off in the middle, rows stay unsent and batches in doubt: that was asked for.
    if result.status != Status::Aborted {
        let allowed = result.plan.allow_dropped.as_ref().map_or(0.0, |share| share.0);
        let (dropped, due) = (stream.rows_dropped, stream.rows_due);
        if dropped as f64 > allowed * due as f64 {
            let accepted = match allowed > 0.0 {
                true => format!(", more than the {} % that are allowed", allowed * 100.0),
                false => String::new(),
            };
            let what = format!(
                "{} of {} rows due were dropped ({:.2} %){accepted}",
                format_count(dropped),
                format_count(due),
                dropped as f64 / due.max(1) as f64 * 100.0
            );
            found.push(Shortfall::new(ShortfallKind::RowsDropped, what));
        }
        if stream.rows_undecided > 0 {
            let rows = format_count(stream.rows_undecided);
            let what = format!("{rows} rows are undecided: sent, and their fate was not found out");
            found.push(Shortfall::new(ShortfallKind::RowsUndecided, what));
        }
        let looked = match result.plan.audit.as_ref().map(|audit| **audit) {
            Some(Audit::Off) | None => true,
            Some(Audit::Count) => stream.rows_found.is_some(),
            Some(Audit::Full) => stream.audit.is_some(),
        };
        if !looked {
            let why = stream.not_checked.as_deref().unwrap_or("nobody knows why");
            let what = format!("the rows were not checked in the table: {}", one_line(why));
            found.push(Shortfall::new(ShortfallKind::NotAudited, what));
        }
        // Of readers that delete rows no count is expected.
        let unexpected = stream.rows_found.filter(|count| !result.is_due_count(*count));
        if let (Some(count), RowChanges::Unsaid, None) =
            (unexpected, result.row_changes(), &stream.audit)
        {
            let what = format!(
                "{} rows are there, and {} were acknowledged: readers write ({}), and nobody says what they \
                 change (`changes`), so it is not known whose doing that is",
                format_count(count),
                format_count(stream.rows_acknowledged),
                result.writing_readers().join(", ")
            );
            found.push(Shortfall::new(ShortfallKind::NotAudited, what));
        }
    }
    if !matches!(result.status, Status::Interrupted | Status::Aborted) {
        found.extend(own_delay(result, run));
        found.extend(run.queries_due.as_ref().and_then(queries_dropped));
    }
    let mut failed = Vec::new();
    // What is answered in the warm-up alone is not measured.
    for query in run.queries.iter().filter(|query| query.service.is_none()) {
        let errors: u64 = query.errors.values().sum();
        if errors > 0 {
            let codes: Vec<&str> = query.errors.keys().map(String::as_str).collect();
            let ending = match query.executions {
                0 => "failed each time",
                _ => "failed each time in the measurement",
            };
            let what = format!(
                "`{}` ({}) {ending}, {}: SQLSTATE {}",
                query.query,
                query.arm,
                format_counted(errors, "time", "times"),
                codes.join(", ")
            );
            failed.push(query.query.as_str());
            found.push(Shortfall::new(ShortfallKind::QueryFailed, what));
        }
    }
    if matches!(result.status, Status::Interrupted | Status::Aborted) {
        return;
    }
    found.extend(run.queries.iter().filter_map(|query| unanswered(query, run.measured_s)));
    for comparison in &run.comparisons {
        let name = comparison.query.as_str();
        if !failed.contains(&name) && asks_to_compare(result, name) {
            found.extend(not_compared(name, &comparison.answers));
        }
    }
}

/// A query that was in hand for most of the run and never answered.
fn unanswered(query: &QueryReport, measured_s: f64) -> Option<Shortfall> {
    let is_unanswered = query.executions == 0 && query.interrupted > 0;
    let in_hand_s = query.response.filter(|_| is_unanswered)?.max_ms / 1e3;
    (in_hand_s >= measured_s / 2.0).then(|| {
        let what = format!(
            "`{}` ({}) was asked and not answered until the end, {} after it was due: its time is not known",
            query.query,
            query.arm,
            format_seconds(in_hand_s)
        );
        Shortfall::new(ShortfallKind::QueryUnanswered, what)
    })
}

fn queries_dropped(queries: &QueriesDue) -> Option<Shortfall> {
    if queries.bottleneck == Bottleneck::None {
        return None;
    }
    let [dropped, due] = [queries.dropped, queries.due].map(format_count);
    let what = format!("{dropped} of {due} queries due were dropped: {}", queries.reason);
    Some(Shortfall::new(ShortfallKind::QueriesDropped, what))
}

/// An arm of a benchmark that was given up, or never answered.
fn given_up(name: &str, arm: &BenchArmReport) -> Option<Shortfall> {
    let never = arm.executions == 0 && arm.cold_ms.is_none() && arm.failures > 0;
    if !arm.given_up && !never {
        return None;
    }
    let times = format_counted(arm.failures, "time", "times");
    let ending = match (&arm.error, never) {
        (Some(error), true) => format!("failed each time, {times}: {}", error.message),
        (Some(error), false) => format!("failed and was given up: {}", error.message),
        (None, _) => format!("failed {times}"),
    };
    let what = one_line(&format!("`{name}` ({}) {ending}", arm.arm));
    Some(Shortfall::new(ShortfallKind::QueryFailed, what))
}

fn not_compared(name: &str, answers: &AnswerHistory) -> Option<Shortfall> {
    if answers.is_known() {
        return None;
    }
    let why = answers.error.as_deref().or(answers.not_compared.as_deref());
    let why = why.unwrap_or("it was not tried");
    let when = match answers.checks {
        0 => "",
        _ => " the last time",
    };
    let what = one_line(&format!("the answers of `{name}` were not compared{when}: {why}"));
    Some(Shortfall::new(ShortfallKind::NotCompared, what))
}

fn timed_not_compared(name: &str, answers: &AnswerHistory) -> Option<Shortfall> {
    let why = answers.timed.as_ref()?.not_compared.as_ref()?;
    let what =
        one_line(&format!("the answers of `{name}` that were timed were not compared: {why}"));
    Some(Shortfall::new(ShortfallKind::NotCompared, what))
}

/// Whether the profile wants the answers of a query's arms compared.
fn asks_to_compare(result: &JobResult, name: &str) -> bool {
    let plan = &result.plan;
    let evidence = plan.evidence.as_ref();
    let wanted = evidence.and_then(|evidence| evidence.check_answers.as_ref());
    let readers = plan.readers.as_ref().and_then(|readers| readers.queries.as_deref());
    let bench = plan.bench.as_ref().and_then(|bench| bench.queries.as_deref());
    let mut queries = readers.into_iter().chain(bench).flatten();
    let is_it = |query: &&Query| query.name.as_ref().is_some_and(|own| own.as_str() == name);
    let query = queries.by_ref().map(|query| &**query).find(is_it);
    let is_off = query.is_some_and(|query| matches!(query.answers, Some(Answers::Off)));
    wanted.is_none_or(|wanted| **wanted) && !is_off
}

/// An error of several lines in one: its detail, hint and fix are told apart.
pub(crate) fn one_line(text: &str) -> String {
    let mut said = String::new();
    for line in text.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let opens =
            ["detail:", "hint (server):", "fix:"].iter().any(|part| words.starts_with(part));
        let between = match (said.is_empty(), opens) {
            (true, _) => "",
            (false, true) => "; ",
            (false, false) => " ",
        };
        if !words.is_empty() {
            said.extend([between, &words]);
        }
    }
    said
}

#[cfg(test)]
mod tests;
