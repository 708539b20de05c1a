//! The private folder of one server: made under a lock, and swept when its owner died.
//!
//! Every folder is locked (flock on the directory itself) by the living loader that made it. The
//! kernel drops the lock however the loader ends, so "can be locked" means "nobody owns this".

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, io};

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::fs::OFlags;
use tokio::time::sleep;

use super::account::Account;

/// Only folders named so are ever looked at by [`sweep`].
const PREFIX: &str = "strom-load-";

/// A file locked by every process of a server, see [`Folder::alive`].
const ALIVE: &str = "alive";

/// A locked folder, closed to all but its account.
///
/// Dropping it leaves the folder where it is: on the ways out that matter, a server may still be
/// running in it. What is left behind is removed by that server's watcher, or by [`sweep`].
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes a new folder in `parent` that belongs to `account`.
    pub(super) fn create(parent: &Path, account: &Account) -> io::Result<Self> {
        loop {
            let path = parent.join(format!("{PREFIX}{}", random_name(8)?));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // Another loader's sweep may find the folder before it is locked, and remove it: then
            // the lock is taken, or it is on a folder that no longer has this name. Both only cost
            // a new name.
            if let Some(lock) = lock_folder(&path)? {
                account.give(&path)?;
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that tells whether any process of the server still lives, locked and ready to be
    /// given to the server as its standard output. An flock belongs to the open file, which the
    /// postmaster and all its children inherit, so it is free again exactly when the last of them
    /// is gone. No process id is compared, none can be mistaken for a later process.
    ///
    /// Waits while processes of an earlier server in this folder hold it.
    pub(super) async fn alive(&self, patience: Duration) -> io::Result<File> {
        let deadline = Instant::now() + patience;
        loop {
            let file =
                open_plain(&self.path.join(ALIVE), OpenOptions::new().create(true).append(true))?;
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(10)).await;
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Removes the folder and what is in it.
    pub(super) fn remove(self) -> io::Result<()> {
        remove(&self.path)
    }
}

/// Where folders go: a disk, so that an fsync costs what it costs in production; /tmp is often
/// memory. The path must also be short, for the socket in it.
pub(super) fn parents() -> Vec<PathBuf> {
    let mut parents = vec![PathBuf::from("/var/tmp")];
    let fallback = env::temp_dir();
    if !parents.contains(&fallback) {
        parents.push(fallback);
    }
    parents
}

/// Removes the folders in `parent` that dead loaders left. Says which.
///
/// A folder is stale when it belongs to the caller or the server's account, no loader holds its
/// lock, and no process of its server is left. A folder that cannot be judged is left alone.
pub(super) fn sweep(parent: &Path, account: &Account) -> Vec<PathBuf> {
    let owners = [rustix::process::geteuid().as_raw(), account.uid];
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()))
        .map(|entry| entry.path())
        .filter(|path| {
            let ours = fs::symlink_metadata(path)
                .is_ok_and(|meta| meta.is_dir() && owners.contains(&meta.uid()));
            ours && sweep_one(path).unwrap_or(false)
        })
        .collect()
}

fn sweep_one(path: &Path) -> io::Result<bool> {
    let Some(_lock) = lock_folder(path)? else { return Ok(false) };
    match open_plain(&path.join(ALIVE), OpenOptions::new().read(true)) {
        Ok(alive) if alive.try_lock().is_err() => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    remove(path)?;
    Ok(true)
}

/// Locks a folder. `None`: someone else has it, or it went away meanwhile.
pub(super) fn lock_folder(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
    let folder = match OpenOptions::new().read(true).custom_flags(flags as i32).open(path) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let held = folder.metadata()?;
    let named = fs::symlink_metadata(path).ok();
    let same = named.is_some_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino()));
    Ok(same.then_some(folder))
}

/// Opens a file in a folder that another account may write to: no symlink is followed, and a pipe
/// put in its place does not block.
pub(super) fn open_plain(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    options.mode(0o600).custom_flags(flags as i32).open(path)
}

/// A tree that is already gone is as good as removed: a watcher may be at the same work.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Letters and digits from the system's random source.
pub(super) fn random_name(letters: usize) -> io::Result<String> {
    // 32 symbols, so that a byte maps to them without bias: 5 bits a letter.
    const SYMBOLS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0; letters];
    SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Account {
        // As root the folders would be given away; the laws below do not depend on the owner.
        Account::resolve().unwrap().unwrap()
    }

    #[test]
    fn a_folder_is_swept_only_after_its_loader_let_go() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), &me()).unwrap();
        let path = folder.path().to_owned();
        fs::create_dir(path.join("data")).unwrap();
        assert!(sweep(parent.path(), &me()).is_empty());
        drop(folder);
        assert_eq!(sweep(parent.path(), &me()), std::slice::from_ref(&path));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_folder_with_a_living_server_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::create(parent.path(), &me()).unwrap();
        let alive = folder.alive(Duration::ZERO).await.unwrap();
        assert!(folder.alive(Duration::ZERO).await.is_err());
        drop(folder);
        assert!(sweep(parent.path(), &me()).is_empty());
        drop(alive);
        assert_eq!(sweep(parent.path(), &me()).len(), 1);
    }

    #[test]
    fn other_names_symlinks_and_files_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let kept = parent.path().join("precious");
        fs::create_dir(&kept).unwrap();
        std::os::unix::fs::symlink(&kept, parent.path().join("strom-load-link")).unwrap();
        fs::write(parent.path().join("strom-load-file"), "").unwrap();
        assert!(sweep(parent.path(), &me()).is_empty());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_lock_on_a_folder_that_was_replaced_does_not_count() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("folder");
        fs::create_dir(&path).unwrap();
        let first = lock_folder(&path).unwrap();
        assert!(first.is_some());
        assert!(lock_folder(&path).unwrap().is_none());
        fs::remove_dir(&path).unwrap();
        assert!(lock_folder(&path).unwrap().is_none());
    }

    #[test]
    fn random_names_differ() {
        let (one, two) = (random_name(24).unwrap(), random_name(24).unwrap());
        assert_eq!(one.len(), 24);
        assert_ne!(one, two);
    }
}
