//! Drafts of whole tables, as their files.

use super::*;
use crate::plan::{Overrides, Plan, ProfileSource};

fn column(name: &str, sql_type: &str, statistics: impl Into<Option<Statistics>>) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        quoted: crate::plan::quote_identifier(name),
        sql_type: sql_type.to_owned(),
        is_readable: true,
        statistics: statistics.into(),
        ..SourceColumn::default()
    }
}

fn found(n_distinct: f64, correlation: f64, avg_width: u32) -> Statistics {
    Statistics { n_distinct, avg_width, correlation: Some(correlation), ..Statistics::default() }
}

fn common(own: Statistics, values: &[(&str, f64)]) -> Statistics {
    let common = values.iter().map(|(text, share)| ((*text).to_owned(), *share)).collect();
    Statistics { common, ..own }
}

fn along(own: Statistics, bounds: &[&str]) -> Statistics {
    Statistics { bounds: bounds.iter().map(|text| (*text).to_owned()).collect(), ..own }
}

/// A table with a column of each kind that is drafted in a way of its own.
fn orders() -> SourceTable {
    let id = SourceColumn {
        not_null: true,
        ..column("id", "bigint", along(found(-1.0, 1.0, 8), &["1", "99999"]))
    };
    let number = SourceColumn {
        filling: Filling::Numbered,
        not_null: true,
        ..column("nr", "integer", None)
    };
    let both =
        SourceColumn { filling: Filling::Generated, ..column("gross", "numeric(12,2)", None) };
    let tags = column("tags", "text[]", Some(found(10.0, 0.1, 40)));
    let note = Some(Statistics { null_frac: 1.0, ..Statistics::default() });
    let status = common(found(3.0, 0.42, 9), &[("Anna Smith", 0.6), ("paid", 0.3), ("open", 0.1)]);
    let amount = Statistics { null_frac: 0.1, ..found(-0.5, 0.02, 6) };
    let customer = common(found(5_000.0, 0.3, 8), &[("17", 0.2), ("4711", 0.05)]);
    SourceTable {
        schema: "shop".to_owned(),
        name: "Orders".to_owned(),
        rows: 100_000.0,
        analyzed_at: Some("2026-11-27".to_owned()),
        columns: vec![
            id,
            number,
            both,
            column("customer", "bigint", along(customer, &["1", "123", "5019"])),
            column("status", "text", status),
            column("city", "character varying(30)", Some(found(900.0, 0.05, 12))),
            column("amount", "numeric", along(amount, &["0.07", "12.50", "13.01", "98765.43"])),
            column(
                "day",
                "date",
                along(found(500.0, 0.99, 4), &["2024-01-03", "2024-06-07", "2025-05-05"]),
            ),
            column(
                "at",
                "timestamp with time zone",
                along(found(-1.0, 0.999, 8), &["2024-01-03 10:00:00+00", "2025-01-03 10:00:00+00"]),
            ),
            column("paid", "boolean", common(found(2.0, 0.6, 1), &[("t", 0.7), ("f", 0.3)])),
            column(
                "document",
                "jsonb",
                Some(Statistics { correlation: None, ..found(0.0, 0.0, 60) }),
            ),
            tags,
            column("note", "text", note),
        ],
        unique_keys: vec![vec!["id".to_owned()]],
        references: vec![Reference {
            columns: vec!["customer".to_owned()],
            table: "shop.customers".to_owned(),
            keys: vec!["id".to_owned()],
            range: Some(("1".to_owned(), "5019".to_owned())),
        }],
        checks: vec!["orders_amount_check".to_owned()],
        extended: vec![Extended {
            name: "city_status".to_owned(),
            columns: vec!["city".to_owned(), "status".to_owned()],
            says: "which combinations are common".to_owned(),
        }],
        ..SourceTable::default()
    }
}

/// A draft, which is a profile.
fn drafted(table: &SourceTable, options: &DraftOptions) -> String {
    let text = draft(table, options).unwrap();
    resolves(&text);
    text
}

fn resolves(text: &str) {
    let source = ProfileSource::new("draft.toml", text);
    if let Err(faults) = Plan::resolve(&source, &Overrides::default()) {
        panic!("{faults}\n{text}");
    }
}

#[test]
fn a_draft_has_labels_in_place_of_values() {
    let text = drafted(&orders(), &DraftOptions::default());
    insta::assert_snapshot!(text);
    for value in ["Anna", "4711", "98765", "12.50", "123\""] {
        assert!(!text.contains(value), "{value}");
    }
}

#[test]
fn values_are_kept_if_asked_for() {
    let options = DraftOptions { keep_values: true, copy: None };
    let text = drafted(&orders(), &options);
    for value in ["\"Anna Smith\"", "\"4711\"", "\"98765.43\"", "THIS FILE HOLDS VALUES"] {
        assert!(text.contains(value), "{value}\n{text}");
    }
}

