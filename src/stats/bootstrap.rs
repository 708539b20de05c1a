//! Resampling: which rounds are drawn, and the medians of what was drawn, fast.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Draws with replacement out of `n`, reproducible by seed.
pub(super) struct Resampler {
    rng: Xoshiro256PlusPlus,
    drawn: Vec<u32>,
}

impl Resampler {
    pub(super) fn new(n: usize, seed: u64) -> Self {
        Self { rng: Xoshiro256PlusPlus::seed_from_u64(seed), drawn: vec![0; n] }
    }

    /// The next resample: `n` numbers below `n`.
    pub(super) fn draw(&mut self) -> &[u32] {
        // The high half of a product scales 32 random bits to the range; the bias is below
        // n ÷ 2^32, far below the noise of a resample.
        let n = self.drawn.len() as u64;
        for pair in self.drawn.chunks_mut(2) {
            let bits = self.rng.next_u64();
            pair[0] = (((bits >> 32) * n) >> 32) as u32;
            if let Some(second) = pair.get_mut(1) {
                *second = (((bits & u64::from(u32::MAX)) * n) >> 32) as u32;
            }
        }
        &self.drawn
    }
}

/// A series sorted once, so that the median of a resample is a count and a walk, not a sort.
pub(super) struct Ranked {
    sorted: Vec<f64>,
    /// The rank of each value in the order of measurement; `None` where it is missing.
    ranks: Vec<Option<u32>>,
    counts: Vec<u32>,
}

impl Ranked {
    pub(super) fn new(series: impl Iterator<Item = Option<f64>>) -> Self {
        let series: Vec<_> = series.collect();
        let present = (0_u32..).zip(&series);
        let mut order: Vec<(u32, f64)> =
            present.filter_map(|(index, value)| Some((index, (*value)?))).collect();
        order.sort_unstable_by(|left, right| left.1.total_cmp(&right.1));
        let mut ranks = vec![None; series.len()];
        for (rank, (index, _)) in (0..).zip(&order) {
            ranks[*index as usize] = Some(rank);
        }
        let counts = vec![0; order.len()];
        Self { sorted: order.into_iter().map(|(_, value)| value).collect(), ranks, counts }
    }

    /// How many values there are, missing ones left out.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The median of the series itself.
    pub(super) fn median(&self) -> Option<f64> {
        super::center::quantile_of_sorted(&self.sorted, 0.5)
    }

    /// The median of a resample; `None` if all that was drawn is missing.
    pub(super) fn median_of(&mut self, drawn: &[u32]) -> Option<f64> {
        self.counts.fill(0);
        let mut total = 0;
        for index in drawn {
            if let Some(rank) = self.ranks[*index as usize] {
                self.counts[rank as usize] += 1;
                total += 1;
            }
        }
        // The middle values are numbers `lower` and `upper` of the resample, from zero.
        let (lower, upper) = (u32::checked_sub(total, 1)? / 2, total / 2);
        let mut seen = 0;
        let mut low = None;
        for (value, count) in self.sorted.iter().zip(&self.counts) {
            seen += count;
            if low.is_none() && seen > lower {
                low = Some(*value);
            }
            if seen > upper {
                return low.map(|low| f64::midpoint(low, *value));
            }
        }
        None
    }
}
