//! What a job that came to its end did not do, though it was asked for: a pure function of its
//! result.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::AnswerHistory;
use super::benchmark::BenchArmReport;
use super::stream::StreamRun;
use super::{Body, JobResult, Status};
use crate::profile::{Answers, Audit, Query};
use crate::quantity::format_count;

/// How figures open that the loader's own delay is part of.
const OF_RESPONSE: [&str; 4] = ["response_", "row_latency_", "service_", "wait_"];

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
    /// A query was tried in an arm and failed each time, or again and again.
    QueryFailed,
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
                    let failed =
                        |answers: &&AnswerHistory| answers.checks == 0 && answers.failed > 0;
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
    let is_of_response = |text: &str| OF_RESPONSE.iter().any(|of| text.starts_with(of));
    let mut failed = result.thresholds.iter().filter(|threshold| !threshold.passed);
    let failed = failed.find(|threshold| is_of_response(&threshold.threshold))?;
    loader.late_by.is_own().then(|| {
        let threshold = &failed.threshold;
        let what = format!(
            "`{threshold}` does not hold by the loader's own delay or its machine's, so it says \
             nothing of the server"
        );
        Shortfall::new(ShortfallKind::OwnDelay, what)
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
    }
    if !matches!(result.status, Status::Interrupted | Status::Aborted) {
        found.extend(own_delay(result, run));
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
                "`{}` ({}) {ending}, {} times: SQLSTATE {}",
                query.query,
                query.arm,
                format_count(errors),
                codes.join(", ")
            );
            failed.push(query.query.as_str());
            found.push(Shortfall::new(ShortfallKind::QueryFailed, what));
        }
    }
    if matches!(result.status, Status::Interrupted | Status::Aborted) {
        return;
    }
    for comparison in &run.comparisons {
        let name = comparison.query.as_str();
        if !failed.contains(&name) && asks_to_compare(result, name) {
            found.extend(not_compared(name, &comparison.answers));
        }
    }
}

/// An arm of a benchmark that was given up, or never answered.
fn given_up(name: &str, arm: &BenchArmReport) -> Option<Shortfall> {
    let never = arm.executions == 0 && arm.cold_ms.is_none() && arm.failures > 0;
    if !arm.given_up && !never {
        return None;
    }
    let times = format_count(arm.failures);
    let ending = match (&arm.error, never) {
        (Some(error), true) => format!("failed each time, {times} times: {}", error.message),
        (Some(error), false) => format!("failed and was given up: {}", error.message),
        (None, _) => format!("failed {times} times"),
    };
    let what = one_line(&format!("`{name}` ({}) {ending}", arm.arm));
    Some(Shortfall::new(ShortfallKind::QueryFailed, what))
}

