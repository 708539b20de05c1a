//! Where the values of a column come from, and which types can hold them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::check::{
    ColumnFault, DAY_MAX, DAY_MIN, Day, Decimal, Moment, Time, bounds, finite, in_order, lateness,
    possible, share_of_nulls, short, text, whole, whole_limits,
};
use super::day::DAY_US;
use super::numeric::{MAX_SCALE, pow10};
use super::pick::{Choosing, Pick};
use super::random::ELEMENTS_MAX;
use super::{Column, ColumnType, Network, Pattern, Sample, is_zero};
use super::{choice, histogram, literal};

#[cfg(test)]
mod tests;
mod within;

/// Types whose values can be chosen of some.
const CHOSEN: &str = "`text`, `varchar(50)`, `char(8)`, `integer`, `bigint`, `smallint`, `numeric(15,2)`, \
                      `real`, `double precision`, `boolean`, `date`, `time`, `timestamptz`, `timestamp`, `uuid` or `inet`";
/// Types whose values can be taken from a file.
const IN_FILES: &str = "`text`, `varchar(50)`, `char(8)`, `integer`, `bigint`, `smallint`, `numeric(15,2)`, `real`, \
                        `double precision`, `boolean`, `date`, `time`, `timestamptz`, `timestamp`, `uuid`, `inet` or \
                        `bytea`";
/// Types whose values have a measure.
const MEASURED: &str = "`integer`, `bigint`, `smallint`, `numeric(15,2)`, `real`, `double precision`, `date`, `time`, \
                        `timestamptz` or `timestamp`";
/// What arrays are of.
const ARRAYS: &str = "`integer[]`, `text[]` or another array";

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
    /// A moment, in microseconds from 2000-01-01 UTC.
    Timestamp {
        /// First.
        min_us: i64,
        /// Last.
        max_us: i64,
        /// How it is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
    },
    /// A number or a moment, drawn along a histogram.
    Histogram {
        /// The ends of its buckets in their order, as text.
        bounds: Vec<String>,
        /// How often each bucket comes, in proportion; all alike if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64>,
        /// How many different values there are at most; `None`: as many as the type has.
        #[serde(skip_serializing_if = "Option::is_none")]
        distinct: Option<u64>,
        /// How it is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
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
    /// One of some values.
    Choice {
        /// The values, as text.
        of: Vec<String>,
        /// How often each comes, in proportion; all alike if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        weights: Vec<f64>,
        /// What comes where none of them does.
        #[serde(skip_serializing_if = "Option::is_none")]
        others: Option<Box<Others>>,
        /// How it is chosen: at random, or one behind the other.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
    },
    /// One of the values of a file's column.
    File {
        /// The file. Wherever it is, with the same content it has the same values.
        #[serde(skip)]
        path: String,
        /// The column's name there.
        column: String,
        /// What tells the file's content from another's.
        fingerprint: String,
        /// How a row of the file is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
        /// The values.
        #[serde(skip)]
        sample: Sample,
    },
    /// One of the keys of another table.
    Reference {
        /// The table, as a profile names it.
        table: String,
        /// Its column.
        column: String,
        /// How a key is chosen.
        #[serde(skip_serializing_if = "Pick::is_random")]
        pick: Pick,
        /// The last key that counts, in their order; `None`: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        last: Option<String>,
        /// What tells the keys from others, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// The keys in their order; `None`: no server was asked.
        #[serde(skip)]
        keys: Option<Sample>,
    },
    /// A random UUID, version 4.
    Uuid,
    /// A UUID that begins with the moment the row was due, version 7.
    UuidV7,
    /// The moment the row was due, or a while before.
    EventTime {
        /// Share of events that come late.
        late_ratio: f64,
        /// How late those come on average, seconds.
        mean_lateness_s: f64,
    },
    /// A time of day, in microseconds since midnight.
    Time {
        /// First.
        min_us: i64,
        /// Last.
        max_us: i64,
    },
    /// Random bytes.
    Bytes {
        /// Fewest.
        min_bytes: u32,
        /// Most.
        max_bytes: u32,
    },
    /// An address within a network.
    Inet {
        /// The network.
        network: Network,
    },
    /// A text with placeholders.
    Pattern(Pattern),
    /// An array.
    Array(Box<Elements>),
    /// Values that depend on those of another column.
    Conditional(Conditional),
}

