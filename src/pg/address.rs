//! Where the server is and who we are there: URL, key=value text, service files, PG* environment
//! variables, passfiles. Never shows a password.

mod conninfo;
mod hosts;
mod passfile;
mod secret;
mod service;
mod setting;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

use super::dial::{Dial, Dialer};
use super::tls::{Mode, Roots, Tls, TlsError};
use hosts::list;
pub(super) use hosts::{Host, ServerHost};
use passfile::Passfile;
use secret::Secret;
pub(super) use secret::is_open_to_others;
use setting::{Origin, Settings, variable_text};

/// Bound of a connection attempt where the user sets none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection without traffic is probed after 5 s and given up 15 s later.
const KEEPALIVES_IDLE_S: u32 = 5;
const KEEPALIVES_INTERVAL_S: u32 = 5;
const KEEPALIVES_COUNT: u32 = 3;
/// One with traffic is given up when nothing of it was acknowledged for so long.
const TCP_USER_TIMEOUT_MS: u32 = 20_000;

/// The address of a database and the credentials to use there.
#[derive(Clone)]
pub struct Address {
    pub(super) hosts: Vec<ServerHost>,
    user: String,
    database: String,
    /// From where the passwords of `hosts` come, if any has one.
    password_from: Option<PasswordFrom>,
    /// What the user should know about how it was put together.
    notes: Vec<String>,
    /// All that is the same for every host.
    common: Config,
    pub(super) target: Target,
    /// Whether somebody said so.
    has_own_target: bool,
    /// Whether it is the readers' alone.
    of_readers: bool,
    pub(super) shuffle: bool,
    /// Bound of one attempt at one host; `None` where the user wants none.
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tls: Tls,
}

/// What a server must be to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordFrom {
    Text,
    Elsewhere,
}

/// Why a connection text, variable or file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The text is neither a URL nor key=value pairs.
    #[error(
        "`{place}` is not a connection string: {fact}\n  fix: write \
         postgresql://user@host:5432/database, or host=… port=… user=… dbname=…"
    )]
    Malformed {
        /// Flag or variable.
        place: &'static str,
        /// What the parser found.
        fact: String,
    },
    /// A value, or a file that one names, cannot be used.
    #[error("{place}: {fact}\n  fix: {fix}")]
    Refused {
        /// Flag, variable, or file and line.
        place: String,
        /// What is wrong.
        fact: String,
        /// What mends it.
        fix: String,
    },
    /// TLS cannot be used as it was asked for.
    #[error("{0}")]
    Tls(String),
}

impl From<TlsError> for AddressError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Address {
    /// Reads a URL or key=value text; `place` names the flag or variable in errors. What the text
    /// leaves open is filled from the service that it names, then from the PG* variables, then
    /// from the files in ~/.postgresql and the passfile. `env` looks a variable up.
    ///
    /// # Errors
    /// When the text is malformed; the error never repeats it, since it may hold a password.
    pub fn parse(text: &str, place: &'static str, env: Env<'_>) -> Result<Self, AddressError> {
        let pairs = conninfo::parse(text);
        let pairs = pairs.map_err(|fact| AddressError::Malformed { place, fact })?;
        let mut settings = Settings::default();
        settings.fill(pairs.into_iter().map(|(key, value)| (key, value, Origin::Text(place))))?;
        Self::complete(settings, env)
    }

