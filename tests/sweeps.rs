//! Sweeps against real servers: by SET, by ALTER SYSTEM and reload, by restart; and that everything
//! is put back however the loader ends.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use strom_load::pg::embedded::{Server, ServerOptions};
use tokio::time::sleep;

use crate::docs::collect_keys;
use crate::support::{Database, Ended, Program, ask, connect, scratch, with_stand_in};

/// A query that takes long enough to be interrupted, and little enough to be repeated.
const QUERY: &str = r#"
[bench]
[[bench.queries]]
name = "one"
sql = "SELECT count(*) FROM generate_series(1, 1000)"
"#;
const SLOW: &str = r#"
[bench]
[[bench.queries]]
name = "slow"
sql = "SELECT pg_sleep(0.1)"
"#;
const NAPTIME: &str = r#"
[[sweep.settings]]
name = "autovacuum_naptime"
values = [61, "2min"]
"#;

fn start_at(address: Option<&str>, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("swept.toml");
    fs::write(&path, profile).unwrap();
    let mut all = vec!["run", path.to_str().unwrap(), "--metrics-addr", "off", "--output", "out"];
    all.extend(address.iter().flat_map(|address| ["--database-url", address]));
    all.extend(args);
    Program::start_in(folder, &all, &[])
}

async fn run(database: &Database, sweep: &str, args: &[&str]) -> Ended {
    start_at(Some(&database.address()), &format!("{QUERY}{sweep}"), args).end().await
}

/// A server whose configuration nobody else changes, and its address.
async fn server() -> (Server, String) {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let address = server.conninfo();
    (server, address)
}

/// What a sweep must leave as it was: the file, what new sessions see, and no record.
async fn configuration(server: &Server) -> Value {
    let show = ask(server, "SHOW autovacuum_naptime").await;
    let client = connect(server.socket_dir(), server.port()).await;
    let file = "SELECT coalesce(string_agg(name || '=' || setting, ',' ORDER BY name), '') \
                FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'";
    let file: String = client.query_one(file, &[]).await.unwrap().get(0);
    let records =
        "SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text LIKE '%strom_load%'";
    let records: i64 = client.query_one(records, &[]).await.unwrap().get(0);
    json!({ "shows": show, "auto_conf": file, "records": records })
}

#[tokio::test]
async fn a_product_by_set_measures_each_combination_once_a_round() {
    let database = Database::create().await;
    // Fails unless the session has both values of a combination: 64 kB with 0 workers and so on.
    let profile = r#"
[bench]
[[bench.queries]]
name = "as_set"
answers = "off"
sql = "SELECT 1 / (current_setting('work_mem') || current_setting('max_parallel_workers_per_gather') IN ('1MB0', '1MB2', '8MB0', '8MB2'))::int"
[sweep]
rounds = 15
[[sweep.settings]]
name = "work_mem"
values = ["1MB", "8192kB"]
[[sweep.settings]]
name = "max_parallel_workers_per_gather"
values = [0, 2]
"#;
    let ended = start_at(Some(&database.address()), profile, &[]).end().await;
    let result = ended.done();
    assert_eq!(result["kind"], "sweep");
    let sweep = &result["sweep"];
    assert_eq!((&sweep["rounds"], &sweep["rounds_planned"]), (&json!(15), &json!(15)));
    assert_eq!(sweep["combinations"].as_array().unwrap().len(), 4);
    assert_eq!(
        sweep["combinations"][2],
        json!([{ "name": "work_mem", "value": "8192kB" },
               { "name": "max_parallel_workers_per_gather", "value": "0" }])
    );
    let query = &sweep["queries"][0];
    for cell in query["combinations"].as_array().unwrap() {
        assert_eq!((&cell["rounds"], &cell["failures"]), (&json!(15), &json!(0)), "{cell}");
        assert_eq!(cell["times_ns"].as_array().unwrap().len(), 15);
        assert!(cell["low_ms"].as_f64() <= cell["typical_ms"].as_f64());
        assert!(cell["typical_ms"].as_f64() <= cell["high_ms"].as_f64());
        assert_eq!(cell["plan"]["looks"], 1, "evidence is taken once");
    }
    let best = query["best"].as_u64().unwrap();
    assert!(query["may_be_best"].as_array().unwrap().contains(&json!(best)));
    assert_eq!(query["combinations"][best as usize]["times_best"], 1.0);
    let summary = fs::read_to_string(ended.work().join("out/summary.md")).unwrap();
    assert!(summary.contains("| work_mem | max_parallel_workers_per_gather |"), "{summary}");
    assert!(summary.contains("| BEST |") || summary.contains("| yes, least |"), "{summary}");
    assert!(ended.stdout.contains("15 of at most 15 rounds in random order"), "{}", ended.stdout);
}

