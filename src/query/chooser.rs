//! The turns of all readers of a run, as each of them sees these: behind a lock that nobody holds for
//! longer than a choice, on the clock, and with what comes of them noted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::armed_query::ArmedQuery;
use super::turns::{Candidate, Completed, Outcome, Turn, Turns};
use crate::record::{PairTally, Recorder, Tried};

/// Chooses what each reader asks next, and makes pairs of what they measure.
#[derive(Debug)]
pub(crate) struct Chooser {
    turns: Mutex<Turns>,
    /// By query.
    pairs: Vec<Recorder<PairTally>>,
    start: Instant,
}

impl Chooser {
    /// For so many readers that ask these queries, in a run that begins at `start` and measures for so
    /// long, if it has an end.
    pub(crate) fn new(
        armed_queries: &[ArmedQuery],
        readers: u32,
        (start, measured): (Instant, Option<Duration>),
        seed: u64,
    ) -> Self {
        let candidate = |armed_query: &ArmedQuery| Candidate {
            weight: armed_query.query.weight,
            arms: armed_query.arms.len(),
        };
        let candidates = armed_queries.iter().map(candidate).collect();
        Self {
            turns: Mutex::new(Turns::new(candidates, readers, measured, seed)),
            pairs: armed_queries.iter().map(|_| Recorder::default()).collect(),
            start,
        }
    }

    /// Where pairs are noted, by query.
    pub(crate) fn pairs(&self) -> &[Recorder<PairTally>] {
        &self.pairs
    }

    /// What a reader asks next.
    pub(super) fn next(&self, reader: u32) -> Turn {
        let now = self.start.elapsed();
        let mut turns = self.turns();
        turns.next(reader as usize, now, |query, completed| self.note(query, completed))
    }

    /// What a reader asked is over. Whether it was a sample.
    pub(super) fn end(&self, reader: u32, outcome: Outcome) -> bool {
        let now = self.start.elapsed();
        let mut turns = self.turns();
        turns.end(reader as usize, now, outcome, |query, completed| self.note(query, completed))
    }

    /// A reader has another session.
    pub(super) fn session_lost(&self, reader: u32) {
        self.turns().session_lost(reader as usize);
    }

    fn note(&self, query: usize, completed: Completed) {
        self.pairs[query].note(|tally| match completed {
            Completed::Nothing => {}
            Completed::Pair(pair) => tally.pairs.push(pair),
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
