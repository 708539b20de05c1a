//! What flags and the environment give, to be laid over a profile.

use std::ops::Range;

use super::fault::Origin;
use super::setting::{Form, Given, SETTINGS, Setting};
use crate::profile::document::{Node, Value};

/// A value that lies over the file's.
#[derive(Debug, Clone)]
pub struct Override {
    /// What it sets.
    pub setting: &'static Setting,
    /// Where it comes from.
    pub origin: Origin,
    /// The value; several for a setting that may be given more than once.
    given: Vec<Given>,
}

/// What flags and the environment give: each setting at most once, the flag's value if there are both.
#[derive(Debug, Clone, Default)]
pub struct Overrides(Vec<Override>);

impl Override {
    /// The value for people.
    pub(super) fn shown(&self) -> &str {
        self.given.first().map_or("", |given| &given.shown)
    }

    /// The value as a part of a document, at a place of its own.
    pub(super) fn node(&self, span: &Range<usize>) -> Node {
        let node = |given: &Given| Node { span: span.clone(), value: given.value.clone() };
        match (self.setting.form, self.given.as_slice()) {
            (Form::Each, all) => {
                let all = all.iter().map(node).collect();
                Node { span: span.clone(), value: Value::Array(all) }
            }
            (_, [given, ..]) => node(given),
            (_, []) => Node { span: span.clone(), value: Value::Boolean(true) },
        }
    }
}

impl Overrides {
    /// Adds a value. It takes the place of one that was given before, unless that is a flag's and this
    /// a variable's, or the setting may be given more than once.
    pub fn give(&mut self, setting: &'static Setting, is_flag: bool, given: Vec<Given>) {
        let origin = match setting.variable {
            Some(variable) if !is_flag => Origin::Env(variable),
            _ => Origin::Flag(setting.flag),
        };
        let new = Override { setting, origin, given };
        match self.0.iter_mut().find(|own| own.setting.flag == setting.flag) {
            None => self.0.push(new),
            Some(own)
                if matches!((&own.origin, &new.origin), (Origin::Flag(_), Origin::Env(_))) => {}
            Some(own) if own.origin == new.origin && matches!(setting.form, Form::Each) => {
                own.given.extend(new.given);
            }
            Some(own) => *own = new,
        }
    }

    /// Adds the value of a flag.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn give_flag(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let setting = Setting::of_flag(flag).ok_or_else(|| format!("no setting `{flag}`"))?;
        let given = setting.parse(value).map_err(|error| format!("{flag}: {error}"))?;
        self.give(setting, true, vec![given]);
        Ok(())
    }

    /// Adds the value of a variable.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn give_variable(&mut self, name: &str, value: &str) -> Result<(), String> {
        let setting = SETTINGS.iter().find(|setting| setting.variable == Some(name));
        let setting = setting.ok_or_else(|| format!("no setting `{name}`"))?;
        let given = setting.parse(value).map_err(|error| format!("{name}: {error}"))?;
        self.give(setting, false, vec![given]);
        Ok(())
    }

    /// Reads words such as `--rate=30k` and `STROM_LOAD_RATE=30k`.
    ///
    /// # Errors
    /// What is wrong with a word, for people.
    pub fn read(words: &[&str]) -> Result<Self, String> {
        let mut overrides = Self::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, "true"));
            if name.starts_with("--") {
                overrides.give_flag(name, value)?;
            } else {
                overrides.give_variable(name, value)?;
            }
        }
        Ok(overrides)
    }

    /// Whether `--recreate` is given without the name of a table.
    pub fn recreates_without_a_name(&self) -> bool {
        let is_bare = |given: &Given| given.value == Value::Boolean(true);
        let mut own = self.0.iter().filter(|own| own.setting.flag == "--recreate");
        own.any(|own| own.given.iter().all(is_bare))
    }

    /// Each value.
    pub fn iter(&self) -> std::slice::Iter<'_, Override> {
        self.0.iter()
    }

    pub(super) fn get(&self, number: usize) -> Option<&Override> {
        self.0.get(number)
    }
}

impl<'a> IntoIterator for &'a Overrides {
    type Item = &'a Override;
    type IntoIter = std::slice::Iter<'a, Override>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
