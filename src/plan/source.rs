//! Reads a profile's text into its mirror, and finds every fault on the way.
//!
//! Serde stops at the first error. So the faulty key is reported, cut out of the parsed document,
//! and what is left is read again, until it reads.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::fault::{Fault, Place, suggest};
use crate::profile::Profile;

/// A profile's text, and the name that faults are reported under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSource {
    /// The file's path, or the name of a built-in profile.
    pub name: String,
    /// The file's content.
    pub text: String,
}

impl ProfileSource {
    /// The file's name without folder and extension: what an unnamed profile is called.
    pub(crate) fn stem(&self) -> &str {
        Path::new(&self.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }
}

/// The faults found so far, and what they have cost of the document.
pub(crate) struct Report<'a> {
    source: &'a ProfileSource,
    faults: Vec<Fault>,
    /// Lines that could not be parsed: what else is found there follows from that.
    unparsed_lines: BTreeSet<usize>,
    /// Keys that were cut out, dotted, without array indices; for each the span of its table.
    cut: Vec<(String, Range<usize>)>,
}

impl<'a> Report<'a> {
    /// Parses and reads the source.
    pub(crate) fn read(source: &'a ProfileSource) -> (Profile, Self) {
        let mut report =
            Self { source, faults: Vec::new(), unparsed_lines: BTreeSet::new(), cut: Vec::new() };
        let (mut document, errors) = DeTable::parse_recoverable(&source.text);
        for error in &errors {
            report.syntax(error);
        }
        // Each round cuts out one node, so the rounds end.
        let profile = loop {
            match Profile::deserialize(Deserializer::from(document.clone())) {
                Ok(profile) => break profile,
                Err(error) => {
                    let span = error.span().unwrap_or_else(|| document.span());
                    let Some(path) = find(document.get_ref(), &span) else {
                        report.at(&span, error.message().to_owned(), SYNTAX_FIX.to_owned());
                        break Profile::default();
                    };
                    let table_span = document.span();
                    let Some(node) = cut(document.get_mut(), table_span, &path) else {
                        break Profile::default();
                    };
                    let (what, fix) = explain(error.message(), &node);
                    report.at(&span, what, fix);
                    report.cut.push((node.dotted, node.table_span));
                }
            }
        };
        (profile, report)
    }

    /// A fault at a place in the file.
    pub(crate) fn at(&mut self, span: &Range<usize>, what: String, fix: String) {
        let place = Place::of_span(&self.source.name, &self.source.text, span);
        match &place {
            Place::Line { line, .. } if self.unparsed_lines.contains(line) => {}
            _ => self.faults.push(Fault { place, what, fix }),
        }
    }

    /// A fault of something that is missing from the table `span`, unless the fault that was cut
    /// out there explains it.
    pub(crate) fn missing_in(&mut self, span: &Range<usize>, what: String, fix: String) {
        if self.unparsed_lines.is_empty() && !self.cut.iter().any(|(_, table)| table == span) {
            self.at(span, what, fix);
        }
    }

    /// A fault wherever it is.
    pub(crate) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// The file as a whole, as a place.
    pub(crate) fn file(&self) -> Place {
        Place::File { file: self.source.name.clone() }
    }

    /// The text at `span`, as the author wrote it.
    pub(crate) fn written(&self, span: &Range<usize>) -> &'a str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    /// Whether anything may be missing from the table or array `dotted` because it was cut out.
    pub(crate) fn damaged(&self, dotted: &str) -> bool {
        let parent = dotted.rsplit_once('.').map_or("", |(parent, _)| parent);
        !self.unparsed_lines.is_empty()
            || self.cut.iter().any(|(cut, _)| {
                cut.starts_with(dotted)
                    || dotted.starts_with(cut.as_str())
                    || cut.rsplit_once('.').map_or("", |(table, _)| table) == parent
            })
    }

    /// Every fault found.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let written = self.written(&span);
        let (what, fix) = match error.message() {
            "duplicate key" => (
                format!("`{written}` is given twice"),
                "keep one; a further element of an array of tables opens with `[[…]]`".to_owned(),
            ),
            message if message.starts_with("string values must be quoted") => {
                if written.is_empty() {
                    ("a value is missing".to_owned(), "write a value, or delete the key".to_owned())
                } else {
                    (
                        format!("`{written}` is not a value of TOML"),
                        format!("write a plain number, or text in quotes: \"{written}\""),
                    )
                }
            }
            message => (message.to_owned(), SYNTAX_FIX.to_owned()),
        };
        let place = Place::of_span(&self.source.name, &self.source.text, &span);
        if let Place::Line { line, .. } = place {
            self.unparsed_lines.insert(line);
        }
        self.faults.push(Fault { place, what, fix });
    }
}

const SYNTAX_FIX: &str =
    "correct the TOML here: `key = value`, text in quotes, a table's name in brackets";

