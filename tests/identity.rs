//! Rows that are told apart by a UUID or by a text around their number: as sure as by the number itself.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Database, Ended, Program, scratch, shared};

const UUID: &str = r#"{ name = "id", type = "uuid", values = "row_id" }"#;
/// With what means something in a regular expression, in SQL, and in a form with placeholders.
const TEXT: &str =
    r#"{ name = "id", type = "varchar(60)", values = { pattern = "it's [{row_id}]+\\d" } }"#;
const TEXT_PREFIX: &str = "it's [";
/// A text as people have them.
const ORDER: &str = r#"{ name = "id", type = "text", values = { pattern = "order-{row_id}" } }"#;

/// A profile of 1,200 rows with this column, and these keys of a stream.
fn profile(identity: &str, more: &str) -> String {
    format!(
        "warmup_s = 0\nduration_s = 1\n[stream]\ntable = \"told\"\nrows_per_s = 1200\n{more}\ncolumns = [\n{identity},\n\
         {{ name = \"size\", type = \"integer\", values = {{ integer = {{ min = 1, max = 9 }} }} }},\n\
         {{ name = \"at\", type = \"timestamptz\", values = \"due_time\" }},\n]\n[readers]\ncount = 0\n"
    )
}

fn start(database: &Database, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let file = folder.path().join("told.toml");
    fs::write(&file, profile).unwrap();
    let (address, file) = (database.address(), file.display().to_string());
    let usual =
        ["run", &file, "--database-url", &address, "--output", "out", "--metrics-addr", "off"];
    Program::start_in(folder, &[&usual[..], args].concat(), &[])
}

async fn run(database: &Database, profile: &str, args: &[&str]) -> Ended {
    start(database, profile, args).end().await
}

async fn verify_in(database: &Database, results: &Path) -> Ended {
    let (results, address) = (results.to_str().unwrap(), database.address());
    Program::start(&["verify", results, "--database-url", &address]).end().await
}

async fn verify(database: &Database, ended: &Ended) -> Ended {
    verify_in(database, &ended.work().join("out")).await
}

/// Has 1,200 rows of a run verified.
async fn is_right(database: &Database, ended: &Ended) -> Value {
    let result = ended.done();
    assert_eq!(result["stream"]["rows_found"], 1200, "{}", ended.stdout);
    let verified = verify(database, ended).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("1,200 read back"), "{}", verified.stdout);
    assert!(verified.stdout.contains("and no other"), "{}", verified.stdout);
    result
}

/// Has what is wrong with the rows of a run found.
async fn is_found(database: &Database, ended: &Ended, plant: &str, findings: &[&str]) {
    database.execute(plant).await;
    let found = verify(database, ended).await;
    assert_eq!(found.code, Some(5), "{plant}: {}{}", found.stdout, found.stderr);
    for finding in findings {
        assert!(found.stdout.contains(finding), "{plant}: {finding}\n{}", found.stdout);
    }
}

/// The UUID of a run's row, as its documentation says.
fn uuid(run: &str, partition: u16, number: u64) -> String {
    let groups: Vec<&str> = run.split('-').collect();
    let fourth = u16::from_str_radix(groups[3], 16).unwrap() & 0xfc00 | partition;
    assert_eq!(&groups[2][..1], "7", "{run} begins with its moment");
    format!("{}-{}-8{}-{fourth:04x}-{number:012x}", groups[0], groups[1], &groups[2][1..])
}

