//! Every figure is read from the place that it names: each result is spoilt in one place, and the
//! figure follows.

use std::time::Duration;

use super::*;
use crate::result::sample;

const SUBJECTS: Subjects<'static> =
    Subjects { kind: "stream", steps: &[], queries: &["sum"], arms: &["off", "on"] };

fn value(result: &JobResult, name: &str) -> Option<f64> {
    let value = Subjects { kind: result.kind(), ..SUBJECTS }.find(name).unwrap().value(result);
    value.map(|value| value.number)
}

/// Every figure of a result with what it comes to.
fn all(result: &JobResult) -> String {
    let own = FIGURES.iter().filter(|figure| figure.kinds().contains(&result.kind()));
    let of = |figure: &Figure| {
        let name = figure.name.replace("QUERY", "sum").replace("ARM", "on");
        let value = value(result, &name).map_or("-".to_owned(), |value| format!("{value}"));
        format!("{name} {value}\n")
    };
    own.map(of).collect()
}

#[test]
fn each_figure_has_one_name_in_a_job() {
    for kind in ["stream", "faults", "benchmark", "sweep"] {
        let mut names: Vec<&str> = FIGURES
            .iter()
            .filter(|figure| figure.kinds().contains(&kind))
            .map(|figure| figure.name)
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{kind}");
    }
}

