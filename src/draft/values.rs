//! Values like those of a column, by its statistics: which generator, with which settings.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::measure;
use super::order::Order;
use super::{SourceColumn, Statistics};
use crate::profile::{Boolean, Bytes, Choice, Inet, Label, Number, Pick, Text, Values, Whole};
use crate::row::ColumnType;

/// From such a share of the values on they are all common.
const ALL_COMMON: f64 = 0.9999;
/// With so many different values a row hardly ever has the one of another row.
pub(super) const NEARLY_UNIQUE: f64 = 0.9;
/// Fewer rows of a sample do not tell how common a value is.
const TIMES_MIN: f64 = 10.0;
/// By so many standard deviations one of many values that are all as common may have more rows than they.
const BY_CHANCE: f64 = 4.0;
/// Most characters of a text that is drawn: what is longer tells nothing more.
const CHARS_MAX: u32 = 10_000;

/// What is drawn of a column, and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawn {
    pub(super) values: Values,
    pub(super) notes: Vec<String>,
}

/// One of the values of a column that has no others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    /// As the statistics have it.
    pub(super) text: String,
    /// As the profile has it.
    pub(super) shown: String,
    /// Its share of all rows.
    pub(super) share: f64,
}

/// A column with what its values are drawn by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing<'a> {
    pub(super) column: &'a SourceColumn,
    pub(super) sql_type: ColumnType,
    pub(super) statistics: &'a Statistics,
    /// Rows of the table.
    pub(super) rows: f64,
    /// Whether the table's values may be shown.
    pub(super) keep_values: bool,
    /// Ends that the values must stay within, as they are: those of partitions.
    pub(super) within: Option<[f64; 2]>,
    /// Values that partitions are for, one by one: they stand in the catalogue.
    pub(super) listed: &'a [String],
}

