//! The only file that speaks to NVML: loads the library, opens the GPUs, asks them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use nvml_wrapper::Nvml;
use nvml_wrapper::device::Device;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PcieUtilCounter, TemperatureSensor,
};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;

use super::reading::{Detail, GpuSource, Memory, PgStrom, Reading};
use super::service;
use super::{Gpu, GpuNow, GpuProcess, GpusFound, Listing, NoGpu};

/// The driver's library, loaded, with at least one GPU.
#[derive(Debug)]
pub struct Driver {
    nvml: Nvml,
    library: String,
    version: Option<String>,
    /// Indices of the GPUs that can be opened.
    indices: Vec<u32>,
}

impl Driver {
    /// Loads the first of these libraries that can be loaded, and looks for GPUs.
    ///
    /// # Errors
    /// When there is no library, driver or GPU.
    pub fn open(libraries: &[OsString]) -> Result<Self, NoGpu> {
        let (nvml, library) = load(libraries)?;
        let version = nvml.sys_driver_version().ok();
        let count =
            nvml.device_count().map_err(|error| NoGpu::NoDriver { reason: error.to_string() })?;
        let (mut indices, mut reason) = (Vec::new(), String::new());
        for index in 0..count {
            match nvml.device_by_index(index) {
                Ok(_) => indices.push(index),
                Err(error) => {
                    tracing::debug!("GPU {index} cannot be opened: {error}");
                    reason = format!(": of {count}, GPU {index} cannot be opened: {error}");
                }
            }
        }
        if indices.is_empty() {
            let driver = version.unwrap_or_else(|| "of unknown version".to_owned());
            return Err(NoGpu::NoDevice { driver, reason });
        }
        Ok(Self { nvml, library, version, indices })
    }

    /// The GPUs, to be sampled; with `pcie`, PCIe throughput too, for which the driver blocks
    /// some 20 ms a direction and GPU.
    pub fn source(&self, pcie: bool) -> Source<'_> {
        let (mut gpus, mut probes) = (Vec::new(), Vec::new());
        for (index, device) in self.devices() {
            gpus.push(describe(index, &device));
            probes.push(Probe::new(device, pcie));
        }
        Source {
            found: GpusFound { driver: self.version.clone(), gpus, not_watched: None },
            probes,
        }
    }

    /// Each GPU as it is now.
    pub(super) fn list(&self) -> Listing {
        Listing {
            driver: self.version.clone(),
            library: self.library.clone(),
            gpus: self.devices().map(|(index, device)| look(index, &device)).collect(),
        }
    }

    fn devices(&self) -> impl Iterator<Item = (u32, Device<'_>)> {
        let open = |index: &u32| Some((*index, self.nvml.device_by_index(*index).ok()?));
        self.indices.iter().filter_map(open)
    }
}

/// The GPUs of a driver, to be sampled.
pub struct Source<'d> {
    found: GpusFound,
    probes: Vec<Probe<'d>>,
}

impl Source<'_> {
    /// What the GPUs are, in their order.
    pub fn found(&self) -> GpusFound {
        self.found.clone()
    }
}

impl GpuSource for Source<'_> {
    fn indices(&self) -> Vec<u32> {
        self.found.gpus.iter().map(|gpu| gpu.index).collect()
    }

    fn read(&mut self, gpu: usize, detail: Detail) -> Reading {
        self.probes.get_mut(gpu).map_or_else(Reading::default, |probe| probe.read(detail))
    }
}

/// A question to a GPU; its number is a bit of [`Probe::unknown`].
#[derive(Debug, Clone, Copy)]
enum Question {
    Utilization,
    Memory,
    Temperature,
    Power,
    Energy,
    SmClock,
    MemoryClock,
    PcieSent,
    PcieReceived,
    Throttle,
    EccCorrected,
    EccUncorrected,
    Processes,
    ProcessUtilization,
}

