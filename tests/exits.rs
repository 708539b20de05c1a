//! Exit codes of real runs that came to their end: 0, 6 where not all that was asked for was done,
//! and which code counts where several fit.

use std::fs;

use serde_json::Value;

use crate::support::{Database, Ended, Program, connect, scratch, shared};

const TABLE: &str = "l40s_realtime_stream";

fn start(address: &str, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("asked.toml");
    fs::write(&path, format!("warmup_s = 0\nduration_s = 2\n[stream]\n{profile}")).unwrap();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", address];
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    if !args.contains(&"--rate") {
        all.extend(["--rate", "1000"]);
    }
    all.extend(args);
    Program::start_in(folder, &all, &[])
}

async fn run(database: &Database, profile: &str, args: &[&str]) -> Ended {
    start(&database.address(), profile, args).end().await
}

fn reader(sql: &str) -> String {
    format!("[readers]\ncount = 2\n[[readers.queries]]\nname = \"w\"\nsql = \"{sql}\"\n")
}

/// The kinds of what was not done, as saved; each is in the first lines of the summaries too.
fn shortfalls(ended: &Ended) -> Vec<String> {
    let result = ended.result();
    let shortfalls = result["shortfalls"].as_array().unwrap();
    let markdown = fs::read_to_string(ended.work().join("out/summary.md")).unwrap();
    let answer = ended.stdout.lines().next().unwrap();
    assert!(shortfalls.is_empty() || !answer.starts_with("OK"), "{}", ended.stdout);
    for (number, shortfall) in shortfalls.iter().enumerate() {
        let line = format!("NOT DONE AS ASKED: {}", shortfall["what"].as_str().unwrap());
        let shown = ended.stdout.lines().filter(|line| !line.is_empty());
        let first: Vec<&str> = shown.skip(2).take(shortfalls.len()).map(str::trim).collect();
        assert_eq!(first[number], line, "{}", ended.stdout);
        assert!(markdown.contains(&line), "{markdown}");
    }
    let kind = |shortfall: &Value| shortfall["kind"].as_str().unwrap().to_owned();
    shortfalls.iter().map(kind).collect()
}

/// Waits until rows are stored.
async fn streaming(database: &Database) {
    database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;
}

