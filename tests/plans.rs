//! By which plan each execution ran: the samples of a query whose plan flips are told apart, as the
//! server says or, where it may not say so, as EXPLAIN does beside them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, connect_to, scratch, shared};

/// A table whose index a query uses as long as it is there.
async fn indexed(database: &Database) {
    let table = "CREATE TABLE flip AS SELECT n AS id FROM generate_series(1, 20000) AS n;
                 CREATE INDEX flip_id ON flip (id); ANALYZE flip; GRANT SELECT ON flip TO PUBLIC;";
    database.execute(table).await;
}

const READERS: &str = r#"
warmup_s = 0
stream = {}
[readers]
count = 2
queries_per_s = 12
[[readers.queries]]
name = "narrow"
sql = "SELECT count(*), pg_sleep(SECONDS) FROM flip WHERE id BETWEEN 10 AND 20"
"#;

/// A run of some seconds in the middle of which the index goes.
async fn flipped(database: &Database, address: &str) -> Ended {
    flipped_after(database, address, "0.11").await
}

/// The same for a query that sleeps for so many seconds.
async fn flipped_after(database: &Database, address: &str, seconds: &str) -> Ended {
    let folder = scratch();
    let path = folder.path().join("flip.toml");
    fs::write(&path, READERS.replace("SECONDS", seconds)).unwrap();
    let args = ["run", path.to_str().unwrap(), "--database-url", address, "--metrics-addr", "off"];
    let args = [&args[..], &["--duration", "8s", "--rate", "100", "--output", "out"]].concat();
    let program = Program::start_in(folder, &args, &[]);
    program.says("measuring, ").await;
    database.execute("DROP INDEX flip_id").await;
    program.end().await
}

/// The measured executions in the file, by the hash of their plan: service times in ns.
fn by_plan(ended: &Ended) -> BTreeMap<String, Vec<u64>> {
    let text = fs::read_to_string(ended.work().join("out/executions.csv")).unwrap();
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if fields[5] == "1" {
            times.entry(fields[12].to_owned()).or_default().push(fields[4].parse().unwrap());
        }
    }
    times
}

/// Two plans, in their order, each with the executions that the file says, and their median.
fn check_two_plans(ended: &Ended) -> Value {
    let result = ended.done();
    let plan = result["queries"][0]["plan"].clone();
    let executed = plan["executed"].as_array().unwrap();
    let [first, second] = executed.as_slice() else { panic!("two plans, not {executed:#?}") };
    let uses_index = |plan: &Value| plan["shape"].as_str().unwrap().contains("by flip_id");
    assert!(uses_index(first) && !uses_index(second), "{executed:#?}");
    assert!(first["first_s"].as_f64() < second["first_s"].as_f64(), "{executed:#?}");
    let mut saved = by_plan(ended);
    for plan in executed {
        let mut times = saved.remove(plan["hash"].as_str().unwrap()).unwrap();
        assert_eq!(plan["executions"], times.len());
        times.sort_unstable();
        let median_ms = times[(times.len() - 1) / 2] as f64 / 1e6;
        let told_ms = plan["service"]["p50_ms"].as_f64().unwrap();
        assert!((told_ms / median_ms - 1.0).abs() < 0.002, "{told_ms} for {median_ms}");
    }
    assert!(saved.is_empty(), "executions without a plan: {saved:?}");
    let all = ["logged", "looked", "unknown"].map(|key| plan[key].as_u64().unwrap());
    let measured = &result["queries"][0]["histograms"]["service"]["count"];
    assert_eq!(*measured, all.iter().sum::<u64>());
    let [first, second] = [first, second].map(|plan| plan["executions"].as_u64().unwrap());
    let told = format!("plan changed: {} executions cpu\n", first + second);
    assert!(ended.stdout.contains(&told), "{told}{}", ended.stdout);
    let told = format!("cpu, {first} from ");
    assert!(ended.stdout.contains(&told), "{told}{}", ended.stdout);
    plan
}

#[tokio::test]
async fn the_server_says_by_which_plan_each_execution_ran() {
    let database = Database::create().await;
    indexed(&database).await;
    let ended = flipped(&database, &database.address()).await;
    let plan = check_two_plans(&ended);
    assert_eq!((&plan["looked"], &plan["unknown"]), (&json!(0), &json!(0)), "{plan}");
}

#[tokio::test]
async fn a_query_that_would_feel_it_is_asked_about_instead() {
    let database = Database::create().await;
    indexed(&database).await;
    let ended = flipped_after(&database, &database.address(), "0").await;
    let plan = check_two_plans(&ended);
    // A busy machine may make some of them slow.
    let [logged, looked] = ["logged", "looked"].map(|key| plan[key].as_u64().unwrap());
    assert!(looked > 2 * logged && plan["unknown"] == 0, "{plan}");
}

