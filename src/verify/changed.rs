//! Whether the rows of a saved run are to be found as they were sent.

use super::SavedRunError;
use crate::profile::{Profile, RowChanges};

/// Refuses a run whose rows others can have changed, but for columns that are known.
pub(super) fn refuse_changed_rows(path: &str, profile: &str) -> Result<(), SavedRunError> {
    // One that does not read is told of where it is resolved.
    let readers = toml::from_str::<Profile>(profile).ok().and_then(|profile| profile.readers);
    let Some(readers) = readers else { return Ok(()) };
    let why = match readers.row_changes() {
        RowChanges::Columns(_) => return Ok(()),
        RowChanges::Rows => "readers deleted or added some",
        RowChanges::Unsaid => "readers wrote, and nobody says what",
    };
    let writers = readers.writers().filter_map(|query| query.name.as_deref().cloned());
    Err(SavedRunError::Changed { path: path.to_owned(), why, writers: writers.collect() })
}
