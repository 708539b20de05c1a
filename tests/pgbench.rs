//! Beside pgbench: the same queries on the same server take as long. How long is a job for a machine that is
//! left alone: `STROM_LOAD_TEST_ROUNDS=7 cargo test --release --test main pgbench:: -- --ignored --nocapture`.

use std::fs;

use tokio::process::Command;

use crate::support::{Database, Program, rounds, scratch, shared};

/// Of accounts there are 100,000 times as many.
const SCALE: u32 = 5;
/// What a median may be above pgbench's, microseconds.
const MORE_US: f64 = 25.0;
/// The same of a statement of a millisecond or more, as a share.
const MORE_RATIO: f64 = 0.05;

/// A script of pgbench, and the same query with the same keys.
struct Case {
    name: &'static str,
    script: String,
    sql: &'static str,
    last_key: u32,
}

fn cases() -> [Case; 2] {
    let accounts = SCALE * 100_000;
    let script = |last_key: u32, sql: &str| format!("\\set aid random(1, {last_key})\n{sql};\n");
    let one = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid";
    let many = "SELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 5000";
    [(one, accounts, "select-only"), (many, accounts - 5_000, "5,000 rows")]
        .map(|(sql, last_key, name)| Case { name, script: script(last_key, sql), sql, last_key })
}

/// pgbench with these arguments, on a database.
pub(crate) fn pgbench(database: &Database, args: &[&str]) -> Command {
    let server = shared();
    let mut command = Command::new("/usr/lib/postgresql/15/bin/pgbench");
    command.args(["-h", server.socket_dir.to_str().unwrap(), "-p", &server.port.to_string()]);
    command.args(["-U", "postgres"]).args(args).arg(&database.name);
    command
}

/// The median of what pgbench logs of one client with prepared statements, but for its first second,
/// microseconds.
async fn theirs(database: &Database, case: &Case) -> f64 {
    let folder = scratch();
    fs::write(folder.path().join("script.sql"), &case.script).unwrap();
    let args = ["-n", "-M", "prepared", "-c", "1", "-T", "6", "--log", "-f", "script.sql"];
    let ended = pgbench(database, &args).current_dir(folder.path()).output().await.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let logs = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.into_iter().find(|path| path.to_str().unwrap().contains("pgbench_log")).unwrap();
    let log = fs::read_to_string(log).unwrap();
    // The client, the transaction, its time, the script, and when it was over: seconds and microseconds.
    let fields =
        |line: &str| -> Vec<f64> { line.split(' ').map(|field| field.parse().unwrap()).collect() };
    let all: Vec<Vec<f64>> = log.lines().map(fields).collect();
    let at = |of: &[f64]| of[4] + of[5] / 1e6;
    let measured = all.iter().filter(|of| at(of) - at(&all[0]) > 1.0);
    median(measured.map(|of| of[2]).collect())
}

/// The same of ours: one reader, beside a stream of a row a second.
async fn ours(database: &Database, case: &Case) -> f64 {
    let folder = scratch();
    let path = folder.path().join("beside.toml");
    let Case { sql, last_key, .. } = case;
    let profile = format!(
        "warmup_s = 1\nduration_s = 5\naudit = 'off'\n[stream]\nrows_per_s = 1\npartitions = 1\n[readers]\n\
         count = 1\n[[readers.queries]]\nname = 'one'\nprotocol = 'prepared'\nsql = '{sql}'\n\
         parameters = {{ aid = {{ type = 'integer', values = {{ integer = {{ min = 1, max = {last_key} }} }} }} }}\n"
    );
    fs::write(&path, profile).unwrap();
    let address = database.address();
    let args = ["run", path.to_str().unwrap(), "--database-url", &address];
    let more = ["--metrics-addr", "off", "--output", "out"];
    let ended = Program::start_in(folder, &[&args[..], &more[..]].concat(), &[]).end().await;
    ended.done()["queries"][0]["service"]["p50_ms"].as_f64().unwrap() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test]
