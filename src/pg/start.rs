//! Waiting for a server that is on its way: it starts up, recovers from a crash, or shuts down.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::pace;

use super::{Address, Error, Session};

/// SQLSTATE of a server that admits nobody yet, or no more.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// A refusal this long after the last one belongs to another outage.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// Between two times of telling.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Whether a connection was refused because the server starts, recovers or shuts down.
pub(super) fn is_on_its_way(error: &Error) -> bool {
    error.sqlstate() == Some(CANNOT_CONNECT_NOW)
}

/// What is said of a server that sessions were lost to, and that is on its way since.
pub(super) fn recovering(error: &Error) -> String {
    match error.message() {
        // So it says after a crash, and only then; in English.
        Some(said) if said.contains("recovery mode") => {
            "the server crashed and is recovering; its log has more".to_owned()
        }
        said => format!("the server ended its sessions: {}", said.unwrap_or_default()),
    }
}

/// Says once of an outage that the server is on its way, if that is why a connection was refused.
pub fn note_recovery(error: &Error) {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    if !is_on_its_way(error) {
        return;
    }
    // All sessions of a run are lost together.
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
        tracing::warn!("{}", recovering(error));
        *said = Some(Instant::now());
    }
}

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
        if !is_on_its_way(&error) || waited >= patience {
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
