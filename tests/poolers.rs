//! PgBouncer between the loader and its server: whole in session mode, refused in the others.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{Database, Ended, Program, scratch, shared, until};

/// A pooler in front of the shared server; ends when it is dropped.
struct PgBouncer {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl PgBouncer {
    async fn start(settings: &str) -> Self {
        let server = shared();
        let folder = scratch();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = folder.path().join("pgbouncer.ini");
        let socket_dir = server.socket_dir.display();
        let text = format!(
            "[databases]\n* = host={socket_dir} port={} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             {settings}\n",
            server.port
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        // It refuses to be root, so it gets the server's account.
        let owner = fs::metadata(&server.socket_dir).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let mut command = if is_root {
            let mut through = Command::new("setpriv");
            through.arg(format!("--reuid={}", owner.uid()));
            through.arg(format!("--regid={}", owner.gid()));
            through.args(["--clear-groups", "pgbouncer"]);
            through
        } else {
            Command::new("pgbouncer")
        };
        command.arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().unwrap();
        until("PgBouncer listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
            .await;
        Self { port, process, _folder: folder }
    }

    /// A stream through it.
    async fn run(&self, database: &Database, args: &[&str]) -> Ended {
        let all = [&["--warmup", "0s", "--duration", "2s", "--metrics-addr", "off"], args].concat();
        self.command(database, &all).await
    }

    /// Any command through it.
    async fn command(&self, database: &Database, args: &[&str]) -> Ended {
        let address = format!(
            "host=127.0.0.1 port={} user=postgres dbname={} sslmode=disable",
            self.port, database.name
        );
        let to = ["--database-url", &address, "--output", "out"];
        Program::start(&[args, &to].concat()).end().await
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn session_mode_works_whole() {
    let pooler = PgBouncer::start("pool_mode = session").await;
    let database = Database::create().await;
    let ended = pooler.run(&database, &["--rate", "3000", "--readers", "1"]).await;
    let result = ended.done();
    let stream = &result["stream"];
    assert_eq!(stream["rows_acknowledged"], 6_000);
    assert_eq!(stream["rows_found"], 6_000);
    assert!(stream["audit"].is_array());
    // Its sessions, and with them their locks, are the pooler's to keep: a second run gets them.
    fs::rename(ended.work().join("out"), ended.work().join("first")).unwrap();
    pooler.run(&database, &["--readers", "0"]).await.done();
}

/// Ends before anything was made, with one error that says what to do.
async fn is_refused(settings: &str, says: &str) {
    let pooler = PgBouncer::start(settings).await;
    let database = Database::create().await;
    refused(&database, &pooler.run(&database, &[]).await, says).await;
}

async fn refused(database: &Database, ended: &Ended, says: &str) {
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let errors = ended.stderr.split_once("error: ").map(|(_, error)| error);
    let errors = errors.unwrap_or_else(|| panic!("{}", ended.stderr));
    assert!(errors.contains(says), "{errors}");
    assert!(errors.contains("fix: connect to the server itself"), "{errors}");
    assert_eq!(database.number("SELECT count(*) FROM pg_class WHERE relname ~ 'l40s'").await, 0);
}

#[tokio::test]
async fn transaction_mode_is_refused() {
    is_refused("pool_mode = transaction", "(transaction mode)").await;
}

#[tokio::test]
async fn benchmarks_and_sweeps_are_refused_in_transaction_mode_too() {
    let pooler = PgBouncer::start("pool_mode = transaction").await;
    let database = Database::create().await;
    for profile in ["group-by", "tuning-cpu"] {
        let ended = pooler.command(&database, &["run", profile, "--rows", "1000"]).await;
        refused(&database, &ended, "(transaction mode)").await;
    }
    // Tables that are there already do not change that.
    let text = "[bench]\n[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n";
    let folder = scratch();
    let path = folder.path().join("one.toml");
    fs::write(&path, text).unwrap();
    let ended = pooler.command(&database, &["run", path.to_str().unwrap()]).await;
    refused(&database, &ended, "(transaction mode)").await;
}

#[tokio::test]
async fn transaction_mode_is_refused_whichever_backend_comes_next() {
    let settings = "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 5";
    is_refused(settings, "(transaction mode)").await;
}

#[tokio::test]
async fn transaction_mode_is_refused_with_a_single_backend() {
    is_refused("pool_mode = transaction\ndefault_pool_size = 1", "(transaction mode)").await;
}

#[tokio::test]
async fn statement_mode_is_refused() {
    is_refused("pool_mode = statement", "(statement mode)").await;
}

#[tokio::test]
async fn a_pool_that_is_too_small_is_no_reason_to_hang() {
    let pooler = PgBouncer::start("pool_mode = session\ndefault_pool_size = 1").await;
    let database = Database::create().await;
    let ended = pooler.run(&database, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("raise its pool_size"), "{}", ended.stderr);
}
