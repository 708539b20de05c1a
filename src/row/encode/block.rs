//! A few rows in the making: written column by column, moved out row by row.
//!
//! Going down a column keeps what the column needs in registers and lets the processor work at
//! several rows at once, since no row waits for the length of the one before. Each row has room
//! for its longest form, and is moved to its place when its length is known.

use crate::pace::DueTimes;
use crate::row::random::Row;

/// Most rows in the making.
const ROWS_MAX: usize = 64;
/// Their room: well within the first-level cache.
const BYTES_MAX: usize = 16 * 1024;
/// Rows up to this size are moved by a copy of fixed size.
const SHORT_ROW_BYTES: usize = 128;

/// Rows in the making.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: Box<[u8]>,
    row_bytes_max: usize,
    rows_max: usize,
    tuple_head_bytes: usize,
    first: Row,
    rows: usize,
    /// Where each row ends so far.
    ends: [usize; ROWS_MAX],
    due_us: [i64; ROWS_MAX],
}

impl Block {
    /// A block of rows that begin with `tuple_head`, for which it is written here once.
    pub(super) fn new(tuple_head: [u8; 2], row_bytes_max: usize) -> Self {
        let row_bytes_max = row_bytes_max.max(SHORT_ROW_BYTES);
        let rows_max = (BYTES_MAX / row_bytes_max).clamp(1, ROWS_MAX);
        let mut bytes = vec![0; row_bytes_max * rows_max].into_boxed_slice();
        for row in bytes.chunks_exact_mut(row_bytes_max) {
            row[..tuple_head.len()].copy_from_slice(&tuple_head);
        }
        Self {
            bytes,
            row_bytes_max,
            rows_max,
            tuple_head_bytes: tuple_head.len(),
            first: Row::new(0),
            rows: 0,
            ends: [0; ROWS_MAX],
            due_us: [0; ROWS_MAX],
        }
    }

    /// Bytes of room that each row has.
    pub(super) fn row_bytes_max(&self) -> usize {
        self.row_bytes_max
    }

    /// Begins up to `rows` rows; returns how many.
    pub(super) fn begin(&mut self, first_row: u64, rows: u64, due: &mut DueTimes) -> u64 {
        self.first = Row::new(first_row);
        self.rows = self.rows_max.min(usize::try_from(rows).unwrap_or(usize::MAX));
        self.ends[..self.rows].fill(self.tuple_head_bytes);
        self.due_us[..self.rows].fill_with(|| due.advance());
        self.rows as u64
    }

    /// The first row of the block.
    pub(super) fn first(&self) -> Row {
        self.first
    }

    /// Appends a field to every row: `field` makes it of the row and its due time, and says how
    /// many of its bytes count. All are copied, since a copy of fixed size is a load and a store.
    #[inline]
    pub(super) fn put<const N: usize>(
        &mut self,
        mut field: impl FnMut(Row, i64) -> ([u8; N], usize),
    ) {
        self.put_with(|row, due_us, space| {
            let (bytes, used) = field(row, due_us);
            space[..N].copy_from_slice(&bytes);
            used
        });
    }

    /// Appends a field of any length to every row: `write` puts it to the front of the space and
    /// returns its length.
    #[inline]
    pub(super) fn put_with(&mut self, mut write: impl FnMut(Row, i64, &mut [u8]) -> usize) {
        let mut row = self.first;
        let rows = self.bytes.chunks_exact_mut(self.row_bytes_max);
        let ends = self.ends[..self.rows].iter_mut();
        for ((bytes, end), &due_us) in rows.zip(ends).zip(&self.due_us) {
            *end += write(row, due_us, &mut bytes[*end..]);
            row = row.next();
        }
    }

    /// Moves the rows to the front of `out`, which has room for as many of the longest; returns
    /// their length.
    pub(super) fn finish(&self, out: &mut [u8]) -> usize {
        let mut at = 0;
        let rows = self.bytes.chunks_exact(self.row_bytes_max);
        for (row, &end) in rows.zip(&self.ends[..self.rows]) {
            if let (SHORT_ROW_BYTES, Some(row)) = (self.row_bytes_max, row.first_chunk()) {
                let row: &[u8; SHORT_ROW_BYTES] = row;
                out[at..][..SHORT_ROW_BYTES].copy_from_slice(row);
            } else {
                out[at..][..end].copy_from_slice(&row[..end]);
            }
            at += end;
        }
        at
    }
}
