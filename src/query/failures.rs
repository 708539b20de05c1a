//! What the log says of queries that fail: each kind of failure once, with its query, and how often
//! it came again. A query that fails each time would fill the log otherwise.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::pg;

/// Between two words on a failure that goes on.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The failures of a run's queries, shared by its readers.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<BTreeMap<Key, Seen>>);

/// A query in an arm, as the log names it, and the SQLSTATE.
type Key = (String, String);

#[derive(Debug)]
struct Seen {
    /// Since the last word.
    untold: u64,
    total: u64,
    told_at: Instant,
}

impl Failures {
    /// Notes that a query failed in an arm. The first of its kind is told as it is.
    pub(crate) fn note(&self, query: &str, arm: &str, error: &pg::Error) {
        if let Some(line) = self.line(query, arm, error, Instant::now()) {
            tracing::warn!("{line}");
        }
    }

    /// Says how often what failed more than once has failed in all.
    pub(crate) fn tell_totals(&self) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in totals(&seen) {
            tracing::warn!("{line}");
        }
    }

    fn line(&self, query: &str, arm: &str, error: &pg::Error, now: Instant) -> Option<String> {
        let who = format!("query `{query}` ({arm})");
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code = error.code().to_owned();
        let Some(seen) = seen.get_mut(&(who.clone(), code.clone())) else {
            let line = format!("{who}: {error}");
            seen.insert((who, code), Seen { untold: 0, total: 1, told_at: now });
            return Some(line);
        };
        (seen.untold, seen.total) = (seen.untold + 1, seen.total + 1);
        if now.duration_since(seen.told_at) < TELL_EVERY {
            return None;
        }
        seen.told_at = now;
        let again = std::mem::take(&mut seen.untold);
        let times = if again == 1 { "time" } else { "times" };
        Some(format!("{who} failed {again} {times} more (SQLSTATE {code}), {} in all", seen.total))
    }
}

fn totals(seen: &BTreeMap<Key, Seen>) -> Vec<String> {
    let again = seen.iter().filter(|(_, seen)| seen.untold > 0);
    let line = |((who, code), seen): (&Key, &Seen)| {
        format!("{who} failed {} times in all (SQLSTATE {code})", seen.total)
    };
    again.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_once_then_each_minute_and_in_all() {
        let failures = Failures::default();
        let error = pg::Error::timed_out("run the query");
        let mut lines = Vec::new();
        for _ in 0..150 {
            lines.extend(failures.line("top10", "cpu", &error, Instant::now()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        lines.extend(failures.line("top10", "on", &error, Instant::now()));
        lines.extend(totals(&failures.0.lock().unwrap()));
        insta::assert_snapshot!(lines.join("\n"), @r"
        query `top10` (cpu): failed to run the query: no answer in time
        query `top10` (cpu) failed 60 times more (SQLSTATE 08006), 61 in all
        query `top10` (cpu) failed 60 times more (SQLSTATE 08006), 121 in all
        query `top10` (on): failed to run the query: no answer in time
        query `top10` (cpu) failed 150 times in all (SQLSTATE 08006)
        ");
    }
}
