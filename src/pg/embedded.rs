//! A PostgreSQL server of our own: made, started, watched over and removed.
//!
//! It is a real server with fsync on, in a private folder on disk, and lives as long as the loader
//! does: see `guard.sh` for a loader that is killed, and `folder.rs` for a machine that is.

mod account;
mod cluster;
mod discover;
mod error;
mod folder;
mod guard;
/// Brings server binaries where there are none.
pub mod install;
mod probe;
mod settings;
mod standby;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::pace::{TELL_AFTER, TELL_EVERY, told};
use crate::plan::shell_word;

use account::Account;
use cluster::Cluster;
pub use discover::Rejected;
pub use error::EmbeddedError;
use error::{SOCKET_PATH_MAX, at, early_fix};
use folder::Folder;
use guard::{Cleanup, Guarded};
use probe::{Binaries, probe};
pub use probe::{Reject, Version};
pub use settings::is_decided_by_launcher;

/// The superuser and the database, as initdb makes them.
const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// A fresh server is ready in a second. One that replays its log may need minutes.
const START_MAX: Duration = Duration::from_secs(60);
const RECOVERY_MAX: Duration = Duration::from_secs(600);

/// How long the processes of a killed server may take to notice: a backend looks when it next
/// waits or checks for interrupts.
const ORPHANS_MAX: Duration = Duration::from_secs(30);

/// Between looking at the port and the server taking it, another process may take it.
const PORT_TRIES: u32 = 5;

/// What kind of server to start.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// The folder of `initdb` and `postgres`; searched for if not given.
    pub bindir: Option<PathBuf>,
    /// Where the cluster is kept; without it, it lives in the private folder and goes with it.
    pub data_dir: Option<PathBuf>,
    /// Fetch server binaries if there are none.
    pub install: bool,
    /// Settings of the server, over the launcher's own choice.
    pub settings: Vec<(String, String)>,
}

/// How a server is asked to end, and how long it has before it is told more firmly.
///
/// A kept cluster is written out (fast shutdown). One that goes with its folder is not (immediate
/// shutdown): a checkpoint of gigabytes that nobody will read costs the user minutes.
const END_KEPT: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(120)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(1)),
];
const END_TEMPORARY: [(Signal, Duration); 2] =
    [(Signal::QUIT, Duration::from_secs(10)), (Signal::KILL, Duration::from_secs(1))];

const KILLED: [(Signal, Duration); 1] = [(Signal::KILL, Duration::from_secs(1))];

/// How a server is brought down that is to come up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// In order (fast shutdown): sessions are ended, and everything is written out.
    Fast,
    /// At once (immediate shutdown): nothing is written out, and its log is replayed at the start.
    Immediate,
    /// By SIGKILL of the postmaster: nobody tells the backends.
    Kill,
}

impl Halt {
    fn signals(self) -> &'static [(Signal, Duration)] {
        match self {
            Self::Fast => &END_KEPT,
            Self::Immediate => &END_TEMPORARY,
            Self::Kill => &KILLED,
        }
    }
}

/// A running server. [`Server::stop`] ends it in order; dropping it leaves that to its watcher.
#[derive(Debug)]
pub struct Server {
    account: Account,
    binaries: Binaries,
    /// The settings the user gave.
    settings: Vec<(String, String)>,
    /// Settings over those, see [`Server::restart_with`].
    over: Vec<(String, String)>,
    folder: Folder,
    socket_dir: PathBuf,
    cluster: Cluster,
    log: PathBuf,
    port: u16,
    pid: u32,
    /// `None` after [`Server::halt`].
    running: Option<Guarded>,
}

impl Server {
    /// Finds binaries, makes a cluster unless one is kept, and starts a server that is ready for
    /// connections.
    pub async fn start(options: &ServerOptions) -> Result<Self, EmbeddedError> {
        settings::check(&options.settings)?;
        let account = Account::resolve()
            .map_err(at("read", Path::new("/etc/passwd")))?
            .ok_or(EmbeddedError::NoAccount)?;
        let binaries = binaries(options, &account).await?;
        settings::ask(&account, &binaries, &options.settings).await?;
        let (folder, socket_dir) = private_folder(&account)?;
        let started = async {
            let data_dir = options.data_dir.as_deref();
            let cluster = Cluster::prepare(&account, &binaries, &folder, data_dir).await?;
            Ok((cluster.log(&folder), cluster))
        };
        let (log, cluster) = match started.await {
            Ok(prepared) => prepared,
            Err(error) => {
                discard(folder);
                return Err(error);
            }
        };
        let settings = options.settings.clone();
        let mut server = Self {
            account,
            binaries,
            settings,
            over: Vec::new(),
            folder,
            socket_dir,
            cluster,
            log,
            port: 0,
            pid: 0,
            running: None,
        };
        match server.first_launch().await {
            Ok(()) => Ok(server),
            Err(error) => {
                discard(server.folder);
                Err(error)
            }
        }
    }

