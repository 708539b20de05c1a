//! The scripts that pgbench has within it, others, and what is refused.

use indexmap::IndexMap;

use super::draft::Falling;
use super::*;
use crate::plan::{Job, Overrides, Plan};

const TPCB_LIKE: &str = "\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
";

fn convert(text: &str, scale: u32) -> Result<String, Faults> {
    let variables = IndexMap::from([("limit".to_owned(), 100.0), ("share".to_owned(), 0.5)]);
    let conversion = Conversion { scale, variables, protocol: Protocol::Simple, clients: 2 };
    let source = ProfileSource::new("scripts/My-Script.sql", text);
    let text = conversion.profile(&source)?;
    // What is written resolves.
    let source = ProfileSource::new("converted", text);
    let plan =
        Plan::resolve(&source, &Overrides::default()).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(matches!(plan.job, Job::Stream(_)));
    Ok(source.text)
}

fn refused(text: &str) -> String {
    convert(text, 1).unwrap_err().to_string()
}

#[test]
fn a_transaction_becomes_its_statements_and_what_is_drawn_parameters() {
    insta::assert_snapshot!(convert(TPCB_LIKE, 50_000).unwrap());
}

#[test]
fn a_statement_alone_has_no_transaction_and_what_is_not_used_is_said() {
    let script = "\\set aid random(1, 100000 * :scale)\n\\set bid 1\n\
                  -- one row\nSELECT abalance FROM pgbench_accounts\n  WHERE aid = :aid AND 'it''s' <> ':x';\n";
    insta::assert_snapshot!(convert(script, 1).unwrap());
}

#[test]
fn distributions_and_constants_are_those_of_the_script() {
    let script = "\\set accounts 1000 * \\\n  (:scale + 1)\n\
        \\set hot random_zipfian(1, :accounts, 1.1)\n\\set middle random_gaussian(-100, :accounts - 1, 4.0)\n\
        \\set early random_exponential(0, 999, 10.0)\n\\set half :share * 3\n\\set far random(1, 3000000000)\n\
        BEGIN;\nSELECT :hot, :middle::bigint, :early, :half, :far, :limit, :accounts;\nCOMMIT;";
    insta::assert_snapshot!(convert(script, 1).unwrap());
}

#[test]
fn a_variable_that_is_another_one_is_that_one() {
    let script = "\\set a random(1, 1000)\n\\set b :a\n\\set c (:b)\n\\set d :scale\n\\set e :d\n\\set unused :c\n\
        INSERT INTO al VALUES (:a, :b, :c::int, ':', :e, :b || ':');";
    insta::assert_snapshot!(convert(script, 7).unwrap());
    // Arithmetic with one is that with a drawn number.
    let found = refused("\\set a random(1, 9)\n\\set b :a\n\\set c :b + 1\nSELECT :c;");
    assert!(found.contains("arithmetic with a number that is drawn"), "{found}");
    let found = refused("\\set a random(1, 9)\n\\set b random(1, :a)\nSELECT :b;");
    assert!(found.contains("arithmetic with a number that is drawn"), "{found}");
}

#[test]
fn whole_numbers_are_rounded_as_pgbench_does() {
    for (value, whole) in [
        ("1.5", 2_i64),
        ("2.5", 2),
        ("-2.5", -2),
        ("0.4999", 0),
        ("-0.6", -1),
        (":scale * 1.5", 2),
        ("9.2e18", 9_200_000_000_000_000_000),
    ] {
        let text = convert(&format!("\\set a int({value})\nSELECT :a;"), 1).unwrap();
        assert!(text.contains(&format!("min = {whole}, max = {whole} ")), "{value}: {text}");
    }
    assert!(refused("\\set a int(9.3e18)\nSELECT :a;").contains("beyond its type"));
}

/// The number that pgbench makes of `uniform`, from above 0 to 1: getExponentialRand.
fn pgbench_exponential(min: i64, max: i64, by: f64, uniform: f64) -> i64 {
    let cut = (-by).exp();
    let random = -(cut + (1.0 - cut) * uniform).ln() / by;
    min + ((max - min + 1) as f64 * random) as i64
}

#[test]
fn numbers_that_fall_exponentially_have_the_shares_of_pgbench() {
    const DRAWS: i32 = 200_000;
    for (min, max, by) in [
        (1, 10, 7.0),
        (0, 0, 3.0),
        (-5, 90, 0.3),
        (-5, 250, 0.3),
        (1, 100_000, 7.0),
        (1, 100_000, 2.5),
        (7, 1_000, 60.0),
        (0, 3_000_000_000, 20.0),
    ] {
        let Falling { bounds, weights } = Falling::new(min, max, by);
        assert!(bounds.is_sorted() && bounds[0] == min && bounds[weights.len()] == max);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{max} {by}");
        let draw =
            |n: i32| pgbench_exponential(min, max, by, (f64::from(n) + 0.5) / f64::from(DRAWS));
        let mut theirs = vec![0_u32; weights.len()];
        // How many numbers of each range lie in its first half, which shows how even it is.
        let mut low = vec![0_u32; weights.len()];
        for number in (0..DRAWS).map(draw) {
            let range = bounds[..weights.len()].partition_point(|bound| *bound <= number) - 1;
            theirs[range] += 1;
            let is_last = range + 1 == weights.len();
            let numbers = bounds[range + 1] - bounds[range] + i64::from(is_last);
            low[range] += u32::from(2 * (number - bounds[range]) < numbers);
        }
        for (range, weight) in weights.iter().enumerate() {
            let share = f64::from(theirs[range]) / f64::from(DRAWS);
            assert!((share - weight).abs() < 3e-5, "{max} {by}: {range} has {share}, not {weight}");
            let numbers = bounds[range + 1] - bounds[range];
            let is_hot = share > 1e-3 && numbers > 50;
            let half = f64::from(low[range]) / f64::from(theirs[range]);
            assert!(!is_hot || (0.47..0.55).contains(&half), "{max} {by}: {range} has {half}");
        }
    }
    // Of ten numbers the first has half of all, and not a quarter.
    let weights = Falling::new(1, 10, 7.0).weights;
    assert!((weights[0] - 0.5039).abs() < 1e-4 && (weights[1] - 0.2502).abs() < 1e-4);
}

