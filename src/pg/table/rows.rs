//! The statements about a stream's rows: how they are loaded, looked for and read back.

use crate::plan::{Stream, quote_identifier};
use crate::row::{Column, CopyFormat, Ids, Lane, RowIdentity};

use super::super::fate::BatchRows;
use super::super::{Error, Session};
use super::id_column::IdColumn;
use super::{StreamLane, number_of};

/// Counts the rows of each partition from its first id on, for the check at the end.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn count_since(
    session: &mut Session,
    stream: &Stream,
    lanes: &[StreamLane],
) -> Result<u64, Error> {
    let mut rows = 0;
    // Those of the lanes beside it are counted with it.
    for StreamLane { ids, .. } in lanes.iter().filter(|own| own.ids.lane.place == 0) {
        let own = own_rows(stream, ids, Some(ids.base), None);
        let sql = format!("SELECT count(*) FROM {} WHERE {own}", stream.table);
        rows += number_of(session, "count the rows", &sql).await?.max(0) as u64;
    }
    Ok(rows)
}

/// Where a batch of a lane's rows is to be found: so many from `first_row` on. `None`: nothing tells
/// them apart, or readers may delete them.
pub(crate) fn batch_rows(
    stream: &Stream,
    ids: &Ids,
    first_row: u64,
    rows: u64,
) -> Option<BatchRows> {
    let id = IdColumn::of(stream).filter(|_| stream.finds_batches())?;
    let last_row = first_row.wrapping_add(rows.saturating_sub(1));
    let (first_id, last_id, step) = (ids.of(first_row), ids.of(last_row), ids.lane.step);
    let mut each = id.span(ids, Some(first_id), Some(last_id.saturating_add(1)));
    each.push(format!("({} - {first_id}) % {step} = 0", id.number("")));
    Some(BatchRows {
        table: stream.table.to_string(),
        within: own_key(stream, ids.lane.partition).unwrap_or_else(|| "true".to_owned()),
        ends: [first_id, last_id].map(|number| id.value(ids, number)),
        each: each.join(" AND "),
        id_column: id.name,
        first_id,
        last_id,
        step,
    })
}

/// A query for the stream's columns of the rows of a partition with numbers from `first_id` up to but not
/// including `end`, among these ids.
pub(crate) fn rows_query(stream: &Stream, ids: &Ids, first_id: i64, end: Option<i64>) -> String {
    let own = own_rows(stream, ids, Some(first_id), end);
    format!("SELECT {} FROM {} WHERE {own}", columns(stream), stream.table)
}

/// In which order rows that come from another server are asked for: that of their numbers, by which the audit needs
/// the least memory. `None`: nothing tells them apart.
pub(in crate::pg) fn order(stream: &Stream) -> Option<String> {
    let id = IdColumn::of(stream)?;
    Some(match id.identity {
        // In the order of the numbers itself, and an index has it.
        RowIdentity::Uuid => id.name,
        RowIdentity::Number | RowIdentity::Text { .. } => id.number(""),
    })
}

/// What asks for the highest number of each of these lanes among the rows of the run, in their order,
/// each as a row; before them may come others. Not by PG-Strom, which is what is measured.
pub(crate) fn seen_query(stream: &Stream, lanes: &[StreamLane]) -> String {
    let Some(id) = IdColumn::of(stream) else { return String::new() };
    let (number, key) = (id.number("t."), stream.partition_column().map(quoted));
    let is_uuid = id.identity == RowIdentity::Uuid;
    let list = lanes.iter().map(|own| {
        let Lane { number, step, .. } = own.ids.lane;
        let ends = match is_uuid {
            true => [0, i64::MAX].map(|number| format!(", {}", id.value(&own.ids, number))),
            false => Default::default(),
        };
        let ends = ends.concat();
        format!("({number}, {}, {}, {step}{ends})", own.ids.lane.key(), own.ids.of(0))
    });
    let key = key.map_or_else(String::new, |key| format!("t.{key} = own.key AND "));
    // What holds of all rows of a partition is not asked: it would keep the server from an index's end.
    let shared = lanes.iter().any(|own| own.ids.lane.step.get() > 1);
    let of_lane =
        if shared { format!(" AND ({number} - own.first) % own.step = 0") } else { String::new() };
    let (newest, ends) = match is_uuid {
        // Its type has no max() before PostgreSQL 18.
        true => (
            format!(
                "SELECT {number} FROM {table} AS t WHERE {key}t.{name} BETWEEN own.low AND own.high{of_lane} \
                 ORDER BY t.{name} DESC LIMIT 1",
                table = stream.table,
                name = id.name
            ),
            ", low, high",
        ),
        false => (
            format!(
                "SELECT max({number}) FROM {table} AS t WHERE {key}{number} >= own.first{of_lane}",
                table = stream.table
            ),
            "",
        ),
    };
    format!(
        "SELECT pg_catalog.set_config('pg_strom.enabled', 'off', true) \
         WHERE pg_catalog.current_setting('pg_strom.enabled', true) IS NOT NULL; \
         SELECT ({newest}) FROM (VALUES {list}) AS own (number, key, first, step{ends}) ORDER BY own.number",
        list = list.collect::<Vec<_>>().join(", ")
    )
}

/// What asks for the highest number that rows of a lane's partition carry, whoever sent them, or 0; `None`: numbers
/// of a run do not follow on them.
pub(super) fn highest_query(stream: &Stream, lane: &Lane) -> Option<String> {
    let id = IdColumn::of(stream).filter(|id| id.identity.follows_on())?;
    let own = own_key(stream, lane.partition).unwrap_or_else(|| "true".to_owned());
    let table = &stream.table;
    Some(format!("SELECT coalesce(max({}), 0) FROM {table} WHERE {own}", id.number("")))
}

/// What loads a batch in a format.
pub(in crate::pg) fn copy_sql(stream: &Stream, copy_format: CopyFormat) -> String {
    format!("COPY {} ({}) FROM STDIN{}", stream.table, columns(stream), copy_format.option())
}

/// The condition that a row is of a lane's partition, and has a number from one up to but not including another.
fn own_rows(stream: &Stream, ids: &Ids, first_id: Option<i64>, end: Option<i64>) -> String {
    let id = IdColumn::of(stream);
    let mut conditions = Vec::from_iter(own_key(stream, ids.lane.partition));
    conditions.extend(id.iter().flat_map(|id| id.span(ids, first_id, end)));
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

/// The condition that a row is of this partition; `None`: rows have no key.
fn own_key(stream: &Stream, partition: Option<u32>) -> Option<String> {
    let (column, partition) = stream.partition_column().zip(partition)?;
    Some(format!("{} = {partition}", quoted(column)))
}

fn columns(stream: &Stream) -> String {
    stream.columns.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn quoted(column: &Column) -> String {
    quote_identifier(&column.name)
}
