//! Three queries to begin with: the newest rows, groups, and the first rows of each group.

use super::column::Drafted;
use super::{Filling, SourceColumn, SourceTable};
use crate::profile::Values;
use crate::row::ColumnType;

/// Most different values of a column to group by.
const GROUPS_MAX: f64 = 1_000.0;
/// How many groups are easiest to look at.
const GROUPS_BEST: f64 = 20.0;

/// A query of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Starter {
    pub(super) name: &'static str,
    pub(super) sql: String,
    /// The column of the answer that holds the newest moment, if one does.
    pub(super) newest: Option<String>,
}

pub(super) fn starters(table: &SourceTable, columns: &[Drafted<'_>]) -> Vec<Starter> {
    let by = by(columns);
    // The age of an answer is told by a moment with its zone.
    let zoned = |column: &&SourceColumn| column.known_type() == Some(ColumnType::TimestampTz);
    let newest = due(columns).filter(zoned).map(|column| column.quoted.clone());
    let [rows, total, mean, age, place] =
        ["rows", "total", "mean", "newest", "place"].map(|name| free(table, name));
    let (newest_sql, newest) = match &newest {
        Some(column) => (format!(", max({column}) AS {age}"), Some(age)),
        None => (String::new(), None),
    };
    let order = order(columns);
    let latest = order.join(" DESC NULLS LAST, ") + " DESC NULLS LAST";
    let group = by_groups(table, columns).map(|column| column.quoted.clone());
    let measure = by.map(|column| column.quoted.clone());
    let measures = measure.as_ref().map_or_else(String::new, |column| {
        format!(", sum({column}) AS {total}, avg({column}) AS {mean}")
    });
    let groups = match &group {
        Some(group) => format!(
            "SELECT {group}, count(*) AS {rows}{measures}{newest_sql}\nFROM {{table}}\nGROUP BY {group}"
        ),
        None => format!("SELECT count(*) AS {rows}{measures}{newest_sql}\nFROM {{table}}"),
    };
    let partition =
        group.as_ref().map_or_else(String::new, |group| format!("PARTITION BY {group} "));
    let mut shown: Vec<&String> = group.iter().collect();
    let others = order.iter().chain(&measure);
    for column in others {
        if !shown.contains(&column) {
            shown.push(column);
        }
    }
    let shown = shown.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let newest_rows = match order.is_empty() {
        true => "SELECT *\nFROM {table}\nLIMIT 100".to_owned(),
        false => format!("SELECT *\nFROM {{table}}\nORDER BY {latest}\nLIMIT 100"),
    };
    let mut all = vec![
        Starter { name: "newest_rows", sql: newest_rows, newest: None },
        Starter { name: "groups", sql: groups, newest },
    ];
    if !order.is_empty() {
        let window = format!(
            "SELECT {shown}, {place}\nFROM (\n    SELECT {shown},\n           \
             row_number() OVER ({partition}ORDER BY {latest}) AS {place}\n    FROM {{table}}\n) AS placed\n\
             WHERE {place} <= 10"
        );
        all.push(Starter { name: "newest_of_each_group", sql: window, newest: None });
    }
    all
}

/// A name that no column of the table has.
fn free(table: &SourceTable, name: &str) -> String {
    let mut name = name.to_owned();
    while table.columns.iter().any(|column| column.name == name) {
        name.push('_');
    }
    name
}

fn values<'a>(drafted: &'a Drafted<'_>) -> Option<&'a Values> {
    Some(drafted.column.as_ref()?.values.as_ref()?)
}

/// Whether it has values in the rows that are sent: one that they leave out is NULL in all of them, or its default.
fn varies(drafted: &Drafted<'_>) -> bool {
    let is_made = matches!(drafted.source.filling, Filling::Numbered | Filling::Generated);
    drafted.column.is_some() || is_made
}

fn is_text(own: ColumnType) -> bool {
    matches!(own, ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Char(_))
}

/// The column that is the moment each row was due, as a moment.
fn due<'a>(columns: &[Drafted<'a>]) -> Option<&'a SourceColumn> {
    let due = columns.iter().find(|drafted| values(drafted) == Some(&Values::DueTime));
    due.map(|drafted| drafted.source)
}

