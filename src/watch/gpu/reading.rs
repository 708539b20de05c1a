//! From readings to tallies: what a GPU answered at a moment, and what that adds to its usage.
//! Pure, so that gaps and resets can be tested without a GPU.

use std::time::{Duration, Instant};

use crate::record::gpu::GpuUsage;

/// How much to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What changes fast.
    Fast,
    /// Also what changes slowly and is dear to ask: memory errors and processes.
    Full,
}

/// Memory of a GPU, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In use.
    pub used: u64,
    /// All of it.
    pub total: u64,
}

/// What PG-Strom's process has of a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PgStrom {
    /// GPU memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Mean and greatest share of the multiprocessors' time since the last reading.
    pub utilization_ratio: Option<(f64, f64)>,
}

/// What a GPU answered at one moment, in base units. `None` is a question without an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Share of the driver's last period in which a kernel ran.
    pub utilization_ratio: Option<f64>,
    /// Share of it in which GPU memory was read or written.
    pub memory_utilization_ratio: Option<f64>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Core temperature.
    pub temperature_celsius: Option<f64>,
    /// Power drawn.
    pub power_watts: Option<f64>,
    /// Energy since the driver was loaded.
    pub energy_joules: Option<f64>,
    /// Clock of the multiprocessors.
    pub sm_clock_hertz: Option<f64>,
    /// Clock of the memory.
    pub memory_clock_hertz: Option<f64>,
    /// PCIe, from the GPU.
    pub pcie_sent_bytes_per_s: Option<f64>,
    /// PCIe, to the GPU.
    pub pcie_received_bytes_per_s: Option<f64>,
    /// The driver's mask of what holds the clocks down.
    pub throttle_mask: Option<u64>,
    /// Memory errors mended since the driver was loaded.
    pub ecc_corrected: Option<u64>,
    /// Memory errors not mended.
    pub ecc_uncorrected: Option<u64>,
    /// PG-Strom's process, if it is visible.
    pub pg_strom: Option<PgStrom>,
    /// What went wrong, other than that this GPU or driver does not know the answer.
    pub failure: Option<String>,
}

impl Reading {
    /// Whether nothing was answered.
    pub fn is_empty(&self) -> bool {
        let silent = Self { failure: self.failure.clone(), ..Self::default() };
        *self == silent
    }
}

/// GPUs that can be asked. A trait, so that the sampling can be tested without any.
pub trait GpuSource {
    /// The driver's numbers for them.
    fn indices(&self) -> Vec<u32>;

    /// Asks the GPU at place `gpu`, from 0.
    fn read(&mut self, gpu: usize, detail: Detail) -> Reading;
}

/// Turns the readings of one GPU into what each adds to its usage.
#[derive(Debug)]
pub struct Reducer {
    /// Readings further apart than this have a gap between them that neither stands for.
    gap: Duration,
    fast_at: Option<Instant>,
    full_at: Option<Instant>,
    energy_joules: Option<f64>,
    ecc_corrected: Option<f64>,
    ecc_uncorrected: Option<f64>,
}

impl Reducer {
    /// For a GPU that is asked each `interval`, and fully each `full_interval`.
    pub fn new(interval: Duration, full_interval: Duration) -> Self {
        Self {
            gap: 3 * interval.max(full_interval),
            fast_at: None,
            full_at: None,
            energy_joules: None,
            ecc_corrected: None,
            ecc_uncorrected: None,
        }
    }

