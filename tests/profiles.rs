//! Profiles as the command line takes them: by file or by name, and what is no profile at all.

use strom_load::plan::BUILTINS;

use crate::support::{Database, Program, scratch};
use crate::usage::Transcript;

/// Text that is no TOML, a fault a line.
const PROSE: &str = "# Profiles\n\nA profile says what is streamed, and who reads beside it.\n\
                     Every key has a default, so it may be short.\n\nThe keys are in a table.\n";

#[tokio::test]
async fn what_is_no_profile_is_one_fault() {
    let mut transcript = Transcript::new();
    let utf16: Vec<u8> = "\u{feff}[stream]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = vec![b'#'; (16 << 20) + 1];
    let long = format!("x = [{}}}\n", " ".repeat(70_000));
    let page = "<p class=\"x\">para 0</p>\n".repeat(40);
    let script = "export A0=b; foo \"$x\" | bar\n".repeat(40);
    let ini = "x0 = y\nport = 5 ; c\n".repeat(40);
    let files: [(&str, &[u8]); 10] = [
        ("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"),
        ("utf-16.toml", &utf16),
        ("latin-1.toml", b"name = 'x'\n# caf\xe9\n"),
        ("readme.md", PROSE.as_bytes()),
        ("page.html", page.as_bytes()),
        ("script.sh", script.as_bytes()),
        ("settings.ini", ini.as_bytes()),
        ("large.toml", &large),
        ("folder/x.toml", b""),
        ("long.toml", long.as_bytes()),
    ];
    for (name, _) in &files {
        let name = name.split('/').next().unwrap();
        transcript.refuse_among(&files, &["check", name], &[]).await;
    }
    for name in ["/dev/zero", "-", "missing.toml", "groupby", "nonsense"] {
        transcript.refuse(&["check", name]).await;
    }
    // All that is wrong with all of them, and what is wrong with the call once.
    transcript
        .refuse_in(&[], &["check", "groupby", "basic", "windows", "--pairs-min", "0"], &[])
        .await;
    insta::assert_snapshot!(transcript.text);
}

const TABLES: &str = "[[tables]]\nname = 't'\nrows = 10\n\
                      columns = [{ name = 'id', type = 'bigint', values = 'row_id' }]\n";

