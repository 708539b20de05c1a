//! What a row costs the client, in nanoseconds: generating and encoding it here, against encoding
//! ready values with tokio-postgres' `ToSql`, and against copying ready bytes.
//!
//! The cases run in turn within each round, so that a noisy neighbour slows all of them; "again"
//! is the first case once more, and its ratio to itself is the noise of every other ratio.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_array::{Int32Array, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Schema};
use bytes::{BufMut, BytesMut};
use rust_decimal::Decimal;
use strom_load::pace::{Arrival, Arrivals, Course, Curve, DueTimes, Rate, Schedule};
use strom_load::plan::{NamedFile, Overrides, Plan, ProfileSource};
use strom_load::row::{
    CHUNK_BYTES, Column, ColumnFault, ColumnType, Conditional, Content, Elements, Encoder, Pattern,
    Pick, Values, Zipf,
};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

const ROUNDS: usize = 15;
const ROWS: u64 = 65_536;
/// Each case repeats its rows for this long a round.
const ROUND_TIME: Duration = Duration::from_millis(60);
/// `BinaryCopyInWriter` hands its buffer on when it has grown beyond this.
const TO_SQL_FLUSH_BYTES: usize = 4_096;

type Failure = Box<dyn Error + Sync + Send>;

fn main() -> Result<(), Failure> {
    let stream = columns();
    let mut all = Encoder::new(&stream, 42, 1, 1)?;
    let rows = encode_all(&mut all)?;
    let values = decode_all(&rows)?;
    let mut again = Vec::with_capacity(rows.len());
    write_to_sql(values.iter().copied(), |bytes| again.extend_from_slice(&bytes))?;
    // (Of an amount of 10000.00 it would not: rust_decimal keeps a zero digit that servers strip.)
    assert!(rows == again, "ToSql writes other bytes");
    println!(
        "{ROWS} rows of {:.1} bytes; ToSql writes the same\n",
        rows.len() as f64 / ROWS as f64
    );

    let alone = stream
        .iter()
        .map(|column| {
            Ok((column.name.clone(), Encoder::new(std::slice::from_ref(column), 42, 1, 1)?))
        })
        .collect::<Result<Vec<_>, Failure>>()?;

    let mut buffer = vec![0; CHUNK_BYTES];
    let mut cases: Vec<Case<'_>> = vec![
        Case::new("generate + encode", encoding(&all, &due_times())),
        Case::new("generate + encode, again", encoding(&all, &due_times())),
        Case::new("the same, Poisson", encoding(&all, &due_times_of(poisson(), steady()))),
        Case::new("the same, a sine", encoding(&all, &due_times_of(even(), sine()?))),
        Case::new("ToSql of ready values", || {
            write_to_sql(values.iter().copied(), |bytes| drop(black_box(bytes))).is_ok()
        }),
        Case::new("draw + ToSql", draw_to_sql()),
        Case::new("memcpy of ready rows", || {
            for block in rows.chunks(CHUNK_BYTES) {
                black_box(&mut buffer[..block.len()]).copy_from_slice(black_box(block));
            }
            true
        }),
    ];
    for (name, encoder) in &alone {
        cases.push(Case::new(&format!("  {name} alone"), encoding(encoder, &due_times())));
    }
    let country = ("city by country", city_by_country());
    let faulty = |fault: ColumnFault| fault.to_string();
    let generators = generators()
        .map_err(faulty)?
        .into_iter()
        .map(|(name, column)| (name, vec![column]))
        .chain([country])
        .map(|(name, columns)| Ok((name, Encoder::new(&columns, 42, 1, 1)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    for (name, encoder) in &generators {
        cases.push(Case::new(&format!("  {name}"), encoding(encoder, &due_times())));
    }
    let folder = tempfile::tempdir()?;
    for (name, columns) in of_files(folder.path())? {
        cases.push(Case::new(&format!("  {name}"), replaying(&Encoder::new(&columns, 42, 1, 1)?)));
    }
    for _ in 0..ROUNDS {
        for case in &mut cases {
            case.measure();
        }
    }

    println!("{:<28}{:>8}  {:<16}", "ns a row", "median", "min–max");
    for case in &cases {
        println!("{:<28}{}", case.name, Spread::of(&case.ns_per_row));
    }
    println!("\n{:<28}{:>8}  {:<16}", "ratio within a round", "median", "min–max");
    for (name, below) in [
        ("ours ÷ ours again", 1),
        ("ours ÷ ToSql, ready values", 2),
        ("ours ÷ draw + ToSql", 3),
        ("ours ÷ memcpy", 4),
    ] {
        let pairs = cases[0].ns_per_row.iter().zip(&cases[below].ns_per_row);
        let ratios: Vec<f64> = pairs.map(|(ours, other)| ours / other).collect();
        println!("{name:<28}{}", Spread::of(&ratios));
    }
    Ok(())
}

/// The default stream table.
fn columns() -> Vec<Column> {
    let label = |prefix: &str, max| Values::Label {
        prefix: prefix.into(),
        min: 1,
        max,
        pick: Pick::Random,
    };
    vec![
        Column::new("id", ColumnType::BigInt, Values::RowId),
        Column::new("category", ColumnType::Text, label("category_", 100)),
        Column::new("region", ColumnType::Text, label("region_", 20)),
        Column::new(
            "amount",
            ColumnType::Numeric { precision: 15, scale: 2 },
            Values::Decimal { min: 1_000, max: 1_000_000, pick: Pick::Random },
        ),
        Column::new("gpu_partition", ColumnType::Integer, Values::Partition),
        Column::new("created_at", ColumnType::TimestampTz, Values::DueTime),
    ]
}

/// A document with values of several kinds.
const DOCUMENT: &str =
    r#"{"device": "d-{hex:6}", "celsius": {decimal:-20.0..45.0}, "ok": {choice:true|false}}"#;

/// Ways to choose a value, each beside the uniform one of its type, and texts that are put together.
fn generators() -> Result<Vec<(&'static str, Column)>, ColumnFault> {
    let column = |sql_type, values| Column::new("n", sql_type, values);
    let integer = |max, pick| column(ColumnType::Integer, Values::Integer { min: 1, max, pick });
    let zipf = || Pick::Zipf(Zipf::new(1.0));
    let texts = || ["new", "paid", "sent", "back"].map(str::to_owned).to_vec();
    let choice = |weights| {
        column(
            ColumnType::Text,
            Values::Choice { of: texts(), weights, others: None, pick: Pick::Random },
        )
    };
    let histogram = column(
        ColumnType::Integer,
        Values::Histogram {
            bounds: (0..=100).map(|bound| (bound * bound).to_string()).collect(),
            weights: Vec::new(),
            distinct: None,
            pick: Pick::Random,
        },
    );
    let text = |text| Ok(column(ColumnType::Text, Values::Pattern(Pattern::of_text(text)?)));
    let json = |sql_type| {
        let pattern = Pattern::of_json(DOCUMENT, sql_type == ColumnType::Jsonb)?;
        Ok::<_, ColumnFault>(column(sql_type, Values::Pattern(pattern)))
    };
    let nullable = integer(100_000, Pick::Random).with_nulls(0.1);
    Ok(vec![
        ("integer, uniform", integer(100_000, Pick::Random)),
        ("integer, uniform, NULLs", nullable),
        ("integer, zipf of 1,000", integer(1_000, zipf())),
        ("integer, zipf of 100,000", integer(100_000, zipf())),
        ("integer, zipf of 1,000,000", integer(1_000_000, zipf())),
        ("integer, normal", integer(100_000, Pick::Normal { mean: 5e4, sd: 1e4 })),
        ("integer, lognormal", integer(100_000, Pick::Lognormal { median: 1e3, sigma: 1.0 })),
        ("integer, exponential", integer(100_000, Pick::Exponential { scale: 1e3 })),
        ("integer, ascending", integer(100_000, Pick::Ascending { rows: 1_000_000 })),
        ("histogram of 100 buckets", histogram),
        ("choice of 4", choice(Vec::new())),
        ("choice of 4, weighted", choice(vec![8.0, 4.0, 2.0, 1.0])),
        ("integer[4], uniform", array(integer(100_000, Pick::Random), 4)),
        ("text[4], choice of 4", array(choice(Vec::new()), 4)),
        ("pattern", text("order-{digits:6}-{choice:eu|us}")?),
        ("pattern of words", text("{sentence:4..9}")?),
        ("json", json(ColumnType::Json)?),
        ("jsonb", json(ColumnType::Jsonb)?),
    ])
}

/// Rows of the files: more than the pages that are kept have.
const FILE_ROWS: i32 = 2_000_000;

/// Columns of files, in memory and read page by page; those of the whole numbers stand beside a generator's.
fn of_files(folder: &Path) -> Result<Vec<(&'static str, Vec<Column>)>, Failure> {
    let csv = folder.join("v.csv");
    let mut lines = BufWriter::new(File::create(&csv)?);
    writeln!(lines, "n,amount,note")?;
    for row in 0..FILE_ROWS {
        let n = row % 100_000;
        writeln!(lines, "{n},{n}.{:02},a note of {n}", row % 100)?;
    }
    lines.flush()?;
    let arrow = folder.join("v.arrow");
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
    let mut writer = FileWriter::try_new(File::create(&arrow)?, &schema)?;
    for first in (0..FILE_ROWS).step_by(65_536) {
        let rows = first..(first + 65_536).min(FILE_ROWS);
        let numbers: Int32Array = rows.map(|row| Some(row % 100_000)).collect();
        writer.write(&RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(numbers)])?)?;
    }
    writer.finish()?;
    let n = [("n", "integer")];
    let all = [("n", "integer"), ("amount", "numeric(15,2)"), ("note", "text")];
    let random = Values::Integer { min: 0, max: 99_999, pick: Pick::Random };
    Ok(vec![
        ("integer, uniform, no end", vec![Column::new("n", ColumnType::Integer, random)]),
        ("file in memory, integer", columns_of(&csv, &n, u64::MAX - 1)?),
        ("CSV by pages, integer", columns_of(&csv, &n, 0)?),
        ("CSV by pages, 3 columns", columns_of(&csv, &all, 0)?),
        ("Arrow by pages, integer", columns_of(&arrow, &n, 0)?),
    ])
}

