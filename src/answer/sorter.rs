//! Sorts an answer's rows by their keys within bounded memory: what does not fit is sorted in runs on
//! disk, which are merged as they are read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::AnswerError;
use super::value::HASH_BYTES;

/// Bytes that are read of a run at a time.
const READ_BYTES: usize = 64 * 1024;
/// Lengths of key, tie and shown row.
const HEADER_BYTES: usize = 3 * size_of::<u32>();
/// Written at a time.
const WRITE_BYTES: usize = 256 * 1024;

/// Takes rows.
pub(super) struct Sorter {
    memory_bytes: usize,
    disk_bytes: u64,
    held: Held,
    /// Unnamed, so that nothing is left behind whatever happens.
    file: Option<BufWriter<File>>,
    written: u64,
    /// Where each sorted run on disk ends.
    ends: Vec<u64>,
}

/// Rows in memory: their records one behind the other, and what they are sorted by.
#[derive(Default)]
struct Held {
    records: Vec<u8>,
    entries: Vec<Entry>,
}

/// The first bytes of a key, and where its record is.
struct Entry {
    hash: u128,
    number: u64,
    at: u32,
}

/// A row as it is sorted: its key, what it ties by, and what is shown of it.
#[derive(Debug, Clone, Copy)]
struct Record<'r> {
    key: &'r [u8],
    tie: &'r [u8],
    shown: &'r [u8],
}

impl<'r> Record<'r> {
    /// Reads a record whose bytes start here; `None` if there are not enough.
    fn read(bytes: &'r [u8]) -> Option<Self> {
        let [key, tie, shown] = lengths(bytes)?;
        let (key, rest) = bytes[HEADER_BYTES..].split_at_checked(key)?;
        let (tie, rest) = rest.split_at_checked(tie)?;
        Some(Self { key, tie, shown: rest.get(..shown)? })
    }

    fn size(self) -> usize {
        HEADER_BYTES + self.key.len() + self.tie.len() + self.shown.len()
    }
}

fn lengths(bytes: &[u8]) -> Option<[usize; 3]> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let length =
        |at: usize| header.as_chunks::<4>().0.get(at).map(|word| u32::from_le_bytes(*word));
    Some([length(0)? as usize, length(1)? as usize, length(2)? as usize])
}

impl Held {
    fn add(&mut self, Record { key, tie, shown }: Record<'_>) {
        let hash = key.first_chunk::<HASH_BYTES>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        let number = key.get(HASH_BYTES..).and_then(|rest| rest.first_chunk::<8>());
        let number = number.map_or(0, |bytes| u64::from_be_bytes(*bytes));
        self.entries.push(Entry { hash, number, at: self.records.len() as u32 });
        for part in [key, tie, shown] {
            self.records.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        [key, tie, shown].iter().for_each(|part| self.records.extend_from_slice(part));
    }

    fn bytes(&self) -> usize {
        self.records.len() + self.entries.len() * size_of::<Entry>()
    }

    fn record(&self, at: usize) -> Option<Record<'_>> {
        Record::read(self.records.get(at..)?)
    }

    fn key(&self, at: u32) -> &[u8] {
        self.record(at as usize).map_or(&[], |record| record.key)
    }

    fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        // Most keys differ in what is at hand.
        entries.sort_unstable_by(|a, b| {
            let at_hand = (a.hash, a.number).cmp(&(b.hash, b.number));
            at_hand.then_with(|| self.key(a.at).cmp(self.key(b.at)))
        });
        self.entries = entries;
    }
}

impl Sorter {
    /// At most about `memory_bytes` are held in memory, and `disk_bytes` on disk.
    pub(super) fn new(memory_bytes: usize, disk_bytes: u64) -> Self {
        // Records are found by 32 bits.
        let memory_bytes = memory_bytes.min(1 << 30);
        let held = Held::default();
        Self { memory_bytes, disk_bytes, held, file: None, written: 0, ends: Vec::new() }
    }

    /// Takes a row.
    pub(super) fn add(&mut self, key: &[u8], tie: &[u8], shown: &[u8]) -> Result<(), AnswerError> {
        self.held.add(Record { key, tie, shown });
        if self.held.bytes() > self.memory_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), AnswerError> {
        self.held.sort();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::with_capacity(WRITE_BYTES, tempfile::tempfile()?)),
        };
        for entry in &self.held.entries {
            let from = entry.at as usize;
            let Some(record) = self.held.record(from) else { continue };
            file.write_all(&self.held.records[from..from + record.size()])?;
        }
        self.written += self.held.records.len() as u64;
        self.ends.push(self.written);
        self.held.records.clear();
        self.held.entries.clear();
        if self.written > self.disk_bytes {
            return Err(AnswerError::TooLarge { bytes: self.disk_bytes });
        }
        Ok(())
    }

    /// The rows, sorted. What has outgrown the memory once is all on disk.
    pub(super) fn sorted(mut self) -> Result<Sorted, AnswerError> {
        if self.file.is_none() {
            self.held.sort();
            return Ok(Sorted { held: self.held, file: None, ends: Vec::new() });
        }
        if !self.held.entries.is_empty() {
            self.spill()?;
        }
        let file = self.file.map(BufWriter::into_inner).transpose();
        let file = file.map_err(io::IntoInnerError::into_error)?;
        Ok(Sorted { held: Held::default(), file, ends: self.ends })
    }
}

