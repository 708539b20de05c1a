//! Columns: SQL types by their names, value ranges, and whether the two fit.

use std::collections::HashMap;

use super::day::{format_day, parse_day};
use super::source::Report;
use super::table_name::check_identifier;
use crate::profile::{self, Located};
use crate::row::{Column, ColumnType, Pick, Values};

/// Most digits of a `numeric` column, and most characters of a `varchar`.
const PRECISION_MAX: u16 = 1000;
const VARCHAR_MAX: u32 = 10_485_760;

/// Names of types as a profile may write them; the first of each is the one to suggest.
const TYPES: [(ColumnType, &[&str]); 10] = [
    (ColumnType::SmallInt, &["smallint", "int2"]),
    (ColumnType::Integer, &["integer", "int", "int4"]),
    (ColumnType::BigInt, &["bigint", "int8"]),
    (ColumnType::Real, &["real", "float4"]),
    (ColumnType::Double, &["double precision", "float8"]),
    (ColumnType::Text, &["text"]),
    (ColumnType::Boolean, &["boolean", "bool"]),
    (ColumnType::Date, &["date"]),
    (ColumnType::TimestampTz, &["timestamptz", "timestamp with time zone"]),
    (ColumnType::Timestamp, &["timestamp", "timestamp without time zone"]),
];

/// The columns of the real-time workload.
pub(crate) fn default_columns() -> Vec<Column> {
    let label = |prefix: &str, max| Values::Label {
        prefix: prefix.to_owned(),
        min: 1,
        max,
        pick: Pick::Random,
    };
    let column = |name: &str, sql_type, values| Column { name: name.to_owned(), sql_type, values };
    vec![
        column("id", ColumnType::BigInt, Values::RowId),
        column("category", ColumnType::Text, label("category_", 100)),
        column("region", ColumnType::Text, label("region_", 20)),
        column(
            "amount",
            ColumnType::Numeric { precision: 15, scale: 2 },
            Values::Decimal { min: 1_000, max: 1_000_000 },
        ),
        column("gpu_partition", ColumnType::Integer, Values::Partition),
        column("created_at", ColumnType::TimestampTz, Values::DueTime),
    ]
}

/// Resolves the profile's columns; what is faulty is reported and left out.
pub(crate) fn resolve_columns(
    report: &mut Report<'_>,
    columns: Option<&[Located<profile::Column>]>,
) -> Vec<Column> {
    let Some(columns) = columns else { return default_columns() };
    check_roles(report, columns);
    let mut first_by_name = HashMap::new();
    columns
        .iter()
        .filter_map(|column| {
            if let Some(name) = &column.name {
                if let Err(error) = check_identifier(name) {
                    let fix = "name the column with 1 to 63 bytes".to_owned();
                    report.at(&name.span(), format!("bad column name: {error}"), fix);
                } else if first_by_name.insert(name.as_str(), ()).is_some() {
                    report.at(
                        &name.span(),
                        format!("column `{}` is there twice", name.as_str()),
                        "rename or delete one of the two".to_owned(),
                    );
                }
            } else {
                missing(report, column, "name", "name = \"amount\"");
            }
            resolve_column(report, column)
        })
        .collect()
}

fn missing(report: &mut Report<'_>, column: &Located<profile::Column>, key: &str, example: &str) {
    let what = match &column.name {
        Some(name) => format!("column `{}` has no `{key}`", name.as_str()),
        None => format!("a column has no `{key}`"),
    };
    report.missing_in(&column.span(), what, format!("add it, for example `{example}`"));
}

