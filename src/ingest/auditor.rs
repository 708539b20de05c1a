//! Compares the rows that are read back of a partition with those that its lanes sent: rows are a function
//! of their sequence number, so the expected bytes are made again.

use crate::pace::{DueTimes, Schedule};
use crate::pg::owner::Successor;
use crate::pg::read_back::fields;
use crate::plan::Stream;
use crate::record::{Account, LaneAudit, Ranges};
use crate::row::{ColumnType, EncodeError, Encoder, FileFault, Ids, RowIdentity};

use super::seen::Seen;

#[cfg(test)]
mod tests;

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
    /// Why the rows that were sent cannot be made again, if that is so.
    fault: Option<FileFault>,
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
        Ok(Self { identity: stream.identity(), lanes: lanes?, kept: 0, slice: 0, fault: None })
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
            let seen = lane.see(sequence, tuple);
            self.fault = self.fault.take().or(seen.err());
        }
    }

    /// Why the rows that were sent cannot be made again, if that is so: nothing can be said of the slice then.
    pub(super) fn take_fault(&mut self) -> Option<FileFault> {
        self.fault.take()
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

    fn see(&mut self, row: u64, tuple: &[u8]) -> Result<(), FileFault> {
        let same = self.is_as_sent(row, tuple)?;
        let slice = &mut self.slice;
        if !slice.rows.insert(row) {
            slice.doubled.insert(row);
        }
        if same && row < self.border {
            slice.own_end = slice.own_end.max(row + 1);
        } else if !same {
            slice.differing.insert(row);
        }
        Ok(())
    }

    fn is_as_sent(&mut self, row: u64, tuple: &[u8]) -> Result<bool, FileFault> {
        let first_row = row - row % self.block_rows;
        if self.block.first_row != Some(first_row) {
            self.make(first_row)?;
        }
        let index = (row - first_row) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.block.ends[before]);
        let expected = &self.block.bytes[start..self.block.ends[index]];
        Ok(expected == tuple
            || (self.ignored.contains(&true)
                && fields(expected).count() == fields(tuple).count()
                && fields(expected)
                    .zip(fields(tuple))
                    .zip(&self.ignored)
                    .all(|((expected, found), ignored)| *ignored || expected == found)))
    }

    fn make(&mut self, first_row: u64) -> Result<(), FileFault> {
        let mut due = match &self.due {
            Some((schedule, origin_us)) => schedule.due_times(first_row).since(*origin_us),
            None => DueTimes::constant(0),
        };
        self.block.ends.clear();
        self.block.first_row = None;
        let room = self.encoder.max_row_bytes();
        self.block.bytes.resize(room * self.block_rows as usize, 0);
        let mut at = 0;
        for row in first_row..first_row + self.block_rows {
            at += self.encoder.encode(&mut self.block.bytes[at..], row, 1, &mut due)?.bytes;
            self.block.ends.push(at);
        }
        self.block.first_row = Some(first_row);
        Ok(())
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
