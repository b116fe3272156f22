//! TLS to a server that a URL names.

use std::sync::Arc;

use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::outside;

/// Believes the authorities that this machine believes.
///
/// # Errors
/// When the machine names none.
pub(super) fn connector() -> Result<TlsConnector, String> {
    let config = ClientConfig::with_platform_verifier();
    let config =
        config.map_err(|error| format!("no authorities of this machine's to believe certificates by: {error}"))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Greets the server, which must show a certificate for this host.
///
/// # Errors
/// What is wrong with the server, as the rest of a sentence.
pub(super) async fn encrypt(tls: &TlsConnector, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("no certificate can be for '{host}'"))?;
    tls.connect(name, stream).await.map_err(|error| match outside::handshake_fault(&error) {
        Some(fault) => fault.to_owned(),
        None => error.to_string(),
    })
}
