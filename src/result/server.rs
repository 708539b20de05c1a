//! The server that a job was done to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::format_duration;

use super::capability::Capabilities;

/// Clocks that are kept by NTP differ by less.
const CLOSE: Duration = Duration::from_millis(100);

/// The server of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServerReport {
    /// Its address, without secrets.
    pub address: String,
    /// Whether strom-load started it.
    pub embedded: bool,
    /// Settings that `--pg-set` gave it; `None` for the value of one that may hold a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given_settings: BTreeMap<String, Option<String>>,
    /// What tells it from any other server.
    #[serde(default)]
    pub identity: ServerIdentity,
    /// Whether PG-Strom is loaded.
    pub pg_strom_loaded: bool,
    /// What it can do, as far as loading needs it; `None` where nothing was loaded, and in results of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Version and settings.
    #[serde(flatten)]
    pub facts: ServerFacts,
}

/// Settings as they may be saved: without the values of those that may hold a secret.
pub(crate) fn without_secrets(given: &[(String, String)]) -> BTreeMap<String, Option<String>> {
    const SECRETS: [&str; 6] = ["passw", "passphrase", "secret", "token", "conninfo", "_command"];
    let may_hold = |text: &str| {
        let text = text.to_ascii_lowercase();
        SECRETS.iter().any(|secret| text.contains(secret))
    };
    let each = given.iter().map(|(name, value)| {
        // Those say how passwords are kept, and hold none.
        let is_known = name == "password_encryption";
        let hides = !is_known && (may_hold(name) || may_hold(value));
        (name.clone(), (!hides).then(|| value.clone()))
    });
    each.collect()
}

/// What tells a server, its database and the run's table from any other of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerIdentity {
    /// The number that the cluster was given when it was made, `pg_control_system()`; `None` where
    /// the role may not ask.
    pub system_identifier: Option<String>,
    /// The database's name.
    pub database: Option<String>,
    /// Its oid.
    pub database_oid: Option<u32>,
    /// The oid of the stream's table; `None` without a stream.
    pub table_oid: Option<u32>,
    /// The run's first row; `None` where it cannot be known beforehand: without a schedule.
    pub first_row: Option<FirstRow>,
}

impl ServerIdentity {
    /// Whether it is a database of the same cluster as another one, or of a standby of it: they were made
    /// once. A server that does not say so is none.
    pub(crate) fn is_of_cluster_of(&self, other: &Self) -> bool {
        self.system_identifier.is_some()
            && self.system_identifier == other.system_identifier
            && self.database_oid == other.database_oid
    }
}

/// A row that only one run can have sent, as it holds the moment at which it was due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstRow {
    /// Its partition.
    pub partition: u32,
    /// Its id.
    pub id: i64,
    /// Checksum of its bytes.
    pub checksum: String,
}

/// Facts about a server, taken once at the start.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServerFacts {
    /// `SHOW server_version`.
    pub version: String,
    /// Major version, for example 15.
    pub major: u32,
    /// Settings with their values as SHOW prints them; those that our role may see.
    pub settings: BTreeMap<String, String>,
    /// How far its clock is off ours.
    pub clock: ClockOffset,
}

/// How far the server's clock is off this machine's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockOffset {
    /// The server's clock less ours, in milliseconds: above 0 it is ahead.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub offset_ms: f64,
    /// Half a round trip: the true offset lies within so much of `offset_ms`.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub uncertainty_ms: f64,
}

/// What a server did while a run went on, by its own counters, whoever had it do that; `None` is what the
/// role may not ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerWork {
    /// Seconds between the two looks: before the schedule began, and after it had ended.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub over_s: f64,
    /// Bytes that it wrote to the write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Checkpoints that came by time.
    pub checkpoints_timed: Option<u64>,
    /// Checkpoints that came before their time: by the size of the log, or since somebody asked for one.
    pub checkpoints_requested: Option<u64>,
    /// Bytes of the stream's table with its partitions, without indexes, at the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_bytes_before: Option<u64>,
    /// The same at the end.
    pub table_bytes: Option<u64>,
    /// CPU time of the producers' backends, in seconds, from the start of the schedule to the end of the drain.
    /// `None` where the server runs elsewhere, the system does not tell, or a producer had to connect anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_cpu_s: Option<f64>,
    /// What the loader's sessions waited for while the server was at work for them: looks, one a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<WaitReport>,
}

