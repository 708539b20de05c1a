//! Columns of moments, histograms, and values that follow the rows.

use strom_load::row::{ColumnType, Pick, Values};

/// Values along histograms, moments, and what follows the rows.
pub(super) fn all() -> Vec<(ColumnType, Values)> {
    use ColumnType as T;
    let along = |bounds: &[&str], pick| Values::Histogram {
        bounds: bounds.iter().map(|text| (*text).to_owned()).collect(),
        weights: vec![],
        distinct: None,
        pick,
    };
    let numeric = T::Numeric { precision: 6, scale: 2 };
    let up = || Pick::Ascending { rows: 50 };
    let of = ["2024-02-29 00:00:00.5+01", "1999-12-31"].map(str::to_owned).to_vec();
    vec![
        (T::SmallInt, along(&["-32768", "0", "32767"], Pick::Random)),
        (T::Integer, along(&["-2147483648", "2147483647"], Pick::Descending { rows: 99 })),
        (T::BigInt, along(&["-9223372036854775808", "9223372036854775807"], up())),
        (numeric, along(&["-9999.99", "0.5", "9999.99"], Pick::Random)),
        (T::Real, along(&["-1e-45", "1.5"], up())),
        (T::Double, along(&["-0.25", "1e300"], Pick::Random)),
        (T::Date, along(&["1999-12-31", "2024-02-29"], up())),
        (T::Time, along(&["00:00", "24:00:00"], Pick::Random)),
        (T::Timestamp, along(&["1999-12-31 12:00", "2024-02-29"], Pick::Random)),
        (T::TimestampTz, along(&["1999-12-31 12:00-05:30", "2024-02-29"], up())),
        (T::TimestampTz, Values::Timestamp { min_us: 0, max_us: 1 << 58, pick: Pick::Random }),
        (T::Timestamp, Values::Timestamp { min_us: 0, max_us: 9, pick: Pick::Cycle }),
        (
            T::Inet,
            Values::Choice {
                of: ["10.0.0.1", "2001:db8::/33", "0.0.0.0/0"].map(str::to_owned).to_vec(),
                weights: vec![],
                others: None,
                pick: up(),
            },
        ),
        (T::Text, Values::Label { prefix: "c_".into(), min: 1, max: 9, pick: up() }),
        (T::TimestampTz, Values::Choice { of, weights: vec![], others: None, pick: up() }),
    ]
}
