//! What takes all of the machine: a binary of its own, as test binaries run one behind the other. Beside
//! any other test it would be to blame for what that one measures.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is tests; clippy exempts the test functions only, not what they share"
)]

#[allow(dead_code, reason = "the other binary uses the rest")]
mod support;

use std::process::{Child, Command};
use std::time::Duration;

use strom_load::pg::embedded::{Server, ServerOptions};
use tokio::time::sleep;

use support::{Program, ask, rounds};

/// Keeps all processors busy until it is dropped.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start(count: usize) -> Self {
        let hog = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        Self((0..count).map(|_| hog()).collect())
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            hog.kill().unwrap();
            hog.wait().unwrap();
        }
    }
}

#[tokio::test]
async fn blame_of_a_third_party_that_takes_all_cores() {
    for _ in 0..rounds() {
        let server = Server::start(&ServerOptions::default()).await.unwrap();
        let address = server.conninfo();
        let program = Program::start(&[
            "--database-url",
            &address,
            "--readers",
            "0",
            "--metrics-addr",
            "off",
            "--output",
            "out",
            "--warmup",
            "1s",
            "--duration",
            "5s",
            "--rate",
            "1M",
            "--batch-rows",
            "1000",
            "--drain-timeout",
            "1s",
        ]);
        let streams = "SELECT (to_regclass('l40s_realtime_stream') IS NOT NULL)::text";
        while ask(&server, streams).await != "true" {
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(1_500)).await;
        let cores = std::thread::available_parallelism().unwrap().get();
        // For as long as it measures: what reads the rows back would take very long beside them.
        let hogs = Hogs::start(cores * 12);
        sleep(Duration::from_secs(6)).await;
        drop(hogs);
        let ended = program.end().await;
        let loader = &ended.result()["loader"];
        assert_eq!(loader["bottleneck"], "machine", "{loader}\n{}", ended.stdout);
        assert!(loader["reason"].as_str().unwrap().contains("other programs took"), "{loader}");
        server.stop().await.unwrap();
    }
}
