//! HTTP to servers outside the cluster: how a client is set up, how much of an answer is taken, and why there is none.

use std::{error::Error, io, time::Duration};

use bytes::{Bytes, BytesMut};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// Authorities whose certificates are believed beside the public ones of the machine.
#[derive(Clone, Debug, Default)]
pub struct TrustedCa(Vec<reqwest::Certificate>);

/// Why a bundle of authorities cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedCaError {
    /// Nothing in it looks like a certificate.
    #[error("holds no certificate: write each as PEM, from -----BEGIN CERTIFICATE----- on")]
    Empty,
    /// The PEM cannot be read, or what is in it is no certificate.
    #[error("holds something that is no certificate (after {0} that are): make the bundle anew")]
    Broken(usize),
}

impl TrustedCa {
    /// Reads a bundle in PEM.
    ///
    /// # Errors
    /// When it holds none, or one that cannot be used.
    pub fn read(pem: &[u8]) -> Result<Self, TrustedCaError> {
        let mut authorities = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let broken = TrustedCaError::Broken(authorities.len());
            let certificate = certificate.map_err(|_| broken.clone())?;
            authorities.add(certificate).map_err(|_| broken)?;
        }
        if authorities.is_empty() {
            return Err(TrustedCaError::Empty);
        }
        reqwest::Certificate::from_pem_bundle(pem).map(Self).map_err(|_| TrustedCaError::Broken(0))
    }
}

/// A client that trusts what the machine trusts, and these authorities.
///
/// # Errors
/// When there can be no HTTP client.
pub(crate) fn client(
    timeout: Duration,
    system_proxy: bool,
    trusted: &TrustedCa,
    redirects: impl Fn() -> reqwest::redirect::Policy,
) -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("modelship/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .referer(false)
            .tls_certs_merge(trusted.0.iter().cloned())
            .redirect(redirects());
        if system_proxy { builder } else { builder.no_proxy() }
    };
    builder().build().or_else(|error| {
        // A machine without a certificate store can still ask servers without TLS; with TLS each says what is wrong.
        tracing::warn!(%error, "no trusted certificates found: servers with TLS cannot be asked");
        builder().tls_certs_only(trusted.0.iter().cloned()).build()
    })
}

/// Why a body was not taken.
pub(crate) enum Spoilt {
    TooLong,
    Broken(reqwest::Error),
}

/// A body of at most that many bytes.
pub(crate) async fn body(mut response: reqwest::Response, most: usize) -> Result<Bytes, Spoilt> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Spoilt::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Spoilt::Broken)? {
        if body.len() + chunk.len() > most {
            return Err(Spoilt::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Why there is no answer, and what to do about it: sentences in fixed words, since those of the libraries hold ports,
/// addresses and times, which change by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Continues a sentence.
    pub what: &'static str,
    /// A sentence without its full stop; `None`: look at the way between.
    pub remedy: Option<&'static str>,
}

/// Why a request got no answer. `without_tls` tells how such a server is reached without TLS.
pub(crate) fn cause(error: &reqwest::Error, without_tls: &'static str) -> Cause {
    if let Some(tls) = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return tls_cause(tls, without_tls);
    }
    Cause { what: network_cause(error), remedy: None }
}

/// Why a server was not greeted, if that is a fault of TLS.
pub(crate) fn handshake_fault(error: &io::Error) -> Option<&'static str> {
    let tls = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>())?;
    Some(tls_cause(tls, "").what)
}

/// The errors within an error, outermost first. An `io::Error` holds one that its `source()` leaves out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        held.map_or_else(|| error.source(), |held| Some(held))
    })
}

fn network_cause(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "it does not answer in time";
    }
    for error in chain(error) {
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return "the connection is refused",
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
                return "it closes the connection";
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                return "there is no route to it";
            }
            _ => {}
        }
        // hyper-util keeps its type to itself; its text is fixed.
        if error.to_string() == "dns error" {
            return "its name cannot be resolved";
        }
    }
    if error.is_connect() { "no connection can be made" } else { "it closes the connection without an answer" }
}

fn tls_cause(error: &rustls::Error, without_tls: &'static str) -> Cause {
    use rustls::AlertDescription as A;
    const OTHER_TLS: (&str, &str) =
        ("it and Modelship find no way of TLS in common", "Let it offer TLS 1.2 or 1.3 with a current cipher");
    let (what, remedy) = match error {
        rustls::Error::InvalidCertificate(certificate) => return certificate_cause(certificate),
        rustls::Error::InvalidMessage(_) => ("what answers there does not speak TLS", without_tls),
        rustls::Error::AlertReceived(A::CertificateRequired | A::BadCertificate) => (
            "it asks for a client's certificate, and Modelship has none",
            "Let it take users and passwords or tokens instead",
        ),
        rustls::Error::AlertReceived(A::UnrecognisedName) => {
            ("it does not go by that name", "Write the name that its certificate is for")
        }
        rustls::Error::PeerIncompatible(_) => OTHER_TLS,
        rustls::Error::AlertReceived(A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity) => OTHER_TLS,
        _ => ("it breaks off the TLS handshake", "See its log"),
    };
    Cause { what, remedy: Some(remedy) }
}

fn certificate_cause(error: &rustls::CertificateError) -> Cause {
    use rustls::CertificateError as C;
    let (what, remedy) = match error {
        C::UnknownIssuer => (
            "its certificate is signed by an authority that Modelship does not know",
            "Put the authority's certificate into a ConfigMap beside the operator, and name that in the chart's value \
             trustedCA.configMap",
        ),
        // The library below keeps its type to itself; the word is fixed.
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => (
            "its certificate is an authority's own (CA:TRUE), which no server may show",
            "Give it one that the authority has signed, or make its own anew with basicConstraints CA:FALSE",
        ),
        C::Expired | C::ExpiredContext { .. } => ("its certificate has expired", "Renew it"),
        C::NotValidYet | C::NotValidYetContext { .. } => {
            ("its certificate is not valid yet", "Compare the clocks of both machines")
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => (
            "its certificate is for another name",
            "Write a name that it is for, or have it made for this one, too (subjectAltName)",
        ),
        _ => ("its certificate is not accepted", "Have it made anew by an authority"),
    };
    Cause { what, remedy: Some(remedy) }
}

#[cfg(test)]
#[path = "tests/outside.rs"]
pub(crate) mod tests;
