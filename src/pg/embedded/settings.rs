//! The server's settings: what a benchmark wants, and what the launcher must decide itself.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::plan::nearest;

use super::account::Account;
use super::error::{EmbeddedError, at};
use super::probe::Binaries;

const MIB: u64 = 1 << 20;

/// Where no cluster is.
const NOWHERE: &str = "/nowhere/strom-load";
/// What the server says of a setting that it does not have.
const UNKNOWN: &str = "unrecognized configuration parameter";

/// The launcher tells these to the clients, or depends on them; a user's value would break that.
const OWN: [&str; 6] = [
    "port",
    "listen_addresses",
    "unix_socket_directories",
    "data_directory",
    "external_pid_file",
    // The collector takes over the standard output that tells whether the server lives.
    "logging_collector",
];

/// Whether a setting is the launcher's own. PostgreSQL reads `-` in a name given on the command line
/// as `_`, and ignores case.
pub fn is_decided_by_launcher(name: &str) -> bool {
    OWN.contains(&name.to_ascii_lowercase().replace('-', "_").as_str())
}

/// Refuses settings that are the launcher's own, and names that would not be one argument.
pub(super) fn check(settings: &[(String, String)]) -> Result<(), EmbeddedError> {
    for (name, value) in settings {
        let why = if is_decided_by_launcher(name) {
            "strom-load decides this setting itself, since its own sessions depend on it"
        } else if name.is_empty() || name.contains('=') {
            "that is not the name of a setting"
        } else {
            continue;
        };
        let (name, value) = (name.clone(), value.clone());
        return Err(EmbeddedError::Setting { name, value, why });
    }
    Ok(())
}

/// Has the server read the user's settings before a cluster is made for it, which takes seconds:
/// it reads its command line before it looks for its files, of which there are none here.
pub(super) async fn ask(
    account: &Account,
    binaries: &Binaries,
    settings: &[(String, String)],
) -> Result<(), EmbeddedError> {
    let mut refusals = Vec::new();
    for (name, value) in settings {
        let mut server = account.command(binaries.bindir.join("postgres"));
        server.args(["-D", NOWHERE, "-c", &format!("{name}={value}"), "-C", name]);
        let output = server.stdin(Stdio::null()).output().await;
        let said = output.map_err(at("run", &binaries.bindir))?.stderr;
        let Some(refusal) = refusal(&String::from_utf8_lossy(&said)) else { continue };
        let fix = if refusal.contains(UNKNOWN) {
            let known = names(account, binaries).await;
            nearest(name, known.iter().map(String::as_str))
                .map_or_else(|| "leave it out".to_owned(), |near| format!("did you mean `{near}`?"))
        } else {
            "correct the value, or leave it out".to_owned()
        };
        refusals.push(format!("--pg-set {name}={value}: {refusal}\n  fix: {fix}"));
    }
    if refusals.is_empty() { Ok(()) } else { Err(EmbeddedError::Settings { refusals }) }
}

/// What the server says against a setting; its hint as a line of its own. `None`: it takes it.
fn refusal(said: &str) -> Option<String> {
    let after = |label: &str| {
        let line = said.lines().find_map(|line| line.split_once(label))?;
        Some(line.1.trim_start().to_owned())
    };
    let fatal = after("FATAL:")?;
    let more = [("DETAIL:", "detail"), ("HINT:", "hint (server)")];
    let more = more.into_iter().filter_map(|(label, shown)| Some((shown, after(label)?)));
    Some(more.fold(fatal, |text, (shown, more)| format!("{text}\n  {shown}: {more}")))
}

/// The names of the server's settings; none if it does not tell.
async fn names(account: &Account, binaries: &Binaries) -> Vec<String> {
    let mut server = account.command(binaries.bindir.join("postgres"));
    let output = server.arg("--describe-config").stdin(Stdio::null()).output().await;
    let told = output.map(|output| output.stdout).unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    told.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect()
}

/// The `-c` arguments of `postgres`, the user's last so that they win.
pub(super) fn arguments(
    port: u16,
    socket_dir: &Path,
    settings: &[(String, String)],
) -> Vec<String> {
    // A list of folders: quoted, so that a comma or a space in the path does not split it.
    let socket_dir = socket_dir.to_string_lossy().replace('"', "\"\"");
    let ours = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", format!("\"{socket_dir}\"")),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        // The launcher reads why a server did not start.
        ("lc_messages", "C".to_owned()),
        // Said aloud, because a kept cluster's own file may say otherwise: without it the commit
        // latencies would be a lie.
        ("fsync", "on".to_owned()),
        ("max_connections", "200".to_owned()),
        ("max_wal_size", "4GB".to_owned()),
        ("shared_buffers", format!("{}MB", shared_buffers_mib(memory_bytes()))),
    ];
    let ours = ours.iter().map(|(name, value)| (*name, value.as_str()));
    let theirs = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    ours.chain(theirs)
        .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
        .collect()
}

/// A quarter of the memory, at most 1 GiB: enough to ingest, and the loader shares this machine.
/// Unknown memory gets PostgreSQL's own default.
fn shared_buffers_mib(memory_bytes: Option<u64>) -> u64 {
    memory_bytes.map_or(128, |bytes| (bytes / 4 / MIB).clamp(16, 1024))
}

/// The memory this process may use: the machine's, or its container's if that is less.
fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_total(&text));
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(container).min()
}

fn meminfo_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_buffers_are_a_quarter_within_bounds() {
        assert_eq!(shared_buffers_mib(Some(2048 * MIB)), 512);
        assert_eq!(shared_buffers_mib(Some(64 * 1024 * MIB)), 1024);
        assert_eq!(shared_buffers_mib(Some(1)), 16);
        assert_eq!(shared_buffers_mib(None), 128);
    }

    #[test]
    fn the_total_is_read_from_meminfo() {
        let text = "MemTotal:       24683724 kB\nMemFree:  1 kB\n";
        assert_eq!(meminfo_total(text), Some(24_683_724 * 1024));
        assert_eq!(meminfo_total("MemTotal: much"), None);
    }

    #[test]
    fn the_users_settings_come_last() {
        let theirs = [("fsync".to_owned(), "off".to_owned())];
        let arguments = arguments(5432, Path::new("/a, b"), &theirs);
        assert_eq!(arguments.last().unwrap(), "fsync=off");
        assert!(arguments.contains(&"fsync=on".to_owned()));
        assert!(arguments.contains(&"unix_socket_directories=\"/a, b\"".to_owned()));
    }

    #[test]
    fn the_launchers_own_settings_are_refused_in_any_spelling() {
        for name in ["port", "PORT", "logging-collector", "", "work_mem=1"] {
            assert!(check(&[(name.to_owned(), "1".to_owned())]).is_err(), "{name}");
        }
        assert!(check(&[("work_mem".to_owned(), "1MB".to_owned())]).is_ok());
    }
}
