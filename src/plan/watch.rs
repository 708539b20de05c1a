//! What is watched beside the load: the `[watch]` section.

use std::time::Duration;

use super::limits::Limits;
use super::resolver::{Idle, Resolver, milliseconds};
use crate::profile;

/// Below it the driver would be asked more often than it looks itself.
const GPU_INTERVAL_MS: Limits = Limits {
    default: 100.0,
    min: 10.0,
    max: 10_000.0,
    is_whole: false,
    range: "10 ms to 10 s",
    fix: "choose the time between two samples, such as 100 ms, or `off`",
};

/// For what is about GPUs where none is sampled.
const NOT_SAMPLED: Idle = Idle {
    here: "while GPUs are not sampled",
    fix: "leave it out, or choose an interval for --gpu-interval",
};

/// What is watched beside the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Time between two samples of each GPU; `None`: they are not watched.
    pub gpu_interval: Option<Duration>,
    /// Sample the GPUs' PCIe throughput too.
    pub gpu_pcie: bool,
}

impl Watch {
    /// Of a job that runs nothing.
    pub(super) const NOTHING: Self = Self { gpu_interval: None, gpu_pcie: false };
}

impl Resolver<'_> {
    pub(super) fn watch(&mut self, watch: &mut profile::Watch) -> Watch {
        let interval = &mut watch.gpu_interval_ms;
        let interval_ms = self.number_or_word("gpu_interval_ms", interval, &GPU_INTERVAL_MS);
        let gpu_pcie = self.choice(&mut watch.gpu_pcie, false);
        if interval_ms.is_none() {
            self.note_idle(watch.gpu_pcie.as_ref(), NOT_SAMPLED);
        }
        Watch { gpu_interval: interval_ms.map(milliseconds), gpu_pcie }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, Plan, ProfileSource};

    fn resolve(text: &str, overrides: &Overrides) -> Result<Watch, String> {
        let text = format!("{text}\n[stream]\n");
        let source = ProfileSource::new("test.toml", text);
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
        let given = |every: &str| Overrides::read(&[&format!("--gpu-interval={every}")]).unwrap();
        let file = "watch.gpu_interval_ms = 20";
        assert_eq!(resolve(file, &given("off")).unwrap().gpu_interval, None);
        let second = Duration::from_secs(1);
        let watch = resolve("watch.gpu_interval_ms = \"off\"", &given("1s"));
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
        let given = Overrides::read(&["STROM_LOAD_GPU_INTERVAL=1m"]).unwrap();
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
