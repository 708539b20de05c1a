//! The GPUs of the machine that strom-load runs on, and what they did.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The GPUs of the machine that strom-load runs on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GpusReport {
    /// Time between two samples, in milliseconds; `None`: switched off.
    pub interval_ms: Option<f64>,
    /// Why none is watched, in words.
    pub not_watched: Option<String>,
    /// Version of the driver.
    pub driver: Option<String>,
    /// Each GPU.
    pub devices: Vec<GpuReport>,
    /// What a query came to, of a stream with readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_query: Option<PerQuery>,
}

/// All GPUs together, divided by the measured queries of all arms: what else ran on them is in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GpuPerQuery")]
pub struct PerQuery {
    /// Queries answered in the time for which the GPUs were watched.
    pub queries: u64,
    /// Energy for each: by the drivers' counters, or by the mean power where there is none; `None` where a
    /// driver tells neither.
    pub joules: Option<f64>,
    /// Energy that idle GPUs would have taken in that time, for each; `None` where none was seen idle.
    pub idle_joules: Option<f64>,
    /// Seconds in which a kernel ran, for each.
    pub busy_s: Option<f64>,
}

/// One GPU in the measurement. `None` is what its driver did not tell.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GpuReport {
    /// What it is.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// Samples that answered anything.
    pub samples: u64,
    /// Samples that answered nothing.
    pub samples_failed: u64,
    /// Seconds that the samples of utilisation stand for.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub watched_s: f64,
    /// Mean share of time in which a kernel ran.
    pub utilization_mean_ratio: Option<f64>,
    /// Greatest sample of it.
    pub utilization_max_ratio: Option<f64>,
    /// Its integral: seconds in which a kernel ran.
    pub busy_s: Option<f64>,
    /// Mean share of time in which GPU memory was read or written.
    pub memory_utilization_mean_ratio: Option<f64>,
    /// Mean memory in use.
    pub memory_used_mean_bytes: Option<f64>,
    /// Most memory in use.
    pub memory_used_max_bytes: Option<u64>,
    /// Greatest temperature.
    pub temperature_max_celsius: Option<f64>,
    /// Mean power.
    pub power_mean_watts: Option<f64>,
    /// Greatest power.
    pub power_max_watts: Option<f64>,
    /// Mean power of the samples in which no kernel ran, also before and after the measurement.
    #[serde(default)]
    pub idle_power_watts: Option<f64>,
    /// Energy by the driver's counter.
    pub energy_joules: Option<f64>,
    /// Mean clock of the multiprocessors.
    pub sm_clock_mean_hertz: Option<f64>,
    /// Greatest clock of the multiprocessors.
    pub sm_clock_max_hertz: Option<f64>,
    /// Mean clock of the memory.
    pub memory_clock_mean_hertz: Option<f64>,
    /// Mean PCIe throughput from the GPU.
    pub pcie_sent_mean_bytes_per_s: Option<f64>,
    /// Greatest PCIe throughput from the GPU.
    pub pcie_sent_max_bytes_per_s: Option<f64>,
    /// Mean PCIe throughput to the GPU.
    pub pcie_received_mean_bytes_per_s: Option<f64>,
    /// Greatest PCIe throughput to the GPU.
    pub pcie_received_max_bytes_per_s: Option<f64>,
    /// Seconds for which clocks were held down, by reason; reasons that never held are left out.
    #[serde(default, deserialize_with = "crate::quantity::numbers_or_nan")]
    pub throttled_s: Option<BTreeMap<String, f64>>,
    /// Memory errors mended.
    pub ecc_corrected: Option<u64>,
    /// Memory errors not mended.
    pub ecc_uncorrected: Option<u64>,
    /// Most memory that PG-Strom's process held.
    pub pg_strom_memory_max_bytes: Option<u64>,
    /// Mean share of the multiprocessors' time that PG-Strom's process took.
    pub pg_strom_utilization_mean_ratio: Option<f64>,
    /// Greatest sample of it.
    pub pg_strom_utilization_max_ratio: Option<f64>,
}

/// What a GPU is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GpuDevice")]
pub struct Gpu {
    /// The driver's number for it, from 0.
    pub index: u32,
    /// Its identity, the same after a reboot, such as `GPU-6d2f…`.
    pub uuid: Option<String>,
    /// Product name.
    pub name: Option<String>,
    /// Place on the PCI bus.
    pub pci_bus_id: Option<String>,
    /// All of its memory, in bytes.
    pub memory_total_bytes: Option<u64>,
}
