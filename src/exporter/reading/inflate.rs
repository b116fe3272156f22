//! Answers that are compressed: gzip, as FastAPI's and MLServer's middleware send it to clients that take it.

use std::io::{ErrorKind, Read as _};

use flate2::bufread::GzDecoder;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// None for one that is not read.
    pub fn of(header: Option<&http::HeaderValue>) -> Option<Self> {
        let name = header.map_or(&b""[..], |value| value.as_bytes().trim_ascii());
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if name.is_empty() || is(b"identity") {
            return Some(Self::Plain);
        }
        (is(b"gzip") || is(b"x-gzip")).then_some(Self::Gzip)
    }
}

/// Puts what a body holds into `plain`, `limit` bytes at the most: a small body may hold gigabytes. Whether that is all.
/// Of a body that is no gzip there is what came before it broke.
pub(super) fn gunzip(body: &[u8], limit: usize, plain: &mut Vec<u8>) -> bool {
    plain.clear();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = GzDecoder::new(body).take(most);
    let mut piece = [0; 4096];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => plain.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    let whole = plain.len() <= limit;
    plain.truncate(limit);
    whole
}
