//! Sessions of our own that hear nothing: what the server says of it, and what goes on.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use strom_load::pg::{Address, Error, Session};

use crate::support::Database;

/// A session that hears nothing for a second at most.
async fn session(database: &Database) -> Session {
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let mut session = Session::own(&address, "strom-load test").await.unwrap();
    session.limit_silence(Duration::from_secs(1));
    session
}

fn refused<T>(answer: Result<T, Error>) -> String {
    let error = answer.err().unwrap();
    assert!(error.is_lost(), "the session is not to be used again: {error}");
    error.to_string()
}

/// Nothing of ours goes on at the server.
async fn until_nothing_runs(database: &Database) {
    let none = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name LIKE 'strom-load%' AND state = 'active'";
    database.until(none).await;
}

#[tokio::test]
async fn a_statement_that_is_not_answered_ends_with_the_reason_and_on_the_server() {
    let database = Database::create().await;
    database.execute("CREATE TABLE held (x int); SET application_name = 'somebody'").await;
    database.execute("BEGIN; LOCK TABLE held").await;
    let other = database.session().await;
    // Whoever waits for a lock does no work, whatever the statement is.
    let began = Instant::now();
    let mut waiting = session(&database).await;
    let said =
        refused(waiting.at_length().text("count its rows", "SELECT count(*) FROM held").await);
    let pid = database.text("SELECT pg_backend_pid()").await;
    let reason = format!("it waits for a lock on held held by session {pid} of somebody");
    let fix = format!(
        "start again when that session is done, or end it: SELECT pg_terminate_backend({pid})"
    );
    assert_eq!(
        said,
        format!("failed to count its rows: no answer for 1 s, {reason}\n  fix: {fix}")
    );
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    until_nothing_runs(&other).await;

    let mut sleeping = session(&database).await;
    let said = refused(sleeping.text("look", "SELECT pg_sleep(100)").await);
    let reason = "while the server is at work on it (Timeout: PgSleep)";
    assert_eq!(said, format!("failed to look: no answer for 1 s, {reason}"));
    until_nothing_runs(&other).await;

    // A backend that was stopped in the middle of its work.
    let mut stopped = session(&database).await;
    let pid = stopped.text("ask", "SELECT pg_backend_pid()").await.unwrap().unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let said = refused(stopped.text("look", "SELECT 1").await);
    kill_process(pid, Signal::CONT).unwrap();
    assert!(said.contains("and to the server the session is idle: the answer is lost"), "{said}");
}

#[tokio::test]
async fn what_the_server_is_at_work_on_takes_as_long_as_it_takes() {
    let database = Database::create().await;
    let mut session = session(&database).await;
    let slow = "SELECT 7 FROM pg_sleep(3)";
    let answer = session.at_length().text("count", slow).await.unwrap();
    assert_eq!(answer.as_deref(), Some("7"));
    // Once means once.
    refused(session.text("count", slow).await);
}
