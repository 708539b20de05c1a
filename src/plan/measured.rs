//! Which figures a job can measure at all: what is known at the start to stay empty is refused.

use super::threshold::{Threshold, ThresholdFault};
use super::{AnswerCompare, ArmPlan, Audit, GpuChoice, Job, Query, StreamJob};

impl Threshold {
    /// Refuses a figure that the job will not measure, whatever the server is.
    pub(super) fn measured_by(self, job: &Job) -> Result<Self, ThresholdFault> {
        match self.unmeasured(job) {
            Some((why, fix)) => {
                Err(ThresholdFault::of_profile(format!("`{}` {why}", self.figure), fix))
            }
            None => Ok(self),
        }
    }

    /// Why the figure stays empty, and how to mend it.
    fn unmeasured(&self, job: &Job) -> Option<(String, &'static str)> {
        if let Job::Stream(job) = job
            && let Some(why) = self.unmeasured_by_stream(job)
        {
            return Some(why);
        }
        let figure = self.figure.figure.name;
        let query = self.figure.query.as_deref();
        let query = query.and_then(|name| job.queries().iter().find(|query| query.name == name));
        let is_compared = |query: &Query| {
            query.answers.compare != AnswerCompare::Off && !job.runs_in_one_arm(query)
        };
        match (figure, query, self.figure.arm.as_deref()) {
            ("answers_different", ..) if !job.checks_answers() => Some((
                "is known only where answers are compared".to_owned(),
                "delete it, or let `check_answers` be true",
            )),
            ("answers_different", ..) if !job.queries().iter().any(is_compared) => Some((
                "is known only where a query runs in two arms and its answers are compared"
                    .to_owned(),
                "delete it, or let a query have two arms and `answers` other than \"off\"",
            )),
            ("gpu_proven", ..) if !job.queries().iter().any(|query| job.may_use_gpu(query)) => {
                Some((
                    "is about queries with the GPU switched on, and there are none".to_owned(),
                    "delete it, or let `gpu` be other than \"off\"",
                ))
            }
            (_, Some(query), None)
                if figure.starts_with("ratio.") && job.runs_in_one_arm(query) =>
            {
                Some((
                    format!("compares two arms, and `{}` runs in one", query.name),
                    "delete it, or let `gpu` be \"auto\" or \"alternate\"",
                ))
            }
            (_, Some(query), Some(arm)) if !job.arms_of(query).contains(&arm) => Some((
                format!("is about the arm `{arm}`, in which `{}` does not run", query.name),
                "delete it, or name another arm",
            )),
            _ => None,
        }
    }

    fn unmeasured_by_stream(&self, job: &StreamJob) -> Option<(String, &'static str)> {
        let figure = self.figure.figure;
        let has_age = |query: &Query| {
            let is_it = self.figure.query.as_ref().is_none_or(|name| *name == query.name);
            is_it && query.reads_table
        };
        if figure.is_of_audit() && job.audit != Audit::Full {
            return Some((
                "is known only by the full audit".to_owned(),
                "set `audit` to \"full\", or delete the threshold",
            ));
        }
        if figure.name == "queries_dropped" && job.readers.queries_per_s.is_none() {
            return Some((
                "is known only where queries are due at a rate".to_owned(),
                "set `queries_per_s` or --query-rate, or delete the threshold",
            ));
        }
        let is_of_age = ["answer_age", "freshness"].iter().any(|what| figure.name.contains(what));
        (is_of_age && !job.readers.queries.iter().any(has_age)).then(|| {
            (
                "needs a query of the stream's table: only its rows are known to be missing"
                    .to_owned(),
                "write `{table}` in a query's `sql`, or delete the threshold",
            )
        })
    }
}

impl Job {
    /// The queries that are run.
    pub(super) fn queries(&self) -> &[Query] {
        match self {
            Self::Stream(job) if job.readers.count == 0 => &[],
            Self::Stream(job) => &job.readers.queries,
            Self::Benchmark(bench) => &bench.queries,
            Self::Sweep(job) => &job.bench.queries,
        }
    }

    /// Which GPU arms its queries run in, unless they say so themselves, and the arms of the profile.
    fn choice(&self) -> (GpuChoice, &[ArmPlan]) {
        match self {
            Self::Stream(job) => (job.readers.gpu, &job.readers.arms),
            Self::Benchmark(bench) => (bench.gpu, &bench.arms),
            Self::Sweep(job) => (job.bench.gpu, &[]),
        }
    }

    /// The arms that a query may run in; what the server has decides.
    pub(super) fn arms_of(&self, query: &Query) -> Vec<&str> {
        let (choice, planned) = self.choice();
        match query.gpu.unwrap_or(choice) {
            GpuChoice::Auto if !planned.is_empty() => {
                planned.iter().map(|arm| arm.name.as_str()).collect()
            }
            GpuChoice::Auto => vec!["cpu", "off", "on"],
            GpuChoice::Off => vec!["cpu", "off"],
            GpuChoice::On => vec!["on"],
            GpuChoice::Alternate => vec!["off", "on"],
        }
    }

    /// Whether a query runs in one arm whatever the server has. The combinations of a sweep are
    /// compared with each other.
    fn runs_in_one_arm(&self, query: &Query) -> bool {
        let choice = query.gpu.unwrap_or(self.choice().0);
        !matches!(self, Self::Sweep(_)) && matches!(choice, GpuChoice::Off | GpuChoice::On)
    }

    fn may_use_gpu(&self, query: &Query) -> bool {
        query.gpu.unwrap_or(self.choice().0) != GpuChoice::Off
    }

    fn checks_answers(&self) -> bool {
        match self {
            Self::Stream(job) => job.readers.evidence.check_answers,
            Self::Benchmark(bench) => bench.evidence.check_answers,
            Self::Sweep(job) => job.bench.evidence.check_answers,
        }
    }
}
