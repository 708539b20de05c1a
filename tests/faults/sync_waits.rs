//! Waits for a synchronous standby that somebody cancels: the batch is on the primary, and counted.

use super::run::{Chance, LOST, Run, Site, TABLE, errors, rounds};

/// Whether all producers wait for a standby.
const WAITING: &str = "SELECT (count(*) = 3)::int::bigint FROM pg_stat_activity \
    WHERE wait_event = 'SyncRep' AND application_name LIKE 'strom-load producer%'";

/// Does something to a producer that waits for a standby, until its rows are seen: those of
/// transactions that wait are not.
async fn to_a_waiting_one(site: &Site, what: &str) {
    // Whatever was sent before the wait began is seen by then.
    site.until(WAITING).await;
    let before = site.rows().await;
    site.until(&format!(
        "SELECT count({what}(pid)) FROM (SELECT pid FROM pg_stat_activity \
         WHERE wait_event = 'SyncRep' AND application_name LIKE 'strom-load producer%' \
         LIMIT 1) AS waiting"
    ))
    .await;
    site.until(&format!("SELECT count(*) - {before} FROM {TABLE}")).await;
}

#[tokio::test]
async fn cancelled_waits_for_a_synchronous_standby_are_counted() {
    let ((server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    site.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    site.execute("SELECT pg_reload_conf()").await;
    let mut least = 0;
    for _ in 0..2 * rounds() {
        chance.pause(200).await;
        to_a_waiting_one(&site, "pg_cancel_backend").await;
        to_a_waiting_one(&site, "pg_terminate_backend").await;
        least += 2;
    }
    site.execute("ALTER SYSTEM RESET synchronous_standby_names").await;
    site.execute("SELECT pg_reload_conf()").await;
    site.flows().await;
    let result = run.finish(&site).await;
    let stream = &result["stream"];
    let counted = stream["batches_sync_unconfirmed"].as_u64().unwrap();
    // Other waits ended in order, once there was no standby to wait for.
    let batches = stream["batches"].as_u64().unwrap();
    assert!((least..=least + 3).contains(&counted) && counted < batches, "{counted}: {stream}");
    assert!(errors(stream, LOST) > 0, "{stream}");
    server.stop().await.unwrap();
}
