//! PostgreSQL's `numeric` in binary, byte for byte as the server itself would send it.
//!
//! A value is a list of digits to the base 10,000, most significant first, aligned on the decimal
//! point; `weight` is the place of the first one (0 is the ones). Zero digits at either end are
//! left out and zero has none, while `dscale` keeps the number of decimals for display:
//!
//! ```text
//! i32 length │ u16 digits │ i16 weight │ u16 sign │ u16 dscale │ u16 digit …
//! ```

/// Largest scale of a generated value; 10³⁸ is the largest power of ten in 128 bits.
pub(crate) const MAX_SCALE: u16 = 38;

/// Sign word of a negative value; a positive one has 0.
const NEGATIVE: u16 = 0x4000;
/// Length, then header.
const HEAD_BYTES: usize = 4 + 8;
/// Digits of 39 decimals before the point and [`MAX_SCALE`] after.
const MAX_DIGITS: usize = 10 + (MAX_SCALE as usize).div_ceil(4);

/// Bytes that [`Packed::write`] writes, of which it may keep less.
pub(crate) const PACKED_BYTES: usize = HEAD_BYTES + 4 * 2;
/// Most bytes of a field from [`write`].
pub(crate) const WIDE_BYTES: usize = HEAD_BYTES + MAX_DIGITS * 2;

/// 10 to the power of `exponent`, which is at most [`MAX_SCALE`].
pub(crate) fn pow10(exponent: u16) -> u128 {
    10_u128.pow(u32::from(exponent))
}

/// A decimal number in units of its last digit: `12.3` in a scale of 2 is 1230. `None` if it is no number,
/// has more decimals, or is beyond 64 bits.
pub(crate) fn units_of(text: &str, scale: u16) -> Option<i64> {
    wide_units_of(text, scale)?.try_into().ok()
}

/// The same up to 128 bits.
pub(crate) fn wide_units_of(text: &str, scale: u16) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let zeros = usize::from(scale).checked_sub(fraction.len())?;
    if whole.is_empty() {
        return None;
    }
    let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros));
    digits
        .map(|byte| byte.is_ascii_digit().then(|| i128::from(byte - b'0')))
        .try_fold(0_i128, |units, digit| units.checked_mul(10)?.checked_add(sign * digit?))
}

/// The inverse of [`units_of`]: 1230 in a scale of 2 is `12.30`.
pub(crate) fn units_text(units: i128, scale: u16) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// Encodes values of one scale that need no more than `DIGITS` digits, 3 or 4 (with a scale of 2:
/// below 10⁸ or 10¹²), without a loop: the digits sit in one `u64`, 16 bits each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<const DIGITS: u16> {
    /// What brings a value to a whole number of base-10,000 digits after the point.
    align: u64,
    /// Weight of the first of all digits.
    first_weight: u16,
    scale: u16,
}

impl<const DIGITS: u16> Packed<DIGITS> {
    /// For values in units of the scale; `None` if one as large as `max_abs` needs more digits.
    pub(crate) fn new(scale: u16, max_abs: u64) -> Option<Self> {
        Self::aligned_by(scale.next_multiple_of(4) - scale, scale, max_abs)
    }

    /// The same for whole numbers, shown with `scale` zeros after the point.
    pub(crate) fn whole(scale: u16, max_abs: u64) -> Option<Self> {
        Self::aligned_by(scale.next_multiple_of(4), scale, max_abs)
    }

    fn aligned_by(zeros: u16, scale: u16, max_abs: u64) -> Option<Self> {
        const { assert!(DIGITS == 3 || DIGITS == 4) };
        let align = 10_u64.checked_pow(u32::from(zeros))?;
        let fits = max_abs.checked_mul(align)? < 10_u64.pow(4 * u32::from(DIGITS));
        let first_weight = (DIGITS - 1).wrapping_sub(scale.div_ceil(4));
        fits.then_some(Self { align, first_weight, scale })
    }

    /// Writes the field to the front of `out`, which holds [`PACKED_BYTES`]; returns its length.
    #[inline]
    pub(crate) fn write(self, value: i64, out: &mut [u8]) -> usize {
        let aligned = value.unsigned_abs() * self.align;
        let (high, low) = ((aligned / 100_000_000) as u32, (aligned % 100_000_000) as u32);
        let pair = |digits: u32| u64::from(digits / 10_000) << 16 | u64::from(digits % 10_000);
        let digits = match DIGITS {
            3 => u64::from(high) << 48 | pair(low) << 16,
            _ => pair(high) << 32 | pair(low),
        };
        // Zero digits at the front, by comparing: to count leading zero bits is slow without
        // instructions that the first x86-64 lacks.
        let below = |power: u32| u16::from(aligned < 10_u64.pow(power));
        let skipped = match DIGITS {
            3 => below(8) + below(4),
            _ => below(12) + below(8) + below(4),
        };

        let (digits, count, weight) = if aligned == 0 {
            (0, 0, 0)
        } else {
            let digits = digits << (skipped * 16);
            let count = 4 - digits.trailing_zeros() / 16;
            (digits, count, self.first_weight.wrapping_sub(skipped))
        };
        let sign = u16::from(value < 0) * NEGATIVE;
        let length = 8 + count * 2;
        let head = u64::from(count) << 48
            | u64::from(weight) << 32
            | u64::from(sign) << 16
            | u64::from(self.scale);
        let mut field = [0; PACKED_BYTES];
        field[..4].copy_from_slice(&length.to_be_bytes());
        field[4..12].copy_from_slice(&head.to_be_bytes());
        field[12..].copy_from_slice(&digits.to_be_bytes());
        out[..PACKED_BYTES].copy_from_slice(&field);
        4 + length as usize
    }
}

