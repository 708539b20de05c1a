//! The generator once more, from its description: output `n` of SplitMix64 for row `n`, with a
//! key split off for each seed, partition and column, scaled by one multiplication.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Output `index` (from 1) of SplitMix64 with this seed, by its state after as many steps.
fn output(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_mul(GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn key((seed, partition, column): (u64, u64, u64)) -> u64 {
    output(output(output(seed, 1), partition + 1), column + 1)
}

fn scaled(bits: u64, min: u64, max: u64) -> u64 {
    min + ((u128::from(bits) * u128::from(max - min + 1)) >> 64) as u64
}

/// A number from `min` to `max` for row `row` of a column.
pub(super) fn number(place: (u64, u64, u64), row: u64, min: u64, max: u64) -> u64 {
    scaled(output(key(place), row), min, max)
}

/// The same for an element of the row's array: a row has 65,536 of them, in a stream of their own.
pub(super) fn element(place: (u64, u64, u64), (row, index): (u64, u64), min: u64, max: u64) -> u64 {
    let own = output(key(place), u64::MAX - 1);
    scaled(output(own, row * 65_536 + index), min, max)
}
