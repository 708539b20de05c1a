//! Columns of arrays, and what their elements are.

use super::{NULL, T, encode, fingerprint, integer, label, named, unpadded};
use crate::row::encode::Encoder;
use crate::row::{CHUNK_BYTES, Column, ColumnType, Elements, Others, Pattern, Pick, Values, Zipf};

fn array(of: Values, length: Values, null_ratio: f64) -> Values {
    Values::Array(Box::new(Elements { of, length, null_ratio }))
}

fn whole(min: i64, max: i64) -> Values {
    Values::Integer { min, max, pick: Pick::Random }
}

fn along(bounds: &[&str]) -> Values {
    Values::Histogram {
        bounds: bounds.iter().map(|text| (*text).to_owned()).collect(),
        weights: Vec::new(),
        distinct: None,
        pick: Pick::Random,
    }
}

/// Arrays of each type, with elements of each kind, and lengths of each.
pub(super) fn every_array() -> Vec<Column> {
    let zipf = || Pick::Zipf(Zipf::new(1.0));
    let few = || Values::Integer { min: 0, max: 9, pick: zipf() };
    let choice = |of: &[&str], others: Option<Values>| Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: vec![1.0; of.len()],
        others: others.map(|values| Box::new(Others { weight: 2.0, values })),
        pick: Pick::Random,
    };
    let inet = Values::Inet { network: "10.0.0.0/8".parse().unwrap() };
    let text = Pattern::of_text("{letters:3} {row_id}").unwrap();
    let json = Pattern::of_json(r#"{"a": {integer:1..9}}"#, true).unwrap();
    let numeric = T::Numeric { precision: 8, scale: 2 };
    let kinds: Vec<(ColumnType, Values, Values, f64)> = vec![
        (T::SmallInt, whole(-3, 3), whole(0, 3), 0.0),
        (T::Integer, Values::Integer { min: 1, max: 50, pick: zipf() }, few(), 0.3),
        (T::BigInt, whole(i64::MIN, i64::MAX), whole(2, 2), 0.0),
        (T::Real, Values::Float { min: 0.0, max: 1.0, pick: Pick::Random }, whole(0, 2), 0.0),
        (T::Double, along(&["0", "0.5", "9"]), along(&["0", "1", "1", "20"]), 0.5),
        (numeric, Values::Decimal { min: -99, max: 99_999, pick: Pick::Random }, whole(0, 4), 0.1),
        (T::Text, label("tag_", 1, 100, zipf()), along(&["0", "0"]), 0.0),
        (T::Text, choice(&["é", "", "NULL"], Some(label("x", 1, 9, Pick::Random))), few(), 0.2),
        (T::Varchar(40), Values::Pattern(text), whole(1, 3), 0.0),
        (T::Char(5), choice(&["a", "abcde"], None), whole(0, 3), 0.4),
        (T::Uuid, Values::Uuid, whole(0, 2), 0.0),
        (T::Jsonb, Values::Pattern(json), whole(0, 2), 0.0),
        (T::Bytea, Values::Bytes { min_bytes: 0, max_bytes: 9 }, whole(0, 2), 0.0),
        (T::Inet, inet, whole(0, 2), 0.9),
        (T::Time, Values::Time { min_us: 0, max_us: 9 }, whole(0, 2), 0.0),
        (T::Boolean, Values::Boolean { true_ratio: 0.5 }, whole(0, 70), 0.1),
        (T::Date, Values::Day { min: 0, max: 364, pick: zipf() }, whole(0, 2), 0.0),
        (
            T::TimestampTz,
            Values::Timestamp { min_us: 0, max_us: 8, pick: Pick::Random },
            whole(0, 2),
            0.0,
        ),
    ];
    let kinds = kinds.into_iter().map(|(element, of, length, null_ratio)| {
        let element = element.as_element().unwrap();
        (T::Array(element), array(of, length, null_ratio))
    });
    named(kinds.collect())
}

