//! Whether a column's values fit its SQL type, so that the encoder never meets one that does not.

use std::fmt::Display;

use thiserror::Error;

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

/// What is wrong with a column; the text ends with the fix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ColumnFault {
    /// These values are never of that type.
    #[error("`{sql_type}` cannot hold {values} values; use {fix}")]
    Pair {
        /// Name of the values in a profile.
        values: &'static str,
        /// The column's type.
        sql_type: ColumnType,
        /// Types that can hold them.
        fix: &'static str,
    },
    /// The range is empty.
    #[error("{min_name} ({min}) is above {max_name} ({max}); swap them")]
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
    #[error("{value} is outside of `{sql_type}`, {low} to {high}; {fix}")]
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
    #[error("values have up to {chars} characters but `{sql_type}` holds {limit}; {fix}")]
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
    #[error("`prefix` holds a NUL character, which PostgreSQL text cannot; remove it")]
    Nul,
    /// A float bound or width is infinite or not a number.
    #[error("{min} to {max} is no finite range of `{sql_type}`; use finite bounds closer together")]
    NotFinite {
        /// Lower end.
        min: String,
        /// Upper end.
        max: String,
        /// The column's type.
        sql_type: ColumnType,
    },
    /// The probability is none.
    #[error("`true_ratio` is {0}, not a probability; use a number from 0 to 1")]
    Ratio(String),
    /// The type itself cannot be declared or generated.
    #[error("`{sql_type}` is not possible: {fact}; {fix}")]
    Type {
        /// The column's type.
        sql_type: ColumnType,
        /// Why.
        fact: &'static str,
        /// What to do.
        fix: &'static str,
    },
}

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
            fix: "use fewer partitions or a wider type",
        };
        Err(ColumnError { column: self.name.clone(), fault })
    }

    fn fault(&self) -> Result<(), ColumnFault> {
        use ColumnType as T;
        let sql_type = self.sql_type;
        possible(sql_type)?;
        let holds = |types: &'static str, holds: bool| {
            let pair = || ColumnFault::Pair { values: self.values.name(), sql_type, fix: types };
            holds.then_some(()).ok_or_else(pair)
        };
        match &self.values {
            Values::RowId => holds("bigint", sql_type == T::BigInt),
            Values::Partition => holds("smallint, integer or bigint", whole(sql_type)),
            Values::DueTime => holds(
                "timestamptz, timestamp or date",
                matches!(sql_type, T::TimestampTz | T::Timestamp | T::Date),
            ),
            Values::Label { prefix, min, max, .. } => {
                holds("text or varchar", text(sql_type))?;
                in_order("`min`", min, "`max`", max)?;
                if prefix.contains('\0') {
                    return Err(ColumnFault::Nul);
                }
                let digits = max.checked_ilog10().unwrap_or(0) + 1;
                let chars = prefix.chars().count() as u64 + u64::from(digits);
                short(chars, sql_type, "widen the column or shorten `prefix`")
            }
            Values::Integer { min, max, .. } => {
                let numeric = matches!(sql_type, T::Numeric { .. });
                holds("smallint, integer, bigint or numeric", whole(sql_type) || numeric)?;
                bounds([(*min).into(), (*max).into()], whole_limits(sql_type), sql_type)
            }
            Values::Decimal { min, max } => {
                let T::Numeric { precision, scale } = sql_type else {
                    return holds("numeric(precision,scale)", false);
                };
                let decimal = |units: i128| Decimal { units, scale };
                let limit = pow10(precision.min(MAX_SCALE)) as i128 - 1;
                let ends = [decimal((*min).into()), decimal((*max).into())];
                bounds(ends, [decimal(-limit), decimal(limit)], sql_type)
            }
            Values::Float { min, max } => {
                holds("real or double precision", matches!(sql_type, T::Real | T::Double))?;
                finite(*min, *max, sql_type)?;
                in_order("`min`", min, "`max`", max)
            }
            Values::Day { min, max, .. } => {
                holds("date", sql_type == T::Date)?;
                bounds([*min, *max], [DAY_MIN, DAY_MAX], sql_type)
            }
            Values::Text { min_chars, max_chars } => {
                holds("text or varchar", text(sql_type))?;
                in_order("`min_chars`", min_chars, "`max_chars`", max_chars)?;
                short((*max_chars).into(), sql_type, "widen the column or lower `max_chars`")
            }
            Values::Boolean { true_ratio } => {
                holds("boolean", sql_type == T::Boolean)?;
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
        (true, _) => (min, "raise `min` or use a wider type"),
        (_, true) => (max, "lower `max` or use a wider type"),
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
        min: min.to_string(),
        max: max.to_string(),
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
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (one, magnitude) = (pow10(self.scale), self.units.unsigned_abs());
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / one)?;
        match usize::from(self.scale) {
            0 => Ok(()),
            width => write!(f, ".{:0>width$}", magnitude % one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Pick;

    fn check(sql_type: ColumnType, values: Values) -> Result<(), String> {
        let column = Column { name: "c".into(), sql_type, values };
        column.check().map_err(|error| error.to_string())
    }

    fn refused(sql_type: ColumnType, values: Values) -> String {
        check(sql_type, values).unwrap_err()
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
        assert_eq!(
            refused(T::Integer, Values::RowId),
            "column `c`: `integer` cannot hold row_id values; use bigint"
        );
    }

    #[test]
    fn ranges_beyond_the_type_are_refused() {
        use ColumnType as T;
        let numeric = |precision, scale| T::Numeric { precision, scale };
        assert_eq!(
            refused(T::SmallInt, integer(-32_769, 5)),
            "column `c`: -32769 is outside of `smallint`, -32768 to 32767; raise `min` or use a \
             wider type"
        );
        assert_eq!(
            refused(T::Integer, integer(5, 4)),
            "column `c`: `min` (5) is above `max` (4); swap them"
        );
        assert_eq!(
            refused(numeric(5, 2), Values::Decimal { min: 0, max: 100_000 }),
            "column `c`: 1000.00 is outside of `numeric(5,2)`, -999.99 to 999.99; lower `max` or \
             use a wider type"
        );
        assert_eq!(
            refused(numeric(5, 2), integer(-1_000, 999)),
            "column `c`: -1000 is outside of `numeric(5,2)`, -999 to 999; raise `min` or use a \
             wider type"
        );
        assert_eq!(check(numeric(5, 5), integer(0, 0)), Ok(()));
        assert_eq!(check(numeric(1_000, 38), Values::Decimal { min: i64::MIN, max: 0 }), Ok(()));
        assert_eq!(
            refused(T::Date, Values::Day { min: 0, max: i32::MAX, pick: Pick::Random }),
            "column `c`: 2147483647 is outside of `date`, -2451545 to 2145031948; lower `max` or \
             use a wider type"
        );
    }

    #[test]
    fn texts_are_counted_in_characters() {
        use ColumnType as T;
        assert_eq!(check(T::Varchar(7), label("größe", 0, 99)), Ok(()));
        assert_eq!(
            refused(T::Varchar(7), label("größe", 0, 100)),
            "column `c`: values have up to 8 characters but `character varying(7)` holds 7; widen \
             the column or shorten `prefix`"
        );
        assert_eq!(check(T::Varchar(1), label("", 0, 0)), Ok(()));
        assert_eq!(
            refused(T::Text, label("a\0b", 0, 1)),
            "column `c`: `prefix` holds a NUL character, which PostgreSQL text cannot; remove it"
        );
        assert_eq!(
            refused(T::Varchar(7), Values::Text { min_chars: 0, max_chars: 8 }),
            "column `c`: values have up to 8 characters but `character varying(7)` holds 7; widen \
             the column or lower `max_chars`"
        );
    }

    #[test]
    fn floats_are_finite_and_probabilities_are_probabilities() {
        use ColumnType as T;
        let float = |min, max| Values::Float { min, max };
        assert_eq!(check(T::Double, float(-1e300, 1e300)), Ok(()));
        for (sql_type, values) in [
            (T::Double, float(f64::NAN, 1.0)),
            (T::Double, float(0.0, f64::INFINITY)),
            (T::Double, float(f64::MIN, f64::MAX)),
            (T::Real, float(0.0, 1e39)),
        ] {
            assert!(refused(sql_type, values).contains("no finite range"));
        }
        assert_eq!(
            refused(T::Boolean, Values::Boolean { true_ratio: 1.5 }),
            "column `c`: `true_ratio` is 1.5, not a probability; use a number from 0 to 1"
        );
        assert!(check(T::Boolean, Values::Boolean { true_ratio: f64::NAN }).is_err());
    }

    #[test]
    fn types_that_the_server_would_refuse_are_refused() {
        use ColumnType as T;
        for (sql_type, values) in [
            (T::Numeric { precision: 0, scale: 0 }, integer(0, 0)),
            (T::Numeric { precision: 1_001, scale: 0 }, integer(0, 0)),
            (T::Numeric { precision: 3, scale: 4 }, integer(0, 0)),
            (T::Numeric { precision: 50, scale: 39 }, integer(0, 0)),
            (T::Varchar(0), label("", 0, 0)),
            (T::Varchar(10_485_761), label("", 0, 0)),
        ] {
            assert!(refused(sql_type, values).contains("is not possible"));
        }
    }
}
