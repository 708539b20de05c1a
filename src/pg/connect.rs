//! Connecting: the hosts in turn, with or without TLS as the mode allows, until one is what the
//! user wants. Every wait has a bound.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::lookup_host;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};

use crate::row::CopyFormat;

use super::address::{Host, ServerHost, Target};
use super::cancel::Way;
use super::dial::Dialer;
use super::kept::Kept;
use super::session::{Beside, Driver, Guard, READ_ONLY};
use super::silence::Heard;
use super::tls::{self, Connector, Mode};
use super::{Address, Error, Session};

/// Why one host did not do.
struct Failure {
    place: String,
    /// What the server is called, for its certificate.
    host: String,
    cause: Cause,
}

enum Cause {
    Client(tokio_postgres::Error),
    /// It did not answer, or its name none.
    Unreachable(String),
    /// It is not what `target_session_attrs` wants.
    Unfit(&'static str),
}

/// What a server says of itself.
#[derive(Clone, Copy)]
struct State {
    standby: bool,
    read_only: bool,
}

impl Target {
    /// What to look for, first to last.
    fn passes(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Why a server in this state is not what is looked for.
    fn objection(self, state: State) -> Option<&'static str> {
        match self {
            Self::ReadWrite | Self::Primary if state.standby => Some("the server is a standby"),
            Self::ReadWrite if state.read_only => {
                Some("the server is read-only (default_transaction_read_only)")
            }
            Self::ReadOnly if !state.standby && !state.read_only => Some("the server takes writes"),
            Self::Standby | Self::PreferStandby if !state.standby => {
                Some("the server is not a standby")
            }
            _ => None,
        }
    }
}

/// Connects to the first host that does.
pub(super) async fn connect(address: &Address, name: &str) -> Result<Session, Error> {
    let connector = address
        .tls
        .connector()
        .map_err(|error| Error::refused(format!("connect to {address}"), error.to_string()))?;
    let mut failures = Vec::new();
    for &wanted in address.target.passes() {
        for host in in_order(address, &address.hosts) {
            let attempt = Attempt { address, host, name, connector: connector.as_ref(), wanted };
            match attempt.run().await {
                Ok(session) => return Ok(session),
                Err(failure) => {
                    let is_final = failure.is_final();
                    failures.push(failure);
                    if is_final {
                        return Err(explain(address, failures));
                    }
                }
            }
        }
    }
    Err(explain(address, failures))
}

/// As given, or in an order of this connection's own.
fn in_order<'t, T>(address: &Address, items: &'t [T]) -> Vec<&'t T> {
    let mut items: Vec<(usize, &T)> = items.iter().enumerate().collect();
    if address.shuffle {
        // Keyed anew at each call, which is all the randomness this needs.
        let random = RandomState::new();
        items.sort_by_cached_key(|(i, _)| random.hash_one(i));
    }
    items.into_iter().map(|(_, item)| item).collect()
}

impl Failure {
    /// Whether other hosts are not tried: as in libpq, when the server knows us and says no.
    fn is_final(&self) -> bool {
        let Cause::Client(error) = &self.cause else { return false };
        // Shutting down or starting up; full; a pooler that has no server behind it.
        let passing = ["57", "53", "08"];
        error.code().is_some_and(|code| !passing.iter().any(|class| code.code().starts_with(class)))
    }

    fn reason(&self) -> String {
        match &self.cause {
            Cause::Client(error) => match tls::explain(error, &self.host) {
                Some((fact, _)) => fact,
                None => {
                    error.as_db_error().map_or_else(|| cause(error), |db| db.message().to_owned())
                }
            },
            Cause::Unreachable(fact) => fact.clone(),
            Cause::Unfit(fact) => (*fact).to_owned(),
        }
    }
}

/// One host to be tried.
struct Attempt<'a> {
    address: &'a Address,
    host: &'a ServerHost,
    name: &'a str,
    connector: Option<&'a Connector>,
    wanted: Target,
}

