//! Options of tables that are filled with generated rows, and of `strom-load fill`.

use std::num::NonZeroU32;

use clap::Args;

use super::{Format, Given, Origins, Overrides, Parsed, ServerArgs, parse_count, parse_factor};
use crate::plan::Recreate;

pub(super) const ABOUT: &str = "\
Create and fill the tables of profiles, or find that they are there

Row i of a table is a function of the seed, the table's name and i, so the same profile gives the \
same table on every server, over any number of connections. Rows are loaded by COPY BINARY, then \
indexes are built, then the table is vacuumed and analysed.

What a table was filled with is kept in its comment. A table that fits is reused, a half-filled \
one is completed, and one that differs is an error. Nothing is dropped without --recreate.";

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load fill sales.toml --database-url postgresql://me@db/sales
      fill the profile's tables, or say that they are there
  strom-load fill sales.toml --rows 50M --database-url postgresql://me@db/sales
      with 50 million rows in each
  strom-load fill sales.toml --scale 0.1 --data-dir pg --verify --format json
      a tenth of the rows, in a server of our own; read every row back and compare checksums";

/// Options of the profile's `[[tables]]`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tables")]
pub struct TableArgs {
    /// Rows of each of the profile's tables, such as 50M; not of a dimension table
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_ROWS", value_parser = parse_count, allow_hyphen_values = true)]
    pub rows: Option<u64>,
    /// Multiply the rows of each of the profile's tables by this, such as 0.1; not of a dimension
    /// table
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_SCALE", value_name = "FACTOR", value_parser = parse_factor, allow_hyphen_values = true)]
    pub scale: Option<f64>,
}

/// Options of `strom-load fill`.
#[derive(Debug, Args)]
pub struct FillArgs {
    /// How many rows.
    #[command(flatten)]
    pub tables: TableArgs,
    /// Drop the profile's tables and all their rows first, if strom-load made them
    ///
    /// What strom-load fills it marks in the table's comment. A table without the mark is dropped
    /// only if it is named: --recreate=shop.orders.
    #[arg(long, value_name = "TABLE", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Tables")]
    pub recreate: Option<Recreate>,
    /// Seed: the same one gives the same rows [default: 42]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_SEED",
        value_name = "NUMBER",
        help_heading = "Tables"
    )]
    pub seed: Option<u64>,
    /// Connections that load at the same time [default: one a core, 2 to 16]
    #[arg(long, value_name = "NUMBER", help_heading = "Tables")]
    pub connections: Option<NonZeroU32>,
    /// Read every row back and compare the checksum
    #[arg(long, help_heading = "Tables")]
    pub verify: bool,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What to print on standard output at the end
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// Show no progress on standard error
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

impl Parsed {
    /// What the options of `fill` and the environment override in a profile.
    pub fn fill_overrides(&self, args: &FillArgs) -> Overrides {
        let given = Origins(self);
        Overrides {
            rows: given.by("rows", "--rows", "STROM_LOAD_ROWS", args.tables.rows),
            scale: given.by("scale", "--scale", "STROM_LOAD_SCALE", args.tables.scale),
            seed: given.by("seed", "--seed", "STROM_LOAD_SEED", args.seed),
            recreate: args.recreate.clone().map(|value| Given::flag("--recreate", value)),
            ..Overrides::default()
        }
    }
}
