//! Numbers of the normal and of the exponential distribution, of which all but one in a hundred take one
//! multiplication.
//!
//! The curve of the density is covered by layers of equal area (George Marsaglia and Wai Wan Tsang, "The Ziggurat
//! Method for Generating Random Variables", Journal of Statistical Software 5(8), 2000, doi:10.18637/jss.v005.i08).
//! A place in a layer is below the curve for sure, or it is looked at; the lowest layer has the tail. Layer, sign and
//! place are of different bits of a word, as in Jurgen A. Doornik's "An Improved Ziggurat Method to Generate Normal
//! Random Samples" (2005). What is rejected is drawn again with the words that follow on the row's first one, so
//! a row's number depends on that alone.

use std::sync::LazyLock;

use super::elementary::{exp, ln};
use super::random::{Draws, open_unit, unit};

const LAYERS: usize = 256;
/// The bit of a word that is the sign; below it is the layer, and from the eleventh on the place.
const SIGN: u64 = 1 << 8;
const SIGN_SHIFT: u32 = 63 - SIGN.trailing_zeros();

/// A density that falls from 1 at 0, in layers.
#[derive(Debug)]
pub(super) struct Ziggurat {
    /// Where the layers end, the lowest first; behind the last one is 0. The lowest, of which the tail is
    /// a part, is as wide as its area would be without one.
    ends: [f64; LAYERS + 1],
    /// The density at those ends.
    heights: [f64; LAYERS + 1],
    density: fn(f64) -> f64,
    tail: fn(f64, &mut Draws) -> f64,
}

/// That of the normal distribution, for numbers from 0 on.
pub(super) static NORMAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    let inverse = |density: f64| (-2.0 * ln(density)).sqrt();
    // Where the tail begins, and the area of each layer, with which the last one ends at the top.
    let (tail_from, area) = (3.654_152_885_361_009, 0.004_928_673_233_974_655);
    Ziggurat::new((tail_from, area), |x| exp(-0.5 * x * x), inverse, normal_tail)
});

/// That of the exponential distribution.
pub(super) static EXPONENTIAL: LazyLock<Ziggurat> = LazyLock::new(|| {
    let (tail_from, area) = (7.697_117_470_131_05, 0.003_949_659_822_581_557);
    // Behind any number it is as from 0 on.
    let tail = |from, draws: &mut Draws| from - ln(open_unit(draws.next()));
    Ziggurat::new((tail_from, area), |x| exp(-x), |density| -ln(density), tail)
});

/// A number of the tail of the normal distribution (George Marsaglia, "Generating a Variable from the Tail of
/// the Normal Distribution", Technometrics 6(1), 1964, doi:10.2307/1266749).
fn normal_tail(from: f64, draws: &mut Draws) -> f64 {
    loop {
        let beyond = -ln(open_unit(draws.next())) / from;
        if -2.0 * ln(open_unit(draws.next())) > beyond * beyond {
            return from + beyond;
        }
    }
}

impl Ziggurat {
    fn new(
        (tail_from, area): (f64, f64),
        density: fn(f64) -> f64,
        inverse: fn(f64) -> f64,
        tail: fn(f64, &mut Draws) -> f64,
    ) -> Self {
        let mut ends = [0.0; LAYERS + 1];
        ends[0] = area / density(tail_from);
        ends[1] = tail_from;
        for layer in 2..LAYERS {
            ends[layer] = inverse(area / ends[layer - 1] + density(ends[layer - 1]));
        }
        Self { ends, heights: ends.map(density), density, tail }
    }

    /// The number of a row with this first word.
    #[inline]
    pub(super) fn draw(&self, word: u64) -> f64 {
        let layer = usize::from(word as u8);
        let number = unit(word) * self.ends[layer];
        if number < self.ends[layer + 1] { number } else { self.look(layer, number, word) }
    }

    /// The same with either sign.
    #[inline]
    pub(super) fn draw_signed(&self, word: u64) -> f64 {
        f64::from_bits(self.draw(word).to_bits() | (word & SIGN) << SIGN_SHIFT)
    }

