//! Tables filled with generated rows, on a real server: the rows are right, the same over any
//! number of connections, reused where they fit, completed where they are half-filled.

use rustix::process::Signal;
use strom_load::dataset::{DatasetError, FillProgress, Prepared, Stage, State};
use strom_load::engine::{self, FillOptions, Shutdown};
use strom_load::pg::Address;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::plan::{Overrides, Plan, ProfileSource, Recreate, Table};

use crate::faults::disk::SmallDisk;
use crate::support::{Database, Program, connect, scratch};

const SALES: &str = include_str!("../benches/l40s_sales_large.toml");
/// Three batches, the last of them not full.
const ROWS: u64 = 250_000;

struct Silent;

impl FillProgress for Silent {
    fn show(&self, _: &str, _: Stage<'_>) {}
}

fn tables(text: &str) -> Vec<Table> {
    let source = ProfileSource::new("sales.toml", text);
    let plan = Plan::read(&source, &Overrides::default());
    plan.unwrap_or_else(|faults| panic!("{faults}")).common.tables
}

pub(crate) fn sales(rows: u64) -> Table {
    let mut tables = tables(SALES);
    tables[0].rows = rows.try_into().unwrap();
    tables.remove(0)
}

/// The table's profile with other words in it.
fn sales_but(rows: u64, from: &str, to: &str) -> Table {
    assert!(SALES.contains(from));
    let mut tables = tables(&SALES.replace(from, to));
    tables[0].rows = rows.try_into().unwrap();
    tables.remove(0)
}

async fn fill_at(address: &str, table: &Table, connections: u32) -> Result<Prepared, DatasetError> {
    let address = Address::parse(address, "the test", &|_: &str| None).unwrap();
    let connections = Some(connections.try_into().unwrap());
    let options = FillOptions { connections, verify: true, ..FillOptions::default() };
    let tables = std::slice::from_ref(table);
    let filled = engine::fill(&address, tables, options, &Silent, &Shutdown::default()).await;
    filled.map(|mut filled| filled.tables.remove(0))
}

async fn fill(database: &Database, table: &Table) -> Prepared {
    fill_at(&database.address(), table, 2).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn refused(database: &Database, table: &Table) -> String {
    fill_at(&database.address(), table, 2).await.unwrap_err().to_string()
}

/// The rows up to a number, as one word.
async fn digest(database: &Database, up_to: u64) -> String {
    let sql = format!(
        "SELECT md5(string_agg(t::text, ' ' ORDER BY id)) FROM l40s_sales_large t WHERE id <= {up_to}"
    );
    database.text(&sql).await
}

#[tokio::test]
async fn the_sales_table_is_the_workloads_and_the_same_over_any_number_of_connections() {
    let database = Database::create().await;
    let table = Table { recreate: Recreate::Ours, ..sales(ROWS) };
    let mut sums = Vec::new();
    for connections in 1..=3 {
        let prepared = fill_at(&database.address(), &table, connections).await.unwrap();
        assert_eq!((prepared.rows, prepared.rows_loaded), (ROWS, ROWS));
        assert!(prepared.verified && prepared.table_bytes > 0 && prepared.index_bytes > 0);
        sums.push((prepared.checksum, digest(&database, ROWS).await));
    }
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    let wrong = "SELECT count(*) FROM l40s_sales_large WHERE category <> 'category_' || id % 100 \
                 OR region <> 'region_' || id % 20 OR amount NOT BETWEEN 0 AND 10000 \
                 OR order_date <> date '2023-01-01' + (id % 365)::int OR partition_key <> id % 3";
    assert_eq!(database.number(wrong).await, 0);
    let all = "SELECT count(DISTINCT id) || ' ' || min(id) || ' ' || max(id) FROM l40s_sales_large";
    assert_eq!(database.text(all).await, format!("{ROWS} 1 {ROWS}"));
    let amounts = "SELECT (avg(amount) BETWEEN 4900 AND 5100)::text FROM l40s_sales_large";
    assert_eq!(database.text(amounts).await, "true");
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
                 FROM pg_attribute WHERE attrelid = 'l40s_sales_large'::regclass AND attnum > 0";
    let wanted =
        "bigint, character varying(50), character varying(50), numeric(15,2), date, integer";
    assert_eq!(database.text(types).await, wanted);
    // A row is a function of seed, name and number: the first rows of a smaller table are the same.
    let first = digest(&database, 1_000).await;
    fill(&database, &Table { recreate: Recreate::Ours, ..sales(1_000) }).await;
    assert_eq!(digest(&database, 1_000).await, first);
    let other =
        fill(&database, &Table { seed: 43, recreate: Recreate::Ours, ..sales(1_000) }).await;
    assert_ne!(digest(&database, 1_000).await, first);
    assert_eq!(other.state, State::Recreated);
}

#[tokio::test]
async fn a_table_that_fits_is_reused_and_one_that_does_not_is_refused() {
    let database = Database::create().await;
    let created = fill(&database, &sales(1_000)).await;
    assert_eq!(
        (created.state, created.built.as_slice()),
        (State::Created, &["primary key".to_owned()][..])
    );
    let analysed = "SELECT reltuples::bigint FROM pg_class WHERE relname = 'l40s_sales_large'";
    assert_eq!(database.number(analysed).await, 1_000);
    let reused = fill(&database, &sales(1_000)).await;
    assert_eq!((reused.state, reused.rows_loaded), (State::Reused, 0));
    assert_eq!(reused.checksum, created.checksum);
    // An index that the profile has gained is built.
    let index = "primary_key = [\"id\"]\nindexes = [{ name = \"by_date\", method = \"brin\", \
                 columns = [\"order_date\"], with = \"pages_per_range = 32\" }]";
    let indexed = sales_but(1_000, "primary_key = [\"id\"]", index);
    assert_eq!(fill(&database, &indexed).await.built, ["index by_date"]);
    assert_eq!(fill(&database, &indexed).await.built, [""; 0]);
    let key = "SELECT string_agg(pg_get_indexdef(indexrelid), '; ' ORDER BY indexrelid) \
               FROM pg_index WHERE indrelid = 'l40s_sales_large'::regclass";
    assert_eq!(
        database.text(key).await,
        "CREATE UNIQUE INDEX l40s_sales_large_pkey ON public.l40s_sales_large USING btree (id); \
         CREATE INDEX by_date ON public.l40s_sales_large USING brin (order_date) WITH \
         (pages_per_range='32')"
    );
    let mut refusals = vec![
        refused(&database, &sales(500)).await,
        refused(&database, &Table { seed: 7, ..sales(1_000) }).await,
        refused(&database, &sales_but(1_000, "max = 99,", "max = 9,")).await,
        refused(&database, &sales_but(1_000, "\"integer\"", "\"smallint\"")).await,
        refused(&database, &sales_but(1_000, "\"partition_key\"", "\"shard\"")).await,
        refused(&database, &sales_but(1_000, "primary_key", "unlogged = true\nprimary_key")).await,
        refused(&database, &sales_but(1_000, "[\"id\"]", "[\"order_date\", \"id\"]")).await,
        refused(&database, &sales_but(1_000, "primary_key = [\"id\"]", &index.replace("32", "64")))
            .await,
    ];
    database.execute("DELETE FROM l40s_sales_large WHERE id = 500").await;
    refusals.push(refused(&database, &sales(1_000)).await);
    database.execute("INSERT INTO l40s_sales_large VALUES (500, '', '', 1, '2023-01-01', 1)").await;
    let altered = refused(&database, &sales(1_000)).await;
    let found = altered.split("have checksum ").nth(1).unwrap()[..16].to_owned();
    refusals.push(altered.replace(&found, "FOUND"));
    insta::assert_snapshot!(refusals.join("\n\n"));
}

/// The table, which may be dropped whoever made it.
fn named(table: &Table) -> Table {
    Table { recreate: Recreate::Named(table.name.clone()), ..table.clone() }
}

#[tokio::test]
async fn what_strom_load_did_not_make_is_dropped_only_when_it_is_named() {
    let database = Database::create().await;
    let table = sales(1_000);
    let recreate = Table { recreate: Recreate::Ours, ..table.clone() };
    let mine = "CREATE TABLE l40s_sales_large (mine int); \
                INSERT INTO l40s_sales_large SELECT generate_series(1, 1000)";
    database.execute(mine).await;
    let mut refusals = Vec::new();
    // Without a comment, and with one of its owner's.
    for comment in ["NULL", "'do not touch'"] {
        database.execute(&format!("COMMENT ON TABLE l40s_sales_large IS {comment}")).await;
        refusals.push(refused(&database, &table).await);
        refusals.push(refused(&database, &recreate).await);
        let is = format!(
            "SELECT obj_description('l40s_sales_large'::regclass) IS NOT DISTINCT FROM {comment}"
        );
        assert_eq!(database.text(&is).await, "t");
        assert_eq!(database.number("SELECT count(mine) FROM l40s_sales_large").await, 1_000);
    }
    // What another version made carries the mark too.
    let newer = r#"strom-load data set {"format": 9, "anything": []}"#;
    database.execute(&format!("COMMENT ON TABLE l40s_sales_large IS '{newer}'")).await;
    refusals.push(refused(&database, &table).await);
    // A mistake in an index must not cost the table, nor a load.
    let index = "primary_key = [\"id\"]\nindexes = [{ name = \"i\", method = \"brim\", columns = \
                 [\"id\"] }]";
    let bad = sales_but(1_000, "primary_key = [\"id\"]", index);
    refusals.push(refused(&database, &Table { recreate: Recreate::Ours, ..bad }).await);
    assert_eq!(database.number("SELECT count(mine) FROM l40s_sales_large").await, 1_000);
    assert_eq!(fill(&database, &recreate).await.state, State::Recreated);
    // What depends on it is not dropped with it.
    database.execute("CREATE VIEW report AS SELECT id FROM l40s_sales_large").await;
    refusals.push(refused(&database, &recreate).await);
    database.execute("DROP VIEW report; DROP TABLE l40s_sales_large").await;
    // Too many to count, so the estimate is told.
    let many = "CREATE TABLE l40s_sales_large (mine int) WITH (autovacuum_enabled = false); \
                INSERT INTO l40s_sales_large SELECT generate_series(1, 1000001)";
    database.execute(many).await;
    refusals.push(refused(&database, &recreate).await);
    database.execute("ANALYZE l40s_sales_large").await;
    refusals.push(refused(&database, &recreate).await);
    assert_eq!(fill(&database, &named(&table)).await.state, State::Recreated);
    assert_eq!(database.number("SELECT count(*) FROM l40s_sales_large").await, 1_000);
    database.execute("ALTER TABLE l40s_sales_large RENAME TO kept").await;
    // Not even by name.
    for made in ["VIEW l40s_sales_large AS SELECT 1 AS a", "SEQUENCE l40s_sales_large"] {
        database.execute(&format!("CREATE {made}")).await;
        refusals.push(refused(&database, &named(&table)).await);
        let kind = made.split(' ').next().unwrap();
        database.execute(&format!("DROP {kind} l40s_sales_large")).await;
    }
    database.execute("CREATE TABLE l40s_sales_large (a int) PARTITION BY LIST (a)").await;
    refusals.push(refused(&database, &table).await);
    refusals.push(refused(&database, &recreate).await);
    assert_eq!(fill(&database, &named(&table)).await.state, State::Recreated);
    insta::assert_snapshot!(refusals.join("\n\n"));
}

#[tokio::test]
async fn a_comment_that_its_owner_sets_while_the_table_is_filled_stays() {
    let database = Database::create().await;
    let program = fill_sales(&database, &["--connections", "1"]);
    program.says("l40s_sales_large: 0 of 1,000,000 rows").await;
    database.execute("COMMENT ON TABLE l40s_sales_large IS 'mine now'").await;
    let ended = program.end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("its comment was changed while"), "{}", ended.stderr);
    let comment = "SELECT obj_description('l40s_sales_large'::regclass)";
    assert_eq!(database.text(comment).await, "mine now");
}

#[tokio::test]
async fn a_table_grows_in_place_and_does_not_shrink() {
    let database = Database::create().await;
    // The last batch of the small table is a part of one, and the others come behind it.
    let small = fill(&database, &sales(130_000)).await;
    let before = digest(&database, 130_000).await;
    let oid = "SELECT 'l40s_sales_large'::regclass::oid";
    let (made, large) = (database.number(oid).await, sales(ROWS));
    let grown = fill(&database, &large).await;
    assert_eq!((grown.state, grown.rows, grown.rows_loaded), (State::Grown, ROWS, ROWS - 130_000));
    assert_eq!(database.number(oid).await, made, "it is the same table");
    assert_eq!(digest(&database, 130_000).await, before, "its rows stay");
    let anew = fill(&database, &Table { recreate: Recreate::Ours, ..large.clone() }).await;
    assert_eq!(anew.checksum, grown.checksum);
    assert_ne!(grown.checksum, small.checksum);
    assert_eq!(fill(&database, &large).await.state, State::Reused);
    // Broken off while it grew, before and after the first batch was made whole.
    for kept in [130_000, 200_000] {
        half_filled(&database).await;
        database.execute(&format!("DELETE FROM l40s_sales_large WHERE id > {kept}")).await;
        let completed = fill(&database, &large).await;
        assert_eq!((completed.state, completed.rows_loaded), (State::Completed, ROWS - kept));
        assert_eq!(completed.checksum, anew.checksum);
    }
    // The other way round the message names what to type.
    let mut refusals = Vec::new();
    for unscaled in [10_000_000, ROWS, 7] {
        let rows_unscaled = unscaled.try_into().unwrap();
        refusals.push(refused(&database, &Table { rows_unscaled, ..sales(100_000) }).await);
    }
    refusals.push(refused(&database, &Table { dimension: true, ..sales(100) }).await);
    // Rows that are not the first ones are not taken for them.
    database.execute("UPDATE l40s_sales_large SET id = id + 1000000 WHERE id = 77").await;
    refusals.push(refused(&database, &sales(ROWS + 1)).await);
    assert_eq!(database.number("SELECT count(*) FROM l40s_sales_large").await, ROWS as i64);
    insta::assert_snapshot!(refusals.join("\n\n"));
}

#[tokio::test]
async fn a_table_without_row_numbers_grows_too() {
    let database = Database::create().await;
    let mut table = unnumbered();
    fill(&database, &table).await;
    table.rows = 150_000.try_into().unwrap();
    let grown = fill(&database, &table).await;
    assert_eq!((grown.state, grown.rows_loaded), (State::Grown, 149_000));
    let anew = fill(&database, &Table { recreate: Recreate::Ours, ..table }).await;
    assert_eq!(grown.checksum, anew.checksum);
}

/// Sets the record back to what it is while the table is being filled.
async fn half_filled(database: &Database) {
    let set_back = "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE l40s_sales_large IS %L', \
                    replace(obj_description('l40s_sales_large'::regclass), 'ready', 'filling')); END $$";
    database.execute(set_back).await;
}

#[tokio::test]
async fn a_half_filled_table_is_completed() {
    let database = Database::create().await;
    let table = sales(ROWS);
    let whole = fill(&database, &table).await;
    // The second batch is missing: it alone is loaded.
    half_filled(&database).await;
    let second = "ALTER TABLE l40s_sales_large DROP CONSTRAINT l40s_sales_large_pkey; DELETE FROM \
                  l40s_sales_large WHERE id BETWEEN 100001 AND 200000";
    database.execute(second).await;
    let completed = fill(&database, &table).await;
    assert_eq!((completed.state, completed.rows_loaded), (State::Completed, 100_000));
    assert_eq!((completed.checksum, completed.built), (whole.checksum.clone(), whole.built));
    assert_eq!(fill(&database, &table).await.state, State::Reused);
    // Dead rows were reused: the table is no larger.
    assert!(completed.table_bytes <= whole.table_bytes + (1 << 20));
    // Rows are loaded, but the key was not built yet.
    half_filled(&database).await;
    let completed = fill(&database, &table).await;
    assert_eq!((completed.state, completed.rows_loaded), (State::Completed, 0));
    // A batch with a hole is not one of ours: everything is loaded again.
    half_filled(&database).await;
    database.execute("DELETE FROM l40s_sales_large WHERE id = 77").await;
    let completed = fill(&database, &table).await;
    assert_eq!((completed.rows_loaded, &completed.checksum), (ROWS, &whole.checksum));
    // An unlogged table is empty after a crash, and its record is not.
    database.execute("TRUNCATE l40s_sales_large").await;
    let completed = fill(&database, &table).await;
    assert_eq!((completed.state, completed.rows_loaded), (State::Completed, ROWS));
}

/// A table of a thousand rows that no column numbers.
fn unnumbered() -> Table {
    let id = "[[tables.columns]]\nname = \"id\"\ntype = \"bigint\"\nvalues = \"row_id\" # i\n";
    let text = SALES.replace(id, "").replace("primary_key = [\"id\"]\n", "unlogged = true\n");
    Table { rows: 1_000.try_into().unwrap(), ..tables(&text).remove(0) }
}

#[tokio::test]
async fn a_table_without_row_numbers_is_filled_anew() {
    let database = Database::create().await;
    let table = unnumbered();
    let whole = fill(&database, &table).await;
    let kind = "SELECT relpersistence::text FROM pg_class WHERE relname = 'l40s_sales_large'";
    assert_eq!(database.text(kind).await, "u");
    half_filled(&database).await;
    let completed = fill(&database, &table).await;
    assert_eq!((completed.rows_loaded, completed.checksum), (1_000, whole.checksum));
}

#[tokio::test]
async fn two_loaders_at_once_fill_a_table_once() {
    let database = Database::create().await;
    let table = sales(ROWS);
    let address = database.address();
    let (one, other) = tokio::join!(fill_at(&address, &table, 1), fill_at(&address, &table, 1));
    let mut states = [one.unwrap().state, other.unwrap().state].map(|state| state.to_string());
    states.sort();
    assert_eq!(states, ["created", "reused"]);
}

#[tokio::test]
async fn rights_are_asked_for_by_name() {
    let database = Database::create().await;
    let table = sales(1_000);
    let role = format!("reader_of_{}", database.name);
    database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    let address = database.address_of(&role);
    let hide = |error: DatasetError| error.to_string().replace(&role, "ROLE");
    let mut refusals = vec![hide(fill_at(&address, &table, 1).await.unwrap_err())];
    fill(&database, &table).await;
    refusals.push(hide(fill_at(&address, &table, 1).await.unwrap_err()));
    database.execute(&format!("GRANT SELECT ON l40s_sales_large TO {role}")).await;
    // Reading is all that reuse takes.
    assert_eq!(fill_at(&address, &table, 1).await.unwrap().state, State::Reused);
    let recreate = Table { recreate: Recreate::Ours, ..table.clone() };
    refusals.push(hide(fill_at(&address, &recreate, 1).await.unwrap_err()));
    insta::assert_snapshot!(refusals.join("\n\n"));
}

#[tokio::test]
async fn a_full_disk_leaves_a_table_that_is_completed_later() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    let disk = SmallDisk::mount(&server, 32);
    let client = connect(server.socket_dir(), server.port()).await;
    let location = disk.tablespace().display().to_string();
    client.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{location}'")).await.unwrap();
    let default = "ALTER DATABASE postgres SET default_tablespace = 'small'";
    client.batch_execute(default).await.unwrap();
    // 200,000 rows take 15 MiB, and one batch half of that.
    disk.leave(9);
    let table = sales(200_000);
    let address = server.conninfo();
    let error = fill_at(&address, &table, 1).await.unwrap_err();
    let DatasetError::Load { rows_done: 100_000, error: ref cause, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(cause.sqlstate(), Some("53100"));
    let said = error.to_string();
    assert!(said.contains("table l40s_sales_large: failed to copy a batch"), "{said}");
    assert!(said.contains("fix: free space on the server's disk and start again"), "{said}");
    assert!(said.contains("100,000 of 200,000 rows"), "{said}");
    disk.free();
    let completed = fill_at(&address, &table, 1).await.unwrap();
    assert_eq!((completed.state, completed.rows_loaded), (State::Completed, 100_000));
    server.stop().await.unwrap();
}

/// The program, filling the table with a million rows.
fn fill_sales(database: &Database, more: &[&str]) -> Program {
    let folder = scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    std::fs::write(folder.path().join("work/sales.toml"), SALES).unwrap();
    let address = database.address();
    let mut args = vec!["fill", "sales.toml", "--rows", "1M", "--database-url", &address];
    args.extend(more);
    Program::start_in(folder, &args, &[])
}

#[tokio::test]
async fn the_program_stops_between_batches_and_goes_on() {
    let database = Database::create().await;
    let start = |more: &[&str]| fill_sales(&database, more);
    let program = start(&["--connections", "1"]);
    program.says("l40s_sales_large: 0 of 1,000,000 rows").await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("of 1,000,000 rows of table l40s_sales_large are loaded"),
        "{}",
        ended.stderr
    );
    let loaded = database.number("SELECT count(*) FROM l40s_sales_large").await;
    assert!(loaded < 1_000_000 && loaded % 100_000 == 0, "{loaded}");
    // Killed while it loads: the next one waits for what is still committing.
    let mut program = start(&["--connections", "1"]);
    program.says("rows/s").await;
    program.child.start_kill().unwrap();
    assert_eq!(program.end().await.code, None);
    let ended = start(&["--format", "json", "--verify"]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let table = &said["tables"][0];
    assert_eq!((&table["state"], &table["rows"]), (&"completed".into(), &1_000_000.into()));
    assert_eq!(table["verified"], true);
    let again = start(&[]).end().await;
    assert!(
        again.stdout.starts_with(
            "OK  1 table ready · 1,000,000 rows, 0 loaded now\nl40s_sales_large: reused, 1,000,000 rows"
        ),
        "{}",
        again.stdout
    );
}

#[tokio::test]
async fn what_cuts_off_a_look_at_a_whole_table_says_that_it_is_whole() {
    let database = Database::create().await;
    let folder = scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    std::fs::write(folder.path().join("work/sales.toml"), SALES).unwrap();
    let args = ["fill", "sales.toml", "--rows", "1000", "--database-url", &database.address()];
    let filled = Program::start_in(folder, &args, &[]).end().await;
    assert_eq!(filled.code, Some(0), "{}", filled.stderr);
    let other = database.session().await;
    other.execute("BEGIN; LOCK TABLE l40s_sales_large IN ACCESS EXCLUSIVE MODE").await;
    let counting = "SELECT count(*) = 1 FROM pg_stat_activity \
                    WHERE datname = current_database() AND query LIKE 'SELECT count(*)%' \
                    AND application_name = 'strom-load fill control'";
    let gone = counting.replace("= 1", "= 0");
    // By the first signal.
    let folder = scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    std::fs::write(folder.path().join("work/sales.toml"), SALES).unwrap();
    let program = Program::start_in(folder, &args, &[]);
    database.until(counting).await;
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let said = "interrupted while counting its rows: table l40s_sales_large is as it was";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    database.until(&gone).await;
    // By the second alone, which the first leaves no time for.
    let shutdown = Shutdown::default();
    let address = Address::parse(&database.address(), "test", &|_| None).unwrap();
    let (tables, options) = (vec![sales(1_000)], FillOptions::default());
    let filling = engine::fill(&address, &tables, options, &Silent, &shutdown);
    let aborting = async {
        database.until(counting).await;
        shutdown.abort.cancel();
    };
    let (filled, ()) = tokio::join!(filling, aborting);
    assert_eq!(filled.unwrap_err().to_string(), said);
    database.until(&gone).await;
}

#[test]
fn the_example_of_the_document_is_a_profile() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/datasets.md"));
    let document = document.unwrap();
    let (_, rest) = document.split_once("```toml\n").unwrap();
    let tables = tables(rest.split_once("```").unwrap().0);
    assert!(tables.len() == 1 && tables[0].indexes.len() == 1 && !tables[0].primary_key.is_empty());
}
