//! On tables that stand still the answers of all timed executions are compared, by digests: what is wrong
//! in them alone is found, and what is another answer for a good reason is not.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

const ARMS: &str = r"
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.parallel]
set = { max_parallel_workers_per_gather = 4, parallel_setup_cost = 0, min_parallel_table_scan_size = 0 }
";
const SWEEP: &str = r#"
[sweep]
rounds = 10
[[sweep.settings]]
name = "max_parallel_workers_per_gather"
values = [2, 4]
"#;
/// Answers are compared in a transaction of another isolation, so this is wrong only where it is timed.
const WRONG_WHEN_TIMED: &str = "SELECT count(*) + (current_setting('transaction_isolation') = \
    'read committed' AND current_setting('max_parallel_workers_per_gather') = '4')::int AS n FROM facts";

async fn with_facts() -> Database {
    let database = Database::create().await;
    let sql = "CREATE TABLE facts AS SELECT n AS id, n % 7 AS part, n * 0.01 AS amount, sqrt(n) AS x \
               FROM generate_series(1, 20000) AS n; ANALYZE facts";
    database.execute(sql).await;
    database
}

async fn run(database: &Database, queries: &[(&str, &str)], compared: &str) -> Ended {
    let folder = scratch();
    let path = folder.path().join("timed.toml");
    let mut profile = String::from("[bench]\n");
    for (name, rest) in queries {
        writeln!(profile, "[[bench.queries]]\nname = \"{name}\"\n{rest}").unwrap();
    }
    fs::write(&path, profile + compared).unwrap();
    let address = database.address();
    let mut args = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    args.extend(["--metrics-addr", "off", "--output", "out"]);
    if compared != SWEEP {
        args.extend(["--pairs-min", "2", "--pairs-max", "6", "--query-time", "2s"]);
    }
    Program::start_in(folder, &args, &[]).end().await
}

fn sql(text: &str) -> String {
    format!("sql = \"{text}\"")
}

fn answers(ended: &Ended, query: usize) -> Value {
    ended.result()["steps"][0]["queries"][query]["answers"].clone()
}

#[tokio::test]
async fn an_answer_that_is_wrong_only_where_it_is_timed_is_found() {
    let database = with_facts().await;
    let right = sql(
        "SELECT part, count(*), sum(amount), sum(x), avg(x) FROM facts GROUP BY part ORDER BY part",
    );
    let wrong = sql(WRONG_WHEN_TIMED);
    let ended = run(&database, &[("right", &right), ("wrong", &wrong)], ARMS).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    // Sums of floats, in another order of addition in each execution.
    let right = answers(&ended, 0);
    let executions = right["timed"]["executions"].as_u64().unwrap();
    assert!((4..=12).contains(&executions), "{right}");
    assert_eq!(right["timed"]["different"], 0, "{right}");
    assert_eq!(
        (&right["timed"]["left_out"], &right["timed"]["not_compared"]),
        (&json!([]), &Value::Null)
    );
    let query = &ended.result()["steps"][0]["queries"][1];
    assert_eq!(query["valid"], false);
    let wrong = answers(&ended, 1);
    assert_eq!((&wrong["checks"], &wrong["different"]), (&json!(1), &json!(0)), "{wrong}");
    let different = wrong["timed"]["different"].as_u64().unwrap();
    assert_eq!(wrong["timed"]["executions"], different * 2, "{wrong}");
    let said = "timed executions had another answer: values that must be equal";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    assert!(ended.stdout.contains("WRONG ANSWERS, timings invalid: wrong"), "{}", ended.stdout);

    let ended = run(&database, &[("wrong", &sql(WRONG_WHEN_TIMED))], SWEEP).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let result = ended.result();
    let cells = result["sweep"]["queries"][0]["combinations"].as_array().unwrap();
    let timed: Vec<_> =
        cells.iter().map(|cell| (&cell["valid"], &cell["answers"]["timed"]["different"])).collect();
    assert_eq!(timed[0], (&json!(true), &json!(0)), "{result}");
    assert_eq!(timed[1], (&json!(false), &json!(10)), "{result}");
}

#[tokio::test]
async fn an_answer_that_is_never_the_same_is_not_called_the_same() {
    let database = with_facts().await;
    let clock =
        sql("SELECT clock_timestamp() - clock_timestamp() AS spent, now(), count(*) FROM facts");
    let counted = format!("answers = \"count\"\n{clock}");
    // The comparison itself has one now(), but two clocks.
    let stands = sql("SELECT now(), count(*) FROM facts");
    let ended = run(&database, &[("stands", &stands), ("counted", &counted)], ARMS).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["shortfalls"].as_array().unwrap().len(), 1, "{result}");
    assert_eq!(result["shortfalls"][0]["kind"], "not_compared");
    let what = result["shortfalls"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("the answers of `stands` that were timed were not compared"),
        "{what}"
    );
    let stands = answers(&ended, 0);
    assert_eq!(
        (&stands["checks"], &stands["timed"]["different"]),
        (&json!(1), &json!(0)),
        "{stands}"
    );
    assert_eq!(answers(&ended, 1)["timed"]["different"], 0);
}

