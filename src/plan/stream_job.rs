//! The plan of a stream with all that surrounds it.

use std::time::Duration;

use super::Audit;
use super::limits::{Limits, TEN_YEARS_S};
use super::readers::Readers;
use super::recovery::Recovery;
use super::resolver::{Resolver, seconds};
use super::stream::Stream;
use crate::profile::{Located, Profile};

const WARMUP: Limits = Limits {
    default: 2.0,
    min: 0.0,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "0 s to 10 years",
    fix: "choose a time such as 2 s, or 0 for no warm-up",
};
const DURATION: Limits = Limits {
    default: 60.0,
    min: 1e-6,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "1 µs to 10 years",
    fix: "choose a time such as 60 s, or `forever`",
};
const DRAIN_TIMEOUT: Limits = Limits {
    default: 30.0,
    min: 0.0,
    max: 86_400.0,
    is_whole: false,
    range: "0 s to 1 day",
    fix: "choose a time such as 30 s",
};
const ALLOW_DROPPED: Limits = Limits {
    default: 0.0,
    min: 0.0,
    max: 1.0,
    is_whole: false,
    range: "0 to 1",
    fix: "choose a share of the rows due, such as 0.01 in a profile or 1% in --allow-dropped",
};

/// Rows that are streamed into a table, with readers beside.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamJob {
    /// Excluded from the measurement.
    pub warmup: Duration,
    /// Measured time after the warm-up, of all repeats; `None` is forever.
    pub duration: Option<Duration>,
    /// How long overdue batches may still be sent after the end.
    pub drain_timeout: Duration,
    /// The stream.
    pub stream: Stream,
    /// The readers.
    pub readers: Readers,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// How the rows are checked at the end.
    pub audit: Audit,
    /// Share of the rows due that may be dropped.
    pub allow_dropped: f64,
}

impl StreamJob {
    /// Measured time of one repeat; `None` is forever.
    pub fn repeat_duration(&self) -> Option<Duration> {
        Some(self.duration? / self.readers.repeats.max(1))
    }

    /// Sessions that it needs at once: one a producer and a reader, one that looks at plans and
    /// answers beside readers, and one that controls the run and holds its table.
    pub fn sessions(&self) -> u64 {
        self.loading_sessions() + self.reading_sessions()
    }

    /// Those of them that load, and control the run.
    pub fn loading_sessions(&self) -> u64 {
        u64::from(self.stream.connections.get()) + 1
    }

    /// Those that read, or look at plans and answers beside.
    pub fn reading_sessions(&self) -> u64 {
        let readers = u64::from(self.readers.count);
        readers + u64::from(readers > 0)
    }
}

impl Resolver<'_> {
    pub(super) fn stream_job(&mut self, profile: &mut Profile) -> StreamJob {
        let stream = self.stream(profile.stream.get_or_insert_default());
        let duration = self.number_or_word("duration_s", &mut profile.duration_s, &DURATION);
        let mut readers = self.readers(profile);
        if readers.count == 0 {
            readers.repeats = 1;
        }
        let written = profile.readers.as_ref().and_then(|readers| readers.repeats.as_ref());
        if readers.repeats > 1 && duration.is_none() {
            let what = "a measurement that goes on forever is to be repeated".to_owned();
            let fix = "choose how long each repeat takes, such as 60 s, or leave the repeats out";
            self.fault(written, what, fix.to_owned());
        }
        let audit = self.audit(&mut profile.audit, &stream);
        StreamJob {
            warmup: self.time("warmup_s", &mut profile.warmup_s, &WARMUP),
            duration: duration.map(|s| seconds(s) * readers.repeats),
            drain_timeout: self.time(
                "drain_timeout_s",
                &mut profile.drain_timeout_s,
                &DRAIN_TIMEOUT,
            ),
            readers,
            recovery: self.recovery(profile.recovery.get_or_insert_default(), &stream),
            audit,
            allow_dropped: self.number("allow_dropped", &mut profile.allow_dropped, &ALLOW_DROPPED),
            stream,
        }
    }

    /// Rows that nothing tells apart cannot be compared with what was sent.
    fn audit(&mut self, value: &mut Option<Located<Audit>>, stream: &Stream) -> Audit {
        if stream.id_column().is_some() || self.report.damaged("stream.columns") {
            return self.choice(value, Audit::Full);
        }
        let audit = self.choice(value, Audit::Count);
        if audit == Audit::Full {
            let what = "rows that nothing tells apart cannot be read back one by one".to_owned();
            let fix = "choose `count`, or give a column `values = \"row_id\"`".to_owned();
            let written = value.clone();
            self.fault(written.as_ref(), what, fix);
        }
        audit
    }
}
