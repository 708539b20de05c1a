//! Limits of the role, usual on managed servers, end no session of strom-load's: they are for the
//! queries of people.

use crate::support::{Database, Program, scratch};

/// A role with every limit set to little.
async fn limited(database: &Database) -> String {
    let role = format!("limited_{}", database.name);
    let limits = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
    let limits = limits.map(|limit| format!("ALTER ROLE {role} SET {limit} = '150ms';")).concat();
    let sql = format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}; {limits} \
         ALTER ROLE {role} SET idle_session_timeout = '500ms'"
    );
    database.execute(&sql).await;
    role
}

#[tokio::test]
async fn a_run_with_readers_and_its_audit_go_on() {
    let database = Database::create().await;
    let role = limited(&database).await;
    let address = database.address_of(&role);
    let run = async |more: &[&str]| {
        let mut args =
            vec!["--database-url", &*address, "--output", "out", "--metrics-addr", "off"];
        args.extend(["--partitions", "2", "--warmup", "0s", "--duration", "1s"]);
        args.extend(more);
        let ended = Program::start(&args).end().await;
        let result = ended.done();
        assert_eq!(result["stream"]["errors"], serde_json::json!({}), "{}", ended.stderr);
        assert_eq!(result["stream"]["recovery"], serde_json::Value::Null);
        ended
    };
    // The audit of so many rows takes longer than the role's limit.
    let fast = ["--rate", "max", "--readers", "0"];
    let ended = run(&fast).await;
    let found = &ended.result()["stream"]["rows_found"];
    assert!(found.as_i64().unwrap() >= 100_000, "{found}");
    // So does the search for the highest id.
    run(&fast).await;
    let folder = ended.work().join("out").display().to_string();
    let verify = ["verify", &*folder, "--database-url", &*address];
    let verified = Program::start_in(scratch(), &verify, &[]).end().await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    // A reader has the profile's limit, and may sit idle: each asks every four seconds.
    let idle = ["--rate", "10", "--query-rate", "0.5", "--readers", "2", "--table", "idle"];
    let ended = Program::start(
        &[
            &["--database-url", &*address, "--output", "out", "--metrics-addr", "off"][..],
            &["--partitions", "1", "--warmup", "0s", "--duration", "5s"],
            &idle,
        ]
        .concat(),
    );
    let result = ended.end().await.done();
    for query in result["queries"].as_array().unwrap() {
        assert_eq!(query["errors"], serde_json::json!({}), "{query}");
    }
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn tables_are_filled_and_read_back() {
    let database = Database::create().await;
    let role = limited(&database).await;
    let folder = scratch();
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/l40s_sales_large.toml");
    let address = database.address_of(&role);
    let args = ["fill", profile, "--rows", "500k", "--verify", "--database-url", &address];
    let ended = Program::start_in(folder, &args, &[]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("500,000 rows"), "{}", ended.stdout);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// Nor does a setting that quotes the names of types, nor a right that is given by column.
#[tokio::test]
async fn settings_and_rights_that_look_otherwise_are_no_reason_to_refuse() {
    let database = Database::create().await;
    let role = format!("quoting_{}", database.name);
    let sql = format!(
        "CREATE ROLE {role} LOGIN; ALTER ROLE {role} SET quote_all_identifiers = on; \
         CREATE TABLE own (id bigint PRIMARY KEY, t text, other int); \
         GRANT INSERT (id, t), SELECT ON own TO {role}"
    );
    database.execute(&sql).await;
    let folder = scratch();
    let path = folder.path().join("own.toml").display().to_string();
    let profile = "warmup_s = 0\nduration_s = 1\n[stream]\ntable = 'own'\nrows_per_s = 100\ncolumns = [\
                   { name = 'id', type = 'bigint', values = 'row_id' }, \
                   { name = 't', type = 'text', values = { label = { prefix = 'a', min = 1, max = 9 } } }]\n";
    std::fs::write(&path, profile).unwrap();
    let address = database.address_of(&role);
    let check = ["check", &*path, "--database-url", &*address];
    let ended = Program::start(&check).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let run =
        ["run", &*path, "--database-url", &*address, "--metrics-addr", "off", "--output", "out"];
    let result = Program::start(&run).end().await.done();
    assert_eq!(result["stream"]["rows_found"], 100);
}
