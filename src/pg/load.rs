//! Loading: one batch of encoded rows is one COPY in one transaction, in two round trips.

use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, CopyInSink, Statement};

use super::{Error, Session};

/// A session prepared to load batches into one table.
pub struct Loader {
    session: Session,
    xid: Statement,
    copy: Statement,
}

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
        let (xid, copy) = session
            .drive("prepare the COPY", |client| async move {
                // The id goes over the wire as text: xid8 has no binary form on our side.
                let xid = client.prepare("SELECT pg_current_xact_id()::text").await?;
                Ok((xid, client.prepare(copy_sql).await?))
            })
            .await?;
        Ok(Self { session, xid, copy })
    }

    /// Loads one batch. `next_chunk` yields its encoded bytes, header and trailer included, until
    /// `None`.
    ///
    /// BEGIN, the question for the transaction's id and the start of COPY go out together; then
    /// the data; then the end of COPY and COMMIT go out together. A COMMIT after a failed COPY is
    /// a ROLLBACK that reports no error, so success is what the end of COPY says *and* the COMMIT
    /// says.
    ///
    /// # Errors
    /// When any part failed. Unless the session is lost, the transaction was rolled back.
    pub async fn load(
        &mut self,
        next_chunk: impl FnMut() -> Option<Bytes>,
    ) -> Result<Committed, Error> {
        let Self { session, xid, copy } = self;
        let loaded = session.drive("load a batch", |client| batch(client, xid, copy, next_chunk));
        match loaded.await {
            Err(error) if !error.is_lost() => {
                // Back to a usable session; the batch's own error is the one to tell.
                let _ = session.execute("roll back", "ROLLBACK").await;
                Err(error)
            }
            done => done,
        }
    }

    /// The session, to cancel or close it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives the session back.
    pub fn into_session(self) -> Session {
        self.session
    }
}

async fn batch(
    client: &Client,
    xid: &Statement,
    copy: &Statement,
    mut next_chunk: impl FnMut() -> Option<Bytes>,
) -> Result<Committed, tokio_postgres::Error> {
    let begin = client.batch_execute("BEGIN");
    let xid = client.query_one(xid, &[]);
    let sink = client.copy_in::<_, Bytes>(copy);
    let (begin, xid, sink) = tokio::join!(begin, xid, sink);
    begin?;
    let xid = xid?.get::<_, String>(0).parse().unwrap_or_default();
    let mut sink: Pin<&mut CopyInSink<Bytes>> = pin!(sink?);
    while let Some(chunk) = next_chunk() {
        sink.feed(chunk).await?;
    }
    let (rows, commit) = tokio::join!(sink.as_mut().finish(), client.batch_execute("COMMIT"));
    let rows = rows?;
    commit?;
    Ok(Committed { xid, rows })
}