    /// The folder of the Unix socket, the `host` of a connection.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The port on 127.0.0.1, and of the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The database that is always there.
    pub fn database(&self) -> &'static str {
        DATABASE
    }

    /// The folder of the server's binaries.
    pub fn bindir(&self) -> &Path {
        &self.binaries.bindir
    }

    /// The server's version, as its binaries tell it.
    pub fn version(&self) -> Version {
        self.binaries.version
    }

    /// The cluster's folder.
    pub fn data_dir(&self) -> &Path {
        self.cluster.dir()
    }

    /// What the server writes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The process id of the postmaster; after a crash, the one it had.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A libpq passfile for connections over TCP. A kept cluster that was made elsewhere has none.
    pub fn password_file(&self) -> Option<&Path> {
        self.cluster.passfile()
    }

    /// How a client connects over the socket, where nothing asks for a password, as libpq writes it.
    pub fn conninfo(&self) -> String {
        let host = self.socket_dir.display().to_string();
        let host = host.replace('\\', r"\\").replace('\'', r"\'");
        format!("host='{host}' port={} user={USER} dbname={DATABASE}", self.port)
    }

    /// What a user types to look inside while it runs. Over the socket, where nothing asks for a
    /// password.
    pub fn psql_command(&self) -> String {
        let own = self.binaries.bindir.join("psql");
        let psql = if own.is_file() { own } else { PathBuf::from("psql") };
        let quoted = |path: &Path| shell_word(&path.to_string_lossy());
        let (psql, host) = (quoted(&psql), quoted(&self.socket_dir));
        format!("{psql} -h {host} -p {} -U {USER} {DATABASE}", self.port)
    }

    /// Ends the server, and removes what is not kept.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        let ended = match self.running.take() {
            Some(running) if self.cluster.is_kept() => running.end(&END_KEPT).await,
            Some(running) => running.end(&END_TEMPORARY).await,
            None => Ok(std::process::ExitStatus::default()),
        };
        let gone = self.wait_gone().await;
        let path = self.folder.path().to_owned();
        // Whatever went wrong, the folder goes; what went wrong first is what is told.
        let removed = self.folder.remove().map_err(at("remove", &path));
        ended.map_err(at("stop the server in", &path))?;
        gone?;
        removed
    }

    /// Stops the server in order and starts it again: same cluster, port and socket, another
    /// process.
    pub async fn restart(&mut self) -> Result<(), EmbeddedError> {
        self.halt(Halt::Fast).await?;
        self.resume().await
    }

    /// The same with these settings over those of the start, in place of the last call's.
    pub async fn restart_with(&mut self, over: &[(String, String)]) -> Result<(), EmbeddedError> {
        settings::check(over)?;
        over.clone_into(&mut self.over);
        self.restart().await
    }

    /// Starts a server that did not come up with the settings of [`Server::restart_with`], without
    /// them.
    pub async fn start_without_changes(&mut self) -> Result<(), EmbeddedError> {
        self.over.clear();
        self.resume().await
    }

    /// Kills the postmaster and waits until none of the server's processes is left. What it had
    /// promised to keep is in its files; [`Server::resume`] recovers it.
    pub async fn crash(&mut self) -> Result<(), EmbeddedError> {
        self.halt(Halt::Kill).await
    }

    /// Brings the server down and waits until none of its processes is left. [`Server::resume`]
    /// brings it up again.
    pub async fn halt(&mut self, how: Halt) -> Result<(), EmbeddedError> {
        let running = self.running.take().ok_or(EmbeddedError::NotRunning)?;
        running.end(how.signals()).await.map_err(at("stop the server in", self.folder.path()))?;
        self.wait_gone().await
    }

    /// Kills one of the server's processes, upon which the postmaster restarts all of them. Does
    /// nothing if it is none of this server's, or gone by now.
    pub fn kill_backend(&self, pid: u32) -> Result<(), EmbeddedError> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let is_ours = parent.and_then(|parent| parent.trim().parse().ok()) == Some(self.pid);
        match Pid::from_raw(pid as i32).filter(|_| is_ours) {
            Some(pid) => kill_process(pid, Signal::KILL)
                .map_err(|error| at("kill a backend of", self.folder.path())(error.into())),
            None => Ok(()),
        }
    }

    /// Starts a halted server again: same cluster, port and socket.
    pub async fn resume(&mut self) -> Result<(), EmbeddedError> {
        if self.running.is_some() {
            return Ok(());
        }
        self.launch(self.port, RECOVERY_MAX).await
    }

    async fn first_launch(&mut self) -> Result<(), EmbeddedError> {
        let patience = if self.cluster.is_kept() { RECOVERY_MAX } else { START_MAX };
        let mut tries = 0;
        loop {
            tries += 1;
            match self.launch(free_port()?, patience).await {
                Err(EmbeddedError::PortTaken { .. }) if tries < PORT_TRIES => {}
                result => return result,
            }
        }
    }

    async fn launch(&mut self, port: u16, patience: Duration) -> Result<(), EmbeddedError> {
        let alive = lock_alive(&self.folder).await?;
        let (log, log_start) = open_log(&self.log, &self.account)?;
        let folder = self.folder.path();
        let signal = if self.cluster.is_kept() { "INT" } else { "QUIT" };
        let mut command = vec![self.binaries.bindir.join("postgres").into_os_string()];
        command.extend(["-D".into(), self.cluster.dir().into()]);
        let arguments =
            settings::arguments(port, &self.socket_dir, &[&*self.settings, &*self.over].concat());
        command.extend(arguments.into_iter().map(Into::into));
        let cleanup = Cleanup { signal, folder };
        let mut running = Guarded::start(&self.account, cleanup, alive, log, command)
            .map_err(at("start the server in", folder))?;
        let began = Instant::now();
        let deadline = began + patience;
        let mut tell_at = began + TELL_AFTER;
        loop {
            if Instant::now() > tell_at {
                tell_at += TELL_EVERY;
                let (waited, most) = (began.elapsed().as_secs(), patience.as_secs());
                let log = self.log.display();
                tracing::info!(
                    "waiting for the server to start, {waited} s of {most} s: see {log}"
                );
            }
            if running.ended().map_err(at("wait for the server in", folder))?.is_some() {
                let status =
                    running.finish().await.map_err(at("wait for the server in", folder))?;
                return Err(self.early_exit(port, status, log_start));
            }
            if self.cluster.is_ready(running.pid()) {
                break;
            }
            if Instant::now() > deadline {
                running.end(&END_TEMPORARY).await.map_err(at("stop the server in", folder))?;
                let log = log_tail(&self.log, log_start);
                return Err(EmbeddedError::NotReady { waited: patience, log });
            }
            sleep(Duration::from_millis(10)).await;
        }
        self.port = port;
        self.pid = running.pid();
        self.running = Some(running);
        Ok(())
    }

    fn early_exit(
        &self,
        port: u16,
        status: std::process::ExitStatus,
        log_start: u64,
    ) -> EmbeddedError {
        let log = log_tail(&self.log, log_start);
        if log.contains("could not create any TCP/IP sockets") {
            EmbeddedError::PortTaken { port }
        } else if log.contains("lock file \"postmaster.pid\" already exists") {
            EmbeddedError::DataInUse { dir: self.cluster.dir().to_owned() }
        } else {
            let fix = early_fix("postgres", &log, &self.settings);
            EmbeddedError::EarlyExit { program: "postgres", status, log, fix }
        }
    }

    async fn wait_gone(&self) -> Result<(), EmbeddedError> {
        lock_alive(&self.folder).await.map(drop)
    }
}

