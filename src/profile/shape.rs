//! How the rate of a stream goes over time, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Located, Number, Time, Whole};

/// How the rate of a stream goes over time, warm-up included: by stages, or in a wave.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// One after the other, from 0 rows per second on; after the last one its rate stays. They are
    /// the rate, so `rows_per_s` is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Located<Vec<Located<Stage>>>>,
    /// A wave around `rows_per_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sine: Option<Located<Sine>>,
}

/// The rate goes from where it is to another one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Rows per second at its end: 0 to 1000000000.
    pub to: Option<Located<Whole>>,
    /// Its length in seconds, or as in "60s"; 0 for a step.
    pub over: Option<Located<Time>>,
}

/// rows_per_s × (1 + amplitude × sin(2π × t ÷ period_s)).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sine {
    /// As a share of `rows_per_s`: above 0, at most 1.
    pub amplitude: Option<Located<Number>>,
    /// Seconds from one peak to the next.
    pub period_s: Option<Located<Number>>,
}
