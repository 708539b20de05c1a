//! The JSON schema of the profile, for editors.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use super::Profile;

/// The schema that profiles name in their first line.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<Profile>()
}

/// A key may be left out, but TOML has no null to write in its place.
fn without_null(schema: &mut Schema) {
    let is_null = |of: &Value| of == "null" || of["type"] == "null";
    for keyword in ["type", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get_mut(keyword) else { continue };
        choices.retain(|choice| !is_null(choice));
        if choices.len() != 1 {
            continue;
        }
        match choices.pop() {
            Some(Value::Object(only)) => {
                schema.remove(keyword);
                for (key, value) in only {
                    // The field's own description says more than its type's.
                    schema.ensure_object().entry(key).or_insert(value);
                }
            }
            Some(only) => {
                schema.insert(keyword.to_owned(), only);
            }
            None => {}
        }
    }
}
