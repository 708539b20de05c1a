//! Runs the server binaries of a folder, to find out whether they are of use.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fmt, fs, io};

use super::account::{Account, cannot_switch};

/// The oldest server this program works with.
const OLDEST_MAJOR: u32 = 15;
/// What a server needs to be made and run; a client-only package has neither.
const NEEDED: [&str; 2] = ["initdb", "postgres"];

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
}
