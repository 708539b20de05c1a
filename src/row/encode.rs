//! The COPY BINARY encoder: rows of one partition, straight into the caller's buffer.
//!
//! The columns are compiled once into fields, which then draw and write their values for a few
//! rows at a time. Nothing is allocated or dispatched a row.

mod array;
mod block;
mod draw;
mod field;
mod known;
mod label;
mod pattern;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use thiserror::Error;

use self::block::Block;
use self::field::{Field, Origin};
use super::file::{FileFault, Pages};
use super::{Column, ColumnError, Ids, RunTag, check_together};
use crate::pace::DueTimes;

/// What opens COPY BINARY data: the signature, no flags, no header extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What closes COPY BINARY data: a tuple of −1 fields.
pub const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Most columns of a PostgreSQL table.
const COLUMNS_MAX: usize = 1_600;

/// Most bytes of a row: 1 GiB is PostgreSQL's bound on a value and on a message, less the header
/// and trailer that a row may share its message with.
const ROW_BYTES_MAX: usize = (1 << 30) - 64;

/// Encodes the rows of one partition. A row is a pure function of the encoder's arguments, its
/// sequence number and its due time, however it is cut into calls.
#[derive(Debug, Clone)]
pub struct Encoder {
    fields: Vec<Field>,
    /// The files that values are read of on the way.
    pages: Vec<Arc<Pages>>,
    block: Block,
    /// The number of its first row in the partition, and how far it is from one to the next.
    place: u64,
    step: u64,
}

/// What one call of [`Encoder::encode`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// Rows that fitted.
    pub rows: u64,
    /// Their bytes, from the front of the buffer.
    pub bytes: usize,
}

/// Columns that no encoder can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A column cannot hold its values.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// Too many columns, or none.
    #[error("the table has {0} columns; declare from 1 to {COLUMNS_MAX}")]
    Columns(usize),
    /// A row is beyond what PostgreSQL takes in one message.
    #[error(
        "column `{column}`: a row has up to {row_bytes} bytes, and PostgreSQL takes {ROW_BYTES_MAX}; \
         shorten the longest texts or arrays"
    )]
    TooWide {
        /// The widest column.
        column: String,
        /// Room that a row needs.
        row_bytes: usize,
    },
    /// A file of values cannot be read as it was.
    #[error(transparent)]
    File(#[from] FileFault),
}

impl Encoder {
    /// An encoder of partition `partition`, whose row `seq` has the identity `first_id + seq`.
    pub fn new(
        columns: &[Column],
        seed: u64,
        partition: u32,
        first_id: i64,
    ) -> Result<Self, EncodeError> {
        Self::of_origin(columns, Origin { seed, partition, first_id, run: RunTag::default() })
    }

    fn of_origin(columns: &[Column], origin: Origin) -> Result<Self, EncodeError> {
        if !(1..=COLUMNS_MAX).contains(&columns.len()) {
            return Err(EncodeError::Columns(columns.len()));
        }
        for column in columns {
            column.check()?;
            column.check_partition(origin.partition)?;
            column.check_keys()?;
        }
        if let Some((place, fault)) = check_together(columns).into_iter().next() {
            return Err(ColumnError { column: columns[place].name.clone(), fault }.into());
        }
        let fields: Vec<Field> =
            (0..columns.len()).map(|place| Field::new(columns, place, origin)).collect();
        let tuple_head = (columns.len() as u16).to_be_bytes();
        let bytes = tuple_head.len() + fields.iter().map(Field::max_bytes).sum::<usize>();
        let row_bytes = Block::room(bytes);
        if row_bytes > ROW_BYTES_MAX {
            let widest = columns.iter().zip(&fields).max_by_key(|(_, field)| field.max_bytes());
            let column = widest.map(|(column, _)| column.name.clone()).unwrap_or_default();
            return Err(EncodeError::TooWide { column, row_bytes });
        }
        let has_due = fields.iter().any(Field::is_due);
        let mut pages = Vec::new();
        fields.iter().for_each(|field| field.add_pages(&mut pages));
        let block = Block::new(tuple_head, row_bytes, has_due);
        Ok(Self { fields, pages, block, place: 0, step: 1 })
    }

    /// An encoder of one lane: its rows are numbered by themselves, and have the ids and the values of the
    /// partition's rows that they are.
    pub fn of_ids(columns: &[Column], seed: u64, ids: &Ids) -> Result<Self, EncodeError> {
        let Ids { lane, base: first_id, run } = *ids;
        let origin = Origin { seed, partition: lane.key(), first_id, run };
        let mut encoder = Self::of_origin(columns, origin)?;
        (encoder.place, encoder.step) = (lane.place.into(), lane.step.get().into());
        encoder.block.every(encoder.step);
        Ok(encoder)
    }

    /// Bytes of buffer that a row may need, which is more than it takes.
    pub fn max_row_bytes(&self) -> usize {
        self.block.row_bytes_max()
    }

    /// Encodes up to `rows` rows beginning with `first_row` to the front of `out`, and stops
    /// before the row for which less than [`Encoder::max_row_bytes`] are left. `due` begins with
    /// the first row's due time and has moved on by as many rows as were encoded.
    ///
    /// Bytes of `out` beyond those counted may be overwritten.
    ///
    /// # Errors
    /// When a file of values, of which not all are in memory, is not what it was.
    pub fn encode(
        &mut self,
        out: &mut [u8],
        first_row: u64,
        rows: u64,
        due: &mut DueTimes,
    ) -> Result<Encoded, FileFault> {
        let mut done = Encoded { rows: 0, bytes: 0 };
        loop {
            let space = &mut out[done.bytes..];
            let fitting = (space.len() / self.max_row_bytes()) as u64;
            let row = first_row.wrapping_add(done.rows);
            let row = row.wrapping_mul(self.step).wrapping_add(self.place);
            match self.block.begin(row, fitting.min(rows - done.rows), due) {
                0 => return Ok(done),
                begun => done.rows += begun,
            }
            for field in &mut self.fields {
                field.put(&mut self.block);
            }
            if let Some(fault) = self.pages.iter().find_map(|pages| pages.fault()) {
                return Err(fault.clone());
            }
            done.bytes += self.block.finish(space);
        }
    }
}
