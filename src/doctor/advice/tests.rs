//! Advice on servers as they were met, and on one with everything wrong.

use std::collections::BTreeSet;

use crate::doctor::{Load, Machine, Part, Report, Server, TableFacts, text};
use crate::pg::clock::ClockOffset;
use crate::pg::connections::{Admits, Admitted};
use crate::strom::GpuService;
use crate::strom::server::tests::{printed, with};
use crate::strom::server::{Device, ServerProcess, StromServer};
use crate::strom::settings::{Existence, Inventory, Mention, Setting};
use crate::watch::gpu::{Gpu, GpuNow, GpuProcess};

use super::*;

fn load() -> Load {
    Load {
        table: "l40s_realtime_stream".into(),
        rows_per_s: Some(3000),
        partitions: 3,
        readers: 2,
        sessions: 7,
    }
}

fn setting(name: &str, value: &str, raw: &str, unit: Option<&str>) -> Setting {
    Setting {
        existence: Existence::Real,
        value: Some(value.to_owned()),
        raw: Some(raw.to_owned()),
        unit: unit.map(str::to_owned),
        ..Setting::absent(name)
    }
}

fn limit(name: &str, value: &str, source: &str) -> Setting {
    Setting { source: Some(source.to_owned()), ..setting(name, value, value, Some("ms")) }
}

fn placeholder(name: &str) -> Setting {
    let value = Some("on".to_owned());
    Setting { existence: Existence::Placeholder, value, ..Setting::absent(name) }
}

fn gpu(processes: Vec<GpuProcess>) -> GpuNow {
    GpuNow {
        gpu: Gpu {
            index: 0,
            uuid: Some("GPU-1".to_owned()),
            name: Some("NVIDIA H100 80GB HBM3".to_owned()),
            pci_bus_id: None,
            memory_total_bytes: Some(85_520_809_984),
        },
        memory_used_bytes: Some(1_800_000_000),
        utilization_ratio: None,
        temperature_celsius: None,
        power_watts: None,
        processes: Some(processes),
    }
}

fn process(pid: u32, command: &str) -> GpuProcess {
    GpuProcess {
        pid,
        memory_bytes: Some(1_700_000_000),
        command: Some(command.to_owned()),
        is_pg_strom: command.contains("PG-Strom"),
    }
}

fn machine() -> Machine {
    Machine {
        driver: Some("580.65.06".to_owned()),
        gpus: vec![gpu(vec![process(42, "postgres: PG-Strom GPU Service")])],
        ..Machine::default()
    }
}

fn table(bytes: [u64; 3]) -> TableFacts {
    let part = |(number, bytes): (usize, &u64)| Part {
        name: format!("l40s_realtime_stream_p{number}"),
        heap_bytes: *bytes,
        rows_estimated: Some(bytes / 100),
        all_visible_pages: bytes / 8192,
    };
    TableFacts {
        name: "l40s_realtime_stream".to_owned(),
        partitions: bytes.iter().enumerate().map(part).collect(),
        all_visible_ratio: Some(1.0),
    }
}

/// A server with nothing wrong.
fn server(pg_strom: StromServer) -> Server {
    Server {
        address: "postgresql://me@db/sales".to_owned(),
        version: "15.20".to_owned(),
        major: 15,
        database: "sales".to_owned(),
        role: "me".to_owned(),
        superuser: true,
        clock: ClockOffset { offset_ms: 0.021, uncertainty_ms: 0.055 },
        standby: false,
        processes: Some(ServerProcess { postmaster_pid: 40, gpu_service_pid: Some(42) }),
        dev_shm_bytes: Some(1 << 30),
        settings: vec![
            setting("autovacuum", "on", "on", None),
            setting("checkpoint_timeout", "5min", "300", Some("s")),
            setting("debug_assertions", "off", "off", None),
            setting("dynamic_shared_memory_type", "posix", "posix", None),
            setting("fsync", "on", "on", None),
            setting("full_page_writes", "on", "on", None),
            setting("jit", "off", "off", None),
            setting("max_connections", "100", "100", None),
            setting("max_parallel_workers", "8", "8", None),
            setting("max_parallel_workers_per_gather", "2", "2", None),
            setting("max_wal_size", "4GB", "4096", Some("MB")),
            setting("max_worker_processes", "8", "8", None),
            setting("shared_buffers", "16GB", "2097152", Some("8kB")),
            setting("superuser_reserved_connections", "3", "3", None),
            setting("synchronous_commit", "on", "on", None),
        ],
        time_limits: Vec::new(),
        connections: vec![Admitted { by: Admits::Server, sessions: 97 }],
        gpu_service: pg_strom.found_gpu.filter(|found| *found).map(|_| GpuService::Answers),
        pg_strom,
        table: Some(table([3 << 30; 3])),
    }
}

