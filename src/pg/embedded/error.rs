//! Why there is no server.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use super::discover::Rejected;
use super::install::InstallError;
use super::probe::{Reject, Version};

/// The longest socket path: the size of `sun_path` less its closing zero.
pub(super) const SOCKET_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Place, fact, fix.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Nowhere are there usable binaries.
    #[error(
        "no PostgreSQL server binaries found (`initdb` and `postgres`, version 15 or newer); looked \
         at pg_config, PATH, the usual folders of packages and the cache{}\n\
         get them with `strom-load postgres install` (or `--install-postgres`), or one of:\n  \
         apt install postgresql\n  dnf install postgresql-server\n  brew install postgresql@17",
        list(looked)
    )]
    NotFound {
        /// The folders that had something, and what was wrong with it.
        looked: Vec<Rejected>,
    },
    /// The given folder is of no use.
    #[error(
        "--pg-bindir {0}\n  fix: name the folder of `initdb` and `postgres`, as `pg_config --bindir` \
         prints it, or leave it out: the usual places are searched"
    )]
    Bindir(Rejected),
    /// Fetching the binaries failed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Root, without an account for the server.
    #[error(
        "no account `postgres` or `nobody` in /etc/passwd: PostgreSQL does not run as root\n  \
         fix: start as an ordinary user, or add the account"
    )]
    NoAccount,
    /// Root, in a user namespace without other users.
    #[error("{0}")]
    NoOtherUser(Reject),
    /// A setting that the launcher must decide itself, or no setting at all.
    #[error("--pg-set {name}={value}: {why}\n  fix: leave it out")]
    Setting {
        /// Its name.
        name: String,
        /// What it was to be.
        value: String,
        /// Why it is none of the user's.
        why: &'static str,
    },
    /// Settings that the server refuses.
    #[error("{}", refusals.join("\nerror: "))]
    Settings {
        /// Each with its fix.
        refusals: Vec<String>,
    },
    /// The socket would not fit.
    #[error(
        "socket `{}`: longer than the {SOCKET_PATH_MAX} bytes the system allows\n  fix: set TMPDIR \
         to a shorter path",
        path.display()
    )]
    SocketPath {
        /// Its path.
        path: PathBuf,
    },
    /// A kept cluster of another version.
    #[error(
        "data directory `{}`: is of PostgreSQL {have}, but `{}` is {found}\n  fix: give --pg-bindir of \
         version {have}, or another --data-dir",
        dir.display(),
        bindir.display()
    )]
    DataVersion {
        /// The data directory.
        dir: PathBuf,
        /// Its PG_VERSION.
        have: String,
        /// The binaries.
        bindir: PathBuf,
        /// Their version.
        found: Version,
    },
    /// Something else is in the way.
    #[error(
        "data directory `{}`: holds files but no PostgreSQL cluster\n  fix: give an empty or new folder \
         with --data-dir",
        dir.display()
    )]
    DataForeign {
        /// The data directory.
        dir: PathBuf,
    },
    /// A server or loader uses it.
    #[error(
        "data directory `{}`: is in use by another server or loader\n  fix: stop that, or give another \
         --data-dir",
        dir.display()
    )]
    DataInUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The server, or initdb, ended at once.
    #[error("`{program}` ended early ({status}); the end of its log:\n{log}\n  fix: {fix}")]
    EarlyExit {
        /// Which program.
        program: &'static str,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
        /// What may mend it.
        fix: String,
    },
    /// It did not get ready.
    #[error(
        "the server was not ready after {} s; the end of its log:\n{log}\n  fix: name a folder on \
         another disk with --data-dir, or a server that runs with --database-url", waited.as_secs()
    )]
    NotReady {
        /// The limit.
        waited: Duration,
        /// The last lines it wrote.
        log: String,
    },
    /// Someone else listens there now.
    #[error("port {port} of 127.0.0.1: was taken by another process while the server was down")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Processes of a killed server do not end.
    #[error("`{}`: processes of the killed server still live after {} s", folder.display(), waited.as_secs())]
    Orphans {
        /// The private folder.
        folder: PathBuf,
        /// The limit.
        waited: Duration,
    },
    /// Called on a server that `crash` has ended.
    #[error("the server is not running; resume it first")]
    NotRunning,
    /// The folder of a kept cluster cannot be used.
    #[error(
        "--data-dir: could not {act} `{}`: {source}\n  fix: name a folder that this user can make or \
         write to",
        path.display()
    )]
    DataDir {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system refused.
    #[error("could not {act} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn list(looked: &[Rejected]) -> String {
    looked.iter().fold(String::new(), |text, rejected| text + "\n  " + &rejected.to_string())
}

/// What may mend a program of PostgreSQL that ended at once, by what it wrote.
pub(super) fn early_fix(program: &str, log: &str, settings: &[(String, String)]) -> String {
    if log.contains("could not look up effective user ID") {
        return "PostgreSQL runs only as a user with a name: run as one that is in /etc/passwd (in a \
                container: USER postgres, or add a line for this user to /etc/passwd)"
            .to_owned();
    }
    if log.contains("could not map anonymous shared memory") {
        return "the machine has less memory than the server is to take: --pg-set \
                shared_buffers=128MB"
            .to_owned();
    }
    if log.contains("could not resize shared memory segment") {
        // initdb takes no settings.
        let instead = match program {
            "initdb" => "",
            _ => ", or use --pg-set dynamic_shared_memory_type=mmap",
        };
        return format!(
            "/dev/shm is full or small: give the container more (docker run --shm-size=1g){instead}"
        );
    }
    if log.contains("No space left on device") {
        return "free space on that disk, or name a folder on another one with --data-dir"
            .to_owned();
    }
    let given: Vec<String> =
        settings.iter().map(|(name, value)| format!("--pg-set {name}={value}")).collect();
    match given.is_empty() {
        false => format!("the log says why; if it is a setting, change it: {}", given.join(" ")),
        true => "the log says why; name other binaries with --pg-bindir, another folder with \
                 --data-dir, or a server that runs with --database-url"
            .to_owned(),
    }
}

/// The same as [`at`] for the folder of a kept cluster.
pub(super) fn at_data_dir(
    act: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::DataDir { act, path, source }
}

/// Names the act and the path of a system error.
pub(super) fn at(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::Io { act, path, source }
}
