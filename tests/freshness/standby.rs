//! A streaming standby of an embedded server, on this machine.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use strom_load::pg::embedded::{Server, would_start};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::support::{connect, scratch, until};

/// What a standby must have as much of as its primary.
const NO_LESS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// A standby; ends when it is dropped.
pub(super) struct Standby {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Standby {
    /// Copies a server and follows it.
    pub(super) async fn of(primary: &Server) -> Self {
        let (bindir, _) = would_start(None).await.unwrap();
        let folder = scratch();
        let data = folder.path().join("data");
        let owner = std::fs::metadata(primary.socket_dir()).unwrap();
        let port = primary.port().to_string();
        let mut copy = as_owner(&owner, &bindir.join("pg_basebackup"));
        copy.arg("-h").arg(primary.socket_dir()).args(["-p", &port, "-U", "postgres"]);
        copy.args(["--checkpoint=fast", "-X", "stream", "-R", "-D"]).arg(&data);
        let copied = copy.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let client = connect(primary.socket_dir(), primary.port()).await;
        let mut server = as_owner(&owner, &bindir.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port, "-c", "listen_addresses="]);
        // The port is part of the socket's name, and the folder another one.
        server.arg("-c").arg(format!("unix_socket_directories={}", folder.path().display()));
        for name in NO_LESS {
            let value: String =
                client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0);
            server.args(["-c", &format!("{name}={value}")]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let standby = Self { process: process.unwrap(), folder, port: primary.port() };
        let pid_file = data.join("postmaster.pid");
        let is_ready = || {
            let said = std::fs::read_to_string(&pid_file).unwrap_or_default();
            said.lines().nth(7).is_some_and(|line| line.trim() == "ready")
        };
        until("the standby takes sessions", is_ready).await;
        standby
    }

    pub(super) fn socket_dir(&self) -> &Path {
        self.folder.path()
    }

    /// For `--readers-url`.
    pub(super) fn address(&self) -> String {
        let folder = self.socket_dir().display();
        format!("host={folder} port={} user=postgres dbname=postgres", self.port)
    }

    pub(super) async fn client(&self) -> Client {
        connect(self.socket_dir(), self.port).await
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // Fast shutdown. The process itself: what stands before it has become it.
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
        let _ = self.process.wait();
    }
}

/// PostgreSQL's programs refuse to be root, so they get the server's account.
fn as_owner(owner: &std::fs::Metadata, program: &PathBuf) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut through = Command::new("setpriv");
    through.arg(format!("--reuid={}", owner.uid())).arg(format!("--regid={}", owner.gid()));
    through.arg("--clear-groups").arg(program);
    through
}
