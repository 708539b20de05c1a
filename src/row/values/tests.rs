//! Which values fit which types, and what is said where they do not.

use super::*;
use crate::row::{ColumnError, Pick, Zipf};

fn check(sql_type: ColumnType, values: Values) -> Result<(), ColumnError> {
    Column::new("c", sql_type, values).check()
}

fn fits(sql_type: ColumnType, values: Values) -> bool {
    check(sql_type, values).is_ok()
}

fn integer(min: i64, max: i64) -> Values {
    Values::Integer { min, max, pick: Pick::Random }
}

fn choice(of: &[&str], weights: &[f64]) -> Values {
    Values::Choice {
        of: of.iter().map(|text| (*text).to_owned()).collect(),
        weights: weights.to_vec(),
        others: None,
        pick: Pick::Random,
    }
}

fn along(bounds: &[&str], weights: &[f64], pick: Pick) -> Values {
    Values::Histogram {
        bounds: bounds.iter().map(|text| (*text).to_owned()).collect(),
        weights: weights.to_vec(),
        distinct: None,
        pick,
    }
}

fn label(prefix: &str, min: u64, max: u64) -> Values {
    Values::Label { prefix: prefix.into(), min, max, pick: Pick::Random }
}

#[test]
fn each_kind_of_values_has_its_types() {
    use ColumnType as T;
    let types = [
        T::SmallInt,
        T::Integer,
        T::BigInt,
        T::Real,
        T::Double,
        T::Numeric { precision: 9, scale: 2 },
        T::Text,
        T::Varchar(9),
        T::Boolean,
        T::Date,
        T::Timestamp,
        T::TimestampTz,
    ];
    let kinds = [
        (Values::RowId, "bigint"),
        (Values::Partition, "smallint integer bigint"),
        (Values::DueTime, "date timestamp without time zone timestamp with time zone"),
        (label("a", 1, 2), "text character varying(9)"),
        (integer(1, 2), "smallint integer bigint numeric(9,2)"),
        (Values::Decimal { min: 1, max: 2, pick: Pick::Random }, "numeric(9,2)"),
        (Values::Float { min: 1.0, max: 2.0, pick: Pick::Random }, "real double precision"),
        (Values::Day { min: 1, max: 2, pick: Pick::Random }, "date"),
        (Values::Text { min_chars: 1, max_chars: 2 }, "text character varying(9)"),
        (Values::Boolean { true_ratio: 0.5 }, "boolean"),
        (choice(&["a"], &[]), "text character varying(9)"),
        (
            Values::Timestamp { min_us: 0, max_us: 9, pick: Pick::Random },
            "timestamp without time zone timestamp with time zone",
        ),
        (
            along(&["0", "1"], &[], Pick::Random),
            "smallint integer bigint real double precision numeric(9,2)",
        ),
        (
            along(&["2026-01-01", "2026-01-02"], &[], Pick::Random),
            "date timestamp without time zone timestamp with time zone",
        ),
    ];
    for (values, expected) in kinds {
        let good = types.iter().filter(|sql_type| check(**sql_type, values.clone()).is_ok());
        let good: Vec<String> = good.map(ToString::to_string).collect();
        assert_eq!(good.join(" "), expected, "{values:?}");
    }
}

#[test]
fn a_range_may_fill_its_type_and_no_more() {
    let integer = |min, max| Values::Integer { min, max, pick: Pick::Random };
    assert!(fits(ColumnType::SmallInt, integer(-32_768, 32_767)));
    assert!(!fits(ColumnType::SmallInt, integer(-32_768, 32_768)));
    assert!(fits(ColumnType::BigInt, integer(i64::MIN, i64::MAX)));
    assert!(!fits(ColumnType::BigInt, integer(1, 0)));
    let numeric = ColumnType::Numeric { precision: 4, scale: 2 };
    assert!(fits(numeric, Values::Decimal { min: -9_999, max: 9_999, pick: Pick::Random }));
    assert!(!fits(numeric, Values::Decimal { min: 0, max: 10_000, pick: Pick::Random }));
    let label = || Values::Label { prefix: "é_".to_owned(), min: 1, max: 10, pick: Pick::Cycle };
    assert!(fits(ColumnType::Varchar(4), label()));
    assert!(!fits(ColumnType::Varchar(3), label()));
}

