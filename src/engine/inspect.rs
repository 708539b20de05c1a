//! What is looked at before anything is created: the server, and whether it takes the queries.

use crate::answer;
use crate::pg;
use crate::plan::AnswerRule;
use crate::query::{ArmedQuery, Asked, TYPICAL};
use crate::result::one_line;
use crate::result::server::{ServerReport, without_secrets};
use crate::strom::{self, Arm};

use super::{PrepareError, Target};

/// The name of the session that controls a job.
pub(super) const CONTROL: &str = "strom-load control";

/// Where the settings of an arm begin, that go with it.
const ENTER: &str = "SAVEPOINT strom_load_arm";
const LEAVE: &str = "ROLLBACK TO SAVEPOINT strom_load_arm; RELEASE SAVEPOINT strom_load_arm";

/// Oldest major version with everything that is used here.
const MAJOR_MIN: u32 = 15;

/// A session on a server that a run may use, and what the server is.
pub(super) async fn connect_and_inspect(
    target: &Target,
    application_name: &str,
) -> Result<(pg::Session, ServerReport), PrepareError> {
    let mut session = pg::Session::own_backend(&target.address, application_name).await?;
    let pg_strom_loaded = strom::is_loaded(&mut session).await?;
    let facts = session.facts().await?;
    if facts.major < MAJOR_MIN {
        return Err(PrepareError::TooOld { version: facts.version });
    }
    if facts.clock.is_far_off() {
        tracing::warn!(
            "the server's clock is {}: queries over a window of time, such as the last minute, look \
             at another window than the one that rows fall into; let NTP set both",
            facts.clock
        );
    }
    let identity = session.identity(None).await?;
    let (address, embedded) = (target.address.to_string(), target.embedded);
    let capabilities = None;
    let report = ServerReport {
        address,
        embedded,
        given_settings: without_secrets(&target.settings),
        identity,
        pg_strom_loaded,
        capabilities,
        facts,
    };
    Ok((session, report))
}

/// The same as [`check_queries`], in a transaction of its own.
pub(super) async fn check_queries_apart(
    session: &mut pg::Session,
    armed_queries: &[ArmedQuery],
    role: Option<&'static str>,
) -> Result<(), PrepareError> {
    session.execute("begin", "BEGIN").await?;
    let checked = check_queries(session, armed_queries, role).await;
    let ended = session.execute("roll back", "ROLLBACK").await;
    checked?;
    Ok(ended?)
}

/// Asks the server about each query, so that a mistake is found before the run, with its place; and
/// so that nothing is run that writes without being allowed to. Within a transaction.
///
/// Each is asked about as its arms will run it, as far as they say what its names mean.
pub(super) async fn check_queries(
    session: &mut pg::Session,
    armed_queries: &[ArmedQuery],
    role: Option<&'static str>,
) -> Result<(), PrepareError> {
    for armed_query in armed_queries {
        let mut asked: Vec<Arm> = Vec::new();
        for arm in &armed_query.arms {
            let meant = strom::naming(arm);
            if asked.iter().any(|asked| asked.set == meant.set) {
                continue;
            }
            session.execute("enter an arm", ENTER).await?;
            let checked = check_query(session, armed_query, &meant, role).await;
            let left = session.execute("leave an arm", LEAVE).await;
            checked?;
            left?;
            asked.push(meant);
        }
    }
    Ok(())
}

async fn check_query(
    session: &mut pg::Session,
    armed_query: &ArmedQuery,
    arm: &Arm,
    role: Option<&'static str>,
) -> Result<(), PrepareError> {
    let query = &armed_query.query;
    if role.is_some() {
        session.act_as_reader().await?;
    }
    strom::enter(session, arm).await?;
    for asked in armed_query.work(TYPICAL).each() {
        check_statement(session, asked).await.map_err(|(error, position)| {
            let place = asked.query.place.show(&asked.query.sql, position);
            let place = place.iter().flat_map(|line| ["\n  ", line]).collect();
            let query = match arm.set.is_empty() {
                true => query.name.clone(),
                false => format!("{}` in arm `{}", query.name, arm.name),
            };
            PrepareError::Query { query, error, place }
        })?;
    }
    let has_no_rule = AnswerRule { compare: query.answers.compare, ..AnswerRule::default() };
    if query.answers == has_no_rule {
        return Ok(());
    }
    let columns = session.columns(&armed_query.asked(TYPICAL).literal()).await?;
    answer::check_names(&columns, &query.answers).map_err(|error| {
        let query = query.name.clone();
        PrepareError::Answers { query, error }
    })
}

/// The class of SQLSTATE of what a value does, and not a text.
const DATA_EXCEPTION: &str = "22";
/// Most characters of a text with its values that are shown.
const TRIED_CHARS: usize = 200;

/// The beginning of a text, on one line.
fn beginning(sql: &str) -> String {
    let line = one_line(sql);
    match line.char_indices().nth(TRIED_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether the server takes a statement; else what it says, and of which character of the text.
async fn check_statement(
    session: &mut pg::Session,
    asked: &Asked<'_>,
) -> Result<(), (pg::Error, Option<u32>)> {
    let query = asked.query;
    let sql = asked.literal();
    let admitted = session.admit(&sql, query.newest_column.as_deref(), query.writes).await;
    admitted.map_err(|error| {
        let position = error.position().map(|at| asked.position_of_literal(at));
        let is_of_values = error.sqlstate().is_some_and(|code| code.starts_with(DATA_EXCEPTION));
        let error = match query.parameters {
            Some(_) if is_of_values && !error.has_fix() => error.with_fix(format!(
                "let it take each value that its parameters may have; it was tried as: {}",
                beginning(&sql)
            )),
            _ => error,
        };
        (error, position)
    })?;
    let Some((numbered, types)) = asked.numbered() else { return Ok(()) };
    session.parse(numbered, types).await.map_err(|error| {
        let position = error.position().map(|at| asked.position_of_numbered(at));
        (error, position)
    })
}
