//! Whether a column's values fit its SQL type, so that the encoder never meets one that does not.

use std::fmt::{self, Display};

use thiserror::Error;

use super::day::format_day;
use super::numeric::{MAX_SCALE, pow10};
use super::{Column, ColumnType, Values};

/// Most characters that PostgreSQL declares a `varchar` with.
const VARCHAR_CHARS_MAX: u32 = 10_485_760;
/// Most digits that PostgreSQL declares a `numeric` with.
const NUMERIC_PRECISION_MAX: u16 = 1_000;
/// First day of PostgreSQL's `date`, 4713 BC, from 2000-01-01.
const DAY_MIN: i32 = -2_451_545;
/// Last day of PostgreSQL's `date`, in the year 5874897, from 2000-01-01.
const DAY_MAX: i32 = 2_145_031_948;

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
            Self::Nul => "`prefix` holds a NUL character, which PostgreSQL text cannot".to_owned(),
            Self::NotFinite { min, max, sql_type } => {
                format!("{min} to {max} is not a finite range of {sql_type}")
            }
            Self::Ratio(ratio) => format!("`true_ratio` is {ratio}, which is not a probability"),
            Self::Type { sql_type, fact, .. } => format!("{sql_type} is not possible: {fact}"),
        }
    }

    /// What would be right.
    pub fn fix(&self) -> String {
        match self {
            Self::Pair { types, .. } => format!("use type {types}, or other values"),
            Self::Reversed { .. } => "swap them".to_owned(),
            Self::Nul => "delete it".to_owned(),
            Self::NotFinite { .. } => "write finite numbers, closer together".to_owned(),
            Self::Ratio(_) => "write a number from 0 to 1".to_owned(),
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

impl Column {
    /// Whether the column's SQL type can hold every one of its values.
    pub fn check(&self) -> Result<(), ColumnError> {
        self.fault().map_err(|fault| ColumnError { column: self.name.clone(), fault })
    }

    /// Whether the column's SQL type can hold the partition's number, if the column shows it.
    pub(crate) fn check_partition(&self, partition: u32) -> Result<(), ColumnError> {
        let [low, high] = whole_limits(self.sql_type).map(|limit| limit.to_string());
        if self.values != Values::Partition
            || i128::from(partition) <= whole_limits(self.sql_type)[1]
        {
            return Ok(());
        }
        let fault = ColumnFault::OutOfRange {
            value: format!("partition {partition}"),
            sql_type: self.sql_type,
            low,
            high,
            fix: "use fewer partitions, or a wider type",
        };
        Err(ColumnError { column: self.name.clone(), fault })
    }

    fn fault(&self) -> Result<(), ColumnFault> {
        use ColumnType as T;
        let sql_type = self.sql_type;
        possible(sql_type)?;
        let holds = |types: &'static str, holds: bool| {
            let pair = || ColumnFault::Pair { values: self.values.name(), sql_type, types };
            holds.then_some(()).ok_or_else(pair)
        };
        match &self.values {
            Values::RowId => holds("`bigint`", sql_type == T::BigInt),
            Values::Partition => holds("`smallint`, `integer` or `bigint`", whole(sql_type)),
            Values::DueTime => holds(
                "`timestamptz`, `timestamp` or `date`",
                matches!(sql_type, T::TimestampTz | T::Timestamp | T::Date),
            ),
            Values::Label { prefix, min, max, .. } => {
                holds("`text` or `varchar(50)`", text(sql_type))?;
                in_order("`min`", min, "`max`", max)?;
                if prefix.contains('\0') {
                    return Err(ColumnFault::Nul);
                }
                let digits = max.checked_ilog10().unwrap_or(0) + 1;
                let chars = prefix.chars().count() as u64 + u64::from(digits);
                short(chars, sql_type, "shorten `prefix`, or use a wider type")
            }
            Values::Integer { min, max, .. } => {
                let numeric = matches!(sql_type, T::Numeric { .. });
                holds(
                    "`smallint`, `integer`, `bigint` or `numeric(15,2)`",
                    whole(sql_type) || numeric,
                )?;
                bounds([(*min).into(), (*max).into()], whole_limits(sql_type), sql_type)
            }
            Values::Decimal { min, max } => {
                let T::Numeric { precision, scale } = sql_type else {
                    return holds("`numeric(15,2)`", false);
                };
                let decimal = |units: i128| Decimal { units, scale };
                let limit = pow10(precision.min(MAX_SCALE)) as i128 - 1;
                let ends = [decimal((*min).into()), decimal((*max).into())];
                bounds(ends, [decimal(-limit), decimal(limit)], sql_type)
            }
            Values::Float { min, max } => {
                holds("`real` or `double precision`", matches!(sql_type, T::Real | T::Double))?;
                finite(*min, *max, sql_type)?;
                in_order("`min`", min, "`max`", max)
            }
            Values::Day { min, max, .. } => {
                holds("`date`", sql_type == T::Date)?;
                bounds([Day(*min), Day(*max)], [DAY_MIN, DAY_MAX].map(Day), sql_type)
            }
            Values::Text { min_chars, max_chars } => {
                holds("`text` or `varchar(50)`", text(sql_type))?;
                in_order("`min_chars`", min_chars, "`max_chars`", max_chars)?;
                short((*max_chars).into(), sql_type, "lower `max_chars`, or use a wider type")
            }
            Values::Boolean { true_ratio } => {
                holds("`boolean`", sql_type == T::Boolean)?;
                let ratio = (0.0..=1.0).contains(true_ratio);
                ratio.then_some(()).ok_or_else(|| ColumnFault::Ratio(true_ratio.to_string()))
            }
        }
    }
}

impl Values {
    /// The name in a profile.
    fn name(&self) -> &'static str {
        match self {
            Self::RowId => "row_id",
            Self::Partition => "partition",
            Self::DueTime => "due_time",
            Self::Label { .. } => "label",
            Self::Integer { .. } => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Float { .. } => "float",
            Self::Day { .. } => "day",
            Self::Text { .. } => "text",
            Self::Boolean { .. } => "boolean",
        }
    }
}

