//! A benchmark of queries on tables that stand still, as its author wrote it.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Gpu, Located, Number, Query, Whole};

/// Queries on tables that stand still, each in both arms.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bench {
    /// What `{table}` stands for in the queries. Default: the first of `[[tables]]`.
    pub table: Option<Located<String>>,
    /// Whether queries run on the GPU. Default: "auto".
    pub gpu: Option<Located<Gpu>>,
    /// How the executions of the two arms follow each other. Default: "interleaved".
    pub order: Option<Located<Order>>,
    /// Fewest pairs of a query, unless its time is up before; of fewer there is no interval. Default: 30.
    pub pairs_min: Option<Located<Whole>>,
    /// Most pairs of a query, also where that is below the default of the fewest. Default: 200.
    pub pairs_max: Option<Located<Whole>>,
    /// Most seconds for the pairs of a query. Default: 60.
    pub time_s: Option<Located<Number>>,
    /// How often the measurement of a query is repeated, each time with new sessions. Default: 1.
    pub repeats: Option<Located<Whole>>,
    /// What begins anew with a repeat. Default: "sessions".
    pub repeats_restart: Option<Located<Restart>>,
    /// A query is done when its ratio is known to within this share. Default: 0.05.
    pub precision: Option<Located<Number>>,
    /// Seconds after which the server cancels a query. Default: 60.
    pub statement_timeout_s: Option<Located<Number>>,
    /// Whether queries may write. If not, their sessions are read-only. Default: false.
    pub writes: Option<bool>,
    /// What is done one behind the other, each time with all queries or some. Default: one step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Located<Step>>>,
    /// The queries.
    pub queries: Option<Vec<Located<Query>>>,
}

/// How the executions of the two arms follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In adjacent pairs, each in random order, after one execution that is not measured.
    Interleaved,
    /// All of the first arm, then all of the other, nothing warmed: what biased comparisons do.
    Sequential,
}

/// What begins anew with a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RepeatsRestart")]
pub enum Restart {
    /// The sessions.
    Sessions,
    /// The server, which has to be one of strom-load's own, and with it the sessions.
    Server,
}

/// One step of a benchmark.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name in reports: lower-case letters, digits and `_`.
    pub name: Option<Located<String>>,
    /// What `{table}` stands for in this step. Default: as in the whole benchmark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Located<String>>,
    /// Makes `table` a foreign table for this step: the rows of this other table are written to an
    /// Arrow file, which PG-Strom's arrow_fdw reads. Without arrow_fdw the step is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrow_from: Option<Located<String>>,
    /// Folder of that file, which the server must be able to read. Default: "/var/tmp".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrow_folder: Option<String>,
    /// Statements that make it ready, such as `CREATE INDEX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<Located<String>>>,
    /// Statements that undo that; they are run whatever happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<Located<String>>>,
    /// Names of the queries. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queries: Option<Vec<Located<String>>>,
}
