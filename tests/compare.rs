//! Arms, plans and answers against a real server. It has no PG-Strom; where a test needs one, a
//! stand-in brings its settings, and the plans are PostgreSQL's own.

use std::fs;

use serde_json::Value;

use crate::support::{Database, Ended, Program, scratch, shared, with_stand_in};

/// Runs a profile to its end; the keys of a short run are put before it.
async fn run(database: &Database, profile: &str, args: &[&str]) -> Ended {
    start(database, profile, args).end().await
}

fn start(database: &Database, profile: &str, args: &[&str]) -> Program {
    start_at(&database.address(), profile, args)
}

fn start_at(address: &str, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("compared.toml");
    let head = "warmup_s = 0\nduration_s = 4\nstream = {}\n";
    fs::write(&path, format!("{head}{profile}")).unwrap();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", address];
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    all.extend(args);
    Program::start_in(folder, &all, &[])
}

fn named<'a>(list: &'a Value, query: &str, arm: &str) -> &'a Value {
    let all = list.as_array().unwrap();
    let found = all.iter().find(|item| item["query"] == query && item["arm"] == arm);
    found.unwrap_or_else(|| panic!("{query} ({arm}) is not in {list}"))
}

const TWO_ARMS: &str = r"
[arms.serial]
set = { max_parallel_workers_per_gather = 0, jit = false }
[arms.no_seqscan]
set = { enable_seqscan = false, jit = false }
[readers]
count = 1
";

#[tokio::test]
async fn arms_alternate_in_pairs_and_their_settings_hold() {
    let database = Database::create().await;
    let profile = format!(
        "{TWO_ARMS}
[[readers.queries]]
name = \"same\"
sql = \"SELECT gpu_partition, count(*), avg(amount) FROM {{table}} GROUP BY 1\"
[[readers.queries]]
name = \"set_as_said\"
answers = \"off\"
sql = \"SELECT 1 / (CASE current_setting('max_parallel_workers_per_gather') || \
current_setting('enable_seqscan') WHEN '0on' THEN 1 WHEN '2off' THEN 1 ELSE 0 END)\"
"
    );
    let ended = run(&database, &profile, &[]).await;
    let result = ended.done();
    for comparison in result["comparisons"].as_array().unwrap() {
        assert_eq!(comparison["arms"], serde_json::json!(["serial", "no_seqscan"]));
        let pairs = comparison["pairs"].as_u64().unwrap();
        assert!(pairs >= 3, "{comparison}");
        assert_eq!(comparison["pairs_cold"], 0, "a block waits until its queries are warm");
        assert_eq!(comparison["pairs_broken"], 0);
        assert_eq!(comparison["times"]["pairs"], pairs);
        for arm in ["serial", "no_seqscan"] {
            let query = comparison["query"].as_str().unwrap();
            let report = named(&result["queries"], query, arm);
            let executions = report["executions"].as_u64().unwrap();
            assert!(executions >= pairs, "{report}");
            assert_eq!(report["errors"], serde_json::json!({}), "a setting did not hold");
            assert_eq!(report["plan"]["evidence"]["verdict"], "cpu");
        }
    }
    let answers = &result["comparisons"][0]["answers"];
    assert!(answers["checks"].as_u64().unwrap() >= 1, "{answers}");
    assert_eq!((&answers["different"], &answers["failed"]), (&0.into(), &0.into()), "{answers}");
    assert_eq!(result["comparisons"][1]["answers"]["checks"], 0, "it was switched off");
}

