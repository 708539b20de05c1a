//! Laws of the encoder: every value is in its range, every row is a pure function of its number.

mod arrays;
mod conditional;
mod kinds;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use proptest::prelude::*;

use self::arrays::every_array;
use self::kinds::{every_choice, every_file, every_key, every_order, every_other_kind};
use super::*;
use crate::pace::{Course, Rate, Schedule};
use crate::row::{CHUNK_BYTES, ColumnType, ColumnType as T, Lane, Pick, Values, Zipf, literal};

const MOMENT_US: i64 = 1_795_000_000_123_456;
/// Rows that are due before time in microseconds overflows.
const FIRST_ROWS: std::ops::Range<u64> = 0..1 << 52;
const EPOCH_UNIX_US: i64 = 946_684_800_000_000;

fn label(prefix: &str, min: u64, max: u64, pick: Pick) -> Values {
    Values::Label { prefix: prefix.into(), min, max, pick }
}

/// The table that the program streams into when told nothing else.
fn stream_table() -> Vec<Column> {
    vec![
        Column::new("id", T::BigInt, Values::RowId),
        Column::new("category", T::Text, label("category_", 1, 100, Pick::Random)),
        Column::new("region", T::Text, label("region_", 1, 20, Pick::Random)),
        Column::new(
            "amount",
            T::Numeric { precision: 15, scale: 2 },
            Values::Decimal { min: 1_000, max: 1_000_000, pick: Pick::Random },
        ),
        Column::new("gpu_partition", T::Integer, Values::Partition),
        Column::new("created_at", T::TimestampTz, Values::DueTime),
    ]
}

/// Every pair of values and type, with ranges that are short, wide, whole and single.
fn every_kind() -> Vec<Column> {
    use Pick::{Cycle, Random};
    let integer = |min, max, pick| Values::Integer { min, max, pick };
    let decimal = |min, max| Values::Decimal { min, max, pick: Pick::Random };
    let day = |min, max, pick| Values::Day { min, max, pick };
    let numeric = |precision, scale| T::Numeric { precision, scale };
    let (small_min, small_max) = (i16::MIN.into(), i16::MAX.into());
    let kinds = vec![
        (T::BigInt, Values::RowId),
        (T::SmallInt, Values::Partition),
        (T::Integer, Values::Partition),
        (T::BigInt, Values::Partition),
        (T::TimestampTz, Values::DueTime),
        (T::Timestamp, Values::DueTime),
        (T::Date, Values::DueTime),
        (T::Text, label("", 0, 9, Random)),
        (T::Text, label("straße_", 98, 10_001, Random)),
        (T::Varchar(12), label("a_prefix_", 1, 999, Cycle)),
        (T::Varchar(28), label("twenty_four_characters__", 0, 9_999, Random)),
        (T::Text, label("a prefix beyond every table ", 5, 3_000, Cycle)),
        (T::Text, label("all_", 0, u64::MAX, Random)),
        (T::Text, label("one_", u64::MAX, u64::MAX, Random)),
        (T::SmallInt, integer(small_min, small_max, Random)),
        (T::SmallInt, integer(-3, 3, Cycle)),
        (T::Integer, integer(i32::MIN.into(), i32::MAX.into(), Random)),
        (T::Integer, integer(7, 7, Random)),
        (T::BigInt, integer(i64::MIN, i64::MAX, Random)),
        (T::BigInt, integer(i64::MIN, i64::MAX, Cycle)),
        (T::BigInt, integer(i64::MAX - 2, i64::MAX, Cycle)),
        (numeric(19, 0), integer(i64::MIN, i64::MAX, Random)),
        (numeric(60, 38), integer(i64::MIN, i64::MAX, Random)),
        (numeric(10, 4), integer(-5, 5, Cycle)),
        (numeric(15, 2), decimal(1_000, 1_000_000)),
        (numeric(15, 2), decimal(-999_999_999_999_999, 999_999_999_999_999)),
        (numeric(12, 0), decimal(0, 999_999_999_999)),
        (numeric(19, 19), decimal(i64::MIN, i64::MAX)),
        (numeric(38, 38), decimal(-50, 50)),
        (numeric(5, 3), decimal(0, 0)),
        (T::Real, Values::Float { min: -1.5, max: 1e30, pick: Pick::Random }),
        (T::Real, Values::Float { min: 0.7, max: 0.700_000_1, pick: Pick::Random }),
        (T::Double, Values::Float { min: 0.0, max: 1.0, pick: Pick::Random }),
        (T::Double, Values::Float { min: 1.0, max: 1.0_f64.next_up(), pick: Pick::Random }),
        (T::Double, Values::Float { min: 2.5, max: 2.5, pick: Pick::Random }),
        (T::Date, day(-2_451_545, 2_145_031_948, Random)),
        (T::Date, day(0, 364, Cycle)),
        (T::Text, Values::Text { min_chars: 0, max_chars: 40 }),
        (T::Varchar(13), Values::Text { min_chars: 13, max_chars: 13 }),
        (T::Text, Values::Text { min_chars: 0, max_chars: 0 }),
        (T::Boolean, Values::Boolean { true_ratio: 0.25 }),
        (T::Boolean, Values::Boolean { true_ratio: 0.0 }),
        (T::Boolean, Values::Boolean { true_ratio: 1.0 }),
    ];
    named(kinds)
}

