//! Pages of pods: plain HTTP to an address within the cluster, bounded in time and size.

use std::time::Duration;

use futures::StreamExt as _;

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
