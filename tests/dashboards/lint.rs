//! Rules for dashboards that people can rely on. Each is shown to find something.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::promql::{self, Name};
use super::{Dashboard, list, text};

/// Units of Grafana that are used here, by its identifiers.
const UNITS: [&str; 15] = [
    "Bps",
    "bytes",
    "celsius",
    "cps",
    "hertz",
    "joule",
    "none",
    "percentunit",
    "reqps",
    "rowsps",
    "s",
    "short",
    "watt",
    "ms",
    "dateTimeAsIso",
];
const KINDS: [&str; 5] = ["heatmap", "stat", "table", "timeseries", "state-timeline"];
/// Variables of Grafana itself.
const BUILT_IN: [&str; 3] = ["__rate_interval", "__interval", "__range"];
const COLUMNS: i64 = 24;

/// What is wrong with a dashboard.
pub(super) fn findings(dashboard: &Dashboard) -> Vec<String> {
    let mut found = whole(dashboard);
    found.extend(places(dashboard));
    for panel in dashboard.panels() {
        let place = dashboard.place(panel);
        found.extend(of_panel(dashboard, panel).into_iter().map(|what| format!("{place}: {what}")));
    }
    found
}

/// Identity and variables.
fn whole(dashboard: &Dashboard) -> Vec<String> {
    let Dashboard { name, json } = dashboard;
    let mut found = Vec::new();
    let mut rule = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{name}: {what}"));
        }
    };
    rule(json["schemaVersion"].as_i64() >= Some(39), "the schema is older than Grafana 11");
    rule(json["uid"] == format!("strom-load-{name}"), "the uid is not that of its file");
    rule(text(&json["title"]).starts_with("strom-load / "), "the title does not say whose it is");
    rule(text(&json["description"]).ends_with('.'), "it has no description");
    rule(list(&json["tags"]).any(|tag| tag == "strom-load"), "it lacks the tag strom-load");
    let of_name = |name: &str| dashboard.variables().find(|variable| variable["name"] == name);
    rule(
        of_name("datasource")
            .is_some_and(|v| v["type"] == "datasource" && v["query"] == "prometheus"),
        "the data source is no variable",
    );
    for name in ["job", "instance"] {
        rule(of_name(name).is_some_and(|v| v["type"] == "query"), "job or instance is no variable");
    }
    for variable in dashboard.variables() {
        rule(text(&variable["description"]).ends_with('.'), "a variable has no description");
        if variable["type"] == "query" {
            rule(is_templated(variable), "a variable has a data source of its own");
            rule(variable["includeAll"] == true, "a variable cannot be left open");
        }
    }
    found
}

fn is_templated(of: &Value) -> bool {
    of["datasource"] == json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// Ids and the grid.
fn places(dashboard: &Dashboard) -> Vec<String> {
    let (mut found, mut ids) = (Vec::new(), BTreeSet::new());
    let mut cells = BTreeSet::new();
    for panel in list(&dashboard.json["panels"]) {
        let place = dashboard.place(panel);
        if !ids.insert(panel["id"].as_i64()) || panel["id"].as_i64() < Some(1) {
            found.push(format!("{place}: its id is not its own"));
        }
        let number = |key: &str| panel["gridPos"][key].as_i64().unwrap_or(-1);
        let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
        if x < 0 || y < 0 || w < 1 || h < 1 || x + w > COLUMNS {
            found.push(format!("{place}: it does not lie on the grid"));
        }
        let mut own = (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line)));
        if !own.all(|cell| cells.insert(cell)) {
            found.push(format!("{place}: it lies over another panel"));
        }
    }
    found
}