#[tokio::test]
async fn rows_are_told_apart_by_uuids() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE told (id uuid PRIMARY KEY, size integer, at timestamptz, note text DEFAULT 'n'); \
             INSERT INTO told (id) SELECT gen_random_uuid() FROM generate_series(1, 500); \
             INSERT INTO told (id) VALUES ('00000000-0000-0000-0000-000000000000'), \
             ('ffffffff-ffff-ffff-ffff-ffffffffffff'), ('00000000-0000-8000-8000-000000000001')",
        )
        .await;
    let first = run(&database, &profile(UUID, ""), &["--connections", "5"]).await;
    let result = is_right(&database, &first).await;
    let run_id = result["run_id"].as_str().unwrap();
    let lanes = result["stream"]["partitions"].as_array().unwrap();
    assert_eq!((&lanes[1]["first_id"], &lanes[1]["id_step"]), (&2.into(), &5.into()));
    let form = uuid(run_id, 0, 0).replace("-000000000000", "-{row_id:x}");
    assert_eq!(lanes[1]["id_form"], Value::from(form));
    // All of them, in the order in which they were due.
    let own = |run: &str| format!("id BETWEEN '{}' AND '{}'", uuid(run, 0, 1), uuid(run, 0, 1200));
    let ordered = |run: &str| {
        format!(
            "SELECT count(*), count(*) FILTER (WHERE at < before) FROM (SELECT at, lag(at) OVER \
             (ORDER BY id) AS before FROM told WHERE {}) AS own",
            own(run)
        )
    };
    assert_eq!(database.rows(&ordered(run_id)).await, [["1200", "0"]]);
    // Whoever comes next counts anew, and is told apart by the run.
    let second = run(&database, &profile(UUID, ""), &["--connections", "2"]).await;
    let result = is_right(&database, &second).await;
    let next_id = result["run_id"].as_str().unwrap();
    assert_eq!(database.rows(&ordered(next_id)).await, [["1200", "0"]]);
    assert!(uuid(run_id, 0, 1) < uuid(next_id, 0, 1), "{run_id} {next_id}");
    is_right(&database, &first).await;
    assert_eq!(database.number("SELECT count(*) FROM told").await, 2_903);

    let lost = uuid(run_id, 0, 7);
    is_found(
        &database,
        &first,
        &format!("DELETE FROM told WHERE id = '{lost}'"),
        &[&format!("lane 1: 1 lost, first rows 1..=1 (ids {lost}..={lost}, 5 apart)")],
    )
    .await;
    let altered = format!("UPDATE told SET size = size + 1 WHERE id = '{}'", uuid(run_id, 0, 1));
    is_found(
        &database,
        &first,
        &altered,
        &["lane 1: 1 lost", "lane 0: 1 altered, first rows 0..=0"],
    )
    .await;
    is_right(&database, &second).await;
}

#[tokio::test]
async fn rows_are_told_apart_by_texts() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE told (id varchar(60) PRIMARY KEY, size integer, at timestamptz); \
             INSERT INTO told (id) SELECT 'it''s [' || i || ']+\\d' FROM generate_series(1, 41) i; \
             INSERT INTO told (id) SELECT unnest(ARRAY['', 'it''s [', 'it''s []+\\d', 'it''s [x]+\\d', \
             'it''s [0077]+\\d', 'it''s [99999999999999999999999]+\\d', 'it''s [50000]+\\d ', 'it''s [50000]+5', \
             'IT''S [50000]+\\d', 'it''s [-5]+\\d', '50000', E'it''s [50000]+\\\\d\\n'])",
        )
        .await;
    let first = run(&database, &profile(TEXT, ""), &["--connections", "4"]).await;
    let result = is_right(&database, &first).await;
    let lanes = &result["stream"]["partitions"];
    assert_eq!(
        (&lanes[3]["first_id"], &lanes[3]["id_form"]),
        (&45.into(), &"it's [{row_id}]+\\d".into())
    );
    let numbers = "SELECT count(*), min(n), max(n) FROM (SELECT replace(replace(id, 'it''s [', ''), ']+\\d', '')::int \
                   AS n FROM told WHERE at IS NOT NULL) AS own";
    assert_eq!(database.rows(numbers).await, [["1200", "42", "1241"]]);
    let second = run(&database, &profile(TEXT, ""), &[]).await;
    is_right(&database, &second).await;
    assert_eq!(database.rows(numbers).await, [["2400", "42", "2441"]]);
    is_right(&database, &first).await;
    is_found(
        &database,
        &first,
        "DELETE FROM told WHERE id = 'it''s [50]+\\d'",
        &[&format!("lane 0: 1 lost, first rows 2..=2 (ids {TEXT_PREFIX}50]+\\d..={TEXT_PREFIX}50]+\\d, 4 apart)")],
    )
    .await;
    is_found(
        &database,
        &first,
        "UPDATE told SET at = at + interval '1 microsecond' WHERE id = 'it''s [43]+\\d'",
        &["lane 0: 1 lost", "lane 1: 1 altered, first rows 0..=0"],
    )
    .await;
    is_right(&database, &second).await;
}

