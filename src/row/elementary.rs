//! Logarithm, exponential and the quantile of the normal distribution, with the same bits on every
//! machine.
//!
//! The standard library calls the platform's, which differ in the last bit; rows must not. Here are
//! only operations that IEEE 754 rounds in one way: +, −, ×, ÷ and √.

use std::f64::consts::{FRAC_1_SQRT_2, LOG2_E};

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
/// 1 ÷ 14! … 1 ÷ 0!, of the exponential series, the last first.
const FACTORIAL_INVERSES: [f64; 15] = {
    let mut inverses = [1.0; 15];
    let mut factorial = 1.0;
    let mut number = 1;
    while number < inverses.len() {
        factorial *= number as f64;
        inverses[inverses.len() - 1 - number] = 1.0 / factorial;
        number += 1;
    }
    inverses
};

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
pub(super) fn exp(x: f64) -> f64 {
    if x > 709.0 {
        return f64::MAX;
    }
    if x < -708.0 {
        return 0.0;
    }
    let shifted = x * LOG2_E;
    let power = (if shifted < 0.0 { shifted - 0.5 } else { shifted + 0.5 }) as i64;
    let rest = (x - power as f64 * LN_2_HIGH) - power as f64 * LN_2_LOW;
    let sum = polynomial(&FACTORIAL_INVERSES, rest);
    sum * f64::from_bits(((power + EXPONENT_BIAS) as u64) << MANTISSA_BITS)
}

/// The number that a standard normal variable is below with probability `p`, which lies between 0
/// and 1 (Michael J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal
/// Distribution", Applied Statistics 37(3), 1988, doi:10.2307/2347330). About 16 digits are right.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let from_middle = p - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * polynomial(&MIDDLE[0], r) / polynomial(&MIDDLE[1], r);
    }
    let tail = if from_middle < 0.0 { p } else { 1.0 - p };
    let r = (-ln(tail)).sqrt();
    let size = match r <= 5.0 {
        true => polynomial(&TAIL[0], r - 1.6) / polynomial(&TAIL[1], r - 1.6),
        false => polynomial(&FAR[0], r - 5.0) / polynomial(&FAR[1], r - 5.0),
    };
    if from_middle < 0.0 { -size } else { size }
}

/// The coefficient of the highest power comes first.
#[inline]
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Numerator and denominator of each range.
#[expect(clippy::excessive_precision, reason = "as they are published")]
const MIDDLE: [[f64; 8]; 2] = [
    [
        2.509_080_928_730_122_672_7e3,
        3.343_057_558_358_812_810_5e4,
        6.726_577_092_700_870_085_3e4,
        4.592_195_393_154_987_145_7e4,
        1.373_169_376_550_946_112_5e4,
        1.971_590_950_306_551_442_7e3,
        1.331_416_678_917_843_774_5e2,
        3.387_132_872_796_366_608,
    ],
    [
        5.226_495_278_852_854_561e3,
        2.872_908_573_572_194_267_4e4,
        3.930_789_580_009_271_061e4,
        2.121_379_430_158_659_586_7e4,
        5.394_196_021_424_751_107_7e3,
        6.871_870_074_920_579_083e2,
        4.231_333_070_160_091_125_2e1,
        1.0,
    ],
];
#[expect(clippy::excessive_precision, reason = "as they are published")]
const TAIL: [[f64; 8]; 2] = [
    [
        7.745_450_142_783_414_076_4e-4,
        2.272_384_498_926_918_458_33e-2,
        2.417_807_251_774_506_117_7e-1,
        1.270_458_252_452_368_382_58,
        3.647_848_324_763_204_605_04,
        5.769_497_221_460_691_405_5,
        4.630_337_846_156_545_295_9,
        1.423_437_110_749_683_577_34,
    ],
    [
        1.050_750_071_644_416_843_24e-9,
        5.475_938_084_995_344_946e-4,
        1.519_866_656_361_645_719_66e-2,
        1.481_039_764_274_800_745_9e-1,
        6.897_673_349_851_000_045_5e-1,
        1.676_384_830_183_803_849_4,
        2.053_191_626_637_758_821_87,
        1.0,
    ],
];
#[expect(clippy::excessive_precision, reason = "as they are published")]
const FAR: [[f64; 8]; 2] = [
    [
        2.010_334_399_292_288_132_65e-7,
        2.711_555_568_743_487_578_15e-5,
        1.242_660_947_388_078_438_6e-3,
        2.653_218_952_657_612_309_3e-2,
        2.965_605_718_285_048_912_3e-1,
        1.784_826_539_917_291_335_8,
        5.463_784_911_164_114_369_9,
        6.657_904_643_501_103_777_2,
    ],
    [
        2.044_263_103_389_939_785_64e-15,
        1.421_511_758_316_445_888_7e-7,
        1.846_318_317_510_054_681_8e-5,
        7.868_691_311_456_132_591e-4,
        1.487_536_129_085_061_485_25e-2,
        1.369_298_809_227_358_053_1e-1,
        5.998_322_065_558_879_376_9e-1,
        1.0,
    ],
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bits_are_what_they_were() {
        let x = [1e-300, 0.001, 0.3, 0.999, 1.0, 1.5, 2.0, 10.0, 1e300];
        let p = [1e-17, 1e-9, 0.01, 0.2, 0.5, 0.7, 0.95, 0.999_999];
        let mut all: Vec<u64> = x.iter().map(|x| ln(*x).to_bits()).collect();
        all.extend(x.iter().map(|x| exp(700.0 * (x - 1.0).min(1.0)).to_bits()));
        all.extend(p.iter().map(|p| normal_quantile(*p).to_bits()));
        let fold = |hash: u64, bits: &u64| crate::random::mix(hash ^ bits);
        assert_eq!(all.iter().fold(0, fold), 5_258_623_509_030_649_868);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // Python's `statistics.NormalDist().inv_cdf`.
        for (p, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_053_6),
            (0.8, 0.841_621_233_572_914_4),
            (1e-9, -5.997_807_015_007_686_5),
            (1e-15, -7.941_345_326_170_997),
        ] {
            assert!((normal_quantile(p) - expected).abs() < 1e-14, "{p} {}", normal_quantile(p));
        }
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