/// Values that depend on those of another column of the row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conditional {
    /// The other column.
    pub on: String,
    /// What comes where it has a value, by the text of that.
    pub of: BTreeMap<String, Values>,
    /// What comes where it has none of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Box<Values>>,
}

impl Conditional {
    /// Each entry, the last one for what is not in `of`.
    pub(super) fn each(&self) -> impl Iterator<Item = &Values> {
        self.of.values().chain(self.others.as_deref())
    }
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Elements {
    /// What each of them is.
    pub of: Values,
    /// How many there are: a whole number, from a range or along a histogram.
    pub length: Values,
    /// Probability that one of them is NULL, from 0 up to, but not including, 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub null_ratio: f64,
}

/// The values that come beside those that one is chosen of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Others {
    /// How often one of them comes, in the proportion of the weights.
    pub weight: f64,
    /// What they are.
    pub values: Values,
}

impl Elements {
    /// One of them as a column, of a column of arrays.
    pub(crate) fn element(&self, column: &Column) -> Column {
        let sql_type = column.sql_type.element().unwrap_or(column.sql_type);
        Column::new(&column.name, sql_type, self.of.clone()).with_nulls(self.null_ratio)
    }

    /// The fewest and the most; `None` if no number of them is said.
    pub(super) fn lengths(&self) -> Option<[i64; 2]> {
        match &self.length {
            Values::Integer { min, max, .. } => Some([*min, *max]),
            Values::Histogram { bounds, .. } => {
                let end = |bound: Option<&String>| bound?.parse().ok();
                Some([end(bounds.first())?, end(bounds.last())?])
            }
            _ => None,
        }
    }

    /// Whether they can be elements of this type.
    fn fault(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
        if !matches!(self.length, Values::Integer { .. } | Values::Histogram { .. }) {
            let fact = format!("`length` cannot be `{}`", self.length.name());
            return fault(fact, "use integer or histogram: { integer = { min = 0, max = 5 } }");
        }
        self.length.fault(ColumnType::Integer)?;
        let [least, most] = self.lengths().unwrap_or([0, 0]);
        if least < 0 || most > ELEMENTS_MAX as i64 {
            let fact = format!("`length` goes from {least} to {most}");
            return fault(fact, "an array has from 0 to 65536 elements");
        }
        share_of_nulls(self.null_ratio, "write a number from 0 to below 1")?;
        if self.of.follow_rows() {
            let fact = "elements are drawn, and not chosen in the order of the rows".to_owned();
            return fault(fact, "use \"random\", zipf or a distribution");
        }
        self.of.fault_within("of", sql_type, "conditional")
    }
}

impl Others {
    /// Whether they can come beside values of this type that one is chosen of.
    fn fault(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        self.values.fault_within("others", sql_type, "choice")
    }
}

impl Conditional {
    /// Whether each entry can be one of values of this type.
    fn fault(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        if self.of.is_empty() {
            return Err(ColumnFault::Setting {
                fact: "`of` has no values".to_owned(),
                fix: "write those of each value of the other column".into(),
            });
        }
        let of = self.of.values().map(|values| ("of", values));
        for (key, values) in of.chain(self.others.iter().map(|values| ("others", &**values))) {
            if values.reference().is_some() {
                return Err(ColumnFault::Setting {
                    fact: format!("`{key}` refers to the keys of a table"),
                    fix: "let a column of its own be a `reference`, and use other values here"
                        .into(),
                });
            }
            values.fault_within(key, sql_type, "")?;
        }
        Ok(())
    }
}