#[tokio::test]
async fn the_profiles_run_where_there_is_no_pg_strom_and_say_what_they_left_out() {
    let database = Database::create().await;
    let address = database.address();
    let run = |profile: &str| {
        let args =
            ["run", profile, "--database-url", &address, "--rows", "1000", "--output", "out"];
        Program::start(&args).end()
    };
    let tuning = run("tuning").await;
    let sweep = &tuning.done()["sweep"];
    assert_eq!(sweep["skipped"].as_array().unwrap().len(), 3, "{}", sweep["skipped"]);
    // As it is, which is 2, and the two others.
    assert_eq!(sweep["combinations"].as_array().unwrap().len(), 3);
    assert!(tuning.stdout.contains("Left out, not on this server: pg_strom.max_async_tasks"));
    let cpu = run("tuning-cpu").await;
    let sweep = &cpu.done()["sweep"];
    assert_eq!(sweep["combinations"].as_array().unwrap().len(), 9);
    assert_eq!(sweep["queries"][1]["combinations"][8]["gpu"], "absent");

    let described = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sweeps.md"));
    let described = described.unwrap();
    let mut keys = BTreeSet::new();
    for (key, value) in sweep.as_object().unwrap() {
        keys.insert(key.clone());
        // A plan is described with the comparisons.
        if key != "queries" {
            collect_keys(value, key, &mut keys);
        }
    }
    for (key, value) in sweep["queries"][0].as_object().unwrap() {
        keys.insert(format!("queries[].{key}"));
        for key in value.as_array().into_iter().flatten().filter_map(Value::as_object).flatten() {
            keys.insert(format!("queries[].combinations[].{}", key.0));
        }
    }
    keys.retain(|key| !described.contains(&format!("`{key}`")));
    assert_eq!(keys, BTreeSet::new(), "docs/sweeps.md does not name these");
}