/// Columns of a file, in memory if it has up to so many bytes.
fn columns_of(
    path: &Path,
    columns: &[(&str, &str)],
    in_memory_max: u64,
) -> Result<Vec<Column>, Failure> {
    let mut text = "[[tables]]\nname = 't'\nrows = 1\ncolumns = [".to_owned();
    for (name, sql_type) in columns {
        write!(
            text,
            "{{ name = '{name}', type = '{sql_type}', values = {{ file = {{ path = 'v', column = '{name}', pick = \
             'cycle' }} }} }},"
        )?;
    }
    let source = ProfileSource::new("bench", text + "]").reading(|_| {
        let content = Content::open(path, in_memory_max).map_err(|error| error.to_string())?;
        NamedFile::new(path.display().to_string(), content)
    });
    let mut plan = Plan::read(&source, &Overrides::default())?;
    Ok(plan.common.tables.remove(0).columns)
}

/// One pass over as many rows, each behind those of the pass before.
fn replaying(encoder: &Encoder) -> impl FnMut() -> bool + use<> {
    let (mut encoder, mut row) = (encoder.clone(), 0);
    let mut buffer = vec![0; CHUNK_BYTES];
    move || {
        let end = row + ROWS;
        while row < end {
            let mut due = DueTimes::constant(0);
            let chunk = encoder.encode(black_box(&mut buffer), row, end - row, &mut due);
            let Ok(chunk) = chunk else { return false };
            black_box(&buffer[..chunk.bytes]);
            row += chunk.rows;
        }
        true
    }
}

