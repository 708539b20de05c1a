//! The keys of tables that a stream's values refer to, all as they are at one moment.

use super::mark::Relation;
use super::quote::quote_literal;
use super::source::BEGIN;
use super::{Error, Session};
use crate::plan::{KEYS_MAX, Keys, KeysBuilder, KeysFault, Reference, quote_identifier};

/// Reads the keys of each reference.
///
/// # Errors
/// When a table is not there or may not be read, and when its keys cannot be referred to.
pub(crate) async fn find(
    session: &mut Session,
    references: &[Reference],
) -> Result<Vec<(Reference, Keys)>, Error> {
    let mut all = Vec::new();
    if references.is_empty() {
        return Ok(all);
    }
    session.execute("begin", BEGIN).await?;
    for reference in references {
        all.push((reference.clone(), keys(session, reference).await?));
    }
    session.execute("roll back", "ROLLBACK").await?;
    Ok(all)
}

/// Whether each table that is referred to is there for this role.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn have_tables(
    session: &mut Session,
    references: &[Reference],
) -> Result<bool, Error> {
    for reference in references {
        if Relation::find(session, &reference.table).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn keys(session: &mut Session, reference: &Reference) -> Result<Keys, Error> {
    let Reference { table, column, .. } = reference;
    let act = format!("read the keys of {} ({column})", table.as_written());
    if Relation::find(session, table).await?.is_none() {
        let fact = "there is no such table that this role can see";
        let fix = "make and fill it before; name it with its schema, such as shop.customers";
        return Err(Error::refused(act, fact).with_fix(fix));
    }
    let mut keys = KeysBuilder::new(reference);
    session
        .copy_out(&act, &query(reference), |tuple: &[u8]| {
            // Behind the number of fields and the length of the only one.
            keys.push(&String::from_utf8_lossy(tuple.get(6..).unwrap_or_default()));
        })
        .await?;
    let found =
        keys.build().map_err(|KeysFault { what, fix }| Error::refused(act, what).with_fix(fix))?;
    if found.more {
        tracing::info!(
            "{} has more than {KEYS_MAX} keys: the first ones in the order of {column} are referred to",
            table.as_written()
        );
    }
    Ok(found)
}

/// The keys in their order, as text. One more than count tells that there are more.
fn query(reference: &Reference) -> String {
    let column = quote_identifier(&reference.column);
    let until = reference.last.as_ref();
    let until = until.map(|last| format!(" AND {column} <= {}", quote_literal(last)));
    format!(
        "SELECT CAST(key AS text) FROM (SELECT DISTINCT {column} AS key FROM {} WHERE {column} IS NOT NULL{}) \
         AS keys ORDER BY keys.key LIMIT {}",
        reference.table,
        until.unwrap_or_default(),
        KEYS_MAX + 1
    )
}
