//! The readers' sessions are read-only unless the profile says otherwise, and what cannot work as a
//! query is refused before the run, on a real server.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

/// Runs a profile against a database.
async fn run(database: &Database, profile: &str, more: &[&str]) -> Ended {
    let folder = scratch();
    let file = folder.path().join("profile.toml");
    fs::write(&file, profile).unwrap();
    let address = database.address();
    let file = file.display().to_string();
    let mut args = vec!["run", &file, "--database-url", &address, "--output", "out"];
    args.extend(["--metrics-addr", "off"]);
    args.extend(more);
    Program::start_in(folder, &args, &[]).end().await
}

const SHORT: [&str; 8] =
    ["--rate", "300", "--partitions", "2", "--warmup", "0s", "--duration", "2s"];

fn reader(writes: &str, sql: &str) -> String {
    format!(
        "[stream]\n[readers]\ncount = 2\n{writes}\n[[readers.queries]]\nname = 'w'\nsql = '''{sql}'''\n"
    )
}

/// A table of the user's with a thousand rows.
async fn theirs() -> Database {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE theirs (id bigint, category text, region text, amount numeric(15,2), \
             gpu_partition integer, created_at timestamptz) PARTITION BY LIST (gpu_partition); \
             CREATE TABLE theirs_0 PARTITION OF theirs FOR VALUES IN (0); \
             CREATE TABLE theirs_1 PARTITION OF theirs FOR VALUES IN (1); \
             INSERT INTO theirs SELECT i, 'c', 'r', 1, 0, now() FROM generate_series(1, 1000) i; \
             CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'; \
             CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM theirs",
        )
        .await;
    database
}

#[tokio::test]
async fn what_writes_or_cannot_work_is_refused_before_the_run() {
    let database = theirs().await;
    let program = format!("/var/tmp/strom-load-test-{}", database.name);
    let copy = format!("COPY (SELECT 1) TO PROGRAM 'touch {program}'");
    let mut said = String::new();
    for sql in [
        "DELETE FROM {table}",
        "delete from {table} returning id",
        "INSERT INTO {table} SELECT * FROM {table}",
        "UPDATE {table} SET amount = 0",
        "MERGE INTO {table} t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM {table} RETURNING id) SELECT count(*) FROM gone",
        "SELECT id FROM {table} FOR UPDATE",
        "SELECT id INTO copied FROM {table}",
        "CREATE TABLE copied AS SELECT id FROM {table}",
        "REFRESH MATERIALIZED VIEW counted",
        "DROP TABLE {table} CASCADE",
        "TRUNCATE {table}",
        "VACUUM {table}",
        "COPY {table} TO STDOUT",
        &copy,
        "DO $$ BEGIN DELETE FROM theirs; END $$",
        "CALL nothing()",
        "COMMIT",
        "SELECT $1::int",
        "SELECT count(*) FROM {table} WHERE id = $1 AND category = $2",
        "SELECT count(*) FROM {table} WHERE ident = 1",
        "SELECT nextval('nowhere') FROM {table}",
    ] {
        let args = [&SHORT[..], &["--table", "theirs"]].concat();
        let ended = run(&database, &reader("", sql), &args).await;
        assert_eq!(ended.code, Some(3), "{sql}: {}", ended.stderr);
        let (_, error) = ended.stderr.split_once("error: ").unwrap();
        // Where the profile lies is chance.
        let (before, place) = error.split_once("  --> ").unwrap_or((error, ""));
        let place = place.rsplit_once("/profile.toml").map_or(place, |(_, place)| place);
        let shown = [&*sql.replace(&program, "FILE"), "\n", before, "  --> profile.toml", place];
        said.extend(shown);
        said.push('\n');
        assert!(!ended.work().join("out").exists(), "{sql}");
    }
    assert_eq!(database.number("SELECT count(*) FROM theirs").await, 1_000);
    assert_eq!(database.number("SELECT count(*) FROM theirs WHERE amount = 1").await, 1_000);
    assert!(!fs::exists(&program).unwrap());
    insta::assert_snapshot!(said);

    // The rest passes: also what ends in a comment, and what is in parentheses.
    for sql in ["VALUES (1), (2)", "TABLE theirs;", "(SELECT count(*) FROM {table}) -- all"] {
        let args = [&SHORT[..], &["--table", "theirs"]].concat();
        let result = run(&database, &reader("", sql), &args).await.done();
        assert!(result["queries"][0]["executions"].as_i64().unwrap() > 0, "{sql}");
        assert_eq!(result["queries"][0]["errors"], serde_json::json!({}), "{sql}");
    }
}

