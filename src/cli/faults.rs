//! Options of `faults`.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::inject::Kind;
use crate::quantity::{Rate, parse_count, parse_duration, parse_rate};

use super::{EmbeddedArgs, OutputArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load faults
      ten minutes of every kind of fault
  strom-load faults --duration 2m --only server-killed,commit-cut --seed 7
      two kinds, the same ones in the same order each time
  strom-load faults --duration 1h --rate 30k --format json > faults.json";

/// Options of a run among faults.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
pub struct FaultsArgs {
    /// How long rows are due, such as 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, allow_hyphen_values = true)]
    pub duration: Duration,
    /// Rows per second over all partitions
    #[arg(long, default_value = "3000", value_parser = parse_rate, allow_hyphen_values = true)]
    pub rate: Rate,
    /// Partitions, each with one producer and one connection
    #[arg(long, default_value = "3", value_parser = parse_count, allow_hyphen_values = true)]
    pub partitions: u64,
    /// Readers, which must survive the same faults
    #[arg(long, default_value = "1", value_parser = parse_count, allow_hyphen_values = true)]
    pub readers: u64,
    /// Seed: the same one gives the same faults and pauses [default: drawn, and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Only these kinds of faults, with commas between [default: all]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    pub only: Vec<Kind>,
    /// How the server is started.
    #[command(flatten)]
    pub embedded: EmbeddedArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let named = |(_, name, help): &(Kind, &'static str, &'static str)| {
        PossibleValue::new(*name).help(*help)
    };
    PossibleValuesParser::new(Kind::ALL.iter().map(named)).try_map(|name| name.parse::<Kind>())
}
