//! Drafts of tables with foreign keys: of keys that are there, as often as they come there.

use super::{draft, drafted, run};
use crate::support::Database;

/// Orders that refer to keys with holes: to customers by a law of ranks, to shops alike, to items in no way that has a
/// law, to orders before them, and to zones by two columns.
const SOURCE: &str = "SELECT setseed(0.5); \
    CREATE SCHEMA shop; \
    CREATE TABLE shop.customers (id bigint PRIMARY KEY); \
    INSERT INTO shop.customers SELECT i * 13 + i % 7 FROM generate_series(1, 200) i; \
    CREATE TABLE shop.\"Shops\" (code text PRIMARY KEY); \
    INSERT INTO shop.\"Shops\" SELECT 'it''s shop ' || i * 17 FROM generate_series(1, 30) i; \
    CREATE TABLE shop.items (id uuid PRIMARY KEY, place integer); \
    INSERT INTO shop.items SELECT gen_random_uuid(), i FROM generate_series(1, 50) i; \
    CREATE TABLE shop.zones (region integer, zone integer, PRIMARY KEY (region, zone)); \
    INSERT INTO shop.zones SELECT r, z FROM generate_series(1, 3) r, generate_series(1, 4) z; \
    CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer bigint NOT NULL REFERENCES shop.customers, \
        shop text REFERENCES shop.\"Shops\", item uuid NOT NULL REFERENCES shop.items, \
        before bigint REFERENCES shop.orders, region integer, zone integer, \
        FOREIGN KEY (region, zone) REFERENCES shop.zones); \
    INSERT INTO shop.orders SELECT row_number() OVER (), rank * 13 + rank % 7, \
        CASE WHEN random() < 0.8 THEN 'it''s shop ' || (1 + floor(random() * 30)::int) * 17 END, \
        (ARRAY(SELECT id FROM shop.items ORDER BY place))[CASE WHEN dice < 0.3 THEN 1 WHEN dice < 0.55 THEN 2 \
            WHEN dice < 0.7 THEN 3 ELSE 4 + floor(random() * 47)::int END], \
        NULL, 1 + floor(random() * 3)::int, 1 + floor(random() * 4)::int \
    FROM (SELECT rank, random() AS dice FROM generate_series(1, 200) rank, generate_series(1, (7000 / rank)::int) \
        ORDER BY random()) drawn; \
    UPDATE shop.orders SET before = 1 + floor(random() * 1000)::int * 7 WHERE id % 10 > 3; \
    ANALYZE shop.customers, shop.\"Shops\", shop.items, shop.zones, shop.orders";

/// The share of NULLs in a column of the rows from an id on, and those of the most common values, from the greatest down.
async fn shares(database: &Database, column: &str, ids: &str, count: u32) -> (f64, Vec<f64>) {
    let sql = format!(
        "SELECT share FROM (SELECT {column} AS own, count(*) / sum(count(*)) OVER () AS share FROM shop.orders \
         WHERE id {ids} GROUP BY own) found ORDER BY own IS NOT NULL, share DESC LIMIT {}",
        count + 1
    );
    let rows = database.rows(&sql).await;
    let mut all: Vec<f64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let nulls = format!("SELECT count(*) FROM shop.orders WHERE id {ids} AND {column} IS NULL");
    let nulls = if database.number(&nulls).await > 0 { all.remove(0) } else { 0.0 };
    all.truncate(count as usize);
    (nulls, all)
}

const FIFTY_THOUSAND: [&str; 8] =
    ["--rate", "25000", "--warmup", "0s", "--duration", "2s", "--drain-timeout", "1m"];

