//! What stands around the elements of an array of one dimension.

use super::block::InRow;
use crate::row::fields::NULL;
use crate::row::random::Row;

/// The length of the field, the number of dimensions, whether there are NULLs, and the type of the elements.
const HEAD: usize = 4 + 4 + 4 + 4;
/// Of a dimension its length, and the number of its first element.
const DIMENSION: usize = 4 + 4;

/// Where the server numbers elements from, unless told otherwise.
const FIRST_ELEMENT: u32 = 1;

/// Arrays of one type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The number of the elements' type.
    oid: u32,
    /// Whether some of them may be NULL.
    has_nulls: bool,
}

impl Frame {
    /// Of elements of a type with this number, some of which may be NULL.
    pub(super) fn new(oid: u32, has_nulls: bool) -> Self {
        Self { oid, has_nulls }
    }

    /// Most bytes of a field with so many bytes of elements, length included.
    pub(super) fn max_bytes(element_bytes: usize) -> usize {
        HEAD + DIMENSION + element_bytes
    }

    /// Writes the row's field, as the server's `array_send` has it, with so many elements, which `put` appends;
    /// returns its length.
    pub(super) fn write(
        self,
        (row, count): (Row, usize),
        space: &mut [u8],
        put: impl FnOnce(&mut InRow<'_>),
    ) -> usize {
        // An empty array has no dimension.
        let start = if count == 0 { HEAD } else { HEAD + DIMENSION };
        let mut elements = InRow::elements(row, count, &mut space[start..]);
        put(&mut elements);
        let end = start + elements.bytes();
        let has_nulls = self.has_nulls && holds_null(&space[start..end]);
        let dimensions = u32::from(count > 0);
        let head =
            [end as u32 - 4, dimensions, has_nulls.into(), self.oid, count as u32, FIRST_ELEMENT];
        for (bytes, number) in space[..start].chunks_exact_mut(4).zip(head) {
            bytes.copy_from_slice(&number.to_be_bytes());
        }
        end
    }
}

/// Whether one of the fields is NULL.
fn holds_null(mut fields: &[u8]) -> bool {
    while let Some((length, rest)) = fields.split_first_chunk() {
        if *length == NULL {
            return true;
        }
        fields = rest.get(u32::from_be_bytes(*length) as usize..).unwrap_or_default();
    }
    false
}
