//! What is bound to fail is refused before anything is created; and what need not fail does not.

use std::fs;

use crate::support::{Database, Ended, Program, connect_to, scratch, shared};

const COLUMNS: &str = "id bigint, category text, region text, amount numeric(15,2), \
                       gpu_partition integer, created_at timestamptz";

/// A run of a second without readers, against an address.
async fn short(address: &str, args: &[&str]) -> Ended {
    Program::start(&[&SHORT[..], &["--database-url", address], args].concat()).end().await
}

const SHORT: [&str; 12] = [
    "--metrics-addr",
    "off",
    "--output",
    "out",
    "--rate",
    "300",
    "--warmup",
    "0s",
    "--duration",
    "1s",
    "--readers",
    "0",
];

/// The names of what is in a schema.
async fn relations(database: &Database, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace ORDER BY 1"
    );
    database.rows(&sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_partition_takes_a_name_that_is_free() {
    let database = Database::create().await;
    // A relation and a type: a table is both. And a partition of the user's with our name for
    // another one.
    database
        .execute(
            "CREATE TABLE orders_p0 (x int); CREATE VIEW orders_p0_1 AS SELECT 1; \
             CREATE TYPE orders_p1 AS ENUM ('a')",
        )
        .await;
    short(&database.address(), &["--table", "orders", "--partitions", "3"]).await.done();
    let partitions = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                      WHERE i.inhparent = 'orders'::regclass ORDER BY 1";
    let names: Vec<_> = database.rows(partitions).await.into_iter().flatten().collect();
    assert_eq!(names, ["orders_p0_2", "orders_p1_1", "orders_p2"]);
    assert_eq!(database.number("SELECT count(*) FROM orders").await, 300);
    database
        .execute(&format!(
            "CREATE TABLE att ({COLUMNS}) PARTITION BY LIST (gpu_partition); \
             CREATE TABLE att_p1 PARTITION OF att FOR VALUES IN (0)"
        ))
        .await;
    short(&database.address(), &["--table", "att", "--partitions", "2"]).await.done();
    assert_eq!(database.number("SELECT count(*) FROM att_p1").await, 150);
    assert_eq!(database.number("SELECT count(*) FROM att_p1_1").await, 150);
}

#[tokio::test]
async fn partitions_are_made_in_the_schema_of_their_table() {
    let database = Database::create().await;
    let table = format!("({COLUMNS}) PARTITION BY LIST (gpu_partition)");
    database
        .execute(&format!("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s2.ev {table}"))
        .await;
    let address = format!("{} options='-c search_path=s1,s2'", database.address());
    short(&address, &["--table", "ev", "--partitions", "2"]).await.done();
    assert_eq!(relations(&database, "s1").await, [""; 0]);
    assert_eq!(relations(&database, "s2").await, ["ev", "ev_p0", "ev_p1"]);
    // What is dropped is made anew where it was.
    short(&address, &["--table", "ev", "--partitions", "1", "--recreate=ev"]).await.done();
    assert_eq!(relations(&database, "s1").await, [""; 0]);
    assert_eq!(relations(&database, "s2").await, ["ev", "ev_p0"]);
}

#[tokio::test]
async fn too_few_connections_are_laid_to_whoever_sets_the_limit() {
    let database = Database::create().await;
    let role = format!("{}_few", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 4; GRANT CREATE ON SCHEMA public TO {role}"
        ))
        .await;
    let address = database.address_of(&role);
    let ended = short(&address, &["--partitions", "4"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let said = format!(
        "error: producers and readers need 5 connections, but role {role} admits 4 (its CONNECTION \
         LIMIT less the sessions of others that are there)\n  fix: lower --connections, --partitions or \
         --readers, or ALTER ROLE {role} CONNECTION LIMIT …\n"
    );
    assert!(ended.stderr.ends_with(&said), "{}", ended.stderr);
    short(&address, &["--partitions", "3"]).await.done();
    database.execute("DROP TABLE l40s_realtime_stream").await;
    // A limit that leaves no room to ask.
    database.execute(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
    let ended = short(&address, &[]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let fix = format!("fix: raise the role's limit (ALTER ROLE {role} CONNECTION LIMIT …)");
    assert!(ended.stderr.contains(&fix), "{}", ended.stderr);
    // The database's, which is no superuser's.
    database
        .execute(&format!(
            "ALTER ROLE {role} CONNECTION LIMIT -1; \
             ALTER DATABASE {} CONNECTION LIMIT 3",
            database.name
        ))
        .await;
    let ended = short(&address, &["--partitions", "4"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let who = format!("but database {} admits 2 (", database.name);
    assert!(ended.stderr.contains(&who), "{}", ended.stderr);
    short(&database.address(), &["--partitions", "4"]).await.done();
    assert_eq!(relations(&database, "public").await.len(), 5);
}

#[tokio::test]
async fn too_few_open_files_are_known_before_the_first_connection() {
    let database = Database::create().await;
    let address = database.address();
    let args = [&SHORT[..], &["--database-url", &address, "--partitions", "60"]].concat();
    let ended = Program::start_after("ulimit -n 40", &args, &[]).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let (_, said) = ended.stderr.split_once("error: ").unwrap();
    assert!(
        said.contains("but this process may have 40\n  fix: raise the limit (ulimit -n"),
        "{said}"
    );
    assert_eq!(relations(&database, "public").await, [""; 0]);
    // Wherever the last one goes, the fix is the same.
    for few in [9, 14] {
        let ended = Program::start_after(&format!("ulimit -n {few}"), &args, &[]).end().await;
        let said = ended.stderr;
        assert!(said.contains("Too many open files"), "{few}: {said}");
        assert!(said.contains("\n  fix: allow this process more open files (ulimit -n"), "{said}");
        assert_eq!(said.matches("fix: ").count(), 1, "{said}");
    }
    // A soft limit alone is raised.
    let ended = Program::start_after("ulimit -S -n 40", &args, &[]).end().await;
    assert_eq!(ended.done()["stream"]["rows_acknowledged"], 300);
}

#[tokio::test]
async fn without_any_partition_nobody_is_told_to_use_fewer() {
    let database = Database::create().await;
    let role = format!("{}_user", database.name);
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN; CREATE TABLE theirs ({COLUMNS}) \
             PARTITION BY LIST (gpu_partition); GRANT SELECT, INSERT ON theirs TO {role}"
        ))
        .await;
    let ended = short(&database.address_of(&role), &["--table", "theirs"]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let fix = "fix: let the table's owner add it:\n  CREATE TABLE \"public\".\"theirs_p0\" PARTITION OF \
               \"public\".\"theirs\" FOR VALUES IN (0)\n";
    assert!(ended.stderr.ends_with(fix), "{}", ended.stderr);
}

#[tokio::test]
async fn an_error_that_ends_the_run_is_no_outage_that_was_recovered_from() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "CREATE TABLE bounded ({COLUMNS}, CHECK (id < 100)) PARTITION BY LIST (gpu_partition)"
        ))
        .await;
    let ended = short(&database.address(), &["--table", "bounded", "--partitions", "1"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    let stream = &ended.result()["stream"];
    assert_eq!((&stream["recovery"], &stream["errors"]["23514"]), (&().into(), &1.into()));
    assert_eq!(stream["outages_unrecovered"], 1);
    assert_eq!(stream["outages"][0]["recovered"], false);
    assert!(ended.stdout.contains("\noutages     1 ended the run\n"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("back after"), "{}", ended.stdout);
}

/// Makes tables with something wrong for a run with the default columns; some belong to `role`.
async fn make_unfit_tables(database: &Database, role: &str) {
    let table = |name: &str, columns: &str| {
        format!("CREATE TABLE {name} ({columns}) PARTITION BY LIST (gpu_partition);")
    };
    let generated = COLUMNS.replace("region text", "region text GENERATED ALWAYS AS ('x') STORED");
    let unique = format!("{COLUMNS}, UNIQUE (gpu_partition)");
    let trigger = |table: &str, body: &str| {
        format!(
            "CREATE FUNCTION {table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; \
             CREATE TRIGGER guard BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}();"
        )
    };
    let sql = [
        format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}; "),
        table("generated", &generated),
        table("secured", COLUMNS),
        "ALTER TABLE secured ENABLE ROW LEVEL SECURITY; ALTER TABLE secured FORCE ROW LEVEL SECURITY;"
            .to_owned(),
        table("checked", &format!("{COLUMNS}, CHECK (region <> region)")),
        "CREATE TABLE regions (region text PRIMARY KEY);".to_owned(),
        table("referring", &COLUMNS.replace("region text", "region text REFERENCES regions")),
        table(
            "deferred",
            &COLUMNS.replace(
                "region text",
                "region text REFERENCES regions DEFERRABLE INITIALLY DEFERRED",
            ),
        ),
        table("emptied", COLUMNS) + &trigger("emptied", "RETURN NULL;"),
        table("raising", COLUMNS) + &trigger("raising", "RAISE EXCEPTION 'no rows here';"),
        table("changing", COLUMNS)
            + &trigger("changing", "NEW.region := 'elsewhere'; NEW.amount := 0; RETURN NEW;"),
        table("unique_part", &unique)
            + "CREATE TABLE unique_part_of PARTITION OF unique_part FOR VALUES IN (0); \
               INSERT INTO unique_part VALUES (1, '', '', 0, 0, now());",
        format!("ALTER TABLE secured OWNER TO {role}; ALTER TABLE emptied OWNER TO {role}"),
    ];
    database.execute(&sql.concat()).await;
}

/// Runs that must be refused, each against a table that something is wrong with.
#[tokio::test]
async fn what_the_server_refuses_for_certain_is_refused_before_anything_is_created() {
    let database = Database::create().await;
    let role = format!("{}_user", database.name);
    make_unfit_tables(&database, &role).await;
    let before = relations(&database, "public").await;
    let (superuser, owner) = (database.address(), database.address_of(&role));
    let disable = "disable it (ALTER TABLE … DISABLE TRIGGER …), name another table with --table";
    let choose = "choose values in the profile that the table allows, or drop what forbids them";
    let refers = "fill the table that it refers to, choose values in the profile that are there, or drop \
                  the foreign key";
    for (address, table, fact, fix) in [
        (
            &superuser,
            "generated",
            "column region is generated by the server, which takes no value for it",
            "name another table with --table",
        ),
        (
            &owner,
            "secured",
            &format!("row-level security holds for role {role}, and COPY does not work with it"),
            &format!(
                "as a superuser: ALTER ROLE {role} BYPASSRLS; or connect as the table's owner, for whom \
                 it holds only with FORCE ROW LEVEL SECURITY"
            ),
        ),
        (&superuser, "checked", "violates check constraint \"checked_region_check\"", choose),
        (&superuser, "referring", "violates foreign key constraint", refers),
        (&superuser, "deferred", "violates foreign key constraint", refers),
        (
            &superuser,
            "emptied",
            "3 of 3 rows are kept out by trigger guard on emptied",
            &format!("{disable}, or change its function"),
        ),
        (
            &superuser,
            "raising",
            "no rows here (SQLSTATE P0001)",
            "a trigger of the table refuses the row: disable it, or name another table with --table",
        ),
        (
            &superuser,
            "changing",
            "trigger guard on changing changes the values of amount, region",
            &format!("{disable}, or compare nothing with --audit count"),
        ),
        (
            &superuser,
            "unique_part",
            "duplicate key value violates unique constraint",
            "drop the constraint, choose values in the profile that keep it, or name another table with \
             --table",
        ),
    ] {
        let ended = short(address, &["--table", table]).await;
        assert_eq!(ended.code, Some(3), "{table}: {}", ended.stderr);
        assert!(ended.stderr.contains(fact), "{table}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("\n  fix: {fix}")), "{table}: {}", ended.stderr);
        assert_eq!(ended.stderr.matches("fix: ").count(), 1, "{table}: {}", ended.stderr);
        assert!(!ended.work().join("out").exists(), "{table}");
        assert_eq!(relations(&database, "public").await, before, "{table}");
    }
    // Who compares nothing may have rows changed.
    let ended = short(&superuser, &["--table", "changing", "--audit", "count"]).await;
    assert_eq!(ended.done()["stream"]["rows_found"], 300);
    let warned = "WARN trigger guard on changing runs before each row is inserted";
    assert!(ended.stderr.contains(warned), "{}", ended.stderr);
    // For whom it does not hold, row-level security is in nobody's way.
    database
        .execute(&format!(
            "ALTER TABLE secured NO FORCE ROW LEVEL SECURITY; GRANT USAGE ON SCHEMA strom_load TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON strom_load.lane TO {role}"
        ))
        .await;
    short(&owner, &["--table", "secured"]).await.done();
}

#[tokio::test]
async fn a_trigger_that_lets_rows_pass_is_mentioned_and_one_that_stops_later_ends_the_run() {
    let database = Database::create().await;
    database
        .execute(&format!(
            "CREATE TABLE some_rows ({COLUMNS}) PARTITION BY LIST (gpu_partition); \
             CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.id = 200 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER pass BEFORE INSERT ON some_rows FOR EACH ROW EXECUTE FUNCTION pass()"
        ))
        .await;
    let ended = short(&database.address(), &["--table", "some_rows", "--partitions", "1"]).await;
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("WARN trigger pass on some_rows runs"), "{}", ended.stderr);
    assert!(ended.stderr.contains("rows in a batch of"), "{}", ended.stderr);
    // The dry run leaves nothing behind: ids begin at 1.
    assert_eq!(database.number("SELECT min(id) FROM some_rows").await, 1);
}

const LABELS: &str = "[[stream.columns]]\nname = 'id'\ntype = 'bigint'\nvalues = 'row_id'\n\
    [[stream.columns]]\nname = 'p'\ntype = 'integer'\nvalues = 'partition'\n\
    [[stream.columns]]\nname = 'city'\ntype = 'text'\n\
    values = { label = { prefix = 'Zürich ', min = 1, max = 9 } }\n\
    [[stream.columns]]\nname = 'tag'\ntype = 'text'\n\
    values = { label = { prefix = '東京 ', min = 1, max = 9 } }\n\
    [[readers.queries]]\nname = 'q'\nsql = 'SELECT count(*) FROM {table}'\n\
    [[tables]]\nname = 'filled'\nrows = 10\n\
    columns = [{ name = 'tag', type = 'text', values = { label = { prefix = '東京 ', min = 1, max = 9 } } }]\n";

#[tokio::test]
async fn labels_that_the_encoding_lacks_are_named_with_their_column() {
    let database = Database::create().await;
    let latin = format!("{}_latin", database.name);
    database
        .execute(&format!(
            "CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        ))
        .await;
    let address = database
        .address()
        .replace(&format!("dbname={}", database.name), &format!("dbname={latin}"));
    let fault = "failed to use the database: column tag: LATIN1 has no characters for `東京 `\n  fix: use \
                 a database with encoding UTF8 (createdb -E UTF8 -T template0 NAME), or write labels in \
                 characters that this one has\n";
    for command in [&["run", "labels.toml", "--metrics-addr", "off"][..], &["fill", "labels.toml"]]
    {
        let folder = scratch();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::write(folder.path().join("work/labels.toml"), LABELS).unwrap();
        let args = [command, &["--database-url", &address]].concat();
        let ended = Program::start_in(folder, &args, &[]).end().await;
        assert_eq!(ended.code, Some(3), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.ends_with(fault), "{command:?}: {}", ended.stderr);
    }
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let client = connect_to(&shared().socket_dir, shared().port, &latin).await;
    assert_eq!(client.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 0);
}

/// PostgreSQL takes rows up to 1 GiB; so does the loader, and the audit compares them.
#[tokio::test]
async fn rows_of_hundreds_of_kilobytes_are_sent_and_read_back() {
    let database = Database::create().await;
    let profile = "warmup_s = 0\nduration_s = 1\n[stream]\ntable = 'wide'\nrows_per_s = 20\n\
        partitions = 2\n\
        [[stream.columns]]\nname = 'id'\ntype = 'bigint'\nvalues = 'row_id'\n\
        [[stream.columns]]\nname = 'p'\ntype = 'integer'\nvalues = 'partition'\n\
        [[stream.columns]]\nname = 'body'\ntype = 'text'\n\
        values = { text = { min_chars = 150_000, max_chars = 300_000 } }\n\
        [readers]\ncount = 0\n";
    let folder = scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    std::fs::write(folder.path().join("work/wide.toml"), profile).unwrap();
    let address = database.address();
    let args = ["run", "wide.toml", "--metrics-addr", "off", "--output", "out", "--database-url"];
    let ended = Program::start_in(folder, &[&args[..], &[&address]].concat(), &[]).end().await;
    let result = ended.done();
    assert_eq!(result["stream"]["rows_found"], 20);
    assert!(ended.stdout.contains("each acknowledged row is there as sent"), "{}", ended.stdout);
    let least = database.number("SELECT min(length(body)) FROM wide").await;
    assert!((150_000..=300_000).contains(&least), "{least}");
}

#[tokio::test]
async fn a_row_that_the_server_or_an_index_does_not_take_costs_no_table() {
    let database = Database::create().await;
    let columns = |count: usize, sql_type: &str, values: &str| {
        let column = |n| format!("{{ name = 'c{n}', type = '{sql_type}', values = {values} }}");
        (0..count).map(column).collect::<Vec<_>>().join(", ")
    };
    // 1,200 columns of 8 bytes are more than a page, and nothing in them can be moved out.
    let wide = columns(1_200, "bigint", "{ integer = { min = 1, max = 9 } }");
    let long = columns(1, "text", "{ text = { min_chars = 9_000, max_chars = 9_000 } }");
    let index = "indexes = [{ name = 'i', columns = ['c0'] }]\n";
    for (table, fact, fix) in [
        (
            format!("rows = 10\ncolumns = [{wide}]\n"),
            "row is too big",
            "declare fewer or shorter columns",
        ),
        (
            format!("rows = 10\ncolumns = [{long}]\n{index}"),
            "index row requires 9016 bytes",
            "or leave the index out",
        ),
    ] {
        let folder = scratch();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let profile = format!("[[tables]]\nname = 't'\n{table}");
        std::fs::write(folder.path().join("work/t.toml"), profile).unwrap();
        let address = database.address();
        let args = ["fill", "t.toml", "--database-url", &address];
        let ended = Program::start_in(folder, &args, &[]).end().await;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(fact) && ended.stderr.contains(fix), "{}", ended.stderr);
        assert_eq!(relations(&database, "public").await, [""; 0]);
    }
}

/// A mistake in a query leads to its place in the profile, whichever job it is for.
#[tokio::test]
async fn a_fault_in_sql_is_shown_in_the_profile() {
    let database = Database::create().await;
    let stream = "name = 'typo'\n[stream]\nrows_per_s = 10\n\n[[readers.queries]]\nname = 'sums'\n\
                  sql = \"\"\"\nSELECT region,\n       sum(amuont)\nFROM {table} GROUP BY 1\"\"\"\n";
    let bench = "[bench]\n[[bench.queries]]\nname = 'missing'\nsql = 'SELECT * FROM nowhere'\n";
    let sweep = format!("{bench}[[sweep.settings]]\nname = 'work_mem'\nvalues = ['1MB', '2MB']\n");
    let age = "[stream]\nrows_per_s = 10\n[[readers.queries]]\nname = 'age'\n\
               newest_column = 'newest'\nsql = 'SELECT max(id) AS newest FROM {table}'\n";
    let missing = "error: query `missing`: failed to prepare the query: relation \"nowhere\" does not \
                   exist (SQLSTATE 42P01)\n  fix: correct the name, or make the table ready: \
                   `[[tables]]` in the profile fills one\n  --> p.toml:4\n  \
                   4 | SELECT * FROM nowhere\n    |               ^\n";
    for (profile, said) in [
        (
            stream,
            "error: query `sums`: failed to prepare the query: column \"amuont\" does not exist \
             (SQLSTATE 42703)\n  hint (server): Perhaps you meant to reference the column \
             \"l40s_realtime_stream.amount\".\n  fix: correct the query\n  --> p.toml:9\n  \
             9 |        sum(amuont)\n    |            ^\n",
        ),
        (bench, missing),
        (&sweep, missing),
        (
            age,
            "error: query `age`: failed to prepare the query: its answer has no timestamptz column \
             `newest`\n  fix: name a column of the SELECT list in `newest_column`, or leave it out\n  \
             --> p.toml:6\n",
        ),
    ] {
        let folder = scratch();
        std::fs::create_dir(folder.path().join("work")).unwrap();
        std::fs::write(folder.path().join("work/p.toml"), profile).unwrap();
        let address = database.address();
        let args = ["run", "p.toml", "--metrics-addr", "off", "--output", "out", "--database-url"];
        let ended = Program::start_in(folder, &[&args[..], &[&address]].concat(), &[]).end().await;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.ends_with(said), "{}\n{said}", ended.stderr);
        assert!(!ended.work().join("out").exists());
        assert_eq!(relations(&database, "public").await, [""; 0]);
    }
}

/// As a secret of Kubernetes brings it: nobody sees the line end, and it is no part of the name.
#[tokio::test]
async fn line_ends_and_blanks_around_an_address_are_no_part_of_it() {
    let database = Database::create().await;
    let url = database.url(&format!("postgres:{}", shared().password));
    for around in [("", "\r"), ("", "\r\n"), (" \t", " \n"), ("\u{feff}", "\n")] {
        let url = format!("{}{url}{}", around.0, around.1);
        let env = [("DATABASE_URL", url.as_str())];
        let ended = Program::start_in(scratch(), &SHORT, &env).end().await;
        assert_eq!(ended.done()["stream"]["rows_acknowledged"], 300, "{around:?}");
    }
    let (host, port) = (shared().socket_dir.display().to_string(), format!("{}\n", shared().port));
    let name = format!("{}\r\n", database.name);
    let env = [
        ("PGHOST", host.as_str()),
        ("PGPORT", &port),
        ("PGDATABASE", &name),
        ("PGUSER", "postgres\n"),
    ];
    Program::start_in(scratch(), &SHORT, &env).end().await.done();
}

/// Producers are other sessions than the one that makes the table.
#[tokio::test]
async fn a_temporary_table_is_refused_before_the_run() {
    let database = Database::create().await;
    let args = ["--table", "pg_temp.x", "--rate", "100", "--duration", "1s", "--readers", "0"];
    let ended = Program::run(&database, &args).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let fact = "it is a temporary table, which only the session that made it sees\n  fix: ";
    assert!(ended.stderr.contains(fact), "{}", ended.stderr);
}

/// The log says of a dropped table only what is so for good.
#[tokio::test]
async fn a_table_that_is_not_dropped_after_all_is_not_said_to_be() {
    let database = Database::create().await;
    let args = ["--rate", "300", "--readers", "0", "--warmup", "0s", "--duration", "1s"];
    Program::run(&database, &args).end().await.done();
    let folder = scratch();
    let path = folder.path().join("bad.toml");
    let bad =
        "[stream]\n[readers]\n[[readers.queries]]\nname = 'q'\nsql = 'SELECT nope FROM {table}'\n";
    fs::write(&path, bad).unwrap();
    let (path, address) = (path.display().to_string(), database.address());
    let args = ["run", &path, "--recreate", "--database-url", &address, "--metrics-addr", "off"];
    let ended = Program::start(&args).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(!ended.stderr.contains("is dropped for --recreate"), "{}", ended.stderr);
    assert_eq!(database.number("SELECT count(*) FROM l40s_realtime_stream").await, 300);
    let args =
        ["--recreate", "--rate", "300", "--readers", "0", "--warmup", "0s", "--duration", "1s"];
    let ended = Program::run(&database, &args).end().await;
    ended.done();
    let said = "is dropped for --recreate: made by strom-load, 300 rows";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

/// A name behind a blank is no value of `--recreate`, and is not lost in silence.
#[tokio::test]
async fn the_name_behind_recreate_stands_behind_an_equals_sign() {
    let said = "a table to drop stands behind `=`: --recreate=shop";
    for args in [&["--recreate", "shop", "--rate", "5"][..], &["run", "--recreate", "shop"]] {
        let ended = Program::start(args).end().await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}
