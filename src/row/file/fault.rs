//! What is wrong with a file of values.

use thiserror::Error;

/// A file that has no such values, or is not what it was when a run began.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}; {fix}")]
pub struct FileFault {
    /// What happened.
    pub what: String,
    /// What to do.
    pub fix: String,
}
