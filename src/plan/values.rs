//! Where values come from, as a profile has it, resolved and written back.

use super::TableName;
use super::files::ProfileFiles;
use super::pick::{pick_settings, resolve_pick, unless_random, written_pick};
use super::table_name::check_identifier;
use super::value_text::{
    ValuesFault, bad, bytes_of, chars, from_1, moment, natural, need, of_column, time_of_day,
    units, whole_day,
};
use crate::profile::{self, Number, Values as Written, Whole};
use crate::row::day::{format_day, format_moment, format_time};
use crate::row::numeric::units_text;
use crate::row::{
    Column, ColumnType, Conditional, Elements, FileFault, Others, Pattern, Pick, Sample, Values,
    Wanted,
};

/// The settings that a generator cannot do without: name, example, and whether it is there.
pub(super) fn settings(values: &Written) -> Vec<(&'static str, &'static str, bool)> {
    let mut all = match values {
        Written::RowId
        | Written::Partition
        | Written::DueTime
        | Written::Uuid
        | Written::UuidV7
        | Written::Pattern(_) => vec![],
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
        Written::Timestamp(timestamp) => vec![
            ("min", "\"2026-01-01 00:00\"", timestamp.min.is_some()),
            ("max", "\"2026-12-31 23:59\"", timestamp.max.is_some()),
        ],
        Written::Histogram(histogram) => {
            vec![("bounds", "[\"0\", \"10\", \"1000\"]", histogram.bounds.is_some())]
        }
        Written::Text(text) => vec![
            ("min_chars", "1", text.min_chars.is_some()),
            ("max_chars", "20", text.max_chars.is_some()),
        ],
        Written::Boolean(boolean) => vec![("true_ratio", "0.5", boolean.true_ratio.is_some())],
        Written::Choice(choice) => {
            let mut all = vec![("of", "[\"new\", \"paid\"]", choice.of.is_some())];
            if let Some(others) = &choice.others {
                all.push(("others_weight", "10.0", choice.others_weight.is_some()));
                all.extend(settings(others));
            }
            all
        }
        Written::File(file) => vec![
            ("path", "\"customers.csv\"", file.path.is_some()),
            ("column", "\"id\"", file.column.is_some()),
        ],
        Written::Reference(reference) => vec![
            ("table", "\"shop.customers\"", reference.table.is_some()),
            ("column", "\"id\"", reference.column.is_some()),
        ],
        Written::EventTime(event) => vec![
            ("late_ratio", "0.05", event.late_ratio.is_some()),
            ("mean_lateness_s", "30.0", event.mean_lateness_s.is_some()),
        ],
        Written::Time(time) => vec![
            ("min", "\"08:00:00\"", time.min.is_some()),
            ("max", "\"18:00:00\"", time.max.is_some()),
        ],
        Written::Bytes(bytes) => vec![
            ("min_bytes", "16", bytes.min_bytes.is_some()),
            ("max_bytes", "64", bytes.max_bytes.is_some()),
        ],
        Written::Inet(inet) => vec![("network", "\"10.0.0.0/8\"", inet.network.is_some())],
        Written::Conditional(own) => {
            let mut all = vec![
                ("on", "\"country\"", own.on.is_some()),
                ("of", "{ DE = { choice = { of = [\"Berlin\"] } } }", own.of.is_some()),
            ];
            let each = own.of.iter().flat_map(|of| of.values()).chain(own.others.as_deref());
            all.extend(each.flat_map(settings));
            all
        }
        Written::Array(array) => {
            let mut all = vec![
                ("of", "{ integer = { min = 1, max = 100 } }", array.of.is_some()),
                ("length", "{ integer = { min = 0, max = 5 } }", array.length.is_some()),
            ];
            all.extend(array.of.iter().chain(&array.length).flat_map(|within| settings(within)));
            all
        }
    };
    all.extend(pick_settings(values));
    all
}

