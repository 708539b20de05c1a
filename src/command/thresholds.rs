//! `strom-load thresholds`: the figures that a threshold may name.

use std::fmt::Write as _;

use serde_json::json;

use super::{Failure, print};
use crate::cli::Format;
use crate::exit;
use crate::result::figure::FIGURES;

/// The kinds of jobs, in the order in which they are listed.
const KINDS: [&str; 4] = ["stream", "faults", "benchmark", "sweep"];

/// Lists the figures of each kind of job.
pub(super) fn list(format: Format) -> Result<u8, Failure> {
    print(&match format {
        Format::Text => text(),
        Format::Json => format!("{:#}\n", as_json()),
    })?;
    Ok(exit::DONE)
}

/// Kinds with the same figures share a list.
fn text() -> String {
    let figures = |kind: &'static str| FIGURES.iter().filter(move |of| of.kinds().contains(&kind));
    let names = |kind| figures(kind).map(|figure| figure.name).collect::<Vec<_>>();
    let mut out = String::new();
    let mut listed: Vec<&str> = Vec::new();
    for kind in KINDS {
        if listed.contains(&kind) {
            continue;
        }
        let alike: Vec<&str> =
            KINDS.into_iter().filter(|other| names(other) == names(kind)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}:", alike.join(", "));
        for figure in figures(kind) {
            let at_end = if figure.at_end { "; known at the end" } else { "" };
            let _ = writeln!(out, "  {:34} {}{at_end}", figure.name, figure.help);
        }
        out.push('\n');
        listed.extend(alike);
    }
    out.push_str(
        "QUERY and ARM stand for names of the profile. In a benchmark of several steps a figure of a \
         query has `step.STEP.` before it. What is known at the end cannot have `abort`.\n",
    );
    out
}

fn as_json() -> serde_json::Value {
    let figure = |figure: &crate::result::figure::Figure| {
        json!({
            "name": figure.name,
            "help": figure.help,
            "kinds": figure.kinds(),
            "at_end": figure.at_end,
        })
    };
    json!({ "figures": FIGURES.iter().map(figure).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_listed_by_job() {
        insta::assert_snapshot!(text());
        let listed = as_json();
        let listed = listed["figures"].as_array().unwrap();
        assert_eq!(listed.len(), FIGURES.len());
        assert!(listed.iter().all(|figure| !figure["kinds"].as_array().unwrap().is_empty()));
    }
}
