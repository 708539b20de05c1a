//! What is said of two sides, and what is refused.

use serde_json::{Value, json};

use super::*;
use crate::plan::{Overrides, Plan, ProfileSource};
use crate::result::figure::Names;
use crate::result::{Body, sample};

/// A run of the sample stream with another p99, and else with what `change` makes of it.
fn run_with(folder: &str, p99_ms: f64, change: impl FnOnce(&mut Value)) -> Run {
    let mut saved = serde_json::to_value(sample::stream()).unwrap();
    saved["run_id"] = json!(folder);
    saved["stream"]["rows_before"] = json!(0);
    saved["stream"]["response"]["count"] = json!(1_000);
    for key in ["p99_ms", "p999_ms", "max_ms"] {
        saved["stream"]["response"][key] = json!(p99_ms);
    }
    change(&mut saved);
    Run { folder: folder.to_owned(), result: serde_json::from_value(saved).unwrap() }
}

/// Runs of a side with these p99.
pub(crate) fn side(name: &str, p99_ms: &[f64]) -> Vec<Run> {
    let runs = p99_ms.iter().enumerate();
    runs.map(|(at, ms)| run_with(&format!("{name}{}", at + 1), *ms, |_| {})).collect()
}

fn options(gates: &[&str]) -> Options {
    let result = sample::stream();
    let names = Names::of(&result);
    let gates = gates.iter().map(|text| Gate::parse(text, &names.subjects()).unwrap());
    Options { gates: gates.collect(), ..Options::default() }
}

fn of(a: Vec<Run>, b: Vec<Run>, gates: &[&str]) -> RunsCompared {
    compare(&[a, b], &options(gates)).unwrap()
}

fn verdict(compared: &RunsCompared, figure: &str) -> CompareVerdict {
    compared.figures.iter().find(|one| one.figure == figure).unwrap().verdict
}

const SAME: [f64; 5] = [10.0, 10.3, 9.8, 10.1, 9.9];
const SLOWER: [f64; 5] = [13.1, 12.9, 13.4, 12.8, 13.0];

#[test]
fn what_is_worse_better_and_not_shown_is_told_apart() {
    let p99 = "response_p99_ms";
    let shown = |a: &[f64], b: &[f64]| verdict(&of(side("a", a), side("b", b), &[]), p99);
    assert_eq!(shown(&SAME, &SLOWER), CompareVerdict::Regression);
    assert_eq!(shown(&SLOWER, &SAME), CompareVerdict::Improvement);
    let again = [10.2, 9.7, 10.0, 10.4, 9.9];
    assert_eq!(shown(&SAME, &again), CompareVerdict::NoDifferenceShown);
    // Three runs a side are never called a regression, however far apart.
    assert_eq!(shown(&SAME[..3], &[90.0, 91.0, 92.0]), CompareVerdict::TooFewRuns);
    assert_eq!(shown(&SAME, &[90.0]), CompareVerdict::TooFewRuns);
}

#[test]
fn a_gate_is_judged_at_the_bad_end() {
    let judged = |a: &[f64], b: &[f64], gate: &str| {
        let compared = of(side("a", a), side("b", b), &[gate]);
        (compared.outcome, compared.exit_code)
    };
    let p99 = "response_p99_ms <= 1.10x";
    assert_eq!(judged(&SAME, &SLOWER, p99), (Outcome::Fail, exit::THRESHOLD));
    assert_eq!(judged(&SAME, &SAME, p99), (Outcome::Pass, exit::DONE));
    // The ratio is 1.09, and its interval reaches beyond the limit.
    let near: Vec<f64> = SAME.iter().map(|ms| ms * 1.09).collect();
    assert_eq!(judged(&SAME, &near, p99), (Outcome::Inconclusive, exit::DONE));
    assert_eq!(judged(&SAME[..3], &SLOWER, p99).0, Outcome::Inconclusive);
    assert_eq!(judged(&SAME, &SLOWER, "response_p99_ms <= 20").0, Outcome::Pass);
    assert_eq!(judged(&SAME, &SLOWER, "response_p99_ms < 12").0, Outcome::Fail);
    // With fewer than four runs on either side nothing is shown, also where the limit is one of B alone.
    assert_eq!(judged(&SAME[..3], &SLOWER, "response_p99_ms <= 20").0, Outcome::Inconclusive);
    assert_eq!(judged(&SAME, &SLOWER[..3], "response_p99_ms <= 20").0, Outcome::Inconclusive);
    assert_eq!(judged(&SAME, &SLOWER, "response_p99_ms >= 1.2x").0, Outcome::Pass);
    // What is exact takes one run.
    assert_eq!(judged(&[10.0], &[90.0], "rows_dropped <= 0").0, Outcome::Pass);
    // What was never measured holds for nobody.
    assert_eq!(judged(&SAME, &SAME, "ratio.sum.value >= 1").0, Outcome::Fail);
}

