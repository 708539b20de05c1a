//! Clocks that were set while a run went on.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::format_duration;

/// Whose clock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// That of the machine that strom-load runs on.
    Loader,
    /// That of the server that is loaded.
    Server,
}

/// A clock that was set, seen beside the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockStep {
    /// Whose.
    pub clock: Clock,
    /// When it was seen, in seconds since the start of the schedule.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub at_s: f64,
    /// By how much it was set, in milliseconds: above 0 it was put forward.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub step_ms: f64,
}

/// Such as `this machine's clock was put back by 5 s after 12 s`.
impl fmt::Display for ClockStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.clock {
            Clock::Loader => "this machine's",
            Clock::Server => "the server's",
        };
        let side = if self.step_ms < 0.0 { "back" } else { "forward" };
        // To the millisecond: what the step was is not known better.
        let step = format_duration(Duration::from_millis(self.step_ms.abs().round() as u64));
        write!(f, "{whose} clock was put {side} by {step} after {:.0} s", self.at_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_people_say_it() {
        let shown = |clock, step_ms| ClockStep { clock, at_s: 12.4, step_ms }.to_string();
        assert_eq!(
            shown(Clock::Loader, -5_000.2),
            "this machine's clock was put back by 5 s after 12 s"
        );
        assert_eq!(
            shown(Clock::Server, 3_600_000.0),
            "the server's clock was put forward by 60 min after 12 s"
        );
    }
}