#[tokio::test]
async fn what_a_function_hides_is_refused_when_it_runs() {
    let database = theirs().await;
    database
        .execute(
            "CREATE TABLE written (x int); CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO written VALUES (1); RETURN 1; END $$",
        )
        .await;
    let ended = run(&database, &reader("", "SELECT hidden()"), &SHORT).await;
    let query = &ended.result()["queries"][0];
    assert_eq!(query["executions"], 0, "{query}");
    let codes: Vec<_> = query["errors"].as_object().unwrap().keys().collect();
    assert_eq!(codes, ["25006"]);
    assert_eq!(database.number("SELECT count(*) FROM written").await, 0);
    let rows = run(&database, &reader("writes = true", "SELECT hidden()"), &SHORT).await.done();
    let executions = rows["queries"][0]["executions"].as_i64().unwrap();
    assert!(executions > 0);
    assert_eq!(database.number("SELECT count(*) FROM written").await, executions);
}

/// A query that switches off what keeps readers from writing fails, and the next one still cannot.
#[tokio::test]
async fn what_switches_read_only_off_is_a_failed_query() {
    let database = theirs().await;
    database
        .execute(
            "CREATE TABLE written (x int); CREATE FUNCTION hidden() RETURNS int LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO written VALUES (1); RETURN 1; END $$",
        )
        .await;
    let queries = |section: &str| {
        let query = |name: &str, sql: &str| {
            format!("[[{section}.queries]]\nname = '{name}'\nsql = \"{sql}\"\n")
        };
        let switch = "SELECT set_config('default_transaction_read_only', 'off', false)";
        query("switch", switch) + &query("write", "SELECT hidden()") + &query("read", "SELECT 1")
    };
    let stream = format!("[stream]\n[readers]\ncount = 2\n{}", queries("readers"));
    let ended = run(&database, &stream, &SHORT).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    let tried = |name: &str| {
        let mut all = result["queries"].as_array().unwrap().iter();
        let query = all.find(|query| query["query"] == name).unwrap();
        (query["executions"].as_u64().unwrap(), query["errors"].clone())
    };
    for (name, code) in [("switch", "XX000"), ("write", "25006")] {
        let (executions, errors) = tried(name);
        assert_eq!(executions, 0, "{name}");
        let codes: Vec<_> = errors.as_object().unwrap().keys().cloned().collect();
        assert_eq!(codes, [code], "{name}");
    }
    let (executions, errors) = tried("read");
    assert!(executions > 0 && errors == serde_json::json!({}), "{errors}");
    let said = "it sets default_transaction_read_only off";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(database.number("SELECT count(*) FROM written").await, 0);

    let short = ["--pairs-min", "2", "--pairs-max", "2", "--query-time", "2s"];
    let ended = run(&database, &queries("bench"), &short).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert_eq!(database.number("SELECT count(*) FROM written").await, 0);
}