    /// The number of a row whose first word leads to the edge of a layer.
    #[cold]
    fn look(&self, layer: usize, number: f64, word: u64) -> f64 {
        let (mut layer, mut number, mut draws) = (layer, number, Draws::behind(word));
        loop {
            if layer == 0 {
                return (self.tail)(self.ends[1], &mut draws);
            }
            let [low, high] = [self.heights[layer], self.heights[layer + 1]];
            if low + unit(draws.next()) * (high - low) < (self.density)(number) {
                return number;
            }
            let word = draws.next();
            layer = usize::from(word as u8);
            number = unit(word) * self.ends[layer];
            if number < self.ends[layer + 1] {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: usize = 1_000_000;

    /// The shares below some bounds differ from these by no more than chance has them (Kolmogorov and Smirnov, once in
    /// 100,000 times), and from each of them by no more than four and a half standard deviations.
    fn is_distributed(numbers: &[f64], below: &[(f64, f64)]) {
        let count = numbers.len() as f64;
        let mut counts = vec![0_u32; below.len() + 1];
        for number in numbers {
            counts[below.partition_point(|(bound, _)| bound <= number)] += 1;
        }
        let mut found = 0.0;
        for ((bound, share), counted) in below.iter().zip(counts) {
            found += f64::from(counted);
            let off = found / count - share;
            assert!(off.abs() < 2.47 / count.sqrt(), "{bound}: {off}");
            let sd = (share * (1.0 - share) / count).sqrt();
            assert!(off.abs() < 4.5 * sd, "{bound}: {off}, {} standard deviations", off / sd);
        }
    }

    /// Sample moments differ from these by no more than 4.5 standard errors.
    fn has_moments(numbers: &[f64], moments: &[(i32, f64, f64)]) {
        let count = numbers.len() as f64;
        for (power, expected, sd) in moments {
            let mean = numbers.iter().map(|number| number.powi(*power)).sum::<f64>() / count;
            assert!((mean - expected).abs() < 4.5 * sd / count.sqrt(), "{power}: {mean}");
        }
    }

    fn words() -> impl Iterator<Item = u64> {
        let mut draws = Draws::behind(42);
        std::iter::repeat_with(move || draws.next())
    }

    /// Shares of the normal distribution, by 30 digits.
    const NORMAL_BELOW: [(f64, f64); 13] = [
        (0.1, 0.539_827_837_277_029),
        (0.25, 0.598_706_325_682_923_7),
        (0.5, 0.691_462_461_274_013_1),
        (0.75, 0.773_372_647_623_131_8),
        (1.0, 0.841_344_746_068_542_9),
        (1.5, 0.933_192_798_731_141_9),
        (2.0, 0.977_249_868_051_820_8),
        (2.5, 0.993_790_334_674_223_8),
        (3.0, 0.998_650_101_968_369_9),
        (3.5, 0.999_767_370_920_964_5),
        (3.654_152_885_361_009, 0.999_870_983_756_173),
        (4.0, 0.999_968_328_758_166_9),
        (4.5, 0.999_996_602_326_875_3),
    ];

    #[test]
    fn normal_numbers_are_normal() {
        let numbers: Vec<f64> =
            words().take(NUMBERS).map(|word| NORMAL.draw_signed(word)).collect();
        let mirrored = NORMAL_BELOW.iter().rev().map(|(bound, share)| (-bound, 1.0 - share));
        let below: Vec<_> = mirrored.chain([(0.0, 0.5)]).chain(NORMAL_BELOW).collect();
        is_distributed(&numbers, &below);
        has_moments(
            &numbers,
            &[(1, 0.0, 1.0), (2, 1.0, 1.415), (3, 0.0, 3.873), (4, 3.0, 9.798), (6, 15.0, 100.85)],
        );
    }

    #[test]
    fn exponential_numbers_are_exponential() {
        let numbers: Vec<f64> = words().take(NUMBERS).map(|word| EXPONENTIAL.draw(word)).collect();
        let bounds =
            [0.01, 0.1, 0.3, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 7.697_117_470_131_05, 9.0, 11.0];
        is_distributed(&numbers, &bounds.map(|bound: f64| (bound, 1.0 - (-bound).exp())));
        has_moments(&numbers, &[(1, 1.0, 1.0), (2, 2.0, 4.473), (3, 6.0, 26.16), (4, 24.0, 199.4)]);
    }

    #[test]
    fn the_tails_are_those_of_the_distributions() {
        let mut draws = Draws::behind(7);
        let mut tail = |of: &Ziggurat| -> Vec<f64> {
            (0..200_000).map(|_| (of.tail)(of.ends[1], &mut draws)).collect()
        };
        // Shares of the tail, by 30 digits.
        let beyond = [
            (3.7, 0.835_551_635_048_220_5),
            (3.8, 0.560_766_937_395_576_6),
            (4.0, 0.245_482_591_134_807_58),
            (4.5, 0.026_335_235_191_681_45),
            (5.0, 0.002_221_825_433_576_254),
        ];
        is_distributed(&tail(&NORMAL), &beyond.map(|(bound, share)| (bound, 1.0 - share)));
        let (of, from) = (&*EXPONENTIAL, EXPONENTIAL.ends[1]);
        let bounds = [0.1, 0.7, 1.0, 3.0, 6.0].map(|more: f64| (from + more, 1.0 - (-more).exp()));
        is_distributed(&tail(of), &bounds);
    }

    #[test]
    fn layers_have_equal_areas_and_end_at_the_top() {
        for (of, tail) in [(&*NORMAL, 0.000_323_395_76), (&*EXPONENTIAL, 0.000_454_134_35)] {
            let area = of.ends[0] * of.heights[1];
            for layer in 1..LAYERS {
                let own = of.ends[layer] * (of.heights[layer + 1] - of.heights[layer]);
                assert!((own / area - 1.0).abs() < 1e-11, "{layer}: {own} {area}");
            }
            let beyond = area - of.ends[1] * of.heights[1];
            assert!((beyond / tail - 1.0).abs() < 1e-7, "{beyond}");
            assert_eq!((of.ends[LAYERS], of.heights[LAYERS]), (0.0, 1.0));
        }
    }
}
