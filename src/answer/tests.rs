//! Planted differences are found, legitimate ones are not held against anyone.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

mod random;

type Values = Vec<Option<String>>;

fn rule() -> AnswerRule {
    AnswerRule {
        compare: AnswerCompare::Rows,
        tolerance: None,
        absolute_tolerance: None,
        ties: Vec::new(),
        order_by: None,
    }
}

fn columns(kinds: &[(&str, Kind)]) -> Vec<Column> {
    let column = |(name, kind): &(&str, Kind)| Column { name: (*name).to_owned(), kind: *kind };
    kinds.iter().map(column).collect()
}

const NUMERIC: Kind = Kind::Number(Number::Numeric);
const FLOAT8: Kind = Kind::Number(Number::Float8);
/// Spills after a few rows.
const SMALL: Limits = Limits { memory_bytes: 512, disk_bytes: 1 << 30 };

fn sales() -> Vec<Column> {
    columns(&[("id", Kind::Plain), ("category", Kind::Plain), ("amount", NUMERIC)])
}

fn row(values: &[&str]) -> Values {
    values.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()
}

/// What is compared, as a test says it.
#[derive(Clone)]
struct Asked {
    sql: &'static str,
    columns: Vec<Column>,
    rule: AnswerRule,
    on_gpu: bool,
    limits: Limits,
}

fn asked(sql: &'static str, columns: Vec<Column>) -> Asked {
    Asked { sql, columns, rule: rule(), on_gpu: true, limits: Limits::default() }
}

