//! The options of `strom-load doctor`.

use clap::Args;

use crate::plan::Overrides;
use crate::quantity::{Rate, parse_count, parse_rate};

use super::{Format, Origins, Parsed, ServerArgs};

/// Shown after the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load doctor --database-url postgresql://me@db/sales
      a server, its PG-Strom, and what would make figures mislead
  strom-load doctor --database-url postgresql://me@db/sales --table sales.events --rate 30k
      the same for a load of your own
  strom-load doctor --format json | jq '.advice[] | select(.severity == \"critical\")'
      for a script (DATABASE_URL names the server)
  strom-load doctor
      this machine alone: GPUs, and the PostgreSQL that a run would start";

/// All options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where and how the server is found.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Table to look at [default: l40s_realtime_stream]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_TABLE",
        value_name = "NAME",
        help_heading = "Load"
    )]
    table: Option<String>,
    /// Rows per second that the server shall take, such as 3000, 30k or max [default: 3000]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_RATE", value_parser = parse_rate, allow_hyphen_values = true, help_heading = "Load")]
    rate: Option<Rate>,
    /// Partitions of the stream [default: 3]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_PARTITIONS", value_parser = parse_count, allow_hyphen_values = true, help_heading = "Load")]
    partitions: Option<u64>,
    /// Readers beside it [default: 2]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_READERS", value_parser = parse_count, allow_hyphen_values = true, help_heading = "Load")]
    readers: Option<u64>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
}

impl Parsed {
    /// What the options of `doctor` and the environment say of the load.
    pub fn doctor_overrides(&self, args: &DoctorArgs) -> Overrides {
        let given = Origins(self);
        Overrides {
            table: given.by("table", "--table", "STROM_LOAD_TABLE", args.table.clone()),
            rate: given.by("rate", "--rate", "STROM_LOAD_RATE", args.rate),
            partitions: given.by(
                "partitions",
                "--partitions",
                "STROM_LOAD_PARTITIONS",
                args.partitions,
            ),
            readers: given.by("readers", "--readers", "STROM_LOAD_READERS", args.readers),
            ..Overrides::default()
        }
    }
}
