//! What a server has done so far, by its own counters: two looks make what it did in between.

use super::{Error, Session};

/// Counters of the whole server, and the size of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Bytes of the write-ahead log since the cluster was made.
    pub wal_bytes: Option<u64>,
    /// Checkpoints that came by time.
    pub checkpoints_timed: Option<u64>,
    /// Checkpoints that the size of the log or somebody asked for.
    pub checkpoints_requested: Option<u64>,
    /// Bytes of the table with its partitions, without indexes.
    pub table_bytes: Option<u64>,
}

impl Session {
    /// Reads the counters of a server of this major version, and the size of the table with this oid.
    ///
    /// # Errors
    /// When it does not answer, or the role may not ask.
    pub(crate) async fn counters(&mut self, major: u32, table: u32) -> Result<Counters, Error> {
        let [timed, requested, of] = match major {
            ..17 => ["checkpoints_timed", "checkpoints_req", "pg_stat_bgwriter"],
            _ => ["num_timed", "num_requested", "pg_stat_checkpointer"],
        };
        let sql = format!(
            "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint, \
             {timed}, {requested}, (SELECT pg_catalog.sum(pg_catalog.pg_table_size(c.oid))::bigint \
             FROM pg_catalog.pg_class c WHERE c.oid = {table} OR c.oid IN \
             (SELECT t.relid FROM pg_catalog.pg_partition_tree({table}) t)) FROM pg_catalog.{of}"
        );
        let rows = self.rows("read the server's counters", &sql).await?;
        let number = |column: usize| rows.first()?.get(column)?.as_ref()?.parse().ok();
        Ok(Counters {
            wal_bytes: number(0),
            checkpoints_timed: number(1),
            checkpoints_requested: number(2),
            table_bytes: number(3),
        })
    }
}
