//! One batch as a sequence of chunks: a complete COPY BINARY stream, cut where a chunk is full; or lines of text.

use bytes::Bytes;

use super::encode::{EncodeError, Encoder, HEADER, TRAILER};
use super::{Chunk, ChunkPool, Column, CopyFormat, FileFault, Ids, Lines};
use crate::pace::DueTimes;

/// Encodes batches of one partition, chunk by chunk, into reused buffers.
#[derive(Debug)]
pub struct BatchEncoder {
    encoder: Encoder,
    pool: ChunkPool,
    next_row: u64,
    rows_left: u64,
    due: DueTimes,
    stage: Stage,
    /// What makes text of the rows, where they are sent so.
    lines: Option<Lines>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    Done,
}

impl BatchEncoder {
    /// An encoder of partition `partition`, whose row `seq` has the identity `first_id + seq`.
    ///
    /// # Errors
    /// When the columns cannot be encoded.
    pub fn new(
        columns: &[Column],
        seed: u64,
        partition: u32,
        first_id: i64,
    ) -> Result<Self, EncodeError> {
        Encoder::new(columns, seed, partition, first_id).map(Self::of)
    }

    /// An encoder of one lane, whose rows are numbered by themselves.
    ///
    /// # Errors
    /// When the columns cannot be encoded.
    pub fn of_ids(columns: &[Column], seed: u64, ids: &Ids) -> Result<Self, EncodeError> {
        Encoder::of_ids(columns, seed, ids).map(Self::of)
    }

    fn of(encoder: Encoder) -> Self {
        Self {
            pool: ChunkPool::new(HEADER.len() + encoder.max_row_bytes()),
            encoder,
            next_row: 0,
            rows_left: 0,
            due: DueTimes::constant(0),
            stage: Stage::Done,
            lines: None,
        }
    }

    /// The same that makes its batches in a format, of the columns that it was made of.
    #[must_use]
    pub fn in_format(self, copy_format: CopyFormat, columns: &[Column]) -> Self {
        let lines = match copy_format {
            CopyFormat::Binary => None,
            CopyFormat::Text => Some(Lines::new(columns, self.encoder.max_row_bytes())),
        };
        Self { lines, ..self }
    }

    /// Begins a batch of `rows` rows; `due` yields their due times, Unix microseconds.
    pub fn begin(&mut self, first_row: u64, rows: u64, due: DueTimes) {
        self.next_row = first_row;
        self.rows_left = rows;
        self.due = due;
        self.stage = Stage::Header;
    }

    /// The batch's next chunk, `None` after its last.
    ///
    /// # Errors
    /// When a file of values, of which not all are in memory, is not what it was. The batch has no end then.
    pub fn next_chunk(&mut self) -> Option<Result<Bytes, FileFault>> {
        self.next_chunk_of(|_| {})
    }

    /// The same; `tuples` is given the rows in it as COPY BINARY has them, whatever the format of the batch.
    pub(crate) fn next_chunk_of(
        &mut self,
        tuples: impl FnOnce(&[u8]),
    ) -> Option<Result<Bytes, FileFault>> {
        if self.stage == Stage::Done {
            return None;
        }
        let chunk = self.chunk(tuples);
        if chunk.is_err() {
            self.stage = Stage::Done;
        }
        Some(chunk)
    }

    fn chunk(&mut self, tuples: impl FnOnce(&[u8])) -> Result<Bytes, FileFault> {
        if let Some(lines) = &mut self.lines {
            let encoded = self.encoder.encode(
                lines.tuples(),
                self.next_row,
                self.rows_left,
                &mut self.due,
            )?;
            self.next_row += encoded.rows;
            self.rows_left -= encoded.rows;
            if self.rows_left == 0 {
                self.stage = Stage::Done;
            }
            tuples(&lines.tuples()[..encoded.bytes]);
            return Ok(lines.lines(encoded.bytes));
        }
        let mut chunk: Chunk = self.pool.take();
        if self.stage == Stage::Header {
            let fits = chunk.put(&HEADER);
            debug_assert!(fits, "an empty chunk has room for the header");
            self.stage = Stage::Rows;
        }
        let encoded =
            self.encoder.encode(chunk.spare(), self.next_row, self.rows_left, &mut self.due)?;
        tuples(&chunk.spare()[..encoded.bytes]);
        chunk.advance(encoded.bytes);
        self.next_row += encoded.rows;
        self.rows_left -= encoded.rows;
        // The trailer goes into the last chunk, or into one of its own if that is full.
        if self.rows_left == 0 && chunk.put(&TRAILER) {
            self.stage = Stage::Done;
        }
        Ok(chunk.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{CHUNK_BYTES, ColumnType, Values};

    #[test]
    fn a_batch_is_one_stream_wherever_it_is_cut() {
        // Rows of which many fit into a chunk, and rows that are larger than a usual one.
        a_batch_is_one_stream(300, &[1, 100, 400, 5_000]);
        a_batch_is_one_stream(200_000, &[1, 7]);
    }

    fn a_batch_is_one_stream(max_chars: u32, batches: &[u64]) {
        let columns = [
            Column::new("id", ColumnType::BigInt, Values::RowId),
            Column::new("t", ColumnType::Text, Values::Text { min_chars: 0, max_chars }),
        ];
        let mut encoder = Encoder::new(&columns, 7, 1, 1).unwrap();
        let mut batch = BatchEncoder::new(&columns, 7, 1, 1).unwrap();
        for &rows in batches {
            batch.begin(13, rows, DueTimes::constant(0));
            let chunks: Result<Vec<Bytes>, _> = std::iter::from_fn(|| batch.next_chunk()).collect();
            let chunks = chunks.unwrap();
            let mut whole = vec![0; encoder.max_row_bytes() * rows as usize];
            let encoded = encoder.encode(&mut whole, 13, rows, &mut DueTimes::constant(0)).unwrap();
            assert_eq!(encoded.rows, rows);
            let expected = [&HEADER[..], &whole[..encoded.bytes], &TRAILER[..]].concat();
            assert_eq!(chunks.concat(), expected, "{rows} rows");
            assert!(rows < 7 || chunks.concat().len() < CHUNK_BYTES || chunks.len() > 1);
        }
    }
}
