//! What is said before a long job begins: how much disk a table takes, and how long a sweep does.

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use strom_load::dataset::{Estimate, FillProgress, Prepared, Stage};
use strom_load::engine::{self, FillOptions, Shutdown};
use strom_load::pg::Address;
use strom_load::plan::{Overrides, Plan, ProfileSource, Table};

use crate::support::{Database, Program, scratch};

/// Keeps what was said before each table was filled.
#[derive(Default)]
struct Said(Mutex<Vec<Estimate>>);

impl FillProgress for Said {
    fn show(&self, _: &str, stage: Stage<'_>) {
        if let Stage::Begins(estimate) = stage {
            self.0.lock().unwrap().push(estimate.clone());
        }
    }
}

const TABLES: &str = r#"
[[tables]]
name = "narrow"
rows = 200_000
primary_key = ["id"]
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "flag", type = "boolean", values = { boolean = { true_ratio = 0.5 } } },
    { name = "small", type = "smallint", values = { integer = { min = 1, max = 9 } } },
]
indexes = [
    { name = "narrow_small", columns = ["small"] },
    { name = "narrow_brin", columns = ["id"], method = "brin" },
]

[[tables]]
name = "sales"
rows = 100_000
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "category", type = "text", values = { label = { prefix = "category_", min = 1, max = 100 } } },
    { name = "amount", type = "numeric(15,2)", values = { decimal = { min = "0.01", max = "10000.00" } } },
    { name = "price", type = "double precision", values = { float = { min = 0, max = 100 } } },
    { name = "day", type = "date", values = { day = { min = "2020-01-01", max = "2024-12-31" } } },
    { name = "note", type = "varchar(300)", values = { text = { min_chars = 10, max_chars = 300 } } },
]
indexes = [{ name = "sales_note", columns = ["note"] }, { name = "sales_hash", columns = ["id"], method = "hash" }]

[[tables]]
name = "tagged"
rows = 50_000
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "scores", type = "integer[]", values = { array = { of = { integer = { min = 1, max = 9 } }, length = { integer = { min = 0, max = 20 } } } } },
    { name = "tags", type = "text[]", values = { array = { of = { label = { prefix = "tag_", min = 1, max = 100 } }, length = { integer = { min = 1, max = 4 } } } } },
]

[[tables]]
name = "long"
rows = 5_000
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "body", type = "text", values = { text = { min_chars = 3_000, max_chars = 9_000 } } },
]
"#;

fn tables() -> Vec<Table> {
    let source = ProfileSource::new("tables.toml", TABLES);
    let plan = Plan::read(&source, &Overrides::default());
    plan.unwrap_or_else(|faults| panic!("{faults}")).common.tables
}

fn within(estimated: u64, found: u64, ratio: f64) -> bool {
    let off = estimated as f64 / found as f64;
    (1.0 - ratio..=1.0 + ratio).contains(&off)
}

#[tokio::test]
async fn the_disk_that_a_table_takes_is_known_before_it_is_filled() {
    let database = Database::create().await;
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let (said, options) = (Said::default(), FillOptions::default());
    let fill = engine::fill(&address, &tables(), options, &said, &Shutdown::default()).await;
    let filled: Vec<Prepared> = fill.unwrap().tables;
    let said = said.0.lock().unwrap();
    assert_eq!(said.len(), filled.len());
    for (said, filled) in said.iter().zip(&filled) {
        let Prepared { table, rows, table_bytes, index_bytes, .. } = filled;
        assert_eq!(said.rows, *rows, "{table}");
        assert!(within(said.table_bytes, *table_bytes, 0.1), "{said:?} {filled:?}");
        // This machine's disk, as root sees it.
        assert!(said.free_bytes.unwrap() > 1 << 20, "{said:?}");
        match table.as_str() {
            "narrow" => assert!(within(said.index_bytes, *index_bytes, 0.2), "{said:?} {filled:?}"),
            "sales" => assert_eq!(said.uncounted, ["sales_hash"]),
            _ => assert_eq!(said.index_bytes, 0),
        }
    }
}

#[tokio::test]
async fn a_fill_says_rows_disk_and_time_first() {
    let database = Database::create().await;
    let folder = scratch();
    fs::create_dir(folder.path().join("work")).unwrap();
    fs::write(folder.path().join("work/tables.toml"), TABLES).unwrap();
    let address = database.address();
    let args = ["fill", "tables.toml", "--database-url", &address];
    let ended = Program::start_in(folder, &args, &[]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let first = ended.stderr.lines().find(|line| line.starts_with("narrow: ")).unwrap();
    assert!(first.starts_with("narrow: 200,000 rows to load, about "), "{}", ended.stderr);
    for part in [" of indexes; ", " free on the server's disk; takes "] {
        assert!(first.contains(part), "{first}");
    }
}

/// As near as one execution tells: within a factor of two of what it then takes.
#[tokio::test]
async fn a_sweep_says_how_long_it_takes_before_it_changes_anything() {
    let database = Database::create().await;
    let folder = scratch();
    fs::create_dir(folder.path().join("work")).unwrap();
    let profile = "[bench]\n[[bench.queries]]\nname = 'slow'\nsql = 'SELECT pg_sleep(0.2)'\n\
                   [sweep]\nrounds = 10\n[[sweep.settings]]\nname = 'work_mem'\n\
                   values = ['1MB', '2MB', '3MB']\n";
    fs::write(folder.path().join("work/sweep.toml"), profile).unwrap();
    let address = database.address();
    let args = ["run", "sweep.toml", "--metrics-addr", "off", "--output", "out", "--database-url"];
    let began = Instant::now();
    let ended = Program::start_in(folder, &[&args[..], &[&address]].concat(), &[]).end().await;
    let took_s = began.elapsed().as_secs_f64();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (_, said) = ended.stderr.split_once("INFO the sweep: ").unwrap();
    let said = said.lines().next().unwrap();
    let (what, time) = said.split_once(" executions, about ").unwrap();
    assert_eq!(
        what,
        "3 combinations of settings, one query, at most 10 rounds and one to warm: up to 33"
    );
    let time = time.strip_suffix(" if no combination is left out before").unwrap();
    let said_s: f64 = time.strip_suffix(" s").unwrap().parse().unwrap();
    assert!(said_s >= 4.0 && said_s <= took_s * 2.0 && took_s <= said_s * 2.0, "{said} {took_s}");
}
