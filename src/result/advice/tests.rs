//! Each rule speaks where its evidence is, and is silent where it is not.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::record::Percentiles;
use crate::result::arm::Gpu;
use crate::result::benchmark::BenchmarkRun;
use crate::result::clock::{Clock, ClockStep};
use crate::result::evidence::{Evidence, GpuNode, HintReport, PlanHistory, Verdict};
use crate::result::gpu::GpuReport;
use crate::result::loader::Bottleneck;
use crate::result::server::{ServerWork, WaitReport, Who};
use crate::result::stream::StreamRun;
use crate::result::{Body, sample};
use crate::stats::TimesVerdict;

fn ids(result: &JobResult) -> Vec<String> {
    advise(result).into_iter().map(|item| item.id).collect()
}

fn item(result: &JobResult, id: &str) -> Advice {
    let all = advise(result);
    all.iter().find(|item| item.id == id).unwrap_or_else(|| panic!("{id} not in {all:#?}")).clone()
}

fn stream_with(change: impl FnOnce(&mut StreamRun)) -> JobResult {
    let mut result = sample::stream();
    let Body::Stream(run) = &mut result.body else { unreachable!() };
    change(run);
    result
}

fn set(result: &mut JobResult, settings: &[(&str, &str)]) {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    result.server.facts.settings.extend(settings);
}

fn plan(verdict: Verdict) -> PlanHistory {
    let evidence = Evidence {
        verdict,
        kinds: Vec::new(),
        nodes: Vec::new(),
        cpu_relations: Vec::new(),
        cpu_inputs: Vec::new(),
        remote_relations: Vec::new(),
        gpu_rows: None,
        fallback_rows: None,
        shape: "a plan".to_owned(),
    };
    PlanHistory { evidence: Some(evidence), ..PlanHistory::default() }
}

/// A benchmark whose second arm, with the GPU on, has this plan.
fn benchmark_with(
    plan: PlanHistory,
    change: impl FnOnce(&mut JobResult, &mut BenchmarkRun),
) -> JobResult {
    let mut result = sample::benchmark();
    let Body::Benchmark(run) = &mut result.body else { unreachable!() };
    let mut run = run.clone();
    run.steps[0].queries[0].arms[1].plan = Some(plan);
    change(&mut result, &mut run);
    result.body = Body::Benchmark(run);
    result
}

fn gpu(change: impl FnOnce(&mut GpuReport)) -> GpuReport {
    let mut gpu = GpuReport {
        samples: 100,
        watched_s: 10.0,
        utilization_mean_ratio: Some(0.4),
        utilization_max_ratio: Some(0.9),
        busy_s: Some(4.0),
        memory_used_max_bytes: Some(40 << 30),
        pg_strom_memory_max_bytes: Some(2 << 30),
        ..GpuReport::default()
    };
    gpu.gpu.memory_total_bytes = Some(80 << 30);
    change(&mut gpu);
    gpu
}

fn with_gpu(proof: Verdict, change: impl FnOnce(&mut GpuReport)) -> JobResult {
    benchmark_with(plan(proof), |result, _| result.gpus.devices = vec![gpu(change)])
}

#[test]
fn of_healthy_results_nothing_is_advised() {
    for result in [sample::stream(), sample::benchmark(), sample::sweep(), sample::faults()] {
        assert_eq!(ids(&result), Vec::<String>::new(), "{}", result.kind());
    }
    assert_eq!(ids(&with_gpu(Verdict::Gpu, |_| ())), Vec::<String>::new());
}

