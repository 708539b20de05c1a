//! Finds for each row of one answer its partner in the other.
//!
//! Rows equal to the byte cancel first. What is left differs in numbers, if in anything: rows with
//! the same exact columns are sorted by their numbers and paired within the tolerance.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use super::KEPT_ROWS;
use super::parts::{PARTS, PartRows};
use super::value::{difference, push, tolerance_of, values};
use crate::pg::select::{ResultColumn, ValueKind};
use crate::plan::AnswerRule;

/// Rows without a partner that are kept for a second look, for each answer. Beyond that the
/// answers differ, whatever the rest is.
const LEFTOVERS_MAX: usize = 10_000;

/// Pairs rows.
pub(super) struct Matcher {
    kinds: Vec<ValueKind>,
    /// Largest relative difference, by column.
    tolerances: Vec<f64>,
    /// By column: whether rows are chosen by it.
    tie: Vec<bool>,
    has_exact: bool,
    leftovers: [Leftovers; 2],
    largest_difference: f64,
}

/// Rows without a partner.
#[derive(Default)]
pub(super) struct Leftovers {
    pub(super) count: u64,
    pub(super) kept: Vec<Vec<u8>>,
}

/// What came of it.
pub(super) struct Found {
    pub(super) only: [Leftovers; 2],
    pub(super) ties: u64,
    pub(super) tied: Vec<Vec<u8>>,
    pub(super) largest_difference: f64,
}

impl Leftovers {
    fn add(&mut self, row: &[u8]) {
        self.count += 1;
        if self.kept.len() < LEFTOVERS_MAX {
            self.kept.push(row.to_vec());
        }
    }
}

impl Matcher {
    pub(super) fn new(columns: &[ResultColumn], rule: &AnswerRule) -> Self {
        let kinds: Vec<_> = columns.iter().map(|column| column.kind).collect();
        let tolerance = |kind: &ValueKind| match (*kind, rule.tolerance) {
            (ValueKind::Exact, _) => 0.0,
            (_, Some(tolerance)) => tolerance,
            (kind, None) => tolerance_of(kind),
        };
        Self {
            tolerances: kinds.iter().map(tolerance).collect(),
            tie: columns.iter().map(|column| rule.ties.contains(&column.name)).collect(),
            has_exact: kinds.contains(&ValueKind::Exact),
            kinds,
            leftovers: Default::default(),
            largest_difference: 0.0,
        }
    }

    /// A row as bytes.
    pub(super) fn encode(&self, row: &[Option<&str>]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(row.len() * 16);
        let kinds = self.kinds.iter().copied().chain(std::iter::repeat(ValueKind::Exact));
        row.iter().zip(kinds).for_each(|(value, kind)| push(&mut bytes, kind, *value));
        bytes
    }

    /// The part that a row lies in: by its exact columns, or where there are none roughly by its
    /// first number. Partners at the border between two parts find each other at the end.
    pub(super) fn part_of(&self, row: &[u8]) -> usize {
        let mut hasher = DefaultHasher::new();
        if self.has_exact {
            for value in self.exact(row) {
                hasher.write(value.unwrap_or("\0").as_bytes());
                hasher.write_u8(0xff);
            }
        } else {
            let first = values(row).flatten().find_map(|text| text.parse::<f64>().ok());
            // Sign, exponent and the first bits of the fraction.
            hasher.write_u64(first.unwrap_or_default().to_bits() >> 40);
        }
        (hasher.finish() % PARTS as u64) as usize
    }

    fn exact<'r>(&'r self, row: &'r [u8]) -> impl Iterator<Item = Option<&'r str>> {
        let columns = values(row).zip(&self.kinds);
        columns.filter(|(_, kind)| **kind == ValueKind::Exact).map(|(value, _)| value)
    }

    /// Pairs the rows of one part; who finds no partner is left over.
    pub(super) fn part(&mut self, first: &PartRows, second: &PartRows) {
        let mut counts: HashMap<&[u8], i64> = HashMap::new();
        first.iter().for_each(|row| *counts.entry(row).or_default() += 1);
        second.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
        let mut left: [Vec<&[u8]>; 2] = Default::default();
        for (row, count) in counts {
            let side = usize::from(count < 0);
            left[side].extend(std::iter::repeat_n(row, count.unsigned_abs() as usize));
        }
        let [first, second] = left;
        let unpaired = self.pair(first, second);
        for (side, rows) in unpaired.iter().enumerate() {
            rows.iter().for_each(|row| self.leftovers[side].add(row));
        }
    }

