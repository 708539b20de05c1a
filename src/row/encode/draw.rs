//! Values drawn from ranges, before they are written.

use std::sync::Arc;

use super::block::Block;
use crate::row::Pick;
use crate::row::alias::Alias;
use crate::row::pick::Distribution;
use crate::row::random::{Row, Stream, scale, unit};

/// Whole numbers from `min` to `min + span`. Wraps, so that the upper half of `u64` works too.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    min: i64,
    span: u64,
    draw: Draw,
    stream: Stream,
}

/// How a number is drawn.
#[derive(Debug, Clone)]
enum Draw {
    Random,
    Cycle,
    Ranked(Arc<Alias>),
    By(Distribution),
}

impl Whole {
    pub(super) fn new(min: i64, max: i64, pick: &Pick, stream: Stream) -> Self {
        Self::in_units(min, max, (pick, 1.0), stream)
    }

    /// Numbers of which the distribution's have so many units each.
    pub(super) fn in_units(
        min: i64,
        max: i64,
        (pick, units): (&Pick, f64),
        stream: Stream,
    ) -> Self {
        let span = max.wrapping_sub(min) as u64;
        let draw = match pick {
            Pick::Random => Draw::Random,
            Pick::Cycle => Draw::Cycle,
            Pick::Zipf(zipf) => Draw::Ranked(zipf.table(span.saturating_add(1))),
            _ => Distribution::new(pick, min as f64, units).map_or(Draw::Random, Draw::By),
        };
        Self { min, span, draw, stream }
    }

    /// Appends to each row the field that `write` makes of its number.
    #[inline]
    pub(super) fn put(&self, block: &mut Block, write: impl Fn(i64, &mut [u8]) -> usize) {
        let &Self { min, span, ref draw, stream } = self;
        let number = |offset: u64| min.wrapping_add(offset as i64);
        let bits = |row| stream.bits(row);
        let seq = block.first().seq;
        match (draw, span.checked_add(1)) {
            (_, Some(1)) => block.put(|_, space| write(min, space)),
            (Draw::Random, Some(numbers)) => {
                block.put(|row, space| write(number(scale(bits(row), numbers)), space));
            }
            (Draw::Random, None) => block.put(|row, space| write(number(bits(row)), space)),
            (Draw::Cycle, numbers) => {
                let mut next = numbers.map_or(seq, |numbers| seq % numbers);
                block.put(|_, space| {
                    let now = next;
                    next = if now == span { 0 } else { now + 1 };
                    write(number(now), space)
                });
            }
            (Draw::Ranked(alias), _) => {
                block.put(|row, space| write(number(alias.draw(bits(row))), space));
            }
            (Draw::By(distribution), _) => {
                let (distribution, max) = (*distribution, number(span));
                block.put(|row, space| write(whole(distribution, bits(row), min, max), space));
            }
        }
    }
}

/// The whole number nearest to what is drawn, and within its limits.
fn whole(distribution: Distribution, bits: u64, min: i64, max: i64) -> i64 {
    let value = distribution.draw(bits);
    ((value + 0.5).floor() as i64).clamp(min, max)
}

/// Floats from `min` up to, but not including, `max`; always `min` if that is `max` too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Float {
    min: f64,
    max: f64,
    by: Option<Distribution>,
    stream: Stream,
}

impl Float {
    pub(super) fn new(min: f64, max: f64, pick: &Pick, stream: Stream) -> Self {
        Self { min, max, by: Distribution::new(pick, min, 1.0), stream }
    }

    /// Rounding may reach `max` (or pass `min`, for a `real`), hence the limits at the end.
    #[inline]
    pub(super) fn double(self, row: Row) -> f64 {
        let bits = self.stream.bits(row);
        let value = match self.by {
            None => self.min + unit(bits) * (self.max - self.min),
            Some(distribution) => distribution.draw(bits),
        };
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

    /// Writes the row's field; returns its length.
    pub(super) fn write(self, row: Row, out: &mut [u8]) -> usize {
        let mut draws = self.stream.draws(row);
        let chars =
            self.min_chars as usize + scale(draws.next(), u64::from(self.span) + 1) as usize;
        out[..4].copy_from_slice(&(chars as u32).to_be_bytes());
        for text in out[4..].chunks_exact_mut(CHARS_PER_DRAW).take(chars.div_ceil(CHARS_PER_DRAW)) {
            // Each multiplication moves the next base-36 digit above the point.
            let mut fraction = draws.next();
            for char in text {
                let product = u128::from(fraction) * ALPHABET.len() as u128;
                fraction = product as u64;
                *char = ALPHABET[(product >> 64) as usize];
            }
        }
        4 + chars
    }
}
