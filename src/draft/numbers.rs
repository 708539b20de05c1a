//! Values like those of a column of numbers or moments, by its statistics.

use super::measure::{self, Buckets, Shape};
use super::order::Order;
use super::values::{Drawing, Listed, NEARLY_UNIQUE, as_weights, choice, drawn_from};
use crate::profile::{Histogram, Pick, Values, Whole};
use crate::row::{self, ColumnType, ROWS_MAX};

/// A range of so many times its different values is one in which nearly all of them come.
const DENSE: f64 = 1.1;

/// What is known of such values.
struct Known<'a> {
    /// The most common ones: as a measure, as text, and with their share of the rows.
    common: Vec<(f64, &'a str, f64)>,
    /// Ends of buckets that hold equally many of the others.
    bounds: Vec<f64>,
    /// The same as text.
    texts: Vec<&'a str>,
}

impl<'a> Drawing<'a> {
    /// Numbers, days, moments and times of day.
    pub(super) fn measured(&self, notes: &mut Vec<String>) -> Result<Values, String> {
        let Known { common, bounds, texts } = self.known(notes)?;
        let (order, others) = (self.order(), self.others().filter(|_| bounds.len() > 1));
        if common.is_empty() && others.is_none() {
            return Err("its statistics have no values".to_owned());
        }
        let ends = self.ends(common.iter().map(|(value, ..)| *value).chain(bounds.iter().copied()));
        let is_float = matches!(self.sql_type, ColumnType::Real | ColumnType::Double);
        if is_float && !(ends[1] - ends[0]).is_finite() {
            return Err("its range is wider than a number can say".to_owned());
        }
        let follows = order.pick(self.rows);
        let Some(others) = others else {
            self.note_order(order, notes);
            return Ok(self.chosen(common, ends, follows, None));
        };
        let buckets = (bounds.len() - 1) as f64;
        if common.is_empty() || follows.is_some() {
            if !common.is_empty() {
                notes.push("its most common values are a part of the histogram".to_owned());
            }
            self.note_order(order, notes);
            let own = others.0.max(f64::MIN_POSITIVE) / buckets;
            let common: Vec<_> =
                common.iter().map(|(value, _, share)| (*value, share / own)).collect();
            let shape = Shape { bounds: &bounds, common: &common };
            return Ok(self.histogram(&shape, &texts, ends, others, follows));
        }
        self.note_order(Order::Random, notes);
        let shape = Shape { bounds: &bounds, common: &[] };
        let own_ends = self.ends(bounds.iter().copied());
        let rest = self.histogram(&shape, &texts, own_ends, others, None);
        Ok(self.chosen(common, ends, None, Some((others.0, rest))))
    }