/// One value of each type is the same in the two forms in which the server sends it.
#[tokio::test]
async fn every_type_is_compared_or_said_to_be_left_out() {
    let database = with_facts().await;
    database.execute("CREATE DOMAIN euro AS numeric").await;
    let types = "SELECT id, part::smallint, id::bigint AS big, amount, amount::euro, x, x::real AS r, \
                 id::text AS t, 'NaN'::numeric AS nan, 'Infinity'::float8 AS inf, NULL::int AS none, \
                 ARRAY[x, NULL, 0.1] AS floats, ARRAY[amount, 1.00] AS decimals, ARRAY['a', id::text] AS texts, \
                 jsonb_build_object('a', amount, 'b', ARRAY[x]) AS j, json_build_object('a', x) AS k, \
                 make_interval(secs => part) AS i, date '2024-01-01' + part AS d, now() - now() AS zero, \
                 '\\\\xff'::bytea AS b, true AS yes, int4range(0, id) AS ints, numrange(0, amount) AS range, \
                 point(x, 1), ROW(id, x) AS pair, uuid_in(md5(id::text)::cstring) AS u \
                 FROM facts WHERE id <= 100 ORDER BY id DESC";
    let ended = run(&database, &[("types", &sql(types))], ARMS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let types = answers(&ended, 0);
    assert_eq!((&types["checks"], &types["different"]), (&json!(1), &json!(0)), "{types}");
    assert_eq!(types["ordered_by"], json!(["id"]));
    let timed = &types["timed"];
    assert!(timed["executions"].as_u64().unwrap() >= 4, "{timed}");
    assert_eq!((&timed["different"], &timed["not_compared"]), (&json!(0), &Value::Null), "{timed}");
    assert_eq!(timed["left_out"], json!(["range", "point", "pair"]), "{timed}");
}

/// Rows and digests have one meaning of equal: of numbers, text and arrays of other types, instants in other
/// time zones and formats.
#[tokio::test]
async fn equal_values_of_other_types_and_in_other_formats_are_the_same() {
    const OTHER: &str = r#"
        [arms.one]
        set = { search_path = "a" }
        [arms.other]
        set = { search_path = "b", timezone = "Asia/Tokyo", datestyle = "SQL, DMY", intervalstyle = "iso_8601", bytea_output = "escape", extra_float_digits = -3 }
    "#;
    let database = Database::create().await;
    let instants = "timestamptz '2024-01-01 00:00+00' + n * interval '90 s' AS at, \
                    ARRAY[timestamptz '2024-01-01 00:00+00'] AS ats, n * interval '1 hour' AS i, \
                    date '2024-01-01' + n AS d, '\\xff'::bytea AS b, sqrt(abs(n)) AS f";
    let rows = "generate_series(-5, 200) AS n";
    let setup = format!(
        "CREATE SCHEMA a; CREATE SCHEMA b;
        CREATE TABLE a.t AS SELECT n::int AS n, n::smallint AS s, n::int AS m, n::bigint AS f, n::text AS x, \
            ARRAY[n, NULL] AS r, (n + 0.5)::numeric(10,1) AS c, ARRAY[n] AS e, \
            jsonb_build_object('n', n, 's', n * 1000000000::bigint) AS j FROM {rows};
        CREATE TABLE b.t AS SELECT n::bigint, s::int, m::numeric(20,4), f::float8, x::varchar, r::bigint[], \
            c::numeric(12,3), e::numeric(9,2)[], j FROM a.t ORDER BY n DESC;
        CREATE TABLE a.wrong AS TABLE a.t; CREATE TABLE b.wrong AS TABLE b.t;
        UPDATE b.wrong SET j = jsonb_set(j, '{{n}}', '78') WHERE n = 77;
        CREATE TABLE a.z AS SELECT n, {instants} FROM {rows}; CREATE TABLE b.z AS TABLE a.z;
        CREATE TABLE a.u AS SELECT '00000000-0000-0000-0000-000000000000'::uuid AS u;
        CREATE TABLE b.u AS SELECT u::text FROM a.u"
    );
    database.execute(&setup).await;
    let queries = [
        ("types", sql("SELECT * FROM t")),
        ("wrong", sql("SELECT * FROM wrong")),
        ("loose", format!("tolerance = 0.5\n{}", sql("SELECT * FROM wrong"))),
        ("instants", sql("SELECT * FROM z ORDER BY at")),
        ("unlike", sql("SELECT 1 AS one, u FROM u")),
    ];
    let queries = queries.each_ref().map(|(name, sql)| (*name, sql.as_str()));
    let ended = run(&database, &queries, OTHER).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    for (at, (name, _)) in queries.iter().enumerate() {
        let found = answers(&ended, at);
        let timed = &found["timed"];
        assert_eq!(found["checks"], 1, "{name}: {found}");
        assert_eq!(timed["not_compared"], Value::Null, "{name}: {found}");
        assert!(timed["executions"].as_u64().unwrap() >= 4, "{name}: {found}");
        let wrong = *name == "wrong";
        assert_eq!(found["different"], u64::from(wrong), "{name}: {found}");
        assert_eq!(timed["different"].as_u64().unwrap() > 0, wrong, "{name}: {found}");
        let left_out = if *name == "unlike" { json!(["u"]) } else { json!([]) };
        assert_eq!(timed["left_out"], left_out, "{name}: {found}");
    }
}
