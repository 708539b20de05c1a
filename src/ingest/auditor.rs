//! Compares the rows that are read back of a partition with those that its lanes sent: rows are a function
//! of their sequence number, so the expected bytes are made again.

use crate::pace::{DueTimes, Schedule};
use crate::pg::owner::Successor;
use crate::pg::read_back::fields;
use crate::plan::Stream;
use crate::record::{Account, LaneAudit, Ranges};
use crate::row::{ColumnType, EncodeError, Encoder, Ids, RowIdentity};

use super::seen::Seen;

/// Expected rows are made in blocks of this many: neighbours in the table mostly are neighbours
/// in the run.
const BLOCK_ROWS_MAX: u64 = 256;
/// Of large rows a block has fewer: one at least.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// What the audit of a lane came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Audited {
    /// What the table shows of the rows that the loader's account knows of, and of those behind it
    /// that can be told to be the run's.
    pub audit: LaneAudit,
    /// Rows behind the account of a loader that was killed that are not there, though later ones are:
    /// a lane's rows are sent one after the other. They are lost, unless they were dropped, or given
    /// up undecided, in the last moments.
    pub missing: Ranges,
    /// Rows behind all that can be told to be the run's: those of a later run, whose ids follow on, or
    /// the last ones of this run, altered.
    pub foreign: u64,
}

impl Audited {
    /// Whether every acknowledged row is there, unaltered, and nothing else; as far as the account goes.
    pub(crate) fn is_right(&self, may_double: bool) -> bool {
        self.missing.is_empty() && self.audit.is_right(may_double)
    }
}

/// A lane that is to be read back.
pub(super) struct LaneToRead {
    pub(super) ids: Ids,
    /// When its rows were due; `None`: nobody knows.
    pub(super) due: Option<(Schedule, i64)>,
    /// Whether another run came.
    pub(super) successor: Successor,
}

/// Compares the rows of one partition, each with those of its lane.
pub(super) struct Auditor {
    /// Which field tells rows apart, and how.
    identity: Option<(usize, RowIdentity)>,
    /// By their places.
    lanes: Vec<LaneAuditor>,
    /// Tuples of whole slices, and of the slice that is being read.
    kept: u64,
    slice: u64,
}

/// Compares the rows of one lane.
struct LaneAuditor {
    encoder: Encoder,
    block_rows: u64,
    /// Fields that cannot be made again, the due times of an unthrottled run, and those that readers may change.
    ignored: Vec<bool>,
    ids: Ids,
    due: Option<(Schedule, i64)>,
    /// Whether another run's row of the same number has other bytes, for sure: rows hold the moment they were due.
    is_told: bool,
    /// From this row on all are another run's.
    border: u64,
    successor: Successor,
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

impl Auditor {
    /// An auditor of the lanes of a partition, in the order of their places.
    pub(super) fn new(
        stream: &Stream,
        seed: u64,
        lanes: &[LaneToRead],
    ) -> Result<Self, EncodeError> {
        let bytes_max = BLOCK_BYTES_MAX / lanes.len().max(1);
        let lanes: Result<Vec<_>, _> =
            lanes.iter().map(|lane| LaneAuditor::new(stream, seed, lane, bytes_max)).collect();
        Ok(Self { identity: stream.identity(), lanes: lanes?, kept: 0, slice: 0 })
    }

    /// Takes a tuple of the slice that is being read.
    pub(super) fn see(&mut self, tuple: &[u8]) {
        self.slice += 1;
        let Some((ids, (field, identity))) =
            self.lanes.first().map(|lane| lane.ids).zip(self.identity.as_ref())
        else {
            return;
        };
        let id = fields(tuple).nth(*field).flatten().and_then(|id| identity.number(&ids, id));
        let row = id.and_then(|id| u64::try_from(id.checked_sub(ids.base)?).ok());
        let Some(row) = row else { return };
        let place = row % self.lanes.len().max(1) as u64;
        let Some(lane) = self.lanes.get_mut(place as usize) else { return };
        if let Some(sequence) = lane.ids.lane.sequence(row) {
            lane.see(sequence, tuple);
        }
    }

    /// The slice is whole; returns its tuples.
    pub(super) fn keep_slice(&mut self) -> u64 {
        for lane in &mut self.lanes {
            lane.kept.absorb(std::mem::take(&mut lane.slice));
        }
        let tuples = std::mem::take(&mut self.slice);
        self.kept += tuples;
        tuples
    }

