//! What strom-load made carries a mark: the comment of the table opens with it. Only that is dropped
//! without being named, and a comment of the user's is never written over.
//!
//! A comment belongs to the table: it needs no privilege that the table's owner lacks, goes where
//! the table goes (pg_dump, RENAME, another schema), and is gone when the table is.

use std::fmt;

use crate::plan::{Recreate, TableName};
use crate::quantity::{format_count, format_counted};

use super::quote::quote_literal;
use super::reservation::Reservation;
use super::{Error, Session};

/// What the comment of a stream's table and of each of its partitions opens with.
pub(super) const STREAM: &str = "strom-load stream ";
/// What the comment of a table opens with that was filled with generated rows.
pub(crate) const DATA_SET: &str = "strom-load data set ";
/// Version of what stands behind the mark of a stream's table.
const STREAM_FORMAT: u32 = 1;
/// Rows are counted up to here before a table is dropped, or not dropped; beyond, the estimate of
/// the last VACUUM or ANALYZE has to do.
const COUNTED_MAX: u64 = 1_000_000;

/// Something that has a table's name.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(super) oid: u32,
    /// Its name with the schema that it was found in.
    pub(super) name: TableName,
    /// `pg_class.relkind`.
    kind: String,
    /// Whether it belongs to the server itself.
    system: bool,
    /// Whether only the session that made it sees it.
    temporary: bool,
    /// Whether the comment has a mark.
    pub(super) marked: bool,
    /// Its partitions that have no mark, if it has one itself.
    foreign_partitions: Vec<String>,
    /// The table that it is a partition of, at the root.
    partition_of: Option<String>,
}

impl Relation {
    /// What has this name, if anything.
    pub(crate) async fn find(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Option<Self>, Error> {
        let marked = |oid: &str| {
            let comment = format!("pg_catalog.obj_description({oid}, 'pg_class')");
            let opens = |mark| {
                format!("pg_catalog.starts_with(coalesce({comment}, ''), {})", quote_literal(mark))
            };
            format!("({} OR {})", opens(STREAM), opens(DATA_SET))
        };
        let sql = format!(
            "SELECT c.oid, c.relkind, n.nspname, c.relname, \
             n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast'), \
             {}, (SELECT pg_catalog.json_agg(t.relid::regclass::text) \
             FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.relid <> c.oid AND NOT {})::text, \
             c.relpersistence = 't', \
             CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::regclass::text END \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.oid = to_regclass({})",
            marked("c.oid"),
            marked("t.relid"),
            quote_literal(&table.to_string())
        );
        let rows = session.rows(&format!("look up table {table}"), &sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let text = |column: usize| row.get(column).cloned().flatten();
        let marked = text(5).as_deref() == Some("t");
        let partitions = text(6).and_then(|json| serde_json::from_str(&json).ok());
        Ok(Some(Self {
            oid: text(0).and_then(|oid| oid.parse().ok()).unwrap_or_default(),
            kind: text(1).unwrap_or_default(),
            name: TableName { schema: text(2), name: text(3).unwrap_or_default() },
            system: text(4).as_deref() == Some("t"),
            marked,
            temporary: text(7).as_deref() == Some("t"),
            foreign_partitions: partitions.filter(|_| marked).unwrap_or_default(),
            partition_of: text(8),
        }))
    }

    /// Refuses a temporary table: rows are sent by other sessions than the one that makes it.
    pub(crate) fn refuse_temporary(&self, elsewhere: &str) -> Result<(), Error> {
        if !self.temporary {
            return Ok(());
        }
        let fact = "it is a temporary table, which only the session that made it sees";
        Err(Error::refused(format!("use table {}", self.name), fact).with_fix(elsewhere))
    }

    /// Whether its rows are on the disk of another server, or of none: it is a foreign table.
    pub(crate) fn is_foreign(&self) -> bool {
        self.kind == "f"
    }

    /// Whether it has partitions.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.kind == "p"
    }

    /// Why no rows can be loaded into it.
    pub(crate) fn takes_none(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            "r" | "p" | "f" if !self.system => None,
            "r" | "p" | "f" => Some("it belongs to the server's own catalogue"),
            "v" => Some("it is a view"),
            "m" => Some("it is a materialized view"),
            "S" => Some("it is a sequence"),
            _ => Some("it is no table"),
        }
    }

    /// Why it can never be dropped as a table.
    fn never(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            _ if self.system => Some("it belongs to the server's own catalogue"),
            "r" | "p" => None,
            "v" => Some("it is a view"),
            "m" => Some("it is a materialized view"),
            "f" => Some("it is a foreign table"),
            "S" => Some("it is a sequence"),
            _ => Some("it is no table"),
        }
    }

    /// Whether dropping it needs its name.
    fn needs_name(&self) -> bool {
        !self.marked || !self.foreign_partitions.is_empty()
    }
}

