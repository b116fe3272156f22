//! Request targets as clients write them.
//!
//! `"`, `<`, `>`, a backtick and bytes from 0x80 on belong percent-encoded, yet many clients send them as they are, and servers
//! take them; hyper refuses some. So they are masked before hyper sees them, byte for byte, so that nothing moves, and stand again
//! in what is written to the model.

use http::{Uri, uri::PathAndQuery};

/// What hyper sees instead.
const MASK: u8 = b'_';
/// Bytes of a request line that is remembered while it comes in pieces.
const LONGEST: usize = 64 * 1024;

fn odd(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`') || byte >= 0x80
}

/// A target as the client wrote it; kept with a request whose own is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(Vec<u8>);

impl Raw {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Without the fragment, which ends here. `None` when this is no target with that mask.
    pub fn behind(mut self, uri: &Uri) -> Option<Self> {
        let masked = uri.path_and_query()?.as_str().as_bytes();
        self.0.truncate(masked.len());
        let same = |(raw, seen): (&u8, &u8)| raw == seen || (odd(*raw) && *seen == MASK);
        if self.0.len() != masked.len() || !self.0.iter().zip(masked).all(same) {
            return None;
        }
        // `http://host?query` is written with the slash that it lacks.
        if self.0.starts_with(b"?") {
            self.0.insert(0, b'/');
        }
        Some(self)
    }

    /// The same target with another path; `length` is that of the old one.
    pub fn rename(&mut self, length: usize, path: &str) {
        self.0.splice(..length, path.bytes());
    }
}

/// Looks for the request line in the bytes that come.
#[derive(Default)]
pub struct RequestLine {
    /// The next byte belongs to it.
    open: bool,
    /// As much of it as has come, unless it comes at once.
    begun: Vec<u8>,
}

impl RequestLine {
    /// A head begins.
    pub fn begin(&mut self) {
        self.open = true;
        self.begun.clear();
    }

    /// Masks what hyper would refuse. Returns the target when it is whole and any of it was masked.
    pub fn pass(&mut self, data: &mut [u8]) -> Option<Raw> {
        if !self.open {
            return None;
        }
        let mut strange = false;
        let end = data.iter().position(|byte| {
            strange |= odd(*byte);
            *byte == b'\n'
        });
        match end {
            // Nearly every request ends here.
            Some(_) if !strange && self.begun.is_empty() => {
                self.open = false;
                None
            }
            Some(end) if self.begun.is_empty() => {
                self.open = false;
                let at = target(&data[..end])?;
                let raw = data[at.clone()].to_vec();
                if PathAndQuery::try_from(&*raw).is_ok() {
                    return None;
                }
                mask(&mut data[at]);
                Some(Raw(raw))
            }
            _ => self.pass_piece(data, end, strange),
        }
    }

    fn pass_piece(&mut self, data: &mut [u8], end: Option<usize>, strange: bool) -> Option<Raw> {
        let length = end.unwrap_or(data.len());
        let piece = &mut data[..length];
        self.begun.extend_from_slice(piece);
        if strange {
            mask(piece);
        }
        // hyper refuses a longer one.
        self.open = end.is_none() && self.begun.len() < LONGEST;
        end?;
        let line = std::mem::take(&mut self.begun);
        if !line.iter().any(|byte| odd(*byte)) {
            return None;
        }
        // Where this is no target that can be restored, nothing will fit it, and the request is refused.
        let target = target(&line).filter(|at| !line[..at.start].iter().any(|byte| odd(*byte)));
        Some(Raw(target.map(|at| line[at].to_vec()).unwrap_or_default()))
    }
}

fn mask(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| odd(**byte)) {
        *byte = MASK;
    }
}

/// Where the target's path and query stand in a request line, behind a scheme and a host or without them.
fn target(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = line.iter().position(|byte| *byte == b' ')? + 1;
    let end = start + line[start..].iter().position(|byte| *byte == b' ')?;
    if !line[end..].starts_with(b" HTTP/1.") {
        return None;
    }
    if line[start..].starts_with(b"/") {
        return Some(start..end);
    }
    let host = start + line[start..end].windows(3).position(|bytes| bytes == b"://")? + 3;
    let path = host + line[host..end].iter().position(|byte| matches!(byte, b'/' | b'?'))?;
    Some(path..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(pieces: &[&[u8]]) -> (Vec<u8>, Option<Raw>) {
        let (mut line, mut seen, mut raw) = (RequestLine::default(), Vec::new(), None);
        line.begin();
        for piece in pieces {
            let mut piece = piece.to_vec();
            raw = raw.or(line.pass(&mut piece));
            seen.extend(piece);
        }
        (seen, raw)
    }

    const ODD: &[u8] = b"GET /a?q=\"<\xe9>\" HTTP/1.1\r\nx: \"\xe9\"\r\n\r\n";
    const MASKED: &[u8] = b"GET /a?q=_____ HTTP/1.1\r\nx: \"\xe9\"\r\n\r\n";

    #[test]
    fn what_hyper_refuses_is_masked_wherever_the_line_is_cut_and_nothing_else_is() {
        let raw = Some(Raw(b"/a?q=\"<\xe9>\"".to_vec()));
        assert_eq!(pass(&[ODD]), (MASKED.to_vec(), raw.clone()));
        for cut in 1..ODD.len() {
            assert_eq!(pass(&[&ODD[..cut], &ODD[cut..]]), (MASKED.to_vec(), raw.clone()), "{cut}");
        }
    }

    #[test]
    fn what_hyper_takes_stays() {
        for line in ["GET /a?{%22}|^ HTTP/1.1\r\n", "GET /\u{e9}?\u{e9} HTTP/1.1\r\n", "GET /\" HTTP/1.1\r\n", "\r\n\""]
        {
            assert_eq!(pass(&[line.as_bytes()]), (line.as_bytes().to_vec(), None), "{line}");
        }
    }

    #[test]
    fn a_target_is_restored_only_behind_its_own_mask() {
        let raw = Raw(b"/a?<b>#c".to_vec());
        assert_eq!(raw.clone().behind(&Uri::from_static("/a?_b_")), Some(Raw(b"/a?<b>".to_vec())));
        for other in ["/a?_c_", "/_?_b_", "/a?_b_______", "http://h/a?_c_"] {
            assert_eq!(raw.clone().behind(&Uri::from_static(other)), None, "{other}");
        }
    }

    #[test]
    fn an_alias_leaves_the_query_as_it_was() {
        let mut raw = Raw(b"/predict?<".to_vec());
        raw.rename("/predict".len(), "/invocations");
        assert_eq!(raw.bytes(), b"/invocations?<");
    }
}
