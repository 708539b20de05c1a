//! How far two numbers may lie apart and yet count as the same.

use super::column::{Column, Kind, Number};
use crate::plan::{Aggregates, AnswerRule, Outline};

/// Values of a column that comes from sums of floats are the same where both are at most this from
/// zero: terms may cancel each other, and what is left of them is noise that nothing in the answer
/// is a measure for.
const NEAR_ZERO: f64 = 1e-11;

/// PostgreSQL adds up `real` in single precision, whose unit roundoff is 6e-8. Of n additions the error grows
/// with √n of it, if their roundings are independent: this is that of three million.
const SINGLE_SUMS: f64 = 1e-4;
/// So far apart numbers that come from floats are still likely to be noise: relative to the greater, and where
/// what they were added up from is beside 1.
pub(super) const LIKELY_NOISE_RELATIVE: f64 = 1e-4;
const LIKELY_NOISE_ABSOLUTE: f64 = 1e-6;

/// Below this a whole number is no rounded one.
const WHOLE_BELOW: f64 = 1e15;

/// How far two numbers of a column may lie apart: `relative` × the greater magnitude of the two, or of
/// a share of the greatest magnitude in the column. That share is the absolute term: where
/// terms cancel each other, the error is as large as those terms make it, not as what is left of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tolerance {
    relative: f64,
    share: f64,
    /// The share of the greatest magnitude, once that is known.
    least: f64,
    /// This far apart they are the same, whatever they are.
    absolute: f64,
    /// Whether only numbers of more than 14 digits have a tolerance: others are as they were meant.
    long_only: bool,
}

/// How two numbers that are the same differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// Relative to what their tolerance is.
    pub(super) relative: f64,
    /// How far they lie apart.
    pub(super) apart: f64,
    /// Whether they are the same by the absolute limit alone.
    pub(super) near_zero: bool,
}

impl Difference {
    pub(super) const NONE: Self = Self { relative: 0.0, apart: 0.0, near_zero: false };

    /// The greater of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            relative: self.relative.max(other.relative),
            apart: self.apart.max(other.apart),
            near_zero: self.near_zero || other.near_zero,
        }
    }
}

impl Tolerance {
    /// That of a column. `None`: its numbers are the same only if their decimal value is.
    ///
    /// Floats depend on the order of their additions. What is numeric is exact in both arms,
    /// unless an arm runs on the GPU and the column comes from an aggregate that PG-Strom computes by
    /// floats: a minimum, maximum or average keeps 15 digits, a deviation what a sum of floats keeps.
    pub(super) fn of(
        column: &Column,
        from: Aggregates,
        rule: &AnswerRule,
        on_gpu: bool,
    ) -> Option<Self> {
        let of =
            |relative, share| Self { relative, share, least: 0.0, absolute: 0.0, long_only: false };
        let own = match column.kind {
            Kind::Plain | Kind::Other | Kind::Instant | Kind::Instants => return None,
            Kind::Number(Number::Float8) | Kind::Numbers(Number::Float8) => Some(of(1e-9, 1e-3)),
            Kind::Number(Number::Float4) | Kind::Numbers(Number::Float4) => {
                Some(of(if from.adds { SINGLE_SUMS } else { 1e-5 }, 0.1))
            }
            Kind::Mixed => Some(Self { long_only: true, ..of(1e-9, 1e-3) }),
            Kind::Number(Number::Numeric) | Kind::Numbers(Number::Numeric) if on_gpu => {
                match (from.deviation, from.rounded) {
                    (true, _) => Some(of(1e-9, 1e-3)),
                    (false, true) => Some(of(1e-14, 0.0)),
                    (false, false) => None,
                }
            }
            Kind::Number(Number::Numeric) | Kind::Numbers(Number::Numeric) => None,
        };
        let is_decimal =
            matches!(column.kind, Kind::Number(Number::Numeric) | Kind::Numbers(Number::Numeric));
        let stated = match rule.tolerance {
            // Decimal numbers are compared as they are, if not as floats.
            Some(tolerance) if tolerance < f64::EPSILON => {
                own.filter(|_| !is_decimal).map(|_| of(tolerance, 0.0))
            }
            Some(tolerance) => Some(of(tolerance, own.map_or(0.0, |own| own.share))),
            None => own,
        };
        let near_zero =
            if own.is_some_and(|own| own.share > 0.0) && from.adds { NEAR_ZERO } else { 0.0 };
        let absolute = rule.absolute_tolerance.unwrap_or(match rule.tolerance {
            Some(_) => 0.0,
            None => near_zero,
        });
        match stated {
            Some(stated) => Some(Self { absolute, ..stated }),
            None if absolute > 0.0 => Some(Self { absolute, ..of(0.0, 0.0) }),
            None => None,
        }
    }