/// Why a table's own rows would mix with those of others.
#[derive(Debug)]
pub(super) enum Mixes {
    /// It holds rows of another one.
    Part(String),
    /// Others hold rows of it, and are no partitions.
    Parent(String),
}

/// Whether a table's rows mix with those of others.
pub(super) async fn mixes(
    session: &mut Session,
    act: &str,
    oid: u32,
) -> Result<Option<Mixes>, Error> {
    let sql = format!(
        "SELECT CASE WHEN c.relispartition THEN 'a partition of ' ELSE 'a child of ' END || \
         (SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1), \
         c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) \
         FROM pg_catalog.pg_class c WHERE c.oid = {oid}"
    );
    let rows = session.rows(act, &sql).await?;
    Ok(match rows.first().map(Vec::as_slice) {
        Some([Some(part), _]) => {
            Some(Mixes::Part(format!("it is {part}, with whose rows and runs its own would mix")))
        }
        Some([_, Some(is_parent)]) if is_parent == "t" => Some(Mixes::Parent(
            "other tables inherit from it, with whose rows its own would mix".to_owned(),
        )),
        _ => None,
    })
}

/// What marks a stream's table, and each of its partitions.
pub(super) fn comment_sql(table: &TableName) -> String {
    let comment = format!("{STREAM}{{\"format\":{STREAM_FORMAT}}}");
    format!("COMMENT ON TABLE {table} IS {}", quote_literal(&comment))
}

/// Drops the table that was found, within the transaction that the session is in, if `recreate` lets
/// it; `elsewhere` says how to name another table. Returns what the log is to say once that is
/// committed.
///
/// # Errors
/// When it may not be dropped, with how many rows would go and the flag that would let it; or when
/// the server does not drop it.
pub(crate) async fn drop_table(
    session: &mut Session,
    table: &TableName,
    found: &Relation,
    recreate: &Recreate,
    elsewhere: &str,
) -> Result<String, Error> {
    let (whose, rows) =
        drop_for(session, table, found, Cause::Recreate(recreate), elsewhere).await?;
    Ok(format!("table {} is dropped for --recreate: {whose}, {rows}", table.as_written()))
}

/// Drops a table that strom-load made, within the transaction that the session is in. Returns how many
/// rows it had.
///
/// # Errors
/// When it is not there, strom-load did not make it, or a run is at it; or when the server does not drop it.
pub(crate) async fn remove(session: &mut Session, table: &TableName) -> Result<RowCount, Error> {
    let Some(found) = Relation::find(session, table).await? else {
        let list = "`strom-load clean` without a name lists what is there";
        return Err(Error::refused(Cause::Clean.act(table), "it is not there").with_fix(list));
    };
    let (_, rows) = drop_for(session, table, &found, Cause::Clean, "leave it out").await?;
    Ok(rows)
}

/// Why a table is dropped.
#[derive(Debug, Clone, Copy)]
enum Cause<'a> {
    /// A run wants to make it anew, and may go so far.
    Recreate(&'a Recreate),
    /// Somebody named it, to be rid of what strom-load made.
    Clean,
}

impl Cause<'_> {
    fn act(self, table: &TableName) -> String {
        match self {
            Self::Recreate(_) => format!("drop table {table} for --recreate"),
            Self::Clean => format!("remove table {table}"),
        }
    }

    /// Whether a table that strom-load did not make may go too.
    fn names(self, table: &TableName) -> bool {
        matches!(self, Self::Recreate(recreate) if recreate.names(table))
    }

    /// What lets such a table go.
    fn way(self, table: &TableName) -> String {
        match self {
            Self::Recreate(_) => Recreate::flag(table),
            Self::Clean => "drop it yourself".to_owned(),
        }
    }
}

async fn drop_for(
    session: &mut Session,
    table: &TableName,
    found: &Relation,
    cause: Cause<'_>,
    elsewhere: &str,
) -> Result<(&'static str, RowCount), Error> {
    let act = cause.act(table);
    may_go(session, table, found, cause, elsewhere).await?;
    let Relation { oid, name, .. } = found;
    // Not from under another run.
    Reservation::of(*oid).enter(session, table, elsewhere).await?;
    // From here on nobody can rename it, attach a partition to it or give it another comment; until
    // here somebody could.
    let lock = format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
    session.execute(&act, &lock).await.map_err(|error| explain(error, elsewhere))?;
    let found = Relation::find(session, table).await?.filter(|again| again.oid == *oid);
    let Some(found) = found else {
        let fact = "another one has taken its name meanwhile";
        return Err(Error::refused(act, fact).with_fix("start again"));
    };
    let rows = may_go(session, table, &found, cause, elsewhere).await?;
    let drop = format!("DROP TABLE {name}");
    session.execute(&act, &drop).await.map_err(|error| explain(error, elsewhere))?;
    let whose = if found.needs_name() { "not made by strom-load" } else { "made by strom-load" };
    Ok((whose, rows))
}

