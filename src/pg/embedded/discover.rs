//! Finds PostgreSQL server binaries that the server's account can run.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs, io};

use tokio::process::Command;

use super::account::{Account, cannot_switch};
use super::install;

/// The oldest server this program works with.
const OLDEST_MAJOR: u32 = 15;

/// What a server needs to be made and run; a client-only package has neither.
const NEEDED: [&str; 2] = ["initdb", "postgres"];

/// Where packages put servers, one folder a version: parent, start of the name, rest of the path.
const USUAL: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// A server version. The minor of a development version is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version {
    /// 15 in 15.4.
    pub major: u32,
    /// 4 in 15.4.
    pub minor: u32,
}

impl Version {
    /// Reads the first number of a text: `postgres (PostgreSQL) 15.4 (Debian)`, `pgsql-16`,
    /// `19devel`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let (major, rest) = leading_number(text)?;
        let minor = rest.strip_prefix('.').and_then(leading_number).map_or(0, |(minor, _)| minor);
        Some(Self { major, minor })
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Server binaries that were run and answered.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) bindir: PathBuf,
    pub(super) version: Version,
}

/// A folder that was looked at, and why its binaries are of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", bindir.display())]
pub struct Rejected {
    /// The folder.
    pub bindir: PathBuf,
    /// The reason.
    pub why: Reject,
}

/// Why a folder's binaries are of no use.
#[derive(Debug, thiserror::Error)]
pub enum Reject {
    /// Programs are not there.
    #[error("holds no executable {0}")]
    Missing(String),
    /// The server's account cannot reach or execute it.
    #[error(
        "the server's account ({0}) cannot execute `{1}` there; open the folders above it or move it"
    )]
    Closed(String, &'static str),
    /// The version is not supported.
    #[error("is PostgreSQL {0}, the oldest supported is {OLDEST_MAJOR}")]
    TooOld(Version),
    /// It ran, but not as it should.
    #[error("`{0} --version` failed: {1}")]
    Broken(&'static str, String),
    /// Root without any other account to become.
    #[error(
        "cannot become the account {0}: this root is the only user its user namespace maps, and \
         PostgreSQL does not run as root; start as an ordinary user, or map more users into the \
         namespace (/etc/subuid)"
    )]
    NoOtherUser(String),
}

/// The first usable binaries, or all that was looked at.
pub(super) async fn find(
    account: &Account,
    cache: Option<&Path>,
) -> Result<Binaries, Vec<Rejected>> {
    let mut rejected: Vec<Rejected> = Vec::new();
    for bindir in candidates(cache).await {
        if rejected.iter().any(|earlier| earlier.bindir == bindir) {
            continue;
        }
        match probe(&bindir, account).await {
            Ok(binaries) => return Ok(binaries),
            Err(why) => rejected.push(Rejected { bindir, why }),
        }
    }
    Err(rejected)
}

/// Runs the binaries of a folder as the server's account: what is closed to it, built for another
/// machine or lacks a library shows here and not half-way.
pub(super) async fn probe(bindir: &Path, account: &Account) -> Result<Binaries, Reject> {
    let executable = |program: &&str| {
        fs::metadata(bindir.join(program))
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let missing: Vec<_> = NEEDED.iter().filter(|program| !executable(program)).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        return Err(Reject::Missing(names.join(" and no ")));
    }
    let mut version = Version::default();
    for program in NEEDED {
        let run = account
            .command(bindir.join(program))
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .await;
        let output = run.map_err(|error| match error {
            error if account.is_other() && cannot_switch(&error) => {
                Reject::NoOtherUser(account.name.clone())
            }
            error if error.kind() == io::ErrorKind::PermissionDenied => {
                Reject::Closed(account.name.clone(), program)
            }
            error => Reject::Broken(program, error.to_string()),
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        version = Version::parse(&said).filter(|_| output.status.success()).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            Reject::Broken(program, format!("{} {said}{complaint}", output.status).trim().into())
        })?;
    }
    if version.major < OLDEST_MAJOR {
        return Err(Reject::TooOld(version));
    }
    Ok(Binaries { bindir: bindir.to_owned(), version })
}

/// Folders that may hold a server, best first: what the user's own tools point at, then the
/// highest version that a package brought, then what this program installed.
async fn candidates(cache: Option<&Path>) -> Vec<PathBuf> {
    let asked = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().await;
    let mut found: Vec<PathBuf> = asked
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|bindir| PathBuf::from(bindir.trim_end()))
        .into_iter()
        .collect();
    let path = env::var_os("PATH").unwrap_or_default();
    // A relative entry would mean another folder for the server, which starts elsewhere.
    let absolute = env::split_paths(&path).filter(|folder| folder.is_absolute());
    found.extend(absolute.filter(|folder| folder.join("postgres").is_file()));
    found.extend(highest_first(
        USUAL.iter().flat_map(|(parent, start, rest)| versions_in(Path::new(parent), start, rest)),
    ));
    found.extend(cache.map(install::installed).unwrap_or_default());
    found
}

/// The folders of `parent` whose name is `start` and a version. A name without a number has the
/// lowest one: it says nothing.
fn versions_in(parent: &Path, start: &str, rest: &str) -> Vec<(Version, PathBuf)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let tail = name.to_str()?.strip_prefix(start)?;
            let bindir = entry.path().join(rest);
            bindir.is_dir().then(|| (Version::parse(tail).unwrap_or_default(), bindir))
        })
        .collect()
}

fn highest_first(found: impl IntoIterator<Item = (Version, PathBuf)>) -> Vec<PathBuf> {
    let mut found: Vec<_> = found.into_iter().collect();
    // Stable for equal versions whatever order the file system lists them in.
    found.sort_by(|(a, a_path), (b, b_path)| b.cmp(a).then_with(|| a_path.cmp(b_path)));
    found.into_iter().map(|(_, bindir)| bindir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    #[test]
    fn a_version_is_the_first_number_of_a_text() {
        let cases = [
            ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", Some(version(15, 20))),
            ("postgres (PostgreSQL) 19devel", Some(version(19, 0))),
            ("postgres (PostgreSQL) 18beta1", Some(version(18, 0))),
            ("9.6", Some(version(9, 6))),
            ("18", Some(version(18, 0))),
            ("18.", Some(version(18, 0))),
            ("", None),
            ("-devel", None),
            ("99999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_order_by_number_not_by_text() {
        let folder = |name: &str| {
            (Version::parse(name).unwrap_or_default(), PathBuf::from(format!("/{name}")))
        };
        let ordered = highest_first(["9.6", "16", "pgsql", "15.3", "15.20"].map(folder));
        let names: Vec<_> = ordered.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["/16", "/15.20", "/15.3", "/9.6", "/pgsql"]);
    }

    #[test]
    fn only_folders_of_the_name_are_versions() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pgsql-16/bin", "pgsql-17/lib", "other-18/bin"] {
            fs::create_dir_all(parent.path().join(name)).unwrap();
        }
        let found = versions_in(parent.path(), "pgsql-", "bin");
        assert_eq!(found, [(version(16, 0), parent.path().join("pgsql-16/bin"))]);
    }
}
