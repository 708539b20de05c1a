//! Results built in memory, for tests: healthy ones, which a test then spoils.

use serde_json::{Value, json};

use super::stream::StreamRun;
use super::{Body, JobResult};
use crate::profile::Profile;
use crate::record::Times;

/// A job that is done, with nothing to say against it.
pub(crate) fn job(profile: &str, body: Body) -> JobResult {
    let plan: Profile = toml::from_str(profile).unwrap_or_else(|error| panic!("{error}"));
    let mut envelope = json!({
        "format_version": super::FORMAT_VERSION, "strom_load_version": "0.0.0", "status": "done",
        "error": null, "started_at": "2026-01-01T00:00:00Z", "took_s": 12.5, "plan": plan,
        "server": {
            "address": "db.example:5432", "embedded": false, "pg_strom_loaded": false,
            "version": "15.0", "major": 15, "settings": {},
            "clock": { "offset_ms": 0.0, "uncertainty_ms": 0.1 },
        },
        "gpus": { "interval_ms": null, "not_watched": "no driver", "driver": null, "devices": [] },
        "thresholds": [],
    });
    let Value::Object(body) = serde_json::to_value(body).unwrap() else { panic!("an object") };
    envelope.as_object_mut().unwrap().extend(body);
    serde_json::from_value(envelope).unwrap()
}

/// A stream of 60,000 rows with a full audit, and the query `sum` in two arms.
pub(crate) fn stream() -> JobResult {
    stream_of("audit = 'full'\n[readers]\n[[readers.queries]]\nname = 'sum'\nsql = 'SELECT 1'\n")
}

/// The same, for another profile.
pub(crate) fn stream_of(profile: &str) -> JobResult {
    job(profile, Body::Stream(Box::new(run())))
}

fn run() -> StreamRun {
    let times = times(&[1, 2, 3, 4, 100]);
    let percentiles = times.percentiles();
    let query = |arm: &str, gpu: &str| {
        json!({
            "query": "sum", "arm": arm, "gpu": gpu, "set": [], "executions": 12,
            "queries_per_s": 1.2, "rows": 24, "interrupted": 0, "errors": {}, "fallback_rows": 0,
            "wait": percentiles, "service": percentiles, "response": percentiles,
            "answer_age": null, "freshness": null, "valid": true, "plan": null,
            "histograms": {
                "wait": times, "service": times, "response": times, "answer_age": Times::default(),
            },
        })
    };
    let histograms = json!({
        "wait": times, "service": times, "response": times, "row_latency": times,
        "own_delay": Times::default(),
    });
    let run = json!({
        "origin_us": 0, "measured_s": 10.0,
        "stream": {
            "table_created": true, "partitions_added": 0, "target_rows_per_s": 5000,
            "achieved_rows_per_s": 5000.0, "rows_due": 60_000, "rows_sent": 60_000,
            "rows_acknowledged": 60_000, "rows_dropped": 0, "rows_undecided": 0,
            "rows_found": 60_000,
            "audit": [{
                "partition": 0, "rows_found": 60_000, "lost": [], "doubled": [], "altered": [], "unexpected": [],
                "undecided_found": 0, "unaccounted": 0,
            }],
            "measured": { "rows_due": 50_000, "rows_acknowledged": 50_000, "rate_ratio": 1.0,
                "delivered_ratio": 1.0 },
            "batches": 600, "batches_late": 3, "copy_bytes": 1_048_576,
            "wait": percentiles, "service": percentiles, "response": percentiles,
            "row_latency": percentiles, "batches_resent": 0, "batches_sync_unconfirmed": 0, "recovery": null,
            "outages_unrecovered": 0, "outages": [], "errors": {}, "histograms": histograms,
            "partitions": [],
        },
        "queries": [query("off", "off"), query("on", "on")],
        "comparisons": [{
            "query": "sum", "arms": ["off", "on"], "pairs": 12, "pairs_cold": 1, "pairs_broken": 0,
            "times": null, "valid": true,
            "answers": {
                "checks": 2, "different": 0, "failed": 0, "error": null, "rows": 1, "ties": 0,
                "largest_difference": 0.0, "checks_s": 0.1, "differences": [],
            },
        }],
        "loader": {
            "cpu_s": 1.0, "cpu_ratio": 0.05, "resident_peak_bytes": 1_048_576, "encode_ratio": 0.1,
            "own_delay": null, "bottleneck": "none", "reason": "the schedule was kept",
        },
        "intervals": [],
    });
    serde_json::from_value(run).unwrap()
}

/// Durations in milliseconds.
pub(crate) fn times(ms: &[u64]) -> Times {
    let mut times = Times::default();
    ms.iter().for_each(|ms| times.record(std::time::Duration::from_millis(*ms)));
    times
}

