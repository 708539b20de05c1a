//! Columns of foreign keys: drawn of the keys that are there when a run begins, as often as the statistics say, as far
//! as that can be said without their values.

use super::column::Drafting;
use super::order::Order;
use super::values::{Drawing, Drawn, choice};
use super::{Reference, SourceColumn, measure};
use crate::plan::{KEYS_MAX, TableName};
use crate::profile::{self, Number, Pick, Values, Zipf};
use crate::quantity::{format_about, format_count};
use crate::row::{ColumnType, is_measured};

/// So far from what is expected a share may be, as a part of it.
const OFF: f64 = 0.1;
/// And by so many standard deviations of what a sample tells, of one share among many.
const BY_CHANCE: f64 = 4.0;
/// The same of the few shares that a law is held against.
const BY_CHANCE_OF_FEW: f64 = 2.0;
/// As many of the greatest shares must be those of a law.
const RANKS: usize = 20;
/// With such a part of the keys all are referred to, as far as a sample tells.
const NEARLY_ALL: f64 = 0.9;
/// The greatest exponent of a law that is looked for.
const EXPONENT_MAX: f64 = 20.0;
/// Ranks that are added up one by one.
const EXACT_RANKS: u64 = 1_000;

impl Reference {
    /// The table, as a profile names it.
    pub(super) fn table_name(&self) -> String {
        TableName { schema: Some(self.schema.clone()), name: self.table.clone() }.as_written()
    }

    /// The table and its columns, for a comment.
    fn to(&self) -> String {
        format!("{} ({})", self.table_name(), self.keys.join(", "))
    }

    /// Whether a load can draw its keys, if they are of one column.
    fn can_be_drawn(&self) -> bool {
        self.columns.len() == 1 && self.keys.len() == 1 && self.is_readable
    }
}

impl<'a> Drafting<'a> {
    /// The foreign key whose keys the column is drawn of: of this column alone, of which a load can read the keys. A copy
    /// has none, the labels of an enum are drawn as such, and where partitions are listed only their values do.
    pub(super) fn drawn_key(
        &self,
        source: &SourceColumn,
        sql_type: ColumnType,
    ) -> Option<&'a Reference> {
        let is_free = self.options.copy.is_some() || source.is_enum || !sql_type.is_written();
        let is_listed = source
            .statistics
            .as_ref()
            .is_some_and(|statistics| !self.listed(source, statistics).is_empty());
        let mut own = self.keys.references(source).filter(|_| !is_free && !is_listed);
        own.find(|reference| reference.can_be_drawn())
    }

    /// What is to be said of the foreign keys of a column whose keys are not drawn.
    pub(super) fn key_notes(
        &self,
        source: &SourceColumn,
        drawn: Option<&Reference>,
    ) -> Vec<String> {
        let all =
            self.keys.references(source).filter(|own| drawn.is_none_or(|drawn| *own != drawn));
        all.map(|own| self.undrawn(source, own, drawn.is_some())).collect()
    }

    fn undrawn(&self, source: &SourceColumn, own: &Reference, has_other: bool) -> String {
        let to = format!("refers to {}", own.to());
        if self.options.copy.is_some() {
            return match own.can_be_drawn() && !source.is_enum {
                true => format!(
                    "{to}, which the copy does not: drawn as any column; `reference` draws keys that are there"
                ),
                false => format!("{to}, which the copy does not: drawn as any column"),
            };
        }
        if own.columns.len() > 1 {
            let of = if own.is_self { ", so to other rows of its own," } else { "" };
            return format!(
                "{to}{of} together with others: which of them belong together is not drawn, and rows whose keys are \
                 not there are refused"
            );
        }
        let kept = match source.statistics.is_some() && self.options.keep_values {
            true => "only its common values are sure to be there",
            false => {
                "keys that are made up are refused; --keep-values writes the most common ones that are there"
            }
        };
        match own.is_readable {
            _ if has_other => format!("{to}, too: a key that is not there is refused"),
            _ if source.is_enum => format!("{to}: drawn of the labels that come there"),
            false => {
                format!("{to}, whose keys this role may not read, so they are not drawn: {kept}")
            }
            true => format!("{to}: {kept}"),
        }
    }
}

