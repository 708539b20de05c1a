//! What a failed handshake means, and what mends it.

use std::error::Error as _;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// The fact and the fix, if TLS is why connecting to `host` failed.
pub(in crate::pg) fn explain(
    error: &tokio_postgres::Error,
    host: &str,
) -> Option<(String, String)> {
    let source = error.source()?;
    let both = |fact: &str, fix: &str| Some((fact.to_owned(), fix.to_owned()));
    if source.to_string() == "server does not support TLS" {
        return both(
            "the server does not support TLS",
            "switch ssl on in its postgresql.conf; or use sslmode=prefer where the network is \
             trusted",
        );
    }
    match find(source)? {
        Error::InvalidCertificate(error) => Some(certificate(error, host)),
        Error::AlertReceived(alert) => Some(alert_received(*alert)),
        Error::PeerIncompatible(error) => Some((
            format!("the server speaks no TLS that we do ({error:?})"),
            "let it speak TLS 1.2 or 1.3".to_owned(),
        )),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => both(
            "the server does not begin with TLS",
            "sslnegotiation=direct wants PostgreSQL 17 or later; leave it out",
        ),
        _ => None,
    }
}

/// The TLS library's error, which an I/O error carries.
fn find<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Error> {
    loop {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        error = match inner {
            Some(inner) => inner,
            None => error.source()?,
        };
    }
}

fn certificate(error: &CertificateError, host: &str) -> (String, String) {
    use CertificateError as E;
    let (fact, fix) = match error {
        E::Expired | E::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "renew it on the server; check the clock of this machine too".to_owned(),
        ),
        E::NotValidYet | E::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "check the clocks of this machine and of the one that made it".to_owned(),
        ),
        E::UnknownIssuer | E::BadSignature => (
            "the server's certificate is not signed by a CA that we trust".to_owned(),
            "give the CA's certificate in sslrootcert, or sslrootcert=system for a public one"
                .to_owned(),
        ),
        E::NotValidForName => {
            (format!("the server's certificate is not made out to `{host}`"), name_fix().to_owned())
        }
        E::NotValidForNameContext { presented, .. } => (
            format!(
                "the server's certificate is not made out to `{host}`, but to {}",
                if presented.is_empty() { "nobody".to_owned() } else { plain(presented) }
            ),
            name_fix().to_owned(),
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => (
            "the server's certificate is not meant for servers".to_owned(),
            "make one with the extended key usage serverAuth".to_owned(),
        ),
        other if format!("{other:?}").contains("UnsupportedCertVersion") => (
            "the server's certificate is of X.509 version 1".to_owned(),
            "make one of version 3 (openssl x509 -req with -extfile)".to_owned(),
        ),
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "the server's certificate is that of a CA".to_owned(),
            "put that very certificate into the sslrootcert file, or make one with CA:FALSE"
                .to_owned(),
        ),
        other => (
            format!("the server's certificate cannot be used: {other}"),
            "make another one; sslmode=require encrypts without checking it".to_owned(),
        ),
    };
    (fact, fix)
}

/// `DnsName("db.example")` is how the library tells a name.
fn plain(presented: &[String]) -> String {
    let names = presented.iter().map(|name| match name.split_once('"') {
        Some((_, rest)) => rest.split('"').next().unwrap_or(rest),
        None => name,
    });
    names.collect::<Vec<_>>().join(", ")
}

fn name_fix() -> &'static str {
    "use a host name that it holds (hostaddr says where that is), or sslmode=verify-ca to check \
     the CA alone"
}

/// The server closed the handshake; what it may have against us is our certificate.
fn alert_received(alert: AlertDescription) -> (String, String) {
    use AlertDescription as A;
    match alert {
        A::UnknownCA
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::DecryptError
        | A::AccessDenied => (
            format!("the server refuses our certificate ({alert:?})"),
            "give one in sslcert and sslkey that is signed by the CA in the server's ssl_ca_file"
                .to_owned(),
        ),
        A::CertificateRequired => (
            "the server demands a client certificate".to_owned(),
            "give one in sslcert and its key in sslkey".to_owned(),
        ),
        A::UnrecognisedName => (
            "the server does not know the name it is called by".to_owned(),
            "use another host name, or sslsni=0 to tell it none".to_owned(),
        ),
        alert => (
            format!("the server breaks the handshake off ({alert:?})"),
            "look into the server's log".to_owned(),
        ),
    }
}
