//! A GPU service that does not answer: what a reload makes of PG-Strom's until somebody wakes it.
//! The stand-in for PG-Strom sleeps in the same way; `pgstrom/stand_in.c` tells how.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use strom_load::pg::embedded::Server;
use tempfile::TempDir;

use crate::support::{Ended, Program, ask, connect, scratch, until, with_stand_in};

/// A server with PG-Strom loaded, as far as its settings say, and its address.
struct Strom {
    server: Server,
    address: String,
    /// Goes with the library in it.
    library: TempDir,
}

impl Strom {
    async fn start() -> Self {
        let (library, server) = with_stand_in(&[]).await;
        let address = server.conninfo();
        Self { server, address, library }
    }

    /// Lets no query on the GPU be answered until the service is woken, as a reload does.
    fn put_to_sleep(&self) {
        fs::write(self.asleep(), "").unwrap();
    }

    /// Lets the probe be answered without the GPU, as in the seconds after a reload.
    fn plan_without_gpu(&self) {
        fs::write(self.cpu_plans(), "").unwrap();
    }

    /// Ends that: only now does the probe find a service asleep.
    fn plan_with_gpu(&self) {
        fs::remove_file(self.cpu_plans()).unwrap();
    }

    fn cpu_plans(&self) -> PathBuf {
        self.server.data_dir().join("pg_strom.cpu_plans")
    }

    fn asleep(&self) -> PathBuf {
        self.server.data_dir().join("pg_strom.asleep")
    }

    /// Lets no query on the GPU be answered, whatever is done about it.
    fn kill_service(&self) {
        fs::write(self.server.data_dir().join("pg_strom.dead"), "").unwrap();
    }

    async fn stop(self) {
        self.server.stop().await.unwrap();
        self.library.close().unwrap();
    }

    async fn run(&self, args: &[&str]) -> Ended {
        self.program(scratch(), args).end().await
    }

    fn program(&self, folder: TempDir, args: &[&str]) -> Program {
        let all = [args, &["--database-url", &self.address]].concat();
        Program::start_in(folder, &all, &[])
    }
}

/// With a key, so that a table that is there is counted.
const TABLE: &str = r#"
[[tables]]
name = "l40s_counted"
rows = 50000
[[tables.columns]]
name = "id"
type = "bigint"
values = "row_id"
"#;

#[tokio::test]
async fn nothing_of_our_own_goes_by_the_gpu() {
    let strom = Strom::start().await;
    strom.kill_service();
    let stream = ["--gpu", "off", "--duration", "2s", "--warmup", "0s"];
    let stream = [&stream[..], &["--metrics-addr", "off", "--output", "out"]].concat();
    // Twice: the second finds rows, whose highest id it asks for.
    for _ in 0..2 {
        let ended = strom.run(&stream).await;
        let result = ended.done();
        let rows = &result["stream"];
        assert_eq!(rows["rows_found"], rows["rows_acknowledged"], "every row was read back");
        let out = ended.work().join("out");
        let verified = strom.run(&["verify", out.to_str().unwrap()]).await;
        assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    }
    let counted = strom.run(&[&stream[..], &["--audit", "count"]].concat()).await;
    assert_eq!(counted.code, Some(0), "{}", counted.stderr);
    // Filled, then counted and read back.
    for _ in 0..2 {
        let folder = scratch();
        let path = folder.path().join("tables.toml");
        fs::write(&path, TABLE).unwrap();
        let fill = ["fill", path.to_str().unwrap(), "--verify"];
        let ended = strom.program(folder, &fill).end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let arrow = strom.run(&["arrow", "--from", "l40s_counted", "--file", "rows.arrow"]).await;
    assert_eq!(arrow.code, Some(0), "{}", arrow.stderr);
    let doctor = strom.run(&["doctor"]).await;
    assert_eq!(doctor.code, Some(0), "{}", doctor.stderr);
    strom.stop().await;
}

/// A query that takes no time, unless the GPU service sleeps.
const READER: &str = r#"
warmup_s = 0
[stream]
[readers]
count = 1
statement_timeout_s = 2
[[readers.queries]]
name = "count"
sql = "SELECT count(*) FROM {table} WHERE gpu_partition = 0 AND id < 10"
"#;

/// Starts a profile with a results folder.
fn start(strom: &Strom, profile: &str, address: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("measured.toml");
    fs::write(&path, profile).unwrap();
    let all = ["run", path.to_str().unwrap(), "--database-url", address, "--metrics-addr", "off"];
    let all = [&all[..], &["--output", "out"], args].concat();
    assert!(strom.server.pid() > 0);
    Program::start_in(folder, &all, &[])
}

fn arm<'a>(result: &'a Value, arm: &str) -> &'a Value {
    let all = result["queries"].as_array().unwrap();
    all.iter().find(|query| query["arm"] == arm).unwrap()
}