fn resolve_column(report: &mut Report<'_>, column: &Located<profile::Column>) -> Option<Column> {
    let sql_type = match &column.sql_type {
        None => {
            missing(report, column, "type", "type = \"bigint\"");
            None
        }
        Some(written) => match parse_type(written) {
            Ok(sql_type) => Some(sql_type),
            Err(fix) => {
                let what =
                    format!("`{}` is not a type that rows are generated for", written.as_str());
                report.at(&written.span(), what, fix);
                None
            }
        },
    };
    let Some(written) = &column.values else {
        missing(report, column, "values", "values = { integer = { min = 1, max = 100 } }");
        return None;
    };
    let values = match resolve_values(written, sql_type) {
        Ok(values) => values,
        Err(ValuesFault::Missing { generator, key, example }) => {
            let what = format!("`{generator}` has no `{key}`");
            report.missing_in(&written.span(), what, format!("add it, for example `{example}`"));
            return None;
        }
        Err(ValuesFault::Bad { what, fix }) => {
            report.at(&written.span(), what, fix);
            return None;
        }
        Err(ValuesFault::FollowsFromType) => return None,
    };
    let column = Column { name: column.name.as_deref()?.clone(), sql_type: sql_type?, values };
    match check_column(&column) {
        Ok(()) => Some(column),
        Err(Misfit { what, fix }) => {
            let what = format!("column `{}`: {what}", column.name);
            report.at(&written.span(), what, fix);
            None
        }
    }
}

/// Exactly one column identifies rows, and exactly one holds the partition.
fn check_roles(report: &mut Report<'_>, columns: &[Located<profile::Column>]) {
    type IsRole = fn(&profile::Values) -> bool;
    let roles: [(&str, &str, &str, IsRole); 2] = [
        (
            "row_id",
            "rows cannot be told apart",
            "{ name = \"id\", type = \"bigint\", values = \"row_id\" }",
            |values| matches!(values, profile::Values::RowId),
        ),
        (
            "partition",
            "the table cannot be partitioned by it",
            "{ name = \"gpu_partition\", type = \"integer\", values = \"partition\" }",
            |values| matches!(values, profile::Values::Partition),
        ),
    ];
    let is_complete =
        !report.damaged("stream.columns") && columns.iter().all(|column| column.values.is_some());
    for (role, consequence, example, is_role) in roles {
        let mut holders =
            columns.iter().filter_map(|column| column.values.as_ref()).filter(|v| is_role(v));
        if holders.next().is_none() && is_complete {
            let what = format!("no column has `values = \"{role}\"`: {consequence}");
            let fix = format!("add a column such as {example}");
            match columns.first() {
                Some(first) => report.at(&first.span(), what, fix),
                None => {
                    let place = report.file();
                    report.push(super::Fault { place, what, fix });
                }
            }
        }
        for extra in holders {
            report.at(
                &extra.span(),
                format!("a second column has `values = \"{role}\"`"),
                "give exactly one column this role".to_owned(),
            );
        }
    }
}

/// The type named `text`, or how to write one.
fn parse_type(text: &str) -> Result<ColumnType, String> {
    let text = text.to_ascii_lowercase();
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => {
            let inner = rest.trim_end().strip_suffix(')').ok_or("close the parenthesis")?;
            (name, Some(inner.split(',').map(str::trim).collect::<Vec<_>>()))
        }
        None => (text.as_str(), None),
    };
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    match (name.as_str(), arguments.as_deref()) {
        ("numeric" | "decimal", arguments) => {
            let (precision, scale) = match arguments {
                Some([precision]) => (precision.parse().ok(), Some(0)),
                Some([precision, scale]) => (precision.parse().ok(), scale.parse().ok()),
                _ => (None, None),
            };
            match (precision, scale) {
                (Some(precision @ 1..=PRECISION_MAX), Some(scale)) if scale <= precision => {
                    Ok(ColumnType::Numeric { precision, scale })
                }
                _ => Err(format!(
                    "write digits in all (1 to {PRECISION_MAX}) and after the point, such as `numeric(15,2)`"
                )),
            }
        }
        ("varchar" | "character varying", arguments) => match arguments {
            Some([chars]) => match chars.parse() {
                Ok(chars @ 1..=VARCHAR_MAX) => Ok(ColumnType::Varchar(chars)),
                _ => Err(format!("write 1 to {VARCHAR_MAX} characters, such as `varchar(50)`")),
            },
            _ => Err("write the most characters, such as `varchar(50)`, or `text`".to_owned()),
        },
        (name, None) => TYPES
            .iter()
            .find(|(_, names)| names.contains(&name))
            .map(|(sql_type, _)| *sql_type)
            .ok_or_else(|| {
                let known = TYPES.iter().map(|(_, names)| names[0]);
                super::fault::suggest(name, known.chain(["numeric(15,2)", "varchar(50)"]))
            }),
        (name, Some(_)) => Err(match TYPES.iter().any(|(_, names)| names.contains(&name)) {
            true => format!("write `{name}` without parentheses"),
            false => "only `numeric(15,2)` and `varchar(50)` take parentheses".to_owned(),
        }),
    }
}

