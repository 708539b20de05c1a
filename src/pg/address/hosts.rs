//! The servers to try: names, addresses, ports and sockets, each with its password.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::super::dial::Dialer;
use super::AddressError;
use super::passfile;
use super::secret::Secret;
use super::setting::{Settings, Value};

const PORT: u16 = 5432;

/// One server to try.
#[derive(Clone)]
pub(in crate::pg) struct ServerHost {
    pub(in crate::pg) host: Host,
    pub(in crate::pg) port: u16,
    pub(in crate::pg) password: Option<Secret>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Host {
    /// A name, to be looked up unless its address is given.
    Tcp { name: String, address: Option<IpAddr> },
    /// The folder of a Unix socket.
    Socket(PathBuf),
    /// Behind streams that are opened for us.
    Dialed(Dialer),
}

impl Host {
    pub(in crate::pg) fn is_socket(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    fn new(name: &str, address: Option<IpAddr>) -> Self {
        match address {
            None if name.is_empty() => Self::Socket(default_socket_folder()),
            None if name.starts_with('/') => Self::Socket(name.into()),
            Some(address) if name.is_empty() || name.starts_with('/') => {
                Self::Tcp { name: address.to_string(), address: Some(address) }
            }
            address => Self::Tcp { name: name.to_owned(), address },
        }
    }
}

impl ServerHost {
    /// Its password in a passfile. As in libpq, a socket in its usual folder is `localhost`.
    pub(super) fn password_in(&self, text: &str, database: &str, user: &str) -> Option<Secret> {
        let folder;
        let name = match &self.host {
            Host::Tcp { name, .. } => name,
            Host::Dialed(_) => return None,
            Host::Socket(path) if *path == default_socket_folder() => "localhost",
            Host::Socket(path) => {
                folder = path.to_string_lossy();
                &*folder
            }
        };
        passfile::find(text, [name, &self.port.to_string(), database, user])
    }
}

/// What `host`, `hostaddr` and `port` give, one entry a server.
pub(super) fn list(settings: &Settings) -> Result<Vec<ServerHost>, AddressError> {
    let split = |key| settings.get(key).map(|value| (value, items(value)));
    let (names, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    let addresses = match addresses {
        None => None,
        Some((value, items)) => {
            let parse = |item: &&str| match item.is_empty() {
                true => Ok(None),
                false => item.parse().map(Some).map_err(|_| {
                    let fix = "write numbers such as 192.0.2.1; names belong into `host`";
                    value.refuse("is not an IP address", fix)
                }),
            };
            Some((value, items.iter().map(parse).collect::<Result<Vec<Option<IpAddr>>, _>>()?))
        }
    };
    if let (Some((_, names)), Some((value, addresses))) = (&names, &addresses)
        && names.len() != addresses.len()
    {
        let fact = format!("has {} entries for {} hosts", addresses.len(), names.len());
        return Err(value.refuse(&fact, "give an address for each host, or leave it empty"));
    }
    let count = match (&names, &addresses) {
        (Some((_, names)), _) => names.len(),
        (None, Some((_, addresses))) => addresses.len(),
        (None, None) => 1,
    };
    let ports = match ports {
        None => vec![PORT],
        Some((value, items)) => {
            if items.len() != 1 && items.len() != count {
                let fact = format!("has {} entries for {count} hosts", items.len());
                return Err(value.refuse(&fact, "give one port, or one for each host"));
            }
            items.iter().map(|item| port(item, value)).collect::<Result<_, _>>()?
        }
    };
    let hosts = (0..count).map(|i| {
        let name = names.as_ref().map_or("", |(_, names)| names[i]);
        let address = addresses.as_ref().and_then(|(_, addresses)| addresses[i]);
        let host = match &names {
            Some((value, _)) if name.starts_with('@') => {
                let fix = "name the folder of a socket, or a host";
                return Err(value.refuse("is an abstract socket, which is not supported", fix));
            }
            _ => Host::new(name, address),
        };
        let port = if ports.len() == 1 { ports[0] } else { ports[i] };
        Ok(ServerHost { host, port, password: None })
    });
    hosts.collect()
}

fn items(value: &Value) -> Vec<&str> {
    value.text.split(',').map(str::trim).collect()
}

fn port(text: &str, value: &Value) -> Result<u16, AddressError> {
    match text.parse() {
        _ if text.is_empty() => Ok(PORT),
        Ok(port) if port > 0 => Ok(port),
        _ => Err(value.refuse("is not a port number", "write a number from 1 to 65535")),
    }
}

fn default_socket_folder() -> PathBuf {
    let debian = Path::new("/var/run/postgresql");
    if debian.is_dir() { debian.to_owned() } else { PathBuf::from("/tmp") }
}

impl fmt::Display for ServerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
            Host::Socket(folder) => write!(f, "[{}]:{}", folder.display(), self.port),
            Host::Dialed(_) => f.write_str("a server of this process"),
        }
    }
}
