//! Loading: one batch of encoded rows is one COPY in one transaction, in two round trips, or in
//! one if the next batch follows at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::Instant;
use tokio_postgres::{Client, CopyInSink, SimpleQueryMessage, Statement};

use crate::row::{CopyFormat, FileFault};

use super::reservation::Reservation;
use super::sight::read_position;
use super::silence::Listener;
use super::{Error, Session};

/// How long to wait for a lost session's backend to end by itself before it is terminated.
const FENCE_PATIENCE: Duration = Duration::from_secs(2);

/// What a session loads.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadTarget {
    /// A `COPY … FROM STDIN`.
    pub copy_sql: String,
    /// The format that it takes.
    pub copy_format: CopyFormat,
    /// Key of the advisory lock that only one session of the run may hold at a time.
    pub fence: String,
    /// What its session holds beside all others of the run.
    pub reservation: Reservation,
    /// Whether rows go on to another server: it may have committed what this one says it has not.
    pub is_remote: bool,
    /// Whether the server gives transactions ids and knows what became of them.
    pub has_fates: bool,
    /// What tells, of rows without an identity, whether the server has crashed since.
    pub last_crash: Option<String>,
}

/// A session prepared to load batches into one table.
pub(crate) struct Loader {
    session: Session,
    statements: Statements,
    /// The next batch's transaction, opened together with the last one's COMMIT.
    ahead: Ahead,
    /// Whether the server refused a COPY at its start. The client library ends a copy that never began, too;
    /// the server answers that, and from then on every answer would be taken for the next one's.
    spent: bool,
    /// The transaction whose COMMIT is about to be sent, or was: without an answer it is in doubt.
    /// 0 for none, as transaction ids begin at 3. Outlives a load that is dropped.
    committing: Arc<AtomicU64>,
    /// Asks the server about a batch that is not answered.
    inquirer: Option<Arc<Listener>>,
    /// Whether the batch in hand has a transaction, so that its rows are sent.
    sending: Arc<AtomicBool>,
    /// Whether the position of each COMMIT in the write-ahead log is asked for.
    positions: bool,
    /// Whether an error at COMMIT leaves a doubt.
    is_remote: bool,
}

/// A position in the write-ahead log that is not before a COMMIT that was just done. It is on the disk
/// by then, and so has the log up to it; unless COMMIT did not wait for that.
const POSITION: &str = "SELECT CASE pg_catalog.current_setting('synchronous_commit') \
    WHEN 'off' THEN pg_catalog.pg_current_wal_insert_lsn() \
    ELSE pg_catalog.pg_current_wal_flush_lsn() END";

/// In place of a transaction's id where there are none; ids begin at 3.
const NO_XID: u64 = 1;

struct Statements {
    /// `None`: there are no ids.
    xid: Option<Statement>,
    copy: Statement,
}

/// What was done for the next batch together with the last one's COMMIT.
enum Ahead {
    /// Nothing.
    Nothing,
    /// Its transaction is open.
    Open(Opened),
    /// The server refused to open it.
    Refused(Error),
}

/// A transaction that waits for rows.
struct Opened {
    xid: u64,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

/// What the server said about a batch that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The transaction's id, known before its first row was sent.
    pub xid: u64,
    /// Rows that the server counted.
    pub rows: u64,
    /// A position in the write-ahead log at or behind its COMMIT, if that was asked for and told.
    pub position: Option<u64>,
    /// Whether its wait for a synchronous standby was cancelled: the primary has it, maybe nobody else.
    pub sync_wait_cancelled: bool,
}

/// Why a batch was not acknowledged.
#[derive(Debug)]
pub(crate) struct LoadFailure {
    /// What happened.
    pub error: Error,
    /// The transaction whose COMMIT may have been done all the same. `None`: the batch is surely
    /// not in the table.
    pub in_doubt: Option<u64>,
    /// Whether a wait for a synchronous standby was cancelled before that.
    pub sync_wait_cancelled: bool,
}

