//! What is watched beside the load: the `[watch]` section and its overrides.

use std::time::Duration;

use super::limits::GPU_INTERVAL;
use super::{Resolver, seconds};
use crate::plan::{Given, Watch};
use crate::profile::{self, MillisecondsOrOff};
use crate::quantity::Cadence;

impl Resolver<'_> {
    pub(super) fn watch(&mut self, watch: &profile::Watch) -> Watch {
        let pcie = self.overrides.gpu_pcie.as_ref().map(|given| given.value);
        Watch {
            gpu_interval: self.gpu_interval(watch),
            gpu_pcie: pcie.or(watch.gpu_pcie).unwrap_or(false),
        }
    }

    fn gpu_interval(&mut self, watch: &profile::Watch) -> Option<Duration> {
        let file = watch.gpu_interval_ms.as_ref().map(|file| (file, **file));
        let (given, file) = match (&self.overrides.gpu_interval, file) {
            (Some(Given { value: Cadence::Off, .. }), _)
            | (None, Some((_, MillisecondsOrOff::Off))) => return None,
            (Some(Given { value: Cadence::Each(interval), origin }), _) => {
                (Some(Given { value: *interval, origin: origin.clone() }), None)
            }
            (None, Some((file, MillisecondsOrOff::Milliseconds(ms)))) => {
                (None, Some(file.with(ms)))
            }
            (None, None) => (None, None),
        };
        let (given, file) = (given.as_ref(), file.as_ref());
        Some(seconds(self.scaled("gpu_interval_ms", given, file, 1e-3, &GPU_INTERVAL)))
    }
}
