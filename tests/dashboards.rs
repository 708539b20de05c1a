//! The dashboards, rules and alerts: our own lint, the metrics that they name, and Prometheus
//! itself, which scrapes a real run and answers every panel's query.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

mod lint;
mod live;
mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use strom_load::metric::{self, MetricKind};

use promql::Name;

/// Metrics that are on no dashboard, each with the reason.
const DELIBERATELY_ABSENT: &[(&str, &str)] = &[];

/// What other programs export and the dashboards and rules use: Prometheus itself,
/// postgres_exporter, and postgres_exporter with deploy/postgres-exporter/queries.yml.
const OF_OTHERS: [&str; 6] = [
    "up",
    "pg_up",
    "pg_database_size_bytes",
    "strom_table_total_bytes",
    "strom_wal_written_bytes_total",
    "strom_wal_folder_bytes",
];

/// A dashboard: its file's name without `.json`, and what is in it.
struct Dashboard {
    name: String,
    json: Value,
}

/// A query of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    /// Dashboard and title, for people.
    place: String,
    expr: String,
    instant: bool,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dashboards() -> Vec<Dashboard> {
    let entries = fs::read_dir(root().join("dashboards")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let mut all: Vec<_> = files.map(|path| Dashboard::read(&path)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = all.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["gpus", "latency", "overview", "queries", "soak"]);
    all
}

impl Dashboard {
    fn read(path: &Path) -> Self {
        let json = serde_json::from_slice(&fs::read(path).unwrap());
        let json = json.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: path.file_stem().unwrap().to_str().unwrap().to_owned(), json }
    }

    /// All panels but the headings.
    fn panels(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["panels"]).filter(|panel| panel["type"] != "row")
    }

    fn place(&self, panel: &Value) -> String {
        format!("{}: {}", self.name, text(&panel["title"]))
    }

    fn targets(&self) -> impl Iterator<Item = Target> {
        self.panels().flat_map(|panel| {
            list(&panel["targets"]).map(|target| Target {
                place: self.place(panel),
                expr: text(&target["expr"]).to_owned(),
                instant: target["instant"] == true,
            })
        })
    }

    fn variables(&self) -> impl Iterator<Item = &Value> {
        list(&self.json["templating"]["list"])
    }

    /// The queries of the variables: `label_values(series, label)`.
    fn variable_queries(&self) -> impl Iterator<Item = (&str, &str)> {
        let queries = self.variables().filter(|variable| variable["type"] == "query");
        queries.map(|variable| {
            let query = text(&variable["query"]["query"]);
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            inner.and_then(|inner| inner.rsplit_once(", ")).unwrap_or_else(|| panic!("{query}"))
        })
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The names that the recording rules make.
fn recorded() -> BTreeSet<String> {
    let rules = fs::read_to_string(root().join("dashboards/rules/recording.yml")).unwrap();
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    names.map(str::to_owned).collect()
}

/// The metric of ours that a name in a query stands for.
fn metric_of(name: &str) -> Option<&'static metric::Metric> {
    metric::ALL.iter().find(|metric| match metric.kind {
        MetricKind::Histogram => {
            let part = name.strip_prefix(metric.name);
            part.is_some_and(|part| ["_bucket", "_sum", "_count"].contains(&part))
        }
        MetricKind::Counter | MetricKind::Gauge => metric.name == name,
    })
}

/// Names in a query that nobody exports or records, and labels that nobody has.
fn unknown_names(expr: &str) -> Vec<String> {
    let recorded = recorded();
    let labels: BTreeSet<_> = metric::LABELS.iter().map(|label| label.name).collect();
    let of_prometheus = ["le", "job", "instance", "datname", "schemaname", "relname"];
    let unknown = promql::names(expr).into_iter().filter(|name| match name {
        Name::Metric { name, .. } => {
            metric_of(name).is_none()
                && !recorded.contains(name)
                && !OF_OTHERS.contains(&name.as_str())
        }
        Name::Label(label) => {
            !labels.contains(label.as_str()) && !of_prometheus.contains(&label.as_str())
        }
    });
    unknown.map(|name| format!("`{name}` in {expr}")).collect()
}

#[test]
fn every_dashboard_keeps_the_rules() {
    let findings: Vec<_> = dashboards().iter().flat_map(lint::findings).collect();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn dashboards_name_only_what_is_exported() {
    let mut unknown = Vec::new();
    for dashboard in dashboards() {
        unknown.extend(dashboard.targets().flat_map(|target| unknown_names(&target.expr)));
        unknown.extend(dashboard.variable_queries().flat_map(|(series, _)| unknown_names(series)));
    }
    assert_eq!(unknown, Vec::<String>::new());
    assert_eq!(unknown_names("sum(rate(strom_load_rows_sent_totl[5s]))").len(), 1);
    assert_eq!(unknown_names("strom_load_batch_wait_seconds").len(), 1, "no part of a histogram");
    assert_eq!(unknown_names("sum by (partitoin) (strom_load_backlog_rows)").len(), 1);
    assert_eq!(unknown_names("strom_load_backlog_rows{partitoin=\"0\"}").len(), 1);
    assert_eq!(unknown_names("sum by (partition) (strom_load_backlog_rows)").len(), 0);
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let mut shown = BTreeMap::<&str, usize>::new();
    for target in dashboards().iter().flat_map(Dashboard::targets) {
        for name in promql::names(&target.expr) {
            if let Name::Metric { name, .. } = name
                && let Some(metric) = metric_of(&name)
            {
                *shown.entry(metric.name).or_default() += 1;
            }
        }
    }
    for metric in metric::ALL {
        let absent = DELIBERATELY_ABSENT.iter().any(|(name, _)| *name == metric.name);
        let place = if absent { "listed as absent and yet" } else { "not" };
        assert!(shown.contains_key(metric.name) != absent, "{} is {place} shown", metric.name);
    }
}

#[test]
fn the_rules_pass_promtool_and_their_tests() {
    let promtool = |folder: &str, args: &[&str]| {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(root().join(folder))
            .output()
            .unwrap_or_else(|error| panic!("`promtool` (Debian: prometheus) is needed: {error}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(output.status.success(), "{args:?}\n{said}");
        said
    };
    let said = promtool("dashboards/rules", &["check", "rules", "recording.yml", "alerts.yml"]);
    assert!(said.contains("SUCCESS: 6 rules") && said.contains("SUCCESS: 16 rules"), "{said}");
    promtool("dashboards/rules", &["test", "rules", "tests.yml"]);
    // Each alert is fired by a test.
    let read = |name| fs::read_to_string(root().join("dashboards/rules").join(name)).unwrap();
    let (alerts, tests) = (read("alerts.yml"), read("tests.yml"));
    for line in alerts.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let named = |part: &str| part.lines().next().unwrap().trim() == alert;
            let mut cases = tests.split("- alertname: ").skip(1).filter(|part| named(part));
            assert!(cases.any(|case| case.contains("exp_labels:")), "{alert} is never fired");
        }
    }
    // The rules lie in rules/ beside the configuration, as docker-compose.yml mounts them.
    let mounted = tempfile::tempdir().unwrap();
    let config = mounted.path().join("prometheus.yml");
    fs::copy(root().join("deploy/prometheus/prometheus.yml"), &config).unwrap();
    let rules = root().join("dashboards/rules");
    std::os::unix::fs::symlink(rules, mounted.path().join("rules")).unwrap();
    promtool(".", &["check", "config", config.to_str().unwrap()]);
}