/// A column, and another one that depends on it: take away what the first one costs.
fn city_by_country() -> Vec<Column> {
    let choice = |of: &[&str]| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: Vec::new(),
        others: None,
        pick: Pick::Random,
    };
    let of = [("DE", choice(&["Berlin", "Hamburg", "Köln"])), ("FR", choice(&["Paris", "Lyon"]))];
    let of = of.into_iter().map(|(key, values)| (key.to_owned(), values)).collect();
    let city = Values::Conditional(Conditional { on: "country".to_owned(), of, others: None });
    let column = |name: &str, values| Column::new(name, ColumnType::Text, values);
    vec![column("country", choice(&["DE", "FR"])), column("city", city)]
}

/// Arrays of so many of a column's values.
fn array(column: Column, length: i64) -> Column {
    let sql_type = column.sql_type.as_element().map_or(column.sql_type, ColumnType::Array);
    let length = Values::Integer { min: length, max: length, pick: Pick::Random };
    let elements = Elements { of: column.values, length, null_ratio: 0.0 };
    Column { sql_type, values: Values::Array(Box::new(elements)), ..column }
}

/// Due times of 1,000 rows a second, from a moment in 2026.
fn due_times() -> DueTimes {
    due_times_of(even(), steady())
}

fn due_times_of(arrivals: Arrivals, curve: Curve) -> DueTimes {
    let three = NonZeroU64::MIN.saturating_add(2);
    Schedule::new(Course { arrivals, curve }, 0, three, NonZeroU64::MIN, Duration::ZERO)
        .due_times(0)
        .since(1_795_000_000_000_000)
}

