//! What the fault tests share: a database, chance, the loader at work, and the look at every row.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::support::{
    Database, Ended, PATIENCE, Program, are_of_the_machine, connect_to, password, scratch, shared,
};

/// The table of the built-in profile.
pub(super) const TABLE: &str = "l40s_realtime_stream";
const PARTITIONS: u64 = 3;

/// How many times over the faults are injected.
pub(super) fn rounds() -> u64 {
    number_in("STROM_LOAD_FAULT_ROUNDS").unwrap_or(1)
}

fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`")))
}

/// Where and when.
pub(super) struct Chance(Xoshiro256PlusPlus);

impl Chance {
    #[expect(clippy::print_stdout, reason = "shown if the test fails, to repeat it")]
    pub(super) fn new() -> Self {
        let seed =
            number_in("FAULT_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
        println!("FAULT_SEED={seed}");
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    pub(super) fn partition(&mut self) -> u64 {
        self.below(PARTITIONS)
    }

    /// Waits up to so many milliseconds.
    pub(super) async fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_micros(self.below(most_ms * 1_000))).await;
    }
}

/// A database, seen past whatever is being broken.
pub(super) struct Site {
    pub(super) socket_dir: PathBuf,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) password: String,
}

impl Site {
    /// A database of its own on the server that the tests share, for faults of single sessions.
    pub(super) async fn shared() -> Self {
        let database = Database::create().await.name;
        let server = shared();
        let (socket_dir, port) = (server.socket_dir.clone(), server.port);
        Self { socket_dir, port, database, password: server.password.clone() }
    }

    /// A server of its own.
    pub(super) async fn own(settings: &[(&str, &str)]) -> (Server, Self) {
        let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let server =
            Server::start(&ServerOptions { settings, ..ServerOptions::default() }).await.unwrap();
        let site = Self {
            socket_dir: server.socket_dir().to_owned(),
            port: server.port(),
            database: server.database().to_owned(),
            password: password(&server),
        };
        (server, site)
    }

    pub(super) async fn client(&self) -> Client {
        connect_to(&self.socket_dir, self.port, &self.database).await
    }

    pub(super) async fn execute(&self, sql: &str) {
        let done = self.client().await.batch_execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The single row of a query, of numbers.
    async fn numbers<const N: usize>(&self, sql: &str) -> [i64; N] {
        let row = self.client().await.query_one(sql, &[]).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        std::array::from_fn(|column| row.get(column))
    }

    pub(super) async fn number(&self, sql: &str) -> i64 {
        let [number] = self.numbers(sql).await;
        number
    }

    pub(super) async fn rows(&self) -> i64 {
        self.number(&format!("SELECT count(*) FROM {TABLE}")).await
    }

    /// How many of a partition's rows of these numbers are there, and how many ids they have.
    async fn found(&self, partition: &Value, first: i64, last: i64) -> [i64; 2] {
        let first_id = partition["first_id"].as_i64().unwrap();
        let (first, last) = (first_id + first, first_id + last);
        let number = &partition["partition"];
        self.numbers(&format!(
            "SELECT count(*), count(DISTINCT id) FROM {TABLE} \
             WHERE gpu_partition = {number} AND id BETWEEN {first} AND {last}"
        ))
        .await
    }

    /// Waits until a query answers a positive number.
    pub(super) async fn until(&self, sql: &str) -> i64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let number = self.number(sql).await;
            if number > 0 {
                return number;
            }
            assert!(Instant::now() < deadline, "not within 60 s: {sql}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until rows come in.
    pub(super) async fn flows(&self) {
        let before = self.rows().await;
        self.until(&format!("SELECT count(*) - {before} FROM {TABLE}")).await;
    }

    /// Terminates a session of the loader, once there is one; `like` is its name.
    pub(super) async fn terminate(&self, like: &str) {
        self.until(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'strom-load {like}'"
        ))
        .await;
    }
}

/// The loader at work, without an end of its own.
pub(super) struct Run {
    pub(super) program: Program,
}

impl Run {
    /// Starts it, and waits until rows are stored.
    pub(super) async fn start(site: &Site, port: u16, args: &[&str]) -> Self {
        Self::start_with(site, port, args, "").await
    }

    /// The same, with more to say of the connection.
    pub(super) async fn start_with(site: &Site, port: u16, args: &[&str], more: &str) -> Self {
        let database = &site.database;
        let address = format!("host=127.0.0.1 port={port} user=postgres dbname={database} {more}");
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

    /// Ends it in order, and looks at every row: each one that was due is there once. Returns the
    /// saved result.
    pub(super) async fn finish(self, site: &Site) -> Value {
        self.program.signal(Signal::INT);
        let ended = self.program.end().await;
        let result = looked_at(site, &ended, 130).await;
        for partition in result["stream"]["partitions"].as_array().unwrap() {
            let due = partition["rows_due"].as_u64().unwrap();
            assert_eq!(partition["rows_acknowledged"], due, "{partition}\n{}", ended.stderr);
        }
        for figure in ["rows_due", "rows_sent", "rows_acknowledged", "rows_found"] {
            let found = site.rows().await;
            assert_eq!(result["stream"][figure], found, "{figure}\n{}", ended.stderr);
        }
        result
    }
}

/// Compares the account of a run that has ended with the table. Returns the saved result.
///
/// The account names every row that was due, and none twice. What it says is acknowledged is there
/// once; what is undecided at most once; nothing else is.
pub(super) async fn looked_at(site: &Site, ended: &Ended, code: i32) -> Value {
    let said = &ended.stderr;
    let result = ended.result();
    // A machine with too much to do may have made it late, which is said with a code of its own; and a
    // query that came to be asked in the fault alone failed each time.
    let mut shortfalls = result["shortfalls"].as_array().unwrap().clone();
    let fell_short = !shortfalls.is_empty();
    shortfalls.retain(|own| own["kind"] != "query_failed");
    let was_late = fell_short && are_of_the_machine(&shortfalls);
    let code_or_late = if code == 130 && was_late { 6 } else { code };
    assert_eq!(ended.code, Some(code_or_late), "{said}\n{}", ended.stdout);
    let status = if code == 4 { "failed" } else { "interrupted" };
    assert_eq!(result["status"], status, "{said}");
    for partition in result["stream"]["partitions"].as_array().unwrap() {
        let (mut named, mut allowed) = (Vec::new(), 0);
        for fate in ["acknowledged", "dropped", "undecided"] {
            for range in partition["account"][fate].as_array().unwrap() {
                let [first, last] = ["first", "last"].map(|end| range[end].as_i64().unwrap());
                named.push((first, last));
                let [rows, ids] = site.found(partition, first, last).await;
                assert_eq!(rows, ids, "rows are doubled in {range}\n{partition}\n{said}");
                match fate {
                    "acknowledged" => assert_eq!(rows, last - first + 1, "{range} {partition}"),
                    "dropped" => assert_eq!(rows, 0, "{range} {partition}\n{said}"),
                    _ => {}
                }
                allowed += rows;
            }
        }
        named.sort_unstable();
        let due = partition["rows_due"].as_i64().unwrap();
        let next = named.iter().fold(0, |next, (first, last)| {
            assert_eq!(*first, next, "the account has a gap\n{partition}\n{said}");
            last + 1
        });
        assert_eq!(next, due, "the account is not whole\n{partition}\n{said}");
        let [rows, _] = site.found(partition, i64::from(i32::MIN), i64::from(i32::MAX)).await;
        assert_eq!(rows, allowed, "{partition}\n{said}");
    }
    result
}

/// Errors by SQLSTATE; none but those that the fault explains.
pub(super) fn errors(of: &Value, explained: &[&str]) -> u64 {
    let errors: BTreeMap<String, u64> = serde_json::from_value(of["errors"].clone()).unwrap();
    for code in errors.keys() {
        assert!(explained.contains(&&**code), "{code} is not one of {explained:?}: {errors:?}");
    }
    errors.values().sum()
}

pub(super) const LOST: &[&str] = &["57P01", "57P02", "57P03", "08006"];
