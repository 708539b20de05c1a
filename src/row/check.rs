//! Whether a column's values fit its SQL type, so that the encoder never meets one that does not.

use std::borrow::Cow;
use std::fmt::{self, Display};

use thiserror::Error;

use super::ColumnType;
use super::day::{format_day, format_moment, format_time};
use super::numeric::{MAX_SCALE, pow10, units_text};

/// Most characters that PostgreSQL declares a `varchar` with.
const VARCHAR_CHARS_MAX: u32 = 10_485_760;
/// Most digits that PostgreSQL declares a `numeric` with.
const NUMERIC_PRECISION_MAX: u16 = 1_000;
/// Longest mean lateness of an event: a hundred years.
const LATENESS_MAX_S: f64 = 3_155_760_000.0;
/// Most texts of which one is chosen.
const CHOICES_MAX: usize = 65_536;
/// First day of PostgreSQL's `date`, 4713 BC, from 2000-01-01.
pub(super) const DAY_MIN: i32 = -2_451_545;
/// Last day of PostgreSQL's `date`, in the year 5874897, from 2000-01-01.
pub(super) const DAY_MAX: i32 = 2_145_031_948;

/// A column whose values its SQL type cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column `{column}`: {fault}")]
pub struct ColumnError {
    /// The column's name.
    pub column: String,
    /// What is wrong, and what would be right.
    pub fault: ColumnFault,
}

/// What is wrong with a column: a [fact](Self::fact) and its [fix](Self::fix).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnFault {
    /// These values are never of that type.
    Pair {
        /// Name of the values in a profile.
        values: &'static str,
        /// The column's type.
        sql_type: ColumnType,
        /// Types that can hold them.
        types: &'static str,
    },
    /// The range is empty.
    Reversed {
        /// Name of the lower end in a profile.
        min_name: &'static str,
        /// Lower end.
        min: String,
        /// Name of the upper end.
        max_name: &'static str,
        /// Upper end.
        max: String,
    },
    /// An end of the range is beyond the type.
    OutOfRange {
        /// The end of the range, or the value.
        value: String,
        /// The column's type.
        sql_type: ColumnType,
        /// Least value of the type.
        low: String,
        /// Largest value of the type.
        high: String,
        /// What to do.
        fix: &'static str,
    },
    /// The longest text does not fit.
    TooLong {
        /// Characters of the longest value.
        chars: u64,
        /// The column's type.
        sql_type: ColumnType,
        /// Characters that the type holds.
        limit: u32,
        /// What to do.
        fix: &'static str,
    },
    /// PostgreSQL text has no NUL character.
    Nul,
    /// A float bound or width is infinite or not a number.
    NotFinite {
        /// Lower end.
        min: String,
        /// Upper end.
        max: String,
        /// The column's type.
        sql_type: ColumnType,
    },
    /// The probability is none.
    Ratio(String),
    /// A setting of the generator is out of its bounds.
    Setting {
        /// What is wrong.
        fact: String,
        /// What to do.
        fix: Cow<'static, str>,
    },
    /// The type itself cannot be declared or generated.
    Type {
        /// The column's type.
        sql_type: ColumnType,
        /// Why.
        fact: &'static str,
        /// What to do.
        fix: &'static str,
    },
}

impl ColumnFault {
    /// What is wrong.
    pub fn fact(&self) -> String {
        match self {
            Self::Pair { values, sql_type, .. } => {
                format!("`{values}` values do not fit type {sql_type}")
            }
            Self::Reversed { min_name, min, max_name, max } => {
                format!("{min_name} ({min}) is above {max_name} ({max})")
            }
            Self::OutOfRange { value, sql_type, low, high, .. } => {
                format!("{value} is outside of {sql_type}, which holds {low} to {high}")
            }
            Self::TooLong { chars, sql_type, limit, .. } => {
                format!("values have up to {chars} characters, and {sql_type} holds {limit}")
            }
            Self::Nul => "a text holds a NUL character, which PostgreSQL text cannot".to_owned(),
            Self::NotFinite { min, max, sql_type } => {
                format!("{min} to {max} is not a finite range of {sql_type}")
            }
            Self::Setting { fact, .. } => fact.clone(),
            Self::Ratio(ratio) => format!("`true_ratio` is {ratio}, which is not a probability"),
            Self::Type { sql_type, fact, .. } => format!("{sql_type} is not possible: {fact}"),
        }
    }

