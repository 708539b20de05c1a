//! A checksum of a set of rows: the same in whatever order they come, so at any parallelism.

use std::fmt;

/// Fraction of √2: any number that no short row meets. A row that met it would hash to 0, and its loss
/// would leave the sum as it is.
const START: u64 = 0x6a09_e667_f3bc_c909;
/// Odd, with bits spread evenly: 2⁶⁴ ÷ golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum, modulo 2⁶⁴, of a 64-bit hash of each row's bytes, and the number of rows.
///
/// A sum, so that order does not matter and yet a doubled row shows, which it would not in an
/// exclusive or. Against mistakes, not against an adversary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksum {
    rows: u64,
    sum: u64,
}

impl Checksum {
    /// Adds a row, given its COPY BINARY tuple, field count and all.
    #[inline]
    pub fn add(&mut self, tuple: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash(tuple));
    }

    /// Adds the rows of `other`.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Number of rows added.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// The sum as 16 hexadecimal digits.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.sum)
    }
}

/// Eight bytes at a time. Each step is a bijection of the state, so rows of one length that differ
/// within eight bytes never have the same hash.
fn hash(bytes: &[u8]) -> u64 {
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    let (words, tail) = bytes.as_chunks::<8>();
    let start = START ^ bytes.len() as u64;
    let mut state = words.iter().fold(start, |state, word| step(state, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    state = step(state, u64::from_le_bytes(last));
    // SplitMix64's finaliser: without it the last bytes reach only some of the bits.
    crate::random::mix(state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of<'a>(rows: impl IntoIterator<Item = &'a Vec<u8>>) -> Checksum {
        let mut sum = Checksum::default();
        rows.into_iter().for_each(|row| sum.add(row));
        sum
    }

    #[test]
    fn the_checksum_is_what_it_was() {
        // Records in databases hold it: it must not change with a version.
        let sum = of(&[b"".to_vec(), b"row".to_vec(), b"a row of twenty bytes".to_vec()]);
        assert_eq!((sum.rows(), sum.to_string().as_str()), (3, "4ba31a5c6fdb8812"));
    }

    #[test]
    fn a_row_that_equals_its_length_counts_too() {
        let lost = [vec![0], vec![0]];
        let whole = [vec![0], vec![1], vec![0]];
        assert_ne!(of(&lost).sum, of(&whole).sum);
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(&rows);
            let (left, right) = rows.split_at(cut.index(rows.len() + 1));
            let mut merged = of(right.iter().rev());
            merged.merge(of(left));
            prop_assert_eq!(merged, whole);
        }

        #[test]
        fn a_change_of_any_byte_a_doubled_row_and_a_lost_one_show(
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..10),
            at in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let at = at.index(rows.len());
            let mut altered = rows.clone();
            let byte = byte.index(altered[at].len());
            altered[at][byte] ^= flip;
            prop_assert_ne!(of(&altered), of(&rows));
            // Two changes of equal sums: one row lost, another twice.
            let doubled: Vec<_> = rows.iter().chain([&rows[at]]).cloned().collect();
            prop_assert_ne!(of(&doubled).sum, of(&rows).sum);
            altered.remove(at);
            prop_assert_ne!(of(&altered).sum, of(&rows).sum);
        }
    }
}
