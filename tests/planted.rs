//! The audit on trial: what is wrong in a real table is found by `verify`, and said where; what a
//! killed loader left is told apart.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Database, Ended, Program, until};

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

/// A loader, killed once its saved result is as wanted; its results folder.
async fn killed(database: &Database, when: impl Fn(&Value) -> bool) -> (Ended, PathBuf) {
    let program = Program::run(
        database,
        &["--readers", "0", "--rate", "6000", "--duration", "forever", "--warmup", "0s"],
    );
    let results = program.folder.path().join("work/out");
    let file = results.join("result.json");
    until("the result is as wanted", || {
        let text = std::fs::read(&file).unwrap_or_default();
        serde_json::from_slice(&text).is_ok_and(|result| when(&result))
    })
    .await;
    database.until(&format!("SELECT count(*) > 0 FROM {TABLE}")).await;
    program.signal(Signal::KILL);
    let ended = program.end().await;
    assert_eq!(ended.code, None);
    // Its last COMMIT may still be at work.
    let gone = "SELECT count(*) = 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'strom-load%'";
    database.until(gone).await;
    (ended, results)
}

fn acknowledged(ended: &Ended) -> u64 {
    ended.result()["stream"]["rows_acknowledged"].as_u64().unwrap()
}

/// Verifies what a killed loader left: every row is there, those behind its account told apart.
async fn is_right(database: &Database, ended: &Ended, results: &Path) {
    assert_eq!(ended.result()["status"], "running");
    let verified = verify(database, results).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    let more = verified.stdout.lines().find(|line| line.contains("more: the loader was killed"));
    let more = more.unwrap_or_else(|| panic!("{}", verified.stdout));
    let more = more.trim().split(' ').next().unwrap();
    assert!(verified.stdout.contains(&format!("not proven for the last {more} rows")), "{more}");
    assert!(!verified.stdout.contains("no other"), "{}", verified.stdout);
    let more: u64 = more.replace(',', "").parse().unwrap();
    assert_eq!(acknowledged(ended) + more, rows(database).await, "{}", verified.stdout);
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

#[tokio::test]
async fn a_loader_killed_after_a_checkpoint_is_verified_and_a_gap_is_found() {
    let database = Database::create().await;
    let saved = |result: &Value| result["stream"]["rows_acknowledged"].as_u64() > Some(0);
    let (ended, results) = killed(&database, saved).await;
    assert!(acknowledged(&ended) > 0);
    is_right(&database, &ended, &results).await;
    let first = ended.result()["stream"]["partitions"][0]["first_id"].as_i64().unwrap();
    let gap = format!("DELETE FROM {TABLE} WHERE gpu_partition = 0 AND id = {}", first + 10);
    database.execute(&gap).await;
    let verified = verify(&database, &results).await;
    assert_eq!(verified.code, Some(5), "{}{}", verified.stdout, verified.stderr);
    let finding = "partition 0: 1 lost, first rows 10..=10";
    assert!(verified.stdout.contains(finding), "{}", verified.stdout);
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
