//! Saved results: what is shown of them is what their run showed, they follow the schema, and files
//! that are none are refused. The folders in `fixtures/results` were left by real runs; docs/result.md
//! says how they are made anew.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

pub(crate) mod kinds;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use strom_load::report;
use strom_load::result::schema::schema;
use strom_load::result::{self, Saved};
use tempfile::TempDir;

use crate::docs::{collect_keys, document};
use crate::support::{Database, Program, python, scratch};
use kinds::{FORMAT_1, RUNNING, SHOWN, fixtures};

/// Every committed folder but the one that cannot be shown.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| !path.ends_with(FORMAT_1)).collect();
    folders.sort();
    let named: Vec<_> = folders.iter().map(|path| path.file_name().unwrap()).collect();
    let kinds = kinds::ALL.iter().map(|kind| kind.name).chain([RUNNING]);
    assert_eq!(named, kinds.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    folders
}

/// The results below a folder, and its index.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.ends_with("result.json") || path.ends_with("index.json") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder with one file.
fn with_file(name: &str, text: &str) -> TempDir {
    let folder = scratch();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// What `report` shows of some folders, without starting it.
fn shown(folder: &Path) -> String {
    match result::read(folder).unwrap_or_else(|error| panic!("{error}")) {
        Saved::Job(job) => report::summary(&job),
        Saved::Index(index, jobs) => report::summaries(&index, jobs.iter().map(|(_, job)| job)),
    }
}

async fn report_of(folder: &Path) -> crate::support::Ended {
    Program::start(&["report", folder.to_str().unwrap()]).end().await
}

/// What does not follow the schema, a line each.
fn violations(schema: &Value, files: &[PathBuf]) -> String {
    let folder = with_file("schema.json", &schema.to_string());
    let check = "import json, sys, jsonschema\n\
                 schema = json.load(open(sys.argv[1]))\n\
                 validator = jsonschema.Draft202012Validator\n\
                 validator.check_schema(schema)\n\
                 for path in sys.argv[2:]:\n\
                 \x20   result = json.load(open(path))\n\
                 \x20   for error in validator(schema).iter_errors(result):\n\
                 \x20       error = jsonschema.exceptions.best_match([error])\n\
                 \x20       print(path, error.json_path, error.message[:300])\n";
    let mut python = Command::new(python());
    python.args(["-c", check]).arg(folder.path().join("schema.json")).args(files);
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn every_saved_result_is_shown_as_its_run_showed_it() {
    for folder in folders() {
        let expected = fs::read_to_string(folder.join(SHOWN)).unwrap();
        let ended = report_of(&folder).await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{}", folder.display());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(folder.join(SHOWN), ended.stdout).unwrap();
            continue;
        }
        let fix = "if it shall look otherwise now: UPDATE_DOCS=1 cargo test --test main results::";
        assert_eq!(ended.stdout, expected, "{}\n  fix: {fix}", folder.display());
    }
}

#[tokio::test]
async fn several_folders_are_shown_one_behind_the_other() {
    let [first, second] = ["benchmark", "stream"].map(|name| fixtures().join(name));
    let args = ["report", first.to_str().unwrap(), second.to_str().unwrap()];
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, shown(&first) + "\n" + &shown(&second));
}

#[test]
fn the_schema_is_current() {
    let (path, text) = document("docs/result.schema.json");
    let current = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, current).unwrap();
    } else {
        assert!(
            text == current,
            "docs/result.schema.json is not what the code says\n  fix: UPDATE_DOCS=1 cargo test \
             --test main results::"
        );
    }
}

#[tokio::test]
async fn every_saved_result_follows_the_schema() {
    let files: Vec<PathBuf> = folders().iter().flat_map(|folder| files(folder)).collect();
    assert!(files.len() > kinds::ALL.len());
    assert_eq!(violations(&schema(), &files), "");
}

#[tokio::test]
async fn what_does_not_follow_the_schema_is_found() {
    let mut result = read(&fixtures().join("stream/result.json"));
    result["stream"]["rows_due"] = json!("many");
    result.as_object_mut().unwrap().remove("server");
    let folder = with_file("result.json", &result.to_string());
    let found = violations(&schema(), &[folder.path().join("result.json")]);
    assert!(found.contains("result.json"), "{found}");
}

/// Each document that has the keys of a kind, and before which key it leaves its own place out.
const DOCUMENTS: [(&str, &str); 4] = [
    ("docs/result.md", ""),
    ("docs/benchmarks.md", ""),
    ("docs/benchmarks.md", "steps[].queries[].arms[]."),
    ("docs/sweeps.md", "sweep."),
];

