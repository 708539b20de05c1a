//! Whether the GPU did the work, and how it fared.

use super::{Advice, Severity, listed};
use crate::quantity::{format_bytes, format_counted, format_seconds};
use crate::result::JobResult;
use crate::result::evidence::Verdict;
use crate::result::gpu::GpuReport;
use crate::result::on_gpu::OnGpu;

use Severity::{Note, Warning};

/// Below this mean a GPU is nearly idle,
const IDLE_RATIO: f64 = 0.05;
/// above this share of its memory it is nearly full,
const MEMORY_HIGH: f64 = 0.8;
/// and below this one it could hold more.
const MEMORY_LOW: f64 = 0.2;
/// Clocks that are held down for a smaller share of the time do not matter.
const THROTTLED_RATIO: f64 = 0.1;

pub(super) fn advise(result: &JobResult) -> Vec<Advice> {
    let on = result.on_gpu();
    if on.is_empty() {
        return Vec::new();
    }
    let mut advice: Vec<Advice> =
        [not_engaged(&on), fell_back(&on)].into_iter().flatten().collect();
    let devices = &result.gpus.devices;
    // Those of this machine are the server's only if its process was seen on one of them, or it is ours.
    let are_the_servers = result.queried_server().embedded
        || devices.iter().any(|gpu| gpu.pg_strom_memory_max_bytes.is_some());
    for gpu in devices.iter().filter(|gpu| are_the_servers && gpu.samples > 0) {
        advice.extend(idle(gpu, &on));
        advice.extend(memory(gpu, &on));
        advice.extend(throttled(gpu));
    }
    advice
}