/// Rows in the order of their keys.
pub(super) struct Sorted {
    held: Held,
    file: Option<File>,
    ends: Vec<u64>,
}

/// A row of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Sorted {
    /// What is shown of a row, and what it ties by.
    pub(super) fn row(&self, place: Place) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let Some(file) = &self.file else {
            let record = self.held.record(place.0 as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
            return Ok((record.shown.to_vec(), record.tie.to_vec()));
        };
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, place.0)?;
        let [key, tie, shown] = lengths(&header).unwrap_or_default();
        let mut rest = vec![0; tie + shown];
        file.read_exact_at(&mut rest, place.0 + (HEADER_BYTES + key) as u64)?;
        let shown = rest.split_off(tie);
        Ok((shown, rest))
    }

    /// Reads them from the first to the last.
    pub(super) fn reader(&self) -> io::Result<Reader<'_>> {
        let Some(file) = &self.file else {
            return Ok(Reader { held: Some((&self.held, 0)), runs: Vec::new(), heap: Vec::new() });
        };
        let mut runs = Vec::with_capacity(self.ends.len());
        let mut from = 0;
        for end in &self.ends {
            let mut run = Run { file, next: from, end: *end, bytes: Vec::new(), at: 0 };
            run.fill()?;
            runs.push(run);
            from = *end;
        }
        let heap = (0..runs.len()).collect();
        let mut reader = Reader { held: None, runs, heap };
        (0..reader.heap.len()).rev().for_each(|at| reader.sift_down(at));
        Ok(reader)
    }
}

/// Merges the runs.
pub(super) struct Reader<'s> {
    /// The rows in memory, if they are there, and the next of them.
    held: Option<(&'s Held, usize)>,
    runs: Vec<Run<'s>>,
    /// The runs that are not over, as a heap: the least key first.
    heap: Vec<usize>,
}

impl Reader<'_> {
    /// The next row's key and place.
    pub(super) fn peek(&self) -> Option<(&[u8], Place)> {
        if let Some((held, next)) = self.held {
            let at = held.entries.get(next)?.at;
            return Some((held.key(at), Place(u64::from(at))));
        }
        let run = &self.runs[*self.heap.first()?];
        Some((run.key(), run.place()))
    }

    /// Goes on to the one behind it.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if let Some((_, next)) = &mut self.held {
            *next += 1;
            return Ok(());
        }
        let Some(first) = self.heap.first().copied() else { return Ok(()) };
        self.runs[first].advance()?;
        if self.runs[first].is_over() {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut at: usize) {
        let key = |heap: &[usize], at: usize| self.runs[heap[at]].key();
        let heap = &mut self.heap;
        loop {
            let children = [2 * at + 1, 2 * at + 2];
            let least = children.into_iter().filter(|child| *child < heap.len());
            let Some(least) = least.min_by(|a, b| key(heap, *a).cmp(key(heap, *b))) else { return };
            if key(heap, at) <= key(heap, least) {
                return;
            }
            heap.swap(at, least);
            at = least;
        }
    }
}

/// A sorted run on disk, read on from its start.
struct Run<'s> {
    file: &'s File,
    /// What was not read yet.
    next: u64,
    end: u64,
    /// What was read, and where in it the current record is.
    bytes: Vec<u8>,
    at: usize,
}

impl Run<'_> {
    fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn record(&self) -> Option<Record<'_>> {
        Record::read(self.bytes.get(self.at..)?)
    }

    fn key(&self) -> &[u8] {
        self.record().map_or(&[], |record| record.key)
    }

    fn place(&self) -> Place {
        Place(self.next - (self.bytes.len() - self.at) as u64)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.at += self.record().map_or(0, Record::size);
        self.fill()
    }

    /// Has the current record in memory as a whole, unless the run is over.
    fn fill(&mut self) -> io::Result<()> {
        while self.record().is_none() && self.next < self.end {
            self.bytes.drain(..std::mem::take(&mut self.at));
            let more = (self.end - self.next).min(READ_BYTES as u64) as usize;
            let had = self.bytes.len();
            self.bytes.resize(had + more, 0);
            self.file.read_exact_at(&mut self.bytes[had..], self.next)?;
            self.next += more as u64;
        }
        Ok(())
    }
}