#[test]
fn what_needs_a_value_that_no_generator_makes_stops_the_draft() {
    let mut table = orders();
    for column in &mut table.columns {
        column.not_null = true;
    }
    table.columns.retain(|column| column.name != "note");
    table.columns.push(SourceColumn { not_null: true, ..column("later", "integer", None) });
    let hidden =
        SourceColumn { is_readable: false, not_null: true, ..column("secret", "text", None) };
    table.columns.push(hidden);
    insta::assert_snapshot!(draft(&table, &DraftOptions::default()).unwrap_err(), @r#"
        column tags: its statistics have no elements; column later: ANALYZE has no statistics of it; column secret: its statistics are hidden from this role, which may not SELECT it: GRANT SELECT
        "#);
}

#[test]
fn arrays_are_drawn_by_their_elements() {
    let share = |text: &str, share: f64| (text.to_owned(), share);
    let of = |own: &[(&str, f64)], with_null, counts: &[f64]| ArrayStatistics {
        common: own.iter().map(|(text, own)| share(text, *own)).collect(),
        with_null,
        counts: counts.to_vec(),
        mean: counts.iter().sum::<f64>() / counts.len() as f64,
    };
    let column = |name: &str, sql_type: &str, arrays| {
        let statistics = Statistics { arrays: Some(arrays), ..found(500.0, 0.01, 50) };
        column(name, sql_type, statistics)
    };
    let tags = of(&[("Anna Smith", 0.75), ("paid", 0.75)], 0.0, &[2.0, 2.0, 2.0]);
    let scores = of(&[("1", 0.25), ("77", 0.2)], 0.1, &[0.0, 1.0, 1.0, 1.0, 4.0]);
    let amounts = of(&[("1.25", 0.5), ("-30.5", 0.5)], 0.0, &[1.0, 1.0]);
    let table = SourceTable {
        schema: "shop".to_owned(),
        name: "tagged".to_owned(),
        rows: 10_000.0,
        columns: vec![
            column("tags", "text[]", tags),
            column("scores", "smallint[]", scores),
            column("amounts", "numeric[]", amounts),
            column("words", "character varying[]", of(&[], 0.0, &[0.0, 0.0])),
        ],
        ..SourceTable::default()
    };
    for keep_values in [false, true] {
        let text = drafted(&table, &DraftOptions { keep_values, copy: None });
        let from = text.find("# There").unwrap();
        let columns = &text[from..text.find("[readers]").unwrap()];
        insta::assert_snapshot!(format!("arrays_kept_{keep_values}"), columns);
        assert_eq!(text.contains("Anna"), keep_values);
    }
}

#[test]
fn keys_are_counted_so_that_none_comes_twice() {
    let line = SourceColumn {
        not_null: true,
        ..column("line", "integer", common(found(2.0, 0.4, 4), &[("1", 0.6), ("2", 0.4)]))
    };
    let order = SourceColumn {
        not_null: true,
        ..column("order", "integer", along(found(-0.5, 1.0, 4), &["1", "50000"]))
    };
    let table = SourceTable {
        schema: "shop".to_owned(),
        name: "lines".to_owned(),
        rows: 100_000.0,
        columns: vec![order, line],
        unique_keys: vec![vec!["order".to_owned(), "line".to_owned()]],
        ..SourceTable::default()
    };
    let values = |options: &DraftOptions| {
        let text = drafted(&table, options);
        text.lines()
            .filter(|line| line.starts_with("values"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(values(&DraftOptions::default()), @r#"
        values = { integer = { min = 51000, max = 2147483647, pick = "cycle" } }
        values = { choice = { of = ["1", "2"], weights = [0.6, 0.4] } }
        "#);
    let copy = Some("copy".parse().unwrap());
    insta::assert_snapshot!(values(&DraftOptions { copy, keep_values: false }), @r#"
        values = { integer = { min = 1, max = 2147483647, pick = "cycle" } }
        values = { choice = { of = ["1", "2"], weights = [0.6, 0.4] } }
        "#);
}

#[test]
fn names_are_text_wherever_they_stand() {
    let odd = "a\"b\\\n[stream]";
    let table = SourceTable {
        schema: odd.to_owned(),
        name: odd.to_owned(),
        rows: 10.0,
        columns: vec![column(odd, "text", common(found(1.0, 1.0, 4), &[(odd, 1.0)]))],
        checks: vec![odd.to_owned()],
        ..SourceTable::default()
    };
    for keep_values in [false, true] {
        drafted(&table, &DraftOptions { keep_values, copy: None });
    }
}

#[test]
fn a_profile_begins_without_a_table() {
    let text = starter(&"\"My Schema\".events".parse().unwrap());
    resolves(&text);
    assert!(text.contains(r#"table = '"My Schema".events'"#), "{text}");
    assert_eq!(text.matches('<').count(), 1, "only in a query: {text}");
}
