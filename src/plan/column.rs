//! Columns: their types and where their values come from. Whether the two fit is `row`'s to say.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::source::Report;
use super::table_name::{check_identifier, quote_identifier};
use super::type_name::parse_type;
use super::value_text::ValuesFault;
use super::values::{resolve_values, settings, written_values};
use crate::profile::{self, Identity, Located, Number};
use crate::row::{self, Column, ColumnError, ColumnType, Pattern, Pick, RowIdentity, Values};

/// The columns of the real-time workload.
pub(crate) fn default_columns() -> Vec<Column> {
    let label = |prefix: &str, max| Values::Label {
        prefix: prefix.to_owned(),
        min: 1,
        max,
        pick: Pick::Random,
    };
    vec![
        Column::new("id", ColumnType::BigInt, Values::RowId),
        Column::new("category", ColumnType::Text, label("category_", 100)),
        Column::new("region", ColumnType::Text, label("region_", 20)),
        Column::new(
            "amount",
            ColumnType::Numeric { precision: 15, scale: 2 },
            Values::Decimal { min: 1_000, max: 1_000_000, pick: Pick::Random },
        ),
        Column::new("gpu_partition", ColumnType::Integer, Values::Partition),
        Column::new("created_at", ColumnType::TimestampTz, Values::DueTime),
    ]
}

/// The column as CREATE TABLE has it.
pub(crate) fn declaration(column: &Column) -> String {
    let not_null = if column.has_nulls() { "" } else { " NOT NULL" };
    format!("{} {}{not_null}", quote_identifier(&column.name), column.sql_type)
}

/// Resolves the stream's columns; what is faulty is reported and left out.
pub(crate) fn resolve_columns(
    report: &mut Report<'_>,
    columns: Option<&[Located<profile::Column>]>,
    identity: Option<&Located<Identity>>,
) -> Vec<Column> {
    let Some(columns) = columns else { return default_columns() };
    check_roles(report, columns, identity);
    resolve_each(report, columns)
}

/// Resolves columns whatever their roles; what is faulty is reported and left out.
pub(super) fn resolve_each(
    report: &mut Report<'_>,
    columns: &[Located<profile::Column>],
) -> Vec<Column> {
    let mut names = HashSet::new();
    let resolved: Vec<Column> = columns
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
                Written::column(column).missing(report, "name", "name = \"amount\"");
            }
            Written::column(column).resolve(report)
        })
        .collect();
    let written = columns.iter().filter_map(|column| {
        let (name, values) = (column.name.as_ref()?.as_str(), column.values.as_ref()?);
        Some((name, values.span()))
    });
    check_dependencies(report, "column", &resolved, &written.collect());
    resolved
}

/// Whether the columns that depend on others can do so, which is reported; `written` are all by their names, with the place of the values.
pub(super) fn check_dependencies(
    report: &mut Report<'_>,
    noun: &str,
    columns: &[Column],
    written: &HashMap<&str, Range<usize>>,
) -> bool {
    let faults = row::check_together(columns);
    let is_well = faults.is_empty();
    for (place, fault) in faults {
        let Column { name, values, .. } = &columns[place];
        let Values::Conditional(own) = values else { continue };
        // One that is faulty itself is reported, and nothing can be said of what depends on it.
        let is_left_out = columns.iter().all(|column| column.name != own.on)
            && written.contains_key(own.on.as_str());
        if let Some(span) = written.get(name.as_str()).filter(|_| !is_left_out) {
            report.at(span, format!("{noun} `{name}`: {}", fault.fact()), fault.fix());
        }
    }
    is_well
}

/// A column, or what has its values otherwise, as its author wrote it.
struct Written<'a> {
    /// What it is.
    noun: &'static str,
    name: Option<&'a str>,
    span: Range<usize>,
    sql_type: Option<&'a Located<String>>,
    values: Option<&'a Located<profile::Values>>,
    null_ratio: Option<Number>,
}

