//! How far the leaves of a table reach: the slices of blocks in which it is read, and whether a
//! session that comes later may go on where one left off.

use super::quote::quote_literal;
use super::table::order;
use super::{Error, Session};
use crate::plan::{Stream, TableName};

/// Blocks of a slice, 32 MiB: some hundred thousand rows, so that a query for each costs nothing,
/// and little is read again after a fault.
const SLICE_BLOCKS: u64 = 4096;

/// Slices are read by their blocks and in their order; nothing else would be quick without an index, or
/// bring the rows in the order in which they came.
const BY_BLOCKS: &str = "SET LOCAL enable_tidscan = on; SET LOCAL enable_seqscan = off; \
     SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off; \
     SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off";

/// The leaves of a table as one transaction sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Blocks of the longest leaf. `None`: a leaf is not made of blocks, such as a foreign table.
    blocks: Option<u64>,
    /// The files of the leaves: VACUUM FULL and the like make others, with the rows elsewhere.
    files: String,
    /// The server's timeline: a replica that took over may lack rows that were seen before. `None`:
    /// not known.
    timeline: Option<String>,
    /// Whether a leaf is a foreign table: its rows come from another server, which knows an order only by
    /// their ids.
    foreign: bool,
}

/// A part of each leaf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// What restricts a query to it, after other conditions; empty for all there is.
    pub filter: String,
    /// The first block of the next one.
    pub next: Option<u64>,
}

impl Extent {
    /// Opens the transaction in which a session reads what `query` selects from a table: each of its
    /// slices sees the same rows, and the files of the leaves that it reads stay until it ends.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub(crate) async fn open(
        session: &mut Session,
        table: &TableName,
        query: &str,
    ) -> Result<Self, Error> {
        let act = "read the rows back";
        let standby = "SELECT pg_catalog.pg_is_in_recovery()";
        let is_standby = session.text(act, standby).await?.as_deref() == Some("t");
        let mut is_flushed = true;
        if !is_standby {
            // What is read is on disk by then: a crash takes nothing back that was seen.
            let flush = "BEGIN; SET LOCAL synchronous_commit = local; \
                         SELECT pg_catalog.pg_current_xact_id(); COMMIT";
            match session.execute(act, flush).await {
                // A server without transaction ids: what a session has read, the next one reads again.
                Err(error) if matches!(error.sqlstate(), Some("42883" | "0A000" | "42601")) => {
                    session.execute(act, "ROLLBACK").await?;
                    is_flushed = false;
                }
                flushed => flushed?,
            }
        }
        let timeline = match is_standby {
            true => Some("standby".to_owned()),
            false if !is_flushed => None,
            false => {
                let asks = "SELECT pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)";
                match session.text(act, asks).await {
                    Err(error) if error.is_lost() => return Err(error),
                    // Some hosts take the right away.
                    answer => answer.ok().flatten(),
                }
            }
        };
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {BY_BLOCKS}; {query} LIMIT 0"
        );
        session.execute(act, &begin).await?;
        // Its leaves are those that it has locked.
        let sql = format!(
            "SELECT count(*) FILTER (WHERE c.relkind <> 'r' OR a.amname IS DISTINCT FROM 'heap' \
             OR named.relkind NOT IN ('p', 'r')), \
             max(pg_catalog.pg_relation_size(c.oid)) \
             / pg_catalog.current_setting('block_size')::bigint, \
             pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', \
             pg_catalog.pg_relation_filenode(c.oid)), ',' ORDER BY c.oid), \
             count(*) FILTER (WHERE c.relkind = 'f') > 0 \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
             LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam \
             JOIN pg_catalog.pg_class named ON named.oid = {}::pg_catalog.regclass \
             WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() \
             AND c.relkind IN ('r', 'f', 'm') \
             AND c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace",
            quote_literal(&table.to_string())
        );
        let rows = session.rows(act, &sql).await?;
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let mut next = || row.next().flatten();
        let (others, blocks, files, foreign) = (next(), next(), next(), next());
        let blocks = blocks.and_then(|blocks| blocks.parse().ok());
        let blocks = blocks.filter(|_| others.as_deref() == Some("0"));
        let foreign = foreign.as_deref() == Some("t");
        Ok(Self { blocks, files: files.unwrap_or_default(), timeline, foreign })
    }

    /// In which order the rows of a slice are asked for, after its filter; empty for that of the table.
    pub(crate) fn order(&self, stream: &Stream) -> String {
        let by = order(stream).filter(|_| self.foreign);
        by.map_or_else(String::new, |by| format!(" ORDER BY {by}"))
    }

    /// Whether what was read as `earlier` need not be read again.
    pub(crate) fn continues(&self, earlier: &Self) -> bool {
        let Self { blocks, files, timeline, .. } = self;
        blocks.is_some() == earlier.blocks.is_some()
            && *files == earlier.files
            && timeline.is_some()
            && *timeline == earlier.timeline
    }

    /// The slice that begins with block `from`. The last one has no end.
    pub(crate) fn slice(&self, from: u64) -> Slice {
        let end = from + SLICE_BLOCKS;
        let Some(blocks) = self.blocks.filter(|blocks| from > 0 || end < *blocks) else {
            return Slice { filter: String::new(), next: None };
        };
        let next = Some(end).filter(|end| *end < blocks);
        let below = next.map_or_else(String::new, |end| format!(" AND ctid < '({end},0)'::tid"));
        Slice { filter: format!(" AND ctid >= '({from},0)'::tid{below}"), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(blocks: Option<u64>) -> Extent {
        Extent {
            blocks,
            files: "1:1".to_owned(),
            timeline: Some("00000001".to_owned()),
            foreign: false,
        }
    }

    /// The filters of all slices.
    fn filters(extent: &Extent) -> Vec<String> {
        let (mut filters, mut from) = (Vec::new(), Some(0));
        while let Some(block) = from {
            let slice = extent.slice(block);
            filters.push(slice.filter);
            from = slice.next;
        }
        filters
    }

    #[test]
    fn slices_follow_each_other_and_the_last_has_no_end() {
        let whole = [String::new()];
        assert_eq!(filters(&extent(None)), whole, "not made of blocks");
        assert_eq!(filters(&extent(Some(0))), whole);
        assert_eq!(filters(&extent(Some(SLICE_BLOCKS))), whole);
        assert_eq!(
            filters(&extent(Some(2 * SLICE_BLOCKS + 1))),
            [
                " AND ctid >= '(0,0)'::tid AND ctid < '(4096,0)'::tid",
                " AND ctid >= '(4096,0)'::tid AND ctid < '(8192,0)'::tid",
                " AND ctid >= '(8192,0)'::tid",
            ]
        );
    }

    #[test]
    fn only_the_same_files_on_the_same_timeline_are_gone_on_with() {
        let earlier = extent(Some(5000));
        assert!(Extent { blocks: Some(9000), ..earlier.clone() }.continues(&earlier));
        assert!(!Extent { files: "1:2".to_owned(), ..earlier.clone() }.continues(&earlier));
        assert!(!Extent { timeline: None, ..earlier.clone() }.continues(&earlier));
        assert!(!extent(None).continues(&earlier));
        let promoted = Extent { timeline: Some("00000002".to_owned()), ..earlier.clone() };
        assert!(!promoted.continues(&earlier));
    }
}