/// Columns of these types and values. Every third of those that may has NULLs.
fn named(kinds: Vec<(ColumnType, Values)>) -> Vec<Column> {
    let columns = kinds.into_iter().enumerate().map(|(index, (kind, values))| {
        let mut column = Column::new(format!("c{index}"), kind, values);
        column.null_ratio = if index % 3 == 0 { 0.3 } else { 0.0 };
        column.null_ratio = if column.check().is_ok() { column.null_ratio } else { 0.0 };
        column
    });
    columns.collect()
}

/// Every way to choose a value, with the types that take it.
fn every_pick() -> Vec<Column> {
    let integer = |min, max, pick| Values::Integer { min, max, pick };
    let zipf = |exponent| Pick::Zipf(Zipf::new(exponent));
    let normal = |mean, sd| Pick::Normal { mean, sd };
    let lognormal = |median, sigma| Pick::Lognormal { median, sigma };
    let choice = |of: &[&str], weights: &[f64]| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: weights.to_vec(),
        others: None,
        pick: Pick::Random,
    };
    let numeric = T::Numeric { precision: 15, scale: 2 };
    let decimal = |pick| Values::Decimal { min: 0, max: 100_000, pick };
    let float = |pick| Values::Float { min: 0.0, max: 1_000.0, pick };
    named(vec![
        (T::BigInt, integer(1, 3_000, zipf(1.0))),
        (T::SmallInt, integer(-5, 5, zipf(20.0))),
        (T::Text, label("c_", 1, 100, zipf(0.5))),
        (T::Text, label("a prefix beyond every table ", 1, 100, zipf(1.2))),
        (T::Date, Values::Day { min: 0, max: 364, pick: zipf(0.8) }),
        (numeric, Values::Decimal { min: 0, max: 999, pick: zipf(1.1) }),
        (T::Integer, integer(-100, 100, normal(0.0, 40.0))),
        (T::BigInt, integer(i64::MIN, i64::MAX, normal(0.0, 1e19))),
        (numeric, decimal(normal(500.0, 1e300))),
        (numeric, decimal(lognormal(20.0, 1.0))),
        (T::BigInt, integer(0, i64::MAX, lognormal(1.0, 500.0))),
        (T::Double, float(normal(500.0, 100.0))),
        (T::Real, float(lognormal(30.0, 1.5))),
        (T::Double, float(Pick::Exponential { scale: 100.0 })),
        (T::Integer, integer(10, 1_000, Pick::Exponential { scale: 30.0 })),
        (numeric, decimal(Pick::Cycle)),
        (T::Text, choice(&["new", "paid", ""], &[1.0, 2.5, 0.0])),
        (T::Varchar(20), choice(&["a text of 20 letters"], &[])),
        (T::Text, choice(&["é", &"long ".repeat(20)], &[])),
    ])
}

fn due_times(first_row: u64) -> DueTimes {
    let nz = |value| NonZeroU64::new(value).unwrap();
    let course = Course::even(Rate::per_second(nz(3_001)));
    Schedule::new(course, 0, nz(3), nz(1), Duration::ZERO).due_times(first_row).since(MOMENT_US)
}

