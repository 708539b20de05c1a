//! Writes what a script has as a profile.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::Value as Toml;

use super::expression::{Draw, Law, Value, unknown};
use super::script::Script;
use super::{Conversion, fault};
use crate::plan::{Fault, ProfileSource, Protocol, bare_sql, parameter_names, rename_parameters};

/// From so many standard deviations on less than a thousandth lies beyond them, where pgbench cuts it off and a
/// generator does not.
const GAUSSIAN_MIN: f64 = 3.5;
/// Exponents that pgbench takes, and a generator.
const ZIPFIAN: std::ops::RangeInclusive<f64> = 1.001..=20.0;
/// Most numbers that are chosen by rank.
const RANKS_MAX: i64 = 1 << 20;
/// Words that a statement has which writes, or locks rows as one that does.
const WRITES: [&str; 8] =
    ["insert", "update", "delete", "merge", "share", "into", "nextval", "setval"];

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
    let text = |span: &Range<usize>| {
        rename_parameters(&source.text[span.clone()], |own| script.origin(own))
    };
    let texts: Vec<String> = script.statements.iter().map(text).collect();
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
    let _ =
        writeln!(out, "# Converted from {:?} by `strom-load profile from-pgbench`.", source.name);
    let _ = writeln!(
        out,
        "# For tables of scale {}, as made by `pgbench -i -s {}`.",
        conversion.scale, conversion.scale
    );
    for name in script.variables.keys() {
        let origin = script.origin(name);
        if used.iter().all(|(own, ..)| own != origin) {
            let _ = writeln!(out, "# `{name}` is left out: no statement has it.");
        } else if origin != name {
            let _ = writeln!(out, "# `{name}` is `{origin}`, and `:{origin}` stands in its place.");
        }
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
        let _ = writeln!(
            out,
            "sql = {}",
            quoted(texts.first().map(String::as_str).unwrap_or_default())
        );
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
            let name = script.origin(name);
            if used.iter().any(|(own, ..)| own == name) {
                continue;
            }
            match known(name) {
                Some(value) => {
                    let at = script.variables.get(name).map_or(span.clone(), |(_, at)| at.clone());
                    used.push((name.to_owned(), value, at));
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
    let Draw { min, max, by } = match value {
        Value::Integer(value) => return Ok((integer(*value, *value, ""), None)),
        Value::Float(value) => {
            let values = format!("{{ float = {{ min = {value:?}, max = {value:?} }} }}");
            return Ok((format!("{{ type = \"double precision\", values = {values} }}"), None));
        }
        Value::Draw(draw) => draw.clone(),
        // It has no parameter of its own.
        Value::Same(name) => return Err(unknown(name)),
    };
    let count = max as f64 - min as f64 + 1.0;
    match by {
        Law::Uniform => Ok((integer(min, max, ""), None)),
        Law::Zipfian(exponent) => {
            takes("random_zipfian", exponent, ZIPFIAN.contains(&exponent), "from 1.001 to 20")?;
            if max.saturating_sub(min) >= RANKS_MAX {
                return Err((
                    format!(
                        "random_zipfian over {count} numbers: at most {RANKS_MAX} are chosen by rank"
                    ),
                    "narrow the range, or take another distribution".to_owned(),
                ));
            }
            let pick = format!(", pick = {{ zipf = {{ exponent = {exponent:?} }} }}");
            let note = "the shares are pgbench's; the hot numbers lie anywhere in the range, not at its start";
            Ok((integer(min, max, &pick), Some(note.to_owned())))
        }
        Law::Gaussian(by) => {
            takes(
                "random_gaussian",
                by,
                by >= GAUSSIAN_MIN,
                "of 3.5 or more, with which pgbench cuts off nearly nothing,",
            )?;
            // Of a normal distribution such a share lies beyond, by a bound on its tail.
            let beyond = 2.0 * (-by * by / 2.0).exp() / (by * (2.0 * std::f64::consts::PI).sqrt());
            let (mean, sd) = (f64::midpoint(min as f64, max as f64), count / (2.0 * by));
            let pick = format!(", pick = {{ normal = {{ mean = {mean:?}, sd = {sd:?} }} }}");
            let note = format!(
                "pgbench cuts off what lies beyond the range; here its nearest end is it: {beyond:.1e} of all"
            );
            Ok((integer(min, max, &pick), Some(note)))
        }
        Law::Exponential(by) => {
            takes("random_exponential", by, by.is_finite() && by > 0.0, "above 0")?;
            let Falling { bounds, weights } = Falling::new(min, max, by);
            let note = (count > BUCKETS_MAX as f64).then(|| {
                format!(
                    "pgbench's shares of {} ranges of numbers, narrow where they are hot; the numbers of each come alike",
                    weights.len()
                )
            });
            let bounds: Vec<String> = bounds.iter().map(|bound| format!("\"{bound}\"")).collect();
            let weights: Vec<String> = weights.iter().map(|weight| format!("{weight:?}")).collect();
            let values = format!(
                "{{ histogram = {{ bounds = [{}], weights = [{}] }} }}",
                bounds.join(", "),
                weights.join(", ")
            );
            Ok((typed(min, max, &values), note))
        }
    }
}

/// Whole numbers from `min` to `max`.
fn integer(min: i64, max: i64, pick: &str) -> String {
    typed(min, max, &format!("{{ integer = {{ min = {min}, max = {max}{pick} }} }}"))
}

fn typed(min: i64, max: i64, values: &str) -> String {
    let fits = |value: i64| i32::try_from(value).is_ok();
    let sql_type = if fits(min) && fits(max) { "integer" } else { "bigint" };
    format!("{{ type = \"{sql_type}\", values = {values} }}")
}

/// Refuses what a distribution is not given in a profile.
fn takes(function: &str, given: f64, is_right: bool, right: &str) -> Result<(), (String, String)> {
    match is_right {
        true => Ok(()),
        false => Err((
            format!("{function} with {given:?} cannot be converted"),
            format!("write a number {right} or take another distribution"),
        )),
    }
}

/// Most ranges of numbers whose shares are written.
const BUCKETS_MAX: i64 = 100;
/// So many times e below the first number there is nothing to tell the others apart by.
const DEPTH_MAX: f64 = 30.0;

/// pgbench's `random_exponential`: with whole numbers cut off downward, so that the first one has a whole share.
#[derive(Debug, PartialEq)]
pub(super) struct Falling {
    /// The first number of each range, and the last one of all.
    pub(super) bounds: Vec<i64>,
    /// The share of each range.
    pub(super) weights: Vec<f64>,
}

impl Falling {
    pub(super) fn new(min: i64, max: i64, by: f64) -> Self {
        let count = max as f64 - min as f64 + 1.0;
        let mut offsets: Vec<i128> = match count <= BUCKETS_MAX as f64 {
            true => (0..count as i128).collect(),
            false => {
                // The width of a range goes with the cube root of how rare its numbers are: that makes the least
                // of what is levelled within all ranges together.
                let depth = by.min(DEPTH_MAX);
                let all = -(-depth / 3.0).exp_m1();
                let at = |range: i64| -3.0 * (-all * range as f64 / BUCKETS_MAX as f64).ln_1p();
                (0..BUCKETS_MAX).map(|range| (at(range) / by * count) as i128).collect()
            }
        };
        offsets.dedup();
        let below = |offset: f64| (-by * offset / count).exp_m1() / (-by).exp_m1();
        let ends = offsets.iter().skip(1).map(|offset| *offset as f64).chain([count]);
        let weights = offsets
            .iter()
            .zip(ends)
            .map(|(start, end)| five_digits(below(end) - below(*start as f64)));
        let weights = weights.collect();
        let first = offsets.iter().map(|offset| (i128::from(min) + offset) as i64);
        Self { bounds: first.chain([max]).collect(), weights }
    }
}

/// A number to five digits.
fn five_digits(number: f64) -> f64 {
    format!("{number:.4e}").parse().unwrap_or(number)
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
