//! Readers load each other: the ratio of two arms must be that of all readers in one to all in the other,
//! however many they are. It takes a machine that is left alone, so it is a job:
//! `STROM_LOAD_TEST_ROUNDS=5 cargo test --release --test main switchback:: -- --ignored --nocapture`.

use std::fs;

use serde_json::Value;

use crate::support::{Database, Program, scratch};

/// An index scan of a tenth of the rows, and a scan of all.
const ARMS: [(&str, &str); 2] = [
    ("seq", "enable_indexscan = false, enable_bitmapscan = false, enable_seqscan = true"),
    ("index", "enable_indexscan = true, enable_bitmapscan = false, enable_seqscan = false"),
];

/// A run in two arms, that may be set alike.
async fn run(database: &Database, readers: u32, arms: [&str; 2]) -> Value {
    let folder = scratch();
    let path = folder.path().join("switchback.toml");
    let arm = |(name, set): (&str, &str)| {
        format!(
            "[arms.{name}]\nset = {{ {set}, max_parallel_workers_per_gather = 0, jit = false }}\n"
        )
    };
    let named = ["base", "other"].into_iter().zip(arms);
    let profile = format!(
        "warmup_s = 1\nduration_s = 12\n{}[stream]\n[readers]\n[[readers.queries]]\n\
         name = \"sum\"\nanswers = \"off\"\nsql = \"SELECT sum(v) FROM facts WHERE id <= 20000\"\n",
        named.map(arm).collect::<String>()
    );
    fs::write(&path, profile).unwrap();
    let (address, readers) = (database.address(), readers.to_string());
    let args = ["run", path.to_str().unwrap(), "--database-url", &address, "--rate", "100"];
    let more = ["--readers", &readers, "--metrics-addr", "off", "--output", "out"];
    Program::start_in(folder, &[&args[..], &more[..]].concat(), &[]).end().await.done()
}

/// The median in one of the arms of a run, with its interval, milliseconds.
fn median(result: &Value, arm: usize) -> [f64; 3] {
    let service = &result["queries"][arm]["service"];
    let of = |value: &Value| value.as_f64().unwrap();
    let interval = &service["intervals"]["p50_ms"];
    [of(&service["p50_ms"]), of(&interval[0]), of(&interval[1])]
}

#[tokio::test]
#[ignore = "a job of some minutes, on a machine that is left alone"]
async fn the_ratio_is_that_of_all_readers_in_one_arm_to_all_in_the_other() {
    let rounds = std::env::var("STROM_LOAD_TEST_ROUNDS");
    let rounds = rounds.map_or(1, |rounds| rounds.parse().unwrap());
    let database = Database::create().await;
    let facts =
        "CREATE TABLE facts AS SELECT n AS id, n % 1000 AS v FROM generate_series(1, 200000) AS n;
                 CREATE INDEX ON facts (id); VACUUM ANALYZE facts;";
    for statement in facts.split(';').filter(|statement| !statement.trim().is_empty()) {
        database.execute(statement).await;
    }
    let [(_, seq), (_, index)] = ARMS;
    let mut apart = Vec::new();
    for round in 1..=rounds {
        for readers in [1, 2, 4] {
            // Around it, and in the order of a palindrome: what else the machine does changes.
            let all = async |arm: &str| median(&run(&database, readers, [arm; 2]).await, 0);
            let (seq_before, index_before) = (all(seq).await, all(index).await);
            let mixed = run(&database, readers, [seq, index]).await;
            let (index_after, seq_after) = (all(index).await, all(seq).await);
            let ratios = [(seq_before, index_before), (seq_after, index_after)];
            let ratio = |at: [usize; 2]| ratios.map(|(seq, index)| seq[at[0]] / index[at[1]]);
            let [one, other] = ratio([0, 0]);
            let truth = (one * other).sqrt();
            let low = ratio([1, 2]).into_iter().fold(f64::INFINITY, f64::min);
            let high = ratio([2, 1]).into_iter().fold(0.0, f64::max);
            let times = &mixed["comparisons"][0]["times"];
            let [ratio, from, to] = ["ratio", "low", "high"].map(|key| times[key].as_f64());
            let [ratio, from, to] = [ratio, from, to].map(|of| of.unwrap_or(f64::NAN));
            let said = format!(
                "round {round}, {readers} readers: {ratio:.2} ({from:.2} - {to:.2}) of {} pairs; \
                 all in one arm ÷ all in the other {truth:.2} ({low:.2} - {high:.2})",
                mixed["comparisons"][0]["pairs"]
            );
            println!("{said}");
            // Without an interval there is nothing that could overlap.
            let overlaps = from <= high && low <= to;
            if !overlaps {
                apart.push(said);
            }
        }
    }
    assert!(apart.is_empty(), "{apart:#?}");
}
