//! Numbers by weight, in one draw each: alias tables.

/// Bits of a cell that hold the other number; the rest is what it is compared with.
const OTHER_BITS: u32 = 20;
const OTHER: u64 = (1 << OTHER_BITS) - 1;
/// Most numbers of a table.
pub(crate) const NUMBERS_MAX: u64 = 1 << OTHER_BITS;

/// More cells are a large table: of a megabyte.
const LARGE: usize = 1 << 17;

/// Draws a number from 0 on, each with a probability in proportion to its weight, exact to 2⁻⁴⁴
/// (Michael D. Vose, "A Linear Algorithm for Generating Random Numbers with a Given
/// Distribution", IEEE Transactions on Software Engineering 17(9), 1991, doi:10.1109/32.92917).
///
/// A number costs one draw and one look at a cell of eight bytes, however uneven the weights are.
#[derive(Debug, Clone)]
pub(super) struct Alias {
    /// Of each number: how much of its cell is its own, in 2⁻⁴⁴, and whose the rest is.
    cells: Box<[u64]>,
}

/// A cell of a table, and where in it, in 2⁻⁶⁴.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    number: u64,
    rest: u64,
}

impl Alias {
    /// From 1 to [`NUMBERS_MAX`] weights, none below 0, their sum above 0 and finite.
    pub(super) fn new(weights: &[f64]) -> Self {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut left: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
            (0..left.len()).partition(|number| left[*number] < 1.0);
        // All is its own until it gives something away.
        let mut cells: Vec<u64> = (0..left.len() as u64).map(|number| !OTHER | number).collect();
        let cell = |own: f64, other: usize| {
            let own = (own * (1_u64 << (u64::BITS - OTHER_BITS)) as f64) as u64;
            own << OTHER_BITS | other as u64
        };
        while let (Some(from), Some(to)) = (rich.last().copied(), poor.pop()) {
            cells[to] = cell(left[to], from);
            left[from] -= 1.0 - left[to];
            if left[from] < 1.0 {
                poor.extend(rich.pop());
            }
        }
        // What rounding left over is whole, or has no weight at all.
        let heaviest = (0..weights.len()).max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
        for number in poor.into_iter().filter(|number| weights[*number] <= 0.0) {
            cells[number] = cell(0.0, heaviest.unwrap_or(0));
        }
        Self { cells: cells.into() }
    }

    /// Whether it is larger than the caches of a core mostly are.
    pub(super) fn is_large(&self) -> bool {
        self.cells.len() > LARGE
    }

    /// The number that these random bits stand for.
    #[inline]
    pub(super) fn draw(&self, bits: u64) -> u64 {
        self.number(self.place(bits))
    }

    /// Where these random bits lead: to which cell, and where in it.
    #[inline]
    pub(super) fn place(&self, bits: u64) -> Place {
        let product = u128::from(bits) * self.cells.len() as u128;
        Place { number: (product >> 64) as u64, rest: product as u64 }
    }

    /// The number at a place.
    #[inline]
    pub(super) fn number(&self, Place { number, rest }: Place) -> u64 {
        let cell = self.cells[number as usize];
        if rest >> OTHER_BITS < cell >> OTHER_BITS { number } else { cell & OTHER }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The share of each number, from the table itself.
    fn shares(alias: &Alias) -> Vec<f64> {
        let cells = alias.cells.len() as f64;
        let mut shares = vec![0.0; alias.cells.len()];
        for (number, cell) in alias.cells.iter().enumerate() {
            let own = (cell >> OTHER_BITS) as f64 / (1_u64 << 44) as f64;
            shares[number] += own / cells;
            shares[(cell & OTHER) as usize] += (1.0 - own) / cells;
        }
        shares
    }

    proptest! {
        #[test]
        fn shares_are_the_weights(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-9..1e9_f64, 1.0..2.0_f64], 1..300)
        ) {
            let sum: f64 = weights.iter().sum();
            prop_assume!(sum > 0.0);
            for (share, weight) in shares(&Alias::new(&weights)).iter().zip(&weights) {
                prop_assert!((share - weight / sum).abs() < 1e-12, "{share} {}", weight / sum);
                prop_assert!(*weight > 0.0 || *share == 0.0);
            }
        }

        #[test]
        fn every_draw_is_a_number_of_the_table(bits: u64, count in 1..500_usize) {
            let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / rank as f64).collect();
            prop_assert!(Alias::new(&weights).draw(bits) < count as u64);
        }
    }
}
