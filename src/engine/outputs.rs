//! The outputs of a job, told together. One that fails is said once and tried again: a full disk
//! must not end what is measured.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::dataset::{self, Stage};
use crate::record::Interval;
use crate::result::{JobResult, Shortfall};
use crate::sink::{Progress, Sink, SinkError, Start};

use super::PrepareError;

/// The outputs of a job.
pub(super) struct Outputs {
    sinks: Vec<Box<dyn Sink>>,
    /// The first failure.
    lost: Option<SinkError>,
}

impl Outputs {
    /// These outputs, opened.
    pub(super) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { sinks, lost: None }
    }

    /// Tells them what is known at the start, and saves the result of a job that has done nothing:
    /// whatever a loader that is killed has done, can be looked at.
    ///
    /// # Errors
    /// When one cannot be written: before the job begins, that is a mistake to mend.
    pub(super) fn begin(
        &mut self,
        start: &Start<'_>,
        nothing_yet: &JobResult,
    ) -> Result<(), PrepareError> {
        for sink in &mut self.sinks {
            sink.begin(start)?;
            sink.checkpoint(nothing_yet)?;
            if let Some(background) = sink.background() {
                // Nobody waits for it but the output, when it is finished.
                thread::Builder::new().name("strom-load-output".to_owned()).spawn(background)?;
            }
        }
        Ok(())
    }

    /// Tells them what happened since the last call.
    pub(super) fn interval(&mut self, interval: &Interval) {
        self.each(|sink| sink.interval(interval));
    }

    /// Tells them what is being done.
    pub(super) fn progress(&mut self, progress: &Progress<'_>) {
        self.sinks.iter_mut().for_each(|sink| sink.progress(progress));
    }

    /// Tells them how the whole job stands.
    pub(super) fn checkpoint(&mut self, result: &JobResult) {
        self.each(|sink| sink.checkpoint(result));
    }

    /// Says all that can be said of the job, tells the outputs the final result and closes them.
    /// Returns it; that an output failed is part of it.
    pub(super) fn finish(self, mut result: JobResult) -> JobResult {
        result.conclude();
        result.shortfalls.extend(self.lost.map(Shortfall::output_lost));
        for sink in self.sinks {
            if let Err(error) = sink.finish(&result) {
                tracing::error!("{error}");
                // Too late for the outputs that are closed; the exit code and the terminal say it.
                let lost = Shortfall::output_lost(error);
                if !result.shortfalls.contains(&lost) {
                    result.shortfalls.push(lost);
                }
            }
        }
        result
    }

    fn each(&mut self, mut to: impl FnMut(&mut Box<dyn Sink>) -> Result<(), SinkError>) {
        for sink in &mut self.sinks {
            if let Err(error) = to(sink) {
                if self.lost.is_none() {
                    tracing::error!("an output is lost, and the run goes on: {error}");
                } else {
                    tracing::debug!("{error}");
                }
                self.lost.get_or_insert(error);
            }
        }
    }
}

/// Tells the outputs how tables are filled.
pub(super) struct Filling<'a>(Mutex<&'a mut Outputs>);

impl<'a> Filling<'a> {
    pub(super) fn new(outputs: &'a mut Outputs) -> Self {
        Self(Mutex::new(outputs))
    }
}

impl dataset::FillProgress for Filling<'_> {
    fn show(&self, table: &str, stage: Stage<'_>) {
        let mut outputs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.progress(&Progress::Filling(table, stage));
    }
}
