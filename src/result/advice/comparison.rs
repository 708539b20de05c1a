//! What the comparisons of arms show, and what they lack.

use super::stream::outgrown;
use super::{Advice, Severity, listed};
use crate::quantity::{format_counted, format_ms, format_seconds};
use crate::result::arm::Gpu;
use crate::result::evidence::{PlanHistory, Verdict};
use crate::result::table::Prepared;
use crate::result::{Body, JobResult};
use crate::stats::{Comparison, TimesVerdict};

use Severity::{Note, Warning};

/// Fewer rows than this are read faster by the CPU than a GPU begins.
const FEW_ROWS: u64 = 1_000_000;

/// Two arms of a query, compared.
struct Compared<'a> {
    query: &'a str,
    times: &'a Comparison,
    gpu: [Gpu; 2],
    /// Of the other arm.
    plan: Option<&'a PlanHistory>,
    /// How long more it has to be measured, where that is known.
    verdict_in_s: Option<f64>,
}

pub(super) fn advise(result: &JobResult) -> Vec<Advice> {
    let all = compared(result);
    let mut advice: Vec<Advice> = all.iter().filter_map(slower).collect();
    advice.extend(few_pairs(result, &all));
    advice.extend(tables(result));
    advice
}

fn compared(result: &JobResult) -> Vec<Compared<'_>> {
    match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let Some(run) = result.stream() else { return Vec::new() };
            let valid = run.comparisons.iter().filter(|own| own.valid);
            let of = valid.filter_map(|own| {
                let arm = |name: &str| {
                    run.queries.iter().find(|query| query.query == own.query && query.arm == name)
                };
                let (base, other) = (arm(&own.arms[0])?, arm(&own.arms[1])?);
                Some(Compared {
                    query: &own.query,
                    times: own.times.as_ref()?,
                    gpu: [base.gpu, other.gpu],
                    plan: other.plan.as_ref(),
                    verdict_in_s: own.verdict_in_s,
                })
            });
            of.collect()
        }
        Body::Benchmark(run) => {
            let valid = run.queries().filter(|query| query.valid);
            let of = valid.filter_map(|own| {
                let [base, other] = own.arms.as_slice() else { return None };
                Some(Compared {
                    query: &own.query,
                    times: own.times.as_ref()?,
                    gpu: [base.gpu, other.gpu],
                    plan: other.plan.as_ref(),
                    verdict_in_s: None,
                })
            });
            of.collect()
        }
        Body::Sweep(_) => Vec::new(),
    }
}

/// Engaged, and slower for it.
fn slower(own: &Compared<'_>) -> Option<Advice> {
    let proven = own.plan.is_some_and(|plan| plan.verdict() == Verdict::Gpu);
    let shown = own.times.verdict == TimesVerdict::Slower;
    if own.gpu != [Gpu::Off, Gpu::On] || !proven || !shown {
        return None;
    }
    let (off, on) = (own.times.median_a_ns? / 1e6, own.times.median_b_ns? / 1e6);
    let evidence = own.plan?.evidence.as_ref()?;
    let engine = evidence.nodes.iter().find_map(|node| node.details.get("Scan-Engine"));
    let mut fact = format!(
        "`{}` takes {} without the GPU and {} on it",
        own.query,
        format_ms(off),
        format_ms(on)
    );
    if let Some(rows) = evidence.gpu_rows {
        fact = format!("{fact}; the GPU reads {}", format_counted(rows, "row", "rows"));
    }
    if let Some(engine) = engine {
        fact = format!("{fact}; Scan-Engine: {engine}");
    }
    let (why, fix) = if evidence.gpu_rows.is_some_and(|rows| rows < FEW_ROWS) {
        (
            "so few rows are done before the work on the GPU has begun and its answer is back",
            "compare with more rows (--scale), or raise pg_strom.gpu_setup_cost, so that the planner \
             leaves such queries to the CPU",
        )
    } else if engine.is_some_and(|engine| engine.contains("VFS")) {
        (
            "its rows go through the server's memory and over the bus to do little with them there: the \
             way is the cost, not the work",
            "let the disk feed the GPU (GPU-Direct: see `no-gpu-direct` in docs/doctor.md), read fewer \
             columns (an Arrow file), or leave such queries to the CPU",
        )
    } else {
        (
            "what the GPU saves does not pay for the start of its work and the way there",
            "compare with more rows, or raise pg_strom.gpu_setup_cost, so that the planner leaves such \
             queries to the CPU",
        )
    };
    Some(Advice::new("gpu-slower", Warning, fact, why, fix))
}

fn few_pairs(result: &JobResult, all: &[Compared<'_>]) -> Option<Advice> {
    let open = all.iter().filter_map(|own| {
        let more = own.times.more_pairs.filter(|_| !own.times.is_decided());
        let few = own.times.verdict == TimesVerdict::TooFewPairs;
        match (more, own.verdict_in_s) {
            (Some(more), _) => {
                let more = format_counted(more as u64, "more pair", "more pairs");
                Some(format!("{} (about {more})", own.query))
            }
            (None, Some(more_s)) if few => {
                Some(format!("{} (about {} more)", own.query, format_seconds(more_s)))
            }
            (None, _) if few => Some(format!(
                "{} ({} of at least {})",
                own.query,
                own.times.pairs,
                own.times.pairs_min.max(crate::stats::PAIRS_LEAST)
            )),
            (None, _) => None,
        }
    });
    let open: Vec<String> = open.collect();
    if open.is_empty() {
        return None;
    }
    let fix = match result.stream() {
        Some(_) => {
            "a longer --duration; or the same queries in a benchmark, which gives all its time to pairs"
        }
        None => "a longer --query-time and a higher --pairs-max",
    };
    Some(Advice::new(
        "few-pairs",
        Note,
        format!("no direction yet: {}", listed(open.iter().map(String::as_str))),
        "not shown is not equal: so few pairs cannot tell a small difference from none",
        fix,
    ))
}

/// Tables that stand still and do not fit into the buffers.
fn tables(result: &JobResult) -> Option<Advice> {
    let tables: &[Prepared] = match &result.body {
        Body::Benchmark(run) => &run.tables,
        Body::Sweep(run) => &run.tables,
        Body::Stream(_) | Body::Faults(_) => &[],
    };
    let buffers = result.server.facts.bytes("shared_buffers")?;
    let largest = tables.iter().max_by_key(|table| table.table_bytes)?;
    let is_past = largest.table_bytes > buffers;
    is_past.then(|| outgrown(&format!("table {}", largest.table), largest.table_bytes, buffers))
}
