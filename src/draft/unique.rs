//! What tells the rows of a table apart, and which columns count so that what is unique there is unique here.

use super::order::Order;
use super::values::Drawn;
use super::{DraftOptions, Filling, Reference, SourceColumn, SourceTable, Statistics, measure};
use crate::profile::{Day, Decimal, Integer, Label, Pick, Timestamp, Values, Whole};
use crate::quantity::{format_about, format_count};
use crate::row::ColumnType;
use crate::row::day::{DAY_US, format_day, format_moment, parse_day};
use crate::row::numeric::{pow10, units_text};

/// Such a share of common values keeps a column from being the time of each row.
const COMMON_MAX: f64 = 0.05;
/// How far above the highest key that is known new ones begin, as a share of the range.
const ABOVE: f64 = 0.01;
/// So many random letters are hardly ever drawn twice.
const LETTERS_MIN: u32 = 12;
/// Most of them: what is longer tells nothing more.
const CHARS_MAX: u32 = 10_000;
/// Characters of a number that a text may have to hold.
pub(super) const NUMBER_CHARS: u32 = 20;
/// Room for fewer rows is said.
const ROOM_MIN: i64 = 1_000_000_000;

/// Which columns of a key are rather counted, from the last one on: that changes least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Day,
    Small,
    Moment,
    Text,
    Whole,
}

impl Rank {
    fn of(sql_type: ColumnType) -> Option<Self> {
        use ColumnType as T;
        match sql_type {
            T::Integer | T::BigInt | T::Numeric { .. } => Some(Self::Whole),
            T::Text | T::Varchar(_) | T::Char(_) => Some(Self::Text),
            T::Timestamp | T::TimestampTz => Some(Self::Moment),
            T::SmallInt => Some(Self::Small),
            T::Date => Some(Self::Day),
            _ => None,
        }
    }
}

