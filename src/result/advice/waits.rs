//! What the sessions of a stream waited for on the server, by looks at them.

use super::{Advice, Severity, listed};
use crate::result::JobResult;
use crate::result::loader::Bottleneck;
use crate::result::server::{WaitReport, Who};
use crate::result::stream::StreamRun;

use Severity::{Note, Warning};

/// Fewer looks at sessions at work say nothing.
const LOOKS_MIN: u64 = 20;
/// From this share of them on the wait for the log to be on disk is what a batch takes,
const COMMIT_SHARE: f64 = 0.5;
/// the wait of sessions for each other at the log is what limits them,
const INSERT_SHARE: f64 = 0.25;
/// and locks are in the way,
const LOCK_SHARE: f64 = 0.05;
/// if there were so many.
const LOCKS_MIN: u64 = 5;

/// Waits of a COMMIT, in the names of all versions without regard to case.
const COMMIT: [&str; 5] =
    ["io:walsync", "io:walwrite", "lwlock:walwrite", "ipc:syncrep", "lwlock:syncrep"];
/// Waits for room in the log.
const INSERT: [&str; 3] = ["lwlock:walinsert", "lwlock:walbufmapping", "lwlock:wal_insert"];

pub(super) fn advise(result: &JobResult, run: &StreamRun) -> Vec<Advice> {
    let Some(work) = &run.server_work else { return Vec::new() };
    // While it waits for rows of ours, or for us to take some, the server is not at work.
    let at_work = work.waits.iter().filter(|own| !is(own, |event| event.starts_with("client:")));
    let at_work: Vec<&WaitReport> = at_work.collect();
    let advice = [commit(result, run, &at_work), insert(&at_work), locks(&at_work)];
    advice.into_iter().flatten().collect()
}

fn is(own: &WaitReport, of: impl Fn(&str) -> bool) -> bool {
    own.event.as_deref().is_some_and(|event| of(&event.to_lowercase()))
}

/// Looks that were such a wait, of all.
struct Share<'a> {
    waits: Vec<&'a WaitReport>,
    samples: u64,
    of: u64,
}

impl<'a> Share<'a> {
    /// `None` where there are too few looks.
    fn of(all: impl Iterator<Item = &'a WaitReport>, such: impl Fn(&str) -> bool) -> Option<Self> {
        let all: Vec<&WaitReport> = all.collect();
        let of: u64 = all.iter().map(|own| own.samples).sum();
        let waits: Vec<&WaitReport> = all.into_iter().filter(|own| is(own, &such)).collect();
        let samples = waits.iter().map(|own| own.samples).sum();
        (of >= LOOKS_MIN).then_some(Self { waits, samples, of })
    }

    fn ratio(&self) -> f64 {
        self.samples as f64 / self.of.max(1) as f64
    }

    fn said(&self, whom: &str, what: &str) -> String {
        format!(
            "in {} of {} looks at {whom} at work, {:.0} %, they waited for {what}: {}",
            self.samples,
            self.of,
            self.ratio() * 100.0,
            listed(self.waits.iter().filter_map(|own| own.event.as_deref()))
        )
    }
}

fn producers<'a>(at_work: &'a [&WaitReport]) -> impl Iterator<Item = &'a WaitReport> {
    at_work.iter().copied().filter(|own| own.who == Who::Producers)
}

fn commit(result: &JobResult, run: &StreamRun, at_work: &[&WaitReport]) -> Option<Advice> {
    let share = Share::of(producers(at_work), |event| COMMIT.contains(&event))?;
    if share.ratio() < COMMIT_SHARE {
        return None;
    }
    let level = result.server.facts.settings.get("synchronous_commit")?;
    let limits =
        run.stream.missed_rate(run.measured_s) && run.loader.bottleneck == Bottleneck::Server;
    Some(Advice::new(
        "commit-waits",
        if limits { Warning } else { Note },
        format!("{}; synchronous_commit = {level}", share.said("producers", "a commit")),
        "that is what a durable commit costs on this disk: the same for a batch of any size",
        "a larger --batch-rows pays it less often, more --partitions share it; a faster disk for pg_wal \
         makes it less. With synchronous_commit = off nobody waits, and a crash loses the last commits",
    ))
}

fn insert(at_work: &[&WaitReport]) -> Option<Advice> {
    let share = Share::of(producers(at_work), |event| INSERT.contains(&event))?;
    (share.ratio() >= INSERT_SHARE).then(|| {
        Advice::new(
            "wal-bound",
            Warning,
            share.said("producers", "each other at the log"),
            "more sessions write no more: the log takes rows of a few at a time",
            "fewer --partitions with larger --batch-rows, larger wal_buffers, or unlogged tables where \
             rows may be lost",
        )
    })
}

fn locks(at_work: &[&WaitReport]) -> Option<Advice> {
    let share = Share::of(at_work.iter().copied(), |event| event.starts_with("lock:"))?;
    if share.samples < LOCKS_MIN || share.ratio() < LOCK_SHARE {
        return None;
    }
    let behind: u64 = share.waits.iter().map(|own| own.behind_autovacuum).sum();
    let said = share.said("sessions", "a lock");
    Some(match behind * 2 > share.samples {
        true => Advice::new(
            "autovacuum-waits",
            Warning,
            format!("{said}; {behind} of them behind autovacuum"),
            "a part of the response is autovacuum's: it holds the table while it cuts off empty pages, \
             or prevents wraparound",
            "ALTER TABLE … SET (vacuum_truncate = off); vacuum the table before the run",
        ),
        false => Advice::new(
            "lock-waits",
            Warning,
            said,
            "a part of the response is the wait for somebody else's transaction",
            "look who: SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'; \
             keep DDL, LOCK and long transactions away from the table during a run",
        ),
    })
}
