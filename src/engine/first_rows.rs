//! The first rows of a plan's tables and stream, made without a server.

use std::time::SystemTime;

use crate::pace::DueTimes;
use crate::plan::{Job, Plan, Stream};
use crate::row::{Column, EncodeError, Encoder, Ids, Lane, RunTag, row_text};

/// Rows of a table as text, the names of the columns first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRows {
    /// The table.
    pub table: String,
    /// By row, then by column; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// The first rows of each table of a plan, and of its stream, if that began now.
///
/// # Errors
/// When a row is too wide to be sent, or a file of values is not what it was.
pub fn first_rows(plan: &Plan<Option<Job>>, rows: u64) -> Result<Vec<FirstRows>, EncodeError> {
    let mut all = Vec::new();
    for table in &plan.common.tables {
        let mut encoder = Encoder::new(&table.columns, table.row_seed(), 0, 0)?;
        let row = |row| row_text(&table.columns, &mut encoder, row, &mut DueTimes::constant(0));
        let rows = (1..=rows.min(table.rows.get())).map(row);
        let rows = [Ok(names(&table.columns))].into_iter().chain(rows).collect::<Result<_, _>>()?;
        all.push(FirstRows { table: table.name.to_string(), rows });
    }
    if let Some(Job::Stream(job)) = &plan.job {
        all.push(of_stream(&job.stream, plan.common.seed, rows)?);
    }
    Ok(all)
}

/// Rows of a stream that begins now, one of each connection in turn.
fn of_stream(stream: &Stream, seed: u64, rows: u64) -> Result<FirstRows, EncodeError> {
    let course = stream.course(seed);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    let lanes = u64::from(stream.connections.get());
    let lane = |lane: Lane| {
        let due = match &course {
            Some(course) => stream.schedule(course, &lane).due_times(0).since(now_us),
            None => DueTimes::constant(now_us),
        };
        Ok((
            Encoder::of_ids(&stream.columns, seed, &Ids { lane, base: 1, run: RunTag::default() })?,
            due,
        ))
    };
    let mut all = stream.lanes().map(lane).collect::<Result<Vec<_>, EncodeError>>()?;
    let row = |number| {
        let (encoder, due) = &mut all[(number % lanes) as usize];
        row_text(&stream.columns, encoder, number / lanes, due)
    };
    let rows = [Ok(names(&stream.columns))].into_iter().chain((0..rows).map(row));
    let rows = rows.collect::<Result<_, _>>()?;
    Ok(FirstRows { table: stream.table.to_string(), rows })
}

fn names(columns: &[Column]) -> Vec<Option<String>> {
    columns.iter().map(|column| Some(column.name.clone())).collect()
}
