//! Statistics of measured durations: how much faster, how sure, and when to stop measuring.
//!
//! Pure functions of their input: no clock, no chance, no I/O, no other room. docs/statistics.md
//! says which methods, from where, and how well they hold in simulation.

mod best;
mod by_rows;
mod center;
mod dependence;
mod family;
mod forecast;
mod location;
mod noise_model;
mod outliers;
mod pair;
mod paired;
mod repeats;
mod stopping;
mod student;
mod trend;
mod welch;

pub use best::{Best, Combination, ROUNDS_MIN, best_of};
pub use by_rows::{AtRows, ByRows, ratio_by_rows};
pub use center::{median, quantile};
pub use dependence::autocorrelation_time;
pub use family::{holm, shown_together};
pub use forecast::{more_pairs, smallest_ratio};
pub use pair::{Estimate, PAIRS_LEAST, Pair, Settings};
pub use paired::{Comparison, Course, Repeats, TimesVerdict, paired_ratio};
pub use repeats::repeated_ratio;
pub use stopping::{Halt, HaltReason, Stopping};
pub use trend::{Slope, theil_sen};
pub use welch::{Apart, geometric_mean};
