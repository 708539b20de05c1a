//! The profile as a file with comments.

use std::fmt::Write as _;

use serde::Serialize;

use super::column::Drafted;
use super::queries::starters;
use super::together::Together;
use super::{DraftOptions, Extended, SourceTable};
use crate::plan::TableName;
use crate::quantity::format_about;

/// Widest line of a comment.
const WIDTH: usize = 100;

pub(super) fn profile(
    table: &SourceTable,
    (columns, together, broken_keys): (&[Drafted<'_>], &[Together], &[&[String]]),
    options: &DraftOptions,
) -> String {
    let source = TableName { schema: Some(table.schema.clone()), name: table.name.clone() };
    let source = source.as_written();
    let mut out = String::new();
    comment(
        &mut out,
        &format!(
            "Rows like those of {source}, by its catalogue and pg_stats{}.",
            match &table.analyzed_at {
                Some(at) => format!(" of {at}"),
                None => String::new(),
            }
        ),
    );
    out.push_str("#\n");
    comment(&mut out, notice(options.keep_values));
    out.push_str("#\n");
    let depends = together.iter().any(|own| matches!(own, Together::Drawn(..)));
    comment(
        &mut out,
        match depends {
            true => {
                "Each column is drawn by itself, but for those that depend on another one: what else columns have to do \
                 with each other is not drawn, nor how the lengths of texts differ."
            }
            false => {
                "Each column is drawn by itself: what columns have to do with each other is not drawn, nor how the \
                 lengths of texts differ."
            }
        },
    );
    for told in about(table, together, broken_keys) {
        comment(&mut out, &told);
    }
    let _ = write!(
        out,
        "\nname = {}\ndescription = {}\n\n[stream]\n",
        toml(&profile_name(&table.name)),
        toml(&format!("Rows like those of {source}"))
    );
    let target = match &options.copy {
        Some(copy) => {
            let _ =
                writeln!(out, "like = {} # made in its shape if it is not there", toml(&source));
            copy.as_written()
        }
        None => {
            comment(
                &mut out,
                "The table itself gets the rows. `like` and another table here load a copy of it.",
            );
            source
        }
    };
    let _ = writeln!(out, "table = {}\nrows_per_s = 3000 # or \"max\"", toml(&target));
    if !columns.iter().any(|drafted| drafted.is_identity) {
        comment(
            &mut out,
            "No column tells the rows apart, so the audit counts them and does not read them.",
        );
        out.push_str("identity = \"none\"\n");
    }
    for drafted in columns {
        out.push('\n');
        self::column(&mut out, table, drafted);
    }
    out.push_str("\n[readers]\ncount = 2\n");
    for starter in starters(table, columns) {
        let _ = write!(out, "\n[[readers.queries]]\nname = {}\n", toml(starter.name));
        if let Some(newest) = &starter.newest {
            let _ = writeln!(
                out,
                "newest_column = {} # the age of the answer is measured",
                toml(newest)
            );
        }
        let _ = writeln!(out, "sql = {}", toml_lines(&starter.sql));
    }
    out
}

/// What of the table's values is in the file.
fn notice(keep_values: bool) -> &'static str {
    match keep_values {
        true => {
            "THIS FILE HOLDS VALUES OF THE TABLE, as pg_stats has them: its most common values and the bounds of its \
             histograms. They may be personal data."
        }
        false => {
            "No text of the table is in this file: labels stand for its values. Of numbers and times it has the ends of \
             their ranges and the shape between, rounded: numbers to two digits, days to months, moments to days \
             or hours (by that, whole numbers below 100 or of a range below 100, and ranges of less than 60 days, are \
             exact). Keys of partitions have their ends as they are, and so have the values that partitions are for. \
             --keep-values writes the values themselves."
        }
    }
}

/// What is to be said of the table as a whole.
fn about(table: &SourceTable, together: &[Together], broken_keys: &[&[String]]) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(by) = &table.partitioned_by {
        all.push(format!(
            "Partitioned by {by}: a row goes where it belongs, and one that no partition takes is refused."
        ));
    }
    for (Extended { name, columns, says, .. }, own) in table.extended.iter().zip(together) {
        let drawn = match own {
            Together::Drawn(child, parent) => {
                format!("Of that the combinations are drawn: {child} by {parent}.")
            }
            Together::Undrawn(Some(why)) => format!("That is not drawn: {why}."),
            Together::Undrawn(None) => "That is not drawn.".to_owned(),
        };
        all.push(format!("Extended statistics {name} of {}: {says}. {drawn}", columns.join(", ")));
    }
    if !broken_keys.is_empty() {
        let keys: Vec<String> =
            broken_keys.iter().map(|key| format!("({})", key.join(", "))).collect();
        all.push(format!(
            "Unique there, and drawn here so that rows may come twice, which are refused: {}.",
            keys.join(", ")
        ));
    }
    if !table.exclusions.is_empty() {
        all.push(format!(
            "Not looked at: exclusion constraints {}. A row that they exclude is refused.",
            table.exclusions.join(", ")
        ));
    }
    if !table.checks.is_empty() {
        all.push(format!("Not looked at: CHECK constraints {}.", table.checks.join(", ")));
    }
    if !table.other_unique_indexes.is_empty() {
        let names = table.other_unique_indexes.join(", ");
        all.push(format!(
            "Not looked at: unique indexes of expressions or with a condition: {names}."
        ));
    }
    all
}

