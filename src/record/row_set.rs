//! A set of row numbers that come mostly in order, as a scan of a table brings them: a window of
//! bits that follows the scan, and ranges behind it. Its memory grows with the gaps and the disorder,
//! not with the rows; in the worst order it is one bit a row.

use std::collections::BTreeMap;

use super::{Range, Ranges};

/// Rows of one piece of the window.
const PIECE_ROWS: u64 = 1 << 15;
const WORDS: usize = (PIECE_ROWS / 64) as usize;
/// Pieces that the window has before those that are long left behind are looked for.
const PIECES_MAX: usize = 32;
/// A piece with more runs than these stays one of bits: as ranges it would save little.
const RUNS_MAX: usize = WORDS * 8 / (8 * size_of::<Range>());
/// Ranges from this length on are added as they are: so many of them take less than bits.
const LONG_ROWS: u64 = PIECE_ROWS / RUNS_MAX as u64;

/// Row numbers.
#[derive(Debug, Default)]
pub struct RowSet {
    /// The piece that was last used, by its number.
    hot: Option<(u64, Box<Piece>)>,
    /// The others of the window. No row of a piece that is in the window is behind it.
    window: BTreeMap<u64, Box<Piece>>,
    /// Pieces at which the window is looked through, if that is more than [`PIECES_MAX`].
    look_at: usize,
    /// Rows that are not in the window.
    behind: Ranges,
    rows: u64,
}

#[derive(Debug)]
struct Piece {
    bits: [u64; WORDS],
    rows: u64,
}

impl Piece {
    /// Adds a row by its place; false if it was there.
    fn set(&mut self, place: u64) -> bool {
        let (word, bit) = (&mut self.bits[(place / 64) as usize], 1 << (place % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        self.rows += u64::from(is_new);
        is_new
    }

    /// Its rows as runs of places: the first, and how many.
    fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let first = self.next_that(from, false)?;
            from = self.next_that(first, true).unwrap_or(PIECE_ROWS);
            Some((first, from - first))
        })
    }

    /// The first place from `from` on that is set, or is `clear`.
    fn next_that(&self, from: u64, clear: bool) -> Option<u64> {
        let start = (from / 64) as usize;
        let words = self.bits.iter().enumerate().skip(start);
        words.into_iter().find_map(|(at, word)| {
            let word = if clear { !word } else { *word };
            let word = if at == start { word & (u64::MAX << (from % 64)) } else { word };
            (word != 0).then(|| at as u64 * 64 + u64::from(word.trailing_zeros()))
        })
    }
}

impl RowSet {
    /// Adds a row; false if it was there.
    pub fn insert(&mut self, row: u64) -> bool {
        let number = row / PIECE_ROWS;
        if self.hot.as_ref().is_none_or(|(hot, _)| *hot != number) {
            if self.behind.contains(row) {
                return false;
            }
            self.turn_to(number);
        }
        let Some((_, piece)) = &mut self.hot else { return false };
        let is_new = piece.set(row % PIECE_ROWS);
        self.rows += u64::from(is_new);
        if piece.rows == PIECE_ROWS {
            self.hot = None;
            self.behind.push(number * PIECE_ROWS, PIECE_ROWS);
        }
        is_new
    }

    /// Adds all rows of another set; returns those that were there.
    pub fn absorb(&mut self, other: Self) -> Ranges {
        let mut again = Ranges::default();
        for range in other.into_ranges().iter() {
            let Range { first, last } = range;
            if range.rows() >= LONG_ROWS && self.is_free(range) {
                self.behind.push(first, range.rows());
                self.rows += range.rows();
                continue;
            }
            for row in first..=last {
                if !self.insert(row) {
                    again.push(row, 1);
                }
            }
        }
        again
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The rows as ranges.
    pub fn into_ranges(mut self) -> Ranges {
        let hot = self.hot.take();
        let mut ranges = self.behind;
        for (number, piece) in self.window.into_iter().chain(hot) {
            push_runs(&mut ranges, number, &piece);
        }
        ranges
    }

    /// Memory that it takes, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let pieces = self.window.len() + usize::from(self.hot.is_some());
        pieces * (size_of::<Piece>() + 2 * size_of::<u64>()) + self.behind.heap_bytes()
    }

    /// Whether none of these rows is there, as far as can be told without looking at each.
    fn is_free(&self, Range { first, last }: Range) -> bool {
        let pieces = first / PIECE_ROWS..=last / PIECE_ROWS;
        self.hot.as_ref().is_none_or(|(hot, _)| !pieces.contains(hot))
            && self.window.range(pieces).next().is_none()
            && !self.behind.meets(first, last)
    }

