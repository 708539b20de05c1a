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
/// service, which belongs there, and then from all causes alike. What fell due in between and was given
/// up takes its part of all causes along.
#[derive(Debug, Default)]
pub struct Attribution {
    last: Option<Piece>,
    /// How far the due times have moved on since by what was given up.
    skipped: Duration,
}

/// A piece of work that was begun.
#[derive(Debug, Clone, Copy)]
struct Piece {
    due: Instant,
    wait: Blame,
    begun: Instant,
    /// `None`: it is in hand.
    service: Option<Service>,
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

    /// Why work that is due at `due` has not been sent at `now`. `paused` says how long the loader's thread
    /// stood still between two moments.
    ///
    /// Unlike work that is sent, it did not wait for all that was before it, but through a part of it: so
    /// each moment of its age goes to who held the worker up in that moment.
    pub fn unsent(
        &self,
        due: Instant,
        now: Instant,
        paused: impl Fn(Instant, Instant) -> Duration,
    ) -> Blame {
        let Some(Piece { wait, begun, service, .. }) = self.last else {
            let age = now.saturating_duration_since(due);
            let own = paused(due.min(now), now).min(age);
            return Blame { own, server: age.saturating_sub(own), held: Duration::ZERO };
        };
        let before = wait.scaled_to(begun.min(now).saturating_duration_since(due));
        // While the piece before it was in hand,
        let until = service.map_or(now, |service| now.min(begun + service.whole));
        let from = due.max(begun);
        let in_hand = until.saturating_duration_since(from);
        let own = match service {
            Some(service) if due <= begun => service.own,
            _ => paused(from.min(until), until),
        };
        let own = own.min(in_hand);
        let during = Blame { own, server: in_hand.saturating_sub(own), held: Duration::ZERO };
        // and since: whoever has nothing in hand and does not send holds it back.
        let from = due.max(until);
        let idle = now.saturating_duration_since(from);
        let own = paused(from.min(now), now).min(idle);
        let since = Blame { own, server: Duration::ZERO, held: idle.saturating_sub(own) };
        before.and(during).and(since)
    }

    /// Notes that this work, due at `due` and late for these reasons, is in hand from `begun` on.
    pub fn begins(&mut self, due: Instant, wait: Blame, begun: Instant) {
        self.last = Some(Piece { due, wait, begun, service: None });
        self.skipped = Duration::ZERO;
    }

    /// Notes that the work in hand was served.
    pub fn served(&mut self, service: Service) {
        if let Some(last) = &mut self.last {
            last.service = Some(service);
        }
    }

    /// Notes that the work last served has to be done again: it is in hand.
    pub fn begins_again(&mut self) {
        if let Some(last) = &mut self.last {
            last.service = None;
        }
    }

    /// Notes that work was given up that fell due over so long a time.
    pub fn skips(&mut self, due_over: Duration) {
        self.skipped += due_over;
    }

    /// What is left of the causes at a later due time.
    fn behind(&self, due: Instant) -> Blame {
        let Some(Piece { due: last, wait, service, .. }) = self.last else {
            // Nothing was before it: who was not free, waited for the server.
            return Blame { server: Duration::from_secs(1), ..Blame::default() };
        };
        let Service { whole, own } = service.unwrap_or_default();
        let own = own.min(whole);
        let carried =
            wait.and(Blame { own, server: whole.saturating_sub(own), ..Blame::default() });
        let passed = due.saturating_duration_since(last);
        let skipped = self.skipped.min(passed);
        let kept = carried.scaled_to(carried.total().saturating_sub(skipped));
        let step = passed.saturating_sub(skipped);
        // The last service is in there as a whole, or as the same part as everything else.
        let fits = step.min(whole.saturating_sub(own)).min(kept.server);
        let rest = Blame { server: kept.server.saturating_sub(fits), ..kept };
        rest.scaled_to(rest.total().saturating_sub(step.saturating_sub(fits)))
    }
}

/// Services that are remembered, to know what is usual.
const REMEMBERED: usize = 32;

/// How long a service takes that nothing of ours lengthens: the lower quartile of the last ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsualService {
    last: [Duration; REMEMBERED],
    seen: usize,
}

impl UsualService {
    /// Adds one.
    pub fn note(&mut self, service: Duration) {
        self.last[self.seen % REMEMBERED] = service;
        self.seen += 1;
    }

