//! Whose fault a delay is. Late work makes the work behind it late, so the cause is carried along
//! until the backlog is gone.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A delay, by what caused it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blame {
    /// The loader or its machine: a thread that did not run, a timer that was late, rows that took
    /// long to make.
    pub own: Duration,
    /// The server, or the way to it: the work before was not answered, or had to be sent again.
    pub server: Duration,
    /// Held back, so that what is overdue does not follow too fast.
    pub held: Duration,
}

/// The same summed up, in seconds, as it is saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlameSums {
    /// The loader or its machine.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub own_s: f64,
    /// The server, or the way to it.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub server_s: f64,
    /// Held back by the bound on catching up.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub held_s: f64,
}

impl Blame {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.own + self.server + self.held
    }

    /// The same causes, for a delay of another length.
    fn scaled_to(self, total: Duration) -> Self {
        let all = self.total();
        if all.is_zero() {
            return Self::default();
        }
        let part = |of: Duration| {
            let ns = of.as_nanos() * total.as_nanos() / all.as_nanos();
            Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
        };
        let mut parts =
            Self { own: part(self.own), server: part(self.server), held: part(self.held) };
        // Each is rounded down, and the greatest takes what that leaves.
        let left = total.saturating_sub(parts.total());
        let greatest = self.own.max(self.server).max(self.held);
        let rounded = match greatest {
            _ if greatest == self.own => &mut parts.own,
            _ if greatest == self.server => &mut parts.server,
            _ => &mut parts.held,
        };
        *rounded += left;
        parts
    }

    /// Both, one behind the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            own: self.own + other.own,
            server: self.server + other.server,
            held: self.held + other.held,
        }
    }
}

impl BlameSums {
    /// Adds a delay that counts `weight` times.
    pub fn add(&mut self, blame: &Blame, weight: f64) {
        self.own_s += blame.own.as_secs_f64() * weight;
        self.server_s += blame.server.as_secs_f64() * weight;
        self.held_s += blame.held.as_secs_f64() * weight;
    }

    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        self.own_s += other.own_s;
        self.server_s += other.server_s;
        self.held_s += other.held_s;
    }

    /// The loader's part of what is not held back; `None` where nothing was late.
    pub fn own_ratio(&self) -> Option<f64> {
        let both = self.own_s + self.server_s;
        (both > 0.0).then(|| self.own_s / both)
    }
}

/// How the time went in which a piece of work was in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Service {
    /// All of it.
    pub whole: Duration,
    /// The part in which the loader's own thread stood still or made rows.
    pub own: Duration,
}

/// Follows one worker, and says of each piece of its work why it was late.
///
/// With one worker, piece *k* begins late by what piece *k* − 1 was late and took, less the time
/// between their due times (Lindley's recursion). So the causes of a delay are those of the delay
/// before it, and the service in between. The time between two due times is first taken from the
/// service, which belongs there, and then from all causes alike.
#[derive(Debug, Default)]
pub struct Attribution {
    /// Since the due time of the last piece of work until the worker was free.
    carried: Blame,
    /// The server's part of its service.
    fresh: Duration,
    due: Option<Instant>,
}

impl Attribution {
    /// Why work that is due at `due` and sent at `sent` is late, by a worker that was free from
    /// `free` on and held the work back until `held_until`.
    pub fn wait(&self, due: Instant, free: Instant, held_until: Instant, sent: Instant) -> Blame {
        let behind = self.behind(due).scaled_to(free.min(sent).saturating_duration_since(due));
        let ready = free.max(due);
        let held = held_until.min(sent).saturating_duration_since(ready);
        let own = sent.saturating_duration_since(ready.max(held_until));
        behind.and(Blame { own, held, server: Duration::ZERO })
    }

    /// Why work that is due at `due` has not been sent at `now`, by a worker that is doing nothing else.
    pub fn unsent(&self, due: Instant, now: Instant) -> Blame {
        let free = self.due.map_or(due, |last| last + self.carried.total());
        self.wait(due, free, free, now)
    }

    /// Notes that this work, due at `due` and late for these reasons, was served.
    pub fn served(&mut self, due: Instant, wait: Blame, service: Service) {
        let own = service.own.min(service.whole);
        let fresh = service.whole.saturating_sub(own);
        self.carried = wait.and(Blame { own, server: fresh, held: Duration::ZERO });
        self.fresh = fresh;
        self.due = Some(due);
    }