/// Values of a column of this type, if that is known. Whether they fit is `row`'s to say.
pub(super) fn resolve_values(
    values: &Written,
    sql_type: Option<ColumnType>,
    files: &ProfileFiles,
) -> Result<Values, ValuesFault> {
    let pick = resolve_pick(values)?;
    Ok(match values {
        Written::RowId => Values::RowId,
        Written::Partition => Values::Partition,
        Written::DueTime => Values::DueTime,
        Written::Label(label) => Values::Label {
            prefix: need(label.prefix.as_ref())?,
            min: natural("min", need(label.min.as_ref())?)?,
            max: natural("max", need(label.max.as_ref())?)?,
            pick,
        },
        Written::Integer(integer) => Values::Integer {
            min: need(integer.min.as_ref())?.0,
            max: need(integer.max.as_ref())?.0,
            pick,
        },
        Written::Decimal(decimal) => {
            let min = need(decimal.min.as_ref())?;
            let max = need(decimal.max.as_ref())?;
            let scale = match sql_type {
                Some(ColumnType::Numeric { scale, .. }) => scale,
                // Without a scale there is nothing to read them in; the check refuses the type.
                Some(_) => return Ok(Values::Decimal { min: 0, max: 0, pick }),
                None => return Err(ValuesFault::Reported),
            };
            Values::Decimal { min: units(&min, scale)?, max: units(&max, scale)?, pick }
        }
        Written::Float(float) => Values::Float {
            min: need(float.min.as_ref())?.0,
            max: need(float.max.as_ref())?.0,
            pick,
        },
        Written::Day(day) => Values::Day {
            min: whole_day(&need(day.min.as_ref())?)?,
            max: whole_day(&need(day.max.as_ref())?)?,
            pick,
        },
        Written::Timestamp(timestamp) => {
            let zoned = sql_type == Some(ColumnType::TimestampTz);
            let moment = |text: Option<&String>| moment(&need(text)?, zoned);
            Values::Timestamp {
                min_us: moment(timestamp.min.as_ref())?,
                max_us: moment(timestamp.max.as_ref())?,
                pick,
            }
        }
        Written::Histogram(histogram) => Values::Histogram {
            bounds: need(histogram.bounds.as_ref())?,
            weights: histogram.weights.iter().flatten().map(|weight| weight.0).collect(),
            distinct: match histogram.distinct {
                Some(distinct) => Some(from_1("distinct", distinct)?),
                None => None,
            },
            pick,
        },
        Written::Text(text) => Values::Text {
            min_chars: chars("min_chars", need(text.min_chars.as_ref())?)?,
            max_chars: chars("max_chars", need(text.max_chars.as_ref())?)?,
        },
        Written::Boolean(boolean) => {
            Values::Boolean { true_ratio: need(boolean.true_ratio.as_ref())?.0 }
        }
        Written::Choice(choice) => resolve_choice(choice, pick, sql_type, files)?,
        Written::File(file) => of_file(file, pick, sql_type, files)?,
        Written::Reference(reference) => of_keys(reference, pick)?,
        Written::Uuid => Values::Uuid,
        Written::UuidV7 => Values::UuidV7,
        Written::EventTime(event) => Values::EventTime {
            late_ratio: need(event.late_ratio.as_ref())?.0,
            mean_lateness_s: need(event.mean_lateness_s.as_ref())?.0,
        },
        Written::Time(time) => Values::Time {
            min_us: time_of_day(&need(time.min.as_ref())?)?,
            max_us: time_of_day(&need(time.max.as_ref())?)?,
        },
        Written::Bytes(bytes) => Values::Bytes {
            min_bytes: bytes_of("min_bytes", need(bytes.min_bytes.as_ref())?)?,
            max_bytes: bytes_of("max_bytes", need(bytes.max_bytes.as_ref())?)?,
        },
        Written::Inet(inet) => {
            let network = need(inet.network.as_ref())?;
            Values::Inet { network: network.parse().map_err(|fault| of_column(&fault))? }
        }
        Written::Pattern(text) => {
            let pattern = match sql_type {
                None => return Err(ValuesFault::Reported),
                Some(ColumnType::Json) => Pattern::of_json(text, false),
                Some(ColumnType::Jsonb) => Pattern::of_json(text, true),
                Some(_) => Pattern::of_text(text),
            };
            Values::Pattern(pattern.map_err(|fault| of_column(&fault))?)
        }
        Written::Array(array) => resolve_array(array, sql_type, files)?,
        Written::Conditional(own) => resolve_conditional(own, sql_type, files)?,
    })
}

/// The keys of a table, which nobody has read yet.
fn of_keys(reference: &profile::Reference, pick: Pick) -> Result<Values, ValuesFault> {
    let (table, column) = (need(reference.table.as_ref())?, need(reference.column.as_ref())?);
    if let Err(error) = table.parse::<TableName>() {
        let fix = "name one as in SQL: customers, shop.customers or \"Shop\".\"Customers\"";
        return Err(bad(format!("`{table}` is no table's name: {error}"), fix));
    }
    if let Err(error) = check_identifier(&column) {
        return Err(bad(format!("bad column name: {error}"), "name the column of the keys"));
    }
    let profile::Reference { last, fingerprint, .. } = reference.clone();
    Ok(Values::Reference { table, column, pick, last, fingerprint, keys: None })
}