impl Values {
    /// Whether the SQL type can hold every one of the values.
    pub(super) fn fault(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        use ColumnType as T;
        possible(sql_type)?;
        let holds = |types, holds| self.held(sql_type, types, holds);
        match self {
            Values::RowId => holds("`bigint` or `uuid`", matches!(sql_type, T::BigInt | T::Uuid)),
            Values::Partition => holds("`smallint`, `integer` or `bigint`", whole(sql_type)),
            Values::DueTime => holds(
                "`timestamptz`, `timestamp` or `date`",
                matches!(sql_type, T::TimestampTz | T::Timestamp | T::Date),
            ),
            Values::Label { prefix, min, max, pick } => {
                holds("`text`, `varchar(50)` or `char(8)`", text(sql_type))?;
                in_order("`min`", min, "`max`", max)?;
                pick.check(Choosing::Ranks((max - min).checked_add(1)))?;
                if prefix.contains('\0') {
                    return Err(ColumnFault::Nul);
                }
                let digits = max.checked_ilog10().unwrap_or(0) + 1;
                let chars = prefix.chars().count() as u64 + u64::from(digits);
                short(chars, sql_type, "shorten `prefix`, or use a wider type")
            }
            Values::Integer { .. } | Values::Decimal { .. } | Values::Float { .. } => {
                self.fault_of_numbers(sql_type)
            }
            Values::Day { min, max, pick } => {
                holds("`date`", sql_type == T::Date)?;
                bounds([Day(*min), Day(*max)], [DAY_MIN, DAY_MAX].map(Day), sql_type)?;
                pick.check(Choosing::Ranks(
                    Some(max.abs_diff(*min).into()).map(|days: u64| days + 1),
                ))
            }
            Values::Timestamp { min_us, max_us, pick } => {
                holds(
                    "`timestamptz` or `timestamp`",
                    matches!(sql_type, T::TimestampTz | T::Timestamp),
                )?;
                in_order("`min`", &Moment(*min_us), "`max`", &Moment(*max_us))?;
                pick.check(Choosing::Ranks(max_us.abs_diff(*min_us).checked_add(1)))
            }
            Values::Histogram { bounds, weights, distinct, pick } => {
                holds(MEASURED, literal::is_measured(sql_type))?;
                pick.check(Choosing::Weighed)?;
                histogram::check(bounds, weights, *distinct, sql_type)
            }
            Values::Text { min_chars, max_chars } => {
                holds("`text`, `varchar(50)` or `char(8)`", text(sql_type))?;
                in_order("`min_chars`", min_chars, "`max_chars`", max_chars)?;
                short((*max_chars).into(), sql_type, "lower `max_chars`, or use a wider type")
            }
            Values::Boolean { true_ratio } => {
                holds("`boolean`", sql_type == T::Boolean)?;
                let ratio = (0.0..=1.0).contains(true_ratio);
                ratio.then_some(()).ok_or_else(|| ColumnFault::Ratio(true_ratio.to_string()))
            }
            Values::Choice { of, weights, others, pick } => {
                holds(CHOSEN, sql_type.is_written())?;
                let weight = others.as_ref().map(|others| others.weight);
                choice::check(of, weights, (weight, pick), sql_type)?;
                others.as_deref().map_or(Ok(()), |others| others.fault(sql_type))
            }
            Values::File { pick, sample, .. } => {
                holds(IN_FILES, sql_type.is_in_files())?;
                short(sample.chars(), sql_type, "use a wider type")?;
                pick.check(Choosing::Ranks(Some(sample.count())))
            }
            Values::Reference { pick, keys, .. } => {
                holds(CHOSEN, sql_type.is_written())?;
                short(keys.as_ref().map_or(0, Sample::chars), sql_type, "use a wider type")?;
                pick.check(Choosing::Ranks(Some(keys.as_ref().map_or(1, Sample::count))))
            }
            Values::Uuid | Values::UuidV7 => holds("`uuid`", sql_type == T::Uuid),
            Values::EventTime { late_ratio, mean_lateness_s } => {
                holds(
                    "`timestamptz` or `timestamp`",
                    matches!(sql_type, T::TimestampTz | T::Timestamp),
                )?;
                lateness(*late_ratio, *mean_lateness_s)
            }
            Values::Time { min_us, max_us } => {
                holds("`time`", sql_type == T::Time)?;
                bounds([Time(*min_us), Time(*max_us)], [Time(0), Time(DAY_US)], sql_type)
            }
            Values::Bytes { min_bytes, max_bytes } => {
                holds("`bytea`", sql_type == T::Bytea)?;
                in_order("`min_bytes`", min_bytes, "`max_bytes`", max_bytes)
            }
            Values::Inet { .. } => holds("`inet`", sql_type == T::Inet),
            Values::Pattern(pattern) => {
                holds(
                    "`text`, `varchar(50)`, `char(8)`, `json` or `jsonb`",
                    text(sql_type) || matches!(sql_type, T::Json | T::Jsonb),
                )?;
                short(pattern.chars_max(), sql_type, "shorten the pattern, or use a wider type")
            }
            Values::Conditional(own) => own.fault(sql_type),
            Values::Array(elements) => match sql_type.element() {
                None => holds(ARRAYS, false),
                Some(element) => elements.fault(element),
            },
        }
    }

