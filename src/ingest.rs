//! The producer: takes slots from its pacer, loads each as one batch, recovers from faults, notes
//! how it went. Sees no sinks.

pub(crate) mod audit;
pub(crate) mod auditor;
pub(crate) mod doubts;
mod recover;
mod seen;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::freshness::Trail;
use crate::pace::{Backoff, Heartbeat, Pacer, Slot, Stop, Watchdog};
use crate::pg;
use crate::pg::fate::BatchProbe;
use crate::pg::load::{Committed, LoadFailure, LoadTarget, Loader};
use crate::pg::table::batch_rows;
use crate::plan::{Delivery, Recovery, Stream};
use crate::record::{
    Account, Age, Attribution, Blame, Doubt, LATE_AFTER, Latency, Recorder, Service, StreamTally,
    UsualService,
};
use crate::row::{BatchEncoder, Ids};

use recover::{Decision, Outage};

/// Groups that rows which are given up at once are looked at in: each has its own causes.
const GROUPS: u64 = 32;
/// An answer that is taken this long after a pause may have come in it, beyond the usual service.
const WAKING: Duration = Duration::from_millis(50);

/// The producer of one lane.
pub(crate) struct Producer {
    /// Which rows it loads, with which ids.
    pub ids: Ids,
    /// When its batches are due.
    pub pacer: Pacer,
    /// Its session, ready to COPY; `None` while the connection is lost.
    pub loader: Option<Loader>,
    /// How it connects anew.
    pub connection: Connection,
    /// Turns row numbers into bytes.
    pub encoder: BatchEncoder,
    /// What is streamed.
    pub stream: Stream,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// Draws the pauses between attempts after a fault.
    pub backoff: Backoff,
    /// Bounds the wait for a batch's answer.
    pub watchdog: Watchdog,
    /// Notices when the server has heard nothing of it for a while.
    pub silence: Watchdog,
    /// Whether its thread ran when it should have.
    pub heartbeat: Arc<Heartbeat>,
    /// Why its batches are late.
    pub attribution: Attribution,
    /// How long a batch takes the server.
    pub usual: UsualService,
    /// Start of the schedule.
    pub start: Instant,
    /// The same, in microseconds since the Unix epoch.
    pub origin_us: i64,
    /// Rows acknowledged so far, by all producers.
    pub rows: Arc<AtomicU64>,
    /// What readers may not see yet.
    pub trail: Trail,
    /// Where it notes what it did.
    pub recorder: Recorder<StreamTally>,
    /// Ends the schedule.
    pub stop: Arc<Stop>,
    /// Ends everything, mid-batch.
    pub abort: CancellationToken,
    /// How long after the end overdue batches may still be sent.
    pub drain_timeout: Duration,
}

/// How a producer connects.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The server.
    pub address: pg::Address,
    /// Its name in pg_stat_activity.
    pub application_name: String,
    /// What it loads.
    pub target: LoadTarget,
    /// Whether it asks where in the write-ahead log each COMMIT is, as readers on a standby need it.
    pub positions: bool,
}

impl Connection {
    /// What a batch of so many rows from a lane's row on can be known by.
    fn probe(&self, stream: &Stream, ids: &Ids, (first_row, rows): (u64, u64)) -> BatchProbe {
        let rows = batch_rows(stream, ids, first_row, rows);
        let LoadTarget { is_remote, has_fates: has_fate, .. } = self.target;
        let last_crash = self.target.last_crash.clone();
        BatchProbe { rows, is_remote, has_fate, last_crash }
    }

    /// A loader that leaves a trail.
    pub(crate) fn trailing(&self, loader: Loader, trail: &Trail) -> Loader {
        loader.reporting(trail.committing(), self.positions)
    }
}

/// What can end a producer early.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The server failed a batch for good, or was gone for too long.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// An outage outlasted its bound.
    #[error("{error}\n  the outage outlasted --reconnect-timeout ({timeout_s} s)")]
    Outage {
        /// The last error.
        error: pg::Error,
        /// The bound.
        timeout_s: f64,
    },
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

/// How an attempt to load a slot ended.
enum Attempt {
    Acknowledged,
    Failed(LoadFailure),
    Aborted(GivenUp),
    Impossible(ProduceError),
}

/// What is known of a batch that is given up.
#[derive(Debug, Clone, Copy)]
enum GivenUp {
    /// It is not in the table.
    Unsent,
    /// It may be, as this transaction says.
    InDoubt(u64),
    /// Nobody can tell.
    Undecided,
}