impl Attempt<'_> {
    /// Tries the host, at each of its addresses.
    async fn run(&self) -> Result<Session, Failure> {
        let mut config = self.address.config(self.host, self.name);
        let addresses = match &self.host.host {
            Host::Socket(folder) => {
                config.host_path(folder).ssl_mode(SslMode::Disable);
                return self.open(&config, None).await;
            }
            Host::Dialed(_) => return self.open(&config, None).await,
            Host::Tcp { address: Some(address), .. } => vec![*address],
            Host::Tcp { name, .. } => self.look_up(name).await?,
        };
        let mut last = None;
        for address in in_order(self.address, &addresses) {
            match self.with_modes(&config, *address).await {
                Ok(session) => return Ok(session),
                Err(failure) if failure.is_final() => return Err(failure),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| {
            self.failure(Cause::Unreachable("its name has no address".to_owned()))
        }))
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let found = self.bounded(lookup_host((name, self.host.port))).await?;
        let found = found.map_err(|error| self.failure(Cause::Unreachable(error.to_string())))?;
        Ok(found.map(|address| address.ip()).collect())
    }

    /// Tries one address, encrypted or not, in the order of the mode.
    async fn with_modes(&self, config: &Config, address: IpAddr) -> Result<Session, Failure> {
        let modes: &[SslMode] = match self.address.tls.mode {
            Mode::Disable => &[SslMode::Disable],
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        };
        let mut config = config.clone();
        // The name is what a certificate is made out to.
        config.host(self.name_of_host()).hostaddr(address);
        let mut first: Option<Failure> = None;
        for &mode in modes {
            config.ssl_mode(mode);
            let failure = match self.open(&config, self.connector).await {
                Ok(session) => return Ok(session),
                Err(failure) => failure,
            };
            let other_way_may_do = match &failure.cause {
                Cause::Client(error) if error.code().is_some() => is_unwelcome(error),
                Cause::Client(error) => tls::explain(error, &failure.host).is_some(),
                _ => false,
            };
            if let Some(first) = first {
                // What was wrong with the way that was preferred is what mends it.
                return Err(if other_way_may_do { first } else { failure });
            }
            if !other_way_may_do {
                return Err(failure);
            }
            first = Some(failure);
        }
        Err(first.unwrap_or_else(|| self.failure(Cause::Unreachable("not tried".to_owned()))))
    }

    /// Opens a session and looks whether the server is what is wanted.
    async fn open(&self, config: &Config, tls: Option<&Connector>) -> Result<Session, Failure> {
        let opened = async {
            let opened = match (self.dialer(), tls) {
                (Some(dialer), _) => dialed(dialer, self.name, config).await,
                (None, None) => open(config, NoTls).await.map_err(Cause::Client),
                (None, Some(tls)) => open(config, tls.clone()).await.map_err(Cause::Client),
            };
            let Opened { client, driver, state, told_read_only } =
                opened.map_err(|cause| self.failure(cause))?;
            let (connector, dialer) = (tls.cloned(), self.dialer().cloned());
            let way = Arc::new(Way { config: config.clone(), connector, dialer });
            let mut session = Session {
                client,
                driver,
                way,
                beside: Beside::default(),
                ended: None,
                backend: None,
                listener: None,
                heard: Heard::default(),
                at_length: false,
                told_read_only,
                guard: Guard::Absent,
                writes: false,
                kept: Kept::default(),
                copy_format: CopyFormat::default(),
            };
            if self.wanted != Target::Any {
                let state = match state {
                    Some(state) => state,
                    None => self.ask(&mut session).await?,
                };
                if let Some(objection) = self.wanted.objection(state) {
                    session.close().await;
                    return Err(self.failure(Cause::Unfit(objection)));
                }
            }
            Ok(session)
        };
        self.bounded(opened).await?
    }

    /// Servers before version 14, and poolers, do not say unasked.
    async fn ask(&self, session: &mut Session) -> Result<State, Failure> {
        let sql = "SELECT pg_catalog.pg_is_in_recovery()::text || ' ' \
                   || pg_catalog.current_setting('transaction_read_only')";
        let told = session.text("ask whether the server takes writes", sql).await;
        let told = told.map_err(|error| self.failure(Cause::Unreachable(error.to_string())))?;
        let told = told.unwrap_or_default();
        Ok(State { standby: told.starts_with("true"), read_only: told.ends_with(" on") })
    }

    async fn bounded<F: Future>(&self, work: F) -> Result<F::Output, Failure> {
        let Some(bound) = self.address.connect_timeout else { return Ok(work.await) };
        tokio::time::timeout(bound, work).await.map_err(|_| {
            let fact = format!("no answer within {}", humantime::format_duration(bound));
            self.failure(Cause::Unreachable(fact))
        })
    }

    fn dialer(&self) -> Option<&Dialer> {
        match &self.host.host {
            Host::Dialed(dialer) => Some(dialer),
            Host::Tcp { .. } | Host::Socket(_) => None,
        }
    }

    fn name_of_host(&self) -> String {
        match &self.host.host {
            Host::Tcp { name, .. } => name.clone(),
            Host::Socket(folder) => folder.display().to_string(),
            Host::Dialed(_) => self.host.to_string(),
        }
    }

    fn failure(&self, cause: Cause) -> Failure {
        Failure { place: self.host.to_string(), host: self.name_of_host(), cause }
    }
}

