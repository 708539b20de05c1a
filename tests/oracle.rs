//! The encoder against two decoders that are not ours: the server, and psycopg.
//!
//! The server's oracle is strict: `COPY … TO STDOUT (FORMAT binary)` must return the very bytes
//! that were sent. So each value is not only readable but in the form that PostgreSQL itself
//! gives it, down to the weight and scale of a numeric.

mod arrays;
mod described;
mod in_order;

use std::pin::pin;
use std::process::Command;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, TryStreamExt};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use strom_load::pace::DueTimes;
use strom_load::row::{
    BatchEncoder, Column, ColumnType, Encoder, HEADER, Others, Pattern, Pick, TRAILER, Values,
    Zipf, row_text,
};

use crate::support::{Database, Program, python};

/// Where a batch stands in its stream.
#[derive(Debug, Clone)]
struct Place {
    seed: u64,
    partition: u32,
    first_id: i64,
    first_row: u64,
    rows: u64,
    due_us: i64,
}

/// Sends a batch of these columns to a table of its own and has it back, byte for byte.
async fn comes_back(database: &Database, columns: &[Column], place: &Place) {
    let types: Vec<String> = columns.iter().map(|column| column.sql_type.to_string()).collect();
    comes_back_as(database, columns, &types, place).await;
}