    /// Pairs rows within the tolerance and returns those without a partner.
    fn pair<'r>(&mut self, mut a: Vec<&'r [u8]>, mut b: Vec<&'r [u8]>) -> [Vec<&'r [u8]>; 2] {
        a.sort_by(|x, y| self.order(x, y));
        b.sort_by(|x, y| self.order(x, y));
        let mut taken = vec![false; b.len()];
        let mut unpaired_a = Vec::new();
        let mut from = 0;
        for row in a {
            // Rows of b before `from` are too small for this row and all that follow.
            while b.get(from).is_some_and(|other| {
                taken[from] || self.surely_apart(other, row) == Some(Ordering::Less)
            }) {
                from += 1;
            }
            let mut partner = None;
            for (index, other) in b.iter().enumerate().skip(from) {
                if self.surely_apart(other, row) == Some(Ordering::Greater) {
                    break;
                }
                if !taken[index]
                    && let Some(largest) = self.same(row, other)
                {
                    partner = Some((index, largest));
                    break;
                }
            }
            match partner {
                Some((index, largest)) => {
                    taken[index] = true;
                    self.largest_difference = self.largest_difference.max(largest);
                }
                None => unpaired_a.push(row),
            }
        }
        let unpaired_b = b.into_iter().zip(taken).filter(|(_, taken)| !taken);
        [unpaired_a, unpaired_b.map(|(row, _)| row).collect()]
    }

    /// By the exact columns, then by the first number.
    fn order(&self, a: &[u8], b: &[u8]) -> Ordering {
        let number = |row| self.first_number(row).unwrap_or(f64::NEG_INFINITY);
        self.exact(a).cmp(self.exact(b)).then_with(|| number(a).total_cmp(&number(b)))
    }

    /// Whether `a` sorts before or behind every row that could be the same as `b`.
    fn surely_apart(&self, a: &[u8], b: &[u8]) -> Option<Ordering> {
        let exact = self.exact(a).cmp(self.exact(b));
        if exact != Ordering::Equal {
            return Some(exact);
        }
        let at = self.kinds.iter().position(|kind| *kind != ValueKind::Exact)?;
        match (self.first_number(a), self.first_number(b)) {
            (Some(x), Some(y)) if (x - y).abs() <= self.tolerances[at] * x.abs().max(y.abs()) => {
                None
            }
            (x, y) => {
                let number = |n: Option<f64>| n.unwrap_or(f64::NEG_INFINITY);
                Some(number(x).total_cmp(&number(y))).filter(|order| *order != Ordering::Equal)
            }
        }
    }

    fn first_number(&self, row: &[u8]) -> Option<f64> {
        let mut columns = values(row).zip(&self.kinds);
        columns.find(|(_, kind)| **kind != ValueKind::Exact)?.0?.parse().ok()
    }

    /// The largest relative difference of two rows, if they are the same.
    fn same(&self, a: &[u8], b: &[u8]) -> Option<f64> {
        let mut largest: f64 = 0.0;
        for ((a, b), tolerance) in values(a).zip(values(b)).zip(&self.tolerances) {
            let difference = difference(a, b);
            if difference > *tolerance {
                return None;
            }
            largest = largest.max(difference);
        }
        Some(largest)
    }

    /// Whether two rows are the same in the columns by which rows are chosen.
    fn tie(&self, a: &[u8], b: &[u8]) -> bool {
        let columns = values(a).zip(values(b)).zip(&self.tolerances).zip(&self.tie);
        let mut chosen_by = columns.filter(|(_, tie)| **tie).map(|(column, _)| column);
        chosen_by.all(|((a, b), tolerance)| difference(a, b) <= *tolerance)
    }

    /// Pairs what was left over across all parts, then by ties.
    pub(super) fn finish(mut self) -> Found {
        let [first, second] = std::mem::take(&mut self.leftovers);
        let all_kept = [&first, &second].iter().all(|left| left.count == left.kept.len() as u64);
        let rows = |left: &'_ Leftovers| left.kept.clone();
        let (a, b) = (rows(&first), rows(&second));
        let [a, b] =
            self.pair(a.iter().map(Vec::as_slice).collect(), b.iter().map(Vec::as_slice).collect());
        let (mut ties, mut tied) = (0, Vec::new());
        let mut only: [Leftovers; 2] = Default::default();
        let mut b: Vec<Option<&[u8]>> = b.into_iter().map(Some).collect();
        for row in a {
            let partner = self.tie.contains(&true).then(|| {
                b.iter().position(|other| other.is_some_and(|other| self.tie(row, other)))
            });
            match partner.flatten().and_then(|at| b[at].take()) {
                Some(other) => {
                    ties += 1;
                    if tied.len() < KEPT_ROWS {
                        tied.push(other.to_vec());
                    }
                }
                None => only[0].add(row),
            }
        }
        b.into_iter().flatten().for_each(|row| only[1].add(row));
        if !all_kept {
            // What was not kept has no partner that could be looked for.
            only[0].count += first.count - first.kept.len() as u64;
            only[1].count += second.count - second.kept.len() as u64;
        }
        Found { only, ties, tied, largest_difference: self.largest_difference }
    }
}