/// Whether pg_hba.conf has no line for us this way; it may have one for the other.
fn is_unwelcome(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code() == "28000")
}

/// A connection that is open.
struct Opened {
    client: Client,
    driver: Driver,
    /// What the server says it is, if it does.
    state: Option<State>,
    /// Kept current by the driver; see [`Session`].
    told_read_only: Arc<AtomicBool>,
}

impl Opened {
    fn new<S, T>((client, mut connection): (Client, Connection<S, T>)) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_on = |name| connection.parameter(name).map(|value| value == "on");
        let state = match (is_on("in_hot_standby"), is_on(READ_ONLY)) {
            (Some(standby), Some(read_only)) => Some(State { standby, read_only }),
            _ => None,
        };
        let told_read_only = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&told_read_only);
        let driver = futures_util::stream::poll_fn(move |cx| {
            let polled = connection.poll_message(cx);
            // The client library keeps such messages to itself, and its own copy of the value.
            told.store(connection.parameter(READ_ONLY) == Some("on"), Ordering::Relaxed);
            polled
        });
        Self { client, driver: Box::pin(driver), state, told_read_only }
    }
}

async fn open<T>(config: &Config, tls: T) -> Result<Opened, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    config.connect(tls).await.map(Opened::new)
}

async fn dialed(dialer: &Dialer, name: &str, config: &Config) -> Result<Opened, Cause> {
    let wire = dialer.0.dial(name).await;
    let wire = wire.map_err(|error| Cause::Unreachable(error.to_string()))?;
    config.connect_raw(wire, NoTls).await.map(Opened::new).map_err(Cause::Client)
}

/// Turns the failures at all hosts into one error with the usual remedy.
fn explain(address: &Address, mut failures: Vec<Failure>) -> Error {
    // The most telling one leads: what a server said counts more than that it did not answer.
    let rank = |failure: &Failure| match &failure.cause {
        Cause::Unfit(_) => 2,
        Cause::Client(error) if error.code().is_some() => 2,
        Cause::Client(_) => 1,
        Cause::Unreachable(_) => 0,
    };
    let Some(leading) = (0..failures.len()).max_by_key(|&i| rank(&failures[i])) else {
        return Error::refused(format!("connect to {address}"), "no host is given");
    };
    let leading = failures.remove(leading);
    let mut act = format!("connect to {address}");
    if address.hosts.len() > 1 {
        let mut others: Vec<String> = Vec::new();
        for failure in failures.iter().filter(|failure| failure.place != leading.place) {
            let other = format!("{}: {}", failure.place, failure.reason());
            if !others.contains(&other) {
                others.push(other);
            }
        }
        if !others.is_empty() {
            act = format!("{act} ({})", others.join("; "));
        }
        act = format!("{act}, at last {}", leading.place);
    }
    match &leading.cause {
        Cause::Client(error) => match tls::explain(error, &leading.host) {
            Some((fact, fix)) => Error::refused(act, fact).with_fix(fix),
            None => explain_client(address, act, error),
        },
        Cause::Unreachable(fact) => Error::lost(act, fact).with_fix(address.unreachable_fix()),
        Cause::Unfit(fact) => Error::lost(act, *fact).with_fix(
            "name a server that is what target_session_attrs looks for, or several with commas \
             between; target_session_attrs=any takes whatever answers",
        ),
    }
}

