//! Benchmarks against a real server: what is measured and saved, what is found to be wrong, steps
//! that are undone however they end, several profiles in one folder, and bad input.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::docs::{collect_keys, document};
use crate::gpus::{Titled, stub};
use crate::support::{Database, Ended, Program, scratch, shared};

/// Without a primary key, which would be in the way of an index on `id`.
const TABLE: &str = r#"
[[tables]]
name = "sales"
rows = 20_000
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "category", type = "varchar(50)", values = { label = { prefix = "c_", min = 0, max = 9, pick = "cycle" } } },
    { name = "amount", type = "numeric(15,2)", values = { decimal = { min = "0.00", max = "100.00" } } },
]
"#;
const ARMS: &str = r"
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.no_seqscan]
set = { enable_seqscan = false }
";
const SHORT: [&str; 6] = ["--pairs-min", "2", "--pairs-max", "6", "--query-time", "2s"];

/// A benchmark of one query.
fn one(sql: &str) -> String {
    format!("[bench]\n[[bench.queries]]\nname = \"q\"\nsql = \"\"\"{sql}\"\"\"\n")
}

/// Starts profiles, each a file of its own, in order.
fn start(address: &str, profiles: &[(&str, &str)], args: &[&str], env: &[(&str, &str)]) -> Program {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files: Vec<String> = profiles.iter().map(|(name, _)| path(name)).collect();
    for (file, (_, text)) in files.iter().zip(profiles) {
        fs::write(file, text).unwrap();
    }
    let mut all = vec!["run"];
    all.extend(files.iter().map(String::as_str));
    all.extend(["--database-url", address, "--metrics-addr", "off", "--output", "out"]);
    all.extend(SHORT);
    all.extend(args);
    Program::start_in(folder, &all, env)
}

async fn run(database: &Database, profile: &str, args: &[&str]) -> Ended {
    start(&database.address(), &[("measured.toml", profile)], args, &[]).end().await
}

fn saved(ended: &Ended, name: &str) -> String {
    let path = ended.work().join("out").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}\n{}", ended.stderr))
}

