//! HTTP to servers outside the cluster: how a client is set up, how much of an answer is taken, and why there is none.

use std::{error::Error, io, time::Duration};

use bytes::{Bytes, BytesMut};

/// A client that trusts what the machine trusts.
///
/// # Errors
/// When there can be no HTTP client.
pub(crate) fn client(
    timeout: Duration,
    system_proxy: bool,
    redirects: impl Fn() -> reqwest::redirect::Policy,
) -> Result<reqwest::Client, reqwest::Error> {
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("modelship/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .referer(false)
            .redirect(redirects());
        if system_proxy { builder } else { builder.no_proxy() }
    };
    builder().build().or_else(|error| {
        // A machine without a certificate store can still ask servers without TLS; with TLS each says what is wrong.
        tracing::warn!(%error, "no trusted certificates found: servers with TLS cannot be asked");
        builder().tls_certs_only([]).build()
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

/// Why a request got no answer, in fixed words: those of the libraries hold ports, addresses and times, which change by
/// themselves. `not_tls` tells how a server without TLS is reached.
pub(crate) fn cause(error: &reqwest::Error, not_tls: &'static str) -> &'static str {
    if error.is_timeout() {
        return "it does not answer in time";
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tls_cause(tls).unwrap_or(not_tls);
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return tls_cause(tls).unwrap_or(not_tls);
            }
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return "the connection is refused",
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                    return "it closes the connection";
                }
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => return "there is no route to it",
                _ => {}
            }
        }
        // hyper-util keeps its type to itself; its text is fixed.
        if error.to_string() == "dns error" {
            return "its name cannot be resolved";
        }
        next = error.source();
    }
    if error.is_connect() { "no connection can be made" } else { "it closes the connection without an answer" }
}

fn tls_cause(error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError as C;
    let rustls::Error::InvalidCertificate(certificate) = error else { return None };
    Some(match certificate {
        C::Expired | C::ExpiredContext { .. } => "its certificate has expired",
        C::NotValidYet | C::NotValidYetContext { .. } => "its certificate is not valid yet (or a clock is wrong)",
        C::UnknownIssuer => "its certificate is signed by an authority that the operator does not know",
        C::NotValidForName | C::NotValidForNameContext { .. } => "its certificate is for another name",
        _ => "its certificate is not accepted",
    })
}