/// A benchmark of the query `sum` in two arms.
pub(crate) fn benchmark() -> JobResult {
    let arm = |arm: &str, gpu: &str, median_ms: f64| {
        json!({
            "arm": arm, "gpu": gpu, "set": [], "executions": 3, "median_ms": median_ms,
            "min_ms": median_ms - 1.0, "max_ms": median_ms + 1.0, "queries_per_s": 1e3 / median_ms,
            "cold_ms": 50.0, "rows": 10, "failures": 0, "error": null, "given_up": false,
            "fallback_rows": 0, "plan": null,
            "times_ns": ([-1.0, 0.0, 1.0].map(|ms| ((median_ms + ms) * 1e6) as u64)),
        })
    };
    let query = json!({
        "query": "sum", "sql": "SELECT 1", "halted": "precise", "interleaved": true, "took_s": 1.0,
        "arms": [arm("off", "off", 12.0), arm("on", "on", 4.0)],
        "times": {
            "verdict": "faster", "median_a_ns": 12e6, "median_b_ns": 4e6, "ratio": 3.0, "low": 2.5,
            "high": 3.5, "confidence": 0.95, "pairs": 3, "effective_pairs": 3.0,
            "autocorrelation_time": 1.0,
        },
        "valid": true, "gpus": [],
        "answers": {
            "checks": 1, "different": 0, "failed": 0, "error": null, "rows": 10, "ties": 0,
            "largest_difference": 0.0, "checks_s": 0.1, "differences": [],
        },
    });
    let run = json!({
        "tables": [],
        "steps": [{
            "name": "all", "table": null, "error": null, "skipped": null, "arrow": null,
            "queries": [query],
        }],
    });
    let run: super::benchmark::BenchmarkRun = serde_json::from_value(run).unwrap();
    job("[bench]\n[[bench.queries]]\nname = 'sum'\nsql = 'SELECT 1'\n", run.into())
}

/// A sweep of two combinations for the query `sum`.
pub(crate) fn sweep() -> JobResult {
    let cell = |median_ms: f64, checks: u64| {
        json!({
            "rounds": 2, "median_ms": median_ms, "typical_ms": median_ms, "low_ms": null, "high_ms": null,
            "times_best": median_ms / 4.0, "may_be_best": true, "valid": true, "failures": 0,
            "error": null, "given_up": false, "rows": 10, "cold_ms": 50.0,
            "times_ns": ([(median_ms * 1e6) as u64; 2]), "gpu": "absent",
            "plan": null,
            "answers": {
                "checks": checks, "different": 0, "failed": 0, "error": null, "rows": 10, "ties": 0,
                "largest_difference": 0.0, "checks_s": 0.1, "differences": [],
            },
        })
    };
    let value = |value: Value| json!([{ "name": "work_mem", "value": value }]);
    let run = json!({
        "tables": [],
        "sweep": {
            "mode": "product", "settings": [], "skipped": [], "rounds_planned": 2, "rounds": 2,
            "reloads": 0, "restarts": 0, "not_restored": null,
            "combinations": [value(Value::Null), value("64MB".into())],
            "queries": [{
                "query": "sum", "sql": "SELECT 1", "best": 1, "may_be_best": [1], "rounds_min": 6,
                "confidence": 0.95, "combinations": [cell(12.0, 0), cell(4.0, 1)],
            }],
        },
    });
    let run: super::sweep::SweepRun = serde_json::from_value(run).unwrap();
    job("[bench]\n[[bench.queries]]\nname = 'sum'\nsql = 'SELECT 1'\n[sweep]\n", run.into())
}

/// A run among 23 faults that lost nothing.
pub(crate) fn faults() -> JobResult {
    let percentiles = times(&[900, 1_100, 3_000]).percentiles();
    let kind = |kind: Option<&str>, injected: u64| {
        json!({
            "kind": kind, "injected": injected, "survived": injected, "recovery": percentiles,
            "slowest_batch_ms": 3_200.0,
        })
    };
    let rows = json!({
        "due": 60_000, "acknowledged": 60_000, "lost": 0, "doubled": 0, "altered": 0,
        "unexpected": 0, "undecided": 0, "dropped": 0,
    });
    let report = json!({
        "seed": 7, "measured_s": 10.0, "faults": [kind(Some("server-killed"), 23)],
        "all": kind(None, 23), "rows": rows,
        "memory": { "peak_after_1_min_bytes": null, "peak_at_end_bytes": 1_048_576 },
        "errors": {}, "error": null, "right": true, "audit": null,
    });
    let faults = serde_json::from_value(report).unwrap();
    let body = Body::Faults(Box::new(super::faults::FaultsRun { run: run(), faults }));
    job("audit = 'full'\n", body)
}