impl LoadFailure {
    /// A failure before anything was committed.
    pub(crate) fn unsent(error: Error) -> Self {
        Self { error, in_doubt: None, sync_wait_cancelled: false }
    }
}

/// What is asked together with a COMMIT.
#[derive(Clone, Copy)]
struct Asks {
    /// Where in the write-ahead log it is.
    position: bool,
    /// The opening of the next transaction.
    next: bool,
}

/// How the opening of the next transaction went, if one was asked for.
type Next = Result<Option<Opened>, tokio_postgres::Error>;

impl Loader {
    /// Takes the fence and prepares the statements, once the session holds the reservation of the
    /// run's table.
    ///
    /// The fence keeps two sessions of one producer apart: once a new session holds it, the old
    /// one's backend has ended, and its transaction with it. With a `deadline` (after a lost
    /// connection) it is waited for, and a backend that does not let go is terminated.
    ///
    /// # Errors
    /// When the server does not accept the statements, the fence cannot be had, or another run took
    /// over the partition.
    pub(crate) async fn prepare(
        mut session: Session,
        target: &LoadTarget,
        deadline: Option<Instant>,
    ) -> Result<Self, Error> {
        join(&mut session, &target.reservation, deadline).await?;
        take_fence(&mut session, &target.fence, deadline).await?;
        let statements = session
            .drive("prepare the COPY", |client| async move {
                // The id goes over the wire as text: xid8 has no binary form on our side.
                let xid = match target.has_fates {
                    true => Some(client.prepare("SELECT pg_current_xact_id()::text").await?),
                    false => None,
                };
                Ok(Statements { xid, copy: client.prepare(&target.copy_sql).await? })
            })
            .await?;
        // From here on the producer bounds each batch, and whatever it asks after a fault.
        let inquirer = session.listener.take().map(Arc::from);
        let (ahead, spent, positions, is_remote) = (Ahead::Nothing, false, false, target.is_remote);
        let (committing, sending) = (Arc::default(), Arc::default());
        Ok(Self {
            session,
            statements,
            ahead,
            spent,
            committing,
            inquirer,
            sending,
            positions,
            is_remote,
        })
    }

    /// Says from now on in `committing` which transaction it is about to commit, before it does; and,
    /// with `positions`, where in the write-ahead log each COMMIT is. That is asked together with the
    /// COMMIT, and costs no round trip.
    #[must_use]
    pub(crate) fn reporting(self, committing: Arc<AtomicU64>, positions: bool) -> Self {
        Self { committing, positions, ..self }
    }

    /// Loads one batch. `next_chunk` yields its encoded bytes, header and trailer included, until
    /// `None`; if it yields a fault, the batch is not loaded.
    ///
    /// BEGIN, the question for the transaction's id and the start of COPY go out together; then
    /// the data with the end of COPY and COMMIT. If `another_follows` at once, the next batch's
    /// opening goes out with this one's COMMIT: one round trip a batch, and the next id still
    /// arrives before any of its rows is sent. A COMMIT after a failed COPY is a ROLLBACK that
    /// reports no error, so success is what the end of COPY says *and* the COMMIT says.
    ///
    /// # Errors
    /// When any part failed. The session is good for another attempt unless the error says that
    /// it is lost.
    pub(crate) async fn load(
        &mut self,
        next_chunk: impl FnMut() -> Option<Result<Bytes, FileFault>>,
        another_follows: bool,
    ) -> Result<Committed, LoadFailure> {
        const ACT: &str = "load a batch";
        let Self { session, statements, ahead, spent, committing, sending, positions, .. } = self;
        committing.store(0, Ordering::Relaxed);
        sending.store(false, Ordering::Relaxed);
        let opened = match std::mem::replace(ahead, Ahead::Nothing) {
            Ahead::Nothing => None,
            Ahead::Open(opened) => Some(opened),
            Ahead::Refused(error) => return Err(LoadFailure::unsent(error)),
        };
        let asks = Asks { position: *positions, next: another_follows };
        let refused = AtomicBool::new(false);
        let work = |client| {
            batch(
                client,
                statements,
                opened,
                next_chunk,
                asks,
                (&**committing, &**sending, &refused),
            )
        };
        let loaded = session.drive(ACT, work).await;
        let loaded = loaded.and_then(|loaded| loaded.map_err(Error::of_file));
        *spent = refused.into_inner();
        let sync_wait_cancelled = session.take_sync_wait_cancelled();
        match loaded {
            Ok((committed, next)) => {
                // This batch is committed, whatever became of the next one's opening: that fails as
                // the next batch.
                *ahead = match next {
                    Ok(Some(opened)) => Ahead::Open(opened),
                    Ok(None) => Ahead::Nothing,
                    Err(error) => Ahead::Refused(Error::new(ACT, &error)),
                };
                Ok(Committed { sync_wait_cancelled, ..committed })
            }
            Err(error) => {
                // 40003: the server itself does not know whether it completed. Nor does it of another one.
                let unknown =
                    error.is_lost() || error.sqlstate() == Some("40003") || self.is_remote;
                if !error.is_lost() && !*spent {
                    // Back to a usable session; the batch's own error is the one to tell.
                    let _ = session.execute("roll back", "ROLLBACK").await;
                }
                let in_doubt = self.committing().filter(|_| unknown);
                Err(LoadFailure { error, in_doubt, sync_wait_cancelled })
            }
        }
    }

