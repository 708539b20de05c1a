//! The dry run: rows that are loaded and rolled back before the run, so that what the server refuses for
//! certain is known before anything is created.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;

use crate::pace::DueTimes;
use crate::plan::Stream;
use crate::row::{Column, CopyFormat, EncodeError, Encoder, HEADER, Ids, Lines, TRAILER, Values};

use super::quote_literal;
use super::read_back::fields;
use super::table::{StreamLane, StreamTable, copy_sql, rows_query};
use super::{Error, Session};

/// Rows that are tried of each lane where the server looks for their partitions, and of all lanes.
const ROUTED_ROWS: u64 = 100;
const ROUTED_ROWS_IN_ALL: u64 = 2_000;

/// Why rows cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The server refuses them, or keeps them out.
    #[error(transparent)]
    Server(#[from] Error),
    /// The columns have no rows.
    #[error(transparent)]
    Row(#[from] EncodeError),
}

/// Which rows are tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DryRun {
    /// What they are made from.
    pub seed: u64,
    /// When the run begins, in microseconds since the Unix epoch, and how long it lasts, as far as that is known.
    pub from_us: i64,
    /// See there.
    pub lasts: Duration,
    /// Whether the audit compares them with what was sent.
    pub compares: bool,
}

impl DryRun {
    /// The first rows of a lane, due from the beginning of the run to its end.
    fn rows(&self, columns: &[Column], ids: &Ids, count: u64) -> Result<Vec<Vec<u8>>, EncodeError> {
        let mut encoder = Encoder::of_ids(columns, self.seed, ids)?;
        let lasts_us = i64::try_from(self.lasts.as_micros()).unwrap_or(i64::MAX);
        let made = (0..count).map(|number| {
            let share = number as f64 / count.saturating_sub(1).max(1) as f64;
            let due_us = self.from_us.saturating_add((lasts_us as f64 * share) as i64);
            let mut row = vec![0; encoder.max_row_bytes()];
            let due = &mut DueTimes::constant(due_us);
            let encoded = encoder.encode(&mut row, number, 1, due)?;
            row.truncate(encoded.bytes);
            Ok(row)
        });
        made.collect()
    }
}

/// Loads first rows of each lane and takes them back. The session must be in the transaction of
/// [`super::table::prepare`]. Returns the triggers, as `name on table`, that run before each row is
/// inserted: these rows passed them, others may not.
///
/// # Errors
/// When the server refuses such rows or keeps them out, or, where the audit compares them, changes them.
pub(crate) async fn try_rows(
    session: &mut Session,
    stream: &Stream,
    table: &StreamTable,
    tried: &DryRun,
) -> Result<Vec<String>, DryRunError> {
    let act = format!("load first rows into {} in a dry run", stream.table);
    // Where the server looks for a partition by values, one row says little of the next.
    let share = ROUTED_ROWS_IN_ALL / table.lanes.len().max(1) as u64;
    let each = if table.routes { share.clamp(1, ROUTED_ROWS) } else { 1 };
    let mut lanes = Vec::new();
    for StreamLane { ids, .. } in &table.lanes {
        lanes.push(tried.rows(&stream.columns, ids, each)?);
    }
    let triggers = triggers(session, table.oid).await?;
    session.execute(&act, "SAVEPOINT dry_run").await?;
    let rows = lanes.concat();
    let data = match session.copy_format {
        CopyFormat::Binary => [&HEADER[..], &rows.concat(), &TRAILER[..]].concat().into(),
        CopyFormat::Text => Lines::of(&stream.columns, &rows.concat()),
    };
    let counted = session.copy_once(&act, &copy_sql(stream, session.copy_format), data).await;
    let counted = counted.map_err(|error| refused(error, stream, table))?;
    // A check that waits for the COMMIT would fail every batch.
    let checked = session.execute(&act, "SET CONSTRAINTS ALL IMMEDIATE").await;
    checked.map_err(|error| refused(error, stream, table))?;
    let sent = lanes.iter().map(Vec::len).sum::<usize>() as u64;
    let by = triggers.join(" or ");
    let disable = "disable it (ALTER TABLE … DISABLE TRIGGER …), name another table with --table";
    if counted != sent {
        let kept_out = sent.saturating_sub(counted);
        let fact = format!("{kept_out} of {sent} rows are kept out by trigger {by}");
        let fix = format!("{disable}, or change its function");
        return Err(Error::refused(act, fact).with_fix(fix).into());
    }
    if tried.compares && !triggers.is_empty() {
        let mut altered = BTreeSet::new();
        for (StreamLane { ids, .. }, rows) in table.lanes.iter().zip(&lanes) {
            let first_id = ids.of(0);
            let query = rows_query(stream, ids, first_id, Some(first_id + 1));
            let differing = |found: &[u8]| differing(&stream.columns, &rows[0], found);
            session.read_back(&query, |found| altered.extend(differing(found))).await?;
        }
        if !altered.is_empty() {
            let names: Vec<String> = altered.into_iter().collect();
            let fact = format!("trigger {by} changes the values of {}", names.join(", "));
            let fix = format!("{disable}, or compare nothing with --audit count");
            return Err(Error::refused(act, fact).with_fix(fix).into());
        }
    }
    session.execute(&act, "ROLLBACK TO SAVEPOINT dry_run").await?;
    Ok(triggers)
}

