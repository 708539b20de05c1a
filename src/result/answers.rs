//! What comparing the answers of two arms came to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What comparing a query's answers came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AnswerHistory {
    /// Comparisons made.
    pub checks: u64,
    /// Comparisons that found a difference.
    pub different: u64,
    /// Comparisons that could not be made.
    pub failed: u64,
    /// Those of them since the last comparison that could be made: of answers of now nobody knows
    /// whether they are the same.
    #[serde(default)]
    pub failed_since: u64,
    /// Why the last of those could not.
    pub error: Option<String>,
    /// Why there was none, where one was to be made.
    #[serde(default)]
    pub not_compared: Option<String>,
    /// Rows of the first arm's last answer.
    pub rows: u64,
    /// Rows that differed where rows tie, over all comparisons.
    pub ties: u64,
    /// Rows that were taken for the same only since numbers in them that come from sums of floats are
    /// next to zero, over all comparisons.
    #[serde(default)]
    pub near_zero: u64,
    /// The columns of the answer whose order was compared: those of the query's outermost ORDER BY, or
    /// what the profile declares. Rows that tie in them may come in any order.
    #[serde(default)]
    pub ordered_by: Vec<String>,
    /// The values of the query's parameters in the last comparison, as text.
    #[serde(default, skip_serializing_if = "Row::is_empty")]
    pub values: Row,
    /// Largest relative difference of two numbers that were taken for the same.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub largest_difference: f64,
    /// Time that comparing cost, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub checks_s: f64,
    /// The first differing answers.
    pub differences: Vec<Comparison>,
    /// The answers of the timed executions, which were compared by digests; `None` on tables that do not
    /// stand still, if nobody wanted to know, if they came as text (the simple protocol), and in a sweep or a
    /// sequential order of a query with parameters.
    #[serde(default)]
    pub timed: Option<TimedAnswers>,
}

/// What comparing the answers of timed executions came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct TimedAnswers {
    /// Executions whose answers were compared.
    pub executions: u64,
    /// Executions with another answer than the first arm's; in a sweep, than the reference's.
    pub different: u64,
    /// What differs in the first of those.
    pub what: Option<String>,
    /// Columns of the answer that were left out, as of their types no digest is made, or as rows may tie.
    pub left_out: Vec<String>,
    /// Why they were not compared, if they were not.
    pub not_compared: Option<String>,
}

impl AnswerHistory {
    /// Whether any answers were found to differ.
    pub fn differ(&self) -> bool {
        self.different > 0 || self.timed.as_ref().is_some_and(|timed| timed.different > 0)
    }

    /// Whether it is known if the answers are the same: they were compared, and the last time, too.
    pub fn is_known(&self) -> bool {
        self.checks > 0 && self.failed_since == 0
    }
}

/// What comparing two answers came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnswersCompared")]
pub struct Comparison {
    /// Whether they are the same.
    pub same: bool,
    /// Rows of each.
    pub rows: [u64; 2],
    /// Rows that differ, but tie in the columns by which rows are chosen.
    pub ties: u64,
    /// Largest relative difference of two numbers that were taken for the same; of floats that are
    /// small beside others in their column, relative to a share of those.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub largest_difference: f64,
    /// Rows that were taken for the same only since numbers in them are next to zero.
    #[serde(default)]
    pub near_zero: u64,
    /// The columns whose order was compared.
    #[serde(default)]
    pub ordered_by: Vec<String>,
    /// The values of the query's parameters that it was asked with, as text.
    #[serde(default, skip_serializing_if = "Row::is_empty")]
    pub values: Row,
    /// The first place at which the order differs, where the rows are the same.
    #[serde(default)]
    pub order: Option<OutOfOrder>,
    /// Rows that only one of them has: how many.
    pub only: [u64; 2],
    /// The first of those, by column. Of columns with one name the second is `name (2)`, and so on.
    pub examples: [Vec<Row>; 2],
    /// Where all rows have partners but for numbers that come from floats and differ by little: by how much.
    #[serde(default)]
    pub nearly: Option<Nearly>,
    /// Whether rows that differ may tie: the query chooses some, as LIMIT does, and no `ties` are declared.
    #[serde(default)]
    pub may_tie: bool,
    /// The first tying rows that only the second has.
    #[serde(skip)]
    pub tied: Vec<Row>,
}

/// By how much numbers differ that may be noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AnswersNearly")]
pub struct Nearly {
    /// Of the greater number, at most; those next to zero count in `absolute` alone.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub relative: f64,
    /// At most.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub absolute: f64,
}

/// A row for people: each column's name and text.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// Where two answers with the same rows are ordered otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfOrder {
    /// The number of the row, from 1.
    pub row: u64,
    /// What the answers are ordered by, there in the first one and in the second.
    pub keys: [Row; 2],
}