impl Drawing<'_> {
    /// The values; or why there are none.
    pub(super) fn draw(&self) -> Result<Drawn, String> {
        use ColumnType as T;
        let mut notes = Vec::new();
        let values = match self.sql_type {
            T::Boolean => self.boolean(&mut notes)?,
            T::Text if self.column.is_enum && self.statistics.common.is_empty() => {
                return Err("its statistics have no labels".to_owned());
            }
            T::Text | T::Varchar(_) | T::Char(_) => self.texts(&mut notes),
            T::Uuid => self.uuids(&mut notes),
            T::Json | T::Jsonb => self.document(&mut notes),
            T::Bytea => {
                notes.push("random bytes, all as long as the average".to_owned());
                let bytes = Some(Whole(self.width().into()));
                Values::Bytes(Bytes { min_bytes: bytes, max_bytes: bytes })
            }
            T::Inet => self.addresses(&mut notes),
            _ => self.measured(&mut notes)?,
        };
        Ok(Drawn { values, notes })
    }

    /// The statistics without values that are in the list of the most common ones by chance alone.
    pub(super) fn without_chance(
        statistics: &Statistics,
        rows: f64,
    ) -> (Cow<'_, Statistics>, usize) {
        let Statistics { common, bounds, .. } = statistics;
        let others = statistics.present() - statistics.common_share();
        let distinct = statistics.distinct(rows);
        if others < (1.0 - ALL_COMMON) * statistics.present() || bounds.len() < 2 {
            return (Cow::Borrowed(statistics), 0);
        }
        let sample = statistics.sample(rows);
        // Of the values that are in no list. Those that are may be most of all, and then far above it.
        let mean = sample * others / (distinct - common.len() as f64).max(1.0);
        let is_common = |(_, share): &&(String, f64)| {
            let times = share * sample;
            times >= TIMES_MIN && times - mean > BY_CHANCE * mean.sqrt()
        };
        let kept: Vec<_> = common.iter().filter(is_common).cloned().collect();
        let dropped = common.len() - kept.len();
        (Cow::Owned(Statistics { common: kept, ..statistics.clone() }), dropped)
    }

    /// How many rows the statistics are of.
    pub(super) fn sample(&self) -> f64 {
        self.statistics.sample(self.rows)
    }

    /// How the values follow the rows. ANALYZE reads one partition after the other, so of keys that say in which
    /// a row is that is not known.
    pub(super) fn order(&self) -> Order {
        match self.listed {
            [] => Order::of(self.statistics, self.rows),
            _ => Order::Random,
        }
    }

    /// Whether a value may stand in the profile as it is.
    pub(super) fn is_shown(&self, text: &str) -> bool {
        self.keep_values || self.column.is_enum || self.listed.iter().any(|own| own == text)
    }

    /// Rows that have a value.
    pub(super) fn drawn(&self) -> f64 {
        self.rows * self.statistics.present()
    }

    /// Says what of the order is not drawn.
    pub(super) fn note_order(&self, drawn: Order, notes: &mut Vec<String>) {
        match self.order() {
            Order::Between(correlation) => notes.push(format!(
                "correlation {correlation:.2} with the order of the rows is not drawn: they are in none"
            )),
            own if own != drawn => notes.push("the order of the rows is not drawn".to_owned()),
            _ => {}
        }
    }

    /// The share of the rows that have none of the common values, and how many different ones those have.
    pub(super) fn others(&self) -> Option<(f64, f64)> {
        let Statistics { common, .. } = self.statistics;
        let share = self.statistics.present() - self.statistics.common_share();
        let distinct = self.statistics.distinct(self.rows) - common.len() as f64;
        let is_all = share < (1.0 - ALL_COMMON) * self.statistics.present() || distinct < 0.5;
        (common.is_empty() || !is_all).then(|| (share.max(0.0), distinct.max(1.0)))
    }

    fn boolean(&self, notes: &mut Vec<String>) -> Result<Values, String> {
        let share = |text: &str| {
            let own = self.statistics.common.iter().find(|(value, _)| value == text);
            own.map(|(_, share)| *share)
        };
        let present = self.statistics.present();
        let ratio = match (share("t"), share("f")) {
            (Some(yes), _) => yes / present,
            (None, Some(no)) => 1.0 - no / present,
            (None, None) => return Err("its statistics have no values".to_owned()),
        };
        self.note_order(Order::Random, notes);
        Ok(Values::Boolean(Boolean { true_ratio: Some(Number(rounded(ratio.clamp(0.0, 1.0)))) }))
    }

    /// Average characters of a text, or bytes: what is stored less its length.
    fn width(&self) -> u32 {
        let stored = self.statistics.avg_width;
        stored.saturating_sub(if stored <= 127 { 1 } else { 4 }).min(CHARS_MAX)
    }

    /// Its values, if they are drawn as a list at random and there are no others: what stands for which.
    pub(super) fn list(&self, drawn: &Values) -> Vec<Listed> {
        let common = self.statistics.common.iter();
        let all: Vec<Listed> = match drawn {
            Values::Boolean(_) => {
                let shown = |text: &str| if text == "t" { "true" } else { "false" }.to_owned();
                let both = ["t", "f"].map(|text| {
                    let own = common.clone().find(|own| own.0 == text);
                    let share = own.map_or(0.0, |own| own.1);
                    Listed { text: text.to_owned(), shown: shown(text), share }
                });
                return both.into();
            }
            Values::Choice(Choice { others: None, pick: None, .. }) => match self.sql_type {
                ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Char(_) => {
                    let own = |(place, (text, share)): (usize, &(String, f64))| Listed {
                        text: text.clone(),
                        shown: self.shown(place, text),
                        share: *share,
                    };
                    common.enumerate().map(own).collect()
                }
                _ => self.list_of_measures(),
            },
            _ => return Vec::new(),
        };
        // Nothing is taken for the list that is not what is drawn.
        let is_drawn = |own: &Listed| match drawn {
            Values::Choice(Choice { of: Some(of), .. }) => of.contains(&own.shown),
            _ => false,
        };
        let shown: BTreeSet<&str> = all.iter().map(|own| own.shown.as_str()).collect();
        if shown.len() == all.len() && all.iter().all(is_drawn) { all } else { Vec::new() }
    }

    /// What stands for texts.
    fn names(&self) -> Names<'_> {
        let limit = match self.sql_type {
            ColumnType::Varchar(chars) | ColumnType::Char(chars) => chars,
            _ => u32::MAX,
        };
        let is_padded = matches!(self.sql_type, ColumnType::Char(_));
        Names {
            stem: &self.column.name,
            // How much of a padded text is spaces is not known.
            chars: (!is_padded).then(|| self.width().min(limit)),
            limit,
        }
    }

    /// One of the most common texts as the profile has it.
    fn shown(&self, place: usize, text: &str) -> String {
        let trimmed = text.trim_end_matches(' ');
        match self.is_shown(trimmed) {
            true if matches!(self.sql_type, ColumnType::Char(_)) => trimmed.to_owned(),
            true => text.to_owned(),
            false => self.names().label(place as u64 + 1, self.statistics.common.len() as u64),
        }
    }

    fn texts(&self, notes: &mut Vec<String>) -> Values {
        let names = self.names();
        let limit = names.limit;
        let common = &self.statistics.common;
        // The labels of an enum are what the table is made of, and there are no others.
        let is_enum = self.column.is_enum;
        let (order, others) = (self.order(), self.others().filter(|_| !is_enum));
        let Some((share, distinct)) = others else {
            let follows = order.pick(self.rows);
            let mut sorted: Vec<(&str, f64)> =
                common.iter().map(|(text, share)| (text.as_str(), *share)).collect();
            if follows.is_some() {
                // As labels are in order; the server has an order of its own.
                sorted.sort_by(|a, b| a.0.cmp(b.0));
            }
            self.note_order(order, notes);
            let labels = sorted.iter().enumerate();
            let of =
                labels.map(|(place, (text, share))| (self.shown(place, text), *share)).collect();
            return choice(of, follows, None);
        };
        let follows = if common.is_empty() { order.pick(self.rows) } else { None };
        self.note_order(if follows.is_some() { order } else { Order::Random }, notes);
        let levels = match follows {
            Some(_) => Some(distinct),
            None => drawn_from(distinct, self.drawn() * share / self.statistics.present()),
        };
        let rest = match levels {
            None => {
                let chars = Some(Whole(self.width().clamp(1, limit).into()));
                Values::Text(Text { min_chars: chars, max_chars: chars })
            }
            Some(levels) => names.labels(common.len() as u64, levels.round() as u64, follows),
        };
        if common.is_empty() {
            return rest;
        }
        let of = common.iter().enumerate();
        let of = of.map(|(place, (text, share))| (self.shown(place, text), *share)).collect();
        choice(of, None, Some((share, rest)))
    }

    fn uuids(&self, notes: &mut Vec<String>) -> Values {
        let common = &self.statistics.common;
        let others = self.others();
        if common.is_empty() && self.order() == Order::Ascending {
            notes.push(
                "they follow the rows there: version 7, of the moment each row is due".to_owned(),
            );
            return Values::UuidV7;
        }
        self.note_order(Order::Random, notes);
        if let Some((_, distinct)) = others
            && distinct < NEARLY_UNIQUE * self.drawn()
        {
            notes.push(
                "each random UUID is another one: how many there are is not drawn".to_owned(),
            );
        }
        if common.is_empty() {
            return Values::Uuid;
        }
        let stand_in = |place: usize| format!("00000000-0000-4000-8000-{:012}", place + 1);
        let shown = |(place, (text, share)): (usize, &(String, f64))| {
            (if self.keep_values { text.clone() } else { stand_in(place) }, *share)
        };
        let of = common.iter().enumerate().map(shown).collect();
        choice(of, None, others.map(|(share, _)| (share, Values::Uuid)))
    }

    fn addresses(&self, notes: &mut Vec<String>) -> Values {
        let common = &self.statistics.common;
        self.note_order(Order::Random, notes);
        let rest = Values::Inet(Inet { network: Some("10.0.0.0/8".to_owned()) });
        let others = self.others().map(|(share, _)| (share, rest.clone()));
        if others.is_some() {
            notes.push(
                "random addresses of one network: of which networks they are is not drawn"
                    .to_owned(),
            );
        }
        if common.is_empty() {
            return rest;
        }
        let stand_in = |place: usize| format!("192.168.{}.{}", place / 250 % 250, 1 + place % 250);
        let shown = |(place, (text, share)): (usize, &(String, f64))| {
            (if self.keep_values { text.clone() } else { stand_in(place) }, *share)
        };
        choice(common.iter().enumerate().map(shown).collect(), None, others)
    }

    /// A document as wide as those that are there.
    fn document(&self, notes: &mut Vec<String>) -> Values {
        notes.push(
            "what is in the documents is not known: this one is as wide on average".to_owned(),
        );
        let frame = r#"{"value": ""}"#.len() as u32;
        let chars = self.width().saturating_sub(frame).max(1);
        Values::Pattern(format!(r#"{{"value": "{{letters:{chars}}}"}}"#))
    }
}

/// Texts that stand for others: the column's name and a number, of a given width.
struct Names<'a> {
    stem: &'a str,
    /// Characters that they are to have; `None`: as it comes.
    chars: Option<u32>,
    /// Characters that they have at most.
    limit: u32,
}

