//! The fault command itself, with a few faults of its own choice.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Ended, Program};

const ARGS: &[&str] = &["faults", "--metrics-addr", "off", "--output", "out", "--format", "json"];

fn start(args: &[&str]) -> Program {
    Program::start(&[ARGS, args].concat())
}

fn report(ended: &Ended) -> Value {
    let result: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    // What is printed is saved, and is of a kind of its own.
    assert_eq!((&result, &result["kind"]), (&ended.result(), &Value::from("faults")));
    result["faults"].clone()
}

#[tokio::test]
async fn faults_are_made_survived_and_counted() {
    let kinds = "backend-terminated,server-killed,commit-cut,connection-cut";
    let args = ["--duration", "20s", "--seed", "1", "--only", kinds, "--readers", "0"];
    let ended = start(&args).end().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report = report(&ended);
    let faults = report["faults"].as_array().unwrap();
    assert!(!faults.is_empty());
    for fault in faults {
        assert!(kinds.contains(fault["kind"].as_str().unwrap()), "{fault}");
        assert_eq!(fault["injected"], fault["survived"], "{report}");
    }
    let rows = &report["rows"];
    assert_eq!((rows["due"].as_u64(), &rows["lost"]), (Some(60_000), &Value::from(0)), "{report}");
    assert_eq!((&report["right"], &rows["undecided"]), (&Value::from(true), &Value::from(0)));
    assert!(report["all"]["recovery"]["p50_ms"].as_f64().unwrap() > 0.0, "{report}");
    // The run is saved as any other.
    assert_eq!(ended.result()["status"], "done");
}

#[tokio::test]
async fn an_interrupt_mends_what_is_broken_and_reports() {
    let program = start(&["--duration", "10m", "--only", "server-killed"]);
    program.says("fault 1: server-killed").await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}{}", ended.stdout, ended.stderr);
    let report = report(&ended);
    assert_eq!((&report["rows"]["lost"], &report["right"]), (&Value::from(0), &Value::from(true)));
    assert_eq!(report["all"]["injected"], report["all"]["survived"], "{report}");
}

#[tokio::test]
async fn a_cluster_loses_nothing_that_a_synchronous_standby_has_confirmed() {
    let args = ["--cluster=sync-promotion", "--duration", "1s", "--seed", "1", "--rate", "600"];
    let ended = start(&args).end().await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let all = &report["all"];
    assert_eq!(
        (&all["rounds"], &all["promotions"]),
        (&Value::from(1), &Value::from(1)),
        "{report}"
    );
    for none in ["lost", "doubled", "unexpected", "contradicted"] {
        assert_eq!(all[none], 0, "{report}");
    }
    // Both loaders came to their end, one behind the other.
    assert!(all["acknowledged"].as_u64() > Some(1_800) && all["found"].as_u64() > Some(1_800));
    assert!(all["refused"].as_u64() > Some(0), "{report}");
    assert_eq!(report["kinds"][0]["kind"], "sync-promotion");
}
