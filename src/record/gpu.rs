//! What a GPU did over a stretch of time: gauges reduced to mean, maximum and integral, and what
//! counters grew by. Stretches add up without loss.

use std::time::Duration;

/// A gauge that is read now and then: its value times the time that it stands for, and its peak.
///
/// A reading stands for the time since the reading before it, as NVML's utilisation does: it is
/// the share of the driver's last period. Time without a reading is not covered by anything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampled {
    covered_s: f64,
    integral: f64,
    extremes: Option<Extremes>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Extremes {
    min: f64,
    max: f64,
    last: f64,
}

impl Sampled {
    /// Adds a reading that stands for the time `covered`; zero if nothing is known about the time
    /// before it. What is no number is left out.
    pub fn add(&mut self, value: f64, covered: Duration) {
        if !value.is_finite() {
            return;
        }
        self.covered_s += covered.as_secs_f64();
        self.integral += value * covered.as_secs_f64();
        let (min, max) = self
            .extremes
            .map_or((value, value), |extremes| (extremes.min.min(value), extremes.max.max(value)));
        self.extremes = Some(Extremes { min, max, last: value });
    }

    /// Lifts the maximum to a value that lay between two readings.
    pub fn lift(&mut self, peak: f64) {
        if let Some(extremes) = &mut self.extremes {
            extremes.max = extremes.max.max(peak);
        }
    }

    /// Adds a later stretch.
    pub fn merge(&mut self, later: &Self) {
        self.covered_s += later.covered_s;
        self.integral += later.integral;
        self.extremes = match (self.extremes, later.extremes) {
            (Some(before), Some(after)) => {
                let (min, max) = (before.min.min(after.min), before.max.max(after.max));
                Some(Extremes { min, max, last: after.last })
            }
            (before, after) => after.or(before),
        };
    }

    /// Mean over the time that is covered, each value weighed by its time; before any time is
    /// covered, the last reading. `None` without a reading.
    pub fn mean(&self) -> Option<f64> {
        let Extremes { min, max, last } = self.extremes?;
        // Rounding may carry the quotient past the values by a hair; a constant stays itself.
        let mean = || (self.integral / self.covered_s).clamp(min, max);
        Some(if self.covered_s > 0.0 { mean() } else { last })
    }

    /// Greatest reading.
    pub fn max(&self) -> Option<f64> {
        self.extremes.map(|extremes| extremes.max)
    }

    /// Σ value · time, in the value's unit times seconds. `None` without a reading.
    pub fn integral(&self) -> Option<f64> {
        self.extremes.map(|_| self.integral)
    }

    /// Seconds that its readings stand for.
    pub fn covered_s(&self) -> f64 {
        self.covered_s
    }
}

/// What a counter of the driver grew by; it starts again from zero when the driver is reloaded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Growth(Option<f64>);

impl Growth {
    /// Adds the step from one reading to the next. After a reset the new reading is what it grew
    /// by at least.
    pub fn add(&mut self, before: f64, now: f64) {
        let step = if now >= before { now - before } else { now };
        *self.0.get_or_insert(0.0) += step;
    }

    /// Adds a later stretch.
    pub fn merge(&mut self, later: Self) {
        if let Some(step) = later.0 {
            *self.0.get_or_insert(0.0) += step;
        }
    }

    /// The growth; `None` with fewer than two readings.
    pub fn get(self) -> Option<f64> {
        self.0
    }
}

/// Why the driver holds a GPU's clocks down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// By the application clocks that somebody set.
    ApplicationClocks,
    /// Software: the power limit.
    PowerCap,
    /// Hardware: heat, a power brake or a fast power trigger.
    HardwareSlowdown,
    /// By another GPU of its boost group.
    SyncBoost,
    /// Software: the temperature limit.
    Thermal,
    /// Hardware: heat.
    HardwareThermal,
    /// Hardware: the power supply asks for it.
    PowerBrake,
    /// By the display's clocks.
    DisplayClocks,
}

impl Throttle {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 8] = [
        Self::ApplicationClocks,
        Self::PowerCap,
        Self::HardwareSlowdown,
        Self::SyncBoost,
        Self::Thermal,
        Self::HardwareThermal,
        Self::PowerBrake,
        Self::DisplayClocks,
    ];

    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApplicationClocks => "application_clocks",
            Self::PowerCap => "power_cap",
            Self::HardwareSlowdown => "hardware_slowdown",
            Self::SyncBoost => "sync_boost",
            Self::Thermal => "thermal",
            Self::HardwareThermal => "hardware_thermal",
            Self::PowerBrake => "power_brake",
            Self::DisplayClocks => "display_clocks",
        }
    }

    /// Its bit in the driver's mask. The first bit of the mask is no reason: the GPU is idle.
    pub fn bit(self) -> u64 {
        2 << self as u32
    }
}