/// Runs of a side with these queries per second.
fn asking(name: &str, per_s: &[f64]) -> Vec<Run> {
    let run = |(at, per_s): (usize, &f64)| {
        run_with(&format!("{name}{}", at + 1), 10.0, |saved| {
            for query in saved["queries"].as_array_mut().unwrap() {
                query["queries_per_s"] = json!(per_s / 2.0);
            }
        })
    };
    per_s.iter().enumerate().map(run).collect()
}

#[test]
fn what_falls_to_0_fails_its_gate_and_is_told() {
    let judged = |a: &[f64], b: &[f64], gate: &str| {
        let compared = of(asking("a", a), asking("b", b), &[gate]);
        (compared.outcome, compared.gates[0].why.clone())
    };
    let (some, none) = ([20.0, 20.4, 0.0, 19.8], [0.0; 4]);
    let full = [20.1, 20.3, 19.9, 20.0];
    // One of B needs no ratio.
    for b in [some, none] {
        assert_eq!(judged(&full, &b, "queries_per_s >= 10").0, Outcome::Fail);
        assert_eq!(judged(&full, &b, "queries_per_s <= 30").0, Outcome::Pass);
        assert_eq!(judged(&full, &b, "queries_per_s >= 0.9x").0, Outcome::Fail);
        // Of a side that has 0 itself nothing is a multiple.
        assert_eq!(judged(&some, &b, "queries_per_s >= 0.9x").0, Outcome::Inconclusive);
    }
    assert_eq!(judged(&full, &some, "queries_per_s <= 1.1x").0, Outcome::Inconclusive);
    assert_eq!(judged(&full, &none, "queries_per_s <= 1.1x").0, Outcome::Pass);
    assert_eq!(judged(&full, &some, "queries_per_s >= 0.9x").1, "it is 0 in b3, 1 of 4 runs");
    assert_eq!(judged(&full, &full, "queries_per_s >= 0.9x").0, Outcome::Pass);
    // Without a gate both values are shown.
    let compared = of(asking("a", &full), asking("b", &some), &[]);
    assert_eq!(verdict(&compared, "queries_per_s"), CompareVerdict::FellToZero);
    let own = compared.figures.iter().find(|one| one.figure == "queries_per_s").unwrap();
    let shown = own.typical.map(|value| format!("{:.2}", value.unwrap()));
    assert_eq!(shown, ["20.07", "15.05"]);
    assert_eq!(own.why.as_deref(), Some("0 in 1 of 4 runs of B, first in b3"));
    // Where it is 0 in every run nobody asked for it; a gate does.
    let listed = |gates: &[&str]| {
        let compared = of(asking("a", &none), asking("b", &none), gates);
        compared.figures.iter().any(|one| one.figure == "queries_per_s")
    };
    assert!(!listed(&[]) && listed(&["queries_per_s >= 10"]));
    let back = of(asking("a", &some), asking("b", &full), &[]);
    assert_eq!(verdict(&back, "queries_per_s"), CompareVerdict::NotCompared);
}

