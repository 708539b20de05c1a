//! The reference of profiles, from their schema: each table with its keys, each choice with what it means.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::Value;

use super::{check_part, document};

/// Tables and choices that are still to be described: their name in the schema, and where a profile
/// has them.
struct Reference<'a> {
    definitions: &'a Value,
    seen: BTreeSet<String>,
    left: VecDeque<(String, String)>,
}

#[test]
fn the_reference_of_profiles_is_current() {
    let (_, schema) = document("profiles/profile.schema.json");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut reference =
        Reference { definitions: &schema["$defs"], seen: BTreeSet::new(), left: VecDeque::new() };
    let mut text = "### At the top\n\n".to_owned() + &reference.keys(&schema, "");
    while let Some((name, place)) = reference.left.pop_front() {
        let definition = &reference.definitions[&name];
        let _ = write!(text, "\n<a id=\"{}\"></a>\n### `{place}`\n\n", anchor(&name));
        let _ = write!(text, "{}\n\n", told(definition));
        text += &match definition.get("oneOf") {
            Some(choices) => reference.choices(choices),
            None => reference.keys(definition, &place),
        };
    }
    let all: BTreeSet<String> = schema["$defs"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(reference.seen, all, "each is reached from the top");
    check_part("docs/profiles.md", "keys", &text);
}

fn anchor(name: &str) -> String {
    name.to_lowercase()
}

/// The description on one line, as a cell has it.
fn told(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|").replace('<', "&lt;")
}

impl Reference<'_> {
    /// A table of the keys of a table.
    fn keys(&mut self, schema: &Value, place: &str) -> String {
        let mut text = "| key | type | what it is |\n|---|---|---|\n".to_owned();
        for (key, property) in schema["properties"].as_object().unwrap() {
            let inner = match place.trim_matches(['[', ']']) {
                outer if outer.is_empty() || outer.contains('{') => key.clone(),
                outer => format!("{outer}.{key}"),
            };
            let kind = self.kind(property, &inner);
            let _ = writeln!(text, "| `{key}` | {kind} | {} |", told(property));
        }
        text
    }

    /// A table of the values of a choice.
    fn choices(&mut self, choices: &Value) -> String {
        let mut text = "| value | what it means |\n|---|---|\n".to_owned();
        for choice in choices.as_array().unwrap() {
            let written = match choice.get("const") {
                Some(value) => format!("`{value}`"),
                None => {
                    let (key, inner) =
                        choice["properties"].as_object().unwrap().iter().next().unwrap();
                    let kind = self.kind(inner, &format!("{key} = {{ … }}"));
                    format!("`{{ {key} = … }}`: {kind}")
                }
            };
            let _ = writeln!(text, "| {written} | {} |", told(choice));
        }
        text
    }

    /// A type in words; what it names is described later on.
    fn kind(&mut self, schema: &Value, place: &str) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.named(name, place);
        }
        if let Some(value) = schema.get("const") {
            return format!("`{value}`");
        }
        if let Some(any) = schema["anyOf"].as_array() {
            let kinds: Vec<_> = any.iter().map(|one| self.kind(one, place)).collect();
            return kinds.join(" or ");
        }
        let of = |one: &str| match one {
            "integer" => "whole number",
            "string" => "text",
            "boolean" => "true or false",
            "number" => "number",
            other => panic!("a type of the schema without a word: {other}"),
        };
        match &schema["type"] {
            Value::Array(types) => {
                let words: Vec<_> = types.iter().map(|one| of(one.as_str().unwrap())).collect();
                words.join(" or ")
            }
            Value::String(one) if one == "array" => {
                let item = self.kind(&schema["items"], &format!("[{place}]"));
                format!("list: {item}")
            }
            Value::String(one) if one == "object" => {
                let item = self.kind(&schema["additionalProperties"], &format!("{place}.NAME"));
                format!("by name: {item}")
            }
            Value::String(one) => of(one).to_owned(),
            other => panic!("a schema without a type: {other} of {schema}"),
        }
    }

    fn named(&mut self, name: &str, place: &str) -> String {
        let definition = &self.definitions[name];
        let is_table = definition.get("properties").is_some();
        if !is_table && definition.get("oneOf").is_none() {
            self.seen.insert(name.to_owned());
            return self.kind(&definition.clone(), place);
        }
        let is_inline = place.contains('{');
        let place = if is_table && !is_inline { format!("[{place}]") } else { place.to_owned() };
        if self.seen.insert(name.to_owned()) {
            self.left.push_back((name.to_owned(), place.clone()));
        }
        let word = if is_table { "table" } else { "choice" };
        format!("[{word}](#{})", anchor(name))
    }
}
