//! Rows and queries that refer to the keys of other tables: on a real server, with what `verify` makes of them later.

use std::fs;

use serde_json::Value;

use crate::support::{Database, Ended, Program, scratch};

/// A run of a second, of rows that refer to `keys` as it is written.
async fn run(database: &Database, keys: &str, sql_type: &str) -> Ended {
    program("run", database, keys, sql_type, &RUN).await
}

const RUN: [&str; 8] =
    ["--output", "out", "--metrics-addr", "off", "--duration", "1s", "--warmup", "0s"];

async fn program(
    command: &str,
    database: &Database,
    keys: &str,
    sql_type: &str,
    args: &[&str],
) -> Ended {
    let folder = scratch();
    let path = folder.path().join("refers.toml");
    let values = format!("{{ reference = {{ {keys} }} }}");
    let profile = format!(
        "[stream]\ntable = 'refers'\nrows_per_s = 1200\nconnections = 2\n\
         columns = [{{ name = 'id', type = 'bigint', values = 'row_id' }}, \
         {{ name = 'key', type = '{sql_type}', values = {values} }}]\n\
         [readers]\ncount = 1\n[[readers.queries]]\nname = 'one'\n\
         sql = 'SELECT count(*) FROM {{table}} WHERE key = :key'\n\
         [readers.queries.parameters]\nkey = {{ type = '{sql_type}', values = {values} }}\n"
    );
    fs::write(&path, profile).unwrap();
    let address = database.address();
    let all = [&[command, path.to_str().unwrap(), "--database-url", &address], args].concat();
    Program::start_in(folder, &all, &[]).end().await
}

async fn verify(database: &Database, ended: &Ended) -> Ended {
    let folder = ended.work().join("out").display().to_string();
    Program::start(&["verify", &*folder, "--database-url", &*database.address()]).end().await
}

/// What a result says of the reference of its second column.
fn reference(result: &Value) -> Value {
    result["plan"]["stream"]["columns"][1]["values"]["reference"].clone()
}

#[tokio::test]
async fn rows_refer_to_the_keys_that_are_there_and_verify_knows_them_again() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE SCHEMA shop; CREATE TABLE shop.\"Kinds\" (code text, size integer); \
             INSERT INTO shop.\"Kinds\" VALUES ('b', 1), ('b', 2), ('', 3), (NULL, 4), ('it''s', 5), ('zz', 6); \
             CREATE TABLE refers (id bigint, key text)",
        )
        .await;
    let keys = "table = 'shop.\"Kinds\"', column = 'code'";
    let ended = run(&database, keys, "text").await;
    let result = ended.done();
    let found = "SELECT key, count(*) BETWEEN 230 AND 370 FROM refers GROUP BY key ORDER BY key COLLATE \"C\"";
    let all = ["", "b", "it's", "zz"].map(|key| [key, "t"]);
    assert_eq!(database.rows(found).await, all);
    let reference = reference(&result);
    assert_eq!(reference["last"], "zz");
    assert_eq!(reference["fingerprint"].as_str().map(str::len), Some(32));
    let parameter = &result["plan"]["readers"]["queries"][0]["parameters"]["key"];
    assert_eq!(parameter["values"]["reference"], reference);
    // Keys behind the last one do not matter, one between them does, and so does one that is gone.
    database.execute("INSERT INTO shop.\"Kinds\" VALUES ('zzz', 7)").await;
    let verified = verify(&database, &ended).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    for change in [
        "INSERT INTO shop.\"Kinds\" VALUES ('c', 8)",
        "DELETE FROM shop.\"Kinds\" WHERE code IN ('b', 'c')",
    ] {
        database.execute(change).await;
        let refused = verify(&database, &ended).await;
        assert_eq!(refused.code, Some(3), "{}{}", refused.stdout, refused.stderr);
        let says =
            "failed to read the keys of shop.\"Kinds\" (code): its keys are not what they were";
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
    // A run with the reference of that result is of those keys, or is none.
    let pinned = format!("{keys}, last = 'zz', fingerprint = {}", reference["fingerprint"]);
    let ended = run(&database, &pinned, "text").await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    database.execute("INSERT INTO shop.\"Kinds\" VALUES ('b', 9)").await;
    run(&database, &pinned, "text").await.done();
    let count = "SELECT count(*) FROM refers WHERE key > 'zz' COLLATE \"C\"";
    assert_eq!(database.number(count).await, 0);
}

