//! A disk that is full at will.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use strom_load::pg::embedded::Server;
use tempfile::TempDir;

use crate::support::scratch;

/// A file system of some megabytes, full at will.
pub(crate) struct SmallDisk {
    mount: TempDir,
    mebibytes: u64,
}

impl SmallDisk {
    /// Mounts one of this size, with a tablespace for the account that the server runs as.
    pub(crate) fn mount(server: &Server, mebibytes: u64) -> Self {
        let disk = Self::mount_empty(mebibytes);
        let owner = fs::metadata(server.data_dir()).unwrap();
        fs::create_dir(disk.tablespace()).unwrap();
        chown(disk.tablespace(), Some(owner.uid()), Some(owner.gid())).unwrap();
        disk
    }

    /// Mounts one of this size.
    pub(crate) fn mount_empty(mebibytes: u64) -> Self {
        let mount = scratch();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "strom-load-test"])
            .arg(mount.path())
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "a full disk is a small tmpfs, and mounting one takes root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { mount, mebibytes }
    }

    pub(crate) fn path(&self) -> &Path {
        self.mount.path()
    }

    pub(crate) fn tablespace(&self) -> PathBuf {
        self.mount.path().join("tablespace")
    }

    fn ballast(&self) -> PathBuf {
        self.mount.path().join("ballast")
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        let page = [1; 4096];
        while ballast.write_all(&page).is_ok() {}
    }

    /// Fills it until only `mebibytes` are free.
    pub(crate) fn leave(&self, mebibytes: u64) {
        let taken = (self.mebibytes - mebibytes) << 20;
        fs::write(self.ballast(), vec![1; taken as usize]).unwrap();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also from under a server that still runs, should the test have failed.
        let _ = Command::new("umount").arg("--lazy").arg(self.mount.path()).status();
    }
}
