//! Rows without an identity: what is in doubt when the server crashes is never called there.

use std::fs;

use rustix::process::Signal;
use tokio::time::{Duration, sleep};

use super::run::{Chance, Site, rounds};
use crate::support::{Program, scratch};

const PROFILE: &str = r#"
warmup_s = 0
duration_s = "forever"
[stream]
table = "plain"
identity = "none"
rows_per_s = 5000
batch_rows = 20
connections = 7
columns = [{ name = "size", type = "integer", values = { integer = { min = 1, max = 9 } } }]
[readers]
count = 0
"#;

/// After a crash the server gives numbers of transactions again: with several connections that of one
/// batch is soon another's, which it calls committed.
#[tokio::test]
async fn a_crash_leaves_them_undecided_and_none_is_lost_unsaid() {
    let ((mut server, site), mut chance) = (Site::own(&[]).await, Chance::new());
    site.execute("CREATE TABLE plain (size integer)").await;
    let folder = scratch();
    let file = folder.path().join("nameless.toml");
    fs::write(&file, PROFILE).unwrap();
    let (address, file) = (server.conninfo(), file.display().to_string());
    let args =
        ["run", &file, "--database-url", &address, "--output", "out", "--metrics-addr", "off"];
    let run = Program::start_in(folder, &args, &[]);
    for _ in 0..3 * rounds() {
        let before = site.number("SELECT count(*) FROM plain").await;
        site.until(&format!("SELECT count(*) - {before} FROM plain")).await;
        chance.pause(500).await;
        server.crash().await.unwrap();
        sleep(Duration::from_millis(100)).await;
        server.resume().await.unwrap();
    }
    let before = site.number("SELECT count(*) FROM plain").await;
    site.until(&format!("SELECT count(*) - {before} FROM plain")).await;
    run.signal(Signal::INT);
    let ended = run.end().await;
    let result = ended.result();
    let number = |key: &str| result["stream"][key].as_i64().unwrap();
    let (acknowledged, undecided) = (number("rows_acknowledged"), number("rows_undecided"));
    let more = site.number("SELECT count(*) FROM plain").await - acknowledged;
    assert!((0..=undecided).contains(&more), "{more} of {undecided}: {}", ended.stderr);
    server.stop().await.unwrap();
}
