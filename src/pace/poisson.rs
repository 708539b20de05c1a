//! A Poisson process at any place of which one can look, without walking there.
//!
//! The number of events in a span halves at random: of `n` events each is in the left half with
//! probability ½, so the left half has Binomial(n, ½) of them. Drawn again and again, from a key that
//! belongs to the span, this leads from a long span to each event in as many steps as there are
//! halvings. All of it is integers, sums and square roots, which every machine rounds alike: the same
//! key gives the same events everywhere.

use std::sync::Arc;

use super::position::{FRACTION_BITS, Position};
use crate::random::output;

/// The first span is as long as 2¹² events, and each further one as all before it.
const FIRST_LEVEL: u32 = FRACTION_BITS + 12;
/// Enough for 2⁶¹ events.
const SPANS: u32 = 50;
/// Most events whose halving is drawn event by event, one bit each.
const BITS_MAX: u64 = 1024;
/// Numbers of outputs of a span's key: its halves have the first two as keys.
const LEFT: u64 = 1;
const RIGHT: u64 = 2;
const DRAWS: u64 = 3;

/// A Poisson process with one event for each unit of length.
#[derive(Debug, Clone)]
pub(super) struct Poisson {
    spans: Arc<[Span]>,
}

/// A part of the process, 2^`level` positions long.
#[derive(Debug, Clone, Copy)]
struct Span {
    key: u64,
    /// Number of its first event.
    first: u64,
    events: u64,
    start: Position,
    level: u32,
}

impl Poisson {
    pub(super) fn new(key: u64) -> Self {
        let mut spans = Vec::with_capacity(SPANS as usize);
        let (mut first, mut start) = (0, 0);
        for number in 0..SPANS {
            let (key, level) = (output(key, number.into()), FIRST_LEVEL + number.saturating_sub(1));
            let events = poisson(key, level - FRACTION_BITS);
            spans.push(Span { key, first, events, start, level });
            first += events;
            start += 1 << level;
        }
        Self { spans: spans.into() }
    }

    /// How many events lie before `position`.
    pub(super) fn before(&self, position: Position) -> u64 {
        let after = self.spans.partition_point(|span| span.start <= position);
        let Some(mut span) = after.checked_sub(1).map(|last| self.spans[last]) else { return 0 };
        loop {
            if position <= span.start || span.events == 0 {
                return span.first;
            }
            if span.is_known() {
                let is_before = span.position() < position;
                return span.first + if is_before { span.events } else { 0 };
            }
            let (left, right) = span.halves();
            span = if position <= right.start { left } else { right };
        }
    }
}

impl Span {
    fn has(&self, event: u64) -> bool {
        (self.first..self.first + self.events).contains(&event)
    }

    /// Whether it need not be halved: it has one event, or no length.
    fn is_known(&self) -> bool {
        self.events == 1 || self.level == 0
    }

    /// Where its event is, or where all are.
    fn position(&self) -> Position {
        let bits = u128::from(output(self.key, DRAWS)) << 64;
        let bits = bits | u128::from(output(self.key, DRAWS + 1));
        self.start + bits.checked_shr(128 - self.level).unwrap_or(0)
    }

    fn halves(&self) -> (Self, Self) {
        let (level, in_left) = (self.level - 1, half(self.events, self.key));
        let left = Self { key: output(self.key, LEFT), events: in_left, level, ..*self };
        let right = Self {
            key: output(self.key, RIGHT),
            first: self.first + in_left,
            events: self.events - in_left,
            start: self.start + (1 << level),
            level,
        };
        (left, right)
    }
}

/// Walks from event to event: what it has halved on its way it need not halve again.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    spans: Arc<[Span]>,
    /// From the whole to the last event's span.
    path: Vec<Span>,
}

impl Walk {
    pub(super) fn new(poisson: &Poisson) -> Self {
        Self { spans: Arc::clone(&poisson.spans), path: Vec::new() }
    }

