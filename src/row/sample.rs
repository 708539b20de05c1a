//! Values that stand in a file or a table, encoded once for all who send them.

use std::sync::Arc;

use super::{ColumnType, literal};

/// Most values of a file's column.
pub(crate) const VALUES_MAX: usize = 1 << 24;
/// A field that is NULL, as COPY BINARY has it: a length of −1, and no bytes.
pub(super) const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// The values of a column of a file in the order of its rows, or of a table's in their own, as COPY BINARY has
/// them. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    fields: Arc<Fields>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Fields {
    bytes: Box<[u8]>,
    /// Where each ends.
    ends: Box<[u32]>,
    longest: usize,
    /// Characters of the longest text.
    chars: u64,
    has_nulls: bool,
}

/// Why a value cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SampleFault {
    /// It is none of the type.
    Value,
    /// There are more than [`VALUES_MAX`], or they take more than 4 GiB.
    TooMany,
}

/// Takes values one after the other.
#[derive(Debug)]
pub(crate) struct SampleBuilder {
    sql_type: ColumnType,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    longest: usize,
    chars: u64,
    has_nulls: bool,
}

impl SampleBuilder {
    pub(crate) fn new(sql_type: ColumnType) -> Self {
        let (bytes, ends) = (Vec::new(), Vec::new());
        Self { sql_type, bytes, ends, longest: 0, chars: 0, has_nulls: false }
    }

    /// Takes the value that a text stands for; an empty one is NULL.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), SampleFault> {
        if !text.is_empty() {
            return self.push_value(text);
        }
        self.has_nulls = true;
        let before = self.bytes.len();
        self.bytes.extend(NULL);
        self.end_field(before)
    }

    /// Takes the value that a text stands for, which may be an empty one.
    pub(crate) fn push_value(&mut self, text: &str) -> Result<(), SampleFault> {
        // No text of the server's has such a character.
        let value = Some(text).filter(|text| !text.contains('\0'));
        let value = value.and_then(|text| literal::encode(self.sql_type, text));
        let value = value.ok_or(SampleFault::Value)?;
        let before = self.bytes.len();
        self.bytes.extend((value.len() as u32).to_be_bytes());
        self.bytes.extend(value);
        self.chars = self.chars.max(text.chars().count() as u64);
        self.end_field(before)
    }

    fn end_field(&mut self, before: usize) -> Result<(), SampleFault> {
        self.longest = self.longest.max(self.bytes.len() - before);
        if self.ends.len() >= VALUES_MAX {
            return Err(SampleFault::TooMany);
        }
        self.ends.push(u32::try_from(self.bytes.len()).map_err(|_| SampleFault::TooMany)?);
        Ok(())
    }

    pub(crate) fn build(self) -> Sample {
        let Self { bytes, ends, longest, chars, has_nulls, .. } = self;
        let (bytes, ends) = (bytes.into(), ends.into());
        Sample { fields: Arc::new(Fields { bytes, ends, longest, chars, has_nulls }) }
    }
}

impl Sample {
    /// The values that these texts stand for.
    #[cfg(test)]
    pub(super) fn of(sql_type: ColumnType, texts: &[&str]) -> Self {
        let mut sample = SampleBuilder::new(sql_type);
        texts.iter().for_each(|text| sample.push(text).unwrap());
        sample.build()
    }

    /// The same of keys, of which none is NULL.
    #[cfg(test)]
    pub(super) fn of_keys(sql_type: ColumnType, texts: &[&str]) -> Self {
        let mut sample = SampleBuilder::new(sql_type);
        texts.iter().for_each(|text| sample.push_value(text).unwrap());
        sample.build()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.fields.ends.len()
    }

    /// Whether one of them is NULL.
    pub fn has_nulls(&self) -> bool {
        self.fields.has_nulls
    }

    /// Characters of the longest text among them.
    pub(super) fn chars(&self) -> u64 {
        self.fields.chars
    }

    /// Bytes of the longest field.
    pub(super) fn longest(&self) -> usize {
        self.fields.longest
    }

    /// Writes one of them, with its length before it; returns how many bytes that takes.
    #[inline]
    pub(super) fn write(&self, number: usize, space: &mut [u8]) -> usize {
        let Fields { bytes, ends, .. } = &*self.fields;
        let start = number.checked_sub(1).map_or(0, |before| ends[before] as usize);
        let field = &bytes[start..ends[number] as usize];
        space[..field.len()].copy_from_slice(field);
        field.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_the_one_of_its_row() {
        let sample = Sample::of(ColumnType::Integer, &["7", "", "-1"]);
        assert_eq!((sample.count(), sample.has_nulls(), sample.longest()), (3, true, 8));
        let mut space = [0; 8];
        let mut written = |number| {
            let bytes = sample.write(number, &mut space);
            space[..bytes].to_vec()
        };
        assert_eq!(written(0), [0, 0, 0, 4, 0, 0, 0, 7]);
        assert_eq!(written(1), [255; 4]);
        assert_eq!(written(2), [0, 0, 0, 4, 255, 255, 255, 255]);
        let mut wrong = SampleBuilder::new(ColumnType::Integer);
        assert_eq!(wrong.push_value(""), Err(SampleFault::Value));
        assert_eq!((wrong.push("7"), wrong.push("8.5")), (Ok(()), Err(SampleFault::Value)));
        assert_eq!(SampleBuilder::new(ColumnType::Text).push("a\0"), Err(SampleFault::Value));
    }
}
