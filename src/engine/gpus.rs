//! The thread that watches the GPUs: started before the run, told when it begins, stopped after
//! it. A thread, since the driver's calls block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::pace::told;
use crate::plan::Watch;
use crate::quantity::format_duration;
use crate::record::Recorder;
use crate::record::gpu::{GpuTally, GpuUsage};
use crate::watch::gpu::{self, Driver, GpusFound, NoGpu, Sampling};

/// Without persistence mode a driver wakes its GPUs when it is asked; that takes seconds.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// A driver that hangs must not hold up the report.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The GPUs of a run.
pub(super) struct Gpus {
    found: GpusFound,
    interval: Duration,
    thread: Option<Watcher>,
    /// Set when the measurement ends.
    is_over: Arc<AtomicBool>,
    lanes: Vec<(Recorder<GpuTally>, GpuUsage)>,
}

/// The thread, and what it listens to.
struct Watcher {
    opened: Option<oneshot::Receiver<Result<GpusFound, NoGpu>>>,
    begin: Sender<Sampling>,
    stop: Sender<()>,
    handle: JoinHandle<()>,
}

impl Gpus {
    /// Starts the thread, which opens the driver meanwhile.
    pub(super) fn open(watch: Watch) -> Self {
        let mut gpus = Self {
            found: GpusFound::default(),
            interval: watch.gpu_interval.unwrap_or_default(),
            thread: None,
            is_over: Arc::default(),
            lanes: Vec::new(),
        };
        if watch.gpu_interval.is_none() {
            gpus.found.not_watched = Some("switched off".to_owned());
            return gpus;
        }
        let (begin, begun) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (found, opened) = oneshot::channel();
        let thread = thread::Builder::new().name("strom-load-gpu".to_owned());
        match thread.spawn(move || work(watch.gpu_pcie, found, &begun, &stopped)) {
            Ok(handle) => {
                gpus.thread = Some(Watcher { opened: Some(opened), begin, stop, handle });
            }
            Err(error) => gpus.give_up(&format!("failed to start a thread: {error}")),
        }
        gpus
    }

    /// Waits until the driver has answered.
    pub(super) async fn ready(&mut self) {
        let opened = self.thread.as_mut().and_then(|thread| thread.opened.take());
        let Some(opened) = opened else { return };
        let answer = told(tokio::time::timeout(OPEN_TIMEOUT, opened), |waited| {
            tracing::info!(
                "waiting for the GPU driver, {} s: it may have to wake a GPU",
                waited.as_secs()
            );
        });
        match answer.await {
            Ok(Ok(Ok(found))) => {
                let names = found.gpus.iter().map(|gpu| gpu.name.as_deref().unwrap_or("unnamed"));
                let names = names.collect::<Vec<_>>().join(", ");
                let interval = format_duration(self.interval);
                tracing::info!("GPUs are sampled each {interval}: {names}");
                self.lanes = found.gpus.iter().map(|_| Default::default()).collect();
                self.found = found;
            }
            Ok(Ok(Err(no_gpu))) => {
                // What the loader of libraries says of each place is long, and the same each time.
                tracing::info!("GPUs are not watched: {}", no_gpu.summary());
                tracing::debug!("{no_gpu}");
                self.leave_unwatched(&no_gpu.to_string());
            }
            Ok(Err(_)) => self.give_up("the thread that watches them broke"),
            Err(_) => self.give_up("the driver did not answer within 30 s"),
        }
    }

    fn give_up(&mut self, why: &str) {
        tracing::info!("GPUs are not watched: {why}");
        self.leave_unwatched(why);
    }

    fn leave_unwatched(&mut self, why: &str) {
        self.found = GpusFound { not_watched: Some(why.to_owned()), ..GpusFound::default() };
        self.thread = None;
    }

    /// Begins to sample.
    pub(super) fn begin(&self, measured_from: Instant) {
        let Some(thread) = &self.thread else { return };
        let recorders = self.lanes.iter().map(|(recorder, _)| recorder.clone()).collect();
        let is_over = Arc::clone(&self.is_over);
        let sampling = Sampling { interval: self.interval, measured_from, is_over, recorders };
        // A thread that is gone leaves its tallies empty.
        let _ = thread.begin.send(sampling);
    }

    /// What is sampled from now on is not of the measurement.
    pub(super) fn measurement_ends(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// What each GPU did since the last call.
    pub(super) fn drain(&mut self) -> Vec<GpuTally> {
        let drain = |(recorder, total): &mut (Recorder<GpuTally>, GpuUsage)| {
            let tally = recorder.drain();
            total.merge(&tally.measured);
            tally
        };
        self.lanes.iter_mut().map(drain).collect()
    }

    /// Takes the last sample and ends the thread.
    pub(super) async fn stop(&mut self) {
        let Some(Watcher { stop, begin, handle, .. }) = self.thread.take() else { return };
        drop((stop, begin));
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !handle.is_finished() {
            if Instant::now() > deadline {
                tracing::warn!("the GPU driver hangs; its last values are missing");
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if handle.join().is_err() {
            tracing::warn!("the thread that watches the GPUs broke; its last values are missing");
        }
    }

    /// What is watched.
    pub(super) fn found(&self) -> &GpusFound {
        &self.found
    }

    /// What each GPU did in the measurement so far.
    pub(super) fn totals(&self) -> Vec<&GpuUsage> {
        self.lanes.iter().map(|(_, total)| total).collect()
    }
}

/// The body of the thread. It ends when the other side lets go of its channels.
fn work(
    pcie: bool,
    found: oneshot::Sender<Result<GpusFound, NoGpu>>,
    begun: &Receiver<Sampling>,
    stopped: &Receiver<()>,
) {
    let driver = match Driver::open(&gpu::libraries()) {
        Ok(driver) => driver,
        Err(error) => {
            // Nobody may be waiting any more.
            let _ = found.send(Err(error));
            return;
        }
    };
    let mut source = driver.source(pcie);
    let _ = found.send(Ok(source.found()));
    if let Ok(sampling) = begun.recv() {
        gpu::sample(&mut source, &sampling, stopped);
    }
}