#[tokio::test]
async fn with_pg_strom_the_gpu_is_on_and_its_settings_are_real_ones() {
    let (_library, server) = with_stand_in(&[]).await;
    let address = server.conninfo();
    let profile = r#"
[bench]
[[bench.queries]]
name = "as_set"
answers = "off"
sql = "SELECT 1 / (current_setting('pg_strom.enabled') || current_setting('pg_strom.enable_gpuscan') IN ('onon', 'onoff'))::int"
[sweep]
[[sweep.settings]]
name = "pg_strom.enable_gpuscan"
values = [true, false]
"#;
    let ended = start_at(Some(&address), profile, &[]).end().await;
    for cell in ended.done()["sweep"]["queries"][0]["combinations"].as_array().unwrap() {
        assert_eq!((&cell["gpu"], &cell["failures"]), (&json!("on"), &json!(0)), "{cell}");
        assert_eq!(cell["plan"]["evidence"]["verdict"], "cpu", "the stand-in has no GPU");
    }

    // Its configuration takes a reload, and a pause until the GPU service must be back.
    let reloading = profile.replace(
        "enable_gpuscan\"\nvalues = [true, false]",
        "gpu_mempool_max_ratio\"\nvalues = [0.3, 0.7]",
    );
    let reloading = reloading.replace("'onon', 'onoff'", "'onon'");
    let program = start_at(Some(&address), &reloading, &["--allow-alter-system"]);
    program.says("of 62 executions").await;
    let in_force = ask(&server, "SHOW pg_strom.gpu_mempool_max_ratio").await;
    assert!(["0.3", "0.7"].contains(&in_force.as_str()), "{in_force}");
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let result = ended.result();
    assert!(result["took_s"].as_f64().unwrap() >= 5.0, "it waited for the GPU service");
    assert_eq!(ask(&server, "SHOW pg_strom.gpu_mempool_max_ratio").await, "0.5");
    assert_eq!(configuration(&server).await["auto_conf"], "");
    // After each reload, the last one too, the GPU service is given its workers back.
    let reloads = result["sweep"]["reloads"].as_u64().unwrap() as usize;
    let log = server.socket_dir().with_file_name("server.log");
    let woken = fs::read_to_string(&log).unwrap();
    let woken = woken.matches("stand-in: 15 async tasks\nstand-in: 16 async tasks\n").count();
    assert_eq!(woken, reloads + 1, "{reloads} reloads, and one that put things back");

    // What looks like a setting of the session is one of the whole server.
    let shared = profile
        .replace("enable_gpuscan\"\nvalues = [true, false]", "max_async_tasks\"\nvalues = [4]");
    let refused = start_at(Some(&address), &shared, &[]).end().await;
    assert_eq!(refused.code, Some(3));
    let said = "`pg_strom.max_async_tasks`: it takes ALTER SYSTEM and a reload";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let arms = "[bench]\n[arms.few]\nset = { \"pg_strom.max_async_tasks\" = 4 }\n\
                [arms.many]\n[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n";
    let refused = start_at(Some(&address), arms, &[]).end().await;
    assert_eq!(refused.code, Some(3));
    let said =
        "arm `few` sets `pg_strom.max_async_tasks`, which PG-Strom keeps for the whole server";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);

    // Nothing tells the range of a setting that PG-Strom hides: the server itself judges the value.
    let before = configuration(&server).await;
    let refused = reloading.replace("[0.3, 0.7]", "[0.3, 0.95, \"much\"]");
    let refused = start_at(Some(&address), &refused, &["--allow-alter-system"]).end().await;
    assert_eq!(refused.code, Some(3));
    for wrong in ["0.95", "much"] {
        let said = format!("`pg_strom.gpu_mempool_max_ratio` does not take `{wrong}`; fix: ");
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    }
    assert_eq!(configuration(&server).await, before);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_differs_wins_and_what_does_not_is_not_told_apart() {
    let database = Database::create().await;
    // Five times as long by design with the one.
    let profile = r#"
[bench]
[[bench.queries]]
name = "sleeps"
sql = "SELECT pg_sleep(CASE current_setting('enable_sort') WHEN 'on' THEN 0.02 ELSE 0.1 END)"
[sweep]
[[sweep.settings]]
name = "enable_sort"
values = [true, false]
"#;
    let ended = start_at(Some(&database.address()), profile, &[]).end().await;
    let query = &ended.done()["sweep"]["queries"][0];
    assert_eq!((&query["best"], &query["may_be_best"]), (&json!(0), &json!([0])), "{query}");
    assert!(ended.stdout.contains("best is enable_sort = on, alone of 2"), "{}", ended.stdout);
}

/// A summary without what differs from run to run: decimals and durations.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        let is_duration = [" ms", " s", " µs"].iter().any(|unit| after.starts_with(unit));
        let is_decimal = number.trim_end_matches('.').contains('.');
        masked.push_str(before);
        masked.push_str(if is_duration || is_decimal { "N" } else { number });
        rest = after;
    }
    masked + rest
}