/// How long each reason held the clocks down.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throttled {
    read: bool,
    mask: u64,
    seconds: [f64; Throttle::ALL.len()],
}

impl Throttled {
    /// Adds a reading of the driver's mask that stands for the time `covered`.
    pub fn add(&mut self, mask: u64, covered: Duration) {
        self.read = true;
        self.mask |= mask;
        for (reason, seconds) in Throttle::ALL.iter().zip(&mut self.seconds) {
            if mask & reason.bit() != 0 {
                *seconds += covered.as_secs_f64();
            }
        }
    }

    /// Adds a later stretch.
    pub fn merge(&mut self, later: &Self) {
        self.read |= later.read;
        self.mask |= later.mask;
        for (seconds, more) in self.seconds.iter_mut().zip(later.seconds) {
            *seconds += more;
        }
    }

    /// Every reason that was read at some moment, as the driver's mask; `None` without a reading.
    pub fn mask(&self) -> Option<u64> {
        self.read.then_some(self.mask)
    }

    /// Seconds by reason; nothing without a reading.
    pub fn seconds(&self) -> impl Iterator<Item = (Throttle, f64)> + '_ {
        Throttle::ALL.into_iter().zip(self.seconds).filter(|_| self.read)
    }
}

/// What a GPU did over a stretch of time. What the driver did not tell is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuUsage {
    /// Times that the GPU was asked and answered anything.
    pub samples: u64,
    /// Times that it answered nothing.
    pub samples_failed: u64,
    /// Share of time in which a kernel ran; its integral is in seconds.
    pub utilization_ratio: Sampled,
    /// Share of time in which GPU memory was read or written.
    pub memory_utilization_ratio: Sampled,
    /// GPU memory in use.
    pub memory_used_bytes: Sampled,
    /// All GPU memory.
    pub memory_total_bytes: Option<u64>,
    /// Core temperature.
    pub temperature_celsius: Sampled,
    /// Power drawn; its integral is in joules.
    pub power_watts: Sampled,
    /// The same of the samples alone in which no kernel ran.
    pub idle_power_watts: Sampled,
    /// What the energy counter grew by.
    pub energy_joules: Growth,
    /// Clock of the multiprocessors.
    pub sm_clock_hertz: Sampled,
    /// Clock of the memory.
    pub memory_clock_hertz: Sampled,
    /// PCIe: from the GPU to the host.
    pub pcie_sent_bytes_per_s: Sampled,
    /// PCIe: from the host to the GPU.
    pub pcie_received_bytes_per_s: Sampled,
    /// Why and how long clocks were held down.
    pub throttled: Throttled,
    /// Memory errors that ECC mended.
    pub ecc_corrected: Growth,
    /// Memory errors that it could not mend.
    pub ecc_uncorrected: Growth,
    /// GPU memory of PG-Strom's process, where that is visible.
    pub pg_strom_memory_bytes: Sampled,
    /// Share of the multiprocessors' time that PG-Strom's process took, where it is visible.
    pub pg_strom_utilization_ratio: Sampled,
}

impl GpuUsage {
    /// Adds a later stretch.
    pub fn merge(&mut self, later: &Self) {
        self.samples += later.samples;
        self.samples_failed += later.samples_failed;
        self.utilization_ratio.merge(&later.utilization_ratio);
        self.memory_utilization_ratio.merge(&later.memory_utilization_ratio);
        self.memory_used_bytes.merge(&later.memory_used_bytes);
        self.memory_total_bytes = later.memory_total_bytes.or(self.memory_total_bytes);
        self.temperature_celsius.merge(&later.temperature_celsius);
        self.idle_power_watts.merge(&later.idle_power_watts);
        self.power_watts.merge(&later.power_watts);
        self.energy_joules.merge(later.energy_joules);
        self.sm_clock_hertz.merge(&later.sm_clock_hertz);
        self.memory_clock_hertz.merge(&later.memory_clock_hertz);
        self.pcie_sent_bytes_per_s.merge(&later.pcie_sent_bytes_per_s);
        self.pcie_received_bytes_per_s.merge(&later.pcie_received_bytes_per_s);
        self.throttled.merge(&later.throttled);
        self.ecc_corrected.merge(later.ecc_corrected);
        self.ecc_uncorrected.merge(later.ecc_uncorrected);
        self.pg_strom_memory_bytes.merge(&later.pg_strom_memory_bytes);
        self.pg_strom_utilization_ratio.merge(&later.pg_strom_utilization_ratio);
    }
}

