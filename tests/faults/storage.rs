//! Faults of what the server keeps its log on: no room for it, and a promise that it broke.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use strom_load::pg::embedded::Halt;
use tokio::time::sleep;

use crate::support::Program;

use super::disk::SmallDisk;
use super::run::{Chance, Run, Site, TABLE, errors, rounds};

#[tokio::test]
async fn a_full_log_disk_takes_the_server_down_and_no_row_along() {
    // Little log, so that the disk is filled by what is to come.
    let settings = [("min_wal_size", "32MB"), ("max_wal_size", "64MB")];
    let ((mut server, site), mut chance) = (Site::own(&settings).await, Chance::new());
    let disk = SmallDisk::mount(&server, 160);
    let (wal, moved) = (server.data_dir().join("pg_wal"), disk.path().join("pg_wal"));
    server.halt(Halt::Fast).await.unwrap();
    for (program, paths) in
        [("cp", vec!["-a".as_ref(), wal.as_path(), &moved]), ("rm", vec!["-r".as_ref(), &wal])]
    {
        assert!(Command::new(program).args(paths).status().unwrap().success());
    }
    symlink(&moved, &wal).unwrap();
    server.resume().await.unwrap();
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    for _ in 0..rounds() {
        chance.pause(1_000).await;
        disk.fill();
        // Each switch takes a segment of 16 MB, until there is none, and no room for another.
        let client = site.client().await;
        let use_up = format!(
            "SELECT pg_switch_wal() FROM (SELECT pg_logical_emit_message(false, '{TABLE}', '')) m"
        );
        let mut switches = 0;
        while client.batch_execute(&use_up).await.is_ok() {
            switches += 1;
            assert!(switches < 100, "the disk does not fill");
        }
        sleep(Duration::from_millis(500)).await;
        disk.free();
        // It may have given up on recovering without room.
        server.halt(Halt::Kill).await.unwrap();
        server.resume().await.unwrap();
        site.flows().await;
    }
    let result = run.finish(&site).await;
    assert!(errors(&result["stream"], &["53100", "57P01", "57P02", "57P03", "08006"]) > 0);
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("PANIC"), "{log}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn rows_that_a_server_acknowledged_and_lost_are_reported_as_that() {
    // The server promises what it has not written, and writes as late as it can.
    let settings = [
        ("synchronous_commit", "off"),
        ("wal_writer_delay", "10s"),
        ("wal_writer_flush_after", "1GB"),
        ("wal_buffers", "64MB"),
    ];
    let (mut server, site) = Site::own(&settings).await;
    let run = Run::start(&site, site.port, &["--readers", "0"]).await;
    site.execute("CHECKPOINT").await;
    sleep(Duration::from_secs(2)).await;
    server.crash().await.unwrap();
    server.resume().await.unwrap();
    site.flows().await;
    run.program.signal(Signal::INT);
    let ended = run.program.end().await;
    assert_eq!(ended.code, Some(5), "{}{}", ended.stdout, ended.stderr);
    let result = ended.result();
    let mut lost = 0;
    for (number, audit) in result["stream"]["audit"].as_array().unwrap().iter().enumerate() {
        for other in ["doubled", "altered", "unexpected"] {
            assert_eq!(audit[other], Value::Array(Vec::new()), "{other}");
        }
        let first_id = result["stream"]["partitions"][number]["first_id"].as_i64().unwrap();
        for range in audit["lost"].as_array().unwrap() {
            let [first, last] = ["first", "last"].map(|end| range[end].as_i64().unwrap());
            let found = format!(
                "SELECT count(*) FROM {TABLE} WHERE gpu_partition = {number} \
                 AND id BETWEEN {} AND {}",
                first_id + first,
                first_id + last
            );
            assert_eq!(site.number(&found).await, 0, "{range}");
            lost += last - first + 1;
        }
    }
    let stream = &result["stream"];
    let acknowledged = stream["rows_acknowledged"].as_i64().unwrap();
    assert!(lost > 0, "{stream}");
    assert_eq!(site.rows().await, acknowledged - lost, "{stream}");
    assert!(ended.stdout.contains(" lost, first rows "), "{}", ended.stdout);
    // And again, from the saved result.
    let address = format!("host={} port={} user=postgres", site.socket_dir.display(), site.port);
    let results = ended.work().join("out");
    let verify = ["verify", results.to_str().unwrap(), "--database-url", &address];
    let verified = Program::start(&verify).end().await;
    assert_eq!(verified.code, Some(5), "{}", verified.stderr);
    assert!(verified.stdout.contains(" lost, first rows "), "{}", verified.stdout);
    server.stop().await.unwrap();
}
