//! Columns that depend on each other, by the combinations that ANALYZE found the most common ones of two columns.

use std::collections::BTreeMap;

use super::column::Drafted;
use super::values::{Listed, choice, rounded};
use super::{Extended, SourceTable};
use crate::profile::{Boolean, Conditional, Number, Values};

/// Most combinations that are written: a list of more says little to a reader.
const PAIRS_MAX: usize = 2_000;
/// Such a part of a value's rows in no combination that is listed is none.
const LEFT_MIN: f64 = 1e-3;
/// Values that come at least so often keep their share, but for so large a part of it.
const KEPT_FROM: f64 = 0.01;
const SHARE_OFF: f64 = 0.1;
/// So far NULLs may come otherwise beside some values than beside others, as a part of those values' rows.
const NULLS_OFF: f64 = 0.05;

/// What became of statistics of several columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Together {
    /// A column is drawn by another one: which, and by which.
    Drawn(String, String),
    /// Nothing of them is drawn; why not, if they say which combinations are common.
    Undrawn(Option<String>),
}

/// Lets columns depend on each other, as far as statistics of two of them say how; and tells of each of these what
/// became of it.
pub(super) fn depend(table: &SourceTable, columns: &mut [Drafted<'_>]) -> Vec<Together> {
    table.extended.iter().map(|extended| depend_by(extended, columns)).collect()
}

fn depend_by(extended: &Extended, columns: &mut [Drafted<'_>]) -> Together {
    let undrawn = |why: String| Together::Undrawn(Some(why));
    if extended.pairs.is_empty() {
        return Together::Undrawn(None);
    }
    let place = |name: &String| columns.iter().position(|own| own.source.name == *name);
    let places: Vec<usize> = extended.columns.iter().filter_map(place).collect();
    let [first, second] = *places else { return Together::Undrawn(None) };
    for at in [first, second] {
        if columns[at].listed.is_empty() {
            return undrawn(format!(
                "{} is not drawn as a list of all its values at random",
                columns[at].source.name
            ));
        }
    }
    if let Some(one) = [first, second].iter().find(|at| columns[**at].listed.len() == 1) {
        return undrawn(format!("{} has one value", columns[*one].source.name));
    }
    if extended.pairs.len() > PAIRS_MAX {
        return undrawn(format!("there are more than {PAIRS_MAX} combinations"));
    }
    // The one with fewer values is easier to read by.
    let (fewer, more) = match columns[first].listed.len() <= columns[second].listed.len() {
        true => (first, second),
        false => (second, first),
    };
    let depends = |child: usize, parent: usize| {
        on(&columns[child]).is_none() && !leads_to(columns, parent, child)
    };
    let [parent, child] = if depends(more, fewer) {
        [fewer, more]
    } else if depends(fewer, more) {
        [more, fewer]
    } else {
        return undrawn("both depend on other columns".to_owned());
    };
    let pairs = extended.pairs.iter().map(|(one, other, share)| match parent == first {
        true => (one.as_deref(), other.as_deref(), *share),
        false => (other.as_deref(), one.as_deref(), *share),
    });
    let pairs: Vec<Pair<'_>> = pairs.collect();
    if differs_beside_null(&columns[child], &pairs) {
        let [parent, child] = [parent, child].map(|at| &columns[at].source.name);
        return undrawn(format!("other values of {child} come where {parent} is NULL"));
    }
    let (values, has_nulls) = conditional([&columns[parent], &columns[child]], &pairs);
    let parent = columns[parent].source.name.clone();
    let own = &mut columns[child];
    own.notes
        .push(format!("by {parent}, as often together as the statistics {} say", extended.name));
    if has_nulls {
        own.notes.push(format!(
            "there it is NULL more often beside some values of {parent} than beside others, which is not drawn"
        ));
    }
    if let Some(column) = &mut own.column {
        column.values = Some(values.into());
    }
    Together::Drawn(own.source.name.clone(), parent)
}

/// Two values, or NULLs, and the share of the rows that have both.
type Pair<'a> = (Option<&'a str>, Option<&'a str>, f64);

/// The name of the column that one depends on.
fn on<'a>(column: &'a Drafted<'_>) -> Option<&'a str> {
    match column.column.as_ref()?.values.as_deref()? {
        Values::Conditional(own) => own.on.as_deref(),
        _ => None,
    }
}

/// Whether a column depends on another one, or is that.
fn leads_to(columns: &[Drafted<'_>], mut from: usize, to: usize) -> bool {
    loop {
        if from == to {
            return true;
        }
        let next = on(&columns[from]);
        match next.and_then(|name| columns.iter().position(|own| own.source.name == name)) {
            Some(next) => from = next,
            None => return false,
        }
    }
}

/// Whether a column's values would come otherwise than they do if they were drawn by another one: where that one is
/// NULL, they are drawn as beside its values.
fn differs_beside_null(child: &Drafted<'_>, pairs: &[Pair<'_>]) -> bool {
    let beside_null = |own: &Listed| -> f64 {
        let its = |pair: &&Pair<'_>| pair.0.is_none() && is_it(own, pair.1);
        pairs.iter().filter(its).map(|pair| pair.2).sum()
    };
    let all: f64 = child.listed.iter().map(|own| own.share).sum();
    let left = all - child.listed.iter().map(beside_null).sum::<f64>();
    let is_off = |own: &Listed| {
        let drawn = (own.share - beside_null(own)) / left;
        own.share >= KEPT_FROM && (drawn * all / own.share - 1.0).abs() > SHARE_OFF
    };
    left <= 0.0 || child.listed.iter().any(is_off)
}

/// Whether a text is this value of a list. One may have the spaces at the end of a `char(n)`, and the other not.
fn is_it(own: &Listed, text: Option<&str>) -> bool {
    text.is_some_and(|text| own.text.trim_end_matches(' ') == text.trim_end_matches(' '))
}

/// The values of the second column by those of the first one; and whether its NULLs go by them, too.
fn conditional([parent, child]: [&Drafted<'_>; 2], pairs: &[Pair<'_>]) -> (Values, bool) {
    let place = |column: &Drafted<'_>, text: Option<&str>| {
        let listed = || column.listed.iter();
        let same = listed().position(|own| text == Some(own.text.as_str()));
        same.or_else(|| listed().position(|own| is_it(own, text)))
    };
    let count = child.listed.len();
    let mut shares = vec![vec![0.0; count]; parent.listed.len()];
    // What of the rows of each value is in no combination.
    let mut left: Vec<f64> = parent.listed.iter().map(|own| own.share).collect();
    let mut left_of_child: Vec<f64> = child.listed.iter().map(|own| own.share).collect();
    let mut nulls = vec![0.0; parent.listed.len()];
    for (one, other, share) in pairs {
        let [own, its] = [place(parent, *one), place(child, *other)];
        if let Some(own) = own {
            left[own] -= share;
            match its {
                Some(its) => shares[own][its] += share,
                None if other.is_none() => nulls[own] += share,
                None => {}
            }
        }
        if let Some(its) = its {
            left_of_child[its] -= share;
        }
    }
    let all_nulls: f64 = pairs.iter().filter(|own| own.1.is_none()).map(|own| own.2).sum();
    let is_off = |(own, nulls): (&Listed, &f64)| (nulls / own.share - all_nulls).abs() > NULLS_OFF;
    let has_nulls = all_nulls > 0.0 && parent.listed.iter().zip(&nulls).any(is_off);
    for (own, (left, shares)) in parent.listed.iter().zip(left.iter().zip(&mut shares)) {
        if *left < LEFT_MIN * own.share {
            continue;
        }
        // Rarer combinations: as if the two had nothing to do with each other.
        let free: Vec<f64> = shares
            .iter()
            .zip(&left_of_child)
            .map(|(share, left)| if *share > 0.0 { 0.0 } else { left.max(0.0) })
            .collect();
        let all: f64 = free.iter().sum();
        if all > 0.0 {
            shares.iter_mut().zip(free).for_each(|(share, free)| *share += left * free / all);
        }
    }
    let entry = |(own, shares): (&Listed, &Vec<f64>)| {
        let all: f64 = shares.iter().sum();
        // Where it comes beside NULL alone, it comes as anywhere.
        let shares: Vec<f64> = match all > 0.0 {
            true => shares.iter().map(|share| share / all).collect(),
            false => child.listed.iter().map(|own| own.share).collect(),
        };
        (own.shown.clone(), values_of(child, &shares))
    };
    let of: BTreeMap<String, Values> = parent.listed.iter().zip(&shares).map(entry).collect();
    let on = Some(parent.source.name.clone());
    (Values::Conditional(Conditional { on, of: Some(of), others: None }), has_nulls)
}

/// Values of a column with these shares, in the order of its list.
fn values_of(column: &Drafted<'_>, shares: &[f64]) -> Values {
    let drawn = column.column.as_ref().and_then(|own| own.values.as_deref());
    let listed = || column.listed.iter().zip(shares);
    if let Some(Values::Boolean(_)) = drawn {
        let all: f64 = shares.iter().sum();
        let yes: f64 = listed().filter(|(own, _)| own.text == "t").map(|(_, share)| *share).sum();
        return Values::Boolean(Boolean { true_ratio: Some(Number(rounded(yes / all))) });
    }
    let mut of: Vec<(String, f64)> = listed()
        .filter(|(_, share)| rounded(**share) > 0.0)
        .map(|(own, share)| (own.shown.clone(), *share))
        .collect();
    of.sort_by(|a, b| b.1.total_cmp(&a.1));
    choice(of, None, None)
}

#[cfg(test)]
mod tests {
    use super::super::{DraftOptions, SourceColumn, Statistics, draft};
    use super::*;
    use crate::plan::{Overrides, Plan, ProfileSource};

    fn column(name: &str, sql_type: &str, common: &[(&str, f64)], null_frac: f64) -> SourceColumn {
        let common = common.iter().map(|(text, share)| ((*text).to_owned(), *share)).collect();
        let statistics = Statistics {
            common,
            null_frac,
            n_distinct: 3.0,
            avg_width: 10,
            ..Statistics::default()
        };
        SourceColumn {
            name: name.to_owned(),
            quoted: name.to_owned(),
            sql_type: sql_type.to_owned(),
            is_readable: true,
            statistics: Some(statistics),
            ..SourceColumn::default()
        }
    }

    fn extended(columns: &[&str], pairs: &[(Option<&str>, Option<&str>, f64)]) -> Extended {
        let text = |own: Option<&str>| own.map(str::to_owned);
        Extended {
            name: columns.join("_"),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            says: "which combinations are common".to_owned(),
            pairs: pairs
                .iter()
                .map(|(one, other, share)| (text(*one), text(*other), *share))
                .collect(),
        }
    }

    fn drafted(columns: Vec<SourceColumn>, extended: Vec<Extended>, keep_values: bool) -> String {
        let table = SourceTable {
            schema: "s".to_owned(),
            name: "t".to_owned(),
            rows: 10_000.0,
            columns,
            extended,
            ..SourceTable::default()
        };
        let text = draft(&table, &DraftOptions { keep_values, copy: None }).unwrap();
        let source = ProfileSource::new("draft.toml", &*text);
        if let Err(faults) = Plan::resolve(&source, &Overrides::default()) {
            panic!("{faults}\n{text}");
        }
        text
    }

    #[test]
    fn values_that_come_beside_null_keep_their_share() {
        let own = column("own", "text", &[("a", 0.5), ("b", 0.4), ("none", 0.1)], 0.0);
        let on = column("kind", "text", &[("x", 0.5), ("y", 0.4)], 0.1);
        let pairs =
            [(Some("x"), Some("a"), 0.5), (Some("y"), Some("b"), 0.4), (None, Some("none"), 0.1)];
        let both = extended(&["kind", "own"], &pairs);
        let text = drafted(vec![on, own], vec![both], true);
        assert!(!text.contains("conditional"), "{text}");
        assert!(text.contains("values of own come where kind is NULL"), "{text}");
    }

    fn country() -> SourceColumn {
        column("country", "text", &[("DE", 0.6), ("FR", 0.4)], 0.0)
    }

    #[test]
    fn a_column_is_drawn_by_another_with_the_shares_that_are_listed() {
        let city = column("city", "text", &[("Berlin", 0.45), ("Paris", 0.4), ("Ulm", 0.15)], 0.0);
        let pairs = [
            (Some("Berlin"), Some("DE"), 0.45),
            (Some("Paris"), Some("FR"), 0.4),
            (Some("Ulm"), Some("DE"), 0.15),
        ];
        let both = || extended(&["city", "country"], &pairs);
        let text = drafted(vec![city.clone(), country()], vec![both()], true);
        for part in [
            r#"values = { conditional = { on = "country", of = { DE = { choice = { of = ["Berlin", "Ulm"], weights = [0.75, 0.25] } }, FR = { choice = { of = ["Paris"] } } } } }"#,
            "the combinations are drawn: city by country",
        ] {
            assert!(text.replace("\n# ", " ").contains(part), "{part}\n{text}");
        }
        let text = drafted(vec![city, country()], vec![both()], false);
        assert!(!text.contains("Berlin") && !text.contains("DE ="), "{text}");
        assert!(
            text.contains(r#"of = { country_1 = { choice = { of = ["city_cit1", "city_cit3"]"#),
            "{text}"
        );
    }

    #[test]
    fn booleans_and_numbers_depend_and_are_depended_on() {
        let ok = column("ok", "boolean", &[("t", 0.7), ("f", 0.3)], 0.0);
        let size = column("size", "integer", &[("1", 0.5), ("5", 0.3), ("9", 0.2)], 0.0);
        let by_country = extended(
            &["country", "ok"],
            &[
                (Some("DE"), Some("t"), 0.54),
                (Some("FR"), Some("f"), 0.24),
                (Some("FR"), Some("t"), 0.16),
                (Some("DE"), Some("f"), 0.06),
            ],
        );
        let by_ok = extended(
            &["ok", "size"],
            &[
                (Some("t"), Some("1"), 0.5),
                (Some("t"), Some("5"), 0.2),
                (Some("f"), Some("9"), 0.2),
                (Some("f"), Some("5"), 0.1),
            ],
        );
        let text = drafted(vec![country(), ok, size], vec![by_country, by_ok], false);
        for part in [
            r"of = { country_1 = { boolean = { true_ratio = 0.9 } }, country_2 = { boolean = { true_ratio = 0.4 } } }",
            r#"on = "ok", of = { false = { choice = { of = ["9", "5"], weights = [0.666667, 0.333333] } }"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_no_combination_has_comes_as_if_it_stood_alone() {
        // Of DE a third, of FR a half is in no combination: those of Ulm and Lille.
        let city = column(
            "city",
            "text",
            &[("Berlin", 0.4), ("Paris", 0.2), ("Ulm", 0.3), ("Lille", 0.1)],
            0.0,
        );
        let both = extended(
            &["country", "city"],
            &[(Some("DE"), Some("Berlin"), 0.4), (Some("FR"), Some("Paris"), 0.2)],
        );
        let text = drafted(vec![country(), city], vec![both], true);
        let part = r#"DE = { choice = { of = ["Berlin", "Ulm", "Lille"], weights = [0.666667, 0.25, 0.083333] } }"#;
        assert!(text.contains(part), "{text}");
    }

    #[test]
    fn what_does_not_depend_is_said() {
        let many = SourceColumn {
            statistics: Some(Statistics { n_distinct: -0.5, ..Statistics::default() }),
            ..column("many", "text", &[], 0.0)
        };
        let pair = (Some("DE"), Some("x"), 0.1);
        let text = drafted(
            vec![country(), many],
            vec![extended(&["country", "many"], &[pair]), extended(&["country", "many"], &[])],
            false,
        );
        let flat = text.replace("\n# ", " ");
        let said = "which combinations are common. That is not drawn: many is not drawn as a list of all its values";
        assert!(flat.contains(said) && flat.contains("That is not drawn.\n\nname"), "{text}");
        // NULL beside one of the values alone.
        let note = column("note", "text", &[("a", 0.3), ("b", 0.3)], 0.4);
        let both = extended(
            &["country", "note"],
            &[(Some("DE"), Some("a"), 0.3), (Some("DE"), Some("b"), 0.3), (Some("FR"), None, 0.4)],
        );
        let text = drafted(vec![country(), note], vec![both], true);
        assert!(
            text.replace("\n# ", " ").contains("NULL more often beside some values of country"),
            "{text}"
        );
        assert!(text.contains("null_ratio = 0.4"), "{text}");
    }
}
