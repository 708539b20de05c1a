//! Which columns of a table are drawn, by what, and which are left to the server.

use super::elements;
use super::order::Order;
use super::values::{Drawing, Drawn, counted, rounded};
use super::{DraftOptions, Filling, NoDraft, Reference, SourceColumn, SourceTable, Statistics};
use crate::profile::{self, Number, Values};
use crate::row::{self, ColumnType};

/// Such a share of common values keeps a column from being the time of each row.
const COMMON_MAX: f64 = 0.05;
/// From such a share on all values are NULL.
const ALL_NULL: f64 = 0.999_999;
/// How far above the highest key that is known new ones begin, as a share of the range and at least.
const ABOVE: (f64, f64) = (0.01, 1_000.0);

/// A column as it is drafted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drafted<'a> {
    pub(super) source: &'a SourceColumn,
    /// What the profile has of it; `None`: the server fills it.
    pub(super) column: Option<profile::Column>,
    /// What is to be said of it.
    pub(super) notes: Vec<String>,
}

/// A table whose columns are drafted.
struct Drafting<'a> {
    table: &'a SourceTable,
    options: &'a DraftOptions,
    /// The column that tells the rows apart.
    identity: Option<&'a str>,
    /// Columns that count by themselves, so that what is unique there is unique here.
    counted: Vec<&'a str>,
}

pub(super) fn draft_columns<'a>(
    table: &'a SourceTable,
    options: &'a DraftOptions,
) -> Result<Vec<Drafted<'a>>, NoDraft> {
    let drafting = Drafting::new(table, options);
    let (mut all, mut stops) = (Vec::new(), Vec::new());
    for column in &table.columns {
        match drafting.column(column) {
            Ok(drafted) => all.push(drafted),
            Err(why) => stops.push(format!("column {}: {why}", column.name)),
        }
    }
    if stops.is_empty() && all.iter().all(|drafted| drafted.column.is_none()) {
        stops.push("the server fills every column itself, and a profile needs one".to_owned());
    }
    if stops.is_empty() { Ok(all) } else { Err(NoDraft(stops)) }
}

impl<'a> Drafting<'a> {
    fn new(table: &'a SourceTable, options: &'a DraftOptions) -> Self {
        let mut drafting = Self { table, options, identity: None, counted: Vec::new() };
        let keys =
            || table.unique_keys.iter().map(|key| key.iter().filter_map(|name| drafting.get(name)));
        // A column by itself goes before one of several.
        let single = keys().filter(|key| key.clone().count() == 1).flatten();
        let mut candidates = single.chain(keys().flatten());
        let identity = candidates
            .find(|column| drafting.can_identify(column))
            .map(|column| column.name.as_str());
        drafting.identity = identity;
        for key in &table.unique_keys {
            let columns: Vec<&SourceColumn> =
                key.iter().filter_map(|name| drafting.get(name)).collect();
            if columns.iter().any(|column| drafting.is_unique(column)) {
                continue;
            }
            // Of several the one with the most values: that changes least.
            let distinct = |column: &SourceColumn| {
                column.statistics.as_ref().map_or(0.0, |own| own.distinct(table.rows))
            };
            let whole = columns.into_iter().filter(|column| {
                matches!(column.known_type(), Some(ColumnType::Integer | ColumnType::BigInt))
            });
            let most = whole.max_by(|a, b| distinct(a).total_cmp(&distinct(b)));
            drafting.counted.extend(most.map(|column| column.name.as_str()));
        }
        drafting
    }