impl GivenUp {
    /// Of a batch whose COMMIT may have been sent, or surely was not.
    fn of(in_doubt: Option<u64>) -> Self {
        in_doubt.map_or(Self::Unsent, Self::InDoubt)
    }

    /// The same where an earlier attempt may have left it there, and nobody asked.
    fn after(self, may_be_there: bool) -> Self {
        match self {
            Self::Unsent if may_be_there => Self::Undecided,
            known => known,
        }
    }
}

impl Producer {
    /// Streams until the schedule ends, an error does, or the run is aborted. Returns the error, and the
    /// session, if it has one: it still holds the run's reservation.
    pub(crate) async fn run(mut self) -> (Option<ProduceError>, Option<pg::Session>) {
        let mut free = Instant::now();
        let mut unsent = None;
        self.trail.next_is_due(self.pacer.due(self.pacer.handed_out()));
        let mut error = None;
        loop {
            self.shed();
            let slot = match self.next(&mut free).await {
                Ok(Some(slot)) => slot,
                Ok(None) => break,
                Err(timer) => {
                    error = Some(timer.into());
                    break;
                }
            };
            if self.is_over() {
                unsent = Some(slot);
                break;
            }
            match self.deliver(&slot, free).await {
                Ok(true) => free = Instant::now(),
                Ok(false) => break,
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        if error.is_some() {
            // For all: what falls due later is nobody's any more, and in no account.
            self.stop.now();
        }
        // A slot in hand that was never sent, and whatever is due behind it.
        let first_unsent = unsent.map_or(self.pacer.handed_out(), |slot| slot.first_row);
        let rows = self.pacer.handed_out() - first_unsent + self.pacer.left(&self.stop);
        self.drop_rows(first_unsent, rows);
        (error, self.loader.map(Loader::into_session))
    }

    /// Waits for the next slot, until the run is over. Meanwhile the server hears a word now and then:
    /// it ends sessions of which it hears nothing. `free` is when the producer could have sent it.
    async fn next(&mut self, free: &mut Instant) -> std::io::Result<Option<Slot>> {
        let mut heard = *free;
        let mut is_there_more = true;
        loop {
            tokio::select! {
                biased;
                slot = self.pacer.next(&self.stop), if is_there_more => match slot? {
                    Some(slot) => return Ok(Some(slot)),
                    // Where the rate is 0 from now on, the run is not over yet.
                    None => is_there_more = false,
                },
                () = self.stop.over(), if !is_there_more => return Ok(None),
                () = self.abort.cancelled(), if !is_there_more => return Ok(None),
                () = self.silence.exceeded(heard) => {
                    self.say_a_word().await;
                    heard = Instant::now();
                    // Whatever fell due meanwhile has waited for the server.
                    *free = heard;
                }
            }
        }
    }

    /// Says a word to the server. If it cannot be said, the next batch finds out why.
    async fn say_a_word(&mut self) {
        let Some(loader) = &mut self.loader else { return };
        let began = Instant::now();
        let said = tokio::select! {
            biased;
            said = loader.say_a_word() => said,
            () = self.watchdog.exceeded(began) => Err(pg::Error::timed_out("say a word to the server")),
            () = self.abort.cancelled() => Ok(()),
        };
        if let Err(error) = said {
            tracing::debug!(lane = self.ids.lane.number, "{error}");
        }
    }

    /// Whether nothing more is to be sent.
    fn is_over(&self) -> bool {
        let drained = |end| Instant::now() > end + self.drain_timeout;
        self.abort.is_cancelled() || self.stop.end().is_some_and(drained)
    }

    /// Gives up what the backlog cannot hold; whether that was anything.
    fn shed(&mut self) -> bool {
        let lanes = u64::from(self.stream.connections.get());
        let limit = self.recovery.backlog_rows.get().div_ceil(lanes);
        let Some((first, rows)) = self.pacer.shed(limit, &self.stop) else { return false };
        self.trail.next_is_due(self.pacer.due(self.pacer.handed_out()));
        self.drop_rows(first, rows);
        if let (Some(due), Some(next)) = (self.pacer.due(first), self.pacer.due(first + rows)) {
            self.attribution.skips(next.saturating_duration_since(due));
        }
        true
    }

    /// Notes rows that are never sent, and why they were not by now.
    fn drop_rows(&self, first: u64, rows: u64) {
        self.recorder.note(|tally| tally.account.dropped.push(first, rows));
        let Some((first, rows)) = self.pacer.measured(first, rows) else { return };
        let batch_rows = u64::from(self.stream.batch_rows.get());
        let group_rows = rows.div_ceil(batch_rows).div_ceil(GROUPS) * batch_rows;
        let (now, end) = (Instant::now(), first + rows);
        let mut first = first;
        while first < end {
            let rows = group_rows.min(end - first);
            self.drop_group(first, rows, now);
            first += rows;
        }
    }

    /// Notes rows of the measurement that are given up at `now` and fell due one behind the other.
    fn drop_group(&self, first: u64, rows: u64, now: Instant) {
        let batch_rows = u64::from(self.stream.batch_rows.get());
        let due = |row| self.pacer.due(row);
        // The batches that they would have filled are each due with their last row.
        let (Some(oldest), Some(oldest_batch), Some(middle), Some(newest)) = (
            due(first),
            due(first + batch_rows.min(rows) - 1),
            due(first + rows / 2),
            due(first + rows - 1),
        ) else {
            return;
        };
        let whole = |due: Instant| now.saturating_duration_since(due);
        let age = |due| Age { whole: whole(due), own: self.unsent(due, now).own };
        let (newest, oldest_batch) = (age(newest), age(oldest_batch));
        let (blame, batches) = (self.unsent(middle, now), rows as f64 / batch_rows as f64);
        self.recorder.note(|tally| {
            tally.blame.add(&blame, batches);
            tally.row.record_evenly_at_least(newest.whole, whole(oldest), rows);
            tally.given_up(newest, oldest_batch, rows.div_ceil(batch_rows));
        });
    }

    /// Why what is due at `due` is not in the table at `now`.
    fn unsent(&self, due: Instant, now: Instant) -> Blame {
        self.attribution.unsent(due, now, |from, to| self.heartbeat.paused(from, to))
    }

    /// The loader's own part in a time that the server had for a batch, of which it took `encode` to make
    /// rows. A pause costs something only if the answer came in it: so it was not long ago when the
    /// answer was taken, and the whole took longer than usual.
    fn own(&self, sent: Instant, answered: Instant, encode: Duration) -> Duration {
        let paused = self.heartbeat.paused(sent, answered);
        if paused.is_zero() {
            return encode;
        }
        let usual = self.usual.get();
        let near = self.heartbeat.paused_near(sent, answered, usual * 2 + WAKING);
        let beyond = answered.saturating_duration_since(sent).saturating_sub(usual);
        near.min(beyond).max(encode)
    }

    /// Sends a slot until its fate is known. `false`: the run is over.
    async fn deliver(&mut self, slot: &Slot, free: Instant) -> Result<bool, ProduceError> {
        let mut outage: Option<Outage> = None;
        // Whether an attempt before the last one may have left it there, and nobody asked.
        let mut may_be_there = false;
        let (first_lead, _) = self.pacer.row_lead(slot);
        self.trail.begins(slot.first_row + slot.rows, slot.due - first_lead);
        self.trail.next_is_due(self.pacer.due(self.pacer.handed_out()));
        let begun = Instant::now();
        let late = self.attribution.wait(slot.due, free, slot.held_until, begun);
        self.attribution.begins(slot.due, late, begun);
        loop {
            let attempt = self.send(slot, (begun, late), outage.is_some()).await;
            let failure = match attempt {
                Attempt::Acknowledged => break,
                Attempt::Aborted(given_up) => {
                    self.give_up(slot, given_up.after(may_be_there));
                    self.ended(outage.as_ref(), false);
                    return Ok(false);
                }
                Attempt::Impossible(error) => {
                    self.give_up(slot, GivenUp::Undecided);
                    return Err(error);
                }
                Attempt::Failed(failure) => failure,
            };
            self.trail.failed();
            self.note_failure(failure.error.code(), outage.is_some());
            let in_doubt = failure.in_doubt;
            let backoff = &mut self.backoff;
            let outage = outage.get_or_insert_with(|| Outage::new(&failure.error, backoff.anew()));
            // What is shed meanwhile waits for the server, as this batch does.
            self.attribution.begins_again();
            let verdict = self.recover(slot, failure, outage).await;
            let given_up =
                |doubtful| GivenUp::of(in_doubt.filter(|_| doubtful)).after(may_be_there);
            match verdict {
                Decision::Resend => {
                    let asks = self.recovery.delivery == Delivery::ExactlyOnce;
                    may_be_there |= in_doubt.is_some() && !asks;
                }
                Decision::Acknowledged { sync_confirmed } => {
                    let (sent, now) = (outage.sent(slot), Instant::now());
                    self.served(begun, Duration::ZERO);
                    let late = self.late_again(late, begun, sent);
                    let own = self.own(sent, now, Duration::ZERO);
                    let latency = Latency::measure(slot.due, sent, now, late, own);
                    self.trail.acknowledged(in_doubt, None);
                    self.acknowledge(slot, &latency, sync_confirmed);
                    break;
                }
                Decision::Undecided => {
                    self.give_up(slot, GivenUp::of(in_doubt));
                    self.served(begun, Duration::ZERO);
                    break;
                }
                Decision::Over { doubtful } => {
                    self.give_up(slot, given_up(doubtful));
                    self.ended(Some(outage), false);
                    return Ok(false);
                }
                Decision::Fatal { error, doubtful } => {
                    self.give_up(slot, given_up(doubtful));
                    self.ended(Some(outage), false);
                    return Err(error);
                }
            }
        }
        self.ended(outage.as_ref(), true);
        Ok(true)
    }

    /// Why a batch is late that was `late` when it was first sent at `begun`, and is sent again: it
    /// waited for the server meanwhile, as far as the loader did not stand still.
    fn late_again(&self, late: Blame, begun: Instant, sent: Instant) -> Blame {
        let own = self.heartbeat.paused(begun, sent);
        let server = sent.saturating_duration_since(begun).saturating_sub(own);
        late.and(Blame { own, server, held: Duration::ZERO })
    }

    /// Notes that the slot in hand since `begun` is so no longer. It took `encode` to make its rows.
    fn served(&mut self, begun: Instant, encode: Duration) {
        let now = Instant::now();
        let (whole, own) = (now.saturating_duration_since(begun), self.own(begun, now, encode));
        self.attribution.served(Service { whole, own });
    }

    /// Makes one attempt to load a slot, which was `late` when it was first tried at `begun`.
    async fn send(&mut self, slot: &Slot, (begun, late): (Instant, Blame), again: bool) -> Attempt {
        let Some(loader) = self.loader.as_mut() else {
            return Attempt::Failed(LoadFailure::unsent(pg::Error::disconnected()));
        };
        let due_times = self.pacer.due_times(slot).since(self.origin_us);
        self.encoder.begin(slot.first_row, slot.rows, due_times);
        let (mut bytes, mut encode) = (0, Duration::ZERO);
        let encoder = &mut self.encoder;
        let next_chunk = || {
            let began = Instant::now();
            let chunk = encoder.next_chunk();
            encode += began.elapsed();
            let sent = chunk.as_ref().and_then(|chunk| chunk.as_ref().ok());
            bytes += sent.map_or(0, |chunk| chunk.len() as u64);
            chunk
        };
        let another_follows = self.pacer.is_behind(&self.stop);
        let sent = if again { Instant::now() } else { begun };
        let mut inquiry = loader.inquiry();
        let outcome = {
            let mut loading = std::pin::pin!(loader.load(next_chunk, another_follows));
            let mut asked = sent;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut loading => break Some(outcome),
                    () = self.watchdog.exceeded(asked) => {}
                    () = self.abort.cancelled() => break None,
                }
                // It is late. Whether its answer is lost, the server knows; how long it may take at the
                // server is another question.
                let is_lost = tokio::select! {
                    biased;
                    outcome = &mut loading => break Some(outcome),
                    is_lost = inquiry.is_lost() => is_lost,
                    () = self.abort.cancelled() => break None,
                };
                if is_lost || sent.elapsed() >= self.recovery.reconnect_timeout {
                    // It may have come while the server was asked.
                    break tokio::select! {
                        biased;
                        outcome = &mut loading => Some(outcome),
                        () = std::future::ready(()) => None,
                    };
                }
                asked = Instant::now();
            }
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None if self.abort.is_cancelled() => {
                loader.session().canceller().cancel().await;
                let given_up = GivenUp::of(loader.committing());
                self.note_sent(slot, (again, sent), bytes, encode);
                return Attempt::Aborted(given_up);
            }
            None => Err(loader.give_up(sent.elapsed())),
        };
        let answered = Instant::now();
        self.served(begun, encode);
        let late = if again { self.late_again(late, begun, sent) } else { late };
        let own = self.own(sent, answered, encode);
        self.usual.note(answered.saturating_duration_since(sent));
        let latency = Latency::measure(slot.due, sent, answered, late, own);
        self.note_sent(slot, (again, sent), bytes, encode);
        match outcome {
            Ok(Committed { xid, rows, position, sync_wait_cancelled }) if rows == slot.rows => {
                self.trail.acknowledged(Some(xid), position);
                self.acknowledge(slot, &latency, !sync_wait_cancelled);
                Attempt::Acknowledged
            }
            Ok(Committed { rows: counted, .. }) => {
                Attempt::Impossible(ProduceError::Miscounted { sent: slot.rows, counted })
            }
            Err(failure) => Attempt::Failed(failure),
        }
    }

