//! What is bound to fail is refused before anything is created; and what need not fail does not.

use crate::support::{Database, Ended, Program};

const COLUMNS: &str = "id bigint, category text, region text, amount numeric(15,2), \
                       gpu_partition integer, created_at timestamptz";

/// A run of a second without readers, against an address.
async fn short(address: &str, args: &[&str]) -> Ended {
    Program::start(&[&SHORT[..], &["--database-url", address], args].concat()).end().await
}

const SHORT: [&str; 12] = [
    "--metrics-addr",
    "off",
    "--output",
    "out",
    "--rate",
    "300",
    "--warmup",
    "0s",
    "--duration",
    "1s",
    "--readers",
    "0",
];

/// The names of what is in a schema.
async fn relations(database: &Database, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace ORDER BY 1"
    );
    database.rows(&sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_partition_takes_a_name_that_is_free() {
    let database = Database::create().await;
    // A relation and a type: a table is both. And a partition of the user's with our name for
    // another one.
    database
        .execute(
            "CREATE TABLE orders_p0 (x int); CREATE VIEW orders_p0_1 AS SELECT 1; \
             CREATE TYPE orders_p1 AS ENUM ('a')",
        )
        .await;
    short(&database.address(), &["--table", "orders", "--partitions", "3"]).await.done();
    let partitions = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                      WHERE i.inhparent = 'orders'::regclass ORDER BY 1";
    let names: Vec<_> = database.rows(partitions).await.into_iter().flatten().collect();
    assert_eq!(names, ["orders_p0_2", "orders_p1_1", "orders_p2"]);
    assert_eq!(database.number("SELECT count(*) FROM orders").await, 300);
    database
        .execute(&format!(
            "CREATE TABLE att ({COLUMNS}) PARTITION BY LIST (gpu_partition); \
             CREATE TABLE att_p1 PARTITION OF att FOR VALUES IN (0)"
        ))
        .await;
    short(&database.address(), &["--table", "att", "--partitions", "2"]).await.done();
    assert_eq!(database.number("SELECT count(*) FROM att_p1").await, 150);
    assert_eq!(database.number("SELECT count(*) FROM att_p1_1").await, 150);
}

#[tokio::test]
async fn partitions_are_made_in_the_schema_of_their_table() {
    let database = Database::create().await;
    let table = format!("({COLUMNS}) PARTITION BY LIST (gpu_partition)");
    database
        .execute(&format!("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s2.ev {table}"))
        .await;
    let address = format!("{} options='-c search_path=s1,s2'", database.address());
    short(&address, &["--table", "ev", "--partitions", "2"]).await.done();
    assert_eq!(relations(&database, "s1").await, [""; 0]);
    assert_eq!(relations(&database, "s2").await, ["ev", "ev_p0", "ev_p1"]);
    // What is dropped is made anew where it was.
    short(&address, &["--table", "ev", "--partitions", "1", "--recreate=ev"]).await.done();
    assert_eq!(relations(&database, "s1").await, [""; 0]);
    assert_eq!(relations(&database, "s2").await, ["ev", "ev_p0"]);
}

#[tokio::test]
async fn too_few_connections_are_laid_to_whoever_sets_the_limit() {
    let database = Database::create().await;
    let role = format!("{}_few", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 4; GRANT CREATE ON SCHEMA public TO {role}"
        ))
        .await;
    let address = database.address_of(&role);
    let ended = short(&address, &["--partitions", "4"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = format!(
        "error: partitions and readers need 5 connections, but role {role} admits 4 (its CONNECTION \
         LIMIT less the sessions of others that are there)\n  fix: lower --partitions or --readers, \
         or ALTER ROLE {role} CONNECTION LIMIT …\n"
    );
    assert!(ended.stderr.ends_with(&said), "{}", ended.stderr);
    short(&address, &["--partitions", "3"]).await.done();
    database.execute("DROP TABLE l40s_realtime_stream").await;
    // A limit that leaves no room to ask.
    database.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
    let ended = short(&address, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let fix = format!("fix: raise the role's limit (ALTER ROLE {role} CONNECTION LIMIT …)");
    assert!(ended.stderr.contains(&fix), "{}", ended.stderr);
    // The database's, which is no superuser's.
    database
        .execute(&format!(
            "ALTER ROLE {role} CONNECTION LIMIT -1; \
             ALTER DATABASE {} CONNECTION LIMIT 3",
            database.name
        ))
        .await;
    let ended = short(&address, &["--partitions", "4"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let who = format!("but database {} admits 2 (", database.name);
    assert!(ended.stderr.contains(&who), "{}", ended.stderr);
    short(&database.address(), &["--partitions", "4"]).await.done();
    assert_eq!(relations(&database, "public").await.len(), 5);
}

#[tokio::test]
async fn too_few_open_files_are_known_before_the_first_connection() {
    let database = Database::create().await;
    let address = database.address();
    let args = [&SHORT[..], &["--database-url", &address, "--partitions", "60"]].concat();
    let ended = Program::start_after("ulimit -n 40", &args, &[]).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let (_, said) = ended.stderr.split_once("error: ").unwrap();
    assert!(
        said.contains("but this process may have 40\n  fix: raise the limit (ulimit -n"),
        "{said}"
    );
    assert_eq!(relations(&database, "public").await, [""; 0]);
    // A soft limit alone is raised.
    let ended = Program::start_after("ulimit -S -n 40", &args, &[]).end().await;
    assert_eq!(ended.done()["stream"]["rows_acknowledged"], 300);
}

#[tokio::test]
async fn without_any_partition_nobody_is_told_to_use_fewer() {
    let database = Database::create().await;
    let role = format!("{}_user", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; CREATE TABLE theirs ({COLUMNS}) \
             PARTITION BY LIST (gpu_partition); GRANT SELECT, INSERT ON theirs TO {role}"
        ))
        .await;
    let ended = short(&database.address_of(&role), &["--table", "theirs"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let fix = "fix: let the table's owner add it:\n  CREATE TABLE \"public\".\"theirs_p0\" PARTITION OF \
               \"public\".\"theirs\" FOR VALUES IN (0)\n";
    assert!(ended.stderr.ends_with(fix), "{}", ended.stderr);
}

#[tokio::test]
async fn an_error_that_ends_the_run_is_no_outage_that_was_recovered_from() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "CREATE TABLE bounded ({COLUMNS}, CHECK (id < 100)) PARTITION BY LIST (gpu_partition)"
        ))
        .await;
    let ended = short(&database.address(), &["--table", "bounded", "--partitions", "1"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let stream = &ended.result()["stream"];
    assert_eq!((&stream["recovery"], &stream["errors"]["23514"]), (&().into(), &1.into()));
    assert_eq!(stream["outages_unrecovered"], 1);
    assert_eq!(stream["outages"][0]["recovered"], false);
    assert!(ended.stdout.contains("\noutages     1 ended the run\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("back after"), "{}", ended.stdout);
}
