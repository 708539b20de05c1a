//! How a run ends: within which time, what it says meanwhile, and what is left on the server.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Database, Program, scratch, until};

const TABLE: &str = "l40s_realtime_stream";

/// A query in two arms that takes as long as anybody lets it.
const ENDLESS: &str = r#"
[stream]
[readers]
count = 2
statement_timeout_s = 3600
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.no_seqscan]
set = { enable_seqscan = false }
[[readers.queries]]
name = "endless"
sql = "SELECT pg_sleep(3600)"
"#;

fn start(database: &Database, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("ends.toml");
    fs::write(&path, format!("warmup_s = 0\n{profile}")).unwrap();
    let address = database.address();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    all.extend(["--metrics-addr", "off", "--output", "out", "--rate", "300"]);
    all.extend(args);
    Program::start_in(folder, &all, &[])
}

/// Statements of ours, and those that somebody else is at.
async fn ours(database: &Database, what: &str, count: u32) {
    let sql = format!(
        "SELECT count(*) = {count} FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name LIKE 'strom-load%' AND state = 'active' AND {what}"
    );
    database.until(&sql).await;
}

#[tokio::test]
async fn an_interrupt_cuts_queries_off_and_compares_nothing_more() {
    for audit in ["full", "off"] {
        let database = Database::create().await;
        let program = start(&database, ENDLESS, &["--duration", "forever", "--audit", audit]);
        // The readers, and whoever compares answers beside them.
        ours(&database, "wait_event = 'PgSleep'", 2).await;
        let began = Instant::now();
        program.signal(Signal::INT);
        let ended = program.end().await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "{audit}: {took:?}\n{}", ended.stderr);
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        ours(&database, "true", 0).await;

        let said = "answers were not compared: interrupted";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stdout.contains("not compared: interrupted"), "{}", ended.stdout);
        assert!(ended.stdout.contains("cut off by the end of the run"), "{}", ended.stdout);
        let result = ended.result();
        assert_eq!(result["status"], "interrupted");
        assert_eq!(result["comparisons"][0]["answers"]["not_compared"], "interrupted");
        let interrupted = |arm: usize| result["queries"][arm]["interrupted"].as_u64().unwrap();
        assert_eq!(interrupted(0) + interrupted(1), 2);
        let stream = &result["stream"];
        let checked = if audit == "full" { &stream["rows_acknowledged"] } else { &().into() };
        assert_eq!(&stream["rows_found"], checked, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_second_interrupt_ends_the_audit_here_and_on_the_server() {
    let database = Database::create().await;
    let args = ["--duration", "forever", "--readers", "0", "--drain-timeout", "1s"];
    let program = start(&database, "[stream]\n", &args);
    database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;
    // Neither rows nor the audit get into the table.
    let other = database.session().await;
    other.execute(&format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")).await;
    program.signal(Signal::INT);
    ours(&database, "application_name = 'strom-load audit' AND wait_event_type = 'Lock'", 3).await;
    let said = program.says("reading ").await;
    assert!(said.ends_with(" rows back"), "{said}");
    sleep(Duration::from_millis(2_200)).await;
    let lines = program.stderr().lines().filter(|line| line.starts_with("reading ")).count();
    assert!((1..=2).contains(&lines), "news, or a line each five seconds: {}", program.stderr());

    let began = Instant::now();
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}\n{}", began.elapsed(), ended.stderr);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    ours(&database, "true", 0).await;
    other.execute("ROLLBACK").await;
    assert!(ended.stderr.contains("rows were not checked: interrupted"), "{}", ended.stderr);
    assert!(ended.stdout.contains("not checked: interrupted"), "{}", ended.stdout);
    assert_eq!(ended.result()["stream"]["not_checked"], "interrupted");
}

#[tokio::test]
async fn a_query_without_an_end_does_not_hold_the_run() {
    let database = Database::create().await;
    let began = Instant::now();
    let program = start(&database, ENDLESS, &["--duration", "1s", "--drain-timeout", "40s"]);
    // It is cut off at its share of the run; what compares answers afterwards is as endless.
    program.says("comparing answers, 1 of 1").await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    ours(&database, "true", 0).await;
    let result = ended.result();
    assert_eq!(result["comparisons"][0]["answers"]["not_compared"], "interrupted");
    assert_eq!(result["stream"]["rows_found"], result["stream"]["rows_acknowledged"]);
}

#[tokio::test]
async fn queries_that_fall_due_and_are_never_asked_are_counted() {
    let database = Database::create().await;
    let profile = "[stream]\n[readers]\ncount = 1\nqueries_per_s = 20\n\
                   [[readers.queries]]\nname = \"slow\"\nsql = \"SELECT pg_sleep(1)\"\n";
    let ended = start(&database, profile, &["--duration", "6s"]).end().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["shortfalls"][0]["kind"], "queries_dropped", "{}", result["shortfalls"]);
    let due = &result["queries_due"];
    let count = |key: &str| due[key].as_u64().unwrap();
    assert_eq!(count("due"), 120, "{due}");
    assert_eq!(count("asked") + count("dropped"), 120, "{due}");
    assert_eq!(count("asked"), result["queries"][0]["executions"].as_u64().unwrap());
    let line = format!("120 due, {} asked, {} dropped", count("asked"), count("dropped"));
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    assert_eq!(due["bottleneck"], "server", "{due}");
    assert!(ended.stdout.contains("never asked, as the readers waited"), "{}", ended.stdout);
    // The rows are another matter.
    assert_eq!(result["loader"]["bottleneck"], "none", "{}", ended.stdout);
}

