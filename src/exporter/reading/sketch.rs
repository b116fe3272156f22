//! What an answer looks like, for people who look for the setting that reads it: its structure and never a value.

use std::fmt::Write as _;

use super::{
    fields::{self, identifier},
    json::{Next, Scanner, Stop},
    path::Path,
};

/// Names that are shown of one answer. All others are `…`, as is what stands deeper than [`DEPTH`].
const NAMES: usize = 8;
const DEPTH: usize = 4;
/// Bytes of a sketch.
const LONGEST: usize = 200;

/// What is told of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Such as `{"data": {"ndarray": [[number ×3] ×2]}}`.
    pub sketch: String,
    /// From the whole answer to what may be its predictions; empty when nothing is.
    pub path: String,
}

/// The shape of a body, or of what there is of it.
pub(super) fn of(body: &[u8], whole: bool) -> Shape {
    let mut sketch = Sketch { text: String::new(), names: 0 };
    if sketch.value(&mut Scanner::new(body, whole), 0).is_err() {
        sketch.text.push('…');
    }
    let path = guess(body, Path::root(), 0).map(|path| path.to_string()).unwrap_or_default();
    Shape { sketch: cut(sketch.text), path }
}

/// A few words in place of a sketch.
pub(super) fn said(sketch: String) -> Shape {
    Shape { sketch: cut(sketch), path: String::new() }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - '…'.len_utf8()));
        text.push('…');
    }
    text
}

struct Sketch {
    text: String,
    names: usize,
}

impl Sketch {
    fn value(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Stop> {
        let next = scanner.next()?;
        if depth >= DEPTH && matches!(next, Next::List | Next::Object) {
            self.text.push('…');
            return scanner.skip();
        }
        match next {
            Next::List => self.list(scanner, depth),
            Next::Object => self.object(scanner, depth),
            other => {
                self.text.push_str(word(other));
                scanner.skip()
            }
        }
    }

    /// The first item, and how many there are; an ellipsis when others are of another kind.
    fn list(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Stop> {
        let (mut items, mut first, mut mixed) = (0_usize, None, false);
        self.text.push('[');
        let read = scanner.list(|scanner| {
            let next = scanner.next()?;
            items += 1;
            mixed |= first.is_some_and(|first| first != next);
            if first.replace(first.unwrap_or(next)).is_some() {
                return scanner.skip();
            }
            self.value(scanner, depth + 1)
        });
        if mixed {
            self.text.push_str(", …");
        }
        if items > 1 {
            let _ = write!(self.text, " ×{items}");
        }
        self.text.push(']');
        read
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Stop> {
        let (mut members, mut hidden) = (0_usize, 0_usize);
        self.text.push('{');
        let read = scanner.object(|scanner, key| {
            let Some(name) = identifier(key).filter(|_| self.names < NAMES) else {
                hidden += 1;
                return scanner.skip();
            };
            self.names += 1;
            let comma = if members > 0 { ", " } else { "" };
            members += 1;
            let _ = write!(self.text, "{comma}\"{name}\": ");
            self.value(scanner, depth + 1)
        });
        if hidden > 0 {
            let comma = if members > 0 { ", " } else { "" };
            let _ = write!(self.text, "{comma}…: … ×{hidden}");
        }
        self.text.push('}');
        read
    }
}

fn word(next: Next) -> &'static str {
    match next {
        Next::Text => "text",
        Next::Number => "number",
        Next::Bool => "boolean",
        Next::Null => "null",
        Next::List => "list",
        Next::Object => "object",
    }
}

/// The way to the field that is most likely to hold predictions: by its name, else the first that could.
fn guess(value: &[u8], path: Path, depth: usize) -> Option<Path> {
    let mut scanner = Scanner::new(value, false);
    if depth >= DEPTH {
        return None;
    }
    match scanner.next().ok()? {
        Next::Object => {
            let mut best: Option<(usize, Path)> = None;
            // What was read before the body ended counts.
            let _ = scanner.object(|scanner, key| {
                let span = scanner.span()?;
                let rank = fields::rank(key).unwrap_or(fields::UNRANKED);
                let better = best.as_ref().is_none_or(|(other, _)| rank < *other);
                if let Some(name) = identifier(key).filter(|name| better && !fields::is_other(name))
                    && let Some(found) = guess(scanner.within(&span), path.clone().then_key(name), depth + 1)
                {
                    best = Some((rank, found));
                }
                Ok(())
            });
            best.map(|(_, path)| path)
        }
        Next::Null => None,
        _ if depth == 0 => None,
        _ => Some(path),
    }
}
