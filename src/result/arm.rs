//! What an arm of a comparison is, and why an execution in it failed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an arm does about the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ArmGpu")]
pub enum Gpu {
    /// PG-Strom is not loaded: nothing here may be called GPU.
    Absent,
    /// PG-Strom is loaded and switched off.
    Off,
    /// PG-Strom is loaded and switched on. What the planner makes of it is another matter.
    On,
}

/// A setting of an arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmSetting {
    /// Its name, such as `work_mem`.
    pub name: String,
    /// Its value; `None` is the session's default.
    pub value: Option<String>,
}

/// Why an execution failed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ArmError {
    /// SQLSTATE.
    pub sqlstate: String,
    /// What the server said.
    pub message: String,
}
