//! `report.html`: each page is whole, asks nothing of the network, says what its result says, and shows
//! whatever is named in a result as text.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

#[path = "pages/day.rs"]
mod day;
#[path = "pages/markup.rs"]
mod markup;
#[path = "pages/shapes.rs"]
mod shapes;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strom_load::report;
use strom_load::result::{self, Saved};
use strom_load::series;

use crate::results::kinds::{self, fixtures};
use crate::support::{Database, Program, scratch};
use markup::{Element, figures, parse};

/// Where pages are left to be looked at: a folder.
fn leave(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("STROM_LOAD_TEST_PAGES") {
        fs::write(Path::new(&folder).join(format!("{name}.html")), page).unwrap();
    }
}

/// The committed folders of one job each, and where its result lies.
const JOBS: [&str; 8] = [
    "stream",
    "compared",
    "benchmark",
    "sweep",
    "faults",
    "running",
    "several/01-first",
    "several/02-second",
];

/// What a page says of files that are not whole.
fn torn(page: &str) -> Vec<String> {
    let notes = page.split("<p class=\"warn\">").skip(1);
    let notes = notes.filter_map(|rest| rest.split("</p>").next());
    notes.filter(|note| note.contains("is not whole")).map(str::to_owned).collect()
}

#[test]
fn of_a_torn_file_the_rest_is_shown_and_what_is_missing_is_told() {
    for job in JOBS {
        assert_eq!(torn(&page_of(&fixtures().join(job))), Vec::<String>::new(), "{job}");
    }
    let folder = scratch();
    let own = folder.path().join("own");
    kinds::copy(&fixtures().join("compared"), &own);
    let change = |name: &str, change: &dyn Fn(&str) -> String| {
        let text = fs::read_to_string(own.join(name)).unwrap();
        fs::write(own.join(name), change(&text)).unwrap();
    };
    // Cut at the end of a line: nothing but the result tells that there was more.
    change("executions.csv", &|text| text.split_inclusive('\n').take(71).collect());
    change("latency.hlog", &|text| {
        let last = text.lines().rfind(|line| line.starts_with("Tag=response")).unwrap();
        format!("{text}{last}\nTag=wait,9.0,1.0,1.0,HISTF\nTag=service,9.")
    });
    fs::remove_file(own.join("gpu.csv")).unwrap();
    assert!(
        std::process::Command::new("mkfifo").arg(own.join("gpu.csv")).status().unwrap().success()
    );
    let page = page_of(&own);
    assert_eq!(faults(&page), Vec::<String>::new());
    let rest = "What is shown of it is no more than what is there.";
    let told = [
        format!(
            "latency.hlog is not whole: its last line is cut off; 1 line cannot be read; 1 line is there twice, \
             and counts once. {rest}"
        ),
        format!("executions.csv is not whole: it has 70 of 140 executions. {rest}"),
        format!("gpu.csv is not whole: it cannot be read. {rest}"),
    ];
    assert_eq!(torn(&page), told);
    assert!(page.contains("No course of the GPUs: gpu.csv is damaged."));
}

fn page_of(folder: &Path) -> String {
    let Saved::Job(job) = result::read(folder).unwrap() else { panic!("of one job") };
    report::page(&job, &series::read(folder, &job.started_at))
}

/// Each page in the folder of a run is whole, and made of what lies beside it.
pub(crate) fn check_folder(folder: &Path) {
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert_eq!(faults(&page), Vec::<String>::new(), "{}", folder.display());
    match result::read(folder).unwrap() {
        Saved::Job(_) => assert!(page == page_of(folder), "made again it is another one"),
        Saved::Index(index, _) => {
            let begun = index.runs.iter().filter_map(|run| run.folder.as_ref());
            begun.for_each(|own| check_folder(&folder.join(own)));
        }
    }
}

