//! The statements about a stream's rows: how they are loaded, looked for and read back.

use crate::plan::{Stream, quote_identifier};
use crate::row::{Column, Ids, Lane};

use super::super::fate::BatchRows;
use super::super::{Error, Session};
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
        let own = own_rows(stream, ids.lane.partition, Some(ids.base), None);
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
    if !stream.finds_batches() {
        return None;
    }
    let last_row = first_row.wrapping_add(rows.saturating_sub(1));
    Some(BatchRows {
        table: stream.table.to_string(),
        id_column: id_column(stream),
        within: own_rows(stream, ids.lane.partition, None, None),
        first_id: ids.of(first_row),
        last_id: ids.of(last_row),
        step: ids.lane.step,
    })
}

/// A query for the stream's columns of a partition's rows with ids from `first_id` up to but not
/// including `end`.
pub(crate) fn rows_query(
    stream: &Stream,
    partition: Option<u32>,
    first_id: i64,
    end: Option<i64>,
) -> String {
    let own = own_rows(stream, partition, Some(first_id), end);
    format!("SELECT {} FROM {} WHERE {own}", columns(stream), stream.table)
}

/// What asks for the highest id of each of these lanes among the rows of the run, in their order,
/// each as a row; before them may come others. Not by PG-Strom, which is what is measured.
pub(crate) fn seen_query(stream: &Stream, lanes: &[StreamLane]) -> String {
    let (id, key) = (id_column(stream), stream.partition_column().map(quoted));
    let list = lanes.iter().map(|own| {
        let Lane { number, step, .. } = own.ids.lane;
        format!("({number}, {}, {}, {step})", own.ids.lane.key(), own.ids.of(0))
    });
    let key = key.map_or_else(String::new, |key| format!("t.{key} = own.key AND "));
    // What holds of all rows of a partition is not asked: it would keep the server from an index's end.
    let shared = lanes.iter().any(|own| own.ids.lane.step.get() > 1);
    let of_lane =
        if shared { format!(" AND (t.{id} - own.first) % own.step = 0") } else { String::new() };
    format!(
        "SELECT pg_catalog.set_config('pg_strom.enabled', 'off', true) \
         WHERE pg_catalog.current_setting('pg_strom.enabled', true) IS NOT NULL; \
         SELECT (SELECT max(t.{id}) FROM {table} AS t \
         WHERE {key}t.{id} >= own.first{of_lane}) \
         FROM (VALUES {list}) AS own (number, key, first, step) ORDER BY own.number",
        table = stream.table,
        list = list.collect::<Vec<_>>().join(", ")
    )
}

/// What loads a batch.
pub(in crate::pg) fn copy_sql(stream: &Stream) -> String {
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", stream.table, columns(stream))
}

/// The condition that a row is of this partition, and has an id from one up to but not including another.
pub(super) fn own_rows(
    stream: &Stream,
    partition: Option<u32>,
    first_id: Option<i64>,
    end: Option<i64>,
) -> String {
    let id = id_column(stream);
    let key = stream.partition_column().zip(partition);
    let conditions = [
        key.map(|(column, partition)| format!("{} = {partition}", quoted(column))),
        first_id.map(|first_id| format!("{id} >= {first_id}")),
        end.map(|end| format!("{id} < {end}")),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

fn columns(stream: &Stream) -> String {
    stream.columns.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// The quoted name of the column that tells rows apart.
pub(super) fn id_column(stream: &Stream) -> String {
    stream.id_column().map(quoted).unwrap_or_default()
}

fn quoted(column: &Column) -> String {
    quote_identifier(&column.name)
}
