//! The statements that a session keeps: each for a text and a purpose.

use tokio_postgres::Statement;

/// Those of one session.
#[derive(Default)]
pub(super) struct Kept(Vec<One>);

struct One {
    sql: String,
    of: String,
    statement: Statement,
}

impl Kept {
    /// The statement for a text and a purpose.
    pub(super) fn get(&self, sql: &str, of: &str) -> Option<Statement> {
        let own = self.0.iter().find(|own| own.of == of && own.sql == sql)?;
        Some(own.statement.clone())
    }

    /// Keeps one more.
    pub(super) fn add(&mut self, sql: &str, of: &str, statement: Statement) {
        self.0.push(One { sql: sql.to_owned(), of: of.to_owned(), statement });
    }

    /// Lets go of all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