#[tokio::test]
async fn two_settings_are_compared_and_the_table_is_reused() {
    let database = Database::create().await;
    // Fails unless each arm has its own setting and the other's default.
    let as_set = "SELECT count(*), 1 / (CASE current_setting('max_parallel_workers_per_gather') || \
                  current_setting('enable_seqscan') WHEN '0on' THEN 1 WHEN '2off' THEN 1 ELSE 0 END) \
                  FROM {table}";
    let sums = "[[bench.queries]]\nname = \"sums\"\n\
                sql = \"SELECT category, sum(amount) FROM {table} GROUP BY category\"\n";
    let profile = format!("{}{sums}{ARMS}{TABLE}", one(as_set));
    let ended = run(&database, &profile, &[]).await;
    let result = ended.done();
    assert_eq!((&result["kind"], &result["error"]), (&json!("benchmark"), &Value::Null));
    let table = &result["tables"][0];
    assert_eq!(
        (&table["table"], &table["state"], &table["rows"], &table["rows_loaded"]),
        (&json!("sales"), &json!("created"), &json!(20_000), &json!(20_000))
    );
    assert_eq!(result["steps"].as_array().unwrap().len(), 1);
    assert_eq!(result["steps"][0]["table"], "sales");
    let queries = result["steps"][0]["queries"].as_array().unwrap();
    for (query, rows) in queries.iter().zip([1, 10]) {
        assert_eq!((&query["interleaved"], &query["valid"]), (&json!(true), &json!(true)));
        let pairs = query["times"]["pairs"].as_u64().unwrap();
        assert!((2..=6).contains(&pairs), "{query}");
        for (arm, name) in query["arms"].as_array().unwrap().iter().zip(["serial", "no_seqscan"]) {
            assert_eq!((&arm["arm"], &arm["executions"]), (&json!(name), &json!(pairs)), "{arm}");
            assert_eq!(arm["times_ns"].as_array().unwrap().len() as u64, pairs);
            assert_eq!((&arm["rows"], &arm["failures"]), (&json!(rows), &json!(0)), "{arm}");
            assert!(arm["cold_ms"].as_f64().unwrap() > 0.0);
            assert!(arm["min_ms"].as_f64() <= arm["median_ms"].as_f64());
            assert_eq!(arm["plan"]["evidence"]["verdict"], "cpu");
        }
        assert_eq!(
            (&query["answers"]["checks"], &query["answers"]["different"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(query["answers"]["rows"], rows);
    }
    assert_eq!(queries.len(), 2);
    let summary = saved(&ended, "summary.md");
    let mut lines = summary.lines();
    assert_eq!((lines.next(), lines.next()), (Some("# measured"), Some("")));
    assert!(lines.next().unwrap().starts_with("**OK  "), "{summary}");
    let verdict = lines.nth(1).unwrap();
    let known = ["- `no_seqscan` is", "- No difference shown within", "- Too few pairs within"];
    assert!(known.iter().any(|known| verdict.starts_with(known)), "{summary}");
    assert!(summary.contains("| query | serial | no_seqscan | ratio (interval) |"), "{summary}");
    assert!(summary.contains("| same (10 rows) |"), "{summary}");
    assert!(ended.stdout.contains("same (10 rows)"), "{}", ended.stdout);

    let again = run(&database, &profile, &["--format", "json"]).await;
    let table = &again.done()["tables"][0];
    assert_eq!((&table["state"], &table["rows_loaded"]), (&json!("reused"), &json!(0)));
    assert_eq!(table["checksum"], result["tables"][0]["checksum"]);
    let printed: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(printed, again.result());
}

#[tokio::test]
async fn a_planted_wrong_answer_invalidates_the_times() {
    let database = Database::create().await;
    let planted = "SELECT id, CASE WHEN current_setting('enable_seqscan') = 'off' AND id = 77 \
                   THEN NULL ELSE category END AS category FROM {table}";
    let ended = run(&database, &format!("{}{ARMS}{TABLE}", one(planted)), &[]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["status"], "done");
    let query = &result["steps"][0]["queries"][0];
    assert_eq!((&query["valid"], &query["answers"]["different"]), (&json!(false), &json!(1)));
    assert_eq!(query["answers"]["differences"][0]["only"], json!([1, 1]));
    let summary = saved(&ended, "summary.md");
    assert!(
        summary.starts_with("# measured\n\n**FAIL  integrity: wrong answers: q · ")
            && summary.contains("\n- WRONG ANSWERS, timings invalid: q\n"),
        "{summary}"
    );
    for text in [&summary, &ended.stdout] {
        assert!(text.contains("INVALID") && text.contains("DIFFERENT"), "{text}");
        assert!(text.contains("only in no_seqscan (1 row): category = NULL, id = 77"), "{text}");
        assert!(text.contains("only in serial (1 row): category = c_7, id = 77"), "{text}");
        assert!(!text.contains("no_seqscan is "), "{text}");
    }
}

#[tokio::test]
async fn an_arm_that_takes_longer_than_its_share_is_cut_and_bounds_the_ratio() {
    let database = Database::create().await;
    // An answer within 10 s is waited for, however little time its query has.
    let slow =
        "SELECT pg_sleep(CASE current_setting('enable_seqscan') WHEN 'on' THEN 60 ELSE 0.1 END)";
    let ended = run(&database, &format!("{}{ARMS}{TABLE}", one(slow)), &[]).await;
    let result = ended.result();
    // Times are there; that no answer was compared is what was not done.
    let kinds: Vec<_> =
        result["shortfalls"].as_array().unwrap().iter().map(|own| &own["kind"]).collect();
    assert_eq!((ended.code, kinds), (Some(6), vec![&json!("not_compared")]), "{}", ended.stderr);
    let query = &result["steps"][0]["queries"][0];
    assert_eq!((&query["times"], &query["tried"]["known"]), (&Value::Null, &json!("at_least")));
    let [serial, other] = query["tried"]["arms"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&serial["cut"], &other["cut"]), (&json!(true), &json!(false)), "{query}");
    let after_s = serial["after_s"].as_f64().unwrap();
    assert!((10.0..30.0).contains(&after_s), "{query}");
    let bound = query["tried"]["ratio"].as_f64().unwrap();
    assert!((1.0..60.0 / 0.1).contains(&bound), "{query}");
    // What cut the one did not hit the other.
    let other = &query["arms"][1];
    assert_eq!((&other["executions"], &other["failures"]), (&json!(3), &json!(0)), "{query}");
    for text in [&saved(&ended, "summary.md"), &ended.stdout] {
        assert!(text.contains("≥ ") && text.contains("serial cut at"), "{text}");
        assert!(!text.contains("the direction holds"), "{text}");
    }
}

#[tokio::test]
async fn an_arm_that_fails_is_given_up_and_the_other_is_measured() {
    let database = Database::create().await;
    let failing =
        "SELECT 1 / (CASE current_setting('enable_seqscan') WHEN 'off' THEN 0 ELSE 1 END)";
    let after = "[[bench.queries]]\nname = \"after\"\nsql = \"SELECT count(*) FROM {table}\"\n";
    let ended = run(&database, &format!("{}{after}{ARMS}{TABLE}", one(failing)), &[]).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    let shortfalls = result["shortfalls"].as_array().unwrap();
    assert_eq!((shortfalls.len(), &shortfalls[0]["kind"]), (1, &json!("query_failed")));
    let query = &result["steps"][0]["queries"][0];
    assert_eq!((&query["halted"], &query["times"]), (&json!("arm_failed"), &Value::Null));
    assert_eq!(query["answers"]["checks"], 0);
    let (serial, failed) = (&query["arms"][0], &query["arms"][1]);
    assert_eq!((&serial["given_up"], &serial["executions"]), (&json!(false), &json!(3)));
    assert!(serial["median_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&failed["given_up"], &failed["failures"]), (&json!(true), &json!(2)));
    assert_eq!(
        (&failed["error"]["sqlstate"], &failed["median_ms"]),
        (&json!("22012"), &Value::Null)
    );
    // What follows does not suffer.
    assert!(result["steps"][0]["queries"][1]["times"]["pairs"].as_u64().unwrap() >= 2);
    for text in [&saved(&ended, "summary.md"), &ended.stdout] {
        assert!(text.contains("ERROR 22012") && text.contains("an arm failed"), "{text}");
        assert!(text.contains("An arm failed: q\n"), "{text}");
        assert!(text.contains("NOT DONE AS ASKED: `q` (no_seqscan) failed each time, "), "{text}");
        assert!(text.contains("q (no_seqscan): failed 2 times: "), "{text}");
    }
}

const STEPS: &str = r#"
[[bench.steps]]
name = "before"
[[bench.steps]]
name = "indexed"
before = ["CREATE INDEX sales_idx ON {table} USING brin (id) WITH (pages_per_range = 4)"]
after = ["DROP INDEX IF EXISTS sales_idx"]
[[bench.steps]]
name = "after"
"#;
const INDEX_IS_THERE: &str = "SELECT to_regclass('sales_idx') IS NOT NULL";

#[tokio::test]
async fn a_step_has_its_index_and_the_next_one_has_not() {
    let database = Database::create().await;
    let range = "SELECT count(*), to_regclass('sales_idx') IS NOT NULL AS indexed FROM {table} \
                 WHERE id BETWEEN 100 AND 200";
    let ended = run(&database, &format!("{}{STEPS}{TABLE}", one(range)), &[]).await;
    let result = ended.done();
    let names = result["steps"].as_array().unwrap().iter();
    let uses = names.map(|step| {
        assert_eq!((&step["error"], &step["skipped"]), (&Value::Null, &Value::Null));
        let arm = &step["queries"][0]["arms"][0];
        assert_eq!((&arm["arm"], &arm["executions"]), (&json!("cpu"), &json!(2)));
        let shape = arm["plan"]["evidence"]["shape"].as_str().unwrap();
        (step["name"].as_str().unwrap(), shape.contains("sales_idx"))
    });
    assert_eq!(uses.collect::<Vec<_>>(), [("before", false), ("indexed", true), ("after", false)]);
    assert_eq!(database.text(INDEX_IS_THERE).await, "f");
    let summary = saved(&ended, "summary.md");
    assert!(summary.contains("## indexed (on sales)"), "{summary}");
    assert!(summary.contains("One arm only, nothing to compare: PG-Strom is not loaded"));
}

#[tokio::test]
async fn an_interrupt_undoes_the_step() {
    let profile = format!("{}{STEPS}{TABLE}", one("SELECT pg_sleep(1) FROM {table} LIMIT 1"));
    // Nobody waits for this one: it is in the step with the index alone.
    let fast = "[[bench.queries]]\nname = \"fast\"\nsql = \"SELECT 1\"\n";
    let steps = STEPS.replace("\"before\"", "\"before\"\nqueries = [\"fast\"]");
    let endless = format!("{}{fast}{steps}{TABLE}", one("SELECT pg_sleep(3600)"));
    let endless = endless.replace("[bench]", "[bench]\nstatement_timeout_s = 3600");
    for (profile, times, status) in [(profile, 1, "interrupted"), (endless, 2, "aborted")] {
        let database = Database::create().await;
        let address = database.address();
        let program = start(&address, &[("undone.toml", &profile)], &[], &[]);
        database.until(INDEX_IS_THERE).await;
        let asleep = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                      AND datname = current_database()";
        database.until(asleep).await;
        program.signal(Signal::INT);
        if times == 2 {
            program.says("interrupted").await;
            program.signal(Signal::INT);
        }
        let ended = program.end().await;
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        assert_eq!(ended.result()["status"], status);
        let steps = ended.result()["steps"].as_array().unwrap().clone();
        let not_begun: Vec<_> = steps.iter().map(|step| step["not_begun"].clone()).collect();
        let of_third = match times {
            1 => serde_json::json!(["q"]),
            _ => serde_json::json!(["q", "fast"]),
        };
        // In the second step `q` was begun, and cut off by the second signal.
        let of_second = if times == 1 { Value::Null } else { serde_json::json!(["fast"]) };
        assert_eq!(not_begun, [Value::Null, of_second, of_third]);
        assert_eq!(steps[2]["queries"], serde_json::json!([]));
        let (_, third) = ended.stdout.split_once("\nafter").unwrap();
        let row = third.lines().find(|line| line.starts_with("q ")).unwrap();
        assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["q", "not", "measured"]);
        if times == 2 {
            let (_, second) = ended.stdout.split_once("\nindexed").unwrap();
            let row = second.lines().find(|line| line.starts_with("q ")).unwrap();
            assert_eq!(row.split_whitespace().nth(1), Some("interrupted"), "{row}");
            assert!(ended.stderr.contains("q: cpu interrupted"), "{}", ended.stderr);
        }
        assert_eq!(database.text(INDEX_IS_THERE).await, "f");
        assert_eq!(database.text(asleep).await, "f", "the query was left running");
    }
}

#[tokio::test]
async fn a_second_interrupt_ends_what_makes_a_step_ready() {
    let database = Database::create().await;
    let steps = "[[bench.steps]]\nname = \"slow\"\n\
                 before = [\"CREATE TABLE made (x int)\", \"SELECT pg_sleep(3600)\"]\n\
                 after = [\"DROP TABLE made\"]\n";
    let profile = format!("{}{steps}", one("SELECT 1"));
    let program = start(&database.address(), &[("slow.toml", &profile)], &[], &[]);
    database.until("SELECT to_regclass('made') IS NOT NULL").await;
    program.signal(Signal::INT);
    program.says("interrupted").await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.result()["status"], "aborted");
    assert_eq!(database.text("SELECT to_regclass('made') IS NULL").await, "t");
}

#[tokio::test]
async fn a_step_that_cannot_be_made_ready_is_said_and_the_next_one_runs() {
    let database = Database::create().await;
    let steps = STEPS.replace("brin (id)", "brin (nowhere)");
    let profile = format!("{}{steps}{TABLE}", one("SELECT count(*) FROM {table}"));
    let ended = run(&database, &profile, &[]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["steps"].as_array().unwrap().len(), 3);
    let said = result["steps"][1]["error"].as_str().unwrap();
    assert!(said.contains("column \"nowhere\" does not exist"), "{said}");
    // The line of the profile that has the statement.
    let line = 1 + profile.lines().position(|line| line.starts_with("before = ")).unwrap();
    assert!(said.ends_with(&format!("measured.toml:{line}")), "{said}");
    assert!(ended.stderr.contains(&format!("measured.toml:{line}")), "{}", ended.stderr);
    assert_eq!(result["steps"][1]["queries"], json!([]));
    assert_eq!(result["steps"][2]["queries"][0]["arms"][0]["executions"], 2);
    assert!(saved(&ended, "summary.md").contains("\n- Not made ready: indexed\n"));
}

#[tokio::test]
async fn the_sequential_order_is_marked_as_biased() {
    let database = Database::create().await;
    let profile = format!("{}{ARMS}{TABLE}", one("SELECT sum(amount) FROM {table}"));
    let ended = run(&database, &profile, &["--order", "sequential"]).await;
    let query = &ended.done()["steps"][0]["queries"][0];
    assert_eq!((&query["interleaved"], &query["times"]["pairs"]), (&json!(false), &json!(2)));
    for arm in query["arms"].as_array().unwrap() {
        assert_eq!((&arm["executions"], &arm["cold_ms"]), (&json!(2), &Value::Null));
    }
    let summary = saved(&ended, "summary.md");
    assert!(summary.contains("nothing warmed: these ratios are biased"), "{summary}");
    assert!(summary.contains("(biased order)") && ended.stdout.contains("(biased order)"));
}

#[tokio::test]
async fn each_repeat_has_a_session_and_a_server_of_its_own() {
    let profile = format!("{}{ARMS}", one("SELECT count(*) FROM pg_class"));
    let folder = scratch();
    let file = folder.path().join("measured.toml").display().to_string();
    fs::write(&file, &profile).unwrap();
    let repeats = ["--repeats", "3", "--repeats-restart", "server"];
    let own = ["run", &file, "--metrics-addr", "off", "--output", "out", "--data-dir", "pg"];
    let ended = Program::start_in(folder, &[&own[..], &SHORT, &repeats].concat(), &[]).end().await;
    let query = &ended.done()["steps"][0]["queries"][0];
    let times = &query["times"];
    assert_eq!(times["repeats"]["ratios"].as_array().unwrap().len(), 3, "{times}");
    assert!(times["pairs"].as_u64().unwrap() >= 6 && times["course"].is_null(), "{times}");
    let log = fs::read_to_string(ended.work().join("pg/strom-load.log")).unwrap();
    assert_eq!(log.matches("ready to accept connections").count(), 3, "{log}");
    let executions = saved(&ended, "executions.csv");
    let mut lines = executions.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let cold = lines.next().unwrap().iter().position(|name| *name == "cold").unwrap();
    assert_eq!(lines.filter(|line| line[cold] == "1").count(), 6, "{executions}");
    assert!(ended.stdout.contains("q: repeats: "), "{}", ended.stdout);
    // One that is given is not ours to restart.
    let database = Database::create().await;
    let refused = run(&database, &profile, &repeats).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("strom-load restarts none but its own"), "{}", refused.stderr);
}

#[tokio::test]
async fn several_profiles_go_on_after_one_that_fails_unless_told_not_to() {
    let database = Database::create().await;
    let address = database.address();
    let good = format!("{}{TABLE}", one("SELECT count(*) FROM {table}"));
    let bad = format!("{}{TABLE}", one("SELECT nowhere FROM {table}"));
    let profiles = [("first.toml", &*good), ("second.toml", &*bad), ("third.toml", &*good)];
    let ended = start(&address, &profiles, &["--cooldown", "1500ms"], &[]).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let index: Value = serde_json::from_str(&saved(&ended, "index.json")).unwrap();
    assert_eq!((&index["kind"], &index["format_version"]), (&json!("index"), &json!(2)));
    let runs = index["runs"].as_array().unwrap().iter();
    let runs = runs.map(|run| json!([run["profile"], run["folder"], run["exit_code"]]));
    let wanted = json!([["first", "01-first", 0], ["second", null, 3], ["third", "03-third", 0]]);
    assert_eq!(Value::Array(runs.collect()), wanted);
    assert!(index["runs"][1]["verdict"].as_str().unwrap().contains("nowhere"), "{index}");
    // What never began leaves no folder.
    assert!(!ended.work().join("out/02-second").exists());
    let began = |folder: &str| {
        let result: Value =
            serde_json::from_str(&saved(&ended, &format!("{folder}/result.json"))).unwrap();
        assert!(!saved(&ended, &format!("{folder}/summary.md")).is_empty());
        humantime::parse_rfc3339(result["started_at"].as_str().unwrap()).unwrap()
    };
    let apart = began("03-third").duration_since(began("01-first")).unwrap();
    assert!(apart.as_millis() >= 3000, "{apart:?}");
    let summary = saved(&ended, "summary.md");
    assert!(summary.starts_with("# Results\n"), "{summary}");
    assert!(summary.contains("| [third](03-third/) |"), "{summary}");
    assert!(ended.stdout.contains("exit   3"), "{}", ended.stdout);

    let ended = start(&address, &profiles, &["--fail-fast"], &[]).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let index: Value = serde_json::from_str(&saved(&ended, "index.json")).unwrap();
    let third = &index["runs"][2];
    assert_eq!(
        (&third["exit_code"], &third["folder"], &third["verdict"]),
        (&Value::Null, &Value::Null, &json!("not begun"))
    );
    assert!(!ended.work().join("out/03-third").exists());
}

#[tokio::test]
async fn built_in_profiles_go_by_name_and_arrow_is_left_out_by_name() {
    let checked = Program::start(&["check", "group-by"]).end().await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("category_region_avg"), "{}", checked.stdout);

    let database = Database::create().await;
    let address = database.address();
    let args = ["run", "arrow-heap", "--database-url", &address, "--output", "out"];
    let ended = Program::start(&[&args[..], &SHORT, &["--rows", "1000"]].concat()).end().await;
    let steps = &ended.done()["steps"];
    assert_eq!((&steps[0]["name"], &steps[0]["skipped"]), (&json!("heap"), &Value::Null));
    assert_eq!(steps[0]["queries"].as_array().unwrap().len(), 2);
    assert_eq!((&steps[1]["name"], &steps[1]["queries"]), (&json!("arrow"), &json!([])));
    assert!(steps[1]["skipped"].as_str().unwrap().contains("arrow_fdw"), "{}", steps[1]);
    assert!(saved(&ended, "summary.md").contains("- Skipped: arrow\n"));
}

