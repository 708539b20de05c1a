//! What several test rooms need: scratch folders, queries, and loaders in processes of their own.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use strom_load::pg::embedded::{Options, Server};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

/// Tells a test process that it is to be a loader, and where to write what it started.
const LOADER: &str = "STROM_LOAD_TEST_LOADER";
const LOADER_DATA_DIR: &str = "STROM_LOAD_TEST_DATA_DIR";

/// A scratch folder that every account can enter: as root, the server is another account. On the
/// disk that the servers use.
pub(crate) fn scratch() -> TempDir {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

/// A session over the Unix socket.
pub(crate) async fn connect(socket_dir: &Path, port: u16) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket_dir).port(port).user("postgres").dbname("postgres");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The single value a query answers, as text.
pub(crate) async fn ask(server: &Server, query: &str) -> String {
    let client = connect(server.socket_dir(), server.port()).await;
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process lives; one that only waits to be reaped does not.
pub(crate) fn lives(pid: u32) -> bool {
    let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let stat = String::from_utf8(ps.stdout).unwrap();
    !stat.trim().is_empty() && !stat.trim().starts_with('Z')
}

/// What a loader in another process says of its server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) pid: u32,
}

impl Started {
    /// The private folder.
    pub(crate) fn folder(&self) -> &Path {
        self.socket_dir.parent().unwrap()
    }
}

/// A loader in a process, and a process group, of its own.
pub(crate) struct Loader {
    pub(crate) process: Child,
    pub(crate) server: Started,
    _scratch: TempDir,
}

impl Loader {
    /// Runs this test binary again, as the loader. `through` is a command that runs it, such as
    /// one that changes the user; empty to run it directly.
    pub(crate) async fn start(through: &[&str], data_dir: Option<&Path>) -> Self {
        use std::os::unix::process::CommandExt;
        let scratch = scratch();
        // A copy: the build folder may be closed to the user it shall run as.
        let binary = scratch.path().join("loader");
        fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        let said = scratch.path().join("started.json");
        let mut words = through.iter().map(Path::new).chain([&*binary]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["--exact", "embedded::loader_process", "--nocapture"]);
        command.env(LOADER, &said).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        if let Some(data_dir) = data_dir {
            command.env(LOADER_DATA_DIR, data_dir);
        }
        let mut process = command.spawn().unwrap();
        until("the loader has started its server", || {
            assert_eq!(process.try_wait().unwrap(), None, "the loader ended");
            said.exists()
        })
        .await;
        let server = serde_json::from_slice(&fs::read(&said).unwrap()).unwrap();
        Self { process, server, _scratch: scratch }
    }

    /// SIGKILL: nothing of the loader runs any more.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The body of the loader process. Does nothing in a test run, which does not set [`LOADER`].
pub(crate) async fn loader_main() {
    let Some(said) = std::env::var_os(LOADER) else { return };
    let data_dir = std::env::var_os(LOADER_DATA_DIR).map(PathBuf::from);
    let server = Server::start(&Options { data_dir, ..Options::default() }).await.unwrap();
    let started = Started {
        socket_dir: server.socket_dir().to_owned(),
        port: server.port(),
        pid: server.pid(),
    };
    // Listening before the other side may send: a first Ctrl-C must not end the loader.
    let mut interrupt =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
    let draft = Path::new(&said).with_extension("draft");
    fs::write(&draft, serde_json::to_vec(&started).unwrap()).unwrap();
    fs::rename(draft, said).unwrap();
    loop {
        interrupt.recv().await;
    }
}
