//! Reads a saved result back.

use std::path::Path;

use super::index::Index;
use super::{FORMAT_VERSION, JobResult};

/// File of a job's result in its folder.
pub const RESULT: &str = "result.json";
/// File of an index in the folder of several jobs.
pub const INDEX: &str = "index.json";

/// What a results folder holds.
#[derive(Debug, Clone)]
pub enum Saved {
    /// One job.
    Job(Box<JobResult>),
    /// Several, each in a folder of its own.
    Index(Index),
}

/// Why a results folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(
        "failed to read `{path}`: {source}\n  fix: name the results folder of a run, the one that \
         holds result.json"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It is not a result of strom-load.
    #[error(
        "`{path}` is not a result of strom-load: {fact}\n  fix: name the results folder of a run"
    )]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        fact: String,
    },
    /// It was written by a version with another format.
    #[error(
        "`{path}` has format {found}, and this strom-load reads format {FORMAT_VERSION}\n  fix: \
         use the strom-load that wrote it"
    )]
    Format {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
    },
}

/// The part of every result that tells what it is.
#[derive(serde::Deserialize)]
struct Head {
    format_version: u64,
}

/// Reads a results folder: of one job, or of several with an index.
///
/// # Errors
/// When it holds no result, a damaged one, or one of another format.
pub fn read(folder: &Path) -> Result<Saved, ReadError> {
    let index = folder.join(INDEX);
    if index.is_file() {
        return parse(&index).map(Saved::Index);
    }
    parse(&folder.join(RESULT)).map(|result| Saved::Job(Box::new(result)))
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, ReadError> {
    let path = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|source| ReadError::Unreadable { path: path.clone(), source })?;
    let malformed = |error: serde_json::Error| ReadError::Malformed {
        path: path.clone(),
        fact: error.to_string(),
    };
    let head: Head = serde_json::from_str(&text).map_err(malformed)?;
    if head.format_version != u64::from(FORMAT_VERSION) {
        return Err(ReadError::Format { path, found: head.format_version });
    }
    serde_json::from_str(&text).map_err(malformed)
}
