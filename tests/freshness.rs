//! How old answers are: what a query could not see, against what is known to be missing.

mod standby;

use std::time::Duration;

use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};

use standby::Standby;

use crate::support::{Database, Ended, Program, scratch};

/// Two queries of the stream's table, and one that is about something else.
const PROFILE: &str = r#"
warmup_s = 0
[stream]
[readers]
count = 2
queries_per_s = 40
[[readers.queries]]
name = "newest"
sql = "SELECT max(created_at) AS newest FROM {table}"
newest_column = "newest"
[[readers.queries]]
name = "counted"
sql = "SELECT count(*) FROM {table} WHERE gpu_partition = 1"
[[readers.queries]]
name = "elsewhere"
sql = "SELECT count(*) FROM generate_series(1, 1000)"
"#;

fn start(database: &Database, args: &[&str]) -> Program {
    let folder = scratch();
    let file = folder.path().join("fresh.toml");
    std::fs::write(&file, PROFILE).unwrap();
    let address = database.address();
    let common = ["run", file.to_str().unwrap(), "--database-url", &address, "--output", "out"];
    Program::start_in(folder, &[&common[..], &["--metrics-addr", "off"], args].concat(), &[])
}

fn query<'r>(result: &'r Value, name: &str) -> &'r Value {
    let queries = result["queries"].as_array().unwrap();
    queries.iter().find(|query| query["query"] == name).unwrap()
}

fn ms(times: &Value, figure: &str) -> f64 {
    times[figure].as_f64().unwrap_or_else(|| panic!("{figure} of {times}"))
}

