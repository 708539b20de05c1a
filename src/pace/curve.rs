//! A rate over time: which position is reached when.
//!
//! A rate that changes is drawn as a line of many straight pieces, between points that lie on the true
//! curve. Within a piece the rate is constant, so both directions are whole numbers: nothing drifts,
//! and what is due before a moment is exactly what has an earlier due time.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::Rate;
use super::position::{FRACTION_BITS, Position};

/// Straight pieces of a ramp and of a period of a wave. A ramp is off by at most its change of rate ×
/// its length ÷ (8 × 4096²) within a piece (from 0 to 30,000/s in a minute: 0.014 rows), and not at all
/// at the pieces' ends.
const PIECES: u32 = 4096;

/// How the rate of a schedule goes over time.
#[derive(Debug, Clone)]
pub struct Curve(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Steady(Rate),
    Bent(Arc<Bent>),
}

#[derive(Debug)]
struct Bent {
    /// From 0 at 0 on, in order. Two points at the same position have no rate between them.
    points: Vec<Point>,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at_ns: u64,
    position: Position,
}

/// What follows the last point.
#[derive(Debug)]
enum Then {
    /// This rate, for ever; `None`: nothing.
    Steady(Option<Rate>),
    /// The same again.
    Again,
}

/// A part of a shape: the rate goes to `to`, evenly over `over`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Events per second at its end.
    pub to: u64,
    /// Its length; zero for a step.
    pub over: Duration,
}

impl Curve {
    /// The same rate all the time.
    pub fn steady(rate: Rate) -> Self {
        Self(Kind::Steady(rate))
    }

    /// From rate 0 through the stages; the last one's rate stays. `None` beyond 584 years or 2⁶³
    /// events.
    pub fn stages(stages: &[Stage]) -> Option<Self> {
        let mut points = vec![Point { at_ns: 0, position: 0 }];
        let mut rate = 0;
        for &Stage { to, over } in stages {
            let length = u64::try_from(over.as_nanos()).ok()?;
            let last = *points.last()?;
            last.at_ns.checked_add(length)?;
            let pieces = match length {
                0 => 0,
                _ if to == rate => 1,
                _ => length.min(PIECES.into()),
            };
            for piece in 1..=pieces {
                let at_ns = u128::from(length) * u128::from(piece) / u128::from(pieces);
                let rows = ramp(rate, to, length, piece, pieces)?;
                let position = last.position + rows;
                points.push(Point { at_ns: last.at_ns + at_ns as u64, position });
            }
            rate = to;
        }
        let end = points.last()?.position >> FRACTION_BITS;
        let then = Then::Steady(NonZeroU64::new(rate).map(Rate::per_second));
        (end < 1 << 63).then(|| Self(Kind::Bent(Arc::new(Bent { points, then }))))
    }

    /// `per_s` × (1 + `amplitude` × sin(2πt ÷ `period`)); the amplitude from 0 to 1. `None` for a period
    /// without events, or beyond 584 years or 2⁶³ events.
    pub fn wave(per_s: NonZeroU64, amplitude: f64, period: Duration) -> Option<Self> {
        let length = u64::try_from(period.as_nanos()).ok()?;
        let end = ramp(per_s.get(), per_s.get(), length, 1, 1)?;
        if end == 0 || end >> FRACTION_BITS >= 1 << 63 {
            return None;
        }
        let pieces = length.min(PIECES.into()) as u32;
        let mut points = vec![Point { at_ns: 0, position: 0 }];
        for piece in 1..=pieces {
            let part = f64::from(piece) / f64::from(pieces);
            // The integral of the sine: (1 − cos 2πx) ÷ 2π = sin²(πx) ÷ π.
            let half = half_turn_sine(part);
            let bend = amplitude * end as f64 * half * half / std::f64::consts::PI;
            let even = end / u128::from(pieces) * u128::from(piece)
                + end % u128::from(pieces) * u128::from(piece) / u128::from(pieces);
            let at_ns = u128::from(length) * u128::from(piece) / u128::from(pieces);
            let before = points.last().map_or(0, |point| point.position);
            let position = (even + bend as u128).clamp(before, end);
            points.push(Point { at_ns: at_ns as u64, position });
        }
        points.last_mut()?.position = end;
        Some(Self(Kind::Bent(Arc::new(Bent { points, then: Then::Again }))))
    }

    /// The rate, if it is the same all the time.
    pub(super) fn as_steady(&self) -> Option<Rate> {
        match self.0 {
            Kind::Steady(rate) => Some(rate),
            Kind::Bent(_) => None,
        }
    }

    /// When a position has been reached and is left behind, in whole nanoseconds: where the rate is 0
    /// meanwhile, at the end of that. `u64::MAX`: never.
    pub(super) fn reaches(&self, position: Position) -> u64 {
        match &self.0 {
            Kind::Steady(rate) => rate.reaches(position),
            Kind::Bent(bent) => bent.reaches(position),
        }
    }