#[ignore = "a job of some minutes, on a machine that is left alone"]
async fn a_query_takes_as_long_as_with_pgbench() {
    let rounds = rounds();
    let database = Database::create().await;
    let made = pgbench(&database, &["-i", "-q", "-s", &SCALE.to_string()]).output().await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut over = Vec::new();
    println!(
        "| query | pgbench | strom-load | difference | A/A: pgbench - pgbench |\n|---|---|---|---|---|"
    );
    for case in cases() {
        let mut medians: [Vec<f64>; 3] = Default::default();
        for round in 0..rounds {
            // Each of the three comes first, second and third equally often.
            for turn in 0..3 {
                let which = (round + turn) as usize % 3;
                let took = match which {
                    1 => ours(&database, &case).await,
                    _ => theirs(&database, &case).await,
                };
                medians[which].push(took);
            }
        }
        let beside = |of: usize| {
            let pairs = medians[of].iter().zip(&medians[0]);
            median(pairs.map(|(one, other)| one - other).collect())
        };
        let (more, again) = (beside(1), beside(2));
        let [theirs, ours, _] = medians.map(median);
        let name = case.name;
        println!("| {name} | {theirs:.1} µs | {ours:.1} µs | {more:+.1} µs | {again:+.1} µs |");
        let most = if theirs < 1_000.0 { MORE_US } else { theirs * MORE_RATIO };
        if more > most {
            over.push(format!("{name}: {more:.1} µs more than pgbench's {theirs:.1} µs"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

/// What pgbench has within it, on the tables that it makes.
#[tokio::test]
async fn its_own_scripts_are_converted_and_run() {
    let database = Database::create().await;
    let made = pgbench(&database, &["-i", "-q", "-s", "1"]).output().await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let each = ["select-only", "simple-update", "tpcb-like"].map(async |name| {
        let folder = scratch();
        let script = pgbench(&database, &["--show-script", name]).output().await.unwrap();
        fs::write(folder.path().join("script.sql"), &script.stderr).unwrap();
        let script = folder.path().join("script.sql");
        let args = ["profile", "from-pgbench", script.to_str().unwrap(), "--clients", "2"];
        let converted = Program::start_in(scratch(), &args, &[]).end().await;
        assert_eq!(converted.code, Some(0), "{name}: {}", converted.stderr);
        let path = folder.path().join("converted.toml");
        // The tables of their streams are each other's neighbours here.
        let own = format!("\"strom_load_beside_{}\"", name.replace('-', "_"));
        let profile = converted.stdout.replace("\"strom_load_beside\"", &own);
        fs::write(&path, profile).unwrap();
        let address = database.address();
        let args = ["run", path.to_str().unwrap(), "--database-url", &address];
        let more =
            ["--duration", "1s", "--warmup", "0s", "--metrics-addr", "off", "--output", "out"];
        let ended = Program::start_in(folder, &[&args[..], &more[..]].concat(), &[]).end().await;
        let result = ended.done();
        let query = &result["queries"][0];
        assert_eq!(query["errors"], serde_json::json!({}), "{name}: {query}");
        assert!(
            ended.stdout.contains("each acknowledged row is there as sent\n"),
            "{}",
            ended.stdout
        );
        query["executions"].as_i64().unwrap()
    });
    let executions = futures_util::future::join_all(each).await;
    assert!(executions.iter().all(|executions| *executions > 0), "{executions:?}");
    // A row of the history each; one that is cut off at the end may have its own.
    let updates = executions[1] + executions[2];
    let history = database.number("SELECT count(*) FROM pgbench_history").await;
    assert!((updates..=updates + 4).contains(&history), "{history} for {executions:?}");
    let balances = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(delta) FROM pgbench_history)";
    assert_eq!(database.number(balances).await, 0);
}

#[tokio::test]
async fn what_is_no_script_of_pgbench_is_said() {
    let folder = scratch();
    let script = folder.path().join("script.sql");
    fs::write(&script, "\\set a random(1, 10)\nSELECT :a, :b;\n\\sleep 1 s\n").unwrap();
    let args = ["profile", "from-pgbench", script.to_str().unwrap()];
    let ended = Program::start(&args).end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    for said in [
        "nothing says what `:b` is",
        "script.sql:2:1",
        "`\\sleep` cannot be converted",
        "script.sql:3:1",
    ] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    // One that comes through a pipe, or from standard input, opened with a byte order mark.
    let marked = "\u{feff}\\set a random(1, 10)\nSELECT :a;\n";
    fs::write(&script, marked).unwrap();
    for (shell, name) in [("- <", "standard_input"), ("/dev/stdin <", "stdin"), ("<(cat", "")] {
        let end = if shell.ends_with("cat") { ")" } else { "" };
        let line = format!(
            "{} profile from-pgbench {shell} {}{end}",
            env!("CARGO_BIN_EXE_strom-load"),
            script.display()
        );
        let output = Command::new("bash").args(["-c", &line]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        assert!(text.contains("sql = \"SELECT :a\"") || text.contains("SELECT :a"), "{text}");
        assert!(
            name.is_empty() || text.contains(&format!("name = \"{}\"", name.replace('_', "-"))),
            "{text}"
        );
    }
    let args = ["profile", "from-pgbench", "nowhere.sql"];
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("failed to read `nowhere.sql`: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("fix: name a script of pgbench"), "{}", ended.stderr);
}
