//! Values that stand in a file or a table, encoded once for all who send them.

use std::sync::Arc;

#[cfg(test)]
use super::ColumnType;
use super::fields::{Facts, Fields, SampleBuilder};
use super::file::{Cursor, PagedColumn};

/// The values of a column of a file in the order of its rows, or of a table's in their own, as COPY BINARY has
/// them. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    facts: Facts,
    kept: Kept,
}

/// Where the values are.
#[derive(Debug, Clone)]
enum Kept {
    /// All of them in memory.
    Memory(Arc<Fields>),
    /// In their file, of which some pages are in memory.
    Paged(PagedColumn),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(own), Self::Memory(other)) => own == other,
            // What tells files apart is their fingerprint, beside the sample.
            (Self::Paged(_), Self::Paged(_)) => true,
            _ => false,
        }
    }
}

impl Eq for Kept {}

/// What writes the values of a sample.
#[derive(Debug, Clone)]
pub(super) enum Reader {
    /// Of those in memory.
    Memory(Arc<Fields>),
    /// Of those in a file.
    Paged(Cursor),
}

impl From<SampleBuilder> for Sample {
    fn from(builder: SampleBuilder) -> Self {
        Self { facts: builder.facts(), kept: Kept::Memory(Arc::new(builder.into_fields())) }
    }
}

impl Sample {
    /// Of values that stay in their file.
    pub(super) fn paged(builder: &SampleBuilder, column: PagedColumn) -> Self {
        Self { facts: builder.facts(), kept: Kept::Paged(column) }
    }

    /// The values that these texts stand for.
    #[cfg(test)]
    pub(super) fn of(sql_type: ColumnType, texts: &[&str]) -> Self {
        let mut sample = SampleBuilder::new(sql_type);
        texts.iter().for_each(|text| sample.push(text).unwrap());
        sample.into()
    }

    /// The same of keys, of which none is NULL.
    #[cfg(test)]
    pub(super) fn of_keys(sql_type: ColumnType, texts: &[&str]) -> Self {
        let mut sample = SampleBuilder::new(sql_type);
        texts.iter().for_each(|text| sample.push_value(text).unwrap());
        sample.into()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.facts.count
    }

    /// Whether one of them is NULL.
    pub fn has_nulls(&self) -> bool {
        self.facts.has_nulls
    }

    /// Whether they are read from their file as they are sent.
    pub fn is_paged(&self) -> bool {
        matches!(self.kept, Kept::Paged(_))
    }

    /// Characters of the longest text among them.
    pub(super) fn chars(&self) -> u64 {
        self.facts.chars
    }

    /// Bytes of the longest field.
    pub(super) fn longest(&self) -> usize {
        self.facts.longest
    }

    /// What writes them.
    pub(super) fn reader(&self) -> Reader {
        match &self.kept {
            Kept::Memory(fields) => Reader::Memory(Arc::clone(fields)),
            Kept::Paged(column) => Reader::Paged(column.cursor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_the_one_of_its_row() {
        let sample = Sample::of(ColumnType::Integer, &["7", "", "-1"]);
        assert_eq!((sample.count(), sample.has_nulls(), sample.longest()), (3, true, 8));
        let Reader::Memory(fields) = sample.reader() else { panic!("{sample:?}") };
        let mut space = [0; 8];
        let mut written = |number| {
            let bytes = fields.write(number, &mut space);
            space[..bytes].to_vec()
        };
        assert_eq!(written(0), [0, 0, 0, 4, 0, 0, 0, 7]);
        assert_eq!(written(1), [255; 4]);
        assert_eq!(written(2), [0, 0, 0, 4, 255, 255, 255, 255]);
    }
}