#[test]
fn what_has_no_plan_is_refused_and_so_is_what_a_distribution_is_not_given() {
    for (sql, word) in [
        ("SET LOCAL work_mem = 100", "`SET`"),
        ("LOCK TABLE t", "`LOCK`"),
        ("VACUUM t", "`VACUUM`"),
        ("create table t (a int)", "`CREATE`"),
        ("CALL p()", "`CALL`"),
        ("TRUNCATE t", "`TRUNCATE`"),
        ("\\set a random_zipfian(1, 10, 1.0)\nSELECT :a", "random_zipfian with 1.0"),
        ("\\set a random_zipfian(1, 10, 21)\nSELECT :a", "random_zipfian with 21.0"),
        ("\\set a random_gaussian(1, 10, 3.4)\nSELECT :a", "random_gaussian with 3.4"),
        ("\\set a random_exponential(1, 10, 0)\nSELECT :a", "random_exponential with 0.0"),
    ] {
        let found = refused(&format!("{sql};"));
        assert!(found.contains(word) && found.matches("error:").count() == 1, "{sql}: {found}");
    }
    for sql in
        ["(SELECT 1)", "TABLE t", "VALUES (1)", "/* a */ WITH a AS (SELECT 1) SELECT * FROM a"]
    {
        convert(&format!("{sql};"), 1).unwrap();
    }
}

#[test]
fn the_name_of_a_file_is_text_wherever_it_stands() {
    let source = ProfileSource::new("a\n[b]\"c\u{7f}.sql", "SELECT 1;");
    let conversion =
        Conversion { scale: 1, variables: IndexMap::new(), protocol: Protocol::Simple, clients: 1 };
    let text = conversion.profile(&source).unwrap();
    assert!(text.starts_with(r#"# Converted from "a\n[b]\"c\u{7f}.sql" by"#), "{text}");
    let source = ProfileSource::new("converted", text);
    Plan::resolve(&source, &Overrides::default()).unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn what_cannot_be_converted_is_refused_with_its_line() {
    let all = "\\set a random(1, 10) + 1
\\set b random(10, 1)
\\set c sqrt(2)
\\set a 3
\\set d :nobody * 2
\\set e random_gaussian(1, 100, 2.0)
\\set f random_zipfian(1, 100000000, 1.5)
\\set g 1 / 0
\\sleep 10 ms
\\if :a
BEGIN;
SELECT :e, :f, :who;
SELECT ':d', :d;
SAVEPOINT s;
END;
SELECT 1";
    insta::assert_snapshot!(refused(all));
}

#[test]
fn a_command_that_ends_a_statement_is_refused_where_it_stands() {
    for command in ["gset", "aset", "gset p_", "gset;", "if :a"] {
        let name = command.split([' ', ';']).next().unwrap();
        let found =
            refused(&format!("BEGIN;\nSELECT 1 AS a, E'\\\\x;' \\{command}\nSELECT 2;\nEND;"));
        let expected = format!("`\\{name}` cannot be converted");
        assert!(found.contains(&expected) && found.contains("2 |"), "{command}: {found}");
        // What ends a statement stands in for its semicolon.
        let wants_semicolon = found.contains("has no semicolon at its end");
        assert_eq!(wants_semicolon, name == "if", "{command}: {found}");
        assert!(refused(&format!("SELECT 1 AS a \\{command}")).contains(&expected));
    }
    convert("SELECT '\\gset', \"\\gset\", $$\\gset$$ /* \\gset */;", 1).unwrap();
}

#[test]
fn a_script_is_one_transaction() {
    for (script, said) in [
        ("", "the script sends no statement"),
        ("BEGIN;\nSELECT 1;\n", "the transaction has no end"),
        ("SELECT 1;\nSELECT 2;\n", "a statement stands outside of the transaction"),
        ("SELECT 1;\nBEGIN;\nSELECT 2;\nEND;", "`BEGIN` cannot be converted"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nEND;", "an isolation level"),
        ("SELECT 'open;\n", "a quote or comment is not closed"),
        ("SELECT 1", "no semicolon at its end"),
        ("\\set q 1\nSELECT ':q', :q;", "`:q` stands within quotes"),
    ] {
        let found = refused(script);
        assert!(found.contains(said), "{script}: {found}");
    }
}

#[test]
fn what_locks_rows_writes_and_what_only_names_such_words_does_not() {
    let writes = |sql: &str| convert(sql, 1).unwrap().contains("writes = true");
    assert!(writes("SELECT 1 FROM t FOR UPDATE;"));
    assert!(writes("WITH gone AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM gone;"));
    assert!(writes("SELECT nextval('s');"));
    assert!(writes("SELECT 1 AS a INTO t;"));
    assert!(!writes("SELECT 'delete' AS updated, \"update\" FROM t -- insert\n;"));
}