/// What is wrong with a page, a line each.
pub(crate) fn faults(page: &str) -> Vec<String> {
    let elements = match parse(page) {
        Ok(elements) => elements,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    let mut ids: Vec<&str> = elements.iter().filter_map(|own| own.attribute("id")).collect();
    let known = ids.clone();
    ids.sort_unstable();
    faults.extend(
        ids.windows(2).filter(|two| two[0] == two[1]).map(|two| format!("id {} twice", two[0])),
    );
    for own in &elements {
        for (name, value) in &own.attributes {
            let is_known = |id: &str| known.contains(&id);
            match name.as_str() {
                "href" => match value.strip_prefix('#') {
                    Some(id) if is_known(id) => {}
                    None if value.ends_with("/report.html") && !value.contains(':') => {}
                    _ => faults.push(format!("leads nowhere: {value}")),
                },
                "aria-labelledby" => {
                    let unknown = value.split(' ').filter(|id| !is_known(id));
                    faults.extend(unknown.map(|id| format!("no name {id}")));
                }
                "for" if !is_known(value) => faults.push(format!("no field {value}")),
                "src" | "srcset" | "action" | "formaction" | "xlink:href" | "style" => {
                    faults.push(format!("{name} on {}", own.name));
                }
                name if name.starts_with("on") => faults.push(format!("{name} on {}", own.name)),
                "d" if value.contains("NaN") || value.contains("inf") => {
                    faults.push(format!("no path: {value}"));
                }
                _ => {}
            }
        }
        let named =
            ["link", "img", "iframe", "object", "embed", "base", "form", "image", "foreignobject"];
        if named.contains(&own.name.to_lowercase().as_str()) {
            faults.push(format!("a <{}>", own.name));
        }
    }
    let mut landmarks: Vec<&str> = elements
        .iter()
        .filter(|own| own.name == "nav")
        .map(|own| own.attribute("aria-label").unwrap_or_default())
        .collect();
    landmarks.sort_unstable();
    let twice = landmarks.windows(2).filter(|two| two[0] == two[1]);
    faults.extend(twice.map(|two| format!("two places called {}", two[0])));
    let scripts: Vec<&Element> = elements.iter().filter(|own| own.name == "script").collect();
    let policy = elements.iter().find(|own| own.attribute("http-equiv").is_some());
    let policy = policy.and_then(|own| own.attribute("content")).unwrap_or_default();
    match scripts.as_slice() {
        [script] => {
            let hash = BASE64.encode(Sha256::digest(script.text.as_bytes()));
            if !policy.contains(&format!("script-src 'sha256-{hash}'")) {
                faults.push("the script is not the one of the policy".to_owned());
            }
        }
        scripts => faults.push(format!("{} scripts", scripts.len())),
    }
    for needed in ["default-src 'none'", "base-uri 'none'", "form-action 'none'"] {
        if !policy.contains(needed) {
            faults.push(format!("the policy lacks {needed}"));
        }
    }
    let style = elements.iter().find(|own| own.name == "style").map_or("", |own| &own.text);
    if style.contains("url(") || style.contains("@import") {
        faults.push("the style refers to something".to_owned());
    }
    faults.extend((0..elements.len()).filter_map(|at| bare(&elements, at)));
    faults
}

/// What a chart lacks, if this is one: a role, its name and description, and a table with its data in the
/// figure that it is in.
fn bare(elements: &[Element], at: usize) -> Option<String> {
    let svg = &elements[at];
    if svg.name != "svg" {
        return None;
    }
    let lacks = |what: &str| Some(format!("a chart without {what}: {:?}", svg.attributes));
    if svg.attribute("role") != Some("img") {
        return lacks("a role");
    }
    let names: Vec<&str> =
        svg.attribute("aria-labelledby").unwrap_or_default().split(' ').collect();
    for (own, id) in ["title", "desc"].into_iter().zip(names.iter().copied().chain(["", ""])) {
        let is_it = |element: &&Element| {
            element.within == Some(at) && element.name == own && element.attribute("id") == Some(id)
        };
        if elements.iter().find(is_it).is_none_or(|element| element.text.trim().is_empty()) {
            return lacks(own);
        }
    }
    let chain = |from: usize| std::iter::successors(Some(from), |at| elements[*at].within);
    let figure = chain(at).find(|at| elements[*at].name == "figure");
    let is_row = |row: usize| {
        let mut around = chain(row).map(|at| &*elements[at].name);
        elements[row].name == "tr"
            && around.any(|name| name == "tbody")
            && around.any(|name| name == "details")
            && chain(row).find(|at| elements[*at].name == "figure") == figure
    };
    match figure.is_some() && (0..elements.len()).any(is_row) {
        true => None,
        false => lacks("a table"),
    }
}

#[test]
fn each_saved_result_makes_a_whole_page() {
    for name in JOBS {
        let page = page_of(&fixtures().join(name));
        assert_eq!(faults(&page), Vec::<String>::new(), "{name}");
        assert_eq!(page, page_of(&fixtures().join(name)), "{name}: twice the same");
        assert!(page.len() < 400_000, "{name}: {}", page.len());
    }
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let page = page_of(&fixtures().join("stream"));
    for (from, to) in [
        ("</figure>", "</section>"),
        ("<main>", "<main><img src=\"x.png\">"),
        ("<main>", "<main><p onclick=\"x()\"></p>"),
        ("<main>", "<main><a href=\"https://elsewhere.example/\">x</a>"),
        ("</main>", "</main><script>1</script>"),
        ("'use strict'", "'use loose'"),
        ("@media print", "@import 'x.css';@media print"),
        ("role=\"img\"", "role=\"presentation\""),
        ("<h2 id=\"rate\">", "<h2 id=\"tail\">"),
        ("<title id=\"c-rate-wt\">", "<title id=\"c-rate-wt\"></title><title>"),
        ("<desc id=\"c-rate-nd\">", "<desc id=\"c-rate-nd\"></desc><desc>"),
        ("<tbody>", "<thead>"),
    ] {
        assert!(page.contains(from), "{from}");
        let spoilt = page.replacen(from, to, 1);
        assert_ne!(faults(&spoilt), Vec::<String>::new(), "{from} → {to}");
    }
}

/// Sections of each page that show figures of the result.
const SHOWING: [(&str, &[&str]); 5] = [
    ("stream", &["rate", "response", "tail", "times", "age", "gpu", "environment"]),
    ("compared", &["rate", "response", "tail", "queries", "times", "age", "gpu", "environment"]),
    ("benchmark", &["queries", "times", "steps", "gpu"]),
    ("sweep", &["sweep", "gpu"]),
    ("faults", &["faults", "rate", "response", "tail", "gpu", "environment"]),
];

/// Each figure of a page with its place in the result reads as the result has it, and would not if it
/// were another.
#[test]
fn each_figure_of_a_page_is_the_results() {
    let mut walked = 0;
    for name in JOBS {
        let folder = fixtures().join(name);
        let elements = parse(&page_of(&folder)).unwrap();
        let saved: Value =
            serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap();
        let mut sections: Vec<&str> = Vec::new();
        for (at, place, shown) in figures(&elements) {
            let value = saved.pointer(&place).unwrap_or_else(|| panic!("{name}: no {place}"));
            assert!(
                reads_as(&place, &shown, value),
                "{name}: {place} is {value}, shown as {shown}"
            );
            let wrong = another(&shown);
            assert!(!reads_as(&place, &wrong, value), "{name}: {place} is {value}, not {wrong}");
            sections.extend(section_of(&elements, at));
            walked += 1;
        }
        let showing = SHOWING.iter().find(|own| own.0 == name).map_or(&[][..], |own| own.1);
        for section in showing {
            assert!(sections.contains(section), "{name}: no figure in {section}");
        }
    }
    assert!(walked > 400, "{walked}");
}

/// The section that an element is in, by the identity of its heading.
fn section_of(elements: &[Element], at: usize) -> Option<&str> {
    let mut around = std::iter::successors(Some(at), |at| elements[*at].within);
    let section = around.find(|at| elements[*at].name == "section")?;
    let heading = elements.iter().find(|own| own.within == Some(section) && own.name == "h2")?;
    heading.attribute("id")
}

/// A figure that is another: of its first number half as much again, and a bit.
fn another(shown: &str) -> String {
    let Some(from) = shown.find(|c: char| c.is_ascii_digit()) else { return "17".to_owned() };
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let to = shown[from..].find(|c| !is_number(c)).map_or(shown.len(), |long| from + long);
    let number: f64 = shown[from..to].replace(',', "").parse().unwrap();
    format!("{}{:.1}{}", &shown[..from], number * 1.5 + 2.0, &shown[to..])
}

/// Whether a text is a value, to the digits that it has.
fn reads_as(place: &str, shown: &str, value: &Value) -> bool {
    let shown = shown.replace('\u{a0}', " ").replace(',', "");
    let shown = shown.trim_start_matches("≥ ");
    let Some(value) = value.as_f64() else { return shown == "–" };
    // Lengths of time may have two units: `2 min 5 s`.
    let mut sum = 0.0;
    let mut parts = shown.trim_end_matches("/s").split(' ').peekable();
    while let Some(number) = parts.next() {
        let Ok(number) = number.parse::<f64>() else { return false };
        let unit = parts.next().unwrap_or_default();
        let factor = match unit {
            "ns" => 1e-9,
            "µs" => 1e-6,
            "ms" => 1e-3,
            "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "%" => 0.01,
            "KiB" => 1024.0,
            "MiB" => 1024.0 * 1024.0,
            "GiB" => 1024.0 * 1024.0 * 1024.0,
            _ => 1.0,
        };
        sum += number * factor;
    }
    let wanted = match place {
        place if place.ends_with("_ms") => value / 1e3,
        place if place.ends_with("_ns") => value / 1e9,
        _ => value,
    };
    // Three digits, or the last decimal that is shown.
    let decimals = shown.split(' ').next().and_then(|n| n.split_once('.')).map_or(0, |n| n.1.len());
    let last = if shown.contains('%') { 0.005 } else { 0.5 } * 0.1_f64.powi(decimals as i32);
    let in_units = ["_ms", "_ns", "_s", "_bytes"].iter().any(|end| place.ends_with(end));
    let slack = if in_units { 0.0 } else { last };
    let is_bare = place.ends_with("start_s") && !shown.contains(' ');
    let rounded = if is_bare { 0.06 } else { 0.0 };
    // Of two units the second is cut off.
    let cut = if shown.contains("min") { 1.0 } else { 0.0 };
    (sum - wanted).abs() <= wanted.abs() * 0.006 + slack + rounded + cut + 1e-9
}

#[test]
fn a_figure_that_is_not_the_results_is_found() {
    assert!(reads_as("/stream/response/p99_ms", "15.1 ms", &json!(15.138)));
    assert!(!reads_as("/stream/response/p99_ms", "15.3 ms", &json!(15.138)));
    assert!(reads_as("/stream/rows_due", "96,000", &json!(96_000)));
    assert!(!reads_as("/stream/rows_due", "96,001,000", &json!(96_000)));
    assert!(reads_as("/loader/cpu_ratio", "6.1 %", &json!(0.0612)));
    assert!(!reads_as("/loader/cpu_ratio", "6.3 %", &json!(0.0612)));
    assert!(reads_as("/loader/resident_peak_bytes", "38.1 MiB", &json!(39_950_000)));
}

const HOSTILE: &str = "</script><img src=x onerror=\"alert('1')\"><b>&amp;\u{202e}";

/// Puts a hostile text wherever a name or a message of the user's or the server's stands.
fn spoil(value: &mut Value, key: &str) {
    const NAMES: [&str; 19] = [
        "query",
        "arm",
        "sql",
        "error",
        "address",
        "version",
        "message",
        "sqlstate",
        "what",
        "why",
        "shape",
        "words",
        "reason",
        "reasons",
        "step",
        "table",
        "not_watched",
        "not_compared",
        "shown",
    ];
    match value {
        Value::String(text) if NAMES.contains(&key) => HOSTILE.clone_into(text),
        Value::Object(object) if key == "settings" || key == "errors" => {
            let own = if key == "errors" { json!(1) } else { json!("on") };
            object.insert(HOSTILE.to_owned(), own);
        }
        Value::Object(object) => object.iter_mut().for_each(|(key, own)| spoil(own, key)),
        Value::Array(items) => items.iter_mut().for_each(|own| spoil(own, key)),
        _ => {}
    }
}

#[test]
fn whatever_is_named_in_a_result_is_text() {
    for name in JOBS {
        let folder = scratch();
        kinds::copy(&fixtures().join(name), folder.path());
        let file = folder.path().join("result.json");
        let mut saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let plan = saved["plan"].take();
        spoil(&mut saved, "");
        saved["plan"] = plan;
        fs::write(&file, saved.to_string()).unwrap();
        let page = page_of(folder.path());
        assert_eq!(faults(&page), Vec::<String>::new(), "{name}");
        assert!(page.contains("&lt;/script&gt;&lt;img src=x"), "{name}: it is shown");
        assert!(!page.contains('\u{202e}'), "{name}");
    }
}

/// What can be missing or torn in a folder takes its own figure away, and no more.
#[test]
fn a_folder_with_less_makes_a_page_with_less() {
    let folder = scratch();
    kinds::copy(&fixtures().join("stream"), folder.path());
    let whole = page_of(folder.path());
    assert!(whole.contains("c-response-w"), "a heat map");
    for file in ["latency.hlog", "executions.csv", "gpu.csv"] {
        let path = folder.path().join(file);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() * 2 / 3]).unwrap();
        assert_eq!(faults(&page_of(folder.path())), Vec::<String>::new(), "{file} is torn");
        fs::write(&path, [0xff, 0, 0xfe, b'"', b'\n']).unwrap();
        assert_eq!(faults(&page_of(folder.path())), Vec::<String>::new(), "{file} is garbage");
        fs::remove_file(&path).unwrap();
    }
    let least = page_of(folder.path());
    assert_eq!(faults(&least), Vec::<String>::new());
    assert!(least.contains("there is no latency.hlog") && !least.contains("c-response-w"));
}

