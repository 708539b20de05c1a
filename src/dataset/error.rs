//! Why a table could not be made ready: place, fact, fix.

use std::time::Duration;

use crate::pg;
use crate::quantity::format_count;
use crate::row::EncodeError;

/// Why a table could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The server refused something, or is gone.
    #[error("table {table}: {error}")]
    Server {
        /// The table.
        table: String,
        /// What it said.
        error: pg::Error,
    },
    /// The columns have no rows.
    #[error("table {table}: {error}")]
    Row {
        /// The table.
        table: String,
        /// Why.
        error: Box<EncodeError>,
    },
    /// Something of that name is there, and strom-load did not make it.
    #[error("table {table}: {what}\n  fix: {fix}")]
    NotOurs {
        /// The table.
        table: String,
        /// What is there.
        what: String,
        /// What to do about it.
        fix: &'static str,
    },
    /// strom-load made it, but not as the profile wants it.
    #[error(
        "table {table} is not the one that the profile describes: {}\n  fix: give the profile and \
         --seed that it was filled with, name another table, or let --recreate drop and rebuild it",
        differences.join("; ")
    )]
    Mismatch {
        /// The table.
        table: String,
        /// Every difference.
        differences: Vec<String>,
    },
    /// It has more rows than the profile wants, and is that profile's else.
    #[error(
        "table {table} was filled with {} rows, and {} are wanted: a table grows, and does not \
         shrink\n  fix: {same_size}, the size that it has; or with --recreate, which drops its rows",
        format_count(*rows), format_count(*wanted)
    )]
    TooLarge {
        /// The table.
        table: String,
        /// Rows that it was filled with.
        rows: u64,
        /// Rows that the profile wants.
        wanted: u64,
        /// How to ask for the size that it has.
        same_size: String,
    },
    /// It broke off while rows were loaded.
    #[error(
        "table {table}: {error}\n  {} of {} rows are in the table, which is recorded as half-filled",
        format_count(*rows_done), format_count(*rows)
    )]
    Load {
        /// The table.
        table: String,
        /// Rows committed.
        rows_done: u64,
        /// Rows wanted.
        rows: u64,
        /// What happened.
        error: pg::Error,
    },
    /// The rows are not those that were generated.
    #[error(
        "table {table}: its rows have checksum {found}, but those generated have {generated}: rows \
         were altered\n  fix: let --recreate drop and rebuild it"
    )]
    Altered {
        /// The table.
        table: String,
        /// Checksum of what is in the table.
        found: String,
        /// Checksum of what belongs there.
        generated: String,
    },
    /// Another strom-load has reserved it and does nothing.
    #[error(
        "table {table}: session {pid} of another strom-load has reserved it, and has done nothing \
         for {} s\n  fix: end that loader, or its session: SELECT pg_terminate_backend({pid})",
        idle.as_secs()
    )]
    Reserved {
        /// The table.
        table: String,
        /// Who has it.
        pid: u32,
        /// For how long nothing came to an end.
        idle: Duration,
    },
    /// A signal came while the table was being filled.
    #[error(
        "interrupted: {} of {} rows of table {table} are loaded; the next start goes on from there",
        format_count(*rows_done), format_count(*rows)
    )]
    Interrupted {
        /// The table.
        table: String,
        /// Rows committed.
        rows_done: u64,
        /// Rows wanted.
        rows: u64,
    },
    /// A signal came while nothing of the table was being changed.
    #[error("interrupted while {doing}: table {table} is as it was")]
    Untouched {
        /// The table.
        table: String,
        /// What was being done, such as "counting its rows".
        doing: String,
    },
    /// A signal came while the table was being filled, and how far that is was not looked at.
    #[error("interrupted: table {table} is half-filled; the next start completes it")]
    HalfFilled {
        /// The table.
        table: String,
    },
    /// A task broke; a defect of strom-load.
    #[error("a task of strom-load broke, please report it: {0}")]
    Task(String),
    /// Threads or timers.
    #[error("failed to start threads and timers: {0}")]
    System(#[from] std::io::Error),
}

impl DatasetError {
    /// Wraps the server's refusal, with the usual remedy.
    pub(super) fn server(table: &str, error: pg::Error) -> Self {
        Self::Server { error: with_remedy(error, table), table: table.to_owned() }
    }
}

/// The usual remedy for what a server may say while a table is made and filled.
pub(super) fn with_remedy(error: pg::Error, table: &str) -> pg::Error {
    let fix = match error.sqlstate() {
        // Its own fix, which is not about the disk.
        Some("53100") if error.is_shared_memory_full() => return error,
        Some("53100") => {
            "free space on the server's disk and start again: rows that are loaded are kept"
        }
        Some("42704") => {
            "use what the server has: SELECT amname FROM pg_am WHERE amtype = 'i' lists index methods"
        }
        Some("54000") => {
            "declare fewer or shorter columns, or leave the index out: it has room for short values"
        }
        Some("3F000") => "create the schema first, or name another",
        Some("42501") => {
            return error.with_fix(format!(
                "to make it, `GRANT CREATE ON SCHEMA …` is needed; to reuse it, `GRANT SELECT ON \
                 {table} TO …`; to complete or rebuild it, start as its owner"
            ));
        }
        Some("55P03") => "a session holds the table; wait until it ends, or end it",
        None if error.is_lost() => "start again: rows that are loaded are kept",
        _ => return error,
    };
    error.with_fix(fix)
}
