//! Pages of pods: plain HTTP to an address within the cluster, bounded in time and size.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::StreamExt as _;

use crate::api::names;

const PATIENCE: Duration = Duration::from_secs(10);

/// A client for pods. They are asked without TLS: no certificate is needed, and no proxy stands between.
///
/// # Errors
/// When there can be no HTTP client.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("modelship/", env!("CARGO_PKG_VERSION")))
        .timeout(PATIENCE)
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
}

/// The body of an answer that went well, as far as `most` bytes reach.
///
/// # Errors
/// When there is no answer, or one that says that something is wrong.
pub async fn get(request: reqwest::RequestBuilder, most: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut pieces = request.send().await?.error_for_status()?.bytes_stream();
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
        if body.len() >= most {
            break;
        }
    }
    Ok(body)
}

/// Asks exporters for their metrics pages.
pub struct Exporters {
    http: reqwest::Client,
    port: u16,
}

impl Exporters {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::at_port(names::EXPORTER_METRICS)
    }

    /// # Errors
    /// As [`Exporters::new`].
    pub fn at_port(port: u16) -> Result<Self, reqwest::Error> {
        Ok(Self { http: client()?, port })
    }

    /// The page of the exporter at this address, as far as `most` bytes reach; `None` where it cannot be had.
    pub async fn page(&self, address: IpAddr, most: usize) -> Option<String> {
        let url = format!("http://{}/metrics", SocketAddr::new(address, self.port));
        match get(self.http.get(&url), most).await {
            Ok(page) => Some(String::from_utf8_lossy(&page).into_owned()),
            Err(error) => {
                tracing::debug!(url, %error, "an exporter cannot be asked for its page");
                None
            }
        }
    }
}

/// The value of a label, in the text that follows the opening brace.
pub fn label(mut labels: &str, name: &str) -> Option<String> {
    loop {
        let (found, rest) = labels.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        if found == name {
            return Some(value);
        }
        labels = rest.strip_prefix(',')?;
    }
}

/// A text up to its closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}