    /// What a reading taken at `at` adds.
    pub fn step(&mut self, at: Instant, detail: Detail, reading: &Reading) -> GpuUsage {
        let mut usage = GpuUsage::default();
        if reading.is_empty() {
            // What comes next must not stand for the time of silence.
            (self.fast_at, self.full_at) = (None, None);
            usage.samples_failed = 1;
            return usage;
        }
        usage.samples = 1;
        let gap = self.gap;
        let covered = |last: Option<Instant>| {
            let since = last.map(|last| at.saturating_duration_since(last));
            since.filter(|since| *since <= gap).unwrap_or_default()
        };
        let fast = covered(self.fast_at.replace(at));
        for (value, sampled) in [
            (reading.utilization_ratio, &mut usage.utilization_ratio),
            (reading.memory_utilization_ratio, &mut usage.memory_utilization_ratio),
            (reading.memory.map(|memory| memory.used as f64), &mut usage.memory_used_bytes),
            (reading.temperature_celsius, &mut usage.temperature_celsius),
            (reading.power_watts, &mut usage.power_watts),
            (reading.sm_clock_hertz, &mut usage.sm_clock_hertz),
            (reading.memory_clock_hertz, &mut usage.memory_clock_hertz),
            (reading.pcie_sent_bytes_per_s, &mut usage.pcie_sent_bytes_per_s),
            (reading.pcie_received_bytes_per_s, &mut usage.pcie_received_bytes_per_s),
        ] {
            if let Some(value) = value {
                sampled.add(value, fast);
            }
        }
        if let (Some(0.0), Some(watts)) = (reading.utilization_ratio, reading.power_watts) {
            usage.idle_power_watts.add(watts, fast);
        }
        usage.memory_total_bytes = reading.memory.map(|memory| memory.total);
        if let Some(mask) = reading.throttle_mask {
            usage.throttled.add(mask, fast);
        }
        // A counter holds what happened in a gap, too.
        for (now, before, growth) in [
            (reading.energy_joules, &mut self.energy_joules, &mut usage.energy_joules),
            (
                reading.ecc_corrected.map(|count| count as f64),
                &mut self.ecc_corrected,
                &mut usage.ecc_corrected,
            ),
            (
                reading.ecc_uncorrected.map(|count| count as f64),
                &mut self.ecc_uncorrected,
                &mut usage.ecc_uncorrected,
            ),
        ] {
            if let Some(now) = now
                && let Some(before) = before.replace(now)
            {
                growth.add(before, now);
            }
        }
        if detail == Detail::Full {
            let full = covered(self.full_at.replace(at));
            let pg_strom = reading.pg_strom.unwrap_or_default();
            if let Some(bytes) = pg_strom.memory_bytes {
                usage.pg_strom_memory_bytes.add(bytes as f64, full);
            }
            if let Some((mean, max)) = pg_strom.utilization_ratio {
                usage.pg_strom_utilization_ratio.add(mean, full);
                usage.pg_strom_utilization_ratio.lift(max);
            }
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_millis(100);
    const FULL: Duration = Duration::from_secs(1);

    fn busy(utilization_ratio: f64, energy_joules: f64) -> Reading {
        Reading {
            utilization_ratio: Some(utilization_ratio),
            energy_joules: Some(energy_joules),
            ..Reading::default()
        }
    }

    /// The usage that these readings add up to: milliseconds since the one before, and what was
    /// answered.
    fn usage(readings: &[(u64, Option<Reading>)]) -> GpuUsage {
        let (mut reducer, mut usage) = (Reducer::new(INTERVAL, FULL), GpuUsage::default());
        let mut at = Instant::now();
        for (ms, reading) in readings {
            at += Duration::from_millis(*ms);
            let reading = reading.clone().unwrap_or_default();
            usage.merge(&reducer.step(at, Detail::Fast, &reading));
        }
        usage
    }

    #[test]
    fn the_first_reading_stands_for_no_time() {
        let first = usage(&[(0, Some(busy(0.9, 1e6)))]);
        assert_eq!(first.utilization_ratio.max(), Some(0.9));
        assert_eq!(first.utilization_ratio.integral(), Some(0.0));
        assert_eq!(first.energy_joules.get(), None);
    }

    #[test]
    fn a_gap_is_not_filled_but_a_counter_spans_it() {
        let readings = [
            (0, Some(busy(0.5, 100.0))),
            (100, Some(busy(0.5, 110.0))),
            (60_000, Some(busy(1.0, 900.0))),
            (100, Some(busy(1.0, 910.0))),
        ];
        let usage = usage(&readings);
        assert!((usage.utilization_ratio.covered_s() - 0.2).abs() < 1e-9);
        assert!((usage.utilization_ratio.mean().unwrap() - 0.75).abs() < 1e-9);
        assert_eq!(usage.energy_joules.get(), Some(810.0));
        assert_eq!((usage.samples, usage.samples_failed), (4, 0));
    }

    #[test]
    fn silence_is_counted_and_stands_for_nothing() {
        let readings = [
            (0, Some(busy(0.4, 0.0))),
            (100, Some(busy(0.4, 1.0))),
            (100, None),
            (100, Some(busy(0.8, 3.0))),
        ];
        let usage = usage(&readings);
        assert_eq!((usage.samples, usage.samples_failed), (3, 1));
        assert!((usage.utilization_ratio.covered_s() - 0.1).abs() < 1e-9);
        assert_eq!(usage.utilization_ratio.max(), Some(0.8));
        assert_eq!(usage.energy_joules.get(), Some(3.0));
    }

    #[test]
    fn a_value_that_is_missing_leaves_the_others_alone() {
        let power = Reading { power_watts: Some(70.0), ..Reading::default() };
        let usage = usage(&[(0, Some(power.clone())), (100, Some(power))]);
        assert!((usage.power_watts.integral().unwrap() - 7.0).abs() < 1e-9);
        assert_eq!(usage.utilization_ratio.mean(), None);
        assert_eq!(usage.throttled.mask(), None);
        assert_eq!(usage.pg_strom_memory_bytes.mean(), None);
    }

    #[test]
    fn a_slow_value_stands_for_the_time_since_it_was_last_asked() {
        let mut reducer = Reducer::new(INTERVAL, FULL);
        let pg_strom = PgStrom { memory_bytes: Some(1000), utilization_ratio: Some((0.1, 0.7)) };
        let full = Reading { pg_strom: Some(pg_strom), ..busy(0.2, 0.0) };
        let (start, mut usage) = (Instant::now(), GpuUsage::default());
        for ms in (0..=1000).step_by(100) {
            let at = start + Duration::from_millis(ms);
            let (detail, reading) = match ms % 1000 {
                0 => (Detail::Full, full.clone()),
                _ => (Detail::Fast, busy(0.2, 0.0)),
            };
            usage.merge(&reducer.step(at, detail, &reading));
        }
        assert_eq!(usage.pg_strom_memory_bytes.integral(), Some(1000.0));
        assert_eq!(usage.pg_strom_utilization_ratio.mean(), Some(0.1));
        assert_eq!(usage.pg_strom_utilization_ratio.max(), Some(0.7));
        assert!((usage.utilization_ratio.covered_s() - 1.0).abs() < 1e-9);
    }

    proptest! {
        /// Whatever is missing, and however uneven the sampling: a GPU is never busier than its
        /// busiest reading, nor for longer than it was watched.
        #[test]
        fn busy_time_is_bounded(
            readings in prop::collection::vec((1_u64..8_000, prop::option::of(0.0..=1.0_f64)), 0..60)
        ) {
            let elapsed: u64 = readings.iter().map(|(ms, _)| ms).sum();
            let readings: Vec<_> = readings
                .into_iter()
                .map(|(ms, value)| (ms, value.map(|value| busy(value, 0.0))))
                .collect();
            let usage = usage(&readings);
            let utilization = usage.utilization_ratio;
            prop_assert_eq!(usage.samples + usage.samples_failed, readings.len() as u64);
            prop_assert!(utilization.covered_s() <= elapsed as f64 / 1e3 + 1e-9);
            let busy_s = utilization.integral().unwrap_or(0.0);
            prop_assert!(busy_s <= utilization.covered_s() + 1e-9);
            if let (Some(mean), Some(max)) = (utilization.mean(), utilization.max()) {
                prop_assert!(mean <= max);
                prop_assert!(busy_s <= max * utilization.covered_s() + 1e-9);
            }
        }
    }
}
