//! A limit on silence. A session of our own that hears nothing for a while, no row and no answer,
//! has the server asked from another session what becomes of its statement. What by its nature
//! takes long goes on while the server says that it is at work on it; everything else ends with
//! what the server said.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::pace::{TELL_AFTER, TELL_EVERY};

use super::Error;

/// How long a session of our own may hear nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long asking about it may take: connecting, and one look at the catalog.
const ASK_MAX: Duration = Duration::from_secs(10);
/// For how long the server is asked about a session that was lost.
const EXPLAIN_MAX: Duration = Duration::from_secs(1);
/// The limit is kept within a quarter of itself.
const STEPS: u32 = 4;

/// What limits the silence of a session.
pub(super) struct Listener {
    ask: Ask,
    pub(super) limit: Duration,
    /// Whether the log says what is waited for, long before the limit.
    pub(super) tells: bool,
}

/// Asks the server about the statement, from another session.
pub(super) type Ask = Box<dyn Fn() -> Asked + Send + Sync>;
/// Its answer, to come. Of a type without a name, since asking is a statement too.
pub(super) type Asked = Pin<Box<dyn Future<Output = Look> + Send>>;

/// Counts what a statement in progress has brought: rows, or pieces of them.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

/// What the server says about a statement that is not answered.
pub(super) struct Look {
    /// For an error: "it waits for a lock that …".
    pub(super) fact: String,
    /// Whether it is being worked on, as far as the server knows.
    pub(super) at_work: bool,
    /// Whether the server says that no answer will come.
    pub(super) lost: bool,
    /// The bytes of a COPY that the server has, if it waits for more.
    pub(super) awaits_more_than: Option<u64>,
    /// What mends it, where somebody else is in the way.
    pub(super) fix: Option<String>,
    /// What is said of a server that is on its way since.
    pub(super) recovering: Option<String>,
}

impl Look {
    /// Nobody works on it.
    pub(super) fn stuck(fact: impl Into<String>) -> Self {
        Self {
            fact: fact.into(),
            at_work: false,
            lost: false,
            awaits_more_than: None,
            fix: None,
            recovering: None,
        }
    }

    /// Nobody works on it, and nobody will.
    pub(super) fn lost(fact: impl Into<String>) -> Self {
        Self { lost: true, ..Self::stuck(fact) }
    }
}

impl Heard {
    /// Notes that something came.
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Completes when nothing came for `limit`.
    async fn nothing_for(&self, limit: Duration) {
        let mut heard = self.0.load(Ordering::Relaxed);
        let mut silent = 0;
        while silent < STEPS {
            sleep(limit / STEPS).await;
            let now = self.0.load(Ordering::Relaxed);
            silent = if now == heard { silent + 1 } else { 0 };
            heard = now;
        }
    }
}

impl Listener {
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, limit: SILENCE_MAX, tells: false }
    }

    /// Waits until nothing was heard for the limit, and asks the server about the statement.
    pub(super) fn listen<'a>(
        &'a self,
        heard: &'a Heard,
    ) -> Pin<Box<dyn Future<Output = Look> + Send + 'a>> {
        Box::pin(async {
            heard.nothing_for(self.limit).await;
            self.look().await
        })
    }

    /// Tells the log what is waited for while `act` is not done, as long as nothing is heard.
    /// Never completes.
    pub(super) fn tell<'a>(
        &'a self,
        act: &'a str,
        heard: &'a Heard,
    ) -> Pin<Box<dyn Future<Output = Infallible> + Send + 'a>> {
        Box::pin(async move {
            if !self.tells {
                return std::future::pending().await;
            }
            let began = Instant::now();
            let mut silent = TELL_AFTER;
            let mut last = None;
            loop {
                heard.nothing_for(silent).await;
                let Look { fact, at_work, .. } = self.look().await;
                let again = last.as_ref() == Some(&fact);
                let waited = began.elapsed().as_secs();
                match (at_work, again) {
                    (true, false) => tracing::info!("it takes a while to {act}, {fact}"),
                    (true, true) => tracing::info!("it takes {waited} s by now to {act}, {fact}"),
                    (false, false) => tracing::warn!("waiting to {act}: {fact}"),
                    (false, true) => tracing::warn!("still waiting to {act}, {waited} s: {fact}"),
                }
                // The same again is worth a line ever more rarely.
                silent = if again { silent * 2 } else { TELL_EVERY };
                last = Some(fact);
            }
        })
    }

    /// Adds to the loss of the session that the server is recovering, if that is so.
    pub(super) async fn explain(&self, lost: Error) -> Error {
        // The server ends the connections of a process before it finds out that it crashed.
        let asking = async {
            loop {
                if let Look { recovering: Some(said), .. } = (self.ask)().await {
                    return said;
                }
                sleep(EXPLAIN_MAX / 10).await;
            }
        };
        match timeout(EXPLAIN_MAX, asking).await {
            Ok(said) => lost.with_fact(&said),
            Err(_) => lost,
        }
    }

    /// What the server says about the statement.
    pub(super) async fn look(&self) -> Look {
        timeout(ASK_MAX, (self.ask)()).await.unwrap_or_else(|_| {
            Look::stuck(format!("and the server answers nobody within {} s", ASK_MAX.as_secs()))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nothing_comes_and_not_while_something_does() {
        let (heard, limit) = (Heard::default(), Duration::from_secs(60));
        let began = Instant::now();
        let rows = async {
            for _ in 0..20 {
                sleep(Duration::from_secs(40)).await;
                heard.note();
            }
        };
        let (last, end) = tokio::join!(
            async {
                rows.await;
                began.elapsed()
            },
            async {
                heard.nothing_for(limit).await;
                began.elapsed()
            }
        );
        let silence = end.saturating_sub(last);
        assert!(silence >= limit && silence <= limit * 5 / 4, "{silence:?}");
    }
}
