//! Cancelling what a session runs, over a connection of its own, which only says that.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio_postgres::{CancelToken, NoTls};
use tokio_util::sync::CancellationToken;

use super::tls::Connector;

/// How long a cancel request may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels whatever its session is running, from outside.
#[derive(Clone)]
pub struct Canceller {
    pub(super) token: CancelToken,
    pub(super) connector: Option<Connector>,
}

impl Canceller {
    /// Does `work`, which uses the session, and cancels what that is running when `token` says so.
    /// The work's own end decides.
    pub async fn when<T>(&self, token: &CancellationToken, work: impl Future<Output = T>) -> T {
        let cancel = async {
            token.cancelled().await;
            self.cancel().await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            done = work => done,
            never = cancel => match never {},
        }
    }

    /// Asks the server to cancel the session's running statement; best effort, bounded.
    pub async fn cancel(&self) {
        let cancel = async {
            match self.connector.clone() {
                Some(connector) => self.token.cancel_query(connector).await,
                None => self.token.cancel_query(NoTls).await,
            }
        };
        // Boxed: rare, and large in every future that runs a statement.
        match tokio::time::timeout(CANCEL_TIMEOUT, Box::pin(cancel)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("cancel request failed: {error}"),
            Err(_) => tracing::debug!("cancel request timed out"),
        }
    }
}
