//! What the files hold that a profile names: texts of queries, and values of columns. Whoever reads a profile
//! reads these, too.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use crate::profile::document::{Table, Value};
use crate::row::{ColumnType, Sample, SampleBuilder, SampleFault, VALUES_MAX};

/// The files that a profile names, by the names there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileFiles(BTreeMap<String, Result<NamedFile, String>>);

/// A file that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is, whatever the folder is that one looks from.
    pub path: String,
    /// What it holds.
    pub text: String,
    /// What tells that from what another holds: the first 128 bits of its SHA-256, in hexadecimal digits.
    pub fingerprint: String,
}

impl ProfileFiles {
    /// Most bytes of a file.
    pub const BYTES_MAX: usize = 64 << 20;

    /// The files that a profile of this text names, as `read` reads them, or says why it cannot.
    pub fn of(profile: &str, read: impl Fn(&str) -> Result<NamedFile, String>) -> Self {
        // What is wrong with the profile is found when it is resolved.
        let (document, _) = DeTable::parse_recoverable(profile);
        let document: Table = document.get_ref().into();
        let mut names = Vec::new();
        find(&document, &mut names);
        Self(names.into_iter().map(|name| (name.to_owned(), read(name))).collect())
    }

    /// A file, or why there is none.
    pub(super) fn get(&self, name: &str) -> Result<&NamedFile, String> {
        match self.0.get(name) {
            Some(Ok(file)) => Ok(file),
            Some(Err(why)) => Err(why.clone()),
            None => Err("nothing was read".to_owned()),
        }
    }
}

/// The names that stand where a profile names files: `sql_file`, and `path` under `file`.
fn find<'d>(table: &'d Table, names: &mut Vec<&'d str>) {
    for entry in table.entries() {
        match &entry.node.value {
            Value::Text(name) if entry.key == "sql_file" => names.push(name),
            value => find_in(&entry.key, value, names),
        }
    }
}

fn find_in<'d>(key: &str, value: &'d Value, names: &mut Vec<&'d str>) {
    match value {
        Value::Table(table) => {
            if let ("file", Some(Value::Text(name))) =
                (key, table.get("path").map(|entry| &entry.node.value))
            {
                names.push(name);
            }
            find(table, names);
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| find_in(key, &node.value, names)),
        _ => {}
    }
}

/// A text without the byte order mark that some editors open a file in UTF-8 with.
pub(super) fn without_mark(mut text: String) -> String {
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    text
}

/// What tells what was hashed from what another has: the first 128 bits, in hexadecimal digits.
pub(super) fn fingerprint(digest: Sha256) -> String {
    let digest = digest.finalize();
    let (bits, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    format!("{:032x}", u128::from_be_bytes(*bits))
}

/// A column of a file, with what tells the file's content from another's.
pub(super) struct FileColumn {
    pub(super) sample: Sample,
    pub(super) fingerprint: String,
}

impl NamedFile {
    /// The file at a path with what it holds.
    pub fn new(path: String, text: String) -> Self {
        let fingerprint = fingerprint(Sha256::new_with_prefix(text.as_bytes()));
        Self { path, text: without_mark(text), fingerprint }
    }

    /// The values of a column of this file, which is CSV with the names of the columns in its first line; or what
    /// is wrong with it, and a fix.
    pub(super) fn column(
        &self,
        column: &str,
        sql_type: ColumnType,
    ) -> Result<FileColumn, (String, String)> {
        let bad = |what: String, fix: &str| (what, fix.to_owned());
        let unread = |error: csv::Error| {
            let error = error.to_string();
            let why = error.strip_prefix("CSV error: ").unwrap_or(&error);
            bad(format!("`{}` is not CSV: {why}", self.path), "save it as CSV in UTF-8")
        };
        if self.text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
            let what = format!("`{}` has a quote that is not closed", self.path);
            return Err(bad(what, "see whether the file is whole"));
        }
        let mut reader = csv::Reader::from_reader(self.text.as_bytes());
        let heads = reader.headers().map_err(unread)?;
        let places: Vec<usize> = (0..heads.len()).filter(|at| &heads[*at] == column).collect();
        let [place] = *places else {
            let heads: Vec<&str> = heads.iter().collect();
            let how = if places.is_empty() { "no" } else { "more than one" };
            let what = format!("`{}` has {how} column `{column}`", self.path);
            return Err(bad(what, &format!("its first line names {}", heads.join(", "))));
        };
        // The reader passes over them, and the server writes a lone NULL so.
        let is_empty = |line: &(usize, &str)| heads.len() == 1 && line.1.is_empty();
        if let Some((number, _)) = self.text.lines().enumerate().find(is_empty) {
            let what = format!("line {} of `{}` is empty", number + 1, self.path);
            return Err(bad(
                what,
                "write \"\" for NULL where there is one column, or delete the line",
            ));
        }
        let mut sample = SampleBuilder::new(sql_type);
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(unread)? {
            let text = record.get(place).unwrap_or_default();
            sample.push(text).map_err(|fault| match fault {
                SampleFault::Value => {
                    let line = self.line(record.position().map_or(0, csv::Position::byte));
                    let what = format!(
                        "line {line} of `{}`: `{text}` is no value of type {sql_type}",
                        self.path
                    );
                    bad(what, "choose the type that the file has, or mend the line")
                }
                SampleFault::TooMany => {
                    let what = format!(
                        "`{}` has more than {VALUES_MAX} values, or more than 4 GiB of them",
                        self.path
                    );
                    bad(what, "take a part of the file")
                }
            })?;
        }
        let sample = sample.build();
        if sample.count() == 0 {
            let what = format!("`{}` has no rows below its first line", self.path);
            return Err(bad(what, "name a file with a row at least"));
        }
        Ok(FileColumn { sample, fingerprint: self.fingerprint.clone() })
    }

    /// The number of the line in which a record begins whose reader stood at this byte.
    fn line(&self, byte: u64) -> usize {
        let bytes = self.text.as_bytes();
        let at = usize::try_from(byte).unwrap_or(0).min(bytes.len());
        let ends = bytes[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.text.get(..at + ends).unwrap_or_default().matches('\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_wherever_they_are_named() {
        let profile = r#"
            [stream]
            columns = [{ name = "a", values = { choice = { others = { file = { path = "a.csv" } } } } }]
            [[tables]]
            columns = [{ name = "b", values = { file = { path = "b.csv", column = "x" } } }]
            [[readers.queries]]
            sql_file = "q.sql"
            [readers.queries.parameters]
            file = { type = "text", values = { file = { path = "c.csv" } } }
        "#;
        let files = ProfileFiles::of(profile, |name| Err(format!("no {name}")));
        let names: Vec<&str> = files.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["a.csv", "b.csv", "c.csv", "q.sql"]);
        assert_eq!(files.get("q.sql"), Err("no q.sql".to_owned()));
    }
}
