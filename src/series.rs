//! What a results folder holds over time, read back from the files beside its result: `latency.hlog`,
//! `executions.csv` and `gpu.csv`. What is not there, or damaged, is left out: a report is made of what
//! there is.

mod csv;
mod executions;
mod gpus;
mod latency;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::SystemTime;

pub use executions::{Execution, Executions};
pub use gpus::GpuSecond;
pub use latency::{Clock, ROWS_PER_DECADE, Window};

/// All that is known over time of a job.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The clocks of the batches.
    pub clocks: Vec<Clock>,
    /// The queries one by one, or an even sample of them.
    pub executions: Executions,
    /// What each GPU did in each second.
    pub gpus: Vec<GpuSecond>,
}

/// Reads the files of a folder whose job began at a time, RFC 3339.
pub fn read(folder: &Path, started_at: &str) -> Series {
    let open = |name: &str| File::open(folder.join(name)).ok().map(BufReader::new);
    let began = humantime::parse_rfc3339_weak(started_at).ok();
    Series {
        clocks: open("latency.hlog").map(latency::read).unwrap_or_default(),
        executions: open("executions.csv").map(executions::read).unwrap_or_default(),
        gpus: open("gpu.csv")
            .zip(began)
            .map(|(file, began)| gpus::read(file, began))
            .unwrap_or_default(),
    }
}

/// How long after the beginning something was, in seconds; below 0 before it.
fn seconds_since(began: SystemTime, at: SystemTime) -> f64 {
    match at.duration_since(began) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