#[tokio::test]
async fn bad_input_is_one_clear_error() {
    let database = Database::create().await;
    database.execute("CREATE ROLE bench_guest LOGIN").await;
    let count = one("SELECT count(*) FROM {table}");
    let two_lines = one("SELECT count(*)\nFORM {table}");
    let with_weight = count.replace("name = \"q\"", "name = \"q\"\nweight = 2");
    let step = "[[bench.steps]]\nname = \"s\"\nqueries = [\"qq\"]\n";
    let stream = "[stream]\nrows_per_s = 1000\n";
    let cases = [
        (
            "the table is absent",
            "postgres",
            count.replace("[bench]", "[bench]\ntable = \"nowhere\""),
        ),
        (
            "a column is unknown",
            "postgres",
            format!("{}{TABLE}", one("SELECT nowhere FROM {table}")),
        ),
        ("a query is no SQL", "postgres", format!("{two_lines}{TABLE}")),
        ("a table of no rows", "postgres", format!("{count}{TABLE}").replace("20_000", "0")),
        ("a stream beside it", "postgres", format!("{stream}{count}{TABLE}")),
        ("a step with an unknown query", "postgres", format!("{count}{step}{TABLE}")),
        ("a weight", "postgres", format!("{with_weight}{TABLE}")),
        ("no table for {table}", "postgres", count.clone()),
        ("no query", "postgres", format!("[bench]\n{TABLE}")),
        (
            "no right to create the table",
            "bench_guest",
            format!("{count}{TABLE}").replace("sales", "denied"),
        ),
    ];
    let mut transcript = String::new();
    for (what, user, profile) in cases {
        let address = database.address_of(user);
        let ended = start(&address, &[("bad.toml", &profile)], &[], &[]).end().await;
        let folder = ended.work().parent().unwrap().display().to_string();
        let (_, error) = ended.stderr.split_once("error: ").unwrap_or(("", &ended.stderr));
        let code = ended.code.unwrap();
        let _ = writeln!(transcript, "{what}: exit {code}\n{}\n", error.trim_end());
        transcript = transcript.replace(&folder, "FOLDER");
    }
    database.execute("DROP ROLE bench_guest").await;
    transcript = transcript.replace(&database.name, "DATABASE");
    transcript = transcript.replace(&shared().socket_dir.display().to_string(), "SOCKET");
    insta::assert_snapshot!(transcript);
}