/// What the statistics say of how often keys come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shares {
    /// Each as often as the others.
    Even,
    /// By their rank, with this exponent.
    Ranked(f64),
    /// In another way.
    Other,
}

/// How many keys there are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Count {
    /// Those that are referred to.
    used: f64,
    /// All, or those that are used if that is not known.
    all: f64,
    is_known: bool,
}

impl Count {
    fn is_in_part(self) -> bool {
        self.used < NEARLY_ALL * self.all
    }
}

impl Drawing<'_> {
    /// Keys that are there; or why there are none.
    pub(super) fn keys(&self, reference: &Reference) -> Result<Drawn, String> {
        if reference.is_empty && !reference.is_self {
            return Err(format!(
                "it refers to {}, which is empty: fill that first",
                reference.to()
            ));
        }
        let used = self.statistics.distinct(self.rows.max(1.0));
        let is_known = reference.rows > 0.0;
        let count = Count { used, all: reference.rows.max(used), is_known };
        let shares = self.shares(count);
        let mut notes = vec![format!("refers to {}: one of the keys there", reference.to())];
        if reference.is_self {
            notes.push(
                "that is the table itself: its keys are those that are there when a run begins, so no row refers to \
                 one of the same run"
                    .to_owned(),
            );
            if !is_measured(self.sql_type) {
                notes.push(
                    "the keys of a run come between those that were there, so `verify` refuses it afterwards".to_owned(),
                );
            }
        }
        let keys = |pick: Option<Pick>| {
            Values::Reference(profile::Reference {
                table: Some(reference.table_name()),
                column: reference.keys.first().cloned(),
                pick,
                last: None,
                fingerprint: None,
            })
        };
        let is_listed = self.keep_values && (shares != Shares::Even || count.is_in_part());
        let values = match self.common_keys(count, || keys(None)).filter(|_| is_listed) {
            Some(listed) => {
                notes.push(
                    "the most common ones as often as there; one of them that is gone by then is refused".to_owned(),
                );
                listed
            }
            None => match shares {
                Shares::Ranked(exponent) => {
                    notes.push(
                        "a few are hot, as much as there; which ones is drawn, and not as there"
                            .to_owned(),
                    );
                    keys(Some(Pick::Zipf(Zipf { exponent: Some(Number(exponent)) })))
                }
                shares => {
                    notes.extend(self.unlike(shares, count));
                    keys(None)
                }
            },
        };
        if count.all > KEYS_MAX as f64 {
            notes.push(format!(
                "of about {} keys the first {} in their order are drawn",
                format_about(count.all as u64),
                format_count(KEYS_MAX as u64)
            ));
        }
        self.note_order(Order::Random, &mut notes);
        Ok(Drawn { values, notes })
    }

    /// What is said where each key comes as often as the others, and there not so.
    fn unlike(&self, shares: Shares, count: Count) -> Vec<String> {
        let mut notes = Vec::new();
        if shares == Shares::Other {
            let most = self.statistics.common.iter().map(|(_, share)| *share).fold(0.0, f64::max);
            let kept = match self.keep_values {
                true => "",
                false => "; --keep-values writes the most common ones",
            };
            let why = match count.is_known {
                true => "by no law that is drawn",
                false => {
                    "and without knowing how many keys there are no law can be told: ANALYZE that table"
                }
            };
            notes.push(format!(
                "each as often as the others, but there some come more often, up to {:.2} % of the rows, {why}{kept}",
                100.0 * most
            ));
        } else if count.is_in_part() {
            notes.push(format!(
                "about {} of {} keys are referred to there, and here any is, each as often as the others",
                format_about(count.used as u64),
                format_about(count.all as u64)
            ));
        }
        notes
    }

    /// How often keys come: shares of the values, from the greatest down, against those of some laws.
    fn shares(&self, count: Count) -> Shares {
        let present = self.statistics.present().max(f64::MIN_POSITIVE);
        let mut own: Vec<f64> =
            self.statistics.common.iter().map(|(_, share)| share / present).collect();
        own.sort_by(|a, b| b.total_cmp(a));
        let sample = self.sample() * present;
        let is_near = |share: f64, law: f64, deviations: f64| {
            (share - law).abs() <= OFF * law + deviations * (law / sample).sqrt()
        };
        if own.iter().all(|share| is_near(*share, 1.0 / count.used, BY_CHANCE)) {
            return Shares::Even;
        }
        let keys = count.all.round().clamp(1.0, KEYS_MAX as f64) as u64;
        if !count.is_known || count.is_in_part() || keys < 2 {
            return Shares::Other;
        }
        let head = own.iter().sum::<f64>();
        let ranks = own.len().min(keys as usize) as u64;
        let (mut low, mut high) = (0.0, EXPONENT_MAX);
        // Where every key is in the list their sum tells nothing, so the first half of them does.
        let told = if ranks < keys { ranks } else { ranks.div_ceil(2) };
        let head = if ranks < keys { head } else { own.iter().take(told as usize).sum() };
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            let law = ranked(told, middle) / ranked(keys, middle);
            (low, high) = if law < head { (middle, high) } else { (low, middle) };
        }
        let exponent = (low * 1e3).round() / 1e3;
        let all = ranked(keys, exponent);
        let mut first = own.iter().take(RANKS).zip(1_u32..);
        let is_ranked = exponent > 0.0
            && first.all(|(share, rank)| {
                is_near(*share, f64::from(rank).powf(-exponent) / all, BY_CHANCE_OF_FEW)
            });
        if is_ranked { Shares::Ranked(exponent) } else { Shares::Other }
    }

    /// The most common keys as they are, with any other beside them; `None`: none of them can be written.
    fn common_keys(&self, count: Count, others: impl Fn() -> Values) -> Option<Values> {
        let written = |text: &str| match is_measured(self.sql_type) {
            true => measure::read(self.sql_type, text)
                .map(|_| measure::cut(self.sql_type, text).to_owned()),
            false if matches!(self.sql_type, ColumnType::Char(_)) => {
                Some(text.trim_end_matches(' ').to_owned())
            }
            false => Some(text.to_owned()),
        };
        let common = self.statistics.common.iter();
        let mut of: Vec<(String, f64)> =
            common.filter_map(|(text, share)| Some((written(text)?, *share))).collect();
        of.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut beside = self.others().map(|(share, _)| share);
        // Any of the keys comes there, so also those that are listed.
        let rest = count.all - of.len() as f64;
        if let Some(share) = &mut beside
            && count.is_known
            && rest >= 1.0
        {
            let each = *share / rest;
            if of.iter().all(|(_, own)| *own > each) {
                of.iter_mut().for_each(|(_, own)| *own -= each);
                *share = each * count.all;
            }
        }
        (!of.is_empty()).then(|| choice(of, None, beside.map(|share| (share, others()))))
    }
}

