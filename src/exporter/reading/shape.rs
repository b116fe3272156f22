//! Lists that are not lists of rows: what looks like several rows, and is one, or two ways to say the same rows.

use std::ops::Range;

use super::{
    answer::{Rows, Wanted},
    fields,
    json::{Next, Scanner, Stop},
    look, map,
    path::{Path, Step},
    row,
    settings::Kind,
};

/// By how much the scores of one row may differ from 1 in sum.
const SUM: f64 = 1e-3;

type Spans = Vec<Range<usize>>;
type Of = (Spans, Items);

/// What the items of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Items {
    Texts,
    Numbers,
    /// Lists of numbers, or objects.
    Nested,
    Mixed,
}

/// Puts right which part of an answer is a row, by the number of rows that were `asked` for, where the request says so.
///
/// * `(labels, probabilities)`: MLflow writes the tuple as a list of two. The rows are those of the labels.
/// * `{labels, scores}`: of one row asked for they are its labels, and which of them it has is not said.
/// * `[{label, score}, …]`: the likeliest classes of the one row asked for. They are one row.
///
/// Whether the number asked for made a difference, or would make one.
pub(super) fn unfold(body: &[u8], rows: &mut Rows, wanted: Wanted<'_>, path: Option<&Path>) -> bool {
    let asked = wanted.asked;
    if wanted.kind == Some(Kind::Labels) && found(body, rows, asked, path) {
        return true;
    }
    if !rows.listed || rows.in_part || rows.flat || rows.at_path || rows.column.is_some() || rows.spans.len() < 2 {
        return false;
    }
    if let Some(object) = rows.pair.take() {
        let one = || look::names_shares(body.get(object.clone()).unwrap_or_default()) == Ok(true);
        if asked.map_or_else(one, |asked| asked == 1) {
            rows.spans.clear();
            rows.spans.push(object);
            rows.listed = false;
        }
        return true;
    }
    let of = |span: &Range<usize>| body.get(span.clone()).unwrap_or_default();
    // One row was asked for, and so many numbers add up to 1.
    let kind = matches!(wanted.kind, None | Some(Kind::Probabilities));
    if let (true, Some(1), Some(first), Some(last)) = (kind, asked, rows.spans.first(), rows.spans.last()) {
        let row = first.start..last.end;
        if look::is_probabilities(&[b"[", of(&row), b"]"].concat(), true) {
            rows.spans.clear();
            rows.spans.push(row);
            rows.flat = true;
            return true;
        }
    }
    if let [first, second] = rows.spans.as_slice()
        && let Some((labels, others)) = tuple(of(first), of(second), asked)
    {
        let (start, items) = match path.map(Path::steps) {
            None | Some([]) => (first.start, labels),
            // The path leads to one of the two lists.
            Some([Step::Position(0)]) => (first.start, labels),
            Some([Step::Position(1)]) => (second.start, others),
            Some(_) => return false,
        };
        rows.at_path = path.is_some_and(|path| !path.steps().is_empty());
        rows.spans = items.into_iter().map(|item| item.start + start..item.end + start).collect();
        return true;
    }
    let Some(labels) = rows.spans.iter().map(|span| scored(of(span))).collect::<Option<Vec<_>>>() else { return false };
    // The likeliest of a row are no things that were found in it.
    if rows.spans.first().is_some_and(|span| fields::is_find(of(span))) {
        return false;
    }
    let one = match asked {
        Some(asked) => asked == 1,
        None => of_one_row(&labels),
    };
    if let (true, Some(first), Some(last)) = (one, rows.spans.first(), rows.spans.last()) {
        let row = first.start..last.end;
        rows.spans.clear();
        rows.spans.push(row);
        rows.flat = true;
    }
    true
}

/// Puts the things that were found in one row together: of several rows each has a list of its own. Whether it did.
fn found(body: &[u8], rows: &mut Rows, asked: Option<usize>, path: Option<&Path>) -> bool {
    let plain = rows.listed && !rows.in_part && !rows.flat && !rows.at_path && rows.column.is_none();
    if !plain || asked.is_some_and(|asked| asked != 1) || path.is_some_and(|path| !path.steps().is_empty()) {
        return false;
    }
    let is_find = |span: &Range<usize>| fields::is_find(body.get(span.clone()).unwrap_or_default());
    let row = match (rows.spans.first(), rows.spans.last()) {
        (Some(first), Some(last)) if rows.spans.iter().all(is_find) => first.start..last.end,
        // Nothing was found in the row that was asked for.
        (None, None) if asked == Some(1) => 0..0,
        _ => return false,
    };
    rows.spans.clear();
    rows.spans.push(row);
    rows.flat = true;
    true
}