#[tokio::test]
async fn foreign_keys_are_drawn_of_keys_that_are_there_as_often_as_there() {
    let database = Database::create().await;
    database.execute(SOURCE).await;
    let before = database.number("SELECT max(id) FROM shop.orders").await;
    let text = drafted(&database, &["shop.orders"]).await;
    let flat = text.replace("\n# ", " ");
    for part in [
        "values = { reference = { table = \"shop.customers\", column = \"id\", pick = { zipf = { exponent = ",
        "values = { reference = { table = 'shop.\"Shops\"', column = \"code\" } }",
        "values = { reference = { table = \"shop.items\", column = \"id\" } }",
        "values = { reference = { table = \"shop.orders\", column = \"id\" } }",
        "by no law that is drawn; --keep-values writes the most common ones",
        "no row refers to one of the same run",
        "Refers to shop.zones (region, zone) together with others: which of them belong together is not drawn",
    ] {
        assert!(flat.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("it's shop"), "{text}");
    run(&database, &text, &FIFTY_THOUSAND).await.done();
    // No row was refused, by a key that is none.
    let drawn = format!("> {before}");
    assert_eq!(
        database.number(&format!("SELECT count(*) FROM shop.orders WHERE id {drawn}")).await,
        50_000
    );
    let there = format!("<= {before}");
    for (column, count) in [("customer", 10), ("shop", 30), ("before", 0)] {
        let [own, source] = [&drawn, &there].map(|ids| shares(&database, column, ids, count));
        let ((nulls, own), (source_nulls, source)) = (own.await, source.await);
        assert!((nulls - source_nulls).abs() < 0.01, "{column}: {nulls} {source_nulls}");
        assert_eq!(own.len(), source.len());
        for (own, source) in own.iter().zip(&source) {
            assert!((own / source - 1.0).abs() < 0.1, "{column}: {own} {source}\n{text}");
        }
    }
    let of_this_run =
        format!("SELECT count(*) FROM shop.orders WHERE id {drawn} AND before > {before}");
    assert_eq!(database.number(&of_this_run).await, 0);
}

#[tokio::test]
async fn kept_keys_are_the_hot_ones_themselves() {
    let database = Database::create().await;
    database.execute(SOURCE).await;
    let before = database.number("SELECT max(id) FROM shop.orders").await;
    let text = drafted(&database, &["shop.orders", "--keep-values"]).await;
    run(&database, &text, &FIFTY_THOUSAND).await.done();
    for (column, count) in [("item", 20), ("customer", 10)] {
        let sql = format!(
            "SELECT own.{column}, there::float8, drawn::float8 FROM (SELECT {column}, \
             count(*) FILTER (WHERE id <= {before}) / sum(count(*) FILTER (WHERE id <= {before})) OVER () AS there, \
             count(*) FILTER (WHERE id > {before}) / sum(count(*) FILTER (WHERE id > {before})) OVER () AS drawn \
             FROM shop.orders GROUP BY {column}) own ORDER BY there DESC LIMIT {count}"
        );
        for row in database.rows(&sql).await {
            let [there, drawn] = [1, 2].map(|place| row[place].parse::<f64>().unwrap());
            // Of 50,000 rows a share of 0.6 % is known to 6 %.
            let off = if there > 0.01 { 0.1 } else { 0.25 };
            assert!((drawn / there - 1.0).abs() < off, "{column}: {row:?}\n{text}");
        }
    }
}

#[tokio::test]
async fn foreign_keys_that_are_not_drawn_are_said() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE moods (mood mood PRIMARY KEY); \
             INSERT INTO moods VALUES ('sad'), ('glad'); \
             CREATE TABLE gone (id integer PRIMARY KEY); INSERT INTO gone VALUES (1); \
             CREATE TABLE hidden (id integer PRIMARY KEY); INSERT INTO hidden VALUES (1), (2); \
             CREATE TABLE child (id bigint PRIMARY KEY, mood mood REFERENCES moods, gone integer REFERENCES gone, \
                 hidden integer REFERENCES hidden); \
             INSERT INTO child SELECT i, 'glad', 1, 1 + i % 2 FROM generate_series(1, 1000) i; \
             ANALYZE child, moods, gone, hidden; DELETE FROM child; DELETE FROM gone; \
             CREATE ROLE reader_of_keys LOGIN; GRANT SELECT, INSERT ON child, moods, gone TO reader_of_keys",
        )
        .await;
    database.execute("VACUUM gone").await;
    let address = database.address_of("reader_of_keys");
    let args = ["profile", "from-table", "child", "--database-url", &address];
    let ended = crate::support::Program::start(&args).end().await;
    let text = ended.stdout.replace("\n# ", " ");
    for part in [
        "Refers to public.moods (mood): drawn of the labels that come there",
        "gone, integer: it refers to public.gone (id), which is empty: fill that first: left to the server",
        "Refers to public.hidden (id), whose keys this role may not read",
    ] {
        assert!(text.contains(part), "{part}\n{}{}", ended.stdout, ended.stderr);
    }
    let copied = drafted(&database, &["child", "--table", "copied"]).await.replace("\n# ", " ");
    let said = "Refers to public.hidden (id), which the copy does not: drawn as any column; `reference` draws keys";
    assert!(copied.contains(said) && !copied.contains("values = { reference"), "{copied}");
    database.execute("ALTER TABLE child ALTER gone SET NOT NULL").await;
    let refused = draft(&database, &["child"]).await;
    let said = "column gone: it refers to public.gone (id), which is empty: fill that first";
    assert!(refused.code == Some(3) && refused.stderr.contains(said), "{}", refused.stderr);
    database.execute("DROP OWNED BY reader_of_keys; DROP ROLE reader_of_keys").await;
}