    /// The address that the PG* variables give, if any of them names a server, a service or a
    /// database.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn from_env(env: Env<'_>) -> Result<Option<Self>, AddressError> {
        let names = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE"];
        if names.iter().all(|name| variable_text(env, name).is_none()) {
            return Ok(None);
        }
        Self::complete(Settings::default(), env).map(Some)
    }

    /// A server on this machine, through its socket folder, trusting us.
    pub fn socket(folder: &Path, port: u16, user: &str, database: &str) -> Self {
        let host = ServerHost { host: Host::Socket(folder.to_owned()), port, password: None };
        Self::trusting(host, user, database)
    }

    /// A server that streams of bytes lead to which `dial` opens, trusting us.
    pub fn dialed(dial: Arc<dyn Dial>, user: &str, database: &str) -> Self {
        let host = ServerHost { host: Host::Dialed(Dialer(dial)), port: 0, password: None };
        Self::trusting(host, user, database)
    }

    fn trusting(host: ServerHost, user: &str, database: &str) -> Self {
        Self {
            hosts: vec![host],
            user: user.to_owned(),
            database: database.to_owned(),
            password_from: None,
            notes: Vec::new(),
            common: Config::new(),
            target: Target::Any,
            has_own_target: true,
            of_readers: false,
            shuffle: false,
            connect_timeout: Some(CONNECT_TIMEOUT),
            tls: Tls::off(),
        }
    }

    /// Takes the password from a file, in place of any that was found elsewhere.
    ///
    /// # Errors
    /// When the file cannot be used, or the connection text has a password as well.
    pub fn with_password_file(mut self, path: &Path) -> Result<Self, AddressError> {
        if self.password_is_in_text() {
            return Err(AddressError::Refused {
                place: format!("--password-file {}", path.display()),
                fact: "the connection string has a password too".to_owned(),
                fix: "leave out one of them".to_owned(),
            });
        }
        let password = secret::read_password_file(path)?;
        self.hosts.iter_mut().for_each(|host| host.password = Some(password.clone()));
        self.password_from = Some(PasswordFrom::Elsewhere);
        self.notes.clear();
        Ok(self)
    }

    /// The same as another role, which has the same password.
    #[must_use]
    pub fn as_role(self, role: &str) -> Self {
        Self { user: role.to_owned(), ..self }
    }

    /// For the sessions of readers alone: any server will do, unless `target_session_attrs` says otherwise.
    #[must_use]
    pub fn to_read(self) -> Self {
        let target = if self.has_own_target { self.target } else { Target::Any };
        Self { target, of_readers: true, ..self }
    }

    /// What mends that nothing answers there.
    pub(super) fn unreachable_fix(&self) -> &'static str {
        match self.of_readers {
            true => {
                "check host and port of the readers' address (--readers-url) and that the server runs \
                 (pg_isready); without one the readers ask the server that is loaded"
            }
            false => {
                "check host and port and that the server runs (pg_isready); without any connection \
                 setting strom-load starts a server of its own"
            }
        }
    }

    fn complete(mut settings: Settings, env: Env<'_>) -> Result<Self, AddressError> {
        service::fill(&mut settings, env)?;
        settings.fill_from_variables(env)?;
        let home = env("HOME").map(PathBuf::from);
        let user = match settings.text("user").map(str::to_owned).or_else(|| env("USER")) {
            Some(user) => user,
            None => account_name().ok_or_else(|| AddressError::Refused {
                place: "user".to_owned(),
                fact: "no user is named, and this process's has no name".to_owned(),
                fix: "name one with PGUSER or user=…".to_owned(),
            })?,
        };
        let database = settings.text("dbname").unwrap_or(&user).to_owned();
        let mut hosts = list(&settings)?;
        let mut notes = Vec::new();
        let password_from = match settings.get("password") {
            Some(given) => {
                let password = Secret::new(&*given.text);
                hosts.iter_mut().for_each(|host| host.password = Some(password.clone()));
                let in_text = matches!(given.origin, Origin::Text(_));
                Some(if in_text { PasswordFrom::Text } else { PasswordFrom::Elsewhere })
            }
            None => {
                let own = || home.as_ref().map(|home| home.join(".pgpass"));
                let path = settings.text("passfile").map(PathBuf::from).or_else(own);
                match path.map(|path| passfile::read(&path)) {
                    Some(Passfile::Text(text)) => {
                        hosts.iter_mut().for_each(|host| {
                            host.password = host.password_in(&text, &database, &user);
                        });
                    }
                    Some(Passfile::Ignored(why)) => notes.push(why),
                    Some(Passfile::Missing) | None => {}
                }
                hosts.iter().any(|host| host.password.is_some()).then_some(PasswordFrom::Elsewhere)
            }
        };
        let target = settings.choice(
            "target_session_attrs",
            &[
                ("any", Target::Any),
                ("read-write", Target::ReadWrite),
                ("read-only", Target::ReadOnly),
                ("primary", Target::Primary),
                ("standby", Target::Standby),
                ("prefer-standby", Target::PreferStandby),
            ],
            // A load writes.
            Target::ReadWrite,
        )?;
        let words = [("disable", false), ("random", true)];
        let shuffle = settings.choice("load_balance_hosts", &words, false)?;
        let only_sockets = hosts.iter().all(|host| host.host.is_socket());
        let tls = tls(&settings, home.as_deref(), only_sockets)?;
        // What is wrong with the files is better said now than in the middle of a run.
        tls.connector()?;
        let connect_timeout = match settings.number("connect_timeout")? {
            None => Some(CONNECT_TIMEOUT),
            Some(seconds) => Some(Duration::from_secs(seconds.max(0) as u64)),
        };
        Ok(Self {
            hosts,
            user,
            database,
            password_from,
            notes,
            common: common(&settings, tls.direct)?,
            target,
            has_own_target: settings.get("target_session_attrs").is_some(),
            of_readers: false,
            shuffle,
            connect_timeout: connect_timeout.filter(|bound| !bound.is_zero()),
            tls,
        })
    }

    /// Whether a password is part of it.
    pub fn has_password(&self) -> bool {
        self.password_from.is_some()
    }

    /// Whether the connection text itself has a password, which others can read if it was typed.
    pub fn password_is_in_text(&self) -> bool {
        self.password_from == Some(PasswordFrom::Text)
    }

    /// What the user should be warned of: files that were not looked at, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The client library's settings for one host; where it is and how it is encrypted is left
    /// open. Our name for the session wins over the user's: reports and tests find it by that.
    pub(super) fn config(&self, host: &ServerHost, application_name: &str) -> Config {
        let mut config = self.common.clone();
        config.user(&self.user).dbname(&self.database).application_name(application_name);
        if let Some(password) = &host.password {
            config.password(password.expose());
        }
        config.port(host.port);
        config
    }
}

