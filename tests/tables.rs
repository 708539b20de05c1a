//! The tables that a stream goes into, and how many connections share them.

use std::fs;

use crate::support::{Database, Ended, Program, scratch, shared};

/// A short run without readers and warm-up, to its end.
async fn stream(database: &Database, args: &[&str]) -> Ended {
    let usual = ["--readers", "0", "--warmup", "0s", "--duration", "1s", "--rate", "1200"];
    Program::run(database, &[&usual[..], args].concat()).end().await
}

/// What `verify` says of a run, and that it finds nothing wrong.
async fn verified(database: &Database, ended: &Ended) -> String {
    let folder = ended.work().join("out").display().to_string();
    let verify = ["verify", &*folder, "--database-url", &*database.address()];
    let verified = Program::start(&verify).end().await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    verified.stdout
}

/// A checksum of rows that does not depend on their order, nor on when they were due.
async fn checksum(database: &Database, table: &str) -> String {
    let sql = format!(
        "SELECT md5(string_agg(md5((gpu_partition, id, category, region, amount)::text), '' \
         ORDER BY gpu_partition, id)) FROM {table}"
    );
    database.text(&sql).await
}

/// The ids of each partition: how many rows, how many of them, the lowest and the highest.
async fn ids(database: &Database, table: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {table} \
         GROUP BY gpu_partition ORDER BY gpu_partition"
    );
    database.rows(&sql).await
}

#[tokio::test]
async fn connections_share_partitions_and_the_rows_stay_the_same() {
    let database = Database::create().await;
    let one_each = stream(&database, &["--partitions", "2", "--table", "one_each"]).await;
    one_each.done();
    let shared =
        stream(&database, &["--partitions", "2", "--connections", "6", "--table", "shared"]).await;
    let result = shared.done();
    assert_eq!(checksum(&database, "one_each").await, checksum(&database, "shared").await);
    let dense = ["600", "600", "1", "600"];
    assert_eq!(ids(&database, "shared").await, [dense, dense]);
    // A lane each, with its own part of the ids.
    let lanes = result["stream"]["partitions"].as_array().unwrap();
    let of = |key: &str| lanes.iter().map(|lane| lane[key].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("lane"), [0, 1, 2, 3, 4, 5]);
    assert_eq!(of("partition"), [0, 1, 0, 1, 0, 1]);
    assert_eq!(of("first_id"), [1, 1, 2, 2, 3, 3]);
    assert_eq!(of("id_step"), [3; 6]);
    assert_eq!(result["stream"]["rows_found"], 1200);
    assert_eq!(result["plan"]["stream"]["connections"], 6);
    assert!(verified(&database, &shared).await.contains("1,200 read back"));

    // Another number of them goes on behind; and not all partitions have as many.
    let more =
        stream(&database, &["--partitions", "2", "--connections", "3", "--table", "shared"]).await;
    let result = more.done();
    assert_eq!(
        ids(&database, "shared").await,
        [["1400", "1400", "1", "1400"], ["1000", "1000", "1", "1000"]]
    );
    assert_eq!(result["stream"]["audit"][2]["rows_found"], 400);
    // By now the rows behind those of the first run are another's.
    verified(&database, &shared).await;
    let owners = "SELECT count(*), count(DISTINCT run), min(epoch), max(first_id) \
                  FROM strom_load.lane WHERE relation = 'shared'::regclass";
    assert_eq!(database.rows(owners).await, [["2", "1", "2", "601"]], "a row for each partition");

    // What is lost of a lane is named with its ids.
    database.execute("DELETE FROM shared WHERE gpu_partition = 0 AND id = 603").await;
    let folder = more.work().join("out").display().to_string();
    let verify = ["verify", &*folder, "--database-url", &*database.address()];
    let found = Program::start(&verify).end().await;
    assert_eq!(found.code, Some(5), "{}", found.stdout);
    let lost = "lane 0: 1 lost, first rows 1..=1 (ids 603..=603, 2 apart)";
    assert!(found.stdout.contains(lost), "{}", found.stdout);
}

