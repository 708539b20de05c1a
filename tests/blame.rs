//! Whose fault it was: the loader, its machine, the server or the way to it is held up for real, and the
//! result names who it was.
//!
//! Each case is made once. The job of twenty rounds each:
//! `STROM_LOAD_TEST_ROUNDS=20 cargo test --release --test main --test alone blame -- --test-threads=1`.
//! The case that takes all of the machine is in `tests/alone.rs`.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};
use tokio::time::sleep;

use crate::proxy::{Proxy, Slow};
use crate::support::{Database, Ended, Program, ask, password, rounds, scratch};

const TABLE: &str = "l40s_realtime_stream";

/// A stream of 3,000 rows/s without readers.
fn start(address: &str, args: &[&str]) -> Program {
    let mut all = vec!["--database-url", address, "--warmup", "1s", "--readers", "0"];
    if !args.contains(&"--rate") {
        all.extend(["--rate", "3000"]);
    }
    all.extend(["--metrics-addr", "off", "--output", "out"]);
    all.extend(args);
    Program::start(&all)
}

/// Waits until the measurement goes on.
async fn measuring(database: &Database) {
    database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
    database.until(&format!("SELECT count(*) > 6000 FROM {TABLE}")).await;
}

/// The backends of the loader's producers.
async fn producers(database: &Database) -> Vec<Pid> {
    let backends = database
        .rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND \
             application_name LIKE 'strom-load producer%'",
        )
        .await;
    let pid = |row: &Vec<String>| Pid::from_raw(row[0].parse().unwrap()).unwrap();
    backends.iter().map(pid).collect()
}

/// Stops processes for a while.
async fn stop(pids: &[Pid], time: Duration) {
    pids.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
    sleep(time).await;
    pids.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap());
}

fn loader(ended: &Ended) -> Value {
    let result = ended.result();
    let loader = &result["loader"];
    let ratio = loader["cpu_ratio"].as_f64().unwrap();
    assert!(ratio <= 1.0, "{ratio} of all cores");
    loader.clone()
}

/// Who explains the slowest batches of a run whose rate was kept.
fn late_by_own(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let loader = loader(ended);
    assert!(["loader", "machine"].contains(&loader["late_by"].as_str().unwrap()), "{loader}");
    assert!(ended.stdout.contains("OWN DELAY: "), "{}", ended.stdout);
    assert!(loader["blame"]["own_s"].as_f64() > loader["blame"]["server_s"].as_f64(), "{loader}");
}

/// The loader or its machine has missed the rate, and that is not what was asked for.
fn missed_by_own(ended: &Ended) {
    assert_eq!(ended.code, Some(6), "{}\n{}", ended.stdout, ended.stderr);
    let loader = loader(ended);
    assert!(["loader", "machine"].contains(&loader["bottleneck"].as_str().unwrap()), "{loader}");
    let result = ended.result();
    let kinds: Vec<_> =
        result["shortfalls"].as_array().unwrap().iter().map(|of| &of["kind"]).collect();
    assert!(kinds.contains(&&Value::from("own_delay")), "{kinds:?}");
}

/// The server, or the way to it, has missed the rate.
fn missed_by_server(ended: &Ended) {
    let loader = loader(ended);
    assert_eq!(loader["bottleneck"], "server", "{loader}\n{}", ended.stdout);
    assert!(!ended.stdout.contains("OWN DELAY"), "{}", ended.stdout);
    assert!(loader["blame"]["server_s"].as_f64() > loader["blame"]["own_s"].as_f64(), "{loader}");
}

#[tokio::test]
async fn a_loader_that_was_stopped_in_the_middle() {
    for rate in (0..rounds()).flat_map(|_| ["3000", "500"]) {
        let database = Database::create().await;
        let program = start(&database.address(), &["--duration", "8s", "--rate", rate]);
        database.until(&format!("SELECT to_regclass('{TABLE}') IS NOT NULL")).await;
        database.until(&format!("SELECT count(*) > {rate}::int * 2 FROM {TABLE}")).await;
        stop(&[program.pid()], Duration::from_secs(2)).await;
        let ended = program.end().await;
        late_by_own(&ended);
        let gap = loader(&ended)["threads"][0]["largest_gap_ms"].as_f64().unwrap();
        assert!((1_900.0..2_900.0).contains(&gap), "{gap}");
    }
}

#[tokio::test]
async fn a_loader_that_was_stopped_across_the_end() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        let program = start(&database.address(), &["--duration", "4s"]);
        measuring(&database).await;
        sleep(Duration::from_secs(1)).await;
        stop(&[program.pid()], Duration::from_secs(6)).await;
        missed_by_own(&program.end().await);
    }
}

