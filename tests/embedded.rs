//! The embedded server: real servers, real kills, nothing left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, getegid, geteuid, getpgid, kill_process_group};
use strom_load::pg::embedded::{EmbeddedError, Reject, Server, ServerOptions, install};
use tokio_postgres::NoTls;

use crate::support::{self, Loader, Program, ask, connect, lives, scratch, until};

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
async fn start() -> Server {
    Server::start(&ServerOptions::default()).await.unwrap()
}

fn in_dir(dir: &Path) -> ServerOptions {
    ServerOptions { data_dir: Some(dir.to_owned()), ..ServerOptions::default() }
}

fn with_setting(name: &str, value: &str) -> ServerOptions {
    ServerOptions {
        settings: vec![(name.to_owned(), value.to_owned())],
        ..ServerOptions::default()
    }
}

fn is_root() -> bool {
    geteuid().is_root()
}

/// Not a test of its own: what the tests below run in a process that they can kill.
#[tokio::test]
async fn loader_process() {
    support::loader_main().await;
}

#[tokio::test]
async fn a_server_is_durable_private_and_leaves_nothing() {
    let server = start().await;
    assert_eq!(ask(&server, "SHOW fsync").await, "on");
    assert_eq!(ask(&server, "SHOW full_page_writes").await, "on");
    assert_eq!(ask(&server, "SHOW autovacuum").await, "on");
    assert_eq!(ask(&server, "SHOW listen_addresses").await, "127.0.0.1");
    let folder = server.socket_dir().parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert!(server.log_path().starts_with(&folder));
    let group = |pid| getpgid(pid).unwrap();
    assert_ne!(group(Pid::from_raw(server.pid() as i32)), group(None), "Ctrl-C must not reach it");
    let pid = server.pid();
    server.stop().await.unwrap();
    assert!(!lives(pid));
    assert!(!folder.exists());
}

#[tokio::test]
async fn tcp_asks_for_the_password_and_the_passfile_has_it() {
    let server = start().await;
    let passfile = server.password_file().unwrap();
    assert_eq!(fs::metadata(passfile).unwrap().mode() & 0o777, 0o600);
    let line = fs::read_to_string(passfile).unwrap().lines().next().unwrap().to_owned();
    let password = line.rsplit(':').next().unwrap().to_owned();
    assert!(password.len() > 20);
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port()).user(server.user()).dbname(server.database());
    assert!(config.password("wrong").connect(NoTls).await.is_err());
    assert!(config.password(&password).connect(NoTls).await.is_ok());
    let log = fs::read_to_string(server.log_path()).unwrap();
    assert!(!log.contains(&password));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_user_is_told_to_type_connects() {
    let server = start().await;
    let command = format!("{} -Atc 'SELECT 40 + 2'", server.psql_command());
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n", "{command}: {output:?}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_ends() {
    let server = start().await;
    let (pid, folder) = (server.pid(), server.socket_dir().parent().unwrap().to_owned());
    drop(server);
    until("server and folder are gone", || !lives(pid) && !folder.exists()).await;
}

#[tokio::test]
async fn an_interrupt_passes_it_by_and_a_killed_loader_takes_it_along() {
    let mut loader = Loader::start(&[], None).await;
    let group = Pid::from_raw(loader.process.id() as i32).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    // Also a session that is open when the loader dies must not hold the server back.
    let client = connect(&loader.server.socket_dir, loader.server.port).await;
    let one: i32 = client.query_one("SELECT 1", &[]).await.unwrap().get(0);
    assert_eq!(one, 1);
    loader.kill();
    let pid = loader.server.pid;
    until("the server is gone", || !lives(pid)).await;
    until("its folder is gone", || !loader.server.folder().exists()).await;
}

#[tokio::test]
async fn a_killed_loader_leaves_a_kept_cluster_shut_down_in_order() {
    let scratch = scratch();
    let dir = scratch.path().join("cluster");
    let mut loader = Loader::start(&[], Some(&dir)).await;
    loader.kill();
    let pid = loader.server.pid;
    until("the server is gone", || !lives(pid)).await;
    until("its folder is gone", || !loader.server.folder().exists()).await;
    let log = fs::read_to_string(dir.join("strom-load.log")).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(log.trim_end().ends_with("database system is shut down"), "{log}");
}

#[tokio::test]
async fn another_user_starts_one() {
    // As root: the server of an ordinary user, who has no postgres account to use.
    let through: &[&str] = if is_root() {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    } else {
        &[]
    };
    let mut loader = Loader::start(through, None).await;
    let owner = fs::metadata(loader.server.folder()).unwrap().uid();
    assert_eq!(owner, if is_root() { 65534 } else { geteuid().as_raw() });
    loader.kill();
    until("its folder is gone", || !loader.server.folder().exists()).await;
}

#[tokio::test]
async fn two_at_once_do_not_meet() {
    let (one, two) = tokio::join!(start(), start());
    assert_ne!(one.port(), two.port());
    assert_ne!(one.socket_dir(), two.socket_dir());
    // A third start sweeps; both must still be there.
    start().await.stop().await.unwrap();
    assert_eq!(ask(&one, "SHOW fsync").await, "on");
    assert_eq!(ask(&two, "SHOW fsync").await, "on");
    one.stop().await.unwrap();
    assert_eq!(ask(&two, "SHOW fsync").await, "on");
    two.stop().await.unwrap();
}

#[tokio::test]
async fn the_folder_of_a_dead_run_is_swept_and_nothing_else() {
    let name = |kind: &str| format!("/var/tmp/{kind}{}", std::process::id());
    let (stale, foreign) = (name("strom-load-stale"), name("other-strom-load-"));
    for dir in [&stale, &foreign] {
        fs::create_dir_all(format!("{dir}/data")).unwrap();
        fs::write(format!("{dir}/data/postmaster.pid"), "1\n").unwrap();
    }
    let server = start().await;
    // Another test's start may have been at it first.
    until("the stale folder is gone", || !Path::new(&stale).exists()).await;
    assert!(Path::new(&foreign).exists());
    fs::remove_dir_all(foreign).unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_kept_cluster_is_reused_by_one_loader_at_a_time() {
    let scratch = scratch();
    let dir = scratch.path().join("new/cluster");
    let server = Server::start(&in_dir(&dir)).await.unwrap();
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute("CREATE TABLE kept AS SELECT 'still here' AS said").await.unwrap();
    let passfile = fs::read(server.password_file().unwrap()).unwrap();
    let second = Server::start(&in_dir(&dir)).await.unwrap_err();
    assert!(matches!(second, EmbeddedError::DataInUse { .. }), "{second}");
    let folder = server.socket_dir().parent().unwrap().to_owned();
    server.stop().await.unwrap();
    assert!(!folder.exists());

    let server = Server::start(&in_dir(&dir)).await.unwrap();
    assert_eq!(ask(&server, "SELECT said FROM kept").await, "still here");
    assert_eq!(fs::read(server.password_file().unwrap()).unwrap(), passfile);
    server.stop().await.unwrap();

    fs::write(dir.join("PG_VERSION"), "9.6\n").unwrap();
    let error = Server::start(&in_dir(&dir)).await.unwrap_err();
    assert!(error.to_string().contains("is of PostgreSQL 9.6"), "{error}");
}

#[tokio::test]
async fn a_folder_of_something_else_is_not_touched() {
    let scratch = scratch();
    fs::write(scratch.path().join("thesis.tex"), "precious").unwrap();
    let before = fs::metadata(scratch.path()).unwrap();
    let error = Server::start(&in_dir(scratch.path())).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::DataForeign { .. }), "{error}");
    let after = fs::metadata(scratch.path()).unwrap();
    assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
}

