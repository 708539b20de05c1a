//! Planted differences are found, legitimate ones are not held against anyone.

use proptest::prelude::*;

use super::*;
use crate::pg::select::ValueKind;
use crate::plan::AnswerCompare;

type Values = Vec<Option<String>>;

fn rule() -> AnswerRule {
    AnswerRule { compare: AnswerCompare::Rows, tolerance: None, ties: Vec::new() }
}

fn columns(kinds: &[(&str, ValueKind)]) -> Vec<ResultColumn> {
    let column =
        |(name, kind): &(&str, ValueKind)| ResultColumn { name: (*name).to_owned(), kind: *kind };
    kinds.iter().map(column).collect()
}

fn sales() -> Vec<ResultColumn> {
    columns(&[
        ("id", ValueKind::Exact),
        ("category", ValueKind::Exact),
        ("amount", ValueKind::Numeric),
    ])
}

fn row(values: &[&str]) -> Values {
    values.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()
}

fn compare_in(
    memory: usize,
    columns: Vec<ResultColumn>,
    rule: &AnswerRule,
    first: &[Values],
    second: &[Values],
) -> Comparison {
    let mut comparer = Comparer::new(columns, rule, memory);
    for (side, rows) in [(Side::First, first), (Side::Second, second)] {
        for row in rows {
            let values: Vec<_> = row.iter().map(Option::as_deref).collect();
            comparer.row(side, &values).unwrap();
        }
    }
    comparer.finish().unwrap()
}

fn compare(columns: Vec<ResultColumn>, first: &[Values], second: &[Values]) -> Comparison {
    compare_in(MEMORY_BYTES, columns, &rule(), first, second)
}

fn ten_thousand() -> Vec<Values> {
    let row = |i: u32| row(&[&i.to_string(), &format!("category_{}", i % 100), &format!("{i}.50")]);
    (0..10_000).map(row).collect()
}

#[test]
fn one_row_of_nulls_in_ten_thousand_is_found() {
    let first = ten_thousand();
    let mut second = first.clone();
    second.reverse();
    assert!(compare(sales(), &first, &second).same);
    second[1234] = row(&["NULL", "NULL", "NULL"]);
    let found = compare(sales(), &first, &second);
    assert_eq!((found.same, found.only), (false, [1, 1]));
    assert_eq!(found.examples[0][0]["id"].as_deref(), Some("8765"));
    assert_eq!(found.examples[1][0]["id"], None);
}

#[test]
fn a_wild_id_and_a_doubled_row_are_found() {
    let first = ten_thousand();
    let mut second = first.clone();
    second[77][0] = Some("139942387423".to_owned());
    let found = compare(sales(), &first, &second);
    assert_eq!((found.same, found.only), (false, [1, 1]));
    let mut second = first.clone();
    second[78] = second[77].clone();
    assert_eq!(compare(sales(), &first, &second).only, [1, 1]);
    second.pop();
    assert_eq!(compare(sales(), &first, &second).rows, [10_000, 9_999]);
}

#[test]
fn scale_and_last_digits_are_no_difference_but_a_cent_is() {
    let kinds = columns(&[("sum", ValueKind::Numeric), ("stddev", ValueKind::Float8)]);
    let first = [row(&["499950000.00", "2886.8957302"]), row(&["0.00", "NULL"])];
    let second = [row(&["0", "NULL"]), row(&["499950000", "2886.89573020001"])];
    let found = compare(kinds.clone(), &first, &second);
    assert!(found.same, "{found:?}");
    assert!((1e-16..1e-13).contains(&found.largest_difference), "{found:?}");
    let off = [row(&["0", "NULL"]), row(&["499950000.01", "2886.8957302"])];
    assert!(!compare(kinds.clone(), &first, &off).same);
    let null = [row(&["0", "0"]), row(&["499950000", "2886.8957302"])];
    assert!(!compare(kinds, &first, &null).same, "NULL is not 0");
}

#[test]
fn text_is_compared_exactly_and_a_stated_tolerance_counts() {
    let kinds = columns(&[("t", ValueKind::Exact), ("n", ValueKind::Numeric)]);
    assert!(!compare(kinds.clone(), &[row(&["1.0", "1"])], &[row(&["1", "1"])]).same);
    let loose = AnswerRule { tolerance: Some(0.01), ..rule() };
    let (a, b) = ([row(&["x", "100"])], [row(&["x", "100.9"])]);
    assert!(compare_in(1024, kinds.clone(), &loose, &a, &b).same);
    assert!(!compare(kinds, &a, &b).same);
}

#[test]
fn ties_are_told_from_wrong_rows() {
    let ties = AnswerRule { ties: vec!["category".into(), "amount".into()], ..rule() };
    let first = [row(&["1", "a", "9"]), row(&["2", "a", "8"])];
    let tied = [row(&["1", "a", "9"]), row(&["3", "a", "8.0"])];
    let found = compare_in(1024, sales(), &ties, &first, &tied);
    assert_eq!((found.same, found.ties), (true, 1));
    assert_eq!(found.tied[0]["id"].as_deref(), Some("3"));
    let wrong = [row(&["1", "a", "9"]), row(&["3", "a", "7"])];
    assert!(!compare_in(1024, sales(), &ties, &first, &wrong).same);
    assert!(!compare(sales(), &first, &tied).same, "without ties in the rule");
}

#[test]
fn only_the_number_of_rows_counts_if_so_asked() {
    let count = AnswerRule { compare: AnswerCompare::Count, ..rule() };
    let (a, b) = ([row(&["1", "a", "9"])], [row(&["2", "b", "3"])]);
    assert!(compare_in(1024, sales(), &count, &a, &b).same);
    assert!(!compare_in(1024, sales(), &count, &a, &[]).same);
}

fn answer() -> impl Strategy<Value = Vec<Values>> {
    let text = prop_oneof![Just(None), "[ab]".prop_map(Some)];
    let number = prop_oneof![
        Just(None),
        (-50..50_i32).prop_map(|n| Some(format!("{n}.25"))),
        (1..5_i32).prop_map(|n| Some(n.to_string())),
    ];
    let row = (text, number.clone(), number).prop_map(|(a, b, c)| vec![a, b, c]);
    proptest::collection::vec(row, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Order does not matter, nor whether the rows fit the memory.
    #[test]
    fn a_shuffled_answer_is_the_same(rows in answer(), seed in any::<u64>(), exact in any::<bool>()) {
        let kind = if exact { ValueKind::Exact } else { ValueKind::Float8 };
        let kinds = columns(&[("a", kind), ("b", ValueKind::Numeric), ("c", ValueKind::Float8)]);
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        for memory in [64, MEMORY_BYTES] {
            let found = compare_in(memory, kinds.clone(), &rule(), &rows, &shuffled);
            prop_assert!(found.same, "{:?}", found);
        }
    }

    /// One changed value is one row too few and one too many, in memory as on disk.
    #[test]
    fn one_changed_value_is_found(rows in answer(), at in any::<prop::sample::Index>(), column in 0..3_usize) {
        prop_assume!(!rows.is_empty());
        let kinds = columns(
            &[("a", ValueKind::Exact), ("b", ValueKind::Numeric), ("c", ValueKind::Float8)]);
        let mut changed = rows.clone();
        changed[at.index(rows.len())][column] = Some("777777".to_owned());
        for memory in [64, MEMORY_BYTES] {
            let found = compare_in(memory, kinds.clone(), &rule(), &rows, &changed);
            prop_assert_eq!(found.only, [1, 1]);
        }
    }
}
