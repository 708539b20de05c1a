//! How a value is chosen from its range: evenly, in turn, or by a distribution.

use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};

use super::alias::{Alias, NUMBERS_MAX};
use super::check::ColumnFault;
use super::elementary::{exp, ln};
use super::random::{Steps, scale};
use super::ziggurat::{EXPONENTIAL, NORMAL, Ziggurat};
use crate::random::output;

/// Most rows over which values go in order: with more the steps between them would not be even.
pub(crate) const ROWS_MAX: u64 = 1_000_000_000;
/// Largest exponent of a Zipf distribution: beyond it the first rank is nearly all.
const EXPONENT_MAX: f64 = 20.0;
/// What the order of ranks is drawn from. It never changes, so a hot value is the same in every
/// run, partition and column.
const ORDER_KEY: u64 = 0x6f72_6465_7265_6421;

/// How a value is chosen from its range.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Uniformly at random.
    #[default]
    Random,
    /// In turn by row sequence: min, min + 1 … max, min …
    Cycle,
    /// In order by row sequence: from the smallest to the largest over so many rows, and again.
    Ascending {
        /// How many.
        rows: u64,
    },
    /// The same from the largest to the smallest.
    Descending {
        /// How many.
        rows: u64,
    },
    /// By rank: the value of rank r has a share in proportion to r to the power of −exponent.
    Zipf(Zipf),
    /// By the normal distribution. What lies outside of the range becomes its nearest end.
    Normal {
        /// Its middle.
        mean: f64,
        /// Its standard deviation.
        sd: f64,
    },
    /// By the lognormal distribution. What lies outside of the range becomes its nearest end.
    Lognormal {
        /// Half of the values lie below it.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// By the exponential distribution, from `min` on. What lies above `max` becomes `max`.
    Exponential {
        /// Mean distance from `min`.
        scale: f64,
    },
}

/// What a column can do with its values, which decides how they may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choosing {
    /// They are so many, and have no measure. `None`: 2⁶⁴.
    Ranks(Option<u64>),
    /// They are so many, and numbers.
    Numbers(Option<u64>),
    /// They are numbers, and cannot be counted.
    Uncounted,
    /// How often they come is said otherwise.
    Weighed,
}

impl Pick {
    /// Whether it is the one that a profile need not name.
    pub(super) fn is_random(&self) -> bool {
        *self == Self::Random
    }

    /// Whether the value follows from the row's number.
    pub(super) fn follows_rows(&self) -> bool {
        matches!(self, Self::Cycle | Self::Ascending { .. } | Self::Descending { .. })
    }

    /// Whether values of this kind can be chosen so.
    pub(super) fn check(&self, choosing: Choosing) -> Result<(), ColumnFault> {
        let fault =
            |fact: String, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
        let positive = |name: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => fault(
                format!("`{name}` is {value:?}, which is no finite number above 0"),
                "write one above 0",
            ),
        };
        match (self, choosing) {
            (Self::Ascending { rows } | Self::Descending { rows }, _) => {
                match (1..=ROWS_MAX).contains(rows) {
                    true => Ok(()),
                    false => fault(
                        format!("`rows` is {rows}, which is not from 1 to {ROWS_MAX}"),
                        "write over how many rows the values go from one end to the other",
                    ),
                }
            }
            (Self::Random, _) | (Self::Cycle, Choosing::Ranks(_) | Choosing::Numbers(_)) => Ok(()),
            (Self::Zipf(zipf), Choosing::Ranks(count) | Choosing::Numbers(count)) => {
                let Zipf { exponent, .. } = zipf;
                if !(*exponent > 0.0 && *exponent <= EXPONENT_MAX) {
                    return fault(
                        format!("`exponent` is {exponent:?}, which is not above 0 and at most 20"),
                        "write one such as 1.0",
                    );
                }
                match count {
                    Some(1..=NUMBERS_MAX) => Ok(()),
                    _ => fault(
                        format!("`zipf` ranks at most {NUMBERS_MAX} values, and these are more"),
                        "narrow the range from `min` to `max`",
                    ),
                }
            }
            (Self::Cycle | Self::Zipf(_), Choosing::Uncounted) => fault(
                "floating-point numbers cannot be chosen in turn or by rank".to_owned(),
                "use \"random\", ascending, descending, normal, lognormal or exponential",
            ),
            (_, Choosing::Weighed) => fault(
                "how often each comes is said by the choice or histogram itself".to_owned(),
                "use \"random\", ascending or descending",
            ),
            (_, Choosing::Ranks(_)) => fault(
                "labels, days and timestamps are not chosen by a distribution of numbers"
                    .to_owned(),
                "use \"random\", \"cycle\", ascending, descending or zipf",
            ),
            (Self::Normal { mean, sd }, _) => match mean.is_finite() {
                true => positive("sd", *sd),
                false => fault(format!("`mean` is {mean:?}"), "write a finite number"),
            },
            (Self::Lognormal { median, sigma }, _) => {
                positive("median", *median).and_then(|()| positive("sigma", *sigma))
            }
            (Self::Exponential { scale }, _) => positive("scale", *scale),
        }
    }
}

