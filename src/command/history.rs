//! `strom-load history`: what became of runs, one behind the other.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::exit;
use crate::quantity::format_counted;
use crate::report::{history_csv, history_text};
use crate::result::history::{HISTORY, History, HistoryLine};

use super::{Failure, print, tell};

/// Numbers of lines that are named of those that were skipped.
const NAMED_MAX: usize = 5;

pub(super) fn history(
    place: &Path,
    profile: Option<&str>,
    done: bool,
    csv: bool,
) -> Result<u8, Failure> {
    let file = if place.is_dir() { place.join(HISTORY) } else { place.to_owned() };
    // What is no file, as a pipe, would be waited for.
    let is_file = !place.is_dir() || file.metadata().map_or(true, |of| of.is_file());
    let open =
        if is_file { File::open(&file) } else { Err(std::io::Error::other("it is no file")) };
    let read = open.and_then(|open| History::read(BufReader::new(open)));
    let mut history = read.map_err(|error| {
        let what = format!("failed to read `{}`: {error}", file.display());
        let fix = format!("name the folder that holds the folders of runs; each run adds a line to {HISTORY} there");
        Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}"))
    })?;
    if !history.skipped.is_empty() {
        let count = format_counted(history.skipped.len() as u64, "line", "lines");
        let named: Vec<String> =
            history.skipped.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let more = if history.skipped.len() > NAMED_MAX { " …" } else { "" };
        tell(&format!(
            "note: {count} of `{}` left out, torn or not of this version: {}{more}",
            file.display(),
            named.join(", ")
        ));
    }
    if let Some(profile) = profile {
        let known = known_profiles(&history);
        history.runs.retain(|run| run.profile == profile);
        if history.runs.is_empty() {
            let what = format!("`{}` has no run of the profile `{profile}`", file.display());
            let fix = format!(
                "it has {}",
                if known.is_empty() { "none at all".to_owned() } else { known.join(", ") }
            );
            return Err(Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}")));
        }
    }
    if done {
        history.runs.retain(HistoryLine::came_to_its_end);
    }
    print(&if csv { history_csv(&history.runs) } else { history_text(&history.runs) })?;
    Ok(exit::DONE)
}

fn known_profiles(history: &History) -> Vec<String> {
    let mut names: Vec<String> = history.runs.iter().map(|run| run.profile.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
