//! Which files a profile names, and which of their columns it takes with which types: known before it is resolved,
//! so that each file is read once.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::type_name::parse_type;
use crate::profile::document::{Table, Value};
use crate::row::{ColumnType, Wanted};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The names that stand where a profile names files: `sql_file`, and `path` under `file`.
    pub(super) names: BTreeSet<String>,
    /// Columns, each with the name of its file.
    pub(super) columns: Vec<(String, Wanted)>,
}

/// What a profile of this text names.
pub(super) fn find(profile: &str) -> Found {
    // What is wrong with the profile is found when it is resolved.
    let (document, _) = DeTable::parse_recoverable(profile);
    let document: Table = document.get_ref().into();
    let mut found = Found::default();
    found.table(&document, None);
    found
}

fn text<'d>(table: &'d Table, key: &str) -> Option<&'d str> {
    match &table.get(key)?.node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl Found {
    /// Looks into a table, whose values have this type unless it says another.
    fn table(&mut self, table: &Table, sql_type: Option<ColumnType>) {
        let own = text(table, "type").and_then(|own| parse_type(own).ok());
        for entry in table.entries() {
            match &entry.node.value {
                Value::Text(name) if entry.key == "sql_file" => {
                    self.names.insert(name.clone());
                }
                value => self.value(&entry.key, value, own.or(sql_type)),
            }
        }
    }

    fn value(&mut self, key: &str, value: &Value, sql_type: Option<ColumnType>) {
        match value {
            Value::Table(table) => {
                if key == "file" {
                    self.file(table, sql_type);
                }
                let sql_type = match key {
                    "array" => sql_type.and_then(ColumnType::element),
                    _ => sql_type,
                };
                self.table(table, sql_type);
            }
            Value::Array(nodes) => {
                nodes.iter().for_each(|node| self.value(key, &node.value, sql_type));
            }
            _ => {}
        }
    }

    fn file(&mut self, file: &Table, sql_type: Option<ColumnType>) {
        let Some(path) = text(file, "path") else { return };
        self.names.insert(path.to_owned());
        let sql_type = sql_type.filter(|sql_type| sql_type.is_in_files());
        if let (Some(column), Some(sql_type)) = (text(file, "column"), sql_type) {
            let cycles = text(file, "pick") == Some("cycle");
            let wanted = Wanted { column: column.to_owned(), sql_type, cycles };
            let own = (path.to_owned(), wanted);
            if !self.columns.contains(&own) {
                self.columns.push(own);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_wherever_they_are_named_each_column_with_its_type() {
        let profile = r#"
            [stream]
            columns = [
                { name = "a", type = "text", values = { choice = { others = { file = { path = "a.csv", column = "v" } } } } },
                { name = "e", type = "int[]", values = { array = { of = { file = { path = "e.csv", column = "w" } } } } },
            ]
            [[tables]]
            columns = [
                { name = "b", type = "date", values = { file = { path = "b.csv", column = "x", pick = "cycle" } } },
                { name = "c", type = "json", values = { file = { path = "b.csv", column = "y" } } },
            ]
            [[readers.queries]]
            sql_file = "q.sql"
            [readers.queries.parameters]
            file = { type = "text", values = { file = { path = "c.csv" } } }
        "#;
        let found = find(profile);
        let names: Vec<&str> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["a.csv", "b.csv", "c.csv", "e.csv", "q.sql"]);
        let wanted = |path: &str, column: &str, sql_type, cycles| {
            (path.to_owned(), Wanted { column: column.to_owned(), sql_type, cycles })
        };
        assert_eq!(
            found.columns,
            [
                wanted("a.csv", "v", ColumnType::Text, false),
                wanted("e.csv", "w", ColumnType::Integer, false),
                wanted("b.csv", "x", ColumnType::Date, true),
            ]
        );
    }
}
