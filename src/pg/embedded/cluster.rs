//! The server's cluster: made by initdb, in the private folder or in one that is kept.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::pace::told;

use super::account::Account;
use super::error::{EmbeddedError, at, at_data_dir, early_fix};
use super::folder::{self, Folder};
use super::guard::{Cleanup, Guarded};
use super::probe::Binaries;
use super::{USER, lock_alive, log_tail, open_log};

/// In a kept cluster these lie beside PostgreSQL's own files, which ignores them.
const KEPT_PASSFILE: &str = "strom-load.pgpass";
const KEPT_LOG: &str = "strom-load.log";

/// To make or copy a cluster takes seconds; on a disk that hangs, for ever.
const FILL_MAX: Duration = Duration::from_secs(300);

/// A cluster that is ready to be started.
#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    /// A lock on a kept cluster's folder: two loaders must not both run initdb in it. From then on
    /// PostgreSQL guards it with its own postmaster.pid. `None`: it goes with the private folder.
    kept: Option<File>,
    passfile: Option<PathBuf>,
}

/// What is in a folder that shall hold a cluster.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Empty,
    Cluster { version: String },
    Foreign,
}

impl Cluster {
    /// Makes a cluster in `folder`, or makes or takes the one in `data_dir`.
    pub(super) async fn prepare(
        account: &Account,
        binaries: &Binaries,
        folder: &Folder,
        data_dir: Option<&Path>,
    ) -> Result<Self, EmbeddedError> {
        let Some(dir) = data_dir else {
            let dir = folder.path().join("data");
            let passfile = folder.path().join("pgpass");
            initdb(account, binaries, folder, &dir, &passfile).await?;
            return Ok(Self { dir, kept: None, passfile: Some(passfile) });
        };
        // The server starts in another directory.
        let dir = std::path::absolute(dir).map_err(at_data_dir("find", dir))?;
        let created = !dir.exists();
        fs::create_dir_all(&dir).map_err(at_data_dir("create", &dir))?;
        // A symlink to the real place is the user's right; the lock is on the place.
        let dir = fs::canonicalize(&dir).map_err(at_data_dir("find", &dir))?;
        let lock = lock_kept(&dir).await?;
        let passfile = dir.join(KEPT_PASSFILE);
        match look(&dir).map_err(at_data_dir("read", &dir))? {
            Found::Foreign => return Err(EmbeddedError::DataForeign { dir }),
            Found::Cluster { version } if version != binaries.version.major.to_string() => {
                let (bindir, found) = (binaries.bindir.clone(), binaries.version);
                return Err(EmbeddedError::DataVersion { dir, have: version, bindir, found });
            }
            Found::Cluster { .. } => {}
            Found::Empty => {
                account.give(&dir).map_err(at_data_dir("hand over", &dir))?;
                let made = initdb(account, binaries, folder, &dir, &passfile).await;
                if made.is_err() && created {
                    // Leave the place as it was found, if initdb has cleaned up after itself.
                    let _ = fs::remove_dir(&dir);
                }
                made?;
            }
        }
        let passfile = passfile.is_file().then_some(passfile);
        Ok(Self { dir, kept: Some(lock), passfile })
    }

