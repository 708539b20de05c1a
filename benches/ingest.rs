//! Ingestion against a named baseline in the same run: strom-load beside `psql \copy` of ready
//! binary files, over as many connections, on a server of its own.
//!
//! `cargo bench --bench ingest` prints, per batch size, rows/s of both sides, their ratio, an A/A
//! pair (psql ÷ psql) that shows the noise, and CPU a row; then the price of exactly-once beside
//! bare autocommit COPY through the same client library; then pacing and memory.
//! `-- --pairs N --seconds S` change how long it takes, `--connections N` over how many connections each side
//! loads, and `--batch-rows N` leaves one batch size of the first table and all that comes behind it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::struct_field_names, reason = "units stand last in names")]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::Value;
use strom_load::pace::DueTimes;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::plan::{self, Overrides, Plan, StreamJob};
use strom_load::row::{BatchEncoder, CHUNK_BYTES};

#[path = "support/psql.rs"]
mod psql;
#[path = "support/spread.rs"]
mod spread;

use psql::Psql;
use spread::{median, spread};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TABLE: &str = "l40s_realtime_stream";
const BATCH_ROWS: &[u64] = &[100, 10_000, 100_000];

struct Bench {
    server: Server,
    plan: Plan<StreamJob>,
    folder: PathBuf,
    seconds: u64,
    pairs: usize,
    /// Of each side, each with a partition of its own.
    connections: u32,
    /// The one batch size that is asked for.
    batch_rows: Option<u64>,
}

