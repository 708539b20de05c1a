//! One line a run, kept beside the runs' folders: what the trend of a figure is read from.

use std::io::BufRead;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::figure::{Known, NamedFigure};
use super::{JobResult, Status, plan_digest};
use crate::exit;

/// File of the lines in the folder that holds the folders of runs.
pub const HISTORY: &str = "history.jsonl";
/// Version of a line's format. Additions keep it.
const FORMAT_VERSION: u32 = 1;
/// Longest line that is read: 500 queries in two arms take a third.
const LINE_BYTES_MAX: usize = 4 << 20;

/// What is kept of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// Version of the line's format.
    pub history_version: u32,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// Its folder within the one that holds the history.
    pub folder: String,
    /// The profile's name.
    pub profile: String,
    /// Eight digits that are the same for runs that were asked to do the same.
    pub plan: String,
    /// Its kind, as results name it.
    pub kind: String,
    /// How it ended.
    pub status: Status,
    /// The exit code that it would have had alone.
    pub exit_code: u8,
    /// Version of strom-load.
    pub strom_load_version: String,
    /// Address of the server, without secrets.
    pub server: String,
    /// The server's version.
    pub server_version: String,
    /// Every figure that was measured, by the names that thresholds have; none that is a bound or rests on too few
    /// samples.
    pub figures: IndexMap<String, f64>,
}

/// The lines of a history, in their order.
#[derive(Debug, Default)]
pub struct History {
    /// What could be read.
    pub runs: Vec<HistoryLine>,
    /// Numbers of the lines that could not, from 1: torn, foreign, or of a newer format.
    pub skipped: Vec<usize>,
}

impl HistoryLine {
    /// What is kept of a run whose results are in this folder.
    pub fn of(result: &JobResult, folder: &str) -> Self {
        let figures = NamedFigure::measured(result).into_iter().filter_map(|figure| {
            let value = figure.value(result).filter(|value| value.known == Known::Exactly)?;
            Some((figure.to_string(), value.number))
        });
        Self {
            history_version: FORMAT_VERSION,
            started_at: result.started_at.clone(),
            took_s: result.took_s,
            folder: folder.to_owned(),
            profile: result.profile().to_owned(),
            plan: plan_digest(&result.plan),
            kind: result.kind().to_owned(),
            status: result.status,
            exit_code: result.exit_code(),
            strom_load_version: result.strom_load_version.clone(),
            server: result.server.address.clone(),
            server_version: result.server.facts.version.clone(),
            figures: figures.collect(),
        }
    }
}

impl HistoryLine {
    /// Whether the run came to its end, as [`JobResult::came_to_its_end`] has it.
    pub fn came_to_its_end(&self) -> bool {
        self.status == Status::Done && self.exit_code != exit::ENDED_EARLY
    }
}

impl History {
    /// Reads all lines that can be read.
    ///
    /// # Errors
    /// When reading fails altogether.
    pub fn read(mut text: impl BufRead) -> std::io::Result<Self> {
        let mut own = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let known = Some(&line).filter(|line| line.len() <= LINE_BYTES_MAX);
            let read = known.and_then(|line| serde_json::from_slice::<HistoryLine>(line).ok());
            match read.filter(|line| line.history_version == FORMAT_VERSION) {
                Some(read) => own.runs.push(read),
                None => own.skipped.push(number),
            }
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_kind_of_run_leaves_a_line_that_reads_back() {
        let jobs = [sample::stream(), sample::benchmark(), sample::sweep(), sample::faults()];
        let lines = jobs.map(|job| HistoryLine::of(&job, "runs/a"));
        let text: String =
            lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        let read = History::read(text.as_bytes()).unwrap();
        assert_eq!(read.runs, lines);
        assert_eq!(read.skipped, Vec::<usize>::new());
        let [stream, benchmark, ..] = &lines;
        assert!(stream.figures["response_p50_ms"] > 0.0);
        assert!(!stream.figures.contains_key("response_p99_ms"), "too few samples for it");
        assert!(!stream.figures.contains_key("ratio.sum.value"), "it was not measured");
        assert!((benchmark.figures["ratio.sum.value"] - 3.0).abs() < 1e-9);
    }

    #[test]
    fn torn_and_foreign_lines_are_skipped_and_told() {
        let line = serde_json::to_string(&HistoryLine::of(&sample::stream(), "a")).unwrap();
        let newer = line.replacen("\"history_version\":1", "\"history_version\":2", 1);
        let text = format!("{line}\n{}\n\n{{\"a\": 1}}\n\u{0}\n{newer}\n{line}", &line[..100]);
        let read = History::read(text.as_bytes()).unwrap();
        assert_eq!((read.runs.len(), read.skipped), (2, vec![2, 4, 5, 6]));
    }
}
