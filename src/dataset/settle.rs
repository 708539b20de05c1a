//! What a table needs once its rows are in it, so that the first query finds it as the last one will.

use super::{DatasetError, Filler};
use crate::pg::Session;

impl Filler<'_> {
    /// Sets hint bits, the visibility map and the planner's statistics, and has it all on disk.
    ///
    /// PG-Strom 6.1 reads blocks straight from their files, three times as fast, where all of their rows are
    /// visible and memory holds nothing newer (its `relscan.c`; EXPLAIN counts them as `vfs=` beside
    /// `buffer=`). Without a checkpoint a fresh table shows the GPU slower than it is from the first
    /// checkpoint on.
    pub(super) async fn settle(&mut self) -> Result<(), DatasetError> {
        let table = &self.table.name;
        self.working("VACUUM (ANALYZE)");
        self.statement("vacuum and analyse it", format!("VACUUM (ANALYZE) {table}")).await?;
        self.working("CHECKPOINT");
        let checkpoint = async |control: &mut Session| control.checkpoint().await;
        if !self.stoppable(Some(self.table.rows.get()), checkpoint).await? {
            tracing::warn!(
                "{table} may not be on disk yet, which slows PG-Strom down: the role may not CHECKPOINT\n  \
                 fix: GRANT pg_checkpoint TO it (PostgreSQL 15), or wait for the server's next checkpoint"
            );
        }
        Ok(())
    }
}
