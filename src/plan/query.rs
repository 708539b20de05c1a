//! The readers' queries.

use std::collections::HashSet;
use std::num::NonZeroU32;

use super::column::refuse_reference;
use super::parameters::{Parameters, parameters, protocol};
use super::query_text::{QueryText, Statement, text};
use super::resolver::Resolver;
use super::source::Report;
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
    /// Where it stands in the profile.
    pub place: SqlPlace,
    /// The statements of a transaction, of which `sql` is made; none: it is one statement.
    pub statements: Vec<Statement>,
    /// Whether it may write.
    pub writes: bool,
    /// Whether its answer is one of the stream's table: this stands in it, it is one statement, and it
    /// does not write.
    pub reads_table: bool,
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

/// Where queries stand.
pub(super) struct Section {
    /// Whether they may write, unless they say otherwise.
    writes: bool,
    /// Whether they are a stream's readers': each by itself says whether it writes, or is a transaction.
    is_of_readers: bool,
    /// Whether the profile has arms of its own.
    has_arms: bool,
}

impl Section {
    pub(super) fn of_benchmark(writes: bool) -> Self {
        Self { writes, is_of_readers: false, has_arms: false }
    }

    pub(super) fn of_readers(writes: bool, has_arms: bool) -> Self {
        Self { writes, is_of_readers: true, has_arms }
    }
}

impl Query {
    /// Whether it is several statements in one transaction.
    pub fn is_transaction(&self) -> bool {
        !self.statements.is_empty()
    }
}

impl Resolver<'_> {
    /// Resolves queries; what is faulty is reported and left out.
    pub(super) fn queries(
        &mut self,
        queries: &mut [Located<profile::Query>],
        section: &Section,
    ) -> Vec<Query> {
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
            let text = text(report, query);
            let writes = query.writes.as_ref().map_or(section.writes, |writes| **writes);
            let several = text.as_ref().is_some_and(|text| !text.statements.is_empty());
            if section.is_of_readers {
                settle_writer(report, query, (writes, several), section.has_arms);
            } else if writes {
                without_answers(report, query, WRITES);
            }
            if several && !section.is_of_readers {
                let what = "a transaction is for the readers of a stream".to_owned();
                report.at(&query.span(), what, "write one statement".to_owned());
            }
            if !section.is_of_readers {
                let parameters = query.parameters.iter().flatten();
                for values in parameters.filter_map(|(_, own)| own.values.as_ref()) {
                    refuse_reference(report, values, "the queries of a benchmark");
                }
            }
            let answers = answers(report, query);
            let gpu = query.gpu;
            query.weight.get_or_insert_with(|| Whole(1).into());
            query.answers.get_or_insert(answers.compare);
            let (Some(name), Some(weight), Some(text)) = (name, weight, text) else { continue };
            let QueryText { sql, place, statements } = text;
            let parameters = parameters(report, query, (&name, &sql), self.seed);
            let protocol = protocol(report, query, parameters.is_some());
            resolved.push(Query {
                name,
                weight,
                reads_table: sql.contains("{table}") && statements.is_empty() && !writes,
                sql,
                place,
                statements,
                writes,
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

/// Settles what follows from that a query of readers writes, or is a transaction: it has no answer that could
/// be compared, and runs with the GPU off unless the profile has arms of its own.
fn settle_writer(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
    (writes, several): (bool, bool),
    has_arms: bool,
) {
    if let Some(changes) = query.changes.as_ref().filter(|_| !writes) {
        let what = "`changes` says what a query writes, and this one reads".to_owned();
        report.at(&changes.span(), what, "delete it, or add `writes = true`".to_owned());
    }
    let why = match (writes, several) {
        (true, _) => WRITES,
        (false, true) => "a transaction",
        (false, false) => return,
    };
    without_answers(report, query, why);
    let whole = query.span();
    if let Some(newest) = &query.newest_column {
        report.at(&newest.span(), of_an_answer("newest_column", why), "delete it".to_owned());
    }
    if let Some(GpuChoice::On | GpuChoice::Alternate) = query.gpu {
        let what = format!("{why} runs with the GPU off: nothing would prove that it ran there");
        report.at(&whole, what, "delete `gpu`".to_owned());
    }
    if !has_arms {
        query.gpu = Some(GpuChoice::Off);
    }
}

/// A query that writes, in messages.
const WRITES: &str = "a query that writes";

/// Settles that answers are not compared, for this reason; what is said of them is a fault.
fn without_answers(report: &mut Report<'_>, query: &mut Located<profile::Query>, why: &str) {
    let whole = query.span();
    let tolerance = query.tolerance.as_ref().map(|key| ("tolerance", key.span()));
    let absolute = query.absolute_tolerance.as_ref().map(|key| ("absolute_tolerance", key.span()));
    let order_by = query.order_by.as_ref().map(|_| ("order_by", whole.clone()));
    let ties = query.ties.as_ref().map(|_| ("ties", whole.clone()));
    let compares = query.answers.is_some_and(|answers| answers != AnswerCompare::Off);
    let answers = compares.then(|| ("answers", whole.clone()));
    for (key, span) in [tolerance, absolute, order_by, ties, answers].into_iter().flatten() {
        report.at(&span, of_an_answer(key, why), "delete it".to_owned());
    }
    query.answers = Some(AnswerCompare::Off);
}

fn of_an_answer(key: &str, why: &str) -> String {
    format!("`{key}` is about the answer of one statement, and this is {why}")
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
