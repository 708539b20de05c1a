//! `verify` knows the server, the database and the table of a run: what another one lacks is not
//! called lost.

use std::fs;

use strom_load::pg::embedded::{Server, ServerOptions};

use crate::support::{Database, Ended, Program, ask, scratch};

const SHORT: [&str; 8] = ["--rate", "300", "--readers", "0", "--warmup", "0s", "--duration", "1s"];

async fn run_at(address: &str, more: &[&str]) -> Ended {
    let mut args = vec!["--database-url", address, "--output", "out", "--metrics-addr", "off"];
    args.extend(SHORT);
    args.extend(more);
    let ended = Program::start(&args).end().await;
    ended.done();
    ended
}

/// Verifies a run; `address` may be empty.
async fn verify(ended: &Ended, address: &str) -> Ended {
    let folder = ended.work().join("out").display().to_string();
    let env = if address.is_empty() { vec![] } else { vec![("DATABASE_URL", address)] };
    Program::start_in(scratch(), &["verify", &folder], &env).end().await
}

#[track_caller]
fn refused(verified: &Ended, parts: &[&str]) {
    assert_eq!(verified.code, Some(3), "{}{}", verified.stdout, verified.stderr);
    let said = format!("{}{}", verified.stdout, verified.stderr);
    assert!(!said.contains("lost") && !said.contains("NOT WHAT WAS SENT"), "{said}");
    for part in parts {
        assert!(verified.stderr.contains(part), "`{part}` is not in: {}", verified.stderr);
    }
}

#[track_caller]
fn right(verified: &Ended) {
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("each acknowledged row is there as sent"));
}

#[tokio::test]
async fn another_server_is_named_and_nothing_is_called_lost() {
    let database = Database::create().await;
    let here = run_at(&database.address(), &[]).await;
    right(&verify(&here, &database.address()).await);
    let identity = &here.result()["server"]["identity"];
    let system = database.text("SELECT system_identifier FROM pg_control_system()").await;
    assert_eq!(identity["system_identifier"], system);
    assert_eq!(identity["database"], database.name);
    let oid = database.number("SELECT 'l40s_realtime_stream'::regclass::oid").await;
    assert_eq!(identity["table_oid"], oid);
    assert_eq!(identity["first_row"]["id"], 1);

    // A server of its own that holds a table of the name, from a run with the same seed.
    let other = Server::start(&ServerOptions::default()).await.unwrap();
    let address = other.conninfo();
    let there = run_at(&address, &[]).await;
    let other_system = ask(&other, "SELECT system_identifier::text FROM pg_control_system()").await;
    let parts = ["it is another server", &*system, &*other_system, &database.name];
    refused(&verify(&here, &address).await, &parts);
    refused(&verify(&there, &database.address()).await, &parts);
    // The rows of an unthrottled run do not tell it from another, and the server still does.
    let more = ["--table", "fast", "--rate", "max"];
    let fast: Vec<&str> = more.to_vec();
    let here_fast = run_fast(&database.address(), &fast).await;
    assert_eq!(here_fast.result()["server"]["identity"]["first_row"], serde_json::Value::Null);
    run_fast(&address, &fast).await;
    refused(&verify(&here_fast, &address).await, &parts);
    // Nothing of the name is there.
    let elsewhere = run_at(&database.address(), &["--table", "only_here"]).await;
    refused(&verify(&elsewhere, &address).await, &parts);
    other.stop().await.unwrap();
}

/// An unthrottled run of a moment.
async fn run_fast(address: &str, more: &[&str]) -> Ended {
    let mut args = vec!["--database-url", address, "--output", "out", "--metrics-addr", "off"];
    args.extend(["--readers", "0", "--warmup", "0s", "--duration", "200ms", "--partitions", "1"]);
    args.extend(more);
    let ended = Program::start(&args).end().await;
    ended.done();
    ended
}

#[tokio::test]
async fn another_database_or_table_is_no_place_to_look() {
    let database = Database::create().await;
    let run = run_at(&database.address(), &[]).await;
    let other = Database::create().await;
    run_at(&other.address(), &[]).await;
    refused(&verify(&run, &other.address()).await, &["it is another database", &other.name]);
    // A loss where the rows were sent is one.
    database.execute("DELETE FROM l40s_realtime_stream WHERE id = 50").await;
    let verified = verify(&run, &database.address()).await;
    assert_eq!(verified.code, Some(5), "{}", verified.stderr);
    assert!(verified.stdout.contains("partition 0: 1 lost"), "{}", verified.stdout);
    run_at(&database.address(), &["--recreate"]).await;
    // The server and the database are the right ones: to name them would mend nothing.
    let gone = "there is nothing to verify if the table was dropped with its rows";
    let verified = verify(&run, &database.address()).await;
    refused(&verified, &["the table was made anew since", gone]);
    database.execute("DROP TABLE l40s_realtime_stream").await;
    refused(&verify(&run, &database.address()).await, &["the table is not there", gone]);
}

#[tokio::test]
async fn a_copy_that_holds_the_rows_will_do() {
    let database = Database::create().await;
    let run = run_at(&database.address(), &[]).await;
    // As a dump does it: other oids, the same rows.
    let copy = Database::create().await;
    let rows = "COPY (SELECT * FROM l40s_realtime_stream) TO STDOUT";
    let dumped = database.copy_out(rows).await;
    copy.execute(
        "CREATE TABLE l40s_realtime_stream (id bigint, category text, region text, amount \
         numeric(15,2), gpu_partition integer, created_at timestamptz)",
    )
    .await;
    copy.copy_in("COPY l40s_realtime_stream FROM STDIN", dumped).await;
    let verified = verify(&run, &copy.address()).await;
    right(&verified);
    let note = "it is another database, but it holds the run's rows";
    assert!(verified.stdout.contains(note), "{}", verified.stdout);
    // What the copy lacks, the run's own table may have.
    copy.execute("DELETE FROM l40s_realtime_stream WHERE id = 50").await;
    refused(&verify(&run, &copy.address()).await, &["it is another database"]);
}

