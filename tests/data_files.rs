//! Values of files on a real server: of Arrow files as pyarrow writes them, and of files that are too large to be
//! in memory.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use crate::support::{Database, Ended, Program, python, scratch};

/// A column for each Arrow type: its name, its SQL type, how pyarrow makes it of two values and a NULL, what
/// selects it, and the two as the server shows them.
const KINDS: [(&str, &str, &str, &str, [&str; 2]); 31] = [
    ("i8", "smallint", "pa.array([-128, 127, None], pa.int8())", "i8", ["-128", "127"]),
    ("i16", "integer", "pa.array([-32768, 7, None], pa.int16())", "i16", ["-32768", "7"]),
    ("i32", "numeric(12,2)", "pa.array([-7, 7, None], pa.int32())", "i32", ["-7.00", "7.00"]),
    (
        "i64",
        "bigint",
        "pa.array([-2**63, 2**63 - 1, None], pa.int64())",
        "i64",
        ["-9223372036854775808", "9223372036854775807"],
    ),
    ("u8", "double precision", "pa.array([0, 255, None], pa.uint8())", "u8", ["0", "255"]),
    ("u16", "real", "pa.array([0, 65535, None], pa.uint16())", "u16", ["0", "65535"]),
    ("u32", "bigint", "pa.array([0, 2**32 - 1, None], pa.uint32())", "u32", ["0", "4294967295"]),
    (
        "u64",
        "numeric(20,0)",
        "pa.array([0, 2**64 - 1, None], pa.uint64())",
        "u64",
        ["0", "18446744073709551615"],
    ),
    (
        "f32",
        "double precision",
        "pa.array([0.5, -1.5e9, None], pa.float32())",
        "f32",
        ["0.5", "-1500000000"],
    ),
    (
        "f64",
        "double precision",
        "pa.array([0.1, float('nan'), None], pa.float64())",
        "f64",
        ["0.1", "NaN"],
    ),
    (
        "d32",
        "numeric(9,3)",
        "pa.array([D('-1.234'), D('999999.999'), None], pa.decimal32(9, 3))",
        "d32",
        ["-1.234", "999999.999"],
    ),
    (
        "d64",
        "numeric(18,4)",
        "pa.array([D('0.01'), D('-5.5'), None], pa.decimal64(18, 2))",
        "d64",
        ["0.0100", "-5.5000"],
    ),
    (
        "d128",
        "numeric(38,10)",
        "pa.array([D('-9999999999999999999999999999.9999999999'), D('1e-10'), None], pa.decimal128(38, 10))",
        "d128",
        ["-9999999999999999999999999999.9999999999", "0.0000000001"],
    ),
    (
        "d256",
        "numeric(38,0)",
        "pa.array([D('12345678901234567890123456789012345678'), D(-1), None], pa.decimal256(76, 0))",
        "d256",
        ["12345678901234567890123456789012345678", "-1"],
    ),
    ("flag", "boolean", "pa.array([True, False, None])", "flag", ["true", "false"]),
    (
        "words",
        "text",
        "pa.array(['é \"x\"\\n', '', None], pa.string())",
        "words",
        ["é \"x\"\n", ""],
    ),
    ("large", "varchar(20)", "pa.array(['a', 'b', None], pa.large_string())", "large", ["a", "b"]),
    (
        "view",
        "text",
        "pa.array(['a text of more than twelve bytes', 'short', None], pa.string_view())",
        "view",
        ["a text of more than twelve bytes", "short"],
    ),
    ("number", "integer", "pa.array(['7', '-8', None])", "number", ["7", "-8"]),
    (
        "bin",
        "bytea",
        "pa.array([bytes([0, 255]), b'', None], pa.binary())",
        "bin",
        ["\\x00ff", "\\x"],
    ),
    (
        "lbin",
        "bytea",
        "pa.array([b'a', b'b', None], pa.large_binary())",
        "lbin",
        ["\\x61", "\\x62"],
    ),
    (
        "own",
        "uuid",
        "pa.array([bytes(range(16)), bytes(16), None], pa.binary(16))",
        "own",
        ["00010203-0405-0607-0809-0a0b0c0d0e0f", "00000000-0000-0000-0000-000000000000"],
    ),
    (
        "day",
        "date",
        "pa.array([date(1, 1, 1), date(2024, 2, 29), None], pa.date32())",
        "day",
        ["0001-01-01", "2024-02-29"],
    ),
    (
        "day64",
        "date",
        "pa.array([date(1969, 12, 31), date(2024, 2, 29), None], pa.date64())",
        "day64",
        ["1969-12-31", "2024-02-29"],
    ),
    (
        "clock",
        "time",
        "pa.array([1, 86399999, None], pa.time32('ms'))",
        "clock",
        ["00:00:00.001", "23:59:59.999"],
    ),
    (
        "clock64",
        "time",
        "pa.array([1000, 86400000000000, None], pa.time64('ns'))",
        "clock64",
        ["00:00:00.000001", "24:00:00"],
    ),
    (
        "second",
        "timestamp",
        "pa.array([-1, 0, None], pa.timestamp('s'))",
        "second",
        ["1969-12-31 23:59:59", "1970-01-01 00:00:00"],
    ),
    (
        "milli",
        "timestamptz",
        "pa.array([1, 1700000000000, None], pa.timestamp('ms', tz='Europe/Berlin'))",
        "milli AT TIME ZONE 'UTC'",
        ["1970-01-01 00:00:00.001", "2023-11-14 22:13:20"],
    ),
    (
        "nano",
        "timestamp",
        "pa.array([-1000, 1700000000000001000, None], pa.timestamp('ns'))",
        "nano",
        ["1969-12-31 23:59:59.999999", "2023-11-14 22:13:20.000001"],
    ),
    ("dict", "text", "pa.array(['a', 'b', None]).dictionary_encode()", "dict", ["a", "b"]),
    (
        "dict_day",
        "date",
        "pa.array([date(2024, 2, 29), date(2024, 3, 1), None]).dictionary_encode()",
        "dict_day",
        ["2024-02-29", "2024-03-01"],
    ),
];