impl Names<'_> {
    /// What stands before a number of so many digits.
    fn prefix(&self, digits: u32) -> String {
        let natural = self.stem.chars().count() as u32 + 1;
        let room = self.chars.unwrap_or(natural + digits).min(self.limit).saturating_sub(digits);
        self.stem.chars().chain(['_']).cycle().take(room as usize).collect()
    }

    /// The label of one of `count`: the shortest that fits.
    fn label(&self, number: u64, count: u64) -> String {
        let digits = digits(count);
        match digits <= self.limit {
            true => format!("{}{number:0digits$}", self.prefix(digits), digits = digits as usize),
            false => short(number, self.limit),
        }
    }

    /// Labels of `count` numbers beyond `before`, all with as many digits: so their order is that of the numbers.
    fn labels(&self, before: u64, count: u64, pick: Option<Pick>) -> Values {
        let mut min = 1_u64;
        while min <= before || min.saturating_mul(9) < count {
            min = min.saturating_mul(10);
        }
        let max = min.saturating_add(count - 1).min(i64::MAX as u64);
        if digits(max) > self.limit {
            let chars = Some(Whole(self.limit.into()));
            return Values::Text(Text { min_chars: chars, max_chars: chars });
        }
        let whole = |number: u64| Some(Whole(number as i64));
        Values::Label(Label {
            prefix: Some(self.prefix(digits(max))),
            min: whole(min),
            max: whole(max),
            pick,
        })
    }
}