/// Shares that fall with the rank: a few values are hot, and most are rare.
///
/// Which value has which rank is drawn once for each number of values and stays. Clones share
/// the table that is drawn from, which is made when the first is asked.
#[derive(Debug, Clone)]
pub struct Zipf {
    exponent: f64,
    table: Arc<OnceLock<(u64, Arc<Alias>)>>,
}

impl Zipf {
    /// With shares in proportion to 1 ÷ rank to the power of `exponent`.
    pub fn new(exponent: f64) -> Self {
        Self { exponent, table: Arc::default() }
    }

    /// The exponent.
    pub fn exponent(&self) -> f64 {
        self.exponent
    }

    /// Whether so many values can have shares by rank; `None`: 2⁶⁴.
    pub(super) fn takes(&self, values: Option<u64>) -> bool {
        self.exponent > 0.0
            && self.exponent <= EXPONENT_MAX
            && matches!(values, Some(1..=NUMBERS_MAX))
    }

    /// The table of `values` values, from 1 to [`NUMBERS_MAX`].
    pub(super) fn table(&self, values: u64) -> Arc<Alias> {
        let made = self.table.get_or_init(|| (values, Arc::new(self.make(values))));
        match made.0 == values {
            true => Arc::clone(&made.1),
            // Of another column, which was made of a clone.
            false => Arc::new(self.make(values)),
        }
    }

    fn make(&self, values: u64) -> Alias {
        let weight = |rank: u64| exp(-self.exponent * ln(rank as f64));
        let mut weights: Vec<f64> = (1..=values).map(weight).collect();
        // Fisher and Yates' shuffle.
        for last in (1..weights.len()).rev() {
            let other = scale(output(ORDER_KEY, last as u64), last as u64 + 1);
            weights.swap(last, other as usize);
        }
        Alias::new(&weights)
    }
}

impl PartialEq for Zipf {
    fn eq(&self, other: &Self) -> bool {
        self.exponent == other.exponent
    }
}

impl Serialize for Zipf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("exponent", self.exponent)])
    }
}

/// Values in the order of the rows, over so many of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    rows: u64,
    steps: Steps,
    descends: bool,
}

impl Order {
    /// Of a pick; `None` where values do not follow the rows so.
    pub(super) fn of(pick: &Pick) -> Option<Self> {
        let (rows, descends) = match pick {
            Pick::Ascending { rows } => (*rows, false),
            Pick::Descending { rows } => (*rows, true),
            _ => return None,
        };
        Some(Self { rows, steps: Steps::new(rows), descends })
    }

    /// What the row has in place of random bits: its place among the rows, in 2⁻⁶⁴.
    #[inline]
    pub(super) fn bits(self, seq: u64) -> u64 {
        let bits = self.steps.middle(seq % self.rows);
        if self.descends { !bits } else { bits }
    }
}

/// A distribution of numbers, in the units of the column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Distribution {
    Normal { mean: f64, sd: f64, of: &'static Ziggurat },
    Lognormal { median: f64, sigma: f64, of: &'static Ziggurat },
    Exponential { min: f64, scale: f64, of: &'static Ziggurat },
}

impl Distribution {
    /// Of a pick whose numbers have `units` units each; `None` where it has no distribution.
    pub(super) fn new(pick: &Pick, min: f64, units: f64) -> Option<Self> {
        Some(match pick {
            Pick::Random
            | Pick::Cycle
            | Pick::Ascending { .. }
            | Pick::Descending { .. }
            | Pick::Zipf(_) => return None,
            Pick::Normal { mean, sd } => {
                Self::Normal { mean: mean * units, sd: sd * units, of: &NORMAL }
            }
            Pick::Lognormal { median, sigma } => {
                Self::Lognormal { median: median * units, sigma: *sigma, of: &NORMAL }
            }
            Pick::Exponential { scale } => Self::exponential(min, scale * units),
        })
    }

    /// The exponential one from `min` on, with this mean distance from it.
    pub(super) fn exponential(min: f64, scale: f64) -> Self {
        Self::Exponential { min, scale, of: &EXPONENTIAL }
    }

    /// The number of a row with these random bits. May be infinite.
    #[expect(
        clippy::inline_always,
        reason = "as a call it costs a lognormal value half as much again"
    )]
    #[inline(always)]
    pub(super) fn draw(self, bits: u64) -> f64 {
        match self {
            Self::Normal { mean, sd, of } => mean + sd * of.draw_signed(bits),
            Self::Lognormal { median, sigma, of } => median * exp(sigma * of.draw_signed(bits)),
            Self::Exponential { min, scale, of } => min + scale * of.draw(bits),
        }
    }
}