#[tokio::test]
async fn what_answers_wrongly_is_not_the_best_however_fast_it_is() {
    let database = Database::create().await;
    // Sorting off is fastest, and gives another answer.
    let profile = r#"
[bench]
[[bench.queries]]
name = "sorted"
sql = """
SELECT current_setting('enable_sort') AS sorts, pg_sleep(CASE
    WHEN current_setting('enable_sort') = 'off' THEN 0.001
    WHEN current_setting('jit') = 'off' THEN 0.1 ELSE 0.02 END)::text AS slept"""
[sweep]
mode = "one_at_a_time"
rounds = 40
[[sweep.settings]]
name = "enable_sort"
values = [false]
[[sweep.settings]]
name = "jit"
values = [false]
"#;
    let ended = start_at(Some(&database.address()), profile, &[]).end().await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let query = &ended.result()["sweep"]["queries"][0];
    assert_eq!((&query["best"], &query["may_be_best"]), (&json!(0), &json!([0])), "{query}");
    let cells = query["combinations"].as_array().unwrap();
    let of = |key: &str| cells.iter().map(|cell| cell[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("valid"), [true, false, true]);
    let compared: Vec<_> = cells.iter().map(|cell| cell["answers"]["checks"].clone()).collect();
    assert_eq!(compared, [0, 1, 1], "the first is the server as it is");
    assert!(cells[1]["times_ns"][0].is_u64(), "what was measured is kept");
    assert_eq!(cells[1]["median_ms"], Value::Null);
    let summary = fs::read_to_string(ended.work().join("out/summary.md")).unwrap();
    // Server and time of the run are not what this is about.
    let told = |line: &&str| !line.starts_with("done in ");
    let summary: Vec<&str> = summary.lines().filter(told).collect();
    // Whether a median has an interval is up to the noise of the moment.
    let summary = masked(&summary.join("\n")).replace(" (N ms - N ms)", "");
    // And how soon it is sure is, too.
    let rounds = &ended.result()["sweep"]["rounds"];
    let summary = summary.replace(&format!("{rounds} of at most"), "N of at most");
    let summary = summary.replace(&format!("| {rounds} |"), "| N |");
    let summary = summary.replace(&format!("{rounds} of {rounds} timed"), "all timed");
    insta::assert_snapshot!(summary);
}

#[tokio::test]
async fn one_at_a_time_begins_with_the_server_as_it_is() {
    let database = Database::create().await;
    let sweep = "[sweep]\nmode = \"one_at_a_time\"\n\
                 [[sweep.settings]]\nname = \"work_mem\"\nvalues = [\"4MB\", \"8MB\"]\n\
                 [[sweep.settings]]\nname = \"jit\"\nvalues = [true, false]\n";
    let result = run(&database, sweep, &[]).await.done();
    // 4MB and jit on are what the server has: the same as none.
    let wanted = json!([
        [{ "name": "work_mem", "value": null }, { "name": "jit", "value": null }],
        [{ "name": "work_mem", "value": "8MB" }, { "name": "jit", "value": null }],
        [{ "name": "work_mem", "value": null }, { "name": "jit", "value": "off" }],
    ]);
    assert_eq!(result["sweep"]["combinations"], wanted);
}

#[tokio::test]
async fn what_the_server_does_not_take_is_said_at_once_and_nothing_is_run() {
    let database = Database::create().await;
    let sweep = r#"
[[sweep.settings]]
name = "pg_strom.chunk_size"
values = ["64MB"]
[[sweep.settings]]
name = "wrk_mem"
values = ["64MB"]
[[sweep.settings]]
name = "work_mem"
values = ["64MB", "1kB", "65536kB"]
[[sweep.settings]]
name = "autovacuum_naptime"
values = [0, "1min"]
[[sweep.settings]]
name = "checkpoint_timeout"
values = [0]
[[sweep.settings]]
name = "shared_buffers"
values = ["64MB"]
[[sweep.settings]]
name = "block_size"
values = [8192]
[[sweep.settings]]
name = "ignore_system_indexes"
values = [true]
"#;
    let sweep = &format!("[sweep]\nmode = \"one_at_a_time\"\n{sweep}");
    let (without, with) =
        tokio::join!(run(&database, sweep, &[]), run(&database, sweep, &["--allow-alter-system"]));
    assert_eq!((without.code, with.code), (Some(3), Some(3)));
    let said = |ended: &Ended| ended.stderr.split_once("error: ").unwrap().1.to_owned();
    insta::assert_snapshot!(format!("{}\n--allow-alter-system\n{}", said(&without), said(&with)));
}

#[tokio::test]
async fn a_reload_needs_leave_and_is_undone_at_the_end() {
    let (server, address) = server().await;
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute("ALTER SYSTEM SET autovacuum_naptime = '90s'").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    while ask(&server, "SHOW autovacuum_naptime").await != "90s" {
        sleep(Duration::from_millis(20)).await;
    }
    let before = configuration(&server).await;
    // Fails with any other value than those of the sweep.
    let profile = format!(
        "[bench]\n[[bench.queries]]\nname = \"as_set\"\nanswers = \"off\"\nsql = \"SELECT 1 / \
         (current_setting('autovacuum_naptime') IN ('61s', '2min'))::int\"\n[sweep]\nrounds = 15\n{NAPTIME}"
    );
    let refused = start_at(Some(&address), &profile, &[]).end().await;
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("--allow-alter-system"), "{}", refused.stderr);
    assert_eq!(configuration(&server).await, before);

    let ended = start_at(Some(&address), &profile, &["--allow-alter-system"]).end().await;
    let sweep = &ended.done()["sweep"];
    assert_eq!(sweep["rounds"], 15);
    assert!(sweep["reloads"].as_u64().unwrap() >= 16, "{}", sweep["reloads"]);
    for cell in sweep["queries"][0]["combinations"].as_array().unwrap() {
        assert_eq!((&cell["failures"], &cell["rounds"]), (&json!(0), &json!(15)), "{cell}");
    }
    assert_eq!(configuration(&server).await, before);
    server.stop().await.unwrap();
}

