//! PostgreSQL's `numeric` in binary, into the units of an Arrow decimal.
//!
//! A value is a list of digits to the base 10,000, most significant first; `weight` is the place of
//! the first one (0 is the ones), and zero digits at either end are left out:
//!
//! ```text
//! u16 digits │ i16 weight │ u16 sign │ u16 dscale │ u16 digit …
//! ```

/// Most decimal digits that 128 bits of Arrow hold.
pub(super) const MAX_PRECISION: u8 = 38;

const HEAD_BYTES: usize = 8;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const MINUS_INFINITY: u16 = 0xf000;

/// A decimal type: digits in all, and how many of them after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecimalType {
    precision: u8,
    scale: u8,
}

/// Why a value has no place in its decimal type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecimalError {
    #[error("NaN has no place in an Arrow decimal")]
    NotANumber,
    #[error("infinity has no place in an Arrow decimal")]
    Infinite,
    #[error("the value has more digits than its type")]
    TooLong,
    #[error("the value is not in the binary form of numeric")]
    Malformed,
}

impl DecimalType {
    /// `None` where Arrow has no such type: not 1 to 38 digits, or digits after the point that are
    /// fewer than none or more than all.
    pub(super) fn new(precision: u16, scale: i16) -> Option<Self> {
        let precision = u8::try_from(precision).ok()?;
        let scale = u8::try_from(scale).ok()?;
        let is_one = (1..=MAX_PRECISION).contains(&precision) && scale <= precision;
        is_one.then_some(Self { precision, scale })
    }

    pub(super) fn precision(self) -> u8 {
        self.precision
    }

    pub(super) fn scale(self) -> u8 {
        self.scale
    }

