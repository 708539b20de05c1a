//! The options of `strom-load doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::settings::{Offer, Offered};
use super::{Format, ReadersArgs, ServerArgs, SettingArgs};
use crate::quantity::parse_duration;

/// Shown after the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load doctor --database-url postgresql://me@db/sales
      a server, its PG-Strom, and what would make figures mislead
  strom-load doctor --database-url postgresql://me@db/sales --table sales.events --rate 30k
      the same for a load of your own
  strom-load doctor --noise my.toml --database-url postgresql://me@db/sales
      how small a difference the queries of a profile can show there
  strom-load doctor --format json | jq '.advice[] | select(.severity == \"critical\")'
      for a script (DATABASE_URL names the server)
  strom-load doctor
      this machine alone: GPUs, and the PostgreSQL that a run would start";

/// The settings of `doctor`: the load that the server shall take.
#[derive(Debug)]
pub struct DoctorSettings;

impl Offer for DoctorSettings {
    fn offered() -> Vec<Offered> {
        let settings = [
            ("--table", "Table to look at [default: l40s_realtime_stream]"),
            (
                "--rate",
                "Rows per second that the server shall take, such as 3000, 30k or max [default: 3000]",
            ),
            ("--partitions", "Partitions of the stream [default: 3]"),
            ("--connections", "Producers, each with one connection [default: one a partition]"),
            ("--readers", "Readers beside it [default: 2]"),
        ];
        let offered = |(flag, help)| Offered::some(flag, "Load", Some(help));
        settings.into_iter().filter_map(offered).collect()
    }
}

/// All options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Profile whose queries --noise measures: a file (TOML) or a built-in one [default: realtime]
    #[arg(value_name = "PROFILE", requires = "noise")]
    pub profile: Option<PathBuf>,
    /// Say how small a difference can be seen here: run each query in the same arm twice, in pairs
    ///
    /// For so long each, on the tables as they are; `--noise` alone is 10 s. The first arm of a comparison
    /// (with PG-Strom: off) is compared with itself, by the machinery of a comparison. What remains
    /// is noise: it says which ratio 30, 100 and 300 pairs would show, and how long those take. An arm
    /// that differs from itself means that no verdict holds here. Creates and writes nothing. Exits with
    /// 6 if a query was not answered.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = parse_duration)]
    pub noise: Option<Duration>,
    /// Where and how the server is found.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Where the readers ask.
    #[command(flatten)]
    pub readers: ReadersArgs,
    /// The load.
    #[command(flatten)]
    pub settings: SettingArgs<DoctorSettings>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
}
