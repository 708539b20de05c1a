//! Compares the rows that are read back of a partition with those that were sent: rows are a function
//! of their sequence number, so the expected bytes are made again.

use crate::pace::{DueTimes, Schedule};
use crate::pg::read_back::fields;
use crate::plan::Stream;
use crate::record::{Account, PartitionAudit, Ranges, RowSet};
use crate::row::{EncodeError, Encoder, Values};

/// Expected rows are made in blocks of this many: neighbours in the table mostly are neighbours
/// in the run.
const BLOCK_ROWS_MAX: u64 = 256;
/// Of large rows a block has fewer: one at least.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// What the audit of a partition came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Audited {
    /// What the table shows of the rows that the loader's account knows of, and of those behind it
    /// that can be told to be the run's.
    pub partition: PartitionAudit,
    /// Rows behind the account of a loader that was killed that are not there, though later ones are:
    /// a partition's rows are sent one after the other. They are lost, unless they were dropped, or given
    /// up undecided, in the last moments.
    pub missing: Ranges,
    /// Rows behind all that can be told to be the run's: those of a later run, whose ids follow on, or
    /// the last ones of this run, altered.
    pub foreign: u64,
}

impl Audited {
    /// Whether every acknowledged row is there, unaltered, and nothing else; as far as the account goes.
    pub(crate) fn is_right(&self, may_double: bool) -> bool {
        self.missing.is_empty() && self.partition.is_right(may_double)
    }
}

/// Compares the rows of one partition.
pub(super) struct Auditor {
    encoder: Encoder,
    id_field: usize,
    block_rows: u64,
    /// Fields that cannot be made again: the due times of an unthrottled run.
    ignored: Vec<bool>,
    first_id: i64,
    due: Option<(Schedule, i64)>,
    block: Block,
    /// What was seen in whole slices.
    kept: Seen,
    /// What was seen in the slice that is being read.
    slice: Seen,
}

/// Expected tuples of neighbouring rows.
#[derive(Default)]
struct Block {
    first_row: Option<u64>,
    bytes: Vec<u8>,
    /// Where each tuple ends.
    ends: Vec<usize>,
}

/// Rows that were seen.
#[derive(Default)]
struct Seen {
    /// Each.
    rows: RowSet,
    /// More than once.
    doubled: RowSet,
    /// With other bytes than were sent.
    differing: RowSet,
    /// One above the highest that is as it was sent.
    own_end: u64,
    /// Tuples.
    tuples: u64,
}

impl Seen {
    fn absorb(&mut self, slice: Self) {
        for range in self.rows.absorb(slice.rows).iter() {
            (range.first..=range.last).for_each(|row| {
                self.doubled.insert(row);
            });
        }
        self.doubled.absorb(slice.doubled);
        self.differing.absorb(slice.differing);
        self.own_end = self.own_end.max(slice.own_end);
        self.tuples += slice.tuples;
    }
}