#[test]
fn every_key_of_a_saved_result_is_described() {
    let documents = DOCUMENTS.map(|(name, place)| (document(name).1, place));
    let (_, result_md) = document("docs/result.md");
    let mut keys = BTreeSet::new();
    let files: Vec<PathBuf> = folders().iter().flat_map(|folder| files(folder)).collect();
    files.iter().for_each(|file| collect_keys(&read(file), "", &mut keys));
    assert!(keys.len() > 250, "{}", keys.len());
    keys.retain(|key| {
        let named = |(text, place): &(String, &str)| {
            key.strip_prefix(place).is_some_and(|key| text.contains(&format!("`{key}`")))
        };
        // What a GPU, a plan and an answer are is said once. Columns of an answer are data.
        let once = |within: &str, described: &str| {
            let inner = key.split_once(within).map(|(_, inner)| format!("`{described}{inner}`"));
            inner.is_some_and(|inner| result_md.contains(&inner))
        };
        let known = documents.iter().any(named)
            || once(".gpus[].", "gpus.devices[].")
            || once(".plan.", "queries[].plan.")
            || once(".answers.", "comparisons[].answers.")
            || once("faults.audit[].", "stream.audit[].")
            || once(".times.", "comparisons[].times.")
            || key.contains(".examples[][].");
        !known
    });
    assert_eq!(keys, BTreeSet::new(), "docs/result.md does not name these");
}

/// Keys under which there are names of the user's or the server's, not of ours.
const DATA: [&str; 7] =
    ["settings", "errors", "attempts_failed", "throttled_s", "examples", "details", "set"];

/// Adds a key to each object that has keys of ours.
fn add_keys(value: &mut Value, key: &str) {
    match value {
        _ if DATA.contains(&key) => {}
        Value::Object(object) => {
            object.iter_mut().for_each(|(key, value)| add_keys(value, key));
            if key != "arms" {
                object.insert("of_a_later_version".to_owned(), json!({ "a": [1, null] }));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| add_keys(value, key)),
        _ => {}
    }
}

fn without_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => *value = Value::Null,
        Value::Object(object) => object.values_mut().for_each(without_numbers),
        Value::Array(items) => items.iter_mut().for_each(without_numbers),
        _ => {}
    }
}

/// What is shown of a committed folder after a change of each of its results.
fn shown_after(folder: &Path, change: &dyn Fn(&mut Value)) -> String {
    let changed = scratch();
    kinds::copy(folder, changed.path());
    for file in files(changed.path()) {
        let mut saved = read(&file);
        change(&mut saved);
        fs::write(file, saved.to_string()).unwrap();
    }
    shown(changed.path())
}

#[test]
fn keys_of_a_later_version_do_not_matter() {
    for folder in folders() {
        let after = shown_after(&folder, &|saved| add_keys(saved, ""));
        assert_eq!(after, fs::read_to_string(folder.join(SHOWN)).unwrap(), "{}", folder.display());
    }
}

#[test]
fn numbers_that_are_none_can_be_read_back() {
    for folder in folders() {
        // A plan is what the user wrote, and resolved: it has no such number.
        let after = shown_after(&folder, &|saved| {
            let plan = saved["plan"].take();
            without_numbers(saved);
            saved["plan"] = plan;
        });
        assert!(after.lines().count() > 3, "{after}");
    }
}

