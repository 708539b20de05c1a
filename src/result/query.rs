//! What came of the queries beside a stream.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::AnswerHistory;
use super::arm::{ArmSetting, Gpu};
use super::evidence::{PlanHistory, Verdict};
use super::loader::Bottleneck;
use crate::record::{BlameSums, Percentiles, Times};
use crate::stats::Comparison;

/// What became of the queries that were due by their schedule, warm-up included.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueriesDue {
    /// Queries that fell due.
    pub due: u64,
    /// Queries that were asked.
    pub asked: u64,
    /// Queries that were never asked: too far overdue, or still waiting at the end.
    pub dropped: u64,
    /// The ages of those of them that were due in the measurement. They have no part in the response of
    /// any query, as nobody had chosen one yet.
    #[serde(default)]
    pub dropped_age: Times,
    /// Who kept the readers from their schedule.
    #[serde(default)]
    pub bottleneck: Bottleneck,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
    /// Why queries were late, those included that were dropped: sums in seconds.
    #[serde(default)]
    pub blame: BlameSums,
}

/// What came of one query in one arm.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueryReport {
    /// The query's name.
    pub query: String,
    /// The arm it ran in.
    pub arm: String,
    /// Whether the arm has the GPU switched on.
    pub gpu: Gpu,
    /// Settings of the arm.
    pub set: Vec<ArmSetting>,
    /// Executions answered, warm-up included.
    pub executions: u64,
    /// Measured executions per second.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub queries_per_s: f64,
    /// Rows received.
    pub rows: u64,
    /// Executions cut off because the run ended.
    pub interrupted: u64,
    /// Executions cut at the query's share of the run.
    #[serde(default)]
    pub cut: u64,
    /// Errors by SQLSTATE.
    pub errors: BTreeMap<String, u64>,
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// From due to sent.
    pub wait: Option<Percentiles>,
    /// From sent to the last row.
    pub service: Option<Percentiles>,
    /// From due to the last row.
    pub response: Option<Percentiles>,
    /// What `service` of a transaction is made of: its BEGIN, each statement, and its COMMIT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<StatementReport>,
    /// How long ago the oldest row was due that is not in the answer, when that arrived.
    pub answer_age: Option<Percentiles>,
    /// How long before the query was asked the first batch was acknowledged that it did not see.
    #[serde(default)]
    pub freshness: Option<Percentiles>,
    /// How long ago the newest event in the answer was due; `None` without `newest_column`.
    #[serde(default)]
    pub newest_age: Option<Percentiles>,
    /// What the latencies above are taken from.
    pub histograms: QueryHistograms,
    /// Whether its times may be counted: false if its answers differ from the other arm's.
    pub valid: bool,
    /// What its plans prove.
    pub plan: Option<PlanHistory>,
}

/// What came of a statement of a transaction.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatementReport {
    /// Its text, as it was written.
    pub sql: String,
    /// From sent to its last row.
    pub service: Option<Percentiles>,
}

/// The two arms of a query, compared.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonReport {
    /// The query's name.
    pub query: String,
    /// Its arms: the base and the other.
    pub arms: [String; 2],
    /// Measured pairs: rounds in which both arms had samples.
    pub pairs: u64,
    /// Rounds in which it ran in both arms, and was no sample in one: its session was not warm, or it
    /// ran beside the other arm.
    pub pairs_cold: u64,
    /// Rounds in which it failed in an arm.
    pub pairs_broken: u64,
    /// The first execution in each arm, where there is no pair.
    #[serde(default)]
    pub tried: Option<TriedReport>,
    /// How much longer it would have to be measured until there are pairs enough for a verdict, at its
    /// pace; `None` where there are, or where nobody can say.
    #[serde(default)]
    pub verdict_in_s: Option<f64>,
    /// The times of the two, from the pairs; `None` until the end, or if there are none.
    pub times: Option<Comparison>,
    /// Whether the times mean anything: false if the answers differ.
    pub valid: bool,
    /// The answers of the two.
    pub answers: AnswerHistory,
}

/// A query that made no pair, and was tried in both arms: how long each took, and what that says of the
/// ratio.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TriedReport {
    /// The base and the other.
    pub arms: [TriedArm; 2],
    /// Base ÷ other; `None` where nothing is known of it.
    pub ratio: Option<f64>,
    /// What the ratio is.
    pub known: RatioKnown,
}

/// The first execution of a query in an arm.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct TriedArm {
    /// When it was answered or cut, after it was sent.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub after_s: f64,
    /// Whether it was cut, at the query's share of the run or by the server's timeout.
    pub cut: bool,
}

/// What a ratio is worth that two executions gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RatioKnown {
    /// Both were answered: one pair, not warm, of which nobody knows how far it is off.
    Once,
    /// The base was cut: the ratio of this pair is that, or more.
    AtLeast,
    /// The other was cut: the ratio of this pair is that, or less.
    AtMost,
    /// Both were cut, or both did the same work on the CPU.
    Nothing,
}

impl TriedReport {
    /// What two executions say.
    pub fn of(arms: [TriedArm; 2]) -> Self {
        let [base, other] = arms;
        let known = match (base.cut, other.cut) {
            (false, false) => RatioKnown::Once,
            (true, false) => RatioKnown::AtLeast,
            (false, true) => RatioKnown::AtMost,
            (true, true) => RatioKnown::Nothing,
        };
        let ratio = base.after_s / other.after_s.max(1e-9);
        Self { arms, ratio: (known != RatioKnown::Nothing).then_some(ratio), known }
    }

    /// The same where the times of two executions say nothing of a ratio.
    pub fn without_ratio(self) -> Self {
        Self { ratio: None, known: RatioKnown::Nothing, ..self }
    }
}

/// The histograms that the figures of a query in an arm are taken from.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct QueryHistograms {
    /// From due to sent.
    pub wait: Times,
    /// From sent to the last row.
    pub service: Times,
    /// From due to the last row.
    pub response: Times,
    /// How long ago the oldest row was due that is not in the answer, when that arrived.
    pub answer_age: Times,
    /// How long before the query was asked the first batch was acknowledged that it did not see.
    #[serde(default)]
    pub freshness: Times,
    /// How long ago the newest event in the answer was due.
    #[serde(default)]
    pub newest_age: Times,
}

impl QueryReport {
    /// What its plans prove.
    pub fn verdict(&self) -> Verdict {
        self.plan.as_ref().map_or(Verdict::Unknown, PlanHistory::verdict)
    }
}