enum ValuesFault {
    Missing {
        generator: &'static str,
        key: &'static str,
        example: &'static str,
    },
    Bad {
        what: String,
        fix: String,
    },
    /// The values cannot be read before the column's type is mended.
    FollowsFromType,
}

fn bad(what: impl Into<String>, fix: impl Into<String>) -> ValuesFault {
    ValuesFault::Bad { what: what.into(), fix: fix.into() }
}

/// Takes a setting that a generator cannot do without.
fn need<T: Clone>(
    generator: &'static str,
    key: &'static str,
    example: &'static str,
    value: Option<&T>,
) -> Result<T, ValuesFault> {
    value.cloned().ok_or(ValuesFault::Missing { generator, key, example })
}

fn resolve_values(
    values: &profile::Values,
    sql_type: Option<ColumnType>,
) -> Result<Values, ValuesFault> {
    use profile::Values as Written;
    let pick = |pick: Option<profile::Pick>| match pick {
        Some(profile::Pick::Cycle) => Pick::Cycle,
        Some(profile::Pick::Random) | None => Pick::Random,
    };
    Ok(match values {
        Written::RowId => Values::RowId,
        Written::Partition => Values::Partition,
        Written::DueTime => Values::DueTime,
        Written::Label(label) => Values::Label {
            prefix: need("label", "prefix", "prefix = \"category_\"", label.prefix.as_ref())?,
            min: natural("min", need("label", "min", "min = 1", label.min.as_ref())?)?,
            max: natural("max", need("label", "max", "max = 100", label.max.as_ref())?)?,
            pick: pick(label.pick),
        },
        Written::Integer(integer) => Values::Integer {
            min: need("integer", "min", "min = 1", integer.min.as_ref())?.0,
            max: need("integer", "max", "max = 100", integer.max.as_ref())?.0,
            pick: pick(integer.pick),
        },
        Written::Decimal(decimal) => {
            let min = need("decimal", "min", "min = \"10.00\"", decimal.min.as_ref())?;
            let max = need("decimal", "max", "max = \"10000.00\"", decimal.max.as_ref())?;
            let scale = match sql_type {
                Some(ColumnType::Numeric { scale, .. }) => scale,
                Some(other) => {
                    return Err(bad(
                        format!("`decimal` values do not fit type {other}"),
                        "use type `numeric(15,2)`, or `float` or `integer` values",
                    ));
                }
                None => return Err(ValuesFault::FollowsFromType),
            };
            Values::Decimal { min: units(&min, scale)?, max: units(&max, scale)? }
        }
        Written::Float(float) => Values::Float {
            min: need("float", "min", "min = 0.0", float.min.as_ref())?.0,
            max: need("float", "max", "max = 1.0", float.max.as_ref())?.0,
        },
        Written::Day(day) => Values::Day {
            min: whole_day(&need("day", "min", "min = \"2023-01-01\"", day.min.as_ref())?)?,
            max: whole_day(&need("day", "max", "max = \"2023-12-31\"", day.max.as_ref())?)?,
            pick: pick(day.pick),
        },
        Written::Text(text) => Values::Text {
            min_chars: chars(
                "min_chars",
                need("text", "min_chars", "min_chars = 1", text.min_chars.as_ref())?,
            )?,
            max_chars: chars(
                "max_chars",
                need("text", "max_chars", "max_chars = 20", text.max_chars.as_ref())?,
            )?,
        },
        Written::Boolean(boolean) => Values::Boolean {
            true_ratio: need(
                "boolean",
                "true_ratio",
                "true_ratio = 0.5",
                boolean.true_ratio.as_ref(),
            )?
            .0,
        },
    })
}