/// PG-Strom as it was met on a real GPU without the vendor's module.
fn met(release: &str) -> StromServer {
    StromServer {
        extension: Some("6.0".to_owned()),
        available: Some("6.0".to_owned()),
        preload: Some(true),
        devices: Some(vec![Device {
            id: 0,
            name: Some("NVIDIA H100 80GB HBM3".to_owned()),
            uuid: Some("GPU-1".to_owned()),
            memory: Some("79.19GB".to_owned()),
        }]),
        ..StromServer::of_settings(printed(release))
    }
}

fn ids(server: &Server) -> Vec<String> {
    advise(&load(), &machine(), Some(server), None).into_iter().map(|item| item.id).collect()
}

fn change(server: &mut Server, name: &str, value: &str) {
    let setting = server.settings.iter_mut().find(|setting| setting.name == name).unwrap();
    setting.value = Some(value.to_owned());
    setting.raw = Some(value.to_owned());
}

#[test]
fn the_server_that_was_met() {
    let server = server(met("6.2"));
    insta::assert_snapshot!(text::render(&Report::of(load(), machine(), Some(server), None)));
}

/// Everything that is wrong without PG-Strom.
fn bad_load() -> Server {
    let mut bad = server(StromServer::default());
    for name in ["autovacuum", "fsync", "full_page_writes", "synchronous_commit"] {
        change(&mut bad, name, "off");
    }
    change(&mut bad, "jit", "on");
    change(&mut bad, "debug_assertions", "on");
    change(&mut bad, "max_connections", "8");
    bad.connections = vec![
        Admitted { by: Admits::Server, sessions: 5 },
        Admitted { by: Admits::Database("sales".to_owned()), sessions: 7 },
        Admitted { by: Admits::Role("\"Me\"".to_owned()), sessions: 6 },
    ];
    bad.time_limits = vec![
        limit("idle_session_timeout", "10min", "user"),
        limit("statement_timeout", "150ms", "database"),
        limit("lock_timeout", "1s", "configuration file"),
    ];
    change(&mut bad, "max_parallel_workers_per_gather", "0");
    change(&mut bad, "max_worker_processes", "4");
    change(&mut bad, "max_wal_size", "64");
    change(&mut bad, "shared_buffers", "16384");
    bad.settings[0].pending_restart = true;
    bad.dev_shm_bytes = Some(64 << 20);
    bad.clock = ClockOffset { offset_ms: -744_000.0, uncertainty_ms: 0.2 };
    (bad.major, bad.version, bad.standby) = (14, "14.1".to_owned(), true);
    bad.table = None;
    bad
}

/// Everything that is wrong with a PG-Strom that is loaded.
fn bad_strom() -> Server {
    let mut inventory = with(printed("6.0"), "pg_strom.cpu_fallback", "notice");
    for name in ["pg_strom.enabled", "pg_strom.enable_gpusort"] {
        inventory = with(inventory, name, "off");
    }
    for setting in &mut inventory.settings {
        setting.may_set = !setting.name.ends_with("threshold");
    }
    for name in
        ["pg_strom.chunk_size", "pg_strom.enable_select_into_direct", "pg_strom.enable_brim"]
    {
        inventory.settings.push(placeholder(name));
    }
    inventory.mentions.push(Mention {
        name: "pg_strom.chunk_size".to_owned(),
        place: "/etc/postgresql.conf:7".to_owned(),
    });
    let mut bad = server(StromServer {
        devices_unknown: Some("our role may not call pgstrom.gpu_device_info()".to_owned()),
        extension: Some("6.0".to_owned()),
        ..StromServer::of_settings(inventory)
    });
    bad.table = Some(TableFacts { all_visible_ratio: Some(0.123), ..table([1 << 30, 1 << 29, 0]) });
    bad
}

#[test]
fn everything_wrong() {
    let mut crowded = machine();
    crowded.gpus.push(gpu(vec![process(7, "python train.py")]));
    let mut told = String::new();
    for bad in [bad_load(), bad_strom()] {
        let report = text::render(&Report::of(load(), crowded.clone(), Some(bad), None));
        told += report.split_once("\nadvice\n").unwrap().1;
        told += "\n";
    }
    insta::assert_snapshot!(told);
}

