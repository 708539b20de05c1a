//! One connection, driven by the task that uses it.
//!
//! The client library splits a connection into a handle and a driver that somebody must poll.
//! Here the task that awaits an answer polls the driver itself: no second task, no wake-up across
//! threads for each message, and the reason of a broken connection arrives where it is needed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::abandoned::Unfinished;
use super::cancel::{Canceller, Way};
use super::kept::Kept;
use super::silence::{Heard, Listener};
use super::{Error, QUERY_CANCELED};
use crate::row::CopyFormat;

/// How long a broken connection is listened to: what there is to hear has mostly arrived.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long an orderly goodbye may take before the socket is just closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most messages kept between two calls of [`Session::take_notices`]: a statement that raises one
/// for each row must not fill the memory. The last takes the place of the one before.
const NOTICES_MAX: usize = 1000;

/// What makes a session's transactions read-only, unless they say otherwise.
pub(super) const READ_ONLY: &str = "default_transaction_read_only";

/// The source file of messages with plans.
const PLANS_FROM: &str = "auto_explain.c";
/// The server's routine in which a COMMIT waits for a synchronous standby. It warns when the wait is
/// cancelled, with the SQLSTATE of a warning, or of the termination that does so. The words are in the
/// server's language.
const SYNC_WAIT: &str = "SyncRepWaitForLSN";
const SYNC_WAIT_CANCELLED: [&str; 2] = ["01000", "57P01"];

pub(super) type Driver =
    Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// A session with the server.
pub struct Session {
    pub(super) client: Client,
    pub(super) driver: Driver,
    /// How the server was reached: a cancel request goes the same way.
    pub(super) way: Arc<Way>,
    /// Why it ended, if that came in together with the last answer.
    pub(super) ended: Option<Error>,
    /// What came beside the answers.
    pub(super) beside: Beside,
    /// The process that serves it, where that was asked for.
    pub(super) backend: Option<u32>,
    /// What limits its silence; `None`: whoever uses it bounds it.
    pub(super) listener: Option<Box<Listener>>,
    /// What the statement in progress has brought.
    pub(super) heard: Heard,
    /// Whether the next statement may take as long as the server is at work on it.
    pub(super) at_length: bool,
    /// Whether the server last said that its transactions are read-only by default. It says so with
    /// each change, before the answer that made it is complete.
    pub(super) told_read_only: Arc<AtomicBool>,
    /// What keeps a profile's queries from writing.
    pub(super) guard: Guard,
    /// Whether that is off, as the next query may write.
    pub(super) writes: bool,
    /// The statements that it keeps.
    pub(super) kept: Kept,
    /// In which format rows go over it.
    pub(super) copy_format: CopyFormat,
}

/// What keeps the queries of a session from writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing: they may.
    Absent,
    /// The default of its transactions, and the server says when that changes.
    Told,
    /// The same, set anew for each query: a pooler keeps to itself what the server says.
    Renewed,
}

/// What a server says beside its answers.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Its messages; `None`: they are only logged.
    notices: Option<Vec<Notice>>,
    /// Whether it said that a COMMIT was not waited for until a synchronous standby had it.
    sync_wait_cancelled: bool,
}

impl Beside {
    fn hear(&mut self, notice: &DbError) {
        // A plan with each statement would bury everything else.
        if notice.file() != Some(PLANS_FROM) {
            tracing::debug!(severity = notice.severity(), "{}", notice.message());
        }
        self.sync_wait_cancelled |= notice.routine() == Some(SYNC_WAIT)
            && SYNC_WAIT_CANCELLED.contains(&notice.code().code());
        if let Some(notices) = &mut self.notices {
            let (message, file) = (notice.message().to_owned(), notice.file().map(str::to_owned));
            notices.truncate(NOTICES_MAX - 1);
            notices.push(Notice { message, file });
        }
    }
}

/// A message of the server beside its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its text.
    pub message: String,
    /// The server's source file that it comes from.
    pub file: Option<String>,
}

