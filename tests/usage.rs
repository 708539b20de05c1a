//! Mistakes of every kind: each ends with its exit code and a message that says how to mend it,
//! and leaves nothing behind.
//!
//! A snapshot is a transcript: what was typed, and what came back.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::{Database, Program, scratch, shared};

/// A password that no output may hold.
const SECRET: &str = "hunter2";

/// What was typed and what came back, one refused command after the other.
pub(crate) struct Transcript {
    pub(crate) text: String,
    /// What differs from one machine to the next, and what is shown instead.
    hidden: Vec<(String, String)>,
}

impl Transcript {
    pub(crate) fn new() -> Self {
        Self { text: String::new(), hidden: Vec::new() }
    }

    fn of(database: &Database) -> Self {
        let mut transcript = Self::new();
        transcript.hide(&shared().socket_dir.display().to_string(), "SOCKET");
        transcript.hide(&shared().port.to_string(), "PORT");
        transcript.hide(&database.name, "DATABASE");
        transcript
    }

    fn hide(&mut self, what: &str, shown: &str) {
        self.hidden.push((what.to_owned(), shown.to_owned()));
    }

    /// Runs a command that must fail and leave nothing.
    pub(crate) async fn refuse(&mut self, args: &[&str]) {
        self.refuse_in(&[], args, &[]).await;
    }

    /// The same among `files`, with variables in the environment.
    pub(crate) async fn refuse_in(
        &mut self,
        files: &[(&str, &str)],
        args: &[&str],
        env: &[(&str, &str)],
    ) {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        self.refuse_among(&files, args, env).await;
    }

