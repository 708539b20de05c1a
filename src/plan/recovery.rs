//! What happens when the server fails a batch, or is gone: the `[recovery]` section.

use std::num::NonZeroU64;
use std::time::Duration;

use super::limits::Limits;
use super::resolver::Resolver;
use super::stream::{NO_SCHEDULE, Stream, StreamRate};
use super::{Delivery, OnFault};
use crate::profile::{self, Located, Whole};
use crate::quantity::format_count;

const BACKLOG_S: f64 = 60.0;
/// Without a schedule nothing is overdue; a bound is stated all the same.
const BACKLOG_ROWS_UNTHROTTLED: f64 = 1e6;

const RECONNECT_TIMEOUT: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose how long an outage may last, such as 60 s",
};
const BATCH_TIMEOUT: Limits = Limits {
    default: 10.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose how long an answer may stay out before the server is asked about it, such as 10 s",
};
const LEASE: Limits = Limits {
    default: 60.0,
    min: 1.0,
    max: 86_400.0,
    is_whole: false,
    range: "1 s to 1 day",
    fix: "choose how long a loader that is stopped keeps its partitions, such as 60 s",
};
/// The default follows the rate, the minimum the batches.
const BACKLOG_ROWS: Limits = Limits {
    default: 180_000.0,
    min: 1.0,
    max: 1e12,
    is_whole: true,
    range: "1 to 1,000,000,000,000",
    fix: "choose how many rows may be overdue, or leave it out for 60 s of the rate",
};
const CATCH_UP_FACTOR: Limits = Limits {
    default: 4.0,
    min: 1.0 + f64::EPSILON,
    max: 1000.0,
    is_whole: false,
    range: "1 (not included) to 1,000",
    fix: "choose a multiple of the rate that lets the backlog shrink, such as 4",
};

/// What happens when the server fails a batch, or is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// What is promised about each row.
    pub delivery: Delivery,
    /// Whether the run goes on.
    pub on_fault: OnFault,
    /// How long one outage may last before it ends the run.
    pub reconnect_timeout: Duration,
    /// How long a batch may be without an answer before the server is asked whether one will come; at most
    /// as long as an outage.
    pub batch_timeout: Duration,
    /// How long the server hears nothing of a loader before it ends its sessions, and with them its hold
    /// on the partitions.
    pub lease: Duration,
    /// Rows over all connections that may be overdue; older ones are dropped, and counted.
    pub backlog_rows: NonZeroU64,
    /// Afterwards overdue rows are sent at most at this multiple of the target rate, above 1.
    pub catch_up_factor: f64,
}

/// How much later than its producer the server gives a batch up.
const SERVER_GRACE: Duration = Duration::from_secs(5);
/// How many times within its lease a loader says a word.
const WORDS_A_LEASE: u32 = 4;

impl Recovery {
    /// How long a statement of a producer may take on the server: longer than the producer waits for
    /// it, so that it is only ended there when nobody waits any more.
    pub fn statement_max(&self) -> Duration {
        self.lease.max(self.reconnect_timeout) + SERVER_GRACE
    }

    /// How long a batch may be without an answer before the server is asked about it.
    pub fn answer_max(&self) -> Duration {
        self.batch_timeout.min(self.reconnect_timeout)
    }

    /// How long a producer leaves the server without a word.
    pub fn silence_max(&self) -> Duration {
        self.lease / WORDS_A_LEASE
    }
}

impl Resolver<'_> {
    pub(super) fn recovery(
        &mut self,
        recovery: &mut profile::Recovery,
        stream: &Stream,
    ) -> Recovery {
        let resolved = Recovery {
            delivery: self.choice(&mut recovery.delivery, Delivery::ExactlyOnce),
            on_fault: self.choice(&mut recovery.on_fault, OnFault::Recover),
            reconnect_timeout: self.time(
                "reconnect_timeout_s",
                &mut recovery.reconnect_timeout_s,
                &RECONNECT_TIMEOUT,
            ),
            batch_timeout: self.time(
                "batch_timeout_s",
                &mut recovery.batch_timeout_s,
                &BATCH_TIMEOUT,
            ),
            lease: self.time("lease_s", &mut recovery.lease_s, &LEASE),
            backlog_rows: self.backlog(&mut recovery.backlog_rows, stream),
            catch_up_factor: self.number(
                "catch_up_factor",
                &mut recovery.catch_up_factor,
                &CATCH_UP_FACTOR,
            ),
        };
        if stream.rate == StreamRate::Max {
            self.note_idle(recovery.backlog_rows.as_ref(), NO_SCHEDULE);
            self.note_idle(recovery.catch_up_factor.as_ref(), NO_SCHEDULE);
        }
        resolved
    }

    /// A backlog that cannot hold one batch of each producer would drop rows without any outage.
    fn backlog(&mut self, value: &mut Option<Located<Whole>>, stream: &Stream) -> NonZeroU64 {
        let a_batch_each = u64::from(stream.batch_rows.get()) * u64::from(stream.connections.get());
        let usual = stream.peak_rows_per_s().map_or(BACKLOG_ROWS_UNTHROTTLED, |peak| {
            (BACKLOG_S * peak).ceil().min(BACKLOG_ROWS.max)
        });
        let limits = Limits { default: usual.max(a_batch_each as f64), ..BACKLOG_ROWS };
        let rows = self.number("backlog_rows", value, &limits) as u64;
        let is_known =
            |key| !self.replaced.contains(&key) && !self.report.damaged(&format!("stream.{key}"));
        if let Some(written) = value.as_ref().filter(|_| rows < a_batch_each)
            && stream.rate != StreamRate::Max
            && is_known("batch_rows")
            && is_known("partitions")
            && is_known("connections")
        {
            let (subject, shown) = self.report.words("backlog_rows", &written.span());
            let least = format_count(a_batch_each);
            let what = format!(
                "{subject} is {shown}, less than one batch of each connection ({least} rows)"
            );
            let fix = format!("choose at least {least}, or leave it out for 60 s of the rate");
            self.fault(Some(written), what, fix);
        }
        NonZeroU64::new(rows).unwrap_or(NonZeroU64::MIN)
    }
}