#[tokio::test]
async fn readers_that_may_write_are_named_where_rows_are_wrong() {
    let database = Database::create().await;
    let profile = reader("writes = true", "DELETE FROM {table}");
    let profile = profile.replace("name = 'w'", "name = 'w'\nchanges = []");
    let ended = run(&database, &profile, &SHORT).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let who = "the readers may write and may have changed them: w";
    assert!(ended.stdout.contains(who), "{}", ended.stdout);
    assert_eq!(ended.result()["plan"]["readers"]["writes"], Value::Bool(true));
    let folder = ended.work().join("out").display().to_string();
    let address = database.address();
    let verified = Program::start(&["verify", &folder, "--database-url", &address]).end().await;
    assert_eq!(verified.code, Some(5), "{}", verified.stderr);
    assert!(verified.stdout.contains(who), "{}", verified.stdout);
    // Not even then is everything a query.
    for sql in ["VACUUM {table}", "COPY {table} TO STDOUT", "SELECT $1::int"] {
        let ended = run(&database, &reader("writes = true", sql), &SHORT).await;
        assert_eq!(ended.code, Some(3), "{sql}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn queries_of_a_benchmark_are_read_only_too() {
    let database = Database::create().await;
    database.execute("CREATE TABLE theirs AS SELECT generate_series(1, 1000) AS id").await;
    let bench = |writes: &str, sql: &str| {
        format!(
            "[bench]\n{writes}\ntable = 'theirs'\n[[bench.queries]]\nname = 'w'\nsql = '''{sql}'''\n"
        )
    };
    let short = ["--pairs-min", "2", "--pairs-max", "2", "--query-time", "2s"];
    for sql in ["DELETE FROM {table}", "SELECT nope FROM {table}", "SELECT $1::int"] {
        let ended = run(&database, &bench("", sql), &short).await;
        assert_eq!(ended.code, Some(3), "{sql}: {}", ended.stderr);
        assert!(ended.stderr.contains("error: query `w`: "), "{}", ended.stderr);
    }
    assert_eq!(database.number("SELECT count(*) FROM theirs").await, 1_000);
    let insert = bench("writes = true", "INSERT INTO {table} VALUES (0)");
    let ended = run(&database, &insert, &short).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The first one is not measured.
    assert_eq!(database.number("SELECT count(*) FROM theirs WHERE id = 0").await, 3);
}

const OWN_SERVER: &str = r#"
warmup_s = 0
stream = {}
[arms.a]
set = { deadlock_timeout = "2s" }
[arms.b]
set = {}
[readers]
count = 1
[[readers.queries]]
name = "who"
sql = """
SELECT 1 / (session_user = 'strom_load_reader' AND current_setting('is_superuser') = 'off')::int,
       pg_sleep(0.11)"""
[[readers.queries]]
name = "reads"
sql = "SELECT count(*) FROM {table}"
"#;

/// Runs a profile on a server of its own.
async fn on_its_own_server(profile: &str) -> Ended {
    let folder = scratch();
    let path = folder.path().join("own.toml");
    fs::write(&path, profile).unwrap();
    let args = ["run", path.to_str().unwrap(), "--metrics-addr", "off", "--output", "out"];
    let args = [&args[..], &["--duration", "3s", "--rate", "100", "--partitions", "1"]].concat();
    Program::start_in(folder, &args, &[]).end().await
}

#[tokio::test]
async fn on_a_server_of_our_own_queries_run_as_no_superuser() {
    let ended = on_its_own_server(OWN_SERVER).await;
    let result = ended.done();
    let queries = result["queries"].as_array().unwrap();
    assert!(queries.iter().all(|query| query["errors"] == json!({})), "{queries:#?}");
    assert!(queries.iter().any(|query| query["query"] == "reads"), "{queries:#?}");
    // Its plans are logged all the same, and its arms set what a superuser may.
    let who = queries.iter().filter(|query| query["query"] == "who");
    assert!(who.clone().count() == 2, "{queries:#?}");
    assert!(who.clone().all(|query| query["plan"]["logged"].as_u64() > Some(0)), "{queries:#?}");
    let reads_files =
        OWN_SERVER.replace("SELECT count(*) FROM {table}", "SELECT pg_read_file('x')");
    let ended = on_its_own_server(&reads_files).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let denied =
        "query `reads`: failed to prepare the query: permission denied for function pg_read_file";
    assert!(ended.stderr.contains(denied), "{}", ended.stderr);
}
