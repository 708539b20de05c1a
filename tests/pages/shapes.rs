//! Shapes of results that no committed run has: arms with the GPU off and on, a ratio that grows with the
//! table, tables of several sizes, a sweep of two settings.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use super::{faults, fixtures, leave, page_of};
use crate::results::kinds;
use crate::support::scratch;

/// The page, called `shape`, of a committed folder whose result is changed before.
fn page_after(
    shape: &str,
    name: &str,
    change: impl Fn(&mut Value),
    executions: Option<&str>,
) -> String {
    let folder = scratch();
    kinds::copy(&fixtures().join(name), folder.path());
    let file = folder.path().join("result.json");
    let mut saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut saved);
    fs::write(file, saved.to_string()).unwrap();
    if let Some(text) = executions {
        fs::write(folder.path().join("executions.csv"), text).unwrap();
    }
    let page = page_of(folder.path());
    leave(shape, &page);
    assert_eq!(faults(&page), Vec::<String>::new(), "{shape}");
    page
}

/// Two arms compared, with this verdict and interval.
fn times(verdict: &str, ratio: f64, interval: Option<(f64, f64)>) -> Value {
    json!({
        "verdict": verdict, "median_a_ns": 5e8, "median_b_ns": 5e8 / ratio, "ratio": ratio,
        "low": interval.map(|own| own.0), "high": interval.map(|own| own.1),
        "ratio_of_medians": ratio, "course": null, "confidence": 0.95, "pairs": 40, "pairs_min": 30,
        "effective_pairs": 20.0, "autocorrelation_time": 2.0, "evidence": 5.0, "evidence_needed": 4.0,
    })
}

/// The query `name` in two arms, as a stream's readers asked it.
fn asked(saved: &mut Value, name: &str, on_gpu: bool, comparison: &Value) {
    let mut query = saved["queries"][0].clone();
    query["query"] = json!(name);
    for arm in ["off", "on"] {
        (query["arm"], query["gpu"]) = (json!(arm), json!(arm));
        query["plan"]["executed"] = json!([]);
        let proof = if arm == "on" && on_gpu { "gpu" } else { "cpu" };
        query["plan"]["evidence"]["verdict"] = json!(proof);
        saved["queries"].as_array_mut().unwrap().push(query.clone());
    }
    let mut pair = saved["comparisons"][0].clone();
    (pair["query"], pair["arms"], pair["tried"]) = (json!(name), json!(["off", "on"]), Value::Null);
    pair.as_object_mut().unwrap().extend(comparison.as_object().unwrap().clone());
    saved["comparisons"].as_array_mut().unwrap().push(pair);
}

