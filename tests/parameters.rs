//! Queries with parameters on a real server: the values are the same however they are sent, and both arms
//! of a pair are asked with the same.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

const ARMS: &str = "
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.parallel]
set = { max_parallel_workers_per_gather = 4 }
";

/// One of each type, with what has to be quoted.
const PARAMETERS: &str = r#"
word = { type = "text", values = { choice = { of = ["it's", 'back\slash', "two\nlines", ":whole $1"] } } }
label = { type = "varchar(20)", values = { label = { prefix = "c_", min = 1, max = 90 } }, null_ratio = 0.3 }
padded = { type = "char(6)", values = { text = { min_chars = 0, max_chars = 4 } } }
small = { type = "smallint", values = { integer = { min = -9, max = 9, pick = "cycle" } } }
whole = { type = "integer", values = { integer = { min = -2000000000, max = 2000000000 } } }
big = { type = "bigint", values = { integer = { min = -9000000000000000000, max = 9000000000000000000 } } }
amount = { type = "numeric(15,2)", values = { decimal = { min = "-10.00", max = "99999.99" } } }
ratio = { type = "double precision", values = { float = { min = -1.0, max = 1e30 } } }
single = { type = "real", values = { float = { min = 0.0, max = 1.0 } } }
is_so = { type = "boolean", values = { boolean = { true_ratio = 0.5 } } }
day = { type = "date", values = { day = { min = "1999-12-01", max = "2030-12-31" } } }
clock = { type = "time", values = { time = { min = "08:00:00", max = "18:00:00" } } }
own_id = { type = "uuid", values = "uuid" }
raw = { type = "bytea", values = { bytes = { min_bytes = 0, max_bytes = 9 } } }
host = { type = "inet", values = { inet = { network = "10.0.0.0/8" } } }
plain = { type = "json", values = { pattern = '{"a": "{word}", "b": {integer:1..9}}' } }
ids = { type = "integer[]", values = { array = { of = { integer = { min = 1, max = 9 } }, length = { integer = { min = 0, max = 3 } }, null_ratio = 0.2 } } }
words = { type = "varchar(9)[]", values = { array = { of = { choice = { of = ["it's", 'a\b', ""] } }, length = { integer = { min = 1, max = 2 } } } }, null_ratio = 0.2 }
parsed = { type = "jsonb", values = { pattern = '{"a": "{word}"}' } }
"#;

const ONE_CATEGORY: &str = "-- of one category\nSELECT count(*), max(created_at) AS at\nFROM {table} \
                            WHERE category = :category;\n";

const PAIRS: [&str; 6] = ["--pairs-min", "4", "--pairs-max", "4", "--query-time", "20s"];

fn names() -> Vec<&'static str> {
    PARAMETERS.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect()
}

/// What a query selects of all parameters: each as text, and its type.
fn selected() -> String {
    let each =
        |name: &str| format!(":{name}::text AS {name}, pg_typeof(:{name})::text AS type_{name}");
    names().into_iter().map(each).collect::<Vec<_>>().join(", ")
}

/// Runs a profile in a folder that has the query of [`ONE_CATEGORY`].
async fn run(database: &Database, profile: &str, args: &[&str]) -> Ended {
    let folder = scratch();
    let path = folder.path().join("parameters.toml");
    fs::write(&path, profile).unwrap();
    fs::create_dir(folder.path().join("queries")).unwrap();
    fs::write(folder.path().join("queries/one.sql"), ONE_CATEGORY).unwrap();
    let address = database.address();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    all.extend(args);
    Program::start_in(folder, &all, &[]).end().await
}

async fn count(database: &Database, sql: &str) -> String {
    database.rows(&format!("SELECT count(*)::text FROM {sql}")).await[0][0].clone()
}