/// What the rows are ordered by, from the best column on: the time of the row, another time, its identity. None if no
/// column has an order.
fn order(columns: &[Drafted<'_>]) -> Vec<String> {
    let of_type = |types: &[ColumnType]| {
        let of = |drafted: &&Drafted<'_>| {
            // A default may be the moment at which the row came.
            let is_filled = varies(drafted) || drafted.source.filling == Filling::Default;
            is_filled && drafted.source.known_type().is_some_and(|own| types.contains(&own))
        };
        columns.iter().find(of).map(|drafted| drafted.source)
    };
    let moment = || of_type(&[ColumnType::TimestampTz, ColumnType::Timestamp]);
    let time = due(columns).or_else(moment).or_else(|| of_type(&[ColumnType::Date]));
    // A text of a greater number may be the lesser one.
    let id = columns.iter().find(|drafted| drafted.is_identity).map(|drafted| drafted.source);
    let id = id.filter(|id| !id.known_type().is_some_and(is_text));
    let whole = || of_type(&[ColumnType::BigInt, ColumnType::Integer, ColumnType::SmallInt]);
    let sorted = || {
        let mut filled = columns.iter().filter(|own| varies(own)).map(|drafted| drafted.source);
        filled.find(|column| can_be_grouped(column))
    };
    let mut order: Vec<&SourceColumn> = time.into_iter().chain(id).collect();
    if order.is_empty() {
        order.extend(whole().or_else(sorted));
    }
    order.into_iter().map(|column| column.quoted.clone()).collect()
}

/// Whether values of it are equal or not, as far as that is known. Arrays are, and are no groups.
fn can_be_grouped(column: &SourceColumn) -> bool {
    let is_equal = |own| !matches!(own, ColumnType::Json | ColumnType::Array(_));
    column.known_type().is_some_and(is_equal)
}

/// The column with the fewest values that are worth a group each: best about twenty, and rather names than numbers.
fn by_groups<'a>(table: &SourceTable, columns: &[Drafted<'a>]) -> Option<&'a SourceColumn> {
    let filled = columns.iter().filter(|own| varies(own)).map(|drafted| drafted.source);
    let candidates = filled.filter(|column| can_be_grouped(column));
    let scored = candidates.filter_map(|column| {
        let distinct = column.statistics.as_ref()?.distinct(table.rows);
        if !(2.0..=GROUPS_MAX).contains(&distinct) {
            return None;
        }
        let is_name = match column.known_type() {
            Some(own) => is_text(own),
            None => true,
        };
        let score = (distinct / GROUPS_BEST).ln().abs() + if is_name { 0.0 } else { 2.0 };
        Some((score, column))
    });
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, column)| column)
}

/// The column to add up: an amount rather than a number that may be a key.
fn by<'a>(columns: &[Drafted<'a>]) -> Option<&'a SourceColumn> {
    let is_role =
        |drafted: &Drafted<'_>| drafted.is_identity || values(drafted) == Some(&Values::Partition);
    let of = |is: fn(ColumnType) -> bool| {
        let all = columns.iter().filter(|own| varies(own)).filter(|drafted| !is_role(drafted));
        all.map(|drafted| drafted.source).find(|column| column.known_type().is_some_and(is))
    };
    of(|own| matches!(own, ColumnType::Numeric { .. }))
        .or_else(|| of(|own| matches!(own, ColumnType::Double | ColumnType::Real)))
        .or_else(|| {
            of(|own| matches!(own, ColumnType::Integer | ColumnType::BigInt | ColumnType::SmallInt))
        })
}