#[tokio::test]
async fn a_loader_that_gets_a_fifth_of_its_time() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        let program = start(&database.address(), &["--duration", "6s"]);
        measuring(&database).await;
        for _ in 0..11 {
            stop(&[program.pid()], Duration::from_millis(400)).await;
            sleep(Duration::from_millis(100)).await;
        }
        // A fifth may be enough on a fast machine; then the slowest batches waited for it.
        let ended = program.end().await;
        match loader(&ended)["bottleneck"].as_str() {
            Some("none") => late_by_own(&ended),
            _ => missed_by_own(&ended),
        }
    }
}

#[tokio::test]
async fn a_loader_and_its_backends_that_were_stopped_together() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        let program = start(&database.address(), &["--duration", "8s"]);
        measuring(&database).await;
        let mut all = producers(&database).await;
        all.insert(0, program.pid());
        stop(&all, Duration::from_secs(2)).await;
        late_by_own(&program.end().await);
    }
}

#[tokio::test]
async fn what_is_done_after_a_run_is_nobodys_delay() {
    let profile = "[stream]\n[readers]\ncount = 1\n[[readers.queries]]\nname = \"many\"\n\
                   sql = \"SELECT g, g / 7.0 AS x FROM generate_series(1, 22000) g\"\n\
                   [arms.a]\nset = { jit = false }\n[arms.b]\nset = { jit = true }\n";
    for _ in 0..rounds() {
        let database = Database::create().await;
        let folder = scratch();
        let path = folder.path().join("many.toml");
        fs::write(&path, profile).unwrap();
        let address = database.address();
        let args = ["run", path.to_str().unwrap(), "--database-url", &address, "--rate", "3000"];
        let common = ["--duration", "5s", "--metrics-addr", "off", "--output", "out"];
        let ended = Program::start_in(folder, &[&args[..], &common[..]].concat(), &[]).end().await;
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        let loader = loader(&ended);
        assert_ne!(loader["bottleneck"], "loader", "{loader}");
        assert!(loader["check_cpu_s"].as_f64().unwrap() > 0.0, "{loader}");
    }
}

#[tokio::test]
async fn a_server_that_was_stopped() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        let program = start(&database.address(), &["--duration", "8s"]);
        measuring(&database).await;
        stop(&producers(&database).await, Duration::from_secs(2)).await;
        let ended = program.end().await;
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
        let loader = loader(&ended);
        assert_eq!(loader["late_by"], "server", "{loader}");
        assert!(!ended.stdout.contains("OWN DELAY"), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn a_table_that_was_locked() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        let args = ["--duration", "8s", "--backlog-rows", "300"];
        let program = start(&database.address(), &args);
        measuring(&database).await;
        let other = database.session().await;
        let lock =
            format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5)");
        other.execute(&lock).await;
        other.execute("COMMIT").await;
        let ended = program.end().await;
        assert_eq!(ended.code, Some(6), "{}\n{}", ended.stdout, ended.stderr);
        assert!(ended.result()["stream"]["rows_dropped"].as_u64().unwrap() > 0);
        missed_by_server(&ended);
    }
}

#[tokio::test]
async fn a_server_that_was_gone() {
    for _ in 0..rounds() {
        let server = Server::start(&ServerOptions::default()).await.unwrap();
        let address = server.conninfo();
        let program = start(&address, &["--duration", "6s", "--reconnect-timeout", "2s"]);
        let streams = format!("SELECT (to_regclass('{TABLE}') IS NOT NULL)::text");
        while ask(&server, &streams).await != "true" {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_secs(3)).await;
        server.stop().await.unwrap();
        let ended = program.end().await;
        assert_eq!(ended.code, Some(4), "{}\n{}", ended.stdout, ended.stderr);
        missed_by_server(&ended);
    }
}

#[tokio::test]
async fn a_server_that_is_too_slow() {
    for _ in 0..rounds() {
        let database = Database::create().await;
        start(&database.address(), &["--duration", "100ms"]).end().await.done();
        database
            .execute(&format!(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
                 $$BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END$$; \
                 CREATE TRIGGER slow BEFORE INSERT ON {TABLE} FOR EACH STATEMENT \
                 EXECUTE FUNCTION slow()"
            ))
            .await;
        let args = ["--duration", "4s", "--drain-timeout", "2s"];
        missed_by_server(&start(&database.address(), &args).end().await);
    }
}

#[tokio::test]
async fn a_network_that_is_too_slow() {
    for _ in 0..rounds() {
        let server = Server::start(&ServerOptions::default()).await.unwrap();
        let proxy = Proxy::start(server.port()).await;
        proxy.slow(Some(Slow { delay: Duration::from_millis(60), bytes_per_s: 20_000.0 }));
        let (port, password) = (proxy.port(), password(&server));
        let address = format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres");
        let program = start(&address, &["--duration", "5s", "--drain-timeout", "2s"]);
        missed_by_server(&program.end().await);
        server.stop().await.unwrap();
    }
}