#[test]
fn a_loader_that_is_the_limit_is_told_and_where_it_was_late_with_its_own_part() {
    use Bottleneck::{Loader, Machine, None as Nobody, Server};
    let own = Some(sample::times(&[1, 1, 90]).percentiles().unwrap());
    let limited_of = |batches, bottleneck, late_by, own: Option<Percentiles>| {
        stream_with(|run| {
            (run.loader.bottleneck, run.loader.late_by) = (bottleneck, late_by);
            run.loader.own_delay = own;
            run.stream.response.as_mut().unwrap().count = batches;
        })
    };
    let limited = |bottleneck, late_by, own| limited_of(1_000, bottleneck, late_by, own);
    let few = item(&limited_of(999, Nobody, Machine, own), "loader-limited");
    assert!(!few.fact.contains("at p99"), "nothing shows such a percentile: {}", few.fact);
    let told = item(&limited(Loader, Nobody, own), "loader-limited");
    assert_eq!(told.severity, Severity::Critical);
    assert!(!told.fact.contains("at p99, of "), "{}", told.fact);
    let told = item(&limited(Nobody, Machine, own), "loader-limited");
    assert!(told.fact.contains("at p99, of "), "{}", told.fact);
    assert_eq!(told.severity, Severity::Warning);
    assert!(told.fix.starts_with("stop what else runs"), "{}", told.fix);
    assert!(ids(&limited(Server, Server, own)).is_empty());
    assert!(ids(&limited(Loader, Nobody, None)).is_empty(), "without evidence");
}

#[test]
fn a_log_that_forces_checkpoints_is_told_by_its_size() {
    let with = |requested, wal_bytes| {
        let mut result = stream_with(|run| {
            run.server_work = Some(ServerWork {
                backend_cpu_s: None,
                over_s: 20.0,
                table_bytes_before: None,
                wal_bytes: Some(wal_bytes),
                checkpoints_timed: Some(0),
                checkpoints_requested: requested,
                table_bytes: None,
                waits: Vec::new(),
            });
        });
        set(&mut result, &[("max_wal_size", "64MB"), ("checkpoint_timeout", "5min")]);
        result
    };
    let told = item(&with(Some(3), 200 << 20), "small-wal");
    assert_eq!(
        told.fact,
        "3 checkpoints were forced in 20 s: 200 MiB of log, 10 MiB/s, with max_wal_size = 64 MiB"
    );
    assert_eq!(told.fix, "ALTER SYSTEM SET max_wal_size = '6GB'; SELECT pg_reload_conf()");
    assert!(ids(&with(Some(0), 200 << 20)).is_empty());
    assert!(ids(&with(None, 200 << 20)).is_empty());
    assert!(ids(&with(Some(1), 1 << 20)).is_empty(), "somebody asked for it");
}

#[test]
fn a_table_beyond_the_buffers_is_told_where_it_is_read() {
    let with = |table_bytes, buffers: &str| {
        let mut result = stream_with(|run| {
            run.server_work = Some(ServerWork {
                backend_cpu_s: None,
                over_s: 20.0,
                table_bytes_before: None,
                wal_bytes: None,
                checkpoints_timed: None,
                checkpoints_requested: None,
                table_bytes: Some(table_bytes),
                waits: Vec::new(),
            });
        });
        set(&mut result, &[("shared_buffers", buffers)]);
        result
    };
    let large = with(256 << 20, "128MB");
    assert!(item(&large, "past-shared-buffers").fact.contains("has 256 MiB"));
    assert!(ids(&with(64 << 20, "128MB")).is_empty());
    let mut unread = large;
    let Body::Stream(run) = &mut unread.body else { unreachable!() };
    run.queries.clear();
    assert!(ids(&unread).is_empty());
    let stands_still = |bytes: u64| {
        let table = json!({
            "table": "sales", "state": "reused", "rows": 1, "rows_loaded": 0, "load_s": 0.0,
            "finish_s": 0.0, "built": [], "checksum": "", "verified": false, "table_bytes": bytes,
            "index_bytes": 0,
        });
        benchmark_with(plan(Verdict::Gpu), |result, run| {
            set(result, &[("shared_buffers", "1GB")]);
            run.tables = vec![serde_json::from_value(table).unwrap()];
        })
    };
    assert!(
        item(&stands_still(2 << 30), "past-shared-buffers").fact.starts_with("table sales has")
    );
    assert!(ids(&stands_still(1 << 20)).is_empty());
}

