//! The table as the server's catalog has it: found, created, and finished with keys and indexes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::pg::reservation::Reservation;
use crate::pg::{self, Session, mark, quote_literal as literal};
use crate::plan::{Index, Table, declaration, quote_identifier};
use crate::row::CopyFormat;

use super::record::Record;

/// How long to wait for a COPY of a loader that is gone, or for whoever else holds the table.
const LOCK_TIMEOUT: &str = "30s";
/// What to do if a table must not be dropped.
const ELSEWHERE: &str = "give the table of the profile another name";

/// A relation that is there.
#[derive(Debug, Deserialize)]
pub(super) struct Relation {
    /// `pg_class.relkind`.
    pub(super) kind: String,
    /// `pg_class.relpersistence`.
    persistence: String,
    pub(super) comment: Option<String>,
    /// Names and types.
    columns: Vec<(String, String)>,
    indexes: Vec<BuiltIndex>,
}

#[derive(Debug, Deserialize)]
struct BuiltIndex {
    name: String,
    method: String,
    primary: bool,
    valid: bool,
    columns: Vec<String>,
    with: Vec<String>,
}

/// A key or an index that is to be built.
#[derive(Debug)]
pub(super) struct Building {
    /// For people.
    pub(super) what: String,
    pub(super) sql: String,
}

