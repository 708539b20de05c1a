//! `gpu.csv`, read back.

use std::collections::HashSet;
use std::io::BufRead;
use std::time::SystemTime;

use super::csv::records;
use super::lines::{Lines, Taken};
use super::seconds_since;

/// What a GPU did in a second, or in as long as a row stands for. What is not known is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuSecond {
    /// The GPU's number.
    pub index: u32,
    /// When the second ended, since the start of the schedule.
    pub end_s: f64,
    /// Mean share of time in which a kernel ran, in percent.
    pub busy_percent: f64,
    /// Greatest sample of it.
    pub busy_max_percent: f64,
    /// Memory in use, in MiB.
    pub memory_mib: f64,
    /// Mean power in watts.
    pub power_watts: f64,
    /// Greatest sample of it.
    pub power_max_watts: f64,
}

/// Reads all that can be read, of a job that began at a time.
pub(super) fn read(text: impl BufRead, began: SystemTime) -> (Vec<GpuSecond>, Lines) {
    const NAMES: [&str; 7] = [
        "timestamp",
        "index",
        "utilization.gpu [%]",
        "utilization.gpu.max [%]",
        "memory.used [MiB]",
        "power.draw [W]",
        "power.draw.max [W]",
    ];
    let mut found: Vec<GpuSecond> = Vec::new();
    let mut head: Option<[Option<usize>; 7]> = None;
    let mut seen = HashSet::new();
    let lines = records(text, |fields| {
        let Some(places) = head else {
            head = Some(NAMES.map(|name| fields.iter().position(|own| *own == name)));
            return Taken::Whole;
        };
        let field = |at: usize| places[at].and_then(|place| fields.get(place).copied());
        let number = |at: usize| field(at).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let index = field(1).and_then(|text| text.parse().ok());
        let (Some(at), Some(index)) = (field(0).and_then(time), index) else { return Taken::Bad };
        if !seen.insert((at, index)) {
            return Taken::Again;
        }
        found.push(GpuSecond {
            index,
            end_s: seconds_since(began, at),
            busy_percent: number(2),
            busy_max_percent: number(3),
            memory_mib: number(4),
            power_watts: number(5),
            power_max_watts: number(6),
        });
        Taken::Whole
    });
    (found, lines)
}

/// A time as nvidia-smi writes it, in UTC: `2026/11/22 15:43:00.123`.
fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(&text.replace('/', "-")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_time_and_what_the_driver_tells() {
        let text = "timestamp, index, uuid, name, utilization.gpu [%], memory.used [MiB], power.draw [W]\n\
                    2026/11/26 09:15:12.750, 1, GPU-1, Stub T4, 16.6, 2048, [N/A]\n\
                    2026/11/26 09:15:1";
        let began = humantime::parse_rfc3339("2026-11-26T09:15:10Z").unwrap();
        let (found, lines) = read(text.as_bytes(), began);
        assert_eq!(lines, Lines { bad: 0, again: 0, cut_off: true });
        let [row] = found.as_slice() else { panic!("{found:?}") };
        assert!((row.end_s - 2.75).abs() < 1e-6 && row.index == 1);
        assert!((row.busy_percent - 16.6).abs() < 1e-9 && row.power_watts.is_nan());
        assert!(row.busy_max_percent.is_nan());
    }
}