/// The folder of the server binaries that [`Server::start`] would take, and their version. Starts
/// nothing, and installs nothing.
///
/// # Errors
/// When there are none that work, with all that was looked at.
pub async fn would_start(bindir: Option<&Path>) -> Result<(PathBuf, Version), EmbeddedError> {
    let account = Account::resolve()
        .map_err(at("read", Path::new("/etc/passwd")))?
        .ok_or(EmbeddedError::NoAccount)?;
    let options = ServerOptions { bindir: bindir.map(Path::to_owned), ..ServerOptions::default() };
    let found = binaries(&options, &account).await?;
    Ok((found.bindir, found.version))
}

async fn binaries(options: &ServerOptions, account: &Account) -> Result<Binaries, EmbeddedError> {
    if let Some(bindir) = &options.bindir {
        let bindir = std::path::absolute(bindir).map_err(at("find", bindir))?;
        return probe(&bindir, account).await.map_err(|why| match why {
            Reject::NoOtherUser(_) => EmbeddedError::NoOtherUser(why),
            why => EmbeddedError::Bindir(Rejected { bindir, why }),
        });
    }
    // A caller without a home has no cache, and may still have a server.
    let cache = install::cache_dir();
    let mut looked = match discover::find(account, cache.as_deref().ok()).await {
        Ok(binaries) => return Ok(binaries),
        Err(looked) => looked,
    };
    if let Some(at) = looked.iter().position(|one| matches!(one.why, Reject::NoOtherUser(_))) {
        return Err(EmbeddedError::NoOtherUser(looked.swap_remove(at).why));
    }
    if !options.install {
        return Err(EmbeddedError::NotFound { looked });
    }
    let bindir = install::install(&cache?).await?;
    let probed = probe(&bindir, account).await;
    probed.map_err(|why| EmbeddedError::Bindir(Rejected { bindir, why }))
}

