//! Values drawn from ranges, before they are written.

use std::sync::Arc;

use super::block::Rows;
use crate::row::alias::Alias;
use crate::row::literal::{INET_V4, INET_V6};
use crate::row::pick::{Distribution, Order};
use crate::row::quantile::Quantiles;
use crate::row::random::{Draws, Row, Stream, scale, share_of, shares, unit};
use crate::row::{Network, Pick};

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
    InOrder(Order),
    Ranked(Arc<Alias>),
    By(Distribution),
    Along(Arc<Quantiles<i64>>, Option<Order>),
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
            _ => {
                let by = || Distribution::new(pick, min as f64, units).map(Draw::By);
                Order::of(pick).map(Draw::InOrder).or_else(by).unwrap_or(Draw::Random)
            }
        };
        Self { min, span, draw, stream }
    }

    /// Numbers along a histogram.
    pub(super) fn along(quantiles: Quantiles<i64>, pick: &Pick, stream: Stream) -> Self {
        // Of its own limits nothing is asked.
        let draw = Draw::Along(Arc::new(quantiles), Order::of(pick));
        Self { min: 0, span: u64::MAX, draw, stream }
    }

    /// The number of one row, where columns are not written as a whole.
    pub(super) fn at(&self, row: Row) -> i64 {
        let bits = self.stream.bits(row);
        let number = |offset: u64| self.min.wrapping_add(offset as i64);
        match (&self.draw, self.span.checked_add(1)) {
            (Draw::Random, Some(numbers)) => number(scale(bits, numbers)),
            (Draw::Random, None) => number(bits),
            (Draw::Cycle, numbers) => number(numbers.map_or(row.seq, |numbers| row.seq % numbers)),
            (Draw::InOrder(order), numbers) => number(within(order.bits(row.seq), numbers)),
            (Draw::Ranked(alias), _) => number(alias.draw(bits)),
            (Draw::By(distribution), _) => whole(*distribution, bits, self.min, number(self.span)),
            (Draw::Along(quantiles, order), _) => {
                quantiles.whole(order.map_or(bits, |order| order.bits(row.seq)))
            }
        }
    }

    /// Appends to each row the field that `write` makes of its number.
    #[inline]
    pub(super) fn put(
        &self,
        block: &mut impl Rows,
        mut write: impl FnMut(i64, &mut [u8]) -> usize,
    ) {
        let &Self { min, span, ref draw, stream } = self;
        let number = |offset: u64| min.wrapping_add(offset as i64);
        let bits = |row| stream.bits(row);
        let (seq, step) = (block.first().seq, block.step());
        match (draw, span.checked_add(1)) {
            (_, Some(1)) => block.put(|_, space| write(min, space)),
            (Draw::Random, Some(numbers)) => {
                block.put(|row, space| write(number(scale(bits(row), numbers)), space));
            }
            (Draw::Random, None) => block.put(|row, space| write(number(bits(row)), space)),
            (Draw::Cycle, numbers) => {
                let within = |offset: u64| numbers.map_or(offset, |numbers| offset % numbers);
                let (mut next, step) = (within(seq), within(step));
                block.put(|_, space| {
                    let now = next;
                    // Below the span, or it begins again; with all numbers it wraps by itself.
                    let left = span - now;
                    next = if step > left { step - left - 1 } else { now + step };
                    write(number(now), space)
                });
            }
            (Draw::InOrder(order), numbers) => {
                let order = *order;
                block.put(|row, space| write(number(within(order.bits(row.seq), numbers)), space));
            }
            (Draw::Ranked(alias), _) if alias.is_large() => {
                let find = |place| number(alias.number(place));
                block.put_found(|row| alias.place(bits(row)), find, write);
            }
            (Draw::Ranked(alias), _) => {
                block.put(|row, space| write(number(alias.draw(bits(row))), space));
            }
            (Draw::Along(quantiles, None), _) => {
                block.put(|row, space| write(quantiles.whole(bits(row)), space));
            }
            (Draw::Along(quantiles, Some(order)), _) => {
                let order = *order;
                block.put(|row, space| write(quantiles.whole(order.bits(row.seq)), space));
            }
            (Draw::By(distribution), _) => {
                let (distribution, max) = (*distribution, number(span));
                block.put(|row, space| write(whole(distribution, bits(row), min, max), space));
            }
        }
    }
}

/// Bits scaled to so many numbers; `None`: 2⁶⁴.
#[inline]
fn within(bits: u64, numbers: Option<u64>) -> u64 {
    numbers.map_or(bits, |numbers| scale(bits, numbers))
}

