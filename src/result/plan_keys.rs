//! A plan as keys and values, so that two can be laid beside each other.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::profile::Profile;

/// What changes nothing that is measured: names, what is judged afterwards, and where it is done, which
/// the result tells of the server itself.
const ASIDE: [&str; 6] = [
    "name",
    "description",
    "thresholds",
    "allow_dropped",
    "stream.recreate",
    "readers.database_url",
];

/// The keys of a plan with their values, such as `stream.rows_per_s`; of a list whose items have names, by
/// those. Without what changes nothing that is measured.
pub fn plan_keys(plan: &Profile) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(plan) {
        add(&mut keys, String::new(), &value);
    }
    keys.retain(|key, _| !is_aside(key));
    keys
}

/// Whether a key changes nothing that is measured.
pub fn is_aside(key: &str) -> bool {
    ASIDE.iter().any(|aside| is_within(key, aside))
}

/// Eight digits that are the same for plans that ask for the same.
pub fn plan_digest(plan: &Profile) -> String {
    let mut digest = Sha256::new();
    for (key, value) in plan_keys(plan) {
        digest.update(format!("{key}={value}\n").as_bytes());
    }
    let digest = digest.finalize();
    let bytes: Vec<String> = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    bytes.concat()
}

/// Whether a key is another one, or lies below it.
pub fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn add(keys: &mut BTreeMap<String, String>, at: String, value: &Value) {
    let below = |name: &str| match at.as_str() {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match value {
        Value::Null => {}
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| add(keys, below(name), value));
        }
        // An empty list says that there is none.
        Value::Array(items) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or_else(|| place.to_string(), str::to_owned);
                // Two of one name are told apart by their places.
                let is_first = items[..place].iter().all(|own| own["name"] != item["name"]);
                let name = if is_first { name } else { format!("{name}#{place}") };
                add(keys, below(&name), item);
            }
        }
        Value::String(text) => drop(keys.insert(at, text.clone())),
        other => drop(keys.insert(at, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(profile: &str) -> BTreeMap<String, String> {
        plan_keys(&toml::from_str(profile).unwrap())
    }

    #[test]
    fn a_plan_is_told_by_its_keys() {
        let own = keys(
            "name = 'a'\nthresholds = ['errors < 1']\nduration_s = 4\nstream.rows_per_s = 900\n\
             [[readers.queries]]\nname = 'sum'\nsql = 'SELECT 1'\n",
        );
        insta::assert_debug_snapshot!(own, @r#"
        {
            "duration_s": "4",
            "readers.queries.sum.name": "sum",
            "readers.queries.sum.sql": "SELECT 1",
            "stream.rows_per_s": "900",
        }
        "#);
    }

    #[test]
    fn names_and_thresholds_are_no_part_of_what_is_asked_for() {
        let digest = |profile: &str| plan_digest(&toml::from_str(profile).unwrap());
        assert_eq!(digest("name = 'a'\nseed = 3"), digest("name = 'b'\nseed = 3\nthresholds = []"));
        assert_ne!(digest("seed = 3"), digest("seed = 4"));
        assert!(is_within("stream.shape.sine", "stream.shape"));
        assert!(!is_within("stream.shapes", "stream.shape"));
    }
}
