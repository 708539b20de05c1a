//! What this process costs: CPU time and memory, so that a report can say whether the loader was
//! the bottleneck.

use std::fs;
use std::time::Duration;

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
