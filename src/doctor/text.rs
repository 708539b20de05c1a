//! The report for people.

use std::fmt::Write as _;

use crate::quantity::{format_bytes, format_count};
use crate::strom::GpuService;
use crate::strom::server::{GpuDirect, StromServer};
use crate::strom::settings::{Context, Setting};

use super::{Machine, Report, Server, TableFacts};

/// Settings on one line of the server, in this order.
const SHOWN: [&[&str]; 3] = [
    &["fsync", "synchronous_commit", "full_page_writes", "wal_level", "max_wal_size", "autovacuum"],
    &["shared_buffers", "work_mem", "max_connections", "data_checksums", "track_io_timing"],
    &["max_worker_processes", "max_parallel_workers", "max_parallel_workers_per_gather", "jit"],
];

/// Width of the labels on the left.
const LABEL: usize = 12;

/// Renders a report.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    match &report.server {
        Some(server) => {
            describe_server(&mut text, "server", server);
            if report.readers_server.is_none() {
                describe_strom(&mut text, server);
            }
            describe_table(&mut text, server, &report.load.table);
        }
        None => {
            line(&mut text, "server", "none was given, and none was started");
            line(&mut text, "", "give one with --database-url, or --data-dir for a kept one");
        }
    }
    if let Some(readers) = &report.readers_server {
        describe_server(&mut text, "readers", readers);
        describe_strom(&mut text, readers);
    }
    describe_machine(&mut text, report);
    if let Some(queried) = report.readers_server.as_ref().or(report.server.as_ref()) {
        describe_settings(&mut text, &queried.pg_strom);
        describe_advice(&mut text, report);
    }
    text
}

/// One line; writing to a String cannot fail.
fn line(text: &mut String, label: &str, says: &str) {
    let _ = writeln!(text, "{}", format!("{label:LABEL$}{says}").trim_end());
}

fn describe_server(text: &mut String, label: &str, server: &Server) {
    line(text, label, &format!("PostgreSQL {}", server.version));
    line(text, "", &server.address);
    let kind = if server.superuser { "a superuser" } else { "no superuser" };
    let standby = if server.standby { "; a standby" } else { "" };
    line(text, "", &format!("database {}, role {}, {kind}{standby}", server.database, server.role));
    line(text, "", &format!("its clock is {}", server.clock));
    for names in SHOWN {
        let shown: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("{name}={}", server.setting(name)?.value.as_ref()?)))
            .collect();
        line(text, "", &shown.join(" "));
    }
    match server.processes {
        Some(found) => {
            let shm = server.dev_shm_bytes;
            let shm = shm.map_or_else(String::new, |b| format!(", /dev/shm {}", format_bytes(b)));
            line(text, "", &format!("on this machine, process {}{shm}", found.postmaster_pid));
        }
        None => line(text, "", "its processes are not visible from here"),
    }
}

fn describe_strom(text: &mut String, server: &Server) {
    let strom = &server.pg_strom;
    if !strom.loaded {
        line(text, "pg-strom", "not loaded: all queries run on the CPU");
        let installed = match (&strom.available, &strom.extension) {
            (_, Some(version)) => format!("extension {version} is in this database"),
            (Some(version), None) => format!("extension {version} is installed, not created here"),
            (None, None) => "not installed".to_owned(),
        };
        line(text, "", &installed);
        return;
    }
    let release = match strom.release {
        Some("5.2") => "5.2 or older".to_owned(),
        Some(release) => format!("{release}, told by its settings"),
        None => "of an unknown release".to_owned(),
    };
    let githash =
        strom.githash.as_ref().map_or_else(String::new, |hash| format!(", built from {hash}"));
    line(text, "pg-strom", &format!("loaded, {release}{githash}"));
    let extension = match (&strom.extension, &strom.available) {
        (Some(version), _) => format!("{version} in this database"),
        (None, Some(version)) => format!("{version} installed, not created in this database"),
        (None, None) => "not created in this database".to_owned(),
    };
    line(text, "", &format!("extension {extension}"));
    match (&strom.devices, strom.found_gpu) {
        (_, Some(false)) => line(text, "", "it found no GPU when the server started"),
        (Some(devices), _) => {
            for device in devices {
                let name = device.name.as_deref().unwrap_or("of unknown name");
                let rest = [&device.memory, &device.uuid].into_iter().flatten();
                let facts: Vec<&str> =
                    std::iter::once(name).chain(rest.map(String::as_str)).collect();
                line(text, "", &format!("uses GPU{} {}", device.id, facts.join(", ")));
            }
        }
        (None, _) => {
            let why = strom.devices_unknown.as_deref().unwrap_or("nobody said why");
            line(text, "", &format!("GPUs in use not known: {why}"));
        }
    }
    let module = match strom.extra_module {
        Some(true) => "heterodb_extra there, several GPUs possible",
        Some(false) => "heterodb_extra missing, or without a driver: one GPU at most",
        None => "heterodb_extra not known",
    };
    let direct = match strom.gpu_direct {
        Some(GpuDirect::Possible) => "GPU-Direct possible",
        Some(GpuDirect::NoDriver) => "no GPU-Direct (driver vfs)",
        Some(GpuDirect::SwitchedOff) => "no GPU-Direct (switched off)",
        None => "GPU-Direct not known",
    };
    line(text, "", &format!("{module}; {direct}"));
    if let Some(pid) = server.processes.and_then(|found| found.gpu_service_pid) {
        line(text, "", &format!("GPU service is process {pid}"));
    }
    if server.gpu_service == Some(GpuService::Answers) {
        line(text, "", "a small query is answered on the GPU");
    }
}