#[test]
fn ratios_are_marked_by_what_is_shown() {
    let mut growing = times("faster", 2.7, Some((2.5, 2.9)));
    let at = |rows: u64, ratio: f64| json!({ "rows": rows, "ratio": ratio, "low": ratio * 0.9, "high": ratio * 1.1 });
    growing["by_rows"] = json!({
        "exponent": 0.3, "low": 0.2, "high": 0.4, "first": at(1_000_000, 2.1), "last": at(6_000_000, 3.4),
    });
    let tried = json!({
        "arms": [{ "after_s": 12.0, "cut": true }, { "after_s": 0.7, "cut": false }],
        "ratio": 17.1, "known": "at_least",
    });
    let mut executions =
        "reader,block,start_s,service_ns,sample,sqlstate,rows,query,arm\n".to_owned();
    for block in 0..30 {
        let (start, rows) = (f64::from(block) * 0.1, 1_000_000 + block * 170_000);
        writeln!(executions, "0,{block},{start},30000000,1,,{rows},grows,off").unwrap();
        writeln!(executions, "0,{block},{start},10000000,1,,{rows},grows,on").unwrap();
    }
    let page = page_after(
        "ratios",
        "compared",
        |saved| {
            saved["server"]["pg_strom_loaded"] = json!(true);
            asked(saved, "grows", true, &json!({ "times": growing }));
            let slower = times("slower", 0.6, Some((0.55, 0.64)));
            asked(saved, "slower", false, &json!({ "times": slower }));
            let open = times("no_difference_shown", 1.1, Some((0.9, 1.3)));
            asked(saved, "open", true, &json!({ "times": open }));
            let few = times("too_few_pairs", 3.2, None);
            asked(saved, "few", true, &json!({ "times": few }));
            asked(saved, "bound", true, &json!({ "times": null, "tried": tried }));
            let (queries, pairs) = (saved["queries"].clone(), saved["comparisons"].clone());
            let own = |all: &Value, name: &str| -> Vec<Value> {
                let all = all.as_array().unwrap().iter();
                all.filter(|own| own["query"] != json!(name)).cloned().collect()
            };
            saved["queries"] = json!(own(&json!(own(&queries, "sums")), "planted"));
            saved["comparisons"] = json!(own(&json!(own(&pairs, "sums")), "planted"));
        },
        Some(&executions),
    );
    for (what, shown) in [
        ("the question", "Does the GPU make the queries faster?"),
        ("what is shown", "Shown to be faster with on: grows; slower: slower."),
        ("a filled dot", "<circle class=\"fon\""),
        ("a ring", "<circle class=\"hgrey\""),
        ("a bound", "≥\u{a0}17.1"),
        ("a plan that is not on the GPU", "class=\"hl\""),
        (
            "the ratio over the table",
            "the ratio grows with the table, from 2.10 at 1 M rows to 3.40 at 6 M",
        ),
        ("each pair of it", "class=\"dots\""),
        ("executions that are off", "class=\"xoff\""),
        ("and on", "class=\"xon\""),
        ("the proof", "4 of 5 queries"),
        ("what to do", "<b>Bring slower to the GPU.</b>"),
    ] {
        assert!(page.contains(shown), "{what}: {shown}");
    }
}

#[test]
fn sizes_say_from_where_on_an_arm_wins() {
    let page = page_after(
        "sizes",
        "benchmark",
        |saved| {
            let (table, step) = (saved["tables"][0].clone(), saved["steps"][0].clone());
            let (mut tables, mut steps) = (Vec::new(), Vec::new());
            for (rows, off_ms, on_ms) in [(1_000_000, 30.0, 120.0), (50_000_000, 1_500.0, 1_000.0)]
            {
                let (mut table, mut step) = (table.clone(), step.clone());
                let name = format!("sales_{rows}");
                (table["table"], table["rows"]) = (json!(name), json!(rows));
                (step["table"], step["name"]) = (json!(name), json!(name));
                let mut query = step["queries"][0].clone();
                for (arm, (name, ms)) in [("off", off_ms), ("on", on_ms)].into_iter().enumerate() {
                    let own = &mut query["arms"][arm];
                    (own["arm"], own["gpu"], own["median_ms"]) =
                        (json!(name), json!(name), json!(ms));
                }
                step["queries"] = json!([query]);
                tables.push(table);
                steps.push(step);
            }
            (saved["tables"], saved["steps"]) = (json!(tables), json!(steps));
        },
        None,
    );
    assert!(page.contains("by the medians on takes less time than off from 50 M rows on"));
    assert!(page.contains("id=\"c-size-0-w"), "a chart");
}

