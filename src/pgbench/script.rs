//! Reads a script: variables, and the statements of its transaction.

use std::ops::Range;

use indexmap::IndexMap;

use super::expression::{Value, evaluate};
use super::{Conversion, fault};
use crate::plan::{Fault, ProfileSource, backslash, blank, first_word, parameter_names, statement};

/// What a script has.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Its variables, in their order, each with where it is set.
    pub(super) variables: IndexMap<String, (Value, Range<usize>)>,
    /// Those whose values cannot be converted, which is reported.
    pub(super) faulty: Vec<String>,
    /// What it sends, without BEGIN and END.
    pub(super) statements: Vec<Range<usize>>,
    /// Whether these are within BEGIN and END.
    pub(super) is_transaction: bool,
}

/// What a statement ends with in place of a semicolon, to keep its answer.
const KEPT: &str = "write `;` in its place, and draw what is used of the answer with `\\set`: answers are not kept for the \
                    statements behind them";

/// Commands of pgbench that have a counterpart elsewhere, and which.
const ELSEWHERE: [(&str, &str); 5] = [
    ("gset", KEPT),
    ("aset", KEPT),
    ("sleep", "pauses are the readers': `think_time_ms` under `[readers]`, behind each execution"),
    ("setrandom", "write `\\set NAME random(LOW, HIGH)`"),
    (
        "endpipeline",
        "delete it, and `\\startpipeline`: each statement is answered before the next one",
    ),
];

/// What the statements begin with that a run takes.
const QUERIES: [&str; 8] =
    ["select", "values", "table", "with", "insert", "update", "delete", "merge"];

/// Reads a script; what cannot be converted is reported.
pub(super) fn read(
    source: &ProfileSource,
    conversion: &Conversion,
    faults: &mut Vec<Fault>,
) -> Script {
    let text = source.text.as_str();
    let mut script = Script::default();
    let mut place = Place::Before;
    let mut at = 0;
    loop {
        at += blank(&text[at..]);
        let rest = &text[at..];
        if rest.is_empty() {
            break;
        }
        if rest.starts_with('\\') {
            let length = command_length(rest);
            command(source, conversion, &mut script, at..at + length, faults);
            at += length;
            continue;
        }
        let Some(length) = statement(rest) else {
            let what = "a quote or comment is not closed".to_owned();
            fault(faults, source, at..at + 1, (what, "close it".to_owned()));
            break;
        };
        // A command ends the statement in front of it, and is looked at next.
        let length = backslash(&rest[..length]).unwrap_or(length);
        let span = at..at + rest[..length].trim_end().len();
        at += length;
        let is_kept =
            |name| text[at..].strip_prefix('\\').is_some_and(|own| command_name(own) == name);
        if text[at..].starts_with(';') {
            at += 1;
        } else if !is_kept("gset") && !is_kept("aset") {
            let what = "a statement has no semicolon at its end".to_owned();
            fault(faults, source, span.clone(), (what, "write `;` behind it".to_owned()));
        }
        if !span.is_empty() {
            place = place.then(source, &mut script, span, faults);
        }
    }
    if place == Place::Within {
        let what = "the transaction has no end".to_owned();
        let end = text.trim_end().len();
        let fix = "write `END;` behind its last statement".to_owned();
        fault(faults, source, end.saturating_sub(1)..end, (what, fix));
    }
    script
}

/// Where in a script a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing was begun yet.
    Before,
    Within,
    Behind,
}

