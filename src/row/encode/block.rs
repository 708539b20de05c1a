//! A few rows in the making: written column by column, moved out row by row; and several values of one row.
//!
//! Going down a column keeps what the column needs in registers and lets the processor work at
//! several rows at once, since no row waits for the length of the one before. Each row has room
//! for its longest form, and is moved to its place when its length is known.

use crate::pace::{DueTimes, Progression};
use crate::row::fields::NULL;
use crate::row::random::Row;

/// Most rows in the making.
const ROWS_MAX: usize = 64;
/// Their room: well within the first-level cache.
const BYTES_MAX: usize = 16 * 1024;
/// Room of a row is a multiple of this, so that rows of a few multiples are moved by a copy of
/// fixed size.
const STEP_BYTES: usize = 32;

/// Rows in the making.
#[derive(Debug, Clone)]
pub(super) struct Block {
    bytes: Box<[u8]>,
    row_bytes_max: usize,
    rows_max: usize,
    tuple_head_bytes: usize,
    first: Row,
    /// From one row to the next.
    step: Row,
    rows: usize,
    /// Where each row ends so far.
    ends: [usize; ROWS_MAX],
    due: Due,
}

/// When the rows are due.
#[derive(Debug, Clone)]
enum Due {
    /// No field asks.
    Unasked,
    /// Evenly, from here on.
    Even(Progression),
    /// One by one.
    Each(Box<[i64; ROWS_MAX]>),
}

/// What values are appended to.
pub(super) trait Rows: Sized {
    /// The row of the first value.
    fn first(&self) -> Row;

    /// How far it is from the row of one value to that of the next.
    fn step(&self) -> u64;

    /// Appends fields: `write` puts each to the front of the space and returns its length.
    fn put(&mut self, write: impl FnMut(Row, &mut [u8]) -> usize);

    /// Appends the fields that `write` makes of what `find` finds at a place, which looks into a large table.
    fn put_found<P: Copy + Default>(
        &mut self,
        place: impl Fn(Row) -> P,
        find: impl Fn(P) -> i64,
        mut write: impl FnMut(i64, &mut [u8]) -> usize,
    ) {
        self.put(|row, space| write(find(place(row)), space));
    }

    /// Appends fields that are made of the moment at which their row is due.
    fn put_due(&mut self, write: impl Fn(Row, i64, &mut [u8]) -> usize);

    /// Appends what `put` does, and lets `change` change each field, of a length, in its place; it
    /// returns the new length.
    fn put_and_change(
        &mut self,
        put: impl FnMut(&mut Self),
        change: impl Fn(Row, usize, &mut [u8]) -> usize,
    );

    /// Appends what `put` does, and in its place NULL to the rows that `is_null` names.
    fn put_or_null(&mut self, put: impl FnMut(&mut Self), is_null: impl Fn(Row) -> bool) {
        self.put_and_change(put, |row, length, field| match is_null(row) {
            true => write(NULL, field),
            false => length,
        });
    }
}

impl Rows for Block {
    fn first(&self) -> Row {
        self.first
    }

    fn step(&self) -> u64 {
        self.step.seq
    }

    #[inline]
    fn put(&mut self, mut write: impl FnMut(Row, &mut [u8]) -> usize) {
        let (mut row, step) = (self.first, self.step);
        let rows = self.bytes.chunks_exact_mut(self.row_bytes_max);
        for (bytes, end) in rows.zip(&mut self.ends[..self.rows]) {
            *end += write(row, &mut bytes[*end..]);
            row = row.plus(step);
        }
    }

    /// Goes over all rows for each of the three by itself: so the looks into a table that is larger than a cache are
    /// under way at once.
    #[inline]
    fn put_found<P: Copy + Default>(
        &mut self,
        place: impl Fn(Row) -> P,
        find: impl Fn(P) -> i64,
        mut write: impl FnMut(i64, &mut [u8]) -> usize,
    ) {
        let (mut row, step) = (self.first, self.step);
        let mut places = [P::default(); ROWS_MAX];
        for own in &mut places[..self.rows] {
            *own = place(row);
            row = row.plus(step);
        }
        let mut found = [0; ROWS_MAX];
        for (found, place) in found.iter_mut().zip(&places[..self.rows]) {
            *found = find(*place);
        }
        let mut found = found.into_iter();
        self.put(|_, space| write(found.next().unwrap_or_default(), space));
    }

    #[inline]
    fn put_due(&mut self, write: impl Fn(Row, i64, &mut [u8]) -> usize) {
        if let Due::Even(mut due) = self.due {
            return self.put(|row, space| write(row, due.advance(), space));
        }
        let Due::Each(due_us) = &self.due else { return };
        let (mut row, step) = (self.first, self.step);
        let rows = self.bytes.chunks_exact_mut(self.row_bytes_max);
        let rows = rows.zip(&mut self.ends[..self.rows]);
        for ((bytes, end), due_us) in rows.zip(due_us.iter()) {
            *end += write(row, *due_us, &mut bytes[*end..]);
            row = row.plus(step);
        }
    }

    fn put_and_change(
        &mut self,
        mut put: impl FnMut(&mut Self),
        change: impl Fn(Row, usize, &mut [u8]) -> usize,
    ) {
        let starts = self.ends;
        put(self);
        let (mut row, step) = (self.first, self.step);
        let rows = self.bytes.chunks_exact_mut(self.row_bytes_max);
        for ((bytes, end), start) in rows.zip(&mut self.ends[..self.rows]).zip(starts) {
            *end = start + change(row, *end - start, &mut bytes[start..]);
            row = row.plus(step);
        }
    }
}

