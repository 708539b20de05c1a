//! Options of tables that are filled with generated rows, and of `strom-load fill`.

use std::num::NonZeroU32;

use clap::Args;

use super::settings::{Offer, Offered};
use super::{Format, ServerArgs, SettingArgs};

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

/// The settings of `fill`.
#[derive(Debug)]
pub struct FillSettings;

impl Offer for FillSettings {
    fn offered() -> Vec<Offered> {
        let recreate = "Drop the profile's tables and all their rows first, if strom-load made them\n\n\
                        What strom-load fills it marks in the table's comment. A table without the mark \
                        is dropped only if it is named: --recreate=shop.orders.";
        let settings =
            [("--rows", None), ("--scale", None), ("--recreate", Some(recreate)), ("--seed", None)];
        settings
            .into_iter()
            .filter_map(|(flag, help)| Offered::some(flag, "Tables", help))
            .collect()
    }
}

/// Options of `strom-load fill`.
#[derive(Debug, Args)]
pub struct FillArgs {
    /// What overrides the profiles.
    #[command(flatten)]
    pub settings: SettingArgs<FillSettings>,
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
