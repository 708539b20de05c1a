//! Statistics of measured durations: how much faster, how sure, and when to stop measuring.
//!
//! Pure functions of their input and a seed: no clock, no I/O, no other room. docs/statistics.md
//! says which methods, from where, and how well they cover in simulation.

mod best;
mod bootstrap;
mod center;
mod dependence;
mod paired;
mod stopping;
mod student;
mod trend;

pub use best::{Best, Combination, best_of, rounds_min};
pub use center::{geometric_mean, median, quantile};
pub use dependence::{autocorrelation_time, effective_sample_size};
pub use paired::{Comparison, Pair, Settings, TimesVerdict, paired_ratio};
pub use stopping::{Halt, HaltReason, Stopping};
pub use trend::{Slope, theil_sen};
