//! What the GPUs did, as it is saved.

use crate::plan::Watch;
use crate::record::gpu::GpuUsage;
use crate::result::arm::Gpu as QueryGpu;
use crate::result::gpu::{Gpu, GpuReport, GpusReport, PerQuery};
use crate::result::query::QueryReport;
use crate::watch::gpu::GpusFound;

/// The GPUs that are watched, each with what it did.
pub(super) fn report(watch: Watch, found: &GpusFound, totals: &[&GpuUsage]) -> GpusReport {
    let GpusFound { driver, gpus, not_watched } = found;
    GpusReport {
        interval_ms: watch.gpu_interval.map(|each| each.as_secs_f64() * 1e3),
        not_watched: not_watched.clone(),
        driver: driver.clone(),
        devices: gpus.iter().zip(totals).map(|(gpu, usage)| gpu_report(gpu, usage)).collect(),
        per_query: None,
    }
}

/// What a query came to on these GPUs; `None` without any, without queries, and without PG-Strom, as a GPU
/// then works for somebody else.
pub(super) fn per_query(gpus: &[GpuReport], queries: &[QueryReport]) -> Option<PerQuery> {
    let answered: u64 = queries.iter().map(|query| query.histograms.service.count()).sum();
    let absent = queries.iter().all(|query| query.gpu == QueryGpu::Absent);
    if gpus.is_empty() || answered == 0 || absent {
        return None;
    }
    // What one GPU does not tell is not known of all.
    let each = |of: fn(&GpuReport) -> Option<f64>| {
        let sum = gpus.iter().map(of).sum::<Option<f64>>();
        sum.map(|sum| sum / answered as f64)
    };
    Some(PerQuery {
        queries: answered,
        // Without a counter, the samples of the power stand for the energy.
        joules: each(|gpu| {
            gpu.energy_joules.or_else(|| Some(gpu.power_mean_watts? * gpu.watched_s))
        }),
        idle_joules: each(|gpu| gpu.idle_power_watts.map(|watts| watts * gpu.watched_s)),
        busy_s: each(|gpu| gpu.busy_s),
    })
}

/// What one GPU did.
pub(in crate::engine) fn gpu_report(gpu: &Gpu, usage: &GpuUsage) -> GpuReport {
    let count = |value: f64| value as u64;
    let (sent, received) = (&usage.pcie_sent_bytes_per_s, &usage.pcie_received_bytes_per_s);
    let throttled = usage.throttled.seconds().filter(|(_, seconds)| *seconds > 0.0);
    let throttled =
        throttled.map(|(reason, seconds)| (reason.name().to_owned(), seconds)).collect();
    let total = usage.memory_total_bytes.or(gpu.memory_total_bytes);
    GpuReport {
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
        idle_power_watts: usage.idle_power_watts.mean(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Body;
    use std::time::Duration;

    #[test]
    fn a_query_comes_to_its_share_of_all_gpus() {
        let gpu = GpuReport {
            watched_s: 10.0,
            busy_s: Some(4.0),
            energy_joules: Some(1_000.0),
            idle_power_watts: Some(60.0),
            ..GpuReport::default()
        };
        let without_counter =
            GpuReport { energy_joules: None, power_mean_watts: Some(30.0), ..gpu.clone() };
        let Body::Stream(mut run) = crate::result::sample::stream().body else {
            panic!("no stream")
        };
        let gpus = [gpu.clone(), without_counter];
        // Five queries in each of two arms.
        let of = per_query(&gpus, &run.queries).unwrap();
        assert_eq!((of.queries, of.joules, of.idle_joules), (10, Some(130.0), Some(120.0)));
        assert_eq!(of.busy_s, Some(0.8));
        let silent = [gpu, GpuReport::default()];
        let of = per_query(&silent, &run.queries).unwrap();
        assert_eq!((of.joules, of.idle_joules, of.busy_s), (None, None, None));
        let mut foreign = run.queries.clone();
        foreign.iter_mut().for_each(|query| query.gpu = QueryGpu::Absent);
        assert_eq!(per_query(&silent, &foreign), None);
        run.queries.clear();
        assert_eq!(per_query(&silent, &run.queries), None);
        assert_eq!(per_query(&[], &run.queries), None);
    }

    #[test]
    fn means_are_by_time_and_only_reasons_that_held_are_kept() {
        let mut usage = GpuUsage { samples: 3, ..GpuUsage::default() };
        let second = Duration::from_secs(1);
        usage.utilization_ratio.add(0.27, second);
        usage.utilization_ratio.add(0.0, second);
        usage.energy_joules.add(0.0, 240.6);
        usage.throttled.add(0x5, second);
        let report = gpu_report(&Gpu::default(), &usage);
        assert_eq!(report.utilization_mean_ratio, Some(0.135));
        assert_eq!((report.utilization_max_ratio, report.busy_s), (Some(0.27), Some(0.27)));
        assert_eq!(report.energy_joules, Some(240.6));
        assert_eq!(report.throttled_s, Some([("power_cap".to_owned(), 1.0)].into()));
        assert_eq!(report.power_mean_watts, None);
    }
}
