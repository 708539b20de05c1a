//! The queries of a job one by one, as they are saved beside its result.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::support::{Database, Ended, Program, scratch};

/// The lines of a run's executions, each by the names of the columns.
fn lines(ended: &Ended) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(ended.work().join("out/executions.csv")).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), head.len(), "{line}");
        let named = head.iter().zip(fields);
        named.map(|(name, field)| ((*name).to_owned(), field.to_owned())).collect()
    };
    lines.map(line).collect()
}

/// Of the lines of a query in an arm, the service times that were measured.
fn times_ns(lines: &[BTreeMap<String, String>], query: &str, arm: &str) -> Value {
    let own = lines.iter().filter(|line| line["query"] == query && line["arm"] == arm);
    let own = own.filter(|line| line["measured"] == "1");
    own.map(|line| json!(line["service_ns"].parse::<u64>().unwrap())).collect()
}

fn start(database: &Database, profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    let path = folder.path().join("profile.toml");
    fs::write(&path, profile).unwrap();
    let address = database.address();
    let mut all = vec!["run", path.to_str().unwrap(), "--database-url", &address];
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    all.extend(args);
    Program::start_in(folder, &all, &[])
}

const ARMS: &str = "[arms.serial]\nset = { max_parallel_workers_per_gather = 0, jit = false }\n\
                    [arms.no_seqscan]\nset = { enable_seqscan = false, jit = false }\n";

#[tokio::test]
async fn every_query_beside_a_stream_is_saved_with_what_was_known_of_it() {
    let database = Database::create().await;
    let profile = format!(
        "warmup_s = 1\nduration_s = 3\n{ARMS}
[stream]
[readers]
count = 2
[[readers.queries]]
name = \"newest\"
sql = \"SELECT max(created_at) AS newest FROM {{table}}\"
newest_column = \"newest\"
[[readers.queries]]
name = \"at_times\"
answers = \"off\"
sql = \"SELECT 1 / (random() < 0.75)::int\"
"
    );
    let ended = start(&database, &profile, &["--rate", "2000"]).end().await;
    let result = ended.result();
    assert_eq!(result["status"], "done", "{}", ended.stderr);
    let lines = lines(&ended);
    let mut shapes = BTreeSet::new();
    for query in result["queries"].as_array().unwrap() {
        let (name, arm) = (query["query"].as_str().unwrap(), query["arm"].as_str().unwrap());
        let own: Vec<_> =
            lines.iter().filter(|line| line["query"] == name && line["arm"] == arm).collect();
        let of = |what: &dyn Fn(&BTreeMap<String, String>) -> bool| {
            json!(own.iter().filter(|line| what(line)).count())
        };
        assert_eq!(of(&|line| line["sqlstate"].is_empty()), query["executions"], "{query}");
        assert_eq!(of(&|line| line["measured"] == "1"), query["histograms"]["service"]["count"]);
        let errors = query["errors"]["22012"].as_u64().unwrap_or(0);
        assert_eq!(of(&|line| line["sqlstate"] == "22012"), errors, "{query}");
        assert_eq!(errors > 0, name == "at_times", "{query}");
        assert_eq!(of(&|line| !line["answer_age_ms"].is_empty()) == 0, name == "at_times");
        // The sum is exact in both.
        let sum = times_ns(&lines, name, arm);
        let sum: u64 = sum.as_array().unwrap().iter().map(|ns| ns.as_u64().unwrap()).sum();
        assert_eq!(query["histograms"]["service"]["sum_ns"], sum);
        for shape in query["plan"]["shapes"].as_array().unwrap() {
            shapes.insert(shape["hash"].as_str().unwrap().to_owned());
        }
    }
    assert!(lines.iter().all(|line| line["weight"] == "1"));
    let known = |line: &BTreeMap<String, String>| shapes.contains(&line["plan"]);
    assert!(lines.iter().all(|line| line["plan"].is_empty() || known(line)), "{shapes:?}");
    assert!(lines.iter().any(known));
    pairs_are_made_of_samples(&lines, &result);
    while_a_sample_runs_nobody_is_in_the_other_arm(&lines);
    assert!(lines.iter().filter(|line| line["cold"] == "1").count() >= 8, "each once a session");
    // The table grows to what was acknowledged, and was empty before.
    assert_eq!(result["stream"]["rows_before"], 0);
    let rows: Vec<u64> = lines.iter().map(|line| line["rows"].parse().unwrap()).collect();
    let acknowledged = result["stream"]["rows_acknowledged"].as_u64().unwrap();
    assert!(rows.iter().all(|rows| *rows <= acknowledged), "{acknowledged}");
    assert!(rows.iter().max().unwrap() * 2 > acknowledged, "{acknowledged}");
    assert!(rows.iter().min().unwrap() * 2 < acknowledged, "{acknowledged}");
    let took = result["took_s"].as_f64().unwrap();
    assert!(lines.iter().all(|line| line["start_s"].parse::<f64>().unwrap() < took));
}

