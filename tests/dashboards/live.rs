//! Prometheus scrapes a real run, postgres_exporter beside it, and answers every panel's query.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;
use serde_json::Value;
use strom_load::pg::embedded::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Dashboard, Target, dashboards, list, root, text, unknown_names};
use crate::gpus::{Titled, stub};
use crate::support::{Program, ask, connect, password, scratch, with_stand_in};

/// Panels that cannot have data in such a run, each with the reason.
const WITHOUT_DATA: &[(&str, &str)] = &[];

/// What variables stand for in this run: a scrape each second, and all there is.
const VALUES: [(&str, &str); 9] = [
    ("$__rate_interval", "5s"),
    ("$window", "1h"),
    ("$job", "strom-load"),
    ("$instance", ".*"),
    ("$query", ".*"),
    ("$gpu", ".*"),
    ("$server", ".*"),
    ("$datname", "postgres"),
    ("$__range", "1m"),
];

const PROFILE: &str = r#"
warmup_s = 1
duration_s = 120
[stream]
[evidence]
plans_every_s = 1
answers_every_s = 1
[readers]
count = 2
gpu = "alternate"
queries_per_s = 40
[[readers.queries]]
name = "newest"
newest_column = "newest"
sql = "SELECT count(*), max(created_at) AS newest FROM {table} WHERE gpu_partition = 0"
[[readers.queries]]
name = "by_category"
newest_column = "newest"
sql = "SELECT category, count(*), max(created_at) AS newest FROM {table} GROUP BY 1"
"#;

/// A server of somebody else, ended with its value.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts it on a port that is free now; its output goes into the folder.
    fn start(package: &str, folder: &Path, arguments: impl Fn(SocketAddr) -> Command) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let log = fs::File::create(folder.join(format!("{package}.log"))).unwrap();
        let mut command = arguments(free);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("Debian's package {package} is needed here: {error}"));
        Self { child, address: free }
    }

    /// The body of a GET, if it answers.
    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        // The old protocol: an answer in one piece.
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// What Prometheus answers; panics with its words if it refuses.
    async fn api(&self, path: &str) -> Value {
        let body = self.get(path).await.unwrap_or_default();
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(answer["status"], "success", "{path}: {body}");
        answer["data"].clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn substituted(expr: &str) -> String {
    VALUES.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value))
}

/// The series that a query answers with a number.
async fn series(prometheus: &Service, expr: &str) -> usize {
    let query = utf8_percent_encode(&substituted(expr), NON_ALPHANUMERIC).to_string();
    let data = prometheus.api(&format!("/api/v1/query?query={query}")).await;
    let numbers = list(&data["result"]).filter(|series| text(&series["value"][1]) != "NaN");
    numbers.count()
}

/// Those that have no data yet.
async fn silent(prometheus: &Service, targets: &[Target]) -> Vec<Target> {
    let mut silent = Vec::new();
    for target in targets {
        if series(prometheus, &target.expr).await == 0 {
            silent.push(target.clone());
        }
    }
    silent
}

fn config(loader: &str, exporter: SocketAddr) -> String {
    let rules = root().join("dashboards/rules").display().to_string();
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
         rule_files: ['{rules}/recording.yml', '{rules}/alerts.yml']\n\
         scrape_configs:\n\
         - job_name: strom-load\n  static_configs: [{{ targets: ['{loader}'] }}]\n\
         - job_name: postgres\n  static_configs: [{{ targets: ['{exporter}'] }}]\n"
    )
}

/// An outage of a producer in which attempts to recover fail, too: whatever connects is ended for a second.
async fn end_what_connects(server: &Server) {
    let fault = "DO $$ BEGIN FOR i IN 1 .. 500 LOOP PERFORM pg_stat_clear_snapshot(); \
                 PERFORM pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'strom-load producer 1'; \
                 PERFORM pg_sleep(0.002); END LOOP; END $$";
    connect(server.socket_dir(), server.port()).await.batch_execute(fault).await.unwrap();
}