/// Behind an error a reader pauses, and that is no wait for the server.
#[tokio::test]
async fn queries_that_are_dropped_over_pauses_behind_errors_are_not_blamed_on_the_server() {
    let database = Database::create().await;
    let profile = "[stream]\n[readers]\ncount = 2\nqueries_per_s = 100\n\
                   [[readers.queries]]\nname = \"broken\"\nsql = \"SELECT 1 / (random() * 0)::int\"\n";
    let ended = start(&database, profile, &["--duration", "4s"]).end().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let due = &ended.result()["queries_due"];
    assert_eq!(due["bottleneck"], "loader", "{due}");
    assert!(due["reason"].as_str().unwrap().contains("paused behind errors"), "{due}");
}

#[tokio::test]
async fn of_several_profiles_the_one_in_hand_is_told_of_also_after_a_kill() {
    let database = Database::create().await;
    let second = scratch();
    let path = second.path().join("second.toml");
    fs::write(&path, "[stream]\n[readers]\ncount = 0\n").unwrap();
    let args = [path.to_str().unwrap(), "--duration", "forever", "--audit", "off"];
    let mut program = start(&database, "[stream]\n[readers]\ncount = 0\n", &args);
    let out = program.folder.path().join("work/out");
    let begun = || fs::read(out.join("01-ends/result.json")).is_ok();
    until("the first run has begun", begun).await;
    program.child.kill().await.unwrap();
    let index: Value = serde_json::from_slice(&fs::read(out.join("index.json")).unwrap()).unwrap();
    let [first, other] = [&index["runs"][0], &index["runs"][1]];
    let told =
        |run: &Value| (run["folder"].clone(), run["exit_code"].clone(), run["verdict"].clone());
    let going = json!("it goes on, or was killed");
    assert_eq!(told(first), (json!("01-ends"), Value::Null, going));
    assert_eq!(told(other), (Value::Null, Value::Null, json!("not begun")));
    let report = Program::start(&["report", out.to_str().unwrap()]).end().await;
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    assert!(report.stdout.contains("UNFINISHED"), "{}", report.stdout);
    assert!(!report.stderr.contains("ends: it has not begun"), "{}", report.stderr);
}