#[test]
fn a_run_of_an_index_that_has_no_result_is_named_and_no_gate_passes() {
    let gone = LeftOut { folder: "b/03-x".to_owned(), why: "its result is not there".to_owned() };
    let missing = [Vec::new(), vec![gone]];
    let options = Options { missing, ..options(&["response_p99_ms <= 1.10x"]) };
    let compared = compare(&[side("a", &SAME), side("b", &SAME)], &options).unwrap();
    assert_eq!(compared.sides[1].left_out[0].folder, "b/03-x");
    assert_eq!(compared.outcome, Outcome::Inconclusive);
}

#[test]
fn an_open_gate_fails_where_that_is_asked_for() {
    let strict = Options { strict: true, ..options(&["response_p99_ms <= 1.10x"]) };
    let compared = compare(&[side("a", &SAME[..2]), side("b", &SAME)], &strict).unwrap();
    assert_eq!((compared.outcome, compared.exit_code), (Outcome::Inconclusive, exit::THRESHOLD));
}

#[test]
fn many_gates_need_more_evidence_than_one() {
    // 5 % apart: shown alone, and not among ten.
    let b = [10.5, 10.75, 10.2, 10.55, 10.4];
    let outcome = |gates: &[&str]| of(side("a", &SAME), side("b", &b), gates).gates[0].outcome;
    let first = "response_p99_ms <= 1x";
    assert_eq!(outcome(&[first]), Outcome::Fail);
    let others = ["response_p50_ms <= 1.0x"; 19];
    assert_eq!(outcome(&[&[first][..], &others[..]].concat()), Outcome::Inconclusive);
}

#[test]
fn what_did_not_come_to_its_end_is_left_out_and_no_gate_passes() {
    let mut b = side("b", &SAME);
    b.push(run_with("killed", 10.0, |saved| saved["status"] = json!("running")));
    let compared = of(side("a", &SAME), b, &["response_p99_ms <= 1.10x"]);
    assert_eq!(compared.sides[1].runs.len(), 5);
    assert_eq!(compared.sides[1].left_out[0].folder, "killed");
    assert_eq!(compared.outcome, Outcome::Inconclusive);
    let none = vec![run_with("x", 1.0, |saved| saved["status"] = json!("failed"))];
    let refused = compare(&[side("a", &SAME), none], &Options::default());
    assert!(matches!(refused, Err(Refused::NoRun { side: "B", .. })));
}

#[test]
fn lost_rows_are_told_of_one_run_and_no_gate_hides_them() {
    let lost = run_with("b1", 10.0, |saved| {
        saved["stream"]["audit"][0]["lost"] = json!([[3, 7]]);
    });
    let compared = of(side("a", &[10.0]), vec![lost], &["rows_dropped <= 0"]);
    let exact = compared.exact.iter().find(|one| one.figure == "rows_lost").unwrap();
    assert_eq!(exact.verdict, ExactVerdict::Worse);
    assert_eq!((compared.outcome, compared.exit_code), (Outcome::Fail, exit::INTEGRITY));
}

#[test]
fn a_percentile_of_too_few_samples_is_not_compared_and_holds_no_gate() {
    let few = |name: &str| {
        let runs = side(name, &SAME).into_iter();
        runs.map(|mut run| {
            let Body::Stream(own) = &mut run.result.body else { panic!("no stream") };
            own.stream.response.as_mut().unwrap().count = 999;
            run
        })
        .collect::<Vec<_>>()
    };
    let p99 = ["response_p99_ms <= 1.10x"];
    let compared = of(side("a", &SAME), few("b"), &p99);
    assert_eq!(verdict(&compared, "response_p99_ms"), CompareVerdict::NotCompared);
    let why = "in b1 it has 999 samples, and it takes 1,000";
    assert_eq!(compared.gates[0].why, why);
    assert_eq!(compared.gates[0].outcome, Outcome::Fail, "as what was not measured");
    assert_eq!(of(few("a"), side("b", &SAME), &p99).gates[0].outcome, Outcome::Inconclusive);
    // Without a gate nobody asks for it.
    let names = |compared: &RunsCompared| {
        compared.figures.iter().map(|one| one.figure.clone()).collect::<Vec<_>>()
    };
    let p99 = "response_p99_ms".to_owned();
    assert!(names(&of(side("a", &SAME), side("b", &SAME), &[])).contains(&p99));
    let none = names(&of(few("a"), few("b"), &[]));
    assert!(!none.contains(&p99) && none.contains(&"response_p50_ms".to_owned()));
}

