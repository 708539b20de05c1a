//! Digests show what a comparison of rows does, and hold equal what that does.

use proptest::prelude::*;

use super::*;
use crate::answer::Number;
use crate::plan::AnswerRule;

const SQL: &str = "SELECT category, amount, sum(x) AS x FROM t GROUP BY 1, 2 ORDER BY category";

fn reducer(sql: &str, rule: &AnswerRule) -> Reducer {
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    let columns = [
        column("category", Kind::Plain),
        column("amount", Kind::Number(Number::Numeric)),
        column("x", Kind::Number(Number::Float8)),
    ];
    let question = Question { sql, rule, on_gpu: true };
    Reducer::new(&columns, &[true; 3], question).unwrap()
}

type Row = (u8, u16, f64);

fn digest(reducer: &mut Reducer, rows: &[Row]) -> Digest {
    for (category, amount, x) in rows {
        reducer.bytes(0, &[*category]);
        let digits = [amount.to_be_bytes(), [0, 0]];
        // Of two scales: zeros at the end are no difference.
        let digits = if rows.len().is_multiple_of(2) { &digits[..] } else { &digits[..1] };
        reducer.decimal(1, Decimal { weight: 0, sign: 0, digits });
        reducer.float(2, *x);
        reducer.end_row();
    }
    reducer.take()
}

fn rows() -> Vec<Row> {
    (0..27_000_u32).map(|n| ((n / 1000) as u8, (n % 9_999) as u16, f64::from(n) * 0.37)).collect()
}

