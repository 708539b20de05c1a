//! The proof: every row of a run is read back and compared, byte by byte, with what was sent.
//!
//! Each partition is read in slices of blocks, in the order of the table. A slice counts once it is
//! whole, so when the server goes the audit goes on, in another session, with the slice that it was
//! at. Its memory does not grow with the rows: see [`RowSet`](crate::record::RowSet).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::pace::{Backoff, Schedule};
use crate::pg::extent::Extent;
use crate::pg::fault::{Remedy, remedy};
use crate::pg::owner::Successor;
use crate::pg::reservation::Reservation;
use crate::pg::table::rows_query;
use crate::pg::{self, Address, Session};
use crate::plan::{OnFault, Recovery, Stream};
use crate::record::Account;
use crate::result::server::FirstRow;
use crate::row::{Checksum, Column, CopyFormat, EncodeError, Encoder, Ids};

use super::auditor::{Audited, Auditor, LaneToRead};

/// Connections that read at the same time.
const READERS_MAX: usize = 4;
/// An attempt to connect anew has so long, however little time is left.
const ATTEMPT_MIN: Duration = Duration::from_secs(5);

/// What a run left for its audit.
#[derive(Debug, Clone)]
pub(crate) struct Evidence<'a> {
    /// What was streamed.
    pub stream: &'a Stream,
    /// Its seed.
    pub seed: u64,
    /// Start of the schedule, in microseconds since the Unix epoch.
    pub origin_us: i64,
    /// Whether the account is complete. It is not if the loader was killed: then rows may have
    /// been sent that it does not know of.
    pub complete: bool,
    /// How long the server may be gone. None at all: the first fault ends the audit.
    pub patience: Duration,
    /// Draws the pauses between attempts.
    pub backoff: Backoff,
    /// In which format the server gives rows out.
    pub copy_format: CopyFormat,
    /// What the sessions of the run hold, if this is its end.
    pub reservation: Option<Reservation>,
    /// Each lane; those of a partition in the order of their places.
    pub lanes: Vec<LaneEvidence>,
}

/// What a run left of one lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneEvidence {
    /// Which rows, with which ids.
    pub ids: Ids,
    /// When its rows were due; `None`: unthrottled.
    pub schedule: Option<Schedule>,
    /// What became of each row.
    pub account: Account,
    /// Whether another run has loaded into its partition since.
    pub successor: Successor,
}

/// How long an audit waits for a server that is gone, by what a run does.
pub(crate) fn patience(recovery: &Recovery) -> Duration {
    match recovery.on_fault {
        OnFault::Recover => recovery.reconnect_timeout,
        OnFault::Stop => Duration::ZERO,
    }
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// The server.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The server was gone for too long.
    #[error("{error}\n  the outage outlasted the run's --reconnect-timeout ({timeout_s} s)")]
    Outage {
        /// The last error.
        error: pg::Error,
        /// The bound.
        timeout_s: f64,
    },
    /// The columns.
    #[error(transparent)]
    Row(#[from] EncodeError),
}

/// Reads all partitions back and compares. `rows` counts those that were read, as they come.
///
/// # Errors
/// When the server does not let it, or is gone for longer than an outage may last.
pub(crate) async fn audit(
    address: &Address,
    evidence: &Evidence<'_>,
    rows: &AtomicU64,
) -> Result<Vec<Audited>, AuditError> {
    let mut partitions: Vec<Vec<&LaneEvidence>> = Vec::new();
    for lane in &evidence.lanes {
        let key = |own: &Vec<&LaneEvidence>| own[0].ids.lane.partition;
        match partitions.iter_mut().find(|own| key(own) == lane.ids.lane.partition) {
            Some(own) => own.push(lane),
            None => partitions.push(vec![lane]),
        }
    }
    let reading = partitions.iter().map(|lanes| audit_partition(address, evidence, lanes, rows));
    let reading = futures_util::stream::iter(reading).buffered(READERS_MAX);
    let audited: Vec<Vec<Audited>> = reading.try_collect().await?;
    let mut audited: Vec<Audited> = audited.into_iter().flatten().collect();
    audited.sort_by_key(|lane| lane.audit.lane);
    Ok(audited)
}

/// The first row of a lane of a run: what only this run can have sent. `None` if it
/// does not hold the moment at which it was due, rows are not told apart, that is not known beforehand, or
/// readers may change it.
///
/// # Errors
/// When the columns have no rows.
pub(crate) fn first_row(
    stream: &Stream,
    seed: u64,
    ids: &Ids,
    origin_us: i64,
) -> Result<Option<FirstRow>, EncodeError> {
    let is_due = |column: &Column| column.values.is_of_due_time();
    // Or the run itself.
    let of_run = stream.identity().is_some_and(|(_, identity)| !identity.follows_on());
    let is_told = stream.id_column().is_some()
        && stream.changed.is_empty()
        && (of_run || stream.columns.iter().any(is_due));
    let Some(course) = stream.course(seed).filter(|_| is_told) else { return Ok(None) };
    let schedule = stream.schedule(&course, &ids.lane);
    let mut encoder = Encoder::of_ids(&stream.columns, seed, ids)?;
    let mut tuple = vec![0; encoder.max_row_bytes()];
    let mut due = schedule.due_times(0).since(origin_us);
    let encoded = encoder.encode(&mut tuple, 0, 1, &mut due)?;
    let mut sum = Checksum::default();
    sum.add(&tuple[..encoded.bytes]);
    let (partition, id) = (ids.lane.key(), ids.of(0));
    Ok(Some(FirstRow { partition, id, checksum: sum.to_string() }))
}

/// Whether a table holds a run's first row, which is one of these ids.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn holds(
    session: &mut pg::Session,
    stream: &Stream,
    ids: &Ids,
    first: &FirstRow,
) -> Result<bool, pg::Error> {
    let query = rows_query(stream, ids, first.id, first.id.checked_add(1));
    let mut sum = Checksum::default();
    session.read_back(&query, |tuple| sum.add(tuple)).await?;
    Ok(sum.rows() == 1 && sum.to_string() == first.checksum)
}