fn of_panel(dashboard: &Dashboard, panel: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rule = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    rule(!text(&panel["title"]).is_empty(), "it has no title");
    rule(text(&panel["description"]).ends_with('.'), "it has no description");
    rule(KINDS.contains(&text(&panel["type"])), "its kind is not one that we know");
    let unit = text(&panel["fieldConfig"]["defaults"]["unit"]);
    rule(UNITS.contains(&unit), "its unit is not one of Grafana's that we use");
    for of_override in list(&panel["fieldConfig"]["overrides"]) {
        let units = list(&of_override["properties"]).filter(|property| property["id"] == "unit");
        for property in units {
            rule(UNITS.contains(&text(&property["value"])), "an override's unit is not known");
        }
    }
    rule(is_templated(panel), "its data source is not the variable");
    rule(list(&panel["targets"]).count() > 0, "it asks nothing");
    let mut letters = BTreeSet::new();
    for target in list(&panel["targets"]) {
        rule(is_templated(target), "a query's data source is not the variable");
        rule(letters.insert(text(&target["refId"])), "two queries have one letter");
        let expr = text(&target["expr"]);
        for call in ["rate(", "irate("] {
            for (at, _) in expr.match_indices(call) {
                // `rate(` is the end of `irate(`.
                let (inside, _) = expr[at..].split_once(']').unwrap_or_default();
                let window = inside.rsplit_once('[').map_or("", |(_, window)| window);
                rule(window == "$__rate_interval", "a rate is not over $__rate_interval");
            }
        }
        for name in promql::names(expr) {
            if let Name::Metric { name, selector } = name
                && (name.contains("strom_load_") || name.starts_with("process_"))
            {
                let chosen = selector.contains("job=~\"$job\", instance=~\"$instance\"");
                rule(chosen, "a metric is not chosen by job and instance");
            }
        }
        for (at, _) in expr.match_indices('$') {
            let word = expr[at + 1..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let word = word.into_iter().next().unwrap_or_default();
            let known = BUILT_IN.contains(&word)
                || dashboard.variables().any(|variable| variable["name"] == word);
            rule(known, "it uses a variable that is not there");
        }
    }
    found
}

/// A dashboard without a fault, from which the test makes faulty ones.
fn sample() -> Dashboard {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let query = |name: &str| {
        json!({ "name": name, "type": "query", "description": "One.", "includeAll": true,
                "datasource": source })
    };
    let panel = |id: i64, x: i64| {
        json!({
            "id": id, "type": "timeseries", "title": "A", "description": "B.",
            "datasource": source, "gridPos": { "x": x, "y": 0, "w": 12, "h": 8 },
            "fieldConfig": { "defaults": { "unit": "s" }, "overrides": [] },
            "targets": [{ "refId": "A", "datasource": source, "expr":
                "rate(strom_load_rows_sent_total{job=~\"$job\", instance=~\"$instance\"}\
                 [$__rate_interval])" }]
        })
    };
    let json = json!({
        "schemaVersion": 39, "uid": "strom-load-sample", "title": "strom-load / Sample",
        "description": "A sample.", "tags": ["strom-load"],
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus",
              "description": "One." },
            query("job"), query("instance"),
        ] },
        "panels": [panel(1, 0), panel(2, 12)],
    });
    Dashboard { name: "sample".to_owned(), json }
}

#[test]
fn each_rule_finds_its_fault() {
    assert_eq!(findings(&sample()), Vec::<String>::new());
    let target = "/panels/1/targets/0/expr";
    let faults = [
        ("/schemaVersion", json!(38), "older than Grafana 11"),
        ("/uid", json!("other"), "not that of its file"),
        ("/templating/list/0/type", json!("custom"), "the data source is no variable"),
        ("/templating/list/1/name", json!("jobs"), "job or instance is no variable"),
        ("/templating/list/2/datasource/uid", json!("abc"), "data source of its own"),
        ("/panels/1/id", json!(1), "its id is not its own"),
        ("/panels/1/gridPos/x", json!(11), "it lies over another panel"),
        ("/panels/1/gridPos/w", json!(13), "it does not lie on the grid"),
        ("/panels/1/description", json!(""), "it has no description"),
        ("/panels/1/fieldConfig/defaults/unit", json!("seconds"), "its unit is not one"),
        ("/panels/1/datasource/uid", json!("abc"), "its data source is not the variable"),
        ("/panels/1/targets", json!([]), "it asks nothing"),
        (target, json!("rate(up[5m])"), "not over $__rate_interval"),
        (target, json!("strom_load_backlog_rows"), "not chosen by job and instance"),
        (target, json!("up{instance=\"$server\"}"), "a variable that is not there"),
    ];
    for (at, value, what) in faults {
        let mut faulty = sample();
        *faulty.json.pointer_mut(at).unwrap() = value;
        let found = findings(&faulty);
        assert!(found.iter().any(|finding| finding.contains(what)), "{at}: {found:?}");
    }
}
