//! A query on the GPU that is not answered in time: is it slow, or does the GPU service sleep?
//!
//! A look right after a reload proves nothing: for some five seconds PostgreSQL plans without the
//! GPU, and only then the queries there hang. Such a look is repeated: while queries on the GPU go
//! on timing out, and before the answers are compared at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::pg::{self, Address, QUERY_CANCELED};
use crate::strom::{self, Arm, Gpu, GpuService, Roused, StromError};

/// From the end of one look to the next, at first; each pause is twice the last.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Looks of somebody who waits for one that proves something, with [`PAUSE_MIN`] between them:
/// longer than PostgreSQL plans without the GPU.
const SETTLE_LOOKS: u32 = 4;

/// What is known of timeouts on the GPU, and of the service behind them, by all sessions of a job.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// One look at a time.
    looking: Semaphore,
    /// Whether a query was answered on the GPU since the last timeout there.
    answered: AtomicBool,
    known: Mutex<Known>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            looking: Semaphore::new(1),
            answered: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }
}

impl Timeouts {
    /// A query was answered in this arm.
    pub(crate) fn answered(&self, arm: &Arm) {
        if arm.gpu == Gpu::On {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// A query failed in this arm; whether it timed out on the GPU.
    pub(crate) fn note(&self, arm: &Arm, error: &pg::Error) -> bool {
        let timed_out = arm.gpu == Gpu::On && error.sqlstate() == Some(QUERY_CANCELED);
        if timed_out {
            self.known().timed_out(self.answered.swap(false, Ordering::Relaxed));
        }
        timed_out
    }

    /// Finds out why a query timed out, unless somebody does or just did. Wakes the service if that
    /// sleeps, and says so; whether it did.
    pub(crate) async fn look(&self, address: &Address) -> bool {
        let Ok(_one) = self.looking.try_acquire() else { return false };
        if !self.known().is_due(Instant::now()) {
            return false;
        }
        self.rouse(address).await == Some(Roused::Woken)
    }

    /// The same for somebody who waits for it: until a look proves something, or four did not.
    pub(crate) async fn settle(&self, address: &Address) -> bool {
        let Ok(_one) = self.looking.acquire().await else { return false };
        for look in 0..SETTLE_LOOKS {
            if !self.known().is_open(Instant::now()) {
                break;
            }
            if look > 0 {
                tokio::time::sleep(PAUSE_MIN).await;
            }
            if self.rouse(address).await == Some(Roused::Woken) {
                return true;
            }
        }
        false
    }

    /// Whether a query timed out on the GPU, and no look since has told why.
    pub(crate) fn is_unexplained(&self) -> bool {
        self.known().unexplained
    }

    async fn rouse(&self, address: &Address) -> Option<Roused> {
        let found = strom::rouse(address).await;
        let words = self.known().found(&found, Instant::now());
        match words {
            Some(Words::Info(line)) => tracing::info!("{line}"),
            Some(Words::Warn(line)) => tracing::warn!("{line}"),
            None => {}
        }
        found.ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the looks have found so far.
#[derive(Debug, Default)]
struct Known {
    unexplained: bool,
    /// Whether the last look found a service that stays silent, whatever is done.
    is_silent: bool,
    /// When the last look ended.
    looked: Option<Instant>,
    /// From then on, until the next look.
    pause: Duration,
    /// What the last words were about.
    said: Option<String>,
    /// Whether the SQL that wakes the service was shown.
    told_how: bool,
}

/// A line for the log.
#[derive(Debug, PartialEq)]
enum Words {
    Info(String),
    Warn(String),
}

impl Known {
    fn timed_out(&mut self, answered_before: bool) {
        self.unexplained = true;
        if answered_before {
            // Something may have changed since the last look.
            self.pause = self.pause.min(PAUSE_MIN);
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.unexplained && self.looked.is_none_or(|at| at + self.pause <= now)
    }

    /// Whether somebody who can wait should look: at once, but not again and again at a service that
    /// stays silent, which takes half a minute each time.
    fn is_open(&self, now: Instant) -> bool {
        self.unexplained && (!self.is_silent || self.is_due(now))
    }

    /// Notes what a look has found; what is to be said of it. The same again is not said, unless
    /// the service was woken again.
    fn found(&mut self, found: &Result<Roused, pg::Error>, now: Instant) -> Option<Words> {
        self.looked = Some(now);
        self.pause = match found {
            Ok(Roused::Woken) => Duration::ZERO,
            _ => (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX),
        };
        self.unexplained = matches!(found, Err(_) | Ok(Roused::Awake(GpuService::NotUsed)));
        self.is_silent = matches!(found, Ok(Roused::MayNotWake | Roused::Dead));
        let about = found.as_ref().map_or_else(ToString::to_string, |found| format!("{found:?}"));
        let said = self.said.replace(about);
        if said == self.said && !matches!(found, Ok(Roused::Woken)) {
            return None;
        }
        Some(match found {
            Ok(Roused::Woken) => Words::Warn(strom::WOKEN.to_owned()),
            Ok(Roused::Awake(GpuService::Answers)) => Words::Info(
                "PG-Strom answers a small query on the GPU: the one that timed out takes longer \
                 than its statement timeout"
                    .to_owned(),
            ),
            Ok(Roused::Awake(GpuService::NotUsed)) => Words::Info(
                "a query timed out on the GPU, and a small one is planned without it, as for some \
                 seconds after a reload of the configuration: looked at again when more time out, \
                 and before answers are compared"
                    .to_owned(),
            ),
            Ok(Roused::Awake(GpuService::Fails(said))) => {
                Words::Warn(format!("PG-Strom fails a small query on the GPU, too: {said}"))
            }
            Ok(Roused::Dead | Roused::Awake(GpuService::Silent)) => {
                Words::Warn(StromError::Dead.to_string())
            }
            Ok(Roused::MayNotWake) if self.told_how => Words::Warn(strom::ASLEEP_AGAIN.to_owned()),
            Ok(Roused::MayNotWake) => {
                self.told_how = true;
                Words::Warn(StromError::Asleep.to_string())
            }
            Err(error) => Words::Warn(format!("the GPU service could not be looked at: {error}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(known: &mut Known, found: Roused) -> Option<Words> {
        known.found(&Ok(found), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_prove_nothing_are_repeated_with_growing_pauses_and_said_once() {
        let mut known = Known::default();
        assert!(!known.is_due(Instant::now()), "nothing has timed out");
        let (began, mut looks, mut said) = (Instant::now(), Vec::new(), 0);
        // A query times out each second.
        for _ in 0..300 {
            known.timed_out(false);
            if known.is_due(Instant::now()) {
                looks.push(began.elapsed().as_secs());
                said += usize::from(found(&mut known, NOT_USED).is_some());
                assert!(known.unexplained);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(looks, [0, 2, 6, 14, 30, 62, 122, 182, 242]);
        assert_eq!(said, 1);
        // An answer in between makes the pauses short again, but not none.
        assert!(!known.is_due(Instant::now()));
        known.timed_out(true);
        assert!(known.is_due(Instant::now()));
        found(&mut known, NOT_USED);
        known.timed_out(true);
        assert!(!known.is_due(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_can_wait_looks_until_something_is_proved() {
        let mut known = Known::default();
        known.timed_out(false);
        for _ in 0..3 {
            assert!(known.is_open(Instant::now()));
            found(&mut known, NOT_USED);
        }
        found(&mut known, ANSWERS);
        assert!(!known.is_open(Instant::now()));
        // It may have fallen asleep since.
        known.timed_out(false);
        assert!(known.is_open(Instant::now()));
        found(&mut known, Roused::Dead);
        assert!(!known.is_open(Instant::now()));
        // Another timeout tells nothing new for a while.
        known.timed_out(false);
        assert!(!known.is_open(Instant::now()));
        tokio::time::advance(PAUSE_MAX).await;
        assert!(known.is_open(Instant::now()));
    }

    const NOT_USED: Roused = Roused::Awake(GpuService::NotUsed);
    const ANSWERS: Roused = Roused::Awake(GpuService::Answers);

    #[tokio::test(start_paused = true)]
    async fn a_service_that_was_woken_is_looked_at_after_the_next_timeout_and_said_each_time() {
        let mut known = Known::default();
        for _ in 0..3 {
            known.timed_out(false);
            assert!(known.is_due(Instant::now()));
            let words = found(&mut known, Roused::Woken);
            assert_eq!(words, Some(Words::Warn(strom::WOKEN.to_owned())));
            assert!(!known.unexplained, "until the next timeout");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sql_that_wakes_it_is_shown_once() {
        let mut known = Known::default();
        let sleeps = [Roused::MayNotWake, Roused::MayNotWake, ANSWERS, Roused::MayNotWake];
        let said = sleeps.map(|sleeps| found(&mut known, sleeps));
        let with_sql = |words: &&Option<Words>| format!("{words:?}").matches("DO $$").count() == 1;
        assert_eq!(said.iter().filter(with_sql).count(), 1);
        assert_eq!(said[1], None);
        assert_eq!(said[3], Some(Words::Warn(strom::ASLEEP_AGAIN.to_owned())));
    }
}