#[test]
fn floats_are_finite_and_fit() {
    let float = |min, max| Values::Float { min, max, pick: Pick::Random };
    assert!(fits(ColumnType::Double, float(0.0, 1e300)));
    assert!(!fits(ColumnType::Real, float(0.0, 1e300)));
    assert!(!fits(ColumnType::Double, float(f64::MIN, f64::MAX)));
    assert!(!fits(ColumnType::Double, float(f64::NAN, 1.0)));
    assert!(!fits(ColumnType::Boolean, Values::Boolean { true_ratio: f64::NAN }));
}

#[test]
fn a_fault_says_the_fact_and_the_fix() {
    let said = |sql_type, values| check(sql_type, values).unwrap_err().to_string();
    let day = |min, max| Values::Day { min, max, pick: Pick::Random };
    let label = |prefix: &str| Values::Label {
        prefix: prefix.to_owned(),
        min: 1,
        max: 100,
        pick: Pick::Random,
    };
    let faults = [
        said(ColumnType::Text, Values::Partition),
        said(ColumnType::Date, day(1, 0)),
        said(ColumnType::Date, day(-3_000_000, 0)),
        said(
            ColumnType::Numeric { precision: 4, scale: 2 },
            Values::Decimal { min: -10_000, max: 0, pick: Pick::Random },
        ),
        said(ColumnType::Varchar(5), label("category_")),
        said(ColumnType::Text, label("\0")),
        said(ColumnType::Real, Values::Float { min: 0.0, max: 1e300, pick: Pick::Random }),
        said(ColumnType::Boolean, Values::Boolean { true_ratio: 1.5 }),
        said(ColumnType::Varchar(0), label("")),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r"
    column `c`: `partition` values do not fit type text; use type `smallint`, `integer` or `bigint`, or other values
    column `c`: `min` (2000-01-02) is above `max` (2000-01-01); swap them
    column `c`: -6214-04-12 is outside of date, which holds -4713-11-24 to 5874897-12-31; raise `min`, or use a wider type
    column `c`: -100.00 is outside of numeric(4,2), which holds -99.99 to 99.99; raise `min`, or use a wider type
    column `c`: values have up to 12 characters, and character varying(5) holds 5; shorten `prefix`, or use a wider type
    column `c`: a text holds a NUL character, which PostgreSQL text cannot; delete it
    column `c`: 0.0 to 1e300 is not a finite range of real; write finite numbers, closer together
    column `c`: `true_ratio` is 1.5, which is not a probability; write a number from 0 to 1
    column `c`: character varying(0) is not possible: PostgreSQL has 1 to 10485760 characters; use a length in that range, or text
    ");
}

#[test]
fn how_values_are_chosen_fits_them() {
    let said = |sql_type, values| match check(sql_type, values) {
        Ok(()) => "fits".to_owned(),
        Err(error) => error.to_string(),
    };
    let zipf = |exponent| Pick::Zipf(Zipf::new(exponent));
    let normal = || Pick::Normal { mean: 5.0, sd: 1.0 };
    let integer = |min, max, pick| Values::Integer { min, max, pick };
    let float = |pick| Values::Float { min: 0.0, max: 1.0, pick };
    let label = |pick| Values::Label { prefix: "c".to_owned(), min: 1, max: 9, pick };
    let nullable = |values, null_ratio| {
        let column = Column::new("c", ColumnType::BigInt, values).with_nulls(null_ratio);
        column.check().map_or_else(|error| error.to_string(), |()| "fits".to_owned())
    };
    let all = [
        said(ColumnType::BigInt, integer(0, (1 << 20) - 1, zipf(1.0))),
        said(ColumnType::BigInt, integer(0, 1 << 20, zipf(1.0))),
        said(ColumnType::BigInt, integer(i64::MIN, i64::MAX, zipf(1.0))),
        said(ColumnType::BigInt, integer(0, 9, zipf(0.0))),
        said(ColumnType::BigInt, integer(0, 9, zipf(f64::NAN))),
        said(ColumnType::BigInt, integer(0, 9, normal())),
        said(ColumnType::BigInt, integer(0, 9, Pick::Normal { mean: f64::INFINITY, sd: 1.0 })),
        said(ColumnType::BigInt, integer(0, 9, Pick::Lognormal { median: -1.0, sigma: 1.0 })),
        said(ColumnType::BigInt, integer(0, 9, Pick::Exponential { scale: 0.0 })),
        said(ColumnType::Double, float(Pick::Cycle)),
        said(ColumnType::Double, float(zipf(1.0))),
        said(ColumnType::Double, float(normal())),
        said(ColumnType::Text, label(zipf(1.0))),
        said(ColumnType::Text, label(normal())),
        said(ColumnType::Varchar(3), choice(&["new", "paid"], &[])),
        said(ColumnType::Text, choice(&[], &[])),
        said(ColumnType::Text, choice(&["a", "b"], &[1.0])),
        said(ColumnType::Text, choice(&["a", "b"], &[1.0, -1.0])),
        said(ColumnType::Text, choice(&["a", "b"], &[0.0, 0.0])),
        nullable(Values::RowId, 0.5),
        nullable(integer(0, 9, Pick::Random), 1.0),
        nullable(integer(0, 9, Pick::Random), 0.999),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn histograms_and_orders_are_explained() {
    let said = |sql_type, values| check(sql_type, values).unwrap_err().to_string();
    let number = |bounds: &[&str], weights: &[f64]| {
        said(ColumnType::Integer, along(bounds, weights, Pick::Random))
    };
    let in_order = |rows| Values::Integer { min: 1, max: 9, pick: Pick::Ascending { rows } };
    let Values::Choice { of, weights, .. } = choice(&["a", "b"], &[]) else { unreachable!() };
    let mixed =
        |others, pick| Values::Choice { of: of.clone(), weights: weights.clone(), others, pick };
    let others = Others { weight: 1.0, values: label("c_", 1, 9) };
    let up = Pick::Ascending { rows: 9 };
    let all = [
        number(&["1"], &[]),
        number(&["1", "x"], &[]),
        number(&["1", "3", "2"], &[]),
        number(&["1", "2", "3"], &[1.0]),
        number(&["1", "2"], &[0.0]),
        number(&["1", "3000000000"], &[]),
        said(ColumnType::Double, along(&["-1e308", "1e308"], &[], Pick::Random)),
        said(ColumnType::Text, along(&["a", "b"], &[], Pick::Random)),
        said(ColumnType::Integer, along(&["1", "2"], &[], Pick::Cycle)),
        said(ColumnType::Integer, in_order(0)),
        said(ColumnType::Text, mixed(Some(Box::new(others)), up)),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    column `c`: `bounds` has 1 values; list from 2 to 65537 of them: the ends of the buckets
    column `c`: `x` is no value of type integer; write values of the column's type, in double quotes
    column `c`: `2` is below `3`, which stands before it; write the bounds in their order
    column `c`: `bounds` are of 2 buckets, and `weights` has 1; write a weight for each bucket: one less than bounds
    column `c`: no weight is above 0; write one above 0
    column `c`: `3000000000` is no value of type integer; write values of the column's type, in double quotes
    column `c`: -1e308 to 1e308 is not a finite range of double precision; write finite numbers, closer together
    column `c`: `histogram` values do not fit type text; use type `integer`, `bigint`, `smallint`, `numeric(15,2)`, `real`, `double precision`, `date`, `time`, `timestamptz` or `timestamp`, or other values
    column `c`: how often each comes is said by the choice or histogram itself; use "random", ascending or descending
    column `c`: `rows` is 0, which is not from 1 to 1000000000; write over how many rows the values go from one end to the other
    column `c`: values that come in order have no `others`; delete `others`, or `pick`; a histogram has numbers and moments in order
    "#);
    assert!(fits(ColumnType::Text, mixed(None, Pick::Descending { rows: 9 })));
}