impl Notice {
    /// The plan in it, as JSON, if it is a message of auto_explain.
    pub fn plan(&self) -> Option<&str> {
        let is_plan = self.file.as_deref() == Some(PLANS_FROM);
        is_plan.then(|| self.message.split_once("plan:\n").map(|(_, plan)| plan)).flatten()
    }
}

impl Session {
    /// Lets the next statement take as long as the server is at work on it: a look at a whole
    /// table, an index build, anything that the user has us run. Everything else ends when nothing
    /// was heard for a while.
    pub fn at_length(&mut self) -> &mut Self {
        self.at_length = true;
        self
    }

    /// Has the log say what a session of our own waits for, after a few seconds.
    #[must_use]
    pub fn telling_of_waits(mut self) -> Self {
        if let Some(listener) = &mut self.listener {
            listener.tells = true;
        }
        self
    }

    /// Has rows go over it in this format, as its server takes them.
    pub(crate) fn use_format(&mut self, copy_format: CopyFormat) {
        self.copy_format = copy_format;
    }

    /// The format in which rows go over it.
    pub(crate) fn copy_format(&self) -> CopyFormat {
        self.copy_format
    }

    /// Limits the silence of a session of our own otherwise than usual.
    pub fn limit_silence(&mut self, limit: Duration) {
        if let Some(listener) = &mut self.listener {
            listener.limit = limit;
        }
    }

    /// Whether its queries are to read only, and one of them has switched that off for those after it.
    pub fn is_let_write(&self) -> bool {
        self.guard == Guard::Told && !self.writes && !self.told_read_only.load(Ordering::Relaxed)
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
        let at_length = std::mem::take(&mut self.at_length);
        if let Some(reason) = self.ended.take() {
            return Err(reason);
        }
        let Self { client, driver, way, beside, ended: end, listener, heard, .. } = self;
        let (client, listener) = (&*client, listener.as_deref());
        let mut unfinished = Unfinished { client, way, finished: false };
        let mut work = pin!(work(client));
        let first = loop {
            let working = poll_fn(|cx| poll_both(work.as_mut(), driver, beside, cx));
            let Some(listener) = listener else { break working.await };
            let look = tokio::select! {
                biased;
                first = working => break first,
                never = listener.tell(act, heard) => match never {},
                look = listener.listen(heard) => look,
            };
            let silence = format!("no answer for {} s, {}", listener.limit.as_secs(), look.fact);
            if !(look.at_work && at_length) {
                let (token, way) = (client.cancel_token(), Arc::clone(way));
                Canceller { token, way }.cancel().await;
                unfinished.finished = true;
                let error = Error::lost(act, silence);
                return Err(match look.fix {
                    Some(fix) => error.with_fix(fix),
                    None => error,
                });
            }
            if !listener.tells {
                tracing::info!("it takes long to {act}: {silence}");
            }
        };
        unfinished.finished = true;
        let mut reason = match first {
            End::Work(Err(error)) if error.is_closed() => {
                return Err(lost(Error::new(act, &error), listener).await);
            }
            End::Work(done) => return done.map_err(|error| Error::new(act, &error)),
            End::Connection(end) => end,
        };
        if reason.as_ref().is_some_and(says_nothing) {
            // A write that failed does not say why the server hung up, but what the server said
            // before it did is about to be read. The write fails again and again meanwhile.
            let more = poll_fn(|cx| match poll_both(work.as_mut(), driver, beside, cx) {
                Poll::Ready(End::Connection(Some(again))) if says_nothing(&again) => Poll::Pending,
                end => end,
            });
            match tokio::time::timeout(LAST_WORDS, more).await {
                Ok(End::Work(Err(error))) if error.is_closed() => {
                    return Err(lost(ended(act, reason.as_ref()), listener).await);
                }
                Ok(End::Work(done)) => return done.map_err(|error| Error::new(act, &error)),
                Ok(End::Connection(Some(said))) if !said.is_closed() => reason = Some(said),
                _ => {}
            }
        }
        // An answer may have come in with the last bytes. What work still has to send goes nowhere,
        // which it must not wait for: with the driver go its channels.
        for release in [false, true] {
            if release {
                *driver = Box::pin(futures_util::stream::empty());
            }
            match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
                Poll::Ready(Ok(done)) => {
                    *end = Some(ended(act, reason.as_ref()));
                    return Ok(done);
                }
                Poll::Ready(Err(error)) if error.is_closed() => break,
                Poll::Ready(Err(error)) => return Err(Error::new(act, &error)),
                Poll::Pending => {}
            }
        }
        Err(lost(ended(act, reason.as_ref()), listener).await)
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

