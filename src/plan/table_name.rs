//! Table names: read as SQL reads them, written always quoted.

use std::fmt;
use std::str::FromStr;

use super::TableName;

/// Most bytes of an identifier that PostgreSQL keeps; it would cut the rest off.
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// Why a text is not a table's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableNameError {
    /// Nothing, or nothing between two dots.
    #[error("an identifier is empty")]
    Empty,
    /// PostgreSQL would silently cut it off.
    #[error("`{0}` has {len} bytes, and PostgreSQL keeps {IDENTIFIER_BYTES_MAX}", len = .0.len())]
    TooLong(String),
    /// No identifier may hold a NUL.
    #[error("the name holds a NUL character")]
    Nul,
    /// A double quote without its partner.
    #[error("a double quote is not closed")]
    Unclosed,
    /// More parts than schema and table.
    #[error("the name has more than two parts")]
    TooManyParts,
    /// A character that must be quoted.
    #[error("{0:?} must be inside double quotes")]
    MustBeQuoted(char),
}

/// What is wrong with `name` as an identifier, if anything.
pub(crate) fn check_identifier(name: &str) -> Result<(), TableNameError> {
    if name.is_empty() {
        Err(TableNameError::Empty)
    } else if name.contains('\0') {
        Err(TableNameError::Nul)
    } else if name.len() > IDENTIFIER_BYTES_MAX {
        Err(TableNameError::TooLong(name.to_owned()))
    } else {
        Ok(())
    }
}

/// `name` as a quoted SQL identifier.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One identifier from the front of `text`, and what follows it.
fn identifier(text: &str) -> Result<(String, &str), TableNameError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let end = rest.find('"').ok_or(TableNameError::Unclosed)?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None => return Ok((name, rest)),
            }
        }
    }
    // As the server's scanner: what is not ASCII counts as a letter, and only ASCII is folded.
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let is_part = |c: char| is_start(c) || c.is_ascii_digit() || c == '$';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    match text.chars().next() {
        None | Some('.') => Err(TableNameError::Empty),
        Some(first) if !is_start(first) => Err(TableNameError::MustBeQuoted(first)),
        Some(_) => Ok((text[..end].to_ascii_lowercase(), &text[end..])),
    }
}

impl TableName {
    /// The name as a person writes it in a profile: quoted only where it must be.
    pub fn as_written(&self) -> String {
        let part = |name: &str| match identifier(name) {
            Ok((read, "")) if read == name => name.to_owned(),
            _ => quote_identifier(name),
        };
        match &self.schema {
            Some(schema) => format!("{}.{}", part(schema), part(&self.name)),
            None => part(&self.name),
        }
    }
}

impl FromStr for TableName {
    type Err = TableNameError;

    /// Reads `table`, `schema.table`, or either part in double quotes; unquoted parts are folded
    /// to lower case, as the server does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('\0') {
            return Err(TableNameError::Nul);
        }
        let (first, rest) = identifier(text.trim())?;
        let (schema, name, rest) = match rest.strip_prefix('.') {
            Some(after) => {
                let (name, rest) = identifier(after)?;
                (Some(first), name, rest)
            }
            None => (None, first, rest),
        };
        match rest.chars().next() {
            None => {}
            Some('.') => return Err(TableNameError::TooManyParts),
            Some(other) => return Err(TableNameError::MustBeQuoted(other)),
        }
        check_identifier(&name)?;
        schema.as_deref().map_or(Ok(()), check_identifier)?;
        Ok(Self { schema, name })
    }
}

/// Always quoted, so that it can stand in SQL whatever the name holds.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quote_identifier(schema))?;
        }
        f.write_str(&quote_identifier(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<(Option<String>, String), TableNameError> {
        text.parse().map(|TableName { schema, name }| (schema, name))
    }

    #[test]
    fn names_read_as_the_server_reads_them() {
        for (text, schema, name) in [
            ("events", None, "events"),
            ("Events", None, "events"),
            ("\"Events\"", None, "Events"),
            ("\"My Schema\".t", Some("My Schema"), "t"),
            ("a.\"b.c\"", Some("a"), "b.c"),
            ("\"say \"\"hi\"\"\"", None, "say \"hi\""),
            ("Größe$1", None, "größe$1"),
            (" padded ", None, "padded"),
        ] {
            assert_eq!(parse(text), Ok((schema.map(str::to_owned), name.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_the_server_would_not_read_is_refused() {
        use TableNameError as E;
        for (text, error) in [
            ("", E::Empty),
            ("a.", E::Empty),
            (".a", E::Empty),
            ("\"\"", E::Empty),
            ("\"a", E::Unclosed),
            ("a.b.c", E::TooManyParts),
            ("a b", E::MustBeQuoted(' ')),
            ("1a", E::MustBeQuoted('1')),
            ("t; drop table u", E::MustBeQuoted(';')),
            ("a\0", E::Nul),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(parse(&"x".repeat(63)).is_ok());
        assert!(matches!(parse(&"x".repeat(64)), Err(E::TooLong(_))));
    }

    fn identifiers() -> impl Strategy<Value = String> {
        "[^\0]{1,63}".prop_map(|mut name| {
            while name.len() > IDENTIFIER_BYTES_MAX {
                name.pop();
            }
            name
        })
    }

    proptest! {
        #[test]
        fn a_written_name_reads_back(
            schema in proptest::option::of(identifiers()),
            name in identifiers(),
        ) {
            let table = TableName { schema, name };
            prop_assert_eq!(table.as_written().parse(), Ok(table.clone()));
            prop_assert_eq!(table.to_string().parse(), Ok(table));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<TableName>();
        }
    }
}
