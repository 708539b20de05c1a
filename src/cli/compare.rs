//! Options of `compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::settings::{Offer, Offered};
use super::{ReadersArgs, ServerArgs, SettingArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load compare results/before-* -- results/after-*
      saved runs, four a side or more
  strom-load compare --gate 'response_p99_ms <= 1.10x' --gate 'rows_lost <= 0' old/* -- new/*
      exit with 99 if a gate does not hold
  strom-load compare --format markdown --output compare.html old/* -- new/*
      for a pull request, and a page for a browser
  strom-load compare --run a.toml b.toml --repeats 6 --duration 30s
      make the runs, in turn (A B B A …), on one server";

/// The settings that both profiles of `--run` get.
#[derive(Debug)]
pub struct CompareSettings;

impl Offer for CompareSettings {
    fn offered() -> Vec<Offered> {
        let flags = ["--duration", "--warmup", "--rate", "--readers", "--query-time", "--recreate"];
        flags.into_iter().filter_map(|flag| Offered::some(flag, RUNS, None)).collect()
    }
}

const RUNS: &str = "Making the runs";

/// Options of a comparison.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Results folders of the first side; of one with an index, all its runs
    #[arg(value_name = "A", required_unless_present = "run", conflicts_with = "run")]
    pub a: Vec<PathBuf>,
    /// Results folders of the second side, behind `--`
    #[arg(value_name = "B", last = true, required_unless_present = "run", conflicts_with = "run")]
    pub b: Vec<PathBuf>,
    /// Exit with 99 unless this holds for B, such as 'response_p99_ms <= 1.10x'; repeatable
    ///
    /// A figure of `strom-load thresholds`, one of < <= > >=, and a number: the limit of B's own figure, or
    /// with an x of the ratio of B to A. It is judged at the bad end of the interval: it passes if even that
    /// holds, fails if the whole interval does not, and is open in between, and with fewer than four runs a
    /// side.
    #[arg(long = "gate", value_name = "CONDITION")]
    pub gates: Vec<String>,
    /// Exit with 99 for a gate that is open, too
    #[arg(long, requires = "gates")]
    pub strict: bool,
    /// What of the plans may differ: rate, readers, another flag's name, or a key; `rows` for tables
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// Compare every figure, and not only those that are looked at first
    #[arg(long)]
    pub all: bool,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub format: CompareFormat,
    /// Write a page for a browser too: a file that ends in .html
    #[arg(long, value_name = "FILE.html")]
    pub output: Option<PathBuf>,
    /// Run two profiles in turn, A B B A and so on, and compare these runs
    ///
    /// On one server: the one that is named, or one that is started and removed. Each run has a results
    /// folder.
    #[arg(long, num_args = 2, value_names = ["A.toml", "B.toml"], help_heading = RUNS)]
    pub run: Vec<PathBuf>,
    /// Runs of each profile
    #[arg(long, value_name = "NUMBER", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=500), requires = "run", help_heading = RUNS)]
    pub repeats: u16,
    /// Folder for the folders of these runs [default: results/compare-<UTC time>]
    #[arg(long, value_name = "DIR", requires = "run", help_heading = RUNS)]
    pub results: Option<PathBuf>,
    /// Settings of both profiles.
    #[command(flatten)]
    pub settings: SettingArgs<CompareSettings>,
    /// Where these runs find their server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Where their readers ask.
    #[command(flatten)]
    pub readers: ReadersArgs,
    /// Show only warnings and errors of these runs on standard error
    #[arg(long, short, requires = "run", help_heading = RUNS)]
    pub quiet: bool,
}

/// Form of a comparison on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// For people.
    Text,
    /// For programs: all of it.
    Json,
    /// For a pull request.
    Markdown,
}
