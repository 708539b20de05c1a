//! A run against a real server, judged by SQL: what was acknowledged is there, once, as planned.

use std::fs;

use serde_json::Value;

use crate::support::{Database, Ended, Program, are_of_the_machine};

const TABLE: &str = "l40s_realtime_stream";

/// A short run without readers and warm-up, to its end.
async fn stream(database: &Database, args: &[&str]) -> Ended {
    let mut all = args.to_vec();
    for [flag, value] in [["--readers", "0"], ["--warmup", "0s"], ["--duration", "2s"]] {
        if !args.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    Program::run(database, &all).end().await
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is not a whole number"))
}

/// Checks the ids of each partition: unique, dense, from 1. Returns the rows of each.
async fn dense(database: &Database, table: &str) -> Vec<i64> {
    let sql = format!(
        "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {table} \
         GROUP BY gpu_partition ORDER BY gpu_partition"
    );
    let rows = database.rows(&sql).await;
    for row in &rows {
        assert_eq!(row[0], row[1], "an id is there twice");
        assert_eq!((&*row[2], &row[3]), ("1", &row[0]), "ids have gaps");
    }
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

/// A checksum of rows that does not depend on their order; `columns` as in SQL.
async fn checksum(database: &Database, columns: &str, from: &str) -> String {
    let sql = format!(
        "SELECT md5(string_agg(md5(({columns})::text), '' ORDER BY gpu_partition, id)) FROM {from}"
    );
    database.text(&sql).await
}

/// Every row of a table that one run filled holds the moment it was due, to the microsecond.
async fn due_times_hold(database: &Database, table: &str, rate: u32, lanes: u32) {
    // Row `id` of a partition is event (id − 1) × lanes + partition of the whole stream.
    let wrong = database
        .number(&format!(
            "WITH origin AS (SELECT created_at AS at FROM {table} WHERE gpu_partition = 0 AND id = 1) \
             SELECT count(*) FROM {table}, origin \
             WHERE created_at - at <> \
                   ((id - 1) * {lanes} + gpu_partition) * 1000000 / {rate} * interval '1 us'"
        ))
        .await;
    assert_eq!(wrong, 0, "rows whose created_at is not their due time");
}

#[tokio::test]
async fn every_row_acknowledged_is_there_once_and_on_time() {
    let database = Database::create().await;
    let ended = stream(&database, &["--rate", "3000", "--partitions", "3"]).await;
    let result = ended.done();
    let rows = dense(&database, TABLE).await;
    assert_eq!(rows, [2000, 2000, 2000]);
    let figures = &result["stream"];
    for figure in ["rows_due", "rows_sent", "rows_acknowledged", "rows_found"] {
        assert_eq!(figures[figure], 6000, "{figure}");
    }
    assert_eq!(figures["rows_dropped"], 0);
    assert_eq!(figures["table_created"], true);
    due_times_hold(&database, TABLE, 3000, 3).await;
    // The report has the start in milliseconds.
    let off_by = database
        .number(&format!(
            "SELECT abs(extract(epoch FROM min(created_at) - '{}'::timestamptz) * 1e6)::bigint \
             FROM {TABLE}",
            result["started_at"].as_str().unwrap()
        ))
        .await;
    assert!(off_by < 1000, "the first row was due {off_by} µs off the reported start");
    // No row was stored before it was due.
    let early =
        format!("SELECT count(*) FROM {TABLE} WHERE pg_xact_commit_timestamp(xmin) < created_at");
    assert_eq!(database.number(&early).await, 0);
    assert!(ended.stdout.contains("6,000"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_rate_that_does_not_divide_is_split_to_the_row() {
    let database = Database::create().await;
    let result = stream(&database, &["--rate", "1001", "--partitions", "3"]).await.done();
    let rows = dense(&database, TABLE).await;
    assert_eq!(rows.iter().sum::<i64>(), 2002);
    assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1, "{rows:?}");
    due_times_hold(&database, TABLE, 1001, 3).await;
    for (partition, rows) in result["stream"]["partitions"].as_array().unwrap().iter().zip(rows) {
        assert_eq!(number(&partition["rows_acknowledged"]), rows);
    }
}

#[tokio::test]
async fn a_slow_stream_sends_what_has_lingered() {
    let database = Database::create().await;
    let args = ["--rate", "7", "--partitions", "3", "--linger", "50ms"];
    let result = stream(&database, &args).await.done();
    assert_eq!(dense(&database, TABLE).await, [5, 5, 4]);
    assert_eq!(result["stream"]["batches"], 14, "no two rows were due within the linger");
    due_times_hold(&database, TABLE, 7, 3).await;
}

#[tokio::test]
async fn unthrottled_rows_add_up_too() {
    let database = Database::create().await;
    let args = ["--rate", "max", "--partitions", "2", "--duration", "1s"];
    let result = stream(&database, &args).await.done();
    let rows: i64 = dense(&database, TABLE).await.iter().sum();
    let figures = &result["stream"];
    assert!(rows >= 20_000, "{rows}");
    for figure in ["rows_due", "rows_sent", "rows_acknowledged", "rows_found"] {
        assert_eq!(number(&figures[figure]), rows, "{figure}");
    }
    assert_eq!(figures["target_rows_per_s"], Value::Null);
    let backwards = format!(
        "SELECT count(*) FROM (SELECT created_at < lag(created_at) OVER \
         (PARTITION BY gpu_partition ORDER BY id) AS back FROM {TABLE}) AS rows WHERE back"
    );
    assert_eq!(database.number(&backwards).await, 0);
}

#[tokio::test]
async fn a_second_run_appends_and_leaves_the_first_rows_alone() {
    let database = Database::create().await;
    let args = ["--rate", "1000", "--partitions", "2", "--duration", "1s"];
    stream(&database, &args).await.done();
    let from = format!("{TABLE} WHERE id <= 500");
    let before = checksum(&database, "id, category, region, amount, created_at", &from).await;

    // More partitions than before: the missing ones are added.
    let args = ["--rate", "1000", "--partitions", "4", "--duration", "1s"];
    let result = stream(&database, &args).await.done();
    assert_eq!(dense(&database, TABLE).await, [750, 750, 250, 250]);
    let from = format!("{TABLE} WHERE id <= 500 AND gpu_partition < 2");
    assert_eq!(
        checksum(&database, "id, category, region, amount, created_at", &from).await,
        before
    );
    let figures = &result["stream"];
    assert_eq!(
        (&figures["table_created"], &figures["partitions_added"]),
        (&false.into(), &2.into())
    );
    assert_eq!(
        (&figures["rows_found"], &figures["rows_acknowledged"]),
        (&1000.into(), &1000.into())
    );
    let partitions = figures["partitions"].as_array().unwrap();
    let first_ids: Vec<i64> = partitions.iter().map(|p| number(&p["first_id"])).collect();
    assert_eq!(first_ids, [501, 501, 1, 1]);

    let args = ["--rate", "100", "--partitions", "1", "--duration", "1s", "--recreate"];
    stream(&database, &args).await.done();
    assert_eq!(dense(&database, TABLE).await, [100]);
}

#[tokio::test]
async fn a_table_made_by_hand_is_used_as_it_is() {
    let database = Database::create().await;
    // Columns in another order, one more with a default, an index, another partition name.
    database
        .execute(
            "CREATE TABLE mine (created_at timestamptz, amount numeric, note text DEFAULT 'hm', \
             region varchar, category text, id bigint, gpu_partition integer) \
             PARTITION BY LIST (gpu_partition); \
             CREATE TABLE leaf PARTITION OF mine FOR VALUES IN (1, 0); \
             CREATE INDEX ON mine (created_at)",
        )
        .await;
    let args = ["--table", "mine", "--rate", "500", "--partitions", "3", "--duration", "1s"];
    let result = stream(&database, &args).await.done();
    assert_eq!(result["stream"]["partitions_added"], 1);
    assert_eq!(dense(&database, "mine").await.iter().sum::<i64>(), 500);
    assert_eq!(database.number("SELECT count(*) FROM mine WHERE note = 'hm'").await, 500);
}

#[tokio::test]
async fn odd_table_names_are_quoted_everywhere() {
    let database = Database::create().await;
    database.execute("CREATE SCHEMA \"My Schema\"").await;
    let long = "\"é'\\{table} 0123456789 0123456789 0123456789 0123456789 $1\"";
    for table in ["\"My Schema\".\"Wéird \"\"table\"", "\"SELECT\"", long, "Public.Folded"] {
        let args = ["--table", table, "--rate", "300", "--duration", "1s"];
        let ended = stream(&database, &[&args[..], &["--readers", "2"]].concat()).await;
        let result = ended.done();
        assert_eq!(result["stream"]["rows_found"], 300, "{table}");
        assert_eq!(dense(&database, table).await, [100, 100, 100], "{table}");
        for query in result["queries"].as_array().unwrap() {
            assert_eq!(query["errors"], serde_json::json!({}), "{table}: {query}");
        }
        // And again, into the table that is there now.
        let result = stream(&database, &args).await.done();
        assert_eq!(result["stream"]["table_created"], false, "{table}");
        assert_eq!(dense(&database, table).await, [200, 200, 200], "{table}");
    }
    assert_eq!(database.number("SELECT count(*) FROM public.folded").await, 600);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_rows() {
    let database = Database::create().await;
    let mut sums = Vec::new();
    for (table, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        let args = ["--table", table, "--seed", seed, "--rate", "2000", "--duration", "1s"];
        stream(&database, &args).await.done();
        sums.push(checksum(&database, "id, category, region, amount, gpu_partition", table).await);
    }
    assert_eq!(sums[0], sums[1]);
    assert_ne!(sums[0], sums[2]);
}

#[tokio::test]
async fn readers_are_measured_beside_the_stream() {
    let database = Database::create().await;
    let args = ["--rate", "1000", "--warmup", "1s", "--duration", "3s", "--readers", "2"];
    let result = Program::run(&database, &args).end().await.done();
    assert_eq!(result["stream"]["rows_found"], 4000);
    assert_eq!(result["stream"]["measured"]["rows_due"], 3000);
    assert_eq!(result["server"]["pg_strom_loaded"], false);
    let queries = result["queries"].as_array().unwrap();
    assert_eq!(queries.len(), 5);
    for query in queries {
        assert_eq!(query["arm"], "cpu", "{query}");
        assert!(number(&query["executions"]) > 0, "{query}");
        assert!(number(&query["rows"]) > 0, "{query}");
        assert_eq!(query["errors"], serde_json::json!({}));
        let ms = |figure: &str| query["response"][figure].as_f64().unwrap();
        assert!(0.0 < ms("p50_ms") && ms("p50_ms") <= ms("p99_ms") && ms("p99_ms") <= ms("max_ms"));
        let has_newest =
            ["category_aggregate", "last_minute"].contains(&query["query"].as_str().unwrap());
        assert_eq!(query["newest_age"].is_object(), has_newest, "{query}");
        assert!(query["answer_age"].is_object() && query["freshness"].is_object(), "{query}");
    }
}

#[tokio::test]
async fn an_open_loop_of_readers_keeps_its_rate() {
    let database = Database::create().await;
    let args = ["--rate", "300", "--duration", "3s", "--readers", "2", "--query-rate", "10"];
    let result = stream(&database, &args).await.done();
    let queries = result["queries"].as_array().unwrap();
    let asked: i64 = queries
        .iter()
        .map(|query| number(&query["executions"]) + number(&query["interrupted"]))
        .sum();
    assert!((20..=30).contains(&asked), "{asked} queries in 3 s at 10/s");
}

#[tokio::test]
async fn a_query_that_fails_is_counted_and_the_run_goes_on() {
    let database = Database::create().await;
    let profile = "name = 'failing'\n[stream]\n[[readers.queries]]\nname = 'zero'\n\
                   sql = 'SELECT 1 / (count(*) - count(*)) FROM {table}'\n\
                   [[readers.queries]]\nname = 'slow'\nsql = 'SELECT pg_sleep(60)'\n";
    let folder = crate::support::scratch();
    let file = folder.path().join("failing.toml");
    fs::write(&file, profile).unwrap();
    let address = database.address();
    let mut args = vec!["run", file.to_str().unwrap(), "--database-url", &address];
    args.extend(["--rate", "300", "--warmup", "0s", "--duration", "2s", "--output", "out"]);
    args.extend(["--metrics-addr", "off", "--statement-timeout", "200ms"]);
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["stream"]["rows_found"], 600);
    let codes = |query: usize| {
        let errors = result["queries"][query]["errors"].as_object().unwrap();
        errors.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(codes(0), ["22012"], "division by zero");
    assert_eq!(codes(1), ["57014"], "cancelled by the statement timeout");
}

#[tokio::test]
async fn a_threshold_decides_the_exit_code() {
    let database = Database::create().await;
    let holds = ["--threshold", "rate_ratio >= 0", "--threshold", "errors <= 0"];
    let common = ["--rate", "300", "--duration", "1s"];
    let result = stream(&database, &[&common[..], &holds[..]].concat()).await.done();
    assert_eq!(result["thresholds"][0]["passed"], true);
    assert_eq!(result["thresholds"][1]["value"], 0.0);

    let fails = ["--threshold", "errors > 0", "--threshold", "response_p99_ms < 60000"];
    let ended = stream(&database, &[&common[..], &holds[..], &fails[..]].concat()).await;
    assert_eq!(ended.code, Some(99), "{}", ended.stderr);
    let verdicts: Vec<_> = ended.result()["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|threshold| threshold["passed"].as_bool().unwrap())
        .collect();
    assert_eq!(verdicts, [true, true, false, false]);
    let few = "`response_p99_ms < 60000`: cannot be judged: ";
    assert!(ended.stdout.contains(few), "{}", ended.stdout);
}

#[tokio::test]
async fn the_result_on_standard_output_is_the_saved_one() {
    let database = Database::create().await;
    let ended = stream(&database, &["--duration", "1s", "--format", "json"]).await;
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed, ended.done());
    assert_eq!(printed["format_version"], 2);
    // Logs as JSON are one object a line, whatever else is chosen.
    let ended = stream(&database, &["--duration", "1s", "--log-format", "json"]).await;
    ended.done();
    assert!(!ended.stderr.is_empty());
    for line in ended.stderr.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[tokio::test]
async fn two_loaders_share_a_server_but_not_a_table() {
    let database = Database::create().await;
    let common = ["--rate", "500", "--readers", "0", "--warmup", "0s"];
    let first = Program::run(&database, &[&common[..], &["--duration", "5s"]].concat());
    first.says("results in").await;
    database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;

    let short = [&common[..], &["--duration", "1s"]].concat();
    let second = Program::run(&database, &short).end().await;
    assert_eq!(second.code, Some(3), "{}", second.stderr);
    let expected = "another strom-load is at it: session";
    assert!(second.stderr.contains(expected), "{}", second.stderr);
    assert!(!second.work().join("out").exists());
    // Not even with --recreate does it pull the table from under the first.
    let second = Program::run(&database, &[&short[..], &["--recreate"]].concat()).end().await;
    assert_eq!(second.code, Some(3), "{}", second.stderr);
    assert!(second.stderr.contains(expected), "{}", second.stderr);

    let other = Program::run(&database, &[&short[..], &["--table", "other"]].concat());
    assert_eq!(other.end().await.done()["stream"]["rows_found"], 500);
    assert_eq!(first.end().await.done()["stream"]["rows_found"], 2500);
    assert_eq!(dense(&database, TABLE).await.iter().sum::<i64>(), 2500);
    assert_eq!(dense(&database, "other").await.iter().sum::<i64>(), 500);
}

#[tokio::test]
async fn two_loaders_with_servers_of_their_own_do_not_meet() {
    let run = |metrics: &'static str| {
        let mut args = vec!["--rate", "300", "--duration", "1s", "--warmup", "0s"];
        args.extend(["--readers", "1", "--output", "out", "--metrics-addr", metrics]);
        Program::start(&args)
    };
    let (one, two) = (run("127.0.0.1:0"), run("127.0.0.1:0"));
    let folder = |said: String| {
        let host = said.split_once("-h ").unwrap().1.split(' ').next().unwrap().to_owned();
        std::path::PathBuf::from(host).parent().unwrap().to_owned()
    };
    let folders =
        [folder(one.says("connect with: ").await), folder(two.says("connect with: ").await)];
    assert_ne!(folders[0], folders[1]);
    for ended in [one.end().await, two.end().await] {
        let result = ended.done();
        assert_eq!(result["server"]["embedded"], true);
        assert_eq!(result["stream"]["rows_found"], 300);
    }
    for folder in folders {
        assert!(!folder.exists(), "{} is left", folder.display());
    }
}

#[tokio::test]
async fn random_arrivals_depend_on_the_seed_and_not_on_the_partitions() {
    let database = Database::create().await;
    for arrival in ["poisson", "burst"] {
        let mut moments = Vec::new();
        for partitions in ["1", "3"] {
            let table = format!("{arrival}_{partitions}");
            let args = ["--rate", "2000", "--arrival", arrival, "--partitions", partitions];
            let result =
                stream(&database, &[&args[..], &["--table", &table]].concat()).await.done();
            let figures = &result["stream"];
            assert_eq!(figures["rows_found"], figures["rows_due"], "{arrival}");
            // By number of all: row `id` of a partition is event (id − 1) × lanes + partition.
            let sql = format!(
                "SELECT md5(string_agg((extract(epoch FROM created_at - (SELECT min(created_at) \
                 FROM {table})) * 1e6)::bigint::text, ' ' \
                 ORDER BY (id - 1) * {partitions} + gpu_partition)) || count(*) FROM {table}"
            );
            moments.push(database.text(&sql).await);
            let early = format!(
                "SELECT count(*) FROM {table} WHERE pg_xact_commit_timestamp(xmin) < created_at"
            );
            assert_eq!(database.number(&early).await, 0, "{arrival}");
        }
        assert_eq!(moments[0], moments[1], "{arrival}");
    }
}

#[tokio::test]
async fn a_ramp_falls_due_as_the_area_below_it_and_says_its_target() {
    let database = Database::create().await;
    let folder = crate::support::scratch();
    let file = folder.path().join("ramp.toml");
    let profile = "warmup_s = 0\nduration_s = 8\n[readers]\ncount = 0\n[stream.shape]\n\
                   stages = [{ to = 3000, over = \"6s\" }]\n";
    fs::write(&file, profile).unwrap();
    let address = database.address();
    let file = file.to_str().unwrap();
    let args = ["run", file, "--metrics-addr", "off", "--output", "out", "--database-url"];
    let ended = Program::start(&[&args[..], &[&address]].concat()).end().await;
    let result = ended.done();
    let rows: i64 = dense(&database, TABLE).await.iter().sum();
    assert_eq!(rows, 9_000 + 6_000, "half of 6 s × 3000/s, and 2 s of the last rate");
    assert_eq!(number(&result["stream"]["rows_due"]), rows);
    assert_eq!(result["stream"]["target_rows_per_s"], 1_875, "the mean of 8 s");
    let mut due = 0.0;
    for interval in result["intervals"].as_array().unwrap() {
        let figure = |key: &str| interval[key].as_f64();
        let Some(target) = figure("target_rows_per_s") else { continue };
        let (start, length) = (figure("start_s").unwrap(), figure("length_s").unwrap());
        let area = |at: f64| if at < 6.0 { 250.0 * at * at } else { 3_000.0 * at - 9_000.0 };
        // The last one has the end of the schedule in it, or the drain.
        let end = (start + length).min(8.0);
        let wanted = (area(end) - area(start)) / (end - start);
        assert!((target - wanted).abs() < 2.0, "{target} of {wanted} at {start} s");
        due += target * (end - start);
    }
    assert!((due - 15_000.0).abs() < 15.0, "{due}");
    assert!(ended.stderr.contains(" rows/s of 1,"), "{}", ended.stderr);
}

#[tokio::test]
async fn low_rates_are_what_they_are() {
    let database = Database::create().await;
    for (rate, duration, rows) in [("1", "4s", 4), ("2", "5s", 10)] {
        let args = ["--rate", rate, "--duration", duration, "--table", &format!("slow_{rate}")];
        let result = stream(&database, &args).await.done();
        assert_eq!(number(&result["stream"]["measured"]["rows_acknowledged"]), rows);
        // A machine that stalls for a second may miss even this rate; then the time says so.
        let planned_s = rows as f64 / rate.parse::<f64>().unwrap();
        let measured_s = result["measured_s"].as_f64().unwrap();
        let achieved = result["stream"]["achieved_rows_per_s"].as_f64().unwrap();
        assert!((achieved * measured_s - rows as f64).abs() < 1e-6, "{achieved} over {measured_s}");
        assert!((planned_s..planned_s + 0.25).contains(&measured_s), "{measured_s}");
    }
}

#[tokio::test]
async fn a_third_of_the_rate_is_a_third_though_every_row_arrives() {
    let database = Database::create().await;
    let args = ["--table", "slow", "--rate", "300", "--partitions", "1", "--batch-rows", "30"];
    stream(&database, &[&args[..], &["--duration", "1s"]].concat()).await.done();
    let session = database.session().await;
    session
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'; \
             CREATE TRIGGER slow AFTER INSERT ON slow FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    let gates = ["--threshold", "rate_ratio >= 0.99", "--threshold", "delivered_ratio >= 1"];
    let ended = stream(&database, &[&args[..], &gates[..]].concat()).await;
    let result = ended.result();
    // A busy machine's own delay goes before the threshold, since it says that the rate is no figure of the server.
    let of_the_machine = are_of_the_machine(result["shortfalls"].as_array().unwrap());
    assert!(ended.code == Some(99) || ended.code == Some(6) && of_the_machine, "{}", ended.stderr);
    let passed = |place: usize| result["thresholds"][place]["passed"].as_bool().unwrap();
    assert_eq!((passed(0), passed(1)), (false, true), "{}", result["thresholds"]);
    // 30 rows each 0.3 s are a third of 300 rows/s, and fewer where the machine has more to do.
    let ratio = result["stream"]["measured"]["rate_ratio"].as_f64().unwrap();
    assert!((0.03..0.36).contains(&ratio), "{ratio}");
    assert_eq!(result["stream"]["measured"]["delivered_ratio"], 1.0);
}

#[tokio::test]
async fn rows_that_are_dropped_stay_in_the_percentiles() {
    let database = Database::create().await;
    let args = ["--table", "slow", "--rate", "300", "--partitions", "1", "--batch-rows", "30"];
    stream(&database, &[&args[..], &["--duration", "1s"]].concat()).await.done();
    let session = database.session().await;
    session
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END'; \
             CREATE TRIGGER slow AFTER INSERT ON slow FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    let gates = ["--threshold", "response_max_ms < 60000", "--threshold", "rate_ratio < 0.5"];
    let few = ["--backlog-rows", "120", "--duration", "3s", "--allow-dropped", "100%"];
    let ended = stream(&database, &[&args[..], &gates[..], &few[..]].concat()).await;
    assert_eq!(ended.code, Some(99), "{}", ended.stderr);
    let result = ended.result();
    let stream = &result["stream"];
    let dropped = number(&stream["rows_dropped"]);
    assert!(dropped > 300, "{dropped}");
    assert_eq!(number(&stream["row_latency"]["censored"]), dropped);
    assert_eq!(number(&stream["row_latency"]["count"]), 900, "each row that was due is counted");
    let response = &stream["response"];
    // As many batches as they would have filled, and more where they were given up in parts.
    let batches = number(&response["censored"]);
    assert!(batches >= dropped / 30, "{response}");
    assert_eq!(number(&response["count"]), number(&stream["batches"]) + batches);
    let threshold = &result["thresholds"][0];
    let at_least = threshold["at_least"].as_bool();
    assert_eq!((threshold["passed"].as_bool(), at_least), (Some(false), Some(true)), "{threshold}");
    assert_eq!(result["thresholds"][1]["passed"], true);
    assert!(ended.stdout.contains("rows that were due in the measurement were given up"));
    assert!(ended.stdout.contains("≥ "), "{}", ended.stdout);
}
