//! The flags of benchmarks.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Origins;
use crate::plan::Overrides;
use crate::plan::bench;
use crate::quantity::parse_duration;

/// What a benchmark's flags set in place of its profile.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How the two arms of a query follow each other [default: interleaved]
    ///
    /// interleaved runs them in adjacent pairs, each in random order, after one execution that is
    /// not measured. sequential runs all of the first arm, then all of the other, nothing warmed:
    /// what biased comparisons do, to see how much it matters.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_ORDER", help_heading = "Benchmark")]
    order: Option<Order>,
    /// Stop a query when its ratio is known to within this share, such as 5% [default: 5%]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_PRECISION", value_name = "SHARE", value_parser = parse_share, allow_hyphen_values = true, help_heading = "Benchmark")]
    precision: Option<f64>,
    /// Fewest pairs of a query [default: 20]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_PAIRS_MIN",
        value_name = "NUMBER",
        help_heading = "Benchmark"
    )]
    pairs_min: Option<u64>,
    /// Most pairs of a query [default: 200]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_PAIRS_MAX",
        value_name = "NUMBER",
        help_heading = "Benchmark"
    )]
    pairs_max: Option<u64>,
    /// Most time for the pairs of a query [default: 60s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_QUERY_TIME", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true, help_heading = "Benchmark")]
    query_time: Option<Duration>,
}

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

/// How the two arms follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// In adjacent pairs, each in random order.
    Interleaved,
    /// All of the first arm, then all of the other.
    Sequential,
}

/// A share, as `5%` or `0.05`.
fn parse_share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("`{text}` is not a share; write 5% or 0.05"))?;
    Ok(number / scale)
}

impl BenchArgs {
    pub(super) fn overrides(&self, given: &Origins<'_>, overrides: &mut Overrides) {
        let order = self.order.map(|order| match order {
            Order::Interleaved => bench::Order::Interleaved,
            Order::Sequential => bench::Order::Sequential,
        });
        overrides.order = given.by("order", "--order", "STROM_LOAD_ORDER", order);
        overrides.precision =
            given.by("precision", "--precision", "STROM_LOAD_PRECISION", self.precision);
        overrides.pairs_min =
            given.by("pairs_min", "--pairs-min", "STROM_LOAD_PAIRS_MIN", self.pairs_min);
        overrides.pairs_max =
            given.by("pairs_max", "--pairs-max", "STROM_LOAD_PAIRS_MAX", self.pairs_max);
        overrides.query_time =
            given.by("query_time", "--query-time", "STROM_LOAD_QUERY_TIME", self.query_time);
    }
}

#[cfg(test)]
mod tests {
    use super::parse_share;

    #[test]
    fn a_share_is_written_in_percent_or_not() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.05"), Ok(0.05));
        assert!(parse_share("five").is_err());
    }
}