/// The same with other types of the table's columns.
async fn comes_back_as(database: &Database, columns: &[Column], types: &[String], place: &Place) {
    let declared = columns.iter().zip(types).map(|(column, sql_type)| {
        let not_null = if column.null_ratio > 0.0 { "" } else { " NOT NULL" };
        format!("{} {sql_type}{not_null}", column.name)
    });
    let declared: Vec<_> = declared.collect();
    let declared = declared.join(", ");
    database
        .execute(&format!("DROP TABLE IF EXISTS sent; CREATE TEMP TABLE sent ({declared})"))
        .await;
    let &Place { seed, partition, first_id, first_row, rows, due_us } = place;
    let mut encoder = BatchEncoder::new(columns, seed, partition, first_id).unwrap();
    encoder.begin(first_row, rows, DueTimes::constant(due_us));
    let chunks: Result<Vec<Bytes>, _> = std::iter::from_fn(|| encoder.next_chunk()).collect();
    let chunks = chunks.unwrap();

    let client = &database.client;
    let into = client.copy_in::<_, Bytes>("COPY sent FROM STDIN (FORMAT binary)").await.unwrap();
    let mut into = pin!(into);
    for chunk in &chunks {
        into.feed(chunk.clone()).await.unwrap();
    }
    let stored = into.finish().await.unwrap_or_else(|error| panic!("{columns:#?}\n{error:?}"));
    assert_eq!(stored, rows);

    // Ids rise with the rows, but for one that runs over the end of its type.
    let out = "COPY (SELECT * FROM sent ORDER BY id) TO STDOUT (FORMAT binary)";
    let back = pin!(client.copy_out(out).await.unwrap());
    let back: BytesMut = back
        .try_fold(BytesMut::new(), async |mut all, part| {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .unwrap();
    let sent = chunks.concat();
    assert!(sent.starts_with(&HEADER) && sent.ends_with(&TRAILER));
    if sent != back {
        let at = sent.iter().zip(&back).position(|(a, b)| a != b);
        panic!(
            "sent {} bytes, got {}, first difference at {at:?}\n{columns:#?}",
            sent.len(),
            back.len()
        );
    }
    // We write floats otherwise than the server.
    let is_float = |column: &Column| {
        let own = column.sql_type.element().unwrap_or(column.sql_type);
        matches!(own, ColumnType::Real | ColumnType::Double)
    };
    if !columns.iter().any(is_float) {
        reads_as_the_server_shows(database, columns, place).await;
    }
    for column in columns {
        if let Some(holds) = within(column) {
            let strays = format!("SELECT count(*) FROM sent WHERE NOT ({holds})");
            assert_eq!(database.number(&strays).await, 0, "{column:?}");
        }
    }
}

/// Our text of the first rows is the server's.
async fn reads_as_the_server_shows(database: &Database, columns: &[Column], place: &Place) {
    let &Place { seed, partition, first_id, first_row, due_us, .. } = place;
    // Beyond these years the server's calendar has other words.
    if !(0..=200_000_000_000_000_000).contains(&due_us) {
        return;
    }
    let shown = |column: &Column| match column.sql_type {
        // Not all days of its range are of our era.
        ColumnType::Date => "NULL".to_owned(),
        ColumnType::Inet => format!("abbrev({})", column.name),
        // As text it has no spaces at its end.
        ColumnType::Char(chars) => format!("rpad({}::text, {chars})", column.name),
        _ => format!("{}::text", column.name),
    };
    let shown: Vec<_> = columns.iter().map(shown).collect();
    let sql = format!(
        "SET timezone = 'UTC'; SELECT {} FROM sent ORDER BY sent.id LIMIT 3",
        shown.join(", ")
    );
    let mut encoder = Encoder::new(columns, seed, partition, first_id).unwrap();
    let mut row = first_row;
    for message in database.client.simple_query(&sql).await.unwrap() {
        let tokio_postgres::SimpleQueryMessage::Row(server) = message else { continue };
        let ours = row_text(columns, &mut encoder, row, &mut DueTimes::constant(due_us)).unwrap();
        for (index, (column, ours)) in columns.iter().zip(ours).enumerate() {
            if column.sql_type != ColumnType::Date {
                assert_eq!(server.get(index), ours.as_deref(), "{column:?}");
            }
        }
        row += 1;
    }
}

/// What must be true of each value of a column, as SQL.
fn within(column: &Column) -> Option<String> {
    let name = &column.name;
    if matches!(column.sql_type, ColumnType::Char(_)) {
        return None; // The spaces at the end count for some functions and not for others.
    }
    Some(match &column.values {
        Values::Integer { min, max, .. } => {
            format!("{name}::numeric BETWEEN {min}::numeric AND {max}::numeric")
        }
        Values::Decimal { min, max, .. } => {
            let ColumnType::Numeric { scale, .. } = column.sql_type else { return None };
            let one = format!("(10::numeric ^ {scale})");
            format!("round({name} * {one}) BETWEEN {min}::numeric AND {max}::numeric")
        }
        Values::Day { min, max, .. } => {
            format!("{name} - '2000-01-01'::date BETWEEN {min} AND {max}")
        }
        Values::Text { min_chars, max_chars } => {
            format!("{name} ~ '^[a-z0-9]*$' AND length({name}) BETWEEN {min_chars} AND {max_chars}")
        }
        Values::Label { prefix, min, max, .. } => {
            let prefix = prefix.replace('\'', "''").replace('\\', "\\\\");
            let rest = format!("substr({name}, length(E'{prefix}') + 1)::numeric");
            format!(
                "starts_with({name}, E'{prefix}') AND {rest} BETWEEN {min}::numeric AND {max}::numeric"
            )
        }
        // PostgreSQL reads a bound as the nearest of its type, as we do.
        Values::Float { min, max, .. } => {
            let of = column.sql_type;
            format!(
                "{name} >= '{min:e}'::{of} AND ({name} < '{max:e}'::{of} OR {name} = '{min:e}'::{of})"
            )
        }
        Values::Choice { of, others: None, .. } => {
            let texts: Vec<_> = of.iter().map(|text| text.replace('\'', "''")).collect();
            format!("{name} IN ('{}')", texts.join("', '"))
        }
        Values::Time { min_us, max_us } => {
            format!("extract(epoch FROM {name}) * 1000000 BETWEEN {min_us} AND {max_us}")
        }
        Values::Inet { network } => format!("{name} <<= '{network}'::inet"),
        Values::Bytes { min_bytes, max_bytes } => {
            format!("octet_length({name}) BETWEEN {min_bytes} AND {max_bytes}")
        }
        _ => return None,
    })
}

/// The identity, which the rows are put in order by, and the columns under test.
fn with_id(columns: Vec<(ColumnType, Values)>) -> Vec<Column> {
    let id = Column::new("id", ColumnType::BigInt, Values::RowId);
    let named = columns.into_iter().enumerate().map(|(number, (sql_type, values))| {
        let is_role = matches!(values, Values::Partition | Values::DueTime);
        let null_ratio = if number % 2 == 0 || is_role { 0.0 } else { 0.3 };
        Column::new(format!("c{number}"), sql_type, values).with_nulls(null_ratio)
    });
    [id].into_iter().chain(named).collect()
}

/// Every generator with every type that takes it, at the edges of both.
fn edges() -> Vec<(ColumnType, Values)> {
    use ColumnType as T;
    let mut all = vec![
        (T::SmallInt, Values::Partition),
        (T::Integer, Values::Partition),
        (T::BigInt, Values::Partition),
        (T::TimestampTz, Values::DueTime),
        (T::Timestamp, Values::DueTime),
        (T::Date, Values::DueTime),
    ];
    let (c, r) = (Pick::Cycle, Pick::Random);
    for pick in [c, r] {
        for (sql_type, low, high) in [
            (T::SmallInt, i16::MIN.into(), i16::MAX.into()),
            (T::Integer, i32::MIN.into(), i32::MAX.into()),
            (T::BigInt, i64::MIN, i64::MAX),
            (T::Numeric { precision: 19, scale: 0 }, i64::MIN, i64::MAX),
            (T::Numeric { precision: 60, scale: 38 }, i64::MIN, i64::MAX),
            (T::Numeric { precision: 5, scale: 1 }, -9_999, 9_999),
            (T::Numeric { precision: 3, scale: 3 }, 0, 0),
        ] {
            for (min, max) in [(low, high), (low, low), (high, high), (0, 0), (0, high), (low, 0)] {
                all.push((sql_type, Values::Integer { min, max, pick: pick.clone() }));
            }
        }
        for (prefix, min, max) in [
            ("", 0, 0),
            ("category_", 1, 100),
            ("a longer prefix than a table of labels holds, é", 9, 10),
            ("\\'\"\t\n", 0, u64::MAX),
            ("x", u64::MAX, u64::MAX),
            ("n", 99_990, 100_010),
        ] {
            let label = Values::Label { prefix: prefix.into(), min, max, pick: pick.clone() };
            all.push((T::Text, label.clone()));
            all.push((T::Varchar(80), label));
        }
        for (min, max) in [(-2_451_545, 2_145_031_948), (0, 0), (-1, 1), (8_400, 8_800)] {
            all.push((T::Date, Values::Day { min, max, pick: pick.clone() }));
        }
    }
    for (precision, scale) in
        [(1, 0), (1, 1), (15, 2), (18, 4), (18, 9), (19, 0), (38, 38), (1000, 7)]
    {
        let top = 10_i64.checked_pow(u32::from(precision)).map_or(i64::MAX, |power| power - 1);
        let sql_type = T::Numeric { precision, scale };
        for (min, max) in [(-top, top), (top, top), (-top, -top), (0, 0), (-1, 1), (0, 9)] {
            all.push((sql_type, Values::Decimal { min, max, pick: Pick::Random }));
        }
    }
    for (min, max) in
        [(0.0, 1.0), (-0.0, 0.0), (-1e-300, 1e300), (5e-324, 1e-323), (1e15, 1e15 + 1.0)]
    {
        all.push((T::Double, Values::Float { min, max, pick: Pick::Random }));
    }
    for (min, max) in [(0.0, 1.0), (-3e38, 3e38), (1e-45, 1e-44), (16_777_216.0, 16_777_218.0)] {
        all.push((T::Real, Values::Float { min, max, pick: Pick::Random }));
    }
    for (min_chars, max_chars) in [(0, 0), (0, 1), (11, 13), (36, 36), (0, 5_000)] {
        all.push((T::Text, Values::Text { min_chars, max_chars }));
        all.push((T::Varchar(5_000), Values::Text { min_chars, max_chars }));
    }
    for true_ratio in [0.0, 0.5, 1.0] {
        all.push((T::Boolean, Values::Boolean { true_ratio }));
    }
    all.extend(picks());
    all.extend(other_types());
    all
}

/// The types with generators of their own, and texts and documents with placeholders.
fn other_types() -> Vec<(ColumnType, Values)> {
    use ColumnType as T;
    let mut all = vec![
        (T::Uuid, Values::Uuid),
        (T::Uuid, Values::UuidV7),
        (T::TimestampTz, Values::EventTime { late_ratio: 0.5, mean_lateness_s: 3_155_760_000.0 }),
        (T::Timestamp, Values::EventTime { late_ratio: 0.1, mean_lateness_s: 0.5 }),
        (T::Time, Values::Time { min_us: 0, max_us: 86_400_000_000 }),
        (T::Time, Values::Time { min_us: 86_400_000_000, max_us: 86_400_000_000 }),
        (T::Bytea, Values::Bytes { min_bytes: 0, max_bytes: 5_000 }),
        (T::Bytea, Values::Bytes { min_bytes: 0, max_bytes: 0 }),
        (T::Char(40), Values::Text { min_chars: 0, max_chars: 40 }),
    ];
    let choice = |of: &[&str], values| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: vec![],
        others: Some(Box::new(Others { weight: 1.0, values })),
        pick: Pick::Random,
    };
    let integer = |min, max| Values::Integer { min, max, pick: Pick::Random };
    let numeric = T::Numeric { precision: 6, scale: 2 };
    let float = || Values::Float { min: 2.0, max: 3.0, pick: Pick::Random };
    all.extend([
        (T::Char(7), choice(&["é", ""], Values::Text { min_chars: 1, max_chars: 7 })),
        (T::SmallInt, choice(&["-32768", "32767"], integer(0, 9))),
        (T::Integer, choice(&["-2147483648"], integer(0, 9))),
        (T::BigInt, choice(&["-9223372036854775808"], integer(0, 9))),
        (
            numeric,
            choice(
                &["0", "-9999.99", "1000.5"],
                Values::Decimal { min: 1, max: 9, pick: Pick::Cycle },
            ),
        ),
        (T::Boolean, choice(&["true"], Values::Boolean { true_ratio: 0.0 })),
        (T::Date, choice(&["2024-02-29"], Values::Day { min: 0, max: 9, pick: Pick::Cycle })),
        (T::Time, choice(&["24:00:00", "08:30:00.5"], Values::Time { min_us: 0, max_us: 9 })),
        (T::Uuid, choice(&["00112233-4455-6677-8899-aabbccddeeff"], Values::Uuid)),
        (T::Text, choice(&["it's", "\t"], Values::Text { min_chars: 0, max_chars: 3 })),
        (T::Real, choice(&["1.5", "-1e-45"], float())),
        (T::Double, choice(&["-0.25", "1e300", "-0"], float())),
    ]);
    all.extend(in_order::all());
    all.extend(arrays::all());
    for network in ["10.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/33", "::1/128"] {
        all.push((T::Inet, Values::Inet { network: network.parse().unwrap() }));
    }
    for text in [
        "",
        "é{{",
        "{hex:1}-{hex:33}{digits:25}{letters:13}",
        "{integer:-9223372036854775808..9223372036854775807}/{decimal:-0.005..0.005}",
        "{zipf:1..1000:1.2} {choice:|a|b} {word} {words:1..9} {sentence:1..3} {uuid} {row_id}",
    ] {
        for sql_type in [T::Text, T::Varchar(400), T::Char(300)] {
            all.push((sql_type, Values::Pattern(Pattern::of_text(text).unwrap())));
        }
    }
    for text in [
        "null",
        r#"[ {integer:-3..3},{decimal:-1.50..1.50} , [ ], {"a" : { } } ]"#,
        r#"{"device":"{hex:6}","b":{"é":{row_id},"zz":"{choice:\|"|	}"},"t":{decimal:0.0..9.9},"a":1}"#,
        r#"{"long key":{choice:true|null|"x"|-0.50},"k":"{uuid} {sentence:1..4}","x":"\u00e9\u001f"}"#,
    ] {
        for (sql_type, binary) in [(T::Json, false), (T::Jsonb, true)] {
            all.push((sql_type, Values::Pattern(Pattern::of_json(text, binary).unwrap())));
        }
    }
    all
}

/// Every way to choose a value, with a type that takes it.
fn picks() -> Vec<(ColumnType, Values)> {
    use ColumnType as T;
    let zipf = || Pick::Zipf(Zipf::new(1.1));
    let numbers = || {
        [
            Pick::Normal { mean: 0.0, sd: 60.0 },
            Pick::Normal { mean: 1e300, sd: 1e300 },
            Pick::Lognormal { median: 20.0, sigma: 1.0 },
            Pick::Lognormal { median: 1e-3, sigma: 300.0 },
            Pick::Exponential { scale: 30.0 },
        ]
    };
    let numeric = T::Numeric { precision: 15, scale: 2 };
    let label = Values::Label { prefix: "c_".into(), min: 1, max: 99, pick: zipf() };
    let mut all = vec![
        (T::Text, label),
        (T::SmallInt, Values::Integer { min: -9, max: 9, pick: zipf() }),
        (numeric, Values::Decimal { min: -99, max: 99, pick: zipf() }),
        (numeric, Values::Decimal { min: -99, max: 99, pick: Pick::Cycle }),
        (T::Date, Values::Day { min: -9, max: 9, pick: zipf() }),
    ];
    for pick in numbers() {
        let (integer, decimal, float) = (pick.clone(), pick.clone(), pick);
        all.push((T::BigInt, Values::Integer { min: i64::MIN, max: i64::MAX, pick: integer }));
        all.push((numeric, Values::Decimal { min: -9_999, max: 99_999, pick: decimal }));
        all.push((T::Double, Values::Float { min: -1.0, max: 1e9, pick: float.clone() }));
        all.push((T::Real, Values::Float { min: -1.0, max: 1e9, pick: float }));
    }
    for of in [&["new", "paid", "it's"][..], &["a text of 20 letters"], &["", &"é".repeat(40)]] {
        let of: Vec<String> = of.iter().map(|text| (*text).to_owned()).collect();
        let weights = (0..of.len()).map(|number| 0.5 + number as f64).collect();
        all.push((
            T::Text,
            Values::Choice { of: of.clone(), weights, others: None, pick: Pick::Random },
        ));
        all.push((
            T::Varchar(40),
            Values::Choice { of, weights: Vec::new(), others: None, pick: Pick::Random },
        ));
    }
    all
}

#[tokio::test]
async fn every_generator_comes_back_at_its_edges() {
    let database = Database::create().await;
    let edges = edges();
    for columns in edges.chunks(8) {
        let columns = with_id(columns.to_vec());
        for column in &columns {
            column.check().unwrap();
        }
        for (first_row, first_id, due_us) in [
            (0, 1, 1_700_000_000_123_456),
            (u64::from(u32::MAX) - 3, -5, 0),
            (0, i64::MIN, i64::MIN),
            (77, i64::MAX - 777, i64::MAX),
        ] {
            let place = Place { seed: 42, partition: 3, first_id, first_row, rows: 300, due_us };
            comes_back(&database, &columns, &place).await;
        }
    }
}

fn edgy(low: i64, high: i64) -> impl Strategy<Value = (i64, i64)> {
    let end = move || prop_oneof![Just(low), Just(high), Just(0.clamp(low, high)), low..=high];
    (end(), end()).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![Just(Pick::Random), Just(Pick::Cycle)]
}

fn column() -> impl Strategy<Value = (ColumnType, Values)> {
    use ColumnType as T;
    let whole = |sql_type, low, high| {
        (edgy(low, high), pick())
            .prop_map(move |((min, max), pick)| (sql_type, Values::Integer { min, max, pick }))
    };
    let scaled = (1_u16..=60, 0_u16..=38)
        .prop_map(|(precision, scale)| T::Numeric { precision, scale: scale.min(precision) });
    let decimal = scaled.clone().prop_flat_map(|sql_type| {
        let T::Numeric { precision, .. } = sql_type else { unreachable!() };
        let top = 10_i64.checked_pow(u32::from(precision)).map_or(i64::MAX, |power| power - 1);
        edgy(-top, top).prop_map(move |(min, max)| {
            (sql_type, Values::Decimal { min, max, pick: Pick::Random })
        })
    });
    let numeric = scaled.prop_flat_map(|sql_type| {
        let T::Numeric { precision, scale } = sql_type else { unreachable!() };
        let power = 10_i64.checked_pow(u32::from(precision - scale));
        let top = power.map_or(i64::MAX, |power| power - 1);
        (edgy(-top, top), pick())
            .prop_map(move |((min, max), pick)| (sql_type, Values::Integer { min, max, pick }))
    });
    let label = ("[^\\x00]{0,24}", any::<[u64; 2]>(), 0_u32..64, pick()).prop_map(
        |(prefix, ends, shift, pick)| {
            let [a, b] = ends.map(|end| end >> shift);
            (T::Text, Values::Label { prefix, min: a.min(b), max: a.max(b), pick })
        },
    );
    let text = (0_u32..400, 0_u32..400).prop_map(|(a, b)| {
        let (min_chars, max_chars) = (a.min(b), a.max(b));
        (T::Varchar(max_chars.max(1)), Values::Text { min_chars, max_chars })
    });
    let day = (edgy(-2_451_545, 2_145_031_948), pick()).prop_map(|((min, max), pick)| {
        (T::Date, Values::Day { min: min as i32, max: max as i32, pick })
    });
    let double =
        (-1e300..1e300, -1e300..1e300, -300..1).prop_map(|(a, b, power): (f64, f64, i32)| {
            let (a, b) = (a * 10_f64.powi(power), b * 10_f64.powi(power));
            (T::Double, Values::Float { min: a.min(b), max: a.max(b), pick: Pick::Random })
        });
    let real = (any::<f32>(), any::<f32>())
        .prop_filter("finite", |(a, b)| a.is_finite() && b.is_finite())
        .prop_map(|(a, b)| {
            (
                T::Real,
                Values::Float { min: a.min(b).into(), max: a.max(b).into(), pick: Pick::Random },
            )
        });
    prop_oneof![
        whole(T::SmallInt, i16::MIN.into(), i16::MAX.into()),
        whole(T::Integer, i32::MIN.into(), i32::MAX.into()),
        whole(T::BigInt, i64::MIN, i64::MAX),
        decimal,
        numeric,
        label,
        text,
        day,
        double,
        real,
        (0.0..=1.0).prop_map(|true_ratio| (T::Boolean, Values::Boolean { true_ratio })),
        prop::sample::select(picks()),
        prop_oneof![Just(T::TimestampTz), Just(T::Timestamp), Just(T::Date)]
            .prop_map(|sql_type| (sql_type, Values::DueTime)),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    let numbers = (any::<u64>(), 0_u32..1024, -1_000..1_000_000_i64);
    (numbers, 0..1_u64 << 40, 1_u64..200, any::<i64>(), 0_u32..40).prop_map(
        |((seed, partition, first_id), first_row, rows, due, shift)| Place {
            seed,
            partition,
            first_id,
            first_row,
            rows,
            due_us: due >> shift,
        },
    )
}

#[test]
fn any_columns_come_back_as_they_were_sent() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::create());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..<_>::default() };
    let columns = prop::collection::vec(column(), 1..10).prop_map(with_id);
    let law = |(columns, place): (Vec<Column>, Place)| {
        for column in &columns {
            column.check().unwrap();
        }
        runtime.block_on(comes_back(&database, &columns, &place));
        Ok(())
    };
    TestRunner::new(config).run(&(columns, place()), law).unwrap();
}

