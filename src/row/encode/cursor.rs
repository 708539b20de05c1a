//! The unwritten rest of the buffer, and how fields are put into it.

/// Writes from the front to the back. Writing beyond the end is a bug of the encoder, which makes
/// sure of the room before each row, and panics.
pub(super) struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { rest: out }
    }

    /// Bytes left.
    #[inline]
    pub(super) fn space(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.put_front(&bytes, N);
    }

    /// Keeps the first `used` of `bytes`, but moves them all: a move of fixed size is a load and a
    /// store, where one of any size is a call.
    #[inline]
    pub(super) fn put_front<const N: usize>(&mut self, bytes: &[u8; N], used: usize) {
        self.rest[..N].copy_from_slice(bytes);
        self.skip(used);
    }

    #[inline]
    pub(super) fn put_slice(&mut self, bytes: &[u8]) {
        self.rest[..bytes.len()].copy_from_slice(bytes);
        self.skip(bytes.len());
    }

    #[inline]
    pub(super) fn put_length(&mut self, bytes: usize) {
        self.put((bytes as u32).to_be_bytes());
    }

    #[inline]
    pub(super) fn put_i16(&mut self, value: i16) {
        let [high, low] = value.to_be_bytes();
        self.put([0, 0, 0, 2, high, low]);
    }

    #[inline]
    pub(super) fn put_i32(&mut self, value: i32) {
        self.put((4 << 32 | u64::from(value as u32)).to_be_bytes());
    }

    #[inline]
    pub(super) fn put_i64(&mut self, value: i64) {
        let mut field = [0; 12];
        field[..4].copy_from_slice(&8_u32.to_be_bytes());
        field[4..].copy_from_slice(&value.to_be_bytes());
        self.put(field);
    }

    #[inline]
    fn skip(&mut self, bytes: usize) {
        self.rest = &mut std::mem::take(&mut self.rest)[bytes..];
    }
}