/// The unique keys of a table that is drafted.
pub(super) struct Keys<'a> {
    pub(super) table: &'a SourceTable,
    pub(super) options: &'a DraftOptions,
    /// The column that tells the rows apart.
    identity: Option<&'a str>,
    /// Columns that count by themselves.
    counted: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(table: &'a SourceTable, options: &'a DraftOptions) -> Self {
        let mut own = Self { table, options, identity: None, counted: Vec::new() };
        let keys =
            || table.unique_keys.iter().map(|key| key.iter().filter_map(|name| own.get(name)));
        // A column by itself goes before one of several, and a number before a UUID before a text.
        let candidates = keys().flatten().filter(|column| own.can_identify(column));
        let identity = candidates.min_by_key(|column| {
            let kind = match column.known_type() {
                Some(ColumnType::BigInt) => 0,
                Some(ColumnType::Uuid) => 1,
                _ => 2,
            };
            (!own.is_alone(column), kind)
        });
        own.identity = identity.map(|column| column.name.as_str());
        for key in &table.unique_keys {
            if !own.holds(key) {
                own.counted.extend(own.best(key));
            }
        }
        own
    }

    fn get(&self, name: &str) -> Option<&'a SourceColumn> {
        self.table.columns.iter().find(|column| column.name == name)
    }

    /// The foreign keys that the column is in.
    pub(super) fn references<'c>(
        &self,
        column: &'c SourceColumn,
    ) -> impl Iterator<Item = &'a Reference> + use<'a, 'c> {
        let all = self.table.references.iter();
        all.filter(|own| own.columns.contains(&column.name))
    }

    /// Whether its values are keys of a table.
    fn refers(&self, column: &SourceColumn) -> bool {
        self.references(column).next().is_some()
    }

    pub(super) fn is_identity(&self, column: &SourceColumn) -> bool {
        self.identity == Some(column.name.as_str())
    }

    pub(super) fn is_counted(&self, column: &SourceColumn) -> bool {
        self.counted.contains(&column.name.as_str())
    }

    pub(super) fn is_alone(&self, column: &SourceColumn) -> bool {
        self.table.unique_keys.iter().any(|key| *key == [column.name.clone()])
    }

    /// Whether its values say if there is a partition for the row.
    pub(super) fn is_of_partitions(&self, column: &SourceColumn) -> bool {
        self.table.partition_columns.contains(&column.name)
    }

    /// Whether it is the time of the rows, which comes as they do.
    pub(super) fn is_due(&self, column: &SourceColumn) -> bool {
        let Some(statistics) = &column.statistics else { return false };
        matches!(column.known_type(), Some(ColumnType::TimestampTz | ColumnType::Timestamp))
            && !self.is_of_partitions(column)
            && Order::of(statistics, self.table.rows) == Order::Ascending
            && statistics.null_frac == 0.0
            && statistics.common_share() < COMMON_MAX
    }

    /// Unique keys of which rows may be drawn that are there already, or twice.
    pub(super) fn broken(&self) -> Vec<&'a [String]> {
        let keys = self.table.unique_keys.iter();
        keys.filter(|key| !self.holds(key)).map(Vec::as_slice).collect()
    }

    /// Whether the rows may be told apart by the column. What a sequence numbers is left to it: it would not know
    /// of numbers that others give.
    fn can_identify(&self, column: &SourceColumn) -> bool {
        let is_free = match column.filling {
            Filling::Generated => false,
            Filling::Numbered => self.options.copy.is_some(),
            Filling::Nothing | Filling::Default => true,
        };
        let has_common = column.statistics.as_ref().is_some_and(|own| !own.common.is_empty());
        let is_plain = self.is_alone(column) && !self.is_of_partitions(column) && !column.is_enum;
        let fits = match column.known_type() {
            Some(ColumnType::BigInt) => true,
            // Of several columns that are unique together it may be what another table's rows have in common.
            Some(ColumnType::Uuid) => self.is_alone(column) || !has_common,
            Some(ColumnType::Varchar(chars)) => is_plain && chars > NUMBER_CHARS,
            Some(ColumnType::Text) => is_plain,
            _ => false,
        };
        is_free && fits && !self.refers(column)
    }

    /// Whether a key is unique, as its columns are drafted.
    fn holds(&self, key: &[String]) -> bool {
        let mut columns = key.iter().filter_map(|name| self.get(name));
        columns.any(|column| {
            let is_known = |own: &Statistics| own.common.is_empty() && !own.is_all_null();
            let is_uuid = column.known_type() == Some(ColumnType::Uuid)
                && column.filling != Filling::Generated
                && !self.refers_there(column)
                && column.statistics.as_ref().is_some_and(is_known);
            self.is_identity(column)
                || self.is_counted(column)
                || column.filling == Filling::Numbered
                || is_uuid
                || (self.is_due(column) && !self.has_whole(key))
        })
    }

    /// Whether a whole number of it can be counted.
    fn has_whole(&self, key: &[String]) -> bool {
        let mut columns = key.iter().filter_map(|name| self.get(name));
        columns.any(|column| {
            self.can_be_counted(column)
                && column.known_type().and_then(Rank::of) == Some(Rank::Whole)
        })
    }

    /// Whether it is in a unique key.
    pub(super) fn is_in_key(&self, column: &SourceColumn) -> bool {
        self.table.unique_keys.iter().any(|key| key.contains(&column.name))
    }

    /// Whether its values must be keys of another table. A copy has no foreign keys.
    fn refers_there(&self, column: &SourceColumn) -> bool {
        self.options.copy.is_none() && self.refers(column)
    }

    /// The column of a key that is to be counted, if one can be: of several whole numbers that with the most values,
    /// which changes least.
    fn best(&self, key: &'a [String]) -> Option<&'a str> {
        let distinct = |column: &SourceColumn| {
            column.statistics.as_ref().map_or(0.0, |own| own.distinct(self.table.rows))
        };
        let columns = key.iter().filter_map(|name| self.get(name));
        let rated = columns.filter(|column| self.can_be_counted(column)).filter_map(|column| {
            Some((Rank::of(column.known_type()?)?, distinct(column), column.name.as_str()))
        });
        let best = rated.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        best.map(|(.., name)| name)
    }

    fn can_be_counted(&self, column: &SourceColumn) -> bool {
        let is_free = matches!(column.filling, Filling::Nothing | Filling::Default);
        let is_known = |own: &Statistics| !own.is_all_null();
        is_free
            && !column.is_enum
            && !self.refers_there(column)
            && !self.is_of_partitions(column)
            && column.statistics.as_ref().is_some_and(is_known)
    }

    /// Values in turn where what is unique has none that strom-load gives as an identity.
    pub(super) fn in_turn(
        &self,
        column: &SourceColumn,
        sql_type: ColumnType,
        statistics: &Statistics,
    ) -> Drawn {
        let rank = Rank::of(sql_type);
        let (values, room) = match rank {
            Some(Rank::Text) => texts(sql_type, statistics, self.options.copy.is_some()),
            _ => {
                let (values, room) = self.numbers(sql_type, statistics);
                (values, Some(room))
            }
        };
        let way = if room.is_some() { "counted" } else { "random letters" };
        let mut notes = vec![match self.is_alone(column) {
            true => format!("unique: {way}"),
            false => format!(
                "one of several columns that are unique together: {way}, so that they are; there it has {} values",
                format_about(statistics.distinct(self.table.rows) as u64)
            ),
        }];
        match room {
            None => notes.push("so many of them are hardly ever drawn twice".to_owned()),
            Some(room) if room < ROOM_MIN => notes.push(format!(
                "of that there are {}: then it begins again, and rows are refused",
                format_count(room.unsigned_abs())
            )),
            Some(_) => {}
        }
        if self.options.copy.is_none() && room.is_some() {
            notes.push(match rank {
                Some(Rank::Text) => "a text that is there already is refused".to_owned(),
                _ => "from above the highest that the statistics know; a second run counts from there again: raise `min`"
                    .to_owned(),
            });
        }
        Drawn { values, notes }
    }

    /// A generator of numbers or moments in turn, and how many there are.
    fn numbers(&self, sql_type: ColumnType, statistics: &Statistics) -> (Values, i64) {
        let texts = statistics.bounds.iter().chain(statistics.common.iter().map(|(text, _)| text));
        let known = texts.filter_map(|text| measure::read(sql_type, text));
        let ends = known.fold(None, |ends: Option<[f64; 2]>, own| {
            let [low, high] = ends.unwrap_or([own, own]);
            Some([low.min(own), high.max(own)])
        });
        let [low, high] = ends.unwrap_or_default();
        let (above, max) = limits(sql_type);
        let min = match (&self.options.copy, Rank::of(sql_type)) {
            // Days and moments begin where they do there.
            (Some(_), Some(Rank::Day | Rank::Moment)) => low,
            (Some(_), _) => 1.0,
            (None, _) => {
                let above = above.max((high - low) * ABOVE).round();
                // Of little room little is left out.
                high + above.min(((max as f64 - high) * ABOVE).floor()).max(1.0)
            }
        };
        let min = (min as i64).min(max);
        let pick = Some(Pick::Cycle);
        let whole = |number| Some(Whole(number));
        let day = |days: i64| Some(format_day(days as i32));
        let moment = |us: i64| {
            let zone = if sql_type == ColumnType::TimestampTz { "+00" } else { "" };
            Some(format_moment(us) + zone)
        };
        let values = match sql_type {
            ColumnType::Numeric { scale, .. } => Values::Decimal(Decimal {
                min: Some(units_text(min.into(), scale)),
                max: Some(units_text(max.into(), scale)),
                pick,
            }),
            ColumnType::Date => Values::Day(Day { min: day(min), max: day(max), pick }),
            ColumnType::Timestamp | ColumnType::TimestampTz => {
                Values::Timestamp(Timestamp { min: moment(min), max: moment(max), pick })
            }
            _ => Values::Integer(Integer { min: whole(min), max: whole(max), pick }),
        };
        (values, max.saturating_sub(min).saturating_add(1))
    }
}