#[tokio::test]
async fn committed_rows_survive_restart_and_crash() {
    let mut server = start().await;
    let place = (server.port(), server.socket_dir().to_owned());
    let first = server.pid();
    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute("CREATE TABLE t AS SELECT 'one' AS said").await.unwrap();
    server.restart().await.unwrap();
    let second = server.pid();
    assert_ne!(first, second);

    let client = connect(server.socket_dir(), server.port()).await;
    client.batch_execute("UPDATE t SET said = 'two'").await.unwrap();
    server.crash().await.unwrap();
    assert!(!lives(second));
    assert!(client.batch_execute("SELECT 1").await.is_err());
    assert!(matches!(server.restart().await, Err(EmbeddedError::NotRunning)));
    server.resume().await.unwrap();
    server.resume().await.unwrap();
    assert_eq!((server.port(), server.socket_dir().to_owned()), place);
    assert_eq!(ask(&server, "SELECT said FROM t").await, "two");
    let log = fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("automatic recovery in progress"), "{log}");

    server.crash().await.unwrap();
    let folder = server.socket_dir().parent().unwrap().to_owned();
    server.stop().await.unwrap();
    assert!(!folder.exists(), "a crashed server is stopped too");
}

#[tokio::test]
async fn the_users_settings_win_and_a_bad_one_is_found_before_there_is_a_cluster() {
    let server = Server::start(&with_setting("max_connections", "17")).await.unwrap();
    assert_eq!(ask(&server, "SHOW max_connections").await, "17");
    server.stop().await.unwrap();

    let error = Server::start(&with_setting("warp_drive", "on")).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Settings { .. }), "{error}");
    assert!(error.to_string().contains("unrecognized configuration parameter \"warp_drive\""));
    let error = Server::start(&with_setting("port", "1")).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Setting { .. }), "{error}");
}

