//! Whether a table that is there takes the rows of a stream: its kind, its columns and how it is partitioned.

use crate::plan::Stream;
use crate::row::{Column, Values};

use super::super::beneath::beneath_sql;
use super::super::mark::{self, Mixes, Relation};
use super::super::quote::quote_literal;
use super::super::{Error, Session};
use super::ELSEWHERE;

/// Refuses a table whose columns or partitioning do not fit, naming every difference at once.
pub(super) async fn check_shape(
    session: &mut Session,
    stream: &Stream,
    relation: &Relation,
    is_listed: bool,
) -> Result<(), Error> {
    let (act, oid) = (format!("use table {}", stream.table), relation.oid);
    let fix = match relation.marked {
        true => {
            "name another table with --table, or let --recreate drop and rebuild this one, \
                 which strom-load made"
        }
        false => ELSEWHERE,
    };
    if let Some(fact) = relation.takes_none() {
        return Err(Error::refused(act, fact).with_fix(ELSEWHERE));
    }
    refuse_part(session, &act, oid).await?;
    let mut differences = Vec::new();
    let mut fix = fix.to_owned();
    if let Some(key) = stream.partition_column()
        && (is_listed || relation.is_partitioned())
        && let Some(difference) = other_key(session, &act, oid, &key.name).await?
    {
        differences.push(difference);
        fix += "; a profile without a column `values = \"partition\"` loads any table as it is";
    }
    if relation.is_foreign() && !takes_inserts(session, &act, oid).await? {
        differences.push("it is a foreign table that takes no INSERT".to_owned());
    }
    let present = columns(session, &act, oid).await?;
    for column in &stream.columns {
        match present.iter().find(|present| present.name == column.name) {
            None => differences.push(format!("column {} is missing", column.name)),
            Some(present) => differences.extend(present.difference(column)),
        }
    }
    for Present { name, required, .. } in &present {
        if *required && !stream.columns.iter().any(|column| column.name == *name) {
            differences.push(format!("column {name} needs a value, and the profile has none"));
        }
    }
    if !differences.is_empty() {
        return Err(Error::refused(act, differences.join("; ")).with_fix(fix));
    }
    let secured = format!("SELECT row_security_active({oid}::oid), quote_ident(current_user)");
    let rows = session.rows(&act, &secured).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(active), role]) if active == "t" => {
            let role = role.clone().unwrap_or_default();
            let fact =
                format!("row-level security holds for role {role}, and COPY does not work with it");
            Err(Error::refused(act, fact).with_fix(format!(
                "as a superuser: ALTER ROLE {role} BYPASSRLS; or connect as the table's owner, for \
                 whom it holds only with FORCE ROW LEVEL SECURITY"
            )))
        }
        _ => Ok(()),
    }
}

/// A column that is there.
struct Present {
    name: String,
    /// Its type as declared.
    declared: String,
    /// The type whose binary form it takes: of a domain the one beneath it, of an enum `text`; so of an array's elements.
    sql_type: String,
    /// The labels of an enum, which the values are or an array's elements.
    labels: Option<Vec<String>>,
    /// Of an array of an enum or a domain, whether no element of it may be NULL.
    strict_elements: Option<bool>,
    /// Whether a row must bring a value.
    required: bool,
    /// Whether the server makes its values.
    generated: bool,
    /// Whether it takes no NULL.
    not_null: bool,
}

async fn columns(session: &mut Session, act: &str, oid: u32) -> Result<Vec<Present>, Error> {
    let sql = format!(
        "WITH RECURSIVE {} SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         CASE t.typtype WHEN 'e' THEN 'text' ELSE pg_catalog.format_type(t.oid, coalesce(o.modifier, b.modifier)) END \
         || CASE WHEN o.attnum IS NULL THEN '' ELSE '[]' END, \
         CASE t.typtype WHEN 'e' THEN (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder) \
         FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) END, o.strict, \
         (a.attnotnull OR b.strict) AND NOT (a.atthasdef OR b.filled) AND a.attidentity = '', \
         a.attgenerated <> '', a.attnotnull OR b.strict \
         FROM pg_catalog.pg_attribute a JOIN beneath b ON b.attnum = a.attnum \
         LEFT JOIN elements o ON o.attnum = a.attnum \
         JOIN pg_catalog.pg_type t ON t.oid = coalesce(o.type, b.type) WHERE a.attrelid = {oid} ORDER BY a.attnum",
        beneath_sql(oid)
    );
    let rows = session.rows(act, &sql).await?;
    let column = |row: Vec<Option<String>>| {
        let [name, declared, sql_type, labels, strict, required, generated, not_null] =
            row.try_into().ok()?;
        let is = |flag: Option<String>| flag.map(|flag| flag == "t");
        Some(Present {
            name: name?,
            declared: declared?,
            sql_type: sql_type?,
            labels: labels.and_then(|labels| serde_json::from_str(&labels).ok()),
            strict_elements: is(strict),
            required: is(required)?,
            generated: is(generated)?,
            not_null: is(not_null)?,
        })
    };
    Ok(rows.into_iter().filter_map(column).collect())
}

