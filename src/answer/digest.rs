//! What is kept of an answer that is timed, so that the answer that was timed is the one that is checked: a
//! digest that takes some nanoseconds a value and a few words of memory.
//!
//! Of all that must be equal each row has a hash, and the digest their sum, in which order has no part
//! and yet a doubled row shows; where the query asks for an order, the keys of the rows have another
//! hash, in the order in which they came. Numbers that may differ a little are summed up with a
//! weight from 1 to 2 that the rest of their row decides: values that change places show, and the sum may
//! differ by as much as all of its numbers may together.

use super::column::{Column, Kind, labels};
use super::hash::Hasher;
use super::order::OrderedBy;
use super::sum::Sum;
use super::tolerance::{self, Tolerance};
use super::value::{Part, each_part, is_beyond_floats, is_long, shortest};
use super::{AnswerError, Question, check_names};
use crate::plan::AnswerCompare;
use crate::random::{GAMMA, mix};

/// A digest of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Digest {
    rows: u64,
    /// The sum of the rows' hashes.
    exact: u128,
    /// The hash of their keys, one behind the other.
    order: u128,
    /// By column, of which some have several.
    sums: Vec<Sum>,
}

/// A decimal number as the server sends it: digits of base 10,000, of which the first counts
/// 10,000 to the power of `weight`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'d> {
    /// Power of the first digit.
    pub weight: i16,
    /// What the server has for its sign, for NaN and for the infinities.
    pub sign: u16,
    /// The digits, each in two bytes, the greater one first.
    pub digits: &'d [[u8; 2]],
}

impl Decimal<'_> {
    const NEGATIVE: u16 = 0x4000;
    const INFINITE: u16 = 0xd000;
    const NEGATIVE_INFINITE: u16 = 0xf000;

    fn as_f64(self) -> f64 {
        match self.sign {
            0 | Self::NEGATIVE => {}
            Self::INFINITE => return f64::INFINITY,
            Self::NEGATIVE_INFINITE => return f64::NEG_INFINITY,
            _ => return f64::NAN,
        }
        let digits = self.digits.iter().map(|digit| f64::from(u16::from_be_bytes(*digit)));
        // Five digits of these are more than a float holds.
        let (value, powers) = digits
            .take(6)
            .fold((0.0, 0), |(value, powers), digit| (value * 1e4 + digit, powers + 1));
        let value = value * 1e4_f64.powi(i32::from(self.weight) + 1 - powers);
        if self.sign == Self::NEGATIVE { -value } else { value }
    }

    #[inline]
    fn hash(self, hasher: &mut Hasher) {
        let is_zero = |digit: &[u8; 2]| *digit == [0, 0];
        let end = self.digits.iter().rposition(|digit| !is_zero(digit)).map_or(0, |at| at + 1);
        let start = self.digits.iter().take_while(|digit| is_zero(digit)).count();
        let digits = self.digits.get(start..end).unwrap_or_default();
        let weight = if digits.is_empty() { 0 } else { i32::from(self.weight) - start as i32 };
        hasher.word((u64::from(self.sign) << 32) | u64::from(weight as u32));
        hasher.bytes(digits.as_flattened());
    }
}

/// Makes digests of the answers to a query. For each row [`Reducer::end_row`] follows its values, which
/// come in the order of the columns.
#[derive(Debug, Clone)]
pub struct Reducer {
    columns: Vec<Use>,
    tolerances: Vec<Option<Tolerance>>,
    /// Whether the order counts: that of the columns marked so.
    ordered: bool,
    left_out: Vec<String>,
    digest: Digest,
    hasher: Hasher,
    key: Hasher,
    /// Of the row: to which sum each number goes, and whether it may differ.
    numbers: Vec<(u16, bool, f64)>,
    between: Vec<u8>,
}

/// Sums of a column with json: a number goes to one of them by its place in its value, so that one which is
/// large and may differ does not hide what is wrong in a small one.
const SUMS_IN_TEXT: usize = 16;

