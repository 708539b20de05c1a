//! `strom-load clean`: it lists what strom-load made, and drops that alone, by name.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

use std::fs;

use serde_json::Value;

use crate::support::{Database, Ended, Program, scratch};

async fn clean(database: &Database, args: &[&str]) -> Ended {
    let address = database.address();
    let args = [&["clean", "--database-url", &address], args].concat();
    Program::start(&args).end().await
}

async fn tables(database: &Database) -> Vec<Value> {
    let ended = clean(database, &["--format", "json"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let listed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(listed["lanes_of_gone_tables"], 0, "{listed}");
    listed["tables"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_strom_load_made_is_listed_and_goes_by_name_alone() {
    let database = Database::create().await;
    let nothing = clean(&database, &[]).await;
    assert!(nothing.stdout.starts_with("no table in postgresql://"), "{}", nothing.stdout);
    let args = ["--rate", "300", "--readers", "0", "--warmup", "0s", "--duration", "1s"];
    Program::run(&database, &args).end().await.done();
    let folder = scratch();
    fs::create_dir(folder.path().join("work")).unwrap();
    let profile = "[[tables]]\nname = '\"My Sales\"'\nrows = 100\n[[tables.columns]]\nname = 'id'\n\
                   type = 'bigint'\nvalues = 'row_id'\n";
    fs::write(folder.path().join("work/sales.toml"), profile).unwrap();
    let address = database.address();
    let fill = ["fill", "sales.toml", "--database-url", &address];
    let filled = Program::start_in(folder, &fill, &[]).end().await;
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    database.execute("CREATE TABLE public.theirs (a int); INSERT INTO theirs VALUES (1)").await;

    let listed = tables(&database).await;
    let names: Vec<&str> = listed.iter().map(|own| own["table"].as_str().unwrap()).collect();
    assert_eq!(names, ["public.\"My Sales\"", "public.l40s_realtime_stream"]);
    let kinds: Vec<&str> = listed.iter().map(|own| own["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["data set", "stream"]);
    assert!(listed[1]["last_run_at"].is_string() && listed[0]["last_run_at"].is_null());
    assert!(listed.iter().all(|own| own["in_use"] == false && own["bytes"].as_u64() > Some(0)));
    let text = clean(&database, &[]).await.stdout;
    assert!(text.contains("strom-load clean 'public.\"My Sales\"'"), "{text}");

    // What is not ours stays, and all that was named with it.
    let refused = clean(&database, &["l40s_realtime_stream", "theirs"]).await;
    assert_eq!((refused.code, &*refused.stdout), (Some(3), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing says that strom-load made it"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--recreate"), "{}", refused.stderr);
    let missing = clean(&database, &["nowhere.at_all"]).await;
    assert_eq!(missing.code, Some(3), "{}", missing.stderr);
    assert!(missing.stderr.contains("it is not there\n  fix: "), "{}", missing.stderr);
    assert_eq!(tables(&database).await.len(), 2);

    // A part of a table is no table: a run may be at the whole.
    for part in ["public.l40s_realtime_stream_p0", "l40s_realtime_stream_p1"] {
        let refused = clean(&database, &[part]).await;
        assert_eq!((refused.code, &*refused.stdout), (Some(3), ""), "{}", refused.stderr);
        let fact = "it is a partition of l40s_realtime_stream\n  fix: name that, ";
        assert!(refused.stderr.contains(fact), "{}", refused.stderr);
    }
    assert_eq!(database.number("SELECT count(*) FROM l40s_realtime_stream").await, 300);

    // Not from under a run.
    let oid = database.text("SELECT 'public.l40s_realtime_stream'::regclass::oid").await;
    let holder = database.session().await;
    let hold = format!("pg_advisory_lock_shared(hashtextextended('strom-load table {oid}', 0))");
    holder.execute(&format!("SELECT {hold}")).await;
    assert_eq!(tables(&database).await[1]["in_use"], true);
    let held = clean(&database, &["l40s_realtime_stream"]).await;
    assert_eq!(held.code, Some(3), "{}", held.stderr);
    assert!(held.stderr.contains("another strom-load is at it"), "{}", held.stderr);
    drop(holder);

    let removed = clean(&database, &["l40s_realtime_stream", "\"My Sales\""]).await;
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    assert_eq!(
        removed.stdout,
        "l40s_realtime_stream: removed, 300 rows\n\"My Sales\": removed, 100 rows\n"
    );
    assert_eq!(tables(&database).await, Vec::<Value>::new());
    assert_eq!(database.number("SELECT count(*) FROM theirs").await, 1);

    // For programs, rows are a number.
    Program::run(&database, &args).end().await.done();
    let removed = clean(&database, &["l40s_realtime_stream", "--format", "json"]).await;
    let removed: Value = serde_json::from_str(&removed.stdout).unwrap();
    let row = &removed["removed"][0];
    assert_eq!((row["rows"].as_u64(), &row["rows_estimated"]), (Some(300), &Value::Null));
}

#[tokio::test]
async fn what_only_looks_makes_no_cluster_and_tells_of_a_password_in_sight() {
    let folder = scratch();
    let nowhere = folder.path().join("nowhere");
    let place = nowhere.to_str().unwrap();
    for command in [&["clean"][..], &["verify", "out"], &["profile", "from-table", "t"]] {
        let ended = Program::start(&[command, &["--data-dir", place]].concat()).end().await;
        assert!(matches!(ended.code, Some(2 | 3)), "{command:?}: {}", ended.stderr);
        assert!(!nowhere.exists(), "{command:?}");
    }
    let database = Database::create().await;
    let address = format!("{} password=secret", database.address());
    let ended = Program::start(&["clean", "--database-url", &address]).end().await;
    let told = "the password in --database-url can be read by every user";
    assert!(ended.stderr.contains(told) && !ended.stderr.contains("secret"), "{}", ended.stderr);
}