#[tokio::test]
async fn values_are_the_same_however_they_are_sent_and_in_both_arms() {
    let database = Database::create().await;
    let columns = names().into_iter().map(|name| format!("{name} text, type_{name} text"));
    let columns = columns.collect::<Vec<_>>().join(", ");
    for protocol in ["simple", "extended", "prepared"] {
        database.execute(&format!("CREATE TABLE {protocol} (arm text, {columns})")).await;
        let selected = selected();
        let profile = format!(
            "[bench]\nwrites = true\ntable = '{protocol}'\n[[bench.queries]]\nname = 'all'\n\
             answers = 'off'\nprotocol = '{protocol}'\nsql = \"INSERT INTO {{table}} SELECT \
             current_setting('max_parallel_workers_per_gather'), {selected}\"\n\
             [bench.queries.parameters]{PARAMETERS}{ARMS}"
        );
        let ended = run(&database, &profile, &PAIRS).await;
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        let result = ended.result();
        let query = &result["plan"]["bench"]["queries"][0];
        assert_eq!(query["protocol"], protocol);
        assert_eq!(query["parameters"]["small"]["values"]["integer"]["pick"], "cycle", "{query}");
        assert!(result["steps"][0]["queries"][0]["sql"].as_str().unwrap().contains(":word::text"));
    }
    // One execution to warm each arm, and four pairs.
    assert_eq!(count(&database, "prepared").await, "10");
    assert_eq!(count(&database, "(SELECT DISTINCT own_id FROM prepared) AS x").await, "5");
    for (one, other) in [("simple", "prepared"), ("prepared", "simple"), ("extended", "prepared")] {
        let sql = format!("(TABLE {one} EXCEPT ALL TABLE {other}) AS x");
        assert_eq!(count(&database, &sql).await, "0", "{one} and {other}");
    }
    let others = names().join(", ");
    let of_arm = |arm: u32| format!("SELECT {others} FROM prepared WHERE arm = '{arm}'");
    let sql = format!("({} EXCEPT ALL {}) AS x", of_arm(0), of_arm(4));
    assert_eq!(count(&database, &sql).await, "0", "both arms are asked the same");
    let types = "type_padded = 'character' AND type_amount = 'numeric' AND type_plain = 'json' \
                 AND type_small = 'smallint' AND type_clock = 'time without time zone'";
    assert_eq!(count(&database, &format!("simple WHERE {types}")).await, "10");
    let quoted = r"word IN ('it''s', E'back\\slash', E'two\nlines', ':whole $1')";
    assert_eq!(count(&database, &format!("prepared WHERE {quoted}")).await, "10");
}

