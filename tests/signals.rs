//! Signals, stalls and broken connections: the run ends as promised, reports, and leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{Database, Ended, Program, lives, scratch, until};

const TABLE: &str = "l40s_realtime_stream";

/// A run that somebody must end, once its first rows are stored.
async fn endless(database: &Database, args: &[&str]) -> Program {
    let mut all = vec!["--rate", "1000", "--duration", "forever", "--warmup", "0s"];
    all.extend(args);
    let program = Program::run(database, &all);
    streaming(database).await;
    program
}

/// Waits until rows are stored.
async fn streaming(database: &Database) {
    database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;
}

async fn rows(database: &Database) -> i64 {
    database.number(&format!("SELECT count(*) FROM {TABLE}")).await
}

/// Nothing of the loader is left in the database.
async fn is_gone(database: &Database) {
    let ours = "SELECT count(*) = 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'strom-load%'";
    database.until(ours).await;
}

/// The report of a run that a signal ended in order.
async fn drained(database: &Database, ended: &Ended) {
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["status"], "interrupted");
    let stream = &result["stream"];
    assert_eq!(stream["rows_dropped"], 0);
    for figure in ["rows_due", "rows_sent", "rows_acknowledged", "rows_found"] {
        assert_eq!(stream[figure], rows(database).await, "{figure}");
    }
    is_gone(database).await;
}

#[tokio::test]
async fn an_interrupt_drains_and_reports() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let database = Database::create().await;
        let program = endless(&database, &[]).await;
        program.signal(signal);
        let ended = program.end().await;
        drained(&database, &ended).await;
        assert!(ended.stderr.contains("interrupted: finishing what is due"), "{}", ended.stderr);
    }
}

/// As nohup starts it: SIGHUP is ignored, and the loader leaves it so.
#[tokio::test]
async fn a_hangup_that_is_ignored_ends_nothing() {
    let database = Database::create().await;
    let address = database.address();
    let mut args = vec!["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
    args.extend(["--rate", "1000", "--duration", "2s", "--warmup", "0s", "--readers", "0"]);
    let program = Program::start_after("trap '' HUP", &args, &[]);
    streaming(&database).await;
    program.signal(Signal::HUP);
    let ended = program.end().await;
    assert_eq!(ended.done()["stream"]["rows_acknowledged"], 2000);
}

#[tokio::test]
async fn an_interrupt_before_the_run_leaves_nothing() {
    let database = Database::create().await;
    // Preparation waits for a table that somebody else is making.
    let other = database.session().await;
    other.execute(&format!("BEGIN; CREATE TABLE {TABLE} (x int)")).await;
    let program = Program::run(&database, &["--recreate"]);
    program.says("results in").await;
    let busy = "SELECT count(*) > 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'strom-load control' \
                AND wait_event_type = 'Lock'";
    database.until(busy).await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted before the run began"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("interrupted").count(), 1, "{}", ended.stderr);
    assert!(!ended.work().join("out").exists());
    other.execute("ROLLBACK").await;
    is_gone(&database).await;
    assert_eq!(database.text(&format!("SELECT to_regclass('{TABLE}') IS NULL")).await, "t");
}

/// A profile with one query that takes as long as anybody lets it.
fn sleepy() -> (TempDir, PathBuf) {
    let folder = scratch();
    let file = folder.path().join("sleepy.toml");
    let profile = "name = 'sleepy'\nduration_s = 'forever'\nwarmup_s = 0\n\
                   [stream]\nrows_per_s = 1000\n\
                   [readers]\ncount = 2\nstatement_timeout_s = 3600\n\
                   [[readers.queries]]\nname = 'sleep'\nsql = 'SELECT pg_sleep(3600)'\n";
    fs::write(&file, profile).unwrap();
    (folder, file)
}

fn run_file(database: &Database, file: &Path) -> Program {
    let address = database.address();
    let file = file.to_str().unwrap();
    let args = ["run", file, "--database-url", &address, "--metrics-addr", "off"];
    Program::start(&[&args[..], &["--output", "out"]].concat())
}

#[tokio::test]
async fn a_second_interrupt_aborts_queries_and_batches() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let database = Database::create().await;
        let (_folder, file) = sleepy();
        let program = run_file(&database, &file);
        streaming(&database).await;
        let other = database.session().await;
        other.execute(&format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")).await;
        let blocked = "SELECT count(*) = 3 FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock' \
                       AND application_name LIKE 'strom-load producer%'";
        database.until(blocked).await;
        let committed = rows(&other).await;

        program.signal(signal);
        program.says("once more aborts").await;
        sleep(Duration::from_millis(300)).await;
        let second = Instant::now();
        program.signal(signal);
        let ended = program.end().await;
        assert!(second.elapsed() < Duration::from_secs(10), "{:?}", second.elapsed());
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        is_gone(&database).await;
        other.execute("COMMIT").await;

        let result = ended.result();
        assert_eq!(result["status"], "aborted");
        assert_eq!(result["queries"][0]["interrupted"], 2);
        let stream = &result["stream"];
        assert_eq!(stream["rows_acknowledged"], committed);
        assert_eq!(rows(&database).await, committed, "an aborted batch is rolled back");
        let count = |figure: &str| stream[figure].as_i64().unwrap();
        assert!(count("rows_sent") > committed);
        // A batch whose COMMIT was never sent is given up, and no more in doubt than one that waits.
        assert_eq!(count("rows_due"), committed + count("rows_dropped") + count("rows_undecided"));
    }
}

