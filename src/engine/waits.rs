//! What the sessions of a run were seen to wait for, summed over looks at the server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pg::waits::Waiting;
use crate::result::server::{WaitReport, Who};

/// The sum of all looks, by whose the sessions are and what they waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<Sums>>);

type Sums = BTreeMap<(Who, Option<String>), Seen>;

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    sessions: u64,
    behind_autovacuum: u64,
}

impl Waits {
    /// Adds a look.
    pub(super) fn note(&self, found: Vec<Waiting>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Waiting { who, event, sessions, behind_autovacuum } in found {
            let seen = all.entry((who, event)).or_default();
            seen.sessions += sessions;
            seen.behind_autovacuum += behind_autovacuum;
        }
    }

    /// The sums.
    pub(super) fn reports(&self) -> Vec<WaitReport> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |((who, event), seen): (&(Who, Option<String>), &Seen)| WaitReport {
            who: *who,
            event: event.clone(),
            samples: seen.sessions,
            behind_autovacuum: seen.behind_autovacuum,
        };
        all.iter().map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_summed_by_what_is_waited_for() {
        let waits = Waits::default();
        let look = |event: Option<&str>, sessions| Waiting {
            who: Who::Producers,
            event: event.map(str::to_owned),
            sessions,
            behind_autovacuum: sessions - 1,
        };
        waits.note(vec![look(Some("IO:WALSync"), 2), look(None, 1)]);
        waits.note(vec![look(Some("IO:WALSync"), 3)]);
        let sums: Vec<_> = waits
            .reports()
            .into_iter()
            .map(|own| (own.event, own.samples, own.behind_autovacuum))
            .collect();
        assert_eq!(sums, [(None, 1, 0), (Some("IO:WALSync".to_owned()), 5, 3)]);
    }
}