/// `rows` rows, in calls with as much room as `rooms` say in turn.
fn encode(encoder: &mut Encoder, first_row: u64, rows: u64, rooms: &[usize]) -> Vec<u8> {
    let mut due = due_times(first_row);
    let mut all = Vec::new();
    let mut done = 0;
    for room in rooms.iter().cycle() {
        let mut out = vec![0xee; encoder.max_row_bytes() + room];
        let left = rows - done;
        let call = encoder.encode(&mut out, first_row.wrapping_add(done), left, &mut due).unwrap();
        assert!(call.rows > 0 || left == 0);
        all.extend_from_slice(&out[..call.bytes]);
        done += call.rows;
        if done == rows {
            break;
        }
    }
    all
}

/// What stands for NULL: no value of these tests has three such bytes.
const NULL: [u8; 3] = [0xff; 3];

/// Rows of fields of bytes, by the definition of the format.
fn decode(mut bytes: &[u8], columns: usize) -> Vec<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (count, mut rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(i16::from_be_bytes(*count) as usize, columns);
        let mut row = Vec::new();
        for _ in 0..columns {
            let (length, after) = rest.split_first_chunk().unwrap();
            let length = i32::from_be_bytes(*length);
            assert!(length >= -1);
            let (field, after) = after.split_at(length.max(0) as usize);
            row.push(if length < 0 { NULL.to_vec() } else { field.to_vec() });
            rest = after;
        }
        rows.push(row);
        bytes = rest;
    }
    rows
}

/// A whole number of two, four or eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    match bytes.len() {
        2 => i16::from_be_bytes(bytes.try_into().unwrap()).into(),
        4 => i32::from_be_bytes(bytes.try_into().unwrap()).into(),
        _ => i64::from_be_bytes(bytes.try_into().unwrap()),
    }
}

/// A decimal in units of 10⁻ˢᶜᵃˡᵉ.
fn units(bytes: &[u8], scale: u16) -> i128 {
    let text = crate::row::numeric::tests::decode(bytes);
    assert_eq!(text.split_once('.').map_or(0, |(_, decimals)| decimals.len()), usize::from(scale));
    text.replace('.', "").parse().unwrap()
}

/// Where the value at `seq` is, if the column follows the rows.
fn cycled(pick: &Pick, seq: u64, min: i128, max: i128) -> Option<i128> {
    let numbers = max - min + 1;
    let of = |rows: u64| (2 * i128::from(seq % rows) + 1) * numbers / (2 * i128::from(rows));
    match pick {
        Pick::Cycle => Some(min + i128::from(seq) % numbers),
        Pick::Ascending { rows } => Some(min + of(*rows)),
        Pick::Descending { rows } => Some(max - of(*rows)),
        _ => None,
    }
}

/// A text of fixed length without the spaces that it ends with.
fn unpadded<'a>(column: &Column, field: &'a [u8]) -> &'a [u8] {
    let T::Char(chars) = column.sql_type else { return field };
    if field == NULL {
        return field;
    }
    assert_eq!(str::from_utf8(field).unwrap().chars().count(), chars as usize);
    field.trim_ascii_end()
}

