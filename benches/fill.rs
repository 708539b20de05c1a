//! Filling of a table against a named baseline in the same run: strom-load beside `psql \copy` of
//! ready binary files over as many connections, into `l40s_sales_large`, on a server of its own.
//!
//! `cargo bench --bench fill` prints, per number of connections, rows/s of both sides, their ratio
//! and an A/A pair (psql ÷ psql) that shows the noise. Both sides load into an empty table without
//! key or index: those are the server's work, and the same for both.
//! `-- --rows N --pairs N` change how long it takes; `--rows 10000000` is the full size.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::fs;
use std::io::{BufWriter, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use strom_load::dataset::{FillProgress, Stage};
use strom_load::engine::{self, FillOptions, Shutdown};
use strom_load::pace::DueTimes;
use strom_load::pg::Address;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::plan::{Overrides, Plan, ProfileSource, Recreate, Table};
use strom_load::row::BatchEncoder;

#[path = "support/psql.rs"]
mod psql;
#[path = "support/spread.rs"]
mod spread;

use psql::Psql;
use spread::{median, spread};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CONNECTIONS: [u32; 3] = [1, 2, 3];

struct Bench {
    server: Server,
    runtime: tokio::runtime::Runtime,
    table: Table,
    folder: PathBuf,
    pairs: usize,
}

struct Silent;

impl FillProgress for Silent {
    fn show(&self, _: &str, _: Stage<'_>) {}
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let source = ProfileSource::new("l40s_sales_large.toml", include_str!("l40s_sales_large.toml"));
    let plan = Plan::read(&source, &Overrides::default())?;
    let mut table = plan.common.tables.into_iter().next().ok_or("no table")?;
    table.rows = option("--rows", 2_000_000).try_into()?;
    table.primary_key.clear();
    table.recreate = Recreate::Ours;
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = [("autovacuum", "off"), ("max_wal_size", "8GB"), ("shared_buffers", "1GB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server =
        runtime.block_on(Server::start(&ServerOptions { settings, ..ServerOptions::default() }))?;
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fill-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let pairs = option("--pairs", 5) as usize;
    let bench = Bench { server, runtime, table, folder, pairs };
    let outcome = bench.all();
    fs::remove_dir_all(&bench.folder)?;
    bench.runtime.block_on(bench.server.stop())?;
    outcome
}

impl Bench {
    fn all(&self) -> Result<()> {
        println!(
            "PostgreSQL {}, {} rows, {} pairs; median (min-max)\n",
            self.server.version(),
            self.table.rows,
            self.pairs
        );
        println!(
            "{:>11} {:>12} {:>12}  {:<18} {:<18}",
            "", "psql", "strom-load", "strom-load", "A/A: psql"
        );
        println!(
            "{:>11} {:>12} {:>12}  {:<18} {:<18}",
            "connections", "rows/s", "rows/s", "÷ psql", "÷ psql"
        );
        for connections in CONNECTIONS {
            let files = self.encode(connections)?;
            // Warm both sides.
            self.psql(&files)?;
            let (mut ratios, mut noise, mut psqls, mut ours) = (vec![], vec![], vec![], vec![]);
            for _ in 0..self.pairs {
                let before = self.psql(&files)?;
                let run = self.strom_load(connections)?;
                let after = self.psql(&files)?;
                ratios.push(run / f64::midpoint(before, after));
                noise.push(after / before);
                psqls.extend([before, after]);
                ours.push(run);
            }
            println!(
                "{connections:>11} {:>12.0} {:>12.0}  {:<18} {:<18}",
                median(&psqls),
                median(&ours),
                spread(&ratios, 2),
                spread(&noise, 2)
            );
            files.iter().try_for_each(fs::remove_file)?;
        }
        Ok(())
    }

    /// A file a connection, with its share of the rows as COPY BINARY.
    fn encode(&self, connections: u32) -> Result<Vec<PathBuf>> {
        let rows = self.table.rows.get();
        let share = rows.div_ceil(connections.into());
        let mut files = Vec::new();
        for number in 0..u64::from(connections) {
            let seed = self.table.row_seed();
            let mut encoder = BatchEncoder::new(&self.table.columns, seed, 0, 0)?;
            let before = number * share;
            encoder.begin(before + 1, share.min(rows - before), DueTimes::constant(0));
            let path = self.folder.join(format!("{number}.bin"));
            let mut file = BufWriter::new(fs::File::create(&path)?);
            while let Some(chunk) = encoder.next_chunk() {
                file.write_all(&chunk?)?;
            }
            file.flush()?;
            files.push(path);
        }
        Ok(files)
    }

    /// Rows/s of one psql a file, from the first command to the last answer.
    fn psql(&self, files: &[PathBuf]) -> Result<f64> {
        self.empty()?;
        let start = |file: &PathBuf| {
            let copy = format!("\\copy l40s_sales_large from '{}' (format binary)", file.display());
            Psql::start(&self.server, copy)
        };
        let mut clients = files.iter().map(start).collect::<Result<Vec<_>>>()?;
        let began = Instant::now();
        clients.iter_mut().try_for_each(Psql::go)?;
        clients.iter_mut().try_for_each(Psql::wait)?;
        let elapsed = began.elapsed();
        clients.into_iter().try_for_each(Psql::stop)?;
        Ok(self.table.rows.get() as f64 / elapsed.as_secs_f64())
    }

    /// Rows/s of the load itself; connecting is in it.
    fn strom_load(&self, connections: u32) -> Result<f64> {
        self.empty()?;
        let (server, tables) = (&self.server, std::slice::from_ref(&self.table));
        let address =
            Address::socket(server.socket_dir(), server.port(), server.user(), server.database());
        let options =
            FillOptions { connections: NonZeroU32::new(connections), ..FillOptions::default() };
        let shutdown = Shutdown::default();
        let filled = engine::fill(&address, tables, options, &Silent, &shutdown);
        let filled = self.runtime.block_on(filled)?;
        let first = filled.tables.first().ok_or("no table was filled")?;
        Ok(first.rows_loaded as f64 / first.load_s)
    }

    /// An empty table and a fresh checkpoint: every run begins alike.
    fn empty(&self) -> Result<()> {
        let columns: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| format!("{} {} NOT NULL", column.name, column.sql_type))
            .collect();
        let name = &self.table.name;
        let sql = format!(
            "SET client_min_messages = warning; DROP TABLE IF EXISTS {name}; \
             CREATE TABLE {name} ({})",
            columns.join(", ")
        );
        psql::prepare(&self.server, &sql)
    }
}
