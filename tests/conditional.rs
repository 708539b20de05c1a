//! Columns that depend on others, in a run: what a check says of them, and what is in the table.

use std::fs;

use crate::support::{Database, Program, scratch};

const PROFILE: &str = r#"
seed = 3
warmup_s = 0
duration_s = 1
[stream]
rows_per_s = 1200
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "city", type = "text", values = { conditional = { on = "country", of = { DE = { choice = { of = ["Berlin", "Hamburg"], weights = [3, 1] } }, FR = { choice = { of = ["Paris"] } } } } } },
    { name = "country", type = "text", values = { choice = { of = ["DE", "FR"], weights = [2, 1] } } },
    { name = "state", type = "text", values = { conditional = { on = "city", of = { Paris = { choice = { of = ["open"] } } }, others = { choice = { of = ["open", "closed"] } } } } },
]
[readers]
count = 1
[[readers.queries]]
name = "in_city"
sql = "SELECT count(*) FROM {table} WHERE city = :city AND country = :country"
[readers.queries.parameters]
country = { type = "text", values = { choice = { of = ["DE", "FR"] } } }
city = { type = "text", values = { conditional = { on = "country", of = { DE = { choice = { of = ["Berlin"] } }, FR = { choice = { of = ["Paris"] } } } } } }
"#;

#[tokio::test]
async fn a_city_lies_in_its_country() {
    let database = Database::create().await;
    database
        .execute(
            "CREATE TYPE state AS ENUM ('open', 'closed'); \
             CREATE TABLE places (id bigint, city text, country text, state state)",
        )
        .await;
    let (folder, address) = (scratch(), database.address());
    let file = folder.path().join("p.toml").display().to_string();
    let call = async |profile: &str, args: &[&str]| {
        fs::write(&file, profile).unwrap();
        let more = ["--database-url", &address, "--table", "places"];
        Program::start(&[args, &more].concat()).end().await
    };
    let fits = call(PROFILE, &["check", &file]).await;
    assert!(
        fits.stdout.starts_with("places takes the 4 columns of `p`"),
        "{}{}",
        fits.stdout,
        fits.stderr
    );
    let sold = PROFILE.replace("[\"open\", \"closed\"]", "[\"open\", \"sold\"]");
    let refused = call(&sold, &["check", &file]).await;
    assert!(refused.stderr.contains("has no label \"sold\""), "{}", refused.stderr);
    let unknown = PROFILE.replace("[\"DE\", \"FR\"], weights", "[\"DE\", \"IT\"], weights");
    let refused = call(&unknown, &["check", &file]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("`FR` is no value of column `country`"), "{}", refused.stderr);

    let ended = call(PROFILE, &["run", &file, "--output", "out", "--metrics-addr", "off"]).await;
    let result = ended.done();
    assert_eq!(result["stream"]["rows_found"], 1200);
    assert_eq!(result["queries"][0]["errors"], serde_json::json!({}));
    let results = ended.work().join("out").display().to_string();
    let verified = Program::start(&["verify", &results, "--database-url", &address]).end().await;
    assert!(verified.stdout.contains("1,200 read back"), "{}{}", verified.stdout, verified.stderr);
    let pairs = "SELECT country, city, count(*) BETWEEN 250 AND 750, count(DISTINCT state) FROM places \
                 GROUP BY 1, 2 ORDER BY 1, 2";
    let found = database.rows(pairs).await;
    let cities: Vec<&[String]> = found.iter().map(|row| &row[..2]).collect();
    assert_eq!(cities, [["DE", "Berlin"], ["DE", "Hamburg"], ["FR", "Paris"]]);
    assert_eq!((&*found[0][2], &*found[2][2]), ("t", "t"), "{found:?}");
    assert_eq!((&*found[0][3], &*found[2][3]), ("2", "1"), "{found:?}");
}
