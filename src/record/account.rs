//! The account of a partition's rows: what became of each, as ranges of sequence numbers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows `first ..= last` by sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// First row.
    pub first: u64,
    /// Last row.
    pub last: u64,
}

/// Rows in ascending order, neighbours merged: its size grows with the gaps, not with the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// Adds `rows` rows from `first` on, none of which may be there already. They mostly lie
    /// behind the others; not so a batch that is given up after its backlog was.
    pub fn push(&mut self, first: u64, rows: u64) {
        if rows == 0 {
            return;
        }
        let last = first + rows - 1;
        let at = self.0.partition_point(|range| range.last < first);
        let follows = at > 0 && self.0[at - 1].last + 1 == first;
        let precedes = self.0.get(at).is_some_and(|range| last + 1 == range.first);
        match (follows, precedes) {
            (true, true) => self.0[at - 1].last = self.0.remove(at).last,
            (true, false) => self.0[at - 1].last = last,
            (false, true) => self.0[at].first = first,
            (false, false) => self.0.insert(at, Range { first, last }),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|range| range.last - range.first + 1).sum()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.0.iter().copied()
    }

    /// Whether row `row` is among them.
    pub fn contains(&self, row: u64) -> bool {
        let at = self.0.partition_point(|range| range.last < row);
        self.0.get(at).is_some_and(|range| range.first <= row)
    }

    /// Adds those of `later`.
    pub fn append(&mut self, later: &Self) {
        later.iter().for_each(|range| self.push(range.first, range.last - range.first + 1));
    }
}

/// What became of the rows of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The server committed them, or they were found there.
    pub acknowledged: Ranges,
    /// They were due and given up unsent: the backlog was full, or the run over.
    pub dropped: Ranges,
    /// They were sent, and what became of them could not be found out.
    pub undecided: Ranges,
}

impl Account {
    /// One above the last row that it knows of.
    pub fn end(&self) -> u64 {
        let ends = [&self.acknowledged, &self.dropped, &self.undecided];
        ends.iter().filter_map(|ranges| ranges.0.last()).map(|end| end.last + 1).max().unwrap_or(0)
    }

    /// Adds a later account.
    pub fn append(&mut self, later: &Self) {
        self.acknowledged.append(&later.acknowledged);
        self.dropped.append(&later.dropped);
        self.undecided.append(&later.undecided);
    }
}

/// What became of a partition's rows, as the table shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionAudit {
    /// Its number.
    pub partition: u32,
    /// Rows of the run found, each counted once.
    pub rows_found: u64,
    /// Acknowledged rows that are not there.
    pub lost: Ranges,
    /// Rows that are there more than once.
    pub doubled: Ranges,
    /// Rows that are there with other values than were sent.
    pub altered: Ranges,
    /// Rows that are there and were never sent.
    pub unexpected: Ranges,
    /// Undecided rows that turned out to be there.
    pub undecided_found: u64,
    /// Rows found beyond the account of a loader that was killed.
    pub unaccounted: u64,
}

impl PartitionAudit {
    /// Whether every acknowledged row is there, unaltered, and nothing else.
    pub fn is_right(&self, may_double: bool) -> bool {
        let clean = |ranges: &Ranges| ranges.rows() == 0;
        clean(&self.lost)
            && clean(&self.altered)
            && clean(&self.unexpected)
            && (may_double || clean(&self.doubled))
    }
}

/// A time in which a producer or reader got nothing done.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// When the first attempt failed, since the start of the schedule.
    pub start: Duration,
    /// Until the next success, or until it was given up.
    pub length: Duration,
    /// SQLSTATE of the first error.
    pub code: String,
    /// Whether it ended in success.
    pub recovered: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_hold_what_was_pushed_and_no_more(
            steps in prop::collection::vec((0u64..3, 0u64..5, any::<bool>()), 0..40),
        ) {
            let (mut ranges, mut rows, mut next) = (Ranges::default(), Vec::new(), 0);
            let mut late = Vec::new();
            for (gap, count, is_late) in steps {
                let first = next + gap;
                if is_late {
                    late.push((first, count));
                } else {
                    ranges.push(first, count);
                }
                rows.extend(first..first + count);
                next = first + count;
            }
            late.iter().for_each(|(first, count)| ranges.push(*first, *count));
            prop_assert_eq!(ranges.rows(), rows.len() as u64);
            for row in 0..next + 3 {
                prop_assert_eq!(ranges.contains(row), rows.contains(&row));
            }
            for pair in ranges.0.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "neighbours are merged");
            }
        }
    }
}
