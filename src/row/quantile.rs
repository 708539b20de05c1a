//! Numbers along a histogram: a bucket comes as often as its weight says, and the numbers in it all alike.

use super::random::{Steps, scale, share_of, shares};

/// The number that is not reached by a share of all, for each share.
#[derive(Debug, Clone)]
pub(super) struct Quantiles<T> {
    /// Where the share of each bucket begins, of 2⁶⁴.
    starts: Box<[u64]>,
    buckets: Box<[Bucket<T>]>,
    /// How many different numbers there are, and the steps between their shares.
    levels: Option<(u64, Steps)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket<T> {
    low: T,
    high: T,
    /// Shares of 2⁶⁴ from its start to its end.
    share: f64,
}

impl<T: Copy + PartialOrd> Quantiles<T> {
    /// Of at least two bounds in their order, and a weight for each bucket between them, or none: all alike.
    /// With `distinct`, of so many shares at equal distances.
    pub(super) fn new(bounds: &[T], weights: &[f64], distinct: Option<u64>) -> Self {
        let mut weights = weights.to_vec();
        weights.resize(bounds.len() - 1, 1.0);
        let pairs = bounds.windows(2).zip(weights).filter(|(_, weight)| *weight > 0.0);
        let (pairs, weights): (Vec<_>, Vec<_>) = pairs.unzip();
        let starts = shares(&weights);
        let ends = starts.iter().skip(1).map(|end| *end as f64).chain([TWO_64]);
        let shares = ends.zip(&starts).map(|(end, start)| end - *start as f64);
        let bucket = |(pair, share): (&[T], f64)| Bucket { low: pair[0], high: pair[1], share };
        let buckets = pairs.into_iter().zip(shares).map(bucket).collect();
        let levels = distinct.map(|levels| (levels, Steps::new(levels)));
        Self { starts, buckets, levels }
    }

    /// The bucket of a share, and how far into it that is, from 0 to below 1.
    #[inline]
    fn place(&self, bits: u64) -> (usize, f64) {
        let bits = match self.levels {
            Some((levels, steps)) => steps.middle(scale(bits, levels)),
            None => bits,
        };
        let at = share_of(&self.starts, bits);
        let within = (bits - self.starts[at]) as f64 / self.buckets[at].share;
        (at, within.min(1.0_f64.next_down()))
    }
}

impl Quantiles<i64> {
    /// The whole number of a share. A bucket has its lower bound, and the last one its upper bound too.
    #[inline]
    pub(super) fn whole(&self, bits: u64) -> i64 {
        let (at, within) = self.place(bits);
        let Bucket { mut low, high, .. } = self.buckets[at];
        // A bound of which a bucket is made belongs to that.
        let is_alone = at > 0 && self.buckets[at - 1].low == low && low < high;
        low += i64::from(is_alone);
        let is_last = at + 1 == self.buckets.len();
        let numbers = high.abs_diff(low).saturating_add(u64::from(is_last)).max(1);
        let offset = (within * numbers as f64) as u64;
        low.wrapping_add(offset.min(numbers - 1) as i64)
    }
}

impl Quantiles<f64> {
    /// The floating-point number of a share.
    #[inline]
    pub(super) fn float(&self, bits: u64) -> f64 {
        let (at, within) = self.place(bits);
        let Bucket { low, high, .. } = self.buckets[at];
        low + within * (high - low)
    }
}

const TWO_64: f64 = 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How often each number comes, of shares at equal distances.
    fn drawn(quantiles: &Quantiles<i64>, shares: u64) -> std::collections::BTreeMap<i64, u64> {
        let steps = Steps::new(shares);
        let mut drawn = std::collections::BTreeMap::new();
        for share in 0..shares {
            *drawn.entry(quantiles.whole(steps.middle(share))).or_default() += 1;
        }
        drawn
    }

    #[test]
    fn buckets_come_by_their_weights_and_their_numbers_alike() {
        let even = drawn(&Quantiles::new(&[0, 10, 12], &[], None), 1_000);
        assert_eq!((even[&0], even[&9], even.len()), (50, 50, 13));
        assert!((166..=167).contains(&even[&12]), "{even:?}");
        let weighed = drawn(&Quantiles::new(&[0, 10, 10, 20], &[1.0, 8.0, 1.0], None), 1_000);
        assert_eq!((weighed[&10], weighed[&0], weighed[&11]), (800, 10, 10));
        let without = drawn(&Quantiles::new(&[0, 10, 20, 30], &[1.0, 0.0, 1.0], None), 1_000);
        assert!(without.keys().all(|number| !(10..20).contains(number)));
    }

    #[test]
    fn there_are_as_many_numbers_as_told() {
        let some = drawn(&Quantiles::new(&[0, 1_000_000, 10_000_000], &[], Some(40)), 10_000);
        assert_eq!(some.len(), 40);
        assert!(some.values().all(|times| *times == 250), "{some:?}");
    }

    proptest! {
        #[test]
        fn numbers_are_within_the_bounds_and_in_order(
            mut bounds in prop::collection::vec(any::<i64>(), 2..20), a: u64, b: u64,
        ) {
            bounds.sort_unstable();
            let quantiles = Quantiles::new(&bounds, &[], None);
            let (low, high) = (quantiles.whole(a.min(b)), quantiles.whole(a.max(b)));
            prop_assert!(low <= high && bounds[0] <= low && high <= bounds[bounds.len() - 1]);
            let floats: Vec<f64> = bounds.iter().map(|bound| *bound as f64).collect();
            let floats = Quantiles::new(&floats, &[], None);
            prop_assert!(floats.float(a.min(b)) <= floats.float(a.max(b)));
        }
    }
}