    /// The values of the statistics that have a measure; and says which have none.
    fn known(&self, notes: &mut Vec<String>) -> Result<Known<'a>, String> {
        let statistics = self.statistics;
        let (mut unread, mut share, mut is_cut) = (None, 0.0, false);
        let mut read = |text: &'a str, own: f64| {
            let written = measure::cut(self.sql_type, text);
            is_cut |= written.len() < text.len();
            let found = measure::read(self.sql_type, text);
            if found.is_none() {
                unread = Some(measure::unread(self.sql_type, text));
                share += own;
            }
            found.map(|measure| (measure, written))
        };
        let common = statistics.common.iter();
        let common = common.filter_map(|(text, share)| {
            read(text, *share).map(|(measure, text)| (measure, text, *share))
        });
        let common: Vec<(f64, &str, f64)> = common.collect();
        let others = statistics.present() - statistics.common_share();
        let each = others.max(0.0) / statistics.bounds.len().max(1) as f64;
        let bounds = statistics.bounds.iter().filter_map(|text| read(text, each));
        let (bounds, texts): (Vec<f64>, Vec<&str>) = bounds.unzip();
        if let Some(what) = unread {
            if common.is_empty() && bounds.len() < 2 {
                return Err(format!("its values are {what}, which is not drawn"));
            }
            let percent = 100.0 * share / statistics.present().max(f64::MIN_POSITIVE);
            notes.push(format!(
                "about {percent:.0} % of its values are {what}: that is not drawn, and others come"
            ));
        }
        if let (true, ColumnType::Numeric { scale, .. }) = (is_cut, self.sql_type) {
            notes.push(format!("its values have more decimals than the {scale} that are drawn"));
        }
        Ok(Known { common, bounds, texts })
    }

    /// The ends of some values, rounded outward unless they must stay or may be shown.
    fn ends(&self, values: impl Iterator<Item = f64>) -> [f64; 2] {
        let least = [f64::INFINITY, f64::NEG_INFINITY];
        let ends = values.fold(least, |[low, high], value| [low.min(value), high.max(value)]);
        match self.within {
            Some(ends) => ends,
            None if self.keep_values => ends,
            None => measure::outward(self.sql_type, ends),
        }
    }

    /// The common values with what stands for each; none if one of them is not drawn as it is.
    pub(super) fn list_of_measures(&self) -> Vec<Listed> {
        let Ok(Known { common, bounds, .. }) = self.known(&mut Vec::new()) else {
            return Vec::new();
        };
        let is_whole = |own: &&(String, f64)| common.iter().any(|(_, text, _)| *text == own.0);
        if self.statistics.common.iter().filter(is_whole).count() < self.statistics.common.len() {
            return Vec::new();
        }
        let ends = self.ends(common.iter().map(|(value, ..)| *value).chain(bounds.iter().copied()));
        self.shown_measures(common, ends)
    }

    /// The common values in their order, with what stands for each.
    fn shown_measures(&self, mut common: Vec<(f64, &str, f64)>, ends: [f64; 2]) -> Vec<Listed> {
        common.sort_by(|a, b| a.0.total_cmp(&b.0));
        let stand_ins = match common.as_slice() {
            [(value, ..)] => {
                let own = measure::outward(self.sql_type, [*value, *value]);
                let is_alone = ends.map(f64::to_bits) == own.map(f64::to_bits);
                let near = match is_alone {
                    true => measure::alone(self.sql_type, *value),
                    false => measure::near(self.sql_type, *value, ends),
                };
                vec![row::text_of_measure(self.sql_type, near)]
            }
            _ => measure::spread(self.sql_type, ends, common.len()),
        };
        let listed = |((_, text, share), other): (&(f64, &str, f64), String)| Listed {
            text: (*text).to_owned(),
            shown: if self.is_shown(text) { (*text).to_owned() } else { other },
            share: *share,
        };
        common.iter().zip(stand_ins).map(listed).collect()
    }

    /// One of the common values, or of those that stand for them; and the others.
    fn chosen(
        &self,
        common: Vec<(f64, &str, f64)>,
        ends: [f64; 2],
        pick: Option<Pick>,
        others: Option<(f64, Values)>,
    ) -> Values {
        let listed = self.shown_measures(common, ends);
        let mut of: Vec<(String, f64)> =
            listed.into_iter().map(|own| (own.shown, own.share)).collect();
        if pick.is_none() {
            of.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        choice(of, pick, others)
    }

    fn histogram(
        &self,
        shape: &Shape<'_>,
        texts: &[&str],
        ends: [f64; 2],
        (share, distinct): (f64, f64),
        pick: Option<Pick>,
    ) -> Values {
        let Buckets { bounds, weights } = match self.keep_values {
            true => Buckets {
                bounds: texts.iter().map(|text| (*text).to_owned()).collect(),
                weights: shape.own_weights(),
            },
            false => measure::rounded(self.sql_type, shape, ends),
        };
        if bounds.len() < 2 {
            let one = row::text_of_measure(self.sql_type, ends[0]);
            return choice(vec![(one, 1.0)], None, None);
        }
        let distinct = distinct + shape.common.len() as f64;
        let levels = match pick {
            Some(_) => Some(distinct).filter(|distinct| *distinct < NEARLY_UNIQUE * self.drawn()),
            None => drawn_from(distinct, self.drawn() * share / self.statistics.present()),
        };
        // Where nearly every value of the range comes there is nothing to choose.
        let is_whole = !matches!(self.sql_type, ColumnType::Real | ColumnType::Double);
        let is_dense = is_whole && ends[1] - ends[0] + 1.0 <= DENSE * distinct;
        let levels = levels.filter(|levels| !is_dense && *levels <= ROWS_MAX as f64);
        Values::Histogram(Histogram {
            bounds: Some(bounds),
            weights: as_weights(&weights),
            distinct: levels.map(|levels| Whole(levels.round().max(1.0) as i64)),
            pick,
        })
    }
}
