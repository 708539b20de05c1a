//! What holds of values by all that is within them: the elements of an array, and what comes beside a choice.

use super::{Pick, Values};

impl Values {
    /// The values within them.
    fn within(&self) -> Option<&Self> {
        match self {
            Self::Choice { others: Some(others), .. } => Some(&others.values),
            Self::Array(elements) => Some(&elements.of),
            _ => None,
        }
    }

    /// Whether they, or those within them, are chosen in the order of the rows.
    pub(super) fn follow_rows(&self) -> bool {
        self.pick().is_some_and(Pick::follows_rows) || self.within().is_some_and(Self::follow_rows)
    }

    /// Whether they, or those within them, say which row they are in, or when it was due.
    pub(crate) fn are_of_row(&self) -> bool {
        let own = match self {
            Self::RowId | Self::Partition => true,
            Self::Pattern(pattern) => pattern.has_row_id(),
            Self::Conditional(own) => own.each().any(Self::are_of_row),
            _ => self.is_of_due_time(),
        };
        own || self.within().is_some_and(Self::are_of_row)
    }
}
