//! Rows as what they are compared by: a hash of all that must be equal, and the numbers that may differ
//! a little. And rows as text, for people.

use super::column::{Column, Kind};
use super::hash::Hasher;
use super::instant::microseconds;
use super::tolerance::Tolerance;
use crate::result::answers::Row;

/// NULL in place of a length.
const NULL: u32 = u32::MAX;
/// Most of a value that is kept to be shown.
const SHOWN_BYTES_MAX: usize = 1024;
/// Digits of a whole number that a float keeps for certain.
const FLOAT_DIGITS: usize = 15;

/// Bytes of the hash in a key.
pub(super) const HASH_BYTES: usize = 16;
/// Bytes of a number in a key: its value, and behind all values its column.
const NUMBER_BYTES: usize = 8 + 2;

/// What stands in the hash for a value, so that no value is like another of another sort.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Null,
    Text,
    Decimal,
    NotFinite,
    Finite,
    Instant,
}

/// Makes keys of rows.
pub(super) struct Encoder {
    columns: Vec<Column>,
    tolerances: Vec<Option<Tolerance>>,
    /// By column, the greatest magnitude so far.
    greatest: Vec<f64>,
    numbers: Vec<(u16, f64)>,
    between: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(columns: Vec<Column>, tolerances: Vec<Option<Tolerance>>) -> Self {
        let greatest = vec![0.0; columns.len()];
        Self { columns, tolerances, greatest, numbers: Vec::new(), between: Vec::new() }
    }

    /// Appends the key of those of a row's values whose columns are `chosen`.
    ///
    /// Keys that are equal are of rows that are the same. Others may be: then their hashes are equal,
    /// and their numbers are within the tolerances of their columns. Sorted by its bytes a key is
    /// sorted by its hash, and then by its numbers.
    pub(super) fn key(
        &mut self,
        values: &[Option<&str>],
        chosen: impl Fn(usize) -> bool,
        key: &mut Vec<u8>,
    ) {
        let mut hasher = Hasher::new();
        self.numbers.clear();
        for at in (0..values.len().min(self.columns.len())).filter(|at| chosen(*at)) {
            let Some(text) = values[at] else {
                hasher.word(Mark::Null as u64);
                continue;
            };
            match (self.columns[at].kind, self.tolerances[at]) {
                (Kind::Plain | Kind::Other, _) => {
                    hasher.word(Mark::Text as u64);
                    hasher.bytes(text.as_bytes());
                }
                (Kind::Instant, _) => instant(&mut hasher, text),
                (Kind::Instants, _) => each_part(text, |part| match part {
                    Part::Quoted(text) => instant(&mut hasher, text.trim_matches('"')),
                    Part::Number(text) | Part::Between(text) => {
                        hasher.word(Mark::Text as u64);
                        hasher.bytes(text.as_bytes());
                    }
                }),
                (Kind::Number(_), None) => {
                    hasher.word(Mark::Decimal as u64);
                    hasher.bytes(shortest(text).as_bytes());
                }
                (Kind::Number(_), Some(_)) => self.number(&mut hasher, at, text),
                (Kind::Numbers(_) | Kind::Mixed, _) => self.numbers_in(&mut hasher, at, text),
            }
        }
        key.extend_from_slice(&hasher.finish().to_be_bytes());
        self.numbers.iter().for_each(|(_, value)| key.extend_from_slice(&sortable(*value)));
        self.numbers.iter().for_each(|(at, _)| key.extend_from_slice(&at.to_be_bytes()));
    }

    /// The tolerances, scaled to what the columns hold.
    pub(super) fn tolerances(&self) -> Vec<Tolerance> {
        let scaled = self.tolerances.iter().zip(&self.greatest);
        scaled.map(|(own, greatest)| own.unwrap_or_default().scaled(*greatest)).collect()
    }