const ROWS_PER_S: NonZeroU64 = NonZeroU64::MIN.saturating_add(2_999);

fn even() -> Arrivals {
    Arrivals::new(Arrival::Constant, 42, 0)
}

fn poisson() -> Arrivals {
    Arrivals::new(Arrival::Poisson, 42, 0)
}

fn steady() -> Curve {
    Curve::steady(Rate::per_second(ROWS_PER_S))
}

fn sine() -> Result<Curve, Failure> {
    Ok(Curve::wave(ROWS_PER_S, 0.5, Duration::from_secs(600)).ok_or("no wave")?)
}

/// One pass over all rows, a chunk at a time into the same buffer.
fn encoding(encoder: &Encoder, due: &DueTimes) -> impl FnMut() -> bool + use<> {
    let (mut encoder, first) = (encoder.clone(), due.clone());
    let mut buffer = vec![0; CHUNK_BYTES];
    move || {
        let (mut row, mut due) = (0, first.clone());
        while row < ROWS {
            let chunk = encoder.encode(black_box(&mut buffer), row, ROWS - row, &mut due);
            let Ok(chunk) = chunk else { return false };
            black_box(&buffer[..chunk.bytes]);
            row += chunk.rows;
        }
        true
    }
}

fn encode_all(encoder: &mut Encoder) -> Result<Vec<u8>, Failure> {
    let mut rows = vec![0; ROWS as usize * encoder.max_row_bytes()];
    let block = encoder.encode(&mut rows, 0, ROWS, &mut due_times())?;
    assert_eq!(block.rows, ROWS);
    rows.truncate(block.bytes);
    Ok(rows)
}

/// A row as an application would hold it.
#[derive(Clone, Copy)]
struct Ready<'a> {
    id: i64,
    category: &'a str,
    region: &'a str,
    amount: Decimal,
    gpu_partition: i32,
    created_at: SystemTime,
}

const TYPES: [Type; 6] =
    [Type::INT8, Type::TEXT, Type::TEXT, Type::NUMERIC, Type::INT4, Type::TIMESTAMPTZ];

