//! The documents say what the program does: tables are generated from the code, and a real run's
//! metrics and result hold nothing that is not described.
//!
//! `UPDATE_DOCS=1 cargo test --test main docs::` writes the generated parts anew.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

mod profile;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::CommandFactory;
use serde_json::Value;

use strom_load::cli::Cli;
use strom_load::doctor::advice;
use strom_load::exit;
use strom_load::metric::{self, Bound, LABELS, Label, Metric, MetricKind};
use strom_load::pg::fault::{RULES, Rule};
use strom_load::plan::Setting;
use strom_load::result::figure::FIGURES;
use strom_load::strom::hint::HINTS;

use crate::gpus::{Titled, stub};
use crate::support::scratch;

/// Written on an error only, or by a run that a test does not make.
const NOT_IN_A_CLEAN_RUN: [Metric; 3] =
    [metric::STREAM_ERRORS, metric::ATTEMPTS_FAILED, metric::QUERY_ERRORS];

pub(crate) fn document(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = fs::read_to_string(&path).unwrap_or_default();
    (path, text)
}

/// Compares the part of a document between its markers with what the code says.
fn check_part(document_name: &str, part: &str, generated: &str) {
    let (begin, end) = (format!("<!-- {part}: generated -->\n"), format!("<!-- {part}: end -->"));
    check_between(document_name, part, [&begin, &end], &format!("\n{generated}\n"));
}

/// The same for a document with markers of its own.
fn check_between(document_name: &str, part: &str, [begin, end]: [&str; 2], generated: &str) {
    let (path, text) = document(document_name);
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| {
        panic!("{document_name} has no line `{}`", begin.trim_end());
    });
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}{generated}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "the {part} in {document_name} are not what the code says\n  fix: UPDATE_DOCS=1 \
             cargo test --test main docs::"
        );
    }
}

fn label(name: &str) -> &'static Label {
    LABELS.iter().find(|label| label.name == name).unwrap()
}

/// How many values a label has, as a factor; empty for one that multiplies nothing.
fn factor(label: &Label) -> String {
    match label.bound {
        Bound::Fixed(1) | Bound::Implied => String::new(),
        Bound::Fixed(count) => count.to_string(),
        Bound::PerRun(letter) => letter.to_owned(),
    }
}

fn series(metric: &Metric) -> String {
    let factors = metric.labels.iter().map(|name| factor(label(name)));
    let mut factors: Vec<String> = factors.filter(|factor| !factor.is_empty()).collect();
    if metric.kind == MetricKind::Histogram {
        // Its buckets, the one without a bound, the sum and the count.
        factors.push((metric.buckets_s().len() + 3).to_string());
    }
    if factors.is_empty() { "1".to_owned() } else { factors.join(" × ") }
}

/// The number of series of all metrics together, without errors.
fn series_of(partitions: usize, query_arms: usize, queries: usize, gpus: usize) -> usize {
    let count = |metric: &Metric| {
        let of = |name: &&str| match label(name).bound {
            Bound::Implied => 1,
            Bound::Fixed(count) => count as usize,
            Bound::PerRun("P") => partitions,
            Bound::PerRun("Q") if metric.labels.contains(&"arm") => 1,
            Bound::PerRun("Q") => queries,
            Bound::PerRun("A") => query_arms,
            Bound::PerRun(_) => gpus,
        };
        let histogram =
            if metric.kind == MetricKind::Histogram { metric.buckets_s().len() + 3 } else { 1 };
        metric.labels.iter().map(of).product::<usize>() * histogram
    };
    metric::ALL.iter().filter(|m| !m.labels.contains(&"sqlstate")).map(count).sum()
}

#[test]
fn the_table_of_metrics_is_current() {
    let mut table =
        "| metric | kind | labels | series | meaning |\n|---|---|---|---|---|\n".to_owned();
    for metric in metric::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            format!("{:?}", metric.kind).to_lowercase(),
            labels.join(", "),
            series(metric),
            metric.help,
        );
    }
    check_part("docs/metrics.md", "metrics", &table);
    let mut table = "| label | values | how many |\n|---|---|---|\n".to_owned();
    for label in LABELS {
        let many = match label.bound {
            Bound::Implied => "one for each value of the others".to_owned(),
            Bound::Fixed(count) => count.to_string(),
            Bound::PerRun(letter) => letter.to_owned(),
        };
        let _ = writeln!(table, "| `{}` | {} | {many} |", label.name, label.values);
    }
    check_part("docs/metrics.md", "labels", &table);
    let mut table = "| run | series |\n|---|---|\n".to_owned();
    for (run, [partitions, query_arms, queries, gpus]) in [
        ("3 partitions, 5 queries, no PG-Strom, no GPU", [3, 5, 5, 0]),
        ("3 partitions, 5 queries in two arms, 1 GPU", [3, 10, 5, 1]),
        ("32 partitions, 20 queries in two arms, 8 GPUs", [32, 40, 20, 8]),
    ] {
        let count = series_of(partitions, query_arms, queries, gpus);
        let _ = writeln!(table, "| {run} | {count} |");
    }
    check_part("docs/metrics.md", "sizes", &table);
}

