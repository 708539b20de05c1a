//! The only file that speaks to NVML: loads the library, opens the GPUs, asks them.

use std::ffi::OsString;

use nvml_wrapper::Nvml;
use nvml_wrapper::device::Device;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;

use super::service;
use super::{Gpu, GpuNow, GpuProcess, Listing, NoGpu};

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

    /// Version of the driver.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What each GPU is.
    pub fn gpus(&self) -> Vec<Gpu> {
        self.devices().map(|(index, device)| describe(index, &device)).collect()
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

fn ratio(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}
