//! Whether a column's type can hold all of its values.

use super::column::format_units;
use super::day::format_day;
use crate::row::{Column, ColumnType, Values};

/// Values that their column's type cannot hold.
pub(crate) struct Misfit {
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// `Ok` if every value of the column can be stored in it.
pub(crate) fn check_column(column: &Column) -> Result<(), Misfit> {
    let sql_type = column.sql_type;
    match (&column.values, sql_type) {
        (Values::RowId, ColumnType::BigInt)
        | (Values::Partition, ColumnType::Integer)
        | (Values::DueTime, ColumnType::Timestamp | ColumnType::TimestampTz) => Ok(()),
        (Values::Label { prefix, min, max, .. }, ColumnType::Text | ColumnType::Varchar(_)) => {
            ordered(min, max)?;
            ensure(!prefix.contains('\0'), "`prefix` holds a NUL character", "delete it")?;
            let chars_max = prefix.chars().count() + max.to_string().len();
            short_enough(sql_type, chars_max)
        }
        (Values::Text { min_chars, max_chars }, ColumnType::Text | ColumnType::Varchar(_)) => {
            ordered(min_chars, max_chars)?;
            short_enough(sql_type, *max_chars as usize)
        }
        (Values::Integer { min, max, .. }, ColumnType::SmallInt) => {
            ordered(min, max)?;
            inside(sql_type, *min, *max, i16::MIN.into(), i16::MAX.into())
        }
        (Values::Integer { min, max, .. }, ColumnType::Integer) => {
            ordered(min, max)?;
            inside(sql_type, *min, *max, i32::MIN.into(), i32::MAX.into())
        }
        (Values::Integer { min, max, .. }, ColumnType::BigInt) => ordered(min, max),
        (Values::Decimal { min, max }, ColumnType::Numeric { precision, scale }) => {
            let written = |units| format_units(units, scale);
            in_order(min <= max, &written(*min), &written(*max))?;
            let digits = |units: i64| units.unsigned_abs().to_string().len();
            ensure(
                digits(*min).max(digits(*max)) <= usize::from(precision),
                &format!("{} to {} is more than {sql_type} holds", written(*min), written(*max)),
                "narrow the range, or enlarge the type",
            )
        }
        (Values::Float { min, max }, ColumnType::Real | ColumnType::Double) => {
            let range = format!("{min} to {max}");
            ensure(
                (max - min).is_finite(),
                &format!("{range} is not a finite range"),
                "write finite numbers",
            )?;
            ordered(min, max)?;
            let limit = if sql_type == ColumnType::Real { f32::MAX.into() } else { f64::MAX };
            ensure(
                min.abs().max(max.abs()) <= limit,
                &format!("{range} is more than {sql_type} holds"),
                "narrow the range, or use `double precision`",
            )
        }
        (Values::Day { min, max, .. }, ColumnType::Date) => {
            in_order(min <= max, &format_day(*min), &format_day(*max))
        }
        (Values::Boolean { true_ratio }, ColumnType::Boolean) => ensure(
            (0.0..=1.0).contains(true_ratio),
            &format!("`true_ratio` is {true_ratio}"),
            "write 0 to 1",
        ),
        (values, _) => {
            let (generator, types) = fitting_types(values);
            Err(Misfit {
                what: format!("`{generator}` values do not fit type {sql_type}"),
                fix: format!("use type {types}, or other values"),
            })
        }
    }
}

fn ensure(fits: bool, what: &str, fix: &str) -> Result<(), Misfit> {
    if fits { Ok(()) } else { Err(Misfit { what: what.to_owned(), fix: fix.to_owned() }) }
}

fn ordered<T: PartialOrd + ToString>(min: &T, max: &T) -> Result<(), Misfit> {
    in_order(min <= max, &min.to_string(), &max.to_string())
}

fn in_order(fits: bool, min: &str, max: &str) -> Result<(), Misfit> {
    ensure(fits, &format!("its range is empty: {min} to {max}"), "write the smaller limit first")
}

fn inside(sql_type: ColumnType, min: i64, max: i64, least: i64, most: i64) -> Result<(), Misfit> {
    ensure(
        least <= min && max <= most,
        &format!("{min} to {max} is more than {sql_type} holds"),
        &format!("stay in {least} to {most}, or enlarge the type"),
    )
}

fn short_enough(sql_type: ColumnType, chars_max: usize) -> Result<(), Misfit> {
    let ColumnType::Varchar(limit) = sql_type else { return Ok(()) };
    ensure(
        chars_max <= limit as usize,
        &format!("values have up to {chars_max} characters, and {sql_type} holds {limit}"),
        "shorten the values, or enlarge the type",
    )
}

/// A generator's name and the types that can hold its values.
fn fitting_types(values: &Values) -> (&'static str, &'static str) {
    match values {
        Values::RowId => ("row_id", "`bigint`"),
        Values::Partition => ("partition", "`integer`"),
        Values::DueTime => ("due_time", "`timestamptz` or `timestamp`"),
        Values::Label { .. } => ("label", "`text` or `varchar(50)`"),
        Values::Integer { .. } => ("integer", "`smallint`, `integer` or `bigint`"),
        Values::Decimal { .. } => ("decimal", "`numeric(15,2)`"),
        Values::Float { .. } => ("float", "`real` or `double precision`"),
        Values::Day { .. } => ("day", "`date`"),
        Values::Text { .. } => ("text", "`text` or `varchar(50)`"),
        Values::Boolean { .. } => ("boolean", "`boolean`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Pick;

    fn fits(sql_type: ColumnType, values: Values) -> bool {
        check_column(&Column { name: "c".to_owned(), sql_type, values }).is_ok()
    }

    #[test]
    fn a_range_may_fill_its_type_and_no_more() {
        let integer = |min, max| Values::Integer { min, max, pick: Pick::Random };
        assert!(fits(ColumnType::SmallInt, integer(-32_768, 32_767)));
        assert!(!fits(ColumnType::SmallInt, integer(-32_768, 32_768)));
        assert!(fits(ColumnType::BigInt, integer(i64::MIN, i64::MAX)));
        assert!(!fits(ColumnType::BigInt, integer(1, 0)));
        let numeric = ColumnType::Numeric { precision: 4, scale: 2 };
        assert!(fits(numeric, Values::Decimal { min: -9_999, max: 9_999 }));
        assert!(!fits(numeric, Values::Decimal { min: 0, max: 10_000 }));
        let label =
            || Values::Label { prefix: "é_".to_owned(), min: 1, max: 10, pick: Pick::Cycle };
        assert!(fits(ColumnType::Varchar(4), label()));
        assert!(!fits(ColumnType::Varchar(3), label()));
    }

    #[test]
    fn floats_are_finite_and_fit() {
        let float = |min, max| Values::Float { min, max };
        assert!(fits(ColumnType::Double, float(0.0, 1e300)));
        assert!(!fits(ColumnType::Real, float(0.0, 1e300)));
        assert!(!fits(ColumnType::Double, float(f64::MIN, f64::MAX)));
        assert!(!fits(ColumnType::Double, float(f64::NAN, 1.0)));
        assert!(!fits(ColumnType::Boolean, Values::Boolean { true_ratio: f64::NAN }));
    }
}