    /// The slice will be read again.
    pub(super) fn drop_slice(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.slice = Seen::default());
        self.slice = 0;
    }

    /// Everything will be read again.
    pub(super) fn begin_again(&mut self) {
        self.drop_slice();
        self.lanes.iter_mut().for_each(|lane| lane.kept = Seen::default());
        self.kept = 0;
    }

    /// Tuples in whole slices so far.
    pub(super) fn rows_read(&self) -> u64 {
        self.kept
    }

    /// What it comes to for each lane, by its account and whether that is `complete`: see
    /// [`LaneAuditor::conclude`].
    pub(super) fn conclude<'a>(
        self,
        known: impl IntoIterator<Item = (&'a Account, bool)>,
    ) -> Vec<Audited> {
        let lanes = self.lanes.into_iter().zip(known);
        lanes.map(|(lane, (account, complete))| lane.conclude(account, complete)).collect()
    }
}

impl LaneAuditor {
    fn new(
        stream: &Stream,
        seed: u64,
        LaneToRead { ids, due, successor }: &LaneToRead,
        bytes_max: usize,
    ) -> Result<Self, EncodeError> {
        let columns = &stream.columns;
        let encoder = Encoder::of_ids(columns, seed, ids)?;
        // Where another run's rows are told by their ids, none has taken any of ours.
        let is_own = stream.identity().is_some_and(|(_, identity)| !identity.follows_on());
        let successor = if is_own { Successor::None } else { *successor };
        Ok(Self {
            ignored: columns
                .iter()
                .map(|column| {
                    due.is_none() && column.values.is_of_due_time() || stream.is_changed(column)
                })
                .collect(),
            block_rows: ((bytes_max / encoder.max_row_bytes()) as u64).clamp(1, BLOCK_ROWS_MAX),
            block: Block { bytes: vec![0; encoder.max_row_bytes()], ..Block::default() },
            encoder,
            ids: *ids,
            is_told: due.is_some()
                && columns.iter().any(|column| {
                    // Another run's day may be the same.
                    column.values.is_of_due_time()
                        && column.sql_type != ColumnType::Date
                        && !stream.is_changed(column)
                }),
            border: match successor {
                Successor::From(id) => ids.rows_below(id),
                Successor::None | Successor::Perhaps => u64::MAX,
            },
            successor,
            due: due.clone(),
            kept: Seen::default(),
            slice: Seen::default(),
        })
    }