#[test]
fn two_settings_make_a_map() {
    let page = page_after(
        "settings",
        "sweep",
        |saved| {
            let sweep = &mut saved["sweep"];
            let mut other = sweep["settings"][0].clone();
            other["name"] = json!("jit");
            sweep["settings"].as_array_mut().unwrap().push(other);
            let cell = sweep["queries"][0]["combinations"][0].clone();
            let (mut combinations, mut cells) = (Vec::new(), Vec::new());
            for (at, (memory, jit)) in
                [("1MB", "on"), ("1MB", "off"), ("8MB", "on"), ("8MB", "off")]
                    .into_iter()
                    .enumerate()
            {
                combinations.push(json!([
                    { "name": "work_mem", "value": memory }, { "name": "jit", "value": jit },
                ]));
                let mut cell = cell.clone();
                let ms = 10.0 * (at + 1) as f64;
                (cell["median_ms"], cell["low_ms"], cell["high_ms"]) =
                    (json!(ms), json!(ms * 0.9), json!(ms * 1.1));
                cell["may_be_best"] = json!(at == 0);
                cell["valid"] = json!(at != 3);
                cells.push(cell);
            }
            sweep["combinations"] = json!(combinations);
            let query = &mut sweep["queries"][0];
            (query["combinations"], query["best"]) = (json!(cells), json!(0));
            query["may_be_best"] = json!([0]);
        },
        None,
    );
    for shown in
        ["Best is work_mem = 1MB, jit = on, alone.", "jit ↓ work_mem →", "INVALID", "heat k5"]
    {
        assert!(page.contains(shown), "{shown}");
    }
}

/// Executions of three queries by four readers over eight seconds, with old answers from the fourth to the
/// fifth.
fn overlapping() -> String {
    let mut executions =
        "reader,block,start_s,service_ns,sample,sqlstate,rows,answer_age_ms,query,arm\n".to_owned();
    for at in 0..400_u32 {
        let (reader, query) = (at % 4, ["newest", "totals, by hour", "top"][at as usize % 3]);
        let start_s = f64::from(at) * 0.02;
        let age_ms = 40.0 + f64::from(at * 7_919 % 100) + if at / 40 == 5 { 900.0 } else { 0.0 };
        let ms = 30 + at * 31 % 60;
        let line = format!("{reader},{at},{start_s},{ms}000000,0,,,{age_ms},\"{query}\",cpu\n");
        executions.push_str(&line);
    }
    executions
}

/// What a loader wrote after its last result, before it was killed, is no part of what is drawn.
#[test]
fn of_a_loader_that_was_killed_all_charts_end_at_once() {
    let killed = |seconds: usize| {
        page_after(
            "killed",
            "faults",
            |saved| {
                let stream = fs::read(fixtures().join("stream/result.json")).unwrap();
                let stream: Value = serde_json::from_slice(&stream).unwrap();
                saved["queries"] = stream["queries"].clone();
                saved["status"] = json!("running");
                saved["stream"]["measured"]["rows_due"] = json!(0);
                saved["gpus"]["devices"] = json!([]);
                saved["intervals"].as_array_mut().unwrap().truncate(seconds);
            },
            Some(&overlapping()),
        )
    };
    let page = killed(2);
    for shown in ["No row was due in the measurement.", "When did the queries run?"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("exit code"), "it has none yet");
    assert!(page.contains("139 ms old") && !page.contains("1.04 s old"));
    assert!(killed(6).contains("1.04 s old"));
}

/// Several readers at once, ages over time, and faults until the end: names stay within a phone's width.
#[test]
fn readers_overlap_and_answers_age() {
    let page = page_after(
        "readers",
        "faults",
        |saved| {
            let stream = fs::read(fixtures().join("stream/result.json")).unwrap();
            let stream: Value = serde_json::from_slice(&stream).unwrap();
            saved["queries"] = stream["queries"].clone();
            let outages = saved["stream"]["outages"].as_array_mut().unwrap();
            let own = outages[0].clone();
            for start_s in [3.0, 5.0, 7.6] {
                let mut own = own.clone();
                (own["start_s"], own["length_s"]) = (json!(start_s), json!(0.31));
                outages.push(own);
            }
        },
        Some(&overlapping()),
    );
    for (what, shown) in [
        ("each query's ages", "age of the answers of totals, by hour"),
        ("the oldest", "1.04 s old, of top (cpu)"),
        ("the second line of a query that overlaps with itself", "-0-1-0\" class=\"xfg\""),
    ] {
        assert!(page.contains(shown), "{what}: {shown}");
    }
}
