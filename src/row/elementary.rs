//! Logarithm and exponential, with the same bits on every machine.
//!
//! The standard library calls the platform's, which differ in the last bit; rows must not. Here are
//! only operations that IEEE 754 rounds in one way: +, −, ×, ÷ and √.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E};

/// ln 2 in two parts: the upper 32 bits, of which multiples by an exponent are exact, and the rest.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fef0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dd4_73de_6af2_78ed);
const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i64 = 1_023;
/// 1 ÷ 3, 1 ÷ 5 … of the series of the inverse hyperbolic tangent, the last first.
const ODD_INVERSES: [f64; 11] = {
    let mut inverses = [0.0; 11];
    let mut at = 0;
    while at < inverses.len() {
        inverses[at] = 1.0 / (2 * (inverses.len() - at) + 1) as f64;
        at += 1;
    }
    inverses
};
/// Parts that a power of two is cut into.
const PARTS: usize = 64;
/// 2 to the power of each of them.
const POWERS: [f64; PARTS] = {
    let mut powers = [0.0; PARTS];
    let mut part = 0;
    while part < PARTS {
        // The exponential series, the last term first.
        let x = part as f64 * (LN_2 / PARTS as f64);
        let (mut sum, mut term) = (1.0, 20);
        while term > 0 {
            sum = 1.0 + sum * x / term as f64;
            term -= 1;
        }
        powers[part] = sum;
        part += 1;
    }
    powers
};
/// Added to a number below 2⁵¹, it leaves a whole one in the lowest bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Natural logarithm of a number above 0. What lies below the least normal number counts as that.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.max(f64::MIN_POSITIVE).to_bits();
    let mut power = (bits >> MANTISSA_BITS) as i64 - EXPONENT_BIAS;
    let mut part = f64::from_bits(bits & ((1 << MANTISSA_BITS) - 1) | 1.0_f64.to_bits());
    // From √½ to √2, where the series is short.
    if part > 2.0 * FRAC_1_SQRT_2 {
        part *= 0.5;
        power += 1;
    }
    // ln x = 2 artanh((x − 1) ÷ (x + 1)).
    let s = (part - 1.0) / (part + 1.0);
    let square = s * s;
    let sum = ODD_INVERSES.iter().fold(0.0, |sum, inverse| (sum + inverse) * square);
    let power = power as f64;
    power * LN_2_HIGH + (power * LN_2_LOW + 2.0 * (s + s * sum))
}

/// e to the power of `x`; 0 where that is below the least normal number, and the largest number
/// where it is beyond it.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    if x > 709.0 {
        return f64::MAX;
    }
    if x < -708.0 {
        return 0.0;
    }
    // x = (64 × power + part) × ln 2 ÷ 64 + rest.
    let shifted = x * (LOG2_E * PARTS as f64) + ROUNDING;
    let (steps, whole) = (shifted.to_bits().wrapping_sub(ROUNDING.to_bits()), shifted - ROUNDING);
    let rest = (x - whole * (LN_2_HIGH / PARTS as f64)) - whole * (LN_2_LOW / PARTS as f64);
    // Of at most ln 2 ÷ 128, so that five terms are enough.
    let square = rest * rest;
    let more =
        rest + square * (0.5 + rest * (1.0 / 6.0) + square * (1.0 / 24.0 + rest * (1.0 / 120.0)));
    let part = POWERS[steps as usize % PARTS];
    let power = (steps as i64 >> PARTS.trailing_zeros()) + EXPONENT_BIAS;
    (part + part * more) * f64::from_bits((power as u64) << MANTISSA_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bits_are_what_they_were() {
        let x = [1e-300, 0.001, 0.3, 0.999, 1.0, 1.5, 2.0, 10.0, 1e300];
        let mut all: Vec<u64> = x.iter().map(|x| ln(*x).to_bits()).collect();
        all.extend(x.iter().map(|x| exp(700.0 * (x - 1.0).min(1.0)).to_bits()));
        let fold = |hash: u64, bits: &u64| crate::random::mix(hash ^ bits);
        assert_eq!(all.iter().fold(0, fold), 5_238_770_872_367_079_867);
    }

    proptest! {
        #[test]
        fn logarithms_and_powers_are_the_platforms_but_for_the_last_bits(
            x in 1e-300..1e300_f64, power in -1_000..1_000_i32, y in -700.0..700.0_f64,
        ) {
            let near = |ours: f64, theirs: f64| {
                (ours - theirs).abs() <= 4.0 * f64::EPSILON * theirs.abs().max(1e-3)
            };
            let x = (x * 2_f64.powi(power)).clamp(1e-300, 1e300);
            prop_assert!(near(ln(x), x.ln()), "ln {x}: {} {}", ln(x), x.ln());
            prop_assert!((exp(y) / y.exp() - 1.0).abs() < 4.0 * f64::EPSILON, "exp {y}");
        }
    }
}
