//! A shortfall of each kind, and what is none.

use super::*;
use crate::exit;
use crate::profile::Delivery;
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
    let said = "failed to connect:\n  refused\n  detail: none\n\n  fix: check the host\n  and port";
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
        run.stream.not_checked = Some("failed to read:\n  the connection was closed".to_owned());
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
    let told = |late_by, without_own| {
        let mut result = own(10.0, Bottleneck::None, late_by);
        result.thresholds.push(super::super::ThresholdReport {
            threshold: "response_p99_ms < 50".to_owned(),
            value: Some(1e3),
            without_own,
            ..super::super::ThresholdReport::default()
        });
        of(result)
    };
    let (code, said) = told(Bottleneck::Loader, Some(41.0));
    assert_eq!(code, exit::SHORTFALL);
    let what = "`response_p99_ms < 50` does not hold by the loader's own delay or its machine's: it is 41 ms \
                without that, so it says nothing of the server";
    assert_eq!(said, [what]);
    // It fails by the server alone, too.
    assert_eq!(told(Bottleneck::Loader, None), (exit::THRESHOLD, Vec::new()));
    assert_eq!(told(Bottleneck::Server, Some(41.0)), (exit::THRESHOLD, Vec::new()));
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
    let sometimes = |run: &mut StreamRun| run.queries[1].errors = [("22012".to_owned(), 3)].into();
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
        ["the answers of `sum` were not compared: canceling statement due to statement timeout"]
    );
    for asks_not in [
        "[evidence]\ncheck_answers = false\n",
        "[[readers.queries]]\nname = 'sum'\nanswers = 'off'\n",
    ] {
        assert_eq!(of(spoilt(sample::stream_of(asks_not), uncompared)), ALL_DONE, "{asks_not}");
    }
    let (code, _) = of(with(Status::Interrupted, spoilt(sample::stream(), uncompared)));
    assert_eq!(code, exit::INTERRUPTED);
    // Of answers that were the same once nothing is known any more.
    let since = |failed_since| {
        move |run: &mut StreamRun| {
            uncompared(run);
            let answers = &mut run.comparisons[0].answers;
            (answers.checks, answers.failed_since) = (2, failed_since);
        }
    };
    let (code, said) = of(spoilt(sample::stream(), since(1)));
    assert_eq!(code, exit::SHORTFALL);
    assert!(said[0].contains("were not compared the last time: canceling"), "{said:?}");
    assert_eq!(of(spoilt(sample::stream(), since(0))), ALL_DONE);
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
        (exit::SHORTFALL, vec!["`sum` (on) failed and was given up: division by zero".to_owned()])
    );
    let (code, _) = of(spoilt_benchmark(|run| run.steps[0].queries[0].answers.checks = 0));
    assert_eq!(code, exit::SHORTFALL, "not compared");
}

#[test]
fn a_combination_that_fails_is_a_finding_of_a_sweep_and_a_query_that_always_does_is_not() {
    let fail = |run: &mut SweepRun, count: usize| {
        for cell in run.sweep.queries[0].combinations.iter_mut().take(count) {
            (cell.failures, cell.given_up, cell.median_ms, cell.cold_ms) = (2, true, None, None);
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
        (exit::SHORTFALL, vec!["`sum` failed in every combination: division by zero".to_owned()])
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
                "the answers of `sum` were not compared in 1 of 2 combinations: timeout".to_owned()
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
    let mut lost = crate::record::LaneAudit::default();
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

#[test]
fn a_count_has_an_upper_end_unless_rows_may_be_there_twice() {
    let counted = |delivery: Delivery, more: u64| {
        let mut result = spoilt(sample::stream(), |run| {
            run.stream.audit = None;
            run.stream.rows_found = Some(run.stream.rows_sent + more);
        });
        result.plan.recovery.get_or_insert_default().delivery = Some(delivery.into());
        result.rows_add_up()
    };
    assert!(counted(Delivery::ExactlyOnce, 0) && counted(Delivery::AtLeastOnce, 0));
    assert!(!counted(Delivery::ExactlyOnce, 1) && counted(Delivery::AtLeastOnce, 1));
}