/// A step from a node of the document to one below it.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// The path to the innermost key or value that covers `span`.
///
/// A table opened by a header spans only that header, so no branch can be skipped.
fn find(root: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    struct Search<'s> {
        span: &'s Range<usize>,
        path: Vec<Step>,
        best: Option<(usize, Vec<Step>)>,
    }
    impl Search<'_> {
        fn consider(&mut self, node: &Range<usize>) {
            let covers = node.start <= self.span.start && self.span.end <= node.end;
            if covers && self.best.as_ref().is_none_or(|(width, _)| node.len() <= *width) {
                self.best = Some((node.len(), self.path.clone()));
            }
        }

        fn table(&mut self, table: &DeTable<'_>) {
            for (key, value) in table {
                self.path.push(Step::Key(key.get_ref().to_string()));
                self.consider(&key.span());
                self.value(value);
                self.path.pop();
            }
        }

        fn value(&mut self, value: &toml::Spanned<DeValue<'_>>) {
            self.consider(&value.span());
            match value.get_ref() {
                DeValue::Table(table) => self.table(table),
                DeValue::Array(array) => {
                    for (index, element) in array.iter().enumerate() {
                        self.path.push(Step::Index(index));
                        self.value(element);
                        self.path.pop();
                    }
                }
                _ => {}
            }
        }
    }
    let mut search = Search { span, path: Vec::new(), best: None };
    search.table(root);
    search.best.map(|(_, path)| path)
}

/// A node that was cut out.
struct CutNode<'i> {
    /// Its own key, or its array's.
    key: String,
    /// Whether it was an element of the array `key`.
    is_element: bool,
    /// Its keys from the root, dotted, without array indices.
    dotted: String,
    /// The table it was in.
    table_span: Range<usize>,
    value: DeValue<'i>,
}

fn cut<'i>(root: &mut DeTable<'i>, root_span: Range<usize>, path: &[Step]) -> Option<CutNode<'i>> {
    enum Container<'c, 'i> {
        Table(&'c mut DeTable<'i>),
        Array(&'c mut DeArray<'i>),
    }
    let keys: Vec<_> = path
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    let (last, above) = path.split_last()?;
    let mut table_span = root_span;
    let mut container = Container::Table(root);
    for step in above {
        let value = match (step, container) {
            (Step::Key(key), Container::Table(table)) => table.get_mut(key.as_str())?,
            (Step::Index(index), Container::Array(array)) => array.get_mut(*index)?,
            _ => return None,
        };
        let span = value.span();
        container = match value.get_mut() {
            DeValue::Table(table) => {
                table_span = span;
                Container::Table(table)
            }
            DeValue::Array(array) => Container::Array(array),
            _ => return None,
        };
    }
    let value = match (last, container) {
        (Step::Key(key), Container::Table(table)) => table.remove(key.as_str())?,
        (Step::Index(index), Container::Array(array)) => {
            let mut elements: Vec<_> = mem::replace(array, DeArray::new()).into_iter().collect();
            let element = elements.remove(*index);
            elements.into_iter().for_each(|element| array.push(element));
            element
        }
        _ => return None,
    };
    Some(CutNode {
        key: (*keys.last()?).to_owned(),
        is_element: matches!(last, Step::Index(_)),
        dotted: keys.join("."),
        table_span,
        value: value.into_inner(),
    })
}

/// Puts serde's message into the author's words.
fn explain(message: &str, node: &CutNode<'_>) -> (String, String) {
    let CutNode { key, is_element, value, .. } = node;
    let subject = if *is_element { format!("an element of `{key}`") } else { format!("`{key}`") };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let known = rest.strip_prefix(key.as_str()).unwrap_or(rest);
        return (format!("unknown key `{key}`"), suggest(key, backticked(known)));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let written = value.as_str().unwrap_or(key);
        let known = rest.strip_prefix(written).unwrap_or(rest);
        let what = match value.as_str() {
            Some(written) => format!("{subject} cannot be `{written}`"),
            None => format!("unknown key `{key}`"),
        };
        return (what, suggest(written, backticked(known)));
    }
    if message.contains("unit variant") {
        let written = value.as_str().unwrap_or(key);
        return (
            format!("`{written}` needs settings"),
            format!("write them in a table: {key} = {{ {written} = {{ … }} }}"),
        );
    }
    let wanted = match message.rsplit_once(", expected ") {
        Some((_, wanted)) if wanted.starts_with("struct ") => "a table",
        Some((_, "a sequence")) => "an array",
        Some((_, "a boolean")) => "`true` or `false`",
        Some((_, wanted)) => wanted,
        None => {
            let what = format!("{subject}: {message}");
            return (what, "write one name, or a table with one key".to_owned());
        }
    };
    let found = match value {
        DeValue::Integer(_) if wanted == "a whole number" => {
            return (
                format!("{subject} is too large for a 64-bit number"),
                format!("write at most {}", i64::MAX),
            );
        }
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    let fix = match (wanted, value) {
        (_, DeValue::Array(_) | DeValue::Table(_)) => format!("write {wanted}"),
        ("a string", _) => "put it in quotes".to_owned(),
        (wanted, DeValue::String(_))
            if wanted.starts_with("a number") || wanted.starts_with("a whole number") =>
        {
            format!("write {wanted}; numbers stand without quotes and units")
        }
        _ => format!("write {wanted}"),
    };
    (format!("{subject} must be {wanted}, not {found}"), fix)
}

/// The names that serde puts between backticks after the first, unknown one.
fn backticked(known: &str) -> impl Iterator<Item = &str> {
    // The text opens with the backtick that closes the unknown name.
    known.split('`').skip(2).step_by(2)
}
