//! Drafts of tables with arrays: how long they are, and what is in them.

use super::{A_SECOND, draft, drafted, run};
use crate::support::Database;

/// Elements of which a few are hot, one to four in an array, and now and then a NULL.
const SOURCE: &str = "CREATE DOMAIN codes AS integer[]; \
    CREATE TABLE source (id bigint PRIMARY KEY, tags text[] NOT NULL, codes codes, words varchar[]); \
    SELECT setseed(0.5); \
    INSERT INTO source SELECT i, (ARRAY['{Anna Smith}', '{paid,\"sent, late\"}', '{new}']::text[])[i % 3 + 1]::text[], \
        ARRAY(SELECT CASE WHEN random() > 0.03 THEN 50 * random() ^ 1.5 END FROM generate_series(0, i % 4)), '{}' \
    FROM generate_series(1, 20000) i; ANALYZE source";

/// What ANALYZE finds in the arrays of a table: the share of each element by its rank, of NULL, and the mean length.
async fn found(database: &Database, table: &str, column: &str) -> Vec<f64> {
    let sql = format!(
        "SELECT own FROM pg_stats s, unnest(ARRAY(SELECT unnest(most_common_elem_freqs[1:cardinality(most_common_elems::text::text[])]) ORDER BY 1 DESC) \
         || coalesce(most_common_elem_freqs[cardinality(most_common_elems::text::text[]) + 3], 0) \
         || elem_count_histogram[cardinality(elem_count_histogram)]) own \
         WHERE tablename = '{table}' AND attname = '{column}'"
    );
    let rows = database.rows(&sql).await;
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

#[tokio::test]
async fn arrays_are_like_those_of_the_table() {
    let database = Database::create().await;
    database.execute(SOURCE).await;
    let text = drafted(&database, &["source", "--table", "copied"]).await;
    assert!(!text.contains("Anna"), "{text}");
    for part in [
        "type = \"text[]\"",
        "type = \"integer[]\"",
        "words, character varying[]: its statistics have no",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let rate = ["--rate", "max", "--duration", "2s", "--warmup", "0s"];
    run(&database, &text, &rate).await.done();
    database.execute("ANALYZE copied").await;
    let there = found(&database, "source", "codes").await;
    let here = found(&database, "copied", "codes").await;
    // The hottest ten, the share with a NULL, and how many different elements there are.
    for place in (0..10).chain([50, 51]) {
        let (there, here) = (there[place], here[place]);
        assert!((there - here).abs() < 0.02 + 0.05 * there, "{place}: {there} {here}");
    }
    assert_eq!(found(&database, "copied", "tags").await.len(), 6);
    let kept = drafted(&database, &["source", "--keep-values"]).await;
    assert!(kept.contains("\"sent, late\"") && kept.contains("\"Anna Smith\""), "{kept}");
    let ended = run(&database, &kept, &A_SECOND).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 2000);

    // A NULL in every array, beside elements that come in every one, too.
    database
        .execute(
            "CREATE TABLE nulls (id bigint PRIMARY KEY, codes integer[]); \
             INSERT INTO nulls SELECT i, ARRAY[i % 5, NULL, 7] FROM generate_series(1, 20000) i; ANALYZE nulls",
        )
        .await;
    let text = drafted(&database, &["nulls", "--table", "nulls_copied"]).await;
    run(&database, &text, &A_SECOND).await.done();
    let shares = "SELECT avg(cardinality(array_remove(codes, NULL))) BETWEEN 1.9 AND 2.1 \
                  AND avg((array_position(codes, 7) > 0 IS TRUE)::int) > 0.7 \
                  AND avg((array_position(codes, NULL) > 0 IS TRUE)::int) > 0.6 \
                  FROM nulls_copied";
    assert_eq!(database.text(&format!("SELECT ({shares})::text")).await, "true", "{text}");

    database.execute("UPDATE source SET words = '{}'; ALTER TABLE source ALTER words SET NOT NULL; ANALYZE source").await;
    let refused = draft(&database, &["source"]).await;
    assert!(
        refused.stderr.contains("column words: its statistics have no elements"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn arrays_of_enums_and_domains_are_drafted_as_what_is_beneath() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad', 'calm'); CREATE DOMAIN code AS integer CHECK (VALUE > 0); \
             CREATE DOMAIN feeling AS mood; \
             CREATE TABLE source (id bigint PRIMARY KEY, moods mood[] NOT NULL, codes code[] NOT NULL, \
                 feelings feeling[]); \
             SELECT setseed(0.5); \
             INSERT INTO source SELECT i, '{glad}', \
                 ARRAY[1 + floor(random() * 20)::int], ARRAY['calm']::feeling[] \
             FROM generate_series(1, 5000) i; \
             UPDATE source SET moods = CASE WHEN id % 2 = 0 THEN '{sad}' ELSE '{glad,calm}' END::mood[]; ANALYZE source",
        )
        .await;
    let text = drafted(&database, &["source"]).await;
    for part in [
        "name = \"moods\"\ntype = \"text[]\"",
        "name = \"codes\"\ntype = \"integer[]\"",
        "name = \"feelings\"\ntype = \"text[]\"",
        "\"glad\"",
        "of = [\"calm\"]",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let ended = run(&database, &text, &A_SECOND).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 2000, "{}", ended.stderr);
    let copied = drafted(&database, &["source", "--table", "copied"]).await;
    run(&database, &copied, &A_SECOND).await.done();
    let types = "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'copied'::regclass AND attnum > 1";
    assert_eq!(
        database.rows(types).await,
        [["moods", "mood[]"], ["codes", "code[]"], ["feelings", "feeling[]"]]
    );
}
