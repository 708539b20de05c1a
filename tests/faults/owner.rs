//! Two loaders and one table: the first is away for a while, the second takes over, the first comes
//! back. No id is there twice, the first ends with 4 and says why, the second with 0.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::run::{Chance, Run, Site, TABLE, rounds};
use crate::proxy::Proxy;
use crate::support::{Ended, Program, scratch};

/// What every first loader is told: to be away is no reason to hurry.
const FIRST: [&str; 6] = ["--readers", "1", "--lease", "2s", "--reconnect-timeout", "5s"];

/// A loader straight at the server, for so long.
fn loader(site: &Site, user: &str, duration: &str, more: &[&str]) -> Program {
    let (folder, port, database) = (site.socket_dir.display(), site.port, &site.database);
    let address = format!("host={folder} port={port} user={user} dbname={database}");
    let mut args = vec!["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
    args.extend(["--warmup", "0s", "--readers", "0", "--duration", duration]);
    args.extend(more);
    Program::start_in(scratch(), &args, &[])
}

/// A second one.
fn second(site: &Site, user: &str, duration: &str) -> Program {
    loader(site, user, duration, &["--rate", "3000"])
}

/// Waits until a second loader has rows of its own.
async fn loads(site: &Site, second: &Program) {
    second.says("results in").await;
    site.flows().await;
}

/// What the two left: every row that either says is there is there once, and no other. Returns what
/// the first said.
async fn nothing_is_there_twice(site: &Site, first: Run, second: Program) -> Ended {
    let ended = second.end().await;
    let second = ended.done();
    assert_eq!(second["stream"]["errors"], json!({}), "{}", ended.stderr);
    let first = first.program.end().await;
    assert_eq!(first.code, Some(4), "{}\n{}", first.stdout, first.stderr);
    let result = first.result();
    assert_eq!(result["status"], "failed");
    let twice = format!("SELECT count(*) - count(DISTINCT (gpu_partition, id)) FROM {TABLE}");
    assert_eq!(site.number(&twice).await, 0, "{}\n{}", first.stderr, ended.stderr);
    let acknowledged = |result: &Value| result["stream"]["rows_acknowledged"].as_i64().unwrap();
    let rows = site.rows().await - acknowledged(&second) - acknowledged(&result);
    let undecided = result["stream"]["rows_undecided"].as_i64().unwrap();
    assert!((0..=undecided).contains(&rows), "{rows} of {undecided}: {}", first.stderr);
    // The next round begins anew.
    site.execute(&format!("DROP TABLE {TABLE}")).await;
    first
}

/// What the first must say where rows name the owner, and what it could prove of its own rows.
fn was_told_by_a_row(first: &Ended) {
    let said = &first.stderr;
    assert!(said.contains("another run took over partition "), "{said}");
    let stream = &first.result()["stream"];
    assert_eq!(stream["not_checked"], Value::Null, "{said}");
    assert_eq!(stream["rows_undecided"], 0, "{said}");
    assert_eq!(stream["rows_found"], stream["rows_acknowledged"], "{said}");
}

#[tokio::test]
async fn a_loader_that_slept_through_a_restart_finds_another_in_its_place() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    for _ in 0..rounds() {
        let first = Run::start(&site, site.port, &FIRST).await;
        chance.pause(300).await;
        first.program.signal(Signal::STOP);
        server.restart().await.unwrap();
        let other = second(&site, "postgres", "2s");
        loads(&site, &other).await;
        chance.pause(500).await;
        first.program.signal(Signal::CONT);
        was_told_by_a_row(&nothing_is_there_twice(&site, first, other).await);
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_loader_that_is_stopped_keeps_its_table_for_its_lease_and_no_longer() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    for _ in 0..rounds() {
        // A batch every three seconds: by its rows alone it would not live.
        let slow = ["--rate", "1", "--partitions", "1", "--batch-rows", "3", "--linger", "10s"];
        let limits = ["--lease", "2s", "--reconnect-timeout", "5s"];
        let first = loader(&site, "postgres", "1m", &[slow.as_slice(), &limits].concat());
        first.says("results in").await;
        sleep(Duration::from_millis(6_500)).await;
        chance.pause(300).await;
        let control = "FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'strom-load control'";
        let control = site.number(&format!("SELECT min(pid)::bigint {control}")).await;
        first.signal(Signal::STOP);
        let refused = second(&site, "postgres", "1s").end().await;
        let is_there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {control}");
        // On a machine that is too busy to start a program within the lease it may be over by now.
        if site.number(&is_there).await > 0 {
            assert_eq!(refused.code, Some(3), "{}", refused.stderr);
            assert!(refused.stderr.contains("after its --lease"), "{}", refused.stderr);
        }
        let gone = "SELECT (count(*) = 0)::int::bigint FROM pg_stat_activity \
                    WHERE datname = current_database() \
                    AND application_name SIMILAR TO 'strom-load (control|producer%)'";
        site.until(gone).await;
        let other = second(&site, "postgres", "1s").end().await;
        assert_eq!(other.done()["stream"]["errors"], json!({}));
        first.signal(Signal::CONT);
        let first = first.end().await;
        assert_eq!(first.code, Some(4), "{}", first.stderr);
        // Where the lease was over for the second one already, a third came after it: then the row says
        // where its own rows begin, and not where those of the second did.
        match refused.code {
            Some(0) => assert!(first.stderr.contains("another run took over"), "{}", first.stderr),
            _ => was_told_by_a_row(&first),
        }
        // Without a word between its batches it would have lost each session, and the last by the stop.
        let lapsed = first.result()["stream"]["errors"]["57P05"].as_u64().unwrap_or(0);
        assert!(lapsed <= 2, "{lapsed}: {}", first.stderr);
        let twice = format!("SELECT count(*) - count(DISTINCT (gpu_partition, id)) FROM {TABLE}");
        assert_eq!(site.number(&twice).await, 0, "{}", first.stderr);
        site.execute(&format!("DROP TABLE {TABLE}")).await;
    }
}

#[tokio::test]
async fn a_loader_whose_network_was_gone_finds_another_in_its_place() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    for _ in 0..rounds() {
        let patient = ["--readers", "0", "--lease", "2s", "--reconnect-timeout", "30s"];
        let first = Run::start(&site, proxy.port(), &patient).await;
        chance.pause(300).await;
        proxy.begin_hole().unwrap();
        server.restart().await.unwrap();
        let other = second(&site, "postgres", "2s");
        loads(&site, &other).await;
        chance.pause(500).await;
        proxy.end_hole().unwrap();
        proxy.reset();
        was_told_by_a_row(&nothing_is_there_twice(&site, first, other).await);
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_loader_that_loses_its_control_session_at_the_end_keeps_its_table_until_it_is_read_back()
{
    let (site, mut chance) = (Site::shared().await, Chance::new());
    for _ in 0..rounds() {
        let mut first = loader(&site, "postgres", "4s", &["--rate", "3000"]);
        first.says("results in").await;
        sleep(Duration::from_secs(3)).await;
        chance.pause(900).await;
        site.terminate("control").await;
        // As a supervisor does that starts it again and again.
        while first.child.try_wait().unwrap().is_none() {
            let other =
                loader(&site, "postgres", "1s", &["--rate", "300", "--recreate"]).end().await;
            let still_runs = first.child.try_wait().unwrap().is_none();
            assert!(!still_runs || other.code == Some(3), "{}{}", other.stdout, other.stderr);
        }
        let ended = first.end().await;
        let result = ended.done();
        let of = |figure: &str| result["stream"][figure].as_u64();
        assert_eq!(of("rows_found"), of("rows_acknowledged"), "{}", ended.stderr);
        site.execute(&format!("DROP TABLE IF EXISTS {TABLE}")).await;
    }
}

#[tokio::test]
async fn a_loader_that_is_away_while_it_reads_back_finds_another_in_its_place() {
    let site = Site::shared().await;
    for _ in 0..rounds() {
        let first = loader(&site, "postgres", "2s", &["--rate", "max"]);
        first.says("results in").await;
        let reads_back = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                          AND application_name = 'strom-load audit'";
        site.until(reads_back).await;
        first.signal(Signal::STOP);
        // As after a restart: its locks are gone.
        site.terminate("%").await;
        let other = second(&site, "postgres", "2s");
        loads(&site, &other).await;
        first.signal(Signal::CONT);
        let first = nothing_is_there_twice(&site, Run { program: first }, other).await;
        was_told_by_a_row(&first);
        assert!(first.stderr.contains("after the load: "), "{}", first.stderr);
    }
}

#[tokio::test]
async fn without_the_right_to_create_the_lock_decides_alone_and_the_summary_says_so() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let role = format!("plain_{}", site.database);
    site.execute(&format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"))
        .await;
    for _ in 0..rounds() {
        let mut first = second(&site, &role, "1m");
        first.says("results in").await;
        site.until(&format!("SELECT count(to_regclass('{TABLE}'))")).await;
        site.flows().await;
        first.signal(Signal::STOP);
        // As after a restart: its locks are gone.
        site.terminate("%").await;
        let other = second(&site, &role, "6s");
        loads(&site, &other).await;
        chance.pause(500).await;
        first.signal(Signal::CONT);
        assert!(first.child.try_wait().unwrap().is_none());
        let first = nothing_is_there_twice(&site, Run { program: first }, other).await;
        assert!(
            first.stderr.contains("another run took over the table: session"),
            "{}",
            first.stderr
        );
        let says = format!("by lock alone: role {role} may not CREATE in database");
        assert!(first.stdout.contains(&says), "{}", first.stdout);
    }
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'strom_load'";
    assert_eq!(site.number(schemas).await, 0);
    site.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_run_that_may_not_write_the_rows_that_others_go_by_is_refused() {
    let site = Site::shared().await;
    second(&site, "postgres", "1s").end().await.done();
    let role = format!("shut_{}", site.database);
    site.execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}"
    ))
    .await;
    let rows = site.rows().await;
    let refused = second(&site, &role, "1s").end().await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert_eq!(site.rows().await, rows);
    // What it says mends it.
    let (_, fix) = refused.stderr.split_once("strom_load run: ").unwrap();
    site.execute(fix.lines().next().unwrap()).await;
    second(&site, &role, "1s").end().await.done();
    site.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
