//! What is the user's stays as it was: tables that strom-load did not make, on a real server.

use crate::support::{Database, Ended, Program};

const COLUMNS: &str = "id bigint, category text, region text, amount numeric(15, 2), \
                       gpu_partition integer, created_at timestamptz";

/// A run of a second into a table.
async fn stream(database: &Database, table: &str, more: &[&str]) -> Ended {
    let mut args = vec!["--table", table, "--rate", "300", "--duration", "1s", "--warmup", "0s"];
    args.extend(["--readers", "0", "--partitions", "2"]);
    args.extend(more);
    Program::run(database, &args).end().await
}

/// What a run that must not begin says, without the levels of its log.
async fn refused(database: &Database, table: &str, more: &[&str]) -> String {
    let ended = stream(database, table, more).await;
    assert_eq!(ended.code, Some(3), "{table} {more:?}: {}", ended.stderr);
    let (_, error) = ended.stderr.split_once("error: ").unwrap();
    format!("{table} {}\n{error}", more.join(" "))
}

#[tokio::test]
async fn a_table_of_the_users_is_dropped_only_when_it_is_named() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "CREATE SCHEMA shop; \
             CREATE TABLE shop.customers (id int PRIMARY KEY); \
             CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY, note jsonb, \
             customer int REFERENCES shop.customers); \
             CREATE TABLE shop.precious (x int); \
             INSERT INTO shop.precious SELECT generate_series(1, 1000); \
             COMMENT ON TABLE shop.precious IS 'the accounts'; \
             CREATE VIEW shop.seen AS SELECT * FROM shop.precious; \
             CREATE SEQUENCE shop.counted; \
             CREATE TABLE shop.old ({COLUMNS}) PARTITION BY LIST (gpu_partition); \
             CREATE TABLE shop.old_p0 PARTITION OF shop.old FOR VALUES IN (0); \
             INSERT INTO shop.old VALUES (1, 'c', 'r', 1, 0, now())"
        ))
        .await;
    let shape = "SELECT oid, relname, relkind, obj_description(oid, 'pg_class') FROM pg_class \
                 WHERE relnamespace = 'shop'::regnamespace ORDER BY oid";
    let before = database.rows(shape).await;
    let mut refusals = Vec::new();
    let all = ["shop.orders", "shop.precious", "shop.seen", "shop.counted", "pg_catalog.pg_class"];
    for table in all.into_iter().chain(["information_schema.tables"]) {
        let without = refused(&database, table, &[]).await;
        // Never advised for what is not ours.
        assert!(!without.contains("--recreate"), "{without}");
        refusals.push(refused(&database, table, &["--recreate"]).await);
    }
    for table in ["shop.seen", "shop.counted", "pg_catalog.pg_class"] {
        let named = format!("--recreate={table}");
        refusals.push(refused(&database, table, &[&named]).await);
    }
    // One of strom-load 0.1 looks like this.
    refusals.push(refused(&database, "shop.old", &["--recreate"]).await);
    assert_eq!(database.rows(shape).await, before);
    assert_eq!(database.number("SELECT count(*) FROM shop.precious").await, 1000);
    // Something depends on it.
    refusals.push(refused(&database, "shop.precious", &["--recreate=shop.precious"]).await);
    database.execute("DROP VIEW shop.seen").await;
    insta::assert_snapshot!(refusals.join("\n"));

    // It is there as it was where no table of the name is there, and where it is not dropped.
    stream(&database, "shop.old", &[]).await.done();
    let comments = "SELECT count(obj_description('shop.old'::regclass))";
    assert_eq!(database.number(comments).await, 0, "a table of the user's is not marked");
    let ended = stream(&database, "shop.precious", &["--recreate=shop.precious"]).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 300);
    let said = "table shop.precious is dropped for --recreate: not made by strom-load, 1,000 rows";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[tokio::test]
async fn what_strom_load_made_is_marked_and_dropped_without_a_name() {
    let database = Database::create().await;
    stream(&database, "made", &[]).await.done();
    let marks = "SELECT string_agg(DISTINCT obj_description(relid, 'pg_class'), '; ') || count(*) \
                 FROM pg_partition_tree('made')";
    assert_eq!(database.text(marks).await, "strom-load stream {\"format\":1}3");
    // A partition of the user's would go with it.
    database
        .execute(&format!(
            "CREATE TABLE theirs ({}); INSERT INTO theirs VALUES (1, 'c', 'r', 1, 9, now()); \
             ALTER TABLE made ATTACH PARTITION theirs FOR VALUES IN (9)",
            COLUMNS.replace(", ", " NOT NULL, ").replace("15 NOT NULL, 2", "15, 2") + " NOT NULL"
        ))
        .await;
    let error = refused(&database, "made", &["--recreate"]).await;
    let expected = "strom-load did not make its partition theirs; 301 rows would go\n  fix: detach \
                    it; or, if all rows may go for good, --recreate=made";
    assert!(error.contains(expected), "{error}");
    database.execute("ALTER TABLE made DETACH PARTITION theirs").await;
    // What does not fit, but is ours, may be advised to go.
    database.execute("ALTER TABLE made DROP COLUMN region").await;
    let error = refused(&database, "made", &[]).await;
    assert!(error.contains("let --recreate drop and rebuild this one"), "{error}");
    let ended = stream(&database, "made", &["--recreate"]).await;
    assert_eq!(ended.done()["stream"]["table_created"], true);
    assert!(ended.stderr.contains("made by strom-load, 300 rows"), "{}", ended.stderr);
    assert_eq!(database.number("SELECT count(*) FROM made").await, 300);
    assert_eq!(database.number("SELECT count(*) FROM theirs").await, 1);
}