#[tokio::test]
async fn a_partition_that_stands_still_makes_every_answer_old() {
    let database = Database::create().await;
    let frozen = Duration::from_secs(5);
    let program = start(&database, &["--rate", "300", "--duration", "12s", "--table", "frozen"]);
    program.says("results in").await;
    database.until("SELECT to_regclass('frozen_p0') IS NOT NULL").await;
    database.until("SELECT count(*) > 0 FROM frozen_p0").await;
    // Its producer waits for this lock; the others go on, and so do all queries.
    database.execute("BEGIN; LOCK TABLE ONLY frozen_p0 IN SHARE MODE").await;
    tokio::time::sleep(frozen).await;
    database.execute("COMMIT").await;
    let ended = program.end().await;
    let result = ended.done();
    assert!(ended.stdout.contains("answers as old as "), "{}", ended.stdout);
    let frozen_ms = frozen.as_secs_f64() * 1e3;
    for name in ["newest", "counted"] {
        let query = query(&result, name);
        let oldest = ms(&query["answer_age"], "max_ms");
        // Ages are asked for within a twentieth of the time, and a busy machine asks nothing for seconds: so
        // not just before its end. Without the lock they are a tenth of a second.
        assert!((frozen_ms * 0.15..frozen_ms * 3.0).contains(&oldest), "{query}");
        assert_eq!(query["freshness"]["max_ms"], 0.0, "nothing acknowledged was missing");
    }
    // The newest row of the table is one of the others.
    let newest = query(&result, "newest");
    assert!(ms(&newest["newest_age"], "p50_ms") < frozen_ms / 2.0, "{newest}");
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_missing_on_the_server_itself() {
    let database = Database::create().await;
    let ended: Ended = start(&database, &["--rate", "600", "--duration", "3s"]).end().await;
    let result = ended.done();
    assert_eq!(result["readers"]["freshness_by"], "snapshot");
    assert_eq!(result["clock_steps"], serde_json::json!([]));
    for name in ["newest", "counted"] {
        let query = query(&result, name);
        assert_eq!(query["answer_age"]["count"], query["executions"], "each answer has an age");
        assert_eq!(query["freshness"]["max_ms"], 0.0, "{query}");
        // The batch that fills holds rows of up to 100 ms, at any moment.
        assert!(ms(&query["answer_age"], "p50_ms") > 1.0, "{query}");
    }
    let (newest, elsewhere) = (query(&result, "newest"), query(&result, "elsewhere"));
    // The oldest missing row was due before the newest one that is there, or at most one row after it.
    assert!(ms(&newest["newest_age"], "mean_ms") < ms(&newest["answer_age"], "mean_ms") + 5.0);
    assert!(elsewhere["answer_age"].is_null() && elsewhere["freshness"].is_null(), "{elsewhere}");
}

/// A run against `server`, whose readers ask elsewhere.
fn beside(server: &Server, readers: &str, args: &[&str], env: &[(&str, &str)]) -> Program {
    let folder = scratch();
    let file = folder.path().join("fresh.toml");
    std::fs::write(&file, PROFILE).unwrap();
    let address = server.conninfo();
    let common = ["run", file.to_str().unwrap(), "--database-url", &address, "--output", "out"];
    let readers: &[&str] = if readers.is_empty() { &[] } else { &["--readers-url", readers] };
    let all = [&common[..], &["--metrics-addr", "off"], readers, args].concat();
    Program::start_in(folder, &all, env)
}

#[tokio::test]
async fn a_standby_whose_replay_is_paused_falls_behind_and_comes_back() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let standby = Standby::of(&server).await;
    let paused = Duration::from_secs(3);
    let program = beside(&server, &standby.address(), &["--rate", "300", "--duration", "8s"], &[]);
    program.says("results in").await;
    let client = standby.client().await;
    let counted = "SELECT count(*) FROM l40s_realtime_stream";
    let mut rows = 0_i64;
    while rows < 300 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rows = client.query_one(counted, &[]).await.map_or(0, |row| row.get(0));
    }
    client.execute("SELECT pg_wal_replay_pause()", &[]).await.unwrap();
    // That asks for it; on a busy machine it takes a while to come.
    let is_paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'";
    while !client.query_one(is_paused, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(paused).await;
    client.execute("SELECT pg_wal_replay_resume()", &[]).await.unwrap();
    drop(client);
    let ended = program.end().await;
    let result = ended.done();
    assert_eq!(result["readers"]["freshness_by"], "replay_position");
    let theirs = result["readers"]["server"]["address"].as_str().unwrap();
    assert!(theirs.contains(standby.socket_dir().to_str().unwrap()), "{theirs}");
    let paused_ms = paused.as_secs_f64() * 1e3;
    // Queries share the readers' time: one that a busy machine held up once may not be asked in the pause.
    let older = |a: &&Value, b: &&Value| {
        ms(&a["freshness"], "max_ms").total_cmp(&ms(&b["freshness"], "max_ms"))
    };
    let asked = ["newest", "counted"].map(|name| query(&result, name));
    let query = asked.into_iter().max_by(older).unwrap();
    for figure in ["freshness", "answer_age"] {
        let (p50, max) = (ms(&query[figure], "p50_ms"), ms(&query[figure], "max_ms"));
        // On a busy machine it is asked for seldom, perhaps in the middle of the pause alone.
        assert!((paused_ms * 0.1..paused_ms * 2.5).contains(&max), "{figure}: {max} ms, {query}");
        assert!(p50 < paused_ms, "{figure}: {p50} ms");
    }
    // One by one: it grew as long as replay was paused, and was little before and after.
    let lines = std::fs::read_to_string(ended.work().join("out/executions.csv")).unwrap();
    let head: Vec<&str> = lines.lines().next().unwrap().split(',').collect();
    let column = |name: &str| head.iter().position(|own| *own == name).unwrap();
    let points = lines.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |name| fields[column(name)].parse::<f64>().ok();
        Some((number("start_s")?, number("freshness_ms")?))
    });
    let mut points: Vec<(f64, f64)> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let oldest = points.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).unwrap().0;
    let least = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(f64::MAX, f64::min);
    let (before, after) = points.split_at(oldest);
    assert!(least(before) < paused_ms / 4.0 && least(after) < paused_ms / 4.0, "{points:?}");
    // While it is paused, a moment later is as much further behind.
    let half = before.iter().rfind(|point| point.1 < paused_ms / 2.0).unwrap();
    let full = before.last().unwrap();
    let (later_ms, grown_ms) = ((full.0 - half.0) * 1e3, full.1 - half.1);
    assert!((later_ms - grown_ms).abs() < paused_ms / 4.0, "{half:?} to {full:?}");
    assert!(ended.stdout.contains("a standby of the server that is loaded"), "{}", ended.stdout);
    assert!(ended.stdout.contains("behind what was acknowledged"), "{}", ended.stdout);
    drop(standby);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn another_server_is_asked_for_its_rows() {
    // Its own table of the same form, that nothing fills: no replica at all.
    let (server, other) =
        (Server::start(&ServerOptions::default()).await.unwrap(), Database::create().await);
    other
        .execute(
            "CREATE TABLE l40s_realtime_stream (id bigint, created_at timestamptz, \
             gpu_partition int)",
        )
        .await;
    let url = other.url(&format!("postgres:{}", crate::support::shared().password));
    // Of connections that share a partition each has its own newest row.
    let args = ["--rate", "300", "--duration", "4s", "--connections", "5"];
    let program = beside(&server, "", &args, &[("STROM_LOAD_READERS_URL", &url)]);
    let ended = program.end().await;
    let result = ended.done();
    assert_eq!(result["readers"]["freshness_by"], "rows");
    let query = query(&result, "counted");
    // No row ever arrives there: the age grows with the run, up to the moment of the last answer. A busy
    // machine may ask for few, and its run takes longer.
    let took_ms = ms(&result, "took_s") * 1e3;
    assert!((1_000.0..took_ms).contains(&ms(&query["answer_age"], "max_ms")), "{query}");
    assert!((500.0..took_ms).contains(&ms(&query["freshness"], "max_ms")), "{query}");
    let saved = std::fs::read_to_string(ended.work().join("out/result.json")).unwrap();
    for text in [&saved, &ended.stdout, &ended.stderr] {
        assert!(!text.contains(&crate::support::shared().password), "{text}");
    }
    server.stop().await.unwrap();
}

