//! The JSON schema of `result.json` and `index.json`.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::JobResult;
use super::index::Index;

/// The schema that both files follow. Keys that it does not know are allowed: a later version may
/// have more.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let either = [generator.subschema_for::<JobResult>(), generator.subschema_for::<Index>()];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A result of strom-load",
        "description": "result.json, or the index.json of several; docs/result.md describes both.",
        "anyOf": either,
        "$defs": generator.take_definitions(true),
    })
}
