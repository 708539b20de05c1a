//! The arms of a comparison, and how their plans and answers are looked at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Located, Number, SettingValue};

/// One way of running each query.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Settings of the session, such as `{ max_parallel_workers_per_gather = 0 }`. What only the
    /// other arm sets stays at its default.
    pub set: Option<BTreeMap<String, SettingValue>>,
}

/// How the plans and answers of the arms are looked at.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Seconds between two looks at the plans; the first is before the first query. Default: 30.
    pub plans_every_s: Option<Located<Number>>,
    /// Whether plans are taken with ANALYZE, which runs the query. Default: false.
    pub analyze: Option<bool>,
    /// Whether the answers of a query's two arms are compared. Default: true.
    pub check_answers: Option<Located<bool>>,
    /// Seconds between two comparisons during a run; each takes the next query. Default: 60.
    pub answers_every_s: Option<Located<Number>>,
}

/// What of two answers is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// The rows, in the order of the outermost ORDER BY.
    Rows,
    /// Only how many they are.
    Count,
    /// Nothing.
    Off,
}