fn errors(query: &Value) -> u64 {
    query["errors"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_service_that_sleeps_is_woken_before_a_run_and_said_once() {
    let strom = Strom::start().await;
    let doctor = strom.run(&["doctor", "--format", "json"]).await;
    let report: Value = serde_json::from_str(&doctor.stdout).unwrap();
    assert_eq!(report["server"]["gpu_service"]["state"], "not-used", "the plans are PostgreSQL's");

    strom.put_to_sleep();
    let began = Instant::now();
    let doctor = strom.run(&["doctor"]).await;
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
    assert!(
        doctor.stdout.contains("does not answer a small query within 5 s"),
        "{}",
        doctor.stdout
    );
    assert!(doctor.stdout.contains("DO $$ DECLARE n int"), "{}", doctor.stdout);
    assert!(strom.asleep().exists(), "doctor changes nothing");

    let began = Instant::now();
    let ended = start(&strom, READER, &strom.address, &["--duration", "3s"]).end().await;
    let result = ended.done();
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let woken = "GPU service was asleep";
    assert_eq!(ended.stderr.matches(woken).count(), 1, "{}", ended.stderr);
    assert!(!strom.asleep().exists());
    assert_eq!(ask(&strom.server, "SHOW pg_strom.max_async_tasks").await, "16");
    assert!(arm(&result, "on")["executions"].as_u64().unwrap() > 0);
    assert_eq!(errors(arm(&result, "on")), 0);
    strom.stop().await;
}

#[tokio::test]
async fn a_service_that_falls_asleep_in_a_run_is_woken_after_the_first_timeout() {
    let strom = Strom::start().await;
    let program = start(&strom, READER, &strom.address, &["--duration", "24s"]);
    until("queries are answered", || program.stderr().contains("queries ")).await;
    strom.put_to_sleep();
    until("it is woken", || !strom.asleep().exists()).await;
    let ended = program.end().await;
    let result = ended.done();
    assert_eq!(ended.stderr.matches("GPU service was asleep").count(), 1, "{}", ended.stderr);
    // The one that timed out, and none after it.
    assert_eq!(arm(&result, "on")["errors"], serde_json::json!({ "57014": 1 }));
    assert_eq!(errors(arm(&result, "off")), 0);
    assert_eq!(result["stream"]["rows_found"], result["stream"]["rows_acknowledged"]);
    strom.stop().await;
}

/// What is said of a look that met a CPU plan.
const PROVES_NOTHING: &str = "a small one is planned without it";
const WOKEN: &str = "GPU service was asleep";

#[tokio::test]
async fn a_look_that_proves_nothing_is_repeated_and_a_second_sleep_is_ended_too() {
    let strom = Strom::start().await;
    let program = start(&strom, READER, &strom.address, &["--duration", "forever"]);
    until("queries are answered", || program.stderr().contains("queries ")).await;
    strom.plan_without_gpu();
    strom.put_to_sleep();
    program.says(PROVES_NOTHING).await;
    assert!(strom.asleep().exists(), "nothing proves yet that it sleeps");
    strom.plan_with_gpu();
    until("it is woken", || !strom.asleep().exists()).await;
    program.says(WOKEN).await;
    strom.put_to_sleep();
    until("it is woken again", || !strom.asleep().exists()).await;
    until("that is said", || program.stderr().matches(WOKEN).count() == 2).await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(WOKEN).count(), 2, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(PROVES_NOTHING).count(), 1, "{}", ended.stderr);
    assert_eq!(ask(&strom.server, "SHOW pg_strom.max_async_tasks").await, "16");
    let result = ended.result();
    assert!(errors(arm(&result, "on")) >= 3, "{}", arm(&result, "on"));
    assert_eq!(errors(arm(&result, "off")), 0);
    strom.stop().await;
}

#[tokio::test]
async fn a_service_that_sleeps_at_the_end_is_woken_before_answers_are_compared() {
    let strom = Strom::start().await;
    let program = start(&strom, READER, &strom.address, &["--duration", "9s"]);
    until("queries are answered", || program.stderr().contains("queries ")).await;
    strom.plan_without_gpu();
    strom.put_to_sleep();
    program.says(PROVES_NOTHING).await;
    strom.plan_with_gpu();
    let ended = program.end().await;
    let result = ended.done();
    assert!(!strom.asleep().exists());
    assert_eq!(ended.stderr.matches(WOKEN).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("were not compared"), "{}", ended.stderr);
    let answers = &result["comparisons"][0]["answers"];
    assert!(answers["checks"].as_u64().unwrap() >= 1, "{answers}");
    assert_eq!(answers["failed"], 0, "{answers}");
    strom.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_wake_the_service_is_told_how() {
    let strom = Strom::start().await;
    let client = connect(strom.server.socket_dir(), strom.server.port()).await;
    client
        .batch_execute("CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain")
        .await
        .unwrap();
    let plain = strom.address.replace("user=postgres", "user=plain");
    strom.put_to_sleep();
    let refused = start(&strom, READER, &plain, &["--duration", "3s"]).end().await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("our role may not wake it"), "{}", refused.stderr);
    let nothing: i64 = client
        .query_one("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'l40s%'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(nothing, 0, "nothing was created");
    // What it is told to have run does it.
    let (_, sql) = refused.stderr.split_once("DO $$").unwrap();
    client.batch_execute(&format!("DO $${}", sql.lines().next().unwrap())).await.unwrap();
    assert!(!strom.asleep().exists());
    assert_eq!(ask(&strom.server, "SHOW pg_strom.max_async_tasks").await, "16");

    // In the middle of a run it is told as well, and the run comes to its end.
    let program = start(&strom, READER, &plain, &["--duration", "forever"]);
    until("queries are answered", || program.stderr().contains("queries ")).await;
    strom.put_to_sleep();
    program.says("our role may not wake it").await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("DO $$").count(), 1, "{}", ended.stderr);
    let stream = &ended.result()["stream"];
    assert_eq!(stream["rows_found"], stream["rows_acknowledged"]);
    strom.stop().await;
}

#[tokio::test]
async fn a_benchmark_goes_on_where_the_service_falls_asleep() {
    let strom = Strom::start().await;
    let profile = format!(
        "{TABLE}[bench]\ntable = \"l40s_counted\"\nstatement_timeout_s = 2\npairs_min = 400\n\
         time_s = 20\n[[bench.queries]]\nname = \"count\"\n\
         sql = \"SELECT count(*), pg_sleep(0.02) FROM {{table}}\"\n"
    );
    let program = start(&strom, &profile, &strom.address, &[]);
    let on = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'strom-load bench'";
    for _ in 0..500 {
        if ask(&strom.server, &format!("SELECT (({on}) > 0)::text")).await == "true" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    strom.plan_without_gpu();
    strom.put_to_sleep();
    program.says(PROVES_NOTHING).await;
    strom.plan_with_gpu();
    until("it is woken", || !strom.asleep().exists()).await;
    let ended = program.end().await;
    let result = ended.done();
    assert_eq!(ended.stderr.matches("GPU service was asleep").count(), 1, "{}", ended.stderr);
    let arms = result["steps"][0]["queries"][0]["arms"].as_array().unwrap();
    let on = arms.iter().find(|arm| arm["arm"] == "on").unwrap();
    // The one that timed out; none, where that was the comparison, which is made again.
    assert!(on["failures"].as_u64() <= Some(1) && on["given_up"] == false, "{on}");
    let answers = &result["steps"][0]["queries"][0]["answers"];
    assert_eq!((&answers["checks"], &answers["failed"]), (&1.into(), &0.into()), "{answers}");
    strom.stop().await;
}
