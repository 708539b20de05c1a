//! What readers that write may change of the rows of a stream.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Query, Readers};

/// What stands for rows that come and go.
const ROWS: &str = "rows";

/// What a query changes in the stream's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Values of these columns, in rows that stay.
    Columns(Vec<String>),
    /// It deletes rows, or adds some.
    Rows,
}

/// What all readers together may change of the rows of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChanges {
    /// Values of these columns and no others; there may be none.
    Columns(Vec<String>),
    /// Rows come and go.
    Rows,
    /// Nobody says.
    Unsaid,
}

impl Readers {
    /// The queries that may write.
    pub fn writers(&self) -> impl Iterator<Item = &Query> {
        let all = self.writes == Some(true);
        let writes = move |query: &&Query| query.writes.as_ref().map_or(all, |writes| **writes);
        self.queries.iter().flatten().map(|query| &**query).filter(writes)
    }

    /// What these may change.
    pub fn row_changes(&self) -> RowChanges {
        let mut changes = RowChanges::Columns(Vec::new());
        for query in self.writers() {
            changes = match (changes, query.changes.as_deref()) {
                (RowChanges::Rows, _) | (_, Some(Changes::Rows)) => return RowChanges::Rows,
                (RowChanges::Unsaid, _) | (_, None) => RowChanges::Unsaid,
                (RowChanges::Columns(mut columns), Some(Changes::Columns(more))) => {
                    columns.extend(more.iter().cloned());
                    RowChanges::Columns(columns)
                }
            };
        }
        if let RowChanges::Columns(columns) = &mut changes {
            columns.sort_unstable();
            columns.dedup();
        }
        changes
    }
}

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl<'de> Visitor<'de> for Wanted {
            type Value = Changes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of columns, or \"rows\"")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Changes, E> {
                match value {
                    ROWS => Ok(Changes::Rows),
                    _ => Err(E::invalid_type(de::Unexpected::Str(value), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Changes, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = seq.next_element()? {
                    columns.push(column);
                }
                Ok(Changes::Columns(columns))
            }
        }
        deserializer.deserialize_any(Wanted)
    }
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Columns(columns) => columns.serialize(serializer),
            Self::Rows => serializer.serialize_str(ROWS),
        }
    }
}

impl JsonSchema for Changes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Changes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "const": ROWS },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(readers: &str) -> RowChanges {
        toml::from_str::<Readers>(readers).unwrap().row_changes()
    }

    #[test]
    fn what_is_changed_is_what_each_writer_says_or_nobody_knows() {
        let columns = |names: &[&str]| {
            RowChanges::Columns(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let read = "[[queries]]\nname = 'r'\nchanges = 'rows'\n";
        let unsaid = "[[queries]]\nname = 'u'\nwrites = true\n";
        let some = "[[queries]]\nwrites = true\nchanges = ['b', 'a']\n";
        let others = "[[queries]]\nwrites = true\nchanges = ['c', 'a']\n";
        let rows = "[[queries]]\nwrites = true\nchanges = 'rows'\n";
        assert_eq!(changes(read), columns(&[]));
        assert_eq!(changes(&[some, read, others].concat()), columns(&["a", "b", "c"]));
        assert_eq!(changes(&[some, unsaid].concat()), RowChanges::Unsaid);
        assert_eq!(changes(&[unsaid, rows].concat()), RowChanges::Rows);
        assert_eq!(changes(&["writes = true\n", read].concat()), RowChanges::Rows);
        let no = "writes = true\n[[queries]]\nwrites = false\n";
        assert_eq!(changes(no), columns(&[]));
    }
}