    /// The usual one; nothing before there were any.
    pub fn get(&self) -> Duration {
        let mut sorted = self.last;
        let known = &mut sorted[..self.seen.min(REMEMBERED)];
        known.sort_unstable();
        known.get(known.len() / 4).copied().unwrap_or_default()
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
            attribution.begins(due, wait, sent);
            attribution.served(Service { whole: ms(server + paused), own: ms(*paused) });
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
        attribution.begins(start, wait, start);
        attribution.served(Service { whole: ms(1000), own: Duration::ZERO });
        let (due, free, held) = (start + ms(100), start + ms(1000), start + ms(1025));
        let wait = attribution.wait(due, free, held, held + ms(2));
        assert_eq!(wait, Blame { own: ms(2), server: ms(900), held: ms(25) });
    }

    #[test]
    fn what_is_given_up_in_an_outage_is_the_servers_as_far_as_the_loader_ran() {
        let start = Instant::now();
        let mut attribution = Attribution::default();
        // Stopped for 2.4 s before it is sent, then the server is gone.
        let wait = attribution.wait(start, start, start, start + ms(2400));
        attribution.begins(start, wait, start + ms(2400));
        let paused = |from: Instant, to: Instant| {
            (start + ms(2400)).min(to).saturating_duration_since(from.max(start))
        };
        let unsent = |due, now| attribution.unsent(start + ms(due), start + ms(now), paused);
        assert_eq!(unsent(0, 3400), Blame { own: ms(2400), server: ms(1000), held: ms(0) });
        assert_eq!(unsent(1700, 3400), Blame { own: ms(700), server: ms(1000), held: ms(0) });
        assert_eq!(unsent(2900, 3400), Blame { own: ms(0), server: ms(500), held: ms(0) });
    }

    #[test]
    fn a_pause_is_forgotten_with_what_was_given_up() {
        // A server that is three times too slow, and a backlog of a second: what is older is given up.
        let start = Instant::now();
        let (mut attribution, mut free, mut number) = (Attribution::default(), start, 0);
        let mut own = Vec::new();
        for piece in 0..60 {
            let oldest = free.saturating_duration_since(start).saturating_sub(ms(1000));
            let given_up = (oldest.as_millis() as u64 / 100).saturating_sub(number);
            number += given_up;
            attribution.skips(ms(100 * given_up));
            let due = start + ms(100 * number);
            // The loader stands still once, for two seconds.
            let sent = due.max(free) + ms(if piece == 20 { 2000 } else { 0 });
            let wait = attribution.wait(due, free, start, sent);
            assert_eq!(wait.total(), sent - due, "{wait:?}");
            own.push(wait.own);
            attribution.begins(due, wait, sent);
            attribution.served(Service { whole: ms(310), own: Duration::ZERO });
            (free, number) = (sent + ms(310), number + 1);
        }
        assert!(own[..20].iter().all(Duration::is_zero) && own[20] == ms(2000), "{own:?}");
        assert!(own[21] < ms(900) && own[35] < ms(100) && own[59] < ms(10), "{own:?}");
    }

    #[test]
    fn a_usual_service_is_one_without_the_pauses() {
        let mut usual = UsualService::default();
        assert_eq!(usual.get(), Duration::ZERO);
        for at in 0..100 {
            usual.note(ms(if at % 3 == 0 { 5 } else { 405 }));
        }
        assert_eq!(usual.get(), ms(5));
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

        /// What is given up has the causes of its own age and no more, whenever it fell due.
        #[test]
        fn an_age_has_one_cause_at_a_time(
            late in 0_u64..900, whole in 0_u64..900, own in 0_u64..900, due in 0_u64..2000,
            since in 0_u64..900, in_hand in any::<bool>(), paused in 0_u64..900,
        ) {
            let start = Instant::now();
            let mut attribution = Attribution::default();
            let begun = start + ms(late);
            attribution.begins(start, attribution.wait(start, start, start, begun), begun);
            if !in_hand {
                attribution.served(Service { whole: ms(whole), own: ms(own) });
            }
            let now = begun + ms(whole + since);
            let due = (start + ms(due)).min(now);
            let unsent = attribution.unsent(due, now, |_, _| ms(paused));
            prop_assert_eq!(unsent.total(), now - due);
        }
    }
}