#[tokio::test]
async fn an_interrupt_also_ends_a_run_with_a_server_of_its_own() {
    let args = ["--duration", "forever", "--metrics-addr", "off", "--output", "out"];
    let program = Program::start(&args);
    let folder = server_folder(&program).await;
    until("the measurement has begun", || folder_has_intervals(&program)).await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let stream = &ended.result()["stream"];
    assert_eq!(stream["rows_acknowledged"], stream["rows_found"]);
    assert!(!folder.exists());
}

/// The private folder of the program's own server.
async fn server_folder(program: &Program) -> PathBuf {
    let command = program.says("connect with: ").await;
    let host = command.split_once("-h ").unwrap().1.split(' ').next().unwrap();
    Path::new(host).parent().unwrap().to_owned()
}

/// Whether the log of latencies has more than its head.
fn folder_has_intervals(program: &Program) -> bool {
    let log = fs::read_to_string(program.folder.path().join("work/out/latency.hlog"));
    log.is_ok_and(|log| log.contains("Tag=response"))
}

#[tokio::test]
async fn a_killed_loader_takes_its_server_along() {
    let args = ["--duration", "forever", "--metrics-addr", "off", "--output", "out"];
    let mut program = Program::start(&args);
    let folder = server_folder(&program).await;
    until("rows flow", || folder_has_intervals(&program)).await;
    let pidfile = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let postmaster: u32 = pidfile.lines().next().unwrap().parse().unwrap();
    assert!(lives(postmaster));
    program.child.kill().await.unwrap();
    until("the server is gone", || !lives(postmaster)).await;
    until("its folder is gone", || !folder.exists()).await;
}

#[tokio::test]
async fn a_terminated_backend_ends_the_run_if_that_is_wanted() {
    let database = Database::create().await;
    let program = endless(&database, &["--readers", "1", "--on-fault", "stop"]).await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() \
                     AND application_name = 'strom-load producer 1'";
    assert_eq!(database.text(terminate).await, "t");
    let ended = program.end().await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let said = "terminating connection due to administrator command";
    assert!(
        ended.stderr.contains("error: partition 1: failed to load a batch: "),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["status"], "failed");
    assert!(result["error"].as_str().unwrap().contains(said), "{}", result["error"]);
    is_gone(&database).await;
    let count = |figure: &str| result["stream"][figure].as_i64().unwrap();
    let found = rows(&database).await;
    assert!(
        count("rows_acknowledged") <= found && found <= count("rows_sent"),
        "{found}: {result}"
    );
}

/// Lets a stopped process go on, whatever becomes of the test.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// Stops a backend while it waits for work: in the middle of a commit it might hold a lock that
/// the others need, and the stall would not be its own.
async fn stop_when_idle(database: &Database, pid: i32) -> Stopped {
    let state = format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}");
    loop {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
        let stopped = Stopped(Pid::from_raw(pid).unwrap());
        if database.text(&state).await == "idle" {
            return stopped;
        }
        drop(stopped);
        sleep(Duration::from_millis(7)).await;
    }
}

