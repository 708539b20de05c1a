//! A profile within a result. Its values carry their places in a TOML file, which JSON has not, so
//! it is read by way of TOML.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::profile::Profile;

pub(super) fn serialize<S: Serializer>(plan: &Profile, serializer: S) -> Result<S::Ok, S::Error> {
    plan.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Profile, D::Error> {
    let mut value = serde_json::Value::deserialize(deserializer)?;
    drop_nulls(&mut value);
    let text = toml::to_string(&value).map_err(D::Error::custom)?;
    toml::from_str(&text).map_err(|error| D::Error::custom(error.message()))
}

/// TOML has no null: what is not there is left out.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
