//! Who the server runs as: the caller, or an unprivileged account when the caller is root.

use std::ffi::OsStr;
use std::path::Path;
use std::{env, fs, io};

use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use tokio::process::Command;

/// The accounts tried, in order, when root starts a server (PostgreSQL refuses to run as root).
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The account that owns the server's files and processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether a child must change to this account; only root can and must.
    switch: bool,
}

impl Account {
    /// The caller itself, or for root the first of [`UNPRIVILEGED`] that exists here.
    pub(super) fn resolve() -> io::Result<Option<Self>> {
        let uid = geteuid();
        if !uid.is_root() {
            let (uid, gid) = (uid.as_raw(), getegid().as_raw());
            return Ok(Some(Self { name: format!("uid {uid}"), uid, gid, switch: false }));
        }
        let passwd = fs::read("/etc/passwd")?;
        let passwd = String::from_utf8_lossy(&passwd);
        Ok(UNPRIVILEGED.iter().find_map(|name| Self::in_passwd(&passwd, name)))
    }

    /// Reads the file rather than asking the C library: that would need unsafe code, and the two
    /// accounts wanted are system accounts, which live in the file. uid 0 is no help and is skipped.
    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        // macOS writes `nobody` as -2, which is the same 32 bits.
        let id = |field: &str| field.parse::<i64>().ok().map(|id| id as u32);
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let uid = id(fields.nth(1)?).filter(|&uid| uid != 0)?;
            let gid = id(fields.next()?)?;
            Some(Self { name: name.to_owned(), uid, gid, switch: true })
        })
    }

    /// Whether files must be handed over to this account after they are made.
    pub(super) fn is_other(&self) -> bool {
        self.switch
    }

    /// A command that runs as this account, away from the caller's PostgreSQL environment.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        // The caller's directory may be closed to this account; messages must stay greppable.
        command.current_dir("/").env("LC_ALL", "C");
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this account. Does not follow a symlink.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        if self.switch {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }
}

/// Whether starting a child failed because this root cannot become another account at all:
/// setresuid and setgid answer EINVAL for an id that the user namespace does not map, setgroups
/// answers EPERM. A program that may not be executed answers EACCES instead.
pub(super) fn cannot_switch(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::PERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgresql:x:7:7::/:/bin/sh\n\
        broken\n\
        toor:x:0:0::/:/bin/sh\n\
        postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n\
        nobody:*:-2:-2::/:/usr/bin/false\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let found = Account::in_passwd(PASSWD, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(Account::in_passwd(PASSWD, "post"), None);
        assert_eq!(Account::in_passwd(PASSWD, "broken"), None);
    }

    #[test]
    fn an_account_with_uid_0_does_not_help() {
        assert_eq!(Account::in_passwd(PASSWD, "toor"), None);
    }

    #[test]
    fn a_negative_id_is_the_same_32_bits() {
        assert_eq!(Account::in_passwd(PASSWD, "nobody").unwrap().uid, u32::MAX - 1);
    }
}
