//! Faults of a profile: each with its place, what is wrong there, and how to mend it.
//!
//! Rendered as rustc renders its errors, in plain text; colour is for the caller.

use std::fmt;
use std::ops::Range;

use super::caret::Caret;

/// Faults of one profile that are shown.
const SHOWN_MAX: usize = 20;
/// Faults of one profile that are looked for.
pub(crate) const FAULTS_MAX: usize = 100;

/// Where a value given outside the file comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A command-line flag, such as `--rate`.
    Flag(&'static str),
    /// An environment variable, such as `STROM_LOAD_RATE`.
    Env(&'static str),
}

impl Origin {
    /// The flag or variable itself.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flag(name) | Self::Env(name) => name,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file as a whole, as when something is missing.
    File {
        /// The profile's file or name.
        file: String,
    },
    /// At a place in the file.
    Line {
        /// The profile's file or name.
        file: String,
        /// The line, and the part of it.
        caret: Caret,
    },
    /// In a value that overrides the file.
    Given(Origin),
}

impl Place {
    /// The place of the bytes `span` of `text`, the content of `file`.
    pub(crate) fn of_span(file: &str, text: &str, span: &Range<usize>) -> Self {
        let start = boundary(text, span.start);
        let end = boundary(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + line_text.len();
        let number = text[..start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let width = text[start..end.min(line_end).max(start)].chars().count();
        let caret = Caret::new(number, line_text, column, width);
        Self::Line { file: file.to_owned(), caret }
    }
}

/// The last character boundary of `text` up to byte `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One thing that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong, in a line.
    pub what: String,
    /// How to mend it, in a line.
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what, fix } = self;
        writeln!(f, "error: {what}")?;
        match place {
            Place::File { file } => write!(f, " --> {file}\n  = fix: {fix}"),
            Place::Given(origin) => write!(f, " --> {origin}\n  = fix: {fix}"),
            Place::Line { file, caret } => {
                let gutter = caret.gutter();
                writeln!(f, "{:gutter$}--> {file}:{}:{}", "", caret.line, caret.column)?;
                writeln!(f, "{:gutter$} |", "")?;
                writeln!(f, "{caret}")?;
                write!(f, "{:gutter$} = fix: {fix}", "")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Everything that is wrong with a profile, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `Err` if there is any fault.
    pub(crate) fn check(mut faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        faults.dedup();
        Err(Self(faults))
    }

    /// All of them, each once, in this order; `None` if there are none.
    pub fn joined(several: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut all: Vec<Fault> = Vec::new();
        for fault in several.into_iter().flat_map(|faults| faults.0) {
            if !all.contains(&fault) {
                all.push(fault);
            }
        }
        (!all.is_empty()).then_some(Self(all))
    }

    /// The faults, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Each fault opens with `error:` itself, so the caller prints this as it is.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.iter().take(SHOWN_MAX).enumerate() {
            if at > 0 {
                f.write_str("\n\n")?;
            }
            fault.fmt(f)?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            // The search ended there.
            more if self.0.len() >= FAULTS_MAX => write!(f, "\n\n…and {more} more at least"),
            more => write!(f, "\n\n…and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// How to mend the name `written`: the known name it resembles, or all of them.
pub(crate) fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.into_iter().collect();
    match nearest(written, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let listed: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("write one of {}", listed.join(", "))
        }
    }
}

/// The known name that `written` resembles.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name that lacks its unit, or has too much of one, is near however long the unit.
    let edits = |name: &str| {
        if written.len() >= 3 && (name.starts_with(written) || written.starts_with(name)) {
            1
        } else {
            strsim::osa_distance(written, name)
        }
    };
    let (edits, name) = known.into_iter().map(|name| (edits(name), name)).min()?;
    (edits <= (written.chars().count() / 3).max(1)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognised() {
        let known = ["table", "partitions", "rows_per_s"];
        assert_eq!(suggest("tabel", known), "did you mean `table`?");
        assert_eq!(suggest("rows_per_sec", known), "did you mean `rows_per_s`?");
        assert_eq!(suggest("rows", known), "did you mean `rows_per_s`?");
        let all = "write one of `table`, `partitions`, `rows_per_s`";
        assert_eq!(suggest("colour", known), all);
    }

    #[test]
    fn a_place_counts_characters_not_bytes() {
        let text = "a = 1\nü = \"höh\" # end\r\n";
        let at = text.find('"').unwrap();
        let place = Place::of_span("p.toml", text, &(at..at + "\"höh\"".len()));
        let Place::Line { caret, .. } = place else { panic!("{place:?}") };
        assert_eq!((caret.line, caret.column), (2, 5));
        insta::assert_snapshot!(caret, @r#"
        2 | ü = "höh" # end
          |     ^^^^^
        "#);
    }

    #[test]
    fn a_place_past_the_end_or_over_lines_still_has_a_caret() {
        for span in [7..7, 99..120, 0..7] {
            let place = Place::of_span("p.toml", "a\n= '''", &span);
            let Place::Line { caret, .. } = place else { panic!("{place:?}") };
            assert!(caret.to_string().ends_with('^'), "{caret}");
        }
    }
}
