//! Whether two answers to one query are the same: as multisets of rows, in the order that the query asks
//! for, numbers by value and within a stated tolerance, everything else exactly. Memory is bounded, and
//! what cannot be told is an error. Knows no server.

mod column;
mod digest;
mod hash;
mod instant;
mod matching;
mod order;
mod sorter;
mod sum;
mod tolerance;
mod value;

use std::io;

use crate::plan::{AnswerCompare, AnswerRule, Outline};
use crate::result::answers::{Comparison, Nearly, Row};

use column::labels;
pub use column::{Column, Kind, Number};
pub use digest::{Decimal, Digest, Reducer, Timed};
use matching::{Found, pair};
use order::{OrderedBy, Sequence};
use sorter::{Place, Sorted, Sorter};
use tolerance::{Difference, Tolerance};
use value::{Encoder, named, push_shown};

/// Differing rows of each answer that are kept and shown; all are counted.
const KEPT_ROWS: usize = 100;

/// Rows of both answers: with more of them nobody looks whether they differ by little.
const NEARLY_ROWS_MAX: u64 = 1 << 20;

/// Which of the two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one to compare with.
    First,
    /// The other.
    Second,
}

/// What a comparison may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of each answer about so much is held in memory; beyond that it goes to disk.
    pub memory_bytes: usize,
    /// Of each answer so much may be on disk.
    pub disk_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 24 << 20, disk_bytes: 8 << 30 }
    }
}

/// What two answers are answers to.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The query.
    pub sql: &'q str,
    /// What is compared, and how.
    pub rule: &'q AnswerRule,
    /// Whether one of them comes from the GPU.
    pub on_gpu: bool,
}

/// Why two answers could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// An answer that is too large for the memory could not be put to disk.
    #[error("failed to keep a large answer on disk: {0}")]
    Disk(#[from] io::Error),
    /// An answer is too large for the disk.
    #[error(
        "an answer takes more than {} GiB on disk\n  fix: let the query answer with fewer rows, or \
         compare only how many there are, with `answers = \"count\"`", bytes >> 30
    )]
    TooLarge {
        /// What it may take.
        bytes: u64,
    },
    /// Rows cannot be told apart well enough.
    #[error(
        "{why}, and which of them belong together is not known\n  fix: select a column that tells \
         them apart, or state a smaller `tolerance`"
    )]
    Undecided {
        /// Which rows.
        why: String,
    },
    /// More decides the order than the answer shows.
    #[error(
        "the rows are the same, in another order, and ORDER BY names something that is no column of \
         the answer, so that rows may tie in it\n  fix: name the columns that decide in `order_by`; \
         `order_by = []` leaves the order out"
    )]
    OrderUnknown,
    /// The profile names a column that is not there.
    #[error("`{key}` names `{name}`, which is no column of the answer\n  fix: correct the name")]
    NoColumn {
        /// The profile's key.
        key: &'static str,
        /// The column.
        name: String,
    },
}

/// Takes two answers row by row, and compares them.
pub struct Comparer {
    columns: Vec<Column>,
    compare: AnswerCompare,
    limits: Limits,
    encoder: Encoder,
    /// Whether the query chooses rows, and the rule does not say by what.
    may_tie: bool,
    /// By column: whether rows are chosen by it.
    tie: Vec<bool>,
    order: Option<OrderedBy>,
    rows: [u64; 2],
    sorters: [Sorter; 2],
    sequences: [Sequence; 2],
    /// Of a row: its key, what it ties by, and what is shown of it; and of its place in the order.
    parts: [Vec<u8>; 3],
    placed: [Vec<u8>; 2],
}

impl Comparer {
    /// For answers with these columns.
    ///
    /// # Errors
    /// When the rule names other columns.
    pub fn new(
        columns: Vec<Column>,
        question: Question<'_>,
        limits: Limits,
    ) -> Result<Self, AnswerError> {
        let Question { sql, rule, on_gpu } = question;
        check_names(&columns, rule)?;
        let order = match &rule.order_by {
            _ if rule.compare != AnswerCompare::Rows => None,
            Some(names) => OrderedBy::declared(names, &columns)?,
            None => OrderedBy::of_query(sql, &columns),
        };
        let tolerances = tolerance::of_columns(&columns, sql, rule, on_gpu);
        let sorter = || Sorter::new(limits.memory_bytes, limits.disk_bytes);
        let sequence = || Sequence::new(limits.memory_bytes / 4, limits.disk_bytes);
        Ok(Self {
            tie: columns.iter().map(|column| rule.ties.contains(&column.name)).collect(),
            encoder: Encoder::new(columns.clone(), tolerances),
            columns,
            compare: rule.compare,
            limits,
            may_tie: rule.ties.is_empty() && Outline::read(sql).chooses(),
            order,
            rows: [0; 2],
            sorters: [sorter(), sorter()],
            sequences: [sequence(), sequence()],
            parts: Default::default(),
            placed: Default::default(),
        })
    }

