//! Faults for real: whatever breaks between the loader and its server, and in it, every row that
//! was due is in the table once.
//!
//! Moments and places are drawn from FAULT_SEED, which is printed. STROM_LOAD_FAULT_ROUNDS=20
//! makes the long job of it: each fault at least 20 times.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use strom_load::pg::embedded::{Options, Server};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::proxy::{CommitCut, Proxy, Slow, Way};
use crate::support::{Database, Program, connect_to, password, scratch, shared, until};

const TABLE: &str = "l40s_realtime_stream";
const PARTITIONS: u64 = 3;

/// How many times over the faults are injected.
fn rounds() -> u64 {
    let rounds = std::env::var("STROM_LOAD_FAULT_ROUNDS");
    rounds.map_or(1, |text| text.parse().expect("STROM_LOAD_FAULT_ROUNDS is a number"))
}

/// Where and when.
struct Chance(Xoshiro256PlusPlus);

impl Chance {
    fn new() -> Self {
        let seed = match std::env::var("FAULT_SEED") {
            Ok(text) => text.parse().expect("FAULT_SEED is a number"),
            Err(_) => rand::rng().random_range(0..1_000_000),
        };
        println!("FAULT_SEED={seed}");
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    fn partition(&mut self) -> u64 {
        self.below(PARTITIONS)
    }

    /// Waits up to so many milliseconds.
    async fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_micros(self.below(most_ms * 1_000))).await;
    }
}

/// A database, seen past whatever is being broken.
struct Site {
    socket_dir: PathBuf,
    port: u16,
    database: String,
    password: String,
}

impl Site {
    /// A database of its own on the server that the tests share, for faults of single sessions.
    async fn shared() -> Self {
        let database = Database::create().await.name;
        let server = shared();
        let (socket_dir, port) = (server.socket_dir.clone(), server.port);
        Self { socket_dir, port, database, password: server.password.clone() }
    }

    /// A server of its own.
    async fn own(settings: &[(&str, &str)]) -> (Server, Self) {
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let server = Server::start(&Options { settings, ..Options::default() }).await.unwrap();
        let site = Self {
            socket_dir: server.socket_dir().to_owned(),
            port: server.port(),
            database: server.database().to_owned(),
            password: password(&server),
        };
        (server, site)
    }

    async fn client(&self) -> Client {
        connect_to(&self.socket_dir, self.port, &self.database).await
    }

    async fn execute(&self, sql: &str) {
        let done = self.client().await.batch_execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The single row of a query, of numbers.
    async fn numbers<const N: usize>(&self, sql: &str) -> [i64; N] {
        let row = self.client().await.query_one(sql, &[]).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        std::array::from_fn(|column| row.get(column))
    }

    async fn number(&self, sql: &str) -> i64 {
        let [number] = self.numbers(sql).await;
        number
    }

    async fn rows(&self) -> i64 {
        self.number(&format!("SELECT count(*) FROM {TABLE}")).await
    }

    /// Waits until a query answers a positive number.
    async fn until(&self, sql: &str) -> i64 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let number = self.number(sql).await;
            if number > 0 {
                return number;
            }
            assert!(Instant::now() < deadline, "not within 30 s: {sql}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until rows come in.
    async fn flows(&self) {
        let before = self.rows().await;
        self.until(&format!("SELECT count(*) - {before} FROM {TABLE}")).await;
    }

    /// Terminates a session of the loader, once there is one; `like` is its name.
    async fn terminate(&self, like: &str) {
        self.until(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'strom-load {like}'"
        ))
        .await;
    }
}

/// The loader at work, without an end of its own.
struct Run {
    program: Program,
}

impl Run {
    /// Starts it, and waits until rows are stored.
    async fn start(site: &Site, port: u16, args: &[&str]) -> Self {
        let address = format!("host=127.0.0.1 port={port} user=postgres dbname={}", site.database);
        let mut all = vec!["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
        all.extend(["--rate", "6000", "--batch-rows", "100", "--warmup", "0s", "--verbose"]);
        all.extend(["--duration", "forever"]);
        all.extend(args);
        let env = [("PGPASSWORD", &*site.password), ("PGCONNECT_TIMEOUT", "1")];
        let program = Program::start_in(scratch(), &all, &env);
        site.until(&format!("SELECT count(to_regclass('{TABLE}'))")).await;
        site.until(&format!("SELECT count(*) FROM {TABLE}")).await;
        Self { program }
    }

    /// Ends it in order, and looks at every row. Returns the saved result.
    async fn finish(self, site: &Site) -> Value {
        self.program.signal(Signal::INT);
        let ended = self.program.end().await;
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        let result = ended.result();
        assert_eq!(result["status"], "interrupted", "{}", ended.stderr);
        let stream = &result["stream"];
        for partition in stream["partitions"].as_array().unwrap() {
            let number = &partition["partition"];
            let first = partition["first_id"].as_i64().unwrap();
            let due = partition["rows_due"].as_i64().unwrap();
            let sql = format!(
                "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM {TABLE} \
                 WHERE gpu_partition = {number}"
            );
            let found: [i64; 4] = site.numbers(&sql).await;
            let said = &ended.stderr;
            assert_eq!(found, [due, due, first, first + due - 1], "{partition}\n{said}");
            assert_eq!(partition["rows_acknowledged"], due, "{partition}\n{said}");
            let account = json!({
                "acknowledged": [{ "first": 0, "last": due - 1 }],
                "dropped": [],
                "undecided": [],
            });
            assert_eq!(partition["account"], account, "{said}");
        }
        for figure in ["rows_due", "rows_sent", "rows_acknowledged", "rows_found"] {
            assert_eq!(stream[figure], site.rows().await, "{figure}\n{}", ended.stderr);
        }
        result
    }
}

/// Errors by SQLSTATE; none but those that the fault explains.
fn errors(of: &Value, explained: &[&str]) -> u64 {
    let errors: BTreeMap<String, u64> = serde_json::from_value(of["errors"].clone()).unwrap();
    for code in errors.keys() {
        assert!(explained.contains(&&**code), "{code} is not one of {explained:?}: {errors:?}");
    }
    errors.values().sum()
}

const LOST: &[&str] = &["57P01", "57P02", "57P03", "08006"];

#[tokio::test]
async fn backends_are_terminated() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &[]).await;
    for _ in 0..5 * rounds() {
        chance.pause(500).await;
        site.terminate(&format!("producer {}", chance.partition())).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0, "{}", result["stream"]["errors"]);
}

