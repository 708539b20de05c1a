//! Rows in COPY's text format, for servers that take no other.

use bytes::Bytes;
use serde::Serialize;

use super::text::{next_field, value_text};
use super::{CHUNK_BYTES, Column, ColumnType};

/// The format of COPY in which rows are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyFormat {
    /// COPY BINARY.
    #[default]
    Binary,
    /// Lines of text.
    Text,
}

impl CopyFormat {
    /// That of a server that takes COPY BINARY, or does not.
    pub(crate) fn of(takes_binary: bool) -> Self {
        if takes_binary { Self::Binary } else { Self::Text }
    }

    /// What a COPY says of it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Binary => " (FORMAT binary)",
            // What COPY takes without a word, which more servers understand.
            Self::Text => "",
        }
    }
}

/// Makes lines of tuples.
///
/// Each value is a text of its own on its way: this is for servers that lack something, and not for speed.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    types: Vec<ColumnType>,
    tuples: Box<[u8]>,
}

impl Lines {
    /// For rows of these columns, of up to so many bytes in binary.
    pub(crate) fn new(columns: &[Column], row_bytes_max: usize) -> Self {
        // Texts are longer than what they are made of, by a factor of about two.
        let bytes = row_bytes_max.max(CHUNK_BYTES / 2);
        let types = columns.iter().map(|column| column.sql_type).collect();
        Self { types, tuples: vec![0; bytes].into() }
    }

    /// Tuples of these columns as lines.
    pub(crate) fn of(columns: &[Column], tuples: &[u8]) -> Bytes {
        let types = columns.iter().map(|column| column.sql_type).collect();
        let own = Self { types, tuples: tuples.into() };
        own.lines(tuples.len())
    }

    /// Where tuples are written to.
    pub(crate) fn tuples(&mut self) -> &mut [u8] {
        &mut self.tuples
    }

    /// The first `bytes` of the tuples as lines.
    pub(crate) fn lines(&self, bytes: usize) -> Bytes {
        let mut out = String::with_capacity(bytes * 2);
        let mut rest = &self.tuples[..bytes];
        while let Some((_, fields)) = rest.split_at_checked(2) {
            rest = fields;
            for (at, sql_type) in self.types.iter().enumerate() {
                if at > 0 {
                    out.push('\t');
                }
                match next_field(&mut rest) {
                    Some(value) => escape(&value_text(*sql_type, value), &mut out),
                    None => out.push_str("\\N"),
                }
            }
            out.push('\n');
        }
        out.into()
    }
}

/// Writes a value so that nothing in it is taken for an end, a tab or NULL.
fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::DueTimes;
    use crate::row::{BatchEncoder, Pick, Values};

    #[test]
    fn a_batch_is_lines_of_escaped_values() {
        let prefix = "a\tb\\N\nc".to_owned();
        let label = Values::Label { prefix, min: 7, max: 7, pick: Pick::default() };
        let columns = [
            Column::new("id", ColumnType::BigInt, Values::RowId),
            Column::new("t", ColumnType::Text, label),
            Column::new("at", ColumnType::TimestampTz, Values::DueTime),
        ];
        let mut batch =
            BatchEncoder::new(&columns, 7, 1, 1).unwrap().in_format(CopyFormat::Text, &columns);
        batch.begin(0, 20_000, DueTimes::constant(0));
        let chunks: Result<Vec<Bytes>, _> = std::iter::from_fn(|| batch.next_chunk()).collect();
        let chunks = chunks.unwrap();
        assert!(chunks.len() > 3, "a batch is not held as a whole");
        let text = String::from_utf8(chunks.concat()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20_000);
        assert_eq!(lines[0], "1\ta\\tb\\\\N\\nc7\t1970-01-01 00:00:00+00");
        assert_eq!(lines[19_999], "20000\ta\\tb\\\\N\\nc7\t1970-01-01 00:00:00+00");
    }
}
