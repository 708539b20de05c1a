//! When the server really commits: the gaps between commits by its own clock, on a server of its own.
//!
//! `cargo bench --bench pace` streams 3000 rows/s into 3 partitions, 100 rows a batch, and asks the server
//! for the commit time of each transaction (`track_commit_timestamp`). Producers that commit in turn leave
//! 33.3 ms between commits; those that commit together leave 0 and 100 ms. `-- --seconds S` changes how
//! long it takes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::path::Path;
use std::process::Command;

use strom_load::pg::embedded::{Server, ServerOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PERIOD_MS: f64 = 100.0;
const PARTITIONS: u32 = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(30_u64);
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = vec![("track_commit_timestamp".to_owned(), "on".to_owned())];
    let server =
        runtime.block_on(Server::start(&ServerOptions { settings, ..ServerOptions::default() }))?;
    println!("PostgreSQL {}, {seconds} s, {PARTITIONS} partitions\n", server.version());
    println!(
        "{:>9} {:>10} {:>10} {:>10} {:>18}",
        "commits", "gap p5 ms", "p50 ms", "p95 ms", "33.3 ms ± 10 ms"
    );
    let gaps = runtime.block_on(gaps_ms(&server, seconds));
    runtime.block_on(server.stop())?;
    let mut gaps = gaps?;
    gaps.sort_by(f64::total_cmp);
    let even = PERIOD_MS / f64::from(PARTITIONS);
    let near = gaps.iter().filter(|gap| (**gap - even).abs() <= 10.0).count();
    let quantile = |share: f64| gaps[(share * (gaps.len() - 1) as f64) as usize];
    println!(
        "{:>9} {:>10.2} {:>10.2} {:>10.2} {:>16.1} %",
        gaps.len() + 1,
        quantile(0.05),
        quantile(0.5),
        quantile(0.95),
        near as f64 / gaps.len() as f64 * 100.0
    );
    Ok(())
}

/// The gaps between the commits of a run after its warm-up.
async fn gaps_ms(server: &Server, seconds: u64) -> Result<Vec<f64>> {
    let output =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pace-{}", std::process::id()));
    let url = server.conninfo();
    let run = Command::new(env!("CARGO_BIN_EXE_strom-load"))
        .args(["--database-url", &url, "--readers", "0", "--metrics-addr", "off"])
        .args(["--rate", "3000", "--partitions", &PARTITIONS.to_string(), "--batch-rows", "100"])
        .args(["--table", "paced", "--warmup", "2s", "--duration", &format!("{seconds}s")])
        .args(["--audit", "count", "--quiet", "--output"])
        .arg(&output)
        .output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into());
    }
    std::fs::remove_dir_all(&output)?;
    let mut config = tokio_postgres::Config::new();
    config.host_path(server.socket_dir()).port(server.port());
    config.user(server.user()).dbname(server.database());
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    // The warm-up's end cuts all batches at once.
    let sql = "SELECT extract(epoch FROM at - lag(at) OVER (ORDER BY at))::float8 * 1e3 \
               FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM paced \
                     WHERE created_at >= (SELECT min(created_at) + interval '2 s' FROM paced) \
                     GROUP BY xmin) AS commits ORDER BY at OFFSET 1";
    let rows = client.query(sql, &[]).await?;
    let gaps = rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
    drop(client);
    driver.await??;
    Ok(gaps)
}
