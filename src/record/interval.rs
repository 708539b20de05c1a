//! How sure a percentile is: the order statistics that hold the true one with 95 % probability, if the
//! samples are independent.

/// Probability that is left out at each end.
const TAIL: f64 = 0.025;
/// 1 − TAIL of the standard normal distribution.
const Z: f64 = 1.959_964;
/// From this variance on the normal distribution stands for the binomial one: by then their ranks
/// differ by less than one.
const NORMAL_FROM: f64 = 400.0;

/// Ranks, from 1, of the two of `count` sorted samples between which the quantile lies; `None` where
/// there are too few on one side of it.
pub(super) fn ranks(count: u64, quantile: f64) -> Option<(u64, u64)> {
    // Of so many samples Binomial(count, quantile) lie at or below the true quantile.
    let n = count as f64;
    let variance = n * quantile * (1.0 - quantile);
    let (low, high) = if variance >= NORMAL_FROM {
        let half = Z * variance.sqrt();
        let rank = |at: f64| (at + 0.5).floor().max(0.0) as u64;
        (rank(n * quantile - half), rank(n * quantile + half) + 1)
    } else {
        // The fewer side is counted: its distribution starts near 0.
        let beyond = quantile.max(1.0 - quantile);
        let (few, many) = inner(n, 1.0 - beyond);
        match quantile > 0.5 {
            true => (count.checked_sub(many)?, count - few + 1),
            false => (few, many + 1),
        }
    };
    (low >= 1 && high <= count).then_some((low, high))
}

/// The least numbers at which the distribution function of Binomial(n, p) reaches both tails.
fn inner(n: f64, p: f64) -> (u64, u64) {
    let mut ln = n * (1.0 - p).ln();
    let odds = (p / (1.0 - p)).ln();
    let (mut k, mut below, mut first) = (0.0, ln.exp(), None);
    while below < 1.0 - TAIL && k < n {
        if first.is_none() && below >= TAIL {
            first = Some(k as u64);
        }
        ln += ((n - k) / (k + 1.0)).ln() + odds;
        k += 1.0;
        below += ln.exp();
    }
    (first.unwrap_or(k as u64), k as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn the_ranks_are_those_of_tables() {
        // Median: Conover, Practical Nonparametric Statistics, by the binomial distribution.
        assert_eq!(ranks(20, 0.5), Some((6, 15)));
        assert_eq!(ranks(100, 0.5), Some((40, 61)));
        assert_eq!(ranks(5, 0.5), None);
        assert_eq!(ranks(300, 0.99), None, "nothing lies beyond");
        assert!(ranks(1_000, 0.99).is_some());
    }

    #[test]
    fn both_ways_of_counting_agree_where_they_meet() {
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let count = (NORMAL_FROM / quantile / (1.0 - quantile)) as u64;
            let (exact, normal) = (ranks(count - 1, quantile), ranks(count + 2, quantile));
            let (exact, normal) = (exact.unwrap(), normal.unwrap());
            assert!(
                exact.0.abs_diff(normal.0) <= 4 && exact.1.abs_diff(normal.1) <= 4,
                "{quantile}"
            );
        }
    }

    #[test]
    fn the_truth_lies_between_them_in_95_of_100() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        for (count, quantile) in
            [(30_u64, 0.5), (300, 0.9), (1_500, 0.99), (12_000, 0.999), (3_000, 0.5)]
        {
            let (low, high) = ranks(count, quantile).unwrap();
            let runs = 600;
            let holds = (0..runs).filter(|_| {
                let below = (0..count).filter(|_| random.random_bool(quantile)).count() as u64;
                (low..high).contains(&below)
            });
            let share = holds.count() as f64 / f64::from(runs);
            assert!((0.925..=0.99).contains(&share), "{share} of {count} at {quantile}");
        }
    }
}
