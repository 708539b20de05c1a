//! The server that a job was done to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::format_duration;

/// Clocks that are kept by NTP differ by less.
const CLOSE: Duration = Duration::from_millis(100);

/// The server of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ServerReport {
    /// Its address, without secrets.
    pub address: String,
    /// Whether strom-load started it.
    pub embedded: bool,
    /// What tells it from any other server.
    #[serde(default)]
    pub identity: ServerIdentity,
    /// Whether PG-Strom is loaded.
    pub pg_strom_loaded: bool,
    /// Version and settings.
    #[serde(flatten)]
    pub facts: ServerFacts,
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