#[test]
fn the_table_of_options_is_current() {
    let command = Cli::command();
    let mut table = "| option | variable | key | meaning |\n|---|---|---|---|\n".to_owned();
    for arg in command.get_arguments().filter(|arg| arg.get_help_heading().is_some()) {
        let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
        let optional = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
        let value = value.map_or_else(String::new, |names| match optional {
            true => format!("[=<{}>]", names[0]),
            false => format!(" <{}>", names[0]),
        });
        let variable = arg.get_env().map_or_else(String::new, |env| format!("`{}`", env.display()));
        let mut help = arg.get_help().unwrap().to_string();
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|d| d.display().to_string()).collect();
        if !defaults.is_empty() && !help.contains("[default: ") && arg.get_action().takes_values() {
            let _ = write!(help, " [default: {}]", defaults.join(" "));
        }
        let choices: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if !choices.is_empty() && arg.get_action().takes_values() {
            let _ = write!(help, " [{}]", choices.join(", "));
        }
        // Profile names in angle brackets would be taken for HTML.
        let help = help.replace('<', "&lt;").replace('|', "\\|");
        let option = format!("--{}", arg.get_long().unwrap());
        let keys = Setting::of_flag(&option).map_or(&[][..], |setting| setting.keys);
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(table, "| `{option}{value}` | {variable} | {keys} | {help} |");
    }
    check_part("docs/options.md", "options", &table);
}

#[test]
fn the_table_of_sqlstates_is_current() {
    let mut table = "| SQLSTATE | remedy | what happened |\n|---|---|---|\n".to_owned();
    for Rule { code, remedy, meaning } in RULES {
        let code = if code.len() == 2 { format!("{code}…") } else { (*code).to_owned() };
        let _ = writeln!(table, "| `{code}` | {} | {meaning} |", remedy.name());
    }
    let _ = writeln!(table, "| others | fatal | reconnect if the session was lost with it |");
    check_part("docs/delivery.md", "sqlstates", &table);
}

#[test]
fn the_table_of_advice_is_current() {
    let mut table = "| id | what was found |\n|---|---|\n".to_owned();
    for (id, about) in advice::ALL {
        let _ = writeln!(table, "| `{id}` | {about} |");
    }
    check_part("docs/doctor.md", "advice", &table);
}

#[test]
fn the_table_of_what_figures_advise_is_current() {
    let mut table = "| id | what was found | `doctor` says it too |\n|---|---|---|\n".to_owned();
    for (id, about) in strom_load::result::advice::ALL {
        let shared = advice::ALL.iter().find(|(own, _)| own == id);
        let _ =
            writeln!(table, "| `{id}` | {about} | {} |", if shared.is_some() { "yes" } else { "" });
    }
    check_part("docs/advice.md", "advice", &table);
}

#[test]
fn the_table_of_hints_is_current() {
    let mut table = "\n| the query has | what helps | known from |\n|---|---|---|\n".to_owned();
    for hint in HINTS {
        let _ = writeln!(table, "| {} | {} | {} |", hint.cause, hint.fix, hint.source);
    }
    table.push('\n');
    check_part("docs/gpu-truth.md", "hints", &table);
}

#[test]
fn the_table_of_figures_is_current() {
    let mut table = "| figure | of | what it says |\n|---|---|---|\n".to_owned();
    for figure in FIGURES {
        let kinds = match figure.kinds() {
            kinds if kinds.len() == 4 => "every job".to_owned(),
            kinds => kinds.join(", "),
        };
        let at_end = if figure.at_end { "; known at the end" } else { "" };
        let _ = writeln!(table, "| `{}` | {kinds} | {}{at_end} |", figure.name, figure.help);
    }
    check_part("docs/thresholds.md", "figures", &table);
}

#[test]
fn the_exit_codes_are_current() {
    let help = exit::help();
    for document in ["README.md", "docs/operations.md"] {
        check_part(document, "exit codes", &format!("```\n{help}\n```\n"));
    }
    let comment: Vec<String> = help.lines().map(|line| format!("# {line}")).collect();
    check_between(
        "deploy/kubernetes/job.yaml",
        "exit codes",
        ["# exit codes: generated\n", "# exit codes: end"],
        &format!("{}\n", comment.join("\n")),
    );
    // `--help` prints the same.
    let long = Cli::command().render_long_help().to_string();
    assert!(long.contains(&help), "{long}");
}

