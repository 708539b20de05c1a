//! The turns of all readers of a run, as each of them sees these: behind a lock that nobody holds for
//! longer than a choice, on the clock, and with what comes of them noted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::armed_query::ArmedQuery;
use super::turns::{Candidate, Completed, Outcome, Repeats, Turn, Turns};
use crate::record::{NotedPair, PairTally, Recorder, Tried};

/// Chooses what each reader asks next, and makes pairs of what they measure.
#[derive(Debug)]
pub(crate) struct Chooser {
    turns: Mutex<Turns>,
    /// By query.
    pairs: Vec<Recorder<PairTally>>,
    start: Instant,
    /// What says how many rows the table has.
    rows: TableRows,
}

/// How many rows a table has that is being loaded.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableRows {
    /// Rows that it had before; `None`: nobody knows, or it is another table that is read.
    pub(crate) before: Option<u64>,
    /// Rows that were acknowledged since.
    pub(crate) acknowledged: Arc<AtomicU64>,
}

impl TableRows {
    fn now(&self) -> Option<u64> {
        Some(self.before? + self.acknowledged.load(Ordering::Relaxed))
    }
}

impl Chooser {
    /// For so many readers that ask these queries of a table, in a run that begins at `start` and
    /// repeats its measurement like this.
    pub(crate) fn new(
        armed_queries: &[ArmedQuery],
        readers: u32,
        (start, repeats): (Instant, Repeats),
        rows: TableRows,
        seed: u64,
    ) -> Self {
        let candidate = |armed_query: &ArmedQuery| Candidate {
            weight: armed_query.query.weight,
            arms: armed_query.arms.len(),
            has_parameters: armed_query.query.parameters.is_some(),
        };
        let candidates = armed_queries.iter().map(candidate).collect();
        Self {
            turns: Mutex::new(Turns::new(candidates, readers, repeats, seed)),
            pairs: armed_queries.iter().map(|_| Recorder::default()).collect(),
            start,
            rows,
        }
    }

    /// Whether a reader is to have another session before it asks, as another repeat has begun.
    pub(super) fn renews_session(&self, reader: u32) -> bool {
        let mut turns = self.turns();
        turns.begin_repeat(self.start.elapsed());
        turns.renews_session(reader as usize)
    }

    /// Where pairs are noted, by query.
    pub(crate) fn pairs(&self) -> &[Recorder<PairTally>] {
        &self.pairs
    }

    /// What a reader asks next.
    pub(super) fn next(&self, reader: u32) -> Turn {
        let now = self.start.elapsed();
        let mut turns = self.turns();
        let repeat = turns.begin_repeat(now);
        turns.next(reader as usize, now, |query, completed| self.note(query, repeat, completed))
    }

    /// What a reader asked is over. Whether it was a sample.
    pub(super) fn end(&self, reader: u32, outcome: Outcome) -> bool {
        let now = self.start.elapsed();
        let mut turns = self.turns();
        let repeat = turns.begin_repeat(now);
        let each = |query, completed| self.note(query, repeat, completed);
        turns.end(reader as usize, now, outcome, each)
    }

    /// A reader has another session.
    pub(super) fn session_lost(&self, reader: u32) {
        self.turns().session_lost(reader as usize);
    }

    fn note(&self, query: usize, repeat: u32, completed: Completed) {
        self.pairs[query].note(|tally| match completed {
            Completed::Nothing => {}
            Completed::Pair(pair) => {
                tally.pairs.push(NotedPair { pair, repeat, rows: self.rows.now() });
            }
            Completed::Cold => tally.cold += 1,
            Completed::Broken => tally.broken += 1,
            Completed::Tried { arm, after, cut } => {
                tally.tried[arm] = Some(Tried { after, cut });
            }
        });
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // What it holds is right after any call: a panic elsewhere cannot spoil it.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
