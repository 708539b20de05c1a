//! Drafts of profiles from what is there.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::plan::Protocol;

/// From what a profile is drafted.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Convert a script of pgbench into a profile, and print that
    ///
    /// What `\set` draws becomes parameters, and what the script sends a query: one statement, or one
    /// transaction. What cannot be converted is refused with its line and a fix, and the exit code is 2; nothing
    /// is left out. docs/queries.md says what can. The tables are those of `pgbench -i`, or the script's own.
    FromPgbench(FromPgbenchArgs),
}

/// A script and how it is converted.
#[derive(Debug, Args)]
pub struct FromPgbenchArgs {
    /// The script, such as `pgbench --show-script=tpcb-like` prints one
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What `:scale` is: the scale with which `pgbench -i` has made the tables
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub scale: u32,
    /// Another variable of the script, as often as there are some
    #[arg(long, value_name = "NAME=VALUE", value_parser = defined)]
    pub define: Vec<(String, f64)>,
    /// How it is sent, as pgbench's `-M`
    #[arg(long, value_enum, default_value_t = Protocol::Simple)]
    pub protocol: Protocol,
    /// Readers that run it, as pgbench's `-c`
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub clients: u32,
}

fn defined(text: &str) -> Result<(String, f64), String> {
    let wanted = || "write a name and a number, such as `limit=100`".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(wanted)?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let value = value.parse().ok().filter(|value: &f64| value.is_finite());
    value.filter(|_| is_name).map(|value| (name.to_owned(), value)).ok_or_else(wanted)
}
