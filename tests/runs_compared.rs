//! `compare` and `history`, as they are typed: exit codes, what is refused, forms of output, and runs that
//! are made for it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::pages::faults;
use crate::results::kinds::{copy, fixtures};
use crate::support::{Database, Ended, Program, scratch};

/// Copies a committed run, so many times, each with another p99.
fn side(folder: &Path, name: &str, fixture: &str, p99_ms: &[f64]) -> Vec<String> {
    let copied = p99_ms.iter().enumerate().map(|(at, ms)| {
        let own = folder.join(format!("{name}{at}"));
        copy(&fixtures().join(fixture), &own);
        let file = own.join("result.json");
        let mut saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        saved["run_id"] = json!(format!("{name}{at}"));
        saved["stream"]["rows_before"] = json!(0);
        saved["stream"]["response"]["p99_ms"] = json!(ms);
        saved["stream"]["response"]["count"] = json!(1_000);
        fs::write(&file, saved.to_string()).unwrap();
        own.display().to_string()
    });
    copied.collect()
}

async fn compare(a: &[String], b: &[String], args: &[&str]) -> Ended {
    let mut all = vec!["compare"];
    all.extend(args);
    all.extend(a.iter().map(String::as_str));
    all.push("--");
    all.extend(b.iter().map(String::as_str));
    Program::start(&all).end().await
}

const SAME: [f64; 5] = [10.0, 10.3, 9.8, 10.1, 9.9];
const SLOWER: [f64; 5] = [13.1, 12.9, 13.4, 12.8, 13.0];
const GATE: [&str; 2] = ["--gate", "response_p99_ms <= 1.10x"];

#[tokio::test]
async fn saved_runs_are_compared_and_gated() {
    let folder = scratch();
    let of = |name: &str, ms: &[f64]| side(folder.path(), name, "stream", ms);
    let (a, same, slower) = (of("a", &SAME), of("same", &SAME), of("slower", &SLOWER));

    let told = compare(&a, &slower, &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stdout.starts_with("COMPARED  1 regression, "), "{}", told.stdout);
    let failed = compare(&a, &slower, &[&GATE[..], &["--format", "json"]].concat()).await;
    assert_eq!(failed.code, Some(99), "{}", failed.stderr);
    let json: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&json!("fail"), &json!(99)));
    assert_eq!(json["sides"][1]["runs"].as_array().unwrap().len(), 5);

    let markdown = [&GATE[..], &["--format", "markdown", "--output", "page.html"]].concat();
    let passed = compare(&a, &same, &markdown).await;
    assert_eq!(passed.code, Some(0), "{}", passed.stderr);
    assert!(passed.stdout.starts_with("### ✓ PASS: "), "{}", passed.stdout);
    let page = fs::read_to_string(passed.work().join("page.html")).unwrap();
    assert_eq!(faults(&page), Vec::<String>::new());
    assert!(page.contains("c-changed-w") || page.contains("c-changed"), "the figures are drawn");

    let few = compare(&a[..3], &slower, &GATE).await;
    assert_eq!(few.code, Some(0), "{}", few.stderr);
    assert!(few.stdout.starts_with("INCONCLUSIVE  "), "{}", few.stdout);
    let strict = compare(&a[..3], &slower, &[&GATE[..], &["--strict"]].concat()).await;
    assert_eq!(strict.code, Some(99), "{}", strict.stderr);
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let folder = scratch();
    let place = folder.path().display().to_string();
    let a = side(folder.path(), "a", "stream", &[10.0]);
    let again = side(folder.path(), "again", "stream", &[10.0]);
    let other = side(folder.path(), "other", "compared", &[10.0]);
    let option = ["--strict".to_owned()];
    let mut said = String::new();
    let sweep = vec![fixtures().join("sweep").display().to_string()];
    let copied = vec![folder.path().join("copied").display().to_string()];
    copy(Path::new(&a[0]), Path::new(&copied[0]));
    let cases: [(&[String], &[&str]); 9] = [
        (&other, &[]),
        (&other, &["--allow", "rat"]),
        (&sweep, &[]),
        (&a, &[]),
        (&copied, &[]),
        (&option, &[]),
        (&again, &["--gate", "response_p9_ms <= 1.10x", "--gate", "rows_lost <= 2x"]),
        (&a, &["--rate", "3000"]),
        (&a, &["--output", "page.txt"]),
    ];
    for (b, args) in cases {
        let ended = compare(&a, b, args).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{args:?}: {}", ended.stderr);
        said = format!("{said}$ {}\n{}\n", args.join(" "), ended.stderr);
    }
    let fixtures = fixtures().display().to_string();
    insta::assert_snapshot!(said.replace(&place, "results").replace(&fixtures, "fixtures"));
}

