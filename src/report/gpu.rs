//! What the GPUs did in the measurement, for people.

use std::fmt::Write as _;

use crate::result::gpu::{GpuReport, GpusReport};

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
    use crate::result::gpu::Gpu;

    fn text(report: GpuReport) -> String {
        let gpu = Gpu { name: Some("NVIDIA H100 80GB HBM3".to_owned()), ..report.gpu };
        let devices = vec![GpuReport { gpu, ..report }];
        let gpus =
            GpusReport { interval_ms: Some(100.0), not_watched: None, driver: None, devices };
        let mut out = String::new();
        summary(&mut out, &gpus).unwrap();
        out.trim_start().to_owned()
    }

    #[test]
    fn the_summary_says_what_is_known() {
        let known = GpuReport {
            samples: 3,
            utilization_mean_ratio: Some(0.135),
            utilization_max_ratio: Some(0.27),
            busy_s: Some(0.27),
            ..GpuReport::default()
        };
        insta::assert_snapshot!(text(known.clone()), @r"
            GPU 0       NVIDIA H100 80GB HBM3
                        busy 13.5 % of the time (0.3 s), peak 27 %
        ");
        let known = GpuReport {
            gpu: Gpu { memory_total_bytes: Some(80 << 30), ..Gpu::default() },
            memory_used_max_bytes: Some(1_825_361_101),
            power_mean_watts: Some(120.4),
            power_max_watts: Some(120.4),
            energy_joules: Some(240.6),
            temperature_max_celsius: Some(41.0),
            pg_strom_memory_max_bytes: Some(1_288_490_189),
            pg_strom_utilization_mean_ratio: Some(0.125),
            throttled_s: Some([("power_cap".to_owned(), 1.0)].into()),
            ecc_uncorrected: Some(2),
            ..known
        };
        insta::assert_snapshot!(text(known), @r"
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
        insta::assert_snapshot!(text(GpuReport::default()), @r"GPU 0       NVIDIA H100 80GB HBM3: no answer from it");
    }
}