/// What one run of one side came to.
#[derive(Clone, Copy)]
struct Run {
    rows_per_s: f64,
    /// CPU seconds of the client per million rows.
    client_s: f64,
    /// CPU seconds of the server per million rows; only taken beside psql.
    server_s: f64,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| -> Option<u64> {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok())
    };
    let option = |name: &str, default: u64| given(name).unwrap_or(default);
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = [("autovacuum", "off"), ("max_wal_size", "8GB"), ("shared_buffers", "1GB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server =
        runtime.block_on(Server::start(&ServerOptions { settings, ..ServerOptions::default() }))?;
    let source = plan::builtin("realtime").ok_or("no profile `realtime`")?;
    let plan = Plan::resolve(&source, &Overrides::default())?;
    let plan = plan.into_stream().ok_or("no stream")?;
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let pairs = option("--pairs", 5) as usize;
    let connections = u32::try_from(option("--connections", 3))?;
    let batch_rows = given("--batch-rows");
    let seconds = option("--seconds", 4);
    let bench = Bench { server, plan, folder, seconds, pairs, connections, batch_rows };
    let outcome = bench.all();
    fs::remove_dir_all(&bench.folder)?;
    runtime.block_on(bench.server.stop())?;
    outcome
}

impl Bench {
    fn all(&self) -> Result<()> {
        println!(
            "PostgreSQL {}, {} connections, {} pairs of {} s a side; median (min-max)\n",
            self.server.version(),
            self.connections,
            self.pairs,
            self.seconds
        );
        println!(
            "{:>9} {:>12} {:>12}  {:<18} {:<18} {:>9} {:>9} {:>7}",
            "rows a", "psql", "strom-load", "strom-load", "A/A: psql", "loader", "backend", "CPU"
        );
        println!(
            "{:>9} {:>12} {:>12}  {:<18} {:<18} {:>9} {:>9} {:>7}",
            "batch", "rows/s", "rows/s", "÷ psql", "÷ psql", "s/1M", "s/1M", "ratio"
        );
        if let Some(batch_rows) = self.batch_rows {
            return self.compare(batch_rows);
        }
        for batch_rows in BATCH_ROWS {
            self.compare(*batch_rows)?;
        }
        println!(
            "\n{:>9} {:>12} {:>12}  {:<18} {:<18}",
            "rows a", "bare COPY", "strom-load", "strom-load", "A/A: bare"
        );
        println!(
            "{:>9} {:>12} {:>12}  {:<18} {:<18}",
            "batch", "rows/s", "rows/s", "÷ bare", "÷ bare"
        );
        for batch_rows in &BATCH_ROWS[..2] {
            self.price_of_exactly_once(*batch_rows)?;
        }
        println!(
            "\n{:>9} {:>12} {:>10} {:>12} {:>12} {:>12} {:>12}",
            "target/s",
            "achieved/s",
            "error %",
            "late p50 ms",
            "late p99 ms",
            "resp. p99",
            "VmHWM MiB"
        );
        for rate in [3_000, 30_000] {
            self.pace(rate)?;
        }
        Ok(())
    }

    fn compare(&self, batch_rows: u64) -> Result<()> {
        let files = self.encode(batch_rows)?;
        // Warm both sides, and learn how many batches fill the time.
        let rate = self.psql(&files, batch_rows, 4)?.rows_per_s;
        let batches = rate * self.seconds as f64 / batch_rows as f64 / f64::from(self.connections);
        let batches = (batches as u64).max(4);
        let (mut ratios, mut noise, mut psqls, mut ours) = (vec![], vec![], vec![], vec![]);
        for _ in 0..self.pairs {
            let before = self.psql(&files, batch_rows, batches)?;
            let run = self.strom_load(batch_rows)?;
            let after = self.psql(&files, batch_rows, batches)?;
            let base = f64::midpoint(before.rows_per_s, after.rows_per_s);
            ratios.push(run.rows_per_s / base);
            noise.push(after.rows_per_s / before.rows_per_s);
            psqls.extend([before, after]);
            ours.push(run);
        }
        let of = |runs: &[Run], field: fn(&Run) -> f64| {
            median(&runs.iter().map(field).collect::<Vec<_>>())
        };
        let client_s = of(&ours, |run| run.client_s);
        let server_s = of(&psqls, |run| run.server_s);
        println!(
            "{batch_rows:>9} {:>12.0} {:>12.0}  {:<18} {:<18} {client_s:>9.3} {server_s:>9.3} {:>7.3}",
            of(&psqls, |run| run.rows_per_s),
            of(&ours, |run| run.rows_per_s),
            spread(&ratios, 2),
            spread(&noise, 2),
            client_s / server_s
        );
        Ok(())
    }

    fn price_of_exactly_once(&self, batch_rows: u64) -> Result<()> {
        let files = self.encode(batch_rows)?;
        let (mut ratios, mut noise, mut bares, mut ours) = (vec![], vec![], vec![], vec![]);
        for _ in 0..self.pairs {
            let before = self.bare(&files, batch_rows)?;
            let run = self.strom_load(batch_rows)?.rows_per_s;
            let after = self.bare(&files, batch_rows)?;
            ratios.push(run / f64::midpoint(before, after));
            noise.push(after / before);
            bares.extend([before, after]);
            ours.push(run);
        }
        println!(
            "{batch_rows:>9} {:>12.0} {:>12.0}  {:<18} {:<18}",
            median(&bares),
            median(&ours),
            spread(&ratios, 2),
            spread(&noise, 2)
        );
        Ok(())
    }

    /// COPY in autocommit, ready bytes, one task a connection: no transaction id, no account.
    fn bare(&self, files: &[PathBuf], batch_rows: u64) -> Result<f64> {
        self.truncate()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let length = Duration::from_secs(self.seconds);
        let load = |file: PathBuf| {
            let mut config = tokio_postgres::Config::new();
            config.host_path(self.server.socket_dir()).port(self.server.port());
            config.user(self.server.user()).dbname(self.server.database());
            async move {
                let bytes = Bytes::from(fs::read(file)?);
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                let driver = tokio::spawn(connection);
                let copy = format!("COPY {TABLE} FROM STDIN (FORMAT binary)");
                let copy = client.prepare(&copy).await?;
                let began = Instant::now();
                let mut batches = 0;
                while began.elapsed() < length {
                    let mut sink = pin!(client.copy_in::<_, Bytes>(&copy).await?);
                    for start in (0..bytes.len()).step_by(CHUNK_BYTES) {
                        let end = bytes.len().min(start + CHUNK_BYTES);
                        sink.feed(bytes.slice(start..end)).await?;
                    }
                    sink.finish().await?;
                    batches += 1;
                }
                let rate = (batches * batch_rows) as f64 / began.elapsed().as_secs_f64();
                drop(client);
                driver.await??;
                Ok::<f64, Box<dyn Error>>(rate)
            }
        };
        let loads = futures_util::future::try_join_all(files.iter().cloned().map(load));
        Ok(runtime.block_on(loads)?.iter().sum())
    }

    /// A file a connection that holds one batch as COPY BINARY.
    fn encode(&self, batch_rows: u64) -> Result<Vec<PathBuf>> {
        let file = |partition| {
            let columns = &self.plan.job.stream.columns;
            let mut encoder = BatchEncoder::new(columns, self.plan.common.seed, partition, 1)?;
            encoder.begin(0, batch_rows, DueTimes::constant(1_700_000_000_000_000));
            let path = self.folder.join(format!("{batch_rows}-{partition}.bin"));
            let mut file = fs::File::create(&path)?;
            while let Some(chunk) = encoder.next_chunk() {
                file.write_all(&chunk?)?;
            }
            Ok(path)
        };
        (0..self.connections).map(file).collect()
    }

    /// Each connection copies its file `batches` times, each time in a transaction of its own.
    /// The clock runs from the first command to the last answer; psql has connected by then.
    fn psql(&self, files: &[PathBuf], batch_rows: u64, batches: u64) -> Result<Run> {
        self.truncate()?;
        let mut clients = Vec::new();
        for file in files {
            let script = self.folder.join("script.sql").with_extension(file_name(file));
            let line = format!("\\copy {TABLE} from '{}' (format binary)\n", file.display());
            fs::write(&script, line.repeat(batches as usize))?;
            clients.push(Psql::start(&self.server, format!("\\i {}", script.display()))?);
        }
        let server_before = tree_cpu_s(self.server.pid())?;
        let began = Instant::now();
        clients.iter_mut().try_for_each(Psql::go)?;
        clients.iter_mut().try_for_each(Psql::wait)?;
        let elapsed = began.elapsed();
        let server_s = tree_cpu_s(self.server.pid())? - server_before;
        let client_s: f64 = clients.iter().map(|client| cpu_s(client.child.id())).sum();
        clients.into_iter().try_for_each(Psql::stop)?;
        let rows = (batch_rows * batches * u64::from(self.connections)) as f64;
        Ok(Run {
            rows_per_s: rows / elapsed.as_secs_f64(),
            client_s: client_s / rows * 1e6,
            server_s: server_s / rows * 1e6,
        })
    }

    /// The binary itself, all outputs on.
    fn strom_load(&self, batch_rows: u64) -> Result<Run> {
        self.truncate()?;
        let seconds = format!("{}s", self.seconds);
        let batch_rows = batch_rows.to_string();
        let result = self.result(&[
            "--rate",
            "max",
            "--batch-rows",
            &batch_rows,
            "--warmup",
            "500ms",
            "--duration",
            &seconds,
        ])?;
        let rows = number(&result, &["stream", "rows_acknowledged"]);
        Ok(Run {
            rows_per_s: number(&result, &["stream", "achieved_rows_per_s"]),
            client_s: number(&result, &["loader", "cpu_s"]) / rows * 1e6,
            server_s: f64::NAN,
        })
    }

    fn pace(&self, rate: u64) -> Result<()> {
        self.truncate()?;
        let result = self.result(&["--rate", &rate.to_string(), "--duration", "30s"])?;
        let achieved = number(&result, &["stream", "achieved_rows_per_s"]);
        println!(
            "{rate:>9} {achieved:>12.1} {:>10.3} {:>12.3} {:>12.3} {:>12.3} {:>12.1}",
            (achieved / rate as f64 - 1.0) * 100.0,
            number(&result, &["stream", "wait", "p50_ms"]),
            number(&result, &["stream", "wait", "p99_ms"]),
            number(&result, &["stream", "response", "p99_ms"]),
            number(&result, &["loader", "resident_peak_bytes"]) / 1_048_576.0
        );
        Ok(())
    }

    fn result(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.folder.join("result");
        let url = self.server.conninfo();
        let partitions = self.connections.to_string();
        let run = Command::new(env!("CARGO_BIN_EXE_strom-load"))
            .args(["--database-url", &url, "--readers", "0", "--metrics-addr", "127.0.0.1:0"])
            .args(["--partitions", &partitions, "--audit", "count", "--format", "json", "--quiet"])
            .arg("--output")
            .arg(&output)
            .args(arguments)
            .output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into());
        }
        fs::remove_dir_all(&output)?;
        Ok(serde_json::from_slice(&run.stdout)?)
    }

    /// An empty table and a fresh checkpoint: every run begins alike.
    fn truncate(&self) -> Result<()> {
        let create = format!(
            "SET client_min_messages = warning; CREATE TABLE IF NOT EXISTS {TABLE} (\
             id bigint NOT NULL, category text NOT NULL, region text NOT NULL, \
             amount numeric(15,2) NOT NULL, gpu_partition integer NOT NULL, \
             created_at timestamptz NOT NULL) PARTITION BY LIST (gpu_partition);"
        );
        let leaf = |p| {
            format!(
                "CREATE TABLE IF NOT EXISTS {TABLE}_p{p} PARTITION OF {TABLE} FOR VALUES IN ({p});"
            )
        };
        let leaves: String = (0..self.connections).map(leaf).collect();
        let sql = format!("{create}{leaves} TRUNCATE {TABLE};");
        psql::prepare(&self.server, &sql)
    }
}

fn file_name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn number(value: &Value, path: &[&str]) -> f64 {
    path.iter()
        .try_fold(value, |value, key| value.get(key))
        .and_then(Value::as_f64)
        .unwrap_or(f64::NAN)
}

/// CPU seconds of a process so far.
fn cpu_s(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| (stat.utime + stat.stime) / ticks_per_s())
}

/// CPU seconds of a postmaster, its living children and those that it has reaped.
fn tree_cpu_s(postmaster: u32) -> Result<f64> {
    let own = stat(postmaster).ok_or("the server is gone")?;
    let mut ticks = own.utime + own.stime + own.cutime + own.cstime;
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_string_lossy().parse();
        if let Some(stat) = pid.ok().and_then(stat)
            && stat.parent == postmaster
        {
            ticks += stat.utime + stat.stime;
        }
    }
    Ok(ticks / ticks_per_s())
}

struct Stat {
    parent: u32,
    utime: f64,
    stime: f64,
    cutime: f64,
    cstime: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        utime: number(11)?,
        stime: number(12)?,
        cutime: number(13)?,
        cstime: number(14)?,
    })
}

/// Linux reports /proc times in hundredths of a second whatever its own clock.
fn ticks_per_s() -> f64 {
    100.0
}
