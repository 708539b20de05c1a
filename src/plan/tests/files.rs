//! What stands in files of its own: texts of queries, and values of columns.

use super::*;
use crate::row::Values;

fn resolve_of(text: &str, file: &Result<&str, &str>) -> Result<Plan, Faults> {
    let source = source(text).reading(|name| {
        let path = format!("/srv/{name}");
        file.map_err(str::to_owned).and_then(|text| NamedFile::new(path, text.to_owned().into()))
    });
    Plan::resolve(&source, &Overrides::default())
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
        let plan = resolve_of(&text, &Ok(sql)).unwrap();
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
fn several_statements_of_a_file_are_a_transaction() {
    let text = "[stream]\n[[readers.queries]]\nname = 'top'\nsql_file = 'queries/top.sql'";
    let plan = resolve_of(text, &Ok("-- both\nSELECT 1;\n\nSELECT\n tabel;\n")).unwrap();
    let json = serde_json::to_value(&plan.common.profile).unwrap();
    let query = &json["readers"]["queries"][0];
    assert_eq!(query["statements"], serde_json::json!(["SELECT 1", "SELECT\n tabel"]));
    assert!(query.get("sql").is_none() && query.get("sql_file").is_none(), "{query}");
    let Job::Stream(job) = plan.job else { panic!("no stream") };
    let second = &job.readers.queries[0].statements[1];
    let shown = second.place.show(&second.sql, Some(9)).join("\n");
    assert!(shown.starts_with("--> profiles/queries/top.sql:5\n"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_where_it_is_named() {
    let query = "[[readers.queries]]\nname = 'top'\nsql_file = 'queries/top.sql'\n";
    let faults = |text: &str, file| resolve_of(text, &file).unwrap_err().to_string();
    let several = faults(query, Ok("SELECT 1; BEGIN"));
    assert!(several.contains("BEGIN stands among them\n --> profiles/test.toml:3:12"), "{several}");
    let missing = faults(query, Err("it is not there"));
    assert!(missing.contains("failed to read `queries/top.sql`: it is not there"), "{missing}");
    assert_eq!(missing.matches("error: ").count(), 1, "{missing}");
    let bench = query.replace("readers", "bench");
    let bench = resolve_of(&bench, &Ok("SELECT 1; SELECT 2"));
    let bench = bench.unwrap_err().to_string();
    assert!(bench.contains("a transaction is for the readers of a stream"), "{bench}");
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

/// A stream with a column of the file `c.csv`.
fn of_column(sql_type: &str, file: &str) -> String {
    format!(
        "[stream]\ncolumns = [{{ name = 'id', type = 'bigint', values = 'row_id' }},\n\
         {{ name = 'customer', type = '{sql_type}', values = {{ file = {{ path = 'c.csv', {file} }} }} }}]"
    )
}

const CSV: &str = "id,name\n7,\"a, b\"\n8,\n-9,c\n";

#[test]
fn a_column_takes_the_values_of_a_file() {
    let resolved = resolve_of(&of_column("text", "column = 'name'"), &Ok(CSV)).unwrap();
    let profile = serde_json::to_value(&resolved.common.profile).unwrap();
    let file = &profile["stream"]["columns"][1]["values"]["file"];
    assert_eq!((&file["path"], &file["column"]), (&"/srv/c.csv".into(), &"name".into()), "{file}");
    let plan = resolved.into_stream().unwrap();
    let Values::File { sample, fingerprint, .. } = &plan.job.stream.columns[1].values else {
        panic!("{:?}", plan.job.stream.columns)
    };
    assert_eq!((sample.count(), sample.has_nulls(), fingerprint.len()), (3, true, 32));
    // As a result has it, the file must be the same.
    let kept = format!("column = 'name', fingerprint = '{fingerprint}'");
    resolve_of(&of_column("text", &kept), &Ok(CSV)).unwrap();
    let other = resolve_of(&of_column("text", &kept), &Ok("id,name\n7,a\n")).unwrap_err();
    assert!(other.to_string().contains("`/srv/c.csv` is not the file that it was"), "{other}");
}

#[test]
fn what_is_wrong_with_a_files_values_is_said_with_its_line() {
    let faults = |sql_type: &str, file: &str, csv: Result<&str, &str>| {
        let faults = resolve_of(&of_column(sql_type, file), &csv).unwrap_err().to_string();
        assert_eq!(faults.matches("error: ").count(), 1, "{faults}");
        faults
    };
    for (sql_type, file, csv, says) in [
        (
            "integer",
            "column = 'id'",
            Ok("id\n7\n\"\"\n8.5\n"),
            "line 4 of `/srv/c.csv`: `8.5` is no value of type integer",
        ),
        ("integer", "column = 'id'", Ok("id\n7\n\n8\n"), "line 3 of `/srv/c.csv` is empty"),
        ("integer", "column = 'id'", Ok("id\r\n7\r\nx\r\n"), "line 3 of `/srv/c.csv`: `x`"),
        ("text", "column = 'name'", Ok("id,name\n7,\"a\n8,b\n"), "has a quote that is not closed"),
        ("text", "column = 'id'", Ok("id,id\n7,8\n"), "has more than one column `id`"),
        ("text", "column = 'id'", Ok("id\na\0b\n"), "line 2 of `/srv/c.csv`"),
        ("integer", "column = 'ids'", Ok(CSV), "`/srv/c.csv` has no column `ids`"),
        ("integer", "column = 'id'", Ok("id\n"), "has no rows"),
        ("integer", "column = 'id'", Ok("id,a\n1\n"), "`/srv/c.csv` is not CSV"),
        (
            "integer",
            "column = 'id'",
            Err("it is not there"),
            "failed to read `c.csv`: it is not there",
        ),
        ("jsonb", "column = 'id'", Ok(CSV), "`file`"),
        ("varchar(3)", "column = 'name'", Ok(CSV), "use a wider type"),
        ("integer", "", Ok(CSV), "the values have no `column`"),
        (
            "integer",
            "column = 'id', pick = { normal = { mean = 1, sd = 1 } }",
            Ok(CSV),
            "are not chosen by a distribution",
        ),
    ] {
        let faults = faults(sql_type, file, csv);
        assert!(faults.contains(says), "{says}: {faults}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let bytes = "\u{feff}[stream]\nrows_per_s = 0\n".as_bytes().to_vec();
    let source = ProfileSource::decode("marked.toml", bytes).unwrap();
    let said = Plan::resolve(&source, &Overrides::default()).unwrap_err().to_string();
    assert!(
        said.contains("--> marked.toml:2:14") && said.matches("error: ").count() == 1,
        "{said}"
    );
    let text = "[stream]\n[[readers.queries]]\nname = 'top'\nsql_file = 'queries/top.sql'";
    for (sql, statements) in [("\u{feff}SELECT 1\n", 0), ("\u{feff}-- two\nSELECT 1;\nSELECT 2", 2)]
    {
        let plan = resolve_of(text, &Ok(sql)).unwrap();
        let Job::Stream(job) = plan.job else { panic!("no stream") };
        let query = &job.readers.queries[0];
        assert!(
            !query.sql.contains('\u{feff}') && query.statements.len() == statements,
            "{query:?}"
        );
    }
    // What tells a file from another one is all of its bytes.
    let [marked, plain] = ["\u{feff}a\n1\n", "a\n1\n"]
        .map(|text| NamedFile::new(String::new(), text.to_owned().into()).unwrap());
    assert!(marked.text() == plain.text() && marked.fingerprint != plain.fingerprint);
}