#[tokio::test]
async fn a_given_bindir_is_used_or_explained() {
    let given =
        |dir: &Path| ServerOptions { bindir: Some(dir.to_owned()), ..ServerOptions::default() };
    let why = async |dir: &Path| match Server::start(&given(dir)).await.unwrap_err() {
        EmbeddedError::Bindir(rejected) => rejected.why,
        error => panic!("{error}"),
    };
    let scratch = scratch();
    let reject = why(scratch.path()).await;
    assert_eq!(reject.to_string(), "holds no executable `initdb` and no `postgres`");

    let program = |name: &str, version: &str, mode| {
        let path = scratch.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    program("initdb", "14.9", 0o755);
    program("postgres", "14.9", 0o644);
    assert_eq!(why(scratch.path()).await.to_string(), "holds no executable `postgres`");
    program("postgres", "14.9", 0o755);
    let reject = why(scratch.path()).await;
    assert!(matches!(reject, Reject::TooOld(version) if version.major == 14), "{reject}");
    program("postgres", "18.1", 0o700);
    chown(scratch.path().join("postgres"), Some(0), Some(0)).ok();
    if is_root() {
        let reject = why(scratch.path()).await;
        assert!(matches!(reject, Reject::Closed(..)), "{reject}");
    }
    let server = start().await;
    let again = Server::start(&given(server.bindir())).await.unwrap();
    assert_eq!(again.bindir(), server.bindir());
    again.stop().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn fetched_binaries_run_and_are_fetched_once() {
    let scratch = scratch();
    let cache = scratch.path().join("cache");
    // Two at once: both must end with the same complete install.
    let (one, two) = tokio::join!(install::install(&cache), install::install(&cache));
    let bindir = one.unwrap();
    assert_eq!(two.unwrap(), bindir);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "nothing but the install is left");
    let changed = fs::metadata(&bindir).unwrap().ctime();
    assert_eq!(install::install(&cache).await.unwrap(), bindir);
    assert_eq!(fs::metadata(&bindir).unwrap().ctime(), changed);
    if is_root() {
        let meta = fs::metadata(&bindir).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (0, getegid().as_raw()));
    }

    let options = ServerOptions { bindir: Some(bindir), ..ServerOptions::default() };
    let server = Server::start(&options).await.unwrap();
    assert_eq!(server.version().major, 18);
    assert!(ask(&server, "SHOW server_version").await.starts_with("18."));
    assert_eq!(ask(&server, "SHOW fsync").await, "on");
    server.stop().await.unwrap();
}

/// As in a container that is run with a user of its own: there is a number and no name.
#[tokio::test]
async fn a_user_without_a_name_is_told_so() {
    assert!(is_root(), "to become another user takes root");
    let folder = scratch();
    let program = folder.path().join("strom-load");
    fs::copy(env!("CARGO_BIN_EXE_strom-load"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=12345", "--regid=12345", "--clear-groups"]).arg(&program);
    command.args(["--metrics-addr", "off", "--output", "out"]).current_dir(folder.path());
    let output = command.env("HOME", folder.path()).env_remove("DATABASE_URL").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    let fix =
        "\n  fix: PostgreSQL runs only as a user with a name: run as one that is in /etc/passwd";
    assert!(said.contains("could not look up effective user ID 12345"), "{said}");
    assert!(said.contains(fix), "{said}");
}

#[tokio::test]
async fn more_memory_than_there_is_has_a_fix_of_its_own() {
    let error =
        Server::start(&with_setting("shared_buffers", "7TB")).await.unwrap_err().to_string();
    assert!(error.contains("could not map anonymous shared memory"), "{error}");
    assert!(
        error.ends_with(
            "\n  fix: the machine has less memory than the server is to take: --pg-set \
                             shared_buffers=128MB"
        ),
        "{error}"
    );
}

const INDEXED: &str = "[[tables]]\nname = 't'\nrows = 300_000\nprimary_key = ['id']\n\
    columns = [{ name = 'id', type = 'bigint', values = 'row_id' },\n\
    { name = 'v', type = 'text', values = { text = { min_chars = 30, max_chars = 40 } } }]\n";

/// As in a container: /dev/shm has 64 MB there, and here just too little for parallel workers.
#[tokio::test]
async fn a_small_dev_shm_is_named() {
    let fill = async |size: &str, setting: &[&str]| {
        let mount = format!("mount -t tmpfs -o size={size} tmpfs /dev/shm && exec \"$0\" \"$@\"");
        let folder = scratch();
        let profile = folder.path().join("indexed.toml");
        fs::write(&profile, INDEXED).unwrap();
        let args = ["fill", profile.to_str().unwrap(), "--data-dir", "pg"];
        let through = ["unshare", "-m", "sh", "-c", &mount];
        let ended =
            Program::start_through(&through, &[&args[..], setting].concat(), &[]).end().await;
        (ended.code, ended.stderr)
    };
    let (code, said) = fill("1m", &[]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("`initdb` ended early"), "{said}");
    let fix =
        "\n  fix: /dev/shm is full or small: give the container more (docker run --shm-size=1g)\n";
    assert!(said.ends_with(fix), "{said}");
    let (code, said) = fill("1100k", &[]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("could not resize shared memory segment"), "{said}");
    assert!(said.contains("\n  fix: give the server a larger /dev/shm"), "{said}");
    // What the fix says helps.
    let setting = "dynamic_shared_memory_type=mmap";
    assert!(said.contains(&format!("--pg-set {setting}")), "{said}");
    let (code, said) = fill("1100k", &["--pg-set", setting]).await;
    assert_eq!(code, Some(0), "{said}");
}
