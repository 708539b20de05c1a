//! Which server, database and table this is: what tells them from any other of the same name.

use super::quote::quote_literal;
use super::{Error, Session};
use crate::plan::TableName;
use crate::result::server::ServerIdentity;

impl Session {
    /// What the server says of itself, as far as our role may know it; and of a table, if one is
    /// named and there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn identity(&mut self, table: Option<&TableName>) -> Result<ServerIdentity, Error> {
        let act = "ask which server this is";
        // Some hosts take the right away.
        let asks = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
        let system_identifier = match self.text(act, asks).await {
            Err(error) if error.is_lost() => return Err(error),
            answer => answer.ok().flatten(),
        };
        let table = table.map_or("NULL".to_owned(), |table| quote_literal(&table.to_string()));
        let sql = format!(
            "SELECT oid, datname, pg_catalog.to_regclass({table})::oid FROM pg_catalog.pg_database \
             WHERE datname = pg_catalog.current_database()"
        );
        let rows = self.rows(act, &sql).await?;
        let text = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
        let number = |column: usize| text(column).and_then(|oid| oid.parse().ok());
        Ok(ServerIdentity {
            system_identifier,
            database: text(1),
            database_oid: number(0),
            table_oid: number(2),
            first_row: None,
        })
    }
}
