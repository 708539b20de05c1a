//! Queries whose text stands in a file of its own.

use super::*;

fn resolve_with(text: &str, file: &Result<&str, &str>) -> Result<Plan, Faults> {
    let source = source(text);
    let files = SqlFiles::of(&source.text, |name| {
        assert_eq!(name, "queries/top.sql");
        file.map(str::to_owned).map_err(str::to_owned)
    });
    Plan::resolve_with(&source, &Overrides::default(), &files)
}

#[test]
fn the_text_of_a_file_takes_the_place_of_its_name() {
    let sql = "-- the top ten\nSELECT tabel\nFROM {table};\n";
    for section in ["readers", "bench"] {
        let text = format!(
            "[[{section}.queries]]\nname = 'top'\nsql_file = 'queries/top.sql'\n[[tables]]\n\
                            name = 't'\nrows = 1\ncolumns = [{{ name = 'a', type = 'bigint', values = 'row_id' }}]"
        );
        let text = if section == "readers" { format!("[stream]\n{text}") } else { text };
        let plan = resolve_with(&text, &Ok(sql)).unwrap();
        let json = serde_json::to_value(&plan.common.profile).unwrap();
        let query = &json[section]["queries"][0];
        assert_eq!((query["sql"].as_str(), query.get("sql_file")), (Some(sql), None), "{query}");
        let query = match plan.job {
            Job::Stream(job) => job.readers.queries[0].clone(),
            Job::Benchmark(bench) => bench.queries[0].clone(),
            Job::Sweep(_) => panic!("no sweep"),
        };
        // What the server says of it leads into that file.
        let shown = query.place.show(&query.sql, Some(23)).join("\n");
        assert!(shown.starts_with("--> profiles/queries/top.sql:2\n"), "{shown}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_where_it_is_named() {
    let query = "[[readers.queries]]\nname = 'top'\nsql_file = 'queries/top.sql'\n";
    let faults = |text: &str, file| resolve_with(text, &file).unwrap_err().to_string();
    let several = faults(query, Ok("SELECT 1; SELECT 2"));
    assert!(
        several.contains("`sql` holds several statements\n --> profiles/test.toml:3:12"),
        "{several}"
    );
    let missing = faults(query, Err("it is not there"));
    assert!(missing.contains("failed to read `queries/top.sql`: it is not there"), "{missing}");
    assert_eq!(missing.matches("error: ").count(), 1, "{missing}");
    let both = faults(&format!("{query}sql = 'SELECT 1'"), Ok("SELECT 2"));
    assert!(both.contains("a query has both `sql` and `sql_file`"), "{both}");
    assert_eq!(both.matches("error: ").count(), 1, "{both}");
    // Of a profile that nobody has read the files of, as one that is saved somewhere.
    let unread = Plan::resolve(&source(query), &Overrides::default()).unwrap_err().to_string();
    assert!(unread.contains("nothing was read"), "{unread}");
}

#[test]
fn a_pause_of_the_readers_is_of_a_closed_loop() {
    let readers = |keys: &str| {
        let text = format!("[readers]\n{keys}[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1'");
        plan(&text, &Overrides::default())
    };
    let none = readers("");
    assert_eq!(none.job.readers.think_time, Duration::ZERO);
    // Results of earlier versions have no such key, and a default is no difference.
    assert_eq!(none.common.profile.readers.unwrap().think_time_ms, None);
    assert_eq!(readers("think_time_ms = 0.5\n").job.readers.think_time, Duration::from_micros(500));
    let faults = faults(
        "[readers]\nthink_time_ms = 10\nqueries_per_s = 5\n[[readers.queries]]\nname = 'q'\nsql = 'SELECT 1'",
    );
    assert!(faults.contains("and there is a rate"), "{faults}");
    assert_eq!(faults.matches("error: ").count(), 1, "{faults}");
}