/// Writes `units` × 10⁻ˢᶜᵃˡᵉ, whatever its size, shown with `scale` decimals (at most
/// [`MAX_SCALE`]); returns the field's length, at most [`WIDE_BYTES`].
pub(crate) fn write(units: i128, scale: u16, out: &mut [u8]) -> usize {
    let one = pow10(scale);
    let magnitude = units.unsigned_abs();
    write_parts(units < 0, magnitude / one, magnitude % one, scale, out)
}

/// Writes a whole number, shown with `scale` zeros after the point; returns the field's length.
pub(crate) fn write_whole(value: i64, scale: u16, out: &mut [u8]) -> usize {
    write_parts(value < 0, u128::from(value.unsigned_abs()), 0, scale, out)
}

fn write_parts(
    negative: bool,
    mut integer: u128,
    mut fraction: u128,
    scale: u16,
    out: &mut [u8],
) -> usize {
    // From the last digit to the first. The one at the end may be short of decimals: 0.5 is 5000.
    let mut digits = [0_u16; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    let mut push = |digit: u128| {
        start -= 1;
        digits[start] = digit as u16;
    };
    let fraction_digits = scale.div_ceil(4);
    if fraction_digits > 0 {
        let missing = fraction_digits * 4 - scale;
        let last = pow10(4 - missing);
        push(fraction % last * pow10(missing));
        fraction /= last;
        for _ in 1..fraction_digits {
            push(fraction % 10_000);
            fraction /= 10_000;
        }
    }
    let mut weight = -1;
    while integer > 0 {
        push(integer % 10_000);
        integer /= 10_000;
        weight += 1;
    }

    let digits = &digits[start..];
    let skipped = digits.iter().take_while(|&&digit| digit == 0).count();
    let end = digits.iter().rposition(|&digit| digit != 0).map_or(skipped, |last| last + 1);
    let digits = &digits[skipped..end];
    let (weight, sign) = match (digits.is_empty(), negative) {
        (true, _) => (0, 0),
        (false, true) => (weight - skipped as i16, NEGATIVE),
        (false, false) => (weight - skipped as i16, 0),
    };

    let mut end = 0;
    let mut put = |bytes: &[u8]| {
        out[end..end + bytes.len()].copy_from_slice(bytes);
        end += bytes.len();
    };
    put(&(8 + 2 * digits.len() as u32).to_be_bytes());
    put(&(digits.len() as u16).to_be_bytes());
    put(&weight.to_be_bytes());
    put(&sign.to_be_bytes());
    put(&scale.to_be_bytes());
    for digit in digits {
        put(&digit.to_be_bytes());
    }
    end
}

/// A field's bytes (without the length) as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    let words: Vec<u16> =
        bytes.as_chunks().0.iter().map(|word| u16::from_be_bytes(*word)).collect();
    let scale = words.get(3).copied().unwrap_or_default();
    text_of(&words, scale.into())
}

