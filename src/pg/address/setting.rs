//! The keys of a connection, where the value of each came from, and what we make of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::AddressError;

/// What we do with a key of libpq.
#[derive(Clone, Copy)]
enum Support {
    Used,
    /// Harmless, and of no use here.
    Ignored,
    /// Fine with these values; any other would promise what is not kept.
    Only(&'static [&'static str], &'static str),
}

use Support::{Ignored, Only, Used};

/// Every key of libpq, with its environment variable. `fix` completes a refusal.
const KEYS: &[(&str, Option<&str>, Support)] = &[
    ("host", Some("PGHOST"), Used),
    ("hostaddr", Some("PGHOSTADDR"), Used),
    ("port", Some("PGPORT"), Used),
    ("dbname", Some("PGDATABASE"), Used),
    ("user", Some("PGUSER"), Used),
    ("password", Some("PGPASSWORD"), Used),
    ("passfile", Some("PGPASSFILE"), Used),
    ("service", Some("PGSERVICE"), Used),
    ("servicefile", Some("PGSERVICEFILE"), Used),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT"), Used),
    ("options", Some("PGOPTIONS"), Used),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Used),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Used),
    ("keepalives", None, Used),
    ("keepalives_idle", None, Used),
    ("keepalives_interval", None, Used),
    ("keepalives_count", None, Used),
    ("tcp_user_timeout", None, Used),
    ("channel_binding", Some("PGCHANNELBINDING"), Used),
    ("sslmode", Some("PGSSLMODE"), Used),
    ("sslnegotiation", Some("PGSSLNEGOTIATION"), Used),
    ("sslrootcert", Some("PGSSLROOTCERT"), Used),
    ("sslcert", Some("PGSSLCERT"), Used),
    ("sslkey", Some("PGSSLKEY"), Used),
    ("sslsni", Some("PGSSLSNI"), Used),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Used),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), Used),
    (
        "sslcertmode",
        Some("PGSSLCERTMODE"),
        Only(&["allow"], "leave it out; a client certificate is sent if there is one"),
    ),
    ("sslcrl", Some("PGSSLCRL"), Only(&[], "leave it out; revocation lists are not read")),
    ("sslcrldir", Some("PGSSLCRLDIR"), Only(&[], "leave it out; revocation lists are not read")),
    (
        "sslpassword",
        None,
        Only(&[], "leave it out, and decrypt the key: openssl pkey -in KEY -out PLAIN"),
    ),
    (
        "requirepeer",
        Some("PGREQUIREPEER"),
        Only(&[], "leave it out; the owner of a socket is not checked"),
    ),
    (
        "require_auth",
        Some("PGREQUIREAUTH"),
        Only(&[], "leave it out; channel_binding=require demands SCRAM bound to TLS"),
    ),
    (
        "gssencmode",
        Some("PGGSSENCMODE"),
        Only(&["disable", "prefer"], "leave it out; TLS is what encrypts here"),
    ),
    (
        "replication",
        None,
        Only(&["false", "off", "no", "0"], "leave it out; a load is no replication"),
    ),
    (
        "client_encoding",
        Some("PGCLIENTENCODING"),
        Only(
            &["auto", "UTF8", "utf8", "UTF-8", "utf-8", "UNICODE"],
            "leave it out; it is always UTF8",
        ),
    ),
    ("application_name", Some("PGAPPNAME"), Ignored),
    ("fallback_application_name", None, Ignored),
    ("sslcompression", None, Ignored),
    ("krbsrvname", None, Ignored),
    ("gsslib", None, Ignored),
    ("gssdelegation", None, Ignored),
    ("min_protocol_version", None, Ignored),
    ("max_protocol_version", None, Ignored),
];

/// What a variable says: without the line ends that a secret made of a file has at its end; `None`
/// if there is nothing else.
pub(super) fn variable_text(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    let mut text = env(name)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Some(text).filter(|text| !text.is_empty())
}