    /// What would be right.
    pub fn fix(&self) -> String {
        match self {
            Self::Pair { sql_type: ColumnType::Array(_), .. } => {
                "use `array` with these values within: { array = { of = …, length = … } }"
                    .to_owned()
            }
            Self::Pair { types, .. } => format!("use type {types}, or other values"),
            Self::Reversed { .. } => "swap them".to_owned(),
            Self::Nul => "delete it".to_owned(),
            Self::NotFinite { .. } => "write finite numbers, closer together".to_owned(),
            Self::Ratio(_) => "write a number from 0 to 1".to_owned(),
            Self::Setting { fix, .. } => fix.to_string(),
            Self::OutOfRange { fix, .. } | Self::TooLong { fix, .. } | Self::Type { fix, .. } => {
                (*fix).to_owned()
            }
        }
    }
}

impl Display for ColumnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fact(), self.fix())
    }
}

impl std::error::Error for ColumnFault {}

pub(super) fn whole(sql_type: ColumnType) -> bool {
    matches!(sql_type, ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt)
}

pub(super) fn text(sql_type: ColumnType) -> bool {
    matches!(sql_type, ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Char(_))
}

pub(super) fn possible(sql_type: ColumnType) -> Result<(), ColumnFault> {
    let refused = |fact, fix| Err(ColumnFault::Type { sql_type, fact, fix });
    match sql_type {
        ColumnType::Array(element) => possible(element.into()),
        ColumnType::Numeric { precision, .. }
            if !(1..=NUMERIC_PRECISION_MAX).contains(&precision) =>
        {
            refused("PostgreSQL has 1 to 1000 digits", "use a precision in that range")
        }
        ColumnType::Numeric { precision, scale } if scale > precision => {
            refused("the scale is above the precision", "raise the precision or lower the scale")
        }
        ColumnType::Numeric { scale, .. } if scale > MAX_SCALE => {
            refused("generated values have at most 38 decimals", "lower the scale")
        }
        ColumnType::Varchar(chars) | ColumnType::Char(chars)
            if !(1..=VARCHAR_CHARS_MAX).contains(&chars) =>
        {
            refused(
                "PostgreSQL has 1 to 10485760 characters",
                "use a length in that range, or text",
            )
        }
        _ => Ok(()),
    }
}

pub(super) fn in_order<T: PartialOrd + Display>(
    min_name: &'static str,
    min: &T,
    max_name: &'static str,
    max: &T,
) -> Result<(), ColumnFault> {
    if min <= max {
        return Ok(());
    }
    Err(ColumnFault::Reversed { min_name, min: min.to_string(), max_name, max: max.to_string() })
}

pub(super) fn bounds<T: PartialOrd + Display>(
    [min, max]: [T; 2],
    [low, high]: [T; 2],
    sql_type: ColumnType,
) -> Result<(), ColumnFault> {
    in_order("`min`", &min, "`max`", &max)?;
    let (value, fix) = match (min < low, max > high) {
        (true, _) => (min, "raise `min`, or use a wider type"),
        (_, true) => (max, "lower `max`, or use a wider type"),
        _ => return Ok(()),
    };
    let [value, low, high] = [value, low, high].map(|end| end.to_string());
    Err(ColumnFault::OutOfRange { value, sql_type, low, high, fix })
}

/// Least and largest whole number of an integer type or a numeric.
pub(super) fn whole_limits(sql_type: ColumnType) -> [i128; 2] {
    match sql_type {
        ColumnType::SmallInt => [i16::MIN.into(), i16::MAX.into()],
        ColumnType::Integer => [i32::MIN.into(), i32::MAX.into()],
        ColumnType::Numeric { precision, scale } => {
            let high = pow10((precision - scale).min(MAX_SCALE)) as i128 - 1;
            [-high, high]
        }
        _ => [i64::MIN.into(), i64::MAX.into()],
    }
}