fn natural(key: &str, value: profile::Whole) -> Result<u64, ValuesFault> {
    u64::try_from(value.0)
        .map_err(|_| bad(format!("`{key}` is {}", value.0), "a label's number is 0 or more"))
}

fn chars(key: &str, value: profile::Whole) -> Result<u32, ValuesFault> {
    u32::try_from(value.0).ok().filter(|chars| *chars <= VARCHAR_MAX).ok_or_else(|| {
        bad(format!("`{key}` is {}", value.0), format!("write 0 to {VARCHAR_MAX} characters"))
    })
}

fn whole_day(text: &str) -> Result<i32, ValuesFault> {
    parse_day(text).ok_or_else(|| {
        bad(format!("`{text}` is not a day"), "write year, month and day: \"2023-12-31\"")
    })
}

/// A decimal number in units of its last digit: `12.3` in a scale of 2 is 1230.
fn units(text: &str, scale: u16) -> Result<i64, ValuesFault> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
        return Err(bad(
            format!("`{text}` is not a decimal number"),
            "write digits and a point: \"10.00\"",
        ));
    }
    let Some(zeros) = usize::from(scale).checked_sub(fraction.len()) else {
        return Err(bad(
            format!("`{text}` has {} digits after the point, and the type {scale}", fraction.len()),
            "write fewer digits, or enlarge the type's scale",
        ));
    };
    let zeros = "0".repeat(zeros);
    format!("{whole}{fraction}{zeros}").parse::<i64>().map(|units| sign * units).map_err(|_| {
        bad(
            format!("`{text}` with {scale} digits after the point is beyond 64 bits"),
            "choose a smaller number, or a smaller scale",
        )
    })
}

/// The inverse of [`units`].
pub(crate) fn format_units(units: i64, scale: u16) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// Values that their column's type cannot hold.
struct Misfit {
    what: String,
    fix: String,
}

