//! Rows as bytes, and when two values are the same.

use super::Row;
use crate::pg::select::{ResultColumn, ValueKind};

/// NULL in place of a length.
const NULL: u32 = u32::MAX;

/// Largest relative difference of two numbers of this kind that are taken for the same. Exact
/// decimals get the least: PG-Strom sums them in 128-bit fixed point, but their minimum and maximum
/// pass through eight-byte floats, and averages differ in the last digits. Sums of binary numbers
/// depend on the order of the additions.
pub(crate) fn tolerance_of(kind: ValueKind) -> f64 {
    match kind {
        ValueKind::Numeric => 1e-12,
        ValueKind::Float8 => 1e-9,
        ValueKind::Float4 => 1e-5,
        ValueKind::Exact => 0.0,
    }
}

/// Appends a value: its length and its text, numbers in their shortest form.
pub(super) fn push(row: &mut Vec<u8>, kind: ValueKind, value: Option<&str>) {
    let Some(value) = value else { return row.extend_from_slice(&NULL.to_le_bytes()) };
    let text = if kind == ValueKind::Exact { value } else { shortest(value) };
    row.extend_from_slice(&(text.len() as u32).to_le_bytes());
    row.extend_from_slice(text.as_bytes());
}

/// The same decimal number without what its scale adds: `0.00` is `0`, `12.50` is `12.5`.
fn shortest(text: &str) -> &str {
    if !text.contains('.') || text.contains(['e', 'E']) {
        return text;
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "" | "-") { "0" } else { text }
}

/// The values of a row, in order.
pub(super) fn values(row: &[u8]) -> impl Iterator<Item = Option<&str>> {
    let mut rest = row;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        if length == NULL {
            rest = after;
            return Some(None);
        }
        let (text, after) = after.split_at_checked(length as usize)?;
        rest = after;
        Some(std::str::from_utf8(text).ok())
    })
}

/// A row for people.
pub(super) fn named(columns: &[ResultColumn], row: &[u8]) -> Row {
    let named = columns.iter().zip(values(row));
    named.map(|(column, value)| (column.name.clone(), value.map(str::to_owned))).collect()
}

/// The relative difference of two values: 0 if they are equal, infinite if they are no numbers.
pub(super) fn difference(a: Option<&str>, b: Option<&str>) -> f64 {
    if a == b {
        return 0.0;
    }
    let number = |text: Option<&str>| text?.parse::<f64>().ok().filter(|n| n.is_finite());
    let (Some(a), Some(b)) = (number(a), number(b)) else { return f64::INFINITY };
    let largest = a.abs().max(b.abs());
    if largest == 0.0 { 0.0 } else { (a - b).abs() / largest }
}
