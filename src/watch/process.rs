//! What this process costs: CPU time and memory, so that a report can say whether the loader was
//! the bottleneck.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;

/// Cost of this process so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ProcessCost {
    /// User and system CPU time, in seconds.
    pub cpu_s: f64,
    /// Resident memory now, in bytes; 0 where the system does not tell.
    pub resident_bytes: u64,
    /// Greatest resident memory so far, in bytes; 0 where the system does not tell.
    pub resident_peak_bytes: u64,
}

/// Reads the cost of this process. Cheap: two small files of /proc.
pub fn cost() -> ProcessCost {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // VmHWM, not getrusage's ru_maxrss: that one is inherited from the parent.
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    };
    ProcessCost {
        cpu_s: cpu_time().as_secs_f64(),
        resident_bytes: bytes("VmRSS:"),
        resident_peak_bytes: bytes("VmHWM:"),
    }
}

/// Fewer open files than are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// Open files that are needed, with those that are there.
    pub need: u64,
    /// The most that this process may have.
    pub have: u64,
}

/// Sees to it that `more` files can be opened beside those that are: raises the soft limit if it
/// is too low.
///
/// # Errors
/// When the hard limit, which only root can raise, is too low as well.
pub fn allow_files(more: u64) -> Result<(), FileLimit> {
    let open = fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
    let need = open + more;
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= need);
    if enough(limit.current) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(need), maximum: limit.maximum };
    if enough(limit.maximum) && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(FileLimit { need, have: limit.maximum.unwrap_or(u64::MAX) })
}

fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn a_living_process_costs_something() {
        let cost = super::cost();
        assert!(cost.cpu_s > 0.0 && cost.resident_bytes > 0);
        assert!(cost.resident_peak_bytes >= cost.resident_bytes);
    }
}