#[tokio::test]
async fn what_cannot_be_referred_to_is_said_before_anything_is_created() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE customers (id bigint, name text); INSERT INTO customers VALUES (3000000000, 'a'); \
             CREATE TABLE nobody (id bigint); CREATE TABLE sizes AS SELECT 'NaN'::float8 AS size",
        )
        .await;
    for (keys, sql_type, fact) in [
        ("table = 'nowhere', column = 'id'", "bigint", "(id): there is no such table"),
        ("table = 'nobody', column = 'id'", "bigint", "(id): it has no keys"),
        ("table = 'customers', column = 'ids'", "bigint", "column \"ids\" does not exist"),
        (
            "table = 'customers', column = 'id'",
            "integer",
            "(id): the key `3000000000` is no value of type integer",
        ),
        (
            "table = 'sizes', column = 'size'",
            "double precision",
            "NaN, infinity and years before 1 are never values here: refer to a view without them",
        ),
        (
            "table = 'customers', column = 'id'",
            "varchar(3)",
            "column `key`: values have up to 10 characters, and character varying(3) holds 3",
        ),
    ] {
        let ended = run(&database, keys, sql_type).await;
        assert_eq!(ended.code, Some(3), "{keys}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(fact), "{keys}: {}", ended.stderr);
    }
    let made = "SELECT relname FROM pg_class WHERE relname IN ('refers', 'lane')";
    assert_eq!(database.rows(made).await, Vec::<Vec<String>>::new());
    // Before the table is there, `check` asks about what it can, with the keys that are there.
    for (table, code, said) in [
        ("customers", 0, "its queries need a table that is not there"),
        ("nowhere", 0, "its queries need a table that is not there"),
        ("nobody", 3, "(id): it has no keys"),
    ] {
        let keys = format!("table = '{table}', column = 'id'");
        let checked = program("check", &database, &keys, "bigint", &[]).await;
        assert_eq!(checked.code, Some(code), "{table}: {}{}", checked.stdout, checked.stderr);
        assert!(format!("{}{}", checked.stdout, checked.stderr).contains(said), "{table}");
    }
    // What `check` is asked of a server is answered with the keys, and without a server not at all.
    database.execute("CREATE TABLE refers (id bigint, key bigint)").await;
    let keys = "table = 'customers', column = 'id', pick = 'cycle'";
    let checked = program("check", &database, keys, "bigint", &[]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("the server takes 1 query: one"), "{}", checked.stdout);
    let checked =
        program("check", &database, "table = 'nobody', column = 'id'", "bigint", &[]).await;
    assert_eq!(checked.code, Some(3), "{}", checked.stdout);
}

#[tokio::test]
async fn the_profile_orders_makes_its_customers_and_its_keys_hold() {
    let database = Database::create().await;
    let address = database.address();
    let check =
        async || Program::start(&["check", "orders", "--database-url", &address]).end().await;
    let checked = check().await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("shop_orders is not there"), "{}", checked.stdout);
    let filled = Program::start(&["fill", "orders", "--database-url", &address]).end().await;
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    let profile = include_str!("../profiles/orders.toml");
    let described = profile.lines().filter_map(|line| line.strip_prefix("#     "));
    let described: Vec<&str> = described.filter(|line| !line.starts_with("strom-load")).collect();
    database.execute(&described.join("\n")).await;
    let args = ["run", "orders", "--database-url", &address, "--output", "out", "--duration", "2s"];
    let more = ["--rate", "1200", "--warmup", "0s", "--metrics-addr", "off"];
    let ended = Program::start(&[&args[..], &more].concat()).end().await;
    let result = ended.done();
    assert_eq!(result["stream"]["rows_found"], 2400);
    let queries = result["queries"].as_array().unwrap();
    let is_fine = |query: &Value| {
        query["executions"].as_u64() > Some(0) && query["errors"].as_object().unwrap().is_empty()
    };
    assert!(queries.len() == 4 && queries.iter().all(is_fine), "{queries:?}");
    // Of 10,000 customers the ten that order most have 29.9 % of the orders.
    let hot = "SELECT sum(n) FROM (SELECT count(*) AS n FROM shop_orders GROUP BY customer_id \
               ORDER BY n DESC LIMIT 10) AS hot";
    let hot = database.number(hot).await;
    assert!((600..860).contains(&hot), "{hot} of 2,400");
    let executed = |name: &str| {
        let query = queries.iter().find(|query| query["query"] == name).unwrap();
        query["executions"].as_i64().unwrap()
    };
    let counted = database.number("SELECT sum(orders) FROM shop_totals").await;
    // Those that were cut off at the end may be there, too.
    let counts = executed("count_order");
    assert!((counts..=counts + 3).contains(&counted), "{counted} {counts}");
    assert!(database.number("SELECT count(*) FROM shop_totals WHERE paid > 0").await > 0);
    let verified = verify(&database, &ended).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    for said in ["2,400 read back", "but for the columns that readers may change: status"] {
        assert!(verified.stdout.contains(said), "{}", verified.stdout);
    }
}