#[tokio::test]
async fn a_partition_without_a_connection_is_refused() {
    let database = Database::create().await;
    let ended = stream(&database, &["--partitions", "4", "--connections", "3"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let fact = "is 3, and each of 4 partitions needs one";
    assert!(ended.stderr.contains(fact), "{}", ended.stderr);
}

/// Columns without a partition key; a table as it is may have more.
const COLUMNS: &str = r#"
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "size", type = "integer", values = { integer = { min = 1, max = 9 } } },
    { name = "at", type = "timestamptz", values = "due_time" },
]
"#;
/// The same without an identity.
const NAMELESS: &str = r#"
identity = "none"
columns = [{ name = "size", type = "integer", values = { integer = { min = 1, max = 9 } } }]
"#;

/// Runs a profile with these columns into a table.
async fn run(database: &Database, table: &str, columns: &str, more: &[&str]) -> Ended {
    let folder = scratch();
    let file = folder.path().join("profile.toml");
    fs::write(
        &file,
        format!("warmup_s = 0\nduration_s = 1\n[stream]\nrows_per_s = 1200\n{columns}"),
    )
    .unwrap();
    let (address, file) = (database.address(), file.display().to_string());
    let mut args = vec!["run", &file, "--database-url", &address, "--output", "out"];
    args.extend(["--metrics-addr", "off", "--table", table]);
    args.extend(more);
    Program::start_in(folder, &args, &[]).end().await
}

/// Checks a run of 1,200 rows by its own word and by `verify`, and the table by SQL: ids from 1 to `last`.
async fn is_right(database: &Database, table: &str, ended: &Ended, last: i64) {
    let result = ended.done();
    let stream = &result["stream"];
    assert_eq!((&stream["rows_found"], &stream["rows_acknowledged"]), (&1200.into(), &1200.into()));
    let lanes = stream["partitions"].as_array().unwrap();
    let audited: u64 = stream["audit"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lane| lane["rows_found"].as_u64().unwrap())
        .sum();
    assert_eq!((audited, &lanes[0]["id_step"]), (1200, &lanes.len().into()), "{table}");
    assert!(verified(database, ended).await.contains("1,200 read back"), "{table}");
    let sql = format!("SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {table}");
    let last = last.to_string();
    assert_eq!(database.rows(&sql).await, [[&*last, &*last, "1", &*last]], "{table}");
}

#[tokio::test]
async fn a_table_is_taken_as_it_is() {
    let database = Database::create().await;
    // What we do not fill may be nullable, defaulted, an identity or generated.
    let columns = "id bigint, size integer NOT NULL, at timestamptz, note text, \
                   kind text NOT NULL DEFAULT 'k', own bigint GENERATED ALWAYS AS IDENTITY, \
                   twice integer GENERATED ALWAYS AS (size * 2) STORED";
    database
        .execute(&format!(
            "CREATE UNLOGGED TABLE plain ({columns}); \
             CREATE TABLE sized ({columns}) PARTITION BY RANGE (size); \
             CREATE TABLE small PARTITION OF sized FOR VALUES FROM (1) TO (4) PARTITION BY HASH (id); \
             CREATE TABLE small_0 PARTITION OF small FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
             CREATE TABLE small_1 PARTITION OF small FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
             CREATE TABLE others PARTITION OF sized DEFAULT; \
             CREATE INDEX ON sized (id)"
        ))
        .await;
    let before =
        database.rows("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') ORDER BY 1").await;
    for table in ["plain", "sized"] {
        let ended = run(&database, table, COLUMNS, &["--connections", "5"]).await;
        is_right(&database, table, &ended, 1200).await;
        // Ids follow on, with another number of connections.
        let ended = run(&database, table, COLUMNS, &["--connections", "2"]).await;
        is_right(&database, table, &ended, 2400).await;
        let filled = "SELECT count(*) FROM {t} WHERE note IS NULL AND kind = 'k' AND twice = size * 2 AND own > 0";
        assert_eq!(database.number(&filled.replace("{t}", table)).await, 2400, "{table}");
    }
    // Nothing was made in what is not ours, but the rows of owners.
    let sql = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') \
               AND relnamespace <> 'strom_load'::regnamespace ORDER BY 1";
    assert_eq!(database.rows(sql).await, before);
    let owners =
        "SELECT partition, epoch, first_id FROM strom_load.lane WHERE relation = 'plain'::regclass";
    assert_eq!(database.rows(owners).await, [["2147483647", "2", "1201"]]);

    // What an earlier run had by partitions is taken over with the whole, and the other way round.
    let keyed = COLUMNS.replace(
        "columns = [",
        "columns = [{ name = \"part\", type = \"integer\", values = \"partition\" },",
    );
    run(&database, "listed", &keyed, &["--partitions", "2"]).await.done();
    database.execute("ALTER TABLE listed ALTER part SET DEFAULT 1").await;
    run(&database, "listed", COLUMNS, &[]).await.done();
    let owners = "SELECT partition, (SELECT count(DISTINCT run) FROM strom_load.lane WHERE relation = l.relation), \
                  epoch, first_id FROM strom_load.lane l \
                  WHERE relation = 'listed'::regclass ORDER BY 1";
    let whole = "2147483647";
    assert_eq!(
        database.rows(owners).await,
        [["0", "1", "2", "601"], ["1", "1", "2", "601"], [whole, "1", "1", "601"]]
    );
    run(&database, "listed", &keyed, &["--partitions", "2"]).await.done();
    assert_eq!(
        database.rows(owners).await,
        [["0", "1", "3", "601"], ["1", "1", "3", "1801"], [whole, "1", "3", "601"]]
    );

    // One that is not there is made, as a plain table.
    let ended = run(&database, "fresh", COLUMNS, &[]).await;
    is_right(&database, "fresh", &ended, 1200).await;
    assert_eq!(ended.result()["stream"]["table_created"], true);
    assert_eq!(
        database.text("SELECT relkind::text FROM pg_class WHERE oid = 'fresh'::regclass").await,
        "r"
    );
}