/// What a column is to a digest.
#[derive(Debug, Clone, Copy)]
struct Use {
    chosen: bool,
    is_key: bool,
    numbers: Numbers,
    /// Its first sum, and how many it has.
    sums: (u16, usize),
    /// Whether blanks count for nothing, as in json.
    is_mixed: bool,
}

/// As what the numbers of a column are compared, of whatever type they are in one arm or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// They are whole.
    Whole,
    /// By their decimal value.
    Decimal,
    /// As floats that must be equal.
    Float,
    /// They may differ a little.
    Within,
}

impl Numbers {
    fn of(kind: Kind, tolerance: Option<&Tolerance>) -> Self {
        match (kind, tolerance) {
            (_, Some(tolerance)) if tolerance.is_exact() => Self::Float,
            (_, Some(_)) => Self::Within,
            (Kind::Number(_) | Kind::Numbers(_), None) => Self::Decimal,
            _ => Self::Whole,
        }
    }
}

impl Reducer {
    /// For answers with these columns, of which some cannot be reduced.
    ///
    /// # Errors
    /// When the rule names other columns.
    pub fn new(
        columns: &[Column],
        can_be_reduced: &[bool],
        question: Question<'_>,
    ) -> Result<Self, AnswerError> {
        let Question { sql, rule, on_gpu } = question;
        check_names(columns, rule)?;
        let tolerances = tolerance::of_columns(columns, sql, rule, on_gpu);
        let order = match &rule.order_by {
            Some(names) => OrderedBy::declared(names, columns)?,
            None => OrderedBy::of_query(sql, columns),
        };
        // Where rows tie, other rows may take their place, with the same in the columns that tie.
        let may_tie = !rule.ties.is_empty();
        let chosen = |at: usize| {
            rule.compare == AnswerCompare::Rows
                && can_be_reduced.get(at) == Some(&true)
                && (!may_tie || rule.ties.contains(&columns[at].name))
        };
        // As far as the keys are exact: behind a key that is not, rows that tie may not be told.
        let is_exact = |at: &usize| {
            chosen(*at) && tolerances[*at].is_none() && columns[*at].kind != Kind::Mixed
        };
        let keys: Vec<usize> = order
            .iter()
            .flat_map(|order| order.columns.iter().copied())
            .take_while(is_exact)
            .collect();
        let mut sums = 0;
        let mut uses: Vec<Use> = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let is_mixed = column.kind == Kind::Mixed;
            let own = if is_mixed { SUMS_IN_TEXT } else { 1 };
            uses.push(Use {
                chosen: chosen(at),
                is_key: keys.contains(&at),
                numbers: Numbers::of(column.kind, tolerances[at].as_ref()),
                sums: (sums as u16, own),
                is_mixed,
            });
            sums += own;
        }
        let left_out = labels(columns).into_iter().zip(&uses);
        let left_out = left_out.filter(|(_, use_of)| !use_of.chosen);
        Ok(Self {
            left_out: left_out.map(|(label, _)| label).collect(),
            ordered: !keys.is_empty(),
            columns: uses,
            digest: Digest { sums: vec![Sum::default(); sums], ..Digest::default() },
            tolerances,
            hasher: Hasher::new(),
            key: Hasher::new(),
            numbers: Vec::new(),
            between: Vec::new(),
        })
    }

    /// The names of the columns that have no part in it.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Whether the values of a column are to be given.
    #[inline]
    pub fn wants(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.chosen)
    }

    /// NULL.
    #[inline]
    pub fn null(&mut self, column: usize) {
        self.exactly(column, |hasher| hasher.word(u64::MAX));
    }

    /// A value that is equal only if its bytes are.
    #[inline]
    pub fn bytes(&mut self, column: usize, bytes: &[u8]) {
        self.exactly(column, |hasher| hasher.bytes(bytes));
    }

    /// A whole number, of however many bytes.
    #[inline]
    pub fn integer(&mut self, column: usize, value: i64) {
        match self.columns[column].numbers {
            Numbers::Whole => self.exactly(column, |hasher| hasher.bytes(&value.to_le_bytes())),
            Numbers::Decimal => {
                let digits = base_10_000(value.unsigned_abs());
                let sign = if value < 0 { Decimal::NEGATIVE } else { 0 };
                let decimal = Decimal { weight: digits.len() as i16 - 1, sign, digits: &digits };
                self.exactly(column, |hasher| decimal.hash(hasher));
            }
            Numbers::Float | Numbers::Within => self.float(column, value as f64),
        }
    }

    /// A binary number.
    #[inline]
    pub fn float(&mut self, column: usize, value: f64) {
        self.number(column, (0, true), value);
    }

    /// A number of a value, its place among those of the value, and whether it may differ at all.
    #[inline]
    fn number(&mut self, column: usize, (place, may_differ): (usize, bool), value: f64) {
        let Use { numbers, sums: (first, sums), .. } = self.columns[column];
        if value.is_finite() && numbers == Numbers::Within {
            self.exactly(column, |hasher| hasher.word(1));
            self.numbers.push((first + (place % sums) as u16, may_differ, value));
        } else {
            // There is one NaN here, and one zero.
            let bits = if value.is_nan() { f64::NAN } else { value + 0.0 }.to_bits();
            self.exactly(column, |hasher| {
                hasher.word(2);
                hasher.word(bits);
            });
        }
    }

    /// A decimal number.
    #[inline]
    pub fn decimal(&mut self, column: usize, value: Decimal<'_>) {
        match self.columns[column].numbers {
            Numbers::Whole | Numbers::Decimal => self.exactly(column, |hasher| value.hash(hasher)),
            Numbers::Float | Numbers::Within => self.float(column, value.as_f64()),
        }
    }

    /// A text that numbers may lie in, as json.
    pub fn text(&mut self, column: usize, text: &str) {
        let mut between = std::mem::take(&mut self.between);
        between.clear();
        let mut place = 0;
        let only_long = self.tolerances[column].is_some_and(|tolerance| tolerance.is_of_long());
        each_part(text, |part| match part {
            Part::Number(word) if !is_beyond_floats(word) => {
                between.push(b'0');
                let value = word.parse().unwrap_or(f64::NAN);
                self.number(column, (place, !only_long || is_long(word)), value);
                place += 1;
            }
            Part::Number(word) => between.extend_from_slice(shortest(word).as_bytes()),
            Part::Between(text) if self.columns[column].is_mixed => {
                between.extend(text.bytes().filter(|b| !b.is_ascii_whitespace()));
            }
            Part::Quoted(text) | Part::Between(text) => {
                between.extend_from_slice(text.as_bytes());
            }
        });
        self.exactly(column, |hasher| hasher.bytes(&between));
        self.between = between;
    }

    #[inline]
    fn exactly(&mut self, column: usize, mut write: impl FnMut(&mut Hasher)) {
        write(&mut self.hasher);
        if self.columns[column].is_key {
            write(&mut self.key);
        }
    }

    /// A row is over.
    #[inline]
    pub fn end_row(&mut self) {
        let hash = std::mem::replace(&mut self.hasher, Hasher::new()).finish();
        let digest = &mut self.digest;
        digest.rows += 1;
        digest.exact = digest.exact.wrapping_add(hash);
        if self.ordered {
            let key = std::mem::replace(&mut self.key, Hasher::new()).finish();
            // Odd, so that no earlier row is lost.
            digest.order = (digest.order ^ key).wrapping_mul(u128::from(GAMMA)).rotate_left(61);
        }
        for (number, (sum, may_differ, value)) in (1..).zip(self.numbers.drain(..)) {
            let bits = mix((hash as u64).wrapping_add(GAMMA.wrapping_mul(number)));
            let weight = 1.0 + (bits >> 11) as f64 / (1_u64 << 53) as f64;
            digest.sums[usize::from(sum)].add(value, weight, may_differ);
        }
    }

    /// The digest of what came since the last one.
    pub fn take(&mut self) -> Digest {
        let sums = vec![Sum::default(); self.digest.sums.len()];
        self.hasher = Hasher::new();
        self.key = Hasher::new();
        self.numbers.clear();
        std::mem::replace(&mut self.digest, Digest { sums, ..Digest::default() })
    }

    /// What differs in two digests, in words; `None` if they are of the same answer.
    pub fn differ(&self, a: &Digest, b: &Digest) -> Option<String> {
        if a.rows != b.rows {
            return Some(format!("{} rows and {}", a.rows, b.rows));
        }
        if a.exact != b.exact {
            return Some("values that must be equal".to_owned());
        }
        if a.order != b.order {
            return Some("the order of the rows".to_owned());
        }
        for (column, (own, tolerance)) in self.columns.iter().zip(&self.tolerances).enumerate() {
            let from = usize::from(own.sums.0);
            let both = || (from..from + own.sums.1).map(|at| (&a.sums[at], &b.sums[at]));
            let greatest =
                |most: f64, (a, b): (&Sum, &Sum)| most.max(a.greatest()).max(b.greatest());
            let greatest = both().fold(0.0, greatest);
            let tolerance = tolerance.unwrap_or_default();
            let apart = both().find_map(|(a, b)| a.apart(b, &tolerance, greatest));
            if let Some(apart) = apart {
                return Some(numbers_apart(column, apart));
            }
        }
        None
    }
}

