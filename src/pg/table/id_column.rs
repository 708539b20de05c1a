//! The column that tells a stream's rows apart, in SQL: by numbers of rows, whatever it holds.

use crate::plan::{Stream, quote_identifier};
use crate::row::{Ids, RowIdentity};

use super::super::quote::quote_literal;

/// The column that tells rows apart.
#[derive(Debug, Clone)]
pub(super) struct IdColumn {
    /// Its quoted name.
    pub(super) name: String,
    pub(super) identity: RowIdentity,
}

impl IdColumn {
    /// That of a stream; `None`: nothing tells its rows apart.
    pub(super) fn of(stream: &Stream) -> Option<Self> {
        let (at, identity) = stream.identity()?;
        Some(Self { name: quote_identifier(&stream.columns.get(at)?.name), identity })
    }

    /// The number that a row carries; of a row that is nobody's of ours it may be NULL. `alias` precedes the name,
    /// with its dot.
    pub(super) fn number(&self, alias: &str) -> String {
        let name = &self.name;
        match &self.identity {
            RowIdentity::Number => format!("{alias}{name}"),
            // The last group of its usual form.
            RowIdentity::Uuid => {
                format!("('x' || pg_catalog.right({alias}{name}::text, 12))::bit(48)::bigint")
            }
            // Only as we write it, so that no other text is an error, or two of them one row.
            RowIdentity::Text { prefix, suffix } => {
                let (prefix, suffix) = (escaped(prefix), escaped(suffix));
                let form = quote_literal(&format!("^{prefix}([1-9][0-9]{{0,17}}){suffix}$"));
                format!("pg_catalog.substring({alias}{name}::text COLLATE \"C\", {form})::bigint")
            }
        }
    }

    /// The value of the row with this number, among these ids.
    pub(super) fn value(&self, ids: &Ids, number: i64) -> String {
        match self.identity {
            RowIdentity::Number => number.to_string(),
            RowIdentity::Uuid => format!("'{}'::uuid", self.identity.text(ids, number)),
            RowIdentity::Text { .. } => quote_literal(&self.identity.text(ids, number)),
        }
    }

    /// Conditions that a row has a number from one up to but not including another, among these ids.
    pub(super) fn span(&self, ids: &Ids, first: Option<i64>, end: Option<i64>) -> Vec<String> {
        if self.identity == RowIdentity::Uuid {
            // All of the run have both ends; others are on either side.
            let last = end.map_or(i64::MAX, |end| end.saturating_sub(1));
            let [first, last] = [first.unwrap_or(0), last].map(|number| self.value(ids, number));
            return vec![format!("{} BETWEEN {first} AND {last}", self.name)];
        }
        let number = self.number("");
        let first = first.map(|first| format!("{number} >= {first}"));
        let end = end.map(|end| format!("{number} < {end}"));
        first.into_iter().chain(end).collect()
    }
}

/// A text as it stands in a regular expression.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        if char.is_ascii_punctuation() || char == ' ' {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}