pub(super) fn short(
    chars: u64,
    sql_type: ColumnType,
    fix: &'static str,
) -> Result<(), ColumnFault> {
    match sql_type {
        ColumnType::Varchar(limit) | ColumnType::Char(limit) if chars > u64::from(limit) => {
            Err(ColumnFault::TooLong { chars, sql_type, limit, fix })
        }
        _ => Ok(()),
    }
}

/// Whether not all of what there is may be NULL.
pub(super) fn share_of_nulls(ratio: f64, fix: &'static str) -> Result<(), ColumnFault> {
    let fact = || format!("`null_ratio` is {ratio:?}, which is no share below 1");
    let fault = || ColumnFault::Setting { fact: fact(), fix: fix.into() };
    (0.0..1.0).contains(&ratio).then_some(()).ok_or_else(fault)
}

/// The texts that one is chosen of, and their weights.
pub(super) fn choice(
    of: &[String],
    weights: &[f64],
    others: Option<f64>,
) -> Result<(), ColumnFault> {
    let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
    if of.is_empty() || of.len() > CHOICES_MAX {
        let fact = format!("`of` has {} values", of.len());
        return fault(fact, "list from 1 to 65536 of them");
    }
    if of.iter().any(|text| text.contains('\0')) {
        return Err(ColumnFault::Nul);
    }
    weighed(("of", of.len()), weights, others)
}

/// How often each of some things comes, whose key and number are given, and the others: as many weights as
/// things, or none.
pub(super) fn weighed(
    (key, count): (&str, usize),
    weights: &[f64],
    others: Option<f64>,
) -> Result<(), ColumnFault> {
    let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
    if !weights.is_empty() && weights.len() != count {
        let fact = format!("`{key}` has {count} values, and `weights` {}", weights.len());
        return fault(fact, "write a weight for each value");
    }
    let even = if weights.is_empty() { count as f64 } else { 0.0 };
    let weights = || weights.iter().copied().chain(others);
    let sum = weights().sum::<f64>() + even;
    if weights().any(|weight| !weight.is_finite() || weight < 0.0) || !sum.is_finite() {
        return fault("a weight is below 0 or not finite".to_owned(), "write numbers from 0 on");
    }
    if sum <= 0.0 {
        return fault("no weight is above 0".to_owned(), "write one above 0");
    }
    Ok(())
}

/// How many events come late, and how late.
pub(super) fn lateness(late_ratio: f64, mean_s: f64) -> Result<(), ColumnFault> {
    let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
    if !(0.0..=1.0).contains(&late_ratio) {
        let fact = format!("`late_ratio` is {late_ratio:?}, which is no share");
        return fault(fact, "write a number from 0 to 1");
    }
    if !(0.0..=LATENESS_MAX_S).contains(&mean_s) {
        let fact = format!("`mean_lateness_s` is {mean_s:?}");
        return fault(fact, "write seconds from 0 to 3155760000, a hundred years");
    }
    Ok(())
}

pub(super) fn finite(min: f64, max: f64, sql_type: ColumnType) -> Result<(), ColumnFault> {
    let width = max - min;
    let finite = match sql_type {
        ColumnType::Real => [min as f32, max as f32].iter().all(|bound| bound.is_finite()),
        _ => min.is_finite() && max.is_finite() && width.is_finite(),
    };
    finite.then_some(()).ok_or_else(|| ColumnFault::NotFinite {
        // {:?} writes 1e300 and not its 301 digits.
        min: format!("{min:?}"),
        max: format!("{max:?}"),
        sql_type,
    })
}

/// `units` × 10⁻ˢᶜᵃˡᵉ, shown as people write it.
#[derive(PartialEq, PartialOrd)]
pub(super) struct Decimal {
    pub(super) units: i128,
    pub(super) scale: u16,
}

impl Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units_text(self.units, self.scale))
    }
}

/// A day, shown as people write it.
#[derive(PartialEq, PartialOrd)]
pub(super) struct Day(pub(super) i32);

impl Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_day(self.0))
    }
}

/// A moment, shown as people write it.
#[derive(PartialEq, PartialOrd)]
pub(super) struct Moment(pub(super) i64);

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_moment(self.0))
    }
}

/// A time of day, shown as people write it.
#[derive(PartialEq, PartialOrd)]
pub(super) struct Time(pub(super) i64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_time(self.0))
    }
}