/// The values of a column of a file.
fn of_file(
    file: &profile::File,
    pick: Pick,
    sql_type: Option<ColumnType>,
    files: &ProfileFiles,
) -> Result<Values, ValuesFault> {
    let (name, column) = (need(file.path.as_ref())?, need(file.column.as_ref())?);
    let sql_type = sql_type.ok_or(ValuesFault::Reported)?;
    let named = files.get(&name).map_err(|why| {
        bad(
            format!("failed to read `{name}`: {why}"),
            "name a file of CSV or Arrow, from the profile's folder on",
        )
    })?;
    if !sql_type.is_in_files() {
        // The check refuses the type.
        let sample = Sample::default();
        return Ok(Values::File { path: name, column, fingerprint: String::new(), pick, sample });
    }
    let fingerprint = named.fingerprint.clone();
    if file.fingerprint.as_ref().is_some_and(|written| *written != fingerprint) {
        let what = format!(
            "`{}` is not the file that it was: its fingerprint is {fingerprint}",
            named.path
        );
        return Err(bad(what, "bring the file back, or delete `fingerprint` to take this one"));
    }
    let wanted = Wanted { column, sql_type, cycles: pick == Pick::Cycle };
    let sample = named.column(&wanted).map_err(|FileFault { what, fix }| bad(what, fix))?;
    Ok(Values::File { path: named.path.clone(), column: wanted.column, fingerprint, pick, sample })
}

fn resolve_choice(
    choice: &profile::Choice,
    pick: Pick,
    sql_type: Option<ColumnType>,
    files: &ProfileFiles,
) -> Result<Values, ValuesFault> {
    Ok(Values::Choice {
        of: need(choice.of.as_ref())?,
        weights: choice.weights.iter().flatten().map(|weight| weight.0).collect(),
        pick,
        others: match &choice.others {
            None if choice.others_weight.is_some() => {
                let what = "`others_weight` is there without `others`";
                return Err(bad(what, "add `others`, such as { label = { … } }, or delete it"));
            }
            None => None,
            Some(others) => Some(Box::new(Others {
                weight: need(choice.others_weight.as_ref())?.0,
                values: resolve_values(others, sql_type, files)?,
            })),
        },
    })
}

fn resolve_conditional(
    own: &profile::Conditional,
    sql_type: Option<ColumnType>,
    files: &ProfileFiles,
) -> Result<Values, ValuesFault> {
    let resolve = |values: &Written| resolve_values(values, sql_type, files);
    let of = need(own.of.as_ref())?;
    let of = of.iter().map(|(key, values)| Ok((key.clone(), resolve(values)?)));
    Ok(Values::Conditional(Conditional {
        on: need(own.on.as_ref())?,
        of: of.collect::<Result<_, _>>()?,
        others: own.others.as_deref().map(resolve).transpose()?.map(Box::new),
    }))
}

fn resolve_array(
    array: &profile::Array,
    sql_type: Option<ColumnType>,
    files: &ProfileFiles,
) -> Result<Values, ValuesFault> {
    let (of, length) = (need(array.of.as_ref())?, need(array.length.as_ref())?);
    // The check refuses a type that has no elements.
    let element = sql_type.map(|sql_type| sql_type.element().unwrap_or(sql_type));
    Ok(Values::Array(Box::new(Elements {
        of: resolve_values(&of, element, files)?,
        length: resolve_values(&length, Some(ColumnType::Integer), files)?,
        null_ratio: array.null_ratio.map_or(0.0, |ratio| ratio.0),
    })))
}

