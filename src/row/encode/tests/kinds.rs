//! Columns of the types and generators that came after the first ones.

use super::{T, label, named};
use crate::row::{Column, Others, Pattern, Pick, Sample, Values, Zipf};

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
        sample: Sample::encode(sql_type, texts.iter().copied()).unwrap(),
    };
    named(vec![
        (T::BigInt, file(T::BigInt, &["7", "", "-9"], Pick::Cycle)),
        (T::Char(4), file(T::Char(4), &["", "é", "abcd"], Pick::Random)),
        (T::Text, file(T::Text, &["x", "", "a longer one"], Pick::Zipf(Zipf::new(1.0)))),
    ])
}
