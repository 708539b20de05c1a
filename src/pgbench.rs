//! A script of pgbench as a profile: what it draws becomes parameters, what it sends a query. Pure.

mod draft;
mod expression;
mod script;

use indexmap::IndexMap;

use crate::plan::{Fault, Faults, ProfileSource, Protocol};

/// How a script is converted.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// The scale of the tables that it is for: `:scale`.
    pub scale: u32,
    /// Other variables that pgbench would be given.
    pub variables: IndexMap<String, f64>,
    /// How the query is sent.
    pub protocol: Protocol,
    /// Clients, each of them a reader.
    pub clients: u32,
}

impl Conversion {
    /// The text of a profile that does what a script does.
    ///
    /// # Errors
    /// Everything in it that cannot be converted, each with its line.
    pub fn profile(&self, script: &ProfileSource) -> Result<String, Faults> {
        let mut faults = Vec::new();
        let found = script::read(script, self, &mut faults);
        let draft = draft::draft(script, &found, self, &mut faults);
        Faults::check(faults).map(|()| draft)
    }
}

/// Notes that something cannot be converted which stands at these bytes of a script.
fn fault(
    faults: &mut Vec<Fault>,
    script: &ProfileSource,
    span: std::ops::Range<usize>,
    (what, fix): (String, String),
) {
    faults.push(script.fault(&span, what, fix));
}

#[cfg(test)]
mod tests;