impl Relation {
    /// The relation that the table's name stands for, if any.
    pub(super) async fn find(
        session: &mut Session,
        table: &Table,
    ) -> Result<Option<Self>, pg::Error> {
        let sql = format!(
            "SELECT json_build_object('kind', c.relkind, 'persistence', c.relpersistence, \
             'comment', obj_description(c.oid, 'pg_class'), \
             'columns', (SELECT coalesce(json_agg(json_build_array(attname, \
             format_type(atttypid, atttypmod)) ORDER BY attnum), '[]') FROM pg_attribute \
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped), \
             'indexes', (SELECT coalesce(json_agg(json_build_object('name', i.relname, \
             'method', am.amname, 'primary', x.indisprimary, 'valid', x.indisvalid, \
             'with', coalesce(i.reloptions, '{{}}'), \
             'columns', (SELECT json_agg(coalesce(a.attname, '') ORDER BY k.place) \
             FROM unnest(x.indkey) WITH ORDINALITY k(attnum, place) LEFT JOIN pg_attribute a \
             ON a.attrelid = c.oid AND a.attnum = k.attnum))), '[]') FROM pg_index x \
             JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam \
             WHERE x.indrelid = c.oid))::text \
             FROM pg_class c WHERE c.oid = to_regclass({})",
            literal(&table.name.to_string())
        );
        let text = session.text("look the table up", &sql).await?;
        // The query above makes the form, so that only a server unlike any would differ.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// What is otherwise in the catalog than `table` wants; missing indexes are not a difference.
    pub(super) fn differences(&self, table: &Table) -> Vec<String> {
        let mut differences = Vec::new();
        let unlogged = self.persistence == "u";
        if unlogged != table.unlogged {
            let word = |unlogged| if unlogged { "unlogged" } else { "logged" };
            differences.push(format!("it is {}, not {}", word(unlogged), word(table.unlogged)));
        }
        for column in &table.columns {
            let want = column.sql_type.to_string();
            match self.columns.iter().find(|(name, _)| *name == column.name) {
                Some((_, have)) if *have == want => {}
                Some((name, have)) => {
                    differences.push(format!("column {name} is {have}, not {want}"));
                }
                None => differences.push(format!("column {} is missing", column.name)),
            }
        }
        let is_wanted = |name: &String| table.columns.iter().any(|column| column.name == *name);
        for (name, _) in self.columns.iter().filter(|(name, _)| !is_wanted(name)) {
            differences.push(format!("it has a column {name} that the profile lacks"));
        }
        for index in &self.indexes {
            let wanted = table.indexes.iter().find(|wanted| wanted.name == index.name);
            if index.primary {
                if !table.primary_key.is_empty() && index.columns != table.primary_key {
                    let (have, want) = (index.columns.join(", "), table.primary_key.join(", "));
                    differences.push(format!("its primary key is ({have}), not ({want})"));
                }
            } else if let Some(wanted) = wanted
                && !index.is(wanted)
            {
                differences.push(format!("index {} is defined otherwise", index.name));
            }
        }
        differences
    }

    /// The keys and indexes that `table` wants and that are not there.
    pub(super) fn missing(&self, table: &Table) -> Vec<Building> {
        let has_key = self.indexes.iter().any(|index| index.primary);
        let has = |wanted: &Index| self.indexes.iter().any(|index| index.name == wanted.name);
        let mut missing = all_buildings(table);
        missing.retain(|(index, _)| index.map_or(!has_key, |index| !has(index)));
        missing.into_iter().map(|(_, building)| building).collect()
    }
}

impl BuiltIndex {
    fn is(&self, wanted: &Index) -> bool {
        let words = |with: &str| -> Vec<String> {
            let bare = |part: &str| part.chars().filter(|c| *c != ' ').collect::<String>();
            let mut words: Vec<_> =
                with.split(',').map(bare).filter(|part| !part.is_empty()).collect();
            words.sort();
            words
        };
        self.valid
            && self.method == wanted.method
            && self.columns == wanted.columns
            && words(&self.with.join(",")) == words(&wanted.with)
    }
}

/// Everything to build after loading: the primary key (`None`), then the indexes.
fn all_buildings(table: &Table) -> Vec<(Option<&Index>, Building)> {
    let list = |names: &[String]| {
        names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
    };
    let mut buildings = Vec::new();
    if !table.primary_key.is_empty() {
        let sql =
            format!("ALTER TABLE {} ADD PRIMARY KEY ({})", table.name, list(&table.primary_key));
        buildings.push((None, Building { what: "primary key".to_owned(), sql }));
    }
    for index in &table.indexes {
        let with = match index.with.as_str() {
            "" => String::new(),
            with => format!(" WITH ({with})"),
        };
        let sql = format!(
            "CREATE INDEX {} ON {} USING {} ({}){with}",
            quote_identifier(&index.name),
            table.name,
            quote_identifier(&index.method),
            list(&index.columns)
        );
        buildings.push((Some(index), Building { what: format!("index {}", index.name), sql }));
    }
    buildings
}

/// Creates the table, empty and recorded as being filled; with `replace`, in place of the one that
/// is there.
///
/// All in one transaction, with its keys and indexes built on the empty table and taken back: so
/// that a mistake in them is found before the rows are loaded, and before a table is lost. So is
/// a row that the server or an index does not take: `first_row` is one, in the session's format.
pub(super) async fn create(
    session: &mut Session,
    table: &Table,
    record: &Record,
    first_row: Bytes,
    replace: bool,
) -> Result<(), pg::Error> {
    let columns: Vec<String> = table.columns.iter().map(declaration).collect();
    let unlogged = if table.unlogged { "UNLOGGED " } else { "" };
    let sql = format!("CREATE {unlogged}TABLE {} ({})", table.name, columns.join(", "));
    let mut steps = vec![("create it".to_owned(), sql)];
    steps.push(("create it".to_owned(), "SAVEPOINT empty".to_owned()));
    for (_, Building { what, sql }) in all_buildings(table) {
        steps.push((format!("build {what} on the empty table"), sql));
    }
    session.execute("begin", "BEGIN").await?;
    let created = async {
        let dropped = match replace {
            true => drop_for_recreate(session, table).await?,
            false => None,
        };
        for (act, sql) in steps {
            session.execute(&act, &sql).await?;
        }
        let copy = copy_sql(table, session.copy_format());
        session.copy_once("load a row in a dry run", &copy, first_row).await?;
        session.execute("create it", "ROLLBACK TO SAVEPOINT empty").await?;
        session.execute("record what it is filled with", &comment_sql(table, record)).await?;
        if let Some(made) = mark::Relation::find(session, &table.name).await? {
            made.refuse_temporary(ELSEWHERE)?;
        }
        session.execute("create it", "COMMIT").await?;
        dropped.iter().for_each(|dropped| tracing::info!("{dropped}"));
        Ok(())
    };
    let created = created.await;
    if created.is_err() {
        // The first error is the one to tell.
        let _ = session.execute("roll back", "ROLLBACK").await;
    }
    created
}

/// What is to be said of it once that is committed, if there was one.
async fn drop_for_recreate(
    session: &mut Session,
    table: &Table,
) -> Result<Option<String>, pg::Error> {
    let Some(found) = mark::Relation::find(session, &table.name).await? else { return Ok(None) };
    mark::drop_table(session, &table.name, &found, &table.recreate, ELSEWHERE).await.map(Some)
}

fn comment_sql(table: &Table, record: &Record) -> String {
    format!("COMMENT ON TABLE {} IS {}", table.name, literal(&record.comment()))
}

/// Has this session hold the table's reservation, with no other run at the table.
pub(super) async fn enter(session: &mut Session, table: &Table) -> Result<Reservation, pg::Error> {
    let found = Reservation::find(session, &table.name).await?;
    let Some(reservation) = found else {
        return Err(pg::Error::gone("reserve it"));
    };
    reservation.enter(session, &table.name, ELSEWHERE).await?;
    Ok(reservation)
}

/// Writes the table's record over the one that it has; false if its comment is no record any more.
pub(super) async fn set_record(
    session: &mut Session,
    table: &Table,
    record: &Record,
) -> Result<bool, pg::Error> {
    let act = "record what it is filled with";
    // No other session can set the comment meanwhile.
    let lock = format!(
        "BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; \
         LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE",
        table.name
    );
    session.execute(act, &lock).await?;
    let name = literal(&table.name.to_string());
    let sql = format!("SELECT obj_description({name}::regclass, 'pg_class')");
    let comment = session.text(act, &sql).await?;
    if Record::read(comment.as_deref()).is_err() {
        session.execute("roll back", "ROLLBACK").await?;
        return Ok(false);
    }
    session.execute(act, &format!("{}; COMMIT", comment_sql(table, record))).await?;
    Ok(true)
}

/// How many rows of each batch are in the table: all of them, or the first ones. `None`: what is
/// there is something else.
///
/// A loader that was killed may have left a COPY that is still committing; the lock waits for it.
pub(super) async fn batches_present(
    session: &mut Session,
    table: &Table,
    batch_rows: u64,
) -> Result<Option<BTreeMap<u64, u64>>, pg::Error> {
    let act = "find out what is loaded";
    let lock = format!(
        "BEGIN; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
        table.name
    );
    session.execute("wait for other writers", &lock).await?;
    let Some(id) = table.row_id() else {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1) AS any_row", table.name);
        let rows = session.at_length().text(act, &sql).await?;
        session.execute(act, "COMMIT").await?;
        return Ok((rows.as_deref() == Some("0")).then(BTreeMap::new));
    };
    let sql = format!(
        "SELECT coalesce(json_agg(json_build_array(batch, rows, last)), '[]')::text FROM \
         (SELECT ({id} - 1) / {batch_rows} AS batch, count(*) AS rows, max({id}) AS last FROM {} \
         GROUP BY 1) AS found",
        table.name,
        id = quote_identifier(id)
    );
    let text = session.at_length().text(act, &sql).await?.unwrap_or_default();
    session.execute(act, "COMMIT").await?;
    let found: Vec<(i64, u64, i64)> = serde_json::from_str(&text).unwrap_or_default();
    let first_rows = |&(batch, rows, last): &(i64, u64, i64)| {
        let batch = u64::try_from(batch).ok()?;
        let before = batch.checked_mul(batch_rows)?;
        let wanted = table.rows.get().checked_sub(before)?.min(batch_rows);
        let ends = u64::try_from(last).ok()? == before + rows;
        (ends && (1..=wanted).contains(&rows)).then_some((batch, rows))
    };
    Ok(found.iter().map(first_rows).collect())
}

/// Counts the rows.
pub(super) async fn count(session: &mut Session, table: &Table) -> Result<u64, pg::Error> {
    let sql = format!("SELECT count(*) FROM {}", table.name);
    let text = session.at_length().text("count its rows", &sql).await?;
    Ok(text.and_then(|rows| rows.parse().ok()).unwrap_or(0))
}

/// Bytes of the table and of its indexes.
pub(super) async fn sizes(session: &mut Session, table: &Table) -> Result<(u64, u64), pg::Error> {
    let name = literal(&table.name.to_string());
    let sql = format!(
        "SELECT json_build_array(pg_table_size({name}::regclass), \
         pg_indexes_size({name}::regclass))::text"
    );
    let text = session.text("measure it", &sql).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// The COPY that loads it.
pub(super) fn copy_sql(table: &Table, copy_format: CopyFormat) -> String {
    format!("COPY {} ({}) FROM STDIN{}", table.name, column_list(table), copy_format.option())
}

/// The table's columns, quoted, in the order that rows are encoded in.
pub(super) fn column_list(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    names.join(", ")
}