    /// What asks the server about the batch in hand.
    pub(crate) fn inquiry(&self) -> Inquiry {
        let (inquirer, sending) = (self.inquirer.clone(), Arc::clone(&self.sending));
        Inquiry { inquirer, sending, received: None }
    }

    /// The failure of a [`Loader::load`] that was dropped because it took too long; how long.
    pub(crate) fn give_up(&mut self, waited: Duration) -> LoadFailure {
        let act = format!("load a batch within {:.1} s", waited.as_secs_f64());
        let sync_wait_cancelled = self.session.take_sync_wait_cancelled();
        let error = Error::timed_out(act);
        LoadFailure { error, in_doubt: self.committing(), sync_wait_cancelled }
    }

    /// The transaction in hand whose COMMIT may have been sent; `None`: none was.
    pub(crate) fn committing(&self) -> Option<u64> {
        Some(self.committing.load(Ordering::Relaxed)).filter(|xid| *xid != 0)
    }

    /// Says a word to the server, so that it knows that somebody is there; not in the middle of a
    /// transaction that was opened ahead, whose rows follow soon.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn say_a_word(&mut self) -> Result<(), Error> {
        match self.ahead {
            Ahead::Open(_) | Ahead::Refused(_) => Ok(()),
            Ahead::Nothing => self.session.execute("say a word to the server", "SELECT 1").await,
        }
    }

    /// Whether another session is needed, though the server has not ended this one.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// The process that serves it on the server's machine.
    pub(crate) fn backend(&self) -> Option<u32> {
        self.session.backend
    }

    /// The session, to ask it, cancel or close it.
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Gives the session back; a transaction opened ahead is rolled back.
    pub(crate) fn into_session(self) -> Session {
        self.session
    }
}

/// Asks the server, in another session, about a batch that is not answered.
pub(crate) struct Inquiry {
    inquirer: Option<Arc<Listener>>,
    sending: Arc<AtomicBool>,
    /// Bytes of the batch that the server had when it was last asked and waited for more.
    received: Option<u64>,
}

impl Inquiry {
    /// Whether the batch or its answer is lost: to the server the session is idle, or gone, or it waits
    /// for rows and none are sent, or none have come since it was last asked. A server that cannot be
    /// asked says nothing.
    pub(crate) async fn is_lost(&mut self) -> bool {
        let Some(inquirer) = &self.inquirer else { return false };
        let look = inquirer.look().await;
        let earlier = std::mem::replace(&mut self.received, look.awaits_more_than);
        let none_come = look.awaits_more_than.is_some()
            && (!self.sending.load(Ordering::Relaxed) || earlier == look.awaits_more_than);
        look.lost || none_come
    }
}

