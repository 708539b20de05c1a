//! Waits before the work: after three seconds each is told of, with who holds it up; and each ends.

use std::time::{Duration, Instant};

use strom_load::dataset::{DatasetError, FillProgress, Stage};
use strom_load::engine::{self, FillOptions, Shutdown};
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::pg::{Address, Session};

use crate::datasets::sales;
use crate::support::{Database, Program, connect};

const COLUMNS: &str = "id bigint, category text, region text, amount numeric(15,2), \
                       gpu_partition integer, created_at timestamptz";

#[tokio::test]
async fn a_lock_on_the_table_is_told_of_with_its_holder() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "SET application_name = 'nightly report'; \
             CREATE TABLE taken ({COLUMNS}) PARTITION BY LIST (gpu_partition)"
        ))
        .await;
    database.execute("BEGIN; LOCK TABLE taken").await;
    let pid = database.text("SELECT pg_backend_pid()").await;
    let began = Instant::now();
    let args = ["--table", "taken", "--rate", "300", "--duration", "1s", "--warmup", "0s"];
    let program = Program::run(&database, &[&args[..], &["--readers", "0"]].concat());
    let said = program.says("WARN waiting to ").await;
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    let expected =
        format!(": it waits for a lock on taken held by session {pid} of nightly report");
    assert!(said.ends_with(&expected), "{said}");
    database.execute("ROLLBACK").await;
    let ended = program.end().await;
    assert_eq!(ended.done()["stream"]["rows_acknowledged"], 300);
    // Of a wait that is over nothing more is said.
    assert_eq!(ended.stderr.matches("waiting to").count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn a_table_that_somebody_is_creating_is_told_of() {
    let database = Database::create().await;
    database.execute("SET application_name = 'psql'; BEGIN; CREATE TABLE fresh (x int)").await;
    let pid = database.text("SELECT pg_backend_pid()").await;
    let program = Program::run(&database, &["--table", "fresh"]);
    let said = program.says("WARN waiting to create table \"fresh\": ").await;
    assert_eq!(said, format!("it waits for a lock held by session {pid} of psql"));
    database.execute("COMMIT").await;
    let ended = program.end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
}

#[tokio::test]
async fn a_query_of_a_benchmark_that_waits_is_told_of() {
    let database = Database::create().await;
    database.execute("CREATE TABLE facts (x int)").await;
    database.execute("BEGIN; LOCK TABLE facts").await;
    let folder = crate::support::scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let profile = "[bench]\ntable = 'facts'\ntime_s = 1\n[[bench.queries]]\nname = 'q'\n\
                   sql = 'SELECT count(*) FROM {table}'\n";
    std::fs::write(folder.path().join("work/b.toml"), profile).unwrap();
    let address = database.address();
    let args = ["run", "b.toml", "--metrics-addr", "off", "--output", "out", "--database-url"];
    let program = Program::start_in(folder, &[&args[..], &[&address]].concat(), &[]);
    let said = program.says("WARN waiting to prepare the query: ").await;
    assert!(said.starts_with("it waits for a lock on facts held by session "), "{said}");
    database.execute("ROLLBACK").await;
    let ended = program.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn a_wait_ends_with_who_held_it_up() {
    let database = Database::create().await;
    database.execute("CREATE TABLE held (x int)").await;
    database.execute("BEGIN; LOCK TABLE held").await;
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let mut session = Session::own_backend(&address, "strom-load control").await.unwrap();
    session.limit_silence(Duration::from_secs(2));
    let error = session.text("count", "SELECT count(*) FROM held").await.unwrap_err().to_string();
    let pid = database.text("SELECT pg_backend_pid()").await;
    let fix = format!(
        "\n  fix: start again when that session is done, or end it: SELECT pg_terminate_backend({pid})"
    );
    assert!(error.contains("no answer for 2 s, it waits for a lock on held held by"), "{error}");
    assert!(error.ends_with(&fix), "{error}");
}

struct Silent;

impl FillProgress for Silent {
    fn show(&self, _: &str, _: Stage<'_>) {}
}

#[tokio::test]
async fn a_fill_says_for_whom_it_waits_and_gives_up_one_who_does_nothing() {
    let database = Database::create().await;
    let table = sales(1000);
    let name = table.name.as_written();
    // What another loader holds whose machine is gone.
    database
        .execute(&format!(
            "SET application_name = 'strom-load fill control'; \
             SELECT pg_advisory_lock(hashtextextended('strom-load data set public.{name}', 0))"
        ))
        .await;
    let pid = database.text("SELECT pg_backend_pid()").await;
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let tables = [table];
    let options = FillOptions { idle_max: Some(Duration::from_secs(2)), ..FillOptions::default() };
    let filled = engine::fill(&address, &tables, options, &Silent, &Shutdown::default()).await;
    let error = filled.unwrap_err();
    assert!(matches!(&error, DatasetError::Reserved { .. }), "{error}");
    let expected = format!(
        "table {name}: session {pid} of another strom-load has reserved it, and has done nothing for \
         2 s\n  fix: end that loader, or its session: SELECT pg_terminate_backend({pid})"
    );
    assert_eq!(error.to_string(), expected);
}

/// A COMMIT that waits for a standby which is gone holds no lock, and nobody blocks it.
#[tokio::test]
async fn a_synchronous_standby_that_is_gone_is_told_of() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let client = connect(server.socket_dir(), server.port()).await;
    let standby = "ALTER SYSTEM SET synchronous_standby_names = 'ghost'";
    client.batch_execute(standby).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let address = server.conninfo();
    let args = ["--database-url", &address, "--metrics-addr", "off", "--output", "out", "--rate"];
    let rest = ["300", "--duration", "1s", "--warmup", "0s", "--readers", "0"];
    let program = Program::start(&[&args[..], &rest].concat());
    let said = program.says("WARN waiting to create table \"l40s_realtime_stream\": ").await;
    assert_eq!(said, "it waits for a synchronous standby");
    client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    program.end().await.done();
    server.stop().await.unwrap();
}
