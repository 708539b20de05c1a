//! Whether the files that a run's rows were made of are what they were.

use serde_json::Value;

use super::SavedRunError;
use crate::plan::ProfileSource;

/// Refuses a saved plan of which a file of values is gone, or has other content.
pub(super) fn refuse_other_files(
    source: &ProfileSource,
    plan: &Value,
) -> Result<(), SavedRunError> {
    let children: Vec<&Value> = match plan {
        Value::Object(object) => object.values().collect(),
        Value::Array(array) => array.iter().collect(),
        _ => return Ok(()),
    };
    let text = |key: &str| plan["file"][key].as_str();
    if let (Some(file), Some(fingerprint)) = (text("path"), text("fingerprint")) {
        let fact = match source.file(file) {
            Ok(found) if found.fingerprint == fingerprint => None,
            Ok(found) => {
                Some(format!("it is not what it was: its fingerprint is {}", found.fingerprint))
            }
            Err(why) => Some(format!("failed to read it: {why}")),
        };
        if let Some(fact) = fact {
            let (path, file) = (source.name.clone(), file.to_owned());
            return Err(SavedRunError::File {
                path,
                file,
                fact,
                fingerprint: fingerprint.to_owned(),
            });
        }
    }
    children.into_iter().try_for_each(|child| refuse_other_files(source, child))
}
