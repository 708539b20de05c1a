//! Columns of the types and generators that came after the first ones.

use super::{NULL, T, integer, label, named, units};
use crate::row::literal;
use crate::row::sample::Reader;
use crate::row::{Column, ColumnType, Others, Pattern, Pick, Sample, Values, Zipf};

/// What came after them: each type and generator of its own.
pub(super) fn every_other_kind() -> Vec<Column> {
    let inet = |network: &str| Values::Inet { network: network.parse().unwrap() };
    let text = |text: &str| Values::Pattern(Pattern::of_text(text).unwrap());
    let json = |text, binary| Values::Pattern(Pattern::of_json(text, binary).unwrap());
    let document = r#"{"id": {row_id}, "to": "{word}-{hex:20}", "at": [{decimal:-1.00..1.00}]}"#;
    named(vec![
        (T::Uuid, Values::Uuid),
        (T::Uuid, Values::UuidV7),
        (T::TimestampTz, Values::EventTime { late_ratio: 0.3, mean_lateness_s: 2.0 }),
        (T::Time, Values::Time { min_us: 0, max_us: 86_400_000_000 }),
        (T::Bytea, Values::Bytes { min_bytes: 0, max_bytes: 40 }),
        (T::Inet, inet("10.1.0.0/16")),
        (T::Inet, inet("2001:db8::/32")),
        (T::Char(12), label("é_", 1, 100, Pick::Random)),
        (T::Varchar(80), text("{letters:3}{digits:3}-{zipf:1..50}-{words:1..3}-{sentence:2..4}")),
        (T::Text, text("{uuid} {choice:a|b} {integer:-9..9} {decimal:0.001..1.000}")),
        (T::Json, json(document, false)),
        (T::Jsonb, json(document, true)),
    ])
}

/// Values of each type that one is chosen of, with others beside.
pub(super) fn every_choice() -> Vec<Column> {
    let choice = |of: &[&str], others: Option<(f64, Values)>| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: Vec::new(),
        others: others.map(|(weight, values)| Box::new(Others { weight, values })),
        pick: Pick::Random,
    };
    let (random, numeric) = (Pick::Random, T::Numeric { precision: 6, scale: 2 });
    let float = |min, max| Values::Float { min, max, pick: Pick::Random };
    named(vec![
        (T::SmallInt, choice(&["-1", "7"], None)),
        (T::Integer, choice(&["1"], Some((2.0, Values::Integer { min: 5, max: 9, pick: random })))),
        (T::BigInt, choice(&["-9223372036854775808"], None)),
        (numeric, choice(&["1", "-9999.99", "0.5"], None)),
        (T::Real, choice(&["1.5"], Some((1.0, float(2.0, 3.0))))),
        (T::Double, choice(&["-0.25", "1e300"], None)),
        (T::Boolean, choice(&["true"], Some((0.0, Values::Boolean { true_ratio: 0.0 })))),
        (T::Date, choice(&["2024-02-29"], None)),
        (T::Time, choice(&["08:30"], Some((1.0, Values::Time { min_us: 0, max_us: 9 })))),
        (T::Uuid, choice(&["00112233-4455-6677-8899-aabbccddeeff"], Some((1.0, Values::Uuid)))),
        (T::Text, choice(&["hot"], Some((3.0, label("cold_", 1, 100_000, Pick::Random))))),
        (T::Char(4), choice(&["é"], Some((1.0, Values::Text { min_chars: 0, max_chars: 4 })))),
    ])
}

/// Values of files, with some that are NULL.
pub(super) fn every_file() -> Vec<Column> {
    let file = |sql_type, texts: &[&str], pick| Values::File {
        path: "v.csv".to_owned(),
        column: "v".to_owned(),
        fingerprint: String::new(),
        pick,
        sample: Sample::of(sql_type, texts),
    };
    named(vec![
        (T::BigInt, file(T::BigInt, &["7", "", "-9"], Pick::Cycle)),
        (T::Char(4), file(T::Char(4), &["", "é", "abcd"], Pick::Random)),
        (T::Text, file(T::Text, &["x", "", "a longer one"], Pick::Zipf(Zipf::new(1.0)))),
    ])
}

/// Keys of tables, of which an empty text may be one.
pub(super) fn every_key() -> Vec<Column> {
    let keys = |sql_type, texts: &[&str], pick| Values::Reference {
        table: "t".to_owned(),
        column: "k".to_owned(),
        pick,
        last: None,
        fingerprint: None,
        keys: Some(Sample::of_keys(sql_type, texts)),
    };
    let numeric = T::Numeric { precision: 6, scale: 2 };
    named(vec![
        (T::Text, keys(T::Text, &["", "k", "another"], Pick::Random)),
        (numeric, keys(numeric, &["-1", "2.5", "70"], Pick::Zipf(Zipf::new(0.5)))),
        (T::Char(3), keys(T::Char(3), &["", "é", "abc"], Pick::Cycle)),
    ])
}

