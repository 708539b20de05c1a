//! The scripts that pgbench has within it, others, and what is refused.

use indexmap::IndexMap;

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
    assert!(!writes("SELECT 'delete' AS updated, \"update\" FROM t -- insert\n;"));
}