/// Has pyarrow write the table in each format into the working folder.
fn write_by_pyarrow(folder: &Path) {
    let mut script =
        "import pyarrow as pa\nfrom pyarrow import feather\nfrom datetime import date\n\
                      from decimal import Decimal as D\nt = pa.table({\n"
            .to_owned();
    for (name, _, made, _, _) in KINDS {
        writeln!(script, "  '{name}': {made},").unwrap();
    }
    script += "})\n\
        feather.write_feather(t, 'lz4.feather')\n\
        feather.write_feather(t, 'zstd.feather', compression='zstd')\n\
        w = pa.ipc.new_file('plain.arrow', t.schema); w.write_table(t, max_chunksize=2); w.close()\n\
        w = pa.ipc.new_stream('stream.data', t.schema); w.write_table(t, max_chunksize=1); w.close()\n";
    let output = Command::new(python()).args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn values_of_arrow_files_are_those_that_pyarrow_wrote() {
    let database = Database::create().await;
    let folder = scratch();
    let written = folder.path().to_owned();
    tokio::task::spawn_blocking(move || write_by_pyarrow(&written)).await.unwrap();
    let fill = async |file: &str, table: &str, instead: (&str, &str)| {
        let mut columns = String::new();
        for (name, sql_type, ..) in KINDS {
            let sql_type = if name == instead.0 { instead.1 } else { sql_type };
            writeln!(
                columns,
                "{{ name = '{name}', type = '{sql_type}', values = {{ file = {{ path = '{file}', column = '{name}', \
                 pick = 'cycle' }} }} }},"
            )
            .unwrap();
        }
        let profile = folder.path().join(format!("{table}.toml"));
        let text = format!(
            "[[tables]]\nname = '{table}'\nrows = 4\ncolumns = [{{ name = 'id', type = 'bigint', values = 'row_id' \
             }},{columns}]"
        );
        fs::write(&profile, text).unwrap();
        let address = database.address();
        let profile = profile.display().to_string();
        Program::start(&["fill", &*profile, "--database-url", &*address]).end().await
    };
    // The fourth row is the first one of the file again, as rows count from 1.
    let shown = |at: usize| KINDS.map(|(.., values)| *values.get(at).unwrap_or(&"NULL")).to_vec();
    let expected = [shown(1), shown(2), shown(0), shown(1)];
    let selected = KINDS.map(|(.., select, _)| format!("coalesce(({select})::text, 'NULL')"));
    for (file, table) in
        [("lz4.feather", "lz4"), ("plain.arrow", "plain"), ("stream.data", "streamed")]
    {
        let ended = fill(file, table, ("", "")).await;
        assert_eq!(ended.code, Some(0), "{file}: {}", ended.stderr);
        let sql = format!("SELECT {} FROM {table} ORDER BY id", selected.join(", "));
        assert_eq!(database.rows(&sql).await, expected, "{file}");
    }
    for (file, instead, what) in [
        ("zstd.feather", ("", ""), "is compressed by zstd"),
        (
            "plain.arrow",
            ("nano", "timestamptz"),
            "has the Arrow type Timestamp(ns), whose values are not taken as",
        ),
        ("plain.arrow", ("i64", "integer"), "row 1 of"),
        ("plain.arrow", ("f64", "numeric(9,2)"), "real or double precision"),
    ] {
        let ended = fill(file, "refused", instead).await;
        assert_eq!(ended.code, Some(2), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(what), "{what}: {}", ended.stderr);
    }
}

/// A file of more than 64 MiB, whose notes follow from their numbers and have line breaks.
fn write_large(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "n,note").unwrap();
    for number in 0..68_000 {
        writeln!(file, "{number},\"{}\"", format!("{number:06}\n").repeat(150)).unwrap();
    }
    file.flush().unwrap();
    assert!(path.metadata().unwrap().len() > 64 << 20);
}

