//! Columns of arrays as a profile has them.

use super::*;
use crate::row::Values;

const ID: &str = "{ name = 'id', type = 'bigint', values = 'row_id' }";

fn stream(columns: &[&str]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("    {{ {column} }},\n")).collect();
    format!("[stream]\ncolumns = [\n    {ID},\n{}]\n", columns.concat())
}

#[test]
fn arrays_read_back() {
    let text = stream(&[
        "name = 'a', type = 'integer[]', values = { array = { of = { integer = { min = 1, max = 9, pick = { zipf = \
         { exponent = 1.1 } } } }, length = { integer = { min = 0, max = 4 } } } }",
        "name = 'b', type = 'numeric(8,2) []', values = { array = { of = { decimal = { min = '0.50', max = '9' } }, \
         length = { histogram = { bounds = ['0', '1', '1', '20'], weights = [5, 3, 1] } }, null_ratio = 0.25 } }, \
         null_ratio = 0.5",
        "name = 'c', type = 'TEXT[]', values = { array = { of = { choice = { of = ['a'], others = { label = { prefix \
         = 'x', min = 1, max = 3 } }, others_weight = 2 } }, length = { integer = { min = 2, max = 2 } } } }",
    ]);
    let first = plan(&text, &Overrides::default());
    let columns = &first.job.stream.columns;
    let types: Vec<String> = columns.iter().map(|column| column.sql_type.to_string()).collect();
    assert_eq!(types, ["bigint", "integer[]", "numeric(8,2)[]", "text[]"]);
    let Values::Array(elements) = &columns[2].values else { panic!("{columns:?}") };
    assert!(matches!(elements.of, Values::Decimal { min: 50, max: 900, .. }), "{elements:?}");
    assert!((elements.null_ratio - 0.25).abs() < f64::EPSILON && columns[2].has_nulls());
    assert!(!columns[1].has_nulls());
    assert_eq!(plan(&render(&first), &Overrides::default()), first);
}

#[test]
fn what_is_wrong_with_arrays_is_said_at_once() {
    let array = |sql_type: &str, of: &str, length: &str| {
        format!(
            "name = '{sql_type}', type = '{sql_type}', values = {{ array = {{ of = {of}, length = {length} }} }}"
        )
    };
    let few = "{ integer = { min = 0, max = 4 } }";
    let number = "{ integer = { min = 1, max = 9 } }";
    let columns = [
        array("integer", number, few),
        "name = 'b', type = 'integer[]', values = { integer = { min = 1, max = 9 } }".to_owned(),
        array("boolean[]", number, few),
        array("varchar(4)[]", "{ label = { prefix = 'tag_', min = 1, max = 9 } }", few),
        array("bigint[]", "'row_id'", few),
        array("timestamptz[]", "'due_time'", few),
        array("smallint[]", "{ integer = { min = 1, max = 9, pick = 'cycle' } }", few),
        array(
            "varchar(9)[]",
            "{ choice = { of = ['x'], others = { label = { prefix = 'y', min = 1, max = 9, pick = 'cycle' } }, \
             others_weight = 1 } }",
            few,
        ),
        array("date[]", "{ day = { min = '2024-01-01' } }", few),
        array("real[]", "{ float = { min = 0, max = 1 } }", "{ integer = { min = -1, max = 4 } }"),
        array("uuid[]", "'uuid'", "{ integer = { min = 0, max = 65537 } }"),
        array(
            "text[]",
            "{ text = { min_chars = 1, max_chars = 2 } }",
            "{ boolean = { true_ratio = 1 } }",
        ),
        array(
            "inet[]",
            "{ array = { of = 'uuid', length = { integer = { min = 1, max = 1 } } } }",
            few,
        ),
        "name = 'm', type = 'integer[]', values = { array = { null_ratio = 0.1 } }".to_owned(),
        format!(
            "name = 'n', type = 'integer[]', values = {{ array = {{ of = {number}, length = {few}, null_ratio = 1 }} }}"
        ),
        array("integer[][]", number, few),
        array("integer[3]", number, few),
    ];
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let faults = faults(&stream(&columns));
    // The facts and fixes, without the lines at fault.
    let is_said = |line: &&str| line.starts_with("error: ") || line.contains("= fix: ");
    let said: Vec<&str> = faults.lines().filter(is_said).collect();
    assert_snapshot!(said.join("\n"));
}
