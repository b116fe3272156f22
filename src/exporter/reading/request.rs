//! How many rows a request asks for. Needed only when its answer does not say.

use super::json::{Next, Scanner, Stop};

/// What a body is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    /// A text that may be JSON all the same: frameworks call whatever a handler returns so.
    Text,
    Other,
}

impl Format {
    /// A body without a content type is tried as JSON, as model servers do.
    pub fn of(content_type: Option<&http::HeaderValue>) -> Self {
        let Some(value) = content_type else { return Self::Json };
        let value = value.as_bytes();
        let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
        let kind = value.get(..end).unwrap_or_default().trim_ascii();
        if kind.eq_ignore_ascii_case(b"application/json") {
            return Self::Json;
        }
        let tail = |length: usize| kind.len().checked_sub(length).and_then(|start| kind.get(start..));
        let json = |tail: &[u8]| tail.eq_ignore_ascii_case(b"+json") || tail.eq_ignore_ascii_case(b"/json");
        if kind.is_empty() || tail(5).is_some_and(json) {
            Self::Json
        } else if [&b"text/plain"[..], b"text/html"].iter().any(|text| kind.eq_ignore_ascii_case(text)) {
            Self::Text
        } else if kind.eq_ignore_ascii_case(b"text/csv") {
            Self::Csv
        } else {
            Self::Other
        }
    }
}

/// The rows that a whole request asks for; none when that cannot be told.
pub fn rows(body: &[u8], format: Format) -> Option<usize> {
    match format {
        Format::Json | Format::Text => json(body).ok().flatten(),
        Format::Csv => Some(csv(body)),
        Format::Other => None,
    }
}

fn json(body: &[u8]) -> Result<Option<usize>, Stop> {
    let mut scanner = Scanner::new(body, true);
    let mut rows = None;
    match scanner.next()? {
        Next::Object => scanner.object(|scanner, key| {
            let found = if key.is("dataframe_split") {
                split(scanner)?
            } else if key.is("inputs") {
                inputs(scanner)?
            } else if key.is("dataframe_records") || key.is("instances") {
                list_or_columns(scanner)?
            } else if key.is("messages") {
                scanner.skip()?;
                Some(1)
            } else if key.is("prompt") || key.is("input") {
                match scanner.next()? {
                    Next::List => Some(length(scanner)?),
                    _ => scanner.skip().map(|()| Some(1))?,
                }
            } else {
                scanner.skip()?;
                None
            };
            rows = rows.or(found);
            Ok(())
        })?,
        Next::List => rows = Some(length(&mut scanner)?),
        _ => scanner.skip()?,
    }
    scanner.end()?;
    Ok(rows)
}

fn length(scanner: &mut Scanner<'_>) -> Result<usize, Stop> {
    let mut length = 0;
    scanner.list(|scanner| {
        length += 1;
        scanner.skip()
    })?;
    Ok(length)
}

fn split(scanner: &mut Scanner<'_>) -> Result<Option<usize>, Stop> {
    let mut rows = None;
    if scanner.next()? != Next::Object {
        return scanner.skip().map(|()| None);
    }
    scanner.object(|scanner, key| {
        if key.is("data") && scanner.next()? == Next::List {
            rows = Some(length(scanner)?);
            return Ok(());
        }
        scanner.skip()
    })?;
    Ok(rows)
}

/// A list of rows, or a map of columns: the length of its first one.
fn list_or_columns(scanner: &mut Scanner<'_>) -> Result<Option<usize>, Stop> {
    match scanner.next()? {
        Next::List => length(scanner).map(Some),
        Next::Object => {
            let mut rows = None;
            scanner.object(|scanner, _| {
                if rows.is_none() {
                    rows = Some(match scanner.next()? {
                        Next::List => length(scanner)?,
                        _ => scanner.skip().map(|()| 1)?,
                    });
                    return Ok(());
                }
                scanner.skip()
            })?;
            Ok(rows)
        }
        _ => scanner.skip().map(|()| Some(1)),
    }
}

/// MLflow's `inputs`, or the tensors of the Open Inference protocol, whose shape begins with the number of rows.
fn inputs(scanner: &mut Scanner<'_>) -> Result<Option<usize>, Stop> {
    if scanner.next()? != Next::List {
        return list_or_columns(scanner);
    }
    let (mut items, mut first) = (0, None);
    scanner.list(|scanner| {
        items += 1;
        if items > 1 || scanner.next()? != Next::Object {
            return scanner.skip();
        }
        let (mut size, mut typed) = (None, false);
        scanner.object(|scanner, key| {
            typed |= key.is("datatype");
            if !key.is("shape") || scanner.next()? != Next::List {
                return scanner.skip();
            }
            scanner.list(|scanner| {
                if size.is_none() && scanner.next()? == Next::Number {
                    size = Some(scanner.number()?);
                    return Ok(());
                }
                scanner.skip()
            })
        })?;
        first = size.filter(|size| typed && (0.0..1e9).contains(size)).map(|size| size as usize);
        Ok(())
    })?;
    Ok(first.or(Some(items)))
}

/// Records of a CSV text below its header, as pandas counts them: empty lines are none, and a line break between
/// quotation marks ends no record.
fn csv(body: &[u8]) -> usize {
    let (mut records, mut quoted, mut empty) = (0_usize, false, true);
    for &byte in body {
        match byte {
            b'\n' | b'\r' if !quoted => {
                records += usize::from(!empty);
                empty = true;
            }
            b' ' | b'\t' => {}
            byte => {
                quoted ^= byte == b'"';
                empty = false;
            }
        }
    }
    (records + usize::from(!empty)).saturating_sub(1)
}
