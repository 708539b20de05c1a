//! `report`: a saved result, shown again.

use std::path::PathBuf;

use super::{Failure, print};
use crate::exit;
use crate::report::{index_text, summary};
use crate::result::{self, Saved};

pub(super) fn report(folders: &[PathBuf]) -> Result<u8, Failure> {
    // All are read before the first is shown.
    let read = |folder: &PathBuf| result::read(folder);
    let saved = folders.iter().map(read).collect::<Result<Vec<_>, _>>();
    for saved in saved.map_err(|error| Failure::new(exit::USAGE, error))? {
        match saved {
            Saved::Job(result) => print(&summary(&result))?,
            Saved::Index(index, jobs) => {
                jobs.iter().try_for_each(|result| print(&summary(result)))?;
                print(&format!("\n{}", index_text(&index)))?;
            }
        }
    }
    Ok(exit::DONE)
}