    /// Where an event is.
    pub(super) fn position(&mut self, event: u64) -> Position {
        let mut span = loop {
            match self.path.last() {
                Some(span) if span.has(event) => break *span,
                Some(_) => _ = self.path.pop(),
                None => {
                    let after = self.spans.partition_point(|span| span.first <= event);
                    match self.spans[..after].iter().rev().find(|span| span.has(event)) {
                        Some(span) => self.path.push(*span),
                        // Beyond all that can be sent.
                        None => return Position::MAX,
                    }
                }
            }
        };
        while !span.is_known() {
            let (left, right) = span.halves();
            span = if left.has(event) { left } else { right };
            self.path.push(span);
        }
        span.position()
    }
}

/// How many of `events` are in the left half.
fn half(events: u64, key: u64) -> u64 {
    if events <= BITS_MAX {
        let (words, rest) = (events / 64, events % 64);
        let whole: u32 = (0..words).map(|word| output(key, DRAWS + word).count_ones()).sum();
        let rest = output(key, DRAWS + words) & ((1 << rest) - 1);
        return u64::from(whole + rest.count_ones());
    }
    let events_f = events as f64;
    let in_left = f64::midpoint(events_f, events_f.sqrt() * normal(key));
    (in_left.round() as u64).min(events)
}

/// A Poisson number with the mean 2^`power`, at least 2¹²: as normal as such a number is, and as skew.
fn poisson(key: u64, power: u32) -> u64 {
    let (mean, z) = ((1_u64 << power) as f64, normal(key));
    (mean + mean.sqrt() * z + (z * z - 1.0) / 6.0).round() as u64
}

/// A number of the standard normal distribution: what 1024 coins show, made continuous.
fn normal(key: u64) -> f64 {
    let words = BITS_MAX / 64;
    let heads: u32 = (0..words).map(|word| output(key, DRAWS + word).count_ones()).sum();
    let between = (output(key, DRAWS + words) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    // The coins' variance is a quarter of their number, that of the last term 1/12.
    let coins = BITS_MAX as f64;
    (f64::from(heads) - coins / 2.0 + between) / (coins / 4.0 + 1.0 / 12.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_of_equal_spans_scatter_as_poisson_numbers_do() {
        // 20,000 spans of 10 events each: mean and variance are 10, and e⁻¹⁰·10ᵏ/k! of them have k.
        let poisson = Poisson::new(7);
        let length = 10 << FRACTION_BITS;
        let spans = 20_000_u64;
        let mut seen = [0_u32; 40];
        for span in 0..spans {
            let (from, to) = (u128::from(span) * length, u128::from(span + 1) * length);
            seen[(poisson.before(to) - poisson.before(from)) as usize] += 1;
        }
        let mut share = (-10.0_f64).exp();
        let (mut chi2, mut cells) = (0.0, 0);
        for (k, &seen) in (0..).zip(&seen) {
            let expected = share * spans as f64;
            if expected >= 5.0 {
                chi2 += (f64::from(seen) - expected).powi(2) / expected;
                cells += 1;
            }
            share *= 10.0 / f64::from(k + 1);
        }
        assert_eq!(cells, 22, "k = 1 … 22");
        // χ² of 21 degrees of freedom is beyond 38.9 once in a hundred times.
        assert!(chi2 < 38.9, "χ² = {chi2}");
    }

    proptest! {
        #[test]
        fn walking_and_counting_agree(key: u64, first in 0_u64..1 << 50, stride in 1_u64..2_000) {
            let poisson = Poisson::new(key);
            let mut walk = Walk::new(&poisson);
            let mut last = 0;
            for event in (first..).step_by(stride as usize).take(100) {
                let position = walk.position(event);
                prop_assert!(position >= last);
                last = position;
                prop_assert_eq!(Walk::new(&poisson).position(event), position);
                prop_assert!(poisson.before(position) <= event);
                prop_assert!(poisson.before(position + 1) > event);
            }
        }

        #[test]
        fn no_event_is_far_from_its_number(key: u64, event in 1_u64..1 << 60) {
            let position = Walk::new(&Poisson::new(key)).position(event);
            let off = (position as f64 / 2_f64.powi(32) - event as f64) / (event as f64).sqrt();
            prop_assert!(off.abs() < 7.0, "{off} standard deviations");
        }
    }
}
