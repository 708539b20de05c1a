//! Options of `faults`.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::settings::{Offer, Offered};
use super::{EmbeddedArgs, OutputArgs, SettingArgs};
use crate::inject::FaultKind;
use crate::inject::cluster::ClusterKind;

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load faults
      ten minutes of every kind of fault
  strom-load faults --duration 2m --only server-killed,commit-cut --seed 7
      two kinds, the same ones in the same order each time
  strom-load faults --cluster --duration 10m --seed 7
      two servers, promotions, and two loaders of one table
  strom-load faults --duration 1h --rate 30k --format json > faults.json";

/// The settings of the stream among faults.
#[derive(Debug)]
pub struct FaultsSettings;

impl Offer for FaultsSettings {
    fn offered() -> Vec<Offered> {
        let settings = [
            ("--duration", "10m", "How long rows are due, such as 10m"),
            ("--rate", "3000", "Rows per second over all connections"),
            ("--partitions", "3", "Partitions"),
            ("--readers", "1", "Readers, which must survive the same faults"),
        ];
        let offered = |(flag, default, help)| {
            Some(Offered::some(flag, "Faults", Some(help))?.with_default(default))
        };
        let others = [
            (
                "--connections",
                Some("Producers, each with one connection [default: one a partition]"),
            ),
            ("--threshold", None),
        ];
        let others =
            others.into_iter().filter_map(|(flag, help)| Offered::some(flag, "Faults", help));
        settings.into_iter().filter_map(offered).chain(others).collect()
    }
}

/// Options of a run among faults.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
pub struct FaultsArgs {
    /// The load.
    #[command(flatten)]
    pub settings: SettingArgs<FaultsSettings>,
    /// Seed: the same one gives the same faults and pauses [default: drawn, and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Only these kinds of faults, with commas between [default: all]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    pub only: Vec<FaultKind>,
    /// Two servers, of which one follows the other, and two loaders of one table: rounds of these kinds
    /// [default: all]
    #[arg(
        long, value_name = "KIND", num_args = 0.., require_equals = true, value_delimiter = ',',
        value_parser = cluster_kinds(), conflicts_with_all = ["only", "data_dir"]
    )]
    pub cluster: Option<Vec<ClusterKind>>,
    /// How the server is started.
    #[command(flatten)]
    pub embedded: EmbeddedArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn kinds() -> impl TypedValueParser<Value = FaultKind> {
    let named = |(_, name, help): &(FaultKind, &'static str, &'static str)| {
        PossibleValue::new(*name).help(*help)
    };
    PossibleValuesParser::new(FaultKind::ALL.iter().map(named))
        .try_map(|name| name.parse::<FaultKind>())
}

fn cluster_kinds() -> impl TypedValueParser<Value = ClusterKind> {
    let named = |(_, name, help): &(ClusterKind, &'static str, &'static str)| {
        PossibleValue::new(*name).help(*help)
    };
    PossibleValuesParser::new(ClusterKind::ALL.iter().map(named))
        .try_map(|name| name.parse::<ClusterKind>())
}
