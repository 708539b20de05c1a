//! Texts of queries that stand in files of their own. Whoever reads a profile reads these, too.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::profile::document::{Node, Table, Value};

/// What the files that a profile names hold, by the names there.
#[derive(Debug, Clone, Default)]
pub struct SqlFiles(BTreeMap<String, Result<String, String>>);

impl SqlFiles {
    /// The files that a profile of this text names in `sql_file`, as `read` reads them, or says why it cannot.
    pub fn of(profile: &str, read: impl Fn(&str) -> Result<String, String>) -> Self {
        // What is wrong with the profile is found when it is resolved.
        let (document, _) = DeTable::parse_recoverable(profile);
        let document: Table = document.get_ref().into();
        let names = ["readers", "bench"].into_iter().flat_map(|section| named(&document, section));
        Self(names.map(|name| (name.to_owned(), read(name))).collect())
    }

    /// The text of a file, or why there is none.
    pub(super) fn text(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().unwrap_or_else(|| Err("nothing was read".to_owned()))
    }
}

/// The files that queries under `section` name.
fn named<'d>(document: &'d Table, section: &str) -> Vec<&'d str> {
    let Some(Value::Table(section)) = document.get(section).map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    let Some(Value::Array(queries)) = section.get("queries").map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    let file = |query: &'d Node| match &query.value {
        Value::Table(query) => match &query.get("sql_file")?.node.value {
            Value::Text(name) => Some(name.as_str()),
            _ => None,
        },
        _ => None,
    };
    queries.iter().filter_map(file).collect()
}
