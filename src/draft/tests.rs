//! Drafts of whole tables, as their files.

use proptest::prelude::*;

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
            schema: "shop".to_owned(),
            table: "customers".to_owned(),
            keys: vec!["id".to_owned()],
            is_readable: true,
            rows: 5_000.0,
            ..Reference::default()
        }],
        checks: vec!["orders_amount_check".to_owned()],
        extended: vec![Extended {
            name: "city_status".to_owned(),
            columns: vec!["city".to_owned(), "status".to_owned()],
            says: "which combinations are common".to_owned(),
            pairs: vec![(Some("Ulm".to_owned()), Some("paid".to_owned()), 0.1)],
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
    let said = draft(&table, &DraftOptions::default()).unwrap_err();
    insta::assert_snapshot!(said, @"column tags: its statistics have no elements; column later: there are no statistics of it, as the last ANALYZE left it out: let the table's owner run ANALYZE of the whole table; column secret: its statistics are hidden from this role, which may not SELECT it: GRANT SELECT");
}

#[test]
fn queries_group_by_what_is_drawn() {
    // Best to group by and to add up, and NULL in each row that is sent.
    let endless = common(found(2.0, 0.1, 4), &[("infinity", 0.5), ("-infinity", 0.5)]);
    let rates = common(found(2.0, 0.1, 8), &[("NaN", 0.5), ("Infinity", 0.5)]);
    let status = common(found(3.0, 0.1, 4), &[("1", 0.6), ("2", 0.4)]);
    let table = SourceTable {
        schema: "shop".to_owned(),
        name: "seen".to_owned(),
        rows: 10_000.0,
        columns: vec![
            column("id", "bigint", along(found(-1.0, 1.0, 8), &["1", "10000"])),
            column("until", "date", endless),
            column("rate", "double precision", rates),
            column("status", "integer", status),
        ],
        unique_keys: vec![vec!["id".to_owned()]],
        ..SourceTable::default()
    };
    let text = drafted(&table, &DraftOptions::default());
    assert!(text.contains("# until, ") && text.contains("# rate, "), "{text}");
    let queries = &text[text.find("[readers]").unwrap()..];
    assert!(queries.contains("GROUP BY \\\"status") && queries.contains("ORDER BY \"id"));
    assert!(!queries.contains("until") && !queries.contains("rate"), "{queries}");
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

/// A draft of a table with such columns, and nothing else.
fn table(columns: Vec<SourceColumn>, unique_keys: &[&[&str]]) -> SourceTable {
    let owned = |key: &&[&str]| key.iter().map(|name| (*name).to_owned()).collect();
    SourceTable {
        schema: "odd".to_owned(),
        name: "table".to_owned(),
        rows: 20_000.0,
        columns,
        unique_keys: unique_keys.iter().map(owned).collect(),
        ..SourceTable::default()
    }
}

/// The values of each column of a draft.
fn values(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("values = ")).collect()
}

fn copied() -> DraftOptions {
    DraftOptions { copy: Some("copy".parse().unwrap()), keep_values: false }
}

#[test]
fn the_ends_of_a_range_are_values_of_the_type() {
    let even = |bounds: &[&str]| along(found(-1.0, 0.0, 8), bounds);
    let sentinel = common(
        along(found(6_000.0, 0.0, 8), &["2024-01-01 00:00:01+00", "2025-01-01 00:00:00+00"]),
        &[("9999-12-31 23:59:59+00", 0.66)],
    );
    let of = |sql_type: &str, statistics: Statistics| {
        let text =
            drafted(&table(vec![column("a", sql_type, statistics)], &[]), &DraftOptions::default());
        values(&text)[0].to_owned()
    };
    insta::assert_snapshot!(
        [
            of("numeric(4,2)", even(&["0.01", "50.00", "99.98"])),
            of("numeric(5,2)", even(&["-999.97", "0.00", "999.99"])),
            of("numeric(3,0)", even(&["1", "500", "999"])),
            of("timestamp with time zone", sentinel),
            of("double precision", even(&["1e-310", "5e-306", "9.9e-306"])),
            of("double precision", even(&["0", "2e-322", "4e-322"])),
            of("real", even(&["-3.3e38", "0", "3.4e38"])),
        ]
        .join("\n")
    );
}

/// A type with values of it as text, in their order.
fn measured() -> impl Strategy<Value = (String, Vec<String>)> {
    let many = 2..40_usize;
    let decimals = (1_u32..=18, 0_u32..=18, prop::collection::vec(any::<i64>(), many.clone()));
    let decimals = decimals.prop_map(|(precision, scale, mut values)| {
        values.iter_mut().for_each(|value| *value %= 10_i64.pow(precision));
        values.sort_unstable();
        let scale = scale.min(precision);
        let own = |value: i64| crate::row::numeric::units_text(value.into(), scale as u16);
        (format!("numeric({precision},{scale})"), values.into_iter().map(own).collect())
    });
    let free =
        (0_usize..30, prop::collection::btree_map(any::<i32>(), any::<u128>(), many.clone()));
    let free = free.prop_map(|(decimals, values)| {
        let own = |(whole, part): (i32, u128)| {
            let part = format!("{part:039}");
            if decimals == 0 { whole.to_string() } else { format!("{whole}.{}", &part[..decimals]) }
        };
        ("numeric".to_owned(), values.into_iter().map(own).collect())
    });
    let floats = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let floats = prop::collection::vec(floats, many.clone());
    let floats = floats.prop_map(|mut values| {
        values.sort_by(f64::total_cmp);
        let own = |value: f64| format!("{:e}", value / 2.0);
        ("double precision".to_owned(), values.into_iter().map(own).collect())
    });
    let wholes = prop::collection::vec(any::<i64>(), many.clone());
    let wholes = (wholes, 0_usize..3).prop_map(|(mut values, which)| {
        values.sort_unstable();
        let (name, shift) = [("smallint", 48), ("integer", 32), ("bigint", 0)][which];
        (name.to_owned(), values.into_iter().map(|value| (value >> shift).to_string()).collect())
    });
    let first = crate::row::day::parse_day("0001-01-01").unwrap();
    let days = prop::collection::vec(first..=2_921_939_i32, many);
    let days = (days, 0_usize..3).prop_map(|(mut values, which)| {
        values.sort_unstable();
        let (name, behind) = [
            ("date", ""),
            ("timestamp without time zone", " 23:59:59.5"),
            ("timestamp with time zone", " 23:00:00+00"),
        ][which];
        let own = |day: i32| crate::row::day::format_day(day) + behind;
        (name.to_owned(), values.into_iter().map(own).collect())
    });
    prop_oneof![decimals, free, floats, wholes, days]
}

proptest! {
    /// Whatever a server says of numbers and moments.
    #[test]
    fn a_draft_of_any_numbers_is_a_profile(
        (sql_type, values) in measured(), listed in 0..12_usize, distinct in -1.0..1.0_f64,
        correlation in -1.0..=1.0_f64, keep_values: bool, is_unique: bool, into_copy: bool, shares in 0.0..1.0_f64,
    ) {
        let listed = listed.min(values.len());
        let share = shares / listed.max(1) as f64;
        let statistics = Statistics {
            n_distinct: if distinct > 0.0 { (distinct * 5_000.0).max(1.0) } else { distinct },
            common: values.iter().take(listed).map(|text| (text.clone(), share)).collect(),
            correlation: Some(correlation),
            bounds: values,
            ..Statistics::default()
        };
        let key: &[&[&str]] = if is_unique { &[&["a"]] } else { &[] };
        let copy = into_copy.then(|| "copy".parse().unwrap());
        drafted(&table(vec![column("a", &sql_type, statistics)], key), &DraftOptions { copy, keep_values });
    }
}

#[test]
fn values_that_are_common_by_chance_stay_within_the_range() {
    // Each of 900 days ten times: ANALYZE lists the first hundred, and has buckets of the others.
    let first = crate::row::day::parse_day("1987-06-05").unwrap();
    let day = |at: i32| crate::row::day::format_day(first + at);
    let statistics = Statistics {
        common: (0..100).map(|at| (day(at), 1.0 / 900.0)).collect(),
        bounds: (0..=100).map(|at| day(100 + at * 799 / 100)).collect(),
        ..found(900.0, 0.05, 4)
    };
    let table =
        SourceTable { rows: 9_000.0, ..table(vec![column("day", "date", statistics)], &[]) };
    let kept = drafted(&table, &DraftOptions { keep_values: true, copy: None });
    assert!(kept.contains(r#"bounds = ["1987-06-05", "#) && kept.contains(&day(899)), "{kept}");
    let rounded = drafted(&table, &DraftOptions::default());
    assert!(rounded.contains(r#"bounds = ["1987-06-01", "#), "{rounded}");
}

#[test]
fn what_is_not_drawn_of_numbers_is_said() {
    let ratio = along(found(-1.0, 0.0, 12), &["0.14285714285714285714", "2857.1428571428571429"]);
    let until = common(
        along(found(6_000.0, 0.0, 8), &["2024-01-01 00:00:01+00", "2025-01-01 00:00:00+00"]),
        &[("infinity", 0.66)],
    );
    let columns = vec![
        column("ratio", "numeric", ratio),
        column("until", "timestamp with time zone", until),
        column(
            "huge",
            "numeric(78,0)",
            along(found(-1.0, 0.0, 40), &[&"7".repeat(70), &"8".repeat(70)]),
        ),
        column("all", "double precision", common(found(1.0, 1.0, 8), &[("NaN", 1.0)])),
    ];
    let text = drafted(&table(columns, &[]), &DraftOptions::default());
    insta::assert_snapshot!(text[text.find("# There").unwrap()..text.find("[readers]").unwrap()]);
}

#[test]
fn every_unique_key_is_kept_or_told() {
    let even = |bounds: &[&str]| along(found(-1.0, 0.02, 13), bounds);
    let columns = || {
        vec![
            column("id", "integer", even(&["1", "20000"])),
            column("number", "numeric(12,0)", even(&["100000", "120000"])),
            column("amount", "numeric(6,2)", even(&["0.01", "9000.00"])),
            column("small", "smallint", even(&["1", "30000"])),
            column("day", "date", even(&["1970-01-01", "2024-10-04"])),
            column(
                "at",
                "timestamp with time zone",
                along(found(-1.0, -1.0, 8), &["2026-01-01 00:00:00+00", "2026-01-02 00:00:00+00"]),
            ),
            column(
                "due",
                "timestamp with time zone",
                along(found(-1.0, 1.0, 8), &["2026-01-01 00:00:00+00", "2026-01-02 00:00:00+00"]),
            ),
            column("two", "character varying(2)", Some(found(-1.0, 0.0, 3))),
            column("four", "character(4)", Some(found(-1.0, 0.0, 5))),
            column("name", "text", Some(found(-1.0, 0.0, 21))),
            column("session", "uuid", Some(found(-1.0, 0.0, 16))),
            column("clock", "time without time zone", even(&["00:00:00", "23:00:00"])),
            column("share", "double precision", even(&["0", "1"])),
        ]
    };
    let alone: Vec<Vec<&str>> = [
        "id", "number", "amount", "small", "day", "at", "due", "two", "four", "name", "session",
        "clock", "share",
    ]
    .map(|name| vec![name])
    .into();
    let alone: Vec<&[&str]> = alone.iter().map(Vec::as_slice).collect();
    let table_of = |keys: &[&[&str]]| SourceTable {
        exclusions: vec!["no_overlap".to_owned()],
        ..table(columns(), keys)
    };
    let whole = table_of(&alone);
    let text = drafted(&whole, &DraftOptions::default());
    let said = text.lines().filter(|line| {
        !line.starts_with("type") && !line.starts_with("[[") && !line.starts_with("# There")
    });
    let said: Vec<&str> = said.collect();
    let said = said.join("\n");
    insta::assert_snapshot!(
        said[said.find("# Unique there").unwrap()..said.find("[readers]").unwrap()]
    );
    insta::assert_snapshot!(values(&drafted(&whole, &copied())).join("\n"));

    // Short texts are numbers, behind a letter if numbers are there.
    let short = |bounds: &[&str], options: &DraftOptions| {
        let code = column("code", "character(4)", along(found(-1.0, 0.0, 5), bounds));
        let text = drafted(&table(vec![code], &[&["code"]]), options);
        values(&text)[0].to_owned()
    };
    let numbers = r#"{ label = { prefix = "", min = 1000, max = 9999, pick = "cycle" } }"#;
    let behind = r#"{ label = { prefix = "Y", min = 100, max = 999, pick = "cycle" } }"#;
    assert_eq!(short(&["1000", "Z999"], &DraftOptions::default()), behind);
    assert_eq!(short(&["1000", "Z999"], &copied()), numbers);
    assert_eq!(short(&["A000", "Z999"], &DraftOptions::default()), numbers);

    // Of several columns one is enough.
    for (key, kept) in [
        (&["clock", "share"][..], false),
        (&["clock", "name"], true),
        (&["two", "four"], true),
        (&["clock", "due"], true),
        (&["share", "session"], true),
    ] {
        let text = drafted(&table_of(&[key]), &DraftOptions::default());
        assert_eq!(!text.contains("# Unique there, and drawn here"), kept, "{key:?} {text}");
    }
}

#[test]
fn keys_of_other_tables_are_never_counted_beyond_them() {
    let reference = |columns: &[&str]| Reference {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        schema: "odd".to_owned(),
        table: "others".to_owned(),
        keys: vec!["id".to_owned()],
        is_readable: true,
        rows: 1_000.0,
        ..Reference::default()
    };
    let even = |high: &str| along(found(-1.0, 0.0, 8), &["1", high]);
    let one = SourceTable {
        references: vec![reference(&["a"])],
        ..table(vec![column("a", "bigint", even("500"))], &[&["a"]])
    };
    let text = drafted(&one, &DraftOptions::default());
    assert_eq!(values(&text), [r#"{ reference = { table = "odd.others", column = "id" } }"#]);
    assert!(
        text.contains(
            "# Unique there, and drawn here so that rows may come twice, which are refused: (a)."
        ),
        "{text}"
    );
    let text = drafted(&one, &copied());
    assert_eq!(
        values(&text),
        [r#"{ integer = { min = 1, max = 9223372036854775807, pick = "cycle" } }"#]
    );

    let lines = SourceTable {
        references: vec![reference(&["order"])],
        ..table(
            vec![
                column("order", "integer", even("1000")),
                column("line", "integer", common(found(2.0, 0.4, 4), &[("1", 0.6), ("2", 0.4)])),
            ],
            &[&["order", "line"]],
        )
    };
    let text = drafted(&lines, &DraftOptions::default());
    assert!(values(&text)[1].contains("min = 1002, max = 2147483647"), "{text}");
    assert!(values(&text)[0].contains("reference") && !text.contains("# Unique there"), "{text}");
}

#[test]
fn keys_of_partitions_are_those_of_the_catalogue() {
    let thirds = |values: [&str; 3]| common(found(3.0, 0.9, 5), &values.map(|value| (value, 0.33)));
    let own = |sql_type: &str, names: [&str; 3], lists: &[&str]| SourceTable {
        partitioned_by: Some("LIST (tenant)".to_owned()),
        partition_columns: vec!["tenant".to_owned()],
        partition_lists: lists.iter().map(|list| format!("FOR VALUES IN ({list})")).collect(),
        ..table(vec![column("tenant", sql_type, thirds(names))], &[])
    };
    let text = drafted(
        &own("text", ["acme", "bo'lt", "core"], &["'acme', 'bo''lt'", "'core'"]),
        &DraftOptions::default(),
    );
    assert_eq!(values(&text), [r#"{ choice = { of = ["acme", "bo'lt", "core"] } }"#]);
    assert!(text.contains("as the catalogue has them"), "{text}");
    // One comes by the partition that takes all others, so no partition is for it.
    let text = drafted(
        &own("text", ["acme", "bolt", "core"], &["'acme', 'bolt'"]),
        &DraftOptions::default(),
    );
    assert_eq!(values(&text), [r#"{ choice = { of = ["acme", "bolt", "ten3"] } }"#]);
    assert!(text.contains("rows with values that are made up are refused, unless"), "{text}");
    // Numbers are those of the lists, and in no order.
    let text =
        drafted(&own("integer", ["10", "70", "20"], &["10", "20", "70"]), &DraftOptions::default());
    assert_eq!(values(&text), [r#"{ choice = { of = ["10", "20", "70"] } }"#]);
}

#[test]
fn queries_have_names_of_their_own() {
    let few = common(found(2.0, 0.3, 4), &[("a", 0.5), ("b", 0.5)]);
    let at = along(found(-1.0, 1.0, 8), &["2026-01-01 00:00:00+00", "2026-01-02 00:00:00+00"]);
    let columns = vec![
        column("place", "text", few),
        column("rows", "integer", along(found(-1.0, 0.0, 4), &["1", "900"])),
        column("newest", "timestamp with time zone", at),
    ];
    let text = drafted(&table(columns, &[]), &DraftOptions::default());
    insta::assert_snapshot!(text[text.find("[[readers.queries]]").unwrap()..]);
    let json = column("document", "json", Some(found(0.0, 0.0, 60)));
    let text = drafted(&table(vec![json], &[]), &DraftOptions::default());
    assert_eq!(
        (text.matches("[[readers.queries]]").count(), text.contains("ORDER BY")),
        (2, false),
        "{text}"
    );
}
