//! What a run shows while it goes on, and files that other programs read.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::gpus::{Titled, stub};
use crate::support::{Database, Ended, Program, scratch, until};

/// Where Debian's libhdrhistogram-java puts it.
const HDR_JAR: &str = "/usr/share/java/hdrhistogram.jar";

/// A run with its endpoint on a free port, and where that is.
async fn observed(database: &Database, args: &[&str]) -> (Program, SocketAddr) {
    let address = database.address();
    let mut all = vec!["--database-url", &address, "--metrics-addr", "127.0.0.1:0"];
    all.extend(["--output", "out", "--rate", "1000"]);
    all.extend(args);
    let program = Program::start(&all);
    let said = program.says("metrics at http://").await;
    let endpoint = said.trim_end_matches("/metrics").parse().unwrap();
    (program, endpoint)
}

fn dial(endpoint: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&endpoint, Duration::from_secs(10)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Status and body of a GET.
pub(crate) async fn get(endpoint: SocketAddr, path: &'static str) -> (u16, String) {
    let fetch = move || {
        let mut stream = dial(endpoint);
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    };
    spawn_blocking(fetch).await.unwrap()
}

/// Waits for a scrape that holds something.
async fn scrape_with(endpoint: SocketAddr, what: impl Fn(&str) -> bool) -> String {
    for _ in 0..200 {
        let (status, body) = get(endpoint, "/metrics").await;
        assert_eq!(status, 200);
        if what(&body) {
            return body;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came; the last scrape: {}", get(endpoint, "/metrics").await.1);
}

/// The sum of a metric over its series.
pub(crate) fn total(body: &str, name: &str) -> f64 {
    let series = body.lines().filter_map(|line| line.strip_prefix(name));
    let values = series.filter(|rest| rest.starts_with(['{', ' ']));
    values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

fn output_of(program: &str, package: &str, command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{program}` ({package}) is needed here: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Has Prometheus's own linter read a scrape.
pub(crate) fn assert_clean(body: &str) {
    let package = "Debian's package prometheus";
    let mut command = Command::new("promtool");
    let output = output_of("promtool", package, command.args(["check", "metrics"]), body);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{body}");
}

#[tokio::test]
async fn the_endpoint_shows_the_run_and_prometheus_likes_it() {
    let database = Database::create().await;
    let args = ["--warmup", "2s", "--duration", "3s", "--readers", "1"];
    let (program, endpoint) = observed(&database, &args).await;
    assert_eq!(get(endpoint, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(endpoint, "/readyz").await.0, 503, "ready before the measurement");
    assert_eq!(get(endpoint, "/nowhere").await.0, 404);
    assert_clean(&get(endpoint, "/metrics").await.1);

    while get(endpoint, "/readyz").await != (200, "measuring\n".to_owned()) {
        sleep(Duration::from_millis(50)).await;
    }
    let acknowledged = "strom_load_rows_acknowledged_total";
    let body = scrape_with(endpoint, |body| total(body, acknowledged) >= 3000.0).await;
    assert_clean(&body);
    for partition in 0..3 {
        let series = format!("{acknowledged}{{partition=\"{partition}\"}}");
        assert!(body.contains(&series), "{body}");
    }
    assert!(total(&body, "strom_load_batches_total") > 0.0, "{body}");
    assert!(total(&body, "process_cpu_seconds_total") > 0.0, "{body}");
    // Each histogram's last bucket is its count.
    for line in body.lines().filter(|line| line.contains("le=\"+Inf\"")) {
        let (labelled, count) = line.rsplit_once(' ').unwrap();
        let counted = labelled.replace("_bucket{", "_count{").replace(",le=\"+Inf\"", "");
        assert!(body.contains(&format!("{counted} {count}\n")), "{counted}\n{body}");
    }
    program.end().await.done();
}

#[tokio::test]
async fn garbage_on_the_metrics_port_does_not_disturb_the_run() {
    let database = Database::create().await;
    let args = ["--warmup", "0s", "--duration", "5s", "--readers", "0"];
    let (program, endpoint) = observed(&database, &args).await;
    scrape_with(endpoint, |body| total(body, "strom_load_rows_sent_total") > 0.0).await;
    let abuse = move || {
        let mut open = Vec::new();
        for number in 0..200_u32 {
            let mut stream = dial(endpoint);
            let noise: Vec<u8> = (0..2_000).map(|i: u32| (i * 7919 + number * 31) as u8).collect();
            // Whether the program still listens to it is its own affair.
            let _ = match number % 4 {
                0 => stream.write_all(&noise),
                1 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: te"),
                2 => stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"),
                _ => Ok(()),
            };
            open.push(stream);
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    spawn_blocking(abuse).await.unwrap();
    // Those have hung up, and it answers as before.
    assert_eq!(get(endpoint, "/healthz").await.0, 200);
    assert_clean(&get(endpoint, "/metrics").await.1);
    let result = program.end().await.done();
    let stream = &result["stream"];
    assert_eq!((&stream["rows_found"], &stream["rows_dropped"]), (&5000.into(), &0.into()));
}

/// The values of a page in any order, without the cost of the process, which is read at each scrape.
fn settled(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| !line.starts_with("process_")).collect()
}

#[tokio::test]
async fn the_endpoint_stays_up_through_the_drain_and_lingers_with_the_last_values() {
    let database = Database::create().await;
    let args = ["--warmup", "0s", "--duration", "5s", "--readers", "0", "--metrics-linger", "10m"];
    let (program, endpoint) = observed(&database, &args).await;
    scrape_with(endpoint, |body| total(body, "strom_load_rows_acknowledged_total") > 0.0).await;
    // Until the lock is gone, the run cannot end.
    let holder = database.session().await;
    holder.execute("BEGIN; LOCK TABLE l40s_realtime_stream IN ACCESS EXCLUSIVE MODE").await;
    let draining = "strom_load_phase{phase=\"drain\"} 1\n";
    let page = scrape_with(endpoint, |body| body.contains(draining)).await;
    assert!(total(&page, "strom_load_backlog_rows") > 0.0, "{page}");
    holder.execute("ROLLBACK").await;

    program.says("metrics stay up for 10 min; Ctrl-C ends that").await;
    let page = get(endpoint, "/metrics").await.1;
    let whole = |metric: &str| total(&page, metric).round() as u64;
    assert_eq!(whole("strom_load_rows_acknowledged_total"), 5000, "{page}");
    assert_eq!(whole("strom_load_backlog_rows"), 0, "{page}");
    assert_eq!(whole("strom_load_phase"), 0, "{page}");
    assert_clean(&page);
    assert_eq!(get(endpoint, "/readyz").await.0, 503);
    assert_eq!(get(endpoint, "/healthz").await.0, 200);
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(settled(&get(endpoint, "/metrics").await.1), settled(&page), "they change no more");
    // The result is there already; one Ctrl-C is enough, and the run was done nevertheless.
    assert!(program.folder.path().join("work/out/result.json").exists());
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert!(!ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert_eq!(ended.done()["stream"]["rows_found"], 5000);
}

/// What HdrHistogram's own tool makes of one tag of a log: (percentile from 0 to 1, milliseconds).
fn percentiles_by_java(log: &Path, tag: &str) -> Vec<(f64, f64)> {
    let package = "Debian's packages default-jre-headless and libhdrhistogram-java";
    assert!(Path::new(HDR_JAR).exists(), "{HDR_JAR} ({package}) is needed here");
    let mut command = Command::new("java");
    command.args(["-cp", HDR_JAR, "org.HdrHistogram.HistogramLogProcessor", "-csv"]);
    command.arg("-i").arg(log).args(["-tag", tag, "-percentilesOutputTicksPerHalf", "100"]);
    let output = output_of("java", package, &mut command, "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let distribution = text.lines().skip_while(|line| !line.starts_with("\"Value\""));
    let lines = distribution.skip(1).filter_map(|line| {
        let mut fields = line.split(',');
        let value = fields.next()?.parse().ok()?;
        Some((fields.next()?.parse().ok()?, value))
    });
    let lines: Vec<_> = lines.collect();
    assert!(!lines.is_empty(), "{text}");
    lines
}

/// Checks a clock of the saved result against the log.
fn assert_same(ended: &Ended, tag: &str, clock: &Value) {
    let lines = percentiles_by_java(&ended.work().join("out/latency.hlog"), tag);
    let figures = [(0.5, "p50_ms"), (0.9, "p90_ms"), (0.99, "p99_ms"), (1.0, "max_ms")];
    for (quantile, figure) in figures {
        let ours = clock[figure].as_f64().unwrap();
        let (_, theirs) = lines.iter().find(|(percentile, _)| *percentile >= quantile).unwrap();
        // Three significant digits, and the last place of what Java prints.
        assert!((ours - theirs).abs() <= ours * 0.001 + 0.01, "{tag} {figure}: {ours}, {theirs}");
    }
}

#[tokio::test]
async fn the_latency_log_says_what_the_result_says() {
    let database = Database::create().await;
    let args = ["--rate", "1000", "--batch-rows", "10", "--warmup", "1s", "--duration", "3s"];
    let ended = Program::run(&database, &args).end().await;
    let result = ended.done();
    let stream = &result["stream"];
    for (tag, clock) in
        [("wait", "wait"), ("service", "service"), ("response", "response"), ("row", "row_latency")]
    {
        assert_same(&ended, tag, &stream[clock]);
    }
    for query in result["queries"].as_array().unwrap() {
        let tag = format!("query.{}.cpu", query["query"].as_str().unwrap());
        assert_same(&ended, &tag, &query["response"]);
    }
}

#[tokio::test]
async fn the_report_is_saved_while_the_run_goes_on() {
    let database = Database::create().await;
    let args = ["--rate", "100", "--duration", "forever", "--readers", "0", "--warmup", "0s"];
    let mut program = Program::run(&database, &args);
    let saved = program.folder.path().join("work/out/result.json");
    // The first save is before the first row. A file is replaced in one step, so it is always whole.
    let read = || serde_json::from_slice::<Value>(&fs::read(&saved).ok()?).ok();
    let rows = |result: &Value| result["stream"]["rows_acknowledged"].as_i64().unwrap();
    until("a save with rows in it", || read().is_some_and(|result| rows(&result) > 0)).await;
    program.child.kill().await.unwrap();
    let result = read().unwrap();
    assert_eq!(result["status"], "running");
    let acknowledged = result["stream"]["rows_acknowledged"].as_i64().unwrap();
    let found = database.number("SELECT count(*) FROM l40s_realtime_stream").await;
    assert!(0 < acknowledged && acknowledged <= found, "{acknowledged} of {found}");
}

#[tokio::test]
async fn a_benchmark_has_the_outputs_of_a_stream() {
    let (database, folder, titled) = (Database::create().await, scratch(), Titled::start());
    let library = stub(folder.path(), &[]).display().to_string();
    // Two steps, so that a query's name alone would not tell them apart.
    let profile = "[arms.a]\nset = { work_mem = '4MB' }\n[arms.b]\nset = { work_mem = '8MB' }\n\
                   [bench]\n[[bench.queries]]\nname = \"q\"\nsql = \"SELECT pg_sleep(0.02)\"\n\
                   [[bench.steps]]\nname = \"first\"\n[[bench.steps]]\nname = \"second\"\n";
    fs::write(folder.path().join("steps.toml"), profile).unwrap();
    let address = database.address();
    let file = folder.path().join("steps.toml").display().to_string();
    let args = ["run", &file, "--database-url", &address, "--metrics-addr", "127.0.0.1:0"];
    let more = ["--output", "out", "--query-time", "5s", "--pairs-min", "70"];
    let env = [("STROM_LOAD_NVML", &*library), ("NVML_STUB_PID", &titled.pid())];
    let program = Program::start_in(folder, &[&args[..], &more[..]].concat(), &env);
    let said = program.says("metrics at http://").await;
    let endpoint = said.trim_end_matches("/metrics").parse().unwrap();
    let second = "strom_load_queries_total{query=\"second/q\",arm=\"b\"}";
    let body = scrape_with(endpoint, |body| total(body, second) >= 10.0).await;
    assert_clean(&body);
    let count = |name: &str| total(&body, name);
    assert!(count("strom_load_queries_total{query=\"first/q\",arm=\"a\"}") >= 20.0, "{body}");
    assert!(count("strom_load_query_pairs_total") >= 20.0, "{body}");
    assert!(count("strom_load_gpu_utilization_mean_ratio") > 0.0, "{body}");
    assert!(!body.contains("strom_load_target_rows_per_second "), "there is no stream");

    let ended = program.end().await;
    let result = ended.done();
    assert_eq!(result["kind"], "benchmark");
    assert_eq!(result["gpus"]["devices"].as_array().unwrap().len(), 2, "{}", result["gpus"]);
    let saved = |name: &str| fs::read_to_string(ended.work().join("out").join(name)).unwrap();
    // A row for each GPU and second.
    assert!(saved("gpu.csv").lines().count() > 8);
    assert!(saved("summary.md").starts_with("# steps\n"));
    // The log holds what the result counts.
    let log = saved("latency.hlog");
    for tag in ["query.first/q.a", "query.second/q.b"] {
        assert!(log.contains(&format!("Tag={tag},")), "{log}");
    }
    let executions =
        |step: usize| result["steps"][step]["queries"][0]["arms"][0]["executions"].clone();
    assert!(executions(0).as_u64().unwrap() >= 20 && executions(1).as_u64().unwrap() >= 20);
}

/// What fails each time is told once with its query, and once with how often that was.
#[tokio::test]
async fn a_query_that_fails_each_time_does_not_fill_the_log() {
    let database = Database::create().await;
    let folder = crate::support::scratch();
    fs::create_dir(folder.path().join("work")).unwrap();
    let profile = "duration_s = 3\nwarmup_s = 0\n[stream]\nrows_per_s = 100\npartitions = 1\n\
                   [readers]\ncount = 3\n[[readers.queries]]\nname = 'broken'\n\
                   sql = 'SELECT sum(1 / (id - id)) FROM {table}'\n";
    fs::write(folder.path().join("work/p.toml"), profile).unwrap();
    let address = database.address();
    let args = ["run", "p.toml", "--metrics-addr", "off", "--output", "out", "--database-url"];
    let ended = Program::start_in(folder, &[&args[..], &[&address]].concat(), &[]).end().await;
    let errors = &ended.result()["queries"][0]["errors"]["22012"];
    let total = errors.as_u64().unwrap();
    assert!(total > 10, "{total}");
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("broken")).collect();
    let expected = [
        " WARN query `broken` (cpu): failed to run the query: division by zero (SQLSTATE 22012)",
        &format!(" WARN query `broken` (cpu) failed {total} times in all (SQLSTATE 22012)"),
    ];
    assert_eq!(lines, expected, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("WARN").count(), 2, "{}", ended.stderr);
}

/// Why there is no GPU takes one short line; the rest is for those who ask.
#[tokio::test]
async fn why_no_gpu_is_watched_is_one_short_line() {
    let database = Database::create().await;
    let missing = [("STROM_LOAD_NVML", "/nowhere/libnvidia-ml.so.1")];
    let address = database.address();
    let args =
        ["--metrics-addr", "off", "--output", "out", "--database-url", &address, "--duration"];
    let args = [&args[..], &["1s", "--warmup", "0s", "--readers", "0"]].concat();
    let ended = Program::start_in(crate::support::scratch(), &args, &missing).end().await;
    let about: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("GPU")).collect();
    assert_eq!(about, [" INFO GPUs are not watched: there is no NVIDIA driver"]);
    // The result, and -v, say what was tried.
    let why = ended.done()["gpus"]["not_watched"].as_str().unwrap().to_owned();
    assert!(why.contains("/nowhere/libnvidia-ml.so.1"), "{why}");
    let verbose = [&args[..], &["--verbose"]].concat();
    let ended = Program::start_in(crate::support::scratch(), &verbose, &missing).end().await;
    assert!(ended.stderr.contains(&format!("DEBUG {why}")), "{}", ended.stderr);
}

/// A line each second, then the outcome; each key is in the documentation.
#[tokio::test]
async fn progress_for_programs_is_a_line_each_second() {
    let database = Database::create().await;
    let args = ["--rate", "300", "--readers", "1", "--warmup", "1s", "--duration", "2s"];
    let ended = Program::run(&database, &[&args[..], &["--format", "jsonl"]].concat()).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (outcome, progress) = lines.split_last().unwrap();
    assert!(progress.len() >= 2, "{}", ended.stdout);
    let result = ended.result();
    let first = &progress[0];
    let left_s = first["left_s"].as_f64().unwrap() + first["at_s"].as_f64().unwrap();
    assert!((2.9..3.1).contains(&left_s), "{first}");
    assert_eq!((&first["type"], &first["run_id"]), (&"progress".into(), &result["run_id"]));
    assert_eq!(first["target_rows_per_s"], 300.0);
    assert_eq!((&outcome["type"], &outcome["exit_code"]), (&"outcome".into(), &0.into()));
    assert_eq!((&outcome["kind"], &outcome["run_id"]), (&"stream".into(), &result["run_id"]));
    let said = outcome["verdict"].as_str().unwrap();
    // On a slow machine the last batch of so short a run may cost it its rate.
    assert!(said.starts_with("OK  ") || said.starts_with("DONE  "), "{outcome}");
    assert!(said.contains(" rows there · "), "{outcome}");
    assert_eq!((&outcome["status"], &outcome["results"]), (&"done".into(), &"out".into()));
    // What the server did meanwhile is in the result.
    let work = &result["server_work"];
    let is_more = |key: &str| work[key].as_u64().is_some_and(|bytes| bytes > 8_192);
    assert!(is_more("wal_bytes") && is_more("table_bytes"), "{work}");
    // Known where the backends are seen at all, and then they ran, each at most all of the time.
    let (cpu, seen) =
        (&work["backend_cpu_s"], &result["loader"]["machine"]["backends_run_delay_s"]);
    assert_eq!(cpu.is_null(), seen.is_null(), "{work}");
    let most = 3.0 * work["over_s"].as_f64().unwrap();
    assert!(cpu.as_f64().is_none_or(|cpu_s| 0.0 < cpu_s && cpu_s < most), "{work}");
    let (_, described) = crate::docs::document("docs/result.md");
    for key in lines.iter().flat_map(|line| line.as_object().unwrap().keys()) {
        assert!(described.contains(&format!("`{key}`")), "{key}");
    }
}

/// What cannot begin has an outcome too, and so has what cannot even be read: the last line, and the only one.
#[tokio::test]
async fn programs_are_told_of_a_run_that_cannot_begin() {
    let folder = crate::support::scratch();
    let bad = folder.path().join("bad.toml");
    std::fs::write(&bad, "duration_s = \"soon\"\n").unwrap();
    let bad = bad.display().to_string();
    let address = "postgresql://u@127.0.0.1:1/d?connect_timeout=1";
    let away = ["--metrics-addr", "off", "--output", "out", "--database-url", address];
    let several = ["run", "realtime", "realtime", "--duration", "1s", "--cooldown", "0s"];
    let cases: [(&[&str], i32, &str); 6] = [
        (&away, 3, "127.0.0.1"),
        (&["--rate", "many"], 2, "`many` is not a rate"),
        (&["--no-such-flag"], 2, "unexpected argument '--no-such-flag'"),
        (&["run", &bad], 2, "bad.toml:1"),
        (&["--cooldown", "3s", "--database-url", address], 2, "`--cooldown`"),
        (&["faults", "--duration", "forever"], 2, "`--duration` is forever"),
    ];
    for (args, code, why) in cases {
        let ended = Program::start(&[args, &["--format", "jsonl"]].concat()).end().await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let outcome: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&outcome["type"], &outcome["exit_code"]), (&"outcome".into(), &code.into()));
        assert_eq!(outcome["status"], "not_begun");
        assert!(outcome["error"].as_str().unwrap().contains(why), "{outcome}");
        assert!(outcome["verdict"].as_str().unwrap().starts_with("FAIL  "), "{outcome}");
        assert!(ended.stderr.contains(why), "people are told as ever: {}", ended.stderr);
    }
    let ended = Program::start(&[&several[..], &away, &["--format", "jsonl"]].concat()).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |line: &Value| (line["kind"].clone(), line["status"].clone());
    let not_begun = (Value::Null, "not_begun".into());
    let all = [not_begun.clone(), not_begun, ("index".into(), "done".into())];
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), all);
    let said = "FAIL  0 of 2 runs OK · realtime FAIL · realtime FAIL";
    assert_eq!((&lines[2]["verdict"], &lines[2]["exit_code"]), (&said.into(), &3.into()));
}
