//! Writes what a script has as a profile.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::Value as Toml;

use super::expression::{Draw, Law, Value, unknown};
use super::script::Script;
use super::{Conversion, fault};
use crate::plan::{Fault, ProfileSource, Protocol, bare_sql, parameter_names};

/// A distribution that pgbench cuts off and a generator does not: its rest may be such a share at most.
const CUT_OFF_MAX: f64 = 0.001;
/// Most numbers that are chosen by rank.
const RANKS_MAX: i64 = 1 << 20;
/// Words that a statement has which writes, or locks rows as one that does.
const WRITES: [&str; 6] = ["insert", "update", "delete", "merge", "share", "truncate"];

/// The text of a profile.
pub(super) fn draft(
    source: &ProfileSource,
    script: &Script,
    conversion: &Conversion,
    faults: &mut Vec<Fault>,
) -> String {
    if script.statements.is_empty() && faults.is_empty() {
        let what = "the script sends no statement".to_owned();
        fault(faults, source, 0..0, (what, "write one, with `;` at its end".to_owned()));
    }
    let texts: Vec<&str> =
        script.statements.iter().map(|span| &source.text[span.clone()]).collect();
    let used = used(source, script, conversion, faults);
    let mut parameters = String::new();
    for (name, value, span) in &used {
        match written(value) {
            Ok((written, note)) => {
                if let Some(note) = note {
                    let _ = writeln!(parameters, "# {name}: {note}");
                }
                let _ = writeln!(parameters, "{name} = {written}");
            }
            Err(wrong) => fault(faults, source, span.clone(), wrong),
        }
    }
    let name = name(source);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# Converted from {} by `strom-load profile from-pgbench`.",
        quoted(&source.name)
    );
    let _ = writeln!(
        out,
        "# For tables of scale {}, as made by `pgbench -i -s {}`.",
        conversion.scale, conversion.scale
    );
    let idle =
        script.variables.keys().filter(|own| used.iter().all(|(name, ..)| name != own.as_str()));
    for idle in idle {
        let _ = writeln!(out, "# `{idle}` is left out: no statement has it.");
    }
    let _ = write!(
        out,
        "name = {}\n\n# Readers ask beside a stream, and pgbench has none: a row a second into a table of its own.\n\
         [stream]\ntable = \"strom_load_beside\"\nrows_per_s = 1\npartitions = 1\n\n\
         # As pgbench's clients: each asks again as soon as it is answered.\n[readers]\ncount = {}\n\n\
         [[readers.queries]]\nname = {}\nprotocol = \"{}\"\n",
        quoted(&name.replace('_', "-")),
        conversion.clients,
        quoted(&name),
        match conversion.protocol {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
            Protocol::Prepared => "prepared",
        }
    );
    if texts.iter().any(|text| writes(text)) {
        out.push_str("writes = true\n# In the stream's table nothing.\nchanges = []\n");
    }
    if script.is_transaction {
        out.push_str("statements = [\n");
        for text in &texts {
            let _ = writeln!(out, "  {},", quoted(text));
        }
        out.push_str("]\n");
    } else {
        let _ = writeln!(out, "sql = {}", quoted(texts.first().copied().unwrap_or_default()));
    }
    if !parameters.is_empty() {
        let _ = write!(out, "\n[readers.queries.parameters]\n{parameters}");
    }
    out
}

/// The variables that statements have, each once, in their order there.
fn used(
    source: &ProfileSource,
    script: &Script,
    conversion: &Conversion,
    faults: &mut Vec<Fault>,
) -> Vec<(String, Value, Range<usize>)> {
    let mut used: Vec<(String, Value, Range<usize>)> = Vec::new();
    let known = |name: &str| {
        let own = script.variables.get(name).map(|(value, _)| value.clone());
        own.or_else(|| conversion.given(name))
    };
    for span in &script.statements {
        let text = &source.text[span.clone()];
        let names = parameter_names(text);
        for name in &names {
            if used.iter().any(|(own, ..)| own == name) {
                continue;
            }
            match known(name) {
                Some(value) => {
                    let at = script.variables.get(*name).map_or(span.clone(), |(_, at)| at.clone());
                    used.push(((*name).to_owned(), value, at));
                }
                None if script.faulty.iter().any(|own| own == name) => {}
                None => fault(faults, source, span.clone(), unknown(name)),
            }
        }
        // pgbench has them within quotes, too.
        let all = script.variables.keys().filter(|name| {
            let found = text.match_indices(&format!(":{name}")).count();
            found > names.iter().filter(|own| own.starts_with(name.as_str())).count()
        });
        for name in all {
            let what =
                format!("`:{name}` stands within quotes or a comment, where it is no parameter");
            let fix = "write it outside of them, such as `'a' || :b`".to_owned();
            fault(faults, source, span.clone(), (what, fix));
        }
    }
    used
}