impl Place {
    /// Where the next one stands, once this one is taken.
    fn then(
        self,
        source: &ProfileSource,
        script: &mut Script,
        span: Range<usize>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let sql = &source.text[span.clone()];
        let word = first_word(sql).to_ascii_lowercase();
        let plain = sql.split_whitespace().count() == 1;
        let alone = "the script is one transaction, or one statement: write `BEGIN;` before its first statement \
                     and `END;` behind its last"
            .to_owned();
        match (self, word.as_str()) {
            (Self::Before, "begin" | "start") if plain && script.statements.is_empty() => {
                script.is_transaction = true;
                Self::Within
            }
            (Self::Within, "end" | "commit") if plain => Self::Behind,
            (
                _,
                "begin" | "start" | "end" | "commit" | "rollback" | "abort" | "savepoint"
                | "release",
            ) => {
                let what = format!("`{sql}` cannot be converted");
                let fix = "let one `BEGIN;` open the transaction and one `END;` close it; an isolation level \
                           can be set for the role or the database"
                    .to_owned();
                fault(faults, source, span, (what, fix));
                self
            }
            (_, word) if !word.is_empty() && !QUERIES.contains(&word) => {
                let what =
                    format!("`{}` cannot be converted: it has no plan", word.to_ascii_uppercase());
                let fix = "delete it, or let it be a SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE or MERGE; a setting can \
                           be made for the role or the database"
                    .to_owned();
                fault(faults, source, span, (what, fix));
                self
            }
            (Self::Within, _) => {
                script.statements.push(span);
                self
            }
            (Self::Before, _) if script.statements.is_empty() => {
                script.statements.push(span);
                Self::Before
            }
            (Self::Before | Self::Behind, _) => {
                let what = "a statement stands outside of the transaction".to_owned();
                fault(faults, source, span, (what, alone));
                self
            }
        }
    }
}

/// Bytes of a command of pgbench: to the end of its line, or of the next one behind a backslash.
fn command_length(text: &str) -> usize {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    length
}

/// The name of a command, without its backslash.
fn command_name(words: &str) -> &str {
    let end = words.find(|char: char| char.is_whitespace() || char == ';');
    &words[..end.unwrap_or(words.len())]
}

fn command(
    source: &ProfileSource,
    conversion: &Conversion,
    script: &mut Script,
    span: Range<usize>,
    faults: &mut Vec<Fault>,
) {
    let text = source.text[span.clone()].trim_end();
    let span = span.start..span.start + text.len();
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let words = joined.trim_start_matches('\\');
    let (name, rest) = words.split_at(command_name(words).len());
    if name != "set" {
        let known = ELSEWHERE.iter().find(|(own, _)| *own == name).map(|(_, fix)| *fix);
        let fix = known.unwrap_or("delete it: of pgbench's commands `\\set` can be converted");
        fault(faults, source, span, (format!("`\\{name}` cannot be converted"), fix.to_owned()));
        return;
    }
    let rest = rest.trim_start();
    let (name, expression) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let what = format!("`{name}` cannot name a parameter");
        let fix = "use letters, digits and `_`".to_owned();
        fault(faults, source, span, (what, fix));
        return;
    }
    if script.variables.contains_key(name) || script.faulty.iter().any(|own| own == name) {
        let what = format!("`{name}` is set twice");
        let fix =
            "give the second one a name of its own: an execution has all its values at its start";
        fault(faults, source, span, (what, fix.to_owned()));
        return;
    }
    let known = |name: &str| {
        let own = script.variables.get(name).map(|(value, _)| match value {
            Value::Draw(_) => Value::Same(name.to_owned()),
            value => value.clone(),
        });
        own.or_else(|| conversion.given(name))
    };
    match evaluate(expression, &known) {
        Ok(value) => drop(script.variables.insert(name.to_owned(), (value, span))),
        Err(wrong) => {
            script.faulty.push(name.to_owned());
            // What follows from another fault is none.
            let names = parameter_names(expression);
            if !names.iter().any(|name| script.faulty.iter().any(|own| own == name)) {
                fault(faults, source, span, wrong);
            }
        }
    }
}

impl Script {
    /// The variable that is drawn for this one: itself, or the one that it is set to.
    pub(super) fn origin<'a>(&'a self, name: &'a str) -> &'a str {
        match self.variables.get(name) {
            Some((Value::Same(origin), _)) => origin,
            _ => name,
        }
    }
}

impl Conversion {
    /// What a variable is that the script does not set.
    pub(super) fn given(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.variables.get(name) {
            let is_whole = value.fract() == 0.0 && value.abs() < 9e15;
            return Some(if is_whole {
                Value::Integer(*value as i64)
            } else {
                Value::Float(*value)
            });
        }
        (name == "scale").then(|| Value::Integer(self.scale.into()))
    }
}
