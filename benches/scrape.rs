//! What the Prometheus endpoint costs: a scrape, a run that is scraped each second, and memory when
//! nobody scrapes.
//!
//! `cargo bench --bench scrape` prints the time of a scrape of a small and a large page; resident
//! memory over some days of unscraped seconds; and rows/s of flat-out runs with and without a
//! scrape each second, their ratio, and an A/A pair that shows the noise. `-- --pairs N
//! --seconds S` change how long it takes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::record::{
    Interval, LaneInterval, PairTally, Phase, QueryTally, ReaderTally, StreamTally,
};
use strom_load::result::server::{ClockOffset, ServerFacts};
use strom_load::row::Lane;
use strom_load::sink::prometheus::Endpoint;
use strom_load::sink::{Sink, Start, StreamStart};
use strom_load::watch::gpu::GpusFound;
use strom_load::watch::process;

#[path = "support/spread.rs"]
mod spread;

use spread::{median, spread};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SCRAPES: usize = 300;
/// A second each.
const DAYS: u64 = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    println!("{:>10} {:>9} {:>9} {:>12} {:>12}", "partitions", "series", "KiB", "p50 ms", "max ms");
    for partitions in [3, 64] {
        scrape(partitions)?;
    }
    memory()?;
    let bench = Bench::new(option("--seconds", 8))?;
    let outcome = bench.compare(option("--pairs", 5) as usize);
    bench.runtime.block_on(bench.server.stop())?;
    outcome
}

/// A fed endpoint without a run.
struct Page {
    endpoint: Endpoint,
    sink: Box<dyn Sink>,
    partitions: u32,
}

impl Page {
    async fn open(partitions: u32) -> Result<Self> {
        let endpoint = Endpoint::open("127.0.0.1:0".parse()?).await?;
        let mut sink: Box<dyn Sink> = Box::new(endpoint.sink());
        let facts = ServerFacts {
            version: "17.0".to_owned(),
            major: 17,
            settings: BTreeMap::new(),
            clock: ClockOffset::default(),
        };
        let of = NonZeroU32::new(partitions).unwrap_or(NonZeroU32::MIN);
        let lanes: Vec<Lane> =
            (0..partitions).map(|number| Lane::of(number, of, Some(of))).collect();
        sink.begin(&Start {
            profile: "realtime",
            run_id: "0190-run",
            planned: None,
            stream: Some(StreamStart {
                lanes: &lanes,
                target_rows_per_s: Some(3_000.0),
                queries_are_due: false,
                drain_timeout: Duration::from_secs(30),
            }),
            server: &facts,
            queries: &[],
            started_at: SystemTime::now(),
            gpus: &GpusFound::default(),
        })?;
        Ok(Self { endpoint, sink, partitions })
    }

    /// A second with 20 batches a partition.
    fn feed(&mut self, second: u64) -> Result<()> {
        let lanes = (0..self.partitions).map(|_| {
            let mut tally = StreamTally { rows_sent: 2_000, batches: 20, ..Default::default() };
            for batch in 0..20 {
                let time = Duration::from_micros(200 + (second * 37 + batch * 101) % 20_000);
                tally.batch.wait.record(time / 10);
                tally.batch.service.record(time);
                tally.batch.response.record(time + time / 10);
                tally.row.record(time * 10);
            }
            LaneInterval { rows_due: 2_000, backlog_rows: 100, tally }
        });
        let interval = Interval {
            start: Duration::from_secs(second),
            length: Duration::from_secs(1),
            phase: Phase::Measure,
            target_rows_per_s: Some(3_000.0),
            lanes: lanes.collect(),
            queries: Vec::<QueryTally>::new(),
            pairs: Vec::<PairTally>::new(),
            queries_due: ReaderTally::default(),
            gpus: Vec::new(),
        };
        Ok(self.sink.interval(&interval)?)
    }
}

/// From the connection to the last byte, as Prometheus sees it.
fn get(address: SocketAddr) -> Result<(Duration, String)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok((began.elapsed(), answer))
}