#[tokio::test]
async fn a_query_that_fails_each_time_is_not_what_was_asked_for() {
    for (sql, code) in [
        ("SELECT sum(1 / (id - id)) FROM {table}", "22012"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "57P01"),
    ] {
        let database = Database::create().await;
        // On an empty table there is nothing to divide.
        run(&database, "", &["--duration", "500ms", "--readers", "0"]).await.done();
        let ended = run(&database, &reader(sql), &[]).await;
        assert_eq!(ended.code, Some(6), "{sql}\n{}", ended.stderr);
        assert_eq!(shortfalls(&ended), ["query_failed"], "{sql}");
        assert_eq!(ended.result()["status"], "done");
        let said = ended.result()["shortfalls"][0]["what"].as_str().unwrap().to_owned();
        assert!(said.starts_with("`w` (cpu) failed each time, "), "{said}");
        assert!(said.contains(code), "{said}");
        // A figure that was not measured does not hold, and outweighs nothing.
        let ended = run(&database, &reader(sql), &["--threshold", "query_p99_ms < 1000"]).await;
        assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_query_that_is_never_answered_is_a_shortfall_and_no_failure() {
    let database = Database::create().await;
    let ended = run(&database, &reader("SELECT pg_sleep(60)"), &[]).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(
        (&result["shortfalls"][0]["kind"], &result["queries"][0]["interrupted"]),
        (&"query_unanswered".into(), &2.into())
    );
    assert_eq!(result["queries"][0]["errors"], serde_json::json!({}));
    let row = ended.stdout.lines().find(|line| line.starts_with("w ")).unwrap();
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(&cells[..3], ["w", "cpu", "0/s"], "{row}");
    // Nobody knows how long they would have taken, but that it is longer than this.
    assert!(cells[3].starts_with("≥ ") && cells[5].starts_with("≥ "), "{row}");
    assert_eq!(&cells[6..], ["-", "2 interrupted", "cpu"], "{row}");
    let response = &result["queries"][0]["response"];
    assert_eq!((&response["count"], &response["censored"]), (&2.into(), &2.into()), "{response}");
    // Unless somebody wants to know: a lower bound is below nothing.
    let args = ["--threshold", "query_p50_ms < 100000"];
    let ended = run(&database, &reader("SELECT pg_sleep(60)"), &args).await;
    assert_eq!(ended.code, Some(6), "what was not done counts more: {}", ended.stderr);
    let threshold = &ended.result()["thresholds"][0];
    assert_eq!(threshold["at_least"], true, "{threshold}");
    assert!(
        ended.stdout.contains("THRESHOLD FAILED: `query_p50_ms < 100000`: ≥ "),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn rows_that_were_dropped_are_a_shortfall_beyond_what_is_allowed() {
    for (allowed, code) in [(None, 6), (Some("1%"), 6), (Some("100%"), 0)] {
        let database = Database::create().await;
        let mut args = vec!["--readers", "0", "--backlog-rows", "300", "--drain-timeout", "30s"];
        args.extend(["--threshold", "errors < 0"].iter().filter(|_| allowed.is_none()));
        args.extend(allowed.iter().flat_map(|share| ["--allow-dropped", share]));
        let program = start(&database.address(), "", &args);
        streaming(&database).await;
        let other = database.session().await;
        other
            .execute(&format!(
                "BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(2.5)"
            ))
            .await;
        other.execute("COMMIT").await;
        let ended = program.end().await;
        assert_eq!(ended.code, Some(code), "{allowed:?}\n{}", ended.stderr);
        assert!(ended.result()["stream"]["rows_dropped"].as_u64().unwrap() > 0);
        let kinds: &[&str] = if code == 6 { &["rows_dropped"] } else { &[] };
        assert_eq!(shortfalls(&ended), kinds);
    }
}

#[tokio::test]
async fn an_audit_that_was_asked_for_and_not_made_is_a_shortfall() {
    // By the server's end of the sessions that read back: they are made anew, unless it stays away.
    for stays_away in [false, true] {
        let database = Database::create().await;
        // So many rows that reading them back takes a moment.
        let mut args = vec!["--readers", "0", "--rate", "max", "--reconnect-timeout", "4s"];
        args.extend(["--duration", "700ms"]);
        let program = start(&database.address(), "", &args);
        let audit = "FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'strom-load audit'";
        database.until(&format!("SELECT count(*) > 0 {audit} AND state = 'active'")).await;
        if stays_away {
            let closed = format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name);
            let elsewhere = connect(&shared().socket_dir, shared().port).await;
            elsewhere.batch_execute(&closed).await.unwrap();
        }
        database.rows(&format!("SELECT pg_terminate_backend(pid) {audit}")).await;
        let ended = program.end().await;
        assert!(ended.stderr.contains("the audit waits for the server"), "{}", ended.stderr);
        if !stays_away {
            let result = ended.done();
            let rows = |of: &str| result["stream"][of].as_u64().unwrap();
            assert_eq!(rows("rows_found"), rows("rows_acknowledged"));
            continue;
        }
        assert_eq!(ended.code, Some(6), "{}", ended.stderr);
        assert_eq!(shortfalls(&ended), ["not_audited"]);
        let result = ended.result();
        let kept = (&result["status"], &result["stream"]["audit"]);
        assert_eq!(kept, (&"done".into(), &Value::Null));
        let said = "the outage outlasted the run's --reconnect-timeout (4 s)";
        assert!(ended.stdout.contains("not checked: "), "{}", ended.stdout);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }

    // By a right that is gone; counting needs it as well.
    for audit in ["full", "count", "off"] {
        let database = Database::create().await;
        let role = format!("auditor_{}_{audit}", database.name);
        database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
        run(&database, "", &["--duration", "500ms", "--readers", "0"]).await.done();
        let own = "GRANT SELECT, INSERT, UPDATE, DELETE ON strom_load.lane TO";
        for grant in [
            format!("GRANT SELECT, INSERT ON {TABLE} TO {role}"),
            format!("GRANT USAGE ON SCHEMA strom_load TO {role}"),
            format!("{own} {role}"),
        ] {
            database.execute(&grant).await;
        }
        let args = ["--readers", "0", "--audit", audit];
        let program = start(&database.address_of(&role), "", &args);
        let rows = database.number(&format!("SELECT count(*) FROM {TABLE}")).await;
        database.until(&format!("SELECT count(*) > {rows} FROM {TABLE}")).await;
        database.execute(&format!("REVOKE SELECT ON {TABLE} FROM {role}")).await;
        let ended = program.end().await;
        let code = if audit == "off" { 0 } else { 6 };
        assert_eq!(ended.code, Some(code), "{audit}\n{}", ended.stderr);
        let kinds: &[&str] = if code == 6 { &["not_audited"] } else { &[] };
        assert_eq!(shortfalls(&ended), kinds);
        database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}

#[tokio::test]
async fn answers_that_were_to_be_compared_and_were_not_are_a_shortfall() {
    // Works alone, and not within the transaction in which both answers are taken.
    let sql = "SELECT 1 / (CASE current_setting('transaction_isolation') WHEN 'repeatable read' THEN 0 ELSE 1 END)";
    let arms = "[arms.a]\nset = { enable_sort = false }\n[arms.b]\nset = {}\n";
    let database = Database::create().await;
    let ended = run(&database, &format!("{}{arms}", reader(sql)), &[]).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert_eq!(shortfalls(&ended), ["not_compared"]);
    let args = ["--check-answers=false"];
    run(&database, &format!("{}{arms}", reader(sql)), &args).await.done();
}

#[tokio::test]
async fn an_output_that_is_lost_is_a_shortfall() {
    let database = Database::create().await;
    let program = start(&database.address(), "", &["--readers", "0", "--duration", "3s"]);
    streaming(&database).await;
    fs::remove_dir_all(program.folder.path().join("work/out")).unwrap();
    let ended = program.end().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("an output is lost, and the run goes on"), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("NOT DONE AS ASKED: an output is not whole: "),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("3,000 acknowledged"), "{}", ended.stdout);
}

#[tokio::test]
async fn faults_that_were_not_made_prove_nothing() {
    let args = ["faults", "--duration", "1ms", "--metrics-addr", "off", "--output", "out"];
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(6), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(shortfalls(&ended), ["nothing_injected"]);
    assert!(!ended.stdout.contains("verdict     each acknowledged row is there once, as sent"));
}

#[tokio::test]
async fn of_several_profiles_the_gravest_code_counts() {
    let database = Database::create().await;
    let address = database.address();
    let folder = scratch();
    let (dead, slow) = (folder.path().join("dead.toml"), folder.path().join("slow.toml"));
    let short = "warmup_s = 0\nduration_s = 1\n";
    fs::write(&dead, format!("{short}[stream]\n{}", reader("SELECT 1 / (random() * 0)::int")))
        .unwrap();
    fs::write(&slow, format!("{short}thresholds = [\"errors < 0\"]\n[stream]\n")).unwrap();
    let (dead, slow) = (dead.display().to_string(), slow.display().to_string());
    for order in [[&dead, &slow], [&slow, &dead]] {
        let mut args = vec!["run", order[0], order[1], "--database-url", &address];
        args.extend(["--metrics-addr", "off", "--output", "out"]);
        let ended = Program::start(&args).end().await;
        assert_eq!(ended.code, Some(6), "{}", ended.stderr);
        let index = fs::read_to_string(ended.work().join("out/index.json")).unwrap();
        let index: Value = serde_json::from_str(&index).unwrap();
        let codes = index["runs"].as_array().unwrap().iter().map(|run| &run["exit_code"]);
        let mut codes: Vec<u64> = codes.map(|code| code.as_u64().unwrap()).collect();
        codes.sort_unstable();
        assert_eq!(codes, [6, 99]);
    }
}

/// What is not printed is an output lost: graver than a threshold, and less grave than lost rows.
#[tokio::test]
async fn a_summary_that_cannot_be_printed_is_an_output_lost() {
    let deletes = "[readers]\ncount = 1\nqueries_per_s = 2\nwrites = true\n[[readers.queries]]\n\
                   name = \"zap\"\nchanges = []\nsql = \"DELETE FROM {table} WHERE id % 7 = 3\"\n";
    for (profile, more, code) in [
        ("", &["--readers", "0"][..], 6),
        ("", &["--readers", "0", "--threshold", "rows_per_s < 1"], 6),
        (deletes, &[], 5),
    ] {
        let database = Database::create().await;
        let folder = scratch();
        let path = folder.path().join("full.toml");
        let text = format!("warmup_s = 0\nduration_s = 2\n[stream]\nrows_per_s = 700\n{profile}");
        fs::write(&path, text).unwrap();
        let (path, address) = (path.to_str().unwrap(), database.address());
        let mut args = vec!["run", path, "--database-url", &address];
        args.extend(["--metrics-addr", "off", "--output", "out"]);
        args.extend(more);
        let ended = Program::start_after("exec >/dev/full", &args, &[]).end().await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let said = "error: failed to write to stdout: No space left on device (os error 28)\n";
        assert!(ended.stderr.ends_with(said), "{}", ended.stderr);
        // The run itself has nothing to do with it.
        assert_eq!(ended.result()["status"], "done");
        let args = ["report", ended.work().join("out").to_str().unwrap()].map(str::to_owned);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = Program::start_after("exec >/dev/full", &args, &[]).end().await;
        assert_eq!(ended.code, Some(6), "{}", ended.stderr);
        // Of several the rest runs all the same, and the index is saved.
        if code == 6 && more.len() == 2 {
            let several = ["run", path, path, "--database-url", &address, "--metrics-addr", "off"];
            let args = [&several[..], &["--readers", "0", "--output", "out"]].concat();
            let ended = Program::start_after("exec >/dev/full", &args, &[]).end().await;
            assert_eq!(ended.code, Some(6), "{}", ended.stderr);
            let index = fs::read(ended.work().join("out/index.json")).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            let codes: Vec<_> =
                index["runs"].as_array().unwrap().iter().map(|run| &run["exit_code"]).collect();
            assert_eq!(codes, [&Value::from(0), &Value::from(0)]);
        }
    }
    for args in [&["check", "realtime"][..], &["thresholds"], &["profiles"]] {
        let ended = Program::start_after("exec >/dev/full", args, &[]).end().await;
        assert_eq!(ended.code, Some(6), "{args:?}\n{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_run_that_refused_rows_end_blames_nobody_for_its_rate() {
    let database = Database::create().await;
    database.execute("CREATE TABLE late (id bigint CHECK (id < 1500))").await;
    let profile = "table = 'late'\ncolumns = [{ name = 'id', type = 'bigint', values = 'row_id' }]\n\
                   [readers]\ncount = 0\n";
    let ended = run(&database, profile, &["--duration", "5s"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let result = ended.result();
    assert!(result["stream"]["errors"]["23514"].as_u64() > Some(0), "{}", ended.stderr);
    assert_eq!(result["loader"]["bottleneck"], "none", "{}", ended.stdout);
    assert!(!shortfalls(&ended).contains(&"own_delay".to_owned()), "{}", ended.stdout);
}

/// Each arm of a benchmark that writes does so by itself: there are no answers to compare.
#[tokio::test]
async fn a_benchmark_that_writes_in_two_arms_is_done() {
    let database = Database::create().await;
    database.execute("CREATE TABLE written (a int)").await;
    let folder = scratch();
    let path = folder.path().join("writes.toml");
    let profile = "[arms.one]\nset = { jit = true }\n[arms.other]\nset = { jit = false }\n[bench]\nwrites = true\n\
                   [[bench.queries]]\nname = 'w'\nsql = 'INSERT INTO written VALUES (1)'\n";
    fs::write(&path, profile).unwrap();
    let address = database.address();
    let mut args = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    args.extend([
        "--metrics-addr",
        "off",
        "--output",
        "out",
        "--pairs-min",
        "4",
        "--pairs-max",
        "4",
    ]);
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(database.number("SELECT count(*) FROM written").await >= 8);
}