    /// Every row as text; `None` for NULL.
    pub async fn rows(&mut self, act: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let messages = self.drive(act, |client| client.simple_query(sql)).await?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let value = |row: &tokio_postgres::SimpleQueryRow, column| {
            row.try_get(column).ok().flatten().map(str::to_owned)
        };
        Ok(rows.map(|row| (0..row.len()).map(|column| value(row, column)).collect()).collect())
    }

    /// Keeps messages from now on, for [`Session::take_notices`].
    pub fn keep_notices(&mut self) {
        self.beside.notices.get_or_insert_default();
    }

    /// The messages kept since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.beside.notices.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether the server said since the last call that a COMMIT no longer waits for a synchronous
    /// standby, as its wait was cancelled.
    pub(super) fn take_sync_wait_cancelled(&mut self) -> bool {
        std::mem::take(&mut self.beside.sync_wait_cancelled)
    }

    /// A handle that cancels what this session runs.
    pub fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), way: Arc::clone(&self.way) }
    }

    /// Does `work`, which `token` cancels on the server. `None`: it was cancelled. The session is
    /// good for more either way.
    ///
    /// # Errors
    /// As for `work`.
    pub async fn unless_cancelled<T>(
        &mut self,
        token: &CancellationToken,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.canceller().when(token, work(self)).await {
            Err(error) if token.is_cancelled() && error.sqlstate() == Some(QUERY_CANCELED) => {
                Ok(None)
            }
            done => done.map(Some),
        }
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

/// What came first.
enum End<T> {
    /// The work is done.
    Work(Result<T, tokio_postgres::Error>),
    /// The connection ended, for this reason if there is one.
    Connection(Option<tokio_postgres::Error>),
}

fn poll_both<T>(
    mut work: Pin<&mut impl Future<Output = Result<T, tokio_postgres::Error>>>,
    driver: &mut Driver,
    beside: &mut Beside,
    cx: &mut Context<'_>,
) -> Poll<End<T>> {
    loop {
        // Work first: what it queues is then written at once.
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(End::Work(done));
        }
        match driver.as_mut().poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                beside.hear(&notice);
            }
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Connection(Some(error))),
            Poll::Ready(None) => return Poll::Ready(End::Connection(None)),
        }
    }
}

/// Whether an end of the connection is not the server's word, nor the end of all it sent.
fn says_nothing(end: &tokio_postgres::Error) -> bool {
    end.as_db_error().is_none() && !end.is_closed()
}

/// The error of a statement whose session was lost in the middle; the server is asked why, where
/// nobody has said so.
async fn lost(error: Error, listener: Option<&Listener>) -> Error {
    match listener {
        Some(listener) if error.sqlstate().is_none() => listener.explain(error).await,
        _ => error,
    }
}

fn ended(act: &str, reason: Option<&tokio_postgres::Error>) -> Error {
    match reason {
        Some(reason) => Error::new(act, reason).into_lost(),
        None => Error::lost(act, "the server closed the connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_auto_explain_says_what_the_plan_was() {
        let notice = |file: &str| Notice {
            message: "duration: 0.012 ms  plan:\n{\"Plan\": {}}".to_owned(),
            file: Some(file.to_owned()),
        };
        assert_eq!(notice("auto_explain.c").plan(), Some("{\"Plan\": {}}"));
        assert_eq!(notice("pl_exec.c").plan(), None);
        let other = Notice { message: "duration".to_owned(), ..notice("auto_explain.c") };
        assert_eq!(other.plan(), None);
    }
}
