//! SplitMix64 (Guy L. Steele Jr., Doug Lea, Christine H. Flood, "Fast Splittable Pseudorandom Number
//! Generators", OOPSLA 2014, doi:10.1145/2660193.2660195) as a function of a key and a counter: any of
//! its outputs is there without those before it.

/// The odd constant nearest 2⁶⁴ ÷ golden ratio, by which SplitMix64 counts.
pub(crate) const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection of 64 bits in which each input bit moves every output bit.
#[inline]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Output `number` of the generator that starts from `key`. Where outputs are keys of other generators,
/// this is the paper's split.
#[inline]
pub(crate) const fn output(key: u64, number: u64) -> u64 {
    mix(key.wrapping_add(number.wrapping_mul(GAMMA)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(expected, std::array::from_fn(|number| output(1_234_567, number as u64 + 1)));
    }
}
