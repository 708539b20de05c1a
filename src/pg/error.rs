//! What went wrong on the way to the server or in it, told by SQLSTATE.

use std::error::Error as _;
use std::fmt;

use tokio_postgres::error::ErrorPosition;

use crate::row::FileFault;

/// A failed act against the server: what was tried, what happened, what mends it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    act: String,
    cause: Cause,
    fix: Option<String>,
}

#[derive(Debug)]
enum Cause {
    /// The server answered with an error.
    Server(ServerError),
    /// No answer: the connection is gone or never was.
    Connection(String),
    /// The answer, or something on our side of the protocol, was not as expected.
    Other(String),
    /// The run's table, or a lane of it, is another run's.
    TakenOver {
        fact: String,
        /// The id of the first row that the other one could load, if it is known.
        next_first_id: Option<i64>,
    },
}

#[derive(Debug)]
struct ServerError {
    severity: String,
    sqlstate: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<u32>,
}

impl Error {
    /// Wraps an error of the client library; `act` completes "failed to …".
    pub(super) fn new(act: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        let cause = if let Some(db) = error.as_db_error() {
            Cause::Server(ServerError {
                severity: db.severity().to_owned(),
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
                hint: db.hint().map(str::to_owned),
                position: match db.position() {
                    Some(ErrorPosition::Original(position)) => Some(*position),
                    _ => None,
                },
            })
        } else if error.is_closed() {
            Cause::Connection("the connection was closed".to_owned())
        } else if let Some(io) =
            error.source().and_then(|source| source.downcast_ref::<std::io::Error>())
        {
            Cause::Connection(io.to_string())
        } else {
            Cause::Other(chain(error))
        };
        Self::boxed(act.into(), cause)
    }

    /// A fact found out about the server or the table that stops us.
    pub(super) fn refused(act: impl Into<String>, fact: impl Into<String>) -> Self {
        Self::boxed(act.into(), Cause::Other(fact.into()))
    }

    /// Rows cannot be made: a file of values is not what it was.
    pub(crate) fn of_file(fault: FileFault) -> Self {
        Self::refused("make rows", fault.what).with_fix(fault.fix)
    }

    /// A standby has not replayed what was just done on its primary.
    pub(crate) fn far_behind(limit: std::time::Duration) -> Self {
        let fact = format!("the readers' standby has not replayed it within {} s", limit.as_secs());
        Self::refused("have the table on the readers' server", fact).with_fix(
            "look into pg_stat_replication on the primary; if replay is paused: SELECT \
             pg_wal_replay_resume()",
        )
    }

    /// The session was lost before.
    pub fn disconnected() -> Self {
        Self::lost("reach the server", "the connection is lost")
    }

    /// Somebody dropped the table meanwhile.
    pub fn gone(act: impl Into<String>) -> Self {
        Self::refused(act, "it is not there any more").with_fix("start again")
    }

    /// Another run is entering the table.
    pub fn taken(act: impl Into<String>) -> Self {
        Self::refused(act, "another strom-load is at the table")
    }

    /// Another run took over what this one had; `next_first_id`: the id of the first row that it could
    /// load there, if that is known.
    pub(super) fn taken_over(fact: String, next_first_id: Option<i64>) -> Self {
        Self::boxed("come back".to_owned(), Cause::TakenOver { fact, next_first_id })
            .with_fix("start again when that run has ended, or with a table of its own (--table)")
    }

    /// Whether another run took over what this one had.
    pub(crate) fn took_over(&self) -> bool {
        matches!(&self.0.cause, Cause::TakenOver { .. })
    }

    /// The id of the first row that the run that took over could load there, if that is known: all of
    /// ours below it were there by then, and none from it on.
    pub(crate) fn next_first_id(&self) -> Option<i64> {
        match &self.0.cause {
            Cause::TakenOver { next_first_id, .. } => *next_first_id,
            _ => None,
        }
    }

    /// A query that is to read only has switched that off, so its session was closed.
    pub fn let_write() -> Self {
        Self::refused("run the query", "it sets default_transaction_read_only off").with_fix(
            "leave that out of the query; if the queries are to write, set `writes = true` beside \
             them",
        )
    }

    /// Nothing came back in time.
    pub fn timed_out(act: impl Into<String>) -> Self {
        Self::lost(act, "no answer in time")
    }

    /// The connection ended, as seen by whoever drives it.
    pub(super) fn lost(act: impl Into<String>, fact: impl Into<String>) -> Self {
        Self::boxed(act.into(), Cause::Connection(fact.into()))
    }

    fn boxed(act: String, cause: Cause) -> Self {
        Self(Box::new(Inner { act, cause, fix: None }))
    }

