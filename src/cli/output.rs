//! Where results and logs go.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::MetricsAddress;
use crate::quantity::parse_duration;

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Results folder [default: results/<profile>-<UTC time>]
    ///
    /// Holds result.json and latency.hlog. A folder with a result in it is refused, never overwritten.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_OUTPUT", value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// What to print on standard output at the end
    ///
    /// With jsonl also progress, meanwhile: a JSON object a line, each second. docs/result.md has the keys.
    #[arg(long, value_enum, default_value_t = ResultFormat::Text)]
    pub format: ResultFormat,
    /// Where to serve metrics to Prometheus: IP:PORT, or off
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_METRICS_ADDR",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9464"
    )]
    pub metrics_addr: MetricsAddress,
    /// How long the last values stay up for scrapers after the end of a run
    ///
    /// The result is printed and saved before. Ctrl-C ends it.
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_METRICS_LINGER",
        value_name = "TIME",
        value_parser = parse_duration,
        allow_hyphen_values = true,
        default_value = "0s"
    )]
    pub metrics_linger: Duration,
    /// Form of logs on standard error; json shows no progress
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Show only warnings and errors on standard error
    #[arg(long, short)]
    pub quiet: bool,
    /// Show debug messages on standard error too
    #[arg(long, short, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Form of what a job prints on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResultFormat {
    /// The summary, for people.
    Text,
    /// The result, for programs: all of it.
    Json,
    /// Progress and outcome, for programs: a JSON object a line.
    Jsonl,
}

/// Form of a list or report on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: all of it.
    Json,
}

/// Form of progress and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