    /// Makes this piece the hot one.
    fn turn_to(&mut self, number: u64) {
        if let Some((left, piece)) = self.hot.take() {
            self.window.insert(left, piece);
        }
        if self.window.len() >= self.look_at.max(PIECES_MAX) {
            self.settle();
        }
        let piece = self.window.remove(&number);
        self.hot = Some((number, piece.unwrap_or_else(|| self.back(number))));
    }

    /// A piece with its rows from behind the window, mostly none.
    fn back(&mut self, number: u64) -> Box<Piece> {
        let mut piece = Box::new(Piece { bits: [0; WORDS], rows: 0 });
        let first = number * PIECE_ROWS;
        for range in self.behind.take(first, first + PIECE_ROWS - 1).iter() {
            (range.first..=range.last).for_each(|row| {
                piece.set(row - first);
            });
        }
        piece
    }

    /// Takes pieces out of the window that are smaller as ranges.
    fn settle(&mut self) {
        let behind = &mut self.behind;
        self.window.retain(|number, piece| {
            let is_ragged = piece.runs().nth(RUNS_MAX).is_some();
            if !is_ragged {
                push_runs(behind, *number, piece);
            }
            is_ragged
        });
        // What is ragged stays so for a while: it is not looked at for each row.
        self.look_at = self.window.len() * 2;
    }
}

fn push_runs(to: &mut Ranges, number: u64, piece: &Piece) {
    for (first, rows) in piece.runs() {
        to.push(number * PIECE_ROWS + first, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MIB: usize = 1 << 20;

    fn ranges_of(rows: &BTreeSet<u64>) -> Ranges {
        let mut ranges = Ranges::default();
        rows.iter().for_each(|row| ranges.push(*row, 1));
        ranges
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_set_in_any_order_and_any_pieces(
            parts in prop::collection::vec(
                prop::collection::vec((0u64..60, 0u64..20, 0u64..40, 1u64..300), 0..40), 1..4),
        ) {
            let (mut set, mut known) = (RowSet::default(), BTreeSet::new());
            for part in parts {
                let (mut fresh, mut own) = (RowSet::default(), BTreeSet::new());
                for (piece, from, rows, step) in part {
                    // A run, over the edge of a piece where the step is 1.
                    let rows = if step < 100 { rows * 10 } else { rows };
                    let step = if step < 100 { 1 } else { step };
                    let first = (piece + 1) * PIECE_ROWS - 10 - from;
                    for row in (first..).step_by(step as usize).take(rows as usize) {
                        prop_assert_eq!(fresh.insert(row), own.insert(row));
                    }
                }
                prop_assert_eq!(fresh.rows(), own.len() as u64);
                let again: BTreeSet<u64> = own.intersection(&known).copied().collect();
                prop_assert_eq!(set.absorb(fresh), ranges_of(&again));
                known.extend(own);
                prop_assert_eq!(set.rows(), known.len() as u64);
            }
            prop_assert_eq!(set.into_ranges(), ranges_of(&known));
        }
    }

    /// Adds rows as a scan brings them that is out of order within `disorder` rows; the memory at
    /// its highest.
    fn scanned(rows: u64, disorder: u64) -> usize {
        let (mut set, mut most) = (RowSet::default(), 0);
        for row in 0..rows {
            let place = row % disorder;
            // A batch of ten changes places with one half a window away.
            let swapped = (place / 10 * 10 + disorder / 2) % disorder + place % 10;
            assert!(set.insert(row - place + swapped));
            if row % 4_096 == 0 {
                most = most.max(set.heap_bytes());
            }
        }
        assert_eq!(set.rows(), rows);
        assert_eq!(set.into_ranges(), Ranges::span(0, rows));
        most
    }

    #[test]
    fn four_times_the_rows_take_no_more_memory() {
        let (few, many) = (scanned(1_000_000, 200_000), scanned(4_000_000, 200_000));
        assert!(few < MIB && many <= few + few / 10, "{few} and {many}");
    }

    #[test]
    fn rows_in_no_order_take_a_bit_each() {
        let (mut set, rows) = (RowSet::default(), 1_u64 << 21);
        // An odd factor makes each number once.
        (0..rows / 2).for_each(|at| assert!(set.insert(at * 2_654_435_761 % rows)));
        let bytes = set.heap_bytes();
        assert!(bytes < rows as usize / 8 * 5 / 4, "{bytes}");
    }
}