#[tokio::test]
async fn doubled_rows_are_found_where_no_index_keeps_them_out() {
    for (identity, sql_type) in [(UUID, "uuid"), (ORDER, "text")] {
        let database = Database::create().await;
        let table = format!("CREATE TABLE told (id {sql_type}, size integer, at timestamptz)");
        database.execute(&table).await;
        let ended = run(&database, &profile(identity, ""), &["--connections", "1"]).await;
        is_right(&database, &ended).await;
        let twice = "INSERT INTO told SELECT * FROM told ORDER BY at LIMIT 3";
        is_found(&database, &ended, twice, &["3 doubled, first rows 0..=2"]).await;
    }
}

#[tokio::test]
async fn partitions_have_uuids_of_their_own_in_one_unique_index() {
    let database = Database::create().await;
    let keyed =
        format!("{UUID}, {{ name = \"part\", type = \"integer\", values = \"partition\" }}");
    let args = ["--partitions", "3", "--connections", "6"];
    let ended = run(&database, &profile(&keyed, ""), &args).await;
    let result = is_right(&database, &ended).await;
    let run_id = result["run_id"].as_str().unwrap();
    let found = database
        .rows("SELECT count(*), min(id::text), max(id::text) FROM told GROUP BY part ORDER BY part")
        .await;
    for (part, own) in (0..).zip(&found) {
        assert_eq!(own[..], ["400".to_owned(), uuid(run_id, part, 1), uuid(run_id, part, 400)]);
    }
    // A row in another partition than its UUID says is none of either.
    let moved = format!("UPDATE told SET part = 1 WHERE id = '{}'", uuid(run_id, 0, 5));
    is_found(&database, &ended, &moved, &["lane 0: 1 lost, first rows 2..=2"]).await;
}

#[tokio::test]
async fn rows_on_another_server_are_read_back_by_their_identities() {
    for (identity, sql_type) in [(UUID, "uuid"), (ORDER, "text")] {
        let (database, far) = (Database::create().await, Database::create().await);
        let columns = format!("id {sql_type}, size integer, at timestamptz");
        far.execute(&format!("CREATE TABLE there ({columns}, UNIQUE (id))")).await;
        let server = shared();
        database
            .execute(&format!(
                "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw \
                 OPTIONS (host '127.0.0.1', port '{}', dbname '{}', batch_size '100'); \
                 CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password '{}'); \
                 CREATE FOREIGN TABLE told ({columns}) SERVER far OPTIONS (table_name 'there')",
                server.port, far.name, server.password
            ))
            .await;
        let ended = run(&database, &profile(identity, ""), &["--connections", "3"]).await;
        is_right(&database, &ended).await;
        let lost = "DELETE FROM told WHERE at = (SELECT max(at) FROM told)";
        is_found(&database, &ended, lost, &["1 lost"]).await;
    }
}

