//! Finds for each row of one answer its partner in the other, in n log n.
//!
//! Both answers come sorted by their keys. Equal keys cancel first. The rest is cut into clusters: the
//! rows of one lie further apart from all others than any tolerance. Within a cluster rows are sorted
//! and cut by each of their numbers in turn, until none of them cuts any further. What is left of that
//! are rows that differ in hardly anything, and there are three ways to pair them:
//!
//! - all their numbers are within the tolerance: any two are partners;
//! - one number spreads further: in the order of that number, each with the first that is near enough,
//!   which leaves as few over as can be;
//! - several numbers do, as on a fine grid: by augmenting paths if there are few rows (Kuhn's algorithm),
//!   and otherwise in the order of each of the numbers. If that leaves rows over, nobody knows.

use tokio::task::yield_now;

use super::AnswerError;
use super::sorter::{Place, Reader, Sorted};
use super::tolerance::{Difference, Tolerance};
use super::value::{HASH_BYTES, numbers};

/// Bytes of a cluster: beyond that the answers are not compared.
const CLUSTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pairs that are tried among rows that several numbers tell apart.
const PAIRS_MAX: usize = 1 << 16;
/// Rows between two moments in which others have their turn.
const ROWS_A_TURN: usize = 8_192;
/// How often a cluster may be sorted for each of its numbers. A cluster of a million rows halves
/// twenty times; one that loses a row at a time would never end.
const SORTS_MAX: usize = 256;

/// What is found of a row.
pub(super) enum Found {
    /// It has a partner: the rows of the first and the second answer.
    Pair([Place; 2], Difference),
    /// It has none: which answer it is of.
    Left(usize, Place),
}

/// Pairs the rows of two answers and tells of each.
///
/// # Errors
/// When it cannot be found out, or cannot be read or kept.
pub(super) async fn pair(
    both: [&Sorted; 2],
    tolerances: &[Tolerance],
    mut found: impl FnMut(Found) -> Result<(), AnswerError>,
) -> Result<(), AnswerError> {
    let mut readers = [both[0].reader()?, both[1].reader()?];
    let mut cluster = Cluster::default();
    let mut rows = 0;
    loop {
        rows += 1;
        if rows % ROWS_A_TURN == 0 {
            yield_now().await;
        }
        let side = match [readers[0].peek(), readers[1].peek()] {
            [None, None] => break,
            [Some((a, at_a)), Some((b, at_b))] if a == b => {
                found(Found::Pair([at_a, at_b], Difference::NONE))?;
                readers.iter_mut().try_for_each(Reader::advance)?;
                continue;
            }
            [Some((a, _)), Some((b, _))] => usize::from(b < a),
            [a, _] => usize::from(a.is_none()),
        };
        let Some((key, place)) = readers[side].peek() else { break };
        if !cluster.takes(key, tolerances) {
            cluster.settle(tolerances, &mut found).await?;
            cluster.begin(key);
        }
        cluster.add(side, key, place)?;
        readers[side].advance()?;
    }
    cluster.settle(tolerances, &mut found).await
}

/// Rows with the same hash, of which each is near another in its first number.
#[derive(Default)]
struct Cluster {
    hash: Vec<u8>,
    /// The column of each number.
    columns: Vec<usize>,
    /// Row by row.
    numbers: Vec<f64>,
    rows: Vec<(u8, Place)>,
}

impl Cluster {
    /// Whether the next row may be the same as one of these.
    fn takes(&self, key: &[u8], tolerances: &[Tolerance]) -> bool {
        if self.rows.is_empty() || key.get(..HASH_BYTES) != Some(&self.hash) {
            return false;
        }
        let last = self.numbers.len().saturating_sub(self.columns.len());
        match (self.numbers.get(last), numbers(key).next()) {
            (Some(last), Some((column, next))) => !tolerances[column].apart(*last, next),
            _ => true,
        }
    }

    fn begin(&mut self, key: &[u8]) {
        self.hash.clear();
        self.hash.extend_from_slice(&key[..HASH_BYTES.min(key.len())]);
        self.columns.clear();
        self.columns.extend(numbers(key).map(|(column, _)| column));
        self.numbers.clear();
        self.rows.clear();
    }

