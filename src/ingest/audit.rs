//! The proof: every row of a run is read back and compared, byte by byte, with what was sent.
//!
//! Rows are a function of their sequence number, so nothing had to be kept: the expected bytes are
//! made again. One scan a partition, in whatever order the table yields it; memory is one bit a
//! row.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt};

use crate::pace::{DueTimes, Schedule};
use crate::pg::read_back::fields;
use crate::pg::reservation::Reservation;
use crate::pg::table::rows_query;
use crate::pg::{self, Address};
use crate::plan::Stream;
use crate::record::{Account, PartitionAudit, Ranges};
use crate::result::server::FirstRow;
use crate::row::{Checksum, Column, EncodeError, Encoder, Values};

/// Expected rows are made in blocks of this many: neighbours in the table mostly are neighbours
/// in the run.
const BLOCK_ROWS_MAX: u64 = 256;
/// Of large rows a block has fewer: one at least.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Connections that read at the same time.
const READERS_MAX: usize = 4;

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
    /// What the sessions of the run hold, if this is its end.
    pub reservation: Option<Reservation>,
    /// Each partition.
    pub partitions: Vec<PartitionEvidence>,
}

/// What a run left of one partition.
#[derive(Debug, Clone)]
pub(crate) struct PartitionEvidence {
    /// Its number.
    pub number: u32,
    /// The id of its first row of the run.
    pub first_id: i64,
    /// When its rows were due; `None`: unthrottled.
    pub schedule: Option<Schedule>,
    /// What became of each row.
    pub account: Account,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// The server.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The columns.
    #[error(transparent)]
    Row(#[from] EncodeError),
}

/// Reads all partitions back and compares. `rows` counts those that were read, as they come.
///
/// # Errors
/// When the server does not let it.
pub(crate) async fn audit(
    address: &Address,
    evidence: &Evidence<'_>,
    rows: &AtomicU64,
) -> Result<Vec<PartitionAudit>, AuditError> {
    let partitions = evidence
        .partitions
        .iter()
        .map(|partition| audit_partition(address, evidence, partition, rows));
    futures_util::stream::iter(partitions).buffered(READERS_MAX).try_collect().await
}

/// The first row of a run in a partition, by its number and first id: what only this run can have sent. `None` if it
/// does not hold the moment at which it was due, or that is not known beforehand.
///
/// # Errors
/// When the columns have no rows.
pub(crate) fn first_row(
    stream: &Stream,
    seed: u64,
    (partition, id): (u32, i64),
    origin_us: i64,
) -> Result<Option<FirstRow>, EncodeError> {
    let is_due = |column: &Column| column.values == Values::DueTime;
    let Some(course) = stream.course(seed).filter(|_| stream.columns.iter().any(is_due)) else {
        return Ok(None);
    };
    let schedule = stream.schedule(&course, partition);
    let mut encoder = Encoder::new(&stream.columns, seed, partition, id)?;
    let mut tuple = vec![0; encoder.max_row_bytes()];
    let mut due = schedule.due_times(0).since(origin_us);
    let encoded = encoder.encode(&mut tuple, 0, 1, &mut due);
    let mut sum = Checksum::default();
    sum.add(&tuple[..encoded.bytes]);
    Ok(Some(FirstRow { partition, id, checksum: sum.to_string() }))
}

/// Whether a table holds a run's first row.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn holds(
    session: &mut pg::Session,
    stream: &Stream,
    first: &FirstRow,
) -> Result<bool, pg::Error> {
    let query = rows_query(stream, first.partition, first.id, first.id.checked_add(1));
    let mut sum = Checksum::default();
    session.read_back(&query, |tuple| sum.add(tuple)).await?;
    Ok(sum.rows() == 1 && sum.to_string() == first.checksum)
}

async fn audit_partition(
    address: &Address,
    evidence: &Evidence<'_>,
    partition: &PartitionEvidence,
    rows: &AtomicU64,
) -> Result<PartitionAudit, AuditError> {
    let PartitionEvidence { number, first_id, schedule, account } = partition;
    let (stream, number, first_id) = (evidence.stream, *number, *first_id);
    let due = schedule.as_ref().map(|schedule| (schedule.clone(), evidence.origin_us));
    let mut auditor = Auditor::new(stream, evidence.seed, number, first_id, due)?;
    // A later run's ids follow on ours.
    let end = evidence.complete.then(|| first_id.saturating_add(account.end() as i64));
    let query = rows_query(stream, number, first_id, end);
    let mut session = pg::Session::own(address, "strom-load audit").await?.telling_of_waits();
    if let Some(reservation) = &evidence.reservation {
        reservation.join(&mut session).await?;
    }
    let see = |tuple: &[u8]| {
        auditor.see(tuple, account);
        rows.fetch_add(1, Ordering::Relaxed);
    };
    session.read_back(&query, see).await?;
    session.close().await;
    Ok(PartitionAudit { partition: number, ..auditor.conclude(account) })
}

