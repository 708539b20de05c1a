//! A folder of several runs, where one is asked for.

use std::path::Path;

use serde_json::Value;

use super::SavedRunError;
use crate::result::index::Index;
use crate::result::{self, INDEX, RESULT};

/// The folders of several runs, as their index names them.
pub(super) fn several(folder: &Path) -> SavedRunError {
    // Of another format, or damaged: the folders are there all the same.
    let index = result::parse::<Index>(&folder.join(INDEX), 1);
    let runs = index.map_or_else(|_| Vec::new(), |index| index.runs);
    let own = runs.into_iter().filter_map(|run| run.folder.map(|name| folder.join(name)));
    SavedRunError::Several {
        path: folder.display().to_string(),
        folders: own.filter(|own| has_stream(own)).map(|own| own.display().to_string()).collect(),
    }
}

/// Whether a folder has the result of a job with a stream.
fn has_stream(folder: &Path) -> bool {
    let result = result::parse::<Value>(&folder.join(RESULT), 1);
    result.is_ok_and(|result| matches!(result["kind"].as_str(), None | Some("stream" | "faults")))
}