/// What some of the loader's sessions were seen to wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitReport {
    /// Whose sessions.
    pub who: Who,
    /// The server's names for it, as `IO:WALSync`; `None`: they did not wait.
    pub event: Option<String>,
    /// Sessions seen so, over all looks.
    pub samples: u64,
    /// Those of them that waited for a lock that autovacuum had, as far as our role may see that.
    pub behind_autovacuum: u64,
}

/// Whose sessions they are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WhoWaits")]
pub enum Who {
    /// Those that load.
    Producers,
    /// Those that ask queries.
    Readers,
}

impl ServerFacts {
    /// A setting that is a size, in bytes: `1GB` is what SHOW prints.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        let units = [("kB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40), ("B", 1)];
        let (number, unit) = self.with_unit(name, &units)?;
        number.checked_mul(unit)
    }

    /// A setting that is a length of time, in seconds: `5min`.
    pub fn seconds(&self, name: &str) -> Option<f64> {
        let units = [("ms", 1), ("min", 60_000), ("s", 1_000), ("h", 3_600_000), ("d", 86_400_000)];
        let (number, unit) = self.with_unit(name, &units)?;
        Some(number as f64 * unit as f64 / 1e3)
    }

    fn with_unit(&self, name: &str, units: &[(&str, u64)]) -> Option<(u64, u64)> {
        let shown = self.settings.get(name)?;
        let (number, scale) =
            units.iter().find_map(|(unit, scale)| Some((shown.strip_suffix(unit)?, *scale)))?;
        Some((number.trim().parse().ok()?, scale))
    }
}

impl ClockOffset {
    /// Whether it is off by more than clocks should be, whatever the round trip hides.
    pub fn is_far_off(&self) -> bool {
        self.offset_ms.abs() - self.uncertainty_ms > CLOSE.as_secs_f64() * 1e3
    }
}

/// Such as `60 min ahead of this machine's (± 0.2 ms)`.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.offset_ms < 0.0 { "behind" } else { "ahead of" };
        let offset = format_duration(Duration::from_micros((self.offset_ms.abs() * 1e3) as u64));
        write!(f, "{offset} {side} this machine's (± {:.1} ms)", self.uncertainty_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_saved_without_it() {
        let given = [
            ("shared_buffers", "16MB"),
            ("password_encryption", "md5"),
            ("primary_conninfo", "host=a"),
            ("my.key", "password=x"),
            ("shared_buffers", "32MB"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let saved = without_secrets(&given);
        let saved: Vec<_> =
            saved.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let told = [
            ("my.key", None),
            ("password_encryption", Some("md5")),
            ("primary_conninfo", None),
            ("shared_buffers", Some("32MB")),
        ];
        assert_eq!(saved, told, "the last of one name counts");
    }

    #[test]
    fn settings_are_read_as_show_prints_them() {
        let settings = [
            ("shared_buffers", "128MB"),
            ("max_wal_size", "1GB"),
            ("work_mem", "64kB"),
            ("checkpoint_timeout", "5min"),
            ("deadlock_timeout", "250ms"),
            ("wal_writer_delay", "1d"),
            ("jit", "on"),
        ];
        let facts = ServerFacts {
            version: "15.1".to_owned(),
            major: 15,
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            clock: ClockOffset::default(),
        };
        let bytes = ["shared_buffers", "max_wal_size", "work_mem", "jit", "none"];
        let bytes = bytes.map(|name| facts.bytes(name));
        assert_eq!(bytes, [Some(128 << 20), Some(1 << 30), Some(64 << 10), None, None]);
        let seconds = ["checkpoint_timeout", "deadlock_timeout", "wal_writer_delay", "jit"];
        let seconds = seconds.map(|name| facts.seconds(name));
        assert_eq!(seconds, [Some(300.0), Some(0.25), Some(86_400.0), None]);
    }
}