/// Whether libpq has such a key.
pub(super) fn is_known(key: &str) -> bool {
    entry(key).is_some()
}

/// The key that somebody who wrote this one most likely meant, if it is no more than a slip away. Stricter than
/// `plan::nearest`, which takes all that opens like a key: what is taken here is printed, and may be a password.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    const SLIPS_MAX: usize = 2;
    let far = |name: &str| strsim::osa_distance(key, name);
    let (far, name) = KEYS.iter().map(|(name, ..)| (far(name), *name)).min()?;
    (far <= SLIPS_MAX && far < name.len().min(key.len())).then_some(name)
}

fn entry(key: &str) -> Option<&'static (&'static str, Option<&'static str>, Support)> {
    // What some other clients call it.
    let key = if key == "keepalives_retries" { "keepalives_count" } else { key };
    KEYS.iter().find(|(name, ..)| *name == key)
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A connection text, named by its flag or variable.
    Text(&'static str),
    Variable(&'static str),
    Service {
        file: PathBuf,
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(place) => write!(f, "`{place}`"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Service { file, line } => write!(f, "{}:{line}", file.display()),
        }
    }
}

/// A value with its origin. No `Debug`: it may be a password.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) key: &'static str,
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Value {
    /// Why the value cannot be used. A text is not repeated: where its quotes or %-codes are wrong,
    /// any of its values can be a piece of the password.
    pub(super) fn refuse(&self, fact: &str, fix: &str) -> AddressError {
        let fact = match &self.origin {
            Origin::Variable(_) => format!("`{}` {fact}", self.text),
            _ => format!("the value of `{}` {fact}", self.key),
        };
        AddressError::Refused { place: self.origin.to_string(), fact, fix: fix.to_owned() }
    }

    /// A whole number.
    pub(super) fn number(&self) -> Result<i64, AddressError> {
        self.text.trim().parse().map_err(|_| self.refuse("is not a whole number", "write one"))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, AddressError> {
        let chosen = choices.iter().find(|(word, _)| *word == self.text);
        chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            self.refuse("is not one of its choices", &format!("choose among {words}"))
        })
    }
}

/// What is known of a connection so far. What was put in first stays.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, Value>);

impl Settings {
    /// Adds the pairs of one source; within it, the last one of a key wins. Empty is not given.
    pub(super) fn fill(
        &mut self,
        pairs: impl IntoIterator<Item = (String, String, Origin)>,
    ) -> Result<(), AddressError> {
        let mut filled = BTreeMap::new();
        for (key, text, origin) in pairs {
            let Some(&(key, _, support)) = entry(&key) else {
                let plain = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                let name = if plain { format!(" `{key}`") } else { String::new() };
                return Err(AddressError::Refused {
                    place: origin.to_string(),
                    fact: format!("a key{name} that libpq does not know"),
                    fix: "see docs/connections.md for those it knows".to_owned(),
                });
            };
            let value = Value { key, text, origin };
            match support {
                Only(texts, fix) if !value.text.is_empty() && !texts.contains(&&*value.text) => {
                    return Err(value.refuse("is not supported", fix));
                }
                _ => filled.insert(key, value),
            };
        }
        filled.retain(|key, value| !value.text.is_empty() && !self.0.contains_key(key));
        self.0.append(&mut filled);
        Ok(())
    }

    /// Adds what the variables say.
    pub(super) fn fill_from_variables(
        &mut self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), AddressError> {
        let given = KEYS.iter().filter_map(|(key, variable, _)| {
            let variable = (*variable)?;
            let text = variable_text(env, variable)?;
            Some(((*key).to_owned(), text, Origin::Variable(variable)))
        });
        self.fill(given.collect::<Vec<_>>())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        debug_assert!(is_known(key), "{key}");
        self.0.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| &*value.text)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, AddressError> {
        self.get(key).map(Value::number).transpose()
    }

    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, AddressError> {
        self.get(key).map_or(Ok(default), |value| value.choice(choices))
    }
}