/// The ages of `counted` in each of its arms, and what is said of them.
async fn no_ages(server: &str, readers: &str, arms: &str) -> (Vec<Value>, Ended) {
    let folder = scratch();
    let file = folder.path().join("fresh.toml");
    std::fs::write(&file, format!("{PROFILE}{arms}")).unwrap();
    let common = ["run", file.to_str().unwrap(), "--database-url", server, "--output", "out"];
    let readers: &[&str] = if readers.is_empty() { &[] } else { &["--readers-url", readers] };
    let more = ["--metrics-addr", "off", "--rate", "300", "--duration", "2s"];
    let ended = Program::start_in(folder, &[&common[..], &more, readers].concat(), &[]).end().await;
    let result = ended.result();
    assert_eq!(result["status"], "done", "{}", ended.stderr);
    let queries = result["queries"].as_array().unwrap();
    let counted = queries.iter().filter(|query| query["query"] == "counted");
    (counted.map(|query| query["answer_age"].clone()).collect(), ended)
}

#[tokio::test]
async fn a_table_that_is_no_copy_of_the_loaded_one_has_no_fresh_answers() {
    let (database, other) = (Database::create().await, Database::create().await);
    let table = "l40s_realtime_stream (id bigint, created_at timestamptz, gpu_partition int)";
    // Rows of an earlier run, with ids that this one is yet to send.
    let rows = "SELECT n, now(), n % 3 FROM generate_series(1, 100000) AS n";
    other.execute(&format!("CREATE TABLE {table}; INSERT INTO l40s_realtime_stream {rows}")).await;
    let (ages, ended) = no_ages(&database.address(), &other.address(), "").await;
    assert_eq!(ages, [Value::Null]);
    assert_eq!(ended.result()["readers"]["freshness_by"], Value::Null);
    assert!(ended.stderr.contains("it is no copy of the one that is loaded"), "{}", ended.stderr);
    assert!(ended.stdout.contains("freshness   not known"), "{}", ended.stdout);

    // Another table of the same name, on the server that is loaded: for one arm of two.
    database.execute(&format!("CREATE SCHEMA stale; CREATE TABLE stale.{table}")).await;
    let arms = "[arms.live]\nset = { search_path = \"public\" }\n\
                [arms.stale]\nset = { search_path = \"stale, public\" }\n";
    let (ages, ended) = no_ages(&database.address(), "", arms).await;
    assert!(ages.iter().filter(|age| age.is_null()).count() == 1 && ages.len() == 2, "{ages:?}");
    let said = "(arm `stale`): \"l40s_realtime_stream\" is another table there";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn readers_of_the_same_server_by_another_way_are_known_as_such() {
    let database = Database::create().await;
    let (folder, address) = (scratch(), database.address());
    let file = folder.path().join("fresh.toml");
    let named = PROFILE.replace("count = 2", &format!("count = 2\ndatabase_url = \"{address}\""));
    std::fs::write(&file, named).unwrap();
    let common = ["run", file.to_str().unwrap(), "--database-url", &address, "--output", "out"];
    let more = ["--metrics-addr", "off", "--rate", "300", "--duration", "2s"];
    let result = Program::start_in(folder, &[&common[..], &more].concat(), &[]).end().await.done();
    assert_eq!(result["readers"]["freshness_by"], "snapshot");
    assert_eq!(query(&result, "counted")["freshness"]["max_ms"], 0.0);
    assert_eq!(result["readers"]["server"]["identity"]["database"], database.name.as_str());
}

#[tokio::test]
async fn a_readers_server_that_cannot_be_is_refused_before_anything_is_done() {
    let secret = "[readers]\ndatabase_url = \"postgresql://me:hush@db/x\"";
    let folder = scratch();
    let file = folder.path().join("secret.toml");
    std::fs::write(&file, PROFILE.replace("[readers]", secret)).unwrap();
    let file = file.to_str().unwrap();
    for command in ["check", "run"] {
        let ended = Program::start(&[command, file]).end().await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("`readers.database_url` holds a password"));
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("hush"));
    }
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--readers-url", ""], 2, "`--readers-url` is empty"),
        (&["--readers-url", "host=db", "--readers", "0"], 2, "has no meaning without readers"),
        (&["--readers-url", "db"], 2, "`--readers-url` is not a connection string"),
        (&["--readers-url", "host=/nowhere"], 3, "the readers' server: "),
        (&["--readers-url", "host=/nowhere"], 3, "the readers' address (--readers-url)"),
    ];
    let database = Database::create().await;
    let address = database.address();
    for (args, code, says) in cases {
        let common = ["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
        let ended = Program::start(&[&common[..], args].concat()).end().await;
        assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    let made = "SELECT to_regclass('l40s_realtime_stream') IS NULL";
    assert_eq!(database.text(made).await, "t", "nothing was created");
}