    fn number(&mut self, hasher: &mut Hasher, at: usize, text: &str) {
        match text.parse::<f64>().ok().filter(|value| value.is_finite()) {
            Some(value) => {
                hasher.word(Mark::Finite as u64);
                self.greatest[at] = self.greatest[at].max(value.abs());
                // Of two zeros neither is less.
                self.numbers.push((at as u16, value + 0.0));
            }
            // NaN and the infinities, and decimals beyond all floats.
            None => {
                hasher.word(Mark::NotFinite as u64);
                hasher.bytes(shortest(text).as_bytes());
            }
        }
    }

    /// The numbers in a text, one by one, and what stands between them.
    fn numbers_in(&mut self, hasher: &mut Hasher, at: usize, text: &str) {
        let mut between = std::mem::take(&mut self.between);
        between.clear();
        let blanks = self.columns[at].kind == Kind::Mixed;
        each_part(text, |part| match part {
            Part::Between(text) if blanks => {
                between.extend(text.bytes().filter(|b| !b.is_ascii_whitespace()));
            }
            Part::Between(text) | Part::Quoted(text) => between.extend_from_slice(text.as_bytes()),
            Part::Number(text) => {
                hasher.word(Mark::Text as u64);
                hasher.bytes(&between);
                between.clear();
                let decimal = shortest(text);
                if self.tolerances[at].is_none() || (blanks && is_beyond_floats(text)) {
                    hasher.word(Mark::Decimal as u64);
                    hasher.bytes(decimal.as_bytes());
                } else {
                    self.number(hasher, at, text);
                }
            }
        });
        hasher.word(Mark::Text as u64);
        hasher.bytes(&between);
        self.between = between;
    }
}

/// An instant is what it is in any time zone.
fn instant(hasher: &mut Hasher, text: &str) {
    match microseconds(text) {
        Some(microseconds) => {
            hasher.word(Mark::Instant as u64);
            hasher.word(microseconds as u64);
        }
        None => {
            hasher.word(Mark::Text as u64);
            hasher.bytes(text.as_bytes());
        }
    }
}

/// The numbers of a key, each with its column.
pub(super) fn numbers(key: &[u8]) -> impl ExactSizeIterator<Item = (usize, f64)> {
    let rest = key.get(HASH_BYTES..).unwrap_or_default();
    let count = rest.len() / NUMBER_BYTES;
    let (values, columns) = rest.split_at(count * 8);
    let values = values.as_chunks::<8>().0.iter().map(|bytes| of_sortable(*bytes));
    let columns = columns.as_chunks::<2>().0.iter().map(|bytes| u16::from_be_bytes(*bytes));
    columns.zip(values).map(|(column, value)| (usize::from(column), value))
}

/// Eight bytes that sort as the finite numbers do.
fn sortable(value: f64) -> [u8; 8] {
    let bits = value.to_bits();
    let sign = 1 << 63;
    (if bits & sign == 0 { bits | sign } else { !bits }).to_be_bytes()
}

fn of_sortable(bytes: [u8; 8]) -> f64 {
    let bits = u64::from_be_bytes(bytes);
    let sign = 1 << 63;
    f64::from_bits(if bits & sign == 0 { !bits } else { bits & !sign })
}

/// A part of a text that holds numbers.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    Number(&'a str),
    /// In double quotes, those included.
    Quoted(&'a str),
    Between(&'a str),
}

/// Cuts a text into numbers and what stands between them. A number ends where a word cannot go on; what
/// only looks like one, such as a date, is none.
pub(super) fn each_part<'a>(text: &'a str, mut part: impl FnMut(Part<'a>)) {
    let bytes = text.as_bytes();
    let is_word =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'+' | b'-') || b >= 128;
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                part(Part::Quoted(&text[from..at]));
            }
            first if is_word(first) => {
                at += bytes[at..].iter().take_while(|b| is_word(**b)).count();
                let word = &text[from..at];
                part(if is_number(word) { Part::Number(word) } else { Part::Between(word) });
            }
            _ => {
                let ends = |b: &&u8| !is_word(**b) && **b != b'"';
                at += bytes[at..].iter().take_while(ends).count();
                part(Part::Between(&text[from..at]));
            }
        }
    }
}

/// Whether a word is a number as SQL and JSON write it.
fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['+', '-']);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && word.parse::<f64>().is_ok()
}

