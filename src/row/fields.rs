//! Values as COPY BINARY has them, one behind the other.

use super::{ColumnType, literal};

/// Most values of a column that are in memory.
pub(super) const VALUES_MAX: usize = 1 << 24;
/// A field that is NULL, as COPY BINARY has it: a length of −1, and no bytes.
pub(super) const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// What is known of the values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) count: u64,
    /// Bytes of the longest field.
    pub(super) longest: usize,
    /// Characters of the longest text.
    pub(super) chars: u64,
    pub(super) has_nulls: bool,
}

/// Fields, one behind the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    bytes: Box<[u8]>,
    /// Where each ends.
    ends: Box<[u32]>,
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
    facts: Facts,
}

impl SampleBuilder {
    pub(crate) fn new(sql_type: ColumnType) -> Self {
        Self { sql_type, bytes: Vec::new(), ends: Vec::new(), facts: Facts::default() }
    }

    /// The type of the values.
    pub(super) fn sql_type(&self) -> ColumnType {
        self.sql_type
    }

    /// Takes the value that a text stands for; an empty one is NULL.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), SampleFault> {
        if text.is_empty() { self.push_null() } else { self.push_value(text) }
    }

    /// Takes a NULL.
    pub(super) fn push_null(&mut self) -> Result<(), SampleFault> {
        self.facts.has_nulls = true;
        let before = self.bytes.len();
        self.bytes.extend(NULL);
        self.end_field(before)
    }

    /// Takes the value that a text stands for, which may be an empty one.
    pub(crate) fn push_value(&mut self, text: &str) -> Result<(), SampleFault> {
        let sql_type = self.sql_type;
        self.push_with(|out| {
            // No text of the server's has such a character.
            let text = Some(text).filter(|text| !text.contains('\0'))?;
            literal::encode_into(sql_type, text, out)?;
            Some(text.chars().count() as u64)
        })
    }

    /// Takes the value that `write` appends, which returns the number of its characters if it is a text; `None`:
    /// it is none of the type.
    pub(super) fn push_with(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Option<u64>,
    ) -> Result<(), SampleFault> {
        let before = self.bytes.len();
        self.bytes.extend([0; 4]);
        let Some(chars) = write(&mut self.bytes) else {
            self.bytes.truncate(before);
            return Err(SampleFault::Value);
        };
        let length = (self.bytes.len() - before - 4) as u32;
        self.bytes[before..before + 4].copy_from_slice(&length.to_be_bytes());
        self.facts.chars = self.facts.chars.max(chars);
        self.end_field(before)
    }

    fn end_field(&mut self, before: usize) -> Result<(), SampleFault> {
        self.facts.longest = self.facts.longest.max(self.bytes.len() - before);
        self.facts.count += 1;
        self.ends.push(u32::try_from(self.bytes.len()).map_err(|_| SampleFault::TooMany)?);
        if self.ends.len() > VALUES_MAX { Err(SampleFault::TooMany) } else { Ok(()) }
    }

    /// Bytes of the fields that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the fields so far, and not what is known of them.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(super) fn into_fields(self) -> Fields {
        Fields { bytes: self.bytes.into(), ends: self.ends.into() }
    }

    /// What is known of all values so far.
    pub(super) fn facts(&self) -> Facts {
        self.facts
    }
}

impl Fields {
    /// Writes one of them, with its length before it; returns how many bytes that takes.
    #[inline]
    pub(super) fn write(&self, number: usize, space: &mut [u8]) -> usize {
        let Self { bytes, ends } = self;
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
    fn a_text_is_the_value_that_it_stands_for_or_none() {
        let mut wrong = SampleBuilder::new(ColumnType::Integer);
        assert_eq!(wrong.push_value(""), Err(SampleFault::Value));
        assert_eq!((wrong.push("7"), wrong.push("8.5")), (Ok(()), Err(SampleFault::Value)));
        assert_eq!(SampleBuilder::new(ColumnType::Text).push("a\0"), Err(SampleFault::Value));
        let mut bytes = SampleBuilder::new(ColumnType::Bytea);
        assert_eq!((bytes.push("\\x01Ff"), bytes.push("\\x")), (Ok(()), Ok(())));
        for wrong in ["01ff", "\\x0", "\\x0g", "\\x+1"] {
            assert_eq!(bytes.push(wrong), Err(SampleFault::Value), "{wrong}");
        }
        assert_eq!(*bytes.into_fields().bytes, [0, 0, 0, 2, 1, 255, 0, 0, 0, 0]);
    }
}