    fn see(&mut self, row: u64, tuple: &[u8]) {
        let same = self.is_as_sent(row, tuple);
        let slice = &mut self.slice;
        if !slice.rows.insert(row) {
            slice.doubled.insert(row);
        }
        if same && row < self.border {
            slice.own_end = slice.own_end.max(row + 1);
        } else if !same {
            slice.differing.insert(row);
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

    /// What it comes to. The account of a loader that was killed is not `complete`: behind it the run's
    /// rows are told by their bytes, and all are its own if no other run came. Where one may have, its
    /// first id is one above the highest that was there: behind the last row that is this run's, or is to
    /// be, all are that run's. Where rows of both may be the same, nothing is said of any behind the account.
    fn conclude(self, account: &Account, complete: bool) -> Audited {
        let Self { border, successor, is_told, .. } = self;
        let Seen { rows, doubled, differing, own_end, .. } = self.kept;
        let Account { acknowledged, undecided, dropped } = account;
        // A loader that is killed has rows in hand that its account says nothing of yet, and may have given up
        // later ones meanwhile.
        let known = match complete {
            true => Ranges::span(0, account.end()),
            false => acknowledged.or(undecided).or(dropped),
        };
        let seen = rows.into_ranges();
        let own_end = if is_told || successor == Successor::None { own_end } else { 0 };
        let end = match (complete, successor) {
            (true, Successor::None) => account.end(),
            // Nobody came after it, so all that is there is its own, altered or not.
            (false, Successor::None) => account.end().max(seen.end()),
            (true, _) => account.end().min(own_end.max(account.acknowledged.end())),
            (false, _) => own_end.max(account.acknowledged.end()),
        };
        let own = Ranges::span(0, end.min(border));
        let behind = Ranges::span(account.end(), end.min(own_end));
        let in_hand = Ranges::span(0, account.end()).without(&known);
        let foreign = seen.without(&own).rows();
        let seen = seen.and(&own);
        let audit = LaneAudit {
            partition: self.ids.lane.key(),
            lane: Some(self.ids.lane.number),
            rows_found: seen.and(&known).rows(),
            lost: acknowledged.without(&seen),
            doubled: doubled.into_ranges().and(&own),
            altered: differing.into_ranges().and(&own),
            unexpected: seen.and(&known).without(acknowledged).without(undecided),
            undecided_found: seen.and(undecided).rows(),
            unaccounted: seen.and(&in_hand).rows() + seen.and(&behind).rows(),
        };
        Audited { audit, missing: behind.without(&seen), foreign }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, Plan, StreamJob, builtin};
    use std::num::NonZeroU32;

    use crate::row::{BatchEncoder, Lane, RunTag};

    fn ids(lane: Lane) -> Ids {
        Ids { lane, base: 5, run: RunTag::default() }
    }

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
        let successor = if complete { Successor::None } else { Successor::Perhaps };
        let mut auditor = auditor(plan, successor);
        for slice in tuples.chunks(301) {
            slice[..slice.len() / 2].iter().for_each(|tuple| auditor.see(tuple));
            auditor.drop_slice();
            slice.iter().for_each(|tuple| auditor.see(tuple));
            assert_eq!(auditor.keep_slice(), slice.len() as u64);
        }
        assert_eq!(auditor.rows_read(), tuples.len() as u64);
        auditor.conclude([(account, complete)]).remove(0)
    }

    /// An auditor of the first partition's only lane, whose rows of [`tuples`] were all due at one moment.
    fn auditor(plan: &Plan<StreamJob>, successor: Successor) -> Auditor {
        let stream = &plan.job.stream;
        let lane = stream.lanes().next().unwrap();
        let lanes = [LaneToRead { ids: ids(lane), due: None, successor }];
        let mut auditor = Auditor::new(stream, plan.common.seed, &lanes).unwrap();
        auditor.lanes[0].is_told = true;
        auditor
    }

    fn judge(plan: &Plan<StreamJob>, tuples: &[Vec<u8>], account: &Account) -> LaneAudit {
        let Audited { audit, missing, .. } = audited(plan, tuples, account, true);
        assert!(missing.is_empty());
        audit
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
        assert_eq!(audit, LaneAudit { lane: Some(0), rows_found: 1_000, ..LaneAudit::default() });
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
        assert_eq!((found.audit.rows_found, found.audit.unaccounted), (600, 389));
        assert_eq!(rows(&found.audit.doubled), [(650, 650)]);
        assert_eq!(rows(&found.audit.altered), [(700, 700)]);
        assert_eq!(rows(&found.missing), [(800, 809)]);
        // It may be a later run's as well.
        assert_eq!(found.foreign, 1);
        assert!(found.audit.lost.is_empty() && !found.is_right(true));
    }

    #[test]
    fn behind_a_killed_loaders_account_altered_rows_are_found_to_the_last_if_no_run_followed() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for tuple in &mut tuples[900..] {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        let mut auditor = auditor(&plan, Successor::None);
        tuples.iter().for_each(|tuple| auditor.see(tuple));
        auditor.keep_slice();
        let found = auditor.conclude([(&account(600), false)]).remove(0);
        assert_eq!(rows(&found.audit.altered), [(900, 999)]);
        assert_eq!((found.audit.unaccounted, found.foreign), (300, 0));
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
        assert_eq!((found.audit.unaccounted, found.foreign), (300, 90));
        assert!(found.is_right(false), "{found:?}");
    }

    #[test]
    fn rows_of_a_later_run_that_look_like_those_of_this_one_are_none_of_it() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        // Of few columns, some rows are the same in both.
        for tuple in tuples[900..].iter_mut().step_by(2) {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        let concluded = |acknowledged, successor| {
            let mut auditor = auditor(&plan, successor);
            tuples.iter().for_each(|tuple| auditor.see(tuple));
            auditor.keep_slice();
            auditor.conclude([(&account(acknowledged), false)]).remove(0)
        };
        let found = concluded(600, Successor::From(905));
        assert!(found.is_right(false), "{found:?}");
        assert_eq!((found.audit.unaccounted, found.foreign), (300, 100));
        // The server lost this one's last rows, and the later run has their ids.
        let found = concluded(950, Successor::From(905));
        assert_eq!(rows(&found.audit.lost), [(900, 949)]);
        assert!(found.audit.altered.is_empty());
        // Rows 850 to 899 were never sent: that a row of the later run looks like one of this is no sign.
        let mut auditor = auditor(&plan, Successor::From(905));
        let gone = |row: &usize| !(850..900).contains(row);
        (0..1_000).filter(gone).for_each(|row| auditor.see(&tuples[row]));
        auditor.keep_slice();
        let found = auditor.conclude([(&account(600), false)]).remove(0);
        assert!(found.is_right(false), "{found:?}");
        assert_eq!((found.audit.unaccounted, found.foreign), (250, 100));
    }

    #[test]
    fn where_rows_of_two_runs_may_be_the_same_nothing_is_said_behind_the_account() {
        let plan = plan();
        let mut tuples = tuples(&plan);
        for tuple in tuples[700..].iter_mut().step_by(2) {
            let middle = tuple.len() / 2;
            tuple[middle] ^= 1;
        }
        tuples.drain(650..660);
        for successor in [Successor::Perhaps, Successor::From(990)] {
            let mut auditor = auditor(&plan, successor);
            auditor.lanes[0].is_told = false;
            tuples.iter().for_each(|tuple| auditor.see(tuple));
            auditor.keep_slice();
            let found = auditor.conclude([(&account(600), false)]).remove(0);
            assert!(found.is_right(false), "{found:?}");
            assert_eq!((found.audit.rows_found, found.foreign), (600, 390));
        }
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
        let concluded = |successor| {
            let mut auditor = auditor(&plan, successor);
            tuples.iter().for_each(|tuple| auditor.see(tuple));
            auditor.keep_slice();
            auditor.conclude([(&account, true)]).remove(0)
        };
        let audited = concluded(Successor::Perhaps);
        assert!(audited.is_right(false), "{audited:?}");
        assert_eq!((audited.audit.rows_found, audited.foreign), (600, 400));
        // At the end of the run itself nobody can have come yet.
        let audited = concluded(Successor::None);
        assert_eq!(rows(&audited.audit.unexpected), [(600, 699)]);
        assert_eq!(rows(&audited.audit.altered), [(600, 709)]);
    }

    #[test]
    fn rows_of_lanes_that_share_a_partition_are_told_apart() {
        let mut plan = plan();
        let stream = &mut plan.job.stream;
        stream.connections = NonZeroU32::new(7).unwrap();
        let lanes: Vec<Lane> = stream.lanes().filter(|lane| lane.partition == Some(0)).collect();
        assert_eq!(lanes.len(), 3);
        // The rows of the partition are those of one lane.
        let tuples = tuples(&plan);
        let made: Vec<_> = lanes
            .iter()
            .map(|lane| LaneToRead { ids: ids(*lane), due: None, successor: Successor::None })
            .collect();
        let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, &made).unwrap();
        for (row, tuple) in tuples.iter().enumerate() {
            // The second lane lacks its third row, and the third has its first twice.
            if row != 7 {
                auditor.see(tuple);
            }
            if row == 2 {
                auditor.see(tuple);
            }
        }
        assert_eq!(auditor.keep_slice(), 1_000);
        let accounts = [334, 333, 333].map(account);
        let audited = auditor.conclude(accounts.iter().map(|account| (account, true)));
        let found = |at: usize| {
            let LaneAudit { lane, rows_found, lost, doubled, .. } = &audited[at].audit;
            (lane.unwrap(), *rows_found, rows(lost), rows(doubled))
        };
        assert_eq!(found(0), (0, 334, vec![], vec![]));
        assert_eq!(found(1), (3, 332, vec![(2, 2)], vec![]));
        assert_eq!(found(2), (6, 333, vec![], vec![(0, 0)]));
    }

    #[test]
    fn a_row_with_the_highest_id_is_foreign_and_nothing_else() {
        let plan = plan();
        let stream = &plan.job.stream;
        let course = stream.course(plan.common.seed).unwrap();
        let lane = stream.lanes().next().unwrap();
        let due = Some((stream.schedule(&course, &lane), 0));
        let successor = Successor::Perhaps;
        let lanes = [LaneToRead { ids: ids(lane), due, successor }];
        let mut auditor = Auditor::new(stream, plan.common.seed, &lanes).unwrap();
        let mut tuple = tuples(&plan)[0].clone();
        let id = tuple.windows(8).position(|bytes| *bytes == 5_i64.to_be_bytes()).unwrap();
        tuple[id..id + 8].copy_from_slice(&i64::MAX.to_be_bytes());
        auditor.see(&tuple);
        auditor.keep_slice();
        assert_eq!(auditor.conclude([(&account(0), false)])[0].foreign, 1);
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