/// The digits of a whole number to the base of 10,000, the greatest first.
fn base_10_000(mut value: u64) -> [[u8; 2]; 5] {
    let mut digits = [[0; 2]; 5];
    for digit in digits.iter_mut().rev() {
        *digit = ((value % 10_000) as u16).to_be_bytes();
        value /= 10_000;
    }
    digits
}

/// That the numbers of a column differ, and how far their sums lie apart where that may be noise.
fn numbers_apart(column: usize, apart: f64) -> String {
    let what = format!("the numbers of column {}", column + 1);
    if apart > tolerance::LIKELY_NOISE_RELATIVE {
        return what;
    }
    format!(
        "{what}, by {apart:.1e} of their sum: a wrong one among many, or noise beyond the query's `tolerance` \
         or `absolute_tolerance`"
    )
}

/// The answers of all timed executions of a query, as digests.
#[derive(Debug, Clone, Default)]
pub struct Timed {
    /// By arm: each digest that came, with how often.
    arms: Vec<Vec<(Digest, u64)>>,
}

/// Digests of an arm that are told apart; further ones count for the last of them.
const KEPT: usize = 8;

impl Timed {
    /// Of a query with so many arms.
    pub fn new(arms: usize) -> Self {
        Self { arms: vec![Vec::new(); arms] }
    }

