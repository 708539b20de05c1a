//! The reader: takes slots from its pacer, runs a query in an arm, drains the answer, notes how
//! it went. Sees no sinks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Pacer, Slot, Stop};
use crate::pg;
use crate::plan::Query;
use crate::record::{Latency, QueryTally, Recorder};
use crate::strom::{self, Arm, StromError};

/// Pause after a failed query, so that a broken one does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// One reader.
pub struct Reader {
    /// When its queries are due.
    pub pacer: Pacer,
    /// Its session, with the statement timeout set.
    pub session: pg::Session,
    /// What it chooses from, with the table's name filled in.
    pub queries: Arc<[Query]>,
    /// The arms that each query takes in turn.
    pub arms: &'static [Arm],
    /// Where it notes what it did: by query, then by arm.
    pub recorders: Vec<Vec<Recorder<QueryTally>>>,
    /// Decides which query comes next.
    pub seed: u64,
    /// Ends the schedule.
    pub stop: Arc<Stop>,
    /// Ends everything, mid-query.
    pub abort: CancellationToken,
}

/// What can end a reader early.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection is gone.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The arm could not be entered.
    #[error(transparent)]
    Strom(#[from] StromError),
    /// The timer failed.
    #[error("failed to wait for a query's due time: {0}")]
    Timer(#[from] std::io::Error),
}

impl Reader {
    /// Reads until the schedule ends, the connection does, or the run is aborted.
    ///
    /// # Errors
    /// What ended it early. A query that the server refuses does not: it is counted.
    pub async fn run(mut self) -> Result<(), ReadError> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut turns = vec![0_usize; self.queries.len()];
        let mut free = Instant::now();
        let mut entered = None;
        while let Some(slot) = self.pacer.next(&self.stop).await? {
            if self.abort.is_cancelled() || (self.stop.is_over() && slot.due < free) {
                // Overdue queries are not caught up on after the end: unlike a row, a query that
                // nobody waits for any more is no use.
                break;
            }
            let query = pick(&mut rng, &self.queries);
            let turn = turns[query] % self.arms.len();
            turns[query] += 1;
            let arm = self.arms[turn];
            if entered != Some(arm) {
                strom::enter(&mut self.session, arm).await?;
                entered = Some(arm);
            }
            if !self.ask(&slot, query, turn, free).await? {
                break;
            }
            free = Instant::now();
        }
        self.session.close().await;
        Ok(())
    }

    /// Runs one query; `false`: aborted in the middle.
    async fn ask(
        &mut self,
        slot: &Slot,
        query: usize,
        turn: usize,
        free: Instant,
    ) -> Result<bool, pg::Error> {
        let recorder = &self.recorders[query][turn];
        let canceller = self.session.canceller();
        let Query { sql, newest_column, .. } = &self.queries[query];
        let sent = Instant::now();
        let outcome = tokio::select! {
            outcome = self.session.drain(sql, newest_column.as_deref()) => outcome,
            () = self.abort.cancelled() => {
                canceller.cancel().await;
                recorder.note(|tally| tally.interrupted += 1);
                return Ok(false);
            }
        };
        let latency = Latency::measure(slot.due, free, sent, Instant::now());
        match outcome {
            Ok(answer) => {
                let age = answer
                    .newest
                    .map(|newest| SystemTime::now().duration_since(newest).unwrap_or_default());
                recorder.note(|tally| {
                    tally.executions += 1;
                    tally.rows += answer.rows;
                    if slot.measured {
                        tally.executions_measured += 1;
                        tally.times.record(&latency);
                        if let Some(age) = age {
                            tally.answer_age.record(age);
                        }
                    }
                });
                Ok(true)
            }
            Err(error) => {
                recorder.note(|tally| {
                    *tally.errors.entry(error.code().to_owned()).or_default() += 1;
                });
                if error.is_lost() {
                    return Err(error);
                }
                tracing::warn!(query = self.queries[query].name, "{error}");
                tokio::select! {
                    () = tokio::time::sleep(ERROR_PAUSE) => {}
                    () = self.abort.cancelled() => {}
                }
                Ok(true)
            }
        }
    }
}

fn pick(rng: &mut Xoshiro256PlusPlus, queries: &[Query]) -> usize {
    let total: u64 = queries.iter().map(|query| u64::from(query.weight.get())).sum();
    let mut ticket = rng.random_range(0..total.max(1));
    for (index, query) in queries.iter().enumerate() {
        match ticket.checked_sub(u64::from(query.weight.get())) {
            Some(rest) => ticket = rest,
            None => return index,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn queries_come_up_by_weight() {
        let query = |weight| Query {
            name: String::new(),
            weight: NonZeroU32::new(weight).unwrap(),
            sql: String::new(),
            newest_column: None,
        };
        let queries = [query(1), query(3)];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let second = (0..10_000).filter(|_| pick(&mut rng, &queries) == 1).count();
        assert!((7_300..7_700).contains(&second), "{second}");
    }
}
