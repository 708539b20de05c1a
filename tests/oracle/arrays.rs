//! Columns of arrays: as the server gives them back, and as psycopg reads them.

use std::process::Command;

use serde_json::json;
use strom_load::row::{Column, ColumnType, ElementType, Elements, Others, Pattern, Pick, Values};

use super::{Place, comes_back_as, described};
use crate::support::{Database, Program, python, scratch};

/// Arrays of every type: empty ones, with NULLs, and with texts that must stand in quotes.
pub(super) fn all() -> Vec<(ColumnType, Values)> {
    use ElementType as T;
    let whole = |min, max| Values::Integer { min, max, pick: Pick::Random };
    let choice = |of: &[&str], others: Option<Values>| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: vec![],
        others: others.map(|values| Box::new(Others { weight: 1.0, values })),
        pick: Pick::Random,
    };
    let float = || Values::Float { min: -1.0, max: 1e30, pick: Pick::Random };
    let inet = |network: &str| Values::Inet { network: network.parse().unwrap() };
    let numeric = T::Numeric { precision: 8, scale: 2 };
    let quoted = ["NULL", "null", "", "a b", "{", "}", ",", "\\", "\"", "it's", "\t", "\u{b}", "é"];
    let text = Pattern::of_text("{letters:3}{row_id}").unwrap();
    let json = |binary| {
        let text = r#"{"a": "{word} {hex:2}", "b": [{integer:-9..9}]}"#;
        Values::Pattern(Pattern::of_json(text, binary).unwrap())
    };
    let day = |max| Values::Day { min: 0, max, pick: Pick::Random };
    let moment = |max_us| Values::Timestamp { min_us: 0, max_us, pick: Pick::Random };
    let of_types = vec![
        (T::SmallInt, whole(-32_768, 32_767)),
        (T::Integer, choice(&["-2147483648"], Some(whole(0, 9)))),
        (T::BigInt, whole(i64::MIN, i64::MAX)),
        (T::Real, float()),
        (T::Double, float()),
        (numeric, Values::Decimal { min: -99_999_999, max: 99_999_999, pick: Pick::Random }),
        (numeric, choice(&["0", "-0.01", "1000"], None)),
        (T::Text, choice(&quoted, Some(Values::Text { min_chars: 0, max_chars: 30 }))),
        (T::Varchar(40), Values::Pattern(text)),
        (T::Char(7), choice(&["é", "", "abcdefg"], None)),
        (T::Uuid, Values::Uuid),
        (T::Json, json(false)),
        (T::Jsonb, json(true)),
        (T::Bytea, Values::Bytes { min_bytes: 0, max_bytes: 20 }),
        (T::Inet, inet("10.0.0.0/8")),
        (T::Inet, choice(&["2001:db8::/33", "0.0.0.0/0", "::1"], Some(inet("::/0")))),
        (T::Time, Values::Time { min_us: 0, max_us: 86_400_000_000 }),
        (T::Boolean, Values::Boolean { true_ratio: 0.5 }),
        (T::Date, day(40_000)),
        (T::Timestamp, moment(1 << 58)),
        (T::TimestampTz, moment(1 << 58)),
    ];
    let mut all = Vec::new();
    for (number, (element, of)) in of_types.into_iter().enumerate() {
        let null_ratio = if number % 3 == 0 { 0.0 } else { 0.3 };
        let length = whole(i64::from(number % 4 == 1), 1 + number as i64 % 7);
        let elements = Elements { of, length, null_ratio };
        all.push((ColumnType::Array(element), Values::Array(Box::new(elements))));
    }
    all
}

/// Reads arrays in the binary format and prints each as JSON.
const READ_BY_PSYCOPG: &str = r#"
import json, sys
import psycopg

assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
with psycopg.connect(sys.argv[1]) as connection, connection.cursor(binary=True) as cursor:
    cursor.execute("SELECT numbers, names, amounts FROM arrays ORDER BY id")
    for numbers, names, amounts in cursor:
        print(json.dumps([numbers, names, [str(amount) for amount in amounts]]))
"#;

