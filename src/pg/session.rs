//! One connection, driven by the task that uses it.
//!
//! The client library splits a connection into a handle and a driver that somebody must poll.
//! Here the task that awaits an answer polls the driver itself: no second task, no wake-up across
//! threads for each message, and the reason of a broken connection arrives where it is needed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio_postgres::{AsyncMessage, CancelToken, Client, NoTls};

use super::tls::Connector;
use super::{Address, Error, connect};

/// How long an orderly goodbye may take before the socket is just closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a cancel request may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) type Driver =
    Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// A session with the server.
pub struct Session {
    pub(super) client: Client,
    pub(super) driver: Driver,
    /// What encrypts it; a cancel request is encrypted in the same way.
    pub(super) connector: Option<Connector>,
}

/// Cancels whatever its session is running, from outside.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    connector: Option<Connector>,
}

impl Session {
    /// Connects; `application_name` shows up in pg_stat_activity.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, with the usual remedy.
    pub async fn connect(address: &Address, application_name: &str) -> Result<Self, Error> {
        // Boxed: rare, and large in every future that may connect again.
        Box::pin(connect::connect(address, application_name)).await
    }

    /// Runs `work`, made of this session's client, while driving the connection. `act` completes
    /// "failed to …".
    pub(super) async fn drive<'c, T, F>(
        &'c mut self,
        act: &str,
        work: impl FnOnce(&'c Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let Self { client, driver, .. } = self;
        let mut work = pin!(work(client));
        let mut end: Option<Error> = None;
        let mut released = false;
        poll_fn(|cx| {
            // Work first: what it queues is then written at once. Then again after the driver
            // ended, since an answer may still have come in with its last bytes.
            loop {
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(done.map_err(|error| match end.take() {
                        Some(reason) if error.is_closed() => reason,
                        _ => Error::new(act, &error),
                    }));
                }
                match end.take() {
                    None => {}
                    // Work waits for what will not come. With the driver go all its channels, so
                    // that it sees that.
                    Some(reason) if !released => {
                        *driver = Box::pin(futures_util::stream::empty());
                        released = true;
                        end = Some(reason);
                        continue;
                    }
                    Some(reason) => return Poll::Ready(Err(reason)),
                }
                match driver.as_mut().poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(message))) => note(&message),
                    Poll::Ready(Some(Err(error))) => {
                        end = Some(last_words(driver, cx, Error::new(act, &error)).into_lost());
                    }
                    Poll::Ready(None) => {
                        end = Some(Error::lost(act, "the server closed the connection"));
                    }
                }
            }
        })
        .await
    }

    /// Runs one or more statements without results.
    pub async fn execute(&mut self, act: &str, sql: &str) -> Result<(), Error> {
        self.drive(act, |client| client.batch_execute(sql)).await
    }

    /// The first column of the first row as text; `None` for NULL or no row.
    pub async fn text(&mut self, act: &str, sql: &str) -> Result<Option<String>, Error> {
        let messages = self.drive(act, |client| client.simple_query(sql)).await?;
        Ok(messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                row.try_get(0).ok().flatten().map(str::to_owned)
            }
            _ => None,
        }))
    }

    /// A handle that cancels what this session runs.
    pub fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), connector: self.connector.clone() }
    }

    /// Says goodbye, so that the server does not log a lost client.
    pub async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        let drained = poll_fn(|cx| {
            loop {
                match driver.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, drained).await;
    }
}

fn note(message: &AsyncMessage) {
    if let AsyncMessage::Notice(notice) = message {
        tracing::debug!(severity = notice.severity(), "{}", notice.message());
    }
}

/// A write that failed does not say why the server hung up, but what the server said before it
/// did is still to be read: into an answer that somebody waits for, or returned from here. Never
/// waits: on a connection that was closed, all that will ever come is there.
fn last_words(driver: &mut Driver, cx: &mut Context<'_>, error: Error) -> Error {
    while error.sqlstate().is_none() {
        match driver.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => note(&message),
            Poll::Ready(Some(Err(said))) if said.as_db_error().is_some() => {
                return Error::new(error.act(), &said);
            }
            _ => break,
        }
    }
    error
}

impl Canceller {
    /// Asks the server to cancel the session's running statement; best effort, bounded.
    pub async fn cancel(&self) {
        let cancel = async {
            match self.connector.clone() {
                Some(connector) => self.token.cancel_query(connector).await,
                None => self.token.cancel_query(NoTls).await,
            }
        };
        match tokio::time::timeout(CANCEL_TIMEOUT, cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("cancel request failed: {error}"),
            Err(_) => tracing::debug!("cancel request timed out"),
        }
    }
}