impl Present {
    /// Why it does not take the values of a column of the profile, if so.
    fn difference(&self, column: &Column) -> Option<String> {
        let (name, want) = (&self.name, column.sql_type.to_string());
        if self.generated {
            let fact = "is generated by the server, which takes no value for it";
            return Some(format!("column {name} {fact}"));
        }
        if !fits(&self.sql_type, &want) {
            let beneath = match &self.labels {
                Some(_) if self.strict_elements.is_some() => ", of an enum".to_owned(),
                Some(_) => ", an enum".to_owned(),
                None if self.strict_elements.is_some() => {
                    format!(", of a domain of {}", self.sql_type.trim_end_matches("[]"))
                }
                None if self.declared != self.sql_type => {
                    format!(", a domain of {}", self.sql_type)
                }
                None => String::new(),
            };
            return Some(format!("column {name} is {}{beneath}, not {want}", self.declared));
        }
        let elements = match &column.values {
            Values::Array(own) => Some(own.element(column)),
            _ => None,
        };
        if let Some(labels) = &self.labels {
            let (values, of) = match &elements {
                Some(element) => (&element.values, "of an enum"),
                None => (&column.values, "an enum"),
            };
            let fact = match values.listed() {
                Some(of) => of
                    .into_iter()
                    .find(|value| labels.iter().all(|label| label != value))
                    .map(|value| format!("has no label {value:?}")),
                None => Some("takes its labels alone: `choice` without `others`".to_owned()),
            };
            if let Some(fact) = fact {
                let labels = labels.join(", ");
                return Some(format!(
                    "column {name} is {}, {of}, and {fact} ({labels})",
                    self.declared
                ));
            }
        }
        if self.strict_elements == Some(true) && elements.is_some_and(|element| element.has_nulls())
        {
            let fact = "takes no NULL among its elements, and the profile sends some";
            return Some(format!("column {name} is {}, which {fact}", self.declared));
        }
        let sender = if column.null_ratio > 0.0 { "`null_ratio`" } else { "its file" };
        (self.not_null && column.has_nulls())
            .then(|| format!("column {name} is NOT NULL, and {sender} sends NULLs"))
    }
}

/// Refuses a table that holds rows of another one, or whose rows another one holds: ids and the run's
/// reservation are those of a whole.
async fn refuse_part(session: &mut Session, act: &str, oid: u32) -> Result<(), Error> {
    match mark::mixes(session, act, oid).await? {
        Some(Mixes::Part(fact)) => {
            Err(Error::refused(act, fact).with_fix("name the whole table with --table"))
        }
        Some(Mixes::Parent(fact)) => Err(Error::refused(act, fact).with_fix(ELSEWHERE)),
        None => Ok(()),
    }
}

/// How the table is partitioned otherwise than by a list of this column's values.
async fn other_key(
    session: &mut Session,
    act: &str,
    oid: u32,
    column: &str,
) -> Result<Option<String>, Error> {
    // As the server writes it, which quotes only where it must.
    let wanted_sql = format!("SELECT 'LIST (' || quote_ident({}) || ')'", quote_literal(column));
    let wanted = session.text(act, &wanted_sql).await?.unwrap_or_default();
    let key_sql = format!("SELECT pg_get_partkeydef({oid})");
    Ok(match session.text(act, &key_sql).await? {
        Some(key) if key == wanted => None,
        Some(key) => Some(format!("it is partitioned by {key}, not {wanted}")),
        None => Some(format!("it is not partitioned by {wanted}")),
    })
}

/// Whether a foreign table takes rows, as far as its wrapper says so.
async fn takes_inserts(session: &mut Session, act: &str, oid: u32) -> Result<bool, Error> {
    // The bit of INSERT, as the server numbers commands.
    let sql = format!("SELECT pg_catalog.pg_relation_is_updatable({oid}::oid, false) & 8 <> 0");
    Ok(session.text(act, &sql).await?.as_deref() == Some("t"))
}

/// Whether a column of type `have` takes the binary form of type `want`: the same type, with the
/// same modifier or none. With an array the type of its elements is sent, so that must be the very same.
fn fits(have: &str, want: &str) -> bool {
    let base = |name: &str| name.split('(').next().unwrap_or(name).to_owned();
    if let (Some(have), Some(want)) = (have.strip_suffix("[]"), want.strip_suffix("[]")) {
        return have == want || have == base(want);
    }
    let text = |name: &str| name == "text" || name == "character varying";
    let is_array = have.ends_with("[]") || want.ends_with("[]");
    have == want || !is_array && (have == base(want) || text(have) && text(&base(want)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_fits_with_the_same_modifier_or_none() {
        assert!(fits("numeric(15,2)", "numeric(15,2)"));
        assert!(fits("numeric", "numeric(15,2)"));
        assert!(!fits("numeric(5,2)", "numeric(15,2)"));
        assert!(fits("character varying", "text"));
        assert!(fits("text", "character varying(50)"));
        assert!(!fits("integer", "bigint"));
        assert!(fits("numeric(8,2)[]", "numeric(8,2)[]") && fits("numeric[]", "numeric(8,2)[]"));
        assert!(fits("character varying[]", "character varying(50)[]"));
        assert!(!fits("text[]", "character varying(50)[]"), "another type of elements");
        assert!(!fits("character varying", "character varying(50)[]"));
        assert!(!fits("numeric[]", "numeric(8,2)") && !fits("text[]", "text"));
    }
}
