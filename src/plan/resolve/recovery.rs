//! What happens at a fault: the `[recovery]` section and its overrides.

use std::num::NonZeroU64;

use super::limits::{BACKLOG_ROWS, CATCH_UP_FACTOR, Limits, RECONNECT_TIMEOUT};
use super::{Resolver, Stream, StreamRate};
use crate::plan::{Delivery, OnFault, Recovery};
use crate::profile::{self, Located, Whole};
use crate::quantity::format_count;

const BACKLOG_S: f64 = 60.0;
/// Without a schedule nothing is overdue; a bound is stated all the same.
const BACKLOG_ROWS_UNTHROTTLED: f64 = 1e6;

impl Resolver<'_> {
    pub(super) fn recovery(&mut self, recovery: &profile::Recovery, stream: &Stream) -> Recovery {
        let o = self.overrides;
        let delivery = o.delivery.as_ref().map(|given| given.value);
        let on_fault = o.on_fault.as_ref().map(|given| given.value);
        Recovery {
            delivery: delivery
                .or(recovery.delivery.map(Delivery::from))
                .unwrap_or(Delivery::ExactlyOnce),
            on_fault: on_fault.or(recovery.on_fault.map(OnFault::from)).unwrap_or(OnFault::Recover),
            reconnect_timeout: self.time(
                "reconnect_timeout_s",
                o.reconnect_timeout.as_ref(),
                recovery.reconnect_timeout_s.as_ref(),
                &RECONNECT_TIMEOUT,
            ),
            backlog_rows: self.backlog(recovery.backlog_rows.as_ref(), stream),
            catch_up_factor: self.number(
                "catch_up_factor",
                o.catch_up.as_ref(),
                recovery.catch_up_factor.as_ref(),
                &CATCH_UP_FACTOR,
            ),
        }
    }

    /// A backlog that cannot hold one batch of each partition would drop rows without any outage.
    fn backlog(&mut self, file: Option<&Located<Whole>>, stream: &Stream) -> NonZeroU64 {
        let given = self.overrides.backlog_rows.as_ref();
        let a_batch_each = u64::from(stream.batch_rows.get()) * u64::from(stream.partitions.get());
        let usual = match stream.rate {
            StreamRate::RowsPerSecond(rate) => BACKLOG_S * rate.get() as f64,
            StreamRate::Max => BACKLOG_ROWS_UNTHROTTLED,
        };
        let limits = Limits { default: usual.max(a_batch_each as f64), ..BACKLOG_ROWS };
        let rows = self.number("backlog_rows", given, file, &limits) as u64;
        let is_known =
            |key| !self.replaced.contains(&key) && !self.report.damaged(&format!("stream.{key}"));
        if rows < a_batch_each && is_known("batch_rows") && is_known("partitions") {
            let (subject, shown) = self.words("backlog_rows", given, file);
            let least = format_count(a_batch_each);
            let what = format!(
                "{subject} is {shown}, less than one batch of each partition ({least} rows)"
            );
            let fix = format!("choose at least {least}, or leave it out for 60 s of the rate");
            self.fault(given, file, what, fix);
        }
        NonZeroU64::new(rows).unwrap_or(NonZeroU64::MIN)
    }
}

impl From<profile::Delivery> for Delivery {
    fn from(delivery: profile::Delivery) -> Self {
        match delivery {
            profile::Delivery::ExactlyOnce => Self::ExactlyOnce,
            profile::Delivery::AtLeastOnce => Self::AtLeastOnce,
            profile::Delivery::AtMostOnce => Self::AtMostOnce,
        }
    }
}

impl From<profile::OnFault> for OnFault {
    fn from(on_fault: profile::OnFault) -> Self {
        match on_fault {
            profile::OnFault::Recover => Self::Recover,
            profile::OnFault::Stop => Self::Stop,
        }
    }
}
