//! Random numbers by row: any row's draw is a pure function of (seed, partition, column, row).
//!
//! The generator is SplitMix64 read at any place: its state is a counter, so output `n` needs no output
//! before it. Each column has a stream of its own, so adding a column leaves the values of the others
//! as they were.

use crate::random::{GAMMA, mix, output};

/// Most elements of an array: so many random bits has a row of its own there.
pub(crate) const ELEMENTS_MAX: usize = 1 << 16;

/// A row's number in its partition, and the same as a counter of the generator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    counter: u64,
}

impl Row {
    #[inline]
    pub(crate) fn new(seq: u64) -> Self {
        Self { seq, counter: seq.wrapping_mul(GAMMA) }
    }

    /// The row with other random bits: those of the first element of its array.
    #[inline]
    pub(crate) fn first_element(self) -> Self {
        let place = self.seq.wrapping_mul(ELEMENTS_MAX as u64);
        Self { seq: self.seq, counter: place.wrapping_mul(GAMMA) }
    }

    /// From one element of a row to the next.
    pub(crate) const NEXT_ELEMENT: Self = Self { seq: 0, counter: GAMMA };

    /// The row behind this one by as many as `step` is from the first, without the multiplication.
    #[inline]
    pub(crate) fn plus(self, step: Self) -> Self {
        Self {
            seq: self.seq.wrapping_add(step.seq),
            counter: self.counter.wrapping_add(step.counter),
        }
    }
}

/// The random stream of one column of one partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    key: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64, partition: u32, column: usize) -> Self {
        // Split once for each level, as the paper does: a stream's key is an output of its parent.
        let of_seed = output(seed, 1);
        let of_partition = output(of_seed, u64::from(partition) + 1);
        Self { key: output(of_partition, column as u64 + 1) }
    }

    /// Another stream of the same column, for each `number` one. Its key is an output that no row
    /// reaches.
    pub(crate) fn split(self, number: u64) -> Self {
        Self { key: output(self.key, u64::MAX - number) }
    }

    /// 64 random bits for the row.
    #[inline]
    pub(crate) fn bits(self, row: Row) -> u64 {
        mix(self.key.wrapping_add(row.counter))
    }

    /// As many random bits for the row as it takes.
    #[inline]
    pub(crate) fn draws(self, row: Row) -> Draws {
        Draws::behind(self.bits(row))
    }
}

/// SplitMix64 in its ordinary, sequential form, for values that need more than one draw.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    state: u64,
}

impl Draws {
    /// Those that follow on a word of random bits, for what takes more in some rows only.
    #[inline]
    pub(crate) fn behind(word: u64) -> Self {
        Self { state: word }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }
}

/// Random bits scaled to `0..numbers` by one multiplication (Daniel Lemire, "Fast Random Integer
/// Generation in an Interval", ACM TOMACS 29(1), 2019). Nothing is rejected, so that a row always
/// takes the same draws; the price is a bias of at most numbers ÷ 2⁶⁴, unseen in ranges that
/// tables hold.
#[inline]
pub(crate) fn scale(bits: u64, numbers: u64) -> u64 {
    ((u128::from(bits) * u128::from(numbers)) >> 64) as u64
}

/// Random bits as a number in `0.0..1.0`, in steps of 2⁻⁵³.
#[inline]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// The same in the middle of steps of 2⁻⁵², so never 0 nor 1.
#[inline]
pub(crate) fn open_unit(bits: u64) -> f64 {
    ((bits >> 12) as f64 + 0.5) * (1.0 / 4_503_599_627_370_496.0)
}

/// Equal steps from 0 to 2⁶⁴, at most 10⁹ of them: so their width, which is cut off, is wrong by less than a
/// sixteenth of a step over all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    width: u64,
}

impl Steps {
    pub(crate) fn new(count: u64) -> Self {
        Self { width: u64::MAX / count.max(1) }
    }

    /// The middle of a step, counted from 0.
    #[inline]
    pub(crate) fn middle(self, step: u64) -> u64 {
        step.wrapping_mul(self.width).wrapping_add(self.width / 2)
    }
}

/// Where each number's share of 2⁶⁴ begins, in their order, by weights whose sum is above 0.
pub(crate) fn shares(weights: &[f64]) -> Box<[u64]> {
    let sum: f64 = weights.iter().sum();
    let mut before = 0.0;
    let starts = weights.iter().map(|weight| {
        let start = (before / sum * 18_446_744_073_709_551_616.0) as u64;
        before += weight;
        start
    });
    starts.collect()
}

/// The number in whose share the bits are.
#[inline]
pub(crate) fn share_of(shares: &[u64], bits: u64) -> usize {
    shares.partition_point(|start| *start <= bits).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sequence_is_splitmix64() {
        // First outputs for seed 1234567 of the authors' reference code.
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        let mut draws = Draws { state: 1_234_567 };
        assert_eq!(expected, std::array::from_fn(|_| draws.next()));
        let stream = Stream { key: 1_234_567 };
        assert_eq!(expected, std::array::from_fn(|n| stream.bits(Row::new(n as u64 + 1))));
    }

    #[test]
    fn seeds_partitions_and_columns_have_streams_of_their_own() {
        let mut keys = std::collections::HashSet::new();
        for seed in 0..20 {
            for partition in 0..20 {
                for column in 0..20 {
                    assert!(keys.insert(Stream::new(seed, partition, column).key));
                }
            }
        }
    }

    #[test]
    fn both_ends_of_a_range_are_reached() {
        assert_eq!((scale(0, 10), scale(u64::MAX, 10)), (0, 9));
        assert_eq!((scale(0, u64::MAX), scale(u64::MAX, u64::MAX)), (0, u64::MAX - 1));
        assert!(unit(0) == 0.0 && unit(u64::MAX) < 1.0);
    }

    proptest! {
        #[test]
        fn walking_and_jumping_to_a_row_agree(seed: u64, seq: u64, step in 1_u64..2_000) {
            let stream = Stream::new(seed, 3, 1);
            prop_assert_eq!(
                stream.bits(Row::new(seq).plus(Row::new(step))),
                stream.bits(Row::new(seq.wrapping_add(step)))
            );
        }

        #[test]
        fn steps_are_even(count in 1..=1_000_000_000_u64, place in 0.0..1.0_f64) {
            let step = (place * count as f64) as u64;
            let middle = Steps::new(count).middle(step);
            prop_assert_eq!(scale(middle, count), step);
            prop_assert_eq!(scale(!middle, count), count - 1 - step);
        }

        #[test]
        fn scaling_stays_in_range_and_keeps_order(a: u64, b: u64, numbers in 1_u64..) {
            let (low, high) = (scale(a.min(b), numbers), scale(a.max(b), numbers));
            prop_assert!(low <= high && high < numbers);
        }
    }
}
