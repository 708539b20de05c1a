//! Reads a profile's text into its mirror, and finds every fault on the way.
//!
//! Serde stops at the first error. So the faulty key is reported, cut out of the parsed document,
//! and what is left is read again, until it reads.

use std::collections::BTreeSet;
use std::iter;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use super::fault::{FAULTS_MAX, Fault, Faults, Place, suggest};
use super::files::{NamedFile, ProfileFiles, without_mark};
use super::{Overrides, SqlPlace};
use crate::profile::Profile;
use crate::profile::document::{NO_SETTINGS, NO_VARIANT, NOT_ONE_KEY, Node, Step, Table, Value};

/// A profile's text, the name that faults are reported under, and the files that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileSource {
    /// The file's path, or the name of a built-in profile.
    pub name: String,
    /// The file's content.
    pub text: String,
    files: ProfileFiles,
}

impl ProfileSource {
    /// A profile whose files, if it names any, nobody has read.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), files: ProfileFiles::default() }
    }

    /// The same with the files that it names, as `read` reads them by their names there, or says why it cannot.
    #[must_use]
    pub fn reading(self, read: impl Fn(&str) -> Result<NamedFile, String>) -> Self {
        let files = ProfileFiles::of(&self.text, read);
        Self { files, ..self }
    }

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
        String::from_utf8(bytes).map(|text| Self::new(name, without_mark(&text))).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let (before, after) = error.as_bytes().split_at(good);
            let line = before.split(|byte| *byte == b'\n').count();
            let byte = after.first().copied().unwrap_or_default();
            let what = format!("the profile is not UTF-8: line {line} has the byte 0x{byte:02X}");
            fault(what, "save it as UTF-8, or name another file")
        })
    }

    /// That something is wrong at these bytes of the text.
    pub(crate) fn fault(&self, span: &Range<usize>, what: String, fix: String) -> Fault {
        Fault { place: Place::of_span(&self.name, &self.text, span), what, fix }
    }

    /// A file that it names, or why there is none.
    pub(crate) fn file(&self, name: &str) -> Result<&NamedFile, String> {
        self.files.get(name)
    }

    /// The file's name without folder and extension: what an unnamed profile is called.
    pub(crate) fn stem(&self) -> &str {
        Path::new(&self.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }
}

/// The faults found so far, and what they have cost of the document.
pub(crate) struct Report<'a> {
    source: &'a ProfileSource,
    overrides: &'a Overrides,
    faults: Vec<Fault>,
    /// Lines that could not be parsed: what else is found there follows from that.
    unparsed_lines: BTreeSet<usize>,
    cuts: Vec<Cut>,
}

impl<'a> Report<'a> {
    /// Parses the source. What others give is read, and its places are known, once it is laid over
    /// the document.
    pub(crate) fn parse(source: &'a ProfileSource, overrides: &'a Overrides) -> (Table, Self) {
        let mut report = Self {
            source,
            overrides,
            faults: Vec::new(),
            unparsed_lines: BTreeSet::new(),
            cuts: Vec::new(),
        };
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        if report.is_no_toml(&errors) {
            return (Table::default(), report);
        }
        // A long line that is no TOML can have one at each character, and each is looked for from its start.
        for error in errors.iter().take(FAULTS_MAX) {
            report.syntax(error);
        }
        (document.get_ref().into(), report)
    }

