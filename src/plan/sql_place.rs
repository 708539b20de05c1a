//! Where a query's text, or a statement's, stands in its profile, so that what a server says of it leads there.

use std::ops::Range;

use super::Caret;

/// The place of a query's text. Two queries are the same wherever they stand.
#[derive(Debug, Clone, Default)]
pub struct SqlPlace {
    /// The profile's file or name; empty where the query came from none.
    file: String,
    /// Line on which the text begins, from 1.
    line: usize,
    /// Whether a line of the text is a line of the file: not where there are escapes.
    is_verbatim: bool,
}

impl PartialEq for SqlPlace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SqlPlace {}

impl SqlPlace {
    /// The place of the string that `span` of `text`, the content of `file`, holds with its quotes.
    pub(super) fn new(file: &str, text: &str, span: &Range<usize>) -> Self {
        let written = text.get(span.clone()).unwrap_or_default();
        let quotes = ["'''", "\"\"\""].iter().find(|quotes| written.starts_with(**quotes));
        let mut begins = span.start + quotes.map_or(1, |quotes| quotes.len());
        // A newline right after three quotes is no part of the string.
        if quotes.is_some() {
            let after = text.get(begins..).unwrap_or_default();
            begins += after
                .strip_prefix("\r\n")
                .or(after.strip_prefix('\n'))
                .map_or(0, |rest| after.len() - rest.len());
        }
        let before = text.get(..begins.min(text.len())).unwrap_or_default();
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            is_verbatim: written.starts_with('\'') || !written.contains('\\'),
        }
    }

    /// The place of a text that is all of a file.
    pub(super) fn whole(file: String) -> Self {
        Self { file, line: 1, is_verbatim: true }
    }

    /// The place of a part of that text that begins on a line of it, from 1.
    #[must_use]
    pub(super) fn beginning(self, line: usize) -> Self {
        Self { line: self.line + line - 1, ..self }
    }

    /// File and line of a fault at character `position` (from 1) of the query's text, and the line
    /// with a caret under it; as far as they are known.
    pub fn show(&self, sql: &str, position: Option<u32>) -> Vec<String> {
        let mut caret = position.and_then(|at| Caret::at(sql, at));
        let mut lines = Vec::new();
        if !self.file.is_empty() {
            let (file, begins) = (&self.file, self.line);
            lines.push(match &mut caret {
                Some(caret) if self.is_verbatim => {
                    caret.line += begins - 1;
                    format!("--> {file}:{}", caret.line)
                }
                Some(caret) => format!("--> {file}:{begins}, line {} of the query", caret.line),
                None => format!("--> {file}:{begins}"),
            });
        }
        lines.extend(
            caret
                .iter()
                .flat_map(|caret| caret.to_string().lines().map(str::to_owned).collect::<Vec<_>>()),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: &str, sql: &str, position: u32) -> String {
        let start = file.find(['\'', '"']).unwrap();
        let place = SqlPlace::new("p.toml", file, &(start..file.len()));
        place.show(sql, Some(position)).join("\n")
    }

    #[test]
    fn a_line_of_the_query_is_found_in_the_file() {
        let sql = "SELECT a\nFROM tabel";
        let multi_line = shown("name = 1\nsql = '''\nSELECT a\nFROM tabel'''", sql, 15);
        insta::assert_snapshot!(multi_line, @r"
        --> p.toml:4
        4 | FROM tabel
          |      ^
        ");
        let begins_at_once =
            shown("\n\n\n\n\n\n\n\nsql = \"\"\"SELECT a\r\nFROM tabel\"\"\"", sql, 15);
        insta::assert_snapshot!(begins_at_once, @r"
        --> p.toml:10
        10 | FROM tabel
           |      ^
        ");
        let windows = shown("sql = '''\r\nSELECT a\r\nFROM tabel'''", sql, 15);
        assert!(windows.starts_with("--> p.toml:3\n"), "{windows}");
    }

    #[test]
    fn where_lines_are_not_the_files_the_querys_are_told() {
        let escaped = shown("sql = \"SELECT a\\nFROM tabel\"", "SELECT a\nFROM tabel", 15);
        insta::assert_snapshot!(escaped, @r"
        --> p.toml:1, line 2 of the query
        2 | FROM tabel
          |      ^
        ");
        assert_eq!(SqlPlace::default().show("SELECT 1", None), [""; 0]);
    }
}