/// Values of one row, one behind the other: none of them is made of the moment at which it is due.
#[derive(Debug)]
pub(super) struct InRow<'s> {
    row: Row,
    count: usize,
    space: &'s mut [u8],
    end: usize,
}

impl<'s> InRow<'s> {
    /// So many elements of the row's array.
    pub(super) fn elements(row: Row, count: usize, space: &'s mut [u8]) -> Self {
        Self { row: row.first_element(), count, space, end: 0 }
    }

    /// One value of the row itself.
    pub(super) fn one(row: Row, space: &'s mut [u8]) -> Self {
        Self { row, count: 1, space, end: 0 }
    }

    /// Bytes that were appended.
    pub(super) fn bytes(&self) -> usize {
        self.end
    }
}

impl Rows for InRow<'_> {
    fn first(&self) -> Row {
        self.row
    }

    fn step(&self) -> u64 {
        Row::NEXT_ELEMENT.seq
    }

    #[inline]
    fn put(&mut self, mut write: impl FnMut(Row, &mut [u8]) -> usize) {
        let mut row = self.row;
        for _ in 0..self.count {
            self.end += write(row, &mut self.space[self.end..]);
            row = row.plus(Row::NEXT_ELEMENT);
        }
    }

    fn put_due(&mut self, write: impl Fn(Row, i64, &mut [u8]) -> usize) {
        // The check of the columns refuses them.
        self.put(|row, space| write(row, 0, space));
    }

    fn put_and_change(
        &mut self,
        mut put: impl FnMut(&mut Self),
        change: impl Fn(Row, usize, &mut [u8]) -> usize,
    ) {
        let (first, count) = (self.row, self.count);
        // One at a time: where it ends follows from the change.
        self.count = 1;
        for _ in 0..count {
            let start = self.end;
            put(self);
            let length = self.end - start;
            self.end = start + change(self.row, length, &mut self.space[start..]);
            self.row = self.row.plus(Row::NEXT_ELEMENT);
        }
        (self.row, self.count) = (first, count);
    }
}

impl Block {
    /// The room that a row of up to `bytes` takes.
    pub(super) fn room(bytes: usize) -> usize {
        bytes.next_multiple_of(STEP_BYTES)
    }

    /// A block of rows that begin with `tuple_head`, which is written here once, and take
    /// `row_bytes_max` of room; `has_due` if a field is made of the due time.
    pub(super) fn new(tuple_head: [u8; 2], row_bytes_max: usize, has_due: bool) -> Self {
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
            step: Row::new(1),
            rows: 0,
            ends: [0; ROWS_MAX],
            due: if has_due { Due::Each(Box::new([0; ROWS_MAX])) } else { Due::Unasked },
        }
    }

    /// Bytes of room that each row has.
    pub(super) fn row_bytes_max(&self) -> usize {
        self.row_bytes_max
    }

    /// Begins up to `rows` rows; returns how many. `due` moves on by as many.
    pub(super) fn begin(&mut self, first_row: u64, rows: u64, due: &mut DueTimes) -> u64 {
        self.first = Row::new(first_row);
        self.rows = self.rows_max.min(usize::try_from(rows).unwrap_or(usize::MAX));
        self.ends[..self.rows].fill(self.tuple_head_bytes);
        match (&mut self.due, due.as_even()) {
            (Due::Unasked, _) => due.skip(self.rows as u64),
            (own, Some(even)) => {
                *own = Due::Even(even);
                due.skip(self.rows as u64);
            }
            (Due::Each(due_us), None) => due_us[..self.rows].fill_with(|| due.advance()),
            (own @ Due::Even(_), None) => {
                let mut due_us = Box::new([0; ROWS_MAX]);
                due_us[..self.rows].fill_with(|| due.advance());
                *own = Due::Each(due_us);
            }
        }
        self.rows as u64
    }

    /// Has only every `step`-th row.
    pub(super) fn every(&mut self, step: u64) {
        self.step = Row::new(step);
    }

    /// Moves the rows to the front of `out`, which has room for as many of the longest; returns
    /// their length.
    pub(super) fn finish(&self, out: &mut [u8]) -> usize {
        match self.row_bytes_max {
            32 => self.move_steps::<32>(out),
            64 => self.move_steps::<64>(out),
            96 => self.move_steps::<96>(out),
            128 => self.move_steps::<128>(out),
            _ => self.move_exactly(out),
        }
    }

    /// Copies all the room of a row, and lets the next row overwrite what is not its own.
    fn move_steps<const N: usize>(&self, out: &mut [u8]) -> usize {
        let mut at = 0;
        for (row, end) in self.bytes.as_chunks::<N>().0.iter().zip(&self.ends[..self.rows]) {
            out[at..][..N].copy_from_slice(row);
            at += end;
        }
        at
    }

    fn move_exactly(&self, out: &mut [u8]) -> usize {
        let mut at = 0;
        let rows = self.bytes.chunks_exact(self.row_bytes_max);
        for (row, &end) in rows.zip(&self.ends[..self.rows]) {
            out[at..][..end].copy_from_slice(&row[..end]);
            at += end;
        }
        at
    }
}

/// Writes `field`; returns its length.
#[inline]
pub(super) fn write<const N: usize>(field: [u8; N], space: &mut [u8]) -> usize {
    space[..N].copy_from_slice(&field);
    N
}