#[tokio::test]
async fn a_killed_backend_takes_all_sessions_along() {
    let ((server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..2 * rounds() {
        chance.pause(1_000).await;
        let pid = format!(
            "SELECT coalesce(min(pid), 0)::bigint FROM pg_stat_activity \
             WHERE application_name = 'strom-load producer {}'",
            chance.partition()
        );
        let pid = site.until(&pid).await;
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
        recovered(&site).await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

/// Waits until the server, gone a moment ago, takes connections and rows.
async fn recovered(site: &Site) {
    let mut config = tokio_postgres::Config::new();
    config.host_path(&site.socket_dir).port(site.port).user("postgres").dbname(&site.database);
    let deadline = Instant::now() + Duration::from_secs(30);
    // A backend that still answers may be one of before.
    sleep(Duration::from_millis(200)).await;
    while config.connect(tokio_postgres::NoTls).await.is_err() {
        assert!(Instant::now() < deadline, "the server does not come back");
        sleep(Duration::from_millis(50)).await;
    }
    site.flows().await;
}

#[tokio::test]
async fn the_whole_server_is_killed_and_started_again() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(1_000).await;
        server.crash().await.unwrap();
        chance.pause(500).await;
        server.resume().await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_is_restarted_in_order() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(1_000).await;
        server.restart().await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn connections_are_reset() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "1"]).await;
    for _ in 0..5 * rounds() {
        chance.pause(600).await;
        proxy.reset();
    }
    site.flows().await;
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

#[tokio::test]
async fn connections_are_cut_after_any_byte() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for cut in 1..=20 * rounds() {
        // A batch is some 9 kB there, and 100 bytes back.
        match chance.below(2) {
            0 => proxy.cut_after(Way::ToServer, chance.below(20_000) as usize),
            _ => proxy.cut_after(Way::ToClient, chance.below(400) as usize),
        }
        until("the connection is cut", || proxy.cuts() >= cut).await;
        chance.pause(50).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

/// Cuts connections at a COMMIT, 20 times a round.
async fn cut_commits(cut: impl Fn(&mut Chance) -> CommitCut) {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for count in 1..=20 * rounds() {
        chance.pause(100).await;
        proxy.cut_commit(cut(&mut chance));
        until("a COMMIT is cut", || proxy.cuts() >= count).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    let errors = errors(&result["stream"], LOST);
    assert_eq!(errors, 20 * rounds(), "each cut is an error");
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_sent_again() {
    cut_commits(|_| CommitCut::Before).await;
}

#[tokio::test]
async fn a_commit_that_was_answered_is_not_sent_again() {
    cut_commits(|_| CommitCut::Answered).await;
}

#[tokio::test]
async fn a_commit_that_may_still_be_at_work_is_waited_for() {
    cut_commits(|chance| {
        // Now and then the lost session's backend outlives the patience with it.
        let most_ms = if chance.below(20) == 0 { 4_000 } else { 300 };
        CommitCut::Sent { linger: Duration::from_millis(chance.below(most_ms)) }
    })
    .await;
}

#[tokio::test]
async fn new_connections_fall_into_a_black_hole() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "2"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        proxy.reset();
        proxy.begin_hole();
        sleep(Duration::from_millis(1_500)).await;
        proxy.end_hole();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

#[tokio::test]
async fn a_slow_link_delays_and_breaks_nothing() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let delay = Duration::from_millis(chance.below(20));
        // Some 170 kB/s are due on each.
        proxy.slow(Some(Slow { delay, bytes_per_s: 50e3 }));
        sleep(Duration::from_millis(1_500)).await;
        proxy.slow(None);
    }
    site.flows().await;
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    assert_eq!(errors(stream, &[]), 0);
    assert!(stream["response"]["max_ms"].as_f64().unwrap() > 500.0, "{}", stream["response"]);
}

#[tokio::test]
async fn a_locked_table_is_waited_for() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let other = site.client().await;
        let lock = format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE");
        other.batch_execute(&lock).await.unwrap();
        sleep(Duration::from_secs(3)).await;
        other.batch_execute("COMMIT").await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    assert_eq!(errors(stream, &[]), 0);
    assert!(stream["response"]["max_ms"].as_f64().unwrap() > 2_500.0, "{}", stream["response"]);
}

#[tokio::test]
async fn connection_slots_run_out() {
    let slots = [("max_connections", "12"), ("superuser_reserved_connections", "1")];
    let ((server, site), mut chance) = (Site::own(&slots).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let mut config = tokio_postgres::Config::new();
        config.host_path(&site.socket_dir).port(site.port).user("postgres");
        let control = site.client().await;
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE application_name LIKE 'strom-load producer%' \
                         OR application_name LIKE 'strom-load reader%'";
        let (mut taken, began, mut terminated) = (Vec::new(), Instant::now(), false);
        // Whoever asks more often gets the slots that become free.
        while began.elapsed() < Duration::from_millis(2_500) {
            match config.connect(tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    taken.push(client);
                }
                Err(full) => {
                    assert_eq!(full.code().unwrap().code(), "53300", "{full}");
                    if !terminated {
                        control.batch_execute(terminate).await.unwrap();
                        terminated = true;
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
        assert!(terminated);
        drop((control, taken));
        sleep(Duration::from_millis(200)).await;
        site.flows().await;
    }
    let said = run.program.stderr();
    assert!(said.contains("53300"), "{said}");
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn readers_are_terminated_and_ask_on() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "2"]).await;
    let terminations = 5 * rounds();
    for _ in 0..terminations {
        chance.pause(500).await;
        site.terminate(&format!("reader {}", chance.below(2))).await;
    }
    let back = "SELECT greatest(count(*) - 1, 0) FROM pg_stat_activity \
                WHERE datname = current_database() \
                AND application_name LIKE 'strom-load reader%' AND state = 'active'";
    site.until(back).await;
    let result = run.finish(&site).await;
    assert_eq!(errors(&result["stream"], &[]), 0);
    let queries = result["queries"].as_array().unwrap();
    let failed: u64 = queries.iter().map(|query| errors(query, LOST)).sum();
    assert!((1..=terminations).contains(&failed), "{failed}");
}

/// A file system of some megabytes, full at will.
struct SmallDisk {
    mount: TempDir,
}

impl SmallDisk {
    /// Mounts it, for the account that the server runs as.
    fn mount(server: &Server) -> Self {
        let mount = scratch();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "strom-load-test"])
            .arg(mount.path())
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a full disk is a small tmpfs, and mounting one takes root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        let disk = Self { mount };
        let owner = fs::metadata(server.data_dir()).unwrap();
        fs::create_dir(disk.tablespace()).unwrap();
        chown(disk.tablespace(), Some(owner.uid()), Some(owner.gid())).unwrap();
        disk
    }

    fn tablespace(&self) -> PathBuf {
        self.mount.path().join("tablespace")
    }

    fn ballast(&self) -> PathBuf {
        self.mount.path().join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        let page = [1; 4096];
        while ballast.write_all(&page).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.mount.path());
    }
}

/// Also from under a server that still runs, should the test have failed.
fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(path).status();
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let ((server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let disk = SmallDisk::mount(&server);
    let location = disk.tablespace();
    site.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", location.display())).await;
    site.execute("ALTER DATABASE postgres SET default_tablespace = 'small'").await;
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    for _ in 0..2 * rounds() {
        chance.pause(500).await;
        disk.fill();
        sleep(Duration::from_millis(800)).await;
        disk.free();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], &["53100"]) > 0);
    server.stop().await.unwrap();
}