fn whole(sql_type: ColumnType) -> bool {
    matches!(sql_type, ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt)
}

fn text(sql_type: ColumnType) -> bool {
    matches!(sql_type, ColumnType::Text | ColumnType::Varchar(_))
}

fn possible(sql_type: ColumnType) -> Result<(), ColumnFault> {
    let refused = |fact, fix| Err(ColumnFault::Type { sql_type, fact, fix });
    match sql_type {
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
        ColumnType::Varchar(chars) if !(1..=VARCHAR_CHARS_MAX).contains(&chars) => refused(
            "PostgreSQL has 1 to 10485760 characters",
            "use a length in that range, or text",
        ),
        _ => Ok(()),
    }
}

fn in_order<T: PartialOrd + Display>(
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

fn bounds<T: PartialOrd + Display>(
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
fn whole_limits(sql_type: ColumnType) -> [i128; 2] {
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

fn short(chars: u64, sql_type: ColumnType, fix: &'static str) -> Result<(), ColumnFault> {
    match sql_type {
        ColumnType::Varchar(limit) if chars > u64::from(limit) => {
            Err(ColumnFault::TooLong { chars, sql_type, limit, fix })
        }
        _ => Ok(()),
    }
}

fn finite(min: f64, max: f64, sql_type: ColumnType) -> Result<(), ColumnFault> {
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
struct Decimal {
    units: i128,
    scale: u16,
}

impl Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, magnitude) = (pow10(self.scale), self.units.unsigned_abs());
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / one)?;
        match usize::from(self.scale) {
            0 => Ok(()),
            width => write!(f, ".{:0>width$}", magnitude % one),
        }
    }
}

/// A day, shown as people write it.
#[derive(PartialEq, PartialOrd)]
struct Day(i32);

