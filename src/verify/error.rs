//! Why a saved run cannot be read, or not be verified.

use crate::ingest::audit::AuditError;
use crate::pg;
use crate::plan::Faults;
use crate::result::{RESULT, ReadError};

/// Why a saved run could not be verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The server, or the columns, before the rows were read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The rows could not be read to their end.
    #[error(transparent)]
    NotRead(AuditError),
    /// Another server, database or table than the run's: what is missing there was never sent there.
    #[error(
        "the rows of this run are not to be looked for here: {fact}\n  the run: {then}\n  this one: \
         {now}\n  fix: {fix}"
    )]
    Elsewhere {
        /// What is another one.
        fact: &'static str,
        /// Where the rows were sent.
        then: String,
        /// Where they were looked for.
        now: String,
        /// What to do about it.
        fix: &'static str,
    },
}

impl From<pg::Error> for VerifyError {
    fn from(error: pg::Error) -> Self {
        Self::Audit(error.into())
    }
}

/// Why a saved run could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedRunError {
    /// The file cannot be read, or is no result of ours.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is the result of a job that streams nothing.
    #[error(
        "`{path}` is the result of a {kind}: no rows were streamed, so there are none to verify\n  \
         fix: name the folder of a run with a stream, or of `strom-load faults`; `strom-load report` \
         shows this one"
    )]
    Kind {
        /// The file.
        path: String,
        /// What it is.
        kind: String,
    },
    /// Nothing tells its rows apart.
    #[error(
        "the rows of `{path}` have no identity (`identity = \"none\"`): none of them can be told from others\n  \
         fix: see in its result what was counted at its end; a run whose rows have ids can be verified"
    )]
    NoIdentity {
        /// The file.
        path: String,
    },
    /// Its rows were made of a file that is not there, or is another one by now.
    #[error(
        "rows of `{path}` were made of `{file}`: {fact}\n  fix: bring that file back to its place as it was (fingerprint \
         {fingerprint})"
    )]
    File {
        /// The file of the result.
        path: String,
        /// The file of values.
        file: String,
        /// What is wrong with it.
        fact: String,
        /// What its content was told by.
        fingerprint: String,
    },
    /// Readers may have changed its rows.
    #[error(
        "the rows of `{path}` are not to be found as they were sent: {why} ({})\n  fix: see in its result what \
         was counted at its end; a run whose queries that write say in `changes` which columns they change can \
         be verified",
        writers.join(", ")
    )]
    Changed {
        /// The file.
        path: String,
        /// What readers did.
        why: &'static str,
        /// Their queries.
        writers: Vec<String>,
    },
    /// It is the folder of several runs.
    #[error(
        "`{path}` holds the results of several runs{}", match folders.as_slice() {
            [] => ", and none of them has a stream\n  fix: name the folder of a run with a stream"
                .to_owned(),
            folders => {
                format!("\n  fix: verify the folder of each that has a stream: {}", folders.join(", "))
            }
        }
    )]
    Several {
        /// The folder.
        path: String,
        /// The folders of those that have a stream.
        folders: Vec<String>,
    },
    /// The journal beside it cannot be gone by.
    #[error(
        "`{path}` cannot be gone by: {fact}\n  fix: bring it back as the run left it; or move it away, then \
         what {RESULT} says counts, which was saved some seconds earlier"
    )]
    Journal {
        /// The file.
        path: String,
        /// What is wrong with it.
        fact: String,
    },
    /// The plan in it does not resolve.
    #[error("the plan in `{path}` is damaged:\n{faults}")]
    Plan {
        /// The file.
        path: String,
        /// What is wrong with it.
        faults: Faults,
    },
}
