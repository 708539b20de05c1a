//! A profile to begin with where there is no table yet.

use crate::plan::TableName;

use super::text::{profile_name, toml};

/// What stands for the table's name, and for that of the profile.
const TABLE: &str = "\"<table>\"";
const NAME: &str = "\"<name>\"";

const STARTER: &str = r#"# A profile to change. `strom-load check FILE` shows what it resolves to with every default, and
# `strom-load check FILE --show-rows 10` the rows that it sends. docs/profiles.md has every key,
# docs/columns.md every generator of values.

name = "<name>"
description = "A stream of events, with three queries beside it"
duration_s = 60

[stream]
table = "<table>" # made if it is not there; a table that is there takes rows as it is
rows_per_s = 3000 # or "max"
connections = 3

# Tells the rows apart, so that each is read back and compared at the end.
[[stream.columns]]
name = "id"
type = "bigint"
values = "row_id"

# The moment at which the row was due: answers can then be told how old they are.
[[stream.columns]]
name = "created_at"
type = "timestamptz"
values = "due_time"

# A few customers have most of the events.
[[stream.columns]]
name = "customer"
type = "text"
values = { label = { prefix = "customer_", min = 1, max = 10_000, pick = { zipf = { exponent = 1.0 } } } }

# A few values with their weights.
[[stream.columns]]
name = "kind"
type = "text"
values = { choice = { of = ["view", "order", "return"], weights = [90, 9, 1] } }

# Many small amounts and a few large ones; every twentieth row has none.
[[stream.columns]]
name = "amount"
type = "numeric(12,2)"
values = { decimal = { min = "0.01", max = "100000.00", pick = { lognormal = { median = 20.0, sigma = 1.2 } } } }
null_ratio = 0.05

# A document with placeholders.
[[stream.columns]]
name = "payload"
type = "jsonb"
values = { pattern = '{"device": "d-{hex:6}", "celsius": {decimal:-20.0..45.0}}' }

[readers]
count = 2

[[readers.queries]]
name = "newest_rows"
sql = """
SELECT *
FROM {table}
ORDER BY created_at DESC, id DESC
LIMIT 100"""

[[readers.queries]]
name = "by_kind"
newest_column = "newest" # the age of the answer is measured
sql = """
SELECT kind, count(*), sum(amount), max(created_at) AS newest
FROM {table}
GROUP BY kind"""

[[readers.queries]]
name = "newest_of_each_kind"
sql = """
SELECT kind, created_at, amount, place
FROM (
    SELECT kind, created_at, amount,
           row_number() OVER (PARTITION BY kind ORDER BY created_at DESC, id DESC) AS place
    FROM {table}
) AS placed
WHERE place <= 10"""
"#;

/// A commented profile of a stream into a table.
pub fn starter(table: &TableName) -> String {
    STARTER
        .replace(TABLE, &toml(&table.as_written()))
        .replace(NAME, &toml(&profile_name(&table.name)))
}