/// Notes that do not follow from their numbers.
const WRONG: &str =
    "SELECT count(*) FROM large WHERE note <> repeat(lpad(n::text, 6, '0') || E'\\n', 150)";

#[tokio::test]
async fn rows_of_a_file_that_is_too_large_for_memory_are_verified_and_end_with_it() {
    let database = Database::create().await;
    let folder = scratch();
    let file = folder.path().join("large.csv");
    let path = file.clone();
    tokio::task::spawn_blocking(move || write_large(&path)).await.unwrap();
    let profile = folder.path().join("large.toml");
    let columns = |pick: &str| {
        format!(
            "[stream]\ntable = 'large'\ncolumns = [{{ name = 'id', type = 'bigint', values = 'row_id' }},\n\
             {{ name = 'n', type = 'integer', values = {{ file = {{ path = 'large.csv', column = 'n', pick = '{pick}' }} }} }},\n\
             {{ name = 'note', type = 'text', values = {{ file = {{ path = 'large.csv', column = 'note', pick = '{pick}' \
             }} }} }}]"
        )
    };
    let (address, profile_path) = (database.address(), profile.display().to_string());
    let run = |more: &[&str]| {
        let mut args = vec!["run", &*profile_path, "--database-url", &*address, "--output", "out"];
        args.extend(["--metrics-addr", "off", "--warmup", "0s", "--connections", "2"]);
        args.extend(more);
        Program::start(&args)
    };
    fs::write(&profile, columns("random")).unwrap();
    let refused = run(&[]).end().await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("write pick = \"cycle\""), "{}", refused.stderr);
    fs::write(&profile, columns("cycle")).unwrap();
    let ended = run(&["--rate", "1200", "--duration", "1s"]).end().await;
    assert_eq!(ended.done()["stream"]["rows_found"], 1200);
    let first = "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM large";
    assert_eq!(database.rows(first).await, [["1200", "1200", "0", "1199"]]);
    assert_eq!(database.number(WRONG).await, 0);
    let verify = async |ended: &Ended| {
        let results = ended.work().join("out").display().to_string();
        Program::start(&["verify", &*results, "--database-url", &*address]).end().await
    };
    let verified = verify(&ended).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
    // Somebody writes to it while a run reads it.
    let running = run(&["--rate", "2000", "--duration", "40s"]);
    database.until("SELECT count(*) > 2000 FROM large").await;
    writeln!(File::options().append(true).open(&file).unwrap(), "1,x").unwrap();
    let other = running.end().await;
    assert_eq!(other.code, Some(4), "{}", other.stderr);
    let told = other.stderr.matches("has changed since it was opened").count();
    assert!(told > 0 && other.stderr.contains("leave the file as it is"), "{}", other.stderr);
    assert_eq!(database.number(WRONG).await, 0);
    let acknowledged = other.result()["stream"]["rows_acknowledged"].as_i64().unwrap();
    assert_eq!(database.number("SELECT count(*) FROM large").await, 1200 + acknowledged);
    // It is another file now.
    let verified = verify(&ended).await;
    assert_eq!(verified.code, Some(2), "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stderr.contains("it is not what it was"), "{}", verified.stderr);
}