impl Asked {
    fn compared(&self, first: &[Values], second: &[Values]) -> Result<Comparison, AnswerError> {
        let Self { sql, columns, rule, on_gpu, limits } = self;
        let question = Question { sql, rule, on_gpu: *on_gpu };
        let mut comparer = Comparer::new(columns.clone(), question, *limits)?;
        for (side, rows) in [(Side::First, first), (Side::Second, second)] {
            for row in rows {
                let values: Vec<_> = row.iter().map(Option::as_deref).collect();
                comparer.row(side, &values)?;
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(comparer.finish())
    }

    /// Compared with all of it in memory and with all of it on disk, which is to make no difference.
    fn compare(&self, first: &[Values], second: &[Values]) -> Comparison {
        let found = self.compared(first, second).unwrap();
        let on_disk = Self { limits: SMALL, ..self.clone() }.compared(first, second).unwrap();
        assert_eq!(
            (found.same, found.only, found.ties),
            (on_disk.same, on_disk.only, on_disk.ties)
        );
        assert_eq!(found.order, on_disk.order);
        found
    }

    fn same(&self, first: &[Values], second: &[Values]) -> bool {
        self.compare(first, second).same
    }
}

fn ten_thousand() -> Vec<Values> {
    let row = |i: u32| row(&[&i.to_string(), &format!("category_{}", i % 100), &format!("{i}.50")]);
    (0..10_000).map(row).collect()
}

#[test]
fn one_row_of_nulls_in_ten_thousand_is_found() {
    let sales = asked("SELECT id, category, amount FROM t", sales());
    let first = ten_thousand();
    let mut second = first.clone();
    second.reverse();
    assert!(sales.same(&first, &second));
    second[1234] = row(&["NULL", "NULL", "NULL"]);
    let found = sales.compare(&first, &second);
    assert_eq!((found.same, found.only), (false, [1, 1]));
    assert_eq!(found.examples[0][0]["id"].as_deref(), Some("8765"));
    assert_eq!(found.examples[0][0]["amount"].as_deref(), Some("8765.5"));
    assert_eq!(found.examples[1][0]["id"], None);
}

#[test]
fn a_wild_id_and_a_doubled_row_are_found() {
    let sales = asked("SELECT id, category, amount FROM t", sales());
    let first = ten_thousand();
    let mut second = first.clone();
    second[77][0] = Some("139942387423".to_owned());
    let found = sales.compare(&first, &second);
    assert_eq!((found.same, found.only), (false, [1, 1]));
    let mut second = first.clone();
    second[78] = second[77].clone();
    assert_eq!(sales.compare(&first, &second).only, [1, 1]);
    second.pop();
    assert_eq!(sales.compare(&first, &second).rows, [10_000, 9_999]);
}

/// One row in 27,000 whose number alone is another, among numbers that all have noise in them.
#[test]
fn one_value_among_27_000_noisy_ones_is_found() {
    let asked = asked(
        "SELECT sum(x), count(*) FROM t GROUP BY y",
        columns(&[("s", FLOAT8), ("n", NUMERIC)]),
    );
    let row = |noise: f64| {
        move |i: u32| {
            let value =
                f64::from(i % 9_000).mul_add(0.25, 1000.0) * (1.0 + noise * f64::from(i % 7));
            row(&[&value.to_string(), "3"])
        }
    };
    let first: Vec<Values> = (0..27_000).map(row(0.0)).collect();
    let mut second: Vec<Values> = (0..27_000).rev().map(row(1e-14)).collect();
    assert!(asked.compared(&first, &second).unwrap().same);
    second[13_579][0] = Some("1234.567".to_owned());
    let found = asked.compared(&first, &second).unwrap();
    assert_eq!((found.same, found.only), (false, [1, 1]));
    assert_eq!(found.examples[1][0]["s"].as_deref(), Some("1234.567"));
}

#[test]
fn scale_and_last_digits_are_no_difference_but_a_cent_is() {
    let sql = "SELECT sum(amount), stddev(x) FROM t";
    let asked = asked(sql, columns(&[("sum", NUMERIC), ("stddev", FLOAT8)]));
    let first = [row(&["499950000.00", "2886.8957302"]), row(&["0.00", "NULL"])];
    let second = [row(&["0", "NULL"]), row(&["499950000", "2886.89573020001"])];
    let found = asked.compare(&first, &second);
    assert!(found.same, "{found:?}");
    assert!((1e-16..1e-11).contains(&found.largest_difference), "{found:?}");
    let off = [row(&["0", "NULL"]), row(&["499950000.01", "2886.8957302"])];
    assert!(!asked.same(&first, &off));
    let null = [row(&["0", "0"]), row(&["499950000", "2886.8957302"])];
    assert!(!asked.same(&first, &null), "NULL is not 0");
}

#[test]
fn sums_and_counts_of_exact_types_are_exact_and_what_passes_through_floats_is_not() {
    let (a, b) = ("10000000000000", "10000000000001");
    for (sql, digits) in [
        ("SELECT sum(amount) FROM t", "exact"),
        ("SELECT count(*)::numeric FROM t", "exact"),
        ("SELECT max(amount) AS m, sum(amount) FROM t", "float"),
        ("SELECT avg(amount) FROM t", "float"),
        ("SELECT m FROM (SELECT min(amount) AS m FROM t) q", "float"),
        ("SELECT amount FROM t", "exact"),
        ("SELECT sum(amount) / 3 FROM t", "float"),
        ("SELECT stddev(amount) FROM t", "sums of floats"),
    ] {
        let on_gpu = asked(sql, columns(&[("m", NUMERIC)]));
        // One unit of 10¹³ is lost.
        let lost = on_gpu.same(&[row(&[a])], &[row(&[b])]);
        assert_eq!(lost, digits == "sums of floats", "{sql}");
        // What a float keeps of 30 digits, and what is written of it.
        let long = [row(&["123456789012345678.123456789012"])];
        let cut = [row(&["123456789012346000"])];
        assert_eq!(on_gpu.same(&long, &cut), digits != "exact", "{sql}");
        let on_cpu = Asked { on_gpu: false, ..on_gpu };
        assert!(!on_cpu.same(&long, &cut), "{sql}");
    }
}

#[test]
fn text_is_compared_exactly_and_a_stated_tolerance_counts() {
    let exact = asked("SELECT t, n FROM x", columns(&[("t", Kind::Plain), ("n", NUMERIC)]));
    assert!(!exact.same(&[row(&["1.0", "1"])], &[row(&["1", "1"])]));
    let (a, b) = ([row(&["x", "100"])], [row(&["x", "100.9"])]);
    assert!(!exact.same(&a, &b));
    let with = |tolerance, absolute_tolerance| Asked {
        rule: AnswerRule { tolerance, absolute_tolerance, ..rule() },
        ..exact.clone()
    };
    assert!(with(Some(0.01), None).same(&a, &b));
    assert!(!with(Some(0.0), None).same(&a, &b));
    assert!(with(None, Some(1.0)).same(&a, &b));
    assert!(!with(None, Some(0.5)).same(&a, &b));
    let long = ([row(&["x", "10000000000000000000"])], [row(&["x", "10000000000000000001"])]);
    assert!(!with(Some(0.0), None).same(&long.0, &long.1), "a tolerance of 0 is exact");
}

#[test]
fn noise_next_to_zero_is_no_difference() {
    // Small beside its column.
    let sums = asked("SELECT x FROM t", columns(&[("x", FLOAT8)]));
    let first = [row(&["1e3"]), row(&["0"]), row(&["-2e3"])];
    let noise = [row(&["1e3"]), row(&["1.2e-12"]), row(&["-2e3"])];
    assert!(sums.same(&first, &noise));
    let found = sums.compare(&first, &noise);
    assert!(found.largest_difference < 1e-9, "{found:?}");
    let wrong = [row(&["1e3"]), row(&["1e-5"]), row(&["-2e3"])];
    assert!(!sums.same(&first, &wrong));
    // Alone in it: only what adds floats up may be that near to zero for nothing.
    for (a, b) in [("0", "2.8e-12"), ("1.1e-13", "1.2e-13")] {
        let covariance = asked("SELECT covar_pop(x, y) FROM t", columns(&[("c", FLOAT8)]));
        let found = covariance.compare(&[row(&[a])], &[row(&[b])]);
        assert_eq!((found.same, found.near_zero), (true, 1));
        assert!(!sums.same(&[row(&[a])], &[row(&[b])]));
        assert!(!covariance.same(&[row(&[a])], &[row(&["1e-8"])]));
    }
}

#[test]
fn what_is_no_finite_number_equals_itself_alone() {
    let asked = asked("SELECT x FROM t", columns(&[("x", FLOAT8)]));
    let all = ["NaN", "Infinity", "-Infinity", "NULL", "0", "1.7976931348623157e308"];
    for a in all {
        for b in all {
            assert_eq!(asked.same(&[row(&[a])], &[row(&[b])]), a == b, "{a} and {b}");
        }
    }
    assert!(asked.same(&[row(&["-0"])], &[row(&["0"])]));
}

#[test]
fn what_lies_in_arrays_json_and_composites_is_compared_by_value() {
    let one = |kind| asked("SELECT x FROM t", columns(&[("x", kind)]));
    let (floats, decimals) = (Kind::Numbers(Number::Float8), Kind::Numbers(Number::Numeric));
    for (kind, a, b, same) in [
        (floats, "{0.30000000000000004,NULL}", "{0.3,NULL}", true),
        (floats, "{1,2}", "{1,2,0}", false),
        (floats, "{1,2}", "{2,1}", false),
        (floats, "{1,2}", "{1,2.001}", false),
        (floats, "{1,NaN}", "{1,NaN}", true),
        (floats, "{{1,2},{3,4}}", "{{1,2},{3,4.0000000000000001}}", true),
        (floats, "(0.1,0.30000000000000004)", "(0.1,0.3)", true),
        (decimals, "{1.0,2}", "{1.00,2.0}", true),
        (decimals, "{10000000000000}", "{10000000000001}", false),
        (decimals, "[1.0,2.50)", "[1.00,2.5)", true),
        (decimals, "[1.0,2.50)", "[1.00,2.5]", false),
        (Kind::Mixed, r#"{"a": 1.0, "b": [2]}"#, r#"{"a": 1.00, "b": [2.0]}"#, true),
        (Kind::Mixed, r#"{"a":1}"#, r#"{"a": 1}"#, true),
        (Kind::Mixed, r#"{"a": "1.0"}"#, r#"{"a": "1.00"}"#, false),
        (Kind::Mixed, r#"{"a": 12.34}"#, r#"{"a": 12.35}"#, false),
        (Kind::Mixed, r#"{"a": 0.1}"#, r#"{"a": 0.1000000000001}"#, false),
        (Kind::Mixed, r#"{"a": 0.3}"#, r#"{"a": 0.30000000000000004}"#, true),
        (Kind::Mixed, r#"{"a": 1}"#, r#"{"a": 1.0000000000000002}"#, true),
        (Kind::Mixed, r#"{"a": 100000000000001}"#, r#"{"a": 100000000000002}"#, false),
        (Kind::Mixed, r#"{"a": 10000000000000001}"#, r#"{"a": 10000000000000002}"#, false),
        (Kind::Mixed, r#"{"a": null}"#, r#"{"a": 0}"#, false),
        (Kind::Mixed, "(1,abc,0.30000000000000004)", "(1,abc,0.3)", true),
        (Kind::Mixed, "(1,abc,0.3)", "(2,abc,0.3)", false),
        (Kind::Mixed, "(1,2023-01-01)", "(1,2023-01-02)", false),
    ] {
        assert_eq!(one(kind).same(&[row(&[a])], &[row(&[b])]), same, "{a} and {b}");
    }
}

#[test]
fn the_order_that_is_asked_for_is_part_of_the_answer() {
    let sql = "SELECT id, category, amount FROM t ORDER BY amount DESC, category";
    let ordered = asked(sql, sales());
    let rows = [["1", "a", "9"], ["2", "a", "8"], ["3", "a", "8.0"], ["4", "b", "8"]];
    let first = rows.map(|values| row(&values));
    let of = |order: [usize; 4]| order.map(|at| first[at].clone());
    // Rows 2 and 3 tie.
    for (order, differs_at) in
        [([0, 2, 1, 3], None), ([1, 0, 2, 3], Some(1)), ([0, 1, 3, 2], Some(3))]
    {
        let found = ordered.compare(&first, &of(order));
        assert_eq!(found.order.as_ref().map(|order| order.row), differs_at);
        assert_eq!((found.same, found.only), (differs_at.is_none(), [0, 0]));
        assert_eq!(found.ordered_by, ["amount", "category"]);
    }
    let found = ordered.compare(&first, &of([1, 0, 2, 3]));
    let keys = found.order.unwrap().keys.map(|keys| keys["amount"].clone().unwrap());
    assert_eq!(keys, ["9", "8"]);
    // Reversed it is another answer, unless nobody asks for an order.
    let reversed = of([3, 2, 1, 0]);
    assert!(!ordered.same(&first, &reversed));
    let free = Asked { sql: "SELECT id, category, amount FROM t", ..ordered.clone() };
    assert!(free.same(&first, &reversed));
    let declared = |names: &[&str]| Asked {
        rule: AnswerRule {
            order_by: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..rule()
        },
        ..ordered.clone()
    };
    assert!(declared(&[]).same(&first, &reversed));
    assert!(!declared(&["amount"]).same(&first, &reversed));
    assert!(declared(&["amount"]).same(&first, &of([0, 3, 2, 1])));
    let wrong = declared(&["amuont"]).compared(&first, &first).unwrap_err().to_string();
    assert!(wrong.contains("`order_by` names `amuont`"), "{wrong}");
}

#[test]
fn an_order_that_the_answer_does_not_show_is_not_called_the_same() {
    let sql = "SELECT id, category, amount FROM t ORDER BY category, lower(note)";
    let hidden = asked(sql, sales());
    let first = [row(&["1", "a", "9"]), row(&["2", "a", "8"]), row(&["3", "b", "7"])];
    let swapped = |a: usize, b: usize| {
        let mut rows = first.to_vec();
        rows.swap(a, b);
        rows
    };
    assert!(hidden.same(&first, &first));
    // Within a category nobody can tell, between two one can.
    let error = hidden.compared(&first, &swapped(0, 1)).unwrap_err();
    assert!(matches!(error, AnswerError::OrderUnknown), "{error}");
    assert_eq!(hidden.compare(&first, &swapped(1, 2)).order.unwrap().row, 2);
    // Other rows are a difference, whatever the order.
    assert_eq!(hidden.compare(&first, &[row(&["9", "a", "9"])]).only, [3, 1]);
    let mut of_other = hidden.clone();
    (of_other.sql, of_other.columns[1].kind) = ("SELECT * FROM t ORDER BY category", Kind::Other);
    assert!(of_other.compared(&first, &swapped(1, 2)).is_err(), "`A` may tie with `a`");
}

#[test]
fn ties_are_told_from_wrong_rows() {
    let free = asked("SELECT id, category, amount FROM t LIMIT 2", sales());
    let ties = Asked {
        rule: AnswerRule { ties: vec!["category".into(), "amount".into()], ..rule() },
        ..free.clone()
    };
    let first = [row(&["1", "a", "9"]), row(&["2", "a", "8"])];
    let tied = [row(&["1", "a", "9"]), row(&["3", "a", "8.0"])];
    let found = ties.compare(&first, &tied);
    assert_eq!((found.same, found.ties), (true, 1));
    assert_eq!(found.tied[0]["id"].as_deref(), Some("3"));
    let wrong = [row(&["1", "a", "9"]), row(&["3", "a", "7"])];
    assert!(!ties.same(&first, &wrong));
    assert!(!free.same(&first, &tied), "without ties in the rule");
    // Many of them.
    let many = |first: u32| -> Vec<Values> {
        (first..first + 20_000).map(|id| row(&[&id.to_string(), "a", "8"])).collect()
    };
    assert_eq!(ties.compared(&many(0), &many(20_000)).unwrap().ties, 20_000);
}

#[test]
fn only_the_number_of_rows_counts_if_so_asked() {
    let sql = "SELECT id, category, amount FROM t ORDER BY id";
    let count = Asked {
        rule: AnswerRule { compare: AnswerCompare::Count, ..rule() },
        ..asked(sql, sales())
    };
    let (a, b) = ([row(&["1", "a", "9"])], [row(&["2", "b", "3"])]);
    assert!(count.same(&a, &b));
    assert!(!count.same(&a, &[]));
}

#[test]
fn of_columns_with_one_name_each_is_shown() {
    let asked = asked(
        "SELECT g, sum(n), sum(u) FROM t GROUP BY g",
        columns(&[("g", Kind::Plain), ("sum", NUMERIC), ("sum", NUMERIC)]),
    );
    let found = asked.compare(&[row(&["1", "10", "20"])], &[row(&["1", "10", "21"])]);
    let shown = found.examples[1][0].iter();
    let shown: Vec<_> = shown.map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(shown, [("g", Some("1")), ("sum", Some("10")), ("sum (2)", Some("21"))]);
}

#[test]
fn an_instant_is_the_same_in_any_time_zone_and_in_any_place() {
    let sql = "SELECT at, all_of FROM t ORDER BY at";
    let asked = asked(sql, columns(&[("at", Kind::Instant), ("all_of", Kind::Instants)]));
    let in_utc = [
        row(&["2024-03-10 14:00:00.5+00", r#"{"2024-03-10 14:00:00+00",NULL}"#]),
        row(&["2024-03-10 15:00:00+00", r#"["2024-03-10 14:00:00+00","infinity")"#]),
        row(&["infinity", "NULL"]),
    ];
    let in_tokyo = [
        row(&["2024-03-10 23:00:00.5+09", r#"{"2024-03-10 23:00:00+09",NULL}"#]),
        row(&["2024-03-11 00:00:00+09", r#"["2024-03-10 23:00:00+09","infinity")"#]),
        row(&["infinity", "NULL"]),
    ];
    assert!(asked.same(&in_utc, &in_tokyo));
    let mut other = in_tokyo;
    other[1][1] = Some(r#"["2024-03-10 23:00:00.000001+09","infinity")"#.to_owned());
    let found = asked.compare(&in_utc, &other);
    assert_eq!(found.only, [1, 1]);
    assert_eq!(found.examples[1][0]["at"].as_deref(), Some("2024-03-11 00:00:00+09"));
}

#[test]
fn sums_in_single_precision_may_differ_by_as_much_as_that_leaves() {
    let float4 = Kind::Number(Number::Float4);
    let (a, b) = ([row(&["-23.940645"])], [row(&["-23.9411"])]);
    assert!(asked("SELECT sum(r) FROM t", columns(&[("sum", float4)])).same(&a, &b));
    assert!(!asked("SELECT r FROM t", columns(&[("r", float4)])).same(&a, &b));
}

#[test]
fn what_may_be_noise_or_a_tie_is_said_to_be_so() {
    let kinds = columns(&[("g", Kind::Plain), ("total", FLOAT8)]);
    let sums = asked("SELECT g, sum(x) AS total FROM t GROUP BY g", kinds.clone());
    let first = [row(&["a", "0"]), row(&["b", "1000"]), row(&["c", "NULL"])];
    let noisy = [row(&["c", "NULL"]), row(&["a", "-9.6e-9"]), row(&["b", "1000.001"])];
    let found = sums.compare(&first, &noisy);
    let nearly = found.nearly.unwrap();
    assert!(!found.same && !found.may_tie);
    assert!((nearly.relative - 1e-6).abs() < 1e-8 && (nearly.absolute - 1e-3).abs() < 1e-9);
    // More than noise, another key, a row less.
    let far = [row(&["a", "0"]), row(&["b", "1001"]), row(&["c", "NULL"])];
    let key = [row(&["a", "0"]), row(&["d", "1000"]), row(&["c", "NULL"])];
    for other in [&far[..], &key, &first[..2]] {
        let found = sums.compare(&first, other);
        assert!(!found.same && found.nearly.is_none(), "{other:?}");
    }
    for (sql, may_tie) in [
        ("SELECT g, x FROM t ORDER BY x LIMIT 3", true),
        ("SELECT DISTINCT ON (g) g, x FROM t ORDER BY g", true),
        (
            "SELECT g, x FROM (SELECT g, x, Row_Number() OVER (ORDER BY x) AS n FROM t) q WHERE n < 3",
            true,
        ),
        ("SELECT DISTINCT g, x FROM t WHERE \"limit\" IS DISTINCT FROM 'limit'", false),
    ] {
        let asked = asked(sql, kinds.clone());
        assert_eq!(asked.compare(&first, &key).may_tie, may_tie, "{sql}");
        assert!(!asked.compare(&first, &first).may_tie, "{sql}");
        let rule = AnswerRule { ties: vec!["total".to_owned()], ..rule() };
        assert!(!Asked { rule, ..asked }.compare(&first, &key).may_tie, "{sql}");
    }
}

/// Rows that are nearly the same, as each has noise of its own: partners are to be found without trying
/// all pairs. In the square of their number this would take minutes.
#[test]
fn rows_that_are_nearly_the_same_do_not_take_the_square_of_their_number() {
    let two = asked("SELECT x, y FROM t", columns(&[("x", FLOAT8), ("y", FLOAT8)]));
    let noisy = |side: u32, different: bool| -> Vec<Values> {
        let row = |i: u32| {
            let noise = f64::from((i * 7919 + side * 104_729) % 22_003) * 1e-17;
            let other = if different && i == 11_000 { 1.0001 } else { 1.0 };
            row(&[&(1.0 + noise * 1e3).to_string(), &(other + noise * 1e2).to_string()])
        };
        (0..22_000).map(row).collect()
    };
    let began = Instant::now();
    assert!(two.compared(&noisy(0, false), &noisy(1, false)).unwrap().same);
    assert_eq!(two.compared(&noisy(0, false), &noisy(1, true)).unwrap().only, [1, 1]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_comparison_can_be_cut_off_in_the_middle() {
    let (sql, rule) = ("SELECT x, y FROM t", rule());
    let question = Question { sql, rule: &rule, on_gpu: false };
    let columns = columns(&[("x", FLOAT8), ("y", FLOAT8)]);
    let mut comparer = Comparer::new(columns, question, Limits::default()).unwrap();
    for row in 0..20_000 {
        comparer.row(Side::First, &[Some(&row.to_string()), Some("1")]).unwrap();
    }
    assert!(tokio::time::timeout(Duration::ZERO, comparer.finish()).await.is_err());
}

#[test]
fn what_cannot_be_told_is_neither_the_same_nor_different() {
    // A grid that is finer than the tolerance, in two numbers at once.
    let grid = |shift: f64| -> Vec<Values> {
        let at = |n: u32| f64::from(n).mul_add(3e-10, 1.0);
        let point = |n: u32| row(&[&(at(n % 40) + shift).to_string(), &at(n / 40).to_string()]);
        (0..1600).map(point).collect()
    };
    let two = asked("SELECT x, y FROM t", columns(&[("x", FLOAT8), ("y", FLOAT8)]));
    assert!(two.same(&grid(0.0), &grid(0.0)));
    // With few rows it is found out.
    let few = |rows: Vec<Values>| rows.into_iter().step_by(16).collect::<Vec<_>>();
    assert!(two.same(&few(grid(0.0)), &few(grid(2e-10))));
    match two.compared(&grid(0.0), &grid(2e-10)) {
        Ok(found) => assert!(found.same, "{found:?}"),
        Err(error) => assert!(error.to_string().contains("too much alike"), "{error}"),
    }
    let full = Asked { limits: Limits { disk_bytes: 4096, ..SMALL }, ..two };
    let error = full.compared(&grid(0.0), &grid(0.0)).unwrap_err();
    assert!(matches!(error, AnswerError::TooLarge { .. }), "{error}");
}

/// A noisy answer with few distinct values, as small as a proof by trying can be: all pairings.
fn small() -> impl Strategy<Value = [Vec<[u8; 2]>; 2]> {
    let rows = || proptest::collection::vec([0..6_u8, 0..6_u8], 0..7);
    [rows(), rows()]
}

/// Whether any pairing of all rows has each pair within two steps of each other in both numbers.
fn can_be_paired(a: &[[u8; 2]], b: &mut Vec<[u8; 2]>) -> bool {
    let Some((first, rest)) = a.split_first() else { return b.is_empty() };
    (0..b.len()).any(|at| {
        let near = (0..2).all(|number| first[number].abs_diff(b[at][number]) <= 2);
        near && {
            let other = b.swap_remove(at);
            let paired = can_be_paired(rest, b);
            b.push(other);
            let last = b.len() - 1;
            b.swap(at, last);
            paired
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Order does not matter, nor whether the rows fit the memory.
    #[test]
    fn a_shuffled_answer_is_the_same(rows in random::answer(), seed in any::<u64>()) {
        let asked = asked("SELECT a, b, c FROM t", random::columns());
        let shuffled = random::shuffled(&rows, seed);
        let found = asked.compare(&rows, &shuffled);
        prop_assert!(found.same, "{:?}", found);
    }

    /// One changed value is one row too few and one too many, in memory as on disk.
    #[test]
    fn one_changed_value_is_found(rows in random::answer(), at in any::<prop::sample::Index>(), column in 0..3_usize) {
        prop_assume!(!rows.is_empty());
        let asked = asked("SELECT a, b, c FROM t", random::columns());
        let mut changed = rows.clone();
        changed[at.index(rows.len())][column] = Some("777777".to_owned());
        prop_assert_eq!(asked.compare(&rows, &changed).only, [1, 1]);
    }

    /// A partner is found for every row exactly if there is a pairing that gives each one: no row is
    /// left over since another took its partner.
    #[test]
    fn a_pairing_is_found_if_there_is_one(both in small()) {
        let rule = AnswerRule { tolerance: Some(0.0), absolute_tolerance: Some(2.0), ..rule() };
        let asked = Asked { rule, ..asked("SELECT x, y FROM t", columns(&[("x", FLOAT8), ("y", FLOAT8)])) };
        let rows = both.each_ref().map(|rows| {
            let row = |[x, y]: &[u8; 2]| row(&[&x.to_string(), &y.to_string()]);
            rows.iter().map(row).collect::<Vec<_>>()
        });
        let [a, b] = both;
        // Rows that are equal to the byte are taken for partners before any others.
        let exact = a.iter().filter(|row| b.contains(row)).count();
        let same = asked.same(&rows[0], &rows[1]);
        let can = can_be_paired(&a, &mut b.clone());
        prop_assert!(same == can || (can && exact > 0), "{:?} {:?}", a, b);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// An answer that was summed in another order is no other answer.
    #[test]
    fn sums_in_another_order_are_the_same(answer in random::Answer::strategy()) {
        let [first, second] = answer.both_ways();
        let found = asked(random::SUMS, random::sums()).compared(&first, &second).unwrap();
        prop_assert!(found.same, "{:?}", found);
    }
}
