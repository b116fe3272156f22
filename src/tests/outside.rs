//! Real TLS servers with certificates of an authority made for the test, and what is said when they are not believed.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};

use super::*;

/// What is wrong with a server, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    OtherName,
    Expired,
    NotValidYet,
    /// It shows the authority's own certificate.
    Authority,
    /// It wants to see a client's certificate.
    WantsCertificate,
    /// It speaks HTTP.
    NoTls,
}

/// A server on the machine itself that answers every request with `{}`.
pub(crate) struct Server {
    /// `127.0.0.1:…`
    pub host: String,
    /// The authority's certificate, in PEM.
    pub authority: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn shown(fault: Fault, authority: &CertifiedIssuer<'static, KeyPair>) -> (CertificateDer<'static>, KeyPair) {
    let name = if fault == Fault::OtherName { "registry.example.org" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match fault {
        Fault::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Fault::NotValidYet => params.not_before = date_time_ymd(4000, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap().der().clone(), key)
}

fn settings(fault: Fault, authority: &CertifiedIssuer<'static, KeyPair>) -> ServerConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = match fault {
        Fault::Authority => (authority.der().clone(), authority.key().serialize_der()),
        _ => {
            let (certificate, key) = shown(fault, authority);
            (certificate, key.serialize_der())
        }
    };
    let builder = ServerConfig::builder();
    let builder = if fault == Fault::WantsCertificate {
        let mut clients = RootCertStore::empty();
        clients.add(authority.der().clone()).unwrap();
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(clients)).build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(vec![certificate], PrivateKeyDer::try_from(key).unwrap()).unwrap()
}

impl Server {
    pub async fn start(fault: Fault) -> Self {
        let authority = authority();
        let acceptor = TlsAcceptor::from(Arc::new(settings(fault, &authority)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match fault {
                        Fault::NoTls => answer(socket).await,
                        _ => answer(acceptor.accept(socket).await?).await,
                    }
                });
            }
        });
        Self { host, authority: authority.pem() }
    }

    /// Bundles that do not know the authority, and that do.
    pub fn bundles(&self) -> [TrustedCa; 2] {
        [TrustedCa::default(), TrustedCa::read(self.authority.as_bytes()).unwrap()]
    }
}

async fn answer<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let _ = stream.read(&mut [0; 4096]).await?;
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

async fn cause_of(server: &Server, trusted: &TrustedCa) -> Option<Cause> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = client(Duration::from_secs(10), false, trusted, reqwest::redirect::Policy::none).unwrap();
    let result = client.get(format!("https://{}/", server.host)).send().await;
    result.err().map(|error| cause(&error, "Do without TLS"))
}

#[tokio::test]
async fn a_server_of_a_private_authority_is_believed_once_the_authority_is_named() {
    let server = Server::start(Fault::None).await;
    let [public, named] = server.bundles();
    let cause = cause_of(&server, &public).await.unwrap();
    assert_eq!(cause.what, "its certificate is signed by an authority that Modelship does not know");
    assert!(cause.remedy.unwrap().contains("trustedCA.configMap"), "{cause:?}");
    assert_eq!(cause_of(&server, &named).await, None);
    let both = format!("{}{}", Server::start(Fault::None).await.authority, server.authority);
    assert_eq!(cause_of(&server, &TrustedCa::read(both.as_bytes()).unwrap()).await, None, "one of several");
}

#[tokio::test]
async fn each_fault_of_tls_is_told_as_what_it_is_with_its_remedy() {
    for (fault, what, remedy) in [
        (Fault::OtherName, "its certificate is for another name", "subjectAltName"),
        (Fault::Expired, "its certificate has expired", "Renew it"),
        (Fault::NotValidYet, "its certificate is not valid yet", "clocks"),
        (Fault::Authority, "its certificate is an authority's own (CA:TRUE), which no server may show", "CA:FALSE"),
        (Fault::WantsCertificate, "it asks for a client's certificate, and Modelship has none", "tokens"),
        (Fault::NoTls, "what answers there does not speak TLS", "Do without TLS"),
    ] {
        let server = Server::start(fault).await;
        let cause = cause_of(&server, &server.bundles()[1]).await;
        let cause = cause.unwrap_or_else(|| panic!("{fault:?} is no fault"));
        assert_eq!(cause.what, what, "{fault:?}");
        assert!(cause.remedy.is_some_and(|words| words.contains(remedy)), "{fault:?}: {cause:?}");
    }
}

#[test]
fn only_where_both_have_no_tls_in_common_is_the_server_asked_for_another() {
    use rustls::{AlertDescription as A, Error as E, PeerIncompatible};
    for (error, breaks_off) in [
        (E::AlertReceived(A::HandshakeFailure), false),
        (E::AlertReceived(A::ProtocolVersion), false),
        (E::AlertReceived(A::InsufficientSecurity), false),
        (E::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), false),
        (E::AlertReceived(A::InternalError), true),
        (E::AlertReceived(A::AccessDenied), true),
        (E::DecryptError, true),
    ] {
        let cause = tls_cause(&error, "Do without TLS");
        assert_eq!(cause.what == "it breaks off the TLS handshake", breaks_off, "{error}");
        assert_eq!(cause.remedy == Some("See its log"), breaks_off, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_middle_of_the_handshake_is_no_matter_of_certificates() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let server = Server { host, authority: String::new() };
    let cause = cause_of(&server, &TrustedCa::default()).await.unwrap();
    assert_eq!(cause, Cause { what: "it closes the connection", remedy: None });
}

#[test]
fn a_bundle_that_cannot_be_used_is_refused_at_the_start() {
    let authority = authority().pem();
    assert_eq!(TrustedCa::read(b"").unwrap_err(), TrustedCaError::Empty);
    assert_eq!(TrustedCa::read(b"# only a comment\n").unwrap_err(), TrustedCaError::Empty);
    let half = format!("{authority}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(TrustedCa::read(half.as_bytes()).unwrap_err(), TrustedCaError::Broken(1));
    assert!(TrustedCa::read(format!("a comment before\n{authority}").as_bytes()).is_ok());
}
