//! Finds PG-Strom's GPU process among those of a GPU, by its command line.
//!
//! All GPU work of a server belongs to one background worker. The driver counts processes as its
//! host does, so from within a container, or for a server elsewhere, there is nothing to find.

use std::fs;

/// The worker's name, after the `postgres:` and the cluster's name that a server may add.
const TITLE: &str = "PG-Strom GPU Service";

/// The command line of a process, its words parted by spaces; `None` if it is not visible.
pub(super) fn command(pid: u32) -> Option<String> {
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    Some(words.trim_end().to_owned()).filter(|words| !words.is_empty())
}

/// Whether a command line is that of PG-Strom's GPU process.
pub fn is_pg_strom(command: &str) -> bool {
    command.strip_prefix("postgres: ").is_some_and(|title| title.contains(TITLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_known_by_its_title() {
        assert!(is_pg_strom("postgres: PG-Strom GPU Service"));
        assert!(is_pg_strom("postgres: main: PG-Strom GPU Service"));
        assert!(!is_pg_strom("postgres: me sales [local] SELECT"));
        assert!(!is_pg_strom("less PG-Strom GPU Service.txt"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_command_line_is_read_where_the_process_is_visible() {
        assert!(command(std::process::id()).is_some());
        assert_eq!(command(u32::MAX), None);
    }
}
