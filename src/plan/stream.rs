//! What is streamed: the table, and how many rows in which batches.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::arrival::{ROWS, peak_factor};
use super::column::{resolve_columns, written};
use super::limits::Limits;
use super::resolver::{Idle, Resolver, milliseconds};
use super::shape::Shape;
use super::{Recreate, TableName};
use crate::pace::{Arrival, Arrivals, Course, Schedule};
use crate::profile::{self, Located, RateOrMax};
use crate::row::Column;

const TABLE: &str = "l40s_realtime_stream";
/// Without a schedule only throughput counts, and PostgreSQL 15 is slow near 1000 rows a COPY.
const BATCH_ROWS_UNTHROTTLED: f64 = 20_000.0;

const ROWS_PER_S: Limits = Limits {
    default: 3000.0,
    min: 1.0,
    max: 1e9,
    is_whole: true,
    range: "1 to 1,000,000,000",
    fix: "choose a whole number of rows per second, or `max`",
};
const PARTITIONS: Limits = Limits {
    default: 3.0,
    min: 1.0,
    max: 1024.0,
    is_whole: true,
    range: "1 to 1,024",
    fix: "choose a number such as 3; each partition has its own connection",
};
const BATCH_ROWS: Limits = Limits {
    default: 100.0,
    min: 1.0,
    max: 1e6,
    is_whole: true,
    range: "1 to 1,000,000",
    fix: "choose rows per transaction, such as 100",
};
const LINGER_MS: Limits = Limits {
    default: 100.0,
    min: 1.0,
    max: 60_000.0,
    is_whole: false,
    range: "1 ms to 60 s",
    fix: "choose how long a row may wait for its batch, such as 100 ms",
};
/// For what is about a schedule where there is none.
pub(super) const NO_SCHEDULE: Idle = Idle {
    here: "with the rate max, which has no schedule",
    fix: "leave it out, or choose a rate",
};

/// What is streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Target table.
    pub table: TableName,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Number of LIST partitions, each with one producer and one connection.
    pub partitions: NonZeroU32,
    /// Rows per second over all partitions; of stages, the highest.
    pub rate: StreamRate,
    /// How the rate goes over time.
    pub shape: Shape,
    /// How the rows follow each other.
    pub arrival: Arrival,
    /// Most rows in one transaction.
    pub batch_rows: NonZeroU32,
    /// Longest time the first row of a batch waits for the others.
    pub linger: Duration,
    /// Whether a table that is there is dropped first.
    pub recreate: Recreate,
}

/// Target rate of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamRate {
    /// Open schedule: rows per second in total.
    RowsPerSecond(NonZeroU64),
    /// Unthrottled: each producer sends as fast as the server takes it.
    Max,
}

impl Stream {
    /// When the rows of all partitions are due; `None` if the stream is unthrottled. The run and its
    /// audit make the rows' due times from this alone.
    pub fn course(&self, seed: u64) -> Option<Course> {
        let StreamRate::RowsPerSecond(rate) = self.rate else { return None };
        Some(Course {
            arrivals: Arrivals::new(self.arrival, seed, ROWS),
            curve: self.shape.curve(rate)?,
        })
    }

    /// Most rows per second over all partitions, for longer than by chance; `None`: unthrottled.
    pub fn peak_rows_per_s(&self) -> Option<f64> {
        let StreamRate::RowsPerSecond(rate) = self.rate else { return None };
        Some(rate.get() as f64 * self.shape.peak_factor() * peak_factor(self.arrival))
    }

    /// The part of a partition in the course.
    pub fn schedule(&self, course: &Course, partition: u32) -> Schedule {
        let (lanes, batch_rows) = (self.partitions.into(), self.batch_rows.into());
        Schedule::new(course.clone(), partition.into(), lanes, batch_rows, self.linger)
    }
}

impl Resolver<'_> {
    pub(super) fn stream(&mut self, stream: &mut profile::Stream) -> Stream {
        let (shape, highest) = self.shape(&mut stream.shape, stream.rows_per_s.as_ref());
        let rate = match highest {
            // Stages are the rate, and what is written beside them is a fault.
            Some(highest) => StreamRate::RowsPerSecond(highest),
            None => self.rate(&mut stream.rows_per_s),
        };
        let limits = match rate {
            StreamRate::RowsPerSecond(_) => BATCH_ROWS,
            StreamRate::Max => Limits { default: BATCH_ROWS_UNTHROTTLED, ..BATCH_ROWS },
        };
        let partitions = self.number("partitions", &mut stream.partitions, &PARTITIONS);
        let batch_rows = self.number("batch_rows", &mut stream.batch_rows, &limits);
        let arrival = match rate {
            StreamRate::RowsPerSecond(rate) => Some(rate.get() as f64),
            StreamRate::Max => None,
        };
        let arrival = self.arrival(&mut stream.arrival, arrival, "rows_per_s");
        let table = self.target(&mut stream.table);
        let columns = resolve_columns(&mut self.report, stream.columns.as_deref());
        stream.columns = Some(written(&columns));
        let linger = milliseconds(self.number("linger_ms", &mut stream.linger_ms, &LINGER_MS));
        if rate == StreamRate::Max {
            self.note_idle(stream.linger_ms.as_ref(), NO_SCHEDULE);
            self.note_idle(stream.arrival.as_ref(), NO_SCHEDULE);
        }
        Stream {
            columns,
            partitions: NonZeroU32::new(partitions as u32).unwrap_or(NonZeroU32::MIN),
            rate,
            shape,
            arrival,
            batch_rows: NonZeroU32::new(batch_rows as u32).unwrap_or(NonZeroU32::MIN),
            linger,
            recreate: self.recreate(&mut stream.recreate, &table),
            table,
        }
    }

    fn rate(&mut self, value: &mut Option<Located<RateOrMax>>) -> StreamRate {
        match self.number_or_word("rows_per_s", value, &ROWS_PER_S) {
            None => StreamRate::Max,
            Some(rate) => {
                StreamRate::RowsPerSecond(NonZeroU64::new(rate as u64).unwrap_or(NonZeroU64::MIN))
            }
        }
    }

    fn target(&mut self, value: &mut Option<Located<String>>) -> TableName {
        let written = self.take(value.as_ref()).unwrap_or_else(|| TABLE.to_owned().into());
        let table = written.parse().unwrap_or_else(|error| {
            let what = format!("`{}` is not a table's name: {error}", written.as_str());
            let fix =
                "write `table` or `schema.table`, a part in double quotes where SQL needs them";
            self.fault(Some(&written), what, fix.to_owned());
            TableName { schema: None, name: TABLE.to_owned() }
        });
        *value = Some(table.as_written().into());
        table
    }
}