/// From how many values, all as common, so many rows must be drawn to have `distinct` different ones; `None`: from
/// so many that none comes twice.
pub(super) fn drawn_from(distinct: f64, rows: f64) -> Option<f64> {
    if distinct >= NEARLY_UNIQUE * rows {
        return None;
    }
    // Of n values a row misses each with a probability of 1 − 1 ÷ n.
    let seen = |values: f64| values * (1.0 - (-rows / values).exp());
    let (mut low, mut high) = (distinct, distinct * 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        (low, high) = if seen(middle) < distinct { (middle, high) } else { (low, middle) };
    }
    Some(low)
}

/// Decimal digits of a number.
fn digits(number: u64) -> u32 {
    number.max(1).ilog10() + 1
}

/// A number from 1 on in few characters: letters and digits.
fn short(number: u64, chars: u32) -> String {
    let all = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9');
    let all: Vec<char> = all.map(char::from).collect();
    let mut rest = (number - 1) as usize;
    let mut text = Vec::new();
    for _ in 0..chars {
        text.push(all[rest % all.len()]);
        rest /= all.len();
    }
    text.iter().rev().collect()
}

/// One of these values, which come so often; and others beside them.
pub(super) fn choice(
    mut of: Vec<(String, f64)>,
    pick: Option<Pick>,
    others: Option<(f64, Values)>,
) -> Values {
    let others = match others {
        // Where all others are one value, that is one of the list.
        Some((weight, Values::Choice(Choice { of: Some(listed), others: None, .. })))
            if listed.len() == 1 =>
        {
            of.extend(listed.into_iter().map(|value| (value, weight)));
            None
        }
        others => others,
    };
    let (of, weights): (Vec<String>, Vec<f64>) = of.into_iter().unzip();
    let (others_weight, others) = others.unzip();
    Values::Choice(Choice {
        of: Some(of),
        weights: match others_weight {
            None => as_weights(&measure::unless_alike(weights)),
            Some(_) => as_weights(&weights),
        },
        others_weight: others_weight.map(|weight| Number(rounded(weight))),
        others: others.map(Box::new),
        pick,
    })
}

