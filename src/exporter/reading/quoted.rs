//! JSON within texts: a handler has called `json.dumps`, and its framework once more.

use std::ops::Range;

use super::{
    fields::{self, LISTS},
    json::{self, Next, Scanner},
};

/// Whether at this place a text stands that begins as a list or an object does.
pub(super) fn quotes(body: &[u8], at: usize) -> bool {
    matches!(body.get(at..), Some([b'"', b'[' | b'{', ..]))
}

/// An answer in which texts where predictions should be are replaced by what they hold, if that is JSON, and no text that the
/// `classes` name. `None` when there is no such text.
pub(super) fn unquoted(body: &[u8], names_a_class: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut scanner = Scanner::new(body, true);
    let (mut plain, mut copied) = (Vec::new(), 0);
    let mut take = |scanner: &Scanner<'_>, span: Range<usize>| {
        let text = Scanner::new(scanner.within(&span), true).text().ok()?.decode(span.len());
        if json::is_json(text.as_bytes()) && !names_a_class(&text) {
            plain.extend_from_slice(scanner.within(&(copied..span.start)));
            plain.extend_from_slice(text.as_bytes());
            copied = span.end;
        }
        Some(())
    };
    if scanner.next() == Ok(Next::Object) {
        let read = scanner.object(|scanner, key| {
            let may_hold = fields::rank(key).is_some() || LISTS.iter().any(|name| key.is(name));
            let span = scanner.span()?;
            if may_hold && quotes(body, span.start) {
                take(scanner, span);
            }
            Ok(())
        });
        read.ok()?;
    } else {
        let span = scanner.span().ok()?;
        take(&scanner, span);
    }
    (copied > 0).then(|| [&plain, body.get(copied..).unwrap_or_default()].concat())
}
