//! The server that a job was done to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::format_duration;

/// Clocks that are kept by NTP differ by less.
const CLOSE: Duration = Duration::from_millis(100);

/// The server of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerReport {
    /// Its address, without secrets.
    pub address: String,
    /// Whether strom-load started it.
    pub embedded: bool,
    /// Whether PG-Strom is loaded.
    pub pg_strom_loaded: bool,
    /// Version and settings.
    #[serde(flatten)]
    pub facts: ServerFacts,
}

/// Facts about a server, taken once at the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// The server's clock less ours, in milliseconds: above 0 it is ahead.
    pub offset_ms: f64,
    /// Half a round trip: the true offset lies within so much of `offset_ms`.
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
