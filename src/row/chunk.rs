//! Reusable buffers: filled here, sent by the network layer, back again when it drops them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// One chunk is one CopyData message. Sizes from 8 KiB to 1 MiB showed no clear difference in
/// throughput; memory grows with them. A chunk is larger only where a single row is.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Buffers kept for the next use. One producer has one chunk in hand and one or two on their way.
const KEPT: usize = 4;
/// Of buffers beyond this size one is kept: four of the largest would be 4 GiB.
const SMALL_BYTES: usize = 1 << 20;

/// Lends out chunks and takes them back, so that a steady stream allocates no buffers and clears
/// none: a buffer is zeroed once in its life. Meant for one producer; clones share the buffers.
#[derive(Clone)]
pub struct ChunkPool {
    chunk_bytes: usize,
    kept: Arc<Mutex<Vec<Box<[u8]>>>>,
}

impl ChunkPool {
    /// An empty pool of chunks that have room for `least_bytes`, and for [`CHUNK_BYTES`] at least;
    /// a buffer is made when none has come back yet.
    pub fn new(least_bytes: usize) -> Self {
        Self { chunk_bytes: least_bytes.max(CHUNK_BYTES), kept: Arc::default() }
    }

    /// An empty chunk.
    pub fn take(&self) -> Chunk {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = kept.unwrap_or_else(|| vec![0; self.chunk_bytes].into_boxed_slice());
        Chunk { buffer, len: 0, pool: self.clone() }
    }
}

/// A buffer of its pool's size that is filled from the front. Goes back to its pool when
/// dropped, or when the last clone of its frozen bytes is.
pub struct Chunk {
    buffer: Box<[u8]>,
    len: usize,
    pool: ChunkPool,
}

impl Chunk {
    /// The part not filled yet; what is written to its front is kept by [`Chunk::advance`].
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.buffer[self.len..]
    }

    /// Counts the first `bytes` of the spare part as filled.
    ///
    /// # Panics
    ///
    /// If the spare part is shorter.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.buffer.len() - self.len, "advanced beyond the end of a chunk");
        self.len += bytes;
    }

    /// Appends `bytes`; false, and nothing done, if they do not fit.
    #[must_use]
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        match self.spare().get_mut(..bytes.len()) {
            Some(space) => {
                space.copy_from_slice(bytes);
                self.len += bytes.len();
                true
            }
            None => false,
        }
    }

    /// Number of bytes filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The filled part, ready to be sent.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let most = if buffer.len() > SMALL_BYTES { 1 } else { KEPT };
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < most {
            kept.push(buffer);
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChunkPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkPool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_clone_of_its_bytes_is_dropped() {
        let pool = ChunkPool::new(0);
        let mut chunk = pool.take();
        assert!(chunk.put(b"rows"));
        let address = chunk.as_ref().as_ptr();
        let sent = chunk.freeze();
        let tail = sent.slice(2..);
        assert_eq!((&sent[..], &tail[..]), (&b"rows"[..], &b"ws"[..]));
        drop(sent);
        assert!(pool.kept.lock().unwrap().is_empty());
        std::thread::spawn(move || drop(tail)).join().unwrap();
        let mut again = pool.take();
        assert!(again.is_empty() && again.spare().len() == CHUNK_BYTES);
        assert_eq!(again.spare().as_ptr(), address);
    }

    #[test]
    fn the_pool_keeps_a_few_buffers_and_no_more() {
        for (bytes, most) in [(0, KEPT), (SMALL_BYTES + 1, 1)] {
            let pool = ChunkPool::new(bytes);
            drop((0..20).map(|_| pool.take()).collect::<Vec<_>>());
            assert_eq!(pool.kept.lock().unwrap().len(), most);
        }
    }

    #[test]
    fn a_full_chunk_refuses_more() {
        let mut chunk = ChunkPool::new(0).take();
        chunk.advance(CHUNK_BYTES - 1);
        assert!(!chunk.put(&[1, 2]) && chunk.put(&[1]) && !chunk.put(&[1]) && chunk.put(&[]));
        assert_eq!(chunk.len(), CHUNK_BYTES);
    }
}
