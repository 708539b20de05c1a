//! A file that appears under its name only when it is whole: written under another, then renamed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The server reads it through an account of its own.
const MODE: u32 = 0o644;

/// Where the finished file goes.
pub(super) struct Destination {
    folder: PathBuf,
    path: PathBuf,
    replace: bool,
}

impl Destination {
    pub(super) fn new(path: &Path, replace: bool) -> io::Result<Self> {
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "it is already there");
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(_) if !replace => return Err(taken()),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { folder, path: path.to_owned(), replace })
    }

    /// A draft in the same folder. It goes with its handle, unless that is given to
    /// [`Destination::publish`].
    pub(super) fn draft(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(".strom-load-").suffix(".partial").tempfile_in(&self.folder)
    }

    /// Makes a draft the file, safe from a crash. Returns its length in bytes.
    pub(super) fn publish(&self, draft: NamedTempFile) -> io::Result<u64> {
        draft.as_file().set_permissions(Permissions::from_mode(MODE))?;
        draft.as_file().sync_all()?;
        let bytes = draft.as_file().metadata()?.len();
        if self.replace {
            draft.persist(&self.path)?;
        } else {
            draft.persist_noclobber(&self.path)?;
        }
        File::open(&self.folder)?.sync_all()?;
        Ok(bytes)
    }
}