fn written(args: &[&str]) -> (PathBuf, tempfile::TempDir) {
    let folder = scratch();
    let file = folder.path().join("out.html");
    let mut all = vec!["report"];
    all.extend(args);
    all.extend(["--output", file.to_str().unwrap()]);
    let ended =
        std::process::Command::new(env!("CARGO_BIN_EXE_strom-load")).args(&all).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "");
    (file, folder)
}

#[test]
fn report_writes_the_page_of_a_folder_and_of_several() {
    let [stream, several] = ["stream", "several"].map(|name| fixtures().join(name));
    let (file, _folder) = written(&[stream.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(file).unwrap(), page_of(&stream));
    let [stream, several] = [&stream, &several].map(|own| own.to_str().unwrap());
    for (args, runs) in [(vec![several], 2), (vec![stream, several], 3), (vec![stream, stream], 2)]
    {
        let (file, _folder) = written(&args);
        let page = fs::read_to_string(file).unwrap();
        assert_eq!(faults(&page), Vec::<String>::new(), "{args:?}");
        let articles = page.matches("<article").count();
        assert_eq!(articles, runs, "{args:?}");
    }
}

#[tokio::test]
async fn what_is_no_page_is_not_written() {
    let folder = scratch();
    let stream = fixtures().join("stream").display().to_string();
    let kept = folder.path().join("result.json");
    fs::write(&kept, "kept").unwrap();
    let ended =
        Program::start(&["report", &stream, "--output", kept.to_str().unwrap()]).end().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("ends in .html"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
    let nowhere = folder.path().join("none/out.html").display().to_string();
    let ended = Program::start(&["report", &stream, "--output", &nowhere]).end().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
}

/// Nothing is lost by it: the folder makes it again.
#[tokio::test]
async fn a_page_that_cannot_be_written_is_a_warning() {
    let database = Database::create().await;
    let folder = scratch();
    fs::create_dir_all(folder.path().join("work/out/report.html")).unwrap();
    let (address, out) = (database.address(), folder.path().join("work/out"));
    let out = out.to_str().unwrap().to_owned();
    let args = ["--database-url", &address, "--rate", "500", "--readers", "0", "--warmup", "0s"];
    let last = ["--duration", "1s", "--metrics-addr", "off", "--output", &out];
    let ended = Program::start_in(folder, &[&args[..], &last[..]].concat(), &[]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("report.html"), "{}", ended.stderr);
    assert!(
        Path::new(&out).join("result.json").is_file() && ended.stdout.contains("500 read back")
    );
}

#[test]
fn the_index_of_several_runs_links_to_each() {
    let Saved::Index(index, jobs) = result::read(&fixtures().join("several")).unwrap() else {
        panic!("an index")
    };
    let page = report::index_page(&index);
    assert_eq!(faults(&page), Vec::<String>::new());
    for (place, _) in &jobs {
        let folder = index.runs[*place].folder.as_ref().unwrap();
        assert!(page.contains(&format!("href=\"{folder}/report.html\"")), "{folder}");
    }
    // Each with its word.
    assert!(page.contains("✓ OK</span>") && page.contains("✗ FAIL</span>"), "{page}");
}
