//! Arrow files against a reader that is not ours, pyarrow; what is refused; what is left behind.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use strom_load::arrow::{
    ExportError, ExportOptions, Exported, ImportError, Source, check, drop_table, export, import,
};
use strom_load::pg::{Address, Session};
use strom_load::plan::TableName;

use crate::faults::disk::SmallDisk;
use crate::support::{Database, Program, Shared, python, scratch, shared};

/// Prints the schema and the values of an Arrow file as JSON. Values are written so that nothing
/// is lost: floats by their bits, text by its bytes, dates and times by their numbers.
const READ_BY_PYARROW: &str = r#"
import json, struct, sys
import pyarrow as pa

def shown(value, kind):
    if value is None:
        return None
    if pa.types.is_float32(kind):
        return struct.pack(">f", value).hex()
    if pa.types.is_float64(kind):
        return struct.pack(">d", value).hex()
    if pa.types.is_decimal(kind):
        return format(value, "f")
    if pa.types.is_string(kind):
        return value.encode().hex()
    if pa.types.is_boolean(kind):
        return "true" if value else "false"
    return str(value)

def numbers(column):
    # Python's own dates end in the year 9999.
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    return column

reader = pa.ipc.open_file(sys.argv[1])
sizes, rows = [], []
for number in range(reader.num_record_batches):
    batch = reader.get_batch(number)
    batch.validate(full=True)
    sizes.append(batch.num_rows)
    columns = [numbers(column) for column in batch.columns]
    columns = [[shown(v.as_py(), column.type) for v in column] for column in columns]
    rows.extend(list(row) for row in zip(*columns))
types = [[field.name, str(field.type)] for field in reader.schema]
print(json.dumps({"types": types, "batches": sizes, "rows": rows}))
"#;

