//! Threads of their own for the producers and for the examiner: no reader's answer, scrape or
//! tick delays a batch, and no comparison of answers delays a reader.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};

/// Producers that one thread carries. A producer costs its thread some 0.05 s a million rows, so
/// this is far from busy; and fewer threads wake each other less: at 100 rows a batch, two threads
/// for three producers cost twice the CPU time of one.
const PRODUCERS_PER_THREAD: usize = 16;
/// Lanes that one thread carries. A lane makes, hashes and sends a million rows in less than a
/// tenth of the time that its backend takes to store them.
const LANES_PER_THREAD: usize = 8;

/// Cores of this machine that are ours to use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A runtime with threads of its own: its tasks, sockets and timers.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    pub(super) fn of_producers(producers: u32) -> io::Result<Self> {
        let threads = (producers as usize).div_ceil(PRODUCERS_PER_THREAD);
        Self::start("strom-load-ingest", threads.clamp(1, cores()))
    }

    /// Comparing answers is work for a processor, and may wait for a disk.
    pub(super) fn of_examiner() -> io::Result<Self> {
        Self::start("strom-load-examine", 1)
    }

    /// For the connections that fill a table.
    pub(super) fn of_lanes(lanes: u32) -> io::Result<Self> {
        let threads = (lanes as usize).div_ceil(LANES_PER_THREAD);
        Self::start("strom-load-fill", threads.clamp(1, cores()))
    }

    fn start(name: &str, threads: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name(name).enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn handle(&self) -> &Handle {
        match &self.0 {
            Some(runtime) => runtime.handle(),
            None => unreachable!("it is taken only when dropped"),
        }
    }
}

/// A runtime must not be dropped by blocking where async code runs.
impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
