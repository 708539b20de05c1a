//! What came of a sweep.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::AnswerHistory;
use super::arm::{ArmError, Gpu};
use super::evidence::PlanHistory;
use super::table::Prepared;

/// A sweep, as saved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    /// Which combinations were asked for.
    pub mode: String,
    /// The settings, as this server has them.
    pub settings: Vec<SweptReport>,
    /// Settings that were left out.
    pub skipped: Vec<Skipped>,
    /// Rounds that were asked for.
    pub rounds_planned: u32,
    /// Rounds that are over.
    pub rounds: usize,
    /// Times that the configuration was reloaded.
    pub reloads: u64,
    /// Times that the server was restarted.
    pub restarts: u64,
    /// Why the server's configuration was not put back, if it was not.
    pub not_restored: Option<String>,
    /// The values of each combination.
    pub combinations: Vec<Vec<SettingReport>>,
    /// What came of each query.
    pub queries: Vec<SweepQueryReport>,
}

impl SweepReport {
    /// What of it goes by a place that is none, if anything: it is damaged then.
    pub(super) fn contradiction(&self) -> Option<String> {
        let places = self.combinations.len();
        let is_off = |query: &&SweepQueryReport| {
            let mut named = query.best.iter().chain(&query.may_be_best);
            query.combinations.len() != places || named.any(|place| *place >= places)
        };
        let query = self.queries.iter().find(is_off)?;
        Some(format!("query `{}` knows other combinations than the sweep's {places}", query.query))
    }
}

/// A value in a combination.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SettingReport {
    /// The setting.
    pub name: String,
    /// Its value; `None`: as the server had it.
    pub value: Option<String>,
}

/// What came of a query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SweepQueryReport {
    /// Its name.
    pub query: String,
    /// As it was run.
    pub sql: String,
    /// The combination with the least typical time, by its place in `combinations`.
    pub best: Option<usize>,
    /// All that cannot be told from it, and it.
    pub may_be_best: Vec<usize>,
    /// Rounds that a combination needs before it can be excluded.
    pub rounds_min: usize,
    /// With this probability all that are as good as the best are among those.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub confidence: f64,
    /// What came of each combination, in their order.
    pub combinations: Vec<CellReport>,
}

/// What came of a combination in a query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "keys of the saved format, each a fact of its own"
)]
pub struct CellReport {
    /// Rounds in which it was measured.
    pub rounds: usize,
    /// Median service time, in milliseconds.
    pub median_ms: Option<f64>,
    /// Typical service time, in milliseconds: the geometric mean, in which outliers that come alone are
    /// drawn in.
    #[serde(default)]
    pub typical_ms: Option<f64>,
    /// Lower end of the interval of the typical one, in milliseconds.
    pub low_ms: Option<f64>,
    /// Upper end of the interval of the typical one, in milliseconds.
    pub high_ms: Option<f64>,
    /// Its typical service time ÷ the best one.
    pub times_best: Option<f64>,
    /// Whether it may be the best one.
    pub may_be_best: bool,
    /// Whether it looks slower than the best one, though not for sure yet.
    #[serde(default)]
    pub slower_so_far: bool,
    /// Whether its times mean anything: false if its answer differs from the reference's.
    pub valid: bool,
    /// What comparing the two answers came to.
    pub answers: AnswerHistory,
    /// Executions that failed.
    pub failures: u64,
    /// Why the last of those did.
    pub error: Option<ArmError>,
    /// Whether it was given up.
    pub given_up: bool,
    /// Rows of its answer.
    pub rows: u64,
    /// Service time of the first execution, which is not measured, in milliseconds.
    pub cold_ms: Option<f64>,
    /// Service time by round, in nanoseconds.
    pub times_ns: Vec<Option<u64>>,
    /// Whether it has the GPU switched on.
    pub gpu: Gpu,
    /// What its plan proves.
    pub plan: Option<PlanHistory>,
}

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Value {
    /// As the profile has it.
    pub written: String,
    /// As the server shows it.
    pub shown: String,
}

/// A setting that was left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What has to be done for a new value to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Applying {
    /// SET.
    Set,
    /// SET, by a superuser or after `GRANT SET ON PARAMETER`.
    PrivilegedSet,
    /// A new session, with `options=-c name=value`.
    Connect,
    /// The same, by a superuser or after `GRANT SET ON PARAMETER`.
    PrivilegedConnect,
    /// ALTER SYSTEM and `pg_reload_conf()`. PG-Strom's GPU service starts anew with it, and may be
    /// away for some seconds.
    Reload,
    /// ALTER SYSTEM and a restart of the server.
    Restart,
    /// Nothing helps.
    Never,
}

/// A setting of a sweep.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SweptReport {
    /// Its name.
    pub name: String,
    /// What it was before the sweep.
    pub present: Option<String>,
    /// What a change took.
    pub applied_by: Applying,
    /// Its values.
    pub values: Vec<Value>,
}

/// A sweep with its tables.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SweepRun {
    /// The tables of the profile, as they were found or made.
    pub tables: Vec<Prepared>,
    /// The sweep.
    pub sweep: SweepReport,
}

impl CellReport {
    /// The time that it is shown and ranked by. A result of before there was a typical one has the median.
    pub fn time_ms(&self) -> Option<f64> {
        self.typical_ms.or(self.median_ms)
    }

    /// The interval of that time; none is of a median.
    pub fn interval_ms(&self) -> Option<(f64, f64)> {
        self.low_ms.zip(self.high_ms).filter(|_| self.typical_ms.is_some())
    }
}

impl SweepReport {
    /// Every combination of every query.
    pub fn cells(&self) -> impl Iterator<Item = &CellReport> {
        self.queries.iter().flat_map(|query| &query.combinations)
    }
}

#[cfg(test)]
mod tests {
    use crate::result::{Body, sample};

    #[test]
    fn a_place_that_is_none_is_a_contradiction() {
        let damaged = |damage: fn(&mut super::SweepReport)| {
            let mut result = sample::sweep();
            if let Body::Sweep(run) = &mut result.body {
                damage(&mut run.sweep);
            }
            result.contradiction()
        };
        assert_eq!(damaged(|_| ()), None);
        let said = damaged(|sweep| sweep.queries[0].best = Some(2));
        assert_eq!(said.unwrap(), "query `sum` knows other combinations than the sweep's 2");
        assert!(damaged(|sweep| sweep.queries[0].may_be_best.push(7)).is_some());
        assert!(damaged(|sweep| drop(sweep.combinations.pop())).is_some());
    }
}
