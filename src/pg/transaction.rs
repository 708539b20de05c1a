//! Several statements of a query in one transaction.

use std::time::{Duration, Instant};

use super::ask::Ask;
use super::select::Drained;
use super::{Error, Session};

impl Session {
    /// Runs statements in a transaction of their own and drains their rows. Returns what came of all, and how
    /// long BEGIN took, each of them, and COMMIT.
    ///
    /// # Errors
    /// When the server refuses one of them, or the COMMIT: then none has changed anything, unless the
    /// connection was lost over the COMMIT.
    pub async fn transact(&mut self, asks: &[Ask<'_>]) -> Result<(Drained, Vec<Duration>), Error> {
        let mut times = Vec::with_capacity(asks.len() + 2);
        let mut began = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            times.push(now - began);
            began = now;
        };
        self.execute("begin the transaction", "BEGIN").await?;
        lap();
        let mut all = Drained { rows: 0, newest: None };
        for ask in asks {
            match self.drain(*ask, None, None).await {
                Ok(drained) => all.rows += drained.rows,
                Err(error) => {
                    if !error.is_lost() {
                        // What it fails for, the next statement of the session will say.
                        let _ = self.execute("roll the transaction back", "ROLLBACK").await;
                    }
                    return Err(error);
                }
            }
            lap();
        }
        self.execute("commit the transaction", "COMMIT").await?;
        lap();
        Ok((all, times))
    }
}
