//! UUIDs as RFC 9562 has them.

use super::random::{Row, Stream};

/// The version's four bits and the variant's two, of all 128.
const VERSION: u128 = 0xf << 76;
const VARIANT: u128 = 0x3 << 62;

/// These bits as a UUID of a version.
pub(super) fn of_version(bits: u128, version: u128) -> u128 {
    bits & !VERSION & !VARIANT | version << 76 | 0x2 << 62
}

/// A random one, version 4.
#[inline]
pub(super) fn random(stream: Stream, row: Row) -> u128 {
    let mut draws = stream.draws(row);
    of_version(u128::from(draws.next()) << 64 | u128::from(draws.next()), 4)
}

/// One that begins with a moment in Unix time, version 7.
#[inline]
pub(super) fn of_moment(unix_us: i64, stream: Stream, row: Row) -> u128 {
    let mut draws = stream.draws(row);
    let random = u128::from(draws.next()) << 64 | u128::from(draws.next());
    at_moment(unix_us.div_euclid(1_000), random >> 48)
}

/// One that begins with a moment in Unix time, version 7, with these last 80 bits.
pub(super) fn at_moment(unix_ms: i64, random: u128) -> u128 {
    let unix_ms = unix_ms.clamp(0, (1 << 48) - 1) as u128;
    of_version(unix_ms << 80 | random & ((1 << 80) - 1), 7)
}

/// Reads one in its usual form, or with hyphens elsewhere or nowhere.
pub(super) fn parse(text: &str) -> Option<u128> {
    let digits = text.chars().filter(|char| *char != '-').map(|char| char.to_digit(16));
    let (count, uuid) = digits.take(33).try_fold((0, 0), |(count, uuid), digit| {
        Some((count + 1, uuid << 4 | u128::from(digit?)))
    })?;
    (count == 32).then_some(uuid)
}

/// Writes the usual form; returns its length, 36.
pub(super) fn write_text(uuid: u128, space: &mut [u8]) -> usize {
    let mut at = 0;
    for digit in 0..32 {
        if matches!(digit, 8 | 12 | 16 | 20) {
            space[at] = b'-';
            at += 1;
        }
        let value = (uuid >> (124 - 4 * digit)) as u8 & 0xf;
        space[at] = b"0123456789abcdef"[usize::from(value)];
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn version_and_variant_are_where_the_standard_has_them(seed: u64, seq: u64, us: i64) {
            let (stream, row) = (Stream::new(seed, 0, 0), Row::new(seq));
            for (uuid, version) in [(random(stream, row), b'4'), (of_moment(us, stream, row), b'7')] {
                let mut text = [0; 36];
                prop_assert_eq!(write_text(uuid, &mut text), 36);
                prop_assert_eq!(text[14], version);
                prop_assert!(b"89ab".contains(&text[19]));
                prop_assert_eq!([8, 13, 18, 23].map(|at| text[at]), [b'-'; 4]);
                let digits = String::from_utf8(text.to_vec()).unwrap().replace('-', "");
                prop_assert_eq!(u128::from_str_radix(&digits, 16).unwrap(), uuid);
            }
            let ms = us.div_euclid(1_000).clamp(0, (1 << 48) - 1);
            prop_assert_eq!((of_moment(us, stream, row) >> 80) as i64, ms);
        }
    }
}