fn explain(error: Error, elsewhere: &str) -> Error {
    match error.sqlstate() {
        Some("2BP01") => error.with_fix(format!(
            "drop what depends on it first, since strom-load drops nothing that it did not make; \
             or {elsewhere}"
        )),
        Some("42501") => error.with_fix(format!("start as the owner of the table; or {elsewhere}")),
        _ => error,
    }
}

/// Whether a relation may be dropped, and how many rows that would cost.
async fn may_go(
    session: &mut Session,
    table: &TableName,
    found: &Relation,
    cause: Cause<'_>,
    elsewhere: &str,
) -> Result<RowCount, Error> {
    let act = cause.act(table);
    if let Some(fact) = found.never() {
        return Err(Error::refused(act, fact).with_fix(elsewhere));
    }
    // A run is at the whole, and holds that: a part would go from under it.
    if let Some(whole) = &found.partition_of {
        let fact = format!("it is a partition of {whole}");
        let fix = format!("name that, to drop all of it; or {elsewhere}");
        return Err(Error::refused(act, fact).with_fix(fix));
    }
    let rows = count_rows(session, table, found.oid).await?;
    if !found.needs_name() || cause.names(table) {
        return Ok(rows);
    }
    let way = cause.way(table);
    if found.marked {
        let partitions = found.foreign_partitions.join(", ");
        let fact = format!("strom-load did not make its partition {partitions}; {rows} would go");
        let fix = format!("detach it; or, if all rows may go for good, {way}");
        return Err(Error::refused(act, fact).with_fix(fix));
    }
    let fact =
        format!("nothing says that strom-load made it: its comment has no mark; {rows} would go");
    let fix = format!(
        "{elsewhere}; or, if all of it may go for good, {way} (strom-load 0.1 did not mark the \
         tables of its streams)"
    );
    Err(Error::refused(act, fact).with_fix(fix))
}

/// How many rows a table has, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowCount {
    /// Exactly; `None`: it has very many, or our role may not read it.
    pub counted: Option<u64>,
    /// By the last VACUUM or ANALYZE, where they are not counted.
    pub estimated: Option<u64>,
    /// Whether our role may read it.
    readable: bool,
}

/// In words: `300 rows`.
impl fmt::Display for RowCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.counted, self.estimated, self.readable) {
            (Some(rows), ..) => f.write_str(&format_counted(rows, "row", "rows")),
            (None, Some(rows), true) if rows > COUNTED_MAX => {
                write!(f, "about {} rows", format_count(rows))
            }
            (None, _, true) => write!(f, "more than {} rows", format_count(COUNTED_MAX)),
            (None, Some(rows), false) => write!(f, "about {} rows", format_count(rows)),
            (None, None, false) => f.write_str("rows that our role may not count"),
        }
    }
}

/// How many rows a table has: exactly, unless it has very many or our role may not read it.
async fn count_rows(session: &mut Session, table: &TableName, oid: u32) -> Result<RowCount, Error> {
    let act = format!("count the rows of {table}");
    let readable = format!("SELECT pg_catalog.has_table_privilege({oid}::oid, 'SELECT')");
    let readable = session.text(&act, &readable).await?.as_deref() == Some("t");
    if readable {
        let sql = format!(
            "SELECT pg_catalog.count(*) FROM (SELECT FROM {table} LIMIT {}) AS some_rows",
            COUNTED_MAX + 1
        );
        let counted = session.at_length().text(&act, &sql).await?;
        let counted: u64 = counted.and_then(|rows| rows.parse().ok()).unwrap_or_default();
        if counted <= COUNTED_MAX {
            return Ok(RowCount { counted: Some(counted), estimated: None, readable });
        }
    }
    let sql = format!(
        "SELECT pg_catalog.sum(c.reltuples)::bigint FROM pg_catalog.pg_class c WHERE c.reltuples > 0 \
         AND c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({oid}) WHERE isleaf \
         UNION SELECT {oid})"
    );
    let estimated = session.text(&act, &sql).await?.and_then(|rows| rows.parse().ok());
    Ok(RowCount { counted: None, estimated, readable })
}