/// Makes the private folder with the socket's folder in it, after removing those of dead loaders.
fn private_folder(account: &Account) -> Result<(Folder, PathBuf), EmbeddedError> {
    let parents = folder::parents();
    for parent in &parents {
        for stale in folder::sweep(parent, account) {
            tracing::info!(folder = %stale.display(), "removed the server folder of a dead run");
        }
    }
    let mut result = Err(EmbeddedError::NoAccount);
    for parent in &parents {
        match Folder::create(parent, account) {
            Ok(folder) => {
                return match socket_folder(&folder, account) {
                    Ok(socket_dir) => Ok((folder, socket_dir)),
                    Err(error) => {
                        discard(folder);
                        Err(error)
                    }
                };
            }
            Err(error) => result = Err(at("make a private folder in", parent)(error)),
        }
    }
    result
}

fn socket_folder(folder: &Folder, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let socket_dir = folder.path().join("s");
    // The name with the longest port.
    let path = socket_dir.join(".s.PGSQL.65535");
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(EmbeddedError::SocketPath { path });
    }
    fs::create_dir(&socket_dir)
        .and_then(|()| account.give(&socket_dir))
        .map_err(at("create", &socket_dir))?;
    Ok(socket_dir)
}

/// Removes the folder of a start that failed; that failure is what the user must hear of.
fn discard(folder: Folder) {
    if let Err(error) = folder.remove() {
        tracing::warn!(%error, "could not remove the server's folder");
    }
}

async fn lock_alive(folder: &Folder) -> Result<File, EmbeddedError> {
    let alive = told(folder.alive(ORPHANS_MAX), |waited| {
        let (waited, most) = (waited.as_secs(), ORPHANS_MAX.as_secs());
        tracing::info!("waiting for processes of the last server to end, {waited} s of {most} s");
    });
    alive.await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => {
            EmbeddedError::Orphans { folder: folder.path().to_owned(), waited: ORPHANS_MAX }
        }
        _ => at("lock a file in", folder.path())(error),
    })
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, EmbeddedError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(at("find a free port on", Path::new("127.0.0.1")))
}

/// Opens the log for appending, and tells where the next run begins in it.
fn open_log(path: &Path, account: &Account) -> Result<(File, u64), EmbeddedError> {
    let open = || {
        let log = folder::open_plain(path, OpenOptions::new().create(true).append(true))?;
        account.give(path)?;
        let start = log.metadata()?.len();
        Ok((log, start))
    };
    open().map_err(at("open", path))
}

/// The last lines written since `start`.
fn log_tail(path: &Path, start: u64) -> String {
    const BYTES_MAX: u64 = 16 * 1024;
    const LINES_MAX: usize = 20;
    let read = || {
        let mut log = folder::open_plain(path, OpenOptions::new().read(true))?;
        let from = start.max(log.metadata()?.len().saturating_sub(BYTES_MAX));
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_from_where_this_run_began() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old\nnew one\nnew two\n").unwrap();
        assert_eq!(log_tail(&path, 4), "new one\nnew two");
        let long: Vec<_> = (0..10_000).map(|n| format!("line {n}")).collect();
        fs::write(&path, long.join("\n")).unwrap();
        let tail = log_tail(&path, 0);
        assert_eq!((tail.lines().count(), tail.lines().last()), (20, Some("line 9999")));
    }
}
