//! As long as one session of a run is connected, whichever it is, no other run drops or enters its
//! table, on a real server.

use std::fs;

use rustix::process::Signal;

use crate::support::{Database, Ended, Program, scratch};

const SMALL: [&str; 6] = ["--rate", "300", "--readers", "0", "--warmup", "0s"];

/// Starts a run, and waits until its rows come in.
async fn start(database: &Database, user: &str, more: &[&str]) -> Program {
    let address = database.address_of(user);
    let mut args = vec!["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
    args.extend(SMALL);
    args.extend(more);
    let program = Program::start(&args);
    program.says("results in").await;
    database.until("SELECT to_regclass('l40s_realtime_stream') IS NOT NULL").await;
    database.until("SELECT count(*) > 0 FROM l40s_realtime_stream").await;
    program
}

/// A second run must be refused, whether it would drop the table or only enter it.
async fn keeps_out(database: &Database) {
    for more in [&["--recreate"][..], &[], &["--recreate=l40s_realtime_stream"]] {
        let args = [&SMALL[..], &["--partitions", "1", "--duration", "1s"], more].concat();
        let second = Program::run(database, &args).end().await;
        assert_eq!(second.code, Some(3), "{}", second.stderr);
        let expected =
            "failed to reserve table \"l40s_realtime_stream\": another strom-load is at it";
        assert!(second.stderr.contains(expected), "{}", second.stderr);
    }
}

async fn terminate(database: &Database, like: &str) -> i64 {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE '{like}'"
    );
    database.number(&sql).await
}

/// Ends the run: every row that was due is there, once, and the audit has found it.
async fn nothing_is_missing(database: &Database, run: Program) -> Ended {
    run.signal(Signal::INT);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(130), "{}{}", ended.stdout, ended.stderr);
    let stream = &ended.result()["stream"];
    let rows = stream["rows_due"].as_i64().unwrap();
    assert!(rows >= 300, "{rows}");
    assert_eq!(stream["rows_found"], rows);
    assert_eq!(stream["rows_acknowledged"], rows);
    let sql =
        "SELECT count(*) FROM (SELECT DISTINCT gpu_partition, id FROM l40s_realtime_stream) r";
    assert_eq!(database.number(sql).await, rows);
    ended
}

#[tokio::test]
async fn a_limit_on_idle_sessions_takes_no_reservation_away() {
    let database = Database::create().await;
    let role = format!("idle_{}", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}; \
             ALTER ROLE {role} SET idle_session_timeout = '500ms'"
        ))
        .await;
    let first = start(&database, &role, &["--partitions", "2", "--duration", "10m"]).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    keeps_out(&database).await;
    let ended = nothing_is_missing(&database, first).await;
    assert!(!ended.stderr.contains("is lost"), "{}", ended.stderr);
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_lost_control_session_is_said_and_replaced() {
    let database = Database::create().await;
    let first = start(&database, "postgres", &["--partitions", "2", "--duration", "10m"]).await;
    assert_eq!(terminate(&database, "strom-load control").await, 1);
    keeps_out(&database).await;
    first.says("the session that reserves the table is lost").await;
    first.says("the table is reserved again, by a new session").await;
    // Those of the runs that were refused may take a moment to go.
    let control = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'strom-load control'";
    database.until(control).await;
    // The producers come back, and hold it again too.
    let producers = "SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name LIKE 'strom-load producer%'";
    database.until(producers).await;
    assert_eq!(terminate(&database, "strom-load producer%").await, 2);
    database.until(producers).await;
    assert_eq!(terminate(&database, "strom-load control").await, 1);
    keeps_out(&database).await;
    nothing_is_missing(&database, first).await;
}

#[tokio::test]
async fn one_producer_is_enough_to_keep_the_table() {
    let database = Database::create().await;
    let role = format!("alone_{}", database.name);
    database
        .execute(&format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"))
        .await;
    let first = start(&database, &role, &["--partitions", "2", "--duration", "10m"]).await;
    // Nobody comes back for a while.
    database.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
    assert_eq!(terminate(&database, "strom-load control").await, 1);
    assert_eq!(terminate(&database, "strom-load producer 0").await, 1);
    keeps_out(&database).await;
    let left = "SELECT string_agg(application_name, ', ') FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'strom-load%'";
    // The others may have come back in the moment before the server knew of the limit.
    assert!(database.text(left).await.contains("strom-load producer 1"));
    database.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
    nothing_is_missing(&database, first).await;
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

const SALES: &str = "[[tables]]\nname = 'sales'\nrows = 20_000\n\
                     columns = [{ name = 'id', type = 'bigint', values = 'row_id' }]\n";

/// The program with this profile.
fn with(profile: &str, args: &[&str]) -> Program {
    let folder = scratch();
    fs::create_dir(folder.path().join("work")).unwrap();
    fs::write(folder.path().join("work/sales.toml"), profile).unwrap();
    Program::start_in(folder, args, &[])
}

#[tokio::test]
async fn a_table_is_not_dropped_from_under_a_benchmark() {
    let database = Database::create().await;
    let address = database.address();
    let profile = format!(
        "[bench]\npairs_min = 10\npairs_max = 10\n[[bench.queries]]\nname = 'q'\n\
         sql = 'SELECT count(*), pg_sleep(0.5) FROM {{table}}'\n{SALES}"
    );
    let args = ["run", "sales.toml", "--database-url", &address, "--output", "out"];
    let bench = with(&profile, &[&args[..], &["--metrics-addr", "off"]].concat());
    database
        .until(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'strom-load bench' AND state = 'active')",
        )
        .await;
    let fill = ["fill", "sales.toml", "--database-url", &address];
    for more in [&["--recreate"][..], &["--scale", "2"]] {
        let ended = with(SALES, &[&fill[..], more].concat()).end().await;
        assert_eq!(ended.code, Some(3), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("another strom-load is at it"), "{}", ended.stderr);
    }
    // Reading it too is no harm.
    assert_eq!(with(SALES, &fill).end().await.code, Some(0));
    let ended = bench.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(with(SALES, &[&fill[..], &["--scale", "2"]].concat()).end().await.code, Some(0));
}

#[tokio::test]
async fn the_sessions_that_fill_a_table_keep_it_too() {
    let database = Database::create().await;
    let address = database.address();
    let fill = ["fill", "sales.toml", "--rows", "6M", "--connections", "1", "--database-url"];
    let fill = [&fill[..], &[&address]].concat();
    let first = with(SALES, &fill);
    first.says("rows/s").await;
    assert_eq!(terminate(&database, "strom-load fill control").await, 1);
    let second = with(SALES, &[&fill[..], &["--recreate"]].concat()).end().await;
    assert_eq!(second.code, Some(3), "{}", second.stderr);
    assert!(second.stderr.contains("another strom-load is at it"), "{}", second.stderr);
    let ended = first.end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(database.number("SELECT count(*) FROM sales").await, 6_000_000);
    let third = with(SALES, &fill).end().await;
    assert!(third.stdout.contains("\nsales: completed, 6,000,000 rows"), "{}", third.stdout);
}
