//! Which headers end here: those about the connection, in both directions (RFC 9110, 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, Entry},
};

/// Headers of a message, in either direction; hyper's own limit is 100. What is too long is refused by its bytes.
pub const MOST: usize = 512;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Which headers about the connection a message has, one bit each, so that one pass over the headers finds all and a
/// usual message pays for no removal.
#[derive(Clone, Copy, Default)]
struct Found(u16);

impl Found {
    const CONNECTION: u16 = 1;
    const KEEP_ALIVE: u16 = 1 << 1;
    const TE: u16 = 1 << 2;
    const TRANSFER_ENCODING: u16 = 1 << 3;
    const UPGRADE: u16 = 1 << 4;
    const PROXY_CONNECTION: u16 = 1 << 5;
    const PROXY_AUTHENTICATE: u16 = 1 << 6;
    const PROXY_AUTHORIZATION: u16 = 1 << 7;
    const HTTP2_SETTINGS: u16 = 1 << 8;

    fn bit(name: &HeaderName) -> u16 {
        match *name {
            header::CONNECTION => Self::CONNECTION,
            header::TE => Self::TE,
            header::TRANSFER_ENCODING => Self::TRANSFER_ENCODING,
            header::UPGRADE => Self::UPGRADE,
            header::PROXY_AUTHENTICATE => Self::PROXY_AUTHENTICATE,
            header::PROXY_AUTHORIZATION => Self::PROXY_AUTHORIZATION,
            _ => match name.as_str() {
                "keep-alive" => Self::KEEP_ALIVE,
                "proxy-connection" => Self::PROXY_CONNECTION,
                "http2-settings" => Self::HTTP2_SETTINGS,
                _ => 0,
            },
        }
    }

    fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }
}

/// What a request's headers say that the proxy must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub hosts: usize,
    /// It says that it is the kubelet, which asks whether the model lives; that is no user's request.
    pub probe: bool,
    /// The client asks to speak another protocol on this connection, and the model is asked, too.
    pub upgrade: bool,
}

/// Takes out of a request what is about the client's connection. An upgrade goes on where it `may`.
pub fn of_request(headers: &mut HeaderMap, may_upgrade: bool) -> Seen {
    let mut found = Found::default();
    let mut seen = Seen { hosts: 0, probe: false, upgrade: false };
    let mut expects = false;
    for (name, value) in &*headers {
        match *name {
            header::HOST => seen.hosts += 1,
            header::USER_AGENT => seen.probe |= value.as_bytes().starts_with(b"kube-probe/"),
            header::EXPECT => expects = true,
            _ => found.0 |= Found::bit(name),
        }
    }
    if expects {
        headers.remove(header::EXPECT);
    }
    if found.0 != 0 {
        let trailers = found.has(Found::TE) && accepts_trailers(headers);
        let codings = codings(headers, found);
        let upgrade = if may_upgrade { upgrade(headers, found) } else { None };
        remove(headers, found);
        if let Some(codings) = codings {
            headers.insert(header::TRANSFER_ENCODING, codings);
        }
        if let Some(protocol) = upgrade {
            seen.upgrade = true;
            headers.insert(header::CONNECTION, UPGRADE);
            headers.insert(header::UPGRADE, protocol);
        }
        if trailers {
            headers.insert(header::TE, TRAILERS);
        }
    }
    seen
}

/// Takes out of an answer what is about the model's connection.
pub fn of_answer(headers: &mut HeaderMap) {
    let found = headers.keys().fold(Found::default(), |found, name| Found(found.0 | Found::bit(name)));
    if found.0 != 0 {
        let codings = codings(headers, found);
        remove(headers, found);
        if found.has(Found::TRANSFER_ENCODING) {
            // hyper has gone by the chunks, and would write the body by this length (RFC 9112, 6.3).
            headers.remove(header::CONTENT_LENGTH);
        }
        if let Some(codings) = codings {
            headers.insert(header::TRANSFER_ENCODING, codings);
        }
    }
}