fn describe_table(text: &mut String, server: &Server, wanted: &str) {
    let Some(table) = &server.table else {
        line(text, "table", &format!("{wanted} is not there, or not visible to this role"));
        return;
    };
    let TableFacts { name, partitions, all_visible_ratio } = table;
    let rows: Option<u64> = partitions.iter().map(|part| part.rows_estimated).sum();
    let rows = rows
        .map_or_else(|| "rows unknown".to_owned(), |r| format!("about {} rows", format_count(r)));
    let size = format_bytes(table.heap_bytes());
    let parts = match partitions.len() {
        1 => "1 partition".to_owned(),
        parts => format!("{parts} partitions"),
    };
    line(text, "table", &format!("{name}: {size}, {rows}, {parts}"));
    let visible = all_visible_ratio.map_or_else(
        || "empty".to_owned(),
        |share| format!("{:.0} % of pages all-visible", share * 100.0),
    );
    let largest = format_bytes(table.largest_bytes());
    line(text, "", &format!("largest partition {largest}; {visible}"));
}

fn describe_machine(text: &mut String, report: &Report) {
    let Machine { driver, gpus, no_gpu, postgres, no_postgres } = &report.machine;
    match no_gpu {
        Some(why) => line(text, "gpu", why.lines().next().unwrap_or_default()),
        None => {
            line(text, "gpu", &format!("NVIDIA driver {}", driver.as_deref().unwrap_or("unknown")));
        }
    }
    for now in gpus {
        let name = now.gpu.name.as_deref().unwrap_or("of unknown name");
        let memory = match (now.memory_used_bytes, now.gpu.memory_total_bytes) {
            (Some(used), Some(total)) => {
                format!(", {} of {} used", format_bytes(used), format_bytes(total))
            }
            (None, Some(total)) => format!(", {}", format_bytes(total)),
            _ => String::new(),
        };
        let uuid = now.gpu.uuid.as_ref().map_or_else(String::new, |uuid| format!(", {uuid}"));
        line(text, "", &format!("GPU {} {name}{memory}{uuid}", now.gpu.index));
        match &now.processes {
            None => line(text, "", "  the driver does not tell who is on it"),
            Some(processes) if processes.is_empty() => line(text, "", "  nobody is on it"),
            Some(processes) => {
                for process in processes {
                    let what = process.command.as_deref().unwrap_or("not visible from here");
                    let memory = process
                        .memory_bytes
                        .map_or_else(String::new, |bytes| format!(", {}", format_bytes(bytes)));
                    line(text, "", &format!("  process {}: {what}{memory}", process.pid));
                }
            }
        }
    }
    match (postgres, no_postgres) {
        (Some(found), _) => line(
            text,
            "embedded",
            &format!("PostgreSQL {} in {}", found.version, found.bindir.display()),
        ),
        (None, why) => {
            let why = why.as_deref().unwrap_or("no server binaries");
            let mut lines = why.lines();
            line(text, "embedded", lines.next().unwrap_or_default());
            lines.for_each(|more| line(text, "", more));
        }
    }
}

fn describe_settings(text: &mut String, strom: &StromServer) {
    let settings = &strom.inventory.settings;
    if settings.is_empty() {
        return;
    }
    let value = |setting: &Setting| match &setting.value {
        _ if !setting.is_real() => "(no setting)".to_owned(),
        None => "(not shown to this role)".to_owned(),
        Some(value) if value.is_empty() => "''".to_owned(),
        Some(value) => value.clone(),
    };
    let names = settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    let values = settings.iter().map(|setting| value(setting).chars().count()).max();
    let values = values.unwrap_or_default().min(30);
    text.push_str("\nPG-Strom's settings\n");
    for setting in settings {
        let context = setting.context.map_or("", Context::name);
        let hidden = if setting.hidden { ", hidden" } else { "" };
        let row =
            format!("  {:names$}  {:values$}  {context}{hidden}", setting.name, value(setting));
        let _ = writeln!(text, "{}", row.trim_end());
    }
}

fn describe_advice(text: &mut String, report: &Report) {
    if report.advice.is_empty() {
        text.push_str("\nnothing to advise\n");
        return;
    }
    text.push_str("\nadvice\n");
    for item in &report.advice {
        let _ = writeln!(
            text,
            "  {}: {} [{}]\n    why: {}\n    fix: {}",
            item.severity.name(),
            item.fact,
            item.id,
            item.why,
            item.fix
        );
    }
}