#[test]
fn unlike_plans_are_refused_key_by_key() {
    let b = run_with("b", 10.0, |saved| {
        saved["plan"]["stream"] = json!({ "rows_per_s": 1800, "partitions": 4 });
        saved["plan"]["name"] = json!("other");
    });
    let both = || [side("a", &[10.0]), vec![b.clone()]];
    let Err(Refused::Plans { keys, .. }) = compare(&both(), &Options::default()) else {
        panic!("unlike plans are compared");
    };
    let names: Vec<&str> = keys.iter().map(|unlike| unlike.key.as_str()).collect();
    assert_eq!(names, ["stream.partitions", "stream.rows_per_s"]);
    let allowed = Options { allowed: vec!["stream".to_owned()], ..Options::default() };
    let compared = compare(&both(), &allowed).unwrap();
    assert_eq!(compared.allowed.len(), 2);
    // A query that only one has is one difference.
    let more = run_with("b", 10.0, |saved| {
        let queries = saved["plan"]["readers"]["queries"].as_array_mut().unwrap();
        queries.push(json!({ "name": "more", "sql": "SELECT 2", "weight": 3 }));
    });
    let Err(Refused::Plans { keys, .. }) =
        compare(&[side("a", &[10.0]), vec![more]], &Options::default())
    else {
        panic!("unlike plans are compared");
    };
    let told = |own: &Unlike| (own.key.clone(), own.first.clone(), own.other.clone());
    let there = Some("there".to_owned());
    assert_eq!(
        keys.iter().map(told).collect::<Vec<_>>(),
        [("readers.queries.more".to_owned(), None, there)]
    );
    let benchmark = Run { folder: "c".to_owned(), result: sample::benchmark() };
    let refused = compare(&[side("a", &[10.0]), vec![benchmark]], &Options::default());
    assert!(matches!(refused, Err(Refused::Kinds { .. })));
}

#[test]
fn a_default_that_follows_another_key_is_no_difference_of_its_own() {
    let run = |folder: &str, profile: &str| {
        let source = ProfileSource::decode("a.toml", profile.as_bytes().to_vec()).unwrap();
        let plan = Plan::resolve(&source, &Overrides::default()).unwrap().common.profile;
        let mut run = run_with(folder, 10.0, |_| {});
        run.result.plan = *plan;
        vec![run]
    };
    let unlike = |a: &str, b: &str| match compare(&[run("a", a), run("b", b)], &Options::default())
    {
        Err(Refused::Plans { keys, .. }) => keys.into_iter().map(|one| one.key).collect(),
        Err(refused) => panic!("{refused:?}"),
        Ok(_) => Vec::new(),
    };
    let (slow, fast) = ("stream.rows_per_s = 1000\n", "stream.rows_per_s = 2000\n");
    assert_eq!(unlike(slow, slow), Vec::<String>::new());
    assert_eq!(unlike(slow, fast), ["stream.rows_per_s"]);
    assert_eq!(unlike(slow, "stream.rows_per_s = 'max'\n"), ["stream.rows_per_s"]);
    // Given on one side, it is a difference of its own.
    let given = format!("{fast}recovery.backlog_rows = 5000\n");
    assert_eq!(unlike(slow, &given), ["recovery.backlog_rows", "stream.rows_per_s"]);
}

