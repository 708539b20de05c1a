//! Rows as people read them: the text of each value, as PostgreSQL would show it in UTC.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::day::{format_clock, format_day, format_moment};
use super::encode::Encoder;
use super::{Column, ColumnType, FileFault, numeric, uuid};
use crate::pace::DueTimes;

/// The texts of the row that an encoder makes of these columns for a row number; `None` is NULL. `due`
/// moves on by it.
///
/// # Errors
/// When a file of values is not what it was.
pub fn row_text(
    columns: &[Column],
    encoder: &mut Encoder,
    row: u64,
    due: &mut DueTimes,
) -> Result<Vec<Option<String>>, FileFault> {
    let mut tuple = vec![0; encoder.max_row_bytes()];
    let encoded = encoder.encode(&mut tuple, row, 1, due)?;
    let mut rest = &tuple[2..encoded.bytes];
    let field =
        |column: &Column| next_field(&mut rest).map(|value| value_text(column.sql_type, value));
    Ok(columns.iter().map(field).collect())
}

/// Takes the next field of a tuple; `None` is NULL.
pub(super) fn next_field<'t>(rest: &mut &'t [u8]) -> Option<&'t [u8]> {
    let (length, after) = rest.split_first_chunk().unwrap_or((&[0; 4], &[]));
    let length = usize::try_from(i32::from_be_bytes(*length));
    let (value, after) = after.split_at(length.unwrap_or(0));
    *rest = after;
    length.is_ok().then_some(value)
}

/// A value in binary as text.
pub(super) fn value_text(sql_type: ColumnType, value: &[u8]) -> String {
    let integer = || {
        let sign = if value.first().is_some_and(|byte| *byte > 0x7f) { -1 } else { 0 };
        value.iter().fold(sign, |sum: i64, byte| sum << 8 | i64::from(*byte))
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match sql_type {
        ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => integer().to_string(),
        ColumnType::Real => format!("{:?}", f32::from_bits(integer() as u32)),
        ColumnType::Double => format!("{:?}", f64::from_bits(integer() as u64)),
        ColumnType::Numeric { .. } => numeric::text(value),
        ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Char(_) | ColumnType::Json => {
            text(value)
        }
        ColumnType::Jsonb => text(value.get(1..).unwrap_or_default()),
        ColumnType::Boolean => (integer() != 0).to_string(),
        ColumnType::Date => format_day(integer() as i32),
        ColumnType::Time => format_clock(integer()),
        ColumnType::Timestamp => format_moment(integer()),
        ColumnType::TimestampTz => format_moment(integer()) + "+00",
        ColumnType::Uuid => {
            let mut shown = [0; 36];
            let Ok(uuid) = value.try_into().map(u128::from_be_bytes) else { return hex(value) };
            let end = uuid::write_text(uuid, &mut shown);
            text(&shown[..end])
        }
        ColumnType::Array(element) => array_text(element.into(), value),
        ColumnType::Bytea => format!("\\x{}", hex(value)),
        ColumnType::Inet => {
            let address = match value.get(4..) {
                Some(&[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
                Some(address) => match <[u8; 16]>::try_from(address) {
                    Ok(address) => Ipv6Addr::from(address).to_string(),
                    Err(_) => return hex(value),
                },
                None => return hex(value),
            };
            let (bits, of) = (value[1], 8 * value[3]);
            if bits == of { address } else { format!("{address}/{bits}") }
        }
    }
}

/// An array in binary as text.
fn array_text(element: ColumnType, value: &[u8]) -> String {
    // In front of the elements stand five numbers, or three if there is none.
    let mut rest = value.get(20..).unwrap_or_default();
    let mut texts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length));
        let (value, after) = after.split_at(length.unwrap_or(0).min(after.len()));
        rest = after;
        texts.push(match (length, element) {
            (Err(_), _) => "NULL".to_owned(),
            // A cast writes it out, and the type itself does not.
            (_, ColumnType::Boolean) => if value == [0] { "f" } else { "t" }.to_owned(),
            _ => quoted(value_text(element, value)),
        });
    }
    format!("{{{}}}", texts.join(","))
}

/// An element in quotes where it must be.
fn quoted(text: String) -> String {
    let is_special = |char: char| {
        matches!(char, '"' | '\\' | '{' | '}' | ',' | ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
    };
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(is_special) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // A String takes whatever is written.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