/// One GPU, and what is known about asking it.
struct Probe<'d> {
    device: Device<'d>,
    pcie: bool,
    /// Questions that this GPU or driver does not know. They are not asked again: a function that
    /// is missing stays missing, and its error is dearer than an answer.
    unknown: u32,
    failure: Option<String>,
    /// The processes last seen, and those of them that are PG-Strom's.
    pids: Vec<u32>,
    pg_strom: Vec<u32>,
    /// The driver's time of the last sample of process utilisation, in microseconds.
    seen_us: u64,
}

impl<'d> Probe<'d> {
    fn new(device: Device<'d>, pcie: bool) -> Self {
        let (pids, pg_strom) = (Vec::new(), Vec::new());
        Self { device, pcie, unknown: 0, failure: None, pids, pg_strom, seen_us: 0 }
    }

    fn ask<T>(
        &mut self,
        question: Question,
        ask: impl FnOnce(&Device<'d>) -> Result<T, NvmlError>,
    ) -> Option<T> {
        let bit = 1 << question as u32;
        if self.unknown & bit != 0 {
            return None;
        }
        match ask(&self.device) {
            Ok(answer) => Some(answer),
            Err(
                NvmlError::FailedToLoadSymbol(_)
                | NvmlError::FunctionNotFound
                | NvmlError::NotSupported
                | NvmlError::NoPermission,
            ) => {
                self.unknown |= bit;
                None
            }
            Err(error) => {
                self.failure.get_or_insert_with(|| error.to_string());
                None
            }
        }
    }

    fn read(&mut self, detail: Detail) -> Reading {
        self.failure = None;
        let rates = self.ask(Question::Utilization, Device::utilization_rates);
        let memory = self.ask(Question::Memory, Device::memory_info);
        let celsius =
            self.ask(Question::Temperature, |gpu| gpu.temperature(TemperatureSensor::Gpu));
        let milliwatts = self.ask(Question::Power, Device::power_usage);
        let millijoules = self.ask(Question::Energy, Device::total_energy_consumption);
        let sm_mhz = self.ask(Question::SmClock, |gpu| gpu.clock_info(Clock::SM));
        let memory_mhz = self.ask(Question::MemoryClock, |gpu| gpu.clock_info(Clock::Memory));
        let throttle = self.ask(Question::Throttle, Device::current_throttle_reasons);
        let (mut sent, mut received) = (None, None);
        if self.pcie {
            sent = self.ask(Question::PcieSent, |gpu| gpu.pcie_throughput(PcieUtilCounter::Send));
            received = self
                .ask(Question::PcieReceived, |gpu| gpu.pcie_throughput(PcieUtilCounter::Receive));
        }
        let mut reading = Reading {
            utilization_ratio: rates.as_ref().map(|rates| ratio(rates.gpu)),
            memory_utilization_ratio: rates.as_ref().map(|rates| ratio(rates.memory)),
            memory: memory.map(|memory| Memory { used: memory.used, total: memory.total }),
            temperature_celsius: celsius.map(f64::from),
            power_watts: milliwatts.map(|milliwatts| f64::from(milliwatts) / 1e3),
            energy_joules: millijoules.map(|millijoules| millijoules as f64 / 1e3),
            sm_clock_hertz: sm_mhz.map(hertz),
            memory_clock_hertz: memory_mhz.map(hertz),
            // The driver counts kilobytes of 1000 bytes.
            pcie_sent_bytes_per_s: sent.map(|kilobytes| f64::from(kilobytes) * 1e3),
            pcie_received_bytes_per_s: received.map(|kilobytes| f64::from(kilobytes) * 1e3),
            throttle_mask: throttle.map(|reasons| reasons.bits()),
            ..Reading::default()
        };
        if detail == Detail::Full {
            reading.ecc_corrected = self.ecc(Question::EccCorrected, MemoryError::Corrected);
            reading.ecc_uncorrected = self.ecc(Question::EccUncorrected, MemoryError::Uncorrected);
            reading.pg_strom = self.pg_strom();
        }
        reading.failure = self.failure.take();
        reading
    }

    fn ecc(&mut self, question: Question, errors: MemoryError) -> Option<u64> {
        self.ask(question, |gpu| gpu.total_ecc_errors(errors, EccCounter::Volatile))
    }

    /// What PG-Strom's processes have of this GPU; `None` if none is visible.
    fn pg_strom(&mut self) -> Option<PgStrom> {
        let processes = self.ask(Question::Processes, Device::running_compute_processes)?;
        if !processes.iter().map(|process| process.pid).eq(self.pids.iter().copied()) {
            self.pids = processes.iter().map(|process| process.pid).collect();
            let is_pg_strom =
                |pid: &u32| service::command(*pid).is_some_and(|line| service::is_pg_strom(&line));
            self.pg_strom = self.pids.iter().copied().filter(is_pg_strom).collect();
        }
        if self.pg_strom.is_empty() {
            return None;
        }
        let ours = processes.iter().filter(|process| self.pg_strom.contains(&process.pid));
        let memory = ours.filter_map(|process| match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        });
        let memory_bytes = memory.reduce(|sum, bytes| sum + bytes);
        Some(PgStrom { memory_bytes, utilization_ratio: self.pg_strom_utilization() })
    }

