//! The loader about itself: what it cost, how it fared, and who is to blame for what was late.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{BlameSums, Percentiles};

/// Cost of and verdict on the loader.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoaderReport {
    /// CPU time of the loader in the measurement and the drain behind it, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub cpu_s: f64,
    /// The same as a share of all cores.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub cpu_ratio: f64,
    /// CPU time after that, in seconds: comparing answers, reading rows back.
    #[serde(default, deserialize_with = "crate::quantity::number_or_nan")]
    pub check_cpu_s: f64,
    /// Greatest resident memory, in bytes.
    pub resident_peak_bytes: u64,
    /// Share of the producers' time spent generating and encoding.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub encode_ratio: f64,
    /// The part of the batches' response that the loader or its machine caused.
    pub own_delay: Option<Percentiles>,
    /// Why batches were late: sums in seconds.
    #[serde(default)]
    pub blame: BlameSums,
    /// Whether its threads ran when they should have.
    #[serde(default)]
    pub threads: Vec<ThreadsReport>,
    /// What its machine did meanwhile.
    #[serde(default)]
    pub machine: MachineReport,
    /// Who set the limit.
    pub bottleneck: Bottleneck,
    /// Why, in words.
    pub reason: String,
    /// Who explains the 99th percentile of the response, whether or not the rate was kept.
    #[serde(default)]
    pub late_by: Bottleneck,
}

/// The heartbeat of some of the loader's threads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThreadsReport {
    /// Whose threads they are: "producers", "readers" or "examiner".
    pub threads: String,
    /// Longest time in which none of them ran that should have, in milliseconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub largest_gap_ms: f64,
    /// Sum of such times of 30 ms and more, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub paused_s: f64,
}

/// What the loader's machine did in the measurement; what the system does not tell is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MachineReport {
    /// Share of all cores that neither the loader nor the server took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_cpu_ratio: Option<f64>,
    /// Time in which the loader's threads were ready and had no processor, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_delay_s: Option<f64>,
    /// The same of the producers' backends, if the server is on this machine, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends_run_delay_s: Option<f64>,
    /// Processor time that a hypervisor gave to others, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_s: Option<f64>,
    /// Time in which some task of the machine waited for a processor, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_s: Option<f64>,
    /// The same for a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_pressure_s: Option<f64>,
    /// The same for memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_pressure_s: Option<f64>,
}

/// Who set the limit of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The schedule was kept: nobody.
    #[default]
    None,
    /// The server, or the way to it.
    Server,
    /// strom-load, or its machine as a whole.
    Loader,
    /// Other programs on strom-load's machine.
    Machine,
}

impl Bottleneck {
    /// Whether the figures are strom-load's or its machine's, and say little about the server.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Loader | Self::Machine)
    }
}