#[tokio::test]
async fn a_stall_is_charged_to_its_partition_and_no_row_is_lost() {
    let database = Database::create().await;
    let args = ["--rate", "300", "--batch-rows", "10", "--readers", "0", "--warmup", "0s"];
    let program = Program::run(&database, &[&args[..], &["--duration", "6s"]].concat());
    streaming(&database).await;
    let pid = database
        .number(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'strom-load producer 0'",
        )
        .await;
    let stopped = stop_when_idle(&database, pid as i32).await;
    let began = database.text("SELECT clock_timestamp()").await;
    sleep(Duration::from_secs(2)).await;
    let ended = database.text("SELECT clock_timestamp()").await;
    drop(stopped);
    let result = program.end().await.done();

    // Every row arrived.
    let stream = &result["stream"];
    assert_eq!((&stream["rows_acknowledged"], &stream["rows_found"]), (&1800.into(), &1800.into()));
    assert_eq!(rows(&database).await, 1800);

    // The stalled partition says so, and only that one.
    let partitions = stream["partitions"].as_array().unwrap();
    let ms =
        |partition: &Value, clock: &str, figure: &str| partition[clock][figure].as_f64().unwrap();
    let stalled = &partitions[0];
    assert!(ms(stalled, "response", "max_ms") >= 1800.0, "{stalled}");
    for other in &partitions[1..] {
        assert!(ms(other, "response", "max_ms") < 1500.0, "{other}");
        assert!(ms(other, "row_latency", "max_ms") < 1500.0, "{other}");
    }
    // A third of its rows were due in the stall, and waited from 2 s down to nothing: latency
    // rises through the percentiles, where a closed loop would show one slow batch.
    let (p50, p90) = (ms(stalled, "row_latency", "p50_ms"), ms(stalled, "row_latency", "p90_ms"));
    let max = ms(stalled, "row_latency", "max_ms");
    assert!(p50 < 1000.0 && p90 > 1000.0 && max >= 1800.0 && p90 < max, "{stalled}");
    assert!(ms(stalled, "wait", "max_ms") >= 1500.0, "later batches wait for the stalled one");

    // The server's own clock agrees: what fell due in the stall was stored after it, and the
    // longest latency is the one reported.
    let latency = "extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) * 1000";
    let due = format!(
        "FROM {TABLE} WHERE gpu_partition = 0 AND created_at BETWEEN '{began}' AND '{ended}'"
    );
    assert!(database.number(&format!("SELECT count(*) {due}")).await >= 190);
    let before_end = format!("{due} AND pg_xact_commit_timestamp(xmin) < '{ended}'");
    assert_eq!(database.number(&format!("SELECT count(*) {before_end}")).await, 0);
    let longest = format!("SELECT max({latency})::bigint FROM {TABLE} WHERE gpu_partition = 0");
    let longest = database.number(&longest).await as f64;
    assert!(max >= longest * 0.99 && max < longest + 500.0, "{max} ms, by SQL {longest} ms");
}

/// `verify` ends as a run does: what it reads is cancelled on the server.
#[tokio::test]
async fn an_interrupt_ends_verify() {
    let database = Database::create().await;
    let args = ["--rate", "300", "--readers", "0", "--warmup", "0s", "--duration", "1s"];
    let run = Program::run(&database, &args).end().await;
    run.done();
    let other = database.session().await;
    other.execute("BEGIN; LOCK TABLE l40s_realtime_stream IN ACCESS EXCLUSIVE MODE").await;
    let (folder, address) = (run.work().join("out").display().to_string(), database.address());
    let program = Program::start(&["verify", &folder, "--database-url", &address]);
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name LIKE 'strom-load%' AND wait_event_type = 'Lock'";
    database.until(waiting).await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let said = "error: interrupted before all rows were read back\n";
    assert!(ended.stderr.ends_with(said), "{}", ended.stderr);
    database.until(&waiting.replace("> 0", "= 0")).await;
    other.execute("COMMIT").await;
}
