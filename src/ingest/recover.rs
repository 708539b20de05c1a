//! After a failed batch: wait, connect anew, find out what became of it, decide.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Backoff, Slot};
use crate::pg::fate::{BatchProbe, Fate};
use crate::pg::fault::{Remedy, remedy};
use crate::pg::load::{LoadFailure, Loader};
use crate::pg::{self, Error};
use crate::plan::{Delivery, OnFault, Recovery};
use crate::record;

use super::{Connection, ProduceError, Producer};

/// What is to be done with a batch that was not acknowledged.
pub(super) enum Decision {
    /// It is surely not in the table, or may be doubled: send it again.
    Resend,
    /// It was found in the table.
    Acknowledged {
        /// Whether no synchronous standby had to confirm it, or one surely did.
        sync_confirmed: bool,
    },
    /// Nobody can tell, or it must not be sent twice; go on with the next.
    Undecided,
    /// The run is over.
    Over {
        /// Whether the batch may be in the table.
        doubtful: bool,
    },
    /// The producer ends with this error.
    Fatal {
        /// The error.
        error: ProduceError,
        /// Whether the batch may be in the table.
        doubtful: bool,
    },
}

/// One attempt to recover gets half of the time that is left, and this at least: an answer that
/// never comes must leave time for another attempt.
pub(super) const ATTEMPT_MIN: Duration = Duration::from_secs(5);

/// A time without success, from the first failure on.
pub(super) struct Outage {
    since: Instant,
    code: String,
    backoff: Backoff,
}

impl Outage {
    pub(super) fn new(error: &Error, backoff: Backoff) -> Self {
        Self { since: Instant::now(), code: error.code().to_owned(), backoff }
    }

    /// When a batch that was found in the table is taken to have been sent.
    pub(super) fn sent(&self, slot: &Slot) -> Instant {
        self.since.max(slot.due)
    }

    pub(super) fn record(&self, start: Instant, recovered: bool) -> record::Outage {
        record::Outage {
            start: self.since.saturating_duration_since(start),
            length: self.since.elapsed(),
            code: self.code.clone(),
            recovered,
        }
    }
}

impl Producer {
    /// Brings the producer back into a state in which a batch can be sent, and decides what
    /// becomes of this one.
    pub(super) async fn recover(
        &mut self,
        slot: &Slot,
        failure: LoadFailure,
        outage: &mut Outage,
    ) -> Decision {
        let LoadFailure { mut error, in_doubt, sync_wait_cancelled } = failure;
        let deadline = outage.since + self.recovery.reconnect_timeout;
        loop {
            let doubtful = in_doubt.is_some();
            let remedy = remedy(error.code(), error.is_lost());
            if remedy == Remedy::Reconnect || self.loader.as_ref().is_some_and(Loader::is_spent) {
                self.loader = None;
            }
            if remedy == Remedy::Fatal || self.recovery.on_fault == OnFault::Stop {
                return Decision::Fatal { error: error.into(), doubtful };
            }
            tracing::debug!(lane = self.ids.lane.number, "{error}");
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.pause(outage.backoff.next_pause().min(left)).await {
                return Decision::Over { doubtful };
            }
            // After the pause: an attempt without any time would hide the error with its own.
            if Instant::now() >= deadline {
                let timeout_s = self.recovery.reconnect_timeout.as_secs_f64();
                let error = ProduceError::Outage { error, timeout_s };
                return Decision::Fatal { error, doubtful };
            }
            if self.shed() {
                // The server failed all producers alike.
                self.pacer.resumes();
            }
            match self.decide(slot, in_doubt, sync_wait_cancelled, deadline).await {
                Ok(verdict) => return verdict,
                Err(failed) => {
                    pg::note_recovery(&failed);
                    self.note_failure(failed.code(), true);
                    error = failed;
                }
            }
        }
    }