    fn note_sent(&self, slot: &Slot, (again, sent): (bool, Instant), bytes: u64, encode: Duration) {
        self.recorder.note(|tally| {
            tally.bytes += bytes;
            tally.encode += encode;
            if again {
                tally.batches_resent += 1;
            } else {
                tally.sent_at = Some(sent);
                tally.rows_sent += slot.rows;
                tally.rows_sent_measured += if slot.measured { slot.rows } else { 0 };
            }
        });
    }

    /// Notes what went wrong. An outage is one error, however often it was tried to end it.
    fn note_failure(&self, code: &str, in_outage: bool) {
        self.recorder.note(|tally| {
            let kind = if in_outage { &mut tally.attempts_failed } else { &mut tally.errors };
            *kind.entry(code.to_owned()).or_default() += 1;
        });
    }

    /// Notes a batch that is in the table; whether also on each standby that it was to wait for.
    fn acknowledge(&self, slot: &Slot, latency: &Latency, sync_confirmed: bool) {
        let (first_lead, last_lead) = self.pacer.row_lead(slot);
        let now = Instant::now();
        let is_measuring = self.pacer.is_measuring(now);
        self.rows.fetch_add(slot.rows, Ordering::Relaxed);
        self.recorder.note(|tally| {
            tally.batches += 1;
            tally.batches_sync_unconfirmed += u64::from(!sync_confirmed);
            tally.batches_late += u64::from(latency.wait > LATE_AFTER);
            tally.acknowledged_at = Some(now);
            tally.rows_acknowledged += slot.rows;
            tally.rows_acknowledged_since += if is_measuring { slot.rows } else { 0 };
            tally.account.acknowledged.push(slot.first_row, slot.rows);
            if slot.measured {
                tally.rows_acknowledged_measured += slot.rows;
                tally.batch.record(latency);
                tally.own_delay.record(latency.own_delay);
                tally.without_own.record(latency.response.saturating_sub(latency.own_delay));
                tally.blame.add(&latency.late, 1.0);
                tally.row.record_evenly(
                    latency.response + last_lead,
                    latency.response + first_lead,
                    slot.rows,
                );
            }
        });
    }