    /// What is left of the causes at a later due time.
    fn behind(&self, due: Instant) -> Blame {
        let Some(last) = self.due else {
            // Nothing was before it: who was not free, waited for the server.
            return Blame { server: Duration::from_secs(1), ..Blame::default() };
        };
        let passed = due.saturating_duration_since(last);
        let fits = passed.min(self.fresh);
        let rest = Blame { server: self.carried.server.saturating_sub(fits), ..self.carried };
        rest.scaled_to(rest.total().saturating_sub(passed.saturating_sub(fits)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A worker with work each 100 ms. What happens to each piece: how long it takes the server, how
    /// long the loader stands still while it is in hand, and before it is sent.
    fn replay(pieces: &[(u64, u64, u64)]) -> Vec<Blame> {
        let start = Instant::now();
        let (mut attribution, mut free) = (Attribution::default(), start);
        let mut all = Vec::new();
        for (number, (server, paused, late)) in (0..).zip(pieces) {
            let due = start + ms(100 * number);
            let sent = due.max(free) + ms(*late);
            let wait = attribution.wait(due, free, start, sent);
            assert_eq!(wait.total(), sent - due, "piece {number}: {wait:?}");
            free = sent + ms(server + paused);
            let service = Service { whole: ms(server + paused), own: ms(*paused) };
            attribution.served(due, wait, service);
            all.push(wait);
        }
        all
    }

    #[test]
    fn the_work_behind_a_pause_of_the_loader_is_late_by_the_loader() {
        // It stands still for 1 s before the third piece is sent.
        let mut pieces = [(5, 0, 0); 14];
        pieces[2].2 = 1000;
        let waits = replay(&pieces);
        assert_eq!(waits[2].own, ms(1000));
        for (number, wait) in waits.iter().enumerate().skip(3) {
            assert!(wait.own >= wait.total().mul_f64(0.9), "{number}: {wait:?}");
        }
        assert_eq!(waits[13].total(), Duration::ZERO, "the backlog is gone");
        // The same while a piece is in hand.
        pieces[2] = (5, 1000, 0);
        let waits = replay(&pieces);
        assert_eq!(waits[2].total(), Duration::ZERO);
        assert!(waits[3].own >= ms(900) && waits[3].server.is_zero(), "{:?}", waits[3]);
        assert!(waits[8].own >= waits[8].total().mul_f64(0.9), "{:?}", waits[8]);
    }

    #[test]
    fn the_work_behind_a_stall_of_the_server_is_late_by_the_server() {
        let mut pieces = [(5, 0, 0); 14];
        pieces[2].0 = 1000;
        for wait in replay(&pieces) {
            assert!(wait.own.is_zero() && wait.held.is_zero(), "{wait:?}");
        }
        // A server that is too slow for the rate.
        let waits = replay(&[(320, 0, 0); 20]);
        assert_eq!(waits[19].server, ms(220 * 19));
    }

    #[test]
    fn what_is_held_back_is_a_cause_of_its_own() {
        let start = Instant::now();
        let mut attribution = Attribution::default();
        let wait = attribution.wait(start, start, start, start);
        attribution.served(start, wait, Service { whole: ms(1000), own: Duration::ZERO });
        let (due, free, held) = (start + ms(100), start + ms(1000), start + ms(1025));
        let wait = attribution.wait(due, free, held, held + ms(2));
        assert_eq!(wait, Blame { own: ms(2), server: ms(900), held: ms(25) });
    }

    proptest! {
        /// Whatever happens, the causes add up to the delay, and who did nothing has no part in it.
        #[test]
        fn causes_add_up(pieces in prop::collection::vec((0_u64..400, 0_u64..300, 0_u64..300), 1..60)) {
            replay(&pieces);
            let innocent: Vec<_> = pieces.iter().map(|(server, ..)| (*server, 0, 0)).collect();
            prop_assert!(replay(&innocent).iter().all(|wait| wait.own.is_zero()));
            let alone: Vec<_> = pieces.iter().map(|(_, paused, late)| (0, *paused, *late)).collect();
            prop_assert!(replay(&alone).iter().all(|wait| wait.server.is_zero()));
        }
    }
}
