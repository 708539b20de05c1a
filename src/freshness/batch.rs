//! A batch, as far as it matters who sees it.

use tokio::time::Instant;

/// A batch that was begun, or several of them that were acknowledged: seen when the last one is, and as
/// old as the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// The row of the lane behind its last one.
    pub end_row: u64,
    /// When its first row was due.
    pub due: Instant,
    /// The same of the last batch in it.
    pub last_due: Instant,
    /// Its transaction, once it is acknowledged.
    pub xid: Option<u64>,
    /// A position in the write-ahead log that is not before its COMMIT.
    pub position: Option<u64>,
    /// When it was acknowledged.
    pub acknowledged: Option<Instant>,
}