    /// Takes a row's values as text.
    ///
    /// # Errors
    /// When it cannot be put to disk.
    pub fn row(&mut self, side: Side, values: &[Option<&str>]) -> Result<(), AnswerError> {
        let side = side as usize;
        self.rows[side] += 1;
        if self.compare != AnswerCompare::Rows {
            return Ok(());
        }
        self.parts.iter_mut().chain(&mut self.placed).for_each(Vec::clear);
        let [key, tie, shown] = &mut self.parts;
        self.encoder.key(values, |_| true, key);
        push_shown(&self.columns, values, shown);
        if self.tie.contains(&true) {
            self.encoder.key(values, |at| self.tie[at], tie);
        }
        self.sorters[side].add(key, tie, shown)?;
        if let Some(OrderedBy { columns, hidden }) = &self.order {
            let [by, shown] = &mut self.placed;
            self.encoder.key(values, |at| columns.contains(&at), by);
            columns.iter().for_each(|at| {
                push_shown(&self.columns[*at..=*at], &values[*at..=*at], shown);
            });
            let all: &[u8] = if *hidden { key } else { &[] };
            self.sequences[side].add([by, all, shown])?;
        }
        Ok(())
    }

    /// Compares what was taken. Lets others have their turn in between, so it can be cut off.
    ///
    /// # Errors
    /// When it cannot be told whether they are the same, or cannot be read back from disk.
    pub async fn finish(self) -> Result<Comparison, AnswerError> {
        let Self {
            columns, encoder, tie, order, rows, sorters, sequences, limits, may_tie, ..
        } = self;
        let labels = labels(&columns);
        let mut found = Differences::default();
        if self.compare == AnswerCompare::Rows {
            let tolerances = encoder.tolerances();
            let [first, second] = sorters;
            let both = [first.sorted()?, second.sorted()?];
            let tying = tie.contains(&true);
            let left = || Sorter::new(limits.memory_bytes, limits.disk_bytes);
            let mut lefts = [left(), left()];
            pair([&both[0], &both[1]], &tolerances, |one| match one {
                Found::Pair(_, difference) => {
                    found.largest = found.largest.max(difference.relative);
                    found.near_zero += u64::from(difference.near_zero);
                    Ok(())
                }
                Found::Left(side, place) if tying => {
                    let (shown, tie) = both[side].row(place)?;
                    lefts[side].add(&tie, &[], &shown)
                }
                Found::Left(side, place) => found.only[side].add(&both[side], place),
            })
            .await?;
            if !tying && !found.is_same() && rows[0] == rows[1] && rows[0] * 2 <= NEARLY_ROWS_MAX {
                found.nearly = nearly([&both[0], &both[1]], &tolerances).await;
            }
            if tying {
                let [first, second] = lefts;
                let both = [first.sorted()?, second.sorted()?];
                pair([&both[0], &both[1]], &tolerances, |one| match one {
                    Found::Pair([_, place], _) => found.ties.add(&both[1], place),
                    Found::Left(side, place) => found.only[side].add(&both[side], place),
                })
                .await?;
            }
            if let Some(order) = order.as_ref().filter(|_| found.is_same()) {
                found.order = order::compare(sequences, order, &labels, &tolerances).await?;
            }
        }
        let shown = |kept: &Kept| -> Vec<Row> {
            kept.shown.iter().map(|row| named(labels.iter(), row)).collect()
        };
        let ordered_by = order.iter().flat_map(|order| &order.columns);
        let same = rows[0] == rows[1] && found.is_same() && found.order.is_none();
        let may_tie = may_tie && !found.is_same();
        Ok(Comparison {
            same,
            rows,
            ties: found.ties.count,
            largest_difference: found.largest,
            near_zero: found.near_zero,
            values: Row::new(),
            only: found.only.each_ref().map(|kept| kept.count),
            examples: found.only.each_ref().map(shown),
            ordered_by: ordered_by.map(|at| labels[*at].clone()).collect(),
            order: found.order,
            nearly: found.nearly,
            may_tie,
            tied: shown(&found.ties),
        })
    }
}

/// Finds a column that a rule names and an answer does not have.
///
/// # Errors
/// If there is one.
pub fn check_names(columns: &[Column], rule: &AnswerRule) -> Result<(), AnswerError> {
    let ordered_by = rule.order_by.iter().flatten();
    let named = ordered_by.map(|name| ("order_by", name));
    for (key, name) in named.chain(rule.ties.iter().map(|name| ("ties", name))) {
        if !columns.iter().any(|column| column.name == *name) {
            return Err(AnswerError::NoColumn { key, name: name.clone() });
        }
    }
    Ok(())
}

/// How far two answers lie apart whose rows all have partners if numbers made of floats may differ by what may
/// be noise; `None` if they have not, or nobody can tell.
async fn nearly(both: [&Sorted; 2], tolerances: &[Tolerance]) -> Option<Nearly> {
    let wide: Vec<Tolerance> = tolerances.iter().map(|one| one.widened()).collect();
    let mut most = Difference::NONE;
    let mut all = true;
    let paired = pair(both, &wide, |one| {
        match one {
            Found::Pair(_, difference) => most = most.and(difference),
            Found::Left(..) => all = false,
        }
        Ok(())
    });
    paired.await.ok()?;
    all.then_some(Nearly { relative: most.relative, absolute: most.apart })
}

/// What differs.
#[derive(Default)]
struct Differences {
    only: [Kept; 2],
    ties: Kept,
    largest: f64,
    near_zero: u64,
    nearly: Option<Nearly>,
    order: Option<crate::result::answers::OutOfOrder>,
}

impl Differences {
    fn is_same(&self) -> bool {
        self.only.iter().all(|kept| kept.count == 0)
    }
}

/// Rows that are counted, and the first of them.
#[derive(Default)]
struct Kept {
    count: u64,
    shown: Vec<Vec<u8>>,
}

impl Kept {
    fn add(&mut self, sorted: &Sorted, place: Place) -> Result<(), AnswerError> {
        self.count += 1;
        if self.shown.len() < KEPT_ROWS {
            self.shown.push(sorted.row(place)?.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
