//! What the GPUs did in the measurement, for people.

use std::fmt::Write as _;

use crate::quantity::{format_count, format_seconds};
use crate::result::gpu::{GpuReport, GpusReport, PerQuery};

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

/// Which of several GPUs PG-Strom worked on, in a sentence; `None` where there are not several, or
/// nobody knows of a PG-Strom.
pub(super) fn who_worked(gpus: &GpusReport, pg_strom_loaded: bool) -> Option<String> {
    let answered: Vec<_> = gpus.devices.iter().filter(|gpu| gpu.samples > 0).collect();
    let holds = |gpu: &GpuReport| {
        gpu.pg_strom_memory_max_bytes.is_some() || gpu.pg_strom_utilization_max_ratio.is_some()
    };
    let busy = |gpu: &GpuReport| {
        let peaks = [gpu.utilization_max_ratio, gpu.pg_strom_utilization_max_ratio];
        peaks.into_iter().flatten().any(|peak| peak > 0.0)
    };
    let seen = answered.iter().any(|gpu| holds(gpu));
    if answered.len() < 2 || !(seen || pg_strom_loaded) {
        return None;
    }
    let (used, unused): (Vec<_>, Vec<_>) =
        answered.into_iter().partition(|gpu| busy(gpu) && (holds(gpu) || !seen));
    let numbers = |gpus: &[&GpuReport]| {
        let name = |gpu: &&GpuReport| format!("GPU {}", gpu.gpu.index);
        gpus.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let (others, idle): (Vec<_>, Vec<_>) = unused.iter().copied().partition(|gpu| busy(gpu));
    let only = if used.len() == 1 { " only" } else { "" };
    let mut line = match (seen, used.is_empty()) {
        (true, true) => "PG-Strom was not seen at work on any GPU".to_owned(),
        (false, true) => "no GPU was seen at work".to_owned(),
        (true, false) => format!("PG-Strom used {}{only}", numbers(&used)),
        (false, false) => format!("at work: {}{only}", numbers(&used)),
    };
    for (gpus, did) in [(idle, "idle"), (others, "busy with other work")] {
        if !gpus.is_empty() && !used.is_empty() {
            let _ = write!(line, "; {did}: {}", numbers(&gpus));
        }
    }
    if !seen {
        line.push_str("; whose work it was cannot be seen from here");
    }
    Some(line)
}

/// What a query came to, over all GPUs and arms; `None` where the driver tells nothing of it.
fn per_query(of: &PerQuery) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(joules) = of.joules {
        let idle = of.idle_joules.map(|idle| format!(" (idle: {idle:.3} J)"));
        parts.push(format!("{joules:.3} J{}", idle.unwrap_or_default()));
    }
    parts.extend(of.busy_s.map(|busy_s| format!("busy {}", format_seconds(busy_s))));
    let queries = format_count(of.queries);
    (!parts.is_empty())
        .then(|| format!("a query: {}; mean of {queries} in all arms", parts.join(", ")))
}

/// The summary's lines on GPUs; nothing where there is none.
pub(super) fn summary(
    out: &mut String,
    gpus: &GpusReport,
    pg_strom_loaded: bool,
) -> std::fmt::Result {
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
            parts.extend(gpu.idle_power_watts.map(|watts| format!("idle {watts:.0} W")));
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
    let mut lines: Vec<String> = who_worked(gpus, pg_strom_loaded).into_iter().collect();
    lines.extend(gpus.per_query.as_ref().and_then(per_query));
    for (number, line) in lines.iter().enumerate() {
        writeln!(out, "{}{line}", if number == 0 { "\nGPUs        " } else { "            " })?;
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
        let gpus = GpusReport {
            interval_ms: Some(100.0),
            not_watched: None,
            driver: None,
            devices,
            per_query: None,
        };
        let mut out = String::new();
        summary(&mut out, &gpus, true).unwrap();
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
    fn of_several_gpus_it_is_said_which_worked() {
        let gpu = |index: u32, peak: f64, pg_strom: Option<f64>| GpuReport {
            gpu: Gpu { index, ..Gpu::default() },
            samples: 9,
            utilization_max_ratio: Some(peak),
            pg_strom_memory_max_bytes: pg_strom.map(|_| 1 << 30),
            pg_strom_utilization_max_ratio: pg_strom,
            ..GpuReport::default()
        };
        let says = |devices: &[GpuReport], loaded: bool| {
            let devices = devices.to_vec();
            let gpus = GpusReport {
                interval_ms: None,
                not_watched: None,
                driver: None,
                devices,
                per_query: None,
            };
            who_worked(&gpus, loaded)
        };
        let (used, idle) = (gpu(0, 0.6, Some(0.3)), gpu(1, 0.0, None));
        let both = [used.clone(), idle.clone()];
        assert_eq!(says(&both, true).unwrap(), "PG-Strom used GPU 0 only; idle: GPU 1");
        assert_eq!(
            says(&[used.clone(), gpu(1, 0.4, None), gpu(2, 0.0, Some(0.0))], true).unwrap(),
            "PG-Strom used GPU 0 only; idle: GPU 2; busy with other work: GPU 1"
        );
        // A sample of the process may miss what the GPU's own does not.
        let all = [used.clone(), gpu(1, 0.2, Some(0.0))];
        assert_eq!(says(&all, true).unwrap(), "PG-Strom used GPU 0, GPU 1");
        assert_eq!(
            says(&[gpu(0, 0.0, Some(0.0)), idle.clone()], true).unwrap(),
            "PG-Strom was not seen at work on any GPU"
        );
        // Without a view of the process nothing is called PG-Strom's.
        let foreign = [gpu(0, 0.6, None), idle.clone()];
        assert_eq!(
            says(&foreign, true).unwrap(),
            "at work: GPU 0 only; idle: GPU 1; whose work it was cannot be seen from here"
        );
        assert_eq!(says(&foreign, false), None);
        assert_eq!(says(&[used, GpuReport { samples: 0, ..idle }], true), None);
    }

    #[test]
    fn a_gpu_that_never_answered_is_named() {
        insta::assert_snapshot!(text(GpuReport::default()), @r"GPU 0       NVIDIA H100 80GB HBM3: no answer from it");
    }
}