    /// The first position that is not left behind before `at_ns`.
    pub(super) fn first_not_before(&self, at_ns: u64) -> Position {
        match &self.0 {
            Kind::Steady(rate) => rate.first_not_before(at_ns),
            Kind::Bent(bent) => bent.first_not_before(at_ns),
        }
    }
}

impl Bent {
    fn end(&self) -> Point {
        self.points.last().copied().unwrap_or(Point { at_ns: 0, position: 0 })
    }

    fn reaches(&self, position: Position) -> u64 {
        let end = self.end();
        if position < end.position {
            return self.within(position);
        }
        match self.then {
            Then::Steady(None) => u64::MAX,
            Then::Steady(Some(rate)) => {
                end.at_ns.saturating_add(rate.reaches(position - end.position))
            }
            Then::Again => {
                let rounds = u64::try_from(position / end.position).unwrap_or(u64::MAX);
                let rest = self.within(position % end.position);
                rounds.saturating_mul(end.at_ns).saturating_add(rest)
            }
        }
    }

    fn within(&self, position: Position) -> u64 {
        let after = self.points.partition_point(|point| point.position <= position);
        let (from, to) = (self.points[after - 1], self.points[after]);
        let length = u128::from(to.at_ns - from.at_ns);
        let (into, _) = product(length, position - from.position, to.position - from.position);
        from.at_ns + into as u64
    }

    fn first_not_before(&self, at_ns: u64) -> Position {
        let end = self.end();
        if at_ns <= end.at_ns {
            return self.first_within(at_ns);
        }
        match self.then {
            Then::Steady(None) => end.position,
            Then::Steady(Some(rate)) => end.position + rate.first_not_before(at_ns - end.at_ns),
            Then::Again => {
                let rest = self.first_within(at_ns % end.at_ns);
                Position::from(at_ns / end.at_ns) * end.position + rest
            }
        }
    }

    fn first_within(&self, at_ns: u64) -> Position {
        let after = self.points.partition_point(|point| point.at_ns < at_ns);
        let Some(before) = after.checked_sub(1) else { return 0 };
        let (from, to) = (self.points[before], self.points[after]);
        let (into, rest) = product(
            to.position - from.position,
            u128::from(at_ns - from.at_ns),
            u128::from(to.at_ns - from.at_ns),
        );
        from.position + into + Position::from(rest > 0)
    }
}

/// Position in a ramp from rate `from` to rate `to` at the end of piece `piece` of `pieces`.
fn ramp(from: u64, to: u64, length_ns: u64, piece: u64, pieces: u64) -> Option<Position> {
    let [from, to, piece, pieces] = [from, to, piece, pieces].map(i128::from);
    // length ÷ 10⁹ × (from × p + (to − from) × p² ÷ 2), with p = piece ÷ pieces.
    let twice = piece.checked_mul(2 * from * pieces + (to - from) * piece)?;
    let product = u128::try_from(twice).ok()?.checked_mul(length_ns.into())?;
    let by = 2 * (pieces * pieces) as u128 * 1_000_000_000;
    Some(((product / by) << FRACTION_BITS) + ((product % by) << FRACTION_BITS) / by)
}

/// `a` × `b` ÷ `by`, whole and rest, where the product need not fit; all below 2⁹⁵.
fn product(a: u128, b: u128, by: u128) -> (u128, u128) {
    if let Some(product) = a.checked_mul(b) {
        return (product / by, product % by);
    }
    // Long division, 32 bits of `b` at a time.
    let (mut whole, mut rest) = (0, 0);
    for shift in [64, 32, 0] {
        let part = (rest << 32) + a * ((b >> shift) & 0xffff_ffff);
        whole = (whole << 32) + part / by;
        rest = part % by;
    }
    (whole, rest)
}

