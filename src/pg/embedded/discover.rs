//! Finds PostgreSQL server binaries that the server's account can run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs};

use tokio::process::Command;

use super::account::Account;
use super::install;
use super::probe::{Binaries, Reject, Version, probe};

/// Where packages put servers, one folder a version: parent, start of the name, rest of the path.
const USUAL: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// A folder that was looked at, and why its binaries are of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", bindir.display())]
pub struct Rejected {
    /// The folder.
    pub bindir: PathBuf,
    /// The reason.
    pub why: Reject,
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