#[tokio::test]
async fn what_is_no_result_is_one_error() {
    let whole = fs::read_to_string(fixtures().join("stream/result.json")).unwrap();
    let half = &whole[..whole.len() / 2];
    let newer = whole.replacen("\"format_version\": 2", "\"format_version\": 3", 1);
    let not_base64 = whole.replacen("\"hdr_v2_deflate\": \"", "\"hdr_v2_deflate\": \"?", 1);
    let mut other_count: Value = serde_json::from_str(&whole).unwrap();
    other_count["stream"]["histograms"]["wait"]["count"] = json!(1);
    let other_count = other_count.to_string();
    let mut text = String::new();
    for (what, file) in [
        ("nothing", None),
        ("an empty file", Some("")),
        ("half a result", Some(half)),
        ("no object", Some("[1, 2]")),
        ("another JSON file", Some("{\"name\": \"x\"}")),
        ("only a version", Some("{\"format_version\": 2}")),
        ("a newer format", Some(&*newer)),
        ("a damaged histogram", Some(&*not_base64)),
        ("a histogram with other values than it says", Some(&*other_count)),
    ] {
        let folder = scratch();
        if let Some(file) = file {
            fs::write(folder.path().join("result.json"), file).unwrap();
        }
        let ended = report_of(folder.path()).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{what}: {}", ended.stderr);
        let said = ended.stderr.replace(folder.path().to_str().unwrap(), "DIR");
        assert_eq!(said.matches("error: ").count(), 1, "{what}: {said}");
        // Where in a file it is damaged changes with the file.
        let without_place = |line: &str| line.split(" at line ").next().unwrap().to_owned();
        let said: Vec<String> = said.lines().map(without_place).collect();
        text.extend([what, "\n", &said.join("\n"), "\n\n"]);
    }
    let format_1 = fixtures().join(FORMAT_1);
    let ended = report_of(&format_1).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
    text.push_str("format 1\n");
    text.push_str(&ended.stderr.replace(fixtures().to_str().unwrap(), "DIR"));
    for said in [&ended.stderr, &newer_error(&newer).await] {
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    insta::assert_snapshot!("refused", text);
    // Of several none is shown when one cannot be.
    let stream = fixtures().join("stream");
    let args = ["report", stream.to_str().unwrap(), format_1.to_str().unwrap()];
    let ended = Program::start(&args).end().await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
}

async fn newer_error(newer: &str) -> String {
    let folder = with_file("result.json", newer);
    report_of(folder.path()).await.stderr
}

#[tokio::test]
async fn the_rows_of_a_run_of_format_1_are_found() {
    let database = Database::create().await;
    let args = ["--rate", "500", "--readers", "0", "--warmup", "0s", "--duration", "1s"];
    let ended = Program::run(&database, &args).end().await;
    let mut result = ended.done();
    // Nothing in format 1 says which server it was, and the address may be another one since.
    result["format_version"] = json!(1);
    result.as_object_mut().unwrap().remove("kind");
    result["server"].as_object_mut().unwrap().remove("identity");
    result["server"]["address"] = json!("postgresql://elsewhere/");
    let folder = with_file("result.json", &result.to_string());
    let (address, other) = (database.address(), Database::create().await.address());
    let folder = folder.path().to_str().unwrap();
    let verified = Program::start(&["verify", folder, "--database-url", &address]).end().await;
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    assert!(verified.stdout.contains("500 acknowledged, 500 read back"), "{}", verified.stdout);
    let verified = Program::start(&["verify", folder, "--database-url", &other]).end().await;
    assert_eq!((verified.code, &*verified.stdout), (Some(3), ""), "{}", verified.stderr);
}

/// What cannot be true of a run's account is refused at once, however large its numbers are.
#[tokio::test]
async fn the_rows_of_a_damaged_account_are_not_looked_for() {
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(fixtures().join(name).join("result.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (whole, killed) = (read("stream"), read("running"));
    let account = |of: &str, ranges: Value| (format!("account/{of}"), ranges);
    let range = |first: u64, last: u64| json!({ "first": first, "last": last });
    let damages = [
        (account("acknowledged", json!([range(0, 5), range(3, 9)])), "rows 3 to 9 are no range"),
        (account("acknowledged", json!([range(7, 9), range(0, 5)])), "rows 0 to 5 are no range"),
        (account("acknowledged", json!([range(9, 7)])), "rows 9 to 7 are no range"),
        (account("dropped", json!([range(0, u64::MAX)])), "are no range"),
        (account("undecided", json!([range(0, 1 << 40)])), "two things became of rows 0 to"),
        (account("dropped", json!([range(1 << 40, 1 << 62)])), "rows, and at most "),
        (("rows_due".to_owned(), json!(3)), " were due"),
        (("first_id".to_owned(), json!(i64::MAX)), "there are no ids for"),
    ];
    let long = (account("acknowledged", json!([range(0, 1 << 40)])), "rows, and at most ");
    let damages = damages.into_iter().map(|damage| (&whole, damage)).chain([(&killed, long)]);
    for (whole, ((key, value), said)) in damages {
        let mut result = whole.clone();
        let at = format!("/stream/partitions/1/{key}");
        *result.pointer_mut(&at).unwrap_or_else(|| panic!("{at}")) = value;
        let folder = with_file("result.json", &result.to_string());
        let folder = folder.path().to_str().unwrap();
        let ended = Program::start(&["verify", folder]).end().await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{at}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{at}: {}", ended.stderr);
        assert!(ended.stderr.contains("or is damaged"), "{at}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_run_of_format_1_can_be_verified_and_a_benchmark_cannot() {
    let said = |folder: &str| {
        let folder = fixtures().join(folder);
        async move {
            let ended = Program::start(&["verify", folder.to_str().unwrap()]).end().await;
            assert_eq!(ended.code, Some(2), "{}", ended.stderr);
            ended.stderr
        }
    };
    // Past reading: what is missing is a server.
    assert!(said(FORMAT_1).await.contains("no server to look in"));
    assert!(said("stream").await.contains("no server to look in"));
    let benchmark = said("benchmark").await;
    assert!(benchmark.contains("is the result of a benchmark: no rows were"), "{benchmark}");
}