#[tokio::test]
async fn every_panel_has_data_in_a_real_run() {
    let (folder, titled) = (scratch(), Titled::start());
    // Two arms, as where PG-Strom is loaded.
    let (_library, server) = with_stand_in(&[]).await;
    let address = server.conninfo();
    let work = scratch();
    fs::write(work.path().join("live.toml"), PROFILE).unwrap();
    let profile = work.path().join("live.toml").display().to_string();
    let args = ["run", &profile, "--database-url", &address, "--output", "out", "--rate", "2000"];
    let more = ["--metrics-addr", "127.0.0.1:0", "--gpu-interval", "50ms", "--gpu-pcie"];
    let library = stub(folder.path(), &[]).display().to_string();
    let env = [("STROM_LOAD_NVML", library.as_str()), ("NVML_STUB_PID", &titled.pid())];
    let program = Program::start_in(work, &[&args[..], &more].concat(), &env);
    let said = program.says("metrics at http://").await;
    let loader = said.trim_end_matches("/metrics");

    let (password, port) = (password(&server), server.port());
    let exporter = Service::start("prometheus-postgres-exporter", folder.path(), |address| {
        let mut command = Command::new("prometheus-postgres-exporter");
        command.arg(format!("--web.listen-address={address}"));
        let queries = root().join("deploy/postgres-exporter/queries.yml");
        command.arg(format!("--extend.query-path={}", queries.display()));
        let url = format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres");
        command.env("DATA_SOURCE_NAME", format!("{url}?sslmode=disable"));
        command
    });
    let settings = folder.path().join("prometheus.yml");
    fs::write(&settings, config(loader, exporter.address)).unwrap();
    let prometheus = Service::start("prometheus", folder.path(), |address| {
        let mut command = Command::new("prometheus");
        command.arg(format!("--web.listen-address={address}"));
        command.arg(format!("--config.file={}", settings.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command
    });
    let deadline = Instant::now() + Duration::from_secs(100);
    while prometheus.get("/-/ready").await.is_none_or(|body| !body.contains("Ready")) {
        assert!(Instant::now() < deadline, "Prometheus is not ready");
        sleep(Duration::from_millis(200)).await;
    }
    while series(&prometheus, "strom_load_rows_acknowledged_total > 1000").await == 0 {
        assert!(
            Instant::now() < deadline,
            "nothing is scraped\n{}\n{}",
            program.stderr(),
            logs(folder.path())
        );
        sleep(Duration::from_millis(200)).await;
    }
    // An outage of a producer, and one of the readers: their panels need it.
    let fault = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
                 WHERE application_name IN ('strom-load producer 1', 'strom-load reader 0')";
    assert_eq!(ask(&server, fault).await, "2");
    end_what_connects(&server).await;

    let all = dashboards();
    let targets: Vec<_> = all.iter().flat_map(Dashboard::targets).collect();
    let excused = |target: &Target| WITHOUT_DATA.iter().any(|(place, _)| *place == target.place);
    let (never, wanted): (Vec<_>, Vec<_>) = targets.into_iter().partition(excused);
    assert_eq!(never.len(), WITHOUT_DATA.len(), "an excuse for a panel that is not there");
    let (mut missing, mut faulted) = (wanted, Instant::now());
    while !missing.is_empty() {
        // On a busy machine an outage may be over before anybody has scraped it, or tried in vain to recover.
        if faulted.elapsed() > Duration::from_secs(20) {
            end_what_connects(&server).await;
            faulted = Instant::now();
        }
        let late = Instant::now() > deadline;
        assert!(!late, "no data: {missing:#?}\n{}\n{}", program.stderr(), logs(folder.path()));
        sleep(Duration::from_millis(500)).await;
        missing = silent(&prometheus, &missing).await;
    }
    assert_eq!(silent(&prometheus, &never).await, never, "an excuse that is not needed");

    // What the variables offer.
    for (variable, label) in all.iter().flat_map(Dashboard::variable_queries) {
        let query = format!("count by ({label}) ({variable})");
        assert!(series(&prometheus, &query).await > 0, "{query}");
    }
    // The rules work, and name what there is.
    let groups = prometheus.api("/api/v1/rules").await;
    let rules: Vec<_> = list(&groups["groups"]).flat_map(|group| list(&group["rules"])).collect();
    assert_eq!(rules.len(), 22, "{groups:#}");
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        assert_eq!(unknown_names(text(&rule["query"])), Vec::<String>::new());
    }
    // Two arms on the CPU while one is called `on`: that is what this alert is for. No other
    // alert may fire in a run that recovered, but for those on the fault itself.
    let pages: BTreeSet<_> = rules
        .iter()
        .filter(|rule| rule["labels"]["severity"] == "page" && rule["state"] == "firing")
        .map(|rule| text(&rule["name"]))
        .collect();
    assert_eq!(pages, BTreeSet::new());

    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    server.stop().await.unwrap();
}

fn logs(folder: &Path) -> String {
    let names = ["prometheus.log", "prometheus-postgres-exporter.log"];
    let tail = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
    names.map(tail).join("\n")
}
