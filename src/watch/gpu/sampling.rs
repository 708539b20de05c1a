//! The sampling loop: asks each GPU at even distances and notes what it did. It blocks, so it
//! wants a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::record::Recorder;
use crate::record::gpu::GpuTally;

use super::reading::{Detail, GpuSource, Reading, Reducer};

/// How often memory errors and processes are asked for.
const FULL_EACH: Duration = Duration::from_secs(1);

/// How GPUs are sampled.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Time between two samples.
    pub interval: Duration,
    /// Samples after this moment are measured ones.
    pub measured_from: Instant,
    /// Set at the end of the measurement: later samples are not of it.
    pub is_over: Arc<AtomicBool>,
    /// Where the samples go, one for each GPU of the source.
    pub recorders: Vec<Recorder<GpuTally>>,
}

/// Samples until the other end of `stop` is dropped, and once more then. A sample that comes too
/// late is left out, not made up for: the next one stands for its time.
pub fn sample(source: &mut impl GpuSource, sampling: &Sampling, stop: &Receiver<()>) {
    let reducer = || Reducer::new(sampling.interval, FULL_EACH);
    let lane = |index| Lane { index, reducer: reducer(), silent: false };
    let mut lanes: Vec<Lane> = source.indices().into_iter().map(lane).collect();
    let mut due = Instant::now();
    let mut full_due = due;
    loop {
        let detail = if due >= full_due { Detail::Full } else { Detail::Fast };
        if detail == Detail::Full {
            full_due = due + FULL_EACH;
        }
        pass(source, &mut lanes, sampling, detail);
        due = next(due, Instant::now(), sampling.interval);
        match stop.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    pass(source, &mut lanes, sampling, Detail::Full);
}

/// The first moment after `now` that lies a whole number of intervals after `due`.
fn next(due: Instant, now: Instant, interval: Duration) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let missed = late / interval.as_nanos().max(1);
    due + interval * (u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1)
}

struct Lane {
    index: u32,
    reducer: Reducer,
    silent: bool,
}

fn pass(source: &mut impl GpuSource, lanes: &mut [Lane], sampling: &Sampling, detail: Detail) {
    // Before the reading: its time ends with it, and a sample across the end is of the measurement still.
    let is_over = sampling.is_over.load(Ordering::Relaxed);
    for (gpu, (lane, recorder)) in lanes.iter_mut().zip(&sampling.recorders).enumerate() {
        let reading = source.read(gpu, detail);
        lane.heed(&reading);
        let at = Instant::now();
        let usage = lane.reducer.step(at, detail, &reading);
        recorder.note(|tally| {
            tally.usage.merge(&usage);
            if at > sampling.measured_from && !is_over {
                tally.measured.merge(&usage);
            } else {
                // A GPU may be idle before and after the measurement alone.
                tally.measured.idle_power_watts.merge(&usage.idle_power_watts);
            }
        });
    }
}

impl Lane {
    /// Says once that a GPU has fallen silent, and once that it is back.
    fn heed(&mut self, reading: &Reading) {
        let (gpu, silent) = (self.index, reading.is_empty());
        if silent && !self.silent {
            let why = reading.failure.as_deref().unwrap_or("it supports none of the questions");
            tracing::warn!("GPU {gpu} does not answer: {why}; its values are missing");
        } else if self.silent && !silent {
            tracing::info!("GPU {gpu} answers again");
        }
        self.silent = silent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A GPU that is always half busy, and ends the sampling after some readings.
    struct Steady {
        left: u32,
        stop: Option<mpsc::Sender<()>>,
    }

    impl GpuSource for Steady {
        fn indices(&self) -> Vec<u32> {
            vec![0]
        }

        fn read(&mut self, _gpu: usize, _detail: Detail) -> Reading {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                self.stop = None;
            }
            Reading { utilization_ratio: Some(0.5), ..Reading::default() }
        }
    }

    fn tally(measured_from: Instant, is_over: bool) -> GpuTally {
        let (stop, stopped) = mpsc::channel();
        let recorder = Recorder::default();
        let recorders = vec![recorder.clone()];
        let (interval, is_over) = (Duration::from_millis(1), Arc::new(is_over.into()));
        let sampling = Sampling { interval, measured_from, is_over, recorders };
        sample(&mut Steady { left: 5, stop: Some(stop) }, &sampling, &stopped);
        recorder.drain()
    }

    #[test]
    fn it_samples_until_it_is_stopped_and_once_more() {
        let tally = tally(Instant::now(), false);
        assert_eq!(tally.usage.samples, 6);
        assert_eq!(tally.usage.utilization_ratio.mean(), Some(0.5));
        assert_eq!(tally.measured.samples, 6);
    }

    #[test]
    fn samples_of_the_warm_up_are_not_measured() {
        let tally = tally(Instant::now() + Duration::from_secs(3600), false);
        assert_eq!((tally.usage.samples, tally.measured.samples), (6, 0));
    }

    #[test]
    fn samples_after_the_end_are_not_measured_but_say_what_an_idle_gpu_draws() {
        let tally = tally(Instant::now(), true);
        assert_eq!((tally.usage.samples, tally.measured.samples), (6, 0));
        assert_eq!(tally.measured.idle_power_watts, tally.usage.idle_power_watts);
    }

    #[test]
    fn a_missed_sample_is_left_out() {
        let due = Instant::now();
        let ms = |ms| due + Duration::from_millis(ms);
        let interval = Duration::from_millis(100);
        assert_eq!(next(due, ms(3), interval), ms(100));
        assert_eq!(next(due, ms(100), interval), ms(200));
        assert_eq!(next(due, ms(350), interval), ms(400));
    }
}
