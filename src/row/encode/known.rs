//! Which of its listed values a column has in a row, drawn again for those that depend on it.

use super::draw::{Chosen, below};
use crate::row::conditional;
use crate::row::random::{Row, Stream};
use crate::row::{Column, Values};

/// What draws the number of a column's value, among those that are listed.
#[derive(Debug, Clone)]
pub(super) enum Known {
    Chosen(Chosen),
    Boolean {
        stream: Stream,
        true_below: u64,
    },
    Conditional {
        on: Box<Known>,
        /// For each value of the other column which entry holds.
        entry_of: Box<[u32]>,
        /// Each with the number of values that the entries before it have.
        entries: Box<[(u64, Known)]>,
    },
}

impl Known {
    /// Of the column at this place, with the stream of each; `None` if its values are not listed.
    pub(super) fn new(
        columns: &[Column],
        place: usize,
        stream: impl Fn(usize) -> Stream + Copy,
    ) -> Option<Self> {
        let own = match &columns[place].values {
            Values::Conditional(own) => own,
            values => return Self::of_values(values, stream(place)),
        };
        let (on, entry_of) = conditional::entries(columns, place, own).ok()?;
        let (mut entries, mut before) = (Vec::new(), 0);
        for values in own.each() {
            entries.push((before, Self::of_values(values, stream(place))?));
            before += values.listed()?.len() as u64;
        }
        let on = Box::new(Self::new(columns, on, stream)?);
        Some(Self::Conditional { on, entry_of, entries: entries.into() })
    }

    fn of_values(values: &Values, stream: Stream) -> Option<Self> {
        match values {
            Values::Choice { of, weights, others: None, pick } => {
                Some(Self::Chosen(Chosen::of(of.len(), weights, None, pick, stream)))
            }
            Values::Boolean { true_ratio } => {
                Some(Self::Boolean { stream, true_below: below(*true_ratio) })
            }
            _ => None,
        }
    }

    /// The number of a row's value.
    #[inline]
    pub(super) fn at(&self, row: Row) -> u64 {
        match self {
            Self::Chosen(chosen) => chosen.at(row),
            Self::Boolean { stream, true_below } => u64::from(stream.bits(row) >> 11 < *true_below),
            Self::Conditional { on, entry_of, entries } => {
                let (before, entry) = &entries[entry_of[on.at(row) as usize] as usize];
                before + entry.at(row)
            }
        }
    }
}