/// Compares the rows of one partition.
struct Auditor {
    encoder: Encoder,
    id_field: usize,
    block_rows: u64,
    /// Fields that cannot be made again: the due times of an unthrottled run.
    ignored: Vec<bool>,
    first_id: i64,
    due: Option<(Schedule, i64)>,
    block: Block,
    seen: Bits,
    doubled: Bits,
    altered: Bits,
    unaccounted: u64,
}

/// Expected tuples of neighbouring rows.
#[derive(Default)]
struct Block {
    first_row: Option<u64>,
    bytes: Vec<u8>,
    /// Where each tuple ends.
    ends: Vec<usize>,
}

impl Auditor {
    fn new(
        stream: &Stream,
        seed: u64,
        partition: u32,
        first_id: i64,
        due: Option<(Schedule, i64)>,
    ) -> Result<Self, EncodeError> {
        let columns = &stream.columns;
        let encoder = Encoder::new(columns, seed, partition, first_id)?;
        let is_id = |values: &Values| *values == Values::RowId;
        Ok(Self {
            id_field: columns.iter().position(|column| is_id(&column.values)).unwrap_or(0),
            ignored: columns
                .iter()
                .map(|column| due.is_none() && column.values == Values::DueTime)
                .collect(),
            block_rows: ((BLOCK_BYTES_MAX / encoder.max_row_bytes()) as u64)
                .clamp(1, BLOCK_ROWS_MAX),
            block: Block { bytes: vec![0; encoder.max_row_bytes()], ..Block::default() },
            encoder,
            first_id,
            due,
            seen: Bits::default(),
            doubled: Bits::default(),
            altered: Bits::default(),
            unaccounted: 0,
        })
    }

    fn see(&mut self, tuple: &[u8], account: &Account) {
        let id = fields(tuple).nth(self.id_field).flatten().and_then(|id| id.try_into().ok());
        let id = id.map_or(0, i64::from_be_bytes);
        let Some(row) = id.checked_sub(self.first_id).and_then(|row| u64::try_from(row).ok())
        else {
            return;
        };
        let same = self.is_as_sent(row, tuple);
        if row >= account.end() {
            // Beyond the account of a killed loader: ours if it looks like ours, else of a later
            // run, whose ids follow on.
            self.unaccounted += u64::from(same);
            return;
        }
        if !self.seen.set(row) {
            self.doubled.set(row);
        }
        if !same {
            self.altered.set(row);
        }
    }

    fn is_as_sent(&mut self, row: u64, tuple: &[u8]) -> bool {
        let first_row = row - row % self.block_rows;
        if self.block.first_row != Some(first_row) {
            self.make(first_row);
        }
        let index = (row - first_row) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.block.ends[before]);
        let expected = &self.block.bytes[start..self.block.ends[index]];
        expected == tuple
            || (self.ignored.contains(&true)
                && fields(expected).count() == fields(tuple).count()
                && fields(expected)
                    .zip(fields(tuple))
                    .zip(&self.ignored)
                    .all(|((expected, found), ignored)| *ignored || expected == found))
    }

    fn make(&mut self, first_row: u64) {
        let mut due = match &self.due {
            Some((schedule, origin_us)) => schedule.due_times(first_row).since(*origin_us),
            None => DueTimes::constant(0),
        };
        self.block.ends.clear();
        let room = self.encoder.max_row_bytes();
        self.block.bytes.resize(room * self.block_rows as usize, 0);
        let mut at = 0;
        for row in first_row..first_row + self.block_rows {
            at += self.encoder.encode(&mut self.block.bytes[at..], row, 1, &mut due).bytes;
            self.block.ends.push(at);
        }
        self.block.first_row = Some(first_row);
    }

    fn conclude(self, account: &Account) -> PartitionAudit {
        let mut audit = PartitionAudit {
            rows_found: self.seen.count(),
            doubled: self.doubled.ranges(),
            altered: self.altered.ranges(),
            unaccounted: self.unaccounted,
            ..PartitionAudit::default()
        };
        for range in account.acknowledged.iter() {
            let absent = |row: &u64| !self.seen.has(*row);
            (range.first..=range.last).filter(absent).for_each(|row| audit.lost.push(row, 1));
        }
        for row in 0..account.end() {
            if self.seen.has(row) && !account.acknowledged.contains(row) {
                if account.undecided.contains(row) {
                    audit.undecided_found += 1;
                } else {
                    audit.unexpected.push(row, 1);
                }
            }
        }
        audit
    }
}

