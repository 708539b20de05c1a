//! Columns: SQL types by their names, and value ranges. Whether the two fit is `row`'s to say.

use std::collections::HashSet;

use super::source::Report;
use super::table_name::check_identifier;
use crate::profile::{self, Located, Number, Values as Written, Whole};
use crate::row::day::{format_day, parse_day};
use crate::row::{Column, ColumnError, ColumnType, Pick, Values};

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

/// Resolves the stream's columns; what is faulty is reported and left out.
pub(crate) fn resolve_columns(
    report: &mut Report<'_>,
    columns: Option<&[Located<profile::Column>]>,
) -> Vec<Column> {
    let Some(columns) = columns else { return default_columns() };
    check_roles(report, columns);
    resolve_each(report, columns)
}

/// Resolves columns whatever their roles; what is faulty is reported and left out.
pub(super) fn resolve_each(
    report: &mut Report<'_>,
    columns: &[Located<profile::Column>],
) -> Vec<Column> {
    let mut names = HashSet::new();
    columns
        .iter()
        .filter_map(|column| {
            if let Some(name) = &column.name {
                if let Err(error) = check_identifier(name) {
                    let fix = "name the column with 1 to 63 bytes".to_owned();
                    report.at(&name.span(), format!("bad column name: {error}"), fix);
                } else if !names.insert(name.as_str()) {
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
    report.missing_in(&column.span(), key, what, format!("add it, for example `{example}`"));
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
    for (setting, example, _) in settings(written).into_iter().filter(|(_, _, is_set)| !is_set) {
        let what = format!("the values have no `{setting}`");
        let fix = format!("add it, for example `{setting} = {example}`");
        report.missing_in(&written.span(), setting, what, fix);
    }
    let values = match resolve_values(written, sql_type) {
        Ok(values) => values,
        Err(ValuesFault::Bad { what, fix }) => {
            report.at(&written.span(), what, fix);
            return None;
        }
        Err(ValuesFault::Reported) => return None,
    };
    // A column without a name is reported by now, and still checked.
    let name = column.name.as_deref().cloned().unwrap_or_default();
    let column = Column { name, sql_type: sql_type?, values };
    match column.check() {
        Ok(()) => Some(column),
        Err(ColumnError { column: name, fault }) => {
            let what = match name.as_str() {
                "" => fault.fact(),
                name => format!("column `{name}`: {}", fault.fact()),
            };
            report.at(&written.span(), what, fault.fix());
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
            if let Some(first) = columns.first() {
                report.at(&first.span(), what, fix);
            } else {
                let place = report.file();
                report.push(super::Fault { place, what, fix });
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
        (name, Some(_)) => Err(if TYPES.iter().any(|(_, names)| names.contains(&name)) {
            format!("write `{name}` without parentheses")
        } else {
            "only `numeric(15,2)` and `varchar(50)` take parentheses".to_owned()
        }),
    }
}

/// The settings that a generator cannot do without: name, example, and whether it is there.
fn settings(values: &profile::Values) -> Vec<(&'static str, &'static str, bool)> {
    match values {
        Written::RowId | Written::Partition | Written::DueTime => vec![],
        Written::Label(label) => vec![
            ("prefix", "\"category_\"", label.prefix.is_some()),
            ("min", "1", label.min.is_some()),
            ("max", "100", label.max.is_some()),
        ],
        Written::Integer(integer) => {
            vec![("min", "1", integer.min.is_some()), ("max", "100", integer.max.is_some())]
        }
        Written::Decimal(decimal) => vec![
            ("min", "\"10.00\"", decimal.min.is_some()),
            ("max", "\"10000.00\"", decimal.max.is_some()),
        ],
        Written::Float(float) => {
            vec![("min", "0.0", float.min.is_some()), ("max", "1.0", float.max.is_some())]
        }
        Written::Day(day) => vec![
            ("min", "\"2023-01-01\"", day.min.is_some()),
            ("max", "\"2023-12-31\"", day.max.is_some()),
        ],
        Written::Text(text) => vec![
            ("min_chars", "1", text.min_chars.is_some()),
            ("max_chars", "20", text.max_chars.is_some()),
        ],
        Written::Boolean(boolean) => vec![("true_ratio", "0.5", boolean.true_ratio.is_some())],
    }
}

enum ValuesFault {
    Bad {
        what: String,
        fix: String,
    },
    /// A setting is missing, or the column's type cannot be read.
    Reported,
}

fn bad(what: impl Into<String>, fix: impl Into<String>) -> ValuesFault {
    ValuesFault::Bad { what: what.into(), fix: fix.into() }
}

/// Takes a setting that a generator cannot do without.
fn need<T: Clone>(setting: Option<&T>) -> Result<T, ValuesFault> {
    setting.cloned().ok_or(ValuesFault::Reported)
}

fn resolve_values(
    values: &profile::Values,
    sql_type: Option<ColumnType>,
) -> Result<Values, ValuesFault> {
    let pick = |pick: Option<profile::Pick>| match pick {
        Some(profile::Pick::Cycle) => Pick::Cycle,
        Some(profile::Pick::Random) | None => Pick::Random,
    };
    Ok(match values {
        Written::RowId => Values::RowId,
        Written::Partition => Values::Partition,
        Written::DueTime => Values::DueTime,
        Written::Label(label) => Values::Label {
            prefix: need(label.prefix.as_ref())?,
            min: natural("min", need(label.min.as_ref())?)?,
            max: natural("max", need(label.max.as_ref())?)?,
            pick: pick(label.pick),
        },
        Written::Integer(integer) => Values::Integer {
            min: need(integer.min.as_ref())?.0,
            max: need(integer.max.as_ref())?.0,
            pick: pick(integer.pick),
        },
        Written::Decimal(decimal) => {
            let min = need(decimal.min.as_ref())?;
            let max = need(decimal.max.as_ref())?;
            let scale = match sql_type {
                Some(ColumnType::Numeric { scale, .. }) => scale,
                // Without a scale there is nothing to read them in; the check refuses the type.
                Some(_) => return Ok(Values::Decimal { min: 0, max: 0 }),
                None => return Err(ValuesFault::Reported),
            };
            Values::Decimal { min: units(&min, scale)?, max: units(&max, scale)? }
        }
        Written::Float(float) => {
            Values::Float { min: need(float.min.as_ref())?.0, max: need(float.max.as_ref())?.0 }
        }
        Written::Day(day) => Values::Day {
            min: whole_day(&need(day.min.as_ref())?)?,
            max: whole_day(&need(day.max.as_ref())?)?,
            pick: pick(day.pick),
        },
        Written::Text(text) => Values::Text {
            min_chars: chars("min_chars", need(text.min_chars.as_ref())?)?,
            max_chars: chars("max_chars", need(text.max_chars.as_ref())?)?,
        },
        Written::Boolean(boolean) => {
            Values::Boolean { true_ratio: need(boolean.true_ratio.as_ref())?.0 }
        }
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
fn format_units(units: i64, scale: u16) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// Columns as a profile has them, every default written out.
pub(super) fn written(columns: &[Column]) -> Vec<Located<profile::Column>> {
    columns.iter().map(|column| profile::Column::from(column).into()).collect()
}

impl From<&Column> for profile::Column {
    fn from(column: &Column) -> Self {
        Self {
            name: Some(column.name.clone().into()),
            sql_type: Some(column.sql_type.to_string().into()),
            values: Some(values(column).into()),
        }
    }
}

fn values(column: &Column) -> Written {
    let scale = match column.sql_type {
        ColumnType::Numeric { scale, .. } => scale,
        _ => 0,
    };
    let number = |value: u64| Some(Whole(value as i64));
    let written_pick = |pick: &Pick| match pick {
        Pick::Random => Some(profile::Pick::Random),
        Pick::Cycle => Some(profile::Pick::Cycle),
    };
    match &column.values {
        Values::RowId => Written::RowId,
        Values::Partition => Written::Partition,
        Values::DueTime => Written::DueTime,
        Values::Label { prefix, min, max, pick } => Written::Label(profile::Label {
            prefix: Some(prefix.clone()),
            min: number(*min),
            max: number(*max),
            pick: written_pick(pick),
        }),
        Values::Integer { min, max, pick } => Written::Integer(profile::Integer {
            min: Some(Whole(*min)),
            max: Some(Whole(*max)),
            pick: written_pick(pick),
        }),
        Values::Decimal { min, max } => Written::Decimal(profile::Decimal {
            min: Some(format_units(*min, scale)),
            max: Some(format_units(*max, scale)),
        }),
        Values::Float { min, max } => {
            Written::Float(profile::Float { min: Some(Number(*min)), max: Some(Number(*max)) })
        }
        Values::Day { min, max, pick } => Written::Day(profile::Day {
            min: Some(format_day(*min)),
            max: Some(format_day(*max)),
            pick: written_pick(pick),
        }),
        Values::Text { min_chars, max_chars } => Written::Text(profile::Text {
            min_chars: number((*min_chars).into()),
            max_chars: number((*max_chars).into()),
        }),
        Values::Boolean { true_ratio } => {
            Written::Boolean(profile::Boolean { true_ratio: Some(Number(*true_ratio)) })
        }
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
        assert!(default_columns().iter().all(|column| column.check().is_ok()));
    }

    proptest! {
        #[test]
        fn decimals_read_back(value in -i64::MAX..=i64::MAX, scale in 0_u16..30) {
            let text = format_units(value, scale);
            prop_assert_eq!(units(&text, scale).ok(), Some(value), "{}", text);
        }
    }
}
