//! A GPU service that does not answer: what a reload makes of PG-Strom's until somebody wakes it.
//! The stand-in for PG-Strom sleeps in the same way; `pgstrom/stand_in.c` tells how.

use std::fs;

use strom_load::pg::embedded::Server;
use tempfile::TempDir;

use crate::support::{Ended, Program, scratch, with_stand_in};

/// A server with PG-Strom loaded, as far as its settings say, and its address.
struct Strom {
    server: Server,
    address: String,
    /// Goes with the library in it.
    library: TempDir,
}

impl Strom {
    async fn start() -> Self {
        let (library, server) = with_stand_in(&[]).await;
        let folder = server.socket_dir().display();
        let address = format!("host={folder} port={} user=postgres dbname=postgres", server.port());
        Self { server, address, library }
    }

    /// Lets no query on the GPU be answered, whatever is done about it.
    fn kill_service(&self) {
        fs::write(self.server.data_dir().join("pg_strom.dead"), "").unwrap();
    }

    async fn stop(self) {
        self.server.stop().await.unwrap();
        self.library.close().unwrap();
    }

    async fn run(&self, args: &[&str]) -> Ended {
        self.program(scratch(), args).end().await
    }

    fn program(&self, folder: TempDir, args: &[&str]) -> Program {
        let all = [args, &["--database-url", &self.address]].concat();
        Program::start_in(folder, &all, &[])
    }
}

/// With a key, so that a table that is there is counted.
const TABLE: &str = r#"
[[tables]]
name = "l40s_counted"
rows = 50000
[[tables.columns]]
name = "id"
type = "bigint"
values = "row_id"
"#;

#[tokio::test]
async fn nothing_of_our_own_goes_by_the_gpu() {
    let strom = Strom::start().await;
    strom.kill_service();
    let stream = ["--gpu", "off", "--duration", "2s", "--warmup", "0s"];
    let stream = [&stream[..], &["--metrics-addr", "off", "--output", "out"]].concat();
    // Twice: the second finds rows, whose highest id it asks for.
    for _ in 0..2 {
        let ended = strom.run(&stream).await;
        let result = ended.done();
        let rows = &result["stream"];
        assert_eq!(rows["rows_found"], rows["rows_acknowledged"], "every row was read back");
        let out = ended.work().join("out");
        let verified = strom.run(&["verify", out.to_str().unwrap()]).await;
        assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    }
    let counted = strom.run(&[&stream[..], &["--audit", "count"]].concat()).await;
    assert_eq!(counted.code, Some(0), "{}", counted.stderr);
    // Filled, then counted and read back.
    for _ in 0..2 {
        let folder = scratch();
        let path = folder.path().join("tables.toml");
        fs::write(&path, TABLE).unwrap();
        let fill = ["fill", path.to_str().unwrap(), "--verify"];
        let ended = strom.program(folder, &fill).end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let arrow = strom.run(&["arrow", "--from", "l40s_counted", "--file", "rows.arrow"]).await;
    assert_eq!(arrow.code, Some(0), "{}", arrow.stderr);
    let doctor = strom.run(&["doctor"]).await;
    assert_eq!(doctor.code, Some(0), "{}", doctor.stderr);
    strom.stop().await;
}
