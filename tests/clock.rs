//! A server whose clock is not ours: said before the run, in the result and by the doctor.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use strom_load::pg::embedded::{Server, ServerOptions, would_start};
use tempfile::TempDir;

use crate::support::{Database, Program, scratch};

/// libfaketime, from the package `faketime`; its folder has the machine's name.
fn libfaketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let library = |folder: PathBuf| folder.join("faketime/libfaketime.so.1");
    let found = folders.map(library).find(|library| library.exists());
    found.unwrap_or_else(|| panic!("libfaketime is needed here: apt install faketime"))
}

/// Server binaries that believe it to be `offset` from now. The folder holds them.
async fn bindir_with_offset(offset: &str) -> TempDir {
    bindir_with(&format!("FAKETIME={offset}"), scratch()).await
}

/// The same with whatever libfaketime is told by this, into a folder that may hold more.
async fn bindir_with(told: &str, folder: TempDir) -> TempDir {
    let (real, _) = would_start(None).await.unwrap();
    let script = |name: &str, environment: &str| {
        let path = folder.path().join(name);
        let real = real.join(name).display().to_string();
        fs::write(&path, format!("#!/bin/sh\n{environment} exec '{real}' \"$@\"\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("initdb", "");
    // Timers must not run off: only the time of day is another.
    let library = libfaketime();
    script(
        "postgres",
        &format!(
            "LD_PRELOAD='{}' {told} DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1",
            library.display()
        ),
    );
    folder
}

fn address(socket_dir: &Path, port: u16) -> String {
    format!("host={} port={port} user=postgres dbname=postgres", socket_dir.display())
}

fn run(address: &str) -> Vec<&str> {
    let common = ["--metrics-addr", "off", "--output", "out", "--warmup", "0s"];
    [&common[..], &["--readers", "0", "--database-url", address]].concat()
}

#[tokio::test]
async fn a_clock_an_hour_ahead_is_told_before_the_run_and_by_the_doctor() {
    let folder = bindir_with_offset("+1h").await;
    let bindir = Some(folder.path().to_owned());
    let server =
        Server::start(&ServerOptions { bindir, ..ServerOptions::default() }).await.unwrap();
    let address = address(server.socket_dir(), server.port());
    let ended = Program::start(&[&run(&address)[..], &["--duration", "1s"]].concat()).end().await;
    let clock = ended.done()["server"]["clock"].clone();
    let (offset, unsure) = (&clock["offset_ms"], &clock["uncertainty_ms"]);
    let (offset, unsure) = (offset.as_f64().unwrap(), unsure.as_f64().unwrap());
    assert!((offset - 3_600_000.0).abs() <= unsure + 1.0 && unsure < 1_000.0, "{clock}");
    let warning = "WARN the server's clock is 60 min ahead of this machine's (±";
    // It is told in whole seconds, and the hour may just not be full.
    let full = |text: &str| text.replace("59 min 59 s", "60 min");
    assert!(full(&ended.stderr).contains(warning), "{}", ended.stderr);
    assert!(full(&ended.stdout).contains("ITS CLOCK IS 60 min ahead of"), "{}", ended.stdout);
    let ended = Program::start(&["doctor", "--database-url", &address]).end().await;
    let said = &full(&ended.stdout);
    assert!(said.contains("its clock is 60 min ahead of this machine's (± "), "{said}");
    assert!(said.contains("the server's clock is 60 min ahead"), "{said}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_ours_draws_no_word() {
    let database = Database::create().await;
    let address = database.address();
    let ended = Program::start(&[&run(&address)[..], &["--duration", "1s"]].concat()).end().await;
    let clock = ended.done()["server"]["clock"].clone();
    let (offset, unsure) = (&clock["offset_ms"], &clock["uncertainty_ms"]);
    // The same clock: what there is of an offset, the round trip explains. A microsecond is what
    // the server rounds to.
    assert!(offset.as_f64().unwrap().abs() <= unsure.as_f64().unwrap() + 0.002, "{clock}");
    assert!(!ended.stderr.contains("clock"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("CLOCK"), "{}", ended.stdout);
}

/// A file that says by how much a clock is off, for processes to look at again and again.
fn set(file: &Path, offset: &str) {
    let draft = file.with_extension("draft");
    fs::write(&draft, offset).unwrap();
    fs::rename(draft, file).unwrap();
}

/// The one step of a result, in seconds, of this clock.
fn step_s(result: &serde_json::Value, clock: &str) -> f64 {
    let steps = result["clock_steps"].as_array().unwrap();
    assert!(steps.len() == 1 && steps[0]["clock"] == clock, "{steps:?}");
    steps[0]["step_ms"].as_f64().unwrap() / 1e3
}

#[tokio::test]
async fn our_own_clock_that_is_put_back_is_said_and_makes_no_answer_young() {
    let database = Database::create().await;
    let folder = scratch();
    let (file, library) = (folder.path().join("offset"), libfaketime());
    set(&file, "+0");
    let env = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_RESET", "1"),
    ];
    let address = database.address();
    let args = ["--metrics-addr", "off", "--output", "out", "--duration", "5s", "--warmup", "0s"];
    let more = ["--rate", "300", "--readers", "1", "--database-url", &address];
    let program = Program::start_in(scratch(), &[&args[..], &more].concat(), &env);
    database.until("SELECT to_regclass('l40s_realtime_stream') IS NOT NULL").await;
    database.until("SELECT count(*) > 300 FROM l40s_realtime_stream").await;
    set(&file, "-5");
    let ended = program.end().await;
    let result = ended.result();
    let step_s = step_s(&result, "loader");
    assert!((step_s + 5.0).abs() < 0.5, "{step_s}");
    assert!(ended.stderr.contains("this machine's clock was put back by"), "{}", ended.stderr);
    assert!(ended.stdout.contains("CLOCK SET: this machine's"), "{}", ended.stdout);
    for query in result["queries"].as_array().unwrap() {
        let ages = [&query["answer_age"], &query["newest_age"]];
        for age in ages.into_iter().filter(|age| age.is_object()) {
            assert!(age["p50_ms"].as_f64().unwrap() > 0.1, "{query}");
            assert!(age["max_ms"].as_f64().unwrap() < 4_900.0, "{query}");
        }
    }
}

#[tokio::test]
async fn a_servers_clock_that_is_put_forward_is_said() {
    let folder = scratch();
    let file = folder.path().join("offset");
    set(&file, "+0");
    let told = format!("FAKETIME_TIMESTAMP_FILE='{}' FAKETIME_NO_CACHE=1", file.display());
    let folder = bindir_with(&told, folder).await;
    let bindir = Some(folder.path().to_owned());
    let server =
        Server::start(&ServerOptions { bindir, ..ServerOptions::default() }).await.unwrap();
    let address = address(server.socket_dir(), server.port());
    let args = [&run(&address)[..], &["--duration", "4s", "--rate", "300"]].concat();
    let program = Program::start(&args);
    program.says("results in").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    set(&file, "+3600");
    let ended = program.end().await;
    let step_s = step_s(&ended.result(), "server");
    assert!((step_s - 3_600.0).abs() < 0.5, "{step_s}");
    assert!(
        ended.stdout.contains("CLOCK SET: the server's clock was put forward"),
        "{}",
        ended.stdout
    );
    server.stop().await.unwrap();
}
