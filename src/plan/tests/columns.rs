//! Columns and their generators as a profile has them.

use super::*;
use crate::row::{ColumnType, Pick, Values};

#[test]
fn every_generator_reads_back() {
    let text = r#"
[stream]
table = '"My Schema"."t""x"'
[[stream.columns]]
name = "id"
type = "int8"
values = "row_id"
[[stream.columns]]
name = "part"
type = "int4"
values = { partition = {} }
[[stream.columns]]
name = "n"
type = "smallint"
values = { integer = { min = -5, max = 5, pick = "cycle" } }
[[stream.columns]]
name = "f"
type = "float8"
values = { float = { min = 0, max = 1e300 } }
[[stream.columns]]
name = "d"
type = "date"
values = { day = { min = "1899-12-31", max = "2023-12-31" } }
[[stream.columns]]
name = "t"
type = "varchar(20)"
values = { text = { min_chars = 0, max_chars = 20 } }
[[stream.columns]]
name = "b"
type = "bool"
values = { boolean = { true_ratio = 0.25 } }
[[stream.columns]]
name = "m"
type = "numeric(6,3)"
values = { decimal = { min = "-0.5", max = "12" } }
[[stream.columns]]
name = "c"
type = "text"
values = { choice = { of = ["new", "paid"], weights = [1, 2.5] } }
null_ratio = 0.125
[[stream.columns]]
name = "z"
type = "text"
values = { label = { prefix = "c_", min = 1, max = 1000, pick = { zipf = { exponent = 1.1 } } } }
[[stream.columns]]
name = "g"
type = "numeric(9,2)"
values = { decimal = { min = "0", max = "99", pick = { normal = { mean = 50, sd = 10.5 } } } }
[[stream.columns]]
name = "l"
type = "real"
values = { float = { min = 0, max = 1e6, pick = { lognormal = { median = 20, sigma = 1 } } } }
[[stream.columns]]
name = "e"
type = "integer"
values = { integer = { min = 0, max = 1000, pick = { exponential = { scale = 30 } } } }
[[stream.columns]]
name = "h"
type = "bigint"
values = { histogram = { bounds = ["1", "5", "900"], weights = [1, 9], distinct = 300, pick = { ascending = { rows = 1000 } } } }
[[stream.columns]]
name = "ts"
type = "timestamptz"
values = { timestamp = { min = "2026-01-01 00:00+02", max = "2026-12-31", pick = { descending = { rows = 10 } } } }
[[stream.columns]]
name = "o"
type = "text"
values = { choice = { of = ["new", "paid"], pick = { ascending = { rows = 1000 } } } }
"#;
    let first = plan(text, &Overrides::default());
    assert_eq!(first.job.stream.table.schema.as_deref(), Some("My Schema"));
    assert_eq!(first.job.stream.columns[0].sql_type, ColumnType::BigInt);
    assert_eq!(
        first.job.stream.columns[7].values,
        Values::Decimal { min: -500, max: 12_000, pick: Pick::Random }
    );
    assert!((first.job.stream.columns[8].null_ratio - 0.125).abs() < f64::EPSILON);
    assert_eq!(plan(&render(&first), &Overrides::default()), first);
}
