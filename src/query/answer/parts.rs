//! An answer cut into parts: rows that may be the same lie in the same part. In memory while they
//! are few, on disk when they are many.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// Number of parts. An answer of 64 times the memory still fits.
pub(super) const PARTS: usize = 64;

/// One answer.
pub(super) struct Parts {
    each: Vec<Part>,
    held_bytes: usize,
    memory_bytes: usize,
}

#[derive(Default)]
struct Part {
    held: Vec<u8>,
    /// Unnamed, so that nothing is left behind whatever happens.
    spilled: Option<BufWriter<File>>,
}

impl Parts {
    pub(super) fn new(memory_bytes: usize) -> Self {
        let each = (0..PARTS).map(|_| Part::default()).collect();
        Self { each, held_bytes: 0, memory_bytes }
    }

    /// Adds a row to a part.
    pub(super) fn add(&mut self, part: usize, row: &[u8]) -> io::Result<()> {
        let held = &mut self.each[part % PARTS].held;
        held.extend_from_slice(&(row.len() as u32).to_le_bytes());
        held.extend_from_slice(row);
        self.held_bytes += row.len() + size_of::<u32>();
        if self.held_bytes > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        for part in self.each.iter_mut().filter(|part| !part.held.is_empty()) {
            let file = match &mut part.spilled {
                Some(file) => file,
                none => none.insert(BufWriter::new(tempfile::tempfile()?)),
            };
            file.write_all(&part.held)?;
            part.held = Vec::new();
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Takes a part's rows.
    pub(super) fn take(&mut self, part: usize) -> io::Result<PartRows> {
        let Part { held, spilled } = std::mem::take(&mut self.each[part]);
        let mut bytes = Vec::new();
        if let Some(spilled) = spilled {
            let mut file = spilled.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
        }
        if bytes.is_empty() {
            bytes = held;
        } else {
            bytes.extend_from_slice(&held);
        }
        Ok(PartRows(bytes))
    }
}

/// The rows of a part, one behind the other.
pub(super) struct PartRows(Vec<u8>);

impl PartRows {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (row, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(row)
        })
    }
}