#[tokio::test]
async fn a_role_that_may_not_ask_for_the_identifier_goes_by_the_address() {
    let database = Database::create().await;
    let role = format!("shy_{}", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}; \
             REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
        ))
        .await;
    let address = database.address_of(&role);
    let run = run_at(&address, &[]).await;
    let result = run.result();
    assert_eq!(result["server"]["identity"]["system_identifier"], serde_json::Value::Null);
    right(&verify(&run, &address).await);
    // As another role it is another address, but the first row is proof enough.
    right(&verify(&run, &database.address()).await);
    database.execute("DELETE FROM l40s_realtime_stream WHERE id = 50").await;
    assert_eq!(verify(&run, &address).await.code, Some(5));
    let other = Database::create().await;
    run_at(&other.address(), &[]).await;
    let parts = ["nothing says that it is the same server", &*other.name];
    refused(&verify(&run, &other.address()).await, &parts);

    // A result from before there were identities.
    let file = run.work().join("out/result.json");
    let mut old = result;
    old["server"].as_object_mut().unwrap().remove("identity");
    fs::write(&file, old.to_string()).unwrap();
    refused(&verify(&run, &other.address()).await, &parts);
    assert_eq!(verify(&run, &address).await.code, Some(5));
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_server_that_was_started_for_the_run_is_named_as_gone() {
    let mut args = vec!["--output", "out", "--metrics-addr", "off"];
    args.extend(SHORT);
    let run = Program::start(&args).end().await;
    assert_eq!(run.done()["server"]["embedded"], true);
    let none = verify(&run, "").await;
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("was started for the run, and is gone with"), "{}", none.stderr);
    let database = Database::create().await;
    run_at(&database.address(), &[]).await;
    let gone = "the run's server was started for the run, and is gone with its rows";
    refused(&verify(&run, &database.address()).await, &["it is another server", gone]);

    // Kept, it is there again, at another address.
    let folder = scratch();
    let data = folder.path().join("pg").display().to_string();
    let kept = [&args[..], &["--data-dir", &data]].concat();
    let run = Program::start(&kept).end().await;
    run.done();
    let out = run.work().join("out").display().to_string();
    right(&Program::start(&["verify", &out, "--data-dir", &data]).end().await);
}

/// What is in a results folder that is not a stream's is named, and what to do with it.
#[tokio::test]
async fn the_result_of_another_job_is_called_what_it_is() {
    let database = Database::create().await;
    let folder = scratch();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    let queries = "[[bench.queries]]\nname = 'q'\nsql = 'SELECT 1'\n";
    let bench = format!("[bench]\ntime_s = 1\n{queries}");
    let sweep = format!(
        "[bench]\n{queries}[sweep]\n[[sweep.settings]]\nname = 'work_mem'\nvalues = ['1MB', '2MB']\n"
    );
    let stream = "duration_s = 1\nwarmup_s = 0\n[stream]\nrows_per_s = 100\npartitions = 1\n";
    fs::write(work.join("bench.toml"), bench).unwrap();
    fs::write(work.join("sweep.toml"), sweep).unwrap();
    fs::write(work.join("stream.toml"), stream).unwrap();
    let address = database.address();
    let args = ["run", "stream.toml", "bench.toml", "sweep.toml", "--metrics-addr", "off"];
    let args = [&args[..], &["--cooldown", "0s", "--output", "out", "--database-url", &address]];
    let ended = Program::start_in(folder, &args.concat(), &[]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let out = ended.work().join("out");
    let verify = async |folder: &str| {
        let env = [("DATABASE_URL", address.as_str())];
        let ended = Program::start_in(scratch(), &["verify", folder], &env).end().await;
        (ended.code, ended.stderr)
    };
    let at = |name: &str| out.join(name).display().to_string();
    for (name, kind) in [("02-bench", "benchmark"), ("03-sweep", "sweep")] {
        let (code, said) = verify(&at(name)).await;
        let expected = format!(
            "error: `{}/result.json` is the result of a {kind}: no rows were streamed, so there are none \
             to verify\n  fix: name the folder of a run with a stream, or of `strom-load faults`; \
             `strom-load report` shows this one\n",
            at(name)
        );
        assert_eq!((code, said), (Some(2), expected));
    }
    let (code, said) = verify(&out.display().to_string()).await;
    let each = at("01-stream");
    let expected = format!(
        "error: `{}` holds the results of several runs\n  fix: verify the folder of each that has a \
         stream: {each}\n",
        out.display()
    );
    assert_eq!((code, said), (Some(2), expected));
    assert_eq!(verify(&at("01-stream")).await.0, Some(0));

    let odd = scratch();
    for (text, fact) in [
        (
            "{\"format_version\": 1}",
            "is not a result of strom-load, or is damaged: it has no `plan`",
        ),
        ("{\"format_version\": 9}", "has format 9, and this strom-load reads format 2"),
        ("{}", "or is damaged: missing field `format_version`"),
        ("{\"format_version\": 2, \"kind\": \"foo\"}", "its kind is `foo`, which this"),
        ("[1, 2", "is not a result of strom-load, or is damaged: "),
    ] {
        fs::write(odd.path().join("result.json"), text).unwrap();
        let (code, said) = verify(&odd.path().display().to_string()).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(fact) && said.contains("fix: "), "{said}");
    }
}
