//! Columns and where their values come from, as their author wrote them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Located, Number, Whole};

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name as in the table.
    pub name: Option<Located<String>>,
    /// SQL type, such as "bigint", "numeric(15,2)" or "timestamptz".
    #[serde(rename = "type")]
    pub sql_type: Option<Located<String>>,
    /// Where the values come from.
    pub values: Option<Located<Values>>,
    /// Probability of NULL, from 0 to below 1. Default: 0, and the column is NOT NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_ratio: Option<Number>,
}

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// SQL type, such as "bigint", "numeric(15,2)" or "text".
    #[serde(rename = "type")]
    pub sql_type: Option<Located<String>>,
    /// Where the values come from. None that follow from the row of a stream.
    pub values: Option<Located<Values>>,
    /// Probability of NULL, from 0 to below 1. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_ratio: Option<Number>,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The row's identity. As a bigint it is unique and dense in its partition, or in the whole table where rows have
    /// none; as a uuid (version 8, streams only) it carries the run and that number. One column of a stream has it,
    /// unless `identity` is "none" or a text has the number within a pattern; at most one of a table, where it
    /// counts from 1.
    RowId,
    /// The partition's number (integer), from 0. At most one column of a stream has it; without one the table
    /// is loaded as it is.
    Partition,
    /// The moment the row of a stream was due.
    DueTime,
    /// A prefix followed by a whole number.
    Label(Label),
    /// A whole number.
    Integer(Integer),
    /// An exact decimal number.
    Decimal(Decimal),
    /// A floating-point number.
    Float(Float),
    /// A day.
    Day(Day),
    /// A moment from a range.
    Timestamp(Timestamp),
    /// A number or moment, drawn along a histogram.
    Histogram(Histogram),
    /// Random lower-case letters and digits.
    Text(Text),
    /// True or false.
    Boolean(Boolean),
    /// One of some values.
    Choice(Choice),
    /// One of the values of a file's column.
    File(File),
    /// One of the keys of another table, as they are when a run begins.
    Reference(Reference),
    /// A random UUID, version 4.
    Uuid,
    /// A UUID that begins with the moment the row of a stream was due, version 7.
    UuidV7,
    /// When something happened: the moment the row of a stream was due, or a while before.
    EventTime(EventTime),
    /// A time of day.
    Time(TimeOfDay),
    /// Random bytes.
    Bytes(Bytes),
    /// An address within a network.
    Inet(Inet),
    /// A text with placeholders, such as "order-{digits:6}", or a JSON document with them.
    Pattern(String),
    /// An array.
    Array(Array),
    /// Values that depend on those of another column of the row.
    Conditional(Conditional),
}

/// Values that depend on those of another column of the row.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditional {
    /// The other column: one with `boolean`, with `choice` without `others`, or that depends on such a one.
    pub on: Option<String>,
    /// Where the values come from for each value of the other column, such as
    /// `{ DE = { choice = { of = ["Berlin", "Hamburg"], weights = [3, 1] } } }`.
    pub of: Option<BTreeMap<String, Values>>,
    /// Where they come from for values of the other column that are not in `of`. Default: all are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Box<Values>>,
}

/// An array of one dimension.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Array {
    /// What each element is, such as `{ integer = { min = 1, max = 100 } }`. None that follow from the row.
    pub of: Option<Box<Values>>,
    /// How many elements there are, from 0 to 65,536: `integer` or `histogram`.
    pub length: Option<Box<Values>>,
    /// Probability that an element is NULL, from 0 to below 1. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_ratio: Option<Number>,
}

/// When something happened. Most events come at once, some late.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventTime {
    /// Share of events that come late, from 0 to 1.
    pub late_ratio: Option<Number>,
    /// How late those come, on average, in seconds; exponentially distributed.
    pub mean_lateness_s: Option<Number>,
}

/// A time of day.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeOfDay {
    /// First, such as "08:00:00".
    pub min: Option<String>,
    /// Last, such as "18:00:00".
    pub max: Option<String>,
}

/// Random bytes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Fewest.
    pub min_bytes: Option<Whole>,
    /// Most.
    pub max_bytes: Option<Whole>,
}

/// An address within a network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inet {
    /// The network, such as "10.0.0.0/8" or "2001:db8::/32".
    pub network: Option<String>,
}

/// A prefix followed by a whole number.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Text before the number.
    pub prefix: Option<String>,
    /// Smallest number.
    pub min: Option<Whole>,
    /// Largest number.
    pub max: Option<Whole>,
    /// How the number is chosen. Default: "random".
    pub pick: Option<Pick>,
}

/// A whole number.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Integer {
    /// Smallest.
    pub min: Option<Whole>,
    /// Largest.
    pub max: Option<Whole>,
    /// How it is chosen. Default: "random".
    pub pick: Option<Pick>,
}