/// The sum of the ranks up to one, each to the power of minus the exponent.
fn ranked(last: u64, exponent: f64) -> f64 {
    let exact = last.min(EXACT_RANKS);
    let sum: f64 = (1..=exact).map(|rank| (rank as f64).powf(-exponent)).sum();
    if last == exact {
        return sum;
    }
    // What is left, as an area from the middle between two ranks on.
    let (from, to) = (exact as f64 + 0.5, last as f64 + 0.5);
    let power = 1.0 - exponent;
    sum + if power.abs() < 1e-9 {
        (to / from).ln()
    } else {
        (to.powf(power) - from.powf(power)) / power
    }
}

#[cfg(test)]
mod tests {
    use super::super::Statistics;
    use super::*;

    fn reference(rows: f64) -> Reference {
        Reference {
            columns: vec!["c".to_owned()],
            schema: "shop".to_owned(),
            table: "customers".to_owned(),
            keys: vec!["id".to_owned()],
            is_readable: true,
            rows,
            ..Reference::default()
        }
    }

    /// What is drawn of a column with these shares, of `distinct` values in a million rows.
    fn drawn(shares: &[f64], distinct: f64, keys: f64, keep_values: bool) -> Drawn {
        let common = shares.iter().zip(1..).map(|(share, key)| (key.to_string(), *share)).collect();
        let statistics = Statistics {
            common,
            n_distinct: distinct,
            bounds: (0..101).map(|at| at.to_string()).collect(),
            ..Statistics::default()
        };
        let column = SourceColumn { name: "c".to_owned(), ..SourceColumn::default() };
        let drawing = Drawing {
            column: &column,
            sql_type: ColumnType::BigInt,
            statistics: &statistics,
            rows: 1e6,
            keep_values,
            within: None,
            listed: &[],
        };
        drawing.keys(&reference(keys)).unwrap()
    }