impl<'a> Written<'a> {
    fn column(column: &'a Located<profile::Column>) -> Self {
        Self {
            noun: "column",
            name: column.name.as_ref().map(|name| name.as_str()),
            span: column.span(),
            sql_type: column.sql_type.as_ref(),
            values: column.values.as_ref(),
            null_ratio: column.null_ratio,
        }
    }

    fn missing(&self, report: &mut Report<'_>, key: &str, example: &str) {
        let noun = self.noun;
        let what = match self.name {
            Some(name) => format!("{noun} `{name}` has no `{key}`"),
            None => format!("a {noun} has no `{key}`"),
        };
        report.missing_in(&self.span, key, what, format!("add it, for example `{example}`"));
    }

    fn resolve(&self, report: &mut Report<'_>) -> Option<Column> {
        let sql_type = match self.sql_type {
            None => {
                self.missing(report, "type", "type = \"bigint\"");
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
        let Some(written) = self.values else {
            self.missing(report, "values", "values = { integer = { min = 1, max = 100 } }");
            return None;
        };
        for (setting, example, _) in settings(written).into_iter().filter(|(_, _, set)| !set) {
            let what = format!("the values have no `{setting}`");
            let fix = format!("add it, for example `{setting} = {example}`");
            report.missing_in(&written.span(), setting, what, fix);
        }
        let values = match resolve_values(written, sql_type, report.files()) {
            Ok(values) => values,
            Err(ValuesFault::Bad { what, fix }) => {
                report.at(&written.span(), what, fix);
                return None;
            }
            Err(ValuesFault::Reported) => return None,
        };
        // A column without a name is reported by now, and still checked.
        let name = self.name.unwrap_or_default().to_owned();
        let null_ratio = self.null_ratio.map_or(0.0, |ratio| ratio.0);
        let column = Column::new(name, sql_type?, values).with_nulls(null_ratio);
        match column.check() {
            Ok(()) => Some(column),
            Err(ColumnError { column: name, fault }) => {
                let what = match name.as_str() {
                    "" => fault.fact(),
                    name => format!("{} `{name}`: {}", self.noun, fault.fact()),
                };
                report.at(&written.span(), what, fault.fix());
                None
            }
        }
    }
}

/// A parameter of a query, as a column that each execution has one row of; what is faulty is reported.
pub(super) fn resolve_parameter(
    report: &mut Report<'_>,
    name: &str,
    parameter: &Located<profile::Parameter>,
) -> Option<Column> {
    let written = Written {
        noun: "parameter",
        name: Some(name),
        span: parameter.span(),
        sql_type: parameter.sql_type.as_ref(),
        values: parameter.values.as_ref(),
        null_ratio: parameter.null_ratio,
    };
    let column = written.resolve(report)?;
    if column.values.are_of_row() {
        let (span, of) = (written.values?.span(), column.values.name());
        let what = format!("parameter `{name}`: `{of}` values follow from the row of a stream");
        let fix = "choose values of a range, such as `{ integer = { min = 1, max = 100 } }`";
        report.at(&span, what, fix.to_owned());
        return None;
    }
    if let Some(file) = column.values.paged_file() {
        let what =
            format!("parameter `{name}`: `{file}` is too large for its values to be in memory");
        let fix = "take a part of the file: an execution takes any of them".to_owned();
        report.at(&written.values?.span(), what, fix);
        return None;
    }
    Some(column)
}

/// Refuses values that refer to keys, where no server is asked for any.
pub(super) fn refuse_reference(
    report: &mut Report<'_>,
    values: &Located<profile::Values>,
    whose: &str,
) {
    if refers(values) {
        let what = format!("only a stream and its readers refer to keys of a table, not {whose}");
        let fix = "use values such as { integer = { min = 1, max = 1000 } }: the `row_id` of a table of this \
                   profile counts from 1";
        report.at(&values.span(), what, fix.to_owned());
    }
}

fn refers(values: &profile::Values) -> bool {
    match values {
        profile::Values::Reference(_) => true,
        profile::Values::Choice(choice) => choice.others.as_deref().is_some_and(refers),
        profile::Values::Array(array) => array.of.as_deref().is_some_and(refers),
        _ => false,
    }
}

/// Whether a column is a text around the row's number, by which rows are told apart where no other column does.
fn is_around_row_id(column: &profile::Column) -> bool {
    let sql_type = column.sql_type.as_ref().and_then(|sql_type| parse_type(sql_type).ok());
    let pattern = match column.values.as_deref() {
        Some(profile::Values::Pattern(text)) => Pattern::of_text(text).ok(),
        _ => None,
    };
    sql_type.zip(pattern).is_some_and(|(sql_type, pattern)| {
        let null_ratio = column.null_ratio.map_or(0.0, |ratio| ratio.0);
        let values = Values::Pattern(pattern);
        let column = Column::new("", sql_type, values).with_nulls(null_ratio);
        RowIdentity::of(&column).is_some()
    })
}

/// One column identifies rows, unless nothing is to, and one may hold the partition.
fn check_roles(
    report: &mut Report<'_>,
    columns: &[Located<profile::Column>],
    identity: Option<&Located<Identity>>,
) {
    let is_complete =
        !report.damaged("stream.columns") && columns.iter().all(|column| column.values.is_some());
    let values = || columns.iter().filter_map(|column| column.values.as_ref());
    let mut ids = values().filter(|values| matches!(***values, profile::Values::RowId));
    let nameless = identity.filter(|identity| ***identity == Identity::None);
    match (ids.next(), nameless) {
        (Some(_), Some(nameless)) => report.at(
            &nameless.span(),
            "nothing is to tell rows apart, and a column has `values = \"row_id\"`".to_owned(),
            "delete `identity`, or give the column other values".to_owned(),
        ),
        (None, None) if is_complete && !columns.iter().any(|own| is_around_row_id(own)) => {
            let what = "no column has `values = \"row_id\"`: rows cannot be told apart".to_owned();
            let fix =
                "add a column such as { name = \"id\", type = \"bigint\", values = \"row_id\" }, also of \
                       type `uuid`, or a text with { pattern = \"order-{row_id}\" }; or write `identity = \"none\"`, then rows are only counted"
                    .to_owned();
            if let Some(first) = columns.first() {
                report.at(&first.span(), what, fix);
            } else {
                let place = report.file();
                report.push(super::Fault { place, what, fix });
            }
        }
        _ => {}
    }
    let keys = values().filter(|values| matches!(***values, profile::Values::Partition));
    for (role, extra) in
        ids.map(|extra| ("row_id", extra)).chain(keys.skip(1).map(|extra| ("partition", extra)))
    {
        report.at(
            &extra.span(),
            format!("a second column has `values = \"{role}\"`"),
            "give one column this role".to_owned(),
        );
    }
}

/// Columns as a profile has them, every default written out.
pub(super) fn written(columns: &[Column]) -> Vec<Located<profile::Column>> {
    columns.iter().map(|column| profile::Column::from(column).into()).collect()
}

impl From<&Column> for profile::Parameter {
    fn from(column: &Column) -> Self {
        let profile::Column { sql_type, values, null_ratio, .. } = column.into();
        Self { sql_type, values, null_ratio }
    }
}

impl From<&Column> for profile::Column {
    fn from(column: &Column) -> Self {
        Self {
            name: Some(column.name.clone().into()),
            sql_type: Some(column.sql_type.to_string().into()),
            values: Some(written_values(column).into()),
            null_ratio: (column.null_ratio > 0.0).then_some(Number(column.null_ratio)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_columns_pass_their_own_check() {
        assert!(default_columns().iter().all(|column| column.check().is_ok()));
    }
}
