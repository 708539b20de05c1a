//! Tables whose rows go on to another server: which they are, and whether that server answers.

use std::time::Duration;

use super::super::quote::quote_literal;
use super::super::{Error, Session};
use super::of_tree;

/// How long a server behind a foreign table may take for its first row.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Whether a table is a foreign one, or has partitions that are.
pub(super) async fn has_foreign(session: &mut Session, oid: u32) -> Result<bool, Error> {
    let sql = format!(
        "SELECT pg_catalog.count(*) > 0 FROM pg_catalog.pg_class c WHERE c.relkind = 'f' AND {}",
        of_tree(oid)
    );
    Ok(session.text("look for foreign tables", &sql).await?.as_deref() == Some("t"))
}

/// Refuses a table behind which a server does not answer, or has not what the table stands for: asks each for one row.
/// The session is in a transaction, whose limit of time is that of the session again afterwards.
pub(super) async fn refuse_silent(session: &mut Session, oid: u32) -> Result<(), Error> {
    let sql = format!(
        "SELECT DISTINCT ON (s.srvname) s.srvname, c.oid::regclass::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = c.oid JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver \
         WHERE {} ORDER BY s.srvname, c.relname",
        of_tree(oid)
    );
    let remotes = session.rows("look for foreign tables", &sql).await?;
    if remotes.is_empty() {
        return Ok(());
    }
    let act = "limit the time of a query";
    let before = session.text(act, "SELECT current_setting('statement_timeout')").await?;
    session
        .execute(act, &format!("SET LOCAL statement_timeout = {}", ANSWER_MAX.as_millis()))
        .await?;
    for remote in remotes {
        let [Some(server), Some(table)] = &*remote else { continue };
        let act = format!(
            "read a row of the foreign table {table} from its server {server} within {} s",
            ANSWER_MAX.as_secs()
        );
        session.rows(&act, &format!("SELECT 1 FROM {table} LIMIT 1")).await.map_err(|error| {
            error.with_fix(
                "start the server behind it, or mend the options of the foreign table, of its server and of the user mapping",
            )
        })?;
    }
    let before = quote_literal(&before.unwrap_or_default());
    session.execute(act, &format!("SET LOCAL statement_timeout = {before}")).await
}