/// Whether a statement writes, or locks rows so that it takes the right to.
fn writes(text: &str) -> bool {
    let bare = bare_sql(text).to_ascii_lowercase();
    // A word next to a quote is a name.
    let mut words = bare.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '"')));
    words.any(|word| WRITES.contains(&word))
}

/// A variable as a parameter of a profile, and what is to be said of it.
fn written(value: &Value) -> Result<(String, Option<String>), (String, String)> {
    let typed = |min: i64, max: i64, pick: &str| {
        let fits = |value: i64| i32::try_from(value).is_ok();
        let sql_type = if fits(min) && fits(max) { "integer" } else { "bigint" };
        format!(
            "{{ type = \"{sql_type}\", values = {{ integer = {{ min = {min}, max = {max}{pick} }} }} }}"
        )
    };
    let Draw { min, max, by } = match value {
        Value::Integer(value) => return Ok((typed(*value, *value, ""), None)),
        Value::Float(value) => {
            let values = format!("{{ float = {{ min = {value:?}, max = {value:?} }} }}");
            return Ok((format!("{{ type = \"double precision\", values = {values} }}"), None));
        }
        Value::Draw(draw) => draw.clone(),
    };
    let count = max as f64 - min as f64 + 1.0;
    let is_odd = |of: f64| !(of.is_finite() && of > 0.0);
    let positive = |of: f64| {
        (format!("the parameter of the distribution is {of}"), "write a number above 0".to_owned())
    };
    match by {
        Law::Uniform => Ok((typed(min, max, ""), None)),
        Law::Zipfian(of) | Law::Gaussian(of) | Law::Exponential(of) if is_odd(of) => {
            Err(positive(of))
        }
        Law::Zipfian(_) if max.saturating_sub(min) >= RANKS_MAX => Err((
            format!("random_zipfian over {count} numbers: at most {RANKS_MAX} are chosen by rank"),
            "narrow the range, or take another distribution".to_owned(),
        )),
        Law::Zipfian(exponent) => {
            let pick = format!(", pick = {{ zipf = {{ exponent = {exponent:?} }} }}");
            let note = "the shares are pgbench's; the hot numbers lie anywhere in the range, not at its start";
            Ok((typed(min, max, &pick), Some(note.to_owned())))
        }
        Law::Gaussian(by) => {
            // Of a normal distribution such a share lies beyond, by a bound on its tail.
            let beyond = 2.0 * (-by * by / 2.0).exp() / (by * (2.0 * std::f64::consts::PI).sqrt());
            cut_off("random_gaussian", beyond, by, 3.5)?;
            let (mean, sd) = (f64::midpoint(min as f64, max as f64), count / (2.0 * by));
            let pick = format!(", pick = {{ normal = {{ mean = {mean:?}, sd = {sd:?} }} }}");
            Ok((typed(min, max, &pick), Some(at_the_end(beyond))))
        }
        Law::Exponential(by) => {
            let beyond = (-by).exp();
            cut_off("random_exponential", beyond, by, 7.0)?;
            let pick = format!(", pick = {{ exponential = {{ scale = {:?} }} }}", count / by);
            let note = format!("{}; rounded to the nearest number, not down", at_the_end(beyond));
            Ok((typed(min, max, &pick), Some(note)))
        }
    }
}

fn at_the_end(beyond: f64) -> String {
    format!(
        "pgbench cuts off what lies beyond the range; here its nearest end is it: {beyond:.1e} of all"
    )
}

fn cut_off(function: &str, beyond: f64, by: f64, least: f64) -> Result<(), (String, String)> {
    if beyond <= CUT_OFF_MAX {
        return Ok(());
    }
    let share = beyond * 100.0;
    let what = format!(
        "{function} with {by} leaves up to {share:.1} % beyond the range, which pgbench cuts off and a profile cannot"
    );
    Err((what, format!("write {least} or more, or take another distribution")))
}

/// What the script is called, as a query can be.
fn name(source: &ProfileSource) -> String {
    let stem =
        Path::new(&source.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.to_ascii_lowercase();
    let name = name.replace(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()), "_");
    let name = name.trim_matches('_');
    if name.is_empty() { "script".to_owned() } else { name.chars().take(63).collect() }
}

/// A text in the quotes of TOML; of several lines in three.
fn quoted(text: &str) -> String {
    let is_literal = !text.contains("'''") && !text.ends_with('\'') && !text.contains('\r');
    if text.contains('\n') && is_literal {
        return format!("'''\n{text}'''");
    }
    Toml::String(text.to_owned()).to_string()
}