    /// For a column whose greatest magnitude is this.
    pub(super) fn scaled(self, greatest: f64) -> Self {
        Self { least: greatest * self.share, ..self }
    }

    /// For what may be noise, though it is not taken for the same.
    pub(super) fn widened(self) -> Self {
        Self {
            relative: self.relative.max(LIKELY_NOISE_RELATIVE),
            absolute: self.absolute.max(LIKELY_NOISE_ABSOLUTE),
            ..self
        }
    }

    /// Whether only what is equal is the same.
    pub(super) fn is_exact(&self) -> bool {
        self.relative == 0.0 && self.absolute == 0.0
    }

    fn allowed(&self, a: f64, b: f64) -> f64 {
        (self.relative * self.measure(a, b)).max(self.absolute)
    }

    fn measure(&self, a: f64, b: f64) -> f64 {
        a.abs().max(b.abs()).max(self.least)
    }

    /// Whether `less` is so much less than `more` that nothing below it is the same as anything above
    /// `more`. Finite numbers.
    pub(super) fn apart(&self, less: f64, more: f64) -> bool {
        more - less > self.allowed(less, more)
    }

    /// By how much the sum of so many numbers may be off, each with a weight from 1 to 2: as much as all
    /// of them together. `magnitude` is the weighted sum of their magnitudes.
    pub(super) fn allowed_sum(&self, magnitude: f64, greatest: f64, count: u64) -> f64 {
        let each = self.relative * self.share * greatest + self.absolute;
        self.relative * magnitude + 2.0 * count as f64 * each
    }

    /// Whether it goes for long numbers alone, as in json.
    pub(super) fn is_of_long(&self) -> bool {
        self.long_only
    }

    /// Whether a lack of [`Tolerance::apart`] alone makes two numbers the same.
    pub(super) fn is_by_distance(&self) -> bool {
        !self.long_only
    }

    /// How two finite numbers differ that are the same; `None` if they are not.
    pub(super) fn same(&self, a: f64, b: f64) -> Option<Difference> {
        let apart = (a - b).abs();
        if apart == 0.0 {
            return Some(Difference::NONE);
        }
        if self.long_only && !is_long(a) && !is_long(b) {
            return None;
        }
        let relative = apart / self.measure(a, b);
        if relative <= self.relative {
            return Some(Difference { relative, apart, near_zero: false });
        }
        let near_zero = Difference { relative: 0.0, apart, near_zero: true };
        (apart <= self.absolute).then_some(near_zero)
    }
}

/// Whether a number needs more than 14 digits, as what comes from a computation with floats nearly
/// always does. Two numbers of fewer digits lie further apart than such a computation leaves them, and
/// whole ones are meant as they are.
fn is_long(value: f64) -> bool {
    let is_whole = value.fract() == 0.0 && value.abs() < WHOLE_BELOW;
    !is_whole && format!("{value:.13e}").parse() != Ok(value)
}

/// The tolerances of the columns of an answer to a query.
pub(super) fn of_columns(
    columns: &[Column],
    sql: &str,
    rule: &AnswerRule,
    on_gpu: bool,
) -> Vec<Option<Tolerance>> {
    let outline = Outline::read(sql);
    let of = |(at, column): (usize, &Column)| {
        let from = outline.aggregates(at, &column.name, columns.len());
        Tolerance::of(column, from, rule, on_gpu)
    };
    columns.iter().enumerate().map(of).collect()
}
