//! Environment variables that strom-load knows, and those that are called as if it did.

use clap::CommandFactory;

use super::Cli;
use crate::plan::nearest;

const PREFIX: &str = "STROM_LOAD_";
/// Of tests, and of what runs beside strom-load.
const FOREIGN: [&str; 1] = ["STROM_LOAD_TEST_"];
/// Known, though no option has them.
const WITHOUT_OPTION: [&str; 1] = ["STROM_LOAD_NVML"];

/// The variables that begin as strom-load's do and that it does not know, each with the known name
/// that it resembles.
pub fn unknown_variables(
    all: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, Option<String>)> {
    let mut known: Vec<String> = WITHOUT_OPTION.map(str::to_owned).to_vec();
    collect(&Cli::command(), &mut known);
    let mut unknown: Vec<_> = all
        .into_iter()
        .filter(|(name, value)| {
            name.starts_with(PREFIX)
                && !known.contains(name)
                && !FOREIGN.iter().any(|foreign| name.starts_with(foreign))
                && !is_of_a_service(name, value)
        })
        .map(|(name, _)| {
            let near = nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
            (name, near)
        })
        .collect();
    unknown.sort();
    unknown
}

/// The variables that strom-load knows and `subcommand` has no option for.
pub fn variables_without_use(
    subcommand: &str,
    all: impl IntoIterator<Item = (String, String)>,
) -> Vec<String> {
    let (command, mut known, mut used) = (Cli::command(), Vec::new(), Vec::new());
    collect(&command, &mut known);
    command.find_subcommand(subcommand).iter().for_each(|command| collect(command, &mut used));
    let is_unused =
        |name: &String| name.starts_with(PREFIX) && known.contains(name) && !used.contains(name);
    let set = all.into_iter().filter(|(_, value)| !value.is_empty());
    let mut unused: Vec<_> = set.map(|(name, _)| name).filter(is_unused).collect();
    unused.sort();
    unused
}

fn collect(command: &clap::Command, known: &mut Vec<String>) {
    let variables = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    known.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|command| collect(command, known));
}

/// Whether Kubernetes sets it in every pod, for a Service whose name begins with `strom-load`.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let protocols = ["TCP", "UDP", "SCTP"];
    let is_url = || {
        protocols.iter().any(|protocol| {
            value.strip_prefix(&protocol.to_lowercase()).is_some_and(|rest| rest.starts_with("://"))
        })
    };
    // STROM_LOAD_SERVICE_HOST, STROM_LOAD_SERVICE_PORT and STROM_LOAD_SERVICE_PORT_METRICS.
    let is_place = name.contains("_SERVICE_PORT_")
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT");
    // STROM_LOAD_PORT, STROM_LOAD_PORT_9464_TCP and STROM_LOAD_PORT_9464_TCP_ADDR.
    let port = name.split_once("_PORT_").and_then(|(_, rest)| rest.split_once('_'));
    let is_port = port.is_some_and(|(number, rest)| {
        number.bytes().all(|byte| byte.is_ascii_digit())
            && protocols.contains(&rest.split('_').next().unwrap_or_default())
    });
    is_place || is_port || (name.ends_with("_PORT") && is_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(all: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        unknown_variables(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_misspelt_variable_gets_the_name_that_it_resembles() {
        let near = |name: &str| unknown(&[(name, "5")]).pop().unwrap().1;
        assert_eq!(near("STROM_LOAD_RTAE").as_deref(), Some("STROM_LOAD_RATE"));
        assert_eq!(near("STROM_LOAD_WARM_UP").as_deref(), Some("STROM_LOAD_WARMUP"));
        assert_eq!(near("STROM_LOAD_COLOUR_OF_THE_SKY_AT_NIGHT"), None);
    }

    #[test]
    fn fill_has_a_use_for_its_own_options_alone() {
        let set = ["ROWS", "RATE", "DATA_DIR", "METRICS_ADDR", "SEED", "RTAE"];
        let set = set.map(|name| (format!("STROM_LOAD_{name}"), "5".to_owned()));
        let empty = ("STROM_LOAD_READERS".to_owned(), String::new());
        let all = set.into_iter().chain([empty]);
        let unused = variables_without_use("fill", all);
        assert_eq!(unused, ["STROM_LOAD_METRICS_ADDR", "STROM_LOAD_RATE"]);
    }

    #[test]
    fn known_ones_and_those_of_others_are_left_alone() {
        let left_alone = [
            ("STROM_LOAD_RATE", "3000"),
            ("STROM_LOAD_DATA_DIR", "pg"),
            ("STROM_LOAD_NVML", "libnvidia-ml.so.1"),
            ("STROM_LOAD_TEST_PG_STROM", "1"),
            ("RATE", "5"),
            ("STROM_LOAD_SERVICE_HOST", "10.0.0.1"),
            ("STROM_LOAD_SERVICE_PORT", "9464"),
            ("STROM_LOAD_SERVICE_PORT_METRICS", "9464"),
            ("STROM_LOAD_PORT", "tcp://10.0.0.1:9464"),
            ("STROM_LOAD_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
            ("STROM_LOAD_PORT_9464_TCP_PROTO", "tcp"),
            ("STROM_LOAD_PORT_9464_TCP_ADDR", "10.0.0.1"),
            ("STROM_LOAD_METRICS_SERVICE_HOST", "10.0.0.2"),
            ("STROM_LOAD_METRICS_PORT_53_UDP_PORT", "53"),
        ];
        assert_eq!(unknown(&left_alone), []);
        // A port that somebody meant to set.
        assert_eq!(unknown(&[("STROM_LOAD_PORT", "5433")]).len(), 1);
    }
}