/// The whole number nearest to what is drawn, and within its limits.
fn whole(distribution: Distribution, bits: u64, min: i64, max: i64) -> i64 {
    let value = distribution.draw(bits) + 0.5;
    // Down to a whole number, without a call.
    let whole = value as i64;
    whole.saturating_sub(i64::from(whole as f64 > value)).clamp(min, max)
}

/// Floats from `min` up to, but not including, `max`; always `min` if that is `max` too.
#[derive(Debug, Clone)]
pub(super) struct Float {
    min: f64,
    max: f64,
    by: Option<Distribution>,
    along: Option<Quantiles<f64>>,
    order: Option<Order>,
    stream: Stream,
}

impl Float {
    pub(super) fn new(min: f64, max: f64, pick: &Pick, stream: Stream) -> Self {
        let (by, order) = (Distribution::new(pick, min, 1.0), Order::of(pick));
        Self { min, max, by, along: None, order, stream }
    }

    /// Numbers along a histogram with these ends.
    pub(super) fn along(
        quantiles: Quantiles<f64>,
        [min, max]: [f64; 2],
        pick: &Pick,
        stream: Stream,
    ) -> Self {
        Self { along: Some(quantiles), ..Self::new(min, max.next_up(), pick, stream) }
    }

    /// Rounding may reach `max` (or pass `min`, for a `real`), hence the limits at the end.
    #[inline]
    pub(super) fn double(&self, row: Row) -> f64 {
        let bits = match self.order {
            None => self.stream.bits(row),
            Some(order) => order.bits(row.seq),
        };
        let value = match (&self.along, self.by) {
            (None, None) => self.min + unit(bits) * (self.max - self.min),
            (None, Some(distribution)) => distribution.draw(bits),
            (Some(quantiles), _) => quantiles.float(bits),
        };
        value.min(self.max.next_down()).max(self.min)
    }

    #[inline]
    pub(super) fn real(&self, row: Row) -> f32 {
        (self.double(row) as f32).min((self.max as f32).next_down()).max(self.min as f32)
    }
}

/// 2⁵³, the number of steps that a probability is compared in.
const RATIO_STEPS: f64 = 9_007_199_254_740_992.0;

/// What 53 random bits are below with this probability.
pub(super) fn below(ratio: f64) -> u64 {
    (ratio * RATIO_STEPS) as u64
}

/// Which of some things it is, by weight.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    draw: ChosenDraw,
    stream: Stream,
}

#[derive(Debug, Clone)]
enum ChosenDraw {
    Random(Alias),
    InOrder(Box<[u64]>, Order),
}

impl Chosen {
    /// Of at least one weight.
    fn new(weights: &[f64], pick: &Pick, stream: Stream) -> Self {
        let draw = match Order::of(pick) {
            None => ChosenDraw::Random(Alias::new(weights)),
            Some(order) => ChosenDraw::InOrder(shares(weights), order),
        };
        Self { draw, stream }
    }

    /// Of so many things with these weights, or with none: all alike; and of something else with another one.
    pub(super) fn of(
        count: usize,
        weights: &[f64],
        others: Option<f64>,
        pick: &Pick,
        stream: Stream,
    ) -> Self {
        let mut weights = weights.to_vec();
        weights.resize(count, 1.0);
        weights.extend(others);
        Self::new(&weights, pick, stream)
    }

    /// The number of one row, where columns are not written as a whole.
    #[inline]
    pub(super) fn at(&self, row: Row) -> u64 {
        match &self.draw {
            ChosenDraw::Random(alias) => alias.draw(self.stream.bits(row)),
            ChosenDraw::InOrder(shares, order) => share_of(shares, order.bits(row.seq)) as u64,
        }
    }

    /// Appends to each row the field that `write` makes of its number.
    #[inline]
    pub(super) fn put(&self, block: &mut impl Rows, write: impl Fn(u64, &mut [u8]) -> usize) {
        match &self.draw {
            ChosenDraw::Random(alias) => {
                block.put(|row, space| write(alias.draw(self.stream.bits(row)), space));
            }
            ChosenDraw::InOrder(..) => block.put(|row, space| write(self.at(row), space)),
        }
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
        // Whole draws: what is beyond the length is overwritten, and a piece of fixed size is faster.
        put_chars(&mut draws, ALPHABET, &mut out[4..][..chars.next_multiple_of(CHARS_PER_DRAW)]);
        4 + chars
    }
}