const KINDS: &str = r#"
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "state", type = "text", null_ratio = 0.5, values = { choice = { of = ["new", "it's paid"], weights = [1, 9] } } },
    { name = "amount", type = "numeric(9,2)", values = { decimal = { min = "0.01", max = "10.00" } } },
    { name = "at", type = "timestamptz", values = "due_time" },
]
"#;

#[tokio::test]
async fn enums_and_domains_take_the_form_of_what_is_beneath() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('new', 'it''s paid', 'sent'); \
             CREATE DOMAIN price AS numeric(9,2) CHECK (VALUE > 0); \
             CREATE DOMAIN offer AS price NOT NULL; \
             CREATE TABLE kinds (id bigint, state state, amount offer, at timestamptz)",
        )
        .await;
    let ended = run(&database, "kinds", KINDS, &[]).await;
    is_right(&database, "kinds", &ended, 1200).await;
    let paid = "SELECT count(*) FROM kinds WHERE state = 'it''s paid'";
    assert!((300..900).contains(&database.number(paid).await));
    let sold = |kinds: &str| KINDS.replace("\"new\", \"it's paid\"], weights = [1, 9]", kinds);
    // COPY fills no domain, and asks none where a column is left out.
    database
        .execute("CREATE TABLE left_out (id bigint, size integer, at timestamptz, price offer)")
        .await;
    let ended = run(&database, "left_out", COLUMNS, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("column price needs a value"), "{}", ended.stderr);
    let file = scratch();
    let path = file.path().join("p.toml").display().to_string();
    let check = async |columns: &str, table: &str| {
        fs::write(&path, format!("[stream]\n{columns}")).unwrap();
        let address = database.address();
        let args = ["check", &path, "--database-url", &address, "--table", table];
        Program::start(&args).end().await
    };
    let fits = check(KINDS, "kinds").await;
    assert_eq!(
        (fits.code, &*fits.stdout),
        (Some(0), "kinds takes the 4 columns of `p`; it has no queries\n"),
        "{}",
        fits.stderr
    );
    let to_be_made = check(KINDS, "nobody").await;
    assert_eq!(
        (to_be_made.code, &*to_be_made.stdout),
        (Some(0), "nobody is not there: a run makes it; it has no queries\n")
    );
    assert_eq!(database.number("SELECT count(*) FROM pg_class WHERE relname = 'nobody'").await, 0);
    let asked =
        |sql: &str| format!("{KINDS}[[readers.queries]]\nname = \"paid\"\nsql = \"{sql}\"\n");
    let fits = check(&asked("SELECT count(*) FROM {table} WHERE state = 'sent'"), "kinds").await;
    assert!(
        fits.stdout.contains("the server takes 1 query: paid"),
        "{}{}",
        fits.stdout,
        fits.stderr
    );
    // Of a table that is not there, what does not read it is asked all the same.
    let unasked = check(&asked("SELECT count(*) FROM {table}"), "nobody").await;
    assert_eq!(unasked.code, Some(0), "{}", unasked.stderr);
    assert!(unasked.stdout.contains("the server was not asked"), "{}", unasked.stdout);
    let nonsense = check(&asked("SELECT nonsense FROM nowhere"), "nobody").await;
    assert_eq!(nonsense.code, Some(3), "{}", nonsense.stdout);
    assert!(nonsense.stderr.contains("\"nowhere\" does not exist"), "{}", nonsense.stderr);
    let refused = check(&asked("SELECT count(*) FROM {table} WHERE state = 'sold'"), "kinds").await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("invalid input value for enum state"), "{}", refused.stderr);

    for (columns, fact) in [
        (
            sold("\"sold\"]"),
            "column state is state, an enum, and has no label \"sold\" (new, it's paid, sent)",
        ),
        (
            KINDS.replace(
                "{ choice = { of = [\"new\", \"it's paid\"], weights = [1, 9] } }",
                "{ text = { min_chars = 1, max_chars = 2 } }",
            ),
            "column state is state, an enum, and takes its labels alone",
        ),
        (
            KINDS.replace("type = \"numeric(9,2)\"", "type = \"numeric(7,2)\""),
            "column amount is offer, a domain of numeric(9,2), not numeric(7,2)",
        ),
        (
            KINDS.replace("type = \"numeric(9,2)\",", "type = \"numeric(9,2)\", null_ratio = 0.1,"),
            "column amount is NOT NULL",
        ),
    ] {
        let ended = run(&database, "kinds", &columns, &[]).await;
        assert_eq!(ended.code, Some(3), "{fact}: {}", ended.stderr);
        assert!(ended.stderr.contains(fact), "{fact}: {}", ended.stderr);
        let checked = check(&columns, "kinds").await;
        assert!(checked.code == Some(3) && checked.stderr.contains(fact), "{}", checked.stderr);
    }
}

