//! Text that ends in a number: from a table where the numbers are few, formatted where not.

use super::cursor::Cursor;

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

    pub(super) fn put(&self, number: u64, cursor: &mut Cursor<'_>) {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = &digits[start..];
        cursor.put_length(self.prefix.len() + digits.len());
        cursor.put_slice(self.prefix.as_bytes());
        cursor.put_slice(digits);
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
            label.put(number, &mut Cursor::new(&mut field));
            field
        };
        Some(Self { fields: (min..=max).map(field).collect() })
    }

    #[inline]
    pub(super) fn put(&self, offset: u64, cursor: &mut Cursor<'_>) {
        let field = &self.fields[offset as usize];
        let length = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
        cursor.put_front(field, 4 + length as usize);
    }
}
