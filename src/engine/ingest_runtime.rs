//! Threads of their own for the producers, so that no reader's answer, scrape or tick delays a
//! batch.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};

/// Producers that one thread carries. A producer costs its thread some 0.05 s a million rows, so
/// this is far from busy; and fewer threads wake each other less: at 100 rows a batch, two threads
/// for three producers cost twice the CPU time of one.
const PRODUCERS_PER_THREAD: usize = 16;

/// Cores of this machine that are ours to use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A runtime for producers: their tasks, sockets and timers.
pub(super) struct IngestRuntime(Option<Runtime>);

impl IngestRuntime {
    pub(super) fn start(producers: u32) -> io::Result<Self> {
        Self::with_threads((producers as usize).div_ceil(PRODUCERS_PER_THREAD))
    }

    /// With so many threads, and no more than there are cores.
    pub(super) fn with_threads(threads: usize) -> io::Result<Self> {
        let threads = threads.clamp(1, cores());
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("strom-load-ingest")
            .enable_all()
            .build()?;
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
impl Drop for IngestRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