#[tokio::test]
async fn rows_of_a_file_come_again_and_again_and_are_verified() {
    let database = Database::create().await;
    let folder = scratch();
    let file = folder.path().join("orders.csv");
    fs::write(&file, "customer,state,note\n7,new,\"a, b\"\n8,paid,\n9,sent,c\n").unwrap();
    let path = file.display().to_string();
    let column = |name: &str, sql_type: &str, pick: &str| {
        format!(
            "{{ name = '{name}', type = '{sql_type}', values = {{ file = {{ path = '{path}', column = '{name}'{pick} }} }} }},"
        )
    };
    let cycle = ", pick = 'cycle'";
    let columns = format!(
        "columns = [{{ name = 'id', type = 'bigint', values = 'row_id' }},{}{}{}]",
        column("customer", "bigint", cycle),
        column("state", "text", cycle),
        column("note", "text", cycle)
    );
    let ended = run(&database, "orders", &columns, &["--connections", "2"]).await;
    is_right(&database, "orders", &ended, 1200).await;
    let whole = [["7", "new", "a, b", "400"], ["9", "sent", "c", "400"]];
    let kinds = "SELECT customer, state, note, count(*) FROM orders WHERE note IS NOT NULL \
                 GROUP BY 1, 2, 3 ORDER BY 1";
    assert_eq!(database.rows(kinds).await, whole);
    let without =
        "SELECT count(*) FROM orders WHERE customer = 8 AND state = 'paid' AND note IS NULL";
    assert_eq!(database.number(without).await, 400);
    // Rows that were made of a file can be held against that file alone.
    fs::write(&file, "customer,state,note\n7,new,x\n").unwrap();
    let results = ended.work().join("out").display().to_string();
    let verify = ["verify", &*results, "--database-url", &*database.address()];
    let verified = Program::start(&verify).end().await;
    assert_eq!(verified.code, Some(2), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stderr.contains("it is not what it was"), "{}", verified.stderr);
}

