//! TLS: which certificates we trust, which one is ours, and how much of it is checked.

mod fault;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, SupportedProtocolVersion};
pub(super) use tokio_postgres_rustls::MakeRustlsConnect as Connector;

pub(super) use fault::explain;
use verify::{Check, Verifier};

use super::address::is_open_to_others;

/// What `sslmode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    /// Without, and only if the server refuses that, with.
    Allow,
    /// With, and only if that fails, without.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whose signature makes a server's certificate good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// Nobody's: nothing is checked.
    Unchecked,
    /// Those that this machine trusts.
    System,
    /// Those in this file.
    File(PathBuf),
}

/// How a connection is encrypted.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) mode: Mode,
    pub(super) roots: Roots,
    /// Our certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the server's name is told before encryption begins.
    pub(super) sni: bool,
    /// Whether TLS begins at once, without asking the server (PostgreSQL 17 and later).
    pub(super) direct: bool,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

/// Why TLS cannot be used as it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {fact}\n  fix: {fix}")]
pub(super) struct TlsError {
    what: String,
    fact: String,
    fix: String,
}

impl TlsError {
    fn new(what: &str, path: &Path, fact: &dyn std::fmt::Display, fix: impl Into<String>) -> Self {
        let what = format!("{what} {}", path.display());
        Self { what, fact: fact.to_string(), fix: fix.into() }
    }
}

impl Tls {
    /// No encryption.
    pub(super) fn off() -> Self {
        Self {
            mode: Mode::Disable,
            roots: Roots::Unchecked,
            identity: None,
            sni: true,
            direct: false,
            versions: rustls::ALL_VERSIONS.to_vec(),
        }
    }

    /// What encrypts a connection; `None` where nothing shall. Reads the files anew, since a
    /// certificate may be renewed during a long run.
    pub(super) fn connector(&self) -> Result<Option<Connector>, TlsError> {
        if self.mode == Mode::Disable {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(self.verifier(&provider)?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .map_err(|error| TlsError {
                what: "TLS".to_owned(),
                fact: error.to_string(),
                fix: "leave ssl_min_protocol_version and ssl_max_protocol_version out".to_owned(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (chain, private_key) = (read_chain(certificate)?, read_key(key)?);
                builder.with_client_auth_cert(chain, private_key).map_err(|error| {
                    let fix = format!(
                        "give the key that {} was made for (sslkey)",
                        certificate.display()
                    );
                    TlsError::new("private key", key, &error, fix)
                })?
            }
        };
        config.enable_sni = self.sni;
        if self.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(Some(Connector::new(config)))
    }

    fn verifier(&self, provider: &CryptoProvider) -> Result<Verifier, TlsError> {
        let roots = match &self.roots {
            Roots::Unchecked => return Ok(Verifier::new(Check::Nothing, Vec::new(), provider)),
            Roots::System => system_roots()?,
            Roots::File(path) => read_certificates("root certificate file", path)?,
        };
        let check = match self.mode {
            Mode::VerifyFull => Check::ChainAndName,
            _ => Check::Chain,
        };
        Ok(Verifier::new(check, roots, provider))
    }
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let errors = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(TlsError {
            what: "sslrootcert=system".to_owned(),
            fact: format!("this machine has no trusted certificates{errors}"),
            fix: "install ca-certificates, or name a file in SSL_CERT_FILE or sslrootcert"
                .to_owned(),
        });
    }
    Ok(found.certs)
}

fn read_certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(what, path)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let fix = "it must hold certificates in PEM form (-----BEGIN CERTIFICATE-----)";
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsError::new(what, path, &"has no certificate", fix))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::new(what, path, &error, fix)),
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    read_certificates("client certificate", path)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "private key";
    let metadata = path.metadata().map_err(|error| unreadable(what, path, &error))?;
    if is_open_to_others(&metadata) {
        let fix = format!("chmod 600 {} (0640 will do where the file is root's)", path.display());
        return Err(TlsError::new(what, path, &"others can read or change it", fix));
    }
    PrivateKeyDer::from_pem_slice(&read(what, path)?).map_err(|_| {
        let fix = "give it in PEM form and not encrypted: openssl pkey -in KEY -out PLAIN";
        TlsError::new(what, path, &"has no key that can be read", fix)
    })
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| unreadable(what, path, &error))
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> TlsError {
    let fix = match what {
        "root certificate file" => {
            "name the file of the CA in sslrootcert, or trust those of this machine with \
             sslrootcert=system"
        }
        "private key" => "name the key of the client certificate in sslkey",
        _ => "name a file that this user can read in sslcert, or leave it out",
    };
    TlsError::new(what, path, &error, fix)
}
