//! What is kept of an answer that is timed, so that the answer that was timed is the one that is checked: a
//! digest that takes some nanoseconds a value and a few words of memory.
//!
//! Of all that must be equal each row has a hash, and the digest their sum, in which order has no part
//! and yet a doubled row shows; where the query asks for an order, the keys of the rows have another
//! hash, in the order in which they came. Numbers that may differ a little are summed up with a
//! weight from 1 to 2 that the rest of their row decides: values that change places show, and the sum may
//! differ by as much as all of its numbers may together.

use super::column::{Column, Kind};
use super::hash::Hasher;
use super::order::OrderedBy;
use super::tolerance::{self, Tolerance};
use super::value::{Part, each_part, is_beyond_floats, shortest};
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
    /// By column.
    sums: Vec<Sum>,
}

/// What the numbers of a column come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    count: u64,
    weighted: f64,
    /// The same of their magnitudes.
    magnitude: f64,
    greatest: f64,
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

    /// Whether it is a number at all.
    fn is_finite(self) -> bool {
        matches!(self.sign, 0 | Self::NEGATIVE)
    }

    fn as_f64(self) -> f64 {
        let digits = self.digits.iter().map(|digit| f64::from(u16::from_be_bytes(*digit)));
        // Five digits of these are more than a float holds.
        let (value, powers) = digits
            .take(6)
            .fold((0.0, 0), |(value, powers), digit| (value * 1e4 + digit, powers + 1));
        let value = value * 1e4_f64.powi(i32::from(self.weight) + 1 - powers);
        if self.sign == Self::NEGATIVE { -value } else { value }
    }

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
    numbers: Vec<(u16, f64)>,
    between: Vec<u8>,
}

