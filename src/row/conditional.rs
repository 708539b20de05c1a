//! Columns whose values depend on those of another column of the row.

use std::collections::HashMap;

use super::check::ColumnFault;
use super::literal;
use super::{Column, Conditional, Values};

/// What is wrong with columns that depend on others: each with its place among the columns.
pub(crate) fn check_together(columns: &[Column]) -> Vec<(usize, ColumnFault)> {
    let of = |(place, column): (usize, &Column)| match &column.values {
        Values::Conditional(own) => entries(columns, place, own).err().map(|fault| (place, fault)),
        _ => None,
    };
    columns.iter().enumerate().filter_map(of).collect()
}

/// The column that the one at this place depends on; and for each of its values, in the order in which they are
/// listed, which entry holds.
pub(super) fn entries(
    columns: &[Column],
    place: usize,
    own: &Conditional,
) -> Result<(usize, Box<[u32]>), ColumnFault> {
    let fault = |fact, fix| Err(ColumnFault::Setting { fact, fix });
    let on = &own.on;
    let Some(parent) = find(columns, on) else {
        let fact = format!("it depends on a column `{on}`, and there is none");
        return fault(fact, "name another column of the row".into());
    };
    if is_in_circle(columns, place) {
        let fact = format!("it depends on `{on}`, and so on itself");
        return fault(fact, "let one of the columns depend on none".into());
    }
    let Some(listed) = columns[parent].values.listed() else {
        let fact = format!("it depends on column `{on}`, whose values are not listed");
        let fix = "depend on one with `boolean`, with `choice` without `others`, or that depends on such a one";
        return fault(fact, fix.into());
    };
    let sql_type = columns[parent].sql_type;
    let encoded = |text: &str| literal::encode(sql_type, text);
    let known: HashMap<Vec<u8>, &str> =
        listed.iter().filter_map(|text| Some((encoded(text)?, *text))).collect();
    let mut entry_of = HashMap::new();
    for (entry, key) in (0_u32..).zip(own.of.keys()) {
        let Some(value) = encoded(key).filter(|value| known.contains_key(value)) else {
            let fact = format!("`{key}` is no value of column `{on}`");
            return fault(fact, format!("it has {}", named(&listed)).into());
        };
        if let Some(other) = entry_of.insert(value, entry) {
            let other = own.of.keys().nth(other as usize).map_or("", String::as_str);
            let fact = format!("`{other}` and `{key}` are the same value of column `{on}`");
            return fault(fact, "leave one of them out".into());
        }
    }
    let others = own.others.as_ref().map(|_| own.of.len() as u32);
    let entry = |text: &&str| encoded(text).and_then(|key| entry_of.get(&key).copied()).or(others);
    if let Some(without) = listed.iter().find(|text| entry(text).is_none()) {
        let fact = format!("column `{on}` may be `{without}`, for which there are no values");
        return fault(fact, "write them in `of`, or `others` for all that is not there".into());
    }
    Ok((parent, listed.iter().filter_map(entry).collect()))
}

fn find(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

/// Whether a column is reached again from itself.
fn is_in_circle(columns: &[Column], place: usize) -> bool {
    let mut at = place;
    for _ in columns {
        let Values::Conditional(own) = &columns[at].values else { return false };
        match find(columns, &own.on) {
            Some(next) => at = next,
            None => return false,
        }
        if at == place {
            return true;
        }
    }
    // It leads into a circle that others are in.
    true
}

/// The first of some values.
fn named(listed: &[&str]) -> String {
    const SHOWN: usize = 8;
    let more = if listed.len() > SHOWN { ", …" } else { "" };
    listed[..listed.len().min(SHOWN)].join(", ") + more
}