#[test]
fn waits_are_judged_by_their_share_of_the_looks() {
    let with = |waits: &[(Who, Option<&str>, u64, u64)], synchronous_commit| {
        let wait = |(who, event, samples, behind): &(Who, Option<&str>, u64, u64)| WaitReport {
            who: *who,
            event: event.map(str::to_owned),
            samples: *samples,
            behind_autovacuum: *behind,
        };
        let waits = waits.iter().map(wait).collect();
        let mut result = stream_with(|run| {
            run.server_work = Some(ServerWork {
                backend_cpu_s: None,
                over_s: 20.0,
                table_bytes_before: None,
                wal_bytes: None,
                checkpoints_timed: None,
                checkpoints_requested: None,
                table_bytes: None,
                waits,
            });
        });
        set(&mut result, &[("synchronous_commit", synchronous_commit)]);
        result
    };
    let (mine, theirs) = (Who::Producers, Who::Readers);
    let (sync, client) = (Some("IO:WalSync"), Some("Client:ClientRead"));
    let slow = [(mine, sync, 25, 0), (mine, None, 10, 0), (mine, client, 99, 0)];
    let told = item(&with(&slow, "on"), "commit-waits");
    assert_eq!(
        told.fact,
        "in 25 of 35 looks at producers at work, 71 %, they waited for a commit: IO:WalSync; \
         synchronous_commit = on"
    );
    assert_eq!(told.severity, Severity::Note, "the rate was kept");
    assert!(ids(&with(&[(mine, sync, 5, 0)], "on")).is_empty(), "too few looks");
    assert!(ids(&with(&[(mine, sync, 5, 0), (mine, None, 40, 0)], "on")).is_empty());
    let insert = [(mine, Some("LWLock:WALInsert"), 20, 0), (mine, None, 20, 0)];
    assert_eq!(ids(&with(&insert, "on")), ["wal-bound"]);
    let locked = [(theirs, Some("Lock:relation"), 9, 0), (mine, None, 60, 0)];
    let told = item(&with(&locked, "on"), "lock-waits");
    assert!(told.fact.contains("13 %, they waited for a lock: Lock:relation"), "{}", told.fact);
    let vacuumed = [(mine, Some("Lock:relation"), 9, 8), (mine, None, 60, 0)];
    assert_eq!(ids(&with(&vacuumed, "on")), ["autovacuum-waits"]);
    let seldom = [(theirs, Some("Lock:relation"), 2, 0), (mine, None, 60, 0)];
    assert!(ids(&with(&seldom, "on")).is_empty());
}

#[test]
fn a_query_that_takes_all_of_the_readers_time_is_named() {
    let with = |long_ms: u64, executions: usize| {
        stream_with(|run| {
            run.queries.truncate(1);
            let (mut long, mut short) = (run.queries[0].clone(), run.queries[0].clone());
            long.query = "long".to_owned();
            long.histograms.service = sample::times(&[long_ms; 20]);
            short.histograms.service = sample::times(&vec![3; executions]);
            for own in [&mut long, &mut short] {
                own.service = own.histograms.service.percentiles();
            }
            run.queries = vec![long, short];
        })
    };
    let told = item(&with(900, 4), "readers-starved");
    assert!(told.fact.starts_with("`long` took 100 % of the readers' time; beside it sum ran 4 "));
    assert!(ids(&with(900, 200)).is_empty(), "it had its turns");
    assert!(ids(&with(4, 4)).is_empty(), "they are alike");
}

#[test]
fn clocks_are_told_of() {
    let mut result = stream_with(|run| {
        run.clock_steps = vec![ClockStep { clock: Clock::Server, at_s: 3.0, step_ms: 5e3 }];
    });
    assert!(item(&result, "clock-set").fact.contains("the server's clock was put forward by 5 s"));
    result.server.facts.clock.offset_ms = -3_000.0;
    assert!(item(&result, "clock-off").fact.contains("3 s behind"));
    assert!(!ids(&sample::stream()).contains(&"clock-off".to_owned()));
}

