//! Drafts of columns that depend on each other, by statistics of both.

use super::{drafted, run};
use crate::support::Database;

/// Places: a city is of its country, how open a place is goes by country, its size by whether it is open, and so a day.
const SOURCE: &str = "SELECT setseed(0.5); \
    CREATE TABLE source (id bigint PRIMARY KEY, country text NOT NULL, city text, is_open boolean NOT NULL, size integer NOT NULL, \
        day date NOT NULL); \
    INSERT INTO source SELECT i, country, CASE WHEN random() > 0.2 THEN country || ' city ' || floor(random() * random() * 4) END, \
        is_open, CASE WHEN is_open THEN 10 * (1 + floor(random() * 3)::int) ELSE 50 END, \
        '2026-01-01'::date + CASE WHEN is_open THEN 0 ELSE floor(random() * 2)::int END \
    FROM (SELECT i, country, random() < CASE country WHEN 'Anna' THEN 0.9 WHEN 'DE' THEN 0.5 ELSE 0.2 END AS is_open \
        FROM (SELECT i, (ARRAY['Anna', 'DE', 'FR', 'IT', 'ES'])[1 + floor(random() * random() * 5)::int] AS country \
            FROM generate_series(1, 40000) i) of_country) of_both; \
    CREATE STATISTICS by_country (mcv) ON country, city FROM source; \
    CREATE STATISTICS openings (mcv, dependencies) ON country, is_open FROM source; \
    CREATE STATISTICS sizes (mcv) ON is_open, size FROM source; \
    CREATE STATISTICS days (mcv) ON day, is_open FROM source; \
    CREATE STATISTICS follows (dependencies) ON country, size FROM source; \
    SET default_statistics_target = 1000; ANALYZE source";

const FIFTY_THOUSAND: [&str; 8] =
    ["--rate", "25000", "--warmup", "0s", "--duration", "2s", "--drain-timeout", "1m"];

/// Shares of the combinations of two columns, from the greatest down.
async fn pairs(database: &Database, table: &str, columns: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT count(*) / sum(count(*)) OVER () AS share, {columns} FROM {table} GROUP BY {columns} ORDER BY 1 DESC LIMIT 12"
    );
    database.rows(&sql).await
}

const TOGETHER: [&str; 4] = ["country, city", "country, is_open", "is_open, size", "day, is_open"];

#[tokio::test]
async fn columns_come_together_as_often_as_there() {
    let database = Database::create().await;
    database.execute(SOURCE).await;
    let text = drafted(&database, &["source", "--table", "copied"]).await;
    let flat = text.replace("\n# ", " ");
    for part in [
        "Of that the combinations are drawn: city by country.",
        "Of that the combinations are drawn: country by is_open.",
        "Of that the combinations are drawn: size by is_open.",
        "Extended statistics follows of country, size: which columns follow from others. That is not drawn.",
    ] {
        assert!(flat.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Anna"), "{text}");
    run(&database, &text, &FIFTY_THOUSAND).await.done();
    let kept = drafted(&database, &["source", "--table", "kept", "--keep-values"]).await;
    run(&database, &kept, &FIFTY_THOUSAND).await.done();
    for columns in TOGETHER {
        let source = pairs(&database, "source", columns).await;
        // What stands for a value is not known by its name, so the shares are compared by their rank.
        let labelled = pairs(&database, "copied", columns).await;
        let kept = pairs(&database, "kept", columns).await;
        assert_eq!(labelled.len(), source.len(), "{columns}: {labelled:?} {source:?}");
        for (place, own) in source.iter().enumerate() {
            let share: f64 = own[0].parse().unwrap();
            if share < 0.02 {
                break;
            }
            let by_rank: f64 = labelled[place][0].parse().unwrap();
            let same = kept.iter().find(|other| other[1..] == own[1..]);
            let by_value: f64 = same.map_or(0.0, |same| same[0].parse().unwrap());
            for drawn in [by_rank, by_value] {
                assert!(
                    (drawn / share - 1.0).abs() < 0.1,
                    "{columns}: {own:?} {by_rank} {by_value}\n{text}"
                );
            }
        }
    }
    let nulls = "SELECT round(avg((city IS NULL)::int), 2) FROM copied";
    let there =
        database.number("SELECT count(*) FROM source WHERE city IS NULL").await as f64 / 40_000.0;
    let here: f64 = database.text(nulls).await.parse().unwrap();
    assert!((there - here).abs() < 0.01, "{there} {here}");
    // No size of a closed place comes with an open one.
    assert_eq!(database.number("SELECT count(*) FROM kept WHERE is_open = (size = 50)").await, 0);
}
