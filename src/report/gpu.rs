//! What the GPUs did in the measurement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::record::gpu::GpuUsage;
use crate::watch::gpu::{Found, Gpu};

use super::Findings;

/// The GPUs of the machine that strom-load runs on.
#[derive(Debug, Serialize)]
pub struct GpusReport {
    /// Time between two samples, in milliseconds; `None`: switched off.
    pub interval_ms: Option<f64>,
    /// Why none is watched, in words.
    pub not_watched: Option<String>,
    /// Version of the driver.
    pub driver: Option<String>,
    /// Each GPU.
    pub devices: Vec<GpuReport>,
}

/// One GPU in the measurement. `None` is what its driver did not tell.
#[derive(Debug, Serialize)]
pub struct GpuReport {
    /// What it is.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// Samples that answered anything.
    pub samples: u64,
    /// Samples that answered nothing.
    pub samples_failed: u64,
    /// Seconds that the samples of utilisation stand for.
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
    pub throttled_s: Option<BTreeMap<&'static str, f64>>,
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

impl GpusReport {
    pub(super) fn new(findings: &Findings<'_>) -> Self {
        let Found { driver, gpus, not_watched } = findings.gpus;
        let devices = gpus.iter().zip(&findings.gpu_totals);
        Self {
            interval_ms: findings
                .plan
                .common
                .watch
                .gpu_interval
                .map(|each| each.as_secs_f64() * 1e3),
            not_watched: not_watched.clone(),
            driver: driver.clone(),
            devices: devices.map(|(gpu, usage)| GpuReport::new(gpu, usage)).collect(),
        }
    }
}

impl GpuReport {
    /// The report of one GPU.
    pub fn new(gpu: &Gpu, usage: &GpuUsage) -> Self {
        let count = |value: f64| value as u64;
        let (sent, received) = (&usage.pcie_sent_bytes_per_s, &usage.pcie_received_bytes_per_s);
        let throttled = usage.throttled.seconds().filter(|(_, seconds)| *seconds > 0.0);
        let throttled = throttled.map(|(reason, seconds)| (reason.name(), seconds)).collect();
        let total = usage.memory_total_bytes.or(gpu.memory_total_bytes);
        Self {
            gpu: Gpu { memory_total_bytes: total, ..gpu.clone() },
            samples: usage.samples,
            samples_failed: usage.samples_failed,
            watched_s: usage.utilization_ratio.covered_s(),
            utilization_mean_ratio: usage.utilization_ratio.mean(),
            utilization_max_ratio: usage.utilization_ratio.max(),
            busy_s: usage.utilization_ratio.integral(),
            memory_utilization_mean_ratio: usage.memory_utilization_ratio.mean(),
            memory_used_mean_bytes: usage.memory_used_bytes.mean(),
            memory_used_max_bytes: usage.memory_used_bytes.max().map(count),
            temperature_max_celsius: usage.temperature_celsius.max(),
            power_mean_watts: usage.power_watts.mean(),
            power_max_watts: usage.power_watts.max(),
            energy_joules: usage.energy_joules.get(),
            sm_clock_mean_hertz: usage.sm_clock_hertz.mean(),
            sm_clock_max_hertz: usage.sm_clock_hertz.max(),
            memory_clock_mean_hertz: usage.memory_clock_hertz.mean(),
            pcie_sent_mean_bytes_per_s: sent.mean(),
            pcie_sent_max_bytes_per_s: sent.max(),
            pcie_received_mean_bytes_per_s: received.mean(),
            pcie_received_max_bytes_per_s: received.max(),
            throttled_s: usage.throttled.mask().map(|_| throttled),
            ecc_corrected: usage.ecc_corrected.get().map(count),
            ecc_uncorrected: usage.ecc_uncorrected.get().map(count),
            pg_strom_memory_max_bytes: usage.pg_strom_memory_bytes.max().map(count),
            pg_strom_utilization_mean_ratio: usage.pg_strom_utilization_ratio.mean(),
            pg_strom_utilization_max_ratio: usage.pg_strom_utilization_ratio.max(),
        }
    }
}

impl GpuReport {
    /// The most telling figures in a line; `None` if it was never seen busy.
    pub(super) fn line(&self) -> Option<String> {
        let (busy_s, peak) = (self.busy_s?, self.utilization_max_ratio?);
        let mut line =
            format!("GPU {} busy {busy_s:.2} s, peak {:.0} %", self.gpu.index, peak * 100.0);
        if let Some(bytes) = self.memory_used_max_bytes {
            let _ = write!(line, ", memory up to {} GiB", gib(bytes));
        }
        if let Some(joules) = self.energy_joules {
            let _ = write!(line, ", {joules:.0} J");
        }
        (peak > 0.0).then_some(line)
    }
}

/// The summary's lines on GPUs; nothing where there is none.
pub(super) fn summary(out: &mut String, gpus: &GpusReport) -> std::fmt::Result {
    for gpu in &gpus.devices {
        let name = gpu.gpu.name.as_deref().unwrap_or("unnamed");
        write!(out, "\nGPU {:<8}{name}", gpu.gpu.index)?;
        if gpu.samples == 0 {
            writeln!(out, ": no answer from it")?;
            continue;
        }
        writeln!(out)?;
        if let (Some(mean), Some(max), Some(busy_s)) =
            (gpu.utilization_mean_ratio, gpu.utilization_max_ratio, gpu.busy_s)
        {
            let (mean, max) = (mean * 100.0, max * 100.0);
            writeln!(
                out,
                "            busy {mean:.1} % of the time ({busy_s:.1} s), peak {max:.0} %"
            )?;
        }
        let mut parts = Vec::new();
        if let (Some(used), Some(total)) = (gpu.memory_used_max_bytes, gpu.gpu.memory_total_bytes) {
            parts.push(format!("memory up to {} of {} GiB", gib(used), gib(total)));
        }
        if let (Some(mean), Some(max)) = (gpu.power_mean_watts, gpu.power_max_watts) {
            parts.push(format!("{mean:.0} W, peak {max:.0} W"));
        }
        parts.extend(gpu.energy_joules.map(|joules| format!("{joules:.0} J")));
        parts.extend(gpu.temperature_max_celsius.map(|celsius| format!("{celsius:.0} °C")));
        if !parts.is_empty() {
            writeln!(out, "            {}", parts.join(", "))?;
        }
        if let Some(bytes) = gpu.pg_strom_memory_max_bytes {
            write!(out, "            PG-Strom's process: {} GiB", gib(bytes))?;
            if let Some(mean) = gpu.pg_strom_utilization_mean_ratio {
                write!(out, ", {:.1} % of the multiprocessors' time", mean * 100.0)?;
            }
            writeln!(out)?;
        }
        let throttled = gpu.throttled_s.iter().flatten();
        let held: Vec<_> =
            throttled.map(|(reason, seconds)| format!("{reason} {seconds:.1} s")).collect();
        if !held.is_empty() {
            writeln!(out, "            clocks held down: {}", held.join(", "))?;
        }
        if let Some(errors) = gpu.ecc_uncorrected.filter(|errors| *errors > 0) {
            writeln!(out, "            {errors} MEMORY ERRORS that ECC could not mend")?;
        }
    }
    Ok(())
}

fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1_073_741_824.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(usage: &GpuUsage) -> GpusReport {
        let gpu = Gpu { name: Some("NVIDIA H100 80GB HBM3".to_owned()), ..Gpu::default() };
        let devices = vec![GpuReport::new(&gpu, usage)];
        GpusReport { interval_ms: Some(100.0), not_watched: None, driver: None, devices }
    }

