//! Queries that write beside a stream, and several statements in one transaction: on a real server, with what
//! the audit then says.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

const SHORT: [&str; 4] = ["--duration", "1s", "--warmup", "0s"];

/// Runs a profile of a stream with these queries, in a folder that has a file of statements.
async fn run(database: &Database, readers: &str, args: &[&str]) -> Ended {
    let folder = scratch();
    let path = folder.path().join("writers.toml");
    let stream = "[stream]\nrows_per_s = 500\npartitions = 1\n[readers]\ncount = 2\n";
    fs::write(&path, [stream, readers].concat()).unwrap();
    fs::write(folder.path().join("move.sql"), MOVE).unwrap();
    let address = database.address();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    all.extend(SHORT);
    all.extend(args);
    Program::start_in(folder, &all, &[]).end().await
}

fn query(name: &str, more: &str) -> String {
    format!("[[readers.queries]]\nname = '{name}'\n{more}\n")
}

fn of<'r>(result: &'r Value, name: &str) -> &'r Value {
    let queries = result["queries"].as_array().unwrap();
    queries.iter().find(|query| query["query"] == name).unwrap()
}

const MOVE: &str = "-- what is taken from one account goes to the log\n\
    UPDATE accounts SET balance = balance - :amount WHERE id = :account;\n\
    INSERT INTO log VALUES (:account, :amount, txid_current());\n\
    SELECT balance FROM accounts WHERE id = :account;\n";

const PARAMETERS: &str = "parameters = { account = { type = 'integer', values = { integer = { min = 1, max = 50 } } }, \
     amount = { type = 'integer', values = { integer = { min = 1, max = 9 } } } }";

const TABLES: &str = "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0); \
     INSERT INTO accounts SELECT generate_series(1, 50); \
     CREATE TABLE log (account int, amount int, xid bigint)";

