//! Options of `strom-load profile`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServerArgs;
use crate::plan::{Protocol, TableName};

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load profile from-table shop.orders --database-url postgresql://me@db/sales > orders.toml
      a profile of rows like those of a table, with three queries to begin with
  strom-load profile from-table shop.orders --table load_test.orders > orders.toml
      the same into a copy of the table, which the run makes (DATABASE_URL names the server)
  strom-load profile from-pgbench simple-update.sql --scale 10 > update.toml
      a script of pgbench as a profile
  strom-load check orders.toml --show-rows 10 && strom-load run orders.toml
      see its rows, then send them";

/// How a profile is drafted.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Draft a profile of rows like those of a table
    ///
    /// Reads the catalogue and pg_stats, as any role that may SELECT the table, and no row of it; changes
    /// nothing. Types, NULLs, how many different values, how often the most common ones come, the
    /// histogram of the others, their width and their order; keys and references. What cannot be drawn is
    /// said in a comment of the profile. docs/from-table.md has more.
    FromTable(FromTableArgs),
    /// Convert a script of pgbench into a profile, and print that
    ///
    /// What `\set` draws becomes parameters, and what the script sends a query: one statement, or one
    /// transaction. What cannot be converted is refused with its line and a fix, and the exit code is 2; nothing
    /// is left out. docs/queries.md says what can. The tables are those of `pgbench -i`, or the script's own.
    FromPgbench(FromPgbenchArgs),
    /// Draft a profile without a table: a commented one to change
    New(NewArgs),
}

/// Options of `strom-load profile from-table`.
#[derive(Debug, Args)]
pub struct FromTableArgs {
    /// The table, such as shop.orders
    #[arg(value_name = "TABLE")]
    pub source: TableName,
    /// Load a copy of the table, of this name, in place of the table itself
    ///
    /// The profile then has `like`: a run makes the copy, with the table's columns, constraints, indexes
    /// and partitions, if it is not there.
    #[arg(long, value_name = "NAME")]
    pub table: Option<TableName>,
    /// Write the table's own values into the profile: they may be personal data
    ///
    /// Without it labels stand for texts, and numbers and times are rounded.
    #[arg(long)]
    pub keep_values: bool,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `strom-load profile new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// The table that rows go into, made if it is not there
    #[arg(long, value_name = "NAME", default_value = "events")]
    pub table: TableName,
}

/// A script and how it is converted.
#[derive(Debug, Args)]
pub struct FromPgbenchArgs {
    /// The script, such as `pgbench --show-script=tpcb-like` prints one; `-` for standard input
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
