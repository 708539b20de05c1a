//! How the rows of a stream, and the queries of its readers, follow each other.

use super::resolver::Resolver;
use crate::pace::{Arrival, Burst};
use crate::profile::{self, Located};

/// Which of a seed's arrivals the rows have, and which the queries.
pub(super) const ROWS: u64 = 0;
pub(super) const QUERIES: u64 = 1;

/// A burst every so often: four fifths of the events in a fifth of the time, so at four times the rate.
const BURST_EVERY_S: f64 = 5.0;
const BURST_PARTS: u64 = 5;

impl Resolver<'_> {
    /// The arrival at a rate; `None` where nothing falls due by itself. `rate_key` is the rate's.
    pub(super) fn arrival(
        &mut self,
        value: &mut Option<Located<profile::Arrival>>,
        per_s: Option<f64>,
        rate_key: &str,
    ) -> Arrival {
        let written = value.clone();
        let arrival = self.choice(value, profile::Arrival::Constant);
        let Some(per_s) = per_s else {
            if arrival != profile::Arrival::Constant {
                let what = format!(
                    "the arrival is \"{}\", but at `{rate_key}` \"max\" nothing falls due by itself",
                    arrival.name()
                );
                let fix = format!("give a rate as `{rate_key}`, or leave the arrival out");
                self.fault(written.as_ref(), what, fix);
            }
            return Arrival::Constant;
        };
        match arrival {
            profile::Arrival::Constant => Arrival::Constant,
            profile::Arrival::Poisson => Arrival::Poisson,
            profile::Arrival::Burst => {
                let part = ((per_s * BURST_EVERY_S).ceil() as u64).div_ceil(BURST_PARTS).max(1);
                Arrival::Burst(Burst {
                    block: part * BURST_PARTS,
                    dense: part * (BURST_PARTS - 1),
                    length: part,
                })
            }
        }
    }
}

/// How many times the mean rate an arrival has at most, for longer than by chance.
pub(super) fn peak_factor(arrival: Arrival) -> f64 {
    match arrival {
        Arrival::Constant | Arrival::Poisson => 1.0,
        Arrival::Burst(burst) => burst.dense as f64 / burst.length as f64,
    }
}