    /// The same among files that need not be text.
    pub(crate) async fn refuse_among(
        &mut self,
        files: &[(&str, &[u8])],
        args: &[&str],
        env: &[(&str, &str)],
    ) {
        let folder = scratch();
        let work = folder.path().join("work");
        fs::create_dir(&work).unwrap();
        for (name, text) in files {
            let path = work.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let before = listing(&work);
        let ended = Program::start_in(folder, args, env).end().await;
        let words = args.iter().map(|word| match word.contains([' ', '"']) {
            true => format!("'{word}'"),
            false => (*word).to_owned(),
        });
        let variables = env.iter().map(|(name, value)| format!("{name}={value} "));
        let typed = variables.collect::<String>() + "strom-load";
        let typed = words.fold(typed, |typed, word| typed + " " + &word);
        assert_ne!(ended.code, Some(0), "{typed}");
        assert_eq!(ended.stdout, "", "{typed}");
        assert_eq!(listing(&ended.work()), before, "{typed}");
        assert!(!ended.stderr.contains(SECRET), "{typed}: {}", ended.stderr);
        let (code, said) = (ended.code.unwrap(), ended.stderr.trim_end());
        let mut shown = format!("$ {typed}\nexit {code}\n{said}\n\n");
        let folder = ended.work().display().to_string();
        for (what, instead) in self.hidden.iter().chain([&(folder, "FOLDER".to_owned())]) {
            shown = shown.replace(what, instead);
        }
        let shown = without_times(&shown);
        self.text.write_str(&shown).unwrap();
    }
}

/// The time in the name of a results folder differs from run to run.
fn without_times(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" results in results/") {
        Some((level, name)) => {
            let profile = name.rsplit_once('-').unwrap().0;
            format!("{level} results in results/{profile}-TIME\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// Every file and folder within, in order.
fn listing(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        names.push(entry.path().display().to_string());
        if entry.path().is_dir() {
            names.extend(listing(&entry.path()));
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn fill() {
    let database = Database::create().await;
    let mut transcript = Transcript::of(&database);
    let columns = "columns = [{ name = \"id\", type = \"bigint\", values = \"row_id\" }]";
    let good = format!("[[tables]]\nname = \"t\"\nrows = 10\n{columns}\n");
    let bad = good.replace("rows = 10", "rows = 0");
    let elsewhere = good.replace("\"t\"", "\"nowhere.t\"");
    let files = [
        ("good.toml", good.as_str()),
        ("bad.toml", &bad),
        ("elsewhere.toml", &elsewhere),
        ("stream.toml", "stream.partitions = 1\n"),
    ];
    let address = database.address();
    for args in [
        &["fill"][..],
        &["fill", "absent.toml"],
        &["fill", "good.toml"],
        &["fill", "stream.toml", "--data-dir", "pg"],
        &["fill", "good.toml", "bad.toml", "--data-dir", "pg"],
        &["fill", "good.toml", "--rows", "0"],
        &["fill", "good.toml", "--rows", "many"],
        &["fill", "good.toml", "--scale", "0"],
        &["fill", "good.toml", "--connections", "0"],
        &["fill", "elsewhere.toml", "--quiet", "--database-url", &address],
    ] {
        transcript.refuse_in(&files, args, &[]).await;
    }
    insta::assert_snapshot!(transcript.text);
}

#[tokio::test]
async fn flags() {
    let mut transcript = Transcript::new();
    for args in [
        &["--rat", "3000"][..],
        &["--gpu", "maybe"],
        &["--format", "xml"],
        &["--rate", "0"],
        &["--rate", "-5"],
        &["--rate", "1e99"],
        &["--rate", "0.5"],
        &["--partitions", "0"],
        &["--partitions", "100000000"],
        &["--partitions", "1.5"],
        &["--duration", "0s"],
        &["--duration", "30"],
        &["--warmup", "-1s"],
        &["--batch-rows", "0"],
        &["--linger", "1h"],
        &["--readers", "2000"],
        &["--query-rate", "0"],
        &["--statement-timeout", "0s"],
        &["--seed", "x"],
        &["--table", "a.b.c"],
        &["--table", ""],
        &["--threshold", "response_p9_ms < 50"],
        &["--delivery", "twice"],
        &["--on-fault", "ignore"],
        &["--reconnect-timeout", "0s"],
        &["--backlog-rows", "299"],
        &["--catch-up", "1"],
        &["--catch-up", "fast"],
        &["--audit", "maybe"],
        &["--metrics-addr", "localhost"],
        &["--pg-set", "shared_buffers"],
        &["--quiet", "--verbose"],
        &["run"],
        &["postgres"],
        &["nonsense"],
        // Faults of the plan come all at once.
        &["--rate", "0", "--partitions", "0", "--duration", "0s", "--table", "a b"],
    ] {
        transcript.refuse(args).await;
    }
    transcript.refuse_in(&[], &["check"], &[("STROM_LOAD_RATE", "0")]).await;
    insta::assert_snapshot!("flags", transcript.text);
}

#[tokio::test]
async fn connections() {
    let database = Database::create().await;
    let mut transcript = Transcript::of(&database);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    transcript.hide(&free.port().to_string(), "CLOSED");
    database.execute("DROP ROLE IF EXISTS conn_ann").await;
    database.execute("CREATE ROLE conn_ann LOGIN PASSWORD 'right'").await;
    let refused = format!("postgresql://ann@{free}/x");
    let wrong = database.url("conn_ann:wrong");
    let none = database.url("conn_ann");
    let role = database.address_of("conn_nobody");
    let missing = database.address().replace(&database.name, "conn_missing");
    for address in [
        "postgresql://ann:hunter2@db:99999/x",
        "postgresql://ann:hunter2@db/x?sslmode=nonsense",
        "mysql://ann:hunter2@db/x",
        "host=db password=hunter2 port=x",
        "host=db sslmode=verify-full sslrootcert=/nowhere password=hunter2",
        "host=/nowhere user=ann dbname=x",
        &refused,
        &wrong,
        &none,
        &role,
        &missing,
    ] {
        let env = [("DATABASE_URL", address), ("STROM_LOAD_METRICS_ADDR", "off")];
        // The transcript shows what was typed, and that is no place for a secret either.
        transcript.hide("hunter2", "****");
        transcript.refuse_in(&[], &[], &env).await;
    }
    // In argv a password draws a warning, which does not repeat it.
    let args = ["--database-url", "postgresql://ann:hunter2@127.0.0.1:1/x"];
    transcript.refuse(&[&args[..], &["--metrics-addr", "off"]].concat()).await;
    transcript
        .refuse_in(&[], &["--metrics-addr", "off"], &[("PGPORT", "x"), ("PGHOST", "h")])
        .await;
    insta::assert_snapshot!("connections", transcript.text);
    database.execute("DROP ROLE conn_ann").await;
}

/// Runs against a database with each of some tables in the way; none may change.
#[tokio::test]
async fn tables() {
    let database = Database::create().await;
    let mut transcript = Transcript::of(&database);
    let columns = "id bigint, category text, region text, amount numeric(15,2), \
                   gpu_partition integer, created_at timestamptz";
    let good = format!(
        "CREATE TABLE full_up ({columns}) PARTITION BY LIST (gpu_partition); \
                        CREATE TABLE full_up_p0 PARTITION OF full_up FOR VALUES IN (0); \
                        INSERT INTO full_up VALUES \
                        (9223372036854775807, 'c', 'r', 1, 0, now())"
    );
    database
        .execute(&format!(
            "CREATE TABLE plain ({columns}); \
             CREATE TABLE by_range ({columns}) PARTITION BY RANGE (gpu_partition); \
             CREATE TABLE by_other ({columns}) PARTITION BY LIST (region); \
             CREATE VIEW seen AS SELECT * FROM plain; \
             CREATE SEQUENCE counted; \
             CREATE TABLE other (id integer, category text, price money NOT NULL, \
                                 amount numeric(5,2), gpu_partition integer, created_at date) \
             PARTITION BY LIST (gpu_partition); \
             {good}"
        ))
        .await;
    let shape = "SELECT relname, relkind FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace ORDER BY relname";
    let before = database.rows(shape).await;
    let address = database.address();
    for table in
        ["plain", "by_range", "by_other", "seen", "counted", "other", "full_up", "no.table"]
    {
        let args = ["--database-url", &address, "--metrics-addr", "off", "--table", table];
        transcript.refuse(&[&args[..], &["--partitions", "2"]].concat()).await;
        assert_eq!(database.rows(shape).await, before, "{table}");
    }
    // --recreate drops tables, not whatever else has the name.
    let args = ["--database-url", &address, "--metrics-addr", "off", "--recreate"];
    transcript.refuse(&[&args[..], &["--table", "seen"]].concat()).await;
    assert_eq!(database.rows(shape).await, before);
    insta::assert_snapshot!("tables", transcript.text);
}

#[tokio::test]
async fn rights() {
    let database = Database::create().await;
    let mut transcript = Transcript::of(&database);
    for role in ["rights_none", "rights_insert", "rights_user"] {
        database.execute(&format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN")).await;
    }
    let table = |name: &str| {
        format!(
            "CREATE TABLE {name} (id bigint, category text, region text, amount numeric(15,2), \
             gpu_partition integer, created_at timestamptz) PARTITION BY LIST (gpu_partition); \
             CREATE TABLE {name}_p0 PARTITION OF {name} FOR VALUES IN (0);"
        )
    };
    database
        .execute(&format!(
            "{} GRANT INSERT ON theirs TO rights_insert; \
             GRANT SELECT, INSERT ON theirs TO rights_user",
            table("theirs")
        ))
        .await;
    let shape = "SELECT relname, relkind FROM pg_class \
                 WHERE relnamespace = 'public'::regnamespace ORDER BY relname";
    let before = database.rows(shape).await;
    for (role, args) in [
        // May not create a table.
        ("rights_none", &["--table", "mine"][..]),
        // May not read, which the check at the end needs.
        ("rights_insert", &["--table", "theirs", "--partitions", "1"]),
        // May do all but add a partition.
        ("rights_user", &["--table", "theirs", "--partitions", "3"]),
        ("rights_user", &["--table", "theirs", "--partitions", "1", "--recreate=theirs"]),
    ] {
        let address = database.address_of(role);
        let common = ["--database-url", &address, "--metrics-addr", "off"];
        transcript.refuse(&[&common[..], args].concat()).await;
        assert_eq!(database.rows(shape).await, before, "{role} {args:?}");
    }
    insta::assert_snapshot!("rights", transcript.text);

    // With the rights that the messages name, it runs.
    let args = ["--table", "theirs", "--partitions", "1", "--duration", "1s", "--warmup", "0s"];
    let address = database.address_of("rights_user");
    let common = ["--database-url", &address, "--metrics-addr", "off", "--output", "out"];
    Program::start(&[&common[..], &args].concat()).end().await.done();
    database.execute("DROP OWNED BY rights_none, rights_insert, rights_user").await;
    database.execute("DROP ROLE rights_none, rights_insert, rights_user").await;
}

#[tokio::test]
async fn servers() {
    let database = Database::create().await;
    let mut transcript = Transcript::of(&database);
    let address = database.address();
    let common = ["--database-url", &address, "--metrics-addr", "off"];
    let typo = "name = 'typo'\n[stream]\n[[readers.queries]]\nname = 'sums'\n\
                sql = '''\nSELECT region, sum(amuont)\nFROM {table}\nGROUP BY region'''\n";
    for args in [&["--gpu", "on"][..], &["--gpu", "alternate"], &["--partitions", "500"]] {
        transcript.refuse(&[&common[..], args].concat()).await;
    }
    let files = [("typo.toml", typo)];
    transcript.refuse_in(&files, &[&["run", "typo.toml"], &common[..]].concat(), &[]).await;
    let none = database.number("SELECT count(*) FROM pg_class WHERE relname LIKE 'l40s%'").await;
    assert_eq!(none, 0, "a table is left");
    // The same with a table that would have been dropped for it.
    database.execute("CREATE TABLE precious AS SELECT 1 AS x").await;
    let recreate = ["run", "typo.toml", "--recreate=precious", "--table", "precious"];
    let recreate = [&recreate, &common[..]];
    transcript.refuse_in(&files, &recreate.concat(), &[]).await;
    assert_eq!(database.number("SELECT x FROM precious").await, 1);
    insta::assert_snapshot!("servers", transcript.text);
}

#[tokio::test]
async fn outputs() {
    let mut transcript = Transcript::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_at = taken.local_addr().unwrap().to_string();
    transcript.hide(&taken_at, "TAKEN");
    let files = [("file", "precious"), ("old/result.json", "{}")];
    for args in [
        &["--output", "file/out"][..],
        &["--output", "file"],
        &["--output", "old"],
        &["--metrics-addr", &taken_at],
        &["--metrics-addr", &taken_at, "--output", "new/deep"],
    ] {
        transcript.refuse_in(&files, args, &[]).await;
    }
    // As much of a server of its own as there is goes, too.
    transcript.refuse(&["--metrics-addr", "off", "--pg-bindir", "missing"]).await;
    transcript.refuse(&["--metrics-addr", "off", "--pg-set", "port=1"]).await;
    let refused = ["--pg-set", "fsync=maybe", "--pg-set", "max_connnections=5", "--pg-set"];
    let refused = [&refused[..], &["wal_level=none", "--pg-set", "work_mem=900XB"]].concat();
    transcript.refuse(&[&["--metrics-addr", "off"], &refused[..]].concat()).await;
    for data_dir in ["file", "file/below", "/proc/nowhere", "old"] {
        let args = ["--metrics-addr", "off", "--data-dir", data_dir];
        transcript.refuse_in(&files, &args, &[]).await;
    }
    insta::assert_snapshot!("outputs", transcript.text);
}

/// Each profile and what is wrong with it.
const BAD_PROFILES: [(&str, &str); 18] = [
    ("not-toml", "[stream\nrows_per_s = 1"),
    ("unknown-key", "[stream]\nrow_per_s = 3000\n[reader]\ncount = 1"),
    ("wrong-type", "duration_s = 'long'\n[stream]\nbatch_rows = 'many'"),
    ("out-of-range", "warmup_s = -1\n[stream]\npartitions = 0\nrows_per_s = 1e99"),
    ("no-query", "[readers]\ncount = 2"),
    ("several-statements", "[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1; DROP TABLE {table}'"),
    ("unknown-placeholder", "[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1 FROM {tabel}'"),
    (
        "parameter-faults",
        "[[readers.queries]]\nname = 'q'\nnewest_column = 'at'\nprotocol = 'simple'\n\
         sql = 'SELECT 1 FROM {table} WHERE a = :catgory AND b > :due'\n\
         [readers.queries.parameters]\n\
         category = { type = 'text', values = { label = { prefix = 'c_', min = 1, max = 9 } } }\n\
         due = { type = 'timestamptz', values = 'due_time' }\n\
         [[readers.queries]]\nname = 'r'\nsql = 'SELECT :x'",
    ),
    ("no-sql-file", "[[readers.queries]]\nname = 'q'\nsql_file = 'queries/top.sql'"),
    (
        "query-twice",
        "[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1'\n\
         [[readers.queries]]\nname = 'q'\nsql = 'SELECT 2'",
    ),
    ("bad-name", "name = 'My Profile'"),
    ("bad-table", "[stream]\ntable = '\"unclosed'"),
    ("bad-threshold", "thresholds = ['response_p99_ms << 5', 'rate_ratio >= most']"),
    ("no-identity", "[[stream.columns]]\nname = 'x'\ntype = 'integer'\nvalues = 'partition'"),
    (
        "column-faults",
        "[[stream.columns]]\nname = 'id'\ntype = 'bigint'\nvalues = 'row_id'\n\
         [[stream.columns]]\nname = 'p'\ntype = 'integer'\nvalues = 'partition'\n\
         [[stream.columns]]\nname = 'a'\ntype = 'money'\nvalues = { integer = { min = 1, max = 2 } }\n\
         [[stream.columns]]\nname = 'b'\ntype = 'smallint'\nvalues = { integer = { min = 1, max = 99999 } }\n\
         [[stream.columns]]\nname = 'c'\ntype = 'date'\nvalues = { day = { min = '2023-02-30', max = '2023-01-01' } }\n\
         [[stream.columns]]\nname = 'c'\ntype = 'boolean'\nvalues = { boolean = { true_ratio = 2 } }",
    ),
    ("unknown-generator", "[[stream.columns]]\nname = 'x'\ntype = 'text'\nvalues = 'random'"),
    ("duplicate-key", "seed = 1\nseed = 2"),
    ("bad-seed", "seed = -1"),
];

#[tokio::test]
async fn profiles() {
    let mut transcript = Transcript::new();
    for (name, text) in BAD_PROFILES {
        let file = format!("{name}.toml");
        let stream = if text.contains("stream") { "" } else { "\n[stream]\n" };
        let text = &format!("{text}{stream}");
        transcript.refuse_in(&[(&file, text)], &["run", &file], &[]).await;
    }
    transcript.refuse(&["run", "missing.toml"]).await;
    transcript.refuse(&["check", "missing.toml"]).await;
    transcript.refuse_in(&[("folder/x", "")], &["run", "folder"], &[]).await;
    // The second of two is bad: the first does not start.
    let files = [("good.toml", "[stream]"), ("bad.toml", "seed = -1\n[stream]")];
    transcript.refuse_in(&files, &["run", "good.toml", "bad.toml"], &[]).await;
    insta::assert_snapshot!("profiles", transcript.text);
}