    fn pg_strom_utilization(&mut self) -> Option<(f64, f64)> {
        let seen_us = self.seen_us;
        let samples = self.ask(Question::ProcessUtilization, |gpu| {
            match gpu.process_utilization_stats(seen_us) {
                // Nothing ran since.
                Err(NvmlError::NotFound) => Ok(Vec::new()),
                other => other,
            }
        })?;
        // By time: several servers may share the GPU.
        let mut by_time = BTreeMap::<u64, u32>::new();
        for sample in samples.iter().filter(|sample| sample.timestamp > seen_us) {
            self.seen_us = self.seen_us.max(sample.timestamp);
            // Some drivers leave rubbish in the slots of processes that did not run.
            if self.pg_strom.contains(&sample.pid) && sample.sm_util <= 100 {
                *by_time.entry(sample.timestamp).or_default() += sample.sm_util;
            }
        }
        let shares = || by_time.values().map(|percent| ratio(*percent));
        let mean = shares().sum::<f64>() / by_time.len().max(1) as f64;
        Some((mean, shares().fold(0.0, f64::max)))
    }
}

fn load(libraries: &[OsString]) -> Result<(Nvml, String), NoGpu> {
    let mut reasons = Vec::new();
    for library in libraries {
        match Nvml::builder().lib_path(library).init() {
            Ok(nvml) => return Ok((nvml, library.to_string_lossy().into_owned())),
            Err(NvmlError::LibloadingError(error)) => reasons.push(said(&error.to_string())),
            Err(error) => {
                let reason = format!("{}: {error}", library.to_string_lossy());
                return Err(NoGpu::NoDriver { reason });
            }
        }
    }
    Err(NoGpu::NoLibrary { reason: reasons.join("; ") })
}

/// What the loader said, in one line.
fn said(error: &str) -> String {
    error.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn describe(index: u32, device: &Device<'_>) -> Gpu {
    Gpu {
        index,
        uuid: device.uuid().ok(),
        name: device.name().ok(),
        pci_bus_id: device.pci_info().ok().map(|pci| pci.bus_id),
        memory_total_bytes: device.memory_info().ok().map(|memory| memory.total),
    }
}

fn look(index: u32, device: &Device<'_>) -> GpuNow {
    GpuNow {
        gpu: describe(index, device),
        memory_used_bytes: device.memory_info().ok().map(|memory| memory.used),
        utilization_ratio: device.utilization_rates().ok().map(|rates| ratio(rates.gpu)),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        power_watts: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
        processes: processes(device).ok(),
    }
}

/// The programs with a compute context.
fn processes(device: &Device<'_>) -> Result<Vec<GpuProcess>, NvmlError> {
    let known = device.running_compute_processes()?;
    let known = known.into_iter().map(|process| {
        let command = service::command(process.pid);
        GpuProcess {
            pid: process.pid,
            memory_bytes: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            },
            is_pg_strom: command.as_deref().is_some_and(service::is_pg_strom),
            command,
        }
    });
    Ok(known.collect())
}

fn hertz(megahertz: u32) -> f64 {
    f64::from(megahertz) * 1e6
}

fn ratio(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}