    fn text(usage: &GpuUsage) -> String {
        let mut out = String::new();
        summary(&mut out, &report(usage)).unwrap();
        out.trim_start().to_owned()
    }

    #[test]
    fn the_summary_says_what_is_known() {
        let mut usage = GpuUsage { samples: 3, ..GpuUsage::default() };
        let second = Duration::from_secs(1);
        usage.utilization_ratio.add(0.27, second);
        usage.utilization_ratio.add(0.0, second);
        insta::assert_snapshot!(text(&usage), @r"
            GPU 0       NVIDIA H100 80GB HBM3
                        busy 13.5 % of the time (0.3 s), peak 27 %
        ");
        usage.memory_used_bytes.add(1.7 * 1_073_741_824.0, second);
        usage.memory_total_bytes = Some(80 << 30);
        usage.power_watts.add(120.4, second);
        usage.energy_joules.add(0.0, 240.6);
        usage.temperature_celsius.add(41.0, second);
        usage.pg_strom_memory_bytes.add(1.2 * 1_073_741_824.0, second);
        usage.pg_strom_utilization_ratio.add(0.125, second);
        usage.throttled.add(0x5, second);
        usage.ecc_uncorrected.add(0.0, 2.0);
        insta::assert_snapshot!(text(&usage), @r"
            GPU 0       NVIDIA H100 80GB HBM3
                        busy 13.5 % of the time (0.3 s), peak 27 %
                        memory up to 1.7 of 80.0 GiB, 120 W, peak 120 W, 241 J, 41 °C
                        PG-Strom's process: 1.2 GiB, 12.5 % of the multiprocessors' time
                        clocks held down: power_cap 1.0 s
                        2 MEMORY ERRORS that ECC could not mend
        ");
    }

    #[test]
    fn a_gpu_that_never_answered_is_named() {
        insta::assert_snapshot!(text(&GpuUsage::default()), @r"GPU 0       NVIDIA H100 80GB HBM3: no answer from it");
    }
}
