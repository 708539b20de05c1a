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
    /// Why the last of those could not.
    pub error: Option<String>,
    /// Why there was none, where one was to be made.
    #[serde(default)]
    pub not_compared: Option<String>,
    /// Rows of the first arm's last answer.
    pub rows: u64,
    /// Rows that differed where rows tie, over all comparisons.
    pub ties: u64,
    /// Largest relative difference of two numbers that were taken for the same.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub largest_difference: f64,
    /// Time that comparing cost, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub checks_s: f64,
    /// The first differing answers.
    pub differences: Vec<Comparison>,
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
    /// Largest relative difference of two numbers that were taken for the same.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub largest_difference: f64,
    /// Rows that only one of them has: how many.
    pub only: [u64; 2],
    /// The first of those, by column.
    pub examples: [Vec<Row>; 2],
    /// The first tying rows that only the second has.
    #[serde(skip)]
    pub tied: Vec<Row>,
}

/// A row for people: each column's name and text.
pub(crate) type Row = BTreeMap<String, Option<String>>;