/// sin(π × `part`), the same on every machine: those of the platforms differ in the last digit.
fn half_turn_sine(part: f64) -> f64 {
    let x = std::f64::consts::PI * part.min(1.0 - part);
    let mut sine = 0.0;
    let mut term = x;
    for n in 1..12_u32 {
        sine += term;
        term *= -x * x / f64::from(2 * n * (2 * n + 1));
    }
    sine
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn stage(to: u64, over_s: f64) -> Stage {
        Stage { to, over: Duration::from_secs_f64(over_s) }
    }

    /// Events that are due before `at_ns`, one at each whole position.
    fn events(curve: &Curve, at_ns: u64) -> u64 {
        curve.first_not_before(at_ns).div_ceil(1 << FRACTION_BITS) as u64
    }

    #[test]
    fn a_ramp_has_the_area_below_it() {
        let ramp = Curve::stages(&[stage(30_000, 60.0), stage(30_000, 300.0)]).unwrap();
        for at_s in 0..=60 {
            let (is, at_s) = (events(&ramp, at_s * S), at_s as f64);
            let area = 30_000.0 / 60.0 * at_s * at_s / 2.0;
            assert!((is as f64 - area).abs() <= 1.0, "{is} of {area}");
        }
        assert_eq!(events(&ramp, 60 * S), 900_000);
        assert_eq!(events(&ramp, 360 * S), 900_000 + 9_000_000);
        assert_eq!(events(&ramp, 1_360 * S), 900_000 + 39_000_000, "the last rate stays");
    }

    #[test]
    fn steps_spikes_and_pauses_are_stages_too() {
        let steps = [
            stage(1_000, 0.0),
            stage(1_000, 10.0),
            stage(9_000, 0.0),
            stage(9_000, 1.0),
            stage(0, 0.0),
            stage(0, 5.0),
            stage(10, 0.0),
        ];
        let curve = Curve::stages(&steps).unwrap();
        assert_eq!(events(&curve, 10 * S), 10_000);
        assert_eq!(events(&curve, 11 * S), 19_000);
        assert_eq!(events(&curve, 16 * S), 19_000);
        assert_eq!(events(&curve, 17 * S), 19_010);
        assert_eq!(curve.reaches(19_000 << FRACTION_BITS), 16 * S, "after the pause");
        let over = Curve::stages(&[stage(5, 1.0), stage(0, 1.0)]).unwrap();
        assert_eq!(events(&over, u64::MAX), 5);
        assert_eq!(over.reaches(5 << FRACTION_BITS), u64::MAX);
        let waiting = Curve::stages(&[stage(0, 10.0), stage(5, 0.0)]).unwrap();
        assert_eq!(waiting.reaches(0), 10 * S, "the first event too");
    }

    #[test]
    fn a_wave_keeps_its_mean() {
        let per_s = NonZeroU64::new(3_000).unwrap();
        let wave = Curve::wave(per_s, 0.5, Duration::from_secs(600)).unwrap();
        assert_eq!(events(&wave, 600 * S), 1_800_000);
        assert_eq!(events(&wave, 6_000 * S), 18_000_000);
        for at_s in 0..1_200_u64 {
            let x = std::f64::consts::TAU * at_s as f64 / 600.0;
            let area =
                3_000.0 * (at_s as f64 + 0.5 * 600.0 / std::f64::consts::TAU * (1.0 - x.cos()));
            let is = events(&wave, at_s * S) as f64;
            assert!((is - area).abs() < 1.1, "{is} of {area} at {at_s} s");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(Curve::stages(&[stage(1_000_000_000, 0.0), stage(1_000_000_000, 1e10)]).is_none());
        assert!(Curve::stages(&[stage(1, 1.8e19 / 1e9), stage(1, 1.8e19 / 1e9)]).is_none());
        let per_s = NonZeroU64::new(1).unwrap();
        assert!(Curve::wave(per_s, 0.5, Duration::ZERO).is_none());
    }

    prop_compose! {
        fn curves()(
            stages in prop::collection::vec((0_u64..2_000_000_000, 0_u64..1 << 55), 1..5),
            wave in prop::option::of((1_u64..1_000_000_000, 0.0..=1.0, 1_000_u64..1 << 55)),
        ) -> Curve {
            match wave {
                Some((per_s, amplitude, period)) => {
                    let period = Duration::from_nanos(period);
                    let per_s = NonZeroU64::new(per_s).unwrap();
                    Curve::wave(per_s, amplitude, period)
                        .unwrap_or(Curve::steady(Rate::per_second(per_s)))
                }
                None => {
                    let stage =
                        |(to, over)| Stage { to, over: Duration::from_nanos(over) };
                    Curve::stages(&stages.into_iter().map(stage).collect::<Vec<_>>()).unwrap()
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_lies_before_is_reached_before(
            curve in curves(), at_ns in 0_u64..1 << 58, short in 0_u64..1 << 40, near in -3_i64..3,
        ) {
            for at_ns in [at_ns, short] {
                let first = curve.first_not_before(at_ns);
                let Some(position) = first.checked_add_signed(near.into()) else { continue };
                let reached = curve.reaches(position);
                prop_assert_eq!(reached < at_ns, position < first, "{} {}", reached, position);
            }
        }

        #[test]
        fn long_products_are_exact(a in 0_u128..1 << 64, b in 0_u128..1 << 64, by in 1_u128..1 << 95) {
            prop_assert_eq!(product(a, b, by), (a * b / by, a * b % by));
            let (whole, rest) = product(a << 30, b << 30, by);
            // Once more through the remainders of two halves.
            let (high, low) = (product(a << 30, b, by), by);
            let shifted = product(high.1, 1 << 30, low);
            prop_assert_eq!((whole, rest), ((high.0 << 30) + shifted.0, shifted.1));
        }
    }
}