fn not_engaged(on: &[OnGpu<'_>]) -> Option<Advice> {
    let on_cpu: Vec<&OnGpu<'_>> = on.iter().filter(|own| own.proof() == Verdict::Cpu).collect();
    if on_cpu.is_empty() {
        return None;
    }
    let plans = || on_cpu.iter().filter_map(|own| own.plan);
    let reasons = listed(plans().flat_map(|plan| plan.reasons.iter().map(String::as_str)));
    let causes = listed(plans().flat_map(|plan| plan.hints.iter().map(|hint| hint.cause.as_str())));
    let fixes = listed(plans().flat_map(|plan| plan.hints.iter().map(|hint| hint.fix.as_str())));
    let mut fact =
        format!("on, but all by the CPU's plans: {}", listed(on_cpu.iter().map(|own| own.query)));
    for (who, said) in [("PG-Strom says", reasons), ("known causes", causes)] {
        if !said.is_empty() {
            fact = format!("{fact}; {who}: {said}");
        }
    }
    let look = "`strom-load doctor` says what keeps PG-Strom from the GPU; docs/gpu-truth.md lists \
                what it cannot do there";
    let fix = if fixes.is_empty() { look.to_owned() } else { fixes };
    let why = "a ratio of these compares the CPU with itself, and says nothing of the GPU";
    Some(Advice::new("gpu-not-engaged", Warning, fact, why, fix))
}

fn fell_back(on: &[OnGpu<'_>]) -> Option<Advice> {
    let rows = |own: &OnGpu<'_>| {
        let looked = own.plan.and_then(|plan| plan.evidence.as_ref()?.fallback_rows);
        own.fallback_rows.max(looked.unwrap_or_default())
    };
    let fell: Vec<String> = on
        .iter()
        .filter(|own| rows(own) > 0)
        .map(|own| format!("{} ({})", own.query, format_counted(rows(own), "row", "rows")))
        .collect();
    (!fell.is_empty()).then(|| {
        Advice::new(
            "gpu-fell-back",
            Warning,
            format!("rows fell back to the CPU: {}", listed(fell.iter().map(String::as_str))),
            "they are done a second time, on one core, within a plan that says GPU",
            "keep long values and numeric ones with very many digits out of what the query reads; \
             with pg_strom.cpu_fallback = off it fails instead, and says where",
        )
    })
}

/// How many of the queries are proven to have run on the GPU.
fn proven(on: &[OnGpu<'_>]) -> usize {
    on.iter().filter(|own| own.proof() == Verdict::Gpu).count()
}

fn idle(gpu: &GpuReport, on: &[OnGpu<'_>]) -> Option<Advice> {
    let mean = gpu.utilization_mean_ratio.filter(|mean| *mean < IDLE_RATIO)?;
    let (peak, busy_s) = (gpu.utilization_max_ratio?, gpu.busy_s?);
    let (index, proven, of) = (gpu.gpu.index, proven(on), on.len());
    let fact = format!(
        "GPU {index} was busy for {:.1} % of the time on average, {} in all, {:.0} % at its peak; plans \
         prove the GPU for {proven} of {of} queries",
        mean * 100.0,
        format_seconds(busy_s),
        peak * 100.0
    );
    Some(match proven {
        0 => Advice::new(
            "gpu-idle",
            Warning,
            fact,
            "nothing shows that it was used: the CPU does this work",
            "look at what keeps the plans from it; or leave the GPU to others",
        ),
        _ => Advice::new(
            "gpu-idle",
            Note,
            fact,
            "the mean proves nothing against it: queries on a GPU are short bursts, and the plans prove \
             that it did them. But it has much to spare",
            "ask more of it, with more --readers or larger tables; at this load the CPU may serve",
        ),
    })
}

fn memory(gpu: &GpuReport, on: &[OnGpu<'_>]) -> Option<Advice> {
    let (used, total) = (gpu.memory_used_max_bytes?, gpu.gpu.memory_total_bytes?);
    let share = used as f64 / total.max(1) as f64;
    let whose = gpu.pg_strom_memory_max_bytes;
    let whose =
        whose.map_or_else(String::new, |own| format!("; PG-Strom's process {}", format_bytes(own)));
    let fact = format!(
        "up to {} of {} of GPU {}'s memory were in use, {:.0} %{whose}",
        format_bytes(used),
        format_bytes(total),
        gpu.gpu.index,
        share * 100.0
    );
    if share > MEMORY_HIGH {
        return Some(Advice::new(
            "gpu-memory-high",
            Warning,
            fact,
            "an allocation that fails is an error of the query: PG-Strom's CPU fallback is no net for it",
            "fewer queries at once, smaller inner tables of joins, or a lower \
             pg_strom.gpu_mempool_max_ratio; stop what else is on the GPU",
        ));
    }
    // Of a GPU that nothing is proven to have used its memory says nothing.
    let is_low = share < MEMORY_LOW && proven(on) > 0;
    is_low.then(|| {
        Advice::new(
            "gpu-memory-low",
            Note,
            fact,
            "tables stream through the GPU in chunks; what stays there are hash tables and groups, and \
             they are small in this load",
            "larger joins, more groups or more queries at once fit as well",
        )
    })
}

fn throttled(gpu: &GpuReport) -> Option<Advice> {
    let held: Vec<(&String, f64)> = gpu
        .throttled_s
        .iter()
        .flatten()
        .map(|(reason, seconds)| (reason, *seconds))
        .filter(|(_, seconds)| *seconds > THROTTLED_RATIO * gpu.watched_s)
        .collect();
    if held.is_empty() || gpu.watched_s <= 0.0 {
        return None;
    }
    let each = held.iter().map(|(reason, seconds)| {
        format!("{reason} for {} of {}", format_seconds(*seconds), format_seconds(gpu.watched_s))
    });
    let each: Vec<String> = each.collect();
    Some(Advice::new(
        "gpu-throttled",
        Note,
        format!("the clocks of GPU {} were held down: {}", gpu.gpu.index, each.join(", ")),
        "another GPU of the same kind, or the same one when it is cooler, is faster",
        "look at its power limit and cooling: nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE",
    ))
}
