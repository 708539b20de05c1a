//! What the files hold that a profile names: texts of queries, and values of columns. Whoever reads a profile
//! reads these, too.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::wanted::{Found, find};
use crate::row::{Content, FileFault, Sample, Wanted, read_file};

/// The files that a profile names, by the names there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileFiles(BTreeMap<String, Result<NamedFile, String>>);

/// A file that a profile names.
#[derive(Debug, Clone)]
pub struct NamedFile {
    /// Where it is, whatever the folder is that one looks from.
    pub path: String,
    /// What tells what it holds from what another holds: the first 128 bits of its SHA-256, in hexadecimal digits.
    pub fingerprint: String,
    content: Content,
    /// The columns that the profile takes of it.
    columns: Vec<(Wanted, Result<Sample, FileFault>)>,
}

impl PartialEq for NamedFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.fingerprint) == (&other.path, &other.fingerprint)
    }
}

impl ProfileFiles {
    /// Most bytes of a file that is in memory as a whole.
    pub const BYTES_MAX: u64 = 64 << 20;

    /// The files that a profile of this text names, as `read` reads them, or says why it cannot.
    pub fn of(profile: &str, read: impl Fn(&str) -> Result<NamedFile, String>) -> Self {
        let Found { names, columns } = find(profile);
        let file = |name: String| {
            let mut file = read(&name);
            if let Ok(file) = &mut file {
                let own = columns.iter().filter(|(path, _)| *path == name);
                file.take(own.map(|(_, wanted)| wanted.clone()).collect());
            }
            (name, file)
        };
        Self(names.into_iter().map(file).collect())
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

/// A text without the byte order mark that some editors open a file in UTF-8 with.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What tells what was hashed from what another has: the first 128 bits, in hexadecimal digits.
pub(super) fn fingerprint(digest: Sha256) -> String {
    let digest = digest.finalize();
    let (bits, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    format!("{:032x}", u128::from_be_bytes(*bits))
}

impl NamedFile {
    /// The file at a path with what it holds.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn new(path: String, content: Content) -> Result<Self, String> {
        let mut digest = Sha256::new();
        let hashed = content.each_chunk_of_all(|chunk| digest.update(chunk));
        hashed.map_err(|error| error.to_string())?;
        Ok(Self { path, fingerprint: fingerprint(digest), content, columns: Vec::new() })
    }

    /// What it holds, as text without a byte order mark; or why it is none.
    pub(crate) fn text(&self) -> Result<&str, String> {
        match &self.content {
            Content::Whole(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
                text.map(without_mark)
            }
            Content::Open(_) => {
                Err(format!("it is larger than {} MiB", ProfileFiles::BYTES_MAX >> 20))
            }
        }
    }

    /// Reads columns of it, all in one pass.
    fn take(&mut self, wanted: Vec<Wanted>) {
        if !wanted.is_empty() {
            let columns = read_file(&self.path, &self.content, &wanted);
            self.columns = wanted.into_iter().zip(columns).collect();
        }
    }

    /// The values of a column of this file; or what is wrong with it, and a fix.
    pub(super) fn column(&self, wanted: &Wanted) -> Result<Sample, FileFault> {
        let found = self.columns.iter().find(|(own, _)| own == wanted);
        let sample = found.map(|(_, sample)| sample.clone());
        let read = || read_file(&self.path, &self.content, std::slice::from_ref(wanted)).pop();
        let none = || FileFault {
            what: format!("nothing was read of `{}`", self.path),
            fix: "name the column".to_owned(),
        };
        sample.or_else(read).unwrap_or_else(|| Err(none()))
    }
}