/// How far above the highest key that is known new ones begin at least, and the greatest number of a type.
fn limits(sql_type: ColumnType) -> (f64, i64) {
    use ColumnType as T;
    let last_day = || i64::from(parse_day("9999-12-31").unwrap_or_default());
    match sql_type {
        T::SmallInt => (1_000.0, i16::MAX.into()),
        T::Integer => (1_000.0, i32::MAX.into()),
        T::Numeric { precision: precision @ ..=18, .. } => (1_000.0, pow10(precision) as i64 - 1),
        T::Date => (31.0, last_day()),
        T::Timestamp | T::TimestampTz => (DAY_US as f64, (last_day() + 1) * DAY_US - 1),
        _ => (1_000.0, i64::MAX),
    }
}

/// A generator of texts of which none comes twice: random letters, or in turn as many as told.
fn texts(sql_type: ColumnType, statistics: &Statistics, is_empty: bool) -> (Values, Option<i64>) {
    let limit = match sql_type {
        ColumnType::Varchar(chars) | ColumnType::Char(chars) => chars,
        _ => u32::MAX,
    };
    if limit >= LETTERS_MIN {
        let chars = statistics.avg_width.saturating_sub(1).clamp(LETTERS_MIN, limit.min(CHARS_MAX));
        return (Values::Pattern(format!("{{letters:{chars}}}")), None);
    }
    // Numbers of as many digits as it takes; behind a letter, if numbers are there already.
    let known = || statistics.bounds.iter().chain(statistics.common.iter().map(|(text, _)| text));
    let begins = |char: char| known().any(|text| text.starts_with(char));
    let mut letters = ('A'..='Z').rev().filter(|letter| !begins(*letter));
    let letter = letters.next().filter(|_| !is_empty && limit > 1 && ('0'..='9').any(begins));
    let digits = limit - u32::from(letter.is_some());
    let min = if digits > 1 { 10_i64.pow(digits - 1) } else { 0 };
    let max = 10_i64.pow(digits) - 1;
    let whole = |number| Some(Whole(number));
    let prefix = Some(letter.map(String::from).unwrap_or_default());
    let pick = Some(Pick::Cycle);
    let values = Values::Label(Label { prefix, min: whole(min), max: whole(max), pick });
    (values, Some(max - min + 1))
}
