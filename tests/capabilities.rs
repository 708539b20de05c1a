//! Servers that cannot do all that PostgreSQL can: a proxy has the server refuse what it is to lack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};

use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::proxy::{CommitCut, Proxy};
use crate::support::{Database, Ended, Program, connect, password, scratch, shared};

/// What becomes of what the client sends.
#[derive(Clone)]
enum Means {
    /// A word is replaced by one of the same length that means nothing to the server.
    Nonsense(&'static str, &'static str),
    /// Once it is armed, the next that has the word reaches the server, and its answer nobody.
    Lost(&'static str, Arc<AtomicBool>),
}

/// In front of a server, for what it is to lack.
struct Way {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Way {
    /// In front of a port of loopback.
    async fn start(server: u16, means: Means) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let means = means.clone();
                links.spawn(async move {
                    // An error is a side that went away.
                    let _ = carry(client, server, &means).await;
                });
            }
        });
        Self { port, _tasks: tasks }
    }

    /// The server does not understand a word: whatever the loader says with it is refused.
    async fn without(server: u16, word: &'static str, nonsense: &'static str) -> Self {
        assert_eq!(word.len(), nonsense.len());
        Self::start(server, Means::Nonsense(word, nonsense)).await
    }
}

async fn carry(client: TcpStream, server: u16, means: &Means) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_lost = AtomicBool::new(false);
    let there = async {
        // A statement is shorter than this, and sent at once.
        let mut bytes = vec![0; 64 * 1024];
        while let count @ 1.. = from_client.read(&mut bytes).await? {
            let read = &mut bytes[..count];
            let places = |word: &str| -> Vec<usize> {
                let windows = read.windows(word.len()).enumerate();
                windows.filter(|(_, found)| *found == word.as_bytes()).map(|(at, _)| at).collect()
            };
            match means {
                Means::Nonsense(word, nonsense) => {
                    for at in places(word) {
                        read[at..at + word.len()].copy_from_slice(nonsense.as_bytes());
                    }
                }
                Means::Lost(word, armed) => {
                    let is_it = !places(word).is_empty() && armed.swap(false, Ordering::Relaxed);
                    is_lost.fetch_or(is_it, Ordering::Relaxed);
                }
            }
            to_server.write_all(read).await?;
        }
        Ok(())
    };
    let back = async {
        let mut bytes = vec![0; 64 * 1024];
        while let count @ 1.. = from_server.read(&mut bytes).await? {
            if is_lost.load(Ordering::Relaxed) {
                break;
            }
            to_client.write_all(&bytes[..count]).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = there => ended,
        ended = back => ended,
    }
}

const KEYED: &str = "{ name = 'part', type = 'integer', values = 'partition' }";
const NAMELESS: &str = "identity = 'none'\n\
    columns = [{ name = 'n', type = 'integer', values = { integer = { min = 1, max = 9 } } }]";
/// Columns of most types, with values that a text must not alter.
const TYPES: &str = r#"
    { name = 'id', type = 'bigint', values = 'row_id' },
    { name = 'a', type = 'numeric(12,3)', null_ratio = 0.3, values = { decimal = { min = '-9.5', max = '9.5' } } },
    { name = 'b', type = 'double precision', values = { float = { min = -1e-9, max = 1e9 } } },
    { name = 'c', type = 'real', values = { float = { min = -1.0, max = 1.0, pick = { normal = { mean = 0.0, sd = 1e-3 } } } } },
    { name = 'd', type = 'text', values = { choice = { of = ["a\tb", "\\N", "c\nd\\", "", "ü\r"] } } },
    { name = 'e', type = 'char(5)', values = { pattern = "{hex:4}" } },
    { name = 'f', type = 'bytea', values = { bytes = { min_bytes = 0, max_bytes = 9 } } },
    { name = 'g', type = 'jsonb',  values = { pattern = '{"a": "{words:2..2}", "b": {integer:1..9}}' } },
    { name = 'h', type = 'uuid', values = 'uuid' },
    { name = 'j', type = 'date', values = { day = { min = '1999-12-31', max = '2026-01-01' } } },
    { name = 'k', type = 'boolean', values = { boolean = { true_ratio = 0.5 } } },
    { name = 'l', type = 'inet', values = { inet = { network = '10.0.0.0/8' } } }"#;

/// What is said of a server that takes no COPY BINARY.
const NO_BINARY: &str = "no COPY BINARY (rows are sent as text)";
const COLUMNS: &str = "{ name = 'id', type = 'bigint', values = 'row_id' },";