#[tokio::test]
async fn a_slow_query_is_cut_once_and_the_others_get_their_verdict() {
    let database = Database::create().await;
    // Its share is two fifths of the run, and each arm may take half of that.
    let sleep = |name: &str, first: f64, second: f64| {
        format!(
            "[[readers.queries]]\nname = \"{name}\"\nanswers = \"off\"\nsql = \"SELECT pg_sleep(CASE \
             current_setting('enable_seqscan') WHEN 'on' THEN {first} ELSE {second} END)\"\n"
        )
    };
    let queries = [sleep("slow", 30.0, 0.2), sleep("a", 0.15, 0.02), sleep("b", 0.02, 0.15)];
    let profile = format!("{TWO_ARMS}{}", queries.concat());
    let ended = run(&database, &profile, &["--readers", "2", "--duration", "10s"]).await;
    let result = ended.done();
    let [slow, a, b] = result["comparisons"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&slow["pairs"], &slow["tried"]["known"]), (&0.into(), &"at_least".into()));
    let [cut, answered] = slow["tried"]["arms"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&cut["cut"], &answered["cut"]), (&true.into(), &false.into()), "{slow}");
    let after_s = cut["after_s"].as_f64().unwrap();
    assert!((2.0..10.0).contains(&after_s), "{slow}");
    let bound = slow["tried"]["ratio"].as_f64().unwrap();
    assert!((1.0..30.0 / 0.2).contains(&bound), "{slow}");
    let report = named(&result["queries"], "slow", "serial");
    assert_eq!((&report["cut"], &report["executions"]), (&1.into(), &0.into()), "tried once");
    assert_eq!(report["errors"], serde_json::json!({}));
    assert!(ended.stdout.contains("tried once: serial cut at"), "{}", ended.stdout);
    for (comparison, right) in [(a, "faster"), (b, "slower")] {
        // For sure, so far, or too few for a word: how many pairs ten seconds make is up to the machine.
        let few = comparison["pairs"].as_u64().unwrap() < 10;
        let verdict = comparison["times"]["verdict"].as_str().unwrap().replace("_so_far", "");
        assert!(verdict == right || few && verdict == "too_few_pairs", "{comparison}");
    }
}

