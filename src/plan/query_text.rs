//! The text of a query: one statement, or several that are one transaction.

use super::SqlPlace;
use super::fault::suggest;
use super::source::Report;
use super::sql::{Shape, first_word, shape, split};
use crate::profile::{self, Located};

/// Most statements of one transaction.
const STATEMENTS_MAX: usize = 100;
/// What begins or ends a transaction, or is within one only.
const OF_TRANSACTIONS: [&str; 9] =
    ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare"];

/// A statement, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// SQL text.
    pub sql: String,
    /// Its place in the profile.
    pub place: SqlPlace,
}

/// The text of a query.
pub(super) struct QueryText {
    /// All of it.
    pub(super) sql: String,
    pub(super) place: SqlPlace,
    /// Those of a transaction; none: it is one statement.
    pub(super) statements: Vec<Statement>,
}

/// Takes a query's text out of its profile; what is faulty is reported.
pub(super) fn text(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
) -> Option<QueryText> {
    let written = [
        query.sql.as_ref().map(|own| ("sql", own.span())),
        query.statements.as_ref().map(|_| ("statements", query.span())),
        query.sql_file.as_ref().map(|own| ("sql_file", own.span())),
    ];
    let mut written = written.into_iter().flatten();
    if let (Some((one, _)), Some((other, span))) = (written.next(), written.next()) {
        let what = format!("a query has both `{one}` and `{other}`");
        report.at(&span, what, "delete one of them".to_owned());
        return None;
    }
    if let Some(name) = query.sql_file.take() {
        return of_file(report, query, &name);
    }
    if let Some(statements) = query.statements.clone() {
        return transaction(report, query, &statements, |report, one| {
            report.sql_place(&one.span())
        });
    }
    let Some(sql) = &query.sql else {
        let fix = "add it, for example `sql = \"SELECT count(*) FROM {table}\"`".to_owned();
        report.missing_in(&query.span(), "sql", "a query has no `sql`".to_owned(), fix);
        return None;
    };
    let place = report.sql_place(&sql.span());
    is_one(report, "sql", sql).then(|| QueryText {
        sql: sql.to_string(),
        place,
        statements: Vec::new(),
    })
}

/// The text of the file that a query names, which goes into the profile in the place of its name.
fn of_file(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
    name: &Located<String>,
) -> Option<QueryText> {
    let file = report.files().get(name);
    let text = match file.and_then(|file| file.text().map(str::to_owned)) {
        Ok(text) => text,
        Err(why) => {
            let what = format!("failed to read `{}`: {why}", name.as_str());
            let fix = "name a file with SQL, from the profile's folder on";
            report.at(&name.span(), what, fix.to_owned());
            return None;
        }
    };
    let place = report.place_beside(name);
    if shape(&text) != Shape::Several {
        let sql = name.with(text);
        query.sql = Some(sql.clone());
        let sql_text = sql.to_string();
        return is_one(report, "sql", &sql).then(|| QueryText {
            sql: sql_text,
            place,
            statements: Vec::new(),
        });
    }
    let found = split(&text);
    let statements: Vec<_> = found.iter().map(|own| name.with(own.sql.to_owned())).collect();
    query.statements = Some(statements.clone());
    let mut lines = found.iter().map(|own| own.line);
    let place_of = |_: &mut Report<'_>, _: &Located<String>| {
        place.clone().beginning(lines.next().unwrap_or(1))
    };
    transaction(report, query, &statements, place_of)
}

fn transaction(
    report: &mut Report<'_>,
    query: &Located<profile::Query>,
    written: &[Located<String>],
    mut place: impl FnMut(&mut Report<'_>, &Located<String>) -> SqlPlace,
) -> Option<QueryText> {
    if !(1..=STATEMENTS_MAX).contains(&written.len()) {
        let what = format!("a transaction has {} statements", written.len());
        let fix = format!("write 1 to {STATEMENTS_MAX} statements");
        report.at(&query.span(), what, fix);
        return None;
    }
    let mut statements = Vec::with_capacity(written.len());
    for own in written {
        let place = place(report, own);
        if is_one(report, "statements", own) && is_within(report, own) {
            statements.push(Statement { sql: own.to_string(), place });
        }
    }
    (statements.len() == written.len()).then(|| QueryText {
        sql: written.iter().map(|own| own.as_str()).collect::<Vec<_>>().join(";\n"),
        place: statements.first().map(|first| first.place.clone()).unwrap_or_default(),
        statements,
    })
}

/// A transaction begins before its first statement and ends behind its last.
fn is_within(report: &mut Report<'_>, sql: &Located<String>) -> bool {
    let first = first_word(sql).to_ascii_lowercase();
    let is_of_one = OF_TRANSACTIONS.contains(&first.as_str());
    if is_of_one {
        let word = first.to_ascii_uppercase();
        let what = format!("the statements are one transaction, and {word} stands among them");
        report.at(&sql.span(), what, "delete it".to_owned());
    }
    !is_of_one
}

/// Whether a text is one statement, without placeholders that nobody fills in.
fn is_one(report: &mut Report<'_>, key: &str, sql: &Located<String>) -> bool {
    let (what, fix) = match shape(sql) {
        _ if sql.contains('\0') => (format!("`{key}` holds a NUL character"), "delete it".to_owned()),
        Shape::One { unknown_placeholders } => match unknown_placeholders.first() {
            None => return true,
            Some(name) => {
                (format!("`{key}` has an unknown placeholder `{{{name}}}`"), suggest(name, ["table"]))
            }
        },
        Shape::Empty => (
            format!("`{key}` holds no statement"),
            "write one, for example `SELECT count(*) FROM {table}`".to_owned(),
        ),
        Shape::Several => (
            format!("`{key}` holds several statements"),
            "write one; give each further one its own query, or list them in `statements`, where they are \
             one transaction"
                .to_owned(),
        ),
        Shape::Unclosed => {
            (format!("`{key}` has a quote or comment that is not closed"), "close it".to_owned())
        }
    };
    report.at(&sql.span(), what, fix);
    false
}