/// Reads a table with psycopg in the binary format and prints a line a row: every value as
/// Python has it, the time in microseconds since the Unix epoch.
const READ_BY_PSYCOPG: &str = r#"
import datetime, sys
import psycopg

assert psycopg.pq.__impl__ == "binary", psycopg.pq.__impl__
epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
micro = datetime.timedelta(microseconds=1)
with psycopg.connect(sys.argv[1]) as connection, connection.cursor(binary=True) as cursor:
    cursor.execute(
        "SELECT gpu_partition, id, category, region, amount, created_at"
        " FROM l40s_realtime_stream ORDER BY gpu_partition, id"
    )
    for partition, id, category, region, amount, created_at in cursor:
        print(partition, id, category, region, amount, (created_at - epoch) // micro)
"#;

#[tokio::test]
async fn psycopg_reads_the_rows_that_the_generator_describes() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let database = Database::create().await;
    let (seed, rate, lanes) = (2_026, 1_500, 3);
    let seed_text = seed.to_string();
    let args = ["--seed", &seed_text, "--rate", "1500", "--partitions", "3", "--readers", "0"];
    let times = ["--warmup", "0s", "--duration", "2s"];
    Program::run(&database, &[&args[..], &times].concat()).end().await.done();

    let mut command = Command::new(python);
    command.args(["-c", READ_BY_PSYCOPG, &database.address()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    let origin_us: i64 = read.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();

    let mut expected = Vec::new();
    for partition in 0..lanes {
        for row in 0..1_000 {
            let number =
                |column, min, max| described::number((seed, partition, column), row, min, max);
            let (category, region) = (number(1, 1, 100), number(2, 1, 20));
            let cents = number(3, 1_000, 1_000_000);
            let due_us = origin_us + ((row * lanes + partition) * 1_000_000 / rate) as i64;
            let (id, whole, rest) = (row + 1, cents / 100, cents % 100);
            let values = format!("category_{category} region_{region} {whole}.{rest:02}");
            expected.push(format!("{partition} {id} {values} {due_us}"));
        }
    }
    let read: Vec<_> = read.lines().collect();
    for (read, expected) in read.iter().zip(&expected) {
        assert_eq!(read, expected);
    }
    assert_eq!(read.len(), expected.len());
}
