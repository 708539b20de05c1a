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
use crate::profile::{self, Identity, Located, RateOrMax, Whole};
use crate::row::{Column, Lane, RowIdentity, Values};

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
    fix: "choose a number such as 3",
};
const CONNECTIONS: Limits =
    Limits { fix: "choose a number such as 8, or leave it out", ..PARTITIONS };
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

/// For what is about partitions where there are none.
const NO_KEY: Idle = Idle {
    here: "where no column has the values \"partition\"",
    fix: "leave it out, or give a column these values",
};

/// What is streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Target table.
    pub table: TableName,
    /// A table like which it is made if it is not there.
    pub like: Option<TableName>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Whether nothing tells rows apart, whatever their columns are.
    pub nameless: bool,
    /// Names of those whose values readers may change in rows that were sent.
    pub changed: Vec<String>,
    /// Whether readers may delete rows that were sent.
    pub loses_rows: bool,
    /// Number of LIST partitions; `None`: rows have no key, and the server has them where it will.
    pub partitions: Option<NonZeroU32>,
    /// Number of producers, each with one connection: at least one a partition.
    pub connections: NonZeroU32,
    /// Rows per second over all producers; of stages, the highest.
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
    /// Whether it has columns of arrays, which name the type of their elements by a number.
    pub(crate) fn has_arrays(&self) -> bool {
        self.columns.iter().any(|column| column.sql_type.element().is_some())
    }

    /// Takes the numbers of the types of arrays' elements that are the server's own, by the name of the column.
    pub(crate) fn set_element_types(&mut self, found: &[(String, u32)]) {
        for column in &mut self.columns {
            let own = found.iter().find(|(name, _)| *name == column.name);
            column.element_oid =
                own.filter(|_| column.sql_type.element().is_some()).map(|(_, oid)| *oid);
        }
    }

    /// When the rows of all lanes are due; `None` if the stream is unthrottled. The run and its
    /// audit make the rows' due times from this alone.
    pub fn course(&self, seed: u64) -> Option<Course> {
        let StreamRate::RowsPerSecond(rate) = self.rate else { return None };
        Some(Course {
            arrivals: Arrivals::new(self.arrival, seed, ROWS),
            curve: self.shape.curve(rate)?,
        })
    }

    /// Most rows per second over all lanes, for longer than by chance; `None`: unthrottled.
    pub fn peak_rows_per_s(&self) -> Option<f64> {
        let StreamRate::RowsPerSecond(rate) = self.rate else { return None };
        Some(rate.get() as f64 * self.shape.peak_factor() * peak_factor(self.arrival))
    }

    /// What each producer loads. They are dealt to the partitions in turn.
    pub fn lanes(&self) -> impl Iterator<Item = Lane> + use<> {
        let (connections, partitions) = (self.connections, self.partitions);
        (0..connections.get()).map(move |number| Lane::of(number, connections, partitions))
    }

    /// Which column tells a partition's rows apart, and how; `None`: nothing does.
    pub fn identity(&self) -> Option<(usize, RowIdentity)> {
        let is_row_id = |column: &Column| column.values == Values::RowId;
        let of = |(at, column)| Some((at, RowIdentity::of(column)?));
        let columns = || self.columns.iter().enumerate().filter(|_| !self.nameless);
        let row_id = columns().find(|(_, column)| is_row_id(column)).and_then(of);
        row_id.or_else(|| columns().find_map(of))
    }

    /// The column that tells a partition's rows apart; `None`: nothing does.
    pub fn id_column(&self) -> Option<&Column> {
        self.identity().and_then(|(at, _)| self.columns.get(at))
    }

    /// Whether the numbers of a run's rows follow on those of the runs before it.
    pub fn follows_on(&self) -> bool {
        self.identity().is_some_and(|(_, identity)| identity.follows_on())
    }

    /// Whether a batch that was committed is found by its rows.
    pub fn finds_batches(&self) -> bool {
        self.id_column().is_some() && !self.loses_rows
    }

    /// Whether readers may change the values of a column in rows that were sent.
    pub fn is_changed(&self, column: &Column) -> bool {
        self.changed.contains(&column.name)
    }

    /// The column by whose values the table is partitioned; `None`: rows have no key.
    pub fn partition_column(&self) -> Option<&Column> {
        self.columns.iter().find(|column| column.values == Values::Partition)
    }

    /// The part of a lane in the course.
    pub fn schedule(&self, course: &Course, lane: &Lane) -> Schedule {
        let (lanes, batch_rows) = (self.connections.into(), self.batch_rows.into());
        Schedule::new(course.clone(), lane.number.into(), lanes, batch_rows, self.linger)
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
        let identity = self.take(stream.identity.as_ref());
        let columns =
            resolve_columns(&mut self.report, stream.columns.as_deref(), identity.as_ref());
        let has_key = columns.iter().any(|column| column.values == Values::Partition);
        // Of columns that are faulty it is not known.
        let is_damaged = self.report.damaged("stream.columns");
        let partitions = if has_key || is_damaged {
            Some(self.number("partitions", &mut stream.partitions, &PARTITIONS))
        } else {
            self.note_idle(stream.partitions.as_ref(), NO_KEY);
            stream.partitions = None;
            None
        };
        let known = partitions.filter(|_| !is_damaged);
        let connections = self.connections(&mut stream.connections, known);
        let batch_rows = self.number("batch_rows", &mut stream.batch_rows, &limits);
        let arrival = match rate {
            StreamRate::RowsPerSecond(rate) => Some(rate.get() as f64),
            StreamRate::Max => None,
        };
        let arrival = self.arrival(&mut stream.arrival, arrival, "rows_per_s");
        let table = self.target(&mut stream.table);
        let like = self.like(&mut stream.like, &table, has_key);
        let nameless = identity.is_some_and(|identity| *identity == Identity::None);
        // It says no more than the columns do.
        stream.identity.take_if(|identity| **identity == Identity::RowId);
        stream.columns = Some(written(&columns));
        let linger = milliseconds(self.number("linger_ms", &mut stream.linger_ms, &LINGER_MS));
        if rate == StreamRate::Max {
            self.note_idle(stream.linger_ms.as_ref(), NO_SCHEDULE);
            self.note_idle(stream.arrival.as_ref(), NO_SCHEDULE);
        }
        Stream {
            columns,
            nameless,
            changed: Vec::new(),
            loses_rows: false,
            partitions: partitions
                .map(|number| NonZeroU32::new(number as u32).unwrap_or(NonZeroU32::MIN)),
            connections: NonZeroU32::new(connections as u32).unwrap_or(NonZeroU32::MIN),
            rate,
            shape,
            arrival,
            batch_rows: NonZeroU32::new(batch_rows as u32).unwrap_or(NonZeroU32::MIN),
            linger,
            like,
            recreate: self.recreate(&mut stream.recreate, &table),
            table,
        }
    }

    /// One a partition at least: a partition that nobody loads is none of the stream's.
    fn connections(&mut self, value: &mut Option<Located<Whole>>, partitions: Option<f64>) -> f64 {
        let limits = Limits { default: partitions.unwrap_or(CONNECTIONS.default), ..CONNECTIONS };
        let connections = self.number("connections", value, &limits);
        let Some(partitions) = partitions else { return connections };
        if connections < partitions
            && !self.replaced.contains(&"partitions")
            && let Some(written) = value.clone()
        {
            let (subject, shown) = self.report.words("connections", &written.span());
            let what =
                format!("{subject} is {shown}, and each of {partitions} partitions needs one");
            let fix = format!("choose at least {partitions}, or fewer partitions");
            self.fault(Some(&written), what, fix);
        }
        // It says no more than the partitions do, and results of before do not have it.
        value.take_if(|_| connections <= partitions);
        connections.max(partitions)
    }

    /// The table like which the target is made.
    fn like(
        &mut self,
        value: &mut Option<Located<String>>,
        table: &TableName,
        has_key: bool,
    ) -> Option<TableName> {
        let written = self.take(value.as_ref())?;
        let (what, fix) = match written.parse::<TableName>() {
            Err(error) => (
                format!("`{}` is not a table's name: {error}", written.as_str()),
                "write `table` or `schema.table`, a part in double quotes where SQL needs them",
            ),
            Ok(like) if like == *table => (
                format!("`{}` is the target table itself", written.as_str()),
                "name another table for the rows with `table`, or --table",
            ),
            Ok(_) if has_key => (
                "a table that is made like another is partitioned as that is, and not by a column with the values \
                 \"partition\""
                    .to_owned(),
                "give the column other values, or leave `like` out",
            ),
            Ok(like) => {
                *value = Some(like.as_written().into());
                return Some(like);
            }
        };
        self.fault(Some(&written), what, fix.to_owned());
        None
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
