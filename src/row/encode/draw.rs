//! Values drawn from ranges, before they are written.

use super::cursor::Cursor;
use crate::row::Pick;
use crate::row::random::{Row, Stream, scale, unit};

/// Whole numbers from `min` to `min + span`. Wraps, so that the upper half of `u64` works too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    min: i64,
    span: u64,
    pick: Pick,
    stream: Stream,
}

impl Whole {
    pub(super) fn new(min: i64, max: i64, pick: Pick, stream: Stream) -> Self {
        Self { min, span: max.wrapping_sub(min) as u64, pick, stream }
    }

    /// How far the row's number is above the least.
    #[inline]
    pub(super) fn offset(self, row: Row) -> u64 {
        match (self.pick, self.span.checked_add(1)) {
            (Pick::Random, _) => scale(self.stream.bits(row), self.span),
            (Pick::Cycle, Some(numbers)) => row.seq % numbers,
            (Pick::Cycle, None) => row.seq,
        }
    }

    #[inline]
    pub(super) fn value(self, row: Row) -> i64 {
        self.min.wrapping_add(self.offset(row) as i64)
    }
}

/// Floats from `min` up to, but not including, `max`; always `min` if that is `max` too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float {
    min: f64,
    max: f64,
    stream: Stream,
}

impl Float {
    pub(super) fn new(min: f64, max: f64, stream: Stream) -> Self {
        Self { min, max, stream }
    }

    /// Rounding may reach `max` (or pass `min`, for a `real`), hence the limits at the end.
    #[inline]
    pub(super) fn double(self, row: Row) -> f64 {
        let value = self.min + unit(self.stream.bits(row)) * (self.max - self.min);
        value.min(self.max.next_down()).max(self.min)
    }

    #[inline]
    pub(super) fn real(self, row: Row) -> f32 {
        (self.double(row) as f32).min((self.max as f32).next_down()).max(self.min as f32)
    }
}

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Characters made of one draw: 36¹² is below 2⁶⁴ by a factor of 3.9.
const CHARS_PER_DRAW: usize = 12;

/// Random texts of `min_chars` to `min_chars + span` characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    min_chars: u32,
    span: u32,
    stream: Stream,
}

impl Text {
    pub(super) fn new(min_chars: u32, max_chars: u32, stream: Stream) -> Self {
        Self { min_chars, span: max_chars - min_chars, stream }
    }

    /// Most bytes of a field, length included.
    pub(super) fn max_bytes(self) -> usize {
        4 + (self.min_chars + self.span) as usize + CHARS_PER_DRAW
    }

    pub(super) fn put(self, row: Row, cursor: &mut Cursor<'_>) {
        let mut draws = self.stream.draws(row);
        let chars = self.min_chars as usize + scale(draws.next(), self.span.into()) as usize;
        cursor.put_length(chars);
        let mut left = chars;
        while left > 0 {
            // Each multiplication moves the next base-36 digit above the point.
            let mut fraction = draws.next();
            let text: [u8; CHARS_PER_DRAW] = std::array::from_fn(|_| {
                let product = u128::from(fraction) * ALPHABET.len() as u128;
                fraction = product as u64;
                ALPHABET[(product >> 64) as usize]
            });
            let used = left.min(CHARS_PER_DRAW);
            cursor.put_front(&text, used);
            left -= used;
        }
    }
}
