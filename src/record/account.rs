//! The account of a partition's rows: what became of each, as ranges of sequence numbers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Rows `first ..= last` by sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// First row.
    pub first: u64,
    /// Last row.
    pub last: u64,
}

impl Range {
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// One above the highest row number that there can be: a row's id is a `bigint` of PostgreSQL.
const ROW_END: u64 = i64::MAX as u64;

/// Rows in ascending order, neighbours merged: its size grows with the gaps, not with the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Ranges(Vec<Range>);

/// What is read back may be damaged: ranges that overlap, or stand in another order, are refused.
impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut ranges = Self::default();
        for range in Vec::<Range>::deserialize(deserializer)? {
            let Range { first, last } = range;
            let follows = ranges.end() <= first || ranges.0.is_empty();
            if !follows || !ranges.insert(range) {
                let fact =
                    format!("rows {first} to {last} are no range, or not behind the last one");
                return Err(D::Error::custom(fact));
            }
        }
        Ok(ranges)
    }
}

impl Ranges {
    /// Adds a range that may be wrong: whether it is one, and none of its rows was there already.
    pub fn insert(&mut self, range: Range) -> bool {
        let Range { first, last } = range;
        let at = self.0.partition_point(|range| range.last < first);
        let is_free = self.0.get(at).is_none_or(|next| last < next.first);
        let is_new = first <= last && last < ROW_END && is_free;
        if is_new {
            self.push(first, range.rows());
        }
        is_new
    }

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
        self.0.iter().map(Range::rows).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One above the last row; 0 of none.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.last + 1)
    }

    /// Memory that the ranges take, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Range>()
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

    /// Whether any of the rows `first ..= last` is among them.
    pub fn meets(&self, first: u64, last: u64) -> bool {
        let at = self.0.partition_point(|range| range.last < first);
        self.0.get(at).is_some_and(|range| range.first <= last)
    }

    /// Takes the rows `first ..= last` out, as far as they are among them.
    #[must_use]
    pub fn take(&mut self, first: u64, last: u64) -> Self {
        let from = self.0.partition_point(|range| range.last < first);
        let to = self.0.partition_point(|range| range.first <= last);
        let (mut taken, mut rest) = (Self::default(), Vec::new());
        for range in self.0.get(from..to).unwrap_or_default() {
            if range.first < first {
                rest.push(Range { first: range.first, last: first - 1 });
            }
            let (own_first, own_last) = (range.first.max(first), range.last.min(last));
            taken.push(own_first, own_last - own_first + 1);
            if range.last > last {
                rest.push(Range { first: last + 1, last: range.last });
            }
        }
        if from < to {
            self.0.splice(from..to, rest);
        }
        taken
    }

    /// Adds those of `later`.
    pub fn append(&mut self, later: &Self) {
        later.iter().for_each(|range| self.push(range.first, range.rows()));
    }

    /// The rows that are here and there.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) = (&self.0[..], &other.0[..]);
        let mut both = Self::default();
        while let (Some(a), Some(b)) = (mine.first(), theirs.first()) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last {
                both.push(first, last - first + 1);
            }
            if a.last <= b.last {
                mine = &mine[1..];
            } else {
                theirs = &theirs[1..];
            }
        }
        both
    }

    /// The rows that are here and not there.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        let mut theirs = &other.0[..];
        for range in &self.0 {
            let mut first = range.first;
            while let Some(hole) = theirs.first().filter(|hole| hole.first <= range.last) {
                if hole.first > first {
                    rest.push(first, hole.first - first);
                }
                first = first.max(hole.last + 1);
                if hole.last > range.last {
                    break;
                }
                theirs = &theirs[1..];
            }
            if first <= range.last {
                rest.push(first, range.last - first + 1);
            }
        }
        rest
    }

    /// The rows that are here, or there, or in both.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.append(&other.without(self));
        all
    }

    /// Rows `first .. end`.
    #[must_use]
    pub fn span(first: u64, end: u64) -> Self {
        let mut span = Self::default();
        span.push(first, end.saturating_sub(first));
        span
    }
}

/// What became of a row that fell due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFate {
    /// The server committed it, or it was found there.
    Acknowledged,
    /// It was given up unsent.
    Dropped,
    /// It was sent, and what became of it could not be found out.
    Undecided,
}

impl RowFate {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Acknowledged, Self::Dropped, Self::Undecided];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Dropped => "dropped",
            Self::Undecided => "undecided",
        }
    }
}

