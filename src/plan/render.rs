//! A plan as TOML for people: its profile, in which every default is written out.

use std::fmt::Write as _;

use serde::Serialize as _;
use toml::{Table, Value};

use super::Plan;

/// The plan as a profile that resolves to the same plan.
pub fn render<J>(plan: &Plan<J>) -> String {
    // A profile's values are those of TOML.
    Table::try_from(&plan.common.profile)
        .map_or_else(|_| String::new(), |table| render_profile(&table))
}

/// A profile, as a table, as TOML.
pub(crate) fn render_profile(profile: &Table) -> String {
    let mut out = String::new();
    section(&mut out, "", profile);
    out
}

/// A table's own keys, then the tables in it. Left to itself the toml crate would open a table for the
/// values of each column.
fn section(out: &mut String, path: &str, table: &Table) {
    for (key, value) in table {
        if header(path, key, value).is_none() {
            let mut text = String::new();
            // Nor does a value that was read from TOML, or fits in it, fail to be written.
            let _ = value.serialize(toml::ser::ValueSerializer::new(&mut text));
            let _ = writeln!(out, "{key} = {text}");
        }
    }
    for (key, value) in table {
        let Some(header) = header(path, key, value) else { continue };
        match value {
            // Only holds tables of the user's names.
            Value::Table(arms) if header == "arms" => section(out, &header, arms),
            Value::Table(table) => {
                let _ = writeln!(out, "\n[{header}]");
                section(out, &header, table);
            }
            Value::Array(tables) => {
                for table in tables.iter().filter_map(Value::as_table) {
                    let _ = writeln!(out, "\n[[{header}]]");
                    section(out, &header, table);
                }
            }
            _ => {}
        }
    }
}

/// What opens the table or array of tables at `key`; `None` for what is written in its line.
fn header(path: &str, key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Table(_) if path.is_empty() => Some(key.to_owned()),
        Value::Table(_) if path == "arms" => Some(format!("{path}.{key}")),
        Value::Array(all) if all.first().is_some_and(Value::is_table) => match path {
            "" => Some(key.to_owned()),
            path => Some(format!("{path}.{key}")),
        },
        _ => None,
    }
}