/// Has the session hold the table's reservation; waits while another run is entering.
async fn join(
    session: &mut Session,
    reservation: &Reservation,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    while !reservation.join(session).await? {
        if deadline.is_none_or(|deadline| Instant::now() > deadline) {
            return Err(Error::taken("reserve the table for this session"));
        }
        tokio::time::sleep(FENCE_PATIENCE / 20).await;
    }
    Ok(())
}

/// Takes the fence, which names the run: whoever else holds it is a session of this run's own, and so
/// may be terminated.
async fn take_fence(
    session: &mut Session,
    key: &str,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    let act = "reserve the partition for this session";
    let take = format!("SELECT pg_catalog.pg_try_advisory_lock({key})");
    let began = Instant::now();
    let mut terminated = false;
    while session.text(act, &take).await?.as_deref() != Some("t") {
        if deadline.is_none_or(|deadline| Instant::now() > deadline) {
            return Err(Error::lost(act, "the lost session's backend does not end"));
        }
        if !terminated && began.elapsed() > FENCE_PATIENCE {
            // The network is gone, but the old backend has not noticed yet.
            let terminate = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' \
                 AND granted AND objsubid = 1 AND pid <> pg_backend_pid() \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                 AND ((classid::bigint << 32) | objid::bigint) = ({key})"
            );
            session.text(act, &terminate).await?;
            terminated = true;
        }
        tokio::time::sleep(FENCE_PATIENCE / 20).await;
    }
    Ok(())
}

async fn batch(
    client: &Client,
    statements: &Statements,
    opened: Option<Opened>,
    mut next_chunk: impl FnMut() -> Option<Result<Bytes, FileFault>>,
    asks: Asks,
    (committing, sending, refused): (&AtomicU64, &AtomicBool, &AtomicBool),
) -> Result<Result<(Committed, Next), FileFault>, tokio_postgres::Error> {
    let Opened { xid, mut sink } = match opened {
        Some(opened) => opened,
        None => open(client, statements, refused).await?,
    };
    sending.store(true, Ordering::Relaxed);
    while let Some(chunk) = next_chunk() {
        // Without its end the COPY fails, and no COMMIT follows.
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(fault) => return Ok(Err(fault)),
        };
        sink.feed(chunk).await?;
    }
    committing.store(xid, Ordering::Relaxed);
    let position = async { if asks.position { position(client).await } else { None } };
    let next = async {
        if asks.next { open(client, statements, refused).await.map(Some) } else { Ok(None) }
    };
    // Polled in this order, so sent in this order.
    let commit = client.batch_execute("COMMIT");
    let (rows, commit, position, next) =
        tokio::join!(biased; sink.as_mut().finish(), commit, position, next);
    let rows = rows?;
    commit?;
    Ok(Ok((Committed { xid, rows, position, sync_wait_cancelled: false }, next)))
}

/// `None` if it could not be found out: the batch is committed all the same.
async fn position(client: &Client) -> Option<u64> {
    let messages = client.simple_query(POSITION).await.ok()?;
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => read_position(row.get(0)?),
        _ => None,
    })
}

/// Opens a transaction up to where its rows are awaited; notes if its COPY was `refused`.
async fn open(
    client: &Client,
    statements: &Statements,
    refused: &AtomicBool,
) -> Result<Opened, tokio_postgres::Error> {
    let begin = client.batch_execute("BEGIN");
    let xid = async {
        let Some(asks) = &statements.xid else { return Ok(NO_XID) };
        let row = client.query_one(asks, &[]).await?;
        Ok::<u64, tokio_postgres::Error>(row.get::<_, String>(0).parse().unwrap_or_default())
    };
    let sink = client.copy_in::<_, Bytes>(&statements.copy);
    let (begin, xid, sink) = tokio::join!(biased; begin, xid, sink);
    refused.store(sink.is_err(), Ordering::Relaxed);
    begin?;
    let xid = xid?;
    Ok(Opened { xid, sink: Box::pin(sink?) })
}