#[tokio::test]
async fn the_profile_iot_runs_into_the_table_that_it_describes() {
    let database = Database::create().await;
    let profile = include_str!("../profiles/iot.toml");
    let described: Vec<&str> =
        profile.lines().filter_map(|line| line.strip_prefix("#     ")).collect();
    database.execute(&described.join("\n")).await;
    let address = database.address();
    let args = ["run", "iot", "--database-url", &address, "--output", "out", "--duration", "2s"];
    let more = ["--rate", "1200", "--warmup", "0s", "--metrics-addr", "off"];
    let ended = Program::start(&[&args[..], &more].concat()).end().await;
    let result = ended.done();
    assert_eq!(result["stream"]["rows_found"], 2400);
    assert!(verified(&database, &ended).await.contains("2,400 read back"));
    let late = "SELECT count(*) FROM iot_readings WHERE received_at > happened_at + interval '1 s'";
    let late = database.number(late).await;
    assert!((60..200).contains(&late), "{late} of 2,400 are late");
    let queries = result["queries"].as_array().unwrap();
    assert!(queries.iter().all(|query| query["executions"].as_u64() > Some(0)), "{queries:?}");
}

#[tokio::test]
async fn what_a_table_cannot_take_is_said_before_anything_is_created() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE needs (id bigint, size integer, at timestamptz, why text NOT NULL); \
             CREATE VIEW seen AS SELECT id, size, at FROM needs; \
             CREATE TABLE narrow (id bigint, size integer, at timestamptz) PARTITION BY RANGE (size); \
             CREATE TABLE narrow_1 PARTITION OF narrow FOR VALUES FROM (1) TO (9); \
             CREATE TABLE soon (id bigint, size integer, at timestamptz) PARTITION BY RANGE (at); \
             CREATE TABLE soon_1 PARTITION OF soon FOR VALUES FROM (MINVALUE) TO (now() + interval '1 day'); \
             CREATE TABLE plain (id bigint, size integer, at timestamptz); \
             CREATE TABLE mother (id bigint, size integer, at timestamptz); \
             CREATE TABLE child () INHERITS (mother)",
        )
        .await;
    for (table, fact, fix) in [
        ("narrow_1", "it is a partition of narrow", "name the whole table with --table"),
        ("child", "it is a child of mother", "name the whole table with --table"),
        ("mother", "other tables inherit from it", "name another table"),
        ("needs", "column why needs a value, and the profile has none", "name another table"),
        ("seen", "it is a view", "name another table"),
        ("narrow", "no partition of relation", "add a partition for such rows (DEFAULT takes all)"),
    ] {
        let ended = run(&database, table, COLUMNS, &[]).await;
        assert_eq!(ended.code, Some(3), "{table}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(fact) && ended.stderr.contains(fix),
            "{table}: {}",
            ended.stderr
        );
    }
    // Rows of today have a partition, those of the end of the run have none.
    let ended = run(&database, "soon", COLUMNS, &["--duration", "48h"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("no partition of relation"), "{}", ended.stderr);
    // A partition key belongs to a table that is partitioned by it, and partitions to a key.
    let ended = stream(&database, &["--table", "plain"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("loads any table as it is"), "{}", ended.stderr);
    let ended = run(&database, "plain", COLUMNS, &["--partitions", "2"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'strom_load'";
    assert_eq!(database.number(schemas).await, 0);
}

#[tokio::test]
async fn a_foreign_table_is_loaded_through_and_read_back_by_ids() {
    let (database, far) = (Database::create().await, Database::create().await);
    far.execute("CREATE TABLE there (id bigint PRIMARY KEY, size integer, at timestamptz)").await;
    let server = shared();
    database
        .execute(&format!(
            "CREATE EXTENSION postgres_fdw; \
             CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw \
             OPTIONS (host '127.0.0.1', port '{}', dbname '{}', batch_size '100'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password '{}'); \
             CREATE FOREIGN TABLE there (id bigint, size integer, at timestamptz) SERVER far; \
             CREATE FOREIGN TABLE shut (id bigint, size integer, at timestamptz) SERVER far \
             OPTIONS (table_name 'there', updatable 'false'); \
             CREATE TABLE both_ways (id bigint, size integer, at timestamptz) PARTITION BY RANGE (size); \
             CREATE TABLE here PARTITION OF both_ways FOR VALUES FROM (1) TO (5); \
             CREATE FOREIGN TABLE beyond PARTITION OF both_ways DEFAULT SERVER far OPTIONS (table_name 'there')",
            server.port, far.name, server.password
        ))
        .await;
    let ended = run(&database, "there", COLUMNS, &[]).await;
    is_right(&database, "there", &ended, 1200).await;
    assert!(ended.stderr.contains("the audit reads rows by id order"), "{}", ended.stderr);
    assert_eq!(far.number("SELECT count(*) FROM there").await, 1200);
    let ended = run(&database, "shut", COLUMNS, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("it is a foreign table that takes no INSERT"),
        "{}",
        ended.stderr
    );
    // A check asks the server behind it for a row.
    let folder = scratch();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, format!("[stream]\nrows_per_s = 1200\n{COLUMNS}")).unwrap();
    let check = async || {
        let file = file.display().to_string();
        let args = ["check", &file, "--table", "there", "--database-url", &database.address()];
        Program::start(&args).end().await
    };
    let fits = check().await;
    assert!(fits.stdout.starts_with("there takes the 3 columns"), "{}{}", fits.stdout, fits.stderr);
    for (gone, back) in [
        (
            "ALTER SERVER far OPTIONS (SET dbname 'nowhere')",
            "ALTER SERVER far OPTIONS (SET dbname 'NAME')",
        ),
        (
            "ALTER FOREIGN TABLE there OPTIONS (table_name 'gone')",
            "ALTER FOREIGN TABLE there OPTIONS (DROP table_name)",
        ),
    ] {
        database.execute(gone).await;
        let refused = check().await;
        assert_eq!(refused.code, Some(3), "{}", refused.stdout);
        let said =
            "failed to read a row of the foreign table there from its server far within 10 s: ";
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        database.execute(&back.replace("NAME", &far.name)).await;
    }
    // Some rows here, and some there.
    far.execute("TRUNCATE there").await;
    let ended = run(&database, "both_ways", COLUMNS, &[]).await;
    is_right(&database, "both_ways", &ended, 1200).await;
    assert!(far.number("SELECT count(*) FROM there").await > 100);
    // What is lost there is found.
    far.execute("DELETE FROM there WHERE id = (SELECT max(id) FROM there)").await;
    let folder = ended.work().join("out").display().to_string();
    let verify = ["verify", &*folder, "--database-url", &*database.address()];
    let found = Program::start(&verify).end().await;
    assert_eq!(found.code, Some(5), "{}", found.stdout);
    assert!(found.stdout.contains("1 lost"), "{}", found.stdout);
}

#[tokio::test]
async fn rows_without_an_identity_are_counted_and_no_more_is_said() {
    let database = Database::create().await;
    database.execute("CREATE TABLE plain (size integer); INSERT INTO plain VALUES (1), (2)").await;
    let ended = run(&database, "plain", NAMELESS, &["--connections", "2"]).await;
    let result = ended.done();
    let stream = &result["stream"];
    assert_eq!((&stream["rows_found"], &stream["rows_before"]), (&1200.into(), &2.into()));
    assert_eq!(
        (&stream["audit"], &result["plan"]["audit"]),
        (&serde_json::Value::Null, &"count".into())
    );
    for said in [
        "1,200 counted by SQL: as acknowledged",
        "rows have no identity: that each is there once rests on its transaction's fate alone",
    ] {
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
    assert_eq!(database.number("SELECT count(*) FROM plain").await, 1202);
    let folder = ended.work().join("out").display().to_string();
    let verify = ["verify", &*folder, "--database-url", &*database.address()];
    let verified = Program::start(&verify).end().await;
    assert_eq!(verified.code, Some(2), "{}", verified.stderr);
    assert!(verified.stderr.contains("have no identity"), "{}", verified.stderr);
    // Rows of others are counted as well, and are not the run's.
    database
        .execute(
            "CREATE FUNCTION one_more() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF pg_trigger_depth() = 1 THEN INSERT INTO plain VALUES (0); END IF; RETURN NULL; END'; \
             CREATE TRIGGER one_more AFTER INSERT ON plain FOR EACH STATEMENT EXECUTE FUNCTION one_more()",
        )
        .await;
    let ended = run(&database, "plain", NAMELESS, &[]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stdout.contains("and rows of others count too"), "{}", ended.stdout);
    // What they cannot have is refused.
    let ended = run(&database, "plain", NAMELESS, &["--audit", "full"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot be read back one by one"), "{}", ended.stderr);
}
