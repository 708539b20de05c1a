//! What runs left in a database: tables with our mark, and rows that name runs. It is listed, and what is
//! named goes; nothing else.

use crate::plan::TableName;

use super::mark::{self, DATA_SET, RowCount, STREAM};
use super::quote::quote_literal;
use super::{Address, Error, Session, owner};

/// A table that strom-load made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Its name with its schema.
    pub name: TableName,
    /// Whether a stream was loaded into it; if not, it was filled with generated rows.
    pub is_stream: bool,
    /// Its rows by the last VACUUM or ANALYZE; `None`: there was none.
    pub rows_estimated: Option<u64>,
    /// Its bytes, with partitions and indexes.
    pub bytes: u64,
    /// Whether a run is at it.
    pub in_use: bool,
    /// When the last run took it; `None` where no row says so.
    pub last_run_at: Option<String>,
}

/// What runs left in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// The tables, by name.
    pub tables: Vec<Left>,
    /// Rows in `strom_load.lane` of tables that are gone.
    pub lanes_of_gone: u64,
}

async fn open(address: &Address) -> Result<Session, Error> {
    Ok(Session::own(address, "strom-load clean").await?.telling_of_waits())
}

/// Looks what runs left. Changes nothing.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn list(address: &Address) -> Result<Leftovers, Error> {
    let mut session = open(address).await?;
    let opens = |mark| format!("pg_catalog.starts_with(d.description, {})", quote_literal(mark));
    let tree = "c.oid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t";
    let sql = format!(
        "SELECT n.nspname, c.relname, {}, \
         (SELECT pg_catalog.sum(p.reltuples)::bigint FROM pg_catalog.pg_class p \
         WHERE p.reltuples >= 0 AND p.relkind <> 'p' AND p.oid IN (SELECT {tree})), \
         (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(p.oid))::bigint \
         FROM pg_catalog.pg_class p WHERE p.oid IN (SELECT {tree})), \
         EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
         AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_catalog.pg_database \
         WHERE datname = pg_catalog.current_database()) \
         AND (l.classid::bigint << 32) | l.objid::bigint = \
         pg_catalog.hashtextextended('strom-load table ' || c.oid, 0)), c.oid \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 \
         AND d.classoid = 'pg_catalog.pg_class'::regclass \
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' \
         AND ({0} OR {}) ORDER BY 1, 2",
        opens(STREAM),
        opens(DATA_SET)
    );
    let rows = session.rows("look for tables with our mark", &sql).await?;
    let lanes = owner::left(&mut session).await?.unwrap_or_default();
    session.close().await;
    let table = |row: Vec<Option<String>>| {
        let [schema, name, is_stream, rows, bytes, in_use, oid] = row.try_into().ok()?;
        let oid: u32 = oid?.parse().ok()?;
        Some(Left {
            name: TableName { schema, name: name? },
            is_stream: is_stream.as_deref() == Some("t"),
            rows_estimated: rows.and_then(|rows| rows.parse().ok()),
            bytes: bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
            in_use: in_use.as_deref() == Some("t"),
            last_run_at: lanes.iter().find(|(own, ..)| *own == oid).map(|(.., at)| at.clone()),
        })
    };
    let gone = lanes.iter().filter(|(oid, ..)| *oid == 0).map(|(_, count, _)| count);
    let lanes_of_gone = gone.sum();
    Ok(Leftovers { tables: rows.into_iter().filter_map(table).collect(), lanes_of_gone })
}

/// Drops these tables, all of them or none, with the rows that name their runs. Returns how many rows each
/// had.
///
/// # Errors
/// When one is not there, was not made by strom-load or has a run at it; or when the server does not drop it.
pub(crate) async fn remove(
    address: &Address,
    tables: &[TableName],
) -> Result<Vec<RowCount>, Error> {
    let mut session = open(address).await?;
    session.execute("begin", "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let mut removed = Vec::new();
    for table in tables {
        removed.push(mark::remove(&mut session, table).await?);
    }
    owner::forget_gone(&mut session).await?;
    session.execute("commit", "COMMIT").await?;
    session.close().await;
    Ok(removed)
}
