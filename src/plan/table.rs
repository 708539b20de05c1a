//! Tables that are filled with generated rows before a run.

use std::collections::HashSet;
use std::num::NonZeroU64;

use super::column::{refuse_reference, resolve_each, written};
use super::fault::suggest;
use super::limits::Limits;
use super::resolver::{Amount, Resolver};
use super::table_name::check_identifier;
use super::type_name::parse_type;
use super::{Recreate, TableName};
use crate::profile::{self, Located, Number, Values, Whole};
use crate::row::{Column, ColumnType};

const ROWS: Limits = Limits {
    default: 1.0,
    min: 1.0,
    max: 1e12,
    is_whole: true,
    range: "1 to 1,000,000,000,000",
    fix: "choose how many rows the table shall have, such as 10_000_000 in a profile or 10M in --rows",
};
const SCALE: Limits = Limits {
    default: 1.0,
    min: 1e-9,
    max: 1e6,
    is_whole: false,
    range: "0.000000001 to 1,000,000",
    fix: "choose a factor for the rows of each table, such as 0.1",
};

/// A table to fill. Row `i`, from 1 to `rows`, is a function of the seed, the table's name and `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The table.
    pub name: TableName,
    /// How many rows it has.
    pub rows: NonZeroU64,
    /// How many it had before `--scale`.
    pub rows_unscaled: NonZeroU64,
    /// Whether it keeps its rows whatever `--rows` and `--scale` say.
    pub dimension: bool,
    /// The profile's seed.
    pub seed: u64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Columns of the primary key; empty for none.
    pub primary_key: Vec<String>,
    /// Indexes beside the primary key's.
    pub indexes: Vec<Index>,
    /// Whether its rows bypass the write-ahead log.
    pub unlogged: bool,
    /// Whether a table that is there is dropped first.
    pub recreate: Recreate,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Access method.
    pub method: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Storage parameters as in SQL; empty for none.
    pub with: String,
}

