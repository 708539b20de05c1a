//! What watching GPUs costs, as a share of one core: the sampling loop as a run has it, against
//! the fake driver of the tests, so that what is measured is ours. `-- --driver` asks the real one.
//!
//! `cargo bench --bench watch` prints CPU time over wall time for several intervals; the first line
//! is a thread that only wakes as often, which is the noise and the floor.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use strom_load::record::Recorder;
use strom_load::watch::gpu::{self, Driver, Sampling, sample};
use strom_load::watch::process;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TIME: Duration = Duration::from_secs(5);
const INTERVALS_MS: [u64; 4] = [1000, 100, 20, 10];
/// The interval that a run has by default, and what it may cost.
const GOAL: (u64, f64) = (100, 0.01);

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let real = std::env::args().any(|arg| arg == "--driver");
    let libraries = if real { gpu::libraries() } else { vec![stub(folder.path())?] };
    let driver = Driver::open(&libraries)?;
    for gpu in driver.source(false).found().gpus {
        println!("GPU {}: {}", gpu.index, gpu.name.unwrap_or_default());
    }
    println!("\n| interval | samples | CPU µs a sample and GPU | share of a core | again |");
    println!("|---|---|---|---|---|");
    for ms in INTERVALS_MS {
        let interval = Duration::from_millis(ms);
        let floor = share(|stop| wake(interval, stop));
        println!("| {ms} ms, only waking | | | {:.4} % | |", floor * 100.0);
        let mut tallies = Vec::new();
        let mut once = || {
            let mut source = driver.source(false);
            let recorders: Vec<_> =
                source.found().gpus.iter().map(|_| Recorder::default()).collect();
            let measured_from = Instant::now();
            let sampling = Sampling {
                interval,
                measured_from,
                is_over: std::sync::Arc::default(),
                recorders: recorders.clone(),
            };
            let share = share(|stop| sample(&mut source, &sampling, stop));
            tallies.push(recorders.iter().map(|recorder| recorder.drain().usage.samples).sum());
            share
        };
        let (first, again) = (once(), once());
        let samples: u64 = tallies.first().copied().unwrap_or_default();
        let each_us = first * TIME.as_secs_f64() * 1e6 / samples.max(1) as f64;
        println!(
            "| {ms} ms | {samples} | {each_us:.1} | {:.4} % | {:.4} % |",
            first * 100.0,
            again * 100.0
        );
        if ms == GOAL.0 {
            let (share, met) = (first.max(again), first.max(again) <= GOAL.1);
            println!(
                "| goal at {ms} ms: {:.0} % | | | met: {met} ({share:.5}) | |",
                GOAL.1 * 100.0
            );
        }
    }
    Ok(())
}

/// CPU time over wall time of some work on a thread of its own, which is stopped after [`TIME`].
fn share(work: impl FnOnce(&mpsc::Receiver<()>) + Send) -> f64 {
    let (stop, stopped) = mpsc::channel::<()>();
    let (before, started) = (process::cost().cpu_s, Instant::now());
    thread::scope(|scope| {
        scope.spawn(move || work(&stopped));
        thread::sleep(TIME);
        drop(stop);
    });
    (process::cost().cpu_s - before) / started.elapsed().as_secs_f64()
}

fn wake(interval: Duration, stop: &mpsc::Receiver<()>) {
    while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {}
}

fn stub(folder: &Path) -> Result<OsString> {
    let library = folder.join("libnvidia-ml-stub.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml_stub.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-std=c11", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    if !compiler.status()?.success() {
        return Err("cc failed".into());
    }
    Ok(library.into())
}
