//! What the server did while a run went on, by its own counters.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::pg;
use crate::pg::work::Counters;
use crate::result::server::{ServerWork, WaitReport};

use super::waits::Waits;

/// How long the server may take to say it: no figure waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A look at the counters before a run, and what came of it.
#[derive(Debug)]
pub(super) struct Work {
    major: u32,
    table: u32,
    at: Instant,
    before: Option<Counters>,
    /// What sessions wait for meanwhile.
    waits: Waits,
    since: Option<ServerWork>,
}

impl Work {
    /// Looks before a run that loads the table with this oid.
    pub(super) async fn begin(session: &mut pg::Session, major: u32, table: u32) -> Self {
        let before = session.counters(major, table).await;
        let before = before.inspect_err(|error| tracing::debug!("{error}")).ok();
        Self { major, table, at: Instant::now(), before, waits: Waits::default(), since: None }
    }

    /// Looks once more, on a session of its own. Where that cannot be done nothing is known.
    pub(super) async fn end(&mut self, address: &pg::Address) {
        let Some(before) = self.before else { return };
        let looking = async {
            let mut session = pg::Session::own(address, "strom-load control").await?;
            let counters = session.counters(self.major, self.table).await;
            session.close().await;
            counters
        };
        match timeout(ANSWER_MAX, looking).await {
            Ok(Ok(after)) => {
                self.since = Some(between(before, after, self.at.elapsed(), self.waits.reports()));
            }
            Ok(Err(error)) => tracing::debug!("what the server did is not known: {error}"),
            Err(_) => tracing::debug!("what the server did is not known: it does not answer"),
        }
    }

    /// What sessions wait for: somebody has to look.
    pub(super) fn waits(&self) -> Waits {
        self.waits.clone()
    }

    /// What it did between the looks.
    pub(super) fn since(&self) -> Option<&ServerWork> {
        self.since.as_ref()
    }
}

fn between(
    before: Counters,
    after: Counters,
    over: Duration,
    waits: Vec<WaitReport>,
) -> ServerWork {
    // A server that was promoted or had its statistics reset counts anew: then nothing is known.
    let grown = |of: fn(&Counters) -> Option<u64>| of(&after)?.checked_sub(of(&before)?);
    ServerWork {
        over_s: over.as_secs_f64(),
        wal_bytes: grown(|of| of.wal_bytes),
        checkpoints_timed: grown(|of| of.checkpoints_timed),
        checkpoints_requested: grown(|of| of.checkpoints_requested),
        table_bytes_before: before.table_bytes,
        table_bytes: after.table_bytes,
        backend_cpu_s: None,
        waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_went_back_say_nothing() {
        let counters = |wal, requested| Counters {
            wal_bytes: Some(wal),
            checkpoints_requested: requested,
            table_bytes: Some(wal * 8_192),
            ..Counters::default()
        };
        let (before, after) = (counters(100, Some(3)), counters(350, Some(1)));
        let work = between(before, after, Duration::from_secs(10), Vec::new());
        let known = (work.wal_bytes, work.checkpoints_requested, work.checkpoints_timed);
        assert_eq!(known, (Some(250), None, None));
        let bytes = [work.table_bytes_before, work.table_bytes];
        assert_eq!((work.over_s, bytes), (10.0, [Some(819_200), Some(2_867_200)]));
    }
}
