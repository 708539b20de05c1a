//! Servers as they are met in the field: TLS with good and bad certificates, passwords from every
//! place, several hosts.

mod authority;
mod secured;

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::pg::{Address, Error, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Ended, PATIENCE, Program, ask, connect, scratch};
use authority::Authority;
use secured::Secured;

/// A password that must show nowhere.
const SECRET: &str = "s3cr:t-Pässw\\ord";

async fn open(text: &str) -> Result<Session, Error> {
    let address = Address::parse(text, "DATABASE_URL", &|_| None);
    Session::as_configured(&address.unwrap_or_else(|error| panic!("{text}: {error}")), "test").await
}

/// How a connection went: encrypted, plain, or why not.
async fn outcome(text: &str) -> String {
    match Address::parse(text, "DATABASE_URL", &|_| None) {
        Err(error) => format!("refused: {error}"),
        Ok(address) => match Session::as_configured(&address, "test").await {
            Err(error) => {
                let error = error.to_string();
                let (_, said) = error.split_once("postgres: ").unwrap_or(("", &error));
                said.to_owned()
            }
            Ok(mut session) => {
                let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                let ssl = session.text("look at pg_stat_ssl", sql).await.unwrap();
                session.close().await;
                (if ssl.as_deref() == Some("t") { "encrypted" } else { "plain" }).to_owned()
            }
        },
    }
}

#[tokio::test]
async fn modes_and_certificates() {
    let dir = scratch();
    let server = Secured::start().await;
    let (good, other) = (Authority::new("good"), Authority::new("other"));
    let (good_root, other_root) = (dir.path().join("good.crt"), dir.path().join("other.crt"));
    fs::write(&good_root, good.pem()).unwrap();
    fs::write(&other_root, other.pem()).unwrap();
    let mut told = String::new();
    let own = Authority::own("db.test");
    let own_root = dir.path().join("own.crt");
    fs::write(&own_root, &own.certificate).unwrap();
    let certificates = [
        ("good", good.issue("x", &["db.test", "127.0.0.1"])),
        ("named in the subject alone", good.issue("db.test", &[])),
        ("of another host", good.issue("x", &["elsewhere.test"])),
        ("expired", good.issue_expired("db.test")),
        ("its own root", own),
    ];
    for (name, certificate) in certificates {
        server.present(&certificate).await;
        writeln!(told, "== certificate {name}").unwrap();
        for (root_name, root) in [
            ("no root", None),
            ("its CA", Some(if name == "its own root" { &own_root } else { &good_root })),
            ("another CA", Some(&other_root)),
        ] {
            for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
                if root.is_some() && ["disable", "allow"].contains(&mode) {
                    continue;
                }
                let mut text = server.text("host=db.test");
                write!(text, " sslmode={mode}").unwrap();
                if let Some(root) = root {
                    write!(text, " sslrootcert={}", root.display()).unwrap();
                }
                let said = outcome(&text).await;
                let fact = said.lines().next().unwrap();
                writeln!(told, "{root_name}, {mode}: {fact}").unwrap();
            }
        }
    }
    // By its address, without a name.
    server.present(&good.issue("x", &["127.0.0.1"])).await;
    let text =
        server.text("") + &format!(" sslmode=verify-full sslrootcert={}", good_root.display());
    assert_eq!(outcome(&text).await, "encrypted");
    let not_root = format!("{text} sslrootcert={}", server.data_dir().join("PG_VERSION").display());
    let said = outcome(&not_root).await;
    assert!(said.contains("has no certificate"), "{said}");
    server.execute("ALTER SYSTEM SET ssl = off").await;
    server.reload("SHOW ssl", "off").await;
    for mode in ["prefer", "require"] {
        let said = outcome(&(server.text("host=db.test") + " sslmode=" + mode)).await;
        writeln!(told, "== server without TLS, {mode}: {}", said.lines().next().unwrap()).unwrap();
    }
    insta::assert_snapshot!(told);
    server.stop().await;
}

#[tokio::test]
async fn pg_hba_decides_between_encrypted_and_plain() {
    let server = Secured::start().await;
    let authority = Authority::new("good");
    server.present(&authority.issue("x", &["db.test"])).await;
    let mut told = String::new();
    for lines in ["hostssl all all all trust", "hostnossl all all all trust", ""] {
        server.admit(lines).await;
        for mode in ["disable", "allow", "prefer", "require"] {
            let said = outcome(&(server.text("host=db.test") + " sslmode=" + mode)).await;
            let said = said.replace('\n', "\n   ");
            writeln!(told, "{lines:?}, {mode}: {said}").unwrap();
        }
    }
    insta::assert_snapshot!(told);
    server.stop().await;
}