/// What a column is to a digest.
#[derive(Debug, Clone, Copy)]
struct Use {
    chosen: bool,
    is_key: bool,
    /// Whether blanks count for nothing, as in json.
    is_mixed: bool,
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
        let use_of = |at: usize| Use {
            chosen: chosen(at),
            is_key: keys.contains(&at),
            is_mixed: columns[at].kind == Kind::Mixed,
        };
        let uses: Vec<Use> = (0..columns.len()).map(use_of).collect();
        let left_out = columns.iter().zip(&uses).filter(|(_, use_of)| !use_of.chosen);
        Ok(Self {
            left_out: left_out.map(|(column, _)| column.name.clone()).collect(),
            ordered: !keys.is_empty(),
            columns: uses,
            digest: Digest { sums: vec![Sum::default(); columns.len()], ..Digest::default() },
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

    /// A binary number.
    #[inline]
    pub fn float(&mut self, column: usize, value: f64) {
        if value.is_finite() {
            self.exactly(column, |hasher| hasher.word(1));
            self.numbers.push((column as u16, value));
        } else {
            // There is one NaN here.
            let bits = if value.is_nan() { u64::MAX } else { value.to_bits() };
            self.exactly(column, |hasher| hasher.word(bits));
        }
    }

    /// A decimal number.
    #[inline]
    pub fn decimal(&mut self, column: usize, value: Decimal<'_>) {
        if self.tolerances[column].is_some() && value.is_finite() {
            self.float(column, value.as_f64());
        } else {
            self.exactly(column, |hasher| value.hash(hasher));
        }
    }

    /// A text that numbers may lie in, as json.
    pub fn text(&mut self, column: usize, text: &str) {
        let mut between = std::mem::take(&mut self.between);
        between.clear();
        each_part(text, |part| match part {
            Part::Number(word) if !is_beyond_floats(word) => {
                between.push(b'0');
                self.float(column, word.parse().unwrap_or(f64::NAN));
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
        for (number, (column, value)) in (1..).zip(self.numbers.drain(..)) {
            let bits = mix((hash as u64).wrapping_add(GAMMA.wrapping_mul(number)));
            let weight = 1.0 + (bits >> 11) as f64 / (1_u64 << 53) as f64;
            let sum = &mut digest.sums[usize::from(column)];
            sum.count += 1;
            sum.weighted += weight * value;
            sum.magnitude += weight * value.abs();
            sum.greatest = sum.greatest.max(value.abs());
        }
    }

    /// The digest of what came since the last one.
    pub fn take(&mut self) -> Digest {
        let sums = vec![Sum::default(); self.columns.len()];
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
        let sums = a.sums.iter().zip(&b.sums).zip(&self.tolerances);
        for (column, ((a, b), tolerance)) in sums.enumerate() {
            let allowed = tolerance.map_or(0.0, |tolerance| {
                let greatest = a.greatest.max(b.greatest);
                tolerance.allowed_sum(a.magnitude.max(b.magnitude), greatest, a.count)
            });
            let apart = (a.weighted - b.weighted).abs();
            if a.count != b.count || apart > allowed || apart.is_nan() {
                return Some(format!("the numbers of column {}", column + 1));
            }
        }
        None
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::Number;
    use crate::plan::AnswerRule;

    const SQL: &str = "SELECT category, amount, sum(x) AS x FROM t GROUP BY 1, 2 ORDER BY category";

    fn reducer(sql: &str, rule: &AnswerRule) -> Reducer {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let columns = [
            column("category", Kind::Plain),
            column("amount", Kind::Number(Number::Numeric)),
            column("x", Kind::Number(Number::Float8)),
        ];
        let question = Question { sql, rule, on_gpu: true };
        Reducer::new(&columns, &[true; 3], question).unwrap()
    }

    type Row = (u8, u16, f64);

    fn digest(reducer: &mut Reducer, rows: &[Row]) -> Digest {
        for (category, amount, x) in rows {
            reducer.bytes(0, &[*category]);
            let digits = [amount.to_be_bytes(), [0, 0]];
            // Of two scales: zeros at the end are no difference.
            let digits = if rows.len().is_multiple_of(2) { &digits[..] } else { &digits[..1] };
            reducer.decimal(1, Decimal { weight: 0, sign: 0, digits });
            reducer.float(2, *x);
            reducer.end_row();
        }
        reducer.take()
    }

    fn rows() -> Vec<Row> {
        (0..27_000_u32)
            .map(|n| ((n / 1000) as u8, (n % 9_999) as u16, f64::from(n) * 0.37))
            .collect()
    }

    #[test]
    fn a_digest_shows_what_a_comparison_does() {
        let rule = AnswerRule::default();
        let mut reducer = reducer(SQL, &rule);
        let first = digest(&mut reducer, &rows());
        let mut differs = |change: &dyn Fn(&mut Vec<Row>)| {
            let mut changed = rows();
            change(&mut changed);
            let second = digest(&mut reducer, &changed);
            reducer.differ(&first, &second)
        };
        assert_eq!(differs(&|_| {}), None);
        // Rows that tie in what they are ordered by, and noise.
        assert_eq!(differs(&|rows| rows.swap(10, 20)), None);
        assert_eq!(differs(&|rows| rows.iter_mut().for_each(|row| row.2 *= 1.0 + 1e-13)), None);
        let found = [
            differs(&|rows| rows.swap(10, 2000)),
            differs(&|rows| rows[13_579].1 += 1),
            differs(&|rows| rows[13_579] = rows[13_578]),
            differs(&|rows| rows.truncate(26_999)),
            differs(&|rows| rows[13_579].2 += 1.0),
            differs(&|rows| (rows[10].2, rows[26_990].2) = (rows[26_990].2, rows[10].2)),
            differs(&|rows| rows[77].2 = f64::NAN),
        ];
        let found = found.map(|what| what.unwrap_or_else(|| "the same".to_owned()));
        insta::assert_snapshot!(found.join("\n"), @r"
        the order of the rows
        values that must be equal
        values that must be equal
        27000 rows and 26999
        the numbers of column 3
        the numbers of column 3
        values that must be equal
        ");
    }

    #[test]
    fn of_an_arm_that_varies_the_odd_executions_are_counted_and_a_base_that_does_is_no_measure() {
        let rule = AnswerRule::default();
        let mut reducer = reducer(SQL, &rule);
        let right = digest(&mut reducer, &rows()[..10]);
        let wrong = digest(&mut reducer, &rows()[1..11]);
        let mut timed = Timed::new(2);
        assert!(timed.different(0, 1, &reducer).is_err());
        for _ in 0..100 {
            timed.note(0, &reducer, right.clone());
            timed.note(1, &reducer, right.clone());
        }
        assert_eq!(timed.different(0, 1, &reducer), Ok((0, None)));
        timed.note(1, &reducer, wrong.clone());
        let (count, what) = timed.different(0, 1, &reducer).unwrap();
        assert_eq!((count, what.as_deref()), (1, Some("values that must be equal")));
        assert_eq!(timed.executions(1), 101);
        timed.note(0, &reducer, wrong);
        let why = timed.different(0, 1, &reducer).unwrap_err();
        assert!(why.contains("differ among themselves, in values that must be equal"), "{why}");
    }

    #[test]
    fn where_rows_may_tie_only_what_ties_counts() {
        let rule = AnswerRule { ties: vec!["amount".to_owned()], ..AnswerRule::default() };
        let mut reducer = reducer("SELECT category, amount, x FROM t LIMIT 3", &rule);
        assert_eq!(reducer.left_out(), ["category", "x"]);
        assert!(!reducer.wants(0) && reducer.wants(1));
        let mut of = |amount: u16| {
            reducer.decimal(1, Decimal { weight: 0, sign: 0, digits: &[amount.to_be_bytes()] });
            reducer.end_row();
            reducer.take()
        };
        let (a, b, c) = (of(1), of(1), of(2));
        assert_eq!(reducer.differ(&a, &b), None);
        assert!(reducer.differ(&a, &c).is_some());
    }

    #[test]
    fn json_is_the_same_but_for_blanks_and_digits() {
        let rule = AnswerRule::default();
        let column = Column { name: "j".to_owned(), kind: Kind::Mixed };
        let question = Question { sql: "SELECT j FROM t", rule: &rule, on_gpu: false };
        let mut reducer = Reducer::new(&[column], &[true], question).unwrap();
        let mut of = |text: &str| {
            reducer.text(0, text);
            reducer.end_row();
            reducer.take()
        };
        let texts =
            [r#"{"a": 0.3}"#, r#"{"a":0.30000000000000004}"#, r#"{"a":0.4}"#, r#"{"b":0.3}"#];
        let [a, noise, other, key] = texts.map(&mut of);
        assert_eq!(reducer.differ(&a, &noise), None);
        assert!(reducer.differ(&a, &other).is_some() && reducer.differ(&a, &key).is_some());
    }

    proptest! {
        #[test]
        fn a_decimal_is_what_its_digits_say(
            weight in -3..4_i16,
            digits in prop::collection::vec(0..10_000_u16, 1..5),
            negative in any::<bool>(),
        ) {
            let bytes: Vec<_> = digits.iter().map(|digit| digit.to_be_bytes()).collect();
            let sign = if negative { Decimal::NEGATIVE } else { 0 };
            let value = Decimal { weight, sign, digits: &bytes }.as_f64();
            let texts: Vec<_> = digits.iter().map(|digit| format!("{digit:04}")).collect();
            let text = texts.concat();
            let power = (i32::from(weight) + 1 - digits.len() as i32) * 4;
            let sign = if negative { "-" } else { "" };
            let right: f64 = format!("{sign}{text}e{power}").parse().unwrap();
            prop_assert!((value - right).abs() <= right.abs() * 1e-15, "{} {}", value, right);
        }
    }
}
