//! The plan of a benchmark: queries on tables that stand still, each in both arms.

use std::time::Duration;

use super::{ArmPlan, EvidencePlan, GpuChoice, Query, TableName};

/// Queries on tables that stand still, each in both arms.
#[derive(Debug, Clone, PartialEq)]
pub struct Bench {
    /// What `{table}` stands for in the queries.
    pub table: Option<TableName>,
    /// Which GPU arms the queries run in.
    pub gpu: GpuChoice,
    /// The arms of the profile, instead of the GPU's: none, or two.
    pub arms: Vec<ArmPlan>,
    /// How the executions of the two arms follow each other.
    pub order: Order,
    /// Fewest pairs of a query, unless its time is up before.
    pub pairs_min: u32,
    /// Most pairs of a query.
    pub pairs_max: u32,
    /// Most time for the pairs of a query.
    pub time: Duration,
    /// A query is done when the interval of its ratio reaches at most this far, as a share.
    pub precision: f64,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// Whether the queries may write; if not, their sessions are read-only.
    pub writes: bool,
    /// How plans and answers are looked at.
    pub evidence: EvidencePlan,
    /// The queries; at least one.
    pub queries: Vec<Query>,
    /// What is done one behind the other; at least one step.
    pub steps: Vec<Step>,
}

/// How the executions of the two arms follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In adjacent pairs, each in random order, after one execution that is not measured.
    Interleaved,
    /// All of the first arm, then all of the other, nothing warmed.
    Sequential,
}

/// One step of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name in reports; `None` if there is only this step.
    pub name: Option<String>,
    /// What `{table}` stands for, if not as in the whole benchmark.
    pub table: Option<TableName>,
    /// Makes that table a foreign table over an Arrow file.
    pub arrow: Option<ArrowSource>,
    /// Statements that make it ready.
    pub before: Vec<String>,
    /// Statements that undo that.
    pub after: Vec<String>,
    /// Queries that are run, by their index.
    pub queries: Vec<usize>,
}

/// Where the rows of a step's Arrow file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrowSource {
    /// The table that is written to it.
    pub from: TableName,
    /// The folder that it lies in.
    pub folder: String,
}

impl Step {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("all")
    }
}