/// The columns whose values differ.
fn differing(columns: &[Column], sent: &[u8], found: &[u8]) -> Vec<String> {
    let both = fields(sent).zip(fields(found));
    let differing = columns.iter().zip(both).filter(|(_, (sent, found))| sent != found);
    differing.map(|(column, _)| column.name.clone()).collect()
}

/// Triggers that run before each row is inserted: of the table and of its partitions.
async fn triggers(session: &mut Session, oid: u32) -> Result<Vec<String>, Error> {
    // The bits stand for ROW, BEFORE and INSERT. A trigger of the table is on each partition, too.
    let sql = format!(
        "SELECT DISTINCT format('%I on %s', tgname, tgrelid::regclass) FROM pg_trigger \
         WHERE tgrelid IN (SELECT {oid}::oid UNION SELECT relid FROM pg_partition_tree({oid})) \
         AND NOT tgisinternal AND tgparentid = 0 AND tgenabled NOT IN ('D', 'R') \
         AND tgtype & 7 = 7 ORDER BY 1"
    );
    let rows = session.rows("look at the table's triggers", &sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}

/// The remedy for what a server says in the dry run.
fn refused(error: Error, stream: &Stream, made: &StreamTable) -> Error {
    let table = &stream.table;
    let fix = match error.sqlstate() {
        Some("42501") => format!(
            "let the owner run: GRANT SELECT, INSERT ON {table} TO …; and let the role use what the table's \
             triggers and defaults use"
        ),
        Some("23503") => {
            "fill the table that it refers to, choose values in the profile that are there, or drop \
             the foreign key"
                .to_owned()
        }
        Some("23505" | "23P01") => {
            "drop the constraint, choose values in the profile that keep it, or name another table \
             with --table"
                .to_owned()
        }
        Some("23514") if made.routes => "add a partition for such rows (DEFAULT takes all), choose values in \
             the profile that the table's partitions and constraints allow, or drop what forbids them"
            .to_owned(),
        Some("23514") => {
            "choose values in the profile that the table allows, or drop what forbids them".to_owned()
        }
        Some("54000") => "declare fewer or shorter columns".to_owned(),
        Some("P0001") => {
            "a trigger of the table refuses the row: disable it, or name another table with --table"
                .to_owned()
        }
        _ if error.has_fix() || error.is_lost() => return error,
        _ => "name another table with --table, or change this one".to_owned(),
    };
    error.with_fix(fix)
}

impl Session {
    /// Runs `sql`, a `COPY … FROM STDIN`, with this data. Returns the rows that the server counted.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(crate) async fn copy_once(
        &mut self,
        act: &str,
        sql: &str,
        data: Bytes,
    ) -> Result<u64, Error> {
        self.drive(act, |client| async move {
            let mut sink = Box::pin(client.copy_in::<_, Bytes>(sql).await?);
            sink.feed(data).await?;
            sink.as_mut().finish().await
        })
        .await
    }
}

/// Refuses labels that the database's encoding cannot hold. The session must be in no transaction.
///
/// # Errors
/// With the columns, when there are such labels.
pub(crate) async fn check_encoding(session: &mut Session, columns: &[Column]) -> Result<(), Error> {
    let label = |column: &Column| match &column.values {
        Values::Label { prefix, .. } if !prefix.is_ascii() => {
            Some((column.name.clone(), prefix.clone()))
        }
        _ => None,
    };
    let labels: Vec<(String, String)> = columns.iter().filter_map(label).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let act = "compare the labels with the database's encoding";
    let sql = "SELECT getdatabaseencoding()";
    let encoding = session.text(act, sql).await?.unwrap_or_default();
    let mut faults = Vec::new();
    for (column, prefix) in labels {
        // The server converts the text of a query before it reads it.
        match session.text(act, &format!("SELECT {}", quote_literal(&prefix))).await {
            Ok(_) => {}
            Err(error) if error.sqlstate() == Some("22P05") => {
                faults
                    .push(format!("column {column}: {encoding} has no characters for `{prefix}`"));
            }
            Err(error) => return Err(error),
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let fix = "use a database with encoding UTF8 (createdb -E UTF8 -T template0 NAME), or write \
               labels in characters that this one has";
    Err(Error::refused("use the database", faults.join("; ")).with_fix(fix))
}
