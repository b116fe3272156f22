//! What the proxy hands to the reading room: one request and its answer, as far as they were copied.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};

/// One request and its answer. Large pieces are shared with what was forwarded, small ones are copies.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: Method,
    /// The path that the model was asked for, after aliases, without the query.
    pub path: String,
    pub status: StatusCode,
    pub request: Captured,
    pub answer: Captured,
}

/// The beginning of a body, in the pieces in which it passed.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    pub content_type: Option<HeaderValue>,
    pub content_encoding: Option<HeaderValue>,
    pub pieces: Vec<Bytes>,
    /// Bytes that passed in all, those not captured included.
    pub length: u64,
    /// Whether `pieces` holds the body from its first to its last byte.
    pub whole: bool,
}

impl Captured {
    /// Bytes held in `pieces`.
    pub fn held(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}