#[tokio::test]
async fn client_certificates() {
    let dir = scratch();
    let server = Secured::start().await;
    let (good, other) = (Authority::new("good"), Authority::new("other"));
    server.present(&good.issue("x", &["db.test"])).await;
    server.trust_clients_of(&good).await;
    server.admit("hostssl all all all cert").await;
    let base = server.text("host=db.test") + " sslmode=require";
    let mut told = format!("none: {}\n", outcome(&base).await);
    for (name, certificate) in [
        ("good", good.issue("postgres", &[])),
        ("of another role", good.issue("ann", &[])),
        ("of another CA", other.issue("postgres", &[])),
        ("expired", good.issue_expired("postgres")),
    ] {
        let (crt, key) = (dir.path().join("c.crt"), dir.path().join("c.key"));
        fs::write(&crt, &certificate.certificate).unwrap();
        fs::write(&key, &certificate.key).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let text = format!("{base} sslcert={} sslkey={}", crt.display(), key.display());
        writeln!(told, "{name}: {}", outcome(&text).await).unwrap();
    }
    insta::assert_snapshot!(told);
    server.stop().await;
}

/// A proxy that notes what each connection asks for first: TLS, or anything else.
async fn first_requests(server_port: u16) -> (u16, tokio::sync::mpsc::UnboundedReceiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (note, noted) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let note = note.clone();
            tokio::spawn(async move {
                let mut head = [0; 8];
                client.read_exact(&mut head).await.unwrap();
                note.send(u32::from_be_bytes(head[4..].try_into().unwrap())).unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
                server.write_all(&head).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, noted)
}

#[tokio::test]
async fn a_cancel_request_is_encrypted_too() {
    const SSL_REQUEST: u32 = 80_877_103;
    let server = Secured::start().await;
    let authority = Authority::new("good");
    server.present(&authority.issue("x", &["db.test"])).await;
    let (port, mut noted) = first_requests(server.port()).await;
    let text = server.text("host=db.test").replace(&server.port().to_string(), &port.to_string());
    let mut session = open(&(text + " sslmode=require")).await.unwrap();
    let canceller = session.canceller();
    let began = Instant::now();
    let (slept, ()) = tokio::join!(session.execute("sleep", "SELECT pg_sleep(30)"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        canceller.cancel().await;
    });
    assert_eq!(slept.unwrap_err().sqlstate(), Some("57014"));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!([noted.recv().await, noted.recv().await], [Some(SSL_REQUEST), Some(SSL_REQUEST)]);
    session.close().await;
    server.stop().await;
}

/// A loader's end, and that the secret is nowhere in what it wrote.
async fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let home = dir.display().to_string();
    let mut all = vec!["--duration", "300ms", "--warmup", "0s", "--readers", "0"];
    all.extend(["--metrics-addr", "127.0.0.1:0", "--output", "out", "--verbose"]);
    all.extend(args);
    let env = [env, &[("HOME", &*home)]].concat();
    let program = Program::start_in(scratch(), &all, &env);
    let typed = fs::read(format!("/proc/{}/cmdline", program.pid().as_raw_nonzero())).unwrap();
    let mut served = String::new();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && served.is_empty() && !program.stderr().contains("error:") {
        let stderr = program.stderr();
        let Some((_, rest)) = stderr.split_once("metrics at http://") else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let address = rest.split('/').next().unwrap();
        let Ok(mut stream) = TcpStream::connect(address).await else { break };
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = stream.read_to_string(&mut served).await;
    }
    let ended = program.end().await;
    let saved = fs::read_to_string(ended.work().join("out/result.json")).unwrap_or_default();
    let typed = String::from_utf8_lossy(&typed);
    for text in [&ended.stdout, &ended.stderr, &saved, &served, &*typed] {
        assert!(!text.contains(SECRET) && !text.contains("s3cr"), "{text}");
    }
    ended
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_password_from_every_place_and_shown_in_none() {
    let home = scratch();
    let dir = home.path();
    let server = Secured::start().await;
    let authority = Authority::new("good");
    server.present(&authority.issue("x", &["localhost"])).await;
    server.execute(&format!("CREATE ROLE ann SUPERUSER LOGIN PASSWORD '{SECRET}'")).await;
    server.admit("hostssl all all all scram-sha-256").await;
    let root = dir.join("root.crt");
    fs::write(&root, authority.pem()).unwrap();
    let port = server.port();
    // With SCRAM bound to the TLS connection, so that nobody sits in between.
    let base = format!(
        "host=localhost hostaddr=127.0.0.1 port={port} user=ann dbname=postgres \
         sslmode=verify-full sslrootcert={} channel_binding=require",
        root.display()
    );
    let given = ["--database-url", &base];
    let escaped = SECRET.replace('\\', r"\\").replace(':', r"\:");
    let quoted = SECRET.replace('\\', r"\\");
    let in_text = format!("{base} password='{quoted}'");
    let line = format!("localhost:{port}:*:ann:{escaped}\n");
    let path = |name: &str| dir.join(name).display().to_string();
    write_private(&dir.join("pass"), &line);
    write_private(&dir.join("secret"), &format!("{SECRET}\n"));
    write_private(&dir.join("services"), &format!("[db]\nuser=ann\npassword={SECRET}\n"));
    let passfile = format!("{base} passfile={}", path("pass"));
    let service = format!("{base} service=db").replace(" user=ann", "");
    for (args, env) in [
        (&given[..], &[("PGPASSWORD", SECRET)][..]),
        (&given, &[("PGPASSFILE", &path("pass"))]),
        (&["--database-url", &passfile], &[]),
        (&["--database-url", &base, "--password-file", &path("secret")], &[("PGPASSWORD", "x")]),
        (&given, &[("STROM_LOAD_PASSWORD_FILE", &path("secret"))]),
        (&["--database-url", &service], &[("PGSERVICEFILE", &path("services"))]),
        (&[], &[("DATABASE_URL", &in_text)]),
    ] {
        let ended = run(dir, args, env).await;
        assert_eq!(ended.code, Some(0), "{args:?} {env:?}\n{}", ended.stderr);
    }
    // The usual passfile, first open to others, then closed.
    let own = dir.join(".pgpass");
    fs::write(&own, &line).unwrap();
    fs::set_permissions(&own, Permissions::from_mode(0o644)).unwrap();
    let ended = run(dir, &given, &[]).await;
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stderr.matches("is ignored: others can read it (mode 0644)").count(), 2);
    assert!(ended.stderr.contains("password missing"), "{}", ended.stderr);
    write_private(&own, &line);
    assert_eq!(run(dir, &given, &[]).await.code, Some(0));
    // What is wrong, with each fix.
    let ended = run(dir, &given, &[("PGPASSWORD", "s3cr")]).await;
    assert!(ended.stderr.contains("28P01"), "{}", ended.stderr);
    fs::set_permissions(dir.join("secret"), Permissions::from_mode(0o644)).unwrap();
    let ended = run(dir, &[&given[..], &["--password-file", &path("secret")]].concat(), &[]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("others can read it (mode 0644)\n  fix: chmod 600"));
    server.stop().await;
}

