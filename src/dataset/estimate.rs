//! How much disk a table will take, before it is filled: from its first rows, as the server lays
//! them out.

use crate::pace::DueTimes;
use crate::pg::read_back::fields;
use crate::plan::{Index, Table};
use crate::row::{ColumnType, EncodeError, Encoder};

/// Rows that are looked at, and most bytes of them.
const SAMPLE_ROWS: u64 = 512;
const SAMPLE_BYTES: usize = 4 << 20;

/// A page, and what of it is left for rows.
const PAGE: f64 = 8192.0;
const PAGE_ROOM: f64 = 8168.0;
/// Every row's head with its padding; and its pointer in the page.
const ROW_HEAD: usize = 24;
const POINTER: usize = 4;
/// Rows beyond this have their long values moved out, in pieces of so many bytes, four a page.
const MOVED_OUT: usize = 2032;
const PIECE: f64 = 1996.0;
/// What a value leaves in the row when it is moved out.
const MOVED_OUT_LEAVES: usize = 18;
/// A b-tree's pages are filled so far at first.
const BTREE_FILL: f64 = 0.9;
/// Of a value that is there often a b-tree keeps a list of rows, which takes so much for each.
const BTREE_LISTED: f64 = 6.5;

/// What a table will take.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Rows that are to be loaded.
    pub rows: u64,
    /// Bytes of them, with what is moved out of the rows.
    pub table_bytes: u64,
    /// Bytes of the b-trees and BRIN indexes.
    pub index_bytes: u64,
    /// Indexes of other kinds, which are not counted.
    pub uncounted: Vec<String>,
    /// Bytes that are free on the server's disk, where that can be seen.
    pub free_bytes: Option<u64>,
}

impl Estimate {
    /// Of `rows` rows of a table.
    pub(super) fn new(table: &Table, rows: u64) -> Result<Self, EncodeError> {
        let mut encoder = Encoder::new(&table.columns, table.row_seed(), 0, 0)?;
        let room = encoder.max_row_bytes();
        let sample = ((SAMPLE_BYTES / room) as u64).clamp(1, SAMPLE_ROWS).min(table.rows.get());
        let mut buffer = vec![0; room];
        let (mut row_bytes, mut keys) = (0.0, vec![0.0; table.columns.len()]);
        for row in 1..=sample {
            let encoded = encoder.encode(&mut buffer, row, 1, &mut DueTimes::constant(0))?;
            let lengths: Vec<usize> = fields(&buffer[..encoded.bytes])
                .map(|field| field.map_or(0, <[u8]>::len))
                .collect();
            row_bytes += on_disk(table, &lengths);
            for ((sum, column), length) in keys.iter_mut().zip(&table.columns).zip(&lengths) {
                *sum += stored(column.sql_type, *length).1 as f64;
            }
        }
        let per_row = |sum: f64| sum / sample as f64;
        let bytes = |per_row: f64| (per_row * rows as f64) as u64;
        let (mut index_bytes, mut uncounted) = (0.0, Vec::new());
        if !table.primary_key.is_empty() {
            index_bytes += btree(table, &table.primary_key, &keys, sample);
        }
        for Index { name, method, columns, .. } in &table.indexes {
            match method.as_str() {
                "btree" => index_bytes += btree(table, columns, &keys, sample),
                // A few bytes for each 128 pages.
                "brin" => {}
                _ => uncounted.push(name.clone()),
            }
        }
        Ok(Self {
            rows,
            table_bytes: bytes(per_row(row_bytes)),
            index_bytes: bytes(index_bytes),
            uncounted,
            free_bytes: None,
        })
    }

    /// Whether it will hardly fit.
    pub fn is_too_large(&self) -> bool {
        self.free_bytes.is_some_and(|free| self.table_bytes + self.index_bytes > free)
    }
}