#[tokio::test]
async fn rows_are_shown_as_they_would_be_sent() {
    let folder = scratch();
    let path = folder.path().join("tables.toml");
    std::fs::write(&path, TABLES).unwrap();
    let args = ["check", path.to_str().unwrap(), "--show-rows", "3"];
    let of_table = Program::start_in(folder, &args, &[]).end().await;
    assert_eq!((of_table.code, of_table.stdout.as_str()), (Some(0), "id\n1\n2\n3\n"));
    let args = ["check", "--show-rows", "4", "--partitions", "2", "--seed", "42", "--rate", "4"];
    let of_stream = Program::start_in(scratch(), &args, &[]).end().await;
    let mut lines = of_stream.stdout.lines();
    assert_eq!(lines.next(), Some("id,category,region,amount,gpu_partition,created_at"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let roles: Vec<_> = rows.iter().map(|row| (row[0], row[4])).collect();
    assert_eq!(roles, [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]);
    for row in &rows {
        assert!(row[1].starts_with("category_") && row[2].starts_with("region_"), "{row:?}");
        let (_, cents) = row[3].split_once('.').unwrap();
        assert!(cents.len() == 2 && row[5].ends_with("+00"), "{row:?}");
    }
}

#[tokio::test]
async fn what_the_call_has_no_use_for_is_refused() {
    let mut transcript = Transcript::new();
    let files = [("empty.toml", ""), ("seed.toml", "seed = 7\n"), ("tables.toml", TABLES)];
    for file in ["empty.toml", "seed.toml", "tables.toml"] {
        transcript.refuse_in(&files, &["run", file], &[]).await;
    }
    for args in [
        &["run", "basic", "--rate", "5000", "--partitions", "7", "--duration", "3s"][..],
        &["run", "basic", "windows", "--audit", "off"],
        &["run", "realtime", "basic", "--allow-alter-system"],
        &["--precision", "1%", "--order", "sequential", "--scale", "0.1"],
        &["run", "tuning-cpu", "--query-time", "1s", "--pairs-min", "3"],
        &["--metrics-addr", "off", "--metrics-linger", "1m"],
        &["check", "basic", "--table", "elsewhere"],
        &["--recreate=shop.orders"],
        &["--seed", "-1"],
        &["--database-url", ""],
        &["fill", "basic", "--database-url", " "],
        &["doctor", "--pg-set", "fsync=off"],
    ] {
        transcript.refuse(args).await;
    }
    let started = ["--pg-set", "fsync=off", "--data-dir", "pg", "--install-postgres"];
    let given = ["--database-url", "host=localhost port=1 user=nobody", "--pg-bindir", "/nosuch"];
    transcript.refuse(&[&started[..], &given].concat()).await;
    // Named by the environment: the folder would not be used.
    let env = [("PGHOST", "localhost"), ("PGPORT", "1")];
    transcript.refuse_in(&[], &["--data-dir", "pg"], &env).await;
    transcript.refuse_in(&[], &["fill", "basic", "--data-dir", "pg"], &env).await;
    insta::assert_snapshot!(transcript.text);
}

#[tokio::test]
async fn the_tables_of_a_streams_profile_are_filled_before_it() {
    let database = Database::create().await;
    let query = "[[readers.queries]]\nname = 'joined'\n\
                 sql = 'SELECT count(*) FROM {table} s JOIN t ON t.id = s.id'\n";
    let profile = format!("warmup_s = 0\nduration_s = 1\n[stream]\n{query}{TABLES}");
    let folder = scratch();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    std::fs::write(folder.path().join("work/joined.toml"), profile).unwrap();
    let args = ["run", "joined.toml", "--scale", "0.5", "--metrics-addr", "off", "--output", "out"];
    let address = database.address();
    let args = [&args[..], &["--database-url", &address]].concat();
    let result = Program::start_in(folder, &args, &[]).end().await.done();
    assert_eq!(result["queries"][0]["errors"], serde_json::json!({}));
    assert_eq!(database.number("SELECT count(*) FROM t").await, 5);
}

/// What a call that is right says beside its result.
async fn said(args: &[&str], env: &[(&str, &str)]) -> String {
    let ended = Program::start_in(scratch(), args, env).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stderr
}

#[tokio::test]
async fn what_only_a_part_of_the_call_has_a_use_for_is_noted() {
    let note = "note: `--rate` has no meaning for a benchmark: so not for basic, windows\n";
    assert_eq!(said(&["check", "basic", "realtime", "windows", "--rate", "5"], &[]).await, note);
    let note = "note: `STROM_LOAD_RATE` has no meaning for a benchmark\n";
    let env = [("STROM_LOAD_RATE", "5")];
    assert_eq!(said(&["check", "basic"], &env).await, note);
    // It is set for other calls; this one has a use for it.
    assert_eq!(said(&["check", "basic", "realtime"], &env).await, "");
}

#[tokio::test]
async fn what_is_about_several_profiles_is_refused_for_one() {
    let one = ["run", "realtime", "--database-url", "host=127.0.0.1 port=1 user=me"];
    let run = async |more: &[&str], env: &[(&str, &str)]| {
        Program::start_in(scratch(), &[&one, more].concat(), env).end().await
    };
    for (flags, name) in
        [(&["--fail-fast"][..], "--fail-fast"), (&["--cooldown", "1s"], "--cooldown")]
    {
        let ended = run(flags, &[]).await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let said = format!("error: `{name}` has no meaning for one profile\n");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(ended.stderr.contains("fix: leave it out, or name several"), "{}", ended.stderr);
    }
    // A variable may be set for other calls.
    let ended = run(&[], &[("STROM_LOAD_COOLDOWN", "1s")]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let note = "INFO `STROM_LOAD_COOLDOWN` has no meaning for one profile\n";
    assert_eq!(ended.stderr.matches(note).count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn fill_notes_the_variables_that_are_for_other_subcommands() {
    let env = [("STROM_LOAD_RATE", "5"), ("STROM_LOAD_SEED", "7"), ("STROM_LOAD_AUDIT", "off")];
    let fill = ["fill", "basic", "--database-url", "host=127.0.0.1 port=1 user=me"];
    let ended = Program::start_in(scratch(), &fill, &env).end().await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let notes: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("note: ")).collect();
    let note = |name: &str| format!("note: `STROM_LOAD_{name}` has no meaning for fill");
    assert_eq!(notes, [note("AUDIT"), note("RATE")]);
}

#[tokio::test]
async fn a_variable_that_nobody_knows_is_a_warning() {
    let env = [
        ("STROM_LOAD_RTAE", "5"),
        ("STROM_LOAD_SERVICE_HOST", "10.0.0.1"),
        ("STROM_LOAD_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
    ];
    let warning = " WARN `STROM_LOAD_RTAE` is no variable of strom-load; did you mean \
                   `STROM_LOAD_RATE`?\n";
    assert_eq!(said(&["check"], &env).await, warning);
}

#[tokio::test]
async fn the_built_in_profiles_are_listed() {
    let list = |format: &'static str| async move {
        let ended = Program::start(&["profiles", "--format", format]).end().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        ended.stdout
    };
    let text = list("text").await;
    insta::assert_snapshot!(text);
    let json: serde_json::Value = serde_json::from_str(&list("json").await).unwrap();
    let listed = json["profiles"].as_array().unwrap();
    assert_eq!(listed.len(), BUILTINS.len());
    for (number, (name, _)) in BUILTINS.iter().enumerate() {
        assert_eq!(listed[number]["name"], *name);
        assert!(text.contains(listed[number]["description"].as_str().unwrap()), "{name}");
        // What check prints names it too.
        let ended = Program::start(&["check", name]).end().await;
        assert!(ended.stdout.contains("description = "), "{name}: {}", ended.stdout);
    }
    let help = Program::start(&["run", "--help"]).end().await.stdout;
    assert!(BUILTINS.iter().all(|(name, _)| help.contains(name)), "{help}");
}
