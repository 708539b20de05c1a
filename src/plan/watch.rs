//! What is watched beside the load: the `[watch]` section.

use std::time::Duration;

use crate::profile::{self, MillisecondsOrOff, Number};

/// What is watched beside the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Time between two samples of each GPU; `None`: they are not watched.
    pub gpu_interval: Option<Duration>,
    /// Sample the GPUs' PCIe throughput too.
    pub gpu_pcie: bool,
}

impl From<&Watch> for profile::Watch {
    fn from(watch: &Watch) -> Self {
        let interval_ms = watch.gpu_interval.map_or(MillisecondsOrOff::Off, |interval| {
            // From whole microseconds: seconds times 1000 would not be exact.
            MillisecondsOrOff::Milliseconds(Number(interval.as_micros() as f64 / 1e3))
        });
        Self { gpu_interval_ms: Some(interval_ms.into()), gpu_pcie: Some(watch.gpu_pcie) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Given, Overrides, Plan, ProfileSource};
    use crate::quantity::Cadence;

    fn resolve(text: &str, overrides: &Overrides) -> Result<Watch, String> {
        let source = ProfileSource { name: "test.toml".to_owned(), text: text.to_owned() };
        let plan = Plan::resolve(&source, overrides);
        plan.map(|plan| plan.common.watch).map_err(|faults| faults.to_string())
    }

    #[test]
    fn gpus_are_sampled_each_100_ms_unless_told() {
        let none = Overrides::default();
        let interval = |text: &str| resolve(text, &none).unwrap().gpu_interval;
        assert_eq!(interval(""), Some(Duration::from_millis(100)));
        assert_eq!(interval("watch.gpu_interval_ms = 12.5"), Some(Duration::from_micros(12_500)));
        assert_eq!(interval("watch.gpu_interval_ms = \"off\""), None);
        let pcie = resolve("watch.gpu_pcie = true", &none).unwrap().gpu_pcie;
        assert!(pcie && !resolve("", &none).unwrap().gpu_pcie);
    }

    #[test]
    fn a_flag_overrides_the_file() {
        let given = |cadence| Overrides {
            gpu_interval: Some(Given::flag("--gpu-interval", cadence)),
            ..Overrides::default()
        };
        let file = "watch.gpu_interval_ms = 20";
        assert_eq!(resolve(file, &given(Cadence::Off)).unwrap().gpu_interval, None);
        let second = Duration::from_secs(1);
        let watch = resolve("watch.gpu_interval_ms = \"off\"", &given(Cadence::Each(second)));
        assert_eq!(watch.unwrap().gpu_interval, Some(second));
    }

    #[test]
    fn a_bad_interval_is_explained() {
        let none = Overrides::default();
        insta::assert_snapshot!(resolve("watch.gpu_interval_ms = 5", &none).unwrap_err(), @r"
            error: `gpu_interval_ms` is 5, outside 10 ms to 10 s
             --> test.toml:1:25
              |
            1 | watch.gpu_interval_ms = 5
              |                         ^
              = fix: choose the time between two samples, such as 100 ms, or `off`
        ");
        let flag = Given::env("STROM_LOAD_GPU_INTERVAL", Cadence::Each(Duration::from_secs(60)));
        let given = Overrides { gpu_interval: Some(flag), ..Overrides::default() };
        insta::assert_snapshot!(resolve("", &given).unwrap_err(), @r"
            error: `STROM_LOAD_GPU_INTERVAL` is 60 s, outside 10 ms to 10 s
             --> environment variable STROM_LOAD_GPU_INTERVAL
              = fix: choose the time between two samples, such as 100 ms, or `off`
        ");
        insta::assert_snapshot!(resolve("watch.gpu_interval_ms = \"on\"", &none).unwrap_err(), @r#"
            error: `gpu_interval_ms` must be a number of milliseconds or "off", not a string
             --> test.toml:1:25
              |
            1 | watch.gpu_interval_ms = "on"
              |                         ^^^^
              = fix: write a number of milliseconds or "off"; numbers stand without quotes and units
        "#);
    }
}
