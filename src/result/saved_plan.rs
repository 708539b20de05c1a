//! A profile within a result. Its values carry their places in a TOML file, which JSON has not, so
//! it is read by way of TOML.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::profile::{self, Profile};

pub(super) fn serialize<S: Serializer>(plan: &Profile, serializer: S) -> Result<S::Ok, S::Error> {
    plan.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    let text = as_profile(Value::deserialize(deserializer)?).map_err(D::Error::custom)?;
    toml::from_str(&text).map_err(|error| D::Error::custom(error.message()))
}

/// The `plan` of a result as the text of a profile.
///
/// # Errors
/// When it is none.
pub fn as_profile(mut plan: Value) -> Result<String, toml::ser::Error> {
    let schema = profile::schema().to_value();
    keep_known(&mut plan, &schema, &schema);
    toml::to_string(&plan)
}

/// Leaves out what TOML does not know, null, and keys that a later strom-load may have added: a
/// profile is strict with its author, but a result is to be read whatever else is in it.
fn keep_known(value: &mut Value, schema: &Value, root: &Value) {
    let schema = match schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        Some(path) => root.pointer(path).unwrap_or(&Value::Null),
        None => schema,
    };
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            // Of several shapes, the one whose keys are there.
            let shapes = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array());
            let shape = shapes.flatten().find(|shape| {
                let required = shape["required"].as_array();
                required.is_some_and(|keys| {
                    keys.iter().all(|key| key.as_str().is_some_and(|key| object.contains_key(key)))
                })
            });
            let schema = shape.unwrap_or(schema);
            let (known, others) = (&schema["properties"], &schema["additionalProperties"]);
            if *others == Value::Bool(false) {
                object.retain(|key, _| !known[key].is_null());
            }
            for (key, value) in object {
                let of = if known[key].is_null() { others } else { &known[key] };
                keep_known(value, of, root);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| keep_known(item, &schema["items"], root));
        }
        _ => {}
    }
}
