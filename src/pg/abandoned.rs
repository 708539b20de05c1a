//! Statements that nobody waits for any more: whoever drops a session in the middle of one, at a
//! timeout or because a run is aborted, leaves it running on the server. They are collected here,
//! by the one place that runs statements, and cancelled when a command ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

use super::cancel::{Canceller, Way};

/// How long cancelling all of them may take: an end that was asked for must come.
const CANCEL_ALL_MAX: Duration = Duration::from_secs(2);
/// Of a run that loses more sessions than this only the first are cancelled.
const ABANDONED_MAX: usize = 1000;

/// For the whole process: a session that is dropped has no other place to leave a word.
static ABANDONED: Mutex<Vec<Canceller>> = Mutex::new(Vec::new());

/// A statement in progress; dropped before its end, it is abandoned.
pub(super) struct Unfinished<'a> {
    pub(super) client: &'a Client,
    pub(super) way: &'a Arc<Way>,
    pub(super) finished: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let (token, way) = (self.client.cancel_token(), Arc::clone(self.way));
            let mut abandoned = ABANDONED.lock().unwrap_or_else(PoisonError::into_inner);
            if abandoned.len() < ABANDONED_MAX {
                abandoned.push(Canceller { token, way });
            }
        }
    }
}

/// Cancels on the server what was left in the middle of a statement; best effort, within 2 s.
pub async fn cancel_abandoned() {
    let abandoned = std::mem::take(&mut *ABANDONED.lock().unwrap_or_else(PoisonError::into_inner));
    if abandoned.is_empty() {
        return;
    }
    let all = futures_util::future::join_all(abandoned.iter().map(Canceller::cancel));
    if timeout(CANCEL_ALL_MAX, all).await.is_err() {
        tracing::debug!("not all of {} cancel requests were taken", abandoned.len());
    }
}
