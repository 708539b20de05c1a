//! Fields that are made beforehand, and text that ends in a number: from a table of such fields
//! where the numbers are few, formatted where not.

use super::draw::put_digits;

/// Most labels kept in a table; with 16 bytes each they stay in the second-level cache.
const TABLE_LABELS_MAX: u64 = 4_096;

/// `prefix` and a number.
#[derive(Debug, Clone)]
pub(super) struct NumberedText {
    prefix: Box<str>,
    max_bytes: usize,
}

impl NumberedText {
    pub(super) fn new(prefix: &str, max: u64) -> Self {
        let digits = max.checked_ilog10().unwrap_or(0) as usize + 1;
        Self { prefix: prefix.into(), max_bytes: 4 + prefix.len() + digits }
    }

    /// Most bytes of a field, length included.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Writes the field with number `number`; returns its length.
    pub(super) fn write(&self, number: u64, out: &mut [u8]) -> usize {
        let prefix = self.prefix.as_bytes();
        out[4..4 + prefix.len()].copy_from_slice(prefix);
        let end = 4 + prefix.len() + put_digits(number, 0, &mut out[4 + prefix.len()..]);
        out[..4].copy_from_slice(&(end as u32 - 4).to_be_bytes());
        end
    }
}

/// Encoded fields of up to `N` bytes, each padded to that.
#[derive(Debug, Clone)]
pub(super) struct Table<const N: usize> {
    fields: Box<[[u8; N]]>,
}

impl<const N: usize> Table<N> {
    /// `None` if there are too many labels, or one is too long.
    pub(super) fn new(label: &NumberedText, min: u64, max: u64) -> Option<Self> {
        if max - min >= TABLE_LABELS_MAX || label.max_bytes > N {
            return None;
        }
        let field = |number| {
            let mut field = [0; N];
            label.write(number, &mut field);
            field
        };
        Some(Self { fields: (min..=max).map(field).collect() })
    }

    /// Of these fields; `None` if one is too long.
    pub(super) fn of(fields: &[Vec<u8>]) -> Option<Self> {
        let padded = |field: &Vec<u8>| {
            let mut padded = [0; N];
            padded.get_mut(..field.len())?.copy_from_slice(field);
            Some(padded)
        };
        Some(Self { fields: fields.iter().map(padded).collect::<Option<_>>()? })
    }

    /// Writes the field with the least number plus `offset`; returns its length. The padding is
    /// written too, since a copy of fixed size is a load and a store.
    #[inline]
    pub(super) fn write(&self, offset: u64, out: &mut [u8]) -> usize {
        let field = &self.fields[offset as usize];
        out[..N].copy_from_slice(field);
        4 + u32::from_be_bytes([field[0], field[1], field[2], field[3]]) as usize
    }
}