impl Auditor {
    pub(super) fn new(
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
                .map(|column| due.is_none() && column.values.is_of_due_time())
                .collect(),
            block_rows: ((BLOCK_BYTES_MAX / encoder.max_row_bytes()) as u64)
                .clamp(1, BLOCK_ROWS_MAX),
            block: Block { bytes: vec![0; encoder.max_row_bytes()], ..Block::default() },
            encoder,
            first_id,
            due,
            kept: Seen::default(),
            slice: Seen::default(),
        })
    }

    /// Takes a tuple of the slice that is being read.
    pub(super) fn see(&mut self, tuple: &[u8]) {
        self.slice.tuples += 1;
        let id = fields(tuple).nth(self.id_field).flatten().and_then(|id| id.try_into().ok());
        let id = id.map_or(0, i64::from_be_bytes);
        let Some(row) = id.checked_sub(self.first_id).and_then(|row| u64::try_from(row).ok())
        else {
            return;
        };
        let same = self.is_as_sent(row, tuple);
        let slice = &mut self.slice;
        if !slice.rows.insert(row) {
            slice.doubled.insert(row);
        }
        if same {
            slice.own_end = slice.own_end.max(row + 1);
        } else {
            slice.differing.insert(row);
        }
    }

    /// The slice is whole; returns its tuples.
    pub(super) fn keep_slice(&mut self) -> u64 {
        let slice = std::mem::take(&mut self.slice);
        let tuples = slice.tuples;
        self.kept.absorb(slice);
        tuples
    }

    /// The slice will be read again.
    pub(super) fn drop_slice(&mut self) {
        self.slice = Seen::default();
    }

    /// Everything will be read again.
    pub(super) fn begin_again(&mut self) {
        self.drop_slice();
        self.kept = Seen::default();
    }

    /// Tuples in whole slices so far.
    pub(super) fn rows_read(&self) -> u64 {
        self.kept.tuples
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

    /// What it comes to. The account of a loader that was killed is not `complete`: behind it the run's
    /// rows are told by their bytes, and all are its own if no other run `followed`. Where one may have, its
    /// first id is one above the highest that was there: behind the last row that is this run's, or is to
    /// be, all are that run's.
    pub(super) fn conclude(
        self,
        partition: u32,
        account: &Account,
        (complete, followed): (bool, bool),
    ) -> Audited {
        let Seen { rows, doubled, differing, own_end, .. } = self.kept;
        let Account { acknowledged, undecided, dropped } = account;
        // A loader that is killed has rows in hand that its account says nothing of yet, and may have given up
        // later ones meanwhile.
        let known = match complete {
            true => Ranges::span(0, account.end()),
            false => acknowledged.or(undecided).or(dropped),
        };
        let seen = rows.into_ranges();
        let end = match (complete, followed) {
            (true, false) => account.end(),
            (true, true) => account.end().min(own_end.max(account.acknowledged.end())),
            (false, true) => own_end.max(account.acknowledged.end()),
            // Nobody came after it, so all that is there is its own, altered or not.
            (false, false) => account.end().max(seen.end()),
        };
        let own = Ranges::span(0, end);
        let behind = Ranges::span(account.end(), end.min(own_end));
        let in_hand = Ranges::span(0, account.end()).without(&known);
        let foreign = seen.without(&own).rows();
        let seen = seen.and(&own);
        let audit = PartitionAudit {
            partition,
            rows_found: seen.and(&known).rows(),
            lost: acknowledged.without(&seen),
            doubled: doubled.into_ranges().and(&own),
            altered: differing.into_ranges().and(&own),
            unexpected: seen.and(&known).without(acknowledged).without(undecided),
            undecided_found: seen.and(undecided).rows(),
            unaccounted: seen.and(&in_hand).rows() + seen.and(&behind).rows(),
        };
        Audited { partition: audit, missing: behind.without(&seen), foreign }
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

    /// Has tuples read in slices, each of which fails once, in the middle.
    fn audited(
        plan: &Plan<StreamJob>,
        tuples: &[Vec<u8>],
        account: &Account,
        complete: bool,
    ) -> Audited {
        let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, 0, 5, None).unwrap();
        for slice in tuples.chunks(301) {
            slice[..slice.len() / 2].iter().for_each(|tuple| auditor.see(tuple));
            auditor.drop_slice();
            slice.iter().for_each(|tuple| auditor.see(tuple));
            assert_eq!(auditor.keep_slice(), slice.len() as u64);
        }
        assert_eq!(auditor.rows_read(), tuples.len() as u64);
        auditor.conclude(0, account, (complete, !complete))
    }

    fn judge(plan: &Plan<StreamJob>, tuples: &[Vec<u8>], account: &Account) -> PartitionAudit {
        let Audited { partition, missing, .. } = audited(plan, tuples, account, true);
        assert!(missing.is_empty());
        partition
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
    fn behind_a_killed_loaders_account_gaps_doubles_and_altered_rows_are_found() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for row in [700, 999] {
            let middle = tuples[row].len() / 2;
            tuples[row][middle] ^= 1;
        }
        tuples.push(tuples[650].clone());
        tuples.drain(800..810);
        let found = audited(&plan, &tuples, &account(600), false);
        assert_eq!((found.partition.rows_found, found.partition.unaccounted), (600, 389));
        assert_eq!(rows(&found.partition.doubled), [(650, 650)]);
        assert_eq!(rows(&found.partition.altered), [(700, 700)]);
        assert_eq!(rows(&found.missing), [(800, 809)]);
        // It may be a later run's as well.
        assert_eq!(found.foreign, 1);
        assert!(found.partition.lost.is_empty() && !found.is_right(true));
    }

    #[test]
    fn behind_a_killed_loaders_account_altered_rows_are_found_to_the_last_if_no_run_followed() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for tuple in &mut tuples[900..] {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, 0, 5, None).unwrap();
        tuples.iter().for_each(|tuple| auditor.see(tuple));
        auditor.keep_slice();
        let found = auditor.conclude(0, &account(600), (false, false));
        assert_eq!(rows(&found.partition.altered), [(900, 999)]);
        assert_eq!((found.partition.unaccounted, found.foreign), (300, 0));
        assert!(!found.is_right(true));
    }

    #[test]
    fn behind_a_killed_loaders_account_a_later_run_is_none_of_its_rows() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for tuple in &mut tuples[900..] {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        tuples.push(tuples[950].clone());
        tuples.drain(920..930);
        let found = audited(&plan, &tuples, &account(600), false);
        assert_eq!((found.partition.unaccounted, found.foreign), (300, 90));
        assert!(found.is_right(false), "{found:?}");
    }

    #[test]
    fn a_later_run_that_took_the_ids_of_dropped_rows_is_none_of_this_one() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for tuple in &mut tuples[600..] {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        let mut account = account(600);
        account.dropped.push(600, 100);
        account.undecided.push(700, 10);
        let concluded = |followed| {
            let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, 0, 5, None).unwrap();
            tuples.iter().for_each(|tuple| auditor.see(tuple));
            auditor.keep_slice();
            auditor.conclude(0, &account, (true, followed))
        };
        let audited = concluded(true);
        assert!(audited.is_right(false), "{audited:?}");
        assert_eq!((audited.partition.rows_found, audited.foreign), (600, 400));
        // At the end of the run itself nobody can have come yet.
        let audited = concluded(false);
        assert_eq!(rows(&audited.partition.unexpected), [(600, 699)]);
        assert_eq!(rows(&audited.partition.altered), [(600, 709)]);
    }

    #[test]
    fn a_row_with_the_highest_id_is_foreign_and_nothing_else() {
        let plan = plan();
        let stream = &plan.job.stream;
        let course = stream.course(plan.common.seed).unwrap();
        let due = Some((stream.schedule(&course, 0), 0));
        let mut auditor = Auditor::new(stream, plan.common.seed, 0, 5, due).unwrap();
        let mut tuple = tuples(&plan)[0].clone();
        let id = tuple.windows(8).position(|bytes| *bytes == 5_i64.to_be_bytes()).unwrap();
        tuple[id..id + 8].copy_from_slice(&i64::MAX.to_be_bytes());
        auditor.see(&tuple);
        auditor.keep_slice();
        assert_eq!(auditor.conclude(0, &account(0), (false, true)).foreign, 1);
    }

    #[test]
    fn what_damaged_ranges_claim_takes_no_time() {
        let plan = plan();
        let mut account = account(1 << 62);
        account.undecided.push(1 << 62, 1 << 62);
        let audit = judge(&plan, &tuples(&plan), &account);
        assert_eq!(rows(&audit.lost), [(1_000, (1 << 62) - 1)]);
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
