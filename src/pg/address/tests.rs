//! Tests of addresses put together from texts, variables and files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn parse(text: &str) -> Result<Address, String> {
    Address::parse(text, "DATABASE_URL", &none).map_err(|error| error.to_string())
}

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Address, String> {
    let env = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Address::parse(text, "DATABASE_URL", &env).map_err(|error| error.to_string())
}

fn passwords(address: &Address) -> Vec<Option<&str>> {
    address.hosts.iter().map(|host| host.password.as_ref().map(Secret::expose)).collect()
}

#[test]
fn a_password_is_never_shown() {
    let text = "postgresql://me:hunter2@db.example:6000/sales";
    let address = parse(text).unwrap();
    assert_eq!(address.to_string(), "postgresql://me@db.example:6000/sales");
    assert!(address.has_password() && address.password_is_in_text());
    assert!(
        !format!("{address:?} {:?}", address.config(&address.hosts[0], "x")).contains("hunter2")
    );
    for text in [
        "postgresql://me:hunter2@h:99999/x",
        "password=hunter2 port=x",
        "hunter2",
        "postgresql://me:p/hunter2@h",
        "postgresql://me:hunter2,x=@h:y",
        "host=h password=a sslmode=hunter2",
    ] {
        let error = parse(text).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn variables_fill_what_the_text_leaves_open() {
    let variables = [("PGUSER", "ann"), ("PGPORT", "7000"), ("PGPASSWORD", "s")];
    let address = with("host=h", &variables).unwrap();
    assert_eq!(address.to_string(), "postgresql://ann@h:7000/ann");
    assert!(address.has_password() && !address.password_is_in_text());
    assert_eq!(address.connect_timeout, Some(CONNECT_TIMEOUT));
    // As for psql: zero waits as long as it takes.
    let patient = with("host=h user=u", &[("PGCONNECT_TIMEOUT", "0")]).unwrap();
    assert_eq!(patient.connect_timeout, None);
    let env = |name: &str| (name == "PGPORT").then(|| "7000".to_owned());
    let address = Address::from_env(&env).unwrap().unwrap();
    assert!(address.to_string().contains(":7000/"), "{address}");
    assert!(Address::from_env(&none).unwrap().is_none());
}

#[test]
fn a_bad_value_is_named_with_its_place() {
    let env = |name: &str| (name == "PGPORT").then(|| "x".to_owned());
    let error = Address::from_env(&env).unwrap_err();
    insta::assert_snapshot!(error, @"
    environment variable PGPORT: `x` is not a port number
      fix: write a number from 1 to 65535
    ");
    let faults = [
        "sslmode=on",
        "host=h sslcrl=x",
        "host=a,b port=1,2,3",
        "host=a,b hostaddr=127.0.0.1",
        "hostaddr=localhost",
        "host=@x",
        "connect_timeout=soon",
        "host=h sslrootcert=system sslmode=require",
        "host=h sslmode=verify-full",
        "host=h sslmode=require sslrootcert=/nowhere",
        "host=h sslnegotiation=direct",
        "service=x",
        "postgresql://h?hots=x",
    ];
    let said: Vec<String> = faults.iter().map(|text| parse(text).unwrap_err()).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn hosts_ports_and_addresses_go_together() {
    let shown = |text: &str| parse(text).unwrap().to_string();
    assert_eq!(shown("user=u host=a,b port=1,2"), "postgresql://u@a:1,b:2/u");
    assert_eq!(shown("user=u host=a,/s,::1 port=7"), "postgresql://u@a:7,[/s]:7,[::1]:7/u");
    assert_eq!(shown("postgresql://u@a,b:6"), "postgresql://u@a:5432,b:6/u");
    assert_eq!(shown("user=u hostaddr=10.0.0.1,10.0.0.2"), shown("user=u host=10.0.0.1,10.0.0.2"));
    let named = parse("user=u host=a hostaddr=10.0.0.1").unwrap();
    assert_eq!(named.to_string(), "postgresql://u@a:5432/u");
    let address = Some("10.0.0.1".parse().unwrap());
    assert_eq!(named.hosts[0].host, Host::Tcp { name: "a".to_owned(), address });
    assert!(parse("user=u").unwrap().hosts[0].host.is_socket());
}

#[test]
fn options_reach_the_client_library() {
    let address = parse(
        "host=h user=u options='-c a=b' keepalives_idle=7 keepalives_interval=8 \
         keepalives_count=9 tcp_user_timeout=10 channel_binding=require connect_timeout=3 \
         load_balance_hosts=random target_session_attrs=any application_name=x",
    );
    let address = address.unwrap();
    let config = address.config(&address.hosts[0], "strom-load");
    assert_eq!(config.get_options(), Some("-c a=b"));
    assert_eq!(config.get_application_name(), Some("strom-load"));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(7));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(8)));
    assert_eq!(config.get_keepalives_retries(), Some(9));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(10)));
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(address.connect_timeout, Some(Duration::from_secs(3)));
    assert!(address.shuffle && address.target == Target::Any);
    assert_eq!(parse("host=h user=u").unwrap().target, Target::ReadWrite);
    assert_eq!(parse("host=h user=u connect_timeout=0").unwrap().connect_timeout, None);
    assert_eq!(parse("host=h user=u").unwrap().connect_timeout, Some(CONNECT_TIMEOUT));
}

