//! Several jobs in one folder.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use crate::exit;

/// Several runs, one behind the other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// "index".
    pub kind: IndexKind,
    /// Each run.
    pub runs: Vec<IndexEntry>,
}

/// One of several runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct IndexEntry {
    /// Its profile.
    pub profile: String,
    /// Its folder within the index's; `None` if it has not begun.
    pub folder: Option<String>,
    /// Exit code that it would have had alone; `None` if it has not ended.
    pub exit_code: Option<u8>,
    /// How long it took, in seconds.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub took_s: f64,
    /// What came of it, in a word: OK, DONE, INTERRUPTED, UNFINISHED or FAIL. `None` if it has not ended, and in
    /// an index of before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// What may be said of it, in a line.
    pub verdict: String,
    /// What mends it, in a line, if it is an error that can be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// Tells an index from the result of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// The only one.
    Index,
}

impl IndexEntry {
    /// Says that it has begun, in this folder.
    pub fn begin(&mut self, folder: &str) {
        (self.folder, self.verdict) =
            (Some(folder.to_owned()), "it goes on, or was killed".to_owned());
    }

    /// Says what came of it, in a word, and why: the sentence and the fix of an error, or a verdict, each in
    /// a line of its own. Places in a source are left out.
    pub fn conclude(&mut self, word: &str, said: &str) {
        self.word = Some(word.to_owned());
        let in_a_line = |text: &str, between: &str| {
            let lines = text.lines().map(str::trim);
            let lines = lines.filter(|line| !line.is_empty() && !is_source(line));
            lines.collect::<Vec<_>>().join(between)
        };
        let (what, fix) = match said.split_once("\n  fix: ") {
            Some((what, fix)) => (what, Some(in_a_line(fix, " "))),
            None => (said, None),
        };
        (self.verdict, self.fix) = (in_a_line(what, "; "), fix);
    }
}

impl IndexEntry {
    /// What came of it, in a word; of an index without words what its exit code says. `None`: it has not ended.
    pub fn word(&self) -> Option<&str> {
        self.word.as_deref().or_else(|| self.exit_code.map(exit::word))
    }
}

/// Whether a line of an error shows a source: `3 | SELECT …`, or a caret below it.
fn is_source(line: &str) -> bool {
    let (number, rest) = line.split_at(line.find('|').unwrap_or(line.len()));
    rest.starts_with('|') && number.trim().chars().all(|c| c.is_ascii_digit())
}

impl Index {
    /// An index of jobs that have not begun.
    pub fn of(profiles: impl Iterator<Item = String>) -> Self {
        let entry = |profile| IndexEntry {
            profile,
            folder: None,
            exit_code: None,
            took_s: 0.0,
            word: None,
            verdict: "not begun".to_owned(),
            fix: None,
        };
        let runs = profiles.map(entry).collect();
        Self { format_version: FORMAT_VERSION, kind: IndexKind::Index, runs }
    }

    /// The runs that have no result, though others may: the place of each, its folder or profile, and why. `there`
    /// are the places of those that have one.
    pub fn missing(&self, there: impl Iterator<Item = usize>) -> Vec<(usize, String, String)> {
        let there: BTreeSet<usize> = there.collect();
        let missing = self.runs.iter().enumerate().filter(|(place, _)| !there.contains(place));
        let missing = missing.map(|(place, run)| {
            let name = run.folder.as_ref().unwrap_or(&run.profile).clone();
            let why = match (run.exit_code, &run.folder) {
                (None, None) => "it has not begun".to_owned(),
                (Some(code), _) if code != exit::DONE => {
                    format!("it has no result: {}", run.verdict)
                }
                _ => "its result is not there".to_owned(),
            };
            (place, name, why)
        });
        missing.collect()
    }

    /// The exit code that all jobs together stand for: the gravest of those that have ended.
    pub fn exit_code(&self) -> u8 {
        exit::gravest(self.runs.iter().filter_map(|run| run.exit_code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_and_its_fix_are_not_run_together() {
        let mut entry = Index::of(std::iter::once("a".to_owned())).runs.remove(0);
        let mut conclude = |said: &str| {
            entry.conclude("FAIL", said);
            (entry.verdict.clone(), entry.fix.clone())
        };
        let said = "query `q`: no column \"x\"\n  detail: none\n  2 | SELECT x\n    |        ^\n  \
                    fix: name\n  another";
        let (what, fix) = ("query `q`: no column \"x\"; detail: none", "name another");
        assert_eq!(conclude(said), (what.to_owned(), Some(fix.to_owned())));
        assert_eq!(conclude("3,000/s, all found"), ("3,000/s, all found".to_owned(), None));
    }

    #[test]
    fn a_run_without_a_result_is_missed() {
        let mut index = Index::of(["a", "b", "c", "d"].map(str::to_owned).into_iter());
        for (at, code) in [(0, 0), (1, 0), (2, 3)] {
            index.runs[at].folder = Some(format!("0{}-x", at + 1));
            index.runs[at].exit_code = Some(code);
        }
        index.runs[2].conclude("FAIL", "no server");
        let missing = index.missing(std::iter::once(0));
        let missing: Vec<_> =
            missing.iter().map(|(at, name, why)| (*at, name.as_str(), why.as_str())).collect();
        let told = [
            (1, "02-x", "its result is not there"),
            (2, "03-x", "it has no result: no server"),
            (3, "d", "it has not begun"),
        ];
        assert_eq!(missing, told);
    }

    #[test]
    fn an_index_without_words_has_those_of_its_exit_codes() {
        let mut entry = Index::of(std::iter::once("a".to_owned())).runs.remove(0);
        let mut word = |code| {
            entry.exit_code = code;
            entry.word().map(str::to_owned)
        };
        let words = [None, Some(exit::DONE), Some(exit::INTERRUPTED), Some(exit::THRESHOLD)];
        let words = words.map(&mut word).map(Option::unwrap_or_default);
        assert_eq!(words, ["", "OK", "INTERRUPTED", "FAIL"]);
        // The exit code of a rate that the server did not keep is 0, and it is not OK.
        entry.conclude("DONE", "rate not kept");
        entry.exit_code = Some(exit::DONE);
        assert_eq!(entry.word(), Some("DONE"));
    }
}