fn not_compared(name: &str, answers: &AnswerHistory) -> Option<Shortfall> {
    if answers.checks > 0 {
        return None;
    }
    let why = answers.error.as_deref().unwrap_or("it was not tried");
    let what = one_line(&format!("the answers of `{name}` were not compared: {why}"));
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
mod tests {
    use super::*;
    use crate::exit;
    use crate::result::arm::ArmError;
    use crate::result::benchmark::BenchmarkRun;
    use crate::result::faults::FaultsRun;
    use crate::result::sample;
    use crate::result::sweep::SweepRun;

    /// A spoilt result: its exit code and what it says.
    fn of(mut result: JobResult) -> (u8, Vec<String>) {
        result.conclude();
        let said = result.shortfalls.iter().map(ToString::to_string).collect();
        (result.exit_code(), said)
    }

    fn spoilt(mut result: JobResult, spoil: impl FnOnce(&mut StreamRun)) -> JobResult {
        match &mut result.body {
            Body::Stream(run) => spoil(run),
            Body::Faults(faults) => spoil(&mut faults.run),
            _ => panic!("no stream"),
        }
        result
    }

    fn spoilt_benchmark(spoil: impl FnOnce(&mut BenchmarkRun)) -> JobResult {
        let mut result = sample::benchmark();
        let Body::Benchmark(run) = &mut result.body else { panic!("no benchmark") };
        spoil(run);
        result
    }

    fn spoilt_sweep(spoil: impl FnOnce(&mut SweepRun)) -> JobResult {
        let mut result = sample::sweep();
        let Body::Sweep(run) = &mut result.body else { panic!("no sweep") };
        spoil(run);
        result
    }

    fn spoilt_faults(spoil: impl FnOnce(&mut FaultsRun)) -> JobResult {
        let mut result = sample::faults();
        let Body::Faults(run) = &mut result.body else { panic!("no faults") };
        spoil(run);
        result
    }

    fn with(status: Status, mut result: JobResult) -> JobResult {
        result.status = status;
        result
    }

    #[test]
    fn the_parts_of_an_error_are_told_apart_in_a_line() {
        let said =
            "failed to connect:\n  refused\n  detail: none\n\n  fix: check the host\n  and port";
        let line = "failed to connect: refused; detail: none; fix: check the host and port";
        assert_eq!(one_line(said), line);
    }

    const ALL_DONE: (u8, Vec<String>) = (exit::DONE, Vec::new());

    #[test]
    fn a_healthy_job_of_any_kind_is_done() {
        for result in [sample::stream(), sample::benchmark(), sample::sweep(), sample::faults()] {
            let kind = result.kind();
            assert_eq!(of(result), ALL_DONE, "{kind}");
        }
    }

    #[test]
    fn dropped_rows_are_a_shortfall_beyond_what_is_allowed() {
        let dropped = |rows| move |run: &mut StreamRun| run.stream.rows_dropped = rows;
        let (code, said) = of(spoilt(sample::stream(), dropped(912)));
        assert_eq!(
            (code, &*said),
            (exit::SHORTFALL, &["912 of 60,000 rows due were dropped (1.52 %)".to_owned()][..])
        );
        let allowing =
            |share: f64| sample::stream_of(&format!("allow_dropped = {share}\naudit = 'full'\n"));
        assert_eq!(of(spoilt(allowing(0.01), dropped(600))), ALL_DONE);
        let (code, said) = of(spoilt(allowing(0.01), dropped(601)));
        assert_eq!(code, exit::SHORTFALL);
        assert_eq!(
            said,
            ["601 of 60,000 rows due were dropped (1.00 %), more than the 1 % that are allowed"]
        );
        // Nothing accepts a row whose fate nobody knows.
        let (code, said) = of(spoilt(allowing(1.0), |run| run.stream.rows_undecided = 100));
        assert_eq!((code, said.len()), (exit::SHORTFALL, 1));
        assert!(said[0].starts_with("100 rows are undecided"), "{said:?}");
    }

    #[test]
    fn a_check_that_was_asked_for_and_not_made_is_a_shortfall() {
        let unseen = |run: &mut StreamRun| {
            (run.stream.audit, run.stream.rows_found) = (None, None);
            run.stream.not_checked =
                Some("failed to read:\n  the connection was closed".to_owned());
        };
        let (code, said) = of(spoilt(sample::stream(), unseen));
        assert_eq!(code, exit::SHORTFALL);
        assert_eq!(
            said,
            ["the rows were not checked in the table: failed to read: the connection was closed"]
        );
        let (code, _) = of(spoilt(sample::stream_of("audit = 'count'\n"), unseen));
        assert_eq!(code, exit::SHORTFALL);
        assert_eq!(of(spoilt(sample::stream_of("audit = 'off'\n"), unseen)), ALL_DONE);
        // A second signal kept it from being made.
        let (code, said) = of(with(Status::Aborted, spoilt(sample::stream(), unseen)));
        assert_eq!((code, said), (exit::INTERRUPTED, Vec::new()));
        // The first one did not: the server did.
        let (code, _) = of(with(Status::Interrupted, spoilt(sample::stream(), unseen)));
        assert_eq!(code, exit::SHORTFALL);
    }

    #[test]
    fn what_the_loader_itself_has_missed_is_a_shortfall() {
        use crate::result::loader::Bottleneck;
        let own = |measured_s: f64, bottleneck, late_by| {
            spoilt(sample::stream(), |run| {
                run.measured_s = measured_s;
                (run.loader.bottleneck, run.loader.late_by) = (bottleneck, late_by);
            })
        };
        for who in [Bottleneck::Loader, Bottleneck::Machine] {
            let (code, said) = of(own(12.0, who, who));
            assert_eq!((code, said.len()), (exit::SHORTFALL, 1), "{said:?}");
            assert!(said[0].starts_with("the rate was missed by the loader"), "{said:?}");
            // Late, and the rate was kept: that is said elsewhere.
            assert_eq!(of(own(10.4, Bottleneck::None, who)), ALL_DONE);
        }
        assert_eq!(of(own(12.0, Bottleneck::Server, Bottleneck::Server)), ALL_DONE);
        let judged = |late_by, threshold: &str| {
            let mut result = own(10.0, Bottleneck::None, late_by);
            result.thresholds.push(super::super::ThresholdReport {
                threshold: threshold.to_owned(),
                value: Some(1e3),
                ..super::super::ThresholdReport::default()
            });
            of(result).0
        };
        let slow = "response_p99_ms < 50";
        assert_eq!(judged(Bottleneck::Loader, slow), exit::SHORTFALL);
        assert_eq!(judged(Bottleneck::Server, slow), exit::THRESHOLD);
        assert_eq!(judged(Bottleneck::Loader, "errors < 0"), exit::THRESHOLD);
    }

    #[test]
    fn a_query_that_fails_each_time_is_a_shortfall_and_one_that_was_cut_off_is_none() {
        let failing = |errors| {
            move |run: &mut StreamRun| {
                let query = &mut run.queries[1];
                (query.executions, query.service) = (0, None);
                query.errors = [("22012".to_owned(), errors)].into();
                query.errors.retain(|_, count| *count > 0);
                query.interrupted = 2;
            }
        };
        let (code, said) = of(spoilt(sample::stream(), failing(1196)));
        assert_eq!(code, exit::SHORTFALL);
        assert_eq!(said, ["`sum` (on) failed each time, 1,196 times: SQLSTATE 22012"]);
        assert_eq!(of(spoilt(sample::stream(), failing(0))), ALL_DONE);
        // Sometimes is not each time.
        let sometimes =
            |run: &mut StreamRun| run.queries[1].errors = [("22012".to_owned(), 3)].into();
        assert_eq!(of(spoilt(sample::stream(), sometimes)), ALL_DONE);
    }

    #[test]
    fn answers_that_were_to_be_compared_and_were_not_are_a_shortfall() {
        let uncompared = |run: &mut StreamRun| {
            let answers = &mut run.comparisons[0].answers;
            (answers.checks, answers.failed) = (0, 3);
            answers.error = Some("canceling statement due to statement timeout".to_owned());
        };
        let (code, said) = of(spoilt(sample::stream(), uncompared));
        assert_eq!(code, exit::SHORTFALL);
        assert_eq!(
            said,
            [
                "the answers of `sum` were not compared: canceling statement due to statement timeout"
            ]
        );
        for asks_not in [
            "[evidence]\ncheck_answers = false\n",
            "[[readers.queries]]\nname = 'sum'\nanswers = 'off'\n",
        ] {
            assert_eq!(of(spoilt(sample::stream_of(asks_not), uncompared)), ALL_DONE, "{asks_not}");
        }
        let (code, _) = of(with(Status::Interrupted, spoilt(sample::stream(), uncompared)));
        assert_eq!(code, exit::INTERRUPTED);
    }

    #[test]
    fn an_arm_of_a_benchmark_that_is_given_up_is_a_shortfall() {
        let failed = |given_up, executions| {
            spoilt_benchmark(|run| {
                let query = &mut run.steps[0].queries[0];
                (query.answers.checks, query.times) = (0, None);
                let arm = &mut query.arms[1];
                (arm.given_up, arm.executions, arm.failures) = (given_up, executions, 2);
                arm.cold_ms = (executions > 0).then_some(5.0);
                arm.error = Some(ArmError {
                    sqlstate: "22012".to_owned(),
                    message: "division by zero".to_owned(),
                });
            })
        };
        let (code, said) = of(failed(true, 0));
        assert_eq!(
            (code, said),
            (
                exit::SHORTFALL,
                vec!["`sum` (on) failed each time, 2 times: division by zero".to_owned()]
            )
        );
        let (code, said) = of(failed(true, 7));
        assert_eq!(
            (code, said),
            (
                exit::SHORTFALL,
                vec!["`sum` (on) failed and was given up: division by zero".to_owned()]
            )
        );
        let (code, _) = of(spoilt_benchmark(|run| run.steps[0].queries[0].answers.checks = 0));
        assert_eq!(code, exit::SHORTFALL, "not compared");
    }

    #[test]
    fn a_combination_that_fails_is_a_finding_of_a_sweep_and_a_query_that_always_does_is_not() {
        let fail = |run: &mut SweepRun, count: usize| {
            for cell in run.sweep.queries[0].combinations.iter_mut().take(count) {
                (cell.failures, cell.given_up, cell.median_ms, cell.cold_ms) =
                    (2, true, None, None);
                cell.error = Some(ArmError {
                    sqlstate: "22012".to_owned(),
                    message: "division by zero".to_owned(),
                });
            }
        };
        assert_eq!(of(spoilt_sweep(|run| fail(run, 1))), ALL_DONE);
        let (code, said) = of(spoilt_sweep(|run| fail(run, 2)));
        assert_eq!(
            (code, said),
            (
                exit::SHORTFALL,
                vec!["`sum` failed in every combination: division by zero".to_owned()]
            )
        );
        let uncompared = spoilt_sweep(|run| {
            let answers = &mut run.sweep.queries[0].combinations[1].answers;
            (answers.checks, answers.failed, answers.error) = (0, 1, Some("timeout".to_owned()));
        });
        let (code, said) = of(uncompared);
        assert_eq!(
            (code, said),
            (
                exit::SHORTFALL,
                vec![
                    "the answers of `sum` were not compared in 1 of 2 combinations: timeout"
                        .to_owned()
                ]
            )
        );
    }

    #[test]
    fn no_fault_at_all_proves_nothing() {
        let none =
            || spoilt_faults(|run| (run.faults.all.injected, run.faults.faults) = (0, Vec::new()));
        let (code, said) = of(none());
        assert_eq!((code, said.len()), (exit::SHORTFALL, 1));
        assert!(said[0].starts_with("no fault was made"), "{said:?}");
        let (code, said) = of(with(Status::Interrupted, none()));
        assert_eq!((code, said), (exit::INTERRUPTED, Vec::new()));
    }

    #[test]
    fn of_several_codes_the_gravest_counts() {
        let mut result = spoilt(sample::stream(), |run| run.stream.rows_dropped = 1);
        result.thresholds.push(super::super::ThresholdReport {
            threshold: "errors < 0".to_owned(),
            value: Some(0.0),
            ..super::super::ThresholdReport::default()
        });
        let coded = |result: &JobResult| {
            let mut result = result.clone();
            result.shortfalls = shortfalls(&result);
            result.exit_code()
        };
        let mut healthy = sample::stream();
        healthy.thresholds.clone_from(&result.thresholds);
        assert_eq!(coded(&healthy), exit::THRESHOLD);
        assert_eq!(coded(&with(Status::Interrupted, healthy)), exit::INTERRUPTED);
        result.status = Status::Interrupted;
        assert_eq!(coded(&result), exit::SHORTFALL);
        result.status = Status::Failed;
        assert_eq!(coded(&result), exit::ENDED_EARLY);
        let mut lost = crate::record::PartitionAudit::default();
        lost.lost.push(0, 1);
        let lost = spoilt(result, |run| run.stream.audit = Some(vec![lost]));
        assert_eq!(coded(&lost), exit::INTEGRITY);
        let mut unready = spoilt_benchmark(|run| run.steps[0].error = Some("no right".to_owned()));
        unready.conclude();
        assert_eq!(unready.exit_code(), exit::ENDED_EARLY);
        let mut healthy = sample::benchmark();
        healthy.conclude();
        healthy.shortfalls.push(Shortfall::output_lost("No space left on device"));
        assert_eq!(healthy.exit_code(), exit::SHORTFALL);
    }
}
