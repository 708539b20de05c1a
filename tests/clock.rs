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
    let (real, _) = would_start(None).await.unwrap();
    let folder = scratch();
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
            "LD_PRELOAD='{}' FAKETIME={offset} DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1",
            library.display()
        ),
    );
    folder
}

fn address(socket_dir: &Path, port: u16) -> String {
    format!("host={} port={port} user=postgres dbname=postgres", socket_dir.display())
}

fn run(address: &str) -> Vec<&str> {
    let common = ["--metrics-addr", "off", "--output", "out", "--duration", "1s", "--warmup", "0s"];
    [&common[..], &["--readers", "0", "--database-url", address]].concat()
}

#[tokio::test]
async fn a_clock_an_hour_ahead_is_told_before_the_run_and_by_the_doctor() {
    let folder = bindir_with_offset("+1h").await;
    let bindir = Some(folder.path().to_owned());
    let server =
        Server::start(&ServerOptions { bindir, ..ServerOptions::default() }).await.unwrap();
    let address = address(server.socket_dir(), server.port());
    let ended = Program::start(&run(&address)).end().await;
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
    let ended = Program::start(&run(&database.address())).end().await;
    let clock = ended.done()["server"]["clock"].clone();
    let (offset, unsure) = (&clock["offset_ms"], &clock["uncertainty_ms"]);
    // The same clock: what there is of an offset, the round trip explains. A microsecond is what
    // the server rounds to.
    assert!(offset.as_f64().unwrap().abs() <= unsure.as_f64().unwrap() + 0.002, "{clock}");
    assert!(!ended.stderr.contains("clock"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("CLOCK"), "{}", ended.stdout);
}
