//! `strom-load doctor` on real servers: plain, seen by a plain role, with settings that do not
//! exist, and with a stand-in for PG-Strom's module, since there is no GPU to load the real one.

use std::collections::BTreeSet;

use serde_json::Value;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::pg::{Address, Session};
use strom_load::strom::settings::{
    self,
    Existence::{Absent, Placeholder, Real},
};

use crate::docs::{collect_keys, document};
use crate::support::{Database, Ended, Program, connect, scratch, with_stand_in};

async fn doctor(address: &str, args: &[&str]) -> Ended {
    let mut all = vec!["doctor"];
    if !address.is_empty() {
        all.extend(["--database-url", address]);
    }
    all.extend(args);
    Program::start(&all).end().await
}

/// The report of a doctor who must have been able to make one.
async fn report(address: &str, args: &[&str]) -> Value {
    let ended = doctor(address, &[args, &["--format", "json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn ids(report: &Value) -> Vec<&str> {
    let advice = report["advice"].as_array().unwrap();
    advice.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

fn setting<'r>(report: &'r Value, name: &str) -> &'r Value {
    let settings = report["server"]["pg_strom"]["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["name"] == name).unwrap_or(&Value::Null)
}

fn address(server: &Server, user: &str) -> String {
    format!(
        "host={} port={} user={user} dbname=postgres",
        server.socket_dir().display(),
        server.port()
    )
}

#[tokio::test]
async fn without_a_server_it_looks_at_the_machine_and_starts_nothing() {
    let report = report("", &[]).await;
    assert_eq!(report["server"], Value::Null);
    assert_eq!(report["advice"], Value::Array(Vec::new()));
    assert!(report["machine"]["postgres"]["bindir"].is_string());
    let gpus = report["machine"]["gpus"].as_array().unwrap().len();
    assert_eq!(gpus == 0, report["machine"]["no_gpu"].is_string());
    let ended = doctor("", &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("none was started"), "{}", ended.stdout);
    assert_eq!(std::fs::read_dir(ended.work()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_reached_or_read_is_an_error() {
    let ended = doctor("postgresql://me@127.0.0.1:1/x", &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("failed to connect to"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let ended = doctor("", &["--table", "a.b.c"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[tokio::test]
async fn a_plain_server_and_its_table() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TABLE s (id bigint, p int) PARTITION BY LIST (p); \
             CREATE TABLE s_p0 PARTITION OF s FOR VALUES IN (0); \
             CREATE TABLE s_p1 PARTITION OF s FOR VALUES IN (1); \
             INSERT INTO s SELECT i, 0 FROM generate_series(1, 10000) i; \
             ANALYZE s",
        )
        .await;
    let address = database.address();
    let report = report(&address, &["--table", "s"]).await;
    let server = &report["server"];
    assert_eq!((&server["superuser"], &server["standby"]), (&true.into(), &false.into()));
    assert_eq!(server["pg_strom"]["loaded"], false);
    assert_eq!(server["pg_strom"]["preload"], false);
    assert!(server["processes"]["postmaster_pid"].is_u64());
    assert_eq!(server["processes"]["gpu_service_pid"], Value::Null);
    let parts = server["table"]["partitions"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["s_p0", "s_p1"]);
    assert_eq!(parts[0]["rows_estimated"], 10_000);
    let heap = database.number("SELECT pg_relation_size('s_p0')").await;
    assert_eq!(parts[0]["heap_bytes"], heap);
    assert_eq!(server["table"]["all_visible_ratio"], 0.0);
    assert!(ids(&report).contains(&"pg-strom-not-loaded"));
    assert!(!ids(&report).contains(&"restart-pending"), "{:?}", ids(&report));
    database.execute("VACUUM s").await;
    let report = self::report(&address, &["--table", "s"]).await;
    assert_eq!(report["server"]["table"]["all_visible_ratio"], 1.0);
    // A plain table is its own partition; an absent one is no error.
    let report = self::report(&address, &["--table", "s_p1"]).await;
    assert_eq!(report["server"]["table"]["partitions"].as_array().unwrap().len(), 1);
    let ended = doctor(&address, &["--table", "nowhere.s"]).await;
    assert!(ended.stdout.contains("nowhere.s is not there"), "{}", ended.stdout);
    assert!(ended.stdout.contains("not loaded: all queries run on the CPU"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_role_without_rights_gets_a_report_too() {
    let database = Database::create().await;
    let role = format!("{}_plain", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; CREATE SCHEMA closed; CREATE TABLE closed.s (i int)"
        ))
        .await;
    let address = database.address_of(&role);
    let report = report(&address, &["--table", "closed.s"]).await;
    let server = &report["server"];
    assert_eq!((&server["superuser"], &server["role"]), (&false.into(), &role.as_str().into()));
    assert_eq!(server["pg_strom"]["preload"], Value::Null, "it may not see it");
    assert_eq!(server["pg_strom"]["files_readable"], false);
    assert_eq!(server["table"], Value::Null);
    let ended = doctor(&address, &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("no superuser"), "{}", ended.stdout);
}

#[tokio::test]
async fn settings_that_do_not_exist_are_told_from_those_that_do() {
    let off = [("fsync", "off"), ("full_page_writes", "off"), ("max_wal_size", "64MB")];
    let settings = off.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let server =
        Server::start(&ServerOptions { settings, ..ServerOptions::default() }).await.unwrap();
    let file = server.data_dir().join("postgresql.conf");
    let mut text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().count() + 1;
    text += "pg_strom.chunk_size = '128MB'\npg_strom.enabled = on\n";
    std::fs::write(&file, text).unwrap();
    let client = connect(server.socket_dir(), server.port()).await;
    client
        .batch_execute(
            "SELECT pg_reload_conf(); ALTER DATABASE postgres SET pg_strom.gpu_cache_size = '1GB'; \
             ALTER ROLE postgres SET synchronous_commit = off",
        )
        .await
        .unwrap();
    let address = address(&server, "postgres");
    let report = report(&address, &["--rate", "30k"]).await;
    assert_eq!(report["server"]["pg_strom"]["loaded"], false);
    assert_eq!(setting(&report, "pg_strom.enabled")["existence"], "placeholder");
    assert_eq!(setting(&report, "pg_strom.chunk_size")["value"], "128MB");
    assert_eq!(setting(&report, "pg_strom.cpu_fallback"), &Value::Null);
    let found = ids(&report);
    for id in [
        "pg-strom-pretended",
        "no-such-setting",
        "fsync-off",
        "full-page-writes-off",
        "synchronous-commit-off",
        "small-wal",
    ] {
        assert!(found.contains(&id), "{id}: {found:?}");
    }
    let ended = doctor(&address, &[]).await;
    let place = format!(
        "pg_strom.chunk_size is set and is no setting of this server (set by {}:{line})",
        file.display()
    );
    assert!(ended.stdout.contains(&place), "{}", ended.stdout);
    assert!(ended.stdout.contains("(set by ALTER DATABASE postgres)"), "{}", ended.stdout);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn any_setting_of_the_server_can_be_probed() {
    let database = Database::create().await;
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let mut session = Session::as_configured(&address, "test").await.unwrap();
    session.execute("set", "SET made.up = 'x'; SET work_mem = '5MB'").await.unwrap();
    let names = ["work_mem", "DateStyle", "made.up", "never.heard", "wrk_mem", "role", "wal_level"];
    let found = settings::probe(&mut session, &names).await.unwrap();
    let existence: Vec<_> = found.iter().map(|setting| setting.existence).collect();
    assert_eq!(existence, [Real, Real, Placeholder, Absent, Absent, Real, Real]);
    let work_mem = &found[0];
    assert_eq!(work_mem.value.as_deref(), Some("5MB"));
    assert_eq!((work_mem.bytes(), work_mem.min.as_deref()), (Some(5 << 20), Some("64")));
    assert_eq!(found[2].value.as_deref(), Some("x"));
    assert!(found[5].hidden && !found[6].hidden);
    assert!(found[6].enumvals.contains(&"logical".to_owned()), "{:?}", found[6].enumvals);
    // Nothing of the probing is left behind.
    let kept = session.text("look", "SELECT current_setting('made.up')").await.unwrap();
    assert_eq!(kept.as_deref(), Some("x"));
    let names = settings::names(&mut session).await.unwrap();
    let near = settings::nearest("wrk_mem", names.iter().map(String::as_str));
    assert_eq!(near, ["work_mem"]);
    session.close().await;
}

/// What the extension's scripts make, as far as the doctor looks at it.
const OBJECTS: &str = "CREATE SCHEMA pgstrom; \
    CREATE FUNCTION pgstrom.githash() RETURNS text LANGUAGE sql AS $$ SELECT 'abc123' $$; \
    CREATE FUNCTION pgstrom.gpu_device_info(OUT gpu_id int, OUT att_name text, \
        OUT att_value text, OUT att_desc text) RETURNS SETOF record LANGUAGE sql AS $$ \
        VALUES (0, 'DEV_NAME', 'Stand-in GPU', 'GPU Device Name'), \
               (0, 'DEV_TOTAL_MEMSZ', '79.19GB', 'GPU Total RAM Size') $$; \
    INSERT INTO pg_extension SELECT 99999, 'pg_strom', 10, oid, false, '6.0', NULL, NULL \
        FROM pg_namespace WHERE nspname = 'pgstrom'; \
    CREATE ROLE plain LOGIN; \
    CREATE TABLE l40s_realtime_stream AS SELECT i FROM generate_series(1, 1000) i";

#[tokio::test]
async fn a_stand_in_for_pg_strom_is_seen_for_what_it_has() {
    let (_folder, server) = with_stand_in(&[]).await;
    let superuser = address(&server, "postgres");
    let bare = report(&superuser, &[]).await;
    assert_eq!(bare["server"]["pg_strom"]["loaded"], true);
    assert_eq!(bare["server"]["pg_strom"]["preload"], true);
    // The module alone: no extension, and none of its processes.
    for id in ["extension-missing", "gpu-service-missing", "no-gpu-direct"] {
        assert!(ids(&bare).contains(&id), "{id}: {:?}", ids(&bare));
    }
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute(OBJECTS).await.unwrap();
    let full = report(&superuser, &[]).await;
    let strom = &full["server"]["pg_strom"];
    assert_eq!((&strom["release"], &strom["extension"]), (&"6.1".into(), &"6.0".into()));
    assert_eq!(strom["githash"], "abc123");
    assert_eq!(strom["devices"][0]["name"], "Stand-in GPU");
    assert_eq!(
        (&strom["extra_module"], &strom["gpu_direct"]),
        (&false.into(), &"no-driver".into())
    );
    for id in ["one-gpu", "below-gpudirect-threshold", "few-pages-visible"] {
        assert!(ids(&full).contains(&id), "{id}: {:?}", ids(&full));
    }
    let threshold = setting(&full, "pg_strom.gpudirect_threshold");
    assert_eq!((&threshold["value"], &threshold["unit"]), (&"2GB".into(), &"kB".into()));
    assert_eq!((&threshold["context"], &threshold["may_set"]), (&"superuser".into(), &true.into()));
    let hidden = setting(&full, "pg_strom.gpu_mempool_segment_sz");
    assert_eq!((&hidden["existence"], &hidden["hidden"]), (&"real".into(), &true.into()));
    assert_eq!((&hidden["value"], &hidden["context"]), (&"1GB".into(), &"sighup".into()));
    assert_eq!((&hidden["may_set"], &hidden["may_alter_system"]), (&false.into(), &true.into()));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_plain_role_is_told_what_it_may_not_do() {
    let (_folder, server) = with_stand_in(&[]).await;
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute(OBJECTS).await.unwrap();
    let plain = address(&server, "plain");
    let closed = report(&plain, &[]).await;
    let strom = &closed["server"]["pg_strom"];
    assert_eq!((&strom["loaded"], &strom["devices"]), (&true.into(), &Value::Null));
    // Readable by superusers alone, and yet known to be there.
    let tasks = setting(&closed, "pg_strom.max_async_tasks");
    assert_eq!((&tasks["existence"], &tasks["value"]), (&"real".into(), &Value::Null));
    let advice = closed["advice"].as_array().unwrap();
    let rights = advice.iter().find(|item| item["id"] == "settings-closed").unwrap();
    assert_eq!(
        rights["fix"],
        "as a superuser: GRANT SET ON PARAMETER pg_strom.gpu_selection_policy, \
         pg_strom.gpudirect_threshold, pg_strom.max_async_tasks TO plain"
    );
    assert!(ids(&closed).contains(&"devices-unknown"), "{:?}", ids(&closed));
    // What it is told to do helps.
    let fix = rights["fix"].as_str().unwrap().strip_prefix("as a superuser: ").unwrap();
    client.batch_execute(fix).await.unwrap();
    client.batch_execute("GRANT USAGE ON SCHEMA pgstrom TO plain").await.unwrap();
    let open = report(&plain, &[]).await;
    assert!(!ids(&open).contains(&"settings-closed"), "{:?}", ids(&open));
    assert!(!ids(&open).contains(&"devices-unknown"), "{:?}", ids(&open));
    // The server's log holds no error that the doctor made.
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn gpu_direct_and_a_missing_gpu_show_in_the_settings() {
    let (_folder, server) = with_stand_in(&["-DEXTRA"]).await;
    let with_driver = report(&address(&server, "postgres"), &[]).await;
    let strom = &with_driver["server"]["pg_strom"];
    assert_eq!((&strom["extra_module"], &strom["gpu_direct"]), (&true.into(), &"possible".into()));
    server.stop().await.unwrap();
    let (_folder, server) = with_stand_in(&["-DNO_GPU"]).await;
    let blind = report(&address(&server, "postgres"), &[]).await;
    let strom = &blind["server"]["pg_strom"];
    assert_eq!((&strom["loaded"], &strom["found_gpu"]), (&true.into(), &false.into()));
    assert!(ids(&blind).contains(&"no-gpu-found"), "{:?}", ids(&blind));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_noise_of_a_server_says_what_can_be_seen_there_and_leaves_nothing() {
    let database = Database::create().await;
    let profile = r#"
[bench]
table = "mine"
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.other]
set = { enable_seqscan = false }
[[bench.queries]]
name = "count"
sql = "SELECT count(*) FROM {table}"
"#;
    let folder = scratch();
    let file = folder.path().join("own.toml").display().to_string();
    std::fs::write(&file, profile).unwrap();
    let args = [&*file, "--noise=1s"];
    let missing = doctor(&database.address(), &args).await;
    assert_eq!((missing.code, &*missing.stdout), (Some(3), ""), "{}", missing.stderr);
    assert!(missing.stderr.contains("table `mine` is not there"), "{}", missing.stderr);
    assert!(missing.stderr.contains("\n  fix: "), "{}", missing.stderr);
    database.execute("CREATE TABLE mine AS SELECT generate_series(1, 20000) AS id").await;
    let objects = "SELECT count(*) FROM pg_class";
    let before = database.number(objects).await;
    let found = report(&database.address(), &args).await;
    assert_eq!(database.number(objects).await, before);
    let query = &found["queries"][0];
    assert_eq!((&query["query"], &query["arm"]), (&"count".into(), &"serial".into()));
    assert!(query["times"]["pairs"].as_u64().unwrap() >= 10, "{query}");
    let shown = query["shown"].as_array().unwrap().iter();
    let pairs: Vec<&Value> = shown.map(|shown| &shown["pairs"]).collect();
    assert_eq!(pairs, [30, 100, 300]);
    let mut keys = BTreeSet::new();
    collect_keys(&found, "", &mut keys);
    let (_, described) = document("docs/doctor.md");
    // What two arms compared come to is described with the results.
    let own = keys.iter().filter(|key| !key.starts_with("queries[].times."));
    let missing: Vec<_> = own.filter(|key| !described.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/doctor.md does not name {missing:#?}");
}

#[tokio::test]
async fn every_key_of_the_report_is_described() {
    let (_folder, server) = with_stand_in(&[]).await;
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute(OBJECTS).await.unwrap();
    client.batch_execute("ALTER ROLE postgres SET pg_strom.made_up = 1").await.unwrap();
    let report = report(&address(&server, "postgres"), &[]).await;
    assert_eq!(report["server"]["pg_strom"]["mentions"][0]["place"], "ALTER ROLE postgres");
    let mut keys = BTreeSet::new();
    for part in ["load", "machine", "server", "advice"] {
        collect_keys(&report[part], part, &mut keys);
    }
    // A setting is described once, for both of its places.
    let keys: BTreeSet<String> = keys
        .iter()
        .map(|key| key.replace("server.pg_strom.settings[]", "setting"))
        .filter(|key| !key.starts_with("server.settings"))
        .collect();
    assert!(keys.len() > 60, "{}", keys.len());
    let (_, described) = document("docs/doctor.md");
    let missing: Vec<_> =
        keys.iter().filter(|key| !described.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/doctor.md does not name {missing:#?}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn limits_of_role_and_database_are_said_with_what_is_done_about_them() {
    let database = Database::create().await;
    let (name, role) = (&database.name, format!("limited_{}", database.name));
    let set = format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 3; \
         ALTER ROLE {role} SET statement_timeout = '150ms'; \
         ALTER DATABASE {name} SET idle_session_timeout = '10min'; \
         ALTER DATABASE {name} CONNECTION LIMIT 50"
    );
    database.execute(&set).await;
    let address = database.address_of(&role);
    let load = ["--partitions", "2", "--readers", "2"];
    let narrow = report(&address, &load).await;
    let fact = |report: &Value, id: &str| {
        let advice = report["advice"].as_array().unwrap();
        let item = advice.iter().find(|item| item["id"] == id);
        item.map(|item| item["fact"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        fact(&narrow, "few-connections").unwrap(),
        format!("the load needs 6 sessions, and role {role} admits 3")
    );
    let limits =
        "idle_session_timeout = 10min of the database, statement_timeout = 150ms of the role";
    assert_eq!(fact(&narrow, "time-limits").unwrap(), limits);
    assert_eq!(
        fact(&narrow, "connection-limit").unwrap(),
        format!("database {name} admits 49 sessions, and the load needs 6"),
        "one of 50 is this test's own"
    );
    // What the doctor counts is what a run is refused by.
    let run = [&["--database-url", &*address, "--metrics-addr", "off"][..], &load].concat();
    let refused = Program::start(&run).end().await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    database.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT 6")).await;
    assert_eq!(fact(&report(&address, &load).await, "few-connections"), None);
    // Nobody limits a superuser's sessions.
    let superuser = report(&database.address(), &load).await;
    assert_eq!(superuser["server"]["connections"].as_array().unwrap().len(), 1);
    let drop = format!("DROP ROLE {role}; ALTER DATABASE {name} RESET ALL");
    database.execute(&drop).await;
}