/// Values along histograms, and those that follow the rows.
pub(super) fn every_order() -> Vec<Column> {
    let along = |bounds: &[&str], pick| Values::Histogram {
        bounds: bounds.iter().map(|text| (*text).to_owned()).collect(),
        weights: Vec::new(),
        distinct: None,
        pick,
    };
    let weighed = |values, to: &[f64], different| match values {
        Values::Histogram { bounds, pick, .. } => {
            Values::Histogram { bounds, weights: to.to_vec(), distinct: Some(different), pick }
        }
        other => other,
    };
    let (numeric, random) = (T::Numeric { precision: 9, scale: 2 }, || Pick::Random);
    let (up, down) = (|rows| Pick::Ascending { rows }, |rows| Pick::Descending { rows });
    let in_turn = |of: &[&str], pick| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: (0..of.len()).map(|place| place as f64).collect(),
        others: None,
        pick,
    };
    let whole = |min, max, pick| Values::Integer { min, max, pick };
    named(vec![
        (T::SmallInt, along(&["-32768", "0", "32767"], random())),
        (T::Integer, weighed(along(&["1", "5", "5", "5000"], random()), &[1.0, 7.0, 2.0], 40)),
        (T::BigInt, along(&["-9223372036854775808", "9223372036854775807"], up(1_000_000_000))),
        (numeric, along(&["0", "0.5", "9999999.99"], random())),
        (numeric, weighed(along(&["-1.5", "0", "1"], down(7)), &[0.0, 1.0], 3)),
        (T::Real, along(&["-1.5", "0", "1e30"], random())),
        (T::Double, along(&["2.5", "2.5"], random())),
        (T::Double, along(&["0", "1", "100"], up(50))),
        (T::Date, along(&["1999-12-31", "2024-02-29"], down(100))),
        (T::Time, along(&["00:00", "08:30:00.5", "24:00:00"], random())),
        (T::Timestamp, along(&["2026-01-01", "2026-01-01 08:30", "9999-12-31"], random())),
        (T::TimestampTz, along(&["2026-01-01 00:00+02", "2026-02-01 12:00:00.5-05:30"], up(1))),
        (T::TimestampTz, Values::Timestamp { min_us: -5, max_us: 1 << 60, pick: random() }),
        (T::Timestamp, Values::Timestamp { min_us: 0, max_us: 8, pick: up(90) }),
        (T::Integer, whole(-3, 3, up(1_000))),
        (T::BigInt, whole(1, 101, down(101))),
        (numeric, whole(5, 5, up(3))),
        (T::Text, label("in order ", 10, 98, up(1_000))),
        (T::Text, in_turn(&["a", "b", "c"], up(90))),
        (T::Date, in_turn(&["2024-02-29", "2024-03-01"], down(2))),
        (T::TimestampTz, in_turn(&["2024-02-29 00:00+00", "2024-03-01 12:00:00.5"], random())),
        (T::Double, Values::Float { min: 0.0, max: 9.0, pick: down(9) }),
        (T::Inet, in_turn(&["10.0.0.1", "10.1.0.0/16", "2001:db8::1"], random())),
    ])
}

/// A value along a histogram lies within its ends.
pub(super) fn check_histogram(column: &Column, bytes: &[u8]) {
    let Values::Histogram { bounds, .. } = &column.values else { unreachable!() };
    let ends = [&bounds[0], &bounds[bounds.len() - 1]];
    let sql_type = column.sql_type;
    if let [Some(min), Some(max)] = ends.map(|end| literal::float(sql_type, end)) {
        let value = match sql_type {
            T::Real => f32::from_bits(integer(bytes) as u32).into(),
            _ => f64::from_bits(integer(bytes) as u64),
        };
        return assert!((min..=max).contains(&value), "{column:?} {value}");
    }
    let [min, max] = ends.map(|end| i128::from(literal::whole(sql_type, end).unwrap()));
    let value = match sql_type {
        T::Numeric { scale, .. } => units(bytes, scale),
        _ => integer(bytes).into(),
    };
    assert!((min..=max).contains(&value), "{column:?} {value}");
}

/// Bytes of a type's values, if all have as many.
pub(super) fn width_of(sql_type: ColumnType) -> Option<usize> {
    match sql_type {
        T::Boolean => Some(1),
        T::SmallInt => Some(2),
        T::Integer | T::Real | T::Date => Some(4),
        T::BigInt | T::Double | T::Time | T::Timestamp | T::TimestampTz => Some(8),
        T::Uuid => Some(16),
        _ => None,
    }
}

/// A value of a file or table is one of its values, or the one of the row.
pub(super) fn check_of_sample((pick, sample): (&Pick, &Sample), bytes: &[u8], seq: u64) {
    let mut space = vec![0; sample.longest()];
    let Reader::Memory(fields) = sample.reader() else { panic!("{sample:?}") };
    let mut is = |number: u64| {
        let end = fields.write(number as usize, &mut space);
        if space[..4] == [255; 4] { bytes == NULL } else { space[4..end] == *bytes }
    };
    match pick {
        Pick::Cycle => assert!(is(seq % sample.count()), "row {seq}"),
        _ => assert!((0..sample.count()).any(is), "row {seq} {bytes:?}"),
    }
}
