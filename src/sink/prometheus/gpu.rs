//! The GPUs on the metrics page. A value that the driver stops giving disappears from the page and
//! does not freeze on it.

use super::page::{Page, SeriesId};
use crate::metric::{self, Metric};
use crate::record::gpu::{GpuTally, GpuUsage};
use crate::watch::gpu::GpusFound;

/// One GPU.
struct Lane {
    /// The values of its labels `gpu` and `uuid`.
    labels: [String; 2],
    /// Its series, as in [`VALUES`].
    series: Vec<SeriesId>,
    /// The last second.
    last: GpuUsage,
    /// Since the start.
    total: GpuUsage,
}

/// The GPUs of a page.
pub(super) struct GpuHandles(Vec<Lane>);

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

impl GpuHandles {
    /// The GPUs that are watched.
    pub(super) fn new(page: &mut Page, found: &GpusFound) -> Self {
        let driver = found.driver.as_deref().unwrap_or_default();
        let lanes = found.gpus.iter().map(|gpu| {
            let labels = [gpu.index.to_string(), gpu.uuid.clone().unwrap_or_default()];
            let [index, uuid] = [labels[0].as_str(), labels[1].as_str()];
            let name = gpu.name.as_deref().unwrap_or_default();
            let info = page.series(metric::GPU_INFO, &[index, uuid, name, driver]);
            page.set(info, Some(1.0));
            let series = VALUES.map(|(metric, _)| page.series(metric, &[index, uuid])).into();
            Lane { labels, series, last: GpuUsage::default(), total: GpuUsage::default() }
        });
        let mut handles = Self(lanes.collect());
        handles.show(page);
        handles
    }

    /// Takes what happened since the last call.
    pub(super) fn update(&mut self, page: &mut Page, tallies: &[GpuTally]) {
        for (lane, tally) in self.0.iter_mut().zip(tallies) {
            lane.last = tally.usage.clone();
            lane.total.merge(&tally.usage);
        }
        self.show(page);
    }

    fn show(&mut self, page: &mut Page) {
        for gpu in &self.0 {
            for (id, (_, value)) in gpu.series.iter().zip(VALUES) {
                page.set(*id, value(gpu));
            }
            let [index, uuid] = [gpu.labels[0].as_str(), gpu.labels[1].as_str()];
            for (reason, seconds) in gpu.total.throttled.seconds() {
                let id = page.series(metric::GPU_THROTTLED, &[index, uuid, reason.name()]);
                page.set(id, Some(seconds));
            }
        }
    }
}