    /// Notes a slot that will not be sent again.
    fn give_up(&self, slot: &Slot, known: GivenUp) {
        self.trail.given_up();
        let now = Instant::now();
        let (age, blame) = (now.saturating_duration_since(slot.due), self.unsent(slot.due, now));
        let (first_lead, last_lead) = self.pacer.row_lead(slot);
        self.recorder.note(|tally| {
            let Account { dropped, undecided, .. } = &mut tally.account;
            let fate = if let GivenUp::Unsent = known { dropped } else { undecided };
            fate.push(slot.first_row, slot.rows);
            // With other promises a batch in doubt is not looked up.
            if let (GivenUp::InDoubt(xid), Delivery::ExactlyOnce) = (known, self.recovery.delivery)
            {
                let Slot { first_row, rows, measured, .. } = *slot;
                tally.doubts.push(Doubt { xid, first_row, rows, measured });
            }
            if slot.measured {
                let (low, high) = (age + last_lead, age + first_lead);
                let age = Age { whole: age, own: blame.own };
                tally.row.record_evenly_at_least(low, high, slot.rows);
                tally.blame.add(&blame, 1.0);
                tally.given_up(age, age, 1);
            }
        });
    }

    /// Notes an outage that is over. Only one that was recovered from has a length: the others are
    /// as long as somebody was ready to wait.
    fn ended(&self, outage: Option<&Outage>, recovered: bool) {
        if let Some(outage) = outage {
            let outage = outage.record(self.start, recovered);
            self.recorder.note(|tally| {
                if recovered {
                    tally.outage.record(outage.length);
                } else {
                    tally.outages_unrecovered += 1;
                }
                tally.outages.push(outage);
            });
        }
    }
}
