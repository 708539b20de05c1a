//! A bound on a wait that nearly never strikes, at nearly no cost.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Notices when a piece of work takes longer than its limit.
///
/// A timer a piece (`tokio::time::timeout`) wakes the runtime each time it is set: at 100 rows a
/// batch that cost a third of the loader's CPU. This one timer stays set from piece to piece, and
/// looks at the clock only when it fires.
#[derive(Debug)]
pub struct Watchdog {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    /// Watches for work that takes longer than `limit`. Call it inside a Tokio runtime.
    pub fn new(limit: Duration) -> Self {
        Self { limit, timer: Box::pin(sleep(limit)) }
    }

    /// Returns once the work that began at `began` has taken longer than the limit. Safe to cancel.
    pub async fn exceeded(&mut self, began: Instant) {
        let deadline = began + self.limit;
        loop {
            self.timer.as_mut().await;
            let struck = Instant::now() >= deadline;
            let next = if struck { Instant::now() + self.limit } else { deadline };
            self.timer.as_mut().reset(next);
            if struck {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_strikes_for_long_work_only_however_much_work_went_before() {
        let mut watchdog = Watchdog::new(Duration::from_secs(60));
        for _ in 0..500 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(700)) => {}
                () = watchdog.exceeded(Instant::now()) => panic!("0.7 s is not 60 s"),
            }
        }
        for _ in 0..2 {
            let began = Instant::now();
            watchdog.exceeded(began).await;
            assert_eq!(began.elapsed().as_secs(), 60);
        }
    }
}