    /// The same of numbers from a range.
    fn fault_of_numbers(&self, sql_type: ColumnType) -> Result<(), ColumnFault> {
        use ColumnType as T;
        let holds = |types, holds| self.held(sql_type, types, holds);
        match self {
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
            _ => Ok(()),
        }
    }

    fn held(
        &self,
        sql_type: ColumnType,
        types: &'static str,
        held: bool,
    ) -> Result<(), ColumnFault> {
        let pair = || ColumnFault::Pair { values: self.name(), sql_type, types };
        held.then_some(()).ok_or_else(pair)
    }

    /// Whether they can be a part of other values, under this key; not those of one more generator.
    fn fault_within(&self, key: &str, sql_type: ColumnType, not: &str) -> Result<(), ColumnFault> {
        let is_of_row = matches!(self, Self::RowId | Self::Partition | Self::Conditional(_));
        if is_of_row || self.is_of_due_time() || self.name() == not {
            return Err(ColumnFault::Setting {
                fact: format!("`{key}` cannot be `{}`", self.name()),
                fix: "use a generator such as label or integer".into(),
            });
        }
        self.fault(sql_type)
    }

    /// How they are chosen, where that can be said.
    fn pick(&self) -> Option<&Pick> {
        match self {
            Self::Label { pick, .. }
            | Self::Integer { pick, .. }
            | Self::Decimal { pick, .. }
            | Self::Float { pick, .. }
            | Self::Day { pick, .. }
            | Self::Timestamp { pick, .. }
            | Self::Histogram { pick, .. }
            | Self::Choice { pick, .. }
            | Self::File { pick, .. }
            | Self::Reference { pick, .. } => Some(pick),
            _ => None,
        }
    }

    /// The name in a profile.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RowId => "row_id",
            Self::Partition => "partition",
            Self::DueTime => "due_time",
            Self::Label { .. } => "label",
            Self::Integer { .. } => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Float { .. } => "float",
            Self::Day { .. } => "day",
            Self::Timestamp { .. } => "timestamp",
            Self::Histogram { .. } => "histogram",
            Self::Text { .. } => "text",
            Self::Boolean { .. } => "boolean",
            Self::Choice { .. } => "choice",
            Self::File { .. } => "file",
            Self::Reference { .. } => "reference",
            Self::Uuid => "uuid",
            Self::UuidV7 => "uuid_v7",
            Self::EventTime { .. } => "event_time",
            Self::Time { .. } => "time",
            Self::Bytes { .. } => "bytes",
            Self::Inet { .. } => "inet",
            Self::Pattern(_) => "pattern",
            Self::Array(_) => "array",
            Self::Conditional(_) => "conditional",
        }
    }

    /// Whether they are made of the moment at which the row was due.
    pub(crate) fn is_of_due_time(&self) -> bool {
        matches!(self, Self::DueTime | Self::EventTime { .. } | Self::UuidV7)
    }

    /// All values that there are, where they are listed.
    pub(crate) fn listed(&self) -> Option<Vec<&str>> {
        match self {
            Self::Choice { of, others: None, .. } => Some(of.iter().map(String::as_str).collect()),
            Self::Boolean { .. } => Some(vec!["false", "true"]),
            Self::Conditional(own) => {
                let each: Option<Vec<Vec<&str>>> = own.each().map(Self::listed).collect();
                Some(each?.concat())
            }
            _ => None,
        }
    }
}