    /// A field's bytes as units of 10⁻ˢᶜᵃˡᵉ.
    pub(super) fn units(self, field: &[u8]) -> Result<i128, DecimalError> {
        let (head, digits) = field.split_at_checked(HEAD_BYTES).ok_or(DecimalError::Malformed)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let (count, weight, sign) = (usize::from(word(0)), word(2) as i16, word(4));
        match sign {
            POSITIVE | NEGATIVE => {}
            NAN => return Err(DecimalError::NotANumber),
            INFINITY | MINUS_INFINITY => return Err(DecimalError::Infinite),
            _ => return Err(DecimalError::Malformed),
        }
        if digits.len() != 2 * count {
            return Err(DecimalError::Malformed);
        }
        // Power of ten, in units, of the digit at hand.
        let mut power = 4 * i32::from(weight) + i32::from(self.scale);
        let mut units = 0_u128;
        for digit in digits.chunks_exact(2) {
            let digit = u128::from(u16::from_be_bytes([digit[0], digit[1]]));
            if digit >= 10_000 {
                return Err(DecimalError::Malformed);
            }
            units = match power {
                0.. => units.checked_mul(10_000).and_then(|units| units.checked_add(digit)),
                // The last decimals lead a digit that zeros fill up: 0.5 is 5000.
                -3..0 => {
                    let zeros = 10_u128.pow(power.unsigned_abs());
                    let kept = 10_000 / zeros;
                    let digit = (digit % zeros == 0).then_some(digit / zeros);
                    digit.and_then(|digit| units.checked_mul(kept)?.checked_add(digit))
                }
                _ => (digit == 0).then_some(units),
            }
            .ok_or(DecimalError::TooLong)?;
            power -= 4;
        }
        // Zero digits at the end are left out.
        let missing = u32::try_from((power + 4).max(0)).unwrap_or(0);
        if units > 0 {
            let scaled = 10_u128.checked_pow(missing).and_then(|ten| units.checked_mul(ten));
            units = scaled.ok_or(DecimalError::TooLong)?;
        }
        // Less than 10³⁸, so it fits with a sign.
        if units >= 10_u128.pow(u32::from(self.precision)) {
            return Err(DecimalError::TooLong);
        }
        let units = units as i128;
        Ok(if sign == NEGATIVE { -units } else { units })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::numeric::write;

    fn decimal(precision: u16, scale: i16) -> DecimalType {
        DecimalType::new(precision, scale).unwrap()
    }

    /// The field of units × 10⁻ˢᶜᵃˡᵉ, without its length.
    fn field(units: i128, scale: u16) -> Vec<u8> {
        let mut out = [0; 256];
        let used = write(units, scale, &mut out);
        out[4..used].to_vec()
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn what_the_server_sends_is_read() {
        // SELECT encode(numeric_send('…'), 'hex') on PostgreSQL 15.
        let money = decimal(15, 2);
        assert_eq!(money.units(&words(&[0, 0, 0, 2])), Ok(0));
        assert_eq!(money.units(&words(&[1, 1, 0, 2, 1])), Ok(1_000_000));
        assert_eq!(money.units(&words(&[2, 0, 0, 2, 0x04d2, 0x15e0])), Ok(123_456));
        assert_eq!(money.units(&words(&[1, 0xffff, 0x4000, 2, 0x64])), Ok(-1));
        assert_eq!(money.units(&words(&[0, 0, 0xc000, 0])), Err(DecimalError::NotANumber));
        assert_eq!(money.units(&words(&[0, 0, 0xd000, 0])), Err(DecimalError::Infinite));
        assert_eq!(money.units(&words(&[0, 0, 0xf000, 0])), Err(DecimalError::Infinite));
    }

    #[test]
    fn the_longest_values_fit_and_longer_ones_do_not() {
        let top = 10_i128.pow(38) - 1;
        for scale in 0..=38 {
            let wide = decimal(38, scale);
            for units in [top, -top, 1, -1, 0, top / 10] {
                assert_eq!(wide.units(&field(units, scale as u16)), Ok(units), "scale {scale}");
            }
            assert_eq!(wide.units(&field(top + 1, scale as u16)), Err(DecimalError::TooLong));
            assert_eq!(wide.units(&field(i128::MAX, scale as u16)), Err(DecimalError::TooLong));
        }
        assert_eq!(decimal(3, 1).units(&field(1_000, 1)), Err(DecimalError::TooLong));
        assert_eq!(decimal(3, 1).units(&field(5, 2)), Err(DecimalError::TooLong), "0.05");
        assert_eq!(decimal(3, 1).units(&field(1, 9)), Err(DecimalError::TooLong));
        let far = words(&[1, i16::MAX as u16, 0, 0, 1]);
        assert_eq!(decimal(38, 38).units(&far), Err(DecimalError::TooLong));
    }

    #[test]
    fn arrow_has_no_decimal_beyond_38_digits_or_with_a_scale_outside_of_them() {
        for (precision, scale) in [(0, 0), (39, 0), (1000, 2), (5, -1), (2, 3)] {
            assert_eq!(DecimalType::new(precision, scale), None, "({precision}, {scale})");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_written(
            units: i128, shift in 1_u32..128, scale in 0_i16..=38, wider in 0_i16..=38,
        ) {
            let units = (units >> shift) % 10_i128.pow(38);
            prop_assert_eq!(decimal(38, scale).units(&field(units, scale as u16)), Ok(units));
            // With fewer decimals than the type has, zeros follow.
            let (short, wide) = (scale.min(wider), scale.max(wider));
            let scaled = 10_i128.pow((wide - short) as u32).checked_mul(units);
            let scaled = scaled.filter(|units| units.abs() < 10_i128.pow(38));
            let read = decimal(38, wide).units(&field(units, short as u16));
            prop_assert_eq!(read, scaled.ok_or(DecimalError::TooLong));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, precision in 1_u16..=38) {
            let _ = decimal(precision, 0).units(&bytes);
            let _ = decimal(precision, precision as i16).units(&bytes);
        }

        #[test]
        fn no_words_panic(weight: u16, digits in prop::collection::vec(0_u16..10_000, 0..30)) {
            let mut all = vec![digits.len() as u16, weight, 0, 0];
            all.extend(digits);
            let _ = decimal(38, 19).units(&words(&all));
        }
    }
}
