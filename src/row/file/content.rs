//! What a file holds: all of it in memory, or the open file, of which it is known whether it is still what it was.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that are read at a time where all are read one behind the other.
const CHUNK: usize = 1 << 20;

/// What a file holds. Clones share it.
#[derive(Debug, Clone)]
pub enum Content {
    /// All of it, in memory.
    Whole(Bytes),
    /// The file itself, which is too large for that.
    Open(Arc<OpenFile>),
}

/// A file as it was when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    path: String,
    file: File,
    stamp: Stamp,
}

/// What another file has otherwise, or this one when somebody writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    file: (u64, u64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            file: (metadata.dev(), metadata.ino()),
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Whole(text.into())
    }
}

impl Content {
    /// Opens a file, and reads it if it has up to so many bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path, in_memory_max: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if stamp.bytes > in_memory_max {
            let path = path.display().to_string();
            return Ok(Self::Open(Arc::new(OpenFile { path, file, stamp })));
        }
        // No more than it takes to see that it is larger than it says: some have no end.
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(in_memory_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > in_memory_max {
            return Err(io::Error::other("it has more bytes than its length says"));
        }
        Ok(Self::Whole(bytes.into()))
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Open(open) => open.stamp.bytes,
        }
    }

    /// Fills the space with what stands at this place.
    ///
    /// # Errors
    /// When there are not as many bytes, or they cannot be read.
    pub(super) fn read_at(&self, at: u64, space: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Whole(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..space.len()));
                space.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Self::Open(open) => open.file.read_exact_at(space, at),
        }
    }

    /// So many bytes from a place on, or as many as there are.
    pub(super) fn append_at(&self, at: u64, bytes: usize, to: &mut Vec<u8>) -> io::Result<()> {
        let bytes = bytes.min(usize::try_from(self.bytes().saturating_sub(at)).unwrap_or(bytes));
        let before = to.len();
        to.resize(before + bytes, 0);
        self.read_at(at, &mut to[before..])
    }

    /// Gives out its first `bytes` bytes one chunk after the other.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each_chunk(&self, bytes: u64, mut see: impl FnMut(&[u8])) -> io::Result<()> {
        if let Self::Whole(own) = self {
            see(&own[..usize::try_from(bytes).map_or(own.len(), |bytes| bytes.min(own.len()))]);
            return Ok(());
        }
        let (mut at, end) = (0, bytes.min(self.bytes()));
        let mut chunk = Vec::with_capacity(CHUNK);
        while at < end {
            chunk.clear();
            let left = usize::try_from(end - at).unwrap_or(CHUNK);
            self.append_at(at, left.min(CHUNK), &mut chunk)?;
            see(&chunk);
            at += chunk.len() as u64;
        }
        Ok(())
    }

    /// The same of all that it holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_chunk_of_all(&self, see: impl FnMut(&[u8])) -> io::Result<()> {
        self.each_chunk(self.bytes(), see)
    }

    /// Why it is not what it was when it was opened, if it is not.
    pub fn change(&self) -> Option<String> {
        let Self::Open(open) = self else { return None };
        match std::fs::metadata(&open.path) {
            Err(error) => Some(format!("`{}` is gone: {error}", open.path)),
            Ok(now) if Stamp::of(&now) != open.stamp => {
                Some(format!("`{}` has changed since it was opened", open.path))
            }
            Ok(_) => None,
        }
    }
}