/// Takes an object for its rows that has their numbers for keys, as pandas makes one of a Series: when so many rows were
/// asked for; or when nobody knows and they are no probabilities, whose keys may be the numbers of classes. Where the kind
/// is known to be of many numbers, no number is a row.
///
/// Whether the number asked for made a difference, or would make one.
pub(super) fn series(body: &[u8], rows: &mut Rows, wanted: Wanted<'_>) -> bool {
    let root = wanted.path.is_none_or(|path| path.steps().is_empty());
    let Some(object) = rows.spans.first().cloned().filter(|_| rows.numbered && root) else { return false };
    let value = body.get(object.clone()).unwrap_or_default();
    if map::is_map(value, wanted.kind) {
        return false;
    }
    let (mut items, mut fraction) = (Vec::new(), false);
    let read = Scanner::new(value, true).object(|scanner, _| {
        let number = scanner.next()? == Next::Number && scanner.clone().number()?.fract() != 0.0;
        fraction |= number;
        let span = scanner.span()?;
        items.push(span.start + object.start..span.end + object.start);
        Ok(())
    });
    let listed = match wanted.asked {
        Some(asked) => asked == items.len(),
        None => items.len() == 1 || !fraction,
    };
    if read.is_ok() && listed {
        rows.spans = items;
        rows.listed = true;
    }
    true
}

fn scored(value: &[u8]) -> Option<(&[u8], f64)> {
    let mut scanner = Scanner::new(value, true);
    if !matches!(scanner.next(), Ok(Next::Object)) {
        return None;
    }
    row::scored(&mut scanner).ok().flatten()
}

/// Different labels whose scores are 1 in sum, or the likeliest ones of them, in order: rows of their own would be so by
/// chance alone.
fn of_one_row(labels: &[(&[u8], f64)]) -> bool {
    let sum: f64 = labels.iter().map(|(_, score)| score).sum();
    let falls = labels.windows(2).all(|two| matches!(two, [(_, first), (_, second)] if first >= second));
    let inside = labels.iter().all(|(_, score)| (0.0..=1.0).contains(score));
    let again = |at: usize, label: &[u8]| labels.iter().take(at).any(|(other, _)| *other == label);
    (falls || (sum - 1.0).abs() <= SUM)
        && inside
        && (0.0..=1.0 + SUM).contains(&sum)
        && labels.len() <= 100
        && !labels.iter().enumerate().any(|(at, (label, _))| again(at, label))
}

/// The items of two lists, when both say something of the same rows.
fn tuple(first: &[u8], second: &[u8], asked: Option<usize>) -> Option<(Spans, Spans)> {
    let (labels, what) = items(first).ok()??;
    let (others, how) = items(second).ok()??;
    if labels.len() != others.len() || labels.is_empty() {
        return None;
    }
    let pair = match (what, how) {
        (Items::Texts | Items::Numbers, Items::Nested) | (Items::Texts, Items::Numbers) => true,
        // Two rows of numbers, unless so many rows were asked for as each of them is long, and not two.
        (Items::Numbers, Items::Numbers) => asked.is_some_and(|asked| asked != 2 && asked == labels.len()),
        _ => false,
    };
    pair.then_some((labels, others))
}

/// Where the items of a list are, and what they all are; none of an empty list.
fn items(value: &[u8]) -> Result<Option<Of>, Stop> {
    let mut scanner = Scanner::new(value, true);
    if scanner.next()? != Next::List {
        return Ok(None);
    }
    let (mut spans, mut what) = (Vec::new(), None);
    scanner.list(|scanner| {
        let this = match scanner.next()? {
            Next::Text | Next::Bool => Items::Texts,
            Next::Number => Items::Numbers,
            Next::List | Next::Object => Items::Nested,
            Next::Null => Items::Mixed,
        };
        what = Some(if what.is_none_or(|what| what == this) { this } else { Items::Mixed });
        spans.push(scanner.span()?);
        Ok(())
    })?;
    Ok(what.map(|what| (spans, what)))
}
