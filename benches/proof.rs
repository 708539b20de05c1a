//! What the proof of a stream costs: the journal, as a share of the CPU time of a run; and the audit, in
//! rows a second, and in memory over tables of different lengths.
//!
//! `cargo bench --bench proof` prints the tables of docs/performance.md. `-- --seconds S` changes how long
//! the runs with a journal are, `--fills S,S…` how long each of the tables for the audit is filled.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A narrow table: the more rows the better.
const NARROW: &str = r#"
[stream]
table = "narrow"
partitions = 2
batch_rows = 5000
[[stream.columns]]
name = "id"
type = "bigint"
values = "row_id"
[[stream.columns]]
name = "part"
type = "integer"
values = "partition"
"#;

/// The thread that writes the journal, as the system cuts its name.
const THREAD: &str = "strom-load-outp";
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1).cloned()).unwrap_or_else(|| default.to_owned())
    };
    let bench = Bench::new()?;
    let seconds = option("--seconds", "20");
    println!(
        "| rate | batches/s | loader's CPU a batch | journal's CPU a batch | share | bytes a batch |"
    );
    println!("|---|---|---|---|---|---|");
    for rate in ["3000", "30000", "max"] {
        bench.journal(rate, &seconds)?;
    }
    println!("\n| rows | table | audit | rows/s | peak memory |");
    println!("|---|---|---|---|---|");
    for fill in option("--fills", "4,16").split(',') {
        bench.audit(fill)?;
    }
    bench.runtime.block_on(bench.server.stop())?;
    Ok(())
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    server: Server,
    folder: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let settings =
            [("autovacuum", "off"), ("max_wal_size", "4GB"), ("shared_buffers", "512MB")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = ServerOptions { settings, ..ServerOptions::default() };
        let server = runtime.block_on(Server::start(&options))?;
        println!("PostgreSQL {}\n", server.version());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-proof");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Self { runtime, server, folder })
    }

    fn program(&self, args: &[&str]) -> Result<Child> {
        let url = self.server.conninfo();
        let mut program = Command::new(env!("CARGO_BIN_EXE_strom-load"));
        program.args(args).args(["--quiet", "--database-url", &url]).stdout(Stdio::null());
        Ok(program.spawn()?)
    }

    /// Streams, and ends the process.
    fn stream(&self, args: &[&str]) -> Result<(Value, Cost)> {
        let out = self.folder.join("out");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        let path = out.to_string_lossy().into_owned();
        let common =
            ["--readers", "0", "--warmup", "0s", "--metrics-addr", "off", "--audit", "off"];
        let args = [args, &common, &["--recreate", "--output", &path]].concat();
        let cost = watched(self.program(&args)?)?;
        let result = fs::read(out.join("result.json"))?;
        Ok((serde_json::from_slice(&result)?, cost))
    }

    /// The journal's part in a run at a rate.
    fn journal(&self, rate: &str, seconds: &str) -> Result<()> {
        let duration = format!("{seconds}s");
        let (result, cost) =
            self.stream(&["run", "realtime", "--rate", rate, "--duration", &duration])?;
        let batches = result["stream"]["batches"].as_f64().ok_or("no batches")?;
        let bytes = fs::metadata(self.folder.join("out/journal.log"))?.len() as f64;
        let us = |time: Duration| time.as_secs_f64() * 1e6 / batches;
        println!(
            "| {rate} | {:.0} | {:.1} µs | {:.2} µs | {:.2} % | {:.1} |",
            batches / seconds.parse::<f64>()?,
            us(cost.all),
            us(cost.journal),
            100.0 * cost.journal.as_secs_f64() / cost.all.as_secs_f64(),
            bytes / batches,
        );
        Ok(())
    }

    /// The audit of a table that was filled for some seconds.
    fn audit(&self, fill: &str) -> Result<()> {
        let profile = self.folder.join("narrow.toml");
        fs::write(&profile, NARROW)?;
        let (profile, duration) = (profile.to_string_lossy().into_owned(), format!("{fill}s"));
        let (result, _) =
            self.stream(&["run", &profile, "--rate", "max", "--duration", &duration])?;
        let rows = result["stream"]["rows_acknowledged"].as_f64().ok_or("no rows")?;
        let out = self.folder.join("out").to_string_lossy().into_owned();
        let began = Instant::now();
        let cost = watched(self.program(&["verify", &out])?)?;
        let took = began.elapsed().as_secs_f64();
        println!(
            "| {:.1} M | {:.2} GB | {took:.1} s | {:.2} M | {:.1} MiB |",
            rows / 1e6,
            // A tuple's header, its item and two columns.
            rows * 40.0 / 1e9,
            rows / took / 1e6,
            cost.resident_peak_bytes as f64 / 1_048_576.0,
        );
        Ok(())
    }
}

/// What a process cost.
#[derive(Default)]
struct Cost {
    /// CPU time of all threads.
    all: Duration,
    /// CPU time of the journal's thread.
    journal: Duration,
    resident_peak_bytes: u64,
}

/// Waits for a process to end; its cost, as it was at the last look. Of a thread that ends before the process
/// the last look counts.
fn watched(mut child: Child) -> Result<Cost> {
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let (mut cost, mut threads) = (Cost::default(), HashMap::new());
    loop {
        for task in fs::read_dir(process.join("task")).into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            if let Some(ns) = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()) {
                let is_journal = read("comm").trim() == THREAD;
                threads.insert(task.file_name(), (is_journal, Duration::from_nanos(ns)));
            }
        }
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = peak.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        {
            cost.resident_peak_bytes = kib * 1024;
        }
        if let Some(ended) = child.try_wait()? {
            if !ended.success() {
                return Err(format!("the program ended with {ended}").into());
            }
            cost.all = threads.values().map(|(_, time)| *time).sum();
            let journal = threads.values().filter(|(is_journal, _)| *is_journal);
            cost.journal = journal.map(|(_, time)| *time).sum();
            return Ok(cost);
        }
        sleep(LOOK_EVERY);
    }
}
