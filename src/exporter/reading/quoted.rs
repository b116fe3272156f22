//! JSON within texts: a handler has called `json.dumps`, and its framework once more.

use std::ops::Range;

use super::{
    fields::{self, LISTS},
    json::{self, Next, Scanner, Stop},
};

/// Whether at this place a text stands that begins as a list or an object does.
pub(super) fn quotes(body: &[u8], at: usize) -> bool {
    matches!(body.get(at..), Some([b'"', b'[' | b'{', ..]))
}

/// Whether a row is a text that begins as an object does. A list is none: `"[0, 10)"` is a range, and `"[0, 10]"`, too.
pub(super) fn is_quoted(row: &[u8]) -> bool {
    row.starts_with(b"\"{")
}

/// An answer in which texts where predictions should be are replaced by what they hold, if that is JSON, and no text that the
/// `classes` name. `None` when there is no such text.
pub(super) fn unquoted(body: &[u8], names_a_class: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let mut texts = Vec::new();
    let mut scanner = Scanner::new(body, true);
    gather(&mut scanner, true, &mut texts).ok()?;
    let (mut plain, mut copied) = (Vec::new(), 0);
    for span in texts {
        let text = Scanner::new(scanner.within(&span), true).text().ok()?.decode(span.len());
        if json::is_json(text.as_bytes()) && !names_a_class(&text) {
            plain.extend_from_slice(scanner.within(&(copied..span.start)));
            plain.extend_from_slice(text.as_bytes());
            copied = span.end;
        }
    }
    (copied > 0).then(|| [&plain, body.get(copied..).unwrap_or_default()].concat())
}

/// Finds the texts that may hold a prediction. `first` says that no list is around.
fn gather(scanner: &mut Scanner<'_>, first: bool, texts: &mut Vec<Range<usize>>) -> Result<(), Stop> {
    match scanner.next()? {
        Next::Text => {
            let span = scanner.span()?;
            let text = scanner.within(&span);
            if is_quoted(text) || first && quotes(text, 0) {
                texts.push(span);
            }
            Ok(())
        }
        Next::List => scanner.list(|scanner| gather(scanner, false, texts)),
        Next::Object => scanner.object(|scanner, key| {
            let tensor = !first && (key.is("data") || key.is("values"));
            let may_hold = tensor || first && (fields::rank(key).is_some() || LISTS.iter().any(|name| key.is(name)));
            if may_hold { gather(scanner, first && !tensor, texts) } else { scanner.skip() }
        }),
        _ => scanner.skip(),
    }
}
