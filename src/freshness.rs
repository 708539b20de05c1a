//! How old an answer is: which rows of the stream its query could not see. Pure: what a server said
//! goes in, moments on the monotonic clock come out.
//!
//! The idea, and the word, are those of HATtrick (Milkai, Chronis, Gaffney, Guo, Patel, Yu: *How Good is
//! My HTAP System?*, SIGMOD 2022): an answer is as fresh as the first transaction that it does not see.

mod batch;
mod trail;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use trail::Trail;
pub(crate) use view::{Snapshot, View};

/// What all lanes of a stream have sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trails(Arc<[Trail]>);

impl Trails {
    /// Those of so many lanes, in the order in which a [`View`] of rows names them.
    pub(crate) fn of(lanes: usize) -> Self {
        Self((0..lanes).map(|_| Trail::default()).collect())
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Trail> {
        self.0.iter()
    }

    /// What a view does not see.
    pub(crate) fn missing_in(&self, view: &View) -> Missing {
        let mut missing = Missing::default();
        for (place, trail) in self.0.iter().enumerate() {
            missing.add(trail.missing_in(view, place));
        }
        missing
    }
}

/// What a query could not see, in whichever lane it is oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// When its oldest row was due, or will be; `None`: no row that is known of is missing.
    pub due: Option<Instant>,
    /// When the first batch was acknowledged that is missing; `None`: none is that was acknowledged.
    pub acknowledged: Option<Instant>,
}

impl Missing {
    fn add(&mut self, other: Self) {
        let first = |a: Option<Instant>, b: Option<Instant>| a.into_iter().chain(b).min();
        self.due = first(self.due, other.due);
        self.acknowledged = first(self.acknowledged, other.acknowledged);
    }

    /// How old the answer is when it arrives `at` this moment: how long ago the oldest row was due that
    /// it misses. Nothing if every row that was due by then is in it.
    pub(crate) fn age(&self, at: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| at.saturating_duration_since(due))
    }

    /// How long before the query was `asked` the first batch was acknowledged that it does not see:
    /// HATtrick's freshness. Nothing if it sees all that was acknowledged by then.
    pub(crate) fn freshness(&self, asked: Instant) -> Duration {
        self.acknowledged.map_or(Duration::ZERO, |at| asked.saturating_duration_since(at))
    }
}