/// Runs a profile of 1,200 rows with these columns.
async fn run(port: u16, password: &str, stream: &str, more: &[&str]) -> Ended {
    let folder = scratch();
    let file = folder.path().join("profile.toml");
    let text =
        format!("warmup_s = 0\nduration_s = 2\n[stream]\ntable = 't'\nrows_per_s = 600\n{stream}");
    fs::write(&file, text).unwrap();
    let address =
        format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
    let file = file.display().to_string();
    let mut args = vec!["run", &file, "--database-url", &address, "--output", "out"];
    args.extend(["--metrics-addr", "off"]);
    args.extend(more);
    Program::start_in(folder, &args, &[]).end().await
}

fn can(result: &Value, what: &str) -> Value {
    result["server"]["capabilities"][what]["can"].clone()
}

#[tokio::test]
async fn what_a_server_lacks_is_found_by_trying_and_said() {
    let options = ServerOptions::default();
    let server = Server::start(&options).await.unwrap();
    let (port, password) = (server.port(), password(&server));
    let database = connect(server.socket_dir(), port).await;
    let rows = async |sql: &str| {
        let row = database.query_one(sql, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let ids = "SELECT count(*), count(DISTINCT id) FROM t";

    // A run whose next COMMIT is cut off once rows are on their way.
    let cutting = Proxy::start(port).await;
    let cut_off = async |port: u16, stream: &str, cut: CommitCut| {
        let began = "SELECT count(*), 0::bigint FROM pg_stat_activity WHERE application_name \
                     LIKE 'strom-load producer%' AND query LIKE '%COMMIT%'";
        let cut_off = async {
            for _ in 0..1_000 {
                if rows(began).await.0 > 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            cutting.cut_commit(cut);
        };
        let (ended, ()) = tokio::join!(run(port, &password, stream, &["--recreate"]), cut_off);
        let result = ended.result();
        assert_eq!(result["stream"]["errors"]["08006"], 1, "{cut:?}: {}", ended.stderr);
        (ended, result)
    };

    // Its transactions have no fate: a batch in doubt is looked for by its ids.
    let lacking = Way::without(cutting.port(), "pg_xact_status", "pg_xact_statuz").await;
    let whole = format!("columns = [{COLUMNS}]");
    for cut in [CommitCut::Answered, CommitCut::Before] {
        let (ended, result) = cut_off(lacking.port, &whole, cut).await;
        ended.done();
        assert_eq!(can(&result, "transaction_fate"), false);
        assert_eq!(result["stream"]["rows_undecided"], 0);
        assert_eq!(rows(ids).await, (1200, 1200), "{cut:?}");
        let said = "no fate of a transaction (doubts are decided by look-up of rows)";
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stderr.contains("tried, and refused:"), "{}", ended.stderr);
    }
    // Of rows without an identity nobody can tell then;
    let (ended, result) = cut_off(lacking.port, NAMELESS, CommitCut::Answered).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(result["stream"]["rows_undecided"].as_u64() > Some(0));
    let all = "SELECT count(*), count(*) FROM t";
    assert_eq!(rows(all).await.0, 1200);
    // and with the fate of its transaction alone it is known.
    for cut in [CommitCut::Answered, CommitCut::Before] {
        let (ended, result) = cut_off(cutting.port(), NAMELESS, cut).await;
        ended.done();
        assert_eq!(
            (can(&result, "transaction_fate"), rows(all).await.0),
            (true.into(), 1200),
            "{cut:?}"
        );
    }
    database.batch_execute("DROP TABLE t").await.unwrap();

    // It has no partitions: the key is a column like others, also in the run after.
    let lacking = Way::without(port, "PARTITION BY LIST", "PARTITION BY LIZT").await;
    let keyed = format!("partitions = 2\ncolumns = [{COLUMNS}{KEYED}]");
    for run_so_far in 1..=2 {
        let ended = run(lacking.port, &password, &keyed, &[]).await;
        let result = ended.done();
        assert_eq!(can(&result, "list_partitions"), false);
        assert_eq!(result["stream"]["rows_found"], 1200);
        assert_eq!(rows(ids).await, (1200 * run_so_far, 600 * run_so_far));
    }
    let kind =
        database.query_one("SELECT relkind::text FROM pg_class WHERE relname = 't'", &[]).await;
    assert_eq!(kind.unwrap().get::<_, String>(0), "r");
    database.batch_execute("DROP TABLE t").await.unwrap();

    // It takes no COPY at all: nothing can be loaded, and nothing is created.
    let lacking = Way::without(port, "FROM STDIN", "FROM STDUN").await;
    let ended = run(lacking.port, &password, &whole, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("it takes no COPY, neither in binary"), "{}", ended.stderr);
    let tables =
        "SELECT count(*), 0::bigint FROM pg_class WHERE relname LIKE 't' OR relname LIKE '%probe%'";
    assert_eq!(rows(tables).await.0, 0);
    server.stop().await.unwrap();
}

/// Rows are sent as text then, and read back by a query.
#[tokio::test]
async fn a_server_that_takes_no_rows_in_binary_gets_them_as_text() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let (port, password) = (server.port(), password(&server));
    let database = connect(server.socket_dir(), port).await;
    let lacking = Way::without(port, "FORMAT binary", "FORMAT bynary").await;
    let due = "{ name = 'due', type = 'timestamptz', values = 'due_time' }";
    let stream = &format!("columns = [{TYPES}, {due}]");
    for _ in 0..2 {
        let ended = run(lacking.port, &password, stream, &[]).await;
        let result = ended.done();
        assert_eq!(can(&result, "copy_binary"), false);
        assert!(ended.stdout.contains(NO_BINARY), "{}", ended.stdout);
        assert_eq!(result["stream"]["rows_found"], 1200, "{}", ended.stderr);
        assert_eq!(result["stream"]["audit"][0]["altered"], Value::Array(Vec::new()));
    }
    let all = "SELECT count(*), count(DISTINCT id), count(DISTINCT d), min(d) FROM t";
    let row = database.query_one(all, &[]).await.unwrap();
    let counts = [0, 1, 2].map(|at| row.get::<_, i64>(at));
    assert_eq!((counts, row.get::<_, &str>(3)), ([2400, 2400, 5], ""));
    // A value that somebody changes is seen this way, too.
    let ended = run(lacking.port, &password, stream, &[]).await;
    ended.done();
    database
        .batch_execute(
            "UPDATE t SET a = a + 0.001 WHERE id = (SELECT max(id) FROM t WHERE a IS NOT NULL)",
        )
        .await
        .unwrap();
    let address = format!(
        "postgresql://postgres:{password}@127.0.0.1:{}/postgres?sslmode=disable",
        lacking.port
    );
    let out = ended.work().join("out").display().to_string();
    let verify = Program::start(&["verify", &out, "--database-url", &address]).end().await;
    assert_eq!(verify.code, Some(5), "{}{}", verify.stdout, verify.stderr);
    server.stop().await.unwrap();
}

/// Tables that are filled, too: the same rows as over a server that takes them in binary.
#[tokio::test]
async fn a_server_that_takes_no_rows_in_binary_has_its_tables_filled_as_text() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let (port, password) = (server.port(), password(&server));
    let database = connect(server.socket_dir(), port).await;
    let lacking = Way::without(port, "FORMAT binary", "FORMAT bynary").await;
    let nothing = Way::without(port, "FROM STDIN", "FROM STDUN").await;
    let folder = scratch();
    let file = folder.path().join("profile.toml");
    // More than a batch of 100,000 rows.
    let text = format!(
        "[bench]\ntable = 't'\npairs_min = 2\npairs_max = 3\n[[bench.queries]]\nname = 'all'\n\
         sql = 'SELECT count(*), count(DISTINCT d) FROM {{table}}'\n\
         [[tables]]\nname = 't'\nrows = 120_000\nprimary_key = ['id']\ncolumns = [{TYPES}]"
    );
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let address = |port: u16| {
        format!("postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable")
    };
    let fill = async |port: u16, more: &[&str]| {
        let address = address(port);
        let mut args = vec!["fill", &file, "--verify", "--format", "json"];
        args.extend(["--database-url", &address]);
        args.extend(more);
        Program::start(&args).end().await
    };
    let filled = async |port: u16, more: &[&str]| {
        let ended = fill(port, more).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said: Value = serde_json::from_str(&ended.stdout).unwrap();
        let table = &said["tables"][0];
        let state = table["state"].as_str().unwrap().to_owned();
        let lacks = said["capabilities"]["copy_binary"]["can"] == false;
        (state, table["checksum"].clone(), lacks)
    };
    // A server that takes no COPY keeps what it has, which is nothing.
    let refused = async |port: u16, more: &[&str]| {
        let ended = fill(port, more).await;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        let said =
            "table t: failed to load rows into this server: it takes no COPY, neither in binary";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    };
    refused(nothing.port, &[]).await;
    let there = "SELECT count(*) FROM pg_class WHERE relname = 't' OR relname LIKE '%probe%'";
    let there = database.query_one(there, &[]).await.unwrap();
    assert_eq!(there.get::<_, i64>(0), 0);

    let (state, of_binary, lacks) = filled(port, &[]).await;
    assert_eq!((state.as_str(), lacks), ("created", false));
    let again = filled(lacking.port, &["--recreate"]).await;
    assert_eq!(again, ("recreated".to_owned(), of_binary.clone(), true));
    // It grows, and is the same as one that was made so.
    assert_eq!(filled(lacking.port, &["--recreate", "--rows", "70_000"]).await.0, "recreated");
    assert_eq!(filled(lacking.port, &[]).await, ("grown".to_owned(), of_binary.clone(), true));
    refused(nothing.port, &["--recreate"]).await;
    // Half-filled, by hand: what is there is found, and the rest is loaded.
    database
        .batch_execute(
            "ALTER TABLE t DROP CONSTRAINT t_pkey; DELETE FROM t WHERE id > 110000; \
             DO $$ BEGIN EXECUTE format('COMMENT ON TABLE t IS %L', \
             replace(obj_description('t'::regclass), '\"ready\"', '\"filling\"')); END $$",
        )
        .await
        .unwrap();
    assert_eq!(filled(lacking.port, &[]).await, ("completed".to_owned(), of_binary.clone(), true));
    assert_eq!(filled(port, &[]).await, ("reused".to_owned(), of_binary, false));
    let ended =
        Program::start(&["fill", &file, "--database-url", &address(lacking.port)]).end().await;
    assert_eq!((ended.code, ended.stdout.contains("can: ")), (Some(0), false), "nothing was tried");
    // A value that somebody changes is seen as over binary.
    let change = "UPDATE t SET d = 'b' || d WHERE id = 77";
    database.batch_execute(change).await.unwrap();
    assert_eq!(fill(lacking.port, &[]).await.code, Some(5));

    let address = address(lacking.port);
    let ended =
        Program::start(&["fill", &file, "--recreate", "--database-url", &address]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(&format!("can: {NO_BINARY}")), "{}", ended.stdout);
    // A benchmark fills its table the same way, and its result says so.
    database.batch_execute("DROP TABLE t").await.unwrap();
    let args = ["run", &file, "--database-url", &address, "--output", "out"];
    let ended = Program::start(&[&args[..], &["--metrics-addr", "off"]].concat()).end().await;
    let result = ended.done();
    assert_eq!(result["tables"][0]["rows_loaded"], 120_000);
    assert!(ended.stderr.contains(NO_BINARY), "{}", ended.stderr);
    assert_eq!(can(&result, "copy_binary"), false);
    let summary = fs::read_to_string(ended.work().join("out/summary.md")).unwrap();
    assert!(summary.contains(NO_BINARY), "{summary}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_between_two_servers_is_found_there() {
    let (database, far) = (Database::create().await, Database::create().await);
    far.execute("CREATE TABLE t (id bigint PRIMARY KEY)").await;
    let armed = Arc::new(AtomicBool::new(false));
    let means = Means::Lost("COMMIT TRANSACTION", Arc::clone(&armed));
    let way = Way::start(shared().port, means).await;
    database
        .execute(&format!(
            "CREATE EXTENSION postgres_fdw; \
             CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw \
             OPTIONS (host '127.0.0.1', port '{}', dbname '{}', sslmode 'disable'); \
             CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password '{}'); \
             CREATE FOREIGN TABLE t (id bigint) SERVER far",
            way.port, far.name, shared().password
        ))
        .await;
    let folder = scratch();
    let file = folder.path().join("profile.toml");
    let text = "warmup_s = 0\nduration_s = 3\n[stream]\ntable = 't'\nrows_per_s = 400\n";
    fs::write(&file, format!("{text}columns = [{COLUMNS}]")).unwrap();
    let (address, file) = (database.address(), file.display().to_string());
    let mut args = vec!["run", &file, "--database-url", &address, "--output", "out"];
    args.extend(["--metrics-addr", "off"]);
    let running = Program::start_in(folder, &args, &[]);
    far.until("SELECT count(*) > 0 FROM t").await;
    armed.store(true, Ordering::Relaxed);
    let ended = running.end().await;
    let result = ended.done();
    // One batch failed at COMMIT here, and was there all the same.
    let errors: u64 = result["stream"]["errors"]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!((errors, &result["stream"]["batches_resent"]), (1, &0.into()), "{}", ended.stderr);
    assert_eq!(result["stream"]["rows_found"], 1200);
    assert_eq!(far.number("SELECT count(*) FROM t").await, 1200);
}