/// What mends that this process may open no more files.
pub const OPEN_FILES: &str = "allow this process more open files (ulimit -n, or LimitNOFILE= of its \
                          systemd unit), or use fewer partitions and readers";

const GIVE_PASSWORD: &str = "PGPASSWORD, in ~/.pgpass or with --password-file";

fn explain_client(address: &Address, act: String, error: &tokio_postgres::Error) -> Error {
    let explained = Error::new(act, error);
    let message = error.as_db_error().map(tokio_postgres::error::DbError::message);
    let says = |text: &str| message.is_some_and(|message| message.contains(text));
    let fix = match explained.sqlstate() {
        Some("28P01") => format!(
            "give the right password in {GIVE_PASSWORD} (not on the command line, where others \
             can read it)"
        ),
        Some("28000") if says("client certificate") => {
            "give one in sslcert and its key in sslkey".to_owned()
        }
        Some("28000") if says("certificate authentication failed") => format!(
            "the common name of the client certificate must be {}, or be mapped to it in \
             pg_ident.conf",
            address.user()
        ),
        Some("28000") if says("no encryption") || says("SSL off") => {
            "pg_hba.conf must admit it; if it admits TLS alone, use sslmode=require or more"
                .to_owned()
        }
        Some("28000") if says("no pg_hba.conf entry") => "pg_hba.conf must admit it".to_owned(),
        Some("28000") => format!(
            "create the role (createuser {}), or name another with PGUSER or user=…; pg_hba.conf \
             must admit it",
            address.user()
        ),
        Some("3D000") => {
            format!("create it (createdb {}), or name another database", address.database())
        }
        Some("53300") if says("for role") => format!(
            "raise the role's limit (ALTER ROLE {} CONNECTION LIMIT …), or use fewer partitions \
             and readers",
            address.user()
        ),
        Some("53300") if says("for database") => format!(
            "raise the database's limit (ALTER DATABASE {} CONNECTION LIMIT …), or use fewer \
             partitions and readers",
            address.database()
        ),
        Some("57P03") => "wait until it has; its log says what it is at".to_owned(),
        Some("53300") => "raise max_connections, or use fewer partitions and readers".into(),
        Some(_) => return explained,
        None if is_out_of_files(error) => OPEN_FILES.to_owned(),
        None => match cause(error).as_str() {
            "password missing" => {
                let notes = address.notes().iter().map(|note| format!("; the {note}"));
                let notes: String = notes.collect();
                format!("the server asks for a password: give it in {GIVE_PASSWORD}{notes}")
            }
            "server did not use channel binding" => {
                "channel_binding=require wants TLS and a password stored by SCRAM; leave it out \
                 if the server has neither"
                    .to_owned()
            }
            "unsupported authentication method" => {
                "let pg_hba.conf ask for scram-sha-256, a certificate or no password".to_owned()
            }
            _ => address.unreachable_fix().to_owned(),
        },
    };
    explained.with_fix(fix)
}

/// Whether this process or machine has no file descriptor left for a socket.
fn is_out_of_files(error: &tokio_postgres::Error) -> bool {
    use std::error::Error as _;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| {
        matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
    })
}

/// The client library's own reason.
fn cause(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_taken_for_what_it_is() {
        use Target::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
        let fits = |target: Target, standby, read_only| {
            let state = State { standby, read_only };
            target.passes().iter().any(|pass| pass.objection(state).is_none())
        };
        // A primary, a primary that is read-only by default, a standby.
        let states = [(false, false), (false, true), (true, false)];
        for (target, expected) in [
            (Any, [true, true, true]),
            (ReadWrite, [true, false, false]),
            (ReadOnly, [false, true, true]),
            (Primary, [true, true, false]),
            (Standby, [false, false, true]),
            (PreferStandby, [true, true, true]),
        ] {
            let found = states.map(|(standby, read_only)| fits(target, standby, read_only));
            assert_eq!(found, expected, "{target:?}");
        }
    }
}
