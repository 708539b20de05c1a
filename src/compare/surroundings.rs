//! What differs around the runs: what is compared, or what spoils the comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Run;
use super::sizes::{self, NOT_KNOWN};
use crate::result::JobResult;

/// Something that the sides, or the runs of one, do not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differs {
    /// What.
    pub what: String,
    /// What each side has of it; several values where its runs do not agree.
    pub sides: [Vec<String>; 2],
}

/// What differs, and how many things are the same.
pub(super) fn of(sides: [&[&Run]; 2]) -> (Vec<Differs>, usize) {
    let mut order: Vec<String> = Vec::new();
    let mut all: [BTreeMap<String, Vec<String>>; 2] = Default::default();
    for (own, runs) in all.iter_mut().zip(sides) {
        let facts: Vec<Vec<(String, String)>> = runs.iter().map(|run| facts(&run.result)).collect();
        let names: BTreeSet<&String> = facts.iter().flatten().map(|(name, _)| name).collect();
        order.extend(facts.iter().flatten().map(|(name, _)| name.clone()));
        for name in names {
            let values = facts.iter().map(|facts| {
                let found = facts.iter().find(|(own, _)| own == name);
                found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
            });
            let mut distinct: Vec<String> = Vec::new();
            values.for_each(|value| {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            });
            own.insert(name.clone(), distinct);
        }
    }
    let mut seen = BTreeSet::new();
    order.retain(|name| seen.insert(name.clone()));
    let of_side = |side: &BTreeMap<String, Vec<String>>, name: &str| {
        side.get(name).cloned().unwrap_or_else(|| vec!["–".to_owned()])
    };
    let laid = order.into_iter().map(|what| {
        let sides = all.each_ref().map(|side| of_side(side, &what));
        Differs { what, sides }
    });
    // What nobody knows is nowhere the same.
    let is_same = |one: &Differs| match &one.sides {
        [a, b] if a == b => matches!(&a[..], [value] if value != NOT_KNOWN),
        _ => false,
    };
    let (same, differs): (Vec<Differs>, Vec<Differs>) = laid.partition(is_same);
    (differs, same.len())
}

/// What is known of a run's surroundings, in the order in which it is told.
fn facts(result: &JobResult) -> Vec<(String, String)> {
    let server = &result.server;
    let mut facts = vec![
        ("PostgreSQL".to_owned(), server.facts.version.clone()),
        ("PG-Strom".to_owned(), if server.pg_strom_loaded { "loaded" } else { "none" }.to_owned()),
        ("strom-load".to_owned(), result.strom_load_version.clone()),
    ];
    // A server that was started for the run has another address and another number each time.
    let address = if server.embedded { "started for the run" } else { &server.address };
    facts.push(("server".to_owned(), address.to_owned()));
    if let (false, Some(number)) = (server.embedded, &server.identity.system_identifier) {
        facts.push(("its system identifier".to_owned(), number.clone()));
    }
    if let Some(readers) = result.stream().and_then(|run| run.readers.server.as_ref()) {
        facts.push(("readers’ server".to_owned(), readers.address.clone()));
        facts.push(("its PostgreSQL".to_owned(), readers.facts.version.clone()));
    }
    for device in &result.gpus.devices {
        let name = device.gpu.name.clone().unwrap_or_else(|| "unnamed".to_owned());
        facts.push((format!("GPU {}", device.gpu.index), name));
    }
    facts.extend(result.gpus.driver.iter().map(|own| ("GPU driver".to_owned(), own.clone())));
    let settings = server.facts.settings.iter();
    facts.extend(settings.map(|(name, value)| (name.clone(), value.clone())));
    let sizes = sizes::told(result);
    facts.extend(sizes.map(|(table, size)| (format!("{table} at the start"), size)));
    facts
}