#[tokio::test]
async fn statements_are_one_transaction_with_times_of_its_own() {
    let database = Database::create().await;
    database.execute(TABLES).await;
    let each = |protocol: &str| {
        let writes = "sql_file = 'move.sql'\nwrites = true\nchanges = []\n";
        query(protocol, &format!("{writes}protocol = '{protocol}'\n{PARAMETERS}"))
    };
    let reads = query("reads", "statements = ['SELECT count(*) FROM {table}', 'SELECT 1;']");
    let readers = ["simple", "extended", "prepared"].map(each).concat() + &reads;
    let ended = run(&database, &readers, &[]).await;
    let result = ended.done();
    let mut committed = 0;
    for name in ["simple", "extended", "prepared"] {
        let own = of(&result, name);
        assert_eq!((&own["errors"], &own["arm"]), (&json!({}), &json!("cpu")), "{own}");
        committed += own["executions"].as_i64().unwrap();
        let statements = own["statements"].as_array().unwrap();
        let texts: Vec<&str> = statements.iter().map(|one| one["sql"].as_str().unwrap()).collect();
        assert_eq!((texts.len(), texts[0], texts[4]), (5, "BEGIN", "COMMIT"));
        assert!(texts[1].starts_with("UPDATE accounts"), "{texts:?}");
        let mean = |of: &Value| of["mean_ms"].as_f64().unwrap();
        let parts: f64 = statements.iter().map(|one| mean(&one["service"])).sum();
        let whole = mean(&own["service"]);
        assert!(parts <= whole * 1.01 && parts > whole * 0.5, "{parts} of {whole}");
        assert_eq!(statements[1]["service"]["count"], own["service"]["count"]);
        assert_eq!(own["plan"], Value::Null);
    }
    assert!(committed >= 3, "{committed}");
    let log = database.number("SELECT count(*) FROM log").await;
    // One that is cut off at the end may be committed all the same.
    assert!((committed..=committed + 2).contains(&log), "{log} for {committed}");
    // Each has its values once, and its transaction to itself.
    let moved = "SELECT (SELECT sum(amount) FROM log) + (SELECT sum(balance) FROM accounts)";
    assert_eq!(database.number(moved).await, 0);
    let alone = "SELECT count(*) - count(DISTINCT xid) FROM log";
    assert_eq!(database.number(alone).await, 0);
    assert!(of(&result, "reads")["executions"].as_i64() > Some(0), "{result}");
    for said in ["COMMIT: p50 ", "each acknowledged row is there as sent\n"] {
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn an_error_in_a_statement_undoes_the_others_and_is_a_failed_execution() {
    let database = Database::create().await;
    database.execute(TABLES).await;
    let broken = "statements = [\"INSERT INTO log VALUES (1, 1, 1)\", \"SELECT 1 / (count(*) - count(*)) FROM log\"]\n\
                  writes = true\nchanges = []";
    let ended = run(&database, &query("broken", broken), &[]).await;
    assert_eq!(ended.code, Some(6), "{}{}", ended.stdout, ended.stderr);
    let result = ended.result();
    let own = of(&result, "broken");
    assert_eq!(own["executions"], 0);
    assert!(own["errors"]["22012"].as_u64() > Some(1), "{own}");
    assert_eq!(database.number("SELECT count(*) FROM log").await, 0);
    // What cannot work is refused before the run, with its place.
    let wrong = "statements = [\"SELECT 1\", '''\nSELECT balanse\nFROM accounts''']";
    let ended = run(&database, &query("wrong", wrong), &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("column \"balanse\" does not exist"), "{}", ended.stderr);
    assert!(ended.stderr.contains("writers.toml:9"), "{}", ended.stderr);
    let writes = "statements = [\"SELECT 1\", \"DELETE FROM log\"]";
    let ended = run(&database, &query("writes", writes), &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("`writes = true`"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_query_that_reads_stays_read_only_beside_one_that_writes() {
    let database = Database::create().await;
    database.execute(TABLES).await;
    database
        .execute(
            "CREATE FUNCTION hidden() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (7, 7, 7); SELECT 1'",
        )
        .await;
    let readers = [
        query("w", "sql = 'INSERT INTO log VALUES (1, 1, 1)'\nwrites = true\nchanges = []"),
        query("h", "sql = 'SELECT hidden()'"),
        query("r", "sql = 'SELECT count(*) FROM log'"),
    ];
    let ended = run(&database, &readers.concat(), &["--query-rate", "40"]).await;
    let result = ended.result();
    assert!(of(&result, "w")["executions"].as_i64() > Some(1), "{result}");
    assert!(of(&result, "r")["executions"].as_i64() > Some(1), "{result}");
    assert!(of(&result, "h")["errors"]["25006"].as_u64() > Some(1), "{}", of(&result, "h"));
    for name in ["w", "r"] {
        assert_eq!(of(&result, name)["errors"], json!({}), "{result}");
    }
    assert_eq!(database.number("SELECT count(*) FROM log WHERE account = 7").await, 0);
}

const UPDATE: &str =
    "sql = 'UPDATE {table} SET amount = 0 WHERE id % 3 = 0 AND amount <> 0'\nwrites = true";
const DELETE: &str = "sql = 'DELETE FROM {table} WHERE id % 7 = 0'\nwrites = true";

#[tokio::test]
async fn the_audit_proves_what_writers_may_not_have_changed() {
    // What they change, what the exit code is, and what is said.
    let cases = [
        (UPDATE, "changes = ['amount']", 0, "but for the columns that readers may change: amount"),
        (UPDATE, "changes = ['category']", 5, "THE TABLE IS NOT WHAT WAS SENT"),
        (UPDATE, "", 0, "and nobody says what: that each row is as sent is not known"),
        (
            DELETE,
            "changes = 'rows'",
            0,
            "readers delete or add rows (w): that each acknowledged row",
        ),
        (DELETE, "changes = ['amount']", 5, "lost, first rows"),
        (DELETE, "", 6, "so it is not known whose doing that is"),
    ];
    let each = cases.map(async |(sql, changes, code, said)| {
        let database = Database::create().await;
        let ended = run(&database, &query("w", &format!("{sql}\n{changes}")), &[]).await;
        let at = format!("{changes}\n{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(code), "{at}");
        assert!(ended.stdout.contains(said), "{at}");
        assert!(
            of(&ended.result(), "w")["rows"] == 0
                && of(&ended.result(), "w")["errors"] == json!({})
        );
        // A look at it later says the same, or that nobody can tell.
        let folder = ended.work().join("out");
        let address = database.address();
        let args = ["verify", folder.to_str().unwrap(), "--database-url", &address];
        let verified = Program::start(&args).end().await;
        let at = format!("{changes}\n{}{}", verified.stdout, verified.stderr);
        match (changes, code) {
            (_, 5) => assert_eq!(verified.code, Some(5), "{at}"),
            ("changes = ['amount']", _) => {
                assert_eq!(verified.code, Some(0), "{at}");
                assert!(verified.stdout.contains(said), "{at}");
            }
            _ => {
                assert_eq!(verified.code, Some(2), "{at}");
                assert!(verified.stderr.contains("not to be found as they were sent"), "{at}");
            }
        }
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_conflict_is_counted_as_what_it_is_and_tried_no_more() {
    let database = Database::create().await;
    database.execute(TABLES).await;
    let name = &database.name;
    let isolation =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    database.execute(&isolation).await;
    let hot = "statements = ['SELECT balance FROM accounts WHERE id = 1', \
               'UPDATE accounts SET balance = balance + 1 WHERE id = 1']\nwrites = true\nchanges = []";
    let ended = run(&database, &query("hot", hot), &["--readers", "4"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let result = ended.result();
    let own = of(&result, "hot");
    let (conflicts, done) = (own["errors"]["40001"].as_i64(), own["executions"].as_i64().unwrap());
    assert!(conflicts > Some(0), "{own}");
    let balance = database.number("SELECT balance FROM accounts WHERE id = 1").await;
    assert!((done..=done + 4).contains(&balance), "{balance} for {done}");
}