/// What a GPU did since the last drain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuTally {
    /// In all of that time.
    pub usage: GpuUsage,
    /// In the part of it that lies after the warm-up.
    pub measured: GpuUsage,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values and the milliseconds that each stands for.
    fn readings() -> impl Strategy<Value = Vec<(f64, u64)>> {
        prop::collection::vec((0.0..1e12, 0_u64..5_000), 0..40)
    }

    fn sampled(readings: &[(f64, u64)]) -> Sampled {
        let mut sampled = Sampled::default();
        readings.iter().for_each(|(value, ms)| sampled.add(*value, Duration::from_millis(*ms)));
        sampled
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
    }

    proptest! {
        #[test]
        fn the_mean_lies_between_the_least_and_the_greatest(readings in readings()) {
            let sampled = sampled(&readings);
            let values = readings.iter().map(|(value, _)| *value);
            prop_assert_eq!(sampled.max(), values.clone().reduce(f64::max));
            prop_assert_eq!(sampled.mean().is_some(), !readings.is_empty());
            if let Some(mean) = sampled.mean() {
                let least = values.fold(f64::MAX, f64::min);
                prop_assert!(mean <= sampled.max().unwrap());
                prop_assert!(mean >= least);
            }
        }

        #[test]
        fn the_integral_is_the_sum_of_value_times_time(readings in readings()) {
            let sampled = sampled(&readings);
            let sum: f64 = readings.iter().map(|(value, ms)| value * *ms as f64 / 1e3).sum();
            prop_assert!(near(sampled.integral().unwrap_or(0.0), sum));
            let time: u64 = readings.iter().map(|(_, ms)| ms).sum();
            prop_assert!(near(sampled.covered_s(), time as f64 / 1e3));
        }

        #[test]
        fn stretches_add_up_to_the_whole(readings in readings(), cut in 0_usize..40) {
            let (before, after) = readings.split_at(cut.min(readings.len()));
            let mut sum = sampled(before);
            sum.merge(&sampled(after));
            let whole = sampled(&readings);
            prop_assert_eq!(sum.max(), whole.max());
            prop_assert!(near(sum.integral().unwrap_or(0.0), whole.integral().unwrap_or(0.0)));
            match (sum.mean(), whole.mean()) {
                (Some(sum), Some(whole)) => prop_assert!(near(sum, whole)),
                (sum, whole) => prop_assert_eq!(sum, whole),
            }
        }

        #[test]
        fn a_counter_never_shrinks(readings in prop::collection::vec(0.0..1e9, 2..40)) {
            let (mut whole, mut parts) = (Growth::default(), Growth::default());
            for pair in readings.windows(2) {
                let before = whole.get().unwrap_or(0.0);
                whole.add(pair[0], pair[1]);
                prop_assert!(whole.get().unwrap() >= before);
                let mut part = Growth::default();
                part.add(pair[0], pair[1]);
                parts.merge(part);
            }
            prop_assert!(near(whole.get().unwrap(), parts.get().unwrap()));
            if readings.is_sorted() {
                let rise = readings.last().unwrap() - readings[0];
                prop_assert!(near(whole.get().unwrap(), rise));
            }
        }
    }

    #[test]
    fn after_a_reset_a_counter_goes_on_from_zero() {
        let mut growth = Growth::default();
        assert_eq!(growth.get(), None);
        growth.add(100.0, 130.0);
        growth.add(130.0, 5.0);
        assert_eq!(growth.get(), Some(35.0));
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let mut sampled = Sampled::default();
        sampled.add(f64::NAN, Duration::from_secs(1));
        assert_eq!((sampled.mean(), sampled.integral(), sampled.covered_s()), (None, None, 0.0));
    }

    #[test]
    fn the_bits_are_the_drivers() {
        // nvmlClocksThrottleReasons… of nvml.h.
        assert_eq!(Throttle::ApplicationClocks.bit(), 0x2);
        assert_eq!(Throttle::PowerCap.bit(), 0x4);
        assert_eq!(Throttle::HardwareThermal.bit(), 0x40);
        assert_eq!(Throttle::DisplayClocks.bit(), 0x100);
        let mut throttled = Throttled::default();
        assert_eq!(throttled.seconds().count(), 0);
        throttled.add(0x45, Duration::from_millis(100));
        throttled.add(0x1, Duration::from_millis(100));
        let held: Vec<_> = throttled.seconds().filter(|(_, seconds)| *seconds > 0.0).collect();
        assert_eq!(held, [(Throttle::PowerCap, 0.1), (Throttle::HardwareThermal, 0.1)]);
        assert_eq!(throttled.mask(), Some(0x45));
    }
}
