//! What several test rooms need: scratch folders, a server that they share, databases on it, the
//! program itself in a process of its own, and loaders that can be killed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, TryStreamExt};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use strom_load::pg::embedded::{Server, ServerOptions, would_start};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};

/// Tells a test process that it is to be a loader, and where to write what it started.
const LOADER: &str = "STROM_LOAD_TEST_LOADER";
const LOADER_DATA_DIR: &str = "STROM_LOAD_TEST_DATA_DIR";

/// A scratch folder that every account can enter: as root, the server is another account. On the
/// disk that the servers use.
pub(crate) fn scratch() -> TempDir {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

/// How many times over a case is made that is made once as a rule.
pub(crate) fn rounds() -> u32 {
    std::env::var("STROM_LOAD_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// A session over the Unix socket.
pub(crate) async fn connect(socket_dir: &Path, port: u16) -> Client {
    connect_to(socket_dir, port, "postgres").await
}

/// A session in a database, over the Unix socket.
pub(crate) async fn connect_to(socket_dir: &Path, port: u16, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket_dir).port(port).user("postgres").dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The single value a query answers, as text.
pub(crate) async fn ask(server: &Server, query: &str) -> String {
    let client = connect(server.socket_dir(), server.port()).await;
    client.query_one(query, &[]).await.unwrap().get(0)
}

/// A server that has loaded a stand-in for PG-Strom's module: the settings are there, real ones,
/// and no GPU. `defines` are for the compiler, see `pgstrom/stand_in.c`. The library lies in the
/// folder.
pub(crate) async fn with_stand_in(defines: &[&str]) -> (TempDir, Server) {
    // Where the server's account can read it.
    let folder = scratch();
    let library = folder.path().join("pg_strom.so");
    let (_, version) = would_start(None).await.unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(&library).args(defines);
    cc.arg(format!("-DPG_MAJOR={}", version.major));
    cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pgstrom/stand_in.c"));
    assert!(cc.status().unwrap().success());
    let preload = ("shared_preload_libraries".to_owned(), library.display().to_string());
    let options = ServerOptions { settings: vec![preload], ..ServerOptions::default() };
    (folder, Server::start(&options).await.unwrap())
}

/// How long a test waits for what must come: long, since a machine may have much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process lives; one that only waits to be reaped does not.
pub(crate) fn lives(pid: u32) -> bool {
    let ps = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let stat = String::from_utf8(ps.stdout).unwrap();
    !stat.trim().is_empty() && !stat.trim().starts_with('Z')
}

/// What a loader in another process says of its server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) pid: u32,
}

impl Started {
    /// The private folder.
    pub(crate) fn folder(&self) -> &Path {
        self.socket_dir.parent().unwrap()
    }
}

/// A loader in a process, and a process group, of its own.
pub(crate) struct Loader {
    pub(crate) process: Child,
    pub(crate) server: Started,
    _scratch: TempDir,
}

impl Loader {
    /// Runs this test binary again, as the loader. `through` is a command that runs it, such as
    /// one that changes the user; empty to run it directly.
    pub(crate) async fn start(through: &[&str], data_dir: Option<&Path>) -> Self {
        use std::os::unix::process::CommandExt;
        let scratch = scratch();
        // A copy: the build folder may be closed to the user it shall run as.
        let binary = scratch.path().join("loader");
        fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        let said = scratch.path().join("started.json");
        let mut words = through.iter().map(Path::new).chain([&*binary]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["--exact", "embedded::loader_process", "--nocapture"]);
        command.env(LOADER, &said).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        if let Some(data_dir) = data_dir {
            command.env(LOADER_DATA_DIR, data_dir);
        }
        let mut process = command.spawn().unwrap();
        until("the loader has started its server", || {
            assert_eq!(process.try_wait().unwrap(), None, "the loader ended");
            said.exists()
        })
        .await;
        let server = serde_json::from_slice(&fs::read(&said).unwrap()).unwrap();
        Self { process, server, _scratch: scratch }
    }

    /// SIGKILL: nothing of the loader runs any more.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The body of the loader process. Does nothing in a test run, which does not set [`LOADER`].
pub(crate) async fn loader_main() {
    let Some(said) = std::env::var_os(LOADER) else { return };
    let data_dir = std::env::var_os(LOADER_DATA_DIR).map(PathBuf::from);
    let server =
        Server::start(&ServerOptions { data_dir, ..ServerOptions::default() }).await.unwrap();
    let started = Started {
        socket_dir: server.socket_dir().to_owned(),
        port: server.port(),
        pid: server.pid(),
    };
    // Listening before the other side may send: a first Ctrl-C must not end the loader.
    let mut interrupt =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
    let draft = Path::new(&said).with_extension("draft");
    fs::write(&draft, serde_json::to_vec(&started).unwrap()).unwrap();
    fs::rename(draft, said).unwrap();
    loop {
        interrupt.recv().await;
    }
}

/// The server that most tests share, each with a database of its own.
pub(crate) struct Shared {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) password: String,
}

/// The superuser's password, for connections over TCP.
pub(crate) fn password(server: &Server) -> String {
    let lines = fs::read_to_string(server.password_file().unwrap()).unwrap();
    lines.lines().next().unwrap().rsplit(':').next().unwrap().to_owned()
}

/// Started on first use, on a thread that outlives the runtimes of single tests. It ends as any
/// server of a loader does that is gone: its watcher sees this process end.
pub(crate) fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (started, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // The commit time of each row is what the loader's clocks are checked against.
                let settings = vec![("track_commit_timestamp".to_owned(), "on".to_owned())];
                let options = ServerOptions { settings, ..ServerOptions::default() };
                let server = Server::start(&options).await.unwrap();
                let socket_dir = server.socket_dir().to_owned();
                let (port, password) = (server.port(), password(&server));
                started.send(Shared { socket_dir, port, password }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        wait.recv().unwrap()
    })
}

/// A database on the shared server, and a session in it.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) client: Client,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Shared { socket_dir, port, .. } = shared();
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let control = connect(socket_dir, *port).await;
        control.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self { client: connect_to(socket_dir, *port, &name).await, name }
    }

    /// A second session, for instance to hold a lock: within a transaction, pg_stat_activity
    /// stands still.
    pub(crate) async fn session(&self) -> Self {
        let Shared { socket_dir, port, .. } = shared();
        let client = connect_to(socket_dir, *port, &self.name).await;
        Self { client, name: self.name.clone() }
    }

    /// For `--database-url`.
    pub(crate) fn address(&self) -> String {
        self.address_of("postgres")
    }

    pub(crate) fn address_of(&self, user: &str) -> String {
        let Shared { socket_dir, port, .. } = shared();
        format!("host={} port={port} user={user} dbname={}", socket_dir.display(), self.name)
    }

    /// Over TCP, where a password is asked for.
    pub(crate) fn url(&self, user_and_password: &str) -> String {
        format!("postgresql://{user_and_password}@127.0.0.1:{}/{}", shared().port, self.name)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The rows of a query, each value as text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let messages = self.client.simple_query(sql).await;
        let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned()).collect())
            .collect()
    }

    /// What a COPY … TO STDOUT yields.
    pub(crate) async fn copy_out(&self, sql: &str) -> Vec<u8> {
        let stream = self.client.copy_out(sql).await.unwrap();
        let chunks: Vec<_> = stream.try_collect().await.unwrap();
        chunks.concat()
    }

    /// Feeds a COPY … FROM STDIN.
    pub(crate) async fn copy_in(&self, sql: &str, bytes: Vec<u8>) {
        let mut sink = std::pin::pin!(self.client.copy_in(sql).await.unwrap());
        sink.send(bytes::Bytes::from(bytes)).await.unwrap();
        sink.finish().await.unwrap();
    }

    /// The single value of a query as text.
    pub(crate) async fn text(&self, sql: &str) -> String {
        self.rows(sql).await.remove(0).remove(0)
    }

    /// The single value of a query as a whole number.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let text = self.text(sql).await;
        text.parse().unwrap_or_else(|_| panic!("{sql}: {text}"))
    }

    /// Waits until a query answers `t`.
    pub(crate) async fn until(&self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.text(sql).await != "t" {
            if Instant::now() > deadline {
                let sessions = "SELECT application_name, state, wait_event, query \
                                FROM pg_stat_activity WHERE datname = current_database()";
                panic!("not within {PATIENCE:?}: {sql}\n{:#?}", self.rows(sessions).await);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The program in a process of its own, started in an empty folder and a clean environment.
pub(crate) struct Program {
    pub(crate) child: tokio::process::Child,
    pub(crate) folder: TempDir,
}

/// The program, ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: TempDir,
}

impl Program {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_in(scratch(), args, &[])
    }

    /// Starts it in the folder `work` of `folder`; its two outputs go beside that.
    pub(crate) fn start_in(folder: TempDir, args: &[&str], env: &[(&str, &str)]) -> Self {
        let program = tokio::process::Command::new(env!("CARGO_BIN_EXE_strom-load"));
        Self::spawn(program, folder, args, env)
    }

    /// Starts it through a shell that does `first` and then becomes it.
    pub(crate) fn start_after(first: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let script = format!("{first}; exec \"$0\" \"$@\"");
        Self::start_through(&["sh", "-c", &script], args, env)
    }

    /// Starts it through a command that takes it, and what it takes, for its last arguments.
    pub(crate) fn start_through(through: &[&str], args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::new(through[0]);
        command.args(&through[1..]).arg(env!("CARGO_BIN_EXE_strom-load"));
        Self::spawn(command, scratch(), args, env)
    }

    fn spawn(
        mut command: tokio::process::Command,
        folder: TempDir,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        let work = folder.path().join("work");
        fs::create_dir_all(&work).unwrap();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PG") || text.starts_with("STROM_LOAD_") || text == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        command.args(args).envs(env.iter().copied()).current_dir(work).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        Self { child: command.spawn().unwrap(), folder }
    }

    /// Starts a run against a database, with a results folder and without what two runs at once
    /// would fight over.
    pub(crate) fn run(database: &Database, args: &[&str]) -> Self {
        let address = database.address();
        let mut all = vec!["--database-url", &address];
        all.extend(["--metrics-addr", "off", "--output", "out"]);
        all.extend(args);
        Self::start(&all)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap() as i32).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Standard error so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// Waits for a line on standard error that holds `before`; returns what follows it there.
    pub(crate) async fn says(&self, before: &str) -> String {
        let find = || {
            let stderr = self.stderr();
            let (_, rest) = stderr.split_once(before)?;
            Some(rest.split_once('\n')?.0.to_owned())
        };
        until(&format!("the program says `{before}`"), || find().is_some()).await;
        find().unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let stderr = self.stderr();
        let status = status.unwrap_or_else(|_| panic!("still running; it said: {stderr}"));
        let stdout = fs::read_to_string(self.folder.path().join("stdout")).unwrap();
        Ended { code: status.unwrap().code(), stdout, stderr, folder: self.folder }
    }
}

impl Ended {
    /// The folder that it was started in.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The saved result.
    pub(crate) fn result(&self) -> serde_json::Value {
        let path = self.work().join("out/result.json");
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{error}\n{}", self.stderr));
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The saved result of a run that must have ended well, but for what a busy machine may do to it,
    /// which is code 6 with its reason: what is not about that goes on.
    pub(crate) fn done(&self) -> serde_json::Value {
        let result = self.result();
        let short = result["shortfalls"].as_array().map_or(&[][..], Vec::as_slice);
        let is_well = self.code == Some(0) || (self.code == Some(6) && are_of_the_machine(short));
        assert!(is_well, "{:?} {short:?} {}", self.code, self.stderr);
        assert_eq!(result["status"], "done");
        result
    }
}

/// Whether all that was asked for and did not happen is what a machine with too much to do brings
/// about: rows that the loader sent late, and queries that were due while others ran.
pub(crate) fn are_of_the_machine(shortfalls: &[serde_json::Value]) -> bool {
    shortfalls.iter().all(|one| one["kind"] == "own_delay" || one["kind"] == "queries_dropped")
}

/// What the tests use of Python, with the versions that .ci/run installs.
const PYTHON_PACKAGES: [&str; 3] =
    ["psycopg[binary]==3.3.9", "pyarrow==26.0.1", "jsonschema==4.26.0"];

/// A Python with these packages: the one that the environment names, else one made on first use
/// and kept with the build's other files. Blocks.
pub(crate) fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    if let Some(python) = std::env::var_os("STROM_LOAD_TEST_PYTHON") {
        return python.into();
    }
    PYTHON.get_or_init(make_python).clone()
}

fn make_python() -> PathBuf {
    let name = PYTHON_PACKAGES.join("-").replace(['[', ']', '='], "_");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (python, ready) = (folder.join("bin/python"), folder.join("ready"));
    if ready.exists() {
        return python;
    }
    let step = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {args:?}: {stderr}", program.display());
    };
    let path = folder.to_str().unwrap();
    step(Path::new("python3"), &["-m", "venv", "--clear", path]);
    let install = ["-m", "pip", "install", "--quiet", "--only-binary", ":all:"];
    step(&python, &[&install[..], &PYTHON_PACKAGES].concat());
    fs::write(ready, "").unwrap();
    python
}