    /// Copies that of a server with this passfile on this port into `folder`, as its standby's.
    pub(super) async fn copy(
        account: &Account,
        binaries: &Binaries,
        folder: &Folder,
        (passfile, port): (&Path, u16),
    ) -> Result<Self, EmbeddedError> {
        let dir = folder.path().join("data");
        let secret = fs::read_to_string(passfile).map_err(at("read", passfile))?;
        let passfile = folder.path().join("pgpass");
        write_secret(account, &passfile, &secret)?;
        let mut command: Vec<OsString> = vec![binaries.bindir.join("pg_basebackup").into()];
        command.extend([
            "-d".into(),
            primary(&passfile, port).into(),
            "-D".into(),
            dir.clone().into(),
        ]);
        let plain =
            ["--checkpoint=fast", "--no-sync", "--wal-method=stream", "--write-recovery-conf"];
        command.extend(plain.into_iter().map(Into::into));
        fill(account, folder, &dir, ("pg_basebackup", "run pg_basebackup for"), command).await?;
        Ok(Self { dir, kept: None, passfile: Some(passfile) })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    pub(super) fn passfile(&self) -> Option<&Path> {
        self.passfile.as_deref()
    }

    /// Where its server logs: what is kept keeps its log.
    pub(super) fn log(&self, folder: &Folder) -> PathBuf {
        if self.is_kept() { self.dir.join(KEPT_LOG) } else { private_log(folder) }
    }

    /// Whether the postmaster `pid` takes connections.
    pub(super) fn is_ready(&self, pid: u32) -> bool {
        fs::read_to_string(self.dir.join("postmaster.pid"))
            .is_ok_and(|pid_file| says_ready(&pid_file, pid))
    }
}

/// Locks a kept cluster's folder. A child of this process that was forked and not yet executed has
/// a copy of every lock for a moment, so one refusal means little.
async fn lock_kept(dir: &Path) -> Result<File, EmbeddedError> {
    for _ in 0..20 {
        if let Some(lock) = folder::lock_folder(dir).map_err(at_data_dir("lock", dir))? {
            return Ok(lock);
        }
        sleep(Duration::from_millis(25)).await;
    }
    Err(EmbeddedError::DataInUse { dir: dir.to_owned() })
}

/// postmaster.pid tells what pg_ctl waits for: the process on line 1 and its state on line 8. The
/// file of a crashed server lies there until the next one has written its own.
fn says_ready(pid_file: &str, pid: u32) -> bool {
    let mut lines = pid_file.lines();
    lines.next().is_some_and(|line| line.trim() == pid.to_string())
        && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

fn look(dir: &Path) -> io::Result<Found> {
    match fs::read_to_string(dir.join("PG_VERSION")) {
        Ok(version) => return Ok(Found::Cluster { version: version.trim().to_owned() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let empty = fs::read_dir(dir)?.next().is_none();
    Ok(if empty { Found::Empty } else { Found::Foreign })
}

fn private_log(folder: &Folder) -> PathBuf {
    folder.path().join("server.log")
}

/// Makes a cluster in `dir` whose superuser has a random password, written only to files that are
/// closed to all but the server's account: `passfile`, and one that initdb reads and that goes at
/// once.
async fn initdb(
    account: &Account,
    binaries: &Binaries,
    folder: &Folder,
    dir: &Path,
    passfile: &Path,
) -> Result<(), EmbeddedError> {
    let password = folder::random_name(26).map_err(at("make a password for", dir))?;
    let pwfile = folder.path().join("pwfile");
    write_secret(account, &pwfile, &format!("{password}\n"))?;
    let mut command: Vec<OsString> = vec![binaries.bindir.join("initdb").into()];
    command.extend(["-D".into(), dir.into()]);
    // Nothing to lose yet, so initdb need not wait for the disk; the server itself always does.
    let plain = ["--no-sync", "--no-locale", "-E", "UTF8", "-U", USER];
    command.extend(plain.into_iter().map(Into::into));
    command.extend(["--auth-local=trust", "--auth-host=scram-sha-256"].map(Into::into));
    command.extend(["--pwfile".into(), pwfile.clone().into()]);

    fill(account, folder, dir, ("initdb", "run initdb for"), command).await?;
    fs::remove_file(&pwfile).map_err(at("remove", &pwfile))?;
    // Any port: a kept cluster gets another one at each start.
    let lines = ["127.0.0.1", "localhost"].map(|host| format!("{host}:*:*:{USER}:{password}\n"));
    write_secret(account, passfile, &lines.concat())
}

/// Has a program make a cluster in `dir`.
async fn fill(
    account: &Account,
    folder: &Folder,
    dir: &Path,
    (program, act): (&'static str, &'static str),
    command: Vec<OsString>,
) -> Result<(), EmbeddedError> {
    let log_path = private_log(folder);
    let (log, log_start) = open_log(&log_path, account)?;
    let alive = lock_alive(folder).await?;
    // Interrupted, either removes what it made.
    let cleanup = Cleanup { signal: "INT", folder: folder.path() };
    let running = Guarded::start(account, cleanup, alive, log, command);
    let running = running.map_err(at(act, dir))?;
    let finished = told(timeout(FILL_MAX, running.finish()), |waited| {
        tracing::info!("{program} is at work in {}, {} s", dir.display(), waited.as_secs());
    });
    // Dropped when its time is up, its guard ends it.
    let status = finished.await.map_err(|_| EmbeddedError::NotReady {
        waited: FILL_MAX,
        log: log_tail(&log_path, log_start),
    })?;
    let status = status.map_err(at(act, dir))?;
    if status.success() {
        return Ok(());
    }
    let log = log_tail(&log_path, log_start);
    let fix = early_fix(program, &log, &[]);
    Err(EmbeddedError::EarlyExit { program, status, fix, log })
}

/// How a standby reaches its primary on this machine, as libpq reads it.
pub(super) fn primary(passfile: &Path, port: u16) -> String {
    let quoted = passfile.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    format!("host=127.0.0.1 port={port} user={USER} passfile='{quoted}'")
}

/// Writes a new file that only `account` can read.
fn write_secret(account: &Account, path: &Path, text: &str) -> Result<(), EmbeddedError> {
    folder::open_plain(path, OpenOptions::new().write(true).create_new(true))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| account.give(path))
        .map_err(at("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID_FILE: &str = "4711\n/data\n1700000000\n5432\n/s\n127.0.0.1\n  123 4\nready   \n";

    #[test]
    fn ready_is_what_this_postmaster_says_of_itself() {
        assert!(says_ready(PID_FILE, 4711));
        assert!(!says_ready(PID_FILE, 4712));
        assert!(!says_ready(&PID_FILE.replace("ready   ", "starting"), 4711));
        assert!(!says_ready("4711\n/data\n", 4711));
        assert!(!says_ready("", 4711));
    }

    #[test]
    fn a_folder_is_empty_a_cluster_or_foreign() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()).unwrap(), Found::Empty);
        fs::write(dir.path().join("notes"), "").unwrap();
        assert_eq!(look(dir.path()).unwrap(), Found::Foreign);
        fs::write(dir.path().join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(look(dir.path()).unwrap(), Found::Cluster { version: "15".to_owned() });
    }
}