    /// The same as the end of the session, whatever it says of itself.
    pub(super) fn into_lost(mut self) -> Self {
        if !self.is_lost() {
            self.0.cause = Cause::Connection(match self.0.cause {
                Cause::Server(server) => server.message,
                Cause::Connection(fact) | Cause::Other(fact) | Cause::TakenOver { fact, .. } => {
                    fact
                }
            });
        }
        self
    }

    /// Adds what else is known to the loss of a session.
    pub(super) fn with_fact(mut self, more: &str) -> Self {
        if let Cause::Connection(fact) = &mut self.0.cause {
            *fact = format!("{fact}; {more}");
        }
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = Some(fix.into());
        self
    }

    /// What the user can do about it: what was added, else what mostly mends such an error. The
    /// server's own hint is none: it is meant for whoever wrote the statement.
    fn fix(&self) -> Option<&str> {
        let usual = || match &self.0.cause {
            Cause::Server(server) => usual_fix(&server.sqlstate, &server.message),
            Cause::Connection(_) | Cause::Other(_) | Cause::TakenOver { .. } => None,
        };
        self.0.fix.as_deref().or_else(usual)
    }

    /// Whether the server's /dev/shm is full.
    pub(crate) fn is_shared_memory_full(&self) -> bool {
        matches!(&self.0.cause, Cause::Server(server)
            if server.sqlstate == "53100" && server.message.contains(SHARED_MEMORY))
    }

    /// Whether the user is told what to do about it.
    pub(crate) fn has_fix(&self) -> bool {
        self.fix().is_some()
    }

    /// The five-character SQLSTATE, if the server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Server(server) => Some(&server.sqlstate),
            _ => None,
        }
    }

    /// The code that errors are counted under: the SQLSTATE, or `08006` (connection failure) for
    /// a connection that broke without one, or `XX000` for anything else.
    pub fn code(&self) -> &str {
        match &self.0.cause {
            Cause::Server(server) => &server.sqlstate,
            Cause::Connection(_) => "08006",
            Cause::Other(_) | Cause::TakenOver { .. } => "XX000",
        }
    }

    /// Whether the statement got no answer at all: it was cancelled, as by a timeout, or its connection
    /// is lost. Any other error is an answer.
    pub fn is_unanswered(&self) -> bool {
        self.is_lost() || self.code() == super::fault::QUERY_CANCELED
    }

    /// Whether a transaction was given up for another one at the same rows: a serialization failure or a
    /// deadlock. The same again may succeed.
    pub fn is_conflict(&self) -> bool {
        matches!(self.code(), "40001" | "40P01")
    }

    /// Whether the session is gone: the connection broke, or the server said that it ends it.
    pub fn is_lost(&self) -> bool {
        match &self.0.cause {
            Cause::Server(server) => matches!(server.severity.as_str(), "FATAL" | "PANIC"),
            Cause::Connection(_) => true,
            Cause::Other(_) | Cause::TakenOver { .. } => false,
        }
    }

    /// What the server said, if it answered.
    pub(super) fn message(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::Server(server) => Some(&server.message),
            _ => None,
        }
    }

    /// Character position in the SQL text that the server points at, from 1.
    pub fn position(&self) -> Option<u32> {
        match &self.0.cause {
            Cause::Server(server) => server.position,
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: ", self.0.act)?;
        match &self.0.cause {
            Cause::Server(server) => {
                write!(f, "{} (SQLSTATE {})", server.message, server.sqlstate)?;
                if let Some(detail) = &server.detail {
                    write!(f, "\n  detail: {detail}")?;
                }
                if let Some(hint) = &server.hint {
                    write!(f, "\n  hint (server): {hint}")?;
                }
            }
            Cause::Connection(fact) | Cause::Other(fact) | Cause::TakenOver { fact, .. } => {
                f.write_str(fact)?;
            }
        }
        if let Some(fix) = self.fix() {
            write!(f, "\n  fix: {fix}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What PostgreSQL calls its files in /dev/shm.
const SHARED_MEMORY: &str = "shared memory segment";

/// What mends an error of the server, whatever was tried.
fn usual_fix(sqlstate: &str, message: &str) -> Option<&'static str> {
    Some(match sqlstate {
        // PostgreSQL reports a full /dev/shm like a full disk.
        "53100" if message.contains(SHARED_MEMORY) => {
            "give the server a larger /dev/shm (docker run --shm-size=1g; in Kubernetes an emptyDir \
             with medium: Memory), or set dynamic_shared_memory_type = mmap in its postgresql.conf (--pg-set \
             dynamic_shared_memory_type=mmap for a server of our own)"
        }
        "53100" => "free space on the server's disk",
        "22P05" => {
            "use a database with encoding UTF8 (createdb -E UTF8 -T template0 NAME), or write only \
             characters that this database's encoding has"
        }
        _ => return None,
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