/// Waits until a sweep has put a value of its own in force.
async fn until_changed(server: &Server, program: &Program) {
    for _ in 0..500 {
        if ask(server, "SHOW autovacuum_naptime").await != "1min" {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing was changed within 10 s: {}", program.stderr());
}

#[tokio::test]
async fn everything_is_put_back_after_an_interrupt_and_after_a_kill() {
    let (server, address) = server().await;
    let before = configuration(&server).await;
    let profile = format!("{SLOW}[sweep]\nrounds = 1000\n{NAPTIME}");
    let start = || start_at(Some(&address), &profile, &["--allow-alter-system"]);

    let program = start();
    until_changed(&server, &program).await;
    // Another one does not interfere.
    let second = start().end().await;
    assert_eq!(second.code, Some(3));
    assert!(second.stderr.contains("another sweep"), "{}", second.stderr);
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.result()["status"], "interrupted");
    assert_eq!(configuration(&server).await, before);

    let mut program = start();
    until_changed(&server, &program).await;
    program.child.kill().await.unwrap();
    let left = configuration(&server).await;
    assert_eq!(left["records"], 1, "{left}");
    assert_ne!(left["shows"], "1min");
    // The next start is of another kind, and needs no leave: what it does is undoing.
    let bench = r#"
[bench]
pairs_min = 1
pairs_max = 1
[[bench.queries]]
name = "one"
sql = "SELECT 1 / (current_setting('autovacuum_naptime') = '1min')::int"
"#;
    let next = start_at(Some(&address), bench, &[]).end().await;
    next.done();
    assert!(next.stderr.contains("put back: autovacuum_naptime"), "{}", next.stderr);
    assert_eq!(configuration(&server).await, before);

    // What somebody else has changed since is left alone.
    let mut program = start();
    until_changed(&server, &program).await;
    program.child.kill().await.unwrap();
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute("ALTER SYSTEM SET autovacuum_naptime = '77s'").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    start_at(Some(&address), &bench.replace("1min", "77s"), &[]).end().await.done();
    let left = configuration(&server).await;
    assert_eq!((&left["shows"], &left["records"]), (&json!("77s"), &json!(0)));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn only_a_server_of_our_own_is_restarted() {
    let profile = r#"
[bench]
[[bench.queries]]
name = "as_set"
answers = "off"
sql = "SELECT 1 / (current_setting('max_connections') || current_setting('autovacuum_naptime') IN ('501min', '502min', '601min', '602min'))::int"
[sweep]
rounds = 10
[[sweep.settings]]
name = "max_connections"
values = [50, 60]
[[sweep.settings]]
name = "autovacuum_naptime"
values = ["1min", "2min"]
"#;
    let ended = start_at(None, profile, &[]).end().await;
    let sweep = &ended.done()["sweep"];
    assert!(sweep["restarts"].as_u64().unwrap() >= 11, "{}", sweep["restarts"]);
    for cell in sweep["queries"][0]["combinations"].as_array().unwrap() {
        assert_eq!((&cell["failures"], &cell["rounds"]), (&json!(0), &json!(10)), "{cell}");
    }
    let database = Database::create().await;
    let refused = start_at(Some(&database.address()), profile, &["--allow-alter-system"]);
    let refused = refused.end().await;
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("`max_connections`: it takes a restart"), "{}", refused.stderr);
}

#[tokio::test]
async fn an_interrupted_sweep_gives_what_there_is() {
    let database = Database::create().await;
    let sweep =
        "[sweep]\nrounds = 1000\n[[sweep.settings]]\nname = \"jit\"\nvalues = [true, false]\n";
    let program = start_at(Some(&database.address()), &format!("{SLOW}{sweep}"), &[]);
    let out = program.folder.path().join("work/out/summary.md");
    crate::support::until("a round is saved", || {
        fs::read_to_string(&out).is_ok_and(|text| text.contains("2 of at most 1,000 rounds"))
    })
    .await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let result = ended.result();
    assert!(result["sweep"]["rounds"].as_u64().unwrap() >= 2);
    assert_eq!(result["sweep"]["queries"][0]["best"], Value::Null, "too few rounds for one");
    assert!(ended.stderr.contains("rounds"), "progress is shown: {}", ended.stderr);
}