/// A seed mixed with a name by FNV-1a.
pub(super) fn named_seed(seed: u64, name: &[&str]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let seed = seed.to_le_bytes();
    let bytes = seed.iter().chain(name.iter().flat_map(|part| part.as_bytes()));
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

impl Table {
    /// The seed of this table's rows: the profile's, mixed with the table's name by FNV-1a. So two
    /// tables of one profile do not hold the same random values in the same rows, which would make
    /// every join of theirs special.
    pub fn row_seed(&self) -> u64 {
        named_seed(self.seed, &[&self.name.name])
    }

    /// The column that holds the row's number, if there is one.
    pub fn row_id(&self) -> Option<&str> {
        let column = self.columns.iter().find(|column| column.values == crate::row::Values::RowId);
        column.map(|column| column.name.as_str())
    }

    /// Writes what was resolved into the profile.
    fn complete(&self, profile: &mut profile::Table) {
        profile.name = Some(self.name.as_written().into());
        profile.rows = Some(Whole(self.rows.get() as i64).into());
        profile.columns = Some(written(&self.columns));
        for (index, written) in self.indexes.iter().zip(profile.indexes.iter_mut().flatten()) {
            written.method.get_or_insert_with(|| index.method.clone().into());
        }
    }
}

impl Resolver<'_> {
    pub(super) fn tables(
        &mut self,
        tables: &mut [Located<profile::Table>],
        seed: u64,
    ) -> Vec<Table> {
        if tables.is_empty() {
            // What was given for them is left over.
            return Vec::new();
        }
        let rows = self.given_number::<Whole>("--rows", "rows", &ROWS).map(|rows| rows as u64);
        let scale = self.given_number::<Number>("--scale", "scale", &SCALE);
        let mut names = HashSet::new();
        let mut resolved = Vec::new();
        for table in tables {
            let name = self.table_name(table);
            if let (Some(written), Some(name)) = (&table.name, &name)
                && !names.insert(name.clone())
            {
                let what = format!("table `{}` is there twice", written.as_str());
                self.report.at(&written.span(), what, "rename or delete one of the two".to_owned());
            }
            let dimension = table.dimension.unwrap_or(false);
            let rows = self.table_rows(table, rows.filter(|_| !dimension));
            let columns = self.table_columns(table);
            let known = Known::new(table);
            let primary_key = self.primary_key(table, &known);
            let indexes = self.indexes(table, &known);
            let (Some(name), Some(rows)) = (name, rows) else { continue };
            let table_scaled = Table {
                recreate: self.recreate(&mut table.recreate, &name),
                name,
                rows: scaled(rows, scale.filter(|_| !dimension)),
                rows_unscaled: rows,
                dimension,
                seed,
                columns,
                primary_key,
                indexes,
                unlogged: *table.unlogged.get_or_insert(false),
            };
            table_scaled.complete(table);
            resolved.push(table_scaled);
        }
        resolved
    }

    /// A number that was given for all tables.
    fn given_number<T: Amount + serde::de::DeserializeOwned>(
        &mut self,
        flag: &str,
        key: &'static str,
        limits: &Limits,
    ) -> Option<f64> {
        let given = self.given::<T>(flag)?;
        self.note_use(&given);
        Some(self.number(key, &mut Some(given), limits))
    }

    fn table_name(&mut self, table: &Located<profile::Table>) -> Option<TableName> {
        let Some(written) = &table.name else {
            let fix = "add it, for example `name = \"sales\"`".to_owned();
            self.report.missing_in(&table.span(), "name", "a table has no `name`".to_owned(), fix);
            return None;
        };
        match written.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let what = format!("`{}` is not a table's name: {error}", written.as_str());
                let fix = "write `table` or `schema.table`, a part in double quotes where SQL \
                           needs them";
                self.report.at(&written.span(), what, fix.to_owned());
                None
            }
        }
    }

    fn table_rows(
        &mut self,
        table: &Located<profile::Table>,
        given: Option<u64>,
    ) -> Option<NonZeroU64> {
        let written = table.rows.as_ref();
        if written.is_none() && given.is_none() {
            let what = match &table.name {
                Some(name) => format!("table `{}` has no `rows`", name.as_str()),
                None => "a table has no `rows`".to_owned(),
            };
            let fix = "add it, for example `rows = 10_000_000`, or give --rows".to_owned();
            self.report.missing_in(&table.span(), "rows", what, fix);
            return None;
        }
        // The file's number is judged even if a flag replaces it.
        let written =
            written.map(|rows| self.number("rows", &mut Some(rows.clone()), &ROWS) as u64);
        NonZeroU64::new(given.or(written)?)
    }

    fn table_columns(&mut self, table: &Located<profile::Table>) -> Vec<Column> {
        let columns = table.columns.as_deref().unwrap_or_default();
        if columns.is_empty() {
            let what = match &table.name {
                Some(name) => format!("table `{}` has no columns", name.as_str()),
                None => "a table has no columns".to_owned(),
            };
            let fix = "add them under `[[tables.columns]]`, each with name, type and values";
            self.report.missing_in(&table.span(), "columns", what, fix.to_owned());
        }
        let mut row_ids = 0;
        for column in columns {
            let Some(values) = &column.values else { continue };
            let sql_type = column.sql_type.as_ref().and_then(|sql_type| parse_type(sql_type).ok());
            refuse_reference(&mut self.report, values, "the rows of a table that is filled");
            let role = match **values {
                Values::Partition => "partition",
                Values::DueTime => "due_time",
                Values::EventTime(_) => "event_time",
                Values::UuidV7 => "uuid_v7",
                Values::RowId if sql_type == Some(ColumnType::Uuid) => {
                    let what = "only the rows of a stream have a `row_id` that is a `uuid`, not those of a table";
                    let fix = "use type `bigint`, or the values \"uuid\"";
                    self.report.at(&values.span(), what.to_owned(), fix.to_owned());
                    continue;
                }
                Values::RowId => {
                    row_ids += 1;
                    if row_ids > 1 {
                        let what = "a second column has `values = \"row_id\"`".to_owned();
                        let fix = "give at most one column of a table this role".to_owned();
                        self.report.at(&values.span(), what, fix);
                    }
                    continue;
                }
                _ => continue,
            };
            let what = format!("only the rows of a stream have a `{role}`, not those of a table");
            let fix = "use \"row_id\", or values such as { integer = { min = 0, max = 2, pick = \
                       \"cycle\" } }";
            self.report.at(&values.span(), what, fix.to_owned());
        }
        resolve_each(&mut self.report, columns)
    }

    /// Without the row's number nothing promises that a key is unique.
    fn primary_key(&mut self, table: &Located<profile::Table>, known: &Known<'_>) -> Vec<String> {
        let Some(written) = table.primary_key.as_deref() else { return Vec::new() };
        let names = self.column_names(written, known, "the primary key");
        for name in written.iter().filter(|name| known.nullable.contains(&name.as_str())) {
            let what = format!("column `{}` of the primary key has NULLs", name.as_str());
            let fix = "delete its `null_ratio`, or leave it out of the key";
            self.report.at(&name.span(), what, fix.to_owned());
        }
        let is_unique = known.row_id.is_some_and(|id| names.iter().any(|name| name == id));
        let Some(first) = written.first() else { return names };
        let all_known = names.iter().all(|name| known.columns.contains(&name.as_str()));
        if !is_unique && all_known && known.complete {
            let what = "the primary key is not unique: generated values may come twice".to_owned();
            let fix = match known.row_id {
                Some(id) => format!("add `{id}`, the column with `values = \"row_id\"`"),
                None => "add a column with `values = \"row_id\"` to the table and to the key \
                         { name = \"id\", type = \"bigint\", values = \"row_id\" }"
                    .to_owned(),
            };
            self.report.at(&first.span(), what, fix);
        }
        names
    }

    fn indexes(&mut self, table: &Located<profile::Table>, known: &Known<'_>) -> Vec<Index> {
        let mut taken = HashSet::new();
        let mut indexes = Vec::new();
        for index in table.indexes.iter().flatten() {
            let mut need = |key: &str, example: &str| {
                let what = format!("an index has no `{key}`");
                let fix = format!("add it, for example `{key} = {example}`");
                self.report.missing_in(&index.span(), key, what, fix);
            };
            if index.name.is_none() {
                need("name", "\"sales_order_date\"");
            }
            if index.columns.as_ref().is_none_or(Vec::is_empty) {
                need("columns", "[\"order_date\"]");
            }
            if let Some(name) = &index.name {
                if let Err(error) = check_identifier(name) {
                    let fix = "name the index with 1 to 63 bytes".to_owned();
                    self.report.at(&name.span(), format!("bad index name: {error}"), fix);
                } else if !taken.insert(name.as_str()) {
                    let what = format!("index `{}` is there twice", name.as_str());
                    self.report.at(
                        &name.span(),
                        what,
                        "rename or delete one of the two".to_owned(),
                    );
                }
            }
            let columns = index.columns.as_deref().unwrap_or_default();
            let columns = self.column_names(columns, known, "the index");
            let method = self.method(index.method.as_ref());
            let with = self.storage_parameters(index.with.as_ref());
            let Some(name) = &index.name else { continue };
            indexes.push(Index { name: name.to_string(), method, columns, with });
        }
        indexes
    }

    /// Methods of extensions are allowed; the server knows which of them it has.
    fn method(&mut self, written: Option<&Located<String>>) -> String {
        let Some(written) = written else { return "btree".to_owned() };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if written.is_empty() || !written.chars().all(is_name) {
            let what = format!("`{}` is not an index method", written.as_str());
            let known = ["btree", "hash", "brin", "gin", "gist", "spgist"];
            self.report.at(&written.span(), what, suggest(written, known));
        }
        written.to_string()
    }

    fn storage_parameters(&mut self, written: Option<&Located<String>>) -> String {
        let Some(written) = written else { return String::new() };
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_.=, ".contains(c);
        if !written.chars().all(is_part) || !written.contains('=') {
            let what = format!("`{}` is not a list of storage parameters", written.as_str());
            let fix = "write them as in SQL, without parentheses: \"pages_per_range = 32\"";
            self.report.at(&written.span(), what, fix.to_owned());
        }
        written.to_string()
    }

    fn column_names(
        &mut self,
        written: &[Located<String>],
        known: &Known<'_>,
        user: &str,
    ) -> Vec<String> {
        let mut names = HashSet::new();
        for name in written {
            if known.complete && !known.columns.contains(&name.as_str()) {
                let what = format!("{user} is over column `{}`, which is not there", name.as_str());
                let fix = suggest(name, known.columns.iter().copied());
                self.report.at(&name.span(), what, fix);
            } else if !names.insert(name.as_str()) {
                let what = format!("{user} is over column `{}` twice", name.as_str());
                self.report.at(&name.span(), what, "delete one of the two".to_owned());
            }
        }
        written.iter().map(|name| name.to_string()).collect()
    }
}

