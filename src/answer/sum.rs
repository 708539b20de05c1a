//! What the numbers of a column come to, of which each may differ a little: a weighted sum, and how far that
//! of another answer may lie from it.

use super::tolerance::Tolerance;

/// A sum of numbers, each with a weight from 1 to 2. What each addition loses is summed up beside it, so that
/// the order of the numbers is none of the differences.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sum {
    count: u64,
    weighted: f64,
    lost: f64,
    /// The weighted sum of all magnitudes.
    magnitude: f64,
    /// Of those numbers that may differ: how many, and the weighted sum of their magnitudes.
    inexact: (u64, f64),
    greatest: f64,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, value: f64, weight: f64, may_differ: bool) {
        let term = weight * value;
        // Knuth's sum of two numbers, with what it rounds off.
        let sum = self.weighted + term;
        let added = sum - self.weighted;
        self.lost += (self.weighted - (sum - added)) + (term - added);
        self.weighted = sum;
        self.magnitude += term.abs();
        self.count += 1;
        if may_differ {
            self.inexact.0 += 1;
            self.inexact.1 += term.abs();
        }
        self.greatest = self.greatest.max(value.abs());
    }

    pub(super) fn greatest(&self) -> f64 {
        self.greatest
    }

    /// How far apart two sums are, relative to what their numbers are together; `None` if that is as much as
    /// those may be, `greatest` being the greatest of their column.
    pub(super) fn apart(&self, other: &Self, tolerance: &Tolerance, greatest: f64) -> Option<f64> {
        let magnitude = self.magnitude.max(other.magnitude);
        if self.count != other.count {
            return Some(f64::INFINITY);
        }
        let ((count, first), (other_count, second)) = (self.inexact, other.inexact);
        // Of a pair only one number may be such that it may differ.
        let (count, inexact) = if tolerance.is_of_long() {
            (count + other_count, first + second)
        } else {
            (count, first.max(second))
        };
        // What is left of roundings: those of what was lost.
        let roundings = (self.count as f64 * f64::EPSILON).powi(2) * magnitude;
        let allowed = tolerance.allowed_sum(inexact, greatest, count) + roundings;
        let apart = ((self.weighted - other.weighted) + (self.lost - other.lost)).abs();
        (apart > allowed || apart.is_nan()).then(|| apart / magnitude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_exact_numbers_the_sum_is_exact_in_any_order() {
        let sum = |values: &mut dyn Iterator<Item = u32>| {
            let mut sum = Sum::default();
            values.for_each(|n| {
                sum.add(f64::from(n) * 7.77e8, 1.0 + f64::from(n % 97) / 97.3, false);
            });
            sum
        };
        let exact = Tolerance::default();
        let (first, second) = (sum(&mut (0..20_000)), sum(&mut (0..20_000).rev()));
        assert_eq!(first.apart(&second, &exact, 1e13), None);
        let mut other = second;
        other.add(1.0, 1.0, false);
        let mut one = first;
        one.add(2.0, 1.0, false);
        assert!(one.apart(&other, &exact, 1e13).is_some());
    }
}