impl Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_day(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Pick;

    fn check(sql_type: ColumnType, values: Values) -> Result<(), ColumnError> {
        Column { name: "c".to_owned(), sql_type, values }.check()
    }

    fn fits(sql_type: ColumnType, values: Values) -> bool {
        check(sql_type, values).is_ok()
    }

    fn integer(min: i64, max: i64) -> Values {
        Values::Integer { min, max, pick: Pick::Random }
    }

    fn label(prefix: &str, min: u64, max: u64) -> Values {
        Values::Label { prefix: prefix.into(), min, max, pick: Pick::Random }
    }

    #[test]
    fn each_kind_of_values_has_its_types() {
        use ColumnType as T;
        let types = [
            T::SmallInt,
            T::Integer,
            T::BigInt,
            T::Real,
            T::Double,
            T::Numeric { precision: 9, scale: 2 },
            T::Text,
            T::Varchar(9),
            T::Boolean,
            T::Date,
            T::Timestamp,
            T::TimestampTz,
        ];
        let kinds = [
            (Values::RowId, "bigint"),
            (Values::Partition, "smallint integer bigint"),
            (Values::DueTime, "date timestamp without time zone timestamp with time zone"),
            (label("a", 1, 2), "text character varying(9)"),
            (integer(1, 2), "smallint integer bigint numeric(9,2)"),
            (Values::Decimal { min: 1, max: 2 }, "numeric(9,2)"),
            (Values::Float { min: 1.0, max: 2.0 }, "real double precision"),
            (Values::Day { min: 1, max: 2, pick: Pick::Random }, "date"),
            (Values::Text { min_chars: 1, max_chars: 2 }, "text character varying(9)"),
            (Values::Boolean { true_ratio: 0.5 }, "boolean"),
        ];
        for (values, expected) in kinds {
            let good = types.iter().filter(|sql_type| check(**sql_type, values.clone()).is_ok());
            let good: Vec<String> = good.map(ToString::to_string).collect();
            assert_eq!(good.join(" "), expected, "{values:?}");
        }
    }

    #[test]
    fn a_range_may_fill_its_type_and_no_more() {
        let integer = |min, max| Values::Integer { min, max, pick: Pick::Random };
        assert!(fits(ColumnType::SmallInt, integer(-32_768, 32_767)));
        assert!(!fits(ColumnType::SmallInt, integer(-32_768, 32_768)));
        assert!(fits(ColumnType::BigInt, integer(i64::MIN, i64::MAX)));
        assert!(!fits(ColumnType::BigInt, integer(1, 0)));
        let numeric = ColumnType::Numeric { precision: 4, scale: 2 };
        assert!(fits(numeric, Values::Decimal { min: -9_999, max: 9_999 }));
        assert!(!fits(numeric, Values::Decimal { min: 0, max: 10_000 }));
        let label =
            || Values::Label { prefix: "é_".to_owned(), min: 1, max: 10, pick: Pick::Cycle };
        assert!(fits(ColumnType::Varchar(4), label()));
        assert!(!fits(ColumnType::Varchar(3), label()));
    }

    #[test]
    fn floats_are_finite_and_fit() {
        let float = |min, max| Values::Float { min, max };
        assert!(fits(ColumnType::Double, float(0.0, 1e300)));
        assert!(!fits(ColumnType::Real, float(0.0, 1e300)));
        assert!(!fits(ColumnType::Double, float(f64::MIN, f64::MAX)));
        assert!(!fits(ColumnType::Double, float(f64::NAN, 1.0)));
        assert!(!fits(ColumnType::Boolean, Values::Boolean { true_ratio: f64::NAN }));
    }

    #[test]
    fn a_fault_says_the_fact_and_the_fix() {
        let said = |sql_type, values| check(sql_type, values).unwrap_err().to_string();
        let day = |min, max| Values::Day { min, max, pick: Pick::Random };
        let label = |prefix: &str| Values::Label {
            prefix: prefix.to_owned(),
            min: 1,
            max: 100,
            pick: Pick::Random,
        };
        let faults = [
            said(ColumnType::Text, Values::Partition),
            said(ColumnType::Date, day(1, 0)),
            said(ColumnType::Date, day(-3_000_000, 0)),
            said(
                ColumnType::Numeric { precision: 4, scale: 2 },
                Values::Decimal { min: -10_000, max: 0 },
            ),
            said(ColumnType::Varchar(5), label("category_")),
            said(ColumnType::Text, label("\0")),
            said(ColumnType::Real, Values::Float { min: 0.0, max: 1e300 }),
            said(ColumnType::Boolean, Values::Boolean { true_ratio: 1.5 }),
            said(ColumnType::Varchar(0), label("")),
        ];
        insta::assert_snapshot!(faults.join("\n"), @r"
        column `c`: `partition` values do not fit type text; use type `smallint`, `integer` or `bigint`, or other values
        column `c`: `min` (2000-01-02) is above `max` (2000-01-01); swap them
        column `c`: -6214-04-12 is outside of date, which holds -4713-11-24 to 5874897-12-31; raise `min`, or use a wider type
        column `c`: -100.00 is outside of numeric(4,2), which holds -99.99 to 99.99; raise `min`, or use a wider type
        column `c`: values have up to 12 characters, and character varying(5) holds 5; shorten `prefix`, or use a wider type
        column `c`: `prefix` holds a NUL character, which PostgreSQL text cannot; delete it
        column `c`: 0.0 to 1e300 is not a finite range of real; write finite numbers, closer together
        column `c`: `true_ratio` is 1.5, which is not a probability; write a number from 0 to 1
        column `c`: character varying(0) is not possible: PostgreSQL has 1 to 10485760 characters; use a length in that range, or text
        ");
    }
}
