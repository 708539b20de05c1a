//! The producer: takes slots from its pacer, loads each as one batch, notes how it went.
//! Sees no sinks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::pace::{Pacer, Slot, Stop};
use crate::pg;
use crate::pg::load::Loader;
use crate::record::{LATE_AFTER, Latency, Recorder, StreamTally};
use crate::row::BatchEncoder;

/// One partition's producer.
pub struct Producer {
    /// When its batches are due.
    pub pacer: Pacer,
    /// Its session, ready to COPY.
    pub loader: Loader,
    /// Turns row numbers into bytes.
    pub encoder: BatchEncoder,
    /// Start of the schedule, in microseconds since the Unix epoch.
    pub origin_us: i64,
    /// Where it notes what it did.
    pub recorder: Recorder<StreamTally>,
    /// Ends the schedule.
    pub stop: Arc<Stop>,
    /// Ends everything, mid-batch.
    pub abort: CancellationToken,
    /// How long after the end overdue batches may still be sent.
    pub drain_timeout: Duration,
}

/// How a producer ended.
#[derive(Debug)]
pub struct Produced {
    /// Rows due that were never sent.
    pub rows_dropped: u64,
    /// What ended it early.
    pub error: Option<ProduceError>,
}

/// What can end a producer early.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The server failed a batch, or is gone.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The timer failed.
    #[error("failed to wait for a batch's due time: {0}")]
    Timer(#[from] std::io::Error),
    /// The server counted other rows than were sent.
    #[error(
        "the server counted {counted} rows in a batch of {sent}; a trigger or rule on the table \
         keeps rows out"
    )]
    Miscounted {
        /// Rows sent.
        sent: u64,
        /// Rows that the server reported.
        counted: u64,
    },
}

impl Producer {
    /// Streams until the schedule ends, an error does, or the run is aborted.
    pub async fn run(mut self) -> Produced {
        let mut free = Instant::now();
        let mut unsent = None;
        let mut error = None;
        loop {
            let slot = match self.pacer.next(&self.stop).await {
                Ok(Some(slot)) => slot,
                Ok(None) => break,
                Err(timer) => {
                    error = Some(timer.into());
                    break;
                }
            };
            if self.abort.is_cancelled() || self.drained_too_long() {
                unsent = Some(slot);
                break;
            }
            if let Err(failed) = self.send(&slot, free).await {
                error = failed;
                break;
            }
            free = Instant::now();
        }
        self.loader.into_session().close().await;
        let first_unsent = unsent.map_or(self.pacer.handed_out(), |slot| slot.first_row);
        let rows_dropped = self.pacer.handed_out() - first_unsent + self.pacer.left(&self.stop);
        Produced { rows_dropped, error }
    }

    fn drained_too_long(&self) -> bool {
        self.stop.end().is_some_and(|end| Instant::now() > end + self.drain_timeout)
    }

    /// Loads one slot. `Err(None)`: aborted in the middle.
    async fn send(&mut self, slot: &Slot, free: Instant) -> Result<(), Option<ProduceError>> {
        let due_times = self.pacer.due_times(slot).since(self.origin_us);
        self.encoder.begin(slot.first_row, slot.rows, due_times);
        let (mut bytes, mut encode) = (0, Duration::ZERO);
        let encoder = &mut self.encoder;
        let next_chunk = || {
            let began = Instant::now();
            let chunk: Option<Bytes> = encoder.next_chunk();
            encode += began.elapsed();
            bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            chunk
        };
        let canceller = self.loader.session().canceller();
        let another_follows = self.pacer.is_behind(&self.stop);
        let sent = Instant::now();
        let outcome = tokio::select! {
            outcome = self.loader.load(next_chunk, another_follows) => Some(outcome),
            () = self.abort.cancelled() => None,
        };
        let latency = Latency::measure(slot.due, free, sent, Instant::now());
        self.note(slot, &latency, outcome.as_ref(), bytes, encode);
        match outcome {
            None => {
                canceller.cancel().await;
                Err(None)
            }
            Some(Err(error)) => Err(Some(error.into())),
            Some(Ok(committed)) if committed.rows != slot.rows => {
                Err(Some(ProduceError::Miscounted { sent: slot.rows, counted: committed.rows }))
            }
            Some(Ok(_)) => Ok(()),
        }
    }

    fn note(
        &self,
        slot: &Slot,
        latency: &Latency,
        outcome: Option<&Result<pg::load::Committed, pg::Error>>,
        bytes: u64,
        encode: Duration,
    ) {
        let (first_lead, last_lead) = self.pacer.row_lead(slot);
        let now = Instant::now();
        self.recorder.note(|tally| {
            tally.rows_sent += slot.rows;
            tally.rows_sent_measured += if slot.measured { slot.rows } else { 0 };
            tally.bytes += bytes;
            tally.encode += encode;
            tally.batches_late += u64::from(latency.wait > LATE_AFTER);
            match outcome {
                Some(Ok(_)) => {
                    tally.batches += 1;
                    tally.acknowledged_at = Some(now);
                    tally.rows_acknowledged += slot.rows;
                    if slot.measured {
                        tally.rows_acknowledged_measured += slot.rows;
                        tally.batch.record(latency);
                        tally.own_delay.record(latency.own_delay);
                        tally.row.record_evenly(
                            latency.response + last_lead,
                            latency.response + first_lead,
                            slot.rows,
                        );
                    }
                }
                Some(Err(error)) => *tally.errors.entry(error.code().to_owned()).or_default() += 1,
                None => {}
            }
        });
    }
}
