//! How several profiles follow each other.

use std::time::Duration;

use clap::Args;

use crate::quantity::parse_duration;

/// How several profiles follow each other.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// Pause between two profiles [default: 0s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_COOLDOWN", value_name = "TIME", value_parser = parse_duration, default_value = "0s", hide_default_value = true, help_heading = "Run")]
    pub cooldown: Duration,
    /// End with the first profile that does not exit with 0
    #[arg(long, help_heading = "Run")]
    pub fail_fast: bool,
    /// Let a sweep change the server's configuration by ALTER SYSTEM and reload it
    ///
    /// All sessions of the server see that while it lasts. What was there before is put back at the
    /// end, after Ctrl-C and after an error; should the loader be killed, at the next start of a
    /// benchmark or sweep on that server. Not needed for a server that strom-load starts.
    #[arg(long, help_heading = "Benchmark")]
    pub allow_alter_system: bool,
}
