//! What a session sees: which transactions have ended, and how far a standby has come.

use crate::freshness::Snapshot;

use super::{Error, Session, quote_literal};

/// What a session saw at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Its snapshot.
    pub snapshot: Snapshot,
    /// On a standby, up to where it has replayed the write-ahead log.
    pub replayed: Option<u64>,
    /// The oid of the table that a name means in the session; `None`: of none.
    pub table: Option<u32>,
}

impl Session {
    /// Asks what it sees now. A statement after it sees that too, and maybe more. Which table a name means
    /// is up to the session's search_path.
    ///
    /// # Errors
    /// When the server does not answer, or not as PostgreSQL does.
    pub(crate) async fn sight(&mut self, table: &str) -> Result<Sight, Error> {
        let act = "ask what a query will see";
        let sql = format!(
            "SELECT pg_catalog.pg_current_snapshot(), \
             CASE WHEN pg_catalog.pg_is_in_recovery() \
             THEN pg_catalog.pg_last_wal_replay_lsn() END, \
             pg_catalog.to_regclass({})::pg_catalog.oid",
            quote_literal(table)
        );
        let rows = self.rows(act, &sql).await?;
        let text = |column: usize| rows.first().and_then(|row| row.get(column)?.as_deref());
        let told = text(0).unwrap_or_default();
        let snapshot = Snapshot::read(told)
            .ok_or_else(|| Error::refused(act, format!("`{told}` is no snapshot")))?;
        let table = text(2).and_then(|oid| oid.parse().ok());
        Ok(Sight { snapshot, replayed: text(1).and_then(read_position), table })
    }

    /// Up to where a standby has replayed the write-ahead log; `None`: the server is none.
    ///
    /// # Errors
    /// When the server does not answer, or not as PostgreSQL does.
    pub(crate) async fn replayed(&mut self) -> Result<Option<u64>, Error> {
        let sql = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() \
                   THEN pg_catalog.pg_last_wal_replay_lsn() END";
        let told = self.text("ask how far the server has come", sql).await?;
        Ok(told.as_deref().and_then(read_position))
    }

    /// Where the write-ahead log is: at or behind all that was committed before.
    ///
    /// # Errors
    /// When the server does not answer, or is a standby.
    pub(crate) async fn log_position(&mut self) -> Result<u64, Error> {
        let act = "ask for the position in the write-ahead log";
        let told = self.text(act, "SELECT pg_catalog.pg_current_wal_insert_lsn()").await?;
        let told = told.unwrap_or_default();
        read_position(&told).ok_or_else(|| Error::refused(act, format!("`{told}` is none")))
    }
}

/// Reads a position in the write-ahead log, such as `16/B374D848`.
pub(super) fn read_position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let (high, low) = (u32::from_str_radix(high, 16).ok()?, u32::from_str_radix(low, 16).ok()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_the_server_writes_it() {
        assert_eq!(read_position("16/B374D848"), Some(0x16_B374_D848));
        assert_eq!(read_position("0/0"), Some(0));
        assert_eq!(read_position("B374D848"), None);
        assert_eq!(read_position("1/-5"), None);
    }
}
