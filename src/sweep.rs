//! What a sweep does to a server: which of its settings exist and may be changed, in which order
//! combinations are measured, how a value comes to hold, and how all is put back. Times nothing.

mod apply;
mod check;
mod order;
mod restore;
mod value;

use std::time::Duration;

pub(crate) use apply::{Applier, try_hidden};
pub(crate) use check::{Checked, Rights, Swept, Value, check};
pub(crate) use order::Order;
pub(crate) use restore::restore_leftovers;

use crate::pg;

/// Why a sweep cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Settings or values that the server does not take; one line each, with its fix.
    #[error("this server does not take the sweep:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// Another sweep changes this server's configuration.
    #[error(
        "another sweep is changing this server's configuration (session {pid} of role `{role}`)\n  \
         fix: wait for its end, or end that session"
    )]
    Running {
        /// Its process on the server.
        pid: i64,
        /// Its role.
        role: String,
    },
    /// What was changed is not in force.
    #[error("`{name}` was set to `{wanted}` by ALTER SYSTEM, but new sessions have `{got}`{why}")]
    NotApplied {
        /// The setting.
        name: String,
        /// What was set.
        wanted: String,
        /// What a new session has.
        got: String,
        /// What the server says about its configuration; may be empty.
        why: String,
    },
    /// A reload has PG-Strom start its GPU service anew, and that does not serve.
    #[error(
        "PG-Strom's GPU service does not answer {} s after the configuration was reloaded: {error}\n  \
         fix: let a superuser SET pg_strom.max_async_tasks to another value and back, or restart the \
         server; then leave what takes a reload out of the sweep",
        .waited.as_secs()
    )]
    GpuService {
        /// Since it should have been back.
        waited: Duration,
        /// What the last query came to.
        error: pg::Error,
    },
    /// The configuration was not read again.
    #[error("the server did not read its configuration again within {} s of pg_reload_conf()", .0.as_secs())]
    NotReloaded(Duration),
    /// The server could not be asked.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The embedded server did not come up again.
    #[error(transparent)]
    Embedded(#[from] pg::embedded::EmbeddedError),
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SweepProgress {
    /// Rounds that are over; the one that is not measured is none.
    pub rounds: usize,
    /// Of so many.
    pub rounds_planned: usize,
    /// Executions so far, those that are not measured included.
    pub done: usize,
    /// Of so many.
    pub planned: usize,
    /// Since the first of them.
    pub elapsed: Duration,
}

impl SweepProgress {
    /// How long it will take at the pace so far.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self.planned.saturating_sub(self.done) as f64;
        (self.done > 0).then(|| self.elapsed.mul_f64(left / self.done as f64))
    }
}
