//! A run of a day: its page stays small, and is made quickly.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde_json::{Value, json};
use strom_load::record::Times;
use strom_load::result::{self, Saved};
use strom_load::{report, series};
use tempfile::TempDir;

use super::{faults, fixtures, leave};
use crate::support::scratch;

const DAY_S: u32 = 86_400;

/// Histograms that differ from each other, encoded as the log has them.
fn encoded() -> Vec<String> {
    let one = |seed: u64| {
        let mut times = Times::default();
        for i in 0..300 {
            let spread = (i * 7_919 + seed * 104_729) % 1_000;
            let ns =
                700_000 + spread * spread * 11 + if i % 97 == seed % 97 { 90_000_000 } else { 0 };
            times.record(Duration::from_nanos(ns));
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(times.as_histogram().unwrap(), &mut bytes).unwrap();
        BASE64.encode(bytes)
    };
    (0..64).map(one).collect()
}

/// The folder of a run of a day, with its nine tags and a GPU; the last hour of the log in seconds, and
/// the others in tens of them; or all of it so coarse.
fn folder(each: u32) -> TempDir {
    let folder = scratch();
    let stream = fixtures().join("stream");
    let mut saved: Value =
        serde_json::from_slice(&fs::read(stream.join("result.json")).unwrap()).unwrap();
    let interval = saved["intervals"][1].clone();
    let intervals: Vec<Value> = (0..600_u32)
        .map(|at| {
            let mut own = interval.clone();
            own["start_s"] = json!(at * 144);
            own["length_s"] = json!(144.0);
            own["phase"] = json!("measure");
            own["rows_acknowledged"] = json!(432_000 + (at * 7_919) % 5_000);
            own["backlog_rows"] = json!(100 + (at * 104_729) % 400);
            own
        })
        .collect();
    saved["intervals"] = json!(intervals);
    saved["took_s"] = json!(DAY_S);
    let query = saved["queries"][0].clone();
    let queries: Vec<Value> = (0..5)
        .map(|at| {
            let mut own = query.clone();
            own["query"] = json!(format!("query_{at}"));
            own
        })
        .collect();
    saved["queries"] = json!(queries);
    fs::write(folder.path().join("result.json"), saved.to_string()).unwrap();
    let (encoded, mut log) = (encoded(), String::new());
    let mut at = 0;
    let tags = ["wait", "service", "response", "row", "own_delay"];
    while at < DAY_S {
        let length = if at < DAY_S - 3_600 { each.max(10) } else { each };
        for (number, tag) in tags.into_iter().enumerate() {
            let own = &encoded[(at as usize * 31 + number) % encoded.len()];
            writeln!(log, "Tag={tag},{at}.000,{length}.000,9.224,{own}").unwrap();
        }
        for query in 0..5 {
            writeln!(log, "Tag=query.query_{query}.cpu,{at}.000,{length}.000,9.224,{}", encoded[0])
                .unwrap();
        }
        at += length;
    }
    fs::write(folder.path().join("latency.hlog"), log).unwrap();
    let mut gpu = fs::read_to_string(stream.join("gpu.csv")).unwrap();
    gpu.truncate(gpu.find('\n').unwrap() + 1);
    let began = humantime::parse_rfc3339_weak(saved["started_at"].as_str().unwrap()).unwrap();
    for second in (1..=DAY_S).step_by(each as usize) {
        let at = humantime::format_rfc3339_millis(began + Duration::from_secs(second.into()))
            .to_string();
        let at = at.trim_end_matches('Z').replace('-', "/").replace('T', " ");
        let busy = (second * 7_919) % 100;
        writeln!(
            gpu,
            "{at}, 0, GPU-0, Stub H100, {busy}.0, 60.0, 2.1, 2048, 81920, 41, {busy}.50, 120.50"
        )
        .unwrap();
    }
    fs::write(folder.path().join("gpu.csv"), gpu).unwrap();
    let mut executions = "start_s,service_ns,sqlstate,answer_age_ms,query,arm\n".to_owned();
    for at in (0..20_000_u32).step_by(each as usize) {
        let start_s = f64::from(at) * 4.32;
        writeln!(
            executions,
            "{start_s:.6},{},,30.25,query_{},cpu",
            40_000_000 + at * 1_000,
            at % 5
        )
        .unwrap();
    }
    fs::write(folder.path().join("executions.csv"), executions).unwrap();
    folder
}

#[test]
fn a_day_makes_a_small_page() {
    check(60, Duration::from_secs(60));
}

#[test]
#[ignore = "it needs an optimised build and an idle machine: cargo test --release -- a_day_is_a_matter --ignored"]
fn a_day_is_a_matter_of_a_second() {
    check(1, Duration::from_secs(1));
}

fn check(each: u32, most: Duration) {
    let folder = folder(each);
    let began = Instant::now();
    let Saved::Job(job) = result::read(folder.path()).unwrap() else { panic!("of one job") };
    let page = report::page(&job, &series::read(folder.path(), &job.started_at));
    let took = began.elapsed();
    leave("day", &page);
    assert_eq!(faults(&page), Vec::<String>::new());
    assert!(page.len() <= 400_000, "{} bytes", page.len());
    assert!(took < most, "{took:?}");
}
