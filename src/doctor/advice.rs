//! From what was found to what to do. Pure.

mod load;
mod strom;

use super::{Load, Machine, Server};

pub use crate::result::advice::{Advice, Severity};

/// Names of every item there is, in the order of the code, with what they are about.
pub const ALL: &[(&str, &str)] = &[
    ("pg-strom-pretended", "`pg_strom.enabled` is set and no module is behind it"),
    ("pg-strom-not-loaded", "the module is not in the server"),
    ("extension-missing", "the extension was not created in this database"),
    ("no-gpu-found", "the module found no GPU when the server started"),
    ("gpu-service-missing", "the process that does the GPU work is not there"),
    ("gpu-service-silent", "the process that does the GPU work does not answer a small query"),
    ("gpu-service-fails", "PG-Strom fails a small query on the GPU"),
    ("gpu-not-taken", "a small query is not planned on the GPU, where nothing else is cheap"),
    ("switched-off", "`pg_strom.enabled` is off by default"),
    ("cpu-fallback", "`pg_strom.cpu_fallback` is not off"),
    ("gpu-path-off", "a way of using the GPU is switched off"),
    ("one-gpu", "one GPU for all partitions"),
    ("no-gpu-direct", "pages reach the GPU by way of the server's memory"),
    ("below-gpudirect-threshold", "the table is smaller than `pg_strom.gpudirect_threshold`"),
    ("few-pages-visible", "few pages are visible to everybody"),
    ("settings-closed", "our role may not set some of PG-Strom's settings"),
    ("devices-unknown", "the GPUs that PG-Strom uses could not be listed"),
    ("gpu-shared", "other programs are on the GPU"),
    ("no-such-setting", "a setting of PG-Strom is given a value and does not exist"),
    ("too-old", "the server is older than 15"),
    ("standby", "the server takes no rows"),
    ("clock-off", "the server's clock is more than 100 ms off this machine's"),
    ("debug-build", "the server checks itself with assertions"),
    ("fsync-off", "commits do not wait for the disk"),
    ("full-page-writes-off", "pages are not written whole to the log"),
    ("synchronous-commit-off", "commits are acknowledged before they are on disk"),
    ("autovacuum-off", "autovacuum is off"),
    ("small-wal", "`max_wal_size` is small for the stream"),
    ("no-parallel-workers", "queries get no parallel workers"),
    ("few-workers", "`max_worker_processes` or `max_parallel_workers` is low"),
    ("few-connections", "the load needs more sessions than server, database or role admit"),
    ("connection-limit", "database or role have a CONNECTION LIMIT, which suffices"),
    ("time-limits", "limits of time that strom-load overrides"),
    ("small-dev-shm", "/dev/shm is small"),
    ("small-buffers", "`shared_buffers` is small"),
    ("jit-on", "`jit` is on"),
    ("superuser", "our role is a superuser, and readers run the profile's SQL"),
    ("restart-pending", "a changed setting waits for a restart"),
];

fn item(
    id: &'static str,
    severity: Severity,
    fact: impl Into<String>,
    why: &'static str,
    fix: impl Into<String>,
) -> Advice {
    Advice::new(id, severity, fact, why, fix)
}

/// Everything there is to say, worst first. Without a server there is nothing. Queries run on the
/// readers' server, where they have one of their own.
pub fn advise(
    load: &Load,
    machine: &Machine,
    server: Option<&Server>,
    readers: Option<&Server>,
) -> Vec<Advice> {
    let mut advice = Vec::new();
    if let Some(queried) = readers.or(server) {
        advice.extend(strom::advise(load, machine, queried));
    }
    if let Some(server) = server {
        advice.extend(load::advise(load, server));
    }
    // Stable: what stands together stays together.
    advice.sort_by_key(|item| item.severity);
    advice
}

#[cfg(test)]
mod tests;
