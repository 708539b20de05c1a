//! Columns that depend on others.

use super::{T, encode, fingerprint, integer, label, unpadded};
use crate::row::encode::Encoder;
use crate::row::{CHUNK_BYTES, Column, Conditional, Elements, Pick, Values};

fn choice(of: &[&str], weights: &[f64]) -> Values {
    Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: weights.to_vec(),
        others: None,
        pick: Pick::Random,
    }
}

fn on(parent: &str, of: &[(&str, Values)], others: Option<Values>) -> Values {
    Values::Conditional(Conditional {
        on: parent.to_owned(),
        of: of.iter().map(|(key, values)| ((*key).to_owned(), values.clone())).collect(),
        others: others.map(Box::new),
    })
}

/// A country and what depends on it, before it and behind it, also by way of another column; and other parents.
pub(super) fn every() -> Vec<Column> {
    let whole = |min, max| Values::Integer { min, max, pick: Pick::Random };
    let array = |length| Elements { of: whole(1, 9), length: whole(0, length), null_ratio: 0.0 };
    let array = |length| Values::Array(Box::new(array(length)));
    let numeric = T::Numeric { precision: 6, scale: 2 };
    let sizes = Values::Choice {
        of: ["1", "2"].map(str::to_owned).to_vec(),
        weights: Vec::new(),
        others: None,
        pick: Pick::Ascending { rows: 10 },
    };
    let cities = [
        ("DE", choice(&["Berlin", "Hamburg"], &[3.0, 1.0])),
        ("FR", choice(&["Paris"], &[])),
        ("IT", choice(&["Roma", "Milano"], &[])),
    ];
    let streets = [("Paris", choice(&["Rue A"], &[])), ("Roma", choice(&["Via A", "Via B"], &[]))];
    let discount = Values::Decimal { min: 1_000, max: 2_000, pick: Pick::Random };
    let float = |min, max| Values::Float { min, max, pick: Pick::Random };
    let mut columns = vec![
        Column::new("city", T::Text, on("country", &cities, None)),
        Column::new("country", T::Text, choice(&["DE", "FR", "IT"], &[6.0, 3.0, 1.0])),
        Column::new("street", T::Text, on("city", &streets, Some(choice(&["A-Straße"], &[])))),
        Column::new("is_member", T::Boolean, Values::Boolean { true_ratio: 0.25 }),
        Column::new(
            "discount",
            numeric,
            on("is_member", &[("yes", discount), ("false", choice(&["0"], &[]))], None),
        ),
        Column::new(
            "code",
            T::Char(6),
            on(
                "street",
                &[("Rue A", label("r", 1, 9, Pick::Cycle))],
                Some(Values::Text { min_chars: 0, max_chars: 5 }),
            ),
        ),
        Column::new("size", T::Integer, sizes),
        Column::new(
            "weight",
            T::Double,
            on("size", &[("1", float(0.0, 1.0)), ("2", float(1.0, 2.0))], None),
        ),
        Column::new(
            "scores",
            T::Array(T::Integer.as_element().unwrap()),
            on("is_member", &[("true", array(5))], Some(array(0))),
        ),
    ];
    (columns[1].null_ratio, columns[2].null_ratio) = (0.2, 0.3);
    columns
}

#[test]
fn values_are_those_of_the_other_columns_value() {
    const ROWS: u64 = 20_000;
    let mut columns = every();
    // What is NULL is drawn all the same.
    columns.iter_mut().for_each(|column| column.null_ratio = 0.0);
    let mut encoder = Encoder::new(&columns, 42, 1, 1).unwrap();
    let rows = super::decode(&encode(&mut encoder, 0, ROWS, &[CHUNK_BYTES]), columns.len());
    let mut cities = std::collections::BTreeMap::new();
    for row in &rows {
        let text = |place: usize| str::from_utf8(&row[place]).unwrap();
        let (city, country, street) = (text(0), text(1), text(2));
        *cities.entry((country, city)).or_insert(0_u32) += 1;
        let street_is_there = match city {
            "Paris" => street == "Rue A",
            "Roma" => ["Via A", "Via B"].contains(&street),
            _ => street == "A-Straße",
        };
        assert!(street_is_there, "{city} {street}");
        let is_member = row[3] == [1];
        let discount = super::units(&row[4], 2);
        assert!(if is_member { (1_000..=2_000).contains(&discount) } else { discount == 0 });
        let code = unpadded(&columns[5], &row[5]);
        let is_label = code.len() == 2 && code[0] == b'r' && code[1].is_ascii_digit();
        assert!(is_label || street != "Rue A", "{code:?}");
        let (size, weight) = (integer(&row[6]), f64::from_bits(integer(&row[7]) as u64));
        assert_eq!(weight >= 1.0, size == 2, "{size} {weight}");
        assert!(is_member || row[8].len() == 12, "an empty array");
    }
    let expected = [
        (("DE", "Berlin"), 0.45),
        (("DE", "Hamburg"), 0.15),
        (("FR", "Paris"), 0.3),
        (("IT", "Milano"), 0.05),
        (("IT", "Roma"), 0.05),
    ];
    assert_eq!(cities.len(), expected.len(), "{cities:?}");
    for (pair, share) in expected {
        let (found, mean) = (f64::from(cities[&pair]), share * ROWS as f64);
        // Six standard deviations.
        assert!((found - mean).abs() < 6.0 * (mean * (1.0 - share)).sqrt(), "{pair:?} {found}");
    }
}

#[test]
fn a_column_is_the_same_whether_others_depend_on_it_or_not() {
    let columns = every();
    let mut all = Encoder::new(&columns, 42, 1, 1).unwrap();
    let all = super::decode(&encode(&mut all, 0, 200, &[CHUNK_BYTES]), columns.len());
    let mut first = Encoder::new(&columns[..2], 42, 1, 1).unwrap();
    let first = super::decode(&encode(&mut first, 0, 200, &[CHUNK_BYTES]), 2);
    assert!(all.iter().zip(&first).all(|(all, first)| all[..2] == first[..]));
    assert!(Encoder::new(&columns[2..4], 42, 1, 1).is_err(), "nothing of the city is known");
}

#[test]
fn the_values_are_those_of_the_last_release() {
    // A change here changes everybody's data: say so in the changelog.
    let mut encoder = Encoder::new(&every(), 42, 1, 1).unwrap();
    let bytes = encode(&mut encoder, 0, 1_000, &[CHUNK_BYTES]);
    assert_eq!((bytes.len(), fingerprint(&bytes)), (98_191, 9_507_885_879_208_700_170));
}