#[tokio::test]
async fn a_plan_too_long_to_be_sent_with_each_answer_is_asked_for() {
    let database = Database::create().await;
    let part = |n: u32| {
        let to = n + 1;
        format!("CREATE TABLE flip_{n} PARTITION OF flip FOR VALUES FROM ({n}) TO ({to});")
    };
    let parts: String = (0..150).map(part).collect();
    let parts = format!("CREATE TABLE flip (id int) PARTITION BY RANGE (id); {parts}");
    database.execute(&parts).await;
    let folder = scratch();
    let path = folder.path().join("long.toml");
    let all = READERS.replace(" WHERE id BETWEEN 10 AND 20", "").replace("SECONDS", "0.11");
    fs::write(&path, all.replace("queries_per_s = 12\n", "")).unwrap();
    let address = database.address();
    let args = ["run", path.to_str().unwrap(), "--database-url", &address, "--metrics-addr", "off"];
    let args = [&args[..], &["--duration", "4s", "--rate", "100", "--output", "out"]].concat();
    let result = Program::start_in(folder, &args, &[]).end().await.done();
    let plan = &result["queries"][0]["plan"];
    let [logged, looked] = ["logged", "looked"].map(|key| plan[key].as_u64().unwrap());
    // The first of each reader; a busy machine may make more of them slow.
    assert!(logged >= 1 && looked > logged && plan["unknown"] == 0, "{plan}");
    assert_eq!(plan["executed"].as_array().unwrap().len(), 1, "{plan}");
}

#[tokio::test]
async fn where_the_server_may_not_say_so_it_is_asked() {
    let database = Database::create().await;
    indexed(&database).await;
    let role = format!("asking_{}", database.name);
    database
        .execute(&format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"))
        .await;
    let ended = flipped(&database, &database.address_of(&role)).await;
    let plan = check_two_plans(&ended);
    assert_eq!((&plan["logged"], &plan["unknown"]), (&json!(0), &json!(0)), "{plan}");
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_role_with_the_right_needs_to_be_no_superuser() {
    let database = Database::create().await;
    indexed(&database).await;
    let role = format!("granted_{}", database.name);
    let right = |name: &str| format!("GRANT SET ON PARAMETER auto_explain.{name} TO {role};");
    let rights = ["log_min_duration", "log_format", "log_level"].map(right).concat();
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}; {rights}
         ALTER ROLE {role} SET session_preload_libraries = 'auto_explain';
         ALTER ROLE {role} SET client_min_messages = 'error';"
    );
    database.execute(&grants).await;
    let ended = flipped(&database, &database.address_of(&role)).await;
    let plan = check_two_plans(&ended);
    assert_eq!((&plan["looked"], &plan["unknown"]), (&json!(0), &json!(0)), "{plan}");
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn who_logs_plans_already_goes_on_as_before() {
    let database = Database::create().await;
    indexed(&database).await;
    let name = &database.name;
    let settings = format!(
        "ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
         ALTER DATABASE {name} SET auto_explain.log_min_duration = '1h';"
    );
    database.execute(&settings).await;
    let ended = flipped(&database, &database.address()).await;
    let plan = check_two_plans(&ended);
    assert_eq!((&plan["logged"], &plan["unknown"]), (&json!(0), &json!(0)), "{plan}");
    // A server that would write each plan to its log too is spared that.
    let loud = format!(
        "ALTER DATABASE {name} RESET ALL; ALTER DATABASE {name} SET log_min_messages = 'notice'"
    );
    connect_to(&shared().socket_dir, shared().port, name).await.batch_execute(&loud).await.unwrap();
    database.execute("CREATE INDEX flip_id ON flip (id)").await;
    let ended = flipped(&database, &database.address()).await;
    let plan = check_two_plans(&ended);
    assert_eq!((&plan["logged"], &plan["unknown"]), (&json!(0), &json!(0)), "{plan}");
}

#[tokio::test]
async fn a_benchmark_tells_its_plans_apart_too() {
    let database = Database::create().await;
    indexed(&database).await;
    let profile = r#"
[bench]
time_s = 4
pairs_min = 1000
[[bench.queries]]
name = "narrow"
sql = "SELECT count(*), pg_sleep(0.11) FROM flip WHERE id BETWEEN 10 AND 20"
"#;
    let folder = scratch();
    let path = folder.path().join("flip.toml");
    fs::write(&path, profile).unwrap();
    let address = database.address();
    let args = ["run", path.to_str().unwrap(), "--database-url", &address, "--output", "out"];
    let program = Program::start_in(folder, &[&args[..], &["--metrics-addr", "off"]].concat(), &[]);
    program.says("results in").await;
    let running = "SELECT count(*) > 0 FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = 'strom-load bench'";
    database.until(running).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    database.execute("DROP INDEX flip_id").await;
    let ended = program.end().await;
    let result = ended.done();
    let arm = &result["steps"][0]["queries"][0]["arms"][0];
    let executed = arm["plan"]["executed"].as_array().unwrap();
    assert_eq!(executed.len(), 2, "{executed:#?}");
    let count = |at: usize| executed[at]["executions"].as_u64().unwrap();
    assert_eq!(arm["executions"], count(0) + count(1));
    let saved = by_plan(&ended);
    for plan in executed {
        assert_eq!(saved[plan["hash"].as_str().unwrap()].len() as u64, plan["executions"]);
    }
    let told = format!("plan changed: {} executions cpu\n", count(0) + count(1));
    assert!(ended.stdout.contains(&told), "{told}{}", ended.stdout);
}
