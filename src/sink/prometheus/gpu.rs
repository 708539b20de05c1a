//! The GPUs on the metrics page. Rendered here, since their counters are not whole numbers, and so
//! that a value that the driver stops giving disappears from the page and does not freeze on it.

use std::fmt::Write as _;

use metrics_exporter_prometheus::formatting::sanitize_label_value;

use crate::metric::{self, Kind, Metric};
use crate::record::gpu::{GpuTally, GpuUsage};
use crate::watch::gpu::Found;

/// One GPU.
struct Lane {
    /// `gpu="0",uuid="GPU-…"`
    labels: String,
    /// `,name="…",driver="…"`
    info: String,
    /// The last second.
    last: GpuUsage,
    /// Since the start.
    total: GpuUsage,
}

/// What a scrape shows of the GPUs.
#[derive(Default)]
pub(super) struct GpuPage(Vec<Lane>);

/// A metric that is one value a GPU, from the last second and the total.
type Value = (Metric, fn(&Lane) -> Option<f64>);

const VALUES: [Value; 20] = [
    (metric::GPU_SAMPLES, |gpu| Some(gpu.total.samples as f64)),
    (metric::GPU_SAMPLES_FAILED, |gpu| Some(gpu.total.samples_failed as f64)),
    (metric::GPU_UTILIZATION_MEAN, |gpu| gpu.last.utilization_ratio.mean()),
    (metric::GPU_UTILIZATION_MAX, |gpu| gpu.last.utilization_ratio.max()),
    (metric::GPU_BUSY, |gpu| gpu.total.utilization_ratio.integral()),
    (metric::GPU_MEMORY_UTILIZATION, |gpu| gpu.last.memory_utilization_ratio.mean()),
    (metric::GPU_MEMORY_USED, |gpu| gpu.last.memory_used_bytes.max()),
    (metric::GPU_MEMORY_SIZE, |gpu| gpu.last.memory_total_bytes.map(|bytes| bytes as f64)),
    (metric::GPU_TEMPERATURE, |gpu| gpu.last.temperature_celsius.max()),
    (metric::GPU_POWER_MEAN, |gpu| gpu.last.power_watts.mean()),
    (metric::GPU_POWER_MAX, |gpu| gpu.last.power_watts.max()),
    (metric::GPU_ENERGY, |gpu| gpu.total.energy_joules.get()),
    (metric::GPU_SM_CLOCK, |gpu| gpu.last.sm_clock_hertz.mean()),
    (metric::GPU_MEMORY_CLOCK, |gpu| gpu.last.memory_clock_hertz.mean()),
    (metric::GPU_PCIE_SENT, |gpu| gpu.last.pcie_sent_bytes_per_s.mean()),
    (metric::GPU_PCIE_RECEIVED, |gpu| gpu.last.pcie_received_bytes_per_s.mean()),
    (metric::GPU_ECC_CORRECTED, |gpu| gpu.total.ecc_corrected.get()),
    (metric::GPU_ECC_UNCORRECTED, |gpu| gpu.total.ecc_uncorrected.get()),
    (metric::GPU_PG_STROM_MEMORY, |gpu| gpu.last.pg_strom_memory_bytes.max()),
    (metric::GPU_PG_STROM_UTILIZATION, |gpu| gpu.last.pg_strom_utilization_ratio.mean()),
];

impl GpuPage {
    /// The GPUs that are watched.
    pub(super) fn new(found: &Found) -> Self {
        let driver = sanitize_label_value(found.driver.as_deref().unwrap_or_default());
        let lanes = found.gpus.iter().map(|gpu| {
            let uuid = sanitize_label_value(gpu.uuid.as_deref().unwrap_or_default());
            let name = sanitize_label_value(gpu.name.as_deref().unwrap_or_default());
            Lane {
                labels: format!("gpu=\"{}\",uuid=\"{uuid}\"", gpu.index),
                info: format!(",name=\"{name}\",driver=\"{driver}\""),
                last: GpuUsage::default(),
                total: GpuUsage::default(),
            }
        });
        Self(lanes.collect())
    }

    /// Takes what happened since the last call.
    pub(super) fn update(&mut self, tallies: &[GpuTally]) {
        for (lane, tally) in self.0.iter_mut().zip(tallies) {
            lane.last = tally.usage.clone();
            lane.total.merge(&tally.usage);
        }
    }

    /// Appends to a scrape.
    pub(super) fn render(&self, out: &mut String) {
        let info = self.0.iter().map(|gpu| (format!("{}{}", gpu.labels, gpu.info), 1.0));
        family(out, metric::GPU_INFO, info);
        for (metric, value) in VALUES {
            let values = self.0.iter().filter_map(|gpu| Some((&gpu.labels, value(gpu)?)));
            family(out, metric, values);
        }
        let throttled = self.0.iter().flat_map(|gpu| {
            let seconds = gpu.total.throttled.seconds();
            seconds.map(|(reason, s)| (format!("{},reason=\"{}\"", gpu.labels, reason.name()), s))
        });
        family(out, metric::GPU_THROTTLED, throttled);
    }
}

/// A metric with its series; nothing if there is none.
fn family(
    out: &mut String,
    metric: Metric,
    series: impl Iterator<Item = (impl std::fmt::Display, f64)>,
) {
    let mut series = series.peekable();
    if series.peek().is_none() {
        return;
    }
    let Metric { name, help, kind, .. } = metric;
    let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
    // Writing to a String cannot fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in series {
        let _ = writeln!(out, "{name}{{{labels}}} {value}");
    }
    out.push('\n');
}