#[tokio::test]
async fn the_rows_of_a_killed_loader_are_told_from_those_of_the_next_one() {
    let database = Database::create().await;
    // Rows that say nothing of when they were due.
    let profile = profile(UUID, "")
        .replace("\"due_time\"", "{ timestamp = { min = \"2026-01-01\", max = \"2026-01-02\" } }");
    let loader = start(&database, &profile, &["--duration", "forever"]);
    database.until("SELECT to_regclass('told') IS NOT NULL").await;
    database.until("SELECT count(*) > 3000 FROM told").await;
    loader.signal(Signal::KILL);
    let killed = loader.end().await;
    let gone = "SELECT count(*) = 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'strom-load%'";
    database.until(gone).await;
    let rows = database.number("SELECT count(*) FROM told").await;
    let next = run(&database, &profile, &[]).await;
    is_right(&database, &next).await;
    let verified = verify(&database, &killed).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(!verified.stdout.contains("later run"), "{}", verified.stdout);
    // All that was there is this one's, proven or not.
    let number = |words: &str| -> i64 {
        let before = verified.stdout.split(words).next().unwrap();
        before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
    };
    assert_eq!(
        number(" read back") + number(" more: the loader was killed"),
        rows,
        "{}",
        verified.stdout
    );
    // To the last row, though another run has come.
    let run_id = killed.result()["run_id"].as_str().unwrap().to_owned();
    let last = format!(
        "UPDATE told SET size = size + 1 WHERE id = (SELECT id FROM told WHERE id < '{}' ORDER BY id DESC LIMIT 1)",
        uuid(&run_id, 1, 0)
    );
    is_found(&database, &killed, &last, &["1 altered"]).await;
    // Moved to a database where nothing but the rows says whose they are.
    let elsewhere = Database::create().await;
    elsewhere.execute("CREATE TABLE told (id uuid, size integer, at timestamptz)").await;
    let refused = verify(&elsewhere, &next).await;
    assert_eq!(refused.code, Some(3), "{}{}", refused.stdout, refused.stderr);
    let copy = database.copy_out("COPY told TO STDOUT (FORMAT binary)").await;
    elsewhere.copy_in("COPY told FROM STDIN (FORMAT binary)", copy).await;
    let found = verify(&elsewhere, &next).await;
    assert_eq!(found.code, Some(0), "{}{}", found.stdout, found.stderr);
    assert!(found.stdout.contains("but it holds the run's rows"), "{}", found.stdout);
}

#[tokio::test]
async fn readers_elsewhere_see_how_far_the_rows_have_come() {
    for (identity, sql_type) in [(UUID, "uuid"), (ORDER, "text")] {
        let (database, other) = (Database::create().await, Database::create().await);
        let server = shared();
        let columns = format!("id {sql_type}, size integer, at timestamptz");
        database.execute(&format!("CREATE TABLE told ({columns})")).await;
        other
            .execute(&format!(
                "CREATE EXTENSION postgres_fdw; CREATE SERVER near FOREIGN DATA WRAPPER postgres_fdw \
                 OPTIONS (host '127.0.0.1', port '{}', dbname '{}'); \
                 CREATE USER MAPPING FOR CURRENT_USER SERVER near OPTIONS (user 'postgres', password '{}'); \
                 CREATE FOREIGN TABLE told ({columns}) SERVER near",
                server.port, database.name, server.password
            ))
            .await;
        let readers = "[readers]\ncount = 1\n[[readers.queries]]\nname = \"counted\"\nsql = \"SELECT count(*) FROM {table}\"\n";
        let profile = profile(identity, "").replace("[readers]\ncount = 0\n", readers);
        let url = other.url(&format!("postgres:{}", server.password));
        let args = ["--duration", "4s", "--connections", "2", "--readers-url", &url];
        let ended = run(&database, &profile, &args).await;
        let result = ended.done();
        assert_eq!(result["readers"]["freshness_by"], "rows", "{}", ended.stderr);
        let age = &result["queries"][0]["answer_age"];
        let median = age["p50_ms"].as_f64().unwrap_or_else(|| panic!("{result}: {}", ended.stderr));
        // Were no row seen, the age would be that of the run.
        assert!((0.0..1_500.0).contains(&median), "{age}");
    }
}