#[test]
fn a_digest_shows_what_a_comparison_does() {
    let rule = AnswerRule::default();
    let mut reducer = reducer(SQL, &rule);
    let first = digest(&mut reducer, &rows());
    let mut differs = |change: &dyn Fn(&mut Vec<Row>)| {
        let mut changed = rows();
        change(&mut changed);
        let second = digest(&mut reducer, &changed);
        reducer.differ(&first, &second)
    };
    assert_eq!(differs(&|_| {}), None);
    // Rows that tie in what they are ordered by, and noise.
    assert_eq!(differs(&|rows| rows.swap(10, 20)), None);
    assert_eq!(differs(&|rows| rows.iter_mut().for_each(|row| row.2 *= 1.0 + 1e-13)), None);
    let found = [
        differs(&|rows| rows.swap(10, 2000)),
        differs(&|rows| rows[13_579].1 += 1),
        differs(&|rows| rows[13_579] = rows[13_578]),
        differs(&|rows| rows.truncate(26_999)),
        differs(&|rows| rows[13_579].2 += 1.0),
        differs(&|rows| (rows[10].2, rows[26_990].2) = (rows[26_990].2, rows[10].2)),
        differs(&|rows| rows[77].2 = f64::NAN),
    ];
    let found = found.map(|what| {
        let what = what.unwrap_or_else(|| "the same".to_owned());
        // How far they lie apart.
        what.split(", by").next().unwrap_or_default().to_owned()
    });
    insta::assert_snapshot!(found.join("\n"), @r"
    the order of the rows
    values that must be equal
    values that must be equal
    27000 rows and 26999
    the numbers of column 3
    the numbers of column 3
    values that must be equal
    ");
}

#[test]
fn of_an_arm_that_varies_the_odd_executions_are_counted_and_a_base_that_does_is_no_measure() {
    let rule = AnswerRule::default();
    let mut reducer = reducer(SQL, &rule);
    let right = digest(&mut reducer, &rows()[..10]);
    let wrong = digest(&mut reducer, &rows()[1..11]);
    let mut timed = Timed::new(2);
    assert!(timed.different(0, 1, &reducer).is_err());
    for _ in 0..100 {
        timed.note(0, &reducer, right.clone());
        timed.note(1, &reducer, right.clone());
    }
    assert_eq!(timed.different(0, 1, &reducer), Ok((0, None)));
    timed.note(1, &reducer, wrong.clone());
    let (count, what) = timed.different(0, 1, &reducer).unwrap();
    assert_eq!((count, what.as_deref()), (1, Some("values that must be equal")));
    assert_eq!(timed.executions(1), 101);
    timed.note(0, &reducer, wrong);
    let why = timed.different(0, 1, &reducer).unwrap_err();
    assert!(why.contains("differ among themselves, in values that must be equal"), "{why}");
}

#[test]
fn where_rows_may_tie_only_what_ties_counts() {
    let rule = AnswerRule { ties: vec!["amount".to_owned()], ..AnswerRule::default() };
    let mut reducer = reducer("SELECT category, amount, x FROM t LIMIT 3", &rule);
    assert_eq!(reducer.left_out(), ["category", "x"]);
    assert!(!reducer.wants(0) && reducer.wants(1));
    let mut of = |amount: u16| {
        reducer.decimal(1, Decimal { weight: 0, sign: 0, digits: &[amount.to_be_bytes()] });
        reducer.end_row();
        reducer.take()
    };
    let (a, b, c) = (of(1), of(1), of(2));
    assert_eq!(reducer.differ(&a, &b), None);
    assert!(reducer.differ(&a, &c).is_some());
}

#[test]
fn json_is_the_same_but_for_blanks_and_digits() {
    let rule = AnswerRule::default();
    let column = Column { name: "j".to_owned(), kind: Kind::Mixed };
    let question = Question { sql: "SELECT j FROM t", rule: &rule, on_gpu: false };
    let mut reducer = Reducer::new(&[column], &[true], question).unwrap();
    let mut of = |text: &str| {
        reducer.text(0, text);
        reducer.end_row();
        reducer.take()
    };
    let texts = [r#"{"a": 0.3}"#, r#"{"a":0.30000000000000004}"#, r#"{"a":0.4}"#, r#"{"b":0.3}"#];
    let [a, noise, other, key] = texts.map(&mut of);
    assert_eq!(reducer.differ(&a, &noise), None);
    assert!(reducer.differ(&a, &other).is_some() && reducer.differ(&a, &key).is_some());
}

proptest! {
    #[test]
    fn a_decimal_is_what_its_digits_say(
        weight in -3..4_i16,
        digits in prop::collection::vec(0..10_000_u16, 1..5),
        negative in any::<bool>(),
    ) {
        let bytes: Vec<_> = digits.iter().map(|digit| digit.to_be_bytes()).collect();
        let sign = if negative { Decimal::NEGATIVE } else { 0 };
        let value = Decimal { weight, sign, digits: &bytes }.as_f64();
        let texts: Vec<_> = digits.iter().map(|digit| format!("{digit:04}")).collect();
        let text = texts.concat();
        let power = (i32::from(weight) + 1 - digits.len() as i32) * 4;
        let sign = if negative { "-" } else { "" };
        let right: f64 = format!("{sign}{text}e{power}").parse().unwrap();
        prop_assert!((value - right).abs() <= right.abs() * 1e-15, "{} {}", value, right);
    }
}

fn of_one(name: &str, kind: Kind, rule: &AnswerRule) -> Reducer {
    let column = Column { name: name.to_owned(), kind };
    let question = Question { sql: "SELECT x FROM t", rule, on_gpu: false };
    Reducer::new(&[column], &[true], question).unwrap()
}

fn texts(reducer: &mut Reducer, texts: impl Iterator<Item = String>) -> Digest {
    texts.for_each(|text| {
        reducer.text(0, &text);
        reducer.end_row();
    });
    reducer.take()
}

#[test]
fn a_wrong_whole_number_in_json_is_found_beside_large_ones() {
    let rule = AnswerRule::default();
    let mut reducer = of_one("j", Kind::Mixed, &rule);
    for (large, noise) in [("000000000", 0.0), ("123456.78901", 1e-4)] {
        let row = |n: i64, wrong: i64, noise: f64| {
            let end = if noise > 0.0 { n % 10 } else { 0 };
            format!(r#"{{"n": {}, "s": {n}{large}{end}1}}"#, n + i64::from(n == wrong))
        };
        let mut of =
            |wrong, noise| texts(&mut reducer, (1_000..2_000).map(|n| row(n, wrong, noise)));
        let (right, noisy, wrong) = (of(0, 0.0), of(0, noise), of(1_777, noise));
        assert_eq!(reducer.differ(&right, &noisy), None, "{large}");
        let found = reducer.differ(&right, &wrong).unwrap();
        assert!(found.starts_with("the numbers of column 1"), "{large}: {found}");
    }
}

#[test]
fn whole_numbers_are_what_decimal_and_binary_ones_of_their_value_are() {
    let (default, exact) =
        (AnswerRule::default(), AnswerRule { tolerance: Some(0.0), ..AnswerRule::default() });
    let kinds = [Kind::Number(Number::Numeric), Kind::Number(Number::Float8)];
    for (kind, rule) in kinds.into_iter().flat_map(|kind| [(kind, &default), (kind, &exact)]) {
        let mut reducer = of_one("x", kind, rule);
        let mut of = |give: &dyn Fn(&mut Reducer)| {
            give(&mut reducer);
            reducer.end_row();
            reducer.take()
        };
        let whole = of(&|reducer| reducer.integer(0, -12_345_678));
        let digits = [1_234_u16, 5_678, 0].map(u16::to_be_bytes);
        let decimal = Decimal { weight: 1, sign: Decimal::NEGATIVE, digits: &digits };
        let decimal = of(&|reducer| reducer.decimal(0, decimal));
        let other = of(&|reducer| reducer.integer(0, -12_345_679));
        let null = of(&|reducer| reducer.null(0));
        let nan = of(&|reducer| reducer.float(0, f64::NAN));
        let no_number = of(&|reducer| {
            reducer.decimal(0, Decimal { weight: 0, sign: 0xc000, digits: &[] });
        });
        let same = |a: &Digest, b: &Digest| reducer.differ(a, b).is_none();
        assert!(same(&whole, &decimal) && !same(&whole, &other), "{kind:?}");
        assert!(!same(&null, &nan) && !same(&null, &no_number), "{kind:?}");
        if kind == kinds[1] {
            assert!(same(&nan, &no_number));
            assert!(same(&whole, &{
                let mut reducer = reducer.clone();
                reducer.float(0, -12_345_678.0);
                reducer.end_row();
                reducer.take()
            }));
        }
    }
}

#[test]
fn floats_that_must_be_equal_may_come_in_any_order() {
    let rule = AnswerRule { tolerance: Some(0.0), ..AnswerRule::default() };
    let mut reducer = of_one("x", Kind::Number(Number::Float8), &rule);
    let mut of = |values: &mut dyn Iterator<Item = f64>| {
        values.for_each(|value| {
            reducer.float(0, value);
            reducer.end_row();
        });
        reducer.take()
    };
    let value = |n: u32| f64::from(n).sqrt();
    let (first, second) = (of(&mut (0..1000).map(value)), of(&mut (0..1000).rev().map(value)));
    let other = of(&mut (0..1000).map(|n| value(n) + if n == 7 { 1e-15 } else { 0.0 }));
    assert_eq!(reducer.differ(&first, &second), None);
    assert!(reducer.differ(&first, &other).is_some());
}