/// Values as a profile has them, every default written out but those that came with a later version.
pub(super) fn written_values(column: &Column) -> Written {
    let scale = column.sql_type.scale();
    let number = |value: u64| Some(Whole(value as i64));
    match &column.values {
        Values::RowId => Written::RowId,
        Values::Partition => Written::Partition,
        Values::DueTime => Written::DueTime,
        Values::Label { prefix, min, max, pick } => Written::Label(profile::Label {
            prefix: Some(prefix.clone()),
            min: number(*min),
            max: number(*max),
            pick: Some(written_pick(pick)),
        }),
        Values::Integer { min, max, pick } => Written::Integer(profile::Integer {
            min: Some(Whole(*min)),
            max: Some(Whole(*max)),
            pick: Some(written_pick(pick)),
        }),
        Values::Decimal { min, max, pick } => Written::Decimal(profile::Decimal {
            min: Some(units_text((*min).into(), scale)),
            max: Some(units_text((*max).into(), scale)),
            pick: unless_random(pick),
        }),
        Values::Float { min, max, pick } => Written::Float(profile::Float {
            min: Some(Number(*min)),
            max: Some(Number(*max)),
            pick: unless_random(pick),
        }),
        Values::Day { min, max, pick } => Written::Day(profile::Day {
            min: Some(format_day(*min)),
            max: Some(format_day(*max)),
            pick: Some(written_pick(pick)),
        }),
        Values::Timestamp { min_us, max_us, pick } => {
            let zone = if column.sql_type == ColumnType::TimestampTz { "+00" } else { "" };
            Written::Timestamp(profile::Timestamp {
                min: Some(format_moment(*min_us) + zone),
                max: Some(format_moment(*max_us) + zone),
                pick: unless_random(pick),
            })
        }
        Values::Histogram { bounds, weights, distinct, pick } => {
            Written::Histogram(profile::Histogram {
                bounds: Some(bounds.clone()),
                weights: written_weights(weights),
                distinct: distinct.and_then(number),
                pick: unless_random(pick),
            })
        }
        Values::Text { min_chars, max_chars } => Written::Text(profile::Text {
            min_chars: number((*min_chars).into()),
            max_chars: number((*max_chars).into()),
        }),
        Values::Boolean { true_ratio } => {
            Written::Boolean(profile::Boolean { true_ratio: Some(Number(*true_ratio)) })
        }
        Values::Choice { of, weights, others, pick } => Written::Choice(profile::Choice {
            of: Some(of.clone()),
            weights: written_weights(weights),
            pick: unless_random(pick),
            others_weight: others.as_ref().map(|others| Number(others.weight)),
            others: others.as_ref().map(|others| Box::new(written_within(&others.values, column))),
        }),
        Values::Uuid => Written::Uuid,
        Values::UuidV7 => Written::UuidV7,
        Values::File { path, column, fingerprint, pick, .. } => Written::File(profile::File {
            path: Some(path.clone()),
            column: Some(column.clone()),
            pick: unless_random(pick),
            fingerprint: Some(fingerprint.clone()),
        }),
        Values::Reference { table, column, pick, last, fingerprint, .. } => {
            Written::Reference(profile::Reference {
                table: Some(table.clone()),
                column: Some(column.clone()),
                pick: unless_random(pick),
                last: last.clone(),
                fingerprint: fingerprint.clone(),
            })
        }
        Values::EventTime { late_ratio, mean_lateness_s } => {
            Written::EventTime(profile::EventTime {
                late_ratio: Some(Number(*late_ratio)),
                mean_lateness_s: Some(Number(*mean_lateness_s)),
            })
        }
        Values::Time { min_us, max_us } => Written::Time(profile::TimeOfDay {
            min: Some(format_time(*min_us)),
            max: Some(format_time(*max_us)),
        }),
        Values::Bytes { min_bytes, max_bytes } => Written::Bytes(profile::Bytes {
            min_bytes: number((*min_bytes).into()),
            max_bytes: number((*max_bytes).into()),
        }),
        Values::Inet { network } => {
            Written::Inet(profile::Inet { network: Some(network.to_string()) })
        }
        Values::Pattern(pattern) => Written::Pattern(pattern.as_written().to_owned()),
        Values::Conditional(own) => Written::Conditional(written_conditional(own, column)),
        Values::Array(elements) => Written::Array(written_array(elements, column)),
    }
}

fn written_array(elements: &Elements, column: &Column) -> profile::Array {
    let length =
        Column { sql_type: ColumnType::Integer, values: elements.length.clone(), ..column.clone() };
    profile::Array {
        of: Some(Box::new(written_values(&elements.element(column)))),
        length: Some(Box::new(written_values(&length))),
        null_ratio: (elements.null_ratio > 0.0).then_some(Number(elements.null_ratio)),
    }
}

/// Values that are a part of a column's.
fn written_within(values: &Values, column: &Column) -> Written {
    written_values(&Column { values: values.clone(), ..column.clone() })
}

fn written_conditional(own: &Conditional, column: &Column) -> profile::Conditional {
    let written = |values: &Values| written_within(values, column);
    profile::Conditional {
        on: Some(own.on.clone()),
        of: Some(own.of.iter().map(|(key, values)| (key.clone(), written(values))).collect()),
        others: own.others.as_deref().map(written).map(Box::new),
    }
}

fn written_weights(weights: &[f64]) -> Option<Vec<Number>> {
    (!weights.is_empty()).then(|| weights.iter().map(|weight| Number(*weight)).collect())
}
