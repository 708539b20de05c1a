//! The audit on trial: what is wrong in a real table is found by `verify`, and said where; what a
//! killed loader left is told apart.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Database, Ended, Program, python, until};

const TABLE: &str = "l40s_realtime_stream";

async fn verify(database: &Database, results: &Path) -> Ended {
    let (results, address) = (results.to_str().unwrap(), database.address());
    Program::start(&["verify", results, "--database-url", &address]).end().await
}

async fn rows(database: &Database) -> u64 {
    database.number(&format!("SELECT count(*) FROM {TABLE}")).await as u64
}

#[tokio::test]
async fn planted_gaps_doubles_and_altered_values_are_each_found() {
    let database = Database::create().await;
    let run = Program::run(&database, &["--readers", "0", "--duration", "1s", "--warmup", "0s"]);
    let ended = run.end().await;
    let result = ended.done();
    let results = ended.work().join("out");
    let first_id =
        |partition: usize| result["stream"]["partitions"][partition]["first_id"].as_i64().unwrap();
    let right = verify(&database, &results).await;
    assert_eq!(right.code, Some(0), "{}{}", right.stdout, right.stderr);
    assert!(right.stdout.contains("each acknowledged row is there as sent"), "{}", right.stdout);

    let mut wrong = Vec::new();
    let where_is = |partition: usize, first: i64, last: i64| {
        let id = first_id(partition);
        format!("gpu_partition = {partition} AND id BETWEEN {} AND {}", id + first, id + last)
    };
    let plants = [
        (
            format!("DELETE FROM {TABLE} WHERE {}", where_is(1, 100, 149)),
            "partition 1: 50 lost, first rows 100..=149",
        ),
        (
            format!("DELETE FROM {TABLE} WHERE {}", where_is(1, 999, 999)),
            "partition 1: 51 lost, first rows 100..=149, 999..=999",
        ),
        (
            format!("INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE {}", where_is(0, 7, 8)),
            "partition 0: 2 doubled, first rows 7..=8",
        ),
        (
            format!("UPDATE {TABLE} SET amount = amount + 0.01 WHERE {}", where_is(2, 0, 0)),
            "partition 2: 1 altered, first rows 0..=0",
        ),
        (
            format!(
                "UPDATE {TABLE} SET created_at = created_at + interval '1 microsecond' WHERE {}",
                where_is(2, 500, 500)
            ),
            "partition 2: 2 altered, first rows 0..=0, 500..=500",
        ),
    ];
    for (sql, finding) in plants {
        database.execute(&sql).await;
        let partition = finding.split(':').next().unwrap();
        wrong.retain(|found: &&str| !(found.starts_with(partition)));
        wrong.push(finding);
        let ended = verify(&database, &results).await;
        assert_eq!(ended.code, Some(5), "{sql}: {}{}", ended.stdout, ended.stderr);
        for finding in &wrong {
            assert!(ended.stdout.contains(finding), "{finding}: {}", ended.stdout);
        }
        assert!(ended.stdout.contains("THE TABLE IS NOT WHAT WAS SENT"), "{}", ended.stdout);
    }
}

/// A loader that streams until it is killed.
fn stream(database: &Database) -> Program {
    let args = ["--readers", "0", "--rate", "6000", "--duration", "forever", "--warmup", "0s"];
    Program::run(database, &args)
}

async fn kill(database: &Database, program: Program) -> Ended {
    program.signal(Signal::KILL);
    let ended = program.end().await;
    assert_eq!(ended.code, None);
    // Its last COMMIT may still be at work.
    let gone = "SELECT count(*) = 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'strom-load%'";
    database.until(gone).await;
    ended
}

/// A loader, killed once its saved result is as wanted; its results folder.
async fn killed(database: &Database, when: impl Fn(&Value) -> bool) -> (Ended, PathBuf) {
    let program = stream(database);
    let results = program.folder.path().join("work/out");
    let file = results.join("result.json");
    until("the result is as wanted", || {
        let text = std::fs::read(&file).unwrap_or_default();
        serde_json::from_slice(&text).is_ok_and(|result| when(&result))
    })
    .await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;
    (kill(database, program).await, results)
}

fn acknowledged(ended: &Ended) -> u64 {
    ended.result()["stream"]["rows_acknowledged"].as_u64().unwrap()
}

/// A number that stands before these words.
fn number(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().filter(|before| before.len() < text.len());
    let before = before.unwrap_or_else(|| panic!("`{words}` is not in {text}"));
    before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
}

/// Verifies what a killed loader left: every row is there, those that are not proven told apart.
/// Returns how many are proven.
async fn is_right(database: &Database, ended: &Ended, results: &Path) -> u64 {
    assert_eq!(ended.result()["status"], "running");
    let verified = verify(database, results).await;
    let said = &verified.stdout;
    assert_eq!(verified.code, Some(0), "{said}{}", verified.stderr);
    let (proven, more) = (number(said, " read back"), number(said, " more: the loader was killed"));
    assert_eq!(number(said, " acknowledged, "), proven, "{said}");
    let last = strom_load::quantity::format_count(more);
    assert!(said.contains(&format!("not proven for the last {last} rows")), "{said}");
    assert!(!said.contains("no other"), "{said}");
    assert_eq!(proven + more, rows(database).await, "{said}");
    proven
}

