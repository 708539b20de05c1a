//! The parameters of a query, and how it is sent.

use super::Protocol;
use super::column::{check_dependencies, resolve_parameter};
use super::fault::suggest;
use super::source::Report;
use super::sql::placeholders;
use super::table::named_seed;
use crate::profile::{self, Located};
use crate::row::{Column, EncodeError, Encoder};

/// The parameters of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Each as a column, of which every execution has one row.
    pub columns: Vec<Column>,
    /// Seed of their values: the profile's, mixed with the query's name.
    pub seed: u64,
}

impl Parameters {
    /// What makes the values of execution `n`, as its row `n`.
    ///
    /// # Errors
    /// When they are beyond what one message holds.
    pub fn encoder(&self) -> Result<Encoder, EncodeError> {
        Encoder::new(&self.columns, self.seed, 0, 0)
    }
}

/// Resolves the parameters of a query whose text is well; what is faulty is reported.
pub(super) fn parameters(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
    (name, sql): (&str, &str),
    seed: u64,
) -> Option<Parameters> {
    check_places(report, query, sql);
    let all = query.parameters.as_ref().filter(|all| !all.is_empty())?;
    let each = |(name, parameter): (&String, &Located<profile::Parameter>)| {
        resolve_parameter(report, name, parameter)
    };
    let columns: Vec<Column> = all.iter().filter_map(each).collect();
    if columns.len() < all.len() {
        return None;
    }
    let places = all.iter().map(|(name, own)| (name.as_str(), own.span()));
    if !check_dependencies(report, "parameter", &columns, &places.collect()) {
        return None;
    }
    // A table of the same name has other values.
    let resolved = Parameters { columns, seed: named_seed(seed, &["query ", name]) };
    // Those that are made of keys are not known before those are read.
    let is_known = !resolved.columns.iter().any(|column| column.values.await_keys());
    if let Some(Err(error)) = is_known.then(|| resolved.encoder()) {
        let what = format!("the parameters of `{name}`: {error}");
        report.at(&query.span(), what, "let them be shorter, or fewer".to_owned());
        return None;
    }
    query.parameters = Some(written(&resolved));
    Some(resolved)
}

/// Parameters as a profile has them, every default written out.
pub(super) fn written(parameters: &Parameters) -> profile::Parameters {
    let each = parameters.columns.iter();
    each.map(|column| (column.name.clone(), profile::Parameter::from(column).into())).collect()
}

/// Whether each `:name` is a parameter, and each parameter has a place.
fn check_places(report: &mut Report<'_>, query: &Located<profile::Query>, sql: &str) {
    let none = profile::Parameters::default();
    let written = query.parameters.as_ref().unwrap_or(&none);
    let found = placeholders(sql);
    let mut unknown: Vec<&str> = Vec::new();
    for own in &found {
        if !own.in_brackets && !written.contains_key(own.name) && !unknown.contains(&own.name) {
            unknown.push(own.name);
        }
    }
    for name in unknown {
        let texts = query.sql.iter().chain(query.statements.iter().flatten());
        let holds_it =
            |text: &&Located<String>| placeholders(text).iter().any(|own| own.name == name);
        let span = texts.clone().find(holds_it).map_or_else(|| query.span(), Located::span);
        let fix = match written.is_empty() {
            true => format!(
                "say where its values come from: `parameters = {{ {name} = {{ type = \"bigint\", \
                 values = {{ integer = {{ min = 1, max = 100 }} }} }} }}`"
            ),
            false => suggest(name, written.keys().map(String::as_str)),
        };
        report.at(&span, format!("`sql` has an unknown parameter `:{name}`"), fix);
    }
    for (name, parameter) in written {
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || !is_name {
            let fix = "use letters, digits and `_`, and begin with no digit";
            let what = format!("`{name}` cannot name a parameter");
            report.at(&parameter.span(), what, fix.to_owned());
        } else if found.iter().all(|own| own.name != name) {
            let fix = format!("write `:{name}` where its value goes, or delete it");
            report.at(&parameter.span(), format!("parameter `{name}` is not in `sql`"), fix);
        }
    }
}

/// How a query is sent.
pub(super) fn protocol(
    report: &mut Report<'_>,
    query: &mut Located<profile::Query>,
    has_parameters: bool,
) -> Protocol {
    let protocol = match &query.protocol {
        Some(written) => **written,
        None if has_parameters => {
            query.protocol = Some(Protocol::Prepared.into());
            Protocol::Prepared
        }
        None => Protocol::Extended,
    };
    if let (Protocol::Simple, Some(written), Some(_)) =
        (protocol, &query.protocol, &query.newest_column)
    {
        let what = "`newest_column` is read in binary, and the simple protocol answers in text";
        let fix = "delete it, or choose `protocol = \"extended\"` or \"prepared\"";
        report.at(&written.span(), what.to_owned(), fix.to_owned());
    }
    protocol
}
