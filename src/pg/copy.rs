//! COPY of one batch in a transaction of its own, for tables that nobody else writes to.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Statement;

use super::{Error, Session};
use crate::row::FileFault;

/// A prepared `COPY … FROM STDIN`.
pub struct CopyIn(Statement);

impl Session {
    /// Prepares a `COPY … FROM STDIN`.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn prepare_copy(&mut self, sql: &str) -> Result<CopyIn, Error> {
        self.drive("prepare the COPY", |client| client.prepare(sql)).await.map(CopyIn)
    }

    /// Loads one batch and commits it. `next_chunk` yields its encoded bytes, all that its
    /// format wants, until `None`. Returns the rows that the server counted.
    ///
    /// The answer to the end of COPY comes before its commit, so the transaction is explicit:
    /// success is what both say.
    ///
    /// # Errors
    /// When any part failed, or a chunk. The batch is then not in the table, unless the connection was lost:
    /// then it may be.
    pub async fn copy_in(
        &mut self,
        copy: &CopyIn,
        mut next_chunk: impl FnMut() -> Option<Result<Bytes, FileFault>>,
    ) -> Result<u64, Error> {
        let heard = self.heard.clone();
        let copied = self
            .at_length()
            .drive("copy a batch", |client| async move {
                let begin = client.batch_execute("BEGIN");
                let sink = client.copy_in::<_, Bytes>(&copy.0);
                // Polled in this order, so sent in this order.
                let (begin, sink) = tokio::join!(biased; begin, sink);
                begin?;
                let mut sink = pin!(sink?);
                while let Some(chunk) = next_chunk() {
                    // Without its end the COPY fails, and nothing is committed.
                    let chunk = match chunk {
                        Ok(chunk) => chunk,
                        Err(fault) => return Ok(Err(fault)),
                    };
                    sink.feed(chunk).await?;
                    heard.note();
                }
                let commit = client.batch_execute("COMMIT");
                let (rows, commit) = tokio::join!(biased; sink.as_mut().finish(), commit);
                let rows = rows?;
                commit?;
                Ok(Ok(rows))
            })
            .await?;
        copied.map_err(Error::of_file)
    }
}