#[tokio::test]
async fn a_loader_killed_before_it_saved_anything_but_its_start_is_verified() {
    for _ in 0..10 {
        let database = Database::create().await;
        let (ended, results) = killed(&database, |result| result["status"] == "running").await;
        is_right(&database, &ended, &results).await;
        // On a busy machine it may have come to its next save, after a second.
        if acknowledged(&ended) == 0 {
            return;
        }
    }
    panic!("ten loaders had saved rows before they were killed");
}

/// The rows acknowledged by the journal, by the program in docs/result.md.
fn by_python(results: &Path) -> u64 {
    let docs = include_str!("../docs/result.md");
    let program = docs.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let journal = results.join("journal.log");
    let output = Command::new(python()).arg("-c").arg(program).arg(journal).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let rows = said.lines().map(|line| number(line, " acknowledged"));
    rows.sum()
}

#[tokio::test]
async fn what_is_wrong_in_the_table_of_a_killed_loader_is_found() {
    let database = Database::create().await;
    let program = stream(&database);
    let results = program.folder.path().join("work/out");
    let journal = results.join("journal.log");
    until("the journal knows four seconds", || {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split(" known ").next()?.parse().ok())
            .any(|s: f64| s > 4.0)
    })
    .await;
    let living = verify(&database, &results).await;
    assert_eq!(living.code, Some(0), "{}{}", living.stdout, living.stderr);
    assert!(living.stdout.contains(" more: the loader still runs, "), "{}", living.stdout);
    let ended = kill(&database, program).await;
    let proven = is_right(&database, &ended, &results).await;
    // Its result is of the first second.
    assert!(proven > 2 * acknowledged(&ended), "{proven}");
    assert_eq!(by_python(&results), proven);

    // A torn end costs what stood there; what is behind damage is not proven.
    let text = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &text[..text.len() - 5]).unwrap();
    assert_eq!(is_right(&database, &ended, &results).await, proven);
    let mut damaged = text.clone();
    damaged[text.len() / 2] ^= 1;
    std::fs::write(&journal, damaged).unwrap();
    assert!(is_right(&database, &ended, &results).await < proven);
    let said = verify(&database, &results).await.stdout;
    assert!(said.contains("journal.log is damaged in line "), "{said}");
    std::fs::write(&journal, &text).unwrap();

    let first_id = ended.result()["stream"]["partitions"][0]["first_id"].as_i64().unwrap();
    let rows = |partition: u32, first: i64, last: i64| {
        let (first, last) = (first_id + first, first_id + last);
        format!("WHERE gpu_partition = {partition} AND id BETWEEN {first} AND {last}")
    };
    for (sql, finding) in [
        (
            format!("DELETE FROM {TABLE} {}", rows(1, 1_000, 1_999)),
            "partition 1: 1,000 lost, first rows 1000..=1999",
        ),
        (
            format!("INSERT INTO {TABLE} SELECT * FROM {TABLE} {}", rows(0, 3_000, 3_099)),
            "partition 0: 100 doubled, first rows 3000..=3099",
        ),
        (
            format!("UPDATE {TABLE} SET amount = amount + 0.01 {}", rows(2, 5_000, 5_099)),
            "partition 2: 100 altered, first rows 5000..=5099",
        ),
        // Behind what the journal knows, to the last row.
        (
            format!(
                "UPDATE {TABLE} SET amount = amount + 0.01 WHERE gpu_partition = 1 AND id > \
                 (SELECT max(id) - 20 FROM {TABLE} WHERE gpu_partition = 1)"
            ),
            "partition 1: 20 altered, first rows ",
        ),
    ] {
        database.execute(&sql).await;
        let verified = verify(&database, &results).await;
        assert_eq!(verified.code, Some(5), "{sql}: {}{}", verified.stdout, verified.stderr);
        assert!(verified.stdout.contains(finding), "{finding}: {}", verified.stdout);
        assert!(verified.stdout.contains("THE TABLE IS NOT WHAT WAS SENT"), "{}", verified.stdout);
    }
}

#[tokio::test]
async fn verify_says_how_far_it_is_unless_it_shall_be_quiet() {
    let database = Database::create().await;
    let run = Program::run(&database, &["--readers", "0", "--duration", "1s", "--warmup", "0s"]);
    let ended = run.end().await;
    let sent = ended.done()["stream"]["rows_acknowledged"].as_u64().unwrap();
    let (results, address) = (ended.work().join("out"), database.address());
    let verify = ["verify", results.to_str().unwrap(), "--database-url", &address];
    // Nobody reads it while it is locked.
    database.execute(&format!("BEGIN; LOCK TABLE {TABLE}")).await;
    let (told, quiet) = (Program::start(&verify), Program::start(&[&verify[..], &["-q"]].concat()));
    let doing = format!("reading {} rows back", strom_load::quantity::format_count(sent));
    told.says(&doing).await;
    // No more is said for five seconds, where nothing can be redrawn.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    database.execute("ROLLBACK").await;
    let (told, quiet) = (told.end().await, quiet.end().await);
    for ended in [&told, &quiet] {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("each acknowledged row is there as sent"));
    }
    assert_eq!(told.stderr.matches(&doing).count(), 1, "{}", told.stderr);
    assert!(!quiet.stderr.contains("reading "), "{}", quiet.stderr);
}
