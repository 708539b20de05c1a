//! Thresholds: which of them ends a job that goes on, and how all of them stand at its end.

use std::time::Duration;

use crate::plan::Threshold;
use crate::result::{JobResult, ThresholdReport};

/// The thresholds of a job.
pub(super) struct Gate {
    thresholds: Vec<Threshold>,
    /// The one that has ended the job, by its place, and how it stood then.
    ended_by: Option<(usize, ThresholdReport)>,
}

impl Gate {
    pub(super) fn new(thresholds: &[Threshold]) -> Self {
        Self { thresholds: thresholds.to_vec(), ended_by: None }
    }

    /// Whether one of them may end a job that has been measured this long: only then is it worth
    /// making a result to look at.
    pub(super) fn may_end(&self, measured: Duration) -> bool {
        self.ended_by.is_none() && self.thresholds.iter().any(|one| is_in_force(one, measured))
    }

    /// Whether the job ends, as one of them does not hold. A figure that has not been measured yet
    /// ends nothing.
    pub(super) fn ends(&mut self, result: &JobResult, measured: Duration) -> bool {
        let in_force =
            self.thresholds.iter().enumerate().filter(|(_, one)| is_in_force(one, measured));
        let mut judged = in_force.map(|(place, one)| (place, one.judge(result)));
        let failed = judged.find(|(_, report)| report.value.is_some() && !report.passed);
        let Some((place, report)) = failed else { return false };
        let value = report.value.unwrap_or_default();
        tracing::error!("the job ends: `{}` does not hold, it is {value:.4}", report.threshold);
        let report = ThresholdReport { aborted_at_s: Some(result.took_s), ..report };
        self.ended_by = Some((place, report));
        true
    }

    /// Whether one of them has ended the job.
    pub(super) fn has_ended(&self) -> bool {
        self.ended_by.is_some()
    }

    /// Judges all of them. The one that has ended the job has failed, whatever came after.
    pub(super) fn judge(&self, result: &mut JobResult) {
        let mut reports: Vec<_> = self.thresholds.iter().map(|one| one.judge(result)).collect();
        if let Some((place, report)) = &self.ended_by {
            reports[*place] = report.clone();
        }
        result.thresholds = reports;
    }
}

fn is_in_force(threshold: &Threshold, measured: Duration) -> bool {
    threshold.abort_after.is_some_and(|after| measured >= after)
}
