//! Whether the files that a run's rows were made of are what they were.

use std::path::Path;

use serde_json::Value;

use super::SavedRunError;
use crate::plan::NamedFile;

/// Refuses a plan of which a file of values is gone, or has other content.
pub(super) fn unchanged(
    path: &str,
    plan: &Value,
    read_named: &impl Fn(&Path) -> Result<NamedFile, String>,
) -> Result<(), SavedRunError> {
    let children: Vec<&Value> = match plan {
        Value::Object(object) => object.values().collect(),
        Value::Array(array) => array.iter().collect(),
        _ => return Ok(()),
    };
    let text = |key: &str| plan["file"][key].as_str();
    if let (Some(file), Some(fingerprint)) = (text("path"), text("fingerprint")) {
        let fact = match read_named(Path::new(file)) {
            Ok(found) if found.fingerprint() == fingerprint => None,
            Ok(found) => {
                Some(format!("it is not what it was: its fingerprint is {}", found.fingerprint()))
            }
            Err(why) => Some(format!("failed to read it: {why}")),
        };
        if let Some(fact) = fact {
            let (path, file, fingerprint) =
                (path.to_owned(), file.to_owned(), fingerprint.to_owned());
            return Err(SavedRunError::File { path, file, fact, fingerprint });
        }
    }
    children.into_iter().try_for_each(|child| unchanged(path, child, read_named))
}
