//! The types of arrays' elements that only one server knows by their number: its enums and domains.

use super::beneath::beneath_sql;
use super::mark::Relation;
use super::{Error, Session};
use crate::plan::TableName;

/// The number of each such type by the name of the column of arrays; none where the table is not there.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn find(
    session: &mut Session,
    table: &TableName,
) -> Result<Vec<(String, u32)>, Error> {
    let Some(found) = Relation::find(session, table).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "WITH RECURSIVE {} SELECT a.attname, e.element FROM elements e \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = {} AND a.attnum = e.attnum",
        beneath_sql(found.oid),
        found.oid
    );
    let rows = session.rows(&format!("look up the types of {table}"), &sql).await?;
    let read = |row: Vec<Option<String>>| {
        let [name, oid] = row.try_into().ok()?;
        Some((name?, oid?.parse().ok()?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