/// Reads rows back with tokio-postgres' own decoders.
fn decode_all(mut bytes: &[u8]) -> Result<Vec<Ready<'_>>, Failure> {
    let mut rows = Vec::with_capacity(ROWS as usize);
    while let Some((count, rest)) = bytes.split_first_chunk() {
        assert_eq!(usize::from(u16::from_be_bytes(*count)), TYPES.len());
        bytes = rest;
        rows.push(Ready {
            id: take(&mut bytes, &Type::INT8)?,
            category: take(&mut bytes, &Type::TEXT)?,
            region: take(&mut bytes, &Type::TEXT)?,
            amount: take(&mut bytes, &Type::NUMERIC)?,
            gpu_partition: take(&mut bytes, &Type::INT4)?,
            created_at: take(&mut bytes, &Type::TIMESTAMPTZ)?,
        });
    }
    Ok(rows)
}

fn take<'a, T: FromSql<'a>>(bytes: &mut &'a [u8], sql_type: &Type) -> Result<T, Failure> {
    let (length, rest) = bytes.split_first_chunk().ok_or("no length")?;
    let (value, rest) =
        rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or("no value")?;
    *bytes = rest;
    T::from_sql(sql_type, value)
}

/// What `BinaryCopyInWriter::write` does with each row, without its channel.
fn write_to_sql<'a>(
    rows: impl Iterator<Item = Ready<'a>>,
    mut send: impl FnMut(bytes::Bytes),
) -> Result<(), Failure> {
    let mut buffer = BytesMut::new();
    for row in rows {
        let values: [&(dyn ToSql + Sync); 6] =
            [&row.id, &row.category, &row.region, &row.amount, &row.gpu_partition, &row.created_at];
        buffer.put_i16(values.len() as i16);
        for (value, sql_type) in values.iter().zip(&TYPES) {
            let at = buffer.len();
            buffer.put_i32(0);
            let length = match value.to_sql_checked(sql_type, &mut buffer)? {
                IsNull::Yes => -1,
                IsNull::No => i32::try_from(buffer.len() - at - 4)?,
            };
            buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        if buffer.len() > TO_SQL_FLUSH_BYTES {
            send(buffer.split().freeze());
        }
    }
    send(buffer.freeze());
    Ok(())
}

/// The least that an application does to generate such rows: labels made beforehand, and no more
/// than three draws of a cheap generator.
fn draw_to_sql() -> impl FnMut() -> bool {
    let labels = |prefix: &str, max: u64| -> Vec<String> {
        (1..=max).map(|number| format!("{prefix}{number}")).collect()
    };
    let (categories, regions) = (labels("category_", 100), labels("region_", 20));
    let mut state = 42_u64;
    let mut draw = move |numbers: u64| {
        // wyrand, by Wang Yi: the cheapest generator in use.
        state = state.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let product = u128::from(state) * u128::from(state ^ 0x8bb8_4b93_962e_acc9);
        let bits = (product >> 64) as u64 ^ product as u64;
        ((u128::from(bits) * u128::from(numbers)) >> 64) as u64
    };
    move || {
        let start = SystemTime::now();
        let rows = (0..ROWS).map(|row| Ready {
            id: row as i64,
            category: &categories[draw(100) as usize],
            region: &regions[draw(20) as usize],
            amount: Decimal::new(1_000 + draw(999_001) as i64, 2),
            gpu_partition: 1,
            created_at: start + Duration::from_millis(row),
        });
        write_to_sql(rows, |bytes| drop(black_box(bytes))).is_ok()
    }
}

/// Something that passes over all rows, and its times.
struct Case<'a> {
    name: String,
    pass: Box<dyn FnMut() -> bool + 'a>,
    ns_per_row: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(name: &str, pass: impl FnMut() -> bool + 'a) -> Self {
        Self { name: name.into(), pass: Box::new(pass), ns_per_row: Vec::new() }
    }

    fn measure(&mut self) {
        (self.pass)();
        let (start, mut passes) = (Instant::now(), 0);
        while start.elapsed() < ROUND_TIME {
            assert!((self.pass)());
            passes += 1;
        }
        let rows = f64::from(passes) * ROWS as f64;
        self.ns_per_row.push(start.elapsed().as_secs_f64() * 1e9 / rows);
    }
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { median: sorted[sorted.len() / 2], min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8.3}  {:.3}–{:.3}", self.median, self.min, self.max)
    }
}
