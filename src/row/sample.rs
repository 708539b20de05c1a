//! Values that stand in a file, encoded once for all who send them.

use std::sync::Arc;

use super::{ColumnType, literal};

/// Most values of a file's column.
pub(crate) const VALUES_MAX: usize = u32::MAX as usize;
/// A field that is NULL, as COPY BINARY has it: a length of −1, and no bytes.
pub(super) const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// The values of a column of a file, in the order of its rows, as COPY BINARY has them. Clones share them.
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

/// Why a file's column has no values of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SampleFault {
    /// This value, counted from 0, is none of the type.
    Value(usize),
    /// They take more than 4 GiB.
    TooLarge,
}

impl Sample {
    /// The values that these texts stand for; an empty one is NULL.
    pub(crate) fn encode<'t>(
        sql_type: ColumnType,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, SampleFault> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let (mut longest, mut chars, mut has_nulls) = (0, 0, false);
        for (number, text) in texts.into_iter().enumerate() {
            let before = bytes.len();
            if text.is_empty() {
                has_nulls = true;
                bytes.extend(NULL);
            } else {
                let value = literal::encode(sql_type, text).ok_or(SampleFault::Value(number))?;
                bytes.extend((value.len() as u32).to_be_bytes());
                bytes.extend(value);
                chars = chars.max(text.chars().count() as u64);
            }
            longest = longest.max(bytes.len() - before);
            ends.push(u32::try_from(bytes.len()).map_err(|_| SampleFault::TooLarge)?);
        }
        let (bytes, ends) = (bytes.into(), ends.into());
        Ok(Self { fields: Arc::new(Fields { bytes, ends, longest, chars, has_nulls }) })
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
        let sample = Sample::encode(ColumnType::Integer, ["7", "", "-1"]).unwrap();
        assert_eq!((sample.count(), sample.has_nulls(), sample.longest()), (3, true, 8));
        let mut space = [0; 8];
        let mut written = |number| {
            let bytes = sample.write(number, &mut space);
            space[..bytes].to_vec()
        };
        assert_eq!(written(0), [0, 0, 0, 4, 0, 0, 0, 7]);
        assert_eq!(written(1), [255; 4]);
        assert_eq!(written(2), [0, 0, 0, 4, 255, 255, 255, 255]);
        let wrong = Sample::encode(ColumnType::Integer, ["7", "8.5"]);
        assert_eq!(wrong, Err(SampleFault::Value(1)));
    }
}