    fn get(&self, name: &str) -> Option<&'a SourceColumn> {
        self.table.columns.iter().find(|column| column.name == name)
    }

    /// Whether the rows of a run may be told apart by the column. What a sequence numbers is left to it: it would
    /// not know of numbers that others give.
    fn can_identify(&self, column: &SourceColumn) -> bool {
        let is_free = match column.filling {
            Filling::Generated => false,
            Filling::Numbered => self.options.copy.is_some(),
            Filling::Nothing | Filling::Default => true,
        };
        is_free
            && column.known_type() == Some(ColumnType::BigInt)
            && self.reference(column).is_none()
    }

    /// Whether no value of it comes twice, as it is drafted.
    fn is_unique(&self, column: &SourceColumn) -> bool {
        let name = column.name.as_str();
        let common = column.statistics.as_ref().is_some_and(|own| !own.common.is_empty());
        let is_uuid = column.known_type() == Some(ColumnType::Uuid) && !common;
        self.identity == Some(name)
            || self.counted.contains(&name)
            || column.filling == Filling::Numbered
            || is_uuid
    }

    fn is_key_alone(&self, column: &SourceColumn) -> bool {
        self.table.unique_keys.iter().any(|key| *key == [column.name.clone()])
    }

    fn reference(&self, column: &SourceColumn) -> Option<&'a Reference> {
        self.table.references.iter().find(|own| own.columns.contains(&column.name))
    }

    fn column(&self, source: &'a SourceColumn) -> Result<Drafted<'a>, String> {
        let left = |why: String| Ok(Drafted { source, column: None, notes: vec![why] });
        let left_or = |why: String| match source.is_optional() {
            true => left(format!("{why}: left to the server")),
            false => Err(why),
        };
        if source.filling == Filling::Generated {
            return left("generated by the server".to_owned());
        }
        let is_identity = self.identity == Some(source.name.as_str());
        if source.filling == Filling::Numbered && !is_identity {
            return left("numbered by the server".to_owned());
        }
        let Some(sql_type) = source.known_type() else {
            return left_or(format!("no generator makes values of type {}", source.sql_type));
        };
        let drafted = |Drawn { values, mut notes }: Drawn, null_ratio: f64| {
            if let Some(reference) = self.reference(source) {
                notes.push(self.refers(source, sql_type, reference));
            }
            let null_ratio = Some(rounded(null_ratio)).filter(|ratio| *ratio > 0.0);
            let column = profile::Column {
                name: Some(source.name.clone().into()),
                sql_type: Some(sql_type.to_string().into()),
                values: Some(values.into()),
                null_ratio: null_ratio.map(Number),
            };
            Ok(Drafted { source, column: Some(column), notes })
        };
        if is_identity {
            let drawn = Drawn { values: Values::RowId, notes: self.identity_notes(source) };
            return drafted(drawn, 0.0);
        }
        let Some(statistics) = &source.statistics else {
            return left_or(match source.is_readable {
                true => "ANALYZE has no statistics of it".to_owned(),
                false => {
                    "its statistics are hidden from this role, which may not SELECT it: GRANT SELECT".to_owned()
                }
            });
        };
        if statistics.null_frac >= ALL_NULL {
            return left_or("all of its values are NULL".to_owned());
        }
        if let Some(drawn) = self.by_role(source, sql_type, statistics) {
            return drafted(drawn, if source.not_null { 0.0 } else { statistics.null_frac });
        }
        let (known, dropped) = Drawing::without_chance(statistics, self.table.rows);
        let drawing = Drawing {
            column: source,
            sql_type,
            statistics: &known,
            rows: self.table.rows,
            keep_values: self.options.keep_values,
            within: self.within(source, sql_type, statistics),
            has_keys: self.keys(source).is_some(),
        };
        let drawn = match sql_type {
            ColumnType::Array(element) => elements::draw(&drawing, element.into()),
            _ => drawing.draw(),
        };
        match drawn {
            Ok(mut drawn) => {
                if dropped > 0 {
                    drawn.notes.push(format!(
                        "{dropped} of its most common values are that by chance, as far as a sample tells: drawn as the \
                         others"
                    ));
                }
                drafted(drawn, statistics.null_frac)
            }
            Err(why) => left_or(why),
        }
    }

    /// Values that follow from what the column is for, and not from its statistics.
    fn by_role(
        &self,
        source: &SourceColumn,
        sql_type: ColumnType,
        statistics: &Statistics,
    ) -> Option<Drawn> {
        let name = source.name.as_str();
        if self.counted.contains(&name) {
            return Some(self.in_turn(source, sql_type, statistics));
        }
        let is_moment = matches!(sql_type, ColumnType::TimestampTz | ColumnType::Timestamp);
        let is_key = self.table.partition_columns.iter().any(|key| key == name);
        let order = Order::of(statistics, self.table.rows);
        if is_moment
            && !is_key
            && order == Order::Ascending
            && statistics.null_frac == 0.0
            && statistics.common_share() < COMMON_MAX
        {
            let note =
                "it follows the rows there, so it is the moment each row is due here".to_owned();
            return Some(Drawn { values: Values::DueTime, notes: vec![note] });
        }
        if self.is_key_alone(source)
            && matches!(sql_type, ColumnType::Text | ColumnType::Varchar(_))
        {
            let limit = if let ColumnType::Varchar(chars) = sql_type { chars } else { u32::MAX };
            let chars = statistics.avg_width.saturating_sub(1).max(12).min(limit);
            let note = "unique there, and nearly so here: so many random characters are hardly ever drawn twice";
            let values = Values::Pattern(format!("{{letters:{chars}}}"));
            return Some(Drawn { values, notes: vec![note.to_owned()] });
        }
        None
    }

    /// Numbers in turn where what is unique has none that strom-load gives as an identity.
    fn in_turn(
        &self,
        source: &SourceColumn,
        sql_type: ColumnType,
        statistics: &Statistics,
    ) -> Drawn {
        let known = statistics.bounds.iter().chain(statistics.common.iter().map(|(text, _)| text));
        let known = known.filter_map(|text| row::measure(sql_type, text));
        let [low, high] =
            known.fold([1.0, 0.0], |[low, high]: [f64; 2], own| [low.min(own), high.max(own)]);
        let (share, least) = ABOVE;
        let min = match self.options.copy {
            Some(_) => low.max(1.0),
            None => high + ((high - low) * share).max(least).round(),
        };
        let max = if sql_type == ColumnType::BigInt { i64::MAX } else { i32::MAX.into() };
        let mut notes = vec![match self.is_key_alone(source) {
            true => "unique: counted".to_owned(),
            false => format!(
                "one of several columns that are unique together: counted, so that they are; there it has {} values",
                crate::quantity::format_about(statistics.distinct(self.table.rows) as u64)
            ),
        }];
        if self.options.copy.is_none() {
            notes.push(
                "from above the highest that the statistics know; a second run counts from there again: raise `min`"
                    .to_owned(),
            );
        }
        Drawn { values: counted((min as i64).min(max), max), notes }
    }

    fn identity_notes(&self, source: &SourceColumn) -> Vec<String> {
        match self.is_key_alone(source) {
            true => vec!["unique: tells the rows apart".to_owned()],
            false => vec![
                "one of several columns that are unique together: it tells the rows apart, and comes once".to_owned(),
            ],
        }
    }

    /// Ends that the values must not leave: those of the keys referred to, and of partitions.
    fn within(
        &self,
        source: &SourceColumn,
        sql_type: ColumnType,
        statistics: &Statistics,
    ) -> Option<[f64; 2]> {
        let ends = |low: &str, high: &str| {
            Some([row::measure(sql_type, low)?, row::measure(sql_type, high)?])
        };
        if let Some((low, high)) = self.keys(source) {
            return ends(low, high);
        }
        if self.table.partition_columns.contains(&source.name) && statistics.common.is_empty() {
            return ends(statistics.bounds.first()?, statistics.bounds.last()?);
        }
        None
    }

    /// The range of keys that the column must keep to. A copy has no foreign keys, and values that are kept are there.
    fn keys(&self, source: &SourceColumn) -> Option<&'a (String, String)> {
        let is_free = self.options.copy.is_some() || self.options.keep_values;
        self.reference(source).filter(|_| !is_free)?.range.as_ref()
    }

    fn refers(&self, source: &SourceColumn, sql_type: ColumnType, own: &Reference) -> String {
        let Reference { table, keys, range, columns } = own;
        let to = format!("refers to {table} ({})", keys.join(", "));
        if self.options.copy.is_some() {
            return format!("{to}, which the copy does not");
        }
        match range {
            _ if columns.len() > 1 => {
                format!("{to} together with others: rows whose keys are not there are refused")
            }
            Some(_) if row::measure(sql_type, "0").is_some() => format!(
                "{to}: drawn within the range of keys that the statistics know; a key that is missing there is refused"
            ),
            _ if self.options.keep_values && source.statistics.is_some() => {
                format!("{to}: only its common values are sure to be there")
            }
            _ => format!(
                "{to}: keys that are made up are refused; --keep-values writes those that are there"
            ),
        }
    }
}