#[test]
fn settings_that_flatter_or_spoil_are_told_of_what_they_are_about() {
    let off = ["fsync", "full_page_writes", "synchronous_commit", "autovacuum"];
    let mut result = sample::stream();
    set(&mut result, &off.map(|name| (name, "off")));
    let told = ids(&result);
    assert_eq!(
        told,
        ["fsync-off", "full-page-writes-off", "synchronous-commit-off", "autovacuum-off"]
    );
    set(&mut result, &off.map(|name| (name, "on")));
    assert!(ids(&result).is_empty());
    let for_gpu = [
        ("max_parallel_workers_per_gather", "0"),
        ("pg_strom.cpu_fallback", "on"),
        ("pg_strom.enable_gpusort", "off"),
    ];
    set(&mut result, &for_gpu);
    assert_eq!(ids(&result), ["cpu-fallback", "no-parallel-workers", "gpu-path-off"]);
    let Body::Stream(run) = &mut result.body else { unreachable!() };
    run.queries.retain(|query| query.gpu != Gpu::On);
    assert!(ids(&result).is_empty(), "no arm has it on");
}

#[test]
fn a_gpu_that_was_on_and_never_engaged_is_told_with_the_reason() {
    let mut on_cpu = plan(Verdict::Cpu);
    on_cpu.reasons = vec!["gpusort: disabled by pg_strom.cpu_fallback".to_owned()];
    let told = item(&benchmark_with(on_cpu.clone(), |_, _| ()), "gpu-not-engaged");
    assert!(told.fact.contains("plans: sum; PG-Strom says: gpusort: disabled"), "{}", told.fact);
    assert!(told.fix.contains("doctor"), "{}", told.fix);
    let (cause, fix) = ("COUNT(DISTINCT …)".to_owned(), "count over a GROUP BY".to_owned());
    on_cpu.hints = vec![HintReport { cause, fix }];
    let told = item(&benchmark_with(on_cpu, |_, _| ()), "gpu-not-engaged");
    assert_eq!(told.fix, "count over a GROUP BY");
    let mut fell = plan(Verdict::Mixed);
    fell.evidence.as_mut().unwrap().fallback_rows = Some(1_200);
    let told = item(&benchmark_with(fell, |_, _| ()), "gpu-fell-back");
    assert_eq!(told.fact, "rows fell back to the CPU: sum (1,200 rows)");
}

#[test]
fn a_gpu_that_is_slower_is_told_with_what_it_read() {
    use TimesVerdict::{Faster, Slower};
    let slower = |rows: Option<u64>, engine: Option<&str>, verdict| {
        let mut on_gpu = plan(Verdict::Gpu);
        let evidence = on_gpu.evidence.as_mut().unwrap();
        evidence.gpu_rows = rows;
        let details = engine.map(|engine| ("Scan-Engine".to_owned(), engine.to_owned()));
        let kind = "GpuScan".to_owned();
        let (relations, executed, details) = (Vec::new(), None, details.into_iter().collect());
        evidence.nodes = vec![GpuNode { kind, relations, executed, details }];
        benchmark_with(on_gpu, |_, run| {
            let times = run.steps[0].queries[0].times.as_mut().unwrap();
            times.verdict = verdict;
        })
    };
    let few = item(&slower(Some(10_000), None, Slower), "gpu-slower");
    assert!(few.fact.ends_with("the GPU reads 10,000 rows"), "{}", few.fact);
    assert!(few.why.starts_with("so few rows"), "{}", few.why);
    let far =
        item(&slower(Some(9_000_000), Some("VFS with GPU0; buffer=93458"), Slower), "gpu-slower");
    assert!(far.why.contains("over the bus"), "{}", far.why);
    let other = item(&slower(None, Some("GPU-Direct with GPU0"), Slower), "gpu-slower");
    assert!(other.why.starts_with("what the GPU saves"), "{}", other.why);
    assert!(ids(&slower(Some(10_000), None, Faster)).is_empty());
}

