//! Whether two answers to one query are the same: as multisets of rows, numbers by value and
//! within a stated tolerance, everything else exactly. Memory is bounded: large answers are cut
//! into parts on disk, by what must be equal.

mod matching;
mod parts;
mod value;

use std::io;

use crate::pg::select::ResultColumn;
use crate::plan::AnswerRule;
pub(crate) use crate::result::answers::{Comparison, Row};

use matching::Matcher;
use parts::Parts;

/// Rows of each answer that are held in memory; beyond that they go to disk.
pub(crate) const MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// Differing rows of each answer that are kept and shown; all are counted.
pub(crate) const KEPT_ROWS: usize = 100;

/// Which of the two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one to compare with.
    First,
    /// The other.
    Second,
}

/// Takes two answers row by row, in any order, and compares them.
pub(crate) struct Comparer {
    columns: Vec<ResultColumn>,
    matcher: Matcher,
    rows: [u64; 2],
    parts: Option<[Parts; 2]>,
}

impl Comparer {
    /// For answers with these columns; at most about `memory_bytes` of each are held in memory.
    pub(crate) fn new(columns: Vec<ResultColumn>, rule: &AnswerRule, memory_bytes: usize) -> Self {
        let matcher = Matcher::new(&columns, rule);
        let rows_compared = rule.compare == crate::plan::AnswerCompare::Rows;
        let parts = rows_compared.then(|| [Parts::new(memory_bytes), Parts::new(memory_bytes)]);
        Self { columns, matcher, rows: [0; 2], parts }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// When it cannot be put to disk.
    pub(crate) fn row(&mut self, side: Side, values: &[Option<&str>]) -> io::Result<()> {
        let side = side as usize;
        self.rows[side] += 1;
        match &mut self.parts {
            None => Ok(()),
            Some(parts) => {
                let row = self.matcher.encode(values);
                parts[side].add(self.matcher.part_of(&row), &row)
            }
        }
    }

    /// Compares what was taken.
    ///
    /// # Errors
    /// When it cannot be read back from disk.
    pub(crate) fn finish(self) -> io::Result<Comparison> {
        let Self { columns, mut matcher, rows, parts } = self;
        if let Some([mut first, mut second]) = parts {
            for part in 0..parts::PARTS {
                matcher.part(&first.take(part)?, &second.take(part)?);
            }
        }
        let found = matcher.finish();
        let named = |rows: &[Vec<u8>]| -> Vec<Row> {
            rows.iter().take(KEPT_ROWS).map(|row| value::named(&columns, row)).collect()
        };
        let only = found.only.each_ref().map(|rows| rows.count);
        let counted = rows[0] == rows[1];
        Ok(Comparison {
            same: counted && only == [0, 0],
            rows,
            ties: found.ties,
            largest_difference: found.largest_difference,
            only,
            examples: found.only.each_ref().map(|rows| named(&rows.kept)),
            tied: named(&found.tied),
        })
    }
}

#[cfg(test)]
mod tests;