#[tokio::test]
async fn what_a_uuid_or_a_text_cannot_do_is_said() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE told (id text, size integer, at timestamptz); \
             INSERT INTO told VALUES ('order-999999999999999999')",
        )
        .await;
    let full = run(&database, &profile(ORDER, ""), &[]).await;
    assert_eq!(full.code, Some(3), "{}", full.stderr);
    assert!(full.stderr.contains("which leaves no room above it"), "{}", full.stderr);
    let wrong_type = run(&database, &profile(UUID, ""), &[]).await;
    assert_eq!(wrong_type.code, Some(3), "{}", wrong_type.stderr);
    assert!(wrong_type.stderr.contains("column id is text, not uuid"), "{}", wrong_type.stderr);
    // Nothing identifies where a text is more than the number, or may be NULL.
    for column in [
        ORDER.replace("{row_id}", "{row_id}-{hex:2}"),
        ORDER.replace("type = \"text\"", "type = \"text\", null_ratio = 0.5"),
        ORDER.replace("type = \"text\"", "type = \"char(60)\""),
    ] {
        let refused = run(&database, &profile(&column, ""), &[]).await;
        assert_eq!(refused.code, Some(2), "{column}: {}", refused.stderr);
        assert!(refused.stderr.contains("rows cannot be told apart"), "{}", refused.stderr);
    }
    let file = scratch();
    let path = file.path().join("tables.toml");
    let table = "[[tables]]\nname = \"t\"\nrows = 5\n[[tables.columns]]\nname = \"id\"\ntype = \"uuid\"\nvalues = \"row_id\"\n";
    fs::write(&path, table).unwrap();
    let refused = Program::start(&["check", path.to_str().unwrap()]).end().await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("only the rows of a stream have a `row_id` that is a `uuid`"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn tables_with_such_keys_are_drafted_with_them() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE by_uuid (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), size integer NOT NULL); \
             INSERT INTO by_uuid (size) SELECT i % 9 FROM generate_series(1, 2000) i; \
             CREATE TABLE by_text (\"Code\" varchar(30) PRIMARY KEY, size integer NOT NULL); \
             INSERT INTO by_text SELECT 'secret ' || i, i % 9 FROM generate_series(1, 2000) i; \
             CREATE TABLE by_short (code varchar(20) PRIMARY KEY, size integer NOT NULL); \
             INSERT INTO by_short SELECT 'secret ' || i, i % 9 FROM generate_series(1, 2000) i; \
             ANALYZE",
        )
        .await;
    for (table, is_in, is_not) in [
        (
            "by_uuid",
            [
                "values = \"row_id\"",
                "nique: tells the rows apart",
                "come in no order, here one behind the other",
            ],
            "identity =",
        ),
        (
            "by_text",
            [
                "values = { pattern = \"Code_{row_id}\" }",
                "nique: tells the rows apart",
                "[readers]",
            ],
            "secret",
        ),
        (
            "by_short",
            ["identity = \"none\"", "No column tells the rows apart", "[readers]"],
            "secret",
        ),
    ] {
        let drafted = ["profile", "from-table", table, "--database-url", &database.address()];
        let drafted = Program::start(&drafted).end().await;
        assert_eq!(drafted.code, Some(0), "{}", drafted.stderr);
        let text = drafted.stdout;
        assert!(is_in.iter().all(|part| text.contains(part)) && !text.contains(is_not), "{text}");
        let before = database.number(&format!("SELECT count(*) FROM {table}")).await;
        let ended =
            run(&database, &text, &["--duration", "1s", "--warmup", "0s", "--rate", "1200"]).await;
        let result = ended.done();
        assert_eq!(result["stream"]["rows_found"], 1200, "{}", ended.stderr);
        assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")).await, before + 1200);
        if table != "by_short" {
            is_right(&database, &ended).await;
        }
    }
}
