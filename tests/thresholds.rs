//! Thresholds of real jobs of every kind: judged, failing with 99, refused where they name nothing, and
//! ending a job that goes on.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

const STREAM: &str = "warmup_s = 0\nduration_s = 2\n[stream]\nrows_per_s = 1000\n[readers]\n\
                      count = 1\n[[readers.queries]]\nname = \"rows\"\nsql = \"SELECT count(*) FROM {table}\"\n";
const BENCH: &str = "[bench]\npairs_min = 6\npairs_max = 8\ntime_s = 2\n\
                     [[bench.queries]]\nname = \"first\"\nsql = \"SELECT pg_sleep(0.001)\"\n\
                     [[bench.queries]]\nname = \"second\"\nsql = \"SELECT 2\"\n\
                     [arms.a]\nset = { jit = false }\n[arms.b]\nset = { jit = true }\n";
const SWEEP: &str = "[bench]\n[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n\
                     [sweep]\nrounds = 10\n[[sweep.settings]]\nname = \"work_mem\"\nvalues = [\"4MB\", \"8MB\"]\n";

async fn run(database: &Database, profiles: &[&str], args: &[&str]) -> Ended {
    let folder = scratch();
    let address = database.address();
    let mut all = vec!["run".to_owned()];
    for (number, text) in profiles.iter().enumerate() {
        let path = folder.path().join(format!("job{number}.toml"));
        fs::write(&path, text).unwrap();
        all.push(path.display().to_string());
    }
    let common = ["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
    all.extend(common.iter().chain(args).map(|arg| (*arg).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Program::start_in(folder, &all, &[]).end().await
}

fn of(thresholds: &[&'static str]) -> Vec<&'static str> {
    thresholds.iter().flat_map(|threshold| ["--threshold", threshold]).collect()
}

/// The verdicts of a job, in order.
fn passed(ended: &Ended) -> Vec<bool> {
    let result = ended.result();
    let thresholds = result["thresholds"].as_array().unwrap().iter();
    thresholds.map(|threshold| threshold["passed"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn every_kind_of_job_is_judged() {
    let jobs: [(&str, &[&str], &[&str]); 3] = [
        (
            STREAM,
            &[
                "rows_lost <= 0",
                "rows_undecided <= 0",
                "rows_per_s > 100",
                "query.rows.cpu.max_ms < 1000000",
                "query.rows.cpu.executions >= 1",
            ],
            &["query.rows.cpu.p50_ms <= 0", "query.rows.on.p50_ms < 1000000", "gpu_proven >= 1"],
        ),
        (
            BENCH,
            &[
                "errors <= 0",
                "answers_different <= 0",
                "query.first.a.p50_ms >= 1",
                "query.second.b.executions >= 6",
                "ratio.first.pairs >= 6",
            ],
            &["query.first.b.max_ms < 1", "ratio.second.value < 0", "gpu_proven >= 1"],
        ),
        (
            SWEEP,
            &["errors <= 0", "query.one.best_ms > 0"],
            &["query.one.worst_ms <= 0", "gpu_proven > 0"],
        ),
    ];
    for (profile, holds, fails) in jobs {
        let database = Database::create().await;
        let ended = run(&database, &[profile], &of(holds)).await;
        ended.done();
        assert_eq!(passed(&ended), vec![true; holds.len()], "{}", ended.stdout);
        let ended = run(&database, &[profile], &of(&[holds, fails].concat())).await;
        assert_eq!(ended.code, Some(99), "{}\n{}", ended.stdout, ended.stderr);
        let expected = [vec![true; holds.len()], vec![false; fails.len()]].concat();
        assert_eq!(passed(&ended), expected, "{}", ended.stdout);
        for threshold in fails {
            let line = format!("THRESHOLD FAILED: `{threshold}`");
            assert!(ended.stdout.contains(&line), "{threshold}\n{}", ended.stdout);
        }
        assert_eq!(ended.result()["status"], "done");
        // From the file it is the same.
        let list = format!("thresholds = {}\n{profile}", json!(fails));
        let ended = run(&database, &[&list], &[]).await;
        assert_eq!(ended.code, Some(99), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn faults_are_judged_too() {
    let mut args =
        vec!["faults", "--duration", "4s", "--only", "backend-terminated", "--seed", "1"];
    args.extend(["--metrics-addr", "off", "--output", "out"]);
    args.extend(of(&["rows_lost <= 0", "errors < 0"]));
    let ended = Program::start(&args).end().await;
    assert_eq!(passed(&ended), [true, false], "{}", ended.stdout);
    // No fault may have fallen into so short a time.
    assert!(matches!(ended.code, Some(99 | 6)), "{}", ended.stderr);
    assert!(ended.stdout.contains("THRESHOLD FAILED: `errors < 0`"), "{}", ended.stdout);
}

#[tokio::test]
async fn what_names_nothing_is_refused_before_anything_starts() {
    let database = Database::create().await;
    for (profile, threshold, says) in [
        (STREAM, "query.row.cpu.p99_ms < 1", "did you mean `rows`?"),
        (STREAM, "query.rows.gpu.p99_ms < 1", "write one of cpu, off, on"),
        (STREAM, "ratio.rows.lo > 1", "did you mean `low`?"),
        (BENCH, "rows_lost <= 0", "is a figure of other jobs (stream, faults)"),
        (BENCH, "query.first.on.p50_ms < 1", "write one of a, b"),
        (SWEEP, "query.one.cpu.p50_ms < 1", "is a figure of other jobs"),
        (STREAM, "errors <= 0 abort later", "`abort` or `abort after 10s` behind it"),
    ] {
        let ended = run(&database, &[profile], &["--threshold", threshold]).await;
        assert_eq!(ended.code, Some(2), "{threshold}\n{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{threshold}\n{}", ended.stderr);
        assert!(!ended.work().join("out").exists());
    }
    let without = ["--readers", "0", "--threshold", "query_p99_ms < 1000000"];
    let ended = run(&database, &[STREAM], &without).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let unread = ["--audit", "count", "--threshold", "rows_lost <= 0"];
    let ended = run(&database, &[STREAM], &unread).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("known only by the full audit"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_threshold_ends_a_stream_that_goes_on() {
    let database = Database::create().await;
    let began = Instant::now();
    let args = ["--duration", "120s", "--threshold", "rows_per_s > 1000000 abort after 1s"];
    let ended = run(&database, &[STREAM], &args).await;
    assert_eq!(ended.code, Some(99), "{}\n{}", ended.stdout, ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(60));
    let result = ended.result();
    assert_eq!((&result["status"], &result["error"]), (&json!("stopped"), &Value::Null));
    let at_s = result["thresholds"][0]["aborted_at_s"].as_f64().unwrap();
    assert!(at_s >= 1.0, "{at_s}");
    assert!(ended.stdout.contains("ENDED EARLY by a threshold"), "{}", ended.stdout);
    assert!(ended.stdout.contains("which ended it"), "{}", ended.stdout);
    // What was due by then is stored and read back, and nothing else is missing.
    assert_eq!(result["stream"]["rows_dropped"], 0);
    assert_eq!(result["stream"]["rows_found"], result["stream"]["rows_due"]);
    assert_eq!(result["shortfalls"], json!([]));
}

#[tokio::test]
async fn a_threshold_ends_a_benchmark_or_a_sweep_and_not_the_profiles_behind_it() {
    let database = Database::create().await;
    let failing =
        |profile: &str, threshold: &str| format!("thresholds = [\"{threshold}\"]\n{profile}");
    let bench = failing(BENCH, "query.first.a.p50_ms < 0 abort");
    let sweep =
        failing(&SWEEP.replace("rounds = 10", "rounds = 5000"), "query.one.best_ms < 0 abort");
    let ended = run(&database, &[&bench, &sweep, STREAM], &[]).await;
    assert_eq!(ended.code, Some(99), "{}\n{}", ended.stdout, ended.stderr);
    let saved = |name: &str| -> Value {
        let text = fs::read_to_string(ended.work().join("out").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let codes = saved("index.json")["runs"].as_array().unwrap().clone();
    let codes: Vec<_> = codes.iter().map(|run| run["exit_code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [99, 99, 0]);
    let bench = saved("01-job0/result.json");
    assert_eq!(bench["status"], "stopped");
    let queries = bench["steps"][0]["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 1, "the second was not begun");
    assert_eq!(saved("02-job1/result.json")["status"], "stopped");
    assert_eq!(saved("03-job2/result.json")["status"], "done");
}

#[tokio::test]
async fn the_figures_are_listed() {
    let text = Program::start(&["thresholds"]).end().await;
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("\nbenchmark:\n"), "{}", text.stdout);
    let listed = Program::start(&["thresholds", "--format", "json"]).end().await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    for figure in listed["figures"].as_array().unwrap() {
        assert!(text.stdout.contains(figure["name"].as_str().unwrap()), "{figure}");
    }
}

#[tokio::test]
async fn a_threshold_may_be_for_some_of_the_profiles() {
    let database = Database::create().await;
    let thresholds = of(&["errors <= 0", "rows_lost <= 0", "query.one.best_ms > 0"]);
    let ended = run(&database, &[STREAM, SWEEP], &thresholds).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for note in [
        "`rows_lost` is a figure of other jobs (stream, faults): so not for job1\n",
        "`query.one.best_ms` is a figure of other jobs (sweep): so not for job0\n",
    ] {
        assert_eq!(ended.stderr.matches(note).count(), 1, "{}", ended.stderr);
    }
    let folder = ended.work().join("out");
    for (name, judged) in [
        ("01-job0", ["errors <= 0", "rows_lost <= 0"]),
        ("02-job1", ["errors <= 0", "query.one.best_ms > 0"]),
    ] {
        let result = fs::read(folder.join(name).join("result.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        let thresholds = result["thresholds"].as_array().unwrap().iter();
        let names: Vec<&str> = thresholds.map(|it| it["threshold"].as_str().unwrap()).collect();
        assert_eq!(names, judged);
    }
    // Of none of them: nothing starts.
    let ended =
        run(&database, &[STREAM, SWEEP], &of(&["ratio.rows.low > 1", "query.x.a.p50_ms < 1"]))
            .await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("names an unknown query `x`"), "{}", ended.stderr);
    assert!(!ended.work().join("out").exists());
}