#[tokio::test]
async fn the_result_holds_nothing_that_is_not_described() {
    let (database, folder, titled) = (Database::create().await, scratch(), Titled::start());
    let library = stub(folder.path(), &[]).display().to_string();
    // A wrong answer and an error, so that their keys are there.
    let failing = "[[bench.queries]]\nname = \"failing\"\n\
                   sql = \"SELECT 1 / (CASE current_setting('enable_seqscan') WHEN 'off' THEN 0 ELSE 1 END)\"\n";
    let planted = one("SELECT id, current_setting('enable_seqscan') AS s FROM {table} LIMIT 3");
    let profile = format!("{planted}{failing}{STEPS}{ARMS}{TABLE}");
    let env = [("STROM_LOAD_NVML", &*library), ("NVML_STUB_PID", &titled.pid())];
    let files = [("first.toml", &*profile), ("second.toml", &*profile)];
    let ended = start(&database.address(), &files, &[], &env).end().await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let (_, described) = document("docs/benchmarks.md");
    let (_, result) = document("docs/result.md");
    let mut keys = BTreeSet::new();
    for name in ["index.json", "01-first/result.json"] {
        collect_keys(&serde_json::from_str(&saved(&ended, name)).unwrap(), "", &mut keys);
    }
    assert!(keys.len() > 80, "{}", keys.len());
    // An arm's keys stand in a table of their own; those of every job where streams have them.
    let is_described = |key: &String| {
        let query = "steps[].queries[]";
        let key = key.strip_prefix(&format!("{query}.arms[].")).unwrap_or(key);
        let gpu = format!("{query}.gpus[].");
        let common =
            ["gpus", "thresholds", "shortfalls", "advice", "run_id", "server.capabilities"]
                .iter()
                .any(|of| key.starts_with(of));
        match key.strip_prefix(&gpu) {
            Some(gpu) => result.contains(&format!("`gpus.devices[].{gpu}`")),
            None if common => result.contains(&format!("`{key}`")),
            // Columns are data.
            None if key.contains(".examples[][].") => true,
            None => described.contains(&format!("`{key}`")),
        }
    };
    keys.retain(|key| !is_described(key));
    assert_eq!(keys, BTreeSet::new(), "docs/benchmarks.md does not name these");
}

#[test]
fn every_built_in_profile_is_described() {
    let (_, described) = document("docs/benchmarks.md");
    for (name, _) in strom_load::plan::BUILTINS {
        assert!(described.contains(&format!("`{name}`")), "docs/benchmarks.md lacks {name}");
    }
}
