//! What makes a load easier, or an answer faster or slower, than it should be.

use crate::doctor::{Load, Server};
use crate::pg::connections::{Admits, Admitted};
use crate::quantity::format_bytes;
use crate::result::advice::{WAL_SHARE, clock_off, durability, no_parallel_workers};
use crate::strom::settings::Setting;

use super::{Advice, Severity, item};

use Severity::{Critical, Note, Warning};

/// Oldest major version with everything that strom-load uses.
const MAJOR_MIN: u32 = 15;
/// A row with its share of the page where no table says better: the default profile's takes so
/// much.
const ROW_BYTES: f64 = 100.0;
/// PostgreSQL's own default for workers, which a comparison with a GPU should not go below.
const WORKERS_MIN: f64 = 8.0;
/// Below this, parallel hash joins run out of /dev/shm.
const DEV_SHM_BYTES_MIN: u64 = 256 << 20;
/// PostgreSQL's own default for shared_buffers, which fits a small machine.
const BUFFERS_BYTES_DEFAULT: u64 = 128 << 20;

pub(super) fn advise(load: &Load, server: &Server) -> Vec<Advice> {
    let mut advice = durability(|name| is(server, name, "off"));
    advice.extend(kind(server));
    advice.extend(small_wal(load, server));
    advice.extend(workers(server));
    advice.extend(connections(load, server));
    advice.extend(time_limits(server));
    advice.extend(memory(server));
    advice.extend(superuser(load, server));
    advice.extend(restart_pending(server));
    advice
}

fn kind(server: &Server) -> Vec<Advice> {
    let mut advice = Vec::new();
    if server.major < MAJOR_MIN {
        advice.push(item(
            "too-old",
            Critical,
            format!("the server is PostgreSQL {}", server.version),
            "strom-load refuses to run on it",
            format!("use PostgreSQL {MAJOR_MIN} or newer"),
        ));
    }
    if server.standby {
        advice.push(item(
            "standby",
            Critical,
            "the server is a standby",
            "it takes no rows",
            "name the primary, or several hosts with target_session_attrs=read-write",
        ));
    }
    advice.extend(clock_off(&server.clock));
    if is(server, "debug_assertions", "on") {
        advice.push(item(
            "debug-build",
            Critical,
            "debug_assertions is on",
            "a server that checks itself at every step is several times slower",
            "use a server built without --enable-cassert",
        ));
    }
    advice
}

fn small_wal(load: &Load, server: &Server) -> Option<Advice> {
    let max = server.setting("max_wal_size")?.bytes()?;
    let timeout_s = server.setting("checkpoint_timeout")?.number()?;
    let row_bytes = server.table.as_ref().and_then(super::super::TableFacts::row_bytes);
    // As much goes to the log as to the table, a little more with its headers.
    let wal_per_s = load.rows_per_s? as f64 * row_bytes.unwrap_or(ROW_BYTES) * 1.1;
    let full_s = max as f64 * WAL_SHARE / wal_per_s;
    if full_s >= timeout_s {
        return None;
    }
    let wanted = (wal_per_s * timeout_s / WAL_SHARE / f64::from(1 << 30)).ceil();
    Some(item(
        "small-wal",
        Warning,
        format!(
            "at {} rows/s, about {}/s of log, max_wal_size = {} forces a checkpoint every {full_s:.0} \
             s, before checkpoint_timeout = {timeout_s:.0} s",
            load.rows_per_s?,
            format_bytes(wal_per_s as u64),
            format_bytes(max),
        ),
        "after each checkpoint whole pages go to the log again: throughput falls in waves",
        format!("ALTER SYSTEM SET max_wal_size = '{wanted:.0}GB'; SELECT pg_reload_conf()"),
    ))
}

fn workers(server: &Server) -> Vec<Advice> {
    let number = |name: &str| server.setting(name).and_then(Setting::number);
    let mut advice = Vec::new();
    if number("max_parallel_workers_per_gather") == Some(0.0) {
        advice.push(no_parallel_workers());
    }
    let low: Vec<String> = ["max_worker_processes", "max_parallel_workers"]
        .into_iter()
        .filter_map(|name| Some((name, number(name).filter(|count| *count < WORKERS_MIN)?)))
        .map(|(name, count)| format!("{name} is {count}"))
        .collect();
    if !low.is_empty() {
        advice.push(item(
            "few-workers",
            Warning,
            low.join(", "),
            "parallel queries of several readers get fewer workers than planned, and PG-Strom's \
             service takes one of them",
            "raise both to 8 or more and restart the server",
        ));
    }
    if is(server, "jit", "on") {
        advice.push(item(
            "jit-on",
            Note,
            "jit is on",
            "expensive plans are compiled for the CPU first; in a short query the compiler, not \
             the CPU, is what the GPU is compared with",
            "compare once with jit off: options=-c jit=off in the connection",
        ));
    }
    advice
}

