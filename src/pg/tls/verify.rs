//! Checks a server's certificate as far as `sslmode` asks, and takes what libpq takes: a name in
//! the subject alone, and a certificate that is itself in the root file.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};

/// id-at-commonName and id-ce-subjectAltName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ALTERNATIVE_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Whoever answers may read along: protects from listeners only.
    Nothing,
    /// Signed by one we trust.
    Chain,
    /// And made out to the host that was asked for.
    ChainAndName,
}

/// Decides on a server's certificate.
pub(super) struct Verifier {
    check: Check,
    roots: RootCertStore,
    /// The same roots as they stand in their file, for servers that present one of them.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        check: Check,
        trusted: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        // One that cannot be parsed is not trusted; it can still be met as it stands.
        roots.add_parsable_certificates(trusted.iter().cloned());
        Self { check, roots, trusted, algorithms: provider.signature_verification_algorithms }
    }

    fn check_chain(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.trusted.iter().any(|trusted| trusted == server) {
            return check_validity(server, now);
        }
        let server = ParsedCertificate::try_from(server)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &server,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
    }
}

/// A certificate that we trust as it stands still runs out.
fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let certificate = parse(certificate)?;
    let validity = certificate.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn check_name(certificate: &CertificateDer<'_>, wanted: &ServerName<'_>) -> Result<(), Error> {
    match common_name(certificate)? {
        Some(name) if names(&name, &wanted.to_str()) => Ok(()),
        Some(name) => Err(CertificateError::NotValidForNameContext {
            expected: wanted.to_owned(),
            presented: vec![format!("{name:?} (common name)")],
        }
        .into()),
        None => verify_server_name(&ParsedCertificate::try_from(certificate)?, wanted),
    }
}

/// The subject's common name, where the certificate has no alternative names: these count alone.
fn common_name(certificate: &CertificateDer<'_>) -> Result<Option<String>, Error> {
    let certificate = parse(certificate)?;
    let body = &certificate.tbs_certificate;
    let mut extensions = body.extensions.iter().flatten();
    if extensions.any(|extension| extension.extn_id == ALTERNATIVE_NAMES) {
        return Ok(None);
    }
    let mut parts = body.subject.0.iter().flat_map(|part| part.0.iter());
    let Some(part) = parts.find(|part| part.oid == COMMON_NAME) else { return Ok(None) };
    let value = &part.value;
    Ok(match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => {
            PrintableStringRef::try_from(value).ok().map(|text| text.as_str().to_owned())
        }
        Tag::Ia5String => Ia5StringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        _ => None,
    })
}

/// Whether a common name covers a host. As in libpq, a wildcard stands for the first label.
fn names(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((label, rest))) if !is_address && !label.is_empty() => {
            domain.contains('.') && domain.eq_ignore_ascii_case(rest)
        }
        _ => false,
    }
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check != Check::Nothing {
            self.check_chain(server, intermediates, now)?;
        }
        if self.check == Check::ChainAndName {
            check_name(server, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.check {
            // Anybody's certificate will do, so that it is the speaker's own proves nothing; and
            // old ones (X.509 version 1) cannot be parsed for it.
            Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
            _ => verify_tls12_signature(message, certificate, signature, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.check {
            Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
            _ => verify_tls13_signature(message, certificate, signature, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({:?}, {} roots)", self.check, self.roots.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(common_name: &str, alternatives: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = alternatives.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn check(check: Check, trusted: &[&CertificateDer<'static>], host: &str) -> Result<(), Error> {
        let provider = rustls::crypto::ring::default_provider();
        let server = certificate("other", &["db.example"]);
        let server = trusted.first().map_or(server, |first| (*first).clone());
        let trusted = trusted.iter().skip(1).map(|&root| root.clone()).collect();
        let verifier = Verifier::new(check, trusted, &provider);
        let name = ServerName::try_from(host).unwrap();
        verifier.verify_server_cert(&server, &[], &name, &[], UnixTime::now()).map(drop)
    }

    #[test]
    fn a_certificate_in_the_root_file_is_good_until_it_runs_out() {
        let own = certificate("own", &["db.example"]);
        check(Check::ChainAndName, &[&own, &own], "db.example").unwrap();
        check(Check::Chain, &[&own, &own], "elsewhere").unwrap();
        check(Check::Nothing, &[&own], "elsewhere").unwrap();
        assert!(check(Check::ChainAndName, &[&own, &own], "elsewhere").is_err());
        assert!(check(Check::Chain, &[&own], "db.example").is_err());
        let late = UnixTime::since_unix_epoch(Duration::from_secs(1 << 40));
        assert_eq!(check_validity(&own, late), Err(CertificateError::Expired.into()));
        let early = UnixTime::since_unix_epoch(Duration::ZERO);
        assert_eq!(check_validity(&own, early), Err(CertificateError::NotValidYet.into()));
    }

    #[test]
    fn the_common_name_counts_where_there_is_no_other() {
        let named = |certificate: &CertificateDer<'_>, host: &'static str| {
            check_name(certificate, &ServerName::try_from(host).unwrap()).is_ok()
        };
        let plain = certificate("DB.example", &[]);
        assert!(named(&plain, "db.example"));
        assert!(!named(&plain, "x.db.example"));
        let both = certificate("cn.example", &["san.example"]);
        assert!(named(&both, "san.example"));
        assert!(!named(&both, "cn.example"));
        let wild = certificate("*.db.example", &[]);
        assert!(named(&wild, "a.db.example"));
        assert!(!named(&wild, "a.b.db.example"));
        assert!(!named(&wild, "db.example"));
        assert!(!named(&certificate("*.example", &[]), "a.example"));
        assert!(named(&certificate("10.0.0.1", &[]), "10.0.0.1"));
        assert!(!named(&certificate("*.0.0.1", &[]), "10.0.0.1"));
        assert!(named(&certificate("x", &["10.0.0.1"]), "10.0.0.1"));
    }
}