#[test]
fn tables_of_unlike_sizes_are_refused_also_within_a_side() {
    let of = |folder: &str, before: u64| {
        run_with(folder, 10.0, |saved| saved["stream"]["rows_before"] = json!(before))
    };
    let refused = |a: u64, b: u64, allow_rows| {
        let options = Options { allow_rows, ..Options::default() };
        compare(&[vec![of("a1", 0), of("a2", a)], vec![of("b", b)]], &options).is_err()
    };
    assert!(!refused(0, 5_000, false), "60,000 rows fell due");
    assert!(refused(0, 7_000, false));
    assert!(refused(60_000, 0, false));
    assert!(!refused(60_000, 0, true));
}

/// A run on a table that nobody counted, of these bytes.
fn uncounted(folder: &str, before: Option<u64>, after: Option<u64>) -> Run {
    run_with(folder, 10.0, |saved| {
        saved["stream"]["rows_before"] = Value::Null;
        saved["server_work"] = json!({
            "over_s": 10.0, "wal_bytes": null, "checkpoints_timed": null, "checkpoints_requested": null,
            "table_bytes_before": before, "table_bytes": after,
        });
    })
}

#[test]
fn tables_that_nobody_counted_are_told_apart_by_their_bytes_and_never_taken_for_alike() {
    const MIB: u64 = 1 << 20;
    let of = |folder: &str, before: u64, after: u64| {
        uncounted(folder, Some(before * MIB), Some(after * MIB))
    };
    let told = |a: Vec<Run>, b: Vec<Run>| match compare(&[a, b], &Options::default()) {
        Err(Refused::Sizes(sizes)) => format!("{sizes:?}"),
        Err(refused) => panic!("{refused:?}"),
        Ok(_) => String::new(),
    };
    assert_eq!(told(vec![of("a", 100, 110)], vec![of("b", 110, 120)]), "");
    let apart = told(vec![of("a", 100, 110)], vec![of("b", 112, 122)]);
    assert!(apart.contains("at the start") && apart.contains("112 MiB"), "{apart}");
    // Twice the rate makes a larger table of one that was the same.
    assert_eq!(told(vec![of("a", 100, 110)], vec![of("b", 100, 120)]), "");
    // One side made its table, which was counted, and had no bytes.
    let fresh = |folder| {
        let mut run = of(folder, 0, 10);
        let Body::Stream(own) = &mut run.result.body else { panic!("no stream") };
        own.stream.rows_before = Some(0);
        run
    };
    assert!(told(vec![fresh("a")], vec![of("b", 10, 20)]).contains("10 MiB"));
    assert_eq!(told(vec![fresh("a")], vec![fresh("b")]), "", "both were counted");
    // Results of before have the end alone.
    let end = |folder, after: u64| uncounted(folder, None, Some(after * MIB));
    assert_eq!(told(vec![end("a", 100)], vec![end("b", 109)]), "");
    let apart = told(vec![end("a", 100)], vec![end("b", 200)]);
    assert!(apart.contains("at the end"), "{apart}");
    // Of nothing nobody can tell.
    let none = |folder| uncounted(folder, None, None);
    let unknown = "NotKnown { table: \"the stream's table\", folder: \"b1\" }";
    assert_eq!(told(side("a", &[10.0]), vec![none("b1")]), unknown);
    assert_eq!(told(vec![none("b1")], vec![none("b2")]), unknown);
    let options = Options { allow_rows: true, ..Options::default() };
    let compared = compare(&[vec![none("a")], vec![none("b")]], &options).unwrap();
    let differs = compared.differs.iter().map(|one| (one.what.as_str(), one.sides[1][0].as_str()));
    let differs: Vec<_> = differs.collect();
    assert_eq!(differs, [("the stream's table at the start", "not known")]);
}

