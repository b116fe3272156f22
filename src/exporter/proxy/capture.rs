//! Copies of the beginnings of bodies, for the reading room.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    blame::Cause,
    exchange::{Captured, Exchange},
    reading::Intake,
};

/// Pieces up to this size are copied. A `Bytes` is a slice of the buffer that a connection read into (up to 64 KiB):
/// kept, it would pin all of it, and make the connection allocate another. Larger ones are shared, and pin at most
/// four times what they hold.
const COPY_BELOW: usize = 16 * 1024;
/// A content type longer than this names nothing that anybody can read.
const LONGEST_TYPE: usize = 256;

/// Who takes the copies. [`Intake`] in production.
pub trait Taker: Send + Sync {
    /// Whether such an exchange should be captured at all; `query` says whether its target has one.
    fn wants(&self, method: &Method, path: &str, query: bool) -> bool;
    /// Bytes of a request worth keeping.
    fn request_limit(&self) -> usize;
    /// Bytes of an answer worth keeping.
    fn answer_limit(&self) -> usize;
    /// Never blocks.
    fn offer(&self, exchange: Exchange);
}

impl Taker for Intake {
    fn wants(&self, method: &Method, path: &str, query: bool) -> bool {
        Self::wants(self, method, path, query)
    }

    fn request_limit(&self) -> usize {
        Self::request_limit(self)
    }

    fn answer_limit(&self) -> usize {
        Self::answer_limit(self)
    }

    fn offer(&self, exchange: Exchange) {
        Self::offer(self, exchange);
    }
}

/// The beginning of a body.
#[derive(Debug, Default)]
pub struct Pieces {
    list: Vec<Bytes>,
    held: usize,
    limit: usize,
}

impl Pieces {
    pub fn up_to(limit: usize) -> Self {
        Self { list: Vec::new(), held: 0, limit }
    }

    /// Bytes that are kept.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn concat(&self) -> Vec<u8> {
        self.list.concat()
    }

    pub fn add(&mut self, data: &Bytes) {
        let room = self.limit - self.held;
        if room == 0 || data.is_empty() {
            return;
        }
        let length = data.len().min(room);
        let piece = if length < COPY_BELOW { Bytes::copy_from_slice(&data[..length]) } else { data.slice(..length) };
        self.list.push(piece);
        self.held += length;
    }
}

/// What is kept of an exchange while it passes.
#[derive(Debug)]
pub struct Capture {
    method: Method,
    path: String,
    query: bool,
    request_type: Option<HeaderValue>,
    request_encoding: Option<HeaderValue>,
    answer_type: Option<HeaderValue>,
    answer_encoding: Option<HeaderValue>,
    pub answer: Pieces,
}

impl Capture {
    /// `query` says whether the target has one.
    pub fn of(method: &Method, path: &str, query: bool, headers: &HeaderMap) -> Self {
        Self {
            query,
            method: method.clone(),
            path: path.to_owned(),
            request_type: detached(headers.get(header::CONTENT_TYPE)),
            request_encoding: detached(headers.get(header::CONTENT_ENCODING)),
            answer_type: None,
            answer_encoding: None,
            answer: Pieces::default(),
        }
    }

    /// Whether the reading room has to do with an answer of this status.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap, limit: usize) -> bool {
        self.answer_type = detached(headers.get(header::CONTENT_TYPE));
        self.answer_encoding = detached(headers.get(header::CONTENT_ENCODING));
        self.answer = Pieces::up_to(limit);
        status.is_success() || (status.is_client_error() && self.answer_type.as_ref().is_some_and(is_json))
    }

    /// Whom an answer blames that the reading room has nothing to do with, where its status blames the wrong one.
    ///
    /// Code that reads JSON without a look at it raises for any other text, and its server answers 500, as for a fault of its
    /// own: Starlette's and aiohttp's `request.json()` do, and MLflow's scoring server on FastAPI for want of a Content-Type, in
    /// plain text. Models also fail by themselves on such a request, so it blames nobody. What asks by the target alone sends
    /// no body, and an image is none that anybody takes for JSON. `is_no_json` tells of the request's body, if it has one.
    pub fn blames(&self, status: StatusCode, is_no_json: Option<impl Fn() -> bool>) -> Option<Cause> {
        if status != StatusCode::INTERNAL_SERVER_ERROR || self.request_encoding.is_some() {
            return None;
        }
        let posts = self.method == Method::POST;
        let plain = || self.answer_type.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let wrong = match (&self.request_type, is_no_json) {
            (Some(kind), _) if !is_json(kind) => false,
            (_, Some(is_no_json)) if is_no_json() => true,
            (Some(_), body) => body.is_none() && posts && !self.query,
            (None, _) => posts && plain(),
        };
        wrong.then_some(Cause::Unclear)
    }

    pub fn exchange(self, status: StatusCode, request: (Pieces, u64, bool), answer_length: u64) -> Exchange {
        let (pieces, length, whole) = request;
        let request = Captured {
            content_type: self.request_type,
            content_encoding: self.request_encoding,
            whole: whole && pieces.held as u64 == length,
            pieces: pieces.list,
            length,
        };
        let answer = Captured {
            content_type: self.answer_type,
            content_encoding: self.answer_encoding,
            whole: self.answer.held as u64 == answer_length,
            pieces: self.answer.list,
            length: answer_length,
        };
        Exchange { method: self.method, path: self.path, status, request, answer }
    }
}

/// The same value without the buffer that it was read into.
fn detached(value: Option<&HeaderValue>) -> Option<HeaderValue> {
    let value = value?.as_bytes();
    if value == b"application/json" {
        return Some(HeaderValue::from_static("application/json"));
    }
    HeaderValue::from_bytes(&value[..value.len().min(LONGEST_TYPE)]).ok()
}

/// `application/json` or `application/problem+json`, with or without parameters.
fn is_json(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    let kind = value[..end].trim_ascii();
    kind.last_chunk::<5>().is_some_and(|end| matches!(end[0], b'/' | b'+') && end[1..].eq_ignore_ascii_case(b"json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_limit_and_small_pieces_are_copies() {
        let big = Bytes::from(vec![1; 64 * 1024]);
        let mut pieces = Pieces::up_to(20_000);
        pieces.add(&big.slice(..10));
        pieces.add(&big);
        pieces.add(&big);
        assert_eq!((pieces.held, pieces.list.len()), (20_000, 2));
        assert_ne!(pieces.list[0].as_ptr(), big.as_ptr(), "a small piece must not pin the buffer");
        assert_eq!(pieces.list[1].as_ptr(), big.as_ptr(), "a large piece is shared");
    }

    #[test]
    fn json_is_told_by_its_type() {
        for (text, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("application/x-ndjson", false),
            ("son", false),
        ] {
            assert_eq!(is_json(&HeaderValue::from_static(text)), json, "{text}");
        }
    }
}