/// The pairs of a run are the blocks in which a query has samples in both arms; the last may not be over.
fn pairs_are_made_of_samples(lines: &[BTreeMap<String, String>], result: &Value) {
    for comparison in result["comparisons"].as_array().unwrap() {
        let name = comparison["query"].as_str().unwrap();
        let mut arms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in lines.iter().filter(|line| line["query"] == name && line["sample"] == "1") {
            assert_eq!((line["measured"].as_str(), line["cold"].as_str()), ("1", "0"));
            assert_eq!(line["sqlstate"], "");
            arms.entry(&line["block"]).or_default().insert(&line["arm"]);
        }
        let both = arms.values().filter(|arms| arms.len() == 2).count() as u64;
        let pairs = comparison["pairs"].as_u64().unwrap();
        assert!(pairs > 0 && (pairs..=pairs + 1).contains(&both), "{name}: {both}, {comparison}");
    }
}

fn while_a_sample_runs_nobody_is_in_the_other_arm(lines: &[BTreeMap<String, String>]) {
    let of = |line: &BTreeMap<String, String>| {
        let start_us = (line["start_s"].parse::<f64>().unwrap() * 1e6).round() as u64;
        // Inwards: both are rounded.
        (start_us + 1, start_us + line["service_ns"].parse::<u64>().unwrap() / 1_000)
    };
    let mut samples = 0;
    for sample in lines.iter().filter(|line| line["sample"] == "1") {
        let (began, ended) = of(sample);
        samples += 1;
        for other in lines.iter().filter(|other| other["arm"] != sample["arm"]) {
            let (from, to) = of(other);
            assert!(to <= began || ended <= from, "{sample:?} {other:?}");
        }
    }
    assert!(samples >= 10, "{samples}");
}

#[tokio::test]
async fn the_times_of_a_benchmark_are_those_of_its_result() {
    let database = Database::create().await;
    let table = "[[tables]]\nname = \"sales\"\nrows = 5000\ncolumns = [{ name = \"id\", \
                 type = \"bigint\", values = \"row_id\" }]\n";
    let query = "sql = \"SELECT count(*) FROM {table}\"\n";
    let profile = format!(
        "[bench]\ntable = \"sales\"\n[[bench.queries]]\nname = \"a\"\n{query}\
         [[bench.queries]]\nname = \"b\"\n{query}[[bench.steps]]\nname = \"first\"\n\
         [[bench.steps]]\nname = \"second\"\nqueries = [\"a\"]\n{ARMS}{table}"
    );
    let args = ["--pairs-min", "2", "--pairs-max", "6", "--query-time", "2s"];
    for order in ["interleaved", "sequential"] {
        let ordered = profile.replace("[bench]\n", &format!("[bench]\norder = \"{order}\"\n"));
        let ended = start(&database, &ordered, &args).end().await;
        let result = ended.done();
        let lines = lines(&ended);
        let mut measured = 0;
        for step in result["steps"].as_array().unwrap() {
            for query in step["queries"].as_array().unwrap() {
                let step = step["name"].as_str().unwrap();
                let name = format!("{step}/{}", query["query"].as_str().unwrap());
                for arm in query["arms"].as_array().unwrap() {
                    let own = times_ns(&lines, &name, arm["arm"].as_str().unwrap());
                    assert_eq!(own, arm["times_ns"], "{name}");
                    measured += own.as_array().unwrap().len();
                }
            }
        }
        assert_eq!(lines.iter().filter(|line| line["measured"] == "1").count(), measured);
        assert!(measured >= 3 * 2 * 2, "{measured}");
        assert!(lines.iter().all(|line| line["rows"] == "5000"), "{lines:?}");
        // Both arms of a pair have its number, within a query.
        let mut pairs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in lines.iter().filter(|line| line["measured"] == "1") {
            pairs.entry((&line["query"], &line["block"])).or_default().push(&line["arm"]);
        }
        assert!(pairs.values().all(|arms| arms.len() == 2 && arms[0] != arms[1]), "{pairs:?}");
    }
}

#[tokio::test]
async fn the_times_of_a_sweep_are_those_of_its_result_by_round() {
    let database = Database::create().await;
    let profile = "[bench]\n[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n\
                   [[bench.queries]]\nname = \"two\"\nsql = \"SELECT 2\"\n[sweep]\nrounds = 10\n\
                   [[sweep.settings]]\nname = \"work_mem\"\nvalues = [\"1MB\", \"2MB\"]\n";
    let ended = start(&database, profile, &[]).end().await;
    let result = ended.done();
    let lines = lines(&ended);
    let queries = result["sweep"]["queries"].as_array().unwrap();
    for query in queries {
        let name = query["query"].as_str().unwrap();
        for (number, cell) in (1..).zip(query["combinations"].as_array().unwrap()) {
            let arm = format!("combination {number}");
            assert_eq!(times_ns(&lines, name, &arm), cell["times_ns"], "{name} {arm}");
            let own = lines.iter().filter(|line| line["query"] == name && line["arm"] == arm);
            let block = |line: &BTreeMap<String, String>| line["block"].parse::<usize>().unwrap();
            let rounds: Vec<usize> = own.map(|line| block(line) / queries.len()).collect();
            let all = 0..=cell["times_ns"].as_array().unwrap().len();
            assert_eq!(rounds, all.collect::<Vec<_>>(), "round 0 is not measured");
        }
    }
}
