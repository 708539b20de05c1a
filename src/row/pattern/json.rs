//! Patterns of JSON documents: whether what comes of them is JSON, and the form of `jsonb`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Part, fault};
use crate::row::check::ColumnFault;

/// Stand around the number of a placeholder while the document is read: within a string, and in the
/// place of a value. They are of a private use area of Unicode, which no template needs.
const IN_STRING: char = '\u{e000}';
const AS_VALUE: char = '\u{e001}';
const END: char = '\u{e002}';

/// The parts of a JSON document. For `jsonb` they are put in PostgreSQL's order and spacing.
pub(super) fn parts(parts: Vec<Part>, binary: bool) -> Result<Vec<Part>, ColumnFault> {
    let (marked, parts) = marked(parts, binary)?;
    let document: Value = serde_json::from_str(&marked).map_err(|error| {
        let what = error.to_string();
        let fact = format!("what comes of the pattern is no JSON: {}", what.replace(IS_MARK, "…"));
        fault(fact, "write a JSON document, with placeholders for values or within strings")
    })?;
    let text = match binary {
        true => {
            let mut text = String::new();
            write(&document, &mut text)?;
            text
        }
        false => marked,
    };
    Ok(unmarked(&text, &parts))
}

const IS_MARK: [char; 3] = [IN_STRING, AS_VALUE, END];

/// The document with a mark for each placeholder, and the placeholders by number, as they stand in a
/// document.
fn marked(parts: Vec<Part>, binary: bool) -> Result<(String, Vec<Part>), ColumnFault> {
    let (mut text, mut placeholders) = (String::new(), Vec::new());
    let (mut in_string, mut escaped) = (false, false);
    for part in parts {
        let Part::Fixed(fixed) = part else {
            let (open, close) = if in_string { (IN_STRING, "") } else { (AS_VALUE, "\"") };
            // A String takes whatever is written.
            let _ = write!(text, "{close}{open}{}{END}{close}", placeholders.len());
            placeholders.push(if in_string {
                within_string(part)
            } else {
                as_value(part, binary)?
            });
            continue;
        };
        if fixed.contains(IS_MARK) {
            let fact = "the pattern holds a character from U+E000 to U+E002".to_owned();
            return Err(fault(fact, "leave it out, or write it as \\ue000"));
        }
        for char in fixed.chars() {
            match char {
                _ if escaped => escaped = false,
                '\\' if in_string => escaped = true,
                '"' => in_string = !in_string,
                _ => {}
            }
        }
        text.push_str(&fixed);
    }
    Ok((text, placeholders))
}

/// The parts again, from the document with marks.
fn unmarked(text: &str, placeholders: &[Part]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find([IN_STRING, AS_VALUE]) {
        let (before, from) = rest.split_at(at);
        let is_value = from.starts_with(AS_VALUE);
        let after = from.strip_prefix(IS_MARK).unwrap_or(from);
        let (number, after) = after.split_once(END).unwrap_or((after, ""));
        let quoted = |text: &'_ str| -> usize { usize::from(is_value && text.ends_with('"')) };
        fixed.push_str(&before[..before.len() - quoted(before)]);
        if !fixed.is_empty() {
            parts.push(Part::Fixed(std::mem::take(&mut fixed)));
        }
        parts.extend(
            number.parse().ok().and_then(|number: usize| placeholders.get(number)).cloned(),
        );
        rest = if is_value { after.strip_prefix('"').unwrap_or(after) } else { after };
    }
    fixed.push_str(rest);
    if !fixed.is_empty() {
        parts.push(Part::Fixed(fixed));
    }
    parts
}

/// A placeholder within a string: what is chosen is escaped, and nothing else needs it.
fn within_string(part: Part) -> Part {
    let Part::Choice(of) = part else { return part };
    let escaped = |text: String| {
        let quoted = Value::String(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    Part::Choice(of.into_iter().map(escaped).collect())
}

/// A placeholder that is a value of its own: a number, or one of some.
fn as_value(part: Part, binary: bool) -> Result<Part, ColumnFault> {
    match part {
        Part::Integer(..) | Part::Zipf(..) | Part::Decimal(..) | Part::RowId => Ok(part),
        Part::Choice(of) => {
            let value = |text: String| match serde_json::from_str::<Value>(&text) {
                // As it was written, but for `jsonb`.
                Ok(_) if !binary => Ok(text),
                Ok(value) => {
                    let mut text = String::new();
                    write(&value, &mut text)?;
                    Ok(text)
                }
                Err(_) => {
                    let fact = format!("`{text}` is chosen for a value of JSON, and is none");
                    Err(fault(fact, "put the placeholder in double quotes, or choose of values"))
                }
            };
            Ok(Part::Choice(of.into_iter().map(value).collect::<Result<_, _>>()?))
        }
        _ => {
            let fact = "a placeholder for text stands where JSON has a value".to_owned();
            Err(fault(fact, "put it in double quotes"))
        }
    }
}

/// Writes a document as PostgreSQL shows a `jsonb`.
fn write(value: &Value, out: &mut String) -> Result<(), ColumnFault> {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => {
            let text = number.to_string();
            if text.contains(['e', 'E']) || text == "-0.0" {
                let fact = format!("the number {text} of the document has another form in jsonb");
                return Err(fault(fact, "write it with digits only, such as 1000000"));
            }
            out.push_str(&text);
        }
        Value::String(text) => {
            if text.contains('\0') {
                return Err(ColumnFault::Nul);
            }
            out.push_str(&Value::String(text.clone()).to_string());
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(value, out)?;
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // By length, then by bytes.
            members.sort_by_key(|(key, _)| (key.len(), key.as_bytes()));
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if key.contains(IS_MARK) {
                    let fact = "a key of the document has a placeholder".to_owned();
                    return Err(fault(fact, "write fixed keys; values may have placeholders"));
                }
                out.push_str(if index > 0 { ", " } else { "" });
                write(&Value::String(key.clone()), out)?;
                out.push_str(": ");
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}
