//! An Arrow file as a foreign table, through PG-Strom's arrow_fdw; and its end.

use std::path::Path;

use crate::pg::{Error, Session, quote_literal};
use crate::plan::{TableName, quote_identifier};

/// The foreign server that PG-Strom's extension creates.
const SERVER: &str = "arrow_fdw";

/// Why a file is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database has no arrow_fdw. Whoever can do without skips it by this reason.
    #[error(
        "this database has no foreign server `{SERVER}`: Arrow files are read by PG-Strom\n  fix: \
         load PG-Strom and run CREATE EXTENSION pg_strom in this database, or leave the import out"
    )]
    NoArrowFdw,
    /// There is something of that name.
    #[error("`{table}` is already there\n  fix: drop it, or give the foreign table another name")]
    Taken {
        /// The name asked for.
        table: String,
    },
    /// Nowhere to create the table in.
    #[error(
        "no schema to create `{table}` in: search_path names none that exists\n  fix: write it with \
         its schema, such as public.{table}"
    )]
    NoSchema {
        /// The name asked for.
        table: String,
    },
    /// The path cannot be told to the server.
    #[error("failed to find `{path}` for the server: {fact}")]
    Path {
        /// The file.
        path: String,
        /// What happened.
        fact: String,
    },
    /// The server does not get at the file, or not at what is in it.
    #[error(
        "the server cannot read `{path}`: {error}\n  fix: the server must run on this machine and \
         see the same file system; let its account read the file and enter every folder above it \
         (chmod o+x), or write the file elsewhere"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the server said.
        error: Error,
    },
    /// The foreign table has not the rows that were written.
    #[error("`{table}` has {found} rows, and {written} were written to its file")]
    Rows {
        /// The foreign table.
        table: String,
        /// Rows of the file.
        written: u64,
        /// Rows that the server counts.
        found: String,
    },
    /// Something else failed.
    #[error(transparent)]
    Server(#[from] Error),
}

/// Whether [`import`] can be tried: arrow_fdw is there and the name is free.
///
/// # Errors
/// When it is not so, or the server fails.
pub async fn check(session: &mut Session, table: &TableName) -> Result<(), ImportError> {
    let sql = format!("SELECT 1 FROM pg_foreign_server WHERE srvname = {}", quote_literal(SERVER));
    if session.text("look for arrow_fdw", &sql).await?.is_none() {
        return Err(ImportError::NoArrowFdw);
    }
    let sql = format!("SELECT to_regclass({})", quote_literal(&table.to_string()));
    match session.text(&format!("look up table {table}"), &sql).await? {
        Some(_) => Err(ImportError::Taken { table: table.as_written() }),
        None => Ok(()),
    }
}

/// Makes the Arrow file at `path` a foreign table and counts its rows, which must be `rows`. The
/// table is created with all of that true, or not at all.
///
/// # Errors
/// When there is no arrow_fdw, the name is taken, the server cannot read the file or counts other
/// rows.
pub async fn import(
    session: &mut Session,
    table: &TableName,
    path: &Path,
    rows: u64,
) -> Result<(), ImportError> {
    check(session, table).await?;
    let shown = path.display().to_string();
    let path_fault = |fact: String| ImportError::Path { path: shown.clone(), fact };
    // The server has another working directory.
    let absolute = std::fs::canonicalize(path).map_err(|error| path_fault(error.to_string()))?;
    let absolute = absolute.to_str().ok_or_else(|| path_fault("it is not valid UTF-8".into()))?;
    let schema = match &table.schema {
        Some(schema) => schema.clone(),
        None => {
            let schema = session.text("find the schema", "SELECT current_schema()").await?;
            schema.ok_or_else(|| ImportError::NoSchema { table: table.as_written() })?
        }
    };
    let table = TableName { schema: Some(schema.clone()), name: table.name.clone() };
    session.execute("begin", "BEGIN").await?;
    let outcome = import_and_count(session, &table, &schema, absolute, rows).await;
    match outcome {
        Ok(()) => Ok(session.execute(&format!("create {table}"), "COMMIT").await?),
        Err(error) => {
            // The first error is the one to tell.
            let _ = session.execute("roll back", "ROLLBACK").await;
            Err(error)
        }
    }
}

async fn import_and_count(
    session: &mut Session,
    table: &TableName,
    schema: &str,
    path: &str,
    rows: u64,
) -> Result<(), ImportError> {
    let unreadable = |error: Error| match error.to_string() {
        text if text.contains(path) => ImportError::Unreadable { path: path.to_owned(), error },
        _ if error.sqlstate() == Some("42501") => ImportError::Server(error.with_fix(format!(
            "let an owner run GRANT USAGE ON FOREIGN SERVER {SERVER} and GRANT CREATE ON SCHEMA \
             for this role"
        ))),
        _ => ImportError::Server(error),
    };
    let sql = format!(
        "IMPORT FOREIGN SCHEMA {} FROM SERVER {SERVER} INTO {} OPTIONS (file {})",
        quote_identifier(&table.name),
        quote_identifier(schema),
        quote_literal(path)
    );
    let act = format!("import the file as {table}");
    session.execute(&act, &sql).await.map_err(unreadable)?;
    let sql = format!("SELECT count(*) FROM {table}");
    let found = session.at_length().text(&format!("count the rows of {table}"), &sql).await;
    let found = found.map_err(unreadable)?.unwrap_or_default();
    if found.parse() == Ok(rows) {
        Ok(())
    } else {
        Err(ImportError::Rows { table: table.as_written(), written: rows, found })
    }
}

/// Drops a foreign table that [`import`] made. The file stays.
///
/// # Errors
/// When there is none of that name, or it is not a foreign table.
pub async fn drop_table(session: &mut Session, table: &TableName) -> Result<(), Error> {
    let sql = format!("DROP FOREIGN TABLE {table}");
    session.execute(&format!("drop foreign table {table}"), &sql).await
}
