//! Loading: one batch of encoded rows is one COPY in one transaction, in two round trips, or in
//! one if the next batch follows at once.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};

use super::{Error, Session};

/// A session prepared to load batches into one table.
pub struct Loader {
    session: Session,
    statements: Statements,
    /// The next batch's transaction, opened together with the last one's COMMIT.
    ahead: Option<Opened>,
}

struct Statements {
    xid: Statement,
    copy: Statement,
}

/// A transaction that waits for rows.
struct Opened {
    xid: u64,
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

/// How the opening of the next transaction went, if one was asked for.
type Next = Result<Option<Opened>, tokio_postgres::Error>;

/// What the server said about a batch that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The transaction's id, known before its first row was sent.
    pub xid: u64,
    /// Rows that the server counted.
    pub rows: u64,
}

impl Loader {
    /// Prepares the statements; `copy_sql` is a `COPY … FROM STDIN (FORMAT binary)`.
    ///
    /// # Errors
    /// When the server does not accept them.
    pub async fn prepare(mut session: Session, copy_sql: &str) -> Result<Self, Error> {
        let statements = session
            .drive("prepare the COPY", |client| async move {
                // The id goes over the wire as text: xid8 has no binary form on our side.
                let xid = client.prepare("SELECT pg_current_xact_id()::text").await?;
                Ok(Statements { xid, copy: client.prepare(copy_sql).await? })
            })
            .await?;
        Ok(Self { session, statements, ahead: None })
    }

    /// Loads one batch. `next_chunk` yields its encoded bytes, header and trailer included, until
    /// `None`.
    ///
    /// BEGIN, the question for the transaction's id and the start of COPY go out together; then
    /// the data with the end of COPY and COMMIT. If `another_follows` at once, the next batch's
    /// opening goes out with this one's COMMIT: one round trip a batch, and the next id still
    /// arrives before any of its rows is sent. A COMMIT after a failed COPY is a ROLLBACK that
    /// reports no error, so success is what the end of COPY says *and* the COMMIT says.
    ///
    /// # Errors
    /// When any part failed. Unless the session is lost, the transaction was rolled back.
    pub async fn load(
        &mut self,
        next_chunk: impl FnMut() -> Option<Bytes>,
        another_follows: bool,
    ) -> Result<Committed, Error> {
        let Self { session, statements, ahead } = self;
        let opened = ahead.take();
        let batch = |client| batch(client, statements, opened, next_chunk, another_follows);
        match session.drive("load a batch", batch).await {
            Ok((committed, Ok(next))) => {
                *ahead = next;
                Ok(committed)
            }
            // This batch is committed, whatever became of the next one's opening. That is tried
            // again, and if it fails again it fails as that batch.
            Ok((committed, Err(_))) => {
                let _ = session.execute("roll back", "ROLLBACK").await;
                Ok(committed)
            }
            Err(error) => {
                if !error.is_lost() {
                    // Back to a usable session; the batch's own error is the one to tell.
                    let _ = session.execute("roll back", "ROLLBACK").await;
                }
                Err(error)
            }
        }
    }

    /// The session, to cancel or close it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives the session back; a transaction opened ahead is rolled back.
    pub fn into_session(self) -> Session {
        self.session
    }
}

async fn batch(
    client: &Client,
    statements: &Statements,
    opened: Option<Opened>,
    mut next_chunk: impl FnMut() -> Option<Bytes>,
    another_follows: bool,
) -> Result<(Committed, Next), tokio_postgres::Error> {
    let Opened { xid, mut sink } = match opened {
        Some(opened) => opened,
        None => open(client, statements).await?,
    };
    while let Some(chunk) = next_chunk() {
        sink.feed(chunk).await?;
    }
    let next =
        async { if another_follows { open(client, statements).await.map(Some) } else { Ok(None) } };
    // Polled in this order, so sent in this order.
    let (rows, commit, next) =
        tokio::join!(biased; sink.as_mut().finish(), client.batch_execute("COMMIT"), next);
    let rows = rows?;
    commit?;
    Ok((Committed { xid, rows }, next))
}

async fn open(client: &Client, statements: &Statements) -> Result<Opened, tokio_postgres::Error> {
    let begin = client.batch_execute("BEGIN");
    let xid = client.query_one(&statements.xid, &[]);
    let sink = client.copy_in::<_, Bytes>(&statements.copy);
    let (begin, xid, sink) = tokio::join!(biased; begin, xid, sink);
    begin?;
    let xid = xid?.get::<_, String>(0).parse().unwrap_or_default();
    Ok(Opened { xid, sink: Box::pin(sink?) })
}
