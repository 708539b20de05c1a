//! Rows that are told apart by a UUID or by a text: no COMMIT whose answer is lost loses or doubles one.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::sleep;

use super::run::{Chance, Site, rounds};
use crate::proxy::{CommitCut, Proxy};
use crate::support::{Ended, Program, scratch, until};

const UUID: &str = r#"type = "uuid", values = "row_id""#;
const TEXT: &str = r#"type = "text", values = { pattern = "order-{row_id}" }"#;

/// A loader into the table `told`, until it is stopped.
fn start(site: &Site, port: u16, identity: &str, more: &[&str]) -> Program {
    let folder = scratch();
    let file = folder.path().join("told.toml");
    let profile = format!(
        "warmup_s = 0\nduration_s = \"forever\"\n[stream]\ntable = \"told\"\nrows_per_s = 3000\nbatch_rows = 20\n\
         columns = [\n{{ name = \"id\", {identity} }},\n\
         {{ name = \"size\", type = \"integer\", values = {{ integer = {{ min = 1, max = 9 }} }} }},\n]\n\
         [readers]\ncount = 0\n"
    );
    fs::write(&file, profile).unwrap();
    let database = &site.database;
    let address = format!("host=127.0.0.1 port={port} user=postgres dbname={database}");
    let file = file.display().to_string();
    let usual =
        ["run", &file, "--database-url", &address, "--output", "out", "--metrics-addr", "off"];
    let env = [("PGPASSWORD", &*site.password), ("PGCONNECT_TIMEOUT", "1")];
    Program::start_in(folder, &[&usual[..], more].concat(), &env)
}

/// Waits until rows come in.
async fn flows(site: &Site) {
    let before = site.number("SELECT count(*) FROM told").await;
    site.until(&format!("SELECT count(*) - {before} FROM told")).await;
}

/// Every row that was due by the end of a run that was stopped is there, and once.
async fn is_whole(site: &Site, run: Program) -> Value {
    run.signal(Signal::INT);
    let ended = run.end().await;
    // A busy machine may have made it late, which has a code of its own.
    assert!([Some(130), Some(6)].contains(&ended.code), "{}{}", ended.stdout, ended.stderr);
    let result = ended.result();
    let stream = &result["stream"];
    for key in ["rows_found", "rows_acknowledged"] {
        assert_eq!(stream[key], stream["rows_due"], "{key}: {}{}", ended.stdout, ended.stderr);
    }
    let counted = "SELECT count(*)::bigint FROM told";
    assert_eq!(Some(site.number(counted).await), stream["rows_due"].as_i64(), "{}", ended.stderr);
    let twice = "SELECT count(*) - count(DISTINCT id) FROM told";
    assert_eq!(site.number(twice).await, 0, "{}", ended.stderr);
    result
}

/// No index keeps a row out that would be there twice.
async fn table(site: &Site, identity: &str) {
    let sql_type = if identity == UUID { "uuid" } else { "text" };
    site.execute(&format!("CREATE TABLE told (id {sql_type}, size integer)")).await;
    site.execute("CREATE INDEX ON told (id)").await;
}

#[tokio::test]
async fn commits_without_an_answer_are_found_or_sent_again() {
    for identity in [UUID, TEXT] {
        let (site, mut chance) = (Site::shared().await, Chance::new());
        table(&site, identity).await;
        let proxy = Proxy::start(site.port).await;
        let run = start(&site, proxy.port(), identity, &[]);
        flows(&site).await;
        for count in 1..=12 * rounds() {
            chance.pause(100).await;
            proxy.cut_commit(match count % 3 {
                0 => CommitCut::Before,
                1 => CommitCut::Answered,
                _ => CommitCut::Sent { linger: Duration::from_millis(chance.below(100)) },
            });
            until("a COMMIT is cut", || proxy.cuts() >= count).await;
        }
        for _ in 0..3 * rounds() {
            chance.pause(300).await;
            site.terminate(&format!("producer {}", chance.below(3))).await;
        }
        flows(&site).await;
        let result = is_whole(&site, run).await;
        let outages = result["stream"]["outages"].as_array().unwrap();
        assert!(!outages.is_empty(), "{}", result["stream"]);
        site.execute("DROP TABLE told").await;
    }
}

#[tokio::test]
async fn a_crash_of_the_server_loses_and_doubles_none() {
    for identity in [UUID, TEXT] {
        let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
        table(&site, identity).await;
        let run = start(&site, site.port, identity, &[]);
        flows(&site).await;
        for _ in 0..2 * rounds() {
            chance.pause(500).await;
            server.crash().await.unwrap();
            sleep(Duration::from_millis(100)).await;
            server.resume().await.unwrap();
            flows(&site).await;
        }
        is_whole(&site, run).await;
        server.stop().await.unwrap();
    }
}

/// What a loader whose table another one took knows of its own rows.
fn knows_its_own(first: &Ended) {
    assert_eq!(first.code, Some(4), "{}\n{}", first.stdout, first.stderr);
    let stream = &first.result()["stream"];
    assert!(first.stderr.contains("another run took over the table"), "{}", first.stderr);
    assert_eq!(stream["not_checked"], Value::Null, "{}", first.stderr);
    assert_eq!(stream["rows_undecided"], 0, "{}", first.stderr);
    assert_eq!(stream["rows_found"], stream["rows_acknowledged"], "{}", first.stderr);
}

#[tokio::test]
async fn a_loader_whose_table_was_taken_over_knows_which_rows_are_its_own() {
    for identity in [UUID, TEXT] {
        let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
        table(&site, identity).await;
        let limits = ["--lease", "2s", "--reconnect-timeout", "5s"];
        let first = start(&site, site.port, identity, &limits);
        flows(&site).await;
        chance.pause(300).await;
        first.signal(Signal::STOP);
        server.restart().await.unwrap();
        let second = start(&site, site.port, identity, &["--duration", "2s"]);
        second.says("results in").await;
        flows(&site).await;
        chance.pause(500).await;
        first.signal(Signal::CONT);
        let second = second.end().await;
        let other = second.done();
        assert_eq!(other["stream"]["rows_found"], other["stream"]["rows_due"], "{}", second.stderr);
        let first = first.end().await;
        knows_its_own(&first);
        let twice = "SELECT count(*) - count(DISTINCT id) FROM told";
        assert_eq!(site.number(twice).await, 0, "{}\n{}", first.stderr, second.stderr);
        server.stop().await.unwrap();
    }
}
