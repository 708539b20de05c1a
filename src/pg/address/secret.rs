//! Passwords that show nowhere, and who else can read the files they lie in.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::AddressError;

/// More than any password file has; a wrong path shall not fill the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A password. Neither `Debug` nor `Display` tells it.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::pg) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the client library alone.
    pub(in crate::pg) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Whether others can read or change a private file, by libpq's rule for keys: a file of ours is
/// ours alone (0600); one of root's may be read by its group (0640).
pub(in crate::pg) fn is_open_to_others(file: &Metadata) -> bool {
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    file.is_file() && file.mode() & forbidden != 0
}

/// The first line of a password file, whole.
///
/// # Errors
/// When it cannot be read, or others can read it.
pub(super) fn read_password_file(path: &Path) -> Result<Secret, AddressError> {
    let place = || format!("--password-file {}", path.display());
    let unreadable = |error: std::io::Error| AddressError::Refused {
        place: place(),
        fact: format!("cannot be read: {error}"),
        fix: "name a file that this user can read".to_owned(),
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if is_open_to_others(&metadata) && !is_mounted_secret(path, &metadata) {
        return Err(AddressError::Refused {
            place: place(),
            fact: format!("others can read it (mode {:04o})", metadata.mode() & 0o7777),
            fix: format!("chmod 600 {}", path.display()),
        });
    }
    let mut text = String::new();
    file.by_ref().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(AddressError::Refused {
            place: place(),
            fact: "its first line is empty".to_owned(),
            fix: "write the password, and nothing else, into its first line".to_owned(),
        });
    }
    Ok(Secret::new(line))
}

/// Whether a container runtime put the file there: root's, changed by root alone, and in
/// /run/secrets (Docker, Podman) or beside the `..data` link of a Kubernetes volume. These are
/// readable by all users of the container unless its author says otherwise; the container is the
/// boundary.
fn is_mounted_secret(path: &Path, file: &Metadata) -> bool {
    let folder = path.parent().unwrap_or(Path::new("."));
    let is_mount = folder.starts_with("/run/secrets")
        || folder.starts_with("/var/run/secrets")
        || folder.join("..data").is_symlink();
    file.uid() == 0 && file.mode() & 0o022 == 0 && is_mount
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_password_file_is_private_or_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let read = || read_password_file(&path).map_err(|error| error.to_string());
        assert!(read().unwrap_err().contains("cannot be read"));
        fs::write(&path, " p w \r\nsecond\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read().unwrap().expose(), " p w ");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = read().unwrap_err();
        assert!(error.contains("(mode 0644)") && error.contains("chmod 600"), "{error}");
        let is_root = fs::metadata(&path).unwrap().uid() == 0;
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read().is_ok(), is_root);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        symlink("elsewhere", dir.path().join("..data")).unwrap();
        assert_eq!(read().is_ok(), is_root);
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(read().is_err());
        fs::write(&path, "\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(read().unwrap_err().contains("is empty"));
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "****");
    }
}