    /// Notes the answer of an execution.
    pub fn note(&mut self, arm: usize, reducer: &Reducer, digest: Digest) {
        let known = &mut self.arms[arm];
        let at = known.iter().position(|(known, _)| reducer.differ(known, &digest).is_none());
        match at.or((known.len() == KEPT).then_some(KEPT - 1)) {
            Some(at) => known[at].1 += 1,
            None => known.push((digest, 1)),
        }
    }

    /// Executions in an arm whose answers are known.
    pub fn executions(&self, arm: usize) -> u64 {
        self.arms[arm].iter().map(|(_, times)| times).sum()
    }

    /// How many executions of an arm had another answer than the `base`, and what differs in the first of
    /// those.
    ///
    /// # Errors
    /// When the base itself has answered one way and another, or never; in words.
    pub fn different(
        &self,
        base: usize,
        arm: usize,
        reducer: &Reducer,
    ) -> Result<(u64, Option<String>), String> {
        let right = match self.arms[base].as_slice() {
            [] => return Err("no answer was timed to compare them with".to_owned()),
            [(right, _)] => right,
            [(first, _), (second, _), ..] => {
                let what = reducer.differ(first, second).unwrap_or_default();
                return Err(format!(
                    "those of one arm differ among themselves, in {what}\n  fix: take now() and \
                     random() out of the query, give LIMIT an order without ties, or name what \
                     decides in `ties`; `answers = \"count\"` compares the number of rows alone"
                ));
            }
        };
        let others = self.arms[arm]
            .iter()
            .filter_map(|(digest, times)| Some((times, reducer.differ(right, digest)?)));
        let (mut count, mut first) = (0, None);
        for (times, what) in others {
            count += times;
            first.get_or_insert(what);
        }
        Ok((count, first))
    }
}

#[cfg(test)]
mod tests;
