//! Texts of fixed pieces and placeholders, `order-{digits:6}`, and JSON documents made the same way.
//!
//! A document for a `jsonb` column is put into the form that PostgreSQL gives back, so that what is
//! read back can be compared byte for byte with what was sent.

mod json;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::check::ColumnFault;
use super::numeric::units_of;
use super::pick::Zipf;
use super::words::WORDS;

/// Most characters that one placeholder stands for.
const CHARS_MAX: u32 = 1_000_000;
/// Names of placeholders, each as it is written.
pub(super) const PLACEHOLDERS: &str = "{hex:8}, {digits:4}, {letters:5}, {integer:1..100}, {zipf:1..100}, \
                                       {decimal:1.00..9.99}, {choice:a|b}, {word}, {words:2..6}, \
                                       {sentence:4..9}, {uuid} or {row_id}";

/// A text with placeholders, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// As it is.
    Fixed(String),
    /// So many characters of an alphabet of ASCII.
    Chars(&'static [u8], u32),
    /// A whole number.
    Integer(i64, i64),
    /// A whole number, a few of them hot.
    Zipf(i64, i64, Zipf),
    /// A decimal in units of its scale.
    Decimal(i64, i64, u16),
    /// One of these texts, as they stand in the value.
    Choice(Vec<String>),
    /// So many words.
    Words(u32, u32),
    /// So many words with a capital first letter and a full stop.
    Sentence(u32, u32),
    /// A random UUID in its usual form.
    Uuid,
    /// The row's identity.
    RowId,
}

const HEX: &[u8] = b"0123456789abcdef";
const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

fn fault(fact: String, fix: impl Into<Cow<'static, str>>) -> ColumnFault {
    ColumnFault::Setting { fact, fix: fix.into() }
}

impl Pattern {
    /// Reads a pattern of plain text.
    ///
    /// # Errors
    /// When a placeholder is none.
    pub fn of_text(text: &str) -> Result<Self, ColumnFault> {
        Ok(Self { text: text.to_owned(), parts: parts(text)? })
    }

    /// Reads a pattern of a JSON document; `binary`: of the form that `jsonb` has.
    ///
    /// # Errors
    /// When a placeholder is none, or what comes of the pattern would be no JSON.
    pub fn of_json(text: &str, binary: bool) -> Result<Self, ColumnFault> {
        Ok(Self { text: text.to_owned(), parts: json::parts(parts(text)?, binary)? })
    }

    /// As it was written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// The fixed texts before and behind its one `{row_id}`, if there is nothing else in it.
    pub(super) fn around_row_id(&self) -> Option<(String, String)> {
        let mut around = (String::new(), String::new());
        let mut is_behind = false;
        for part in &self.parts {
            match part {
                Part::Fixed(text) if is_behind => around.1.push_str(text),
                Part::Fixed(text) => around.0.push_str(text),
                Part::RowId if !is_behind => is_behind = true,
                _ => return None,
            }
        }
        is_behind.then_some(around)
    }

