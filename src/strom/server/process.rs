//! Finds the server's processes on this machine, from the one that serves our session.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::watch::gpu::is_pg_strom;

/// The server's processes, as this machine counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ServerProcess {
    /// The postmaster.
    pub postmaster_pid: u32,
    /// The process in which PG-Strom does all its GPU work.
    pub gpu_service_pid: Option<u32>,
}

impl ServerProcess {
    /// The server whose child `backend` is; `None` if no such process of a server is visible, as
    /// when the server runs on another machine or in another container.
    pub fn of_backend(backend: u32) -> Option<Self> {
        Self::look(Path::new("/proc"), backend)
    }

    fn look(proc: &Path, backend: u32) -> Option<Self> {
        // The number alone may be that of anything on this machine.
        title(proc, backend)?;
        let postmaster_pid = parent(proc, backend)?;
        let pids = fs::read_dir(proc).ok()?.flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let gpu_service_pid = pids.find(|pid| {
            parent(proc, *pid) == Some(postmaster_pid)
                && title(proc, *pid).is_some_and(|title| is_pg_strom(&title))
        });
        Some(Self { postmaster_pid, gpu_service_pid })
    }
}

/// What a child of a postmaster calls itself.
fn title(proc: &Path, pid: u32) -> Option<String> {
    let words = fs::read(proc.join(pid.to_string()).join("cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    words.starts_with("postgres: ").then_some(words)
}

fn parent(proc: &Path, pid: u32) -> Option<u32> {
    let status = fs::read_to_string(proc.join(pid.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_the_one_of_our_server() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: u32, parent: u32, cmdline: &str| {
            let folder = proc.path().join(pid.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("cmdline"), cmdline).unwrap();
            fs::write(folder.join("status"), format!("Name:\tpostgres\nPPid:\t{parent}\n"))
                .unwrap();
        };
        process(10, 1, "/usr/lib/postgresql/15/bin/postgres\0-D\0data\0");
        process(11, 10, "postgres: me sales [local] idle\0");
        process(12, 10, "postgres: main: PG-Strom GPU Service \0\0");
        process(20, 1, "/usr/lib/postgresql/15/bin/postgres\0-D\0other\0");
        process(21, 20, "postgres: PG-Strom GPU Service\0");
        process(22, 20, "postgres: you sales [local] idle\0");
        process(30, 1, "bash\0");
        let found = |backend| {
            let found = ServerProcess::look(proc.path(), backend);
            found.map(|found| (found.postmaster_pid, found.gpu_service_pid))
        };
        assert_eq!(found(11), Some((10, Some(12))));
        assert_eq!(found(22), Some((20, Some(21))));
        assert_eq!(found(30), None);
        assert_eq!(found(99), None);
    }
}