/// Fills `out` with characters of an alphabet of at most 36.
#[inline]
pub(super) fn put_chars(draws: &mut Draws, alphabet: &[u8], out: &mut [u8]) {
    for text in out.chunks_mut(CHARS_PER_DRAW) {
        // Each multiplication moves the next digit, to the base of the alphabet's size, above the point.
        let mut fraction = draws.next();
        for char in text {
            let product = u128::from(fraction) * alphabet.len() as u128;
            fraction = product as u64;
            *char = alphabet[(product >> 64) as usize];
        }
    }
}

/// Random bytes of `min` to `min + span`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    min: u32,
    span: u32,
    stream: Stream,
}

impl Bytes {
    pub(super) fn new(min: u32, max: u32, stream: Stream) -> Self {
        Self { min, span: max - min, stream }
    }

    /// Most bytes of a field, length included.
    pub(super) fn max_bytes(self) -> usize {
        4 + (self.min + self.span) as usize
    }

    /// Writes the row's field; returns its length.
    pub(super) fn write(self, row: Row, out: &mut [u8]) -> usize {
        let mut draws = self.stream.draws(row);
        let bytes = self.min + scale(draws.next(), u64::from(self.span) + 1) as u32;
        out[..4].copy_from_slice(&bytes.to_be_bytes());
        for eight in out[4..][..bytes as usize].chunks_mut(8) {
            eight.copy_from_slice(&draws.next().to_be_bytes()[..eight.len()]);
        }
        4 + bytes as usize
    }
}

/// Addresses of a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inet {
    network: Network,
    stream: Stream,
}

impl Inet {
    pub(super) fn new(network: Network, stream: Stream) -> Self {
        Self { network, stream }
    }

    /// Bytes of a field, length included.
    pub(super) fn bytes(self) -> usize {
        4 + 4 + usize::from(self.network.bits()) / 8
    }

    /// Writes the row's field, as the server's `inet_send` has it; returns its length.
    pub(super) fn write(self, row: Row, out: &mut [u8]) -> usize {
        let mut draws = self.stream.draws(row);
        let random = u128::from(draws.next()) << 64 | u128::from(draws.next());
        let (bits, address) = (self.network.bits(), self.network.host(random));
        let address = &address.to_be_bytes()[16 - usize::from(bits) / 8..];
        let family = if bits == 32 { INET_V4 } else { INET_V6 };
        out[..4].copy_from_slice(&(4 + address.len() as u32).to_be_bytes());
        out[4..8].copy_from_slice(&[family, bits, 0, address.len() as u8]);
        out[8..][..address.len()].copy_from_slice(address);
        8 + address.len()
    }
}

/// When something happened: when it was due, or a while before.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventTime {
    late_below: u64,
    lateness: Distribution,
    is_late: Stream,
    by: Stream,
}

impl EventTime {
    /// `late_below`: of 2⁵³, as probabilities are compared.
    pub(super) fn new(late_below: u64, mean_lateness_s: f64, stream: Stream) -> Self {
        let lateness = Distribution::exponential(0.0, mean_lateness_s * 1e6);
        Self { late_below, lateness, is_late: stream.split(1), by: stream.split(2) }
    }

    #[inline]
    pub(super) fn moment(self, row: Row, due_us: i64) -> i64 {
        if self.is_late.bits(row) >> 11 >= self.late_below {
            return due_us;
        }
        due_us.saturating_sub(self.lateness.draw(self.by.bits(row)) as i64)
    }
}

/// Writes a whole number in digits; returns its length.
pub(super) fn put_number(value: i64, out: &mut [u8]) -> usize {
    put_units(value, 0, out)
}

/// Writes a number of units in digits with a point before the last `scale`; returns its length.
pub(super) fn put_units(units: i64, scale: u16, out: &mut [u8]) -> usize {
    if units >= 0 {
        return put_digits(units.unsigned_abs(), scale, out);
    }
    out[0] = b'-';
    1 + put_digits(units.unsigned_abs(), scale, &mut out[1..])
}

/// The same of what has no sign.
pub(super) fn put_digits(units: u64, scale: u16, out: &mut [u8]) -> usize {
    let mut digits = [0; 24];
    let mut start = digits.len();
    let (mut rest, mut left) = (units, i32::from(scale));
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        left -= 1;
        if left == 0 {
            start -= 1;
            digits[start] = b'.';
        }
        if rest == 0 && left < 0 {
            break;
        }
    }
    let digits = &digits[start..];
    out[..digits.len()].copy_from_slice(digits);
    digits.len()
}