#[tokio::test]
async fn a_planted_wrong_answer_is_found_and_invalidates_the_arm() {
    let database = Database::create().await;
    let profile = format!(
        "{TWO_ARMS}
[evidence]
answers_every_s = 1
[[readers.queries]]
name = \"planted\"
sql = \"SELECT id, CASE WHEN current_setting('enable_seqscan') = 'off' AND id = 77 THEN NULL \
ELSE region END AS region FROM {{table}} WHERE gpu_partition = 0\"
"
    );
    let ended = run(&database, &profile, &["--rate", "6000"]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["status"], "done");
    let comparison = &result["comparisons"][0];
    assert_eq!(comparison["valid"], false);
    let different = comparison["answers"]["different"].as_u64().unwrap();
    assert!(different > 1, "{comparison}");
    assert_eq!(ended.stderr.matches("are different: ").count(), 1, "{}", ended.stderr);
    let total = format!("the answers of `planted` were different {different} times of {different}");
    assert_eq!(ended.stderr.matches(&total).count(), 1, "{}", ended.stderr);
    let difference = &comparison["answers"]["differences"][0];
    assert_eq!(difference["only"], serde_json::json!([1, 1]));
    assert_eq!(difference["examples"][1][0], serde_json::json!({"id": "77", "region": null}));
    assert_eq!(named(&result["queries"], "planted", "serial")["valid"], true);
    assert_eq!(named(&result["queries"], "planted", "no_seqscan")["valid"], false);
    assert!(ended.stdout.contains("INVALID"), "{}", ended.stdout);
    assert!(ended.stdout.contains("id = 77, region = NULL"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_planted_wrong_order_is_found_and_one_that_nobody_can_judge_is_not_called_the_same() {
    let database = Database::create().await;
    database
        .execute("CREATE TABLE facts AS SELECT n AS id FROM generate_series(1, 1000) AS n")
        .await;
    // The second arm has two rows in each other's place. What decides is no column of the answer.
    let query = |more: &str| {
        format!(
            "{TWO_ARMS}
[[readers.queries]]
name = \"swapped\"
{more}
sql = \"SELECT id FROM facts ORDER BY CASE WHEN current_setting('enable_seqscan') = 'off' \
AND id IN (500, 501) THEN 1001 - id ELSE id END\"
"
        )
    };
    let ended = run(&database, &query("order_by = [\"id\"]"), &[]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let comparison = &ended.result()["comparisons"][0];
    assert_eq!(comparison["answers"]["ordered_by"], serde_json::json!(["id"]));
    let difference = &comparison["answers"]["differences"][0];
    assert_eq!(difference["only"], serde_json::json!([0, 0]));
    assert_eq!(
        difference["order"],
        serde_json::json!({"row": 500, "keys": [{"id": "500"}, {"id": "501"}]})
    );
    let said = "another order, first at row 500: id = 500 in serial; id = 501 in no_seqscan";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);

    let ended = run(&database, &query(""), &[]).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    let result = ended.result();
    assert_eq!(result["shortfalls"][0]["kind"], "not_compared");
    let what = result["shortfalls"][0]["what"].as_str().unwrap();
    assert!(what.contains("name the columns that decide in `order_by`"), "{what}");
    let answers = &result["comparisons"][0]["answers"];
    assert_eq!((&answers["checks"], &answers["different"]), (&0.into(), &0.into()), "{answers}");

    let ended = run(&database, &query("order_by = []"), &[]).await;
    let answers = &ended.done()["comparisons"][0]["answers"];
    assert!(answers["checks"].as_u64().unwrap() >= 1, "{answers}");
    assert_eq!((&answers["different"], &answers["failed"]), (&0.into(), &0.into()), "{answers}");
    for key in ["order_by", "ties"] {
        let ended = run(&database, &query(&format!("{key} = [\"ident\"]")), &[]).await;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        let said = format!("query `swapped`: `{key}` names `ident`, which is no column");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    }
}

/// The two arms read tables of the same name.
#[tokio::test]
async fn arms_that_set_search_path_are_compared() {
    let database = Database::create().await;
    let sql = "CREATE SCHEMA heap; CREATE SCHEMA indexed;
               CREATE TABLE heap.facts AS SELECT n AS id, n * 0.5 AS amount
                   FROM generate_series(1, 1000) AS n;
               CREATE TABLE indexed.facts AS SELECT id::bigint, amount FROM heap.facts;";
    database.execute(sql).await;
    let profile = r#"
[arms.heap]
set = { search_path = "heap, public" }
[arms.indexed]
set = { search_path = "indexed, public" }
[readers]
count = 1
[[readers.queries]]
name = "total"
sql = "SELECT count(*), sum(amount), max(id) AS last FROM facts"
"#;
    let result = run(&database, profile, &[]).await.done();
    let comparison = &result["comparisons"][0];
    assert!(comparison["pairs"].as_u64().unwrap() > 0, "{comparison}");
    assert!(comparison["answers"]["checks"].as_u64().unwrap() > 0, "{comparison}");
    assert_eq!(comparison["answers"]["different"], 0, "{comparison}");

    database.execute("UPDATE indexed.facts SET amount = amount + 0.01 WHERE id = 7").await;
    let ended = run(&database, profile, &[]).await;
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);

    database.execute("ALTER TABLE indexed.facts RENAME id TO key").await;
    let ended = run(&database, profile, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said =
        "query `total` in arm `indexed`: failed to prepare the query: column \"id\" does not exist";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[tokio::test]
async fn now_is_the_same_in_both_arms() {
    let database = Database::create().await;
    let profile = format!(
        "{TWO_ARMS}
[[readers.queries]]
name = \"clock\"
sql = \"SELECT now(), count(*) FROM {{table}} WHERE created_at > now() - interval '1 second'\"
"
    );
    let result = run(&database, &profile, &[]).await.done();
    assert!(result["comparisons"][0]["answers"]["checks"].as_u64().unwrap() >= 1);
    assert_eq!(result["comparisons"][0]["answers"]["different"], 0);
}

#[tokio::test]
async fn an_arm_with_an_unknown_setting_is_refused_before_anything_is_made() {
    let database = Database::create().await;
    let profile = r#"
[arms.small]
set = { "pg_strom.chunk_size" = "64MB" }
[arms.large]
set = { "pg_strom.chunk_size" = "128MB" }
[[readers.queries]]
name = "q"
sql = "SELECT count(*) FROM {table}"
"#;
    let ended = run(&database, profile, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("arm `large` sets `pg_strom.chunk_size`: no known release of PG-Strom")
            || ended.stderr.contains("arm `small` sets `pg_strom.chunk_size`: no known release"),
        "{}",
        ended.stderr
    );
    assert_eq!(database.text("SELECT to_regclass('l40s_realtime_stream') IS NULL").await, "t");
}

#[tokio::test]
async fn on_without_a_gpu_node_is_never_called_gpu() {
    let (_library, server) = with_stand_in(&[]).await;
    let address = server.conninfo();
    let profile = r#"
[readers]
count = 1
[[readers.queries]]
name = "by_minute"
sql = "SELECT date_trunc('minute', created_at), count(*) FROM {table} GROUP BY 1"
[[readers.queries]]
name = "only_off"
gpu = "off"
sql = "SELECT count(*) FROM {table}"
"#;
    let ended = start_at(&address, profile, &["--gpu", "alternate"]).end().await;
    let result = ended.done();
    let on = named(&result["queries"], "by_minute", "on");
    assert_eq!((&on["gpu"], &on["plan"]["evidence"]["verdict"]), (&"on".into(), &"cpu".into()));
    assert_eq!(on["plan"]["hints"][0]["cause"], "date_trunc()");
    assert!(ended.stdout.contains("on, but ran on the CPU"), "{}", ended.stdout);
    assert!(ended.stdout.contains("why: date_trunc()"), "{}", ended.stdout);
    assert!(ended.stderr.contains("its extension was not created"), "{}", ended.stderr);
    let arms = result["queries"].as_array().unwrap().iter();
    let arms: Vec<_> = arms.map(|query| query["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["off", "on", "off"], "a query may have arms of its own");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_another_server_reads_is_called_remote() {
    let database = Database::create().await;
    let (host, port) = (shared().socket_dir.display(), shared().port);
    let (name, password) = (&database.name, &shared().password);
    let far = format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE TABLE near AS SELECT n AS id FROM generate_series(1, 1000) AS n;
         CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw
             OPTIONS (host '{host}', port '{port}', dbname '{name}');
         CREATE USER MAPPING FOR postgres SERVER itself
             OPTIONS (user 'postgres', password '{password}');
         CREATE FOREIGN TABLE far (id int) SERVER itself OPTIONS (table_name 'near');"
    );
    database.execute(&far).await;
    let profile = r#"
[[readers.queries]]
name = "far"
sql = "SELECT sum(far.id) FROM far JOIN near USING (id)"
[[readers.queries]]
name = "near"
sql = "SELECT sum(id) FROM near"
"#;
    let ended = run(&database, profile, &[]).await;
    let result = ended.done();
    let evidence = &named(&result["queries"], "far", "cpu")["plan"]["evidence"];
    assert_eq!(evidence["verdict"], "remote", "{evidence}");
    assert_eq!(evidence["remote_relations"], serde_json::json!(["far"]));
    let evidence = &named(&result["queries"], "near", "cpu")["plan"]["evidence"];
    assert_eq!(evidence["verdict"], "cpu");
    let shown = "remote (by the CPU: near; by another server: far)";
    assert!(ended.stdout.contains(shown), "{}", ended.stdout);
}

#[tokio::test]
async fn a_placeholder_of_the_settings_name_is_no_pg_strom() {
    let database = Database::create().await;
    let name = &database.name;
    database.execute(&format!("ALTER DATABASE {name} SET pg_strom.enabled = on")).await;
    let profile = r#"
[[readers.queries]]
name = "count"
sql = "SELECT count(*) FROM {table}"
"#;
    let ended = run(&database, profile, &["--gpu", "on"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("which this server has not loaded"), "{}", ended.stderr);
    let result = run(&database, profile, &[]).await.done();
    assert_eq!(result["queries"][0]["arm"], "cpu");
}

#[tokio::test]
async fn a_plan_that_changes_during_the_run_is_an_event() {
    let database = Database::create().await;
    let profile = r#"
duration_s = 6
[evidence]
plans_every_s = 1
[[readers.queries]]
name = "greatest"
sql = "SELECT max(amount) FROM {table} WHERE gpu_partition = 0"
"#;
    // The keys of the head come first, and once.
    let profile = profile.replace("duration_s = 6\n", "");
    let program = start(&database, &profile, &["--duration", "6s", "--rate", "10k"]);
    let begun = "SELECT to_regclass('l40s_realtime_stream_p0') IS NOT NULL";
    database.until(begun).await;
    database.until("SELECT count(*) > 10000 FROM l40s_realtime_stream_p0").await;
    database.execute("CREATE INDEX ON l40s_realtime_stream_p0 (amount)").await;
    let ended = program.end().await;
    let result = ended.done();
    let plan = &named(&result["queries"], "greatest", "cpu")["plan"];
    let changes = plan["changes"].as_array().unwrap();
    assert_eq!(plan["changed"], changes.len());
    let to_index = changes.iter().any(|change| {
        let shape = |key: &str| change[key].as_str().unwrap().contains("Index");
        !shape("from_shape") && shape("to_shape")
    });
    assert!(to_index, "{plan}");
}