    /// Whether the row's number is in it.
    pub(super) fn has_row_id(&self) -> bool {
        self.parts().contains(&Part::RowId)
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Most characters of a value.
    pub(super) fn chars_max(&self) -> u64 {
        self.parts.iter().map(|part| part.most(|text| text.chars().count())).sum()
    }

    /// Most bytes of a value.
    pub(super) fn bytes_max(&self) -> usize {
        self.parts.iter().map(|part| part.most(str::len) as usize).sum()
    }

    /// How many values there are, roughly.
    pub(super) fn distinct(&self) -> f64 {
        self.parts.iter().map(Part::distinct).product()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Part {
    /// Most of what `length` counts.
    fn most(&self, length: impl Fn(&str) -> usize) -> u64 {
        let number = |value: i64| value.to_string().len() as u64;
        let word = WORDS.iter().map(|word| word.len()).max().unwrap_or_default() as u64 + 1;
        match self {
            Self::Fixed(text) => length(text) as u64,
            Self::Chars(_, count) => u64::from(*count),
            Self::Integer(min, max) | Self::Zipf(min, max, _) => number(*min).max(number(*max)),
            Self::Decimal(min, max, scale) => {
                // A sign, a zero and a point.
                number(*min).max(number(*max)).max(u64::from(*scale)) + 3
            }
            Self::Choice(of) => of.iter().map(|text| length(text)).max().unwrap_or(0) as u64,
            Self::Words(_, max) | Self::Sentence(_, max) => u64::from(*max) * word,
            Self::Uuid => 36,
            Self::RowId => 20,
        }
    }

    fn distinct(&self) -> f64 {
        let numbers = |min: i64, max: i64| max as f64 - min as f64 + 1.0;
        match self {
            Self::Fixed(_) => 1.0,
            Self::Chars(alphabet, count) => (alphabet.len() as f64).powf(f64::from(*count)),
            Self::Integer(min, max) | Self::Zipf(min, max, _) | Self::Decimal(min, max, _) => {
                numbers(*min, *max)
            }
            Self::Choice(of) => of.len() as f64,
            Self::Words(_, max) | Self::Sentence(_, max) => {
                (WORDS.len() as f64).powf(f64::from(*max))
            }
            Self::Uuid | Self::RowId => f64::INFINITY,
        }
    }
}

/// Cuts a pattern into its parts. A brace opens a placeholder if a lower-case letter follows it; before one,
/// two of them are one of the text.
fn parts(text: &str) -> Result<Vec<Part>, ColumnFault> {
    if text.contains('\0') {
        return Err(ColumnFault::Nul);
    }
    let (mut parts, mut fixed, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        let after = &from[1..];
        fixed.push_str(before);
        let opens = |text: &str| text.starts_with(|char: char| char.is_ascii_lowercase());
        if let Some(after) = after.strip_prefix('{').filter(|after| opens(after)) {
            fixed.push('{');
            rest = after;
        } else if opens(after) {
            let Some((inner, after)) = after.split_once('}') else {
                let shown: String = from.chars().take(20).collect();
                let fix = "close it with `}`, or write `{{` for a brace";
                return Err(fault(format!("the placeholder `{shown}` has no end"), fix));
            };
            if !fixed.is_empty() {
                parts.push(Part::Fixed(std::mem::take(&mut fixed)));
            }
            parts.push(placeholder(inner)?);
            rest = after;
        } else {
            fixed.push('{');
            rest = after;
        }
    }
    fixed.push_str(rest);
    if !fixed.is_empty() || parts.is_empty() {
        parts.push(Part::Fixed(fixed));
    }
    Ok(parts)
}

/// Reads what stands between the braces.
fn placeholder(inner: &str) -> Result<Part, ColumnFault> {
    let (name, argument) = inner.split_once(':').map_or((inner, None), |(a, b)| (a, Some(b)));
    let wrong = |example: &str| {
        fault(format!("`{{{inner}}}` cannot be read"), format!("write it such as `{example}`"))
    };
    let chars = |alphabet, example: &str| {
        let count = argument.and_then(|count| count.parse().ok());
        let count = count.filter(|count| (1..=CHARS_MAX).contains(count));
        Ok(Part::Chars(alphabet, count.ok_or_else(|| wrong(example))?))
    };
    let words = |example: &str| {
        let of = argument.and_then(range::<u32>).filter(|(min, max)| *min >= 1 && *max <= 10_000);
        of.ok_or_else(|| wrong(example))
    };
    match name {
        "hex" => chars(HEX, "{hex:8}"),
        "digits" => chars(DIGITS, "{digits:4}"),
        "letters" => chars(LETTERS, "{letters:5}"),
        "integer" => {
            let ends = argument.and_then(range::<i64>);
            ends.map(|(min, max)| Part::Integer(min, max)).ok_or_else(|| wrong("{integer:1..100}"))
        }
        "zipf" => argument.and_then(ranked).ok_or_else(|| wrong("{zipf:1..1000:1.1}")),
        "decimal" => argument.and_then(decimal).ok_or_else(|| wrong("{decimal:1.00..9.99}")),
        "choice" => {
            let of = argument.ok_or_else(|| wrong("{choice:new|paid}"))?.split('|');
            Ok(Part::Choice(of.map(str::to_owned).collect()))
        }
        "words" => words("{words:2..6}").map(|(min, max)| Part::Words(min, max)),
        "sentence" => words("{sentence:4..9}").map(|(min, max)| Part::Sentence(min, max)),
        "word" | "uuid" | "row_id" if argument.is_some() => Err(wrong(&format!("{{{name}}}"))),
        "word" => Ok(Part::Words(1, 1)),
        "uuid" => Ok(Part::Uuid),
        "row_id" => Ok(Part::RowId),
        _ => {
            let fix = format!("write {PLACEHOLDERS}; or `{{{{` for a brace");
            Err(fault(format!("`{{{inner}}}` is no placeholder"), fix))
        }
    }
}

/// `1..100`, in order.
fn range<T: FromStr + PartialOrd>(text: &str) -> Option<(T, T)> {
    let (min, max) = text.split_once("..")?;
    let (min, max) = (min.trim().parse().ok()?, max.trim().parse().ok()?);
    (min <= max).then_some((min, max))
}

/// `1..1000` or `1..1000:1.1`.
fn ranked(text: &str) -> Option<Part> {
    let (ends, exponent) = text.split_once(':').unwrap_or((text, "1"));
    let (min, max) = range::<i64>(ends)?;
    let zipf = Zipf::new(exponent.trim().parse().ok()?);
    zipf.takes(max.abs_diff(min).checked_add(1)).then_some(Part::Zipf(min, max, zipf))
}

/// `1.00..9.99`, both ends with as many decimals.
fn decimal(text: &str) -> Option<Part> {
    let (min, max) = text.split_once("..")?;
    let (min, max) = (min.trim(), max.trim());
    let decimals = |end: &str| end.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = decimals(min).max(decimals(max)) as u16;
    let (min, max) = (units_of(min, scale)?, units_of(max, scale)?);
    let limits: RangeInclusive<u16> = 0..=18;
    (min <= max && limits.contains(&scale)).then_some(Part::Decimal(min, max, scale))
}