fn scrape(partitions: u32) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    let mut page = runtime.block_on(Page::open(partitions))?;
    (0..600).try_for_each(|second| page.feed(second))?;
    let address = page.endpoint.address().ok_or("no address")?;
    let endpoint = page.endpoint;
    let serving = runtime.spawn(async move { endpoint.serve().await });
    let mut times = Vec::new();
    let mut answer = String::new();
    for _ in 0..SCRAPES {
        let (time, text) = get(address)?;
        times.push(time.as_secs_f64() * 1e3);
        answer = text;
    }
    serving.abort();
    let series = answer.lines().filter(|l| l.contains(' ') && !l.starts_with('#')).count();
    let most = times.iter().copied().fold(0.0, f64::max);
    let kib = answer.len() as f64 / 1024.0;
    println!("{partitions:>10} {series:>9} {kib:>9.0} {:>12.3} {most:>12.3}", median(&times));
    Ok(())
}

fn memory() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut page = runtime.block_on(Page::open(3))?;
    let mib = || process::cost().resident_bytes as f64 / 1_048_576.0;
    (0..3_600).try_for_each(|second| page.feed(second))?;
    let before = mib();
    (3_600..DAYS * 86_400).try_for_each(|second| page.feed(second))?;
    println!(
        "\nresident after an hour of seconds that nobody scraped {before:.1} MiB, after {DAYS} days \
         {:.1} MiB\n",
        mib()
    );
    Ok(())
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    server: Server,
    seconds: u64,
}

impl Bench {
    fn new(seconds: u64) -> Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        let settings = [("autovacuum", "off"), ("max_wal_size", "8GB"), ("shared_buffers", "1GB")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = ServerOptions { settings, ..ServerOptions::default() };
        let server = runtime.block_on(Server::start(&options))?;
        Ok(Self { runtime, server, seconds })
    }

    fn compare(&self, pairs: usize) -> Result<()> {
        println!(
            "PostgreSQL {}, flat out, {pairs} pairs of {} s a side; median (min-max)",
            self.server.version(),
            self.seconds
        );
        self.run(false)?;
        let (mut ratios, mut noise, mut rates) = (vec![], vec![], vec![]);
        for _ in 0..pairs {
            let before = self.run(false)?;
            let scraped = self.run(true)?;
            let after = self.run(false)?;
            ratios.push(scraped / f64::midpoint(before, after));
            noise.push(after / before);
            rates.push(scraped);
        }
        println!(
            "scraped each second {:.0} rows/s, scraped ÷ not {}, A/A {}",
            median(&rates),
            spread(&ratios, 3),
            spread(&noise, 3)
        );
        Ok(())
    }

    /// Rows per second of a run of the binary, with a scraper beside it or not.
    fn run(&self, scraped: bool) -> Result<f64> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-scrape");
        let url = self.server.conninfo();
        let mut child = Command::new(env!("CARGO_BIN_EXE_strom-load"))
            .args(["--database-url", &url, "--readers", "0", "--metrics-addr", "127.0.0.1:0"])
            .args(["--rate", "max", "--warmup", "1s", "--audit", "count", "--recreate"])
            .args(["--duration", &format!("{}s", self.seconds), "--output"])
            .arg(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for line in said.lines().map_while(std::result::Result::ok) {
                if let Some((_, address)) = line.split_once("metrics at http://") {
                    let address = address.trim().trim_end_matches("/metrics").parse();
                    let done = &done;
                    scope.spawn(move || {
                        let Ok(address) = address else { return };
                        while scraped && !done.load(Ordering::Relaxed) {
                            // The run may have ended meanwhile.
                            let _ = get(address);
                            std::thread::sleep(Duration::from_secs(1));
                        }
                    });
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        if !child.wait()?.success() {
            return Err("the run failed".into());
        }
        let result: Value = serde_json::from_slice(&fs::read(folder.join("result.json"))?)?;
        fs::remove_dir_all(&folder)?;
        result["stream"]["achieved_rows_per_s"].as_f64().ok_or_else(|| "no rate".into())
    }
}