/// What became of the rows of a lane.
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
        self.fates().map(|(_, ranges)| ranges.end()).into_iter().max().unwrap_or(0)
    }

    /// The rows by what became of them.
    pub fn fates(&self) -> [(RowFate, &Ranges); 3] {
        RowFate::ALL.map(|fate| (fate, self.rows(fate)))
    }

    /// The rows of which this became.
    pub fn rows(&self, fate: RowFate) -> &Ranges {
        match fate {
            RowFate::Acknowledged => &self.acknowledged,
            RowFate::Dropped => &self.dropped,
            RowFate::Undecided => &self.undecided,
        }
    }

    /// The same, to be changed.
    pub fn rows_mut(&mut self, fate: RowFate) -> &mut Ranges {
        match fate {
            RowFate::Acknowledged => &mut self.acknowledged,
            RowFate::Dropped => &mut self.dropped,
            RowFate::Undecided => &mut self.undecided,
        }
    }

    /// Rows of which it says two things at once; none in an account that is whole.
    pub fn contradictions(&self) -> Ranges {
        let Self { acknowledged, dropped, undecided } = self;
        acknowledged.and(dropped).or(&acknowledged.and(undecided)).or(&dropped.and(undecided))
    }

    /// What this account or another one of the same rows knows.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            acknowledged: self.acknowledged.or(&other.acknowledged),
            dropped: self.dropped.or(&other.dropped),
            undecided: self.undecided.or(&other.undecided),
        }
    }

    /// Whether it knows of no row.
    pub fn is_empty(&self) -> bool {
        self.fates().iter().all(|(_, ranges)| ranges.is_empty())
    }

    /// Forgets the rows from row `end` on that were never acknowledged: their numbers are another run's.
    pub fn gives_way(&mut self, end: u64) {
        for ranges in [&mut self.dropped, &mut self.undecided] {
            drop(ranges.take(end, u64::MAX));
        }
    }

    /// Adds a later account.
    pub fn append(&mut self, later: &Self) {
        self.acknowledged.append(&later.acknowledged);
        self.dropped.append(&later.dropped);
        self.undecided.append(&later.undecided);
    }
}

/// What became of a lane's rows, as the table shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneAudit {
    /// Its partition.
    pub partition: u32,
    /// Its number among the lanes of the run; `None` in results of before: the partition's.
    #[serde(default)]
    pub lane: Option<u32>,
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

impl LaneAudit {
    /// Its number among the lanes of the run.
    pub fn number(&self) -> u32 {
        self.lane.unwrap_or(self.partition)
    }

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

    #[test]
    fn what_another_run_took_over_is_in_no_account_unless_it_was_acknowledged() {
        let mut account = Account::default();
        account.acknowledged.push(0, 100);
        account.undecided.push(100, 10);
        account.dropped.push(110, 50);
        for (end, dropped, undecided) in [(500, 50, 10), (120, 10, 10), (105, 0, 5), (50, 0, 0)] {
            let mut left = account.clone();
            left.gives_way(end);
            let rows = [&left.acknowledged, &left.dropped, &left.undecided].map(Ranges::rows);
            assert_eq!(rows, [100, dropped, undecided], "{end}");
        }
    }

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

        #[test]
        fn ranges_meet_and_part_as_sets_of_rows_do(
            mine in prop::collection::btree_set(0u64..40, 0..40),
            theirs in prop::collection::btree_set(0u64..40, 0..40),
        ) {
            let of = |rows: &mut dyn Iterator<Item = u64>| {
                let mut ranges = Ranges::default();
                rows.for_each(|row| ranges.push(row, 1));
                ranges
            };
            let (a, b) = (of(&mut mine.iter().copied()), of(&mut theirs.iter().copied()));
            prop_assert_eq!(a.and(&b), of(&mut mine.intersection(&theirs).copied()));
            prop_assert_eq!(a.without(&b), of(&mut mine.difference(&theirs).copied()));
            prop_assert_eq!(a.or(&b), of(&mut mine.union(&theirs).copied()));
            let (mut rest, first) = (a.clone(), mine.len() as u64);
            let last = first + theirs.len() as u64;
            let between = Ranges::span(first, last + 1);
            prop_assert_eq!(a.meets(first, last), !a.and(&between).is_empty());
            prop_assert_eq!(rest.take(first, last), a.and(&between));
            prop_assert_eq!(rest, a.without(&between));
        }

        #[test]
        fn what_is_read_back_is_what_was_saved_or_is_refused(
            saved in prop::collection::vec((any::<u64>(), any::<u64>()), 0..4),
        ) {
            let range = |(first, last)| Range { first, last };
            let saved: Vec<Range> = saved.into_iter().map(range).collect();
            let text = serde_json::to_string(&saved).unwrap();
            let read: Result<Ranges, _> = serde_json::from_str(&text);
            let behind = saved.windows(2).all(|pair| pair[0].last < pair[1].first);
            let right = behind && saved.iter().all(|it| it.first <= it.last && it.last < ROW_END);
            prop_assert_eq!(read.is_ok(), right);
            prop_assert_eq!(read.map_or(0, |read| read.rows()), match right {
                true => saved.iter().map(Range::rows).sum(),
                false => 0,
            });
        }
    }

    #[test]
    fn the_account_of_18e9_rows_with_an_outage_each_minute_stays_small() {
        // A week at 30,000 rows/s in batches of 20,000, dropped or undecided now and then.
        let (mut account, mut row) = (Account::default(), 0);
        for batch in 0..900_000_u64 {
            let fate = match batch % 90 {
                0 => RowFate::Dropped,
                1 if batch % 900 == 1 => RowFate::Undecided,
                _ => RowFate::Acknowledged,
            };
            account.rows_mut(fate).push(row, 20_000);
            row += 20_000;
        }
        let of = |fate| account.rows(fate).rows();
        assert_eq!(RowFate::ALL.map(of).iter().sum::<u64>(), 18_000_000_000);
        assert!(account.contradictions().is_empty());
        let bytes: usize = account.fates().iter().map(|(_, ranges)| ranges.heap_bytes()).sum();
        assert!(bytes <= 64 << 20, "{bytes}");
        assert!(bytes < 1 << 20, "10,000 gaps: {bytes}");
    }
}