    fn pick(drawn: &Drawn) -> Option<Pick> {
        match &drawn.values {
            Values::Reference(own) => own.pick,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_law_of_ranks_is_told_from_others() {
        let of_law = |exponent: f64, keys: u32, listed: u32| -> Vec<f64> {
            let all = ranked(keys.into(), exponent);
            (1..=listed).map(|rank| f64::from(rank).powf(-exponent) / all).collect()
        };
        for (exponent, keys, listed) in
            [(1.0, 10_000, 100), (0.6, 500, 100), (1.4, 1_000_000, 30), (1.0, 40, 40)]
        {
            let own = drawn(&of_law(exponent, keys, listed), keys.into(), keys.into(), false);
            match pick(&own) {
                Some(Pick::Zipf(Zipf { exponent: Some(Number(found)) })) => {
                    assert!((found - exponent).abs() < 0.01, "{exponent} {keys}: {found}");
                }
                other => panic!("{exponent} {keys}: {other:?}"),
            }
        }
        // One key that is by itself, and then all alike.
        let own = drawn(&[0.5, 0.01, 0.01, 0.01], 1_000.0, 1_000.0, false);
        assert_eq!(pick(&own), None);
        assert!(own.notes.iter().any(|note| note.contains("up to 50.00 %")), "{own:?}");
        // How many keys there are is not known, or few of them come.
        for keys in [-1.0, 90_000.0] {
            let own = drawn(&of_law(1.0, 10_000, 100), 10_000.0, keys, false);
            assert_eq!(pick(&own), None);
            assert!(own.notes.iter().any(|note| note.contains("some come more often")), "{own:?}");
        }
    }

    #[test]
    fn keys_that_are_alike_are_drawn_alike() {
        for (shares, distinct, keys, said) in [
            (vec![], 5_000.0, 5_000.0, false),
            (vec![0.1; 10], 10.0, 10.0, false),
            (vec![0.104, 0.1, 0.096], 10.0, 10.0, false),
            (vec![0.1; 10], 10.0, 40.0, true),
            (vec![], 5_000.0, -1.0, false),
        ] {
            let own = drawn(&shares, distinct, keys, false);
            assert_eq!(pick(&own), None, "{shares:?}");
            let is_said = own.notes.iter().any(|note| note.contains("keys are referred to there"));
            assert_eq!(is_said, said, "{shares:?} {own:?}");
        }
    }

    #[test]
    fn keys_that_are_kept_come_as_often_as_there() {
        let own = drawn(&[0.4, 0.2], 102.0, 102.0, true);
        let Values::Choice(profile::Choice { of, weights, others, others_weight, .. }) = own.values
        else {
            panic!("{own:?}")
        };
        assert_eq!(of.unwrap(), ["1", "2"]);
        // Of the 0.4 beside them each key has 0.004, so these two as well.
        let weights: Vec<f64> = weights.unwrap().iter().map(|own| own.0).collect();
        assert_eq!(weights, [0.396, 0.196]);
        assert_eq!(others_weight, Some(Number(0.408)));
        assert!(matches!(others.as_deref(), Some(Values::Reference(_))));
        // Where all are alike nothing of them is to be kept.
        assert_eq!(pick(&drawn(&[0.1; 10], 10.0, 10.0, true)), None);
    }

    #[test]
    fn a_sum_of_ranks_is_near_enough() {
        for exponent in [0.3, 1.0, 1.7] {
            let exact: f64 = (1..=20_000).map(|rank| f64::from(rank).powf(-exponent)).sum();
            assert!((ranked(20_000, exponent) / exact - 1.0).abs() < 1e-6, "{exponent}");
        }
    }
}