#[test]
fn the_figures_of_each_kind_of_result() {
    let shown = [sample::stream(), sample::benchmark(), sample::sweep(), sample::faults()]
        .map(|result| format!("{}:\n{}", result.kind(), all(&result)));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_figure_follows_what_it_names() {
    let spoilt = |spoil: fn(&mut StreamRun)| {
        let mut result = sample::stream();
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        spoil(run);
        result
    };
    let lost = spoilt(|run| {
        let audit = run.stream.audit.as_mut().unwrap();
        audit[0].lost.push(5, 3);
        audit[0].altered.push(9, 1);
    });
    let rows = ["rows_lost", "rows_doubled", "rows_altered"].map(|name| value(&lost, name));
    assert_eq!(rows, [Some(3.0), Some(0.0), Some(1.0)]);
    let unseen = spoilt(|run| run.stream.audit = None);
    assert_eq!(value(&unseen, "rows_lost"), None, "nobody looked");
    let worked = spoilt(|run| {
        run.stream.rows_acknowledged = 1_000;
        run.server_work = Some(super::super::server::ServerWork {
            over_s: 10.0,
            wal_bytes: Some(182_500),
            checkpoints_timed: None,
            checkpoints_requested: None,
            table_bytes_before: None,
            table_bytes: None,
            backend_cpu_s: Some(0.0125),
            waits: Vec::new(),
        });
    });
    let of_a_row = ["wal_bytes_per_row", "backend_cpu_us_per_row"];
    assert_eq!(of_a_row.map(|name| value(&worked, name)), [182.5, 12.5].map(Some));
    assert_eq!(of_a_row.map(|name| value(&lost, name)), [None; 2], "nobody asked the server");
    let failing = spoilt(|run| {
        run.stream.errors = [("40001".to_owned(), 2)].into();
        run.queries[1].errors = [("22012".to_owned(), 5)].into();
    });
    let errors = ["errors", "query_errors", "query.sum.on.errors", "query.sum.off.errors"];
    assert_eq!(errors.map(|name| value(&failing, name)), [7.0, 5.0, 5.0, 0.0].map(Some));
    let mut faster = sample::benchmark();
    assert_eq!(value(&faster, "ratio.sum.low"), Some(2.5));
    let Body::Benchmark(run) = &mut faster.body else { panic!("no benchmark") };
    run.steps[0].queries[0].valid = false;
    assert_eq!(value(&faster, "ratio.sum.low"), None, "its answers differ");
    let Body::Benchmark(run) = &mut faster.body else { panic!("no benchmark") };
    let mut second = run.steps[0].clone();
    second.name = "index".to_owned();
    second.queries[0].arms[1].median_ms = Some(1.0);
    run.steps[0].name = "plain".to_owned();
    run.steps.push(second);
    let subjects = Subjects { kind: "benchmark", steps: &["plain", "index"], ..SUBJECTS };
    let of_step = |step: &str| {
        let name = format!("step.{step}.query.sum.on.p50_ms");
        let figure = subjects.find(&name).unwrap();
        assert_eq!(figure.to_string(), name);
        figure.value(&faster).map(|value| value.number)
    };
    assert_eq!((of_step("plain"), of_step("index")), (Some(4.0), Some(1.0)));
}

#[test]
fn the_gpu_is_proven_by_plans_alone() {
    let mut result = sample::stream();
    let proven = ["gpu_proven", "query.sum.on.gpu_proven"];
    assert_eq!(proven.map(|name| value(&result, name)), [None, None], "no plan was looked at");
    let plan = |looks, node: &str| {
        let plan = serde_json::json!([{ "Plan": {
            "Node Type": "Custom Scan", "Custom Plan Provider": node, "Relation Name": "sales",
        } }]);
        let evidence = Some(super::super::evidence::Evidence::read(&plan.to_string()));
        Some(PlanHistory { evidence, looks, ..PlanHistory::default() })
    };
    for (looks, node, expected) in
        [(0, "GpuPreAgg", None), (1, "GpuPreAgg", Some(1.0)), (1, "Citus Adaptive", Some(0.0))]
    {
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        run.queries[1].plan = plan(looks, node);
        assert_eq!(proven.map(|name| value(&result, name)), [expected; 2], "{node}");
    }
    // The last plan is the GPU's, and one execution ran by another.
    let executed = serde_json::json!({
        "hash": "1", "verdict": "cpu", "words": "cpu", "shape": "Seq Scan sales",
        "executions": 1, "first_s": 0.1, "last_s": 0.1, "fallback_rows": 0, "service": null,
    });
    let mut flipped = plan(1, "GpuPreAgg").unwrap();
    flipped.executed = vec![serde_json::from_value(executed).unwrap()];
    let Body::Stream(run) = &mut result.body else { panic!("no stream") };
    run.queries[1].plan = Some(flipped);
    assert_eq!(proven.map(|name| value(&result, name)), [Some(0.0); 2]);
    let Body::Stream(run) = &mut result.body else { panic!("no stream") };
    run.queries.remove(1);
    assert_eq!(value(&result, "gpu_proven"), None, "the GPU was never on");
}

#[test]
fn what_was_given_up_makes_a_lower_bound() {
    let mut result = sample::stream();
    let Body::Stream(run) = &mut result.body else { panic!("no stream") };
    let mut times = sample::times(&[5; 980]);
    let whole = sample::times(&[5; 1_000]).percentiles();
    (run.stream.wait, run.queries[0].response) = (whole, whole);
    times.record_evenly_at_least(Duration::from_secs(2), Duration::from_secs(3), 20);
    run.stream.response = times.percentiles();
    run.queries[1].response = times.percentiles();
    run.queries_due = Some(super::super::query::QueriesDue {
        due: 9,
        asked: 8,
        dropped: 1,
        dropped_age: times,
        bottleneck: super::super::loader::Bottleneck::default(),
        reason: String::new(),
        blame: crate::record::BlameSums::default(),
    });
    let is_bound = |name: &str| {
        let value = Subjects { kind: result.kind(), ..SUBJECTS }.find(name).unwrap().value(&result);
        value.unwrap().known == Known::AtLeast
    };
    for (name, expected) in [
        ("response_p50_ms", false),
        ("response_p99_ms", true),
        ("wait_p99_ms", false),
        ("query.sum.on.p99_ms", true),
        ("query.sum.off.p99_ms", false),
        ("query_p99_ms", true),
    ] {
        assert_eq!(is_bound(name), expected, "{name}");
    }
}

#[test]
fn the_loaders_delay_is_taken_out_of_the_percentile_that_is_asked_for() {
    let mut result = sample::stream();
    let Body::Stream(run) = &mut result.body else { panic!("no stream") };
    let of = |low: u64, high: u64| sample::times(&[vec![low; 980], vec![high; 20]].concat());
    run.stream.response = of(9, 120).percentiles();
    run.stream.service = of(8, 30).percentiles();
    run.stream.wait = of(1, 90).percentiles();
    run.stream.row_latency = of(11, 130).percentiles();
    run.stream.histograms.without_own = of(8, 20);
    let without = |result: &JobResult, name: &str| {
        let value = SUBJECTS.find(name).unwrap().without_own(result);
        value.map(|value| (value.number.round() as u64, value.known))
    };
    let cases = [
        ("response_p50_ms", Some(8)),
        ("response_p99_ms", Some(20)),
        // It took no longer than the response without own delay,
        ("service_p99_ms", Some(20)),
        // and these lose what that lost.
        ("wait_p99_ms", Some(0)),
        ("row_latency_p99_ms", Some(30)),
        ("own_delay_p99_ms", None),
        ("errors", None),
    ];
    for (name, ms) in cases {
        assert_eq!(without(&result, name), ms.map(|ms| (ms, Known::Exactly)), "{name}");
    }
    // What was given up is bounded without it, too.
    let Body::Stream(run) = &mut result.body else { panic!("no stream") };
    let mut times = of(9, 120);
    times.record_evenly_at_least(Duration::from_millis(500), Duration::from_millis(500), 30);
    run.stream.response = times.percentiles();
    run.stream.histograms.without_own = times;
    assert_eq!(without(&result, "response_p99_ms"), Some((500, Known::AtLeast)));
}