    fn add(&mut self, side: usize, key: &[u8], place: Place) -> Result<(), AnswerError> {
        self.numbers.extend(numbers(key).map(|(_, value)| value));
        self.rows.push((side as u8, place));
        let bytes =
            self.numbers.len() * size_of::<f64>() + self.rows.len() * 2 * size_of::<Place>();
        if bytes > CLUSTER_BYTES_MAX {
            let rows = self.rows.len();
            return Err(AnswerError::Undecided { why: format!("{rows} rows are nearly the same") });
        }
        Ok(())
    }

    fn side(&self, row: u32) -> usize {
        usize::from(self.rows[row as usize].0)
    }

    fn place(&self, row: u32) -> Place {
        self.rows[row as usize].1
    }

    fn number(&self, row: u32, number: usize) -> f64 {
        self.numbers[row as usize * self.columns.len() + number]
    }

    /// How two rows differ that are the same.
    fn same(&self, tolerances: &[Tolerance], a: u32, b: u32) -> Option<Difference> {
        let mut all = Difference::NONE;
        for (number, column) in self.columns.iter().enumerate() {
            let one = tolerances[*column].same(self.number(a, number), self.number(b, number))?;
            all = all.and(one);
        }
        Some(all)
    }

    /// Finds partners for all rows, and forgets them.
    async fn settle(
        &mut self,
        tolerances: &[Tolerance],
        found: &mut impl FnMut(Found) -> Result<(), AnswerError>,
    ) -> Result<(), AnswerError> {
        let rows = self.rows.len();
        let mut order: Vec<u32> = (0..rows as u32).collect();
        let mut open = vec![Slice { from: 0, to: rows, number: 0, uncut: 0 }];
        let mut budget = rows * self.columns.len().max(1) * SORTS_MAX;
        let mut turn = 0;
        while let Some(slice) = open.pop() {
            let own = &mut order[slice.from..slice.to];
            turn += own.len();
            if turn > ROWS_A_TURN {
                turn = 0;
                yield_now().await;
            }
            if own.len() < 2 || slice.uncut == self.columns.len() {
                self.leaf(own, tolerances, found)?;
                continue;
            }
            let Some(left) = budget.checked_sub(own.len()) else {
                let why = format!("{rows} rows are too much alike");
                return Err(AnswerError::Undecided { why });
            };
            budget = left;
            let number = slice.number;
            let value = |row: &u32| self.number(*row, number);
            own.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)));
            let tolerance = &tolerances[self.columns[number]];
            let next = (number + 1) % self.columns.len();
            let mut from = 0;
            for to in 1..=own.len() {
                let cuts = to == own.len() || tolerance.apart(value(&own[to - 1]), value(&own[to]));
                if cuts {
                    let whole = from == 0 && to == own.len();
                    let uncut = if whole { slice.uncut + 1 } else { 0 };
                    let (from, to) = (slice.from + from, slice.from + to);
                    open.push(Slice { from, to, number: next, uncut });
                }
                if cuts {
                    from = to;
                }
            }
        }
        self.rows.clear();
        Ok(())
    }

    /// Pairs rows that no number cuts any further.
    fn leaf(
        &self,
        rows: &mut [u32],
        tolerances: &[Tolerance],
        found: &mut impl FnMut(Found) -> Result<(), AnswerError>,
    ) -> Result<(), AnswerError> {
        let spreads = |number: &usize| {
            let values = rows.iter().map(|row| self.number(*row, *number));
            let bounds = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, most], value| {
                [least.min(value), most.max(value)]
            });
            let tolerance = &tolerances[self.columns[*number]];
            tolerance.apart(bounds[0], bounds[1])
                || (!tolerance.is_by_distance() && bounds[0] < bounds[1])
        };
        let wide: Vec<usize> = (0..self.columns.len()).filter(spreads).collect();
        let by_distance = |number: &usize| tolerances[self.columns[*number]].is_by_distance();
        let mut sides: [Vec<u32>; 2] = Default::default();
        rows.iter().for_each(|row| sides[self.side(*row)].push(*row));
        let partners = match wide.as_slice() {
            _ if sides.iter().any(Vec::is_empty) => vec![None; sides[0].len()],
            [] => self.in_order(&mut sides, 0, tolerances),
            [one] if by_distance(one) => self.in_order(&mut sides, *one, tolerances),
            _ if sides[0].len() * sides[1].len() <= PAIRS_MAX => self.augmented(&sides, tolerances),
            several => {
                let uneven = sides[0].len() != sides[1].len();
                let mut best = None;
                for number in several {
                    let partners = self.in_order(&mut sides, *number, tolerances);
                    if partners.iter().all(Option::is_some) || uneven {
                        best = Some(partners);
                        break;
                    }
                }
                let why = || format!("{} rows are too much alike", rows.len());
                best.ok_or_else(|| AnswerError::Undecided { why: why() })?
            }
        };
        let [first, second] = &sides;
        let mut taken = vec![false; second.len()];
        for (row, partner) in first.iter().zip(partners) {
            let pair = partner.and_then(|at: usize| {
                let difference = self.same(tolerances, *row, second[at])?;
                taken[at] = true;
                Some(([self.place(*row), self.place(second[at])], difference))
            });
            found(match pair {
                Some((pair, difference)) => Found::Pair(pair, difference),
                None => Found::Left(0, self.place(*row)),
            })?;
        }
        let left = second.iter().zip(taken).filter(|(_, taken)| !taken);
        left.map(|(row, _)| Found::Left(1, self.place(*row))).try_for_each(found)
    }

    /// For each row of the first side, sorted by a number, the first of the second that is free and
    /// near enough. Both sides are sorted for it.
    fn in_order(
        &self,
        sides: &mut [Vec<u32>; 2],
        number: usize,
        tolerances: &[Tolerance],
    ) -> Vec<Option<usize>> {
        if self.columns.is_empty() {
            return (0..sides[0].len())
                .map(|at| Some(at).filter(|at| *at < sides[1].len()))
                .collect();
        }
        let value = |row: &u32| self.number(*row, number);
        sides.iter_mut().for_each(|side| {
            side.sort_unstable_by(|a, b| value(a).total_cmp(&value(b)));
        });
        let [first, second] = sides;
        let tolerance = &tolerances[self.columns[number]];
        let mut partners = vec![None; first.len()];
        let (mut a, mut b) = (0, 0);
        while let (Some(x), Some(y)) = (first.get(a), second.get(b)) {
            if self.same(tolerances, *x, *y).is_some() {
                partners[a] = Some(b);
                (a, b) = (a + 1, b + 1);
            } else if tolerance.apart(value(y), value(x)) || value(y) < value(x) {
                b += 1;
            } else {
                a += 1;
            }
        }
        partners
    }

    /// As many pairs as there can be.
    fn augmented(&self, sides: &[Vec<u32>; 2], tolerances: &[Tolerance]) -> Vec<Option<usize>> {
        let [first, second] = sides;
        let may_be: Vec<Vec<usize>> = first
            .iter()
            .map(|row| {
                let near = |at: &usize| self.same(tolerances, *row, second[*at]).is_some();
                (0..second.len()).filter(near).collect()
            })
            .collect();
        let mut owner: Vec<Option<usize>> = vec![None; second.len()];
        for start in 0..first.len() {
            augment(start, &may_be, &mut owner);
        }
        let mut partners = vec![None; first.len()];
        for (at, owner) in owner.iter().enumerate() {
            if let Some(row) = owner {
                partners[*row] = Some(at);
            }
        }
        partners
    }
}

/// Finds a partner for a row, for which others may have to change theirs. Breadth first, without
/// recursion.
fn augment(start: usize, may_be: &[Vec<usize>], owner: &mut [Option<usize>]) {
    // By row of the second side: from which row of the first it was reached.
    let mut reached: Vec<Option<usize>> = vec![None; owner.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(row) = queue.pop_front() {
        for at in &may_be[row] {
            if reached[*at].is_some() {
                continue;
            }
            reached[*at] = Some(row);
            let Some(next) = owner[*at] else {
                // The path back: each row takes what it has reached.
                let mut free = *at;
                loop {
                    let Some(row) = reached[free] else { return };
                    let had = owner.iter().position(|owner| *owner == Some(row));
                    owner[free] = Some(row);
                    match had.filter(|_| row != start) {
                        Some(had) => free = had,
                        None => return,
                    }
                }
            };
            queue.push_back(next);
        }
    }
}

/// Rows that are to be cut further.
struct Slice {
    from: usize,
    to: usize,
    /// By which number next.
    number: usize,
    /// How many numbers in a row have not cut it.
    uncut: usize,
}
