//! Faults for real: whatever breaks between the loader and its server, and in it, every row that
//! was due is in the table once.
//!
//! Moments and places are drawn from FAULT_SEED, which is printed. STROM_LOAD_FAULT_ROUNDS=20
//! makes the long job of it: each fault at least 20 times.

mod command;
pub(crate) mod disk;
mod identity;
mod nameless;
mod owner;
mod run;
mod storage;
mod sync_waits;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::proxy::{CommitCut, Proxy, Slow, Way};
use crate::support::{PATIENCE, until};
use disk::SmallDisk;
use run::{Chance, LOST, Run, Site, TABLE, errors, looked_at, rounds};

#[tokio::test]
async fn backends_are_terminated() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &[]).await;
    for _ in 0..5 * rounds() {
        chance.pause(500).await;
        site.terminate(&format!("producer {}", chance.partition())).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    // A batch sent just then is answered by a reset, which takes the server's last words along.
    assert!(errors(&result["stream"], &["57P01", "08006"]) > 0);
}

#[tokio::test]
async fn a_killed_backend_takes_all_sessions_along() {
    let ((server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..2 * rounds() {
        chance.pause(1_000).await;
        let pid = format!(
            "SELECT coalesce(min(pid), 0)::bigint FROM pg_stat_activity \
             WHERE application_name = 'strom-load producer {}'",
            chance.partition()
        );
        let pid = site.until(&pid).await;
        kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
        recovered(&site).await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

/// Waits until the server, gone a moment ago, takes connections and rows.
async fn recovered(site: &Site) {
    let mut config = tokio_postgres::Config::new();
    config.host_path(&site.socket_dir).port(site.port).user("postgres").dbname(&site.database);
    let deadline = Instant::now() + PATIENCE;
    // A backend that still answers may be one of before.
    sleep(Duration::from_millis(200)).await;
    while config.connect(tokio_postgres::NoTls).await.is_err() {
        assert!(Instant::now() < deadline, "the server does not come back");
        sleep(Duration::from_millis(50)).await;
    }
    site.flows().await;
}

#[tokio::test]
async fn the_whole_server_is_killed_and_started_again() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(1_000).await;
        server.crash().await.unwrap();
        chance.pause(500).await;
        server.resume().await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_is_restarted_in_order() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(1_000).await;
        server.restart().await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn connections_are_reset() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "1"]).await;
    for _ in 0..5 * rounds() {
        chance.pause(600).await;
        proxy.reset();
    }
    site.flows().await;
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

#[tokio::test]
async fn connections_are_cut_after_any_byte() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for cut in 1..=20 * rounds() {
        // A batch is some 9 kB there, and 100 bytes back.
        match chance.below(2) {
            0 => proxy.cut_after(Way::ToServer, chance.below(20_000) as usize),
            _ => proxy.cut_after(Way::ToClient, chance.below(400) as usize),
        }
        until("the connection is cut", || proxy.cuts() >= cut).await;
        chance.pause(50).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

/// Cuts connections at a COMMIT, 20 times a round.
async fn cut_commits(cut: impl Fn(&mut Chance) -> CommitCut) {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for count in 1..=20 * rounds() {
        chance.pause(100).await;
        proxy.cut_commit(cut(&mut chance));
        until("a COMMIT is cut", || proxy.cuts() >= count).await;
    }
    site.flows().await;
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    let outages = stream["outages"].as_array().unwrap().len() as u64;
    let failed: BTreeMap<String, u64> =
        serde_json::from_value(stream["attempts_failed"].clone()).unwrap();
    let errors = errors(stream, LOST);
    assert_eq!(errors, outages, "an outage is one error: {stream}");
    // A batch that was sent again may be cut, too.
    let again: u64 = failed.values().sum();
    assert_eq!(errors + again, 20 * rounds(), "each cut is counted once: {stream}");
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_sent_again() {
    cut_commits(|_| CommitCut::Before).await;
}

#[tokio::test]
async fn a_commit_that_was_answered_is_not_sent_again() {
    cut_commits(|_| CommitCut::Answered).await;
}

#[tokio::test]
async fn a_commit_that_may_still_be_at_work_is_waited_for() {
    cut_commits(|chance| {
        // Now and then the lost session's backend outlives the patience with it.
        let most_ms = if chance.below(20) == 0 { 4_000 } else { 100 };
        CommitCut::Sent { linger: Duration::from_millis(chance.below(most_ms)) }
    })
    .await;
}

#[tokio::test]
async fn new_connections_fall_into_a_black_hole() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "2"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        proxy.reset();
        proxy.begin_hole().unwrap();
        sleep(Duration::from_millis(1_500)).await;
        proxy.end_hole().unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
}

#[tokio::test]
async fn a_slow_link_delays_and_breaks_nothing() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let run = Run::start(&site, proxy.port(), &["--readers", "0"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let delay = Duration::from_millis(chance.below(20));
        // Some 170 kB/s are due on each.
        proxy.slow(Some(Slow { delay, bytes_per_s: 50e3 }));
        sleep(Duration::from_millis(1_500)).await;
        proxy.slow(None);
    }
    site.flows().await;
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    assert_eq!(errors(stream, &[]), 0);
    assert!(stream["response"]["max_ms"].as_f64().unwrap() > 500.0, "{}", stream["response"]);
}

#[tokio::test]
async fn a_locked_table_is_waited_for() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let other = site.client().await;
        let lock = format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE");
        other.batch_execute(&lock).await.unwrap();
        sleep(Duration::from_secs(3)).await;
        other.batch_execute("COMMIT").await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    assert_eq!(errors(stream, &[]), 0);
    assert!(stream["response"]["max_ms"].as_f64().unwrap() > 2_500.0, "{}", stream["response"]);
}

#[tokio::test]
async fn a_wait_for_a_lock_that_is_cancelled_is_told_as_that_and_as_nothing_else() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let other = site.client().await;
        let lock = format!("BEGIN; LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE");
        other.batch_execute(&lock).await.unwrap();
        for _ in 0..3 {
            // A COPY that is cancelled before its first row.
            site.until(
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock' \
                 AND application_name LIKE 'strom-load producer%'",
            )
            .await;
        }
        other.batch_execute("COMMIT").await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    assert!(errors(stream, &["57014"]) > 0, "{stream}");
    let again: BTreeMap<String, u64> =
        serde_json::from_value(stream["attempts_failed"].clone()).unwrap();
    assert!(again.keys().all(|code| code == "57014"), "{again:?}");
}

#[tokio::test]
async fn connection_slots_run_out() {
    let slots = [("max_connections", "12"), ("superuser_reserved_connections", "1")];
    let ((server, site), mut chance) = (Site::own(&slots).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "1"]).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        let mut config = tokio_postgres::Config::new();
        config.host_path(&site.socket_dir).port(site.port).user("postgres");
        let control = site.client().await;
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE application_name LIKE 'strom-load producer%' \
                         OR application_name LIKE 'strom-load reader%'";
        let (mut taken, began, mut terminated) = (Vec::new(), Instant::now(), false);
        // Whoever asks more often gets the slots that become free.
        while began.elapsed() < Duration::from_millis(2_500) {
            match config.connect(tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    taken.push(client);
                }
                Err(full) => {
                    assert_eq!(full.code().unwrap().code(), "53300", "{full}");
                    if !terminated {
                        control.batch_execute(terminate).await.unwrap();
                        terminated = true;
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
        assert!(terminated);
        drop((control, taken));
        sleep(Duration::from_millis(200)).await;
        site.flows().await;
    }
    let result = run.finish(&site).await;
    // Each attempt to connect that found no slot is counted, and none is an error of a batch: those
    // are the outages.
    let stream = &result["stream"];
    assert!(stream["attempts_failed"]["53300"].as_u64() > Some(0), "{stream}");
    let outages = stream["outages"].as_array().unwrap().len() as u64;
    assert_eq!(errors(stream, LOST), outages, "{stream}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn readers_are_terminated_and_ask_on() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "2"]).await;
    for _ in 0..5 * rounds() {
        chance.pause(500).await;
        site.terminate(&format!("reader {}", chance.below(2))).await;
    }
    let back = "SELECT greatest(count(*) - 1, 0) FROM pg_stat_activity \
                WHERE datname = current_database() \
                AND application_name LIKE 'strom-load reader%' AND state = 'active'";
    site.until(back).await;
    let result = run.finish(&site).await;
    assert_eq!(errors(&result["stream"], &[]), 0);
    let queries = result["queries"].as_array().unwrap();
    let failed: u64 = queries.iter().map(|query| errors(query, LOST)).sum();
    // Each lost session, and each attempt to connect anew that came to nothing.
    assert!(failed > 0);
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let ((server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let disk = SmallDisk::mount(&server, 32);
    let location = disk.tablespace();
    site.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", location.display())).await;
    site.execute("ALTER DATABASE postgres SET default_tablespace = 'small'").await;
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    for _ in 0..2 * rounds() {
        chance.pause(500).await;
        disk.fill();
        sleep(Duration::from_millis(500)).await;
        disk.free();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], &["53100"]) > 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_in_doubt_when_the_load_ends_is_asked_about_once_more() {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    let linger = Duration::from_millis(200);
    for _ in 0..rounds() {
        for cut in [CommitCut::Before, CommitCut::Sent { linger }, CommitCut::Answered] {
            let args = ["--readers", "0", "--on-fault", "stop"];
            let run = Run::start(&site, proxy.port(), &args).await;
            chance.pause(100).await;
            proxy.cut_commit(cut);
            let ended = run.program.end().await;
            let result = looked_at(&site, &ended, 4).await;
            let stream = &result["stream"];
            assert_eq!(stream["rows_undecided"], 0, "{stream}\n{}", ended.stderr);
            // What never arrived is not sent any more.
            let dropped = stream["rows_dropped"].as_u64();
            assert!(cut != CommitCut::Before || dropped > Some(0), "{stream}\n{}", ended.stderr);
            site.execute(&format!("DROP TABLE {TABLE}")).await;
        }
    }
}

/// Every session falls silent for good; nothing tells the loader, and nothing the server, whose
/// backends must be terminated. Returns how long rows did not come in.
async fn fall_silent(args: &[&str], limits: &str) -> Duration {
    let (site, mut chance) = (Site::shared().await, Chance::new());
    let proxy = Proxy::start(site.port).await;
    // Rounds follow each other faster than a server is usually asked to catch up; nothing may be
    // dropped here.
    let patience = ["--backlog-rows", "50M", "--catch-up", "50"];
    let args = [args, &patience].concat();
    let run = Run::start_with(&site, proxy.port(), &args, limits).await;
    let mut longest = Duration::ZERO;
    for _ in 0..rounds() {
        chance.pause(500).await;
        proxy.begin_hole().unwrap();
        sleep(Duration::from_millis(100)).await;
        proxy.end_hole().unwrap();
        let began = Instant::now();
        site.flows().await;
        longest = longest.max(began.elapsed());
        // Time for what became overdue.
        sleep(began.elapsed() / 4).await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], LOST) > 0);
    longest
}

#[tokio::test]
async fn old_connections_fall_into_a_black_hole() {
    let args = ["--readers", "1", "--reconnect-timeout", "4s"];
    fall_silent(&args, "keepalives=0 tcp_user_timeout=0").await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_noticed_though_the_network_says_nothing() {
    let args = ["--readers", "0", "--reconnect-timeout", "10m", "--batch-timeout", "1s"];
    let longest = fall_silent(&args, "keepalives=0 tcp_user_timeout=0").await;
    assert!(longest < Duration::from_secs(60), "{longest:?}");
}

#[tokio::test]
async fn silence_is_noticed_by_the_network_long_before_an_outage_is_too_long() {
    let args = ["--readers", "1", "--reconnect-timeout", "10m"];
    let limits = "keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000";
    fall_silent(&args, limits).await;
}

#[tokio::test]
async fn silence_is_noticed_without_being_asked_for() {
    // Far from the 10 minutes, or the 15 that the system would take by itself.
    let longest = fall_silent(&["--readers", "0", "--reconnect-timeout", "10m"], "").await;
    assert!(longest < Duration::from_secs(60), "{longest:?}");
}

#[tokio::test]
async fn what_a_backlog_cannot_hold_is_dropped_and_said() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let args = [
        "--readers",
        "0",
        "--backlog-rows",
        "3000",
        "--drain-timeout",
        "1s",
        "--reconnect-timeout",
        "10s",
    ];
    let run = Run::start(&site, site.port, &args).await;
    for _ in 0..rounds() {
        chance.pause(500).await;
        server.crash().await.unwrap();
        sleep(Duration::from_millis(1_500)).await;
        server.resume().await.unwrap();
        site.flows().await;
    }
    // It ends while the server is gone: the batch in hand is given up after its backlog.
    server.crash().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    run.program.signal(Signal::INT);
    let ended = run.program.end().await;
    server.resume().await.unwrap();
    // Dropped rows outweigh the signal.
    let result = looked_at(&site, &ended, 6).await;
    assert!(result["stream"]["rows_dropped"].as_u64().unwrap() > 3_000, "{}", result["stream"]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_outage_beyond_its_bound_ends_the_run_with_a_whole_account() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let args = ["--readers", "0", "--reconnect-timeout", "1s"];
    let run = Run::start(&site, site.port, &args).await;
    chance.pause(500).await;
    server.crash().await.unwrap();
    let ended = run.program.end().await;
    server.resume().await.unwrap();
    let result = looked_at(&site, &ended, 4).await;
    let said = result["error"].as_str().unwrap();
    assert!(said.contains("refused") && said.contains("--reconnect-timeout (1 s)"), "{said}");
    server.stop().await.unwrap();
}
