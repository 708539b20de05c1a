//! The readers' queries.

use std::collections::HashSet;
use std::num::NonZeroU32;

use super::fault::suggest;
use super::parameters::{Parameters, parameters, protocol};
use super::resolver::Resolver;
use super::source::Report;
use super::sql::{Shape, shape};
use super::table_name::check_identifier;
use super::{AnswerCompare, GpuChoice, Protocol, SqlPlace};
use crate::profile::{self, Located, Whole};
use crate::quantity::format_count;

const WEIGHT_MAX: u32 = 1_000_000;
const NAME_BYTES_MAX: usize = 63;

/// A query of readers or of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Name in reports and metrics.
    pub name: String,
    /// Its part of the readers' time, beside the others; at least 1.
    pub weight: NonZeroU32,
    /// SQL text; `{table}` stands for the stream's table, `:name` for a parameter.
    pub sql: String,
    /// Whether that stands in it.
    pub reads_table: bool,
    /// Where it stands in the profile.
    pub place: SqlPlace,
    /// Result column that holds the newest event time seen (timestamptz), if any.
    pub newest_column: Option<String>,
    /// Which GPU arms it runs in; `None`: as all queries.
    pub gpu: Option<GpuChoice>,
    /// How the answers of its arms are compared.
    pub answers: AnswerRule,
    /// How it is sent.
    pub protocol: Protocol,
    /// Its parameters, if it has any.
    pub parameters: Option<Parameters>,
}

/// How the answers of two arms are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRule {
    /// What is compared.
    pub compare: AnswerCompare,
    /// Largest relative difference of two numbers that are the same; `None`: by type.
    pub tolerance: Option<f64>,
    /// This far apart two numbers are the same, whatever they are; `None`: by type.
    pub absolute_tolerance: Option<f64>,
    /// Result columns by which rows are chosen (ORDER BY … LIMIT, row_number() <= 10): where rows
    /// tie in them, either arm may return either.
    pub ties: Vec<String>,
    /// Result columns whose order is part of the answer; `None`: those of the outermost ORDER BY.
    pub order_by: Option<Vec<String>>,
}

impl Default for AnswerRule {
    fn default() -> Self {
        Self {
            compare: AnswerCompare::Rows,
            tolerance: None,
            absolute_tolerance: None,
            ties: Vec::new(),
            order_by: None,
        }
    }
}

impl Resolver<'_> {
    /// Resolves queries; what is faulty is reported and left out.
    pub(super) fn queries(&mut self, queries: &mut [Located<profile::Query>]) -> Vec<Query> {
        let report = &mut self.report;
        let mut names = HashSet::new();
        let mut resolved = Vec::new();
        for query in queries {
            let name = name(report, query);
            if let Some(name) = &query.name
                && !names.insert(name.to_string())
            {
                report.at(
                    &name.span(),
                    format!("query `{}` is there twice", name.as_str()),
                    "rename one: reports tell queries apart by name".to_owned(),
                );
            }
            let weight = weight(report, query);
            let newest_column = newest_column(report, query);
            let (place, sql) = match text_of_file(report, query) {
                Ok(None) => {
                    let place = query.sql.as_ref().map(|sql| report.sql_place(&sql.span()));
                    (place.unwrap_or_default(), sql(report, query))
                }
                Ok(Some(place)) => (place, sql(report, query)),
                Err(Reported) => (SqlPlace::default(), None),
            };
            let answers = answers(report, query);
            let gpu = query.gpu;
            query.weight.get_or_insert_with(|| Whole(1).into());
            query.answers.get_or_insert(answers.compare);
            let (Some(name), Some(weight), Some(sql)) = (name, weight, sql) else { continue };
            let parameters = parameters(report, query, (&name, &sql), self.seed);
            let protocol = protocol(report, query, parameters.is_some());
            let reads_table = sql.contains("{table}");
            resolved.push(Query {
                name,
                weight,
                sql,
                reads_table,
                place,
                newest_column,
                gpu,
                answers,
                protocol,
                parameters,
            });
        }
        resolved
    }
}

fn name(report: &mut Report<'_>, query: &Located<profile::Query>) -> Option<String> {
    let Some(name) = &query.name else {
        let fix = "add it, for example `name = \"sum_by_category\"`".to_owned();
        report.missing_in(&query.span(), "name", "a query has no `name`".to_owned(), fix);
        return None;
    };
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !is_name {
        report.at(
            &name.span(),
            format!("`{}` cannot name a query", name.as_str()),
            format!("use up to {NAME_BYTES_MAX} lower-case letters, digits and `_`"),
        );
    }
    is_name.then(|| name.to_string())
}