#[test]
fn a_mean_utilisation_is_judged_by_what_the_plans_prove() {
    let idle = |gpu: &mut GpuReport| {
        (gpu.utilization_mean_ratio, gpu.busy_s) = (Some(0.012), Some(0.3));
    };
    let told = item(&with_gpu(Verdict::Gpu, idle), "gpu-idle");
    assert_eq!(told.severity, Severity::Note);
    assert_eq!(
        told.fact,
        "GPU 0 was busy for 1.2 % of the time on average, 300 ms in all, 90 % at its peak; plans prove \
         the GPU for 1 of 1 queries"
    );
    let told = item(&with_gpu(Verdict::Unknown, idle), "gpu-idle");
    assert_eq!(told.severity, Severity::Warning);
    assert!(ids(&with_gpu(Verdict::Gpu, |_| ())).is_empty(), "40 %");
    // A GPU of this machine that is not the server's.
    let elsewhere = with_gpu(Verdict::Gpu, |gpu| {
        idle(gpu);
        gpu.pg_strom_memory_max_bytes = None;
    });
    assert!(ids(&elsewhere).is_empty());
}

#[test]
fn memory_and_clocks_of_a_gpu_are_judged_as_shares() {
    let memory =
        |gib: u64, proof| ids(&with_gpu(proof, |gpu| gpu.memory_used_max_bytes = Some(gib << 30)));
    assert_eq!(memory(70, Verdict::Gpu), ["gpu-memory-high"]);
    assert_eq!(memory(10, Verdict::Gpu), ["gpu-memory-low"]);
    assert!(memory(10, Verdict::Unknown).is_empty(), "nothing used it");
    assert!(memory(40, Verdict::Gpu).is_empty());
    let held = |seconds| {
        let held = [("power_cap".to_owned(), seconds)];
        ids(&with_gpu(Verdict::Gpu, |gpu| gpu.throttled_s = Some(held.into())))
    };
    assert_eq!(held(4.0), ["gpu-throttled"]);
    assert!(held(0.5).is_empty());
}

#[test]
fn too_few_pairs_are_told_with_how_many_would_do() {
    use TimesVerdict::{Faster, FasterSoFar, NoDifferenceShown, TooFewPairs};
    let with = |verdict, more_pairs, pairs| {
        benchmark_with(plan(Verdict::Gpu), |_, run| {
            let times = run.steps[0].queries[0].times.as_mut().unwrap();
            (times.verdict, times.more_pairs, times.pairs) = (verdict, more_pairs, pairs);
        })
    };
    let told = item(&with(FasterSoFar, Some(40), 12), "few-pairs");
    assert_eq!(told.fact, "no direction yet: sum (about 40 more pairs)");
    let told = item(&with(TooFewPairs, None, 3), "few-pairs");
    assert_eq!(told.fact, "no direction yet: sum (3 of at least 10)");
    assert!(ids(&with(NoDifferenceShown, None, 100)).is_empty(), "none is in sight");
    assert!(ids(&with(Faster, None, 100)).is_empty());
}

#[test]
fn every_name_is_listed_once() {
    let names: BTreeSet<&str> = ALL.iter().map(|(id, _)| *id).collect();
    assert_eq!(names.len(), ALL.len());
    let sources = [
        include_str!("comparison.rs"),
        include_str!("gpu.rs"),
        include_str!("server.rs"),
        include_str!("stream.rs"),
        include_str!("waits.rs"),
    ];
    for name in names {
        assert!(sources.iter().any(|text| text.contains(&format!("\"{name}\""))), "{name}");
    }
    // What is past a few names is counted.
    assert_eq!(listed(["a", "b", "a", "c", "d", "e", "f"].into_iter()), "a, b, c, d, e and 1 more");
}
