//! Waits that are told of: nobody should have to wonder what a program that stands still waits for.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// A wait of so long is told of.
pub const TELL_AFTER: Duration = Duration::from_secs(3);
/// And again every so often.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// Does `work`; `tell` hears how long it takes, after [`TELL_AFTER`] and every [`TELL_EVERY`].
pub async fn told<T>(work: impl Future<Output = T>, mut tell: impl FnMut(Duration)) -> T {
    let mut work = pin!(work);
    let began = Instant::now();
    let mut next = TELL_AFTER;
    loop {
        match timeout_at(began + next, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => {
                tell(next);
                next += TELL_EVERY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_told_of_after_three_seconds_and_every_ten() {
        let mut heard = Vec::new();
        let work = tokio::time::sleep(Duration::from_secs(25));
        told(work, |waited| heard.push(waited.as_secs())).await;
        assert_eq!(heard, [3, 13, 23]);
        told(async {}, |_| panic!("it was quick")).await;
    }
}
