//! Who read beside a stream: on which server, and how it is known what the queries saw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::ServerReport;

/// The readers of a stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadersReport {
    /// Their server, where they have an address of their own.
    pub server: Option<ServerReport>,
    /// How it is known what of the stream their queries saw; `None` without readers, and where it is not
    /// known: on a server whose table is no copy of the one that is loaded.
    pub freshness_by: Option<FreshnessBy>,
}

impl ReadersReport {
    /// The server that they asked, beside the one that was loaded.
    pub fn server_or<'s>(&'s self, loaded: &'s ServerReport) -> &'s ServerReport {
        self.server.as_ref().unwrap_or(loaded)
    }
}

/// How it is known what of the stream a query saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessBy {
    /// By a snapshot on the server that is loaded, and the batches' transaction ids.
    Snapshot,
    /// By what a standby of it has replayed of the write-ahead log, and where the batches' COMMITs are.
    ReplayPosition,
    /// By the newest row of each lane, on a server that is none of these.
    Rows,
}
