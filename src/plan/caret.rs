//! A line of somebody's text with carets under a part of it: a profile's line, or a query's.

use std::fmt;

/// Characters of the line that are shown; a longer one is cut around its place.
const WIDTH_MAX: usize = 160;
/// Of those, how many stand before the place in a line that is cut.
const BEFORE_MAX: usize = 60;
/// Stands for what was cut off.
const CUT: char = '…';

/// A part of a line, and the line around it as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caret {
    /// Number of the line, from 1.
    pub line: usize,
    /// Column of the part in characters, from 1.
    pub column: usize,
    /// Characters of the shown text before the part.
    indent: usize,
    /// Characters of the shown part, at least 1.
    width: usize,
    /// The line as it is shown.
    text: String,
}

impl Caret {
    /// Under `width` characters of line `number`, from `column` on.
    pub(crate) fn new(number: usize, text: &str, column: usize, width: usize) -> Self {
        let before = column.saturating_sub(1);
        let length = text.chars().count();
        let start = if length > WIDTH_MAX { before.saturating_sub(BEFORE_MAX) } else { 0 };
        // Control characters would move the carets, or worse. A tab is one column, so it is shown
        // as one.
        let shown = |c: char| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        let mut line = String::new();
        if start > 0 {
            line.push(CUT);
        }
        let indent = before - start + line.chars().count();
        let end = length.min(start + WIDTH_MAX);
        line.extend(text.chars().skip(start).take(WIDTH_MAX).map(shown));
        if length > end {
            line.push(CUT);
        }
        let width = width.min(end.saturating_sub(before)).max(1);
        Self { line: number, column, indent, width, text: line }
    }

    /// Under character `position` (from 1) of `text`; `None` if it has fewer.
    pub fn at(text: &str, position: u32) -> Option<Self> {
        let mut left = position.saturating_sub(1) as usize;
        for (number, line) in (1..).zip(text.split('\n')) {
            let length = line.chars().count();
            if left <= length {
                return Some(Self::new(number, line, left + 1, 1));
            }
            left -= length + 1;
        }
        None
    }

    /// Width of the numbers' column.
    pub(crate) fn gutter(&self) -> usize {
        self.line.to_string().len()
    }
}

/// Two lines, without a newline at the end.
impl fmt::Display for Caret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gutter, indent, width) = (self.gutter(), self.indent, self.width);
        writeln!(f, "{} | {}", self.line, self.text)?;
        write!(f, "{:gutter$} | {:indent$}{:^<width$}", "", "", "")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_that_a_server_names_is_found() {
        insta::assert_snapshot!(Caret::at("SELECT a\nFROM tabel", 15).unwrap(), @r"
        2 | FROM tabel
          |      ^
        ");
        assert_eq!(Caret::at("SELECT 1", 10), None);
    }

    #[test]
    fn a_long_line_is_cut_around_its_place() {
        let text = format!("x = [{}}} # {}", " ".repeat(70_000), "y".repeat(1_000));
        let caret = Caret::new(1, &text, 70_006, 1);
        insta::assert_snapshot!(caret.to_string().replace(&" ".repeat(20), "<20>"), @r"
        1 | …<20><20><20>} # yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy…
          |<20><20><20>  ^
        ");
    }

    proptest! {
        #[test]
        fn carets_stand_under_what_they_are_about(
            before in "[a-zé ]{0,400}", part in "[A-Z]{1,300}", after in "[a-zé ]{0,400}",
        ) {
            let column = before.chars().count() + 1;
            let caret = Caret::new(7, &format!("{before}{part}{after}"), column, part.len());
            let shown = caret.to_string();
            let (text, carets) = shown.split_once('\n').unwrap();
            prop_assert!(text.chars().count() <= WIDTH_MAX + 6);
            let under: String = text
                .chars()
                .zip(carets.chars())
                .filter_map(|(c, caret)| (caret == '^').then_some(c))
                .collect();
            prop_assert!(part.starts_with(&under) && !under.is_empty(), "{}", shown);
        }
    }
}
