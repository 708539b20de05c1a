//! Reads a profile's text into its mirror, and finds every fault on the way.
//!
//! Serde stops at the first error. So the faulty key is reported, cut out of the parsed document,
//! and what is left is read again, until it reads.

use std::collections::BTreeSet;
use std::iter;
use std::mem;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::fault::{FAULTS_MAX, Fault, Faults, Place, suggest};
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
    /// Most bytes of a profile. One of 200,000 queries has fewer.
    pub const BYTES_MAX: usize = 16 << 20;

    /// A profile of these bytes, at most [`Self::BYTES_MAX`] of them and one more.
    ///
    /// # Errors
    /// When they are too many, or no text.
    pub fn decode(name: &str, bytes: Vec<u8>) -> Result<Self, Faults> {
        let fault = |what: String, fix: &str| {
            let place = Place::File { file: name.to_owned() };
            Faults::from(Fault { place, what, fix: fix.to_owned() })
        };
        if bytes.len() > Self::BYTES_MAX {
            let what = format!("the profile is larger than {} MiB", Self::BYTES_MAX >> 20);
            return Err(fault(what, NO_PROFILE_FIX));
        }
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(fault("the profile is UTF-16".to_owned(), "save it as UTF-8"));
        }
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            let what = format!("the profile is no text: byte {} is NUL", at + 1);
            return Err(fault(what, NO_PROFILE_FIX));
        }
        String::from_utf8(bytes).map(|text| Self { name: name.to_owned(), text }).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let (before, after) = error.as_bytes().split_at(good);
            let line = before.split(|byte| *byte == b'\n').count();
            let byte = after.first().copied().unwrap_or_default();
            let what = format!("the profile is not UTF-8: line {line} has the byte 0x{byte:02X}");
            fault(what, "save it as UTF-8, or name another file")
        })
    }

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
    cuts: Vec<Cut>,
}

impl<'a> Report<'a> {
    /// Parses and reads the source.
    pub(crate) fn read(source: &'a ProfileSource) -> (Profile, Self) {
        let mut report =
            Self { source, faults: Vec::new(), unparsed_lines: BTreeSet::new(), cuts: Vec::new() };
        let (mut document, errors) = DeTable::parse_recoverable(&source.text);
        if report.is_no_toml(&errors) {
            return (Profile::default(), report);
        }
        for error in &errors {
            report.syntax(error);
        }
        // Each round cuts out one node, so the rounds end.
        let profile = loop {
            match Profile::deserialize(Deserializer::from(document.clone())) {
                Ok(profile) => break profile,
                Err(error) => {
                    let span = error.span().unwrap_or_else(|| document.span());
                    let is_variant = error.message().starts_with("unknown variant");
                    let is_unknown = error.message().starts_with("unknown field");
                    let root_span = document.span();
                    let path = find(document.get_ref(), &span, is_variant).unwrap_or_default();
                    let Some(node) = cut(document.get_mut(), root_span, &path, is_unknown) else {
                        report.at(&span, error.message().to_owned(), SYNTAX_FIX.to_owned());
                        break Profile::default();
                    };
                    let (what, fix) = explain(error.message(), &node);
                    report.at(&span, what, fix);
                    report.cuts.push(node.cut);
                    if report.faults.len() >= FAULTS_MAX {
                        break Profile::default();
                    }
                }
            }
        };
        (profile, report)
    }

    /// A fault at a place in the file.
    pub(crate) fn at(&mut self, span: &Range<usize>, what: String, fix: String) {
        let place = Place::of_span(&self.source.name, &self.source.text, span);
        match &place {
            Place::Line { caret, .. } if self.unparsed_lines.contains(&caret.line) => {}
            _ => self.push(Fault { place, what, fix }),
        }
    }

    /// A fault of a `key` that is missing from the table `span`, unless it was cut out there, or
    /// may be what an unknown key there was meant to be.
    pub(crate) fn missing_in(&mut self, span: &Range<usize>, key: &str, what: String, fix: String) {
        let explains = |cut: &Cut| {
            let is_inside = span.start <= cut.table_span.start && cut.table_span.end <= span.end;
            is_inside && (cut.is_unknown || cut.key() == key)
        };
        if self.unparsed_lines.is_empty() && !self.cuts.iter().any(explains) {
            self.at(span, what, fix);
        }
    }

    /// A fault wherever it is.
    pub(crate) fn push(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// The file as a whole, as a place.
    pub(crate) fn file(&self) -> Place {
        Place::File { file: self.source.name.clone() }
    }

    /// The text at `span`, as the author wrote it.
    pub(crate) fn written(&self, span: &Range<usize>) -> &'a str {
        self.source.text.get(span.clone()).unwrap_or_default()
    }