/// Takes out of an answer what is about the model's connection, but for the protocol that is spoken from here on, or that a
/// client should ask for (426).
pub fn of_switch(headers: &mut HeaderMap) {
    let protocol = headers.get(header::UPGRADE).cloned();
    of_answer(headers);
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, protocol);
    }
}

/// The protocol that is asked for. HTTP/2 (`h2c`) is not among them: who speaks it with us does so from the start.
fn upgrade(headers: &HeaderMap, found: Found) -> Option<HeaderValue> {
    if !(found.has(Found::UPGRADE) && found.has(Found::CONNECTION)) {
        return None;
    }
    let names = |name, wanted: &[u8]| {
        headers.get_all(name).iter().flat_map(tokens).any(|token| token.eq_ignore_ascii_case(wanted))
    };
    let asked = names(header::CONNECTION, b"upgrade") && !names(header::UPGRADE, b"h2c");
    headers.get(header::UPGRADE).filter(|_| asked).cloned()
}

/// What the body was put through before it was cut into chunks, which nobody undoes here, so that the other side must hear of
/// it. `None` when that was nothing.
fn codings(headers: &HeaderMap, found: Found) -> Option<HeaderValue> {
    if !found.has(Found::TRANSFER_ENCODING) {
        return None;
    }
    let mut all = Vec::new();
    for coding in headers.get_all(header::TRANSFER_ENCODING).iter().flat_map(tokens) {
        if !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity") {
            all.extend_from_slice(coding);
            all.extend_from_slice(b", ");
        }
    }
    if all.is_empty() {
        return None;
    }
    all.extend_from_slice(b"chunked");
    HeaderValue::from_bytes(&all).ok()
}

/// hyper sends no body with GET, HEAD and the like unless it is told that there is one.
pub fn say_chunked(headers: &mut HeaderMap) {
    headers.entry(header::TRANSFER_ENCODING).or_insert(CHUNKED);
}

/// Appends the client's address.
pub fn forwarded_for(headers: &mut HeaderMap, client: &HeaderValue) {
    match headers.entry(X_FORWARDED_FOR) {
        Entry::Vacant(entry) => {
            entry.insert(client.clone());
        }
        Entry::Occupied(mut entry) => {
            let mut all = Vec::new();
            for value in entry.iter() {
                all.extend_from_slice(value.as_bytes());
                all.extend_from_slice(b", ");
            }
            all.extend_from_slice(client.as_bytes());
            if let Ok(value) = HeaderValue::from_bytes(&all) {
                entry.insert(value);
            }
        }
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers")))
}

fn remove(headers: &mut HeaderMap, found: Found) {
    if found.has(Found::CONNECTION) {
        // The usual two name no header, and what a message cannot do without is no one's to take away.
        const KEPT: [&[u8]; 4] = [b"keep-alive", b"close", b"host", b"content-length"];
        let named = headers.get_all(header::CONNECTION).iter().flat_map(tokens);
        let named: Vec<HeaderName> = named
            .filter(|name| !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept)))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for (bit, name) in [
        (Found::CONNECTION, header::CONNECTION),
        (Found::KEEP_ALIVE, KEEP_ALIVE),
        (Found::TE, header::TE),
        (Found::TRANSFER_ENCODING, header::TRANSFER_ENCODING),
        (Found::UPGRADE, header::UPGRADE),
        (Found::PROXY_CONNECTION, PROXY_CONNECTION),
        (Found::PROXY_AUTHENTICATE, header::PROXY_AUTHENTICATE),
        (Found::PROXY_AUTHORIZATION, header::PROXY_AUTHORIZATION),
        (Found::HTTP2_SETTINGS, HTTP2_SETTINGS),
    ] {
        if found.has(bit) {
            headers.remove(name);
        }
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

#[cfg(test)]
#[path = "tests/headers.rs"]
mod tests;
