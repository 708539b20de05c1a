//! The outputs of a benchmark: its folder with `result.json` and `summary.md`, kept current while
//! it goes on, and its progress on a terminal.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::SinkError;
use super::folder::{self, SUMMARY, save_json, save_text};
use super::terminal::Screen;
use crate::bench::{Doing, Progress};
use crate::quantity::format_duration;
use crate::report::markdown;
use crate::result::benchmark::BenchQueryReport;
use crate::result::{JobResult, RESULT};
use crate::stats::Verdict;
use crate::sweep;

/// Between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The folder of a benchmark.
pub struct BenchFolder {
    path: PathBuf,
}

impl BenchFolder {
    /// Opens the folder `path`, created if need be, for one result.
    ///
    /// # Errors
    /// When it cannot be written, or already holds a result.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        folder::claim(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Creates a folder in `parent` that is ours alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open_new(parent: &Path, name: &str) -> Result<Self, SinkError> {
        let (path, _) = folder::create_new(parent, name)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Saves the result so far.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, report: &JobResult) -> Result<(), SinkError> {
        save_json(&self.path, RESULT, report)?;
        save_text(&self.path, SUMMARY, &markdown(report))
    }
}

/// Shows how far a benchmark is.
pub struct BenchScreen {
    screen: Screen,
    bar: ProgressBar,
    quiet: bool,
    step: String,
    shown: Option<Instant>,
}

impl BenchScreen {
    /// On this screen, or nowhere.
    pub fn new(screen: Screen, quiet: bool) -> Self {
        let bar = ProgressBar::hidden();
        let mut this = Self { screen, bar, quiet, step: String::new(), shown: None };
        if this.screen.is_live() && !quiet {
            this.bar = this.screen.spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                this.bar.set_style(style);
            }
        }
        this
    }

    /// A step begins.
    pub fn step(&mut self, name: &str, number: usize, of: usize) {
        self.step = if of > 1 { format!("step {number} of {of}, {name}: ") } else { String::new() };
    }

    /// A query is under way.
    pub fn progress(&mut self, progress: &Progress<'_>) {
        if self.quiet {
            return;
        }
        let doing = match progress.doing {
            Doing::Warming => "first executions".to_owned(),
            Doing::Examining => "plans and answers".to_owned(),
            Doing::Measuring => format!("{} done", progress.pairs),
        };
        let elapsed = Duration::from_secs(progress.elapsed.as_secs());
        let message =
            format!("{}{}: {doing}, {}", self.step, progress.query, format_duration(elapsed));
        self.show(&message);
    }

    /// A sweep is under way.
    pub fn round(&mut self, progress: &sweep::Progress) {
        let sweep::Progress { rounds, rounds_planned, done, planned, .. } = *progress;
        if self.quiet {
            return;
        }
        let left = progress.left().map(|left| Duration::from_secs(left.as_secs()));
        let left =
            left.map_or_else(String::new, |left| format!(", {} left", format_duration(left)));
        let message =
            format!("{rounds} of {rounds_planned} rounds, {done} of {planned} executions{left}");
        self.show(&message);
    }

    fn show(&mut self, message: &str) {
        if self.screen.is_live() {
            self.bar.set_message(message.to_owned());
            self.bar.tick();
        } else if self.shown.is_none_or(|shown| shown.elapsed() >= LINE_EVERY) {
            self.shown = Some(Instant::now());
            self.screen.line(message);
        }
    }

    /// A query is done.
    pub fn done(&mut self, query: &BenchQueryReport) {
        if self.quiet {
            return;
        }
        let times: Vec<String> = query
            .arms
            .iter()
            .map(|arm| {
                let time = arm.median_ms.map_or("failed".to_owned(), |ms| {
                    format_duration(Duration::from_nanos((ms * 1e6) as u64))
                });
                format!("{} {time}", arm.arm)
            })
            .collect();
        let ratio = query.times.as_ref().and_then(|times| {
            let verdict = match times.verdict {
                Verdict::Faster => "faster",
                Verdict::Slower => "slower",
                Verdict::NoDifferenceShown => "no difference shown",
                Verdict::TooFewPairs => "too few pairs",
            };
            let (low, high) = (times.low?, times.high?);
            Some(format!(", ratio {:.2} ({low:.2} - {high:.2}), {verdict}", times.ratio?))
        });
        let wrong = if query.valid { "" } else { ", WRONG ANSWERS" };
        let ratio = ratio.unwrap_or_default();
        let line = format!("{}{}: {}{ratio}{wrong}", self.step, query.query, times.join(", "));
        self.screen.line(&line);
    }

    /// Leaves the terminal as it was.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