/// The columns that keys and indexes may name.
struct Known<'a> {
    columns: Vec<&'a str>,
    /// Those with a `null_ratio`.
    nullable: Vec<&'a str>,
    row_id: Option<&'a str>,
    /// Whether every column has a name and values; if not, nothing follows from one's absence.
    complete: bool,
}

impl<'a> Known<'a> {
    fn new(table: &'a profile::Table) -> Self {
        let columns = table.columns.as_deref().unwrap_or_default();
        let is_row_id = |column: &&Located<profile::Column>| {
            matches!(column.values.as_deref(), Some(Values::RowId))
        };
        Self {
            columns: columns
                .iter()
                .filter_map(|column| column.name.as_deref())
                .map(String::as_str)
                .collect(),
            nullable: columns
                .iter()
                .filter(|column| column.null_ratio.is_some_and(|ratio| ratio.0 > 0.0))
                .filter_map(|column| column.name.as_deref())
                .map(String::as_str)
                .collect(),
            row_id: columns
                .iter()
                .find(is_row_id)
                .and_then(|column| column.name.as_deref())
                .map(String::as_str),
            complete: !columns.is_empty()
                && columns.iter().all(|column| column.name.is_some() && column.values.is_some()),
        }
    }
}

/// At least one row is left of every table.
fn scaled(rows: NonZeroU64, scale: Option<f64>) -> NonZeroU64 {
    let Some(scale) = scale else { return rows };
    let rows = (rows.get() as f64 * scale).round().clamp(1.0, ROWS.max);
    NonZeroU64::new(rows as u64).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::plan::{Job, Overrides, Plan, ProfileSource, Recreate, render};

    fn resolve(
        text: &str,
        overrides: &Overrides,
    ) -> Result<Plan<Option<Job>>, crate::plan::Faults> {
        let source = ProfileSource::new("test.toml", text);
        Plan::read(&source, overrides)
    }

    fn given(words: &[&str]) -> Overrides {
        Overrides::read(words).unwrap()
    }

    fn faults(text: &str) -> String {
        resolve(text, &Overrides::default()).expect_err("the profile is bad").to_string()
    }

    const SALES: &str = r#"
        [[tables]]
        name = "shop.sales"
        rows = 1_000
        primary_key = ["day", "id"]
        unlogged = true
        columns = [
            { name = "id", type = "bigint", values = "row_id" },
            { name = "day", type = "date", values = { day = { min = "2023-01-01", max = "2023-12-31", pick = "cycle" } } },
        ]
        [[tables.indexes]]
        name = "sales_day"
        method = "brin"
        columns = ["day"]
        with = "pages_per_range = 32"
        [[tables.indexes]]
        name = "sales_id"
        columns = ["id"]

        [[tables]]
        name = "regions"
        rows = 20
        columns = [{ name = "id", type = "bigint", values = "row_id" }]
    "#;

    #[test]
    fn a_rendered_table_reads_back() {
        let plan = resolve(SALES, &Overrides::default()).unwrap();
        assert_eq!(plan.common.tables.len(), 2);
        assert_eq!(plan.common.tables[0].indexes[1].method, "btree");
        let rendered = render(&plan);
        assert_eq!(
            resolve(&rendered, &Overrides::default()).unwrap().common.tables,
            plan.common.tables
        );
        assert_snapshot!(rendered);
    }

    #[test]
    fn rows_are_overridden_then_scaled_and_never_none() {
        let rows = |rows: Option<u64>, scale: Option<f64>| {
            let mut overrides = given(&["--recreate"]);
            rows.iter().for_each(|rows| overrides.give_flag("--rows", &rows.to_string()).unwrap());
            scale.iter().for_each(|by| overrides.give_flag("--scale", &by.to_string()).unwrap());
            let plan = resolve(SALES, &overrides).unwrap();
            assert!(plan.common.tables.iter().all(|table| table.recreate == Recreate::Ours));
            plan.common.tables.iter().map(|table| table.rows.get()).collect::<Vec<_>>()
        };
        assert_eq!(rows(None, None), [1_000, 20]);
        assert_eq!(rows(Some(50_000_000), None), [50_000_000, 50_000_000]);
        assert_eq!(rows(None, Some(0.1)), [100, 2]);
        assert_eq!(rows(Some(3_000), Some(0.5)), [1_500, 1_500]);
        assert_eq!(rows(None, Some(0.000_1)), [1, 1]);
    }

    #[test]
    fn a_dimension_table_keeps_its_rows() {
        let text = SALES.replace("rows = 20", "rows = 20\n dimension = true");
        let rows = |overrides: &Overrides| {
            let plan = resolve(&text, overrides).unwrap();
            plan.common.tables.iter().map(|table| table.rows.get()).collect::<Vec<_>>()
        };
        assert_eq!(rows(&given(&["--scale=0.02"])), [20, 20]);
        assert_eq!(rows(&given(&["--scale=50"])), [50_000, 20]);
        assert_eq!(rows(&given(&["--rows=7"])), [7, 20]);
    }

    #[test]
    fn the_categories_of_the_basic_benchmark_are_all_there_at_any_scale() {
        let overrides = given(&["--scale=0.02"]);
        let plan = Plan::resolve(&crate::plan::builtin("basic").unwrap(), &overrides).unwrap();
        let rows: Vec<_> = plan.common.tables.iter().map(|table| table.rows.get()).collect();
        assert_eq!(rows, [200_000, 100]);
    }

    #[test]
    fn bad_overrides_of_tables() {
        let overrides = given(&["--rows=0", "STROM_LOAD_SCALE=0"]);
        assert_snapshot!(resolve(SALES, &overrides).unwrap_err().to_string());
    }

    #[test]
    fn bad_tables() {
        assert_snapshot!(faults(
            r#"
[[tables]]
rows = 0

[[tables]]
name = "a b"
rows = 1.5
columns = [{ name = "id", type = "bigint", values = "row_id" }, { name = "again", type = "bigint", values = "row_id" }]

[[tables]]
name = "t"
columns = [{ name = "p", type = "integer", values = "partition" }, { name = "d", type = "date", values = "due_time" }]

[[tables]]
name = "\"t\""
rows = 1
columns = []
"#
        ));
    }

    #[test]
    fn bad_keys_and_indexes() {
        assert_snapshot!(faults(
            r#"
[[tables]]
name = "sales"
rows = 10
primary_key = ["ident"]
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "region", type = "integer", values = { integer = { min = 1, max = 9 } } },
]
indexes = [
    { name = "a", columns = ["regio"], method = "BRIN" },
    { name = "a", columns = ["region", "region"], with = "fillfactor = 90) TABLESPACE (x" },
    { columns = [] },
]

[[tables]]
name = "nullable"
rows = 10
primary_key = ["id", "region"]
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "region", type = "integer", values = { integer = { min = 1, max = 9 } }, null_ratio = 0.5 },
]

[[tables]]
name = "not_unique"
rows = 10
primary_key = ["region"]
columns = [{ name = "region", type = "integer", values = { integer = { min = 1, max = 9 } } }]
"#
        ));
    }
}