async fn audit_partition(
    address: &Address,
    evidence: &Evidence<'_>,
    lanes: &[&LaneEvidence],
    rows: &AtomicU64,
) -> Result<Vec<Audited>, AuditError> {
    let due = |schedule: &Schedule| (schedule.clone(), evidence.origin_us);
    let lane_to_read = |lane: &&LaneEvidence| LaneToRead {
        ids: lane.ids,
        due: lane.schedule.as_ref().map(due),
        successor: lane.successor,
    };
    let made: Vec<_> = lanes.iter().map(lane_to_read).collect();
    let auditor = Auditor::new(evidence.stream, evidence.seed, &made)?;
    let number = lanes[0].ids.lane.key();
    let mut reading = Reading { evidence, lanes, auditor, extent: None, next: Some(0), rows };
    let mut backoff = evidence.backoff.of(number);
    let mut outage: Option<Outage> = None;
    loop {
        let deadline = outage.as_ref().map(|outage| outage.deadline);
        let Err(Failed { error, progressed }) = reading.go_on(address, deadline).await else {
            let known = lanes.iter().map(|lane| (&lane.account, evidence.complete));
            return Ok(reading.auditor.conclude(known));
        };
        let patience = evidence.patience;
        if patience.is_zero() || remedy(error.code(), error.is_lost()) == Remedy::Fatal {
            return Err(error.into());
        }
        if progressed {
            outage = None;
        }
        let outage = outage.get_or_insert_with(|| {
            tracing::warn!(partition = number, "the audit waits for the server: {error}");
            let deadline = Instant::now() + patience;
            Outage { deadline, backoff: backoff.anew() }
        });
        tracing::debug!(partition = number, "{error}");
        let left = outage.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AuditError::Outage { error, timeout_s: patience.as_secs_f64() });
        }
        sleep(outage.backoff.next_pause().min(left)).await;
    }
}

/// A time in which the audit of a partition gets no further.
struct Outage {
    deadline: Instant,
    backoff: Backoff,
}

/// An attempt that failed.
struct Failed {
    error: pg::Error,
    /// Whether it has read a slice.
    progressed: bool,
}

/// A partition that is being read.
struct Reading<'a> {
    evidence: &'a Evidence<'a>,
    /// Its lanes.
    lanes: &'a [&'a LaneEvidence],
    auditor: Auditor,
    /// The table, as the last session saw it.
    extent: Option<Extent>,
    /// The first block of what is still to be read.
    next: Option<u64>,
    /// All rows read so far, over all partitions.
    rows: &'a AtomicU64,
}

impl Reading<'_> {
    /// Reads what is left, in a new session that must be there by `deadline`.
    async fn go_on(&mut self, address: &Address, deadline: Option<Instant>) -> Result<(), Failed> {
        let failed = |error| Failed { error, progressed: false };
        let opening = self.open(address);
        let opened = match deadline {
            None => opening.await,
            Some(deadline) => {
                let until = deadline.max(Instant::now() + ATTEMPT_MIN);
                let late = |_| Err(pg::Error::timed_out("read the rows back"));
                timeout_at(until, opening).await.unwrap_or_else(late)
            }
        };
        let (mut session, extent) = opened.map_err(failed)?;
        if self.extent.as_ref().is_some_and(|earlier| !extent.continues(earlier)) {
            tracing::warn!(
                partition = self.lanes[0].ids.lane.key(),
                "the table has other files now, or another server has it: it is read from its start"
            );
            self.rows.fetch_sub(self.auditor.rows_read(), Ordering::Relaxed);
            self.auditor.begin_again();
            self.next = Some(0);
        }
        let mut progressed = false;
        while let Some(block) = self.next {
            let slice = extent.slice(block);
            let query = self.query() + &slice.filter + &extent.order(self.evidence.stream);
            let auditor = &mut self.auditor;
            let read = session.read_back(&query, |tuple| auditor.see(tuple)).await;
            let read = match auditor.take_fault() {
                Some(fault) => Err(pg::Error::of_file(fault)),
                None => read,
            };
            if let Err(error) = read {
                auditor.drop_slice();
                self.extent = Some(extent);
                return Err(Failed { error, progressed });
            }
            self.rows.fetch_add(auditor.keep_slice(), Ordering::Relaxed);
            self.next = slice.next;
            progressed = true;
        }
        session.close().await;
        Ok(())
    }

    async fn open(&self, address: &Address) -> Result<(Session, Extent), pg::Error> {
        let mut session = Session::own(address, "strom-load audit").await?.telling_of_waits();
        session.use_format(self.evidence.copy_format);
        if let Some(reservation) = &self.evidence.reservation {
            reservation.join(&mut session).await?;
        }
        let table = &self.evidence.stream.table;
        let extent = Extent::open(&mut session, table, &self.query()).await?;
        Ok((session, extent))
    }

    /// What all slices have in common.
    fn query(&self) -> String {
        let ids = &self.lanes[0].ids;
        // A later run's ids follow on ours.
        let end = self.lanes.iter().map(|own| own.ids.end(own.account.end())).max();
        let end = end.filter(|_| self.evidence.complete);
        rows_query(self.evidence.stream, ids, ids.base, end)
    }
}
