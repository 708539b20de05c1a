//! Waiting for a server that is on its way: it starts up, recovers from a crash, or shuts down.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::pace;

use super::{Address, Session};

/// SQLSTATE of a server that admits nobody yet, or no more.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two times of telling.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Waits while the server says that it cannot be connected to now, for `patience` at most. `told`
/// gets a line when the wait begins, and again every few seconds. Whatever else is wrong with the
/// connection shows when it is used.
pub async fn until_started(address: &Address, patience: Duration, told: &(dyn Fn(&str) + Sync)) {
    let began = Instant::now();
    let mut tell_at = began;
    loop {
        let answer = pace::told(Session::as_configured(address, "strom-load start"), |waited| {
            told(&format!("waiting for an answer of {address}, {} s", waited.as_secs()));
        });
        let error = match answer.await {
            Ok(session) => return session.close().await,
            Err(error) => error,
        };
        let waited = began.elapsed();
        if error.sqlstate() != Some(CANNOT_CONNECT_NOW) || waited >= patience {
            return;
        }
        if Instant::now() >= tell_at {
            tell_at = Instant::now() + TELL_EVERY;
            let said = error.message().unwrap_or_default();
            let (waited, patience) = (waited.as_secs(), patience.as_secs());
            told(&format!("waiting for the server, {waited} s of {patience} s: {said}"));
        }
        sleep(PAUSE).await;
    }
}
