//! Where the values of a column come from, and which types can hold them.

use serde::Serialize;

use super::check::{
    ColumnError, ColumnFault, DAY_MAX, DAY_MIN, Day, Decimal, bounds, choice, finite, in_order,
    possible, short, text, whole, whole_limits,
};
use super::numeric::{MAX_SCALE, pow10};
use super::pick::{Choosing, Pick};
use super::{Column, ColumnType};

#[cfg(test)]
mod tests;

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The row's identity: unique and dense in its partition.
    RowId,
    /// The partition's number.
    Partition,
    /// The moment the row was due, to the microsecond.
    DueTime,
    /// `prefix` followed by a whole number from `min` to `max`.
    Label {
        /// Text before the number.
        prefix: String,
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
        /// How the number is chosen.
        pick: Pick,
    },
    /// A whole number from `min` to `max`.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// How it is chosen.
        pick: Pick,
    },
    /// An exact decimal, in units of the column's scale (1234 in a scale of 2 is 12.34).
    Decimal {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// How it is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
    },
    /// A floating-point number in `min..max`.
    Float {
        /// Smallest.
        min: f64,
        /// Largest, not included.
        max: f64,
        /// How it is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
    },
    /// A day, in days from 2000-01-01.
    Day {
        /// First.
        min: i32,
        /// Last.
        max: i32,
        /// How it is chosen.
        pick: Pick,
    },
    /// Random lower-case letters and digits.
    Text {
        /// Fewest characters.
        min_chars: u32,
        /// Most characters.
        max_chars: u32,
    },
    /// True with the given probability.
    Boolean {
        /// Probability of true, from 0 to 1.
        true_ratio: f64,
    },
    /// One of some texts.
    Choice {
        /// The texts.
        of: Vec<String>,
        /// How often each comes, in proportion; all alike if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64>,
    },
}

impl Column {
    /// Whether the column's SQL type can hold every one of its values.
    pub fn check(&self) -> Result<(), ColumnError> {
        self.values
            .fault(self.sql_type)
            .and_then(|()| self.null_fault())
            .map_err(|fault| ColumnError { column: self.name.clone(), fault })
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

    fn null_fault(&self) -> Result<(), ColumnFault> {
        let fault = |fact, fix| Err(ColumnFault::Setting { fact, fix });
        if !(0.0..1.0).contains(&self.null_ratio) {
            let fact = format!("`null_ratio` is {:?}, which is no share below 1", self.null_ratio);
            return fault(fact, "write a number from 0 to below 1, or leave the column out");
        }
        let is_role = matches!(self.values, Values::RowId | Values::Partition | Values::DueTime);
        if is_role && self.null_ratio > 0.0 {
            let fact = format!("`{}` values are never NULL", self.values.name());
            return fault(fact, "delete `null_ratio`");
        }
        Ok(())
    }
}

impl Values {
    /// Whether the SQL type can hold every one of the values.
    fn fault(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        use ColumnType as T;
        possible(sql_type)?;
        let holds = |types: &'static str, holds: bool| {
            let pair = || ColumnFault::Pair { values: self.name(), sql_type, types };
            holds.then_some(()).ok_or_else(pair)
        };
        match self {
            Values::RowId => holds("`bigint`", sql_type == T::BigInt),
            Values::Partition => holds("`smallint`, `integer` or `bigint`", whole(sql_type)),
            Values::DueTime => holds(
                "`timestamptz`, `timestamp` or `date`",
                matches!(sql_type, T::TimestampTz | T::Timestamp | T::Date),
            ),
            Values::Label { prefix, min, max, pick } => {
                holds("`text` or `varchar(50)`", text(sql_type))?;
                in_order("`min`", min, "`max`", max)?;
                pick.check(Choosing::Ranks((max - min).checked_add(1)))?;
                if prefix.contains('\0') {
                    return Err(ColumnFault::Nul);
                }
                let digits = max.checked_ilog10().unwrap_or(0) + 1;
                let chars = prefix.chars().count() as u64 + u64::from(digits);
                short(chars, sql_type, "shorten `prefix`, or use a wider type")
            }
            Values::Integer { min, max, pick } => {
                let numeric = matches!(sql_type, T::Numeric { .. });
                holds(
                    "`smallint`, `integer`, `bigint` or `numeric(15,2)`",
                    whole(sql_type) || numeric,
                )?;
                bounds([(*min).into(), (*max).into()], whole_limits(sql_type), sql_type)?;
                pick.check(Choosing::Numbers(max.abs_diff(*min).checked_add(1)))
            }
            Values::Decimal { min, max, pick } => {
                let T::Numeric { precision, scale } = sql_type else {
                    return holds("`numeric(15,2)`", false);
                };
                let decimal = |units: i128| Decimal { units, scale };
                let limit = pow10(precision.min(MAX_SCALE)) as i128 - 1;
                let ends = [decimal((*min).into()), decimal((*max).into())];
                bounds(ends, [decimal(-limit), decimal(limit)], sql_type)?;
                pick.check(Choosing::Numbers(max.abs_diff(*min).checked_add(1)))
            }
            Values::Float { min, max, pick } => {
                holds("`real` or `double precision`", matches!(sql_type, T::Real | T::Double))?;
                finite(*min, *max, sql_type)?;
                in_order("`min`", min, "`max`", max)?;
                pick.check(Choosing::Uncounted)
            }
            Values::Day { min, max, pick } => {
                holds("`date`", sql_type == T::Date)?;
                bounds([Day(*min), Day(*max)], [DAY_MIN, DAY_MAX].map(Day), sql_type)?;
                pick.check(Choosing::Ranks(
                    Some(max.abs_diff(*min).into()).map(|days: u64| days + 1),
                ))
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
            Values::Choice { of, weights } => {
                holds("`text` or `varchar(50)`", text(sql_type))?;
                choice(of, weights)?;
                let longest = of.iter().map(|text| text.chars().count() as u64).max();
                short(longest.unwrap_or(0), sql_type, "shorten the longest, or use a wider type")
            }
        }
    }

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
            Self::Choice { .. } => "choice",
        }
    }

    /// How many values there are, roughly.
    pub(crate) fn distinct(&self) -> f64 {
        match self {
            Self::RowId | Self::DueTime | Self::Float { .. } => f64::INFINITY,
            Self::Partition => 1.0,
            Self::Label { min, max, .. } => (max - min) as f64 + 1.0,
            Self::Integer { min, max, .. } | Self::Decimal { min, max, .. } => {
                *max as f64 - *min as f64 + 1.0
            }
            Self::Day { min, max, .. } => f64::from(*max) - f64::from(*min) + 1.0,
            Self::Text { max_chars, .. } => 36_f64.powf(f64::from(*max_chars)),
            Self::Boolean { .. } => 2.0,
            Self::Choice { of, .. } => of.len() as f64,
        }
    }
}