/// What is the same for every host.
fn common(settings: &Settings, direct: bool) -> Result<Config, AddressError> {
    let mut config = Config::new();
    if let Some(options) = settings.text("options") {
        config.options(options);
    }
    config.channel_binding(settings.choice(
        "channel_binding",
        &[
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ],
        ChannelBinding::Prefer,
    )?);
    silence(settings, &mut config)?;
    if direct {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    Ok(config)
}

/// After how much silence a TCP connection is given up. 0 leaves a limit to the system, as in
/// libpq; where libpq leaves all of them to the system, which is hours, ours come to 20 s.
fn silence(settings: &Settings, config: &mut Config) -> Result<(), AddressError> {
    config.keepalives(settings.number("keepalives")? != Some(0));
    let limit = |key, ours: u32| {
        let given = settings.number(key)?.map(|n| u32::try_from(n.max(0)).unwrap_or(u32::MAX));
        Ok::<_, AddressError>(Some(given.unwrap_or(ours)).filter(|n| *n > 0))
    };
    if let Some(seconds) = limit("keepalives_idle", KEEPALIVES_IDLE_S)? {
        config.keepalives_idle(Duration::from_secs(seconds.into()));
    }
    if let Some(seconds) = limit("keepalives_interval", KEEPALIVES_INTERVAL_S)? {
        config.keepalives_interval(Duration::from_secs(seconds.into()));
    }
    if let Some(count) = limit("keepalives_count", KEEPALIVES_COUNT)? {
        config.keepalives_retries(count);
    }
    if let Some(milliseconds) = limit("tcp_user_timeout", TCP_USER_TIMEOUT_MS)? {
        config.tcp_user_timeout(Duration::from_millis(milliseconds.into()));
    }
    Ok(())
}

/// How TCP connections are encrypted.
fn tls(settings: &Settings, home: Option<&Path>, only_sockets: bool) -> Result<Tls, AddressError> {
    let own = |name: &str| home.map(|home| home.join(".postgresql").join(name));
    let system = settings.text("sslrootcert") == Some("system");
    let modes = [
        ("disable", Mode::Disable),
        ("allow", Mode::Allow),
        ("prefer", Mode::Prefer),
        ("require", Mode::Require),
        ("verify-ca", Mode::VerifyCa),
        ("verify-full", Mode::VerifyFull),
    ];
    let default = if system { Mode::VerifyFull } else { Mode::Prefer };
    let mode = settings.choice("sslmode", &modes, default)?;
    if only_sockets {
        // These are not encrypted, whatever the mode.
        return Ok(Tls::off());
    }
    if let Some(given) = settings.get("sslmode").filter(|_| system && mode != Mode::VerifyFull) {
        // Anybody can have a certificate signed by a public CA.
        let fix = "use sslmode=verify-full, or leave it out";
        return Err(given.refuse("is too weak for sslrootcert=system", fix));
    }
    let roots = match (settings.text("sslrootcert"), mode) {
        // These modes settle for no encryption at all, so there is nothing to gain.
        (_, Mode::Disable | Mode::Allow | Mode::Prefer) => Roots::Unchecked,
        (Some("system"), _) => Roots::System,
        (Some(path), _) => Roots::File(path.into()),
        (None, _) => match (own("root.crt"), settings.get("sslmode")) {
            (Some(path), _) if path.exists() => Roots::File(path),
            (_, Some(given)) if mode != Mode::Require => {
                let fix = "put the CA's certificate into ~/.postgresql/root.crt or name its file \
                           in sslrootcert; sslrootcert=system trusts the CAs of this machine";
                return Err(given.refuse("wants a root certificate, and there is none", fix));
            }
            _ => Roots::Unchecked,
        },
    };
    let certificate = settings.text("sslcert").map(PathBuf::from);
    let certificate = certificate.or_else(|| own("postgresql.crt").filter(|path| path.exists()));
    let key = settings.text("sslkey").map(PathBuf::from).or_else(|| own("postgresql.key"));
    let on_off = [("0", false), ("1", true)];
    let words = [("postgres", false), ("direct", true)];
    let direct = settings.choice("sslnegotiation", &words, false)?;
    if direct && matches!(mode, Mode::Disable | Mode::Allow | Mode::Prefer) {
        let given = settings.get("sslnegotiation");
        return Err(given.map_or_else(
            || AddressError::Tls("sslnegotiation".to_owned()),
            |given| given.refuse("wants sslmode=require or more", "raise sslmode"),
        ));
    }
    Ok(Tls {
        mode,
        roots,
        identity: certificate.map(|certificate| {
            let key = key.unwrap_or_else(|| certificate.with_extension("key"));
            (certificate, key)
        }),
        sni: settings.choice("sslsni", &on_off, true)?,
        direct,
        versions: versions(settings)?,
    })
}

/// TLS 1.2 and 1.3, less what the user rules out.
fn versions(
    settings: &Settings,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, AddressError> {
    let words = [("TLSv1", 10), ("TLSv1.1", 11), ("TLSv1.2", 12), ("TLSv1.3", 13)];
    let least = settings.choice("ssl_min_protocol_version", &words, 12)?;
    let most = settings.choice("ssl_max_protocol_version", &words, 13)?;
    let spoken = [(13, &rustls::version::TLS13), (12, &rustls::version::TLS12)];
    let kept = spoken.iter().filter(|(number, _)| (least..=most).contains(number));
    let kept: Vec<_> = kept.map(|(_, version)| *version).collect();
    match settings.get("ssl_max_protocol_version") {
        Some(given) if kept.is_empty() => {
            Err(given.refuse("leaves no version", "TLSv1.2 and TLSv1.3 are spoken"))
        }
        _ => Ok(kept),
    }
}

/// The name of this process's user, from the system's list of accounts.
fn account_name() -> Option<String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read("/etc/passwd").ok()?;
    let accounts = String::from_utf8_lossy(&accounts);
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&id)).then(|| name.to_owned())
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://{}@", self.user)?;
        for (i, host) in self.hosts.iter().enumerate() {
            let separator = if i == 0 { "" } else { "," };
            write!(f, "{separator}{host}")?;
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests;
