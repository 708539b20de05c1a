//! Columns of arrays in a run, from the check of the profile to the audit.

use std::fs;

use crate::support::{Database, Program, scratch};

const COLUMNS: &str = r#"
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "scores", type = "integer[]", values = { array = { of = { integer = { min = 1, max = 100 } }, length = { integer = { min = 0, max = 4 } }, null_ratio = 0.1 } } },
    { name = "tags", type = "text[]", null_ratio = 0.2, values = { array = { of = { choice = { of = ["new", "it's", "a b"], weights = [5, 2, 1] } }, length = { integer = { min = 1, max = 3 } } } } },
]
"#;

const TABLE: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad'); \
    CREATE DOMAIN tags AS text[] CHECK (cardinality(VALUE) <= 3); \
    CREATE DOMAIN code AS integer NOT NULL CHECK (VALUE > 0); \
    CREATE TABLE held (id bigint, scores integer[], tags tags, moods mood[], codes code[])";

#[tokio::test]
async fn arrays_are_checked_sent_and_read_back() {
    let database = Database::create().await;
    database.execute(TABLE).await;
    let (folder, address) = (scratch(), database.address());
    let file = folder.path().join("p.toml").display().to_string();
    let run = async |columns: &str, args: &[&str]| {
        let head = "seed = 7\nwarmup_s = 0\nduration_s = 1\n[stream]\nrows_per_s = 900\n";
        fs::write(&file, format!("{head}{columns}")).unwrap();
        Program::start(args).end().await
    };
    let check = ["check", &file, "--database-url", &address, "--table", "held"];
    let fits = run(COLUMNS, &check).await;
    assert_eq!(
        fits.stdout, "held takes the 3 columns of `p`; it has no queries\n",
        "{}",
        fits.stderr
    );
    for (from, to, fact) in [
        (
            "\"text[]\"",
            "\"varchar(9)[]\"",
            "column tags is tags, a domain of text[], not character varying(9)[]",
        ),
        ("\"integer[]\"", "\"bigint[]\"", "column scores is integer[], not bigint[]"),
        (
            "name = \"tags\"",
            "name = \"moods\"",
            "column moods is mood[], of an enum, and has no label \"new\" (sad, glad)",
        ),
        (
            "name = \"scores\"",
            "name = \"moods\"",
            "column moods is mood[], of an enum, not integer[]",
        ),
        (
            "name = \"tags\"",
            "name = \"codes\"",
            "column codes is code[], of a domain of integer, not text[]",
        ),
        (
            "name = \"scores\"",
            "name = \"codes\"",
            "column codes is code[], which takes no NULL among its elements, and the profile sends some",
        ),
    ] {
        let refused = run(&COLUMNS.replace(from, to), &check).await;
        assert_eq!(refused.code, Some(3), "{}", refused.stderr);
        assert!(refused.stderr.contains(fact), "{}", refused.stderr);
    }

    let sent = [
        "run",
        &file,
        "--database-url",
        &address,
        "--table",
        "held",
        "--output",
        "out",
        "--metrics-addr",
        "off",
    ];
    let ended = run(COLUMNS, &sent).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 900);
    let results = ended.work().join("out").display().to_string();
    let verified = Program::start(&["verify", &results, "--database-url", &address]).end().await;
    assert!(verified.stdout.contains("900 read back"), "{}{}", verified.stdout, verified.stderr);
    let strays = "SELECT count(*) FROM held WHERE scores IS NULL OR NOT scores <@ ARRAY(SELECT generate_series(1, 100)) \
                  AND array_remove(scores, NULL) = scores OR NOT tags <@ '{new,it''s,a b}'";
    assert_eq!(database.number(strays).await, 0);
    let some = "SELECT count(DISTINCT cardinality(scores)), count(*) FILTER (WHERE array_position(scores, NULL) > 0) > 0, \
                count(*) FILTER (WHERE tags IS NULL) BETWEEN 100 AND 260 FROM held";
    assert_eq!(database.rows(some).await, [["5", "t", "t"]]);

    // What a check shows is what a run sends.
    let shown = run(COLUMNS, &["check", &file, "--show-rows", "3"]).await;
    let there = "SELECT id, scores, coalesce(tags::text, '') FROM held ORDER BY held.id LIMIT 3";
    let mut shown = csv::Reader::from_reader(shown.stdout.as_bytes());
    let shown: Vec<Vec<String>> =
        shown.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(shown, database.rows(there).await);

    // One that has changed is found.
    database.execute("UPDATE held SET scores = scores || 5 WHERE id = 44").await;
    let altered = Program::start(&["verify", &results, "--database-url", &address]).end().await;
    assert_ne!(altered.code, Some(0), "{}", altered.stdout);
}

const OWN: &str = r#"
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "moods", type = "text[]", null_ratio = 0.1, values = { array = { of = { choice = { of = ["sad", "glad"], weights = [1, 3] } }, length = { integer = { min = 0, max = 3 } }, null_ratio = 0.2 } } },
    { name = "codes", type = "integer[]", values = { array = { of = { integer = { min = 1, max = 50 } }, length = { integer = { min = 1, max = 2 } } } } },
]
"#;

#[tokio::test]
async fn arrays_of_the_servers_own_types_are_sent_and_read_back() {
    let database = Database::create().await;
    database.execute(TABLE).await;
    let (folder, address) = (scratch(), database.address());
    let file = folder.path().join("p.toml").display().to_string();
    let head = "seed = 7\nwarmup_s = 0\nduration_s = 1\n[stream]\nrows_per_s = 900\n";
    fs::write(&file, format!("{head}{OWN}")).unwrap();
    let run = async |table: &str, more: &[&str]| {
        let args = ["run", &file, "--database-url", &address, "--metrics-addr", "off"];
        let args = [&args[..], &["--output", "out", "--table", table], more].concat();
        Program::start(&args).end().await
    };
    let ended = run("held", &[]).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 900);
    let results = ended.work().join("out").display().to_string();
    let verified = Program::start(&["verify", &results, "--database-url", &address]).end().await;
    assert!(verified.stdout.contains("900 read back"), "{}{}", verified.stdout, verified.stderr);
    // A copy that the run makes has the types of what it is made like.
    run("copied", &["--like", "held"]).await.done();
    let alike = "SELECT count(*) FROM held JOIN copied USING (id, codes) WHERE held.moods IS NOT DISTINCT FROM copied.moods";
    assert_eq!(database.number(alike).await, 900);
    run("copied", &["--like", "held", "--recreate"]).await.done();
    assert_eq!(database.number(alike).await, 900);

    // A label that is gone is found before any row is sent.
    let check = ["check", &file, "--database-url", &address, "--table", "held"];
    let fits = Program::start(&check).end().await;
    assert!(fits.stdout.contains("held takes the 3 columns"), "{}", fits.stderr);
    database.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'").await;
    let refused = Program::start(&check).end().await;
    assert_eq!(refused.code, Some(3));
    let fact = "column moods is mood[], of an enum, and has no label \"sad\" (blue, glad)";
    assert!(refused.stderr.contains(fact), "{}", refused.stderr);
}