fn check(column: &Column, bytes: &[u8], seq: u64, partition: u32, first_id: i64, due_us: i64) {
    if column.null_ratio > 0.0 && bytes == NULL {
        return;
    }
    let width = kinds::width_of(column.sql_type);
    assert!(width.is_none_or(|width| width == bytes.len()), "{column:?}");
    let in_range = |value: i128, min, max, pick: &Pick| {
        assert!((min..=max).contains(&value), "{column:?} {value}");
        assert_eq!(cycled(pick, seq, min, max).unwrap_or(value), value, "{column:?} row {seq}");
    };
    let scale = column.sql_type.scale();
    match &column.values {
        Values::RowId => assert_eq!(integer(bytes), first_id.wrapping_add(seq as i64)),
        Values::Partition => assert_eq!(integer(bytes), i64::from(partition)),
        Values::DueTime if column.sql_type == T::Date => {
            assert_eq!(integer(bytes), (due_us - EPOCH_UNIX_US).div_euclid(86_400_000_000));
        }
        Values::DueTime => assert_eq!(integer(bytes), due_us - EPOCH_UNIX_US),
        Values::Label { prefix, min, max, pick } => {
            let text = str::from_utf8(bytes).unwrap();
            let number = text.strip_prefix(prefix.as_str()).unwrap();
            let value: u64 = number.parse().unwrap();
            assert_eq!(value.to_string(), number);
            in_range(value.into(), (*min).into(), (*max).into(), pick);
        }
        Values::Integer { min, max, pick } => {
            let value = match column.sql_type {
                T::Numeric { .. } => {
                    let text = crate::row::numeric::tests::decode(bytes);
                    let (value, zeros) = text.split_once('.').unwrap_or((&text, ""));
                    assert_eq!(zeros, "0".repeat(scale.into()));
                    value.parse().unwrap()
                }
                _ => integer(bytes),
            };
            in_range(value.into(), (*min).into(), (*max).into(), pick);
        }
        Values::Decimal { min, max, pick } => {
            in_range(units(bytes, scale), (*min).into(), (*max).into(), pick);
        }
        Values::Float { min, max, .. } => {
            let value = match column.sql_type {
                T::Real => f32::from_bits(integer(bytes) as u32).into(),
                _ => f64::from_bits(integer(bytes) as u64),
            };
            let (min, max) = match column.sql_type {
                T::Real => ((*min as f32).into(), (*max as f32).into()),
                _ => (*min, *max),
            };
            assert!(min <= value && (value < max || min >= max), "{column:?} {value}");
        }
        Values::Day { min, max, pick } => {
            in_range(integer(bytes).into(), (*min).into(), (*max).into(), pick);
        }
        Values::Timestamp { min_us: min, max_us: max, pick } => {
            in_range(integer(bytes).into(), (*min).into(), (*max).into(), pick);
        }
        Values::Histogram { .. } => kinds::check_histogram(column, bytes),
        Values::Text { min_chars, max_chars } => {
            assert!((*min_chars as usize..=*max_chars as usize).contains(&bytes.len()));
            assert!(bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        }
        Values::Boolean { true_ratio } => {
            let possible = [*true_ratio < 1.0, *true_ratio > 0.0];
            assert!(possible[usize::from(bytes[0])], "{column:?} {bytes:?}");
        }
        Values::Choice { of, weights, others, .. } => {
            let is = |text: &String| literal::encode(column.sql_type, text).unwrap() == bytes;
            if let Some(at) = of.iter().position(is) {
                return assert!(weights.get(at).is_none_or(|weight| *weight > 0.0));
            }
            let column = Column { values: others.clone().unwrap().values, ..column.clone() };
            check(&column, bytes, seq, partition, first_id, due_us);
        }
        Values::File { pick, sample, .. } => kinds::check_of_sample((pick, sample), bytes, seq),
        Values::Reference { pick, keys, .. } => {
            kinds::check_of_sample((pick, keys.as_ref().unwrap()), bytes, seq);
        }
        Values::Uuid => assert_eq!(bytes[6] >> 4, 4),
        Values::UuidV7 => {
            let millis = integer(&bytes[..8]) as u64 >> 16;
            assert_eq!(millis as i64, due_us.div_euclid(1_000).clamp(0, (1 << 48) - 1));
        }
        Values::EventTime { late_ratio, .. } => {
            let late_us = due_us - EPOCH_UNIX_US - integer(bytes);
            assert!(late_us == 0 || late_us > 0 && *late_ratio > 0.0, "{late_us}");
        }
        Values::Time { min_us: min, max_us: max } => {
            in_range(integer(bytes).into(), (*min).into(), (*max).into(), &Pick::Random);
        }
        Values::Bytes { min_bytes, max_bytes } => {
            assert!((*min_bytes as usize..=*max_bytes as usize).contains(&bytes.len()));
        }
        // The server and psycopg read the rest: tests/oracle.rs.
        Values::Inet { .. } => assert!([8, 20].contains(&bytes.len())),
        Values::Array(elements) => arrays::check(column, elements, bytes, seq),
        Values::Conditional(_) => {}
        Values::Pattern(pattern) => {
            let text = str::from_utf8(bytes).unwrap();
            assert!(text.chars().count() <= 1 + pattern.as_written().len() * 4, "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_value_has_its_type_and_is_in_its_range(
        seed: u64, partition in 0_u32..=32_767, first_row in FIRST_ROWS, first_id: i64,
    ) {
        let columns = [every_kind(), every_pick(), every_other_kind(), every_choice(), every_file(), every_key(), every_order(), every_array()];
        let columns = columns.concat();
        let mut encoder = Encoder::new(&columns, seed, partition, first_id).unwrap();
        let bytes = encode(&mut encoder, first_row, 100, &[1 << 20]);
        let mut due = due_times(first_row);
        for (seq, row) in (first_row..).zip(decode(&bytes, columns.len())) {
            let due_us = due.advance();
            for (column, field) in columns.iter().zip(row) {
                let field = unpadded(column, &field);
                check(column, field, seq, partition, first_id, due_us);
            }
        }
    }

    #[test]
    fn a_row_is_the_same_however_the_rows_are_cut_into_calls(
        seed: u64, first_row in FIRST_ROWS, rows in 1_u64..150,
        rooms in prop::collection::vec(0_usize..20_000, 1..5),
    ) {
        for columns in [every_kind(), every_pick(), every_order(), every_array(), conditional::every(), stream_table()] {
            let mut encoder = Encoder::new(&columns, seed, 5, 1).unwrap();
            let at_once = encode(&mut encoder, first_row, rows, &[1 << 20]);
            prop_assert_eq!(&encode(&mut encoder, first_row, rows, &rooms), &at_once);
            prop_assert_eq!(&encode(&mut encoder.clone(), first_row, rows, &[0]), &at_once);
            let row = rows - 1;
            let alone = encode(&mut encoder, first_row.wrapping_add(row), 1, &[0]);
            prop_assert!(at_once.ends_with(&alone));
        }
    }

    #[test]
    fn the_lanes_of_a_partition_have_its_rows_between_them(
        seed: u64, first_row in 0_u64..1 << 40, lanes in 1_u32..40,
    ) {
        let columns: Vec<Column> = [every_kind(), every_pick(), every_order(), every_array(), conditional::every()].concat().into_iter()
            .filter(|column| !column.values.is_of_due_time()).collect();
        let lanes = NonZeroU32::new(lanes).unwrap();
        for number in 0..lanes.get() {
            let lane = Lane { partition: Some(5), ..Lane::of(number, lanes, None) };
            let ids = Ids { lane, base: 7, run: crate::row::RunTag::default() };
            let mut own = Encoder::of_ids(&columns, seed, &ids).unwrap();
            let own = encode(&mut own, first_row, 70, &[1 << 20]);
            let mut whole = Encoder::new(&columns, seed, 5, 7).unwrap();
            let rows = (first_row..first_row + 70).map(|row| encode(&mut whole, lane.row(row), 1, &[0]));
            prop_assert_eq!(own, rows.collect::<Vec<_>>().concat());
        }
    }

    #[test]
    fn a_column_keeps_its_values_when_another_is_added(
        seed: u64, first_row in FIRST_ROWS,
    ) {
        let columns = stream_table();
        let mut all = Encoder::new(&columns, seed, 1, 1).unwrap();
        let mut some = Encoder::new(&columns[..4], seed, 1, 1).unwrap();
        let all = decode(&encode(&mut all, first_row, 50, &[1 << 20]), 6);
        let some = decode(&encode(&mut some, first_row, 50, &[1 << 20]), 4);
        for (all, some) in all.iter().zip(&some) {
            prop_assert_eq!(&all[..4], &some[..]);
        }
    }
}

#[test]
fn the_generator_is_the_one_of_the_last_release() {
    // A change here changes everybody's data: say so in the changelog.
    let mut encoder = Encoder::new(&stream_table(), 42, 1, 1).unwrap();
    let bytes = encode(&mut encoder, 0, 10_000, &[CHUNK_BYTES]);
    assert_eq!((bytes.len(), fingerprint(&bytes)), (774_463, 14_241_978_300_802_468_505));
    for (columns, length, expected) in [
        (every_pick(), 251_402, 16_157_549_818_778_257_696),
        (every_other_kind(), 346_682, 4_212_538_104_057_923_606),
        (every_choice(), 119_104, 9_816_570_295_481_872_954),
        (every_file(), 27_395, 12_766_651_451_559_654_603),
        (every_key(), 29_805, 13_800_007_907_786_186_881),
        (every_order(), 247_209, 16_938_108_817_680_330_999),
    ] {
        let mut encoder = Encoder::new(&columns, 42, 1, 1).unwrap();
        let bytes = encode(&mut encoder, 0, 1_000, &[CHUNK_BYTES]);
        assert_eq!((bytes.len(), fingerprint(&bytes)), (length, expected), "{columns:?}");
    }
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let fnv1a = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv1a)
}

#[test]
fn partitions_and_seeds_differ() {
    let rows = |seed, partition| {
        let mut encoder = Encoder::new(&stream_table()[1..4], seed, partition, 1).unwrap();
        encode(&mut encoder, 0, 100, &[CHUNK_BYTES])
    };
    assert_ne!(rows(42, 1), rows(42, 2));
    assert_ne!(rows(42, 1), rows(43, 1));
}

#[test]
fn labels_and_decimals_are_uniform() {
    const ROWS: u64 = 200_000;
    let columns = stream_table();
    let mut encoder = Encoder::new(&columns, 42, 1, 1).unwrap();
    let rows = decode(&encode(&mut encoder, 0, ROWS, &[CHUNK_BYTES]), columns.len());
    let chi_square = |column: usize, cells: usize, cell: &dyn Fn(&[u8]) -> usize| {
        let mut counts = vec![0_u32; cells];
        for row in &rows {
            counts[cell(&row[column])] += 1;
        }
        let expected = ROWS as f64 / cells as f64;
        counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum::<f64>()
    };
    let number = |bytes: &[u8]| {
        let text = str::from_utf8(bytes).unwrap();
        text.rsplit('_').next().unwrap().parse::<usize>().unwrap() - 1
    };
    // The bounds are six standard deviations, √(2 × cells), above the mean.
    assert!(chi_square(1, 100, &number) < 99.0 + 6.0 * 14.1);
    assert!(chi_square(2, 20, &number) < 19.0 + 6.0 * 6.2);
    let amount = |bytes: &[u8]| ((units(bytes, 2) - 1_000) * 100 / 999_001) as usize;
    assert!(chi_square(3, 100, &amount) < 99.0 + 6.0 * 14.1);
    // Neighbouring columns of a row are independent too.
    let mut pairs = vec![0_u32; 2_000];
    for row in &rows {
        pairs[number(&row[1]) * 20 + number(&row[2])] += 1;
    }
    let chi: f64 = pairs.iter().map(|&n| (f64::from(n) - 100.0).powi(2) / 100.0).sum();
    assert!(chi < 1_999.0 + 6.0 * 63.2);
}

#[test]
fn a_moment_beyond_the_servers_calendar_becomes_the_nearest_within() {
    let columns = [
        Column::new("at", T::TimestampTz, Values::DueTime),
        Column::new("day", T::Date, Values::DueTime),
    ];
    let mut encoder = Encoder::new(&columns, 42, 0, 1).unwrap();
    let mut at = |unix_us| {
        let mut out = [0; 128];
        let call = encoder.encode(&mut out, 0, 1, &mut DueTimes::constant(unix_us)).unwrap();
        let row = &decode(&out[..call.bytes], 2)[0];
        (integer(&row[0]), integer(&row[1]))
    };
    assert_eq!(at(EPOCH_UNIX_US), (0, 0));
    assert_eq!(at(EPOCH_UNIX_US - 1), (-1, -1));
    assert_eq!(at(0), (-EPOCH_UNIX_US, -10_957));
    assert_eq!(at(i64::MIN), (-211_813_488_000_000_000, -2_451_545));
    assert_eq!(at(i64::MAX - 1).0, i64::MAX - 1 - EPOCH_UNIX_US);
    assert_eq!(at(i64::MAX).1, 106_741_034);
}

#[test]
fn a_buffer_too_short_for_a_row_takes_none() {
    let mut encoder = Encoder::new(&stream_table(), 42, 1, 1).unwrap();
    let mut due = due_times(0);
    let mut out = vec![0; encoder.max_row_bytes() - 1];
    assert_eq!(encoder.encode(&mut out, 0, 5, &mut due), Ok(Encoded { rows: 0, bytes: 0 }));
    assert_eq!(encoder.encode(&mut [], 0, 5, &mut due), Ok(Encoded { rows: 0, bytes: 0 }));
    let mut out = vec![0; CHUNK_BYTES];
    assert_eq!(encoder.encode(&mut out, 0, 0, &mut due), Ok(Encoded { rows: 0, bytes: 0 }));
    assert_eq!(due.advance(), due_times(0).advance());
}

#[test]
fn tables_that_cannot_be_encoded_are_refused() {
    let refused = |columns: &[Column], partition| {
        Encoder::new(columns, 42, partition, 1).unwrap_err().to_string()
    };
    assert_eq!(refused(&[], 0), "the table has 0 columns; declare from 1 to 1600");
    let text = Values::Text { min_chars: 0, max_chars: 1 << 30 };
    assert_eq!(
        refused(&[Column::new("body", T::Text, text)], 0),
        "column `body`: a row has up to 1073741856 bytes, and PostgreSQL takes 1073741760; shorten \
         the longest texts or arrays"
    );
    assert_eq!(
        refused(&[Column::new("part", T::SmallInt, Values::Partition)], 40_000),
        "column `part`: partition 40000 is outside of smallint, which holds -32768 to 32767; use \
         fewer partitions, or a wider type"
    );
}

/// The numbers of a column of `pick`, of as many rows.
fn drawn(min: i64, max: i64, pick: Pick, rows: u64, null_ratio: f64) -> Vec<Option<i64>> {
    let mut column = Column::new("n", T::BigInt, Values::Integer { min, max, pick });
    column.null_ratio = null_ratio;
    let mut encoder = Encoder::new(&[column], 42, 1, 1).unwrap();
    let rows = decode(&encode(&mut encoder, 0, rows, &[CHUNK_BYTES]), 1);
    rows.iter().map(|row| (row[0] != NULL).then(|| integer(&row[0]))).collect()
}

#[test]
fn shares_by_rank_are_those_of_zipf() {
    const ROWS: u64 = 100_000;
    let mut counts = vec![0_u32; 50];
    for number in drawn(1, 50, Pick::Zipf(Zipf::new(1.0)), ROWS, 0.0) {
        counts[number.unwrap() as usize - 1] += 1;
    }
    // Hot values are not neighbours, or they would lie together in an index.
    assert!(!counts.is_sorted_by(|a, b| a >= b));
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let sum: f64 = (1..=50).map(|rank| 1.0 / f64::from(rank)).sum();
    let chi: f64 = (1..)
        .zip(&counts)
        .map(|(rank, &count)| {
            let expected = ROWS as f64 / f64::from(rank) / sum;
            (f64::from(count) - expected).powi(2) / expected
        })
        .sum();
    assert!(chi < 49.0 + 6.0 * 9.9, "{chi}");
}

#[test]
fn distributions_have_their_quantiles() {
    const ROWS: u64 = 100_000;
    let quantiles = |pick| {
        let mut all: Vec<i64> =
            drawn(0, 1_000_000, pick, ROWS, 0.0).into_iter().flatten().collect();
        all.sort_unstable();
        [0.1, 0.5, 0.9, 0.99].map(|p| all[(p * ROWS as f64) as usize] as f64)
    };
    // As Python's `statistics` and `math` have them.
    for (pick, expected) in [
        (
            Pick::Normal { mean: 500_000.0, sd: 100_000.0 },
            [371_845.0, 500_000.0, 628_155.0, 732_635.0],
        ),
        (
            Pick::Lognormal { median: 10_000.0, sigma: 1.0 },
            [2_776.0, 10_000.0, 36_022.0, 102_405.0],
        ),
        (Pick::Exponential { scale: 10_000.0 }, [1_054.0, 6_931.0, 23_026.0, 46_052.0]),
    ] {
        for (found, expected) in quantiles(pick).iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 0.04, "{found} {expected}");
        }
    }
}

#[test]
fn nulls_come_as_often_as_told_and_leave_the_values() {
    const ROWS: u64 = 100_000;
    let with = drawn(0, 1_000, Pick::Random, ROWS, 0.2);
    let without = drawn(0, 1_000, Pick::Random, ROWS, 0.0);
    let nulls = with.iter().filter(|number| number.is_none()).count() as f64;
    // Six standard deviations.
    assert!((nulls - 20_000.0).abs() < 6.0 * 126.5, "{nulls}");
    assert!(with.iter().zip(&without).all(|(with, without)| with.is_none() || with == without));
}
