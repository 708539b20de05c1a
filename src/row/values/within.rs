//! What holds of values by all that is within them: what comes beside a choice, the elements of an array, and the
//! values by those of another column.

use super::{Pick, Values};

impl Values {
    /// The values within them.
    fn within(&self) -> Vec<&Self> {
        match self {
            Self::Choice { others: Some(others), .. } => vec![&others.values],
            Self::Array(elements) => vec![&elements.of],
            Self::Conditional(own) => own.each().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether they, or some within them, are so.
    fn some_are(&self, so: fn(&Self) -> bool) -> bool {
        so(self) || self.within().into_iter().any(|values| values.some_are(so))
    }

    /// Whether they, or some within them, are chosen in the order of the rows.
    pub(super) fn follow_rows(&self) -> bool {
        self.some_are(|own| own.pick().is_some_and(Pick::follows_rows))
    }

    /// Whether they, or some within them, say which row they are in, or when it was due.
    pub(crate) fn are_of_row(&self) -> bool {
        self.some_are(|own| match own {
            Self::RowId | Self::Partition => true,
            Self::Pattern(pattern) => pattern.has_row_id(),
            _ => own.is_of_due_time(),
        })
    }

    /// Those that refer to a table's keys: these, or some within them.
    pub(crate) fn reference(&self) -> Option<&Self> {
        match self {
            Self::Reference { .. } => Some(self),
            _ => self.within().into_iter().find_map(Self::reference),
        }
    }

    /// The same, to have the keys put in. Values by those of another column refer to none.
    pub(crate) fn reference_mut(&mut self) -> Option<&mut Self> {
        match self {
            Self::Reference { .. } => Some(self),
            Self::Choice { others: Some(others), .. } => others.values.reference_mut(),
            Self::Array(elements) => elements.of.reference_mut(),
            _ => None,
        }
    }

    /// Whether they are made of keys that nobody has read.
    pub(crate) fn await_keys(&self) -> bool {
        matches!(self.reference(), Some(Self::Reference { keys: None, .. }))
    }

    /// The path of a file that some of them are read of as they are sent.
    pub(crate) fn paged_file(&self) -> Option<&str> {
        match self {
            Self::File { path, sample, .. } => sample.is_paged().then_some(path),
            _ => self.within().into_iter().find_map(Self::paged_file),
        }
    }

    /// Whether there are NULLs among them. A NULL in an array is none.
    pub(in crate::row) fn have_nulls(&self) -> bool {
        match self {
            Self::File { sample, .. } => sample.has_nulls(),
            Self::Array(_) => false,
            _ => self.within().into_iter().any(Self::have_nulls),
        }
    }
}