#[test]
fn every_item_is_given_to_some_server_and_has_a_name_of_its_own() {
    let mut given = BTreeSet::new();
    let mut pretended = server(StromServer::default());
    pretended.pg_strom = StromServer::of_settings(Inventory {
        settings: vec![placeholder("pg_strom.enabled")],
        ..Inventory::default()
    });
    let mut blind = printed("6.1");
    blind.settings.retain(|setting| !setting.name.contains("gpu"));
    let blind = server(StromServer::of_settings(blind));
    let mut idle = server(met("6.1"));
    idle.processes = Some(ServerProcess { postmaster_pid: 40, gpu_service_pid: None });
    let answering = |gpu_service| Server { gpu_service: Some(gpu_service), ..server(met("6.1")) };
    let (silent, unused) = (answering(GpuService::Silent), answering(GpuService::NotUsed));
    let failing = answering(GpuService::Fails("failed on cuCtxCreate".to_owned()));
    let mut crowded = machine();
    crowded.gpus.push(gpu(vec![process(7, "python train.py")]));
    for server in [bad_load(), bad_strom(), pretended, blind, idle, silent, unused, failing] {
        let advice = advise(&load(), &crowded, Some(&server), None);
        assert!(advice.is_sorted_by_key(|item| item.severity));
        given.extend(advice.iter().map(|item| item.id.clone()));
    }
    let known: BTreeSet<_> = ALL.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(known.len(), ALL.len());
    assert_eq!(given, known);
}

#[test]
fn a_server_without_pg_strom_and_gpu_gets_one_note() {
    let plain = Server { superuser: false, ..server(StromServer::default()) };
    let advice = advise(&load(), &Machine::default(), Some(&plain), None);
    assert_eq!(advice.len(), 1);
    assert_eq!((&*advice[0].id, advice[0].severity), ("pg-strom-not-loaded", Severity::Note));
    assert_eq!(advise(&load(), &machine(), None, None), []);
}

#[test]
fn installed_or_with_a_gpu_it_is_a_warning() {
    let plain = server(StromServer::default());
    assert_eq!(advise(&load(), &machine(), Some(&plain), None)[0].severity, Severity::Warning);
    let mut elsewhere = plain.clone();
    elsewhere.processes = None;
    assert_eq!(advise(&load(), &machine(), Some(&elsewhere), None)[0].severity, Severity::Note);
    elsewhere.pg_strom.available = Some("6.0".to_owned());
    assert_eq!(advise(&load(), &machine(), Some(&elsewhere), None)[0].severity, Severity::Warning);
}

#[test]
fn several_gpus_with_the_vendors_module_are_no_matter() {
    let mut strom = met("6.1");
    let second = Device { id: 1, ..strom.devices.as_ref().unwrap()[0].clone() };
    strom.devices.as_mut().unwrap().push(second);
    assert!(!ids(&server(strom)).iter().any(|id| id == "one-gpu"));
    // One partition is served by one GPU.
    let one = Load { partitions: 1, ..load() };
    let server = server(met("6.1"));
    assert!(advise(&one, &machine(), Some(&server), None).iter().all(|item| item.id != "one-gpu"));
}

#[test]
fn the_threshold_is_held_against_the_largest_partition() {
    let mut small = server(met("6.1"));
    small.table = Some(table([2 << 30, 0, 0]));
    assert!(!ids(&small).iter().any(|id| id == "below-gpudirect-threshold"));
    small.table = Some(table([(2 << 30) - 8192; 3]));
    assert!(
        ids(&small).iter().any(|id| id == "below-gpudirect-threshold"),
        "6 GiB in all, 2 GiB in none"
    );
}

#[test]
fn the_log_is_held_against_the_rate() {
    let wal = |rows_per_s, max_mb: &str| {
        let mut server = server(StromServer::default());
        change(&mut server, "max_wal_size", max_mb);
        let load = Load { rows_per_s, ..load() };
        advise(&load, &Machine::default(), Some(&server), None)
            .iter()
            .any(|item| item.id == "small-wal")
    };
    assert!(!wal(Some(3000), "1024"), "99 MB in five minutes");
    assert!(wal(Some(30_000), "1024"), "990 MB in five minutes, of 565 MB");
    assert!(!wal(Some(30_000), "4096"));
    assert!(!wal(None, "64"), "how fast it will be is not known");
}
