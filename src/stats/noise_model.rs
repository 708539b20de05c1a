//! The noise that durations may have, and what is left of a series once a kind of noise is taken
//! into account.

/// How much of what moved one value is left in the next, in the models that are tried.
const PHI: [f64; 12] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];
/// From here on slow noise may hide below noise that is independent from value to value.
const HIDDEN_FROM: f64 = 0.55;
/// Shares of the variance that independent noise has in those models.
const INDEPENDENT: [f64; 4] = [0.05, 0.2, 0.4, 0.7];
/// Prior weight of a model with hidden slow noise; one without has 1.
const HIDDEN_WEIGHT: f64 = 0.2;

/// What is asked of a series: its level, a straight trend, a curve, and the values themselves.
pub(super) const COLUMNS: usize = 4;
/// The place of the values among the columns.
pub(super) const VALUES: usize = 3;

/// A noise model: a stationary AR(1) process, and independent noise on top of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoiseModel {
    /// Coefficient of the process.
    phi: f64,
    /// Share of the variance that is independent.
    independent: f64,
    /// Prior weight.
    pub(super) weight: f64,
}

/// The columns of a series after a filter that makes their noise independent.
pub(super) struct Whitened {
    /// Inner products of the columns; the upper triangle is filled.
    pub(super) products: [[f64; COLUMNS]; COLUMNS],
    /// Sum of the logarithms of the variances of what is new in each value.
    pub(super) log_variances: f64,
}

impl NoiseModel {
    /// All models that are tried.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        PHI.into_iter().flat_map(|phi| {
            let plain = Self { phi, independent: 0.0, weight: 1.0 };
            let hidden = INDEPENDENT.into_iter().filter(move |_| phi > HIDDEN_FROM);
            let hidden =
                hidden.map(move |independent| Self { independent, weight: HIDDEN_WEIGHT, ..plain });
            std::iter::once(plain).chain(hidden)
        })
    }

    /// The variance of a sum of many values, for each of them, as a multiple of their variance.
    pub(super) fn long_run(self) -> f64 {
        self.independent + (1.0 - self.independent) * (1.0 + self.phi) / (1.0 - self.phi)
    }

    /// Takes out of each value what the ones before it foretell (a Kalman filter).
    pub(super) fn whiten(self, rows: &[[f64; COLUMNS]]) -> Whitened {
        let Self { phi, independent, .. } = self;
        let slow = 1.0 - independent;
        let renewed = slow * (1.0 - phi * phi);
        let mut foretold = [0.0; COLUMNS];
        let mut variance = slow;
        let mut products = [[0.0; COLUMNS]; COLUMNS];
        let mut log_variances = 0.0;
        for row in rows {
            let total = variance + independent;
            let gain = variance / total;
            let mut news = [0.0; COLUMNS];
            for ((new, value), foretold) in news.iter_mut().zip(row).zip(&mut foretold) {
                *new = value - *foretold;
                *foretold = phi * (*foretold + gain * *new);
            }
            for (at, products) in products.iter_mut().enumerate() {
                for (product, other) in products.iter_mut().zip(&news).skip(at) {
                    *product += news[at] * other / total;
                }
            }
            log_variances += total.ln();
            variance = phi * phi * variance * (1.0 - gain) + renewed;
        }
        Whitened { products, log_variances }
    }
}