/// The number in these words with so many decimals at most.
fn text_of(words: &[u16], scale: usize) -> String {
    let [_, weight, sign, _, digits @ ..] = words else { return String::new() };
    let weight = i32::from(*weight as i16);
    let digit = |place: i32| {
        let index = usize::try_from(weight - place).ok();
        format!("{:04}", index.and_then(|index| digits.get(index)).unwrap_or(&0))
    };
    let integer: String = (0..=weight.max(0)).rev().map(digit).collect();
    let places = (digits.len() as i32 - weight).max(0) + 12;
    let mut fraction: String = (1..=places).map(|place| digit(-place)).collect();
    fraction.truncate(scale);
    let integer = match integer.trim_start_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    let sign = if *sign == NEGATIVE { "-" } else { "" };
    match fraction.as_str() {
        "" => format!("{sign}{integer}"),
        fraction => format!("{sign}{integer}.{fraction}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use tokio_postgres::types::{ToSql, Type};

    /// A field's bytes (without the length) as text; they must have the form that the server gives them.
    pub(crate) fn decode(bytes: &[u8]) -> String {
        let words: Vec<u16> =
            bytes.chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]])).collect();
        let (count, weight, sign, scale) = (words[0], words[1], words[2], usize::from(words[3]));
        let digits = &words[4..];
        assert_eq!(digits.len(), usize::from(count));
        assert!(digits.iter().all(|&digit| digit < 10_000));
        assert_ne!(digits.first(), Some(&0), "leading zero digit");
        assert_ne!(digits.last(), Some(&0), "trailing zero digit");
        assert!(sign == 0 || (sign == NEGATIVE && count > 0));
        assert!(count > 0 || weight == 0);
        // Without the cut at the scale it reads the same, but for zeros.
        let whole = text_of(&words, usize::MAX);
        let beyond = whole.split_once('.').map_or("", |(_, fraction)| fraction);
        assert!(beyond.bytes().skip(scale).all(|byte| byte == b'0'), "digits beyond dscale");
        super::text(bytes)
    }

    fn body(write: impl Fn(&mut [u8]) -> usize) -> Vec<u8> {
        let mut field = [0xee; WIDE_BYTES];
        let used = write(&mut field);
        let length = u32::from_be_bytes(field[..4].try_into().unwrap());
        assert_eq!(length as usize + 4, used);
        field[4..used].to_vec()
    }

    fn both(units: i64, scale: u16) -> Vec<u8> {
        let bytes = body(|out| write(i128::from(units), scale, out));
        if let Some(packed) = Packed::<3>::new(scale, units.unsigned_abs()) {
            assert_eq!(body(|out| packed.write(units, out)), bytes, "{units} scale {scale}");
        }
        if let Some(packed) = Packed::<4>::new(scale, units.unsigned_abs()) {
            assert_eq!(body(|out| packed.write(units, out)), bytes, "{units} scale {scale}");
        }
        bytes
    }

    #[test]
    fn known_values_have_the_servers_bytes() {
        // SELECT encode(numeric_send('…'), 'hex') on PostgreSQL 15.
        let hex = |units, scale| {
            both(units, scale).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
        };
        assert_eq!(hex(0, 0), "0000000000000000");
        assert_eq!(hex(0, 2), "0000000000000002");
        assert_eq!(hex(1, 0), "00010000000000000001");
        assert_eq!(hex(1_000_000, 2), "00010001000000020001");
        assert_eq!(hex(123_456, 2), "000200000000000204d215e0");
        assert_eq!(hex(-1, 2), "0001ffff400000020064");
        assert_eq!(hex(10, 6), "0001fffe0000000603e8");
        assert_eq!(hex(i64::MIN, 0), "0005000440000000039a0d2c0170156516b0");
    }

    #[test]
    fn every_scale_and_order_of_magnitude() {
        for scale in 0..=MAX_SCALE {
            for power in 0..=38 {
                let one = 10_i128.pow(power);
                for units in [one, one - 1, one + 1, one / 10 * 17, -one] {
                    assert_eq!(
                        decode(&body(|out| write(units, scale, out))),
                        units_text(units, scale)
                    );
                    if let Ok(units) = i64::try_from(units) {
                        both(units, scale);
                    }
                }
            }
            for units in [i128::MIN, i128::MAX, i128::from(i64::MIN), i128::from(i64::MAX), 0] {
                assert_eq!(decode(&body(|out| write(units, scale, out))), units_text(units, scale));
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_decodes_to_itself(units: i128, shift in 0_u32..128, scale in 0..=MAX_SCALE) {
            let units = units >> shift;
            prop_assert_eq!(decode(&body(|out| write(units, scale, out))), units_text(units, scale));
        }

        #[test]
        fn packed_and_wide_agree(units: i64, shift in 0_u32..64, scale in 0..=MAX_SCALE) {
            let units = units >> shift;
            prop_assert_eq!(decode(&both(units, scale)), units_text(units.into(), scale));
        }

        #[test]
        fn a_whole_number_is_shown_with_zeros(
            value: i64, shift in 0_u32..64, scale in 0..=MAX_SCALE,
        ) {
            let value = value >> shift;
            let zeros = if scale == 0 { String::new() } else { format!(".{}", "0".repeat(scale.into())) };
            let bytes = body(|out| write_whole(value, scale, out));
            prop_assert_eq!(decode(&bytes), format!("{value}{zeros}"));
            if let Some(packed) = Packed::<3>::whole(scale, value.unsigned_abs()) {
                prop_assert_eq!(body(|out| packed.write(value, out)), bytes.clone());
            }
            if let Some(packed) = Packed::<4>::whole(scale, value.unsigned_abs()) {
                prop_assert_eq!(body(|out| packed.write(value, out)), bytes);
            }
        }

        #[test]
        fn rust_decimal_writes_the_same_but_for_zeros_at_the_end(
            units: i64, shift in 0_u32..64, scale in 0_u16..=28,
        ) {
            let units = units >> shift;
            let mut theirs = BytesMut::new();
            let decimal = Decimal::from_i128_with_scale(units.into(), scale.into());
            decimal.to_sql(&Type::NUMERIC, &mut theirs).unwrap();
            let mut theirs = theirs.to_vec();
            // It keeps zero digits that the server strips, and forgets the scale of a zero.
            while theirs.len() > 8 && theirs.ends_with(&[0, 0]) {
                theirs.truncate(theirs.len() - 2);
                theirs[1] -= 1;
            }
            if units == 0 {
                theirs[7] = scale as u8;
            }
            prop_assert_eq!(both(units, scale), theirs);
        }
    }
}