#[test]
fn silence_is_limited_unless_the_user_leaves_it_to_the_system() {
    let limits = |text: &str| {
        let address = parse(&format!("host=h user=u {text}")).unwrap();
        let config = address.config(&address.hosts[0], "strom-load");
        let (idle, interval) = (config.get_keepalives_idle(), config.get_keepalives_interval());
        let timeout = config.get_tcp_user_timeout().copied();
        (config.get_keepalives(), idle, interval, config.get_keepalives_retries(), timeout)
    };
    let s = Duration::from_secs;
    assert_eq!(limits(""), (true, s(5), Some(s(5)), Some(3), Some(s(20))));
    let zeros = "keepalives_idle=0 keepalives_interval=0 keepalives_count=0 tcp_user_timeout=0";
    assert_eq!(limits(zeros), (true, s(7_200), None, None, None));
    assert!(!limits("keepalives=0").0);
}

#[test]
fn each_host_has_its_password_from_the_passfile() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    fs::write(&file, "a:1:*:u:pa\nlocalhost:*:*:u:pl\n/s:1:*:u:ps\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let home = home.path().to_str().unwrap();
    let address = with("user=u host=a,b,/s,localhost, port=1", &[("HOME", home)]).unwrap();
    assert_eq!(passwords(&address), [Some("pa"), None, Some("ps"), Some("pl"), Some("pl")]);
    // In front of it: a variable, and before that the text.
    let variables = [("HOME", home), ("PGPASSWORD", "pv")];
    let address = with("user=u host=a port=1", &variables).unwrap();
    assert_eq!(passwords(&address), [Some("pv")]);
    let address = with("user=u host=a port=1 password=pt", &variables).unwrap();
    assert_eq!(passwords(&address), [Some("pt")]);
    let elsewhere = with("user=u host=a port=1 passfile=/nowhere", &[("HOME", home)]).unwrap();
    assert_eq!(passwords(&elsewhere), [None]);
    fs::set_permissions(&file, Permissions::from_mode(0o604)).unwrap();
    let address = with("user=u host=a port=1", &[("HOME", home)]).unwrap();
    assert_eq!(passwords(&address), [None]);
    assert!(address.notes()[0].contains("others can read it (mode 0604)"), "{:?}", address.notes());
}

#[test]
fn a_password_file_wins_but_not_over_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "pf\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let address = with("user=u host=a,b", &[("PGPASSWORD", "pv")]).unwrap();
    let address = address.with_password_file(&file).unwrap();
    assert_eq!(passwords(&address), [Some("pf"), Some("pf")]);
    let address = parse("user=u host=a password=pt").unwrap();
    let error = address.with_password_file(&file).unwrap_err().to_string();
    assert!(error.contains("has a password too"), "{error}");
}

#[test]
fn a_service_stands_between_text_and_variables() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services");
    fs::write(&file, "[prod]\nhost=sh\nport=1\nuser=su\ndbname=sd\npassword=sp\n").unwrap();
    let file = file.to_str().unwrap();
    let variables = [("PGSERVICEFILE", file), ("PGHOST", "vh"), ("PGSSLMODE", "disable")];
    let address = with("service=prod port=2", &variables).unwrap();
    assert_eq!(address.to_string(), "postgresql://su@sh:2/sd");
    assert_eq!(passwords(&address), [Some("sp")]);
    assert!(!address.password_is_in_text());
    assert_eq!(address.tls.mode, Mode::Disable);
    let variables = [("PGSERVICEFILE", file), ("PGSERVICE", "prod")];
    let env = |name: &str| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let address = Address::from_env(&env).unwrap().unwrap();
    assert_eq!(address.to_string(), "postgresql://su@sh:1/sd");
    fs::write(file, "[prod]\nhost=sh\nport=x\n").unwrap();
    let error = with("service=prod", &variables).unwrap_err();
    assert!(error.starts_with(&format!("{file}:3: ")), "{error}");
}

#[test]
fn the_mode_decides_what_is_checked() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    fs::create_dir(&folder).unwrap();
    let variables = [("HOME", home.path().to_str().unwrap())];
    let roots = |text: &str| with(text, &variables).unwrap().tls.roots;
    assert_eq!(roots("host=h sslmode=require"), Roots::Unchecked);
    assert!(with("host=h sslmode=verify-ca", &variables).is_err());
    let ca = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
    let root = folder.join("root.crt");
    fs::write(&root, ca.cert.pem()).unwrap();
    assert_eq!(roots("host=h sslmode=require"), Roots::File(root.clone()));
    assert_eq!(roots("host=h sslmode=verify-ca"), Roots::File(root.clone()));
    assert_eq!(roots("host=h sslmode=prefer"), Roots::Unchecked);
    let socket = with("host=/s sslmode=verify-full sslrootcert=/nowhere", &variables).unwrap();
    assert_eq!(socket.tls.mode, Mode::Disable);
    // A client certificate is there once both of its files are.
    fs::write(folder.join("postgresql.crt"), ca.cert.pem()).unwrap();
    let error = with("host=h", &variables).unwrap_err();
    assert!(error.contains("private key") && error.contains("fix: "), "{error}");
    let key = folder.join("postgresql.key");
    fs::write(&key, ca.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let error = with("host=h", &variables).unwrap_err();
    assert!(error.contains("others can read or change it"), "{error}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert!(with("host=h", &variables).unwrap().tls.identity.is_some());
    fs::write(
        &key,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    .unwrap();
    let error = with("host=h", &variables).unwrap_err();
    assert!(error.contains("not encrypted: openssl"), "{error}");
}