/// A short run of the program, with fake GPUs: the last scrape that saw the measurement, and the result.
fn short_run() -> (String, Value) {
    let (folder, titled) = (scratch(), Titled::start());
    // With two arms, as a server without PG-Strom has none to compare.
    let realtime = strom_load::plan::builtin("realtime").unwrap().text;
    let arms = "[arms.base]\nset = { enable_sort = true }\n[arms.other]\nset = {}\n";
    let profile = folder.path().join("compared.toml");
    fs::write(&profile, format!("{realtime}\n\n{arms}")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_strom-load"))
        .arg("run")
        .arg(&profile)
        .args(["--rate", "600", "--warmup", "1s", "--duration", "4s", "--query-rate", "8"])
        .args(["--threshold", "rate_ratio > 0", "--metrics-addr", "127.0.0.1:0", "--output"])
        .arg(folder.path().join("result"))
        .args(["--gpu-interval", "50ms", "--gpu-pcie"])
        .env("STROM_LOAD_NVML", stub(folder.path(), &[]))
        .env("NVML_STUB_PID", titled.pid())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(process.stderr.take().unwrap());
    let (mut all, mut line) = (String::new(), String::new());
    let mut scrape = String::new();
    while said.read_line(&mut line).unwrap() > 0 {
        all.push_str(&line);
        if let Some((_, address)) = line.trim_end().split_once("metrics at http://") {
            let address = address.trim_end_matches("/metrics").to_owned();
            scrape = last_scrape(&address);
        }
        line.clear();
    }
    // A busy machine may keep the loader from its rate: that is code 6.
    let code = process.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 6)), "{code:?} {all}");
    let result = fs::read(folder.path().join("result/result.json")).unwrap();
    (scrape, serde_json::from_slice(&result).unwrap())
}

/// Scrapes until the endpoint is gone; the last full answer.
fn last_scrape(address: &str) -> String {
    let mut last = String::new();
    while let Ok(mut stream) = TcpStream::connect(address) {
        let mut answer = String::new();
        let request = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let asked = stream.write_all(request.as_bytes());
        if asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok()
            && let Some((_, body)) = answer.split_once("\r\n\r\n")
        {
            body.clone_into(&mut last);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    last
}

/// Names and label names of a scrape; a histogram's parts count as the histogram.
fn families(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families = BTreeMap::new();
    for line in scrape.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let mut labels: BTreeSet<String> = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
            .collect();
        labels.remove("le");
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        families.insert(whole.to_owned(), labels);
    }
    families
}

#[test]
fn a_run_emits_the_metrics_of_the_table_and_saves_a_result_that_is_described() {
    let (scrape, result) = short_run();
    let emitted = families(&scrape);
    for (name, labels) in &emitted {
        let metric = metric::ALL.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("`{name}` is not in the table"));
        let known: BTreeSet<_> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(*labels, known, "{name}");
    }
    for metric in metric::ALL.iter().filter(|metric| !NOT_IN_A_CLEAN_RUN.contains(metric)) {
        assert!(emitted.contains_key(metric.name), "`{}` was not emitted", metric.name);
    }
    let (_, described) = document("docs/result.md");
    let mut keys = BTreeSet::new();
    collect_keys(&result, "", &mut keys);
    assert!(keys.len() > 80, "{}", keys.len());
    let missing: Vec<_> =
        keys.iter().filter(|key| !described.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/result.md does not name {missing:#?}");
}

/// Paths of keys, such as `stream.partitions[].rows_due`.
pub(crate) fn collect_keys(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            // Names of settings, SQLSTATEs and reasons are data.
            let is_data = path == "server.settings"
                || path.ends_with("errors")
                || path.ends_with("throttled_s");
            // The plan is a profile, and profile.schema.json describes that.
            if is_data || path == "plan" {
                return;
            }
            // Percentiles and histograms are described once.
            let is_times = object.contains_key("p50_ms") || object.contains_key("hdr_v2_deflate");
            for (key, value) in object {
                let key = match (path, is_times) {
                    (_, true) | ("", _) => key.clone(),
                    _ => format!("{path}.{key}"),
                };
                collect_keys(value, &key, keys);
                keys.insert(key);
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|value| collect_keys(value, &format!("{path}[]"), keys));
        }
        _ => {}
    }
}

#[test]
fn a_key_and_a_metric_that_nobody_described_would_be_found() {
    let mut keys = BTreeSet::new();
    let sample = serde_json::json!({
        "a": [{ "b": 1 }], "wait": { "p50_ms": 1.0, "count": 2 }, "errors": { "57014": 1 }
    });
    collect_keys(&sample, "", &mut keys);
    assert_eq!(
        keys.into_iter().collect::<Vec<_>>(),
        ["a", "a[].b", "count", "errors", "p50_ms", "wait"]
    );
    let scrape = "# HELP x y\nx_bucket{a=\"1,2\",le=\"0.1\"} 3\ny_total 4\n";
    let found = families(scrape);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["x", "y_total"]);
    assert_eq!(found["x"], BTreeSet::from(["a".to_owned()]));
}