const PROFILE: &str = "warmup_s = 0\nduration_s = 0.5\n[stream]\nrows_per_s = 600\npartitions = 1\n[readers]\n\
                       count = 0\n";

/// Two profiles beside each other, which `change` tells apart.
fn profiles(folder: &Path, change: &str) -> [String; 2] {
    [("a.toml", String::new()), ("b.toml", change.to_owned())].map(|(name, change)| {
        let path = folder.join(name);
        fs::write(&path, format!("{change}{PROFILE}")).unwrap();
        path.display().to_string()
    })
}

#[tokio::test]
async fn runs_are_made_in_turn_and_leave_a_history() {
    let database = Database::create().await;
    let folder = scratch();
    let [a, b] = profiles(folder.path(), "seed = 7\n");
    let address = database.address();
    let run = ["compare", "--run", &a, &b, "--repeats", "2", "--database-url", &address];
    let refused = Program::start(&run).end().await;
    assert_eq!(
        refused.code,
        Some(2),
        "each run would find what the last one left: {}",
        refused.stderr
    );

    let args =
        [&run[..], &["--recreate", "--results", "made", "--quiet", "--format", "json"]].concat();
    let ended = Program::start(&args).end().await;
    // A busy machine may keep the loader from its rate in half a second: that is code 6.
    assert!(matches!(ended.code, Some(0 | 6)), "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["order"], "A B B A");
    let folders = |side: usize| json["sides"][side]["runs"].clone();
    assert_eq!(folders(0), json!(["made/01-a", "made/04-a"]));
    assert_eq!(folders(1), json!(["made/02-b", "made/03-b"]));
    assert_eq!(json["allowed"][0]["key"], "seed");

    let work = ended.work();
    let history = Program::start(&["history", work.to_str().unwrap(), "--csv", "--profile", "a"]);
    let history = history.end().await;
    assert_eq!((history.code, &*history.stderr), (Some(0), ""));
    let rows: Vec<&str> = history.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{}", history.stdout);
    assert!(rows[1].contains(",made/01-a,") && rows[2].contains(",made/04-a,"), "{rows:?}");
    let none = Program::start(&["history", work.to_str().unwrap(), "--profile", "c"]).end().await;
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("fix: it has a, b"), "{}", none.stderr);
}

/// Makes real runs and returns the comparison.
async fn made(change: &str, profile: &str, repeats: &str) -> Value {
    let folder = scratch();
    let [a, b] = [("a.toml", profile.to_owned()), ("b.toml", profile.replace("/*B*/", change))]
        .map(|(name, text)| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        });
    let database = Database::create().await;
    let args = [
        "compare",
        "--run",
        &a,
        &b,
        "--repeats",
        repeats,
        "--quiet",
        "--format",
        "json",
        "--recreate",
        "--database-url",
        &database.address(),
    ];
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_strom-load"));
    let output = child.args(args).current_dir(folder.path()).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

const QUERY: &str = "warmup_s = 1\nduration_s = 6\n[stream]\nrows_per_s = 600\n[readers]\ncount = 1\n\
                     [[readers.queries]]\nname = \"work\"\nsql = \"SELECT sum(i) FROM generate_series(1, 200000 /*B*/) i\"\n";

fn verdict(compared: &Value, figure: &str) -> Value {
    let figures = compared["figures"].as_array().unwrap();
    figures.iter().find(|one| one["figure"] == figure).unwrap()["verdict"].clone()
}

/// `cargo test --test main -- --ignored runs_compared::` on a machine that does nothing else.
#[tokio::test]
#[ignore = "takes two minutes, and a machine that does nothing else"]
async fn five_real_runs_a_side_of_the_same_show_no_difference() {
    let compared = made("", QUERY, "5").await;
    assert_eq!(verdict(&compared, "query.work.cpu.p50_ms"), "no_difference_shown", "{compared:#}");
    assert_eq!(verdict(&compared, "response_p50_ms"), "no_difference_shown", "{compared:#}");
}

/// As above.
#[tokio::test]
#[ignore = "takes two minutes, and a machine that does nothing else"]
async fn a_query_that_does_twice_as_much_is_found() {
    let compared = made("+ 200000", QUERY, "5").await;
    assert_eq!(verdict(&compared, "query.work.cpu.p50_ms"), "regression", "{compared:#}");
}