/// Bytes of a row with its share of the pages, by the lengths of its fields as they are sent.
fn on_disk(table: &Table, lengths: &[usize]) -> f64 {
    let columns = table.columns.iter().zip(lengths);
    let place = |end: usize, (align, bytes): (usize, usize)| end.next_multiple_of(align) + bytes;
    let row = columns
        .clone()
        .map(|(column, length)| stored(column.sql_type, *length))
        .fold(ROW_HEAD, place)
        .next_multiple_of(8);
    if row <= MOVED_OUT {
        let rows_a_page = (PAGE_ROOM / (row + POINTER) as f64).floor();
        return PAGE / rows_a_page;
    }
    // The texts go, the rest stays. A piece has an entry in an index, too.
    let (mut stays, mut out) = (ROW_HEAD + POINTER, 0.0);
    for (column, length) in columns {
        match column.sql_type {
            sql_type if is_long(sql_type) && *length > MOVED_OUT_LEAVES => {
                stays += MOVED_OUT_LEAVES;
                // The last piece is shorter, and its page is not always filled up.
                let pieces = *length as f64 / PIECE + 0.25;
                out += pieces * (PAGE / 4.0 + 24.0);
            }
            sql_type => stays += stored(sql_type, *length).1,
        }
    }
    stays as f64 + out
}

/// The alignment of a value and its bytes in a row, by its length as it is sent.
fn stored(sql_type: ColumnType, length: usize) -> (usize, usize) {
    match sql_type {
        ColumnType::SmallInt => (2, 2),
        ColumnType::Integer | ColumnType::Real | ColumnType::Date => (4, 4),
        ColumnType::BigInt
        | ColumnType::Double
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::TimestampTz => (8, 8),
        ColumnType::Uuid => (1, 16),
        // Sent with four numbers of a byte before the address; stored with two, and a length.
        ColumnType::Inet => (1, length.saturating_sub(4) + 2 + 1),
        ColumnType::Boolean => (1, 1),
        // Sent with four numbers of two bytes before its digits; stored with one, and a length.
        ColumnType::Numeric { .. } => (1, length.saturating_sub(8) + 2 + 1),
        ColumnType::Text
        | ColumnType::Varchar(_)
        | ColumnType::Char(_)
        | ColumnType::Bytea
        | ColumnType::Json
        // Its own form takes about as much as its text.
        | ColumnType::Jsonb => of_any_length(length),
        ColumnType::Array(element) => array_stored(element.into(), length),
    }
}

/// The same of what has its length before it, in one byte or in four.
fn of_any_length(length: usize) -> (usize, usize) {
    match length {
        ..=126 => (1, length + 1),
        _ => (4, length + 4),
    }
}

/// The same of an array. Five numbers are sent before its elements, and stored with another one; where it is
/// empty, three. Each element is sent with its length, and so it is stored if not all have the same.
fn array_stored(element: ColumnType, length: usize) -> (usize, usize) {
    let sent = length.saturating_sub(20);
    let each = match element {
        ColumnType::SmallInt
        | ColumnType::Integer
        | ColumnType::Real
        | ColumnType::Date
        | ColumnType::BigInt
        | ColumnType::Double
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::TimestampTz
        | ColumnType::Uuid
        | ColumnType::Boolean => Some(stored(element, 0).1),
        _ => None,
    };
    let elements = each.map_or(sent, |bytes| sent / (4 + bytes) * bytes);
    of_any_length(length.min(20) + elements)
}

/// Whether long values of the type are moved out of the row.
fn is_long(sql_type: ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        sql_type,
        T::Text | T::Varchar(_) | T::Char(_) | T::Bytea | T::Json | T::Jsonb | T::Array(_)
    )
}

/// Bytes that a b-tree on these columns takes for a row; `keys` are sums over the sample.
fn btree(table: &Table, columns: &[String], keys: &[f64], sample: u64) -> f64 {
    let indexed =
        || table.columns.iter().zip(keys).filter(|(column, _)| columns.contains(&column.name));
    let distinct = indexed().map(|(column, _)| column.values.distinct()).fold(1.0, |a, b| a * b);
    if distinct * 8.0 < table.rows.get() as f64 {
        return BTREE_LISTED / BTREE_FILL;
    }
    let key: f64 = indexed().map(|(_, sum)| sum / sample as f64).sum();
    let entry = 8.0 + (key / 8.0).ceil() * 8.0 + POINTER as f64;
    entry / BTREE_FILL
}