fn column(out: &mut String, table: &SourceTable, drafted: &Drafted<'_>) {
    let Drafted { source, column, notes, .. } = drafted;
    let Some(column) = column else {
        comment(out, &format!("{}, {}: {}.", source.name, source.sql_type, notes.join("; ")));
        return;
    };
    if let Some(statistics) = &source.statistics {
        let distinct = statistics.distinct(table.rows);
        let mut facts = vec![match distinct as u64 {
            1 => "one value".to_owned(),
            distinct => format!("{} values", format_about(distinct)),
        }];
        if let Some(correlation) = statistics.correlation {
            facts.push(format!("correlation {correlation:.2}"));
        }
        comment(out, &format!("There: {}.", facts.join(", ")));
    }
    for note in notes {
        let mut chars = note.chars();
        let capital =
            chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>());
        comment(out, &format!("{}.", capital.unwrap_or_default()));
    }
    out.push_str("[[stream.columns]]\n");
    let text = |value: Option<String>| toml(&value.unwrap_or_default());
    let _ =
        writeln!(out, "name = {}", text(column.name.as_ref().map(|name| name.as_str().to_owned())));
    let _ = writeln!(
        out,
        "type = {}",
        text(column.sql_type.as_ref().map(|own| own.as_str().to_owned()))
    );
    if let Some(values) = &column.values {
        let _ = writeln!(out, "values = {}", toml(&**values));
    }
    if let Some(ratio) = column.null_ratio {
        let _ = writeln!(out, "null_ratio = {}", toml(&ratio));
    }
}

/// A value on one line.
pub(super) fn toml<T: Serialize + ?Sized>(value: &T) -> String {
    let mut text = String::new();
    // Texts, numbers and tables of them never fail to be written.
    let _ = value.serialize(toml::ser::ValueSerializer::new(&mut text));
    text
}

/// A text of several lines.
fn toml_lines(text: &str) -> String {
    let mut escaped = String::new();
    // Three of them would end it, and one before the end.
    let has_ends = text.contains("\"\"\"") || text.ends_with('"');
    for char in text.chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '"' if has_ends => escaped.push_str("\\\""),
            '\n' => escaped.push(char),
            control if control.is_control() => {
                let _ = write!(escaped, "\\u{:04X}", u32::from(control));
            }
            char => escaped.push(char),
        }
    }
    format!("\"\"\"\n{escaped}\"\"\"")
}

/// A comment, in lines of some width. A name may hold what would end a line.
fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + word.chars().count() >= WIDTH {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.extend(word.chars().map(|char| if char.is_control() { '?' } else { char }));
    }
    let _ = writeln!(out, "{line}");
}

/// The table's name as a profile may be called.
pub(super) fn profile_name(table: &str) -> String {
    let allowed = |char: char| match char.to_ascii_lowercase() {
        own if own.is_ascii_lowercase() || own.is_ascii_digit() || own == '-' => own,
        _ => '_',
    };
    table.chars().map(allowed).collect()
}
