//! What a results folder holds over time, read back from the files beside its result: `latency.hlog`,
//! `executions.csv` and `gpu.csv`. What is not there, or damaged, is left out: a report is made of what
//! there is.

mod csv;
mod executions;
mod gpus;
mod latency;
mod lines;

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

pub use executions::{Execution, Executions};
pub use gpus::GpuSecond;
pub use latency::{Clock, ROWS_PER_DECADE, Window};
pub use lines::Lines;

/// All that is known over time of a job.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The clocks of the batches.
    pub clocks: Vec<Clock>,
    /// The queries one by one, or an even sample of them.
    pub executions: Executions,
    /// What each GPU did in each second.
    pub gpus: Vec<GpuSecond>,
    /// The files that are there and are not whole.
    pub torn: Vec<(&'static str, Torn)>,
}

/// Why a file is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torn {
    /// It could not be opened.
    Unreadable,
    /// Lines of it are left out.
    Lines(Lines),
}

/// The files.
const LATENCY: &str = "latency.hlog";
const EXECUTIONS: &str = "executions.csv";
const GPUS: &str = "gpu.csv";

/// Reads the files of a folder whose job began at a time, RFC 3339.
pub fn read(folder: &Path, started_at: &str) -> Series {
    let mut torn = Vec::new();
    let clocks = file(folder, LATENCY, &mut torn, latency::read);
    let executions = file(folder, EXECUTIONS, &mut torn, executions::read);
    let gpus = humantime::parse_rfc3339_weak(started_at)
        .map(|began| file(folder, GPUS, &mut torn, |text| gpus::read(text, began)));
    Series { clocks, executions, gpus: gpus.unwrap_or_default(), torn }
}

/// What a file holds; nothing of one that is not there.
fn file<T: Default>(
    folder: &Path,
    name: &'static str,
    torn: &mut Vec<(&'static str, Torn)>,
    read: impl FnOnce(BufReader<File>) -> (T, Lines),
) -> T {
    let path = folder.join(name);
    // What is no file, as a pipe, would be waited for.
    let is_file = path.metadata().map_or(true, |of| of.is_file());
    let open = if is_file { File::open(path) } else { Err(ErrorKind::Other.into()) };
    match open {
        Ok(file) => {
            let (found, lines) = read(BufReader::new(file));
            if !lines.are_whole() {
                torn.push((name, Torn::Lines(lines)));
            }
            found
        }
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                torn.push((name, Torn::Unreadable));
            }
            T::default()
        }
    }
}

/// How long after the beginning something was, in seconds; below 0 before it.
fn seconds_since(began: SystemTime, at: SystemTime) -> f64 {
    match at.duration_since(began) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
