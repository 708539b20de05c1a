//! What of the stream does a reader's query see? Asked on its own session right before it: whatever has
//! ended by then the query sees too. Asked within its transaction, another isolation level would be
//! measured than the one that is used, and the end of the query would not be in its time any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::freshness::{Missing, Trails, View};
use crate::pg::sight::Sight;
use crate::pg::table::{StreamTable, seen_query};
use crate::pg::{self, Session};
use crate::plan::Stream;
use crate::result::readers::FreshnessBy;
use crate::row::Ids;

/// Asking takes at most one part in so many of a session's time, as looks at plans do.
const SHARE: u32 = 20;

/// Finds out what the queries of one session see.
#[derive(Debug, Clone)]
pub(crate) struct Lookout {
    trails: Trails,
    by: FreshnessBy,
    /// What queries call the table, and its oid on the server that is loaded.
    table: (String, u32),
    /// The arms in which that was looked up, and whether it is the table there: a search_path may lead to
    /// another one of this name. All readers know it of each other.
    arms: Arc<Mutex<Vec<(String, bool)>>>,
    /// Asks for the last row of each lane.
    rows_sql: String,
    ids: Vec<Ids>,
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
    /// Queries of the arm do not read the table that is loaded.
    OtherTable,
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
        table: &StreamTable,
    ) -> Self {
        Self {
            trails,
            by,
            table: (stream.table.to_string(), table.oid),
            arms: Arc::default(),
            rows_sql: seen_query(stream, &table.lanes),
            ids: table.lanes.iter().map(|lane| lane.ids).collect(),
            since: None,
            asking: Duration::ZERO,
            is_blind: false,
        }
    }

    /// Asks what the next query will see, unless asking takes too much of the session's time. A server
    /// that does not tell is not asked again. The session has entered the arm of this name.
    ///
    /// # Errors
    /// When the session is lost.
    pub(super) async fn look(
        &mut self,
        session: &mut Session,
        arm: &str,
    ) -> Result<Look, pg::Error> {
        let asked = Instant::now();
        let since = *self.since.get_or_insert(asked);
        let reads_it = self.reads_it(arm);
        if reads_it == Some(false) {
            return Ok(Look { asked, told: Told::OtherTable });
        }
        let is_known = reads_it.is_some() || self.by == FreshnessBy::Rows;
        if self.is_blind || is_known && self.asking * SHARE > asked.duration_since(since) {
            return Ok(Look { asked, told: Told::Nothing });
        }
        let told = match self.by {
            FreshnessBy::Snapshot | FreshnessBy::ReplayPosition => {
                session.sight(&self.table.0).await.map(|sight| self.of_the_table(arm, sight))
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

    /// Whether queries in an arm read the table that is loaded, if that is known.
    fn reads_it(&self, arm: &str) -> Option<bool> {
        let arms = self.arms.lock().unwrap_or_else(PoisonError::into_inner);
        arms.iter().find(|(known, _)| known == arm).map(|(_, reads_it)| *reads_it)
    }

    /// What is seen, unless it is of another table, which is said once.
    fn of_the_table(&self, arm: &str, sight: Sight) -> Told {
        let reads_it = sight.table == Some(self.table.1);
        if self.reads_it(arm).is_none() {
            let mut arms = self.arms.lock().unwrap_or_else(PoisonError::into_inner);
            arms.push((arm.to_owned(), reads_it));
            if !reads_it {
                let name = &self.table.0;
                tracing::warn!(
                    "it is not known how old answers are (arm `{arm}`): {name} is another table there than \
                     the one that is loaded; see search_path"
                );
            }
        }
        if reads_it { Told::Sight(sight) } else { Told::OtherTable }
    }

    /// Whether the table has none of the rows yet that are to be sent: only then it can be a copy of the
    /// one that is loaded. Asked before the first row is sent.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn may_be_a_copy(&self, session: &mut Session) -> Result<bool, pg::Error> {
        Ok(self.rows(session).await?.iter().all(|rows| *rows == 0))
    }

    async fn rows(&self, session: &mut Session) -> Result<Vec<u64>, pg::Error> {
        let rows = session.rows("ask for the newest rows", &self.rows_sql).await?;
        // The last ones: before them there is what switches PG-Strom off.
        let rows = &rows[rows.len().saturating_sub(self.ids.len())..];
        let last_ids = rows.iter().map(|row| row.first()?.as_deref()?.parse::<i64>().ok());
        let seen = last_ids
            .zip(&self.ids)
            .map(|(last, ids)| last.map_or(0, |last| ids.rows_below(last.saturating_add(1))));
        Ok(seen.collect())
    }

    /// What a query did not see that was sent after this look, once it is answered. `None` if that is
    /// not known.
    pub(super) fn seen(&self, look: Look, sent: Instant) -> Option<Seen> {
        let Look { asked, told } = look;
        let view = match (self.by, told) {
            (FreshnessBy::Snapshot, Told::Sight(Sight { snapshot, replayed: None, .. })) => {
                View::Loaded(sent, Some(snapshot))
            }
            // What was acknowledged before it was sent, it sees in any case.
            (FreshnessBy::Snapshot, Told::Nothing) if !self.is_blind => View::Loaded(sent, None),
            (FreshnessBy::ReplayPosition, Told::Sight(Sight { snapshot, replayed, .. })) => {
                // Without a position it was promoted, and goes on with a log of its own.
                View::Replayed(replayed?, snapshot)
            }
            (FreshnessBy::Rows, Told::Rows(rows)) => View::Rows(rows),
            _ => return None,
        };
        Some(Seen { missing: self.trails.missing_in(&view), asked })
    }
}