    /// Waits; `false` if the run is over meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => !self.is_over(),
            () = self.abort.cancelled() => false,
        }
    }

    /// Connects if need be, and asks about a batch in doubt.
    async fn decide(
        &mut self,
        slot: &Slot,
        in_doubt: Option<u64>,
        sync_wait_cancelled: bool,
        deadline: Instant,
    ) -> Result<Decision, Error> {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let until = deadline.min(now + (left / 2).max(ATTEMPT_MIN));
        let mut loader = match self.loader.take() {
            Some(loader) => loader,
            None => {
                let reconnecting = reconnect(&self.connection, &self.recovery, until);
                match bounded(&self.abort, until, reconnecting).await {
                    Ok(loader) => self.connection.trailing(loader, &self.trail),
                    Err(error) if error.took_over() => {
                        return Ok(self.gives_way(slot, in_doubt.is_some(), error, until).await);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let Some(xid) = in_doubt else {
            self.loader = Some(loader);
            return Ok(Decision::Resend);
        };
        let verdict = match self.recovery.delivery {
            Delivery::AtLeastOnce => Decision::Resend,
            Delivery::AtMostOnce => Decision::Undecided,
            Delivery::ExactlyOnce => {
                let batch = self.probe(slot);
                let fate = loader.session().fate_of(xid, &batch, deadline);
                match bounded(&self.abort, until, fate).await? {
                    Fate::Committed { sync_confirmed } => {
                        let sync_confirmed = sync_confirmed && !sync_wait_cancelled;
                        Decision::Acknowledged { sync_confirmed }
                    }
                    Fate::Aborted => Decision::Resend,
                    Fate::Undecided(why) => {
                        tracing::warn!(lane = self.ids.lane.number, "a batch is undecided: {why}");
                        Decision::Undecided
                    }
                }
            }
        };
        self.loader = Some(loader);
        Ok(verdict)
    }

    /// Another run took over, and said in its row from which id on: the batch was there by then or never
    /// will be. One that was there is acknowledged; the next one ends the producer.
    async fn gives_way(
        &mut self,
        slot: &Slot,
        doubtful: bool,
        error: Error,
        until: Instant,
    ) -> Decision {
        let batch = self.probe(slot);
        let fate = match error.next_first_id() {
            _ if !doubtful => Some(Fate::Aborted),
            Some(next_first_id) if batch.ends_beyond(next_first_id) => Some(Fate::Aborted),
            Some(_) if batch.rows.is_some() => {
                let looking = async {
                    let Connection { address, application_name, .. } = &self.connection;
                    // Without the lock: it is the other one's.
                    let mut session = pg::Session::own(address, application_name).await?;
                    let fate = session.look_for(&batch).await?;
                    session.close().await;
                    Ok(fate)
                };
                bounded(&self.abort, until, looking).await.ok()
            }
            // Of rows that nothing tells apart no id tells whose they are.
            _ => None,
        };
        match fate {
            Some(Fate::Committed { sync_confirmed }) => Decision::Acknowledged { sync_confirmed },
            Some(Fate::Aborted) => Decision::Fatal { error: error.into(), doubtful: false },
            Some(Fate::Undecided(_)) | None => {
                Decision::Fatal { error: error.into(), doubtful: true }
            }
        }
    }

    /// Where the batch would be found.
    fn probe(&self, slot: &Slot) -> BatchProbe {
        self.connection.probe(&self.stream, &self.ids, (slot.first_row, slot.rows))
    }
}

/// A session like those that the producer had, once the last one's backend is gone.
pub(super) async fn reconnect(
    connection: &Connection,
    recovery: &Recovery,
    deadline: Instant,
) -> Result<Loader, Error> {
    let mut session = pg::Session::own(&connection.address, &connection.application_name).await?;
    session.lease(recovery.lease, Some(recovery.statement_max())).await?;
    Loader::prepare(session, &connection.target, Some(deadline)).await
}

/// Bounds a wait by a deadline and by an abort.
async fn bounded<T>(
    abort: &CancellationToken,
    deadline: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        done = tokio::time::timeout_at(deadline, work) => {
            done.unwrap_or_else(|_| Err(Error::timed_out("recover from a fault")))
        }
        () = abort.cancelled() => Err(Error::disconnected()),
    }
}