    /// Whether the value at `dotted`, or an element of it, may be missing because it was cut out,
    /// or because an unknown key was meant to be it.
    pub(crate) fn damaged(&self, dotted: &str) -> bool {
        let path: Vec<_> = dotted.split('.').collect();
        !self.unparsed_lines.is_empty()
            || self.cuts.iter().any(|cut| {
                let above = &cut.path[..cut.path.len() - usize::from(cut.is_unknown)];
                path.len() >= cut.path.len() && path[..above.len()] == *above
            })
    }

    /// Every fault found.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// Reports a file most of whose lines are no TOML with one fault, not with one a line.
    fn is_no_toml(&mut self, errors: &[toml::de::Error]) -> bool {
        let text = &self.source.text;
        let starts: Vec<usize> =
            iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let spans = errors.iter().map(|error| error.span().unwrap_or(0..0));
        let Some(first) = spans.clone().min_by_key(|span| span.start) else { return false };
        let line_of = |span: Range<usize>| starts.partition_point(|start| *start <= span.start);
        self.unparsed_lines = spans.map(line_of).collect();
        let lines = || (1..).zip(text.lines());
        let all = lines().filter(|(_, line)| !line.trim().is_empty()).count();
        // A line that was meant to be TOML is worth a fault of its own.
        let is_meant = |line: &str| line.contains('=') || line.trim_start().starts_with('[');
        let foreign = lines()
            .filter(|(number, line)| self.unparsed_lines.contains(number) && !is_meant(line))
            .count();
        let is_no_toml = foreign >= 3 && 2 * foreign > all;
        if is_no_toml {
            let place = Place::of_span(&self.source.name, text, &first);
            let what = "the profile is not TOML".to_owned();
            self.push(Fault { place, what, fix: NO_PROFILE_FIX.to_owned() });
        }
        is_no_toml
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
        self.push(Fault { place, what, fix });
    }
}

const NO_PROFILE_FIX: &str =
    "name a profile: a text file in TOML, such as those that `strom-load check` prints";
const SYNTAX_FIX: &str =
    "correct the TOML here: `key = value`, text in quotes, a table's name in brackets";

/// A step from a node of the document to one below it.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// The path to the innermost key or value that covers `span`; for an enumeration's variant, to
/// the value that it is, or that it is the key of.
///
/// A table opened by a header spans only that header, so no branch can be skipped.
fn find(root: &DeTable<'_>, span: &Range<usize>, is_variant: bool) -> Option<Vec<Step>> {
    struct Search<'s> {
        span: &'s Range<usize>,
        path: Vec<Step>,
        best: Option<(usize, Vec<Step>)>,
        is_variant: bool,
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
                if self.is_variant {
                    self.consider(&key.span());
                }
                self.path.push(Step::Key(key.get_ref().to_string()));
                if !self.is_variant {
                    self.consider(&key.span());
                }
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
    let mut search = Search { span, path: Vec::new(), best: None, is_variant };
    search.table(root);
    search.best.map(|(_, path)| path)
}

/// Where something was cut out.
struct Cut {
    /// Keys from the root, without array indices; at least one.
    path: Vec<String>,
    /// The table it was in.
    table_span: Range<usize>,
    /// Whether the key itself was at fault.
    is_unknown: bool,
}

impl Cut {
    fn key(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

/// A node that was cut out.
struct Node<'i> {
    cut: Cut,
    /// Whether it was an element of the array at its path.
    is_element: bool,
    value: DeValue<'i>,
}

fn cut<'i>(
    root: &mut DeTable<'i>,
    root_span: Range<usize>,
    path: &[Step],
    is_unknown: bool,
) -> Option<Node<'i>> {
    enum Container<'c, 'i> {
        Table(&'c mut DeTable<'i>),
        Array(&'c mut DeArray<'i>),
    }
    let keys = path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.clone()),
        Step::Index(_) => None,
    });
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
            for element in elements {
                array.push(element);
            }
            element
        }
        _ => return None,
    };
    Some(Node {
        cut: Cut { path: keys.collect(), table_span, is_unknown },
        is_element: matches!(last, Step::Index(_)),
        value: value.into_inner(),
    })
}

/// Puts serde's message into the author's words.
fn explain(message: &str, node: &Node<'_>) -> (String, String) {
    let Node { cut, is_element, value } = node;
    let key = cut.key();
    let subject = if *is_element { format!("an element of `{key}`") } else { format!("`{key}`") };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let known = rest.strip_prefix(key).unwrap_or(rest);
        // The text opens with the backtick that closes the unknown name.
        return (format!("unknown key `{key}`"), suggest(key, known.split('`').skip(2).step_by(2)));
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let (written, known) = rest.split_once('`').unwrap_or((rest, ""));
        let what = format!("{subject} cannot be `{written}`");
        return (what, suggest(written, known.split('`').skip(1).step_by(2)));
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
        None if message.contains("exactly 1 element") => {
            let what = format!("{subject} must be one name, or a table with exactly one key");
            return (what, "keep one".to_owned());
        }
        // What the toml crate says of an enumeration.
        None if message == "wanted string or table" => "a name in quotes",
        None => return (format!("{subject}: {message}"), SYNTAX_FIX.to_owned()),
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