/// A set of row numbers, one bit each.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Adds `row`; false if it was there.
    fn set(&mut self, row: u64) -> bool {
        let (word, bit) = ((row / 64) as usize, 1 << (row % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    fn has(&self, row: u64) -> bool {
        self.0.get((row / 64) as usize).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::default();
        for (word, bits) in (0..).zip(&self.0) {
            for bit in (0..64).filter(|bit| bits & (1 << bit) != 0) {
                ranges.push(word * 64 + bit, 1);
            }
        }
        ranges
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, Plan, StreamJob, builtin};
    use crate::row::BatchEncoder;

    fn plan() -> Plan<StreamJob> {
        let plan = Plan::resolve(&builtin("realtime").unwrap(), &Overrides::default());
        plan.unwrap().into_stream().unwrap()
    }

    /// The tuples of rows 0..1000 as sent.
    fn tuples(plan: &Plan<StreamJob>) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(&plan.job.stream.columns, plan.common.seed, 0, 5).unwrap();
        (0..1_000)
            .map(|row| {
                let mut bytes = vec![0; encoder.max_row_bytes()];
                let mut due = DueTimes::constant(77);
                let encoded = encoder.encode(&mut bytes, row, 1, &mut due);
                bytes.truncate(encoded.bytes);
                bytes
            })
            .collect()
    }

    fn judge(plan: &Plan<StreamJob>, tuples: &[Vec<u8>], account: &Account) -> PartitionAudit {
        let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, 0, 5, None).unwrap();
        tuples.iter().for_each(|tuple| auditor.see(tuple, account));
        auditor.conclude(account)
    }

    fn account(acknowledged: u64) -> Account {
        let mut account = Account::default();
        account.acknowledged.push(0, acknowledged);
        account
    }

    fn rows(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.iter().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn rows_as_sent_are_right_in_any_order() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        tuples.reverse();
        let audit = judge(&plan, &tuples, &account(1_000));
        assert_eq!(audit, PartitionAudit { rows_found: 1_000, ..PartitionAudit::default() });
        assert!(audit.is_right(false));
    }

    #[test]
    fn gaps_doubles_altered_and_unexpected_rows_are_each_found() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        let copy = tuples[300].clone();
        let last = tuples[500].len() - 20;
        tuples[500][last] ^= 1;
        tuples.push(copy);
        tuples.drain(10..13);
        let mut account = account(900);
        account.undecided.push(900, 50);
        account.dropped.push(950, 50);
        let audit = judge(&plan, &tuples, &account);
        assert_eq!(rows(&audit.lost), [(10, 12)]);
        assert_eq!(rows(&audit.doubled), [(300, 300)]);
        assert_eq!(rows(&audit.altered), [(500, 500)]);
        assert_eq!(rows(&audit.unexpected), [(950, 999)]);
        assert_eq!(audit.undecided_found, 50);
        assert!(!audit.is_right(true));
    }

    #[test]
    fn rows_beyond_a_killed_loaders_account_are_counted_only_if_they_are_ours() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        let middle = tuples[999].len() / 2;
        tuples[999][middle] ^= 1;
        let audit = judge(&plan, &tuples, &account(600));
        assert_eq!((audit.rows_found, audit.unaccounted), (600, 399));
        assert!(audit.is_right(false));
    }

    #[test]
    fn what_the_batch_encoder_sends_is_what_the_audit_expects() {
        let plan = plan();
        let mut batch =
            BatchEncoder::new(&plan.job.stream.columns, plan.common.seed, 0, 5).unwrap();
        batch.begin(0, 1_000, DueTimes::constant(77));
        let sent = std::iter::from_fn(|| batch.next_chunk()).collect::<Vec<_>>().concat();
        assert_eq!(sent[19..sent.len() - 2], tuples(&plan).concat());
    }
}