/// An exact decimal number; in quotes, because TOML's numbers are binary.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decimal {
    /// Smallest, such as "10.00".
    pub min: Option<String>,
    /// Largest, such as "10000.00".
    pub max: Option<String>,
    /// How it is chosen. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// A floating-point number.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Float {
    /// Smallest.
    pub min: Option<Number>,
    /// Largest, not included.
    pub max: Option<Number>,
    /// How it is chosen: not in turn or by rank. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// First, such as "2023-01-01".
    pub min: Option<String>,
    /// Last, such as "2023-12-31".
    pub max: Option<String>,
    /// How it is chosen. Default: "random".
    pub pick: Option<Pick>,
}

/// A moment from a range.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// First, such as "2026-01-01 00:00"; of a timestamptz in UTC, or with an offset such as +02 behind it.
    pub min: Option<String>,
    /// Last, such as "2026-12-31 23:59:59.999999".
    pub max: Option<String>,
    /// How it is chosen: not by a distribution of numbers. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// A histogram of numbers or moments: buckets that come as often as told, and in each all values alike.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// The ends of the buckets in their order, as text, such as `["0", "10", "25", "1000"]`. A bound that is
    /// there twice is a bucket of one value.
    pub bounds: Option<Vec<String>>,
    /// How often each bucket comes, in proportion: one weight less than bounds. Default: all alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<Number>>,
    /// How many different values there are, at equal shares of the histogram. Default: as many as fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Whole>,
    /// How it is chosen: "random", ascending or descending. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// Random lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Fewest characters.
    pub min_chars: Option<Whole>,
    /// Most characters.
    pub max_chars: Option<Whole>,
}

/// True or false.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boolean {
    /// Probability of true, from 0 to 1.
    pub true_ratio: Option<Number>,
}

/// One of some values.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The values, as text, such as `["new", "paid", "sent"]`, or `["1", "7"]` of a number.
    pub of: Option<Vec<String>>,
    /// How often each comes, in proportion, such as [1, 5, 20]. Default: all alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<Number>>,
    /// What comes where none of them does, such as `{ label = { … } }`. Default: nothing else comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Box<Values>>,
    /// How often one of the others comes, in the proportion of `weights`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others_weight: Option<Number>,
    /// How it is chosen: "random", or ascending or descending in the order of `of`; not beside `others`.
    /// Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// The values of a column of a file: CSV, with the names of the columns in its first line and an empty value for NULL, or
/// Arrow IPC in its file or stream format. Of a file of more than 64 MiB only with `pick = "cycle"`, and its values are read
/// as they are sent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file, from the profile's folder on.
    pub path: Option<String>,
    /// The column's name there.
    pub column: Option<String>,
    /// How a row of the file is chosen: at random, in turn or by rank. Columns with "cycle" take the same row, so
    /// that whole rows come again and again. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// What tells the file's content from another's. A result has it; where it is written, a file with
    /// other content is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// The keys of another table: the values of one of its columns, each once and in their order, without NULL. They are
/// read before a run, and stay what they are. Only in columns of a stream and in parameters of its readers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The table, with its schema or by `search_path`.
    pub table: Option<String>,
    /// Its column.
    pub column: Option<String>,
    /// How a key is chosen: at random, in turn or by rank. Default: "random".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
    /// The last key that counts, as text: those behind it are left out. Default: none; of more than 1,048,576 keys
    /// the first ones count. A result has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// What tells the keys from others. A result has it; where it is written, other keys are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// How a value is chosen from its range.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Uniformly at random.
    Random,
    /// In turn by row: min, min + 1 … max, min … In a table, row i has min + i modulo the number
    /// of values.
    Cycle,
    /// In the order of the rows, from the smallest to the largest: over so many rows once, then again.
    Ascending(InOrder),
    /// In the order of the rows, from the largest to the smallest.
    Descending(InOrder),
    /// By rank, so that a few values are hot: labels, whole numbers, decimals, days and timestamps.
    Zipf(Zipf),
    /// By the normal distribution: whole numbers, decimals and floats.
    Normal(Normal),
    /// By the lognormal distribution, many small and a few large: the same types.
    Lognormal(Lognormal),
    /// By the exponential distribution, from `min` on: the same types.
    Exponential(Exponential),
}

/// Values in the order of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InOrder {
    /// Over how many rows they go from one end to the other, from 1 to 1,000,000,000.
    pub rows: Option<Whole>,
}

/// Shares that fall with the rank of a value.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zipf {
    /// The value of rank r has a share in proportion to 1 ÷ r to this power, above 0 and at most 20.
    pub exponent: Option<Number>,
}

/// A normal distribution. What lies outside of `min` to `max` becomes its nearest end.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normal {
    /// Its middle.
    pub mean: Option<Number>,
    /// Its standard deviation.
    pub sd: Option<Number>,
}

/// A lognormal distribution. What lies outside of `min` to `max` becomes its nearest end.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    /// Half of the values lie below it.
    pub median: Option<Number>,
    /// Standard deviation of the values' natural logarithm.
    pub sigma: Option<Number>,
}

/// An exponential distribution. What lies above `max` becomes `max`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// Mean distance from `min`.
    pub scale: Option<Number>,
}