/// Those of both arms with one set of values, and those that are timed with the pair's.
#[tokio::test]
async fn answers_to_the_same_values_are_compared() {
    let database = Database::create().await;
    let query = |protocol: &str| {
        format!(
            "[[bench.queries]]\nname = '{protocol}'\nprotocol = '{protocol}'\n\
             sql = \"SELECT :label AS label, :word AS word, n FROM generate_series(1, 3) AS n\"\n\
             [bench.queries.parameters]\n\
             label = {{ type = 'text', values = {{ label = {{ prefix = 'c_', min = 1, max = 1000000 }} }} }}\n\
             word = {{ type = 'text', values = {{ choice = {{ of = ['new', 'paid'] }} }} }}\n"
        )
    };
    // It has as many rows as its session keeps statements of it.
    let kept = "[[bench.queries]]\nname = 'kept'\nanswers = 'off'\n\
                sql = \"SELECT name FROM pg_prepared_statements WHERE statement LIKE '%FROM pg_prep%' AND :x > 0\"\n\
                parameters = { x = { type = 'bigint', values = { integer = { min = 1, max = 9 } } } }\n";
    let queries = ["simple", "extended", "prepared"].map(query).concat();
    let profile = format!("[bench]\n{queries}{kept}");
    let ended = run(&database, &(profile + ARMS), &PAIRS).await;
    let result = ended.result();
    let answers = |query: usize| &result["steps"][0]["queries"][query]["answers"];
    for query in 0..3 {
        let own = answers(query);
        assert_eq!((&own["checks"], &own["different"]), (&json!(1), &json!(0)), "{own}");
        assert!(own["values"]["label"].as_str().unwrap().starts_with("c_"), "{own}");
        assert!(["new", "paid"].contains(&own["values"]["word"].as_str().unwrap()), "{own}");
    }
    for query in [1, 2] {
        let timed = &answers(query)["timed"];
        assert_eq!((&timed["executions"], &timed["different"]), (&json!(8), &json!(0)), "{timed}");
        assert_eq!(timed["not_compared"], Value::Null);
    }
    // One an arm: a plan that the server keeps is none of the other arm.
    for arm in 0..2 {
        assert_eq!(result["steps"][0]["queries"][3]["arms"][arm]["rows"], 2, "{result}");
    }
    // Answers in text have no digests, which is no failure.
    assert_eq!(answers(0)["timed"], Value::Null);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[tokio::test]
async fn readers_of_a_stream_ask_with_values_and_a_mistake_has_its_place() {
    let database = Database::create().await;
    let profile = format!(
        "[stream]\nrows_per_s = 500\n[[readers.queries]]\nname = 'one'\nsql_file = 'queries/one.sql'\n\
         newest_column = 'at'\n[readers.queries.parameters]\n\
         category = {{ type = 'text', values = {{ label = {{ prefix = 'category_', min = 1, max = 100, \
         pick = {{ zipf = {{ exponent = 1.0 }} }} }} }} }}\n{ARMS}"
    );
    let args = ["--duration", "2s", "--warmup", "0s"];
    let ended = run(&database, &profile, &args).await;
    let result = ended.result();
    let compared = &result["comparisons"][0];
    assert!(compared["pairs"].as_u64().unwrap() > 0, "{compared}");
    let answers = &compared["answers"];
    assert!(answers["checks"].as_u64().unwrap() > 0 && answers["different"] == 0, "{answers}");
    assert!(answers["values"]["category"].as_str().unwrap().starts_with("category_"), "{answers}");
    for query in result["queries"].as_array().unwrap() {
        assert_eq!(query["errors"], json!({}), "{query}");
    }

    assert_eq!(result["plan"]["readers"]["queries"][0]["sql"], ONE_CATEGORY);

    // The place is that in the profile, whatever the values are.
    let sql =
        "sql = '''\nSELECT 1\nFROM {table} WHERE category = :category AND regoin = :category'''";
    let wrong = profile.replace("sql_file = 'queries/one.sql'", sql);
    let ended = run(&database, &wrong.replace("newest_column = 'at'\n", ""), &args).await;
    let stderr = ended.stderr;
    assert!(stderr.contains("column \"regoin\" does not exist"), "{stderr}");
    assert!(stderr.contains("= :category AND regoin = :category"), "{stderr}");
    assert!(stderr.contains("parameters.toml:7"), "{stderr}");

    // What the values do, and not the text, is said with them.
    let sql = "sql = 'SELECT 1 / (length(:category) - length(:category)) FROM {table}'";
    let wrong = profile.replace("sql_file = 'queries/one.sql'", sql);
    let ended = run(&database, &wrong.replace("newest_column = 'at'\n", ""), &args).await;
    let stderr = ended.stderr;
    assert!(stderr.contains("division by zero"), "{stderr}");
    assert!(stderr.contains("it was tried as: SELECT 1 / (length(CAST('category_"), "{stderr}");
}

#[tokio::test]
async fn a_reader_pauses_behind_each_answer_and_no_latency_has_that() {
    let database = Database::create().await;
    let profile = "[stream]\nrows_per_s = 500\n[readers]\ncount = 1\nthink_time_ms = 700\n\
                   [[readers.queries]]\nname = 'one'\nsql = 'SELECT 1'";
    let ended = run(&database, profile, &["--duration", "2s", "--warmup", "0s"]).await;
    let query = &ended.result()["queries"][0];
    let executions = query["executions"].as_u64().unwrap();
    assert!((1..=3).contains(&executions), "{query}");
    assert!(query["wait"]["max_ms"].as_f64().unwrap() < 500.0, "{query}");
}

#[tokio::test]
async fn of_answers_that_differ_it_is_said_what_was_asked() {
    let database = Database::create().await;
    let profile = format!(
        "[bench]\n[[bench.queries]]\nname = 'wrong'\nsql = \"SELECT :word AS word, \
         current_setting('max_parallel_workers_per_gather')::int * :word::int AS n\"\n\
         parameters = {{ word = {{ type = 'text', values = {{ choice = {{ of = ['41'] }} }} }} }}\n{ARMS}"
    );
    let ended = run(&database, &profile, &PAIRS).await;
    assert_eq!(ended.code, Some(5), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("asked with word = 41"), "{}", ended.stdout);
    let answers = &ended.result()["steps"][0]["queries"][0]["answers"];
    assert_eq!(answers["differences"][0]["values"], json!({ "word": "41" }), "{answers}");
    let timed = &answers["timed"];
    assert_eq!((&timed["executions"], &timed["different"]), (&json!(8), &json!(4)), "{timed}");
}

/// The client library asks about a type that it meets for the first time, and may do so in no answer's midst.
#[tokio::test]
async fn a_large_answer_of_types_of_the_databases_own_is_read() {
    let database = Database::create().await;
    database
        .execute("CREATE TYPE state AS ENUM ('new', 'old'); CREATE TYPE pair AS (a int, b state)")
        .await;
    let rows = "repeat('x', 100) AS t FROM generate_series(1, 5000)";
    let selects = [
        format!("SELECT 'new'::state AS e, {rows}"),
        format!("SELECT ROW(1, 'old')::pair AS p, ARRAY['new']::state[] AS a, {rows}"),
    ];
    let [one, other] = &selects;
    let profile = format!(
        "warmup_s = 0\nduration_s = 3\n[stream]\n[readers]\ncount = 1\n[[readers.queries]]\nname = \"one\"\nsql = \"{one}\"\n\
         [[readers.queries]]\nname = \"other\"\nsql = \"{other}\"\n\
         [[readers.queries]]\nname = \"both\"\nstatements = {selects:?}\n"
    );
    let ended = run(&database, &profile, &["--rate", "100"]).await;
    let result = ended.done();
    let queries = result["queries"].as_array().unwrap();
    let went_well = |query: &&Value| query["errors"] == json!({}) && query["interrupted"] != 1;
    let executions: u64 = queries.iter().map(|own| own["executions"].as_u64().unwrap()).sum();
    assert!(queries.iter().filter(went_well).count() >= 2 && executions > 3, "{queries:#?}");
}
