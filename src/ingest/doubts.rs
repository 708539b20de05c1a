//! Once the load is over: what became of batches that could not be asked about in time.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::pace::Backoff;
use crate::pg::Error;
use crate::pg::fate::Fate;
use crate::pg::fault::{Remedy, remedy};
use crate::plan::{Recovery, Stream};
use crate::record::Doubt;
use crate::row::Ids;

use super::Connection;
use super::recover::{ATTEMPT_MIN, reconnect};

/// The doubts of a lane.
pub(crate) struct Doubts<'a> {
    /// What was streamed.
    pub stream: &'a Stream,
    /// Which rows, with which ids.
    pub ids: Ids,
    /// How its producer connected.
    pub connection: Connection,
    /// Each.
    pub batches: &'a [Doubt],
}

impl Doubts<'_> {
    /// Asks about each, with so much patience for a server that is gone. Those that nobody can tell anything
    /// of are not in what is returned.
    pub(crate) async fn decide(
        &self,
        recovery: &Recovery,
        patience: Duration,
    ) -> Vec<(Doubt, Fate)> {
        let deadline = Instant::now() + patience.max(ATTEMPT_MIN);
        let (mut decided, mut backoff) = (Vec::new(), Backoff::default());
        loop {
            let asking = self.ask(recovery, deadline, &mut decided);
            let late = |_| Err(Error::timed_out("ask what became of the last batches"));
            let Err(error) = timeout_at(deadline, asking).await.unwrap_or_else(late) else { break };
            tracing::debug!(lane = self.ids.lane.number, "{error}");
            let left = deadline.saturating_duration_since(Instant::now());
            let is_final = remedy(error.code(), error.is_lost()) == Remedy::Fatal;
            if is_final || error.took_over() || left.is_zero() {
                break;
            }
            sleep(backoff.next_pause().min(left)).await;
        }
        decided
    }

    async fn ask(
        &self,
        recovery: &Recovery,
        deadline: Instant,
        decided: &mut Vec<(Doubt, Fate)>,
    ) -> Result<(), Error> {
        let mut loader = reconnect(&self.connection, recovery, deadline).await?;
        while let Some(doubt) = self.batches.get(decided.len()) {
            let rows = (doubt.first_row, doubt.rows);
            let batch = self.connection.probe(self.stream, &self.ids, rows);
            let fate = loader.session().fate_of(doubt.xid, &batch, deadline).await?;
            decided.push((*doubt, fate));
        }
        loader.into_session().close().await;
        Ok(())
    }
}