fn connections(load: &Load, server: &Server) -> Vec<Advice> {
    let need = load.sessions;
    let item = |Admitted { by, sessions }: &Admitted| {
        let who = by.who();
        let fewer = "or use fewer partitions or readers";
        if need > *sessions {
            return Some(item(
                "few-connections",
                Warning,
                format!("the load needs {need} sessions, and {who} admits {sessions}"),
                "a run is refused before it starts",
                match by {
                    Admits::Server => format!("{} and restart the server, {fewer}", by.fix()),
                    Admits::Database(_) | Admits::Role(_) => format!("{}, {fewer}", by.fix()),
                },
            ));
        }
        // The server's own limit is nothing special.
        let special = *by != Admits::Server;
        special.then(|| {
            item(
                "connection-limit",
                Note,
                format!("{who} admits {sessions} sessions, and the load needs {need}"),
                "strom-load cannot override a CONNECTION LIMIT: sessions of others that come during \
                 a run may keep it from connecting again after a fault",
                format!("{}, if others work there too", by.fix()),
            )
        })
    };
    server.connections.iter().filter_map(item).collect()
}

/// Limits that would end the work of a run, if it let them.
fn time_limits(server: &Server) -> Option<Advice> {
    let limit = |setting: &Setting| {
        let value = setting.value.as_deref().unwrap_or_default();
        let by = match setting.source.as_deref() {
            Some("user") => " of the role",
            Some("database") => " of the database",
            Some("database user") => " of the role in this database",
            Some("global") => " of all roles",
            Some("client") => " of the connection",
            _ => " of the server",
        };
        format!("{} = {value}{by}", setting.name)
    };
    let limits: Vec<String> = server.time_limits.iter().map(limit).collect();
    (!limits.is_empty()).then(|| {
        item(
            "time-limits",
            Note,
            limits.join(", "),
            "strom-load overrides them in its sessions: they end neither a load, nor a reader that \
             waits, nor the reading back of all rows",
            "nothing to do; a profile's queries have a limit of their own, --statement-timeout",
        )
    })
}

fn superuser(load: &Load, server: &Server) -> Option<Advice> {
    if !server.superuser || load.readers == 0 {
        return None;
    }
    Some(item(
        "superuser",
        Note,
        format!("the role {} is a superuser", server.role),
        "readers run the SQL of the profile with its rights: they are read-only, and may still read \
         the server's files and end other sessions",
        "let a role of its own run the load: CREATE ROLE load LOGIN; GRANT CREATE ON SCHEMA public \
         TO load",
    ))
}

fn memory(server: &Server) -> Vec<Advice> {
    let mut advice = Vec::new();
    let dev_shm = server.dev_shm_bytes.filter(|bytes| *bytes < DEV_SHM_BYTES_MIN);
    if let Some(bytes) = dev_shm
        && is(server, "dynamic_shared_memory_type", "posix")
    {
        advice.push(item(
            "small-dev-shm",
            Warning,
            format!("the server's /dev/shm has {}", format_bytes(bytes)),
            "parallel queries fail when it is full: could not resize shared memory segment",
            "give the container more, as with --shm-size=1g",
        ));
    }
    let buffers = server.setting("shared_buffers").and_then(Setting::bytes);
    if let Some(bytes) = buffers.filter(|bytes| *bytes <= BUFFERS_BYTES_DEFAULT) {
        advice.push(item(
            "small-buffers",
            Note,
            format!("shared_buffers is {}", format_bytes(bytes)),
            "pages that were just written are soon read back from the operating system",
            "set it to about a quarter of the memory and restart the server",
        ));
    }
    advice
}

fn restart_pending(server: &Server) -> Option<Advice> {
    let ours = server.pg_strom.inventory.settings.iter();
    let pending: Vec<&str> = server
        .settings
        .iter()
        .chain(ours)
        // What the command line says holds after a restart too, whatever the file says.
        .filter(|setting| {
            setting.pending_restart && setting.source.as_deref() != Some("command line")
        })
        .map(|setting| setting.name.as_str())
        .collect();
    if pending.is_empty() {
        return None;
    }
    Some(item(
        "restart-pending",
        Warning,
        format!("changed and not in force: {}", pending.join(", ")),
        "the configuration file says something else than what is measured",
        "restart the server",
    ))
}

fn is(server: &Server, name: &str, value: &str) -> bool {
    server.setting(name).is_some_and(|setting| setting.is(value))
}
