//! Which rows of a lane the audit has seen.

use crate::record::RowSet;

/// Rows that were seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Each.
    pub(super) rows: RowSet,
    /// More than once.
    pub(super) doubled: RowSet,
    /// With other bytes than were sent.
    pub(super) differing: RowSet,
    /// One above the highest that is as it was sent.
    pub(super) own_end: u64,
}

impl Seen {
    /// Takes what was seen in a slice.
    pub(super) fn absorb(&mut self, slice: Self) {
        for range in self.rows.absorb(slice.rows).iter() {
            (range.first..=range.last).for_each(|row| {
                self.doubled.insert(row);
            });
        }
        self.doubled.absorb(slice.doubled);
        self.differing.absorb(slice.differing);
        self.own_end = self.own_end.max(slice.own_end);
    }
}
