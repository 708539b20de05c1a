//! A sweep over settings, as its author wrote it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Located, Number, SettingValue, Whole};

/// Settings of the server whose values are compared by the benchmark's queries.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Which combinations of values are measured. Default: "product".
    pub mode: Option<SweepMode>,
    /// Rounds, each of which measures every combination once. Default: 30.
    pub rounds: Option<Located<Whole>>,
    /// Most combinations; more are a fault. Default: 64.
    pub max_combinations: Option<Located<Whole>>,
    /// What a setting of PG-Strom does that this server does not have. Default: "refuse".
    pub if_absent: Option<IfAbsent>,
    /// The settings.
    pub settings: Option<Vec<Located<SweepSetting>>>,
}

/// Which combinations of values are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepMode {
    /// Each value of each setting with each value of all others.
    Product,
    /// Each value of each setting alone, the others as the server has them; and all as it has them.
    OneAtATime,
}

/// What a setting of PG-Strom does that this server does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfAbsent {
    /// Nothing is run.
    Refuse,
    /// It is left out, by name, as long as another one is there.
    Skip,
}

/// A setting, and its values: a list, or a range.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSetting {
    /// Its name, such as "work_mem".
    pub name: Option<Located<String>>,
    /// Its values, as SET takes them.
    pub values: Option<Vec<Located<SettingValue>>>,
    /// First value of a range, such as 1 or "4MB".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Located<SettingValue>>,
    /// Last value of a range, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Located<SettingValue>>,
    /// How many values a range has, equally far apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Located<Whole>>,
    /// Each value of a range is the last one times this, above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<Located<Number>>,
}