    /// The files that the profile names.
    pub(super) fn files(&self) -> &'a ProfileFiles {
        &self.source.files
    }

    /// Reads a document into its mirror.
    pub(crate) fn read(&mut self, document: Table) -> Profile {
        let whole = 0..self.source.text.len();
        let mut root = Node { span: whole.clone(), value: Value::Table(document) };
        // Each round cuts out one node, so the rounds end.
        loop {
            let error = match Profile::deserialize(&root) {
                Ok(profile) => return profile,
                Err(error) => error,
            };
            let path = error.path();
            let span = error.span.clone().unwrap_or_else(|| whole.clone());
            let Value::Table(document) = &mut root.value else { return Profile::default() };
            let Some((table_span, node)) = document.cut(whole.clone(), &path) else {
                self.at(&span, error.message, SYNTAX_FIX.to_owned());
                return Profile::default();
            };
            let keys = path.iter().filter_map(|step| match step {
                Step::Key(key) => Some(key.clone()),
                Step::Index(_) => None,
            });
            let is_unknown = error.message.starts_with("unknown field");
            let cut = Cut { path: keys.collect(), table_span, is_unknown };
            let given = self.override_at(&span).and_then(|number| self.overrides.get(number));
            let subject = match (given, path.last()) {
                (Some(given), _) => format!("`{}`", given.origin.name()),
                (None, Some(Step::Index(_))) => format!("an element of `{}`", cut.key()),
                (None, _) => format!("`{}`", cut.key()),
            };
            let (what, fix) = explain(&error.message, cut.key(), &subject, &node.value);
            self.at(&span, what, fix);
            self.cuts.push(cut);
            if self.faults.len() >= FAULTS_MAX {
                return Profile::default();
            }
        }
    }

    /// Where the value of an override stands: beyond the end of the file.
    pub(crate) fn span_of(&self, number: usize) -> Range<usize> {
        let start = self.source.text.len() + 1 + number;
        start..start + 1
    }

    /// Which override stands there, if it is one.
    pub(crate) fn override_at(&self, span: &Range<usize>) -> Option<usize> {
        let number = span.start.checked_sub(self.source.text.len() + 1)?;
        self.overrides.get(number).map(|_| number)
    }

    /// What a place is, for people.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let given = self.override_at(span).and_then(|number| self.overrides.get(number));
        match given {
            Some(given) => Place::Given(given.origin.clone()),
            None => Place::of_span(&self.source.name, &self.source.text, span),
        }
    }

    /// Where a query's text stands.
    pub(crate) fn sql_place(&self, span: &Range<usize>) -> SqlPlace {
        match self.override_at(span) {
            Some(_) => SqlPlace::default(),
            None => SqlPlace::new(&self.source.name, &self.source.text, span),
        }
    }

    /// The place of a text that a file holds, which the profile names.
    pub(super) fn place_beside(&self, name: &str) -> SqlPlace {
        let folder = Path::new(&self.source.name).parent().unwrap_or(Path::new(""));
        SqlPlace::whole(folder.join(name).display().to_string())
    }

    /// How to name a setting and its value: as the user gave them.
    pub(crate) fn words(&self, key: &str, span: &Range<usize>) -> (String, String) {
        match self.override_at(span).and_then(|number| self.overrides.get(number)) {
            Some(given) => (format!("`{}`", given.origin.name()), given.shown().to_owned()),
            None => {
                let written = self.source.text.get(span.clone()).unwrap_or_default();
                (format!("`{key}`"), written.to_owned())
            }
        }
    }

    /// A fault at a place in the file.
    pub(crate) fn at(&mut self, span: &Range<usize>, what: String, fix: String) {
        let place = self.place(span);
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

    /// Whether no job has this dotted key.
    pub(crate) fn is_unknown(&self, dotted: &str) -> bool {
        self.cuts.iter().any(|cut| cut.is_unknown && cut.path.join(".") == dotted)
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
        let known = known_keys();
        let is_meant = |line: &str| match line.split_once('=') {
            Some((key, _)) => {
                key.split('.').all(|part| known.contains(part.trim().trim_matches(['"', '\''])))
            }
            None => line.trim_start().starts_with('[') && line.trim_end().ends_with(']'),
        };
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
        let written = self.source.text.get(span.clone()).unwrap_or_default();
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

/// Every key that some part of a profile has.
fn known_keys() -> BTreeSet<String> {
    fn add(found: &mut BTreeSet<String>, of: &serde_json::Value) {
        if let Some(properties) = of.get("properties").and_then(serde_json::Value::as_object) {
            found.extend(properties.keys().cloned());
        }
        match of {
            serde_json::Value::Object(map) => map.values().for_each(|value| add(found, value)),
            serde_json::Value::Array(all) => all.iter().for_each(|value| add(found, value)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    add(&mut found, crate::profile::schema().as_value());
    found
}

const NO_PROFILE_FIX: &str =
    "name a profile: a text file in TOML, such as those that `strom-load check` prints";
const SYNTAX_FIX: &str =
    "correct the TOML here: `key = value`, text in quotes, a table's name in brackets";

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

/// Puts serde's message into the author's words.
fn explain(message: &str, key: &str, subject: &str, value: &Value) -> (String, String) {
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
        let written = match value {
            Value::Text(text) => text,
            _ => key,
        };
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
        None if message == NO_SETTINGS => {
            let what = format!("{subject} takes no settings there");
            return (what, "write the name alone, in quotes".to_owned());
        }
        None if message == NOT_ONE_KEY => {
            let what = format!("{subject} must be one name, or a table with exactly one key");
            return (what, "keep one".to_owned());
        }
        None if message == NO_VARIANT => "a name in quotes",
        None => return (format!("{subject}: {message}"), SYNTAX_FIX.to_owned()),
    };
    if matches!(value, Value::Whole(_)) && wanted == "a whole number" {
        let what = format!("{subject} is too large for a 64-bit number");
        return (what, format!("write at most {}", i64::MAX));
    }
    let found = value.kind();
    let fix = match (wanted, value) {
        (_, Value::Array(_) | Value::Table(_)) => format!("write {wanted}"),
        ("a string", _) => "put it in quotes".to_owned(),
        (wanted, Value::Text(_))
            if wanted.starts_with("a number") || wanted.starts_with("a whole number") =>
        {
            format!("write {wanted}; numbers stand without quotes and units")
        }
        _ => format!("write {wanted}"),
    };
    (format!("{subject} must be {wanted}, not {found}"), fix)
}