const PROFILE: &str = r#"
seed = 77
duration_s = 1
warmup_s = 0
[readers]
count = 0
[stream]
table = "arrays"
rows_per_s = 300
[[stream.columns]]
name = "id"
type = "bigint"
values = "row_id"
[[stream.columns]]
name = "numbers"
type = "integer[]"
values = { array = { of = { integer = { min = 1, max = 1000 } }, length = { integer = { min = 0, max = 4 } } } }
[[stream.columns]]
name = "names"
type = "text[]"
values = { array = { of = { label = { prefix = "a b_", min = 5, max = 9 } }, length = { integer = { min = 1, max = 3 } } } }
[[stream.columns]]
name = "amounts"
type = "numeric(8,2)[]"
values = { array = { of = { decimal = { min = "10.00", max = "99.99" } }, length = { integer = { min = 2, max = 2 } } } }
"#;

#[tokio::test]
async fn psycopg_reads_the_arrays_that_are_described() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let database = Database::create().await;
    let folder = scratch();
    let file = folder.path().join("arrays.toml");
    std::fs::write(&file, PROFILE).unwrap();
    let file = file.display().to_string();
    let mut args = vec!["run", &file, "--metrics-addr", "off", "--output", "out"];
    let address = database.address();
    args.extend(["--database-url", &address, "--connections", "1"]);
    let mut program = Program::start(&args);
    program.child.wait().await.unwrap();
    let result = program.end().await;
    let result = result.done();
    let audit = &result["stream"]["audit"][0];
    assert_eq!((&audit["rows_found"], &audit["altered"]), (&json!(300), &json!([])), "{audit}");

    let mut command = Command::new(python);
    command.args(["-c", READ_BY_PSYCOPG, &database.address()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    let mut rows = 0;
    for (row, read) in (0..).zip(read.lines()) {
        let array = |column: u64, lengths: [u64; 2], [min, max]: [u64; 2]| -> Vec<u64> {
            let place = (77, 0, column);
            let length = described::number(place, row, lengths[0], lengths[1]);
            (0..length).map(|index| described::element(place, (row, index), min, max)).collect()
        };
        let names = array(2, [1, 3], [5, 9]).into_iter().map(|number| format!("a b_{number}"));
        let amounts = array(3, [2, 2], [1_000, 9_999]).into_iter();
        let amounts = amounts.map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
        let numbers = array(1, [0, 4], [1, 1_000]);
        let expected = json!([numbers, names.collect::<Vec<_>>(), amounts.collect::<Vec<_>>()]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(read).unwrap(), expected, "row {row}");
        rows += 1;
    }
    assert_eq!(rows, 300);
}

#[tokio::test]
async fn arrays_of_enums_and_domains_come_back_as_they_were_sent() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad', 'it''s'); CREATE DOMAIN code AS integer CHECK (VALUE > 0); \
             CREATE DOMAIN small_code AS code CHECK (VALUE < 1000); CREATE DOMAIN feeling AS mood; \
             CREATE DOMAIN price AS numeric(8,2)",
        )
        .await;
    let choice = |of: &[&str]| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: vec![],
        others: None,
        pick: Pick::Random,
    };
    let whole = |min, max| Values::Integer { min, max, pick: Pick::Random };
    let (mut columns, mut types) =
        (vec![Column::new("id", ColumnType::BigInt, Values::RowId)], vec!["bigint".to_owned()]);
    for (own, element, of) in [
        ("mood", ElementType::Text, choice(&["sad", "glad", "it's"])),
        ("feeling", ElementType::Text, choice(&["glad"])),
        ("code", ElementType::Integer, whole(1, 99_999)),
        ("small_code", ElementType::Integer, whole(1, 999)),
        (
            "price",
            ElementType::Numeric { precision: 8, scale: 2 },
            Values::Decimal { min: -99, max: 99_999, pick: Pick::Random },
        ),
    ] {
        let oid = database.number(&format!("SELECT '{own}'::regtype::oid::bigint")).await;
        let elements = Elements { of, length: whole(0, 4), null_ratio: 0.2 };
        let values = Values::Array(Box::new(elements));
        let column = Column::new(format!("{own}s"), ColumnType::Array(element), values);
        columns.push(Column { element_oid: u32::try_from(oid).ok(), ..column.with_nulls(0.1) });
        types.push(format!("{own}[]"));
    }
    let place =
        Place { seed: 5, partition: 0, first_id: 1, first_row: 0, rows: 2_000, due_us: 1_000 };
    comes_back_as(&database, &columns, &types, &place).await;
}