async fn read_by_pyarrow(path: &Path) -> Value {
    let path = path.to_owned();
    let read = move || Command::new(python()).args(["-c", READ_BY_PYARROW]).arg(path).output();
    let output = tokio::task::spawn_blocking(read).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn session(database: &Database) -> Session {
    let Shared { socket_dir, port, .. } = shared();
    let address = Address::socket(socket_dir, *port, "postgres", &database.name);
    Session::as_configured(&address, "test").await.unwrap()
}

async fn export_query(
    database: &Database,
    sql: &str,
    path: &Path,
    options: ExportOptions,
) -> Result<Exported, ExportError> {
    let mut session = session(database).await;
    let outcome = export(&mut session, &Source::Query(sql.to_owned()), path, options, |_| ()).await;
    // The session is good for more, whatever became of the export.
    let alive = session.text("look", "SELECT 'alive'").await.unwrap();
    assert_eq!(alive.as_deref(), Some("alive"));
    outcome
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Microseconds since 1970: in one step `extract` would round the largest.
const MICROSECONDS: &str = "(extract(epoch FROM date_trunc('second', x))::bigint * 1000000 \
                            + extract(microseconds FROM x)::bigint % 1000000)::text";

/// Every type, with extremes and NULLs: its declaration, pyarrow's name for it, how SQL writes a
/// value as the reader does, and values.
const TYPES: [(&str, &str, &str, &[&str]); 15] = [
    ("boolean", "bool", "x::text", &["true", "false"]),
    ("smallint", "int16", "x::text", &["-32768", "32767", "0"]),
    ("integer", "int32", "x::text", &["-2147483648", "2147483647"]),
    ("bigint", "int64", "x::text", &["-9223372036854775808", "9223372036854775807"]),
    (
        "real",
        "float",
        "encode(float4send(x), 'hex')",
        &["-3.4028235e38", "1e-45", "-0", "Infinity", "-Infinity", "0.1"],
    ),
    (
        "double precision",
        "double",
        "encode(float8send(x), 'hex')",
        &["-1.7976931348623157e308", "5e-324", "-0", "NaN", "Infinity", "0.1"],
    ),
    (
        "numeric(15,2)",
        "decimal128(15, 2)",
        "x::text",
        &["9999999999999.99", "-9999999999999.99", "0.01", "-0.01", "0", "10000", "0.5", "12345.6"],
    ),
    (
        "numeric(38,0)",
        "decimal128(38, 0)",
        "x::text",
        &[
            "99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
            "10000000000000000000000000000000000000",
            "0",
            "-1",
        ],
    ),
    (
        "numeric(38,38)",
        "decimal128(38, 38)",
        "x::text",
        &[
            "0.99999999999999999999999999999999999999",
            "-0.00000000000000000000000000000000000001",
            "0.5",
        ],
    ),
    (
        "text",
        "string",
        "encode(convert_to(x, 'UTF8'), 'hex')",
        &["", "one", "größer als 🐘", "tab\tand\nline", "it's \\N"],
    ),
    (
        "varchar(20)",
        "string",
        "encode(convert_to(x, 'UTF8'), 'hex')",
        &["", "twenty characters xy"],
    ),
    (
        "char(5)",
        "string",
        // Only the cast to text would cut the blanks.
        "encode(bpcharsend(x), 'hex')",
        &["ab", "abcde"],
    ),
    (
        "date",
        "date32[day]",
        "(x - '1970-01-01'::date)::text",
        &["1970-01-01", "1969-12-31", "2000-02-29", "4713-01-01 BC", "5874897-12-31"],
    ),
    (
        "timestamptz",
        "timestamp[us, tz=UTC]",
        MICROSECONDS,
        &["1970-01-01 00:00:00Z", "1969-12-31 23:59:59.999999Z", "4714-11-24 00:00:00+00 BC"],
    ),
    (
        "timestamp",
        "timestamp[us]",
        MICROSECONDS,
        // Arrow ends here; the server reaches some years further.
        &["2026-01-02 03:04:05.678901", "294247-01-10 04:00:54.775807"],
    ),
];

#[tokio::test]
async fn pyarrow_reads_every_type_as_sql_says_it() {
    let database = Database::create().await;
    let folder = scratch();
    for (number, (declared, arrow_type, in_sql, values)) in TYPES.into_iter().enumerate() {
        let table = format!("t{number}");
        let literals: Vec<_> = values.iter().map(|v| format!("($${v}$$), (NULL)")).collect();
        database
            .execute(&format!(
                "CREATE TABLE {table} (n serial, x {declared}); \
                 INSERT INTO {table} (x) VALUES {}",
                literals.join(", ")
            ))
            .await;
        let path = folder.path().join(format!("{table}.arrow"));
        let query = format!("SELECT x FROM {table} ORDER BY n; ");
        let exported =
            export_query(&database, &query, &path, ExportOptions::default()).await.unwrap();
        assert_eq!(exported.rows, 2 * values.len() as u64, "{declared}");
        assert_eq!(exported.bytes, fs::metadata(&path).unwrap().len());

        let read = read_by_pyarrow(&path).await;
        assert_eq!(read["types"], serde_json::json!([["x", arrow_type]]));
        let sql = format!("SELECT {in_sql} FROM {table} ORDER BY n");
        let said = database.rows(&sql).await;
        let got: Vec<Vec<String>> = read["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| vec![row[0].as_str().unwrap_or("NULL").to_owned()])
            .collect();
        assert_eq!(got, said, "{declared}");
    }
}

#[tokio::test]
async fn a_table_goes_out_whole_in_bounded_batches() {
    let database = Database::create().await;
    let folder = scratch();
    database
        .execute(
            "CREATE TABLE \"Odd Name\" (id bigint, \"Größe\" numeric(15,2), label text, \
                                        day date) PARTITION BY LIST (id); \
             CREATE TABLE rest PARTITION OF \"Odd Name\" DEFAULT; \
             INSERT INTO \"Odd Name\" SELECT n, n * 1.01, 'label ' || n, '2000-01-01'::date + n \
             FROM generate_series(1, 10001) n",
        )
        .await;
    let path = folder.path().join("odd.arrow");
    let mut session = session(&database).await;
    let table: TableName = "public.\"Odd Name\"".parse().unwrap();
    let source = Source::Table(table);
    let options = ExportOptions { batch_rows: 1_000, ..ExportOptions::default() };
    let exported = export(&mut session, &source, &path, options, |_| ()).await.unwrap();
    assert_eq!((exported.rows, exported.batches), (10_001, 11));
    let read = read_by_pyarrow(&path).await;
    assert_eq!(read["batches"].as_array().unwrap().len(), 11);
    assert_eq!(read["batches"][10], 1);
    assert_eq!(
        read["types"],
        serde_json::json!([
            ["id", "int64"],
            ["Größe", "decimal128(15, 2)"],
            ["label", "string"],
            ["day", "date32[day]"]
        ])
    );
    let rows = read["rows"].as_array().unwrap();
    let sum: i64 = rows.iter().map(|row| row[0].as_str().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(sum, 10_001 * 10_002 / 2);
    assert_eq!(rows[9_999][1], "10100.00");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);

    // By bytes: each row is above 30, so 3,000 bytes end a batch before 100 rows.
    let by_bytes = ExportOptions { batch_bytes: 3_000, replace: true, ..ExportOptions::default() };
    let exported = export(&mut session, &source, &path, by_bytes, |_| ()).await.unwrap();
    assert!(exported.batches > 100, "{}", exported.batches);
    assert_eq!(read_by_pyarrow(&path).await["rows"].as_array().unwrap().len(), 10_001);

    // No row is no batch, and still a file.
    database.execute("CREATE TABLE none (id bigint, amount numeric(15,2))").await;
    let empty = folder.path().join("empty.arrow");
    let source = Source::Table("none".parse().unwrap());
    let exported =
        export(&mut session, &source, &empty, ExportOptions::default(), |_| ()).await.unwrap();
    assert_eq!((exported.rows, exported.batches), (0, 0));
    let read = read_by_pyarrow(&empty).await;
    assert_eq!(read["types"].as_array().unwrap().len(), 2);
    assert_eq!(names_in(folder.path()).len(), 2, "{:?}", names_in(folder.path()));
}

#[tokio::test]
async fn what_has_no_form_in_arrow_is_refused_and_leaves_nothing() {
    let database = Database::create().await;
    let folder = scratch();
    database.execute("CREATE TYPE mood AS ENUM ('good')").await;
    let path = folder.path().join("x.arrow");
    let mut said = String::new();
    for sql in [
        "SELECT 1 AS id, 1.5 AS price",
        "SELECT 1::numeric(39,0) AS wide",
        "SELECT 1::numeric(3,-2) AS hundreds",
        "SELECT 1::numeric(2,4) AS small",
        "SELECT '{}'::jsonb AS doc",
        "SELECT gen_random_uuid() AS key",
        "SELECT 'good'::mood AS mood",
        "SELECT ARRAY[1] AS list",
        "SELECT FROM generate_series(1, 3)",
        "SELECT x::numeric(15,2) AS x FROM (VALUES ('1'), ('2'), ('NaN')) v(x)",
        "SELECT 'infinity'::date AS day",
        "SELECT '-infinity'::timestamptz AS at",
        "SELECT timestamp '294276-12-31 23:59:59' AS at",
        "SELECT no_such_column",
        "SELECT 1; SELECT 2",
        "CREATE TABLE made (x integer)",
        "SELECT nextval('counted')",
        "SELECT 1 / (n - 3) AS x FROM generate_series(1, 5) n",
    ] {
        database.execute("CREATE SEQUENCE IF NOT EXISTS counted").await;
        let outcome = export_query(&database, sql, &path, ExportOptions::default()).await;
        let error = outcome.expect_err(sql);
        writeln!(said, "{sql}\n{error}\n").unwrap();
        assert_eq!(names_in(folder.path()), [""; 0], "{sql}");
    }
    insta::assert_snapshot!("refused", said);
    // A value early in an endless answer ends it. (In FROM, the server would keep the series.)
    let long = "SELECT (CASE n WHEN 1000 THEN 'NaN' ELSE n::numeric END)::numeric(15,2) AS x \
                FROM (SELECT generate_series(1, 2000000000) AS n) numbers";
    let error = export_query(&database, long, &path, ExportOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("column `x`, row 1000: NaN"), "{error}");
}

#[tokio::test]
async fn files_in_the_way_are_left_alone() {
    let database = Database::create().await;
    let folder = scratch();
    let path = folder.path().join("x.arrow");
    fs::write(&path, "precious").unwrap();
    let export = |path: &Path, options| {
        let path = path.to_owned();
        let database = &database;
        async move { export_query(database, "SELECT 1 AS x", &path, options).await }
    };
    let error = export(&path, ExportOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("already there") && error.contains("--replace"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let error =
        export(folder.path(), ExportOptions { replace: true, ..ExportOptions::default() }).await;
    assert!(error.unwrap_err().to_string().contains("is a directory"));
    let error =
        export(&folder.path().join("no/x.arrow"), ExportOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("create its folder first"), "{error}");
    assert!(error.is_early());
    assert_eq!(names_in(folder.path()), ["x.arrow"]);
    export(&path, ExportOptions { replace: true, ..ExportOptions::default() }).await.unwrap();
    assert_eq!(read_by_pyarrow(&path).await["rows"], serde_json::json!([["1"]]));
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_left_on_it() {
    let database = Database::create().await;
    let disk = SmallDisk::mount_empty(32);
    let path = disk.path().join("x.arrow");
    let options = ExportOptions { batch_rows: 50_000, ..ExportOptions::default() };
    let sql = "SELECT n::bigint AS n, repeat('x', 100) AS filler \
               FROM generate_series(1, 1000000) n";
    let error = export_query(&database, sql, &path, options).await.unwrap_err();
    assert!(!error.is_early(), "{error}");
    let error = error.to_string();
    assert!(error.starts_with(&format!("failed to write `{}`: ", path.display())), "{error}");
    assert!(error.contains("No space left on device") && error.contains("fix: free"), "{error}");
    assert_eq!(names_in(disk.path()), [""; 0]);
    // With room, the same path is good.
    export_query(&database, "SELECT 1 AS n", &path, options).await.unwrap();
}

#[tokio::test]
async fn the_program_writes_a_file_and_an_interrupt_leaves_none() {
    let database = Database::create().await;
    database.execute("CREATE TABLE events AS SELECT n AS id FROM generate_series(1, 5) n").await;
    let address = database.address();
    let common = ["arrow", "--database-url", &address, "--file", "out.arrow"];
    let args = [&common[..], &["--from", "events", "--format", "json"]].concat();
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(result["rows"], 5);
    assert_eq!(result["file"], "out.arrow");
    assert_eq!(result["imported_as"], Value::Null);
    assert_eq!(result["columns"][0]["arrow_type"], "Int32");
    let read = read_by_pyarrow(&ended.work().join("out.arrow")).await;
    assert_eq!(read["batches"], serde_json::json!([5]));

    // Without arrow_fdw nothing is read for an import that cannot be.
    let args = [&common[..], &["--from", "events", "--import-as", "foreign_events"]].concat();
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("no foreign server `arrow_fdw`"), "{}", ended.stderr);
    assert_eq!(names_in(&ended.work()), [""; 0]);

    let slow = "SELECT CASE WHEN pg_sleep(0.01) IS NULL THEN 0 ELSE n END AS n \
                FROM generate_series(1, 100000) n";
    let program = Program::start(&[&common[..], &["--query", slow]].concat());
    let work = program.folder.path().join("work");
    crate::support::until("the draft is there", || {
        names_in(&work).iter().any(|name| name.ends_with(".partial"))
    })
    .await;
    database
        .until("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT CASE%'")
        .await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(names_in(&ended.work()), [""; 0]);
    database
        .until("SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT CASE%'")
        .await;
}

/// As far as the server's side goes without PG-Strom: another wrapper stands under its name, and
/// an event trigger says what PG-Strom says.
#[tokio::test]
async fn an_import_that_the_server_refuses_says_why_and_leaves_no_table() {
    let database = Database::create().await;
    let folder = scratch();
    let path = folder.path().join("it's.arrow");
    let exported = export_query(&database, "SELECT 1 AS x", &path, ExportOptions::default()).await;
    let rows = exported.unwrap().rows;
    let mut session = session(&database).await;
    let name: TableName = "\"Foreign\"".parse().unwrap();
    let error = import(&mut session, &name, &path, rows).await.unwrap_err();
    assert!(matches!(error, ImportError::NoArrowFdw), "{error}");

    database
        .execute(
            "CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw; \
             CREATE FOREIGN DATA WRAPPER arrow_fdw HANDLER postgres_fdw_handler; \
             CREATE SERVER arrow_fdw FOREIGN DATA WRAPPER arrow_fdw;",
        )
        .await;
    check(&mut session, &name).await.unwrap();
    // The wrapper knows no such option.
    let error = import(&mut session, &name, &path, rows).await.unwrap_err();
    assert!(matches!(error, ImportError::Server(_)), "{error}");

    database
        .execute(
            "CREATE OR REPLACE FUNCTION unable() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
               RAISE EXCEPTION 'arrow_fdw: unable to access ''%'': Permission denied', \
                 replace(substring(current_query() from '\\(file ''(.*)''\\)'), '''''', ''''); \
             END $$; \
             CREATE EVENT TRIGGER unable ON ddl_command_start \
             WHEN TAG IN ('IMPORT FOREIGN SCHEMA') EXECUTE FUNCTION unable()",
        )
        .await;
    let error = import(&mut session, &name, &path, rows).await.unwrap_err();
    assert!(matches!(error, ImportError::Unreadable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("Permission denied") && text.contains("chmod o+x"), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    // The transaction is over, and nothing came of it.
    assert_eq!(database.number("SELECT count(*) FROM pg_foreign_table").await, 0);
    let gone = folder.path().join("gone.arrow");
    let error = import(&mut session, &name, &gone, rows).await.unwrap_err();
    assert!(matches!(error, ImportError::Path { .. }), "{error}");

    // A name that is taken; and the end of a foreign table.
    database
        .execute(
            "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; \
             CREATE FOREIGN TABLE \"Foreign\" (x integer) SERVER files \
             OPTIONS (filename '/dev/null')",
        )
        .await;
    let error = import(&mut session, &name, &path, rows).await.unwrap_err();
    assert!(matches!(error, ImportError::Taken { .. }), "{error}");
    drop_table(&mut session, &name).await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM pg_foreign_table").await, 0);
    database.execute("CREATE TABLE \"Foreign\" (x integer)").await;
    let error = drop_table(&mut session, &name).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42809"), "{error}");
}

/// As in a run: what the server does not take is found before anything is done, and leaves nothing.
#[tokio::test]
async fn what_cannot_be_read_is_refused_with_a_fix() {
    let database = Database::create().await;
    let role = format!("{}_reader", database.name);
    let sql = format!("CREATE TABLE closed (x int); CREATE ROLE {role} LOGIN");
    database.execute(&sql).await;
    let (superuser, reader) = (database.address(), database.address_of(&role));
    for (address, what, said) in [
        (
            &superuser,
            ["--from", "nosuch"],
            "relation \"nosuch\" does not exist (SQLSTATE 42P01)\n  fix: name a table or view that is \
             there, with its schema if need be\n",
        ),
        (
            &reader,
            ["--from", "closed"],
            "permission denied for table closed (SQLSTATE 42501)\n  fix: let the owner run: GRANT SELECT \
             ON \"closed\" TO …\n",
        ),
        (
            &superuser,
            ["--query", "SELECT 1 AS a; DROP TABLE closed"],
            "cannot insert multiple commands into a prepared statement (SQLSTATE 42601)\n  fix: correct \
             it; it is one SELECT, VALUES or TABLE\n",
        ),
        (
            &superuser,
            ["--query", "SELECT 1 AS a\nFROM tabel"],
            "relation \"tabel\" does not exist (SQLSTATE 42P01)\n  fix: correct it; it is one SELECT, \
             VALUES or TABLE\n  2 | FROM tabel\n    |      ^\n",
        ),
    ] {
        let args = ["arrow", "--file", "out.arrow", "--database-url", address];
        let ended = Program::start(&[&args[..], &what].concat()).end().await;
        assert_eq!(ended.code, Some(3), "{what:?}: {}", ended.stderr);
        assert!(ended.stderr.ends_with(said), "{what:?}: {}", ended.stderr);
        assert_eq!(std::fs::read_dir(ended.work()).unwrap().count(), 0, "{what:?}");
    }
}
