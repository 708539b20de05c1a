//! A server that is on its way: it starts or recovers, and is waited for.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use strom_load::pg::embedded::{Halt, Server, ServerOptions};
use tokio::time::sleep;
use tokio_postgres::NoTls;

use crate::support::{Ended, Program, ask, scratch, until};

/// A server that admits nobody while it starts: a standby without a hot one's leave to read.
async fn held_back() -> Server {
    let settings = vec![("hot_standby".to_owned(), "off".to_owned())];
    let mut server =
        Server::start(&ServerOptions { settings, ..ServerOptions::default() }).await.unwrap();
    server.halt(Halt::Fast).await.unwrap();
    fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server
}

/// Where a server is, also while it is on its way.
struct Place {
    socket_dir: PathBuf,
    port: u16,
}

impl Place {
    fn start(&self, args: &[&str]) -> Program {
        let (folder, port) = (self.socket_dir.display(), self.port);
        let address = format!("host={folder} port={port} user=postgres dbname=postgres");
        Program::start_in(scratch(), &[args, &["--database-url", &address]].concat(), &[])
    }

    /// Waits until it listens, and admits nobody.
    async fn starts(&self) {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket_dir).port(self.port).user("postgres").dbname("postgres");
        for _ in 0..500 {
            let refused = config.connect(NoTls).await.err();
            if refused.and_then(|error| error.code().cloned()).is_some() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("the server does not even start");
    }
}

const RUN: [&str; 8] =
    ["--duration", "1s", "--warmup", "0s", "--metrics-addr", "off", "--output", "out"];

#[tokio::test]
async fn a_server_that_starts_is_waited_for_and_not_for_ever() {
    let mut server = held_back().await;
    let data = server.data_dir().to_owned();
    let place = Place { socket_dir: server.socket_dir().to_owned(), port: server.port() };
    let promoting = async {
        place.starts().await;
        let run = place.start(&RUN);
        let doctor = place.start(&["doctor"]);
        let impatient = place.start(&[&RUN[..], &["--reconnect-timeout", "1s"]].concat());
        let refused: Ended = impatient.end().await;
        for program in [&run, &doctor] {
            let said = program.says("waiting for the server, ").await;
            assert!(said.contains(" of 60 s: the database system is "), "{said}");
        }
        fs::write(data.join("promote"), "").unwrap();
        let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::USR1).unwrap();
        (refused, run, doctor)
    };
    let began = Instant::now();
    let (resumed, (refused, run, doctor)) = tokio::join!(server.resume(), promoting);
    resumed.unwrap();
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("(SQLSTATE 57P03)"), "{}", refused.stderr);
    let ended = run.end().await;
    ended.done();
    let ended = doctor.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    until("the server is promoted", || !data.join("standby.signal").exists()).await;
    server.stop().await.unwrap();
}

/// Lets the server crash, and holds its recovery back for some five seconds: until the postmaster
/// kills the process that does not end by itself.
async fn crash(server: &Server, victim: &str) {
    let pid = |what: String| async move { ask(server, &what).await.parse::<u32>().unwrap() };
    let checkpointer = "SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let checkpointer = pid(checkpointer.to_owned()).await;
    let victim = format!(
        "SELECT pid::text FROM pg_stat_activity WHERE application_name = '{victim}' LIMIT 1"
    );
    let victim = pid(victim).await;
    kill_process(Pid::from_raw(checkpointer as i32).unwrap(), Signal::STOP).unwrap();
    server.kill_backend(victim).unwrap();
}

fn address(server: &Server) -> String {
    let (folder, port) = (server.socket_dir().display(), server.port());
    format!("host={folder} port={port} user=postgres dbname=postgres")
}

#[tokio::test]
async fn a_crash_is_said_once_and_attempts_to_connect_are_no_errors_of_a_query() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let address = address(&server);
    let args = ["--duration", "12s", "--warmup", "0s", "--metrics-addr", "off", "--readers", "2"];
    let args = [&args[..], &["--output", "out", "--database-url", &address]].concat();
    let program = Program::start_in(scratch(), &args, &[]);
    until("queries are answered", || program.stderr().contains("queries ")).await;
    crash(&server, "strom-load reader 0").await;
    let ended = program.end().await;
    let result = ended.done();
    let said = "WARN the server crashed and is recovering; its log has more";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    let queries = result["queries"].as_array().unwrap().iter();
    let errors = queries.flat_map(|query| query["errors"].as_object().unwrap().values());
    let errors: u64 = errors.map(|count| count.as_u64().unwrap()).sum();
    assert!(errors <= 2, "one each that was in hand: {}", result["queries"]);
    assert_eq!(result["stream"]["rows_found"], result["stream"]["rows_acknowledged"]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_whose_server_crashes_says_so() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let address = address(&server);
    let query = "SELECT i, pg_sleep(0.001 * i)::text AS slept FROM generate_series(1, 100000) i";
    let args = ["arrow", "--query", query, "--file", "out.arrow", "--database-url", &address];
    let program = Program::start_in(scratch(), &args, &[]);
    let busy = "SELECT (count(*) > 0)::text FROM pg_stat_activity \
                WHERE application_name = 'strom-load arrow' AND state = 'active'";
    for _ in 0..500 {
        if ask(&server, busy).await == "true" {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    crash(&server, "strom-load arrow").await;
    let ended = program.end().await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let said = "; the server crashed and is recovering; its log has more";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    server.stop().await.unwrap();
}