/// Whether a number is whole and of more digits than a float keeps: no sum of floats, but a number that
/// is meant as it is.
pub(super) fn is_beyond_floats(text: &str) -> bool {
    let decimal = shortest(text);
    !decimal.contains(['.', 'e', 'E']) && decimal.len() > FLOAT_DIGITS
}

/// Whether a number in a text needs more than 14 digits, as what comes from a computation with floats nearly
/// always does; a whole one is meant as it is. As [`Tolerance`] has it of values, but without their text.
pub(super) fn is_long(word: &str) -> bool {
    let decimal = shortest(word);
    if !decimal.contains(['.', 'e', 'E']) {
        return false;
    }
    let digits = decimal.split(['e', 'E']).next().unwrap_or_default();
    let digits = digits.trim_start_matches(['+', '-', '0', '.']).trim_end_matches(['0', '.']);
    digits.bytes().filter(u8::is_ascii_digit).count() >= FLOAT_DIGITS
}

/// The same decimal number without what its scale adds: `0.00` is `0`, `12.50` is `12.5`.
pub(super) fn shortest(text: &str) -> &str {
    if !text.contains('.') || text.contains(['e', 'E']) {
        return if text == "-0" { "0" } else { text };
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "" | "-") { "0" } else { text }
}

/// Appends a row as it is shown: of each value its length and its text, numbers in their shortest form,
/// and what is very long cut.
pub(super) fn push_shown(columns: &[Column], values: &[Option<&str>], shown: &mut Vec<u8>) {
    for (value, column) in values.iter().zip(columns) {
        let Some(text) = value else {
            shown.extend_from_slice(&NULL.to_le_bytes());
            continue;
        };
        let text = if matches!(column.kind, Kind::Number(_)) { shortest(text) } else { text };
        let most = text.len().min(SHOWN_BYTES_MAX);
        let end = (0..=most).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let cut = if end < text.len() { " …" } else { "" };
        shown.extend_from_slice(&((end + cut.len()) as u32).to_le_bytes());
        shown.extend_from_slice(&text.as_bytes()[..end]);
        shown.extend_from_slice(cut.as_bytes());
    }
}

/// A row for people, of columns with these labels.
pub(super) fn named<'c>(labels: impl Iterator<Item = &'c String>, shown: &[u8]) -> Row {
    let mut rest = shown;
    let mut value = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        let length = u32::from_le_bytes(*length);
        if length == NULL {
            return None;
        }
        let (text, after) = rest.split_at_checked(length as usize)?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    labels.map(|label| (label.clone(), value())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        each_part(text, |part| parts.push(part));
        parts
    }

    #[test]
    fn numbers_are_found_and_what_looks_like_them_is_not() {
        use Part::{Between, Number, Quoted};
        assert_eq!(
            parts("{-1.5,NULL}"),
            [Between("{"), Number("-1.5"), Between(","), Between("NULL"), Between("}")]
        );
        assert_eq!(
            parts(r#"{"1": 1e-5,"#),
            [Between("{"), Quoted(r#""1""#), Between(": "), Number("1e-5"), Between(",")]
        );
        assert_eq!(parts(r#""a\"1""#), [Quoted(r#""a\"1""#)]);
        assert_eq!(parts("2023-01-01"), [Between("2023-01-01")]);
        assert_eq!(parts("v1"), [Between("v1")]);
        assert_eq!(parts("\"open 1"), [Quoted("\"open 1")]);
        assert_eq!(parts("\\"), [Between("\\")]);
    }

    #[test]
    fn keys_sort_as_numbers_do() {
        let mut values = [-1e300, -2.0, -1.0, -1e-300, 0.0, 1e-300, 1.0, 2.0, 1e300];
        let sorted = values;
        values.reverse();
        values.sort_by_key(|value| sortable(*value));
        let bits = |values: [f64; 9]| values.map(f64::to_bits);
        assert_eq!(bits(values), bits(sorted));
        assert_eq!(bits(values.map(|value| of_sortable(sortable(value)))), bits(sorted));
    }
}
