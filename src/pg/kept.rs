//! The statements that a session keeps, each for a text and a purpose; and the texts whose answers it knows the
//! types of.

use std::collections::HashSet;

use tokio_postgres::Statement;

/// Texts that are remembered.
const DESCRIBED_MAX: usize = 1_000;

/// Those of one session.
#[derive(Default)]
pub(super) struct Kept {
    statements: Vec<One>,
    described: HashSet<String>,
}

struct One {
    sql: String,
    of: String,
    statement: Statement,
}

impl Kept {
    /// The statement for a text and a purpose.
    pub(super) fn get(&self, sql: &str, of: &str) -> Option<Statement> {
        let own = self.statements.iter().find(|own| own.of == of && own.sql == sql)?;
        Some(own.statement.clone())
    }

    /// Keeps one more.
    pub(super) fn add(&mut self, sql: &str, of: &str, statement: Statement) {
        self.statements.push(One { sql: sql.to_owned(), of: of.to_owned(), statement });
    }

    /// Whether the types of a text's answer are known.
    pub(super) fn is_described(&self, sql: &str) -> bool {
        self.described.contains(sql)
    }

    /// Notes that they are.
    pub(super) fn describe(&mut self, sql: &str) {
        // A session that asks more of them asks each once: it need not remember.
        if self.described.len() >= DESCRIBED_MAX {
            self.described.clear();
        }
        self.described.insert(sql.to_owned());
    }

    /// Lets go of all.
    pub(super) fn clear(&mut self) {
        self.statements.clear();
        self.described.clear();
    }
}