/// The elements of an array, by the definition of its binary form.
fn decoded(element: ColumnType, bytes: &[u8]) -> Vec<Vec<u8>> {
    let (numbers, _) = bytes.as_chunks::<4>();
    let number = |place: usize| i32::from_be_bytes(numbers[place]);
    assert_eq!(number(2) as u32, element.as_element().unwrap().oid());
    if number(0) == 0 {
        assert_eq!((number(1), bytes.len()), (0, 12), "an empty array has nothing else");
        return Vec::new();
    }
    assert_eq!((number(0), number(4)), (1, 1), "a dimension, numbered from 1");
    let (mut rest, mut elements) = (&bytes[20..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let (value, after) = after.split_at(length.max(0) as usize);
        elements.push(if length < 0 { NULL.to_vec() } else { value.to_vec() });
        rest = after;
    }
    assert!(!elements.is_empty());
    assert_eq!(elements.len(), number(3) as usize);
    assert_eq!(number(1) != 0, elements.iter().any(|element| element == &NULL));
    elements
}

/// An array has as many elements as told, each of which is in its range.
pub(super) fn check(column: &Column, elements: &Elements, bytes: &[u8], seq: u64) {
    let own = elements.element(column);
    let all = decoded(own.sql_type, bytes);
    let [least, most] = elements.lengths().unwrap();
    assert!((least..=most).contains(&(all.len() as i64)), "{column:?} {}", all.len());
    for element in all {
        assert!(element != NULL || elements.null_ratio > 0.0, "{column:?}");
        super::check(&own, unpadded(&own, &element), seq, 0, 0, 0);
    }
}

/// The arrays of a column, of so many rows.
fn drawn(of: Values, length: Values, null_ratio: f64, rows: u64) -> Vec<Vec<Vec<u8>>> {
    let element = ColumnType::Integer;
    let columns =
        [Column::new("a", T::Array(element.as_element().unwrap()), array(of, length, null_ratio))];
    let mut encoder = Encoder::new(&columns, 42, 1, 1).unwrap();
    let rows = super::decode(&encode(&mut encoder, 0, rows, &[CHUNK_BYTES]), 1);
    rows.iter().map(|row| decoded(element, &row[0])).collect()
}

#[test]
fn an_element_is_the_same_however_long_arrays_may_be() {
    let short = drawn(whole(1, 1_000_000), whole(3, 3), 0.0, 500);
    let long = drawn(whole(1, 1_000_000), whole(0, 40), 0.0, 500);
    for (short, long) in short.iter().zip(&long) {
        assert!(short.iter().zip(long).all(|(short, long)| short == long));
    }
    // Neither the elements of a row are alike, nor those of the next one.
    let mut all: Vec<_> = short.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 1_490, "{}", all.len());
}

#[test]
fn lengths_values_and_nulls_come_as_often_as_told() {
    const ROWS: u64 = 40_000;
    let rows = drawn(whole(0, 9), whole(0, 4), 0.25, ROWS);
    let mut lengths = [0_u32; 5];
    let (mut values, mut nulls) = ([0_u32; 10], 0_u32);
    for array in &rows {
        lengths[array.len()] += 1;
        for element in array {
            match element == &NULL {
                true => nulls += 1,
                false => values[integer(element) as usize] += 1,
            }
        }
    }
    let chi = |counts: &[u32]| {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum::<f64>()
    };
    // Six standard deviations above the mean, √(2 × degrees of freedom) each.
    assert!(chi(&lengths) < 4.0 + 6.0 * 2.9, "{lengths:?}");
    assert!(chi(&values) < 9.0 + 6.0 * 4.3, "{values:?}");
    let elements = f64::from(nulls + values.iter().sum::<u32>());
    let deviation = (elements * 0.25 * 0.75).sqrt();
    assert!((f64::from(nulls) - 0.25 * elements).abs() < 6.0 * deviation, "{nulls} of {elements}");
}

#[test]
fn the_arrays_are_those_of_the_last_release() {
    // A change here changes everybody's data: say so in the changelog.
    let mut encoder = Encoder::new(&every_array(), 42, 1, 1).unwrap();
    let bytes = encode(&mut encoder, 0, 1_000, &[CHUNK_BYTES]);
    assert_eq!((bytes.len(), fingerprint(&bytes)), (747_514, 17_585_898_867_654_307_386));
}
