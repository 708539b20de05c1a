//! The NVIDIA GPUs of this machine, as the driver's management library NVML shows them.
//!
//! The library comes with the driver and is loaded at run time, so nothing is needed to build or
//! run without one. Every value is optional by itself: a driver may lack a function, and a GPU may
//! not support it.

mod driver;
mod reading;
mod sampling;
mod service;

use std::ffi::OsString;

use serde::Serialize;

pub use driver::{Driver, Source};
pub use reading::{Detail, GpuSource, Memory, PgStrom, Reading, Reducer};
pub use sampling::{Sampling, sample};
pub use service::is_pg_strom;

/// Environment variable that names the library, for odd installs and for tests.
pub const LIBRARY_VARIABLE: &str = "STROM_LOAD_NVML";

/// Where the library is looked for, in order: by the loader's own rules, then where container
/// images for Kubernetes mount it without telling the loader.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1"];

pub use crate::result::gpu::Gpu;

/// What there is to watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpusFound {
    /// Version of the driver.
    pub driver: Option<String>,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
    /// Why none is watched, in words.
    pub not_watched: Option<String>,
}

/// A program that has a compute context on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuProcess {
    /// Its number, as the driver's host counts.
    pub pid: u32,
    /// GPU memory that it holds, in bytes.
    pub memory_bytes: Option<u64>,
    /// Its command line, where the process is visible from here.
    pub command: Option<String>,
    /// Whether it is the process in which PG-Strom does all its GPU work.
    pub is_pg_strom: bool,
}

/// A GPU as it is at this moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuNow {
    /// What it is.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Share of the driver's last sampling period in which a kernel ran.
    pub utilization_ratio: Option<f64>,
    /// Core temperature.
    pub temperature_celsius: Option<f64>,
    /// Power drawn.
    pub power_watts: Option<f64>,
    /// The programs on it; `None` if the driver does not tell.
    pub processes: Option<Vec<GpuProcess>>,
}

/// What the driver shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// Version of the driver.
    pub driver: Option<String>,
    /// The library that was loaded.
    pub library: String,
    /// Every GPU that could be opened, at least one.
    pub gpus: Vec<GpuNow>,
}

/// Why there is no GPU to see. That is a finding, not a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGpu {
    /// The library is not there, or cannot be loaded.
    #[error("no NVIDIA driver: {reason}")]
    NoLibrary {
        /// What the loader said of each place.
        reason: String,
    },
    /// The library does not get through to the driver.
    #[error("the NVIDIA driver does not answer: {reason}")]
    NoDriver {
        /// What it said.
        reason: String,
    },
    /// There is a driver and no GPU that it lets us open.
    #[error("the NVIDIA driver {driver} shows no GPU{reason}")]
    NoDevice {
        /// Its version.
        driver: String,
        /// What happened to the GPUs that it counts, as `: …`; may be empty.
        reason: String,
    },
}

impl NoGpu {
    /// In a few words.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::NoLibrary { .. } => "there is no NVIDIA driver",
            Self::NoDriver { .. } => "the NVIDIA driver does not answer",
            Self::NoDevice { .. } => "the NVIDIA driver shows no GPU",
        }
    }
}

/// Lists the GPUs, and who is on them. Loads the library, asks and unloads it; without
/// persistence mode the driver may take seconds to wake a GPU, so call it where that may block.
///
/// # Errors
/// When there is nothing to list.
pub fn list() -> Result<Listing, NoGpu> {
    Ok(Driver::open(&libraries())?.list())
}

/// The libraries to try: the one that the environment names, else the usual ones.
pub fn libraries() -> Vec<OsString> {
    match std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => vec![path],
        None => LIBRARIES.map(OsString::from).into(),
    }
}