#[tokio::test]
async fn of_several_hosts_the_one_that_takes_writes() {
    let read_only = ServerOptions {
        settings: vec![("default_transaction_read_only".to_owned(), "on".to_owned())],
        ..ServerOptions::default()
    };
    let plain = ServerOptions::default();
    let (main, reading) = tokio::join!(Server::start(&plain), Server::start(&read_only));
    let (main, reading) = (main.unwrap(), reading.unwrap());
    let down = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let socket = |server: &Server| server.socket_dir().display().to_string();
    let of = |first: &str, second: &str, ports: [u16; 2]| {
        let [a, b] = ports;
        format!("host={first},{second} port={a},{b} user=postgres dbname=postgres")
    };
    let port_of = async |text: &str| {
        let mut session = open(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let port = session.text("ask for the port", "SHOW port").await.unwrap().unwrap();
        session.close().await;
        port
    };
    let text = of("127.0.0.1", &socket(&main), [down, main.port()]);
    assert_eq!(port_of(&text).await, main.port().to_string());
    let text = of(&socket(&reading), &socket(&main), [reading.port(), main.port()]);
    for (attributes, server) in [
        ("", &main),
        (" target_session_attrs=any", &reading),
        (" target_session_attrs=read-write", &main),
        (" target_session_attrs=read-only", &reading),
        (" target_session_attrs=primary", &reading),
        (" target_session_attrs=prefer-standby", &reading),
    ] {
        let port = port_of(&format!("{text}{attributes}")).await;
        assert_eq!(port, server.port().to_string(), "{attributes}");
    }
    for _ in 0..4 {
        let text = format!("{text} load_balance_hosts=random");
        assert_eq!(port_of(&text).await, main.port().to_string());
    }
    let shown = |error: Error| {
        let hidden = [
            (socket(&reading), "READING"),
            (reading.port().to_string(), "1"),
            (down.to_string(), "2"),
        ];
        hidden.iter().fold(error.to_string(), |text, (what, shown)| text.replace(what, shown))
    };
    let text = of("127.0.0.1", &socket(&reading), [down, reading.port()]);
    let mut told = shown(open(&text).await.map(drop).unwrap_err());
    let standby = format!("{text} target_session_attrs=standby");
    let second = shown(open(&standby).await.map(drop).unwrap_err());
    write!(told, "\n{second}").unwrap();
    insta::assert_snapshot!(told);
    main.stop().await.unwrap();
    reading.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for mode in ["disable", "require"] {
        let text =
            format!("host=127.0.0.1 port={port} user=u dbname=d connect_timeout=1 sslmode={mode}");
        let began = Instant::now();
        let error = open(&text).await.map(drop).unwrap_err();
        assert!(error.is_lost() && error.to_string().contains("no answer within 1s"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