/// Whether the column's type can hold all of its values.
fn check_column(column: &Column) -> Result<(), Misfit> {
    let misfit = |what: String, fix: &str| Err(Misfit { what, fix: fix.to_owned() });
    let order = |fits: bool, min: &dyn ToString, max: &dyn ToString| match fits {
        true => Ok(()),
        false => misfit(
            format!("`min` is {} and `max` is {}", min.to_string(), max.to_string()),
            "swap or widen them: `min` comes first",
        ),
    };
    let sql_type = column.sql_type;
    match (&column.values, sql_type) {
        (Values::RowId, ColumnType::BigInt)
        | (Values::Partition, ColumnType::Integer)
        | (Values::DueTime, ColumnType::Timestamp | ColumnType::TimestampTz) => Ok(()),
        (Values::Label { prefix, min, max, .. }, ColumnType::Text | ColumnType::Varchar(_)) => {
            order(min <= max, min, max)?;
            if prefix.contains('\0') {
                return misfit("`prefix` holds a NUL character".to_owned(), "delete it");
            }
            let chars_max = prefix.chars().count() + max.to_string().len();
            match sql_type {
                ColumnType::Varchar(limit) if chars_max > limit as usize => misfit(
                    format!(
                        "labels have up to {chars_max} characters, and {sql_type} holds {limit}"
                    ),
                    "shorten `prefix`, or enlarge the type",
                ),
                _ => Ok(()),
            }
        }
        (
            Values::Integer { min, max, .. },
            ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt,
        ) => {
            order(min <= max, min, max)?;
            let range = match sql_type {
                ColumnType::SmallInt => i64::from(i16::MIN)..=i64::from(i16::MAX),
                ColumnType::Integer => i64::from(i32::MIN)..=i64::from(i32::MAX),
                _ => i64::MIN..=i64::MAX,
            };
            match range.contains(min) && range.contains(max) {
                true => Ok(()),
                false => misfit(
                    format!("{min} to {max} is more than {sql_type} holds"),
                    &format!("stay in {} to {}, or enlarge the type", range.start(), range.end()),
                ),
            }
        }
        (Values::Decimal { min, max }, ColumnType::Numeric { precision, scale }) => {
            order(min <= max, &format_units(*min, scale), &format_units(*max, scale))?;
            let digits = |units: i64| units.unsigned_abs().to_string().len();
            match digits(*min).max(digits(*max)) <= usize::from(precision) {
                true => Ok(()),
                false => misfit(
                    format!("the range has more digits than {sql_type} holds"),
                    "narrow the range, or enlarge the type",
                ),
            }
        }
        (Values::Float { min, max }, ColumnType::Real | ColumnType::Double) => {
            if !min.is_finite() || !max.is_finite() || !(max - min).is_finite() {
                return misfit(format!("{min} to {max} is not finite"), "write finite numbers");
            }
            order(min <= max, min, max)?;
            let limit = if sql_type == ColumnType::Real { f64::from(f32::MAX) } else { f64::MAX };
            match min.abs().max(max.abs()) <= limit {
                true => Ok(()),
                false => misfit(
                    format!("{min} to {max} is more than {sql_type} holds"),
                    "narrow the range, or use `double precision`",
                ),
            }
        }
        (Values::Day { min, max, .. }, ColumnType::Date) => {
            order(min <= max, &format_day(*min), &format_day(*max))
        }
        (Values::Text { min_chars, max_chars }, ColumnType::Text | ColumnType::Varchar(_)) => {
            order(min_chars <= max_chars, min_chars, max_chars)?;
            match sql_type {
                ColumnType::Varchar(limit) if *max_chars > limit => misfit(
                    format!(
                        "texts have up to {max_chars} characters, and {sql_type} holds {limit}"
                    ),
                    "lower `max_chars`, or enlarge the type",
                ),
                _ => Ok(()),
            }
        }
        (Values::Boolean { true_ratio }, ColumnType::Boolean) => {
            match (0.0..=1.0).contains(true_ratio) {
                true => Ok(()),
                false => misfit(format!("`true_ratio` is {true_ratio}"), "write 0 to 1"),
            }
        }
        (values, _) => {
            let (generator, types) = fitting_types(values);
            misfit(
                format!("`{generator}` values do not fit type {sql_type}"),
                &format!("use type {types}, or other values"),
            )
        }
    }
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_type_reads_by_each_name_and_by_its_own() {
        for (sql_type, names) in TYPES {
            for name in names {
                assert_eq!(parse_type(name), Ok(sql_type));
                assert_eq!(parse_type(&name.to_uppercase()), Ok(sql_type));
            }
            assert_eq!(parse_type(&sql_type.to_string()), Ok(sql_type));
        }
        for sql_type in [ColumnType::Numeric { precision: 15, scale: 2 }, ColumnType::Varchar(50)] {
            assert_eq!(parse_type(&sql_type.to_string()), Ok(sql_type));
        }
        assert_eq!(parse_type("decimal( 7 )"), Ok(ColumnType::Numeric { precision: 7, scale: 0 }));
    }

    #[test]
    fn a_bad_type_is_explained() {
        for (text, fix) in [
            ("bigit", "did you mean `bigint`?"),
            ("varchar", "write the most characters, such as `varchar(50)`, or `text`"),
            ("bigint(3)", "write `bigint` without parentheses"),
            (
                "numeric(2,3)",
                "write digits in all (1 to 1000) and after the point, such as `numeric(15,2)`",
            ),
        ] {
            assert_eq!(parse_type(text), Err(fix.to_owned()));
        }
    }

    #[test]
    fn the_default_columns_pass_their_own_check() {
        assert!(default_columns().iter().all(|column| check_column(column).is_ok()));
    }

    proptest! {
        #[test]
        fn decimals_read_back(value in -i64::MAX..=i64::MAX, scale in 0_u16..30) {
            let text = format_units(value, scale);
            prop_assert_eq!(units(&text, scale).ok(), Some(value), "{}", text);
        }
    }
}