fn weight(report: &mut Report<'_>, query: &Located<profile::Query>) -> Option<NonZeroU32> {
    let Some(written) = &query.weight else { return Some(NonZeroU32::MIN) };
    let weight = u32::try_from(written.0)
        .ok()
        .filter(|weight| *weight <= WEIGHT_MAX)
        .and_then(NonZeroU32::new);
    if weight.is_none() {
        report.at(
            &written.span(),
            format!("`weight` is {}, outside 1 to {}", written.0, format_count(WEIGHT_MAX.into())),
            "choose its part of the readers' time, beside the others; delete it to leave it out"
                .to_owned(),
        );
    }
    weight
}

fn newest_column(report: &mut Report<'_>, query: &Located<profile::Query>) -> Option<String> {
    let written = query.newest_column.as_ref()?;
    if let Err(error) = check_identifier(written) {
        report.at(
            &written.span(),
            format!("`newest_column` names no column: {error}"),
            "name the result column with the newest event time, or delete the key".to_owned(),
        );
        return None;
    }
    Some(written.to_string())
}

fn answers(report: &mut Report<'_>, query: &Located<profile::Query>) -> AnswerRule {
    let tolerance = query.tolerance.as_ref().map(|written| {
        if !(0.0..1.0).contains(&written.0) {
            report.at(
                &written.span(),
                format!("`tolerance` is {}, outside 0 to 1 (not included)", written.0),
                "choose the largest relative difference of equal numbers, such as 1e-9".to_owned(),
            );
        }
        written.0
    });
    let absolute_tolerance = query.absolute_tolerance.as_ref().map(|written| {
        if !(written.0.is_finite() && written.0 >= 0.0) {
            report.at(
                &written.span(),
                format!("`absolute_tolerance` is {}, and not a number from 0 on", written.0),
                "choose how far apart equal numbers may be, such as 1e-9".to_owned(),
            );
        }
        written.0
    });
    AnswerRule {
        compare: query.answers.unwrap_or(AnswerCompare::Rows),
        tolerance,
        absolute_tolerance,
        ties: query.ties.clone().unwrap_or_default(),
        order_by: query.order_by.clone(),
    }
}

/// That something is wrong was reported.
struct Reported;

/// Puts the text of the file that a query names in the place of its name; where that stands.
fn text_of_file(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
) -> Result<Option<SqlPlace>, Reported> {
    let Some(name) = query.sql_file.take() else { return Ok(None) };
    if query.sql.is_some() {
        let what = "a query has both `sql` and `sql_file`".to_owned();
        report.at(&name.span(), what, "delete one of them".to_owned());
        return Err(Reported);
    }
    match report.files().get(&name) {
        Ok(file) => {
            query.sql = Some(name.with(file.text.clone()));
            Ok(Some(report.place_beside(&name)))
        }
        Err(why) => {
            let what = format!("failed to read `{}`: {why}", name.as_str());
            let fix = "name a file with one SQL statement, from the profile's folder on";
            report.at(&name.span(), what, fix.to_owned());
            Err(Reported)
        }
    }
}

fn sql(report: &mut Report<'_>, query: &Located<profile::Query>) -> Option<String> {
    let Some(sql) = &query.sql else {
        let fix = "add it, for example `sql = \"SELECT count(*) FROM {table}\"`".to_owned();
        report.missing_in(&query.span(), "sql", "a query has no `sql`".to_owned(), fix);
        return None;
    };
    let (what, fix) = match shape(sql) {
        _ if sql.contains('\0') => {
            ("`sql` holds a NUL character".to_owned(), "delete it".to_owned())
        }
        Shape::One { unknown_placeholders } => match unknown_placeholders.first() {
            None => return Some(sql.to_string()),
            Some(name) => {
                (format!("`sql` has an unknown placeholder `{{{name}}}`"), suggest(name, ["table"]))
            }
        },
        Shape::Empty => (
            "`sql` holds no statement".to_owned(),
            "write one, for example `SELECT count(*) FROM {table}`".to_owned(),
        ),
        Shape::Several => (
            "`sql` holds several statements".to_owned(),
            "write one statement; give each further one its own `[[readers.queries]]`".to_owned(),
        ),
        Shape::Unclosed => {
            ("`sql` has a quote or comment that is not closed".to_owned(), "close it".to_owned())
        }
    };
    report.at(&sql.span(), what, fix);
    None
}
