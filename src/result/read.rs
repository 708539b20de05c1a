//! Reads a saved result back.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

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
    /// Several, each in a folder of its own. Those that have begun are read as well, each with its place
    /// in the index.
    Index(Index, Vec<(usize, JobResult)>),
}

/// Why a results folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(
        "failed to read `{path}`: {source}\n  fix: name the results folder of a run, the one that \
         holds {RESULT}"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It is not a result of strom-load, or was damaged.
    #[error(
        "`{path}` is not a result of strom-load, or is damaged: {fact}\n  fix: name the results \
         folder of a run"
    )]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        fact: String,
    },
    /// It was written by an older version.
    #[error(
        "`{path}` has format {found}, and this strom-load shows format {FORMAT_VERSION}, and verifies \
         the rows of format 1 too; fix: show it with the strom-load that wrote it{version}"
    )]
    Older {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// What wrote it, in parentheses; empty where that is not known.
        version: String,
    },
    /// It was written by a newer version.
    #[error(
        "`{path}` has format {found}, and this strom-load reads format {FORMAT_VERSION}; fix: use the \
         strom-load that wrote it{version}, or a newer one"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u64,
        /// What wrote it, in parentheses; empty where that is not known.
        version: String,
    },
}

/// The part of every result that tells what it is.
#[derive(Deserialize)]
struct Head {
    format_version: u64,
    /// An index has none.
    strom_load_version: Option<String>,
}

/// Reads a results folder: of one job, or of several with an index.
///
/// # Errors
/// When it holds no result, a damaged one, or one of another format.
pub fn read(folder: &Path) -> Result<Saved, ReadError> {
    let index = folder.join(INDEX);
    if !index.is_file() {
        return job(folder).map(|result| Saved::Job(Box::new(result)));
    }
    let index: Index = parse(&index, FORMAT_VERSION)?;
    let mut jobs = Vec::new();
    for (place, run) in index.runs.iter().enumerate() {
        let Some(begun) = &run.folder else { continue };
        match job(&folder.join(begun)) {
            // What failed before it began has no result.
            Err(ReadError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            read => jobs.push((place, read?)),
        }
    }
    Ok(Saved::Index(index, jobs))
}

fn job(folder: &Path) -> Result<JobResult, ReadError> {
    let file = folder.join(RESULT);
    let result: JobResult = parse(&file, FORMAT_VERSION)?;
    match result.contradiction() {
        None => Ok(result),
        Some(fact) => Err(ReadError::Malformed { path: file.display().to_string(), fact }),
    }
}

/// Whether a loader is still at a results folder: it holds the folder's lock for as long as it lives. False
/// where that cannot be told.
pub(crate) fn is_being_written(folder: &Path) -> bool {
    let locked = File::open(folder).map(|folder| folder.try_lock_shared());
    matches!(locked, Ok(Err(TryLockError::WouldBlock)))
}

/// The text of a file. What is no file, as a pipe, would be waited for.
fn text_of(file: &Path) -> std::io::Result<String> {
    let of = file.metadata()?;
    if !of.is_file() && !of.is_dir() {
        return Err(std::io::Error::other("it is no file"));
    }
    std::fs::read_to_string(file)
}

/// Reads what `T` needs of a file that has at least the format `oldest`.
///
/// # Errors
/// As for [`read`].
pub fn parse<T: DeserializeOwned>(file: &Path, oldest: u32) -> Result<T, ReadError> {
    let path = file.display().to_string();
    let text = text_of(file);
    let text = text.map_err(|source| ReadError::Unreadable { path: path.clone(), source })?;
    let malformed = |error: serde_json::Error| ReadError::Malformed {
        path: path.clone(),
        fact: error.to_string(),
    };
    let Head { format_version: found, strom_load_version } =
        serde_json::from_str(&text).map_err(malformed)?;
    let version = strom_load_version.map_or_else(String::new, |version| format!(" ({version})"));
    if found < u64::from(oldest) {
        return Err(ReadError::Older { path, found, version });
    }
    if found > u64::from(FORMAT_VERSION) {
        return Err(ReadError::Newer { path, found, version });
    }
    serde_json::from_str(&text).map_err(malformed)
}