#[test]
fn a_run_that_is_there_twice_is_refused_whatever_its_folder_is_called() {
    let copy = |mut run: Run, folder: &str| {
        folder.clone_into(&mut run.folder);
        run
    };
    let twice = |a: Vec<Run>, b: Vec<Run>| match compare(&[a, b], &Options::default()) {
        Err(Refused::Twice { first, again }) => Some((first, again)),
        Err(refused) => panic!("{refused:?}"),
        Ok(_) => None,
    };
    let pair = |first: &str, again: &str| Some((first.to_owned(), again.to_owned()));
    let a = || side("a", &SAME);
    let b = || side("b", &SAME);
    assert_eq!(twice(a(), b()), None, "runs of one plan with the same figures");
    assert_eq!(twice([a(), vec![copy(a()[0].clone(), "a6")]].concat(), b()), pair("a1", "a6"));
    assert_eq!(twice(a(), [b(), vec![copy(a()[1].clone(), "x")]].concat()), pair("a2", "x"));
    // Results of before do not name their run: one that holds all the same is the same.
    let before = |folder: &str, ms: f64, started_at: &str| {
        run_with(folder, ms, |saved| {
            saved["run_id"] = Value::Null;
            saved["started_at"] = json!(started_at);
        })
    };
    let own = || vec![before("old", 10.0, "2026-01-01T00:00:00Z")];
    let again = vec![before("copy", 10.0, "2026-01-01T00:00:00Z")];
    assert_eq!(twice(own(), again), pair("old", "copy"));
    assert_eq!(twice(own(), vec![before("later", 10.0, "2026-01-01T00:00:01Z")]), None);
    assert_eq!(twice(own(), vec![before("beside", 11.0, "2026-01-01T00:00:00Z")]), None);
}

#[test]
fn a_benchmark_that_an_error_ended_early_is_left_out() {
    let of = |folder: &str, error: Option<&str>| {
        let mut result = sample::benchmark();
        result.run_id = Some(folder.to_owned());
        let Body::Benchmark(run) = &mut result.body else { panic!("no benchmark") };
        run.steps[0].error = error.map(str::to_owned);
        Run { folder: folder.to_owned(), result }
    };
    let whole = || vec![of("a", None)];
    let early = of("b2", Some("relation \"x\" does not exist"));
    let compared = compare(&[whole(), vec![of("b1", None), early.clone()]], &Options::default());
    let compared = compared.unwrap();
    assert_eq!(compared.sides[1].runs, ["b1"]);
    let why = "an error ended it: step all was not made ready: relation \"x\" does not exist";
    assert_eq!(compared.sides[1].left_out[0].why, why);
    let refused = compare(&[whole(), vec![early]], &Options::default());
    assert!(matches!(refused, Err(Refused::NoRun { side: "B", .. })));
}

#[test]
fn what_differs_around_the_runs_is_shown_and_not_refused() {
    let b = run_with("b", 10.0, |saved| {
        saved["server"]["version"] = json!("16.1");
        saved["server"]["settings"] = json!({ "shared_buffers": "16MB" });
    });
    let compared = of(side("a", &[10.0]), vec![b], &[]);
    let told: Vec<String> = compared
        .differs
        .iter()
        .map(|one| format!("{}: {} | {}", one.what, one.sides[0].join(","), one.sides[1].join(",")))
        .collect();
    assert_eq!(told, ["PostgreSQL: 15.0 | 16.1", "shared_buffers: – | 16MB"]);
    assert!(compared.same >= 3, "{}", compared.same);
}

#[test]
fn a_bound_can_fail_a_gate_and_never_hold_it() {
    let bounded = |folder: &str, ms: f64| {
        run_with(folder, ms, |saved| saved["stream"]["response"]["censored_from_ms"] = json!(ms))
    };
    let b = |ms: f64| ["b1", "b2", "b3", "b4"].map(|name| bounded(name, ms)).to_vec();
    let known = b(10.0)[0].result.clone();
    let p99 = &options(&["response_p99_ms <= 1.10x"]).gates[0].figure.value(&known).unwrap();
    assert_eq!(p99.known, crate::result::figure::Known::AtLeast, "the sample is a bound");
    let outcome = |ms| of(side("a", &SAME), b(ms), &["response_p99_ms <= 1.10x"]).outcome;
    assert_eq!(outcome(10.0), Outcome::Inconclusive);
    assert_eq!(outcome(60_000.0), Outcome::Fail);
}
