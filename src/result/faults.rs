//! What came of a run among faults.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stream::StreamRun;
use crate::record::{LaneAudit, Percentiles};

/// A run among faults.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FaultsReport {
    /// What places, kinds and pauses were drawn from.
    pub seed: u64,
    /// Measured time, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub measured_s: f64,
    /// Each kind that was made.
    pub faults: Vec<KindReport>,
    /// All of them together.
    pub all: KindReport,
    /// What became of the rows.
    pub rows: RowsReport,
    /// Greatest memory of the loader (VmHWM).
    pub memory: MemoryReport,
    /// Errors of the producers by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// What ended the run early, if anything did.
    pub error: Option<String>,
    /// Whether every row was read back, and none is lost, doubled, altered, unexpected or
    /// undecided.
    pub right: bool,
    /// What the audit found, by partition.
    pub audit: Option<Vec<LaneAudit>>,
}

/// The faults of one kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KindReport {
    /// The kind; none for all together.
    pub kind: Option<FaultKind>,
    /// How many there were.
    pub injected: u64,
    /// After how many of them rows were acknowledged again in every partition.
    pub survived: u64,
    /// The producers' outages: from the first failure to the next success.
    pub recovery: Option<Percentiles>,
    /// Response time of the slowest batch, in milliseconds.
    pub slowest_batch_ms: Option<f64>,
}

/// What became of the rows of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RowsReport {
    /// Due.
    pub due: u64,
    /// Confirmed by the server, or found in the table afterwards.
    pub acknowledged: u64,
    /// Acknowledged, and not in the table; none if it was not read back.
    pub lost: Option<u64>,
    /// In the table more than once.
    pub doubled: Option<u64>,
    /// In the table with other values.
    pub altered: Option<u64>,
    /// In the table, though dropped or never sent.
    pub unexpected: Option<u64>,
    /// Sent, and nobody can tell.
    pub undecided: u64,
    /// Given up: the backlog was full, or the run over.
    pub dropped: u64,
}

/// Memory of the loader.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct MemoryReport {
    /// Its peak in the first minute; none for a run that was shorter.
    pub peak_after_1_min_bytes: Option<u64>,
    /// Its peak until the schedule had ended, before the audit.
    pub peak_at_end_bytes: u64,
}

/// A kind of fault.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// `pg_terminate_backend` of a producer or reader.
    BackendTerminated,
    /// SIGKILL of a backend: the postmaster ends all others and recovers.
    BackendKilled,
    /// SIGKILL of the postmaster, then a start.
    ServerKilled,
    /// Immediate shutdown, then a start.
    ServerStopped,
    /// Fast shutdown and start.
    ServerRestarted,
    /// `LOCK TABLE … IN ACCESS EXCLUSIVE MODE` by somebody else.
    TableLocked,
    /// Producers and readers lose their sessions while others hold all connection slots.
    SlotsExhausted,
    /// Every TCP connection is reset.
    ConnectionReset,
    /// A TCP connection is reset after some byte, in either direction.
    ConnectionCut,
    /// A TCP connection is reset around a COMMIT: before it, after it, or after its answer.
    CommitCut,
    /// Every TCP connection falls silent for good, and for a while no new one is answered.
    BlackHole,
    /// Every TCP connection is slow for a while.
    SlowLink,
}

impl FaultKind {
    /// All kinds, each with what it does.
    pub const ALL: [(Self, &'static str, &'static str); 12] = [
        (Self::BackendTerminated, "backend-terminated", "pg_terminate_backend of one session"),
        (Self::BackendKilled, "backend-killed", "SIGKILL of one backend: all sessions are lost"),
        (Self::ServerKilled, "server-killed", "SIGKILL of the postmaster, then a start"),
        (Self::ServerStopped, "server-stopped", "immediate shutdown, then a start"),
        (Self::ServerRestarted, "server-restarted", "fast shutdown and start"),
        (Self::TableLocked, "table-locked", "somebody else locks the table for some seconds"),
        (Self::SlotsExhausted, "slots-exhausted", "others hold every connection slot"),
        (Self::ConnectionReset, "connection-reset", "every TCP connection is reset"),
        (Self::ConnectionCut, "connection-cut", "one TCP connection is reset after some byte"),
        (Self::CommitCut, "commit-cut", "one is reset before, in or after the answer to a COMMIT"),
        (Self::BlackHole, "black-hole", "every TCP connection falls silent for good"),
        (Self::SlowLink, "slow-link", "every TCP connection is slow for some seconds"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("?", |(_, name, _)| name)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(kind, ..)| *kind).ok_or_else(|| format!("`{text}` is not a kind of fault"))
    }
}

/// A stream among faults.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FaultsRun {
    /// The stream.
    #[serde(flatten)]
    pub run: StreamRun,
    /// The faults, and what came of them.
    pub faults: FaultsReport,
}

impl FaultsReport {
    /// Whether the audit found the table other than it should be.
    pub fn is_wrong(&self) -> bool {
        self.rows.lost.is_some() && !self.right
    }
}

impl RowsReport {
    /// Whether every row was read back, and none is lost, doubled, altered, unexpected or
    /// undecided.
    pub fn are_right(&self) -> bool {
        let found = [self.lost, self.doubled, self.altered, self.unexpected];
        found.iter().all(|rows| *rows == Some(0)) && self.undecided == 0
    }
}
