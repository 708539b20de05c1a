//! A hash of 128 bits, by which rows are told apart. Against mistakes, not against an adversary: of a
//! million rows two differing ones have the same with a probability of about 10⁻²⁷.

use crate::random::{GAMMA, mix};

/// Odd, with bits spread evenly: 2⁶⁴ ÷ √2, made odd.
const OTHER: u64 = 0xb504_f333_f9de_6485;

/// What was written so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hasher([u64; 2]);

impl Hasher {
    pub(super) fn new() -> Self {
        Self([GAMMA, OTHER])
    }

    /// Each step is a bijection of both halves.
    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        let Self([a, b]) = self;
        *a = (*a ^ word).wrapping_mul(GAMMA).rotate_left(29);
        *b = (*b ^ word).wrapping_mul(OTHER).rotate_left(31);
    }

    /// Writes bytes, and how many they are: in a word with the last of them, which are fewer than eight.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        self.word(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    /// The hash.
    #[inline]
    pub(super) fn finish(self) -> u128 {
        let Self([a, b]) = self;
        (u128::from(mix(a ^ b.rotate_left(32))) << 64) | u128::from(mix(b.wrapping_add(a)))
    }
}
