//! What the server's settings do to figures. `doctor` says the same of what it finds.

use super::{Advice, Severity};
use crate::result::server::{ClockOffset, ServerReport};
use crate::result::{Body, JobResult};

use Severity::{Critical, Warning};

/// The switches of the ways in which PG-Strom uses a GPU.
pub(crate) const PATHS: [&str; 6] = [
    "pg_strom.enable_gpuscan",
    "pg_strom.enable_gpujoin",
    "pg_strom.enable_gpuhashjoin",
    "pg_strom.enable_gpupreagg",
    "pg_strom.enable_gpusort",
    "pg_strom.enable_partitionwise_gpupreagg",
];

pub(super) fn advise(result: &JobResult) -> Vec<Advice> {
    let loaded = &result.server;
    let queried = result.queried_server();
    let is_off = |name: &str| setting(loaded, name) == Some("off");
    let mut advice = match result.stream() {
        Some(_) => durability(is_off),
        // Nothing is committed that anybody times.
        None => Vec::new(),
    };
    if matches!(result.body, Body::Stream(_) | Body::Faults(_)) {
        advice.extend(clock_off(&loaded.facts.clock));
    }
    if result.on_gpu().is_empty() {
        return advice;
    }
    let workers = setting(queried, "max_parallel_workers_per_gather");
    advice.extend(workers.filter(|workers| *workers == "0").map(|_| no_parallel_workers()));
    let fallback = setting(queried, "pg_strom.cpu_fallback").filter(|value| *value != "off");
    advice.extend(fallback.map(|value| cpu_fallback(value, "")));
    let off = PATHS.into_iter().filter(|name| setting(queried, name) == Some("off"));
    advice.extend(paths_off(&off.collect::<Vec<_>>()));
    advice
}

fn setting<'s>(server: &'s ServerReport, name: &str) -> Option<&'s str> {
    server.facts.settings.get(name).map(String::as_str)
}

/// What makes commits cheaper than they are, or plans worse; `is_off` says whether a setting is off.
pub(crate) fn durability(is_off: impl Fn(&str) -> bool) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut when_off = |name: &str, id, severity, why, fix: &str| {
        if is_off(name) {
            advice.push(Advice::new(id, severity, format!("{name} is off"), why, fix));
        }
    };
    when_off(
        "fsync",
        "fsync-off",
        Critical,
        "commits cost nothing, and a crash can destroy the database: no load of a real server",
        "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()",
    );
    when_off(
        "full_page_writes",
        "full-page-writes-off",
        Critical,
        "much less is written than by a server that survives a power cut",
        "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()",
    );
    when_off(
        "synchronous_commit",
        "synchronous-commit-off",
        Critical,
        "acknowledged rows are not yet on disk: latencies are flattered, and a crash loses rows \
         that the report counts",
        "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf(); look at ALTER ROLE and \
         ALTER DATABASE too",
    );
    when_off(
        "autovacuum",
        "autovacuum-off",
        Warning,
        "no table is analysed or vacuumed: plans rest on guesses, and no page becomes all-visible",
        "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
    );
    advice
}

/// A clock that is far off, if it is.
pub(crate) fn clock_off(clock: &ClockOffset) -> Option<Advice> {
    clock.is_far_off().then(|| {
        Advice::new(
            "clock-off",
            Warning,
            format!("the server's clock is {clock}"),
            "rows have the time of this machine: a query over a window of time, such as the last \
             minute, looks at another window than the one that they fall into",
            "let NTP set the clocks of both machines",
        )
    })
}

/// Queries that get no parallel workers.
pub(crate) fn no_parallel_workers() -> Advice {
    Advice::new(
        "no-parallel-workers",
        Warning,
        "max_parallel_workers_per_gather is 0",
        "each query has one core: a GPU is compared with less than the CPU could do",
        "ALTER SYSTEM SET max_parallel_workers_per_gather = 2, or more; SELECT pg_reload_conf()",
    )
}

/// A fallback that is not off; `places` says where it is set.
pub(crate) fn cpu_fallback(value: &str, places: &str) -> Advice {
    Advice::new(
        "cpu-fallback",
        Critical,
        format!("pg_strom.cpu_fallback is {value}{places}"),
        "rows that the GPU gives back are done again on the CPU within a plan that says GPU, \
         and GPU-Sort is never planned",
        "ALTER SYSTEM SET pg_strom.cpu_fallback = off; SELECT pg_reload_conf()",
    )
}

/// Ways of using the GPU that are off.
pub(crate) fn paths_off(off: &[&str]) -> Option<Advice> {
    let resets = off.iter().map(|name| format!("ALTER SYSTEM RESET {name}; "));
    (!off.is_empty()).then(|| {
        Advice::new(
            "gpu-path-off",
            Warning,
            format!("off: {}", off.join(", ")),
            "the arm `on` is compared without what these would gain",
            resets.collect::<String>() + "SELECT pg_reload_conf()",
        )
    })
}
