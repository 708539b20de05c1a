//! One strom-load at a time fills a table: the others wait, and know for whom.

use std::time::Duration;

use tokio::time::Instant;

use crate::pg::{self, Session, quote_literal as literal};
use crate::plan::Table;

/// Who has the reservation, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    /// Its process on the server.
    pub(super) pid: u32,
    /// Its name in pg_stat_activity.
    pub(super) application: String,
    /// Whether the server works for it at this moment.
    at_work: bool,
    /// Changes whenever something of what it does comes to an end.
    traces: String,
}

/// Watches whether a holder gets on.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    since: Instant,
    last: Option<Holder>,
}

impl Patience {
    /// Runs out when a holder does nothing for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), last: None }
    }

    /// Notes a look at the holder; whether it has run out.
    pub(super) fn is_out(&mut self, holder: &Holder) -> bool {
        if holder.at_work || self.last.as_ref() != Some(holder) {
            (self.since, self.last) = (Instant::now(), Some(holder.clone()));
        }
        self.since.elapsed() >= self.limit
    }
}

/// The key is the name, since the table need not be there.
fn key(table: &Table) -> String {
    let schema = table.name.schema.as_deref().map_or("current_schema()".to_owned(), literal);
    format!(
        "hashtextextended(format('strom-load data set %s.%s', {schema}, {}), 0)",
        literal(&table.name.name)
    )
}

/// Reserves the table for this session; false if another one has it.
pub(super) async fn reserve(session: &mut Session, table: &Table) -> Result<bool, pg::Error> {
    let sql = format!("SELECT pg_try_advisory_lock({})", key(table));
    Ok(session.text("reserve it", &sql).await?.as_deref() == Some("t"))
}

/// Who has reserved the table; `None` if nobody has any more.
pub(super) async fn holder(
    session: &mut Session,
    table: &Table,
) -> Result<Option<Holder>, pg::Error> {
    // What waits for its client is not at work: the client may be gone.
    let sql = format!(
        "SELECT a.pid, coalesce(a.application_name, ''), \
         coalesce(a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client', false), \
         concat_ws('/', a.state_change, pg_total_relation_size(to_regclass({})), \
         (SELECT max(state_change) FROM pg_stat_activity \
          WHERE datid = a.datid AND application_name ~ '^strom-load fill [0-9]+$')) \
         FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = a.datid \
         AND ((l.classid::bigint << 32) | l.objid::bigint) = {}",
        literal(&table.name.to_string()),
        key(table)
    );
    let rows = session.rows("ask who has reserved it", &sql).await?;
    Ok(rows.into_iter().next().and_then(|row| {
        let [pid, application, at_work, traces] = row.try_into().ok()?;
        Some(Holder {
            pid: pid?.parse().ok()?,
            application: application?,
            at_work: at_work? == "t",
            traces: traces?,
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_runs_out_only_with_one_who_does_nothing() {
        let holder = |at_work, traces: &str| Holder {
            pid: 1,
            application: String::new(),
            at_work,
            traces: traces.to_owned(),
        };
        let mut patience = Patience::new(Duration::from_secs(10));
        for (after_s, seen, out) in [
            (0, holder(false, "a"), false),
            (9, holder(false, "a"), false),
            (5, holder(false, "b"), false),
            (9, holder(false, "b"), false),
            (60, holder(true, "b"), false),
            (60, holder(true, "b"), false),
            (9, holder(false, "b"), false),
            (9, holder(false, "b"), false),
            (1, holder(false, "b"), true),
        ] {
            tokio::time::advance(Duration::from_secs(after_s)).await;
            assert_eq!(patience.is_out(&seen), out, "{seen:?}");
        }
    }
}