pub(super) fn as_weights(weights: &[f64]) -> Option<Vec<Number>> {
    let numbers = weights.iter().map(|weight| Number(rounded(*weight)));
    (!weights.is_empty()).then(|| numbers.collect())
}

/// A share to six digits after the point, which is more than a sample of rows knows.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_values_are_seen_as_there_are() {
        assert_eq!(drawn_from(900.0, 900.0), None);
        assert_eq!(drawn_from(10.0, 1e6).map(f64::round), Some(10.0));
        let half = drawn_from(5e5, 1e6).unwrap();
        assert!((half * (1.0 - (-1e6 / half).exp()) - 5e5).abs() < 1.0, "{half}");
    }

    #[test]
    fn what_is_common_is_told_from_what_seems_so_by_chance() {
        let dropped = |shares: Vec<f64>, n_distinct: f64| {
            let common = shares.iter().enumerate().map(|(at, share)| (at.to_string(), *share));
            let statistics = Statistics {
                common: common.collect(),
                bounds: (0..11).map(|at| at.to_string()).collect(),
                n_distinct,
                ..Statistics::default()
            };
            Drawing::without_chance(&statistics, 1e6).1
        };
        // Most of 499 values, from many rows down to few: whatever is listed is far above what is left.
        let weights: Vec<f64> = (1..500).map(|at| (500.0 / f64::from(at)).ln()).collect();
        let all: f64 = weights.iter().sum();
        let falling = weights.iter().take(470).map(|weight| weight / all).collect();
        assert!(dropped(falling, 499.0) < 10);
        // Of 10,000 values that are all as common the sample of 30,000 has some a few times more often.
        assert_eq!(dropped(vec![12.0 / 3e4; 5], 10_000.0), 0);
        assert_eq!(dropped(vec![9.0 / 3e4; 5], 10_000.0), 5);
        assert_eq!(dropped(vec![0.0012; 20], 1_000.0), 20);
        assert_eq!(dropped(vec![0.3, 0.1], 1_000.0), 0);
    }

    #[test]
    fn labels_have_the_width_that_is_asked_for() {
        let names = |chars, limit| Names { stem: "status", chars, limit };
        assert_eq!(names(Some(8), 99).label(1, 5), "status_1");
        assert_eq!(names(Some(4), 99).label(1, 5), "sta1");
        assert_eq!(names(Some(12), 99).label(7, 25), "status_sta07");
        assert_eq!(names(None, 99).label(7, 25), "status_07");
        assert_eq!(
            (names(None, 1).label(1, 3), names(None, 1).label(27, 30)),
            ("1".into(), "a".into())
        );
        let labels = |count, limit| match names(None, limit).labels(3, count, None) {
            Values::Label(Label { prefix, min, max, .. }) => {
                (prefix.unwrap(), min.unwrap().0, max.unwrap().0)
            }
            Values::Text(Text { max_chars, .. }) => (String::new(), 0, max_chars.unwrap().0),
            other => panic!("{other:?}"),
        };
        assert_eq!(labels(5, 99), ("status_".into(), 10, 14));
        assert_eq!(labels(90_000, 99), ("status_".into(), 10_000, 99_999));
        assert_eq!(labels(90_001, 99), ("status_".into(), 100_000, 190_000));
        assert_eq!(labels(50, 2), (String::new(), 10, 59));
        assert_eq!(labels(50, 1), (String::new(), 0, 1));
    }
}
