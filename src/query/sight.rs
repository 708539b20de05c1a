//! What of the stream does a reader's query see? Asked on its own session right before it: whatever has
//! ended by then the query sees too. Asked within its transaction, another isolation level would be
//! measured than the one that is used, and the end of the query would not be in its time any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::freshness::{Missing, Trails, View};
use crate::pg::sight::Sight;
use crate::pg::table::{StreamPartition, seen_query};
use crate::pg::{self, Session};
use crate::plan::Stream;
use crate::result::readers::FreshnessBy;

/// Asking takes at most one part in so many of a session's time, as looks at plans do.
const SHARE: u32 = 20;

/// Finds out what the queries of one session see.
#[derive(Debug, Clone)]
pub(crate) struct Lookout {
    trails: Trails,
    by: FreshnessBy,
    /// Asks for the last row of each partition.
    rows_sql: String,
    first_ids: Vec<i64>,
    /// When it was asked for the first time.
    since: Option<Instant>,
    /// How long asking took so far.
    asking: Duration,
    /// Whether the server was found not to answer.
    is_blind: bool,
}

/// What was asked, and told.
#[derive(Debug)]
pub(super) struct Look {
    asked: Instant,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// Nothing: it would have taken too long, or the server does not tell.
    Nothing,
    Sight(Sight),
    Rows(Vec<u64>),
}

/// What of the stream a query could not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    missing: Missing,
    asked: Instant,
}

impl Seen {
    /// How old its answer was when it arrived.
    pub(super) fn age(&self, arrived: Instant) -> Duration {
        self.missing.age(arrived)
    }

    /// How long before it was asked the first batch was acknowledged that it did not see.
    pub(super) fn freshness(&self) -> Duration {
        self.missing.freshness(self.asked)
    }
}

impl Lookout {
    /// Watches a stream, on a server that tells in this way what is seen.
    pub(crate) fn new(
        trails: Trails,
        by: FreshnessBy,
        stream: &Stream,
        partitions: &[StreamPartition],
    ) -> Self {
        Self {
            trails,
            by,
            rows_sql: seen_query(stream, partitions),
            first_ids: partitions.iter().map(|partition| partition.first_id).collect(),
            since: None,
            asking: Duration::ZERO,
            is_blind: false,
        }
    }

    /// Asks what the next query will see, unless asking takes too much of the session's time. A server
    /// that does not tell is not asked again.
    ///
    /// # Errors
    /// When the session is lost.
    pub(super) async fn look(&mut self, session: &mut Session) -> Result<Look, pg::Error> {
        let asked = Instant::now();
        let since = *self.since.get_or_insert(asked);
        if self.is_blind || self.asking * SHARE > asked.duration_since(since) {
            return Ok(Look { asked, told: Told::Nothing });
        }
        let told = match self.by {
            FreshnessBy::Snapshot | FreshnessBy::ReplayPosition => {
                session.sight().await.map(Told::Sight)
            }
            FreshnessBy::Rows => self.rows(session).await.map(Told::Rows),
        };
        self.asking += asked.elapsed();
        match told {
            Ok(told) => Ok(Look { asked, told }),
            Err(error) if error.is_lost() => Err(error),
            Err(error) => {
                tracing::warn!("it is not known how old answers are: {error}");
                self.is_blind = true;
                Ok(Look { asked, told: Told::Nothing })
            }
        }
    }

    async fn rows(&self, session: &mut Session) -> Result<Vec<u64>, pg::Error> {
        let rows = session.rows("ask for the newest rows", &self.rows_sql).await?;
        // The last ones: before them there is what switches PG-Strom off.
        let rows = &rows[rows.len().saturating_sub(self.first_ids.len())..];
        let last_ids = rows.iter().map(|row| row.first()?.as_deref()?.parse::<i64>().ok());
        let seen = last_ids.zip(&self.first_ids).map(|(last, first)| {
            last.map_or(0, |last| last.saturating_sub(*first).saturating_add(1).max(0) as u64)
        });
        Ok(seen.collect())
    }

    /// What a query did not see that was sent after this look, once it is answered. `None` if that is
    /// not known.
    pub(super) fn seen(&self, look: Look, sent: Instant) -> Option<Seen> {
        let Look { asked, told } = look;
        let view = match (self.by, told) {
            (FreshnessBy::Snapshot, Told::Sight(Sight { snapshot, replayed: None })) => {
                View::Loaded(sent, Some(snapshot))
            }
            // What was acknowledged before it was sent, it sees in any case.
            (FreshnessBy::Snapshot, Told::Nothing) if !self.is_blind => View::Loaded(sent, None),
            (FreshnessBy::ReplayPosition, Told::Sight(Sight { snapshot, replayed })) => {
                // Without a position it was promoted, and goes on with a log of its own.
                View::Replayed(replayed?, snapshot)
            }
            (FreshnessBy::Rows, Told::Rows(rows)) => View::Rows(rows),
            _ => return None,
        };
        Some(Seen { missing: self.trails.missing_in(&view), asked })
    }
}
